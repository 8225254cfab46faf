//! Whom to trust, and what happens when that changes: raw public keys and the other named ways, both ways each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

#[path = "trust/raw_keys.rs"]
mod raw_keys;
