//! Comparisons of secrets take the same course wherever the difference is: Finished, binder, ticket and record tags.
//!
//! This is shown by valgrind's memcheck, and not by measuring time, which other processes disturb: what memcheck sees is
//! exact. The secret is marked as undefined, and memcheck then counts every branch and every address that depends on it.
//! A comparison in constant time has one branch, on its result; one that stops at the first difference has more the later
//! that is, and a table look-up has addresses. That such are found is tested too.
//!
//! The test starts itself again under valgrind, and says that it is skipped where there is none (`.ci/run` installs it).
//! What ships is optimised code: `cargo test --release --test constant_time`. `MemoryTickets` is not looked at: a name is
//! found in a hash table, by its SipHash under a key of the process, and is worth nothing without its binder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // A module of a test.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

#[path = "constant_time/memcheck.rs"]
mod memcheck;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sealwire::codepoints::{CipherSuiteId, HandshakeType, NamedGroup};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::crypto::{
    Aead, AeadKey, CipherSuite, CryptoError, Hash, HashContext, HashValue, Provider,
};
use sealwire::{
    ClientConfig, Error, ExternalPsk, PskPolicy, Secret, ServerConfig, TicketKeys, Tickets,
    Violation,
};
use support::{Calls, Role, configs, now};

use self::memcheck::{dependent, is_running, undefined};

/// While this is set, everything that an HMAC gives is secret to memcheck.
static ARMED: AtomicBool = AtomicBool::new(false);

/// Runs `work` with every HMAC's output marked.
fn armed<T>(work: impl FnOnce() -> T) -> T {
    ARMED.store(true, Ordering::Relaxed);
    let result = work();
    ARMED.store(false, Ordering::Relaxed);
    result
}

struct MarkingHash(&'static dyn Hash);

impl Hash for MarkingHash {
    fn output_len(&self) -> usize {
        self.0.output_len()
    }

    fn start(&self) -> Box<dyn HashContext> {
        self.0.start()
    }

    fn digest(&self, data: &[u8]) -> HashValue {
        self.0.digest(data)
    }

    fn hmac(&self, key: &[u8], data: &[&[u8]]) -> Secret {
        let secret = self.0.hmac(key, data);
        if ARMED.load(Ordering::Relaxed) {
            undefined(secret.expose());
        }
        secret
    }
}

struct SameAead(&'static dyn Aead);

impl Aead for SameAead {
    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn record_limit(&self) -> u64 {
        self.0.record_limit()
    }

    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        self.0.key(key)
    }
}

/// The provider with such a hash in every suite.
fn marking(provider: &Provider) -> Provider {
    let suites = provider.suites.iter().map(|suite| -> &'static CipherSuite {
        Box::leak(Box::new(CipherSuite {
            id: suite.id,
            hash: Box::leak(Box::new(MarkingHash(suite.hash))),
            aead: Box::leak(Box::new(SameAead(suite.aead))),
        }))
    });
    Provider { suites: Vec::leak(suites.collect()), ..provider.clone() }
}

/// A client, and a server that marks.
fn marking_configs(seed: u64, suite: CipherSuiteId) -> (ClientConfig, ServerConfig) {
    let (client, server) = configs(seed);
    let credential = support::pki().server(support::Kind::P256).credential(server.provider());
    let server = ServerConfig::new(marking(server.provider()), vec![credential]).unwrap();
    let client = client.with_suites(&[suite]).unwrap();
    (client.with_groups(&[NamedGroup::x25519]).unwrap(), server)
}

const SUITES: [CipherSuiteId; 3] = [
    CipherSuiteId::TLS_AES_128_GCM_SHA256,
    CipherSuiteId::TLS_AES_256_GCM_SHA384,
    CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
];

/// The first, a middle and the last of `len` bytes.
fn places(len: usize) -> [usize; 3] {
    [0, len / 2, len - 1]
}

/// All counts are alike. Returns what they are.
fn same(what: &str, counts: &[usize]) -> usize {
    println!("{what}: {counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{what}: {counts:?}");
    counts[0]
}

#[test]
fn pitfall_39_secrets_are_compared_in_constant_time() {
    if !is_running() {
        return under_valgrind("pitfall_39_secrets_are_compared_in_constant_time");
    }
    for suite in SUITES {
        record_tag(suite);
    }
    // Both hashes.
    for suite in [SUITES[1], SUITES[2]] {
        finished(suite);
        binder(suite);
    }
    ticket();
}

/// The MAC that a server computes, against what a client sent (RFC 9846 §4.5.3).
fn finished(suite: CipherSuiteId) {
    let hash = if suite == CipherSuiteId::TLS_AES_256_GCM_SHA384 { 48 } else { 32 };
    let run = |place: usize, mark: bool| {
        let (client, server) = marking_configs(1, suite);
        let hook = move |kind: HandshakeType, message: &mut Vec<u8>| {
            if kind == HandshakeType::finished {
                message[4 + place] ^= 1;
            }
        };
        let client = client.with_message_hook(MessageHook(Arc::new(hook)));
        let mut pair = Calls::PLAIN.pair(client, server);
        while !pair.client.conn.is_connected() {
            pair.deliver(Role::Client);
            pair.deliver(Role::Server);
        }
        let count = dependent(|| match mark {
            true => armed(|| pair.deliver(Role::Client)),
            false => pair.deliver(Role::Client),
        });
        let error = pair.server.error.unwrap();
        assert!(matches!(error, Error::Violation(Violation::BadFinished)), "{error:?}");
        count
    };
    // Finished comes in a record, and memcheck takes the tag of ring's AES-GCM for undefined in any case.
    let record = same("the record of Finished", &places(hash).map(|place| run(place, false)));
    let counts = places(hash).map(|place| run(place, true) - record);
    assert_eq!(same("Finished", &counts), 1, "the result, and nothing else");
}

