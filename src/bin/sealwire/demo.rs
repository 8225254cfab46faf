//! `sealwire demo`: a server and a client in one process, over loopback TCP, each of which authenticates the other.

use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::HumanBytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use sealwire::adapter::io::Stream;
use sealwire::crypto::Provider;
use sealwire::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use sealwire::{
    ClientAuth, ClientConfig, Credential, ServerConfig, Summary, TrustAnchors, Verifier,
};
use serde_json::{Value, json};

use crate::failure::{Failure, Status};
use crate::options::{TlsOptions, provider};
use crate::pattern::{Checker, Pattern, length};
use crate::progress::Progress;
use crate::report::{Peer, negotiated, print_line, rows, table};

/// The options of `sealwire demo`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How much to send each way: a number of bytes, or one with a unit (KiB, MiB, GiB, kB, MB, GB)
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size)]
    bytes: u64,
    /// Only these cipher suites, by their IANA names, most preferred first
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    suites: Vec<String>,
    /// Only these key exchange groups, by their IANA names, most preferred first
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    groups: Vec<String>,
    /// Print one JSON object, and nothing else, to standard output
    #[arg(long)]
    json: bool,
}

const SERVER_NAME: &str = "server.sealwire.test";
const CLIENT_NAME: &str = "client.sealwire.test";
const PROTOCOL: &str = "sealwire-demo";

/// Bytes for one write.
const CHUNK: usize = 1 << 16;
/// Longer than any healthy loopback connection stands still.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<(), Status> {
    let result = demonstrate(options);
    let printed = match (&result, options.json) {
        (Ok(outcome), true) => print_line(&format!("{:#}", outcome.json())),
        (Ok(outcome), false) => print_line(outcome.text().trim_end()),
        (Err(failure), true) => {
            print_line(&format!("{:#}", json!({ "ok": false, "error": failure.json() })))
        }
        (Err(failure), false) => {
            failure.print();
            Ok(())
        }
    };
    result.map_err(|failure| failure.status)?;
    printed.map_err(|_| Status::Io)
}

/// What one side saw.
struct Side {
    summary: Summary,
    /// When its own data began to go out.
    sending: Instant,
    /// When the last byte of the other's data had been checked.
    received: Instant,
}

struct Outcome {
    bytes: u64,
    client: Side,
    server: Side,
}

impl Outcome {
    /// From the first byte's sealing to the last byte's check: client to server, and back.
    fn seconds(&self) -> (f64, f64) {
        let up = self.server.received.saturating_duration_since(self.client.sending);
        let down = self.client.received.saturating_duration_since(self.server.sending);
        (up.as_secs_f64(), down.as_secs_f64())
    }

    fn json(&self) -> Value {
        let way = |seconds: f64| json!({ "bytes": self.bytes, "seconds": seconds, "bytes_per_second": rate(self.bytes, seconds) });
        let (up, down) = self.seconds();
        json!({
            "ok": true,
            "bytes_each_way": self.bytes,
            "client_to_server": way(up),
            "server_to_client": way(down),
            "client": negotiated(&self.client.summary),
            "server": negotiated(&self.server.summary),
        })
    }

    fn text(&self) -> String {
        let (up, down) = self.seconds();
        let speed =
            |seconds| format!("{:.2} GB/s ({seconds:.2} s)", rate(self.bytes, seconds) / 1e9);
        let client = Peer::of(&self.server.summary.peer_chain);
        let client = client.map_or_else(|| "none".into(), |peer| peer.subject);
        let mut lines = rows(&self.client.summary);
        lines.push(("Client's subject", client));
        lines.push(("Client to server", speed(up)));
        lines.push(("Server to client", speed(down)));
        format!(
            "Client and server authenticated each other, and exchanged {} each way without a wrong byte.\n{}",
            HumanBytes(self.bytes),
            table(&lines),
        )
    }
}

