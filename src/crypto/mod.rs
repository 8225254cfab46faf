//! What Sealwire asks of cryptography: seven small traits, and the [`Provider`] value that lists implementations.
//!
//! ```text
//!   Provider ── suites ────► CipherSuite ──► Aead ──► AeadKey      a record's seal and open
//!            │                           └─► Hash ──► HashContext  transcript, HMAC; HKDF is built on them
//!            ├─ groups ────► KeyExchange ──► KeyPair               shares and shared secrets
//!            ├─ verifiers ─► SignatureVerifier                     the peer's signatures
//!            ├─ load_key ──► SigningKey                            our own
//!            └─ rng ───────► Rng
//! ```
//!
//! A provider is a plain value without global state: two configurations in one process may use two.
//!
//! The crates `ring` and `aws-lc-rs` have the same interface for the greater part. What is written against that part is in
//! `shared/`, once, and compiled for each: there `super::backend` is the crate. Where they differ, each provider has a
//! file of its own.

use std::fmt;
use std::sync::Arc;

use pki_types::PrivateKeyDer;

use crate::codepoints::{CipherSuiteId, NamedGroup, SignatureScheme};
pub use crate::error::CryptoError;
use crate::secret::Secret;

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
#[cfg(any(feature = "ring", feature = "aws-lc"))]
mod der;
#[cfg(feature = "test-support")]
pub mod deterministic;
#[cfg(any(all(feature = "ml-kem", feature = "ring"), feature = "aws-lc"))]
mod hybrid;
#[cfg(any(feature = "ring", feature = "aws-lc"))]
mod key_form;
#[cfg(all(feature = "ml-kem", feature = "ring"))]
mod ml_kem;
#[cfg(feature = "ring")]
pub mod ring;

/// The cryptography that a configuration uses: slices of implementations, each in order of preference.
#[derive(Clone)]
pub struct Provider {
    /// The cipher suites.
    pub suites: &'static [&'static CipherSuite],
    /// The key exchange groups that a configuration has if it does not say which.
    pub groups: &'static [&'static dyn KeyExchange],
    /// Groups for configurations that name them.
    pub more_groups: &'static [&'static dyn KeyExchange],
    /// The signature algorithms for certificates and CertificateVerify.
    pub verifiers: &'static [&'static dyn SignatureVerifier],
    /// Turns a private key (PKCS#8, SEC1 or PKCS#1) into something that signs.
    pub load_key: fn(&PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, CryptoError>,
    /// SHA-1, by which nearly all OCSP responses name issuers and responders (RFC 6960 §4.1.1, §4.2.1), and which nothing is
    /// believed by. Without it such responses are not understood.
    pub sha1: Option<fn(&[u8]) -> HashValue>,
    /// The source of randomness for hellos, key pairs and salts.
    pub rng: Arc<dyn Rng>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("suites", &self.suites)
            .field("groups", &self.groups.iter().map(|g| g.group()).collect::<Vec<_>>())
            .field("verifiers", &self.verifiers.iter().map(|v| v.scheme()).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// The suite with this number, if the provider has it.
    #[must_use]
    pub fn suite(&self, id: CipherSuiteId) -> Option<&'static CipherSuite> {
        self.suites.iter().copied().find(|s| s.id == id)
    }

    /// The group with this number, if the provider has it.
    #[must_use]
    pub fn group(&self, id: NamedGroup) -> Option<&'static dyn KeyExchange> {
        self.groups.iter().chain(self.more_groups).copied().find(|g| g.group() == id)
    }

    /// 32 bytes that stand for `data`, for names and bindings of our own: with SHA-256, if the provider has it.
    pub(crate) fn fingerprint(&self, data: &[u8]) -> [u8; 32] {
        self.digest(&[data]).unwrap_or_default()
    }

    /// The first 32 bytes of a hash of these, one after the other: SHA-256, if the provider has it. `None` if it has no
    /// hash at all.
    pub(crate) fn digest(&self, data: &[&[u8]]) -> Option<[u8; 32]> {
        let short = self.suites.iter().find(|suite| suite.hash.output_len() == 32);
        let mut context = short.or(self.suites.first())?.hash.start();
        data.iter().for_each(|part| context.update(part));
        context.current().as_ref().first_chunk().copied()
    }

    /// The hash of this length, 32 or 48, if a suite of the provider has it: SHA-256 or SHA-384.
    pub(crate) fn hash(&self, len: usize, data: &[u8]) -> Option<HashValue> {
        let suite = self.suites.iter().find(|suite| suite.hash.output_len() == len);
        suite.map(|suite| suite.hash.digest(data))
    }

    /// Checks a CertificateVerify signature: `scheme` fixes the hash, and the curve too (RFC 9846 §4.5.2). Who may sign
    /// with it is not asked here.
    ///
    /// # Errors
    /// If no verifier of the provider takes this scheme with this kind of key, or the signature is wrong.
    pub fn verify_handshake(
        &self,
        scheme: SignatureScheme,
        spki: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let name = scheme.legacy_pkcs1().unwrap_or(scheme);
        let verifier = self
            .verifiers
            .iter()
            .find(|v| v.scheme() == name && scheme.is_for_client() && !v.certificate_only());
        verifier.ok_or(CryptoError)?.verify(spki, message, signature)
    }

    /// Checks a certificate's signature: `algorithm` is the AlgorithmIdentifier it names, without the header of its
    /// SEQUENCE ([`SignatureVerifier::certificate_algorithms`]).
    ///
    /// # Errors
    /// If no verifier of the provider takes this algorithm with this kind of key, or the signature is wrong.
    pub fn verify_certificate(
        &self,
        algorithm: &[u8],
        spki: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let mut fitting = self.certificate_verifiers(algorithm);
        fitting.find_map(|v| v.verify(spki, message, signature).ok()).ok_or(CryptoError)
    }

    /// Whoever checks signatures of this algorithm in certificates.
    pub(crate) fn certificate_verifiers(
        &self,
        algorithm: &[u8],
    ) -> impl Iterator<Item = &'static dyn SignatureVerifier> {
        let verifiers = self.verifiers.iter().copied();
        verifiers.filter(move |v| v.certificate_algorithms().contains(&algorithm))
    }
}

