//! Protection of early data against replay in Redis, for any number of servers (RFC 9846 §8).
//!
//! What [`RedisReplay`] guarantees: of all servers that ask the same Redis under the same prefix, one accepts a first
//! flight, once. It rests on this:
//!
//! - A flight is recorded with `SET … NX PX`, which Redis does for one client at a time, and is kept for 60 seconds: longer
//!   than its age can be within the window of any server ([`WINDOW_SECONDS`] to either side), as
//!   long as the clocks of the servers are at most 15 seconds apart and that of Redis does not jump.
//! - A marker says since when this very process of Redis has been recording. Its name has Redis's `run_id` in it, and it is
//!   looked at in the same transaction as the flight. Before it is 60 seconds old nothing is accepted, so what a Redis
//!   that was restarted, emptied or replaced by its replica has forgotten, be it all or what came after its last
//!   snapshot, is stale by then.
//! - A Redis that may evict keys (`maxmemory` with another policy than `noeviction`) or that is a replica is not used.
//! - Every error, every delay over the timeout and every doubt means that the flight is not accepted. Its client goes on
//!   without early data, at the cost of a round trip.
//!
//! What it cannot see: a proxy that spreads one connection over several Redis servers, and a partition in which the old
//! primary and a promoted replica both answer for longer than 60 seconds. Do not use it with either.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::{Client, Connection, RedisError, RedisResult};
use pki_types::UnixTime;

use crate::error::{Error, Misuse};
use crate::replay::{ReplayStore, WINDOW_SECONDS};

/// Records first flights in Redis, which any number of processes may share. See the [module](self) for what it guarantees.
///
/// It connects when it is first asked, and again after an error. A connection is used by one handshake at a time; idle ones
/// are kept, at most 16.
pub struct RedisReplay {
    client: Client,
    prefix: String,
    timeout: Duration,
    inner: Mutex<Pool>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Link>,
    /// No attempt to connect before this second: a Redis that is down is not to delay every handshake.
    not_before: u64,
    /// The latest second that anybody has told. A clock that is set back does not open the window again.
    latest: u64,
}

/// A connection, and the process at its other end. It ends with that process.
struct Link {
    connection: Connection,
    run_id: String,
}

/// How long a flight is kept, and how old the marker has to be: the window to either side and a second for rounding, which
/// is 21, and 39 more for clocks that differ, and for a Redis that expires keys by its own.
const REMEMBER_SECONDS: u64 = 60;
/// How far the clocks of two servers may be apart.
const SKEW_SECONDS: u64 = 15;
/// How long a marker outlives the last question: a Redis that was not asked for so long warms up again.
const MARKER_SECONDS: u64 = 7 * 24 * 3600;
const MAX_IDLE: usize = 16;

// Two clocks and a window must fit into what is remembered, and into the warm-up.
const _: () = assert!(2 * WINDOW_SECONDS + 1 + 2 * SKEW_SECONDS <= REMEMBER_SECONDS);

impl RedisReplay {
    /// For the Redis at `url` (`redis://[user:password@]host[:port][/database]` or `redis+unix:///path`), with keys that
    /// begin with `sealwire:` and a timeout of 250 milliseconds. Nothing is sent yet; see [`RedisReplay::check`].
    ///
    /// # Errors
    /// [`Misuse::Config`] if that is no such URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let client = Client::open(url).map_err(|_| Misuse::Config("not a URL of Redis"))?;
        Ok(Self {
            client,
            prefix: "sealwire:".into(),
            timeout: Duration::from_millis(250),
            inner: Mutex::default(),
        })
    }

    /// Begins keys with `prefix`. Servers that share tickets have to share it, too; others need not.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_owned();
        self
    }

    /// Waits for Redis at most this long, for a connection and for each answer. A handshake with early data may take that
    /// much longer when Redis does not answer.
    ///
    /// # Errors
    /// [`Misuse::Config`] for zero.
    pub fn with_timeout(mut self, timeout: Duration) -> Result<Self, Error> {
        if timeout.is_zero() {
            return Err(Misuse::Config("the timeout for Redis is zero").into());
        }
        self.timeout = timeout;
        Ok(self)
    }

    /// Connects, to find out whether Redis can be used, and starts its warm-up at `now` if nobody did.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, now: UnixTime) -> io::Result<()> {
        let mut link = self.connect().map_err(io::Error::other)?;
        link.mark(&self.prefix, now.as_secs()).map_err(io::Error::other)?;
        self.give_back(link);
        Ok(())
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, link: Link) {
        let mut pool = self.pool();
        if pool.idle.len() < MAX_IDLE {
            pool.idle.push(link);
        }
    }

    fn connect(&self) -> RedisResult<Link> {
        let mut connection = self.client.get_connection_with_timeout(self.timeout)?;
        connection.set_read_timeout(Some(self.timeout))?;
        connection.set_write_timeout(Some(self.timeout))?;
        let info: String = ::redis::cmd("INFO").query(&mut connection)?;
        match usable_run_id(&info) {
            Ok(run_id) => Ok(Link { run_id: run_id.to_owned(), connection }),
            Err(why) => Err(RedisError::from(io::Error::other(why))),
        }
    }

    /// Asks over a connection that was kept, or over a new one. What has been recorded over one that then broke counts:
    /// asked again, Redis says that it knows the flight.
    fn ask(&self, flight: &str, now: u64) -> RedisResult<bool> {
        let kept = self.pool().idle.pop();
        if let Some(mut link) = kept {
            match link.record(&self.prefix, flight, now) {
                Ok(first) => {
                    self.give_back(link);
                    return Ok(first);
                }
                // The others are of the same age, and as dead. An answer that is late must not be taken for the next one.
                Err(error) if error.is_timeout() => return Err(error),
                Err(_) => self.pool().idle.clear(),
            }
        }
        let mut link = self.connect()?;
        let first = link.record(&self.prefix, flight, now)?;
        self.give_back(link);
        Ok(first)
    }
}

