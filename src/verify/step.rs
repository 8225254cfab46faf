//! The rules for one certificate on a path: the peer's own, or one that has issued another (RFC 5280 §6.1.3, §6.1.4).
//!
//! None of these looks at a signature, and none knows how the path goes on above.

use pki_types::ServerName;

use super::Purpose;
use super::certificate::{Certificate, Purposes, V3};
use super::key::{self, KeyKind};
use super::report::{dotted, subject};
use crate::error::CertificateReason as Reason;

/// The rules for the peer's own certificate, except for its name.
pub(super) fn check_leaf(leaf: &Certificate<'_>, purpose: Purpose, now: i64) -> Result<(), Reason> {
    // RFC 9846 §4.5.1.2: X.509 version 3.
    if leaf.version != V3 {
        return Err(version(leaf));
    }
    check_common(leaf, purpose, now)?;
    may_sign(leaf)?;
    // RFC 5280 §4.2.1.10: name constraints are for CAs alone.
    if leaf.extensions.name_constraints.is_some() && !leaf.is_ca() {
        return Err(Reason::Malformed { what: "it has nameConstraints but is not a CA" });
    }
    if KeyKind::of(leaf.spki) == KeyKind::Other {
        return Err(Reason::UnsupportedKey { certificate: subject(leaf) });
    }
    Ok(())
}

/// RFC 9846 §4.5.1.2: if there is a keyUsage, it has digitalSignature.
pub(super) fn may_sign(leaf: &Certificate<'_>) -> Result<(), Reason> {
    match leaf.extensions.key_usage {
        Some(usage) if !usage.digital_signature() => {
            Err(Reason::KeyUsage { certificate: subject(leaf), missing: "digitalSignature" })
        }
        _ => Ok(()),
    }
}

/// RFC 9525 §6: the subjectAltName has the name that we wanted. A common name is never looked at.
pub(super) fn check_name(leaf: &Certificate<'_>, wanted: &ServerName<'_>) -> Result<(), Reason> {
    let names = leaf.extensions.subject_alt_name;
    if names.is_some_and(|names| names.cover(wanted)) {
        return Ok(());
    }
    let present = names.map(|names| names.display()).unwrap_or_default();
    Err(Reason::NameMismatch { wanted: wanted.to_str().into_owned(), present })
}

/// The rules for an issuer: an intermediate, or an anchor that is a certificate. `below` counts the intermediates under
/// it that are not self-issued.
pub(super) fn check_issuer(
    issuer: &Certificate<'_>,
    is_anchor: bool,
    below: usize,
    purpose: Purpose,
    now: i64,
) -> Result<(), Reason> {
    // RFC 5280 §6.1.4 (k): version 3 and cA. Old private roots are version 1, which has no way to say that it is a CA;
    // as an anchor that signed itself such a one is taken at its owner's word.
    let old_root = is_anchor && issuer.version != V3 && issuer.is_self_issued();
    if !old_root {
        if issuer.version != V3 {
            return Err(version(issuer));
        }
        if !issuer.is_ca() {
            return Err(Reason::NotCa { certificate: subject(issuer) });
        }
    }
    // RFC 5280 §6.1.4 (l) and (m): self-issued certificates are not counted.
    if let Some((_, Some(allowed))) = issuer.extensions.basic_constraints
        && usize::try_from(allowed).is_ok_and(|allowed| below > allowed)
    {
        return Err(Reason::PathLength { certificate: subject(issuer), allowed });
    }
    // RFC 5280 §6.1.4 (n)
    if issuer.extensions.key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(Reason::KeyUsage { certificate: subject(issuer), missing: "keyCertSign" });
    }
    // RFC 5280 §4.1.2.6: a CA has a name.
    if super::directory::is_empty(issuer.subject) {
        return Err(Reason::Malformed { what: "one of its issuers has an empty name" });
    }
    check_common(issuer, purpose, now)
}

/// What holds for every certificate on a path.
fn check_common(certificate: &Certificate<'_>, purpose: Purpose, now: i64) -> Result<(), Reason> {
    // RFC 5280 §6.1.3 (a)(2), both bounds inclusive (§4.1.2.5)
    if now > certificate.not_after {
        let not_after = certificate.not_after;
        return Err(Reason::Expired { certificate: subject(certificate), not_after, now });
    }
    if now < certificate.not_before {
        let not_before = certificate.not_before;
        return Err(Reason::NotYetValid { certificate: subject(certificate), not_before, now });
    }
    // RFC 5280 §6.1.4 (o) and §6.1.5 (f)
    if let Some(oid) = certificate.extensions.unknown_critical {
        let certificate = subject(certificate);
        return Err(Reason::UnknownCriticalExtension { certificate, oid: dotted(oid) });
    }
    if let Some(purposes) = certificate.extensions.extended_key_usage
        && !purposes.allow(purpose)
    {
        let missing = match purpose {
            Purpose::Server => "serverAuth",
            Purpose::Client => "clientAuth",
        };
        return Err(Reason::ExtendedKeyUsage { certificate: subject(certificate), missing });
    }
    check_key(certificate.spki, || subject(certificate))
}

/// RFC 9325 §4.5: no RSA below 2048 bits, whoever vouches for it. `name` is whose key it is.
pub(super) fn check_key(spki: &[u8], name: impl FnOnce() -> String) -> Result<(), Reason> {
    match KeyKind::of(spki).weak_bits() {
        Some(bits) => Err(Reason::WeakKey { certificate: name(), bits }),
        None => Ok(()),
    }
}

/// RFC 9846 §4.5.1.3: MD5 and SHA-1 prove nothing. An anchor's own signature is not looked at.
pub(super) fn check_algorithm(certificate: &Certificate<'_>) -> Result<(), Reason> {
    match key::weak_algorithm(certificate.signed.algorithm) {
        Some(algorithm) => {
            Err(Reason::WeakAlgorithm { certificate: subject(certificate), algorithm })
        }
        None => Ok(()),
    }
}

impl Purposes {
    /// RFC 5280 §4.2.1.12, on every certificate of the path that has the extension: what a CA may not be used for, it
    /// cannot pass on. anyExtendedKeyUsage is taken at its word, since private CAs use it.
    fn allow(self, purpose: Purpose) -> bool {
        let named = match purpose {
            Purpose::Server => self.server,
            Purpose::Client => self.client,
        };
        named || self.any
    }
}

fn version(certificate: &Certificate<'_>) -> Reason {
    Reason::Version { certificate: subject(certificate), version: certificate.version + 1 }
}
