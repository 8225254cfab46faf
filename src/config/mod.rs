//! What a client or a server is: a value that is built once, checked as it is built, and shared by connections.
//!
//! Every configuration is complete from its constructor on; the `with_*` methods only narrow or add. What weakens
//! security has `danger` in its name.

mod client;
mod server;

use std::sync::Arc;

pub use self::client::ClientConfig;
pub use self::server::{ServerConfig, ServerNamePolicy};
use crate::codepoints::{
    CertificateCompressionAlgorithm, CipherSuiteId, NamedGroup, SignatureScheme,
};
use crate::compress::CertificateCompression;
use crate::crypto::{CipherSuite, KeyExchange, Provider};
use crate::error::{Error, Misuse};
use crate::key_log::KeyLog;
use crate::limits::Limits;
use crate::message::Grease;
use crate::psk::{ExternalPsk, PskPolicy};
use crate::session::ExternalIdentity;
use crate::verify::Verifier;

/// Which decisions are asked of the application, as events, instead of being taken from the configuration at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Server: which configuration, credential or protocols for this ClientHello.
    pub client_hello: bool,
    /// Client: what to show to a server that asks who we are.
    pub credential: bool,
    /// Each of our signatures. One by a [`Credential::external`](crate::Credential::external) is asked
    /// for in any case.
    pub signature: bool,
    /// Whether to accept the peer's certificates.
    pub verdict: bool,
    /// Server: which of the client's tickets or pre-shared keys to use.
    pub psk: bool,
    /// Server: whether a first flight with early data is seen for the first time.
    pub early_data: bool,
}

/// How much zero padding a record gets before encryption (RFC 9846 §5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Padding {
    /// None.
    #[default]
    None,
    /// Up to the next multiple of this many bytes, type included, as far as a record can hold. 0 and 1 mean none.
    MultipleOf(u16),
    /// Every record is as long as a record can be.
    Full,
}

/// Whether a server asks for a client certificate (RFC 9846 §4.4.2).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// It does not ask.
    #[default]
    None,
    /// It does not ask in the handshake, but may do so later
    /// ([`Connection::request_client_certificate`](crate::Connection::request_client_certificate), RFC 9846 §4.7.2).
    OnRequest(Verifier),
    /// It asks, and goes on without; a certificate that is sent must be good.
    Optional(Verifier),
    /// It asks, and refuses a client without.
    Required(Verifier),
}

impl ClientAuth {
    /// What judges clients, if they authenticate at all.
    #[must_use]
    pub fn verifier(&self) -> Option<&Verifier> {
        match self {
            Self::None => None,
            Self::OnRequest(verifier) | Self::Optional(verifier) | Self::Required(verifier) => {
                Some(verifier)
            }
        }
    }

    /// The same as it is now, whatever is swapped later.
    pub(crate) fn current(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::OnRequest(verifier) => Self::OnRequest(verifier.current()),
            Self::Optional(verifier) => Self::Optional(verifier.current()),
            Self::Required(verifier) => Self::Required(verifier.current()),
        }
    }
}

/// What clients and servers have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) provider: Provider,
    pub(crate) suites: Vec<&'static CipherSuite>,
    pub(crate) groups: Vec<NamedGroup>,
    /// `signature_algorithms`. PKCS#1 v1.5 is among them, for certificates and for peers that do not know the other list;
    /// a CertificateVerify with it is refused all the same (RFC 9846 §4.3.3).
    pub(crate) schemes: Vec<SignatureScheme>,
    /// `signature_algorithms_cert`, which is sent if it differs.
    pub(crate) certificate_schemes: Vec<SignatureScheme>,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) limits: Limits,
    pub(crate) ask: Ask,
    pub(crate) padding: Padding,
    pub(crate) max_fragment: usize,
    pub(crate) record_limit: u64,
    pub(crate) key_log: Option<Arc<dyn KeyLog>>,
    pub(crate) external_psks: Vec<Arc<ExternalPsk>>,
    pub(crate) psk_policy: PskPolicy,
    pub(crate) danger_psk_ke: bool,
    pub(crate) grease: bool,
    pub(crate) certificate_compression: Vec<Arc<dyn CertificateCompression>>,
    #[cfg(feature = "test-support")]
    pub(crate) message_hook: Option<crate::crypto::deterministic::MessageHook>,
}

