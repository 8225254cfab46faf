//! The time, which stands still unless a test lets it pass: so no test depends on when a second ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sealwire::pki_types::UnixTime;

/// When the shim has begun.
static START: OnceLock<u64> = OnceLock::new();
/// By how many seconds the shim is ahead.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// What the shim takes for the time.
pub(crate) fn now() -> UnixTime {
    let start = START.get_or_init(|| UnixTime::now().as_secs());
    let seconds = start + AHEAD.load(Ordering::Relaxed);
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// Lets `seconds` pass.
pub(crate) fn advance(seconds: u64) {
    AHEAD.fetch_add(seconds, Ordering::Relaxed);
}
