//! Messages after the handshake (RFC 9846 §4.7), and EndOfEarlyData (§4.6).

use super::extension::{self, Extensions, Place};
use crate::codec::Reader;
use crate::codepoints::{ExtensionType, HandshakeType};
use crate::error::{Error, Violation};

/// RFC 9846 §4.7.1: what a client needs to resume.
pub(crate) struct NewSessionTicket<'a> {
    /// In seconds; zero means that it is to be thrown away.
    pub(crate) lifetime: u32,
    pub(crate) age_add: u32,
    pub(crate) nonce: &'a [u8],
    pub(crate) ticket: &'a [u8],
    /// In bytes; zero if early data is not allowed (RFC 9846 §4.3.10).
    pub(crate) max_early_data: u32,
    /// An extension that nobody knows (RFC 8701 §4.1). What comes is not kept.
    pub(crate) grease: Option<ExtensionType>,
}

impl<'a> NewSessionTicket<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new("NewSessionTicket", body);
        let (lifetime, age_add) = (r.u32()?, r.u32()?);
        let (nonce, ticket) = (r.vec8()?, r.vec16()?);
        if ticket.is_empty() {
            return Err(r.malformed());
        }
        let block = r.vec16()?;
        r.finish()?;
        let extensions = Extensions::read("NewSessionTicket.extensions", Place::NST, block)?;
        let mut max_early_data = 0;
        for (kind, body) in extensions.iter() {
            match kind {
                ExtensionType::early_data => {
                    let mut r = Reader::new("early_data", body);
                    max_early_data = r.u32()?;
                    r.finish()?;
                }
                ExtensionType::tls_flags => check_flags(body)?,
                _ => {} // RFC 9846 §4.7.1: clients ignore what they do not recognise.
            }
        }
        Ok(Self { lifetime, age_add, nonce, ticket, max_early_data, grease: None })
    }

    pub(crate) fn write(&self) -> Result<Vec<u8>, Error> {
        super::write(HandshakeType::new_session_ticket, |w| {
            w.u32(self.lifetime);
            w.u32(self.age_add);
            w.vec8(|w| w.raw(self.nonce));
            w.vec16(|w| w.raw(self.ticket));
            w.vec16(|w| {
                if self.max_early_data > 0 {
                    let size = self.max_early_data;
                    extension::write(w, ExtensionType::early_data, |w| w.u32(size));
                }
                if let Some(kind) = self.grease {
                    extension::write(w, kind, |_| {});
                }
            });
        })
    }
}

/// draft-ietf-tls-tlsflags §2: at least one byte, and no more than it takes. None of the flags says anything to us.
fn check_flags(body: &[u8]) -> Result<(), Error> {
    let mut r = Reader::new("tls_flags", body);
    let flags = r.vec8()?;
    let last = *flags.last().ok_or(r.malformed())?;
    r.finish()?;
    match last {
        0 => Err(Violation::PaddedFlags.into()),
        _ => Ok(()),
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

/// RFC 9846 §4.6: early data ends, and with it its key.
pub(crate) struct EndOfEarlyData<'a> {
    pub(crate) raw: &'a [u8],
}

impl<'a> EndOfEarlyData<'a> {
    pub(crate) fn read(raw: &'a [u8], body: &[u8]) -> Result<Self, Error> {
        Reader::new("EndOfEarlyData", body).finish()?;
        Ok(Self { raw })
    }
}

pub(crate) fn write_end_of_early_data() -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::end_of_early_data, |_| {})
}
