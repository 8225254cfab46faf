//! Sessions on the client's side: what it takes to resume, and where that is kept (RFC 9846 §2.2, §4.7.1).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use zeroize::Zeroizing;

use crate::codec::{Reader, Writer};
use crate::codepoints::CipherSuiteId;
use crate::error::{Error, Misuse};
use crate::secret::Secret;
use crate::verify;

/// Under which name sessions are kept: a hash over the server's name, everything that the configuration trusts, the
/// credentials that the client has, and the protocol carried. Nothing in it was chosen by the server.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub(crate) [u8; 32]);

impl SessionKey {
    /// Its 32 bytes, which are no secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One ticket and what belongs to it. Whoever has it can resume as this client: it is a secret, and wiped when dropped.
pub struct Session {
    pub(crate) key: SessionKey,
    pub(crate) suite: CipherSuiteId,
    pub(crate) psk: Secret,
    pub(crate) ticket: Vec<u8>,
    /// In seconds, at most 7 days.
    pub(crate) lifetime: u32,
    pub(crate) age_add: u32,
    pub(crate) received: UnixTime,
    pub(crate) max_early_data: u32,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) server: PeerIdentity,
    /// When the first of the server's certificates expires, in seconds since 1970.
    pub(crate) chain_expiry: u64,
}

/// RFC 9846 §4.7.1: 7 days, in seconds.
pub(crate) const MAX_LIFETIME: u32 = 604_800;

impl Session {
    /// The name that it is kept under.
    #[must_use]
    pub fn key(&self) -> &SessionKey {
        &self.key
    }

    /// Whether it can be used at `now`: not after its lifetime, nor after the server's certificates have expired, nor
    /// before it was received, which means that a clock was set back.
    #[must_use]
    pub fn is_usable(&self, now: UnixTime) -> bool {
        let age = now.as_secs().checked_sub(self.received.as_secs());
        let lifetime = self.lifetime.min(MAX_LIFETIME);
        age.is_some_and(|age| age < u64::from(lifetime)) && now.as_secs() <= self.chain_expiry
    }

    /// How many bytes of early data the server takes; 0 if none (RFC 9846 §4.3.10).
    #[must_use]
    pub fn max_early_data(&self) -> u32 {
        self.max_early_data
    }

    /// RFC 9846 §4.3.11.1
    pub(crate) fn obfuscated_age(&self, now: UnixTime) -> u32 {
        let seconds = now.as_secs().saturating_sub(self.received.as_secs());
        let age = u32::try_from(seconds.saturating_mul(1000)).unwrap_or(u32::MAX);
        age.wrapping_add(self.age_add)
    }

    /// For storage elsewhere: a versioned form, wiped when dropped. It is not encrypted.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the server's certificates are over 16 MiB.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut w = Writer::secret();
        w.raw(MAGIC);
        w.raw(&self.key.0);
        w.u16(self.suite.0);
        w.vec8(|w| w.raw(self.psk.expose()));
        w.vec16(|w| w.raw(&self.ticket));
        w.u32(self.lifetime);
        w.u32(self.age_add);
        w.u64(self.received.as_secs());
        w.u32(self.max_early_data);
        w.vec8(|w| w.raw(self.alpn.as_deref().unwrap_or_default()));
        w.u64(self.chain_expiry);
        self.server.write(&mut w);
        w.finish_secret()
    }

    /// Takes back what [`Session::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Misuse::Session`] if it is something else, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(bytes).map_err(|_| Misuse::Session.into())
    }

    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new("session", bytes);
        if r.take(MAGIC.len())? != MAGIC {
            return Err(r.malformed());
        }
        let key = SessionKey(*r.array()?);
        let suite = CipherSuiteId(r.u16()?);
        let psk = Secret::from_slice(r.vec8()?).ok_or(r.malformed())?;
        let mut this = Self {
            key,
            suite,
            psk,
            ticket: r.vec16()?.to_vec(),
            lifetime: r.u32()?,
            age_add: r.u32()?,
            received: unix_time(r.u64()?),
            max_early_data: r.u32()?,
            alpn: Some(r.vec8()?.to_vec()).filter(|name| !name.is_empty()),
            chain_expiry: r.u64()?,
            server: PeerIdentity::read(&mut r)?,
        };
        this.server.until = this.chain_expiry;
        r.finish()?;
        Ok(this)
    }

    /// About how much memory it takes.
    fn size(&self) -> usize {
        size_of::<Self>() + self.ticket.len() + self.server.size()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("key", &self.key)
            .field("suite", &self.suite)
            .field("received", &self.received.as_secs())
            .field("lifetime", &self.lifetime)
            .field("max_early_data", &self.max_early_data)
            .finish_non_exhaustive()
    }
}

