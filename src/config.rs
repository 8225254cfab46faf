//! What a client or a server is: a value that is built once, checked as it is built, and shared by connections.
//!
//! Every configuration is complete from its constructor on; the `with_*` methods only narrow or add. What weakens
//! security has `danger` in its name.

use std::sync::Arc;

use pki_types::ServerName;

use crate::codec::Writer;
use crate::codepoints::{CipherSuiteId, NamedGroup, SignatureScheme};
use crate::credential::Credential;
use crate::crypto::{CipherSuite, KeyExchange, Provider};
use crate::error::{Error, Misuse};
use crate::key_log::KeyLog;
use crate::psk::{ExternalPsk, PskPolicy};
use crate::replay::ReplayStore;
use crate::retry::CookieKey;
use crate::session::{MAX_LIFETIME, SessionKey, SessionStore};
use crate::ticket::Tickets;
use crate::verify::Verifier;

/// How long a peer may make us work, and how much it may make us hold. See each field for its unit and default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one handshake message other than Certificate. Default 65,536.
    pub handshake_message: usize,
    /// Bytes of a Certificate message. Default 131,072.
    pub certificate_message: usize,
    /// Certificates in the peer's chain. Default 16.
    pub chain_length: usize,
    /// Bytes of records with early data that a server drops when it does not take it (RFC 9846 §4.3.10). Default 65,536:
    /// servers announce 16,384 bytes of data as a rule, which may come in many small records.
    pub skipped_early_data: usize,
    /// Records in a row that carry nothing. Default 32.
    pub empty_records: u32,
    /// change_cipher_spec records in a connection. Default 32.
    pub change_cipher_specs: u32,
    /// user_canceled alerts in a connection. Default 4.
    pub warnings: u32,
    /// KeyUpdates without application data between them. Default 32.
    pub key_updates: u32,
    /// Post-handshake messages other than KeyUpdate without application data between them. Default 32.
    pub post_handshake: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_message: 1 << 16,
            certificate_message: 1 << 17,
            chain_length: 16,
            skipped_early_data: 1 << 16,
            empty_records: 32,
            change_cipher_specs: 32,
            warnings: 4,
            key_updates: 32,
            post_handshake: 32,
        }
    }
}

