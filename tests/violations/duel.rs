//! A duel: two honest ends, and somebody between them who holds the keys of one and changes what it says.
//!
//! Whatever the attacked side receives went through [`Duel::run`]'s `edit`, one message at a time and decrypted, and was
//! sealed again. What it says itself reaches its peer untouched, so that the peer can tell which alert was on the wire.

use std::collections::HashMap;
use std::sync::Arc;

use sealwire::codepoints::{Alert, CipherSuiteId, ContentType, HandshakeType, NamedGroup};
use sealwire::crypto::{AeadKey, CipherSuite};
use sealwire::pki_types::UnixTime;
use sealwire::{ClientAuth, ClientConfig, Connection, Error, Limit, Read, ServerConfig, Verifier};

use super::refuse::assert_dead;
use super::support::{Kind, Lines, Role, configs, now, pki, server_name};

/// Under which key something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Epoch {
    /// None.
    Plain,
    /// The client's, of its early data.
    Early,
    Handshake,
    /// Of this generation.
    Application(u64),
}

/// One record, with its content in clear.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) epoch: Epoch,
    pub(crate) kind: ContentType,
    pub(crate) content: Vec<u8>,
    /// How many zeros follow the content type, if the record is protected.
    pub(crate) padding: usize,
    /// Bytes for the wire as they are, in place of everything else.
    pub(crate) raw: Option<Vec<u8>>,
}

impl Unit {
    pub(crate) fn new(epoch: Epoch, kind: ContentType, content: &[u8]) -> Self {
        Self { epoch, kind, content: content.to_vec(), padding: 0, raw: None }
    }

    pub(crate) fn raw(bytes: &[u8]) -> Self {
        let raw = Some(bytes.to_vec());
        Self { raw, ..Self::new(Epoch::Plain, ContentType(0), &[]) }
    }

    /// A record without protection.
    pub(crate) fn plain(kind: ContentType, content: &[u8]) -> Self {
        Self::new(Epoch::Plain, kind, content)
    }

    /// A handshake record under the first application key.
    pub(crate) fn post(message: &[u8]) -> Self {
        Self::new(Epoch::Application(0), ContentType::handshake, message)
    }

    pub(crate) fn padded(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// The same record with another content.
    pub(crate) fn with(&self, content: impl Into<Vec<u8>>) -> Self {
        Self { content: content.into(), ..self.clone() }
    }

    /// The same key, another type and content.
    pub(crate) fn and(&self, kind: ContentType, content: &[u8]) -> Self {
        Self::new(self.epoch, kind, content)
    }

    /// Whether this is that handshake message.
    pub(crate) fn is(&self, kind: HandshakeType) -> bool {
        self.kind == ContentType::handshake && self.content.first() == Some(&kind.0)
    }

    /// Which handshake message this is; one of no type if it is another record.
    pub(crate) fn message_type(&self) -> HandshakeType {
        match self.kind {
            ContentType::handshake => HandshakeType(self.content[0]),
            _ => HandshakeType(0xff),
        }
    }

    /// Whether this is a HelloRetryRequest.
    pub(crate) fn is_retry(&self) -> bool {
        self.is(HandshakeType::server_hello) && self.content[6..].starts_with(&RETRY_RANDOM)
    }
}

/// RFC 9846 §4.2.3: how the random of a HelloRetryRequest begins.
const RETRY_RANDOM: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];

/// What the two ends do.
pub(crate) type Configs = (ClientConfig, ServerConfig);

/// One suite, two groups, a share for the first; the server takes it.
pub(crate) fn simple() -> Configs {
    let (client, server) = configs(11);
    let suites = [CipherSuiteId::TLS_AES_128_GCM_SHA256];
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
    (
        client.with_suites(&suites).unwrap().with_groups(&groups).unwrap(),
        server.with_groups(&groups).unwrap(),
    )
}

/// The server wants the group for which there is no share.
pub(crate) fn retry() -> Configs {
    let (client, server) = simple();
    (client, server.with_groups(&[NamedGroup::secp256r1]).unwrap())
}

/// Both authenticate.
pub(crate) fn mutual() -> Configs {
    let (client, server) = simple();
    let credential = pki().client(Kind::P256).credential(client.provider());
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    (client.with_credentials(vec![credential]), server.with_client_auth(auth))
}

