//! What we authenticate with: a certificate chain or a raw public key, the private key or the promise of a signature, and
//! what goes along.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pki_types::pem::PemObject;
use pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer};

use crate::codepoints::{CertificateCompressionAlgorithm, CertificateType, SignatureScheme};
use crate::compress::CertificateCompression;
use crate::crypto::{Provider, SigningKey};
use crate::error::{Error, Misuse};
use crate::pem::PemKey;
use crate::verify;

/// A certificate chain, or a public key alone, with the means to sign for it.
pub struct Credential {
    /// Empty if there is a raw public key.
    chain: Vec<CertificateDer<'static>>,
    raw_public_key: Option<SubjectPublicKeyInfoDer<'static>>,
    key: Key,
    ocsp: Option<Vec<u8>>,
    scts: Option<Vec<Vec<u8>>>,
    compressed: CompressedForms,
}

/// What the chain compresses to: Certificate messages, by algorithm and by what was compressed. As many as there are
/// algorithms and kinds of peers, and at most [`CompressedForms::MAX`].
#[derive(Default)]
pub(crate) struct CompressedForms(Mutex<Vec<CompressedForm>>);

/// The algorithm, what was compressed, and to what.
type CompressedForm = (CertificateCompressionAlgorithm, Vec<u8>, Vec<u8>);

impl CompressedForms {
    const MAX: usize = 12;

    /// What `body` compresses to with `algorithm`: known from last time, or made now.
    pub(crate) fn get(
        &self,
        algorithm: &dyn CertificateCompression,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let number = algorithm.algorithm();
        let known = {
            let forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let form = forms.iter().find(|(a, from, _)| *a == number && from == body);
            form.map(|(.., to)| to.clone())
        };
        if known.is_some() {
            return known;
        }
        // Not under the lock: this may take milliseconds.
        let made = algorithm.compress(body)?;
        let mut forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if forms.len() >= Self::MAX {
            forms.remove(0);
        }
        forms.push((number, body.to_vec(), made.clone()));
        Some(made)
    }
}

/// Where signatures come from.
pub(crate) enum Key {
    /// This process holds the private key.
    Local(Arc<dyn SigningKey>),
    /// Each signature is asked for ([`Question::Signature`](crate::Question::Signature)).
    External(Vec<SignatureScheme>),
}

impl Credential {
    /// A chain, leaf first, and the private key of the leaf: PKCS#8, SEC1 or PKCS#1.
    ///
    /// # Errors
    /// [`Misuse::PrivateKey`] if the key does not parse or the provider cannot use it, [`Misuse::Credential`] if the
    /// chain is empty, the leaf does not parse, or its key is another.
    pub fn new(
        provider: &Provider,
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, Error> {
        let key = (provider.load_key)(key).map_err(|_| Misuse::PrivateKey)?;
        let leaf = chain.first().ok_or(Misuse::Credential)?;
        let spki = verify::subject_public_key_info(leaf).map_err(|_| Misuse::Credential)?;
        if spki != key.spki() {
            return Err(Misuse::Credential.into());
        }
        Ok(Self {
            chain,
            raw_public_key: None,
            key: Key::Local(key),
            ocsp: None,
            scts: None,
            compressed: CompressedForms::default(),
        })
    }

    /// A key without a certificate (RFC 7250): PKCS#8, SEC1 or PKCS#1. It is shown to peers that accept raw public keys,
    /// and is for no name in particular: of a chain and a raw key the peer's choice decides, and then their order.
    ///
    /// # Errors
    /// [`Misuse::PrivateKey`] if the key does not parse or the provider cannot use it.
    pub fn raw_public_key(provider: &Provider, key: &PrivateKeyDer<'_>) -> Result<Self, Error> {
        let key = (provider.load_key)(key).map_err(|_| Misuse::PrivateKey)?;
        let raw_public_key = Some(SubjectPublicKeyInfoDer::from(key.spki().to_vec()));
        Ok(Self {
            chain: Vec::new(),
            raw_public_key,
            key: Key::Local(key),
            ocsp: None,
            scts: None,
            compressed: CompressedForms::default(),
        })
    }

    /// The same with the private key elsewhere, as with [`Credential::external`].
    ///
    /// # Errors
    /// [`Misuse::Credential`] if `key` is none for TLS 1.3, or `schemes` has none that TLS 1.3 allows for it.
    pub fn external_raw_public_key(
        key: SubjectPublicKeyInfoDer<'static>,
        schemes: &[SignatureScheme],
    ) -> Result<Self, Error> {
        verify::check_raw_public_key(&key).map_err(|_| Misuse::Credential)?;
        let schemes = fitting(&key, schemes)?;
        let (chain, raw_public_key) = (Vec::new(), Some(key));
        Ok(Self {
            chain,
            raw_public_key,
            key: Key::External(schemes),
            ocsp: None,
            scts: None,
            compressed: CompressedForms::default(),
        })
    }

    /// The same from PEM: all certificates of `chain`, leaf first, and the first private key of `key`.
    ///
    /// # Errors
    /// As [`Credential::new`]; PEM that does not parse counts as a certificate or key that does not.
    pub fn from_pem(provider: &Provider, chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let key = PemKey::first(key).ok_or(Misuse::PrivateKey)?;
        Self::new(provider, chain.map_err(|_| Misuse::Credential)?, &key.der())
    }

    /// A chain whose private key is elsewhere: an HSM, a KMS, another process. Each signature is asked for with
    /// [`Question::Signature`](crate::Question::Signature). `schemes` is what that key can sign with, most preferred first.
    /// `rsa_pkcs1_sha256_legacy` and its like are for clients whose token can do nothing better, and for servers that ask
    /// for them (RFC 9963); on a server they sign nothing.
    ///
    /// # Errors
    /// [`Misuse::Credential`] if the chain is empty, the leaf does not parse, or `schemes` has none that TLS 1.3 allows
    /// for this key.
    pub fn external(
        chain: Vec<CertificateDer<'static>>,
        schemes: &[SignatureScheme],
    ) -> Result<Self, Error> {
        let leaf = chain.first().ok_or(Misuse::Credential)?;
        let spki = verify::subject_public_key_info(leaf).map_err(|_| Misuse::Credential)?;
        let key = Key::External(fitting(spki, schemes)?);
        Ok(Self {
            chain,
            raw_public_key: None,
            key,
            ocsp: None,
            scts: None,
            compressed: CompressedForms::default(),
        })
    }

    /// An OCSP response (DER) to staple for peers that ask (RFC 9846 §4.5.1.1). Empty means none.
    #[must_use]
    pub fn with_ocsp(mut self, response: Vec<u8>) -> Self {
        self.ocsp = Some(response).filter(|r| !r.is_empty());
        self
    }

    /// Signed certificate timestamps to send to peers that ask (RFC 6962 §3.3). None means none.
    #[must_use]
    pub fn with_scts(mut self, scts: Vec<Vec<u8>>) -> Self {
        self.scts =
            Some(scts).filter(|list| !list.is_empty() && list.iter().all(|s| !s.is_empty()));
        self
    }

    /// The chain, leaf first; empty for a raw public key.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The DER SubjectPublicKeyInfo that is shown in place of a chain.
    #[must_use]
    pub fn spki(&self) -> Option<&SubjectPublicKeyInfoDer<'static>> {
        self.raw_public_key.as_ref()
    }

