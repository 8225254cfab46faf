//! Live migration: a connection is frozen into a blob and thawed from it, at many moments, and the peer never notices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "migration/refused.rs"]
mod refused;
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use sealwire::codepoints::CipherSuiteId;
use sealwire::{
    ClientConfig, Connection, Error, Event, MemorySessions, MigrationKey, Misuse, ServerConfig,
    Session, SessionStore, TicketKeys,
};
use support::{Calls, Pair, Rand, Role, Side, Sink, configs, now, seeded};

const KEY: [u8; 32] = [7; 32];

/// A pair with everything that travels: client and server certificates are not needed for it, tickets are.
struct World {
    pair: Pair,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    sessions: Arc<MemorySessions>,
    key: MigrationKey,
}

fn key() -> MigrationKey {
    // Its salts are drawn anew in every process; so are they here.
    MigrationKey::new(&seeded(0xfeed), &KEY).unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        Self::with(seed, |client, server| (client, server))
    }

    fn with(
        seed: u64,
        change: impl FnOnce(ClientConfig, ServerConfig) -> (ClientConfig, ServerConfig),
    ) -> Self {
        let (client, server) = configs(seed);
        let sessions = Arc::new(MemorySessions::default());
        let tickets = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
        let client = client.with_sessions(sessions.clone()).with_alpn(&[b"h2"]).unwrap();
        let server = server.with_tickets(tickets).with_alpn(&[b"h2"]).unwrap();
        let (client, server) = change(client, server);
        let pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
        let (client, server) = (Arc::new(client), Arc::new(server));
        Self { pair, client, server, sessions, key: key() }
    }

    fn freeze(&mut self, role: Role) -> Vec<u8> {
        let side = self.pair.side(role);
        side.conn.check_freeze().unwrap();
        let dead = Connection::server(self.server.clone());
        let conn = std::mem::replace(&mut self.pair.side(role).conn, dead);
        conn.freeze(&self.key).unwrap()
    }

    fn thaw(&self, role: Role, key: &MigrationKey, blob: &[u8]) -> Result<Connection, Error> {
        match role {
            Role::Client => Connection::thaw_client(&self.client, key, blob),
            Role::Server => Connection::thaw_server(&self.server, key, blob),
        }
    }

    /// To another process: the other key knows nothing but the bytes.
    fn migrate(&mut self, role: Role) {
        let blob = self.freeze(role);
        self.pair.side(role).conn = self.thaw(role, &key(), &blob).unwrap();
    }
}

fn misuse<T>(result: Result<T, Error>) -> Misuse {
    match result.map(drop) {
        Err(Error::Misuse(misuse)) => misuse,
        other => panic!("{other:?}"),
    }
}

#[test]
fn either_side_moves_and_the_peer_does_not_notice() {
    for suite in [
        CipherSuiteId::TLS_AES_128_GCM_SHA256,
        CipherSuiteId::TLS_AES_256_GCM_SHA384,
        CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
    ] {
        for role in Role::BOTH {
            let mut world = World::with(300, |c, s| (c.with_suites(&[suite]).unwrap(), s));
            world.migrate(role); // Right after the handshake.
            world.pair.chat();
            world.migrate(role);
            world.migrate(role.peer());
            world.pair.chat();
            // Keys change before and after.
            world.pair.side(role).update_keys(false).unwrap();
            world.pair.pump();
            world.migrate(role);
            world.pair.chat();
            world.pair.side(role.peer()).update_keys(true).unwrap();
            world.pair.chat();
            world.migrate(role.peer());
            world.pair.chat();
            world.pair.side(role).close().unwrap();
            world.pair.pump();
            assert!(world.pair.side(role.peer()).closed);
            world.migrate(role);
            world.migrate(role.peer());
            world.pair.side(role.peer()).write(b"half-closed").unwrap();
            world.pair.side(role.peer()).close().unwrap();
            world.pair.pump();
            assert!(world.pair.side(role).data.ends_with(b"half-closed"));
            assert!(world.pair.side(role).closed);
            world.pair.side(role).conn.read_eof().unwrap();
        }
    }
}

