//! Tickets on the server's side: what a session is made of, and how it is handed to the client (RFC 9846 §4.7.1).
//!
//! Two ways behind one trait. [`TicketKeys`] seals the session into the ticket itself, and any server with the same keys
//! opens it. [`MemoryTickets`] keeps the session and hands out a name for it, which works once.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pki_types::UnixTime;
use zeroize::Zeroizing;

use crate::codec::{Reader, Writer};
use crate::codepoints::CipherSuiteId;
use crate::crypto::{AeadKey, CipherSuite, CryptoError, NONCE_LEN, Provider, TAG_LEN};
use crate::error::{Error, Misuse};
use crate::secret::{Secret, constant_time_eq};
use crate::session::PeerIdentity;
use crate::shared::Shared;

/// What a server has to know to resume.
pub(crate) struct ServerSession {
    pub(crate) suite: CipherSuiteId,
    pub(crate) psk: Secret,
    pub(crate) age_add: u32,
    /// Seconds since 1970.
    pub(crate) issued: u64,
    /// In seconds.
    pub(crate) lifetime: u32,
    pub(crate) max_early_data: u32,
    /// Under what it was issued: trust, client authentication, name, protocol (RFC 9846 §4.7.1 leaves it to us).
    pub(crate) policy: [u8; 32],
    /// The application protocol, which early data is for (RFC 9846 §4.3.10).
    pub(crate) alpn: Option<Vec<u8>>,
    /// When the client last proved who it is with its key, in seconds since 1970: resumption does not renew that.
    pub(crate) authenticated: u64,
    pub(crate) client: PeerIdentity,
    /// When the first of the client's certificates expires, in seconds since 1970.
    pub(crate) chain_expiry: u64,
}

const STATE_VERSION: u8 = 5;

impl ServerSession {
    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut w = Writer::secret();
        w.u8(STATE_VERSION);
        w.u16(self.suite.0);
        w.vec8(|w| w.raw(self.psk.expose()));
        w.u32(self.age_add);
        w.u64(self.issued);
        w.u32(self.lifetime);
        w.u32(self.max_early_data);
        w.raw(&self.policy);
        // A protocol's name is never empty.
        w.vec8(|w| w.raw(self.alpn.as_deref().unwrap_or_default()));
        w.u64(self.authenticated);
        w.u64(self.chain_expiry);
        self.client.write(&mut w);
        w.finish_secret()
    }

    /// `None` if it is not one of ours, or of another version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new("ticket state", bytes);
        if r.u8().ok()? != STATE_VERSION {
            return None;
        }
        let mut this = Self {
            suite: CipherSuiteId(r.u16().ok()?),
            psk: Secret::from_slice(r.vec8().ok()?)?,
            age_add: r.u32().ok()?,
            issued: r.u64().ok()?,
            lifetime: r.u32().ok()?,
            max_early_data: r.u32().ok()?,
            policy: *r.array().ok()?,
            alpn: Some(r.vec8().ok()?.to_vec()).filter(|name| !name.is_empty()),
            authenticated: r.u64().ok()?,
            chain_expiry: r.u64().ok()?,
            client: PeerIdentity::read(&mut r).ok()?,
        };
        this.client.until = this.chain_expiry;
        r.finish().ok()?;
        Some(this)
    }

    /// Whether it can be resumed at `now`: within its lifetime, before the client's certificates expire, and not issued in
    /// the future, which means that a clock was set back or that another server's is ahead.
    pub(crate) fn is_alive(&self, now: UnixTime) -> bool {
        let age = now.as_secs().checked_sub(self.issued);
        age.is_some_and(|age| age < u64::from(self.lifetime)) && now.as_secs() <= self.chain_expiry
    }
}

/// Hands out tickets and takes them back. Implementations are shared by connections and threads.
///
/// The state is a secret. What a ticket was issued for, and whether it has expired, is in the state and checked by the
/// server in any case; a store need not look at it.
pub trait Tickets: Send + Sync + fmt::Debug {
    /// A ticket for `state`, which is to be forgotten `lifetime` after `now`. `None` if there is to be none.
    fn issue(&self, state: &[u8], now: UnixTime, lifetime: Duration) -> Option<Vec<u8>>;

    /// The state that the ticket was issued for. `None` for every ticket that is unknown, expired or changed: the
    /// handshake then goes on without it.
    fn redeem(&self, ticket: &[u8], now: UnixTime) -> Option<RedeemedTicket>;
}

