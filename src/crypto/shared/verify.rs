//! Verification of signatures (RFC 9846 §4.3.3): each [`SignatureVerifier`] is one scheme with one kind of key.
//!
//! The key comes as a SubjectPublicKeyInfo, is read strictly, and must be of the kind that the scheme names: the right
//! algorithm, curve and parameters (RFC 5480 §2, RFC 3279 §2.3.1, RFC 8410 §3). The crate then checks the key itself, and the
//! signature in its one encoding: strict DER and the range of `r` and `s` for ECDSA, a reduced `S` for Ed25519, for
//! RSA-PSS a salt as long as the hash.

use super::backend::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use crate::codepoints::SignatureScheme;
use crate::crypto::SignatureVerifier;
use crate::crypto::key_form::KeyKind;
use crate::error::CryptoError;

/// A scheme with a kind of key.
pub(super) struct Verifier {
    pub(super) scheme: SignatureScheme,
    pub(super) key: KeyKind,
    pub(super) algorithm: &'static dyn VerificationAlgorithm,
    pub(super) certificate_algorithms: &'static [&'static [u8]],
    pub(super) certificate_only: bool,
}

impl SignatureVerifier for Verifier {
    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    fn certificate_algorithms(&self) -> &'static [&'static [u8]] {
        self.certificate_algorithms
    }

    fn certificate_only(&self) -> bool {
        self.certificate_only
    }

    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let key = self.key.public_key(spki)?;
        let key = UnparsedPublicKey::new(self.algorithm, key);
        key.verify(message, signature).map_err(|_| CryptoError)
    }
}

pub(super) static ECDSA_SECP256R1_SHA256: Verifier = Verifier {
    scheme: SignatureScheme::ecdsa_secp256r1_sha256,
    key: KeyKind::P256,
    algorithm: &signature::ECDSA_P256_SHA256_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA256,
    certificate_only: false,
};

pub(super) static ECDSA_SECP384R1_SHA384: Verifier = Verifier {
    scheme: SignatureScheme::ecdsa_secp384r1_sha384,
    key: KeyKind::P384,
    algorithm: &signature::ECDSA_P384_SHA384_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA384,
    certificate_only: false,
};

pub(super) static ECDSA_P384_SHA256: Verifier = Verifier {
    scheme: SignatureScheme::ecdsa_secp256r1_sha256,
    key: KeyKind::P384,
    algorithm: &signature::ECDSA_P384_SHA256_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA256,
    certificate_only: true,
};

pub(super) static ECDSA_P256_SHA384: Verifier = Verifier {
    scheme: SignatureScheme::ecdsa_secp384r1_sha384,
    key: KeyKind::P256,
    algorithm: &signature::ECDSA_P256_SHA384_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA384,
    certificate_only: true,
};

pub(super) static ED25519: Verifier = Verifier {
    scheme: SignatureScheme::ed25519,
    key: KeyKind::Ed25519,
    algorithm: &signature::ED25519,
    certificate_algorithms: &[b"\x06\x03\x2b\x65\x70"],
    certificate_only: false,
};

pub(super) static RSA_PSS_RSAE_SHA256: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pss_rsae_sha256,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PSS_2048_8192_SHA256,
    certificate_algorithms: &[&pss_algorithm(1, 32)],
    certificate_only: false,
};

pub(super) static RSA_PSS_RSAE_SHA384: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pss_rsae_sha384,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PSS_2048_8192_SHA384,
    certificate_algorithms: &[&pss_algorithm(2, 48)],
    certificate_only: false,
};

pub(super) static RSA_PSS_RSAE_SHA512: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pss_rsae_sha512,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PSS_2048_8192_SHA512,
    certificate_algorithms: &[&pss_algorithm(3, 64)],
    certificate_only: false,
};

// PKCS#1 v1.5 signs no CertificateVerify but that of a client, under other numbers (RFC 9963):
// `SignatureScheme::is_for_handshake` and `is_for_client` see to that. RFC 4055 §5 wants
// NULL parameters and asks verifiers to accept absent ones.

pub(super) static RSA_PKCS1_SHA256: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pkcs1_sha256,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PKCS1_2048_8192_SHA256,
    certificate_algorithms: &[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b",
    ],
    certificate_only: false,
};

pub(super) static RSA_PKCS1_SHA384: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pkcs1_sha384,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PKCS1_2048_8192_SHA384,
    certificate_algorithms: &[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00",
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c",
    ],
    certificate_only: false,
};

pub(super) static RSA_PKCS1_SHA512: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pkcs1_sha512,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PKCS1_2048_8192_SHA512,
    certificate_algorithms: &[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00",
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d",
    ],
    certificate_only: false,
};

pub(super) const ECDSA_WITH_SHA256: &[&[u8]] = &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"];
pub(super) const ECDSA_WITH_SHA384: &[&[u8]] = &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"];

/// id-RSASSA-PSS with SHA-2 (`hash` is the last arc of its OID: 1 is SHA-256, 2 is SHA-384, 3 is SHA-512), MGF1 with the
/// same hash, and a salt of `salt` bytes (RFC 4055 §3.1).
const fn pss_algorithm(hash: u8, salt: u8) -> [u8; 65] {
    let mut der = *b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
        \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x00\x05\x00\
        \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\
        \x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x00\x05\x00\
        \xa2\x03\x02\x01\x00";
    // Evaluated when compiled; the unit test compares the result with what another crate says.
    der[27] = hash;
    der[57] = hash;
    der[64] = salt;
    der
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::super::VERIFIERS;
    use crate::codepoints::SignatureScheme;
    use pki_types::alg_id;

    #[test]
    fn algorithms_are_those_of_pki_types() {
        for verifier in VERIFIERS {
            let known = match verifier.scheme() {
                SignatureScheme::ecdsa_secp256r1_sha256 => alg_id::ECDSA_SHA256,
                SignatureScheme::ecdsa_secp384r1_sha384 => alg_id::ECDSA_SHA384,
                SignatureScheme::ecdsa_secp521r1_sha512 => alg_id::ECDSA_SHA512,
                SignatureScheme::ed25519 => alg_id::ED25519,
                SignatureScheme::rsa_pss_rsae_sha256 => alg_id::RSA_PSS_SHA256,
                SignatureScheme::rsa_pss_rsae_sha384 => alg_id::RSA_PSS_SHA384,
                SignatureScheme::rsa_pss_rsae_sha512 => alg_id::RSA_PSS_SHA512,
                SignatureScheme::rsa_pkcs1_sha256 => alg_id::RSA_PKCS1_SHA256,
                SignatureScheme::rsa_pkcs1_sha384 => alg_id::RSA_PKCS1_SHA384,
                SignatureScheme::rsa_pkcs1_sha512 => alg_id::RSA_PKCS1_SHA512,
                other => panic!("{other}"),
            };
            let ours = verifier.certificate_algorithms();
            assert_eq!(ours[0], known.as_ref(), "{}", verifier.scheme());
            // The second, for PKCS#1, is the first without its NULL.
            assert!(ours[1..].iter().all(|a| [a, &[5, 0][..]].concat() == known.as_ref()));
        }
    }

    #[test]
    fn one_handshake_verifier_a_scheme() {
        let handshake: Vec<_> = VERIFIERS.iter().filter(|v| !v.certificate_only()).collect();
        for verifier in &handshake {
            let same = handshake.iter().filter(|v| v.scheme() == verifier.scheme());
            assert_eq!(same.count(), 1);
        }
    }
}
