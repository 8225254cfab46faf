//! What is in a frozen connection, byte for byte. Numbers are big-endian; every block has its length in front, and what
//! handshake bytes are left stands at the end.

use std::sync::Arc;

use pki_types::{DnsName, IpAddr, ServerName};
use zeroize::Zeroizing;

use crate::codec::{Reader, Writer};
use crate::codepoints::{CipherSuiteId, NamedGroup, ProtocolVersion, SignatureScheme};
use crate::config::{ClientConfig, Common, ServerConfig};
use crate::connection::Parts;
use crate::crypto::CipherSuite;
use crate::error::{Error, Misuse};
use crate::handshake::post::Role;
use crate::handshake::psk::{SessionKeeper, TicketIssuer};
use crate::handshake::{EarlyData, Established, Summary};
use crate::inbound::{Event, Inbound};
use crate::key_schedule::{Exporter, ResumptionSecret};
use crate::limits::Usage;
use crate::record::{
    ChangeCipherSpecRule, DirectionSecret, MAX_UPDATES, ReadSide, ReadState, WriteSide, WriteState,
};
use crate::secret::Secret;
use crate::session::{PeerIdentity, SessionKey};
use crate::verify::Purpose;

/// Whose connection it is to be.
#[derive(Clone, Copy)]
pub(super) enum Config<'a> {
    Client(&'a Arc<ClientConfig>),
    Server(&'a Arc<ServerConfig>),
}

impl<'a> Config<'a> {
    pub(super) fn common(self) -> &'a Common {
        match self {
            Self::Client(config) => &config.common,
            Self::Server(config) => &config.common,
        }
    }

    fn role(self) -> Role {
        match self {
            Self::Client(_) => Role::Client,
            Self::Server(_) => Role::Server,
        }
    }
}

// Bits of the flags.
const UPDATE_OWED: u8 = 1;
const UPDATE_AWAITED: u8 = 2;
const CLOSED: u8 = 4;
const PEER_CLOSED: u8 = 8;
const ALL_FLAGS: u8 = UPDATE_OWED | UPDATE_AWAITED | CLOSED | PEER_CLOSED;

// What follows as the secret of tickets.
const NO_TICKETS: u8 = 0;
const KEEPER: u8 = 1;
const ISSUER: u8 = 2;

// No counter of a living connection comes near: what is larger was not written by us, and could overflow.
const MAX_COUNT: u32 = 1 << 30;
const MAX_SEQUENCE: u64 = 1 << 62;

/// The parts with secrets in them, and the others.
pub(super) fn write(parts: Parts) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Error> {
    let Parts { writer, inbound, established } = parts;
    let Established { summary, exporter, issuer, .. } = *established;
    let role = inbound.role();
    let Inbound { reader, mut budget, events, peer_closed, keeper, .. } = inbound;
    let sending = writer.into_state().ok_or(Misuse::NotConnected)?;
    let receiving = reader.into_state().ok_or(Misuse::NotConnected)?;

    let mut w = Writer::secret();
    w.u8(match role {
        Role::Client => 0,
        Role::Server => 1,
    });
    w.u16(sending.key.suite.id.0);
    let flags = [
        (sending.update_owed, UPDATE_OWED),
        (sending.update_awaited, UPDATE_AWAITED),
        (sending.closed, CLOSED),
        (peer_closed, PEER_CLOSED),
    ];
    w.u8(flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit));
    write_direction(&mut w, &sending.key);
    w.u64(sending.updates);
    write_direction(&mut w, &receiving.key);
    w.vec8(|w| w.raw(exporter.secret().expose()));
    write_tickets(&mut w, keeper.as_deref(), issuer.as_ref());
    let secrets = w.finish_secret()?;

    let mut w = Writer::default();
    counts(&mut budget.used).into_iter().for_each(|count| w.u32(*count));
    w.vec24(|w| events.iter().filter_map(event_code).for_each(|code| w.u8(code)));
    write_summary(&mut w, &summary);
    w.raw(&receiving.partial);
    Ok((secrets, w.finish()?))
}