/// Both authenticate with raw public keys, and take nothing else.
pub(crate) fn raw_keys() -> Configs {
    let (client, server) = simple();
    let (ours, theirs) = (pki().client(Kind::P256), pki().server(Kind::P256));
    let verifier = |key| Verifier::raw_public_keys([key]).unwrap();
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
    let credential = ours.raw(client.provider());
    let client = ClientConfig::new(client.provider().clone(), verifier(theirs.spki())).unwrap();
    let client = client.with_suites(&[CipherSuiteId::TLS_AES_128_GCM_SHA256]).unwrap();
    let client = client.with_groups(&groups).unwrap().with_credentials(vec![credential]);
    let credential = theirs.raw(server.provider());
    let server = ServerConfig::new(server.provider().clone(), vec![credential]).unwrap();
    let auth = ClientAuth::Required(verifier(ours.spki()));
    (client, server.with_groups(&groups).unwrap().with_client_auth(auth))
}

/// One key, with the number of its next record.
struct Key {
    key: Box<dyn AeadKey>,
    iv: [u8; 12],
    seq: u64,
}

impl Key {
    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.seq.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        self.seq += 1;
        nonce
    }
}

/// RFC 9846 §7.1
fn expand_label(suite: &CipherSuite, secret: &[u8], label: &str, len: u8) -> Vec<u8> {
    let label = [b"tls13 ", label.as_bytes()].concat();
    let label_len = u8::try_from(label.len()).unwrap();
    // One block of HKDF is enough for everything that is wanted here.
    let block = suite.hash.hmac(secret, &[&[0, len, label_len], &label, &[0], &[1]]);
    block.expose()[..usize::from(len)].to_vec()
}

pub(crate) struct Duel {
    client: Connection,
    server: Connection,
    /// Whose words are changed.
    attacker: Role,
    suite: &'static CipherSuite,
    log: Arc<Lines>,
    now: UnixTime,
    /// From the attacker, not looked at yet.
    said: Vec<u8>,
    /// From the victim.
    answered: Vec<u8>,
    /// For the victim.
    wire: Vec<u8>,
    /// Under which key the attacker speaks.
    epoch: Epoch,
    opening: HashMap<Epoch, Key>,
    sealing: HashMap<Epoch, Key>,
    error: Option<Error>,
}

impl Duel {
    pub(crate) fn new(attacker: Role, (client, server): Configs) -> Self {
        let log = Lines::new();
        let suite = client.provider().suite(CipherSuiteId::TLS_AES_128_GCM_SHA256).unwrap();
        let client = Arc::new(client.with_key_log(log.clone()));
        let server = Arc::new(server.with_key_log(log.clone()));
        let mut first = Vec::new();
        let client = Connection::client(client, server_name(), now(), &mut first).unwrap();
        let server = Connection::server(server);
        let (said, wire) = match attacker {
            Role::Client => (first, Vec::new()),
            Role::Server => (Vec::new(), first),
        };
        Self {
            client,
            server,
            attacker,
            suite,
            log,
            now: now(),
            said,
            answered: wire,
            wire: Vec::new(),
            epoch: Epoch::Plain,
            opening: HashMap::new(),
            sealing: HashMap::new(),
            error: None,
        }
    }

    /// The same, with an honest handshake behind it.
    pub(crate) fn connected(attacker: Role, configs: Configs) -> Self {
        let mut this = Self::new(attacker, configs);
        this.run(|unit| vec![unit]);
        assert!(this.error.is_none(), "{:?}", this.error);
        assert!(this.client.is_connected() && this.server.is_connected());
        this
    }

    pub(crate) fn victim(&mut self) -> &mut Connection {
        match self.attacker {
            Role::Client => &mut self.server,
            Role::Server => &mut self.client,
        }
    }

    pub(crate) fn into_victim(self) -> Connection {
        match self.attacker {
            Role::Client => self.server,
            Role::Server => self.client,
        }
    }

