//! A blocking stream over any `Read + Write`: a socket, a pipe, a test's duplex.
//!
//! ```text
//!            read, fill_buf                      write
//!                  ▲                               │
//!   ┌──────────────┴───────────────────────────────▼─────────────┐
//!   │  input: one record, decrypted     output: sealed records,  │
//!   │  where it lies                    written out as a whole   │
//!   └──────────────▲───────────────────────────────┬─────────────┘
//!                  │           transport           ▼
//! ```
//!
//! Both buffers are made once and used again: reading and writing allocate nothing per call. What is on its way survives
//! every error of the transport, so a transport that does not block works too: the call that met
//! [`WouldBlock`](io::ErrorKind::WouldBlock) is made again when the transport is ready.
//!
//! The three ends of a stream (RFC 9846 §6.1): data; `Ok(0)` once the peer has sent close_notify; and an error of the
//! kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the transport ended without.

mod early;

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use pki_types::{ServerName, UnixTime};

pub use self::early::EarlyReader;
use crate::config::{ClientConfig, ServerConfig};
use crate::connection::{Connection, MAX_RECORD};
use crate::decision::{Answer, Question};
use crate::error::{Error, Misuse};
use crate::handshake::Summary;
use crate::inbound::Event;
use crate::inbound::Read as Step;

/// A TLS connection over a transport, read and written like a file.
///
/// The handshake happens with the first read or write, or by [`Stream::handshake`]. An error of TLS comes as an
/// [`io::Error`] with the crate's [`Error`] inside ([`io::Error::get_ref`], then `downcast_ref`), after the alert that
/// the peer is owed was sent; every later call returns the same error. An error of the transport comes as it is, and the
/// call can be made again if the transport recovers.
///
/// [`BufRead`] gives the decrypted bytes where they lie, without a copy.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "ring")] {
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use std::sync::Arc;
///
/// use sealwire::adapter::io::Stream;
/// use sealwire::{ClientConfig, TrustAnchors, Verifier, crypto, pki_types::ServerName};
///
/// let anchors = TrustAnchors::from_pem(&std::fs::read("roots.pem")?)?;
/// let config = Arc::new(ClientConfig::new(crypto::ring::provider(), Verifier::new(anchors))?);
///
/// let socket = TcpStream::connect("example.org:443")?;
/// let mut stream = Stream::client(config, ServerName::try_from("example.org")?, socket)?;
/// stream.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")?;
/// let mut response = Vec::new();
/// stream.read_to_end(&mut response)?; // Fails if somebody has cut the response short.
/// # }
/// # Ok(())
/// # }
/// ```
///
/// As with plain TCP, two peers that both write and neither reads stand still once the transport is full.
///
/// Dropping a stream sends nothing: call [`Stream::shutdown_write`] first, or the peer sees a truncation.
pub struct Stream<T> {
    connection: Connection,
    transport: T,
    clock: fn() -> UnixTime,
    /// Received bytes. The connection has not taken `start..end` yet.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Decrypted bytes that nobody has read yet, where they lie in `input`.
    plain: Range<usize>,
    /// Records for the peer, of which the first `sent` bytes are written.
    output: Vec<u8>,
    sent: usize,
    question: Option<Question>,
    /// Early data that nobody has taken, at most as much as the configuration allows.
    early: Vec<u8>,
    /// The peer has sent close_notify.
    closed: bool,
    /// The error that ended the connection.
    failed: Option<(ErrorKind, Error)>,
}

/// How much plaintext one `write` takes at most: four records, which bounds the output buffer.
const MAX_WRITE: usize = 4 << 14;

