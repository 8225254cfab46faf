#![doc = include_str!("../README.md")]

pub mod adapter;
mod codec;
pub mod codepoints;
mod config;
mod connection;
mod credential;
pub mod crypto;
mod decision;
mod error;
mod handshake;
mod inbound;
mod key_log;
mod key_schedule;
mod message;
mod output;
mod record;
mod retry;
mod secret;
mod split;
mod transcript;
mod verify;

pub use pki_types;

pub use self::config::{
    Ask, ClientAuth, ClientConfig, Limits, Padding, ServerConfig, ServerNamePolicy,
};
pub use self::connection::{
    Connection, DirectionKeys, MAX_RECORD, RECORD_HEADER, RECORD_TRAILER, TrafficKeys,
};
pub use self::credential::Credential;
pub use self::decision::{Answer, Choice, PeerCertificates, Question, SignatureRequest, Waiting};
pub use self::error::*;
pub use self::handshake::Summary;
pub use self::inbound::{Event, Read};
pub use self::key_log::KeyLog;
pub use self::message::ClientHelloView;
pub use self::output::{FixedOutput, Output};
pub use self::retry::CookieKey;
pub use self::secret::Secret;
pub use self::split::{Receiver, Sender};
pub use self::verify::{Purpose, TrustAnchors, VerifiedPath, Verifier};
