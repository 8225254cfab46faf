//! The client's authentication: the server's certificate, its proof, and ours if it is asked for (RFC 9846 §4.4.2, §4.5).

use super::State;
use super::hello::Client;
use super::parameters::Flow;
use crate::crypto::HashValue;
use crate::decision::{Answer, PeerCertificates, Question};
use crate::error::{Error, Violation};
use crate::handshake::auth::{
    PendingSignature, Side, check_finished, judge, on_certificate, on_certificate_verify, peer_key,
    send_finished,
};
use crate::handshake::client::request::Request;
use crate::handshake::compression::decompress;
use crate::handshake::post_auth::{Answering, PostAuth};
use crate::handshake::{Effect, Effects, Established, ensure, log_secret};
use crate::message::{
    Certificate, CertificateRequest, CertificateVerify, CompressedCertificate, Finished,
    write_end_of_early_data,
};

/// EncryptedExtensions has come; CertificateRequest may, and Certificate must.
pub(crate) struct WaitCertificateRequest {
    pub(super) flow: Flow,
}

impl WaitCertificateRequest {
    /// RFC 9846 §4.4.2
    pub(super) fn on_certificate_request(
        mut self,
        message: &CertificateRequest<'_>,
    ) -> Result<State, Error> {
        ensure(message.context.is_empty(), Violation::RequestContextNotEmpty)?;

        self.flow.transcript.add(message.raw);
        let request = Some(Request::new(message, self.flow.client_type));

        Ok(State::WaitCertificate(WaitCertificate { flow: self.flow, request }))
    }

    /// Certificate has come at once: we are not asked for ours.
    pub(super) fn without_request(self) -> WaitCertificate {
        WaitCertificate { flow: self.flow, request: None }
    }
}

/// The server's Certificate must come next.
pub(crate) struct WaitCertificate {
    pub(super) flow: Flow,
    request: Option<Request>,
}

impl WaitCertificate {
    /// RFC 8879 §4
    pub(super) fn on_compressed_certificate(
        self,
        message: &CompressedCertificate<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let body = decompress(&self.flow.client.config.common, message)?;
        self.on_certificate(&Certificate::read(message.raw, &body)?, fx)
    }

    /// RFC 9846 §4.5.1
    pub(super) fn on_certificate(
        mut self,
        message: &Certificate<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let client = &self.flow.client;
        let common = &client.config.common;
        let name = Some(client.name.clone());
        let kind = self.flow.server_type;
        let was_asked = |extension| client.offer.has(extension);
        let peer = on_certificate(fx.budget, message, &[], name, kind, was_asked)?;
        ensure(!peer.is_empty(), Violation::EmptyServerCertificate)?;
        let spki = peer_key(&peer)?;

        let ask = common.ask.verdict;
        self.flow.transcript.add(message.raw);
        let next = WaitVerdict { flow: self.flow, request: self.request, peer, spki };

        if ask {
            fx.push(Effect::Ask(Question::Verdict(next.peer.clone())));
            return Ok(State::WaitVerdict(next));
        }
        next.on_verdict(Answer::UseConfig, fx)
    }
}

/// Somebody else judges the server's certificates.
pub(crate) struct WaitVerdict {
    flow: Flow,
    request: Option<Request>,
    peer: PeerCertificates,
    spki: Vec<u8>,
}

impl WaitVerdict {
    /// The verdict is there, or is to be taken by the configuration.
    pub(super) fn on_verdict(
        mut self,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let Client { config, verifier, .. } = &self.flow.client;
        let verdict = judge(&config.common, verifier, Side::Server, &self.peer, answer, fx)?;

        self.flow.summary.set_peer(self.peer, verdict);

        Ok(State::WaitCertificateVerify(WaitCertificateVerify {
            flow: self.flow,
            request: self.request,
            spki: self.spki,
        }))
    }
}

/// The server's certificate is accepted; the proof that it is the server's must come next.
pub(crate) struct WaitCertificateVerify {
    flow: Flow,
    request: Option<Request>,
    spki: Vec<u8>,
}

impl WaitCertificateVerify {
    /// RFC 9846 §4.5.2
    pub(super) fn on_certificate_verify(
        mut self,
        message: &CertificateVerify<'_>,
    ) -> Result<State, Error> {
        let client = &self.flow.client;
        let (common, offered) = (&client.config.common, &client.offer.schemes);
        let hash = self.flow.transcript.current();
        on_certificate_verify(common, Side::Server, message, offered, &self.spki, &hash)?;

        self.flow.transcript.add(message.raw);
        self.flow.summary.peer_scheme = Some(message.scheme);

        Ok(State::WaitFinished(WaitFinished { flow: self.flow, request: self.request }))
    }
}

