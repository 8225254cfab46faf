//! External pre-shared keys (RFC 9846 §2.2, RFC 9257, RFC 9258).

use std::sync::Arc;

use sealwire::codepoints::{Alert, CipherSuiteId, NamedGroup};
use sealwire::{
    ClientConfig, Connection, Error, ExternalPsk, MigrationKey, NoOverlap, PskHash, PskPolicy,
    ServerConfig, SessionStore, Violation,
};

use super::support::{Calls, Pair, Role, configs, now, server_name};
use super::{World, at, pair_at};

const KEY: [u8; 32] = [9; 32];

fn plain(identity: &[u8], key: &[u8]) -> ExternalPsk {
    ExternalPsk::new(identity, key).unwrap()
}

/// The key of a client with this name.
fn named(identity: &[u8], key: &[u8]) -> ExternalPsk {
    plain(identity, key).with_roles(b"client", b"server").unwrap()
}

fn with(
    (client, server): (ClientConfig, ServerConfig),
    ours: Vec<ExternalPsk>,
    theirs: Vec<ExternalPsk>,
) -> (ClientConfig, ServerConfig) {
    let arcs = |keys: Vec<ExternalPsk>| keys.into_iter().map(Arc::new).collect();
    (
        client.with_external_psks(arcs(ours), PskPolicy::Required),
        server.with_external_psks(arcs(theirs), PskPolicy::Required),
    )
}

/// Which key both used.
fn used(pair: &Pair) -> Vec<u8> {
    let [client, server] = [&pair.client, &pair.server].map(|side| side.conn.summary().unwrap());
    assert_eq!(client.external_psk, server.external_psk);
    assert!(!client.resumed && client.peer_scheme.is_none() && client.peer_chain.is_empty());
    client.external_psk.clone().unwrap()
}

fn connect(configs: (ClientConfig, ServerConfig)) -> Vec<u8> {
    let mut pair = Calls::PLAIN.pair(configs.0, configs.1).connect();
    pair.chat();
    used(&pair)
}

/// There is no connection, and why: what the server says.
fn refused(configs: (ClientConfig, ServerConfig)) -> Error {
    let mut pair = Calls::PLAIN.pair(configs.0, configs.1);
    pair.pump();
    assert!(!pair.client.conn.is_connected() && !pair.server.conn.is_connected());
    pair.server.error.unwrap()
}

#[test]
fn a_key_under_every_transport_and_with_a_retry() {
    Calls::each(|calls| {
        for retry in [false, true] {
            let ours = vec![named(b"me", &KEY)];
            let (client, server) = with(configs(430), ours, vec![named(b"me", &KEY)]);
            let client = if retry { client.with_key_shares(&[]).unwrap() } else { client };
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            assert_eq!(used(&pair), b"me");
            assert_eq!(pair.server.conn.summary().unwrap().retried, retry);
        }
    });
}

#[test]
fn every_hash_and_suite() {
    for suite in [
        CipherSuiteId::TLS_AES_128_GCM_SHA256,
        CipherSuiteId::TLS_AES_256_GCM_SHA384,
        CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
    ] {
        let (client, server) = configs(431);
        let server = server.with_suites(&[suite]).unwrap();
        for hash in [PskHash::Sha256, PskHash::Sha384] {
            for retry in [false, true] {
                let key = || named(b"me", &KEY).with_hash(hash);
                let client = match retry {
                    true => client.clone().with_key_shares(&[]).unwrap(),
                    false => client.clone(),
                };
                let configs = with((client, server.clone()), vec![key()], vec![key()]);
                assert_eq!(connect(configs), b"me");
            }
            // Not imported, it is for the suites of its own hash alone.
            let key = || plain(b"me", &KEY).with_hash(hash).danger_not_imported();
            let configs = with((client.clone(), server.clone()), vec![key()], vec![key()]);
            let of_384 = suite == CipherSuiteId::TLS_AES_256_GCM_SHA384;
            match of_384 == (hash == PskHash::Sha384) {
                true => assert_eq!(connect(configs), b"me"),
                false => assert!(matches!(refused(configs), Error::NoOverlap(NoOverlap::Psk))),
            }
        }
    }
    // The hash that the key belongs to is part of it.
    let (ours, theirs) = (named(b"me", &KEY), named(b"me", &KEY).with_hash(PskHash::Sha384));
    let error = refused(with(configs(431), vec![ours], vec![theirs]));
    assert!(matches!(error, Error::Violation(Violation::BadBinder)), "{error:?}");
}

