//! GnuTLS's `gnutls-serv`, which echoes, and `gnutls-cli`.

use std::process::Command;

use sealwire::codepoints::{CipherSuiteId, NamedGroup};

use crate::case::{Case, FarEnd, accept, connect};
use crate::child::{Context, find, is_available};
use crate::pki::{Identity, Pki};

pub(crate) fn available() -> bool {
    is_available("gnutls", "gnutls-cli", "--version")
        && is_available("gnutls", "gnutls-serv", "--version")
}

/// `gnutls-serv`, our client.
pub(crate) fn serves(case: &Case, context: &Context) {
    let (peer, stream) = context.start_server(|port| {
        let mut command = find("gnutls-serv");
        command.args(["--echo", "--require-client-cert", "--verify-client-cert"]);
        command.args(["--port", &port.to_string()]);
        common(&mut command, case, &[case.group], Pki::shared().server(case.key));
        command
    });
    connect(case, context, FarEnd::Echo(peer), stream);
}

/// `gnutls-cli`, our server.
pub(crate) fn connects(case: &Case, context: &Context) {
    let (peer, stream) = context.start_client(|port| {
        let mut command = find("gnutls-cli");
        // Its notes would be among the data otherwise.
        command.args(["--logfile", "/dev/stderr", "--single-key-share"]);
        command.args(["--verify-hostname", "localhost", "--sni-hostname", "localhost"]);
        command.args(["--port", &port.to_string(), "127.0.0.1"]);
        common(&mut command, case, &case.client_groups(), Pki::shared().client(case.key));
        command
    });
    accept(case, context, FarEnd::Ender(peer), stream);
}

pub(crate) fn common(
    command: &mut Command,
    case: &Case,
    groups: &[NamedGroup],
    identity: &Identity,
) {
    let suite = match case.suite {
        CipherSuiteId::TLS_AES_128_GCM_SHA256 => "AES-128-GCM",
        CipherSuiteId::TLS_AES_256_GCM_SHA384 => "AES-256-GCM",
        CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256 => "CHACHA20-POLY1305",
        other => panic!("{other}"),
    };
    let mut priority = format!("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{suite}:-GROUP-ALL");
    for group in groups {
        priority += match *group {
            NamedGroup::x25519 => ":+GROUP-X25519",
            NamedGroup::secp256r1 => ":+GROUP-SECP256R1",
            NamedGroup::secp384r1 => ":+GROUP-SECP384R1",
            NamedGroup::secp521r1 => ":+GROUP-SECP521R1",
            other => panic!("GnuTLS 3.7 has no {other}"),
        };
    }
    command.args(["--priority", &priority]).arg("--x509cafile").arg(&Pki::shared().root);
    command.arg("--x509certfile").arg(&identity.chain).arg("--x509keyfile").arg(&identity.key);
}