/// The server is authenticated; its Finished must come next.
pub(crate) struct WaitFinished {
    flow: Flow,
    request: Option<Request>,
}

impl WaitFinished {
    /// The server took a pre-shared key, and its Finished proves that it has it.
    pub(super) fn without_certificate(flow: Flow) -> Self {
        Self { flow, request: None }
    }

    /// RFC 9846 §4.5.3: receives application data from here on, and authenticates if asked to.
    pub(super) fn on_finished(
        mut self,
        message: &Finished<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        check_finished(&self.flow.transcript, &self.flow.server_traffic(), message)?;

        let flow = &mut self.flow;
        flow.transcript.add(message.raw);
        let server_hash = flow.transcript.current();
        let theirs = flow.schedule().main().server_traffic(&server_hash);
        log_secret(
            &flow.client.config.common,
            "SERVER_TRAFFIC_SECRET_0",
            &flow.client.random,
            &theirs,
        );
        fx.push(Effect::PeerFinished);
        fx.push(Effect::ReadKey(flow.suite, theirs));
        if flow.sends_early_data {
            // RFC 9846 §4.6: under the early key, the last thing that is.
            let common = &flow.client.config.common;
            fx.send(common, &mut flow.transcript, write_end_of_early_data()?);
            fx.push(Effect::EndOfEarlyData);
            fx.push(Effect::WriteKey(flow.suite, flow.client_traffic()));
        }
        let Some(request) = self.request else {
            return finish(self.flow, &server_hash, fx);
        };
        let ask = flow.client.config.common.ask.credential;
        let next = WaitCredential { flow: self.flow, server_hash, request };
        if ask {
            fx.push(Effect::Ask(next.request.question()));
            return Ok(State::WaitCredential(next));
        }
        next.on_credential(Answer::UseConfig, fx)
    }
}

/// The server is authenticated, and has asked for a certificate; somebody else chooses which.
pub(crate) struct WaitCredential {
    flow: Flow,
    server_hash: HashValue,
    request: Request,
}

impl WaitCredential {
    /// RFC 9846 §4.5.1: the credential is there, or is to be chosen among our own. Sends it, or says that there is none.
    pub(super) fn on_credential(
        mut self,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let config = self.flow.client.config.clone();
        let (own, transcript) = (&self.flow.client.credentials, &mut self.flow.transcript);
        let signature = self.request.answer(&config.common, own, transcript, answer, fx)?;

        let (flow, server_hash) = (self.flow, self.server_hash);
        let Some(signature) = signature else {
            return finish(flow, &server_hash, fx);
        };
        let ask = signature.must_ask(&config.common);
        let next = WaitSignature { flow, server_hash, signature };
        if ask {
            next.signature.ask(fx);
            return Ok(State::WaitSignature(next));
        }
        next.on_signature(Answer::UseConfig, fx)
    }
}

/// Certificate is sent; somebody else signs the proof.
pub(crate) struct WaitSignature {
    flow: Flow,
    server_hash: HashValue,
    signature: PendingSignature,
}

impl WaitSignature {
    /// The signature is there, or is to be made with our own key.
    pub(super) fn on_signature(
        mut self,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let flow = &mut self.flow;
        let (common, transcript) = (&flow.client.config.common, &mut flow.transcript);
        self.signature.finish(common, transcript, &mut flow.summary, answer, fx)?;

        finish(self.flow, &self.server_hash, fx)
    }
}

/// Sends Finished; application data goes both ways from here on. `server_hash` is the transcript up to the server's
/// Finished, from which the application's secrets are derived (RFC 9846 §7.1).
fn finish(mut flow: Flow, server_hash: &HashValue, fx: &mut Effects<'_>) -> Result<State, Error> {
    let traffic_secret = flow.client_traffic();
    let common = &flow.client.config.common;
    send_finished(common, &mut flow.transcript, &traffic_secret, fx)?;
    let main = flow.schedule().main();
    let ours = main.client_traffic(server_hash);
    let exporter = main.exporter(server_hash);
    log_secret(common, "CLIENT_TRAFFIC_SECRET_0", &flow.client.random, &ours);
    log_secret(common, "EXPORTER_SECRET", &flow.client.random, exporter.secret());
    fx.push(Effect::WriteKey(flow.suite, ours));
    let keeper = flow.keeper(main.resumption(&flow.transcript.current()));
    let config = &flow.client.config;
    let post_auth = config
        .post_handshake_auth
        .then(|| Answering::new(config.clone(), flow.client_type, flow.transcript.fork()));
    let post_auth = post_auth.map(PostAuth::Client);
    let summary = flow.summary;
    fx.push(Effect::Complete(Box::new(Established {
        summary,
        exporter,
        issuer: None,
        keeper,
        post_auth,
    })));

    Ok(State::Connected)
}
