//! Handles that are swapped while connections run: trust anchors, credentials, ticket keys; which version judged a
//! connection, and what becomes of it when trust shrinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealwire::codepoints::Alert;
use sealwire::pki_types::{CertificateDer, UnixTime};
use sealwire::{
    Answer, Ask, ClientAuth, ClientConfig, Crls, Event, MemorySessions, Revocation, ServerConfig,
    Shared, TicketKeys, TrustAnchors, Verifier,
};

use super::support::{Calls, Kind, Pair, Role, configs, now, pki, seeded};

/// Both sides authenticate, resume, and go by these anchors.
struct World {
    client: ClientConfig,
    server: ServerConfig,
    /// Whom the client trusts.
    servers: Shared<TrustAnchors>,
    /// Whom the server trusts.
    clients: Shared<TrustAnchors>,
}

impl World {
    fn new(seed: u64) -> Self {
        let (client, server) = configs(seed);
        let (servers, clients) = (Shared::new(pki().anchors()), Shared::new(pki().anchors()));
        let credential = pki().client(Kind::P256).credential(client.provider());
        let verifier = Verifier::new(servers.clone());
        let client = ClientConfig::new(client.provider().clone(), verifier).unwrap();
        let client = client.with_credentials(vec![credential]);
        let client = client.with_sessions(Arc::new(MemorySessions::default()));
        let auth = ClientAuth::Required(Verifier::new(clients.clone()));
        let tickets = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
        let server = server.with_client_auth(auth).with_tickets(tickets);
        Self { client, server, servers, clients }
    }

    fn pair(&self) -> Pair {
        Calls::PLAIN.pair(self.client.clone(), self.server.clone())
    }

    /// Connects, and says whether a session was resumed.
    fn resumes(&self) -> bool {
        let mut pair = self.pair().connect();
        pair.chat();
        pair.client.conn.summary().unwrap().resumed
    }
}

/// The version of the anchors that judged the peer of `role`.
fn version(pair: &mut Pair, role: Role) -> Option<u64> {
    pair.side(role).conn.summary().unwrap().trust_version.map(|version| version.anchors)
}

/// Both roots.
fn more() -> TrustAnchors {
    let root = pki().root_certificate();
    TrustAnchors::from_certificates([root, pki().other_root_certificate()])
}

#[test]
fn a_connection_says_which_version_judged_it() {
    let world = World::new(10);
    let mut first = world.pair().connect();
    assert_eq!(
        (version(&mut first, Role::Client), version(&mut first, Role::Server)),
        (Some(1), Some(1))
    );
    world.servers.replace(more());
    world.servers.replace(more());
    world.clients.replace(more());
    let mut second = world.pair().connect();
    assert_eq!(
        (version(&mut second, Role::Client), version(&mut second, Role::Server)),
        (Some(3), Some(2))
    );
    // A session is resumed under the version that would accept it now.
    let mut third = world.pair().connect();
    assert!(third.client.conn.summary().unwrap().resumed);
    assert_eq!(
        (version(&mut third, Role::Client), version(&mut third, Role::Server)),
        (Some(3), Some(2))
    );
    // The first one keeps what it was judged by, and goes on.
    assert_eq!(
        (version(&mut first, Role::Client), version(&mut first, Role::Server)),
        (Some(1), Some(1))
    );
    first.chat();
    // Whom the application judged itself, no version judged.
    let client = world.client.with_ask(Ask { verdict: true, ..Ask::default() });
    let client = client.with_sessions(Arc::new(MemorySessions::default()));
    for resumed in [false, true] {
        let mut pair = Calls::PLAIN.pair(client.clone(), world.server.clone());
        pair.answerer = Box::new(|_, _| Some(Answer::Accept));
        let mut pair = pair.connect();
        pair.chat();
        assert_eq!(pair.client.conn.summary().unwrap().resumed, resumed);
        assert_eq!(version(&mut pair, Role::Client), None);
        assert_eq!(version(&mut pair, Role::Server), Some(2));
    }
}