#[allow(clippy::as_conversions)] // A count of bytes for a rate; f64 is exact up to 2^53.
fn rate(bytes: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { bytes as f64 / seconds } else { 0.0 }
}

fn demonstrate(options: &Options) -> Result<Outcome, Failure> {
    let (client, server) = configurations(options)?;
    let local = |error| Failure::io("loopback TCP", &error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(local)?;
    let address = listener.local_addr().map_err(local)?;
    let name = ServerName::try_from(SERVER_NAME);
    let name = name.map_err(|error| Failure::usage(error.to_string()))?;
    let bytes = options.bytes;

    // Both on this thread: the kernel accepts before we do.
    let ours = TcpStream::connect(address).and_then(prepare).map_err(local)?;
    let theirs = listener.accept().and_then(|(socket, _)| prepare(socket)).map_err(local)?;
    let client = Stream::client(client, name, ours)?;
    let server = Stream::server(server, theirs);

    let (client, server) = thread::scope(|scope| {
        let server = scope.spawn(move || serve(server, bytes));
        let client = connect(client, bytes);
        let server = server.join().unwrap_or_else(|_| Err(io::Error::other("the server panicked")));
        (client, server)
    });
    // The side that failed by itself knows more than the side that was left alone.
    let lonely = |error: &io::Error| error.kind() != io::ErrorKind::InvalidData;
    let server_first = client.as_ref().err().is_some_and(lonely);
    let server = server.map_err(|error| Failure::stream("the server", &error));
    let client = client.map_err(|error| Failure::stream("the client", &error));
    let (client, server) = if server_first {
        let server = server?;
        (client?, server)
    } else {
        (client?, server?)
    };
    authenticated("server", &client.summary, SERVER_NAME)?;
    authenticated("client", &server.summary, CLIENT_NAME)?;
    Ok(Outcome { bytes, client, server })
}

/// The library has verified the chain; this makes sure that there is one, and whose it is.
fn authenticated(who: &str, summary: &Summary, name: &str) -> Result<(), Failure> {
    let peer = Peer::of(&summary.peer_chain);
    match peer.filter(|peer| peer.names.iter().any(|n| n == name)) {
        Some(_) => Ok(()),
        None => Err(Failure::new(
            Status::NotVerified,
            format!("the {who} did not authenticate as {name}"),
        )),
    }
}

fn prepare(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Each direction's data is different.
fn upstream() -> Pattern {
    Pattern::new(0)
}

fn downstream() -> Pattern {
    Pattern::new(1 << 63)
}

fn connect(mut stream: Stream<TcpStream>, bytes: u64) -> io::Result<Side> {
    stream.handshake()?;
    let sending = Instant::now();
    send(&mut stream, upstream(), bytes)?;
    let received = receive(&mut stream, downstream(), bytes, "download")?;
    stream.shutdown_write()?;
    end(stream, sending, received)
}

fn serve(mut stream: Stream<TcpStream>, bytes: u64) -> io::Result<Side> {
    stream.handshake()?;
    let received = receive(&mut stream, upstream(), bytes, "upload")?;
    let sending = Instant::now();
    send(&mut stream, downstream(), bytes)?;
    stream.shutdown_write()?;
    end(stream, sending, received)
}

fn send(stream: &mut Stream<TcpStream>, pattern: Pattern, bytes: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut position = 0;
    while position < bytes {
        let wanted = usize::try_from(bytes - position).unwrap_or(CHUNK).min(CHUNK);
        let chunk = chunk.get_mut(..wanted).unwrap_or_default();
        pattern.fill(position, chunk);
        stream.write_all(chunk)?;
        position += length(chunk);
    }
    stream.flush()
}

/// Checks every byte; returns when the last one was checked.
fn receive(
    stream: &mut Stream<TcpStream>,
    pattern: Pattern,
    bytes: u64,
    name: &'static str,
) -> io::Result<Instant> {
    let progress = Progress::new(name, bytes);
    let mut checker = Checker::new(pattern);
    while checker.position() < bytes {
        let data = stream.fill_buf()?;
        if data.is_empty() {
            return Err(wrong(checker.position(), "the stream ended early"));
        }
        checker.check(data).map_err(|at| wrong(at, "a byte is wrong"))?;
        let amount = data.len();
        progress.add(length(data));
        stream.consume(amount);
    }
    progress.finish();
    if checker.position() > bytes {
        return Err(wrong(bytes, "the stream is too long"));
    }
    Ok(Instant::now())
}

/// The clean end of both directions.
fn end(mut stream: Stream<TcpStream>, sending: Instant, received: Instant) -> io::Result<Side> {
    if !stream.fill_buf()?.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "data after the end"));
    }
    let summary = stream.summary().cloned().ok_or_else(|| io::Error::other("no summary"))?;
    Ok(Side { summary, sending, received })
}

