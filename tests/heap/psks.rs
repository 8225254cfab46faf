//! Pre-shared keys: of tickets, from elsewhere, and the keys that tickets are sealed with.

use std::sync::Arc;
use std::time::Duration;

use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::{
    CookieKey, ExternalPsk, MemoryReplay, MemorySessions, MemoryTickets, PskHash, PskPolicy,
    Session, TicketKeys, Tickets,
};

use super::arena::{Arena, aside, watch};
use super::known::{Hkdf, Known, State, check, count};
use super::support::{Calls, later, now};
use super::{NotingTickets, SUITES, complete, configs, connect, in_use, notes, spent};

const SUITE: CipherSuiteId = CipherSuiteId::TLS_AES_128_GCM_SHA256;

fn known(name: &str, bytes: &[u8]) -> Known {
    Known { name: name.to_owned(), bytes: bytes.to_vec() }
}

/// The keys in what [`TicketKeys::export`] gives: magic, suite, period, overlap; then number and key of each period.
fn exported_keys(bytes: &[u8]) -> Vec<Known> {
    let keys = &bytes[b"sealwire ticket keys\x01".len() + 2 + 8 + 8..];
    keys.chunks(40).map(|key| known("ticket key", &key[8..])).collect()
}

#[test]
fn a_session_is_resumed_with_early_data() {
    let notes = notes();
    let arena = Arena::empty();
    let (client, server, keys) = watch(|| {
        let (client, server) = configs(4, notes);
        let keys = TicketKeys::new(server.provider(), now()).unwrap();
        let keys = Arc::new(NotingTickets { keys, notes });
        let replay = Arc::new(MemoryReplay::new(100, later(-3600)));
        let client = client.with_suites(&[SUITE]).unwrap();
        let client = client.with_groups(&[NamedGroup::x25519]).unwrap();
        let client = client.with_sessions(Arc::new(MemorySessions::default()));
        let client = client.with_early_data(true);
        let server = server.with_tickets(keys.clone()).with_ticket_policy(1, 3600).unwrap();
        (client, server.with_early_data(replay, 1000), keys)
    });
    watch(|| drop(connect(&client, &server)));
    let [psk] = &notes.named("PSK of a session")[..] else { panic!("one ticket") };
    assert_eq!(count(&arena, psk), 1, "in the client's store");

    let pair = watch(|| {
        let mut pair = Calls::PLAIN.pair(client.clone(), server.clone());
        pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
        let pair = pair.connect();
        assert_eq!(pair.server.early, b"early");
        assert!(pair.client.conn.summary().unwrap().resumed);
        pair
    });
    let (_, hkdf, key_len) = SUITES[0];
    complete(notes, hkdf, key_len, Some(&psk.bytes));
    assert!(notes.all().iter().any(|k| k.name == "CLIENT_EARLY_TRAFFIC_SECRET, key of records"));
    let [_, next] = &notes.named("PSK of a session")[..] else { panic!("another ticket") };
    let mut gone = spent(notes);
    gone.retain(|known| known.bytes != next.bytes);
    assert!(gone.iter().any(|known| known.bytes == psk.bytes));
    check(&arena, "after the handshake", State::Spent, &gone);
    check(&arena, "after the handshake", State::InUse, &in_use(notes));

    let ticket_keys = exported_keys(&keys.keys.export(now()).unwrap());
    watch(|| drop(keys.keys.export(now()).unwrap()));
    assert!(count(&arena, &ticket_keys[0]) > 0);
    check(&arena, "the ticket key is in use", State::InUse, &ticket_keys);
    // Days later there is another, and the old one is forgotten.
    watch(|| drop(keys.keys.issue(&[0; 200], later(14 * 24 * 3600), Duration::from_secs(60))));
    check(&arena, "the ticket key is forgotten", State::Spent, &ticket_keys);
    watch(|| drop((pair, client, server, keys)));
    check(&arena, "after everything", State::Spent, &notes.all());
}

#[test]
fn sessions_and_ticket_keys_that_are_written_and_read() {
    let notes = notes();
    let arena = Arena::empty();
    let (sessions, keys, session) = watch(|| {
        let (client, server) = configs(5, notes);
        let keys = TicketKeys::new(server.provider(), now()).unwrap();
        let keys = Arc::new(NotingTickets { keys, notes });
        let sessions = Arc::new(MemorySessions::default());
        let client = client.with_sessions(sessions.clone());
        drop(connect(&client, &server.with_tickets(keys.clone())));
        let mut all = sessions.drain();
        assert_eq!(all.len(), 2);
        (sessions, keys, all.pop().unwrap())
    });
    let all = notes.named("PSK of a session");
    let bytes = watch(|| session.to_bytes().unwrap());
    let [written] = &all[1..] else { panic!("two tickets") };
    assert_eq!(count(&arena, written), 2, "the session, and its bytes");
    check(&arena, "written", State::InUse, &all[1..]);
    check(&arena, "the other was dropped", State::Spent, &all[..1]);
    let again = watch(|| {
        drop(session);
        let session = Session::from_bytes(&bytes).unwrap();
        drop(bytes);
        session
    });
    assert_eq!(count(&arena, written), 1);
    watch(|| drop((again, sessions)));
    check(&arena, "dropped", State::Spent, &all);

    let exported = watch(|| keys.keys.export(now()).unwrap());
    let secrets = aside(|| exported_keys(&exported));
    assert_eq!(count(&arena, &secrets[0]), 2, "the keys, and their bytes");
    let imported = watch(|| {
        let provider = configs(55, notes).1.provider().clone();
        let imported = TicketKeys::import(&provider, &exported).unwrap();
        // It goes on by itself: the next key is made from this one.
        let ticket = imported.issue(&[7; 100], later(12 * 3600), Duration::from_secs(60)).unwrap();
        assert!(imported.redeem(&ticket, later(12 * 3600)).is_some());
        drop(exported);
        imported
    });
    check(&arena, "imported", State::InUse, &secrets);
    watch(|| drop((imported, keys)));
    check(&arena, "dropped", State::Spent, &secrets);
}

