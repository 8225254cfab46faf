//! Every input that fuzzing begins with, has kept, or once failed on, through its target (`fuzz/`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::as_conversions)] // lengths of what was made here
#![allow(unreachable_pub, missing_docs)]

// The targets' own modules: what fuzzes is what is replayed.
#[path = "../fuzz/src/lib.rs"]
mod fuzzing;

mod support;

use fuzzing::peer::Victim;
use fuzzing::world::Options;
use fuzzing::{seeds, targets};
use support::Rand;

fn replay(target: &str) {
    let inputs = [seeds::made(target), seeds::kept(target)].concat();
    assert!(!inputs.is_empty());
    for (number, input) in inputs.iter().enumerate() {
        // The last one that a failing test prints is the one that failed.
        println!("{target}: input {number} of {}", inputs.len());
        targets::run(target, input);
    }
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })+

        #[test]
        fn no_target_is_forgotten() {
            let all = [$(stringify!($name)),+];
            assert_eq!(all[..], targets::TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    };
}

targets! {
    api certificate chain client_hello crl ocsp pair record rustls scripted_client scripted_server sct server_hello split
    ticket
}

/// Nothing is found where nobody gets to: an honest script leads to a connection, whatever the options.
#[test]
fn an_honest_script_gets_through() {
    for bits in 0..=255 {
        for victim in [Victim::Client, Victim::Server] {
            assert!(targets::connects(victim, Options(bits)), "{victim:?} with {bits:#010b}");
        }
    }
}

/// Inputs from nowhere: what the fuzzer does at length, a little of it each time.
#[test]
fn pitfall_50_any_calls_in_any_order() {
    for seed in 0..400 {
        let mut rand = Rand::new(seed);
        let mut script = rand.bytes(200);
        // Often somebody delivers, or they would not get far.
        for at in (1..script.len()).filter(|at| at % 5 == 0) {
            script[at] = 17 << 1 | u8::try_from(rand.below(2)).unwrap();
        }
        println!("seed {seed}");
        targets::run("api", &script);
    }
}