/// Whatever is in the handle at the moment: tickets of what was there before lead to full handshakes, unless the new ones
/// know them.
impl<T: Tickets> Tickets for Shared<T> {
    fn issue(&self, state: &[u8], now: UnixTime, lifetime: Duration) -> Option<Vec<u8>> {
        self.current().0.issue(state, now, lifetime)
    }

    fn redeem(&self, ticket: &[u8], now: UnixTime) -> Option<RedeemedTicket> {
        self.current().0.redeem(ticket, now)
    }
}

/// What a ticket was issued for.
pub struct RedeemedTicket {
    /// What [`Tickets::issue`] was given.
    pub state: Zeroizing<Vec<u8>>,
    /// Whether another process can redeem the same ticket. Early data is then accepted only with a
    /// [`ReplayStore`](crate::ReplayStore) that the processes share, too.
    pub shared: bool,
}

impl fmt::Debug for RedeemedTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedeemedTicket").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// Tickets that hold the session, sealed under keys that change with time.
///
/// A key seals for one period, and opens until the last ticket under it has expired. Keys are random, and gone when they
/// are dropped. Servers that are to share them start from one [`TicketKeys::export`]; from then on each derives the next
/// key from the last at the same moment, without a word, and forgets the last in time.
pub struct TicketKeys {
    provider: Provider,
    suite: &'static CipherSuite,
    period: u64,
    overlap: u64,
    inner: Mutex<Ring>,
}

struct Ring {
    /// The newest last. Never empty.
    keys: VecDeque<EpochKey>,
    shared: bool,
}

/// The key of one period.
struct EpochKey {
    /// Seconds since 1970, divided by the period.
    epoch: u64,
    secret: Secret,
}

impl TicketKeys {
    /// Keys of this process alone, that change every 12 hours and open tickets of up to 24 more.
    ///
    /// # Errors
    /// [`Error::Crypto`] if there is no randomness. [`Misuse::NotInProvider`] if the provider has no AES-256-GCM and no
    /// ChaCha20-Poly1305.
    pub fn new(provider: &Provider, now: UnixTime) -> Result<Self, Error> {
        let (period, overlap) = (12 * 3600, 24 * 3600);
        let mut this = Self::empty(provider, period, overlap, false)?;
        let first = this.random_key(now.as_secs() / period)?;
        this.inner.get_mut().unwrap_or_else(PoisonError::into_inner).keys.push_back(first);
        Ok(this)
    }

    /// The same keys changing every `period`, and opening for `overlap` more. Call it before the first ticket.
    ///
    /// # Errors
    /// [`Misuse::Config`] unless `period` is 1 minute to 7 days, and `overlap` at most 7 days.
    pub fn with_rotation(
        mut self,
        period: Duration,
        overlap: Duration,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let week = Duration::from_secs(7 * 24 * 3600);
        if period < Duration::from_secs(60) || period > week || overlap > week {
            return Err(Misuse::Config("ticket keys change every minute to every week").into());
        }
        (self.period, self.overlap) = (period.as_secs(), overlap.as_secs());
        let first = self.random_key(now.as_secs() / self.period)?;
        let ring = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        ring.keys = VecDeque::from([first]);
        Ok(self)
    }

    fn empty(provider: &Provider, period: u64, overlap: u64, shared: bool) -> Result<Self, Error> {
        let suite = [SEALING_SUITE, FALLBACK_SUITE].into_iter().find_map(|id| provider.suite(id));
        Ok(Self {
            provider: provider.clone(),
            suite: suite.ok_or(Misuse::NotInProvider("AEAD for tickets"))?,
            period,
            overlap,
            inner: Mutex::new(Ring { keys: VecDeque::new(), shared }),
        })
    }

    fn random_key(&self, epoch: u64) -> Result<EpochKey, Error> {
        let mut secret = Secret::zeroed(SECRET_LEN);
        self.provider.rng.fill(secret.expose_mut())?;
        if secret.expose().iter().all(|byte| *byte == 0) {
            return Err(CryptoError.into());
        }
        Ok(EpochKey { epoch, secret })
    }