/// Which decisions are asked of the application, as events, instead of being taken from the configuration at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Server: which configuration, credential or protocols for this ClientHello.
    pub client_hello: bool,
    /// Each of our signatures. One by a [`Credential::external`] is asked for in any case.
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
            #[cfg(feature = "test-support")]
            message_hook: None,
            provider,
        }
    }

    /// The implementation of a group that this configuration allows.
    pub(crate) fn group(&self, id: NamedGroup) -> Option<&'static dyn KeyExchange> {
        self.groups.contains(&id).then(|| self.provider.group(id)).flatten()
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
        /// still be signed with whatever the provider verifies (`signature_algorithms_cert`, RFC 9846 §4.3.3).
        ///
        /// # Errors
        /// [`Misuse::NotInProvider`] if the list is empty, or the provider lacks one for handshakes.
        pub fn with_schemes(mut self, schemes: &[SignatureScheme]) -> Result<Self, Error> {
            let verifiers = self.common.provider.verifiers;
            let known = |s: &SignatureScheme| {
                s.is_for_handshake()
                    && verifiers.iter().any(|v| v.scheme() == *s && !v.certificate_only())
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

        /// Keys that the other end has, too, most preferred first, and what happens if it has none of them.
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

/// What every connection of a client shares.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) common: Common,
    pub(crate) verifier: Verifier,
    pub(crate) credentials: Vec<Arc<Credential>>,
    pub(crate) key_shares: Vec<NamedGroup>,
    pub(crate) send_server_name: bool,
    pub(crate) send_authorities: bool,
    pub(crate) request_status: bool,
    pub(crate) request_scts: bool,
    pub(crate) middlebox_compatibility: bool,
    pub(crate) hello_padding: u16,
    pub(crate) sessions: Option<Arc<dyn SessionStore>>,
    pub(crate) early_data: bool,
    pub(crate) ticket_request: Option<(u8, u8)>,
    pub(crate) post_handshake_auth: bool,
}

impl ClientConfig {
    /// A client that verifies servers with `verifier`, and otherwise does what is sensible today: every suite, group
    /// and scheme of the provider, key shares for its first post-quantum and its first classical group.
    ///
    /// # Errors
    /// [`Misuse::NotInProvider`] if the provider lacks suites, groups or verifiers altogether.
    pub fn new(provider: Provider, verifier: Verifier) -> Result<Self, Error> {
        let common = Common::new(provider);
        check_provider(&common)?;
        let key_shares = default_key_shares(&common.groups);
        Ok(Self {
            common,
            verifier,
            credentials: Vec::new(),
            key_shares,
            send_server_name: true,
            send_authorities: false,
            request_status: true,
            request_scts: true,
            middlebox_compatibility: true,
            hello_padding: 0,
            sessions: None,
            early_data: false,
            ticket_request: None,
            post_handshake_auth: false,
        })
    }

    common_setters!();

    /// Only these groups, most preferred first; key shares are sent for the first post-quantum and the first classical
    /// one ([`ClientConfig::with_key_shares`] changes that).
    ///
    /// # Errors
    /// [`Misuse::NotInProvider`] if the list is empty or the provider lacks one.
    pub fn with_groups(mut self, groups: &[NamedGroup]) -> Result<Self, Error> {
        self.common.groups = checked_groups(&self.common.provider, groups)?;
        self.key_shares = default_key_shares(groups);
        Ok(self)
    }

    /// For which groups the first ClientHello carries a share; none asks the server to choose, which costs a round
    /// trip (RFC 9846 §4.3.8). They are sent in the order of the groups.
    ///
    /// # Errors
    /// [`Misuse::Config`] if one is none of the configuration's groups.
    pub fn with_key_shares(mut self, groups: &[NamedGroup]) -> Result<Self, Error> {
        if groups.iter().any(|g| !self.common.groups.contains(g)) {
            return Err(Misuse::Config("a key share is for none of the groups").into());
        }
        let shares = self.common.groups.iter().filter(|g| groups.contains(g)).copied();
        self.key_shares = shares.collect();
        Ok(self)
    }

    /// What the client can authenticate with. It picks the first that suits the server's request.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Vec<Arc<Credential>>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Whether to send the server's name in clear (default yes; an IP address is never sent, RFC 6066 §3).
    #[must_use]
    pub fn with_server_name(mut self, send: bool) -> Self {
        self.send_server_name = send;
        self
    }

    /// Whether to tell the server the names of our trust anchors (`certificate_authorities`, default no).
    #[must_use]
    pub fn with_authorities(mut self, send: bool) -> Self {
        self.send_authorities = send;
        self
    }

    /// Whether to ask for an OCSP response and for certificate timestamps (default both).
    #[must_use]
    pub fn with_status_requests(mut self, ocsp: bool, scts: bool) -> Self {
        self.request_status = ocsp;
        self.request_scts = scts;
        self
    }

    /// Whether to look like TLS 1.2 to middleboxes (default yes, RFC 9846 Appendix E.4).
    #[must_use]
    pub fn with_middlebox_compatibility(mut self, on: bool) -> Self {
        self.middlebox_compatibility = on;
        self
    }

    /// Pads ClientHello to a multiple of this many bytes (RFC 7685), so that its length tells less about the name.
    /// 0, which is the default, and 1 mean that it is not padded.
    #[must_use]
    pub fn with_hello_padding(mut self, multiple: u16) -> Self {
        self.hello_padding = multiple;
        self
    }

    /// Keeps sessions here, and resumes them (RFC 9846 §2.2). They are kept under a name that no server has a say in.
    #[must_use]
    pub fn with_sessions(mut self, sessions: Arc<dyn SessionStore>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Whether to offer early data with a session that allows it (default no). Whatever is sent so can be replayed by
    /// anybody who sees it (RFC 9846 §8): send only what does no harm twice.
    #[must_use]
    pub fn with_early_data(mut self, offer: bool) -> Self {
        self.early_data = offer;
        self
    }

    /// Asks for this many tickets after a full handshake, and after a resumption (RFC 9149).
    #[must_use]
    pub fn with_ticket_request(mut self, new: u8, resumed: u8) -> Self {
        self.ticket_request = Some((new, resumed));
        self
    }

    /// Whether the server may ask who we are after the handshake (default no, RFC 9846 §4.3.6). The halves of a split
    /// connection cannot answer, and treat such a request as unexpected.
    #[must_use]
    pub fn with_post_handshake_auth(mut self, offer: bool) -> Self {
        self.post_handshake_auth = offer;
        self
    }

    /// Under which name sessions with the server `name` are kept: what the server is called, what this configuration
    /// trusts, and who it is itself (RFC 9846 §4.7.1).
    #[must_use]
    pub fn session_key(&self, name: &ServerName<'_>) -> SessionKey {
        let provider = &self.common.provider;
        let mut w = Writer::default();
        w.raw(b"sealwire session: tcp");
        w.vec16(|w| w.raw(name.to_str().to_ascii_lowercase().as_bytes()));
        w.raw(&self.verifier.fingerprint(provider));
        // Whom the application accepted itself is no friend of a configuration that goes by its verifier.
        w.u8(self.common.ask.verdict.into());
        for credential in &self.credentials {
            let leaf = credential.chain().first().map_or(&[][..], |leaf| leaf);
            w.raw(&provider.fingerprint(leaf));
        }
        SessionKey(provider.fingerprint(&w.finish().unwrap_or_default()))
    }

    /// The verifier, for an application that is asked for verdicts and judges on another thread.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// What every connection of a server shares.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) common: Common,
    pub(crate) credentials: Vec<Arc<Credential>>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) server_name: ServerNamePolicy,
    pub(crate) cookie_key: Option<Arc<CookieKey>>,
    pub(crate) send_authorities: bool,
    pub(crate) request_status: bool,
    pub(crate) request_scts: bool,
    pub(crate) tickets: Option<Arc<dyn Tickets>>,
    pub(crate) ticket_count: u8,
    pub(crate) ticket_lifetime: u32,
    pub(crate) early_data: Option<(Arc<dyn ReplayStore>, u32)>,
}

/// What a server does with the name that a client asks for (RFC 6066 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerNamePolicy {
    /// The first credential for that name, or else the first.
    #[default]
    Prefer,
    /// A name without a credential is refused with `unrecognized_name`; a client that sends none gets the first.
    Match,
    /// As `Match`, and a client that sends no name is refused with `missing_extension`.
    Require,
}

