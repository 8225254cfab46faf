//! Sessions outside of a connection: their form, and what keeps them.

use std::sync::Arc;

use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientConfig, MemorySessions, MemoryTickets, Session, SessionStore, Tickets, Verifier,
};

use super::support::{Kind, pki, seeded, server_name, unhex};
use super::{Field, World, at, copy};

#[test]
fn a_session_survives_as_bytes() {
    let world = World::early(370);
    let session = world.session();
    let bytes = session.to_bytes().unwrap();
    let back = Session::from_bytes(&bytes).unwrap();
    assert_eq!(back.to_bytes().unwrap(), bytes);
    assert_eq!((back.key(), back.max_early_data()), (session.key(), 1000));
    assert_eq!(format!("{back:?}"), format!("{session:?}"));
    assert_eq!(back.key(), &world.client.session_key(&server_name()));
    // In another process, with another configuration alike.
    let provider = seeded(12345);
    let client = ClientConfig::new(provider, Verifier::new(pki().anchors())).unwrap();
    let sessions = Arc::new(MemorySessions::default());
    sessions.put(back);
    let world = World { client: client.with_sessions(sessions), ..world };
    assert!(world.connect(100));
}

/// Hostile bytes: nothing panics, and whatever is taken comes out as it went in.
#[test]
fn a_session_of_any_bytes() {
    let session = World::new(371).session();
    let bytes = session.to_bytes().unwrap();
    for i in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut other = bytes.to_vec();
            other[i] = value;
            if let Ok(session) = Session::from_bytes(&other) {
                assert_eq!(*session.to_bytes().unwrap(), other);
                let _ = session.is_usable(at(0));
            }
        }
    }
}

#[test]
fn pitfall_26_a_session_shows_no_secret() {
    let session = World::new(372).session();
    let bytes = session.to_bytes().unwrap();
    let shown = format!("{session:?}");
    let secret = &bytes[52..52 + usize::from(bytes[51])];
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    assert!(
        !shown.contains(&hex[..16]) && !shown.contains(&format!("{}, {}", secret[0], secret[1]))
    );
    let key = unhex(&format!("{:?}", session.key()));
    assert_eq!(key, session.key().as_bytes());
}

/// A session under one of several keys, received so many seconds after the beginning.
fn of(session: &Session, key: u8, received: i64) -> Session {
    let session = Field::Received.set(session, &at(received).as_secs().to_be_bytes());
    Field::Key.set(&session, &[key; 32])
}

