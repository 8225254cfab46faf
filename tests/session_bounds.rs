//! Who may use which session, and how long: what clients and servers keep of each other (RFC 9846 §4.7.1).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sealwire::codepoints::Alert;
use sealwire::{
    Answer, Ask, ClientAuth, ClientConfig, Connection, Error, MemorySessions, MemoryTickets,
    Misuse, Question, Session, SessionStore, TicketKeys, Tickets, Verifier,
};
use support::session::Parts;
use support::{Calls, Kind, Pair, Role, configs, later, now, pki, seeded, server_name};

/// A clone that goes by its verifier has no use for sessions with servers that only the application accepted.
#[test]
fn pitfall_30_a_verdict_of_the_application_is_not_the_verifiers() {
    let (_, server) = configs(600);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let server = server.with_tickets(keys);
    let sessions = Arc::new(MemorySessions::default());
    let strict = ClientConfig::new(seeded(1), Verifier::new(pki().other_anchors())).unwrap();
    let strict = strict.with_sessions(sessions.clone());
    let lenient = strict.clone().with_ask(Ask { verdict: true, ..Ask::default() });
    let accept = |pair: &mut Pair| {
        pair.answerer = Box::new(|_, question| {
            assert!(matches!(question, Question::Verdict(_)));
            Some(Answer::Accept)
        });
    };
    let mut pair = Calls::PLAIN.pair(lenient.clone(), server.clone());
    accept(&mut pair);
    pair.connect();
    assert_eq!(sessions.len(), 2);
    Calls::PLAIN.pair(strict, server.clone()).refuse(Role::Client, Alert::unknown_ca);
    // The application's own session is resumed, and it is not asked again.
    let pair = Calls::PLAIN.pair(lenient, server).connect();
    assert!(pair.client.conn.summary().unwrap().resumed);

    // The same on the server's side.
    let (client, server) = configs(601);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let credential = pki().other_client.credential(client.provider());
    let client = client.with_credentials(vec![credential]);
    let client = client.with_sessions(Arc::new(MemorySessions::default()));
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    let strict = server.with_tickets(keys).with_client_auth(auth).with_authorities(false);
    let lenient = strict.clone().with_ask(Ask { verdict: true, ..Ask::default() });
    let mut pair = Calls::PLAIN.pair(client.clone(), lenient);
    accept(&mut pair);
    pair.connect();
    Calls::PLAIN.pair(client, strict).refuse(Role::Server, Alert::unknown_ca);
}

/// The client's certificates are what the server saw when the client last signed.
#[test]
fn pitfall_31_the_clients_identity_and_its_end() {
    for kept in [false, true] {
        let (client, server) = configs(602);
        let tickets: Arc<dyn Tickets> = match kept {
            true => Arc::new(MemoryTickets::new(server.provider(), 100, 1 << 20)),
            false => {
                let keys = TicketKeys::new(server.provider(), now()).unwrap();
                let (day, week) = (Duration::from_secs(86_400), Duration::from_secs(604_800));
                Arc::new(keys.with_rotation(day, week, now()).unwrap())
            }
        };
        let credential = pki().client(Kind::P256).credential(client.provider());
        let store = Arc::new(MemorySessions::default());
        let client = client.with_credentials(vec![credential]).with_sessions(store.clone());
        let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
        let server = server.with_client_auth(auth).with_tickets(tickets);
        let server = server.with_ticket_policy(2, 604_800).unwrap();
        Calls::PLAIN.pair(client.clone(), server.clone()).connect();
        // Resumed as often as one likes, it ends 7 days after the signature.
        for days in [1, 3, 5, 6] {
            let mut pair = at(&client, &server, days * 86_400).connect();
            pair.chat();
            let summary = pair.server.conn.summary().unwrap();
            assert!(summary.resumed, "{days} days");
            assert_eq!(summary.peer_chain, pki().client(Kind::P256).chain);
        }
        let left =
            Parts::of(&store.take(&client.session_key(&server_name()), later(6 * 86_400)).unwrap());
        assert_eq!(left.lifetime, 86_400);
        let pair = at(&client, &server, 7 * 86_400).connect();
        assert!(!pair.server.conn.summary().unwrap().resumed);
    }
}

/// A connection at another time.
fn at(client: &ClientConfig, server: &sealwire::ServerConfig, seconds: i64) -> Pair {
    let calls = Calls::PLAIN;
    let mut wire = Vec::new();
    let config = Arc::new(client.clone());
    let conn = Connection::client(config, server_name(), later(seconds), &mut wire).unwrap();
    let side = support::Side::new(conn, wire, calls.sink);
    let mut pair = Pair::of(side, calls.server(server.clone()), calls.transport);
    pair.now = later(seconds);
    pair
}

