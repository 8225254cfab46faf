//! What a certificate may be used for, and certificates that were made so that they are of no use to anybody.

use super::Doctor;
use crate::error::{CertificateHint as Hint, CertificateReason as Reason, ReportedCertificate};
use crate::verify::Purpose;

impl Doctor<'_, '_> {
    pub(super) fn rights(&self, reason: &Reason, path: &[&ReportedCertificate]) -> Option<Hint> {
        let peer = self.peer();
        Some(match reason {
            Reason::Malformed { .. } => Hint::new(
                "make-it-again",
                format!(
                    "No verifier is to accept such a certificate. Look at it (openssl x509 -in FILE -noout -text): either the \
                     file at the {peer} is damaged, or whatever made the certificate did so wrongly, and its CA has to make \
                     it again."
                ),
            ),
            Reason::Version { certificate, .. } => {
                make_version_3(certificate, self.is_own(certificate))
            }
            Reason::NotCa { certificate } => not_a_ca(path, certificate),
            Reason::KeyUsage { missing: "digitalSignature", .. } => {
                let leaf = || self.leaf().map(|leaf| cannot_sign(leaf, peer));
                self.leaf_not_first().or_else(leaf)?
            }
            Reason::KeyUsage { certificate, missing } => Hint::new(
                "make-it-a-ca",
                format!(
                    "{certificate} has signed a certificate, and its own keyUsage does not let it. If it is meant to be a CA, \
                     its certificate has to be made again with keyUsage={missing}."
                ),
            ),
            Reason::ExtendedKeyUsage { certificate, missing } => {
                let found = path.iter().find(|c| c.subject == *certificate).copied();
                let found = found.or_else(|| self.leaf().filter(|l| l.subject == *certificate));
                self.purpose(found, certificate, missing)
            }
            Reason::PathLength { certificate, allowed } => Hint::new(
                "outside-constraints",
                format!(
                    "{certificate} was only given the right to have {} below it (basicConstraints=pathlen:{allowed}). Either a \
                     CA further up has to issue the certificate of the {peer}, or {certificate} needs a new certificate with \
                     a larger pathlen.",
                    match allowed {
                        0 => "certificates of servers and clients, and no CAs,".to_owned(),
                        1 => "one CA".to_owned(),
                        n => format!("{n} CAs, one below the other,"),
                    }
                ),
            ),
            Reason::NameConstraint { issuer, name, .. } => Hint::new(
                "outside-constraints",
                format!(
                    "{issuer} was only given the right to issue for certain names, and {name} is not one of them: \
                     take a certificate for it from another CA, or without that name from this one."
                ),
            ),
            Reason::Policy { certificate } => self.policy(path, certificate),
            Reason::UnknownCriticalExtension { certificate, oid } => Hint::new(
                "not-understood",
                format!(
                    "A critical extension says: refuse this certificate unless you know what the extension is about, and \
                     {oid} is not known here. If it only informs, {certificate} has to be made again with the extension not \
                     critical."
                ),
            ),
            Reason::Profile { .. } => Hint::new(
                "use-default-profile",
                "Public CAs keep this rule. If this is a private CA, which need not, judge by the default profile.",
            ),
            _ => return cryptography(reason),
        })
    }

    /// Whether this is the subject of the peer's own certificate.
    pub(super) fn is_own(&self, subject: &str) -> bool {
        self.leaf().is_some_and(|leaf| leaf.subject == subject)
    }

    /// What the certificate is for, and what it would have to be for.
    fn purpose(
        &self,
        found: Option<&ReportedCertificate>,
        certificate: &str,
        missing: &str,
    ) -> Hint {
        let peer = self.peer();
        let named: Vec<_> = found.iter().flat_map(|c| &c.purposes).map(|p| for_people(p)).collect();
        let named =
            if named.is_empty() { "something else".to_owned() } else { named.join(" and ") };
        let need = match self.purpose {
            Purpose::Server => "servers (serverAuth)",
            Purpose::Client => "clients (clientAuth)",
        };
        let text = match found.is_some_and(|c| c.position == Some(0)) {
            true => format!(
                "{certificate} is for {named}, and not for {need}: so says its extendedKeyUsage. Either the {peer} was given \
                 the wrong certificate, or its CA has to issue one with extendedKeyUsage={missing}."
            ),
            false => format!(
                "{certificate} may issue certificates for {named}, and not for {need}: so says its extendedKeyUsage, and what \
                 a CA may not do, nobody below it may. The {peer} needs a certificate from a CA that may."
            ),
        };
        Hint::new("wrong-purpose", text)
    }

