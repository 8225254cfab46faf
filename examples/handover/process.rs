//! The two processes.

use std::error::Error;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

use sealwire::crypto::ring;
use sealwire::pki_types::UnixTime;
use sealwire::{Connection, Credential, MAX_RECORD, MigrationKey, Read, ServerConfig};

type AnyError = Box<dyn Error>;

/// The first argument of process B.
pub(crate) const TAKE_OVER: &str = "--take-over";

/// Is process A, or process B.
pub(crate) fn run(arguments: &[&str]) -> Result<(), AnyError> {
    match arguments {
        [TAKE_OVER, cert, key] => take_over(&config(cert, key)?),
        [cert, key] => serve(cert, key, 3),
        [cert, key, lines] => serve(cert, key, lines.parse()?),
        _ => Err("usage: handover CERT.pem KEY.pem [LINES]".into()),
    }
}

/// Both processes have the same: a configuration does not travel.
fn config(cert: &str, key: &str) -> Result<Arc<ServerConfig>, AnyError> {
    let provider = ring::provider();
    let credential = Credential::from_pem(&provider, &std::fs::read(cert)?, &std::fs::read(key)?)?;
    Ok(Arc::new(ServerConfig::new(provider, vec![Arc::new(credential)])?))
}

/// Process A.
fn serve(cert: &str, key: &str, lines: usize) -> Result<(), AnyError> {
    let config = config(cert, key)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    eprintln!("LISTEN {}", listener.local_addr()?.port());
    let (mut socket, _) = listener.accept()?;
    let mut echo = Echo::new("A: ", Connection::server(config.clone()), Vec::new());
    if echo.run(&mut socket, Some(lines))? == Ending::Closed {
        return Ok(());
    }

    // A key for this hand-over alone. It goes the same way as the blob here, since nobody else has this Unix socket; where a
    // blob passes through other hands, its key has to come another way.
    let migration_key = MigrationKey::generate(config.provider())?;
    let blob = echo.tls.freeze(&migration_key)?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([TAKE_OVER, cert, key]);
    command.stdin(Stdio::from(OwnedFd::from(socket))).stdout(Stdio::from(OwnedFd::from(theirs)));
    let child = command.spawn()?;
    drop(command); // It holds our copies of the two sockets.
    eprintln!("A: handing over to process {}", child.id());
    ours.write_all(migration_key.secret().expose())?;
    ours.write_all(&u32::try_from(blob.len())?.to_be_bytes())?;
    ours.write_all(&blob)?;
    ours.write_all(&echo.input)?; // Half a record, perhaps.
    ours.shutdown(Shutdown::Write)?;
    Ok(())
}

/// Process B.
fn take_over(config: &Arc<ServerConfig>) -> Result<(), AnyError> {
    let mut socket = TcpStream::from(stdin().as_fd().try_clone_to_owned()?);
    let mut from_a = UnixStream::from(stdout().as_fd().try_clone_to_owned()?);
    let (mut key, mut len) = ([0; 32], [0; 4]);
    from_a.read_exact(&mut key)?;
    from_a.read_exact(&mut len)?;
    let mut blob = Vec::new();
    (&mut from_a).take(u32::from_be_bytes(len).into()).read_to_end(&mut blob)?;
    let mut input = Vec::new();
    from_a.read_to_end(&mut input)?;

    let key = MigrationKey::new(config.provider(), &key)?;
    let tls = Connection::thaw_server(config, &key, &blob)?;
    eprintln!("B: took over with {}", tls.summary().ok_or("not connected")?.suite);
    Echo::new("B: ", tls, input).run(&mut socket, None)?;
    eprintln!("B: closed");
    Ok(())
}

/// A connection and what has come for it.
struct Echo {
    name: &'static str,
    tls: Connection,
    /// Received, and not read.
    input: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum Ending {
    /// There were enough lines.
    Enough,
    /// The client has closed, and so have we.
    Closed,
}

impl Echo {
    fn new(name: &'static str, tls: Connection, input: Vec<u8>) -> Self {
        Self { name, tls, input }
    }

    /// Sends back what comes, until the client closes or `most` lines have come.
    fn run(&mut self, socket: &mut TcpStream, most: Option<usize>) -> Result<Ending, AnyError> {
        let (mut output, mut lines) = (Vec::new(), 0);
        let mut buffer = vec![0; MAX_RECORD];
        loop {
            let result = self.step(&mut output, &mut lines);
            socket.write_all(&output)?; // An alert too, if it failed.
            output.clear();
            if result? {
                return Ok(Ending::Closed);
            }
            if most.is_some_and(|most| lines >= most) {
                return Ok(Ending::Enough);
            }
            match socket.read(&mut buffer)? {
                0 => self.tls.read_eof()?,
                n => self.input.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            }
        }
    }

    /// Reads all of the input that can be: whether the client has closed.
    fn step(&mut self, output: &mut Vec<u8>, lines: &mut usize) -> Result<bool, AnyError> {
        loop {
            let used = match self.tls.read(UnixTime::now(), &mut self.input, output)? {
                Read::NeedMore { .. } | Read::Waiting => return Ok(false),
                Read::Closed => {
                    self.tls.close(output)?;
                    return Ok(true);
                }
                Read::Control { used } | Read::EarlyData { used, .. } => used,
                Read::Data { used, data } => {
                    *lines += data.iter().filter(|byte| **byte == b'\n').count();
                    self.tls.write(&[self.name.as_bytes(), data].concat(), output)?;
                    used
                }
            };
            self.input.drain(..used);
            while self.tls.poll_event().is_some() {}
        }
    }
}
