//! What is not thawed, and what cannot be frozen.

use std::sync::Arc;

use sealwire::codepoints::CipherSuiteId;
use sealwire::{ClientAuth, Connection, Error, Event, FixedOutput, MigrationKey, Misuse, Verifier};

use super::support::{self, Calls, Role, configs, now, seeded};
use super::{KEY, World, key, misuse};

/// Pitfall: imported state used twice.
#[test]
fn a_blob_is_thawed_once() {
    for role in Role::BOTH {
        let mut world = World::new(309);
        let blob = world.freeze(role);
        // A failure does not use it up.
        let other = match role {
            Role::Client => Connection::thaw_server(&world.server, &world.key, &blob).map(drop),
            Role::Server => Connection::thaw_client(&world.client, &world.key, &blob).map(drop),
        };
        assert!(matches!(misuse(other), Misuse::Migration));
        world.pair.side(role).conn = world.thaw(role, &world.key, &blob).unwrap();
        for _ in 0..3 {
            assert!(matches!(misuse(world.thaw(role, &world.key, &blob)), Misuse::Migration));
        }
        world.pair.chat();
        // The same connection, frozen again, is another blob.
        let again = world.freeze(role);
        assert_ne!(again, blob);
        assert!(matches!(misuse(world.thaw(role, &world.key, &blob)), Misuse::Migration));
        world.pair.side(role).conn = world.thaw(role, &world.key, &again).unwrap();
        world.pair.chat();
    }
}

#[test]
fn of_many_threads_one_thaws() {
    let mut world = World::new(310);
    let blob = world.freeze(Role::Server);
    let (server, key) = (world.server.clone(), &world.key);
    let wins = std::thread::scope(|scope| {
        let thaw = || scope.spawn(|| Connection::thaw_server(&server, key, &blob).is_ok());
        let all: Vec<_> = (0..8).map(|_| thaw()).collect();
        all.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
    });
    assert_eq!(wins, 1);
}

#[test]
fn every_changed_byte_and_every_cut_is_refused() {
    for role in Role::BOTH {
        let mut world = World::new(311);
        let blob = world.freeze(role);
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1 << (at % 8);
            let refused = misuse(world.thaw(role, &world.key, &changed));
            assert!(matches!(refused, Misuse::Migration), "byte {at}: {refused:?}");
            let refused = misuse(world.thaw(role, &world.key, &blob[..at]));
            assert!(matches!(refused, Misuse::Migration), "cut at {at}: {refused:?}");
        }
        let longer = [&blob[..], &[0]].concat();
        assert!(matches!(misuse(world.thaw(role, &world.key, &longer)), Misuse::Migration));
        let mut other = KEY;
        other[31] ^= 1;
        let other = MigrationKey::new(&seeded(1), &other).unwrap();
        assert!(matches!(misuse(world.thaw(role, &other, &blob)), Misuse::Migration));
        // The next version, which is in the header.
        let mut next = blob.clone();
        let version = b"sealwire connection".len();
        assert_eq!(next[version], 4);
        next[version] += 1;
        assert!(matches!(misuse(world.thaw(role, &world.key, &next)), Misuse::Migration));
        // And after all that it is still good.
        world.pair.side(role).conn = world.thaw(role, &world.key, &blob).unwrap();
        world.pair.chat();
    }
}

const HEAD: usize = b"sealwire connection".len() + 1 + 2 + 32;

/// Opens a blob with the key that the tests have, lets `change` have what is inside, and seals it again.
fn forge(blob: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (head, sealed) = blob.split_at(HEAD);
    let suite = seeded(1).suite(CipherSuiteId::TLS_AES_256_GCM_SHA384).unwrap();
    let derive = |label: &[u8]| suite.hash.hmac(&KEY, &[label, &head[HEAD - 32..]]);
    let aead = suite.aead.key(&derive(b"sealwire migration key").expose()[..32]).unwrap();
    let nonce = derive(b"sealwire migration nonce").expose()[..12].try_into().unwrap();
    let mut body = sealed.to_vec();
    let len = aead.open(nonce, head, &mut body).unwrap();
    body.truncate(len);
    change(&mut body);
    let tag = aead.seal(nonce, head, &mut body).unwrap();
    [head, &body, &tag].concat()
}

/// Whoever has the key can seal anything. It is refused, or makes a connection that works or fails, and nothing panics.
#[test]
fn whatever_is_sealed_is_read_with_care() {
    for role in Role::BOTH {
        let mut world = World::new(319);
        let blob = world.freeze(role);
        assert!(forge(&blob, |_| ()) == blob, "the test knows the form");
        let len = blob.len() - HEAD - 16;
        let mut thawed = 0;
        for at in 0..len {
            for value in [0, 1, 0x7f, 0xff] {
                let forged = forge(&blob, |body| body[at] = value);
                let mut conn = match world.thaw(role, &key(), &forged) {
                    Ok(conn) => conn,
                    Err(Error::Misuse(Misuse::Migration | Misuse::NotInProvider(_))) => continue,
                    Err(other) => panic!("byte {at} as {value}: {other:?}"),
                };
                thawed += 1;
                let mut out = Vec::new();
                let _ = conn.write(b"data", &mut out);
                let _ = conn.update_keys(true, &mut out);
                let _ = conn.send_ticket(now(), &mut out);
                let _ = conn.read(now(), &mut [23, 3, 3, 0, 17], &mut out);
                let _ = conn.close(&mut out);
                while conn.poll_event().is_some() {}
            }
            let cut = misuse(world.thaw(role, &key(), &forge(&blob, |body| body.truncate(at))));
            let expected = matches!(cut, Misuse::Migration);
            assert!(expected, "cut at {at}: {cut:?}");
        }
        assert!(thawed > 500, "only {thawed} thaw, and secrets can be anything");
        // Sequence numbers that would wrap, after role, suite, flags, and a secret with its length.
        let hash = usize::from(forge_len(&blob));
        let wrap = forge(&blob, |body| body[5 + hash..13 + hash].fill(0xff));
        assert!(matches!(misuse(world.thaw(role, &key(), &wrap)), Misuse::Migration));
    }
}

