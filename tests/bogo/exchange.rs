//! One connection: the handshake, what a test does after it, and the end.

use sealwire::codepoints::{Alert, HandshakeType};
use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{
    Answer, Connection, Error, Event, FixedOutput, Output, PeerCertificates, Question, Read,
    Violation,
};

use crate::clock::now;
use crate::expectation::{check_authenticated, check_negotiated, check_selected, expect, missing};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::session::LastSession;
use crate::setup::{Role, Setup};
use crate::transport::Transport;

/// The type of a record with handshake messages in clear.
const HANDSHAKE: u8 = 22;

/// What a peer speaks that does not speak TLS, as an application may want to tell its user.
fn spoken(input: &[u8]) -> Option<&'static str> {
    let requests: [&[u8]; 4] = [b"GET ", b"POST ", b"HEAD ", b"PUT "];
    match input {
        _ if requests.iter().any(|method| input.starts_with(method)) => Some("HTTP request"),
        _ if input.starts_with(b"CONNE") => Some("HTTP proxy request"),
        _ => None,
    }
}

/// What came of one step.
enum Step {
    /// Something for the connection itself.
    Control,
    /// Application data.
    Data(Vec<u8>),
    /// Early data.
    Early(Vec<u8>),
    /// The peer has sent close_notify.
    Closed,
    /// The peer has closed the transport.
    Eof,
}

/// A connection under test.
pub(crate) struct Exchange<'a> {
    pub(crate) flags: &'a Flags,
    /// The flags from when the server has turned early data down.
    pub(crate) retry: &'a Flags,
    pub(crate) setup: &'a Setup,
    pub(crate) connection: Option<Connection>,
    pub(crate) transport: Transport,
    /// Asked, and to be answered when the connection says that it waits.
    pub(crate) question: Option<Question>,
    /// Which credential was chosen to sign with.
    pub(crate) selected: Option<i32>,
    /// Which callback refused.
    pub(crate) refused_by: Option<&'static str>,
    pub(crate) checked: bool,
    /// Server: early data that is not answered yet.
    pub(crate) early: Vec<Vec<u8>>,
    pub(crate) turned_down: bool,
    /// Client: the server's last message, as far as it shows from outside.
    pub(crate) last_message: Option<HandshakeType>,
    /// The verdict on the peer, if it was asked for.
    pub(crate) accepted: Option<bool>,
}

impl<'a> Exchange<'a> {
    /// Makes the connection. A client's first flight goes out.
    pub(crate) fn start(
        flags: &'a Flags,
        retry: &'a Flags,
        setup: &'a Setup,
        mut transport: Transport,
    ) -> Result<Self, Failure> {
        let connection = match &setup.role {
            Role::Server(config) => Connection::server(config.clone()),
            Role::Client(config) => {
                let name = flags.host_name.clone().unwrap_or_else(|| "nameless.example".to_owned());
                let name = ServerName::try_from(name)
                    .map_err(|_| Failure::Expected("-host-name is no name".into()))?;
                let mut out = Vec::new();
                let connection = Connection::client(config.clone(), name, now(), &mut out)?;
                transport.send(&out);
                connection
            }
        };
        Ok(Self {
            flags,
            retry,
            setup,
            connection: Some(connection),
            transport,
            question: None,
            selected: None,
            refused_by: None,
            checked: false,
            early: Vec::new(),
            turned_down: false,
            last_message: None,
            accepted: None,
        })
    }

