//! What the targets share: two deterministic ends, and how bytes get into them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sealwire::codepoints::NamedGroup;
use sealwire::crypto::Provider;
use sealwire::crypto::deterministic::{self, SeededRng};
use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{
    ClientAuth, ClientConfig, Connection, CookieKey, Credential, Error, Event, Read, ServerConfig,
    TrustAnchors, Verifier,
};

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
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000))
}

/// The provider, with randomness that begins anew.
pub fn provider(seed: u64) -> Provider {
    deterministic::provider(Arc::new(SeededRng::new(seed)))
}

/// Trusts the root.
pub fn verifier() -> Verifier {
    Verifier::new(TrustAnchors::from_pem(ROOT).unwrap())
}

/// Which of the configurations an input asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The server asks for a certificate.
    pub mutual: bool,
    /// The client's key share does not suit the server.
    pub retry: bool,
    /// The server puts a cookie into its HelloRetryRequest.
    pub cookie: bool,
    /// The client offers the hybrid group.
    pub hybrid: bool,
}

impl From<u8> for Options {
    fn from(bits: u8) -> Self {
        let bit = |n: u8| bits & (1 << n) != 0;
        Self { mutual: bit(0), retry: bit(1), cookie: bit(2), hybrid: bit(3) }
    }
}

static CREDENTIALS: LazyLock<[Arc<Credential>; 2]> = LazyLock::new(|| {
    let load = |chain, key| Arc::new(Credential::from_pem(&provider(0), chain, key).unwrap());
    [load(SERVER, SERVER_KEY), load(CLIENT, CLIENT_KEY)]
});

/// A server, always the same.
pub fn server(options: Options) -> Connection {
    let config = ServerConfig::new(provider(1), vec![Arc::clone(&CREDENTIALS[0])]).unwrap();
    let mut config = config.with_alpn(&[b"h2", b"http/1.1"]).unwrap();
    if options.mutual {
        config = config.with_client_auth(ClientAuth::Required(verifier()));
    }
    if options.retry {
        config = config.with_groups(&[NamedGroup::secp256r1]).unwrap();
    }
    if options.cookie {
        config = config.with_stateless_retry(Arc::new(CookieKey::new(&[7; 32]).unwrap()));
    }
    Connection::server(Arc::new(config))
}

/// A client, always the same, and its ClientHello.
pub fn client(options: Options) -> (Connection, Vec<u8>) {
    let config = ClientConfig::new(provider(2), verifier()).unwrap();
    let config = config.with_credentials(vec![Arc::clone(&CREDENTIALS[1])]);
    let mut config = config.with_alpn(&[b"http/1.1"]).unwrap();
    if !options.hybrid {
        config = config.with_groups(&[NamedGroup::x25519, NamedGroup::secp256r1]).unwrap();
    }
    let mut out = Vec::new();
    let name = ServerName::try_from("localhost").unwrap();
    let client = Connection::client(Arc::new(config), name, now(), &mut out).unwrap();
    (client, out)
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
    /// Whether it said that it is connected.
    pub connected: bool,
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
            connected: false,
            error: None,
        }
    }

    /// Takes `bytes`, as far as there are records among them. Checks what holds for every connection.
    pub fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let mut start = 0;
        while self.error.is_none() {
            let had = self.input.len() - start;
            match self.connection.read(now(), &mut self.input[start..], &mut self.output) {
                Ok(Read::NeedMore { need }) => {
                    assert!(need > had, "it has {had} bytes and asks for {need}");
                    assert!(need <= MAX_RECORD, "no record has {need} bytes");
                    break;
                }
                Ok(Read::Control { used }) => {
                    assert!(used > 0 && used <= had);
                    start += used;
                }
                Ok(Read::Data { used, data }) => {
                    assert!(used > data.len() && used <= had);
                    self.received.extend_from_slice(data);
                    start += used;
                    assert!(self.connection.is_connected(), "data before the handshake's end");
                }
                Ok(Read::EarlyData { .. }) => panic!("early data without a store"),
                Ok(Read::Waiting) => panic!("nothing was asked"),
                Ok(Read::Closed) => break,
                Err(error) => self.fail(error),
            }
            while let Some(event) = self.connection.poll_event() {
                self.connected |= matches!(event, Event::Connected);
            }
        }
        self.input.drain(..start.min(self.input.len()));
        assert!(self.error.is_some() || self.connected == self.connection.is_connected());
    }

    /// After an error everything says the same, and nothing is sent any more (RFC 9846 §6.2).
    fn fail(&mut self, error: Error) {
        assert!(error.is_fatal(), "reading is no misuse: {error}");
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
}

/// A client and a server after their handshake.
pub fn connected(options: Options) -> (End, End) {
    let (client, hello) = client(options);
    let mut client = End::new(client, hello);
    let mut server = End::new(server(options), Vec::new());
    while !client.output.is_empty() || !server.output.is_empty() {
        let flight = std::mem::take(&mut client.output);
        server.take(&flight);
        let flight = std::mem::take(&mut server.output);
        client.take(&flight);
    }
    assert!(client.connected && server.connected, "{:?} {:?}", client.error, server.error);
    (client, server)
}

impl End {
    /// What only the two ends of one connection know. `None` before the handshake's end, and after an error.
    pub fn exported(&self) -> Option<[u8; 32]> {
        let mut out = [0; 32];
        self.connection.export(b"EXPORTER-fuzz", None, &mut out).ok().map(|()| out)
    }
}

/// RFC 9846 §5.2: header, 2^14 bytes, and 256 of expansion.
const MAX_RECORD: usize = 5 + (1 << 14) + 256;

/// Reads an input as a row of instructions.
pub struct Instructions<'a>(pub &'a [u8]);

impl Instructions<'_> {
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
}
