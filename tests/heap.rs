//! No secret survives its use: the heap is looked through for every secret of a connection.
//!
//! An allocator of the test's own keeps what the library frees, as it was left ([`arena`]). What is looked for is known from
//! the key log, from a provider that notes what it does, and from a second computation of the key schedule ([`known`]). Spent
//! secrets must be nowhere, and those in use nowhere but in memory that is in use.
//!
//! Not looked at: the stack, registers, what the kernel keeps (swap, core dumps), and the copies that the application makes.
//! RSA keys are excluded by name, see `PROVIDER_KEEPS` in `heap/keys.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // Modules of a test.

#[path = "heap/arena.rs"]
mod arena;
#[path = "heap/keys.rs"]
mod keys;
#[path = "heap/known.rs"]
mod known;
#[path = "heap/moved.rs"]
mod moved;
#[path = "heap/psks.rs"]
mod psks;
mod support;

use std::sync::{Arc, Mutex};

use ring::hmac;
use sealwire::codepoints::{CipherSuiteId, HandshakeType, NamedGroup};
use sealwire::crypto::Provider;
use sealwire::crypto::deterministic::MessageHook;
use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientConfig, Credential, MemorySessions, ServerConfig, TicketKeys, Tickets, Verifier,
};

use self::arena::{Arena, aside, watch};
use self::known::{Hkdf, Known, Notes, Stages, State, check, count, note_traffic};
use self::support::{Calls, Kind, Pair, Role, now, pki};

const SUITES: [(CipherSuiteId, Hkdf, usize); 3] = [
    (CipherSuiteId::TLS_AES_128_GCM_SHA256, Hkdf(hmac::HMAC_SHA256), 16),
    (CipherSuiteId::TLS_AES_256_GCM_SHA384, Hkdf(hmac::HMAC_SHA384), 32),
    (CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256, Hkdf(hmac::HMAC_SHA256), 32),
];

/// The certificates, made once and elsewhere; and a credential, whose private key is another test's business.
fn credential(provider: &Provider, kind: Kind) -> Arc<Credential> {
    aside(|| pki().server(kind).credential(provider))
}

/// Configurations that note everything, without a message hook.
fn configs(seed: u64, notes: &'static Notes) -> (ClientConfig, ServerConfig) {
    let [ours, theirs] =
        aside(|| [known::provider(2 * seed, notes), known::provider(2 * seed + 1, notes)]);
    let credential = credential(&theirs, Kind::P256);
    let log: &'static Arc<NoteLog> = aside(|| Box::leak(Box::new(Arc::new(NoteLog(notes)))));
    let client = ClientConfig::new(ours, Verifier::new(aside(|| pki().anchors()))).unwrap();
    let server = ServerConfig::new(theirs, vec![credential]).unwrap();
    (client.with_key_log(log.clone()), server.with_key_log(log.clone()))
}

/// The notes as a key log.
#[derive(Debug)]
struct NoteLog(&'static Notes);

impl sealwire::KeyLog for NoteLog {
    fn log(&self, label: &str, _: &[u8; 32], secret: &[u8]) {
        self.0.note(label, secret);
    }
}

fn notes() -> &'static Notes {
    Box::leak(Box::default())
}

/// What both ends said, in order, for the resumption secret. The ClientHello is as it was before its binders.
fn transcript() -> (MessageHook, Arc<Mutex<Vec<u8>>>) {
    let messages = Arc::new(Mutex::new(Vec::new()));
    let sink = messages.clone();
    let hook = move |kind: HandshakeType, message: &mut Vec<u8>| {
        if kind != HandshakeType::new_session_ticket {
            aside(|| sink.lock().unwrap().extend_from_slice(message));
        }
    };
    (MessageHook(Arc::new(hook)), messages)
}

/// The notes of a connection, completed: all stages, and what the logged secrets lead to.
fn complete(notes: &Notes, hkdf: Hkdf, key_len: usize, psk: Option<&[u8]>) {
    let shared = notes.named("shared secret");
    let stages = Stages::new(hkdf, psk, &shared.last().unwrap().bytes);
    stages.note(notes);
    for logged in notes.all().iter().filter(|known| known.name.contains("TRAFFIC_SECRET")) {
        if !logged.name.contains(',') {
            note_traffic(notes, hkdf, key_len, &logged.name, &logged.bytes);
        }
    }
}

/// Those of the handshake, which nobody needs when it is over.
fn spent(notes: &Notes) -> Vec<Known> {
    let mut all = notes.all();
    all.retain(|known| !is_in_use(&known.name));
    assert!(all.iter().any(|known| known.name == "SERVER_HANDSHAKE_TRAFFIC_SECRET"));
    assert!(all.iter().any(|known| known.name.ends_with("key of records")));
    all
}

/// Those that a connection needs until it ends.
fn in_use(notes: &Notes) -> Vec<Known> {
    let mut all = notes.all();
    all.retain(|known| is_in_use(&known.name));
    all
}

