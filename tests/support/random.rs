//! Randomness that is no randomness.

use std::sync::Arc;

use sealwire::crypto::deterministic::{self, ScriptedRng, SeededRng};
use sealwire::crypto::{Provider, Rng};

/// A small generator for the tests' own choices (splitmix64).
#[derive(Clone, Debug)]
pub struct Rand(u64);

impl Rand {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// The deterministic provider with randomness from this seed.
pub fn seeded(seed: u64) -> Provider {
    deterministic::provider(Arc::new(SeededRng::new(seed)))
}

/// The deterministic provider with these draws, and no others as long as they last.
pub fn scripted(draws: Vec<Vec<u8>>) -> (Provider, Arc<ScriptedRng>) {
    let rng = Arc::new(ScriptedRng::new(draws, 0));
    let source: Arc<dyn Rng> = rng.clone();
    (deterministic::provider(source), rng)
}