    /// Everything up to the end of the connection.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        let result = self.run_inner();
        let _best_effort = self.flush();
        if let Err(Failure::Tls(Error::Violation(Violation::NotTls))) = result {
            // Byte by byte, there may be less of it than it takes to tell.
            while self.transport.input().len() < 5 && matches!(self.transport.fill(), Ok(true)) {}
            self.refused_by = spoken(self.transport.input());
        }
        match (result, self.refused_by) {
            (Err(Failure::Tls(error)), Some(name)) => Err(Failure::Callback(name, error)),
            (result, _) => result,
        }
    }

    fn run_inner(&mut self) -> Result<(), Failure> {
        let flags = self.flags;
        // An implicit handshake happens with the first call that needs it.
        if !flags.implicit_handshake {
            self.handshake_or_early()?;
        }
        if let Some(message) = flags.early_write_after_message {
            self.read_up_to(message)?;
        }
        if flags.no_op_extra_handshake {
            self.check_no_op()?;
        }
        if flags.export_keying_material > 0 {
            self.export()?;
        }
        if flags.export_traffic_secrets {
            self.handshake()?;
            let (read, write) = self.setup.secrets.read_and_write(flags.server);
            let length = u16::try_from(read.len()).unwrap_or(0).to_le_bytes();
            self.write(&[&length[..], &read, &write].concat())?;
        }
        if flags.send_alert {
            return self.send_alert();
        }
        self.initial_write()?;
        if self.flags.shim_shuts_down {
            return self.shut_down();
        }
        self.echo()
    }

    /// After success or failure: waits until the runner has read everything.
    pub(crate) fn finish(&mut self) {
        self.transport.drain();
    }

    pub(crate) fn connection(&mut self) -> Result<&mut Connection, Failure> {
        let gone = || Failure::Expected("the connection was taken apart".into());
        self.connection.as_mut().ok_or_else(gone)
    }

    /// Reads until data can be sent: early data, data before the client's Finished in answer to early data, or any.
    fn handshake_or_early(&mut self) -> Result<(), Failure> {
        while !self.connection()?.is_connected() && !self.is_early()? {
            self.handshake_step()?;
        }
        Ok(())
    }

    /// Reads until the handshake is complete.
    fn handshake(&mut self) -> Result<(), Failure> {
        while !self.connection()?.is_connected() {
            self.handshake_step()?;
        }
        Ok(())
    }

    fn is_early(&mut self) -> Result<bool, Failure> {
        let connection = self.connection()?;
        Ok(connection.early_data_left().is_some() || connection.early_summary().is_some())
    }

    /// `-early-write-after-message`: reads up to ServerHello or EncryptedExtensions. Early data can still be sent then,
    /// until Finished (RFC 9846 §4.3.10).
    fn read_up_to(&mut self, message: HandshakeType) -> Result<(), Failure> {
        while self.last_message != Some(message) {
            self.handshake_step()?;
            expect(
                "in time for early data",
                &self.connection()?.early_data_left().is_some(),
                &true,
            )?;
        }
        Ok(())
    }

    fn handshake_step(&mut self) -> Result<(), Failure> {
        if !self.connection()?.is_connected() {
            match self.step()? {
                Step::Control => {}
                Step::Early(data) => self.early.push(data),
                Step::Data(_) => return Err(Failure::Expected("data before Connected".into())),
                Step::Closed | Step::Eof => self.connection()?.read_eof()?,
            }
        }
        Ok(())
    }

    /// Takes one record, or waits for more of it.
    fn step(&mut self) -> Result<Step, Failure> {
        loop {
            self.flush()?;
            let time = now();
            let Some(connection) = &mut self.connection else {
                return Ok(Step::Eof);
            };
            // An output without room, so that what is sent always has to be fetched with `flush`.
            let mut out = FixedOutput::new(&mut []);
            let is_clear_handshake = self.transport.input().first() == Some(&HANDSHAKE);
            let read = match connection.read(time, self.transport.input(), &mut out)? {
                Read::NeedMore { need } => {
                    if need <= self.transport.input().len() {
                        return Err(Failure::Expected("NeedMore needs what is there".into()));
                    }
                    None
                }
                Read::Control { used } => Some((used, Step::Control)),
                Read::Data { used, data } => Some((used, Step::Data(data.to_vec()))),
                Read::EarlyData { used, data } => Some((used, Step::Early(data.to_vec()))),
                Read::Waiting => {
                    self.answer(time)?;
                    return Ok(Step::Control);
                }
                Read::Closed => return Ok(Step::Closed),
            };
            self.flush()?;
            match read {
                Some((used, step)) => {
                    self.transport.spend(used);
                    if is_clear_handshake {
                        self.last_message = Some(HandshakeType::server_hello);
                    }
                    self.events(time)?;
                    return Ok(step);
                }
                None if self.transport.fill()? => {}
                None => return Ok(Step::Eof),
            }
        }
    }

    pub(crate) fn events(&mut self, now: UnixTime) -> Result<(), Failure> {
        while let Some(event) = self.connection()?.poll_event() {
            match event {
                Event::Ask(question) => self.question = Some(question),
                Event::Connected => self.check()?,
                Event::EarlyDataAnswer { accepted: true } => {
                    self.last_message = Some(HandshakeType::encrypted_extensions);
                }
                Event::EarlyDataAnswer { accepted: false } => {
                    expect("early data refused", &true, &self.flags.expect_reject_early_data)?;
                    // From here on the suite takes it for another connection.
                    self.flags = self.retry;
                    self.turned_down = true;
                }
                _ => {}
            }
        }
        // An asynchronous shim answers late, when the connection says that it waits.
        if self.question.is_some() && !self.flags.r#async {
            self.answer(now)?;
            return self.events(now);
        }
        Ok(())
    }

    /// What a test expects of a complete handshake.
    fn check(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.checked, true) {
            return Err(Failure::Expected("Connected came twice".into()));
        }
        let (flags, setup, selected) = (self.flags, self.setup, self.selected);
        let summary = self.connection()?.summary().ok_or_else(|| missing("the summary"))?;
        check_negotiated(flags, setup, summary)?;
        check_authenticated(flags, setup, summary)?;
        if !summary.resumed {
            check_selected(flags, selected, summary)?;
        }
        if summary.resumed {
            return self.judge_again();
        }
        // Without certificates there is nothing to be judged.
        if flags.expect_verify_result && !summary.peer_chain.is_empty() {
            expect("verdict", &self.accepted, &Some(!flags.verify_fail))?;
        }
        Ok(())
    }

    /// `-reverify-on-resume`: an application that judges a resumed session's certificates does so once it is connected.
    fn judge_again(&mut self) -> Result<(), Failure> {
        if !self.flags.reverify_on_resume {
            return Ok(());
        }
        let chain = self.connection()?.summary().map(|summary| summary.peer_chain.clone());
        let peer =
            PeerCertificates { chain: chain.unwrap_or_default(), ..PeerCertificates::default() };
        let error = match self.judge(&peer, now())? {
            Answer::Refuse(alert) => Error::Refused(alert),
            Answer::Reject(error) => Error::Certificate(error),
            _ => return Ok(()),
        };
        let connection = self.connection.take().ok_or_else(|| missing("the connection"))?;
        let (mut sender, _) = connection.split()?;
        let mut out = Vec::new();
        sender.abort(&error, &mut out)?;
        self.transport.send(&out);
        Err(Failure::Tls(error))
    }

    /// After success: a client has been given the tickets that the test expects.
    pub(crate) fn check_sessions(&self, sessions: &LastSession) -> Result<(), Failure> {
        let flags = self.flags;
        if flags.server || flags.shim_shuts_down {
            return Ok(());
        }
        let new = sessions.new_sessions();
        // A connection that rests on a key from elsewhere leaves no session: the key serves the next one as well.
        if new.is_empty() && flags.has_psks() {
            return Ok(());
        }
        expect("no session", &new.is_empty(), &flags.expect_no_session)?;
        let Some(max_early_data) = new.last() else { return Ok(()) };
        let early = *max_early_data > 0;
        if flags.enable_early_data {
            expect("early data with it", &early, &flags.expect_ticket_supports_early_data)?;
        }
        Ok(())
    }

    /// `-no-op-extra-handshake`: reading nothing does nothing.
    fn check_no_op(&mut self) -> Result<(), Failure> {
        let mut out = Vec::new();
        let read = self.connection()?.read(now(), &mut [], &mut out)?;
        expect("no-op", &matches!(read, Read::NeedMore { .. }), &true)?;
        expect("output of a no-op", &out, &Vec::<u8>::new())
    }

    /// `-export-keying-material`
    fn export(&mut self) -> Result<(), Failure> {
        self.handshake_or_early()?;
        let flags = self.flags;
        let mut material = vec![0; flags.export_keying_material];
        let context = flags.use_export_context.then_some(flags.export_context.as_bytes());
        self.connection()?.export(flags.export_label.as_bytes(), context, &mut material)?;
        self.write(&material)
    }

    /// `-send-alert`: any alert can be sent as the error of the receiving half.
    fn send_alert(&mut self) -> Result<(), Failure> {
        const DECOMPRESSION_FAILURE: Alert = Alert(30);
        self.handshake()?;
        let connection = self.connection.take().ok_or_else(|| missing("the connection"))?;
        let (mut sender, _) = connection.split()?;
        let mut out = Vec::new();
        sender.abort(&Error::Refused(DECOMPRESSION_FAILURE), &mut out)?;
        self.transport.send(&out);
        Ok(())
    }

    fn initial_write(&mut self) -> Result<(), Failure> {
        let flags = self.flags;
        let text = flags.shim_initial_write.as_deref().unwrap_or("hello").as_bytes();
        if flags.read_with_unfinished_write {
            self.handshake_or_early()?;
            let mut out = Vec::new();
            match self.connection()?.early_data_left() {
                Some(_) => self.connection()?.write_early(text, &mut out)?,
                None => self.connection()?.write(text, &mut out)?,
            }
            self.transport.send_one_byte(&out);
        } else if flags.shim_writes_first {
            for _ in 0..flags.repeat_shim_initial_write.unwrap_or(1) {
                self.write(text)?;
            }
        }
        Ok(())
    }

    /// Sends everything back, flipped, until the peer closes.
    fn echo(&mut self) -> Result<(), Failure> {
        loop {
            // What was lost as early data goes out again, if the test is still for it.
            if std::mem::take(&mut self.turned_down) {
                self.handshake()?;
                self.initial_write()?;
            }
            for data in std::mem::take(&mut self.early) {
                self.echo_one(&data)?;
            }
            match self.step()? {
                Step::Control => {}
                Step::Data(data) | Step::Early(data) => self.echo_one(&data)?,
                Step::Closed => break,
                Step::Eof => {
                    // A cut stream is the application's business, unless the test makes it the shim's.
                    if self.flags.check_close_notify || !self.connection()?.is_connected() {
                        self.connection()?.read_eof()?;
                    }
                    break;
                }
            }
        }
        self.close()
    }

    fn echo_one(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.transport.release();
        for chunk in data.chunks(self.flags.read_size.unwrap_or(512)) {
            if self.flags.key_update && self.connection()?.is_connected() {
                let mut out = FixedOutput::new(&mut []);
                self.connection()?.update_keys(false, &mut out)?;
                self.flush()?;
            }
            let flipped: Vec<u8> = chunk.iter().map(|byte| byte ^ 0xff).collect();
            self.write(&flipped)?;
        }
        Ok(())
    }

    /// `-shim-shuts-down`
    fn shut_down(&mut self) -> Result<(), Failure> {
        self.handshake()?;
        self.close()?;
        while self.flags.check_close_notify {
            match self.step()? {
                Step::Control | Step::Data(_) | Step::Early(_) => {}
                Step::Closed => break,
                Step::Eof => return Ok(self.connection()?.read_eof()?),
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        let mut out = FixedOutput::new(&mut []);
        self.connection()?.close(&mut out)?;
        self.flush()
    }

    /// Sends application data as soon as it can be sent: as early data as far as it may, and the rest once the handshake
    /// is complete.
    fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.handshake_or_early()?;
        let Some(left) = self.connection()?.early_data_left() else {
            return self.write_as(data, Connection::write);
        };
        let (early, rest) = data.split_at(left.min(data.len()));
        if !early.is_empty() {
            self.write_as(early, Connection::write_early)?;
        }
        if !rest.is_empty() {
            self.handshake()?;
            // Turned down, all of it is lost, and written anew if the test says so.
            if !self.turned_down {
                return self.write_as(rest, Connection::write);
            }
        }
        Ok(())
    }

    fn write_as(
        &mut self,
        data: &[u8],
        write: impl Fn(&mut Connection, &[u8], &mut dyn Output) -> Result<(), Error>,
    ) -> Result<(), Failure> {
        // First too little room, and then exactly as much as the library says.
        let mut nothing = FixedOutput::new(&mut []);
        let need = match write(self.connection()?, data, &mut nothing) {
            Err(Error::OutputTooSmall { need }) => need,
            result => return Ok(result?),
        };
        let mut room = vec![0; need];
        let mut out = FixedOutput::new(&mut room);
        write(self.connection()?, data, &mut out)?;
        expect("room that write needed", &out.len(), &need)?;
        self.transport.send(&room);
        Ok(())
    }

    /// Sends what the connection has to say.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        if let Err(Error::OutputTooSmall { need }) =
            connection.flush(&mut FixedOutput::new(&mut []))
        {
            let mut room = vec![0; need];
            connection.flush(&mut FixedOutput::new(&mut room))?;
            // What the handshake sends takes a write that is not finished with it.
            if !connection.is_connected() || !self.checked {
                self.transport.release();
            }
            self.transport.send(&room);
        }
        Ok(())
    }
}
