//! Judging a peer's certificates: path building and validation (RFC 5280 §6) and names (RFC 9525), over x509-parser.
//!
//! ```text
//!   mod          the public face                     verdict      how a verdict comes about
//!   facts        what others ask about one certificate
//!   anchor       whom we trust
//!   chain        the search for a path; the budget counts what it costs; report tells how it went, hint what may cure it
//!   verification a verdict in steps
//!   cause        why one is refused, before it is put into words
//!   step         the rules for one certificate       constraint, policy   nameConstraints, and policies
//!   strict       the rules of the strict profile     signature    signatures, and those remembered
//!   evidence     what comes beside a chain           sct          certificate transparency
//!   revocation   the policy on revocation            crl, distribution, ocsp   what it goes by
//!   raw_key      keys without certificates (RFC 7250)
//!   name         whom a certificate is for           directory    distinguished names
//!   certificate  one certificate, parsed             key, extension, der   what it is made of
//! ```
//!
//! A chain is judged at a time that the caller names, and with nothing but what the caller gives: nothing is fetched.

mod anchor;
mod cause;
mod certificate;
mod chain;
mod constraint;
mod crl;
mod der;
mod directory;
mod distribution;
mod evidence;
mod extension;
mod facts;
mod hint;
mod identity;
mod key;
mod name;
mod ocsp;
mod pins;
mod policy;
mod raw_key;
mod report;
mod revocation;
mod sct;
mod signature;
mod spiffe;
mod step;
mod strict;
mod trust;
mod verdict;
mod verification;

use std::sync::Arc;

use pki_types::CertificateDer;

pub use self::anchor::TrustAnchors;
use self::certificate::Certificate;
pub use self::crl::Crls;
pub use self::evidence::Evidence;
use self::evidence::Policies;
pub(crate) use self::facts::{
    check_raw_public_key, expiry, is_for_name, issuer, key_fits, leaf_may_sign,
    signature_algorithm, subject_public_key_info,
};
use self::identity::AllowedNames;
pub use self::identity::CertificateName;
use self::pins::Pins;
use self::raw_key::RawKeys;
pub use self::revocation::Revocation;
pub use self::sct::{CtLog, Transparency};
use self::signature::Cache;
use self::spiffe::Spiffe;
use self::trust::Exact;
pub use self::trust::TrustVersion;
pub use self::verification::Verification;
use crate::codepoints::CertificateType;
use crate::crypto::Provider;
use crate::error::{CertificateError, CertificateReason};
use crate::shared::{Shared, Snapshot};

/// What the peer's certificate must be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The peer is a server: id-kp-serverAuth (RFC 5280 §4.2.1.12).
    Server,
    /// The peer is a client: id-kp-clientAuth.
    Client,
}

/// How strict a verifier is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// RFC 5280 as far as it decides what a certificate means. Where private CAs all over the world leave out or mark
    /// wrongly what RFC 5280 asks of issuers, and no other verifier minds, it is borne.
    #[default]
    Default,
    /// Also the rules for issuers: RFC 5280's, and those of the CA/Browser Forum's Baseline Requirements for
    /// certificates of TLS servers. Every public CA keeps them.
    Strict,
}

/// Judges peers: their chains, or their raw public keys.
///
/// Clones share one memory of at most 1,024 signatures that were good (2 MiB, with what they sign; it grows as it is used),
/// so that who meets the same intermediate or the same peer again checks no signature a second time. Everything else is
/// judged every time.
#[derive(Clone, Debug)]
pub struct Verifier {
    rules: Arc<Rules>,
    cache: Cache,
}

/// What a verifier goes by.
#[derive(Clone, Debug)]
struct Rules {
    mode: Mode,
    raw_keys: RawKeys,
    /// What the peer may show, most preferred first.
    types: Vec<CertificateType>,
    /// Certificates that are accepted without a path.
    exact: Vec<Exact>,
    pins: Option<Pins>,
    names: Option<AllowedNames>,
    profile: Profile,
    policies: Policies,
}

