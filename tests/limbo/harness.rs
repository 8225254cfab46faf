//! Runs a file of x509-limbo's schema on standard input, and writes the results in the schema's form:
//! `cargo run --release --example limbo -- --profile strict <limbo.json`.
//!
//! With `--time`, the slowest case and how long it took are told on standard error.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A tool for tests.

mod case;

use std::io::Read;
use std::process::ExitCode;
use std::time::Instant;

use sealwire::Profile;
use sealwire::crypto::ring;
use sealwire::pki_types::UnixTime;
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut profile = Profile::Default;
    let mut timed = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--time" => timed = true,
            "--profile" => match arguments.next().as_deref() {
                Some("default") => profile = Profile::Default,
                Some("strict") => profile = Profile::Strict,
                _ => return usage(),
            },
            _ => return usage(),
        }
    }
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut input) {
        eprintln!("standard input: {error}");
        return ExitCode::FAILURE;
    }
    let suite: Value = match serde_json::from_slice(&input) {
        Ok(suite) => suite,
        Err(error) => {
            eprintln!("standard input is not JSON: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(cases) = suite["testcases"].as_array() else {
        eprintln!("there are no testcases");
        return ExitCode::FAILURE;
    };

    let provider = ring::provider();
    let now = UnixTime::now();
    let mut results = Vec::new();
    let mut slowest = (std::time::Duration::ZERO, String::new());
    for (number, case) in cases.iter().enumerate() {
        let unnamed = format!("case {number}");
        let id = case["id"].as_str().unwrap_or(&unnamed);
        let start = Instant::now();
        let outcome = case::run(case, &provider, profile, now);
        let took = start.elapsed();
        if took > slowest.0 {
            slowest = (took, id.to_owned());
        }
        results.push(json!({
            "id": id,
            "actual_result": outcome.name(),
            "context": outcome.context(),
        }));
    }
    println!("{}", json!({ "version": 1, "harness": "sealwire", "results": results }));
    if timed {
        eprintln!("{:?} for {}", slowest.0, slowest.1);
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("limbo [--profile default|strict] [--time] <FILE.json");
    ExitCode::from(2)
}
