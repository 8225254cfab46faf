//! What is to be looked for: every secret of a connection, under a name.
//!
//! Some are seen on their way: the key log tells traffic and exporter secrets, a group that notes what it does tells private
//! keys and shared secrets, and whatever the test makes itself it knows. The rest is computed here a second time, with an
//! HKDF of the test's own (RFC 5869, RFC 9846 §7.1).

use std::fmt;
use std::sync::{Arc, Mutex};

use ring::hmac;
use sealwire::codepoints::NamedGroup;
use sealwire::crypto::deterministic::SeededRng;
use sealwire::crypto::{CryptoError, KeyExchange, KeyPair, Provider, Rng};
use sealwire::{KeyLog, Secret};

use super::arena::{Arena, aside};
use crate::support::seeded;

/// A secret with its name.
#[derive(Clone)]
pub struct Known {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// What a secret may still be good for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is nowhere: neither in use nor left behind.
    Spent,
    /// It may be in memory that is in use, and not in memory that was given back.
    InUse,
}

/// Looks for every one of `secrets`, whole or its first or last 16 bytes.
pub fn check(arena: &Arena, moment: &str, state: State, secrets: &[Known]) {
    let mut patterns = Vec::new();
    for secret in secrets {
        let len = secret.bytes.len();
        assert!(len >= 16, "{} is too short to be found for certain", secret.name);
        patterns.push((secret, &secret.bytes[..16]));
        if len > 16 {
            patterns.push((secret, &secret.bytes[len - 16..]));
        }
    }
    let bytes: Vec<&[u8]> = patterns.iter().map(|(_, bytes)| *bytes).collect();
    let mut leaks: Vec<String> = Vec::new();
    for found in arena.find(&bytes) {
        if !found.live || state == State::Spent {
            leaks.push(format!("{}: {}", patterns[found.pattern].0.name, found.describe()));
        }
    }
    leaks.sort();
    leaks.dedup();
    assert!(leaks.is_empty(), "{moment}: {} leaks\n{}", leaks.len(), leaks.join("\n"));
}

/// How many places each of `secrets` is at, live or not.
pub fn count(arena: &Arena, secret: &Known) -> usize {
    arena.find(&[&secret.bytes]).len()
}

/// Remembers every secret that it is shown. Its notes are not in the arena.
#[derive(Default)]
pub struct Notes(Mutex<Vec<Known>>);

impl Notes {
    pub fn note(&self, name: &str, bytes: &[u8]) {
        aside(|| {
            let mut notes = self.0.lock().unwrap();
            if !notes.iter().any(|known| known.bytes == bytes) {
                notes.push(Known { name: name.to_owned(), bytes: bytes.to_vec() });
            }
        });
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Known> {
        self.0.lock().unwrap().clone()
    }

    /// Those whose names begin like this; there is at least one.
    pub fn named(&self, start: &str) -> Vec<Known> {
        let mut all = self.all();
        all.retain(|known| known.name.starts_with(start));
        assert!(!all.is_empty(), "no {start} was noted");
        all
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notes")
    }
}

impl KeyLog for Notes {
    fn log(&self, label: &str, _: &[u8; 32], secret: &[u8]) {
        self.note(label, secret);
    }
}

/// The deterministic provider, whose groups note what nobody else may know.
pub fn provider(seed: u64, notes: &'static Notes) -> Provider {
    let inner = seeded(seed);
    let groups = inner.groups.iter().map(|group| -> &'static dyn KeyExchange {
        Box::leak(Box::new(NotingGroup { group: *group, notes }))
    });
    Provider { groups: Vec::leak(groups.collect()), ..inner }
}

struct NotingGroup {
    group: &'static dyn KeyExchange,
    notes: &'static Notes,
}

impl KeyExchange for NotingGroup {
    fn group(&self) -> NamedGroup {
        self.group.group()
    }

    fn generate(&self, rng: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError> {
        let pair = self.group.generate(&NotingRng { rng, notes: self.notes })?;
        Ok(Box::new(NotingPair { pair, notes: self.notes }))
    }

    fn respond(&self, rng: &dyn Rng, share: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let result = self.group.respond(&NotingRng { rng, notes: self.notes }, share)?;
        self.notes.note("shared secret", result.1.expose());
        Ok(result)
    }
}

struct NotingPair {
    pair: Box<dyn KeyPair>,
    notes: &'static Notes,
}

impl KeyPair for NotingPair {
    fn share(&self) -> &[u8] {
        self.pair.share()
    }

