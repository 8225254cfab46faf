//! CertificateRequest, Certificate and CertificateVerify (RFC 9846 §4.4.2, §4.5).

use super::extension::{self, Extensions, Place};
use super::grease::Grease;
use crate::codec::{Reader, U16List, Writer};
use crate::codepoints::{
    CertificateCompressionAlgorithm, ExtensionType, HandshakeType, SignatureScheme,
};
use crate::error::{Error, Violation};

/// RFC 9846 §4.4.2: the server wants to know who the client is.
pub(crate) struct CertificateRequest<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) context: &'a [u8],
    pub(crate) schemes: U16List<'a>,
    pub(crate) certificate_schemes: Option<U16List<'a>>,
    pub(crate) authorities: Vec<&'a [u8]>,
    pub(crate) wants_status: bool,
    pub(crate) wants_scts: bool,
    /// RFC 8879 §3: how the certificate may be compressed.
    pub(crate) compression: U16List<'a>,
}

impl<'a> CertificateRequest<'a> {
    pub(crate) fn read(raw: &'a [u8], body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new("CertificateRequest", body);
        let context = r.vec8()?;
        let block = r.vec16()?;
        r.finish()?;
        let extensions = Extensions::read("CertificateRequest.extensions", Place::CR, block)?;

        let (mut schemes, mut certificate_schemes) = (None, None);
        let (mut authorities, mut wants_status, mut wants_scts) = (Vec::new(), false, false);
        let mut compression = U16List::default();
        for (kind, body) in extensions.iter() {
            match kind {
                ExtensionType::signature_algorithms => {
                    schemes = Some(read_u16_list("signature_algorithms", body)?);
                }
                ExtensionType::signature_algorithms_cert => {
                    let list = read_u16_list("signature_algorithms_cert", body)?;
                    certificate_schemes = Some(list);
                }
                ExtensionType::certificate_authorities => authorities = read_authorities(body)?,
                ExtensionType::status_request => {
                    Reader::new("status_request", body).finish()?;
                    wants_status = true;
                }
                ExtensionType::signed_certificate_timestamp => {
                    Reader::new("signed_certificate_timestamp", body).finish()?;
                    wants_scts = true;
                }
                ExtensionType::compress_certificate => compression = read_compression(body)?,
                _ => {} // RFC 9846 §4.4.2: clients ignore what they do not recognise.
            }
        }
        // RFC 9846 §4.4.2: signature_algorithms must be there.
        let schemes = schemes.ok_or(Violation::MissingSignatureAlgorithms)?;
        Ok(Self {
            raw,
            context,
            schemes,
            certificate_schemes,
            authorities,
            wants_status,
            wants_scts,
            compression,
        })
    }
}

/// What goes into our CertificateRequest.
pub(crate) struct RequestFields<'a> {
    /// Empty in the handshake (RFC 9846 §4.4.2).
    pub(crate) context: &'a [u8],
    pub(crate) schemes: &'a [SignatureScheme],
    pub(crate) certificate_schemes: &'a [SignatureScheme],
    pub(crate) authorities: &'a [Vec<u8>],
    pub(crate) wants_status: bool,
    pub(crate) wants_scts: bool,
    pub(crate) compression: Vec<CertificateCompressionAlgorithm>,
    /// RFC 8701 §4.1
    pub(crate) grease: Option<Grease>,
}

pub(crate) fn write_certificate_request(fields: &RequestFields<'_>) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::certificate_request, |w| {
        w.vec8(|w| w.raw(fields.context));
        w.vec16(|w| {
            write_schemes(w, fields.schemes, fields.certificate_schemes, fields.grease);
            if !fields.authorities.is_empty() {
                write_authorities(w, fields.authorities);
            }
            if fields.wants_status {
                extension::write(w, ExtensionType::status_request, |_| {});
            }
            if fields.wants_scts {
                extension::write(w, ExtensionType::signed_certificate_timestamp, |_| {});
            }
            write_compression(w, &fields.compression);
            if let Some([kind, _]) = fields.grease.map(Grease::extensions) {
                extension::write(w, kind, |_| {});
            }
        });
    })
}

/// RFC 9846 §4.3.3: what we verify in CertificateVerify, and in certificates if that is something else.
pub(super) fn write_schemes(
    w: &mut Writer,
    schemes: &[SignatureScheme],
    certificate_schemes: &[SignatureScheme],
    grease: Option<Grease>,
) {
    let numbers = grease.map(Grease::scheme).into_iter().chain(schemes.iter().map(|s| s.0));
    extension::write_u16_list(w, ExtensionType::signature_algorithms, numbers);
    if certificate_schemes != schemes && !certificate_schemes.is_empty() {
        let numbers = certificate_schemes.iter().map(|s| s.0);
        extension::write_u16_list(w, ExtensionType::signature_algorithms_cert, numbers);
    }
}

