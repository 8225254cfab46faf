//! Client authentication after the handshake (RFC 9846 §4.7.2) with OpenSSL, both roles.

use std::sync::Arc;

use sealwire::{ClientAuth, ClientConfig, ServerConfig, Verifier};

use crate::case::PLAIN;
use crate::child::{Context, find};
use crate::driver::Driver;
use crate::peer::openssl;
use crate::pki::{Key, Pki, provider};

#[test]
fn openssl_client_says_later_who_it_is() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (mut peer, stream) = context.start_client(|port| {
            let mut command = openssl::client(&PLAIN, port);
            command.args(["-quiet", "-enable_pha"]);
            command
        });
        let provider = provider();
        let credential = Pki::shared().server(Key::P256).credential(&provider);
        let verifier = Verifier::new(Pki::shared().anchors());
        let config = ServerConfig::new(provider.clone(), vec![credential]).unwrap();
        let config = config.with_client_auth(ClientAuth::OnRequest(verifier));
        let mut driver = Driver::server(Arc::new(config), stream, context.deadline);
        driver.handshake().unwrap();
        assert!(driver.summary().peer_chain.is_empty());

        assert!(driver.ask_client().unwrap());
        let identity = Pki::shared().client(Key::P256).credential(&provider);
        assert_eq!(driver.summary().peer_chain[0], identity.chain()[0]);

        // Once more, and the connection goes on.
        assert!(driver.ask_client().unwrap());
        peer.feed(b"still here".to_vec());
        assert_eq!(driver.receive(10).unwrap(), b"still here");
    });
}

#[test]
fn openssl_server_asks_later_who_we_are() {
    if !openssl::available() {
        return;
    }
    Context::run(|context| {
        let (mut peer, stream) = context.start_server(|port| {
            let mut command = find("openssl");
            command.args(["s_server", "-tls1_3", "-accept", &format!("127.0.0.1:{port}")]);
            let identity = Pki::shared().server(Key::P256);
            command.arg("-cert").arg(&identity.leaf).arg("-key").arg(&identity.key);
            command.arg("-cert_chain").arg(&identity.chain);
            command.arg("-CAfile").arg(&Pki::shared().root);
            command
        });
        let provider = provider();
        let credential = Pki::shared().client(Key::P256).credential(&provider);
        let verifier = Verifier::new(Pki::shared().anchors());
        let config = ClientConfig::new(provider, verifier).unwrap();
        let config = config.with_credentials(vec![credential]).with_post_handshake_auth(true);
        let mut driver = Driver::client(Arc::new(config), stream, context.deadline).unwrap();
        driver.handshake().unwrap();
        assert_eq!(driver.summary().own_scheme, None);

        // `c` on standard input makes s_server ask.
        peer.feed(b"c\n".to_vec());
        driver.wait_for_own_signature().unwrap();
        peer.feed(b"line\n".to_vec());
        driver.receive_until(|got| got.ends_with(b"line\n")).unwrap();
        driver.send_all(b"answer\n", false).unwrap();
        let found = |out: &[u8]| String::from_utf8_lossy(out).contains("answer\n");
        assert!(found(&peer.stdout.wait_until(context.deadline, found)));
    });
}
