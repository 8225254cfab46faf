//! The connection: where records and the handshake meet.
//!
//! ```text
//!   input ──► ReadSide ──► handshake bytes ──► State::step ──► effects ──► WriteSide ──► output
//!                 │                               ▲   │                       ▲
//!                 └──► application data           │   └──► events             │ write, seal, close, update_keys
//!                                               answer
//! ```

mod advance;
mod handover;
mod open_question;
mod receiving;
mod sending;

use std::fmt;
use std::sync::Arc;

use pki_types::{ServerName, UnixTime};

pub(crate) use self::handover::Parts;
use self::open_question::OpenQuestion;
use crate::config::{ClientConfig, Common, ServerConfig, checked_alpn};
use crate::error::{Error, Misuse};
use crate::handshake::post::Role;
use crate::handshake::{Effects, Established, Summary, client, server};
use crate::inbound::{Event, Inbound};
use crate::key_schedule::Exporter;
use crate::limits::{Budget, Usage};
use crate::output::Output;
use crate::record::{ChangeCipherSpecRule, HEADER_LEN, MAX_CIPHERTEXT, OVERHEAD, WriteSide};

/// Room that [`Connection::seal`] needs in front of the data: the header of a record.
pub const RECORD_HEADER: usize = HEADER_LEN;
/// Room that [`Connection::seal`] needs behind the data, besides padding: the content type and the tag.
pub const RECORD_TRAILER: usize = OVERHEAD;
/// The longest record there is: an input buffer of this many bytes always suffices.
pub const MAX_RECORD: usize = HEADER_LEN + MAX_CIPHERTEXT;

/// One TLS 1.3 connection, client or server.
///
/// It owns no socket and no clock. The caller moves bytes:
///
/// 1. hand what was received to [`read`](Self::read), again and again until it says [`Read::NeedMore`](crate::Read::NeedMore);
/// 2. send whatever is in the output after each call;
/// 3. look at [`poll_event`](Self::poll_event) after each call.
///
/// Every call that can fail leaves the connection usable after [`Error::Misuse`] and [`Error::OutputTooSmall`], and dead
/// after any other error: the alert that the peer is owed is in the output then, and every later call returns the same
/// error.
///
/// A fixed output ([`FixedOutput`](crate::FixedOutput)) may be too small for what a call has to say. The call that
/// notices first returns [`Error::OutputTooSmall`] and does nothing else; output that came out of something received is
/// kept, and the next call asks for its room. With a growing output this never happens.
pub struct Connection {
    inbound: Inbound,
    writer: WriteSide,
    phase: Phase,
    established: Option<Box<Established>>,
    open_question: Option<OpenQuestion>,
    /// How many bytes of early data can still be sent, on a client that has offered some and has no answer yet.
    early_data_left: Option<usize>,
    /// On a client: the protocol of its early data.
    early_alpn: Option<Vec<u8>>,
    /// On a server that can send before the client's Finished: what it knows by then.
    half_rtt: Option<Box<(Summary, Exporter)>>,
    error: Option<Box<Error>>,
}

/// Where the connection is. The handshake's state lives on the heap, and is gone once the connection is up.
enum Phase {
    Client(Box<client::State>),
    Server(Box<server::State>),
    Connected,
    Failed,
}

