//! The two ends that the targets share: configurations, and how bytes get into a connection.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sealwire::codepoints::NamedGroup;
use sealwire::compress::{CertificateCompression, Zlib};
use sealwire::pki_types::pem::PemObject as _;
use sealwire::pki_types::{PrivateKeyDer, ServerName, UnixTime};
use sealwire::{
    Answer, Ask, ClientAuth, ClientConfig, Connection, CookieKey, Credential, Error, Event,
    ExternalPsk, MemorySessions, PskPolicy, Read, ReplayStore, ServerConfig, Session, SessionStore,
    TicketKeys, TrustAnchors, Verifier,
};

use super::cheap::{provider, rewind};
use super::peer::Victim;

/// The roots, PEM.
pub const ROOT: &[u8] = include_bytes!("../pki/root.pem");
/// The server's certificate, PEM.
pub const SERVER: &[u8] = include_bytes!("../pki/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("../pki/server.key.pem");
/// The client's certificate, PEM.
pub const CLIENT: &[u8] = include_bytes!("../pki/client.pem");
const CLIENT_KEY: &[u8] = include_bytes!("../pki/client.key.pem");

/// When everything happens: in 2027.
pub fn now() -> UnixTime {
    after(0)
}

/// So many seconds later.
pub fn after(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000 + seconds))
}

/// Which server the client wants.
pub fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// Trusts the root.
pub fn verifier() -> Verifier {
    Verifier::new(TrustAnchors::from_pem(ROOT).unwrap())
}

/// Which of the configurations an input asks for: bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options(pub u8);

impl Options {
    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// The server asks for a certificate.
    pub const MUTUAL: u8 = 1;
    /// The client's key share does not suit the server.
    pub const RETRY: u8 = 2;
    /// The server puts a cookie into its HelloRetryRequest.
    pub const COOKIE: u8 = 4;
    /// Both have an external key.
    pub const EXTERNAL: u8 = 8;
    /// The client has a session; both handle tickets.
    pub const SESSION: u8 = 16;
    /// With a session, the client offers early data.
    pub const EARLY: u8 = 32;
    /// The client can be asked for its certificate later.
    pub const POST_AUTH: u8 = 64;
    /// Every question is asked.
    pub const ASK: u8 = 128;

    /// With both [`Self::MUTUAL`] and [`Self::POST_AUTH`], everybody shows a raw public key (RFC 7250).
    fn raw_keys(self) -> bool {
        self.has(Self::MUTUAL) && self.has(Self::POST_AUTH)
    }
}

/// What certificates are compressed with if the client can be asked for its own later, and not now.
fn compression(options: Options) -> Vec<Arc<dyn CertificateCompression>> {
    match options.has(Options::POST_AUTH) && !options.has(Options::MUTUAL) {
        true => vec![Arc::new(Zlib)],
        false => Vec::new(),
    }
}

/// How much early data the server takes.
pub const MAX_EARLY: u32 = 2000;

static CREDENTIALS: LazyLock<[Arc<Credential>; 2]> = LazyLock::new(|| {
    let load = |chain, key, ocsp: &[u8]| {
        let credential = Credential::from_pem(&provider(0), chain, key).unwrap();
        Arc::new(credential.with_ocsp(ocsp.to_vec()).with_scts(vec![vec![7; 40]]))
    };
    [load(SERVER, SERVER_KEY, &[0x30, 3, 0x0a, 1, 1]), load(CLIENT, CLIENT_KEY, &[])]
});

/// The public key of the victim's peer.
pub fn spki(victim: Victim) -> &'static [u8] {
    static KEYS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        [SERVER_KEY, CLIENT_KEY].map(|pem| {
            let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
            (provider(0).load_key)(&key).unwrap().spki().to_vec()
        })
    });
    &KEYS[usize::from(victim == Victim::Server)]
}

