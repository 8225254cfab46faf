//! The forms of keys: SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), PKCS#8 (RFC 5958), SEC1 (RFC 5915) and PKCS#1 (RFC 8017
//! Appendix A.1.2).
//!
//! The documents are read here and not by a provider's crate. Those refuse some that are common: PKCS#8 with attributes, EC
//! keys without their public key, Ed25519 keys of either version. And where they differ, two providers would.

use pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use super::der;
use crate::error::CryptoError;

/// A kind of key, as the AlgorithmIdentifier of a SubjectPublicKeyInfo names it (the contents of its SEQUENCE).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeyKind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa,
}

impl KeyKind {
    pub(super) const ALL: [Self; 5] =
        [Self::P256, Self::P384, Self::P521, Self::Ed25519, Self::Rsa];

    /// The contents of the AlgorithmIdentifier, for SubjectPublicKeyInfo and PKCS#8.
    pub(super) fn algorithm(self) -> &'static [u8] {
        match self {
            // id-ecPublicKey with prime256v1
            Self::P256 => {
                b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
            }
            // id-ecPublicKey with secp384r1
            Self::P384 => b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
            // id-ecPublicKey with secp521r1
            Self::P521 => b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23",
            // id-Ed25519, without parameters
            Self::Ed25519 => b"\x06\x03\x2b\x65\x70",
            // rsaEncryption, NULL
            Self::Rsa => b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
        }
    }

    /// Bytes of a private key on this curve (RFC 5915 §3), if it is one that signs with ECDSA.
    fn scalar_len(self) -> Option<usize> {
        match self {
            Self::P256 => Some(32),
            Self::P384 => Some(48),
            Self::P521 => Some(66),
            Self::Ed25519 | Self::Rsa => None,
        }
    }

    /// The SubjectPublicKeyInfo with this key, as a certificate for it carries it.
    pub(super) fn spki(self, key: &[u8]) -> Vec<u8> {
        let (mut algorithm, mut bits, mut spki) = (Vec::new(), Vec::new(), Vec::new());
        der::write(&mut algorithm, der::SEQUENCE, &[self.algorithm()]);
        der::write(&mut bits, der::BIT_STRING, &[&[0], key]);
        der::write(&mut spki, der::SEQUENCE, &[&algorithm, &bits]);
        spki
    }

    /// The subjectPublicKey of a SubjectPublicKeyInfo of this kind. Points are uncompressed, and RSA keys of 2048 to 8192
    /// bits.
    pub(super) fn public_key(self, spki: &[u8]) -> Result<&[u8], CryptoError> {
        let mut spki = der::Reader::new(der::only(spki, der::SEQUENCE)?);
        let algorithm = spki.value(der::SEQUENCE)?;
        let key = der::whole_bytes(spki.value(der::BIT_STRING)?)?;
        spki.end()?;
        if algorithm != self.algorithm() {
            return Err(CryptoError);
        }
        match self {
            Self::Rsa => check_modulus(key)?,
            Self::P256 | Self::P384 | Self::P521 if key.first() != Some(&UNCOMPRESSED) => {
                return Err(CryptoError);
            }
            _ => {}
        }
        Ok(key)
    }
}

/// The first byte of an uncompressed point (RFC 5480 §2.2).
pub(super) const UNCOMPRESSED: u8 = 4;

/// RSA keys are of 2048 to 8192 bits. The crates below round the length up to whole bytes before they compare.
fn check_modulus(key: &[u8]) -> Result<(), CryptoError> {
    let mut key = der::Reader::new(der::only(key, der::SEQUENCE)?);
    // They refuse a number that is negative or has zeros in front. What is left: 256 bytes have the highest bit set
    // (2048 bits) exactly if there is the zero byte of a positive number before them.
    match key.value(der::INTEGER)? {
        [0, n @ ..] if (256..=1024).contains(&n.len()) => Ok(()),
        [1..=0xff, n @ ..] if (256..=1023).contains(&n.len()) => Ok(()),
        _ => Err(CryptoError),
    }
}

