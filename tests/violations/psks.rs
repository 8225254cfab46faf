//! Pre-shared keys, tickets and early data (RFC 9846 §4.3.9 to §4.3.11, §4.7.1).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealwire::codepoints::{
    Alert, CipherSuiteId, ContentType, ExtensionType as E, HandshakeType as H,
};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::pki_types::UnixTime;
use sealwire::{
    Connection, CookieKey, Error, ExternalPsk, MemoryReplay, MemorySessions, MigrationKey, Misuse,
    NoOverlap, PskPolicy, Session, SessionStore, TicketKeys, Violation,
};

use super::duel::{Configs, Duel, Epoch, Unit, simple};
use super::edit::{Parts, parts, vec16};
use super::hellos::forgetting;
use super::misuse::{assert_misuse, assert_unharmed};
use super::refuse::{SECOND_CLIENT_HELLO, refuse_changed, refuse_edited};
use super::support::Role::{Client, Server};
use super::support::{Calls, now, seeded};

fn key(identity: &[u8], secret: u8) -> Arc<ExternalPsk> {
    let psk = ExternalPsk::new(identity, &[secret; 32]).unwrap();
    Arc::new(psk.with_roles(b"client", b"server").unwrap())
}

/// Both insist on the same external key.
fn external() -> Configs {
    let (client, server) = simple();
    let keys = || vec![key(b"name", 1)];
    (
        client.with_external_psks(keys(), PskPolicy::Required),
        server.with_external_psks(keys(), PskPolicy::Required),
    )
}

/// The client has two sessions, which the server resumes, with up to 100 bytes of early data.
fn resuming() -> (Configs, Arc<MemorySessions>) {
    let (client, server) = simple();
    let sessions = Arc::new(MemorySessions::default());
    let start = UnixTime::since_unix_epoch(Duration::from_secs(now().as_secs() - 1000));
    let keys = TicketKeys::new(server.provider(), now()).unwrap();
    let client = client.with_sessions(sessions.clone()).with_early_data(true);
    let server = server
        .with_tickets(Arc::new(keys))
        .with_early_data(Arc::new(MemoryReplay::new(100, start)), 100);
    Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    assert_eq!(sessions.len(), 2);
    ((client, server), sessions)
}

/// A client that resumes with early data, which the server takes.
pub(crate) fn resumed() -> Configs {
    resuming().0
}

/// Flips one bit of a binder.
fn flip(back: usize) -> impl FnMut(&mut Vec<u8>) {
    move |message| {
        let at = message.len() - back;
        message[at] ^= 1;
    }
}

pub(crate) fn bad_binder() {
    for back in [1, 2, 32] {
        refuse_edited(Client, external(), H::client_hello, flip(back), Violation::BadBinder);
        let (configs, _) = resuming();
        refuse_edited(Client, configs, H::client_hello, flip(back), Violation::BadBinder);
    }
    // It covers everything before it.
    let edit = |message: &mut Vec<u8>| message[10] ^= 1;
    refuse_edited(Client, external(), H::client_hello, edit, Violation::BadBinder);
    // Of a wrong length, though a possible one: 33 bytes, and 255.
    for len in [33, 255] {
        let edit = parts(|parts| {
            let data = parts.data(E::pre_shared_key);
            let at = data.len() - 33;
            data.truncate(at - 2);
            let [high, low] = u16::try_from(len + 1).unwrap().to_be_bytes();
            data.extend([high, low, u8::try_from(len).unwrap()]);
            data.resize(data.len() + len, 7);
        });
        refuse_edited(Client, external(), H::client_hello, edit, Violation::BadBinder);
    }
}

pub(crate) fn unoffered_psk() {
    let edit = parts(|parts| parts.set(E::pre_shared_key, &[0, 1]));
    refuse_edited(Server, external(), H::server_hello, edit, Violation::UnofferedPsk);
    let edit = parts(|parts| parts.set(E::pre_shared_key, &[0xff, 0xff]));
    refuse_edited(Server, resuming().0, H::server_hello, edit, Violation::UnofferedPsk);
}

