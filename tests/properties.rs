//! Properties, over whatever proptest makes up: what goes in comes out, however it is cut, scheduled and stored.
//!
//! A failure is made as small as it can be, and its seed is kept in `tests/properties.regressions`, which is read first by
//! every later run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "properties/bytes.rs"]
mod bytes;
#[path = "properties/schedules.rs"]
mod schedules;
#[path = "properties/stored.rs"]
mod stored;
mod support;

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases, and failures where they can be found.
fn cases(cases: u32) -> Config {
    let file = FileFailurePersistence::Direct("tests/properties.regressions");
    Config { cases, failure_persistence: Some(Box::new(file)), ..Config::default() }
}
