//! One end of a connection: the library's part, and an application that remembers what it has sent.

use sealwire::pki_types::UnixTime;
use sealwire::{
    Answer, Connection, Error, Event, FixedOutput, Misuse, Output, Question, RECORD_HEADER, Read,
    Receiver, Sender, Summary,
};

use super::Sabotage;
use super::plan::World;
use super::trace::Trace;

pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// What is left of the library's connection.
pub enum Body {
    Whole(Box<Connection>),
    Halves(Box<Sender>, Box<Receiver>),
    /// The process is gone.
    Dead,
}

pub struct End {
    pub role: usize,
    pub body: Body,
    /// Output that the network has not taken yet. Whole records.
    pub out: Vec<u8>,
    /// How large a buffer the application offers for output; `None` for one that grows.
    room: Option<usize>,
    /// What has arrived and was not read.
    pub inbox: Vec<u8>,
    /// How many bytes were read.
    pub consumed: usize,
    /// Where it was in what it reads when it was connected.
    pub connected_at: Option<usize>,
    /// What the application sent, and sent early.
    pub sent: Vec<u8>,
    pub early_sent: Vec<u8>,
    /// How much the application got, and got early.
    pub got: usize,
    pub early_got: usize,
    pub question: Option<Question>,
    pub early_answer: Option<bool>,
    /// What both ends must agree on.
    pub exporter: Option<[u8; 32]>,
    pub summary: Option<Summary>,
    pub error: Option<Error>,
    /// The peer's close_notify has come.
    pub closed: bool,
    /// Ours has gone.
    pub close_sent: bool,
    /// The transport has ended, and this is what the library said to that.
    pub ended: Option<Result<(), String>>,
    pub sabotage: Sabotage,
    /// A blob that was kept although it was thawed.
    kept_blob: Option<Vec<u8>>,
}

impl End {
    pub fn client(world: &World, room: Option<usize>) -> Self {
        let mut out = Vec::new();
        let config = world.client.clone();
        let conn = Connection::client(config, super::plan::server_name(), world.now, &mut out);
        Self { out, ..Self::new(CLIENT, conn.unwrap(), world, room) }
    }

    pub fn server(world: &World, room: Option<usize>) -> Self {
        Self::new(SERVER, Connection::server(world.server.clone()), world, room)
    }

    fn new(role: usize, conn: Connection, world: &World, room: Option<usize>) -> Self {
        Self {
            role,
            body: Body::Whole(Box::new(conn)),
            out: Vec::new(),
            room,
            inbox: Vec::new(),
            consumed: 0,
            connected_at: None,
            sent: Vec::new(),
            early_sent: Vec::new(),
            got: 0,
            early_got: 0,
            question: None,
            early_answer: None,
            exporter: None,
            summary: None,
            error: None,
            closed: false,
            close_sent: false,
            ended: None,
            sabotage: world.sabotage,
            kept_blob: None,
        }
    }

