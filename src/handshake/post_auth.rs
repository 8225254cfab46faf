//! Client authentication after the handshake (RFC 9846 §4.7.2): the server asks at any time, and the client answers with
//! Certificate, CertificateVerify and Finished in one piece.
//!
//! ```text
//!   client   CertificateRequest ──► [WAIT_CREDENTIAL], Certificate, [WAIT_SIGNATURE], CertificateVerify, Finished
//!
//!   server   CertificateRequest is out (several may be)
//!               │ Certificate ───────── empty ────────────────┐
//!               ▼                                             │
//!         [WAIT_VERDICT] ──► WAIT_CV ── CertificateVerify ──► WAIT_FINISHED ── Finished ──► the client is known
//! ```
//!
//! Each exchange has the handshake for its transcript, and none of the other exchanges (RFC 9846 §4.1).

use std::sync::Arc;

use crate::codepoints::{CertificateType, ExtensionType, SignatureScheme};
use crate::config::{ClientAuth, ClientConfig, Common, ServerConfig};
use crate::decision::{Answer, PeerCertificates, Question};
use crate::error::{Error, Misuse, Violation};
use crate::handshake::auth::{
    PendingSignature, Side, Verdict, certificate_request, check_finished, judge, on_certificate,
    on_certificate_verify, peer_key, send_finished,
};
use crate::handshake::client::request::Request;
use crate::handshake::compression::decompress;
use crate::handshake::{Effect, Effects, Summary};
use crate::message::{Certificate, CertificateRequest, Message};
use crate::secret::Secret;
use crate::transcript::Transcript;

/// What a connection needs to authenticate its client later.
pub(crate) enum PostAuth {
    Client(Answering),
    Server(Asking),
}

impl PostAuth {
    /// Whether this message belongs here. While an exchange is under way, everything does: it has to come in one piece.
    pub(crate) fn takes(&self, message: &Message<'_>) -> bool {
        match self {
            Self::Client(_) => matches!(message, Message::CertificateRequest(_)),
            Self::Server(asking) => {
                let begins =
                    matches!(message, Message::Certificate(_) | Message::CompressedCertificate(_));
                begins || asking.is_under_way()
            }
        }
    }

    /// Whether the client has begun to answer, so that nothing else may come in between (RFC 9846 §4.7.2).
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self, Self::Server(asking) if asking.is_under_way())
    }

    /// Whether the connection can go on without it, in halves or elsewhere: a client has promised to answer, a server need not ask.
    pub(crate) fn check_movable(&self) -> Result<(), Misuse> {
        match self {
            Self::Client(_) => Err(Misuse::NotMovable),
            Self::Server(asking) if asking.open.is_empty() && !asking.is_under_way() => Ok(()),
            Self::Server(_) => Err(Misuse::Busy),
        }
    }

    /// Takes a message. `client_secret` is the client's present traffic secret, with which its Finished is made.
    pub(crate) fn on_message(
        &mut self,
        message: &Message<'_>,
        client_secret: &Secret,
        summary: &mut Summary,
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        match (self, message) {
            (Self::Client(answering), Message::CertificateRequest(request)) => {
                answering.on_request(request, client_secret, summary, fx)
            }
            (Self::Client(_), other) => Err(Error::unexpected("CONNECTED", other.name())),
            (Self::Server(asking), message) => {
                asking.on_message(message, client_secret, summary, fx)
            }
        }
    }

    /// Takes an answer of the application.
    pub(crate) fn on_answer(
        &mut self,
        answer: Answer,
        client_secret: &Secret,
        summary: &mut Summary,
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        match self {
            Self::Client(answering) => answering.on_answer(answer, client_secret, summary, fx),
            Self::Server(asking) => asking.on_verdict(answer, fx),
        }
    }
}

/// A client that has said that it can be asked.
pub(crate) struct Answering {
    config: Arc<ClientConfig>,
    /// What we show (RFC 7250 §4.2).
    kind: CertificateType,
    /// ClientHello to client Finished.
    transcript: Transcript,
    pending: Option<Pending>,
}

/// What the application was asked, with the transcript so far.
enum Pending {
    /// Which certificate it is to be.
    Credential(Transcript, Request),
    /// Certificate is on its way; the signature is not there yet.
    Signature(Transcript, PendingSignature),
}

impl Answering {
    pub(crate) fn new(
        config: Arc<ClientConfig>,
        kind: CertificateType,
        transcript: Transcript,
    ) -> Self {
        Self { config, kind, transcript, pending: None }
    }

