//! Output into slices of every size, from nothing up: a slice that is too small says how much is needed, nothing is lost,
//! and the bytes are those that a `Vec` gets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use sealwire::codepoints::{Alert, NamedGroup};
use sealwire::{
    Answer, Ask, ClientAuth, ClientConfig, Connection, Error, FixedOutput, ServerConfig, Verifier,
};
use support::{Calls, Kind, Pair, Role, Sink, Transport, configs_with, now, pki, server_name};

fn mutual() -> (ClientConfig, ServerConfig) {
    let (client, server) = configs_with(1, Kind::P256);
    let client = client.with_groups(&[NamedGroup::secp256r1, NamedGroup::x25519]).unwrap();
    let credential = pki().client(Kind::P256).credential(client.provider());
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    (client.with_credentials(vec![credential]), server.with_client_auth(auth))
}

fn pair((client, server): (ClientConfig, ServerConfig), sink: Sink) -> Pair {
    Calls { transport: Transport::Glued, sink }.pair(client, server)
}

/// A whole life: handshake, data each way, new keys, more data, both closes.
fn live(pair: Pair) -> (Vec<u8>, Vec<u8>) {
    let mut pair = pair.connect();
    pair.chat();
    pair.client.update_keys(true).unwrap();
    pair.chat();
    pair.server.update_keys(false).unwrap();
    pair.transfer(Role::Server, &[1; 600]);
    for role in Role::BOTH {
        pair.side(role).close().unwrap();
        pair.pump();
    }
    assert!(pair.client.closed && pair.server.closed);
    (pair.client.wire, pair.server.wire)
}

#[test]
fn every_size_gives_the_same_bytes() {
    let expected = live(pair(mutual(), Sink::Vec));
    // No call has more to say than one side has in all.
    let whole = expected.0.len().max(expected.1.len());
    let largest = whole.min(3000);
    for size in 0..=largest {
        let seen = live(pair(mutual(), Sink::Fixed(size)));
        assert!(seen == expected, "other bytes with slices of {size}");
    }
    assert!(live(pair(mutual(), Sink::Fixed(whole))) == expected);
    assert!(live(pair(mutual(), Sink::BytesMut)) == expected);
}

#[test]
fn a_client_keeps_its_hello_until_there_is_room() {
    let (config, _) = mutual();
    let mut expected = Vec::new();
    Connection::client(Arc::new(config), server_name(), now(), &mut expected).map(drop).unwrap();
    for size in 0..=expected.len() + 1 {
        let (config, _) = mutual();
        let mut buffer = vec![0; size];
        let mut out = FixedOutput::new(&mut buffer);
        let config = Arc::new(config);
        let mut conn = Connection::client(config, server_name(), now(), &mut out).unwrap();
        let filled = out.len();
        if size >= expected.len() {
            assert_eq!(buffer[..filled], expected);
            continue;
        }
        assert_eq!(filled, 0);
        // Whatever is called next asks for the room, and does nothing else.
        let too_small = |result: Result<(), Error>| {
            let need = expected.len();
            let right = matches!(result, Err(Error::OutputTooSmall { need: n }) if n == need);
            assert!(right, "{size}: {result:?}");
        };
        let mut out = FixedOutput::new(&mut buffer);
        too_small(conn.flush(&mut out));
        too_small(conn.read(now(), &mut [22, 3, 3, 0, 0], &mut out).map(drop));
        too_small(conn.close(&mut out));
        assert!(out.is_empty());
        let mut rest = Vec::new();
        conn.flush(&mut rest).unwrap();
        assert_eq!(rest, expected);
    }
}

#[test]
fn alerts_are_not_lost() {
    let fail = |sink| {
        let (client, server) = mutual();
        let client = client.with_credentials(Vec::new());
        let pair = pair((client, server), sink);
        let pair = pair.refuse(Role::Server, Alert::certificate_required);
        (pair.client.wire, pair.server.wire)
    };
    let expected = fail(Sink::Vec);
    for size in 0..64 {
        assert!(fail(Sink::Fixed(size)) == expected, "other bytes with slices of {size}");
    }
}

#[test]
fn answers_need_room_too() {
    let ask = Ask { client_hello: true, signature: true, verdict: true };
    let run = |sink| {
        let (client, server) = mutual();
        let mut pair = pair((client.with_ask(ask), server.with_ask(ask)), sink);
        pair.answerer = Box::new(|_, _| Some(Answer::UseConfig));
        live(pair)
    };
    let expected = run(Sink::Vec);
    for size in (0..2000).step_by(7) {
        assert!(run(Sink::Fixed(size)) == expected, "other bytes with slices of {size}");
    }
}

/// What a call says that it needs is needed: one byte less is too little.
#[test]
fn the_need_is_exact() {
    let mut pair = pair(mutual(), Sink::Vec).connect();
    let data = vec![3; 40_000];
    for round in 0..2 {
        let conn = &mut pair.client.conn;
        let mut need = 0;
        for _ in 0..3 {
            let mut buffer = vec![0; need];
            let mut out = FixedOutput::new(&mut buffer);
            match conn.write(&data, &mut out) {
                Ok(()) => {
                    assert_eq!(out.len(), need, "more was asked for than used");
                    pair.client.wire.extend_from_slice(&buffer);
                    break;
                }
                Err(Error::OutputTooSmall { need: more }) => {
                    assert!(out.is_empty());
                    assert_eq!(need, 0, "the need grew from {need} to {more}");
                    let mut less = vec![0; more - 1];
                    let again = conn.write(&data, &mut FixedOutput::new(&mut less));
                    assert!(matches!(again, Err(Error::OutputTooSmall { need }) if need == more));
                    need = more;
                }
                other => panic!("{other:?}"),
            }
        }
        pair.pump();
        assert_eq!(pair.server.data.len(), data.len() * (round + 1));
    }
    assert!(pair.server.data.iter().all(|b| *b == 3));
}
