//! What [`Profile::Strict`](super::Profile::Strict) asks on top: the rules for issuers of RFC 5280, and those of the
//! CA/Browser Forum's Baseline Requirements ("BR") for certificates of TLS servers.
//!
//! It reads certificates a second time, so that those who do not ask for it pay nothing. Two rules are left out. Which
//! names are public suffixes is a list that nobody has here. And a common name that is an ordinary host name need not be
//! in the subjectAltName: since nobody looks at it, it does no harm, and many have one; what it must not be is another
//! spelling of a name.

use std::net::IpAddr;

use super::cause::Fault;
use super::certificate::{Certificate, V3};
use super::der::{self, Der};
use super::directory;
use super::key::{KeyKind, rsa_numbers};
use super::name::GeneralName;

/// The rules for the peer's own certificate.
pub(super) fn check_leaf(leaf: &Certificate<'_>) -> Result<(), Fault<'static>> {
    judge(leaf, |it| {
        it.of_every_subordinate()?;
        rule(!leaf.is_ca(), "a peer's own certificate is no CA's (BR 7.1.2.7.8)")?;
        let may_certify = leaf.extensions.key_usage.is_some_and(|usage| usage.key_cert_sign());
        rule(!may_certify, "only a CA's keyUsage has keyCertSign (RFC 5280 §4.2.1.9)")?;
        let purposes = leaf.extensions.extended_key_usage;
        rule(purposes.is_some(), "there is an extendedKeyUsage (BR 7.1.2.7.6)")?;
        rule(purposes.is_some_and(|p| !p.any), "extendedKeyUsage is not any (BR 7.1.2.7.10)")?;
        let critical = it.is_critical(EXTENDED_KEY_USAGE);
        rule(critical != Some(true), "extendedKeyUsage is not critical (BR 7.1.2.7.6)")?;
        // RFC 5280 §4.2.1.6, BR 7.1.2.7.12
        let critical = it.is_critical(SUBJECT_ALT_NAME);
        let expected = Some(directory::is_empty(leaf.subject));
        rule(
            critical == expected,
            "subjectAltName is there, and critical if the subject is empty",
        )?;
        it.names()?;
        it.common_names()
    })
}

/// The rules for an issuer: an intermediate, or an anchor.
pub(super) fn check_issuer(
    issuer: &Certificate<'_>,
    is_anchor: bool,
) -> Result<(), Fault<'static>> {
    judge(issuer, |it| {
        if is_anchor {
            it.of_every_certificate()?;
        } else {
            it.of_every_subordinate()?;
        }
        let extensions = &issuer.extensions;
        rule(issuer.version == V3, "certificates are of version 3 (BR 7.1.1)")?;
        let critical = it.is_critical(BASIC_CONSTRAINTS);
        rule(critical == Some(true), "a CA's basicConstraints are critical (RFC 5280 §4.2.1.9)")?;
        let id = extensions.subject_key_id;
        rule(id.is_some(), "a CA has a subjectKeyIdentifier (RFC 5280 §4.2.1.2)")?;
        // policyConstraints that are not critical are refused whoever asks.
        let critical = it.is_critical(INHIBIT_ANY_POLICY);
        rule(critical != Some(false), "inhibitAnyPolicy is critical (RFC 5280 §4.2.1.14)")?;
        it.name_constraints()?;
        if is_anchor && issuer.is_self_issued() {
            rule(extensions.extended_key_usage.is_none(), "a root has no EKU (BR 7.1.2.1.2)")?;
            if let Some(authority) = it.authority_key_id()? {
                let same = Some(authority) == id;
                rule(same, "a root's key identifiers are the same (BR 7.1.2.1.3)")?;
            }
        }
        Ok(())
    })
}

fn judge<'a>(
    certificate: &Certificate<'a>,
    rules: impl FnOnce(&Reading<'_, 'a>) -> Result<(), &'static str>,
) -> Result<(), Fault<'static>> {
    let verdict = match Reading::new(certificate) {
        Some(reading) => rules(&reading),
        None => Err("certificates are DER"),
    };
    verdict.map_err(Fault::Profile)
}

/// A rule as a certificate that keeps it would have it.
fn rule(holds: bool, rule: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(rule) }
}