impl ServerConfig {
    /// A server with these credentials, and otherwise every suite, group and scheme of the provider. It picks the first
    /// credential that is for the client's name and that the client can verify.
    ///
    /// # Errors
    /// [`Misuse::NotInProvider`] if the provider lacks suites, groups or verifiers altogether.
    pub fn new(provider: Provider, credentials: Vec<Arc<Credential>>) -> Result<Self, Error> {
        let common = Common::new(provider);
        check_provider(&common)?;
        Ok(Self {
            common,
            credentials,
            client_auth: ClientAuth::None,
            server_name: ServerNamePolicy::Prefer,
            cookie_key: None,
            send_authorities: true,
            request_status: false,
            request_scts: false,
            tickets: None,
            ticket_count: 2,
            ticket_lifetime: 24 * 3600,
            early_data: None,
        })
    }

    common_setters!();

    /// Only these groups, most preferred first.
    ///
    /// # Errors
    /// [`Misuse::NotInProvider`] if the list is empty or the provider lacks one.
    pub fn with_groups(mut self, groups: &[NamedGroup]) -> Result<Self, Error> {
        self.common.groups = checked_groups(&self.common.provider, groups)?;
        Ok(self)
    }

    /// Whether clients authenticate.
    #[must_use]
    pub fn with_client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// What to do with the name that a client asks for.
    #[must_use]
    pub fn with_server_name_policy(mut self, policy: ServerNamePolicy) -> Self {
        self.server_name = policy;
        self
    }