#[test]
fn a_session_that_the_server_keeps() {
    let notes = notes();
    let arena = Arena::empty();
    let (tickets, state) = watch(|| {
        let (_, server) = configs(6, notes);
        (MemoryTickets::new(server.provider(), 1, 1000), aside(|| (10..90).collect::<Vec<u8>>()))
    });
    let secret = [known("state of a ticket", &state)];
    let hour = Duration::from_secs(3600);
    let ticket = watch(|| tickets.issue(&state, now(), hour).unwrap());
    assert_eq!(count(&arena, &secret[0]), 1);
    watch(|| drop(tickets.redeem(&ticket, now()).unwrap()));
    check(&arena, "redeemed", State::Spent, &secret);
    watch(|| {
        tickets.issue(&state, now(), hour).unwrap();
        tickets.issue(&[0; 80], now(), hour).unwrap();
    });
    check(&arena, "displaced by another", State::Spent, &secret);
    watch(|| drop((tickets, ticket)));
}

#[test]
fn keys_from_elsewhere() {
    for imported in [true, false] {
        for (suite, hash, hkdf) in [
            (SUITE, PskHash::Sha256, SUITES[0].1),
            (CipherSuiteId::TLS_AES_256_GCM_SHA384, PskHash::Sha384, SUITES[1].1),
        ] {
            external(imported, suite, hash, hkdf);
        }
    }
}

fn external(imported: bool, suite: CipherSuiteId, hash: PskHash, hkdf: Hkdf) {
    let notes = notes();
    let arena = Arena::empty();
    let key: Vec<u8> = (50..100).collect();
    let (client, server) = watch(|| {
        let (client, server) = configs(7, notes);
        let psk = ExternalPsk::new(b"name", &key).unwrap().with_hash(hash);
        let psk = Arc::new(if imported { psk } else { psk.danger_not_imported() });
        let client = client.with_suites(&[suite]).unwrap();
        let client = client.with_groups(&[NamedGroup::x25519]).unwrap();
        let client = client.with_external_psks(vec![psk.clone()], PskPolicy::Required);
        (client, server.with_external_psks(vec![psk], PskPolicy::Required))
    });
    let pair = watch(|| connect(&client, &server));
    let external = [known("external key", &key)];
    let mut used = key.clone();
    if imported {
        // RFC 9258 §5.1: ImportedIdentity is the name, an empty context, the version and the KDF.
        let kdf = if hash == PskHash::Sha384 { 2 } else { 1 };
        let identity = [&[0, 4][..], b"name", &[0, 0, 3, 4, 0, kdf]].concat();
        let extracted = hkdf.extract(&vec![0; hkdf.len()], &key);
        used = hkdf.derive(&extracted, "derived psk", &identity);
        notes.note("extracted external key", &extracted);
        notes.note("imported key", &used);
    }
    let key_len = if hash == PskHash::Sha384 { 32 } else { 16 };
    complete(notes, hkdf, key_len, Some(&used));
    check(&arena, "after the handshake", State::Spent, &spent(notes));
    check(&arena, "after the handshake", State::InUse, &in_use(notes));
    assert_eq!(count(&arena, &external[0]), 1, "in the configurations, which share it");
    check(&arena, "the external key is in use", State::InUse, &external);
    watch(|| drop((pair, client, server)));
    check(&arena, "after everything", State::Spent, &external);
    check(&arena, "after everything", State::Spent, &notes.all());
}

#[test]
fn the_key_of_cookies() {
    let arena = Arena::empty();
    let notes = notes();
    let key: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap() + 60);
    let previous: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap() + 100);
    let secrets = [known("cookie key", &key), known("previous cookie key", &previous)];
    let (client, server) = watch(|| {
        let (client, server) = configs(8, notes);
        let cookie = CookieKey::new(&key).unwrap().with_previous(&previous).unwrap();
        let server = server.with_groups(&[NamedGroup::secp384r1]).unwrap();
        (client, server.with_stateless_retry(Arc::new(cookie)))
    });
    let pair = watch(|| connect(&client, &server));
    assert!(pair.client.conn.summary().unwrap().retried);
    check(&arena, "in use", State::InUse, &secrets);
    watch(|| drop((pair, client, server)));
    check(&arena, "dropped", State::Spent, &secrets);
}
