//! `sealwire connect`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use sealwire::adapter::io::Stream;
use sealwire::crypto::ring;
use sealwire::{Credential, ServerConfig};
use serde_json::Value;

use crate::support::{Files, Server, code, connect, finish, json, run, sample, stderr, tool};

#[test]
fn data_goes_both_ways_and_the_end_of_input_is_half_a_close() {
    let files = Files::new();
    let mut server = Server::start(&files, &["--echo", "--once"]);
    // More than all buffers in between: a tool that does not read while it writes stands still here.
    let data = sample(20 << 20);
    let output = connect(&files, &server.target(), &[], &data);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(output.stdout == data);
    let report = json(&output.stderr);
    assert_eq!(report["ok"], true);
    assert_eq!(report["verdict"]["verified"], true);
    assert_eq!(report["bytes_sent"], data.len());
    assert_eq!(report["bytes_received"], data.len());
    assert_eq!(report["peer_closed"], true);
    assert_eq!(report["negotiated"]["server_name"], "localhost");
    assert_eq!(server.connection()["bytes_echoed"], data.len());
    assert_eq!(server.finish(), 0);
}

#[test]
fn what_people_read() {
    let files = Files::new();
    let server = Server::start(&files, &["--echo"]);
    let (ca, target) = (files.text("ca.pem"), server.target());
    let output = run(&["connect", &target, "--ca", &ca, "--showcerts"], b"hello");
    let text = stderr(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert_eq!(output.stdout, b"hello");
    assert!(text.contains("verified: the certificate is good for localhost"), "{text}");
    assert!(text.contains("TLSv1.3") && text.contains("X25519MLKEM768"), "{text}");
    let leaf = fs::read_to_string(files.path("server.pem")).unwrap().replace("\r\n", "\n");
    assert!(text.contains(leaf.trim()), "{text}");
}

/// Verified, and still something to be told: it will not be for long.
#[test]
fn what_expires_soon_is_told_on_success() {
    let files = Files::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let days = |n: u64| date_time_ymd(1970, 1, 1) + now + Duration::from_secs(n * 86_400 + 3_600);
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(files.path("ca.pem"), root.pem()).unwrap();
    for (left, warns) in [(20, true), (40, false)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "shop");
        params.not_after = days(left);
        fs::write(files.path("server.pem"), params.signed_by(&key, &root).unwrap().pem()).unwrap();
        fs::write(files.path("server.key"), key.serialize_pem()).unwrap();
        let server = Server::start(&files, &["--echo"]);
        let (ca, target, kept) = (files.text("ca.pem"), server.target(), files.text("sessions"));
        for resumed in [false, true] {
            let session = ["--session", &kept];
            let output = run(&[&["connect", &target, "--ca", &ca], &session[..]].concat(), b"x");
            let text = stderr(&output);
            assert_eq!((code(&output), &output.stdout[..]), (0, &b"x"[..]), "{text}");
            assert_eq!(text.contains("when the session began"), resumed, "{text}");
            let warning = "\nwarning: CN=shop expires in 20 days, at ";
            assert_eq!(text.contains(warning), warns, "{text}");
            assert_eq!(text.contains("warning"), warns, "{text}");
        }
        let output = connect(&files, &target, &[], b"x");
        let verdict = json(&output.stderr)["verdict"].take();
        assert_eq!(verdict["verified"], true);
        let expected = if warns { Value::from("expires-soon") } else { Value::Null };
        assert_eq!(verdict["report"]["hints"][0]["code"], expected, "{verdict}");
        fs::remove_file(&kept).unwrap();
    }
}

