//! The named ways to trust besides anchors: this very certificate, this very key, a pin beside the chain, SPIFFE IDs, names.
//! Each is a builder method of [`Verifier`]; what they build is judged here, and on the way of the search.

use pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use super::certificate::Certificate;
use super::identity::AllowedNames;
use super::pins::Pins;
use super::spiffe::Spiffe;
use super::{
    CertificateName, DEFAULT_MAX_DEPTH, Mode, Revocation, Rules, TrustAnchors, Verifier, raw_key,
    report,
};
use crate::codepoints::CertificateType;
use crate::crypto::Provider;
use crate::error::{CertificateError, CertificateReason as Reason, Error, Misuse};
use crate::shared::Shared;

/// A certificate that is known by heart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exact {
    Der(CertificateDer<'static>),
    Sha256([u8; 32]),
}

/// Which versions of what a [`Shared`] handle holds have judged a peer. 0 stands for a handle that had no say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustVersion {
    /// Of the trust anchors; with SPIFFE, of the bundle of the peer's trust domain.
    pub anchors: u64,
    /// Of the CRLs ([`Revocation::with_crls`](crate::Revocation::with_crls)).
    pub crls: u64,
}

impl Verifier {
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
            Mode::Anchors { .. } | Mode::Spiffe { .. } => self.rules.types.contains(each),
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

    /// Judges a raw public key: a DER SubjectPublicKeyInfo that the peer showed in place of a chain. `Ok` means that it
    /// is one of the trusted keys.
    ///
    /// # Errors
    /// [`UntrustedKey`](Reason::UntrustedKey) if it is not; or why it can be none for TLS 1.3.
    pub fn verify_raw_public_key(
        &self,
        provider: &Provider,
        key: &SubjectPublicKeyInfoDer<'_>,
    ) -> Result<(), CertificateError> {
        let verdict = match self.rules.mode {
            Mode::Anchors { .. } | Mode::Spiffe { .. } => self.rules.raw_keys.judge(provider, key),
            Mode::AcceptAny => raw_key::check(key),
        };
        verdict.map_err(report::of_raw_key)
    }

