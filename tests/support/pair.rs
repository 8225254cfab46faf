//! A client and a server, and the wire between them.

use sealwire::codepoints::Alert;
use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{
    Answer, ClientConfig, Connection, Error, Event, FixedOutput, Output, Question, Read,
    ServerConfig,
};
use std::sync::Arc;
use std::time::Duration;

use super::random::Rand;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

impl Role {
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Everything that there is, at once.
    Glued,
    OneByte,
    /// Pieces of random lengths, from this seed.
    Cuts(u64),
    Records,
}

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    Vec,
    BytesMut,
    /// A slice of this length, which grows to what is said to be needed, and no further.
    Fixed(usize),
}

/// A transport and an output together.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    pub transport: Transport,
    pub sink: Sink,
}

impl Calls {
    /// Everything glued together, into a `Vec`.
    pub const PLAIN: Self = Self { transport: Transport::Glued, sink: Sink::Vec };

    /// What every handshake test runs under.
    pub const ALL: [Self; 6] = [
        Self::PLAIN,
        Self { transport: Transport::OneByte, sink: Sink::Fixed(0) },
        Self { transport: Transport::Cuts(1), sink: Sink::BytesMut },
        Self { transport: Transport::Cuts(2), sink: Sink::Fixed(100) },
        Self { transport: Transport::Records, sink: Sink::Fixed(1) },
        Self { transport: Transport::Glued, sink: Sink::BytesMut },
    ];

    /// Runs `test` under all of them; the last one named in a failing test's output is the one that failed.
    pub fn each(mut test: impl FnMut(Self)) {
        for calls in Self::ALL {
            println!("{calls:?}");
            test(calls);
        }
    }

    pub fn pair(self, client: ClientConfig, server: ServerConfig) -> Pair {
        let client = self.client(&Arc::new(client), super::server_name(), None);
        Pair::of(client, self.server(server), self.transport)
    }

    pub fn client(
        self,
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
        alpn: Option<&[&[u8]]>,
    ) -> Side {
        let mut wire = Vec::new();
        let conn = self.sink.fill(&mut wire, |out| {
            let config = Arc::clone(config);
            match alpn {
                None => Connection::client(config, name.clone(), super::now(), out),
                Some(list) => {
                    Connection::client_with_alpn(config, name.clone(), list, super::now(), out)
                }
            }
        });
        let mut side = Side::new(conn.unwrap(), wire, self.sink);
        side.call(|conn, out| conn.flush(out)).unwrap();
        side
    }

    pub fn server(self, config: ServerConfig) -> Side {
        Side::new(Connection::server(Arc::new(config)), Vec::new(), self.sink)
    }
}

impl Sink {
    /// Calls `call` with an output of this kind until it is large enough, and appends what came to `wire`.
    pub fn fill<T>(
        self,
        wire: &mut Vec<u8>,
        mut call: impl FnMut(&mut dyn Output) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self {
            Self::Vec => call(wire),
            Self::BytesMut => {
                let mut out = bytes::BytesMut::new();
                let result = call(&mut out);
                wire.extend_from_slice(&out);
                result
            }
            Self::Fixed(size) => {
                let mut buffer = vec![0; size];
                let mut out = FixedOutput::new(&mut buffer);
                let mut result = call(&mut out);
                let mut filled = out.len();
                if let Err(Error::OutputTooSmall { need }) = result {
                    assert_eq!(filled, 0, "half-done output");
                    assert!(need > size, "{size} bytes are too small, but {need} are needed");
                    assert!(need < 1 << 24, "needs {need} bytes");
                    // Exactly what is said to be needed is enough.
                    buffer = vec![0; need];
                    let mut out = FixedOutput::new(&mut buffer);
                    result = call(&mut out);
                    filled = out.len();
                    let enough = !matches!(result, Err(Error::OutputTooSmall { .. }));
                    assert!(enough, "{need} bytes were not enough: {:?}", result.err());
                }
                wire.extend_from_slice(&buffer[..filled]);
                result
            }
        }
    }
}

