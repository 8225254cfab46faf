//! Live migration: a connection is frozen here, carried over by the caller, and thawed in another process, while the peer
//! notices nothing. What TLS asks of it is that no nonce is used twice (RFC 9846 §5.3): so a connection is in one place
//! at a time.
//!
//! ```text
//!   Connection ── freeze, which consumes it ──► blob ── thaw, which a key does once for each blob ──► Connection
//! ```
//!
//! This file owns the key and the sealing; what is inside is in [`form`].

mod form;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::codec::Reader;
use crate::codepoints::CipherSuiteId;
use crate::config::{ClientConfig, ServerConfig};
use crate::connection::Connection;
use crate::crypto::{AeadKey, CipherSuite, NONCE_LEN, Provider, TAG_LEN};
use crate::error::{CryptoError, Error, Misuse};
use crate::migrate::form::Config;
use crate::secret::Secret;

/// Under what connections are frozen and thawed: 32 secret bytes that both processes have. Wiped when dropped.
///
/// # Each blob once
/// **A blob that is thawed twice makes two connections that seal different data under the same key and nonce. That gives
/// the data away, and lets others forge more (RFC 9846 §5.3).** Freezing consumes the connection, and a `MigrationKey`
/// remembers what it has thawed and refuses it a second time. But it cannot know what another `MigrationKey` of the same
/// bytes has done, in this process or another: the caller must hand a blob to one taker, and never keep it.
/// A key for every hand-over, made with [`MigrationKey::generate`] and forgotten afterwards, is the surest way.
///
/// Whoever has a key and a blob can read and forge the rest of that connection.
pub struct MigrationKey {
    provider: Provider,
    suite: &'static CipherSuite,
    secret: Secret,
    /// The salts of the blobs that were thawed. It never forgets one: when it is full, no more are thawed.
    thawed: Mutex<HashSet<[u8; SALT_LEN]>>,
}

impl MigrationKey {
    /// The key of these 32 bytes, which nobody can guess: not a password.
    ///
    /// # Errors
    /// [`Misuse::MigrationKey`] if they are all zero. [`Misuse::NotInProvider`] if the provider has no AES-256-GCM and no
    /// ChaCha20-Poly1305.
    pub fn new(provider: &Provider, bytes: &[u8; 32]) -> Result<Self, Error> {
        let secret = Secret::from_slice(bytes).filter(|_| *bytes != [0; 32]);
        Self::of(provider, secret.ok_or(Misuse::MigrationKey)?)
    }

    /// A new key.
    ///
    /// # Errors
    /// [`Error::Crypto`] if there is no randomness. [`Misuse::NotInProvider`] as above.
    pub fn generate(provider: &Provider) -> Result<Self, Error> {
        let mut secret = Secret::zeroed(SECRET_LEN);
        provider.rng.fill(secret.expose_mut())?;
        if secret.expose().iter().all(|byte| *byte == 0) {
            return Err(CryptoError.into());
        }
        Self::of(provider, secret)
    }

    fn of(provider: &Provider, secret: Secret) -> Result<Self, Error> {
        let suite = SEALING_SUITES.iter().find_map(|id| provider.suite(*id));
        Ok(Self {
            provider: provider.clone(),
            suite: suite.ok_or(Misuse::NotInProvider("AEAD for migration"))?,
            secret,
            thawed: Mutex::default(),
        })
    }

    /// Its 32 bytes, for the other process.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The AEAD key and nonce for one blob. The salt is random, so that neither comes twice.
    fn derive(
        &self,
        suite: &'static CipherSuite,
        salt: &[u8],
    ) -> Result<(Box<dyn AeadKey>, [u8; NONCE_LEN]), CryptoError> {
        let key = suite.hash.hmac(self.secret.expose(), &[KEY_LABEL, salt]);
        let nonce = suite.hash.hmac(self.secret.expose(), &[NONCE_LABEL, salt]);
        let key = key.expose().get(..suite.aead.key_len()).ok_or(CryptoError)?;
        Ok((suite.aead.key(key)?, *nonce.expose().first_chunk().ok_or(CryptoError)?))
    }

