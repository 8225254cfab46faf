//! One connection: the handshake, what a test does after it, and the end.

use sealwire::codepoints::Alert;
use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{
    Answer, Choice, ClientHelloView, Connection, Error, Event, FixedOutput, PeerCertificates,
    Purpose, Question, Read,
};

use crate::expectation::{check_authenticated, check_negotiated, expect, missing};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::setup::{Role, Setup, prefixed};
use crate::transport::Transport;

/// What came of one step.
enum Step {
    /// Something for the connection itself.
    Control,
    /// Application data.
    Data(Vec<u8>),
    /// The peer has sent close_notify.
    Closed,
    /// The peer has closed the transport.
    Eof,
}

/// A connection under test.
pub(crate) struct Exchange<'a> {
    flags: &'a Flags,
    setup: &'a Setup,
    connection: Option<Connection>,
    transport: Transport,
    /// Asked, and to be answered when the connection says that it waits.
    question: Option<Question>,
    /// Which callback refused.
    refused_by: Option<&'static str>,
    checked: bool,
    /// The verdict on the peer, if it was asked for.
    accepted: Option<bool>,
}

impl<'a> Exchange<'a> {
    /// Makes the connection. A client's first flight goes out.
    pub(crate) fn start(
        flags: &'a Flags,
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
                let now = UnixTime::now();
                let connection = Connection::client(config.clone(), name, now, &mut out)?;
                transport.send(&out);
                connection
            }
        };
        Ok(Self {
            flags,
            setup,
            connection: Some(connection),
            transport,
            question: None,
            refused_by: None,
            checked: false,
            accepted: None,
        })
    }

    /// Everything up to the end of the connection.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        let result = self.run_inner();
        let _best_effort = self.flush();
        match (result, self.refused_by) {
            (Err(Failure::Tls(error)), Some(name)) => Err(Failure::Callback(name, error)),
            (result, _) => result,
        }
    }

    fn run_inner(&mut self) -> Result<(), Failure> {
        let flags = self.flags;
        // An implicit handshake happens with the first call that needs it.
        if !flags.implicit_handshake {
            self.handshake()?;
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
        if flags.shim_shuts_down {
            return self.shut_down();
        }
        self.echo()
    }

    /// After success or failure: waits until the runner has read everything.
    pub(crate) fn finish(&mut self) {
        self.transport.drain();
    }

    fn connection(&mut self) -> Result<&mut Connection, Failure> {
        let gone = || Failure::Expected("the connection was taken apart".into());
        self.connection.as_mut().ok_or_else(gone)
    }

    /// Reads until the handshake is complete.
    fn handshake(&mut self) -> Result<(), Failure> {
        while !self.connection()?.is_connected() {
            match self.step()? {
                Step::Control => {}
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
            let now = UnixTime::now();
            let Some(connection) = &mut self.connection else {
                return Ok(Step::Eof);
            };
            // An output without room, so that what is sent always has to be fetched with `flush`.
            let mut out = FixedOutput::new(&mut []);
            let read = match connection.read(now, self.transport.input(), &mut out)? {
                Read::NeedMore { need } => {
                    if need <= self.transport.input().len() {
                        return Err(Failure::Expected("NeedMore needs what is there".into()));
                    }
                    None
                }
                Read::Control { used } => Some((used, Step::Control)),
                Read::Data { used, data } => Some((used, Step::Data(data.to_vec()))),
                Read::Waiting => {
                    self.answer(now)?;
                    return Ok(Step::Control);
                }
                Read::Closed => return Ok(Step::Closed),
            };
            self.flush()?;
            match read {
                Some((used, step)) => {
                    self.transport.spend(used);
                    self.events(now)?;
                    return Ok(step);
                }
                None if self.transport.fill()? => {}
                None => return Ok(Step::Eof),
            }
        }
    }

    fn events(&mut self, now: UnixTime) -> Result<(), Failure> {
        while let Some(event) = self.connection()?.poll_event() {
            match event {
                Event::Ask(question) => self.question = Some(question),
                Event::Connected => self.check()?,
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

    fn answer(&mut self, now: UnixTime) -> Result<(), Failure> {
        let answer = match self.question.take() {
            Some(Question::ClientHello(hello)) => self.choose(&hello)?,
            Some(Question::Verdict(peer)) => self.judge(&peer, now)?,
            Some(Question::Signature(request)) => {
                let key = self.setup.key.as_ref().ok_or_else(|| missing("the key"))?;
                let rng = &*self.setup.provider.rng;
                let signature = key.sign(request.scheme, &request.message, rng);
                Answer::Signature(signature.map_err(|e| Failure::Tls(e.into()))?)
            }
            _ => return Err(missing("the question")),
        };
        let mut out = FixedOutput::new(&mut []);
        self.connection()?.answer(now, answer, &mut out)?;
        self.flush()?;
        self.events(now)
    }

    /// A server's choices, and what a test expects of the ClientHello.
    fn choose(&mut self, hello: &ClientHelloView) -> Result<Answer, Failure> {
        let flags = self.flags;
        if let Some(expected) = &flags.expect_advertised_alpn {
            let expected = prefixed(expected).unwrap_or_default();
            expect("advertised ALPN", &hello.alpn(), &expected)?;
        }
        if !flags.expect_peer_verify_pref.is_empty() {
            let schemes: Vec<u16> = hello.schemes().iter().map(|scheme| scheme.0).collect();
            expect("peer's verify preferences", &schemes, &flags.expect_peer_verify_pref)?;
        }
        if flags.select_empty_alpn {
            let refusal = Choice::default().with_alpn(&[b""]).err();
            let refusal = refusal.ok_or_else(|| missing("the refusal of an empty protocol"))?;
            expect("is fatal", &refusal.is_fatal(), &false)?;
            self.refused_by = Some("empty protocol");
            return Ok(Answer::Refuse(Alert::internal_error));
        }
        let mut choice = Choice::default();
        if flags.reject_alpn {
            choice = choice.with_alpn(&[b"nobody speaks this"])?;
        }
        if flags.decline_alpn {
            choice = choice.with_alpn(&[])?;
        }
        if flags.use_ocsp_callback && flags.fail_ocsp_callback {
            self.refused_by = Some("OCSP callback");
            return Ok(Answer::Refuse(Alert::internal_error));
        }
        let staple = !flags.decline_ocsp_callback;
        let credential = if staple { &self.setup.credential } else { &self.setup.unstapled };
        // A credential that was chosen in sight of the client's name acknowledges it (RFC 6066 §3).
        let acknowledge = hello.server_name().is_some() && !flags.no_server_name_ack;
        if let Some(credential) = credential
            && (flags.use_ocsp_callback || acknowledge)
        {
            choice = choice.with_credential(credential.clone());
        }
        Ok(Answer::Choose(choice))
    }

    /// The verdict on the peer's certificates.
    fn judge(&mut self, peer: &PeerCertificates, now: UnixTime) -> Result<Answer, Failure> {
        let flags = self.flags;
        if !flags.expect_ocsp_response.is_empty() {
            expect("OCSP response", &peer.ocsp, &flags.expect_ocsp_response)?;
        }
        self.accepted = Some(!flags.verify_fail);
        let judged = flags.verify_peer || (flags.server && flags.require_any_client_certificate);
        if judged && flags.verify_fail {
            self.refused_by = Some("verify callback");
            return Ok(Answer::Refuse(match flags.use_custom_verify_callback {
                true => Alert::certificate_unknown,
                false => Alert::handshake_failure,
            }));
        }
        if flags.use_ocsp_callback && flags.fail_ocsp_callback {
            self.refused_by = Some("OCSP callback");
            return Ok(Answer::Refuse(Alert::bad_certificate_status_response));
        }
        if let Some(verifier) = &self.setup.verifier {
            let purpose = if flags.server { Purpose::Client } else { Purpose::Server };
            let provider = &self.setup.provider;
            if let Err(error) = verifier.verify(provider, &peer.chain, purpose, None, now) {
                return Ok(Answer::Reject(error));
            }
        }
        Ok(Answer::Accept)
    }

    /// What a test expects of a complete handshake.
    fn check(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.checked, true) {
            return Err(Failure::Expected("Connected came twice".into()));
        }
        let (flags, setup) = (self.flags, self.setup);
        let summary = self.connection()?.summary().ok_or_else(|| missing("the summary"))?;
        check_negotiated(flags, setup, summary)?;
        check_authenticated(flags, summary)?;
        if flags.expect_verify_result {
            expect("verdict", &self.accepted, &Some(!flags.verify_fail))?;
        }
        Ok(())
    }

    /// `-no-op-extra-handshake`: reading nothing does nothing.
    fn check_no_op(&mut self) -> Result<(), Failure> {
        let mut out = Vec::new();
        let read = self.connection()?.read(UnixTime::now(), &mut [], &mut out)?;
        expect("no-op", &matches!(read, Read::NeedMore { .. }), &true)?;
        expect("output of a no-op", &out, &Vec::<u8>::new())
    }

    /// `-export-keying-material`
    fn export(&mut self) -> Result<(), Failure> {
        self.handshake()?;
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
            self.handshake()?;
            let mut out = Vec::new();
            self.connection()?.write(text, &mut out)?;
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
        let flags = self.flags;
        loop {
            match self.step()? {
                Step::Control => {}
                Step::Data(data) => {
                    self.transport.release();
                    for chunk in data.chunks(flags.read_size.unwrap_or(512)) {
                        if flags.key_update {
                            let mut out = FixedOutput::new(&mut []);
                            self.connection()?.update_keys(false, &mut out)?;
                            self.flush()?;
                        }
                        let flipped: Vec<u8> = chunk.iter().map(|byte| byte ^ 0xff).collect();
                        self.write(&flipped)?;
                    }
                }
                Step::Closed => break,
                Step::Eof => {
                    // A cut stream is the application's business, unless the test makes it the shim's.
                    if flags.check_close_notify || !self.connection()?.is_connected() {
                        self.connection()?.read_eof()?;
                    }
                    break;
                }
            }
        }
        self.close()
    }

    /// `-shim-shuts-down`
    fn shut_down(&mut self) -> Result<(), Failure> {
        self.handshake()?;
        self.close()?;
        while self.flags.check_close_notify {
            match self.step()? {
                Step::Control | Step::Data(_) => {}
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

    /// Sends application data, once the handshake is complete.
    fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.handshake()?;
        // First too little room, and then exactly as much as the library says.
        let mut nothing = FixedOutput::new(&mut []);
        let need = match self.connection()?.write(data, &mut nothing) {
            Err(Error::OutputTooSmall { need }) => need,
            result => return Ok(result?),
        };
        let mut room = vec![0; need];
        let mut out = FixedOutput::new(&mut room);
        self.connection()?.write(data, &mut out)?;
        expect("room that write needed", &out.len(), &need)?;
        self.transport.send(&room);
        Ok(())
    }

    /// Sends what the connection has to say.
    fn flush(&mut self) -> Result<(), Failure> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        if let Err(Error::OutputTooSmall { need }) =
            connection.flush(&mut FixedOutput::new(&mut []))
        {
            let mut room = vec![0; need];
            connection.flush(&mut FixedOutput::new(&mut room))?;
            self.transport.send(&room);
        }
        Ok(())
    }
}
