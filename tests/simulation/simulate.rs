//! `cargo run --release --example simulate -- --seeds 100000`: runs so many seeds, on every core, and stops at the first
//! that violates a rule. `--seed N` runs one, and prints every step of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::as_conversions, missing_docs, unreachable_pub, dead_code)] // a test's, shared with another binary

#[path = "lib.rs"]
mod simulation;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use simulation::{Outcome, Sabotage, attempt, run};

const USAGE: &str = "simulate [--seeds N] [--from N] | --seed N";

fn main() -> ExitCode {
    let (mut seeds, mut from, mut one) = (1_000_u64, 0_u64, None);
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().and_then(|value| value.parse().ok());
        match (flag.as_str(), value) {
            ("--seeds", Some(value)) => seeds = value,
            ("--from", Some(value)) => from = value,
            ("--seed", Some(value)) => one = Some(value),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    if let Some(seed) = one {
        let outcome = run(seed, Sabotage::None, true);
        println!("{outcome:?}");
        return ExitCode::SUCCESS;
    }
    match many(from, seeds) {
        Ok(()) => ExitCode::SUCCESS,
        Err((seed, why)) => {
            eprintln!("seed {seed} fails: {why}");
            eprintln!("again: cargo run --release --example simulate -- --seed {seed}");
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, seeds: u64) -> Result<(), (u64, String)> {
    // What fails is said once, at the end.
    std::panic::set_hook(Box::new(|_| {}));
    let (next, started) = (AtomicU64::new(0), Instant::now());
    let total = Mutex::new(Outcome::default());
    let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let work = || {
        let mut own = Outcome::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= seeds || failed.lock().unwrap().is_some() {
                break;
            }
            match attempt(from + number, Sabotage::None) {
                Ok(outcome) => own.add(&outcome),
                Err(why) => {
                    let mut failed = failed.lock().unwrap();
                    // The lowest, whichever thread is the faster.
                    if failed.as_ref().is_none_or(|(seed, _)| *seed > from + number) {
                        *failed = Some((from + number, why));
                    }
                }
            }
            if number % 10_000 == 9_999 {
                println!("{} seeds after {:.0} s", number + 1, started.elapsed().as_secs_f32());
            }
        }
        total.lock().unwrap().add(&own);
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    if let Some(failed) = failed.into_inner().unwrap() {
        return Err(failed);
    }
    let total = total.into_inner().unwrap();
    println!("{seeds} seeds in {:.1} s: {total:#?}", started.elapsed().as_secs_f32());
    Ok(())
}
