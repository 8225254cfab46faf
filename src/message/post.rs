//! Messages after the handshake (RFC 9846 §4.7).

use super::extension::{Extensions, Place};
use crate::codec::Reader;
use crate::codepoints::HandshakeType;
use crate::error::{Error, Violation};

/// RFC 9846 §4.7.1. A client without resumption ignores it, once it is known to be well-formed.
pub(crate) struct NewSessionTicket;

impl NewSessionTicket {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new("NewSessionTicket", body);
        r.u32()?; // ticket_lifetime
        r.u32()?; // ticket_age_add
        r.vec8()?; // ticket_nonce
        if r.vec16()?.is_empty() {
            return Err(r.malformed());
        }
        Extensions::read("NewSessionTicket.extensions", Place::NST, r.vec16()?)?;
        r.finish()?;
        Ok(Self)
    }
}

/// RFC 9846 §4.7.3: the sender's next record is under its next key.
pub(crate) struct KeyUpdate {
    /// Whether the receiver has to update its own sending key too.
    pub(crate) requested: bool,
}

impl KeyUpdate {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new("KeyUpdate", body);
        let request_update = r.u8()?;
        r.finish()?;
        match request_update {
            0 => Ok(Self { requested: false }),
            1 => Ok(Self { requested: true }),
            _ => Err(Violation::BadKeyUpdate.into()),
        }
    }
}

pub(crate) fn write_key_update(request: bool) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::key_update, |w| w.u8(request.into()))
}
