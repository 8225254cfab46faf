//! The server's authentication: our signature, and the client's certificate if we asked for it (RFC 9846 §4.5).

use std::sync::Arc;

use super::State;
use super::hello::Standing;
use crate::codepoints::{CertificateType, ExtensionType};
use crate::config::{ClientAuth, ServerConfig};
use crate::crypto::{CipherSuite, HashValue};
use crate::decision::{Answer, PeerCertificates, Question};
use crate::error::{Error, Violation};
use crate::handshake::auth::{
    PendingSignature, Side, check_finished, judge, on_certificate, on_certificate_verify, peer_key,
    send_finished,
};
use crate::handshake::compression::decompress;
use crate::handshake::post_auth::{self, Asking, PostAuth};
use crate::handshake::psk::TicketIssuer;
use crate::handshake::{Effect, Effects, Established, Summary, log_secret};
use crate::key_schedule::{HandshakeSecret, ResumptionSecret};
use crate::message::{
    Certificate, CertificateVerify, CompressedCertificate, EndOfEarlyData, Finished,
};
use crate::secret::Secret;
use crate::transcript::Transcript;
use crate::verify::Verifier;

/// What every state after ServerHello needs.
pub(crate) struct Flow {
    pub(super) config: Arc<ServerConfig>,
    pub(super) standing: Standing,
    pub(super) suite: &'static CipherSuite,
    pub(super) client_random: [u8; 32],
    pub(super) transcript: Transcript,
    pub(super) schedule: HandshakeSecret,
    /// The transcript up to ServerHello, from which the handshake's traffic secrets are derived.
    pub(super) hello_hash: HashValue,
    pub(super) summary: Summary,
    pub(super) takes_early_data: bool,
    /// What the client is asked for, if it is asked at all (RFC 7250 §4.2).
    pub(super) client_type: Option<CertificateType>,
    /// Whether the client can be asked later (RFC 9846 §4.3.6).
    pub(super) post_handshake_auth: bool,
    pub(super) grant: Grant,
}

/// What the client gets to resume with.
pub(crate) struct Grant {
    /// Whether the client can resume at all.
    pub(super) usable: bool,
    /// How many tickets it gets without asking again.
    pub(super) count: u8,
    pub(super) policy: [u8; 32],
    /// When it last signed, or would have: in seconds since 1970.
    pub(super) authenticated: u64,
}

