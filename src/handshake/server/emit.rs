//! The server's first flight (RFC 9846 §4.2.3, §4.4, §4.5): everything is chosen, and is said.

use std::sync::Arc;

use pki_types::ServerName;

use super::State;
use super::auth::{Flow, Grant};
use super::choose::{Identity, Parameters, choose_client_type};
use super::hello::Standing;
use super::psk::{Chosen, Source, age_skew};
use crate::codepoints::CertificateType;
use crate::config::{ClientAuth, ServerConfig};
use crate::decision::Choice;
use crate::error::{Error, Violation};
use crate::handshake::auth::{
    Along, PendingSignature, Side, certificate_request, send_certificate,
};
use crate::handshake::{EarlyData, Effect, Effects, Summary, log_secret};
use crate::key_schedule::{EarlySecret, HandshakeSecret};
use crate::message::{
    ClientHello, EncryptedFields, PSK_DHE_KE, write_encrypted_extensions, write_server_hello,
};
use crate::transcript::Transcript;
use crate::verify::Purpose;

/// What is to be said.
pub(super) struct Flight {
    pub(super) config: Arc<ServerConfig>,
    pub(super) choice: Choice,
    pub(super) parameters: Parameters,
    /// Its binder is checked.
    pub(super) chosen: Option<Chosen>,
    pub(super) takes_early_data: bool,
    /// Under what tickets of this connection are issued.
    pub(super) policy: [u8; 32],
    pub(super) standing: Standing,
    pub(super) retried: bool,
    /// In this ClientHello, or in the one before it.
    pub(super) offered_early_data: bool,
}

/// Says it, as far as the signature if there is one. `transcript` ends with the ClientHello.
pub(super) fn emit(
    flight: Flight,
    hello: &ClientHello<'_>,
    mut transcript: Transcript,
    fx: &mut Effects<'_>,
) -> Result<State, Error> {
    // Without a pre-shared key there has to be a certificate, before anything is said.
    let identity = match &flight.chosen {
        Some(_) => None,
        None => {
            let Flight { config, standing, choice, .. } = &flight;
            Some(Identity::choose(config, &standing.credentials, choice, hello)?)
        }
    };
    let now = flight.chosen.is_none();
    let client_type = choose_client_type(&flight.standing.client_auth, hello, now)?;
    // RFC 7250 §4.2: the extension is answered also where no certificate is shown, with what it would be.
    let server_type = match &identity {
        Some(identity) => Some(identity.credential.certificate_type()),
        None if hello.server_certificate_types.is_some() => {
            let would_be = {
                let Flight { config, standing, choice, .. } = &flight;
                Identity::choose(config, &standing.credentials, choice, hello).ok()
            };
            would_be.map(|identity| identity.credential.certificate_type())
        }
        None => None,
    };
    let schedule = send_hello(&flight, hello, &mut transcript, fx)?;
    let shown = (identity.as_ref(), server_type, client_type);
    let flow = send_parameters(flight, hello, shown, schedule, transcript, fx)?;
    let Some(Identity { credential, scheme, .. }) = identity else {
        return flow.finish_flight(fx);
    };
    flow.authenticate(credential, scheme, &Along::of_hello(hello), fx)
}

