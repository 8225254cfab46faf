//! The default provider, over the crate `ring`: suites, groups, verifiers, keys and randomness.
//!
//! | file | what it implements |
//! |---|---|
//! | `../shared/suite.rs` | the AEADs, SHA-2 and HMAC (RFC 9846 Appendix B.4) |
//! | `../shared/verify.rs` | signature verification (RFC 9846 §4.3.3) |
//! | `../shared/keys.rs` | private keys, and signing with them |
//! | `exchange.rs` | X25519, P-256 and P-384 (RFC 9846 §4.3.8.2 and §7.4.2) |
//!
//! What ring does not do: it does not wipe the keys that it holds when they are dropped, and it takes randomness from
//! nowhere but the operating system. AEAD keys and private keys of the exchange are overwritten here with others; RSA
//! keys, which ring has in memory of its own, cannot be. Secrets that leave ring are wiped ([`Secret`]).

use std::sync::Arc;

use pki_types::PrivateKeyDer;
use ring as backend;
use ring::rand::SecureRandom;
use ring::signature;

#[cfg(feature = "ml-kem")]
use super::hybrid::Hybrid;
use super::key_form::KeyKind;
#[cfg(feature = "ml-kem")]
use super::ml_kem::{self, MlKem768};
use super::{KeyExchange, Provider, Rng, SignatureVerifier, SigningKey};
#[cfg(feature = "ml-kem")]
use crate::codepoints::NamedGroup;
use crate::codepoints::SignatureScheme;
use crate::error::CryptoError;
#[cfg(doc)]
use crate::secret::Secret;

pub(super) mod exchange;
#[path = "../shared/keys.rs"]
pub(super) mod keys;
#[path = "../shared/suite.rs"]
pub(super) mod suite;
#[path = "../shared/verify.rs"]
mod verify;

/// Whether keys have to be overwritten before they are dropped.
const LEAVES_KEYS: bool = true;

/// The provider that configurations normally use. Every call returns an equal value; none of them shares state.
///
/// - Suites: both AES-GCM and ChaCha20-Poly1305. AES comes first if the processor has instructions for it and for
///   carry-less multiplication, ChaCha20 otherwise: asked now, not when compiled.
/// - Groups: X25519MLKEM768 (with the feature `ml-kem`), x25519, secp256r1, secp384r1; and for whoever asks for them, with
///   `ml-kem`, SecP256r1MLKEM768 and MLKEM768.
/// - Signatures: ECDSA on P-256 and P-384, Ed25519, RSA-PSS; PKCS#1 v1.5 for certificates only. RSA keys of 2048 to 8192
///   bits are verified, of 2048 to 4096 bits sign.
/// - Private keys: PKCS#8, SEC1 and PKCS#1, in DER.
///
/// The key pairs of the classical groups, and the nonces and salts of signatures, come from the operating system
/// whatever [`Provider::rng`] is, because ring takes them from nowhere else.
#[must_use]
pub fn provider() -> Provider {
    Provider {
        suites: suite::suites(),
        groups: GROUPS,
        more_groups: MORE_GROUPS,
        verifiers: VERIFIERS,
        load_key,
        sha1: Some(suite::sha1),
        rng: Arc::new(SystemRandom(system_random())),
    }
}

static GROUPS: &[&dyn KeyExchange] = &[
    #[cfg(feature = "ml-kem")]
    &X25519MLKEM768,
    &exchange::X25519,
    &exchange::SECP256R1,
    &exchange::SECP384R1,
];

static MORE_GROUPS: &[&dyn KeyExchange] = &[
    #[cfg(feature = "ml-kem")]
    &SECP256R1MLKEM768,
    #[cfg(feature = "ml-kem")]
    &MlKem768,
];

#[cfg(feature = "ml-kem")]
static X25519MLKEM768: Hybrid = Hybrid {
    group: NamedGroup::X25519MLKEM768,
    first: &MlKem768,
    split: (ml_kem::ENCAPSULATION_KEY_LEN, ml_kem::CIPHERTEXT_LEN),
    second: &exchange::X25519,
};

#[cfg(feature = "ml-kem")]
static SECP256R1MLKEM768: Hybrid = Hybrid {
    group: NamedGroup::SecP256r1MLKEM768,
    first: &exchange::SECP256R1,
    split: (65, 65),
    second: &MlKem768,
};

/// All of them, most preferred first.
pub(super) static VERIFIERS: &[&dyn SignatureVerifier] = &[
    &verify::ECDSA_SECP256R1_SHA256,
    &verify::ECDSA_SECP384R1_SHA384,
    &verify::ED25519,
    &verify::RSA_PSS_RSAE_SHA256,
    &verify::RSA_PSS_RSAE_SHA384,
    &verify::RSA_PSS_RSAE_SHA512,
    &verify::RSA_PKCS1_SHA256,
    &verify::RSA_PKCS1_SHA384,
    &verify::RSA_PKCS1_SHA512,
    &verify::ECDSA_P384_SHA256,
    &verify::ECDSA_P256_SHA384,
];

/// The curves that sign.
static CURVES: &[keys::EcdsaCurve] = &[
    keys::EcdsaCurve {
        kind: KeyKind::P256,
        schemes: &[SignatureScheme::ecdsa_secp256r1_sha256],
        signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        points: &exchange::SECP256R1,
    },
    keys::EcdsaCurve {
        kind: KeyKind::P384,
        schemes: &[SignatureScheme::ecdsa_secp384r1_sha384],
        signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        points: &exchange::SECP384R1,
    },
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
