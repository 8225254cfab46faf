//! Go's crypto/tls, in a small program of ours that is built when it is first needed. It needs Go 1.26.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use sealwire::codepoints::NamedGroup;

use crate::case::{Case, FarEnd, accept, connect};
use crate::child::{Context, find, is_available};
use crate::pki::{Identity, Pki};

pub(crate) fn available() -> bool {
    is_available("go", "go", "version") && built().exists()
}

/// Go's server, our client.
pub(crate) fn serves(case: &Case, context: &Context) {
    let peer = context.start(&mut server(case));
    let stream = TcpStream::connect(("127.0.0.1", peer.listening_port())).unwrap();
    connect(case, context, FarEnd::Program(peer), stream);
}

/// Go's client, our server.
pub(crate) fn connects(case: &Case, context: &Context) {
    let (peer, stream) = context.start_client(|port| client(case, port));
    accept(case, context, FarEnd::Program(peer), stream);
}

/// The program as a server.
pub(crate) fn server(case: &Case) -> Command {
    command(&[case.group], Pki::shared().server(case.key))
}

/// The program as a client of the server at `port`.
pub(crate) fn client(case: &Case, port: u16) -> Command {
    let mut command = command(&case.client_groups(), Pki::shared().client(case.key));
    command.args(["-connect", &port.to_string()]);
    command
}

/// Go lets nobody choose TLS 1.3 suites: ours is the side that does.
fn command(groups: &[NamedGroup], identity: &Identity) -> Command {
    let names: Vec<_> = groups.iter().map(|group| group.name().unwrap()).collect();
    let mut command = Command::new(built());
    command.arg("-ca").arg(&Pki::shared().root).args(["-groups", &names.join(",")]);
    command.arg("-cert").arg(&identity.chain).arg("-key").arg(&identity.key);
    command
}

/// The program. Building takes up to half a minute the first time, and is no part of any case's time.
pub(crate) fn built() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let program = scratch.join("interop-go");
        let mut build = find("go");
        build.arg("build").arg("-o").arg(&program).arg(".");
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/go"));
        // Nothing is to be fetched, neither modules nor another toolchain.
        build.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "-mod=mod");
        build.env("CGO_ENABLED", "0");
        if std::env::var_os("GOCACHE").is_none() {
            build.env("GOCACHE", scratch.join("interop-go-cache"));
        }
        let output = build.output().unwrap();
        assert!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
        program
    })
}