/// A key that is owed goes with the next data, one that is awaited is not asked for twice, and the generation counts on.
#[test]
fn key_updates_that_are_under_way_travel() {
    for role in Role::BOTH {
        let mut world = World::new(301);
        world.pair.side(role).update_keys(true).unwrap();
        world.pair.pump();
        world.migrate(role); // Awaits.
        world.migrate(role.peer()); // Owes.
        // Asked again, it does not ask again.
        world.pair.side(role).update_keys(true).unwrap();
        world.pair.pump();
        let requests = |side: &Side| {
            let asked = |e: &&Event| matches!(e, Event::PeerUpdatedKeys { requested: true });
            side.events.iter().filter(asked).count()
        };
        assert_eq!(requests(world.pair.side(role.peer())), 1);
        assert_eq!(world.pair.side(role).events.len(), world.pair.side(role).times_connected());
        world.pair.transfer(role.peer(), b"under the key that was owed");
        let updated = |e: &Event| matches!(e, Event::PeerUpdatedKeys { requested: false });
        assert!(world.pair.side(role).events.iter().any(updated));
        world.pair.chat();
    }
}

/// Half a record of input is the caller's, and what is left of a message in it is the connection's.
#[test]
fn half_a_record_and_half_a_message_travel() {
    for role in Role::BOTH {
        let mut world = World::new(302);
        world.pair.side(role.peer()).write(b"cut in the middle").unwrap();
        let peer = world.pair.side(role.peer());
        let record = peer.wire[peer.taken..].to_vec();
        peer.taken = peer.wire.len();
        for (number, byte) in record.iter().enumerate() {
            if number % 9 == 0 {
                world.migrate(role);
            }
            let side = world.pair.side(role);
            side.inbox.push(*byte);
            side.drain(now());
        }
        assert!(world.pair.side(role).data.ends_with(b"cut in the middle"));

        // Fragments of one byte: KeyUpdate is never cut by us, but tickets are.
        if role == Role::Server {
            continue;
        }
        let mut world = World::with(303, |c, s| (c, s.with_max_fragment(1).unwrap()));
        let before = world.sessions.len();
        world.pair.server.call(|conn, out| conn.send_ticket(now(), out)).unwrap();
        let records: Vec<Vec<u8>> =
            world.pair.server.records(world.pair.server.taken).iter().map(|r| r.to_vec()).collect();
        world.pair.server.taken = world.pair.server.wire.len();
        assert!(records.len() > 100);
        for (number, record) in records.iter().enumerate() {
            if number % 50 == 1 {
                world.migrate(Role::Client);
            }
            world.pair.client.inbox.extend_from_slice(record);
            world.pair.client.drain(now());
        }
        assert_eq!(world.sessions.len(), before + 1);
        world.pair.chat();
    }
}

/// Tickets go on, with nonces of their own, and sessions from them resume.
#[test]
fn tickets_go_on() {
    let mut world = World::new(304);
    world.migrate(Role::Client);
    world.migrate(Role::Server);
    let before = world.sessions.len();
    for moved in 1..=3 {
        world.pair.server.call(|conn, out| conn.send_ticket(now(), out)).unwrap();
        world.pair.pump();
        assert_eq!(world.sessions.len(), before + moved);
        world.migrate(Role::Server);
    }
    // Each has a key of its own: a nonce that came twice would give the same. It stands behind the session's name.
    let all = world.sessions.drain();
    let psk = |session: &Session| {
        let at = b"sealwire session".len() + 1 + 32 + 2;
        let bytes = session.to_bytes().unwrap();
        bytes[at + 1..at + 1 + usize::from(bytes[at])].to_vec()
    };
    let different: BTreeSet<Vec<u8>> = all.iter().map(psk).collect();
    assert_eq!(different.len(), before + 3);
    all.into_iter().for_each(|session| world.sessions.put(session));

    // The three newest came after the move: each opens a connection.
    for _ in 0..3 {
        let left = world.sessions.len();
        let mut pair = Calls::PLAIN.pair(
            (*world.client).clone(),
            (*world.server).clone().with_ticket_policy(0, 3600).unwrap(),
        );
        assert_eq!(world.sessions.len(), left - 1);
        pair.pump();
        assert!(pair.client.conn.summary().unwrap().resumed);
        assert!(pair.server.conn.summary().unwrap().resumed);
    }

    // Without a store, and without tickets, it goes on without.
    let mut world = World::new(305);
    let (client, server) = configs(305);
    (world.client, world.server) = (Arc::new(client), Arc::new(server));
    world.migrate(Role::Server);
    let none = world.pair.server.call(|conn, out| conn.send_ticket(now(), out));
    assert!(matches!(misuse(none), Misuse::NoTickets));
    world.migrate(Role::Client);
    world.pair.chat();
}

