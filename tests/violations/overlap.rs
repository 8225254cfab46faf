//! Nothing in common (RFC 9846 §4.2.1, §4.3.1; RFC 7301 §3.2).

use sealwire::NoOverlap;
use sealwire::codepoints::{
    CertificateType, CipherSuiteId, ExtensionType as E, HandshakeType as H, NamedGroup,
    ProtocolVersion, SignatureScheme,
};

use super::duel::{Configs, Duel, Unit, mutual, raw_keys, retry, simple};
use super::edit::{Parts, message, parts};
use super::refuse::{refuse_changed, refuse_edited};
use super::support::Role::{Client, Server};
use super::support::{Kind, pki};

/// Two honest ends, of which the server refuses.
fn server_refuses(configs: Configs, expected: NoOverlap) {
    let mut duel = Duel::new(Client, configs);
    duel.run(|unit| vec![unit]);
    duel.assert_refused(expected);
}

pub(crate) fn version() {
    let old = |versions: &[u16]| {
        NoOverlap::Version(versions.iter().copied().map(ProtocolVersion).collect())
    };
    // A client of TLS 1.2, with extensions and without.
    let remove = parts(|parts| parts.remove(E::supported_versions));
    refuse_edited(Client, simple(), H::client_hello, remove, old(&[0x0303]));
    let change = |unit: &Unit| {
        let mut parts = Parts::of(&unit.content);
        parts.head[1] = 1;
        vec![unit.with(message(H::client_hello, &parts.head))]
    };
    refuse_changed(Client, simple(), H::client_hello, change, old(&[0x0301]));
    let set = parts(|parts| parts.set(E::supported_versions, &[4, 3, 3, 0x7f, 0x1c]));
    refuse_edited(Client, simple(), H::client_hello, set, old(&[0x0303, 0x7f1c]));
    // RFC 9846 §4.3.1: legacy_version says nothing, even if it says TLS 1.3.
    let edit = parts(|parts| {
        parts.remove(E::supported_versions);
        parts.head[1] = 4;
    });
    refuse_edited(Client, simple(), H::client_hello, edit, old(&[0x0304]));

    // A server of TLS 1.2, whatever its extensions are.
    for version in [1, 3] {
        let edit = parts(|parts| {
            parts.remove(E::supported_versions);
            parts.head[1] = version;
            parts.add(E::renegotiation_info, &[0]);
            parts.add(E::extended_main_secret, &[]);
        });
        let expected = old(&[0x0300 | u16::from(version)]);
        refuse_edited(Server, simple(), H::server_hello, edit, expected.clone());
        let change = |unit: &Unit| {
            let mut parts = Parts::of(&unit.content);
            parts.head[1] = version;
            vec![unit.with(message(H::server_hello, &parts.head))]
        };
        refuse_changed(Server, simple(), H::server_hello, change, expected);
    }
    // A HelloRetryRequest of TLS 1.2 there is not.
    let remove = parts(|parts| parts.remove(E::supported_versions));
    refuse_edited(Server, retry(), H::server_hello, remove, old(&[0x0303]));
}

pub(crate) fn cipher_suite() {
    let (client, server) = simple();
    let server = server.with_suites(&[CipherSuiteId::TLS_AES_256_GCM_SHA384]).unwrap();
    let offered = NoOverlap::CipherSuite(vec![CipherSuiteId::TLS_AES_128_GCM_SHA256]);
    server_refuses((client, server), offered);
}

pub(crate) fn group() {
    let (client, server) = simple();
    let server = server.with_groups(&[NamedGroup::secp384r1]).unwrap();
    let offered = NoOverlap::Group(vec![NamedGroup::x25519, NamedGroup::secp256r1]);
    server_refuses((client, server), offered);
}

pub(crate) fn signature_scheme() {
    let (client, server) = simple();
    let client = client.with_schemes(&[SignatureScheme::ed25519]).unwrap();
    let offered = NoOverlap::SignatureScheme(vec![SignatureScheme::ed25519]);
    server_refuses((client, server.clone()), offered);
    // What is for certificates only does not count, RSA key or not.
    let (client, _) = simple();
    let credential = pki().server(Kind::Rsa).credential(server.provider());
    let server = sealwire::ServerConfig::new(server.provider().clone(), vec![credential]).unwrap();
    let edit = parts(|parts| parts.set(E::signature_algorithms, &[0, 4, 4, 1, 2, 1]));
    let offered = vec![SignatureScheme::rsa_pkcs1_sha256, SignatureScheme::rsa_pkcs1_sha1];
    let expected = NoOverlap::SignatureScheme(offered);
    refuse_edited(Client, (client, server), H::client_hello, edit, expected);
}

pub(crate) fn alpn() {
    let (client, server) = simple();
    let client = client.with_alpn(&[b"h3", b"H2"]).unwrap();
    server_refuses((client, server.with_alpn(&[b"h2"]).unwrap()), NoOverlap::Alpn);
}

pub(crate) fn credential() {
    let (client, server) = simple();
    let none = sealwire::ServerConfig::new(server.provider().clone(), Vec::new()).unwrap();
    server_refuses((client, none), NoOverlap::Credential);
}

pub(crate) fn certificate_type() {
    let (keys, certificates) = (CertificateType::RawPublicKey, CertificateType::X509);
    let ((raw_client, raw_server), (client, server)) = (raw_keys(), mutual());
    // The client takes raw keys only, and the server has none to show.
    let none = NoOverlap::CertificateType(vec![keys]);
    server_refuses((raw_client.clone(), server.clone()), none.clone());
    // The server takes raw keys only, and the client has none to show: it says nothing.
    let auth = raw_server.client_auth().clone();
    let asks = server.with_client_auth(auth);
    server_refuses((client, asks), NoOverlap::CertificateType(vec![certificates]));
    // The server takes certificates only, and the client says that it has raw keys only.
    let (_, server) = mutual();
    let raw = pki().server(Kind::P256).raw(server.provider());
    let asks = sealwire::ServerConfig::new(server.provider().clone(), vec![raw]).unwrap();
    let asks = asks.with_client_auth(server.client_auth().clone());
    server_refuses((raw_client.clone(), asks), none);
    // The server says nothing of raw keys, so it shows a certificate.
    let edit = parts(|parts| parts.remove(E::server_certificate_type));
    let expected = NoOverlap::CertificateType(vec![certificates]);
    refuse_edited(Server, raw_keys(), H::encrypted_extensions, edit, expected);
}
