//! OCSP responses as peers staple them (RFC 6960): who signed the response, and what it says of one certificate.
//!
//! ```text
//!   OCSPResponse ── status: successful?
//!     └─ BasicOCSPResponse ── signature: by the CA's own key, or by a responder whose certificate that key has signed
//!          └─ responses ── the entries for the certificate: its issuer's name and key, hashed, and its serial number
//!                            └─ window and status; what any of them revokes is revoked
//! ```
//!
//! Nobody here has sent a request, so a nonce in a response answers to nothing and is not looked at.

use super::certificate::Certificate;
use super::crl::reason_name;
use super::der::{self, Der};
use super::evidence::{CLOCK_TOLERANCE, Judge, Link, Status, Times};
use super::report::subject;
use super::signature::{Signed, Stop};
use super::{Crls, directory, key, step};
use crate::crypto::{HashValue, Provider};
use crate::error::CertificateReason as Reason;

/// What a stapled response says of the certificate. `lists` may revoke the responder itself, unless its certificate says
/// that nobody need look (id-pkix-ocsp-nocheck, RFC 6960 §4.2.2.2.1).
pub(super) fn status(
    der: &[u8],
    link: &Link<'_>,
    lists: &Crls,
    times: Times,
    judge: &mut Judge<'_, '_>,
) -> Result<Status, Stop> {
    let bad = |what| {
        let certificate = subject(link.certificate);
        Ok(Status::Unknown(Reason::BadStaple { certificate, what }))
    };
    let response = match Response::parse(der) {
        Ok(response) => response,
        Err(what) => return bad(what),
    };
    if key::weak_algorithm(response.signed.algorithm).is_some() {
        return bad("it is signed with too weak an algorithm");
    }
    match response.check_signer(link, lists, times, judge)? {
        Ok(()) => Ok(response.status(link, times, judge.provider)),
        Err(what) => bad(what),
    }
}

/// The lists of certificate timestamps in a response (RFC 6962 §3.3), whoever signed it: timestamps prove themselves.
pub(super) fn timestamps(der: &[u8]) -> Vec<&[u8]> {
    let entries = Response::parse(der).map(|response| response.entries).unwrap_or_default();
    entries.iter().filter_map(|entry| entry.timestamps).collect()
}

/// A response that says something, not yet believed.
struct Response<'a> {
    signed: Signed<'a>,
    responder: ResponderId<'a>,
    produced_at: i64,
    entries: Vec<Entry<'a>>,
    /// The certificates that came with it, each DER.
    certificates: Vec<&'a [u8]>,
}

/// RFC 6960 §4.2.1: ResponderID.
enum ResponderId<'a> {
    /// A DER Name with its tag.
    Name(&'a [u8]),
    /// SHA-1 of the responder's public key.
    Key(&'a [u8]),
}

/// RFC 6960 §4.2.1: SingleResponse.
struct Entry<'a> {
    id: CertId<'a>,
    says: Says,
    this_update: i64,
    next_update: Option<i64>,
    /// Whether there is a critical extension that is not understood.
    unknown_critical: bool,
    timestamps: Option<&'a [u8]>,
}

/// RFC 6960 §4.1.1: which certificate is meant.
struct CertId<'a> {
    /// The object identifier of the hash.
    hash: &'a [u8],
    issuer_name: &'a [u8],
    issuer_key: &'a [u8],
    serial: &'a [u8],
}

/// RFC 6960 §4.2.1: CertStatus.
#[derive(Clone, Copy)]
enum Says {
    Good,
    Revoked { since: i64, reason: u8 },
    Unknown,
}

