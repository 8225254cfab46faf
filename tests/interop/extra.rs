//! What no table of successes shows: refusals and their alerts, as the peer understands them; what both sides choose
//! when nobody restricts them; exporters; KeyUpdates that the peer begins.

use std::net::TcpStream;
use std::sync::Arc;

use sealwire::codepoints::{Alert, NamedGroup, ProtocolVersion};
use sealwire::{ClientAuth, ClientConfig, Error, NoOverlap, ServerConfig, Verifier};

use crate::case::{Case, PLAIN, Retry};
use crate::child::{Context, Peer, find};
use crate::driver::{Driver, Ending};
use crate::peer::{go, openssl};
use crate::pki::{Key, Pki, provider};

/// A server that authenticates clients like this, and is else as it comes.
fn server_config(client_auth: ClientAuth) -> Arc<ServerConfig> {
    let provider = provider();
    let credential = Pki::shared().server(Key::P256).credential(&provider);
    let config = ServerConfig::new(provider, vec![credential]).unwrap();
    Arc::new(config.with_client_auth(client_auth))
}

fn required() -> ClientAuth {
    ClientAuth::Required(Verifier::new(Pki::shared().anchors()))
}

/// A client that is as it comes, without a certificate.
fn anonymous_client_config() -> ClientConfig {
    ClientConfig::new(provider(), Verifier::new(Pki::shared().anchors())).unwrap()
}

/// `s_client` without a certificate, and our server.
fn anonymous_openssl(context: &Context, config: Arc<ServerConfig>) -> (Peer, Driver) {
    let (peer, stream) = context.start_client(|port| {
        let mut command = find("openssl");
        command.args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")]);
        command.arg("-CAfile").arg(&Pki::shared().root);
        command
    });
    (peer, Driver::server(config, stream, context.deadline))
}

fn says(peer: &Peer, context: &Context, text: &str) {
    let found = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
    let all = peer.stderr.wait_until(context.deadline, found);
    assert!(found(&all), "the peer does not say {text:?}");
}

#[test]
fn openssl_client_without_a_certificate_is_refused() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (peer, mut driver) = anonymous_openssl(context, server_config(required()));
        let error = driver.handshake().unwrap_err();
        assert_eq!(error.alert(), Some(Alert::certificate_required), "{error}");
        says(&peer, context, "alert certificate required");
    });
}

#[test]
fn openssl_client_without_a_certificate_is_accepted_where_it_is_optional() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let auth = ClientAuth::Optional(Verifier::new(Pki::shared().anchors()));
        let (mut peer, mut driver) = anonymous_openssl(context, server_config(auth));
        driver.handshake().unwrap();
        assert!(driver.summary().peer_chain.is_empty());
        assert_eq!(driver.summary().peer_scheme, None);
        peer.feed(b"hello".to_vec());
        assert_eq!(driver.receive(5).unwrap(), b"hello");
        assert_eq!(driver.close().unwrap(), Ending::Clean);
    });
}

#[test]
fn openssl_client_of_an_unknown_root_is_refused() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let auth = ClientAuth::Required(Verifier::new(Pki::shared().other_anchors()));
        let (peer, stream) = context.start_client(|port| {
            let mut command = openssl::client(&PLAIN, port);
            command.arg("-quiet");
            command
        });
        let mut driver = Driver::server(server_config(auth), stream, context.deadline);
        let error = driver.handshake().unwrap_err();
        assert!(matches!(error, Error::Certificate(_)), "{error}");
        assert_eq!(error.alert(), Some(Alert::unknown_ca));
        says(&peer, context, "alert unknown ca");
    });
}

#[test]
fn openssl_server_of_an_unknown_root_is_refused() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (peer, stream) = openssl::start_server(&PLAIN, context);
        let verifier = Verifier::new(Pki::shared().other_anchors());
        let config = ClientConfig::new(provider(), verifier).unwrap();
        let mut driver = Driver::client(Arc::new(config), stream, context.deadline).unwrap();
        let error = driver.handshake().unwrap_err();
        assert_eq!(error.alert(), Some(Alert::unknown_ca), "{error}");
        says(&peer, context, "alert unknown ca");
    });
}

#[test]
fn openssl_server_refuses_our_client_without_a_certificate() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (_peer, stream) = openssl::start_server(&PLAIN, context);
        let config = Arc::new(anonymous_client_config());
        let mut driver = Driver::client(config, stream, context.deadline).unwrap();
        // Our side is done before the server has seen what we lack (RFC 9846 §4.5.1).
        let outcome = driver.handshake().and_then(|()| driver.wait_for_end());
        let error = outcome.expect_err("the server refuses us");
        assert!(matches!(error, Error::PeerAlert(Alert::certificate_required)), "{error}");
    });
}

#[test]
fn openssl_client_of_tls_1_2_is_told_so() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (peer, stream) = context.start_client(|port| {
            let mut command = find("openssl");
            command.args(["s_client", "-tls1_2", "-connect", &format!("127.0.0.1:{port}")]);
            command
        });
        let mut driver = Driver::server(server_config(required()), stream, context.deadline);
        let error = driver.handshake().unwrap_err();
        let Error::NoOverlap(NoOverlap::Version(offered)) = &error else { panic!("{error}") };
        assert!(offered.contains(&ProtocolVersion::TLSv1_2), "{error}");
        says(&peer, context, "alert protocol version");
    });
}

