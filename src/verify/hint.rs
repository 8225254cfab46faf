//! What may cure a failure: one function for each kind of trouble, with its condition and its text side by side.
//!
//! ```text
//!   hint      who is missing from a path, whose key it is, and what the clock says
//!   names     for whom the certificate is            rights    what a certificate may be used for, and how it is made
//!   evidence  revocation and transparency            ways      pins, raw keys, lists of names, SPIFFE
//! ```
//!
//! Hints are for people who have never read RFC 5280. They say who has to do what, and name the values that differ. Their
//! codes are for programs, and never change.

mod evidence;
mod names;
mod rights;
mod ways;

use pki_types::ServerName;

use super::certificate::Certificate;
use super::report::Case;
use super::{Mode, Purpose, Rules};
use crate::error::{
    CertificateHint as Hint, CertificateReason as Reason, CertificateReport, Date, Limit,
    PathAttempt, ReportedCertificate, Span,
};

/// All that may help, what decided first.
pub(super) fn of(report: &CertificateReport, case: &Case<'_, '_>) -> Vec<Hint> {
    let inputs = case.inputs;
    let doctor = Doctor {
        report,
        purpose: inputs.purpose,
        name: inputs.name,
        rules: inputs.rules,
        nobody_is_trusted: inputs.anchors.is_empty(),
        certificates: case.certificates,
        positions: case.positions,
    };
    let mut hints = doctor.all_hints();
    if !report.faults.iter().any(|fault| matches!(fault, Reason::Expired { .. })) {
        hints.extend(doctor.expires_soon());
    }
    hints
}

/// The same for a chain that was refused before any path was looked for; `leaf` is there if it parses.
pub(super) fn of_leaf(
    report: &CertificateReport,
    rules: &Rules,
    purpose: Purpose,
    leaf: Option<&Certificate<'_>>,
) -> Vec<Hint> {
    let certificates = leaf.map(std::slice::from_ref).unwrap_or_default();
    let doctor = Doctor {
        report,
        purpose,
        name: None,
        rules,
        nobody_is_trusted: false,
        certificates,
        positions: &[0],
    };
    doctor.all_hints()
}

/// What credentials ask about their own certificates.
pub(super) use self::rights::cannot_sign;
/// A raw public key has no certificate, and nothing to tell but this.
pub(super) use self::ways::trust_raw_key;

struct Doctor<'a, 'r> {
    report: &'r CertificateReport,
    purpose: Purpose,
    /// Whom the certificate has to be for.
    name: Option<&'r ServerName<'r>>,
    rules: &'r Rules,
    /// There are no anchors.
    nobody_is_trusted: bool,
    /// The certificates of the search, the peer's own first, and where each is in the chain.
    certificates: &'r [Certificate<'a>],
    positions: &'r [usize],
}

impl Doctor<'_, '_> {
    /// Those for what decided, and then for what else is wrong with the peer's own certificate.
    fn all_hints(&self) -> Vec<Hint> {
        let mut hints: Vec<Hint> = Vec::new();
        for reason in self.report.reason.iter().chain(&self.report.faults) {
            let attempt = self.report.attempts.iter().find(|a| a.end.as_ref() == Some(reason));
            for hint in self.hints(reason, attempt) {
                if hints.iter().all(|known| known.code != hint.code) {
                    hints.push(hint);
                }
            }
        }
        hints
    }

    /// Every reason has its line, so that a new one cannot be forgotten.
    fn hints(&self, reason: &Reason, attempt: Option<&PathAttempt>) -> Vec<Hint> {
        let path = self.path(attempt);
        let last = path.last().copied();
        match reason {
            Reason::UnknownIssuer { .. } | Reason::SelfSigned { .. } if self.nobody_is_trusted => {
                vec![self.nobody_is_trusted()]
            }
            Reason::UnknownIssuer { issuer, .. } => self.unknown_issuer(last, issuer),
            Reason::SelfSigned { .. } => self.self_signed(last).into_iter().collect(),
            Reason::BadSignature { certificate, issuer } => {
                let child = path.iter().rev().nth(1).copied();
                vec![self.bad_signature(child, last, certificate, issuer)]
            }
            Reason::Expired { certificate, .. } => self.expired(&path, certificate),
            Reason::NotYetValid { certificate, not_before, now } => {
                vec![self.not_yet_valid(certificate, *not_before, *now)]
            }
            Reason::NameMismatch { wanted, present } => vec![self.name(wanted, present)],
            Reason::TooDeep { limit } => vec![Hint::new(
                "allow-depth",
                format!(
                    "If so many intermediates are meant to be, allow more than {limit} (Verifier::with_max_depth)."
                ),
            )],
            Reason::BudgetExhausted { limit } => vec![self.too_much_work(*limit)],
            Reason::Malformed { .. }
            | Reason::Version { .. }
            | Reason::NotCa { .. }
            | Reason::PathLength { .. }
            | Reason::KeyUsage { .. }
            | Reason::ExtendedKeyUsage { .. }
            | Reason::UnknownCriticalExtension { .. }
            | Reason::NameConstraint { .. }
            | Reason::Policy { .. }
            | Reason::Profile { .. }
            | Reason::WeakAlgorithm { .. }
            | Reason::WeakKey { .. }
            | Reason::UnsupportedAlgorithm { .. }
            | Reason::UnsupportedKey { .. } => self.rights(reason, &path).into_iter().collect(),
            Reason::Revoked { .. }
            | Reason::RevocationUnknown { .. }
            | Reason::CrlExpired { .. }
            | Reason::CrlNotYetValid { .. }
            | Reason::BadStaple { .. }
            | Reason::StapleExpired { .. }
            | Reason::StapleNotYetValid { .. }
            | Reason::MissingStaple { .. }
            | Reason::TlsFeature { .. }
            | Reason::NotLogged { .. } => self.evidence(reason).into_iter().collect(),
            Reason::UntrustedKey { .. }
            | Reason::NotPinned { .. }
            | Reason::Spiffe { .. }
            | Reason::UnknownTrustDomain { .. } => self.ways(reason, &path).into_iter().collect(),
            // Only the application knows why.
            Reason::Refused => Vec::new(),
        }
    }

