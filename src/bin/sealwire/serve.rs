//! `sealwire serve`: a server with a thread for each connection, which says what was negotiated, or echoes.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use sealwire::adapter::io::Stream;
use sealwire::adapter::redis::RedisReplay;
use sealwire::pki_types::UnixTime;
use sealwire::{ClientAuth, CookieKey, MemoryReplay, ServerConfig, Summary, TicketKeys, Verifier};
use serde_json::{Value, json};

use crate::failure::{Failure, Status};
use crate::http::{self, Head, Method, Refusal, Request};
use crate::options::{TlsOptions, anchors_from, credential, provider};
use crate::page;
use crate::pattern::length;
use crate::report::{Peer, early_data, negotiated, print_line, rows, say};
use crate::session::shared_ticket_keys;
use crate::slots::Slots;

/// The options of `sealwire serve`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A certificate chain as PEM. Give several, each with its --key, to serve several names
    #[arg(long, value_name = "FILE", required = true)]
    cert: Vec<PathBuf>,
    /// The private key of the --cert in the same place, as PEM
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Where to listen. Port 0 lets the system choose; the first line of output names the port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4433")]
    listen: SocketAddr,
    /// Ask clients for a certificate, and trust the root certificates in this PEM file for it
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Refuse clients without a certificate
    #[arg(long, requires = "client_ca")]
    require_client_cert: bool,
    /// Ask for another key share statelessly: the HelloRetryRequest carries an authenticated cookie
    #[arg(long)]
    stateless_retry: bool,
    /// Issue no tickets: clients cannot resume
    #[arg(long, conflicts_with = "early_data")]
    no_tickets: bool,
    /// Share the keys of tickets with other servers through this file, which is made if it is not there. It is a secret
    #[arg(long, value_name = "FILE", conflicts_with = "no_tickets")]
    ticket_keys: Option<PathBuf>,
    /// Accept this many bytes of early data (0-RTT) from clients that resume. GET and HEAD are answered, before the client has
    /// shown that it is there; other methods get 425 Too Early (RFC 8470)
    #[arg(long, value_name = "BYTES", conflicts_with = "echo", value_parser = clap::value_parser!(u32).range(1..=MAX_EARLY_DATA))]
    early_data: Option<u32>,
    /// Where first flights are recorded, so that early data is accepted once: `memory`, for one server, or the URL of a Redis
    /// that all servers with the same --ticket-keys ask (redis://HOST:PORT). Nothing is accepted in the first seconds: 31 in
    /// memory, 60 with Redis
    #[arg(long, value_name = "STORE", default_value = "memory", requires = "early_data")]
    anti_replay: String,
    /// Send every byte back instead of answering HTTP, until the client closes
    #[arg(long)]
    echo: bool,
    /// Serve one connection and exit; the exit status says whether it went well
    #[arg(long, conflicts_with = "connections")]
    once: bool,
    /// Serve this many connections and exit; the exit status says whether all went well
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    connections: Option<u64>,
    /// At most this many connections at once; more have to wait
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    concurrent: u32,
    /// Seconds that a client may take for each request, or between two pieces of data with --echo
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    idle_timeout: u32,
    /// Print JSON, one object a line, to standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tls: TlsOptions,
}

/// What has to fit into memory for every connection.
const MAX_EARLY_DATA: i64 = 1 << 20;
/// How long Redis may take.
const REDIS: Duration = Duration::from_secs(2);
/// How many first flights are remembered in memory: about 10 MiB of them.
const RECORDED_FLIGHTS: usize = 100_000;

/// How long a handshake may take altogether.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long, and for how many bytes, a client is listened to after our last word, so that it reads that.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<(), Status> {
    serve(options).map_err(|failure| {
        failure.print();
        failure.status
    })
}

