//! Each way in which a ticket can be wrong leads to a full handshake, which works.

use std::sync::Arc;
use std::time::Duration;

use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{
    ClientAuth, MemoryTickets, RedeemedTicket, SessionStore, TicketKeys, Tickets, Verifier,
};

use super::support::{Kind, configs, now, pki, server_name};
use super::{Field, World, at, copy, pair_at, resumed, ticket, with_ticket};

#[test]
fn pitfall_28_a_ticket_that_was_tampered_with_anywhere() {
    let mut world = World::new(320);
    for round in 0..2 {
        let session = world.session();
        let good = ticket(&session);
        assert!(good.len() > 30);
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1 << (i % 8);
            assert!(!world.offer(with_ticket(&session, &bad), 1), "byte {i}");
        }
        assert!(world.offer(session, 1), "round {round}");
        let _ = world.sessions.drain();
        // And the same with a store in place of keys.
        let kept = MemoryTickets::new(world.server.provider(), 1000, 1 << 20);
        world.server = world.server.clone().with_tickets(Arc::new(kept));
    }
}

#[test]
fn pitfall_28_a_ticket_that_is_cut_or_longer() {
    let world = World::new(321);
    let session = world.session();
    let good = ticket(&session);
    for len in 1..good.len() {
        assert!(!world.offer(with_ticket(&session, &good[..len]), 1), "{len} bytes");
    }
    for more in [&[0][..], &[0; 16], &[7; 10_000]] {
        assert!(!world.offer(with_ticket(&session, &[&good, more].concat()), 1));
    }
    assert!(!world.offer(with_ticket(&session, &[&good[..], &good].concat()), 1));
    assert!(world.offer(copy(&session), 1));
}

/// Changes the state that a ticket was issued for, as a store might whose bytes are not sealed.
#[derive(Debug)]
struct Altered {
    inner: TicketKeys,
    change: fn(&mut Vec<u8>),
}

impl Tickets for Altered {
    fn issue(&self, state: &[u8], now: UnixTime, lifetime: Duration) -> Option<Vec<u8>> {
        self.inner.issue(state, now, lifetime)
    }

    fn redeem(&self, ticket: &[u8], now: UnixTime) -> Option<RedeemedTicket> {
        let mut redeemed = self.inner.redeem(ticket, now)?;
        (self.change)(&mut redeemed.state);
        Some(redeemed)
    }
}

#[test]
fn pitfall_28_a_state_that_is_of_another_version_or_shape() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(bool, Change); 8] = [
        (true, |_| {}),
        (false, |state| state[0] ^= 3), // the version
        (false, |state| state.push(0)),
        (false, |state| state.truncate(state.len() - 1)),
        (false, |state| state.truncate(1)),
        (false, Vec::clear),
        (false, |state| state[2] ^= 0x40), // no suite that there is
        (false, |state| state[3] -= 1),    // the length of the key
    ];
    for (i, (resumes, change)) in changes.into_iter().enumerate() {
        let world = World::new(322);
        let inner = TicketKeys::new(world.server.provider(), now()).unwrap();
        let server = world.server.clone().with_tickets(Arc::new(Altered { inner, change }));
        let world = World { server, ..world };
        assert!(!world.connect(0));
        // An unknown suite says nothing as long as its hash is the right one: it is looked at for early data only.
        let expected = resumes || i == 6;
        assert_eq!(world.connect(1), expected, "change {i}");
    }
}

#[test]
fn pitfall_27_a_ticket_under_another_key() {
    let world = World::new(323);
    let session = world.session();
    // A server that started anew, one with a store of its own, and one without.
    let keys = TicketKeys::new(world.server.provider(), now()).unwrap();
    let kept = MemoryTickets::new(world.server.provider(), 10, 10_000);
    let others: [Arc<dyn Tickets>; 2] = [Arc::new(keys), Arc::new(kept)];
    for other in others {
        let server = world.server.clone().with_tickets(other);
        assert!(!World { server, ..world.clone() }.offer(copy(&session), 1));
    }
    let none = World { server: configs(323).1, ..world.clone() };
    none.sessions.put(copy(&session));
    assert!(!none.connect(1));
}

