//! Every input that fuzzing begins with, has kept, or once failed on, through its target (`fuzz/`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::as_conversions)] // lengths of what was made here
#![allow(unreachable_pub, missing_docs)]

// The targets' own modules: what fuzzes is what is replayed.
#[path = "../fuzz/src/lib.rs"]
mod fuzzing;

use fuzzing::{seeds, targets};

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
    api certificate chain client_hello pair record rustls scripted_client scripted_server server_hello split ticket
}
