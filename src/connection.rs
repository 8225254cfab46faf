//! The connection: where records and the handshake meet.
//!
//! ```text
//!   input ──► ReadSide ──► handshake bytes ──► State::step ──► effects ──► WriteSide ──► output
//!                 │                               ▲   │                       ▲
//!                 └──► application data           │   └──► events             │ write, seal, close, update_keys
//!                                               answer
//! ```

use std::fmt;
use std::sync::Arc;

use pki_types::{ServerName, UnixTime};

use crate::codepoints::Alert;
use crate::config::{ClientConfig, Common, ServerConfig, checked_alpn};
use crate::credential::Key;
use crate::decision::{Answer, Question, Waiting};
use crate::error::{Error, Misuse, Violation};
use crate::handshake::post::Role;
use crate::handshake::post_auth::PostAuth;
use crate::handshake::{Effect, Effects, Established, Input, Summary, client, server};
use crate::inbound::{Event, Inbound, Read, gather, keep, next_message};
use crate::key_schedule::Exporter;
use crate::limits::{Budget, Usage};
use crate::message::Message;
use crate::output::Output;
use crate::record::{
    ChangeCipherSpecRule, HEADER_LEN, Incoming, MAX_CIPHERTEXT, OVERHEAD, WriteSide,
};
use crate::split::{Receiver, Sender};
use crate::traffic_keys::{DirectionKeys, TrafficKeys};

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
/// 1. hand what was received to [`read`](Self::read), again and again until it says [`Read::NeedMore`];
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

/// What the application was asked.
struct OpenQuestion {
    kind: Waiting,
    /// Whether the configuration can answer in its place.
    has_default: bool,
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