#[test]
fn one_of_several() {
    let keys = |names: &[&str]| -> Vec<ExternalPsk> {
        names.iter().map(|name| named(name.as_bytes(), &[name.as_bytes()[0]; 32])).collect()
    };
    for (ours, theirs, chosen) in [
        (&["a", "b", "c"][..], &["c"][..], "c"),
        // The server's order decides.
        (&["a", "b", "c"], &["c", "b"], "c"),
        (&["c"], &["a", "b", "c"], "c"),
        (&["a", "b"], &["b", "a"], "b"),
    ] {
        let configs = with(configs(432), keys(ours), keys(theirs));
        assert_eq!(connect(configs), chosen.as_bytes());
    }
}

/// A server looks at a bounded number of identities: two for each key, since there is one for each hash.
#[test]
fn very_many_keys() {
    let keys: Vec<_> = (0..50).map(|i| named(format!("{i}").as_bytes(), &KEY)).collect();
    assert_eq!(connect(with(configs(433), keys, vec![named(b"0", &KEY)])), b"0");
    let keys: Vec<_> = (0..50).map(|i| named(format!("{i}").as_bytes(), &KEY)).collect();
    let error = refused(with(configs(433), keys, vec![named(b"49", &KEY)]));
    assert!(matches!(error, Error::NoOverlap(NoOverlap::Psk)));
}

/// What a client says first, sent back to a server of the same process (RFC 9257 §4.1).
fn reflect(as_client: ExternalPsk, as_server: ExternalPsk) -> Pair {
    let (client, server) = with(configs(434), vec![as_client], vec![as_server]);
    let mut pair = Calls::PLAIN.pair(client, server);
    pair.pump();
    pair
}

#[test]
fn pitfall_33_selfie() {
    // Without roles, an end talks to itself and does not notice.
    let shared = || plain(b"group", &KEY);
    let pair = reflect(shared(), shared());
    assert!(pair.client.conn.is_connected() && pair.server.conn.is_connected());
    // With roles it has one key as the client "one" of the server "two", and another as the server "one".
    let as_client = shared().with_roles(b"one", b"two").unwrap();
    let as_server = shared().with_roles(b"two", b"one").unwrap();
    let pair = reflect(as_client, as_server);
    assert!(!pair.client.conn.is_connected() && !pair.server.conn.is_connected());
    assert!(matches!(pair.server.error, Some(Error::NoOverlap(NoOverlap::Psk))));
    assert!(matches!(pair.client.error, Some(Error::PeerAlert(Alert::unknown_psk_identity))));
    // The real peer has it the other way round.
    let ours = shared().with_roles(b"one", b"two").unwrap();
    let theirs = shared().with_roles(b"one", b"two").unwrap();
    assert_eq!(connect(with(configs(434), vec![ours], vec![theirs])), b"group");
}

/// Names are told apart by their lengths: nothing can be moved from one to the other.
#[test]
fn pitfall_33_roles_are_not_just_glued_together() {
    let roles =
        |client: &[u8], server: &[u8]| plain(b"x", &KEY).with_roles(client, server).unwrap();
    for (client, server) in [(&b"ab"[..], &b"c"[..]), (b"", b"abc"), (b"abc", b""), (b"c", b"ab")] {
        let configs = with(configs(435), vec![roles(b"a", b"bc")], vec![roles(client, server)]);
        assert!(matches!(refused(configs), Error::NoOverlap(NoOverlap::Psk)));
    }
    // Nor from the identity to the context.
    let context =
        |identity: &[u8], context: &[u8]| plain(identity, &KEY).with_context(context).unwrap();
    for (identity, other) in [(&b"a"[..], &b"bc"[..]), (b"abc", b""), (b"ab", b"C")] {
        let ours = vec![context(b"ab", b"c")];
        let configs = with(configs(435), ours, vec![context(identity, other)]);
        assert!(matches!(refused(configs), Error::NoOverlap(NoOverlap::Psk)));
    }
}

#[test]
fn pitfall_33_an_identity_with_nul_or_a_prefix() {
    let names: [&[u8]; 7] = [b"a", b"a\0", b"a\0b", b"\0", b"ab", b"A", b"\xff\xfe"];
    for name in names {
        // All share one key, so that only the name can tell them apart.
        let all = || names.iter().map(|name| named(name, &KEY)).collect::<Vec<_>>();
        assert_eq!(connect(with(configs(436), vec![named(name, &KEY)], all())), name);
        let others: Vec<_> =
            names.iter().filter(|n| **n != name).map(|name| named(name, &KEY)).collect();
        let error = refused(with(configs(436), vec![named(name, &KEY)], others));
        assert!(matches!(error, Error::NoOverlap(NoOverlap::Psk)), "{name:?}");
        // Under bare identities, too.
        let bare = |name: &[u8]| plain(name, &KEY).danger_not_imported();
        let all = || names.iter().map(|name| bare(name)).collect::<Vec<_>>();
        let (client, server) = configs(436);
        let suite = CipherSuiteId::TLS_AES_128_GCM_SHA256;
        let server = server.with_suites(&[suite]).unwrap();
        assert_eq!(connect(with((client, server), vec![bare(name)], all())), name);
    }
}

