//! Tickets and pre-shared keys in both roles (RFC 9846 §4.3.11, §4.7.1): binders, what a server puts into a ticket, and
//! what a client keeps of one.

use std::sync::Arc;
use std::time::Duration;

use pki_types::UnixTime;

use crate::codepoints::CipherSuiteId;
use crate::config::ServerConfig;
use crate::crypto::{CipherSuite, Hash, HashValue};
use crate::error::Error;
use crate::key_schedule::ResumptionSecret;
use crate::message::NewSessionTicket;
use crate::session::{MAX_LIFETIME, PeerIdentity, Session, SessionKey, SessionStore};
use crate::ticket::{ServerSession, TICKET_OVERHEAD};
use crate::transcript::Transcript;

/// RFC 9846 §4.3.11.2: the transcript that a binder is computed over: `truncated` is the ClientHello up to its binders,
/// `before` what went before it in a handshake with HelloRetryRequest.
pub(crate) fn binder_transcript(
    hash: &'static dyn Hash,
    before: Option<Transcript>,
    truncated: &[u8],
) -> HashValue {
    match before {
        Some(mut transcript) => {
            transcript.add(truncated);
            transcript.current()
        }
        None => Transcript::new(hash, truncated).current(),
    }
}

/// Issues tickets on a server's connection.
pub(crate) struct TicketIssuer {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) suite: &'static CipherSuite,
    pub(crate) resumption: ResumptionSecret,
    pub(crate) policy: [u8; 32],
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) client: PeerIdentity,
    /// When the client last signed, in seconds since 1970.
    pub(crate) authenticated: u64,
    /// The number of the next ticket, which is its nonce.
    pub(crate) next: u32,
}

impl TicketIssuer {
    /// A NewSessionTicket message. `None` if there is to be no ticket: the store has none, nothing of the session's life is
    /// left, or the client's certificates are too large for one.
    pub(crate) fn issue(&mut self, now: UnixTime) -> Result<Option<Vec<u8>>, Error> {
        let config = &self.config;
        let Some(tickets) = &config.tickets else { return Ok(None) };
        let mut age_add = [0; 4];
        config.common.provider.rng.fill(&mut age_add)?;
        let nonce = self.next.to_be_bytes();
        self.next += 1;
        let issued = now.as_secs();
        let chain_expiry = self.client.expiry();
        // However often a session is resumed, it ends 7 days after the client's last signature, and with its certificates.
        let end = self.authenticated.saturating_add(MAX_LIFETIME.into()).min(chain_expiry);
        let left = u32::try_from(end.saturating_sub(issued)).unwrap_or(u32::MAX);
        let lifetime = config.ticket_lifetime.min(left).min(MAX_LIFETIME);
        if lifetime == 0 {
            return Ok(None);
        }
        let max_early_data = config.early_data.as_ref().map_or(0, |(_, max)| *max);
        let state = ServerSession {
            suite: self.suite.id,
            psk: self.resumption.psk(&nonce),
            age_add: u32::from_be_bytes(age_add),
            issued,
            lifetime,
            max_early_data,
            policy: self.policy,
            alpn: self.alpn.clone(),
            authenticated: self.authenticated,
            client: self.client.clone(),
            chain_expiry,
        };
        let state = state.to_bytes()?;
        // A ticket comes back in a ClientHello, which has to stay small.
        if state.len() + TICKET_OVERHEAD > MAX_TICKET {
            return Ok(None);
        }
        let kept_for = Duration::from_secs(lifetime.into());
        let Some(ticket) = tickets.issue(&state, now, kept_for) else { return Ok(None) };
        if ticket.is_empty() || ticket.len() > MAX_TICKET {
            return Ok(None);
        }
        let message = NewSessionTicket {
            lifetime,
            age_add: u32::from_be_bytes(age_add),
            nonce: &nonce,
            ticket: &ticket,
            max_early_data,
            grease: config.common.draw_grease()?.map(|grease| grease.extensions()[0]),
        };
        message.write().map(Some)
    }
}

/// The longest ticket that we issue.
const MAX_TICKET: usize = 16_384;

/// Keeps the tickets that come on a client's connection.
pub(crate) struct SessionKeeper {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) key: SessionKey,
    pub(crate) suite: CipherSuiteId,
    pub(crate) resumption: ResumptionSecret,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) server: PeerIdentity,
    pub(crate) chain_expiry: u64,
}

impl SessionKeeper {
    /// RFC 9846 §4.7.1
    pub(crate) fn keep(&self, message: &NewSessionTicket<'_>, now: UnixTime) {
        // Zero means that it is not to be kept, and more than 7 days are 7 days.
        if message.lifetime == 0 {
            return;
        }
        self.store.put(Session {
            key: self.key,
            suite: self.suite,
            psk: self.resumption.psk(message.nonce),
            ticket: message.ticket.to_vec(),
            lifetime: message.lifetime.min(MAX_LIFETIME),
            age_add: message.age_add,
            received: now,
            max_early_data: message.max_early_data,
            alpn: self.alpn.clone(),
            server: self.server.clone(),
            chain_expiry: self.chain_expiry,
        });
    }
}
