//! The server's authentication: our signature, and the client's certificate if we asked for it (RFC 9846 §4.5).

use std::sync::Arc;

use super::State;
use crate::codepoints::ExtensionType;
use crate::config::{ClientAuth, ServerConfig};
use crate::crypto::{CipherSuite, HashValue};
use crate::decision::{Answer, PeerCertificates, Question};
use crate::error::{Error, Violation};
use crate::handshake::auth::{
    PendingSignature, Side, check_finished, judge, leaf_key, on_certificate, on_certificate_verify,
    send_finished,
};
use crate::handshake::{Effect, Effects, Established, Summary, log_secret};
use crate::key_schedule::HandshakeSecret;
use crate::message::{Certificate, CertificateVerify, Finished};
use crate::secret::Secret;
use crate::transcript::Transcript;
use crate::verify::Verifier;

/// What every state after ServerHello needs.
pub(crate) struct Flow {
    pub(super) config: Arc<ServerConfig>,
    pub(super) suite: &'static CipherSuite,
    pub(super) client_random: [u8; 32],
    pub(super) transcript: Transcript,
    pub(super) schedule: HandshakeSecret,
    /// The transcript up to ServerHello, from which the handshake's traffic secrets are derived.
    pub(super) hello_hash: HashValue,
    pub(super) summary: Summary,
}

impl Flow {
    /// Signs, or has somebody sign.
    pub(super) fn sign(
        self,
        signature: PendingSignature,
        fx: &mut Effects,
    ) -> Result<State, Error> {
        let ask = signature.must_ask(&self.config.common);
        let next = WaitSignature { flow: self, signature };
        if ask {
            next.signature.ask(fx);
            return Ok(State::WaitSignature(next));
        }
        next.on_signature(Answer::UseConfig, fx)
    }

    fn client_traffic(&self) -> Secret {
        self.schedule.client_traffic(&self.hello_hash)
    }
}

/// Certificate is sent; somebody else signs the proof.
pub(crate) struct WaitSignature {
    flow: Flow,
    signature: PendingSignature,
}

impl WaitSignature {
    /// RFC 9846 §4.5.2 and §4.5.3: the end of our flight; application data can be sent from here on.
    pub(super) fn on_signature(mut self, answer: Answer, fx: &mut Effects) -> Result<State, Error> {
        let flow = &mut self.flow;
        let (common, transcript) = (&flow.config.common, &mut flow.transcript);
        self.signature.finish(common, transcript, &mut flow.summary, answer, fx)?;
        let traffic_secret = flow.schedule.server_traffic(&flow.hello_hash);
        send_finished(common, transcript, &traffic_secret, fx)?;
        let server_hash = transcript.current();
        let ours = flow.schedule.main().server_traffic(&server_hash);
        log_secret(common, "SERVER_TRAFFIC_SECRET_0", &flow.client_random, &ours);
        fx.push(Effect::WriteKey(flow.suite, ours));

        let flow = self.flow;
        Ok(match &flow.config.client_auth {
            ClientAuth::None => State::WaitFinished(WaitFinished { flow, server_hash }),
            ClientAuth::Optional(_) | ClientAuth::Required(_) => {
                State::WaitCertificate(WaitCertificate { flow, server_hash })
            }
        })
    }
}

/// We asked for a certificate, which must come next, though perhaps an empty one.
pub(crate) struct WaitCertificate {
    flow: Flow,
    server_hash: HashValue,
}

