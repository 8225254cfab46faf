//! Early data (RFC 9846 §2.3, §4.3.10, §4.6, §8): who takes it, how often, how much, and what becomes of the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "early_data/guarantee.rs"]
mod guarantee;
#[path = "early_data/limits.rs"]
mod limits;
#[path = "early_data/rejected.rs"]
mod rejected;
mod support;

use std::sync::Arc;

use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientConfig, Connection, EarlyData, Event, MemoryReplay, MemorySessions, Read, ReplayStore,
    ServerConfig, Session, SessionStore, TicketKeys,
};
use support::session::Parts;
use support::{Calls, Pair, Role, configs, later, server_name};

/// A client that has sessions with a server that takes early data.
#[derive(Clone)]
struct World {
    client: ClientConfig,
    server: ServerConfig,
    sessions: Arc<MemorySessions>,
}

/// How much early data the servers take.
const MAX: u32 = 1000;

impl World {
    fn new(seed: u64) -> Self {
        let (client, server) = configs(seed);
        let sessions = Arc::new(MemorySessions::default());
        let aes = [CipherSuiteId::TLS_AES_128_GCM_SHA256];
        let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
        let client = client.with_sessions(sessions.clone()).with_early_data(true);
        let client = client.with_suites(&aes).unwrap().with_groups(&groups).unwrap();
        let tickets = Arc::new(TicketKeys::new(server.provider(), later(0)).unwrap());
        let server = server.with_groups(&groups).unwrap().with_tickets(tickets);
        Self { client, server, sessions }.with_store(Arc::new(MemoryReplay::new(100, later(-100))))
    }

    fn with_store(self, store: Arc<dyn ReplayStore>) -> Self {
        Self { server: self.server.with_early_data(store, MAX), ..self }
    }

    /// One session from a full handshake at the beginning.
    fn session(&self) -> Session {
        let _ = self.sessions.drain();
        let pair = Calls::PLAIN.pair(self.client.clone(), self.server.clone()).connect();
        assert!(!pair.client.conn.summary().unwrap().resumed);
        self.sessions.drain().pop().unwrap()
    }

    /// The first flight with `session`, and early data.
    fn first_flight(&self, session: Session, seconds: i64, data: &[u8]) -> Vec<u8> {
        let _ = self.sessions.drain();
        self.sessions.put(session);
        let mut wire = Vec::new();
        let config = Arc::new(self.client.clone());
        let client = Connection::client(config, server_name(), later(seconds), &mut wire);
        client.unwrap().write_early(data, &mut wire).unwrap();
        wire
    }

    /// A whole connection at a time, with `data` sent early if that is possible.
    fn connect(&self, calls: Calls, data: &[u8]) -> Pair {
        let mut pair = calls.pair(self.client.clone(), self.server.clone());
        if pair.client.conn.early_data_left().is_some() {
            pair.client.call(|conn, out| conn.write_early(data, out)).unwrap();
        }
        pair.connect()
    }
}

fn copy(session: &Session) -> Session {
    Session::from_bytes(&session.to_bytes().unwrap()).unwrap()
}

/// Another copy of it, changed.
fn changed(session: &Session, change: impl FnOnce(&mut Parts)) -> Session {
    let mut parts = Parts::of(session);
    change(&mut parts);
    parts.build()
}

/// Hands a server a first flight: how much early data it takes. Whatever comes after that is left out.
fn replay(server: &ServerConfig, flight: &[u8], now: UnixTime) -> usize {
    let mut conn = Connection::server(Arc::new(server.clone()));
    let (mut input, mut at, mut taken) = (flight.to_vec(), 0, 0);
    loop {
        match conn.read(now, &mut input[at..], &mut Vec::new()).unwrap() {
            Read::Control { used } => at += used,
            Read::EarlyData { used, data } => {
                taken += data.len();
                at += used;
            }
            Read::NeedMore { .. } => return taken,
            other => panic!("{other:?}"),
        }
    }
}

/// What the client was told about its early data.
fn told(pair: &Pair) -> Option<bool> {
    let mut answers = pair.client.events.iter().filter_map(|event| match event {
        Event::EarlyDataAnswer { accepted } => Some(*accepted),
        _ => None,
    });
    let answer = answers.next();
    assert!(answers.next().is_none(), "told twice");
    answer
}

/// Both ends see it so, also after a retry, whose second ClientHello offers none.
fn both_say(pair: &mut Pair, expected: EarlyData) {
    for role in Role::BOTH {
        let summary = pair.side(role).conn.summary().unwrap();
        assert_eq!(summary.early_data, expected, "{role:?}");
    }
}