impl<'a> Response<'a> {
    /// RFC 6960 §4.2.1: OCSPResponse and BasicOCSPResponse.
    fn parse(der: &'a [u8]) -> Result<Self, &'static str> {
        const BAD: &str = "it does not parse";
        if !der::is_strict(der) {
            return Err("it is not DER");
        }
        let mut outer = Der::new(Der::new(der).only(der::SEQUENCE).ok_or(BAD)?);
        // RFC 6960 §4.2.1: only `successful` comes with a response, and only with that is there anything to read.
        let status = outer.expect(der::ENUMERATED).ok_or(BAD)?;
        if status != [0] {
            return Err(responder_failure(status));
        }
        let bytes = outer.only(der::context_constructed(0)).ok_or("there is no response in it")?;
        let mut bytes = Der::new(Der::new(bytes).only(der::SEQUENCE).ok_or(BAD)?);
        if bytes.expect(der::OID).ok_or(BAD)? != oids::BASIC {
            return Err("it is of another type than id-pkix-ocsp-basic");
        }
        let basic = bytes.only(der::OCTET_STRING).ok_or(BAD)?;
        if !der::is_strict(basic) {
            return Err("it is not DER");
        }
        let (this, extensions) = Self::read_basic(basic).ok_or(BAD)?;
        let mut unknown = false;
        if let Some(list) = extensions {
            der::each_extension(list, |oid, critical, _| {
                unknown |= critical && oid != oids::NONCE;
                Ok(())
            })?;
        }
        if unknown {
            return Err("it has a critical extension that is not understood");
        }
        Ok(this)
    }

    /// BasicOCSPResponse and ResponseData; the contents of its extensions, if there are any.
    fn read_basic(basic: &'a [u8]) -> Option<(Self, Option<&'a [u8]>)> {
        let mut basic = Der::new(Der::new(basic).only(der::SEQUENCE)?);
        let data = basic.next().filter(|e| e.tag == der::SEQUENCE)?;
        let algorithm = basic.expect(der::SEQUENCE)?;
        let signature = der::bytes_of_bit_string(basic.expect(der::BIT_STRING)?)?;
        let mut certificates = Vec::new();
        if let Some(list) = basic.optional(der::context_constructed(0))? {
            let mut list = Der::new(Der::new(list).only(der::SEQUENCE)?);
            while !list.is_empty() {
                certificates.push(list.next().filter(|e| e.tag == der::SEQUENCE)?.raw);
            }
        }

        let mut fields = Der::new(data.value);
        if let Some(version) = fields.optional(der::context_constructed(0))?
            && Der::new(version).only(der::INTEGER)? != [0]
        {
            return None; // There is no version but v1.
        }
        let responder = fields.next()?;
        let responder = match responder.tag {
            BY_NAME => {
                Der::new(responder.value).only(der::SEQUENCE)?;
                ResponderId::Name(responder.value)
            }
            BY_KEY => ResponderId::Key(Der::new(responder.value).only(der::OCTET_STRING)?),
            _ => return None,
        };
        let produced_at = generalized_time(fields.next()?)?;
        let mut list = Der::new(fields.expect(der::SEQUENCE)?);
        let mut entries = Vec::new();
        while !list.is_empty() {
            entries.push(Entry::read(list.expect(der::SEQUENCE)?)?);
        }
        let extensions = match fields.optional(der::context_constructed(1))? {
            Some(list) => Some(Der::new(list).only(der::SEQUENCE)?),
            None => None,
        };
        if !basic.is_empty() || !fields.is_empty() {
            return None;
        }
        let signed = Signed { message: data.raw, algorithm, signature };
        Some((Self { signed, responder, produced_at, entries, certificates }, extensions))
    }

    /// RFC 6960 §4.2.2.2: whether somebody signed the response who may speak for the certificate's issuer: that CA
    /// itself, or a responder whom it has authorised directly.
    fn check_signer(
        &self,
        link: &Link<'_>,
        lists: &Crls,
        times: Times,
        judge: &mut Judge<'_, '_>,
    ) -> Result<Result<(), &'static str>, Stop> {
        if !judge.signatures.is_supported(self.signed.algorithm) {
            return Ok(Err("it is signed with an algorithm that the provider does not have"));
        }
        let mut trouble = "its responder is neither the issuer nor authorised by it";
        if self.responder.is(link.issuer, link.issuer_key, judge.provider) {
            if judge.is_signed(link.issuer_key, self.signed)? {
                return Ok(Ok(()));
            }
            trouble = "its signature is not by the issuer's key";
        }
        let parsed = self.certificates.iter().filter_map(|der| Certificate::parse(der).ok());
        for responder in parsed {
            if !self.responder.is(responder.subject, responder.spki, judge.provider) {
                continue;
            }
            if let Err(what) = check_responder(&responder, link, times.now) {
                trouble = what;
                continue;
            }
            // RFC 6960 §4.2.2.2: by the same key that signed the certificate in question.
            let authority = judge.is_signed(link.issuer_key, responder.signed)?;
            if !authority {
                trouble = "its responder's certificate is not signed by the issuer's key";
                continue;
            }
            if !judge.is_signed(responder.spki, self.signed)? {
                trouble = "its signature is not by its responder's key";
                continue;
            }
            // RFC 6960 §4.2.2.2.1: as far as the CRLs at hand tell.
            let link = Link { certificate: &responder, ..*link };
            if !responder.extensions.ocsp_nocheck
                && let Status::Revoked(_) = lists.status(&link, times, judge)?
            {
                trouble = "its responder's certificate is revoked";
                continue;
            }
            return Ok(Ok(()));
        }
        Ok(Err(trouble))
    }