    /// What the peer is: `server` or `client`.
    fn peer(&self) -> &'static str {
        match self.purpose {
            Purpose::Server => "server",
            Purpose::Client => "client",
        }
    }

    /// The certificates of a path; the peer's own if there is none.
    fn path(&self, attempt: Option<&PathAttempt>) -> Vec<&ReportedCertificate> {
        let places = attempt.map_or(&[0][..], |attempt| &attempt.path);
        places.iter().filter_map(|place| self.report.certificates.get(*place)).collect()
    }

    fn leaf(&self) -> Option<&ReportedCertificate> {
        self.report.certificates.first()
    }

    /// There are no anchors, so no path can be good.
    fn nobody_is_trusted(&self) -> Hint {
        let peer = self.peer();
        if self.rules.knows_some() {
            let own = self.leaf().and_then(|leaf| leaf.fingerprint.as_deref());
            return Hint::new(
                "another-certificate",
                format!(
                    "Only certain certificates are trusted here, each by itself, and the {peer} shows another, whose \
                     SHA-256 is {}. If the {peer} has got a new one, trust that in place of the old.",
                    own.unwrap_or("unknown")
                ),
            );
        }
        Hint::new(
            "no-roots",
            format!(
                "Nobody is trusted here at all: the list of roots is empty. Whoever runs this program has to give it the \
                 root that the {peer}'s chain leads to, or the system's roots."
            ),
        )
    }

    fn too_much_work(&self, limit: Limit) -> Hint {
        let peer = self.peer();
        Hint::new(
            "simplify-chain",
            format!(
                "The {peer} has to send its own certificate and the intermediates between it and a root, each once, and \
                 nothing else. If its chain has to be as it is, raise the limit that it ran into ({limit}): a field of Limits, \
                 which a configuration takes."
            ),
        )
    }

    /// The path broke off at `last`. Below a leaf it is most often an intermediate that the peer forgot; below an
    /// intermediate, a root that is not trusted here.
    fn unknown_issuer(&self, last: Option<&ReportedCertificate>, issuer: &str) -> Vec<Hint> {
        let peer = self.peer();
        let key_id = last.and_then(|c| c.authority_key_id.as_ref());
        let key_id = key_id.map(|id| format!(" (key id {id})")).unwrap_or_default();
        let address = last.and_then(|c| c.issuer_addresses.first());
        let published = match address {
            Some(address) => format!(" That certificate is published at {address}"),
            None => String::new(),
        };
        let send = Hint::new(
            "missing-intermediate",
            format!(
                "If {issuer}{key_id} is an intermediate CA, the {peer} has to send its certificate: the file that the \
                 {peer} is configured with must hold the whole chain, its own certificate first.{published}"
            ),
        );
        let trust = Hint::new(
            "untrusted-root",
            format!(
                "If {issuer}{key_id} is a root CA that is to be trusted, add its certificate to the trusted roots here."
            ),
        );
        match last.is_some_and(|c| c.is_ca) {
            _ if last.is_some_and(|c| c.position == Some(0)) && self.leaf_is_root() => {
                vec![self.not_a_root(issuer), send]
            }
            true => vec![trust, send],
            // Whoever publishes the issuer's certificate for others is not a root of one's own.
            false if address.is_some() => vec![send],
            false => vec![send, trust],
        }
    }

    /// Somebody has put the peer's own certificate among the roots.
    fn leaf_is_root(&self) -> bool {
        let (Mode::Anchors { anchors, .. }, Some(leaf)) =
            (&self.rules.mode, self.certificates.first())
        else {
            return false;
        };
        anchors.contain(leaf.der)
    }

    fn not_a_root(&self, issuer: &str) -> Hint {
        let peer = self.peer();
        Hint::new(
            "not-a-root",
            format!(
                "The {peer}'s own certificate is among the trusted roots, where it counts for nothing: a root vouches for \
                 others. Trust the root CA above {issuer} in its place; or trust this very certificate, whoever made it, by \
                 Verifier::with_certificates."
            ),
        )
    }

    /// The path ended at a certificate that signed itself.
    fn self_signed(&self, last: Option<&ReportedCertificate>) -> Option<Hint> {
        let (last, peer) = (last?, self.peer());
        let fingerprint = last.fingerprint.as_deref().unwrap_or("unknown");
        if last.position == Some(0) {
            return Some(Hint::new(
                "self-signed",
                format!(
                    "The {peer} made this certificate itself, so nobody vouches for it. If it is yours, look up its SHA-256 at the \
                     {peer}: if it is {fingerprint} there, too, trust this very certificate here. Otherwise the {peer} \
                     needs a certificate from a CA."
                ),
            ));
        }
        Some(Hint::new(
            "untrusted-root",
            format!(
                "The chain is complete, but its root {} is not trusted here. If it is to be, add it to the trusted roots, \
                 once its owner has told you that its SHA-256 is {fingerprint}.",
                last.subject
            ),
        ))
    }

    /// The issuer's name is right, and its key is not.
    fn bad_signature(
        &self,
        child: Option<&ReportedCertificate>,
        issuer: Option<&ReportedCertificate>,
        certificate: &str,
        issuer_name: &str,
    ) -> Hint {
        let peer = self.peer();
        let wanted = child.and_then(|c| c.authority_key_id.as_deref());
        let has = issuer.and_then(|c| c.subject_key_id.as_deref());
        if wanted.is_some() && wanted == has {
            return Hint::new(
                "damaged",
                format!(
                    "The key identifiers agree, so {certificate} was changed after it was signed, or somebody made it to \
                     look like one of {issuer_name}: take it from its CA again."
                ),
            );
        }
        let id = |id: Option<&str>| match id {
            Some(id) => format!("with the id {id}"),
            None => "without an id".to_owned(),
        };
        let whose = match issuer.is_some_and(|c| c.is_anchor) {
            true => "trusted here",
            false => "that was sent",
        };
        Hint::new(
            "issuer-has-another-key",
            format!(
                "{certificate} was signed by a key {}, and the {issuer_name} {whose} has a key {}: one name, two keys. Most \
                 often that CA was made anew. Either its new certificate has to be trusted here, or the {peer} still \
                 uses a certificate from the old one.",
                id(wanted),
                id(has)
            ),
        )
    }

    fn expired(&self, path: &[&ReportedCertificate], certificate: &str) -> Vec<Hint> {
        let (now, peer) = (self.report.now, self.peer());
        let is_old = |c: &&ReportedCertificate| c.validity.is_some_and(|(_, until)| until < now);
        let mut hints = Vec::new();
        if path.len() > 1 && path.iter().all(is_old) {
            hints.push(Hint::new(
                "check-clock",
                format!(
                    "Every certificate on the path has expired, which is rare: the clock here says {}. Is that right?",
                    Date(now)
                ),
            ));
        }
        let found = path.iter().find(|c| c.subject == certificate && is_old(c));
        hints.push(match found {
            Some(old) if old.is_anchor => Hint::new(
                "update-roots",
                format!(
                    "The trusted root {certificate} itself has expired: update the roots that are trusted here. If \
                     they are up to date, the {peer} sends a chain to an old root."
                ),
            ),
            Some(old) if old.position != Some(0) => Hint::new(
                "replace-intermediate",
                format!(
                    "The {peer} sends an intermediate that has expired. Its CA has a newer one: put that into the {peer}'s \
                     chain file. Renewing only the {peer}'s own certificate does not help."
                ),
            ),
            _ => Hint::new(
                "renew",
                format!(
                    "Whoever runs the {peer} has to renew {certificate}; if that was done, the {peer} has not loaded the \
                     new file yet."
                ),
            ),
        });
        hints
    }

    fn not_yet_valid(&self, certificate: &str, not_before: i64, now: i64) -> Hint {
        Hint::new(
            "check-clock",
            format!(
                "The clock here says {}, and {certificate} begins {} later. Most often this clock is slow; or the \
                 computer that made it has one that is fast.",
                Date(now),
                Span(not_before, now)
            ),
        )
    }

    /// RFC 5280 says nothing of it, and everybody wants to know.
    fn expires_soon(&self) -> Vec<Hint> {
        let now = self.report.now;
        let accepted = self.report.attempts.iter().find(|attempt| attempt.end.is_none());
        let certificates = self.path(accepted).into_iter();
        let soon = certificates.filter_map(|c| {
            let (_, until) = c.validity?;
            let left = until.checked_sub(now)?;
            (0..=SOON).contains(&left).then(|| {
                let text =
                    format!("{} expires in {}, at {}.", c.subject, Span(until, now), Date(until));
                Hint::new("expires-soon", text)
            })
        });
        soon.collect()
    }
}

/// 30 days, in seconds.
const SOON: i64 = 30 * 86_400;