impl Common {
    fn new(provider: Provider) -> Self {
        let mut schemes: Vec<SignatureScheme> = Vec::new();
        for verifier in provider.verifiers {
            if !schemes.contains(&verifier.scheme()) {
                schemes.push(verifier.scheme());
            }
        }
        Self {
            suites: provider.suites.to_vec(),
            groups: provider.groups.iter().map(|g| g.group()).collect(),
            certificate_schemes: schemes.clone(),
            schemes,
            alpn: Vec::new(),
            limits: Limits::default(),
            ask: Ask::default(),
            padding: Padding::None,
            max_fragment: MAX_FRAGMENT,
            record_limit: u64::MAX,
            key_log: None,
            external_psks: Vec::new(),
            psk_policy: PskPolicy::default(),
            danger_psk_ke: false,
            grease: false,
            certificate_compression: Vec::new(),
            #[cfg(feature = "test-support")]
            message_hook: None,
            provider,
        }
    }

    /// Whether the handshake must rest on one of the external keys, or on a session that does.
    pub(crate) fn insists_on_psk(&self) -> bool {
        !self.external_psks.is_empty() && self.psk_policy == PskPolicy::Required
    }

    /// Whether a session that rests on this external key is good: as long as the very key is there. One that rests on none is
    /// good unless a key is insisted on.
    pub(crate) fn takes_session_of(&self, key: Option<&ExternalIdentity>) -> bool {
        match key {
            Some(key) => {
                let mut named = self.external_psks.iter().filter(|p| p.identity() == key.name);
                named.any(|psk| self.identity_of(psk).as_ref() == Some(key))
            }
            None => !self.insists_on_psk(),
        }
    }

    /// What a session is said to rest on that comes of this key.
    pub(crate) fn identity_of(&self, psk: &ExternalPsk) -> Option<ExternalIdentity> {
        let tag = psk.tag(&self.provider)?;
        Some(ExternalIdentity { name: psk.identity().to_vec(), tag })
    }

    /// RFC 8701: values that nobody knows for one connection, if this configuration sends any.
    pub(crate) fn draw_grease(&self) -> Result<Option<Grease>, Error> {
        if !self.grease {
            return Ok(None);
        }
        let mut random = [0; Grease::RANDOM];
        self.provider.rng.fill(&mut random)?;
        Ok(Some(Grease::new(random)))
    }

    /// The implementation of a group that this configuration allows.
    pub(crate) fn group(&self, id: NamedGroup) -> Option<&'static dyn KeyExchange> {
        self.groups.contains(&id).then(|| self.provider.group(id)).flatten()
    }

    /// Whether we have said that the peer may compress its certificates.
    pub(crate) fn takes_compressed(&self) -> bool {
        !self.certificate_compression.is_empty()
    }

    /// What the peer's certificates may be compressed with.
    pub(crate) fn compression_algorithms(&self) -> Vec<CertificateCompressionAlgorithm> {
        self.certificate_compression.iter().map(|c| c.algorithm()).collect()
    }

    /// A handshake message as it is hashed and sent: unchanged, unless a test breaks a rule here.
    pub(crate) fn finished_message(&self, message: Vec<u8>) -> Vec<u8> {
        #[cfg(feature = "test-support")]
        if let Some(hook) = &self.message_hook {
            return hook.apply(message);
        }
        message
    }

    /// The suite, if this configuration allows it.
    pub(crate) fn suite(&self, id: CipherSuiteId) -> Option<&'static CipherSuite> {
        self.suites.iter().copied().find(|s| s.id == id)
    }
}