#[test]
fn an_unknown_issuer_is_refused_and_explained() {
    let (files, others) = (Files::new(), Files::new());
    let mut server = Server::start(&files, &["--echo"]);
    let output = connect(&others, &server.target(), &[], b"secret");
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    let report = json(&output.stderr);
    assert_eq!(report["verdict"]["verified"], false);
    assert_eq!(report["negotiated"], Value::Null);
    assert_eq!(server.connection()["bytes_echoed"], 0);

    let ca = others.text("ca.pem");
    let output = run(&["connect", &server.target(), "--ca", &ca], b"secret");
    let text = stderr(&output);
    assert!(text.contains("error: the peer's certificate was not accepted"), "{text}");
    assert!(text.contains("--ca FILE"), "{text}");

    // On request it goes on, and the exit status stays what it is.
    let output = connect(&others, &server.target(), &["--danger-no-verify"], b"not secret");
    assert_eq!(code(&output), 4);
    assert_eq!(output.stdout, b"not secret");
    assert_eq!(json(&output.stderr)["verdict"]["verified"], false);
}

#[test]
fn the_name_counts() {
    let files = Files::new();
    let server = Server::start(&files, &["--echo"]);
    let wrong = ["--servername", "elsewhere.test"];
    let output = connect(&files, &server.target(), &wrong, b"secret");
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert_eq!(json(&output.stderr)["verdict"]["code"], "name-mismatch");
    let address = server.address.to_string();
    let output = connect(&files, &address, &[], b"by address");
    assert_eq!((code(&output), &output.stdout[..]), (0, &b"by address"[..]));
    let output = connect(&files, &address, &["--servername", "localhost"], b"by name");
    assert_eq!((code(&output), &output.stdout[..]), (0, &b"by name"[..]));
}

#[test]
fn ipv6_in_brackets() {
    if TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("skipped: there is no IPv6 here");
    }
    let files = Files::new();
    let server = Server::start(&files, &["--echo", "--listen", "[::1]:0"]);
    let output = connect(&files, &server.address.to_string(), &[], b"six");
    assert_eq!((code(&output), &output.stdout[..]), (0, &b"six"[..]), "{}", stderr(&output));
}

#[test]
fn suites_groups_protocols_and_retries_can_be_chosen() {
    let files = Files::new();
    let server = Server::start(&files, &["--echo", "--alpn", "one,two"]);
    let more = [
        "--suites",
        "tls_chacha20_poly1305_sha256",
        "--groups",
        "secp384r1,x25519",
        "--key-shares",
        "secp384r1",
        "--alpn",
        "three",
        "--alpn",
        "two",
    ];
    let output = connect(&files, &server.target(), &more, b"x");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let negotiated = &json(&output.stderr)["negotiated"];
    assert_eq!(negotiated["cipher_suite"], "TLS_CHACHA20_POLY1305_SHA256");
    assert_eq!(negotiated["alpn"], "two");

    // No key share at all: the server has to ask for one.
    let output = connect(&files, &server.target(), &["--key-shares", ""], b"x");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(json(&output.stderr)["negotiated"]["retried"], true);

    let output = connect(&files, &server.target(), &["--alpn", "three"], b"x");
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(json(&output.stderr)["error"]["hint"].as_str().unwrap().contains("--alpn"));
}

#[test]
fn a_retry_without_memory() {
    let files = Files::new();
    let mut server = Server::start(&files, &["--echo", "--stateless-retry"]);
    let output = connect(&files, &server.target(), &["--key-shares", ""], b"cookie");
    assert_eq!((code(&output), &output.stdout[..]), (0, &b"cookie"[..]), "{}", stderr(&output));
    assert_eq!(server.connection()["negotiated"]["retried"], true);
}

#[test]
fn the_key_log_is_for_its_owner() {
    let files = Files::new();
    let server_log = files.text("server.log");
    let server = Server::start(&files, &["--echo", "--keylog", &server_log]);
    let log = files.text("client.log");
    let output = connect(&files, &server.target(), &["--keylog", &log], b"logged");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&log).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let text = fs::read_to_string(&log).unwrap();
    let mut labels = Vec::new();
    let mut randoms = std::collections::HashSet::new();
    for line in text.lines() {
        let parts: Vec<_> = line.split(' ').collect();
        let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        assert!(parts.len() == 3 && hex(parts[1]) && hex(parts[2]), "{line}");
        assert!(parts[1].len() == 64 && [64, 96].contains(&parts[2].len()), "{line}");
        labels.push(parts[0]);
        randoms.insert(parts[1]);
    }
    for label in [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ] {
        assert_eq!(labels.iter().filter(|l| **l == label).count(), 1, "{label}");
    }
    assert_eq!(randoms.len(), 1);
    // Both sides have the same secrets.
    let sorted = |path: &str| {
        let text = fs::read_to_string(path).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&log), sorted(&server_log));
    // No file is opened that was not named.
    let unnamed = files.text("unnamed.log");
    let mut command = tool(&["demo", "--bytes", "1"]);
    let child = command.env("SSLKEYLOGFILE", &unnamed).spawn().unwrap();
    assert_eq!(code(&finish(child)), 0);
    assert!(!Path::new(&unnamed).exists());
}