    /// RFC 5280 §4.2.1.11: a CA above wants to see a policy all along the path.
    fn policy(&self, path: &[&ReportedCertificate], certificate: &str) -> Hint {
        let peer = self.peer();
        let place = path.iter().position(|c| c.subject == certificate);
        let above = place.and_then(|place| path.get(place + 1)).map(|c| &c.subject);
        let above = above.map_or_else(|| "its issuer".to_owned(), Clone::clone);
        Hint::new(
            "state-policy",
            format!(
                "A CA above {certificate} demands that every certificate below it states a policy (certificatePolicies) which \
                 the certificates above have, too. {certificate} has to be made again with a policy of {above}'s; or the \
                 {peer} takes a certificate from a CA without that demand."
            ),
        )
    }
}

/// A key or a signature that is too weak, or of an unusual kind.
fn cryptography(reason: &Reason) -> Option<Hint> {
    Some(match reason {
        Reason::WeakKey { certificate, .. } => Hint::new(
            "make-longer-key",
            format!(
                "{certificate} needs a new key: ECDSA P-256 is the usual choice, RSA counts from 2048 bits \
                 (openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256, or -newkey rsa:2048)."
            ),
        ),
        Reason::UnsupportedKey { certificate } => Hint::new(
            "make-usual-key",
            format!(
                "{certificate} needs a key that TLS 1.3 knows: ECDSA P-256 is the usual choice, and P-384, Ed25519 and RSA \
                 from 2048 bits are others. DSA, X25519 and most curves are not among them."
            ),
        ),
        Reason::WeakAlgorithm { certificate, .. } => Hint::new(
            "sign-with-sha256",
            format!(
                "The CA has to sign {certificate} once more, with SHA-256 or better (openssl x509 -sha256). The \
                 signature of a trusted root itself does not matter."
            ),
        ),
        Reason::UnsupportedAlgorithm { certificate, .. } => Hint::new(
            "sign-usually",
            format!(
                "The CA has to sign {certificate} in a way that is known here: by an ECDSA P-256 or P-384, Ed25519 or RSA \
                 key, with SHA-256, SHA-384 or SHA-512. ECDSA P-521 is known where this program has the provider aws-lc."
            ),
        ),
        _ => return None,
    })
}

/// A purpose in words, with its name.
fn for_people(purpose: &str) -> String {
    match purpose {
        "serverAuth" => "servers (serverAuth)".to_owned(),
        "clientAuth" => "clients (clientAuth)".to_owned(),
        "codeSigning" => "signing code (codeSigning)".to_owned(),
        "emailProtection" => "mail (emailProtection)".to_owned(),
        "timeStamping" => "time stamps (timeStamping)".to_owned(),
        "OCSPSigning" => "OCSP responses (OCSPSigning)".to_owned(),
        other => other.to_owned(),
    }
}

fn make_version_3(certificate: &str, is_own: bool) -> Hint {
    let with = match is_own {
        true => "a subjectAltName",
        false => "basicConstraints=CA:TRUE",
    };
    Hint::new(
        "make-version-3",
        format!(
            "{certificate} was made without any extension, as `openssl x509 -req` does without -extfile or -copy_extensions: \
             it has to be made again with {with}."
        ),
    )
}

fn not_a_ca(path: &[&ReportedCertificate], certificate: &str) -> Hint {
    let text = match path.last().is_some_and(|c| c.is_anchor) {
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

/// A CA's certificate in place of the peer's own.
pub(super) fn ca_as_leaf(leaf: &ReportedCertificate, peer: &str) -> Option<Hint> {
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
pub(in crate::verify) fn cannot_sign(leaf: &ReportedCertificate, peer: &str) -> Hint {
    ca_as_leaf(leaf, peer).unwrap_or_else(|| {
        Hint::new(
            "needs-digital-signature",
            "In TLS 1.3 the key of a certificate always signs. keyEncipherment alone was for old versions of TLS: the \
             certificate has to be made again with keyUsage=digitalSignature.",
        )
    })
}