/// The connection that was written, under another configuration. The bytes are authentic, and not trusted for that.
pub(super) fn read(config: Config<'_>, body: &[u8]) -> Result<Parts, Error> {
    read_parts(config, body).map_err(|error| match error {
        Error::Misuse(misuse) => misuse.into(),
        _ => Misuse::Migration.into(),
    })
}

fn read_parts(config: Config<'_>, body: &[u8]) -> Result<Parts, Error> {
    let mut r = Reader::new("frozen connection", body);
    let role = match r.u8()? {
        0 => Role::Client,
        1 => Role::Server,
        _ => return Err(r.malformed()),
    };
    if role != config.role() {
        return Err(Misuse::Migration.into());
    }
    let common = config.common();
    let suite = common.suite(CipherSuiteId(r.u16()?));
    let suite = suite.ok_or(Misuse::NotInProvider("cipher suites"))?;
    let flags = r.u8()?;
    if flags & !ALL_FLAGS != 0 {
        return Err(r.malformed());
    }
    let key = read_direction(&mut r, suite)?;
    let updates = r.u64()?;
    let updates = below(&r, updates, MAX_UPDATES)?;
    let sending = WriteState {
        key,
        updates,
        update_owed: flags & UPDATE_OWED != 0,
        update_awaited: flags & UPDATE_AWAITED != 0,
        closed: flags & CLOSED != 0,
    };
    let key = read_direction(&mut r, suite)?;
    let exporter = Exporter::restore(suite.hash, read_secret(&mut r, suite)?);
    let tickets = read_tickets(&mut r, suite)?;

    let mut used = Usage::default();
    for place in counts(&mut used) {
        *place = count(&mut r)?;
    }
    let codes = r.vec24()?;
    let events: Option<_> = codes.iter().map(|code| event(*code)).collect();
    let events = events.ok_or(r.malformed())?;
    let purpose = match role {
        Role::Client => Purpose::Server,
        Role::Server => Purpose::Client,
    };
    let summary = read_summary(&mut r, suite, purpose)?;
    let partial = r.rest().to_vec();
    let receiving = ReadState { key, partial };

    let (keeper, issuer) = tickets.restore(config, suite, &summary)?;
    let mut inbound = Inbound::new(common.limits, role, ChangeCipherSpecRule::Refused);
    inbound.reader = ReadSide::from_state(receiving)?;
    inbound.budget.used = used;
    inbound.events = events;
    inbound.peer_closed = flags & PEER_CLOSED != 0;
    inbound.keeper = keeper.map(Box::new);
    let established = Established { summary, exporter, issuer, keeper: None, post_auth: None };
    Ok(Parts {
        writer: WriteSide::from_state(common, sending)?,
        inbound,
        established: Box::new(established),
    })
}

fn write_direction(w: &mut Writer, key: &DirectionSecret) {
    w.vec8(|w| w.raw(key.secret.expose()));
    w.u64(key.seq);
}

fn read_direction(
    r: &mut Reader<'_>,
    suite: &'static CipherSuite,
) -> Result<DirectionSecret, Error> {
    let secret = read_secret(r, suite)?;
    let seq = r.u64()?;
    Ok(DirectionSecret { suite, secret, seq: below(r, seq, MAX_SEQUENCE)? })
}

/// A secret of the schedule, which is as long as the suite's hash.
fn read_secret(r: &mut Reader<'_>, suite: &'static CipherSuite) -> Result<Secret, Error> {
    let bytes = r.vec8()?;
    let fits = bytes.len() == suite.hash.output_len();
    Secret::from_slice(bytes).filter(|_| fits).ok_or(r.malformed())
}

fn below(r: &Reader<'_>, value: u64, max: u64) -> Result<u64, Error> {
    if value <= max { Ok(value) } else { Err(r.malformed()) }
}

/// The counters that go on in another process. What the handshake and its verdict took is over.
fn counts(used: &mut Usage) -> [&mut u32; 6] {
    [
        &mut used.post_handshake,
        &mut used.tickets,
        &mut used.key_updates,
        &mut used.warnings,
        &mut used.empty_records,
        &mut used.change_cipher_specs,
    ]
}