fn received(session: &Session) -> u64 {
    let bytes = session.to_bytes().unwrap();
    let at = Field::Received.offset(&bytes);
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn the_newest_that_can_be_used_is_taken() {
    let session = World::new(373).session();
    let kept = MemorySessions::default();
    for seconds in 0..3 {
        kept.put(of(&session, 1, seconds));
    }
    kept.put(of(&session, 1, 1000));
    kept.put(of(&session, 2, 50));
    let one = of(&session, 1, 0);
    // One from the future is not for now.
    let take = |now: UnixTime| kept.take(one.key(), now).map(|session| received(&session));
    assert_eq!(take(at(10)), Some(at(2).as_secs()));
    assert_eq!(take(at(10)), Some(at(1).as_secs()));
    // All have expired.
    assert_eq!(take(at(1_000_000)), None);
    assert_eq!(kept.take(of(&session, 3, 0).key(), at(60)).map(drop), None);
    assert!(kept.take(of(&session, 2, 0).key(), at(60)).is_some());
}

#[test]
fn pitfall_35_a_clients_sessions_are_bounded() {
    let session = World::new(374).session();
    // In number.
    let kept = MemorySessions::new(10, usize::MAX);
    for i in 0..1000_i64 {
        kept.put(of(&session, u8::try_from(i % 7).unwrap(), i));
        assert_eq!(kept.len(), usize::try_from(i + 1).unwrap().min(10));
    }
    let all: Vec<u64> = kept.drain().iter().map(received).collect();
    assert_eq!(all, (990..1000).map(|i| at(i).as_secs()).collect::<Vec<_>>());
    assert!(kept.is_empty() && kept.drain().is_empty());
    // In bytes.
    let size = session.to_bytes().unwrap().len();
    let kept = MemorySessions::new(usize::MAX, 10 * size);
    for i in 0..1000_i64 {
        kept.put(of(&session, u8::try_from(i % 7).unwrap(), i));
        assert!((1..=11).contains(&kept.len()), "{} sessions", kept.len());
    }
    // What is larger than all together is not kept at all.
    let kept = MemorySessions::new(10, 10);
    kept.put(copy(&session));
    assert!(kept.is_empty());
    let kept = MemorySessions::new(0, usize::MAX);
    kept.put(copy(&session));
    assert!(kept.is_empty());
}

/// Taking, and putting back, as often as one likes: nothing adds up, and the oldest still goes first.
#[test]
fn pitfall_35_a_clients_sessions_stay_bounded() {
    let session = World::new(375).session();
    let kept = MemorySessions::new(4, usize::MAX);
    for i in 0..2000_i64 {
        let one = of(&session, 1, i);
        let key = *one.key();
        kept.put(one);
        if i % 3 != 0 {
            assert_eq!(kept.take(&key, at(i)).map(|s| received(&s)), Some(at(i).as_secs()));
        }
        assert!(kept.len() <= 4);
    }
    let all: Vec<u64> = kept.drain().iter().map(received).collect();
    // The last one that came, and was taken again, pushed 1989 out.
    let expected: Vec<u64> = [1992, 1995, 1998].map(|i| at(i).as_secs()).to_vec();
    assert_eq!(all, expected);
}

#[test]
fn sessions_are_shared_by_threads() {
    let session = World::new(376).session();
    let kept = MemorySessions::new(50, usize::MAX);
    let taken = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    kept.put(copy(&session));
                    if kept.take(session.key(), at(1)).is_some() {
                        taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(taken.into_inner() + kept.len(), 800);
}

#[test]
fn pitfall_50_a_session_that_is_imported_twice() {
    let world = World::new(377);
    let kept = Arc::new(MemoryTickets::new(world.server.provider(), 100, 1 << 20));
    let world = World { server: world.server.clone().with_tickets(kept.clone()), ..world };
    let session = world.session();
    assert_eq!(kept.len(), 2);
    assert_eq!(super::ticket(&session).len(), 32);
    assert!(world.offer(copy(&session), 1));
    assert!(!world.offer(copy(&session), 2));
    assert!(!world.offer(session, 2));
}

#[test]
fn a_store_of_tickets_forgets() {
    let lifetime = std::time::Duration::from_secs(60);
    let kept = MemoryTickets::new(&seeded(1), 100, 10_000);
    for (seconds, alive) in [(0, true), (59, true), (60, false), (1000, false)] {
        let ticket = kept.issue(b"state", at(0), lifetime).unwrap();
        let redeemed = kept.redeem(&ticket, at(seconds));
        assert_eq!(redeemed.is_some(), alive);
        assert!(redeemed.is_none_or(|r| *r.state == b"state" && !r.shared));
        assert!(kept.redeem(&ticket, at(0)).is_none(), "a ticket works twice");
    }
    assert!(kept.is_empty());
    let unknown: [&[u8]; 4] = [b"", &[0; 31], &[0; 32], &[0; 33]];
    assert!(unknown.into_iter().all(|ticket| kept.redeem(ticket, at(0)).is_none()));
}

/// A thousand clients that come with one ticket: one is let in.
#[test]
fn pitfall_32_a_ticket_works_once_however_many_ask() {
    let kept = MemoryTickets::new(&seeded(2), 100, 10_000);
    let lifetime = std::time::Duration::from_secs(60);
    let ticket = kept.issue(b"state", at(0), lifetime).unwrap();
    let redeemed = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..125 {
                    let one = kept.redeem(&ticket, at(1)).is_some();
                    redeemed.fetch_add(one.into(), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(redeemed.into_inner(), 1);
}

#[test]
fn a_store_is_found_by_trust_and_identity() {
    let world = World::new(378);
    let key = world.client.session_key(&server_name());
    assert_eq!(key, world.client.clone().with_alpn(&[b"h2"]).unwrap().session_key(&server_name()));
    let credential = |kind| vec![pki().client(kind).credential(world.client.provider())];
    let with = |kind| world.client.clone().with_credentials(credential(kind));
    let others = [
        with(Kind::P256).session_key(&server_name()),
        with(Kind::Ed25519).session_key(&server_name()),
        world.client.session_key(&"other.test".try_into().unwrap()),
        world.client.session_key(&"10.0.0.1".try_into().unwrap()),
    ];
    for (i, other) in others.iter().enumerate() {
        assert!(*other != key && !others[..i].contains(other), "{i}");
    }
}