/// A session does not outlive the certificates that it rests on, on either side.
#[test]
fn pitfall_31_certificates_that_expire_end_the_session() {
    let (client, server) = configs(603);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let store = Arc::new(MemorySessions::default());
    let client = client.with_sessions(store.clone());
    Calls::PLAIN.pair(client.clone(), server.with_tickets(keys)).connect();
    let session = store.drain().remove(0);
    let with = |expiry: i64| {
        let chain_expiry = later(expiry).as_secs();
        Parts { chain_expiry, ..Parts::of(&session) }.build()
    };
    assert!(with(100).is_usable(later(100)) && !with(100).is_usable(later(101)));
    store.put(with(100));
    assert!(store.take(session.key(), later(101)).is_none());
    assert!(store.is_empty());
}

#[test]
fn pitfall_32_sessions_are_named_by_the_client_alone_and_used_once() {
    let (client, server) = configs(604);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let store = Arc::new(MemorySessions::default());
    let client = client.with_sessions(store.clone()).with_alpn(&[b"a", b"b"]).unwrap();
    let key = client.session_key(&server_name());
    // Whatever the server chooses, the name is the same.
    for alpn in [&b"a"[..], b"b"] {
        let server = server.clone().with_alpn(&[alpn]).unwrap().with_tickets(keys.clone());
        Calls::PLAIN.pair(client.clone(), server).connect();
    }
    let all = store.drain();
    // The second connection has used one up, for a protocol that the server did not choose again.
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|session| *session.key() == key));
    let mut tickets: Vec<Vec<u8>> = all.iter().map(|s| Parts::of(s).ticket).collect();
    tickets.sort();
    tickets.dedup();
    assert_eq!(tickets.len(), 3, "a ticket twice");
    // Newest first, and each once.
    let numbers: Vec<Vec<u8>> = all.iter().map(|s| Parts::of(s).ticket).collect();
    all.into_iter().for_each(|session| store.put(session));
    for ticket in numbers.iter().rev() {
        let taken = store.take(&key, now()).unwrap();
        assert_eq!(Parts::of(&taken).ticket, *ticket);
    }
    assert!(store.take(&key, now()).is_none());
    // Two configurations that differ in whom they trust or who they are have different names.
    let other = ClientConfig::new(seeded(1), Verifier::new(pki().other_anchors())).unwrap();
    let any = ClientConfig::new(seeded(1), Verifier::danger_accept_any()).unwrap();
    let credential = pki().client(Kind::P256).credential(client.provider());
    let somebody = client.clone().with_credentials(vec![credential]);
    let keys: Vec<_> = [&client, &other, &any, &somebody]
        .map(|c| *c.session_key(&server_name()).as_bytes())
        .into();
    for (i, one) in keys.iter().enumerate() {
        assert!(keys[i + 1..].iter().all(|other| other != one), "{i}");
    }
}

#[test]
fn pitfall_35_what_is_kept_is_bounded() {
    let key = *configs(605).0.session_key(&server_name()).as_bytes();
    let session = |i: u32, size: usize| {
        let key_bytes = [&i.to_be_bytes()[..], &key[4..]].concat().try_into().unwrap();
        let parts = Parts::new(&configs_key(), 0x1301, &[1; 32], &vec![7; size]);
        Parts { key: key_bytes, ..parts }.build()
    };
    let store = MemorySessions::new(10, 100_000);
    for i in 0..10_000 {
        store.put(session(i % 100, 100));
        assert!(store.len() <= 10);
    }
    // The last ten, oldest first.
    let left: Vec<[u8; 4]> =
        store.drain().iter().map(|s| s.key().as_bytes()[..4].try_into().unwrap()).collect();
    let expected: Vec<[u8; 4]> = (90..100_u32).map(u32::to_be_bytes).collect();
    assert_eq!(left, expected);
    // In bytes; and one that is too large by itself is not kept at all.
    for _ in 0..100 {
        store.put(session(1, 20_000));
        assert!(store.len() <= 4);
    }
    let small = MemorySessions::new(10, 1000);
    small.put(session(1, 20_000));
    assert!(small.is_empty());
    // Taken ones leave nothing behind.
    let store = MemorySessions::new(10, 100_000);
    for i in 0..10_000 {
        store.put(session(i, 100));
        let key = *session(i, 1).key();
        assert!(store.take(&key, now()).is_some() && store.is_empty());
    }

    let tickets = MemoryTickets::new(&seeded(3), 10, 1000);
    let mut issued = Vec::new();
    for i in 0..1000_u32 {
        issued.push(tickets.issue(&i.to_be_bytes(), now(), Duration::from_secs(60)).unwrap());
        assert!(tickets.len() <= 10);
    }
    let alive = issued.iter().filter(|ticket| tickets.redeem(ticket, now()).is_some()).count();
    assert_eq!(alive, 10);
    assert!(tickets.issue(&[0; 1001], now(), Duration::from_secs(60)).is_none());
    assert!(tickets.is_empty());
    // Once each, and not after their time.
    let ticket = tickets.issue(b"state", now(), Duration::from_secs(60)).unwrap();
    assert!(tickets.redeem(&ticket, later(59)).is_some());
    assert!(tickets.redeem(&ticket, later(0)).is_none());
    let ticket = tickets.issue(b"state", now(), Duration::from_secs(60)).unwrap();
    assert!(tickets.redeem(&ticket, later(60)).is_none());
}

