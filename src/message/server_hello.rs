//! ServerHello, HelloRetryRequest and EncryptedExtensions (RFC 9846 §4.2.3, §4.2.4, §4.4.1).

use super::certificate::read_u16_list;
use super::extension::{self, Extensions, Place};
use crate::codec::Reader;
use crate::codepoints::{
    CertificateType, CipherSuiteId, ExtensionType, HandshakeType, NamedGroup, ProtocolVersion,
};
use crate::error::{Error, Violation};

/// RFC 9846 §4.2.3: the random of a ServerHello that is a HelloRetryRequest, the SHA-256 of "HelloRetryRequest".
pub(crate) const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// RFC 9846 §4.2.3: how a TLS 1.3 server's random ends if somebody made it speak TLS 1.2, or less.
const DOWNGRADE: [&[u8; 8]; 2] = [b"DOWNGRD\x01", b"DOWNGRD\x00"];

/// A ServerHello or HelloRetryRequest.
pub(crate) struct ServerHello<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) is_retry: bool,
    pub(crate) legacy_version: ProtocolVersion,
    pub(crate) random: &'a [u8; 32],
    pub(crate) legacy_session_id_echo: &'a [u8],
    pub(crate) suite: CipherSuiteId,
    pub(crate) legacy_compression_method: u8,
    /// From `supported_versions`. Without it the server speaks TLS 1.2 or less, and nothing below is filled in.
    pub(crate) selected_version: Option<ProtocolVersion>,
    pub(crate) extensions: Option<Extensions<'a>>,
    pub(crate) key_share: Option<ServerShare<'a>>,
    pub(crate) selected_identity: Option<u16>,
    pub(crate) cookie: Option<&'a [u8]>,
}

/// `key_share` as the server sends it.
#[derive(Clone, Copy)]
pub(crate) enum ServerShare<'a> {
    /// In ServerHello: its share.
    Entry(NamedGroup, &'a [u8]),
    /// In HelloRetryRequest: the group it wants.
    Group(NamedGroup),
}

impl<'a> ServerHello<'a> {
    pub(crate) fn read(raw: &'a [u8], body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new("ServerHello", body);
        let legacy_version = ProtocolVersion(r.u16()?);
        let random: &[u8; 32] = r.array()?;
        let legacy_session_id_echo = r.vec8()?;
        if legacy_session_id_echo.len() > 32 {
            return Err(r.malformed());
        }
        let mut this = Self {
            raw,
            is_retry: *random == RETRY_RANDOM,
            legacy_version,
            random,
            legacy_session_id_echo,
            suite: CipherSuiteId(r.u16()?),
            legacy_compression_method: r.u8()?,
            selected_version: None,
            extensions: None,
            key_share: None,
            selected_identity: None,
            cookie: None,
        };
        // Before TLS 1.3 the extensions may be missing altogether.
        let block = if r.is_empty() { &[] } else { r.vec16()? };
        r.finish()?;
        this.read_extensions(block)?;
        Ok(this)
    }

    /// RFC 9846 §4.3.1: `supported_versions` is looked at before anything else.
    fn read_extensions(&mut self, block: &'a [u8]) -> Result<(), Error> {
        let mut scan = Reader::new("ServerHello.extensions", block);
        while !scan.is_empty() {
            let (kind, body) = (ExtensionType(scan.u16()?), scan.vec16()?);
            if kind == ExtensionType::supported_versions {
                let mut r = Reader::new("supported_versions", body);
                self.selected_version = Some(ProtocolVersion(r.u16()?));
                r.finish()?;
            }
        }
        if self.selected_version.is_none() {
            return Ok(());
        }
        let place = if self.is_retry { Place::HRR } else { Place::SH };
        let extensions = Extensions::read("ServerHello.extensions", place, block)?;
        for (kind, body) in extensions.iter() {
            let mut r;
            match kind {
                ExtensionType::key_share => {
                    r = Reader::new("key_share", body);
                    let group = NamedGroup(r.u16()?);
                    self.key_share = Some(match self.is_retry {
                        true => ServerShare::Group(group),
                        false => ServerShare::Entry(group, r.vec16()?),
                    });
                    // RFC 9846 §4.3.8: key_exchange is at least one byte.
                    if matches!(self.key_share, Some(ServerShare::Entry(_, []))) {
                        return Err(r.malformed());
                    }
                }
                ExtensionType::pre_shared_key => {
                    r = Reader::new("pre_shared_key", body);
                    self.selected_identity = Some(r.u16()?);
                }
                ExtensionType::cookie => {
                    r = Reader::new("cookie", body);
                    let cookie = r.vec16()?;
                    if cookie.is_empty() {
                        return Err(r.malformed());
                    }
                    self.cookie = Some(cookie);
                }
                _ => continue,
            }
            r.finish()?;
        }
        self.extensions = Some(extensions);
        Ok(())
    }

