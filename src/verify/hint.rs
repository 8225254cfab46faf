//! What may cure a failure: one function for each kind of trouble, with its condition and its text side by side.
//!
//! Hints are for people who have never read RFC 5280. They say who has to do what, and name the values that differ. Their
//! codes are for programs, and never change.

mod names;

use super::Purpose;
use super::report::Case;
use crate::error::{
    CertificateHint as Hint, CertificateReason as Reason, CertificateReport, Date, PathAttempt,
    ReportedCertificate, Span,
};

/// All that may help, what decided first.
pub(super) fn of(report: &CertificateReport, case: &Case<'_, '_>) -> Vec<Hint> {
    let peer = match case.inputs.purpose {
        Purpose::Server => "server",
        Purpose::Client => "client",
    };
    let doctor = Doctor { report, case, peer };
    let mut hints: Vec<Hint> = Vec::new();
    for reason in report.reason.iter().chain(&report.faults) {
        let attempt = report.attempts.iter().find(|a| a.end.as_ref() == Some(reason));
        for hint in doctor.hints(reason, attempt) {
            if hints.iter().all(|known| known.code != hint.code) {
                hints.push(hint);
            }
        }
    }
    if !report.faults.iter().any(|fault| matches!(fault, Reason::Expired { .. })) {
        hints.extend(doctor.expires_soon());
    }
    hints
}

struct Doctor<'a, 'c, 'r> {
    report: &'r CertificateReport,
    case: &'r Case<'a, 'c>,
    /// What the peer is: `server` or `client`.
    peer: &'static str,
}