    fn on_request(
        &mut self,
        request: &CertificateRequest<'_>,
        client_secret: &Secret,
        summary: &mut Summary,
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        let mut transcript = self.transcript.fork();
        transcript.add(request.raw);
        let request = Request::new(request, self.kind);
        let ask = self.config.common.ask.credential;
        if ask {
            fx.push(Effect::Ask(request.question()));
        }
        self.pending = Some(Pending::Credential(transcript, request));
        match ask {
            true => Ok(()),
            false => self.on_answer(Answer::UseConfig, client_secret, summary, fx),
        }
    }

    fn on_answer(
        &mut self,
        answer: Answer,
        client_secret: &Secret,
        summary: &mut Summary,
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        let config = self.config.clone();
        let common = &config.common;
        match self.pending.take().ok_or(Misuse::UnexpectedAnswer)? {
            Pending::Credential(mut transcript, request) => {
                let (own, _) = config.credentials.current();
                let signature = request.answer(common, &own, &mut transcript, answer, fx)?;
                let Some(signature) = signature else {
                    return send_finished(common, &mut transcript, client_secret, fx);
                };
                let ask = signature.must_ask(common);
                if ask {
                    signature.ask(fx);
                }
                self.pending = Some(Pending::Signature(transcript, signature));
                match ask {
                    true => Ok(()),
                    false => self.on_answer(Answer::UseConfig, client_secret, summary, fx),
                }
            }
            Pending::Signature(mut transcript, signature) => {
                signature.finish(common, &mut transcript, summary, answer, fx)?;
                send_finished(common, &mut transcript, client_secret, fx)
            }
        }
    }
}

/// A server whose client has said that it can be asked.
pub(crate) struct Asking {
    config: Arc<ServerConfig>,
    /// What the client shows (RFC 7250 §4.2).
    kind: CertificateType,
    /// ClientHello to client Finished.
    transcript: Transcript,
    /// The contexts of requests that are not answered yet, with the requests.
    open: Vec<([u8; CONTEXT_LEN], Vec<u8>)>,
    progress: Progress,
}

/// Unpredictable, so that a client that has a key for a while cannot sign ahead (RFC 9846 §4.4.2).
const CONTEXT_LEN: usize = 32;
/// How many requests can be open.
const MAX_OPEN: usize = 8;

/// Where the client's answer stands.
enum Progress {
    Idle,
    WaitVerdict(Box<Shown>),
    WaitCertificateVerify(Box<Shown>),
    WaitFinished { transcript: Transcript, who: Option<Box<Known>> },
}

/// Who the client is, how it has signed, what has judged it, and what came of that.
type Known = (PeerCertificates, SignatureScheme, ClientAuth, Verdict);

/// What the client has shown so far.
struct Shown {
    transcript: Transcript,
    /// What judges it.
    client_auth: ClientAuth,
    peer: PeerCertificates,
    spki: Vec<u8>,
    /// What came of judging it.
    verdict: Verdict,
}

impl Asking {
    pub(crate) fn new(
        config: Arc<ServerConfig>,
        kind: CertificateType,
        transcript: Transcript,
    ) -> Self {
        Self { config, kind, transcript, open: Vec::new(), progress: Progress::Idle }
    }

    fn is_under_way(&self) -> bool {
        !matches!(self.progress, Progress::Idle)
    }

    /// A CertificateRequest with a context of its own.
    pub(crate) fn request(&mut self) -> Result<Vec<u8>, Error> {
        let config = self.config.clone();
        let common = &config.common;
        let verifier = config.client_auth.verifier().ok_or(Misuse::NoPostHandshakeAuth)?.current();
        if self.open.len() >= MAX_OPEN {
            return Err(Misuse::Busy.into());
        }
        let mut context = [0; CONTEXT_LEN];
        common.provider.rng.fill(&mut context)?;
        let message = certificate_request(&config, &verifier, self.kind, &context)?;
        let message = common.finished_message(message);
        self.open.push((context, message.clone()));
        Ok(message)
    }