/// What both show, the server first.
fn credentials(options: Options) -> [Arc<Credential>; 2] {
    if !options.raw_keys() {
        return CREDENTIALS.clone();
    }
    [SERVER_KEY, CLIENT_KEY].map(|pem| {
        let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
        Arc::new(Credential::raw_public_key(&provider(0), &key).unwrap())
    })
}

/// What judges the victim's peer.
fn judge(options: Options, victim: Victim) -> Verifier {
    match options.raw_keys() {
        false => verifier(),
        true => Verifier::raw_public_keys([spki(victim).to_vec().into()]).unwrap(),
    }
}

/// Client and server of these options, without what they remember.
fn cached(options: Options) -> &'static (ClientConfig, ServerConfig) {
    static ALL: [OnceLock<(ClientConfig, ServerConfig)>; 256] = [const { OnceLock::new() }; 256];
    ALL[usize::from(options.0)].get_or_init(|| (client_config(options), server_config(options)))
}

fn ask(options: Options) -> Ask {
    let on = options.has(Options::ASK);
    Ask { client_hello: on, credential: on, signature: on, verdict: on, psk: on, early_data: on }
}

fn external() -> Vec<Arc<ExternalPsk>> {
    vec![Arc::new(ExternalPsk::new(b"fuzz", &[9; 32]).unwrap())]
}

fn client_config(options: Options) -> ClientConfig {
    let config = ClientConfig::new(provider(0), judge(options, Victim::Client)).unwrap();
    let [_, own] = credentials(options);
    let mut config = config
        .with_credentials(vec![own])
        .with_alpn(&[b"imap", b"http/1.1"])
        .unwrap()
        .with_ask(ask(options))
        .with_early_data(options.has(Options::EARLY))
        .with_ticket_request(2, 1)
        .with_post_handshake_auth(options.has(Options::POST_AUTH))
        .with_certificate_compression(compression(options))
        .unwrap();
    if options.has(Options::EXTERNAL) {
        config = config.with_external_psks(external(), PskPolicy::OrCertificate);
    }
    config
}

fn server_config(options: Options) -> ServerConfig {
    let [own, _] = credentials(options);
    let config = ServerConfig::new(provider(1), vec![own]).unwrap();
    let mut config = config
        .with_alpn(&[b"h2", b"http/1.1"])
        .unwrap()
        .with_ask(ask(options))
        .with_status_requests(true, true)
        .with_certificate_compression(compression(options))
        .unwrap();
    if options.has(Options::MUTUAL) {
        config = config.with_client_auth(ClientAuth::Required(judge(options, Victim::Server)));
    } else if options.has(Options::POST_AUTH) {
        config = config.with_client_auth(ClientAuth::OnRequest(verifier()));
    }
    if options.has(Options::RETRY) {
        config = config.with_groups(&[NamedGroup::secp256r1]).unwrap();
    }
    if options.has(Options::COOKIE) {
        config = config.with_stateless_retry(Arc::new(CookieKey::new(&[7; 32]).unwrap()));
    }
    if options.has(Options::EXTERNAL) {
        config = config.with_external_psks(external(), PskPolicy::OrCertificate);
    }
    config
}

/// What an earlier connection of these options has left behind: the ticket keys, exported, and the client's session.
pub fn memory(options: Options) -> &'static (Vec<u8>, Vec<u8>) {
    static ALL: [OnceLock<(Vec<u8>, Vec<u8>)>; 256] = [const { OnceLock::new() }; 256];
    ALL[usize::from(options.0)].get_or_init(|| {
        rewind();
        let tickets = TicketKeys::new(&provider(2), now()).unwrap();
        let exported = tickets.export(now()).unwrap().to_vec();
        let sessions = Arc::new(MemorySessions::new(4, 1 << 20));
        let (client, server) = cached(options);
        let client = client.clone().with_sessions(sessions.clone());
        let server = server.clone().with_tickets(Arc::new(tickets));
        let server = server.with_early_data(Arc::new(Flights::default()), MAX_EARLY);
        let (client, hello) = start(client);
        let mut client = End::new(client, hello);
        let mut server = End::new(Connection::server(Arc::new(server)), Vec::new());
        settle(&mut client, &mut server);
        let session = sessions.drain().pop();
        let session = session.map(|session| session.to_bytes().unwrap().to_vec());
        rewind();
        (exported, session.unwrap_or_default())
    })
}

