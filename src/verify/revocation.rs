//! Revocation: the policy, and what all evidence together says of a path (RFC 5280 §6.3, RFC 6960, RFC 7633).
//!
//! ```text
//!   each certificate of the path ──┬─ the leaf's staple (`ocsp`)    revoked: the path is refused, whatever else is said
//!                                  └─ the CRLs at hand (`crl`)      good:    by one of them is enough
//!                                                                   unknown: hard-fail refuses, soft-fail accepts
//! ```
//!
//! Nothing is fetched: a CRL is what the application brings, an OCSP response what the peer staples. One path that is
//! refused does not end the search: another, over a cross-certificate that is not revoked, may be good.

use std::time::Duration;

use super::evidence::{Judge, Link, Status, Times};
use super::report::subject;
use super::signature::Stop;
use super::{Crls, Evidence, directory, ocsp};
use crate::crypto::Provider;
use crate::error::CertificateReason as Reason;
use crate::shared::{Shared, Snapshot};

/// How it is found out whether certificates were revoked, and what follows if it cannot be: for
/// [`Verifier::with_revocation`](crate::Verifier::with_revocation).
///
/// What the peer staples (OCSP, RFC 6960) is judged for its own certificate; [`Crls`] for every certificate of the path
/// below the anchor, unless [`Revocation::end_entity_only`] is set. Whoever is listed as revoked is refused in any case,
/// on hold or for good, and also by a CRL that has expired.
///
/// Evidence may be dated up to 5 minutes ahead of our clock. An OCSP response without a nextUpdate counts for a day.
/// Trust anchors are not asked about, nor is a peer's certificate that is one, nor one that says that there is no
/// revocation information about it (noRevAvail, RFC 9608).
#[derive(Clone, Debug)]
pub struct Revocation {
    hard_fail: bool,
    end_entity_only: bool,
    grace: i64,
    crls: Snapshot<Crls>,
}

impl Revocation {
    /// Refuses a certificate unless something says that it is good: its staple, or CRLs that cover it. A staple that
    /// cannot be used is refused too, whatever the CRLs say (RFC 6066 §8).
    #[must_use]
    pub fn hard_fail() -> Self {
        Self {
            hard_fail: true,
            end_entity_only: false,
            grace: 0,
            crls: Snapshot::of(Crls::default().into()),
        }
    }

    /// Refuses a certificate only if something says that it is revoked. Whoever can keep the evidence away can so have a
    /// revoked certificate accepted.
    #[must_use]
    pub fn soft_fail() -> Self {
        Self { hard_fail: false, ..Self::hard_fail() }
    }

    /// Goes by these lists. They can be swapped later if they come as a [`Shared`] handle.
    #[must_use]
    pub fn with_crls(mut self, crls: impl Into<Shared<Crls>>) -> Self {
        self.crls = Snapshot::of(crls.into());
        self
    }

    /// Asks about the peer's own certificate alone, and not about the CAs above it.
    #[must_use]
    pub fn end_entity_only(mut self) -> Self {
        self.end_entity_only = true;
        self
    }

    /// Takes CRLs and OCSP responses for this much longer than they say (default not at all), in whole seconds:
    /// [`Duration::MAX`] is for ever.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        self
    }

    pub(super) fn is_stale(&self) -> bool {
        self.crls.is_stale()
    }

    pub(super) fn refresh(&mut self) {
        self.crls.refresh();
    }

    /// Which version of the lists this is.
    pub(super) fn version(&self) -> u64 {
        self.crls.version()
    }

    /// The lists.
    #[must_use]
    pub fn crls(&self) -> &Crls {
        &self.crls
    }

    /// 32 bytes that stand for all of this.
    pub(super) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        let mut data = b"sealwire revocation".to_vec();
        data.extend([u8::from(self.hard_fail), u8::from(self.end_entity_only)]);
        data.extend(self.grace.to_be_bytes());
        data.extend(self.crls.fingerprint(provider));
        provider.fingerprint(&data)
    }
}