/// A TLS 1.3 cipher suite: an AEAD for records and a hash for everything else (RFC 9846 Appendix B.4).
pub struct CipherSuite {
    /// Its number.
    pub id: CipherSuiteId,
    /// The hash of the transcript and of HKDF.
    pub hash: &'static dyn Hash,
    /// The record protection.
    pub aead: &'static dyn Aead,
}

impl fmt::Debug for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.id, f)
    }
}

/// An AEAD algorithm with a 12-byte nonce and a 16-byte tag, as every TLS 1.3 suite has.
pub trait Aead: Send + Sync {
    /// Bytes of a key.
    fn key_len(&self) -> usize;

    /// How many full-size records one key may seal (RFC 9846 §5.5); `u64::MAX` if the sequence number ends first.
    fn record_limit(&self) -> u64;

    /// Prepares `key`, which is [`Aead::key_len`] bytes.
    ///
    /// # Errors
    /// If the key has another length.
    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError>;
}

/// The length of every AEAD tag: 16 bytes.
pub const TAG_LEN: usize = 16;
/// The length of every AEAD nonce: 12 bytes.
pub const NONCE_LEN: usize = 12;

/// One key of an [`Aead`], ready for use.
pub trait AeadKey: Send + Sync {
    /// Encrypts `in_out` where it lies and returns the tag.
    ///
    /// # Errors
    /// If `in_out` is longer than the algorithm allows, which a TLS record never is.
    fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CryptoError>;

    /// Decrypts `in_out`, which is ciphertext and tag, where it lies. Returns the length of the plaintext, which
    /// begins where the ciphertext began.
    ///
    /// # Errors
    /// If the tag does not match. What is in `in_out` then is unspecified, and never plaintext.
    fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<usize, CryptoError>;
}

/// A hash output of at most 64 bytes. It is public: transcripts, not keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashValue {
    bytes: [u8; 64],
    len: usize,
}

