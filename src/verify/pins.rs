//! Pins: keys of which one has to be on the path, beside what the path has to be in any case (as RFC 7469 had it).
//!
//! A pin that is the only one locks everybody out on the day when its key is lost. So there is always a backup
//! (RFC 7469 §4.3), whose key lies where the other one's does not.

use super::raw_key::hex;
use crate::crypto::Provider;
use crate::error::{CertificateReason as Reason, Error, Misuse};

/// SHA-256 hashes of SubjectPublicKeyInfos. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Pins(Vec<[u8; 32]>);

impl Pins {
    pub(super) fn new(current: &[[u8; 32]], backup: &[[u8; 32]]) -> Result<Self, Error> {
        let apart = !backup.iter().any(|pin| current.contains(pin));
        if current.is_empty() || backup.is_empty() || !apart {
            let why = "pins need a backup: at least one more, of a key that is not in use";
            return Err(Misuse::Config(why).into());
        }
        let mut all = [current, backup].concat();
        all.sort_unstable();
        all.dedup();
        Ok(Self(all))
    }

    /// Whether one of the keys of a path, the anchor's included, is pinned (RFC 7469 §2.6).
    pub(super) fn check<'k>(
        &self,
        provider: &Provider,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> Result<(), Reason> {
        let hashes: Vec<_> = keys.map(|key| provider.fingerprint(key)).collect();
        match hashes.iter().any(|hash| self.0.binary_search(hash).is_ok()) {
            true => Ok(()),
            false => Err(Reason::NotPinned { keys: hashes.iter().map(|hash| hex(hash)).collect() }),
        }
    }

    pub(super) fn fingerprint(&self, provider: &Provider) -> [u8; 32] {
        provider.fingerprint(self.0.as_flattened())
    }
}
