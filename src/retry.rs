//! What a server remembers of a ClientHello that it asked to be sent again, in memory or in an authenticated cookie
//! (RFC 9846 §4.2.4, §4.3.2).

use std::fmt;
use std::time::Duration;

use pki_types::UnixTime;

use crate::codec::{Reader, Writer};
use crate::codepoints::{CipherSuiteId, NamedGroup};
use crate::crypto::{CipherSuite, HashValue, Provider};
use crate::error::{Error, Misuse, Violation};
use crate::secret::{Secret, constant_time_eq};

/// The first ClientHello and our HelloRetryRequest, as far as the second ClientHello needs them.
#[derive(Clone)]
pub(crate) struct Retry {
    pub(crate) suite: &'static CipherSuite,
    pub(crate) group: NamedGroup,
    /// Of the whole first ClientHello, for the transcript.
    pub(crate) client_hello: HashValue,
    /// Of what may not change ([`ClientHello::invariants`](crate::message::ClientHello::invariants)).
    pub(crate) invariants: HashValue,
    /// Of the pre-shared keys that have to come again.
    pub(crate) psks: HashValue,
    /// Whether early data was offered, and is over.
    pub(crate) offered_early_data: bool,
    /// What the client has to send back, if we sent one.
    pub(crate) cookie: Option<Vec<u8>>,
}

/// The key that authenticates the cookies of a stateless HelloRetryRequest. Servers that share it take up each other's.
pub struct CookieKey {
    current: Secret,
    previous: Option<Secret>,
    lifetime: Duration,
}

impl CookieKey {
    /// From 32 secret random bytes.
    ///
    /// # Errors
    /// [`Misuse::Config`] if they are all zero.
    pub fn new(key: &[u8; 32]) -> Result<Self, Error> {
        let current = Secret::from_slice(key).filter(|_| *key != [0; 32]);
        let current = current.ok_or(Misuse::Config("the cookie key is all zeros"))?;
        Ok(Self { current, previous: None, lifetime: DEFAULT_LIFETIME })
    }

    /// A new key from the provider's randomness, for a server that shares it with no other.
    ///
    /// # Errors
    /// [`Error::Crypto`] if there is no randomness.
    pub fn generate(provider: &Provider) -> Result<Self, Error> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        provider.rng.fill(&mut *key)?;
        Self::new(&key)
    }

    /// Accepts cookies made with the key that this one replaces, too.
    ///
    /// # Errors
    /// [`Misuse::Config`] if it is all zero.
    pub fn with_previous(mut self, key: &[u8; 32]) -> Result<Self, Error> {
        self.previous = Some(Self::new(key)?.current);
        Ok(self)
    }

    /// How long a client may take to come back, in whole seconds; 60 unless this says otherwise.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The cookie for `retry`, made at `now`.
    pub(crate) fn seal(&self, retry: &Retry, now: UnixTime) -> Result<Vec<u8>, Error> {
        let mut w = Writer::default();
        w.u8(FORMAT);
        w.u64(now.as_secs());
        w.u16(retry.suite.id.0);
        w.u16(retry.group.0);
        w.vec8(|w| w.raw(retry.client_hello.as_ref()));
        w.vec8(|w| w.raw(retry.invariants.as_ref()));
        w.vec8(|w| w.raw(retry.psks.as_ref()));
        w.u8(retry.offered_early_data.into());
        let mut cookie = w.finish()?;
        let mac = retry.suite.hash.hmac(self.current.expose(), &[MAC_LABEL, &cookie]);
        cookie.extend_from_slice(mac.expose());
        Ok(cookie)
    }

    /// What a cookie holds, if a server with this key made it, not too long before `now`, with a suite that `find` knows.
    pub(crate) fn open(
        &self,
        cookie: &[u8],
        now: UnixTime,
        find: impl FnOnce(CipherSuiteId) -> Option<&'static CipherSuite>,
    ) -> Result<Retry, Error> {
        self.open_checked(cookie, now, find).ok_or(Violation::BadCookie.into())
    }

    fn open_checked(
        &self,
        cookie: &[u8],
        now: UnixTime,
        find: impl FnOnce(CipherSuiteId) -> Option<&'static CipherSuite>,
    ) -> Option<Retry> {
        let mut r = Reader::new("cookie", cookie);
        let format = r.u8().ok()?;
        let made = r.u64().ok()?;
        let suite = find(CipherSuiteId(r.u16().ok()?))?;
        let group = NamedGroup(r.u16().ok()?);
        let client_hello = HashValue::new(r.vec8().ok()?);
        let invariants = HashValue::new(r.vec8().ok()?);
        let psks = HashValue::new(r.vec8().ok()?);
        let offered_early_data = r.u8().ok()? != 0;
        let mac = r.rest();
        let signed = cookie.get(..cookie.len().checked_sub(mac.len())?)?;

        let keys = std::iter::once(&self.current).chain(&self.previous);
        let genuine = keys.fold(false, |genuine, key| {
            let expected = suite.hash.hmac(key.expose(), &[MAC_LABEL, signed]);
            genuine | constant_time_eq(expected.expose(), mac)
        });
        let age = now.as_secs().checked_sub(made);
        let fresh = age.is_some_and(|age| age <= self.lifetime.as_secs());
        (genuine && fresh && format == FORMAT).then(|| Retry {
            suite,
            group,
            client_hello,
            invariants,
            psks,
            offered_early_data,
            cookie: Some(cookie.to_vec()),
        })
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(..)")
    }
}

