//! The handshake (RFC 9846 §4): two state machines that consume messages and answers, and push ordered effects.
//!
//! A handler checks, works, and returns the next state. It never touches records: [`Effects`] says what is to happen,
//! and the connection, or a QUIC stack, makes it happen.

pub(crate) mod auth;
pub(crate) mod client;
pub(crate) mod compression;
pub(crate) mod post;
pub(crate) mod post_auth;
pub(crate) mod psk;
pub(crate) mod server;

use std::sync::Arc;

use pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};

use self::auth::Verdict;
use self::post_auth::PostAuth;
use self::psk::{SessionKeeper, TicketIssuer};
use crate::codepoints::{
    CertificateType, CipherSuiteId, NamedGroup, ProtocolVersion, SignatureScheme,
};
use crate::config::{Common, ServerConfig};
use crate::crypto::{CipherSuite, Provider};
use crate::decision::{Answer, PeerCertificates, Question};
use crate::error::{CertificateError, Error, Violation};
use crate::key_schedule::Exporter;
use crate::limits::Budget;
use crate::message::Message;
use crate::secret::Secret;
use crate::session::{ExternalIdentity, PeerIdentity};
use crate::transcript::Transcript;
use crate::verify::{CertificateName, Evidence, Purpose, TrustVersion, Verifier};

/// What moves a state machine: a message of the peer, or an answer of the application.
#[allow(clippy::large_enum_variant)] // it lives for the length of one call, on the stack
pub(crate) enum Input<'a> {
    Message(Message<'a>),
    Answer(Answer),
}

impl Input<'_> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Message(message) => message.name(),
            Self::Answer(_) => "an answer",
        }
    }
}

