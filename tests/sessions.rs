//! Resumption, tickets, external keys and early data (RFC 9846 §2.2, §2.3, §4.3.9 to §4.3.11, §4.7.1, §8).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "sessions/bounds.rs"]
mod bounds;
#[path = "sessions/choices.rs"]
mod choices;
#[path = "sessions/early.rs"]
mod early;
#[path = "sessions/external.rs"]
mod external;
#[path = "sessions/mutual.rs"]
mod mutual;
#[path = "sessions/questions.rs"]
mod questions;
#[path = "sessions/replay.rs"]
mod replay;
#[path = "sessions/stored.rs"]
mod stored;
mod support;
#[path = "sessions/ticket_keys.rs"]
mod ticket_keys;
#[path = "sessions/wrong_tickets.rs"]
mod wrong_tickets;

use std::sync::Arc;
use std::time::Duration;

use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{
    ClientConfig, Connection, EarlyData, MemoryReplay, MemorySessions, ServerConfig, Session,
    SessionStore, TicketKeys,
};
use support::{Calls, Pair, Role, Side, Sink, configs, now, server_name};

/// So many seconds after (or before) the moment at which every test begins.
fn at(seconds: i64) -> UnixTime {
    let then = now().as_secs().checked_add_signed(seconds).unwrap();
    UnixTime::since_unix_epoch(Duration::from_secs(then))
}

/// A client and a server that resume, and what the client keeps.
#[derive(Clone)]
struct World {
    client: ClientConfig,
    server: ServerConfig,
    sessions: Arc<MemorySessions>,
}

impl World {
    /// With one group that costs little.
    fn new(seed: u64) -> Self {
        let (client, server) = configs(seed);
        let groups = [NamedGroup::x25519];
        let world = Self::of(client, server.with_groups(&groups).unwrap());
        Self { client: world.client.with_groups(&groups).unwrap(), ..world }
    }

    fn of(client: ClientConfig, server: ServerConfig) -> Self {
        let sessions = Arc::new(MemorySessions::default());
        let keys = TicketKeys::new(server.provider(), now()).unwrap();
        Self {
            client: client.with_sessions(sessions.clone()),
            server: server.with_tickets(Arc::new(keys)),
            sessions,
        }
    }

    /// The same with up to 1,000 bytes of early data.
    fn early(seed: u64) -> Self {
        let Self { client, server, sessions } = Self::new(seed);
        let replay = Arc::new(MemoryReplay::new(100, at(-1000)));
        let server = server.with_early_data(replay, 1000);
        Self { client: client.with_early_data(true), server, sessions }
    }

    fn pair(&self, seconds: i64) -> Pair {
        pair_at(&self.client, &self.server, server_name(), at(seconds))
    }

    /// Connects and talks: whether it was resumed.
    fn connect(&self, seconds: i64) -> bool {
        let mut pair = self.pair(seconds).connect();
        pair.chat();
        resumed(&pair)
    }

    /// A first connection, and one session of it.
    fn session(&self) -> Session {
        assert!(!self.connect(0), "there is something to resume already");
        let mut all = self.sessions.drain();
        all.remove(0)
    }

    /// Offers `session` at a time: whether it is resumed. Either way the connection works.
    fn offer(&self, session: Session, seconds: i64) -> bool {
        let _ = self.sessions.drain();
        self.sessions.put(session);
        let resumed = self.connect(seconds);
        // It was offered: whatever is there now came on this connection.
        assert_eq!(self.sessions.len(), 2);
        resumed
    }
}

/// A client that begins at `then`, and a server.
fn pair_at(
    client: &ClientConfig,
    server: &ServerConfig,
    name: ServerName<'static>,
    then: UnixTime,
) -> Pair {
    let mut wire = Vec::new();
    let conn = Connection::client(Arc::new(client.clone()), name, then, &mut wire).unwrap();
    let client = Side::new(conn, wire, Sink::Vec);
    let server = Calls::PLAIN.server(server.clone());
    let mut pair = Pair::of(client, server, support::Transport::Glued);
    pair.now = then;
    pair
}

/// Whether it was, as both say.
fn resumed(pair: &Pair) -> bool {
    let [client, server] = [&pair.client, &pair.server].map(|side| side.conn.summary().unwrap());
    assert_eq!(client.resumed, server.resumed);
    assert_eq!(client.peer_scheme.is_none(), client.resumed, "no signature and no resumption");
    client.resumed
}

/// The same session, with a number in it changed behind the library's back.
#[derive(Clone, Copy)]
enum Field {
    Key,
    Ticket,
    Lifetime,
    AgeAdd,
    Received,
}