#[test]
fn pitfall_28_a_ticket_that_has_expired() {
    let world = World::new(324);
    let server = world.server.clone().with_ticket_policy(2, 60).unwrap();
    let world = World { server, ..world };
    let session = world.session();
    assert!(session.is_usable(at(59)) && !session.is_usable(at(60)));
    assert!(world.offer(copy(&session), 59));
    // The client does not offer it any more.
    let _ = world.sessions.drain();
    world.sessions.put(copy(&session));
    assert!(!world.connect(60));
    // And if it did, the server would not take it.
    let longer = Field::Lifetime.set(&session, &604_800_u32.to_be_bytes());
    assert!(world.offer(copy(&longer), 59));
    for seconds in [60, 61, 3600, 86_400] {
        assert!(!world.offer(copy(&longer), seconds), "{seconds} s");
    }
}

#[test]
fn pitfall_28_a_ticket_from_the_future() {
    // The client's clock was set back.
    let world = World::new(325);
    let session = world.session();
    assert!(!session.is_usable(at(-1)) && session.is_usable(at(0)));
    world.sessions.put(copy(&session));
    assert!(!world.connect(-1));
    // The server's was: the client says what it likes about when it came.
    let earlier = (now().as_secs() - 1000).to_be_bytes();
    let earlier = Field::Received.set(&session, &earlier);
    for seconds in [-1, -10, -999] {
        assert!(!world.offer(copy(&earlier), seconds), "{seconds} s");
    }
    assert!(world.offer(earlier, 0));
}

/// RFC 9846 §4.7.1: at most 7 days, whatever a server says.
#[test]
fn pitfall_28_a_lifetime_of_over_seven_days() {
    let world = World::new(326);
    assert!(world.server.clone().with_ticket_policy(2, 604_801).is_err());
    assert!(world.server.clone().with_ticket_policy(2, 604_800).is_ok());
    let session = Field::Lifetime.set(&world.session(), &[0xff; 4]);
    assert!(session.is_usable(at(604_799)) && !session.is_usable(at(604_800)));
    assert!(!session.is_usable(at(i64::from(u32::MAX))));
}

/// The age that a client claims is only for early data, and wraps (RFC 9846 §4.3.11.1).
#[test]
fn pitfall_28_an_age_of_any_value() {
    let world = World::new(327);
    let session = world.session();
    for age_add in [0, 1, u32::MAX, 1 << 31] {
        assert!(world.offer(Field::AgeAdd.set(&session, &age_add.to_be_bytes()), 5));
    }
}

#[test]
fn pitfall_30_a_ticket_for_another_way_to_authenticate_clients() {
    let anchors = || Verifier::new(pki().anchors());
    let others = || Verifier::new(pki().other_anchors());
    let world = World::new(328);
    let credential = pki().client(Kind::P256).credential(world.client.provider());
    let client = world.client.clone().with_credentials(vec![credential]);
    let policies = [
        ClientAuth::None,
        ClientAuth::Optional(anchors()),
        ClientAuth::Required(anchors()),
        ClientAuth::Optional(Verifier::danger_accept_any()),
        ClientAuth::Required(Verifier::danger_accept_any()),
    ];
    let with = |auth: &ClientAuth| {
        let server = world.server.clone().with_client_auth(auth.clone());
        World { client: client.clone(), server, ..world.clone() }
    };
    for (i, issued) in policies.iter().enumerate() {
        for (j, redeemed) in policies.iter().enumerate() {
            let session = with(issued).session();
            assert_eq!(with(redeemed).offer(session, 1), i == j, "{i}, then {j}");
            let _ = world.sessions.drain();
        }
    }
    // Whom the new policy does not trust does not come in with a ticket from under the old one.
    with(&policies[2]).connect(0);
    let stricter = with(&ClientAuth::Required(others()));
    stricter.pair(1).refuse(super::Role::Server, sealwire::codepoints::Alert::unknown_ca);
    // Nor does somebody without a certificate.
    let _ = world.sessions.drain();
    let nobody = World { server: with(&policies[1]).server, ..world.clone() };
    assert!(!nobody.connect(0));
    let server = with(&policies[2]).server;
    let alert = sealwire::codepoints::Alert::certificate_required;
    World { server, ..world }.pair(1).refuse(super::Role::Server, alert);
}

