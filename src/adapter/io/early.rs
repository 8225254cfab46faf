//! Early data over a stream, in both roles (RFC 9846 §4.3.10).

use std::io::{self, BufRead, Read, Write};

use super::{MAX_WRITE, Stream};
use crate::decision::Answer;

impl<T: Read + Write> Stream<T> {
    /// Client: sends early data with the first flight, before the handshake; see
    /// [`Connection::write_early`](crate::Connection::write_early). Whoever sees it can send it again. Takes as much of `data`
    /// as the server's limit leaves room for, and returns how much that was: 0 if no session allows early data, or the server
    /// has answered already. As with a write, `Ok` means that it is sealed, and [`Write::flush`] tells whether it is out.
    ///
    /// Whether the server took it is in the [summary](Stream::summary). If it did not, all of it is lost, and nothing is sent
    /// again by itself.
    ///
    /// # Errors
    /// Of TLS, see [`Stream`].
    pub fn write_early(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check()?;
        let left = self.connection.early_data_left().unwrap_or(0);
        let data = data.get(..left.min(MAX_WRITE)).unwrap_or(data);
        if data.is_empty() {
            return Ok(0);
        }
        let sealed = self.connection.write_early(data, &mut self.output);
        self.checked(sealed)?;
        let _later = self.write_output();
        Ok(data.len())
    }

    /// Server: reads early data, and moves the handshake on meanwhile. Its end is that of the early data, and of the
    /// handshake: without early data it comes as soon as that is complete.
    ///
    /// None of it is ever among what `read` gives, since anybody who saw it can have sent it again (RFC 9846 §8): act only on
    /// what does no harm twice, or say that it came too early (RFC 8470).
    pub fn early_data(&mut self) -> EarlyReader<'_, T> {
        EarlyReader(self)
    }

    /// Server: the early data that has come and was not read. It is bounded by what the configuration takes, and all of it is
    /// there when the handshake is complete.
    pub fn take_early_data(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early)
    }

    /// Server: answers early data, before the handshake is complete (half-RTT data). If none was accepted it completes the
    /// handshake first, as [`Write::write_all`] does. Until the handshake is complete, who reads the answer is whoever has
    /// the session, but not necessarily whoever sent the question now.
    ///
    /// # Errors
    /// Of TLS or of the transport, see [`Stream`]. `Ok` means that it is sealed; [`Write::flush`] tells whether it is out.
    pub fn write_half_rtt(&mut self, data: &[u8]) -> io::Result<()> {
        self.check()?;
        if self.connection.early_summary().is_none() {
            self.handshake()?;
        }
        let sealed = self.connection.write(data, &mut self.output);
        self.checked(sealed)?;
        let _later = self.write_output();
        Ok(())
    }
}

/// The early data of a [`Stream`], on a server.
#[derive(Debug)]
pub struct EarlyReader<'a, T>(&'a mut Stream<T>);

impl<T: Read + Write> BufRead for EarlyReader<'_, T> {
    /// The early data that has come and was not read. Empty once the handshake is complete.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.0.early.is_empty() && !self.0.advance(&mut |_| Answer::UseConfig)? {}
        Ok(&self.0.early)
    }

    fn consume(&mut self, amount: usize) {
        self.0.early.drain(..amount.min(self.0.early.len()));
    }
}

impl<T: Read + Write> Read for EarlyReader<'_, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let length = self.fill_buf()?.read(buf)?;
        self.consume(length);
        Ok(length)
    }
}
