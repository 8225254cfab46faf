//! The record protocol (RFC 9846 §5): headers and bounds here, receiving in [`open`], sending in [`seal`].
//!
//! Nothing in here knows about handshakes: it is given keys, and it is told when change_cipher_spec may come.

pub(crate) mod open;
pub(crate) mod seal;
#[cfg(test)]
mod tests;

pub(crate) use self::open::{ChangeCipherSpecRule, Incoming, ReadSide};
pub(crate) use self::seal::{MAX_UPDATES, WriteSide};
use crate::codepoints::ContentType;
use crate::crypto::{CipherSuite, NONCE_LEN, TAG_LEN};
use crate::error::Error;
use crate::key_schedule::{TrafficKey, next_traffic_secret, traffic_key};
use crate::secret::Secret;

/// The length of a record's header.
pub(crate) const HEADER_LEN: usize = 5;
/// RFC 9846 §5.1: the longest plaintext.
pub(crate) const MAX_PLAINTEXT: usize = 1 << 14;
/// RFC 9846 §5.2: the longest protected record, without its header.
pub(crate) const MAX_CIPHERTEXT: usize = MAX_PLAINTEXT + 256;
/// What protection adds besides the header: the content type and the tag.
pub(crate) const OVERHEAD: usize = 1 + TAG_LEN;

/// Bytes of stack that an AEAD works in: more than enough.
const AEAD_STACK: usize = 4096;

/// The header of a record of `len` bytes. `legacy_record_version` is 0x0303, or 0x0301 for the first ClientHello.
fn header(kind: ContentType, minor_version: u8, len: usize) -> Result<[u8; HEADER_LEN], Error> {
    let [high, low] = u16::try_from(len).map_err(|_| Error::TooLong)?.to_be_bytes();
    Ok([kind.0, 3, minor_version, high, low])
}

/// One direction's key, in one generation.
struct DirectionKey {
    suite: &'static CipherSuite,
    secret: Secret,
    traffic: TrafficKey,
    /// The number of the next record.
    seq: u64,
}

impl DirectionKey {
    fn new(suite: &'static CipherSuite, secret: Secret) -> Result<Self, Error> {
        let traffic = traffic_key(suite.hash, suite.aead, &secret)?;
        Ok(Self { suite, secret, traffic, seq: 0 })
    }

    /// RFC 9846 §7.2: the next generation.
    fn next(&self) -> Result<Self, Error> {
        Self::new(self.suite, next_traffic_secret(self.suite.hash, &self.secret))
    }

    /// RFC 9846 §5.3: the sequence number, padded on the left, XORed into the IV.
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce.iter_mut().skip(NONCE_LEN - 8).zip(self.seq.to_be_bytes()).for_each(|(n, s)| *n = s);
        nonce.iter_mut().zip(self.traffic.iv.expose()).for_each(|(n, iv)| *n ^= iv);
        nonce
    }
}

/// A direction's key material, to carry on elsewhere (kTLS, another process).
pub(crate) struct DirectionSecret {
    pub(crate) suite: &'static CipherSuite,
    pub(crate) secret: Secret,
    pub(crate) seq: u64,
}

impl DirectionSecret {
    /// Goes on with it.
    fn into_key(self) -> Result<DirectionKey, Error> {
        let mut key = DirectionKey::new(self.suite, self.secret)?;
        key.seq = self.seq;
        Ok(key)
    }
}

/// What the sending direction has besides its configuration.
pub(crate) struct WriteState {
    pub(crate) key: DirectionSecret,
    pub(crate) updates: u64,
    pub(crate) update_owed: bool,
    pub(crate) update_awaited: bool,
    pub(crate) closed: bool,
}

/// What the receiving direction has besides its configuration.
pub(crate) struct ReadState {
    pub(crate) key: DirectionSecret,
    pub(crate) partial: Vec<u8>,
}

impl From<DirectionKey> for DirectionSecret {
    fn from(key: DirectionKey) -> Self {
        Self { suite: key.suite, secret: key.secret, seq: key.seq }
    }
}