    pub fn name(&self) -> &'static str {
        ["client", "server"][self.role]
    }

    /// Whether it can still do something.
    pub fn is_alive(&self) -> bool {
        self.error.is_none() && self.ended.is_none() && !matches!(self.body, Body::Dead)
    }

    pub fn is_connected(&self) -> bool {
        match &self.body {
            Body::Whole(conn) => conn.is_connected(),
            Body::Halves(..) => self.error.is_none(),
            Body::Dead => false,
        }
    }

    pub fn can_write(&self) -> bool {
        let early = match &self.body {
            Body::Whole(conn) => conn.early_summary().is_some(),
            _ => false,
        };
        self.is_alive() && !self.close_sent && (self.is_connected() || early)
    }

    /// A call with output, which may be too small at first: then nothing has happened, and what is said to be enough is.
    fn call<T>(
        &mut self,
        mut call: impl FnMut(&mut Body, &mut dyn Output) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (body, out) = (&mut self.body, &mut self.out);
        let result = match self.room {
            None => call(body, out),
            Some(room) => {
                let mut buffer = vec![0; room];
                let mut fixed = FixedOutput::new(&mut buffer);
                let mut result = call(body, &mut fixed);
                let mut filled = fixed.len();
                if let Err(Error::OutputTooSmall { need }) = result {
                    assert_eq!(filled, 0, "half-done output");
                    assert!(need > room, "{need} bytes are needed, and {room} are too small");
                    buffer = vec![0; need];
                    let mut fixed = FixedOutput::new(&mut buffer);
                    result = call(body, &mut fixed);
                    filled = fixed.len();
                    let enough = !matches!(result, Err(Error::OutputTooSmall { .. }));
                    assert!(enough, "{need} bytes were not enough");
                }
                out.extend_from_slice(&buffer[..filled]);
                result
            }
        };
        // Whatever had no room comes with a flush.
        let flushed = match &mut self.body {
            Body::Whole(conn) => conn.flush(&mut self.out),
            Body::Halves(sender, _) => sender.flush(&mut self.out),
            Body::Dead => Ok(()),
        };
        flushed.unwrap();
        if let Err(error) = &result
            && error.is_fatal()
        {
            self.fail(error.clone());
        }
        self.poll();
        result
    }

    fn fail(&mut self, error: Error) {
        if let Body::Halves(sender, receiver) = &mut self.body {
            sender.abort(&error, &mut self.out).unwrap();
            assert!(receiver.read_eof().is_err() && sender.write(b"x", &mut Vec::new()).is_err());
        }
        if let Body::Whole(conn) = &mut self.body {
            let mut more = Vec::new();
            let again = conn.write(b"more", &mut more).expect_err("a dead connection writes");
            assert_eq!(format!("{again:?}"), format!("{error:?}"), "another error");
            assert!(more.is_empty() && conn.flush(&mut more).is_ok() && more.is_empty());
            assert!(conn.export(b"EXPORTER", None, &mut [0; 8]).is_err());
        }
        self.error = Some(error);
        self.question = None;
    }

    fn poll(&mut self) {
        loop {
            let event = match &mut self.body {
                Body::Whole(conn) => conn.poll_event(),
                Body::Halves(_, receiver) => receiver.poll_event(),
                Body::Dead => None,
            };
            match event {
                None => return,
                Some(Event::Ask(question)) => {
                    assert!(self.question.is_none(), "two questions at once");
                    // A failed connection does not wait for an answer to what it asked before.
                    self.question = self.error.is_none().then_some(question);
                }
                Some(Event::Connected) => self.on_connected(),
                Some(Event::EarlyDataAnswer { accepted }) => {
                    assert!(self.early_answer.is_none(), "told twice about early data");
                    self.early_answer = Some(accepted);
                }
                Some(Event::PeerUpdatedKeys { requested }) => {
                    if let Body::Halves(sender, _) = &mut self.body {
                        sender.on_peer_update(requested);
                    }
                }
                Some(_) => {}
            }
        }
    }

    fn on_connected(&mut self) {
        assert!(self.exporter.is_none(), "connected twice");
        let Body::Whole(conn) = &self.body else { panic!("half a handshake") };
        if self.error.is_none() {
            self.summary = conn.summary().cloned();
            self.exporter = self.export();
            self.connected_at = Some(self.consumed);
        }
    }

    pub fn export(&self) -> Option<[u8; 32]> {
        let mut value = [0; 32];
        let result = match &self.body {
            Body::Whole(conn) => conn.export(b"EXPORTER-simulation", Some(b"c"), &mut value),
            Body::Halves(_, receiver) => {
                receiver.export(b"EXPORTER-simulation", Some(b"c"), &mut value)
            }
            Body::Dead => return None,
        };
        result.ok().map(|()| value)
    }

    /// One call to `read`: whether it moved anything. What comes must be what the peer sent, in order.
    pub fn read(&mut self, now: UnixTime, peer: &Self, trace: &mut Trace) -> bool {
        let mut inbox = std::mem::take(&mut self.inbox);
        let before = inbox.len();
        let (mut data, mut early) = (Vec::new(), Vec::new());
        let result = self.call(|body, out| {
            let read = match body {
                Body::Whole(conn) => conn.read(now, &mut inbox, out)?,
                Body::Halves(_, receiver) => receiver.read(now, &mut inbox)?,
                Body::Dead => return Ok(None),
            };
            Ok(match read {
                Read::NeedMore { need } => {
                    assert!(need > before && need <= 5 + (1 << 14) + 256, "needs {need}");
                    None
                }
                Read::Control { used } => Some(used),
                Read::Data { used, data: bytes } => {
                    data = bytes.to_vec();
                    Some(used)
                }
                Read::EarlyData { used, data: bytes } => {
                    early = bytes.to_vec();
                    Some(used)
                }
                Read::Waiting => None,
                Read::Closed => Some(0),
            })
        });
        trace.note(|| format!("  {} reads {before}: {result:?}, {} data", self.name(), data.len()));
        let used = match result {
            Ok(Some(used)) => used,
            Ok(None) => {
                self.inbox = inbox;
                return false;
            }
            Err(error) => {
                trace.add(error.to_string().as_bytes());
                return false;
            }
        };
        if used == 0 {
            self.closed = true;
            self.inbox = inbox;
            return false;
        }
        if self.connected_at == Some(self.consumed) && self.got == 0 && data.is_empty() {
            // The record that completed the handshake, at the earliest.
            self.connected_at = Some(self.consumed + used);
        }
        self.consumed += used;
        inbox.drain(..used);
        self.inbox = inbox;
        match self.sabotage {
            Sabotage::LoseByte if data.len() > 1 => drop(data.pop()),
            Sabotage::RepeatByte if data.len() > 1 => data.push(data[0]),
            _ => {}
        }
        trace.add(&data);
        let expected = peer.sent.get(self.got..self.got + data.len());
        assert!(expected == Some(&data[..]), "{} got data that was never sent", self.name());
        self.got += data.len();
        let expected = peer.early_sent.get(self.early_got..self.early_got + early.len());
        assert!(expected == Some(&early[..]), "{} got early data that was never sent", self.name());
        self.early_got += early.len();
        true
    }

    pub fn answer(&mut self, now: UnixTime, answer: &Answer) {
        self.question = None;
        let result = self.call(|body, out| match body {
            Body::Whole(conn) => conn.answer(now, answer.clone(), out),
            _ => Ok(()),
        });
        assert!(!matches!(result, Err(Error::Misuse(_))), "{result:?}");
    }

    pub fn write(&mut self, data: &[u8]) {
        let result = self.call(|body, out| match body {
            Body::Whole(conn) => conn.write(data, out),
            Body::Halves(sender, _) => sender.write(data, out),
            Body::Dead => Ok(()),
        });
        result.unwrap();
        self.sent.extend_from_slice(data);
    }

    /// One record, sealed where it lies.
    pub fn seal(&mut self, data: &[u8]) {
        let mut record = vec![0; RECORD_HEADER];
        record.extend_from_slice(data);
        record.resize((1 << 14) + 300, 0);
        for _ in 0..2 {
            let result = match &mut self.body {
                Body::Whole(conn) => conn.seal(&mut record, data.len()),
                Body::Halves(sender, _) => sender.seal(&mut record, data.len()),
                Body::Dead => return,
            };
            match result {
                Ok(len) => {
                    self.out.extend_from_slice(&record[..len]);
                    self.sent.extend_from_slice(data);
                    return;
                }
                Err(Error::Misuse(Misuse::OutputWaiting)) => {
                    let flushed = match &mut self.body {
                        Body::Whole(conn) => conn.flush(&mut self.out),
                        Body::Halves(sender, _) => sender.flush(&mut self.out),
                        Body::Dead => Ok(()),
                    };
                    flushed.unwrap();
                }
                Err(error) => panic!("{} cannot seal: {error:?}", self.name()),
            }
        }
        panic!("output keeps waiting");
    }

    /// How much early data can go.
    pub fn early_data_left(&self) -> usize {
        match &self.body {
            Body::Whole(conn) => conn.early_data_left().unwrap_or(0),
            _ => 0,
        }
    }

    pub fn write_early(&mut self, data: &[u8]) {
        let result = self.call(|body, out| match body {
            Body::Whole(conn) => conn.write_early(data, out),
            _ => Ok(()),
        });
        match result {
            Ok(()) => self.early_sent.extend_from_slice(data),
            // RFC 9846 §5.5: its key cannot be updated, and may be used up before.
            Err(Error::Misuse(Misuse::EarlyDataTooLong)) => {}
            Err(error) => panic!("early data cannot go: {error:?}"),
        }
    }

    pub fn update_keys(&mut self, ask: bool) {
        let result = self.call(|body, out| match body {
            Body::Whole(conn) => conn.update_keys(ask, out),
            Body::Halves(sender, _) => sender.update_keys(ask, out),
            Body::Dead => Ok(()),
        });
        result.unwrap();
    }

    pub fn close(&mut self) {
        let result = self.call(|body, out| match body {
            Body::Whole(conn) => conn.close(out),
            Body::Halves(sender, _) => sender.close(out),
            Body::Dead => Ok(()),
        });
        // Within the handshake this gives up, which is an error from then on.
        result.unwrap();
        self.close_sent = true;
        if let Body::Whole(conn) = &mut self.body
            && !conn.is_connected()
        {
            let error = conn.read_eof().unwrap_err();
            self.fail(error);
        }
    }

    /// Another ticket, or a question who the client is. Neither has to be possible.
    pub fn post_handshake(&mut self, now: UnixTime, ticket: bool) {
        let result = self.call(|body, out| match body {
            Body::Whole(conn) if ticket => conn.send_ticket(now, out),
            Body::Whole(conn) => conn.request_client_certificate(out),
            _ => Ok(()),
        });
        assert!(!matches!(&result, Err(error) if error.is_fatal()), "{result:?}");
    }

    /// Moves to another process: whether it could.
    pub fn migrate(&mut self, world: &World) -> bool {
        let Body::Whole(conn) = &self.body else { return false };
        if conn.check_freeze().is_err() {
            return false;
        }
        let Body::Whole(conn) = std::mem::replace(&mut self.body, Body::Dead) else {
            return false;
        };
        let mut blob = conn.freeze(&world.migration[0]).unwrap();
        let mut key = &world.migration[0];
        if self.sabotage == Sabotage::ReuseBlob {
            match self.kept_blob.take() {
                Some(old) => (blob, key) = (old, &world.migration[1]),
                None => self.kept_blob = Some(blob.clone()),
            }
        }
        let thawed = match self.role {
            CLIENT => Connection::thaw_client(&world.client, key, &blob),
            _ => Connection::thaw_server(&world.server, key, &blob),
        };
        let again = match self.role {
            CLIENT => Connection::thaw_client(&world.client, key, &blob),
            _ => Connection::thaw_server(&world.server, key, &blob),
        };
        assert!(again.is_err(), "the same blob was thawed twice");
        self.body = Body::Whole(Box::new(thawed.unwrap()));
        assert_eq!(self.export(), self.exporter, "another exporter after a move");
        true
    }

    pub fn split(&mut self) -> bool {
        match std::mem::replace(&mut self.body, Body::Dead) {
            Body::Whole(conn) => {
                let (sender, receiver) = conn.split().unwrap();
                self.body = Body::Halves(Box::new(sender), Box::new(receiver));
                true
            }
            other => {
                self.body = other;
                false
            }
        }
    }

    /// The transport has no more bytes.
    pub fn end(&mut self) {
        let result = match &mut self.body {
            Body::Whole(conn) => conn.read_eof(),
            Body::Halves(_, receiver) => receiver.read_eof(),
            Body::Dead => return,
        };
        let result = match self.sabotage {
            Sabotage::IgnoreTruncation => {
                self.closed |= matches!(result, Err(Error::Truncated));
                Ok(())
            }
            _ => result,
        };
        self.ended = Some(result.map_err(|error| error.to_string()));
    }
}