/// A server of ours in this process, for one connection.
fn one_connection(
    serve: impl FnOnce(TcpStream) + Send + 'static,
) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("localhost:{}", listener.local_addr().unwrap().port());
    (target, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

#[test]
fn a_truncation_is_told_from_an_end() {
    let files = Files::new();
    let provider = ring::provider();
    let (cert, key) = (fs::read(files.path("server.pem")), fs::read(files.path("server.key")));
    let credential = Credential::from_pem(&provider, &cert.unwrap(), &key.unwrap()).unwrap();
    let config = Arc::new(ServerConfig::new(provider, vec![Arc::new(credential)]).unwrap());
    let (target, server) = one_connection(move |socket| {
        let mut stream = Stream::server(config, socket);
        stream.write_all(b"half of").unwrap();
        stream.flush().unwrap();
        // Its input is read, so that closing sends FIN and not RST.
        let mut buffer = [0; 10];
        assert_eq!(stream.read(&mut buffer).unwrap(), 0);
    });
    let output = connect(&files, &target, &[], b"");
    server.join().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert_eq!(output.stdout, b"half of");
    let report = json(&output.stderr);
    assert_eq!(report["peer_closed"], false);
    assert!(report["error"]["message"].as_str().unwrap().contains("cut off"));
}

#[test]
fn a_peer_without_tls_1_3_is_named() {
    use rustls::pki_types::pem::PemObject;
    let files = Files::new();
    let certificate = rustls::pki_types::CertificateDer::from_pem_file(files.path("server.pem"));
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(files.path("server.key"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.unwrap()], key.unwrap())
        .unwrap();
    let (target, server) = one_connection(move |mut socket| {
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let _refused = connection.complete_io(&mut socket);
    });
    let output = connect(&files, &target, &[], b"");
    server.join().unwrap();
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let error = json(&output.stderr)["error"].to_string();
    assert!(error.contains("TLS 1.3"), "{error}");
}

#[test]
fn a_peer_without_tls_is_explained() {
    let (target, server) = one_connection(|mut socket| {
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let mut rest = Vec::new();
        let _reset = socket.read_to_end(&mut rest);
    });
    let output = run(&["connect", &target, "--mozilla"], b"");
    server.join().unwrap();
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("is that port a TLS port?"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_silent_peer_is_not_awaited_for_ever() {
    let (target, _server) = one_connection(|socket| {
        thread::sleep(Duration::from_secs(30));
        drop(socket);
    });
    let output = run(&["connect", &target, "--mozilla", "--timeout", "1"], b"");
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("took too long"), "{}", stderr(&output));
}

#[test]
fn a_closed_port_is_explained() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = run(&["connect", &format!("127.0.0.1:{port}"), "--mozilla"], b"");
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("cannot connect to 127.0.0.1"), "{}", stderr(&output));
}

#[test]
fn nobody_reading_our_output_is_no_panic() {
    let files = Files::new();
    let server = Server::start(&files, &["--echo"]);
    let (ca, target) = (files.text("ca.pem"), server.target());
    let mut child = tool(&["connect", &target, "--ca", &ca]).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"into the void").unwrap();
    // The input stays open: the tool ends because its output is gone.
    let output = finish(child);
    drop(stdin);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("nobody reads standard output"), "{}", stderr(&output));

    let mut child = tool(&["demo", "--bytes", "1"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = finish(child);
    assert_eq!(code(&output), 1);
    stderr(&output);
}