pub(crate) fn psk_declined() {
    let (client, _) = external();
    let mut duel = Duel::new(Server, (client, simple().1));
    duel.run(|unit| vec![unit]);
    duel.assert_refused(Violation::PskDeclined);
}

pub(crate) fn psk_hash_mismatch() {
    let ((client, server), _) = resuming();
    let suites = [CipherSuiteId::TLS_AES_128_GCM_SHA256, CipherSuiteId::TLS_AES_256_GCM_SHA384];
    let client = client.with_suites(&suites).unwrap();
    let server = server.with_suites(&suites[..1]).unwrap();
    let change = |unit: &Unit| {
        let mut parts = Parts::of(&unit.content);
        let suite = parts.head.len() - 3;
        parts.head[suite..suite + 2].copy_from_slice(&suites[1].0.to_be_bytes());
        vec![unit.with(parts.build())]
    };
    let expected = Violation::PskHashMismatch;
    refuse_changed(Server, (client, server), H::server_hello, change, expected);
}

pub(crate) fn unoffered_psk_mode() {
    for configs in [external(), resuming().0] {
        let edit = parts(|parts| parts.remove(E::key_share));
        refuse_edited(Server, configs, H::server_hello, edit, Violation::UnofferedPskMode);
    }
}

/// A client that sends a ClientHello for a session and two external keys, the last for another hash; and the server.
fn several_keys(retry: bool) -> Configs {
    let ((client, server), _) = resuming();
    let keys = || vec![key(b"name", 1)];
    let suites = [CipherSuiteId::TLS_AES_128_GCM_SHA256, CipherSuiteId::TLS_AES_256_GCM_SHA384];
    let client = client.with_suites(&suites).unwrap().with_early_data(false);
    let client = client.with_external_psks(keys(), PskPolicy::OrCertificate);
    let server = server.with_suites(&suites[..1]).unwrap();
    let server = server.with_external_psks(keys(), PskPolicy::OrCertificate);
    (if retry { client.with_key_shares(&[]).unwrap() } else { client }, server)
}

fn with_cookies((client, server): Configs) -> Configs {
    let cookies = CookieKey::new(&[7; 32]).unwrap();
    (client, server.with_stateless_retry(Arc::new(cookies)))
}

pub(crate) fn missing_pre_shared_key() {
    let expected = Violation::MissingPreSharedKey;
    for configs in [several_keys(true), with_cookies(several_keys(true))] {
        let edit = parts(|parts| parts.remove(E::pre_shared_key));
        refuse_edited(Client, configs, SECOND_CLIENT_HELLO, edit, expected);
    }
    // A server that has forgotten the first one knows it just as well.
    let edit = |parts: &mut Parts| parts.remove(E::pre_shared_key);
    let duel = forgetting(with_cookies(several_keys(true)), edit, Duration::ZERO);
    duel.assert_refused(expected);
    // One that takes no keys does not mind.
    let (client, _) = several_keys(true);
    let hellos = AtomicUsize::new(0);
    let hook = MessageHook(Arc::new(move |kind, message| {
        if kind == H::client_hello && hellos.fetch_add(1, Ordering::Relaxed) == 1 {
            let mut parts = Parts::of(message);
            parts.remove(E::pre_shared_key);
            *message = parts.build();
        }
    }));
    let pair = Calls::PLAIN.pair(client.with_message_hook(hook), simple().1).connect();
    assert!(pair.server.conn.summary().unwrap().retried);
}

/// `pre_shared_key` without the identity at this index.
fn without(at: usize) -> impl Fn(&mut Parts) {
    move |parts: &mut Parts| {
        let data = parts.data(E::pre_shared_key).clone();
        let number = |at: usize| usize::from(u16::from_be_bytes([data[at], data[at + 1]]));
        let middle = 2 + number(0);
        let (mut identities, mut binders) = (Vec::new(), Vec::new());
        let mut from = 2;
        while from < middle {
            let len = 2 + number(from) + 4;
            identities.push(data[from..from + len].to_vec());
            from += len;
        }
        from += 2;
        while from < data.len() {
            let len = 1 + usize::from(data[from]);
            binders.push(data[from..from + len].to_vec());
            from += len;
        }
        // One SHA-256 session, and an external key for each hash.
        let lengths: Vec<usize> = binders.iter().map(Vec::len).collect();
        assert!(matches!(lengths[..], [33, 33] | [33, 33, 49]), "{lengths:?}");
        identities.remove(at);
        binders.remove(at);
        let data = [vec16(&identities.concat()), vec16(&binders.concat())].concat();
        parts.set(E::pre_shared_key, &data);
    }
}