    pub(crate) fn attacker(&mut self) -> &mut Connection {
        match self.attacker {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// The victim loses its memory: a stateless server between two ClientHellos. Time passes.
    pub(crate) fn forget(&mut self, server: ServerConfig, later: UnixTime) {
        self.server = Connection::server(Arc::new(server));
        self.now = later;
    }

    /// Lets both talk until nothing is left to say, or the victim has had enough. Each message of the attacker goes
    /// through `edit`.
    pub(crate) fn run(&mut self, mut edit: impl FnMut(Unit) -> Vec<Unit>) {
        loop {
            let units = self.take_units();
            for unit in units.into_iter().flat_map(&mut edit) {
                self.put(unit);
            }
            let (wire, answered) = (self.wire.len(), self.answered.len());
            self.victim_reads();
            if self.error.is_some() {
                return;
            }
            self.attacker_reads().unwrap();
            let idle = (wire, answered) == (self.wire.len(), self.answered.len());
            if idle && self.said.is_empty() {
                return;
            }
        }
    }

    /// Gives the victim this, out of turn.
    pub(crate) fn inject(&mut self, units: impl IntoIterator<Item = Unit>) {
        assert!(self.error.is_none(), "{:?}", self.error);
        for unit in units {
            self.put(unit);
        }
        self.victim_reads();
    }

    /// The victim has not complained.
    pub(crate) fn assert_content(&self) {
        assert!(self.error.is_none(), "{:?}", self.error);
    }

    /// The victim could not read what it got, and said so.
    pub(crate) fn assert_malformed(self) {
        match &self.error {
            Some(Error::Decode(what)) => {
                let what = *what;
                self.assert_refused(Error::Decode(what));
            }
            other => panic!("Decode expected, and not {other:?}"),
        }
    }

    /// The victim failed with exactly this error; its alert was the last thing that it said; and it is dead.
    pub(crate) fn assert_refused(mut self, expected: impl Into<Error>) {
        let expected = expected.into();
        let error = self.error_is(&expected);
        let alert = expected.alert().unwrap();
        match self.attacker_reads() {
            Err(Error::PeerAlert(said)) => assert_eq!(said, alert, "{error:?}"),
            other => panic!("{alert} expected on the wire, and not {other:?}"),
        }
        assert!(self.answered.is_empty(), "something follows the alert");
        assert_dead(self.victim(), &error);
    }

    /// The victim failed because of this limit, on its own or in its verdict on a chain.
    pub(crate) fn assert_limited(self, limit: Limit) {
        let error = self.error.clone();
        let error = error.unwrap_or_else(|| panic!("{limit:?} was not noticed"));
        assert_eq!(error.limit(), Some(limit), "{error:?}");
        assert_eq!(error.alert(), Some(limit.alert()));
        self.assert_refused(error);
    }

    /// The same, where the attacker cannot read the alert: it is under a key that the attacker does not have.
    pub(crate) fn assert_refused_unheard(mut self, expected: impl Into<Error>) {
        let error = self.error_is(&expected.into());
        assert_dead(self.victim(), &error);
    }

    fn error_is(&mut self, expected: &Error) -> Error {
        let error = self.error.take().unwrap_or_else(|| panic!("{expected:?} was not noticed"));
        assert_eq!(format!("{error:?}"), format!("{expected:?}"));
        error
    }

    fn victim_reads(&mut self) {
        let (now, mut wire, mut out) = (self.now, std::mem::take(&mut self.wire), Vec::new());
        let mut at = 0;
        while self.error.is_none() {
            match self.victim().read(now, &mut wire[at..], &mut out) {
                Ok(
                    Read::Control { used } | Read::Data { used, .. } | Read::EarlyData { used, .. },
                ) => at += used,
                Ok(_) => break,
                Err(error) => self.error = Some(error),
            }
        }
        self.wire = wire.split_off(at);
        self.answered.extend(out);
    }

    fn attacker_reads(&mut self) -> Result<(), Error> {
        let (now, mut wire, mut out) = (self.now, std::mem::take(&mut self.answered), Vec::new());
        let (mut at, mut result) = (0, Ok(()));
        while at < wire.len() {
            match self.attacker().read(now, &mut wire[at..], &mut out) {
                Ok(Read::Control { used } | Read::Data { used, .. }) => at += used,
                Ok(_) => break,
                Err(error) => {
                    let body = u16::from_be_bytes([wire[at + 3], wire[at + 4]]);
                    at += 5 + usize::from(body);
                    result = Err(error);
                    break;
                }
            }
        }
        self.answered = wire.split_off(at);
        self.said.extend(out);
        result
    }

    /// What the attacker has said, decrypted and taken apart into messages.
    fn take_units(&mut self) -> Vec<Unit> {
        let mut units = Vec::new();
        while !self.said.is_empty() {
            let len = usize::from(u16::from_be_bytes([self.said[3], self.said[4]]));
            let rest = self.said.split_off(5 + len);
            let record = std::mem::replace(&mut self.said, rest);
            let (kind, mut content) = self.open(&record);
            if kind != ContentType::handshake {
                units.push(Unit::new(self.epoch, kind, &content));
                continue;
            }
            while !content.is_empty() {
                let len = usize::from(content[2]) << 8 | usize::from(content[3]);
                let rest = content.split_off(4 + len);
                let unit = Unit::new(self.epoch, kind, &content);
                if unit.is(HandshakeType::end_of_early_data) {
                    self.epoch = Epoch::Handshake;
                }
                if unit.is(HandshakeType::finished) {
                    self.epoch = Epoch::Application(0);
                }
                if let (true, Epoch::Application(n)) =
                    (unit.is(HandshakeType::key_update), self.epoch)
                {
                    self.epoch = Epoch::Application(n + 1);
                }
                units.push(unit);
                content = rest;
            }
        }
        units
    }

    fn open(&mut self, record: &[u8]) -> (ContentType, Vec<u8>) {
        let (header, body) = record.split_at(5);
        let kind = ContentType(header[0]);
        if kind != ContentType::application_data {
            return (kind, body.to_vec());
        }
        if self.epoch == Epoch::Plain {
            self.epoch = Epoch::Handshake;
            let early = (self.attacker == Role::Client)
                .then(|| self.log.labels().contains("CLIENT_EARLY_TRAFFIC_SECRET"));
            // A client that offered early data ends it first, if the server took it.
            if early == Some(true) {
                let mut key = self.key(Epoch::Early);
                let (nonce, mut inner) = (key.nonce(), body.to_vec());
                if key.key.open(nonce, header, &mut inner).is_ok() {
                    self.epoch = Epoch::Early;
                }
            }
        }
        let epoch = self.epoch;
        if !self.opening.contains_key(&epoch) {
            let key = self.key(epoch);
            self.opening.insert(epoch, key);
        }
        let key = self.opening.get_mut(&epoch).unwrap();
        let (nonce, mut inner) = (key.nonce(), body.to_vec());
        let len = key.key.open(nonce, header, &mut inner).unwrap();
        inner.truncate(len);
        let kind = inner.pop().unwrap();
        (ContentType(kind), inner)
    }

    /// Puts `unit` on the victim's wire.
    pub(crate) fn put(&mut self, unit: Unit) {
        if let Some(raw) = unit.raw {
            self.wire.extend(raw);
            return;
        }
        if unit.epoch == Epoch::Plain {
            self.wire.extend(header(unit.kind, unit.content.len()));
            self.wire.extend(unit.content);
            return;
        }
        let mut inner = unit.content;
        inner.push(unit.kind.0);
        inner.resize(inner.len() + unit.padding, 0);
        self.seal(unit.epoch, inner);
    }

    /// Puts a record on the victim's wire that protects nothing: no content, and no content type either.
    pub(crate) fn put_empty(&mut self) {
        self.seal(Epoch::Application(0), Vec::new());
    }

    fn seal(&mut self, epoch: Epoch, mut inner: Vec<u8>) {
        if !self.sealing.contains_key(&epoch) {
            let key = self.key(epoch);
            self.sealing.insert(epoch, key);
        }
        let key = self.sealing.get_mut(&epoch).unwrap();
        let header = header(ContentType::application_data, inner.len() + 16);
        let nonce = key.nonce();
        let tag = key.key.seal(nonce, &header, &mut inner).unwrap();
        self.wire.extend(header);
        self.wire.extend(inner);
        self.wire.extend(tag);
    }

    /// The attacker's sending key.
    fn key(&self, epoch: Epoch) -> Key {
        let who = match self.attacker {
            Role::Client => "CLIENT",
            Role::Server => "SERVER",
        };
        let (stage, updates) = match epoch {
            Epoch::Plain => panic!("there is no key"),
            Epoch::Early => ("EARLY_TRAFFIC_SECRET", 0),
            Epoch::Handshake => ("HANDSHAKE_TRAFFIC_SECRET", 0),
            Epoch::Application(n) => ("TRAFFIC_SECRET_0", n),
        };
        let label = format!("{who}_{stage}");
        // Both ends log it, and they agree.
        let logged = self.log.all().into_iter().find(|(l, ..)| *l == label);
        let (_, _, mut secret) = logged.unwrap_or_else(|| panic!("no {label}"));
        for _ in 0..updates {
            secret = expand_label(self.suite, &secret, "traffic upd", 32);
        }
        let key = expand_label(self.suite, &secret, "key", 16);
        let iv = expand_label(self.suite, &secret, "iv", 12);
        let key = self.suite.aead.key(&key).unwrap();
        Key { key, iv: iv.try_into().unwrap(), seq: 0 }
    }
}

fn header(kind: ContentType, len: usize) -> [u8; 5] {
    let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
    [kind.0, 3, 3, high, low]
}

/// An alert in clear, fatal.
pub(crate) fn alert(alert: Alert) -> [u8; 2] {
    [2, alert.0]
}
