//! Judging a peer's certificates: path building and validation (RFC 5280 §6) and names (RFC 9525), over x509-parser.
//!
//! ```text
//!   mod          the public face, and what credentials ask about their own certificates
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
mod verification;

use std::sync::Arc;

use pki_types::{CertificateDer, ServerName, UnixTime};

pub use self::anchor::TrustAnchors;
use self::certificate::Certificate;
use self::chain::{Found, Inputs, Search};
pub use self::crl::Crls;
pub use self::evidence::Evidence;
use self::evidence::Policies;
use self::identity::AllowedNames;
pub use self::identity::CertificateName;
use self::key::KeyKind;
use self::pins::Pins;
use self::raw_key::RawKeys;
pub use self::revocation::Revocation;
pub use self::sct::{CtLog, Transparency};
use self::signature::Cache;
use self::spiffe::Spiffe;
use self::trust::Exact;
pub use self::trust::TrustVersion;
use self::verification::State;
pub use self::verification::Verification;
use crate::codepoints::{CertificateType, SignatureScheme};
use crate::crypto::Provider;
use crate::error::{CertificateError, CertificateReason, CertificateReport};
use crate::limits::Budget;
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
/// Clones share one memory of at most 1,024 signatures that were good (2 MiB, with what they sign; it grows as it is used), so that who meets the same intermediate or the
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
        let (this, budget) = (self.current(), &mut Budget::default());
        this.verify_within(budget, provider, chain, purpose, name, now, evidence)
    }

    /// The same at the expense of this budget, and by what was in the handles when [`Verifier::current`] was called: a
    /// connection keeps what it began with.
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
        match self.begin(*budget, provider, chain, purpose, name, now, evidence)? {
            Begun::Accepted { count, until, .. } => Ok(VerifiedPath::unjudged(chain, count, until)),
            Begun::Searching(mut search) => {
                let verdict = search.run();
                *budget = search.budget();
                Ok(VerifiedPath::new(verdict?, chain))
            }
        }
    }

    /// Begins what [`Verifier::verify`] does, to be done in steps. What is in a [`Shared`] handle counts as it was when
    /// [`Verifier::current`] made this verifier.
    pub fn start<'v, 'c: 'v>(
        &'v self,
        provider: &'v Provider,
        chain: &'c [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&'v ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'v>,
    ) -> Verification<'v, 'c> {
        let budget = Budget::default();
        let state = match self.begin(budget, provider, chain, purpose, name, now, evidence) {
            Ok(Begun::Searching(search)) => State::Searching(Box::new(search)),
            Ok(Begun::Accepted { count, until, .. }) => {
                State::Done(Ok(VerifiedPath::unjudged(chain, count, until)))
            }
            Err(error) => State::Done(Err(error)),
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
        let (this, budget) = (self.current(), Budget::default());
        let begun = this.begin(budget, provider, chain, purpose, name, now, evidence);
        let told = begun.and_then(|begun| match begun {
            Begun::Accepted { why, .. } => {
                Ok(CertificateReport { notes: vec![why.to_owned()], ..Default::default() })
            }
            Begun::Searching(mut search) => {
                let found = search.run()?;
                Ok(search.explain(&found))
            }
        });
        told.unwrap_or_else(|error| Arc::unwrap_or_clone(error.report))
    }

    /// A search from the first certificate of the chain, unless there is nothing to search for. Who is refused at once is
    /// told why, too.
    #[allow(clippy::too_many_arguments)] // the public ones', and the budget
    fn begin<'a>(
        &'a self,
        budget: Budget,
        provider: &'a Provider,
        chain: &'a [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&'a ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'a>,
    ) -> Result<Begun<'a>, CertificateError> {
        let begun = self.begin_untold(budget, provider, chain, purpose, name, now, evidence);
        begun.map_err(|error| {
            report::of_chain(&self.rules, provider, chain, purpose, now, error.reason)
        })
    }

    #[allow(clippy::too_many_arguments)] // as above
    fn begin_untold<'a>(
        &'a self,
        budget: Budget,
        provider: &'a Provider,
        chain: &'a [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&'a ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'a>,
    ) -> Result<Begun<'a>, CertificateError> {
        let none = CertificateReason::Malformed { what: "there is no certificate" };
        let (leaf, intermediates) = chain.split_first().ok_or(none)?;
        let rules = &*self.rules;
        if let Mode::AcceptAny = rules.mode {
            let why = "this verifier accepts every certificate";
            return Ok(Begun::Accepted { count: chain.len(), until: u64::MAX, why });
        }
        let leaf = parse(leaf)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let said = |fault: cause::Fault<'_>| fault.reason(report::subject(&leaf));
        let of_itself = step::check_leaf(&leaf, purpose, now).map_err(said);
        if rules.knows(provider, &leaf) {
            of_itself?;
            rules.check_leaf(&leaf)?;
            rules.check_path(provider, &[&leaf], (leaf.spki, None))?;
            let until = u64::try_from(leaf.not_after).unwrap_or(0);
            let why = "this very certificate is trusted";
            return Ok(Begun::Accepted { count: 1, until, why });
        }
        let (anchors, max_depth, name) = match &rules.mode {
            Mode::Spiffe { spiffe, max_depth } => (spiffe.bundle_of(&leaf)?, *max_depth, None),
            Mode::Anchors { anchors, max_depth } => (anchors, *max_depth, name),
            Mode::AcceptAny => return Err(CertificateReason::Refused.into()),
        };
        let of_rules = rules.check_leaf(&leaf);
        let of_its_name = name.map_or(Ok(()), |name| step::check_name(&leaf, name));
        let of_profile = match rules.profile {
            Profile::Default => Ok(()),
            Profile::Strict => strict::check_leaf(&leaf).map_err(said),
        };
        let verdicts = [of_itself, of_rules, of_its_name, of_profile];
        let faults = verdicts.into_iter().filter_map(Result::err).collect();
        let inputs = Inputs {
            provider,
            anchors,
            cache: &self.cache,
            purpose,
            name,
            max_depth,
            now,
            evidence,
            policies: &rules.policies,
            rules,
        };
        Ok(Begun::Searching(Search::new(inputs, budget, leaf, faults, intermediates)))
    }
}

/// How a verdict begins.
#[allow(clippy::large_enum_variant)] // it is moved once, which costs less than a place on the heap
enum Begun<'a> {
    Searching(Search<'a>),
    /// So many certificates of the chain are accepted as they are.
    Accepted {
        count: usize,
        /// The last second in which they are good.
        until: u64,
        why: &'static str,
    },
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

    fn unjudged(chain: &'a [CertificateDer<'_>], count: usize, until: u64) -> Self {
        let certificates = chain.iter().take(count).map(borrow).collect();
        Self { certificates, anchor: None, logs: Vec::new(), until }
    }
}

fn borrow<'a>(certificate: &'a CertificateDer<'_>) -> CertificateDer<'a> {
    CertificateDer::from(certificate.as_ref())
}

/// RFC 9846 §4.5.1.2: whether the certificate's key may sign at all: no keyUsage, or one with digitalSignature. This
/// holds whatever the verdict on the chain is.
pub(crate) fn leaf_may_sign(certificate: &CertificateDer<'_>) -> Result<(), CertificateError> {
    let leaf = parse(certificate)?;
    step::may_sign(&leaf).map_err(|fault| {
        let reason = fault.reason(report::subject(&leaf));
        let report = Arc::new(report::of_leaf(&leaf, reason.clone()));
        CertificateError { reason, report }
    })
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
