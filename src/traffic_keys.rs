//! A connection's keys, to go on with them elsewhere.

use crate::codepoints::CipherSuiteId;
use crate::key_schedule::traffic_key_bytes;
use crate::record::DirectionSecret;
use crate::secret::Secret;

/// The keys of a connection, for a record layer elsewhere. `Debug` prints none of them.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrafficKeys {
    /// The cipher suite.
    pub suite: CipherSuiteId,
    /// For what we send.
    pub sending: DirectionKeys,
    /// For what we receive.
    pub receiving: DirectionKeys,
}

/// One direction's keys (RFC 9846 §7.3).
#[derive(Debug)]
#[non_exhaustive]
pub struct DirectionKeys {
    /// The traffic secret, from which the next generation is derived (RFC 9846 §7.2).
    pub secret: Secret,
    /// The AEAD key.
    pub key: Secret,
    /// The IV, into which a record's number is XORed (RFC 9846 §5.3).
    pub iv: Secret,
    /// The number of the next record.
    pub sequence: u64,
}

impl From<DirectionSecret> for DirectionKeys {
    fn from(from: DirectionSecret) -> Self {
        let (key, iv) = traffic_key_bytes(from.suite.hash, from.suite.aead, &from.secret);
        Self { secret: from.secret, key, iv, sequence: from.seq }
    }
}
