//! `--session`, `--early-data`, `--ticket-keys` and `--psk`.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::redis::Redis;
use crate::support::{Files, Server, code, connect, json, stderr};

/// Reports of connections that the tool makes, one after the other, and of the server.
fn ask(files: &Files, server: &mut Server, more: &[&str], input: &[u8]) -> (Value, Value, String) {
    let session = files.text("session");
    let mut all = vec!["--session", &session];
    all.extend(more);
    let output = connect(files, &server.target(), &all, input);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (json(&output.stderr), server.connection(), text)
}

const GET: &[u8] = b"GET /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn a_session_is_kept_in_a_file_and_resumed() {
    let files = Files::new();
    let mut server = Server::start(&files, &[]);
    for resumed in [false, true, true, true] {
        let (ours, theirs, _) = ask(&files, &mut server, &[], GET);
        assert_eq!(ours["resumed"], resumed);
        assert_eq!(ours["early_data"], "not offered");
        assert_eq!(ours["verdict"]["verified"], true);
        assert_eq!(theirs["negotiated"]["resumed"], resumed);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(files.path("session")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Nothing else is left beside it.
    let names = fs::read_dir(files.path(".")).unwrap().map(|e| e.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().starts_with("session")).count(), 1);
}

#[test]
fn a_ticket_is_gone_from_the_file_before_it_is_used() {
    let files = Files::new();
    let mut server = Server::start(&files, &[]);
    ask(&files, &mut server, &[], GET);
    let before = fs::read(files.path("session")).unwrap();
    drop(server);
    // Nobody answers, so no new ticket comes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("localhost:{}", silent.local_addr().unwrap().port());
    let session = files.text("session");
    let output = connect(&files, &target, &["--session", &session, "--timeout", "1"], b"");
    assert_ne!(code(&output), 0);
    let after = fs::read(files.path("session")).unwrap();
    assert!(after.len() < before.len(), "{} {}", after.len(), before.len());
}

#[test]
fn a_session_is_not_used_for_another_name_or_another_trust() {
    let (files, others) = (Files::new(), Files::new());
    let mut server = Server::start(&files, &[]);
    ask(&files, &mut server, &[], GET);
    let (ours, ..) = ask(&files, &mut server, &["--servername", "127.0.0.1"], GET);
    assert_eq!(ours["resumed"], false);
    let session = files.text("session");
    let output = connect(&others, &server.target(), &["--session", &session], GET);
    assert_eq!(code(&output), 4, "another CA does not know the server");
    let both = ["--session", &session, "--danger-no-verify"];
    assert_eq!(code(&connect(&others, &server.target(), &both, GET)), 2);
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let files = Files::new();
    let server = Server::start(&files, &[]);
    let ca = files.text("ca.pem");
    let before = fs::read(&ca).unwrap();
    let output = connect(&files, &server.target(), &["--session", &ca], GET);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert_eq!(fs::read(&ca).unwrap(), before);
}

#[test]
fn without_tickets_there_is_no_resumption() {
    let files = Files::new();
    let mut server = Server::start(&files, &["--no-tickets"]);
    for _ in 0..2 {
        assert_eq!(ask(&files, &mut server, &[], GET).0["resumed"], false);
    }
}

#[test]
fn servers_share_ticket_keys() {
    let files = Files::new();
    let keys = files.text("ticket-keys");
    let mut one = Server::start(&files, &["--ticket-keys", &keys]);
    let mut two = Server::start(&files, &["--ticket-keys", &keys]);
    let mut alone = Server::start(&files, &[]);
    assert_eq!(ask(&files, &mut one, &[], GET).0["resumed"], false);
    assert_eq!(ask(&files, &mut two, &[], GET).0["resumed"], true);
    assert_eq!(ask(&files, &mut alone, &[], GET).0["resumed"], false);
    // Memory cannot know what the other servers have seen.
    let output = crate::support::run(
        &[
            "serve",
            "--cert",
            &files.text("server.pem"),
            "--key",
            &files.text("server.key"),
            "--ticket-keys",
            &keys,
            "--early-data",
            "100",
            "--listen",
            "127.0.0.1:0",
        ],
        b"",
    );
    assert_eq!(code(&output), 2, "{}", stderr(&output));
}

