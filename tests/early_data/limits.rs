//! How much, and where early data ends (RFC 9846 §4.6, §4.7.1).

use std::sync::Arc;

use sealwire::codepoints::{Alert, HandshakeType};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::{EarlyData, Error, MemoryReplay, Misuse, SessionStore, Violation};

use super::support::{Calls, Role, later};
use super::{World, both_say, changed, told};

#[test]
fn as_much_as_the_ticket_says() {
    Calls::each(|calls| {
        let world = World::new(520);
        world.sessions.put(world.session());
        let mut pair = calls.pair(world.client.clone(), world.server.clone());
        assert_eq!(pair.client.conn.early_data_left(), Some(1000));
        for (len, left) in [(0, 1000), (400, 600), (599, 1), (1, 0), (0, 0)] {
            pair.client.call(|conn, out| conn.write_early(&vec![7; len], out)).unwrap();
            assert_eq!(pair.client.conn.early_data_left(), Some(left));
        }
        let more = pair.client.call(|conn, out| conn.write_early(b"x", out));
        assert!(matches!(more, Err(Error::Misuse(Misuse::EarlyDataTooLong))));
        let mut pair = pair.connect();
        assert_eq!(pair.server.early, [7; 1000]);
        assert!(pair.server.data.is_empty());
        assert_eq!(told(&pair), Some(true));
        both_say(&mut pair, EarlyData::Accepted);
        pair.chat();
        assert_eq!(pair.server.early.len(), 1000, "data after the handshake is no early data");
    });
}

#[test]
fn pitfall_34_more_than_the_ticket_says() {
    for (len, fits) in [(1000, true), (1001, false), (40_000, false)] {
        Calls::each(|calls| {
            let world = World::new(521);
            // A client that goes beyond what it was told.
            let session = changed(&world.session(), |parts| parts.max_early_data = 1 << 20);
            world.sessions.put(session);
            let mut pair = calls.pair(world.client.clone(), world.server.clone());
            pair.client.call(|conn, out| conn.write_early(&vec![1; len], out)).unwrap();
            if fits {
                assert_eq!(pair.connect().server.early.len(), len);
                return;
            }
            pair.pump();
            let error = pair.server.error.as_ref();
            let expected = Violation::TooMuchEarlyData;
            assert!(matches!(error, Some(Error::Violation(v)) if *v == expected), "{error:?}");
            assert_eq!(error.unwrap().alert(), Some(Alert::unexpected_message));
            assert!(pair.server.early.len() <= 1000);
        });
    }
}

/// What the ticket says is what counts, and a server that takes less now takes nothing, rather than the first half.
#[test]
fn a_bound_that_was_changed_since_the_ticket() {
    for (bound, taken) in [(999, false), (100, false), (1000, true), (5000, true)] {
        let world = World::new(522);
        world.sessions.put(world.session());
        let store = Arc::new(MemoryReplay::new(100, later(-100)));
        let server = world.server.clone().with_early_data(store, bound);
        let world = World { server, ..world };
        let mut pair = world.connect(Calls::PLAIN, &[7; 1000]);
        pair.chat();
        assert_eq!(told(&pair), Some(taken), "{bound}");
        assert_eq!(pair.server.early.len(), if taken { 1000 } else { 0 });
        assert!(pair.server.conn.summary().unwrap().resumed);
    }
    // Nor does a higher bound make more of an older ticket.
    let world = World::new(523);
    world.sessions.put(changed(&world.session(), |parts| parts.max_early_data = 5000));
    let store = Arc::new(MemoryReplay::new(100, later(-100)));
    let server = world.server.clone().with_early_data(store, 5000);
    let mut pair = Calls::PLAIN.pair(world.client, server);
    pair.client.call(|conn, out| conn.write_early(&[7; 1001], out)).unwrap();
    pair.refuse(Role::Server, Violation::TooMuchEarlyData.alert());
}

