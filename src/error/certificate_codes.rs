//! What each reason for which a certificate chain is not accepted means for others: the alert that the peer is owed, and the
//! code that programs know it by. `certificate_codes.md` is the list of codes for readers.

use super::certificate::CertificateReason;
use crate::codepoints::Alert;

impl CertificateReason {
    /// The alert for it (RFC 9846 §6.2).
    #[must_use]
    pub fn alert(&self) -> Alert {
        match self {
            // "was corrupt, contained signatures that did not verify correctly, etc.", and weak ones (§4.5.1.3)
            Self::Malformed { .. }
            | Self::BadSignature { .. }
            | Self::WeakAlgorithm { .. }
            | Self::WeakKey { .. }
            | Self::NotCa { .. }
            | Self::Spiffe { .. }
            | Self::PathLength { .. }
            | Self::TlsFeature { .. } => Alert::bad_certificate,
            // "was revoked by its signer"
            Self::Revoked { .. } => Alert::certificate_revoked,
            // "an invalid or unacceptable OCSP response is provided"
            Self::BadStaple { .. }
            | Self::StapleExpired { .. }
            | Self::StapleNotYetValid { .. }
            | Self::MissingStaple { .. } => Alert::bad_certificate_status_response,
            // "was of an unsupported type"
            Self::Version { .. }
            | Self::UnknownCriticalExtension { .. }
            | Self::UnsupportedAlgorithm { .. }
            | Self::UnsupportedKey { .. }
            | Self::KeyUsage { .. }
            | Self::ExtendedKeyUsage { .. } => Alert::unsupported_certificate,
            // "has expired or is not currently valid"
            Self::Expired { .. } | Self::NotYetValid { .. } => Alert::certificate_expired,
            // "the CA certificate could not be located or could not be matched with a known trust anchor"
            Self::UnknownIssuer { .. }
            | Self::SelfSigned { .. }
            | Self::UnknownTrustDomain { .. } => Alert::unknown_ca,
            // "some other (unspecified) issue ... rendering it unacceptable"
            Self::NameMismatch { .. }
            | Self::TooDeep { .. }
            | Self::NameConstraint { .. }
            | Self::Policy { .. }
            | Self::UntrustedKey { .. }
            | Self::RevocationUnknown { .. }
            | Self::CrlExpired { .. }
            | Self::CrlNotYetValid { .. }
            | Self::NotLogged { .. }
            | Self::NotPinned { .. }
            | Self::Profile { .. }
            | Self::BudgetExhausted { .. } => Alert::certificate_unknown,
            Self::Refused => Alert::access_denied,
        }
    }

    /// A name for programs, which never changes: `expired`, `unknown-issuer`, …
    ///
    #[doc = include_str!("certificate_codes.md")]
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::Version { .. } => "version",
            Self::UnknownIssuer { .. } => "unknown-issuer",
            Self::SelfSigned { .. } => "self-signed",
            Self::BadSignature { .. } => "bad-signature",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::NameMismatch { .. } => "name-mismatch",
            Self::NotCa { .. } => "not-a-ca",
            Self::PathLength { .. } => "path-length",
            Self::TooDeep { .. } => "too-deep",
            Self::KeyUsage { .. } => "key-usage",
            Self::ExtendedKeyUsage { .. } => "extended-key-usage",
            Self::UnknownCriticalExtension { .. } => "unknown-critical-extension",
            Self::NameConstraint { .. } => "name-constraint",
            Self::Policy { .. } => "policy",
            Self::Profile { .. } => "profile",
            Self::WeakAlgorithm { .. } => "weak-algorithm",
            Self::WeakKey { .. } => "weak-key",
            Self::UnsupportedAlgorithm { .. } => "unsupported-algorithm",
            Self::UnsupportedKey { .. } => "unsupported-key",
            Self::UntrustedKey { .. } => "untrusted-key",
            Self::Revoked { .. } => "revoked",
            Self::RevocationUnknown { .. } => "revocation-unknown",
            Self::CrlExpired { .. } => "crl-expired",
            Self::CrlNotYetValid { .. } => "crl-not-yet-valid",
            Self::BadStaple { .. } => "bad-staple",
            Self::StapleExpired { .. } => "staple-expired",
            Self::StapleNotYetValid { .. } => "staple-not-yet-valid",
            Self::MissingStaple { .. } => "missing-staple",
            Self::TlsFeature { .. } => "tls-feature",
            Self::NotLogged { .. } => "not-logged",
            Self::NotPinned { .. } => "not-pinned",
            Self::Spiffe { .. } => "spiffe",
            Self::UnknownTrustDomain { .. } => "unknown-trust-domain",
            Self::BudgetExhausted { .. } => "budget-exhausted",
            Self::Refused => "refused",
        }
    }
}
