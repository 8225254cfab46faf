//! Early data (RFC 9846 §2.3, §4.3.10, §8): when it is taken, when it is not, and that the client is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealwire::codepoints::{CipherSuiteId, ContentType, NamedGroup};
use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientAuth, Connection, EarlyData, Event, Limits, MemoryReplay, Read, ReplayStore,
    SessionStore, TicketKeys, Verifier,
};

use super::support::{Calls, Kind, Pair, Role, now, pki, seeded, server_name};
use super::{Field, World, at, copy, pair_at, resumed};

const DATA: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// Sends early data at one moment, which arrives at another: whether the server takes it. Whatever the server says, the
/// connection works, and the client is told.
fn try_early(world: &World, sent: i64, arrives: i64) -> bool {
    let mut pair = world.pair(sent);
    assert!(pair.client.conn.early_data_left().is_some(), "there is no session for early data");
    pair.client.call(|conn, out| conn.write_early(DATA, out)).unwrap();
    pair.now = at(arrives);
    finish(pair)
}

/// The same with what has been written already.
fn finish(pair: Pair) -> bool {
    let mut pair = pair.connect();
    let answers: Vec<bool> = pair.client.events.iter().filter_map(answer).collect();
    let taken = pair.server.early == DATA;
    assert_eq!(answers, [taken]);
    assert!(taken || pair.server.early.is_empty(), "half of the early data");
    let state = if taken { EarlyData::Accepted } else { EarlyData::Rejected };
    assert_eq!(pair.client.conn.summary().unwrap().early_data, state);
    let seen = pair.server.conn.summary().unwrap().early_data;
    assert_eq!(seen, state, "after a retry, too: it was offered, and it is over");
    assert_eq!(pair.client.conn.early_data_left(), None);
    if !taken {
        // What was not taken can be sent again, by who wants that.
        pair.transfer(Role::Client, DATA);
    }
    pair.chat();
    taken
}

fn answer(event: &Event) -> Option<bool> {
    match event {
        Event::EarlyDataAnswer { accepted } => Some(*accepted),
        _ => None,
    }
}

#[test]
fn pitfall_34_the_window_has_two_edges() {
    for (sent, arrives, fresh) in [
        (100, 100, true),
        (100, 109, true),
        (100, 110, true),
        (100, 111, false),
        (100, 200, false),
        (100, 91, true),
        (100, 90, true),
        (100, 89, false),
        (100, 0, false),
        (10, 0, true),
        (11, 0, false),
    ] {
        let world = World::early(400);
        assert!(!world.connect(0));
        assert_eq!(try_early(&world, sent, arrives), fresh, "{sent} s, {arrives} s");
        // The ticket itself was good.
        assert!(world.connect(arrives.max(sent)));
    }
}

/// The age that the client claims is what counts, and not when it came: it may say what it likes.
#[test]
fn pitfall_34_an_age_that_is_not_true() {
    for (change, fresh) in [
        (0_u32, true),
        (10_000, true),
        (10_001, false),
        (u32::MAX - 9_999, true),
        (u32::MAX - 10_000, false),
        (1 << 31, false),
    ] {
        let world = World::early(401);
        let session = world.session();
        let bytes = session.to_bytes().unwrap();
        let offset = Field::AgeAdd.offset(&bytes);
        let age_add = u32::from_be_bytes(bytes[offset..offset + 4].try_into().unwrap());
        let other = age_add.wrapping_add(change).to_be_bytes();
        world.sessions.put(Field::AgeAdd.set(&session, &other));
        assert_eq!(try_early(&world, 100, 100), fresh, "{change} ms");
    }
}

/// Everything that a client sends first, early data included.
fn first_flight(world: &World, seconds: i64) -> Vec<u8> {
    let mut pair = world.pair(seconds);
    pair.client.call(|conn, out| conn.write_early(DATA, out)).unwrap();
    pair.client.wire
}

