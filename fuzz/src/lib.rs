//! The bodies of the fuzz targets, and what they share. The same modules are part of `tests/corpus.rs`, which runs every
//! input that is kept through its target.

pub mod cheap;
pub mod peer;
pub mod seeds;
pub mod targets;
pub mod template;
pub mod world;
