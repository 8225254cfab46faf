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
//!                     │ ServerHello: handshake keys; EncryptedExtensions, CertificateRequest, Certificate
//!                     ▼
//!              [WAIT_SIGNATURE] somebody else signs
//!                     │ CertificateVerify, Finished: application key to send
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
mod hello;

pub(crate) use self::auth::{
    WaitCertificate, WaitCertificateVerify, WaitFinished, WaitSignature, WaitVerdict,
};
pub(crate) use self::hello::{WaitChoice, WaitClientHello, WaitSecondClientHello};
use super::{Effects, Input};
use crate::error::Error;
use crate::message::Message;

/// Where a server's handshake stands.
pub(crate) enum State {
    WaitClientHello(WaitClientHello),
    WaitChoice(WaitChoice),
    WaitSecondClientHello(WaitSecondClientHello),
    WaitSignature(WaitSignature),
    WaitCertificate(WaitCertificate),
    WaitVerdict(WaitVerdict),
    WaitCertificateVerify(WaitCertificateVerify),
    WaitFinished(WaitFinished),
    Connected,
}

impl State {
    /// The whole machine: one line for each legal (state, input) pair, and nothing else is legal.
    pub(crate) fn step(self, input: Input<'_>, fx: &mut Effects) -> Result<Self, Error> {
        use Input::{Answer, Message as M};
        match (self, input) {
            (Self::WaitClientHello(s), M(Message::ClientHello(m))) => s.on_client_hello(&m, fx),
            (Self::WaitChoice(s), Answer(answer)) => s.on_choice(answer, fx),
            (Self::WaitSecondClientHello(s), M(Message::ClientHello(m))) => {
                s.on_client_hello(&m, fx)
            }
            (Self::WaitSignature(s), Answer(answer)) => s.on_signature(answer, fx),
            (Self::WaitCertificate(s), M(Message::Certificate(m))) => s.on_certificate(&m, fx),
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
            Self::WaitSignature(_) => "WAIT_SIGNATURE",
            Self::WaitCertificate(_) => "WAIT_CERT",
            Self::WaitVerdict(_) => "WAIT_VERDICT",
            Self::WaitCertificateVerify(_) => "WAIT_CV",
            Self::WaitFinished(_) => "WAIT_FINISHED",
            Self::Connected => "CONNECTED",
        }
    }
}
