//! The server's hellos (RFC 9846 §4.2): check ClientHello, ask the application what it wants to be asked, *choose*
//! everything, then *emit* the first flight, or ask for another ClientHello.

use std::sync::Arc;

use super::State;
use super::choose::Parameters;
use super::emit::{Flight, emit};
use super::psk::{self, Chosen, Terms};
use crate::codepoints::{NamedGroup, ProtocolVersion};
use crate::config::{ClientAuth, ServerConfig};
use crate::credential::Credential;
use crate::decision::{Answer, Choice, Question};
use crate::error::{Error, NoOverlap, Violation};
use crate::handshake::{Effect, Effects, ensure};
use crate::message::{ClientHello, ClientHelloView, write_hello_retry_request};
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
        fx: &mut Effects<'_>,
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
    pub(super) fn on_choice(self, answer: Answer, fx: &mut Effects<'_>) -> Result<State, Error> {
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
    fx: &mut Effects<'_>,
) -> Result<State, Error> {
    if let (Some(cookie), Some(key)) = (hello.cookie, &config.cookie_key) {
        // A stateless server: what it knew of the first ClientHello is in the cookie.
        let retry = key.open(cookie, fx.now, |id| config.common.suite(id))?;
        let next = WaitSecondClientHello { config: config.clone(), choice, retry };
        return next.take_up(hello, fx);
    }
    let standing = Standing::of(&config);
    Pending { config, choice, retry: None, standing }.go_on(hello, fx)
}

/// A ClientHello that will be answered with a ServerHello, unless it has to come again.
pub(super) struct Pending {
    pub(super) config: Arc<ServerConfig>,
    pub(super) choice: Choice,
    pub(super) retry: Option<Retry>,
    pub(super) standing: Standing,
}

/// Whom the server trusts, and who it is: what was in the configuration's handles when it took up the ClientHello.
#[derive(Clone)]
pub(crate) struct Standing {
    pub(super) client_auth: ClientAuth,
    pub(super) credentials: Arc<Vec<Arc<Credential>>>,
}

impl Standing {
    fn of(config: &ServerConfig) -> Self {
        let (credentials, _) = config.credentials.current();
        Self { client_auth: config.client_auth.current(), credentials }
    }
}

impl Pending {
    fn go_on(self, hello: &ClientHello<'_>, fx: &mut Effects<'_>) -> Result<State, Error> {
        let parameters = self.parameters(hello)?;
        if let Some(group) = parameters.group
            && hello.share_for(group).is_none()
        {
            if hello.offers_early_data {
                fx.push(Effect::SkipEarlyData(skipped(&self.config)));
            }
            return ask_again(self, &parameters, group, hello, fx);
        }
        if self.config.common.ask.psk
            && psk::is_possible(&self.config, hello)
            && let Some(psks) = &hello.psks
        {
            let identities = psks.identities.iter().map(|offered| offered.identity.to_vec());
            fx.push(Effect::Ask(Question::Psk(identities.collect())));
            let hello = ClientHelloView::new(hello);
            return Ok(State::WaitPsk(WaitPsk { pending: self, hello }));
        }
        self.with_psk_answer(hello, parameters, Answer::UseConfig, fx)
    }

    fn parameters(&self, hello: &ClientHello<'_>) -> Result<Parameters, Error> {
        let config = &self.config;
        let alone = psk::is_possible(config, hello) && psk::uses_psk_alone(config, hello);
        Parameters::choose(config, &self.choice, hello, self.retry.as_ref(), alone)
    }

