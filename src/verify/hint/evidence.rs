//! What was revoked, or may be, or is not in the logs.

use super::Doctor;
use crate::error::{CertificateHint as Hint, CertificateReason as Reason};

impl Doctor<'_, '_> {
    /// What was revoked, or may be, or is not in the logs.
    pub(super) fn evidence(&self, reason: &Reason) -> Option<Hint> {
        let peer = self.peer();
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
            Reason::TlsFeature { certificate, issuer } => Hint::new(
                "demand-staple-too",
                format!(
                    "{issuer} demands of whatever is issued below it that it promises to staple OCSP responses (must-staple): \
                     its CA has to make {certificate} again with that (openssl: tlsfeature=status_request)."
                ),
            ),
            _ => return None,
        })
    }
}
