//! How the handshake moves, by a message or by an answer of the application, and how what it wants is made to happen.

use pki_types::UnixTime;

use super::open_question::OpenQuestion;
use super::{Connection, Phase};
use crate::decision::{Answer, Waiting};
use crate::error::{Error, Misuse, Violation};
use crate::handshake::post_auth::PostAuth;
use crate::handshake::{Effect, Effects, Established, Input};
use crate::inbound::Event;
use crate::output::Output;
use crate::record::ChangeCipherSpecRule;

impl Connection {
    /// Which answer the connection waits for.
    #[must_use]
    pub fn waiting_for(&self) -> Option<Waiting> {
        self.open_question.as_ref().map(|question| question.kind)
    }

    /// Answers the open question, and goes on with what was received meanwhile.
    ///
    /// # Errors
    /// [`Misuse::UnexpectedAnswer`] if there is no question, or the answer is for another one: nothing has changed.
    /// Otherwise as [`Connection::read`].
    pub fn answer(
        &mut self,
        now: UnixTime,
        answer: Answer,
        out: &mut dyn Output,
    ) -> Result<(), Error> {
        self.check_alive()?;
        let question = self.open_question.as_ref().ok_or(Misuse::UnexpectedAnswer)?;
        if !question.accepts(&answer) {
            return Err(Misuse::UnexpectedAnswer.into());
        }
        self.writer.flush(out)?;
        self.open_question = None;
        let result = self.on_answer(now, answer);
        if let Err(error) = &result {
            self.fail(error);
        }
        self.flush_if_it_fits(out);
        result
    }

    fn on_answer(&mut self, now: UnixTime, answer: Answer) -> Result<(), Error> {
        if self.is_connected() {
            self.step_post_auth(now, Input::Answer(answer))?;
            return self.on_handshake_bytes(now, &[]);
        }
        let partial = std::mem::take(&mut self.inbound.reader.partial);
        self.step(now, Input::Answer(answer), partial.is_empty())?;
        self.on_handshake_bytes(now, &partial)
    }

    /// Moves the handshake. `last` says whether nothing is left of the record that led here.
    pub(super) fn step(
        &mut self,
        now: UnixTime,
        input: Input<'_>,
        last: bool,
    ) -> Result<(), Error> {
        let mut fx = Effects::new(now, &mut self.inbound.budget);
        self.phase = match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Client(state) => Phase::Client(Box::new(state.step(input, &mut fx)?)),
            Phase::Server(state) => Phase::Server(Box::new(state.step(input, &mut fx)?)),
            Phase::Connected => Phase::Connected,
            Phase::Failed => return Err(Error::unexpected("FAILED", input.name())),
        };
        let effects = fx.into_list();
        self.apply(now, effects, last)
    }

    /// Moves an exchange after the handshake (RFC 9846 §4.7.2).
    pub(super) fn step_post_auth(&mut self, now: UnixTime, input: Input<'_>) -> Result<(), Error> {
        let mut fx = Effects::new(now, &mut self.inbound.budget);
        let Some(established) = &mut self.established else {
            return Err(Error::unexpected("FAILED", input.name()));
        };
        let Established { post_auth: Some(post_auth), summary, .. } = &mut **established else {
            return Err(Error::unexpected("CONNECTED", input.name()));
        };
        let client_secret = match post_auth {
            PostAuth::Client(_) => self.writer.traffic_secret(),
            PostAuth::Server(_) => self.inbound.reader.traffic_secret(),
        };
        let client_secret = client_secret.ok_or(Misuse::NotConnected)?;
        match input {
            Input::Message(message) => {
                post_auth.on_message(&message, client_secret, summary, &mut fx)?;
            }
            Input::Answer(answer) => {
                post_auth.on_answer(answer, client_secret, summary, &mut fx)?;
            }
        }
        let effects = fx.into_list();
        self.apply(now, effects, true)
    }

    /// A client that is known now is known to the tickets that follow, too.
    fn on_client_answered(&mut self, now: UnixTime, known: Option<[u8; 32]>) {
        if let Some(established) = &mut self.established
            && let Established { issuer: Some(issuer), summary, .. } = &mut **established
            && let Some(policy) = known
        {
            issuer.policy = policy;
            issuer.client = summary.peer();
            issuer.authenticated = now.as_secs();
        }
        self.inbound.tell(Event::ClientAnswered { known: known.is_some() });
    }

    /// Makes happen what the handshake wants, in its order.
    pub(super) fn apply(
        &mut self,
        now: UnixTime,
        effects: Vec<Effect>,
        last: bool,
    ) -> Result<(), Error> {
        for effect in effects {
            match effect {
                Effect::Send(message) => self.writer.queue_message(&message),
                Effect::ChangeCipherSpec => self.writer.queue_change_cipher_spec()?,
                Effect::ChangeCipherSpecFirst => self.writer.change_cipher_spec_owed = true,
                Effect::WriteKey(suite, secret) => self.writer.set_key(suite, secret)?,
                // RFC 9846 §5.1: messages do not span key changes.
                Effect::ReadKey(..) | Effect::ReadEarlyKey(..) | Effect::EndOfFlight if !last => {
                    return Err(Violation::KeyChangeMidRecord.into());
                }
                Effect::ReadKey(suite, secret) => self.inbound.reader.set_key(suite, secret)?,
                Effect::ReadEarlyKey(suite, secret, max) => {
                    self.inbound.reader.set_early_key(suite, secret, max)?;
                }
                Effect::WriteEarlyKey { suite, secret, max, alpn } => {
                    self.writer.set_key(suite, secret)?;
                    self.early_data_left = Some(max);
                    self.early_alpn = alpn;
                }
                Effect::DropWriteKey => self.writer.drop_key(),
                Effect::EarlyDataAnswer { accepted } => {
                    self.early_data_left = self.early_data_left.filter(|_| accepted);
                    self.inbound.tell(Event::EarlyDataAnswer { accepted });
                }
                Effect::EndOfEarlyData => self.early_data_left = None,
                Effect::HalfRtt(half_rtt) => self.half_rtt = Some(half_rtt),
                Effect::EndOfFlight => {}
                Effect::SkipEarlyData(max) => {
                    let limits = &self.inbound.budget.limits;
                    self.inbound.reader.skip_early_data(limits, max);
                }
                // RFC 9846 §5: when change_cipher_spec may come.
                Effect::PeerHello => {
                    self.inbound.reader.change_cipher_spec = ChangeCipherSpecRule::Dropped;
                }
                Effect::PeerFinished => {
                    self.inbound.reader.change_cipher_spec = ChangeCipherSpecRule::Refused;
                }
                Effect::Configure(config) => {
                    self.inbound.budget.limits = config.common.limits;
                    self.writer.set_policy(&config.common);
                }
                Effect::Ask(question) => {
                    self.open_question = Some(OpenQuestion::new(&question));
                    self.inbound.tell(Event::Ask(question));
                }
                Effect::ClientAnswered { known } => self.on_client_answered(now, known),
                Effect::Complete(mut established) => {
                    self.inbound.keeper = established.keeper.take().map(Box::new);
                    self.established = Some(established);
                    self.phase = Phase::Connected;
                    self.inbound.tell(Event::Connected);
                }
            }
        }
        // While a credential or a signature is awaited, what goes with it in one flight waits too.
        match self.waiting_for() {
            Some(Waiting::Credential | Waiting::Signature) => Ok(()),
            _ => self.writer.end_flight(),
        }
    }
}
