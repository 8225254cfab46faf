//! Public keys and signature algorithms: what a key can do, and what is too weak to be looked at.

use super::der::{self, Der};
use crate::codepoints::SignatureScheme;

/// The kind of a public key, from the algorithm of its SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// rsaEncryption (RFC 3279 §2.3.1), with the bits of the modulus.
    Rsa(usize),
    /// id-RSASSA-PSS (RFC 4055 §3.1), with the bits of the modulus.
    RsaPss(usize),
    P256,
    P384,
    P521,
    Ed25519,
    Ed448,
    MlDsa44,
    MlDsa65,
    MlDsa87,
    /// Nothing that TLS 1.3 has a signature scheme for.
    Other,
}

impl KeyKind {
    /// The kind of the key in a DER SubjectPublicKeyInfo.
    pub(super) fn of(spki: &[u8]) -> Self {
        Self::read(spki).unwrap_or(Self::Other)
    }

    fn read(spki: &[u8]) -> Option<Self> {
        let mut der = Der::new(Der::new(spki).only(der::SEQUENCE)?);
        let mut algorithm = Der::new(der.expect(der::SEQUENCE)?);
        let key = der::bytes_of_bit_string(der.only(der::BIT_STRING)?)?;
        let oid = algorithm.expect(der::OID)?;
        let parameters = algorithm;
        Some(match oid {
            oids::RSA => Self::Rsa(modulus_bits(key)?),
            oids::RSA_PSS => Self::RsaPss(modulus_bits(key)?),
            // Explicit curve parameters are a SEQUENCE, and so are no key of ours (RFC 5480 §2.1.1).
            oids::EC => match parameters.only(der::OID)? {
                oids::P256 => Self::P256,
                oids::P384 => Self::P384,
                oids::P521 => Self::P521,
                _ => Self::Other,
            },
            oids::ED25519 => Self::Ed25519,
            oids::ED448 => Self::Ed448,
            oids::ML_DSA_44 => Self::MlDsa44,
            oids::ML_DSA_65 => Self::MlDsa65,
            oids::ML_DSA_87 => Self::MlDsa87,
            _ => Self::Other,
        })
    }

    /// The bits of a key that is too short to be trusted, whoever signed it: RSA below 2048.
    pub(super) fn weak_bits(self) -> Option<usize> {
        match self {
            Self::Rsa(bits) | Self::RsaPss(bits) => Some(bits).filter(|b| *b < MIN_RSA_BITS),
            _ => None,
        }
    }

    /// Whether a key of this kind can make signatures of `scheme` in a CertificateVerify (RFC 9846 §4.3.3).
    pub(super) fn fits(self, scheme: SignatureScheme) -> bool {
        use SignatureScheme as S;
        match self {
            Self::Rsa(_) => matches!(
                scheme,
                S::rsa_pss_rsae_sha256
                    | S::rsa_pss_rsae_sha384
                    | S::rsa_pss_rsae_sha512
                    | S::rsa_pkcs1_sha256_legacy
                    | S::rsa_pkcs1_sha384_legacy
                    | S::rsa_pkcs1_sha512_legacy
            ),
            Self::RsaPss(_) => matches!(
                scheme,
                S::rsa_pss_pss_sha256 | S::rsa_pss_pss_sha384 | S::rsa_pss_pss_sha512
            ),
            Self::P256 => scheme == S::ecdsa_secp256r1_sha256,
            Self::P384 => scheme == S::ecdsa_secp384r1_sha384,
            Self::P521 => scheme == S::ecdsa_secp521r1_sha512,
            Self::Ed25519 => scheme == S::ed25519,
            Self::Ed448 => scheme == S::ed448,
            Self::MlDsa44 => scheme == S::mldsa44,
            Self::MlDsa65 => scheme == S::mldsa65,
            Self::MlDsa87 => scheme == S::mldsa87,
            Self::Other => false,
        }
    }
}

/// The bits of the modulus in a DER RSAPublicKey (RFC 8017 §A.1.1).
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let (modulus, _) = rsa_public_key(key)?;
    // It is in its shortest form: at most one zero byte is in front.
    let digits = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let top_bits = usize::try_from(8 - digits.first()?.leading_zeros()).ok()?;
    Some((digits.len() - 1) * 8 + top_bits)
}

/// The contents of modulus and exponent in a DER SubjectPublicKeyInfo of an RSA key.
pub(super) fn rsa_numbers(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut der = Der::new(Der::new(spki).only(der::SEQUENCE)?);
    der.expect(der::SEQUENCE)?;
    rsa_public_key(der::bytes_of_bit_string(der.only(der::BIT_STRING)?)?)
}

fn rsa_public_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut numbers = Der::new(Der::new(key).only(der::SEQUENCE)?);
    let (modulus, exponent) = (numbers.expect(der::INTEGER)?, numbers.only(der::INTEGER)?);
    (der::is_integer(modulus) && der::is_integer(exponent)).then_some((modulus, exponent))
}