/// RFC 9846 §4.2.2: only keys that do not fit the suite may go.
pub(crate) fn changed_pre_shared_keys() {
    let expected = Violation::ChangedPreSharedKeys;
    for at in [0, 1] {
        for configs in [several_keys(true), with_cookies(several_keys(true))] {
            refuse_edited(Client, configs, SECOND_CLIENT_HELLO, parts(without(at)), expected);
        }
        let duel = forgetting(with_cookies(several_keys(true)), without(at), Duration::ZERO);
        duel.assert_refused(expected);
    }
    // Nor may another come, or a first one.
    let edit = parts(|parts| {
        let data = parts.data(E::pre_shared_key);
        data[4] ^= 1;
    });
    refuse_edited(Client, several_keys(true), SECOND_CLIENT_HELLO, edit, expected);
    // The one for the other hash has gone, and the handshake goes on with a session.
    let (client, server) = several_keys(true);
    let pair = Calls::PLAIN.pair(client, server).connect();
    let summary = pair.server.conn.summary().unwrap();
    assert!(summary.retried && summary.resumed);
}

pub(crate) fn early_data_key() {
    let expected = Violation::EarlyDataKey;
    // Without a key at all.
    let ((client, _), _) = resuming();
    let full = (client, simple().1);
    let mut duel = Duel::new(Server, full);
    duel.run(|mut unit| {
        if unit.is(H::encrypted_extensions) {
            parts(|parts| parts.set(E::early_data, &[]))(&mut unit.content);
        }
        vec![unit]
    });
    duel.assert_refused_unheard(expected);
    // With the second one.
    let (client, server) = several_keys(false);
    let tickets = TicketKeys::new(server.provider(), now()).unwrap();
    let server = server.with_tickets(Arc::new(tickets));
    let mut duel = Duel::new(Server, (client.with_early_data(true), server));
    duel.run(|mut unit| {
        if unit.is(H::encrypted_extensions) {
            parts(|parts| parts.set(E::early_data, &[]))(&mut unit.content);
        }
        vec![unit]
    });
    duel.assert_refused_unheard(expected);
}

/// With the right key, under another suite of the same hash.
pub(crate) fn early_data_suite() {
    let ((client, server), _) = resuming();
    let suites =
        [CipherSuiteId::TLS_AES_128_GCM_SHA256, CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256];
    let client = client.with_suites(&suites).unwrap();
    let server = server.with_suites(&suites[1..]).unwrap();
    let hook = MessageHook(Arc::new(|kind, message| {
        if kind == H::encrypted_extensions {
            let mut parts = Parts::of(message);
            parts.set(E::early_data, &[]);
            *message = parts.build();
        }
    }));
    let mut pair = Calls::PLAIN.pair(client, server.with_message_hook(hook));
    pair.pump();
    let error = pair.client.error.as_ref().unwrap();
    assert!(matches!(error, Error::Violation(Violation::EarlyDataSuite)), "{error:?}");
    assert_eq!(error.alert(), Some(Alert::illegal_parameter));
}

/// With the right key and suite, under another protocol than before.
pub(crate) fn early_data_alpn() {
    let ((client, server), sessions) = resuming();
    let _ = sessions.drain();
    let client = client.with_alpn(&[b"h2", b"h3"]).unwrap();
    let server = server.with_alpn(&[b"h2"]).unwrap();
    Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    let edit = parts(|parts| parts.set(E::application_layer_protocol_negotiation, b"\0\x03\x02h3"));
    let expected = Violation::EarlyDataAlpn;
    refuse_edited(Server, (client, server), H::encrypted_extensions, edit, expected);
}

