//! Our ClientHello (RFC 9846 §4.2.2): what goes into it, and how it is written.

use pki_types::DnsName;

use super::certificate::{STATUS_TYPE_OCSP, write_authorities, write_compression, write_schemes};
use super::client_hello::NAME_TYPE_HOST;
use super::extension;
use super::grease::Grease;
use crate::codec::Writer;
use crate::codepoints::{
    CertificateCompressionAlgorithm, CertificateType, CipherSuiteId, ExtensionType, HandshakeType,
    NamedGroup, ProtocolVersion, SignatureScheme,
};
use crate::error::Error;

/// What goes into our ClientHello.
pub(crate) struct HelloFields<'a> {
    pub(crate) random: &'a [u8; 32],
    pub(crate) legacy_session_id: &'a [u8],
    pub(crate) suites: Vec<CipherSuiteId>,
    pub(crate) server_name: Option<&'a DnsName<'a>>,
    pub(crate) groups: &'a [NamedGroup],
    pub(crate) key_shares: Vec<(NamedGroup, &'a [u8])>,
    pub(crate) schemes: &'a [SignatureScheme],
    pub(crate) certificate_schemes: &'a [SignatureScheme],
    pub(crate) alpn: &'a [Vec<u8>],
    pub(crate) authorities: &'a [Vec<u8>],
    pub(crate) cookie: Option<&'a [u8]>,
    pub(crate) wants_status: bool,
    pub(crate) wants_scts: bool,
    /// The message's length becomes a multiple of this (RFC 7685); 0 and 1 mean that it is not padded.
    pub(crate) pad_to_multiple_of: u16,
    /// RFC 9846 §4.3.9; empty if there is no pre-shared key to use or to get.
    pub(crate) psk_modes: &'a [u8],
    /// Identities, obfuscated ages and the lengths of the binders, which are written as zeros: see [`set_binders`].
    pub(crate) psks: Vec<(&'a [u8], u32, usize)>,
    pub(crate) early_data: bool,
    pub(crate) ticket_request: Option<(u8, u8)>,
    pub(crate) post_handshake_auth: bool,
    /// What we can show, most preferred first.
    pub(crate) client_certificate_types: Vec<CertificateType>,
    /// What the server may show, most preferred first.
    pub(crate) server_certificate_types: &'a [CertificateType],
    pub(crate) compression: Vec<CertificateCompressionAlgorithm>,
    /// RFC 8701 §3.1. What goes into the lists of `suites`, `groups` and `key_shares` is in there already.
    pub(crate) grease: Option<Grease>,
}

/// Puts `binders` in place of the zeros at the end of a ClientHello (RFC 9846 §4.3.11.2). They have the lengths that were
/// announced.
pub(crate) fn set_binders<'a>(
    hello: &mut [u8],
    truncated_len: usize,
    binders: impl IntoIterator<Item = &'a [u8]>,
) {
    let mut rest = hello.get_mut(truncated_len + 2..).unwrap_or_default();
    for binder in binders {
        let Some((place, tail)) = rest.split_at_mut_checked(1 + binder.len()) else { return };
        place.iter_mut().skip(1).zip(binder).for_each(|(to, from)| *to = *from);
        rest = tail;
    }
}

pub(crate) fn write_client_hello(fields: &HelloFields<'_>) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::client_hello, |w| {
        w.u16(ProtocolVersion::TLSv1_2.0);
        w.raw(fields.random);
        w.vec8(|w| w.raw(fields.legacy_session_id));
        w.vec16(|w| fields.suites.iter().for_each(|s| w.u16(s.0)));
        w.vec8(|w| w.u8(0));
        w.vec16(|w| fields.write_extensions(w));
    })
}

