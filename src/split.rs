//! A connection in two halves, for two threads: no lock, nothing shared.
//!
//! What the receiving half learns that the sending half has to act upon is an event or an error, which the application
//! carries over: a peer's request for a new key ([`Event::PeerUpdatedKeys`] → [`Sender::update_keys`]), an error
//! ([`Error::alert`] → [`Sender::abort`]).

use std::fmt;

use pki_types::UnixTime;

use crate::error::{Error, Misuse};
use crate::handshake::{Established, Summary};
use crate::inbound::{Event, Inbound, Read};
use crate::limits::Usage;
use crate::output::Output;
use crate::record::{Incoming, WriteSide};

/// The half that sends.
pub struct Sender {
    writer: WriteSide,
    error: Option<Box<Error>>,
}

impl Sender {
    pub(crate) fn new(writer: WriteSide) -> Self {
        Self { writer, error: None }
    }

    /// As [`Connection::write`](crate::Connection::write).
    ///
    /// # Errors
    /// [`Misuse::Closed`]; [`Error::OutputTooSmall`] if the records do not fit.
    pub fn write(&mut self, plaintext: &[u8], out: &mut dyn Output) -> Result<(), Error> {
        self.check_alive()?;
        let result = self.writer.write(plaintext, out);
        self.note(result)
    }

    /// As [`Connection::seal`](crate::Connection::seal).
    ///
    /// # Errors
    /// As there.
    pub fn seal(&mut self, record: &mut [u8], len: usize) -> Result<usize, Error> {
        self.check_alive()?;
        let result = self.writer.seal(record, len);
        self.note(result)
    }

    /// As [`Connection::flush`](crate::Connection::flush).
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`], and nothing is moved.
    pub fn flush(&mut self, out: &mut dyn Output) -> Result<(), Error> {
        self.writer.flush(out)
    }

    /// The receiving half said [`Event::PeerUpdatedKeys`]: with `requested` our key changes before our next data.
    pub fn on_peer_update(&mut self, requested: bool) {
        self.writer.on_peer_update(requested);
    }

    /// As [`Connection::update_keys`](crate::Connection::update_keys).
    ///
    /// # Errors
    /// [`Misuse::Closed`]; [`Limit::KeyExhausted`](crate::Limit::KeyExhausted) after 2^48 - 1 changes.
    pub fn update_keys(&mut self, ask_peer: bool, out: &mut dyn Output) -> Result<(), Error> {
        self.check_alive()?;
        if self.writer.is_closed() {
            return Err(Misuse::Closed.into());
        }
        self.writer.flush(out)?;
        let result = self.writer.update_key(ask_peer);
        let _later = self.writer.flush(out);
        self.note(result)
    }

    /// Sends close_notify, once.
    ///
    /// # Errors
    /// The error that ended this half before. [`Error::OutputTooSmall`] if earlier output does not fit.
    pub fn close(&mut self, out: &mut dyn Output) -> Result<(), Error> {
        self.check_alive()?;
        self.writer.flush(out)?;
        let result = self.writer.close();
        let _later = self.writer.flush(out);
        self.note(result)
    }

    /// The receiving half has failed with `error`: sends the alert that the peer is owed, and nothing more after it.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`]: call [`Sender::flush`] with room for the alert.
    pub fn abort(&mut self, error: &Error, out: &mut dyn Output) -> Result<(), Error> {
        if self.error.is_none() && error.is_fatal() {
            if let Some(alert) = error.alert()
                && !self.writer.is_closed()
            {
                self.writer.abort(alert)?;
            }
            self.writer.forget();
            self.error = Some(Box::new(error.clone()));
        }
        self.writer.flush(out)
    }

    fn check_alive(&self) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err((**error).clone()),
            None => Ok(()),
        }
    }

    fn note<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && error.is_fatal()
        {
            self.writer.forget();
            self.error = Some(Box::new(error.clone()));
        }
        result
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("error", &self.error).finish_non_exhaustive()
    }
}

/// The half that receives.
pub struct Receiver {
    inbound: Inbound,
    established: Box<Established>,
    error: Option<Box<Error>>,
}

impl Receiver {
    pub(crate) fn new(inbound: Inbound, established: Box<Established>) -> Self {
        Self { inbound, established, error: None }
    }

    /// As [`Connection::read`](crate::Connection::read), but it needs no output.
    ///
    /// # Errors
    /// Whatever the peer did wrong. The sending half owes it the alert: [`Sender::abort`].
    pub fn read<'b>(&mut self, now: UnixTime, input: &'b mut [u8]) -> Result<Read<'b>, Error> {
        self.check_alive()?;
        if self.inbound.peer_closed {
            return Ok(Read::Closed);
        }
        let result = self.read_record(now, input);
        if let Err(error) = &result {
            self.inbound.reader.forget();
            self.error = Some(Box::new(error.clone()));
        }
        result
    }

    fn read_record<'b>(&mut self, now: UnixTime, input: &'b mut [u8]) -> Result<Read<'b>, Error> {
        match self.inbound.next(input)? {
            Incoming::NeedMore { need } => Ok(Read::NeedMore { need }),
            Incoming::Nothing { used } => Ok(Read::Control { used }),
            Incoming::Handshake { used, data } => {
                self.inbound.on_post_handshake_bytes(now, data)?;
                Ok(Read::Control { used })
            }
            Incoming::Alert { used, alert } => {
                self.inbound.on_alert(alert, true)?;
                Ok(Read::Control { used })
            }
            Incoming::EarlyData { used, .. } | Incoming::Data { used, data: [] } => {
                Ok(Read::Control { used })
            }
            Incoming::Data { used, data } => {
                self.inbound.budget.data();
                Ok(Read::Data { used, data })
            }
        }
    }

    /// As [`Connection::read_eof`](crate::Connection::read_eof).
    ///
    /// # Errors
    /// As there.
    pub fn read_eof(&mut self) -> Result<(), Error> {
        self.check_alive()?;
        match self.inbound.peer_closed {
            true => Ok(()),
            false => Err(Error::Truncated),
        }
    }

    /// What has happened since, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.inbound.events.pop_front()
    }

    /// As [`Connection::usage`](crate::Connection::usage).
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.inbound.usage()
    }

    /// What was negotiated.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.established.summary
    }

    /// As [`Connection::export`](crate::Connection::export).
    ///
    /// # Errors
    /// As there.
    pub fn export(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), Error> {
        self.check_alive()?;
        self.established.exporter.export(label, context.unwrap_or_default(), out)
    }

    fn check_alive(&self) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err((**error).clone()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("peer_closed", &self.inbound.peer_closed)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
