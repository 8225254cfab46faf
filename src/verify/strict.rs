//! What [`Profile::Strict`](super::Profile::Strict) asks on top: the rules for issuers of RFC 5280, and those of the
//! CA/Browser Forum's Baseline Requirements ("BR") for certificates of TLS servers.

use super::certificate::Certificate;
use super::report::subject;
use crate::error::CertificateReason as Reason;

/// The rules for the peer's own certificate.
pub(super) fn check_leaf(leaf: &Certificate<'_>) -> Result<(), Reason> {
    let rule = |holds: bool, rule| ensure(leaf, holds, rule);
    rule(!leaf.is_ca(), "the peer's own certificate is not a CA (BR 7.1.2.7.8)")?;
    let purposes = leaf.extensions.extended_key_usage;
    rule(purposes.is_some(), "there is an extendedKeyUsage (BR 7.1.2.7.6)")?;
    rule(purposes.is_some_and(|p| !p.any), "extendedKeyUsage is not any (BR 7.1.2.7.10)")
}

fn ensure(certificate: &Certificate<'_>, holds: bool, rule: &'static str) -> Result<(), Reason> {
    if holds {
        return Ok(());
    }
    Err(Reason::Profile { certificate: subject(certificate), rule })
}
