//! What goes out: application data, early data, key updates, the end, and what a server sends after the handshake.

use pki_types::UnixTime;

use super::Connection;
use crate::codepoints::Alert;
use crate::error::{Error, Misuse};
use crate::handshake::post_auth::PostAuth;
use crate::output::Output;

impl Connection {
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
    /// has its answer already ([`Event::EarlyDataAnswer`](crate::Event::EarlyDataAnswer)).
    #[must_use]
    pub fn early_data_left(&self) -> Option<usize> {
        self.early_data_left
    }

    /// Sends early data with the first flight (RFC 9846 §4.3.10): sealed like [`write`](Self::write), but anybody who sees
    /// it can send it to the server again, and the server may not take it. Whether it does is said by
    /// [`Event::EarlyDataAnswer`](crate::Event::EarlyDataAnswer); nothing is sent again by itself.
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

    /// Seals one record where it lies, without a copy. `record` is [`RECORD_HEADER`](crate::RECORD_HEADER) bytes of room, then
    /// `len` bytes of data, then [`RECORD_TRAILER`](crate::RECORD_TRAILER) bytes of room, and more for padding if there is a
    /// policy. Returns the length of the record, which begins at the front of `record`.
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
    /// [`Event::ClientAnswered`](crate::Event::ClientAnswered), and may take long: until then everything goes on as before.
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

    /// Output that does not fit now stays, and the next call asks for room.
    pub(super) fn flush_if_it_fits(&mut self, out: &mut dyn Output) {
        let _later = self.writer.flush(out);
    }
}