/// How long the first secret in a blob is.
fn forge_len(blob: &[u8]) -> u8 {
    let mut len = 0;
    forge(blob, |body| len = body[4]);
    len
}

#[test]
fn a_configuration_without_the_suite_does_not_take_it() {
    let mut world = World::new(312);
    let suite = world.pair.client.conn.summary().unwrap().suite;
    let others: Vec<CipherSuiteId> =
        world.client.provider().suites.iter().map(|s| s.id).filter(|id| *id != suite).collect();
    let blob = world.freeze(Role::Server);
    let lacking = Arc::new((*world.server).clone().with_suites(&others).unwrap());
    let refused = misuse(Connection::thaw_server(&lacking, &world.key, &blob));
    assert!(matches!(refused, Misuse::NotInProvider(_)), "{refused:?}");
    world.pair.server.conn = world.thaw(Role::Server, &world.key, &blob).unwrap();
    world.pair.chat();
}

#[test]
fn not_every_connection_can_be_frozen() {
    // Within the handshake.
    let (client, server) = configs(313);
    let young = Calls::PLAIN.pair(client, server);
    assert!(matches!(misuse(young.client.conn.check_freeze()), Misuse::NotConnected));
    assert!(matches!(misuse(young.client.conn.freeze(&key())), Misuse::NotConnected));
    assert!(matches!(misuse(young.server.conn.freeze(&key())), Misuse::NotConnected));

    // Output that waits.
    let mut world = World::new(314);
    world.pair.client.conn.update_keys(false, &mut FixedOutput::new(&mut [])).unwrap();
    assert!(matches!(misuse(world.pair.client.conn.check_freeze()), Misuse::Busy));
    let mut out = Vec::new();
    world.pair.client.conn.flush(&mut out).unwrap();
    world.pair.client.wire.extend(out);
    world.migrate(Role::Client);
    world.pair.chat();

    // Both sides closed.
    world.pair.client.close().unwrap();
    world.pair.server.close().unwrap();
    world.pair.pump();
    assert!(matches!(misuse(world.pair.server.conn.freeze(&key())), Misuse::Closed));
    assert!(matches!(misuse(world.pair.client.conn.freeze(&key())), Misuse::Closed));

    // Failed.
    let mut world = World::new(315);
    world.pair.client.inbox.extend_from_slice(&[23, 3, 3, 0, 20, 0, 0, 0, 0, 0]);
    world.pair.client.inbox.extend_from_slice(&[0; 15]);
    world.pair.client.drain(now());
    let failed = world.pair.client.conn.freeze(&key()).map(drop);
    assert!(matches!(failed, Err(Error::BadRecordMac)), "{failed:?}");

    // A client that has promised to answer, and a server that waits for an answer. Otherwise the server goes on, and
    // cannot ask any more.
    let asking = || {
        World::with(316, |c, s| {
            let verifier = Verifier::new(support::pki().anchors());
            (c.with_post_handshake_auth(true), s.with_client_auth(ClientAuth::OnRequest(verifier)))
        })
    };
    let mut world = asking();
    assert!(matches!(misuse(world.pair.client.conn.check_freeze()), Misuse::NotMovable));
    world.migrate(Role::Server);
    let asks = world.pair.server.call(|conn, out| conn.request_client_certificate(out));
    assert!(matches!(misuse(asks), Misuse::NoPostHandshakeAuth));
    world.pair.chat();
    let mut world = asking();
    world.pair.server.call(|conn, out| conn.request_client_certificate(out)).unwrap();
    assert!(matches!(misuse(world.pair.server.conn.check_freeze()), Misuse::Busy));
    world.pair.pump();
    world.migrate(Role::Server);
    assert!(matches!(
        world.pair.server.events.last(),
        Some(Event::ClientAnswered { known: false })
    ));
}

#[test]
fn keys_are_neither_weak_nor_printed() {
    let provider = seeded(1);
    assert!(matches!(misuse(MigrationKey::new(&provider, &[0; 32])), Misuse::MigrationKey));
    let key = MigrationKey::new(&provider, &KEY).unwrap();
    assert_eq!(format!("{key:?}"), "MigrationKey(..)");
    assert_eq!(key.secret().expose(), KEY);
    let (one, two) =
        (MigrationKey::generate(&provider).unwrap(), MigrationKey::generate(&provider).unwrap());
    assert_ne!(one.secret().expose(), two.secret().expose());
    // No secret stands in the blob in clear.
    let mut world = World::new(317);
    let blob = world.freeze(Role::Client);
    let keys = world.thaw(Role::Client, &world.key, &blob).unwrap().into_traffic_keys().unwrap();
    for secret in [&keys.sending.secret, &keys.receiving.secret] {
        assert!(!blob.windows(32).any(|window| window == &secret.expose()[..32]));
    }
}
