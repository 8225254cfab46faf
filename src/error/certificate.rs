//! Why a certificate chain was not accepted: one reason that decided, and a report of everything that was tried.
//!
//! Texts are for people: what happened, whose fault it is, and what would cure it. Programs match on
//! [`CertificateReason`] or on [`CertificateReason::code`], which never changes. Names in here come from the peer's
//! certificates, so whoever makes these values escapes control characters first.

use std::fmt;
use std::sync::Arc;

use thiserror::Error as ThisError;

use super::Limit;
use crate::codepoints::Alert;

/// Why the peer's chain was not accepted: the reason that decided, and a report of what was tried.
#[derive(Clone, Debug, ThisError)]
#[error("{reason}")]
pub struct CertificateError {
    /// What decided.
    pub reason: CertificateReason,
    /// Which paths were tried, and where each ended.
    pub report: Arc<CertificateReport>,
}

impl CertificateError {
    /// An error with a reason and nothing more to tell.
    #[must_use]
    pub fn new(reason: CertificateReason) -> Self {
        Self { reason, report: Arc::default() }
    }

    /// The alert that the peer is owed.
    #[must_use]
    pub fn alert(&self) -> Alert {
        self.reason.alert()
    }
}

impl From<CertificateReason> for CertificateError {
    fn from(reason: CertificateReason) -> Self {
        Self::new(reason)
    }
}

/// Which paths were tried, and where each ended. `Display` writes it for people, one line a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateReport {
    /// Every path that came to an end, in the order in which they were tried.
    pub attempts: Vec<PathAttempt>,
    /// How many more paths there were for which the report had no room.
    pub omitted: usize,
    /// What else was noticed: certificates of the chain that could not be used, and faults of the leaf.
    pub notes: Vec<String>,
}

/// One path from the peer's certificate upwards, and where it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathAttempt {
    /// The subjects on the path, the peer's own certificate first.
    pub path: Vec<String>,
    /// Whether the last one is a trust anchor.
    pub reached_anchor: bool,
    /// What was wrong there.
    pub end: CertificateReason,
}

impl PathAttempt {
    /// A path, and what was wrong at its end.
    #[must_use]
    pub fn new(path: Vec<String>, reached_anchor: bool, end: CertificateReason) -> Self {
        Self { path, reached_anchor, end }
    }
}

