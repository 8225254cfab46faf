//! Extensions (RFC 9846 §4.3): which may stand in which message, and the one loop that reads a block of them.

use crate::codec::{Reader, Writer};
use crate::codepoints::ExtensionType;
use crate::error::{Error, Violation};

/// The messages that carry extensions, as RFC 9846 §4.3 abbreviates them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::upper_case_acronyms)] // The abbreviations are those of the table.
pub(crate) enum Place {
    /// ClientHello
    CH,
    /// ServerHello
    SH,
    /// HelloRetryRequest
    HRR,
    /// EncryptedExtensions
    EE,
    /// Certificate
    CT,
    /// CertificateRequest
    CR,
    /// NewSessionTicket
    NST,
}

/// RFC 9846 §4.3, table 1: where an extension that we know may stand; `None` for one that we do not know.
///
/// It has every extension of the table, also those that we never send or act upon: what we know to be misplaced is
/// refused. `signed_certificate_timestamp` is from RFC 6962 and RFC 9846 §4.5.1.1.
fn places(kind: ExtensionType) -> Option<&'static [Place]> {
    use ExtensionType as E;
    use Place::{CH, CR, CT, EE, HRR, NST, SH};
    Some(match kind {
        E::server_name => &[CH, EE, CR],
        E::status_request => &[CH, CR, CT],
        E::supported_groups => &[CH, EE],
        E::signature_algorithms | E::signature_algorithms_cert => &[CH, CR],
        E::use_srtp | E::heartbeat => &[CH, EE],
        E::application_layer_protocol_negotiation => &[CH, EE],
        E::signed_certificate_timestamp => &[CH, CR, CT],
        E::client_certificate_type | E::server_certificate_type => &[CH, EE],
        E::padding => &[CH],
        E::compress_certificate => &[CH, CR],
        E::record_size_limit => &[CH, EE],
        E::delegated_credential => &[CH, CR, CT],
        E::pre_shared_key => &[CH, SH],
        E::early_data => &[CH, EE, NST],
        E::supported_versions => &[CH, SH, HRR],
        E::cookie => &[CH, HRR],
        E::psk_key_exchange_modes => &[CH],
        E::certificate_authorities => &[CH, CR],
        E::oid_filters => &[CR],
        E::post_handshake_auth => &[CH],
        E::key_share => &[CH, SH, HRR],
        E::transparency_info => &[CH, CR, CT],
        E::quic_transport_parameters => &[CH, EE],
        E::ticket_request => &[CH, EE],
        E::ech_outer_extensions => &[CH],
        E::encrypted_client_hello => &[CH, HRR, EE],
        _ => return None,
    })
}

/// A block of extensions, of which each is whole, none is there twice, and none that we know is misplaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extensions<'a> {
    what: &'static str,
    block: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// Checks `block`, the extensions of the message `what`, without looking into any of them.
    pub(crate) fn read(what: &'static str, place: Place, block: &'a [u8]) -> Result<Self, Error> {
        let mut kinds = Vec::new();
        let mut reader = Reader::new(what, block);
        while !reader.is_empty() {
            let kind = ExtensionType(reader.u16()?);
            reader.vec16()?;
            // RFC 9846 §4.3: one that we recognise and that is not specified for this message.
            if places(kind).is_some_and(|places| !places.contains(&place)) {
                return Err(Violation::MisplacedExtension.into());
            }
            kinds.push(kind);
        }
        // RFC 9846 §4.3: not more than one of a type. Sorted, so that a block full of them costs n log n.
        kinds.sort_unstable();
        if kinds.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Violation::DuplicateExtension.into());
        }
        Ok(Self { what, block })
    }

    /// Each extension with its body, in the order of the message.
    pub(crate) fn iter(self) -> impl Iterator<Item = (ExtensionType, &'a [u8])> {
        let mut reader = Reader::new(self.what, self.block);
        std::iter::from_fn(move || {
            let kind = ExtensionType(reader.u16().ok()?);
            Some((kind, reader.vec16().ok()?))
        })
    }

    /// RFC 9846 §4.3: an answer must be to something that we sent.
    pub(crate) fn ensure_solicited(
        self,
        mut was_sent: impl FnMut(ExtensionType) -> bool,
    ) -> Result<(), Error> {
        match self.iter().all(|(kind, _)| was_sent(kind)) {
            true => Ok(()),
            false => Err(Violation::UnsolicitedExtension.into()),
        }
    }
}

/// Writes one extension: its type, and a body with its length in front.
pub(crate) fn write(w: &mut Writer, kind: ExtensionType, body: impl FnOnce(&mut Writer)) {
    w.u16(kind.0);
    w.vec16(body);
}

/// Writes an extension whose body is one list of 16-bit code points.
pub(crate) fn write_u16_list(
    w: &mut Writer,
    kind: ExtensionType,
    values: impl IntoIterator<Item = u16>,
) {
    write(w, kind, |w| w.vec16(|w| values.into_iter().for_each(|v| w.u16(v))));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test that fails may panic.
mod tests {
    use super::*;

    fn block(kinds: &[u16]) -> Vec<u8> {
        let mut w = Writer::default();
        kinds.iter().for_each(|k| write(&mut w, ExtensionType(*k), |w| w.u8(7)));
        w.finish().unwrap()
    }

    fn read(place: Place, bytes: &[u8]) -> Result<Vec<u16>, Error> {
        Ok(Extensions::read("test", place, bytes)?.iter().map(|(k, _)| k.0).collect())
    }

    #[test]
    fn order_is_kept_and_unknown_ones_are_carried() {
        assert_eq!(read(Place::CH, &block(&[0x3a3a, 43, 0])).unwrap(), [0x3a3a, 43, 0]);
    }

    #[test]
    fn duplicates_are_refused_known_or_not() {
        for kind in [43, 0x3a3a] {
            let error = read(Place::CH, &block(&[kind, 0, kind])).unwrap_err();
            assert!(matches!(error, Error::Violation(Violation::DuplicateExtension)));
        }
    }

    #[test]
    fn misplaced_ones_are_refused() {
        for (place, kind) in [(Place::SH, 16), (Place::EE, 51), (Place::CH, 48), (Place::NST, 43)] {
            let error = read(place, &block(&[kind])).unwrap_err();
            assert!(matches!(error, Error::Violation(Violation::MisplacedExtension)));
        }
    }

    #[test]
    fn a_cut_block_is_malformed_at_every_byte() {
        let whole = block(&[43, 51]);
        for n in (1..whole.len()).filter(|n| *n != 5) {
            assert!(matches!(read(Place::CH, &whole[..n]), Err(Error::Decode(_))), "{n}");
        }
    }
}
