//! The server's hellos (RFC 9846 §4.2): check ClientHello, *choose* everything, then *emit* the first flight, or ask for
//! another ClientHello.

use std::sync::Arc;

use pki_types::ServerName;

use super::State;
use super::auth::Flow;
use crate::codepoints::{CipherSuiteId, NamedGroup, ProtocolVersion, SignatureScheme};
use crate::config::{ClientAuth, ServerConfig, ServerNamePolicy};
use crate::credential::Credential;
use crate::crypto::{CipherSuite, HashValue};
use crate::decision::{Answer, Choice, Question};
use crate::error::{Error, NoOverlap, Violation};
use crate::handshake::auth::{PendingSignature, Side, Wishes, choose_credential, send_certificate};
use crate::handshake::{Effect, Effects, Summary, ensure, log_secret};
use crate::key_schedule::EarlySecret;
use crate::message::{
    ClientHello, ClientHelloView, EncryptedFields, write_certificate_request,
    write_encrypted_extensions, write_hello_retry_request, write_server_hello,
};
use crate::retry::Retry;
use crate::transcript::Transcript;

/// START: nothing has come yet.
pub(crate) struct WaitClientHello {
    pub(crate) config: Arc<ServerConfig>,
}

impl WaitClientHello {
    /// RFC 9846 §4.2.2: the first ClientHello; or the second one of a connection that was forgotten in between.
    pub(super) fn on_client_hello(
        self,
        hello: &ClientHello<'_>,
        fx: &mut Effects,
    ) -> Result<State, Error> {
        check_hello(hello)?;
        fx.push(Effect::PeerHello);
        fx.push(Effect::EndOfFlight);

        if self.config.common.ask.client_hello {
            let view = ClientHelloView::new(hello);
            fx.push(Effect::Ask(Question::ClientHello(view.clone())));
            return Ok(State::WaitChoice(WaitChoice { config: self.config, hello: view }));
        }
        proceed(self.config, Choice::default(), hello, fx)
    }
}

/// The application chooses.
pub(crate) struct WaitChoice {
    config: Arc<ServerConfig>,
    hello: ClientHelloView,
}

impl WaitChoice {
    /// The choice is there, or is to be taken from the configuration.
    pub(super) fn on_choice(self, answer: Answer, fx: &mut Effects) -> Result<State, Error> {
        let mut choice = match answer {
            Answer::Choose(choice) => choice,
            Answer::Refuse(alert) => return Err(Error::Refused(alert)),
            _ => Choice::default(),
        };
        let config = match choice.config.take() {
            Some(config) => {
                fx.push(Effect::Configure(config.clone()));
                config
            }
            None => self.config,
        };
        proceed(config, choice, &self.hello.hello()?, fx)
    }
}

/// Goes on with a first ClientHello, when it is known what to use.
fn proceed(
    config: Arc<ServerConfig>,
    choice: Choice,
    hello: &ClientHello<'_>,
    fx: &mut Effects,
) -> Result<State, Error> {
    if let (Some(cookie), Some(key)) = (hello.cookie, &config.cookie_key) {
        // A stateless server: what it knew of the first ClientHello is in the cookie.
        let retry = key.open(cookie, fx.now, |id| config.common.suite(id))?;
        let next = WaitSecondClientHello { config: config.clone(), choice, retry };
        return next.take_up(hello, fx);
    }
    let plan = Plan::choose(&config, &choice, hello, None)?;
    if hello.offers_early_data {
        fx.push(Effect::SkipEarlyData);
    }
    match hello.share_for(plan.group) {
        Some(share) => {
            let transcript = Transcript::new(plan.suite.hash, hello.raw);
            emit(config, plan, hello, share, transcript, false, fx)
        }
        None => ask_again(config, choice, &plan, hello, fx),
    }
}

/// RFC 9846 §4.2.4: sends HelloRetryRequest.
fn ask_again(
    config: Arc<ServerConfig>,
    choice: Choice,
    plan: &Plan,
    hello: &ClientHello<'_>,
    fx: &mut Effects,
) -> Result<State, Error> {
    let mut retry = Retry {
        suite: plan.suite,
        group: plan.group,
        client_hello: plan.suite.hash.digest(hello.raw),
        invariants: plan.suite.hash.digest(&hello.invariants()),
        cookie: None,
    };
    if let Some(key) = &config.cookie_key {
        retry.cookie = Some(key.seal(&retry, fx.now)?);
    }
    let message = retry_message(&config, &retry, hello.legacy_session_id)?;
    fx.push(Effect::Send(message));
    // RFC 9846 Appendix E.4: right after the server's first message.
    if !hello.legacy_session_id.is_empty() {
        fx.push(Effect::ChangeCipherSpec);
    }
    Ok(State::WaitSecondClientHello(WaitSecondClientHello { config, choice, retry }))
}

