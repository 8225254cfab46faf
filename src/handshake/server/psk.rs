//! Which pre-shared key a server takes, and whether it takes early data with it (RFC 9846 §4.3.10, §4.3.11, §8).

use std::sync::Arc;

use pki_types::UnixTime;

use crate::codec::Writer;
use crate::config::ServerConfig;
use crate::crypto::{CipherSuite, Hash};
use crate::decision::Answer;
use crate::error::{Error, NoOverlap, Violation};
use crate::handshake::ensure;
use crate::handshake::psk::binder_transcript;
use crate::key_schedule::{EarlySecret, PskKind};
use crate::message::{ClientHello, OfferedPsks, PSK_DHE_KE, PSK_KE};
use crate::psk::ExternalPsk;
use crate::secret::{Secret, constant_time_eq};
use crate::ticket::{RedeemedTicket, ServerSession};
use crate::transcript::Transcript;

/// How many of a client's identities are looked at.
const MAX_IDENTITIES: usize = 8;

/// A key that client and server have in common. Its binder is not checked yet.
pub(crate) struct Chosen {
    pub(super) index: usize,
    pub(super) key: Secret,
    pub(super) kind: PskKind,
    pub(super) source: Source,
}

/// Where a key comes from.
pub(crate) enum Source {
    /// An earlier connection; `shared` says whether other processes can take the same ticket.
    Session { session: Box<ServerSession>, shared: bool },
    /// Elsewhere.
    External { psk: Arc<ExternalPsk> },
}

/// The policy that a ticket has to have been issued under, and what was chosen.
pub(super) struct Terms {
    pub(super) suite: &'static CipherSuite,
    /// The protocol that was chosen, which early data has to be for.
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) policy: [u8; 32],
    pub(super) now: UnixTime,
}

/// Whether a key of the client could be used at all: it offers some, in a mode that we allow, and we have some.
pub(super) fn is_possible(config: &ServerConfig, hello: &ClientHello<'_>) -> bool {
    let modes = hello.psk_modes.unwrap_or_default();
    let dhe = modes.contains(&PSK_DHE_KE);
    has_any(config) && hello.psks.is_some() && (dhe || uses_psk_alone(config, hello))
}

/// Whether this server takes pre-shared keys at all.
pub(super) fn has_any(config: &ServerConfig) -> bool {
    let common = &config.common;
    config.tickets.is_some() || !common.external_psks.is_empty() || common.ask.psk
}

/// RFC 9846 §4.2.2: the identities that a second ClientHello has to offer again, in one string to hash: all whose binders are
/// as long as those of the suite's `hash`, tickets and keys of ours. The external keys of others, which have no age
/// (RFC 9846 §4.3.11), are nothing to us.
pub(super) fn to_be_kept(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
    hash: &'static dyn Hash,
) -> Vec<u8> {
    let common = &config.common;
    let ours = common.external_psks.iter().filter_map(|psk| psk.for_hash(&common.provider, hash));
    let ours: Vec<_> = ours.map(|wire| wire.identity).collect();
    let psks = hello.psks.iter().flat_map(|psks| psks.identities.iter().zip(&psks.binders));
    let fitting = psks.filter(|(offered, binder)| {
        let is_ours = || ours.iter().any(|identity| identity == offered.identity);
        binder.len() == hash.output_len() && (offered.obfuscated_ticket_age != 0 || is_ours())
    });
    let mut w = Writer::default();
    fitting.for_each(|(offered, _)| w.vec16(|w| w.raw(offered.identity)));
    w.finish().unwrap_or_default()
}

/// RFC 9846 §4.3.9: whether the key is used without a key exchange: the client wants nothing else, and we allow it.
pub(super) fn uses_psk_alone(config: &ServerConfig, hello: &ClientHello<'_>) -> bool {
    let modes = hello.psk_modes.unwrap_or_default();
    config.common.danger_psk_ke && modes.contains(&PSK_KE) && !modes.contains(&PSK_DHE_KE)
}

/// Takes the first of the client's tickets that fits the terms; or else, in our order, a key that it has, too.
pub(super) fn look_up(
    config: &ServerConfig,
    psks: &OfferedPsks<'_>,
    terms: &Terms,
) -> Option<Chosen> {
    let offered = || psks.identities.iter().map(|o| o.identity).enumerate().take(MAX_IDENTITIES);
    let external = config.common.external_psks.iter();
    let ours: Vec<_> = external.filter_map(|psk| from_external(config, 0, psk, terms)).collect();
    let is_ours = |identity: &[u8]| ours.iter().any(|(wire, _)| wire == identity);
    let session = config.tickets.as_ref().and_then(|tickets| {
        offered().filter(|(_, identity)| !is_ours(identity)).find_map(|(index, identity)| {
            from_ticket(config, index, &tickets.redeem(identity, terms.now)?, terms)
        })
    });
    session.or_else(|| {
        ours.into_iter().find_map(|(wire, chosen)| {
            let (index, _) = offered().find(|(_, identity)| *identity == wire)?;
            Some(Chosen { index, ..chosen })
        })
    })
}

