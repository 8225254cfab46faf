//! Trust anchors: whom we believe without asking further (RFC 5280 §6.1.1 (d)).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use pki_types::pem::PemObject;
use pki_types::{CertificateDer, TrustAnchor};

use super::certificate::Certificate;
use super::{constraint, der, directory};
use crate::crypto::Provider;
use crate::error::{Error, Misuse};

/// Trusted roots. Cheap to clone: all clones share one list, which never changes.
///
/// An anchor that was given as a certificate is held to what the certificate says: validity, CA bit, path length, key
/// usage and name constraints. An intermediate may be an anchor; its own issuer is then not asked for.
#[derive(Clone, Default)]
pub struct TrustAnchors {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    anchors: Vec<Anchor>,
    /// Where the anchors are whose subjects have this [`directory::hash`].
    by_subject: BTreeMap<u64, Vec<usize>>,
    ignored: usize,
    fingerprint: OnceLock<[u8; 32]>,
}

/// One anchor.
#[derive(Clone)]
pub(super) enum Anchor {
    /// A certificate.
    Certificate(Box<Stored>),
    /// A name and a key, with the contents of its name constraints.
    Key { subject: Vec<u8>, spki: Vec<u8>, name_constraints: Option<Vec<u8>> },
}

/// A certificate, read once and kept with what was read.
#[derive(Clone)]
pub(super) struct Stored {
    der: CertificateDer<'static>,
    /// What is no slice of the DER; all slices are empty.
    values: Certificate<'static>,
    /// Where the slices are, in the order of [`Certificate::map`].
    slices: Vec<Range<usize>>,
}

impl TrustAnchors {
    /// Trusts these certificates. Those that do not parse are left out, since system stores hold such ones, and counted
    /// in [`TrustAnchors::ignored`].
    pub fn from_certificates<'a>(
        certificates: impl IntoIterator<Item = CertificateDer<'a>>,
    ) -> Self {
        let mut inner = Inner::default();
        for certificate in certificates {
            inner.add_certificate(certificate.into_owned());
        }
        Self { inner: Arc::new(inner) }
    }

    /// Trusts the certificates in PEM text; anything else in it is skipped. Those that do not parse as certificates
    /// are left out, as in [`TrustAnchors::from_certificates`].
    ///
    /// # Errors
    /// [`Misuse::Config`] if the text is not PEM, or holds no certificate that parses.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let certificates =
            certificates.map_err(|_| Misuse::Config("the trusted roots are not PEM"))?;
        let this = Self::from_certificates(certificates);
        if this.is_empty() {
            return Err(Misuse::Config("there is no usable certificate among the roots").into());
        }
        Ok(this)
    }

    /// Trusts names and keys without certificates, as `webpki-roots` has them. They have no validity. Those whose name
    /// constraints do not parse are left out and counted in [`TrustAnchors::ignored`].
    pub fn from_anchors(anchors: impl IntoIterator<Item = TrustAnchor<'static>>) -> Self {
        let mut inner = Inner::default();
        for anchor in anchors {
            // These types carry contents without the outer SEQUENCE.
            let subject = der::sequence(&anchor.subject);
            let spki = der::sequence(&anchor.subject_public_key_info);
            let name_constraints = anchor.name_constraints.map(|nc| nc.to_vec());
            let sound = name_constraints.as_deref().is_none_or(constraint::is_well_formed);
            match directory::hash(&subject).filter(|_| sound) {
                Some(hash) => inner.add(hash, Anchor::Key { subject, spki, name_constraints }),
                None => inner.ignored += 1,
            }
        }
        Self { inner: Arc::new(inner) }
    }

    /// Trusts what the operating system trusts, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name. This reads files.
    ///
    /// # Errors
    /// [`Misuse::Config`] if no certificate was found there.
    #[cfg(feature = "native-certs")]
    pub fn system() -> Result<Self, Error> {
        let this = Self::from_certificates(rustls_native_certs::load_native_certs().certs);
        if this.is_empty() {
            return Err(Misuse::Config("the system has no root certificates").into());
        }
        Ok(this)
    }

    /// Trusts Mozilla's roots, as they were when the `webpki-roots` crate was released.
    #[cfg(feature = "webpki-roots")]
    #[must_use]
    pub fn mozilla() -> Self {
        Self::from_anchors(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
    }

    /// All of these, and `more`.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        let mut inner = Inner { ignored: self.ignored() + more.ignored(), ..Inner::default() };
        for anchor in self.inner.anchors.iter().chain(&more.inner.anchors) {
            inner.add(anchor.subject_hash(), anchor.clone());
        }
        Self { inner: Arc::new(inner) }
    }

    /// How many anchors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.anchors.len()
    }

    /// Whether nobody is trusted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.anchors.is_empty()
    }

    /// How many of the given certificates or anchors were left out because they do not parse.
    #[must_use]
    pub fn ignored(&self) -> usize {
        self.inner.ignored
    }

    /// DER subjects (whole Name, with its tag), for `certificate_authorities`; each once.
    pub(crate) fn subjects(&self) -> Vec<Vec<u8>> {
        let mut seen = std::collections::HashSet::new();
        let subjects = self.inner.anchors.iter().map(Anchor::subject);
        subjects.filter(|s| seen.insert(*s)).map(<[u8]>::to_vec).collect()
    }

    /// 32 bytes that stand for this set of anchors, whatever their order.
    pub(super) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        *self.inner.fingerprint.get_or_init(|| {
            let each = self.inner.anchors.iter().map(|anchor| match anchor {
                Anchor::Certificate(stored) => {
                    provider.fingerprint(&[b"certificate", &stored.der[..]].concat())
                }
                Anchor::Key { subject, spki, name_constraints } => {
                    let constraints = name_constraints.as_deref().unwrap_or_default();
                    // Subject and key are DER, so that each says itself where it ends.
                    provider.fingerprint(&[b"key", &subject[..], &spki[..], constraints].concat())
                }
            });
            let mut each: Vec<[u8; 32]> = each.collect();
            each.sort_unstable();
            provider.fingerprint(each.as_flattened())
        })
    }

    /// Whether this very certificate is an anchor.
    pub(super) fn contain(&self, certificate: &[u8]) -> bool {
        let mut anchors = self.inner.anchors.iter();
        anchors.any(|it| matches!(it, Anchor::Certificate(stored) if *stored.der == *certificate))
    }

    /// The anchors whose name has this hash.
    pub(super) fn named(&self, hash: u64) -> impl Iterator<Item = &Anchor> {
        let places = self.inner.by_subject.get(&hash).into_iter().flatten();
        places.filter_map(|place| self.inner.anchors.get(*place))
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustAnchors")
            .field("len", &self.len())
            .field("ignored", &self.ignored())
            .finish()
    }
}

