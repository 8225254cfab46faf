//! `sealwire serve`, and clients that come with every system: curl and Python's `ssl`.

use std::process::Command;

use serde_json::Value;

use crate::case::{Case, MEBIBYTE, PLAIN, named, payload, same};
use crate::child::{Context, Peer, find};
use crate::peer::{curl, python};
use crate::pki::Pki;

/// The tool as a server as the case wants it, and its port.
fn start(case: &Case, context: &Context, echo: bool) -> (Peer, u16) {
    let pki = Pki::shared();
    let identity = pki.server(case.key);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealwire"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--json", "--once"]);
    command.arg("--cert").arg(&identity.chain).arg("--key").arg(&identity.key);
    command.arg("--require-client-cert").arg("--client-ca").arg(&pki.root);
    command.args(["--suites", case.suite.name().unwrap()]);
    command.args(["--groups", case.group.name().unwrap()]);
    if echo {
        command.arg("--echo");
    }
    let peer = context.start(&mut command);
    let first = peer.stdout.wait_until(context.deadline, |out| out.contains(&b'\n'));
    let line = String::from_utf8(first).unwrap();
    let greeting: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let address = greeting["address"].as_str().unwrap();
    (peer, address.rsplit(':').next().unwrap().parse().unwrap())
}

/// curl gets the page, with its header, and the same as JSON.
fn curl_gets(name: &str) {
    if !curl::available() {
        return;
    }
    let case = named(name);
    Context::run(move |context| {
        for path in ["/", "/json"] {
            let (server, port) = start(case, context, false);
            let client = context.start(curl::command(case, port, path).arg("--include"));
            assert!(client.wait(), "curl is not content");
            let answer = client.stdout.wait_until(context.deadline, |_| false);
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            assert!(head.to_lowercase().contains("strict-transport-security: max-age="), "{head}");
            for expected in [case.suite.name().unwrap(), case.group.name().unwrap()] {
                assert!(body.contains(expected), "{expected} is not in {body}");
            }
            if path == "/json" {
                let _: Value = serde_json::from_str(body).expect("JSON");
            }
            assert!(server.wait(), "the server is not content");
        }
    });
}

/// Python sends a mebibyte, and gets it back.
fn python_echoes(name: &str) {
    if !python::available() {
        return;
    }
    let case = named(name);
    Context::run(move |context| {
        let (server, port) = start(case, context, true);
        let mut client = context.start(python::client(case, port).arg("--echo"));
        let data = payload(3, MEBIBYTE);
        client.feed_all(data.clone());
        same(&client.stdout.wait_for(context.deadline, MEBIBYTE), &data);
        assert!(client.wait(), "Python is not content");
        assert!(server.wait(), "the server is not content");
    });
}

macro_rules! cases {
    ($run:ident: $($case:ident,)+) => {
        mod $run {
            $(#[test]
            fn $case() {
                super::$run(stringify!($case));
            })+
        }
    };
}

cases! {
    curl_gets:
    aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, p384_key, ed25519_key, rsa_key,
    retry_other_share, retry_to_secp384r1,
}

cases! {
    python_echoes:
    aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, p384_key, ed25519_key, rsa_key,
    retry_to_secp384r1,
}

/// Without a certificate curl gets no page, and the server says why.
#[test]
fn curl_without_a_certificate_is_refused() {
    if !curl::available() {
        return;
    }
    Context::run(|context| {
        let (server, port) = start(&PLAIN, context, false);
        let mut command = find("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*"]);
        command.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
        command.arg("--cacert").arg(&Pki::shared().root);
        let client = context.start(command.arg(format!("https://localhost:{port}/")));
        assert!(!client.wait(), "curl is content");
        assert!(!server.wait(), "the server is content");
        assert!(client.stdout.so_far().is_empty());
        let said = [server.stdout.so_far(), server.stderr.so_far()].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("certificate"), "{said}");
    });
}
