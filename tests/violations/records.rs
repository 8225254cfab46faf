//! Records, and messages across them (RFC 9846 §5).

use sealwire::Violation::{self, *};
use sealwire::codepoints::{Alert, ContentType, HandshakeType as H};

use super::duel::{Duel, Epoch, Unit, alert, mutual, retry, simple};
use super::edit::{key_update, message, ticket};
use super::refuse::{AFTER_RETRY, RETRY, SECOND_CLIENT_HELLO, refuse_after, refuse_changed};
use super::support::Role::{self, Client, Server};

use ContentType as C;

/// In place of the first message, or after the handshake, from both sides.
fn refuse_first(unit: &Unit, expected: Violation) {
    refuse_changed(Client, simple(), H::client_hello, |_| vec![unit.clone()], expected);
    refuse_changed(Server, simple(), H::server_hello, |_| vec![unit.clone()], expected);
}

/// A protected record of this type, in the handshake and after it, from both sides.
fn refuse_protected(kind: ContentType, content: &[u8], padding: usize, expected: Violation) {
    for (attacker, message) in [(Server, H::encrypted_extensions), (Client, H::certificate)] {
        let change = |unit: &Unit| vec![unit.and(kind, content).padded(padding)];
        refuse_changed(attacker, mutual(), message, change, expected);
    }
    for attacker in Role::BOTH {
        let unit = Unit::new(Epoch::Application(0), kind, content).padded(padding);
        refuse_after(attacker, &[unit], expected);
    }
}

pub(crate) fn record_overflow() {
    // In clear: the header alone is enough.
    refuse_first(&Unit::raw(&[22, 3, 3, 0x40, 1]), RecordOverflow);
    refuse_first(&Unit::raw(&[21, 3, 3, 0xff, 0xff]), RecordOverflow);
    // Protected: 2^14 + 256 may be.
    let longest = Unit::raw(&[23, 3, 3, 0x41, 0]);
    let longer = Unit::raw(&[23, 3, 3, 0x41, 1]);
    for attacker in Role::BOTH {
        let mut duel = Duel::connected(attacker, simple());
        duel.inject([longest.clone()]);
        duel.assert_content();
        refuse_after(attacker, std::slice::from_ref(&longer), RecordOverflow);
    }
    let change = |_: &Unit| vec![longer.clone()];
    refuse_changed(Server, simple(), H::encrypted_extensions, change, RecordOverflow);
    refuse_changed(Client, simple(), H::finished, change, RecordOverflow);
}

pub(crate) fn plaintext_overflow() {
    const MAX: usize = 1 << 14;
    for attacker in Role::BOTH {
        let epoch = Epoch::Application(0);
        let full = |len: usize, zeros: usize| {
            Unit::new(epoch, C::application_data, &vec![1; len]).padded(zeros)
        };
        let mut duel = Duel::connected(attacker, simple());
        duel.inject([full(MAX, 0), full(1, MAX - 1), full(0, MAX)]);
        duel.assert_content();
        refuse_after(attacker, &[full(MAX + 1, 0)], PlaintextOverflow);
        refuse_after(attacker, &[full(1, MAX)], PlaintextOverflow);
        refuse_after(attacker, &[full(0, MAX + 1)], PlaintextOverflow);
        refuse_after(attacker, &[full(MAX + 239, 0)], PlaintextOverflow);
    }
}

pub(crate) fn no_content_type() {
    for zeros in [0, 1, 100, 1 << 14] {
        refuse_protected(ContentType(0), &[], zeros, NoContentType);
    }
    // Nothing inside at all: not even a type.
    for attacker in Role::BOTH {
        let mut duel = Duel::connected(attacker, simple());
        duel.put_empty();
        duel.inject([]);
        duel.assert_refused(NoContentType);
    }
}

pub(crate) fn empty_fragment() {
    refuse_first(&Unit::plain(C::handshake, &[]), EmptyFragment);
    refuse_first(&Unit::plain(C::alert, &[]), EmptyFragment);
    for kind in [C::handshake, C::alert] {
        refuse_protected(kind, &[], 0, EmptyFragment);
        refuse_protected(kind, &[], 17, EmptyFragment);
    }
}

pub(crate) fn not_tls() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n"[..], b"HTTP/1.1 400 ", b"SSH-2.0-", b"\x80\x2e", b"\0", b"\xff"]
    {
        refuse_first(&Unit::raw(bytes), NotTls);
        refuse_first(&Unit::raw(&bytes[..1]), NotTls);
    }
}

