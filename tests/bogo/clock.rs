//! The time, which a test can let pass.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sealwire::pki_types::UnixTime;

/// By how many seconds the shim is ahead.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// What the shim takes for the time.
pub(crate) fn now() -> UnixTime {
    let seconds = UnixTime::now().as_secs() + AHEAD.load(Ordering::Relaxed);
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// Lets `seconds` pass.
pub(crate) fn advance(seconds: u64) {
    AHEAD.fetch_add(seconds, Ordering::Relaxed);
}