/// The first byte of a cookie.
const FORMAT: u8 = 2;
/// So that the key, were it used elsewhere by mistake, would not make cookies there.
const MAC_LABEL: &[u8] = b"sealwire hello retry cookie";
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crypto::deterministic::{SeededRng, provider};

    const MADE: u64 = 1_000_000;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn find(id: CipherSuiteId) -> Option<&'static CipherSuite> {
        provider(Arc::new(SeededRng::new(0))).suite(id)
    }

    fn retry(id: CipherSuiteId) -> Retry {
        let suite = find(id).unwrap();
        Retry {
            suite,
            group: NamedGroup::secp384r1,
            client_hello: suite.hash.digest(b"first"),
            invariants: suite.hash.digest(b"invariants"),
            psks: suite.hash.digest(b"psks"),
            offered_early_data: true,
            cookie: None,
        }
    }

    fn key(byte: u8) -> CookieKey {
        CookieKey::new(&[byte; 32]).unwrap()
    }

    fn assert_refused(result: Result<Retry, Error>, why: &str) {
        let error = result.map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Violation(Violation::BadCookie)), "{why}: {error:?}");
    }

    #[test]
    fn a_cookie_brings_back_what_went_in() {
        for suite in provider(Arc::new(SeededRng::new(0))).suites {
            let retry = retry(suite.id);
            let cookie = key(1).seal(&retry, at(MADE)).unwrap();
            let back = key(1).open(&cookie, at(MADE), find).unwrap();
            assert_eq!((back.suite.id, back.group), (suite.id, NamedGroup::secp384r1));
            assert_eq!(back.client_hello, retry.client_hello);
            assert_eq!((back.invariants, back.psks), (retry.invariants, retry.psks));
            assert!(back.offered_early_data);
            assert_eq!(back.cookie, Some(cookie));
        }
    }

    #[test]
    fn whatever_is_changed_in_a_cookie_is_noticed() {
        let retry = retry(CipherSuiteId::TLS_AES_256_GCM_SHA384);
        let cookie = key(1).seal(&retry, at(MADE)).unwrap();
        for position in 0..cookie.len() {
            for bit in 0..8 {
                let mut changed = cookie.clone();
                changed[position] ^= 1 << bit;
                assert_refused(key(1).open(&changed, at(MADE), find), "changed");
            }
            assert_refused(key(1).open(&cookie[..position], at(MADE), find), "cut");
        }
        let longer = [&cookie[..], &[0]].concat();
        assert_refused(key(1).open(&longer, at(MADE), find), "longer");
        assert_refused(key(1).open(&cookie, at(MADE), |_| None), "a suite that we lack");
    }

    #[test]
    fn another_key_opens_nothing_but_the_previous_one_does() {
        let retry = retry(CipherSuiteId::TLS_AES_128_GCM_SHA256);
        let cookie = key(1).seal(&retry, at(MADE)).unwrap();
        assert_refused(key(2).open(&cookie, at(MADE), find), "another key");
        let rotated = key(2).with_previous(&[1; 32]).unwrap();
        rotated.open(&cookie, at(MADE), find).unwrap();
        let newer = rotated.seal(&retry, at(MADE)).unwrap();
        key(2).open(&newer, at(MADE), find).unwrap();
        assert_refused(key(1).open(&newer, at(MADE), find), "the key that was replaced");
    }

    #[test]
    fn a_cookie_has_its_time() {
        let retry = retry(CipherSuiteId::TLS_AES_128_GCM_SHA256);
        let cookie = key(1).seal(&retry, at(MADE)).unwrap();
        key(1).open(&cookie, at(MADE + 60), find).unwrap();
        assert_refused(key(1).open(&cookie, at(MADE + 61), find), "too old");
        assert_refused(key(1).open(&cookie, at(MADE - 1), find), "from the future");
        assert_refused(key(1).open(&cookie, at(0), find), "long before");
        assert_refused(key(1).open(&cookie, at(u64::MAX), find), "long after");
        let brief = key(1).with_lifetime(Duration::ZERO);
        brief.open(&cookie, at(MADE), find).unwrap();
        assert_refused(brief.open(&cookie, at(MADE + 1), find), "a second old");
    }

    #[test]
    fn keys_of_zeros_are_refused_and_none_is_printed() {
        assert!(CookieKey::new(&[0; 32]).is_err());
        assert!(key(1).with_previous(&[0; 32]).is_err());
        assert_eq!(format!("{:?}", key(0x61)), "CookieKey(..)");
    }
}