pub(crate) fn unexpected_record() {
    // Types that TLS does not have, at their first byte, from somebody who was heard to speak TLS.
    for kind in [0, 19, 24, 25, 0x80, 0xff] {
        for unit in [Unit::raw(&[kind]), Unit::raw(&[kind, 3, 3, 0, 1, 0])] {
            for (attacker, message) in [(Server, H::encrypted_extensions), (Client, H::finished)] {
                let change = |_: &Unit| vec![unit.clone()];
                refuse_changed(attacker, simple(), message, change, UnexpectedRecord);
            }
            for attacker in Role::BOTH {
                refuse_after(attacker, std::slice::from_ref(&unit), UnexpectedRecord);
            }
        }
    }
    for kind in [1, 19, 24, 0xff] {
        refuse_protected(ContentType(kind), b"x", 0, UnexpectedRecord);
        refuse_protected(ContentType(kind), b"", 3, UnexpectedRecord);
    }
    // Application data without protection, and before Finished.
    refuse_first(&Unit::plain(C::application_data, b"data"), UnexpectedRecord);
    refuse_first(&Unit::plain(C::application_data, b""), UnexpectedRecord);
    for (attacker, message) in [
        (Server, H::encrypted_extensions),
        (Server, H::certificate),
        (Server, H::certificate_verify),
        (Server, H::finished),
        (Client, H::certificate),
        (Client, H::certificate_verify),
        (Client, H::finished),
    ] {
        for data in [&b"data"[..], b""] {
            let change = |unit: &Unit| vec![unit.and(C::application_data, data), unit.clone()];
            refuse_changed(attacker, mutual(), message, change, UnexpectedRecord);
        }
    }
}

pub(crate) fn bad_change_cipher_spec() {
    for content in [&[0][..], &[2], &[1, 1], &[]] {
        refuse_first(&Unit::plain(C::change_cipher_spec, content), BadChangeCipherSpec);
        for (attacker, message) in [(Server, H::certificate), (Client, H::finished)] {
            let unit = Unit::plain(C::change_cipher_spec, content);
            let change = |_: &Unit| vec![unit.clone()];
            refuse_changed(attacker, simple(), message, change, BadChangeCipherSpec);
        }
    }
    // Protected, whatever is in it.
    refuse_protected(C::change_cipher_spec, &[1], 0, BadChangeCipherSpec);
    refuse_protected(C::change_cipher_spec, &[2], 0, BadChangeCipherSpec);
    refuse_protected(C::change_cipher_spec, &[], 1, BadChangeCipherSpec);
}

pub(crate) fn unexpected_change_cipher_spec() {
    let unit = Unit::plain(C::change_cipher_spec, &[1]);
    // Before ClientHello.
    let change = |hello: &Unit| vec![unit.clone(), hello.clone()];
    refuse_changed(Client, simple(), H::client_hello, change, UnexpectedChangeCipherSpec);
    // After Finished.
    for attacker in Role::BOTH {
        refuse_after(attacker, std::slice::from_ref(&unit), UnexpectedChangeCipherSpec);
    }
    // In between it is dropped, wherever it stands.
    let mut duel = Duel::new(Server, mutual());
    duel.run(|message| vec![unit.clone(), message]);
    duel.assert_content();
    let mut duel = Duel::new(Client, mutual());
    let mut first = true;
    duel.run(|message| match std::mem::take(&mut first) {
        true => vec![message],
        false => vec![unit.clone(), message],
    });
    duel.assert_content();
}

