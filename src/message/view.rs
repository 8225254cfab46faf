//! What an application sees of a ClientHello.

use std::borrow::Cow;
use std::fmt;

use pki_types::ServerName;

use super::{ClientHello, HEADER, Message};
use crate::codepoints::{
    CertificateType, CipherSuiteId, ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme,
};
use crate::error::Error;

/// A ClientHello as the client sent it, for routing, fingerprints and policy: raw bytes and order included.
///
/// It parses once more on each call, and the answers are what the server itself will act upon.
#[derive(Clone)]
pub struct ClientHelloView {
    raw: Vec<u8>,
}

impl ClientHelloView {
    pub(crate) fn new(hello: &ClientHello<'_>) -> Self {
        Self { raw: hello.raw.to_vec() }
    }

    /// Reads a handshake message, header included (`01`, three bytes of length, the ClientHello).
    ///
    /// # Errors
    /// [`Error::Decode`], or a [`Violation`](crate::Violation) of the rules on extensions.
    pub fn from_bytes(message: &[u8]) -> Result<Self, Error> {
        match Message::read(message)? {
            Message::ClientHello(hello) => Ok(Self::new(&hello)),
            _ => Err(Error::Decode("ClientHello")),
        }
    }

    /// The whole handshake message, header included, as it came: everything else is in here in its order.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The message was read before it came in here, so this cannot fail.
    pub(crate) fn hello(&self) -> Result<ClientHello<'_>, Error> {
        let body = self.raw.get(HEADER..).unwrap_or_default();
        ClientHello::read(&self.raw, body)
    }

    fn with<T: Default>(&self, f: impl FnOnce(ClientHello<'_>) -> T) -> T {
        self.hello().map(f).unwrap_or_default()
    }

    /// `legacy_version`; the versions that count are in [`ClientHelloView::versions`].
    #[must_use]
    pub fn legacy_version(&self) -> ProtocolVersion {
        self.hello().map_or(ProtocolVersion(0), |hello| hello.legacy_version)
    }

    /// `random`
    #[must_use]
    pub fn random(&self) -> [u8; 32] {
        self.with(|hello| *hello.random)
    }

    /// The host name as it was sent, which may be none that a certificate can have.
    #[must_use]
    pub fn server_name(&self) -> Option<Cow<'_, str>> {
        self.hello().ok()?.server_name.map(String::from_utf8_lossy)
    }

    /// The host name, if it is a DNS name.
    #[must_use]
    pub fn dns_name(&self) -> Option<ServerName<'static>> {
        self.with(|hello| hello.dns_name().map(|name| ServerName::DnsName(name.to_owned())))
    }

    /// `supported_versions` in the client's order; empty if it is not there.
    #[must_use]
    pub fn versions(&self) -> Vec<ProtocolVersion> {
        self.with(|hello| hello.versions.unwrap_or_default().iter().map(ProtocolVersion).collect())
    }

    /// Every cipher suite in the client's order, those of GREASE and of TLS 1.2 too.
    #[must_use]
    pub fn suites(&self) -> Vec<CipherSuiteId> {
        self.with(|hello| hello.suites.iter().map(CipherSuiteId).collect())
    }

    /// `supported_groups` in the client's order.
    #[must_use]
    pub fn groups(&self) -> Vec<NamedGroup> {
        self.with(|hello| hello.groups.unwrap_or_default().iter().map(NamedGroup).collect())
    }

    /// The groups for which there is a key share, in the client's order.
    #[must_use]
    pub fn key_share_groups(&self) -> Vec<NamedGroup> {
        self.with(|hello| {
            hello.key_shares.unwrap_or_default().iter().map(|(group, _)| *group).collect()
        })
    }

    /// `signature_algorithms` in the client's order.
    #[must_use]
    pub fn schemes(&self) -> Vec<SignatureScheme> {
        self.with(|hello| hello.schemes.unwrap_or_default().iter().map(SignatureScheme).collect())
    }

    /// Application protocols in the client's order; empty if there is no ALPN.
    #[must_use]
    pub fn alpn(&self) -> Vec<Vec<u8>> {
        self.with(|hello| hello.alpn.unwrap_or_default().iter().map(|name| name.to_vec()).collect())
    }

    /// What the client accepts of a server, most preferred first: certificates, unless it says otherwise (RFC 7250 §4.1).
    #[must_use]
    pub fn server_certificate_types(&self) -> Vec<CertificateType> {
        let types = self.hello().ok().and_then(|hello| hello.server_certificate_types);
        types.unwrap_or_else(|| vec![CertificateType::X509])
    }

    /// The authorities that the client knows, as DER names; empty if it does not say (RFC 9846 §4.3.4).
    #[must_use]
    pub fn authorities(&self) -> Vec<Vec<u8>> {
        self.with(|hello| hello.authorities.iter().map(|name| name.to_vec()).collect())
    }

    /// Every extension, type and body, in the client's order.
    #[must_use]
    pub fn extensions(&self) -> Vec<(ExtensionType, &[u8])> {
        let hello = self.hello();
        hello.map(|hello| hello.extensions.iter().collect()).unwrap_or_default()
    }
}

impl fmt::Debug for ClientHelloView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHelloView")
            .field("server_name", &self.server_name())
            .field("versions", &self.versions())
            .field("suites", &self.suites())
            .field("groups", &self.groups())
            .finish_non_exhaustive()
    }
}