fn count(r: &mut Reader<'_>) -> Result<u32, Error> {
    let count = r.u32()?;
    if count <= MAX_COUNT { Ok(count) } else { Err(r.malformed()) }
}

/// What tickets are made of, or kept with. The rest of it is in the summary, and in the configuration.
enum Tickets {
    None,
    Keeper { key: SessionKey, resumption: ResumptionSecret },
    Issuer { policy: [u8; 32], authenticated: u64, next: u32, resumption: ResumptionSecret },
}

fn write_tickets(w: &mut Writer, keeper: Option<&SessionKeeper>, issuer: Option<&TicketIssuer>) {
    if let Some(keeper) = keeper {
        w.u8(KEEPER);
        w.raw(&keeper.key.0);
        w.vec8(|w| w.raw(keeper.resumption.secret().expose()));
    } else if let Some(issuer) = issuer {
        w.u8(ISSUER);
        w.raw(&issuer.policy);
        w.u64(issuer.authenticated);
        w.u32(issuer.next);
        w.vec8(|w| w.raw(issuer.resumption.secret().expose()));
    } else {
        w.u8(NO_TICKETS);
    }
}

fn read_tickets(r: &mut Reader<'_>, suite: &'static CipherSuite) -> Result<Tickets, Error> {
    let resumption = |r: &mut Reader<'_>| {
        Ok::<_, Error>(ResumptionSecret::restore(suite.hash, read_secret(r, suite)?))
    };
    match r.u8()? {
        NO_TICKETS => Ok(Tickets::None),
        KEEPER => Ok(Tickets::Keeper { key: SessionKey(*r.array()?), resumption: resumption(r)? }),
        ISSUER => Ok(Tickets::Issuer {
            policy: *r.array()?,
            authenticated: r.u64()?,
            next: count(r)?,
            resumption: resumption(r)?,
        }),
        _ => Err(r.malformed()),
    }
}

impl Tickets {
    /// A configuration without a store, or without tickets, goes on without.
    fn restore(
        self,
        config: Config<'_>,
        suite: &'static CipherSuite,
        summary: &Summary,
    ) -> Result<(Option<SessionKeeper>, Option<TicketIssuer>), Error> {
        match (self, config) {
            (Self::None, _) => Ok((None, None)),
            (Self::Keeper { key, resumption }, Config::Client(config)) => {
                let keeper = config.sessions.clone().map(|store| SessionKeeper {
                    store,
                    key,
                    suite: suite.id,
                    resumption,
                    alpn: summary.alpn.clone(),
                    server: summary.peer(),
                    chain_expiry: summary.peer().expiry(),
                });
                Ok((keeper, None))
            }
            (Self::Issuer { policy, authenticated, next, resumption }, Config::Server(config)) => {
                let issuer = config.tickets.as_ref().map(|_| TicketIssuer {
                    config: config.clone(),
                    suite,
                    resumption,
                    policy,
                    alpn: summary.alpn.clone(),
                    client: summary.peer(),
                    authenticated,
                    next,
                });
                Ok((None, issuer))
            }
            _ => Err(Misuse::Migration.into()),
        }
    }
}

/// A question that was not polled is answered by now, and says nothing any more.
fn event_code(event: &Event) -> Option<u8> {
    match event {
        Event::Ask(_) => None,
        Event::Connected => Some(1),
        Event::PeerClosed => Some(2),
        Event::PeerUpdatedKeys { requested: false } => Some(3),
        Event::PeerUpdatedKeys { requested: true } => Some(4),
        Event::EarlyDataAnswer { accepted: false } => Some(5),
        Event::EarlyDataAnswer { accepted: true } => Some(6),
        Event::PeerCanceled => Some(7),
        Event::ClientAnswered { known: false } => Some(8),
        Event::ClientAnswered { known: true } => Some(9),
    }
}

fn event(code: u8) -> Option<Event> {
    Some(match code {
        1 => Event::Connected,
        2 => Event::PeerClosed,
        3 | 4 => Event::PeerUpdatedKeys { requested: code == 4 },
        5 | 6 => Event::EarlyDataAnswer { accepted: code == 6 },
        7 => Event::PeerCanceled,
        8 | 9 => Event::ClientAnswered { known: code == 9 },
        _ => return None,
    })
}

