//! Secrets for a packet analyser, by an explicit object (draft-ietf-tls-keylogfile-05).

use std::fmt;

/// Receives the secrets of every connection of a configuration.
///
/// Whoever holds them reads the traffic, so there is none unless a configuration is given one.
pub trait KeyLog: Send + Sync + fmt::Debug {
    /// Takes `secret`, which is called `label` (as the draft names it) in the connection of `client_random`.
    fn log(&self, label: &str, client_random: &[u8; 32], secret: &[u8]);
}
