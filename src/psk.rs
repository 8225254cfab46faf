//! Pre-shared keys from elsewhere (RFC 9846 §2.2), imported (RFC 9258) unless somebody insists.
//!
//! An imported key is bound to TLS 1.3, to one hash and to a context. The context should name both ends and who is who
//! ([`ExternalPsk::with_roles`]): otherwise an end that plays both roles with one key can be made to talk to itself, by
//! sending its own ClientHello back (the Selfie attack, RFC 9257 §4.1).

use std::fmt;

use crate::codec::Writer;
use crate::codepoints::ProtocolVersion;
use crate::crypto::{CipherSuite, Hash, Provider};
use crate::error::{Error, Misuse};
use crate::key_schedule::{PskKind, import_psk};
use crate::secret::Secret;

/// A key that both ends were given in some other way, under a name.
pub struct ExternalPsk {
    identity: Vec<u8>,
    context: Vec<u8>,
    key: Secret,
    hash: PskHash,
    imported: bool,
}

/// The hash that a pre-shared key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PskHash {
    /// SHA-256, which is meant where nothing is said (RFC 9258 §5.1).
    Sha256,
    /// SHA-384
    Sha384,
}

impl PskHash {
    fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// RFC 9258 §10: its number as a target KDF.
    fn kdf(len: usize) -> u16 {
        if len == 48 { 2 } else { 1 }
    }
}

impl ExternalPsk {
    /// A key of 16 to 80 random bytes that belongs to SHA-256, to be imported without a context.
    ///
    /// # Errors
    /// [`Misuse::Psk`] if the identity is empty or over 60,000 bytes long, or the key is shorter than 16 bytes (128 bits:
    /// RFC 9257 §6; a password is no key, whatever its length), longer than 80, or all zeros.
    pub fn new(identity: &[u8], key: &[u8]) -> Result<Self, Error> {
        let sound = (1..=60_000).contains(&identity.len())
            && (16..=Secret::MAX).contains(&key.len())
            && key.iter().any(|byte| *byte != 0);
        let key = Secret::from_slice(key).filter(|_| sound).ok_or(Misuse::Psk)?;
        Ok(Self {
            identity: identity.to_vec(),
            context: Vec::new(),
            key,
            hash: PskHash::Sha256,
            imported: true,
        })
    }

    /// The hash that the key belongs to.
    #[must_use]
    pub fn with_hash(mut self, hash: PskHash) -> Self {
        self.hash = hash;
        self
    }

    /// Binds the key to this context, which both ends must give alike and which is sent in clear (RFC 9258 §5.1).
    ///
    /// # Errors
    /// [`Misuse::Psk`] if identity and context together are over 60,000 bytes long.
    pub fn with_context(mut self, context: &[u8]) -> Result<Self, Error> {
        if self.identity.len() + context.len() > 60_000 {
            return Err(Misuse::Psk.into());
        }
        self.context = context.to_vec();
        Ok(self)
    }

    /// Binds the key to who is the client and who is the server, as [`ExternalPsk::with_context`] with both names, each
    /// with its length in front. An end that plays both roles makes two of these, and neither fits the other.
    ///
    /// # Errors
    /// [`Misuse::Psk`] if the two are the same, or too long.
    pub fn with_roles(self, client: &[u8], server: &[u8]) -> Result<Self, Error> {
        if client == server {
            return Err(Misuse::Psk.into());
        }
        let mut w = Writer::default();
        w.vec16(|w| w.raw(client));
        w.vec16(|w| w.raw(server));
        self.with_context(&w.finish().map_err(|_| Misuse::Psk)?)
    }

    /// Uses the key as it is, for a peer that cannot import. One key then serves several protocols and roles, and
    /// nothing tells them apart (RFC 9257 §4).
    #[must_use]
    pub fn danger_not_imported(mut self) -> Self {
        self.imported = false;
        self
    }