#[test]
fn pitfall_33_imported_and_not_imported_do_not_mix() {
    let (client, server) = configs(437);
    let server = server.with_suites(&[CipherSuiteId::TLS_AES_128_GCM_SHA256]).unwrap();
    let imported = || plain(b"me", &KEY);
    let bare = || plain(b"me", &KEY).danger_not_imported();
    for (ours, theirs) in [(imported(), bare()), (bare(), imported())] {
        let error = refused(with((client.clone(), server.clone()), vec![ours], vec![theirs]));
        assert!(matches!(error, Error::NoOverlap(NoOverlap::Psk)), "{error:?}");
    }
    assert_eq!(connect(with((client.clone(), server.clone()), vec![bare()], vec![bare()])), b"me");
    // Somebody who names a key as an imported one is named on the wire does not get around the import.
    let wire = [&[0, 2][..], b"me", &[0, 0, 3, 4, 0, 1]].concat();
    let forged = plain(&wire, &KEY).danger_not_imported();
    let error = refused(with((client, server), vec![forged], vec![imported()]));
    assert!(matches!(error, Error::Violation(Violation::BadBinder)), "{error:?}");
}

#[test]
fn pitfall_33_another_key_under_the_same_name() {
    for i in [0, 31] {
        let mut other = KEY;
        other[i] ^= 1;
        let configs = with(configs(438), vec![named(b"me", &KEY)], vec![named(b"me", &other)]);
        let error = refused(configs);
        assert!(matches!(error, Error::Violation(Violation::BadBinder)), "{error:?}");
    }
}

/// A password is no key.
#[test]
fn pitfall_33_a_key_that_is_short_or_zero() {
    for key in [&b""[..], b"hunter2", &[1; 15], &[0; 16], &[0; 32], &[1; 81]] {
        assert!(ExternalPsk::new(b"me", key).is_err(), "{key:?}");
    }
    assert!(ExternalPsk::new(b"me", &[1; 16]).is_ok());
}

#[test]
fn pitfall_33_a_key_that_is_declined() {
    let (client, server) = configs(439);
    let (bare_client, bare_server) = (client.clone(), server.clone());
    let keyed = with((client, server), vec![named(b"me", &KEY)], vec![named(b"me", &KEY)]);
    // A server that knows nothing of it shows its certificate. The client does not take that instead.
    let mut pair = Calls::PLAIN.pair(keyed.0.clone(), bare_server.clone());
    pair.pump();
    assert!(matches!(pair.client.error, Some(Error::Violation(Violation::PskDeclined))));
    assert_eq!(pair.client.times_connected(), 0);
    assert!(!pair.server.conn.is_connected());
    // Nor does a server take a client without.
    let error = refused((bare_client.clone(), keyed.1.clone()));
    assert!(matches!(error, Error::NoOverlap(NoOverlap::Psk)));

    // Who says so takes either.
    let either = PskPolicy::OrCertificate;
    let key = || vec![Arc::new(named(b"me", &KEY))];
    let client = bare_client.clone().with_external_psks(key(), either);
    let server = bare_server.clone().with_external_psks(key(), either);
    for (client, server, keyed) in [
        (client.clone(), bare_server, false),
        (bare_client, server.clone(), false),
        (client, server, true),
    ] {
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        pair.chat();
        let summary = pair.client.conn.summary().unwrap();
        assert_eq!(summary.external_psk.is_some(), keyed);
        // Without the key the certificate was looked at.
        assert_eq!((summary.peer_chain.is_empty(), summary.peer_scheme.is_none()), (keyed, keyed));
    }
    // And a certificate is not taken blindly.
    let provider = super::support::seeded(1);
    let verifier = sealwire::Verifier::new(super::support::pki().other_anchors());
    let client = ClientConfig::new(provider, verifier).unwrap().with_external_psks(key(), either);
    let pair = pair_at(&client, &configs(439).1, server_name(), now());
    pair.refuse(Role::Client, Alert::unknown_ca);
}