    /// Takes at most one record from the front of `input`; replies are appended to `out`.
    ///
    /// Application data is decrypted where it lies, and lent. Call until [`Read::NeedMore`], [`Read::Waiting`] or
    /// [`Read::Closed`]: only then is there no output of this connection left behind.
    ///
    /// # Errors
    /// Whatever the peer did wrong. The alert that it is owed is in `out`: send it, and drop the connection.
    /// [`Error::OutputTooSmall`] if earlier output does not fit into `out`: nothing was taken.
    pub fn read<'b>(
        &mut self,
        now: UnixTime,
        input: &'b mut [u8],
        out: &mut dyn Output,
    ) -> Result<Read<'b>, Error> {
        self.writer.flush(out)?;
        self.check_alive()?;
        if self.open_question.is_some() {
            return Ok(Read::Waiting);
        }
        if self.inbound.peer_closed {
            return Ok(Read::Closed);
        }
        let result = self.read_record(now, input);
        if let Err(error) = &result {
            self.fail(error);
        }
        self.flush_if_it_fits(out);
        result
    }

    fn read_record<'b>(&mut self, now: UnixTime, input: &'b mut [u8]) -> Result<Read<'b>, Error> {
        match self.inbound.next(input)? {
            Incoming::NeedMore { need } => Ok(Read::NeedMore { need }),
            Incoming::Nothing { used } => Ok(Read::Control { used }),
            Incoming::Handshake { used, data } => {
                if !self.is_connected() {
                    self.inbound.budget.handshake_bytes(data.len())?;
                }
                self.on_handshake_bytes(now, data)?;
                Ok(Read::Control { used })
            }
            Incoming::Alert { used, alert } => {
                self.inbound.on_alert(alert, self.is_connected())?;
                Ok(Read::Control { used })
            }
            Incoming::EarlyData { used, data: [] } => Ok(Read::Control { used }),
            Incoming::EarlyData { used, data } => Ok(Read::EarlyData { used, data }),
            Incoming::Data { used, data } => {
                // RFC 9846 §4.5.3: application data comes after Finished.
                if !matches!(self.phase, Phase::Connected) {
                    return Err(Violation::UnexpectedRecord.into());
                }
                if data.is_empty() {
                    return Ok(Read::Control { used });
                }
                // RFC 9846 §4.7.2: a client's answer to a request has nothing else inside.
                let post_auth = self.established.as_ref().and_then(|e| e.post_auth.as_ref());
                if post_auth.is_some_and(PostAuth::is_under_way) {
                    return Err(Violation::UnexpectedRecord.into());
                }
                self.inbound.budget.data();
                Ok(Read::Data { used, data })
            }
        }
    }

    /// The transport has no more bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] if the peer has not sent close_notify: somebody may have cut the stream (RFC 9846 §6.1).
    /// Or the error that ended the connection before.
    pub fn read_eof(&mut self) -> Result<(), Error> {
        self.check_alive()?;
        match self.inbound.peer_closed {
            true => Ok(()),
            false => Err(Error::Truncated),
        }
    }

    /// Seals `plaintext` into as many records as it takes, appended to `out`: all of them, or none.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], [`Misuse::Closed`]; [`Error::OutputTooSmall`] if the records do not fit.
    pub fn write(&mut self, plaintext: &[u8], out: &mut dyn Output) -> Result<(), Error> {
        self.check_writable()?;
        let result = self.writer.write(plaintext, out);
        self.note(result)
    }

    /// How many bytes of early data can be sent now; `None` if none can: a client without a session that allows it, or that
    /// has its answer already ([`Event::EarlyDataAnswer`]).
    #[must_use]
    pub fn early_data_left(&self) -> Option<usize> {
        self.early_data_left
    }

    /// Sends early data with the first flight (RFC 9846 §4.3.10): sealed like [`write`](Self::write), but anybody who sees
    /// it can send it to the server again, and the server may not take it. Whether it does is said by
    /// [`Event::EarlyDataAnswer`]; nothing is sent again by itself.
    ///
    /// # Errors
    /// [`Misuse::NoEarlyData`], [`Misuse::EarlyDataTooLong`]; [`Error::OutputTooSmall`] if the records do not fit.
    pub fn write_early(&mut self, plaintext: &[u8], out: &mut dyn Output) -> Result<(), Error> {
        self.check_alive()?;
        let left = self.early_data_left.ok_or(Misuse::NoEarlyData)?;
        let left = left.checked_sub(plaintext.len()).ok_or(Misuse::EarlyDataTooLong)?;
        let result = self.writer.write_early(plaintext, out);
        if result.is_ok() {
            self.early_data_left = Some(left);
        }
        self.note(result)
    }

    /// Server: sends one more ticket, at any time after the handshake (RFC 9846 §4.7.1).
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], [`Misuse::Closed`]; [`Misuse::NoTickets`] on a client, or if the configuration has no
    /// tickets, the client cannot use them, or its certificates leave no time for one.
    pub fn send_ticket(&mut self, now: UnixTime, out: &mut dyn Output) -> Result<(), Error> {
        self.check_connected()?;
        if self.writer.is_closed() {
            return Err(Misuse::Closed.into());
        }
        let issuer = self.established.as_mut().and_then(|established| established.issuer.as_mut());
        let message = issuer.ok_or(Misuse::NoTickets)?.issue(now)?.ok_or(Misuse::NoTickets)?;
        self.writer.queue_message(&message);
        let result = self.writer.end_flight();
        self.flush_if_it_fits(out);
        self.note(result)
    }

    /// Server: asks the client who it is, at any time after the handshake (RFC 9846 §4.7.2). The answer is
    /// [`Event::ClientAnswered`], and may take long: until then everything goes on as before.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], [`Misuse::Closed`]; [`Misuse::NoPostHandshakeAuth`] on a client, or if the client has not
    /// offered it or the configuration has no verifier; [`Misuse::Busy`] if 8 requests are open.
    pub fn request_client_certificate(&mut self, out: &mut dyn Output) -> Result<(), Error> {
        self.check_connected()?;
        if self.writer.is_closed() {
            return Err(Misuse::Closed.into());
        }
        let post_auth = self.established.as_mut().and_then(|e| e.post_auth.as_mut());
        let Some(PostAuth::Server(asking)) = post_auth else {
            return Err(Misuse::NoPostHandshakeAuth.into());
        };
        let message = asking.request()?;
        self.writer.queue_message(&message);
        let result = self.writer.end_flight();
        self.flush_if_it_fits(out);
        self.note(result)
    }

    /// Seals one record where it lies, without a copy. `record` is [`RECORD_HEADER`] bytes of room, then `len` bytes of
    /// data, then [`RECORD_TRAILER`] bytes of room, and more for padding if there is a policy. Returns the length of the
    /// record, which begins at the front of `record`.
    ///
    /// # Errors
    /// [`Misuse::OutputWaiting`] if a new key or an alert has to go first: [`flush`](Self::flush) and call again.
    /// [`Misuse::RecordTooLong`] and [`Misuse::RecordBuffer`] for a wrong `len` or too little room,
    /// [`Misuse::NotConnected`], [`Misuse::Closed`].
    pub fn seal(&mut self, record: &mut [u8], len: usize) -> Result<usize, Error> {
        self.check_writable()?;
        let result = self.writer.seal(record, len);
        self.note(result)
    }

    /// Moves output into `out` that an earlier one had no room for. It works after an error, too.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`], and nothing is moved.
    pub fn flush(&mut self, out: &mut dyn Output) -> Result<(), Error> {
        self.writer.flush(out)
    }

    /// What has happened since, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.inbound.events.pop_front()
    }

    /// Which answer the connection waits for.
    #[must_use]
    pub fn waiting_for(&self) -> Option<Waiting> {
        self.open_question.as_ref().map(|question| question.kind)
    }

    /// Answers the open question, and goes on with what was received meanwhile.
    ///
    /// # Errors
    /// [`Misuse::UnexpectedAnswer`] if there is no question, or the answer is for another one: nothing has changed.
    /// Otherwise as [`Connection::read`].
    pub fn answer(
        &mut self,
        now: UnixTime,
        answer: Answer,
        out: &mut dyn Output,
    ) -> Result<(), Error> {
        self.check_alive()?;
        let question = self.open_question.as_ref().ok_or(Misuse::UnexpectedAnswer)?;
        if !question.accepts(&answer) {
            return Err(Misuse::UnexpectedAnswer.into());
        }
        self.writer.flush(out)?;
        self.open_question = None;
        let result = self.on_answer(now, answer);
        if let Err(error) = &result {
            self.fail(error);
        }
        self.flush_if_it_fits(out);
        result
    }

    /// Sends close_notify: there will be no more data of ours. The peer's can still come. A second call does nothing.
    ///
    /// Within the handshake user_canceled goes before it (RFC 9846 §6.1), and the connection is over: every later call
    /// returns [`Error::Refused`] with that alert.
    ///
    /// # Errors
    /// The error that ended the connection before. [`Error::OutputTooSmall`] if earlier output does not fit.
    pub fn close(&mut self, out: &mut dyn Output) -> Result<(), Error> {
        self.writer.flush(out)?;
        self.check_alive()?;
        let result = match self.is_connected() {
            true => self.writer.close(),
            false => self.cancel(),
        };
        self.flush_if_it_fits(out);
        self.note(result)
    }

    /// RFC 9846 §6.1: gives up the handshake.
    fn cancel(&mut self) -> Result<(), Error> {
        self.writer.abort(Alert::user_canceled)?;
        self.writer.close()?;
        self.fail(&Error::Refused(Alert::user_canceled));
        Ok(())
    }

    /// Changes our sending key, and asks the peer for the same if `ask_peer` and it does not owe that already
    /// (RFC 9846 §4.7.3). It also happens by itself before a key's limit.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], [`Misuse::Closed`]; [`Limit::KeyExhausted`](crate::Limit::KeyExhausted) after 2^48 - 1 changes.
    pub fn update_keys(&mut self, ask_peer: bool, out: &mut dyn Output) -> Result<(), Error> {
        self.check_connected()?;
        if self.writer.is_closed() {
            return Err(Misuse::Closed.into());
        }
        self.writer.flush(out)?;
        let result = self.writer.update_key(ask_peer);
        self.flush_if_it_fits(out);
        self.note(result)
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

    /// Takes the connection apart into a half that sends and one that receives, for two threads. They share nothing.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], or the error that ended the connection before.
    pub fn split(self) -> Result<(Sender, Receiver), Error> {
        self.check_connected()?;
        let established = self.established.ok_or(Misuse::NotConnected)?;
        Ok((Sender::new(self.writer), Receiver::new(self.inbound, established)))
    }

    /// Gives up the connection for its keys, to go on with them elsewhere: in the kernel, in hardware, in another
    /// process. Whoever has them must use each sequence number once.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], [`Misuse::Closed`]; [`Misuse::Busy`] if output is waiting, a key change is owed, or half
    /// a message has come.
    pub fn into_traffic_keys(self) -> Result<TrafficKeys, Error> {
        self.check_connected()?;
        if self.writer.is_closed() || self.inbound.peer_closed {
            return Err(Misuse::Closed.into());
        }
        if !self.writer.is_idle() || !self.inbound.reader.partial.is_empty() {
            return Err(Misuse::Busy.into());
        }
        let sending = self.writer.into_secret().ok_or(Misuse::NotConnected)?;
        let receiving = self.inbound.reader.into_secret().ok_or(Misuse::NotConnected)?;
        Ok(TrafficKeys {
            suite: sending.suite.id,
            sending: DirectionKeys::from(sending),
            receiving: DirectionKeys::from(receiving),
        })
    }

    /// Whether the connection can go on in another process.
    pub(crate) fn check_movable(&self) -> Result<(), Error> {
        self.check_connected()?;
        if self.writer.is_closed() && self.inbound.peer_closed {
            return Err(Misuse::Closed.into());
        }
        if !self.writer.is_empty() || self.open_question.is_some() {
            return Err(Misuse::Busy.into());
        }
        let post_auth = self.established.as_ref().and_then(|e| e.post_auth.as_ref());
        Ok(post_auth.map_or(Ok(()), PostAuth::check_movable)?)
    }

    /// Takes the connection apart, to go on in another process.
    pub(crate) fn into_parts(self) -> Result<Parts, Error> {
        self.check_movable()?;
        let established = self.established.ok_or(Misuse::NotConnected)?;
        Ok(Parts { writer: self.writer, inbound: self.inbound, established })
    }

    /// Goes on in this process.
    pub(crate) fn from_parts(parts: Parts) -> Self {
        Self {
            inbound: parts.inbound,
            writer: parts.writer,
            phase: Phase::Connected,
            established: Some(parts.established),
            open_question: None,
            early_data_left: None,
            early_alpn: None,
            half_rtt: None,
            error: None,
        }
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

    /// Output that does not fit now stays, and the next call asks for room.
    fn flush_if_it_fits(&mut self, out: &mut dyn Output) {
        let _later = self.writer.flush(out);
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

    fn on_handshake_bytes(&mut self, now: UnixTime, data: &[u8]) -> Result<(), Error> {
        let mut partial = std::mem::take(&mut self.inbound.reader.partial);
        let mut bytes = gather(&mut partial, data);
        // A message that asks a question makes those behind it wait.
        while self.open_question.is_none()
            && let Some((raw, rest)) = next_message(&self.inbound.budget.limits, bytes)?
        {
            self.on_message(now, Message::read(raw)?, rest.is_empty())?;
            bytes = rest;
        }
        let left = bytes.len();
        self.inbound.hold(keep(partial, data, left))
    }

    fn on_message(&mut self, now: UnixTime, message: Message<'_>, last: bool) -> Result<(), Error> {
        if !self.is_connected() {
            self.inbound.budget.handshake_message()?;
            return self.step(now, Input::Message(message), last);
        }
        let post_auth = self.established.as_ref().and_then(|e| e.post_auth.as_ref());
        if post_auth.is_some_and(|post_auth| post_auth.takes(&message)) {
            self.inbound.budget.post_handshake()?;
            return self.step_post_auth(now, Input::Message(message));
        }
        if let Some(requested) = self.inbound.on_post_handshake(now, &message, last)? {
            self.writer.on_peer_update(requested);
        }
        Ok(())
    }

    /// Moves an exchange after the handshake (RFC 9846 §4.7.2).
    fn step_post_auth(&mut self, now: UnixTime, input: Input<'_>) -> Result<(), Error> {
        let mut fx = Effects::new(now, &mut self.inbound.budget);
        let Some(established) = &mut self.established else {
            return Err(Error::unexpected("FAILED", input.name()));
        };
        let Established { post_auth: Some(post_auth), summary, .. } = &mut **established else {
            return Err(Error::unexpected("CONNECTED", input.name()));
        };
        let client_secret = match post_auth {
            PostAuth::Client(_) => self.writer.traffic_secret(),
            PostAuth::Server(_) => self.inbound.reader.traffic_secret(),
        };
        let client_secret = client_secret.ok_or(Misuse::NotConnected)?;
        match input {
            Input::Message(message) => {
                post_auth.on_message(&message, client_secret, summary, &mut fx)?;
            }
            Input::Answer(answer) => {
                post_auth.on_answer(answer, client_secret, summary, &mut fx)?;
            }
        }
        let effects = fx.into_list();
        self.apply(now, effects, true)
    }

    fn on_answer(&mut self, now: UnixTime, answer: Answer) -> Result<(), Error> {
        if self.is_connected() {
            self.step_post_auth(now, Input::Answer(answer))?;
            return self.on_handshake_bytes(now, &[]);
        }
        let partial = std::mem::take(&mut self.inbound.reader.partial);
        self.step(now, Input::Answer(answer), partial.is_empty())?;
        self.on_handshake_bytes(now, &partial)
    }

    /// Moves the handshake. `last` says whether nothing is left of the record that led here.
    fn step(&mut self, now: UnixTime, input: Input<'_>, last: bool) -> Result<(), Error> {
        let mut fx = Effects::new(now, &mut self.inbound.budget);
        self.phase = match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Client(state) => Phase::Client(Box::new(state.step(input, &mut fx)?)),
            Phase::Server(state) => Phase::Server(Box::new(state.step(input, &mut fx)?)),
            Phase::Connected => Phase::Connected,
            Phase::Failed => return Err(Error::unexpected("FAILED", input.name())),
        };
        let effects = fx.into_list();
        self.apply(now, effects, last)
    }

    /// A client that is known now is known to the tickets that follow, too.
    fn on_client_answered(&mut self, now: UnixTime, known: Option<[u8; 32]>) {
        if let Some(established) = &mut self.established
            && let Established { issuer: Some(issuer), summary, .. } = &mut **established
            && let Some(policy) = known
        {
            issuer.policy = policy;
            issuer.client = summary.peer();
            issuer.authenticated = now.as_secs();
        }
        self.inbound.tell(Event::ClientAnswered { known: known.is_some() });
    }

    /// Makes happen what the handshake wants, in its order.
    fn apply(&mut self, now: UnixTime, effects: Vec<Effect>, last: bool) -> Result<(), Error> {
        for effect in effects {
            match effect {
                Effect::Send(message) => self.writer.queue_message(&message),
                Effect::ChangeCipherSpec => self.writer.queue_change_cipher_spec()?,
                Effect::ChangeCipherSpecFirst => self.writer.change_cipher_spec_owed = true,
                Effect::WriteKey(suite, secret) => self.writer.set_key(suite, secret)?,
                // RFC 9846 §5.1: messages do not span key changes.
                Effect::ReadKey(..) | Effect::ReadEarlyKey(..) | Effect::EndOfFlight if !last => {
                    return Err(Violation::KeyChangeMidRecord.into());
                }
                Effect::ReadKey(suite, secret) => self.inbound.reader.set_key(suite, secret)?,
                Effect::ReadEarlyKey(suite, secret, max) => {
                    self.inbound.reader.set_early_key(suite, secret, max)?;
                }
                Effect::WriteEarlyKey { suite, secret, max, alpn } => {
                    self.writer.set_key(suite, secret)?;
                    self.early_data_left = Some(max);
                    self.early_alpn = alpn;
                }
                Effect::DropWriteKey => self.writer.drop_key(),
                Effect::EarlyDataAnswer { accepted } => {
                    self.early_data_left = self.early_data_left.filter(|_| accepted);
                    self.inbound.tell(Event::EarlyDataAnswer { accepted });
                }
                Effect::EndOfEarlyData => self.early_data_left = None,
                Effect::HalfRtt(half_rtt) => self.half_rtt = Some(half_rtt),
                Effect::EndOfFlight => {}
                Effect::SkipEarlyData(max) => {
                    let limits = &self.inbound.budget.limits;
                    self.inbound.reader.skip_early_data(limits, max);
                }
                // RFC 9846 §5: when change_cipher_spec may come.
                Effect::PeerHello => {
                    self.inbound.reader.change_cipher_spec = ChangeCipherSpecRule::Dropped;
                }
                Effect::PeerFinished => {
                    self.inbound.reader.change_cipher_spec = ChangeCipherSpecRule::Refused;
                }
                Effect::Configure(config) => {
                    self.inbound.budget.limits = config.common.limits;
                    self.writer.set_policy(&config.common);
                }
                Effect::Ask(question) => {
                    self.open_question = Some(OpenQuestion::new(&question));
                    self.inbound.tell(Event::Ask(question));
                }
                Effect::ClientAnswered { known } => self.on_client_answered(now, known),
                Effect::Complete(mut established) => {
                    self.inbound.keeper = established.keeper.take().map(Box::new);
                    self.established = Some(established);
                    self.phase = Phase::Connected;
                    self.inbound.tell(Event::Connected);
                }
            }
        }
        // While a credential or a signature is awaited, what goes with it in one flight waits too.
        match self.waiting_for() {
            Some(Waiting::Credential | Waiting::Signature) => Ok(()),
            _ => self.writer.end_flight(),
        }
    }
}

impl OpenQuestion {
    fn new(question: &Question) -> Self {
        match question {
            Question::ClientHello(_) => Self { kind: Waiting::ClientHello, has_default: true },
            Question::Credential(_) => Self { kind: Waiting::Credential, has_default: true },
            Question::Verdict(_) => Self { kind: Waiting::Verdict, has_default: true },
            Question::Psk(_) => Self { kind: Waiting::Psk, has_default: true },
            Question::EarlyData(_) => Self { kind: Waiting::EarlyData, has_default: true },
            Question::Signature(request) => Self {
                kind: Waiting::Signature,
                has_default: matches!(request.credential.key(), Key::Local(_)),
            },
        }
    }

    fn accepts(&self, answer: &Answer) -> bool {
        match answer {
            Answer::UseConfig => self.has_default,
            Answer::Refuse(_) => true,
            Answer::Choose(_) => self.kind == Waiting::ClientHello,
            Answer::Credential(_) => self.kind == Waiting::Credential,
            Answer::Signature(_) => self.kind == Waiting::Signature,
            Answer::Accept => matches!(self.kind, Waiting::Verdict | Waiting::EarlyData),
            Answer::Reject(_) => self.kind == Waiting::Verdict,
            Answer::Decline => self.kind == Waiting::EarlyData,
            Answer::Ticket(..) | Answer::ExternalPsk(..) | Answer::NoPsk => {
                self.kind == Waiting::Psk
            }
        }
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

/// All that a connection is after its handshake.
pub(crate) struct Parts {
    pub(crate) writer: WriteSide,
    pub(crate) inbound: Inbound,
    pub(crate) established: Box<Established>,
}
