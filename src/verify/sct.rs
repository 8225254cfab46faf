//! Certificate transparency: timestamps by which logs promise to publish a certificate (RFC 6962 §3).
//!
//! They come in three ways: inside the certificate, where each is over the certificate without them (a precertificate);
//! in the stapled OCSP response; and in an extension of the handshake. All three are looked at, and what counts is how many
//! different logs, of how many different operators, have signed one that is right.

use std::fmt;
use std::sync::{Arc, OnceLock};

use pki_types::{UnixTime, alg_id};

use super::certificate::Certificate;
use super::der::{self, Der};
use super::evidence::{CLOCK_TOLERANCE, Judge, Link};
use super::key::KeyKind;
use super::report::subject;
use super::signature::{Signed, Stop};
use super::{Evidence, ocsp};
use crate::codec::{Reader, Writer};
use crate::crypto::Provider;
use crate::error::{CertificateReason as Reason, Error, Misuse};

/// A certificate transparency log that is believed (RFC 6962): its key, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtLog {
    spki: Vec<u8>,
    name: String,
    operator: String,
    /// The notAfter of the certificates that it takes: from the first second, before the second.
    interval: Option<(i64, i64)>,
    retired: Option<i64>,
}

impl CtLog {
    /// A log with this key, a DER SubjectPublicKeyInfo (ECDSA P-256 or RSA, RFC 6962 §2.1.4), from which its number
    /// follows. `name` is what it is called in [`VerifiedPath::logs`](crate::VerifiedPath::logs), `operator` is who runs it:
    /// policies count operators.
    ///
    /// # Errors
    /// [`Misuse::Config`] if this is no key that can sign.
    pub fn new(spki: Vec<u8>, name: &str, operator: &str) -> Result<Self, Error> {
        if KeyKind::of(&spki) == KeyKind::Other {
            return Err(Misuse::Config("a log's key is no SubjectPublicKeyInfo").into());
        }
        let (name, operator) = (name.to_owned(), operator.to_owned());
        Ok(Self { spki, name, operator, interval: None, retired: None })
    }

    /// The log is for certificates whose notAfter is at `start` or later, and before `end`: timestamps for others do not
    /// count.
    #[must_use]
    pub fn with_interval(mut self, start: UnixTime, end: UnixTime) -> Self {
        self.interval = Some((seconds(start), seconds(end)));
        self
    }

    /// The log was retired then: timestamps of that second and later do not count.
    #[must_use]
    pub fn with_retirement(mut self, at: UnixTime) -> Self {
        self.retired = Some(seconds(at));
        self
    }
}

/// How many logs have to vouch for a certificate: for
/// [`Verifier::with_transparency`](crate::Verifier::with_transparency). Cheap to clone.
///
/// Timestamps may be dated up to 5 minutes ahead of our clock. A certificate that is itself trusted, without a CA above it,
/// is not asked about. The first 16 timestamps are looked at.
#[derive(Clone)]
pub struct Transparency {
    logs: Arc<Logs>,
    timestamps: usize,
    operators: usize,
    required: bool,
}

struct Logs {
    list: Vec<CtLog>,
    /// RFC 6962 §3.2: the number of each, in the same order. SHA-256 takes a provider, so they come later.
    ids: OnceLock<Vec<[u8; 32]>>,
}

impl Transparency {
    /// Demands timestamps of at least 2 of these logs, of 2 different operators, as browsers do.
    #[must_use]
    pub fn new(logs: impl IntoIterator<Item = CtLog>) -> Self {
        let logs = Logs { list: logs.into_iter().collect(), ids: OnceLock::new() };
        Self { logs: Arc::new(logs), timestamps: 2, operators: 2, required: true }
    }

    /// Demands timestamps of this many logs, of this many different operators (default 2 of 2). 0 and 0 demand none.
    #[must_use]
    pub fn with_minimum(mut self, timestamps: usize, operators: usize) -> Self {
        (self.timestamps, self.operators) = (timestamps, operators);
        self
    }