/// The same session with another `max_early_data`, behind the server's back.
fn with_max(session: &Session, max: u32) -> Session {
    let mut bytes = session.to_bytes().unwrap().to_vec();
    // Name and version, key, suite; the key with its length; the ticket with its length; lifetime, age and time.
    let secret = 17 + 32 + 2;
    let ticket = secret + 1 + usize::from(bytes[secret]);
    let len = usize::from(u16::from_be_bytes([bytes[ticket], bytes[ticket + 1]]));
    let at = ticket + 2 + len + 4 + 4 + 8;
    bytes[at..at + 4].copy_from_slice(&max.to_be_bytes());
    Session::from_bytes(&bytes).unwrap()
}

pub(crate) fn too_much_early_data() {
    for sizes in [&[101][..], &[100, 1], &[60, 41]] {
        let (configs, sessions) = resuming();
        for session in sessions.drain() {
            assert_eq!(session.max_early_data(), 100);
            sessions.put(with_max(&session, 1000));
        }
        let mut duel = Duel::new(Client, configs);
        assert_eq!(duel.attacker().early_data_left(), Some(1000));
        let mut early = Vec::new();
        for size in sizes {
            duel.attacker().write_early(&vec![1; *size], &mut early).unwrap();
        }
        duel.run(|unit| match unit.is(H::client_hello) {
            true => vec![unit, Unit::raw(&early)],
            false => vec![unit],
        });
        duel.assert_refused(Violation::TooMuchEarlyData);
    }
}

pub(crate) fn no_common_psk() {
    let (_, server) = external();
    // A client without any, and one with others: another name, and another context.
    let (client, _) = simple();
    let others = vec![
        key(b"another name", 1),
        Arc::new(ExternalPsk::new(b"name", &[1; 32]).unwrap()),
        Arc::new(ExternalPsk::new(b"name", &[1; 32]).unwrap().danger_not_imported()),
    ];
    let other = client.clone().with_external_psks(others, PskPolicy::Required);
    for client in [client, other] {
        let mut duel = Duel::new(Client, (client, server.clone()));
        duel.run(|unit| vec![unit]);
        duel.assert_refused(NoOverlap::Psk);
    }
}

pub(crate) fn misused_psk() {
    let key = [1; 32];
    let longest = vec![b'x'; 60_000];
    for len in [0, 1, 15, 81, 1000] {
        assert_misuse(ExternalPsk::new(b"name", &vec![1; len]), Misuse::Psk);
    }
    for len in [16, 80] {
        ExternalPsk::new(&longest, &vec![1; len]).unwrap();
        assert_misuse(ExternalPsk::new(b"name", &vec![0; len]), Misuse::Psk);
    }
    assert_misuse(ExternalPsk::new(b"", &key), Misuse::Psk);
    assert_misuse(ExternalPsk::new(&[&longest[..], b"x"].concat(), &key), Misuse::Psk);
    let psk = || ExternalPsk::new(b"name", &key).unwrap();
    psk().with_context(&longest[4..]).unwrap();
    assert_misuse(psk().with_context(&longest[3..]), Misuse::Psk);
    assert_misuse(psk().with_roles(b"me", b"me"), Misuse::Psk);
    assert_misuse(psk().with_roles(&longest, b"server"), Misuse::Psk);
    assert_misuse(psk().with_roles(&[0; 1 << 16], b"server"), Misuse::Psk);
}

pub(crate) fn no_session() {
    let (_, sessions) = resuming();
    let bytes = sessions.drain()[0].to_bytes().unwrap();
    Session::from_bytes(&bytes).unwrap();
    for len in 0..bytes.len() {
        assert_misuse(Session::from_bytes(&bytes[..len]), Misuse::Session);
    }
    assert_misuse(Session::from_bytes(&[&bytes[..], &[0]].concat()), Misuse::Session);
    // The last byte of the name is the version.
    for at in [0, 16] {
        let mut other = bytes.to_vec();
        other[at] ^= 2;
        assert_misuse(Session::from_bytes(&other), Misuse::Session);
    }

    let provider = seeded(1);
    let bytes = TicketKeys::new(&provider, now()).unwrap().export(now()).unwrap();
    TicketKeys::import(&provider, &bytes).unwrap();
    for len in 0..bytes.len() {
        assert_misuse(TicketKeys::import(&provider, &bytes[..len]), Misuse::Session);
    }
    assert_misuse(TicketKeys::import(&provider, &[&bytes[..], &[0]].concat()), Misuse::Session);
    for at in [0, 20] {
        let mut other = bytes.to_vec();
        other[at] ^= 2;
        assert_misuse(TicketKeys::import(&provider, &other), Misuse::Session);
    }
}

