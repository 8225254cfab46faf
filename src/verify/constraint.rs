//! Name constraints: which names a CA may vouch for (RFC 5280 §4.2.1.10 and §6.1.4 (g)).
//!
//! A permitted list must allow every name of its form below it, an excluded list must not touch one. Several constrained
//! CAs on one path are applied one after the other, which is the intersection that the RFC describes. A form that cannot
//! be judged is refused where a name of that form appears, and never ignored.

mod relation;

use self::relation::{applies, is_base, judge};
use super::certificate::Certificate;
use super::der::{self, Der};
use super::directory::{self, Rdn};
use super::name::{GeneralName, is_host};
use crate::error::Limit;
use crate::limits::Budget;

/// Why a certificate's names are not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal<'a> {
    /// This name is excluded, is not permitted, or cannot be judged.
    Name(GeneralName<'a>),
    Exhausted(Limit),
}

impl From<Limit> for Refusal<'_> {
    fn from(e: Limit) -> Self {
        Self::Exhausted(e)
    }
}

/// Whether the contents of a NameConstraints SEQUENCE can be applied: at least one list, none empty, no minimum or
/// maximum (RFC 5280 §4.2.1.10), and every base well-formed for its kind.
pub(super) fn is_well_formed(contents: &[u8]) -> bool {
    Subtrees::parse(contents).is_some()
}

/// All names of one certificate that constraints apply to, prepared for comparison.
pub(super) struct Names<'a> {
    /// Each with the parts of a directory name, if it is one that parses.
    names: Vec<(GeneralName<'a>, Option<Vec<Rdn>>)>,
}

impl<'a> Names<'a> {
    /// The subject, the subjectAltName, and, only where there is no subjectAltName, the subject's e-mail addresses.
    pub(super) fn of(certificate: &Certificate<'a>) -> Self {
        let mut names = Vec::new();
        if !directory::is_empty(certificate.subject) {
            names.push(GeneralName::Directory(certificate.subject));
        }
        match certificate.extensions.subject_alt_name {
            Some(san) => names.extend(san.iter()),
            None => {
                let addresses = directory::email_addresses(certificate.subject);
                names.extend(addresses.into_iter().map(GeneralName::Email));
            }
        }
        let names = names.into_iter().map(|name| match name {
            GeneralName::Directory(d) => (name, directory::rdns(d)),
            _ => (name, None),
        });
        Self { names: names.collect() }
    }
}

/// RFC 5280 §6.1.3 (b) and (c): the names of each certificate on a path, the leaf first, against the constraints of every
/// CA above it. `anchor` is the name and the constraints of whom it ends below. Self-issued certificates are exempt, unless
/// they are the leaf.
///
/// # Errors
/// If the budget has run out.
pub(super) fn check<'a>(
    path: &[&Certificate<'a>],
    anchor: (&'a [u8], Option<&'a [u8]>),
    budget: &mut Budget,
) -> Result<Option<Refused<'a>>, Limit> {
    let cas = path.iter().map(|c| (c.subject, c.extensions.name_constraints)).skip(1);
    for (i, (issuer, constraints)) in cas.chain([anchor]).enumerate() {
        let Some(constraints) = constraints else { continue };
        // It parsed once, with the certificate; a second opinion could only be a refusal.
        let Some(subtrees) = Subtrees::parse(constraints) else {
            return Ok(Some(Refused { place: i, issuer, name: None }));
        };
        // CA number i is on place i + 1 of the path; everything before it is subject to it.
        for (place, certificate) in path.iter().enumerate().take(i + 1) {
            if place > 0 && certificate.is_self_issued() {
                continue;
            }
            match subtrees.allow(&Names::of(certificate), budget) {
                Ok(()) => {}
                Err(Refusal::Exhausted(limit)) => return Err(limit),
                Err(Refusal::Name(name)) => {
                    return Ok(Some(Refused { place, issuer, name: Some(name) }));
                }
            }
        }
    }
    Ok(None)
}

/// A certificate whose names are not allowed.
pub(super) struct Refused<'a> {
    /// Where it is on the path.
    pub(super) place: usize,
    /// The CA that does not allow it.
    pub(super) issuer: &'a [u8],
    /// The name that is excluded, not permitted, or cannot be judged; `None` if the constraints cannot be applied.
    pub(super) name: Option<GeneralName<'a>>,
}

