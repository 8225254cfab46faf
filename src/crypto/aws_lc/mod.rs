//! A provider over the crate `aws-lc-rs`: what [`crypto::ring`](super::ring) has, and P-521, ML-KEM-1024 and further
//! hybrid groups besides.
//!
//! | file | what it implements |
//! |---|---|
//! | `../shared/suite.rs` | the AEADs, SHA-2 and HMAC (RFC 9846 Appendix B.4) |
//! | `../shared/verify.rs` | signature verification (RFC 9846 §4.3.3) |
//! | `../shared/keys.rs` | private keys, and signing with them |
//! | `exchange.rs` | X25519, P-256, P-384 and P-521 (RFC 9846 §4.3.8.2 and §7.4.2) |
//! | `ml_kem.rs` | ML-KEM-768 and ML-KEM-1024 (FIPS 203) |
//!
//! AWS-LC wipes what it frees; copies on the stack and in registers are out of reach for it, too. It takes randomness from
//! nowhere but its own generator, which the operating system seeds.

use std::sync::Arc;

use aws_lc_rs as backend;
use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature;
use pki_types::PrivateKeyDer;

use self::exchange::{SECP256R1, SECP384R1, SECP521R1, X25519};
use self::ml_kem::{ML_KEM_768, ML_KEM_1024};
use super::hybrid::Hybrid;
use super::key_form::KeyKind;
use super::{KeyExchange, Provider, Rng, SignatureVerifier, SigningKey};
use crate::codepoints::{NamedGroup, SignatureScheme};
use crate::error::CryptoError;

mod exchange;
#[path = "../shared/keys.rs"]
mod keys;
mod ml_kem;
#[path = "../shared/suite.rs"]
mod suite;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
#[path = "../shared/verify.rs"]
mod verify;

/// Whether keys have to be overwritten before they are dropped: AWS-LC does it.
const LEAVES_KEYS: bool = false;

/// The provider. Every call returns an equal value; none of them shares state.
///
/// - Suites: both AES-GCM and ChaCha20-Poly1305. AES comes first if the processor has instructions for it and for
///   carry-less multiplication, ChaCha20 otherwise: asked now, not when compiled.
/// - Groups: X25519MLKEM768, x25519, secp256r1, secp384r1, secp521r1; and for whoever asks for them, SecP256r1MLKEM768,
///   SecP384r1MLKEM1024, MLKEM1024 and MLKEM768.
/// - Signatures: ECDSA on P-256, P-384 and P-521, Ed25519, RSA-PSS; PKCS#1 v1.5 for certificates only. RSA keys of 2048 to
///   8192 bits are verified, and sign.
/// - Private keys: PKCS#8, SEC1 and PKCS#1, in DER.
///
/// Key pairs, and the nonces and salts of signatures, come from AWS-LC's generator whatever [`Provider::rng`] is.
#[must_use]
pub fn provider() -> Provider {
    Provider {
        suites: suite::suites(),
        groups: GROUPS,
        more_groups: MORE_GROUPS,
        verifiers: VERIFIERS,
        load_key,
        sha1: Some(suite::sha1),
        rng: Arc::new(SystemRandom(backend::rand::SystemRandom::new())),
    }
}

static GROUPS: &[&dyn KeyExchange] =
    &[&X25519MLKEM768, &X25519, &SECP256R1, &SECP384R1, &SECP521R1];

static MORE_GROUPS: &[&dyn KeyExchange] =
    &[&SECP256R1MLKEM768, &SECP384R1MLKEM1024, &ML_KEM_1024, &ML_KEM_768];

static X25519MLKEM768: Hybrid = Hybrid {
    group: NamedGroup::X25519MLKEM768,
    first: &ML_KEM_768,
    split: ML_KEM_768.lens,
    second: &X25519,
};

static SECP256R1MLKEM768: Hybrid = Hybrid {
    group: NamedGroup::SecP256r1MLKEM768,
    first: &SECP256R1,
    split: (SECP256R1.share_len, SECP256R1.share_len),
    second: &ML_KEM_768,
};

