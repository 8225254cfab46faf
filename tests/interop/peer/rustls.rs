//! rustls with aws-lc-rs, in a thread of this process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig,
    ServerConnection, SideData, StreamOwned,
};
use sealwire::codepoints::{CipherSuiteId, NamedGroup};

use crate::case::{Case, FarEnd, MEBIBYTE, accept, connect, payload, same};
use crate::child::{Context, Listener};
use crate::pki::{Identity, Pki};

pub(crate) fn available() -> bool {
    true
}

/// rustls's server, our client.
pub(crate) fn serves(case: &Case, context: &Context) {
    let config = Arc::new(server_config(case));
    let connection = ServerConnection::new(config).unwrap();
    let (ours, theirs) = pair(context);
    let far = start(connection, theirs, case.update);
    connect(case, context, far, ours);
}

/// rustls's client, our server.
pub(crate) fn connects(case: &Case, context: &Context) {
    let config = Arc::new(client_config(case));
    let connection = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let (ours, theirs) = pair(context);
    let far = start(connection, theirs, case.update);
    accept(case, context, far, ours);
}

/// Both ends of a TCP connection.
pub(crate) fn pair(context: &Context) -> (TcpStream, TcpStream) {
    let listener = Listener::new();
    let ours = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
    (ours, listener.accept(context.deadline))
}

/// Takes a mebibyte, then sends one, with new keys half-way if it is to `update`; both see the other's close_notify.
fn start<C, S>(connection: C, stream: TcpStream, update: bool) -> FarEnd
where
    C: Deref<Target = ConnectionCommon<S>> + DerefMut + Send + 'static,
    S: SideData + 'static,
{
    FarEnd::Thread(thread::spawn(move || {
        let mut stream = StreamOwned::new(connection, stream);
        let mut got = vec![0; MEBIBYTE];
        stream.read_exact(&mut got).unwrap();
        same(&got, &payload(1, MEBIBYTE));

        let data = payload(2, MEBIBYTE);
        let (first, second) = data.split_at(MEBIBYTE / 2);
        stream.write_all(first).unwrap();
        if update {
            stream.conn.refresh_traffic_keys().unwrap();
        }
        stream.write_all(second).unwrap();
        stream.flush().unwrap();

        let rest = stream.read_to_end(&mut got).expect("close_notify");
        assert_eq!(rest, 0);
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    }))
}

pub(crate) fn client_config(case: &Case) -> ClientConfig {
    let pki = Pki::shared();
    let (chain, key) = load(pki.client(case.key));
    let builder = ClientConfig::builder_with_provider(provider(case, &case.client_groups()));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    builder.with_root_certificates(roots(pki)).with_client_auth_cert(chain, key).unwrap()
}

pub(crate) fn server_config(case: &Case) -> ServerConfig {
    let pki = Pki::shared();
    let (chain, key) = load(pki.server(case.key));
    let provider = provider(case, &[case.group]);
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pki)), Arc::clone(&provider));
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let builder = builder.with_client_cert_verifier(verifier.build().unwrap());
    builder.with_single_cert(chain, key).unwrap()
}

/// rustls sends a key share for its first group.
fn provider(case: &Case, groups: &[NamedGroup]) -> Arc<CryptoProvider> {
    let suite = match case.suite {
        CipherSuiteId::TLS_AES_128_GCM_SHA256 => aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
        CipherSuiteId::TLS_AES_256_GCM_SHA384 => aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
        CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256 => {
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256
        }
        other => panic!("{other}"),
    };
    let group = |group: &NamedGroup| match *group {
        NamedGroup::x25519 => aws_lc_rs::kx_group::X25519,
        NamedGroup::secp256r1 => aws_lc_rs::kx_group::SECP256R1,
        NamedGroup::secp384r1 => aws_lc_rs::kx_group::SECP384R1,
        NamedGroup::X25519MLKEM768 => aws_lc_rs::kx_group::X25519MLKEM768,
        NamedGroup::SecP256r1MLKEM768 => aws_lc_rs::kx_group::SECP256R1MLKEM768,
        other => panic!("{other}"),
    };
    Arc::new(CryptoProvider {
        cipher_suites: vec![suite],
        kx_groups: groups.iter().map(group).collect(),
        ..aws_lc_rs::default_provider()
    })
}

fn load(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(&identity.chain).unwrap();
    (chain.map(Result::unwrap).collect(), PrivateKeyDer::from_pem_file(&identity.key).unwrap())
}

fn roots(pki: &Pki) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_file(&pki.root).unwrap()).unwrap();
    store
}
