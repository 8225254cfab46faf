//! What the shim can show of itself, and which of it suits the peer: the application's own choice.

use std::cell::RefCell;
use std::fs;
use std::sync::Arc;

use sealwire::codepoints::{CertificateType, SignatureScheme};
use sealwire::crypto::{CryptoError, Rng, SigningKey};
use sealwire::pki_types::pem::PemObject;
use sealwire::pki_types::{CertificateDer, PrivateKeyDer};
use sealwire::{Credential, ExternalPsk, PskHash};

use crate::failure::Failure;
use crate::flags::{CredentialFlags, CredentialKind, Flags, Unsupported};
use crate::setup::{prefixed16, provider};

/// A certificate or raw public key.
pub(crate) struct Owned {
    /// As `-expect-selected-credential` counts: -1 is the one that no `-new-…-credential` began.
    pub(crate) index: i32,
    pub(crate) must_match_issuer: bool,
    /// With the response of `-ocsp-response`, and without.
    pub(crate) credential: Arc<Credential>,
    pub(crate) unstapled: Arc<Credential>,
    /// Makes the signatures that are asked for; `None` if it is a key that the provider refuses.
    pub(crate) key: Option<Arc<dyn SigningKey>>,
}

/// Why nothing suits the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Its type.
    Type,
    /// What it signs with.
    Scheme,
    /// One would, but for its issuer.
    Issuer,
}

/// Everything that the flags describe, in the order of preference.
pub(crate) fn owned(flags: &Flags) -> Result<Vec<Owned>, Failure> {
    let mut all = Vec::new();
    for (index, credential) in (0_i32..).zip(&flags.credentials) {
        if credential.kind != CredentialKind::Psk {
            all.push(one(credential, index)?);
        }
    }
    if flags.default_credential.key_file.is_some() {
        all.push(one(&flags.default_credential, -1)?);
    }
    Ok(all)
}

/// The first that suits a peer which accepts these types and schemes, and knows these authorities.
pub(crate) fn choose<'a>(
    all: &'a [Owned],
    types: &[CertificateType],
    schemes: &[SignatureScheme],
    authorities: &[Vec<u8>],
) -> Result<&'a Owned, Misfit> {
    let usable = || all.iter().filter(|owned| owned.credential.suits(types, schemes));
    let known = |owned: &&Owned| !owned.must_match_issuer || owned.credential.is_from(authorities);
    let of_type = all.iter().any(|owned| types.contains(&owned.credential.certificate_type()));
    match (usable().find(known), usable().next()) {
        (Some(owned), _) => Ok(owned),
        (None, Some(_)) => Err(Misfit::Issuer),
        (None, None) if of_type => Err(Misfit::Scheme),
        (None, None) => Err(Misfit::Type),
    }
}

fn one(flags: &CredentialFlags, index: i32) -> Result<Owned, Failure> {
    PREFERENCES.set(flags.signing_prefs.iter().map(|id| SignatureScheme(*id)).collect());
    let mut provider = provider();
    provider.load_key = load_key;
    let path = flags.key_file.as_ref().ok_or_else(|| unsupported("a credential without a key"))?;
    let der = PrivateKeyDer::from_pem_slice(&fs::read(path)?);
    let der = der.map_err(|_| unsupported("-key-file"))?;
    let key = (provider.load_key)(&der).ok();
    let must_match_issuer = flags.must_match_issuer;
    if flags.kind == CredentialKind::RawPublicKey {
        let credential = Credential::raw_public_key(&provider, &der).map_err(Failure::setup)?;
        let credential = Arc::new(credential);
        let unstapled = credential.clone();
        return Ok(Owned { index, must_match_issuer, credential, unstapled, key });
    }
    let chain = match &flags.cert_file {
        Some(path) => certificates(path)?,
        None => Vec::new(),
    };
    let scts = timestamps(&flags.signed_cert_timestamps)?;
    let new = || match (&key, flags.signing_prefs.is_empty()) {
        (None, true) => Credential::external(chain.clone(), SMALL_RSA),
        _ => Credential::new(&provider, chain.clone(), &der),
    };
    if key.is_none() && new().is_err() {
        return Err(unsupported("-key-file"));
    }
    let stapled = new().map_err(Failure::setup)?.with_scts(scts.clone());
    let credential = Arc::new(stapled.with_ocsp(flags.ocsp_response.clone()));
    let unstapled = Arc::new(new().map_err(Failure::setup)?.with_scts(scts));
    Ok(Owned { index, must_match_issuer, credential, unstapled, key })
}