    /// Refuses nothing: what is found is in [`VerifiedPath::logs`](crate::VerifiedPath::logs) all the same.
    #[must_use]
    pub fn report_only(mut self) -> Self {
        self.required = false;
        self
    }

    /// 32 bytes that stand for all of this.
    pub(super) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        let mut w = Writer::default();
        w.raw(b"sealwire transparency");
        w.u8(self.required.into());
        w.raw(&self.timestamps.to_be_bytes());
        w.raw(&self.operators.to_be_bytes());
        for log in &self.logs.list {
            w.vec24(|w| w.raw(&log.spki));
            w.vec24(|w| w.raw(log.operator.as_bytes()));
            let (start, end) = log.interval.unwrap_or((i64::MIN, i64::MAX));
            for time in [start, end, log.retired.unwrap_or(i64::MAX)] {
                w.raw(&time.to_be_bytes());
            }
        }
        provider.fingerprint(&w.finish().unwrap_or_default())
    }
}

impl fmt::Debug for Transparency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transparency")
            .field("logs", &self.logs.list.len())
            .field("timestamps", &self.timestamps)
            .field("operators", &self.operators)
            .field("required", &self.required)
            .finish()
    }
}

/// Judges the timestamps for a certificate. The result is the names of the logs that vouch for it.
pub(super) fn check(
    policy: &Transparency,
    link: &Link<'_>,
    evidence: Evidence<'_>,
    now: i64,
    judge: &mut Judge<'_, '_>,
) -> Result<Result<Vec<String>, Reason>, Stop> {
    let mut count = Count::default();
    let not_after = link.certificate.not_after;
    // RFC 6962 §3.3: clients look in all three places.
    let embedded = link.certificate.extensions.timestamps.map(split).unwrap_or_default();
    if !embedded.is_empty()
        && let Some(entry) = precertificate(link, judge.provider)
    {
        for sct in embedded {
            policy.consider(sct, &entry, not_after, now, &mut count, judge)?;
        }
    }
    let stapled = ocsp::timestamps(evidence.ocsp).into_iter().flat_map(split);
    let mut others = stapled.chain(evidence.scts.iter().map(Vec::as_slice)).peekable();
    if others.peek().is_some() {
        let entry = final_certificate(link.certificate);
        for sct in others {
            policy.consider(sct, &entry, not_after, now, &mut count, judge)?;
        }
    }
    let operators = count.operators(policy);
    if policy.required && !policy.is_met(&count) {
        return Ok(Err(Reason::NotLogged {
            certificate: subject(link.certificate),
            found: count.logs.len(),
            wanted: policy.timestamps,
            operators,
            wanted_operators: policy.operators,
            why: count.trouble.unwrap_or("it has no others"),
        }));
    }
    let logs = count.logs.iter().filter_map(|place| policy.logs.list.get(*place));
    Ok(Ok(logs.map(|log| log.name.clone()).collect()))
}

/// What was found so far.
#[derive(Default)]
struct Count {
    /// The places of the logs that vouch for the certificate.
    logs: Vec<usize>,
    /// How many timestamps were looked at.
    seen: usize,
    /// Why the last timestamp that does not count does not.
    trouble: Option<&'static str>,
}

impl Count {
    fn operators(&self, policy: &Transparency) -> usize {
        let logs = self.logs.iter().filter_map(|place| policy.logs.list.get(*place));
        let mut operators: Vec<&str> = logs.map(|log| log.operator.as_str()).collect();
        operators.sort_unstable();
        operators.dedup();
        operators.len()
    }
}

impl Transparency {
    fn is_met(&self, count: &Count) -> bool {
        count.logs.len() >= self.timestamps && count.operators(self) >= self.operators
    }

