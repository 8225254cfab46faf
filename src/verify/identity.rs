//! Whom a certificate names, for those who authorise: every name in one form each, and policies that ask for one
//! (RFC 5280 §4.2.1.6, and §7 for what counts as the same).

use std::fmt;
use std::net::IpAddr;

use pki_types::CertificateDer;

use super::certificate::Certificate;
use super::directory;
use super::name::{GeneralName, is_host};
use crate::crypto::Provider;
use crate::error::{CertificateReason as Reason, Error, Misuse};

/// A name of a certificate's owner: its subject, or one in its subjectAltName.
///
/// What is there is exactly what was certified: a name of a form that is not listed here, or that is malformed (a DNS name
/// with a NUL in it), is left out and never mended. The common name is part of the directory name and nothing by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateName {
    /// A host name. `*.example.com` stands for itself here.
    Dns(String),
    /// A mailbox (rfc822Name).
    Email(String),
    /// A URI: a SPIFFE ID, for example.
    Uri(String),
    /// An address.
    Ip(IpAddr),
    /// A DER Name, with its tag. `Display` shows it for people.
    Directory(Vec<u8>),
}

impl CertificateName {
    /// The names in a certificate, its subject first; none if it does not parse. Whether anybody vouches for them is not
    /// said here: see [`Summary::peer_names`](crate::Summary::peer_names).
    #[must_use]
    pub fn all_of(certificate: &CertificateDer<'_>) -> Vec<Self> {
        Certificate::parse(certificate).map(|parsed| names(&parsed)).unwrap_or_default()
    }

    fn read(name: GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::Dns(name) => {
                let host = name.strip_prefix(b"*.").unwrap_or(name);
                text(name).filter(|_| is_host(host)).map(Self::Dns)
            }
            GeneralName::Email(address) => {
                text(address).filter(|text| is_mailbox(text)).map(Self::Email)
            }
            GeneralName::Uri(uri) => text(uri).filter(|text| has_scheme(text)).map(Self::Uri),
            GeneralName::Ip(bytes) => {
                match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
                    (Ok(v4), _) => Some(Self::Ip(v4.into())),
                    (_, Ok(v6)) => Some(Self::Ip(v6.into())),
                    _ => None,
                }
            }
            GeneralName::Directory(name) => Self::directory(name),
            GeneralName::Other(..) => None,
        }
    }

    fn directory(name: &[u8]) -> Option<Self> {
        let sound = directory::rdns(name).is_some() && !directory::is_empty(name);
        sound.then(|| Self::Directory(name.to_vec()))
    }

    /// Whether it is in the one form that a name can have when it is read from a certificate.
    fn is_sound(&self) -> bool {
        let general = match self {
            Self::Dns(name) => GeneralName::Dns(name.as_bytes()),
            Self::Email(address) => GeneralName::Email(address.as_bytes()),
            Self::Uri(uri) => GeneralName::Uri(uri.as_bytes()),
            Self::Ip(_) => return true,
            Self::Directory(name) => GeneralName::Directory(name),
        };
        Self::read(general).is_some()
    }

    /// Whether two names name the same. No wildcard is expanded, and no form stands for another.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            // RFC 5280 §7.2
            (Self::Dns(a), Self::Dns(b)) => a.eq_ignore_ascii_case(b),
            // RFC 5280 §7.5: the host without regard to case, the rest as it is.
            (Self::Email(a), Self::Email(b)) => match (a.rsplit_once('@'), b.rsplit_once('@')) {
                (Some((a, at_a)), Some((b, at_b))) => a == b && at_a.eq_ignore_ascii_case(at_b),
                _ => false,
            },
            // RFC 5280 §7.4 would let case differ in scheme and host. Whoever compares more strictly refuses more, and
            // what authorises is worth being spelt one way.
            (Self::Uri(a), Self::Uri(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            // RFC 5280 §7.1
            (Self::Directory(a), Self::Directory(b)) => directory::same(a, b),
            _ => false,
        }
    }
}

/// For people: `DNS:example.com`.
impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => GeneralName::Dns(name.as_bytes()).fmt(f),
            Self::Email(address) => GeneralName::Email(address.as_bytes()).fmt(f),
            Self::Uri(uri) => GeneralName::Uri(uri.as_bytes()).fmt(f),
            Self::Ip(ip) => write!(f, "IP:{ip}"),
            Self::Directory(name) => GeneralName::Directory(name).fmt(f),
        }
    }
}

fn names(certificate: &Certificate<'_>) -> Vec<CertificateName> {
    let subject = CertificateName::directory(certificate.subject);
    let others = certificate.extensions.subject_alt_name.into_iter().flat_map(|n| n.iter());
    subject.into_iter().chain(others.filter_map(CertificateName::read)).collect()
}

/// IA5String without control characters (RFC 5280 §4.2.1.6).
fn text(bytes: &[u8]) -> Option<String> {
    let text = str::from_utf8(bytes).ok()?;
    let sound = !text.is_empty() && bytes.iter().all(|b| (0x20..0x7f).contains(b));
    sound.then(|| text.to_owned())
}

/// RFC 5280 §4.2.1.6: `local@host`, and nothing around it.
fn is_mailbox(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, host)| !local.is_empty() && is_host(host.as_bytes()))
}

/// RFC 5280 §4.2.1.6: an absolute URI, which begins with its scheme (RFC 3986 §3.1) and has no space in it.
fn has_scheme(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !text.contains(' ')
}

/// The names of which the peer has to have one.
#[derive(Clone, Debug)]
pub(super) struct AllowedNames(Vec<CertificateName>);

impl AllowedNames {
    pub(super) fn new(names: impl IntoIterator<Item = CertificateName>) -> Result<Self, Error> {
        let names: Vec<_> = names.into_iter().collect();
        match names.iter().all(CertificateName::is_sound) {
            true => Ok(Self(names)),
            false => Err(Misuse::Config("a name that no certificate can have").into()),
        }
    }

    pub(super) fn check(&self, certificate: &Certificate<'_>) -> Result<(), Reason> {
        let present = names(certificate);
        if present.iter().any(|name| self.0.iter().any(|allowed| allowed.is_same(name))) {
            return Ok(());
        }
        Err(Reason::NameMismatch { wanted: list(&self.0), present: shown(&present) })
    }

    pub(super) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        let each = self.0.iter().map(|name| {
            let (form, bytes) = match name {
                CertificateName::Dns(name) => (1, name.to_ascii_lowercase().into_bytes()),
                CertificateName::Email(address) => (2, address.as_bytes().to_vec()),
                CertificateName::Uri(uri) => (3, uri.as_bytes().to_vec()),
                CertificateName::Ip(ip) => (4, ip.to_string().into_bytes()),
                CertificateName::Directory(name) => (5, name.clone()),
            };
            provider.fingerprint(&[&[form], &bytes[..]].concat())
        });
        let mut each: Vec<[u8; 32]> = each.collect();
        each.sort_unstable();
        provider.fingerprint(each.as_flattened())
    }
}

/// `a or b or c`, not too long.
fn list(names: &[CertificateName]) -> String {
    match names {
        [] => "anybody: no name is allowed here".to_owned(),
        _ => shown(names).join(" or "),
    }
}

fn shown(names: &[CertificateName]) -> Vec<String> {
    const SHOWN: usize = 10;
    let mut shown: Vec<_> = names.iter().take(SHOWN).map(ToString::to_string).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    shown
}
