//! The socket to the runner.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::Failure;
use crate::flags::Flags;

/// A TCP connection, and what was received but not used up.
pub(crate) struct Transport {
    stream: TcpStream,
    /// Received bytes; those before `start` are spent.
    received: Vec<u8>,
    start: usize,
    /// How much is taken from the socket at a time.
    chunk: usize,
    /// While there is something in here, everything that is sent goes behind it.
    held: Option<Vec<u8>>,
    /// The runner has stopped reading. What it has to say can still be read.
    deaf: bool,
}

impl Transport {
    /// Connects to the runner and says which test this is.
    pub(crate) fn connect(flags: &Flags) -> Result<Self, Failure> {
        let address: SocketAddr = match flags.ipv6 {
            true => (Ipv6Addr::LOCALHOST, flags.port).into(),
            false => (Ipv4Addr::LOCALHOST, flags.port).into(),
        };
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(&flags.shim_id.to_le_bytes())?;
        // An asynchronous shim sees the bytes one by one.
        let chunk = if flags.r#async { 1 } else { 4096 };
        Ok(Self { stream, received: Vec::new(), start: 0, chunk, held: None, deaf: false })
    }

    /// What was received and is not spent.
    pub(crate) fn input(&mut self) -> &mut [u8] {
        self.received.get_mut(self.start..).unwrap_or_default()
    }

    /// `used` bytes of the input are spent.
    pub(crate) fn spend(&mut self, used: usize) {
        self.start += used;
        if self.start == self.received.len() {
            self.received.clear();
            self.start = 0;
        }
    }

    /// Waits for more input; `false` at the end of the stream.
    pub(crate) fn fill(&mut self) -> Result<bool, Failure> {
        let mut buffer = [0; 4096];
        let room = buffer.get_mut(..self.chunk).unwrap_or_default();
        let n = match self.stream.read(room) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            result => result?,
        };
        self.received.extend(buffer.iter().take(n));
        Ok(n > 0)
    }

    /// Sends `bytes`.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match &mut self.held {
            Some(held) => held.extend_from_slice(bytes),
            None => self.deaf |= !self.deaf && self.stream.write_all(bytes).is_err(),
        }
    }

    /// Sends the first byte of `bytes`, and holds back the rest and everything after it.
    pub(crate) fn send_one_byte(&mut self, bytes: &[u8]) {
        if let Some((first, rest)) = bytes.split_first() {
            self.send(&[*first]);
            self.held = Some(rest.to_vec());
        }
    }

    /// Sends what was held back.
    pub(crate) fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.send(&held);
        }
    }

    /// Closes our direction and waits until the runner has closed its own, so that what we sent last is not lost in a
    /// reset.
    pub(crate) fn drain(&mut self) {
        self.release();
        let mut sink = [0; 4096];
        let patience = self.stream.set_read_timeout(Some(Duration::from_secs(10)));
        if patience.is_ok() && self.stream.shutdown(Shutdown::Write).is_ok() {
            while matches!(self.stream.read(&mut sink), Ok(1..)) {}
        }
    }
}
