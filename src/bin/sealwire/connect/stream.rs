//! A connection that stands: standard input goes to the peer, and what the peer says to standard output, both at once.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use sealwire::crypto::Provider;
use sealwire::pki_types::{CertificateDer, ServerName, UnixTime};
use sealwire::{
    Answer, CertificateError, CertificateReport, ClientConfig, Connection, Event as TlsEvent,
    Evidence, PeerCertificates, Purpose, Question, Read, Verifier,
};

use super::Options;
use super::told::Report;
use crate::failure::{Failure, Status};
use crate::pattern::length;
use crate::pem::pem;
use crate::pump::{Event, Lane, source};
use crate::report::{early_data, say};

/// The connection in the middle, and the lanes around it.
pub(super) struct Session<'a> {
    connection: Connection,
    provider: Provider,
    verifier: Verifier,
    name: ServerName<'static>,
    options: &'a Options,
    report: &'a mut Report,
    events: Receiver<Event>,
    to_us: Sender<Event>,
    /// Received and not taken by the connection yet.
    input: Vec<u8>,
    to_peer: Lane,
    to_stdout: Lane,
    /// How it ended, once it has, and until when the peer may take what is left.
    end: Option<Result<(), Failure>>,
    linger: Instant,
}

/// How long a peer that does not read may keep us once all is over.
const LINGER: Duration = Duration::from_secs(3);

impl<'a> Session<'a> {
    pub(super) fn start(
        config: ClientConfig,
        name: ServerName<'static>,
        socket: TcpStream,
        options: &'a Options,
        report: &'a mut Report,
    ) -> Result<Self, Failure> {
        let local = |error: io::Error| Failure::io("cannot start", &error);
        let (provider, verifier) = (config.provider().clone(), config.verifier().clone());
        let (to_us, events) = mpsc::channel();
        let reader = socket.try_clone().map_err(local)?;
        let mut to_peer = Lane::new(socket, to_us.clone(), Event::Sent).map_err(local)?;
        let mut to_stdout = Lane::new(io::stdout(), to_us.clone(), Event::Shown).map_err(local)?;
        to_stdout.slow_down(source(reader, to_us.clone(), Event::Received).map_err(local)?);
        let (config, now) = (Arc::new(config), UnixTime::now());
        let mut connection = Connection::client(config, name.clone(), now, &mut to_peer.pending)?;
        let early = &mut report.early;
        early.offered = connection.early_data_left().unwrap_or(0).min(early.data.len());
        if let Some(first) = early.data.get(..early.offered).filter(|first| !first.is_empty()) {
            connection.write_early(first, &mut to_peer.pending)?;
            report.sent += length(first);
        }
        Ok(Self {
            connection,
            provider,
            verifier,
            name,
            options,
            report,
            events,
            to_us,
            input: Vec::new(),
            to_peer,
            to_stdout,
            end: None,
            linger: Instant::now(),
        })
    }

    /// Until it has ended, and what it left has gone out.
    pub(super) fn run(&mut self, deadline: Instant) -> Result<(), Failure> {
        loop {
            self.to_peer.push();
            self.to_stdout.push();
            let left_to_peer = !self.to_peer.is_drained() && Instant::now() < self.linger;
            if self.to_stdout.is_drained()
                && !left_to_peer
                && let Some(end) = self.end.take()
            {
                return end;
            }
            let patience = match (&self.end, &self.report.summary) {
                (Some(_), _) if left_to_peer => Some(self.linger),
                (Some(_), _) | (None, Some(_)) => None,
                (None, None) => Some(deadline),
            };
            match self.next_event(patience) {
                Ok(event) => self.on_event(event),
                Err(_) if self.end.is_some() => {}
                Err(_) => {
                    let failure = Failure::new(Status::Io, "the handshake took too long");
                    return Err(failure.hint("Is that a TLS port? --timeout SECONDS waits longer."));
                }
            }
        }
    }