    /// Counts a timestamp over `entry`, if it is right and anything still depends on it.
    fn consider(
        &self,
        sct: &[u8],
        entry: &[u8],
        not_after: i64,
        now: i64,
        count: &mut Count,
        judge: &mut Judge<'_, '_>,
    ) -> Result<(), Stop> {
        if self.required && self.is_met(count) || count.seen >= MAX_TIMESTAMPS {
            return Ok(());
        }
        count.seen += 1;
        match self.judge(sct, entry, not_after, now, judge)? {
            Ok(place) if count.logs.contains(&place) => {}
            Ok(place) => count.logs.push(place),
            Err(trouble) => count.trouble = Some(trouble),
        }
        Ok(())
    }

    /// The place of the log that made this timestamp, or why it does not count.
    fn judge(
        &self,
        sct: &[u8],
        entry: &[u8],
        not_after: i64,
        now: i64,
        judge: &mut Judge<'_, '_>,
    ) -> Result<Result<usize, &'static str>, Stop> {
        let sct = match Sct::read(sct) {
            Ok(sct) => sct,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let place = self.logs.ids(judge.provider).iter().position(|id| id == sct.log);
        let Some((place, log)) = place.and_then(|p| Some((p, self.logs.list.get(p)?))) else {
            return Ok(Err("one is of a log that is not known"));
        };
        let at = i64::try_from(sct.timestamp / 1000).unwrap_or(i64::MAX);
        if at > now.saturating_add(CLOCK_TOLERANCE) {
            return Ok(Err("one is from the future"));
        }
        if log.retired.is_some_and(|retired| at >= retired) {
            return Ok(Err("one is of a log that had been retired"));
        }
        if log.interval.is_some_and(|(start, end)| !(start..end).contains(&not_after)) {
            return Ok(Err("one is of a log for certificates that expire at other times"));
        }
        // RFC 6962 §2.1.4: SHA-256, with ECDSA or PKCS#1 v1.5. Private logs use SHA-384 as well.
        let algorithm = match sct.algorithm {
            [SHA256, ECDSA] => alg_id::ECDSA_SHA256,
            [SHA256, RSA] => alg_id::RSA_PKCS1_SHA256,
            [SHA384, ECDSA] => alg_id::ECDSA_SHA384,
            [SHA384, RSA] => alg_id::RSA_PKCS1_SHA384,
            _ => return Ok(Err("one has a signature that logs do not make")),
        };
        let message = sct.signed(entry);
        let algorithm = algorithm.as_ref();
        let signed = Signed { message: &message, algorithm, signature: sct.signature };
        let good = judge.is_signed(&log.spki, signed)?;
        Ok(good.then_some(place).ok_or("one has a signature that is not by its log"))
    }
}

impl Logs {
    /// Without SHA-256 no log has a number, and no timestamp counts.
    fn ids(&self, provider: &Provider) -> &[[u8; 32]] {
        if let Some(ids) = self.ids.get() {
            return ids;
        }
        let ids = self.list.iter().map(|log| sha256(provider, &log.spki));
        match ids.collect::<Option<Vec<_>>>() {
            Some(ids) => self.ids.get_or_init(|| ids),
            None => &[],
        }
    }
}

/// RFC 6962 §3.2: SignedCertificateTimestamp, of version 1.
#[derive(Debug)]
struct Sct<'a> {
    log: &'a [u8; 32],
    /// Milliseconds since 1970.
    timestamp: u64,
    extensions: &'a [u8],
    /// Hash and signature algorithm, as TLS 1.2 numbers them (RFC 5246 §7.4.1.4.1).
    algorithm: [u8; 2],
    signature: &'a [u8],
}

impl<'a> Sct<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let mut r = Reader::new("SignedCertificateTimestamp", bytes);
        // RFC 6962 §3.3: what is of a later version is passed over.
        if r.u8().is_ok_and(|version| version != V1) {
            return Err("one is of a version that is not known");
        }
        Self::fields(r).map_err(|_| "one does not parse")
    }

    fn fields(mut r: Reader<'a>) -> Result<Self, Error> {
        let this = Self {
            log: r.array()?,
            timestamp: r.u64()?,
            extensions: r.vec16()?,
            algorithm: *r.array()?,
            signature: r.vec16()?,
        };
        r.finish()?;
        Ok(this)
    }

    /// RFC 6962 §3.2: what its log has signed; `entry` is the type and the contents of the signed entry.
    fn signed(&self, entry: &[u8]) -> Vec<u8> {
        let mut w = Writer::with_capacity(entry.len() + self.extensions.len() + 12);
        w.u8(V1);
        w.u8(CERTIFICATE_TIMESTAMP);
        w.u64(self.timestamp);
        w.raw(entry);
        w.vec16(|w| w.raw(self.extensions));
        w.finish().unwrap_or_default()
    }
}

