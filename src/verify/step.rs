//! The rules for one certificate on a path: the peer's own, or one that has issued another (RFC 5280 §6.1.3, §6.1.4).
//!
//! None of these looks at a signature, and none knows how the path goes on above.

use pki_types::ServerName;

use super::Purpose;
use super::cause::Fault;
use super::certificate::{Certificate, Purposes, V3};
use super::key::{self, KeyKind};
use crate::error::CertificateReason as Reason;

/// The rules for the peer's own certificate, except for its name.
pub(super) fn check_leaf<'a>(
    leaf: &Certificate<'a>,
    purpose: Purpose,
    now: i64,
) -> Result<(), Fault<'a>> {
    // RFC 9846 §4.5.1.2: X.509 version 3.
    if leaf.version != V3 {
        return Err(Fault::Version(leaf.version));
    }
    check_common(leaf, purpose, now)?;
    may_sign(leaf)?;
    // RFC 5280 §4.2.1.10: name constraints are for CAs alone.
    if leaf.extensions.name_constraints.is_some() && !leaf.is_ca() {
        return Err(Fault::Malformed("it has nameConstraints but is not a CA"));
    }
    if leaf.key == KeyKind::Other {
        return Err(Fault::UnsupportedKey);
    }
    Ok(())
}

/// RFC 9846 §4.5.1.2: if there is a keyUsage, it has digitalSignature.
pub(super) fn may_sign(leaf: &Certificate<'_>) -> Result<(), Fault<'static>> {
    match leaf.extensions.key_usage {
        Some(usage) if !usage.digital_signature() => Err(Fault::KeyUsage("digitalSignature")),
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
pub(super) fn check_issuer<'a>(
    issuer: &Certificate<'a>,
    is_anchor: bool,
    below: usize,
    purpose: Purpose,
    now: i64,
) -> Result<(), Fault<'a>> {
    // RFC 5280 §6.1.4 (k): version 3 and cA. Old private roots are version 1, which has no way to say that it is a CA;
    // as an anchor that signed itself such a one is taken at its owner's word.
    let old_root = is_anchor && issuer.version != V3 && issuer.is_self_issued();
    if !old_root {
        if issuer.version != V3 {
            return Err(Fault::Version(issuer.version));
        }
        if !issuer.is_ca() {
            return Err(Fault::NotCa);
        }
    }
    // RFC 5280 §6.1.4 (l) and (m): self-issued certificates are not counted.
    if let Some((_, Some(allowed))) = issuer.extensions.basic_constraints
        && usize::try_from(allowed).is_ok_and(|allowed| below > allowed)
    {
        return Err(Fault::PathLength(allowed));
    }
    // RFC 5280 §6.1.4 (n)
    if issuer.extensions.key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(Fault::KeyUsage("keyCertSign"));
    }
    // RFC 5280 §4.1.2.6: a CA has a name.
    if super::directory::is_empty(issuer.subject) {
        return Err(Fault::Malformed("one of its issuers has an empty name"));
    }
    check_common(issuer, purpose, now)
}

/// What holds for every certificate on a path.
fn check_common<'a>(
    certificate: &Certificate<'a>,
    purpose: Purpose,
    now: i64,
) -> Result<(), Fault<'a>> {
    // RFC 5280 §6.1.3 (a)(2), both bounds inclusive (§4.1.2.5)
    let Certificate { not_before, not_after, .. } = *certificate;
    if now > not_after {
        return Err(Fault::Expired { not_after, now });
    }
    if now < not_before {
        return Err(Fault::NotYetValid { not_before, now });
    }
    // RFC 5280 §6.1.4 (o) and §6.1.5 (f)
    if let Some(oid) = certificate.extensions.unknown_critical {
        return Err(Fault::UnknownCriticalExtension(oid));
    }
    if let Some(purposes) = certificate.extensions.extended_key_usage
        && !purposes.allow(purpose)
    {
        return Err(Fault::ExtendedKeyUsage(match purpose {
            Purpose::Server => "serverAuth",
            Purpose::Client => "clientAuth",
        }));
    }
    check_key(certificate.key)
}

/// RFC 9325 §4.5: no RSA below 2048 bits, whoever vouches for it.
pub(super) fn check_key(key: KeyKind) -> Result<(), Fault<'static>> {
    key.weak_bits().map_or(Ok(()), |bits| Err(Fault::WeakKey(bits)))
}

/// RFC 9846 §4.5.1.3: MD5 and SHA-1 prove nothing. An anchor's own signature is not looked at.
pub(super) fn check_algorithm(certificate: &Certificate<'_>) -> Result<(), Fault<'static>> {
    let weak = key::weak_algorithm(certificate.signed.algorithm);
    weak.map_or(Ok(()), |algorithm| Err(Fault::WeakAlgorithm(algorithm)))
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
