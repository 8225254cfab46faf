//! Key exchange over one curve: X25519, P-256 and P-384 (RFC 9846 §4.3.8.2 and §7.4.2).
//!
//! ring takes uncompressed points only, checks that they are on the curve, and refuses an X25519 result that is all
//! zeros: the MUSTs of those two sections.

use ring::agreement::{self, EphemeralPrivateKey, PublicKey, UnparsedPublicKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm};

use super::super::{KeyExchange, KeyPair, Rng};
use crate::codepoints::NamedGroup;
use crate::error::CryptoError;
use crate::secret::{Secret, leaving_no_trace};

pub(in crate::crypto) static X25519: Curve =
    Curve { group: NamedGroup::x25519, algorithm: &agreement::X25519 };
pub(in crate::crypto) static SECP256R1: Curve =
    Curve { group: NamedGroup::secp256r1, algorithm: &agreement::ECDH_P256 };
pub(in crate::crypto) static SECP384R1: Curve =
    Curve { group: NamedGroup::secp384r1, algorithm: &agreement::ECDH_P384 };

/// Bytes of stack that ring works in: more than enough for each curve.
const EXCHANGE_STACK: usize = if cfg!(debug_assertions) { 65_536 } else { 16_384 };

/// One curve.
pub(in crate::crypto) struct Curve {
    group: NamedGroup,
    pub(in crate::crypto) algorithm: &'static agreement::Algorithm,
}

impl Curve {
    /// A key pair from the randomness of one of ring's sources.
    pub(in crate::crypto) fn pair(
        &self,
        random: &dyn SecureRandom,
    ) -> Result<Box<dyn KeyPair>, CryptoError> {
        leaving_no_trace::<EXCHANGE_STACK, _>(|| {
            let private = EphemeralPrivateKey::generate(self.algorithm, random);
            let private = private.map_err(|_| CryptoError)?;
            let public = private.compute_public_key().map_err(|_| CryptoError)?;
            let pair: Box<dyn KeyPair> = Box::new(CurvePair { private, public });
            Ok(pair)
        })
    }

    /// The public key of a private key, which must have the curve's length (32 bytes, or 48 for P-384).
    ///
    /// # Errors
    /// If the scalar is zero or not less than the order of the group.
    pub(in crate::crypto) fn public_key(&self, scalar: &[u8]) -> Result<Vec<u8>, CryptoError> {
        // ring 0.17 has no other way from a scalar to its point than to "generate" that very key. The source of
        // randomness is one that ring marks as internal, but what it does here is exact: ring draws once, and takes
        // these bytes or refuses them. Only keys without their public key come here (RFC 5915 §3: SHOULD include it);
        // if ring takes the source away, they are refused and nothing else changes.
        #[allow(deprecated)]
        let random = ring::test::rand::FixedSliceRandom { bytes: scalar };
        Ok(self.pair(&random)?.share().to_vec())
    }
}

/// A key pair for ECDSA from its parts.
pub(super) fn ecdsa_key_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
    scalar: &[u8],
    public: &[u8],
    random: &dyn SecureRandom,
) -> Result<EcdsaKeyPair, ring::error::KeyRejected> {
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, public, random)
}

impl KeyExchange for Curve {
    fn group(&self) -> NamedGroup {
        self.group
    }

    fn generate(&self, _: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError> {
        // ring's trait for randomness is sealed: it takes the operating system's and no other.
        self.pair(&SystemRandom::new())
    }
}

struct CurvePair {
    private: EphemeralPrivateKey,
    public: PublicKey,
}

impl CurvePair {
    /// Takes the private key out. ring does not wipe its keys, so another takes its place, which nobody needs.
    fn take_private(&mut self) -> Result<EphemeralPrivateKey, CryptoError> {
        let other = EphemeralPrivateKey::generate(self.private.algorithm(), &SystemRandom::new());
        let private = std::mem::replace(&mut self.private, other.map_err(|_| CryptoError)?);
        // Without this the compiler could leave out what nobody reads any more.
        std::hint::black_box(&mut self.private);
        Ok(private)
    }
}

impl KeyPair for CurvePair {
    fn share(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn agree(mut self: Box<Self>, peer_share: &[u8]) -> Result<Secret, CryptoError> {
        leaving_no_trace::<EXCHANGE_STACK, _>(|| {
            let peer = UnparsedPublicKey::new(self.private.algorithm(), peer_share);
            let private = self.take_private()?;
            let secret = agreement::agree_ephemeral(private, &peer, Secret::from_slice);
            secret.ok().flatten().ok_or(CryptoError)
        })
    }
}

impl Drop for CurvePair {
    fn drop(&mut self) {
        // Without randomness for another key it stays; but then it was not made either.
        let _wiped = self.take_private();
    }
}