/// A parsed NameConstraints.
pub(super) struct Subtrees<'a> {
    permitted: Vec<Base<'a>>,
    excluded: Vec<Base<'a>>,
}

/// The base of a GeneralSubtree.
struct Base<'a> {
    name: GeneralName<'a>,
    /// Of a directory name.
    rdns: Vec<Rdn>,
}

impl<'a> Subtrees<'a> {
    /// Reads the contents of a NameConstraints SEQUENCE. `None` if they cannot be applied.
    pub(super) fn parse(contents: &'a [u8]) -> Option<Self> {
        let mut fields = Der::new(contents);
        let permitted = fields.optional(der::context_constructed(0))?;
        let excluded = fields.optional(der::context_constructed(1))?;
        let some = permitted.is_some() || excluded.is_some();
        if !some || !fields.is_empty() || !der::is_strict(contents) {
            return None;
        }
        let list = |list: Option<&'a [u8]>| list.map_or(Some(Vec::new()), Base::read_list);
        Some(Self { permitted: list(permitted)?, excluded: list(excluded)? })
    }

    /// Applies these constraints to the names of a certificate below.
    pub(super) fn allow<'n>(
        &self,
        names: &Names<'n>,
        budget: &mut Budget,
    ) -> Result<(), Refusal<'n>> {
        for (name, rdns) in &names.names {
            let refused = || Refusal::Name(*name);
            let same_form = |base: &&Base<'_>| applies(base.name, *name);
            // Looked at once and not for every base: a hostile chain has thousands of both.
            let sound = match name {
                GeneralName::Dns(name) => is_host(name.strip_prefix(b"*.").unwrap_or(name)),
                _ => true,
            };
            let judge = |base: &Base<'_>| {
                judge(base, *name, rdns.as_deref()).filter(|_| sound).ok_or_else(refused)
            };
            let mut constrained = false;
            let mut allowed = false;
            for base in self.permitted.iter().filter(same_form) {
                budget.comparison(cost(rdns.as_deref()))?;
                constrained = true;
                allowed |= judge(base)?.within;
            }
            if constrained && !allowed {
                return Err(refused());
            }
            for base in self.excluded.iter().filter(same_form) {
                budget.comparison(cost(rdns.as_deref()))?;
                if judge(base)?.touched {
                    return Err(refused());
                }
            }
            // Walking over bases of another form is work too.
            budget.comparison((self.permitted.len() + self.excluded.len()) / 8)?;
        }
        Ok(())
    }
}

impl<'a> Base<'a> {
    fn read_list(list: &'a [u8]) -> Option<Vec<Self>> {
        let mut list = Der::new(list);
        let mut out = Vec::new();
        while !list.is_empty() {
            let mut subtree = Der::new(list.expect(der::SEQUENCE)?);
            let name = GeneralName::read(&mut subtree)?;
            // minimum DEFAULT 0 is sometimes written out; any other value, and maximum, mean nothing in RFC 5280.
            let minimum = subtree.optional(der::context(0))?;
            if !matches!(minimum, None | Some([0])) || !subtree.is_empty() {
                return None;
            }
            let rdns = match name {
                GeneralName::Directory(d) => directory::rdns(d)?,
                _ => Vec::new(),
            };
            is_base(name).then(|| out.push(Self { name, rdns }))?;
        }
        (!out.is_empty()).then_some(out)
    }
}

