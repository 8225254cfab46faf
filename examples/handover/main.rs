//! A live connection changes its process: `cargo run --example handover -- CERT.pem KEY.pem [LINES]`, and then
//! `openssl s_client -connect 127.0.0.1:PORT` with the port that it prints.
//!
//! Process A sends back what it receives, with `A: ` in front. After some lines (3 by default) it freezes the connection,
//! hands the TCP socket and the blob to a new process B, and ends. B goes on with `B: `, and the client sees nothing else.
//!
//! ```text
//!   client ══ TCP ══ A ── spawns ──► B      the TCP socket is B's standard input,
//!                    └── Unix socket ──┘    a Unix socket its standard output: key, blob, bytes that A has not read
//! ```

#[cfg(unix)]
mod process;

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    process::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[cfg(not(unix))]
fn main() {
    eprintln!("there are no Unix sockets here");
}