/// The fields that only this profile looks at.
struct Reading<'r, 'a> {
    certificate: &'r Certificate<'a>,
    /// The contents of the INTEGER.
    serial: &'a [u8],
    /// notBefore and notAfter.
    validity: [der::Element<'a>; 2],
    has_unique_ids: bool,
    /// Object identifier, whether it is critical, and value.
    extensions: Vec<(&'a [u8], bool, &'a [u8])>,
}

impl<'r, 'a> Reading<'r, 'a> {
    fn new(certificate: &'r Certificate<'a>) -> Option<Self> {
        let mut fields = Der::new(Der::new(certificate.signed.message).only(der::SEQUENCE)?);
        fields.optional(der::context_constructed(0))?;
        let serial = fields.expect(der::INTEGER)?;
        fields.expect(der::SEQUENCE)?; // the algorithm
        fields.expect(der::SEQUENCE)?; // the issuer
        let mut validity = Der::new(fields.expect(der::SEQUENCE)?);
        let validity = [validity.next()?, validity.next()?];
        fields.expect(der::SEQUENCE)?; // the subject
        fields.expect(der::SEQUENCE)?; // the key
        let issuer_id = fields.optional(der::context(1))?;
        let subject_id = fields.optional(der::context(2))?;
        let has_unique_ids = issuer_id.is_some() || subject_id.is_some();
        let mut extensions = Vec::new();
        if let Some(list) = fields.optional(der::context_constructed(3))? {
            let mut list = Der::new(Der::new(list).only(der::SEQUENCE)?);
            while !list.is_empty() {
                let mut extension = Der::new(list.expect(der::SEQUENCE)?);
                let oid = extension.expect(der::OID)?;
                // X.690 §11.5: what is so by default is not said.
                let critical = match extension.optional(der::BOOLEAN)? {
                    None => false,
                    Some([0xff]) => true,
                    Some(_) => return None,
                };
                extensions.push((oid, critical, extension.only(der::OCTET_STRING)?));
            }
        }
        Some(Self { certificate, serial, validity, has_unique_ids, extensions })
    }

    fn extension(&self, oid: &[u8]) -> Option<(bool, &'a [u8])> {
        let mut extensions = self.extensions.iter();
        extensions.find(|(this, ..)| *this == oid).map(|(_, critical, value)| (*critical, *value))
    }

    /// Whether the extension is critical; `None` if there is none.
    fn is_critical(&self, oid: &[u8]) -> Option<bool> {
        self.extension(oid).map(|(critical, _)| critical)
    }

    fn of_every_certificate(&self) -> Result<(), &'static str> {
        for time in self.validity {
            let year = der::time(time).map(|seconds| seconds >= YEAR_2050);
            let expected = if year == Some(true) { der::GENERALIZED_TIME } else { der::UTC_TIME };
            rule(time.tag == expected, "times are UTCTime through 2049 (RFC 5280 §4.1.2.5)")?;
        }
        rule(!self.has_unique_ids, "there are no unique identifiers (RFC 5280 §4.1.2.8)")?;
        match self.certificate.key {
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => Ok(()),
            KeyKind::Rsa(bits) => {
                let whole = bits.is_multiple_of(8);
                rule(whole, "the bits of an RSA modulus are a multiple of 8 (BR 6.1.5)")?;
                // An even exponent is none, and 1 is no encryption.
                let exponent = rsa_numbers(self.certificate.spki).map(|(_, exponent)| exponent);
                let sound = exponent.is_some_and(|e| {
                    !matches!(e, [1] | [0x80..=0xff, ..])
                        && e.last().is_some_and(|low| low & 1 == 1)
                });
                rule(sound, "an RSA exponent is odd and at least 3 (BR 6.1.6)")
            }
            _ => Err("keys are RSA or on P-256, P-384 or P-521 (BR 6.1.5)"),
        }
    }

