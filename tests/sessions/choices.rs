//! What a server can have otherwise: tickets for any protocol, another window for early data; and what it is told.

use std::sync::Arc;

use sealwire::{EarlyData, MemoryReplay, SessionStore};

use super::support::Pair;
use super::{World, at, copy, resumed};

/// The summary's view of the clocks, and whether early data was taken.
fn skew(world: &World, sent: i64, arrives: i64) -> (Option<i64>, bool) {
    let mut pair = world.pair(sent);
    pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
    pair.now = at(arrives);
    let mut pair: Pair = pair.connect();
    pair.chat();
    let summary = pair.server.conn.summary().unwrap();
    let client = pair.client.conn.summary().unwrap();
    assert_eq!(client.ticket_age_skew, None, "a client does not know");
    (summary.ticket_age_skew, summary.early_data == EarlyData::Accepted)
}

/// RFC 9846 §8.3: how far off the ticket's age is, whether or not it is within the window.
#[test]
fn the_age_of_a_ticket_is_told() {
    for (sent, arrives, milliseconds, taken) in [
        (20, 20, 0, true),
        (20, 15, 5_000, true),
        (20, 25, -5_000, true),
        (100, 20, 80_000, false),
        (20, 100, -80_000, false),
    ] {
        let world = World::early(460);
        assert!(!world.connect(0));
        assert_eq!(skew(&world, sent, arrives), (Some(milliseconds), taken));
    }
}

/// A full handshake has no ticket.
#[test]
fn without_a_ticket_there_is_no_age() {
    let world = World::early(461);
    let mut pair = world.pair(0).connect();
    pair.chat();
    assert_eq!(pair.server.conn.summary().unwrap().ticket_age_skew, None);
}

/// RFC 9846 §8.3 leaves the width of the window to the server. A wider one remembers for longer.
#[test]
fn a_window_of_another_width() {
    for (seconds, sent, arrives, taken) in [
        (60, 100, 160, true),
        (60, 100, 161, false),
        (60, 100, 40, true),
        (60, 100, 39, false),
        (0, 100, 100, true),
        (0, 100, 101, false),
    ] {
        let world = World::early(462);
        let replay = Arc::new(MemoryReplay::new(10, at(-1000)).with_window(seconds));
        let server = world.server.clone().with_early_data(replay, 1000);
        let world = World { server, ..world };
        assert!(!world.connect(0));
        assert_eq!(skew(&world, sent, arrives).1, taken, "{seconds}: {sent}, {arrives}");
    }
    // Nothing is taken while a flight of before the start could still be fresh.
    let world = World::early(463);
    let replay = Arc::new(MemoryReplay::new(10, at(0)).with_window(60));
    let world = World { server: world.server.clone().with_early_data(replay, 1000), ..world };
    assert!(!world.connect(0));
    assert_eq!([skew(&world, 180, 180).1, skew(&world, 181, 181).1], [false, true]);
}

/// RFC 7301 §3.2: the protocol is chosen anew; RFC 9846 §4.3.10: early data stays with its own.
#[test]
fn tickets_for_any_protocol() {
    let world = World::early(464);
    let with = |ours: &[&[u8]], theirs: &[&[u8]]| {
        let server = world.server.clone().with_tickets_for_any_protocol(true);
        World {
            client: world.client.clone().with_alpn(ours).unwrap(),
            server: server.with_alpn(theirs).unwrap(),
            ..world.clone()
        }
    };
    let session = with(&[b"h2", b"x"], &[b"h2"]).session();
    for (ours, theirs, early) in [
        (&[&b"h2"[..], b"x"][..], &[&b"h2"[..]][..], true),
        (&[b"h2", b"x"], &[b"x"], false),
        (&[b"h2"], &[], false),
    ] {
        let world = with(ours, theirs);
        let _ = world.sessions.drain();
        world.sessions.put(copy(&session));
        let mut pair = world.pair(1);
        assert_eq!(pair.client.conn.early_alpn(), Some(&b"h2"[..]));
        pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
        let mut pair = pair.connect();
        pair.chat();
        assert!(resumed(&pair));
        let taken = pair.server.conn.summary().unwrap().early_data == EarlyData::Accepted;
        assert_eq!(taken, early);
        assert_eq!(pair.client.conn.summary().unwrap().alpn.as_deref(), theirs.first().copied());
    }
}

/// A session without a protocol: early data is in none, and a server that chooses one turns it down.
#[test]
fn early_data_without_a_protocol() {
    let world = World::early(465);
    let session = world.session();
    let client = world.client.clone().with_alpn(&[b"h2"]).unwrap();
    let any = world.server.clone().with_tickets_for_any_protocol(true);
    for (server, taken) in [(any.clone().with_alpn(&[b"h2"]).unwrap(), false), (any, true)] {
        let world = World { client: client.clone(), server, ..world.clone() };
        let _ = world.sessions.drain();
        world.sessions.put(copy(&session));
        let mut pair = world.pair(1);
        assert!(pair.client.conn.early_data_left().is_some());
        assert_eq!(pair.client.conn.early_alpn(), None);
        pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
        let mut pair = pair.connect();
        pair.chat();
        let summary = pair.server.conn.summary().unwrap();
        assert_eq!(summary.early_data == EarlyData::Accepted, taken);
    }
}