/// Sees each first flight once.
#[derive(Debug, Default)]
struct Flights(Mutex<HashSet<[u8; 32]>>);

impl ReplayStore for Flights {
    fn is_first(&self, flight: &[u8; 32], _: UnixTime) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*flight)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// The client of these options, always the same, and the store of its sessions.
pub fn client(options: Options) -> (ClientConfig, Arc<MemorySessions>) {
    let sessions = Arc::new(MemorySessions::new(4, 1 << 20));
    let config = cached(options).0.clone();
    if !options.has(Options::SESSION) {
        return (config, sessions);
    }
    if let Ok(session) = Session::from_bytes(&memory(options).1) {
        sessions.put(session);
    }
    (config.with_sessions(sessions.clone()), sessions)
}

/// The server of these options, always the same.
pub fn server(options: Options) -> ServerConfig {
    let config = cached(options).1.clone();
    if !options.has(Options::SESSION) {
        return config;
    }
    let tickets = TicketKeys::import(&provider(1), &memory(options).0).unwrap();
    let config = config.with_tickets(Arc::new(tickets));
    config.with_early_data(Arc::new(Flights::default()), MAX_EARLY)
}

/// A client, and its ClientHello.
pub fn start(config: ClientConfig) -> (Connection, Vec<u8>) {
    let mut out = Vec::new();
    let client = Connection::client(Arc::new(config), name(), now(), &mut out).unwrap();
    (client, out)
}

/// A client and a server of these options that have not spoken yet.
pub fn ends(options: Options) -> (End, End) {
    let (client, hello) = start(client(options).0);
    let server = Connection::server(Arc::new(server(options)));
    (End::new(client, hello), End::new(server, Vec::new()))
}

/// Lets both talk until neither has anything to say.
pub fn settle(client: &mut End, server: &mut End) {
    while !client.output.is_empty() || !server.output.is_empty() {
        let flight = std::mem::take(&mut client.output);
        server.take(&flight);
        let flight = std::mem::take(&mut server.output);
        client.take(&flight);
    }
}

/// A client and a server after their handshake.
pub fn connected(options: Options) -> (End, End) {
    let (mut client, mut server) = ends(options);
    settle(&mut client, &mut server);
    assert!(client.connected && server.connected, "{:?} {:?}", client.error, server.error);
    (client, server)
}

/// One end, and what it has got and said.
pub struct End {
    /// The connection.
    pub connection: Connection,
    /// What it has to send.
    pub output: Vec<u8>,
    /// What has not been read yet.
    pub input: Vec<u8>,
    /// The application data that has come.
    pub received: Vec<u8>,
    /// The early data that has come.
    pub early: Vec<u8>,
    /// What happened, in words.
    pub events: Vec<String>,
    /// Whether it said that it is connected.
    pub connected: bool,
    /// Whether it said that the peer has closed.
    pub closed: bool,
    /// Whether it has closed its own side.
    pub closing: bool,
    /// Why it failed.
    pub error: Option<Error>,
}

impl End {
    /// An end with this output waiting.
    pub fn new(connection: Connection, output: Vec<u8>) -> Self {
        Self {
            connection,
            output,
            input: Vec::new(),
            received: Vec::new(),
            early: Vec::new(),
            events: Vec::new(),
            connected: false,
            closed: false,
            closing: false,
            error: None,
        }
    }