impl Field {
    /// Where it begins in a serialised session.
    fn offset(self, bytes: &[u8]) -> usize {
        let secret = 17 + 32 + 2;
        let ticket = secret + 1 + usize::from(bytes[secret]);
        let lifetime =
            ticket + 2 + usize::from(u16::from_be_bytes([bytes[ticket], bytes[ticket + 1]]));
        match self {
            Self::Key => 17,
            Self::Ticket => ticket + 2,
            Self::Lifetime => lifetime,
            Self::AgeAdd => lifetime + 4,
            Self::Received => lifetime + 8,
        }
    }

    fn set(self, session: &Session, value: &[u8]) -> Session {
        let mut bytes = session.to_bytes().unwrap().to_vec();
        let at = self.offset(&bytes);
        bytes[at..at + value.len()].copy_from_slice(value);
        Session::from_bytes(&bytes).unwrap()
    }
}

/// The ticket of a session, as it is on the wire.
fn ticket(session: &Session) -> Vec<u8> {
    let bytes = session.to_bytes().unwrap();
    bytes[Field::Ticket.offset(&bytes)..Field::Lifetime.offset(&bytes)].to_vec()
}

/// The same session with another ticket.
fn with_ticket(session: &Session, ticket: &[u8]) -> Session {
    let bytes = session.to_bytes().unwrap();
    let (start, end) = (Field::Ticket.offset(&bytes), Field::Lifetime.offset(&bytes));
    let len = u16::try_from(ticket.len()).unwrap().to_be_bytes();
    Session::from_bytes(&[&bytes[..start - 2], &len, ticket, &bytes[end..]].concat()).unwrap()
}

fn copy(session: &Session) -> Session {
    Session::from_bytes(&session.to_bytes().unwrap()).unwrap()
}

#[test]
fn a_session_is_resumed_under_every_transport() {
    Calls::each(|calls| {
        let world = World::early(300);
        let mut pair = calls.pair(world.client.clone(), world.server.clone()).connect();
        pair.chat();
        assert!(!resumed(&pair));
        assert_eq!(world.sessions.len(), 2);
        for left in [3, 4] {
            // One is used, and two come.
            let mut pair = calls.pair(world.client.clone(), world.server.clone());
            assert_eq!(pair.client.conn.early_data_left(), Some(1000));
            pair.client.call(|conn, out| conn.write_early(b"early bird", out)).unwrap();
            let mut pair = pair.connect();
            pair.chat();
            assert!(resumed(&pair));
            for role in Role::BOTH {
                let summary = pair.side(role).conn.summary().unwrap();
                assert_eq!(summary.early_data, EarlyData::Accepted);
            }
            assert_eq!(pair.server.early, b"early bird");
            assert_eq!(world.sessions.len(), left);
        }
    });
}

#[test]
fn every_suite_and_a_retry() {
    let suites = [
        CipherSuiteId::TLS_AES_128_GCM_SHA256,
        CipherSuiteId::TLS_AES_256_GCM_SHA384,
        CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
    ];
    for suite in suites {
        for retry in [false, true] {
            let world = World::new(301);
            let world = World { server: world.server.with_suites(&[suite]).unwrap(), ..world };
            assert!(!world.connect(0));
            let mut client = world.client.clone();
            if retry {
                client = client.with_key_shares(&[]).unwrap();
            }
            let mut pair = World { client, ..world }.pair(1).connect();
            pair.chat();
            assert!(resumed(&pair));
            let summary = pair.server.conn.summary().unwrap();
            assert_eq!((summary.suite, summary.retried), (suite, retry));
        }
    }
}

/// RFC 9846 §4.3.11: a suite with the same hash will do, one with another hash will not.
#[test]
fn a_suite_of_the_same_hash_resumes() {
    let world = World::new(302);
    let with = |suite| World {
        server: world.server.clone().with_suites(&[suite]).unwrap(),
        ..world.clone()
    };
    assert!(!with(CipherSuiteId::TLS_AES_128_GCM_SHA256).connect(0));
    assert!(!with(CipherSuiteId::TLS_AES_256_GCM_SHA384).connect(1));
    let _ = world.sessions.drain();
    assert!(!with(CipherSuiteId::TLS_AES_128_GCM_SHA256).connect(0));
    assert!(with(CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256).connect(1));
}

/// RFC 9846 §2.2 and Appendix C.4: a new key exchange, and a new secret, each time.
#[test]
fn resumption_has_its_own_secrets() {
    let world = World::new(303);
    let exports: Vec<_> = (0..3)
        .map(|i| world.pair(i).connect().client.export(b"EXPORTER-x", None).unwrap())
        .collect();
    assert!(exports[0] != exports[1] && exports[1] != exports[2]);
}

#[test]
fn pitfall_32_a_ticket_is_used_once_by_the_client() {
    let world = World::new(304);
    let world = World { client: world.client.with_ticket_request(3, 0), ..world };
    assert!(!world.connect(0));
    assert_eq!(world.sessions.len(), 3);
    for left in [2, 1, 0] {
        assert!(world.connect(1));
        assert_eq!(world.sessions.len(), left);
    }
    assert!(!world.connect(1));
}

