//! CRLs, OCSP responses and certificate timestamps with any fault that a test wants: DER put together by hand, signed by
//! real keys.

use rcgen::{PublicKeyData, SigningKey};
use ring::digest;

use crate::certificates::{AUTHORITY_KEY_ID, Entity, extension, tlv};

/// A CRL that is not signed yet. Every field may be spoilt.
#[derive(Clone)]
pub(crate) struct List {
    /// As encoded: 1 is v2.
    pub(crate) version: Option<u8>,
    pub(crate) issuer: Option<Vec<u8>>,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: Option<&'static str>,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Default for List {
    /// A good one, which lists nobody.
    fn default() -> Self {
        Self {
            version: Some(1),
            issuer: None,
            this_update: "20251231000000Z",
            next_update: Some("20260107000000Z"),
            entries: Vec::new(),
            extensions: vec![crl_number(false)],
        }
    }
}

impl List {
    /// One that lists this serial number.
    pub(crate) fn of(serial: &[u8]) -> Self {
        Self::default().and(entry(serial, &[]))
    }

    pub(crate) fn and(mut self, entry: Vec<u8>) -> Self {
        self.entries.push(entry);
        self
    }

    pub(crate) fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub(crate) fn sign(self, issuer: &Entity) -> Vec<u8> {
        self.sign_as(issuer, &ecdsa_sha256())
    }

    pub(crate) fn sign_as(self, issuer: &Entity, algorithm: &[u8]) -> Vec<u8> {
        let mut tbs = Vec::new();
        tbs.extend(self.version.map(|v| tlv(2, &[v])).unwrap_or_default());
        tbs.extend_from_slice(algorithm);
        tbs.extend(self.issuer.unwrap_or(issuer.name.clone()));
        tbs.extend(time(self.this_update));
        tbs.extend(self.next_update.map(time).unwrap_or_default());
        if !self.entries.is_empty() {
            tbs.extend(long(0x30, &self.entries.concat()));
        }
        if !self.extensions.is_empty() {
            tbs.extend(tlv(0xa0, &tlv(0x30, &self.extensions.concat())));
        }
        signed(&long(0x30, &tbs), issuer, algorithm, &[])
    }
}

/// An entry of a CRL: revoked on 2025-12-29.
pub(crate) fn entry(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let list = tlv(0x30, &extensions.concat());
    let list = if extensions.is_empty() { vec![] } else { list };
    tlv(0x30, &[tlv(2, serial), time("20251229000000Z"), list].concat())
}

pub(crate) fn reason(code: u8) -> Vec<u8> {
    extension(REASON_CODE, false, &tlv(10, &[code]))
}

pub(crate) fn crl_number(critical: bool) -> Vec<u8> {
    extension(CRL_NUMBER, critical, &tlv(2, &[7]))
}

/// issuingDistributionPoint with these fields.
pub(crate) fn idp(fields: &[Vec<u8>]) -> Vec<u8> {
    extension(ISSUING_DISTRIBUTION_POINT, true, &tlv(0x30, &fields.concat()))
}

/// A DistributionPointName of URIs, as a field.
pub(crate) fn uris(uris: &[&str]) -> Vec<u8> {
    let names: Vec<_> = uris.iter().flat_map(|uri| tlv(0x86, uri.as_bytes())).collect();
    tlv(0xa0, &tlv(0xa0, &names))
}

/// cRLDistributionPoints: the fields of each point.
pub(crate) fn points(points: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let points: Vec<_> = points.iter().flat_map(|fields| tlv(0x30, &fields.concat())).collect();
    extension(CRL_DISTRIBUTION_POINTS, false, &tlv(0x30, &points))
}

pub(crate) fn key_id(bytes: &[u8]) -> Vec<u8> {
    extension(AUTHORITY_KEY_ID, false, &tlv(0x30, &tlv(0x80, bytes)))
}

