//! What comes in: one record after the other, and the messages in them (RFC 9846 §5.1).

use pki_types::UnixTime;

use super::{Connection, Phase};
use crate::error::{Error, Violation};
use crate::handshake::Input;
use crate::handshake::post_auth::PostAuth;
use crate::inbound::{Read, gather, keep, next_message};
use crate::message::Message;
use crate::output::Output;
use crate::record::Incoming;

impl Connection {
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

    pub(super) fn on_handshake_bytes(&mut self, now: UnixTime, data: &[u8]) -> Result<(), Error> {
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
}
