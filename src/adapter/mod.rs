//! Adapters: the connection on top of something that moves bytes, and stores outside the process. Each is behind a feature,
//! and nothing below knows of it.

#[cfg(feature = "io")]
pub mod io;
#[cfg(feature = "io")]
pub mod key_log_file;
#[cfg(feature = "redis")]
pub mod redis;