/// The HelloRetryRequest for `retry`. It is the same whenever it is written.
fn retry_message(
    config: &ServerConfig,
    retry: &Retry,
    legacy_session_id: &[u8],
) -> Result<Vec<u8>, Error> {
    let cookie = retry.cookie.as_deref();
    let message =
        write_hello_retry_request(legacy_session_id, retry.suite.id, retry.group, cookie)?;
    Ok(config.common.finished_message(message))
}

/// HelloRetryRequest is out; ClientHello must come again.
pub(crate) struct WaitSecondClientHello {
    config: Arc<ServerConfig>,
    choice: Choice,
    retry: Retry,
}

impl WaitSecondClientHello {
    /// RFC 9846 §4.2.2
    pub(super) fn on_client_hello(
        self,
        hello: &ClientHello<'_>,
        fx: &mut Effects,
    ) -> Result<State, Error> {
        check_hello(hello)?;
        // RFC 9846 §4.3.2
        let echoed = self.retry.cookie.is_none() || hello.cookie == self.retry.cookie.as_deref();
        ensure(echoed, Violation::CookieNotEchoed)?;
        fx.push(Effect::EndOfFlight);

        self.take_up(hello, fx)
    }

    /// Checks that only what may change has changed, and goes on.
    fn take_up(self, hello: &ClientHello<'_>, fx: &mut Effects) -> Result<State, Error> {
        let Self { config, choice, retry } = self;
        let hash = retry.suite.hash;
        // RFC 9846 §4.2.2
        let unchanged = hash.digest(&hello.invariants()) == retry.invariants;
        ensure(unchanged, Violation::ChangedClientHello)?;
        ensure(!hello.offers_early_data, Violation::EarlyDataAfterRetry)?;
        let shares = hello.key_shares.as_deref().unwrap_or_default();
        let &[(group, share)] = shares else {
            return Err(Violation::RetryIgnored.into());
        };
        ensure(group == retry.group, Violation::RetryIgnored)?;
        let plan = Plan::choose(&config, &choice, hello, Some(&retry))?;

        let message = retry_message(&config, &retry, hello.legacy_session_id)?;
        let mut transcript = Transcript::after_retry(hash, retry.client_hello.as_ref(), &message);
        transcript.add(hello.raw);
        emit(config, plan, hello, share, transcript, true, fx)
    }
}

/// What RFC 9846 asks of every ClientHello.
fn check_hello(hello: &ClientHello<'_>) -> Result<(), Error> {
    // RFC 9846 §4.3.1: only supported_versions counts, and without it the client is older than TLS 1.3.
    let versions = || hello.versions.unwrap_or_default().iter().map(ProtocolVersion);
    if !versions().any(|version| version == ProtocolVersion::TLSv1_3) {
        let offered = match hello.versions {
            Some(_) => versions().collect(),
            None => vec![hello.legacy_version],
        };
        return Err(NoOverlap::Version(offered).into());
    }
    // RFC 9846 §4.2.2
    ensure(hello.legacy_version == ProtocolVersion::TLSv1_2, Violation::LegacyVersion)?;
    ensure(hello.legacy_compression_methods == [0], Violation::LegacyCompression)?;
    // RFC 9846 §9.2
    let has_modes = hello.has(crate::codepoints::ExtensionType::psk_key_exchange_modes);
    ensure(!hello.offers_psk || has_modes, Violation::MissingPskModes)?;
    ensure(hello.schemes.is_some(), Violation::MissingSignatureAlgorithms)?;
    let groups = hello.groups.ok_or(Violation::MissingSupportedGroups)?;
    let shares = hello.key_shares.as_deref().ok_or(Violation::MissingKeyShare)?;

    // RFC 9846 §4.3.8. Sorted, so that long lists cost n log n.
    let mut groups: Vec<u16> = groups.iter().collect();
    groups.sort_unstable();
    let mut shared: Vec<u16> = shares.iter().map(|(group, _)| group.0).collect();
    shared.sort_unstable();
    let twice = shared.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    ensure(!twice, Violation::DuplicateKeyShare)?;
    let listed = shared.iter().all(|group| groups.binary_search(group).is_ok());
    ensure(listed, Violation::KeyShareNotInGroups)
}

