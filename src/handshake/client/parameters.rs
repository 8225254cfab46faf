//! EncryptedExtensions, and what a client needs from ServerHello on (RFC 9846 §4.4.1).

use super::hello::Client;
use super::psk::EarlyOffer;
use super::{State, WaitCertificateRequest, WaitFinished};
use crate::codepoints::CertificateType;
use crate::crypto::{CipherSuite, HashValue};
use crate::error::{Error, NoOverlap, Violation};
use crate::handshake::psk::SessionKeeper;
use crate::handshake::{EarlyData, Effect, Effects, Summary, ensure};
use crate::key_schedule::{HandshakeSecret, ResumptionSecret};
use crate::message::EncryptedExtensions;
use crate::secret::Secret;
use crate::transcript::Transcript;

/// What every state after ServerHello needs.
pub(crate) struct Flow {
    pub(crate) client: Client,
    pub(crate) suite: &'static CipherSuite,
    pub(crate) transcript: Transcript,
    pub(super) schedule: HandshakeSecret,
    /// The transcript up to ServerHello, from which the handshake's traffic secrets are derived.
    pub(super) hello_hash: HashValue,
    pub(crate) summary: Summary,
    /// Whether we send under the early key, and owe EndOfEarlyData.
    pub(crate) sends_early_data: bool,
    /// What we show if we are asked (RFC 7250 §4.2).
    pub(crate) client_type: CertificateType,
    /// What the server shows.
    pub(crate) server_type: CertificateType,
}

impl Flow {
    /// `client_handshake_traffic_secret`, derived again rather than kept.
    pub(crate) fn client_traffic(&self) -> Secret {
        self.schedule.client_traffic(&self.hello_hash)
    }

    /// `server_handshake_traffic_secret`
    pub(crate) fn server_traffic(&self) -> Secret {
        self.schedule.server_traffic(&self.hello_hash)
    }

    /// What keeps the tickets of this connection, once it is up.
    pub(crate) fn keeper(&self, resumption: ResumptionSecret) -> Option<SessionKeeper> {
        let store = self.client.config.sessions.clone()?;
        Some(SessionKeeper {
            store,
            key: self.client.session_key,
            suite: self.suite.id,
            resumption,
            alpn: self.summary.alpn.clone(),
            server: self.summary.peer(),
            chain_expiry: self.summary.peer().expiry(),
        })
    }

    pub(crate) fn schedule(&self) -> &HandshakeSecret {
        &self.schedule
    }
}

/// Handshake keys are in place; EncryptedExtensions must come next.
pub(crate) struct WaitEncryptedExtensions {
    pub(super) flow: Flow,
    pub(super) early: Option<EarlyOffer>,
    /// Which of our pre-shared keys the server took.
    pub(super) index: Option<u16>,
}

impl WaitEncryptedExtensions {
    /// RFC 9846 §4.4.1
    pub(super) fn on_encrypted_extensions(
        mut self,
        message: &EncryptedExtensions<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let offer = &self.flow.client.offer;
        message.extensions.ensure_solicited(|kind| offer.has(kind))?;
        if let Some(selected) = message.alpn {
            // RFC 7301 §3.1: one of those that we offered.
            ensure(offer.alpn.iter().any(|name| name == selected), Violation::BadAlpn)?;
        }
        // RFC 7250 §4.2: each one of those that we offered, and X.509 if nothing is said.
        let unsaid = CertificateType::X509;
        let (client_type, server_type) =
            (message.client_certificate_type, message.server_certificate_type);
        let offered = client_type.is_none_or(|selected| offer.client_types.contains(&selected))
            && server_type.is_none_or(|selected| offer.server_types.contains(&selected));
        ensure(offered, Violation::UnofferedCertificateType)?;
        let (client_type, server_type) =
            (client_type.unwrap_or(unsaid), server_type.unwrap_or(unsaid));
        if self.index.is_none() && !offer.server_types.contains(&server_type) {
            return Err(NoOverlap::CertificateType(vec![server_type]).into());
        }
        if message.early_data {
            // RFC 9846 §4.3.10: only with the first key, and under the parameters that it was sent with.
            let first = self.early.as_ref().filter(|_| self.index == Some(0));
            let early = first.ok_or(Violation::EarlyDataKey)?;
            ensure(early.suite == self.flow.suite.id, Violation::EarlyDataSuite)?;
            ensure(early.alpn.as_deref() == message.alpn, Violation::EarlyDataAlpn)?;
        }

        let flow = &mut self.flow;
        flow.transcript.add(message.raw);
        flow.summary.alpn = message.alpn.map(<[u8]>::to_vec);
        (flow.client_type, flow.server_type) = (client_type, server_type);
        if self.early.is_some() {
            let accepted = message.early_data;
            flow.summary.early_data =
                if accepted { EarlyData::Accepted } else { EarlyData::Rejected };
            fx.push(Effect::EarlyDataAnswer { accepted });
            if !accepted {
                flow.sends_early_data = false;
                fx.push(Effect::WriteKey(flow.suite, flow.client_traffic()));
            }
        }

        // RFC 9846 §4.4.2: a server that took a pre-shared key shows no certificate and asks for none.
        Ok(match self.index {
            Some(_) => State::WaitFinished(WaitFinished::without_certificate(self.flow)),
            None => State::WaitCertificateRequest(WaitCertificateRequest { flow: self.flow }),
        })
    }
}
