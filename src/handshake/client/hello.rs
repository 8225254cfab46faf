//! The client's hellos: ClientHello, HelloRetryRequest, ServerHello and EncryptedExtensions (RFC 9846 §4.2, §4.4.1).

use std::sync::Arc;

use pki_types::{DnsName, ServerName};

use super::{State, WaitCertificateRequest};
use crate::codepoints::{
    CipherSuiteId, ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme,
};
use crate::config::ClientConfig;
use crate::crypto::{CipherSuite, KeyPair};
use crate::error::{Error, NoOverlap, Violation};
use crate::handshake::{Effect, Effects, Summary, ensure, log_secret};
use crate::key_schedule::{EarlySecret, HandshakeSecret};
use crate::message::{
    EncryptedExtensions, HelloFields, Message, ServerHello, ServerShare, write_client_hello,
};
use crate::secret::Secret;
use crate::transcript::Transcript;

/// What every state of a client needs: who it is, whom it talks to, and what it said first.
pub(crate) struct Client {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
    alpn: Vec<Vec<u8>>,
    pub(crate) random: [u8; 32],
    /// Empty without middlebox compatibility.
    legacy_session_id: Vec<u8>,
    /// Whether change_cipher_spec still has to be sent (RFC 9846 Appendix E.4).
    pub(crate) owes_change_cipher_spec: bool,
    pub(crate) offer: Offer,
}

/// What our ClientHello offered, read back from the message itself: the one thing that counts.
#[derive(Default)]
pub(crate) struct Offer {
    suites: Vec<CipherSuiteId>,
    groups: Vec<NamedGroup>,
    pub(crate) schemes: Vec<SignatureScheme>,
    alpn: Vec<Vec<u8>>,
    extensions: Vec<ExtensionType>,
}

impl Offer {
    fn of(raw: &[u8]) -> Result<Self, Error> {
        let Message::ClientHello(hello) = Message::read(raw)? else {
            return Err(Error::Decode("ClientHello"));
        };
        let alpn = hello.alpn.unwrap_or_default();
        Ok(Self {
            suites: hello.suites.iter().map(CipherSuiteId).collect(),
            groups: hello.groups.unwrap_or_default().iter().map(NamedGroup).collect(),
            schemes: hello.schemes.unwrap_or_default().iter().map(SignatureScheme).collect(),
            alpn: alpn.iter().map(|name| name.to_vec()).collect(),
            extensions: hello.extensions.iter().map(|(kind, _)| kind).collect(),
        })
    }

    /// Whether the ClientHello had this extension, so that an answer to it is solicited (RFC 9846 §4.3).
    pub(crate) fn has(&self, kind: ExtensionType) -> bool {
        self.extensions.contains(&kind)
    }
}

/// The key pairs whose shares are in the ClientHello.
type KeyPairs = Vec<(NamedGroup, Box<dyn KeyPair>)>;

/// START: sends the first ClientHello.
pub(crate) fn start(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    alpn: Vec<Vec<u8>>,
    fx: &mut Effects,
) -> Result<State, Error> {
    let rng = &config.common.provider.rng;
    let mut random = [0; 32];
    rng.fill(&mut random)?;
    // RFC 9846 §4.2.2: in compatibility mode not empty, and unpredictable.
    let mut legacy_session_id = Vec::new();
    if config.middlebox_compatibility {
        legacy_session_id.resize(32, 0);
        rng.fill(&mut legacy_session_id)?;
    }
    let groups = config.key_shares.clone();
    let mut client = Client {
        name,
        alpn,
        random,
        owes_change_cipher_spec: config.middlebox_compatibility,
        legacy_session_id,
        offer: Offer::default(),
        config,
    };
    let key_pairs = client.generate(&groups)?;
    let hello = client.hello(&key_pairs, None)?;
    fx.push(Effect::Send(hello.clone()));
    Ok(State::WaitServerHello(WaitServerHello { client, key_pairs, hello, retry: None }))
}

impl Client {
    fn generate(&self, groups: &[NamedGroup]) -> Result<KeyPairs, Error> {
        let common = &self.config.common;
        let mut key_pairs = KeyPairs::new();
        for id in groups {
            let group = common.group(*id).ok_or(Violation::UnofferedGroup)?;
            key_pairs.push((*id, group.generate(&*common.provider.rng)?));
        }
        Ok(key_pairs)
    }

