//! Private keys: PKCS#8 (RFC 5958), SEC1 (RFC 5915) and PKCS#1 (RFC 8017 Appendix A.1.2), and signing with them.
//!
//! The documents are read here and not by ring, which refuses some that are common: PKCS#8 with attributes, EC keys
//! without their public key, Ed25519 keys of either version.
//!
//! An RSA signature is checked before it leaves: `ring::rsa::KeyPair::sign` raises its result to the public exponent and
//! compares it with what was to be signed, against faults in the computation with the Chinese remainder theorem (ring
//! 0.17, `src/rsa/keypair.rs`, `private_exponentiate`: "Verify the result to protect against fault attacks").

use pki_types::PrivateKeyDer;
use ring::rand::SecureRandom;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _};
use ring::signature::{RsaEncoding, RsaKeyPair};
use zeroize::Zeroizing;

use super::super::{Rng, SigningKey};
use super::der;
use super::exchange::{Curve, SECP256R1, SECP384R1};
use super::verify::KeyKind;
use crate::codepoints::SignatureScheme;
use crate::error::CryptoError;

/// A private key that signs.
pub(in crate::crypto) struct Key {
    pair: Pair,
    spki: Vec<u8>,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    /// Reads a key. `random` hides ECDSA nonces, in addition to what each signature draws.
    ///
    /// # Errors
    /// If the document is malformed, the key is of an unknown kind or size, or its parts contradict each other.
    pub(in crate::crypto) fn load(
        key: &PrivateKeyDer<'_>,
        random: &dyn SecureRandom,
    ) -> Result<Self, CryptoError> {
        let pair = match key {
            PrivateKeyDer::Pkcs8(key) => pkcs8(key.secret_pkcs8_der(), random),
            PrivateKeyDer::Sec1(key) => {
                EcPrivateKey::read(key.secret_sec1_der())?.pair(None, None, random)
            }
            PrivateKeyDer::Pkcs1(key) => rsa(key.secret_pkcs1_der()),
            _ => Err(CryptoError),
        }?;
        let spki = pair.spki();
        Ok(Self { pair, spki })
    }

    /// Signs with the randomness of one of ring's sources, of which it draws [`Key::salt_len`] bytes at once.
    pub(in crate::crypto) fn sign_with(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, CryptoError> {
        if !self.schemes().contains(&scheme) {
            return Err(CryptoError);
        }
        match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => {
                let signature = pair.sign(random, message).map_err(|_| CryptoError)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = pair.sign(pss(scheme)?, random, message, &mut signature);
                signed.map(|()| signature).map_err(|_| CryptoError)
            }
        }
    }

    /// How many random bytes a signature takes.
    #[cfg(feature = "test-support")]
    pub(in crate::crypto) fn salt_len(&self, scheme: SignatureScheme) -> usize {
        match (&self.pair, scheme) {
            // ring hashes a digest of the key, randomness and the message's digest into the nonce. The first two fill
            // one block of the hash: 64 bytes less 32, or 128 less 48.
            (Pair::P256(_), _) => 32,
            (Pair::P384(_), _) => 80,
            (Pair::Ed25519(_), _) => 0,
            // A PSS salt is as long as the hash (RFC 9846 §4.3.3).
            (Pair::Rsa(_), SignatureScheme::rsa_pss_rsae_sha256) => 32,
            (Pair::Rsa(_), SignatureScheme::rsa_pss_rsae_sha384) => 48,
            (Pair::Rsa(_), _) => 64,
        }
    }
}

impl SigningKey for Key {
    fn schemes(&self) -> &[SignatureScheme] {
        match self.pair {
            Pair::P256(_) => &[SignatureScheme::ecdsa_secp256r1_sha256],
            Pair::P384(_) => &[SignatureScheme::ecdsa_secp384r1_sha384],
            Pair::Ed25519(_) => &[SignatureScheme::ed25519],
            Pair::Rsa(_) => &[
                SignatureScheme::rsa_pss_rsae_sha256,
                SignatureScheme::rsa_pss_rsae_sha384,
                SignatureScheme::rsa_pss_rsae_sha512,
            ],
        }
    }

