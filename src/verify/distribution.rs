//! Distribution points: for which of its certificates a CA's CRL speaks (RFC 5280 §4.2.1.13, §5.2.5, §6.3.3 (b) and (d)).

use super::certificate::Certificate;
use super::der::{self, Der};
use super::directory;
use super::name::GeneralName;

/// Where a certificate says that its CRL is to be found.
pub(super) struct Point {
    /// In a form in which equal names are equal bytes; `None` if it has no name of its own.
    names: Option<Vec<Vec<u8>>>,
    /// The reasons for which the certificate would be listed there.
    reasons: u16,
    /// Whether somebody else's CRL is meant.
    other_issuer: bool,
}

/// What an issuingDistributionPoint limits a CRL to. The default is no limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scope {
    names: Option<Vec<Vec<u8>>>,
    kind: Kind,
    reasons: u16,
}

/// The certificates that a CRL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Any,
    Users,
    Cas,
    Attributes,
}

impl Point {
    /// The distribution points of a certificate. If they do not parse, there is none that any CRL could be for.
    pub(super) fn all_of(certificate: &Certificate<'_>) -> Vec<Self> {
        let value = certificate.extensions.crl_distribution_points;
        value.and_then(|value| Self::parse(value, certificate.issuer)).unwrap_or_default()
    }

    /// RFC 5280 §4.2.1.13: CRLDistributionPoints.
    fn parse(value: &[u8], issuer: &[u8]) -> Option<Vec<Self>> {
        let mut list = Der::new(Der::new(value).only(der::SEQUENCE)?);
        let mut points = Vec::new();
        while !list.is_empty() {
            let mut fields = Der::new(list.expect(der::SEQUENCE)?);
            let names = match fields.optional(der::context_constructed(0))? {
                Some(name) => Some(read_name(name, issuer)?),
                None => None,
            };
            let reasons = match fields.optional(der::context(1))? {
                Some(flags) => read_reasons(flags)?,
                None => ALL_REASONS,
            };
            let other_issuer = fields.optional(der::context_constructed(2))?.is_some();
            if !fields.is_empty() {
                return None;
            }
            points.push(Self { names, reasons, other_issuer });
        }
        Some(points)
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self { names: None, kind: Kind::Any, reasons: ALL_REASONS }
    }
}

impl Scope {
    /// RFC 5280 §5.2.5: the value of an issuingDistributionPoint, in a CRL of `issuer`.
    ///
    /// # Errors
    /// What is wrong, in a few words; also if the CRL is an indirect one.
    pub(super) fn parse(value: &[u8], issuer: &[u8]) -> Result<Self, &'static str> {
        const BAD: &str = "its issuingDistributionPoint does not parse";
        let mut fields = Der::new(Der::new(value).only(der::SEQUENCE).ok_or(BAD)?);
        let names = match fields.optional(der::context_constructed(0)).ok_or(BAD)? {
            Some(name) => Some(read_name(name, issuer).ok_or(BAD)?),
            None => None,
        };
        let users = read_flag(&mut fields, 1).ok_or(BAD)?;
        let cas = read_flag(&mut fields, 2).ok_or(BAD)?;
        let reasons = match fields.optional(der::context(3)).ok_or(BAD)? {
            Some(flags) => read_reasons(flags).ok_or(BAD)?,
            None => ALL_REASONS,
        };
        if read_flag(&mut fields, 4).ok_or(BAD)? {
            return Err("it is an indirect CRL, which is not supported: use its issuer's own");
        }
        let attributes = read_flag(&mut fields, 5).ok_or(BAD)?;
        // "at most one of" them
        let kind = match (users, cas, attributes, fields.is_empty()) {
            (false, false, false, true) => Kind::Any,
            (true, false, false, true) => Kind::Users,
            (false, true, false, true) => Kind::Cas,
            (false, false, true, true) => Kind::Attributes,
            _ => return Err(BAD),
        };
        Ok(Self { names, kind, reasons })
    }

    /// For which reasons this certificate, which has these distribution points, would be listed; 0 if it would not be.
    pub(super) fn reasons(&self, certificate: &Certificate<'_>, points: &[Point]) -> u16 {
        // RFC 5280 §6.3.3 (b)(2)(ii) to (iv)
        let in_scope = match self.kind {
            Kind::Any => true,
            Kind::Users => !certificate.is_ca(),
            Kind::Cas => certificate.is_ca(),
            Kind::Attributes => false,
        };
        if !in_scope {
            return 0;
        }
        let Some(names) = &self.names else { return self.reasons };
        // RFC 5280 §6.3.3, last paragraph: beside its own points, a certificate has one with the name of its issuer.
        if names.contains(&directory_name(certificate.issuer)) {
            return self.reasons;
        }
        // RFC 5280 §6.3.3 (b)(1): a point with a cRLIssuer is for indirect CRLs.
        let own = points.iter().filter(|point| !point.other_issuer);
        // RFC 5280 §6.3.3 (b)(2)(i) and (d)
        let matching = own.filter(|p| p.names.iter().flatten().any(|name| names.contains(name)));
        matching.fold(0, |sum, point| sum | point.reasons & self.reasons)
    }
}

/// RFC 5280 §4.2.1.13: the contents of a DistributionPointName.
fn read_name(contents: &[u8], issuer: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut choice = Der::new(contents);
    let element = choice.next()?;
    let names = match element.tag {
        FULL_NAME => {
            let mut list = Der::new(element.value);
            let mut names = Vec::new();
            while !list.is_empty() {
                let mut same = list;
                let raw = same.next()?.raw;
                names.push(match GeneralName::read(&mut list)? {
                    GeneralName::Directory(name) => directory_name(name),
                    // "The identical encoding MUST be used": no other kind has two forms of the same name.
                    _ => raw.to_vec(),
                });
            }
            names
        }
        // Below the name of the issuer, which is the certificate's as well as the CRL's.
        RELATIVE_NAME => {
            let rdns = Der::new(issuer).only(der::SEQUENCE)?;
            let full = der::sequence(&[rdns, &der::element(der::SET, element.value)].concat());
            directory::rdns(&full)?;
            vec![directory_name(&full)]
        }
        _ => return None,
    };
    (choice.is_empty() && !names.is_empty()).then_some(names)
}

/// A directory name in a form in which equal names are equal bytes, and equal to no name of another kind.
fn directory_name(name: &[u8]) -> Vec<u8> {
    [&[DIRECTORY_NAME], &directory::key(name)[..]].concat()
}

/// A BOOLEAN with DEFAULT FALSE under a tag of its own.
fn read_flag(fields: &mut Der<'_>, number: u8) -> Option<bool> {
    match fields.optional(der::context(number))? {
        None | Some([0]) => Some(false),
        Some([0xff]) => Some(true),
        Some(_) => None,
    }
}

/// RFC 5280 §4.2.1.13: the contents of a ReasonFlags, its bit 0 the highest here.
fn read_reasons(contents: &[u8]) -> Option<u16> {
    let flags = match contents {
        [0] => 0,
        [0..=7, a] => u16::from_be_bytes([*a, 0]),
        [0..=7, a, b] => u16::from_be_bytes([*a, *b]),
        _ => return None,
    };
    Some(flags & ALL_REASONS)
}

/// keyCompromise (1) to aACompromise (8), as [`read_reasons`] has them.
pub(super) const ALL_REASONS: u16 = 0x7f80;

const FULL_NAME: u8 = der::context_constructed(0);
const RELATIVE_NAME: u8 = der::context_constructed(1);
const DIRECTORY_NAME: u8 = der::context_constructed(4);
