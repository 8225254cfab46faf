//! Verification of signatures (RFC 9846 §4.3.3): each [`SignatureVerifier`] is one scheme with one kind of key.
//!
//! The key comes as a SubjectPublicKeyInfo, is read strictly, and must be of the kind that the scheme names: the right
//! algorithm, curve and parameters (RFC 5480 §2, RFC 3279 §2.3.1, RFC 8410 §3). ring then checks the key itself, and the
//! signature in its one encoding: strict DER and the range of `r` and `s` for ECDSA, a reduced `S` for Ed25519, for
//! RSA-PSS a salt as long as the hash.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::super::SignatureVerifier;
use super::der;
use crate::codepoints::SignatureScheme;
use crate::error::CryptoError;

/// All of them, most preferred first.
pub(in crate::crypto) static VERIFIERS: &[&dyn SignatureVerifier] = &[
    &ECDSA_SECP256R1_SHA256,
    &ECDSA_SECP384R1_SHA384,
    &ED25519,
    &RSA_PSS_RSAE_SHA256,
    &RSA_PSS_RSAE_SHA384,
    &RSA_PSS_RSAE_SHA512,
    &RSA_PKCS1_SHA256,
    &RSA_PKCS1_SHA384,
    &RSA_PKCS1_SHA512,
    &ECDSA_P384_SHA256,
    &ECDSA_P256_SHA384,
];

/// A kind of public key, as the AlgorithmIdentifier of a SubjectPublicKeyInfo names it (the contents of its SEQUENCE).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl KeyKind {
    pub(super) const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Ed25519, Self::Rsa];

    /// The contents of the AlgorithmIdentifier, for SubjectPublicKeyInfo and PKCS#8.
    pub(super) fn algorithm(self) -> &'static [u8] {
        match self {
            // id-ecPublicKey with prime256v1
            Self::P256 => {
                b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
            }
            // id-ecPublicKey with secp384r1
            Self::P384 => b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
            // id-Ed25519, without parameters
            Self::Ed25519 => b"\x06\x03\x2b\x65\x70",
            // rsaEncryption, NULL
            Self::Rsa => b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
        }
    }
}

/// A scheme with a kind of key.
struct Verifier {
    scheme: SignatureScheme,
    key: KeyKind,
    algorithm: &'static dyn VerificationAlgorithm,
    certificate_algorithms: &'static [&'static [u8]],
    certificate_only: bool,
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
        let key = public_key(spki, self.key)?;
        let key = UnparsedPublicKey::new(self.algorithm, key);
        key.verify(message, signature).map_err(|_| CryptoError)
    }
}

/// The subjectPublicKey of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) of this kind.
fn public_key(spki: &[u8], kind: KeyKind) -> Result<&[u8], CryptoError> {
    let mut spki = der::Reader::new(der::only(spki, der::SEQUENCE)?);
    let algorithm = spki.value(der::SEQUENCE)?;
    let key = der::whole_bytes(spki.value(der::BIT_STRING)?)?;
    spki.end()?;
    if algorithm != kind.algorithm() {
        return Err(CryptoError);
    }
    if kind == KeyKind::Rsa {
        check_modulus(key)?;
    }
    Ok(key)
}

/// RSA keys are of 2048 to 8192 bits. ring rounds the length up to whole bytes before it compares.
fn check_modulus(key: &[u8]) -> Result<(), CryptoError> {
    let mut key = der::Reader::new(der::only(key, der::SEQUENCE)?);
    // ring refuses a number that is negative or has zeros in front. What is left: 256 bytes have the highest bit set
    // (2048 bits) exactly if there is the zero byte of a positive number before them.
    match key.value(der::INTEGER)? {
        [0, n @ ..] if (256..=1024).contains(&n.len()) => Ok(()),
        [1..=0xff, n @ ..] if (256..=1023).contains(&n.len()) => Ok(()),
        _ => Err(CryptoError),
    }
}

static ECDSA_SECP256R1_SHA256: Verifier = Verifier {
    scheme: SignatureScheme::ecdsa_secp256r1_sha256,
    key: KeyKind::P256,
    algorithm: &signature::ECDSA_P256_SHA256_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA256,
    certificate_only: false,
};

static ECDSA_SECP384R1_SHA384: Verifier = Verifier {
    scheme: SignatureScheme::ecdsa_secp384r1_sha384,
    key: KeyKind::P384,
    algorithm: &signature::ECDSA_P384_SHA384_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA384,
    certificate_only: false,
};

static ECDSA_P384_SHA256: Verifier = Verifier {
    scheme: SignatureScheme::ecdsa_secp256r1_sha256,
    key: KeyKind::P384,
    algorithm: &signature::ECDSA_P384_SHA256_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA256,
    certificate_only: true,
};

static ECDSA_P256_SHA384: Verifier = Verifier {
    scheme: SignatureScheme::ecdsa_secp384r1_sha384,
    key: KeyKind::P256,
    algorithm: &signature::ECDSA_P256_SHA384_ASN1,
    certificate_algorithms: ECDSA_WITH_SHA384,
    certificate_only: true,
};

static ED25519: Verifier = Verifier {
    scheme: SignatureScheme::ed25519,
    key: KeyKind::Ed25519,
    algorithm: &signature::ED25519,
    certificate_algorithms: &[b"\x06\x03\x2b\x65\x70"],
    certificate_only: false,
};

static RSA_PSS_RSAE_SHA256: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pss_rsae_sha256,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PSS_2048_8192_SHA256,
    certificate_algorithms: &[&pss_algorithm(1, 32)],
    certificate_only: false,
};