    /// Accepts these very certificates, too, whoever made them: self-signed ones of devices, for example. With
    /// [`Verifier::new`] of no anchors they are all that is accepted.
    ///
    /// Validity, key usage, purpose and the strength of the key are judged as ever, and so is what
    /// [`with_names`](Self::with_names) and [`with_spki_pins`](Self::with_spki_pins) ask for. The server's name is not: who
    /// knows the certificate needs no name, and each server whose certificate differs wants a verifier of its own.
    /// Revocation is not looked at: to revoke such a certificate is to take it out of here.
    #[must_use]
    pub fn with_certificates(
        mut self,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Self {
        self.rules_mut().exact.extend(certificates.into_iter().map(Exact::Der));
        self
    }

    /// As [`with_certificates`](Self::with_certificates), by the SHA-256 of their DER: what tools print as the SHA-256
    /// fingerprint.
    #[must_use]
    pub fn with_certificate_hashes(mut self, sha256: &[[u8; 32]]) -> Self {
        self.rules_mut().exact.extend(sha256.iter().copied().map(Exact::Sha256));
        self
    }

    /// Asks for one of these keys on the path, besides everything else: of the peer's certificate, of a CA or of the anchor.
    /// A pin is the SHA-256 of a DER SubjectPublicKeyInfo. `current` are those in use, `backups` those that will take over,
    /// whose private keys have to be elsewhere: who pins only what is in use is locked out when it is lost (RFC 7469 §4.3).
    ///
    /// # Errors
    /// [`Misuse::Config`] if there is no current pin or no backup, or one is both.
    pub fn with_spki_pins(
        mut self,
        current: &[[u8; 32]],
        backups: &[[u8; 32]],
    ) -> Result<Self, Error> {
        self.rules_mut().pins = Some(Pins::new(current, backups)?);
        Ok(self)
    }

    /// Asks that the peer's certificate have one of these names, besides everything else; none at all means that nobody is
    /// accepted. They are compared as they are: a wildcard in a certificate is no other name, a URI is the same byte for
    /// byte. This is for clients, mostly; that a server's certificate is for the server is asked in any case. Raw public
    /// keys have no names and are not asked for any.
    ///
    /// # Errors
    /// [`Misuse::Config`] if one is malformed, so that no certificate can have it.
    pub fn with_names(
        mut self,
        names: impl IntoIterator<Item = CertificateName>,
    ) -> Result<Self, Error> {
        self.rules_mut().names = Some(AllowedNames::new(names)?);
        Ok(self)
    }

    /// Accepts SPIFFE workloads: each trust domain (`example.org`) with the CAs of its bundle. Several are a federation: a
    /// chain is judged by the bundle of its own trust domain, and by no other.
    ///
    /// The peer's certificate must be an X509-SVID: exactly one URI, `spiffe://trust-domain/path`; a key that signs and
    /// signs no certificates. The server's name is not looked at, since the ID takes its place. Everybody is accepted for
    /// whom a bundle vouches, unless [`with_spiffe_ids`](Self::with_spiffe_ids) says whom;
    /// [`Summary::peer_names`](crate::Summary::peer_names) has the ID.
    ///
    /// # Errors
    /// [`Misuse::Config`] if a trust domain is malformed or comes twice.
    pub fn spiffe<B: Into<Shared<TrustAnchors>>>(
        bundles: impl IntoIterator<Item = (String, B)>,
    ) -> Result<Self, Error> {
        let bundles = bundles.into_iter().map(|(domain, bundle)| (domain, bundle.into()));
        let spiffe = Spiffe::new(bundles)?;
        Ok(Self::with_mode(Mode::Spiffe { spiffe, max_depth: DEFAULT_MAX_DEPTH }))
    }

    /// Of SPIFFE workloads, only these: `spiffe://example.org/web`, or `spiffe://example.org` for all of a trust domain.
    ///
    /// # Errors
    /// [`Misuse::Config`] if one is malformed or of a trust domain without a bundle, or this is not a verifier for SPIFFE.
    pub fn with_spiffe_ids(mut self, ids: &[&str]) -> Result<Self, Error> {
        match &mut self.rules_mut().mode {
            Mode::Spiffe { spiffe, .. } => spiffe.allow(ids)?,
            Mode::Anchors { .. } | Mode::AcceptAny => {
                return Err(Misuse::Config("SPIFFE IDs need Verifier::spiffe").into());
            }
        }
        Ok(self)
    }

    /// This verifier as it is now: it goes by what is in its [`Shared`] handles at this moment, whatever is put into them
    /// later. A connection takes it when it begins.
    #[must_use]
    pub fn current(&self) -> Self {
        let mut this = self.clone();
        if self.rules.is_stale() {
            this.rules_mut().refresh();
        }
        this
    }

    /// Which versions judge this chain, if any do.
    pub(crate) fn version_for(&self, chain: &[CertificateDer<'_>]) -> Option<TrustVersion> {
        let leaf = Certificate::parse(chain.first()?).ok()?;
        let anchors = match &self.rules.mode {
            Mode::Anchors { anchors, .. } => anchors.version(),
            Mode::Spiffe { spiffe, .. } => spiffe.bundle_of(&leaf).ok()?.version(),
            Mode::AcceptAny => return None,
        };
        let crls = self.rules.policies.revocation.as_ref().map_or(0, Revocation::version);
        Some(TrustVersion { anchors, crls })
    }
}

impl Rules {
    fn is_stale(&self) -> bool {
        let crls = self.policies.revocation.as_ref().is_some_and(Revocation::is_stale);
        let anchors = match &self.mode {
            Mode::Anchors { anchors, .. } => anchors.is_stale(),
            Mode::Spiffe { spiffe, .. } => spiffe.is_stale(),
            Mode::AcceptAny => false,
        };
        crls || anchors
    }

    fn refresh(&mut self) {
        if let Some(revocation) = &mut self.policies.revocation {
            revocation.refresh();
        }
        match &mut self.mode {
            Mode::Anchors { anchors, .. } => anchors.refresh(),
            Mode::Spiffe { spiffe, .. } => spiffe.refresh(),
            Mode::AcceptAny => {}
        }
    }

    /// Whether some certificates are trusted each by itself.
    pub(super) fn knows_some(&self) -> bool {
        !self.exact.is_empty()
    }

    /// Whether this very certificate is trusted.
    pub(super) fn knows(&self, provider: &Provider, leaf: &Certificate<'_>) -> bool {
        self.exact.iter().any(|exact| match exact {
            Exact::Der(der) => der.as_ref() == leaf.der,
            Exact::Sha256(hash) => *hash == provider.fingerprint(leaf.der),
        })
    }

    /// What is asked of the leaf beyond RFC 5280 and the server's name.
    pub(super) fn check_leaf(&self, leaf: &Certificate<'_>) -> Result<(), Reason> {
        if let Mode::Spiffe { spiffe, .. } = &self.mode {
            spiffe.check_leaf(leaf)?;
        }
        self.names.as_ref().map_or(Ok(()), |names| names.check(leaf))
    }

    /// Whether anything is asked of a whole path.
    pub(super) fn ask_of_paths(&self) -> bool {
        self.pins.is_some() || matches!(self.mode, Mode::Spiffe { .. })
    }

    /// What is asked of a whole path: the peer's certificate, then the CAs, then the anchor's key and its certificate if it
    /// has one.
    pub(super) fn check_path(
        &self,
        provider: &Provider,
        path: &[&Certificate<'_>],
        (anchor_key, anchor): (&[u8], Option<&Certificate<'_>>),
    ) -> Result<(), Reason> {
        if let Mode::Spiffe { .. } = self.mode {
            let issuers = path.iter().skip(1).copied().chain(anchor);
            { issuers }.try_for_each(Spiffe::check_issuer)?;
        }
        match &self.pins {
            Some(pins) => pins.check(provider, path.iter().map(|c| c.spki).chain([anchor_key])),
            None => Ok(()),
        }
    }

    /// What stands for all of this in the verifier's fingerprint.
    pub(super) fn fingerprint(&self, provider: &Provider) -> Vec<u8> {
        let mut exact: Vec<[u8; 32]> = { self.exact.iter() }
            .map(|exact| match exact {
                Exact::Der(der) => provider.fingerprint(der),
                Exact::Sha256(hash) => *hash,
            })
            .collect();
        exact.sort_unstable();
        exact.dedup();
        let exact = (!exact.is_empty()).then(|| provider.fingerprint(exact.as_flattened()));
        let parts = [
            self.raw_keys.fingerprint(provider),
            exact,
            self.pins.as_ref().map(|pins| pins.fingerprint(provider)),
            self.names.as_ref().map(|names| names.fingerprint(provider)),
        ];
        let mut data = Vec::new();
        for part in parts {
            data.push(part.is_some().into());
            data.extend(part.unwrap_or_default());
        }
        data.extend(self.types.iter().map(|each| each.0));
        data
    }
}