impl Link {
    fn marker(&self, prefix: &str) -> String {
        format!("{prefix}since:{}", self.run_id)
    }

    fn mark(&mut self, prefix: &str, now: u64) -> RedisResult<()> {
        let marker = self.marker(prefix);
        let mut set = ::redis::cmd("SET");
        set.arg(marker).arg(now).arg("NX").arg("EX").arg(MARKER_SECONDS);
        set.query(&mut self.connection)
    }

    /// Records the flight, and says whether that was the first time and the marker is old enough, all at one moment.
    fn record(&mut self, prefix: &str, flight: &str, now: u64) -> RedisResult<bool> {
        let marker = self.marker(prefix);
        let mut pipe = ::redis::pipe();
        pipe.atomic();
        pipe.cmd("SET").arg(&marker).arg(now).arg("NX").arg("EX").arg(MARKER_SECONDS).ignore();
        pipe.cmd("EXPIRE").arg(&marker).arg(MARKER_SECONDS).ignore();
        pipe.cmd("GET").arg(&marker);
        let key = format!("{prefix}flight:{flight}");
        pipe.cmd("SET").arg(key).arg(1).arg("NX").arg("PX").arg(REMEMBER_SECONDS * 1000);
        let (since, set): (u64, Option<String>) = pipe.query(&mut self.connection)?;
        // RFC 9846 §8.2: no part of the window may reach back before the start.
        let warm = now >= since.saturating_add(REMEMBER_SECONDS);
        Ok(warm && set.is_some())
    }
}

impl ReplayStore for RedisReplay {
    fn is_first(&self, flight: &[u8; 32], now: UnixTime) -> bool {
        let now = now.as_secs();
        let mut pool = self.pool();
        if now < pool.not_before && pool.idle.is_empty() && now.saturating_add(2) > pool.not_before
        {
            return false;
        }
        if now.saturating_add(SKEW_SECONDS) < pool.latest {
            return false; // The clock was set back: what is remembered and what is fresh no longer agree.
        }
        pool.latest = pool.latest.max(now);
        drop(pool);
        let flight: String = flight.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.ask(&flight, now) {
            Ok(first) => first,
            Err(_) => {
                self.pool().not_before = now.saturating_add(1);
                false
            }
        }
    }

    fn is_shared(&self) -> bool {
        true
    }
}

impl fmt::Debug for RedisReplay {
    /// Without the URL, which may have a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplay").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The `run_id` in what `INFO` says, if that Redis keeps what it is told.
fn usable_run_id(info: &str) -> Result<&str, &'static str> {
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    if field("role") != Some("master") {
        return Err("this Redis is a replica");
    }
    let unlimited = field("maxmemory") == Some("0");
    if !unlimited && field("maxmemory_policy") != Some("noeviction") {
        return Err("this Redis may evict keys: maxmemory-policy has to be noeviction");
    }
    field("run_id").filter(|id| id.len() >= 16).ok_or("this Redis does not tell its run_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_may_forget_is_not_used() {
        let info = |role: &str, max: &str, policy: &str| {
            format!(
                "# Server\r\nrun_id:0123456789abcdef0123\r\nrole:{role}\r\nmaxmemory:{max}\r\n\
                 maxmemory_policy:{policy}\r\n"
            )
        };
        assert_eq!(usable_run_id(&info("master", "0", "allkeys-lru")), Ok("0123456789abcdef0123"));
        assert!(usable_run_id(&info("master", "1000", "noeviction")).is_ok());
        assert!(usable_run_id(&info("master", "1000", "volatile-ttl")).is_err());
        assert!(usable_run_id(&info("slave", "0", "noeviction")).is_err());
        assert!(usable_run_id("role:master\r\nmaxmemory:0\r\n").is_err());
    }

    #[test]
    fn a_redis_that_is_not_there_accepts_nothing() {
        let store = RedisReplay::new("redis://127.0.0.1:1/").map(|s| s.with_prefix("x:"));
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_000_000));
        assert!(store.as_ref().is_ok_and(|store| !store.is_first(&[1; 32], now)));
        assert!(store.as_ref().is_ok_and(|store| store.check(now).is_err()));
        let debug = format!("{:?}", RedisReplay::new("redis://me:secret@localhost/"));
        assert!(!debug.contains("secret"), "{debug}");
        assert!(RedisReplay::new("http://localhost").is_err());
    }
}
