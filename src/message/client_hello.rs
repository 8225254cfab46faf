//! ClientHello (RFC 9846 §4.2.2) and the extensions in it, as a server reads them. `hello_fields` writes ours.

use pki_types::DnsName;

use super::certificate::{STATUS_TYPE_OCSP, read_authorities, read_compression, read_u16_list};
use super::extension::{self, Extensions, Place};
use crate::codec::{Reader, U16List, Writer};
use crate::codepoints::{CertificateType, ExtensionType, NamedGroup, ProtocolVersion};
use crate::error::{Error, Violation};

/// A ClientHello. Extensions that are not there are `None`, an empty list or `false`.
#[derive(Clone, Debug)]
pub(crate) struct ClientHello<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) legacy_version: ProtocolVersion,
    pub(crate) random: &'a [u8; 32],
    pub(crate) legacy_session_id: &'a [u8],
    pub(crate) suites: U16List<'a>,
    pub(crate) legacy_compression_methods: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
    pub(crate) versions: Option<U16List<'a>>,
    /// The host name as it was sent.
    pub(crate) server_name: Option<&'a [u8]>,
    pub(crate) groups: Option<U16List<'a>>,
    pub(crate) key_shares: Option<Vec<(NamedGroup, &'a [u8])>>,
    pub(crate) schemes: Option<U16List<'a>>,
    pub(crate) certificate_schemes: Option<U16List<'a>>,
    pub(crate) alpn: Option<Vec<&'a [u8]>>,
    pub(crate) authorities: Vec<&'a [u8]>,
    pub(crate) cookie: Option<&'a [u8]>,
    pub(crate) wants_status: bool,
    pub(crate) wants_scts: bool,
    pub(crate) psk_modes: Option<&'a [u8]>,
    pub(crate) psks: Option<OfferedPsks<'a>>,
    pub(crate) offers_early_data: bool,
    /// How many tickets the client wants, after a full handshake and after a resumption (RFC 9149 §3).
    pub(crate) ticket_request: Option<(u8, u8)>,
    pub(crate) post_handshake_auth: bool,
    /// What the client can show, most preferred first (RFC 7250 §4.1); `None` means X.509 certificates.
    pub(crate) client_certificate_types: Option<Vec<CertificateType>>,
    /// What the server may show, most preferred first (RFC 7250 §4.1); `None` means X.509 certificates.
    pub(crate) server_certificate_types: Option<Vec<CertificateType>>,
    /// RFC 8879 §3: how our certificate may be compressed.
    pub(crate) compression: U16List<'a>,
}

/// RFC 9846 §4.3.11: the pre-shared keys that the client offers.
#[derive(Clone, Debug)]
pub(crate) struct OfferedPsks<'a> {
    pub(crate) identities: Vec<PskIdentity<'a>>,
    pub(crate) binders: Vec<&'a [u8]>,
    /// How many bytes of the whole message stand before the list of binders: what the binders are computed over.
    pub(crate) truncated_len: usize,
}

/// RFC 9846 §4.3.11
#[derive(Clone, Copy, Debug)]
pub(crate) struct PskIdentity<'a> {
    pub(crate) identity: &'a [u8],
    pub(crate) obfuscated_ticket_age: u32,
}

/// RFC 9846 §4.3.9
pub(crate) const PSK_KE: u8 = 0;
/// RFC 9846 §4.3.9
pub(crate) const PSK_DHE_KE: u8 = 1;

impl<'a> ClientHello<'a> {
    pub(crate) fn read(raw: &'a [u8], body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new("ClientHello", body);
        let legacy_version = ProtocolVersion(r.u16()?);
        let random = r.array()?;
        let legacy_session_id = r.vec8()?;
        let suites = r.u16_list()?;
        let legacy_compression_methods = r.vec8()?;
        if legacy_session_id.len() > 32 || legacy_compression_methods.is_empty() {
            return Err(r.malformed());
        }
        // RFC 9846 §4.2.2: before TLS 1.3 there may be no extensions at all.
        let block = if r.is_empty() { &[] } else { r.vec16()? };
        r.finish()?;
        let mut this = Self {
            raw,
            legacy_version,
            random,
            legacy_session_id,
            suites,
            legacy_compression_methods,
            extensions: Extensions::read("ClientHello.extensions", Place::CH, block)?,
            versions: None,
            server_name: None,
            groups: None,
            key_shares: None,
            schemes: None,
            certificate_schemes: None,
            alpn: None,
            authorities: Vec::new(),
            cookie: None,
            wants_status: false,
            wants_scts: false,
            psk_modes: None,
            psks: None,
            offers_early_data: false,
            ticket_request: None,
            post_handshake_auth: false,
            client_certificate_types: None,
            server_certificate_types: None,
            compression: U16List::default(),
        };
        this.read_extensions()?;
        Ok(this)
    }