fn serve(options: &Options) -> Result<(), Failure> {
    let config = Arc::new(config(options)?);
    let cannot = |error| Failure::io(&format!("cannot listen on {}", options.listen), &error);
    let listener = TcpListener::bind(options.listen).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let greeting = if options.json {
        json!({ "event": "listening", "address": address.to_string() }).to_string()
    } else {
        format!("listening on {address}")
    };
    print_line(&greeting).map_err(|error| Failure::io("cannot print the address", &error))?;

    let service = Service {
        config,
        echo: options.echo,
        json: options.json,
        idle: Duration::from_secs(options.idle_timeout.into()),
    };
    let slots = Arc::new(Slots::default());
    let mut left = if options.once { Some(1) } else { options.connections };
    while left != Some(0) {
        slots.wait_below(options.concurrent);
        let (socket, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, or a client that is gone already: neither is a reason to stop.
                say(&format!("cannot accept a connection: {error}\n"));
                thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        left = left.map(|count| count - 1);
        let slot = Slots::take(&slots);
        let service = service.clone();
        let spawned = thread::Builder::new().spawn(move || slot.end(service.run(socket, peer)));
        if let Err(error) = spawned {
            say(&format!("cannot start a thread: {error}\n"));
        }
    }
    match slots.wait_below(1) {
        0 => Ok(()),
        failed => {
            let what = format!("{failed} of the connections failed");
            Err(Failure::new(Status::Tls, what))
        }
    }
}

fn config(options: &Options) -> Result<ServerConfig, Failure> {
    if options.cert.len() != options.key.len() {
        return Err(Failure::usage("each --cert needs its --key, and the other way round"));
    }
    let provider = provider();
    let pairs = options.cert.iter().zip(&options.key);
    let credentials = pairs.map(|(cert, key)| credential(&provider, cert, key));
    let credentials = credentials.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::new(provider, credentials)?;
    if options.tls.alpn.is_empty() && !options.echo {
        config = config.with_alpn(&[b"http/1.1"])?;
    }
    let mut config = options.tls.server(config)?;
    if options.stateless_retry {
        let key = CookieKey::generate(config.provider())?;
        config = config.with_stateless_retry(Arc::new(key));
    }
    if let Some(path) = &options.client_ca {
        let verifier = Verifier::new(anchors_from(path)?);
        config = config.with_client_auth(if options.require_client_cert {
            ClientAuth::Required(verifier)
        } else {
            ClientAuth::Optional(verifier)
        });
    }
    resumption(options, config)
}

/// Tickets and early data.
fn resumption(options: &Options, mut config: ServerConfig) -> Result<ServerConfig, Failure> {
    let now = UnixTime::now();
    if !options.no_tickets {
        let keys = match &options.ticket_keys {
            Some(path) => shared_ticket_keys(config.provider(), path, now)?,
            None => TicketKeys::new(config.provider(), now)?,
        };
        config = config.with_tickets(Arc::new(keys));
    }
    let Some(max_bytes) = options.early_data else { return Ok(config) };
    if options.anti_replay != "memory" {
        let store = RedisReplay::new(&options.anti_replay)
            .and_then(|store| store.with_timeout(REDIS))
            .map_err(|_| Failure::usage("--anti-replay is memory or redis://HOST:PORT"))?;
        store.check(now).map_err(|error| Failure::io("Redis cannot be used", &error))?;
        return Ok(config.with_early_data(Arc::new(store), max_bytes));
    }
    if options.ticket_keys.is_some() {
        return Err(Failure::usage("--anti-replay memory knows nothing of other servers with the same tickets")
            .hint("Give all of them the same --anti-replay redis://HOST:PORT, or leave out --ticket-keys."));
    }
    let store = MemoryReplay::new(RECORDED_FLIGHTS, now);
    Ok(config.with_early_data(Arc::new(store), max_bytes))
}

/// What every connection's thread knows.
#[derive(Clone)]
struct Service {
    config: Arc<ServerConfig>,
    echo: bool,
    json: bool,
    idle: Duration,
}

/// What one connection did.
#[derive(Default)]
struct Done {
    /// Those that came as early data among them.
    early_requests: u64,
    requests: u64,
    bytes: u64,
}

impl Service {
    /// One connection, from beginning to end. Returns whether it went well.
    fn run(&self, socket: TcpStream, peer: SocketAddr) -> bool {
        // Only latency is at stake.
        let _slower = socket.set_nodelay(true);
        let transport = Timed { socket, deadline: Instant::now() + HANDSHAKE };
        let mut stream = Stream::server(Arc::clone(&self.config), transport);
        let mut done = Done::default();
        let result = self.answer_early(&mut stream, &mut done);
        let result =
            result.map_err(|error| Failure::handshake(&error)).and_then(|rest| match rest {
                None => Ok(()),
                Some(_) if self.echo => self.echo(&mut stream, &mut done),
                Some(rest) => self.answer(&mut stream, &rest, &mut done),
            });
        let early = stream.connection().early_summary().is_some();
        let line = if self.json {
            self.json(peer, &result, stream.summary(), early, &done).to_string()
        } else {
            self.text(peer, &result, stream.summary(), early, &done)
        };
        if stream.summary().is_some() {
            // The client may have gone after its last answer, which is its right.
            stream.get_mut().deadline = Instant::now() + LINGER;
            let _gone = stream.shutdown_write();
        }
        // Nobody reads our output any more: that is no reason to stop serving.
        let _unread = print_line(&line);
        stream.into_inner().linger();
        result.is_ok()
    }

    /// Completes the handshake, and answers each request that is in early data as a whole meanwhile. Returns what is left of
    /// early data, the beginning of a request, or `None` if there is to be no other.
    fn answer_early(
        &self,
        stream: &mut Stream<Timed>,
        done: &mut Done,
    ) -> io::Result<Option<Vec<u8>>> {
        let (mut early, mut more) = (Vec::new(), true);
        loop {
            let data = stream.early_data().fill_buf()?.to_vec();
            if data.is_empty() {
                return Ok(more.then_some(early));
            }
            stream.early_data().consume(data.len());
            let mut seen = early.len();
            early.extend_from_slice(&data);
            while more && let Some(length) = http::end_of_head(&early, seen) {
                seen = 0;
                let head: Vec<u8> = early.drain(..length).collect();
                let summary = stream.connection().early_summary();
                let (response, keep_alive) = match (http::read(&mut &head[..])?, summary) {
                    (Head::Request(request), Some(summary)) => {
                        (respond_early(&request, summary), request.keep_alive)
                    }
                    (Head::Refused(Refusal(status)), _) => (refusal(status, true, false), false),
                    _ => (Vec::new(), true),
                };
                stream.write_half_rtt(&response)?;
                done.early_requests += 1;
                done.requests += 1;
                more = keep_alive;
            }
        }
    }

    /// HTTP, until either side has enough. `begun` was read before.
    fn answer(
        &self,
        stream: &mut Stream<Timed>,
        begun: &[u8],
        done: &mut Done,
    ) -> Result<(), Failure> {
        let mut begun = begun;
        loop {
            stream.get_mut().deadline = Instant::now() + self.idle;
            let head = http::read(&mut (&mut begun).chain(&mut *stream));
            let head = match head {
                // HTTP says itself where a message ends, so a client that goes after its answer, or goes silent, has
                // cut nothing off.
                Err(error) if done.requests > 0 && is_departure(&error) => break,
                head => head.map_err(|error| Failure::stream("reading a request", &error))?,
            };
            stream.get_mut().deadline = Instant::now() + self.idle;
            let (response, keep_alive) = match head {
                Head::End => break,
                Head::Refused(Refusal(status)) => (refusal(status, true, false), false),
                Head::Request(request) => {
                    let summary = stream.summary();
                    (summary.map(|s| respond(&request, s)).unwrap_or_default(), request.keep_alive)
                }
            };
            stream.write_all(&response).map_err(|error| Failure::stream("answering", &error))?;
            done.requests += 1;
            if !keep_alive {
                break;
            }
        }
        Ok(())
    }

    /// Sends every byte back. The client has to end with close_notify.
    fn echo(&self, stream: &mut Stream<Timed>, done: &mut Done) -> Result<(), Failure> {
        let echoing = |error: io::Error| Failure::stream("echoing", &error);
        let mut buffer = vec![0; 1 << 16];
        loop {
            stream.get_mut().deadline = Instant::now() + self.idle;
            let read = stream.read(&mut buffer).map_err(echoing)?;
            let data = buffer.get(..read).unwrap_or_default();
            if data.is_empty() {
                break;
            }
            stream.write_all(data).map_err(echoing)?;
            stream.flush().map_err(echoing)?;
            done.bytes += length(data);
        }
        stream.shutdown_write().map_err(echoing)
    }

    fn text(
        &self,
        peer: SocketAddr,
        result: &Result<(), Failure>,
        summary: Option<&Summary>,
        early: bool,
        done: &Done,
    ) -> String {
        let mut text = peer.to_string();
        if let Some(summary) = summary {
            let group = summary.group.map_or_else(|| "no group".into(), |g| g.to_string());
            let client = Peer::of(&summary.peer_chain);
            let client = client.map_or_else(|| "no client certificate".into(), |c| c.subject);
            text.push_str(&format!(", {}, {group}, {client}", summary.suite));
            if summary.resumed {
                text.push_str(", resumed");
            }
        }
        if early {
            text.push_str(", early data accepted");
        }
        if self.echo {
            text.push_str(&format!(", {} bytes echoed", done.bytes));
        } else {
            let plural = if done.requests == 1 { "" } else { "s" };
            text.push_str(&format!(", {} request{plural}", done.requests));
        }
        match result {
            Ok(()) => text,
            Err(failure) => format!("{text}, error: {failure}"),
        }
    }

    fn json(
        &self,
        peer: SocketAddr,
        result: &Result<(), Failure>,
        summary: Option<&Summary>,
        early: bool,
        done: &Done,
    ) -> Value {
        json!({
            "event": "connection",
            "peer": peer.to_string(),
            "ok": result.is_ok(),
            "requests": done.requests,
            "early_data": summary.map_or(if early { "accepted" } else { "not offered" }, early_data),
            "early_requests": done.early_requests,
            "bytes_echoed": done.bytes,
            "negotiated": summary.map(negotiated),
            "error": result.as_ref().err().map(Failure::json),
        })
    }
}

/// The client went away, or said nothing for too long.
fn is_departure(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionReset, TimedOut, UnexpectedEof, WouldBlock};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | TimedOut | WouldBlock)
}

