//! The shim of BoGo, BoringSSL's conformance suite: one connection over the bare [`Connection`](sealwire::Connection),
//! as the flags of one test want it. `README.md` beside it says what is run and with which result.
//!
//! Exit codes: 0 success, 1 failure (what failed is on stderr), 89 a flag or value that is not supported, 90 a panic.

mod answer;
mod clock;
mod compression;
mod credential;
mod exchange;
mod expectation;
mod failure;
mod flags;
mod session;
mod setup;
mod transport;

use std::process::ExitCode;

use exchange::Exchange;
use failure::Failure;
use flags::{Flags, Unsupported, Which};
use session::Shared;
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
    let parse = |which| Flags::parse(arguments, which);
    let [initial, resumed, retry] =
        [parse(Which::Initial)?, parse(Which::Resumed)?, parse(Which::Retry)?];
    let shared = Shared::new()?;
    // Whatever is unsupported is found out before the connection, so that the runner is not left waiting.
    let [initial_setup, resumed_setup] =
        [Setup::new(&initial, &shared)?, Setup::new(&resumed, &shared)?];
    connect(&initial, &initial, &initial_setup, &shared)?;
    for _ in 0..initial.resume_count {
        clock::advance(initial.resumption_delay);
        connect(&resumed, &retry, &resumed_setup, &shared)?;
    }
    Ok(())
}

fn connect(flags: &Flags, retry: &Flags, setup: &Setup, shared: &Shared) -> Result<(), Failure> {
    shared.sessions.start();
    let transport = Transport::connect(flags)?;
    let mut exchange = Exchange::start(flags, retry, setup, transport)?;
    let result = exchange.run();
    let result = result.and_then(|()| exchange.check_sessions(&shared.sessions));
    exchange.finish();
    result
}