    /// What the response says of the certificate, if it may be believed (RFC 6960 §3.2).
    fn status(&self, link: &Link<'_>, times: Times, provider: &Provider) -> Status {
        let entries = self.entries.iter().filter(|entry| entry.id.names(link, provider));
        let statuses = entries.map(|entry| entry.status(link, times));
        // What one entry revokes no other makes good.
        let first = statuses.min_by_key(|status| match status {
            Status::Revoked(_) => 0,
            Status::Good { .. } => 1,
            Status::Unknown(_) => 2,
        });
        match first {
            Some(Status::Good { .. })
                if self.produced_at > times.now.saturating_add(CLOCK_TOLERANCE) =>
            {
                early(link, self.produced_at, times)
            }
            Some(status) => status,
            None => {
                let what = "it says nothing about this certificate";
                Status::Unknown(Reason::BadStaple { certificate: subject(link.certificate), what })
            }
        }
    }
}

/// RFC 6960 §4.2.2.2: what makes a certificate a responder's, other than the CA's signature on it.
fn check_responder(
    responder: &Certificate<'_>,
    link: &Link<'_>,
    now: i64,
) -> Result<(), &'static str> {
    if !directory::same(responder.issuer, link.issuer) {
        return Err("its responder's certificate is of another issuer");
    }
    let extensions = &responder.extensions;
    // The exact purpose: anyExtendedKeyUsage does not authorise.
    if !extensions.extended_key_usage.is_some_and(|purposes| purposes.ocsp_signing) {
        return Err("its responder's certificate is not for OCSP (extendedKeyUsage)");
    }
    if extensions.key_usage.is_some_and(|usage| !usage.digital_signature()) {
        return Err("its responder's certificate may not sign (keyUsage)");
    }
    if now < responder.not_before || now > responder.not_after {
        return Err("its responder's certificate is not valid now");
    }
    if extensions.unknown_critical.is_some() {
        return Err("its responder's certificate has a critical extension that is not understood");
    }
    if step::check_algorithm(responder).is_err() || step::check_key(responder.key).is_err() {
        return Err("its responder's certificate is too weak");
    }
    Ok(())
}

impl ResponderId<'_> {
    /// Whether this names whoever has this name and this key.
    fn is(&self, name: &[u8], spki: &[u8], provider: &Provider) -> bool {
        match self {
            Self::Name(own) => directory::same(own, name),
            Self::Key(hash) => {
                let sha1 = provider.sha1.zip(der::public_key(spki));
                sha1.is_some_and(|(sha1, key)| sha1(key).as_ref() == *hash)
            }
        }
    }
}

impl<'a> Entry<'a> {
    /// The contents of a SingleResponse.
    fn read(contents: &'a [u8]) -> Option<Self> {
        let mut fields = Der::new(contents);
        let id = CertId::read(fields.expect(der::SEQUENCE)?)?;
        let says = fields.next()?;
        let says = match (says.tag, says.value) {
            (GOOD, []) => Says::Good,
            (UNKNOWN, []) => Says::Unknown,
            (REVOKED, value) => {
                let mut info = Der::new(value);
                let since = generalized_time(info.next()?)?;
                let reason = match info.optional(der::context_constructed(0))? {
                    Some(reason) => match Der::new(reason).only(der::ENUMERATED)? {
                        [code] => *code,
                        _ => return None,
                    },
                    None => 0,
                };
                if !info.is_empty() {
                    return None;
                }
                Says::Revoked { since, reason }
            }
            _ => return None,
        };
        let this_update = generalized_time(fields.next()?)?;
        let next_update = match fields.optional(der::context_constructed(0))? {
            Some(time) => {
                let mut time = Der::new(time);
                let next_update = generalized_time(time.next()?)?;
                if !time.is_empty() {
                    return None;
                }
                Some(next_update)
            }
            None => None,
        };
        let extensions = fields.optional(der::context_constructed(1))?;
        if !fields.is_empty() {
            return None;
        }
        let (unknown_critical, timestamps) = (false, None);
        let mut this = Self { id, says, this_update, next_update, unknown_critical, timestamps };
        if let Some(list) = extensions {
            this.read_extensions(Der::new(list).only(der::SEQUENCE)?)?;
        }
        Some(this)
    }

    /// singleExtensions. RFC 6962 §3.3: certificate timestamps may be among them.
    fn read_extensions(&mut self, list: &'a [u8]) -> Option<()> {
        let read = der::each_extension(list, |oid, critical, value| {
            match oid {
                oids::TIMESTAMPS => self.timestamps = Der::new(value).only(der::OCTET_STRING),
                _ => self.unknown_critical |= critical,
            }
            Ok(())
        });
        read.ok()
    }

