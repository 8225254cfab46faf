//! The server's state machine (RFC 9846 Appendix A.2).
//!
//! ```text
//!                   START
//!                     │ ClientHello
//!                     ▼
//!               [WAIT_CHOICE] the application chooses configuration, credential, protocols
//!                     │
//!                     ├── no share for our group: HelloRetryRequest ──► WAIT_CH2 ── ClientHello ──┐
//!                     │◄──────────────────────────────────────────────────────────────────────────┘
//!                     ▼
//!            [WAIT_PSK, WAIT_EARLY_DATA] the application knows the ticket, and whether the flight is new
//!                     │ ServerHello: handshake keys; EncryptedExtensions, CertificateRequest, Certificate
//!                     ▼
//!              [WAIT_SIGNATURE] somebody else signs (not with a pre-shared key)
//!                     │ CertificateVerify, Finished: application key to send
//!                     ├── early data taken: WAIT_EOED ── EndOfEarlyData ──► WAIT_FINISHED
//!                     ├─────────────────┐ no client authentication
//!                     ▼                 │
//!                 WAIT_CERT ────────────┤ empty Certificate
//!                     │ Certificate     │
//!                     ▼                 │
//!               [WAIT_VERDICT]          │ the application judges the chain
//!                     │                 │
//!                     ▼                 │
//!                  WAIT_CV              │
//!                     │ CertificateVerify
//!                     ▼                 ▼
//!                      WAIT_FINISHED
//!                     │ Finished: application key to receive
//!                     ▼
//!                 CONNECTED
//! ```

mod auth;
mod choose;
mod emit;
mod hello;
mod psk;

pub(crate) use self::auth::{
    WaitCertificate, WaitCertificateVerify, WaitEndOfEarlyData, WaitFinished, WaitSignature,
    WaitVerdict,
};
pub(crate) use self::hello::{
    WaitChoice, WaitClientHello, WaitEarlyData, WaitPsk, WaitSecondClientHello,
};
use super::{Effects, Input};
use crate::error::Error;
use crate::message::Message;

/// Where a server's handshake stands.
pub(crate) enum State {
    WaitClientHello(WaitClientHello),
    WaitChoice(WaitChoice),
    WaitSecondClientHello(WaitSecondClientHello),
    WaitPsk(WaitPsk),
    WaitEarlyData(WaitEarlyData),
    WaitSignature(WaitSignature),
    WaitEndOfEarlyData(WaitEndOfEarlyData),
    WaitCertificate(WaitCertificate),
    WaitVerdict(WaitVerdict),
    WaitCertificateVerify(WaitCertificateVerify),
    WaitFinished(WaitFinished),
    Connected,
}

impl State {
    /// The whole machine: one line for each legal (state, input) pair, and nothing else is legal.
    pub(crate) fn step(self, input: Input<'_>, fx: &mut Effects<'_>) -> Result<Self, Error> {
        use Input::{Answer, Message as M};
        match (self, input) {
            (Self::WaitClientHello(s), M(Message::ClientHello(m))) => s.on_client_hello(&m, fx),
            (Self::WaitChoice(s), Answer(answer)) => s.on_choice(answer, fx),
            (Self::WaitSecondClientHello(s), M(Message::ClientHello(m))) => {
                s.on_client_hello(&m, fx)
            }
            (Self::WaitPsk(s), Answer(answer)) => s.on_psk(answer, fx),
            (Self::WaitEarlyData(s), Answer(answer)) => s.on_early_data(answer, fx),
            (Self::WaitSignature(s), Answer(answer)) => s.on_signature(answer, fx),
            (Self::WaitEndOfEarlyData(s), M(Message::EndOfEarlyData(m))) => {
                s.on_end_of_early_data(&m, fx)
            }
            (Self::WaitCertificate(s), M(Message::Certificate(m))) => s.on_certificate(&m, fx),
            (Self::WaitCertificate(s), M(Message::CompressedCertificate(m)))
                if s.flow.config.common.takes_compressed() =>
            {
                s.on_compressed_certificate(&m, fx)
            }
            (Self::WaitVerdict(s), Answer(answer)) => s.on_verdict(answer, fx),
            (Self::WaitCertificateVerify(s), M(Message::CertificateVerify(m))) => {
                s.on_certificate_verify(&m)
            }
            (Self::WaitFinished(s), M(Message::Finished(m))) => s.on_finished(&m, fx),
            (state, input) => Err(Error::unexpected(state.name(), input.name())),
        }
    }

    /// The state's name in RFC 9846 Appendix A.2; ours in the same style.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::WaitClientHello(_) => "START",
            Self::WaitChoice(_) => "WAIT_CHOICE",
            Self::WaitSecondClientHello(_) => "WAIT_CH2",
            Self::WaitPsk(_) => "WAIT_PSK",
            Self::WaitEarlyData(_) => "WAIT_EARLY_DATA",
            Self::WaitSignature(_) => "WAIT_SIGNATURE",
            Self::WaitEndOfEarlyData(_) => "WAIT_EOED",
            Self::WaitCertificate(_) => "WAIT_CERT",
            Self::WaitVerdict(_) => "WAIT_VERDICT",
            Self::WaitCertificateVerify(_) => "WAIT_CV",
            Self::WaitFinished(_) => "WAIT_FINISHED",
            Self::Connected => "CONNECTED",
        }
    }
}