    /// RFC 9846 §4.2.3: whether a server that could speak TLS 1.3 was made to believe that we cannot.
    pub(crate) fn is_downgraded(&self) -> bool {
        DOWNGRADE.iter().any(|sentinel| self.random.ends_with(*sentinel))
    }
}

/// Writes a ServerHello with a key share, or the index of a pre-shared key, or both.
pub(crate) fn write_server_hello(
    random: &[u8; 32],
    legacy_session_id: &[u8],
    suite: CipherSuiteId,
    key_share: Option<(NamedGroup, &[u8])>,
    selected_identity: Option<u16>,
) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::server_hello, |w| {
        w.u16(ProtocolVersion::TLSv1_2.0);
        w.raw(random);
        w.vec8(|w| w.raw(legacy_session_id));
        w.u16(suite.0);
        w.u8(0);
        w.vec16(|w| {
            if let Some(selected) = selected_identity {
                extension::write(w, ExtensionType::pre_shared_key, |w| w.u16(selected));
            }
            if let Some((group, share)) = key_share {
                extension::write(w, ExtensionType::key_share, |w| {
                    w.u16(group.0);
                    w.vec16(|w| w.raw(share));
                });
            }
            extension::write(w, ExtensionType::supported_versions, |w| {
                w.u16(ProtocolVersion::TLSv1_3.0);
            });
        });
    })
}

/// Writes a HelloRetryRequest. It is a pure function of its arguments, so that a stateless server can write it again.
pub(crate) fn write_hello_retry_request(
    legacy_session_id: &[u8],
    suite: CipherSuiteId,
    group: NamedGroup,
    cookie: Option<&[u8]>,
) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::server_hello, |w| {
        w.u16(ProtocolVersion::TLSv1_2.0);
        w.raw(&RETRY_RANDOM);
        w.vec8(|w| w.raw(legacy_session_id));
        w.u16(suite.0);
        w.u8(0);
        w.vec16(|w| {
            extension::write(w, ExtensionType::supported_versions, |w| {
                w.u16(ProtocolVersion::TLSv1_3.0);
            });
            extension::write(w, ExtensionType::key_share, |w| w.u16(group.0));
            if let Some(cookie) = cookie {
                extension::write(w, ExtensionType::cookie, |w| w.vec16(|w| w.raw(cookie)));
            }
        });
    })
}

/// RFC 9846 §4.4.1: what the server answers under encryption.
pub(crate) struct EncryptedExtensions<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
    pub(crate) alpn: Option<&'a [u8]>,
    pub(crate) early_data: bool,
    /// What the client is to show if it is asked (RFC 7250 §4.2); `None` means an X.509 certificate.
    pub(crate) client_certificate_type: Option<CertificateType>,
    /// What the server shows (RFC 7250 §4.2); `None` means an X.509 certificate.
    pub(crate) server_certificate_type: Option<CertificateType>,
}