pub(crate) fn no_early_data() {
    // Nothing to resume with, an external key, and a server.
    let ((client, server), _) = resuming();
    let resumed = (client.with_early_data(false), server);
    for (role, configs) in [(Client, simple()), (Client, external()), (Server, resumed)] {
        let mut duel = Duel::new(role.peer(), configs);
        let mut out = Vec::new();
        assert_eq!(duel.victim().early_data_left(), None);
        assert_misuse(duel.victim().write_early(b"early", &mut out), Misuse::NoEarlyData);
        assert!(out.is_empty());
        duel.run(|unit| vec![unit]);
        assert_unharmed(&mut duel);
    }
    // Not before it is offered, not after it is answered.
    let ((client, server), _) = resuming();
    let mut duel = Duel::new(Server, (client.clone().with_early_data(false), server.clone()));
    assert_misuse(duel.victim().write_early(b"early", &mut Vec::new()), Misuse::NoEarlyData);
    let mut pair = Calls::PLAIN.pair(client, server);
    assert_eq!(pair.client.conn.early_data_left(), Some(100));
    pair = pair.connect();
    assert_eq!(pair.client.conn.early_data_left(), None);
    let result = pair.client.call(|conn, out| conn.write_early(b"early", out));
    assert_misuse(result, Misuse::NoEarlyData);
    pair.chat();
}

pub(crate) fn early_data_too_long() {
    let (configs, _) = resuming();
    let mut pair = Calls::PLAIN.pair(configs.0, configs.1);
    let client = &mut pair.client;
    let early = |client: &mut super::support::Side, len: usize| {
        client.call(|conn, out| conn.write_early(&vec![b'e'; len], out))
    };
    assert_misuse(early(client, 101), Misuse::EarlyDataTooLong);
    early(client, 99).unwrap();
    assert_misuse(early(client, 2), Misuse::EarlyDataTooLong);
    early(client, 1).unwrap();
    assert_eq!(client.conn.early_data_left(), Some(0));
    assert_misuse(early(client, 1), Misuse::EarlyDataTooLong);
    let mut pair = pair.connect();
    pair.chat();
    assert_eq!(pair.server.early, [b'e'; 100]);
}

pub(crate) fn no_frozen_connection() {
    let (client, _) = simple();
    let key = MigrationKey::generate(client.provider()).unwrap();
    let thawed = Connection::thaw_client(&Arc::new(client), &key, b"no frozen connection");
    assert_misuse(thawed.map(drop), Misuse::Migration);
}

pub(crate) fn weak_migration_key() {
    let (client, _) = simple();
    let weak = MigrationKey::new(client.provider(), &[0; 32]);
    assert_misuse(weak.map(drop), Misuse::MigrationKey);
}

pub(crate) fn not_movable() {
    let (client, server) = simple();
    let configs = (client.with_post_handshake_auth(true), server);
    let mut duel = Duel::connected(Server, configs);
    assert_misuse(duel.victim().check_freeze(), Misuse::NotMovable);
    assert_unharmed(&mut duel);
}

pub(crate) fn no_post_handshake_auth() {
    let mut out = Vec::new();
    // Neither a client, nor a server whose client has not offered it.
    for victim in [Client, Server] {
        let mut duel = Duel::connected(victim.peer(), simple());
        let refused = duel.victim().request_client_certificate(&mut out);
        assert_misuse(refused, Misuse::NoPostHandshakeAuth);
        assert_unharmed(&mut duel);
    }
    assert!(out.is_empty());
}