    /// Seals `secrets` and `rest` behind a header that is authenticated too.
    fn seal(&self, secrets: &[u8], rest: &[u8]) -> Result<Vec<u8>, Error> {
        let mut salt = [0; SALT_LEN];
        self.provider.rng.fill(&mut salt)?;
        let (aead, nonce) = self.derive(self.suite, &salt)?;
        let capacity = HEAD_LEN + secrets.len() + rest.len() + TAG_LEN;
        // It never grows, and is wiped if the sealing fails: no copy of the secrets is left.
        let mut blob = Zeroizing::new(Vec::with_capacity(capacity));
        blob.extend_from_slice(MAGIC);
        blob.extend_from_slice(&self.suite.id.0.to_be_bytes());
        blob.extend_from_slice(&salt);
        blob.extend_from_slice(secrets);
        blob.extend_from_slice(rest);
        let (head, body) = blob.split_at_mut_checked(HEAD_LEN).ok_or(CryptoError)?;
        let tag = aead.seal(nonce, head, body)?;
        blob.extend_from_slice(&tag);
        Ok(std::mem::take(&mut *blob))
    }

    /// What was sealed, with the blob's salt. `None` for everything else.
    fn open(&self, blob: &[u8]) -> Option<([u8; SALT_LEN], Zeroizing<Vec<u8>>)> {
        let (head, sealed) = blob.split_at_checked(HEAD_LEN)?;
        let mut r = Reader::new("frozen connection", head.strip_prefix(MAGIC)?);
        let suite = CipherSuiteId(r.u16().ok()?);
        let salt = *r.array().ok()?;
        let suite = self.provider.suite(suite).filter(|s| SEALING_SUITES.contains(&s.id))?;
        let (aead, nonce) = self.derive(suite, &salt).ok()?;
        let mut body = Zeroizing::new(sealed.to_vec());
        let len = aead.open(nonce, head, &mut body).ok()?;
        body.truncate(len);
        Some((salt, body))
    }

    fn thaw(&self, config: Config<'_>, blob: &[u8]) -> Result<Connection, Error> {
        let (salt, body) = self.open(blob).ok_or(Misuse::Migration)?;
        let parts = form::read(config, &body)?;
        // Last of all, so that what could not be thawed here can be elsewhere.
        self.use_up(salt)?;
        Ok(Connection::from_parts(parts))
    }

    /// Marks a blob as thawed, once: under one lock, so that of two threads one gets it.
    fn use_up(&self, salt: [u8; SALT_LEN]) -> Result<(), Misuse> {
        let mut thawed = self.thawed.lock().unwrap_or_else(PoisonError::into_inner);
        if thawed.contains(&salt) {
            return Err(Misuse::Migration);
        }
        if thawed.len() >= MAX_THAWED {
            return Err(Misuse::MigrationKey);
        }
        thawed.insert(salt);
        Ok(())
    }
}

impl fmt::Debug for MigrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MigrationKey(..)")
    }
}

impl Connection {
    /// Whether [`freeze`](Self::freeze) can be called now; a call that fails loses the connection.
    ///
    /// # Errors
    /// - [`Misuse::NotConnected`] within the handshake, and the connection's own error if it has failed.
    /// - [`Misuse::Closed`] if both sides have sent close_notify. One alone does no harm.
    /// - [`Misuse::Busy`] if output is waiting ([`flush`](Self::flush) first), or an answer is owed, or the client was asked
    ///   for a certificate and has not answered.
    /// - [`Misuse::NotMovable`] on a client that has offered post-handshake authentication.
    pub fn check_freeze(&self) -> Result<(), Error> {
        self.check_movable()
    }