/// One connection with its wire.
pub struct Side {
    pub conn: Connection,
    /// Everything that it ever sent.
    pub wire: Vec<u8>,
    /// How much of that the transport has taken.
    pub taken: usize,
    /// What has arrived and is not consumed.
    pub inbox: Vec<u8>,
    /// Everything that it ever received: application data.
    pub data: Vec<u8>,
    /// Everything that it ever received: early data.
    pub early: Vec<u8>,
    /// What happened, questions left out.
    pub events: Vec<Event>,
    /// The question that is open.
    pub question: Option<Question>,
    /// What it failed with.
    pub error: Option<Error>,
    /// Whether `read` said that the peer's side is closed.
    pub closed: bool,
    sink: Sink,
}

impl Side {
    pub fn new(conn: Connection, wire: Vec<u8>, sink: Sink) -> Self {
        Self {
            conn,
            wire,
            taken: 0,
            inbox: Vec::new(),
            data: Vec::new(),
            early: Vec::new(),
            events: Vec::new(),
            question: None,
            error: None,
            closed: false,
            sink,
        }
    }

    /// One call that may have output.
    pub fn call<T>(
        &mut self,
        mut call: impl FnMut(&mut Connection, &mut dyn Output) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let conn = &mut self.conn;
        let result = self.sink.fill(&mut self.wire, |out| call(conn, out));
        if let (Sink::Fixed(_), false) = (self.sink, matches!(result, Err(Error::Misuse(_)))) {
            // Whatever the call kept back comes with a flush; a failed connection may repeat its error.
            let flushed = self.sink.fill(&mut self.wire, |out| conn.flush(out));
            assert!(flushed.is_ok() || result.is_err(), "flush failed: {flushed:?}");
        }
        while let Some(event) = self.conn.poll_event() {
            match event {
                Event::Ask(question) => {
                    assert!(self.question.is_none(), "two questions at once");
                    self.question = Some(question);
                }
                other => self.events.push(other),
            }
        }
        if let Err(error) = &result
            && error.is_fatal()
        {
            self.failed(error.clone());
        }
        result
    }

    /// An error is final: every later call returns the same, and sends nothing.
    fn failed(&mut self, error: Error) {
        let (text, len) = (format!("{error:?}"), self.wire.len());
        let mut more = Vec::new();
        let later = [
            self.conn.write(b"more", &mut more).map(drop),
            self.conn.read(super::now(), &mut [0; 8], &mut more).map(drop),
            self.conn.update_keys(true, &mut more),
            self.conn.export(b"label", None, &mut [0; 8]),
        ];
        for result in later {
            let again = result.expect_err("works after a fatal error");
            assert_eq!(format!("{again:?}"), text, "another error after the first");
        }
        assert!(more.is_empty() && self.wire.len() == len, "output after a fatal error");
        assert!(self.conn.poll_event().is_none(), "events after a fatal error");
        self.error = Some(error);
    }

    /// Reads until nothing more can be read.
    pub fn drain(&mut self, now: UnixTime) {
        while self.error.is_none() && self.step(now) {}
    }

