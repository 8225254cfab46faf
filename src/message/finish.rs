//! Finished (RFC 9846 §4.5.3).

use crate::codepoints::HandshakeType;
use crate::error::Error;

/// The end of a flight: a MAC over everything before it.
pub(crate) struct Finished<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) verify_data: &'a [u8],
}

impl<'a> Finished<'a> {
    /// Its length depends on the suite's hash, so that it is checked with the MAC.
    pub(crate) fn read(raw: &'a [u8], body: &'a [u8]) -> Self {
        Self { raw, verify_data: body }
    }
}

pub(crate) fn write_finished(verify_data: &[u8]) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::finished, |w| w.raw(verify_data))
}