impl Flow {
    /// Signs, or has somebody sign.
    pub(super) fn sign(
        self,
        signature: PendingSignature,
        fx: &mut Effects<'_>,
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
    /// RFC 9846 §4.5.2: the signature is there, or is to be made with our own key.
    pub(super) fn on_signature(
        mut self,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let flow = &mut self.flow;
        let (common, transcript) = (&flow.config.common, &mut flow.transcript);
        self.signature.finish(common, transcript, &mut flow.summary, answer, fx)?;

        self.flow.finish_flight(fx)
    }
}

impl Flow {
    /// RFC 9846 §4.5.3: the end of our flight; application data can be sent from here on.
    pub(super) fn finish_flight(mut self, fx: &mut Effects<'_>) -> Result<State, Error> {
        let common = &self.config.common;
        let traffic_secret = self.schedule.server_traffic(&self.hello_hash);
        send_finished(common, &mut self.transcript, &traffic_secret, fx)?;
        let server_hash = self.transcript.current();
        let ours = self.schedule.main().server_traffic(&server_hash);
        log_secret(common, "SERVER_TRAFFIC_SECRET_0", &self.client_random, &ours);
        fx.push(Effect::WriteKey(self.suite, ours));
        if self.takes_early_data {
            // RFC 9846 §7.5: the exporter's secret is there as soon as our Finished is.
            let exporter = self.schedule.main().exporter(&server_hash);
            fx.push(Effect::HalfRtt(Box::new((self.summary.clone(), exporter))));
            return Ok(State::WaitEndOfEarlyData(WaitEndOfEarlyData { flow: self, server_hash }));
        }
        let by_certificate = !self.summary.resumed && self.summary.external_psk.is_none();
        let flow = self;
        Ok(match &flow.standing.client_auth {
            ClientAuth::Optional(_) | ClientAuth::Required(_) if by_certificate => {
                State::WaitCertificate(WaitCertificate { flow, server_hash })
            }
            _ => State::WaitFinished(WaitFinished { flow, server_hash }),
        })
    }
}

impl Flow {
    /// RFC 9846 §4.7.1: the tickets that the client gets at once, and what it takes to issue more.
    fn grant_tickets(
        self,
        resumption: ResumptionSecret,
        fx: &mut Effects<'_>,
    ) -> Result<(Summary, Option<TicketIssuer>), Error> {
        // A session of a key that only the application knows could not be checked when it comes back.
        let client = self.summary.peer();
        let rests = client.external.as_ref();
        let checkable = rests.is_none() || self.config.common.takes_session_of(rests);
        if !self.grant.usable || self.config.tickets.is_none() || !checkable {
            return Ok((self.summary, None));
        }
        let mut issuer = TicketIssuer {
            config: self.config,
            suite: self.suite,
            resumption,
            policy: self.grant.policy,
            alpn: self.summary.alpn.clone(),
            client,
            authenticated: self.grant.authenticated,
            next: 0,
        };
        for _ in 0..self.grant.count {
            if let Some(message) = issuer.issue(fx.now)? {
                fx.push(Effect::Send(message));
            }
        }
        Ok((self.summary, Some(issuer)))
    }
}

/// Early data comes, until the client says that it ends.
pub(crate) struct WaitEndOfEarlyData {
    flow: Flow,
    server_hash: HashValue,
}

impl WaitEndOfEarlyData {
    /// RFC 9846 §4.6: the client's next record is under its handshake key.
    pub(super) fn on_end_of_early_data(
        mut self,
        message: &EndOfEarlyData<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        self.flow.transcript.add(message.raw);
        fx.push(Effect::ReadKey(self.flow.suite, self.flow.client_traffic()));
        let (flow, server_hash) = (self.flow, self.server_hash);
        Ok(State::WaitFinished(WaitFinished { flow, server_hash }))
    }
}

/// We asked for a certificate, which must come next, though perhaps an empty one.
pub(crate) struct WaitCertificate {
    pub(super) flow: Flow,
    server_hash: HashValue,
}

impl WaitCertificate {
    /// RFC 8879 §4
    pub(super) fn on_compressed_certificate(
        self,
        message: &CompressedCertificate<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let body = decompress(&self.flow.config.common, message)?;
        self.on_certificate(&Certificate::read(message.raw, &body)?, fx)
    }

    /// RFC 9846 §4.5.1
    pub(super) fn on_certificate(
        mut self,
        message: &Certificate<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let config = self.flow.config.clone();
        let was_asked = |kind| match kind {
            ExtensionType::status_request => config.request_status,
            ExtensionType::signed_certificate_timestamp => config.request_scts,
            _ => false,
        };
        let kind = self.flow.client_type.unwrap_or(CertificateType::X509);
        let peer = on_certificate(fx.budget, message, &[], None, kind, was_asked)?;
        let verifier = match (&self.flow.standing.client_auth, peer.is_empty()) {
            (ClientAuth::Required(_), true) => return Err(Violation::NoClientCertificate.into()),
            (_, true) => {
                self.flow.transcript.add(message.raw);
                let (flow, server_hash) = (self.flow, self.server_hash);
                return Ok(State::WaitFinished(WaitFinished { flow, server_hash }));
            }
            (ClientAuth::Optional(verifier) | ClientAuth::Required(verifier), false) => {
                verifier.clone()
            }
            (ClientAuth::None | ClientAuth::OnRequest(_), false) => {
                return Err(Error::unexpected("WAIT_FINISHED", "Certificate"));
            }
        };
        let spki = peer_key(&peer)?;

        self.flow.transcript.add(message.raw);
        let next =
            WaitVerdict { flow: self.flow, server_hash: self.server_hash, verifier, peer, spki };

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
    pub(super) fn on_verdict(
        mut self,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let common = &self.flow.config.common;
        let verdict = judge(common, &self.verifier, Side::Client, &self.peer, answer, fx)?;

        self.flow.summary.set_peer(self.peer, verdict);

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
        fx: &mut Effects<'_>,
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
        let resumption = main.resumption(&flow.transcript.current());
        let may_ask = post_auth::can_ask(&flow.config, flow.post_handshake_auth, &flow.summary);
        let post_auth = flow.client_type.filter(|_| may_ask).map(|kind| {
            PostAuth::Server(Asking::new(flow.config.clone(), kind, flow.transcript.fork()))
        });
        let (summary, issuer) = self.flow.grant_tickets(resumption, fx)?;
        fx.push(Effect::Complete(Box::new(Established {
            summary,
            exporter,
            issuer,
            keeper: None,
            post_auth,
        })));

        Ok(State::Connected)
    }
}