impl<'a> EncryptedExtensions<'a> {
    pub(crate) fn read(raw: &'a [u8], body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new("EncryptedExtensions", body);
        let extensions = Extensions::read("EncryptedExtensions", Place::EE, r.vec16()?)?;
        r.finish()?;
        let (mut alpn, mut early_data) = (None, false);
        let (mut client_certificate_type, mut server_certificate_type) = (None, None);
        for (kind, body) in extensions.iter() {
            match kind {
                ExtensionType::application_layer_protocol_negotiation => {
                    alpn = Some(read_selected_protocol(body)?);
                }
                // RFC 6066 §3: the server's server_name is empty.
                ExtensionType::server_name if !body.is_empty() => {
                    return Err(Violation::BadServerNameAck.into());
                }
                ExtensionType::early_data => {
                    Reader::new("early_data", body).finish()?;
                    early_data = true;
                }
                // RFC 9149 §3: how many tickets to expect.
                ExtensionType::ticket_request => {
                    let mut r = Reader::new("ticket_request", body);
                    r.u8()?;
                    r.finish()?;
                }
                ExtensionType::client_certificate_type => {
                    let selected = read_certificate_type("client_certificate_type", body)?;
                    client_certificate_type = Some(selected);
                }
                ExtensionType::server_certificate_type => {
                    let selected = read_certificate_type("server_certificate_type", body)?;
                    server_certificate_type = Some(selected);
                }
                // RFC 9846 §4.3.7: not acted upon, but it has to be well-formed.
                ExtensionType::supported_groups => {
                    read_u16_list("supported_groups", body)?;
                }
                _ => {}
            }
        }
        Ok(Self {
            raw,
            extensions,
            alpn,
            early_data,
            client_certificate_type,
            server_certificate_type,
        })
    }
}

/// RFC 7250 §3: the server's answer is one type.
fn read_certificate_type(what: &'static str, body: &[u8]) -> Result<CertificateType, Error> {
    let mut r = Reader::new(what, body);
    let selected = CertificateType(r.u8()?);
    r.finish()?;
    Ok(selected)
}

/// RFC 7301 §3.1: the server's list has exactly one name.
fn read_selected_protocol(body: &[u8]) -> Result<&[u8], Error> {
    let mut r = Reader::new("application_layer_protocol_negotiation", body);
    let mut list = r.sub16("application_layer_protocol_negotiation")?;
    r.finish()?;
    let name = list.vec8()?;
    if name.is_empty() {
        return Err(list.malformed());
    }
    if !list.is_empty() {
        return Err(Violation::BadAlpn.into());
    }
    Ok(name)
}

/// What goes into our EncryptedExtensions.
#[derive(Default)]
pub(crate) struct EncryptedFields<'a> {
    /// Whether the client's name was used (RFC 6066 §3).
    pub(crate) server_name: bool,
    /// Our groups, if we prefer another one to the client's choice (RFC 9846 §4.3.7).
    pub(crate) groups: Option<&'a [NamedGroup]>,
    pub(crate) alpn: Option<&'a [u8]>,
    /// Whether early data is accepted (RFC 9846 §4.3.10).
    pub(crate) early_data: bool,
    /// How many tickets will come, if the client has asked for a number (RFC 9149 §3).
    pub(crate) tickets: Option<u8>,
    /// What the client is to show, if it has sent a list (RFC 7250 §4.2).
    pub(crate) client_certificate_type: Option<CertificateType>,
    /// What we show, if the client has sent a list (RFC 7250 §4.2).
    pub(crate) server_certificate_type: Option<CertificateType>,
}

pub(crate) fn write_encrypted_extensions(fields: &EncryptedFields<'_>) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::encrypted_extensions, |w| {
        w.vec16(|w| {
            if fields.server_name {
                extension::write(w, ExtensionType::server_name, |_| {});
            }
            if let Some(groups) = fields.groups {
                let numbers = groups.iter().map(|g| g.0);
                extension::write_u16_list(w, ExtensionType::supported_groups, numbers);
            }
            if let Some(protocol) = fields.alpn {
                let kind = ExtensionType::application_layer_protocol_negotiation;
                extension::write(w, kind, |w| w.vec16(|w| w.vec8(|w| w.raw(protocol))));
            }
            let types = [
                (ExtensionType::client_certificate_type, fields.client_certificate_type),
                (ExtensionType::server_certificate_type, fields.server_certificate_type),
            ];
            for (kind, selected) in types {
                if let Some(selected) = selected {
                    extension::write(w, kind, |w| w.u8(selected.0));
                }
            }
            if let Some(count) = fields.tickets {
                extension::write(w, ExtensionType::ticket_request, |w| w.u8(count));
            }
            if fields.early_data {
                extension::write(w, ExtensionType::early_data, |_| {});
            }
        });
    })
}