/// The longest fragment of a record: 2^14 bytes (RFC 9846 §5.1).
pub(crate) const MAX_FRAGMENT: usize = 1 << 14;

/// The setters that both configurations have, word for word.
macro_rules! common_setters {
    () => {
        /// Only these cipher suites, most preferred first.
        ///
        /// # Errors
        /// [`Misuse::NotInProvider`] if the list is empty or the provider lacks one.
        pub fn with_suites(mut self, suites: &[CipherSuiteId]) -> Result<Self, Error> {
            let found = suites.iter().map(|id| self.common.provider.suite(*id)).collect();
            let found: Option<Vec<_>> = found;
            let found = found.filter(|list| !list.is_empty());
            self.common.suites = found.ok_or(Misuse::NotInProvider("cipher suites"))?;
            Ok(self)
        }

        /// Only these signature schemes for the peer's CertificateVerify, most preferred first. Its certificates may
        /// still be signed with whatever the provider verifies (`signature_algorithms_cert`, RFC 9846 §4.3.3). A server that
        /// is to take clients whose keys are in tokens which cannot do better names `rsa_pkcs1_sha256_legacy`, or its
        /// like, beside the others (RFC 9963).
        ///
        /// # Errors
        /// [`Misuse::NotInProvider`] if the list is empty, or the provider lacks one for handshakes.
        pub fn with_schemes(mut self, schemes: &[SignatureScheme]) -> Result<Self, Error> {
            let verifiers = self.common.provider.verifiers;
            let known = |s: &SignatureScheme| {
                let name = s.legacy_pkcs1().unwrap_or(*s);
                (s.is_for_handshake() || Self::PEER_IS_CLIENT && s.is_for_client())
                    && verifiers.iter().any(|v| v.scheme() == name && !v.certificate_only())
            };
            if schemes.is_empty() || !schemes.iter().all(known) {
                return Err(Misuse::NotInProvider("signature schemes").into());
            }
            self.common.schemes = schemes.to_vec();
            Ok(self)
        }

        /// Application protocols, most preferred first (RFC 7301). A connection can have a list of its own.
        ///
        /// # Errors
        /// [`Misuse::Config`] if a name is empty or over 255 bytes long, or all together over 65,535.
        pub fn with_alpn(mut self, protocols: &[&[u8]]) -> Result<Self, Error> {
            self.common.alpn = checked_alpn(protocols)?;
            Ok(self)
        }

        /// The bounds on what a peer may cost.
        #[must_use]
        pub fn with_limits(mut self, limits: Limits) -> Self {
            self.common.limits = limits;
            self
        }

        /// Which decisions are asked of the application.
        #[must_use]
        pub fn with_ask(mut self, ask: Ask) -> Self {
            self.common.ask = ask;
            self
        }

        /// How records are padded.
        #[must_use]
        pub fn with_padding(mut self, padding: Padding) -> Self {
            self.common.padding = padding;
            self
        }

        /// The most bytes that one record of ours carries, 1 to 16,384 (which is the default). A KeyUpdate, of 5 bytes, and an
        /// alert, of 2, are never cut.
        ///
        /// # Errors
        /// [`Misuse::Config`] outside that range.
        pub fn with_max_fragment(mut self, bytes: usize) -> Result<Self, Error> {
            if bytes == 0 || bytes > MAX_FRAGMENT {
                return Err(Misuse::Config("max_fragment is 1 to 16384 bytes").into());
            }
            self.common.max_fragment = bytes;
            Ok(self)
        }

        /// Updates the sending key after this many records, if the algorithm's own limit (RFC 9846 §5.5) is not lower.
        /// At least 2, so that every key carries something besides its own KeyUpdate.
        #[must_use]
        pub fn with_key_update_after(mut self, records: u64) -> Self {
            self.common.record_limit = records.max(2);
            self
        }

        /// Where to write the secrets of every connection, for debugging. Whoever reads it reads the traffic.
        #[must_use]
        pub fn with_key_log(mut self, key_log: Arc<dyn KeyLog>) -> Self {
            self.common.key_log = Some(key_log);
            self
        }

        /// Keys that the other end has, too, most preferred first (the server's order decides), and what happens if it has
        /// none of them. Sessions of such a connection rest on the key: they are resumed while it is in the configuration.
        #[must_use]
        pub fn with_external_psks(
            mut self,
            psks: Vec<Arc<ExternalPsk>>,
            policy: PskPolicy,
        ) -> Self {
            self.common.external_psks = psks;
            self.common.psk_policy = policy;
            self
        }

        /// Allows pre-shared keys without a key exchange beside them (psk_ke, RFC 9846 §4.3.9): whoever gets hold of the
        /// key later can read everything.
        #[must_use]
        pub fn with_danger_psk_without_key_exchange(mut self) -> Self {
            self.common.danger_psk_ke = true;
            self
        }

        /// Compresses our certificates with the first of these that the peer takes, and takes them of the peer
        /// (RFC 8879). Without, which is the default, certificates are not compressed.
        ///
        /// # Errors
        /// [`Misuse::Config`] if there are more than 127, or two of one algorithm.
        pub fn with_certificate_compression(
            mut self,
            algorithms: Vec<Arc<dyn CertificateCompression>>,
        ) -> Result<Self, Error> {
            let mut numbers: Vec<_> = algorithms.iter().map(|a| a.algorithm()).collect();
            numbers.sort_unstable();
            numbers.dedup();
            if algorithms.len() > 127 || numbers.len() != algorithms.len() {
                return Err(Misuse::Config("at most 127 compression algorithms, each once").into());
            }
            self.common.certificate_compression = algorithms;
            Ok(self)
        }

        /// Whether to offer, beside what is meant, values that nobody knows (GREASE, RFC 8701), so that peers do not forget to
        /// ignore them: a client in each list of its ClientHello, a server in its tickets and in its requests for
        /// certificates. Default no: a ClientHello gets longer by about 40 bytes, and looks like a browser's.
        #[must_use]
        pub fn with_grease(mut self, send: bool) -> Self {
            self.common.grease = send;
            self
        }

        /// Rewrites every handshake message before it is hashed and sent. Tests break rules with it.
        #[cfg(feature = "test-support")]
        #[must_use]
        pub fn with_message_hook(
            mut self,
            hook: crate::crypto::deterministic::MessageHook,
        ) -> Self {
            self.common.message_hook = Some(hook);
            self
        }

        /// The provider.
        #[must_use]
        pub fn provider(&self) -> &Provider {
            &self.common.provider
        }
    };
}

