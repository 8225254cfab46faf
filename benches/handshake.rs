//! Full handshakes, client and server together, in memory, beside rustls with aws-lc-rs.
//!
//! Chains are a leaf and an intermediate with P-256 keys under a trusted root. After criterion's absolute figures a
//! table tells the ratio: both are measured in turns, in the same process. The two stand on different cryptography,
//! which is most of a handshake.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions
)] // A benchmark is a test, and its support module is shared.

mod support;

use std::sync::Arc;

use criterion::Criterion;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, RootCertStore, ServerConnection};
use sealwire::codepoints::{CipherSuiteId, NamedGroup};
use sealwire::pki_types::UnixTime;

use support::{Pki, compare, handshake, measures, time};

/// Handshakes in one turn of a comparison.
const TURN: u32 = 20;
const ROUNDS: usize = 51;

const CASES: [(&str, NamedGroup, bool); 4] = [
    ("X25519", NamedGroup::x25519, false),
    ("X25519, mutual", NamedGroup::x25519, true),
    ("X25519MLKEM768", NamedGroup::X25519MLKEM768, false),
    ("X25519MLKEM768, mutual", NamedGroup::X25519MLKEM768, true),
];
const SUITE: CipherSuiteId = CipherSuiteId::TLS_AES_128_GCM_SHA256;

/// rustls's two configurations, as ours are.
struct Rustls {
    client: Arc<rustls::ClientConfig>,
    server: Arc<rustls::ServerConfig>,
}

impl Rustls {
    fn new(pki: &Pki, group: NamedGroup, mutual: bool) -> Self {
        let group = match group {
            NamedGroup::X25519MLKEM768 => aws_lc_rs::kx_group::X25519MLKEM768,
            _ => aws_lc_rs::kx_group::X25519,
        };
        let provider = Arc::new(CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![group],
            ..aws_lc_rs::default_provider()
        });
        let versions = [&rustls::version::TLS13];
        let mut roots = RootCertStore::empty();
        roots.add(pki.root.clone()).unwrap();
        let roots = Arc::new(roots);

        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&versions).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let builder = match mutual {
            true => builder.with_client_cert_verifier(verifier.build().unwrap()),
            false => builder.with_no_client_auth(),
        };
        let (chain, key) = (pki.server.chain.clone(), pki.server.key());
        let mut server = builder.with_single_cert(chain, key).unwrap();
        server.send_tls13_tickets = 0;

        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let (chain, key) = (pki.client.chain.clone(), pki.client.key());
        let mut client = match mutual {
            true => builder.with_client_auth_cert(chain, key).unwrap(),
            false => builder.with_no_client_auth(),
        };
        client.resumption = Resumption::disabled();
        Self { client: Arc::new(client), server: Arc::new(server) }
    }

    fn handshake(&self) -> (ClientConnection, ServerConnection) {
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        let mut wire = Vec::with_capacity(4096);
        while client.is_handshaking() || server.is_handshaking() {
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            feed(&mut server, &wire);
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            feed(&mut client, &wire);
            wire.clear();
        }
        (client, server)
    }
}

fn feed<S: rustls::SideData>(to: &mut rustls::ConnectionCommon<S>, mut wire: &[u8]) {
    while !wire.is_empty() {
        to.read_tls(&mut wire).unwrap();
        to.process_new_packets().unwrap();
    }
}

fn absolute(criterion: &mut Criterion, pki: &Pki) {
    for (name, group, mutual) in CASES {
        let mut benchmark = criterion.benchmark_group(format!("handshake/{name}"));
        let (client, server) = pki.configs(SUITE, group, mutual);
        let now = UnixTime::now();
        benchmark.bench_function("sealwire", |bencher| {
            bencher.iter(|| handshake(&client, &server, now));
        });
        let rustls = Rustls::new(pki, group, mutual);
        benchmark.bench_function("rustls", |bencher| bencher.iter(|| rustls.handshake()));
        benchmark.finish();
    }
}

fn ratios(pki: &Pki) {
    println!("\nµs per handshake, client and server together (median of {ROUNDS} turns of {TURN})");
    for (name, group, mutual) in CASES {
        let (client, server) = pki.configs(SUITE, group, mutual);
        let rustls = Rustls::new(pki, group, mutual);
        let now = UnixTime::now();
        let (ours, theirs, ratio) = compare(
            ROUNDS,
            || time(|| (0..TURN).for_each(|_| drop(handshake(&client, &server, now)))),
            || time(|| (0..TURN).for_each(|_| drop(rustls.handshake()))),
        );
        let each = |all: std::time::Duration| (all / TURN).as_secs_f64() * 1e6;
        println!("{name:<24} {:7.0}   rustls {:7.0}   ratio {ratio:.2}", each(ours), each(theirs));
    }
}

fn main() {
    let pki = Pki::generate();
    let mut criterion = Criterion::default().configure_from_args();
    absolute(&mut criterion, &pki);
    criterion.final_summary();
    if measures() {
        ratios(&pki);
    }
}
