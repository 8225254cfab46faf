//! What others ask about one certificate or key, their own or the peer's, without a verdict on it.

use std::sync::Arc;

use pki_types::{CertificateDer, ServerName};

use super::certificate::Certificate;
use super::key::KeyKind;
use super::{parse, raw_key, report, step};
use crate::codepoints::SignatureScheme;
use crate::error::CertificateError;

/// RFC 9846 §4.5.1.2: whether the certificate's key may sign at all: no keyUsage, or one with digitalSignature. This
/// holds whatever the verdict on the chain is.
pub(crate) fn leaf_may_sign(certificate: &CertificateDer<'_>) -> Result<(), CertificateError> {
    let leaf = parse(certificate)?;
    step::may_sign(&leaf).map_err(|fault| {
        let reason = fault.reason(report::subject(&leaf));
        let report = Arc::new(report::of_leaf(&leaf, reason.clone()));
        CertificateError { reason, report }
    })
}

/// The DER SubjectPublicKeyInfo of a certificate.
pub(crate) fn subject_public_key_info<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<&'a [u8], CertificateError> {
    Ok(parse(certificate)?.spki)
}

/// RFC 7250 §3: whether these bytes are a SubjectPublicKeyInfo with a key that TLS 1.3 can use.
pub(crate) fn check_raw_public_key(key: &[u8]) -> Result<(), CertificateError> {
    Ok(raw_key::check(key)?)
}

/// Whether a key of this SubjectPublicKeyInfo can make signatures of `scheme` in a CertificateVerify.
pub(crate) fn key_fits(spki: &[u8], scheme: SignatureScheme) -> bool {
    KeyKind::of(spki).fits(scheme)
}

/// Whether the certificate's subjectAltName covers `name`.
pub(crate) fn is_for_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let names = Certificate::parse(certificate).ok().and_then(|c| c.extensions.subject_alt_name);
    names.is_some_and(|names| names.cover(name))
}

/// What the certificate is signed with: the contents of its AlgorithmIdentifier. `None` if it is self-issued, so that
/// nobody checks its signature (RFC 9846 §4.3.3), or does not parse.
pub(crate) fn signature_algorithm<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let certificate = Certificate::parse(certificate).ok()?;
    (!certificate.is_self_issued()).then_some(certificate.signed.algorithm)
}

/// When the first of these certificates expires, in seconds since 1970; 0 if one does not parse.
pub(crate) fn expiry(chain: &[CertificateDer<'_>]) -> u64 {
    let not_after = |certificate: &CertificateDer<'_>| {
        let parsed = Certificate::parse(certificate).ok();
        parsed.and_then(|c| u64::try_from(c.not_after).ok()).unwrap_or(0)
    };
    chain.iter().map(not_after).min().unwrap_or(u64::MAX)
}

/// The DER issuer Name, with its tag.
pub(crate) fn issuer<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    Certificate::parse(certificate).ok().map(|c| c.issuer)
}
