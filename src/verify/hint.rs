//! What may cure a failure: one function for each kind of trouble, with its condition and its text side by side.
//!
//! Hints are for people who have never read RFC 5280. They say who has to do what, and name the values that differ. Their
//! codes are for programs, and never change.

use pki_types::ServerName;

use super::Purpose;
use super::report::{Case, subject};
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
            Reason::KeyUsage { missing: "digitalSignature", .. } => vec![self.cannot_sign()],
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
            _ => Vec::new(),
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
                 computer that made the certificate has one that is fast.",
                Date(now),
                Span(not_before, now)
            ),
        )
    }

    fn name(&self, wanted: &str, present: &[String]) -> Hint {
        self.leaf_not_first()
            .or_else(|| self.ca_as_leaf())
            .or_else(|| self.common_name_only(wanted, present))
            .or_else(|| self.address_as_dns_name(wanted, present))
            .or_else(|| wildcard(wanted, present))
            .unwrap_or_else(|| self.wrong_name(wanted, present))
    }

    /// A later certificate of the chain is the one that should have been first.
    fn leaf_not_first(&self) -> Option<Hint> {
        let name = self.case.inputs.name?;
        let covers = |c: &&super::certificate::Certificate<'_>| {
            !c.is_ca() && c.extensions.subject_alt_name.is_some_and(|names| names.cover(name))
        };
        let first = self.case.certificates.first().is_some_and(|c| covers(&c));
        let place = self.case.certificates.iter().position(|c| covers(&c)).filter(|_| !first)?;
        let number = self.case.positions.get(place)? + 1;
        let certificate = subject(self.case.certificates.get(place)?);
        let peer = self.peer;
        Some(Hint::new(
            "leaf-not-first",
            format!(
                "The {peer} sends its chain in the wrong order: {certificate}, which is certificate {number}, is its own, and \
                 has to be the first in its chain file."
            ),
        ))
    }

    /// The peer shows a CA's certificate in place of its own.
    fn ca_as_leaf(&self) -> Option<Hint> {
        let (leaf, peer) = (self.leaf().filter(|leaf| leaf.is_ca)?, self.peer);
        Some(Hint::new(
            "ca-as-leaf",
            format!(
                "{} is the certificate of a CA, not of a {peer}: the {peer} was given its CA's certificate in place of its \
                 own. The first in its chain file has to be the one that the CA issued to it.",
                leaf.subject
            ),
        ))
    }

    fn common_name_only(&self, wanted: &str, present: &[String]) -> Option<Hint> {
        let leaf = self.leaf().filter(|_| present.is_empty())?;
        Some(Hint::new(
            "no-alt-name",
            format!(
                "{} says in its subject whom it is for, as certificates did until 2011. It has to be made again with the \
                 name as a subjectAltName (openssl req -addext subjectAltName={}:{wanted}).",
                leaf.subject,
                if self.wants_address() { "IP" } else { "DNS" },
            ),
        ))
    }

    fn address_as_dns_name(&self, wanted: &str, present: &[String]) -> Option<Hint> {
        let as_dns = present.iter().any(|name| name.strip_prefix("DNS:") == Some(wanted));
        (as_dns && self.wants_address()).then(|| {
            Hint::new(
                "address-as-dns-name",
                format!(
                    "{wanted} is in the certificate as a DNS name, where addresses do not count: it has to be made again \
                     with subjectAltName=IP:{wanted}."
                ),
            )
        })
    }

    fn wants_address(&self) -> bool {
        matches!(self.case.inputs.name, Some(ServerName::IpAddress(_)))
    }

    fn wrong_name(&self, wanted: &str, present: &[String]) -> Hint {
        let peer = self.peer;
        let dns = || present.iter().filter_map(|name| name.strip_prefix("DNS:"));
        if self.wants_address() {
            let instead = match dns().find(|name| !name.starts_with('*')) {
                Some(name) => format!("Connect to {name} by name, or"),
                None => "Connect by a name that it has, or".to_owned(),
            };
            return Hint::new(
                "wrong-name",
                format!("{instead} have it made again with subjectAltName=IP:{wanted}."),
            );
        }
        // Of equals the first.
        let mut nearest: Option<(usize, &str)> = None;
        for name in dns() {
            let likeness = likeness(wanted, name);
            if nearest.is_none_or(|(best, _)| likeness > best) {
                nearest = Some((likeness, name));
            }
        }
        let nearest = match nearest {
            Some((_, name)) => format!("The nearest that it has is {name}. "),
            None => String::new(),
        };
        Hint::new(
            "wrong-name",
            format!(
                "{nearest}Is {wanted} spelt right? If it is, the {peer} has no certificate for it, or does not choose it: \
                 many show a default one to whoever asks for a name that they do not know."
            ),
        )
    }

    fn cannot_sign(&self) -> Hint {
        self.leaf_not_first().or_else(|| self.ca_as_leaf()).unwrap_or_else(|| {
            Hint::new(
                "needs-digital-signature",
                "In TLS 1.3 the key of a certificate always signs. keyEncipherment alone was for old versions of TLS: the \
                 certificate has to be made again with keyUsage=digitalSignature.",
            )
        })
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

/// The certificate has a wildcard that does not stretch so far.
fn wildcard(wanted: &str, present: &[String]) -> Option<Hint> {
    let wanted = wanted.strip_suffix('.').unwrap_or(wanted).to_ascii_lowercase();
    let patterns = present.iter().filter_map(|name| name.strip_prefix("DNS:*."));
    let mut parents = patterns.map(str::to_ascii_lowercase);
    let parent = parents.find(|parent| {
        wanted == *parent || wanted.strip_suffix(parent.as_str()).is_some_and(|w| w.ends_with('.'))
    })?;
    let why = match wanted == parent {
        true => format!("not for {parent} itself"),
        false => "not for two or more".to_owned(),
    };
    Some(Hint::new(
        "wildcard-too-narrow",
        format!(
            "The * of *.{parent} stands for exactly one label, and {why}: the certificate needs {wanted} as a name of its own."
        ),
    ))
}

/// How many characters two names share at their ends.
fn likeness(a: &str, b: &str) -> usize {
    let same = |(a, b): &(u8, u8)| a.eq_ignore_ascii_case(b);
    let front = a.bytes().zip(b.bytes()).take_while(same).count();
    let back = a.bytes().rev().zip(b.bytes().rev()).take_while(same).count();
    front + back
}

/// 30 days, in seconds.
const SOON: i64 = 30 * 86_400;
