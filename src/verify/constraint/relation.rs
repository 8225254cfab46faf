//! How one name stands to the base of one subtree, for each kind of name (RFC 5280 §4.2.1.10).

use super::Base;
use crate::verify::der::{self, Der};
use crate::verify::directory::Rdn;
use crate::verify::name::{GeneralName, is_host};

/// How one name stands to one base.
pub(super) struct Relation {
    /// Everything that the name stands for is inside: what a permitted list asks.
    pub(super) within: bool,
    /// Something that the name stands for is inside: what an excluded list asks. A wildcard tells them apart.
    pub(super) touched: bool,
}

/// `None` if the name is malformed, or of a form that we cannot judge.
pub(super) fn judge(
    base: &Base<'_>,
    name: GeneralName<'_>,
    rdns: Option<&[Rdn]>,
) -> Option<Relation> {
    use GeneralName as G;
    let both = |inside| Some(Relation { within: inside, touched: inside });
    match (base.name, name) {
        (G::Dns(base), G::Dns(name)) => Some(dns(base, name)),
        (G::Ip(base), G::Ip(ip)) => both(address(base, ip)?),
        (G::Email(base), G::Email(name)) => both(email(base, name)?),
        (G::Uri(base), G::Uri(uri)) => both(uri_host(base, uri)?),
        (G::Directory(_), G::Directory(_)) => both(rdns?.starts_with(&base.rdns)),
        _ => None,
    }
}

/// Whether a base concerns names of this form.
pub(super) fn applies(base: GeneralName<'_>, name: GeneralName<'_>) -> bool {
    use GeneralName as G;
    match (base, name) {
        (G::Dns(_), G::Dns(_))
        | (G::Email(_), G::Email(_))
        | (G::Uri(_), G::Uri(_))
        | (G::Ip(_), G::Ip(_))
        | (G::Directory(_), G::Directory(_)) => true,
        (G::Other(a, _), G::Other(b, _)) => a == b,
        // RFC 9598 §5: rfc822Name constraints are meant for this otherName too. We do not judge it, so it is refused.
        (G::Email(_), G::Other(0, value)) => {
            Der::new(value).expect(der::OID) == Some(SMTP_UTF8_MAILBOX)
        }
        _ => false,
    }
}

/// Whether the base of a subtree has a form that RFC 5280 §4.2.1.10 gives a meaning to. A form that we do not judge is
/// in order here: it refuses when a name of that form appears.
pub(super) fn is_base(base: GeneralName<'_>) -> bool {
    match base {
        // The leading period is from URI constraints, but OpenSSL's, Go's and rustls' users have it in DNS constraints.
        GeneralName::Dns(b"") => true,
        GeneralName::Dns(b) | GeneralName::Uri(b) => is_host(b.strip_prefix(b".").unwrap_or(b)),
        GeneralName::Email(b) if b.contains(&b'@') => mailbox(b).is_some(),
        GeneralName::Email(b) => is_host(b.strip_prefix(b".").unwrap_or(b)),
        GeneralName::Ip(b) => match b.len() {
            8 | 32 => {
                // "in the style of RFC 4632 (CIDR)": ones, then zeros.
                let mask = b.get(b.len() / 2..).unwrap_or_default();
                let after = mask.iter().skip_while(|m| **m == 0xff);
                let ragged = |(i, m): (usize, &u8)| match i {
                    0 => m.leading_ones() + m.trailing_zeros() < 8,
                    _ => *m != 0,
                };
                !after.enumerate().any(ragged)
            }
            _ => false,
        },
        GeneralName::Directory(_) | GeneralName::Other(..) => true,
    }
}

/// A DNS base means the name itself and everything under it (RFC 5280 §4.2.1.10). With a leading period it permits only
/// what is under it, and excludes both: the doubtful name is never allowed. `pattern` is a host name, perhaps with a
/// wildcard in front.
fn dns(base: &[u8], pattern: &[u8]) -> Relation {
    let (wildcard, name) = match pattern.strip_prefix(b"*.") {
        Some(parent) => (true, parent),
        None => (false, pattern),
    };
    if base.is_empty() {
        return Relation { within: true, touched: true };
    }
    let (only_under, base) = match base.strip_prefix(b".") {
        Some(base) => (true, base),
        None => (false, base),
    };
    let equal = name.eq_ignore_ascii_case(base);
    let under = is_under(name, base);
    // `*.example.com` stands for `host.example.com`, so excluding that host excludes the wildcard.
    let covers_base = wildcard
        && is_under(base, name)
        && base
            .iter()
            .position(|b| *b == b'.')
            .is_some_and(|dot| base.len() - dot - 1 == name.len());
    Relation {
        within: under || (equal && (wildcard || !only_under)),
        touched: under || equal || covers_base,
    }
}

/// Whether `name` has at least one label more than `parent`, and ends with it.
fn is_under(name: &[u8], parent: &[u8]) -> bool {
    let Some(cut) = name.len().checked_sub(parent.len()) else { return false };
    let (head, tail) = name.split_at(cut);
    head.ends_with(b".") && tail.eq_ignore_ascii_case(parent)
}

fn address(base: &[u8], ip: &[u8]) -> Option<bool> {
    if !matches!(ip.len(), 4 | 16) {
        return None;
    }
    let (network, mask) = base.split_at(base.len() / 2);
    let same = network.iter().zip(mask).zip(ip).all(|((n, m), i)| n & m == i & m);
    Some(network.len() == ip.len() && same)
}

/// RFC 5280 §4.2.1.10: a mailbox, all mailboxes on a host, or (leading period) all mailboxes on any host in a domain.
/// The local part is compared exactly, and an asterisk in it is an asterisk.
fn email(base: &[u8], name: &[u8]) -> Option<bool> {
    let (local, host) = mailbox(name)?;
    if base.contains(&b'@') {
        let (base_local, base_host) = mailbox(base)?;
        return Some(local == base_local && host.eq_ignore_ascii_case(base_host));
    }
    Some(match base.strip_prefix(b".") {
        Some(domain) => is_under(host, domain),
        None => host.eq_ignore_ascii_case(base),
    })
}

/// Local part and host of an address with exactly one `@`.
fn mailbox(address: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = address.iter().position(|b| *b == b'@')?;
    let (local, host) = (address.get(..at)?, address.get(at + 1..)?);
    let graphic = |b: &u8| b.is_ascii_graphic();
    (!local.is_empty() && local.iter().all(graphic) && is_host(host)).then_some((local, host))
}

/// RFC 5280 §4.2.1.10: the host, or (leading period) any host in the domain but not the domain itself. A URI without a
/// host name cannot be judged.
fn uri_host(base: &[u8], uri: &[u8]) -> Option<bool> {
    let uri = std::str::from_utf8(uri).ok()?;
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    if !is_host(host.as_bytes()) || host.parse::<std::net::Ipv4Addr>().is_ok() {
        return None;
    }
    Some(match base.strip_prefix(b".") {
        Some(domain) => is_under(host.as_bytes(), domain),
        None => host.as_bytes().eq_ignore_ascii_case(base),
    })
}

/// id-on-SmtpUTF8Mailbox (RFC 9598 §3).
pub(super) const SMTP_UTF8_MAILBOX: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];