/// The first bytes of a serialised session; the last one is its version.
const MAGIC: &[u8] = b"sealwire session\x04";

pub(crate) fn unix_time(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

/// Who the peer of an earlier handshake was: what it showed, of one type or the other, or nothing (RFC 9846 §4.5.1); or the
/// external key that both had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerIdentity {
    /// Leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) raw_public_key: Option<SubjectPublicKeyInfoDer<'static>>,
    /// In place of both.
    pub(crate) external: Option<ExternalIdentity>,
    /// What came with the leaf, so that who asks again later has it: the OCSP response, and the timestamps.
    pub(crate) ocsp: Vec<u8>,
    pub(crate) scts: Vec<Vec<u8>>,
    /// The last second in which the verdict on it is good, in seconds since 1970: the evidence that nothing was revoked
    /// ends, too.
    pub(crate) until: u64,
}

/// An external pre-shared key that a handshake rested on, and the sessions that come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExternalIdentity {
    /// The name that it was given.
    pub(crate) name: Vec<u8>,
    /// Tells keys of one name apart ([`ExternalPsk::tag`](crate::psk::ExternalPsk::tag)).
    pub(crate) tag: [u8; 32],
}

impl PeerIdentity {
    /// When the first of its certificates expires, or the evidence about them, in seconds since 1970. A raw public key
    /// never does.
    pub(crate) fn expiry(&self) -> u64 {
        verify::expiry(&self.chain).min(self.until)
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        write_chain(w, &self.chain);
        w.vec24(|w| w.raw(self.raw_public_key.as_deref().unwrap_or_default()));
        w.vec24(|w| w.raw(&self.ocsp));
        w.vec24(|w| self.scts.iter().for_each(|sct| w.vec16(|w| w.raw(sct))));
        // The name of a key is never empty.
        w.vec16(|w| self.external.iter().for_each(|key| w.raw(&key.name)));
        self.external.iter().for_each(|key| w.raw(&key.tag));
    }

    /// Until when it is good is not written with it.
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let chain = read_chain(r)?;
        let key = Some(r.vec24()?.to_vec()).filter(|key| !key.is_empty());
        let raw_public_key = key.map(SubjectPublicKeyInfoDer::from);
        let ocsp = r.vec24()?.to_vec();
        let mut list = Reader::new("session timestamps", r.vec24()?);
        let mut scts = Vec::new();
        while !list.is_empty() {
            scts.push(list.vec16()?.to_vec());
        }
        let external = match r.vec16()? {
            [] => None,
            name => Some(ExternalIdentity { name: name.to_vec(), tag: *r.array()? }),
        };
        Ok(Self { chain, raw_public_key, external, ocsp, scts, until: u64::MAX })
    }

    fn size(&self) -> usize {
        let chain: usize = self.chain.iter().map(|certificate| certificate.len()).sum();
        let external = self.external.as_ref().map_or(0, |key| key.name.len());
        let scts: usize = self.scts.iter().map(Vec::len).sum();
        let key = self.raw_public_key.as_ref().map_or(0, |key| key.len());
        chain + external + key + self.ocsp.len() + scts
    }
}

