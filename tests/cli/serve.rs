//! `sealwire serve`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use crate::support::{Files, Server, code, connect, finish, json, stderr, tool};

#[test]
fn client_certificates() {
    let files = Files::new();
    let ca = files.text("ca.pem");
    let mut server =
        Server::start(&files, &["--echo", "--client-ca", &ca, "--require-client-cert"]);
    let (cert, key) = (files.text("client.pem"), files.text("client.key"));
    let output = connect(&files, &server.target(), &["--cert", &cert, "--key", &key], b"it is me");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(output.stdout, b"it is me");
    let seen = server.connection();
    assert_eq!(seen["negotiated"]["peer"]["names"][0], "client.test");
    assert_eq!(seen["ok"], true);

    let output = connect(&files, &server.target(), &[], b"it is me");
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let report = json(&output.stderr);
    assert!(report["error"]["message"].as_str().unwrap().contains("certificate_required"));
    assert!(report["error"]["hint"].as_str().unwrap().contains("--cert"));
    assert_eq!(server.connection()["ok"], false);

    // A certificate of somebody else's CA.
    let others = Files::new();
    let (cert, key) = (others.text("client.pem"), others.text("client.key"));
    let output = connect(&files, &server.target(), &["--cert", &cert, "--key", &key], b"it is me");
    assert_ne!(code(&output), 0);
    assert!(output.stdout.is_empty());
    assert_eq!(server.connection()["ok"], false);
}

#[test]
fn an_optional_client_certificate_may_be_absent() {
    let files = Files::new();
    let ca = files.text("ca.pem");
    let mut server = Server::start(&files, &["--echo", "--client-ca", &ca]);
    let output = connect(&files, &server.target(), &[], b"nobody");
    assert_eq!((code(&output), &output.stdout[..]), (0, &b"nobody"[..]));
    assert_eq!(server.connection()["negotiated"]["peer"], Value::Null);
}

/// Status line, headers and body of each response.
fn responses(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).unwrap();
        let length: usize = length.parse().unwrap();
        let length = length.min(bytes.len() - end);
        let body = String::from_utf8(bytes[end..end + length].to_vec()).unwrap();
        bytes = &bytes[end + length..];
        all.push((head, body));
    }
    all
}

#[test]
fn pages() {
    let files = Files::new();
    let ca = files.text("ca.pem");
    let mut server = Server::start(&files, &["--client-ca", &ca]);
    let (cert, key) = (files.text("client.pem"), files.text("client.key"));
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n\
                   GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n\
                   DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n\
                   GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let more = ["--cert", &cert, "--key", &key, "--alpn", "http/1.1"];
    let output = connect(&files, &server.target(), &more, request.as_bytes());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let answers = responses(&output.stdout);
    assert_eq!(answers.len(), 4);
    let (head, body) = &answers[0];
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nStrict-Transport-Security: max-age=31536000\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{head}");
    assert!(head.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{head}");
    assert!(body.contains("X25519MLKEM768") && body.contains("TLSv1.3"), "{body}");
    // The client's name has markup in it.
    assert!(body.contains("CN=&lt;b&gt;client&lt;/b&gt;") && !body.contains("<b>"), "{body}");
    let (head, body) = &answers[1];
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
    assert_eq!(json(body.as_bytes())["peer"]["names"][0], "client.test");
    assert_eq!(json(body.as_bytes())["alpn"], "http/1.1");
    assert!(
        answers[2].0.starts_with("HTTP/1.1 405 ")
            && answers[2].0.contains("\r\nAllow: GET, HEAD\r\n")
    );
    assert!(answers[3].0.starts_with("HTTP/1.1 404 "));
    let seen = server.connection();
    assert_eq!(seen["requests"], 4);
    assert_eq!(seen["ok"], true);
}

#[test]
fn head_has_no_body_and_nonsense_is_a_bad_request() {
    let files = Files::new();
    let server = Server::start(&files, &[]);
    let ask = |request: &str| {
        let output = connect(&files, &server.target(), &[], request.as_bytes());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let answer = ask("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(ask("hello\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert!(ask(&long).starts_with("HTTP/1.1 431 "));
}

#[test]
fn curl_is_answered() {
    if Command::new("curl").arg("--version").output().is_err() {
        return eprintln!("skipped: there is no curl here");
    }
    let files = Files::new();
    let mut server = Server::start(&files, &[]);
    let url = format!("https://localhost:{}/json", server.address.port());
    let arguments = ["--silent", "--show-error", "--fail", "--max-time", "20", "--tlsv1.3"];
    let ca = files.text("ca.pem");
    let curl = |more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(arguments).args(["--cacert", &ca]).args(more).output().unwrap()
    };
    let output = curl(&[&url, &url]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("\"version\": \"TLSv1.3\"").count(), 2, "{text}");
    let seen = server.connection();
    assert_eq!((&seen["requests"], &seen["ok"]), (&2.into(), &true.into()), "kept alive: {seen}");

    let output = curl(&["--tls-max", "1.2", "--tlsv1.2", &url]);
    assert!(!output.status.success());
    let message = server.connection()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("TLSv1_2"), "it says what the client offered: {message}");
}

#[test]
fn one_broken_client_does_not_stop_the_server() {
    let files = Files::new();
    let mut server = Server::start(&files, &["--echo", "--connections", "4"]);
    let mut silent = TcpStream::connect(server.address).unwrap();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 0]] {
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.write_all(nonsense).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _reset = socket.read_to_end(&mut answer);
        assert_eq!(server.connection()["ok"], false);
    }
    let output = connect(&files, &server.target(), &[], b"still there?");
    assert_eq!((code(&output), &output.stdout[..]), (0, &b"still there?"[..]));
    assert_eq!(server.connection()["ok"], true);
    silent.write_all(&[0x16]).unwrap();
    drop(silent);
    assert_eq!(server.connection()["ok"], false);
    assert_eq!(server.finish(), 3, "three of four failed");
}

#[test]
fn the_name_chooses_among_several_certificates() {
    let files = Files::new();
    let (cert, key) = (files.text("client.pem"), files.text("client.key"));
    let server = Server::start(&files, &["--echo", "--cert", &cert, "--key", &key]);
    for name in ["localhost", "client.test"] {
        let output = connect(&files, &server.target(), &["--servername", name], b"");
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let report = json(&output.stderr);
        assert_eq!(report["negotiated"]["peer"]["names"][0], name);
    }
}

#[test]
fn a_silent_client_is_let_go_cleanly() {
    let files = Files::new();
    let mut server = Server::start(&files, &["--idle-timeout", "1"]);
    let (ca, target) = (files.text("ca.pem"), server.target());
    for (said, requests) in [(&b""[..], 0), (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 1)] {
        let mut child = tool(&["connect", &target, "--ca", &ca, "--json"]).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(said).unwrap();
        // The input stays open, so it is the server that ends this.
        let output = finish(child);
        drop(stdin);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let seen = server.connection();
        assert_eq!((&seen["requests"], &seen["ok"]), (&requests.into(), &(requests > 0).into()));
    }
}