    fn read_extensions(&mut self) -> Result<(), Error> {
        use ExtensionType as E;
        for (kind, body) in self.extensions.iter() {
            // RFC 9846 §4.3.11: pre_shared_key is the last one.
            if self.psks.is_some() {
                return Err(Violation::PreSharedKeyNotLast.into());
            }
            match kind {
                E::server_name => self.server_name = read_server_name(body)?,
                E::supported_versions => self.versions = Some(read_versions(body)?),
                E::supported_groups => {
                    self.groups = Some(read_u16_list("supported_groups", body)?);
                }
                E::key_share => self.key_shares = Some(read_key_shares(body)?),
                E::signature_algorithms => {
                    self.schemes = Some(read_u16_list("signature_algorithms", body)?);
                }
                E::signature_algorithms_cert => {
                    let list = read_u16_list("signature_algorithms_cert", body)?;
                    self.certificate_schemes = Some(list);
                }
                E::application_layer_protocol_negotiation => {
                    self.alpn = Some(read_protocols(body)?);
                }
                E::certificate_authorities => self.authorities = read_authorities(body)?,
                E::cookie => self.cookie = Some(read_cookie(body)?),
                E::status_request => self.wants_status = read_status_request(body)?,
                E::signed_certificate_timestamp => {
                    Reader::new("signed_certificate_timestamp", body).finish()?;
                    self.wants_scts = true;
                }
                E::early_data => {
                    Reader::new("early_data", body).finish()?;
                    self.offers_early_data = true;
                }
                E::psk_key_exchange_modes => self.psk_modes = Some(read_psk_modes(body)?),
                E::pre_shared_key => {
                    self.psks = Some(read_pre_shared_key(body, self.raw.len())?);
                }
                E::ticket_request => {
                    let mut r = Reader::new("ticket_request", body);
                    self.ticket_request = Some((r.u8()?, r.u8()?));
                    r.finish()?;
                }
                E::post_handshake_auth => {
                    Reader::new("post_handshake_auth", body).finish()?;
                    self.post_handshake_auth = true;
                }
                E::client_certificate_type => {
                    let types = read_certificate_types("client_certificate_type", body)?;
                    self.client_certificate_types = Some(types);
                }
                E::server_certificate_type => {
                    let types = read_certificate_types("server_certificate_type", body)?;
                    self.server_certificate_types = Some(types);
                }
                E::compress_certificate => self.compression = read_compression(body)?,
                _ => {} // RFC 9846 §4.2.2: servers ignore what they do not recognise.
            }
        }
        Ok(())
    }

    /// The share for `group`.
    pub(crate) fn share_for(&self, group: NamedGroup) -> Option<&'a [u8]> {
        let shares = self.key_shares.as_deref().unwrap_or_default();
        shares.iter().find(|(g, _)| *g == group).map(|(_, share)| *share)
    }

    /// The host name, if it is one that a certificate can have.
    pub(crate) fn dns_name(&self) -> Option<DnsName<'a>> {
        let name = std::str::from_utf8(self.server_name?).ok()?;
        DnsName::try_from(name).ok()
    }

    /// What RFC 9846 §4.2.2 does not allow to change in a second ClientHello, in one string to hash: everything, in its
    /// order, but `key_share`, `early_data`, `cookie`, `pre_shared_key` and `padding`, which have rules of their own, and
    /// ECH (whose second ciphertext differs). That of an extension which we do not know can only change if our
    /// HelloRetryRequest has it, and it has none of those.
    pub(crate) fn invariants(&self) -> Vec<u8> {
        use ExtensionType as E;
        let mut w = Writer::default();
        w.u16(self.legacy_version.0);
        w.raw(self.random);
        w.vec8(|w| w.raw(self.legacy_session_id));
        w.vec16(|w| self.suites.iter().for_each(|s| w.u16(s)));
        w.vec8(|w| w.raw(self.legacy_compression_methods));
        for (kind, body) in self.extensions.iter() {
            let may_change = matches!(
                kind,
                E::key_share
                    | E::early_data
                    | E::cookie
                    | E::pre_shared_key
                    | E::padding
                    | E::encrypted_client_hello
            );
            if !may_change {
                extension::write(&mut w, kind, |w| w.raw(body));
            }
        }
        w.finish().unwrap_or_default()
    }
}

/// RFC 9846 §4.3.1: at least one version.
fn read_versions(body: &[u8]) -> Result<U16List<'_>, Error> {
    let mut r = Reader::new("supported_versions", body);
    let list = r.vec8()?;
    let versions = U16List::new(list).filter(|_| !list.is_empty()).ok_or(r.malformed())?;
    r.finish()?;
    Ok(versions)
}

/// RFC 9846 §4.3.2: not empty.
fn read_cookie(body: &[u8]) -> Result<&[u8], Error> {
    let mut r = Reader::new("cookie", body);
    let cookie = r.vec16()?;
    if cookie.is_empty() {
        return Err(r.malformed());
    }
    r.finish()?;
    Ok(cookie)
}

