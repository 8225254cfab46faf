//! What a store of first flights guarantees (RFC 9846 §8).

use std::sync::atomic::{AtomicUsize, Ordering};

use sealwire::pki_types::UnixTime;
use sealwire::{MemoryReplay, ReplayStore, WINDOW_SECONDS};

use super::at;

const WINDOW: i64 = 10;

/// One that has been up for long.
fn warm(capacity: usize) -> MemoryReplay {
    assert_eq!(i64::try_from(WINDOW_SECONDS), Ok(WINDOW));
    MemoryReplay::new(capacity, at(-1000))
}

fn flight(number: u32) -> [u8; 32] {
    let mut flight = [7; 32];
    flight[..4].copy_from_slice(&number.to_be_bytes());
    flight
}

#[test]
fn pitfall_34_the_same_flight_is_taken_once() {
    let store = warm(1000);
    assert!(store.is_first(&flight(1), at(0)));
    // As long as its age could be fresh: the server's view moves by the whole width of the window.
    for seconds in 0..=2 * WINDOW {
        assert!(!store.is_first(&flight(1), at(seconds)), "{seconds} s");
    }
    assert!(store.is_first(&flight(2), at(2 * WINDOW)));
    assert!(!store.is_shared());
}

#[test]
fn pitfall_34_nothing_is_taken_right_after_a_start() {
    for start in [0, 500] {
        let store = MemoryReplay::new(1000, at(start));
        // Whatever another process may have taken before, by a clock like ours.
        for seconds in 0..=2 * WINDOW {
            assert!(!store.is_first(&flight(1), at(start + seconds)), "{seconds} s");
        }
        let later = start + 3 * WINDOW + 1;
        assert!(store.is_first(&flight(2), at(later)));
        assert!(!store.is_first(&flight(2), at(later)));
    }
}

#[test]
fn pitfall_34_a_clock_that_is_set_back() {
    let store = warm(1000);
    assert!(store.is_first(&flight(1), at(0)));
    for seconds in [-11, -12, -500, -100_000] {
        assert!(!store.is_first(&flight(2), at(seconds)), "{seconds} s");
    }
    // A second here or there is nothing; threads do not agree better.
    for (number, seconds) in [(3, -1), (4, -5), (5, -10)] {
        assert!(store.is_first(&flight(number), at(seconds)));
        assert!(!store.is_first(&flight(number), at(seconds)));
    }
    assert!(!store.is_first(&flight(1), UnixTime::since_unix_epoch(std::time::Duration::ZERO)));
}

/// A jump ahead and back again forgets nothing that could still be fresh.
#[test]
fn pitfall_34_a_clock_that_runs_ahead_for_a_moment() {
    for ahead in 0..=100 {
        let store = warm(1000);
        assert!(store.is_first(&flight(1), at(0)));
        let _ = store.is_first(&flight(2), at(ahead));
        for seconds in 0..=2 * WINDOW {
            assert!(!store.is_first(&flight(1), at(seconds)), "{ahead} s ahead, {seconds} s");
        }
    }
}

#[test]
fn pitfall_35_a_store_of_flights_is_bounded() {
    let store = warm(3);
    for number in 0..3 {
        assert!(store.is_first(&flight(number), at(0)));
    }
    for number in 0..100 {
        assert!(!store.is_first(&flight(number), at(1)), "{number}");
    }
    // There is room again once the window has moved on.
    assert!(store.is_first(&flight(50), at(4 * WINDOW)));
    assert!(store.is_first(&flight(51), at(4 * WINDOW)));
    assert!(!warm(0).is_first(&flight(1), at(0)));
}

#[test]
fn pitfall_34_a_thousand_ask_at_once() {
    let store = warm(10_000);
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..125 {
                    if store.is_first(&flight(0), at(0)) {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                    // Others are recorded meanwhile.
                    let _ = store.is_first(&flight(number + 1), at(i64::from(number % 10)));
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 1);
}
