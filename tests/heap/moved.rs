//! Connections that come apart or move: halves, keys for elsewhere, frozen and thawed.

use std::sync::Arc;

use sealwire::{Connection, MemorySessions, MigrationKey, TicketKeys};

use super::arena::{Arena, watch};
use super::known::{Known, State, check, count};
use super::support::{Pair, now};
use super::{SUITES, complete, configs, connect, in_use, notes};

#[test]
fn a_connection_that_moves() {
    let notes = notes();
    let arena = Arena::empty();
    let key: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap() + 1);
    let migration = [Known { name: "migration key".to_owned(), bytes: key.to_vec() }];
    let (client, server, key) = watch(|| {
        let (client, server) = configs(10, notes);
        let keys = TicketKeys::new(server.provider(), now()).unwrap();
        let client = client.with_sessions(Arc::new(MemorySessions::default()));
        let key = MigrationKey::new(server.provider(), &key).unwrap();
        (Arc::new(client), Arc::new(server.with_tickets(Arc::new(keys))), key)
    });
    let Pair { client: near, server: far, .. } = watch(|| connect(&client, &server));
    let (_, hkdf, key_len) = SUITES[0];
    complete(notes, hkdf, key_len, None);
    let secrets = in_use(notes);

    let (near, far) = watch(|| (near.conn.freeze(&key).unwrap(), far.conn.freeze(&key).unwrap()));
    check(&arena, "frozen", State::Spent, &notes.all());
    let thawed = watch(|| {
        let near = Connection::thaw_client(&client, &key, &near).unwrap();
        (near, Connection::thaw_server(&server, &key, &far).unwrap())
    });
    assert!(secrets.iter().any(|secret| count(&arena, secret) == 2), "one at each end");
    check(&arena, "thawed", State::InUse, &secrets);
    watch(|| drop(thawed));
    check(&arena, "dropped", State::Spent, &notes.all());
    assert_eq!(count(&arena, &migration[0]), 1);
    watch(|| drop((key, near, far, client, server)));
    check(&arena, "after everything", State::Spent, &migration);
}

#[test]
fn a_connection_that_comes_apart() {
    let notes = notes();
    let arena = Arena::empty();
    let (client, server) = watch(|| configs(11, notes));
    let Pair { client: near, server: far, .. } = watch(|| connect(&client, &server));
    let (_, hkdf, key_len) = SUITES[0];
    complete(notes, hkdf, key_len, None);
    let secrets = in_use(notes);
    let (halves, keys) =
        watch(|| (near.conn.split().unwrap(), far.conn.into_traffic_keys().unwrap()));
    check(&arena, "apart", State::InUse, &secrets);
    let (mut sender, receiver) = halves;
    let mut out = Vec::new();
    watch(|| sender.write(b"data", &mut out)).unwrap();
    assert!(secrets.iter().all(|secret| count(&arena, secret) > 0));
    watch(|| drop((sender, receiver, keys)));
    check(&arena, "dropped", State::Spent, &notes.all());
    watch(|| drop((client, server)));
}