/// Takes what the application answered.
pub(super) fn from_answer(
    config: &ServerConfig,
    psks: &OfferedPsks<'_>,
    terms: &Terms,
    answer: Answer,
) -> Result<Option<Chosen>, Error> {
    Ok(match answer {
        Answer::Ticket(index, ticket) => {
            from_ticket(config, index, &ticket, terms).filter(|_| index < psks.identities.len())
        }
        Answer::ExternalPsk(index, psk) => {
            let wanted = psks.identities.get(index).map(|offered| offered.identity);
            let chosen = from_external(config, index, &psk, terms);
            chosen.filter(|(wire, _)| Some(&wire[..]) == wanted).map(|(_, chosen)| chosen)
        }
        Answer::NoPsk => None,
        Answer::Refuse(alert) => return Err(Error::Refused(alert)),
        _ => look_up(config, psks, terms),
    })
}

/// A ticket's content fits if it is of the suite's hash, from under the same policy, and alive, and rests on what is still
/// good. Anything else means a full handshake, silently.
fn from_ticket(
    config: &ServerConfig,
    index: usize,
    redeemed: &RedeemedTicket,
    terms: &Terms,
) -> Option<Chosen> {
    let session = ServerSession::from_bytes(&redeemed.state)?;
    let same_hash = session.psk.expose().len() == terms.suite.hash.output_len();
    let fits = same_hash
        && session.policy == terms.policy
        && session.is_alive(terms.now)
        && config.common.takes_session_of(session.client.external.as_ref());
    let key = Secret::from_slice(session.psk.expose()).filter(|_| fits)?;
    Some(Chosen {
        index,
        key,
        kind: PskKind::Resumption,
        source: Source::Session { session: Box::new(session), shared: redeemed.shared },
    })
}

/// An external key as it is for this suite, with the identity that it has on the wire.
fn from_external(
    config: &ServerConfig,
    index: usize,
    psk: &Arc<ExternalPsk>,
    terms: &Terms,
) -> Option<(Vec<u8>, Chosen)> {
    let wire = psk.for_hash(&config.common.provider, terms.suite.hash)?;
    let source = Source::External { psk: psk.clone() };
    Some((wire.identity, Chosen { index, key: wire.key, kind: wire.kind, source }))
}

/// RFC 9846 §4.3.11: the binder of the chosen key, and of no other, must verify.
pub(super) fn check_binder(
    chosen: &Chosen,
    hello: &ClientHello<'_>,
    psks: &OfferedPsks<'_>,
    suite: &'static CipherSuite,
    before: Option<Transcript>,
) -> Result<(), Error> {
    let truncated = hello.raw.get(..psks.truncated_len).ok_or(Violation::BadBinder)?;
    let transcript = binder_transcript(suite.hash, before, truncated);
    let early = EarlySecret::with_psk(suite.hash, &chosen.key);
    let expected = early.binder(chosen.kind, &transcript);
    let binder = psks.binders.get(chosen.index).copied().unwrap_or_default();
    ensure(constant_time_eq(expected.expose(), binder), Violation::BadBinder)
}

/// An end that insists on a pre-shared key does not go on without one, or a session that rests on one.
pub(super) fn check_policy(config: &ServerConfig, chosen: Option<&Chosen>) -> Result<(), Error> {
    let external = chosen.is_some_and(|chosen| match &chosen.source {
        Source::Session { session, .. } => session.client.external.is_some(),
        Source::External { .. } => true,
    });
    match config.common.insists_on_psk() && !external {
        true => Err(NoOverlap::Psk.into()),
        false => Ok(()),
    }
}

/// RFC 9846 §8.2: whether our own store has never seen the flight, and sees every use of the ticket.
pub(super) fn is_first(
    config: &ServerConfig,
    chosen: &Chosen,
    flight: &[u8; 32],
    now: UnixTime,
) -> bool {
    let Source::Session { shared, .. } = &chosen.source else { return false };
    let store = config.early_data.as_ref().map(|(store, _)| store);
    store.is_some_and(|store| (!shared || store.is_shared()) && store.is_first(flight, now))
}

/// RFC 9846 §8.3: by how many milliseconds a ticket is older, as the client says, than it is by our clock.
pub(super) fn age_skew(psks: &OfferedPsks<'_>, chosen: &Chosen, now: UnixTime) -> Option<i64> {
    let Source::Session { session, .. } = &chosen.source else { return None };
    let offered = psks.identities.get(chosen.index)?;
    let claimed = offered.obfuscated_ticket_age.wrapping_sub(session.age_add);
    let actual = now.as_secs().checked_sub(session.issued)?.checked_mul(1000)?;
    i64::from(claimed).checked_sub(i64::try_from(actual).ok()?)
}

/// RFC 9846 §4.3.10 and §8: the hash under which the first flight is to be recorded, if its early data can be taken at
/// all: the first key, a ticket that allows it (and no more than we take now), the same suite and protocol, and a fresh
/// ClientHello.
pub(super) fn early_data_flight(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
    psks: &OfferedPsks<'_>,
    chosen: &Chosen,
    terms: &Terms,
) -> Option<[u8; 32]> {
    let (store, max) = config.early_data.as_ref()?;
    let Source::Session { session, .. } = &chosen.source else { return None };
    let allowed = hello.offers_early_data
        && chosen.index == 0
        && (1..=*max).contains(&session.max_early_data)
        && session.suite == terms.suite.id
        && session.alpn == terms.alpn;
    if !allowed {
        return None;
    }
    // RFC 9846 §8.3: the client's view of the ticket's age against ours.
    let skew = age_skew(psks, chosen, terms.now)?;
    let fresh = skew.unsigned_abs() <= store.window_seconds().saturating_mul(1000);
    // RFC 9846 §8.2: only what was validated names the flight, and that is the binder.
    let binder = psks.binders.first()?;
    fresh.then(|| config.common.provider.fingerprint(binder))
}