impl Connection {
    /// A client that wants to talk to `name` at `now`. Its ClientHello is in `out`.
    ///
    /// # Errors
    /// [`Error::Crypto`] if there is no randomness, [`Error::TooLong`] if the configuration does not fit a ClientHello.
    pub fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        now: UnixTime,
        out: &mut dyn Output,
    ) -> Result<Self, Error> {
        let alpn = config.common.alpn.clone();
        Self::new_client(config, name, alpn, now, out)
    }

    /// The same with application protocols of its own, most preferred first, in place of the configuration's.
    ///
    /// # Errors
    /// As [`Connection::client`], and [`Misuse::Config`] if a protocol is empty or over 255 bytes long.
    pub fn client_with_alpn(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        alpn: &[&[u8]],
        now: UnixTime,
        out: &mut dyn Output,
    ) -> Result<Self, Error> {
        Self::new_client(config, name, checked_alpn(alpn)?, now, out)
    }

    fn new_client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        alpn: Vec<Vec<u8>>,
        now: UnixTime,
        out: &mut dyn Output,
    ) -> Result<Self, Error> {
        let mut budget = Budget::new(config.common.limits);
        let mut fx = Effects::new(now, &mut budget);
        let state = client::start(config.clone(), name, alpn, &mut fx)?;
        let effects = fx.into_list();
        let phase = Phase::Client(Box::new(state));
        // RFC 9846 §5: change_cipher_spec may come once the first ClientHello is sent.
        let rule = ChangeCipherSpecRule::Dropped;
        let mut this = Self::new(&config.common, Role::Client, rule, phase);
        this.writer.initial = true;
        this.apply(now, effects, true)?;
        this.writer.initial = false;
        this.flush_if_it_fits(out);
        Ok(this)
    }

    /// A server that waits for a ClientHello.
    #[must_use]
    pub fn server(config: Arc<ServerConfig>) -> Self {
        // RFC 9846 §4.3.2: a stateless server ignores change_cipher_spec before what is its first ClientHello.
        let rule = match config.cookie_key {
            Some(_) => ChangeCipherSpecRule::Dropped,
            None => ChangeCipherSpecRule::Refused,
        };
        let state =
            server::State::WaitClientHello(server::WaitClientHello { config: config.clone() });
        let mut this =
            Self::new(&config.common, Role::Server, rule, Phase::Server(Box::new(state)));
        if config.cookie_key.is_some() {
            // RFC 9846 §4.3.10: so may early data that came with the first ClientHello and was not read with it.
            this.inbound.reader.skip_early_data(&config.common.limits, 0);
        }
        this
    }

    fn new(common: &Common, role: Role, rule: ChangeCipherSpecRule, phase: Phase) -> Self {
        Self {
            inbound: Inbound::new(common.limits, role, rule),
            writer: WriteSide::new(common),
            phase,
            established: None,
            open_question: None,
            early_data_left: None,
            early_alpn: None,
            half_rtt: None,
            error: None,
        }
    }

    /// What has happened since, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.inbound.events.pop_front()
    }

    /// Fills `out` with keying material for another protocol (RFC 9846 §7.5). Both sides get the same for the same
    /// `label` and `context`. No context and an empty one are the same.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`]; [`Misuse::ExporterLength`] if the label is longer than 249 bytes or `out` longer than 255
    /// hash lengths.
    pub fn export(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), Error> {
        self.check_alive()?;
        let exporter = match (&self.established, &self.half_rtt) {
            (Some(established), _) => &established.exporter,
            (None, Some(half_rtt)) => &half_rtt.1,
            (None, None) => return Err(Misuse::NotConnected.into()),
        };
        exporter.export(label, context.unwrap_or_default(), out)
    }

    /// How much of the configuration's [`Limits`](crate::Limits) the peer has used so far, even if the connection has failed
    /// meanwhile. With the caller's own clock it bounds a peer that is slow on purpose: so many bytes by such a time.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.inbound.usage()
    }

    /// Whether the handshake is complete and the connection has not failed since.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected)
    }

    /// Whether the peer has sent close_notify.
    #[must_use]
    pub fn is_peer_closed(&self) -> bool {
        self.inbound.peer_closed
    }

    /// What was negotiated, once the handshake is complete.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        self.established.as_ref().map(|established| &established.summary)
    }

    /// Client: the application protocol that early data is in, which is that of the session; `None` if that had none, or if
    /// no early data can be sent. A server that would choose another one turns it down (RFC 9846 §4.3.10).
    #[must_use]
    pub fn early_alpn(&self) -> Option<&[u8]> {
        self.early_alpn.as_deref()
    }

    /// Server: what was negotiated with a client whose early data was accepted, from that moment on and even if the
    /// connection fails later. [`write`](Self::write) works then, before the handshake is complete; until it is, the client
    /// may be somebody who has recorded it earlier (RFC 9846 §8).
    #[must_use]
    pub fn early_summary(&self) -> Option<&Summary> {
        self.half_rtt.as_ref().map(|half_rtt| &half_rtt.0)
    }

    fn check_alive(&self) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err((**error).clone()),
            None => Ok(()),
        }
    }

    /// Whether application data can go. A server that has taken early data answers before the handshake is complete.
    fn check_writable(&self) -> Result<(), Error> {
        self.check_alive()?;
        match self.is_connected() || self.half_rtt.is_some() {
            true => Ok(()),
            false => Err(Misuse::NotConnected.into()),
        }
    }

    fn check_connected(&self) -> Result<(), Error> {
        self.check_alive()?;
        match self.is_connected() {
            true => Ok(()),
            false => Err(Misuse::NotConnected.into()),
        }
    }

    /// Fails the connection if a sending call's error is fatal.
    fn note<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && error.is_fatal()
        {
            self.fail(error);
        }
        result
    }

    /// The one place where alerts for errors are sent. From here on nothing works any more, and no key is left.
    fn fail(&mut self, error: &Error) {
        if let Some(alert) = error.alert()
            && !self.writer.is_closed()
        {
            // If even this fails there is no way to tell the peer.
            let _unsendable = self.writer.abort(alert);
        }
        self.writer.forget();
        self.inbound.reader.forget();
        self.established = None;
        self.inbound.keeper = None;
        self.early_data_left = None;
        self.open_question = None;
        self.phase = Phase::Failed;
        self.error = Some(Box::new(error.clone()));
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.phase {
            Phase::Client(state) => state.name(),
            Phase::Server(state) => state.name(),
            Phase::Connected => "CONNECTED",
            Phase::Failed => "FAILED",
        };
        f.debug_struct("Connection")
            .field("state", &state)
            .field("waiting_for", &self.waiting_for())
            .field("peer_closed", &self.inbound.peer_closed)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
