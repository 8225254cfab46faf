//! One side: a connection, or its halves, with what it has sent and got. Every call is checked here.

use sealwire::{
    Answer, Connection, Error, Event, FixedOutput, Misuse, Output, Read, Receiver, Sender, Summary,
};

use super::now;

/// What there is of a connection.
pub enum Ends {
    Whole(Box<Connection>),
    Halves(Box<Sender>, Box<Receiver>),
    Gone,
}

pub struct Side {
    pub ends: Ends,
    /// Sent, and not delivered.
    pub outbox: Vec<u8>,
    /// Delivered, and not read.
    pub inbox: Vec<u8>,
    pub sent: Vec<u8>,
    pub sent_early: Vec<u8>,
    pub received: Vec<u8>,
    pub early: Vec<u8>,
    pub error: Option<Error>,
    pub closing: bool,
    pub saw_close: bool,
    pub times_connected: usize,
    /// The size of outputs; they grow if there is none.
    pub output_size: Option<usize>,
}

impl Side {
    pub fn new(connection: Connection) -> Self {
        Self {
            ends: Ends::Whole(Box::new(connection)),
            outbox: Vec::new(),
            inbox: Vec::new(),
            sent: Vec::new(),
            sent_early: Vec::new(),
            received: Vec::new(),
            early: Vec::new(),
            error: None,
            closing: false,
            saw_close: false,
            times_connected: 0,
            output_size: None,
        }
    }

    /// What can be seen of the state.
    fn state(&self) -> String {
        match &self.ends {
            Ends::Whole(connection) => format!("{connection:?}"),
            Ends::Halves(sender, receiver) => format!("{sender:?} {receiver:?}"),
            Ends::Gone => String::new(),
        }
    }

    /// Calls `call` with an output of the present size, and looks at what has come of it.
    fn checked<T>(
        &mut self,
        call: impl FnOnce(&mut Ends, &mut dyn Output) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = self.state();
        let mut grown = Vec::new();
        let mut buffer = vec![0; self.output_size.unwrap_or(0)];
        let result = match self.output_size {
            None => call(&mut self.ends, &mut grown),
            Some(size) => {
                let mut out = FixedOutput::new(&mut buffer);
                let result = call(&mut self.ends, &mut out);
                let filled = out.len();
                if let Err(Error::OutputTooSmall { need }) = &result {
                    assert!(*need > size, "{need} bytes would have fitted");
                    assert_eq!(filled, 0, "half-done output");
                }
                grown.extend_from_slice(&buffer[..filled]);
                result
            }
        };
        self.outbox.extend_from_slice(&grown);
        if let Err(error) = &result {
            self.look_at_error(error, &before, &grown);
        }
        result
    }

    fn look_at_error(&mut self, error: &Error, before: &str, output: &[u8]) {
        if !error.is_fatal() {
            assert_eq!(self.state(), before, "{error} has changed something");
            assert!(output.is_empty() || !matches!(error, Error::OutputTooSmall { .. }));
            return;
        }
        if let Some(first) = &self.error {
            assert_eq!(error.to_string(), first.to_string(), "another error");
            return;
        }
        self.error = Some(error.clone());
        // The sending half owes the alert.
        if let Ends::Halves(sender, _) = &mut self.ends {
            let mut out = Vec::new();
            sender.abort(error, &mut out).unwrap();
            self.outbox.extend_from_slice(&out);
        }
    }

    /// A call that only a whole connection has.
    pub fn with_output(
        &mut self,
        closes: bool,
        call: impl FnOnce(&mut Connection, &mut dyn Output) -> Result<(), Error>,
    ) {
        let result = self.checked(|ends, out| match ends {
            Ends::Whole(connection) => call(connection, out),
            _ => Ok(()),
        });
        self.closing |= closes && result.is_ok();
    }

    pub fn write(&mut self, len: usize) {
        let data = vec![self.sent.len() as u8; len];
        let result = self.checked(|ends, out| match ends {
            Ends::Whole(connection) => connection.write(&data, out).map(|()| true),
            Ends::Halves(sender, _) => sender.write(&data, out).map(|()| true),
            Ends::Gone => Ok(false),
        });
        if matches!(result, Ok(true)) {
            assert!(!self.closing || data.is_empty(), "written after close");
            self.sent.extend_from_slice(&data);
        }
    }

