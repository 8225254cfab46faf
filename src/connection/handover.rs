//! How a connection is given away when its handshake is complete: as two halves, as keys, or to another process.

use super::{Connection, Phase};
use crate::error::{Error, Misuse};
use crate::handshake::Established;
use crate::handshake::post_auth::PostAuth;
use crate::inbound::Inbound;
use crate::record::WriteSide;
use crate::split::{Receiver, Sender};
use crate::traffic_keys::{DirectionKeys, TrafficKeys};

impl Connection {
    /// Takes the connection apart into a half that sends and one that receives, for two threads. They share nothing.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], or the error that ended the connection before. [`Misuse::NotMovable`] on a client that has
    /// offered to be asked who it is, since neither half could answer; [`Misuse::Busy`] on a server that has asked and has no
    /// answer yet.
    pub fn split(self) -> Result<(Sender, Receiver), Error> {
        self.check_connected()?;
        let established = self.established.ok_or(Misuse::NotConnected)?;
        established.post_auth.as_ref().map_or(Ok(()), PostAuth::check_movable)?;
        Ok((Sender::new(self.writer), Receiver::new(self.inbound, established)))
    }

    /// Gives up the connection for its keys, to go on with them elsewhere: in the kernel, in hardware, in another
    /// process. Whoever has them must use each sequence number once.
    ///
    /// # Errors
    /// [`Misuse::NotConnected`], [`Misuse::Closed`]; [`Misuse::Busy`] if output is waiting, a key change is owed, or half
    /// a message has come.
    pub fn into_traffic_keys(self) -> Result<TrafficKeys, Error> {
        self.check_connected()?;
        if self.writer.is_closed() || self.inbound.peer_closed {
            return Err(Misuse::Closed.into());
        }
        if !self.writer.is_idle() || !self.inbound.reader.partial.is_empty() {
            return Err(Misuse::Busy.into());
        }
        let sending = self.writer.into_secret().ok_or(Misuse::NotConnected)?;
        let receiving = self.inbound.reader.into_secret().ok_or(Misuse::NotConnected)?;
        Ok(TrafficKeys {
            suite: sending.suite.id,
            sending: DirectionKeys::from(sending),
            receiving: DirectionKeys::from(receiving),
        })
    }

    /// Whether the connection can go on in another process.
    pub(crate) fn check_movable(&self) -> Result<(), Error> {
        self.check_connected()?;
        if self.writer.is_closed() && self.inbound.peer_closed {
            return Err(Misuse::Closed.into());
        }
        if !self.writer.is_empty() || self.open_question.is_some() {
            return Err(Misuse::Busy.into());
        }
        let post_auth = self.established.as_ref().and_then(|e| e.post_auth.as_ref());
        Ok(post_auth.map_or(Ok(()), PostAuth::check_movable)?)
    }

    /// Takes the connection apart, to go on in another process.
    pub(crate) fn into_parts(self) -> Result<Parts, Error> {
        self.check_movable()?;
        let established = self.established.ok_or(Misuse::NotConnected)?;
        Ok(Parts { writer: self.writer, inbound: self.inbound, established })
    }

    /// Goes on in this process.
    pub(crate) fn from_parts(parts: Parts) -> Self {
        Self {
            inbound: parts.inbound,
            writer: parts.writer,
            phase: Phase::Connected,
            established: Some(parts.established),
            open_question: None,
            early_data_left: None,
            early_alpn: None,
            half_rtt: None,
            error: None,
        }
    }
}

/// All that a connection is after its handshake.
pub(crate) struct Parts {
    pub(crate) writer: WriteSide,
    pub(crate) inbound: Inbound,
    pub(crate) established: Box<Established>,
}