/// A private key, taken out of its document.
pub(super) enum PrivateKey<'a> {
    /// RSAPrivateKey, as a whole.
    Rsa(&'a [u8]),
    /// The seed, and the public key if the document has it (RFC 8410 §7).
    Ed25519 { seed: &'a [u8], public: Option<&'a [u8]> },
    /// The scalar at full length, and the uncompressed point if the document has it.
    Ec { curve: KeyKind, scalar: Zeroizing<Vec<u8>>, public: Option<&'a [u8]> },
}

impl<'a> PrivateKey<'a> {
    /// Reads a document. Whether the parts fit one another is left to the provider.
    ///
    /// # Errors
    /// If it is malformed, of a kind that is not known here, or says different things in two places.
    pub(super) fn read(key: &'a PrivateKeyDer<'_>) -> Result<Self, CryptoError> {
        match key {
            PrivateKeyDer::Pkcs8(key) => pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(key) => EcPrivateKey::read(key.secret_sec1_der())?.key(None, None),
            PrivateKeyDer::Pkcs1(key) => rsa(key.secret_pkcs1_der()),
            _ => Err(CryptoError),
        }
    }
}

/// OneAsymmetricKey (RFC 5958 §2): version 1, or version 2 with a public key. Attributes are passed over.
fn pkcs8(document: &[u8]) -> Result<PrivateKey<'_>, CryptoError> {
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
        Some(KeyKind::Ed25519) => {
            Ok(PrivateKey::Ed25519 { seed: der::only(key, der::OCTET_STRING)?, public })
        }
        Some(curve) => EcPrivateKey::read(key)?.key(Some(curve), public),
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

/// RSAPrivateKey with two primes (version 0), and nothing around it.
fn rsa(document: &[u8]) -> Result<PrivateKey<'_>, CryptoError> {
    let mut parts = der::Reader::new(der::only(document, der::SEQUENCE)?);
    if parts.value(der::INTEGER)? != [0] {
        return Err(CryptoError);
    }
    for _modulus_to_coefficient in 0..8 {
        parts.value(der::INTEGER)?;
    }
    parts.end()?;
    Ok(PrivateKey::Rsa(document))
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

    /// The key. What PKCS#8 says about it and what it says itself must agree.
    fn key(
        &self,
        curve: Option<KeyKind>,
        public: Option<&'a [u8]>,
    ) -> Result<PrivateKey<'a>, CryptoError> {
        // Without a name, the length tells the curve: RFC 5915 §3 fixes it.
        let by_length = match self.scalar.len() {
            48 => KeyKind::P384,
            66 => KeyKind::P521,
            _ => KeyKind::P256,
        };
        let kind = curve.or(self.curve).unwrap_or(by_length);
        if self.curve.is_some_and(|named| named != kind) {
            return Err(CryptoError);
        }
        // RFC 5915 §3 has the scalar at full length; some writers drop leading zeros.
        let len = kind.scalar_len().ok_or(CryptoError)?;
        let at = len.checked_sub(self.scalar.len()).ok_or(CryptoError)?;
        let mut scalar = Zeroizing::new(vec![0; len]);
        scalar.get_mut(at..).ok_or(CryptoError)?.copy_from_slice(self.scalar);

        // A compressed point is left to be computed anew.
        let points = [public, self.public].into_iter().flatten();
        let mut points = points.filter(|point| point.first() == Some(&UNCOMPRESSED));
        let public = points.next();
        if points.any(|other| Some(other) != public) {
            return Err(CryptoError);
        }
        Ok(PrivateKey::Ec { curve: kind, scalar, public })
    }
}

/// ECParameters: a named curve, and one of ours (RFC 5480 §2.1.1).
fn named_curve(parameters: &[u8]) -> Result<KeyKind, CryptoError> {
    let curves = [KeyKind::P256, KeyKind::P384, KeyKind::P521];
    // Past id-ecPublicKey, which is 9 bytes with its header.
    let fits = |kind: &KeyKind| kind.algorithm().get(9..) == Some(parameters);
    curves.into_iter().find(fits).ok_or(CryptoError)
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
            (KeyKind::P521, alg_id::ECDSA_P521),
            (KeyKind::Ed25519, alg_id::ED25519),
            (KeyKind::Rsa, alg_id::RSA_ENCRYPTION),
        ] {
            assert_eq!(kind.algorithm(), known.as_ref());
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
        let good = KeyKind::P256.spki(&[4; 65]);
        assert_eq!(good, spki(KeyKind::P256.algorithm(), 0, &[4; 65]));
        assert_eq!(KeyKind::P256.public_key(&good), Ok(&[4; 65][..]));
        assert!(KeyKind::P384.public_key(&good).is_err(), "another curve");
        assert!(KeyKind::P256.public_key(&[&good[..], &[0]].concat()).is_err(), "trailing");
        assert!(KeyKind::P256.public_key(&good[..good.len() - 1]).is_err(), "truncated");
        let unused = spki(KeyKind::P256.algorithm(), 1, &[4; 65]);
        assert!(KeyKind::P256.public_key(&unused).is_err(), "unused bits");
        let compressed = KeyKind::P256.spki(&[2; 33]);
        assert!(KeyKind::P256.public_key(&compressed).is_err(), "compressed");
        let ed25519_with_null = spki(b"\x06\x03\x2b\x65\x70\x05\x00", 0, &[4; 32]);
        assert!(KeyKind::Ed25519.public_key(&ed25519_with_null).is_err(), "parameters");
        let rsa_without_null = KeyKind::Rsa.algorithm().split_at(11).0;
        assert!(KeyKind::Rsa.public_key(&spki(rsa_without_null, 0, &rsa(2048))).is_err());
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
