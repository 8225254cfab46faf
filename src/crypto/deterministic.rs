//! A provider without any randomness of its own, so that a connection can be replayed bit for bit (feature
//! `test-support`; never for production), and the hook with which tests break rules.
//!
//! Algorithms are those of [`crypto::ring`](super::ring). Every random byte comes from the [`Rng`] that is given, in these
//! draws, one call of [`Rng::fill`] each:
//!
//! | operation | draws |
//! |---|---|
//! | key pair for x25519, secp256r1 (either role) | 32 bytes: the private key |
//! | key pair for secp384r1 (either role) | 48 bytes: the private key |
//! | X25519MLKEM768, client | 64 bytes: the ML-KEM seed `d`, `z`; then the 32 of x25519 |
//! | X25519MLKEM768, server | 32 bytes: the ML-KEM message `m`; then the 32 of x25519 |
//! | signature, ECDSA P-256 or P-384 | 32 or 80 bytes, from which ring makes the nonce |
//! | signature, RSA-PSS | 32, 48 or 64 bytes: the salt, as long as the hash |
//! | signature, Ed25519; loading a key; verification | none |
//!
//! A private key or nonce that is zero or not less than the order of the curve is drawn again: one draw in 2^32 for
//! P-256, and fewer for P-384. What a connection draws besides (hello randoms, session identifiers) it takes from
//! [`Provider::rng`], which is the same source.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pki_types::PrivateKeyDer;
#[allow(deprecated)]
// ring's only sources that can be told what to say. They are exact, and this is for tests.
use ring::test::rand::{FixedByteRandom, FixedSliceRandom};
use zeroize::Zeroizing;

#[cfg(feature = "ml-kem")]
use super::hybrid::Hybrid;
#[cfg(feature = "ml-kem")]
use super::ml_kem::{self, MlKem768};
use super::ring::exchange::{self, Curve};
use super::ring::keys::Key;
use super::{KeyExchange, KeyPair, Provider, Rng, SigningKey, ring as ring_provider};
use crate::codepoints::{HandshakeType, NamedGroup, SignatureScheme};
use crate::error::CryptoError;

/// The provider. Its suites are in one order whatever the processor, AES first; otherwise it lists what
/// [`crypto::ring::provider`](super::ring::provider) does.
///
/// Its keys and groups draw from whichever source a call hands them, so one provider serves several connections: give
/// each its own with `Provider { rng, ..provider }`.
#[must_use]
pub fn provider(rng: Arc<dyn Rng>) -> Provider {
    Provider {
        suites: ring_provider::suite::AES_FIRST,
        groups: GROUPS,
        more_groups: &[],
        verifiers: ring_provider::VERIFIERS,
        load_key,
        sha1: Some(ring_provider::suite::sha1),
        rng,
    }
}

static X25519: FixedCurve = FixedCurve { curve: &exchange::X25519, len: 32 };
static SECP256R1: FixedCurve = FixedCurve { curve: &exchange::SECP256R1, len: 32 };
static SECP384R1: FixedCurve = FixedCurve { curve: &exchange::SECP384R1, len: 48 };

static GROUPS: &[&dyn KeyExchange] = &[
    #[cfg(feature = "ml-kem")]
    &Hybrid {
        group: NamedGroup::X25519MLKEM768,
        first: &MlKem768,
        split: (ml_kem::ENCAPSULATION_KEY_LEN, ml_kem::CIPHERTEXT_LEN),
        second: &X25519,
    },
    &X25519,
    &SECP256R1,
    &SECP384R1,
];

/// A curve whose private keys are the bytes that the given source draws.
struct FixedCurve {
    curve: &'static Curve,
    len: usize,
}

impl KeyExchange for FixedCurve {
    fn group(&self) -> NamedGroup {
        self.curve.group()
    }

    fn generate(&self, rng: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError> {
        with_draws(rng, self.len, |random| self.curve.pair(random))
    }
}

/// ring hashes a random number of the key's own into its nonces; here it is zero.
#[allow(deprecated)]
fn load_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, CryptoError> {
    let random = FixedByteRandom { byte: 0 };
    Ok(Arc::new(FixedKey(Key::load(key, &random)?)))
}

/// A key whose nonces and salts are the bytes that the given source draws.
struct FixedKey(Key);

impl SigningKey for FixedKey {
    fn schemes(&self) -> &[SignatureScheme] {
        self.0.schemes()
    }

