//! The smallest HTTPS client: `cargo run --example client --features native-certs -- example.org`
//!
//! It trusts the system's root certificates, or those of a PEM file: `… -- localhost:4433 ca.pem`

use std::io::{Read, Write, stdout};
use std::net::TcpStream;
use std::sync::Arc;

use sealwire::adapter::io::Stream;
use sealwire::crypto::ring;
use sealwire::pki_types::ServerName;
use sealwire::{ClientConfig, TrustAnchors, Verifier};

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().ok_or("usage: client HOST[:PORT] [CA.pem]")?;
    let (host, port) = target.rsplit_once(':').unwrap_or((&target, "443"));

    let anchors = match arguments.next() {
        Some(file) => TrustAnchors::from_pem(&std::fs::read(file)?)?,
        None => system_anchors()?,
    };
    let config = ClientConfig::new(ring::provider(), Verifier::new(anchors))?;
    let config = Arc::new(config.with_alpn(&[b"http/1.1"])?);

    let socket = TcpStream::connect((host, port.parse()?))?;
    let mut stream = Stream::client(config, ServerName::try_from(host.to_owned())?, socket)?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    stream.flush()?;

    // The end of the stream is authenticated: a connection that was cut off is an error here.
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    stdout().write_all(&response)?;
    if let Some(summary) = stream.summary() {
        eprintln!("{} with {}", summary.version, summary.suite);
    }
    Ok(())
}

#[cfg(feature = "native-certs")]
fn system_anchors() -> Result<TrustAnchors, AnyError> {
    Ok(TrustAnchors::system()?)
}

#[cfg(not(feature = "native-certs"))]
fn system_anchors() -> Result<TrustAnchors, AnyError> {
    Err("name a file with root certificates, or build with --features native-certs".into())
}