/// RFC 8879 §3: at least one algorithm, no half of one, and (which it leaves open, and nobody does) none of them twice.
pub(super) fn read_compression(body: &[u8]) -> Result<U16List<'_>, Error> {
    let mut r = Reader::new("compress_certificate", body);
    let list = r.vec8()?;
    let algorithms = U16List::new(list).filter(|_| !list.is_empty()).ok_or(r.malformed())?;
    r.finish()?;
    let mut numbers: Vec<u16> = algorithms.iter().collect();
    numbers.sort_unstable();
    if numbers.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(Error::Decode("compress_certificate"));
    }
    Ok(algorithms)
}

/// RFC 8879 §3: what we can decompress; nothing if we cannot.
pub(super) fn write_compression(w: &mut Writer, algorithms: &[CertificateCompressionAlgorithm]) {
    if !algorithms.is_empty() {
        extension::write(w, ExtensionType::compress_certificate, |w| {
            w.vec8(|w| algorithms.iter().for_each(|a| w.u16(a.0)));
        });
    }
}

/// RFC 9846 §4.3.4. What does not fit into 2^16 bytes is left out: it is a hint.
pub(super) fn write_authorities(w: &mut Writer, authorities: &[Vec<u8>]) {
    let mut room = usize::from(u16::MAX) - 4;
    extension::write(w, ExtensionType::certificate_authorities, |w| {
        w.vec16(|w| {
            for name in authorities.iter().filter(|name| !name.is_empty()) {
                if name.len() + 2 <= room {
                    room -= name.len() + 2;
                    w.vec16(|w| w.raw(name));
                }
            }
        });
    });
}

/// RFC 9846 §4.3.4: at least one name, none of them empty.
pub(super) fn read_authorities(body: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut r = Reader::new("certificate_authorities", body);
    let mut list = r.sub16("certificate_authorities")?;
    let mut names = Vec::new();
    while !list.is_empty() {
        names.push(list.vec16()?);
    }
    if names.is_empty() || names.iter().any(|name| name.is_empty()) {
        return Err(r.malformed());
    }
    r.finish()?;
    Ok(names)
}

/// An extension whose body is one non-empty list of 16-bit code points.
pub(super) fn read_u16_list<'a>(what: &'static str, body: &'a [u8]) -> Result<U16List<'a>, Error> {
    let mut r = Reader::new(what, body);
    let list = r.u16_list()?;
    r.finish()?;
    Ok(list)
}

/// RFC 9846 §4.5.1: who the sender claims to be.
pub(crate) struct Certificate<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) context: &'a [u8],
    pub(crate) entries: Vec<Entry<'a>>,
}

/// One certificate of the chain, and what came with it.
pub(crate) struct Entry<'a> {
    pub(crate) certificate: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
    /// The stapled OCSP response; empty if there is none.
    pub(crate) ocsp: &'a [u8],
    pub(crate) scts: Vec<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    /// Reads the body of a Certificate. `raw` is the message that goes into the transcript: this one, or the compressed
    /// one that it was in.
    pub(crate) fn read(raw: &'a [u8], body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new("Certificate", body);
        let context = r.vec8()?;
        let mut list = Reader::new("Certificate.certificate_list", r.vec24()?);
        r.finish()?;
        let mut entries = Vec::new();
        while !list.is_empty() {
            entries.push(Entry::read(&mut list)?);
        }
        Ok(Self { raw, context, entries })
    }
}

impl<'a> Entry<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let certificate = r.vec24()?;
        if certificate.is_empty() {
            return Err(r.malformed());
        }
        let extensions = Extensions::read("CertificateEntry.extensions", Place::CT, r.vec16()?)?;
        let (mut ocsp, mut scts): (&[u8], Vec<&[u8]>) = (&[], Vec::new());
        for (kind, body) in extensions.iter() {
            match kind {
                ExtensionType::status_request => ocsp = read_certificate_status(body)?,
                ExtensionType::signed_certificate_timestamp => scts = read_scts(body)?,
                _ => {}
            }
        }
        Ok(Self { certificate, extensions, ocsp, scts })
    }
}