    fn spki(&self) -> &[u8] {
        self.0.spki()
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, CryptoError> {
        if !self.schemes().contains(&scheme) {
            return Err(CryptoError);
        }
        with_draws(rng, draw_len(scheme), |random| self.0.sign_with(scheme, message, random))
    }
}

/// How many random bytes a signature takes.
fn draw_len(scheme: SignatureScheme) -> usize {
    match scheme {
        // ring hashes a digest of the key, randomness and the message's digest into the nonce. The first two fill
        // one block of the hash: 64 bytes less 32, or 128 less 48.
        SignatureScheme::ecdsa_secp256r1_sha256 => 32,
        SignatureScheme::ecdsa_secp384r1_sha384 => 80,
        // A PSS salt is as long as the hash (RFC 9846 §4.3.3).
        SignatureScheme::rsa_pss_rsae_sha256 => 32,
        SignatureScheme::rsa_pss_rsae_sha384 => 48,
        SignatureScheme::rsa_pss_rsae_sha512 => 64,
        // Ed25519 has no randomness in it.
        _ => 0,
    }
}

/// Runs `operation` with `len` bytes of `rng`, and again with the next ones if ring does not like them. The three tries
/// bound a source that always says the same.
#[allow(deprecated)]
fn with_draws<T>(
    rng: &dyn Rng,
    len: usize,
    operation: impl Fn(&FixedSliceRandom<'_>) -> Result<T, CryptoError>,
) -> Result<T, CryptoError> {
    let mut drawn = Zeroizing::new(vec![0; len]);
    for _ in 0..3 {
        if len > 0 {
            rng.fill(&mut drawn)?;
        }
        if let Ok(done) = operation(&FixedSliceRandom { bytes: &drawn }) {
            return Ok(done);
        }
    }
    Err(CryptoError)
}

/// A stream of bytes that a number determines: block `i` is SHA-256 of the seed and `i`, each 8 bytes, big-endian.
///
/// Anybody who knows the number knows the stream: for tests only.
#[derive(Debug)]
pub struct SeededRng {
    seed: u64,
    position: AtomicU64,
}

impl SeededRng {
    /// The stream of this seed, from its beginning.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, position: AtomicU64::new(0) }
    }

    fn block(&self, number: u64) -> [u8; 32] {
        let input = [self.seed.to_be_bytes(), number.to_be_bytes()].concat();
        let digest = ring::digest::digest(&ring::digest::SHA256, &input);
        let mut block = [0; 32];
        block.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        block
    }
}

impl Rng for SeededRng {
    /// Never fails. Calls at the same time get different bytes, in an order that only they know.
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let len = u64::try_from(out.len()).map_err(|_| CryptoError)?;
        let start = self.position.fetch_add(len, Ordering::Relaxed);
        let skip = usize::try_from(start % 32).map_err(|_| CryptoError)?;
        let stream = (start / 32..).flat_map(|number| self.block(number)).skip(skip);
        out.iter_mut().zip(stream).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

/// A script of draws, and a [`SeededRng`] once it has been played.
///
/// The published traces need it: their key pairs and randoms are given.
pub struct ScriptedRng {
    script: Mutex<VecDeque<Vec<u8>>>,
    then: SeededRng,
}

impl ScriptedRng {
    /// Answers the first draws with the strings of `script`, in order, and all further ones with the stream of the seed
    /// `then`.
    #[must_use]
    pub fn new(script: Vec<Vec<u8>>, then: u64) -> Self {
        Self { script: Mutex::new(script.into()), then: SeededRng::new(then) }
    }

    /// How many strings of the script have not been drawn yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Rng for ScriptedRng {
    /// # Errors
    /// If the next string of the script has another length than `out`. It stays where it is.
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        match script.front() {
            None => self.then.fill(out),
            Some(next) if next.len() == out.len() => {
                out.copy_from_slice(next);
                script.pop_front();
                Ok(())
            }
            Some(_) => Err(CryptoError),
        }
    }
}

impl fmt::Debug for ScriptedRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedRng").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

/// Rewrites an outgoing handshake message (header included) before it is hashed and sent.
#[derive(Clone)]
#[allow(clippy::type_complexity)] // A name for it would be one more thing to look up.
pub struct MessageHook(pub Arc<dyn Fn(HandshakeType, &mut Vec<u8>) + Send + Sync>);

impl MessageHook {
    /// The message as it is to be sent.
    pub(crate) fn apply(&self, mut message: Vec<u8>) -> Vec<u8> {
        let kind = HandshakeType(message.first().copied().unwrap_or_default());
        (self.0)(kind, &mut message);
        message
    }
}

impl fmt::Debug for MessageHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageHook(..)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::codepoints::CipherSuiteId;