    /// One call to `read`: whether it did anything.
    pub fn step(&mut self, now: UnixTime) -> bool {
        let mut inbox = std::mem::take(&mut self.inbox);
        let before = inbox.len();
        let mut early = Vec::new();
        let step = self.call(|conn, out| {
            Ok(match conn.read(now, &mut inbox, out)? {
                Read::NeedMore { need } => {
                    assert!(need > before, "{before} bytes are there, {need} are needed");
                    assert!(need <= 5 + (1 << 14) + 256, "asks for {need} bytes");
                    None
                }
                Read::Control { used } => Some((used, Vec::new())),
                Read::Data { used, data } => {
                    assert!(!data.is_empty(), "data without bytes");
                    Some((used, data.to_vec()))
                }
                Read::EarlyData { used, data } => {
                    assert!(!data.is_empty(), "early data without bytes");
                    assert!(!conn.is_connected(), "early data after the handshake");
                    early = data.to_vec();
                    Some((used, Vec::new()))
                }
                Read::Waiting => {
                    assert!(conn.waiting_for().is_some(), "waits for nothing");
                    None
                }
                Read::Closed => Some((usize::MAX, Vec::new())),
            })
        });
        self.inbox = inbox;
        self.early.extend_from_slice(&early);
        match step {
            Err(_) | Ok(None) => false,
            Ok(Some((usize::MAX, _))) => {
                self.closed = true;
                false
            }
            Ok(Some((used, data))) => {
                assert!(used <= before, "used {used} of {before} bytes");
                self.inbox.drain(..used);
                if !data.is_empty() {
                    assert!(self.conn.is_connected(), "data before the handshake is complete");
                }
                self.data.extend_from_slice(&data);
                true
            }
        }
    }

    /// Answers the open question.
    pub fn answer(&mut self, now: UnixTime, answer: &Answer) -> Result<(), Error> {
        let question = self.question.take();
        assert!(question.is_some(), "no question is open");
        let result = self.call(|conn, out| conn.answer(now, answer.clone(), out));
        if matches!(result, Err(Error::Misuse(_))) {
            self.question = question;
        }
        result
    }

    pub fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.call(|conn, out| conn.write(data, out))
    }

    pub fn close(&mut self) -> Result<(), Error> {
        self.call(Connection::close)
    }

    pub fn update_keys(&mut self, ask_peer: bool) -> Result<(), Error> {
        self.call(|conn, out| conn.update_keys(ask_peer, out))
    }

    pub fn export(&self, label: &[u8], context: Option<&[u8]>) -> Result<[u8; 40], Error> {
        let mut out = [0; 40];
        self.conn.export(label, context, &mut out).map(|()| out)
    }

    /// How often `Event::Connected` was seen.
    pub fn times_connected(&self) -> usize {
        self.events.iter().filter(|e| matches!(e, Event::Connected)).count()
    }

    /// How often `Event::PeerClosed` was seen.
    pub fn times_closed(&self) -> usize {
        self.events.iter().filter(|e| matches!(e, Event::PeerClosed)).count()
    }

    /// The lengths of the records that it sent, from the byte `from` of its wire on; header included.
    pub fn records(&self, from: usize) -> Vec<&[u8]> {
        records(&self.wire[from..])
    }
}

/// Cuts a stream into its records.
pub fn records(mut wire: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while !wire.is_empty() {
        let (record, rest) = wire.split_at(record_len(wire));
        all.push(record);
        wire = rest;
    }
    all
}

fn record_len(wire: &[u8]) -> usize {
    assert!(wire.len() >= 5, "no whole record header: {wire:?}");
    let len = 5 + usize::from(u16::from_be_bytes([wire[3], wire[4]]));
    assert!(wire.len() >= len, "no whole record");
    len
}

/// Answers questions, or leaves them open.
pub type Answerer = Box<dyn FnMut(Role, &Question) -> Option<Answer>>;

/// A client and a server.
pub struct Pair {
    pub client: Side,
    pub server: Side,
    /// The virtual clock.
    pub now: UnixTime,
    pub answerer: Answerer,
    transport: Transport,
    cuts: Rand,
}

impl Pair {
    pub fn of(client: Side, server: Side, transport: Transport) -> Self {
        let seed = if let Transport::Cuts(seed) = transport { seed } else { 0 };
        Self {
            client,
            server,
            now: super::now(),
            answerer: Box::new(|role, question| panic!("{role:?} asks {question:?}")),
            transport,
            cuts: Rand::new(seed),
        }
    }

