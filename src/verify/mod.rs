//! Judging a peer's certificates: path building and validation (RFC 5280 §6) and names (RFC 9525), over x509-parser.
//!
//! ```text
//!   mod          the public face, and what credentials ask about their own certificates
//!   anchor       whom we trust
//!   chain        the search for a path; the budget counts what it costs; report tells how it went, hint what may cure it
//!   verification a verdict in steps
//!   step         the rules for one certificate       constraint   nameConstraints
//!   strict       the rules of the strict profile     signature    signatures, and those remembered
//!   evidence     what comes beside a chain           sct          certificate transparency
//!   revocation   the policy on revocation            crl, distribution, ocsp   what it goes by
//!   raw_key      keys without certificates (RFC 7250)
//!   name         whom a certificate is for           directory    distinguished names
//!   certificate  one certificate, parsed             key, der     what it is made of
//! ```
//!
//! A chain is judged at a time that the caller names, and with nothing but what the caller gives: nothing is fetched.
//! Certificate policies are not looked at; a path that demands a policy is refused.

mod anchor;
mod certificate;
mod chain;
mod constraint;
mod crl;
mod der;
mod directory;
mod distribution;
mod evidence;
mod hint;
mod key;
mod name;
mod ocsp;
mod raw_key;
mod report;
mod revocation;
mod sct;
mod signature;
mod step;
mod strict;
mod verification;

use std::sync::Arc;

use pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};

pub use self::anchor::TrustAnchors;
use self::certificate::Certificate;
use self::chain::{Found, Inputs, Search};
pub use self::crl::Crls;
pub use self::evidence::Evidence;
use self::evidence::Policies;
use self::key::KeyKind;
use self::raw_key::RawKeys;
pub use self::revocation::Revocation;
pub use self::sct::{CtLog, Transparency};
use self::signature::Cache;
use self::verification::State;
pub use self::verification::Verification;
use crate::codepoints::{CertificateType, SignatureScheme};
use crate::crypto::Provider;
use crate::error::{CertificateError, CertificateReason, CertificateReport, Error, Misuse};
use crate::limits::Budget;

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
/// Clones share one memory of at most 1,024 signatures that were good, so that who meets the same intermediate or the
/// same peer again checks no signature a second time. Everything else is judged every time.
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
    profile: Profile,
    policies: Policies,
}

#[derive(Clone, Debug)]
enum Mode {
    Anchors { anchors: TrustAnchors, max_depth: usize },
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
    /// Accepts chains that lead to `anchors`, over at most 10 intermediates.
    #[must_use]
    pub fn new(anchors: TrustAnchors) -> Self {
        Self::with_mode(Mode::Anchors { anchors, max_depth: DEFAULT_MAX_DEPTH })
    }