impl Inner {
    fn add_certificate(&mut self, der: CertificateDer<'static>) {
        match Stored::read(der) {
            Some(stored) => {
                self.add(stored.values.subject_hash, Anchor::Certificate(Box::new(stored)));
            }
            None => self.ignored += 1,
        }
    }

    fn add(&mut self, hash: u64, anchor: Anchor) {
        let same_name = self.by_subject.entry(hash).or_default();
        // The same certificate twice would only be tried twice.
        let known = |i: &usize| self.anchors.get(*i).is_some_and(|a| a.same(&anchor));
        if !same_name.iter().any(known) {
            same_name.push(self.anchors.len());
            self.anchors.push(anchor);
        }
    }
}

impl Anchor {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Certificate(a), Self::Certificate(b)) => a.der == b.der,
            (
                Self::Key { subject, spki, name_constraints },
                Self::Key { subject: s, spki: k, name_constraints: n },
            ) => subject == s && spki == k && name_constraints == n,
            _ => false,
        }
    }

    fn subject(&self) -> &[u8] {
        match self {
            Self::Certificate(stored) => stored.certificate().subject,
            Self::Key { subject, .. } => subject,
        }
    }

    fn subject_hash(&self) -> u64 {
        match self {
            Self::Certificate(stored) => stored.values.subject_hash,
            Self::Key { subject, .. } => directory::hash(subject).unwrap_or(0),
        }
    }
}

impl Stored {
    fn read(der: CertificateDer<'static>) -> Option<Self> {
        let certificate = Certificate::parse(&der).ok()?;
        let begin = der.as_ptr().addr();
        let mut slices = Vec::new();
        let values = certificate.map(|slice| {
            let start = slice.as_ptr().addr().wrapping_sub(begin);
            slices.push(start..start.wrapping_add(slice.len()));
            &[]
        });
        Some(Self { values, slices, der })
    }

    /// The certificate as it was read.
    pub(super) fn certificate(&self) -> Certificate<'_> {
        let mut slices = self.slices.iter();
        self.values.map(|_| {
            let slice = slices.next().and_then(|place| self.der.get(place.clone()));
            slice.unwrap_or_default()
        })
    }
}
