//! Messages after the handshake (RFC 9846 §4.7).

use crate::error::Error;
use crate::limits::Budget;
use crate::message::Message;

/// Who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// What a message after the handshake asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostHandshake {
    /// A ticket, which a client that keeps no sessions ignores (RFC 9846 §4.7.1).
    Ticket,
    /// The peer's next record is under its next key; if `requested`, ours has to change too (RFC 9846 §4.7.3).
    KeyUpdate { requested: bool },
}

impl PostHandshake {
    /// The whole table of what may come, and nothing else. What comes is counted.
    pub(crate) fn of(
        role: Role,
        message: &Message<'_>,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        match (role, message) {
            // Each has its own bound: tickets leave no fewer KeyUpdates, nor the other way about.
            (Role::Client, Message::NewSessionTicket(_)) => {
                budget.ticket()?;
                Ok(Self::Ticket)
            }
            (_, Message::KeyUpdate(update)) => {
                budget.key_update()?;
                Ok(Self::KeyUpdate { requested: update.requested })
            }
            _ => Err(Error::unexpected("CONNECTED", message.name())),
        }
    }
}
