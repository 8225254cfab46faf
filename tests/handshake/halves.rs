//! A connection taken apart: into halves, or into its keys.

use sealwire::codepoints::Alert;
use sealwire::{Error, Event, FixedOutput, Misuse, Read, Receiver};

use super::SUITES;
use super::afterwards::updates;
use super::support::{Calls, Rand, Role, configs, now, records, server_name};

/// Hands `wire` to a receiving half; its data, and the last thing that it said.
fn receive(half: &mut Receiver, wire: &[u8], mut heed: impl FnMut(Event)) -> (Vec<u8>, bool) {
    let mut input = wire.to_vec();
    let mut rest = &mut input[..];
    let mut all = Vec::new();
    loop {
        let used = match half.read(now(), rest).unwrap() {
            Read::NeedMore { .. } => return (all, false),
            Read::Closed => return (all, true),
            Read::Control { used } => used,
            Read::Data { used, data } => {
                all.extend_from_slice(data);
                used
            }
            Read::EarlyData { .. } | Read::Waiting => panic!("a half is past the handshake"),
        };
        while let Some(event) = half.poll_event() {
            heed(event);
        }
        rest = &mut rest[used..];
    }
}

#[test]
fn halves_work_in_two_threads() {
    let (client, server) = configs(45);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    pair.chat();
    let (mut sender, mut receiver) = pair.client.conn.split().unwrap();
    assert_eq!(receiver.summary().server_name, Some(server_name()));
    let (mut ours, mut theirs) = ([0; 32], [0; 32]);
    receiver.export(b"EXPORTER-x", None, &mut ours).unwrap();
    pair.server.conn.export(b"EXPORTER-x", None, &mut theirs).unwrap();
    assert_eq!(ours, theirs);

    // The server asks for new keys, which one half sees and the other acts upon.
    let from = pair.server.wire.len();
    pair.server.update_keys(true).unwrap();
    pair.server.write(b"to the receiver").unwrap();
    let wire = pair.server.wire[from..].to_vec();
    let reader = std::thread::spawn(move || {
        let mut asked = Vec::new();
        let (data, _) = receive(&mut receiver, &wire, |event| match event {
            Event::PeerUpdatedKeys { requested } => asked.push(requested),
            other => panic!("{other:?}"),
        });
        (receiver, data, asked)
    });
    let mut wire = Vec::new();
    let data = Rand::new(45).bytes(100_000);
    let sent = data.clone();
    let writer = std::thread::spawn(move || {
        sender.write(&sent, &mut wire).unwrap();
        (sender, wire)
    });
    let (mut receiver, seen, asked) = reader.join().unwrap();
    assert_eq!((seen.as_slice(), asked.as_slice()), (&b"to the receiver"[..], &[true][..]));
    let (mut sender, mut wire) = writer.join().unwrap();

    // The sender answers with its next data, once.
    sender.on_peer_update(true);
    sender.write(b"with a new key", &mut wire).unwrap();
    sender.update_keys(false, &mut wire).unwrap();
    sender.write(b" and another", &mut wire).unwrap();
    sender.close(&mut wire).unwrap();
    let before = pair.server.data.len();
    pair.server.inbox.extend_from_slice(&wire);
    pair.server.drain(now());
    assert!(pair.server.data[before..] == [&data[..], b"with a new key and another"].concat());
    assert_eq!(updates(&pair.server.events), [false, false]);
    assert!(pair.server.closed);
    assert!(matches!(sender.write(b"x", &mut wire), Err(Error::Misuse(Misuse::Closed))));

    // And the other direction ends.
    assert!(matches!(receiver.read_eof(), Err(Error::Truncated)));
    let from = pair.server.wire.len();
    pair.server.write(b"bye").unwrap();
    pair.server.close().unwrap();
    let mut closed = 0;
    let wire = &pair.server.wire[from..];
    let (data, end) = receive(&mut receiver, wire, |event| match event {
        Event::PeerClosed => closed += 1,
        other => panic!("{other:?}"),
    });
    assert_eq!((data.as_slice(), end, closed), (&b"bye"[..], true, 1));
    receiver.read_eof().unwrap();
}