// So that the two files beside this one can name it.
use common_setters;

fn check_provider(common: &Common) -> Result<(), Error> {
    let lacks = [
        (common.suites.is_empty(), "cipher suites"),
        (common.groups.is_empty(), "groups"),
        (!common.schemes.iter().any(|s| s.is_for_handshake()), "signature schemes"),
    ];
    match lacks.iter().find(|(missing, _)| *missing) {
        Some((_, what)) => Err(Misuse::NotInProvider(what).into()),
        None => Ok(()),
    }
}

fn checked_groups(provider: &Provider, groups: &[NamedGroup]) -> Result<Vec<NamedGroup>, Error> {
    if groups.is_empty() || groups.iter().any(|g| provider.group(*g).is_none()) {
        return Err(Misuse::NotInProvider("groups").into());
    }
    Ok(groups.to_vec())
}

/// RFC 7301 §3.1: each name is 1 to 255 bytes.
pub(crate) fn checked_alpn(protocols: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
    let total: usize = protocols.iter().map(|p| p.len() + 1).sum();
    if protocols.iter().any(|p| p.is_empty() || p.len() > 255) || total > 65_533 {
        return Err(Misuse::Config("an application protocol is 1 to 255 bytes").into());
    }
    Ok(protocols.iter().map(|p| p.to_vec()).collect())
}
