//! The tool as people use it: the binary itself, over loopback TCP.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod connect;
mod demo;
mod misconfigured;
mod redis;
mod replay;
mod serve;
mod session;
mod support;
mod verify;