/// Judges a path: its certificates and their issuers, the peer's own certificate first. The result is the second until
/// which the evidence is good.
pub(super) fn check(
    policy: Option<&Revocation>,
    path: &[Link<'_>],
    evidence: Evidence<'_>,
    now: i64,
    judge: &mut Judge<'_, '_>,
) -> Result<Result<i64, Reason>, Stop> {
    let mut until = i64::MAX;
    for (place, link) in path.iter().enumerate() {
        if let Err(reason) = check_features(link) {
            return Ok(Err(reason));
        }
        let status = if place == 0 {
            check_leaf(policy, link, evidence, now, judge)?
        } else {
            match policy {
                Some(policy) if !policy.end_entity_only => {
                    check_lists(policy, link, now, None, judge)?
                }
                _ => Ok(i64::MAX),
            }
        };
        match status {
            Ok(end) => until = until.min(end),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(until))
}

/// RFC 7633 §4.2.2: what a CA demands of TLS, every certificate below it has to demand.
fn check_features(link: &Link<'_>) -> Result<(), Reason> {
    let Some(issuer) = link.issuer_certificate else { return Ok(()) };
    let demanded = &issuer.extensions.tls_features;
    if demanded.iter().all(|f| link.certificate.extensions.tls_features.contains(f)) {
        return Ok(());
    }
    let certificate = subject(link.certificate);
    Err(Reason::TlsFeature { certificate, issuer: directory::display(link.issuer) })
}

/// The peer's own certificate, by the staple and by the lists.
fn check_leaf(
    policy: Option<&Revocation>,
    link: &Link<'_>,
    evidence: Evidence<'_>,
    now: i64,
    judge: &mut Judge<'_, '_>,
) -> Result<Result<i64, Reason>, Stop> {
    let extensions = &link.certificate.extensions;
    // RFC 7633 §4.2.3: the certificate demands a staple, and we asked for one.
    let must_staple = evidence.asked_for_ocsp && extensions.tls_features.contains(&STATUS_REQUEST);
    let hard_fail = policy.is_some_and(|policy| policy.hard_fail);
    if policy.is_none() && !must_staple {
        return Ok(Ok(i64::MAX));
    }
    let mut known = None;
    if !evidence.ocsp.is_empty() {
        let times = Times { now, grace: policy.map_or(0, |policy| policy.grace) };
        let none = Crls::default();
        let lists = policy.map_or(&none, |policy| &policy.crls);
        match ocsp::status(evidence.ocsp, link, lists, times, judge)? {
            Status::Good { until } => known = Some(until),
            Status::Revoked(reason) => return Ok(Err(reason)),
            // RFC 6066 §8: whoever asks for a response, and gets one that is not satisfactory, aborts.
            Status::Unknown(reason) if hard_fail || must_staple => return Ok(Err(reason)),
            Status::Unknown(_) => {}
        }
    } else if must_staple {
        return Ok(Err(Reason::MissingStaple { certificate: subject(link.certificate) }));
    }
    match policy {
        Some(policy) => check_lists(policy, link, now, known, judge),
        None => Ok(Ok(known.unwrap_or(i64::MAX))),
    }
}

/// Any certificate, by the lists. `known` says until when it is good by other evidence.
fn check_lists(
    policy: &Revocation,
    link: &Link<'_>,
    now: i64,
    known: Option<i64>,
    judge: &mut Judge<'_, '_>,
) -> Result<Result<i64, Reason>, Stop> {
    // RFC 9608 §4: there is nothing to be asked.
    let extensions = &link.certificate.extensions;
    if extensions.no_revocation && !link.certificate.is_ca() {
        return Ok(Ok(i64::MAX));
    }
    let times = Times { now, grace: policy.grace };
    let status = policy.crls.status(link, times, judge)?;
    Ok(match (status, known) {
        (Status::Revoked(reason), _) => Err(reason),
        (Status::Good { until }, known) => Ok(until.max(known.unwrap_or(until))),
        (Status::Unknown(_), Some(until)) => Ok(until),
        (Status::Unknown(reason), None) if policy.hard_fail => Err(reason),
        (Status::Unknown(_), None) => Ok(i64::MAX),
    })
}

/// The extension type of status_request, as a TLS feature.
const STATUS_REQUEST: u16 = 5;
