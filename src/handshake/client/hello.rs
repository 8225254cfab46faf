//! The client's hellos: ClientHello, HelloRetryRequest and ServerHello (RFC 9846 §4.2).

use std::sync::Arc;

use pki_types::{DnsName, ServerName};

use super::State;
use super::parameters::{Flow, WaitEncryptedExtensions};
use super::psk::{self, EarlyOffer, Offered, Resumed, Taken};
use crate::codepoints::{
    CertificateType, CipherSuiteId, ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme,
};
use crate::config::ClientConfig;
use crate::credential::Credential;
use crate::crypto::{CipherSuite, KeyPair};
use crate::error::{Error, NoOverlap, Violation};
use crate::handshake::{EarlyData, Effect, Effects, Summary, ensure, log_secret};
use crate::key_schedule::EarlySecret;
use crate::message::{Grease, HelloFields, Message, ServerHello, ServerShare, write_client_hello};
use crate::session::SessionKey;
use crate::transcript::Transcript;
use crate::verify::{Purpose, Verifier};

/// What every state of a client needs: who it is, whom it talks to, and what it said first.
pub(crate) struct Client {
    pub(crate) config: Arc<ClientConfig>,
    /// Whom it trusts: what was in the configuration's handles when it began.
    pub(crate) verifier: Verifier,
    /// Who it is: likewise.
    pub(crate) credentials: Arc<Vec<Arc<Credential>>>,
    pub(crate) name: ServerName<'static>,
    alpn: Vec<Vec<u8>>,
    pub(crate) random: [u8; 32],
    /// RFC 8701: the same in both ClientHellos.
    grease: Option<Grease>,
    /// Empty without middlebox compatibility.
    legacy_session_id: Vec<u8>,
    /// What became of early data before ServerHello.
    early_data: EarlyData,
    pub(crate) session_key: SessionKey,
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
    pub(super) alpn: Vec<Vec<u8>>,
    extensions: Vec<ExtensionType>,
    /// What we can show.
    pub(super) client_types: Vec<CertificateType>,
    /// What the server may show.
    pub(super) server_types: Vec<CertificateType>,
}

impl Offer {
    fn of(raw: &[u8], grease: Option<Grease>) -> Result<Self, Error> {
        let Message::ClientHello(hello) = Message::read(raw)? else {
            return Err(Error::Decode("ClientHello"));
        };
        let mut alpn = hello.alpn.unwrap_or_default();
        // RFC 8701 §3.1: what nobody knows was not offered, and cannot be selected.
        let real = |value: &u16| grease.is_none() || !Grease::has(*value);
        alpn.retain(|name| grease.is_none_or(|grease| *name != grease.protocol()));
        Ok(Self {
            suites: hello.suites.iter().filter(real).map(CipherSuiteId).collect(),
            groups: hello.groups.unwrap_or_default().iter().filter(real).map(NamedGroup).collect(),
            schemes: hello
                .schemes
                .unwrap_or_default()
                .iter()
                .filter(real)
                .map(SignatureScheme)
                .collect(),
            alpn: alpn.iter().map(|name| name.to_vec()).collect(),
            extensions: hello
                .extensions
                .iter()
                .map(|(kind, _)| kind)
                .filter(|kind| real(&kind.0))
                .collect(),
            client_types: hello.client_certificate_types.unwrap_or(vec![CertificateType::X509]),
            server_types: hello.server_certificate_types.unwrap_or(vec![CertificateType::X509]),
        })
    }

    /// Whether the ClientHello had this extension, so that an answer to it is solicited (RFC 9846 §4.3).
    pub(crate) fn has(&self, kind: ExtensionType) -> bool {
        self.extensions.contains(&kind)
    }
}

/// The key pairs whose shares are in the ClientHello.
type KeyPairs = Vec<(NamedGroup, Box<dyn KeyPair>)>;

/// What we can show, in the order of the credentials (RFC 7250 §4.1).
fn certificate_types(credentials: &[Arc<Credential>]) -> Vec<CertificateType> {
    let mut types = Vec::new();
    for credential in credentials {
        if !types.contains(&credential.certificate_type()) {
            types.push(credential.certificate_type());
        }
    }
    types
}