/// The name of a signature algorithm that no longer proves anything: its hash is MD2, MD4, MD5 or SHA-1
/// (RFC 9846 §4.5.1.3). `algorithm` is the contents of an AlgorithmIdentifier.
pub(super) fn weak_algorithm(algorithm: &[u8]) -> Option<&'static str> {
    match Der::new(algorithm).expect(der::OID)? {
        oids::MD2_RSA => Some("md2WithRSAEncryption"),
        oids::MD4_RSA => Some("md4WithRSAEncryption"),
        oids::MD5_RSA => Some("md5WithRSAEncryption"),
        oids::SHA1_RSA | oids::SHA1_RSA_OIW => Some("sha1WithRSAEncryption"),
        oids::SHA1_ECDSA => Some("ecdsa-with-SHA1"),
        oids::SHA1_DSA => Some("dsa-with-SHA1"),
        _ => None,
    }
}

/// RFC 9325 §4.5, and the CA/Browser Forum since 2013.
const MIN_RSA_BITS: usize = 2048;

/// Contents octets of object identifiers.
mod oids {
    pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    pub(super) const MD2_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2];
    pub(super) const MD4_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 3];
    pub(super) const MD5_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];
    pub(super) const SHA1_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
    pub(super) const SHA1_RSA_OIW: &[u8] = &[0x2b, 0x0e, 3, 2, 29];
    pub(super) const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
    pub(super) const SHA1_ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    pub(super) const SHA1_DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3];
    pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    pub(super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    pub(super) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0, 34];
    pub(super) const P521: &[u8] = &[0x2b, 0x81, 0x04, 0, 35];
    pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 112];
    pub(super) const ED448: &[u8] = &[0x2b, 0x65, 113];
    pub(super) const ML_DSA_44: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17];
    pub(super) const ML_DSA_65: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18];
    pub(super) const ML_DSA_87: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19];
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, u8::try_from(value.len()).unwrap()];
        out.extend(value);
        out
    }

    fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
        tlv(0x30, &[tlv(0x30, algorithm), tlv(3, &[&[0], key].concat())].concat())
    }

    #[test]
    fn one_kind_one_set_of_schemes() {
        use SignatureScheme as S;
        let ec = |curve: &[u8]| spki(&[tlv(6, oids::EC), tlv(6, curve)].concat(), &[4]);
        let rsa = tlv(0x30, &[tlv(2, &[0, 0x80, 0, 0]), tlv(2, &[3])].concat());
        let cases = [
            (ec(oids::P256), KeyKind::P256, vec![S::ecdsa_secp256r1_sha256]),
            (ec(oids::P384), KeyKind::P384, vec![S::ecdsa_secp384r1_sha384]),
            (ec(oids::P521), KeyKind::P521, vec![S::ecdsa_secp521r1_sha512]),
            (spki(&tlv(6, oids::ED25519), &[1]), KeyKind::Ed25519, vec![S::ed25519]),
            (
                spki(&tlv(6, oids::RSA), &rsa),
                KeyKind::Rsa(24),
                vec![
                    S::rsa_pkcs1_sha256_legacy,
                    S::rsa_pkcs1_sha384_legacy,
                    S::rsa_pkcs1_sha512_legacy,
                    S::rsa_pss_rsae_sha256,
                    S::rsa_pss_rsae_sha384,
                    S::rsa_pss_rsae_sha512,
                ],
            ),
            (
                spki(&tlv(6, oids::RSA_PSS), &rsa),
                KeyKind::RsaPss(24),
                vec![S::rsa_pss_pss_sha256, S::rsa_pss_pss_sha384, S::rsa_pss_pss_sha512],
            ),
        ];
        for (spki, kind, schemes) in cases {
            assert_eq!(KeyKind::of(&spki), kind);
            let fitting: Vec<_> = (0..=0xffff).map(S).filter(|s| kind.fits(*s)).collect();
            assert_eq!(fitting, schemes, "{kind:?}");
        }
        assert_eq!(KeyKind::Rsa(2047).weak_bits(), Some(2047));
        assert_eq!(KeyKind::Rsa(2048).weak_bits(), None);
    }

    #[test]
    fn what_is_no_key_fits_nothing() {
        let explicit_curve = spki(&[tlv(6, oids::EC), tlv(0x30, &[])].concat(), &[4]);
        let no_curve = spki(&tlv(6, oids::EC), &[4]);
        let unused_bits = tlv(0x30, &[tlv(0x30, &tlv(6, oids::ED25519)), tlv(3, &[1, 2])].concat());
        let negative = tlv(0x30, &[tlv(2, &[]), tlv(2, &[3])].concat());
        let rsa = spki(&tlv(6, oids::RSA), &negative);
        for spki in [explicit_curve, no_curve, unused_bits, rsa, vec![], vec![0x30, 0]] {
            assert_eq!(KeyKind::of(&spki), KeyKind::Other, "{spki:?}");
            assert!(!(0..=0xffff).any(|s| KeyKind::Other.fits(SignatureScheme(s))));
        }
    }
}
