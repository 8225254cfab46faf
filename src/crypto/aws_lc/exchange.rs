//! Key exchange over one curve: X25519, P-256, P-384 and P-521 (RFC 9846 §4.3.8.2 and §7.4.2).
//!
//! AWS-LC checks that a point is on the curve, and refuses an X25519 result that is all zeros. It also takes points in
//! other forms than TLS has, and whole SubjectPublicKeyInfos: those are refused here.

use aws_lc_rs::agreement::{self, PrivateKey, PublicKey, UnparsedPublicKey};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm};

use super::super::key_form::UNCOMPRESSED;
use super::super::{KeyExchange, KeyPair, Rng};
use crate::codepoints::NamedGroup;
use crate::error::CryptoError;
use crate::secret::Secret;

pub(super) static X25519: Curve =
    Curve { group: NamedGroup::x25519, algorithm: &agreement::X25519, share_len: 32 };
pub(super) static SECP256R1: Curve =
    Curve { group: NamedGroup::secp256r1, algorithm: &agreement::ECDH_P256, share_len: 65 };
pub(super) static SECP384R1: Curve =
    Curve { group: NamedGroup::secp384r1, algorithm: &agreement::ECDH_P384, share_len: 97 };
pub(super) static SECP521R1: Curve =
    Curve { group: NamedGroup::secp521r1, algorithm: &agreement::ECDH_P521, share_len: 133 };

/// One curve.
#[derive(Clone, Copy)]
pub(super) struct Curve {
    group: NamedGroup,
    algorithm: &'static agreement::Algorithm,
    pub(super) share_len: usize,
}

impl Curve {
    /// The key pair of a private key, which must have the curve's length.
    ///
    /// # Errors
    /// If the scalar is zero or not less than the order of the group.
    pub(super) fn pair(&self, scalar: &[u8]) -> Result<CurvePair, CryptoError> {
        let private = PrivateKey::from_private_key(self.algorithm, scalar);
        CurvePair::new(*self, private.map_err(|_| CryptoError)?)
    }

    /// The public key of a private key, as [`Curve::pair`] takes it.
    pub(super) fn public_key(&self, scalar: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.pair(scalar)?.share().to_vec())
    }

    /// Whether a share has the one form that TLS has (RFC 9846 §4.3.8.2).
    fn is_share(&self, share: &[u8]) -> bool {
        let is_point = self.group != NamedGroup::x25519;
        share.len() == self.share_len && (!is_point || share.first() == Some(&UNCOMPRESSED))
    }
}

/// A key pair for ECDSA from its parts. AWS-LC takes no randomness but its own.
pub(super) fn ecdsa_key_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
    scalar: &[u8],
    public: &[u8],
    _: &dyn SecureRandom,
) -> Result<EcdsaKeyPair, KeyRejected> {
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, public)
}

impl KeyExchange for Curve {
    fn group(&self) -> NamedGroup {
        self.group
    }

    fn generate(&self, _: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError> {
        let private = PrivateKey::generate(self.algorithm).map_err(|_| CryptoError)?;
        Ok(Box::new(CurvePair::new(*self, private)?))
    }
}

pub(super) struct CurvePair {
    curve: Curve,
    private: PrivateKey,
    public: PublicKey,
}

impl CurvePair {
    fn new(curve: Curve, private: PrivateKey) -> Result<Self, CryptoError> {
        let public = private.compute_public_key().map_err(|_| CryptoError)?;
        Ok(Self { curve, private, public })
    }
}

impl KeyPair for CurvePair {
    fn share(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn agree(self: Box<Self>, peer_share: &[u8]) -> Result<Secret, CryptoError> {
        if !self.curve.is_share(peer_share) {
            return Err(CryptoError);
        }
        let peer = UnparsedPublicKey::new(self.curve.algorithm, peer_share);
        agreement::agree(&self.private, peer, CryptoError, |secret| {
            Secret::from_slice(secret).ok_or(CryptoError)
        })
    }
}