/// START: sends the first ClientHello.
pub(crate) fn start(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    alpn: Vec<Vec<u8>>,
    fx: &mut Effects<'_>,
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
    let grease = config.common.draw_grease()?;
    let groups = config.key_shares.clone();
    let (verifier, (credentials, _)) = (config.verifier.current(), config.credentials.current());
    let session_key = config.session_key_of(&name, &verifier, &credentials);
    let offers = psk::offers(&config, &session_key, fx.now);
    let mut client = Client {
        verifier,
        credentials,
        session_key,
        name,
        alpn,
        random,
        owes_change_cipher_spec: config.middlebox_compatibility,
        grease,
        legacy_session_id,
        early_data: EarlyData::NotOffered,
        offer: Offer::default(),
        config,
    };
    let key_pairs = client.generate(&groups)?;
    let early = offers.first().filter(|_| client.config.early_data);
    let early = early.and_then(|first| Some((first, first.for_early_data(&client.alpn)?)));
    let mut hello = client.hello(&key_pairs, None, &offers, early.is_some())?;
    psk::bind(&mut hello, &offers, || None)?;
    fx.push(Effect::Send(hello.clone()));
    let early = early.map(|(first, session)| client.begin_early_data(first, session, &hello, fx));
    Ok(State::WaitServerHello(WaitServerHello {
        client,
        key_pairs,
        hello,
        offers,
        early,
        retry: None,
    }))
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

    /// RFC 9846 §4.3.10: early data can be sent from here on, under a key that the first offer and `hello` give.
    fn begin_early_data(
        &mut self,
        first: &Offered,
        session: &Resumed,
        hello: &[u8],
        fx: &mut Effects<'_>,
    ) -> EarlyOffer {
        let suite = session.suite;
        let transcript = Transcript::new(suite.hash, hello).current();
        let secret = first.early_secret().client_traffic(&transcript);
        log_secret(&self.config.common, "CLIENT_EARLY_TRAFFIC_SECRET", &self.random, &secret);
        // RFC 9846 Appendix E.4: with early data, right after the first ClientHello.
        if std::mem::take(&mut self.owes_change_cipher_spec) {
            fx.push(Effect::ChangeCipherSpec);
        }
        let max = usize::try_from(session.max_early_data).unwrap_or(usize::MAX);
        let alpn = session.alpn.clone();
        fx.push(Effect::WriteEarlyKey { suite, secret, max, alpn: alpn.clone() });
        EarlyOffer { suite: suite.id, alpn }
    }

    /// Writes a ClientHello, in answer to `retry` if it is the second one, and notes what it offers. Its binders are still
    /// zeros.
    fn hello(
        &mut self,
        key_pairs: &KeyPairs,
        retry: Option<&ServerHello<'_>>,
        offers: &[Offered],
        early_data: bool,
    ) -> Result<Vec<u8>, Error> {
        let config = &self.config;
        let common = &config.common;
        let authorities = match self.verifier.anchors() {
            Some(anchors) if config.send_authorities => anchors.subjects(),
            _ => Vec::new(),
        };
        // RFC 9846 §4.2.2: if the server names a group, its share stands alone.
        let alone = retry.is_some_and(|retry| retry.key_share.is_some());
        let grease = self.grease.map(|grease| (grease.group(), &[0][..])).into_iter();
        let shares = key_pairs.iter().map(|(group, pair)| (*group, pair.share()));
        let groups: Vec<_> =
            self.grease.map(Grease::group).into_iter().chain(common.groups.clone()).collect();
        let server_types = self.verifier.certificate_types();
        // There is no status of a raw public key.
        let chains = server_types.contains(&CertificateType::X509);
        let hello = write_client_hello(&HelloFields {
            random: &self.random,
            legacy_session_id: &self.legacy_session_id,
            suites: { self.grease.map(Grease::suite).into_iter() }
                .chain(common.suites.iter().map(|s| s.id))
                .collect(),
            server_name: self.sni(),
            groups: &groups,
            key_shares: grease.filter(|_| !alone).chain(shares).collect(),
            schemes: &common.schemes,
            certificate_schemes: &common.certificate_schemes,
            alpn: &self.alpn,
            authorities: &authorities,
            cookie: retry.and_then(|retry| retry.cookie),
            wants_status: config.request_status && chains,
            wants_scts: config.request_scts && chains,
            pad_to_multiple_of: config.hello_padding,
            psk_modes: psk::modes(config),
            psks: offers.iter().map(Offered::on_wire).collect(),
            early_data,
            ticket_request: config.ticket_request.filter(|_| config.sessions.is_some()),
            post_handshake_auth: config.post_handshake_auth,
            client_certificate_types: match &config.certificate_types {
                Some(types) => types.clone(),
                None => certificate_types(&self.credentials),
            },
            server_certificate_types: server_types,
            compression: common.compression_algorithms(),
            grease: self.grease,
        })?;
        let hello = common.finished_message(hello);
        self.offer = Offer::of(&hello, self.grease)?;
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
    /// The pre-shared keys in it.
    offers: Vec<Offered>,
    early: Option<EarlyOffer>,
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
        fx: &mut Effects<'_>,
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
        // RFC 9846 §4.2.2: early data is over, and keys for another hash are of no use any more.
        if self.early.take().is_some() {
            self.client.early_data = EarlyData::Rejected;
            fx.push(Effect::DropWriteKey);
            fx.push(Effect::EarlyDataAnswer { accepted: false });
        }
        self.offers.retain(|offer| offer.is_for(suite.hash));
        let mut hello = self.client.hello(&self.key_pairs, Some(retry), &self.offers, false)?;
        let before = || Some(Transcript::after_retry(suite.hash, hash.as_ref(), retry.raw));
        psk::bind(&mut hello, &self.offers, before)?;
        transcript.add(&hello);
        if std::mem::take(&mut self.client.owes_change_cipher_spec) {
            fx.push(Effect::ChangeCipherSpec);
        }
        fx.push(Effect::Send(hello));

        let retry = Some(Retried { suite: suite.id, group, transcript });
        Ok(State::WaitServerHello(Self { hello: Vec::new(), retry, ..self }))
    }

    /// RFC 9846 §4.2.3: the server's key share; `None` if a pre-shared key is to stand alone.
    fn check_share<'a>(
        &self,
        hello: &ServerHello<'a>,
    ) -> Result<Option<(NamedGroup, &'a [u8])>, Error> {
        let share = match hello.key_share {
            Some(ServerShare::Entry(group, share)) => Some((group, share)),
            _ => None,
        };
        let any = share.is_some() || hello.selected_identity.is_some();
        ensure(any, Violation::NoKeyExchange)?;
        if let Some(retry) = &self.retry {
            // RFC 9846 §4.2.4 and §4.3.8: what HelloRetryRequest fixed is fixed.
            ensure(hello.suite == retry.suite, Violation::RetrySuiteChanged)?;
            let group = share.map(|(group, _)| group);
            let same_group = retry.group.is_none() || group.is_none() || retry.group == group;
            ensure(same_group, Violation::RetryGroupChanged)?;
        }
        Ok(share)
    }

    /// RFC 9846 §4.2.3: checks the answer, then moves both directions to handshake keys.
    pub(super) fn on_server_hello(
        self,
        hello: &ServerHello<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        // RFC 9846 §4.2.4
        let kept = self.retry.is_none() || hello.selected_version == Some(ProtocolVersion::TLSv1_3);
        ensure(kept, Violation::RetryVersionChanged)?;
        let suite = self.client.check_hello(hello)?;
        let share = self.check_share(hello)?;
        let group = share.map(|(group, _)| group);
        let taken = Taken::by_server(&self.client.config, self.offers, hello, suite, group)?;
        let shared = match share {
            Some((group, share)) => {
                let key_pair = self.key_pairs.into_iter().find(|(sent, _)| *sent == group);
                let (_, key_pair) = key_pair.ok_or(Violation::UnofferedGroup)?;
                Some(key_pair.agree(share).map_err(|_| Violation::BadKeyShare)?)
            }
            None => None,
        };

        let retried = self.retry.is_some();
        let mut transcript = match self.retry {
            Some(retry) => retry.transcript,
            None => Transcript::new(suite.hash, &self.hello),
        };
        transcript.add(hello.raw);
        let client = self.client;
        let index = taken.as_ref().map(|taken| taken.index);
        let mut summary = Summary::new(suite, group, retried, Purpose::Server);
        summary.server_name = Some(client.name.clone());
        summary.early_data = client.early_data;
        let early_secret = match taken {
            Some(taken) => {
                // What the application judges is not the verifier's.
                let asks = client.config.common.ask.verdict;
                let common = &client.config.common;
                taken.apply(&mut summary, common, (!asks).then_some(&client.verifier))
            }
            None => EarlySecret::without_psk(suite.hash),
        };
        let schedule = match &shared {
            Some(shared) => early_secret.handshake(shared),
            None => early_secret.handshake_without_exchange(),
        };
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
        // RFC 9846 §4.6: early data goes on until the server's Finished, if the server takes it.
        if self.early.is_none() {
            fx.push(Effect::WriteKey(suite, ours));
        }

        let flow = Flow {
            client,
            suite,
            transcript,
            schedule,
            hello_hash: hash,
            summary,
            sends_early_data: self.early.is_some(),
            client_type: CertificateType::X509,
            server_type: CertificateType::X509,
        };
        let early = self.early;
        Ok(State::WaitEncryptedExtensions(WaitEncryptedExtensions { flow, early, index }))
    }
}