    /// What this entry says, if it may be believed now (RFC 6960 §4.2.2.1). What revokes is believed at any time.
    fn status(&self, link: &Link<'_>, times: Times) -> Status {
        let certificate = || subject(link.certificate);
        let bad = |what| Status::Unknown(Reason::BadStaple { certificate: certificate(), what });
        match self.says {
            Says::Revoked { since, reason } => {
                return Status::Revoked(link.revoked(since, reason_name(reason), times.now));
            }
            Says::Unknown => return bad("its responder does not know the certificate"),
            Says::Good => {}
        }
        if self.unknown_critical {
            return bad("its entry has a critical extension that is not understood");
        }
        if self.this_update > times.now.saturating_add(CLOCK_TOLERANCE) {
            return early(link, self.this_update, times);
        }
        let next_update = self.next_update.unwrap_or(self.this_update.saturating_add(A_DAY));
        if next_update < self.this_update {
            return bad("it ends before it begins");
        }
        let until = next_update.saturating_add(times.grace);
        if times.now > until {
            let (certificate, now) = (certificate(), times.now);
            return Status::Unknown(Reason::StapleExpired { certificate, next_update, now });
        }
        Status::Good { until }
    }
}

impl<'a> CertId<'a> {
    fn read(contents: &'a [u8]) -> Option<Self> {
        let mut fields = Der::new(contents);
        let mut algorithm = Der::new(fields.expect(der::SEQUENCE)?);
        let hash = algorithm.expect(der::OID)?;
        // RFC 4055 §2.1: the parameters are NULL or absent.
        let parameters = algorithm.optional(der::NULL)?;
        let issuer_name = fields.expect(der::OCTET_STRING)?;
        let issuer_key = fields.expect(der::OCTET_STRING)?;
        let serial = fields.only(der::INTEGER).filter(|serial| der::is_integer(serial))?;
        let plain = algorithm.is_empty() && parameters.is_none_or(<[u8]>::is_empty);
        plain.then_some(Self { hash, issuer_name, issuer_key, serial })
    }

    /// Whether this is the certificate that its issuer signed with this key.
    fn names(&self, link: &Link<'_>, provider: &Provider) -> bool {
        let is = |data: &[u8], hash: &[u8]| match self.hash {
            // SHA-1 is an identifier here: whoever could make two issuers with one hash still lacks a signature.
            oids::SHA1 => equals(provider.sha1.map(|sha1| sha1(data)), hash),
            oids::SHA256 => equals(provider.hash(32, data), hash),
            oids::SHA384 => equals(provider.hash(48, data), hash),
            _ => false,
        };
        self.serial == link.certificate.serial
            && is(link.certificate.issuer, self.issuer_name)
            && der::public_key(link.issuer_key).is_some_and(|key| is(key, self.issuer_key))
    }
}

fn equals(a: Option<HashValue>, b: &[u8]) -> bool {
    a.is_some_and(|a| a.as_ref() == b)
}

fn early(link: &Link<'_>, this_update: i64, times: Times) -> Status {
    let (certificate, now) = (subject(link.certificate), times.now);
    Status::Unknown(Reason::StapleNotYetValid { certificate, this_update, now })
}

/// RFC 6960 §4.2.2.1: GeneralizedTime, whatever the year.
fn generalized_time(element: der::Element<'_>) -> Option<i64> {
    if element.tag == der::GENERALIZED_TIME { der::time(element) } else { None }
}

/// RFC 6960 §4.2.1: OCSPResponseStatus.
fn responder_failure(status: &[u8]) -> &'static str {
    match status {
        [1] => "the responder found the request malformed",
        [2] => "the responder failed (internalError)",
        [3] => "the responder was busy (tryLater)",
        [5] => "the responder wants signed requests",
        [6] => "the responder refused the request (unauthorized)",
        _ => "its status is none that exists",
    }
}

/// For how long a response without nextUpdate counts.
const A_DAY: i64 = 86_400;

const BY_NAME: u8 = der::context_constructed(1);
const BY_KEY: u8 = der::context_constructed(2);
const GOOD: u8 = der::context(0);
const REVOKED: u8 = der::context_constructed(1);
const UNKNOWN: u8 = der::context(2);

/// Contents octets of object identifiers.
mod oids {
    pub(super) const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
    pub(super) const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2];
    /// RFC 6962 §3.3
    pub(super) const TIMESTAMPS: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 5];
    pub(super) const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 26];
    pub(super) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    pub(super) const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
}

#[cfg(test)]
mod tests;