#[test]
fn openssl_server_of_tls_1_2_is_understood() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (_peer, stream) = context.start_server(|port| {
            let mut command = find("openssl");
            command.args(["s_server", "-tls1_2", "-accept", &format!("127.0.0.1:{port}")]);
            let identity = Pki::shared().server(Key::P256);
            command.arg("-cert").arg(&identity.leaf).arg("-key").arg(&identity.key);
            command
        });
        let config = Arc::new(anonymous_client_config());
        let mut driver = Driver::client(config, stream, context.deadline).unwrap();
        let error = driver.handshake().unwrap_err();
        assert!(matches!(error, Error::PeerAlert(Alert::protocol_version)), "{error}");
    });
}

/// `k` and `K` on standard input make `s_client` and `s_server` update their keys; `K` asks for ours as well.
#[test]
fn openssl_client_updates_keys_by_itself() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (mut peer, stream) = context.start_client(|port| openssl::client(&PLAIN, port));
        let mut driver = Driver::server(PLAIN.server_config(), stream, context.deadline);
        driver.handshake().unwrap();
        talk_and_update(context, &mut driver, &mut peer, |peer, _, times| {
            // It sends the message before its next data. It takes one command a read, so that may not come too early.
            let said = |out: &[u8]| String::from_utf8_lossy(out).matches("KEYUPDATE").count();
            let out = peer.stderr.wait_until(context.deadline, |out| said(out) >= times);
            assert_eq!(said(&out), times);
        });
    });
}

#[test]
fn openssl_server_updates_keys_by_itself() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (mut peer, stream) = context.start_server(|port| openssl::server(&PLAIN, port));
        let config = PLAIN.client_config();
        let mut driver = Driver::client(config, stream, context.deadline).unwrap();
        driver.handshake().unwrap();
        // It sends the message at once.
        talk_and_update(context, &mut driver, &mut peer, |_, driver, times| {
            driver.wait_for_key_updates(times).unwrap();
        });
    });
}

fn talk_and_update(
    context: &Context,
    driver: &mut Driver,
    peer: &mut Peer,
    wait: impl Fn(&Peer, &mut Driver, usize),
) {
    for (round, command) in [b"k\n", b"K\n", b"K\n"].into_iter().enumerate() {
        peer.feed(command.to_vec());
        wait(peer, driver, round + 1);
        // What follows is under new keys, or the other could not read it.
        let line = format!("line {round}\n");
        peer.feed(line.clone().into_bytes());
        driver.receive_until(|got| got.ends_with(line.as_bytes())).unwrap();
        driver.send_all(line.as_bytes(), false).unwrap();
        let found = |out: &[u8]| String::from_utf8_lossy(out).contains(&line);
        assert!(found(&peer.stdout.wait_until(context.deadline, found)));
    }
    assert_eq!(driver.key_updates(), 3);
}

/// Nobody restricts anything: Go and we agree on the hybrid group, OpenSSL 3.0 and we on X25519, without another round.
#[test]
fn defaults_need_one_round_trip() {
    let check = |driver: &Driver, groups: &[NamedGroup]| {
        let group = driver.summary().group.unwrap();
        assert!(groups.contains(&group), "{group}");
        assert!(!driver.summary().retried);
    };
    if go::available() {
        Context::run(move |context| {
            let (_peer, stream) = context.start_client(|port| go::client(&HYBRID, port));
            let mut driver = Driver::server(server_config(required()), stream, context.deadline);
            driver.handshake().unwrap();
            check(&driver, &[NamedGroup::X25519MLKEM768]);
        });
    }
    if openssl::available() {
        Context::run(move |context| {
            let config = server_config(ClientAuth::None);
            let (_peer, mut driver) = anonymous_openssl(context, config);
            driver.handshake().unwrap();
            // OpenSSL 3.5 prefers the hybrid group too.
            check(&driver, &[NamedGroup::x25519, NamedGroup::X25519MLKEM768]);
        });
    }
}

/// Go's client with the hybrid group first and X25519 after it, for both of which it sends a share.
const HYBRID: Case = Case { group: NamedGroup::X25519MLKEM768, retry: Retry::OtherShare, ..PLAIN };

#[test]
fn exporters_agree_with_go() {
    if !go::available() {
        return;
    }
    let check = |driver: &mut Driver, peer: &Peer| {
        driver.handshake().unwrap();
        let mut ours = [0; 32];
        driver.export(b"EXPORTER-sealwire-interop", &mut ours).unwrap();
        let state: serde_json::Value = serde_json::from_str(&peer.report("STATE ")).unwrap();
        let hex: String = ours.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(state["exported"], hex);
        assert_eq!(state["chain"], 2);
        assert_eq!(state["retried"], false);
    };
    Context::run(move |context| {
        let (peer, stream) = context.start_client(|port| go::client(&PLAIN, port));
        let mut driver = Driver::server(PLAIN.server_config(), stream, context.deadline);
        check(&mut driver, &peer);
    });
    Context::run(move |context| {
        let peer = context.start(&mut go::server(&PLAIN));
        let stream = TcpStream::connect(("127.0.0.1", peer.listening_port())).unwrap();
        let config = PLAIN.client_config();
        let mut driver = Driver::client(config, stream, context.deadline).unwrap();
        check(&mut driver, &peer);
    });
}
