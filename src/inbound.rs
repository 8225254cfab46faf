//! What a connection and the receiving half of one have in common: alerts, and messages after the handshake.

use std::collections::VecDeque;
use std::fmt;

use pki_types::UnixTime;

use crate::codepoints::{Alert, HandshakeType};
use crate::decision::Question;
use crate::error::{Error, Limit, Violation};
use crate::handshake::post::{PostHandshake, Role};
use crate::handshake::psk::SessionKeeper;
use crate::limits::{Budget, Limits, Usage};
use crate::message::{self, Message};
use crate::record::{ChangeCipherSpecRule, Incoming, ReadSide};

/// What one call to [`Connection::read`](crate::Connection::read) did.
#[must_use]
pub enum Read<'b> {
    /// Not a whole record yet: call again once `input` holds `need` bytes. Nothing was changed.
    NeedMore {
        /// The least length of `input` that could be a record.
        need: usize,
    },
    /// A record was spent on the protocol itself; see [`Connection::poll_event`](crate::Connection::poll_event).
    Control {
        /// The bytes at the front of `input` that are spent.
        used: usize,
    },
    /// Application bytes, decrypted where they lay in `input`; never none.
    Data {
        /// The bytes at the front of `input` that are spent.
        used: usize,
        /// The application bytes.
        data: &'b mut [u8],
    },
    /// Server: early data, decrypted where it lay in `input`; never none. Whoever saw it may send it again: act only on
    /// what does no harm twice (RFC 9846 §8), or answer that it came too early (RFC 8470).
    EarlyData {
        /// The bytes at the front of `input` that are spent.
        used: usize,
        /// The early data.
        data: &'b mut [u8],
    },
    /// An answer is owed ([`Connection::waiting_for`](crate::Connection::waiting_for)). Nothing was taken; call again
    /// after the answer.
    Waiting,
    /// The peer has closed its side. Nothing was taken, and whatever is left is to be ignored (RFC 9846 §6.1).
    Closed,
}

impl fmt::Debug for Read<'_> {
    /// Without the data, which may be a password: its length instead.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut data = |name, used: &usize, data: &[u8]| {
            f.debug_struct(name).field("used", used).field("len", &data.len()).finish()
        };
        match self {
            Self::Data { used, data: bytes } => data("Data", used, bytes),
            Self::EarlyData { used, data: bytes } => data("EarlyData", used, bytes),
            Self::NeedMore { need } => f.debug_struct("NeedMore").field("need", need).finish(),
            Self::Control { used } => f.debug_struct("Control").field("used", used).finish(),
            Self::Waiting => f.write_str("Waiting"),
            Self::Closed => f.write_str("Closed"),
        }
    }
}

/// What happened on a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The application is asked, and the connection waits for its [`Answer`](crate::Answer).
    Ask(Question),
    /// The handshake is complete: both sides are authenticated as configured, and data can go both ways.
    Connected,
    /// The peer has sent close_notify: there will be no more data from it. Ours can still go (RFC 9846 §6.1).
    PeerClosed,
    /// The peer has changed its sending key. If it `requested` the same of us, it happens with our next data.
    PeerUpdatedKeys {
        /// Whether we were asked to change ours.
        requested: bool,
    },
    /// Client: the server has said whether it takes the early data. If not, it is lost, and can be sent again as ordinary
    /// data if that does no harm.
    EarlyDataAnswer {
        /// Whether it takes it.
        accepted: bool,
    },
    /// Server: the client has answered a request after the handshake. If it is `known` now, the summary says who it is; if
    /// not, it has no certificate to show.
    ClientAnswered {
        /// Whether it has authenticated itself.
        known: bool,
    },
    /// The peer has given up the handshake for reasons of its own, and will close (RFC 9846 §6.1).
    PeerCanceled,
}

/// The receiving direction, with what it has to tell.
pub(crate) struct Inbound {
    pub(crate) reader: ReadSide,
    /// What the peer may do, and what it has done.
    pub(crate) budget: Budget,
    pub(crate) events: VecDeque<Event>,
    pub(crate) peer_closed: bool,
    /// What keeps the tickets that come.
    pub(crate) keeper: Option<Box<SessionKeeper>>,
    role: Role,
}

impl Inbound {
    pub(crate) fn new(limits: Limits, role: Role, rule: ChangeCipherSpecRule) -> Self {
        Self {
            reader: ReadSide::new(rule),
            budget: Budget::new(limits),
            events: VecDeque::new(),
            peer_closed: false,
            keeper: None,
            role,
        }
    }