/// An OCSP response that is not signed yet.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u8,
    /// The ResponderID, whole.
    pub(crate) responder: Option<Vec<u8>>,
    pub(crate) produced_at: &'static str,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Response {
    pub(crate) fn new(entries: &[Single]) -> Self {
        Self {
            status: 0,
            responder: None,
            produced_at: "20251231120000Z",
            entries: entries.iter().map(Single::encode).collect(),
            extensions: Vec::new(),
            certificates: Vec::new(),
        }
    }

    /// Signed by `signer`, who names himself unless the responder is set.
    pub(crate) fn sign(self, signer: &Entity) -> Vec<u8> {
        self.sign_as(signer, &ecdsa_sha256())
    }

    pub(crate) fn sign_as(self, signer: &Entity, algorithm: &[u8]) -> Vec<u8> {
        let mut data = self.responder.unwrap_or_else(|| tlv(0xa1, &signer.name));
        data.extend(time(self.produced_at));
        data.extend(tlv(0x30, &self.entries.concat()));
        if !self.extensions.is_empty() {
            data.extend(tlv(0xa1, &tlv(0x30, &self.extensions.concat())));
        }
        let certificates = match self.certificates.concat() {
            none if none.is_empty() => vec![],
            some => tlv(0xa0, &tlv(0x30, &some)),
        };
        let basic = signed(&tlv(0x30, &data), signer, algorithm, &certificates);
        let bytes = tlv(0x30, &[BASIC.to_vec(), tlv(4, &basic)].concat());
        tlv(0x30, &[tlv(10, &[self.status]), tlv(0xa0, &bytes)].concat())
    }
}

/// What an OCSP response says of one certificate.
#[derive(Clone)]
pub(crate) struct Single {
    pub(crate) hash: &'static [u8],
    pub(crate) issuer_name: Vec<u8>,
    /// The subjectPublicKey of the issuer.
    pub(crate) issuer_key: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    /// CertStatus, whole.
    pub(crate) status: Vec<u8>,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: Option<&'static str>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Single {
    /// Good, by SHA-1 as nearly all are.
    pub(crate) fn good(issuer: &Entity, serial: &[u8]) -> Self {
        Self {
            hash: SHA1,
            issuer_name: issuer.name.clone(),
            issuer_key: issuer.key.der_bytes().to_vec(),
            serial: serial.to_vec(),
            status: tlv(0x80, &[]),
            this_update: "20251231000000Z",
            next_update: Some("20260107000000Z"),
            extensions: Vec::new(),
        }
    }

    /// Revoked on 2025-12-29 for keyCompromise.
    pub(crate) fn revoked(issuer: &Entity, serial: &[u8]) -> Self {
        let info = [time("20251229000000Z"), tlv(0xa0, &tlv(10, &[1]))].concat();
        Self { status: tlv(0xa1, &info), ..Self::good(issuer, serial) }
    }

    fn encode(&self) -> Vec<u8> {
        let algorithm = match self.hash {
            SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            SHA384 => &digest::SHA384,
            _ => &digest::SHA256,
        };
        let hash = |data: &[u8]| tlv(4, digest::digest(algorithm, data).as_ref());
        let id = [
            tlv(0x30, &[self.hash, &[5, 0]].concat()),
            hash(&self.issuer_name),
            hash(&self.issuer_key),
            tlv(2, &self.serial),
        ];
        let mut out = tlv(0x30, &id.concat());
        out.extend(&self.status);
        out.extend(time(self.this_update));
        out.extend(self.next_update.map(|t| tlv(0xa0, &time(t))).unwrap_or_default());
        if !self.extensions.is_empty() {
            out.extend(tlv(0xa1, &tlv(0x30, &self.extensions.concat())));
        }
        tlv(0x30, &out)
    }
}

/// A ResponderID by the hash of a key.
pub(crate) fn by_key(who: &Entity) -> Vec<u8> {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, who.key.der_bytes());
    tlv(0xa2, &tlv(4, hash.as_ref()))
}

/// A timestamp of a log for this signed entry, with its type.
pub(crate) fn sct(log: &Entity, millis: u64, entry: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 0];
    message.extend(millis.to_be_bytes());
    message.extend(entry);
    message.extend([0, 0]);
    let signature = log.key.sign(&message).unwrap();
    let mut out = vec![0];
    out.extend(sha256(&log.key.subject_public_key_info()));
    out.extend(millis.to_be_bytes());
    out.extend([0, 0, 4, 3]);
    out.extend(u16::try_from(signature.len()).unwrap().to_be_bytes());
    out.extend(signature);
    out
}

/// The signed entry of a certificate as it is.
pub(crate) fn x509_entry(certificate: &[u8]) -> Vec<u8> {
    [&[0, 0][..], &u24(certificate.len()), certificate].concat()
}