/// ServerHello, and the keys that follow from it.
fn send_hello(
    flight: &Flight,
    hello: &ClientHello<'_>,
    transcript: &mut Transcript,
    fx: &mut Effects<'_>,
) -> Result<HandshakeSecret, Error> {
    let Flight { config, parameters, chosen, .. } = flight;
    let common = &config.common;
    let (suite, session_id) = (parameters.suite, hello.legacy_session_id);
    let early = match chosen {
        Some(chosen) => EarlySecret::with_psk(suite.hash, &chosen.key),
        None => EarlySecret::without_psk(suite.hash),
    };
    let client_hello = transcript.current();
    let early_traffic = early.client_traffic(&client_hello);

    let rng = &*common.provider.rng;
    let mut random = [0; 32];
    rng.fill(&mut random)?;
    let selected = chosen.as_ref().and_then(|chosen| u16::try_from(chosen.index).ok());
    let (message, schedule) = match parameters.group {
        Some(id) => {
            let group = common.group(id).ok_or(Violation::RetryIgnored)?;
            let share = hello.share_for(id).ok_or(Violation::RetryIgnored)?;
            let answer = group.respond(rng, share).map_err(|_| Violation::BadKeyShare)?;
            let (share, shared) = (&answer.0[..], &answer.1);
            let key_share = Some((id, share));
            let message = write_server_hello(&random, session_id, suite.id, key_share, selected)?;
            (message, early.handshake(shared))
        }
        None => {
            let message = write_server_hello(&random, session_id, suite.id, None, selected)?;
            (message, early.handshake_without_exchange())
        }
    };
    fx.send(common, transcript, message);
    // RFC 9846 Appendix E.4: right after the server's first message, which a retry has sent before.
    if config.sends_change_cipher_spec(session_id) && !flight.retried {
        fx.push(Effect::ChangeCipherSpec);
    }
    let hello_hash = transcript.current();
    let ours = schedule.server_traffic(&hello_hash);
    let theirs = schedule.client_traffic(&hello_hash);
    log_secret(common, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", hello.random, &theirs);
    log_secret(common, "SERVER_HANDSHAKE_TRAFFIC_SECRET", hello.random, &ours);
    fx.push(Effect::WriteKey(suite, ours));
    match chosen.as_ref().map(|chosen| &chosen.source) {
        Some(Source::Session { session, .. }) if flight.takes_early_data => {
            log_secret(common, "CLIENT_EARLY_TRAFFIC_SECRET", hello.random, &early_traffic);
            let max = usize::try_from(session.max_early_data).unwrap_or(usize::MAX);
            fx.push(Effect::ReadEarlyKey(suite, early_traffic, max));
        }
        _ => fx.push(Effect::ReadKey(suite, theirs)),
    }
    Ok(schedule)
}

/// EncryptedExtensions and CertificateRequest.
fn send_parameters(
    flight: Flight,
    hello: &ClientHello<'_>,
    (identity, server_type, client_type): (
        Option<&Identity>,
        Option<CertificateType>,
        Option<CertificateType>,
    ),
    schedule: HandshakeSecret,
    mut transcript: Transcript,
    fx: &mut Effects<'_>,
) -> Result<Flow, Error> {
    let hello_hash = transcript.current();
    let offered_early_data = flight.offered_early_data;
    let Flight { config, parameters, chosen, takes_early_data, policy, standing, retried, .. } =
        flight;
    let common = &config.common;
    let grant = Grant::new(&config, hello, policy, chosen.as_ref(), fx.now);
    let message = write_encrypted_extensions(&EncryptedFields {
        // RFC 6066 §3: if the name was used to choose the certificate. A server that resumes says nothing.
        server_name: identity.is_some_and(|identity| identity.by_name),
        groups: (parameters.group.is_some() && common.groups.first() != parameters.group.as_ref())
            .then_some(&common.groups[..]),
        alpn: parameters.alpn.as_deref(),
        early_data: takes_early_data,
        // RFC 7250 §4.2: each in answer to a list of the client's.
        client_certificate_type: client_type.filter(|_| hello.client_certificate_types.is_some()),
        server_certificate_type: server_type.filter(|_| hello.server_certificate_types.is_some()),
        tickets: hello.ticket_request.filter(|_| config.tickets.is_some()).map(|_| grant.count),
    })?;
    fx.send(common, &mut transcript, message);
    if chosen.is_none() {
        send_certificate_request(&config, &standing, client_type, &mut transcript, fx)?;
    }

    let mut summary = Summary::new(parameters.suite, parameters.group, retried, Purpose::Client);
    summary.alpn = parameters.alpn;
    summary.server_name = hello.dns_name().map(|name| ServerName::DnsName(name.to_owned()));
    summary.early_data = match (offered_early_data, takes_early_data) {
        (false, _) => EarlyData::NotOffered,
        (true, true) => EarlyData::Accepted,
        (true, false) => EarlyData::Rejected,
    };
    let psks = hello.psks.as_ref().zip(chosen.as_ref());
    summary.ticket_age_skew = psks.and_then(|(psks, chosen)| age_skew(psks, chosen, fx.now));
    match chosen.map(|chosen| chosen.source) {
        Some(Source::Session { session, .. }) => {
            // What the application judges is not the verifier's.
            let verifier = standing.client_auth.verifier().filter(|_| !common.ask.verdict);
            summary.resume(session.client, verifier);
        }
        Some(Source::External { psk }) => summary.rest_on(common.identity_of(&psk)),
        None => {}
    }
    Ok(Flow {
        suite: parameters.suite,
        client_random: *hello.random,
        transcript,
        schedule,
        hello_hash,
        summary,
        takes_early_data,
        standing,
        client_type,
        post_handshake_auth: hello.post_handshake_auth,
        grant,
        config,
    })
}

impl Flow {
    /// Certificate, and the signature that goes with it.
    fn authenticate(
        mut self,
        credential: Arc<crate::credential::Credential>,
        scheme: crate::codepoints::SignatureScheme,
        along: &Along,
        fx: &mut Effects<'_>,
    ) -> Result<State, Error> {
        let common = &self.config.common;
        send_certificate(common, &mut self.transcript, &[], Some(&credential), along, fx)?;
        let signature = PendingSignature::new(Side::Server, credential, scheme, &self.transcript);
        self.sign(signature, fx)
    }
}

impl Grant {
    /// How many tickets the client gets, if it can use any.
    fn new(
        config: &ServerConfig,
        hello: &ClientHello<'_>,
        policy: [u8; 32],
        chosen: Option<&Chosen>,
        now: pki_types::UnixTime,
    ) -> Self {
        let usable = hello.psk_modes.is_some_and(|modes| modes.contains(&PSK_DHE_KE));
        let (resumed, authenticated) = match chosen.map(|chosen| &chosen.source) {
            Some(Source::Session { session, .. }) => (true, session.authenticated),
            _ => (false, now.as_secs()),
        };
        // RFC 9149 §3: what the client asks for, up to a bound of ours.
        let asked = hello.ticket_request.map(|(new, again)| if resumed { again } else { new });
        let bound = config.ticket_count.max(MAX_ASKED_TICKETS);
        let count = match (usable && config.tickets.is_some(), config.ticket_count) {
            (false, _) | (_, 0) => 0,
            (true, count) => asked.map_or(count, |asked| asked.min(bound)),
        };
        Self { usable, count, policy, authenticated }
    }
}

/// How many tickets a client gets that asks for more (RFC 9149 §3).
const MAX_ASKED_TICKETS: u8 = 8;

/// RFC 9846 §4.4.2: asks the client who it is, if we want to know.
fn send_certificate_request(
    config: &ServerConfig,
    standing: &Standing,
    client_type: Option<CertificateType>,
    transcript: &mut Transcript,
    fx: &mut Effects<'_>,
) -> Result<(), Error> {
    let verifier = match &standing.client_auth {
        ClientAuth::None | ClientAuth::OnRequest(_) => return Ok(()),
        ClientAuth::Optional(verifier) | ClientAuth::Required(verifier) => verifier,
    };
    let kind = client_type.unwrap_or(CertificateType::X509);
    let message = certificate_request(config, verifier, kind, &[])?;
    fx.send(&config.common, transcript, message);
    Ok(())
}