    /// Takes at most one record from the front of `input`.
    pub(crate) fn next<'b>(&mut self, input: &'b mut [u8]) -> Result<Incoming<'b>, Error> {
        self.reader.next(input, &mut self.budget)
    }

    /// What the peer has used of its budget.
    pub(crate) fn usage(&self) -> Usage {
        Usage { buffered_bytes: self.reader.partial.len(), ..self.budget.used }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Something has happened that the application is to know.
    ///
    /// Of key changes in a row only one is told, so that a peer cannot make the list grow, however seldom it is looked at.
    pub(crate) fn tell(&mut self, event: Event) {
        match (self.events.back_mut(), &event) {
            (
                Some(Event::PeerUpdatedKeys { requested: earlier }),
                Event::PeerUpdatedKeys { requested },
            ) => *earlier |= requested,
            _ => self.events.push_back(event),
        }
    }

    pub(crate) fn on_alert(&mut self, alert: Alert, connected: bool) -> Result<(), Error> {
        match alert {
            // RFC 9846 §6.1: the peer's end. Within the handshake there is nothing left to wait for.
            Alert::close_notify if connected => {
                self.peer_closed = true;
                self.tell(Event::PeerClosed);
                Ok(())
            }
            // RFC 9846 §6.1: ignored, close_notify follows.
            Alert::user_canceled => {
                self.budget.warning()?;
                self.tell(Event::PeerCanceled);
                Ok(())
            }
            // RFC 9846 §6.2: every other alert is fatal, unknown ones too, whatever its level says.
            alert => Err(Error::PeerAlert(alert)),
        }
    }

    /// Takes handshake bytes that came after the handshake. If the peer has changed its key, says whether it wants us to
    /// change ours.
    pub(crate) fn on_post_handshake_bytes(
        &mut self,
        now: UnixTime,
        data: &[u8],
    ) -> Result<Option<bool>, Error> {
        let mut partial = std::mem::take(&mut self.reader.partial);
        let mut bytes = gather(&mut partial, data);
        let mut update = None;
        while let Some((raw, rest)) = next_message(&self.budget.limits, bytes)? {
            let new = self.on_post_handshake(now, &Message::read(raw)?, rest.is_empty())?;
            update = new.or(update);
            bytes = rest;
        }
        let left = bytes.len();
        self.hold(keep(partial, data, left))?;
        Ok(update)
    }

    /// Holds the bytes that cannot be used yet.
    pub(crate) fn hold(&mut self, partial: Vec<u8>) -> Result<(), Error> {
        self.reader.partial = partial;
        Ok(self.budget.buffered(self.reader.partial.len())?)
    }

    /// Takes one message after the handshake. If the peer has changed its key, says whether it wants us to change ours.
    pub(crate) fn on_post_handshake(
        &mut self,
        now: UnixTime,
        message: &Message<'_>,
        last: bool,
    ) -> Result<Option<bool>, Error> {
        match PostHandshake::of(self.role, message, &mut self.budget)? {
            PostHandshake::Ticket => {
                if let (Message::NewSessionTicket(ticket), Some(keeper)) = (message, &self.keeper) {
                    keeper.keep(ticket, now);
                }
                Ok(None)
            }
            PostHandshake::KeyUpdate { requested } => {
                // RFC 9846 §5.1: a key changes at the end of a record.
                if !last {
                    return Err(Violation::KeyChangeMidRecord.into());
                }
                self.reader.update_key()?;
                self.tell(Event::PeerUpdatedKeys { requested });
                Ok(Some(requested))
            }
        }
    }
}

/// The handshake bytes to look at: those kept from before, with `data` behind them. Only a message that is split over
/// records, or that has to wait, is ever copied.
pub(crate) fn gather<'a>(partial: &'a mut Vec<u8>, data: &'a [u8]) -> &'a [u8] {
    if partial.is_empty() {
        return data;
    }
    partial.extend_from_slice(data);
    partial
}

/// What is to be kept when the last `left` bytes of what [`gather`] gave are not used up.
pub(crate) fn keep(mut partial: Vec<u8>, data: &[u8], left: usize) -> Vec<u8> {
    if partial.is_empty() {
        let used = data.len().saturating_sub(left);
        return data.get(used..).unwrap_or_default().to_vec();
    }
    partial.drain(..partial.len().saturating_sub(left));
    partial
}

/// A message, header included, and the bytes behind it; `None` if it is not whole yet.
type MessageAndRest<'a> = Option<(&'a [u8], &'a [u8])>;

/// The first whole message of `bytes`, and what follows it. One that is longer than the limits allow is refused by its
/// header, before it is there.
pub(crate) fn next_message<'a>(
    limits: &Limits,
    bytes: &'a [u8],
) -> Result<MessageAndRest<'a>, Error> {
    let [kind, a, b, c, ..] = *bytes else {
        return Ok(None);
    };
    let len = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    let (max, limit) = match HandshakeType(kind) {
        HandshakeType::certificate => (limits.certificate_message, Limit::CertificateMessage),
        _ => (limits.handshake_message, Limit::HandshakeMessage),
    };
    match len <= max {
        true => Ok(bytes.split_at_checked(message::HEADER + len)),
        false => Err(limit.into()),
    }
}
