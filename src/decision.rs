//! Decisions that may take time: one mechanism for both roles.
//!
//! Each decision has a default that the configuration holds. If the configuration says so ([`Ask`](crate::Ask)), or a
//! credential's key is elsewhere, the connection stops instead, says [`Event::Ask`](crate::Event::Ask) with the
//! [`Question`], and goes on when [`Connection::answer`](crate::Connection::answer) brings the [`Answer`]: at once, or
//! hours later, from another thread or another machine.

use std::sync::Arc;

use pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer};

use crate::codepoints::{Alert, CertificateType, SignatureScheme};
use crate::config::{ServerConfig, checked_alpn};
use crate::credential::Credential;
use crate::error::{CertificateError, Error};
use crate::message::ClientHelloView;
use crate::psk::ExternalPsk;
use crate::ticket::RedeemedTicket;
use crate::verify::Evidence;

/// What the connection wants to know. Every question can be answered with [`Answer::UseConfig`] or [`Answer::Refuse`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Question {
    /// Server: which configuration, credential and protocols for this ClientHello? [`Answer::Choose`].
    ClientHello(ClientHelloView),
    /// Client: what to show to a server that asks who we are? [`Answer::Credential`].
    Credential(CredentialRequest),
    /// A signature by this credential's key. [`Answer::Signature`].
    Signature(SignatureRequest),
    /// Server: which of the client's identities, in its order, is one of ours? [`Answer::Ticket`],
    /// [`Answer::ExternalPsk`] or [`Answer::NoPsk`]. Only one can be chosen, and its binder is checked afterwards.
    Psk(Vec<Vec<u8>>),
    /// Server: has this first flight, of which this is a hash, never been seen before? [`Answer::Accept`] takes its early
    /// data, [`Answer::Decline`] goes on without. See [`ReplayStore`](crate::ReplayStore) for what has to be guaranteed.
    EarlyData([u8; 32]),
    /// Is the peer who these certificates say it should be? [`Answer::Accept`] or [`Answer::Reject`].
    Verdict(PeerCertificates),
}

/// The kind of a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Waiting {
    /// For [`Answer::Choose`].
    ClientHello,
    /// For [`Answer::Credential`].
    Credential,
    /// For [`Answer::Signature`].
    Signature,
    /// For [`Answer::Accept`] or [`Answer::Reject`].
    Verdict,
    /// For [`Answer::Ticket`], [`Answer::ExternalPsk`] or [`Answer::NoPsk`].
    Psk,
    /// For [`Answer::Accept`] or [`Answer::Decline`].
    EarlyData,
}

/// What the application says to a [`Question`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Any question: do what the configuration holds.
    UseConfig,
    /// Any question: end the connection with this alert.
    Refuse(Alert),
    /// To [`Question::ClientHello`].
    Choose(Choice),
    /// To [`Question::Credential`]: this one, which ends the connection if the server cannot take it
    /// ([`Credential::suits`]); or none, and the server decides whether it goes on.
    Credential(Option<Arc<Credential>>),
    /// To [`Question::Signature`]: the signature, as it goes into CertificateVerify.
    Signature(Vec<u8>),
    /// To [`Question::Verdict`]: the peer is who it should be. To [`Question::EarlyData`]: take it.
    Accept,
    /// To [`Question::EarlyData`]: go on without it.
    Decline,
    /// To [`Question::Psk`]: the identity at this index is a ticket with this content.
    Ticket(usize, Arc<RedeemedTicket>),
    /// To [`Question::Psk`]: the identity at this index is this key.
    ExternalPsk(usize, Arc<ExternalPsk>),
    /// To [`Question::Psk`]: none of them.
    NoPsk,
    /// To [`Question::Verdict`]: it is not, and this is why.
    Reject(CertificateError),
}

/// What a server uses for one connection; whatever is not set comes from its configuration.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub(crate) config: Option<Arc<ServerConfig>>,
    pub(crate) credential: Option<Arc<Credential>>,
    pub(crate) alpn: Option<Vec<Vec<u8>>>,
}

impl Choice {
    /// Everything from this configuration, in place of the one that the connection was made with.
    #[must_use]
    pub fn with_config(mut self, config: Arc<ServerConfig>) -> Self {
        self.config = Some(config);
        self
    }

    /// This credential.
    #[must_use]
    pub fn with_credential(mut self, credential: Arc<Credential>) -> Self {
        self.credential = Some(credential);
        self
    }

    /// These application protocols, most preferred first; none means that ALPN is not negotiated.
    ///
    /// # Errors
    /// [`Misuse::Config`](crate::Misuse::Config) if a name is empty or over 255 bytes long.
    pub fn with_alpn(mut self, protocols: &[&[u8]]) -> Result<Self, Error> {
        self.alpn = Some(checked_alpn(protocols)?);
        Ok(self)
    }
}

/// A server's request for a certificate or raw public key of ours (RFC 9846 §4.4.2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CredentialRequest {
    /// What it wants to see.
    pub certificate_type: CertificateType,
    /// What it verifies in a CertificateVerify, in its order.
    pub schemes: Vec<SignatureScheme>,
    /// What it verifies in certificates, if that is something else.
    pub certificate_schemes: Option<Vec<SignatureScheme>>,
    /// The authorities that it knows, as DER names; empty if it does not say. A hint, and no limit.
    pub authorities: Vec<Vec<u8>>,
}

/// A signature that somebody else is to make (RFC 9846 §4.5.2).
#[derive(Clone, Debug)]
pub struct SignatureRequest {
    /// Whose key.
    pub credential: Arc<Credential>,
    /// With which scheme.
    pub scheme: SignatureScheme,
    /// Over these bytes, which are not hashed yet. They hold no secret.
    pub message: Vec<u8>,
}

/// What the peer showed of itself.
#[derive(Clone, Debug, Default)]
pub struct PeerCertificates {
    /// The chain, leaf first, as it came; empty if there is a raw public key.
    pub chain: Vec<CertificateDer<'static>>,
    /// The DER SubjectPublicKeyInfo that the peer showed in place of a chain (RFC 7250).
    pub raw_public_key: Option<SubjectPublicKeyInfoDer<'static>>,
    /// The name that the server should have; `None` on a server, whose clients have none.
    pub name: Option<ServerName<'static>>,
    /// The stapled OCSP response, not checked; empty if there is none.
    pub ocsp: Vec<u8>,
    /// The signed certificate timestamps, not checked.
    pub scts: Vec<Vec<u8>>,
    /// Whether the peer was asked for an OCSP response.
    pub asked_for_ocsp: bool,
}

impl PeerCertificates {
    /// What came beside the chain, for [`Verifier::verify`](crate::Verifier::verify).
    #[must_use]
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence { ocsp: &self.ocsp, scts: &self.scts, asked_for_ocsp: self.asked_for_ocsp }
    }
}

impl PeerCertificates {
    /// Whether the peer has shown nothing: a client's way to say that it has nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.chain.is_empty() && self.raw_public_key.is_none()
    }
}