    fn hex(s: &str) -> Vec<u8> {
        let digits: String = s.split_whitespace().collect();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    fn pair(group: NamedGroup, script: &[&str]) -> Result<Box<dyn KeyPair>, CryptoError> {
        let rng = ScriptedRng::new(script.iter().map(|s| hex(s)).collect(), 0);
        let pair = provider(Arc::new(SeededRng::new(0))).group(group).unwrap().generate(&rng)?;
        assert_eq!(rng.remaining(), 0);
        Ok(pair)
    }

    #[test]
    fn x25519_of_rfc_8448() {
        // RFC 8448 §3: the ephemeral key pairs of client and server, and the shared secret.
        let client = pair(
            NamedGroup::x25519,
            &["49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005"],
        );
        let server = pair(
            NamedGroup::x25519,
            &["b1580eeadf6dd589b8ef4f2d5652578cc810e9980191ec8d058308cea216a21e"],
        );
        let (client, server) = (client.unwrap(), server.unwrap());
        let client_share = hex("99381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c");
        let server_share = hex("c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f");
        assert_eq!(client.share(), client_share);
        assert_eq!(server.share(), server_share);
        let secret = hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d");
        assert_eq!(client.agree(&server_share).unwrap().expose(), secret);
        assert_eq!(server.agree(&client_share).unwrap().expose(), secret);
    }

    #[test]
    fn a_private_key_of_one_is_the_base_point() {
        // SEC 2 §2.4.2, §2.5.1
        let one = format!("{:064x}", 1);
        let p256 = pair(NamedGroup::secp256r1, &[&one]).unwrap();
        let base = hex("04 6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296
            4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
        assert_eq!(p256.share(), base);
        let one = format!("{:096x}", 1);
        let p384 = pair(NamedGroup::secp384r1, &[&one]).unwrap();
        let base = hex("04 aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a38
            5502f25dbf55296c3a545e3872760ab7 3617de4a96262c6f5d9e98bf9292dc29
            f8f41dbd289a147ce9da3113b5f0b8c0 0a60b1ce1d7e819d7a431d7c90ea0e5f");
        assert_eq!(p384.share(), base);
    }

    #[test]
    fn a_scalar_out_of_range_is_drawn_again() {
        let (zero, one) = ("00".repeat(32), format!("{:064x}", 1));
        let too_large = "ff".repeat(32);
        let pair_of_one = pair(NamedGroup::secp256r1, &[&one]).unwrap();
        let redrawn = pair(NamedGroup::secp256r1, &[&zero, &too_large, &one]).unwrap();
        assert_eq!(pair_of_one.share(), redrawn.share());
        assert!(pair(NamedGroup::secp256r1, &[&zero, &zero, &zero]).is_err());
    }

    #[test]
    fn same_seed_same_bytes() {
        let (a, b, other) = (SeededRng::new(7), SeededRng::new(7), SeededRng::new(8));
        let mut whole = [0; 200];
        a.fill(&mut whole).unwrap();
        let mut parts = Vec::new();
        for len in [0, 1, 31, 32, 33, 64, 39] {
            let mut part = vec![0; len];
            b.fill(&mut part).unwrap();
            parts.extend(part);
        }
        assert_eq!(parts, whole);
        let mut different = [0; 200];
        other.fill(&mut different).unwrap();
        assert_ne!(different, whole);
        // One that never changes: recorded replays depend on it.
        let digest =
            ring::digest::digest(&ring::digest::SHA256, &[&[0; 7][..], &[7], &[0; 8]].concat());
        assert_eq!(&whole[..32], digest.as_ref());
    }

    #[test]
    fn script_first_then_the_stream() {
        let rng = ScriptedRng::new(vec![vec![1, 2], vec![3]], 7);
        let mut wrong = [0; 3];
        assert_eq!(rng.fill(&mut wrong), Err(CryptoError));
        let (mut two, mut one, mut rest) = ([0; 2], [0; 1], [0; 8]);
        rng.fill(&mut two).unwrap();
        rng.fill(&mut one).unwrap();
        assert_eq!((two, one, rng.remaining()), ([1, 2], [3], 0));
        rng.fill(&mut rest).unwrap();
        let mut stream = [0; 8];
        SeededRng::new(7).fill(&mut stream).unwrap();
        assert_eq!(rest, stream);
    }

    #[test]
    fn suites_are_in_one_order() {
        let ids: Vec<_> =
            provider(Arc::new(SeededRng::new(0))).suites.iter().map(|s| s.id).collect();
        assert_eq!(
            ids,
            [
                CipherSuiteId::TLS_AES_128_GCM_SHA256,
                CipherSuiteId::TLS_AES_256_GCM_SHA384,
                CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
            ]
        );
    }

    #[test]
    fn every_group_agrees_and_repeats_itself() {
        for group in provider(Arc::new(SeededRng::new(0))).groups {
            let run = || {
                let rng = SeededRng::new(1);
                let client = group.generate(&rng).unwrap();
                let client_share = client.share().to_vec();
                let (server_share, server) = group.respond(&rng, &client_share).unwrap();
                let client = client.agree(&server_share).unwrap();
                assert_eq!(client.expose(), server.expose());
                (client_share, server_share, client.expose().to_vec())
            };
            assert_eq!(run(), run(), "{}", group.group());
        }
    }
}
