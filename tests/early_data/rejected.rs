//! Early data that nobody takes: the client is told, and the connection goes on (RFC 9846 §4.3.10).

use std::sync::Arc;

use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::{EarlyData, Error, MemoryReplay, Misuse, ServerConfig, SessionStore, TicketKeys};

use super::support::{Calls, Role, later};
use super::{World, both_say, told};

/// A client sends early data to `server`, which does not take it, and sends it again.
fn rejected(world: &World, server: &ServerConfig, resumes: bool) {
    let session = world.session();
    Calls::each(|calls| {
        world.sessions.put(super::copy(&session));
        let mut pair = calls.pair(world.client.clone(), server.clone());
        // As much as there may be, in many records.
        for _ in 0..100 {
            pair.client.call(|conn, out| conn.write_early(b"early data", out)).unwrap();
        }
        let mut pair = pair.connect();
        assert!(pair.server.early.is_empty() && pair.server.data.is_empty());
        assert_eq!(told(&pair), Some(false));
        both_say(&mut pair, EarlyData::Rejected);
        for role in Role::BOTH {
            assert_eq!(pair.side(role).conn.summary().unwrap().resumed, resumes);
        }
        // Nothing is sent again by itself, and nothing can be sent early any more.
        assert_eq!(pair.client.conn.early_data_left(), None);
        let late = pair.client.call(|conn, out| conn.write_early(b"x", out));
        assert!(matches!(late, Err(Error::Misuse(Misuse::NoEarlyData))));
        pair.transfer(Role::Client, b"early data");
        assert!(pair.server.early.is_empty());
        pair.chat();
        let _ = world.sessions.drain();
    });
}

#[test]
fn by_a_server_that_takes_none() {
    let world = World::new(540);
    let tickets = Arc::new(TicketKeys::new(world.server.provider(), later(0)).unwrap());
    let world = World { server: world.server.with_tickets(tickets.clone()), ..world };
    let (_, without) = super::configs(540);
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
    let without = without.with_groups(&groups).unwrap();
    rejected(&world, &without.clone().with_tickets(tickets), true);
    rejected(&world, &without, false);
}

#[test]
fn by_a_server_with_other_tickets() {
    let world = World::new(541);
    let tickets = TicketKeys::new(world.server.provider(), later(0)).unwrap();
    rejected(&world, &world.server.clone().with_tickets(Arc::new(tickets)), false);
}

#[test]
fn pitfall_34_by_a_server_that_started_a_moment_ago() {
    let world = World::new(542);
    let store = Arc::new(MemoryReplay::new(100, later(-20)));
    rejected(&world, &world.server.clone().with_early_data(store, 1000), true);
    let full = Arc::new(MemoryReplay::new(0, later(-100)));
    rejected(&world, &world.server.clone().with_early_data(full, 1000), true);
}

#[test]
fn pitfall_34_with_a_retry() {
    let world = World::new(543);
    let groups = [NamedGroup::secp256r1];
    let client = world.client.clone().with_key_shares(&[NamedGroup::x25519]).unwrap();
    let world = World { client, ..world };
    rejected(&world, &world.server.clone().with_groups(&groups).unwrap(), true);
}

#[test]
fn pitfall_34_under_another_suite_of_the_same_hash() {
    let both = [CipherSuiteId::TLS_AES_128_GCM_SHA256, CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256];
    let world = World::new(544);
    let server = world.server.clone().with_suites(&both[..1]).unwrap();
    let world = World { client: world.client.clone().with_suites(&both).unwrap(), server, ..world };
    rejected(&world, &world.server.clone().with_suites(&both[1..]).unwrap(), true);
    // And of another hash, which the key does not fit.
    let all = [both[0], CipherSuiteId::TLS_AES_256_GCM_SHA384];
    let world = World { client: world.client.clone().with_suites(&all).unwrap(), ..world };
    rejected(&world, &world.server.clone().with_suites(&all[1..]).unwrap(), false);
}

#[test]
fn pitfall_34_for_another_protocol() {
    let world = World::new(545);
    let client = world.client.clone().with_alpn(&[b"h2", b"x"]).unwrap();
    let server = world.server.clone().with_alpn(&[b"h2", b"x"]).unwrap();
    let world = World { client, server, ..world };
    rejected(&world, &world.server.clone().with_alpn(&[b"x", b"h2"]).unwrap(), false);
    rejected(&world, &world.server.clone().with_alpn(&[]).unwrap(), false);
    // A client that does not offer the protocol any more sends none to begin with.
    world.sessions.put(world.session());
    let client = world.client.clone().with_alpn(&[b"x"]).unwrap();
    let mut pair = World { client, ..world }.connect(Calls::PLAIN, b"early");
    pair.chat();
    assert_eq!(told(&pair), None);
    both_say(&mut pair, EarlyData::NotOffered);
}

#[test]
fn pitfall_34_for_another_name() {
    let world = World::new(546);
    let session = world.session();
    // The client says no name this time.
    let client = world.client.clone().with_server_name(false);
    world.sessions.put(session);
    let mut pair = World { client, ..world }.connect(Calls::PLAIN, b"early");
    pair.chat();
    assert_eq!(told(&pair), Some(false));
    both_say(&mut pair, EarlyData::Rejected);
    assert!(pair.server.early.is_empty() && !pair.server.conn.summary().unwrap().resumed);
}

/// RFC 9846 §4.3.10: an external key says nothing about suite, protocol or time.
#[test]
fn pitfall_34_never_with_an_external_key() {
    use sealwire::{ExternalPsk, PskPolicy};
    let world = World::new(547);
    let psk = || Arc::new(ExternalPsk::new(b"x", &[7; 32]).unwrap());
    let client = world.client.clone().with_external_psks(vec![psk()], PskPolicy::Required);
    let server = world.server.clone().with_external_psks(vec![psk()], PskPolicy::Required);
    world.sessions.put(world.session());
    let pair = Calls::PLAIN.pair(client, server.clone());
    assert_eq!(pair.client.conn.early_data_left(), None);
    pair.connect();
    // With a ticket first, and the key second: the server takes the key, and no early data.
    let client = world.client.clone().with_external_psks(vec![psk()], PskPolicy::OrCertificate);
    let mut pair = World { client, server, ..world }.connect(Calls::PLAIN, b"early");
    pair.chat();
    assert_eq!(told(&pair), Some(false));
    assert_eq!(pair.server.conn.summary().unwrap().external_psk.as_deref(), Some(&b"x"[..]));
    assert!(pair.server.early.is_empty());
}

/// As much as tickets allow is passed over, however small the records are that it comes in.
#[test]
fn all_that_a_ticket_allows_is_passed_over() {
    let world = World::new(548);
    let store = || Arc::new(MemoryReplay::new(100, later(-100)));
    let server = world.server.clone().with_early_data(store(), 1 << 20);
    let world = World { server, ..world };
    let full = Arc::new(MemoryReplay::new(0, later(-100)));
    let server = world.server.clone().with_early_data(full, 1 << 20);
    world.sessions.put(world.session());
    let mut pair = World { server, ..world }.connect(Calls::PLAIN, &vec![7; 1 << 20]);
    pair.chat();
    assert_eq!(told(&pair), Some(false));
}
