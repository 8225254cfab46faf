//! What the tests share: certificates, a pair of connections with a virtual clock and seeded randomness, and transports
//! that cut and glue their bytes.
//!
//! Nothing here reads a clock or the system's randomness (but for the certificates, which are made once a process), so
//! that a failing test fails again.

// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod data;
mod pair;
mod pki;
mod random;
pub mod session;
pub mod trace;

pub use self::data::{gunzip, hex, json, unhex};
pub use self::pair::{Answerer, Calls, Pair, Role, Side, Sink, Transport, records};
pub use self::pki::{Identity, Kind, Pki, pki};
pub use self::random::{Rand, scripted, seeded};

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{ClientConfig, KeyLog, ServerConfig, Verifier};

/// The moment at which every test begins: 2026-09-21.
pub fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_790_000_000))
}

/// So many seconds after [`now`].
pub fn later(seconds: i64) -> UnixTime {
    let then = now().as_secs().checked_add_signed(seconds).unwrap();
    UnixTime::since_unix_epoch(Duration::from_secs(then))
}

/// The name that the servers of [`pki`] have.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("server.test").unwrap()
}

/// A client that trusts [`pki`], and a server with its P-256 certificate: reproducible, each from a seed of its own.
pub fn configs(seed: u64) -> (ClientConfig, ServerConfig) {
    configs_with(seed, Kind::P256)
}

/// The same with a server certificate of this kind.
pub fn configs_with(seed: u64, kind: Kind) -> (ClientConfig, ServerConfig) {
    let client_provider = seeded(seed.wrapping_mul(2));
    let server_provider = seeded(seed.wrapping_mul(2).wrapping_add(1));
    let credential = pki().server(kind).credential(&server_provider);
    let client = ClientConfig::new(client_provider, Verifier::new(pki().anchors())).unwrap();
    let server = ServerConfig::new(server_provider, vec![credential]).unwrap();
    (client, server)
}

/// A label, the ClientHello's random, a secret.
pub type Line = (String, [u8; 32], Vec<u8>);

/// Remembers what is logged.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Vec<Line>>);

impl KeyLog for Lines {
    fn log(&self, label: &str, client_random: &[u8; 32], secret: &[u8]) {
        self.0.lock().unwrap().push((label.to_owned(), *client_random, secret.to_vec()));
    }
}

impl Lines {
    /// An empty log, to be shared.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Line> {
        self.0.lock().unwrap().clone()
    }

    /// The labels so far.
    pub fn labels(&self) -> BTreeSet<String> {
        self.all().into_iter().map(|(label, _, _)| label).collect()
    }

    /// The secret of this label, which was logged once.
    pub fn secret(&self, label: &str) -> Vec<u8> {
        let all = self.all();
        let mut found = all.into_iter().filter(|(l, _, _)| l == label);
        let secret = found.next().unwrap_or_else(|| panic!("{label} was not logged")).2;
        assert!(found.next().is_none(), "{label} was logged twice");
        secret
    }
}