/// RFC 6962 §3.3: the timestamps in a SignedCertificateTimestampList; none if its lengths are not what they should be.
fn split(list: &[u8]) -> Vec<&[u8]> {
    fn read(list: &[u8]) -> Result<Vec<&[u8]>, Error> {
        const WHAT: &str = "SignedCertificateTimestampList";
        let mut r = Reader::new(WHAT, list);
        let mut inner = r.sub16(WHAT)?;
        r.finish()?;
        let mut scts = Vec::new();
        while !inner.is_empty() {
            let sct = inner.vec16()?;
            if sct.is_empty() {
                return Err(inner.malformed());
            }
            scts.push(sct);
        }
        Ok(scts)
    }
    read(list).unwrap_or_default()
}

/// RFC 6962 §3.2: the signed entry of a certificate that carries no timestamps of its own.
fn final_certificate(certificate: &Certificate<'_>) -> Vec<u8> {
    let mut w = Writer::with_capacity(certificate.der.len() + 5);
    w.u16(X509_ENTRY);
    w.vec24(|w| w.raw(certificate.der));
    w.finish().unwrap_or_default()
}

/// RFC 6962 §3.2: the signed entry of the precertificate, which is this certificate without the timestamps in it.
fn precertificate(link: &Link<'_>, provider: &Provider) -> Option<Vec<u8>> {
    let issuer = sha256(provider, link.issuer_key)?;
    let tbs = without_timestamps(link.certificate.signed.message)?;
    let mut w = Writer::with_capacity(tbs.len() + 37);
    w.u16(PRECERT_ENTRY);
    w.raw(&issuer);
    w.vec24(|w| w.raw(&tbs));
    w.finish().ok()
}

/// A TBSCertificate without its extension for timestamps.
fn without_timestamps(tbs: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Der::new(Der::new(tbs).only(der::SEQUENCE)?);
    let mut out = Vec::with_capacity(tbs.len());
    while !fields.is_empty() {
        let field = fields.next()?;
        if field.tag != EXTENSIONS {
            out.extend_from_slice(field.raw);
            continue;
        }
        let mut list = Der::new(Der::new(field.value).only(der::SEQUENCE)?);
        let mut kept = Vec::with_capacity(field.value.len());
        while !list.is_empty() {
            let extension = list.next()?;
            if Der::new(extension.value).expect(der::OID)? != TIMESTAMPS {
                kept.extend_from_slice(extension.raw);
            }
        }
        if !kept.is_empty() {
            out.extend(der::element(EXTENSIONS, &der::sequence(&kept)));
        }
    }
    Some(der::sequence(&out))
}

fn sha256(provider: &Provider, data: &[u8]) -> Option<[u8; 32]> {
    provider.hash(32, data)?.as_ref().try_into().ok()
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// More than any certificate has, and few enough that they do not use up what a verdict may cost.
const MAX_TIMESTAMPS: usize = 16;
/// The contents octets of the extension's object identifier (RFC 6962 §3.3).
pub(super) const TIMESTAMPS: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
const EXTENSIONS: u8 = der::context_constructed(3);
const V1: u8 = 0;
const CERTIFICATE_TIMESTAMP: u8 = 0;
const X509_ENTRY: u16 = 0;
const PRECERT_ENTRY: u16 = 1;
const SHA256: u8 = 4;
const SHA384: u8 = 5;
const RSA: u8 = 1;
const ECDSA: u8 = 3;

#[cfg(test)]
mod tests;