/// RFC 9149 §3: the client says how many, up to a bound.
#[test]
fn a_client_asks_for_tickets() {
    for (new, again) in [(0, 0), (1, 0), (0, 1), (2, 1), (5, 3), (8, 8), (9, 255), (255, 9)] {
        let world = World::new(305);
        let first = World { client: world.client.clone().with_ticket_request(new, again), ..world };
        assert!(!first.connect(0));
        assert_eq!(first.sessions.len(), usize::from(new.min(8)));
        if new == 0 {
            continue;
        }
        assert!(first.connect(1));
        assert_eq!(first.sessions.len(), usize::from(new.min(8) - 1 + again.min(8)));
    }
    // A server that gives none gives none; one that gives more than the bound gives as many to who asks.
    for (count, got) in [(0, 0), (1, 8), (16, 16)] {
        let world = World::new(306);
        let server = world.server.clone().with_ticket_policy(count, 100).unwrap();
        let client = world.client.clone().with_ticket_request(255, 255);
        assert!(!World { client, server, ..world.clone() }.connect(0));
        assert_eq!(world.sessions.len(), got);
    }
}

#[test]
fn send_ticket_sends_one_more() {
    Calls::each(|calls| {
        let world = World::new(307);
        let server = world.server.clone().with_ticket_policy(0, 3600).unwrap();
        let mut pair = calls.pair(world.client.clone(), server.clone()).connect();
        pair.chat();
        assert_eq!(world.sessions.len(), 0);
        for count in 1..=3 {
            let now = pair.now;
            pair.server.call(|conn, out| conn.send_ticket(now, out)).unwrap();
            pair.pump();
            assert_eq!(world.sessions.len(), count);
        }
        pair.chat();
        for _ in 0..3 {
            let mut pair = calls.pair(world.client.clone(), server.clone()).connect();
            pair.chat();
            assert!(resumed(&pair));
        }
        assert_eq!(world.sessions.len(), 0);
        // Not on a side that is closed.
        pair.server.close().unwrap();
        let now = pair.now;
        let result = pair.server.call(|conn, out| conn.send_ticket(now, out));
        assert!(matches!(result, Err(sealwire::Error::Misuse(sealwire::Misuse::Closed))));
    });
}

/// Each ticket has a nonce, and so a key, of its own (RFC 9846 §4.7.1).
#[test]
fn tickets_of_one_connection_differ() {
    let world = World::new(308);
    let world = World { client: world.client.with_ticket_request(8, 8), ..world };
    world.connect(0);
    let sessions: Vec<_> = world.sessions.drain().iter().map(|s| s.to_bytes().unwrap()).collect();
    let secret = |bytes: &[u8]| bytes[52..52 + usize::from(bytes[51])].to_vec();
    let secrets: std::collections::BTreeSet<_> = sessions.iter().map(|b| secret(b)).collect();
    assert_eq!(secrets.len(), 8);
    // The age is hidden by a number of its own in each.
    let ages = sessions.iter().map(|b| b[Field::AgeAdd.offset(b)..][..4].to_vec());
    assert_eq!(ages.collect::<std::collections::BTreeSet<_>>().len(), 8);
}

/// A client that keeps no sessions says so, and gets no tickets; a server that gives none is offered nothing.
#[test]
fn one_side_alone_resumes_nothing() {
    let world = World::new(309);
    let (client, server) = configs(309);
    for (client, server) in [(world.client.clone(), server), (client, world.server.clone())] {
        for _ in 0..2 {
            assert!(
                !World { client: client.clone(), server: server.clone(), ..world.clone() }
                    .connect(0)
            );
        }
        assert_eq!(world.sessions.len(), 0);
    }
}

/// The store may hand out what it likes: a session of another name, trust or time is not offered.
#[test]
fn pitfall_32_a_store_cannot_mix_sessions_up() {
    #[derive(Debug)]
    struct Mixed(std::sync::Mutex<Option<Session>>);
    impl SessionStore for Mixed {
        fn put(&self, _: Session) {}
        fn take(&self, _: &sealwire::SessionKey, _: UnixTime) -> Option<Session> {
            self.0.lock().unwrap().take()
        }
    }
    let world = World::new(310);
    let session = world.session();
    let key = *session.key().as_bytes();
    let connect = |session, seconds| {
        let client = world.client.clone().with_sessions(Arc::new(Mixed(Some(session).into())));
        let mut pair = pair_at(&client, &world.server, server_name(), at(seconds)).connect();
        pair.chat();
        resumed(&pair)
    };
    assert!(connect(copy(&session), 10));
    let mut other = key;
    other[0] ^= 1;
    assert!(!connect(Field::Key.set(&session, &other), 10));
    assert!(!connect(copy(&session), 86_400));
    assert!(!connect(copy(&session), -1));
}