impl HelloFields<'_> {
    fn write_extensions(&self, w: &mut Writer) {
        use ExtensionType as E;
        let greased = self.grease.map(Grease::extensions);
        if let Some([first, _]) = greased {
            extension::write(w, first, |_| {});
        }
        if let Some(name) = self.server_name {
            extension::write(w, E::server_name, |w| {
                w.vec16(|w| {
                    w.u8(NAME_TYPE_HOST);
                    w.vec16(|w| w.raw(name.as_ref().as_bytes()));
                });
            });
        }
        extension::write(w, E::supported_versions, |w| {
            w.vec8(|w| {
                self.grease.iter().for_each(|grease| w.u16(grease.version().0));
                w.u16(ProtocolVersion::TLSv1_3.0);
            });
        });
        extension::write_u16_list(w, E::supported_groups, self.groups.iter().map(|g| g.0));
        write_schemes(w, self.schemes, self.certificate_schemes, self.grease);
        if !self.alpn.is_empty() {
            extension::write(w, E::application_layer_protocol_negotiation, |w| {
                w.vec16(|w| {
                    self.alpn.iter().for_each(|name| w.vec8(|w| w.raw(name)));
                    self.grease.iter().for_each(|grease| w.vec8(|w| w.raw(&grease.protocol())));
                });
            });
        }
        if self.wants_status {
            extension::write(w, E::status_request, |w| {
                w.u8(STATUS_TYPE_OCSP);
                w.vec16(|_| {}); // responder_id_list
                w.vec16(|_| {}); // request_extensions
            });
        }
        if self.wants_scts {
            extension::write(w, E::signed_certificate_timestamp, |_| {});
        }
        write_certificate_types(w, E::client_certificate_type, &self.client_certificate_types);
        write_certificate_types(w, E::server_certificate_type, self.server_certificate_types);
        if !self.authorities.is_empty() {
            write_authorities(w, self.authorities);
        }
        if let Some(cookie) = self.cookie {
            extension::write(w, E::cookie, |w| w.vec16(|w| w.raw(cookie)));
        }
        extension::write(w, E::key_share, |w| {
            w.vec16(|w| {
                for (group, share) in &self.key_shares {
                    w.u16(group.0);
                    w.vec16(|w| w.raw(share));
                }
            });
        });
        if !self.psk_modes.is_empty() {
            extension::write(w, E::psk_key_exchange_modes, |w| {
                w.vec8(|w| {
                    w.raw(self.psk_modes);
                    self.grease.iter().for_each(|grease| w.u8(grease.psk_mode()));
                });
            });
        }
        if let Some((new, resumed)) = self.ticket_request {
            extension::write(w, E::ticket_request, |w| w.raw(&[new, resumed]));
        }
        if self.post_handshake_auth {
            extension::write(w, E::post_handshake_auth, |_| {});
        }
        write_compression(w, &self.compression);
        if self.early_data {
            extension::write(w, E::early_data, |_| {});
        }
        if let Some([_, last]) = greased {
            extension::write(w, last, |w| w.u8(0));
        }
        self.write_padding(w);
        self.write_psks(w);
    }

    /// RFC 9846 §4.3.11: the last extension.
    fn write_psks(&self, w: &mut Writer) {
        if self.psks.is_empty() {
            return;
        }
        extension::write(w, ExtensionType::pre_shared_key, |w| {
            w.vec16(|w| {
                for (identity, age, _) in &self.psks {
                    w.vec16(|w| w.raw(identity));
                    w.u32(*age);
                }
            });
            w.vec16(|w| {
                for (_, _, len) in &self.psks {
                    w.vec8(|w| (0..*len).for_each(|_| w.u8(0)));
                }
            });
        });
    }

    /// RFC 7685: zeros, so that the length tells less about the name.
    fn write_padding(&self, w: &mut Writer) {
        let multiple = usize::from(self.pad_to_multiple_of);
        if multiple > 1 {
            let unpadded = w.len() + 4;
            let zeros = unpadded.next_multiple_of(multiple) - unpadded;
            extension::write(w, ExtensionType::padding, |w| (0..zeros).for_each(|_| w.u8(0)));
        }
    }
}

/// RFC 7250 §4.1: nothing is said if there is nothing but the default.
fn write_certificate_types(w: &mut Writer, kind: ExtensionType, types: &[CertificateType]) {
    if types.iter().any(|each| *each != CertificateType::X509) {
        extension::write(w, kind, |w| w.vec8(|w| types.iter().for_each(|each| w.u8(each.0))));
    }
}
