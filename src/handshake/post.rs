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
    /// A ticket, which a client that keeps no sessions ignores (RFC 9846 §4.7.1).
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

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// How many messages and KeyUpdates have come since the last data.
    pub(crate) fn counts(&self) -> [u32; 2] {
        [self.messages, self.key_updates]
    }

    /// Goes on counting from there.
    pub(crate) fn set_counts(&mut self, [messages, key_updates]: [u32; 2]) {
        (self.messages, self.key_updates) = (messages, key_updates);
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
        // Each has its own bound: tickets leave no fewer KeyUpdates, nor the other way about.
        match wanted {
            PostHandshake::KeyUpdate { .. } => self.count_key_update()?,
            PostHandshake::Ticket => self.count()?,
        }
        Ok(wanted)
    }

    fn count_key_update(&mut self) -> Result<(), Error> {
        self.key_updates += 1;
        match self.key_updates <= self.limits.key_updates {
            true => Ok(()),
            false => Err(Limit::KeyUpdates.into()),
        }
    }

    /// One more message without data, other than a KeyUpdate.
    pub(crate) fn count(&mut self) -> Result<(), Error> {
        self.messages += 1;
        match self.messages <= self.limits.post_handshake {
            true => Ok(()),
            false => Err(Limit::PostHandshake.into()),
        }
    }
}