impl Doctor<'_, '_, '_> {
    fn hints(&self, reason: &Reason, attempt: Option<&PathAttempt>) -> Vec<Hint> {
        let path = self.path(attempt);
        let last = path.last().copied();
        match reason {
            Reason::UnknownIssuer { .. } | Reason::SelfSigned { .. }
                if self.case.inputs.anchors.is_empty() =>
            {
                let text = "Nobody is trusted here at all: the list of roots is empty.";
                vec![Hint::new("no-roots", text)]
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
            Reason::KeyUsage { missing: "digitalSignature", .. } => {
                let leaf = self.leaf().map(|leaf| cannot_sign(leaf, self.peer));
                self.leaf_not_first().or(leaf).into_iter().collect()
            }
            Reason::ExtendedKeyUsage { certificate, missing } => {
                vec![self.purpose(certificate, missing)]
            }
            Reason::NotCa { certificate } => vec![self.not_a_ca(&path, certificate)],
            Reason::WeakKey { certificate, .. } => vec![Hint::new(
                "make-longer-key",
                format!(
                    "{certificate} needs a new key: ECDSA P-256 is the usual choice, RSA counts from 2048 bits \
                     (openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256, or -newkey rsa:2048)."
                ),
            )],
            Reason::WeakAlgorithm { certificate, .. } => vec![Hint::new(
                "sign-with-sha256",
                format!(
                    "The CA has to sign {certificate} once more, with SHA-256 or better (openssl x509 -sha256). The \
                     signature of a trusted root itself does not matter."
                ),
            )],
            Reason::Version { certificate, .. } => vec![Hint::new(
                "make-version-3",
                format!(
                    "{certificate} was made without extensions, as `openssl x509 -req` does without -extfile or \
                     -copy_extensions: make it again with a subjectAltName."
                ),
            )],
            Reason::NameConstraint { issuer, name, .. } => vec![Hint::new(
                "outside-constraints",
                format!(
                    "{issuer} was only given the right to issue for certain names, and {name} is not one of them: \
                     take a certificate for it from another CA, or without that name from this one."
                ),
            )],
            Reason::TooDeep { limit } => vec![Hint::new(
                "allow-depth",
                format!(
                    "If so many intermediates are meant to be, allow more than {limit} (Verifier::with_max_depth)."
                ),
            )],
            _ => self.evidence(reason).into_iter().collect(),
        }
    }

    /// What was revoked, or may be, or is not in the logs.
    fn evidence(&self, reason: &Reason) -> Option<Hint> {
        let peer = self.peer;
        Some(match reason {
            Reason::Revoked { certificate, cause, .. } => {
                let text = match *cause {
                    "certificateHold" => {
                        format!("{certificate} is on hold: its CA can say why, and until when.")
                    }
                    "keyCompromise" | "cACompromise" => format!(
                        "{certificate} has to be replaced, and its key too, since others may have that."
                    ),
                    _ => format!("Whoever runs the {peer} has to replace {certificate}."),
                };
                Hint::new("replace-revoked", text)
            }
            Reason::RevocationUnknown { issuer, .. } => Hint::new(
                "get-crl",
                format!(
                    "Hard-fail was asked for: either the present CRL of {issuer} has to be brought here, or the {peer} has \
                     to staple an OCSP response (which counts for its own certificate alone)."
                ),
            ),
            Reason::CrlExpired { issuer, .. } => Hint::new(
                "get-crl",
                format!("The CRL of {issuer} that is here is old: fetch the present one."),
            ),
            Reason::CrlNotYetValid { this_update, now, .. }
            | Reason::StapleNotYetValid { this_update, now, .. } => {
                self.not_yet_valid("what says that nothing was revoked", *this_update, *now)
            }
            Reason::MissingStaple { .. } => Hint::new(
                "staple-ocsp",
                format!(
                    "Turn on OCSP stapling at the {peer} (nginx: ssl_stapling on; Apache: SSLUseStapling on), or ask the CA \
                     for a certificate without must-staple."
                ),
            ),
            Reason::BadStaple { .. } | Reason::StapleExpired { .. } => Hint::new(
                "staple-again",
                format!(
                    "The {peer} has to fetch a fresh OCSP response from its CA, and staple that: can it still reach the CA?"
                ),
            ),
            Reason::NotLogged { .. } => Hint::new(
                "log-certificate",
                "Certificates of public CAs come with timestamps of the logs; those of private CAs have none, and want a \
                 verifier without this policy.",
            ),
            Reason::Profile { .. } => Hint::new(
                "use-default-profile",
                "Public CAs keep this rule. If this is a private CA, which need not, judge by the default profile.",
            ),
            _ => return None,
        })
    }

    /// The certificates of a path; the peer's own if there is none.
    fn path(&self, attempt: Option<&PathAttempt>) -> Vec<&ReportedCertificate> {
        let places = attempt.map_or(&[0][..], |attempt| &attempt.path);
        places.iter().filter_map(|place| self.report.certificates.get(*place)).collect()
    }

    fn leaf(&self) -> Option<&ReportedCertificate> {
        self.report.certificates.first()
    }

    /// The path broke off at `last`. Below a leaf it is most often an intermediate that the peer forgot; below an
    /// intermediate, a root that is not trusted here.
    fn unknown_issuer(&self, last: Option<&ReportedCertificate>, issuer: &str) -> Vec<Hint> {
        let peer = self.peer;
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
            true => vec![trust, send],
            // Whoever publishes the issuer's certificate for others is not a root of one's own.
            false if address.is_some() => vec![send],
            false => vec![send, trust],
        }
    }

    /// The path ended at a certificate that signed itself.
    fn self_signed(&self, last: Option<&ReportedCertificate>) -> Option<Hint> {
        let (last, peer) = (last?, self.peer);
        let fingerprint = last.fingerprint.as_deref().unwrap_or("unknown");
        if last.position == Some(0) {
            return Some(Hint::new(
                "self-signed",
                format!(
                    "The {peer} made this certificate itself, so nobody vouches for it. If it is yours, trust this very \
                     certificate here, once its SHA-256 is {fingerprint} at the {peer} too. Otherwise the {peer} needs \
                     a certificate from a CA."
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
        let peer = self.peer;
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
        let (now, peer) = (self.report.now, self.peer);
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

    fn purpose(&self, certificate: &str, missing: &str) -> Hint {
        let peer = self.peer;
        let own = self.leaf().is_some_and(|leaf| leaf.subject == certificate);
        let who = match (own, self.case.inputs.purpose) {
            (true, Purpose::Server) => "Is it a client's, or one for mail or code? A server's",
            (true, Purpose::Client) => "Is it a server's? A client's",
            (false, _) => "What a CA may not be used for, it cannot pass on. A certificate here",
        };
        Hint::new(
            "wrong-purpose",
            format!(
                "{certificate} was issued for another purpose. {who} needs extendedKeyUsage={missing}: the {peer} has to \
                 get one with that."
            ),
        )
    }

    fn not_a_ca(&self, path: &[&ReportedCertificate], certificate: &str) -> Hint {
        let anchor = path.last().is_some_and(|c| c.is_anchor);
        let text = match anchor {
            true => format!(
                "{certificate} is trusted here, and is no CA, so it vouches for itself alone. Trust the certificate of the \
                 CA instead; one that was made by hand needs basicConstraints=CA:TRUE."
            ),
            false => format!(
                "Somebody has signed with the key of {certificate}, which has no right to issue certificates. A CA that \
                 was made by hand needs basicConstraints=CA:TRUE; otherwise this looks like a forgery."
            ),
        };
        Hint::new("make-it-a-ca", text)
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

/// A CA's certificate in place of the peer's own.
fn ca_as_leaf(leaf: &ReportedCertificate, peer: &str) -> Option<Hint> {
    leaf.is_ca.then(|| {
        Hint::new(
            "ca-as-leaf",
            format!(
                "{} is the certificate of a CA, not of a {peer}: the {peer} was given its CA's certificate in place of its \
                 own. The first in its chain file has to be the one that the CA issued to it.",
                leaf.subject
            ),
        )
    })
}

/// The leaf's keyUsage does not let it sign.
pub(super) fn cannot_sign(leaf: &ReportedCertificate, peer: &str) -> Hint {
    ca_as_leaf(leaf, peer).unwrap_or_else(|| {
        Hint::new(
            "needs-digital-signature",
            "In TLS 1.3 the key of a certificate always signs. keyEncipherment alone was for old versions of TLS: the \
             certificate has to be made again with keyUsage=digitalSignature.",
        )
    })
}

/// 30 days, in seconds.
const SOON: i64 = 30 * 86_400;