pub(crate) fn key_change_mid_record() {
    let follow = |more: Vec<u8>| {
        move |unit: &Unit| vec![unit.with([unit.content.clone(), more.clone()].concat())]
    };
    let encrypted_extensions = message(H::encrypted_extensions, &[0, 0]);
    for more in [vec![8], encrypted_extensions, vec![0; 4]] {
        let follow = || follow(more.clone());
        for (attacker, message) in [
            (Server, H::server_hello),
            (Server, H::finished),
            (Client, H::client_hello),
            (Client, H::finished),
        ] {
            refuse_changed(attacker, simple(), message, follow(), KeyChangeMidRecord);
        }
        refuse_changed(Server, retry(), RETRY, follow(), KeyChangeMidRecord);
        refuse_changed(Server, retry(), AFTER_RETRY, follow(), KeyChangeMidRecord);
        refuse_changed(Client, retry(), SECOND_CLIENT_HELLO, follow(), KeyChangeMidRecord);
        for attacker in Role::BOTH {
            let update = Unit::post(&[key_update(0), more.clone()].concat());
            refuse_after(attacker, &[update], KeyChangeMidRecord);
        }
    }
    // Many in one record.
    for attacker in Role::BOTH {
        refuse_after(attacker, &[Unit::post(&key_update(1).repeat(1000))], KeyChangeMidRecord);
    }
    // A message that is split over records may end with the beginning of another, too.
    let split = |unit: &Unit| {
        let (head, tail) = unit.content.split_at(40);
        vec![unit.with(head), unit.with([tail, &[8, 0]].concat())]
    };
    refuse_changed(Server, simple(), H::server_hello, split, KeyChangeMidRecord);
    // Two messages before, none behind.
    let two = [ticket(&[]), key_update(0)].concat();
    let mut duel = Duel::connected(Server, simple());
    duel.inject([Unit::post(&two)]);
    duel.assert_content();
}

pub(crate) fn interleaved_handshake() {
    let change_cipher_spec = Unit::plain(C::change_cipher_spec, &[1]);
    let canceled = [1, Alert::user_canceled.0];
    let split = |between: Unit| {
        move |unit: &Unit| {
            let (head, tail) = unit.content.split_at(unit.content.len() / 2);
            vec![unit.with(head), between.clone(), unit.with(tail)]
        }
    };
    for (attacker, message) in [(Server, H::server_hello), (Client, H::client_hello)] {
        let between = Unit::plain(C::alert, &canceled);
        refuse_changed(attacker, simple(), message, split(between), InterleavedHandshake);
    }
    for (attacker, message) in [(Server, H::certificate), (Client, H::certificate)] {
        let alert = Unit::new(Epoch::Handshake, C::alert, &canceled);
        for between in [alert, change_cipher_spec.clone()] {
            refuse_changed(attacker, mutual(), message, split(between), InterleavedHandshake);
        }
    }
    refuse_changed(
        Server,
        simple(),
        H::server_hello,
        split(change_cipher_spec),
        InterleavedHandshake,
    );
    for attacker in Role::BOTH {
        let update = Unit::post(&key_update(0));
        for kind in [C::application_data, C::alert] {
            let (head, tail) = update.content.split_at(2);
            let between = update.and(kind, &canceled);
            let units = [update.with(head), between, update.with(tail)];
            refuse_after(attacker, &units, InterleavedHandshake);
        }
    }
}

pub(crate) fn alert_not_alone() {
    let two = [alert(Alert::user_canceled), alert(Alert::close_notify)].concat();
    for content in [&[2][..], &[2, 80, 0], &two] {
        refuse_first(&Unit::plain(C::alert, content), AlertNotAlone);
        refuse_protected(C::alert, content, 0, AlertNotAlone);
        refuse_protected(C::alert, content, 9, AlertNotAlone);
    }
}

pub(crate) fn unprotected_record() {
    // A message that is right in every other way.
    for (attacker, message) in [
        (Server, H::encrypted_extensions),
        (Server, H::certificate),
        (Server, H::finished),
        (Client, H::certificate),
        (Client, H::finished),
    ] {
        let change = |unit: &Unit| vec![Unit::plain(C::handshake, &unit.content)];
        refuse_changed(attacker, mutual(), message, change, UnprotectedRecord);
    }
    // An alert, once the peer has shown that it has keys.
    for (attacker, message) in [(Server, H::certificate), (Client, H::certificate_verify)] {
        let change = |_: &Unit| vec![Unit::plain(C::alert, &alert(Alert::internal_error))];
        refuse_changed(attacker, mutual(), message, change, UnprotectedRecord);
    }
    for attacker in Role::BOTH {
        let alert = Unit::plain(C::alert, &[1, Alert::close_notify.0]);
        refuse_after(attacker, &[alert], UnprotectedRecord);
        refuse_after(attacker, &[Unit::plain(C::handshake, &key_update(0))], UnprotectedRecord);
    }
}

pub(crate) fn bad_key_update() {
    for attacker in Role::BOTH {
        for request in [2, 0x80, 0xff] {
            refuse_after(attacker, &[Unit::post(&key_update(request))], BadKeyUpdate);
        }
    }
}
