//! Names: what a certificate is for, and whether that is whom we wanted (RFC 9525, RFC 5280 §4.2.1.6).
//!
//! Only subjectAltName counts; the common name is never looked at (RFC 9525 §2). There is no public suffix list here,
//! so the rule that keeps `*.com` out is that at least two labels must follow a wildcard.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use pki_types::{IpAddr, ServerName};

use super::der::{self, Der};
use super::directory;

/// A GeneralName (RFC 5280 §4.2.1.6), borrowed. The forms that we know are told apart; their contents are not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GeneralName<'a> {
    Dns(&'a [u8]),
    Email(&'a [u8]),
    Uri(&'a [u8]),
    /// 4 or 16 bytes in a subjectAltName, 8 or 32 in nameConstraints.
    Ip(&'a [u8]),
    /// A DER Name with its tag.
    Directory(&'a [u8]),
    /// The form's number, and its contents: 0 otherName, 3 x400Address, 5 ediPartyName, 8 registeredID.
    Other(u8, &'a [u8]),
}

impl<'a> GeneralName<'a> {
    pub(super) fn read(der: &mut Der<'a>) -> Option<Self> {
        let element = der.next()?;
        Some(match element.tag {
            0x81 => Self::Email(element.value),
            0x82 => Self::Dns(element.value),
            0x86 => Self::Uri(element.value),
            0x87 => Self::Ip(element.value),
            0xa4 => {
                Der::new(element.value).only(der::SEQUENCE)?;
                Self::Directory(element.value)
            }
            0xa0 => Self::Other(0, element.value),
            0xa3 => Self::Other(3, element.value),
            0xa5 => Self::Other(5, element.value),
            0x88 => Self::Other(8, element.value),
            _ => return None,
        })
    }

    /// As [`read`](Self::read), and what is constructed has to be DER all the way down.
    pub(super) fn read_strict(der: &mut Der<'a>) -> Option<Self> {
        let name = Self::read(der)?;
        match name {
            Self::Directory(inner) | Self::Other(0 | 3 | 5, inner) if !der::is_strict(inner) => {
                None
            }
            _ => Some(name),
        }
    }
}

/// For people: `DNS:example.com`.
impl fmt::Display for GeneralName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Dns(name) => write!(f, "DNS:{}", directory::printable(name)),
            Self::Email(address) => write!(f, "email:{}", directory::printable(address)),
            Self::Uri(uri) => write!(f, "URI:{}", directory::printable(uri)),
            Self::Ip(bytes) => match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
                (Ok(v4), _) => write!(f, "IP:{}", Ipv4Addr::from(v4)),
                (_, Ok(v6)) => write!(f, "IP:{}", Ipv6Addr::from(v6)),
                _ => f.write_str("IP:(malformed)"),
            },
            Self::Directory(name) => write!(f, "directory:{}", directory::display(name)),
            Self::Other(form, _) => write!(f, "other form {form}"),
        }
    }
}

/// The names of a subjectAltName extension.
#[derive(Clone, Copy)]
pub(super) struct GeneralNames<'a> {
    contents: &'a [u8],
}

impl<'a> GeneralNames<'a> {
    /// The extension's value: a SEQUENCE of at least one GeneralName.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let contents = Der::new(value).only(der::SEQUENCE)?;
        let mut names = Der::new(contents);
        while !names.is_empty() {
            GeneralName::read_strict(&mut names)?;
        }
        (!contents.is_empty()).then_some(Self { contents })
    }

    /// With another slice in the place of its own.
    pub(super) fn map<'b>(self, slice: impl FnOnce(&'a [u8]) -> &'b [u8]) -> GeneralNames<'b> {
        GeneralNames { contents: slice(self.contents) }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = GeneralName<'a>> {
        let mut names = Der::new(self.contents);
        std::iter::from_fn(move || GeneralName::read(&mut names))
    }

    /// Whether one of the names is `wanted` (RFC 9525 §6).
    pub(super) fn cover(self, wanted: &ServerName<'_>) -> bool {
        match wanted {
            ServerName::DnsName(name) => {
                let name = name.as_ref();
                // RFC 9525 §6.3: an absolute name is the same name.
                let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
                let mut names = self.iter();
                is_host(name)
                    && names.any(|n| matches!(n, GeneralName::Dns(p) if dns_matches(p, name)))
            }
            // RFC 9525 §6.5: octet by octet, and never a DNS-ID that looks like an address.
            ServerName::IpAddress(IpAddr::V4(ip)) => self.has_ip(ip.as_ref()),
            ServerName::IpAddress(IpAddr::V6(ip)) => self.has_ip(ip.as_ref()),
            _ => false,
        }
    }

    fn has_ip(self, wanted: &[u8]) -> bool {
        self.iter().any(|n| matches!(n, GeneralName::Ip(bytes) if bytes == wanted))
    }

    /// The names for people, at most 20 of them.
    pub(super) fn display(self) -> Vec<String> {
        const SHOWN: usize = 20;
        let mut shown: Vec<_> = self.iter().take(SHOWN).map(|n| n.to_string()).collect();
        match self.iter().skip(SHOWN).count() {
            0 => {}
            more => shown.push(format!("{more} more")),
        }
        shown
    }
}