#[derive(Clone, Debug)]
enum Mode {
    Anchors { anchors: Snapshot<TrustAnchors>, max_depth: usize },
    Spiffe { spiffe: Spiffe, max_depth: usize },
    AcceptAny,
}

/// A path that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedPath<'a> {
    /// The certificates on it, the peer's own first, without the anchor. They are slices of the chain.
    pub certificates: Vec<CertificateDer<'a>>,
    /// The subject of the trust anchor: a DER Name with its tag. `None` if no anchor was asked for.
    pub anchor: Option<Vec<u8>>,
    /// The names of the logs whose timestamps were found good, if they were looked for
    /// ([`Verifier::with_transparency`]).
    pub logs: Vec<String>,
    /// The last second in which the certificates on the path, and the evidence that they are not revoked, are good: in
    /// seconds since 1970. `u64::MAX` if nothing was judged.
    pub until: u64,
}

impl Verifier {
    /// Accepts chains that lead to `anchors`, over at most 10 intermediates. They can be swapped later if they come as a
    /// [`Shared`] handle.
    #[must_use]
    pub fn new(anchors: impl Into<Shared<TrustAnchors>>) -> Self {
        let anchors = Snapshot::of(anchors.into());
        Self::with_mode(Mode::Anchors { anchors, max_depth: DEFAULT_MAX_DEPTH })
    }

    fn with_mode(mode: Mode) -> Self {
        let rules = Rules {
            mode,
            raw_keys: RawKeys::default(),
            types: vec![CertificateType::X509],
            exact: Vec::new(),
            pins: None,
            names: None,
            profile: Profile::default(),
            policies: Policies::default(),
        };
        Self { rules: Arc::new(rules), cache: Cache::default() }
    }

    /// For the builder methods: nothing is shared yet when a verifier is put together.
    fn rules_mut(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.rules)
    }

    /// Judges by this profile.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.rules_mut().profile = profile;
        self
    }

    /// Finds out whether certificates were revoked (default: no). Without this only a certificate that itself demands an
    /// OCSP response (RFC 7633, "must-staple") is refused when the peer was asked for one and has sent none that is good.
    #[must_use]
    pub fn with_revocation(mut self, policy: Revocation) -> Self {
        self.rules_mut().policies.revocation = Some(policy);
        self
    }

    /// Looks for the certificate transparency timestamps (RFC 6962) of the peer's certificate (default: no).
    #[must_use]
    pub fn with_transparency(mut self, policy: Transparency) -> Self {
        self.rules_mut().policies.transparency = Some(policy);
        self
    }

    /// Allows this many intermediates between the peer's certificate and the anchor, not counting self-issued ones;
    /// 0 means that an anchor must have issued the peer's certificate itself.
    #[must_use]
    pub fn with_max_depth(mut self, intermediates: usize) -> Self {
        match &mut self.rules_mut().mode {
            Mode::Anchors { max_depth, .. } | Mode::Spiffe { max_depth, .. } => {
                *max_depth = intermediates;
            }
            Mode::AcceptAny => {}
        }
        self
    }

    /// Accepts every certificate, whoever made it, for whomever: the peer may be anybody. What remains is that the peer
    /// has the private key of the certificate that it shows, since the handshake checks that in any case. Raw public keys
    /// are not asked for, unless [`with_certificate_types`](Self::with_certificate_types) says so.
    #[must_use]
    pub fn danger_accept_any() -> Self {
        Self::with_mode(Mode::AcceptAny)
    }

    /// The anchors; `None` if everything is accepted, or each trust domain has its own. From a handle they are those of
    /// the moment when [`Verifier::current`] or the constructor was called.
    #[must_use]
    pub fn anchors(&self) -> Option<&TrustAnchors> {
        match &self.rules.mode {
            Mode::Anchors { anchors, .. } => Some(anchors),
            Mode::Spiffe { .. } | Mode::AcceptAny => None,
        }
    }

    /// 32 bytes that stand for everything that this verifier goes by: sessions are bound to it.
    pub(crate) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        let profile = match self.rules.profile {
            Profile::Default => 0,
            Profile::Strict => 1,
        };
        let mut data = match &self.rules.mode {
            Mode::AcceptAny => b"sealwire verifier: any".to_vec(),
            Mode::Anchors { anchors, max_depth } => {
                let mut data = b"sealwire verifier: anchors".to_vec();
                data.extend(u64::try_from(*max_depth).unwrap_or(u64::MAX).to_be_bytes());
                data.push(profile);
                data.extend(anchors.fingerprint(provider));
                data.extend(self.rules.policies.fingerprint(provider));
                data
            }
            Mode::Spiffe { spiffe, max_depth } => {
                let mut data = b"sealwire verifier: spiffe".to_vec();
                data.extend(u64::try_from(*max_depth).unwrap_or(u64::MAX).to_be_bytes());
                data.push(profile);
                data.extend(spiffe.fingerprint(provider));
                data.extend(self.rules.policies.fingerprint(provider));
                data
            }
        };
        data.extend(self.rules.fingerprint(provider));
        provider.fingerprint(&data)
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<Certificate<'a>, CertificateError> {
    let parsed = Certificate::parse(certificate);
    parsed.map_err(|what| CertificateReason::Malformed { what }.into())
}

