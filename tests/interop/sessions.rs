//! Resumption and early data with the peers, in both roles. Both ends authenticated in the first connection, and know that
//! in the second.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ClientConnection, ServerConnection, StreamOwned};
use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientConfig, EarlyData, MemoryReplay, MemorySessions, ServerConfig, Summary, TicketKeys,
};

use crate::case::PLAIN;
use crate::child::{Context, Listener, Peer, find};
use crate::driver::Driver;
use crate::peer::{gnutls, go, openssl, rustls as theirs};
use crate::pki::Pki;

const EARLY: &[u8] = b"this came early\n";

/// Our client, which keeps sessions and offers early data.
fn client() -> (Arc<ClientConfig>, Arc<MemorySessions>) {
    let sessions = Arc::new(MemorySessions::default());
    let config = (*PLAIN.client_config()).clone();
    (Arc::new(config.with_sessions(sessions.clone()).with_early_data(true)), sessions)
}

/// Our server, which issues tickets and takes early data.
fn server() -> Arc<ServerConfig> {
    let config = (*PLAIN.server_config()).clone();
    let keys = TicketKeys::new(config.provider(), UnixTime::now()).unwrap();
    // Its warm-up is long over.
    let start = UnixTime::now().as_secs() - 100;
    let start = UnixTime::since_unix_epoch(Duration::from_secs(start));
    let config = config.with_tickets(Arc::new(keys));
    Arc::new(config.with_early_data(Arc::new(MemoryReplay::new(100, start)), 16_384))
}

fn check(summary: &Summary, resumed: bool, early_data: EarlyData) {
    assert_eq!((summary.resumed, summary.early_data), (resumed, early_data));
    assert_eq!(summary.peer_chain.len(), 2, "leaf and intermediate");
    assert_eq!(summary.peer_scheme.is_none(), resumed, "who resumes does not sign");
}

/// A program that prints what it gets and sends what it is fed: the first connection with it, at the end of which it has
/// said something, so that its tickets have come.
fn first_with(peer: &mut Peer, driver: &mut Driver) {
    driver.handshake().unwrap();
    check(driver.summary(), false, EarlyData::NotOffered);
    peer.feed(b"hello\n".to_vec());
    driver.receive(6).unwrap();
    driver.close().unwrap();
}

fn waits_for(peer: &Peer, context: &Context, text: &[u8]) {
    let found = |out: &[u8]| out.windows(text.len()).any(|w| w == text);
    assert!(found(&peer.stdout.wait_until(context.deadline, found)), "the peer has not got it");
}

#[test]
fn openssl_serves() {
    if !openssl::available() {
        return;
    }
    for early in [false, true] {
        Context::run(move |context| {
            let (config, sessions) = client();
            let (mut peer, stream) = context.start_server(|port| {
                let mut command = openssl::server(&PLAIN, port);
                if early {
                    command.args(["-early_data", "-max_early_data", "1000"]);
                }
                command
            });
            let address = stream.peer_addr().unwrap();
            let again = || TcpStream::connect(address).unwrap();
            let next = || Driver::client(config.clone(), again(), context.deadline).unwrap();
            let mut driver = Driver::client(config.clone(), stream, context.deadline).unwrap();
            first_with(&mut peer, &mut driver);
            assert_eq!(sessions.len(), 2);
            let mut driver = next();
            let expected = if early {
                driver.send_early(EARLY).unwrap();
                EarlyData::Accepted
            } else {
                EarlyData::NotOffered
            };
            driver.handshake().unwrap();
            check(driver.summary(), true, expected);
            if early {
                waits_for(&peer, context, EARLY);
            }
            peer.feed(b"again\n".to_vec());
            driver.receive(6).unwrap();
            driver.close().unwrap();
        });
    }
}

/// A file that is gone when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("sealwire-interop-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _absent = std::fs::remove_file(&self.0);
    }
}