/// Moving does not give a peer more of what is limited.
#[test]
fn what_the_peer_has_cost_so_far_is_counted_on() {
    for role in Role::BOTH {
        for (empty, limit) in [(false, "KeyUpdates"), (true, "EmptyRecords")] {
            let mut world = World::new(320);
            world.pair.chat(); // Tickets count, until data comes.
            let mut sent = 0;
            while world.pair.side(role).error.is_none() {
                let peer = world.pair.side(role.peer());
                match empty {
                    false => peer.update_keys(false).unwrap(),
                    true => {
                        let mut record = [0; 22];
                        let len = peer.conn.seal(&mut record, 0).unwrap();
                        peer.wire.extend_from_slice(&record[..len]);
                    }
                }
                sent += 1;
                assert!(sent < 100, "no limit");
                world.pair.pump();
                if world.pair.side(role).error.is_none() && sent % 5 == 0 {
                    world.migrate(role);
                }
            }
            let error = format!("{:?}", world.pair.side(role).error);
            assert!(error.contains(limit), "{error}");
            assert_eq!(sent, 33);
        }
    }
}

#[test]
fn what_was_negotiated_and_exported_is_the_same() {
    for role in Role::BOTH {
        let mut world = World::new(306);
        let mut before = world.pair.side(role).conn.summary().cloned().unwrap();
        let exported = world.pair.side(role).export(b"EXPORTER-x", Some(b"y")).unwrap();
        world.migrate(role);
        let after = world.pair.side(role).conn.summary().cloned().unwrap();
        // All but the versions of handles, which are another process's by now and mean nothing here.
        assert_eq!(before.trust_version.is_some(), role == Role::Client);
        before.trust_version = None;
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
        assert_eq!(after.alpn.as_deref(), Some(&b"h2"[..]));
        assert!(after.server_name.is_some());
        assert_eq!(exported, world.pair.side(role).export(b"EXPORTER-x", Some(b"y")).unwrap());
        assert_eq!(
            exported,
            world.pair.side(role.peer()).export(b"EXPORTER-x", Some(b"y")).unwrap()
        );

        // Sequence numbers go on, and the keys are the same.
        world.pair.chat();
        let blob = world.freeze(role);
        let one = world.thaw(role, &key(), &blob).unwrap().into_traffic_keys().unwrap();
        world.pair.side(role).conn = world.thaw(role, &key(), &blob).unwrap();
        let theirs = std::mem::replace(
            &mut world.pair.side(role.peer()).conn,
            Connection::server(world.server.clone()),
        );
        let theirs = theirs.into_traffic_keys().unwrap();
        assert_eq!(one.sending.sequence, theirs.receiving.sequence);
        assert_eq!(one.receiving.sequence, theirs.sending.sequence);
        assert!(one.sending.sequence > 0 && one.receiving.sequence > 0);
        assert_eq!(one.sending.key.expose(), theirs.receiving.key.expose());
        assert_eq!(one.receiving.secret.expose(), theirs.sending.secret.expose());
    }
}

#[test]
fn it_comes_apart_after_the_move() {
    let mut world = World::new(307);
    world.pair.chat();
    let blob = world.freeze(Role::Client);
    let moved = world.thaw(Role::Client, &world.key, &blob).unwrap();
    let (mut sender, receiver) = moved.split().unwrap();
    assert_eq!(receiver.summary().alpn.as_deref(), Some(&b"h2"[..]));
    let mut out = Vec::new();
    sender.write(b"from a half", &mut out).unwrap();
    world.pair.server.inbox.extend_from_slice(&out);
    world.pair.server.drain(now());
    assert!(world.pair.server.data.ends_with(b"from a half"));
}

