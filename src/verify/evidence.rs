//! What a peer sends beside its chain, and what the policies make of it once a path is in order otherwise.

use super::certificate::Certificate;
use super::directory;
use super::report::subject;
use super::revocation::{self, Revocation};
use super::sct::{self, Transparency};
use super::signature::{Proof, Signatures, Signed, Stop};
use crate::crypto::Provider;
use crate::error::CertificateReason as Reason;
use crate::limits::Budget;

/// What a peer sent beside its chain, none of it checked yet (RFC 9846 §4.5.1.1). The default is nothing, and nothing was
/// asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The OCSP response (DER) that was stapled to the first certificate; empty if there is none.
    pub ocsp: &'a [u8],
    /// The signed certificate timestamps that came with the first certificate, each without its length.
    pub scts: &'a [Vec<u8>],
    /// Whether the peer was asked for an OCSP response. Only then can one that is missing be held against it.
    pub asked_for_ocsp: bool,
}

/// What is asked of evidence.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    pub(super) revocation: Option<Revocation>,
    pub(super) transparency: Option<Transparency>,
}

/// What evidence has led to.
pub(super) struct Outcome {
    /// The second until which it is good.
    pub(super) until: i64,
    /// The names of the logs that vouch for the peer's certificate.
    pub(super) logs: Vec<String>,
}

impl Policies {
    /// Stands for all of them.
    pub(super) fn fingerprint(&self, provider: &Provider) -> Vec<u8> {
        let revocation = self.revocation.as_ref().map(|policy| policy.fingerprint(provider));
        let transparency = self.transparency.as_ref().map(|policy| policy.fingerprint(provider));
        let each = [revocation, transparency].into_iter();
        each.flat_map(|p| [&[p.is_some().into()], &p.unwrap_or_default()[..]].concat()).collect()
    }

    /// Whether there is anything to judge, on a path with this certificate: of any policy, or that a certificate itself
    /// demands a staple (RFC 7633).
    pub(super) fn concern(&self, certificate: &Certificate<'_>) -> bool {
        let asked = self.revocation.is_some() || self.transparency.is_some();
        asked || !certificate.extensions.tls_features.is_empty()
    }

    /// Judges a path by all of them.
    pub(super) fn check(
        &self,
        path: &[Link<'_>],
        evidence: Evidence<'_>,
        now: i64,
        judge: &mut Judge<'_, '_>,
    ) -> Result<Result<Outcome, Reason>, Stop> {
        let until = match revocation::check(self.revocation.as_ref(), path, evidence, now, judge)? {
            Ok(until) => until,
            Err(reason) => return Ok(Err(reason)),
        };
        let logs = match (&self.transparency, path.first()) {
            (Some(policy), Some(link)) => sct::check(policy, link, evidence, now, judge)?,
            _ => Ok(Vec::new()),
        };
        Ok(logs.map(|logs| Outcome { until, logs }))
    }
}

/// A certificate on a path, and who issued it.
#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) certificate: &'a Certificate<'a>,
    /// The issuer's Name with its tag.
    pub(super) issuer: &'a [u8],
    /// The SubjectPublicKeyInfo that has signed the certificate.
    pub(super) issuer_key: &'a [u8],
    /// The issuer's certificate, unless it is an anchor without one.
    pub(super) issuer_certificate: Option<&'a Certificate<'a>>,
}

/// What evidence says of a certificate.
#[derive(Debug)]
pub(super) enum Status {
    /// It is not revoked, until this second.
    Good {
        until: i64,
    },
    Revoked(Reason),
    /// The evidence says nothing, for this reason.
    Unknown(Reason),
}

/// The time of the check, and how long evidence counts after its end, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) now: i64,
    pub(super) grace: i64,
}

/// What evidence is judged with.
pub(super) struct Judge<'s, 'a> {
    pub(super) provider: &'a Provider,
    pub(super) signatures: &'s mut Signatures<'a>,
    /// What was found to be signed rightly, to be remembered with the path.
    pub(super) proofs: Vec<Proof>,
    pub(super) budget: &'s mut Budget,
}

impl Judge<'_, '_> {
    /// Whether the key of `spki` has signed this.
    pub(super) fn is_signed(&mut self, spki: &[u8], signed: Signed<'_>) -> Result<bool, Stop> {
        let proof = self.signatures.check(self.budget, spki, signed)?;
        self.proofs.extend(proof);
        Ok(proof.is_some())
    }
}

impl<'a> Link<'a> {
    /// The links of a path: of certificates, the peer's own first, that end below this anchor. An anchor that is itself
    /// the peer's certificate is believed without evidence.
    pub(super) fn all_of(
        path: &[&'a Certificate<'a>],
        (issuer, issuer_key): (&'a [u8], &'a [u8]),
        anchor: Option<&'a Certificate<'a>>,
    ) -> Vec<Self> {
        let above = path.iter().skip(1).map(|c| (c.subject, c.spki, Some(*c)));
        let above = above.chain([(issuer, issuer_key, anchor)]);
        let links = path.iter().zip(above).map(|(certificate, above)| {
            let (issuer, issuer_key, issuer_certificate) = above;
            Self { certificate, issuer, issuer_key, issuer_certificate }
        });
        let is_anchor = |link: &Self| anchor.is_some_and(|a| a.der == link.certificate.der);
        links.filter(|link| !is_anchor(link)).collect()
    }

    /// RFC 5280 §4.2.1.3: whether the issuer may sign CRLs: an anchor without a certificate has no keyUsage that says no.
    pub(super) fn may_sign_crls(&self) -> bool {
        let usage = self.issuer_certificate.and_then(|c| c.extensions.key_usage);
        usage.is_none_or(|usage| usage.crl_sign())
    }

    pub(super) fn issuer_key_id(&self) -> Option<&[u8]> {
        self.issuer_certificate.and_then(|c| c.extensions.subject_key_id)
    }

    pub(super) fn unknown(&self, why: &'static str) -> Reason {
        let certificate = subject(self.certificate);
        Reason::RevocationUnknown { certificate, issuer: directory::display(self.issuer), why }
    }

    pub(super) fn revoked(&self, since: i64, cause: &'static str, now: i64) -> Reason {
        Reason::Revoked { certificate: subject(self.certificate), since, cause, now }
    }
}

/// How far evidence may be dated ahead of our clock: in seconds.
pub(super) const CLOCK_TOLERANCE: i64 = 300;