/// RFC 9846 §4.3.9: at least one mode.
fn read_psk_modes(body: &[u8]) -> Result<&[u8], Error> {
    let mut r = Reader::new("psk_key_exchange_modes", body);
    let modes = r.vec8()?;
    if modes.is_empty() {
        return Err(r.malformed());
    }
    r.finish()?;
    Ok(modes)
}

/// RFC 6066 §3: a list of names, of which only host names are defined, at most one of a type.
fn read_server_name(body: &[u8]) -> Result<Option<&[u8]>, Error> {
    let mut r = Reader::new("server_name", body);
    let mut list = r.sub16("server_name")?;
    r.finish()?;
    if list.is_empty() {
        return Err(list.malformed());
    }
    let mut host = None;
    while !list.is_empty() {
        let name_type = list.u8()?;
        let name = list.vec16()?;
        if name.is_empty() {
            return Err(list.malformed());
        }
        if name_type == NAME_TYPE_HOST && host.replace(name).is_some() {
            return Err(Violation::BadServerName.into());
        }
    }
    Ok(host)
}

/// RFC 6066 §3
pub(super) const NAME_TYPE_HOST: u8 = 0;

/// RFC 9846 §4.3.8: any number of shares, also none, each of a group of its own and not empty.
fn read_key_shares(body: &[u8]) -> Result<Vec<(NamedGroup, &[u8])>, Error> {
    let mut r = Reader::new("key_share", body);
    let mut list = r.sub16("key_share")?;
    r.finish()?;
    let mut shares = Vec::new();
    while !list.is_empty() {
        let (group, share) = (NamedGroup(list.u16()?), list.vec16()?);
        if share.is_empty() {
            return Err(list.malformed());
        }
        shares.push((group, share));
    }
    Ok(shares)
}

/// RFC 6066 §8: whether the client wants an OCSP response. Other kinds of status have other bodies.
fn read_status_request(body: &[u8]) -> Result<bool, Error> {
    let mut r = Reader::new("status_request", body);
    if r.u8()? != STATUS_TYPE_OCSP {
        return Ok(false);
    }
    r.vec16()?; // responder_id_list
    r.vec16()?; // request_extensions
    r.finish()?;
    Ok(true)
}

/// RFC 7301 §3.1: at least one name, none of them empty.
fn read_protocols(body: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut r = Reader::new("application_layer_protocol_negotiation", body);
    let mut list = r.sub16("application_layer_protocol_negotiation")?;
    r.finish()?;
    let mut names = Vec::new();
    while !list.is_empty() {
        names.push(list.vec8()?);
    }
    if names.is_empty() || names.iter().any(|name| name.is_empty()) {
        return Err(list.malformed());
    }
    Ok(names)
}

/// RFC 7250 §3: at least one type.
fn read_certificate_types(what: &'static str, body: &[u8]) -> Result<Vec<CertificateType>, Error> {
    let mut r = Reader::new(what, body);
    let types = r.vec8()?;
    if types.is_empty() {
        return Err(r.malformed());
    }
    r.finish()?;
    // RFC 7250 §4.1: with nothing but the default the extension is left out.
    if types.iter().all(|number| CertificateType(*number) == CertificateType::X509) {
        return Err(Violation::OnlyDefaultCertificateType.into());
    }
    Ok(types.iter().copied().map(CertificateType).collect())
}

/// RFC 9846 §4.3.11: `OfferedPsks`, which is the end of a message of `message_len` bytes.
fn read_pre_shared_key(body: &[u8], message_len: usize) -> Result<OfferedPsks<'_>, Error> {
    let mut r = Reader::new("pre_shared_key", body);
    let mut list = r.sub16("pre_shared_key.identities")?;
    let mut identities = Vec::new();
    while !list.is_empty() {
        let (identity, obfuscated_ticket_age) = (list.vec16()?, list.u32()?);
        if identity.is_empty() {
            return Err(list.malformed());
        }
        identities.push(PskIdentity { identity, obfuscated_ticket_age });
    }
    let binders_block = r.vec16()?;
    let mut list = Reader::new("pre_shared_key.binders", binders_block);
    let mut binders = Vec::new();
    while !list.is_empty() {
        let binder = list.vec8()?;
        if binder.len() < 32 {
            return Err(list.malformed());
        }
        binders.push(binder);
    }
    if identities.is_empty() || binders.is_empty() {
        return Err(r.malformed());
    }
    r.finish()?;
    match identities.len() == binders.len() {
        true => Ok(OfferedPsks {
            identities,
            binders,
            truncated_len: message_len.saturating_sub(binders_block.len() + 2),
        }),
        false => Err(Violation::BinderCount.into()),
    }
}