    /// RFC 9846 §4.3.11: chooses a key, and checks its binder before anything else is done with it.
    fn with_psk_answer(
        self,
        hello: &ClientHello<'_>,
        parameters: Parameters,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let config = &self.config;
        let terms = self.terms(hello, &parameters, fx);
        let psks = hello.psks.as_ref().filter(|_| psk::is_possible(config, hello));
        let chosen = match psks {
            Some(psks) => psk::from_answer(config, psks, &terms, answer)?,
            None => None,
        };
        psk::check_policy(config, chosen.as_ref())?;
        let (Some(chosen), Some(psks)) = (chosen, psks) else {
            // RFC 9846 §9.2: without a pre-shared key the rest has to be there.
            ensure(hello.key_shares.is_some(), Violation::MissingKeyShare)?;
            if parameters.group.is_none() {
                return self.without_psk(hello, fx);
            }
            return self.emit(hello, parameters, None, false, fx);
        };
        let before = self.transcript_before(hello)?;
        psk::check_binder(&chosen, hello, psks, parameters.suite, before)?;

        let Some(flight) = psk::early_data_flight(config, hello, psks, &chosen, &terms) else {
            return self.emit(hello, parameters, Some(chosen), false, fx);
        };
        if config.common.ask.early_data {
            fx.push(Effect::Ask(Question::EarlyData(flight)));
            let hello = ClientHelloView::new(hello);
            return Ok(State::WaitEarlyData(WaitEarlyData { pending: self, hello, chosen }));
        }
        let first = psk::is_first(config, &chosen, &flight, fx.now);
        self.emit(hello, parameters, Some(chosen), first, fx)
    }

    /// The client wanted a key to stand alone, which turned out to be none of ours: a full handshake, with a group.
    fn without_psk(self, hello: &ClientHello<'_>, fx: &mut Effects<'_>) -> Result<State, Error> {
        let Self { config, choice, retry, .. } = &self;
        let parameters = Parameters::choose(config, choice, hello, retry.as_ref(), false)?;
        match parameters.group {
            Some(group) if retry.is_none() && hello.share_for(group).is_none() => {
                if hello.offers_early_data {
                    fx.push(Effect::SkipEarlyData(skipped(config)));
                }
                ask_again(self, &parameters, group, hello, fx)
            }
            _ => self.emit(hello, parameters, None, false, fx),
        }
    }

    fn terms(&self, hello: &ClientHello<'_>, parameters: &Parameters, fx: &Effects) -> Terms {
        let (auth, alpn) = (&self.standing.client_auth, parameters.alpn.clone());
        let policy = self.config.policy(auth, hello.server_name, alpn.as_deref());
        Terms { suite: parameters.suite, alpn, policy, now: fx.now }
    }

    /// The transcript before this ClientHello, if it is the second one.
    fn transcript_before(&self, hello: &ClientHello<'_>) -> Result<Option<Transcript>, Error> {
        let Some(retry) = &self.retry else { return Ok(None) };
        let message = retry_message(&self.config, retry, hello.legacy_session_id)?;
        let first = retry.client_hello.as_ref();
        Ok(Some(Transcript::after_retry(retry.suite.hash, first, &message)))
    }

    fn emit(
        self,
        hello: &ClientHello<'_>,
        parameters: Parameters,
        chosen: Option<Chosen>,
        takes_early_data: bool,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let transcript = match self.transcript_before(hello)? {
            Some(mut transcript) => {
                transcript.add(hello.raw);
                transcript
            }
            None => Transcript::new(parameters.suite.hash, hello.raw),
        };
        let terms = self.terms(hello, &parameters, fx);
        if hello.offers_early_data && !takes_early_data {
            fx.push(Effect::SkipEarlyData(skipped(&self.config)));
        }
        let flight = Flight {
            config: self.config,
            choice: self.choice,
            parameters,
            chosen,
            takes_early_data,
            policy: terms.policy,
            standing: self.standing,
            retried: self.retry.is_some(),
            offered_early_data: hello.offers_early_data
                || self.retry.is_some_and(|retry| retry.offered_early_data),
        };
        emit(flight, hello, transcript, fx)
    }
}

/// The application says which pre-shared key it is.
pub(crate) struct WaitPsk {
    pending: Pending,
    hello: ClientHelloView,
}

impl WaitPsk {
    pub(super) fn on_psk(self, answer: Answer, fx: &mut Effects<'_>) -> Result<State, Error> {
        let hello = self.hello.hello()?;
        let parameters = self.pending.parameters(&hello)?;
        self.pending.with_psk_answer(&hello, parameters, answer, fx)
    }
}

/// The application says whether the first flight is one that was never seen.
pub(crate) struct WaitEarlyData {
    pending: Pending,
    hello: ClientHelloView,
    chosen: Chosen,
}

