//! SPIFFE: workloads whose certificate says `spiffe://trust-domain/path`, each trust domain with roots of its own
//! (the SPIFFE-ID and X509-SVID specifications).
//!
//! A chain is judged by the bundle of the trust domain that its leaf claims, and by no other: a root of one domain cannot
//! make members of another (federation is no more than several bundles side by side).

use std::collections::BTreeMap;

use super::certificate::Certificate;
use super::name::GeneralName;
use super::{TrustAnchors, report};
use crate::crypto::Provider;
use crate::error::{CertificateReason as Reason, Error, Misuse};
use crate::shared::{Shared, Snapshot};

/// Whom to accept: the bundles, and perhaps a list of IDs.
#[derive(Clone, Debug)]
pub(super) struct Spiffe {
    bundles: BTreeMap<String, Snapshot<TrustAnchors>>,
    /// IDs, and trust domains as IDs without a path. `None` if everybody is accepted for whom a bundle vouches.
    allowed: Option<Vec<String>>,
}

impl Spiffe {
    /// Each trust domain (`example.org`) with its bundle.
    pub(super) fn new(
        bundles: impl IntoIterator<Item = (String, Shared<TrustAnchors>)>,
    ) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for (domain, bundle) in bundles {
            let sound = Id::parse(format!("{SCHEME}{domain}").as_bytes())
                .is_ok_and(|id| id.trust_domain == domain);
            if !sound || all.insert(domain, Snapshot::of(bundle)).is_some() {
                let why = "a trust domain is lower case, without scheme, and has one bundle";
                return Err(Misuse::Config(why).into());
            }
        }
        Ok(Self { bundles: all, allowed: None })
    }

    /// Of those, only these: `spiffe://example.org/web`, or `spiffe://example.org` for the whole domain.
    pub(super) fn allow(&mut self, ids: &[&str]) -> Result<(), Error> {
        for id in ids {
            let parsed = Id::parse(id.as_bytes());
            let known = parsed.is_ok_and(|id| self.bundles.contains_key(id.trust_domain));
            if !known {
                let why = "not a SPIFFE ID of a trust domain that there is a bundle for";
                return Err(Misuse::Config(why).into());
            }
        }
        self.allowed = Some(ids.iter().map(|id| (*id).to_owned()).collect());
        Ok(())
    }

    /// The trust domains that have a bundle.
    pub(super) fn trust_domains(&self) -> impl Iterator<Item = &str> {
        self.bundles.keys().map(String::as_str)
    }

    pub(super) fn is_stale(&self) -> bool {
        self.bundles.values().any(Snapshot::is_stale)
    }

    pub(super) fn refresh(&mut self) {
        self.bundles.values_mut().for_each(Snapshot::refresh);
    }

    /// The bundle that judges `leaf`, whose ID is in order but need not be allowed.
    pub(super) fn bundle_of(
        &self,
        leaf: &Certificate<'_>,
    ) -> Result<&Snapshot<TrustAnchors>, Reason> {
        let id = Id::of_leaf(leaf)?;
        let unknown = || Reason::UnknownTrustDomain { trust_domain: id.trust_domain.to_owned() };
        self.bundles.get(id.trust_domain).ok_or_else(unknown)
    }

    /// X509-SVID §5.2 and §4: what a leaf has to be beyond RFC 5280, and whether its ID is allowed.
    pub(super) fn check_leaf(&self, leaf: &Certificate<'_>) -> Result<(), Reason> {
        let id = Id::of_leaf(leaf)?;
        let bad = |what| Err(Reason::Spiffe { certificate: report::subject(leaf), what });
        if leaf.is_ca() {
            return bad("a CA is no workload");
        }
        match leaf.extensions.key_usage {
            None => return bad("it has no keyUsage"),
            Some(usage) if usage.key_cert_sign() || usage.crl_sign() => {
                return bad("its key may sign certificates or CRLs");
            }
            Some(_) => {}
        }
        let Some(allowed) = &self.allowed else { return Ok(()) };
        let domain = format!("{SCHEME}{}", id.trust_domain);
        let own = format!("{domain}{}", id.path);
        if allowed.iter().any(|each| *each == own || *each == domain) {
            return Ok(());
        }
        let wanted = match &allowed[..] {
            [] => "anybody: no SPIFFE ID is allowed here".to_owned(),
            some => some.iter().take(10).cloned().collect::<Vec<_>>().join(" or "),
        };
        Err(Reason::NameMismatch { wanted, present: vec![format!("URI:{own}")] })
    }

    /// X509-SVID §3.2: a certificate that signs others has no path in its ID, if it has one.
    pub(super) fn check_issuer(issuer: &Certificate<'_>) -> Result<(), Reason> {
        let bad = |what| Err(Reason::Spiffe { certificate: report::subject(issuer), what });
        for uri in uris(issuer).filter(|uri| uri.starts_with(SCHEME.as_bytes())) {
            match Id::parse(uri) {
                Ok(Id { path: "", .. }) => {}
                Ok(_) => return bad("it signs certificates, and its SPIFFE ID has a path"),
                Err(what) => return bad(what),
            }
        }
        Ok(())
    }

    /// 32 bytes that stand for all of this.
    pub(super) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        let mut data = Vec::new();
        for (domain, bundle) in &self.bundles {
            data.extend(provider.fingerprint(domain.as_bytes()));
            data.extend(bundle.fingerprint(provider));
        }
        data.push(self.allowed.is_some().into());
        for id in self.allowed.iter().flatten() {
            data.extend(provider.fingerprint(id.as_bytes()));
        }
        provider.fingerprint(&data)
    }
}

