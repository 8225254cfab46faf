//! A deterministic simulation: a client and a server of ours, and a network between them that does what networks, and
//! people in them, do.
//!
//! One number, the seed, fixes everything: what both are configured to do, the times, how the bytes are cut and when they
//! arrive, what goes wrong, and in which order the two applications call. So a seed that fails, fails again.
//!
//! ```text
//!   seed ─► world: configurations, tickets, sessions, keys      plan.rs, pki.rs
//!             └─ rounds: one connection each, so that later ones resume
//!                  ├─ two ends, with what their applications sent and got     end.rs
//!                  ├─ two wires, which cut, delay, flip, drop, repeat, swap   wire.rs
//!                  ├─ a scheduler that picks what happens next                round.rs
//!                  └─ what must be true of it all                             check.rs
//! ```
//!
//! A violated rule is a panic: whoever runs a seed catches it and prints the seed.

pub mod check;
pub mod end;
pub mod pki;
pub mod plan;
pub mod round;
pub mod trace;
pub mod wire;

#[path = "../support/random.rs"]
pub mod random;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::plan::World;
use self::random::Rand;
use self::trace::Trace;

/// A fault that the simulation itself plants, so that it can be seen to notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    #[default]
    None,
    /// The receiving application loses the last byte of a read.
    LoseByte,
    /// The receiving application gets a byte twice.
    RepeatByte,
    /// The cryptography accepts every tag.
    AcceptAnyTag,
    /// A frozen connection is thawed twice.
    ReuseBlob,
    /// The end of the transport counts as a clean close.
    IgnoreTruncation,
}

/// What a seed led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Of everything that happened, in order.
    pub hash: u64,
    /// How many rounds there were, and of them:
    pub rounds: usize,
    /// both ends were connected;
    pub connected: usize,
    /// an earlier session was resumed;
    pub resumed: usize,
    /// an end had shown its key alone, and no certificate;
    pub raw: usize,
    /// early data was accepted;
    pub early: usize,
    /// the network broke something;
    pub faults: usize,
    /// and an end noticed;
    pub noticed: usize,
    /// a connection moved to another process;
    pub moved: usize,
    /// a connection was split in halves;
    pub split: usize,
    /// bytes of application data that arrived.
    pub bytes: usize,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        self.hash ^= other.hash;
        self.rounds += other.rounds;
        self.connected += other.connected;
        self.resumed += other.resumed;
        self.raw += other.raw;
        self.early += other.early;
        self.faults += other.faults;
        self.noticed += other.noticed;
        self.moved += other.moved;
        self.split += other.split;
        self.bytes += other.bytes;
    }
}

/// Runs one seed. With `verbose` every step is printed.
pub fn run(seed: u64, sabotage: Sabotage, verbose: bool) -> Outcome {
    let mut rand = Rand::new(seed);
    let mut trace = Trace::new(verbose);
    let mut world = World::new(seed, &mut rand, sabotage);
    trace.note(|| format!("{world:?}"));
    let mut outcome = Outcome::default();
    let rounds = [1, 1, 2, 2, 3][rand.below(5)];
    for number in 0..rounds {
        trace.note(|| format!("round {number}"));
        world.next_round(number, &mut rand);
        round::run(&world, &mut rand, &mut trace, &mut outcome);
    }
    outcome.rounds = rounds;
    outcome.hash = trace.hash();
    outcome
}

/// The same, with what was violated as a text.
pub fn attempt(seed: u64, sabotage: Sabotage) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, sabotage, false))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "panic".to_owned())
    })
}
