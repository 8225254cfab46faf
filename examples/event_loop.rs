//! An echo server on an event loop of its own: one thread, non-blocking sockets, and nothing but the standard library.
//!
//! `cargo run --example event_loop -- 127.0.0.1:4433 chain.pem key.pem`
//!
//! A real loop waits for sockets with epoll or the like; this one just looks at each in turn. What concerns TLS is the
//! same: bytes in, bytes out, and at no point does the library touch a socket or a clock.

#![allow(clippy::indexing_slicing)] // Every index is what the call before it returned.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use sealwire::crypto::ring;
use sealwire::pki_types::UnixTime;
use sealwire::{Connection, Credential, Event, Read as Step, ServerConfig};

/// With this much waiting to go out to a client, nothing more is read from it.
const HIGH_WATER: usize = 1 << 18;

/// A connection with what surrounds it: the socket, and the bytes on their way in and out.
struct Client {
    socket: TcpStream,
    tls: Connection,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Nothing more is to come from us: go when the output is out.
    leaving: bool,
}

impl Client {
    /// Does whatever can be done now. `Ok(false)` if that is nothing; `Err` if the client is to be dropped.
    fn turn(&mut self) -> io::Result<bool> {
        let mut moved = self.send()?;
        if self.leaving && self.output.is_empty() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        if !self.leaving && self.output.len() < HIGH_WATER {
            moved |= self.receive()?;
        }
        Ok(moved)
    }

    fn send(&mut self) -> io::Result<bool> {
        if self.output.is_empty() {
            return Ok(false);
        }
        let Some(sent) = ready(self.socket.write(&self.output))? else { return Ok(false) };
        self.output.drain(..sent);
        Ok(true)
    }

    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16_384];
        let Some(received) = ready(self.socket.read(&mut buffer))? else { return Ok(false) };
        self.input.extend_from_slice(&buffer[..received]);
        if received == 0 {
            self.tls.read_eof().map_err(io::Error::other)?;
            self.leaving = true;
        } else if let Err(error) = self.process() {
            // The alert that the client is owed is in the output: it goes out before the client is dropped.
            eprintln!("a client failed: {error}");
            self.leaving = true;
        }
        Ok(true)
    }

    /// Takes every whole record of the input, and echoes what is in it.
    fn process(&mut self) -> Result<(), sealwire::Error> {
        let mut taken = 0;
        loop {
            match self.tls.read(UnixTime::now(), &mut self.input[taken..], &mut self.output)? {
                Step::Control { used } => taken += used,
                Step::Data { used, data } => {
                    self.tls.write(data, &mut self.output)?;
                    taken += used;
                }
                _ => break,
            }
        }
        self.input.drain(..taken);
        while let Some(event) = self.tls.poll_event() {
            if let Event::PeerClosed = event {
                self.tls.close(&mut self.output)?;
                self.leaving = true;
            }
        }
        Ok(())
    }
}

/// `None` if the socket is not ready.
fn ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, chain, key] = &arguments[..] else {
        return Err("usage: event_loop ADDRESS:PORT CHAIN.pem KEY.pem".into());
    };
    let provider = ring::provider();
    let (chain, key) = (std::fs::read(chain)?, std::fs::read(key)?);
    let credential = Arc::new(Credential::from_pem(&provider, &chain, &key)?);
    let config = Arc::new(ServerConfig::new(provider, vec![credential])?);

    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let mut moved = false;
        while let Ok((socket, _)) = listener.accept() {
            socket.set_nonblocking(true)?;
            let tls = Connection::server(Arc::clone(&config));
            let (input, output) = (Vec::new(), Vec::new());
            clients.push(Client { socket, tls, input, output, leaving: false });
        }
        clients.retain_mut(|client| match client.turn() {
            Ok(progress) => {
                moved |= progress;
                true
            }
            Err(_) => false,
        });
        if !moved {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
