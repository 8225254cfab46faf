//! The shim of BoGo, BoringSSL's conformance suite: one connection over the bare [`Connection`](sealwire::Connection),
//! as the flags of one test want it. `README.md` beside it says what is run and with which result.
//!
//! Exit codes: 0 success, 1 failure (what failed is on stderr), 89 a flag or value that is not supported, 90 a panic.

mod exchange;
mod expectation;
mod failure;
mod flags;
mod setup;
mod transport;

use std::process::ExitCode;

use exchange::Exchange;
use failure::Failure;
use flags::{Flags, Unsupported};
use setup::Setup;
use transport::Transport;

/// A test that needs something that the library does not have.
const UNSUPPORTED: u8 = 89;
/// Something panicked, which is a bug wherever it was.
const PANICKED: u8 = 90;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "-is-handshaker-supported") {
        println!("No");
        return ExitCode::SUCCESS;
    }
    match std::panic::catch_unwind(|| run(&arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(Failure::Unsupported(Unsupported(what)))) => {
            eprintln!("unsupported: {what}");
            ExitCode::from(UNSUPPORTED)
        }
        Ok(Err(failure)) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::from(PANICKED),
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let flags = [Flags::parse(arguments, false)?, Flags::parse(arguments, true)?];
    let [initial, resumed] = &flags;
    // There is no resumption yet.
    if initial.resume_count > 0 {
        return Err(Unsupported("-resume-count".to_owned()).into());
    }
    // Whatever is unsupported is found out before the connection, so that the runner is not left waiting.
    let setups = [Setup::new(initial)?, Setup::new(resumed)?];
    let [initial_setup, resumed_setup] = &setups;
    connect(initial, initial_setup)?;
    for _ in 0..initial.resume_count {
        connect(resumed, resumed_setup)?;
    }
    Ok(())
}

fn connect(flags: &Flags, setup: &Setup) -> Result<(), Failure> {
    let transport = Transport::connect(flags)?;
    let mut exchange = Exchange::start(flags, setup, transport)?;
    let result = exchange.run();
    exchange.finish();
    result
}