/// What a transition wants done.
pub(crate) enum Effect {
    /// Send this handshake message, in one flight with those around it.
    Send(Vec<u8>),
    /// Send the message that makes middleboxes believe in TLS 1.2.
    ChangeCipherSpec,
    /// The same, but right before our next record, whatever that is: an alert, too.
    ChangeCipherSpecFirst,
    /// From here on send under this traffic secret.
    WriteKey(&'static CipherSuite, Secret),
    /// From here on receive under this traffic secret. Nothing may be left of the record that led here.
    ReadKey(&'static CipherSuite, Secret),
    /// From here on receive up to so many bytes of early data under this traffic secret.
    ReadEarlyKey(&'static CipherSuite, Secret, usize),
    /// From here on up to `max` bytes of early data can be sent, in this protocol and under this traffic secret.
    WriteEarlyKey { suite: &'static CipherSuite, secret: Secret, max: usize, alpn: Option<Vec<u8>> },
    /// Send in clear again: the server wants another ClientHello.
    DropWriteKey,
    /// The server has answered the offer of early data.
    EarlyDataAnswer { accepted: bool },
    /// No more early data can be sent.
    EndOfEarlyData,
    /// Data can be sent although the handshake is not complete: the client is known by its pre-shared key.
    HalfRtt(Box<(Summary, Exporter)>),
    /// Drop the early data that follows the ClientHello, at least so many bytes of it.
    SkipEarlyData(usize),
    /// The peer's flight ends here: nothing may be left of its record.
    EndOfFlight,
    /// The peer may send change_cipher_spec, until it has sent Finished.
    PeerHello,
    /// The peer has sent Finished.
    PeerFinished,
    /// Go by these settings from here on: another configuration was chosen.
    Configure(Arc<ServerConfig>),
    /// Ask the application, and wait.
    Ask(Question),
    /// The client has answered a request after the handshake. If it is known now, this is the policy that its tickets are
    /// issued under from here on.
    ClientAnswered { known: Option<[u8; 32]> },
    /// The handshake is complete.
    Complete(Box<Established>),
}

/// What a transition wants done, in order; what it may know of the world; and what it may cost.
pub(crate) struct Effects<'a> {
    pub(crate) now: UnixTime,
    pub(crate) budget: &'a mut Budget,
    list: Vec<Effect>,
}

impl<'a> Effects<'a> {
    pub(crate) fn new(now: UnixTime, budget: &'a mut Budget) -> Self {
        Self { now, budget, list: Vec::new() }
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    pub(crate) fn into_list(self) -> Vec<Effect> {
        self.list
    }

    /// Adds a message of ours to the transcript and sends it.
    pub(crate) fn send(&mut self, common: &Common, transcript: &mut Transcript, message: Vec<u8>) {
        let message = common.finished_message(message);
        transcript.add(&message);
        self.push(Effect::Send(message));
    }
}

/// What a complete handshake leaves behind.
pub(crate) struct Established {
    pub(crate) summary: Summary,
    pub(crate) exporter: Exporter,
    /// On a server that has tickets, for a client that can use them.
    pub(crate) issuer: Option<TicketIssuer>,
    /// On a client that keeps sessions.
    pub(crate) keeper: Option<SessionKeeper>,
    /// If the client can be asked who it is later.
    pub(crate) post_auth: Option<PostAuth>,
}

/// What became of early data (RFC 9846 §4.3.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EarlyData {
    /// The client offered none.
    #[default]
    NotOffered,
    /// The server took it.
    Accepted,
    /// The server did not take it. Whatever was sent is lost, and the client decides whether to send it again.
    Rejected,
}

/// What was negotiated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// The protocol version, which is TLS 1.3.
    pub version: ProtocolVersion,
    /// The cipher suite.
    pub suite: CipherSuiteId,
    /// The key exchange group.
    pub group: Option<NamedGroup>,
    /// What the peer signed its CertificateVerify with; `None` if it did not authenticate.
    pub peer_scheme: Option<SignatureScheme>,
    /// What we signed ours with; `None` if we did not authenticate.
    pub own_scheme: Option<SignatureScheme>,
    /// The application protocol (RFC 7301).
    pub alpn: Option<Vec<u8>>,
    /// On a client the name that it connected to. On a server the DNS name that the client sent.
    pub server_name: Option<ServerName<'static>>,
    /// The peer's certificates, leaf first, as they came; empty if it did not authenticate with any.
    pub peer_chain: Vec<CertificateDer<'static>>,
    /// The raw public key that the peer authenticated with in place of certificates: a DER SubjectPublicKeyInfo
    /// (RFC 7250).
    pub peer_raw_public_key: Option<SubjectPublicKeyInfoDer<'static>>,
    /// The OCSP response that came with the peer's leaf, now or in the session that was resumed, as it came; empty if there
    /// was none.
    pub peer_ocsp: Vec<u8>,
    /// The certificate timestamps that came with the peer's leaf, now or in the session that was resumed, as they came.
    pub peer_scts: Vec<Vec<u8>>,
    /// Which versions of what is in [`Shared`](crate::Shared) handles have judged the peer, or hold now what judged it in the
    /// session that was resumed. `None` if the application judged itself, nobody had to be judged, or the connection came
    /// from another process, whose versions mean nothing here.
    pub trust_version: Option<TrustVersion>,
    /// The last second in which what the verifier has accepted is good, beside the certificates themselves; `u64::MAX` if
    /// it says nothing about that. Sessions end then.
    pub(crate) peer_until: u64,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The identity of the external pre-shared key that the connection rests on, in place of certificates; or that the session
    /// rests on that was resumed.
    pub external_psk: Option<Vec<u8>>,
    /// Tells it from other keys of that name; zeros without a key.
    pub(crate) external_tag: [u8; 32],
    /// What became of early data.
    pub early_data: EarlyData,
    /// Whether it took a HelloRetryRequest, and so a round trip more.
    pub retried: bool,
    /// On a server that resumed: by how many milliseconds the ticket is older, as the client says, than it is by our clock.
    /// Clocks that run apart show here, and delays, and replays of an old ClientHello (RFC 9846 §8.3).
    pub ticket_age_skew: Option<i64>,
    /// What the peer is.
    pub(crate) peer_purpose: Purpose,
}

impl Summary {
    /// Whether the key exchange resists a quantum computer.
    #[must_use]
    pub fn is_post_quantum(&self) -> bool {
        self.group.is_some_and(NamedGroup::is_post_quantum)
    }

    /// What the peer authenticated with, now or in the session that was resumed; `None` if it did not.
    #[must_use]
    pub fn peer_certificate_type(&self) -> Option<CertificateType> {
        match (&self.peer_raw_public_key, self.peer_chain.is_empty()) {
            (Some(_), _) => Some(CertificateType::RawPublicKey),
            (None, false) => Some(CertificateType::X509),
            (None, true) => None,
        }
    }

    /// The names in the peer's certificate, its subject first: to authorise by, without a parser of one's own. They are as
    /// true as the verdict that accepted the peer was strict; none if it showed no certificate.
    #[must_use]
    pub fn peer_names(&self) -> Vec<CertificateName> {
        self.peer_chain.first().map(CertificateName::all_of).unwrap_or_default()
    }

    /// Asks again whether the peer is to be trusted, by what `verifier` goes by now, and says by which versions. The
    /// connection is not touched: whoever is no longer trusted is to be sent away by the caller.
    ///
    /// A peer that showed nothing, and one that rests on a pre-shared key from elsewhere, is not judged here: `Ok(None)`.
    /// The OCSP response and timestamps count that came in the handshake, or in that of the session that was resumed.
    ///
    /// # Errors
    /// Why the peer would not be accepted now.
    pub fn recheck(
        &self,
        provider: &Provider,
        verifier: &Verifier,
        now: UnixTime,
    ) -> Result<Option<TrustVersion>, CertificateError> {
        let verifier = verifier.current();
        if let Some(key) = &self.peer_raw_public_key {
            verifier.verify_raw_public_key(provider, key)?;
            return Ok(None);
        }
        if self.peer_chain.is_empty() {
            return Ok(None);
        }
        let name = self.server_name.as_ref().filter(|_| self.peer_purpose == Purpose::Server);
        let evidence = Evidence {
            ocsp: &self.peer_ocsp,
            scts: &self.peer_scts,
            asked_for_ocsp: !self.peer_ocsp.is_empty(),
        };
        let (chain, purpose) = (&self.peer_chain, self.peer_purpose);
        let budget = &mut Budget::default();
        verifier.verify_within(budget, provider, chain, purpose, name, now, evidence)?;
        Ok(verifier.version_for(chain))
    }

    /// Notes what the peer showed, and was accepted, and by which versions.
    fn set_peer(&mut self, peer: PeerCertificates, verdict: Verdict) {
        self.trust_version = verdict.version;
        self.peer_chain = peer.chain;
        self.peer_raw_public_key = peer.raw_public_key;
        self.peer_ocsp = peer.ocsp;
        self.peer_scts = peer.scts;
        self.peer_until = verdict.until;
    }

    /// Notes who the peer was in the session that is resumed. If `verifier` judged it then, it goes by the same now.
    fn resume(&mut self, peer: PeerIdentity, verifier: Option<&Verifier>) {
        self.resumed = true;
        self.trust_version = verifier.and_then(|verifier| verifier.version_for(&peer.chain));
        self.peer_chain = peer.chain;
        self.peer_raw_public_key = peer.raw_public_key;
        self.peer_ocsp = peer.ocsp;
        self.peer_scts = peer.scts;
        self.peer_until = peer.until;
        self.rest_on(peer.external);
    }

    /// Notes the external key that the connection rests on, itself or through the session that is resumed.
    fn rest_on(&mut self, key: Option<ExternalIdentity>) {
        self.external_tag = key.as_ref().map_or([0; 32], |key| key.tag);
        self.external_psk = key.map(|key| key.name);
    }

    /// Who the peer is, for a session.
    pub(crate) fn peer(&self) -> PeerIdentity {
        let raw_public_key = self.peer_raw_public_key.clone();
        let (chain, until) = (self.peer_chain.clone(), self.peer_until);
        let name = self.external_psk.clone();
        let external = name.map(|name| ExternalIdentity { name, tag: self.external_tag });
        let (ocsp, scts) = (self.peer_ocsp.clone(), self.peer_scts.clone());
        PeerIdentity { chain, raw_public_key, ocsp, scts, external, until }
    }

    fn new(
        suite: &'static CipherSuite,
        group: Option<NamedGroup>,
        retried: bool,
        peer_purpose: Purpose,
    ) -> Self {
        Self {
            version: ProtocolVersion::TLSv1_3,
            suite: suite.id,
            group,
            peer_scheme: None,
            own_scheme: None,
            alpn: None,
            server_name: None,
            peer_chain: Vec::new(),
            peer_raw_public_key: None,
            peer_ocsp: Vec::new(),
            peer_scts: Vec::new(),
            trust_version: None,
            peer_until: u64::MAX,
            resumed: false,
            external_psk: None,
            external_tag: [0; 32],
            early_data: EarlyData::NotOffered,
            retried,
            ticket_age_skew: None,
            peer_purpose,
        }
    }
}

/// One MUST of the RFC: `ensure(what it requires, the rule that is broken otherwise)?`
pub(crate) fn ensure(holds: bool, broken: Violation) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(broken.into()) }
}

/// Who writes which secret into the key log.
pub(crate) fn log_secret(common: &Common, label: &str, client_random: &[u8; 32], secret: &Secret) {
    if let Some(key_log) = &common.key_log {
        key_log.log(label, client_random, secret.expose());
    }
}