    /// The name that was given, without its context.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// Tells it from other keys of its name, for sessions that rest on it: from the key, its context and its hash, and nothing
    /// follows from it about the key. `None` if the provider lacks its hash.
    pub(crate) fn tag(&self, provider: &Provider) -> Option<[u8; 32]> {
        let mut w = Writer::default();
        w.raw(b"sealwire session of an external key");
        w.u8(self.imported.into());
        w.vec16(|w| w.raw(&self.identity));
        w.vec16(|w| w.raw(&self.context));
        let own = self.own_hash(provider)?;
        let mac = own.hmac(self.key.expose(), &[&w.finish().ok()?]);
        Some(provider.fingerprint(mac.expose()))
    }

    fn own_hash(&self, provider: &Provider) -> Option<&'static dyn Hash> {
        let of_len = |s: &&&'static CipherSuite| s.hash.output_len() == self.hash.output_len();
        Some(provider.suites.iter().find(of_len)?.hash)
    }

    /// What goes onto the wire, and into the key schedule, for suites with the hash `target`. `None` if this key is not
    /// for that hash.
    pub(crate) fn for_hash(&self, provider: &Provider, target: &'static dyn Hash) -> Option<Psk> {
        let len = target.output_len();
        if !self.imported {
            let key = Secret::from_slice(self.key.expose())?;
            let fits = len == self.hash.output_len();
            let identity = self.identity.clone();
            return fits.then_some(Psk { identity, key, kind: PskKind::External });
        }
        // RFC 9258 §5.1: ImportedIdentity. The key is extracted with its own hash.
        let mut w = Writer::default();
        w.vec16(|w| w.raw(&self.identity));
        w.vec16(|w| w.raw(&self.context));
        w.u16(ProtocolVersion::TLSv1_3.0);
        w.u16(PskHash::kdf(len));
        let identity = w.finish().ok()?;
        let key = import_psk(self.own_hash(provider)?, &self.key, &identity, len);
        Some(Psk { identity, key, kind: PskKind::Imported })
    }
}

impl fmt::Debug for ExternalPsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalPsk")
            .field("identity", &String::from_utf8_lossy(&self.identity))
            .field("hash", &self.hash)
            .field("imported", &self.imported)
            .finish_non_exhaustive()
    }
}

/// A key under the name that it has on the wire.
pub(crate) struct Psk {
    pub(crate) identity: Vec<u8>,
    pub(crate) key: Secret,
    pub(crate) kind: PskKind,
}

/// What happens when the two ends have no pre-shared key in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PskPolicy {
    /// The handshake fails. A session that rests on one of the keys will do.
    #[default]
    Required,
    /// The handshake goes on with certificates, as if there were no pre-shared keys.
    OrCertificate,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use crate::codepoints::CipherSuiteId;

    fn unhex(text: &str) -> Vec<u8> {
        let digits = text.trim_start_matches('-');
        let byte = |i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    #[test]
    fn pitfall_33_imported_keys_are_those_of_the_vectors() {
        let provider = crate::crypto::deterministic::provider(std::sync::Arc::new(
            crate::crypto::deterministic::SeededRng::new(1),
        ));
        let lines = include_str!("../vectors/psk_import.txt").lines();
        let mut seen = 0;
        for line in lines.filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let [own, key, identity, context, target, output] = fields[..] else {
                panic!("{line}")
            };
            let own = if own == "SHA-384" { PskHash::Sha384 } else { PskHash::Sha256 };
            let (target, kdf) = match target {
                "SHA-256" => (CipherSuiteId::TLS_AES_128_GCM_SHA256, 1),
                "SHA-384" => (CipherSuiteId::TLS_AES_256_GCM_SHA384, 2),
                other => panic!("{other}"),
            };
            let psk = ExternalPsk::new(&unhex(identity), &unhex(key)).unwrap().with_hash(own);
            let psk = psk.with_context(&unhex(context)).unwrap();
            let suite = provider.suite(target).unwrap();
            let wire = psk.for_hash(&provider, suite.hash).unwrap();
            assert_eq!(wire.key.expose(), unhex(output), "{line}");
            assert!(matches!(wire.kind, PskKind::Imported));
            // The identity on the wire says what the key is for.
            assert_eq!(wire.identity[wire.identity.len() - 4..], [3, 4, 0, kdf]);
            seen += 1;
        }
        assert_eq!(seen, 6);
    }
}
