//! What a client is.

use std::sync::Arc;

use pki_types::ServerName;

use super::{
    Ask, Common, MAX_FRAGMENT, Padding, check_provider, checked_alpn, checked_groups,
    common_setters,
};
use crate::codec::Writer;
use crate::codepoints::{CertificateType, CipherSuiteId, NamedGroup, SignatureScheme};
use crate::compress::CertificateCompression;
use crate::credential::Credential;
use crate::crypto::Provider;
use crate::error::{Error, Misuse};
use crate::key_log::KeyLog;
use crate::limits::Limits;
use crate::psk::{ExternalPsk, PskPolicy};
use crate::session::{SessionKey, SessionStore};
use crate::shared::Shared;
use crate::verify::Verifier;

/// What every connection of a client shares.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) common: Common,
    pub(crate) verifier: Verifier,
    pub(crate) credentials: Shared<Vec<Arc<Credential>>>,
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
    pub(crate) certificate_types: Option<Vec<CertificateType>>,
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
            credentials: Shared::new(Vec::new()),
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
            certificate_types: None,
        })
    }

    /// RFC 9963 §3 has schemes that a client never offers.
    const PEER_IS_CLIENT: bool = false;

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

    /// What the client can authenticate with. It picks the first that suits the server's request. As a [`Shared`] handle
    /// they can be swapped later.
    #[must_use]
    pub fn with_credentials(
        mut self,
        credentials: impl Into<Shared<Vec<Arc<Credential>>>>,
    ) -> Self {
        self.credentials = credentials.into();
        self
    }

    /// What the client can show, most preferred first (RFC 7250 §4.1), if that is something else than the types of its
    /// credentials: because an application that is asked for one ([`Ask::credential`]) has others.
    #[must_use]
    pub fn with_certificate_types(mut self, types: &[CertificateType]) -> Self {
        self.certificate_types = Some(types.to_vec());
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

    /// Whether the server may ask who we are after the handshake (default no, RFC 9846 §4.3.6). The connection then has to stay
    /// whole, to be able to answer: it cannot be split or moved ([`Misuse::NotMovable`]).
    #[must_use]
    pub fn with_post_handshake_auth(mut self, offer: bool) -> Self {
        self.post_handshake_auth = offer;
        self
    }

    /// Under which name sessions with the server `name` are kept: what the server is called, what this configuration
    /// trusts at this moment, and who it is itself (RFC 9846 §4.7.1).
    #[must_use]
    pub fn session_key(&self, name: &ServerName<'_>) -> SessionKey {
        self.session_key_of(name, &self.verifier.current(), &self.credentials.current().0)
    }

    /// The same, for a connection that has begun under these.
    pub(crate) fn session_key_of(
        &self,
        name: &ServerName<'_>,
        verifier: &Verifier,
        credentials: &[Arc<Credential>],
    ) -> SessionKey {
        let provider = &self.common.provider;
        let mut w = Writer::default();
        w.raw(b"sealwire session: tcp");
        w.vec16(|w| w.raw(name.to_str().to_ascii_lowercase().as_bytes()));
        w.raw(&verifier.fingerprint(provider));
        // Whom the application accepted itself is no friend of a configuration that goes by its verifier.
        w.u8(self.common.ask.verdict.into());
        // A session without a key is of no use where one is insisted on.
        w.u8(self.common.insists_on_psk().into());
        for credential in credentials {
            w.u8(credential.certificate_type().0);
            w.raw(&provider.fingerprint(credential.entries().next().unwrap_or_default()));
        }
        SessionKey(provider.fingerprint(&w.finish().unwrap_or_default()))
    }

    /// The verifier, for an application that is asked for verdicts and judges on another thread.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// The first post-quantum and the first classical group, in the order of the groups.
fn default_key_shares(groups: &[NamedGroup]) -> Vec<NamedGroup> {
    let quantum = groups.iter().find(|g| g.is_post_quantum());
    let classical = groups.iter().find(|g| !g.is_post_quantum());
    groups.iter().filter(|g| Some(*g) == quantum || Some(*g) == classical).copied().collect()
}
