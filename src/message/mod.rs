//! Handshake messages (RFC 9846 §4): one family a file, reading and writing side by side.
//!
//! A message that was read borrows from the received bytes. Reading checks syntax, and what can be seen in the message
//! alone; whether it may come now, and fits what went before, is the state machine's business.

mod certificate;
mod client_hello;
pub(crate) mod extension;
mod finish;
mod grease;
mod hello_fields;
mod post;
#[cfg(test)]
mod round_trip;
mod server_hello;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use self::certificate::{
    Certificate, CertificateRequest, CertificateVerify, CompressedCertificate, EntryExtensions,
    RequestFields, write_certificate, write_certificate_request, write_certificate_verify,
    write_compressed_certificate,
};
pub(crate) use self::client_hello::{ClientHello, OfferedPsks, PSK_DHE_KE, PSK_KE};
pub(crate) use self::finish::{Finished, write_finished};
pub(crate) use self::grease::Grease;
pub(crate) use self::hello_fields::{HelloFields, set_binders, write_client_hello};
pub(crate) use self::post::{
    EndOfEarlyData, KeyUpdate, NewSessionTicket, write_end_of_early_data, write_key_update,
};
pub(crate) use self::server_hello::{
    EncryptedExtensions, EncryptedFields, ServerHello, ServerShare, write_encrypted_extensions,
    write_hello_retry_request, write_server_hello,
};
pub use self::view::ClientHelloView;
use crate::codec::{Reader, Writer};
use crate::codepoints::HandshakeType;
use crate::error::Error;

/// The header of a handshake message: its type and a length of three bytes.
pub(crate) const HEADER: usize = 4;

/// A handshake message.
#[allow(clippy::large_enum_variant)] // it lives for the length of one call, on the stack
pub(crate) enum Message<'a> {
    ClientHello(Box<ClientHello<'a>>),
    ServerHello(ServerHello<'a>),
    EncryptedExtensions(EncryptedExtensions<'a>),
    CertificateRequest(CertificateRequest<'a>),
    Certificate(Certificate<'a>),
    CompressedCertificate(CompressedCertificate<'a>),
    CertificateVerify(CertificateVerify<'a>),
    Finished(Finished<'a>),
    NewSessionTicket(NewSessionTicket<'a>),
    EndOfEarlyData(EndOfEarlyData<'a>),
    KeyUpdate(KeyUpdate),
    /// A type that TLS 1.3 does not have, or that we never negotiate.
    Unknown,
}

impl<'a> Message<'a> {
    /// Reads one whole message, header included.
    pub(crate) fn read(raw: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new("handshake message", raw);
        let kind = HandshakeType(reader.u8()?);
        let body = reader.vec24()?;
        reader.finish()?;
        Ok(match kind {
            HandshakeType::client_hello => {
                Self::ClientHello(Box::new(ClientHello::read(raw, body)?))
            }
            HandshakeType::server_hello => Self::ServerHello(ServerHello::read(raw, body)?),
            HandshakeType::encrypted_extensions => {
                Self::EncryptedExtensions(EncryptedExtensions::read(raw, body)?)
            }
            HandshakeType::certificate_request => {
                Self::CertificateRequest(CertificateRequest::read(raw, body)?)
            }
            HandshakeType::certificate => Self::Certificate(Certificate::read(raw, body)?),
            HandshakeType::compressed_certificate => {
                Self::CompressedCertificate(CompressedCertificate::read(raw, body)?)
            }
            HandshakeType::certificate_verify => {
                Self::CertificateVerify(CertificateVerify::read(raw, body)?)
            }
            HandshakeType::finished => Self::Finished(Finished::read(raw, body)),
            HandshakeType::new_session_ticket => {
                Self::NewSessionTicket(NewSessionTicket::read(body)?)
            }
            HandshakeType::end_of_early_data => {
                Self::EndOfEarlyData(EndOfEarlyData::read(raw, body)?)
            }
            HandshakeType::key_update => Self::KeyUpdate(KeyUpdate::read(body)?),
            _ => Self::Unknown,
        })
    }

    /// What it is called, for errors.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ClientHello(_) => "ClientHello",
            Self::ServerHello(hello) if hello.is_retry => "HelloRetryRequest",
            Self::ServerHello(_) => "ServerHello",
            Self::EncryptedExtensions(_) => "EncryptedExtensions",
            Self::CertificateRequest(_) => "CertificateRequest",
            Self::Certificate(_) => "Certificate",
            Self::CompressedCertificate(_) => "CompressedCertificate",
            Self::CertificateVerify(_) => "CertificateVerify",
            Self::Finished(_) => "Finished",
            Self::NewSessionTicket(_) => "NewSessionTicket",
            Self::EndOfEarlyData(_) => "EndOfEarlyData",
            Self::KeyUpdate(_) => "KeyUpdate",
            Self::Unknown => "a message of unknown type",
        }
    }
}

/// Writes one message: its header, then what `body` writes.
fn write(kind: HandshakeType, body: impl FnOnce(&mut Writer)) -> Result<Vec<u8>, Error> {
    let mut w = Writer::default();
    w.u8(kind.0);
    w.vec24(body);
    w.finish()
}