    fn agree(self: Box<Self>, share: &[u8]) -> Result<Secret, CryptoError> {
        let secret = self.pair.agree(share)?;
        self.notes.note("shared secret", secret.expose());
        Ok(secret)
    }
}

/// What a key pair draws is its private key. One that ring does not like is drawn again, and is a secret all the same.
struct NotingRng<'a> {
    rng: &'a dyn Rng,
    notes: &'static Notes,
}

impl Rng for NotingRng<'_> {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        self.rng.fill(out)?;
        self.notes.note("private key of the exchange", out);
        Ok(())
    }
}

/// HKDF of RFC 5869 with the labels of RFC 9846 §7.1.
#[derive(Clone, Copy)]
pub struct Hkdf(pub hmac::Algorithm);

impl Hkdf {
    pub fn len(self) -> usize {
        self.0.digest_algorithm().output_len()
    }

    pub fn extract(self, salt: &[u8], key: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.0, salt), key).as_ref().to_vec()
    }

    pub fn expand(self, secret: &[u8], label: &str, context: &[u8], len: usize) -> Vec<u8> {
        assert!(len <= self.len(), "one block is enough here");
        let label = format!("tls13 {label}");
        let mut info = u16::try_from(len).unwrap().to_be_bytes().to_vec();
        info.push(u8::try_from(label.len()).unwrap());
        info.extend(label.as_bytes());
        info.push(u8::try_from(context.len()).unwrap());
        info.extend(context);
        info.push(1);
        let mut block = self.extract(secret, &info);
        block.truncate(len);
        block
    }

    /// Derive-Secret with this transcript.
    pub fn derive(self, secret: &[u8], label: &str, messages: &[u8]) -> Vec<u8> {
        let hash = ring::digest::digest(self.0.digest_algorithm(), messages);
        self.expand(secret, label, hash.as_ref(), self.len())
    }
}

/// The stages of a handshake from its pre-shared key and its shared secret; zeros stand for what there is not.
pub struct Stages {
    pub early: Vec<u8>,
    pub handshake: Vec<u8>,
    pub main: Vec<u8>,
    salts: [Vec<u8>; 2],
    hkdf: Hkdf,
    psk: bool,
}

impl Stages {
    pub fn new(hkdf: Hkdf, psk: Option<&[u8]>, shared: &[u8]) -> Self {
        let zeros = vec![0; hkdf.len()];
        let early = hkdf.extract(&zeros, psk.unwrap_or(&zeros));
        let first = hkdf.derive(&early, "derived", b"");
        let handshake = hkdf.extract(&first, shared);
        let second = hkdf.derive(&handshake, "derived", b"");
        let main = hkdf.extract(&second, &zeros);
        Self { early, handshake, main, salts: [first, second], hkdf, psk: psk.is_some() }
    }

    /// All that is in between. Without a pre-shared key the early secret and what follows from it is known to everybody.
    pub fn note(&self, notes: &Notes) {
        let [first, second] = &self.salts;
        if self.psk {
            notes.note("early secret", &self.early);
            notes.note("salt of the handshake secret", first);
            for label in ["res binder", "imp binder", "ext binder"] {
                let key = self.hkdf.derive(&self.early, label, b"");
                notes.note(label, &key);
                notes.note(label, &self.hkdf.expand(&key, "finished", b"", self.hkdf.len()));
            }
        }
        notes.note("handshake secret", &self.handshake);
        notes.note("salt of the main secret", second);
        notes.note("main secret", &self.main);
    }
}

/// What follows from a traffic secret: the key of its Finished, and that of its records. (Not the IV, which is the nonce of
/// the first record, and of no use without the key.)
pub fn note_traffic(notes: &Notes, hkdf: Hkdf, key_len: usize, name: &str, secret: &[u8]) {
    let note = |what: &str, label: &str, len: usize| {
        notes.note(&format!("{name}, {what}"), &hkdf.expand(secret, label, b"", len));
    };
    note("key of Finished", "finished", hkdf.len());
    note("key of records", "key", key_len);
}

/// A random source without notes.
pub fn plain(seed: u64) -> Arc<SeededRng> {
    Arc::new(SeededRng::new(seed))
}