/// A client whose EndOfEarlyData becomes something else.
fn instead(world: &World, change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Error {
    world.sessions.put(world.session());
    let hook = MessageHook(Arc::new(move |kind, message| {
        if kind == HandshakeType::end_of_early_data {
            change(message);
        }
    }));
    let client = world.client.clone().with_message_hook(hook);
    let mut pair = Calls::PLAIN.pair(client, world.server.clone());
    pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
    pair.pump();
    assert!(!pair.server.conn.is_connected());
    assert_eq!(pair.server.early, b"early");
    pair.server.error.clone().expect("the server takes it")
}

#[test]
fn pitfall_34_end_of_early_data_missing_or_more_than_once() {
    // Nothing: the Finished that follows is under another key than the server expects.
    let error = instead(&World::new(524), Vec::clear);
    assert!(matches!(error, Error::BadRecordMac), "{error:?}");
    // Twice in one record: something stands behind the change of keys.
    let error = instead(&World::new(525), |message| message.extend([5, 0, 0, 0]));
    assert!(matches!(error, Error::Violation(Violation::KeyChangeMidRecord)), "{error:?}");
    // Another message in its place, and one with a body.
    let error = instead(&World::new(526), |message| *message = vec![24, 0, 0, 1, 0]);
    assert!(matches!(error, Error::UnexpectedMessage { state: "WAIT_EOED", .. }), "{error:?}");
    let error = instead(&World::new(527), |message| *message = vec![5, 0, 0, 1, 0]);
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    let finished = [&[20, 0, 0, 32][..], &[7; 32]].concat();
    let error = instead(&World::new(528), move |message| message.clone_from(&finished));
    assert!(matches!(error, Error::UnexpectedMessage { state: "WAIT_EOED", .. }), "{error:?}");
}

/// The early key is gone with EndOfEarlyData, and nothing that is sent under it later opens.
#[test]
fn pitfall_34_nothing_under_the_early_key_after_its_end() {
    let world = World::new(529);
    world.sessions.put(world.session());
    let mut pair = Calls::PLAIN.pair(world.client.clone(), world.server.clone());
    pair.client.call(|conn, out| conn.write_early(b"first", out)).unwrap();
    // One more record, which an attacker holds back.
    let from = pair.client.wire.len();
    pair.client.call(|conn, out| conn.write_early(b"second", out)).unwrap();
    pair.client.wire.truncate(from);
    // Until the server has answered and the client has finished; the server has not read that yet.
    assert!(pair.deliver(Role::Client));
    assert_eq!(pair.server.early, b"first");
    assert!(pair.deliver(Role::Server));
    let client = pair.client.records(from).iter().map(|record| record.to_vec()).collect::<Vec<_>>();
    assert_eq!(client.len(), 2, "EndOfEarlyData and Finished");
    // The number of the missing record was used, so that not even EndOfEarlyData opens.
    pair.pump();
    assert!(matches!(pair.server.error, Some(Error::BadRecordMac)));

    // In its place, everything in order, and then again.
    let world = World::new(530);
    world.sessions.put(world.session());
    let mut pair = Calls::PLAIN.pair(world.client, world.server);
    let from = pair.client.wire.len();
    pair.client.call(|conn, out| conn.write_early(b"first", out)).unwrap();
    let early = pair.client.wire[from..].to_vec();
    let mut pair = pair.connect();
    pair.server.inbox.extend(early);
    pair.server.drain(later(0));
    assert!(matches!(pair.server.error, Some(Error::BadRecordMac)));
    assert_eq!((&pair.server.early[..], &pair.server.data[..]), (&b"first"[..], &b""[..]));
}

/// A server may answer before it knows that the client is there (RFC 9846 §2.3).
#[test]
fn data_of_the_server_before_the_handshake_ends() {
    Calls::each(|calls| {
        let world = World::new(531);
        world.sessions.put(world.session());
        let mut pair = calls.pair(world.client.clone(), world.server.clone());
        pair.client.call(|conn, out| conn.write_early(b"question", out)).unwrap();
        let before = pair.server.write(b"answer");
        assert!(matches!(before, Err(Error::Misuse(Misuse::NotConnected))));
        while pair.server.early != b"question" {
            assert!(pair.deliver(Role::Client));
        }
        assert!(!pair.server.conn.is_connected());
        pair.server.write(b"answer").unwrap();
        // RFC 9846 §7.5: the exporter is there already. A server cannot update or ask before the handshake is complete.
        let exported = pair.server.export(b"label", None).unwrap();
        assert!(pair.server.update_keys(true).is_err());
        let ticket = pair.server.call(|conn, out| conn.send_ticket(later(0), out));
        assert!(matches!(ticket, Err(Error::Misuse(Misuse::NotConnected))));
        while pair.client.data != b"answer" {
            assert!(pair.deliver(Role::Server));
        }
        let mut pair = pair.connect();
        assert_eq!(pair.client.export(b"label", None).unwrap(), exported);
        assert_eq!(pair.server.export(b"label", None).unwrap(), exported);
        pair.transfer(Role::Server, b"more");
        pair.transfer(Role::Client, b"thanks");
        assert_eq!(pair.client.data, b"answermore");
        assert_eq!(
            (&pair.server.early[..], &pair.server.data[..]),
            (&b"question"[..], &b"thanks"[..])
        );
    });
}
