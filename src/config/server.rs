//! What a server is.

use std::sync::Arc;

use super::{
    Ask, ClientAuth, Common, MAX_FRAGMENT, Padding, check_provider, checked_alpn, checked_groups,
    common_setters,
};
use crate::codec::Writer;
use crate::codepoints::{CipherSuiteId, NamedGroup, SignatureScheme};
use crate::compress::CertificateCompression;
use crate::credential::Credential;
use crate::crypto::Provider;
use crate::error::{Error, Misuse};
use crate::key_log::KeyLog;
use crate::limits::Limits;
use crate::psk::{ExternalPsk, PskPolicy};
use crate::replay::ReplayStore;
use crate::retry::CookieKey;
use crate::session::MAX_LIFETIME;
use crate::shared::Shared;
use crate::ticket::Tickets;

/// What every connection of a server shares.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) common: Common,
    pub(crate) credentials: Shared<Vec<Arc<Credential>>>,
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
    pub(crate) tickets_for_any_protocol: bool,
    pub(crate) strict_groups: bool,
    pub(crate) middlebox_compatibility: bool,
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
    /// credential that is for the client's name and that the client can verify. As a [`Shared`] handle they can be swapped
    /// later.
    ///
    /// # Errors
    /// [`Misuse::NotInProvider`] if the provider lacks suites, groups or verifiers altogether.
    pub fn new(
        provider: Provider,
        credentials: impl Into<Shared<Vec<Arc<Credential>>>>,
    ) -> Result<Self, Error> {
        let common = Common::new(provider);
        check_provider(&common)?;
        Ok(Self {
            common,
            credentials: credentials.into(),
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
            tickets_for_any_protocol: false,
            strict_groups: false,
            middlebox_compatibility: false,
        })
    }

    /// RFC 9963 §3 has schemes for clients alone.
    const PEER_IS_CLIENT: bool = true;

    common_setters!();

    /// Only these groups, most preferred first.
    ///
    /// # Errors
    /// [`Misuse::NotInProvider`] if the list is empty or the provider lacks one.
    pub fn with_groups(mut self, groups: &[NamedGroup]) -> Result<Self, Error> {
        self.common.groups = checked_groups(&self.common.provider, groups)?;
        Ok(self)
    }

    /// Whether to insist on the first of our groups that the client has, too, even if it sent a share for another and none
    /// for that, which costs a round trip (RFC 9846 §4.3.8; default no). A post-quantum group is insisted on in any case,
    /// if both have one.
    #[must_use]
    pub fn with_strict_group_order(mut self, strict: bool) -> Self {
        self.strict_groups = strict;
        self
    }

    /// Whether to send change_cipher_spec also to clients that did not ask for it (RFC 9846 Appendix E.4; default no), for
    /// middleboxes before the server.
    #[must_use]
    pub fn with_middlebox_compatibility(mut self, always: bool) -> Self {
        self.middlebox_compatibility = always;
        self
    }

    /// Whether change_cipher_spec follows the server's first message (RFC 9846 Appendix E.4).
    pub(crate) fn sends_change_cipher_spec(&self, legacy_session_id: &[u8]) -> bool {
        self.middlebox_compatibility || !legacy_session_id.is_empty()
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

    /// Issues tickets, and takes them back: clients can resume (RFC 9846 §2.2). An `Arc` of a [`Shared`] handle on them will
    /// do, too, so that they can be swapped later.
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

    /// Whether a ticket is good also where another application protocol is chosen than that for which it was issued (default
    /// no). RFC 7301 §3.2 allows it; early data is bound to its protocol in any case (RFC 9846 §4.3.10).
    #[must_use]
    pub fn with_tickets_for_any_protocol(mut self, any: bool) -> Self {
        self.tickets_for_any_protocol = any;
        self
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
    pub(crate) fn policy(
        &self,
        client_auth: &ClientAuth,
        server_name: Option<&[u8]>,
        alpn: Option<&[u8]>,
    ) -> [u8; 32] {
        let provider = &self.common.provider;
        let mut w = Writer::default();
        w.raw(b"sealwire ticket: tcp");
        match client_auth {
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
        let alpn = alpn.filter(|_| !self.tickets_for_any_protocol);
        w.vec8(|w| w.raw(alpn.unwrap_or_default()));
        provider.fingerprint(&w.finish().unwrap_or_default())
    }

    /// How clients authenticate, for an application that is asked for verdicts and judges on another thread.
    #[must_use]
    pub fn client_auth(&self) -> &ClientAuth {
        &self.client_auth
    }
}