    fn spki(&self) -> &[u8] {
        &self.spki
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        _: &dyn Rng,
    ) -> Result<Vec<u8>, CryptoError> {
        // ring's trait for randomness is sealed: it takes the operating system's and no other.
        self.sign_with(scheme, message, &super::system_random())
    }
}

impl Pair {
    /// The SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), as a certificate for this key carries it.
    fn spki(&self) -> Vec<u8> {
        let (kind, key) = match self {
            Self::P256(pair) => (KeyKind::P256, pair.public_key().as_ref()),
            Self::P384(pair) => (KeyKind::P384, pair.public_key().as_ref()),
            Self::Ed25519(pair) => (KeyKind::Ed25519, pair.public_key().as_ref()),
            Self::Rsa(pair) => (KeyKind::Rsa, pair.public_key().as_ref()),
        };
        let (mut algorithm, mut bits, mut spki) = (Vec::new(), Vec::new(), Vec::new());
        der::write(&mut algorithm, der::SEQUENCE, &[kind.algorithm()]);
        der::write(&mut bits, der::BIT_STRING, &[&[0], key]);
        der::write(&mut spki, der::SEQUENCE, &[&algorithm, &bits]);
        spki
    }
}

/// OneAsymmetricKey (RFC 5958 §2): version 1, or version 2 with a public key. Attributes are passed over.
fn pkcs8(document: &[u8], random: &dyn SecureRandom) -> Result<Pair, CryptoError> {
    let mut document = der::Reader::new(der::only(document, der::SEQUENCE)?);
    let version = document.value(der::INTEGER)?;
    let algorithm = document.value(der::SEQUENCE)?;
    let key = document.value(der::OCTET_STRING)?;
    document.optional(der::explicit(0))?;
    let public = match version {
        [0] => None,
        [1] => outer_public_key(&mut document)?,
        _ => return Err(CryptoError),
    };
    document.end()?;

    match KeyKind::ALL.into_iter().find(|kind| kind.algorithm() == algorithm) {
        Some(KeyKind::Rsa) => rsa(key),
        Some(KeyKind::Ed25519) => ed25519(key, public),
        Some(curve) => EcPrivateKey::read(key)?.pair(Some(curve), public, random),
        None => Err(CryptoError),
    }
}

/// The publicKey of version 2, `[1] IMPLICIT BIT STRING`. ring before 0.17, and what was made with it, wrote the tag as
/// if it were explicit.
fn outer_public_key<'a>(document: &mut der::Reader<'a>) -> Result<Option<&'a [u8]>, CryptoError> {
    let bits = match document.optional(der::implicit(1))? {
        Some(bits) => Some(bits),
        None => match document.optional(der::explicit(1))? {
            Some(value) => Some(der::only(value, der::BIT_STRING)?),
            None => None,
        },
    };
    bits.map(der::whole_bytes).transpose()
}

/// RSAPrivateKey. ring takes two primes, 2048 to 4096 bits, and a public exponent of at least 65,537.
fn rsa(key: &[u8]) -> Result<Pair, CryptoError> {
    RsaKeyPair::from_der(key).map(Pair::Rsa).map_err(|_| CryptoError)
}

/// CurvePrivateKey (RFC 8410 §7): the seed, and the public key if the document has it.
fn ed25519(key: &[u8], public: Option<&[u8]>) -> Result<Pair, CryptoError> {
    let seed = der::only(key, der::OCTET_STRING)?;
    let pair = match public {
        Some(public) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        None => Ed25519KeyPair::from_seed_unchecked(seed),
    };
    pair.map(Pair::Ed25519).map_err(|_| CryptoError)
}

/// ECPrivateKey (RFC 5915 §3), alone (SEC1) or in PKCS#8.
struct EcPrivateKey<'a> {
    scalar: &'a [u8],
    curve: Option<KeyKind>,
    public: Option<&'a [u8]>,
}