    /// The next thing that happens, until `patience` ends.
    fn next_event(&self, patience: Option<Instant>) -> Result<Event, RecvTimeoutError> {
        match patience {
            None => self.events.recv().map_err(RecvTimeoutError::from),
            Some(until) => {
                self.events.recv_timeout(until.saturating_duration_since(Instant::now()))
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Received(Ok(bytes)) if bytes.is_empty() => self.on_eof(),
            Event::Received(Ok(bytes)) => {
                self.input.extend_from_slice(&bytes);
                if let Err(error) = self.read() {
                    self.finish(Err(Failure::from(&error)));
                }
                self.to_stdout.spent(bytes);
            }
            Event::Received(Err(error)) => {
                self.finish(Err(Failure::io("the connection broke", &error)));
            }
            Event::Typed(Ok(bytes)) if bytes.is_empty() => self.close(),
            Event::Typed(Ok(bytes)) => {
                if self.end.is_none() {
                    match self.connection.write(&bytes, &mut self.to_peer.pending) {
                        Ok(()) => self.report.sent += length(&bytes),
                        Err(error) => self.finish(Err(Failure::from(&error))),
                    }
                }
                self.to_peer.spent(bytes);
            }
            Event::Typed(Err(error)) => {
                self.close();
                self.finish(Err(Failure::io("cannot read standard input", &error)));
            }
            Event::Sent(Ok(buffer)) => self.to_peer.written(buffer),
            // The peer may have said why before it went: that is still to be read.
            Event::Sent(Err(_)) => self.to_peer.fail(),
            Event::Shown(Ok(buffer)) => self.to_stdout.written(buffer),
            Event::Shown(Err(error)) => {
                self.to_stdout.fail();
                self.close();
                let failure = if error.kind() == ErrorKind::BrokenPipe {
                    Failure::new(Status::Io, "nobody reads standard output any more")
                } else {
                    Failure::io("cannot write to standard output", &error)
                };
                self.finish(Err(failure));
            }
        }
    }

    /// Takes every whole record of the input.
    fn read(&mut self) -> Result<(), sealwire::Error> {
        let mut taken = 0;
        while self.end.is_none() {
            let input = self.input.get_mut(taken..).unwrap_or_default();
            let now = UnixTime::now();
            match self.connection.read(now, input, &mut self.to_peer.pending)? {
                Read::NeedMore { .. } | Read::Waiting => break,
                Read::Control { used } => taken += used,
                Read::Data { used, data } => {
                    self.report.received += length(data);
                    self.to_stdout.pending.extend_from_slice(data);
                    taken += used;
                }
                Read::EarlyData { used, .. } => taken += used, // Clients send it, and get none.
                Read::Closed => {
                    self.on_peer_closed();
                    break;
                }
            }
            self.on_tls_events()?;
        }
        self.input.drain(..taken.min(self.input.len()));
        Ok(())
    }

    fn on_tls_events(&mut self) -> Result<(), sealwire::Error> {
        while let Some(event) = self.connection.poll_event() {
            match event {
                TlsEvent::Ask(Question::Verdict(peer)) => {
                    let answer = self.judge(peer);
                    self.answer(answer)?;
                }
                TlsEvent::Ask(_) => self.answer(Answer::UseConfig)?,
                TlsEvent::Connected => self.on_connected()?,
                TlsEvent::PeerClosed => self.on_peer_closed(),
                _ => {}
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) -> Result<(), sealwire::Error> {
        self.connection.answer(UnixTime::now(), answer, &mut self.to_peer.pending)
    }

    fn judge(&mut self, peer: PeerCertificates) -> Answer {
        let report = self.explain(&peer.chain, peer.evidence());
        let verdict = match report.reason.clone() {
            None => {
                self.report.path = Some(report);
                Ok(())
            }
            Some(reason) => Err(CertificateError { reason, report: Arc::new(report) }),
        };
        self.report.chain = peer.chain;
        self.report.verdict = Some(verdict.clone());
        self.show_chain();
        match verdict {
            Err(error) if !self.options.danger_no_verify => Answer::Reject(error),
            _ => Answer::Accept,
        }
    }

    /// The verdict on the peer's chain, and what there is to say besides.
    fn explain(&self, chain: &[CertificateDer<'_>], evidence: Evidence<'_>) -> CertificateReport {
        let (name, now) = (Some(&self.name), UnixTime::now());
        self.verifier.explain(&self.provider, chain, Purpose::Server, name, now, evidence)
    }

    fn show_chain(&self) {
        if self.options.showcerts && !self.options.json {
            say(&self.report.chain.iter().map(|der| pem(der)).collect::<String>());
        }
    }

    /// The handshake is complete: now standard input may be read.
    fn on_connected(&mut self) -> Result<(), sealwire::Error> {
        self.report.summary = self.connection.summary().cloned();
        let summary = self.report.summary.as_ref();
        // Sessions are kept under a name that has in it what was trusted, and none that was not verified is kept.
        if let Some(summary) = summary.filter(|s| s.resumed || s.external_psk.is_some()) {
            self.report.verdict = Some(Ok(()));
            self.report.chain = summary.peer_chain.clone();
            // Whether it was good was judged when the session began; what expires soon is still to be told.
            let report = self.explain(&self.report.chain, Evidence::default());
            self.report.path = Some(report).filter(CertificateReport::is_accepted);
            self.show_chain();
        }
        if !self.options.json {
            self.report.print_connected(&self.name);
        }
        self.after_early_data()?;
        match source(io::stdin(), self.to_us.clone(), Event::Typed) {
            Ok(back) => self.to_peer.slow_down(back),
            Err(error) => self.finish(Err(Failure::io("cannot start", &error))),
        }
        Ok(())
    }

    /// Sends what the server has not got of the early data, if we are to, and says so.
    fn after_early_data(&mut self) -> Result<(), sealwire::Error> {
        let (report, json) = (&mut *self.report, self.options.json);
        let Some(summary) = &report.summary else { return Ok(()) };
        let unsent = report.early.unsent(summary);
        if unsent.is_empty() {
            return Ok(());
        }
        let count = unsent.len();
        let why = early_data(summary);
        if self.options.resend_early_data {
            self.connection.write(unsent, &mut self.to_peer.pending)?;
            report.sent += length(unsent);
            report.early.resent = count;
        }
        if !json {
            let how = match self.options.resend_early_data {
                true => "sent after the handshake",
                false => "not sent: --resend-early-data sends them after the handshake",
            };
            say(&format!("early data was {why}; {count} bytes of the file were {how}\n"));
        }
        Ok(())
    }

    fn on_peer_closed(&mut self) {
        self.report.closed = true;
        self.close();
        self.finish(Ok(()));
    }

    fn on_eof(&mut self) {
        let connected = self.report.summary.is_some();
        let end = match self.connection.read_eof() {
            Ok(()) => Ok(()),
            Err(_) if connected => Err(Failure::truncated()),
            Err(_) => Err(Failure::new(
                Status::Tls,
                "the peer ended the connection during the handshake, and did not say why",
            )
            .hint("Is that a TLS port? Some servers do that to clients without the right --servername or --alpn.")),
        };
        self.finish(end);
    }

    /// Our side is at its end.
    fn close(&mut self) {
        // An error here was reported where it arose, or the connection is closed already.
        let _closed = self.connection.close(&mut self.to_peer.pending);
    }

    /// The first end counts.
    fn finish(&mut self, end: Result<(), Failure>) {
        if self.end.is_none() {
            self.end = Some(end);
            self.linger = Instant::now() + LINGER;
        }
    }
}