/// RFC 9525 §6.3: whether the DNS-ID `pattern` stands for the host `name`, without regard to case. A wildcard is the whole
/// of the left-most label, stands for exactly one label, and has at least two labels after it. What is compared with a
/// host and is the same is one.
fn dns_matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.strip_prefix(b"*.") {
        None => pattern.eq_ignore_ascii_case(name),
        Some(parent) => {
            let under = name.iter().position(|b| *b == b'.').and_then(|dot| name.get(dot + 1..));
            parent.contains(&b'.') && under.is_some_and(|under| under.eq_ignore_ascii_case(parent))
        }
    }
}

/// Whether this is a name of a host: labels of letters, digits, hyphens and (since deployments have them) underscores,
/// 1 to 63 bytes each, 253 in all, no dot at either end. So no NUL, no space, no U-label (RFC 9525 §6.3) and no wildcard.
pub(super) fn is_host(name: &[u8]) -> bool {
    let mut label = 0;
    for byte in name {
        match byte {
            b'.' if label == 0 => return false,
            b'.' => label = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label < 63 => label += 1,
            _ => return false,
        }
    }
    label > 0 && name.len() <= 253
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn san(names: &[(u8, &[u8])]) -> Vec<u8> {
        let names = names.iter().flat_map(|(tag, value)| {
            [&[*tag, u8::try_from(value.len()).unwrap()], *value].concat()
        });
        der::sequence(&names.collect::<Vec<_>>())
    }

    fn covers(names: &[(u8, &[u8])], wanted: &str) -> bool {
        let wanted = ServerName::try_from(wanted).unwrap();
        GeneralNames::parse(&san(names)).unwrap().cover(&wanted)
    }

    #[test]
    fn pitfall_42_wildcards_nul_and_ulabels() {
        let good = [
            ("example.com", "example.com"),
            ("EXAMPLE.com", "example.COM"),
            ("example.com", "example.com."),
            ("*.example.com", "www.example.com"),
            ("*.example.com", "xn--bcher-kva.example.com"),
            ("my_host.internal", "my_host.internal"),
            ("localhost", "localhost"),
        ];
        for (presented, wanted) in good {
            assert!(covers(&[(0x82, presented.as_bytes())], wanted), "{presented} {wanted}");
        }
        let bad = [
            ("example.com", "www.example.com"),
            ("www.example.com", "example.com"),
            ("*.example.com", "example.com"),
            ("*.example.com", "a.b.example.com"),
            ("*.com", "example.com"),
            ("*", "localhost"),
            ("*.", "localhost"),
            ("w*.example.com", "www.example.com"),
            ("*w.example.com", "www.example.com"),
            ("www.*.com", "www.example.com"),
            ("*.*.com", "www.example.com"),
            ("example.com.", "example.com"),
            (".example.com", "example.com"),
            ("example.com\0.evil.org", "example.com"),
            ("example.com ", "example.com"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("", "localhost"),
        ];
        for (presented, wanted) in bad {
            assert!(!covers(&[(0x82, presented.as_bytes())], wanted), "{presented} {wanted}");
        }
    }

    #[test]
    fn addresses_are_compared_as_bytes() {
        assert!(covers(&[(0x87, &[192, 0, 2, 1])], "192.0.2.1"));
        assert!(covers(&[(0x82, b"x"), (0x87, &[0; 16])], "::"));
        assert!(!covers(&[(0x87, &[192, 0, 2, 2])], "192.0.2.1"));
        assert!(!covers(&[(0x82, b"192.0.2.1")], "192.0.2.1"));
        assert!(!covers(&[(0x82, b"*.0.2.1")], "192.0.2.1"));
        assert!(!covers(&[(0x87, &[192, 0, 2, 1, 255, 255, 255, 0])], "192.0.2.1"));
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1];
        assert!(!covers(&[(0x87, &mapped)], "192.0.2.1"));
    }

    #[test]
    fn other_forms_never_name_a_server() {
        for tag in [0x81, 0x86, 0x88] {
            assert!(!covers(&[(tag, b"example.com")], "example.com"));
        }
    }

    #[test]
    fn malformed_lists() {
        for bad in [&[][..], &[0x30, 0], &[0x30, 2, 0x82, 1], &[0x30, 2, 0x99, 0], b"DNS:a"] {
            assert!(GeneralNames::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_shown() {
        let der = san(&[(0x82, b"a\x1b"), (0x87, &[1, 2, 3, 4]), (0x87, &[1])]);
        let shown = GeneralNames::parse(&der).unwrap().display();
        assert_eq!(shown, ["DNS:a\\u{1b}", "IP:1.2.3.4", "IP:(malformed)"]);
        let many: Vec<_> = (0..25).map(|_| (0x82, &b"a"[..])).collect();
        let der = san(&many);
        let shown = GeneralNames::parse(&der).unwrap().display();
        assert_eq!(shown.len(), 21);
        assert_eq!(shown.last().unwrap(), "5 more");
    }
}