    /// The keys, to be shared with [`TicketKeys::import`]. From here on these, too, derive each key from the last.
    /// Whoever has them can read and make every ticket.
    ///
    /// # Errors
    /// [`Error::Crypto`] if there is no randomness for the key of `now`.
    pub fn export(&self, now: UnixTime) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut ring = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance(&mut ring, now)?;
        ring.shared = true;
        let mut w = Writer::secret();
        w.raw(MAGIC);
        w.u16(self.suite.id.0);
        w.u64(self.period);
        w.u64(self.overlap);
        for key in &ring.keys {
            w.u64(key.epoch);
            w.raw(key.secret.expose());
        }
        w.finish_secret()
    }

    /// Keys that another process exported.
    ///
    /// # Errors
    /// [`Misuse::Session`] if it is something else, of another version, or a key is all zeros.
    /// [`Misuse::NotInProvider`] if the provider lacks their AEAD.
    pub fn import(provider: &Provider, bytes: &[u8]) -> Result<Self, Error> {
        Self::read(provider, bytes)?.ok_or(Misuse::Session.into())
    }

    fn read(provider: &Provider, bytes: &[u8]) -> Result<Option<Self>, Error> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else { return Ok(None) };
        let mut r = Reader::new("ticket keys", rest);
        let header = (r.u16(), r.u64(), r.u64());
        let (Ok(suite), Ok(period @ 60..=604_800), Ok(overlap @ 0..=604_800)) = header else {
            return Ok(None);
        };
        let mut this = Self::empty(provider, period, overlap, true)?;
        let suite = provider.suite(CipherSuiteId(suite));
        this.suite = suite.ok_or(Misuse::NotInProvider("AEAD for tickets"))?;
        let ring = this.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        while !r.is_empty() {
            let (Ok(epoch), Ok(secret)) = (r.u64(), r.array::<SECRET_LEN>()) else {
                return Ok(None);
            };
            let in_order = ring.keys.back().is_none_or(|last| last.epoch < epoch);
            let secret = Secret::from_slice(secret).filter(|_| *secret != [0; SECRET_LEN]);
            let Some(secret) = secret.filter(|_| in_order) else { return Ok(None) };
            ring.keys.push_back(EpochKey { epoch, secret });
        }
        Ok((!ring.keys.is_empty()).then_some(this))
    }

    /// Makes the newest key that of `now`, and forgets those under which no ticket can be alive. A clock that was set back
    /// changes nothing.
    fn advance(&self, ring: &mut Ring, now: UnixTime) -> Result<(), Error> {
        let current = now.as_secs() / self.period;
        let behind = ring.keys.back().map_or(0, |newest| current.saturating_sub(newest.epoch));
        // Shared keys go one by one, so that all derive the same, but not for ever; others may leave out what nobody used.
        if ring.shared && behind > MAX_STEPS {
            return Err(Misuse::Session.into());
        }
        while let Some(newest) = ring.keys.back()
            && newest.epoch < current
        {
            let next = match ring.shared {
                true => self.next_key(newest)?,
                false => self.random_key(current)?,
            };
            ring.keys.push_back(next);
            self.forget(ring, current);
        }
        Ok(())
    }

    /// The key of the period after that of `key`, which cannot be found from it backwards.
    fn next_key(&self, key: &EpochKey) -> Result<EpochKey, Error> {
        let next = self.suite.hash.hmac(key.secret.expose(), &[NEXT_LABEL]);
        let secret = next.expose().get(..SECRET_LEN).and_then(Secret::from_slice);
        Ok(EpochKey { epoch: key.epoch + 1, secret: secret.ok_or(Misuse::Session)? })
    }

    fn forget(&self, ring: &mut Ring, current: u64) {
        let kept = self.overlap.div_ceil(self.period) + 1;
        while ring.keys.len() > 1
            && ring.keys.front().is_some_and(|oldest| oldest.epoch + kept < current)
        {
            ring.keys.pop_front();
        }
    }

    /// The AEAD key, nonce and name that a period's secret gives for one ticket.
    fn derive(&self, secret: &Secret, salt: &[u8]) -> Option<(Box<dyn AeadKey>, [u8; NONCE_LEN])> {
        let hash = self.suite.hash;
        let key = hash.hmac(secret.expose(), &[KEY_LABEL, salt]);
        let nonce = hash.hmac(secret.expose(), &[NONCE_LABEL, salt]);
        let key = self.suite.aead.key(key.expose().get(..self.suite.aead.key_len())?).ok()?;
        Some((key, *nonce.expose().first_chunk()?))
    }

    fn name(&self, key: &EpochKey) -> Secret {
        self.suite.hash.hmac(key.secret.expose(), &[NAME_LABEL])
    }
}

impl Tickets for TicketKeys {
    fn issue(&self, state: &[u8], now: UnixTime, _: Duration) -> Option<Vec<u8>> {
        let mut ring = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance(&mut ring, now).ok()?;
        let key = ring.keys.back()?;
        let mut salt = [0; SALT_LEN];
        self.provider.rng.fill(&mut salt).ok()?;
        let (aead, nonce) = self.derive(&key.secret, &salt)?;
        let mut ticket = self.name(key).expose().get(..NAME_LEN)?.to_vec();
        ticket.extend_from_slice(&salt);
        let head = ticket.clone();
        ticket.extend_from_slice(state);
        let tag = aead.seal(nonce, &head, ticket.get_mut(head.len()..)?).ok()?;
        ticket.extend_from_slice(&tag);
        Some(ticket)
    }