impl HashValue {
    /// Copies `bytes`, of which at most 64 are kept.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut this = Self { bytes: [0; 64], len: bytes.len().min(64) };
        this.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        this
    }
}

impl AsRef<[u8]> for HashValue {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for HashValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// A hash function, and HMAC with it.
pub trait Hash: Send + Sync {
    /// Bytes of an output: 32 or 48.
    fn output_len(&self) -> usize;

    /// A running hash over nothing yet.
    fn start(&self) -> Box<dyn HashContext>;

    /// The hash of `data`.
    fn digest(&self, data: &[u8]) -> HashValue {
        let mut context = self.start();
        context.update(data);
        context.current()
    }

    /// HMAC (RFC 2104) under `key` over the concatenation of `data`.
    fn hmac(&self, key: &[u8], data: &[&[u8]]) -> Secret;
}

/// A running hash.
pub trait HashContext: Send + Sync {
    /// Adds `data`.
    fn update(&mut self, data: &[u8]);
    /// The hash of everything so far; more may follow.
    fn current(&self) -> HashValue;
    /// A copy that goes on by itself.
    fn fork(&self) -> Box<dyn HashContext>;
}

/// A key exchange group: Diffie-Hellman, a KEM, or both together.
pub trait KeyExchange: Send + Sync {
    /// Its number.
    fn group(&self) -> NamedGroup;

    /// A new key pair, on the side that speaks first (the client).
    ///
    /// # Errors
    /// If there is no randomness.
    fn generate(&self, rng: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError>;

    /// The other side (the server): from the client's share, our share and the shared secret.
    ///
    /// # Errors
    /// If the share is malformed or of low order, or there is no randomness.
    fn respond(&self, rng: &dyn Rng, peer_share: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let pair = self.generate(rng)?;
        Ok((pair.share().to_vec(), pair.agree(peer_share)?))
    }
}

/// A key pair that is used once.
pub trait KeyPair: Send + Sync {
    /// What goes into `key_share`.
    fn share(&self) -> &[u8];

    /// The shared secret with the server's share.
    ///
    /// # Errors
    /// If the share is malformed: wrong length, not on the curve, of low order.
    fn agree(self: Box<Self>, peer_share: &[u8]) -> Result<Secret, CryptoError>;
}

/// One signature scheme's verification.
pub trait SignatureVerifier: Send + Sync {
    /// Its number. One verifier is one scheme, with the curve that the scheme names.
    fn scheme(&self) -> SignatureScheme;

    /// The AlgorithmIdentifiers (RFC 5280 §4.1.1.2) under which certificates carry this kind of signature, each as
    /// the DER *contents* of its SEQUENCE: the object identifier and the parameters, without the tag and the length
    /// around both. That is the form of [`pki_types::alg_id`]. Empty if certificates never carry it.
    fn certificate_algorithms(&self) -> &'static [&'static [u8]];

    /// Whether a certificate's signature may be of this scheme with a key of another curve than the scheme names:
    /// ECDSA in certificates fixes the hash, and the key fixes the curve. CertificateVerify never looks at this.
    fn certificate_only(&self) -> bool {
        false
    }

    /// Checks `signature` over `message` by the key in `spki`, a DER SubjectPublicKeyInfo (RFC 5280 §4.1).
    ///
    /// # Errors
    /// If the key is of another kind, too small or too large, or the signature is wrong.
    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError>;
}

/// A private key in this process.
pub trait SigningKey: Send + Sync {
    /// What it can sign with in a CertificateVerify, most preferred first.
    fn schemes(&self) -> &[SignatureScheme];

    /// The public half as a DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), its SEQUENCE header included: what a
    /// certificate for this key carries, byte for byte.
    fn spki(&self) -> &[u8];

    /// Signs `message`, which is not hashed yet.
    ///
    /// # Errors
    /// If `scheme` is none of [`SigningKey::schemes`], or signing fails.
    fn sign(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, CryptoError>;
}

/// A source of randomness that nobody can guess.
pub trait Rng: Send + Sync {
    /// Fills `out`.
    ///
    /// # Errors
    /// If the source has failed; nothing in `out` may be used then.
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