    /// `room` is what there is besides the header.
    pub fn seal(&mut self, len: usize, room: usize) {
        let mut record = vec![self.sent.len() as u8; room];
        let data: Vec<u8> = record.iter().skip(5).take(len).copied().collect();
        let result = self.checked(|ends, _| match ends {
            Ends::Whole(connection) => connection.seal(&mut record, len),
            Ends::Halves(sender, _) => sender.seal(&mut record, len),
            Ends::Gone => Ok(0),
        });
        if let Ok(total @ 1..) = result {
            assert!(!self.closing, "sealed after close");
            assert_eq!(data.len(), len, "sealed more than there is");
            self.sent.extend_from_slice(&data);
            self.outbox.extend_from_slice(&record[..total]);
        }
    }

    pub fn write_early(&mut self, len: usize) {
        let data = vec![self.sent_early.len() as u8; len];
        let result = self.checked(|ends, out| match ends {
            Ends::Whole(connection) => connection.write_early(&data, out).map(|()| true),
            _ => Ok(false),
        });
        if matches!(result, Ok(true)) {
            self.sent_early.extend_from_slice(&data);
        }
    }

    pub fn flush(&mut self) {
        // It works after an error, too.
        let result = self.checked(|ends, out| match ends {
            Ends::Whole(connection) => connection.flush(out),
            Ends::Halves(sender, _) => sender.flush(out),
            Ends::Gone => Ok(()),
        });
        assert!(matches!(result, Ok(()) | Err(Error::OutputTooSmall { .. })), "{result:?}");
    }

    pub fn close(&mut self) {
        let alive = self.error.is_none();
        let result = self.checked(|ends, out| match ends {
            Ends::Whole(connection) => connection.close(out).map(|()| true),
            Ends::Halves(sender, _) => sender.close(out).map(|()| true),
            Ends::Gone => Ok(false),
        });
        self.closing |= matches!(result, Ok(true));
        if alive
            && let Ok(true) = result
            && let Ends::Whole(connection) = &mut self.ends
            && !connection.is_connected()
        {
            // The handshake is given up: that is an error from now on.
            self.error = connection.read_eof().err();
            assert!(matches!(self.error, Some(Error::Refused(_))), "{:?}", self.error);
        }
    }

    pub fn update_keys(&mut self, ask: bool) {
        let _refused = self.checked(|ends, out| match ends {
            Ends::Whole(connection) => connection.update_keys(ask, out),
            Ends::Halves(sender, _) => sender.update_keys(ask, out),
            Ends::Gone => Ok(()),
        });
    }

    pub fn export(&mut self, label: usize, len: usize) {
        if matches!(self.ends, Ends::Gone) {
            return;
        }
        let (label, mut out) = (vec![b'x'; label], vec![0; len]);
        let result = self.checked(|ends, _| match ends {
            Ends::Whole(connection) => connection.export(&label, None, &mut out),
            Ends::Halves(_, receiver) => receiver.export(&label, None, &mut out),
            Ends::Gone => Ok(()),
        });
        assert!(result.is_err() || label.len() <= 249, "a label that is too long");
    }

    /// One call with at most so many bytes: whether it did anything.
    pub fn read(&mut self, most: usize) -> bool {
        let mut inbox = std::mem::take(&mut self.inbox);
        let had = most.min(inbox.len());
        let (mut data, mut early) = (Vec::new(), Vec::new());
        let result = self.checked(|ends, out| {
            let read = match ends {
                Ends::Whole(connection) => connection.read(now(), &mut inbox[..had], out)?,
                Ends::Halves(_, receiver) => receiver.read(now(), &mut inbox[..had])?,
                Ends::Gone => return Ok(None),
            };
            Ok(match read {
                Read::NeedMore { need } => {
                    assert!(need > had, "it has {had} bytes and asks for {need}");
                    None
                }
                Read::Control { used } => Some(used),
                Read::Data { used, data: bytes } => {
                    data.extend_from_slice(bytes);
                    Some(used)
                }
                Read::EarlyData { used, data: bytes } => {
                    early.extend_from_slice(bytes);
                    Some(used)
                }
                Read::Waiting | Read::Closed => None,
            })
        });
        self.received.extend_from_slice(&data);
        self.early.extend_from_slice(&early);
        let used = result.unwrap_or(None);
        inbox.drain(..used.unwrap_or(0));
        self.inbox = inbox;
        assert!(used.is_none_or(|used| used > 0 && used <= had));
        used.is_some()
    }