    /// What the peer has to accept to be shown this.
    #[must_use]
    pub fn certificate_type(&self) -> CertificateType {
        match self.raw_public_key {
            Some(_) => CertificateType::RawPublicKey,
            None => CertificateType::X509,
        }
    }

    /// What goes into the entries of a Certificate message (RFC 9846 §4.5.1).
    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let chain = self.chain.iter().map(|certificate| certificate.as_ref());
        chain.chain(self.raw_public_key.iter().map(|key| key.as_ref()))
    }

    /// What it can sign with, most preferred first.
    #[must_use]
    pub fn schemes(&self) -> &[SignatureScheme] {
        match &self.key {
            Key::Local(key) => key.schemes(),
            Key::External(schemes) => schemes,
        }
    }

    /// The first of our schemes that the peer accepts too.
    pub(crate) fn scheme_for(&self, accepted: &[SignatureScheme]) -> Option<SignatureScheme> {
        let fits = |s: &SignatureScheme| s.is_for_client() && accepted.contains(s);
        self.schemes().iter().copied().find(fits)
    }

    /// Whether the leaf is valid for `name`.
    pub(crate) fn is_for(&self, name: &ServerName<'_>) -> bool {
        self.chain.first().is_some_and(|leaf| verify::is_for_name(leaf, name))
    }

    /// Whether every signature in the chain is of a scheme that the peer accepts in certificates (RFC 9846 §4.5.1.2).
    pub(crate) fn is_signed_with(&self, provider: &Provider, accepted: &[SignatureScheme]) -> bool {
        let algorithms = self.chain.iter().filter_map(|c| verify::signature_algorithm(c));
        { algorithms }.all(|algorithm| {
            provider.verifiers.iter().any(|verifier| {
                accepted.contains(&verifier.scheme())
                    && verifier.certificate_algorithms().contains(&algorithm)
            })
        })
    }

    /// Whether a peer that accepts these types and signature schemes can take this: it says so in its ClientHello
    /// ([`ClientHelloView`](crate::ClientHelloView)) or request ([`CredentialRequest`](crate::CredentialRequest)).
    #[must_use]
    pub fn suits(&self, types: &[CertificateType], schemes: &[SignatureScheme]) -> bool {
        types.contains(&self.certificate_type()) && self.scheme_for(schemes).is_some()
    }

    /// Whether one of the certificates was issued by one of these authorities (DER names).
    #[must_use]
    pub fn is_from(&self, authorities: &[Vec<u8>]) -> bool {
        self.chain
            .iter()
            .filter_map(|c| verify::issuer(c))
            .any(|i| authorities.iter().any(|a| a == i))
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn compressed(&self) -> &CompressedForms {
        &self.compressed
    }

    pub(crate) fn ocsp(&self) -> Option<&[u8]> {
        self.ocsp.as_deref()
    }

    pub(crate) fn scts(&self) -> Option<&[Vec<u8>]> {
        self.scts.as_deref()
    }
}

/// Those of `schemes` that TLS 1.3 allows for a key.
fn fitting(spki: &[u8], schemes: &[SignatureScheme]) -> Result<Vec<SignatureScheme>, Error> {
    let fits = |s: &&SignatureScheme| s.is_for_client() && verify::key_fits(spki, **s);
    let schemes: Vec<_> = schemes.iter().filter(fits).copied().collect();
    if schemes.is_empty() {
        return Err(Misuse::Credential.into());
    }
    Ok(schemes)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("certificates", &self.chain.len())
            .field("raw_public_key", &self.raw_public_key.is_some())
            .field("schemes", &self.schemes())
            .field("external", &matches!(self.key, Key::External(_)))
            .finish_non_exhaustive()
    }
}