    /// Takes `bytes`, as far as there are records among them, and answers what is asked as the configuration would.
    /// Checks what holds for every connection.
    pub fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let mut start = 0;
        while self.error.is_none() {
            match self.step(start) {
                Some(used) => start += used,
                None => break,
            }
        }
        self.input.drain(..start.min(self.input.len()));
        assert!(self.error.is_some() || self.connected == self.connection.is_connected());
    }

    /// One call, and its events: how many bytes were used, or `None` if there is nothing left to do.
    fn step(&mut self, start: usize) -> Option<usize> {
        let had = self.input.len() - start;
        let read = self.connection.read(now(), &mut self.input[start..], &mut self.output);
        let used = match read {
            Ok(Read::NeedMore { need }) => {
                assert!(need > had, "it has {had} bytes and asks for {need}");
                assert!(need <= sealwire::MAX_RECORD, "no record has {need} bytes");
                None
            }
            Ok(Read::Control { used }) => Some(used),
            Ok(Read::Data { used, data }) => {
                assert!(used > data.len() && !data.is_empty());
                self.received.extend_from_slice(data);
                assert!(self.connection.is_connected(), "data before the handshake's end");
                Some(used)
            }
            Ok(Read::EarlyData { used, data }) => {
                assert!(used > data.len() && !data.is_empty());
                self.early.extend_from_slice(data);
                assert!(!self.connection.is_connected(), "early data after the handshake");
                assert!(self.early.len() <= MAX_EARLY as usize, "more early data than allowed");
                Some(used)
            }
            Ok(Read::Waiting) => {
                assert!(self.connection.waiting_for().is_some(), "nothing was asked");
                let answer = self.connection.answer(now(), Answer::UseConfig, &mut self.output);
                if let Err(error) = answer {
                    self.fail(error);
                }
                Some(0)
            }
            Ok(Read::Closed) => {
                assert!(self.connection.is_peer_closed());
                self.closed = true;
                None
            }
            Err(error) => {
                self.fail(error);
                None
            }
        };
        assert!(used.is_none_or(|used| used <= had), "more was used than there is");
        self.poll();
        used
    }

    /// Closes its side.
    pub fn close(&mut self) {
        if self.connection.close(&mut self.output).is_ok() {
            self.closing = true;
        }
    }

    /// Takes the events.
    pub fn poll(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            if matches!(event, Event::Connected) {
                assert!(!self.connected, "connected twice");
                self.connected = true;
            }
            self.events.push(match event {
                Event::Ask(_) => format!("Ask({:?})", self.connection.waiting_for()),
                other => format!("{other:?}"),
            });
        }
    }

    /// After an error everything says the same, and nothing is sent any more (RFC 9846 §6.2).
    pub fn fail(&mut self, error: Error) {
        assert!(error.is_fatal(), "reading is no misuse: {error}");
        let told = error.alert().is_none() || self.closing || !self.output.is_empty();
        assert!(told, "no alert was sent for {error}");
        let mut more = Vec::new();
        let text = error.to_string();
        let mut record = [23, 3, 3, 0, 1, 0];
        let again = self.connection.read(now(), &mut record, &mut more);
        assert_eq!(again.map(drop).unwrap_err().to_string(), text);
        let write = self.connection.write(b"data", &mut more);
        assert_eq!(write.unwrap_err().to_string(), text);
        let mut record = [0; 64];
        assert!(self.connection.seal(&mut record, 4).is_err());
        assert!(more.is_empty(), "something was sent after an error");
        self.error = Some(error);
    }

    /// What only the two ends of one connection know. `None` before the handshake's end, unless the server has taken early
    /// data, and after an error.
    pub fn exported(&self) -> Option<[u8; 32]> {
        let mut out = [0; 32];
        self.connection.export(b"EXPORTER-fuzz", None, &mut out).ok().map(|()| out)
    }
}

/// Reads an input as a row of instructions.
pub struct Instructions<'a>(pub &'a [u8]);

impl<'a> Instructions<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next two.
    pub fn short(&mut self) -> Option<usize> {
        Some(usize::from(self.byte()?) << 8 | usize::from(self.byte()?))
    }

    /// The next `len`, or as many as there are.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