/// More than any chain that is in use: the longest public ones have three, private ones seldom five.
const DEFAULT_MAX_DEPTH: usize = 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codepoints::SignatureScheme;

    fn certificate(params: rcgen::CertificateParams) -> (CertificateDer<'static>, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        (der, rcgen::PublicKeyData::subject_public_key_info(&key))
    }

    #[test]
    fn what_credentials_ask() {
        let params = rcgen::CertificateParams::new(["*.example.com".to_owned()]).unwrap();
        let (der, spki) = certificate(params);
        assert_eq!(subject_public_key_info(&der).unwrap(), spki);
        assert!(key_fits(&spki, SignatureScheme::ecdsa_secp256r1_sha256));
        assert!(!key_fits(&spki, SignatureScheme::ecdsa_secp384r1_sha384));
        assert!(is_for_name(&der, &"www.example.com".try_into().unwrap()));
        assert!(!is_for_name(&der, &"example.com".try_into().unwrap()));
        let anchors = TrustAnchors::from_certificates([der.clone(), der.clone()]);
        assert_eq!(anchors.subjects(), [issuer(&der).unwrap()]);
    }

    #[test]
    fn a_key_that_may_not_sign() {
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        leaf_may_sign(&certificate(params.clone()).0).unwrap();
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        leaf_may_sign(&certificate(params.clone()).0).unwrap();
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyEncipherment];
        let error = leaf_may_sign(&certificate(params).0).unwrap_err();
        assert_eq!(error.reason.code(), "key-usage");
    }

    /// Every truncation and every changed byte is refused or read, and never a panic.
    #[test]
    fn hostile_bytes() {
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(1));
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example".into())],
            excluded_subtrees: vec![rcgen::GeneralSubtree::Rfc822Name("b.example".into())],
        });
        let der = certificate(params).0;
        let name = "a.example".try_into().unwrap();
        for len in 0..der.len() {
            let cut = CertificateDer::from(der.get(..len).unwrap());
            assert!(subject_public_key_info(&cut).is_err());
        }
        for at in 0..der.len() {
            for flip in [1, 0x20, 0x80, 0xff] {
                let mut changed = der.to_vec();
                *changed.get_mut(at).unwrap() ^= flip;
                let changed = CertificateDer::from(changed);
                let _ = is_for_name(&changed, &name);
                let anchors = TrustAnchors::from_certificates([changed.clone()]);
                assert_eq!(anchors.len() + anchors.ignored(), 1);
                if let Ok(parsed) = Certificate::parse(&changed) {
                    let _ = report::subject(&parsed);
                    let _ = constraint::Names::of(&parsed);
                }
            }
        }
    }
}