impl<'a> EcPrivateKey<'a> {
    fn read(document: &'a [u8]) -> Result<Self, CryptoError> {
        let mut document = der::Reader::new(der::only(document, der::SEQUENCE)?);
        if document.value(der::INTEGER)? != [1] {
            return Err(CryptoError);
        }
        let scalar = document.value(der::OCTET_STRING)?;
        let curve = document.optional(der::explicit(0))?.map(named_curve).transpose()?;
        let public = match document.optional(der::explicit(1))? {
            Some(value) => Some(der::whole_bytes(der::only(value, der::BIT_STRING)?)?),
            None => None,
        };
        document.end()?;
        Ok(Self { scalar, curve, public })
    }

    /// The key pair. What PKCS#8 says about it and what it says itself must agree.
    fn pair(
        &self,
        curve: Option<KeyKind>,
        public: Option<&[u8]>,
        random: &dyn SecureRandom,
    ) -> Result<Pair, CryptoError> {
        // Without a name, the length tells the curve: RFC 5915 §3 fixes it.
        let by_length =
            if self.scalar.len() == SCALAR_P384 { KeyKind::P384 } else { KeyKind::P256 };
        let kind = curve.or(self.curve).unwrap_or(by_length);
        if self.curve.is_some_and(|named| named != kind) {
            return Err(CryptoError);
        }
        match kind {
            KeyKind::P256 => {
                let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
                self.ecdsa::<SCALAR_P256>(algorithm, &SECP256R1, public, random).map(Pair::P256)
            }
            KeyKind::P384 => {
                let algorithm = &signature::ECDSA_P384_SHA384_ASN1_SIGNING;
                self.ecdsa::<SCALAR_P384>(algorithm, &SECP384R1, public, random).map(Pair::P384)
            }
            KeyKind::Ed25519 | KeyKind::Rsa => Err(CryptoError),
        }
    }

    /// ring checks the scalar's range, and that the public key belongs to it.
    fn ecdsa<const LEN: usize>(
        &self,
        algorithm: &'static EcdsaSigningAlgorithm,
        curve: &Curve,
        public: Option<&[u8]>,
        random: &dyn SecureRandom,
    ) -> Result<EcdsaKeyPair, CryptoError> {
        let scalar = Zeroizing::new(left_padded::<LEN>(self.scalar)?);
        // A compressed point is left to be computed anew: ring does not read it.
        let points = [public, self.public].into_iter().flatten();
        let mut points = points.filter(|point| point.first() == Some(&UNCOMPRESSED));
        let known = points.next();
        if points.any(|other| Some(other) != known) {
            return Err(CryptoError);
        }
        let public = match known {
            Some(public) => public.to_vec(),
            None => curve.public_key(&*scalar)?,
        };
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &*scalar, &public, random)
            .map_err(|_| CryptoError)
    }
}

/// The first byte of an uncompressed point (RFC 5480 §2.2).
const UNCOMPRESSED: u8 = 4;
const SCALAR_P256: usize = 32;
const SCALAR_P384: usize = 48;

/// ECParameters: a named curve, and one of ours (RFC 5480 §2.1.1).
fn named_curve(parameters: &[u8]) -> Result<KeyKind, CryptoError> {
    let curves = [KeyKind::P256, KeyKind::P384];
    // Past id-ecPublicKey, which is 9 bytes with its header.
    let fits = |kind: &KeyKind| kind.algorithm().get(9..) == Some(parameters);
    curves.into_iter().find(fits).ok_or(CryptoError)
}

/// RFC 5915 §3 has the scalar at full length; some writers drop leading zeros.
fn left_padded<const LEN: usize>(scalar: &[u8]) -> Result<[u8; LEN], CryptoError> {
    let mut padded = [0; LEN];
    let at = LEN.checked_sub(scalar.len()).ok_or(CryptoError)?;
    padded.get_mut(at..).ok_or(CryptoError)?.copy_from_slice(scalar);
    Ok(padded)
}

fn pss(scheme: SignatureScheme) -> Result<&'static dyn RsaEncoding, CryptoError> {
    match scheme {
        SignatureScheme::rsa_pss_rsae_sha256 => Ok(&signature::RSA_PSS_SHA256),
        SignatureScheme::rsa_pss_rsae_sha384 => Ok(&signature::RSA_PSS_SHA384),
        SignatureScheme::rsa_pss_rsae_sha512 => Ok(&signature::RSA_PSS_SHA512),
        _ => Err(CryptoError),
    }
}