#[test]
fn pitfall_44_a_handshake_keeps_the_anchors_that_it_began_with() {
    for role in Role::BOTH {
        for shrinks in [true, false] {
            let world = World::new(20);
            let handle = if role == Role::Client { &world.servers } else { &world.clients };
            let (before, after) = match shrinks {
                true => (pki().anchors(), TrustAnchors::default()),
                false => (TrustAnchors::default(), pki().anchors()),
            };
            let first = handle.replace(before);
            // The verdict is asked for, so that there is a moment in the middle of it; and left to the configuration.
            let ask = Ask { verdict: true, ..Ask::default() };
            let (client, server) = match role {
                Role::Client => (world.client.clone().with_ask(ask), world.server.clone()),
                Role::Server => (world.client.clone(), world.server.clone().with_ask(ask)),
            };
            let mut pair = Calls::PLAIN.pair(client, server);
            let swapped = Arc::new(AtomicBool::new(false));
            let (flag, swap) = (swapped.clone(), handle.clone());
            pair.answerer = Box::new(move |_, _| {
                swap.replace(after.clone());
                flag.store(true, Ordering::Relaxed);
                Some(Answer::UseConfig)
            });
            pair.pump();
            assert!(swapped.load(Ordering::Relaxed));
            if shrinks {
                assert_eq!(version(&mut pair, role), Some(first));
                pair.chat();
                // The next one goes by what there is now.
                let client =
                    world.client.clone().with_sessions(Arc::new(MemorySessions::default()));
                let mut next = Calls::PLAIN.pair(client, world.server.clone());
                next.pump();
                assert_eq!(
                    next.side(role).error.as_ref().unwrap().alert(),
                    Some(Alert::unknown_ca)
                );
            } else {
                assert_eq!(
                    pair.side(role).error.as_ref().unwrap().alert(),
                    Some(Alert::unknown_ca)
                );
                world.pair().connect().chat();
            }
        }
    }
}

#[test]
fn pitfall_30_resumption_follows_the_version_of_today() {
    let world = World::new(30);
    assert!(!world.resumes());
    assert!(world.resumes());
    // The same anchors in another version are the same anchors.
    world.clients.replace(pki().anchors());
    world.servers.replace(pki().anchors());
    assert!(world.resumes());
    // The server trusts less, or more: a full handshake, in which the client is judged anew.
    world.clients.replace(more());
    assert!(!world.resumes());
    assert!(world.resumes());
    world.clients.replace(pki().anchors());
    assert!(!world.resumes());
    // The client trusts more.
    world.servers.replace(more());
    assert!(!world.resumes());
    assert!(world.resumes());
}

#[test]
fn pitfall_31_a_client_that_is_no_longer_trusted_does_not_resume() {
    let world = World::new(40);
    assert!(!world.resumes());
    let mut old = world.pair().connect();
    assert!(old.client.conn.summary().unwrap().resumed);
    world.clients.replace(pki().other_anchors());
    let mut pair = world.pair();
    pair.pump();
    assert_eq!(pair.server.error.as_ref().unwrap().alert(), Some(Alert::unknown_ca));
    // A ticket that the old connection issues after the change is from before it.
    let at = old.now;
    old.server.call(|conn, out| conn.send_ticket(at, out)).unwrap();
    old.chat();
    let mut pair = world.pair();
    pair.pump();
    assert_eq!(pair.server.error.as_ref().unwrap().alert(), Some(Alert::unknown_ca));
    // It is trusted again; and a server that the client no longer trusts is not resumed with either.
    world.clients.replace(pki().anchors());
    assert!(world.resumes());
    world.servers.replace(pki().other_anchors());
    world.pair().refuse(Role::Client, Alert::unknown_ca);
}