    fn on_message(
        &mut self,
        message: &Message<'_>,
        client_secret: &Secret,
        summary: &mut Summary,
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        let config = self.config.clone();
        let common: &Common = &config.common;
        match (std::mem::replace(&mut self.progress, Progress::Idle), message) {
            (Progress::Idle, Message::Certificate(certificate)) => {
                self.on_certificate(certificate, fx)
            }
            (Progress::Idle, Message::CompressedCertificate(compressed))
                if common.takes_compressed() =>
            {
                let body = decompress(common, compressed)?;
                self.on_certificate(&Certificate::read(compressed.raw, &body)?, fx)
            }
            (Progress::WaitCertificateVerify(shown), Message::CertificateVerify(proof)) => {
                let Shown { mut transcript, client_auth, peer, spki, verdict } = *shown;
                let hash = transcript.current();
                on_certificate_verify(common, Side::Client, proof, &common.schemes, &spki, &hash)?;
                transcript.add(proof.raw);
                let who = Some(Box::new((peer, proof.scheme, client_auth, verdict)));
                self.progress = Progress::WaitFinished { transcript, who };
                Ok(())
            }
            (Progress::WaitFinished { transcript, who }, Message::Finished(finished)) => {
                check_finished(&transcript, client_secret, finished)?;
                let known = who.map(|who| {
                    let (peer, scheme, client_auth, verdict) = *who;
                    summary.set_peer(peer, verdict);
                    summary.peer_scheme = Some(scheme);
                    let name = summary.server_name.as_ref().map(|name| name.to_str());
                    let name = name.as_ref().map(|name| name.as_bytes());
                    config.policy(&client_auth, name, summary.alpn.as_deref())
                });
                fx.push(Effect::ClientAnswered { known });
                Ok(())
            }
            (progress, other) => Err(Error::unexpected(progress.name(), other.name())),
        }
    }

    fn on_certificate(
        &mut self,
        certificate: &Certificate<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<(), Error> {
        let config = self.config.clone();
        let common = &config.common;
        // RFC 9846 §4.5.1: the answer names its request, which is answered once.
        let at = self.open.iter().position(|(context, _)| context == certificate.context);
        let (context, request) = match at {
            Some(at) => self.open.swap_remove(at),
            None => return Err(Violation::CertificateContext.into()),
        };
        let was_asked = |kind| match kind {
            ExtensionType::status_request => config.request_status,
            ExtensionType::signed_certificate_timestamp => config.request_scts,
            _ => false,
        };
        let kind = self.kind;
        let peer = on_certificate(fx.budget, certificate, &context, None, kind, was_asked)?;
        let spki = peer_key(&peer)?;
        // Whoever is asked late is judged by what is trusted by then.
        let client_auth = config.client_auth.current();

        let mut transcript = self.transcript.fork();
        transcript.add(&request);
        transcript.add(certificate.raw);
        if peer.is_empty() {
            self.progress = Progress::WaitFinished { transcript, who: None };
            return Ok(());
        }
        let shown = Shown { transcript, client_auth, peer, spki, verdict: Verdict::default() };
        let question = Question::Verdict(shown.peer.clone());
        self.progress = Progress::WaitVerdict(Box::new(shown));
        if common.ask.verdict {
            fx.push(Effect::Ask(question));
            return Ok(());
        }
        self.on_verdict(Answer::UseConfig, fx)
    }

    fn on_verdict(&mut self, answer: Answer, fx: &mut Effects<'_>) -> Result<(), Error> {
        match std::mem::replace(&mut self.progress, Progress::Idle) {
            Progress::WaitVerdict(mut shown) => {
                let common = &self.config.common;
                let verifier = shown.client_auth.verifier().ok_or(Misuse::UnexpectedAnswer)?;
                let peer = &shown.peer;
                shown.verdict = judge(common, verifier, Side::Client, peer, answer, fx)?;
                self.progress = Progress::WaitCertificateVerify(shown);
                Ok(())
            }
            progress => {
                self.progress = progress;
                Err(Misuse::UnexpectedAnswer.into())
            }
        }
    }
}

impl Progress {
    fn name(&self) -> &'static str {
        match self {
            Self::Idle => "CONNECTED",
            Self::WaitVerdict(_) => "WAIT_VERDICT",
            Self::WaitCertificateVerify(_) => "WAIT_CV",
            Self::WaitFinished { .. } => "WAIT_FINISHED",
        }
    }
}

/// Whether a server's configuration, and the handshake, allow it to ask (RFC 9846 §4.4.2: not on an external key).
pub(crate) fn can_ask(config: &ServerConfig, offered: bool, summary: &Summary) -> bool {
    let wants = !matches!(config.client_auth, ClientAuth::None);
    offered && wants && summary.external_psk.is_none()
}
