//! What was revoked, or may be, or is not in the logs.

use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Doctor;
use crate::error::{CertificateHint as Hint, CertificateReason as Reason};
use crate::verify::certificate::Certificate;
use crate::verify::crl::MAY_NOT_SIGN_CRLS;
use crate::verify::directory;
use crate::verify::report::subject;

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
                    _ => format!(
                        "Its CA has taken {certificate} back: whoever runs the {peer} has to get a new one."
                    ),
                };
                Hint::new("replace-revoked", text)
            }
            Reason::RevocationUnknown { issuer, why, .. } if *why == MAY_NOT_SIGN_CRLS => {
                Hint::new(
                    "make-it-sign-crls",
                    format!(
                        "The certificate of {issuer} says that it may not sign CRLs, so what its CRL says counts for nothing. It has \
                     to be made again with keyUsage=keyCertSign,cRLSign; or the {peer} staples an OCSP response (which \
                     counts for its own certificate alone)."
                    ),
                )
            }
            Reason::RevocationUnknown { certificate, issuer, .. } => Hint::new(
                "get-crl",
                format!(
                    "Hard-fail was asked for: either the present CRL of {issuer} has to be brought here, or the {peer} has \
                     to staple an OCSP response (which counts for its own certificate alone).{}",
                    self.published(|c| subject(c) == *certificate)
                ),
            ),
            Reason::CrlExpired { issuer, .. } => Hint::new(
                "get-crl",
                format!(
                    "The CRL of {issuer} that is here is old: fetch the present one.{}",
                    self.published(|c| directory::display(c.issuer) == *issuer)
                ),
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

    /// Where the CRL about the first of these certificates can be had, if the certificate says so.
    fn published(&self, is_it: impl Fn(&Certificate<'_>) -> bool) -> String {
        let certificate = self.certificates.iter().find(|c| is_it(c));
        match certificate.and_then(|certificate| crl_address(certificate.der)) {
            Some(address) => format!(" That CRL is published at {address}"),
            None => String::new(),
        }
    }
}

/// The first URI of cRLDistributionPoints (RFC 5280 §4.2.1.13).
fn crl_address(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let points = certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::CRLDistributionPoints(points) => Some(points),
        _ => None,
    })?;
    let names = points.iter().filter_map(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names),
        _ => None,
    });
    names.flatten().find_map(|name| match name {
        GeneralName::URI(uri) => Some(directory::printable(uri.as_bytes())),
        _ => None,
    })
}