fn is_in_use(name: &str) -> bool {
    let traffic = name.starts_with("CLIENT_TRAFFIC") || name.starts_with("SERVER_TRAFFIC");
    traffic && !name.ends_with("Finished")
        || name == "EXPORTER_SECRET"
        || name.starts_with("resumption")
}

#[test]
fn a_connection_from_its_beginning_to_its_end() {
    for (suite, hkdf, key_len) in SUITES {
        for group in [NamedGroup::X25519MLKEM768, NamedGroup::x25519, NamedGroup::secp256r1] {
            println!("{suite} {group}");
            one_connection(suite, hkdf, key_len, group);
        }
    }
}

fn one_connection(suite: CipherSuiteId, hkdf: Hkdf, key_len: usize, group: NamedGroup) {
    let notes = notes();
    let (hook, messages) = transcript();
    let arena = Arena::empty();
    let (client, server) = watch(|| {
        let (client, server) = configs(1, notes);
        let keys = TicketKeys::new(client.provider(), now()).unwrap();
        let client = client.with_suites(&[suite]).unwrap().with_groups(&[group]).unwrap();
        let client = client.with_sessions(Arc::new(MemorySessions::default()));
        let server = server.with_tickets(Arc::new(keys)).with_message_hook(hook.clone());
        (client.with_message_hook(hook), server)
    });
    let mut pair = watch(|| Calls::PLAIN.pair(client.clone(), server.clone()).connect());
    complete(notes, hkdf, key_len, None);
    let [shared] = &notes.named("shared secret")[..] else { panic!("both ends agree on one") };
    let stages = Stages::new(hkdf, None, &shared.bytes);
    let messages = messages.lock().unwrap().clone();
    // What was computed here is what the library computed there.
    let server_hello = 4 + usize::from(u16::from_be_bytes([messages[2], messages[3]]));
    let hellos = server_hello + 4 + usize::from(messages[server_hello + 3]);
    let hellos = match group {
        // ServerHello is longer than 255 bytes with ML-KEM.
        NamedGroup::X25519MLKEM768 => hellos + (usize::from(messages[server_hello + 2]) << 8),
        _ => hellos,
    };
    let logged = &notes.named("SERVER_HANDSHAKE_TRAFFIC_SECRET")[0].bytes;
    assert_eq!(&hkdf.derive(&stages.handshake, "s hs traffic", &messages[..hellos]), logged);
    let resumption = hkdf.derive(&stages.main, "res master", &messages);
    notes.note("resumption secret", &resumption);
    for number in 0_u32..2 {
        let psk = hkdf.expand(&resumption, "resumption", &number.to_be_bytes(), hkdf.len());
        notes.note("PSK of a session", &psk);
    }

    let mut sessions = notes.named("PSK of a session");
    let in_the_store = count(&arena, &sessions[0]);
    assert_eq!(in_the_store, 1, "the client has the key of each ticket, once");
    let (spent, mut using) = (spent(notes), in_use(notes));
    let spent: Vec<_> = spent.into_iter().filter(|k| !k.name.starts_with("PSK")).collect();
    using.append(&mut sessions);
    check(&arena, "after the handshake", State::Spent, &spent);
    check(&arena, "after the handshake", State::InUse, &using);
    assert!(
        using.iter().all(|known| known.name.contains("of records") || count(&arena, known) > 0)
    );

    watch(|| {
        pair.chat();
        pair.client.update_keys(true).unwrap();
        pair.pump();
        pair.chat();
        pair.client.export(b"label", None).unwrap();
    });
    let generation: Vec<_> = using.iter().filter(|k| k.name.contains("TRAFFIC")).cloned().collect();
    assert!(generation.len() >= 4, "two directions, secret and key");
    check(&arena, "after KeyUpdate", State::Spent, &generation);
    let exporter = &notes.named("EXPORTER_SECRET")[0].bytes;
    notes.note("secret of one label", &hkdf.derive(exporter, "label", b""));
    for (name, secret) in
        generation.iter().filter(|k| k.bytes.len() == hkdf.len()).map(|k| (&k.name, &k.bytes))
    {
        let next = hkdf.expand(secret, "traffic upd", b"", hkdf.len());
        notes.note(&format!("next {name}"), &next);
        note_traffic(notes, hkdf, key_len, &format!("next {name}"), &next);
    }
    assert!(count(&arena, &notes.named("next ")[0]) > 0, "it is in use");
    check(&arena, "exporter", State::Spent, &notes.named("secret of one label"));

    watch(|| {
        pair.client.close().unwrap();
        pair.server.close().unwrap();
        pair.pump();
        drop(pair);
    });
    let mut all = notes.all();
    all.retain(|known| !known.name.starts_with("PSK"));
    check(&arena, "after the end", State::Spent, &all);
    check(&arena, "after the end", State::InUse, &notes.all());
    watch(|| drop((client, server)));
    check(&arena, "after everything", State::Spent, &notes.all());
}