static SECP384R1MLKEM1024: Hybrid = Hybrid {
    group: NamedGroup::SecP384r1MLKEM1024,
    first: &SECP384R1,
    split: (SECP384R1.share_len, SECP384R1.share_len),
    second: &ML_KEM_1024,
};

/// All of them, most preferred first.
static VERIFIERS: &[&dyn SignatureVerifier] = &[
    &verify::ECDSA_SECP256R1_SHA256,
    &verify::ECDSA_SECP384R1_SHA384,
    &ECDSA_SECP521R1_SHA512,
    &verify::ED25519,
    &verify::RSA_PSS_RSAE_SHA256,
    &verify::RSA_PSS_RSAE_SHA384,
    &verify::RSA_PSS_RSAE_SHA512,
    &verify::RSA_PKCS1_SHA256,
    &verify::RSA_PKCS1_SHA384,
    &verify::RSA_PKCS1_SHA512,
    &verify::ECDSA_P384_SHA256,
    &verify::ECDSA_P256_SHA384,
    &ECDSA_P256_SHA512,
    &ECDSA_P384_SHA512,
    &ECDSA_P521_SHA256,
    &ECDSA_P521_SHA384,
];

static ECDSA_SECP521R1_SHA512: verify::Verifier = verify::Verifier {
    scheme: SignatureScheme::ecdsa_secp521r1_sha512,
    key: KeyKind::P521,
    algorithm: &signature::ECDSA_P521_SHA512_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA512,
    certificate_only: false,
};

static ECDSA_P256_SHA512: verify::Verifier = verify::Verifier {
    scheme: SignatureScheme::ecdsa_secp521r1_sha512,
    key: KeyKind::P256,
    algorithm: &signature::ECDSA_P256_SHA512_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA512,
    certificate_only: true,
};

static ECDSA_P384_SHA512: verify::Verifier = verify::Verifier {
    scheme: SignatureScheme::ecdsa_secp521r1_sha512,
    key: KeyKind::P384,
    algorithm: &signature::ECDSA_P384_SHA512_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA512,
    certificate_only: true,
};

static ECDSA_P521_SHA256: verify::Verifier = verify::Verifier {
    scheme: SignatureScheme::ecdsa_secp256r1_sha256,
    key: KeyKind::P521,
    algorithm: &signature::ECDSA_P521_SHA256_ASN1,
    certificate_algorithms: verify::ECDSA_WITH_SHA256,
    certificate_only: true,
};

static ECDSA_P521_SHA384: verify::Verifier = verify::Verifier {
    scheme: SignatureScheme::ecdsa_secp384r1_sha384,
    key: KeyKind::P521,
    algorithm: &signature::ECDSA_P521_SHA384_ASN1,
    certificate_algorithms: verify::ECDSA_WITH_SHA384,
    certificate_only: true,
};

const ECDSA_WITH_SHA512: &[&[u8]] = &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"];

/// The curves that sign.
static CURVES: &[keys::EcdsaCurve] = &[
    keys::EcdsaCurve {
        kind: KeyKind::P256,
        schemes: &[SignatureScheme::ecdsa_secp256r1_sha256],
        signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        points: &SECP256R1,
    },
    keys::EcdsaCurve {
        kind: KeyKind::P384,
        schemes: &[SignatureScheme::ecdsa_secp384r1_sha384],
        signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        points: &SECP384R1,
    },
    keys::EcdsaCurve {
        kind: KeyKind::P521,
        schemes: &[SignatureScheme::ecdsa_secp521r1_sha512],
        signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        points: &SECP521R1,
    },
];

fn load_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, CryptoError> {
    Ok(Arc::new(keys::Key::load(key, &backend::rand::SystemRandom::new())?))
}

/// AWS-LC's generator.
struct SystemRandom(backend::rand::SystemRandom);

impl Rng for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        self.0.fill(out).map_err(|_| CryptoError)
    }
}
