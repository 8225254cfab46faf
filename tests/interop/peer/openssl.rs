//! OpenSSL's `s_server` and `s_client`, 3.0 or later.

use std::net::TcpStream;
use std::process::Command;

use sealwire::codepoints::NamedGroup;

use crate::case::{Case, FarEnd, accept, connect};
use crate::child::{Context, Peer, find, is_available};
use crate::pki::{Identity, Pki};

pub(crate) fn available() -> bool {
    is_available("openssl", "openssl", "version")
}

/// `openssl s_server`, our client.
pub(crate) fn serves(case: &Case, context: &Context) {
    let (peer, stream) = start_server(case, context);
    connect(case, context, FarEnd::Program(peer), stream);
}

/// `openssl s_client`, our server.
pub(crate) fn connects(case: &Case, context: &Context) {
    let (peer, stream) = context.start_client(|port| {
        let mut command = client(case, port);
        command.args(["-quiet", "-groups", &groups(&case.client_groups())]);
        command
    });
    accept(case, context, FarEnd::Program(peer), stream);
}

/// `s_server`, silent but for the data, and our socket to it.
pub(crate) fn start_server(case: &Case, context: &Context) -> (Peer, TcpStream) {
    context.start_server(|port| {
        let mut command = server(case, port);
        command.arg("-quiet");
        command
    })
}

/// `s_server`.
pub(crate) fn server(case: &Case, port: u16) -> Command {
    let mut command = find("openssl");
    command.args(["s_server", "-accept", &format!("127.0.0.1:{port}")]);
    command.args(["-Verify", "4", "-groups", &groups(&[case.group])]);
    common(&mut command, case, Pki::shared().server(case.key));
    command
}

/// `s_client` with everything but its groups.
pub(crate) fn client(case: &Case, port: u16) -> Command {
    let mut command = find("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
    command.args(["-servername", "localhost", "-verify_hostname", "localhost"]);
    common(&mut command, case, Pki::shared().client(case.key));
    command
}

fn common(command: &mut Command, case: &Case, identity: &Identity) {
    let pki = Pki::shared();
    command.args(["-tls1_3", "-verify_return_error", "-ciphersuites", case.suite.name().unwrap()]);
    command.arg("-CAfile").arg(&pki.root).arg("-cert_chain").arg(&pki.intermediate);
    command.arg("-cert").arg(&identity.leaf).arg("-key").arg(&identity.key);
}

/// As OpenSSL calls them.
pub(crate) fn groups(list: &[NamedGroup]) -> String {
    let name = |group: &NamedGroup| match *group {
        NamedGroup::x25519 => "X25519",
        NamedGroup::secp256r1 => "P-256",
        NamedGroup::secp384r1 => "P-384",
        NamedGroup::secp521r1 => "P-521",
        _ => panic!("OpenSSL 3.0 has no {group}"),
    };
    list.iter().map(name).collect::<Vec<_>>().join(":")
}
