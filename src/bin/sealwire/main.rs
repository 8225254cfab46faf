//! The command line tool `sealwire`: shows TLS 1.3 at work, connects to servers, and is one.
//!
//! ```text
//!   main ──► demo      client and server over loopback, every byte checked   (pattern, progress)
//!       ├──► connect   stdin and stdout over TLS                             (pump, session)
//!       ├──► serve     answers browsers, or echoes                           (http, page, session)
//!       └──► verify    judges a chain from a file                            (moment)
//!   all of them: options (what the command line says of TLS), report (what was negotiated), failure (what went wrong),
//!   verdict (on the peer's certificate, as a tree and in colour)
//! ```

#![forbid(unsafe_code)]

mod connect;
mod demo;
mod failure;
mod http;
mod moment;
mod options;
mod page;
mod pattern;
mod pem;
mod progress;
mod pump;
mod report;
mod serve;
mod session;
mod slots;
mod target;
mod verdict;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Status;
use crate::verdict::Color;

/// TLS 1.3 from the command line: connect to a server, be one, or watch both at once.
#[derive(Debug, Parser)]
#[command(name = "sealwire", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = EXIT_STATUS)]
struct CommandLine {
    /// Whether there is colour in what people read
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        default_value = "auto",
        hide_possible_values = true
    )]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a CA, a server and a client certificate in memory, connect client and server over loopback TCP with mutual
    /// authentication, send data each way, check every byte, and say what was negotiated and how fast it went.
    Demo(demo::Options),
    /// Connect to a server: standard input goes to the peer, and what the peer says to standard output, both at once.
    /// The end of input is sent as close_notify; reading goes on until the peer closes too.
    Connect(connect::Options),
    /// Answer HTTP/1.1 over TLS with a page that shows what was negotiated; /json is the same for programs.
    Serve(serve::Options),
    /// Judge a certificate chain from a file, and draw the paths that were tried, what each certificate says of itself, and
    /// what may cure a failure.
    Verify(verify::Options),
}

/// For people and scripts.
const EXIT_STATUS: &str = "\
Exit status:
  0  all went well, and the peer's certificate was verified
  1  the network, a file or a pipe failed
  2  the command line makes no sense
  3  TLS failed: the peer refused us, broke the protocol, or speaks no TLS 1.3
  4  the peer's certificate was not verified
  5  the stream was cut off: it ended without close_notify";

fn main() -> ExitCode {
    let CommandLine { color, command } = CommandLine::parse();
    color.choose();
    let status = match command {
        Command::Demo(options) => demo::run(&options),
        Command::Connect(options) => connect::run(&options),
        Command::Serve(options) => serve::run(&options),
        Command::Verify(options) => verify::run(&options),
    };
    match status {
        Ok(()) => Status::Good.into(),
        Err(status) => status.into(),
    }
}
