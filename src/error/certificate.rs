//! Why a certificate chain was not accepted: the reason that decided.
//!
//! Texts are for people: what happened, whose fault it is, and what would cure it. Programs match on
//! [`CertificateReason`] or on [`CertificateReason::code`], which never changes (`certificate_codes`). Names in here come from the peer's
//! certificates, so whoever makes these values escapes control characters first.

use std::sync::Arc;

use thiserror::Error as ThisError;

use super::Limit;
use super::report::CertificateReport;
use super::words::{Count, Date, Names, Span};
use crate::codepoints::Alert;

/// Why the peer's chain was not accepted: the reason that decided, and a report of what was tried.
#[derive(Clone, Debug, ThisError)]
#[error("{reason}")]
pub struct CertificateError {
    /// What decided.
    pub reason: CertificateReason,
    /// How it came about.
    pub report: Arc<CertificateReport>,
}

impl CertificateError {
    /// An error with a reason and nothing more to tell.
    #[must_use]
    pub fn new(reason: CertificateReason) -> Self {
        let report = CertificateReport { reason: Some(reason.clone()), ..Default::default() };
        Self { reason, report: Arc::new(report) }
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
    /// RFC 5280 §6.1.3 (f): a CA on the path demands that a certificate policy is valid along the path, and none is.
    #[error(
        "a CA demands a certificate policy (policyConstraints), and {certificate} has none that is valid above it, too"
    )]
    Policy {
        /// The certificate at which no valid policy is left.
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
    /// The certificate breaks a rule for issuers that only the verifier's strict profile asks about.
    #[error("{certificate} is not what the strict profile asks, that {rule}")]
    Profile {
        /// The certificate at fault.
        certificate: String,
        /// The rule that it breaks, and where that is written.
        rule: &'static str,
    },
    /// RFC 5280 §6.3, RFC 6960 §2.2: its issuer has revoked the certificate, for good or for now.
    #[error(
        "{certificate} was revoked {} ago, at {} ({cause}); whoever shows it needs a new one",
        Span(*.now, *.since), Date(*.since)
    )]
    Revoked {
        /// The certificate at fault.
        certificate: String,
        /// Since when.
        since: i64,
        /// The reason code, by its name (RFC 5280 §5.3.1).
        cause: &'static str,
        /// The time of the check.
        now: i64,
    },
    /// RFC 5280 §6.3.3: nothing at hand says whether the certificate was revoked, and the policy is hard-fail.
    #[error("whether {certificate}, issued by {issuer}, was revoked is not known: {why}")]
    RevocationUnknown {
        /// The certificate at fault.
        certificate: String,
        /// Its issuer.
        issuer: String,
        /// Why the evidence does not tell.
        why: &'static str,
    },
    /// RFC 5280 §6.3.3 (a): the CRL that would tell is out of date.
    #[error(
        "the CRL of {issuer} expired {} ago, at {}; a new one has to be fetched",
        Span(*.now, *.next_update), Date(*.next_update)
    )]
    CrlExpired {
        /// Whose CRL.
        issuer: String,
        /// Its nextUpdate.
        next_update: i64,
        /// The time of the check.
        now: i64,
    },
    /// RFC 5280 §5.1.2.4: the CRL that would tell is from the future.
    #[error(
        "the CRL of {issuer} is not valid for another {}, until {}; is the clock right?",
        Span(*.this_update, *.now), Date(*.this_update)
    )]
    CrlNotYetValid {
        /// Whose CRL.
        issuer: String,
        /// Its thisUpdate.
        this_update: i64,
        /// The time of the check.
        now: i64,
    },
    /// RFC 6066 §8, RFC 6960 §3.2: the OCSP response that was stapled to the certificate is of no use.
    #[error("the OCSP response stapled to {certificate} is of no use: {what}")]
    BadStaple {
        /// The certificate at fault.
        certificate: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// RFC 6960 §4.2.2.1: the OCSP response is out of date.
    #[error(
        "the OCSP response stapled to {certificate} expired {} ago, at {}; whoever staples it has to fetch a new one",
        Span(*.now, *.next_update), Date(*.next_update)
    )]
    StapleExpired {
        /// The certificate at fault.
        certificate: String,
        /// Its nextUpdate, or a day after thisUpdate if it has none.
        next_update: i64,
        /// The time of the check.
        now: i64,
    },
    /// RFC 6960 §4.2.2.1: the OCSP response is from the future.
    #[error(
        "the OCSP response stapled to {certificate} is not valid for another {}, until {}; is the clock right?",
        Span(*.this_update, *.now), Date(*.this_update)
    )]
    StapleNotYetValid {
        /// The certificate at fault.
        certificate: String,
        /// Its thisUpdate or producedAt.
        this_update: i64,
        /// The time of the check.
        now: i64,
    },
    /// RFC 7633 §4.2.3: the certificate demands a stapled OCSP response, and there is none.
    #[error(
        "{certificate} demands a stapled OCSP response (must-staple), and none was sent; whoever shows it has to staple one"
    )]
    MissingStaple {
        /// The certificate at fault.
        certificate: String,
    },
    /// RFC 7633 §4.2.2: the certificate does not demand what its issuer demands of all that it issues.
    #[error(
        "{certificate} lacks a TLS feature that {issuer} demands of every certificate below it"
    )]
    TlsFeature {
        /// The certificate at fault.
        certificate: String,
        /// The CA with the demand.
        issuer: String,
    },
    /// RFC 6962 §3.3: too few logs vouch for the certificate.
    #[error(
        "{certificate} has {} of {} that count, and the policy wants {wanted} of {wanted_operators}: {why}",
        Count(*.found, "certificate timestamp"), Count(*.operators, "log operator")
    )]
    NotLogged {
        /// The certificate at fault.
        certificate: String,
        /// How many logs vouch for it.
        found: usize,
        /// How many have to.
        wanted: usize,
        /// How many operators those logs have.
        operators: usize,
        /// How many there have to be.
        wanted_operators: usize,
        /// Why the last timestamp that does not count does not.
        why: &'static str,
    },
    /// The path is in order, but none of its keys is one that is pinned here.
    #[error(
        "none of the keys on the path is pinned here; their SHA-256 are {}; if one of them has taken over, pin it",
        .keys.join(", ")
    )]
    NotPinned {
        /// The SHA-256 of each key's SubjectPublicKeyInfo, in hexadecimal: the peer's, the CAs', the anchor's.
        keys: Vec<String>,
    },
    /// X509-SVID §5.2: the certificate is none that SPIFFE allows here.
    #[error("{certificate} is no X509-SVID that can be used here: {what}")]
    Spiffe {
        /// The certificate at fault.
        certificate: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// SPIFFE-ID §3: there is no bundle for the peer's trust domain.
    #[error(
        "the peer is of the trust domain {trust_domain}, for which there is no bundle here; to accept its workloads, \
         federate with it"
    )]
    UnknownTrustDomain {
        /// The trust domain.
        trust_domain: String,
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn errors_travel() {
        fn check<T: Clone + std::fmt::Debug + Send + Sync + std::error::Error + 'static>() {}
        check::<CertificateError>();
        assert!(size_of::<CertificateError>() <= 96);
    }
}