/// The signed entry of a precertificate: the TBSCertificate of a certificate without timestamps.
pub(crate) fn precert_entry(issuer: &Entity, certificate: &[u8]) -> Vec<u8> {
    let outer = value(certificate);
    let tbs = &outer[..outer.len() - value_after(outer).len()];
    let issuer = sha256(&issuer.key.subject_public_key_info());
    [&[0, 1][..], &issuer, &u24(tbs.len()), tbs].concat()
}

/// A SignedCertificateTimestampList.
pub(crate) fn sct_list(scts: &[Vec<u8>]) -> Vec<u8> {
    let len = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let body: Vec<_> = scts.iter().flat_map(|sct| [&len(sct.len()), &sct[..]].concat()).collect();
    [&len(body.len()), &body[..]].concat()
}

/// The extension of a certificate that holds timestamps.
pub(crate) fn embedded(scts: &[Vec<u8>]) -> Vec<u8> {
    extension(EMBEDDED_SCTS, false, &tlv(4, &sct_list(scts)))
}

pub(crate) fn sha256(data: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, data).as_ref().to_vec()
}

/// What is signed, the algorithm and the signature, and what comes after.
fn signed(tbs: &[u8], signer: &Entity, algorithm: &[u8], after: &[u8]) -> Vec<u8> {
    let signature = [&[0], &signer.key.sign(tbs).unwrap()[..]].concat();
    long(0x30, &[tbs, algorithm, &tlv(3, &signature), after].concat())
}

pub(crate) fn ecdsa_sha256() -> Vec<u8> {
    tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]))
}

pub(crate) fn time(text: &str) -> Vec<u8> {
    tlv(0x18, text.as_bytes())
}

/// As [`tlv`], for more than 64 KiB too.
pub(crate) fn long(tag: u8, value: &[u8]) -> Vec<u8> {
    if value.len() < 1 << 16 {
        return tlv(tag, value);
    }
    [&[tag, 0x83], &u24(value.len())[..], value].concat()
}

fn u24(n: usize) -> [u8; 3] {
    let [0, bytes @ ..] = u32::try_from(n).unwrap().to_be_bytes() else { panic!("too long") };
    bytes
}

/// The contents of the first element.
fn value(der: &[u8]) -> &[u8] {
    let (header, len) = header(der);
    &der[header..][..len]
}

/// What follows the first element.
fn value_after(der: &[u8]) -> &[u8] {
    let (header, len) = header(der);
    &der[header + len..]
}

fn header(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long => {
            let octets = usize::from(long & 0x7f);
            let len = der[2..][..octets].iter().fold(0, |n, b| n << 8 | usize::from(*b));
            (2 + octets, len)
        }
    }
}

pub(crate) const CRL_NUMBER: &[u8] = &[6, 3, 0x55, 0x1d, 20];
pub(crate) const REASON_CODE: &[u8] = &[6, 3, 0x55, 0x1d, 21];
pub(crate) const DELTA_CRL: &[u8] = &[6, 3, 0x55, 0x1d, 27];
pub(crate) const ISSUING_DISTRIBUTION_POINT: &[u8] = &[6, 3, 0x55, 0x1d, 28];
pub(crate) const CERTIFICATE_ISSUER: &[u8] = &[6, 3, 0x55, 0x1d, 29];
pub(crate) const CRL_DISTRIBUTION_POINTS: &[u8] = &[6, 3, 0x55, 0x1d, 31];
pub(crate) const NO_REV_AVAIL: &[u8] = &[6, 3, 0x55, 0x1d, 56];
pub(crate) const TLS_FEATURE: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 1, 24];
pub(crate) const OCSP_SIGNING: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 9];
pub(crate) const OCSP_NOCHECK: &[u8] = &[6, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 5];
pub(crate) const EMBEDDED_SCTS: &[u8] = &[6, 10, 0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
pub(crate) const STAPLED_SCTS: &[u8] = &[6, 10, 0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 5];
const BASIC: &[u8] = &[6, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
pub(crate) const SHA1: &[u8] = &[6, 5, 0x2b, 0x0e, 3, 2, 26];
pub(crate) const SHA256: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
pub(crate) const SHA384: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