/// A server that gets a recorded flight: what early data it takes.
fn replay(world: &World, flight: &[u8], now: UnixTime) -> Vec<u8> {
    let mut server = Connection::server(Arc::new(world.server.clone()));
    let (mut bytes, mut out, mut early, mut at) = (flight.to_vec(), Vec::new(), Vec::new(), 0);
    loop {
        match server.read(now, &mut bytes[at..], &mut out).unwrap() {
            Read::Control { used } => at += used,
            Read::EarlyData { used, data } => {
                early.extend_from_slice(data);
                at += used;
            }
            Read::NeedMore { .. } => return early,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pitfall_34_a_replay_is_never_taken() {
    let world = World::early(402);
    world.connect(0);
    let flight = first_flight(&world, 100);
    assert_eq!(replay(&world, &flight, at(100)), DATA);
    for seconds in [100, 101, 105, 110, 111, 120, 121, 130, 3600, 90, 85, 0] {
        assert!(replay(&world, &flight, at(seconds)).is_empty(), "{seconds} s");
    }
    // Early by the server's clock, and as late as can be.
    let flight = first_flight(&world, 1000);
    assert_eq!(replay(&world, &flight, at(990)), DATA);
    for seconds in 990..=1030 {
        assert!(replay(&world, &flight, at(seconds)).is_empty(), "{seconds} s");
    }
}

#[test]
fn pitfall_34_a_thousand_replays_race() {
    let world = World::early(403);
    world.connect(0);
    let flight = first_flight(&world, 100);
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..125 {
                    if replay(&world, &flight, at(100)) == DATA {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 1);
}

/// What changes in a flight that is not covered by the binder changes nothing: the binder is its name.
#[test]
fn pitfall_34_a_replay_in_other_records() {
    let world = World::early(404);
    world.connect(0);
    let flight = first_flight(&world, 100);
    assert_eq!(replay(&world, &flight, at(100)), DATA);
    // The ClientHello in two records.
    let len = usize::from(u16::from_be_bytes([flight[3], flight[4]]));
    let (hello, rest) = flight[5..].split_at(len);
    let mut other = Vec::new();
    for part in [&hello[..40], &hello[40..]] {
        other.extend([ContentType::handshake.0, 3, 1]);
        other.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        other.extend_from_slice(part);
    }
    other.extend_from_slice(rest);
    assert!(replay(&world, &other, at(100)).is_empty());
}

#[test]
fn pitfall_34_after_a_restart() {
    let world = World::early(405);
    world.connect(0);
    let restarted = |seconds: i64| {
        let store = Arc::new(MemoryReplay::new(100, at(seconds)));
        World { server: world.server.clone().with_early_data(store, 1000), ..world.clone() }
    };
    // What was taken before is not taken again, however soon the server is back.
    for back in 100..125 {
        let flight = first_flight(&world, 100);
        let server = restarted(back);
        for seconds in back..=back + 40 {
            let taken = replay(&server, &flight, at(seconds));
            assert!(taken.is_empty(), "back at {back} s, replayed at {seconds} s");
        }
        world.connect(0);
    }
    // Once warm, it takes what is new.
    let world = World { server: restarted(500).server, ..world };
    assert!(!try_early(&world, 500, 500) && !try_early(&world, 520, 520));
    assert!(try_early(&world, 540, 540));
}

#[derive(Debug)]
struct Shared(MemoryReplay);

impl ReplayStore for Shared {
    fn is_first(&self, flight: &[u8; 32], now: UnixTime) -> bool {
        self.0.is_first(flight, now)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Tickets that several servers can open, and a record of flights that only one of them has.
#[test]
fn pitfall_34_across_servers() {
    let world = World::early(406);
    let keys = TicketKeys::new(&seeded(1), now()).unwrap();
    let bytes = keys.export(now()).unwrap();
    let with = |store: Arc<dyn ReplayStore>| {
        let keys = TicketKeys::import(&seeded(2), &bytes).unwrap();
        let server = world.server.clone().with_tickets(Arc::new(keys)).with_early_data(store, 1000);
        World { server, ..world.clone() }
    };
    let alone = || with(Arc::new(MemoryReplay::new(100, at(-1000))));
    let (one, two) = (alone(), alone());
    one.connect(0);
    for world in [&one, &two] {
        assert!(!try_early(world, 1, 1), "early data without a record of all flights");
        assert!(world.connect(1));
    }
    // With one that they share there is early data, once for all of them.
    let store: Arc<dyn ReplayStore> = Arc::new(Shared(MemoryReplay::new(100, at(-1000))));
    let (one, two) = (with(store.clone()), with(store));
    let flight = first_flight(&one, 2);
    assert_eq!(replay(&one, &flight, at(2)), DATA);
    assert!(replay(&two, &flight, at(2)).is_empty());
    assert!(try_early(&two, 3, 3) && try_early(&one, 3, 3));
}

#[test]
fn a_store_that_is_full_takes_no_more() {
    let world = World::early(407);
    let store = Arc::new(MemoryReplay::new(2, at(-1000)));
    let world = World { server: world.server.clone().with_early_data(store, 1000), ..world };
    world.connect(0);
    let taken: Vec<bool> = [1, 1, 1, 5, 60, 60, 60].map(|s| try_early(&world, s, s)).to_vec();
    assert_eq!(taken, [true, true, false, false, true, true, false]);
}

#[test]
fn pitfall_34_other_parameters() {
    let protocols: [&[u8]; 2] = [b"h2", b"x"];
    let suite = CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256;
    let base = World::early(408);
    let base = World { client: base.client.clone().with_alpn(&protocols).unwrap(), ..base };
    let alpn = |list: &[&[u8]]| base.server.clone().with_alpn(list).unwrap();
    let auth = ClientAuth::Optional(Verifier::new(pki().anchors()));
    let same = alpn(&protocols);
    let servers = [
        (same.clone(), true, true),
        // Another protocol: it is not even resumed.
        (alpn(&protocols[1..]), false, false),
        (same.clone().with_client_auth(auth), false, false),
        // Another suite of the same hash; of another hash.
        (same.clone().with_suites(&[suite]).unwrap(), true, false),
        (same.clone().with_suites(&[CipherSuiteId::TLS_AES_256_GCM_SHA384]).unwrap(), false, false),
        // A retry.
        (same.clone().with_groups(&[NamedGroup::secp256r1]).unwrap(), true, false),
    ];
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
    for (i, (server, resumes, takes)) in servers.into_iter().enumerate() {
        let client = base.client.clone().with_groups(&groups).unwrap();
        let client = client
            .with_suites(&[
                CipherSuiteId::TLS_AES_128_GCM_SHA256,
                suite,
                CipherSuiteId::TLS_AES_256_GCM_SHA384,
            ])
            .unwrap();
        let client = client.with_key_shares(&groups[..1]).unwrap();
        let first = World { client, server: same.clone(), ..base.clone() };
        let _ = base.sessions.drain();
        assert!(!first.connect(0));
        let second = World { server, ..first };
        let plain = second.client.clone().with_early_data(false);
        assert_eq!(try_early(&second, 1, 1), takes, "{i}");
        // The other one of the first two, behind those that came meanwhile.
        let mut sessions = second.sessions.drain();
        second.sessions.put(sessions.remove(0));
        assert_eq!(World { client: plain, ..second }.connect(2), resumes, "{i}");
    }
}

/// RFC 9846 §4.3.10: it goes with the protocol of the session, so that a client that has another one does not send any.
#[test]
fn a_client_offers_what_fits() {
    let world = World::early(409);
    let alpn = |list: &[&[u8]]| world.client.clone().with_alpn(list).unwrap();
    let server = world.server.clone().with_alpn(&[b"h2", b"x"]).unwrap();
    let world = World { client: alpn(&[b"h2"]), server, ..world.clone() };
    let session = world.session();
    for (client, offers) in
        [(alpn(&[b"x"]), false), (alpn(&[]), false), (alpn(&[b"x", b"h2"]), true)]
    {
        let world = World { client, ..world.clone() };
        let _ = world.sessions.drain();
        world.sessions.put(copy(&session));
        assert_eq!(world.pair(1).client.conn.early_data_left().is_some(), offers);
    }
    // A server that takes none.
    let none = World::new(410);
    let none = World { client: none.client.clone().with_early_data(true), ..none };
    none.connect(0);
    assert_eq!(none.pair(1).client.conn.early_data_left(), None);
}

/// The client's limit is the ticket's; the server's may have changed since.
#[test]
fn pitfall_34_a_limit_that_has_changed() {
    for (max, takes) in [(1000, true), (5000, true), (999, false), (0, false)] {
        let world = World::early(411);
        world.connect(0);
        let store = Arc::new(MemoryReplay::new(100, at(-1000)));
        let server = world.server.clone().with_early_data(store, max);
        assert_eq!(try_early(&World { server, ..world }, 1, 1), takes, "{max}");
    }
}

/// Exactly as much as the ticket allows, in however many records, and under every transport.
#[test]
fn as_much_as_is_allowed() {
    Calls::each(|calls| {
        for sizes in [&[1000][..], &[1; 1000], &[999, 1], &[0, 1000, 0]] {
            let world = World::early(412);
            world.connect(0);
            let mut pair = calls.pair(world.client.clone(), world.server.clone());
            for size in sizes {
                let data = vec![b'e'; *size];
                pair.client.call(|conn, out| conn.write_early(&data, out)).unwrap();
            }
            assert_eq!(pair.client.conn.early_data_left(), Some(0));
            let mut pair = pair.connect();
            pair.chat();
            assert_eq!(pair.server.early, vec![b'e'; 1000]);
        }
    });
}

/// What is not taken is skipped, however large it is within the limit.
#[test]
fn rejected_early_data_is_skipped() {
    Calls::each(|calls| {
        for retry in [false, true] {
            let world = World::early(413);
            let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
            let client = world.client.clone().with_groups(&groups).unwrap();
            let client = client.with_key_shares(&groups[..1]).unwrap();
            let large = Arc::new(MemoryReplay::new(10, at(-1000)));
            let server = world.server.clone().with_early_data(large, 16_000);
            let mut world = World { client, server, ..world };
            world.connect(0);
            // It has forgotten its keys, or wants another group.
            world.server = match retry {
                true => world.server.with_groups(&groups[1..]).unwrap(),
                false => {
                    let keys = TicketKeys::new(&seeded(3), now()).unwrap();
                    world.server.with_tickets(Arc::new(keys))
                }
            };
            assert!(Limits::default().skipped_early_data > 16_000);
            let mut pair = calls.pair(world.client.clone(), world.server.clone());
            for _ in 0..16 {
                pair.client.call(|conn, out| conn.write_early(&[b'e'; 900], out)).unwrap();
            }
            let mut pair = pair.connect();
            assert!(pair.server.early.is_empty());
            assert_eq!(pair.client.events.iter().find_map(answer), Some(false));
            assert_eq!(resumed(&pair), retry);
            pair.chat();
        }
    });
}

/// RFC 9846 §2.3: a server that took early data can answer before the client has finished.
#[test]
fn half_rtt_data() {
    let world = World::early(414);
    world.connect(0);
    let mut pair = world.pair(1);
    pair.client.call(|conn, out| conn.write_early(DATA, out)).unwrap();
    assert!(pair.server.write(b"too soon").is_err());
    pair.deliver(Role::Client);
    assert_eq!(pair.server.early, DATA);
    assert!(!pair.server.conn.is_connected());
    pair.server.write(b"answer").unwrap();
    let mut pair = pair.connect();
    assert_eq!(pair.client.data, b"answer");
    pair.chat();
    // Without early data it has to wait.
    let plain = World { client: world.client.clone().with_early_data(false), ..world };
    let mut pair = plain.pair(2);
    pair.deliver(Role::Client);
    assert!(pair.server.write(b"answer").is_err());
    pair.connect().chat();
}

/// More of it can come while the handshake goes on, until the server has finished.
#[test]
fn early_data_after_the_first_flight() {
    let world = World::early(415);
    world.connect(0);
    let mut pair = world.pair(1);
    pair.client.call(|conn, out| conn.write_early(&DATA[..5], out)).unwrap();
    pair.deliver(Role::Client);
    assert_eq!(pair.server.early, DATA[..5]);
    pair.client.call(|conn, out| conn.write_early(&DATA[5..], out)).unwrap();
    assert!(finish(pair));
}

/// It is authenticated as the client that the session was with.
#[test]
fn early_data_of_a_client_with_a_certificate() {
    let world = World::early(416);
    let credential = pki().client(Kind::P256).credential(world.client.provider());
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    let client = world.client.clone().with_credentials(vec![credential]);
    let world = World { client, server: world.server.clone().with_client_auth(auth), ..world };
    world.connect(0);
    assert!(try_early(&world, 1, 1));
}

/// A first flight of which a byte is not as it was: its early data never comes through.
#[test]
fn a_flight_that_was_changed() {
    let world = World::early(417);
    world.connect(0);
    let flight = first_flight(&world, 1);
    let hello = 5 + usize::from(u16::from_be_bytes([flight[3], flight[4]]));
    for i in (hello + 6..flight.len()).filter(|i| *i >= flight.len() - DATA.len()) {
        let fresh = Arc::new(MemoryReplay::new(100, at(-1000)));
        let server = world.server.clone().with_early_data(fresh, 1000);
        let mut server = Connection::server(Arc::new(server));
        let (mut bytes, mut out, mut from) = (flight.clone(), Vec::new(), 0);
        bytes[i] ^= 1;
        let error = loop {
            match server.read(at(1), &mut bytes[from..], &mut out) {
                Ok(Read::Control { used }) => from += used,
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, sealwire::Error::BadRecordMac), "{error:?}");
    }
}

/// RFC 9846 §4.3.10: an external key says nothing of protocol, suite and limit, and early data does not go with it.
#[test]
fn pitfall_34_not_with_an_external_key() {
    let world = World::early(418);
    let psk = || Arc::new(sealwire::ExternalPsk::new(b"name", &[1; 32]).unwrap());
    let policy = sealwire::PskPolicy::Required;
    let client = world.client.clone().with_external_psks(vec![psk()], policy);
    let server = world.server.clone().with_external_psks(vec![psk()], policy);
    world.connect(0);
    let mut pair = pair_at(&client, &server, server_name(), at(1));
    assert_eq!(pair.client.conn.early_data_left(), None);
    pair = pair.connect();
    assert_eq!(pair.server.conn.summary().unwrap().early_data, EarlyData::NotOffered);
    pair.chat();
}
