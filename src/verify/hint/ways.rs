//! The ways to trust beside anchors: keys that are pinned or trusted as they are, lists of names, SPIFFE.

use super::Doctor;
use crate::error::{CertificateHint as Hint, CertificateReason as Reason, ReportedCertificate};
use crate::verify::Mode;

impl Doctor<'_, '_> {
    pub(super) fn ways(&self, reason: &Reason, path: &[&ReportedCertificate]) -> Option<Hint> {
        Some(match reason {
            Reason::NotPinned { keys } => self.not_pinned(keys, path),
            Reason::UntrustedKey { sha256 } => trust_raw_key(sha256),
            Reason::Spiffe { certificate, what } => self.no_svid(certificate, what),
            Reason::UnknownTrustDomain { trust_domain } => self.unknown_trust_domain(trust_domain),
            _ => return None,
        })
    }

    fn not_pinned(&self, keys: &[String], path: &[&ReportedCertificate]) -> Hint {
        let peer = self.peer();
        let each = path.iter().zip(keys).map(|(c, key)| format!("{} has {key}", c.subject));
        Hint::new(
            "update-pins",
            format!(
                "The chain is in order, but none of its keys is one that this program waits for: {}. If the {peer} or its CA \
                 has taken a new key, and its owner says so, pin that (Verifier::with_spki_pins). If nobody has, somebody sits \
                 in between for whom a trusted root vouches: a proxy that looks into TLS, for example.",
                each.collect::<Vec<_>>().join("; ")
            ),
        )
    }

    /// SPIFFE asks for more than other verifiers do.
    fn no_svid(&self, certificate: &str, what: &str) -> Hint {
        let peer = self.peer();
        let text = match self.is_own(certificate) {
            true => format!(
                "Only SPIFFE workloads are accepted here, and this certificate is not a workload's: {what}. The {peer} has to show the X509-SVID that its SPIFFE \
                 agent gives it (SPIRE: the Workload API), which has one URI, spiffe://trust-domain/path, and \
                 keyUsage=digitalSignature alone."
            ),
            false => format!(
                "{certificate} signs certificates, and a SPIFFE ID with a path is a workload's, which must not. Its SPIFFE \
                 server has to have a certificate whose ID is the trust domain alone."
            ),
        };
        Hint::new("use-svid", text)
    }

    fn unknown_trust_domain(&self, trust_domain: &str) -> Hint {
        const SHOWN: usize = 10;
        let known: Vec<_> = match &self.rules.mode {
            Mode::Spiffe { spiffe, .. } => spiffe.trust_domains().take(SHOWN).collect(),
            Mode::Anchors { .. } | Mode::AcceptAny => Vec::new(),
        };
        let known = match known.is_empty() {
            true => "no trust domain at all".to_owned(),
            false => known.join(", "),
        };
        Hint::new(
            "federate",
            format!(
                "There are bundles here for {known}. If workloads of {trust_domain} are to be let in, add its bundle \
                 (Verifier::spiffe), as its owner publishes it; otherwise the {} belongs elsewhere.",
                self.peer()
            ),
        )
    }

    /// Names that this verifier demands, whatever name was asked for.
    pub(super) fn not_on_the_list(&self, wanted: &str, present: &[String]) -> Option<Hint> {
        if self.name.is_some_and(|name| name.to_str() == wanted) {
            return None;
        }
        let (list, setter) = match self.rules.mode {
            Mode::Spiffe { .. } => ("SPIFFE IDs", "Verifier::with_spiffe_ids"),
            Mode::Anchors { .. } | Mode::AcceptAny => ("names", "Verifier::with_names"),
        };
        let has = match present {
            [] => "none at all".to_owned(),
            some => some.join(", "),
        };
        let only = match wanted.starts_with("anybody") {
            true => format!("No {list} are let in here at all"),
            false => format!("Only some {list} are let in here: {wanted}"),
        };
        Some(Hint::new(
            "not-on-the-list",
            format!(
                "{only}. The {}'s certificate has {has}. If it is to be let in, put one of these on the list ({setter}).",
                self.peer()
            ),
        ))
    }
}

/// A raw public key that nobody here knows.
pub(in crate::verify) fn trust_raw_key(sha256: &str) -> Hint {
    Hint::new(
        "trust-raw-key",
        format!(
            "Either the peer has a new key, or it is somebody else. Ask its owner for the SHA-256 of its public key (openssl \
             pkey -in KEY.pem -pubout -outform DER | openssl sha256): only if that is {sha256}, trust this key here \
             (Verifier::with_raw_public_keys)."
        ),
    )
}