impl fmt::Display for CertificateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, attempt) in self.attempts.iter().enumerate() {
            writeln!(f, "path {}:", number + 1)?;
            for (depth, subject) in attempt.path.iter().enumerate() {
                let last = depth + 1 == attempt.path.len();
                let anchor = if last && attempt.reached_anchor { " (trust anchor)" } else { "" };
                writeln!(f, "{:indent$}{subject}{anchor}", "", indent = 2 * (depth + 1))?;
            }
            writeln!(f, "  -> {}: {}", attempt.end.code(), attempt.end)?;
        }
        if self.omitted > 0 {
            writeln!(f, "and {} more paths", self.omitted)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

/// The kinds of failure. `certificate` is always the subject of the certificate that is at fault. Times are seconds
/// since 1970, negative before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum CertificateReason {
    /// RFC 5280 §4.1: the peer's certificate, or a value in it, is not what X.509 allows.
    #[error("the certificate is malformed: {what}; its issuer has to make a new one")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// RFC 9846 §4.5.1.2: the certificate is X.509, but not version 3.
    #[error("{certificate} is X.509 version {version}; TLS 1.3 and every CA need version 3")]
    Version {
        /// The certificate at fault.
        certificate: String,
        /// Its version: 1 or 2.
        version: u8,
    },
    /// RFC 5280 §6.1: nobody that we trust vouches for the chain.
    #[error(
        "no path to a trusted root: the issuer of {certificate}, which is {issuer}, is neither trusted nor in the \
         peer's chain; either the peer must send that intermediate, or its root has to be trusted here"
    )]
    UnknownIssuer {
        /// The certificate at which the path broke off.
        certificate: String,
        /// The name of the missing issuer.
        issuer: String,
    },
    /// RFC 5280 §6.1: the chain ends at a certificate that signed itself, and that is not among our anchors.
    #[error(
        "{certificate} signed itself and is not among the trusted roots; trust it here if it should be"
    )]
    SelfSigned {
        /// The certificate at fault.
        certificate: String,
    },
    /// RFC 5280 §6.1.3 (a)(1): the signature is not by the key of the issuer.
    #[error(
        "the signature on {certificate} is not by the key of {issuer} that is at hand; it is damaged, forged, or its \
         issuer has another key under the same name"
    )]
    BadSignature {
        /// The certificate at fault.
        certificate: String,
        /// Whose key was tried.
        issuer: String,
    },
    /// RFC 5280 §6.1.3 (a)(2)
    #[error("{certificate} expired {} ago, at {}; it has to be renewed", Span(*.now, *.not_after), Date(*.not_after))]
    Expired {
        /// The certificate at fault.
        certificate: String,
        /// The last second in which it was valid.
        not_after: i64,
        /// The time of the check.
        now: i64,
    },
    /// RFC 5280 §6.1.3 (a)(2)
    #[error(
        "{certificate} is not valid for another {}, until {}; is the clock right?",
        Span(*.not_before, *.now), Date(*.not_before)
    )]
    NotYetValid {
        /// The certificate at fault.
        certificate: String,
        /// The first second in which it is valid.
        not_before: i64,
        /// The time of the check.
        now: i64,
    },
    /// RFC 9525 §6: the certificate is for somebody else.
    #[error("the certificate is not for {wanted}; {}", Names(.present))]
    NameMismatch {
        /// Whom we wanted.
        wanted: String,
        /// The names in its subjectAltName. The common name does not count.
        present: Vec<String>,
    },
    /// RFC 5280 §6.1.4 (k): a certificate that is no CA has signed another.
    #[error("{certificate} is not a CA (basicConstraints), but has issued a certificate")]
    NotCa {
        /// The certificate at fault.
        certificate: String,
    },
    /// RFC 5280 §6.1.4 (l) and (m): there are more CAs below this one than it may have.
    #[error("{certificate} may have {allowed} CAs below it (pathLenConstraint), but has more")]
    PathLength {
        /// The certificate at fault.
        certificate: String,
        /// Its pathLenConstraint.
        allowed: u32,
    },
    /// A bound of ours: the path has more intermediates than the verifier was told to follow.
    #[error("the path has more than {limit} intermediates, which is the verifier's limit")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// RFC 5280 §4.2.1.3: keyUsage does not allow what the certificate's key is used for.
    #[error("{certificate} may not be used like this: its keyUsage lacks {missing}")]
    KeyUsage {
        /// The certificate at fault.
        certificate: String,
        /// The bit that is missing.
        missing: &'static str,
    },
    /// RFC 5280 §4.2.1.12: extendedKeyUsage does not allow this kind of peer.
    #[error("{certificate} may not be used like this: its extendedKeyUsage lacks {missing}")]
    ExtendedKeyUsage {
        /// The certificate at fault.
        certificate: String,
        /// The purpose that is missing.
        missing: &'static str,
    },
    /// RFC 5280 §4.2: a critical extension that we do not process.
    #[error("{certificate} has the critical extension {oid}, which is not understood here")]
    UnknownCriticalExtension {
        /// The certificate at fault.
        certificate: String,
        /// The extension, in dotted form.
        oid: String,
    },
    /// RFC 5280 §4.2.1.10: a CA on the path may not vouch for this name.
    #[error("{issuer} may not vouch for {name}, a name of {certificate} (nameConstraints)")]
    NameConstraint {
        /// The certificate at fault.
        certificate: String,
        /// The CA with the constraint.
        issuer: String,
        /// The name that is excluded, not permitted, or of a kind that cannot be judged.
        name: String,
    },
    /// RFC 5280 §6.1.3 (d): a CA on the path demands a certificate policy, which is not supported.
    #[error(
        "{certificate} demands a certificate policy (policyConstraints), which is not supported here"
    )]
    Policy {
        /// The certificate with the demand.
        certificate: String,
    },
    /// RFC 9846 §4.5.1.3: signed with a hash that no longer proves anything.
    #[error(
        "{certificate} is signed with {algorithm}, which is too weak; its issuer has to make a new one"
    )]
    WeakAlgorithm {
        /// The certificate at fault.
        certificate: String,
        /// The algorithm.
        algorithm: &'static str,
    },
    /// RFC 9325 §4.5: an RSA key of fewer than 2048 bits.
    #[error("{certificate} has an RSA key of {bits} bits; 2048 are the least that counts")]
    WeakKey {
        /// The certificate at fault.
        certificate: String,
        /// The bits of its modulus.
        bits: usize,
    },
    /// RFC 9846 §4.3.3: signed in a way that the provider cannot check.
    #[error(
        "{certificate} is signed with the algorithm {algorithm}, which the provider does not have"
    )]
    UnsupportedAlgorithm {
        /// The certificate at fault.
        certificate: String,
        /// The algorithm, in dotted form.
        algorithm: String,
    },
    /// RFC 9846 §4.5.1.2: the key is of a kind that cannot sign in TLS 1.3.
    #[error("{certificate} has a key of a kind that cannot be used in TLS 1.3")]
    UnsupportedKey {
        /// The certificate at fault.
        certificate: String,
    },
    /// RFC 7250 §4: the peer showed a raw public key, and it is none of those that are trusted here.
    #[error(
        "the peer's raw public key, whose SHA-256 is {sha256}, is none of those that are trusted here; whoever runs the \
         peer can say whether it is theirs"
    )]
    UntrustedKey {
        /// The SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
        sha256: String,
    },
    /// A bound of ours: there was more to try than one verdict may cost. Whether a good path exists is not known.
    #[error("the chain asks for too much work ({limit}); it was not accepted")]
    BudgetExhausted {
        /// What ran out: a field of [`Limits`](crate::Limits).
        limit: Limit,
    },
    /// The application refused it.
    #[error("refused by the application")]
    Refused,
}

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
            | Self::PathLength { .. } => Alert::bad_certificate,
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
            Self::UnknownIssuer { .. } | Self::SelfSigned { .. } => Alert::unknown_ca,
            // "some other (unspecified) issue ... rendering it unacceptable"
            Self::NameMismatch { .. }
            | Self::TooDeep { .. }
            | Self::NameConstraint { .. }
            | Self::Policy { .. }
            | Self::UntrustedKey { .. }
            | Self::BudgetExhausted { .. } => Alert::certificate_unknown,
            Self::Refused => Alert::access_denied,
        }
    }

    /// A name for programs, which never changes: `expired`, `unknown-issuer`, …
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
            Self::WeakAlgorithm { .. } => "weak-algorithm",
            Self::WeakKey { .. } => "weak-key",
            Self::UnsupportedAlgorithm { .. } => "unsupported-algorithm",
            Self::UnsupportedKey { .. } => "unsupported-key",
            Self::UntrustedKey { .. } => "untrusted-key",
            Self::BudgetExhausted { .. } => "budget-exhausted",
            Self::Refused => "refused",
        }
    }
}