const HTML: &str = "text/html; charset=utf-8";

fn respond(request: &Request, summary: &Summary) -> Vec<u8> {
    let with_body = request.method != Method::Head;
    let ok = |kind, body: &str| http::response(200, kind, body, with_body, request.keep_alive);
    match (request.method, request.path.as_str()) {
        (Method::Other, _) => refusal(405, true, request.keep_alive),
        (_, "/") => ok(HTML, &page::negotiated(&rows(summary), summary.is_post_quantum())),
        (_, "/json") => ok("application/json", &format!("{:#}\n", negotiated(summary))),
        _ => refusal(404, with_body, request.keep_alive),
    }
}

/// RFC 8470 §5.2: only what does no harm twice is answered before the client has shown that it is there.
fn respond_early(request: &Request, summary: &Summary) -> Vec<u8> {
    match request.method {
        Method::Get | Method::Head => respond(request, summary),
        Method::Other => refusal(425, true, request.keep_alive),
    }
}

fn refusal(status: u16, with_body: bool, keep_alive: bool) -> Vec<u8> {
    let body = page::refusal(status, http::reason(status));
    http::response(status, HTML, &body, with_body, keep_alive)
}

/// A socket on which nothing blocks after the deadline, however slowly bytes trickle.
struct Timed {
    socket: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// Closing a socket with unread input resets the connection, and the peer may lose our last alert or answer. So
    /// the end is announced, and the peer's own is awaited for a while.
    fn linger(mut self) {
        if self.socket.shutdown(Shutdown::Write).is_err() {
            return;
        }
        self.deadline = Instant::now() + LINGER;
        let (mut rest, mut buffer) = (LINGER_BYTES, [0; 4096]);
        while let Ok(read @ 1..) = self.read(&mut buffer)
            && rest > read
        {
            rest -= read;
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buf)
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