/// An RSA key that is too small for the provider is one that is elsewhere. Of 1024 bits, it cannot sign with SHA-512.
const SMALL_RSA: &[SignatureScheme] =
    &[SignatureScheme::rsa_pss_rsae_sha256, SignatureScheme::rsa_pss_rsae_sha384];

/// `-new-psk-credential`
pub(crate) fn psks(flags: &Flags) -> Result<Vec<Arc<ExternalPsk>>, Failure> {
    let one = |psk: &CredentialFlags| {
        let hash = if psk.sha384 { PskHash::Sha384 } else { PskHash::Sha256 };
        let new = ExternalPsk::new(&psk.identity, &psk.key)?.with_hash(hash);
        new.with_context(&psk.context).map(Arc::new)
    };
    flags.psks().map(one).collect::<Result<_, _>>().map_err(Failure::setup)
}

pub(crate) fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = fs::read(path)?;
    let list = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>();
    list.map_err(|_| unsupported("certificates that are not PEM"))
}

/// A `SignedCertificateTimestampList` as it is in the extension (RFC 6962 §3.3).
fn timestamps(list: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let bad = || Failure::Expected("malformed -signed-cert-timestamps".into());
    let Some((length, rest)) = list.split_first_chunk::<2>() else {
        return Ok(Vec::new());
    };
    if usize::from(u16::from_be_bytes(*length)) != rest.len() || rest.is_empty() {
        return Err(bad());
    }
    prefixed16(rest).ok_or_else(bad)
}

/// The same list from its parts, to be compared with what a test expects.
pub(crate) fn timestamp_list(scts: &[Vec<u8>]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    let list: Vec<u8> = scts.iter().flat_map(|s| [&length(s)[..], s].concat()).collect();
    [&length(&list)[..], &list].concat()
}

fn unsupported(what: &str) -> Failure {
    Failure::Unsupported(Unsupported(what.to_owned()))
}

thread_local! {
    /// `-signing-prefs`, for [`load_key`], which takes no more than the key.
    static PREFERENCES: RefCell<Vec<SignatureScheme>> = const { RefCell::new(Vec::new()) };
}

/// Loads a key that claims to sign with `-signing-prefs`, the forbidden ones among them too.
fn load_key(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, CryptoError> {
    let key = (provider().load_key)(der)?;
    let mut schemes = PREFERENCES.with_borrow(Clone::clone);
    if schemes.is_empty() {
        return Ok(key);
    }
    schemes.retain(|scheme| key.schemes().contains(scheme) || !scheme.is_for_handshake());
    Ok(Arc::new(PreferringKey { key, der: der.clone_key(), schemes }))
}

/// A key with preferences.
struct PreferringKey {
    key: Arc<dyn SigningKey>,
    der: PrivateKeyDer<'static>,
    schemes: Vec<SignatureScheme>,
}

impl SigningKey for PreferringKey {
    fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    fn spki(&self) -> &[u8] {
        self.key.spki()
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, CryptoError> {
        match scheme {
            SignatureScheme::rsa_pkcs1_sha256_legacy => self.sign_as_token(message),
            _ => self.key.sign(scheme, message, rng),
        }
    }
}

impl PreferringKey {
    /// Signs as a token does that knows PKCS#1 v1.5 alone. No provider does (RFC 9963).
    fn sign_as_token(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        use ring::{rand, signature};
        let PrivateKeyDer::Pkcs8(der) = &self.der else { return Err(CryptoError) };
        let pair = signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der());
        let pair = pair.map_err(|_| CryptoError)?;
        let mut signature = vec![0; pair.public().modulus_len()];
        let padding = &signature::RSA_PKCS1_SHA256;
        let signed = pair.sign(padding, &rand::SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| CryptoError)
    }
}
