//! The default provider, over the crate `ring`: suites, groups, verifiers, keys and randomness.
//!
//! | file | what it implements |
//! |---|---|
//! | `suite.rs` | the AEADs, SHA-2 and HMAC (RFC 9846 Appendix B.4) |
//! | `exchange.rs` | X25519, P-256 and P-384 (RFC 9846 §4.3.8.2 and §7.4.2) |
//! | `verify.rs` | signature verification (RFC 9846 §4.3.3) |
//! | `keys.rs` | private keys: PKCS#8, SEC1, PKCS#1 |
//! | `der.rs` | the little DER that keys need |
//!
//! What ring does not do: it does not wipe the AEAD keys and private keys that it holds when they are dropped, and it
//! takes randomness from nowhere but the operating system. Secrets that leave ring are wiped ([`Secret`]).

use std::sync::Arc;

use pki_types::PrivateKeyDer;
use ring::rand::SecureRandom;

use super::{KeyExchange, Provider, Rng, SigningKey};
use crate::error::CryptoError;
#[cfg(doc)]
use crate::secret::Secret;

mod der;
pub(super) mod exchange;
pub(super) mod keys;
mod suite;
mod verify;

pub(super) use suite::AES_FIRST;
use suite::CHACHA20_FIRST;
pub(super) use verify::VERIFIERS;

/// The provider that configurations normally use. Every call returns an equal value; none of them shares state.
///
/// - Suites: both AES-GCM and ChaCha20-Poly1305. AES comes first if the processor has instructions for it and for
///   carry-less multiplication, ChaCha20 otherwise: asked now, not when compiled.
/// - Groups: X25519MLKEM768 (with the feature `ml-kem`), x25519, secp256r1, secp384r1.
/// - Signatures: ECDSA on P-256 and P-384, Ed25519, RSA-PSS; PKCS#1 v1.5 for certificates only. RSA keys of 2048 to 8192
///   bits are verified, of 2048 to 4096 bits sign.
/// - Private keys: PKCS#8, SEC1 and PKCS#1, in DER.
///
/// The key pairs of the classical groups, and the nonces and salts of signatures, come from the operating system
/// whatever [`Provider::rng`] is, because ring takes them from nowhere else.
#[must_use]
pub fn provider() -> Provider {
    Provider {
        suites: if has_aes_instructions() { AES_FIRST } else { CHACHA20_FIRST },
        groups: GROUPS,
        verifiers: VERIFIERS,
        load_key,
        rng: Arc::new(SystemRandom(system_random())),
    }
}

static GROUPS: &[&dyn KeyExchange] = &[
    #[cfg(feature = "ml-kem")]
    &super::ml_kem::Hybrid { x25519: &exchange::X25519 },
    &exchange::X25519,
    &exchange::SECP256R1,
    &exchange::SECP384R1,
];

fn load_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, CryptoError> {
    Ok(Arc::new(keys::Key::load(key, &system_random())?))
}

/// The operating system's randomness.
struct SystemRandom(ring::rand::SystemRandom);

impl Rng for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        self.0.fill(out).map_err(|_| CryptoError)
    }
}

fn system_random() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}

/// Whether AES-GCM is fast and runs in constant time by itself here: AES rounds and carry-less multiplication.
fn has_aes_instructions() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        std::arch::is_x86_feature_detected!("aes")
            && std::arch::is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        // The feature `aes` of Rust stands for both AES and PMULL.
        std::arch::is_aarch64_feature_detected!("aes")
            && std::arch::is_aarch64_feature_detected!("pmull")
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::codepoints::{CipherSuiteId, NamedGroup};

    #[test]
    fn the_order_of_suites_is_the_processors() {
        let ids: Vec<_> = provider().suites.iter().map(|s| s.id).collect();
        let chacha20 = ids.iter().position(|id| *id == CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256);
        assert_eq!(chacha20, Some(if has_aes_instructions() { 2 } else { 0 }));
        assert_eq!(ids.len(), 3);
        let limits = provider().suites.iter().map(|s| s.aead.record_limit()).min();
        assert_eq!(limits, Some(23_726_566));
    }

    #[test]
    fn groups_agree_and_refuse() {
        let provider = provider();
        let groups: Vec<_> = provider.groups.iter().map(|g| g.group()).collect();
        let classical = [NamedGroup::x25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
        assert!(groups.ends_with(&classical));
        assert_eq!(groups.len(), classical.len() + usize::from(cfg!(feature = "ml-kem")));
        for group in provider.groups {
            let new = || group.generate(&*provider.rng).unwrap();
            let (client, again) = (new(), new());
            assert_ne!(client.share(), again.share());
            let (share, secret) = group.respond(&*provider.rng, client.share()).unwrap();
            assert_eq!(client.agree(&share).unwrap().expose(), secret.expose());

            assert!(new().agree(&[]).is_err());
            assert!(new().agree(&share[1..]).is_err());
            assert!(new().agree(&share[..share.len() - 1]).is_err());
            assert!(new().agree(&[&share[..], &[0]].concat()).is_err());
            // Not on the curve, or an all-zero result.
            assert!(new().agree(&vec![0; share.len()]).is_err());
            assert!(group.respond(&*provider.rng, &vec![0; again.share().len()]).is_err());
        }
    }

    #[test]
    fn only_uncompressed_points() {
        let provider = provider();
        let group = provider.group(NamedGroup::secp256r1).unwrap();
        let share = group.generate(&*provider.rng).unwrap().share().to_vec();
        let compressed = [&[2 | (share[64] & 1)], &share[1..33]].concat();
        let hybrid = [&[6 | (share[64] & 1)], &share[1..]].concat();
        for (bad, point) in [(false, share), (true, compressed), (true, hybrid), (true, vec![0])] {
            assert_eq!(group.generate(&*provider.rng).unwrap().agree(&point).is_err(), bad);
        }
    }

    #[test]
    fn random_bytes_differ() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        provider().rng.fill(&mut a).unwrap();
        provider().rng.fill(&mut b).unwrap();
        assert_ne!(a, b);
    }
}