    fn with_mode(mode: Mode) -> Self {
        let rules = Rules {
            mode,
            raw_keys: RawKeys::default(),
            types: vec![CertificateType::X509],
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

    /// Accepts exactly these raw public keys (RFC 7250), and no certificates. Whoever has one of the private keys is the
    /// right peer, whatever name was asked for: a key has no name, so each server whose key differs wants a verifier of
    /// its own.
    ///
    /// Without any key nobody is accepted, but an application that judges itself
    /// ([`Ask::verdict`](crate::Ask::verdict)) gets to see the keys.
    ///
    /// # Errors
    /// [`Misuse::Config`] if one is no SubjectPublicKeyInfo, or its kind or size is none for TLS 1.3.
    pub fn raw_public_keys(
        keys: impl IntoIterator<Item = SubjectPublicKeyInfoDer<'static>>,
    ) -> Result<Self, Error> {
        let mut this = Self::new(TrustAnchors::default());
        this.rules_mut().types.clear();
        this.with_raw_public_keys(keys)
    }

    /// Accepts these raw public keys, too, if the peer shows one in place of a chain. Certificates are preferred;
    /// [`with_certificate_types`](Self::with_certificate_types) changes that.
    ///
    /// # Errors
    /// As [`Verifier::raw_public_keys`].
    pub fn with_raw_public_keys(
        mut self,
        keys: impl IntoIterator<Item = SubjectPublicKeyInfoDer<'static>>,
    ) -> Result<Self, Error> {
        let rules = self.rules_mut();
        rules.raw_keys.add(keys)?;
        if !rules.types.contains(&CertificateType::RawPublicKey) {
            rules.types.push(CertificateType::RawPublicKey);
        }
        Ok(self)
    }

    /// What the peer may show, most preferred first: X.509 certificates, raw public keys, or both (RFC 7250 §4).
    ///
    /// # Errors
    /// [`Misuse::Config`] if the list is empty, names a type twice, or one that this verifier has nothing to judge by.
    pub fn with_certificate_types(mut self, types: &[CertificateType]) -> Result<Self, Error> {
        let known = |each: &CertificateType| match self.rules.mode {
            Mode::Anchors { .. } => self.rules.types.contains(each),
            Mode::AcceptAny => {
                [CertificateType::X509, CertificateType::RawPublicKey].contains(each)
            }
        };
        let twice =
            types.iter().enumerate().any(|(i, each)| types.iter().skip(i + 1).any(|t| t == each));
        if types.is_empty() || twice || !types.iter().all(known) {
            return Err(Misuse::Config("the verifier cannot judge these certificate types").into());
        }
        self.rules_mut().types = types.to_vec();
        Ok(self)
    }

    /// What the peer may show, most preferred first.
    #[must_use]
    pub fn certificate_types(&self) -> &[CertificateType] {
        &self.rules.types
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
        if let Mode::Anchors { max_depth, .. } = &mut self.rules_mut().mode {
            *max_depth = intermediates;
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

    /// The anchors, or `None` if everything is accepted.
    #[must_use]
    pub fn anchors(&self) -> Option<&TrustAnchors> {
        match &self.rules.mode {
            Mode::Anchors { anchors, .. } => Some(anchors),
            Mode::AcceptAny => None,
        }
    }

    /// 32 bytes that stand for everything that this verifier goes by: sessions are bound to it.
    pub(crate) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        let mut data = match &self.rules.mode {
            Mode::AcceptAny => b"sealwire verifier: any".to_vec(),
            Mode::Anchors { anchors, max_depth } => {
                let mut data = b"sealwire verifier: anchors".to_vec();
                data.extend(u64::try_from(*max_depth).unwrap_or(u64::MAX).to_be_bytes());
                data.push(match self.rules.profile {
                    Profile::Default => 0,
                    Profile::Strict => 1,
                });
                data.extend(anchors.fingerprint(provider));
                data.extend(self.rules.policies.fingerprint(provider));
                data
            }
        };
        data.extend(self.rules.raw_keys.fingerprint(provider).unwrap_or_default());
        data.extend(self.rules.types.iter().map(|each| each.0));
        provider.fingerprint(&data)
    }

    /// Judges a raw public key: a DER SubjectPublicKeyInfo that the peer showed in place of a chain. `Ok` means that it
    /// is one of the trusted keys.
    ///
    /// # Errors
    /// [`CertificateReason::UntrustedKey`] if it is not; or why it can be none for TLS 1.3.
    pub fn verify_raw_public_key(
        &self,
        provider: &Provider,
        key: &SubjectPublicKeyInfoDer<'_>,
    ) -> Result<(), CertificateError> {
        match self.rules.mode {
            Mode::Anchors { .. } => Ok(self.rules.raw_keys.judge(provider, key)?),
            Mode::AcceptAny => Ok(raw_key::check(key)?),
        }
    }

    /// Looks for a path from the first certificate of `chain` to an anchor, valid at `now`, and returns the first.
    ///
    /// The other certificates may be in any order and need not be of use. With a `name`, the subjectAltName of the first
    /// must cover it: a client passes the server's name, always. `None` is for peers whose name does not matter, or is
    /// judged by the caller, as clients' mostly are. `evidence` is what else the peer sent:
    /// [`PeerCertificates::evidence`](crate::PeerCertificates::evidence), or the default.
    ///
    /// # Errors
    /// If there is no such path. The reason that says most decides: what is wrong at an anchor before what is wrong
    /// below one, a longer path before a shorter; the report has all of them. One verdict may cost what the default
    /// [`Limits`](crate::Limits) say; in a handshake, what the configuration's say.
    pub fn verify<'c>(
        &self,
        provider: &Provider,
        chain: &'c [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'_>,
    ) -> Result<VerifiedPath<'c>, CertificateError> {
        let budget = &mut Budget::default();
        self.verify_within(budget, provider, chain, purpose, name, now, evidence)
    }

    /// The same at the expense of this budget.
    #[allow(clippy::too_many_arguments)] // the public one's, and the budget
    pub(crate) fn verify_within<'c>(
        &self,
        budget: &mut Budget,
        provider: &Provider,
        chain: &'c [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'_>,
    ) -> Result<VerifiedPath<'c>, CertificateError> {
        budget.start_verdict();
        let Some(inputs) = self.inputs(provider, purpose, name, now, evidence) else {
            not_empty(chain)?;
            return Ok(VerifiedPath::unjudged(chain));
        };
        let mut search = search(inputs, *budget, chain)?;
        let verdict = search.run();
        *budget = search.budget();
        Ok(VerifiedPath::new(verdict?, chain))
    }

    /// Begins what [`Verifier::verify`] does, to be done in steps.
    pub fn start<'v, 'c: 'v>(
        &'v self,
        provider: &'v Provider,
        chain: &'c [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&'v ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'v>,
    ) -> Verification<'v, 'c> {
        let state = match self.inputs(provider, purpose, name, now, evidence) {
            Some(inputs) => match search(inputs, Budget::default(), chain) {
                Ok(search) => State::Searching(Box::new(search)),
                Err(error) => State::Done(Err(error)),
            },
            None => State::Done(not_empty(chain).map(|_| VerifiedPath::unjudged(chain))),
        };
        Verification { chain, state }
    }

    /// Judges as [`Verifier::verify`] does, and tells how the verdict came about, whichever it is: every path that was
    /// tried, what each certificate says of itself, what may cure a failure, and what will expire within 30 days.
    ///
    /// This formats everything that it met, so it is for people who want to know, not for every connection. A failed
    /// `verify` has the same report in its error.
    #[must_use]
    pub fn explain(
        &self,
        provider: &Provider,
        chain: &[CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'_>,
    ) -> CertificateReport {
        let Some(inputs) = self.inputs(provider, purpose, name, now, evidence) else {
            let notes = vec!["this verifier accepts every certificate".to_owned()];
            return CertificateReport { notes, ..Default::default() };
        };
        let told = search(inputs, Budget::default(), chain).and_then(|mut search| {
            let found = search.run()?;
            Ok(search.explain(&found))
        });
        told.unwrap_or_else(|error| Arc::unwrap_or_clone(error.report))
    }

    /// What a search goes by; `None` if everything is accepted.
    fn inputs<'a>(
        &'a self,
        provider: &'a Provider,
        purpose: Purpose,
        name: Option<&'a ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'a>,
    ) -> Option<Inputs<'a>> {
        let Mode::Anchors { anchors, max_depth } = &self.rules.mode else { return None };
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Some(Inputs {
            provider,
            anchors,
            cache: &self.cache,
            profile: self.rules.profile,
            purpose,
            name,
            max_depth: *max_depth,
            now,
            evidence,
            policies: &self.rules.policies,
        })
    }
}

