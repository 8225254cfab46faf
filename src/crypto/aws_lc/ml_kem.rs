//! ML-KEM (FIPS 203), alone (draft-ietf-tls-mlkem) and for the hybrid groups.
//!
//! The client's share is the encapsulation key, the server's the ciphertext. AWS-LC takes randomness from nowhere but its
//! own generator.

use aws_lc_rs::kem::{self, AlgorithmId, Ciphertext, DecapsulationKey, EncapsulationKey};

use super::super::{KeyExchange, KeyPair, Rng};
use crate::codepoints::NamedGroup;
use crate::error::CryptoError;
use crate::secret::Secret;

pub(super) static ML_KEM_768: MlKem =
    MlKem { group: NamedGroup::MLKEM768, algorithm: &kem::ML_KEM_768, lens: (1184, 1088) };
pub(super) static ML_KEM_1024: MlKem =
    MlKem { group: NamedGroup::MLKEM1024, algorithm: &kem::ML_KEM_1024, lens: (1568, 1568) };

/// One parameter set.
pub(super) struct MlKem {
    group: NamedGroup,
    algorithm: &'static kem::Algorithm<AlgorithmId>,
    /// Bytes of an encapsulation key and of a ciphertext.
    pub(super) lens: (usize, usize),
}

impl MlKem {
    /// The key pair of a decapsulation key in the form of FIPS 203, without its share.
    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    pub(super) fn pair_of(&self, private: &[u8]) -> MlKemPair {
        let private = DecapsulationKey::new(self.algorithm, private).unwrap();
        MlKemPair { private, share: Vec::new(), ciphertext_len: self.lens.1 }
    }
}

impl KeyExchange for MlKem {
    fn group(&self) -> NamedGroup {
        self.group
    }

    fn generate(&self, _: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError> {
        let private = DecapsulationKey::generate(self.algorithm).map_err(|_| CryptoError)?;
        let public = private.encapsulation_key().map_err(|_| CryptoError)?;
        let share = public.key_bytes().map_err(|_| CryptoError)?.as_ref().to_vec();
        Ok(Box::new(MlKemPair { private, share, ciphertext_len: self.lens.1 }))
    }

    fn respond(&self, _: &dyn Rng, peer_share: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        // AWS-LC checks the length, and that every coefficient is less than the modulus (FIPS 203 §7.2).
        let key = EncapsulationKey::new(self.algorithm, peer_share).map_err(|_| CryptoError)?;
        let (ciphertext, secret) = key.encapsulate().map_err(|_| CryptoError)?;
        let secret = Secret::from_slice(secret.as_ref()).ok_or(CryptoError)?;
        Ok((ciphertext.as_ref().to_vec(), secret))
    }
}

pub(super) struct MlKemPair {
    private: DecapsulationKey<AlgorithmId>,
    share: Vec<u8>,
    ciphertext_len: usize,
}

impl KeyPair for MlKemPair {
    fn share(&self) -> &[u8] {
        &self.share
    }

    fn agree(self: Box<Self>, peer_share: &[u8]) -> Result<Secret, CryptoError> {
        if peer_share.len() != self.ciphertext_len {
            return Err(CryptoError);
        }
        // A wrong ciphertext gives a secret that nobody knows (FIPS 203 §6.3), and Finished then fails.
        let secret = self.private.decapsulate(Ciphertext::from(peer_share));
        Secret::from_slice(secret.map_err(|_| CryptoError)?.as_ref()).ok_or(CryptoError)
    }
}
