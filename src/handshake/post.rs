//! Messages after the handshake (RFC 9846 §4.7), and how many of them a peer may send.

use crate::config::Limits;
use crate::error::{Error, Limit};
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
    /// A ticket, which a client that does not resume ignores (RFC 9846 §4.7.1).
    Ticket,
    /// The peer's next record is under its next key; if `requested`, ours has to change too (RFC 9846 §4.7.3).
    KeyUpdate { requested: bool },
}

/// Counts what comes after the handshake without any application data in between.
pub(crate) struct PostCounter {
    role: Role,
    pub(crate) limits: Limits,
    messages: u32,
    key_updates: u32,
}

impl PostCounter {
    pub(crate) fn new(role: Role, limits: Limits) -> Self {
        Self { role, limits, messages: 0, key_updates: 0 }
    }

    /// Application data has come: whoever sends it is not just keeping us busy.
    pub(crate) fn on_data(&mut self) {
        (self.messages, self.key_updates) = (0, 0);
    }

    /// The whole table of what may come, and nothing else.
    pub(crate) fn on_message(&mut self, message: &Message<'_>) -> Result<PostHandshake, Error> {
        let wanted = match (self.role, message) {
            (Role::Client, Message::NewSessionTicket(_)) => PostHandshake::Ticket,
            (_, Message::KeyUpdate(update)) => {
                PostHandshake::KeyUpdate { requested: update.requested }
            }
            _ => return Err(Error::unexpected("CONNECTED", message.name())),
        };
        // The narrower bound first: with both at their defaults it would never be the one that is named.
        self.key_updates += u32::from(matches!(wanted, PostHandshake::KeyUpdate { .. }));
        if self.key_updates > self.limits.key_updates {
            return Err(Limit::KeyUpdates.into());
        }
        self.messages += 1;
        if self.messages > self.limits.post_handshake {
            return Err(Limit::PostHandshake.into());
        }
        Ok(wanted)
    }
}