pub(crate) fn no_tickets() {
    let ((client, server), _) = resuming();
    let mut out = Vec::new();
    // A client has none to send.
    let mut duel = Duel::connected(Server, (client.clone(), server.clone()));
    assert_misuse(duel.victim().send_ticket(now(), &mut out), Misuse::NoTickets);
    assert_unharmed(&mut duel);
    // A server without any; a client without a use for them; an external key, which needs none.
    for configs in [(client, simple().1), (simple().0, server), external()] {
        let mut duel = Duel::connected(Client, configs);
        assert_misuse(duel.victim().send_ticket(now(), &mut out), Misuse::NoTickets);
        assert_unharmed(&mut duel);
    }
    assert!(out.is_empty());
}

/// RFC 9846 §4.3.11.2: over exactly the bytes before it, and no bit of it may differ.
#[test]
fn pitfall_29_every_byte_of_a_binder_counts() {
    for back in 1..=32 {
        refuse_edited(Client, resuming().0, H::client_hello, flip(back), Violation::BadBinder);
    }
    // The key of the one ticket with the binder of another.
    let (configs, sessions) = resuming();
    let both = sessions.drain();
    let bytes = |i: usize| both[i].to_bytes().unwrap();
    let (one, two) = (bytes(0), bytes(1));
    let secret = 17 + 32 + 2 + 1;
    let mixed = [&one[..secret], &two[secret..secret + 32], &one[secret + 32..]].concat();
    sessions.put(Session::from_bytes(&mixed).unwrap());
    let mut duel = Duel::new(Client, configs);
    duel.run(|unit| vec![unit]);
    duel.assert_refused(Violation::BadBinder);
}

/// Binders that are not there, are too short, or stop in the middle.
#[test]
fn pitfall_29_binders_that_do_not_parse() {
    let tails: [&[u8]; 6] =
        [&[], &[0], &[0, 0], &[0, 1, 0], &[0, 32, 31, 7, 7], &[0, 33, 32, 1, 2, 3]];
    for tail in tails {
        let mut duel = Duel::new(Client, resuming().0);
        duel.run(|mut unit| {
            if unit.is(H::client_hello) {
                parts(|parts| {
                    let data = parts.data(E::pre_shared_key);
                    data.truncate(data.len() - 35);
                    data.extend_from_slice(tail);
                })(&mut unit.content);
            }
            vec![unit]
        });
        duel.assert_malformed();
    }
}

/// RFC 9846 §4.6: EndOfEarlyData says which key comes next, so that neither can be left out.
#[test]
fn pitfall_34_end_of_early_data_is_missing() {
    let mut duel = Duel::new(Client, resumed());
    duel.run(|unit| if unit.is(H::end_of_early_data) { Vec::new() } else { vec![unit] });
    duel.assert_refused(Error::BadRecordMac);
}

#[test]
fn pitfall_34_end_of_early_data_is_early() {
    let mut duel = Duel::new(Client, resumed());
    let data = Unit::new(Epoch::Early, ContentType::application_data, b"more");
    duel.run(|unit| match unit.is(H::end_of_early_data) {
        true => vec![unit, data.clone()],
        false => vec![unit],
    });
    duel.assert_refused(Error::BadRecordMac);
    // Twice, and not alone in its record.
    for more in [&[5, 0, 0, 0][..], &[20, 0, 0, 0]] {
        let mut duel = Duel::new(Client, resumed());
        duel.run(|unit| match unit.is(H::end_of_early_data) {
            true => vec![unit.with([&unit.content[..], more].concat())],
            false => vec![unit],
        });
        duel.assert_refused(Violation::KeyChangeMidRecord);
    }
    // From a client whose early data was not taken.
    let ((client, _), _) = resuming();
    let mut duel = Duel::new(Client, (client, simple().1));
    let end = Unit::new(Epoch::Handshake, ContentType::handshake, &[5, 0, 0, 0]);
    duel.run(|unit| match unit.is(H::finished) {
        true => vec![end.clone(), unit],
        false => vec![unit],
    });
    let (state, got) = ("WAIT_FINISHED", "EndOfEarlyData");
    duel.assert_refused(Error::UnexpectedMessage { state, got });
}