impl<'a> VerifiedPath<'a> {
    fn new(found: Found<'_>, chain: &'a [CertificateDer<'_>]) -> Self {
        let on_path = found.positions.iter().filter_map(|i| chain.get(*i));
        Self {
            certificates: on_path.map(borrow).collect(),
            anchor: Some(found.anchor),
            logs: found.logs,
            until: u64::try_from(found.until).unwrap_or(0),
        }
    }

    fn unjudged(chain: &'a [CertificateDer<'_>]) -> Self {
        let certificates = chain.iter().map(borrow).collect();
        Self { certificates, anchor: None, logs: Vec::new(), until: u64::MAX }
    }
}

/// A search from the first certificate of the chain.
fn search<'a>(
    inputs: Inputs<'a>,
    budget: Budget,
    chain: &'a [CertificateDer<'_>],
) -> Result<Search<'a>, CertificateError> {
    let (leaf, intermediates) = not_empty(chain)?;
    let leaf = parse(leaf)?;
    let of_itself = step::check_leaf(&leaf, inputs.purpose, inputs.now).err();
    let of_its_name = inputs.name.and_then(|name| step::check_name(&leaf, name).err());
    let of_profile = match inputs.profile {
        Profile::Default => None,
        Profile::Strict => strict::check_leaf(&leaf).err(),
    };
    let faults = of_itself.into_iter().chain(of_its_name).chain(of_profile).collect();
    Ok(Search::new(inputs, budget, leaf, faults, intermediates))
}

