//! Hybrid groups (draft-ietf-tls-ecdhe-mlkem, RFC 9846 §4.3.7): two key exchanges side by side.
//!
//! Shares and secrets of the two follow one another, in the order that the group's name hides: X25519MLKEM768 has ML-KEM
//! first, the hybrids of NIST's curves have the curve first. While one of the two holds, so does the secret.
//!
//! ```text
//!   X25519MLKEM768      ML-KEM-768  | X25519
//!   SecP256r1MLKEM768   P-256       | ML-KEM-768
//!   SecP384r1MLKEM1024  P-384       | ML-KEM-1024
//! ```

use super::{KeyExchange, KeyPair, Rng};
use crate::codepoints::NamedGroup;
use crate::error::CryptoError;
use crate::secret::Secret;

/// Two key exchanges as one. It draws from the random source what the first draws, and then what the second does.
pub(super) struct Hybrid {
    pub(super) group: NamedGroup,
    pub(super) first: &'static dyn KeyExchange,
    /// Where the second's share begins in the client's share, and in the server's.
    pub(super) split: (usize, usize),
    pub(super) second: &'static dyn KeyExchange,
}

impl KeyExchange for Hybrid {
    fn group(&self) -> NamedGroup {
        self.group
    }

    fn generate(&self, rng: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError> {
        let first = self.first.generate(rng)?;
        let second = self.second.generate(rng)?;
        let share = [first.share(), second.share()].concat();
        Ok(Box::new(HybridPair { first, second, server_split: self.split.1, share }))
    }

    fn respond(&self, rng: &dyn Rng, peer_share: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let (first, second) = peer_share.split_at_checked(self.split.0).ok_or(CryptoError)?;
        let (first_share, first_secret) = self.first.respond(rng, first)?;
        let (second_share, second_secret) = self.second.respond(rng, second)?;
        Ok(([first_share, second_share].concat(), join(&first_secret, &second_secret)?))
    }
}

struct HybridPair {
    first: Box<dyn KeyPair>,
    second: Box<dyn KeyPair>,
    server_split: usize,
    share: Vec<u8>,
}

impl KeyPair for HybridPair {
    fn share(&self) -> &[u8] {
        &self.share
    }

    fn agree(self: Box<Self>, peer_share: &[u8]) -> Result<Secret, CryptoError> {
        let (first, second) = peer_share.split_at_checked(self.server_split).ok_or(CryptoError)?;
        join(&self.first.agree(first)?, &self.second.agree(second)?)
    }
}

/// One secret after the other.
fn join(first: &Secret, second: &Secret) -> Result<Secret, CryptoError> {
    let (first, second) = (first.expose(), second.expose());
    let len = first.len() + second.len();
    let mut both = Secret::zeroed(len);
    let bytes = first.iter().chain(second);
    both.expose_mut().iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    if len <= Secret::MAX { Ok(both) } else { Err(CryptoError) }
}