impl<T: Read + Write> Stream<T> {
    /// A client that connects to `name`. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`Connection::client`].
    pub fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        transport: T,
    ) -> Result<Self, Error> {
        let mut output = Vec::new();
        let connection = Connection::client(config, name, UnixTime::now(), &mut output)?;
        Ok(Self::new(connection, output, transport))
    }

    /// A server.
    #[must_use]
    pub fn server(config: Arc<ServerConfig>, transport: T) -> Self {
        Self::new(Connection::server(config), Vec::new(), transport)
    }

    /// A stream that takes up a connection made elsewhere; `output` is what that has put out and is not sent yet.
    #[must_use]
    pub fn new(connection: Connection, output: Vec<u8>, transport: T) -> Self {
        Self {
            connection,
            transport,
            clock: UnixTime::now,
            input: vec![0; MAX_RECORD],
            start: 0,
            end: 0,
            plain: 0..0,
            output,
            sent: 0,
            question: None,
            early: Vec::new(),
            closed: false,
            failed: None,
        }
    }

    /// Asks `clock` for the time from now on, in place of the system's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> UnixTime) -> Self {
        self.clock = clock;
        self
    }

    /// Completes the handshake, if it is not complete. Whatever the connection asks is answered from its configuration
    /// ([`Answer::UseConfig`]).
    ///
    /// # Errors
    /// Of TLS or of the transport, see [`Stream`].
    pub fn handshake(&mut self) -> io::Result<()> {
        self.handshake_with(|_| Answer::UseConfig)
    }

    /// Completes the handshake, and has `answer` decide whatever the connection asks. It may take its time: this is a
    /// blocking stream.
    ///
    /// # Errors
    /// Of TLS or of the transport, see [`Stream`]; [`ErrorKind::InvalidInput`] if an answer does not fit its question,
    /// which is asked again then.
    pub fn handshake_with(
        &mut self,
        mut answer: impl FnMut(&Question) -> Answer,
    ) -> io::Result<()> {
        while !self.advance(&mut answer)? {}
        self.write_output()
    }

    /// Moves the handshake on by a step. Returns whether it is complete; output may be left then.
    fn advance(&mut self, answer: &mut dyn FnMut(&Question) -> Answer) -> io::Result<bool> {
        self.check()?;
        // Output that is stuck must not keep us from reading: with early data on its way both sides may have much to
        // send, and neither gets rid of it unless the other reads.
        match self.write_output() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        if let Some(question) = self.question.take() {
            let answer = answer(&question);
            let now = (self.clock)();
            if let Err(error) = self.connection.answer(now, answer, &mut self.output) {
                self.question = Some(question).filter(|_| !error.is_fatal());
                return Err(self.fail(error));
            }
            self.take_events();
        } else if self.connection.is_connected() || !self.plain.is_empty() {
            return Ok(true);
        } else if self.closed {
            let text = "the peer closed the connection during the handshake";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
        } else {
            self.step()?;
        }
        Ok(false)
    }

    /// Sends close_notify: the peer reads a clean end. Reading goes on until the peer closes too (RFC 9846 §6.1). The
    /// transport stays open. If the transport fails, call it again: the alert is not sent twice.
    ///
    /// # Errors
    /// Of TLS or of the transport, see [`Stream`].
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        self.handshake()?;
        let closed = self.connection.close(&mut self.output);
        self.checked(closed)?;
        self.flush()
    }

    /// Changes the sending key; `ask_peer` asks the peer to do the same (RFC 9846 §4.7.3). As with a write, `Ok` means
    /// that it is done on our side, and [`Write::flush`] tells whether the message is out.
    ///
    /// # Errors
    /// Of TLS or of the transport, see [`Stream`].
    pub fn update_keys(&mut self, ask_peer: bool) -> io::Result<()> {
        self.handshake()?;
        let updated = self.connection.update_keys(ask_peer, &mut self.output);
        self.checked(updated)?;
        let _later = self.write_output();
        Ok(())
    }

    /// Takes one record from the input, or receives more input.
    fn step(&mut self) -> io::Result<()> {
        let now = (self.clock)();
        let input = self.input.get_mut(self.start..self.end).unwrap_or_default();
        let base = input.as_ptr().addr();
        match self.connection.read(now, input, &mut self.output) {
            Ok(Step::NeedMore { need }) => return self.receive(need),
            Ok(Step::Control { used }) => self.start += used,
            Ok(Step::Data { used, data }) => {
                let begin = self.start + (data.as_ptr().addr() - base);
                self.plain = begin..begin + data.len();
                self.start += used;
            }
            Ok(Step::EarlyData { used, data }) => {
                self.early.extend_from_slice(data);
                self.start += used;
            }
            Ok(Step::Waiting) if self.question.is_none() => {
                let text = "the connection waits for an answer to a question asked earlier";
                return Err(io::Error::new(ErrorKind::InvalidInput, text));
            }
            Ok(Step::Waiting) => {}
            Ok(Step::Closed) => self.closed = true,
            Err(error) => return Err(self.fail(error)),
        }
        self.take_events();
        Ok(())
    }

    /// Receives once, into a buffer that holds at least `need` bytes. Decrypted bytes were all read before.
    fn receive(&mut self, need: usize) -> io::Result<()> {
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.input.len() < need {
            self.input.resize(need, 0);
        }
        let room = self.input.get_mut(self.end..).unwrap_or_default();
        let received = uninterrupted(|| self.transport.read(room))?;
        self.end += received.min(room.len());
        if received > 0 {
            return Ok(());
        }
        match self.connection.read_eof() {
            Ok(()) => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(self.fail_as(ErrorKind::UnexpectedEof, error)),
        }
    }

    /// Writes out all that is waiting. What is written stays written if the transport fails in between.
    fn write_output(&mut self) -> io::Result<()> {
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match uninterrupted(|| self.transport.write(rest))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => self.sent += written.min(rest.len()),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    fn take_events(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Ask(question) => self.question = Some(question),
                Event::PeerClosed => self.closed = true,
                // The summary says the first; the others need nothing from a stream.
                _ => {}
            }
        }
    }

    /// The error that has ended the connection, again.
    fn check(&mut self) -> io::Result<()> {
        match self.failed.clone() {
            None => Ok(()),
            Some((kind, error)) => Err(self.fail_as(kind, error)),
        }
    }

    fn checked<V>(&mut self, result: Result<V, Error>) -> io::Result<V> {
        result.map_err(|error| self.fail(error))
    }

    fn fail(&mut self, error: Error) -> io::Error {
        let kind = match &error {
            Error::Misuse(Misuse::Closed) => ErrorKind::BrokenPipe,
            Error::Misuse(_) => ErrorKind::InvalidInput,
            Error::PeerAlert(_) => ErrorKind::ConnectionAborted,
            Error::Refused(_) => ErrorKind::PermissionDenied,
            _ => ErrorKind::InvalidData,
        };
        self.fail_as(kind, error)
    }

    /// The alert goes out first, as far as the transport takes it; its own error would only hide ours.
    fn fail_as(&mut self, kind: ErrorKind, error: Error) -> io::Error {
        if self.write_output().is_ok() {
            let _hidden = self.transport.flush();
        }
        if error.is_fatal() {
            self.failed = Some((kind, error.clone()));
        }
        io::Error::new(kind, error)
    }
}