static RSA_PSS_RSAE_SHA384: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pss_rsae_sha384,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PSS_2048_8192_SHA384,
    certificate_algorithms: &[&pss_algorithm(2, 48)],
    certificate_only: false,
};

static RSA_PSS_RSAE_SHA512: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pss_rsae_sha512,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PSS_2048_8192_SHA512,
    certificate_algorithms: &[&pss_algorithm(3, 64)],
    certificate_only: false,
};

// PKCS#1 v1.5 never signs a CertificateVerify: `SignatureScheme::is_for_handshake` sees to that. RFC 4055 §5 wants
// NULL parameters and asks verifiers to accept absent ones.

static RSA_PKCS1_SHA256: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pkcs1_sha256,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PKCS1_2048_8192_SHA256,
    certificate_algorithms: &[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b",
    ],
    certificate_only: false,
};

static RSA_PKCS1_SHA384: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pkcs1_sha384,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PKCS1_2048_8192_SHA384,
    certificate_algorithms: &[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00",
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c",
    ],
    certificate_only: false,
};

static RSA_PKCS1_SHA512: Verifier = Verifier {
    scheme: SignatureScheme::rsa_pkcs1_sha512,
    key: KeyKind::Rsa,
    algorithm: &signature::RSA_PKCS1_2048_8192_SHA512,
    certificate_algorithms: &[
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00",
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d",
    ],
    certificate_only: false,
};

const ECDSA_WITH_SHA256: &[&[u8]] = &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"];
const ECDSA_WITH_SHA384: &[&[u8]] = &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"];

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
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use pki_types::alg_id;

    #[test]
    fn algorithms_are_those_of_pki_types() {
        for (kind, known) in [
            (KeyKind::P256, alg_id::ECDSA_P256),
            (KeyKind::P384, alg_id::ECDSA_P384),
            (KeyKind::Ed25519, alg_id::ED25519),
            (KeyKind::Rsa, alg_id::RSA_ENCRYPTION),
        ] {
            assert_eq!(kind.algorithm(), known.as_ref());
        }
        let expected = [
            alg_id::ECDSA_SHA256,
            alg_id::ECDSA_SHA384,
            alg_id::ED25519,
            alg_id::RSA_PSS_SHA256,
            alg_id::RSA_PSS_SHA384,
            alg_id::RSA_PSS_SHA512,
            alg_id::RSA_PKCS1_SHA256,
            alg_id::RSA_PKCS1_SHA384,
            alg_id::RSA_PKCS1_SHA512,
            alg_id::ECDSA_SHA256,
            alg_id::ECDSA_SHA384,
        ];
        assert_eq!(VERIFIERS.len(), expected.len());
        for (verifier, known) in VERIFIERS.iter().zip(expected) {
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

    fn spki(algorithm: &[u8], unused_bits: u8, key: &[u8]) -> Vec<u8> {
        let (mut a, mut b, mut out) = (Vec::new(), Vec::new(), Vec::new());
        der::write(&mut a, der::SEQUENCE, &[algorithm]);
        der::write(&mut b, der::BIT_STRING, &[&[unused_bits], key]);
        der::write(&mut out, der::SEQUENCE, &[&a, &b]);
        out
    }

    #[test]
    fn keys_are_read_strictly() {
        let good = spki(KeyKind::P256.algorithm(), 0, &[4; 65]);
        assert_eq!(public_key(&good, KeyKind::P256), Ok(&[4; 65][..]));
        assert!(public_key(&good, KeyKind::P384).is_err(), "another curve");
        assert!(public_key(&[&good[..], &[0]].concat(), KeyKind::P256).is_err(), "trailing");
        assert!(public_key(&good[..good.len() - 1], KeyKind::P256).is_err(), "truncated");
        let unused = spki(KeyKind::P256.algorithm(), 1, &[4; 65]);
        assert!(public_key(&unused, KeyKind::P256).is_err(), "unused bits");
        let ed25519_with_null = spki(b"\x06\x03\x2b\x65\x70\x05\x00", 0, &[4; 32]);
        assert!(public_key(&ed25519_with_null, KeyKind::Ed25519).is_err(), "parameters");
        let rsa_without_null = KeyKind::Rsa.algorithm().split_at(11).0;
        assert!(public_key(&spki(rsa_without_null, 0, &rsa(2048)), KeyKind::Rsa).is_err());
    }

    /// An RSAPublicKey whose modulus has this many bits, all ones.
    fn rsa(bits: usize) -> Vec<u8> {
        let mut n = vec![0xff; bits.div_ceil(8)];
        if bits.is_multiple_of(8) {
            n.insert(0, 0);
        } else {
            n[0] >>= 8 - bits % 8;
        }
        let (mut inner, mut out) = (Vec::new(), Vec::new());
        der::write(&mut inner, der::INTEGER, &[&n]);
        der::write(&mut inner, der::INTEGER, &[&[1, 0, 1]]);
        der::write(&mut out, der::SEQUENCE, &[&inner]);
        out
    }

    #[test]
    fn modulus_length_is_bounded() {
        for bits in [2048, 2049, 2056, 3072, 4096, 8184, 8191, 8192] {
            assert!(check_modulus(&rsa(bits)).is_ok(), "{bits}");
        }
        for bits in [8, 512, 1024, 2040, 2041, 2047, 8193, 8200, 16_384] {
            assert!(check_modulus(&rsa(bits)).is_err(), "{bits}");
        }
    }
}