/// A server without any certificate, that lives of its keys alone.
#[test]
fn a_server_without_a_certificate() {
    let (client, server) = configs(440);
    let server = ServerConfig::new(server.provider().clone(), Vec::new()).unwrap();
    let keys = || vec![named(b"me", &KEY)];
    assert_eq!(connect(with((client, server), keys(), keys())), b"me");
}

/// RFC 9846 §4.3.9: a key without key exchange, if both insist on that.
#[test]
fn without_a_key_exchange() {
    let keys = || vec![named(b"me", &KEY)];
    let both = with(configs(441), keys(), keys());
    let dangerous = both.0.clone().with_danger_psk_without_key_exchange();
    let server = both.1.clone().with_danger_psk_without_key_exchange();
    // The client can do both, and a key exchange is better.
    for (client, server) in
        [(dangerous.clone(), server.clone()), (dangerous, both.1), (both.0, server)]
    {
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        pair.chat();
        assert_eq!(used(&pair), b"me");
        let group = pair.client.conn.summary().unwrap().group;
        assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    }
}

/// A world in which both have these keys.
fn keyed(world: &World, ours: &[ExternalPsk], theirs: &[ExternalPsk], policy: PskPolicy) -> World {
    let arcs = |keys: &[ExternalPsk]| keys.iter().map(copy_of).map(Arc::new).collect();
    World {
        client: world.client.clone().with_external_psks(arcs(ours), policy),
        server: world.server.clone().with_external_psks(arcs(theirs), policy),
        ..world.clone()
    }
}

/// A key with the same name, for the tests below, whose keys differ in their names alone.
fn copy_of(key: &ExternalPsk) -> ExternalPsk {
    named(key.identity(), &KEY)
}

/// What both say: whether it was resumed, and the key that it rests on.
fn rests_on(pair: &Pair) -> (bool, Option<Vec<u8>>) {
    let [client, server] = [&pair.client, &pair.server].map(|side| side.conn.summary().unwrap());
    assert_eq!((client.resumed, &client.external_psk), (server.resumed, &server.external_psk));
    (client.resumed, client.external_psk.clone())
}

/// A session of a connection that rested on a key rests on it, too, and says so.
#[test]
fn a_session_of_a_key_is_resumed_under_every_transport() {
    for policy in [PskPolicy::Required, PskPolicy::OrCertificate] {
        Calls::each(|calls| {
            let world = World::early(442);
            let keys = [named(b"me", &KEY)];
            let World { client, server, sessions } = keyed(&world, &keys, &keys, policy);
            let mut pair = calls.pair(client.clone(), server.clone()).connect();
            pair.chat();
            assert_eq!(rests_on(&pair), (false, Some(b"me".to_vec())));
            assert_eq!(sessions.len(), 2);
            for retry in [false, true] {
                let mut client = client.clone();
                if retry {
                    client = client.with_key_shares(&[]).unwrap();
                }
                let mut pair = calls.pair(client, server.clone());
                pair.client.call(|conn, out| conn.write_early(b"early bird", out)).unwrap();
                let mut pair = pair.connect();
                pair.chat();
                assert_eq!(rests_on(&pair), (true, Some(b"me".to_vec())));
                assert_eq!(pair.server.early.is_empty(), retry);
                for role in Role::BOTH {
                    let summary = pair.side(role).conn.summary().unwrap();
                    assert!(summary.peer_chain.is_empty() && summary.peer_scheme.is_none());
                }
            }
        });
    }
}

/// Who insists on a key does not resume without it; who does not, offers whatever session there is.
#[test]
fn keys_and_sessions() {
    let world = World::new(442);
    let keys = [named(b"me", &KEY)];
    let insists = keyed(&world, &keys, &keys, PskPolicy::Required);
    let either = keyed(&world, &keys, &keys, PskPolicy::OrCertificate);
    // With sessions there, from a certificate, it still insists.
    assert!(!world.connect(0));
    assert_eq!(world.sessions.len(), 2);
    assert_eq!(used(&insists.pair(1).connect()), b"me");
    // Those are left to the others.
    assert_eq!(world.sessions.len(), 4);
    assert_eq!(rests_on(&either.pair(1).connect()), (true, None));
    // A server that insists takes none of them either.
    let mixed = World { server: insists.server.clone(), ..either.clone() };
    assert_eq!(rests_on(&mixed.pair(1).connect()), (false, Some(b"me".to_vec())));
}

