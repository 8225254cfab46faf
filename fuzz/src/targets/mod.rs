//! The targets: one function each, which panics if something does not hold.

mod api;
mod certificate;
mod chain;
mod evidence;
mod hello;
mod pair;
mod record;
mod rustls;
mod script;
mod split;
mod ticket;

pub use self::script::connects;
// The modules here see what the targets share.
use super::{cheap, peer, seeds, template, world};

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("api", api::api),
    ("certificate", certificate::certificate),
    ("chain", chain::chain),
    ("client_hello", hello::client_hello),
    ("crl", evidence::crl),
    ("ocsp", evidence::ocsp),
    ("pair", pair::pair),
    ("record", record::record),
    ("rustls", rustls::rustls),
    ("scripted_client", script::scripted_client),
    ("scripted_server", script::scripted_server),
    ("sct", evidence::sct),
    ("server_hello", hello::server_hello),
    ("split", split::split),
    ("ticket", ticket::ticket),
];

/// Runs one input through the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, body) = target.unwrap_or_else(|| panic!("there is no target {name}"));
    cheap::rewind();
    body(data);
}