#[test]
fn openssl_connects() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let config = server();
        let (session, early) = (Scratch::new("session"), Scratch::new("early"));
        std::fs::write(&early.0, EARLY).unwrap();
        let (mut peer, stream) = context.start_client(|port| {
            let mut command = openssl::client(&PLAIN, port);
            command.args(["-quiet", "-groups", "X25519"]).arg("-sess_out").arg(&session.0);
            command
        });
        let mut driver = Driver::server(config.clone(), stream, context.deadline);
        driver.handshake().unwrap();
        check(driver.summary(), false, EarlyData::NotOffered);
        driver.send_all(b"hello\n", false).unwrap();
        waits_for(&peer, context, b"hello\n");
        peer.feed(b"hello\n".to_vec());
        driver.receive(6).unwrap();
        driver.close().unwrap();

        // The same file twice: the second ticket is a replay in nothing but its early data, which is another flight.
        for expected in [EarlyData::NotOffered, EarlyData::Accepted] {
            let (mut peer, stream) = context.start_client(|port| {
                let mut command = openssl::client(&PLAIN, port);
                command.args(["-quiet", "-groups", "X25519"]).arg("-sess_in").arg(&session.0);
                if expected == EarlyData::Accepted {
                    command.arg("-early_data").arg(&early.0);
                }
                command
            });
            let mut driver = Driver::server(config.clone(), stream, context.deadline);
            driver.handshake().unwrap();
            check(driver.summary(), true, expected);
            if expected == EarlyData::Accepted {
                assert_eq!(driver.early(), EARLY);
            }
            peer.feed(b"again\n".to_vec());
            driver.receive(6).unwrap();
            driver.close().unwrap();
        }
    });
}

#[test]
fn gnutls_serves() {
    if !gnutls::available() {
        return;
    }
    for early in [false, true] {
        Context::run(move |context| {
            let (config, sessions) = client();
            let (peer, stream) = context.start_server(|port| {
                let mut command = find("gnutls-serv");
                command.args(["--echo", "--require-client-cert", "--verify-client-cert"]);
                command.args(["--port", &port.to_string()]);
                if early {
                    command.args(["--earlydata", "--maxearlydata=1000"]);
                }
                gnutls::common(
                    &mut command,
                    &PLAIN,
                    &[PLAIN.group],
                    Pki::shared().server(PLAIN.key),
                );
                command
            });
            let address = stream.peer_addr().unwrap();
            if early {
                // GnuTLS refuses what may be from before its start, and our ages are whole seconds.
                thread::sleep(Duration::from_millis(1_200));
            }
            // Our ages are whole seconds, and GnuTLS refuses one that is more than the ticket's: early data that comes
            // when less of a second has passed than when the ticket came. The handshake goes on, and gives a new ticket.
            let mut accepted = false;
            for attempt in 0..8 {
                let socket = TcpStream::connect(address).unwrap();
                let mut driver = Driver::client(config.clone(), socket, context.deadline).unwrap();
                let resumed = attempt > 0;
                let offered = resumed && early;
                if offered {
                    driver.send_early(EARLY).unwrap();
                }
                driver.handshake().unwrap();
                accepted = driver.summary().early_data == EarlyData::Accepted;
                let expected = match (offered, accepted) {
                    (false, _) => EarlyData::NotOffered,
                    (true, false) => EarlyData::Rejected,
                    (true, true) => EarlyData::Accepted,
                };
                check(driver.summary(), resumed, expected);
                driver.send_all(b"hello\n", false).unwrap();
                driver.receive(6).unwrap();
                driver.close().unwrap();
                assert!(!sessions.is_empty());
                if accepted || (resumed && !early) {
                    break;
                }
                thread::sleep(Duration::from_millis(230));
            }
            assert_eq!(accepted, early);
            drop(peer);
        });
    }
}

#[test]
fn gnutls_connects() {
    if !gnutls::available() {
        return;
    }
    for early in [false, true] {
        Context::run(move |context| {
            let config = server();
            let file = Scratch::new("gnutls-early");
            std::fs::write(&file.0, EARLY).unwrap();
            let listener = Listener::new();
            let mut command = find("gnutls-cli");
            command.args(["--logfile", "/dev/stderr", "--single-key-share"]);
            command.args(["--verify-hostname", "localhost", "--sni-hostname", "localhost"]);
            command.args(["--resume", "--waitresumption"]);
            if early {
                command.arg(format!("--earlydata={}", file.0.display()));
            }
            command.args(["--port", &listener.port().to_string(), "127.0.0.1"]);
            let identity = Pki::shared().client(PLAIN.key);
            gnutls::common(&mut command, &PLAIN, &[PLAIN.group], identity);
            let mut peer = context.start(&mut command);
            let mut driver =
                Driver::server(config.clone(), listener.accept(context.deadline), context.deadline);
            driver.handshake().unwrap();
            check(driver.summary(), false, EarlyData::NotOffered);
            driver.wait_for_end().unwrap();
            drop(driver);

            let mut driver =
                Driver::server(config, listener.accept(context.deadline), context.deadline);
            driver.handshake().unwrap();
            let expected = if early { EarlyData::Accepted } else { EarlyData::NotOffered };
            check(driver.summary(), true, expected);
            if early {
                assert_eq!(driver.early(), EARLY);
            }
            peer.feed(b"again\n".to_vec());
            driver.receive(6).unwrap();
        });
    }
}

