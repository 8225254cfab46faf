//! Bounds of ours: each is reached by one too many, and not before.

use std::sync::Arc;

use sealwire::codepoints::{Alert, ContentType as C, ExtensionType as E, HandshakeType as H};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::{Limit, Limits};

use super::duel::{Configs, Duel, Epoch, Unit, mutual, retry, simple};
use super::edit::{Parts, certificate, certificate_parts, key_update, ticket};
use super::refuse::{refuse_changed, refuse_edited};
use super::support::Role::{self, Client, Server};

/// After an honest handshake with these limits, `most` of the unit are taken and one more is refused.
fn one_too_many(attacker: Role, configs: Configs, unit: &Unit, most: usize, expected: Limit) {
    let mut duel = Duel::connected(attacker, configs);
    duel.inject(vec![unit.clone(); most]);
    duel.assert_content();
    duel.inject([unit.clone()]);
    duel.assert_refused(expected);
}

/// Only the attacked side has these limits.
fn limited(attacker: Role, limits: Limits) -> Configs {
    let (client, server) = mutual();
    match attacker {
        Client => (client, server.with_limits(limits)),
        Server => (client.with_limits(limits), server),
    }
}

pub(crate) fn handshake_message() {
    // By its header alone, before it is there.
    let too_long = [8, 1, 0, 1];
    for (attacker, first) in [(Client, H::client_hello), (Server, H::server_hello)] {
        let change = |unit: &Unit| vec![unit.with(too_long)];
        refuse_changed(attacker, simple(), first, change, Limit::HandshakeMessage);
    }
    for attacker in Role::BOTH {
        let change = |unit: &Unit| vec![unit.with([11, 2, 0, 1])];
        refuse_changed(attacker, mutual(), H::certificate, change, Limit::HandshakeMessage);
        let mut duel = Duel::connected(attacker, simple());
        // Just as long as it may be: the rest is awaited.
        duel.inject([Unit::post(&[24, 1, 0, 0])]);
        duel.assert_content();
        let mut duel = Duel::connected(attacker, simple());
        duel.inject([Unit::post(&[24, 1, 0, 1])]);
        duel.assert_refused(Limit::HandshakeMessage);
    }
    // The limit is the configuration's.
    let mut limits = Limits::default();
    limits.certificate_message = 100;
    let change = |unit: &Unit| vec![unit.clone()];
    for attacker in Role::BOTH {
        let configs = limited(attacker, limits);
        refuse_changed(attacker, configs, H::certificate, change, Limit::HandshakeMessage);
    }
}

pub(crate) fn empty_records() {
    for attacker in Role::BOTH {
        for zeros in [0, 100] {
            let empty = Unit::new(Epoch::Application(0), C::application_data, &[]).padded(zeros);
            one_too_many(attacker, simple(), &empty, 32, Limit::EmptyRecords);
        }
        // Something in between is enough.
        let empty = Unit::new(Epoch::Application(0), C::application_data, &[]);
        let mut duel = Duel::connected(attacker, simple());
        for _ in 0..4 {
            duel.inject(vec![empty.clone(); 32]);
            duel.inject([empty.with(b"x")]);
        }
        duel.assert_content();
    }
}

/// A client whose ClientHello has early_data, though it has nothing to send early.
fn with_early_data((client, server): Configs) -> Configs {
    let hook = MessageHook(Arc::new(|kind, message: &mut Vec<u8>| {
        if kind == H::client_hello {
            let mut parts = Parts::of(message);
            parts.add(E::early_data, &[]);
            *message = parts.build();
        }
    }));
    (client.with_message_hook(hook), server)
}