/// Everything that a server decides.
struct Plan {
    suite: &'static CipherSuite,
    group: NamedGroup,
    /// Whether we would rather have had another group (RFC 9846 §4.3.7).
    prefers_another_group: bool,
    alpn: Option<Vec<u8>>,
    credential: Arc<Credential>,
    scheme: SignatureScheme,
    /// Whether the credential was chosen by the client's name.
    by_name: bool,
}

impl Plan {
    /// RFC 9846 §4.2.1: suite, group and signature are independent. After a retry the first two are fixed.
    fn choose(
        config: &ServerConfig,
        choice: &Choice,
        hello: &ClientHello<'_>,
        retry: Option<&Retry>,
    ) -> Result<Self, Error> {
        let suite = match retry {
            Some(retry) => retry.suite,
            None => choose_suite(config, hello)?,
        };
        let group = match retry {
            Some(retry) => retry.group,
            None => choose_group(config, hello)?,
        };
        let alpn = choose_protocol(choice.alpn.as_ref().unwrap_or(&config.common.alpn), hello)?;
        let wishes = Wishes {
            schemes: hello.schemes.unwrap_or_default().iter().map(SignatureScheme).collect(),
            certificate_schemes: hello
                .certificate_schemes
                .map(|list| list.iter().map(SignatureScheme).collect()),
            authorities: hello.authorities.iter().map(|name| name.to_vec()).collect(),
            name: hello.dns_name().map(|name| ServerName::DnsName(name.to_owned())),
        };
        let chosen = match &choice.credential {
            Some(credential) => {
                choose_credential(&config.common, std::slice::from_ref(credential), &wishes)
            }
            None => {
                check_server_name(config, hello, &wishes)?;
                choose_credential(&config.common, &config.credentials, &wishes)
            }
        };
        let (credential, scheme, by_name) =
            chosen.ok_or(NoOverlap::SignatureScheme(wishes.schemes))?;
        let prefers_another_group = config.common.groups.first() != Some(&group);
        Ok(Self { suite, group, prefers_another_group, alpn, credential, scheme, by_name })
    }
}

/// Ours decide, but a client that prefers ChaCha20 to all of them has no fast AES, and gets it.
fn choose_suite(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
) -> Result<&'static CipherSuite, Error> {
    let common = &config.common;
    let first = hello.suites.iter().find_map(|id| common.suite(CipherSuiteId(id)));
    if let Some(suite) = first
        && suite.id == CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256
    {
        return Ok(suite);
    }
    let ours = common.suites.iter().copied();
    let offered = |suite: &&CipherSuite| hello.suites.iter().any(|id| id == suite.id.0);
    let offers = || hello.suites.iter().map(CipherSuiteId).collect();
    Ok({ ours }.find(offered).ok_or_else(|| NoOverlap::CipherSuite(offers()))?)
}

/// A post-quantum group if there is a common one, whatever it costs; beyond that, our order among those for which there
/// is a share already, and only then a group that costs another round trip.
fn choose_group(config: &ServerConfig, hello: &ClientHello<'_>) -> Result<NamedGroup, Error> {
    let offered: Vec<NamedGroup> =
        hello.groups.unwrap_or_default().iter().map(NamedGroup).collect();
    let common: Vec<NamedGroup> =
        config.common.groups.iter().filter(|group| offered.contains(group)).copied().collect();
    let quantum = common.iter().any(|group| group.is_post_quantum());
    let eligible = || common.iter().copied().filter(|group| group.is_post_quantum() == quantum);
    let shared = eligible().find(|group| hello.share_for(*group).is_some());
    Ok(shared.or(eligible().next()).ok_or(NoOverlap::Group(offered))?)
}

/// RFC 7301 §3.2: our order decides. Without a list on one side there is no ALPN.
fn choose_protocol(ours: &[Vec<u8>], hello: &ClientHello<'_>) -> Result<Option<Vec<u8>>, Error> {
    match &hello.alpn {
        Some(theirs) if !ours.is_empty() => {
            let chosen = ours.iter().find(|name| theirs.contains(&name.as_slice()));
            Ok(Some(chosen.ok_or(NoOverlap::Alpn)?.clone()))
        }
        _ => Ok(None),
    }
}

