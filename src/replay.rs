//! Protection of early data against replay (RFC 9846 §8): each ClientHello is recorded, and accepted once.
//!
//! What a store guarantees:
//!
//! - A ClientHello whose ticket says that it is older or younger than the window allows is never accepted
//!   ([`WINDOW_SECONDS`], RFC 9846 §8.3).
//! - Within the window, the same ClientHello is accepted once by all servers that ask the same store.
//! - After a store has started, nothing that was sent before is accepted: it says no until a window has passed.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use pki_types::UnixTime;

/// How far a ClientHello's age, as the client tells it, may be from the server's own view: 10 seconds to either side
/// (RFC 9846 §8.3).
pub const WINDOW_SECONDS: u64 = 10;

/// Remembers which first flights were accepted. Implementations are shared by connections and threads.
pub trait ReplayStore: Send + Sync + fmt::Debug {
    /// Whether `flight`, a hash over the validated binder, is seen for the first time. `true` only once for each value in
    /// the two windows after `now` (twice [`WINDOW_SECONDS`], and a second for rounding), however many ask at the same
    /// moment; in doubt `false`.
    fn is_first(&self, flight: &[u8; 32], now: UnixTime) -> bool;

    /// The window of this store, in seconds: what [`WINDOW_SECONDS`] is for [`ReplayStore::is_first`], and how far the age of
    /// a ClientHello may be from the server's view.
    fn window_seconds(&self) -> u64 {
        WINDOW_SECONDS
    }

    /// Whether other processes ask the same store. If not, early data is accepted only under tickets that no other
    /// process can redeem ([`RedeemedTicket::shared`](crate::RedeemedTicket::shared)).
    fn is_shared(&self) -> bool {
        false
    }
}

/// Records in memory, exactly, for this process alone.
///
/// It is bounded: when the window holds as many flights as it may, further ones are refused, and their clients go on
/// without early data.
pub struct MemoryReplay {
    inner: Mutex<Recorded>,
    capacity: usize,
    window: u64,
}

struct Recorded {
    seen: HashSet<[u8; 32]>,
    /// With the second in which each came, oldest first.
    order: VecDeque<(u64, [u8; 32])>,
    started: u64,
    /// The latest second that anybody has told. A clock that is set back does not open the window again.
    latest: u64,
}

impl MemoryReplay {
    /// Starts at `now`, for at most `capacity` flights in a window of [`WINDOW_SECONDS`]; each takes about 100 bytes.
    #[must_use]
    pub fn new(capacity: usize, now: UnixTime) -> Self {
        let now = now.as_secs();
        let recorded =
            Recorded { seen: HashSet::new(), order: VecDeque::new(), started: now, latest: now };
        Self { inner: Mutex::new(recorded), capacity, window: WINDOW_SECONDS }
    }

    /// Accepts ages that are further off than [`WINDOW_SECONDS`], or less far. Everything is remembered for longer then, and
    /// nothing is accepted for longer after the start.
    #[must_use]
    pub fn with_window(mut self, seconds: u32) -> Self {
        self.window = seconds.into();
        self
    }

    /// A flight is remembered as long as its age could still be within the window: to either side, once more for a clock
    /// that was ahead and is set back by as much as is borne with, and a second for rounding.
    fn remember_seconds(&self) -> u64 {
        3 * self.window + 1
    }
}

impl ReplayStore for MemoryReplay {
    fn is_first(&self, flight: &[u8; 32], now: UnixTime) -> bool {
        let mut recorded = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.as_secs();
        if now.saturating_add(self.window) < recorded.latest {
            return false; // The clock was set back: what is remembered and what is fresh no longer agree.
        }
        recorded.latest = recorded.latest.max(now);
        let oldest = recorded.latest.saturating_sub(self.remember_seconds());
        while let Some((second, old)) = recorded.order.front().copied()
            && second < oldest
        {
            recorded.order.pop_front();
            recorded.seen.remove(&old);
        }
        // RFC 9846 §8.2: no part of the window may reach back before the start.
        let warm = now >= recorded.started.saturating_add(self.remember_seconds());
        let room = recorded.order.len() < self.capacity;
        if !warm || !room || !recorded.seen.insert(*flight) {
            return false;
        }
        let second = recorded.latest;
        recorded.order.push_back((second, *flight));
        true
    }

    fn window_seconds(&self) -> u64 {
        self.window
    }
}

impl fmt::Debug for MemoryReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplay").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