pub(crate) fn skipped_early_data() {
    let most = Limits::default().skipped_early_data;
    // One that the server cannot open, of this length.
    let early = |len: usize| {
        let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
        Unit::raw(&[&[23, 3, 3, high, low][..], &vec![7; len]].concat())
    };
    // Just as many as may be; headers count.
    let record = 16_384;
    let mut whole = vec![early(record); most / (5 + record)];
    let rest = most - whole.len() * (5 + record);
    whole.extend(rest.checked_sub(5).map(early));
    // With the server's own key already there, and before it has one.
    for configs in [simple(), retry()] {
        let configs = with_early_data(configs);
        let say = |more: Vec<Unit>| {
            let mut duel = Duel::new(Client, configs.clone());
            let mut first = true;
            duel.run(|unit| match std::mem::take(&mut first) {
                true => [vec![unit], whole.clone(), more.clone()].concat(),
                false => Vec::new(), // what the honest client says would come behind it
            });
            duel
        };
        say(Vec::new()).assert_content();
        say(vec![early(0)]).assert_refused(Limit::SkippedEarlyData);
    }
    // Empty records are not free.
    let mut duel = Duel::new(Client, with_early_data(simple()));
    let mut first = true;
    duel.run(|unit| match std::mem::take(&mut first) {
        true => [vec![unit], vec![early(0); most / 5 + 1]].concat(),
        false => Vec::new(),
    });
    duel.assert_refused(Limit::SkippedEarlyData);
}

pub(crate) fn change_cipher_specs() {
    let unit = Unit::plain(C::change_cipher_spec, &[1]);
    // The server's own is one of them; the client sends its own before its second flight.
    for (attacker, message) in [(Server, H::encrypted_extensions), (Client, H::finished)] {
        let change = |message: &Unit| [vec![unit.clone(); 32], vec![message.clone()]].concat();
        refuse_changed(attacker, simple(), message, change, Limit::ChangeCipherSpecs);

        let mut duel = Duel::new(attacker, simple());
        duel.run(|message| match message.is(H::finished) {
            true => [vec![unit.clone(); 31], vec![message]].concat(),
            false => vec![message],
        });
        duel.assert_content();
    }
}

pub(crate) fn warnings() {
    for attacker in Role::BOTH {
        let canceled = [1, Alert::user_canceled.0];
        let unit = Unit::new(Epoch::Application(0), C::alert, &canceled);
        one_too_many(attacker, simple(), &unit, 4, Limit::Warnings);
        // Within the handshake they count, too.
        let first = match attacker {
            Client => H::client_hello,
            Server => H::server_hello,
        };
        let change = |_: &Unit| vec![Unit::plain(C::alert, &canceled); 5];
        refuse_changed(attacker, simple(), first, change, Limit::Warnings);
    }
}

pub(crate) fn chain_length() {
    for attacker in Role::BOTH {
        let edit = |message: &mut Vec<u8>| {
            let (context, mut entries) = certificate_parts(message);
            entries.resize(17, entries[0].clone());
            *message = certificate(&context, &entries);
        };
        refuse_edited(attacker, mutual(), H::certificate, edit, Limit::ChainLength);
        let mut limits = Limits::default();
        limits.chain_length = 1;
        let change = |unit: &Unit| vec![unit.clone()];
        refuse_changed(
            attacker,
            limited(attacker, limits),
            H::certificate,
            change,
            Limit::ChainLength,
        );
    }
}

pub(crate) fn key_updates() {
    for attacker in Role::BOTH {
        for request in [0, 1] {
            let mut duel = Duel::connected(attacker, simple());
            let mut generation = 0;
            let mut next = |kind: C, content: &[u8]| {
                let unit = Unit::new(Epoch::Application(generation), kind, content);
                generation += u64::from(kind == C::handshake);
                unit
            };
            // Data in between starts the count again.
            for _ in 0..2 {
                duel.inject((0..32).map(|_| next(C::handshake, &key_update(request))));
                duel.inject([next(C::application_data, b"data")]);
            }
            duel.inject((0..32).map(|_| next(C::handshake, &key_update(request))));
            duel.assert_content();
            duel.inject([next(C::handshake, &key_update(request))]);
            duel.assert_refused(Limit::KeyUpdates);
        }
    }
}

pub(crate) fn post_handshake() {
    let ticket = ticket(&[]);
    one_too_many(Server, simple(), &Unit::post(&ticket), 32, Limit::PostHandshake);
    // All in one record.
    let many = Unit::post(&ticket.repeat(33));
    one_too_many(Server, simple(), &many, 0, Limit::PostHandshake);
}
