//! The client's state machine (RFC 9846 Appendix A.1).
//!
//! ```text
//!                   START
//!                     │ ClientHello
//!                     ▼
//!        ┌───────► WAIT_SH ──── HelloRetryRequest ──┐
//!        └──────────────────────────────────────────┘ once
//!                     │ ServerHello: handshake keys
//!                     ▼
//!                  WAIT_EE
//!                     │ EncryptedExtensions
//!                     ├── with a pre-shared key ──► WAIT_FINISHED
//!                     ▼
//!                WAIT_CERT_CR ── CertificateRequest ──► WAIT_CERT
//!                     │ Certificate, perhaps compressed ◄──┘
//!                     ▼
//!               [WAIT_VERDICT] the application judges the chain
//!                     │
//!                     ▼
//!                  WAIT_CV
//!                     │ CertificateVerify
//!                     ▼
//!                WAIT_FINISHED
//!                     │ Finished
//!                     ▼
//!              [WAIT_CREDENTIAL] if asked for a certificate: somebody else chooses which
//!                     │ Certificate of ours
//!                     ▼
//!              [WAIT_SIGNATURE] somebody else signs
//!                     │ CertificateVerify, Finished: application keys
//!                     ▼
//!                 CONNECTED
//! ```

mod auth;
mod hello;
mod parameters;
mod psk;
pub(crate) mod request;

pub(crate) use self::auth::{
    WaitCertificate, WaitCertificateRequest, WaitCertificateVerify, WaitCredential, WaitFinished,
    WaitSignature, WaitVerdict,
};
pub(crate) use self::hello::{WaitServerHello, start};
pub(crate) use self::parameters::WaitEncryptedExtensions;
use super::{Effects, Input};
use crate::error::Error;
use crate::message::Message;

/// Where a client's handshake stands.
pub(crate) enum State {
    WaitServerHello(WaitServerHello),
    WaitEncryptedExtensions(WaitEncryptedExtensions),
    WaitCertificateRequest(WaitCertificateRequest),
    WaitCertificate(WaitCertificate),
    WaitVerdict(WaitVerdict),
    WaitCertificateVerify(WaitCertificateVerify),
    WaitFinished(WaitFinished),
    WaitCredential(WaitCredential),
    WaitSignature(WaitSignature),
    Connected,
}

impl State {
    /// The whole machine: one line for each legal (state, input) pair, and nothing else is legal.
    pub(crate) fn step(self, input: Input<'_>, fx: &mut Effects<'_>) -> Result<Self, Error> {
        use Input::{Answer, Message as M};
        match (self, input) {
            (Self::WaitServerHello(s), M(Message::ServerHello(m))) if m.is_retry => {
                s.on_hello_retry_request(&m, fx)
            }
            (Self::WaitServerHello(s), M(Message::ServerHello(m))) => s.on_server_hello(&m, fx),
            (Self::WaitEncryptedExtensions(s), M(Message::EncryptedExtensions(m))) => {
                s.on_encrypted_extensions(&m, fx)
            }
            (Self::WaitCertificateRequest(s), M(Message::CertificateRequest(m))) => {
                s.on_certificate_request(&m)
            }
            (Self::WaitCertificateRequest(s), M(Message::Certificate(m))) => {
                s.without_request().on_certificate(&m, fx)
            }
            (Self::WaitCertificateRequest(s), M(Message::CompressedCertificate(m)))
                if s.flow.client.config.common.takes_compressed() =>
            {
                s.without_request().on_compressed_certificate(&m, fx)
            }
            (Self::WaitCertificate(s), M(Message::Certificate(m))) => s.on_certificate(&m, fx),
            (Self::WaitCertificate(s), M(Message::CompressedCertificate(m)))
                if s.flow.client.config.common.takes_compressed() =>
            {
                s.on_compressed_certificate(&m, fx)
            }
            (Self::WaitVerdict(s), Answer(answer)) => s.on_verdict(answer, fx),
            (Self::WaitCertificateVerify(s), M(Message::CertificateVerify(m))) => {
                s.on_certificate_verify(&m)
            }
            (Self::WaitFinished(s), M(Message::Finished(m))) => s.on_finished(&m, fx),
            (Self::WaitCredential(s), Answer(answer)) => s.on_credential(answer, fx),
            (Self::WaitSignature(s), Answer(answer)) => s.on_signature(answer, fx),
            (state, input) => Err(Error::unexpected(state.name(), input.name())),
        }
    }

    /// The state's name in RFC 9846 Appendix A.1; ours in the same style.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::WaitServerHello(_) => "WAIT_SH",
            Self::WaitEncryptedExtensions(_) => "WAIT_EE",
            Self::WaitCertificateRequest(_) => "WAIT_CERT_CR",
            Self::WaitCertificate(_) => "WAIT_CERT",
            Self::WaitVerdict(_) => "WAIT_VERDICT",
            Self::WaitCertificateVerify(_) => "WAIT_CV",
            Self::WaitFinished(_) => "WAIT_FINISHED",
            Self::WaitCredential(_) => "WAIT_CREDENTIAL",
            Self::WaitSignature(_) => "WAIT_SIGNATURE",
            Self::Connected => "CONNECTED",
        }
    }
}