/// RFC 9846 §4.5.1.1: a CertificateStatus of RFC 6066 §8, of which there is only the kind `ocsp`.
fn read_certificate_status(body: &[u8]) -> Result<&[u8], Error> {
    let mut r = Reader::new("CertificateStatus", body);
    if r.u8()? != STATUS_TYPE_OCSP {
        return Err(Violation::BadStatus.into());
    }
    let response = r.vec24()?;
    if response.is_empty() {
        return Err(r.malformed());
    }
    r.finish()?;
    Ok(response)
}

/// RFC 6962 §3.3: `SignedCertificateTimestampList`, at least one, none of them empty.
fn read_scts(body: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut r = Reader::new("SignedCertificateTimestampList", body);
    let mut list = r.sub16("SignedCertificateTimestampList")?;
    let mut scts = Vec::new();
    while !list.is_empty() {
        scts.push(list.vec16()?);
    }
    if scts.is_empty() || scts.iter().any(|sct| sct.is_empty()) {
        return Err(r.malformed());
    }
    r.finish()?;
    Ok(scts)
}

/// RFC 6066 §8: the only CertificateStatusType.
pub(super) const STATUS_TYPE_OCSP: u8 = 1;

/// What goes along with our leaf, if the peer asked for it.
#[derive(Clone, Copy, Default)]
pub(crate) struct EntryExtensions<'a> {
    pub(crate) ocsp: Option<&'a [u8]>,
    pub(crate) scts: Option<&'a [Vec<u8>]>,
}

/// Writes a Certificate of these entries, DER each. No entry is a client's way to say that it has none.
pub(crate) fn write_certificate<'a>(
    context: &[u8],
    entries: impl Iterator<Item = &'a [u8]>,
    leaf: EntryExtensions<'_>,
) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::certificate, |w| {
        w.vec8(|w| w.raw(context));
        w.vec24(|w| {
            for (i, certificate) in entries.enumerate() {
                w.vec24(|w| w.raw(certificate));
                w.vec16(|w| {
                    if i == 0 {
                        leaf.write(w);
                    }
                });
            }
        });
    })
}

impl EntryExtensions<'_> {
    fn write(self, w: &mut Writer) {
        if let Some(response) = self.ocsp {
            extension::write(w, ExtensionType::status_request, |w| {
                w.u8(STATUS_TYPE_OCSP);
                w.vec24(|w| w.raw(response));
            });
        }
        if let Some(scts) = self.scts {
            extension::write(w, ExtensionType::signed_certificate_timestamp, |w| {
                w.vec16(|w| scts.iter().for_each(|sct| w.vec16(|w| w.raw(sct))));
            });
        }
    }
}

/// RFC 8879 §4: a Certificate, compressed.
pub(crate) struct CompressedCertificate<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) algorithm: CertificateCompressionAlgorithm,
    pub(crate) uncompressed_length: usize,
    pub(crate) compressed: &'a [u8],
}

impl<'a> CompressedCertificate<'a> {
    pub(crate) fn read(raw: &'a [u8], body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new("CompressedCertificate", body);
        let algorithm = CertificateCompressionAlgorithm(r.u16()?);
        let uncompressed_length = r.u24()?;
        let compressed = r.vec24()?;
        if compressed.is_empty() {
            return Err(r.malformed());
        }
        r.finish()?;
        Ok(Self { raw, algorithm, uncompressed_length, compressed })
    }
}

/// Writes a CompressedCertificate, for a Certificate whose body had `uncompressed_length` bytes.
pub(crate) fn write_compressed_certificate(
    algorithm: CertificateCompressionAlgorithm,
    uncompressed_length: usize,
    compressed: &[u8],
) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::compressed_certificate, |w| {
        w.u16(algorithm.0);
        w.u24(uncompressed_length);
        w.vec24(|w| w.raw(compressed));
    })
}

/// RFC 9846 §4.5.2: proof that the sender holds the certificate's key.
pub(crate) struct CertificateVerify<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) scheme: SignatureScheme,
    pub(crate) signature: &'a [u8],
}

impl<'a> CertificateVerify<'a> {
    pub(crate) fn read(raw: &'a [u8], body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new("CertificateVerify", body);
        let scheme = SignatureScheme(r.u16()?);
        let signature = r.vec16()?;
        r.finish()?;
        Ok(Self { raw, scheme, signature })
    }
}

pub(crate) fn write_certificate_verify(
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<Vec<u8>, Error> {
    super::write(HandshakeType::certificate_verify, |w| {
        w.u16(scheme.0);
        w.vec16(|w| w.raw(signature));
    })
}
