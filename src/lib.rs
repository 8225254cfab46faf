#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod adapter;
mod codec;
pub mod codepoints;
pub mod compress;
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
mod limits;
mod message;
mod migrate;
mod output;
mod pem;
mod psk;
mod record;
mod replay;
mod retry;
mod secret;
mod session;
mod shared;
mod split;
mod ticket;
mod traffic_keys;
mod transcript;
mod verify;

pub use pki_types;

pub use self::config::{Ask, ClientAuth, ClientConfig, Padding, ServerConfig, ServerNamePolicy};
pub use self::connection::{Connection, MAX_RECORD, RECORD_HEADER, RECORD_TRAILER};
pub use self::credential::Credential;
pub use self::decision::{
    Answer, Choice, CredentialRequest, PeerCertificates, Question, SignatureRequest, Waiting,
};
pub use self::error::*;
pub use self::handshake::{EarlyData, Summary};
pub use self::inbound::{Event, Read};
pub use self::key_log::KeyLog;
pub use self::limits::{Limits, Usage};
pub use self::message::ClientHelloView;
pub use self::migrate::MigrationKey;
pub use self::output::{FixedOutput, Output};
pub use self::psk::{ExternalPsk, PskHash, PskPolicy};
pub use self::replay::{MemoryReplay, ReplayStore, WINDOW_SECONDS};
pub use self::retry::CookieKey;
pub use self::secret::Secret;
pub use self::session::{MemorySessions, Session, SessionKey, SessionStore};
pub use self::shared::Shared;
pub use self::split::{Receiver, Sender};
pub use self::ticket::{MemoryTickets, RedeemedTicket, TicketKeys, Tickets};
pub use self::traffic_keys::{DirectionKeys, TrafficKeys};
pub use self::verify::{
    CertificateName, Crls, CtLog, Evidence, Profile, Purpose, Revocation, Transparency,
    TrustAnchors, TrustVersion, Verification, VerifiedPath, Verifier,
};