/// `DNS:a, IP:b`, or what it means that there are none.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(
                "it has no subjectAltName at all, and the common name does not count (RFC 9525 §2)",
            );
        }
        write!(f, "it is for {}", self.0.join(", "))
    }
}

/// The time from the second to the first, in the largest unit that leaves more than one.
struct Span(i64, i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.saturating_sub(self.1);
        let (count, unit) = match seconds {
            ..=119 => (seconds, "second"),
            120..=7_199 => (seconds / 60, "minute"),
            7_200..=172_799 => (seconds / 3_600, "hour"),
            _ => (seconds / 86_400, "day"),
        };
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

/// Seconds since 1970 as `2026-11-20 19:48:00 UTC`.
struct Date(i64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        // The proleptic Gregorian calendar in eras of 400 years, with years that begin in March.
        let z = days.saturating_add(719_468);
        let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let m = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * m + 2) / 5 + 1;
        let month = if m < 10 { m + 3 } else { m - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_spans() {
        assert_eq!(Date(0).to_string(), "1970-01-01 00:00:00 UTC");
        assert_eq!(Date(1_709_208_000).to_string(), "2024-02-29 12:00:00 UTC");
        assert_eq!(Date(253_402_300_799).to_string(), "9999-12-31 23:59:59 UTC");
        assert_eq!(Date(-631_152_000).to_string(), "1950-01-01 00:00:00 UTC");
        for (seconds, text) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (300, "5 minutes"),
            (7_200, "2 hours"),
            (3 * 86_400 + 5, "3 days"),
        ] {
            assert_eq!(Span(seconds, 0).to_string(), text);
        }
    }

    #[test]
    fn texts_say_what_to_do() {
        let certificate = || "CN=a".to_owned();
        let expired = CertificateReason::Expired {
            certificate: certificate(),
            not_after: 0,
            now: 86_400 * 3,
        };
        assert_eq!(
            expired.to_string(),
            "CN=a expired 3 days ago, at 1970-01-01 00:00:00 UTC; it has to be renewed"
        );
        let early =
            CertificateReason::NotYetValid { certificate: certificate(), not_before: 300, now: 0 };
        assert!(early.to_string().contains("not valid for another 5 minutes"));
        let names = vec!["DNS:b".to_owned(), "DNS:c".to_owned()];
        let name = CertificateReason::NameMismatch { wanted: "a".into(), present: names };
        assert_eq!(name.to_string(), "the certificate is not for a; it is for DNS:b, DNS:c");
        let none = CertificateReason::NameMismatch { wanted: "a".into(), present: vec![] };
        assert!(none.to_string().contains("no subjectAltName"));
    }

    #[test]
    fn a_report_reads_as_a_tree() {
        let end =
            CertificateReason::UnknownIssuer { certificate: "CN=b".into(), issuer: "CN=c".into() };
        let report = CertificateReport {
            attempts: vec![PathAttempt::new(vec!["CN=a".into(), "CN=b".into()], false, end)],
            omitted: 2,
            notes: vec!["certificate 3 was ignored".into()],
        };
        let text = report.to_string();
        assert!(
            text.starts_with("path 1:\n  CN=a\n    CN=b\n  -> unknown-issuer: no path"),
            "{text}"
        );
        assert!(text.ends_with("and 2 more paths\nnote: certificate 3 was ignored\n"), "{text}");
    }

    #[test]
    fn errors_travel() {
        fn check<T: Clone + fmt::Debug + Send + Sync + std::error::Error + 'static>() {}
        check::<CertificateError>();
        assert!(size_of::<CertificateError>() <= 96);
    }
}