    pub fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) {
        let then = Duration::from_secs(self.now.as_secs()) + by;
        self.now = UnixTime::since_unix_epoch(then);
    }

    /// Moves bytes and answers questions until nothing moves any more.
    pub fn pump(&mut self) {
        loop {
            let mut moved = false;
            for from in Role::BOTH {
                moved |= self.deliver(from);
                moved |= self.settle(from) | self.settle(from.peer());
            }
            if !moved {
                return;
            }
        }
    }

    /// Moves one piece from `from` to its peer, which reads it.
    pub fn deliver(&mut self, from: Role) -> bool {
        let (transport, cut) = (self.transport, self.cuts.next());
        let side = self.side(from);
        let waiting = &side.wire[side.taken..];
        if waiting.is_empty() {
            return false;
        }
        let len = match transport {
            Transport::Glued => waiting.len(),
            Transport::OneByte => 1,
            Transport::Cuts(_) => {
                let largest = [3, 40, 700, 20_000][usize::try_from(cut % 4).unwrap()];
                usize::try_from((cut >> 8) % largest).unwrap() + 1
            }
            Transport::Records => record_len(waiting),
        };
        let piece = waiting[..len.min(waiting.len())].to_vec();
        side.taken += piece.len();
        let now = self.now;
        let peer = self.side(from.peer());
        if peer.error.is_none() {
            peer.inbox.extend_from_slice(&piece);
            peer.drain(now);
        }
        true
    }

    /// Answers what `role` asks, if the answerer wants to: whether it did.
    fn settle(&mut self, role: Role) -> bool {
        let mut settled = false;
        let now = self.now;
        loop {
            let side = match role {
                Role::Client => &mut self.client,
                Role::Server => &mut self.server,
            };
            let Some(question) = &side.question else { return settled };
            let Some(answer) = (self.answerer)(role, question) else { return settled };
            // A failure is in `error`, for the test to look at.
            let _ = side.answer(now, &answer);
            if side.error.is_none() {
                side.drain(now);
            }
            settled = true;
        }
    }

    /// The whole handshake, which succeeds on both sides.
    pub fn connect(mut self) -> Self {
        self.pump();
        let errors = (&self.client.error, &self.server.error);
        assert!(matches!(errors, (None, None)), "handshake failed: {errors:?}");
        assert!(self.client.conn.is_connected(), "client is not connected");
        assert!(self.server.conn.is_connected(), "server is not connected");
        assert_eq!(self.client.times_connected(), 1);
        assert_eq!(self.server.times_connected(), 1);
        for context in [None, Some(&b""[..]), Some(&b"context"[..])] {
            let client = self.client.export(b"EXPORTER-test", context).unwrap();
            assert_eq!(client, self.server.export(b"EXPORTER-test", context).unwrap());
        }
        self
    }

    /// The handshake fails on `role` with this alert, and the peer hears it.
    pub fn refuse(mut self, role: Role, alert: Alert) -> Self {
        self.pump();
        let error = self.side(role).error.clone().unwrap_or_else(|| panic!("{role:?} is fine"));
        assert_eq!(error.alert(), Some(alert), "{error:?}");
        let peer = self.side(role.peer()).error.clone();
        assert!(matches!(peer, Some(Error::PeerAlert(a)) if a == alert), "peer has {peer:?}");
        assert_eq!(self.side(role).times_connected(), 0);
        self
    }

    /// Sends `data` from `from`, and checks that it arrives.
    pub fn transfer(&mut self, from: Role, data: &[u8]) {
        let before = self.side(from.peer()).data.len();
        self.side(from).write(data).unwrap();
        self.pump();
        for role in Role::BOTH {
            assert!(self.side(role).error.is_none(), "{role:?}: {:?}", self.side(role).error);
        }
        let arrived = &self.side(from.peer()).data[before..];
        assert!(arrived == data, "{} of {} bytes from {from:?} arrived", arrived.len(), data.len());
    }

    /// A little data each way.
    pub fn chat(&mut self) {
        self.transfer(Role::Client, b"from the client");
        self.transfer(Role::Server, b"from the server");
        self.transfer(Role::Client, b"!");
    }
}
