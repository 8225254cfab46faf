//! The story of a search, so that a failure can be explained: every path that ended, and the reason that decides.

use std::sync::Arc;

use super::certificate::Certificate;
use super::directory;
use crate::error::{CertificateError, CertificateReason, CertificateReport, Limit, PathAttempt};

/// What a search has met so far. It costs nothing while a search succeeds at once.
#[derive(Default)]
pub(super) struct Report {
    report: CertificateReport,
    best: Option<(Rank, CertificateReason)>,
}

/// How telling a failure is. The greatest decides, and of equals the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// How far the path came.
    pub(super) stage: Stage,
    /// How many certificates are on it.
    pub(super) depth: usize,
}

/// How far a path came before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// There is nobody with the name of the issuer.
    NoIssuer,
    /// Somebody has the name, but the signature is not by that key, or cannot be checked.
    Signature,
    /// The signature is right; the issuer breaks a rule.
    Issuer,
    /// The path reached an anchor, and broke a rule there or as a whole.
    Anchor,
    /// The path is in order, but the peer's certificate is not.
    Leaf,
    /// The search was cut short: nothing that was found says what else there was.
    Exhausted,
}

impl Report {
    /// A path that ended.
    pub(super) fn add(&mut self, rank: Rank, path: Vec<String>, end: CertificateReason) {
        let reached_anchor = matches!(rank.stage, Stage::Anchor | Stage::Leaf);
        if self.best.as_ref().is_none_or(|(best, _)| rank > *best) {
            self.best = Some((rank, end.clone()));
        }
        if self.report.attempts.len() < MAX_ATTEMPTS {
            self.report.attempts.push(PathAttempt::new(path, reached_anchor, end));
        } else {
            self.report.omitted += 1;
        }
    }

    /// Something else that may help.
    pub(super) fn note(&mut self, note: String) {
        if self.report.notes.len() < MAX_ATTEMPTS {
            self.report.notes.push(note);
        }
    }

    /// Whether what is wrong with the leaf alone is what decides.
    pub(super) fn is_decided_by_leaf(&self) -> bool {
        self.best.as_ref().is_some_and(|(rank, _)| rank.stage == Stage::Leaf)
    }

    /// The error, once nothing is left to try.
    pub(super) fn into_error(self) -> CertificateError {
        let none = CertificateReason::BudgetExhausted { limit: Limit::Candidates };
        let reason = self.best.map_or(none, |(_, reason)| reason);
        CertificateError { reason, report: Arc::new(self.report) }
    }
}

/// The subject of a certificate, for people. Leaves often have no subject; then the first of their other names stands in.
pub(super) fn subject(certificate: &Certificate<'_>) -> String {
    if directory::is_empty(certificate.subject)
        && let Some(name) = certificate.extensions.subject_alt_name.and_then(|n| n.iter().next())
    {
        return name.to_string();
    }
    directory::display(certificate.subject)
}

/// An object identifier in dotted form.
pub(super) fn dotted(oid: &[u8]) -> String {
    x509_parser::der_parser::oid::Oid::new(oid.into()).to_id_string()
}

const MAX_ATTEMPTS: usize = 16;