const SCHEME: &str = "spiffe://";
/// SPIFFE-ID §2.3: what every implementation supports, and nobody should exceed.
const MAX_ID: usize = 2048;
/// SPIFFE-ID §2.3, from RFC 3986 §3.2.2.
const MAX_TRUST_DOMAIN: usize = 255;

/// A SPIFFE ID (SPIFFE-ID §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id<'a> {
    trust_domain: &'a str,
    /// Empty, or begins with a slash.
    path: &'a str,
}

impl<'a> Id<'a> {
    /// X509-SVID §2: the one URI of a leaf, which has a path.
    fn of_leaf(leaf: &Certificate<'a>) -> Result<Self, Reason> {
        let bad = |what| Reason::Spiffe { certificate: report::subject(leaf), what };
        let mut uris = uris(leaf);
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            return Err(bad("it has not exactly one URI in its subjectAltName"));
        };
        let id = Self::parse(uri).map_err(bad)?;
        match id.path {
            "" => Err(bad("its SPIFFE ID has no path, so it stands for a trust domain")),
            _ => Ok(id),
        }
    }

    fn parse(uri: &'a [u8]) -> Result<Self, &'static str> {
        let text = str::from_utf8(uri).map_err(|_| "its URI is not ASCII")?;
        if text.len() > MAX_ID {
            return Err("its SPIFFE ID is longer than 2048 bytes");
        }
        let rest = text.strip_prefix(SCHEME).ok_or("its URI is no SPIFFE ID")?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (trust_domain, path) = rest.split_at(slash);
        // SPIFFE-ID §2.1: neither user nor port, and nothing that is percent-encoded.
        let in_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if trust_domain.is_empty()
            || trust_domain.len() > MAX_TRUST_DOMAIN
            || !trust_domain.chars().all(in_domain)
        {
            return Err("the trust domain of its SPIFFE ID is malformed");
        }
        // SPIFFE-ID §2.2: no empty segment, so no slash at the end; no dots that lead elsewhere; no query and no fragment.
        let in_path = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.chars().all(in_path);
        match path.strip_prefix('/') {
            Some(segments) if !segments.split('/').all(is_segment) => {
                Err("the path of its SPIFFE ID is malformed")
            }
            _ => Ok(Self { trust_domain, path }),
        }
    }
}

fn uris<'a>(certificate: &Certificate<'a>) -> impl Iterator<Item = &'a [u8]> {
    let names = certificate.extensions.subject_alt_name.into_iter().flat_map(|n| n.iter());
    names.filter_map(|name| match name {
        GeneralName::Uri(uri) => Some(uri),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let long = format!("spiffe://a/{}", "x".repeat(2048 - 11));
        let wide = format!("spiffe://{}/x", "a".repeat(255));
        for (good, domain, path) in [
            ("spiffe://example.org/web", "example.org", "/web"),
            ("spiffe://example.org", "example.org", ""),
            ("spiffe://10.0.0.1/a/B_c/d-e.f", "10.0.0.1", "/a/B_c/d-e.f"),
            ("spiffe://x_y-z/...", "x_y-z", "/..."),
            (&long, "a", &long[10..]),
            (&wide, &wide[9..264], "/x"),
        ] {
            assert_eq!(Id::parse(good.as_bytes()), Ok(Id { trust_domain: domain, path }));
        }
        let too_long = format!("{long}x");
        let too_wide = format!("spiffe://{}/x", "a".repeat(256));
        for bad in [
            "",
            "spiffe://",
            "spiffe:///web",
            "spiffe:example.org/web",
            "SPIFFE://example.org/web",
            "https://example.org/web",
            "spiffe://Example.org/web",
            "spiffe://user@example.org/web",
            "spiffe://example.org:443/web",
            "spiffe://[::1]/web",
            "spiffe://ex%61mple.org/web",
            "spiffe://b\u{fc}cher.example/web",
            "spiffe://example.org/",
            "spiffe://example.org/web/",
            "spiffe://example.org//web",
            "spiffe://example.org/./web",
            "spiffe://example.org/../web",
            "spiffe://example.org/w%65b",
            "spiffe://example.org/web?x",
            "spiffe://example.org/web#x",
            "spiffe://example.org?x",
            "spiffe://example.org/we b",
            "spiffe://example.org/web\0",
            &too_long,
            &too_wide,
        ] {
            assert!(Id::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Id::parse(b"spiffe://example.org/\xff").is_err());
    }
}