#[test]
fn a_key_share_that_nobody_took() {
    let notes = notes();
    let arena = Arena::empty();
    let (client, server) = watch(|| {
        let (client, server) = configs(2, notes);
        let groups = [NamedGroup::X25519MLKEM768, NamedGroup::secp384r1];
        let client = client.with_groups(&groups).unwrap();
        let client = client.with_key_shares(&groups[..1]).unwrap();
        (client, server.with_groups(&groups[1..]).unwrap())
    });
    let pair = watch(|| Calls::PLAIN.pair(client, server).connect());
    assert!(pair.client.conn.summary().unwrap().retried);
    assert!(notes.named("private key").len() >= 3, "the first share's, the second's, the server's");
    check(&arena, "after a retry", State::Spent, &notes.named("private key"));
    check(&arena, "after a retry", State::Spent, &notes.named("shared secret"));
    watch(|| drop(pair));
}

#[test]
fn pitfall_24_a_connection_that_has_failed_keeps_nothing() {
    for role in Role::BOTH {
        for (suite, hkdf, key_len) in SUITES {
            one_failure(role, suite, hkdf, key_len);
        }
    }
}

fn one_failure(role: Role, suite: CipherSuiteId, hkdf: Hkdf, key_len: usize) {
    // Once without looking: x509-parser makes tables when it first names something, and keeps them beyond any arena.
    drop(failed(role, suite, notes()));
    let notes = notes();
    let arena = Arena::empty();
    let pair = watch(|| failed(role, suite, notes));
    complete(notes, hkdf, key_len, None);
    // Both connections are still there.
    check(&arena, "after an error", State::Spent, &notes.all());
    watch(|| drop(pair));
}

/// The client has refused the certificate; or the server a record that was changed on its way.
fn failed(role: Role, suite: CipherSuiteId, notes: &'static Notes) -> Pair {
    let (client, server) = configs(3, notes);
    let client = match role {
        Role::Client => {
            let verifier = Verifier::new(aside(|| pki().other_anchors()));
            let log = Arc::new(NoteLog(notes));
            let provider = client.provider().clone();
            ClientConfig::new(provider, verifier).unwrap().with_key_log(log)
        }
        Role::Server => client,
    };
    let mut pair = Calls::PLAIN.pair(client.with_suites(&[suite]).unwrap(), server);
    if role == Role::Server {
        pair = pair.connect();
        pair.client.write(b"data").unwrap();
        *pair.client.wire.last_mut().unwrap() ^= 1;
    }
    pair.pump();
    assert!(pair.client.error.is_some() && pair.server.error.is_some());
    pair
}

#[test]
fn the_search_finds_what_is_left_behind() {
    let arena = Arena::empty();
    let secret = Known { name: "planted".to_owned(), bytes: (1..=32).collect() };
    let kept = watch(|| {
        let mut kept = Vec::with_capacity(40);
        kept.push(0);
        kept.extend_from_slice(&secret.bytes);
        drop(kept.clone());
        kept
    });
    let states: Vec<bool> = arena.find(&[&secret.bytes]).iter().map(|found| found.live).collect();
    assert_eq!(states, [true, false]);
    watch(|| drop(kept));
    assert_eq!(count(&arena, &secret), 2);
    // A buffer that grows is left behind, too; and half a secret is found.
    let mut growing = watch(|| secret.bytes[16..].to_vec());
    watch(|| growing.reserve(1000));
    let found = arena.find(&[&secret.bytes[16..]]);
    assert_eq!(found.iter().filter(|found| found.live).count(), 1);
    assert_eq!(found.len(), 4);
    let leak = std::panic::catch_unwind(|| {
        check(&arena, "now", State::InUse, std::slice::from_ref(&secret))
    });
    assert!(leak.is_err());
    // What the test itself allocates is not looked at, and what it wipes is gone.
    let wiped = Known { name: "wiped".to_owned(), bytes: (101..=132).collect() };
    watch(|| drop(zeroize::Zeroizing::new(wiped.bytes.clone())));
    check(&arena, "wiped", State::Spent, &[wiped]);
    watch(|| drop(growing));
}

/// A server's tickets that note what they are given.
#[derive(Debug)]
struct NotingTickets {
    keys: TicketKeys,
    notes: &'static Notes,
}

impl Tickets for NotingTickets {
    fn issue(&self, state: &[u8], now: UnixTime, lifetime: std::time::Duration) -> Option<Vec<u8>> {
        // Version, suite, and the key with its length in front.
        let len = usize::from(state[3]);
        self.notes.note("PSK of a session", &state[4..4 + len]);
        self.keys.issue(state, now, lifetime)
    }

    fn redeem(&self, ticket: &[u8], now: UnixTime) -> Option<sealwire::RedeemedTicket> {
        self.keys.redeem(ticket, now)
    }
}

/// Connects once, and says what it took.
fn connect(client: &ClientConfig, server: &ServerConfig) -> Pair {
    Calls::PLAIN.pair(client.clone(), server.clone()).connect()
}
