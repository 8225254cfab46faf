//! Python's `ssl`, in a small program of ours.

use std::net::TcpStream;
use std::process::Command;

use sealwire::codepoints::NamedGroup;

use crate::case::{Case, FarEnd, MEBIBYTE, Retry, accept, connect};
use crate::child::{Context, find, is_available};
use crate::pki::{Identity, Pki};

pub(crate) fn available() -> bool {
    is_available("python", "python3", "--version")
}

/// Python's server, our client.
pub(crate) fn serves(case: &Case, context: &Context) {
    let peer = context.start(&mut command(case, true, Pki::shared().server(case.key)));
    let stream = TcpStream::connect(("127.0.0.1", peer.listening_port())).unwrap();
    connect(case, context, FarEnd::Program(peer), stream);
}

/// Python's client, our server.
pub(crate) fn connects(case: &Case, context: &Context) {
    let (peer, stream) = context.start_client(|port| client(case, port));
    accept(case, context, FarEnd::Program(peer), stream);
}

/// The program as a client of the server at `port`.
pub(crate) fn client(case: &Case, port: u16) -> Command {
    let restrict = case.retry == Retry::No;
    let mut command = command(case, restrict, Pki::shared().client(case.key));
    command.args(["--connect", &port.to_string()]);
    command
}

/// It cannot choose TLS 1.3 suites, and one group at most: without a choice it is OpenSSL's, which is X25519 first.
fn command(case: &Case, restrict: bool, identity: &Identity) -> Command {
    let mut command = find("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/python/peer.py"));
    command.args(["--count", &MEBIBYTE.to_string()]).arg("--ca").arg(&Pki::shared().root);
    command.arg("--cert").arg(&identity.chain).arg("--key").arg(&identity.key);
    if restrict {
        command.args(match case.group {
            NamedGroup::x25519 => &[][..],
            NamedGroup::secp256r1 => &["--group", "prime256v1"],
            NamedGroup::secp384r1 => &["--group", "secp384r1"],
            NamedGroup::secp521r1 => &["--group", "secp521r1"],
            other => panic!("not for Python's ssl: {other}"),
        });
    }
    command
}
