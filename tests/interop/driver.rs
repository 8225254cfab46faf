//! A connection of ours over a TCP socket, on nothing but the bare [`Connection`].
//!
//! The socket is read by a thread of its own, without bound, so that neither side can block the other however much both
//! have to say: what these tests look for is protocol errors, and not clever buffering.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{ClientConfig, Connection, Error, Event, Read, ServerConfig, Summary};

use crate::child::HUNG_UP;

/// How the peer's side of the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With close_notify.
    Clean,
    /// Without it.
    Truncated,
}

/// One of our connections, and its socket.
pub(crate) struct Driver {
    connection: Connection,
    stream: TcpStream,
    incoming: Receiver<Vec<u8>>,
    input: Vec<u8>,
    output: Vec<u8>,
    received: Vec<u8>,
    early: Vec<u8>,
    deadline: Instant,
    peer_closed: bool,
    key_updates: usize,
    /// What came of the last request for a certificate.
    client_answered: Option<bool>,
    end_of_stream: bool,
}

impl Driver {
    /// A client that knows its server as `localhost`.
    pub(crate) fn client(
        config: Arc<ClientConfig>,
        stream: TcpStream,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut output = Vec::new();
        let connection = Connection::client(config, name, UnixTime::now(), &mut output)?;
        Ok(Self::new(connection, output, stream, deadline))
    }

    /// A server.
    pub(crate) fn server(config: Arc<ServerConfig>, stream: TcpStream, deadline: Instant) -> Self {
        Self::new(Connection::server(config), Vec::new(), stream, deadline)
    }

    fn new(connection: Connection, output: Vec<u8>, stream: TcpStream, deadline: Instant) -> Self {
        stream.set_nodelay(true).unwrap();
        let incoming = read_in_background(stream.try_clone().unwrap());
        Self {
            connection,
            stream,
            incoming,
            input: Vec::new(),
            output,
            received: Vec::new(),
            early: Vec::new(),
            deadline,
            peer_closed: false,
            key_updates: 0,
            client_answered: None,
            end_of_stream: false,
        }
    }

    /// Runs the handshake. On an error the alert has been sent.
    pub(crate) fn handshake(&mut self) -> Result<(), Error> {
        self.send();
        while !self.connection.is_connected() {
            self.wait()?;
            assert!(!self.end_of_stream, "{HUNG_UP}");
        }
        Ok(())
    }

    /// Sends early data with the first flight, all of it.
    pub(crate) fn send_early(&mut self, data: &[u8]) -> Result<(), Error> {
        self.connection.write_early(data, &mut self.output)
    }

    /// The early data that has come.
    pub(crate) fn early(&self) -> &[u8] {
        &self.early
    }

    /// What was negotiated.
    pub(crate) fn summary(&self) -> &Summary {
        self.connection.summary().expect("connected, but there is no summary")
    }

    /// How often the peer changed its keys.
    pub(crate) fn key_updates(&self) -> usize {
        self.key_updates
    }

    /// Sends `data`, alternating between `write` and `seal`, while taking whatever comes. With `update`, our keys change
    /// in the middle and the peer is asked to change its own.
    pub(crate) fn send_all(&mut self, data: &[u8], update: bool) -> Result<(), Error> {
        let middle = data.len().div_ceil(CHUNK) / 2;
        for (number, chunk) in data.chunks(CHUNK).enumerate() {
            if update && number == middle {
                self.connection.update_keys(true, &mut self.output)?;
            }
            if number % 2 == 0 {
                self.connection.write(chunk, &mut self.output)?;
            } else {
                for piece in chunk.chunks(RECORD) {
                    self.seal(piece)?;
                }
            }
            self.send();
            while let Ok(bytes) = self.incoming.try_recv() {
                self.take(&bytes)?;
            }
        }
        Ok(())
    }

    /// One record, sealed where it lies.
    fn seal(&mut self, piece: &[u8]) -> Result<(), Error> {
        let mut record = vec![0; 5 + piece.len() + 17];
        record[5..5 + piece.len()].copy_from_slice(piece);
        let len = self.connection.seal(&mut record, piece.len())?;
        self.output.extend_from_slice(&record[..len]);
        Ok(())
    }

    /// Waits until `want` bytes have come in all, and returns everything that has.
    pub(crate) fn receive(&mut self, want: usize) -> Result<&[u8], Error> {
        self.receive_until(|got| got.len() >= want)
    }