#[test]
fn a_connection_is_asked_again_when_trust_shrinks() {
    let world = World::new(50);
    let mut pair = world.pair().connect();
    let provider = seeded(0);
    let of_server = world.server.client_auth().verifier().unwrap();
    for role in Role::BOTH {
        let (verifier, handle) = match role {
            Role::Client => (world.client.verifier(), &world.servers),
            Role::Server => (of_server, &world.clients),
        };
        let ask = |pair: &mut Pair, at| {
            pair.side(role).conn.summary().unwrap().recheck(&provider, verifier, at)
        };
        assert_eq!(ask(&mut pair, now()).unwrap().unwrap().anchors, 1);
        handle.replace(more());
        assert_eq!(ask(&mut pair, now()).unwrap().unwrap().anchors, 2);
        handle.replace(pki().other_anchors());
        assert_eq!(ask(&mut pair, now()).unwrap_err().reason.code(), "unknown-issuer");
        handle.replace(more());
        assert_eq!(ask(&mut pair, now()).unwrap().unwrap().anchors, 4);
        // Time passes, too.
        let late = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u32::MAX.into()) * 60);
        assert_eq!(ask(&mut pair, late).unwrap_err().reason.code(), "expired");
        // Nothing of it has touched the connection.
        pair.chat();
    }
    // The name of the server is asked for again; a client's is not. Nobody is nobody.
    let (client, server) = configs(51);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    let summary = pair.server.conn.summary().unwrap();
    assert_eq!(summary.recheck(&provider, of_server, now()).unwrap(), None);
    pair.chat();
}

#[test]
fn a_raw_key_is_asked_again() {
    let (client, server) = (seeded(60), seeded(61));
    let identity = pki().server(Kind::P256);
    let server_config = ServerConfig::new(server.clone(), vec![identity.raw(&server)]).unwrap();
    let verifier = Verifier::raw_public_keys([identity.spki()]).unwrap();
    let client = ClientConfig::new(client, verifier.clone()).unwrap();
    let pair = Calls::PLAIN.pair(client, server_config).connect();
    let summary = pair.client.conn.summary().unwrap();
    assert_eq!(summary.recheck(&server, &verifier, now()).unwrap(), None);
    let nobody = Verifier::raw_public_keys([]).unwrap();
    let error = summary.recheck(&server, &nobody, now()).unwrap_err();
    assert_eq!(error.reason.code(), "untrusted-key");
}

#[test]
fn credentials_are_swapped() {
    let (client, server) = configs(70);
    let provider = server.provider().clone();
    let of = |kind| pki().server(kind).credential(&provider);
    let servers = Shared::new(vec![of(Kind::P256)]);
    let server = ServerConfig::new(provider.clone(), servers.clone()).unwrap();
    let server = server.with_client_auth(ClientAuth::Optional(Verifier::new(pki().anchors())));
    let clients = Shared::new(Vec::new());
    let client = client.with_credentials(clients.clone());
    let shown = |client: &ClientConfig| {
        let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
        Role::BOTH.map(|role| pair.side(role).conn.summary().unwrap().peer_chain.first().cloned())
    };
    let leaf = |identity: &super::support::Identity| Some(identity.chain[0].clone());
    assert_eq!(shown(&client), [leaf(pki().server(Kind::P256)), None]);
    assert_eq!(servers.replace(vec![of(Kind::P384)]), 2);
    let before = client.session_key(&super::server_name());
    clients.replace(vec![pki().client(Kind::P256).credential(client.provider())]);
    assert_eq!(shown(&client), [leaf(pki().server(Kind::P384)), leaf(pki().client(Kind::P256))]);
    // Who the client is decides which sessions are its own.
    assert_ne!(client.session_key(&super::server_name()), before);
    // Clones of a configuration share the handle.
    assert_eq!(shown(&client.clone())[1], leaf(pki().client(Kind::P256)));
    servers.replace(Vec::new());
    Calls::PLAIN.pair(client, server).refuse(Role::Server, Alert::handshake_failure);
}

#[test]
fn ticket_keys_are_swapped() {
    let world = World::new(80);
    let keys = || TicketKeys::new(world.server.provider(), now()).unwrap();
    let tickets = Shared::new(keys());
    let server = world.server.clone().with_tickets(Arc::new(tickets.clone()));
    let world = World { server, ..world };
    assert!(!world.resumes());
    assert!(world.resumes());
    // New keys open nothing that the old ones sealed, and nobody is turned away for that.
    tickets.replace(keys());
    assert!(!world.resumes());
    assert!(world.resumes());
}