    /// Gives up the connection for a sealed blob, to go on in another process: [`thaw_client`](Self::thaw_client) or
    /// [`thaw_server`](Self::thaw_server) there. The peer sees nothing of it.
    ///
    /// What was sealed before goes out before anything that is sealed elsewhere. Received bytes that were not handed to
    /// [`read`](Self::read), or that it did not take, are the caller's, and go with the blob: half a record is no obstacle.
    ///
    /// In the blob are the keys and sequence numbers, what was negotiated, the exporter and what tickets are made of, and
    /// events that were not polled. Configuration is not: see there.
    ///
    /// **A blob is to be thawed once**: see [`MigrationKey`].
    ///
    /// # Errors
    /// As [`check_freeze`](Self::check_freeze); [`Error::Crypto`] if there is no randomness.
    pub fn freeze(self, key: &MigrationKey) -> Result<Vec<u8>, Error> {
        let (secrets, rest) = form::write(self.into_parts()?)?;
        key.seal(&secrets, &rest)
    }

    /// Goes on with a client that was frozen.
    ///
    /// Limits, padding, fragment length, key update policy and session store are those of `config`; what was verified and
    /// negotiated is not looked at again, except that `config` must allow the cipher suite. Tickets that come are kept
    /// under the name of the first process's configuration.
    ///
    /// # Errors
    /// [`Misuse::Migration`] for everything that was not frozen as a client under this key, and not changed, by a version
    /// that this one can read; and for a blob that this key has thawed before. [`Misuse::NotInProvider`] if `config` lacks
    /// the cipher suite, and [`Misuse::MigrationKey`] after 65,536 connections: the blob can be thawed elsewhere then.
    pub fn thaw_client(
        config: &Arc<ClientConfig>,
        key: &MigrationKey,
        blob: &[u8],
    ) -> Result<Self, Error> {
        key.thaw(Config::Client(config), blob)
    }

    /// Goes on with a server's connection that was frozen.
    ///
    /// As with [`thaw_client`](Self::thaw_client); further tickets are issued by the tickets of `config`, bound to what the
    /// first process's configuration said. The client cannot be asked for a certificate any more.
    ///
    /// # Errors
    /// As there.
    pub fn thaw_server(
        config: &Arc<ServerConfig>,
        key: &MigrationKey,
        blob: &[u8],
    ) -> Result<Self, Error> {
        key.thaw(Config::Server(config), blob)
    }
}

/// The first bytes of a blob; the last one is its version.
const MAGIC: &[u8] = b"sealwire connection\x04";
/// What blobs are sealed with: the first that the provider has. Only their AEAD and hash matter here.
const SEALING_SUITES: [CipherSuiteId; 2] =
    [CipherSuiteId::TLS_AES_256_GCM_SHA384, CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256];
const SECRET_LEN: usize = 32;
const SALT_LEN: usize = 32;
const HEAD_LEN: usize = MAGIC.len() + 2 + SALT_LEN;
/// Each takes about 40 bytes of memory.
const MAX_THAWED: usize = 1 << 16;
const KEY_LABEL: &[u8] = b"sealwire migration key";
const NONCE_LABEL: &[u8] = b"sealwire migration nonce";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::crypto::deterministic::{SeededRng, provider};

    #[test]
    fn a_key_forgets_nothing_and_stops_when_it_is_full() {
        let key = MigrationKey::new(&provider(Arc::new(SeededRng::new(0))), &[1; 32]).unwrap();
        let salt = |number: usize| {
            let mut salt = [0; SALT_LEN];
            salt.iter_mut().zip(number.to_le_bytes()).for_each(|(to, byte)| *to = byte);
            salt
        };
        for number in 0..MAX_THAWED {
            key.use_up(salt(number)).unwrap();
        }
        assert!(matches!(key.use_up(salt(MAX_THAWED)), Err(Misuse::MigrationKey)));
        assert!(matches!(key.use_up(salt(0)), Err(Misuse::Migration)));
    }
}