    fn redeem(&self, ticket: &[u8], now: UnixTime) -> Option<RedeemedTicket> {
        let (head, sealed) = ticket.split_at_checked(NAME_LEN + SALT_LEN)?;
        let (name, salt) = head.split_at_checked(NAME_LEN)?;
        let mut ring = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance(&mut ring, now).ok()?;
        let named = |key: &&EpochKey| {
            self.name(key).expose().get(..NAME_LEN).is_some_and(|own| constant_time_eq(own, name))
        };
        let key = ring.keys.iter().find(named)?;
        let (aead, nonce) = self.derive(&key.secret, salt)?;
        let mut state = Zeroizing::new(sealed.to_vec());
        let len = aead.open(nonce, head, &mut state).ok()?;
        state.truncate(len);
        Some(RedeemedTicket { state, shared: ring.shared })
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys(..)")
    }
}

/// The first bytes of exported keys; the last one is their version.
const MAGIC: &[u8] = b"sealwire ticket keys\x01";
const SEALING_SUITE: CipherSuiteId = CipherSuiteId::TLS_AES_256_GCM_SHA384;
const FALLBACK_SUITE: CipherSuiteId = CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256;
const SECRET_LEN: usize = 32;
/// For how many periods shared keys are derived at once: a machine that was off for longer needs new ones.
const MAX_STEPS: u64 = 100_000;
const NAME_LEN: usize = 16;
const SALT_LEN: usize = 16;
const NEXT_LABEL: &[u8] = b"sealwire ticket next";
const KEY_LABEL: &[u8] = b"sealwire ticket key";
const NONCE_LABEL: &[u8] = b"sealwire ticket nonce";
const NAME_LABEL: &[u8] = b"sealwire ticket name";
/// What a sealed ticket adds to its state.
pub(crate) const TICKET_OVERHEAD: usize = NAME_LEN + SALT_LEN + TAG_LEN;

/// Sessions that the server keeps, under names that work once. Bounded in number and in bytes: the oldest goes first.
pub struct MemoryTickets {
    provider: Provider,
    inner: Mutex<KeptStates>,
    max_sessions: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct KeptStates {
    states: HashMap<[u8; 32], (u64, Zeroizing<Vec<u8>>)>,
    order: VecDeque<[u8; 32]>,
    bytes: usize,
}

impl MemoryTickets {
    /// Keeps at most this many sessions, of this many bytes together.
    #[must_use]
    pub fn new(provider: &Provider, max_sessions: usize, max_bytes: usize) -> Self {
        Self { provider: provider.clone(), inner: Mutex::default(), max_sessions, max_bytes }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).states.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl KeptStates {
    fn remove(&mut self, name: &[u8; 32]) -> Option<(u64, Zeroizing<Vec<u8>>)> {
        let kept = self.states.remove(name)?;
        self.bytes -= kept.1.len();
        Some(kept)
    }
}

impl Tickets for MemoryTickets {
    fn issue(&self, state: &[u8], now: UnixTime, lifetime: Duration) -> Option<Vec<u8>> {
        let mut name = [0; 32];
        self.provider.rng.fill(&mut name).ok()?;
        let mut kept = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let expiry = now.as_secs().saturating_add(lifetime.as_secs());
        kept.bytes += state.len();
        kept.states.insert(name, (expiry, Zeroizing::new(state.to_vec())));
        kept.order.push_back(name);
        while kept.states.len() > self.max_sessions || kept.bytes > self.max_bytes {
            let oldest = kept.order.pop_front()?;
            kept.remove(&oldest);
        }
        // Names that were used stay in the order; they must not add up.
        if kept.order.len() > 2 * kept.states.len() + 16 {
            let KeptStates { states, order, .. } = &mut *kept;
            order.retain(|name| states.contains_key(name));
        }
        kept.states.contains_key(&name).then(|| name.to_vec())
    }

    fn redeem(&self, ticket: &[u8], now: UnixTime) -> Option<RedeemedTicket> {
        let name: &[u8; 32] = ticket.try_into().ok()?;
        let mut kept = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (expiry, state) = kept.remove(name)?;
        (now.as_secs() < expiry).then_some(RedeemedTicket { state, shared: false })
    }
}

impl fmt::Debug for MemoryTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTickets").field("sessions", &self.len()).finish_non_exhaustive()
    }
}