impl<T> Stream<T> {
    /// What was negotiated; `None` before the handshake is complete.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        self.connection.summary()
    }

    /// The connection, for exporters and what else only reads.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The transport.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// The transport, to change its timeouts for example. Bytes that are read from it or written to it are missing in
    /// the connection.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The transport alone. What is buffered is lost.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.transport
    }
}

impl<T: Read + Write> BufRead for Stream<T> {
    /// The decrypted bytes of one record, or what is left of them. Empty once the peer has closed.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.plain.is_empty() && !self.closed {
            self.check()?;
            if self.connection.is_connected() {
                // Output that is stuck must not keep us from reading: the peer may wait for that. Whoever writes
                // next learns of the error.
                let _later = self.write_output();
            } else {
                self.handshake()?;
                continue;
            }
            self.step()?;
        }
        Ok(self.input.get(self.plain.clone()).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.plain.start = self.plain.end.min(self.plain.start.saturating_add(amount));
    }
}

impl<T: Read + Write> Read for Stream<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let mut plain = self.fill_buf()?;
        let length = plain.read(buf)?;
        self.consume(length);
        Ok(length)
    }
}

impl<T: Read + Write> Write for Stream<T> {
    /// Takes up to 65,536 bytes. Once they are sealed they count as taken, whatever the transport says then: an error is
    /// for the next call to report, so that nothing is ever sent twice. [`Write::flush`] tells whether all is out.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.handshake()?;
        let taken = buf.get(..MAX_WRITE).unwrap_or(buf);
        let sealed = self.connection.write(taken, &mut self.output);
        self.checked(sealed)?;
        let _later = self.write_output();
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        self.write_output()?;
        self.transport.flush()
    }
}

impl<T: fmt::Debug> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("transport", &self.transport)
            .field("connected", &self.connection.is_connected())
            .field("peer_closed", &self.closed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Calls `operation` again as long as a signal interrupts it.
fn uninterrupted(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