    /// Puts an authenticated cookie into every HelloRetryRequest, so that the connection can be forgotten until the
    /// second ClientHello: a new [`Connection::server`](crate::Connection::server) with this key takes it up
    /// (RFC 9846 §4.3.2).
    #[must_use]
    pub fn with_stateless_retry(mut self, key: Arc<CookieKey>) -> Self {
        self.cookie_key = Some(key);
        self
    }

    /// Whether a request for a client certificate names the trust anchors (default yes).
    #[must_use]
    pub fn with_authorities(mut self, send: bool) -> Self {
        self.send_authorities = send;
        self
    }

    /// Whether to ask the client for an OCSP response and for certificate timestamps (default neither).
    #[must_use]
    pub fn with_status_requests(mut self, ocsp: bool, scts: bool) -> Self {
        self.request_status = ocsp;
        self.request_scts = scts;
        self
    }

    /// Issues tickets, and takes them back: clients can resume (RFC 9846 §2.2).
    #[must_use]
    pub fn with_tickets(mut self, tickets: Arc<dyn Tickets>) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// How many tickets a client gets after the handshake (default 2; a client may ask for fewer, or for up to 8), and
    /// for how many seconds they are good (default 86,400).
    ///
    /// # Errors
    /// [`Misuse::Config`] for more than 16 tickets or 604,800 seconds, which is 7 days (RFC 9846 §4.7.1).
    pub fn with_ticket_policy(mut self, count: u8, lifetime: u32) -> Result<Self, Error> {
        if count > 16 || lifetime > MAX_LIFETIME {
            return Err(Misuse::Config("at most 16 tickets, for at most 604800 seconds").into());
        }
        (self.ticket_count, self.ticket_lifetime) = (count, lifetime);
        Ok(self)
    }

    /// Takes up to `max_bytes` of early data from clients that resume, each first flight once as far as `replay`
    /// guarantees (RFC 9846 §8). Without this there is no early data.
    #[must_use]
    pub fn with_early_data(mut self, replay: Arc<dyn ReplayStore>, max_bytes: u32) -> Self {
        self.early_data = Some((replay, max_bytes));
        self
    }

    /// Under what a ticket is issued and taken back: how clients authenticate and by whose word, for which name and
    /// protocol, over which transport. A ticket from under another policy leads to a full handshake.
    pub(crate) fn policy(&self, server_name: Option<&[u8]>, alpn: Option<&[u8]>) -> [u8; 32] {
        let provider = &self.common.provider;
        let mut w = Writer::default();
        w.raw(b"sealwire ticket: tcp");
        match &self.client_auth {
            ClientAuth::None => w.u8(0),
            ClientAuth::OnRequest(verifier) => {
                w.u8(3);
                w.raw(&verifier.fingerprint(provider));
            }
            ClientAuth::Optional(verifier) => {
                w.u8(1);
                w.raw(&verifier.fingerprint(provider));
            }
            ClientAuth::Required(verifier) => {
                w.u8(2);
                w.raw(&verifier.fingerprint(provider));
            }
        }
        w.u8(self.common.ask.verdict.into());
        w.vec16(|w| w.raw(&server_name.unwrap_or_default().to_ascii_lowercase()));
        w.vec8(|w| w.raw(alpn.unwrap_or_default()));
        provider.fingerprint(&w.finish().unwrap_or_default())
    }

    /// How clients authenticate, for an application that is asked for verdicts and judges on another thread.
    #[must_use]
    pub fn client_auth(&self) -> &ClientAuth {
        &self.client_auth
    }
}

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

/// The first post-quantum and the first classical group, in the order of the groups.
fn default_key_shares(groups: &[NamedGroup]) -> Vec<NamedGroup> {
    let quantum = groups.iter().find(|g| g.is_post_quantum());
    let classical = groups.iter().find(|g| !g.is_post_quantum());
    groups.iter().filter(|g| Some(*g) == quantum || Some(*g) == classical).copied().collect()
}