/// The session ends with the key: when it is taken away, on either side, or replaced by another of its name.
#[test]
fn a_session_of_a_key_ends_with_the_key() {
    let either = PskPolicy::OrCertificate;
    let others = [
        Vec::new(),
        vec![named(b"you", &KEY)],
        vec![named(b"me", &[8; 32])],
        vec![plain(b"me", &KEY).with_roles(b"client", b"another").unwrap()],
        vec![named(b"me", &KEY).with_hash(PskHash::Sha384)],
        vec![named(b"me", &KEY).danger_not_imported()],
    ];
    for other in others {
        let world = World::new(443);
        let key = || vec![Arc::new(named(b"me", &KEY))];
        let client = world.client.clone().with_external_psks(key(), either);
        let server = world.server.clone().with_external_psks(key(), either);
        let connect = |client: &ClientConfig, server: &ServerConfig| {
            let mut pair = pair_at(client, server, server_name(), at(1));
            pair.pump();
            let summary = pair.server.conn.summary().cloned();
            summary.map(|summary| (summary.resumed, summary.external_psk))
        };
        let good = Some((true, Some(b"me".to_vec())));
        assert_eq!(connect(&client, &server), Some((false, Some(b"me".to_vec()))));
        // Two are there; each connection takes one, and leaves two more.
        assert_eq!(connect(&client, &server), good);
        let other: Vec<_> = other.into_iter().map(Arc::new).collect();
        let strange = server.clone().with_external_psks(other.clone(), either);
        assert!(connect(&client, &strange).is_none_or(|(resumed, _)| !resumed));
        let strange = client.clone().with_external_psks(other, either);
        let _ = world.sessions.drain();
        connect(&client, &server);
        assert!(connect(&strange, &server).is_none_or(|(resumed, _)| !resumed));
        // Nor does one that wants a certificate take it, on either side.
        let _ = world.sessions.drain();
        connect(&client, &server);
        assert_eq!(connect(&world.client, &server), Some((false, None)));
        let _ = world.sessions.drain();
        connect(&client, &server);
        assert_eq!(connect(&client, &world.server), Some((false, None)));
    }
}

/// A session of a key is stored elsewhere, and moved with its connection, as any other.
#[test]
fn a_session_of_a_key_is_stored_and_its_issuer_moves() {
    let world = World::new(444);
    let keys = [named(b"me", &KEY)];
    let world = keyed(&world, &keys, &keys, PskPolicy::Required);
    let pair = world.pair(0).connect();
    let sessions = world.sessions.drain();
    let bytes: Vec<_> = sessions.iter().map(|session| session.to_bytes().unwrap()).collect();
    for bytes in &bytes {
        world.sessions.put(sealwire::Session::from_bytes(bytes).unwrap());
    }
    assert_eq!(rests_on(&world.pair(1).connect()), (true, Some(b"me".to_vec())));
    let _ = world.sessions.drain();

    // The server goes on in another process, and issues one more there.
    let mut pair = pair;
    let key = MigrationKey::new(world.server.provider(), &[7; 32]).unwrap();
    let server = Arc::new(world.server.clone());
    let moved = std::mem::replace(&mut pair.server.conn, Connection::server(server.clone()));
    let frozen = moved.freeze(&key).unwrap();
    pair.server.conn = Connection::thaw_server(&server, &key, &frozen).unwrap();
    let now = pair.now;
    pair.server.call(|conn, out| conn.send_ticket(now, out)).unwrap();
    pair.pump();
    assert_eq!(world.sessions.len(), 1);
    assert_eq!(rests_on(&world.pair(1).connect()), (true, Some(b"me".to_vec())));
}

#[test]
fn pitfall_26_a_key_shows_its_name_only() {
    let shown = format!("{:?}", named(b"me", &[0xab; 32]));
    assert!(shown.contains("me") && !shown.contains("171") && !shown.contains("abab"), "{shown}");
}

/// A reflected flight byte for byte, to a server that never saw the client.
#[test]
fn pitfall_33_the_very_bytes_come_back() {
    let mine = |a: &[u8], b: &[u8]| plain(b"group", &KEY).with_roles(a, b).unwrap();
    let (client, server) = with(configs(443), vec![mine(b"1", b"2")], vec![mine(b"2", b"1")]);
    let pair = pair_at(&client, &server, server_name(), at(0));
    let mut flight = pair.client.wire;
    let (mut own, mut out, mut from) = (Connection::server(Arc::new(server)), Vec::new(), 0);
    let error = loop {
        match own.read(at(0), &mut flight[from..], &mut out) {
            Ok(sealwire::Read::Control { used }) => from += used,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NoOverlap(NoOverlap::Psk)));
}