impl WaitEarlyData {
    pub(super) fn on_early_data(
        self,
        answer: Answer,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let hello = self.hello.hello()?;
        let parameters = self.pending.parameters(&hello)?;
        let takes = match answer {
            Answer::Accept => true,
            Answer::Decline => false,
            Answer::Refuse(alert) => return Err(Error::Refused(alert)),
            // The answer may be late: what was fresh when the question was asked need not be so any more.
            _ => {
                let config = &self.pending.config;
                let terms = self.pending.terms(&hello, &parameters, fx);
                let psks = hello.psks.as_ref();
                let flight = psks.and_then(|psks| {
                    psk::early_data_flight(config, &hello, psks, &self.chosen, &terms)
                });
                flight.is_some_and(|flight| psk::is_first(config, &self.chosen, &flight, fx.now))
            }
        };
        self.pending.emit(&hello, parameters, Some(self.chosen), takes, fx)
    }
}

/// How much early data a server has to drop when it does not take it (RFC 9846 §4.3.10): what its tickets allow, in
/// records that need not be full.
fn skipped(config: &ServerConfig) -> usize {
    let max = config.early_data.as_ref().map_or(0, |(_, max)| *max);
    usize::try_from(max).unwrap_or(usize::MAX).saturating_mul(2)
}

/// RFC 9846 §4.2.4: sends HelloRetryRequest.
fn ask_again(
    pending: Pending,
    parameters: &Parameters,
    group: NamedGroup,
    hello: &ClientHello<'_>,
    fx: &mut Effects<'_>,
) -> Result<State, Error> {
    let Pending { config, choice, .. } = pending;
    let hash = parameters.suite.hash;
    let mut retry = Retry {
        suite: parameters.suite,
        group,
        client_hello: hash.digest(hello.raw),
        invariants: hash.digest(&hello.invariants()),
        psks: hash.digest(&psk::to_be_kept(&config, hello, hash)),
        offered_early_data: hello.offers_early_data,
        cookie: None,
    };
    if let Some(key) = &config.cookie_key {
        retry.cookie = Some(key.seal(&retry, fx.now)?);
    }
    let message = retry_message(&config, &retry, hello.legacy_session_id)?;
    fx.push(Effect::Send(message));
    // RFC 9846 Appendix E.4: right after the server's first message.
    if config.sends_change_cipher_spec(hello.legacy_session_id) {
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
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        check_hello(hello)?;
        // RFC 9846 §4.3.2
        let echoed = self.retry.cookie.is_none() || hello.cookie == self.retry.cookie.as_deref();
        ensure(echoed, Violation::CookieNotEchoed)?;
        fx.push(Effect::EndOfFlight);

        self.take_up(hello, fx)
    }

    /// Checks that only what may change has changed, and goes on.
    fn take_up(self, hello: &ClientHello<'_>, fx: &mut Effects<'_>) -> Result<State, Error> {
        let Self { config, choice, retry } = self;
        let hash = retry.suite.hash;
        // RFC 9846 §4.2.2
        let unchanged = hash.digest(&hello.invariants()) == retry.invariants;
        ensure(unchanged, Violation::ChangedClientHello)?;
        // Whoever has no use for keys need not mind which are offered.
        if psk::has_any(&config) {
            let kept = hash.digest(&psk::to_be_kept(&config, hello, hash)) == retry.psks;
            ensure(kept || hello.psks.is_some(), Violation::MissingPreSharedKey)?;
            ensure(kept, Violation::ChangedPreSharedKeys)?;
        }
        ensure(!hello.offers_early_data, Violation::EarlyDataAfterRetry)?;
        let shares = hello.key_shares.as_deref().unwrap_or_default();
        let only_ours = matches!(shares, [(group, _)] if *group == retry.group);
        ensure(only_ours, Violation::RetryIgnored)?;

        let standing = Standing::of(&config);
        Pending { config, choice, retry: Some(retry), standing }.go_on(hello, fx)
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
    let psk = hello.psks.is_some();
    ensure(!psk || hello.psk_modes.is_some(), Violation::MissingPskModes)?;
    ensure(psk || hello.schemes.is_some(), Violation::MissingSignatureAlgorithms)?;
    let groups = match (hello.groups, hello.key_shares.is_some()) {
        (Some(groups), true) => groups,
        (Some(_), false) => return Err(Violation::MissingKeyShare.into()),
        (None, false) if psk => return Ok(()),
        (None, _) => return Err(Violation::MissingSupportedGroups.into()),
    };
    let shares = hello.key_shares.as_deref().unwrap_or_default();

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
