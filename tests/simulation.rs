//! A few hundred seeds of the simulation, and that it would notice if something were wrong.
//!
//! `cargo run --release --example simulate -- --seeds 100000` runs as many as one likes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::as_conversions, missing_docs, unreachable_pub, dead_code)] // shared with the example

#[path = "simulation/lib.rs"]
mod simulation;

use simulation::{Outcome, Sabotage, attempt};

const SEEDS: u64 = 200;

#[test]
fn every_seed_keeps_the_rules() {
    let mut total = Outcome::default();
    for seed in 0..SEEDS {
        match attempt(seed, Sabotage::None) {
            Ok(outcome) => total.add(&outcome),
            Err(why) => panic!(
                "seed {seed}: {why}\nagain: cargo run --release --example simulate -- --seed {seed}"
            ),
        }
    }
    println!("{total:#?}");
    // It does something, of everything.
    let Outcome {
        rounds,
        connected,
        resumed,
        raw,
        early,
        faults,
        noticed,
        moved,
        split,
        bytes,
        ..
    } = total;
    assert!(connected * 3 > rounds, "{connected} of {rounds} connected");
    let some = [resumed, raw, early, moved, split, bytes];
    assert!(some.iter().all(|count| *count > 5), "{some:?}");
    assert!(faults > 50 && noticed * 2 > faults, "{noticed} of {faults} faults were noticed");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..40 {
        let first = attempt(seed, Sabotage::None).unwrap();
        assert_eq!(first, attempt(seed, Sabotage::None).unwrap(), "seed {seed}");
    }
}

/// A simulation that cannot fail shows nothing.
#[test]
fn what_is_broken_on_purpose_is_noticed() {
    let cases = [
        (Sabotage::LoseByte, "never sent"),
        (Sabotage::RepeatByte, "never sent"),
        (Sabotage::AcceptAnyTag, "accepted a record that somebody tampered with"),
        (Sabotage::ReuseBlob, "failed for nothing"),
        (Sabotage::IgnoreTruncation, "an end that was never sent"),
    ];
    for (sabotage, said) in cases {
        let noticed = (0..400).filter_map(|seed| attempt(seed, sabotage).err());
        let mut texts = Vec::new();
        let found = noticed.inspect(|text| texts.push(text.clone())).any(|t| t.contains(said));
        assert!(found, "{sabotage:?} is not noticed: {texts:?}");
    }
}