fn configs_key() -> sealwire::SessionKey {
    configs(605).0.session_key(&server_name())
}

/// Keys of tickets: random, one a period, forgotten in time, and shared by those who export them.
#[test]
fn pitfall_27_keys_change_overlap_and_are_forgotten() {
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    let new = |seed| {
        TicketKeys::new(&seeded(seed), now()).unwrap().with_rotation(minute, hour, now()).unwrap()
    };
    let keys = new(1);
    let ticket = keys.issue(b"state", now(), hour).unwrap();
    let opened = |keys: &TicketKeys, seconds: i64| {
        keys.redeem(&ticket, later(seconds)).map(|redeemed| redeemed.state.to_vec())
    };
    for seconds in [0, 59, 60, 61, 1800, 3599] {
        assert_eq!(opened(&keys, seconds).as_deref(), Some(&b"state"[..]), "{seconds} s");
    }
    // Long after, the key is gone, and a clock that goes back does not bring it again.
    assert!(opened(&keys, 4000).is_none() && opened(&keys, 0).is_none());
    // Other keys, the same seed or not: random ones, never zero, never a default.
    assert!(opened(&new(2), 0).is_none());
    let exported = keys.export(later(4000)).unwrap();
    assert!(exported.windows(32).all(|window| window != [0; 32]));
    // Periods and overlaps that are none.
    for (period, overlap) in [(59, 0), (604_801, 0), (60, 604_801)] {
        let (period, overlap) = (Duration::from_secs(period), Duration::from_secs(overlap));
        let result = new(1).with_rotation(period, overlap, now());
        assert!(matches!(result, Err(Error::Misuse(Misuse::Config(_)))));
    }
}

#[test]
fn pitfall_27_servers_that_share_keys_derive_the_same_ones() {
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    let keys =
        TicketKeys::new(&seeded(1), now()).unwrap().with_rotation(minute, hour, now()).unwrap();
    let exported = keys.export(now()).unwrap();
    let import = || TicketKeys::import(&seeded(9), &exported).unwrap();
    let other = import();
    for seconds in [0, 30, 60, 600, 3600, 36_000, 360_000] {
        let ticket = keys.issue(b"state", later(seconds), hour).unwrap();
        let redeemed = other.redeem(&ticket, later(seconds)).expect("the same key");
        assert!(redeemed.shared && *redeemed.state == b"state");
        // One that was asleep all the time, and the other way round.
        assert!(import().redeem(&ticket, later(seconds)).is_some());
        let ticket = other.issue(b"state", later(seconds), hour).unwrap();
        assert!(keys.redeem(&ticket, later(seconds)).is_some());
    }
    // What has been forgotten cannot be derived again from what is there.
    let old = import().issue(b"state", now(), hour).unwrap();
    let late = TicketKeys::import(&seeded(9), &keys.export(later(720_000)).unwrap()).unwrap();
    assert!(late.redeem(&old, now()).is_none() && keys.redeem(&old, now()).is_none());
}

/// Ticket keys and sessions do not show their secrets.
#[test]
fn pitfall_26_debug_output_has_no_secret() {
    let (client, server) = configs(606);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let store = Arc::new(MemorySessions::default());
    let client = client.with_sessions(store.clone());
    let server = server.with_tickets(keys.clone());
    let pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    let session: Session = store.drain().remove(0);
    let parts = Parts::of(&session);
    let redeemed = keys.redeem(&parts.ticket, now()).unwrap();
    let exported = keys.export(now()).unwrap();
    let secret = exported[exported.len() - 32..].to_vec();
    let text = format!(
        "{session:?} {store:?} {keys:?} {redeemed:?} {client:?} {server:?} {:?} {:?}",
        pair.client.conn, pair.server.conn
    );
    for secret in [&parts.psk, &secret, &parts.ticket] {
        let hex: String = secret[..8].iter().map(|b| format!("{b:02x}")).collect();
        let list = format!("{:?}", &secret[..4]);
        let list = list.trim_matches(['[', ']']);
        assert!(!text.contains(&hex) && !text.contains(list), "{text}");
    }
}

/// What is shared by configurations, and what happens to a configuration after its use (RFC 9846 §4.7.1).
#[test]
fn pitfall_50_configurations_that_are_cloned_after_use() {
    let (client, server) = configs(607);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let store = Arc::new(MemorySessions::default());
    let client = client.with_sessions(store.clone());
    let server = server.with_tickets(keys.clone());
    Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    // A clone that asks clients who they are does not take the tickets of the one that does not.
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    let strict = server.clone().with_client_auth(auth);
    Calls::PLAIN.pair(client.clone(), strict).refuse(Role::Server, Alert::certificate_required);
    // The original is what it was.
    let pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    assert!(pair.client.conn.summary().unwrap().resumed);
    // An earlier exporter there is not: nothing is exported before the handshake is complete, early data or not.
    let conn = Connection::server(Arc::new(server));
    assert!(conn.export(b"label", None, &mut [0; 8]).is_err());
}