fn write_summary(w: &mut Writer, summary: &Summary) {
    w.u16(summary.version.0);
    write_option(w, summary.group, |w, group| w.u16(group.0));
    write_option(w, summary.peer_scheme, |w, scheme| w.u16(scheme.0));
    write_option(w, summary.own_scheme, |w, scheme| w.u16(scheme.0));
    write_option(w, summary.alpn.as_ref(), |w, name| w.vec8(|w| w.raw(name)));
    let name = summary.server_name.as_ref();
    w.u8(match name {
        Some(ServerName::DnsName(_)) => 1,
        Some(ServerName::IpAddress(_)) => 2,
        _ => 0,
    });
    w.vec16(|w| w.raw(name.map(ServerName::to_str).unwrap_or_default().as_bytes()));
    summary.peer().write(w);
    w.u64(summary.peer_until);
    w.u8(summary.resumed.into());
    w.u8(match summary.early_data {
        EarlyData::NotOffered => 0,
        EarlyData::Accepted => 1,
        EarlyData::Rejected => 2,
    });
    w.u8(summary.retried.into());
    write_option(w, summary.ticket_age_skew, |w, skew| w.u64(skew.cast_unsigned()));
}

fn read_summary(
    r: &mut Reader<'_>,
    suite: &'static CipherSuite,
    peer_purpose: Purpose,
) -> Result<Summary, Error> {
    let version = ProtocolVersion(r.u16()?);
    if version != ProtocolVersion::TLSv1_3 {
        return Err(r.malformed());
    }
    let group = read_option(r, |r| Ok(NamedGroup(r.u16()?)))?;
    let peer_scheme = read_option(r, |r| Ok(SignatureScheme(r.u16()?)))?;
    let own_scheme = read_option(r, |r| Ok(SignatureScheme(r.u16()?)))?;
    let alpn = read_option(r, |r| Ok(r.vec8()?.to_vec()))?;
    let server_name = read_name(r)?;
    let peer = PeerIdentity::read(r)?;
    Ok(Summary {
        version,
        suite: suite.id,
        group,
        peer_scheme,
        own_scheme,
        alpn,
        server_name,
        peer_chain: peer.chain,
        peer_raw_public_key: peer.raw_public_key,
        peer_until: r.u64()?,
        peer_ocsp: peer.ocsp,
        peer_scts: peer.scts,
        trust_version: None,
        resumed: read_bool(r)?,
        external_tag: peer.external.as_ref().map_or([0; 32], |key| key.tag),
        external_psk: peer.external.map(|key| key.name),
        early_data: match r.u8()? {
            0 => EarlyData::NotOffered,
            1 => EarlyData::Accepted,
            2 => EarlyData::Rejected,
            _ => return Err(r.malformed()),
        },
        retried: read_bool(r)?,
        ticket_age_skew: read_option(r, |r| Ok(r.u64()?.cast_signed()))?,
        peer_purpose,
    })
}

fn read_name(r: &mut Reader<'_>) -> Result<Option<ServerName<'static>>, Error> {
    let kind = r.u8()?;
    let text = str::from_utf8(r.vec16()?).map_err(|_| r.malformed())?;
    let name = match kind {
        0 if text.is_empty() => return Ok(None),
        1 => DnsName::try_from(text.to_owned()).ok().map(ServerName::DnsName),
        2 => IpAddr::try_from(text).ok().map(ServerName::IpAddress),
        _ => None,
    };
    name.ok_or(r.malformed()).map(Some)
}

fn read_bool(r: &mut Reader<'_>) -> Result<bool, Error> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(r.malformed()),
    }
}

fn write_option<T>(w: &mut Writer, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
    w.u8(value.is_some().into());
    if let Some(value) = value {
        write(w, value);
    }
}

fn read_option<T>(
    r: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    match read_bool(r)? {
        true => read(r).map(Some),
        false => Ok(None),
    }
}
