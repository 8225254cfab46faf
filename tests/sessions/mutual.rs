//! Resumption never makes a client, or a server, into more than its certificates made it (RFC 9846 §4.7.1).

use std::sync::Arc;
use std::time::Duration;

use sealwire::codepoints::Alert;
use sealwire::{ClientAuth, ClientConfig, Error, Misuse, ServerConfig, TicketKeys, Verifier};

use super::support::{Identity, Kind, Role, now, pki};
use super::{Field, World, at};

/// The next midnight after the moment at which tests begin, and how many seconds away that is.
const MIDNIGHT: (i32, u8, u8) = (2026, 9, 22);
const UNTIL_MIDNIGHT: i64 = 35_200;

/// This client, and a server that wants to know who clients are. Tickets are good for 7 days.
fn world(seed: u64, identity: &Identity) -> World {
    let world = World::new(seed);
    let credential = identity.credential(world.client.provider());
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    let (day, week) = (Duration::from_secs(86_400), Duration::from_secs(604_800));
    let keys = TicketKeys::new(world.server.provider(), now()).unwrap();
    let keys = keys.with_rotation(day, week, now()).unwrap();
    let server = world.server.with_tickets(Arc::new(keys)).with_client_auth(auth);
    World {
        client: world.client.with_credentials(vec![credential]),
        server: server.with_ticket_policy(2, 604_800).unwrap(),
        sessions: world.sessions,
    }
}

#[test]
fn pitfall_31_the_client_stays_who_it_is() {
    let identity = pki().client(Kind::P256);
    let world = world(340, identity);
    assert!(!world.connect(0));
    for seconds in 1..4 {
        let mut pair = world.pair(seconds).connect();
        pair.chat();
        for role in Role::BOTH {
            let summary = pair.side(role).conn.summary().unwrap();
            assert!(summary.resumed);
            let of_peer = match role {
                Role::Client => &pki().server(Kind::P256).chain,
                Role::Server => &identity.chain,
            };
            assert_eq!(&summary.peer_chain, of_peer);
        }
    }
}

#[test]
fn pitfall_31_a_session_ends_with_the_clients_certificate() {
    let world = world(341, &pki().issue_until("client.test", MIDNIGHT));
    let session = world.session();
    assert!(session.is_usable(at(UNTIL_MIDNIGHT - 1)) && !session.is_usable(at(UNTIL_MIDNIGHT)));
    let long = || Field::Lifetime.set(&session, &604_800_u32.to_be_bytes());
    assert!(world.offer(long(), UNTIL_MIDNIGHT - 1));
    // The full handshake that follows looks at the certificate, and refuses it.
    for seconds in [UNTIL_MIDNIGHT + 1, UNTIL_MIDNIGHT + 86_400] {
        let _ = world.sessions.drain();
        sealwire::SessionStore::put(&*world.sessions, long());
        world.pair(seconds).refuse(Role::Server, Alert::certificate_expired);
    }
}

#[test]
fn pitfall_31_a_session_ends_with_the_servers_certificate() {
    let world = world(342, pki().client(Kind::P256));
    let identity = pki().issue_until("server.test", MIDNIGHT);
    let provider = world.server.provider().clone();
    let server = ServerConfig::new(provider.clone(), vec![identity.credential(&provider)]).unwrap();
    let keys = TicketKeys::new(&provider, now()).unwrap();
    let server = server.with_tickets(Arc::new(keys));
    let world = World { server, ..world };
    let session = world.session();
    assert!(
        session.is_usable(at(UNTIL_MIDNIGHT - 1)) && !session.is_usable(at(UNTIL_MIDNIGHT + 1))
    );
    assert!(world.offer(super::copy(&session), UNTIL_MIDNIGHT - 1));
    let _ = world.sessions.drain();
    sealwire::SessionStore::put(&*world.sessions, session);
    world.pair(UNTIL_MIDNIGHT + 1).refuse(Role::Client, Alert::certificate_expired);
}

/// However often a session is resumed: 7 days after the last signature there has to be another one.
#[test]
fn pitfall_31_seven_days_after_the_last_signature() {
    const DAY: i64 = 86_400;
    let world = world(343, pki().client(Kind::P256));
    assert!(!world.connect(0));
    for day in 1..7 {
        assert!(world.connect(day * DAY), "day {day}");
    }
    // All that came with these connections ends with them.
    assert!(world.connect(7 * DAY - 1));
    for session in world.sessions.drain() {
        assert!(!session.is_usable(at(7 * DAY)));
        let longer = Field::Lifetime.set(&session, &604_800_u32.to_be_bytes());
        assert!(!world.offer(longer, 7 * DAY));
    }
    // That was a signature.
    assert!(world.connect(13 * DAY));
    assert!(!world.connect(14 * DAY));
}

/// Nothing of a session's life is left: there is no ticket to send.
#[test]
fn no_ticket_outlives_the_certificate() {
    let world = world(344, &pki().issue_until("client.test", MIDNIGHT));
    let mut pair = world.pair(0).connect();
    let before = world.sessions.len();
    for (seconds, works) in [(UNTIL_MIDNIGHT - 1, true), (UNTIL_MIDNIGHT, false)] {
        let result = pair.server.call(|conn, out| conn.send_ticket(at(seconds), out));
        assert_eq!(result.is_ok(), works);
        assert!(works || matches!(result, Err(Error::Misuse(Misuse::NoTickets))));
    }
    pair.pump();
    assert_eq!(world.sessions.len(), before + 1);
    pair.chat();
}

/// Nothing is kept for later: what cannot be sent yet is refused, and a peer that turns out to be another gets nothing.
#[test]
fn pitfall_25_nothing_is_written_before_the_peer_is_known() {
    let world = World::new(346);
    let verifier = Verifier::new(pki().other_anchors());
    let provider = world.client.provider().clone();
    let client = ClientConfig::new(provider, verifier).unwrap();
    let mut pair = World { client, ..world }.pair(0);
    for _ in 0..4 {
        let before = [pair.client.wire.len(), pair.server.wire.len()];
        for role in Role::BOTH {
            if pair.side(role).error.is_none() {
                let result = pair.side(role).write(b"for whom?");
                assert!(matches!(result, Err(Error::Misuse(Misuse::NotConnected))));
            }
        }
        assert_eq!(before, [pair.client.wire.len(), pair.server.wire.len()]);
        pair.deliver(Role::Client);
        pair.deliver(Role::Server);
    }
    assert_eq!(pair.client.error.as_ref().and_then(Error::alert), Some(Alert::unknown_ca));
    assert!(pair.server.data.is_empty() && pair.client.data.is_empty());
}

/// A client whose certificates do not fit into a ticket goes without.
#[test]
fn a_chain_too_large_for_a_ticket() {
    let world = world(345, pki().client(Kind::P256));
    let provider: &sealwire::crypto::Provider = world.client.provider();
    let identity = pki().client(Kind::P256);
    let mut chain = identity.chain.clone();
    let intermediate = chain[1].clone();
    let too_many = 16_384 / intermediate.len() + 1;
    chain.extend(std::iter::repeat_n(intermediate, too_many));
    let large = Identity { chain, key: identity.key.clone_key() };
    let client: ClientConfig =
        world.client.clone().with_credentials(vec![large.credential(provider)]);
    let mut limits = sealwire::Limits::default();
    limits.chain_length = 100;
    let server = world.server.clone().with_limits(limits);
    let world = World { client, server, ..world };
    assert!(!world.connect(0));
    assert_eq!(world.sessions.len(), 0);
}