#[test]
fn a_half_that_fails_owes_an_alert() {
    let (client, server) = configs(46);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    let (mut sender, mut receiver) = pair.client.conn.split().unwrap();
    let from = pair.server.wire.len();
    pair.server.write(b"forged").unwrap();
    let mut wire = pair.server.wire[from..].to_vec();
    *wire.last_mut().unwrap() ^= 1;
    let error = receiver.read(now(), &mut wire).map(drop).unwrap_err();
    assert!(matches!(error, Error::BadRecordMac));
    assert!(matches!(receiver.read(now(), &mut [0; 5]).map(drop), Err(Error::BadRecordMac)));
    let mut out = Vec::new();
    sender.abort(&error, &mut out).unwrap();
    assert!(matches!(sender.write(b"x", &mut out), Err(Error::BadRecordMac)));
    assert_eq!(records(&out).len(), 1);
    pair.server.inbox.extend_from_slice(&out);
    pair.server.drain(now());
    assert!(matches!(pair.server.error, Some(Error::PeerAlert(Alert::bad_record_mac))));
}

#[test]
fn traffic_keys_are_those_of_the_wire() {
    for suite in SUITES {
        let (client, server) = configs(47);
        let provider = client.provider().clone();
        let mut pair = Calls::PLAIN.pair(client.with_suites(&[suite]).unwrap(), server).connect();
        pair.chat();
        pair.client.update_keys(false).unwrap();
        pair.transfer(Role::Client, b"under the second key");
        let ours = pair.client.conn.into_traffic_keys().unwrap();
        // What the server sends now, the keys open.
        let from = pair.server.wire.len();
        pair.server.write(b"for the keys").unwrap();
        let record = &pair.server.wire[from..];
        assert_eq!(ours.suite, suite);
        let mut nonce: [u8; 12] = ours.receiving.iv.expose().try_into().unwrap();
        let number = ours.receiving.sequence.to_be_bytes();
        nonce[4..].iter_mut().zip(number).for_each(|(n, s)| *n ^= s);
        let key = provider.suite(suite).unwrap().aead.key(ours.receiving.key.expose()).unwrap();
        let (header, body) = record.split_at(5);
        let mut body = body.to_vec();
        let len = key.open(nonce, header, &mut body).unwrap();
        assert_eq!(body[..len], *b"for the keys\x17");
        let theirs = pair.server.conn.into_traffic_keys().unwrap();
        assert_eq!(ours.sending.secret.expose(), theirs.receiving.secret.expose());
        assert_eq!(ours.sending.key.expose(), theirs.receiving.key.expose());
        assert_eq!(ours.sending.iv.expose(), theirs.receiving.iv.expose());
        // One record since the key was changed.
        assert_eq!((ours.sending.sequence, theirs.receiving.sequence), (1, 1));
        assert_eq!(theirs.sending.sequence, ours.receiving.sequence + 1);
        assert!(format!("{ours:?}").contains("key: Secret(..)"));
    }
}

#[test]
fn traffic_keys_are_not_given_away_too_early_or_too_late() {
    let connect = || {
        let (client, server) = configs(48);
        Calls::PLAIN.pair(client, server)
    };
    let early = connect().client.conn.into_traffic_keys().map(drop);
    assert!(matches!(early, Err(Error::Misuse(Misuse::NotConnected))), "{early:?}");
    let early = connect().client.conn.split().map(drop);
    assert!(matches!(early, Err(Error::Misuse(Misuse::NotConnected))), "{early:?}");

    // Output that is waiting, a key that is owed, half a message.
    let mut pair = connect().connect();
    let mut nowhere = [];
    pair.client.conn.update_keys(false, &mut FixedOutput::new(&mut nowhere)).unwrap();
    let busy = pair.client.conn.into_traffic_keys().map(drop);
    assert!(matches!(busy, Err(Error::Misuse(Misuse::Busy))), "{busy:?}");
    let mut pair = connect().connect();
    pair.client.update_keys(true).unwrap();
    pair.pump();
    let busy = pair.server.conn.into_traffic_keys().map(drop);
    assert!(matches!(busy, Err(Error::Misuse(Misuse::Busy))), "{busy:?}");

    let mut pair = connect().connect();
    pair.client.close().unwrap();
    pair.pump();
    for conn in [pair.client.conn, pair.server.conn] {
        let closed = conn.into_traffic_keys().map(drop);
        assert!(matches!(closed, Err(Error::Misuse(Misuse::Closed))), "{closed:?}");
    }
}