#[test]
fn early_data_is_answered_rejected_and_sent_again() {
    let Some(redis) = Redis::start() else { return };
    let files = Files::new();
    let url = redis.url();
    let mut server = Server::start(&files, &["--early-data", "200", "--anti-replay", &url]);
    redis.age_markers();
    let early = files.text("early");
    fs::write(&early, GET).unwrap();
    let more = ["--early-data", &early];

    let (ours, theirs, _) = ask(&files, &mut server, &[], GET);
    assert_eq!((&ours["resumed"], &theirs["early_data"]), (&false.into(), &"not offered".into()));
    // Accepted, and answered at once: the page says so.
    let (ours, theirs, page) = ask(&files, &mut server, &more, b"");
    assert_eq!(ours["early_data"], "accepted");
    assert_eq!(ours["early_data_file"]["offered"], GET.len());
    assert_eq!(ours["early_data_file"]["not_sent"], 0);
    assert_eq!((&theirs["early_data"], &theirs["early_requests"]), (&"accepted".into(), &1.into()));
    assert!(
        page.starts_with("HTTP/1.1 200 ") && page.contains("\"early_data\": \"accepted\""),
        "{page}"
    );

    // What is not safe came too early, and may come again.
    fs::write(&early, "DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (_, theirs, page) = ask(
        &files,
        &mut server,
        &more,
        b"DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(page.starts_with("HTTP/1.1 425 Too Early\r\n"), "{page}");
    assert!(page.contains("HTTP/1.1 405 "), "{page}");
    assert_eq!((&theirs["requests"], &theirs["early_requests"]), (&2.into(), &1.into()));

    // A request that ends after the handshake is an ordinary one: its head is longer than what may come early.
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n",
        "x".repeat(300)
    );
    fs::write(&early, &long).unwrap();
    let (ours, theirs, page) =
        ask(&files, &mut server, &["--early-data", &early, "--resend-early-data"], b"");
    assert_eq!(ours["early_data_file"]["offered"], 200);
    assert_eq!(ours["early_data_file"]["resent"], long.len() - 200);
    assert_eq!((&theirs["requests"], &theirs["early_requests"]), (&1.into(), &0.into()));
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");

    // The store is young again: rejected, and sent again only on demand.
    redis.forget();
    fs::write(&early, GET).unwrap();
    let (ours, theirs, page) = ask(&files, &mut server, &more, GET);
    assert_eq!((&ours["early_data"], &ours["resumed"]), (&"rejected".into(), &true.into()));
    assert_eq!(ours["early_data_file"]["not_sent"], GET.len());
    assert_eq!((&theirs["early_data"], &theirs["requests"]), (&"rejected".into(), &1.into()));
    assert_eq!(page.matches("HTTP/1.1 200 ").count(), 1);
    let again = ["--early-data", &early, "--resend-early-data"];
    let (ours, _, page) = ask(&files, &mut server, &again, b"");
    assert_eq!(ours["early_data"], "rejected");
    assert_eq!(ours["early_data_file"]["resent"], GET.len());
    assert_eq!(page.matches("HTTP/1.1 200 ").count(), 1);
}

#[test]
fn memory_warms_up_and_then_accepts() {
    let files = Files::new();
    let mut server = Server::start(&files, &["--early-data", "1000"]);
    let early = files.text("early");
    fs::write(&early, GET).unwrap();
    ask(&files, &mut server, &[], GET);
    let (ours, ..) = ask(&files, &mut server, &["--early-data", &early], GET);
    assert_eq!(ours["early_data"], "rejected");
    thread::sleep(Duration::from_secs(32));
    let (ours, ..) = ask(&files, &mut server, &["--early-data", &early], b"");
    assert_eq!(ours["early_data"], "accepted");
}

#[test]
fn a_key_that_both_have() {
    let files = Files::new();
    let key = format!("me:{}", "0123456789abcdef".repeat(4));
    let other = format!("me:{}", "fedcba9876543210".repeat(4));
    let mut server = Server::start(&files, &["--psk", &key]);
    let output = connect(&files, &server.target(), &["--psk", &key], GET);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(json(&output.stderr)["negotiated"]["external_psk"], "me");
    assert_eq!(server.connection()["negotiated"]["external_psk"], "me");
    for more in [&["--psk", &other][..], &[]] {
        assert_eq!(code(&connect(&files, &server.target(), more, GET)), 3);
        assert_eq!(server.connection()["ok"], false);
    }
    assert_eq!(code(&connect(&files, &server.target(), &["--psk", "me:12"], GET)), 2);
}