/// Comparing a long directory name costs more.
fn cost(rdns: Option<&[Rdn]>) -> usize {
    1 + rdns.map_or(0, <[Rdn]>::len) / 8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::relation::SMTP_UTF8_MAILBOX;
    use super::*;

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, u8::try_from(value.len()).unwrap()];
        out.extend(value);
        out
    }

    /// The contents of a NameConstraints with one base, permitted or excluded.
    fn contents(permitted: bool, tag: u8, base: &[u8]) -> Vec<u8> {
        tlv(if permitted { 0xa0 } else { 0xa1 }, &tlv(0x30, &tlv(tag, base)))
    }

    /// Whether the one base, as permitted and as excluded, allows the one name.
    fn allows(tag: u8, base: &[u8], name: &[u8]) -> (bool, bool) {
        let name_der = tlv(tag, name);
        let name = GeneralName::read(&mut Der::new(&name_der)).unwrap();
        let rdns = match name {
            GeneralName::Directory(d) => directory::rdns(d),
            _ => None,
        };
        let names = Names { names: vec![(name, rdns)] };
        let allowed = |permitted| {
            let contents = contents(permitted, tag, base);
            let subtrees = Subtrees::parse(&contents).unwrap();
            subtrees.allow(&names, &mut Budget::default()).is_ok()
        };
        (allowed(true), allowed(false))
    }

    /// Inside: permitted and not excludable.
    const IN: (bool, bool) = (true, false);
    const OUT: (bool, bool) = (false, true);
    /// Neither: partly inside, or impossible to judge.
    const REFUSED: (bool, bool) = (false, false);

    /// Pitfall 41: case, wildcards, dots.
    #[test]
    fn pitfall_41_case_wildcards_and_dots_of_dns_bases() {
        let cases = [
            ("example.com", "example.com", IN),
            ("example.com", "EXAMPLE.COM", IN),
            ("Example.com", "a.b.example.com", IN),
            ("", "example.com", IN),
            ("example.com", "badexample.com", OUT),
            ("example.com", "example.org", OUT),
            ("example.com", "com", OUT),
            ("a.example.com", "example.com", OUT),
            ("example.com", "*.example.com", IN),
            ("a.example.com", "*.example.com", REFUSED),
            ("b.a.example.com", "*.example.com", OUT),
            ("example.com", "*.com", REFUSED),
            ("example.com", "*.org", OUT),
            (".example.com", "a.example.com", IN),
            (".example.com", "*.example.com", IN),
            (".example.com", "example.com", REFUSED),
            ("example.com", ".example.com", REFUSED),
            ("example.com", "example.com.", REFUSED),
            ("example.com", "a\0.example.com", REFUSED),
            ("example.com", "*", REFUSED),
            ("example.com", "", REFUSED),
        ];
        for (base, name, expected) in cases {
            assert_eq!(allows(0x82, base.as_bytes(), name.as_bytes()), expected, "{base} {name}");
        }
    }

    #[test]
    fn addresses() {
        let net = [192, 0, 2, 0, 255, 255, 255, 0];
        assert_eq!(allows(0x87, &net, &[192, 0, 2, 200]), IN);
        assert_eq!(allows(0x87, &net, &[192, 0, 3, 1]), OUT);
        assert_eq!(allows(0x87, &net, &[0; 16]), OUT);
        assert_eq!(allows(0x87, &net, &net), REFUSED);
        // An address below the network's own host bits: the mask decides.
        assert_eq!(allows(0x87, &[192, 0, 2, 7, 255, 255, 255, 0], &[192, 0, 2, 1]), IN);
        assert_eq!(allows(0x87, &[0; 32], &[7; 16]), IN);
    }

    #[test]
    fn mailboxes() {
        let cases = [
            ("a@example.com", "a@EXAMPLE.com", IN),
            ("a@example.com", "A@example.com", OUT),
            ("*@example.com", "*@example.com", IN),
            ("*@example.com", "a@example.com", OUT),
            ("example.com", "a@example.com", IN),
            ("example.com", "a@sub.example.com", OUT),
            (".example.com", "a@sub.example.com", IN),
            (".example.com", "a@example.com", OUT),
            ("example.com", "a@b@example.com", REFUSED),
            ("example.com", "example.com", REFUSED),
            ("example.com", "@example.com", REFUSED),
        ];
        for (base, name, expected) in cases {
            assert_eq!(allows(0x81, base.as_bytes(), name.as_bytes()), expected, "{base} {name}");
        }
    }

    #[test]
    fn uris() {
        let cases = [
            ("example.com", "https://example.com", IN),
            ("example.com", "spiffe://EXAMPLE.com/path", IN),
            ("example.com", "https://u:p@example.com:443/?x#y", IN),
            ("example.com", "https://sub.example.com/", OUT),
            (".example.com", "https://sub.example.com/", IN),
            (".example.com", "https://example.com/", OUT),
            ("example.com", "https://evil.org/@example.com", OUT),
            ("example.com", "https://evil.org?@example.com", OUT),
            ("example.com", "https://192.0.2.1/", REFUSED),
            ("example.com", "https://[::1]/", REFUSED),
            ("example.com", "urn:example.com", REFUSED),
            ("example.com", "mailto:a@example.com", REFUSED),
        ];
        for (base, name, expected) in cases {
            assert_eq!(allows(0x86, base.as_bytes(), name.as_bytes()), expected, "{base} {name}");
        }
    }

    #[test]
    fn directory_names() {
        let rdn = |tag, text: &str| {
            let pair = [tlv(6, &[0x55, 4, 10]), tlv(tag, text.as_bytes())].concat();
            tlv(0x31, &tlv(0x30, &pair))
        };
        let name = |parts: &[Vec<u8>]| tlv(0x30, &parts.concat());
        let base = name(&[rdn(19, "Acme")]);
        assert_eq!(allows(0xa4, &base, &name(&[rdn(12, "ACME"), rdn(12, "x")])), IN);
        assert_eq!(allows(0xa4, &base, &name(&[rdn(20, "acme ")])), IN);
        assert_eq!(allows(0xa4, &base, &name(&[rdn(12, "x"), rdn(12, "Acme")])), OUT);
        assert_eq!(allows(0xa4, &base, &name(&[])), OUT);
        // A name that does not parse is not outside of what is excluded.
        assert_eq!(allows(0xa4, &base, &tlv(0x30, &tlv(0x31, &[]))), REFUSED);
    }

    #[test]
    fn forms_that_cannot_be_judged() {
        assert_eq!(allows(0x88, &[0x2a], &[0x2b]), REFUSED);
        // Another form is not concerned, but for the mailboxes that hide in otherName.
        let allow = |base: (u8, &[u8]), name: (u8, &[u8])| {
            let name_der = tlv(name.0, name.1);
            let name = GeneralName::read(&mut Der::new(&name_der)).unwrap();
            let contents = contents(false, base.0, base.1);
            let names = Names { names: vec![(name, None)] };
            Subtrees::parse(&contents).unwrap().allow(&names, &mut Budget::default()).is_ok()
        };
        assert!(allow((0x88, &[0x2a]), (0x82, b"a.org")));
        assert!(allow((0x82, b"a.org"), (0x86, b"https://a.org")));
        let utf8_mailbox = tlv(6, SMTP_UTF8_MAILBOX);
        assert!(!allow((0x81, b"a.org"), (0xa0, &utf8_mailbox)));
        assert!(allow((0x81, b"a.org"), (0xa0, &tlv(6, &[0x2a]))));
    }

    #[test]
    fn well_formed_or_not() {
        for (tag, base) in [
            (0x82, &b"*.example.com"[..]),
            (0x82, b"."),
            (0x82, b"a..b"),
            (0x82, b"example.com."),
            (0x86, b"https://example.com"),
            (0x86, b""),
            (0x81, b"a@b@c"),
            (0x81, b""),
            (0x87, &[1, 2, 3, 4]),
            (0x87, &[1, 2, 3, 4, 255, 0, 255, 0]),
            (0x87, &[1, 2, 3, 4, 0b1010_0000, 0, 0, 0]),
            (0x87, &[0; 16]),
        ] {
            assert!(!is_well_formed(&contents(true, tag, base)), "{tag} {base:?}");
        }
        for mask in [[255, 255, 255, 255], [255, 254, 0, 0], [128, 0, 0, 0], [0; 4]] {
            let base = [[1, 2, 3, 4], mask].concat();
            assert!(is_well_formed(&contents(true, 0x87, &base)), "{mask:?}");
        }
        let dns = tlv(0x82, b"a.org");
        let with = |rest: &[u8]| tlv(0xa0, &tlv(0x30, &[&dns[..], rest].concat()));
        assert!(is_well_formed(&with(&[])));
        assert!(is_well_formed(&with(&[0x80, 1, 0])));
        assert!(!is_well_formed(&with(&[0x80, 1, 1])), "minimum");
        assert!(!is_well_formed(&with(&[0x81, 1, 0])), "maximum");
        assert!(!is_well_formed(&[]), "neither list");
        assert!(!is_well_formed(&tlv(0xa0, &[])), "empty list");
    }
}