/// The first certificate of a chain, and the others.
fn not_empty<'a, 'b>(
    chain: &'a [CertificateDer<'b>],
) -> Result<(&'a CertificateDer<'b>, &'a [CertificateDer<'b>]), CertificateError> {
    let none = CertificateReason::Malformed { what: "there is no certificate" };
    chain.split_first().ok_or_else(|| none.into())
}

fn borrow<'a>(certificate: &'a CertificateDer<'_>) -> CertificateDer<'a> {
    CertificateDer::from(certificate.as_ref())
}

/// RFC 9846 §4.5.1.2: whether the certificate's key may sign at all: no keyUsage, or one with digitalSignature. This
/// holds whatever the verdict on the chain is.
pub(crate) fn leaf_may_sign(certificate: &CertificateDer<'_>) -> Result<(), CertificateError> {
    Ok(step::may_sign(&parse(certificate)?)?)
}

/// The DER SubjectPublicKeyInfo of a certificate.
pub(crate) fn subject_public_key_info<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<&'a [u8], CertificateError> {
    Ok(parse(certificate)?.spki)
}

/// RFC 7250 §3: whether these bytes are a SubjectPublicKeyInfo with a key that TLS 1.3 can use.
pub(crate) fn check_raw_public_key(key: &[u8]) -> Result<(), CertificateError> {
    Ok(raw_key::check(key)?)
}

/// Whether a key of this SubjectPublicKeyInfo can make signatures of `scheme` in a CertificateVerify.
pub(crate) fn key_fits(spki: &[u8], scheme: SignatureScheme) -> bool {
    KeyKind::of(spki).fits(scheme)
}

/// Whether the certificate's subjectAltName covers `name`.
pub(crate) fn is_for_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let names = Certificate::parse(certificate).ok().and_then(|c| c.extensions.subject_alt_name);
    names.is_some_and(|names| names.cover(name))
}

/// What the certificate is signed with: the contents of its AlgorithmIdentifier. `None` if it is self-issued, so that
/// nobody checks its signature (RFC 9846 §4.3.3), or does not parse.
pub(crate) fn signature_algorithm<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let certificate = Certificate::parse(certificate).ok()?;
    (!certificate.is_self_issued()).then_some(certificate.signed.algorithm)
}

/// When the first of these certificates expires, in seconds since 1970; 0 if one does not parse.
pub(crate) fn expiry(chain: &[CertificateDer<'_>]) -> u64 {
    let not_after = |certificate: &CertificateDer<'_>| {
        let parsed = Certificate::parse(certificate).ok();
        parsed.and_then(|c| u64::try_from(c.not_after).ok()).unwrap_or(0)
    };
    chain.iter().map(not_after).min().unwrap_or(u64::MAX)
}

/// The DER issuer Name, with its tag.
pub(crate) fn issuer<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    Certificate::parse(certificate).ok().map(|c| c.issuer)
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