fn wrong(position: u64, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}, at byte {position}"))
}

/// A CA in memory, and from it a credential for each side.
fn configurations(options: &Options) -> Result<(Arc<ClientConfig>, Arc<ServerConfig>), Failure> {
    let provider = provider();
    let making = |error: rcgen::Error| Failure::usage(format!("cannot make certificates: {error}"));
    let authority = authority().map_err(making)?;
    let issue = |name, usage| credential(&provider, &authority, name, usage);
    let server = issue(SERVER_NAME, ExtendedKeyUsagePurpose::ServerAuth)?;
    let client = issue(CLIENT_NAME, ExtendedKeyUsagePurpose::ClientAuth)?;

    let anchors = TrustAnchors::from_certificates([authority.der().clone()]);
    let verifier = Verifier::new(anchors);
    let tls = TlsOptions {
        alpn: vec![PROTOCOL.into()],
        suites: options.suites.clone(),
        groups: options.groups.clone(),
        keylog: None,
        psk: None,
    };
    let client_config = ClientConfig::new(provider.clone(), verifier.clone())?;
    let client_config = tls.client(client_config)?.with_credentials(vec![client]);
    let server_config = ServerConfig::new(provider, vec![server])?;
    let server_config = tls.server(server_config)?.with_client_auth(ClientAuth::Required(verifier));
    Ok((Arc::new(client_config), Arc::new(server_config)))
}

/// For a day, and a little before now.
fn valid_today(mut params: CertificateParams) -> CertificateParams {
    const HOUR: Duration = Duration::from_secs(3600);
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(UnixTime::now().as_secs());
    params.not_before = now - HOUR;
    params.not_after = now + 24 * HOUR;
    params
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = valid_today(CertificateParams::default());
    params.distinguished_name.push(DnType::CommonName, "Sealwire demonstration CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn credential(
    provider: &Provider,
    authority: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
) -> Result<Arc<Credential>, Failure> {
    let issue = || {
        let key = KeyPair::generate()?;
        let mut params = valid_today(CertificateParams::new([name.to_owned()])?);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, authority)?;
        Ok((certificate.der().clone(), key.serialize_der()))
    };
    let (certificate, key) = issue().map_err(|error: rcgen::Error| {
        Failure::usage(format!("cannot make certificates: {error}"))
    })?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    Ok(Arc::new(Credential::new(provider, vec![certificate], &key)?))
}

/// `4096`, `4 MiB`, `1GB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("{unit:?} is no unit: KiB, MiB, GiB, kB, MB or GB")),
    };
    let number: u64 = number.parse().map_err(|_| "a size begins with a number".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is too much".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("4 MiB"), Ok(4 << 20));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("2gb"), Ok(2_000_000_000));
        assert!(parse_size("MiB").is_err());
        assert!(parse_size("1 TB").is_err());
        assert!(parse_size("99999999999 GiB").is_err());
        assert!(parse_size("-1").is_err());
    }
}