impl WaitCertificate {
    /// RFC 9846 §4.5.1
    pub(super) fn on_certificate(
        mut self,
        message: &Certificate<'_>,
        fx: &mut Effects,
    ) -> Result<State, Error> {
        let config = self.flow.config.clone();
        let was_asked = |kind| match kind {
            ExtensionType::status_request => config.request_status,
            ExtensionType::signed_certificate_timestamp => config.request_scts,
            _ => false,
        };
        let peer = on_certificate(&config.common, message, None, was_asked)?;
        let verifier = match (&config.client_auth, peer.chain.is_empty()) {
            (ClientAuth::Required(_), true) => return Err(Violation::NoClientCertificate.into()),
            (ClientAuth::Optional(_) | ClientAuth::None, true) => {
                self.flow.transcript.add(message.raw);
                let (flow, server_hash) = (self.flow, self.server_hash);
                return Ok(State::WaitFinished(WaitFinished { flow, server_hash }));
            }
            (ClientAuth::Optional(verifier) | ClientAuth::Required(verifier), false) => verifier,
            (ClientAuth::None, false) => {
                return Err(Error::unexpected("WAIT_FINISHED", "Certificate"));
            }
        };
        let spki = leaf_key(&peer)?;

        self.flow.transcript.add(message.raw);
        let next = WaitVerdict {
            flow: self.flow,
            server_hash: self.server_hash,
            verifier: verifier.clone(),
            peer,
            spki,
        };

        if config.common.ask.verdict {
            fx.push(Effect::Ask(Question::Verdict(next.peer.clone())));
            return Ok(State::WaitVerdict(next));
        }
        next.on_verdict(Answer::UseConfig, fx)
    }
}

/// Somebody else judges the client's certificates.
pub(crate) struct WaitVerdict {
    flow: Flow,
    server_hash: HashValue,
    verifier: Verifier,
    peer: PeerCertificates,
    spki: Vec<u8>,
}

impl WaitVerdict {
    /// The verdict is there, or is to be taken by the configuration.
    pub(super) fn on_verdict(mut self, answer: Answer, fx: &mut Effects) -> Result<State, Error> {
        let common = &self.flow.config.common;
        judge(common, &self.verifier, Side::Client, &self.peer, answer, fx.now)?;

        let summary = &mut self.flow.summary;
        summary.peer_chain = self.peer.chain;
        summary.peer_ocsp = self.peer.ocsp;
        summary.peer_scts = self.peer.scts;

        Ok(State::WaitCertificateVerify(WaitCertificateVerify {
            flow: self.flow,
            server_hash: self.server_hash,
            spki: self.spki,
        }))
    }
}

/// The client's certificate is accepted; the proof that it is the client's must come next.
pub(crate) struct WaitCertificateVerify {
    flow: Flow,
    server_hash: HashValue,
    spki: Vec<u8>,
}

impl WaitCertificateVerify {
    /// RFC 9846 §4.5.2
    pub(super) fn on_certificate_verify(
        mut self,
        message: &CertificateVerify<'_>,
    ) -> Result<State, Error> {
        let common = &self.flow.config.common;
        let hash = self.flow.transcript.current();
        on_certificate_verify(common, Side::Client, message, &common.schemes, &self.spki, &hash)?;

        self.flow.transcript.add(message.raw);
        self.flow.summary.peer_scheme = Some(message.scheme);

        let (flow, server_hash) = (self.flow, self.server_hash);
        Ok(State::WaitFinished(WaitFinished { flow, server_hash }))
    }
}

/// The client's Finished must come next.
pub(crate) struct WaitFinished {
    flow: Flow,
    /// The transcript up to our Finished, from which the application's secrets are derived (RFC 9846 §7.1).
    server_hash: HashValue,
}

impl WaitFinished {
    /// RFC 9846 §4.5.3: application data goes both ways from here on.
    pub(super) fn on_finished(
        mut self,
        message: &Finished<'_>,
        fx: &mut Effects,
    ) -> Result<State, Error> {
        let flow = &mut self.flow;
        check_finished(&flow.transcript, &flow.client_traffic(), message)?;

        flow.transcript.add(message.raw);
        let main = flow.schedule.main();
        let theirs = main.client_traffic(&self.server_hash);
        let exporter = main.exporter(&self.server_hash);
        let common = &flow.config.common;
        log_secret(common, "CLIENT_TRAFFIC_SECRET_0", &flow.client_random, &theirs);
        log_secret(common, "EXPORTER_SECRET", &flow.client_random, exporter.secret());
        fx.push(Effect::PeerFinished);
        fx.push(Effect::ReadKey(flow.suite, theirs));
        fx.push(Effect::Complete(Box::new(Established { summary: self.flow.summary, exporter })));

        Ok(State::Connected)
    }
}