#[test]
fn a_client_that_is_asked_late_is_judged_by_what_is_trusted_then() {
    let (client, server) = configs(90);
    let clients = Shared::new(TrustAnchors::default());
    let credential = pki().client(Kind::P256).credential(client.provider());
    let sessions = Arc::new(MemorySessions::default());
    let client = client.with_post_handshake_auth(true).with_credentials(vec![credential]);
    let client = client.with_sessions(sessions.clone());
    let tickets = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let auth = ClientAuth::OnRequest(Verifier::new(clients.clone()));
    let server = server.with_client_auth(auth).with_tickets(tickets);
    let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    clients.replace(pki().anchors());
    pair.server.call(|conn, out| conn.request_client_certificate(out)).unwrap();
    pair.pump();
    assert!(matches!(pair.server.events.last(), Some(Event::ClientAnswered { known: true })));
    assert_eq!(version(&mut pair, Role::Server), Some(2));
    // pitfall 31: a ticket from here on stands for that client under that trust, and under no other.
    let resumed = |expected: bool| {
        let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
        assert_eq!(pair.server.conn.summary().unwrap().resumed, expected);
        let known = !pair.server.conn.summary().unwrap().peer_chain.is_empty();
        pair.chat();
        known
    };
    let at = pair.now;
    let ticket = |pair: &mut Pair| {
        let _ = sessions.drain();
        pair.server.call(|conn, out| conn.send_ticket(at, out)).unwrap();
        pair.pump();
    };
    ticket(&mut pair);
    assert!(resumed(true));
    ticket(&mut pair);
    clients.replace(TrustAnchors::default());
    assert!(!resumed(false));
}

#[test]
fn nobody_waits_for_a_handle() {
    // Readers on several threads see one version or the other, whole, and never go back.
    let handle = Shared::new(vec![1_u64; 64]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let (value, version) = handle.current();
                    assert!(value.iter().all(|each| *each == version));
                    assert!(version >= last);
                    last = version;
                }
            });
        }
        for version in 2..2_000 {
            assert_eq!(handle.replace(vec![version; 64]), version);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(handle.version(), 1_999);
}

#[test]
fn crls_are_swapped() {
    let world = World::new(95);
    let list =
        |revoked: &[&CertificateDer<'static>]| Crls::from_der([pki().crl(revoked).into()]).unwrap();
    let crls = Shared::new(list(&[]));
    let policy = Revocation::hard_fail().with_crls(crls.clone()).end_entity_only();
    let verifier = Verifier::new(world.clients.clone()).with_revocation(policy);
    let server = world.server.clone().with_client_auth(ClientAuth::Required(verifier.clone()));
    let world = World { server, ..world };
    assert!(!world.resumes());
    assert!(world.resumes());
    let mut pair = world.pair().connect();
    let version = pair.server.conn.summary().unwrap().trust_version.unwrap();
    assert_eq!((version.anchors, version.crls), (1, 1));
    // Somebody else is revoked: nobody resumes under the old lists, and everybody is judged by the new ones.
    assert_eq!(crls.replace(list(&[&pki().client(Kind::P384).chain[0]])), 2);
    assert!(!world.resumes());
    let summary = pair.server.conn.summary().unwrap();
    let again = summary.recheck(&seeded(0), &verifier, now()).unwrap().unwrap();
    assert_eq!((again.anchors, again.crls), (1, 2));
    // The client is revoked: neither a session nor a full handshake brings it back, and who asks is told.
    crls.replace(list(&[&pki().client(Kind::P256).chain[0]]));
    let mut refused = world.pair();
    refused.pump();
    let alert = refused.server.error.as_ref().unwrap().alert();
    assert_eq!(alert, Some(Alert::certificate_revoked));
    let summary = pair.server.conn.summary().unwrap();
    let error = summary.recheck(&seeded(0), &verifier, now()).unwrap_err();
    assert_eq!(error.reason.code(), "revoked");
    pair.chat();
}