#[test]
fn pitfall_30_a_ticket_for_another_name() {
    let world = World::new(329);
    let provider = world.server.provider().clone();
    let credentials = vec![
        pki().server(Kind::P256).credential(&provider),
        pki().other_server.credential(&provider),
    ];
    let server = sealwire::ServerConfig::new(provider.clone(), credentials).unwrap();
    let keys = TicketKeys::new(&provider, now()).unwrap();
    let server = server.with_tickets(Arc::new(keys));
    let world = World { server, ..world };
    let session = world.session();
    let other = ServerName::try_from("other.test").unwrap();
    let connect = |name: &ServerName<'static>| {
        let mut pair = pair_at(&world.client, &world.server, name.clone(), at(1)).connect();
        pair.chat();
        resumed(&pair)
    };
    // The client keeps them apart.
    world.sessions.put(copy(&session));
    assert!(!connect(&other));
    let _ = world.sessions.drain();
    // The server does, too.
    let key = world.client.session_key(&other);
    world.sessions.put(Field::Key.set(&session, key.as_bytes()));
    assert!(!connect(&other));
    let _ = world.sessions.drain();
    world.sessions.put(session);
    // Upper and lower case are the same name.
    assert!(connect(&ServerName::try_from("SERVER.test").unwrap()));
    // A client that says no name is not one that said one.
    let _ = world.sessions.drain();
    assert!(!connect(&server_name()));
    let nameless = World { client: world.client.clone().with_server_name(false), ..world.clone() };
    assert!(!nameless.connect(1));
}

#[test]
fn pitfall_30_a_ticket_for_another_protocol() {
    let world = World::new(330);
    let with = |ours: &[&[u8]], theirs: &[&[u8]]| World {
        client: world.client.clone().with_alpn(ours).unwrap(),
        server: world.server.clone().with_alpn(theirs).unwrap(),
        ..world.clone()
    };
    let session = with(&[b"h2", b"x"], &[b"h2"]).session();
    assert!(with(&[b"h2", b"x"], &[b"h2"]).offer(copy(&session), 1));
    assert!(with(&[b"x", b"h2"], &[b"y", b"h2"]).offer(copy(&session), 1));
    assert!(!with(&[b"h2", b"x"], &[b"x"]).offer(copy(&session), 1));
    assert!(!with(&[], &[b"h2"]).offer(copy(&session), 1));
    assert!(!with(&[b"h2"], &[]).offer(copy(&session), 1));
}

/// What a client trusts, and who it is, is part of the name under which it keeps sessions.
#[test]
fn pitfall_30_a_session_from_before_the_trust_changed() {
    let world = World::new(331);
    let clone = world.client.clone();
    assert!(!world.connect(0));
    // The same store in a configuration that trusts others: the server is looked at, and refused.
    let provider = world.client.provider().clone();
    let stricter =
        sealwire::ClientConfig::new(provider.clone(), Verifier::new(pki().other_anchors()));
    let stricter = stricter.unwrap().with_sessions(world.sessions.clone());
    let alert = sealwire::codepoints::Alert::unknown_ca;
    let changed = World { client: stricter, ..world.clone() };
    changed.pair(1).refuse(super::Role::Client, alert);
    // One that trusts everybody is another one, too: what it keeps is of no use to this one.
    let any = sealwire::ClientConfig::new(provider, Verifier::danger_accept_any()).unwrap();
    let any = World { client: any.with_sessions(world.sessions.clone()), ..world.clone() };
    let _ = world.sessions.drain();
    assert!(!any.connect(1) && !world.connect(1));
    // With a credential, it is somebody else.
    let _ = world.sessions.drain();
    world.connect(1);
    let credential = pki().client(Kind::P256).credential(clone.provider());
    let somebody = clone.clone().with_credentials(vec![credential]);
    assert!(!World { client: somebody, ..world.clone() }.connect(1));
    // And a clone is the same.
    assert!(World { client: clone, ..world }.connect(1));
}