/// The binder that a server computes, against the one in a ClientHello, whose last bytes it is (RFC 9846 §4.3.11.2).
fn binder(suite: CipherSuiteId) {
    let hash = if suite == CipherSuiteId::TLS_AES_256_GCM_SHA384 { 48 } else { 32 };
    let counts = places(hash).map(|place| {
        let (client, server) = marking_configs(2, suite);
        let psk = || vec![Arc::new(ExternalPsk::new(b"name", &[7; 32]).unwrap())];
        let client = client.with_external_psks(psk(), PskPolicy::Required);
        let server = server.with_external_psks(psk(), PskPolicy::Required);
        let mut pair = Calls::PLAIN.pair(client, server);
        let len = pair.client.wire.len();
        pair.client.wire[len - hash + place] ^= 1;
        let count = dependent(|| armed(|| pair.deliver(Role::Client)));
        let error = pair.server.error.unwrap();
        assert!(matches!(error, Error::Violation(Violation::BadBinder)), "{error:?}");
        count
    });
    assert_eq!(same("binder", &counts), 1, "the result, and nothing else");
}

/// The tag of a record under a key that is secret (RFC 9846 §5.2), which is the provider's to compare.
fn record_tag(suite: CipherSuiteId) {
    let counts = places(16).map(|place| {
        let (client, server) = marking_configs(3, suite);
        let mut pair = Calls::PLAIN.pair(client, server);
        while !pair.client.conn.is_connected() {
            pair.deliver(Role::Client);
            pair.deliver(Role::Server);
        }
        // Here the server derives the key with which the client's data is protected.
        armed(|| pair.deliver(Role::Client));
        assert!(pair.server.conn.is_connected());
        pair.client.write(b"data").unwrap();
        let len = pair.client.wire.len();
        pair.client.wire[len - 16 + place] ^= 1;
        let count = dependent(|| pair.deliver(Role::Client));
        let error = pair.server.error.unwrap();
        assert!(matches!(error, Error::BadRecordMac), "{error:?}");
        count
    });
    assert!((1..=3).contains(&same("record tag", &counts)), "the result, as it is handed on");
}

/// A sealed ticket: the name of its key, and its tag.
fn ticket() {
    let (_, server) = configs(4);
    let keys = TicketKeys::new(&marking(server.provider()), now()).unwrap();
    let ticket = keys.issue(&[9; 100], now(), Duration::from_secs(60)).unwrap();
    assert!(keys.redeem(&ticket, now()).is_some());
    let count = |place: usize| {
        let mut ticket = ticket.clone();
        ticket[place] ^= 1;
        let mut redeemed = None;
        let count = dependent(|| redeemed = armed(|| keys.redeem(&ticket, now())));
        assert!(redeemed.is_none());
        count
    };
    assert_eq!(same("name of a ticket's key", &places(16).map(count)), 1);
    let tag = ticket.len() - 16;
    let counts = places(16).map(|place| count(tag + place));
    assert!((1..=4).contains(&same("tag of a ticket", &counts)), "name, tag, and their results");
    // What was changed inside makes no difference either.
    assert_eq!(same("content of a ticket", &places(100).map(|place| count(32 + place))), counts[0]);
}

/// Comparisons as they must not be are noticed.
#[test]
fn pitfall_39_a_comparison_that_stops_early_is_noticed() {
    if !is_running() {
        return under_valgrind("pitfall_39_a_comparison_that_stops_early_is_noticed");
    }
    let received = [5_u8; 32];
    let count = |place: usize, compare: fn(&[u8], &[u8]) -> bool| {
        let mut secret = received.to_vec();
        secret[place] ^= 1;
        undefined(&secret);
        let mut equal = true;
        dependent(|| {
            if compare(&secret, &received) {
                equal = std::hint::black_box(false);
            }
        })
    };
    fn leaky(a: &[u8], b: &[u8]) -> bool {
        a.iter().zip(b).all(|(x, y)| std::hint::black_box(*x) == *y)
    }
    fn memcmp(a: &[u8], b: &[u8]) -> bool {
        std::hint::black_box(a) == std::hint::black_box(b)
    }
    fn constant(a: &[u8], b: &[u8]) -> bool {
        std::hint::black_box(a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y))) == 0
    }
    for bad in [leaky, memcmp] {
        let counts = places(32).map(|place| count(place, bad));
        println!("planted: {counts:?}");
        assert!(counts[0] < counts[2], "{counts:?}");
    }
    assert_eq!(same("constant", &places(32).map(|place| count(place, constant))), 1);
    // An address that depends on a secret.
    let table = [0_u8; 256];
    let index = vec![3_u8];
    undefined(&index);
    assert!(
        dependent(|| {
            std::hint::black_box(table[usize::from(index[0])]);
        }) > 0
    );
}

/// Starts this test again, under valgrind.
fn under_valgrind(name: &str) {
    let required = std::env::var("SEALWIRE_REQUIRE_PEERS").unwrap_or_default();
    let run = Command::new("valgrind")
        .args(["--tool=memcheck", "--quiet", "--error-limit=no", "--show-leak-kinds=none"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .output();
    let run = match run {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(!required.split(',').any(|peer| peer == "valgrind"), "valgrind is required");
            return println!("skipped: valgrind is not installed");
        }
        other => other.unwrap(),
    };
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "nothing was run: {out}");
    println!("{out}");
}