    pub fn read_eof(&mut self) {
        let result = match &mut self.ends {
            Ends::Whole(connection) => connection.read_eof(),
            Ends::Halves(_, receiver) => receiver.read_eof(),
            Ends::Gone => return,
        };
        // A truncation is no error of the connection: more may come.
        assert!(result.is_ok() || self.error.is_some() || matches!(result, Err(Error::Truncated)));
    }

    pub fn poll(&mut self) {
        loop {
            let event = match &mut self.ends {
                Ends::Whole(connection) => connection.poll_event(),
                Ends::Halves(_, receiver) => receiver.poll_event(),
                Ends::Gone => None,
            };
            match event {
                None => return,
                Some(Event::Connected) => self.times_connected += 1,
                Some(Event::PeerClosed) => self.saw_close = true,
                Some(Event::PeerUpdatedKeys { requested }) => {
                    if let Ends::Halves(sender, _) = &mut self.ends {
                        sender.on_peer_update(requested);
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// Whether it was an answer to something.
    pub fn answer(&mut self, answer: Answer) -> bool {
        let asked = match &self.ends {
            Ends::Whole(connection) => connection.waiting_for().is_some(),
            _ => return false,
        };
        let result = self.checked(|ends, out| match ends {
            Ends::Whole(connection) => connection.answer(now(), answer, out),
            _ => Ok(()),
        });
        assert!(asked || result.is_err(), "an answer to nothing");
        asked && (result.is_ok() || self.error.is_some())
    }

    pub fn split(&mut self) {
        let Ends::Whole(connection) = &self.ends else { return };
        // What is asked then cannot be answered.
        if !connection.is_connected() || connection.waiting_for().is_some() {
            return;
        }
        let Ends::Whole(connection) = std::mem::replace(&mut self.ends, Ends::Gone) else { return };
        match connection.split() {
            Ok((sender, receiver)) => {
                self.ends = Ends::Halves(Box::new(sender), Box::new(receiver));
            }
            // It has promised to say who the client is, or has asked.
            Err(Error::Misuse(Misuse::NotMovable | Misuse::Busy)) => {}
            Err(error) => panic!("a connection that is up can be split: {error:?}"),
        }
    }

    /// Everything that changes nothing.
    pub fn look(&mut self) {
        let before = self.state();
        if let Ends::Whole(connection) = &self.ends {
            let connected = connection.is_connected();
            assert_eq!(connection.summary().is_some(), connected);
            assert!(connection.check_freeze().is_err() || connected);
            assert!(connection.early_data_left().is_none() || !connected);
            assert!(self.error.is_none() || !connected);
            let _seen = (connection.early_summary(), connection.is_peer_closed());
        }
        assert_eq!(self.state(), before);
    }

    /// Its keys go elsewhere, and with them what is not sent yet.
    pub fn give_up(&mut self) {
        if let Ends::Whole(connection) = &self.ends
            && connection.is_connected()
            && let Ends::Whole(connection) = std::mem::replace(&mut self.ends, Ends::Gone)
        {
            let _busy = connection.into_traffic_keys();
        }
    }

    pub fn is_connected(&self) -> bool {
        match &self.ends {
            Ends::Whole(connection) => connection.is_connected(),
            Ends::Halves(..) => true,
            Ends::Gone => false,
        }
    }

    pub fn summary(&self) -> Summary {
        match &self.ends {
            Ends::Whole(connection) => connection.summary().unwrap().clone(),
            Ends::Halves(_, receiver) => receiver.summary().clone(),
            Ends::Gone => panic!("there is none"),
        }
    }

    pub fn exported(&self) -> [u8; 32] {
        let mut out = [0; 32];
        match &self.ends {
            Ends::Whole(connection) => connection.export(b"EXPORTER-fuzz", None, &mut out),
            Ends::Halves(_, receiver) => receiver.export(b"EXPORTER-fuzz", None, &mut out),
            Ends::Gone => panic!("there is none"),
        }
        .unwrap();
        out
    }
}