/// RFC 6066 §3: what the configuration says about names that are not there, or that it has no credential for.
fn check_server_name(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
    wishes: &Wishes,
) -> Result<(), Error> {
    if config.credentials.is_empty() {
        return Err(NoOverlap::Credential.into());
    }
    match (config.server_name, hello.server_name) {
        // RFC 9846 §9.2
        (ServerNamePolicy::Require, None) => Err(Violation::MissingServerName.into()),
        (ServerNamePolicy::Require | ServerNamePolicy::Match, Some(_)) => {
            let named = |name| config.credentials.iter().any(|c| c.is_for(name));
            ensure(wishes.name.as_ref().is_some_and(named), Violation::UnrecognizedName)
        }
        _ => Ok(()),
    }
}

/// Sends the first flight as far as the signature.
fn emit(
    config: Arc<ServerConfig>,
    plan: Plan,
    hello: &ClientHello<'_>,
    share: &[u8],
    mut transcript: Transcript,
    retried: bool,
    fx: &mut Effects,
) -> Result<State, Error> {
    let common = &config.common;
    let rng = &*common.provider.rng;
    let mut random = [0; 32];
    rng.fill(&mut random)?;
    let group = common.group(plan.group).ok_or(Violation::RetryIgnored)?;
    let (own_share, shared) = group.respond(rng, share).map_err(|_| Violation::BadKeyShare)?;
    let (suite, session_id) = (plan.suite, hello.legacy_session_id);
    let message = write_server_hello(&random, session_id, suite.id, plan.group, &own_share)?;
    fx.send(common, &mut transcript, message);
    // RFC 9846 Appendix E.4: right after the server's first message, which a retry has sent before.
    if !session_id.is_empty() && !retried {
        fx.push(Effect::ChangeCipherSpec);
    }

    let schedule = EarlySecret::without_psk(suite.hash).handshake(&shared);
    let hello_hash: HashValue = transcript.current();
    let ours = schedule.server_traffic(&hello_hash);
    let theirs = schedule.client_traffic(&hello_hash);
    log_secret(common, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", hello.random, &theirs);
    log_secret(common, "SERVER_HANDSHAKE_TRAFFIC_SECRET", hello.random, &ours);
    fx.push(Effect::WriteKey(suite, ours));
    fx.push(Effect::ReadKey(suite, theirs));

    let message = write_encrypted_extensions(&EncryptedFields {
        server_name: plan.by_name,
        groups: plan.prefers_another_group.then_some(&common.groups[..]),
        alpn: plan.alpn.as_deref(),
    })?;
    fx.send(common, &mut transcript, message);
    send_certificate_request(&config, &mut transcript, fx)?;
    let wants = (hello.wants_status, hello.wants_scts);
    send_certificate(common, &mut transcript, Some(&plan.credential), wants, fx)?;
    let signature = PendingSignature::new(Side::Server, plan.credential, plan.scheme, &transcript);

    let mut summary = Summary::new(suite, plan.group, retried);
    summary.alpn = plan.alpn;
    summary.server_name = hello.dns_name().map(|name| ServerName::DnsName(name.to_owned()));
    let flow = Flow {
        config,
        suite,
        client_random: *hello.random,
        transcript,
        schedule,
        hello_hash,
        summary,
    };
    flow.sign(signature, fx)
}

/// RFC 9846 §4.4.2: asks the client who it is, if we want to know.
fn send_certificate_request(
    config: &ServerConfig,
    transcript: &mut Transcript,
    fx: &mut Effects,
) -> Result<(), Error> {
    let verifier = match &config.client_auth {
        ClientAuth::None => return Ok(()),
        ClientAuth::Optional(verifier) | ClientAuth::Required(verifier) => verifier,
    };
    let authorities = match verifier.anchors() {
        Some(anchors) if config.send_authorities => anchors.subjects(),
        _ => Vec::new(),
    };
    let common = &config.common;
    let message = write_certificate_request(
        &common.schemes,
        &common.certificate_schemes,
        &authorities,
        config.request_status,
        config.request_scts,
    )?;
    fx.send(common, transcript, message);
    Ok(())
}