#[test]
fn events_that_were_not_polled_travel() {
    let (client, server) = configs(308);
    let (client, server) = (Arc::new(client), Arc::new(server));
    let mut out = Vec::new();
    let mut ours =
        Connection::client(client.clone(), support::server_name(), now(), &mut out).unwrap();
    let mut theirs = Side::new(Connection::server(server), Vec::new(), Sink::Vec);
    theirs.inbox = out;
    theirs.drain(now());
    let (mut out, mut input) = (Vec::new(), theirs.wire.clone());
    let mut at = 0;
    while let Ok(sealwire::Read::Control { used }) = ours.read(now(), &mut input[at..], &mut out) {
        at += used;
    }
    assert!(ours.is_connected());
    theirs.inbox = out;
    theirs.drain(now());
    let from = theirs.wire.len();
    theirs.update_keys(true).unwrap();
    theirs.close().unwrap();
    let mut input = theirs.wire[from..].to_vec();
    let mut at = 0;
    while let Ok(sealwire::Read::Control { used }) =
        ours.read(now(), &mut input[at..], &mut Vec::new())
    {
        at += used;
    }
    let blob = ours.freeze(&key()).unwrap();
    let mut ours = Connection::thaw_client(&client, &key(), &blob).unwrap();
    assert!(matches!(ours.poll_event(), Some(Event::Connected)));
    assert!(matches!(ours.poll_event(), Some(Event::PeerUpdatedKeys { requested: true })));
    assert!(matches!(ours.poll_event(), Some(Event::PeerClosed)));
    assert!(ours.poll_event().is_none());
    assert!(ours.is_peer_closed());
}

/// A provider without AES-256-GCM seals with ChaCha20-Poly1305, and one with both opens that.
#[test]
fn the_aead_is_named_in_the_blob() {
    let mut small = seeded(5);
    let chacha = CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256;
    let found = small.suite(chacha).unwrap();
    small.suites = Box::leak(vec![found].into_boxed_slice());
    let mut world = World::new(318);
    world.key = MigrationKey::new(&small, &KEY).unwrap();
    world.migrate(Role::Client);
    world.pair.chat();
    // The other way it cannot, and says so.
    world.key = key();
    let blob = world.freeze(Role::Client);
    let small = MigrationKey::new(&small, &KEY).unwrap();
    assert!(matches!(misuse(world.thaw(Role::Client, &small, &blob)), Misuse::Migration));
}

/// Random moments: data of random lengths, new keys, tickets, moves, bytes that are on the way, in random order.
#[test]
fn any_schedule() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut rand = Rand::new(seed);
        let mut world = World::with(400 + seed, |c, s| {
            (c.with_key_update_after(5), s.with_max_fragment(1000).unwrap())
        });
        let mut sent = [Vec::new(), Vec::new()];
        for _ in 0..60 {
            let role = Role::BOTH[rand.below(2)];
            match rand.below(8) {
                0 | 1 => {
                    let len = rand.below(3000);
                    let data = rand.bytes(len);
                    world.pair.side(role).write(&data).unwrap();
                    sent[usize::from(role == Role::Server)].extend(data);
                }
                2 => world.pair.side(role).update_keys(rand.below(2) == 0).unwrap(),
                3 => {
                    world.pair.server.call(|conn, out| conn.send_ticket(now(), out)).unwrap();
                }
                4 => {
                    world.pair.deliver(role);
                }
                5 => {
                    // A piece of what is on the way.
                    let side = world.pair.side(role);
                    let len = rand.below(side.wire.len() - side.taken + 1);
                    let piece = side.wire[side.taken..side.taken + len].to_vec();
                    side.taken += len;
                    let peer = world.pair.side(role.peer());
                    peer.inbox.extend(piece);
                    peer.drain(now());
                }
                _ => world.migrate(role),
            }
        }
        world.pair.pump();
        for role in Role::BOTH {
            assert!(world.pair.side(role).error.is_none(), "{:?}", world.pair.side(role).error);
        }
        assert!(world.pair.server.data == sent[0], "seed {seed}");
        assert!(world.pair.client.data == sent[1], "seed {seed}");
        world.pair.chat();
    }
}