    /// Writes a ClientHello and notes what it offers.
    fn hello(&mut self, key_pairs: &KeyPairs, cookie: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        let config = &self.config;
        let common = &config.common;
        let authorities = match config.verifier.anchors() {
            Some(anchors) if config.send_authorities => anchors.subjects(),
            _ => Vec::new(),
        };
        let hello = write_client_hello(&HelloFields {
            random: &self.random,
            legacy_session_id: &self.legacy_session_id,
            suites: common.suites.iter().map(|s| s.id).collect(),
            server_name: self.sni(),
            groups: &common.groups,
            key_shares: key_pairs.iter().map(|(group, pair)| (*group, pair.share())).collect(),
            schemes: &common.schemes,
            certificate_schemes: &common.certificate_schemes,
            alpn: &self.alpn,
            authorities: &authorities,
            cookie,
            wants_status: config.request_status,
            wants_scts: config.request_scts,
            pad_to_multiple_of: config.hello_padding,
        })?;
        let hello = common.finished_message(hello);
        self.offer = Offer::of(&hello)?;
        Ok(hello)
    }

    /// RFC 6066 §3: only DNS names are sent.
    fn sni(&self) -> Option<&DnsName<'static>> {
        match &self.name {
            ServerName::DnsName(name) if self.config.send_server_name => Some(name),
            _ => None,
        }
    }

    /// What ServerHello and HelloRetryRequest have in common. Returns the suite.
    fn check_hello(&self, hello: &ServerHello<'_>) -> Result<&'static CipherSuite, Error> {
        // RFC 9846 §4.3.1: the version comes before anything else.
        let Some(version) = hello.selected_version else {
            // RFC 9846 §4.2.3: a server that can speak TLS 1.3 marks an answer in an older version.
            ensure(!hello.is_downgraded(), Violation::Downgrade)?;
            return Err(NoOverlap::Version(vec![hello.legacy_version]).into());
        };
        ensure(version == ProtocolVersion::TLSv1_3, Violation::BadSelectedVersion)?;
        // RFC 9846 §4.2.3
        ensure(hello.legacy_version == ProtocolVersion::TLSv1_2, Violation::LegacyVersion)?;
        let echoed = hello.legacy_session_id_echo == self.legacy_session_id;
        ensure(echoed, Violation::SessionIdNotEchoed)?;
        ensure(hello.legacy_compression_method == 0, Violation::CompressionSelected)?;
        ensure(self.offer.suites.contains(&hello.suite), Violation::UnofferedCipherSuite)?;
        let suite = self.config.common.suite(hello.suite);
        // RFC 9846 §4.2.4: the cookie is the one thing that nobody has to ask for.
        let solicited = |kind| self.offer.has(kind) || kind == ExtensionType::cookie;
        hello.extensions.map_or(Ok(()), |extensions| extensions.ensure_solicited(solicited))?;
        Ok(suite.ok_or(Violation::UnofferedCipherSuite)?)
    }
}

/// ClientHello is out; the server owes ServerHello or, once, HelloRetryRequest.
pub(crate) struct WaitServerHello {
    client: Client,
    key_pairs: KeyPairs,
    /// The ClientHello, to be hashed when the hash is known.
    hello: Vec<u8>,
    /// After HelloRetryRequest.
    retry: Option<Retried>,
}

/// What the server fixed in its HelloRetryRequest.
struct Retried {
    suite: CipherSuiteId,
    group: Option<NamedGroup>,
    transcript: Transcript,
}

impl WaitServerHello {
    /// RFC 9846 §4.2.4: checks the request, and sends ClientHello again.
    pub(super) fn on_hello_retry_request(
        mut self,
        retry: &ServerHello<'_>,
        fx: &mut Effects,
    ) -> Result<State, Error> {
        ensure(self.retry.is_none(), Violation::SecondRetry)?;
        let suite = self.client.check_hello(retry)?;
        let group = match retry.key_share {
            Some(ServerShare::Group(group)) => Some(group),
            _ => None,
        };
        ensure(group.is_some() || retry.cookie.is_some(), Violation::UselessRetry)?;
        if let Some(group) = group {
            // RFC 9846 §4.3.8: one that we offered, and sent no share for.
            let sent = self.key_pairs.iter().any(|(sent, _)| *sent == group);
            let offered = self.client.offer.groups.contains(&group);
            ensure(offered && !sent, Violation::BadRetryGroup)?;
            ensure(self.client.config.common.group(group).is_some(), Violation::BadRetryGroup)?;
        }
        fx.push(Effect::EndOfFlight);

        let hash = suite.hash.digest(&self.hello);
        let mut transcript = Transcript::after_retry(suite.hash, hash.as_ref(), retry.raw);
        if let Some(group) = group {
            self.key_pairs = self.client.generate(&[group])?;
        }
        let hello = self.client.hello(&self.key_pairs, retry.cookie)?;
        transcript.add(&hello);
        if std::mem::take(&mut self.client.owes_change_cipher_spec) {
            fx.push(Effect::ChangeCipherSpec);
        }
        fx.push(Effect::Send(hello));

        let retry = Some(Retried { suite: suite.id, group, transcript });
        Ok(State::WaitServerHello(Self { hello: Vec::new(), retry, ..self }))
    }

