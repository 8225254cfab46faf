//! Private keys, and signing with them. `key_form` reads their documents.
//!
//! An RSA signature is checked before it leaves, against faults in the computation with the Chinese remainder theorem: ring
//! raises its result to the public exponent and compares it with what was to be signed (0.17, `src/rsa/keypair.rs`,
//! `private_exponentiate`), and so does AWS-LC (`crypto/fipsmodule/rsa/rsa_impl.c`, `rsa_default_private_transform`).

use pki_types::PrivateKeyDer;

use super::backend::rand::{SecureRandom, SystemRandom};
use super::backend::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair,
};
use super::exchange::{Curve, ecdsa_key_pair};
use crate::codepoints::SignatureScheme;
use crate::crypto::key_form::{KeyKind, PrivateKey};
use crate::crypto::{Rng, SigningKey};
use crate::error::CryptoError;

/// A private key that signs.
pub(in crate::crypto) struct Key {
    pair: Pair,
    spki: Vec<u8>,
}

enum Pair {
    Ecdsa(&'static EcdsaCurve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A curve for ECDSA, with the one hash that RFC 9846 §4.3.3 gives it.
pub(super) struct EcdsaCurve {
    pub(super) kind: KeyKind,
    pub(super) schemes: &'static [SignatureScheme],
    pub(super) signing: &'static EcdsaSigningAlgorithm,
    pub(super) points: &'static Curve,
}

impl Key {
    /// Reads a key. `random` hides ring's ECDSA nonces, in addition to what each signature draws.
    ///
    /// # Errors
    /// If the document is malformed, the key is of a kind or size that the provider lacks, or its parts contradict each
    /// other.
    pub(in crate::crypto) fn load(
        key: &PrivateKeyDer<'_>,
        random: &dyn SecureRandom,
    ) -> Result<Self, CryptoError> {
        let pair = match PrivateKey::read(key)? {
            PrivateKey::Rsa(key) => RsaKeyPair::from_der(key).map(Pair::Rsa),
            PrivateKey::Ed25519 { seed, public: Some(public) } => {
                Ed25519KeyPair::from_seed_and_public_key(seed, public).map(Pair::Ed25519)
            }
            PrivateKey::Ed25519 { seed, public: None } => {
                Ed25519KeyPair::from_seed_unchecked(seed).map(Pair::Ed25519)
            }
            PrivateKey::Ec { curve, scalar, public } => {
                let curve = super::CURVES.iter().find(|known| known.kind == curve);
                let curve = curve.ok_or(CryptoError)?;
                let public = match public {
                    Some(public) => public.to_vec(),
                    None => curve.points.public_key(&scalar)?,
                };
                // The range of the scalar is checked, and that the public key belongs to it.
                let pair = ecdsa_key_pair(curve.signing, &scalar, &public, random);
                pair.map(|pair| Pair::Ecdsa(curve, pair))
            }
        };
        let pair = pair.map_err(|_| CryptoError)?;
        let spki = pair.spki();
        Ok(Self { pair, spki })
    }

    /// Signs with the randomness of one of the crate's sources, of which ring draws [`Key::salt_len`] bytes at once.
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
            Pair::Ecdsa(_, pair) => {
                let signature = pair.sign(random, message).map_err(|_| CryptoError)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_key().modulus_len()];
                let signed = pair.sign(pss(scheme)?, random, message, &mut signature);
                signed.map(|()| signature).map_err(|_| CryptoError)
            }
        }
    }
}

impl SigningKey for Key {
    fn schemes(&self) -> &[SignatureScheme] {
        match self.pair {
            Pair::Ecdsa(curve, _) => curve.schemes,
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
        // The crate's trait for randomness is sealed: it takes its own sources and no other.
        self.sign_with(scheme, message, &SystemRandom::new())
    }
}

impl Pair {
    /// The SubjectPublicKeyInfo, as a certificate for this key carries it.
    fn spki(&self) -> Vec<u8> {
        match self {
            Self::Ecdsa(curve, pair) => curve.kind.spki(pair.public_key().as_ref()),
            Self::Ed25519(pair) => KeyKind::Ed25519.spki(pair.public_key().as_ref()),
            Self::Rsa(pair) => KeyKind::Rsa.spki(pair.public_key().as_ref()),
        }
    }
}

fn pss(scheme: SignatureScheme) -> Result<&'static dyn RsaEncoding, CryptoError> {
    match scheme {
        SignatureScheme::rsa_pss_rsae_sha256 => Ok(&signature::RSA_PSS_SHA256),
        SignatureScheme::rsa_pss_rsae_sha384 => Ok(&signature::RSA_PSS_SHA384),
        SignatureScheme::rsa_pss_rsae_sha512 => Ok(&signature::RSA_PSS_SHA512),
        _ => Err(CryptoError),
    }
}