fn go_says(peer: &Peer, context: &Context, resumed: &[bool]) {
    let lines = |bytes: &[u8]| -> Vec<bool> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let states = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let states = states.filter_map(|line| line.strip_prefix("STATE "));
        states
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|state| state["resumed"].as_bool().unwrap())
            .collect()
    };
    let all = peer.stderr.wait_until(context.deadline, |out| lines(out).len() >= resumed.len());
    assert_eq!(lines(&all), resumed);
}

#[test]
fn go_serves() {
    if !go::available() {
        return;
    }
    Context::run(|context| {
        let (config, _sessions) = client();
        let mut peer = context.start(go::server(&PLAIN).args(["-times", "2"]));
        let port = peer.listening_port();
        for resumed in [false, true] {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut driver = Driver::client(config.clone(), stream, context.deadline).unwrap();
            driver.handshake().unwrap();
            check(driver.summary(), resumed, EarlyData::NotOffered);
            if resumed {
                peer.feed(b"again\n".to_vec());
            }
            driver.receive(6).unwrap();
            driver.close().unwrap();
        }
        go_says(&peer, context, &[false, true]);
    });
}

#[test]
fn go_connects() {
    if !go::available() {
        return;
    }
    Context::run(|context| {
        let config = server();
        let listener = Listener::new();
        let mut peer = context.start(go::client(&PLAIN, listener.port()).args(["-times", "2"]));
        for resumed in [false, true] {
            let stream = listener.accept(context.deadline);
            let mut driver = Driver::server(config.clone(), stream, context.deadline);
            driver.handshake().unwrap();
            check(driver.summary(), resumed, EarlyData::NotOffered);
            if resumed {
                peer.feed(b"again\n".to_vec());
            }
            driver.receive(6).unwrap();
            driver.close().unwrap();
        }
        go_says(&peer, context, &[false, true]);
    });
}

#[test]
fn rustls_serves() {
    Context::run(|context| {
        let (config, _sessions) = client();
        let mut far = theirs::server_config(&PLAIN);
        far.max_early_data_size = 1000;
        let far = Arc::new(far);
        for resumed in [false, true] {
            let (stream, socket) = theirs::pair(context);
            let connection = ServerConnection::new(far.clone()).unwrap();
            let thread = thread::spawn(move || {
                let mut stream = StreamOwned::new(connection, socket);
                // The handshake goes on until the server has read the client's Finished.
                stream.conn.complete_io(&mut stream.sock).unwrap();
                let mut early = Vec::new();
                if let Some(mut data) = stream.conn.early_data() {
                    data.read_to_end(&mut early).unwrap();
                }
                stream.write_all(b"hello\n").unwrap();
                let _end = stream.read_to_end(&mut Vec::new());
                early
            });
            let mut driver = Driver::client(config.clone(), stream, context.deadline).unwrap();
            if resumed {
                driver.send_early(EARLY).unwrap();
            }
            driver.handshake().unwrap();
            let expected = if resumed { EarlyData::Accepted } else { EarlyData::NotOffered };
            check(driver.summary(), resumed, expected);
            driver.receive(6).unwrap();
            driver.close().unwrap();
            let early = thread.join().unwrap();
            assert_eq!(early, if resumed { EARLY } else { b"" });
        }
    });
}

#[test]
fn rustls_connects() {
    Context::run(|context| {
        let config = server();
        let mut far = theirs::client_config(&PLAIN);
        far.enable_early_data = true;
        let far = Arc::new(far);
        for resumed in [false, true] {
            let (socket, stream) = theirs::pair(context);
            let name = "localhost".try_into().unwrap();
            let mut connection = ClientConnection::new(far.clone(), name).unwrap();
            let thread = thread::spawn(move || {
                if let Some(mut data) = connection.early_data() {
                    data.write_all(EARLY).unwrap();
                }
                let mut stream = StreamOwned::new(connection, socket);
                stream.write_all(b"hello\n").unwrap();
                let _end = stream.read_to_end(&mut Vec::new());
                stream.conn.is_early_data_accepted()
            });
            let mut driver = Driver::server(config.clone(), stream, context.deadline);
            driver.handshake().unwrap();
            let expected = if resumed { EarlyData::Accepted } else { EarlyData::NotOffered };
            check(driver.summary(), resumed, expected);
            assert_eq!(driver.early(), if resumed { EARLY } else { b"" });
            driver.receive(6).unwrap();
            driver.close().unwrap();
            assert_eq!(thread.join().unwrap(), resumed);
        }
    });
}