    /// RFC 9846 §4.2.3: checks the answer, then moves both directions to handshake keys.
    pub(super) fn on_server_hello(
        self,
        hello: &ServerHello<'_>,
        fx: &mut Effects,
    ) -> Result<State, Error> {
        let suite = self.client.check_hello(hello)?;
        let Some(ServerShare::Entry(group, share)) = hello.key_share else {
            return Err(Violation::NoKeyExchange.into());
        };
        if let Some(retry) = &self.retry {
            // RFC 9846 §4.2.4 and §4.3.8: what HelloRetryRequest fixed is fixed.
            ensure(hello.suite == retry.suite, Violation::RetrySuiteChanged)?;
            let same_group = retry.group.is_none_or(|asked| asked == group);
            ensure(same_group, Violation::RetryGroupChanged)?;
        }
        let key_pair = self.key_pairs.into_iter().find(|(sent, _)| *sent == group);
        let (_, key_pair) = key_pair.ok_or(Violation::UnofferedGroup)?;
        let shared = key_pair.agree(share).map_err(|_| Violation::BadKeyShare)?;

        let retried = self.retry.is_some();
        let mut transcript = match self.retry {
            Some(retry) => retry.transcript,
            None => Transcript::new(suite.hash, &self.hello),
        };
        transcript.add(hello.raw);
        let client = self.client;
        let schedule = EarlySecret::without_psk(suite.hash).handshake(&shared);
        let hash = transcript.current();
        let (ours, theirs) = (schedule.client_traffic(&hash), schedule.server_traffic(&hash));
        let common = &client.config.common;
        log_secret(common, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", &client.random, &ours);
        log_secret(common, "SERVER_HANDSHAKE_TRAFFIC_SECRET", &client.random, &theirs);
        fx.push(Effect::ReadKey(suite, theirs));
        // RFC 9846 Appendix E.4: before the second flight, which can also be an alert.
        if client.owes_change_cipher_spec {
            fx.push(Effect::ChangeCipherSpecFirst);
        }
        fx.push(Effect::WriteKey(suite, ours));

        let mut summary = Summary::new(suite, group, retried);
        summary.server_name = Some(client.name.clone());
        let flow = Flow { client, suite, transcript, schedule, hello_hash: hash, summary };
        Ok(State::WaitEncryptedExtensions(WaitEncryptedExtensions { flow }))
    }
}

/// What every state after ServerHello needs.
pub(crate) struct Flow {
    pub(crate) client: Client,
    pub(crate) suite: &'static CipherSuite,
    pub(crate) transcript: Transcript,
    schedule: HandshakeSecret,
    /// The transcript up to ServerHello, from which the handshake's traffic secrets are derived.
    hello_hash: crate::crypto::HashValue,
    pub(crate) summary: Summary,
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

    pub(crate) fn schedule(&self) -> &HandshakeSecret {
        &self.schedule
    }
}

/// Handshake keys are in place; EncryptedExtensions must come next.
pub(crate) struct WaitEncryptedExtensions {
    flow: Flow,
}

impl WaitEncryptedExtensions {
    /// RFC 9846 §4.4.1
    pub(super) fn on_encrypted_extensions(
        mut self,
        message: &EncryptedExtensions<'_>,
    ) -> Result<State, Error> {
        let offer = &self.flow.client.offer;
        message.extensions.ensure_solicited(|kind| offer.has(kind))?;
        if let Some(selected) = message.alpn {
            // RFC 7301 §3.1: one of those that we offered.
            ensure(offer.alpn.iter().any(|name| name == selected), Violation::BadAlpn)?;
        }

        self.flow.transcript.add(message.raw);
        self.flow.summary.alpn = message.alpn.map(<[u8]>::to_vec);

        Ok(State::WaitCertificateRequest(WaitCertificateRequest { flow: self.flow }))
    }
}