/// A chain, each certificate with its length.
pub(crate) fn write_chain(w: &mut Writer, chain: &[CertificateDer<'_>]) {
    w.vec24(|w| chain.iter().for_each(|certificate| w.vec24(|w| w.raw(certificate))));
}

pub(crate) fn read_chain(r: &mut Reader<'_>) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut list = Reader::new("session chain", r.vec24()?);
    let mut chain = Vec::new();
    while !list.is_empty() {
        chain.push(CertificateDer::from(list.vec24()?.to_vec()));
    }
    Ok(chain)
}

/// Where a client keeps its sessions. Implementations are shared by connections and threads.
pub trait SessionStore: Send + Sync + fmt::Debug {
    /// Keeps `session` under its [`Session::key`].
    fn put(&self, session: Session);

    /// Takes a session out for one use, the newest that can be used at `now`. A ticket that is used twice lets an
    /// observer link the two connections (RFC 9846 Appendix C.4), so it does not go back.
    fn take(&self, key: &SessionKey, now: UnixTime) -> Option<Session>;
}

/// Sessions in memory, bounded in number and in bytes: the oldest goes first.
pub struct MemorySessions {
    inner: Mutex<Kept>,
    max_sessions: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Kept {
    /// Numbered in the order in which they came.
    sessions: HashMap<SessionKey, VecDeque<(u64, Session)>>,
    order: VecDeque<(u64, SessionKey)>,
    next: u64,
    count: usize,
    bytes: usize,
}

impl MemorySessions {
    /// Keeps at most this many sessions, of this many bytes together.
    #[must_use]
    pub fn new(max_sessions: usize, max_bytes: usize) -> Self {
        Self { inner: Mutex::default(), max_sessions, max_bytes }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all of them out, oldest first, to be stored elsewhere.
    #[must_use]
    pub fn drain(&self) -> Vec<Session> {
        let kept = std::mem::take(&mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all: Vec<_> = kept.sessions.into_values().flatten().collect();
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, session)| session).collect()
    }
}

impl Default for MemorySessions {
    /// 1,024 sessions, 16 MiB.
    fn default() -> Self {
        Self::new(1024, 16 << 20)
    }
}

impl Kept {
    fn remove_oldest(&mut self) -> bool {
        let Some((number, key)) = self.order.pop_front() else { return false };
        let Some(list) = self.sessions.get_mut(&key) else { return true };
        if list.front().is_some_and(|(n, _)| *n == number)
            && let Some((_, session)) = list.pop_front()
        {
            self.count -= 1;
            self.bytes -= session.size();
        }
        if list.is_empty() {
            self.sessions.remove(&key);
        }
        true
    }
}

impl SessionStore for MemorySessions {
    fn put(&self, session: Session) {
        let mut kept = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, key) = (kept.next, session.key);
        kept.next += 1;
        kept.count += 1;
        kept.bytes += session.size();
        kept.order.push_back((number, key));
        kept.sessions.entry(key).or_default().push_back((number, session));
        while kept.count > self.max_sessions || kept.bytes > self.max_bytes {
            if !kept.remove_oldest() {
                break;
            }
        }
        // Sessions that were taken leave their numbers behind; they must not add up.
        if kept.order.len() > 2 * kept.count + 16 {
            let Kept { sessions, order, .. } = &mut *kept;
            order.retain(|(number, key)| {
                sessions.get(key).is_some_and(|list| list.iter().any(|(n, _)| n == number))
            });
        }
    }

    fn take(&self, key: &SessionKey, now: UnixTime) -> Option<Session> {
        let mut kept = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let list = kept.sessions.get_mut(key)?;
            let newest = list.pop_back();
            if list.is_empty() {
                kept.sessions.remove(key);
            }
            let (_, session) = newest?;
            kept.count -= 1;
            kept.bytes -= session.size();
            if session.is_usable(now) {
                return Some(session);
            }
        }
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions").field("sessions", &self.len()).finish_non_exhaustive()
    }
}
