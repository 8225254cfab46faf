//! Raw public keys (RFC 7250) with GnuTLS, both roles and every kind of key; both ends show one. OpenSSL has them from 3.2
//! on, which Debian 12 is too old for.

use std::process::Command;
use std::sync::Arc;

use sealwire::codepoints::CertificateType;
use sealwire::crypto::Provider;
use sealwire::pki_types::PrivateKeyDer;
use sealwire::pki_types::pem::PemObject as _;
use sealwire::{ClientAuth, ClientConfig, Credential, ServerConfig, Summary, Verifier};

use crate::child::{Context, find};
use crate::driver::{Driver, Ending};
use crate::peer::gnutls;
use crate::pki::{Identity, Key, Pki, provider, read};

/// The key of an identity without its certificate.
fn raw(provider: &Provider, identity: &Identity) -> Arc<Credential> {
    let key = PrivateKeyDer::from_pem_slice(&read(&identity.key)).unwrap();
    Arc::new(Credential::raw_public_key(provider, &key).unwrap())
}

/// Whoever has this key is right.
fn only(credential: &Credential) -> Verifier {
    Verifier::raw_public_keys([credential.spki().unwrap().clone()]).unwrap()
}

/// What GnuTLS is told: this key, and that nothing but keys will do.
fn arguments(command: &mut Command, identity: &Identity) {
    let types = "-CTYPE-ALL:+CTYPE-SRV-RAWPK:+CTYPE-CLI-RAWPK";
    command.args(["--priority", &format!("NORMAL:-VERS-ALL:+VERS-TLS1.3:{types}")]);
    command.arg("--rawpkkeyfile").arg(&identity.key).arg("--rawpkfile").arg(&identity.public);
}

fn check(summary: &Summary, peer: &Credential) {
    assert_eq!(summary.peer_certificate_type(), Some(CertificateType::RawPublicKey));
    assert_eq!(summary.peer_raw_public_key.as_ref(), peer.spki());
    assert!(summary.peer_scheme.is_some() && summary.own_scheme.is_some());
}

fn serves(key: Key) {
    if !gnutls::available() {
        return;
    }
    Context::run(move |context| {
        let pki = Pki::shared();
        let (_peer, stream) = context.start_server(|port| {
            let mut command = find("gnutls-serv");
            command.args(["--echo", "--require-client-cert", "--port", &port.to_string()]);
            arguments(&mut command, pki.server(key));
            command
        });
        let provider = provider();
        let (ours, theirs) = (raw(&provider, pki.client(key)), raw(&provider, pki.server(key)));
        let config = ClientConfig::new(provider, only(&theirs)).unwrap();
        let config = config.with_credentials(vec![ours]);
        let mut driver = Driver::client(Arc::new(config), stream, context.deadline).unwrap();
        driver.handshake().unwrap();
        check(driver.summary(), &theirs);
        driver.send_all(b"keys alone\n", false).unwrap();
        assert_eq!(driver.receive(11).unwrap(), b"keys alone\n");
        assert_eq!(driver.close().unwrap(), Ending::Clean);
    });
}

fn connects(key: Key) {
    if !gnutls::available() {
        return;
    }
    Context::run(move |context| {
        let pki = Pki::shared();
        let (mut peer, stream) = context.start_client(|port| {
            let mut command = find("gnutls-cli");
            // It cannot say which keys it trusts.
            command.args(["--logfile", "/dev/stderr", "--insecure"]);
            command.args(["--port", &port.to_string(), "127.0.0.1"]);
            arguments(&mut command, pki.client(key));
            command
        });
        let provider = provider();
        let (ours, theirs) = (raw(&provider, pki.server(key)), raw(&provider, pki.client(key)));
        let config = ServerConfig::new(provider, vec![ours]).unwrap();
        let config = config.with_client_auth(ClientAuth::Required(only(&theirs)));
        let mut driver = Driver::server(Arc::new(config), stream, context.deadline);
        driver.handshake().unwrap();
        check(driver.summary(), &theirs);
        peer.feed(b"keys alone\n".to_vec());
        assert_eq!(driver.receive(11).unwrap(), b"keys alone\n");
        peer.end_input();
        assert_eq!(driver.wait_for_end().unwrap(), Ending::Clean);
        assert_eq!(driver.close().unwrap(), Ending::Clean);
    });
}

#[test]
fn gnutls_serves_a_p256_key() {
    serves(Key::P256);
}

#[test]
fn gnutls_serves_a_p384_key() {
    serves(Key::P384);
}

#[test]
fn gnutls_serves_an_ed25519_key() {
    serves(Key::Ed25519);
}

#[test]
fn gnutls_serves_an_rsa_key() {
    serves(Key::Rsa);
}

#[test]
fn gnutls_connects_with_a_p256_key() {
    connects(Key::P256);
}

#[test]
fn gnutls_connects_with_a_p384_key() {
    connects(Key::P384);
}

#[test]
fn gnutls_connects_with_an_ed25519_key() {
    connects(Key::Ed25519);
}

#[test]
fn gnutls_connects_with_an_rsa_key() {
    connects(Key::Rsa);
}