    /// What the default profile bears (see `extension`), though DER has one encoding for one value.
    fn encodings(&self) -> Result<(), &'static str> {
        if let Some((_, value)) = self.extension(BASIC_CONSTRAINTS) {
            let fields = Der::new(value).only(der::SEQUENCE);
            let ca = fields.and_then(|fields| Der::new(fields).optional(der::BOOLEAN));
            rule(ca != Some(Some(&[0])), "basicConstraints do not say FALSE (X.690 §11.5)")?;
        }
        if let Some((_, value)) = self.extension(KEY_USAGE) {
            let bits = Der::new(value).only(der::BIT_STRING).unwrap_or_default();
            let short =
                matches!(bits, [unused, .., last] if last.trailing_zeros() == u32::from(*unused));
            rule(short, "keyUsage ends with a bit that is set (X.690 §11.2.2)")?;
        }
        Ok(())
    }

    /// What is asked of whatever has an issuer. Roots of the last century have the serial number zero, and two that are
    /// still trusted have zero bits at the end of keyUsage.
    fn of_every_subordinate(&self) -> Result<(), &'static str> {
        self.of_every_certificate()?;
        self.encodings()?;
        let positive = !matches!(self.serial, [0] | [0x80..=0xff, ..]);
        rule(positive, "serial numbers are positive (RFC 5280 §4.1.2.2)")?;
        rule(self.serial.len() <= 20, "serial numbers have 20 octets (RFC 5280 §4.1.2.2)")?;
        let id = self.authority_key_id()?;
        let is_there = id.is_some() || self.certificate.is_self_issued();
        rule(is_there, "there is an authorityKeyIdentifier (RFC 5280 §4.2.1.1)")
    }

    /// BR 7.1.2.11.1: the keyIdentifier, if there is the extension, and nothing else in it.
    fn authority_key_id(&self) -> Result<Option<&'a [u8]>, &'static str> {
        const RULE: &str = "authorityKeyIdentifier has a keyIdentifier alone (BR 7.1.2.11.1)";
        let Some((_, value)) = self.extension(AUTHORITY_KEY_ID) else { return Ok(None) };
        let id = Der::new(value).only(der::SEQUENCE).and_then(|v| Der::new(v).only(KEY_ID));
        id.map(Some).ok_or(RULE)
    }

    /// RFC 5280 §4.2.1.10: a leading period is for URIs.
    fn name_constraints(&self) -> Result<(), &'static str> {
        let contents = self.certificate.extensions.name_constraints.unwrap_or_default();
        let mut lists = Der::new(contents);
        while let Some(list) = lists.next() {
            let mut list = Der::new(list.value);
            while let Some(subtree) = list.next() {
                let base = GeneralName::read(&mut Der::new(subtree.value));
                let odd = matches!(base, Some(GeneralName::Dns([b'.', ..])));
                rule(!odd, "no DNS constraint has a leading period (RFC 5280 §4.2.1.10)")?;
            }
        }
        Ok(())
    }

    /// RFC 5280 §4.2.1.6: what is in the subjectAltName is well-formed.
    fn names(&self) -> Result<(), &'static str> {
        for name in self.certificate.extensions.subject_alt_name.iter().flat_map(|n| n.iter()) {
            match name {
                GeneralName::Dns(name) => {
                    let (wildcard, host) = match name.strip_prefix(b"*.") {
                        Some(parent) => (true, parent),
                        None => (false, name),
                    };
                    rule(
                        is_ldh(host),
                        "DNS names are letters, digits and hyphens (RFC 5280 §4.2.1.6)",
                    )?;
                    let narrow = !wildcard || host.contains(&b'.');
                    rule(narrow, "two labels follow a wildcard (BR 3.2.2.6)")?;
                }
                GeneralName::Ip(octets) => {
                    rule(matches!(octets.len(), 4 | 16), "addresses have 4 or 16 octets")?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// BR 7.1.4.3: a common name that is a name of the subjectAltName is a copy of it. See the module's documentation for
    /// what is left of this here.
    fn common_names(&self) -> Result<(), &'static str> {
        const RULE: &str = "a common name is a copy of an entry of subjectAltName (BR 7.1.4.3)";
        let names = self.certificate.extensions.subject_alt_name;
        let names = || names.iter().flat_map(|names| names.iter());
        for common in directory::common_names(self.certificate.subject) {
            if names().any(|name| matches!(name, GeneralName::Dns(dns) if dns == common)) {
                continue;
            }
            let Ok(text) = std::str::from_utf8(common) else { return Err(RULE) };
            if looks_like_an_address(text) {
                // RFC 5952 §4 has one spelling for one address, and so have four decimal numbers.
                let address = text.parse::<IpAddr>().ok().filter(|ip| ip.to_string() == text);
                let octets = address.map(|ip| match ip {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                });
                let present = octets.is_some_and(|octets| {
                    names().any(|name| matches!(name, GeneralName::Ip(ip) if ip == octets))
                });
                rule(present, RULE)?;
                continue;
            }
            let other_case = names().any(
                |name| matches!(name, GeneralName::Dns(dns) if dns.eq_ignore_ascii_case(common)),
            );
            let host_like = text.contains('.') && !text.contains(' ');
            let mut labels = text.split('.');
            let international = !text.is_ascii() || labels.any(|l| l.starts_with("xn--"));
            rule(!(other_case || host_like && international), RULE)?;
        }
        Ok(())
    }
}

/// RFC 5280 §4.2.1.6: the preferred name syntax of RFC 1034 §3.5, with the relaxation of RFC 1123 §2.1.
fn is_ldh(name: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        let ldh = label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        ldh && !label.starts_with(b"-") && !label.ends_with(b"-")
    };
    super::name::is_host(name) && name.split(|b| *b == b'.').all(is_label)
}

/// Whether somebody might take this for an IP address, however it is spelt: with colons, or as numbers alone, which may
/// be octal or hexadecimal.
fn looks_like_an_address(text: &str) -> bool {
    let is_number = |part: &str| match part.strip_prefix("0x").or(part.strip_prefix("0X")) {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()),
    };
    let is_v6 = || text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
    let is_v4 = text.split('.').count() == 4 || text.starts_with("0x");
    (text.contains(':') && is_v6()) || (is_v4 && text.split('.').all(is_number))
}

/// 2050-01-01, in seconds since 1970.
const YEAR_2050: i64 = 2_524_608_000;
/// keyIdentifier of AuthorityKeyIdentifier.
const KEY_ID: u8 = der::context(0);
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