    /// Waits until `enough` says so of everything that has come, and returns it.
    pub(crate) fn receive_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Result<&[u8], Error> {
        while !enough(&self.received) {
            assert!(
                !self.peer_closed && !self.end_of_stream,
                "the stream ended after {} bytes",
                self.received.len()
            );
            self.wait()?;
        }
        Ok(&self.received)
    }

    /// Waits for the peer to change its keys `times` times in all.
    pub(crate) fn wait_for_key_updates(&mut self, times: usize) -> Result<(), Error> {
        while self.key_updates < times {
            assert!(!self.end_of_stream, "the stream ended before the peer changed its keys");
            self.wait()?;
        }
        Ok(())
    }

    /// Asks the client who it is, and waits for its answer: whether it is known now.
    pub(crate) fn ask_client(&mut self) -> Result<bool, Error> {
        self.connection.request_client_certificate(&mut self.output)?;
        self.send();
        loop {
            if let Some(known) = self.client_answered.take() {
                return Ok(known);
            }
            assert!(!self.end_of_stream, "the stream ended before the client answered");
            self.wait()?;
        }
    }

    /// Waits until we have signed something, which a server asked for after the handshake.
    pub(crate) fn wait_for_own_signature(&mut self) -> Result<(), Error> {
        while self.summary().own_scheme.is_none() {
            assert!(!self.end_of_stream, "the stream ended before the server asked");
            self.wait()?;
        }
        Ok(())
    }

    /// Sends close_notify, and waits for the peer's end of the stream.
    pub(crate) fn close(&mut self) -> Result<Ending, Error> {
        self.connection.close(&mut self.output)?;
        self.send();
        // Some peers hang up only when they see the end of the TCP stream too.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.wait_for_end()
    }

    /// Waits for the peer's end of the stream. If the peer refuses us, its alert is the error.
    pub(crate) fn wait_for_end(&mut self) -> Result<Ending, Error> {
        while !self.peer_closed && !self.end_of_stream {
            self.wait()?;
        }
        Ok(if self.peer_closed { Ending::Clean } else { Ending::Truncated })
    }

    /// The exporter.
    pub(crate) fn export(&self, label: &[u8], out: &mut [u8]) -> Result<(), Error> {
        self.connection.export(label, None, out)
    }

    fn wait(&mut self) -> Result<(), Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.incoming.recv_timeout(left) {
            Ok(bytes) => self.take(&bytes),
            Err(RecvTimeoutError::Timeout) => panic!("timed out waiting for the peer"),
            Err(RecvTimeoutError::Disconnected) => {
                self.end_of_stream = true;
                Ok(())
            }
        }
    }

    /// Feeds what has come to the connection, and sends its replies: the alert, if it comes to that.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.input.extend_from_slice(bytes);
        let mut start = 0;
        let outcome = loop {
            let input = &mut self.input[start..];
            match self.connection.read(UnixTime::now(), input, &mut self.output) {
                Ok(Read::NeedMore { need }) => {
                    assert!(need > self.input.len() - start, "it has what it needs");
                    break Ok(());
                }
                Ok(Read::Control { used }) => start += used,
                Ok(Read::Data { used, data }) => {
                    self.received.extend_from_slice(data);
                    start += used;
                }
                Ok(Read::EarlyData { used, data }) => {
                    self.early.extend_from_slice(data);
                    start += used;
                }
                Ok(Read::Waiting) => panic!("nothing was to be asked"),
                Ok(Read::Closed) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.input.drain(..start);
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::PeerClosed => self.peer_closed = true,
                Event::PeerUpdatedKeys { .. } => self.key_updates += 1,
                Event::ClientAnswered { known } => self.client_answered = Some(known),
                _ => {}
            }
        }
        self.send();
        outcome
    }

    fn send(&mut self) {
        let left = self.deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "timed out before sending");
        self.stream.set_write_timeout(Some(left)).unwrap();
        // A peer that has hung up has mostly said why: that is found by reading on.
        let _ = self.stream.write_all(&self.output);
        self.output.clear();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// What one `write` is given: several records' worth, and no whole number of them.
const CHUNK: usize = 50_000;
/// What one `seal` is given.
const RECORD: usize = 1 << 14;

fn read_in_background(mut stream: TcpStream) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}
