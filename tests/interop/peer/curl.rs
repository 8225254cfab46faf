//! curl, which posts 1 MiB to our server and gets 1 MiB for an answer.

use std::process::Command;

use sealwire::codepoints::NamedGroup;

use crate::case::{Case, MEBIBYTE, payload, same};
use crate::child::{Context, Listener, find, is_available};
use crate::driver::{Driver, Ending};
use crate::pki::Pki;

pub(crate) fn available() -> bool {
    is_available("curl", "curl", "--version")
}

/// curl, our server.
pub(crate) fn connects(case: &Case, context: &Context) {
    let (upload, answer) = (payload(2, MEBIBYTE), payload(1, MEBIBYTE));
    let listener = Listener::new();
    let mut command = command(case, listener.port(), "/");
    command.args(["--data-binary", "@-", "--header", "Expect:"]);
    let mut peer = context.start(&mut command);
    peer.feed_all(upload.clone()); // It reads all of it before it connects.
    let stream = listener.accept(context.deadline);

    let mut driver = Driver::server(case.server_config(), stream, context.deadline);
    driver.handshake().unwrap();
    case.check(driver.summary());
    let request =
        driver.receive_until(|got| body(got).is_some_and(|b| b.len() >= MEBIBYTE)).unwrap();
    same(body(request).unwrap(), &upload);
    let mut response =
        b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\nConnection: close\r\n\r\n".to_vec();
    response.extend_from_slice(&answer);
    driver.send_all(&response, case.update).unwrap();
    same(&peer.stdout.wait_for(context.deadline, MEBIBYTE), &answer);
    if case.update {
        driver.wait_for_key_updates(1).unwrap();
    }
    assert_eq!(driver.close().unwrap(), Ending::Clean);
    assert!(peer.wait(), "curl is not content");
}

/// `curl https://localhost:port/…` as the case wants it.
pub(crate) fn command(case: &Case, port: u16, path: &str) -> Command {
    let pki = Pki::shared();
    let identity = pki.client(case.key);
    let mut command = find("curl");
    command.args(["--silent", "--show-error", "--http1.1", "--tlsv1.3", "--noproxy", "*"]);
    command.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
    command.args(["--tls13-ciphers", case.suite.name().unwrap()]);
    command.args(["--curves", &curves(&case.client_groups())]);
    command.arg("--cacert").arg(&pki.root);
    command.arg("--cert").arg(&identity.chain).arg("--key").arg(&identity.key);
    command.arg(format!("https://localhost:{port}{path}"));
    command
}

fn curves(groups: &[NamedGroup]) -> String {
    super::openssl::groups(groups)
}

fn body(message: &[u8]) -> Option<&[u8]> {
    let end = message.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some(&message[end + 4..])
}
