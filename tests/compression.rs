//! Compressed certificates (RFC 8879): both roles, in the handshake and after it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::as_conversions
)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sealwire::codepoints::{
    CertificateCompressionAlgorithm as Algorithm, ExtensionType, HandshakeType,
};
use sealwire::compress::{Brotli, CertificateCompression, DecompressionError, Zlib, Zstd};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::{ClientAuth, ClientConfig, Error, Event, Misuse, ServerConfig, Verifier};
use support::{Calls, Kind, configs, pki};

type Algorithms = Vec<Arc<dyn CertificateCompression>>;

fn zlib() -> Algorithms {
    vec![Arc::new(Zlib)]
}

/// An algorithm of an application: bytes the other way round, and a count of how often it was asked.
#[derive(Debug, Default)]
struct Reverse {
    compressions: AtomicUsize,
    fails: bool,
}

impl CertificateCompression for Reverse {
    fn algorithm(&self) -> Algorithm {
        Algorithm(0xff01)
    }

    fn compress(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.compressions.fetch_add(1, Ordering::Relaxed);
        (!self.fails).then(|| message.iter().rev().copied().collect())
    }

    fn decompress(
        &self,
        compressed: &[u8],
        _: usize,
        _: usize,
    ) -> Result<Vec<u8>, DecompressionError> {
        Ok(compressed.iter().rev().copied().collect())
    }
}

/// Both authenticate, each with these algorithms.
fn mutual(seed: u64, client: Algorithms, server: Algorithms) -> (ClientConfig, ServerConfig) {
    let (c, s) = configs(seed);
    let credential = pki().client(Kind::P256).credential(c.provider());
    let c = c.with_credentials(vec![credential]).with_certificate_compression(client).unwrap();
    let s = s.with_client_auth(ClientAuth::Required(Verifier::new(pki().anchors())));
    (c, s.with_certificate_compression(server).unwrap())
}

/// The types of the messages that a side sends, and those of its compressed certificates with their algorithms.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Messages>>);

type Messages = Vec<(HandshakeType, Vec<u8>)>;

impl Sent {
    fn hook(&self) -> MessageHook {
        let sent = self.0.clone();
        MessageHook(Arc::new(move |kind, message| {
            sent.lock().unwrap().push((kind, message.clone()));
        }))
    }

    fn algorithms(&self) -> Vec<u16> {
        let sent = self.0.lock().unwrap();
        let compressed = sent.iter().filter(|(t, _)| *t == HandshakeType::compressed_certificate);
        compressed.map(|(_, m)| u16::from_be_bytes([m[4], m[5]])).collect()
    }

    fn count(&self, kind: HandshakeType) -> usize {
        self.0.lock().unwrap().iter().filter(|(t, _)| *t == kind).count()
    }
}

fn connect(client: ClientConfig, server: ServerConfig) -> (Sent, Sent) {
    let (by_client, by_server) = (Sent::default(), Sent::default());
    let client = client.with_message_hook(by_client.hook());
    let server = server.with_message_hook(by_server.hook());
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    pair.chat();
    assert_eq!(pair.client.conn.summary().unwrap().peer_chain, pki().server(Kind::P256).chain);
    assert_eq!(pair.server.conn.summary().unwrap().peer_chain, pki().client(Kind::P256).chain);
    (by_client, by_server)
}

#[test]
fn every_algorithm_under_every_transport() {
    let algorithms: [Arc<dyn CertificateCompression>; 4] =
        [Arc::new(Zlib), Arc::new(Brotli), Arc::new(Zstd), Arc::new(Reverse::default())];
    for algorithm in algorithms {
        let list = || vec![algorithm.clone()];
        let (client, server) = mutual(7100, list(), list());
        let (by_client, by_server) = connect(client, server);
        assert_eq!(by_client.algorithms(), [algorithm.algorithm().0]);
        assert_eq!(by_server.algorithms(), [algorithm.algorithm().0]);
        assert_eq!(by_server.count(HandshakeType::certificate), 0);
        Calls::each(|calls| {
            let (client, server) = mutual(7101, list(), list());
            calls.pair(client, server).connect().chat();
        });
    }
}

/// Each direction is negotiated by itself: the sender's favourite among what the receiver takes.
#[test]
fn who_prefers_what() {
    let (client, server) = mutual(
        7102,
        vec![Arc::new(Zlib), Arc::new(Zstd)],
        vec![Arc::new(Zstd), Arc::new(Brotli), Arc::new(Zlib)],
    );
    let (by_client, by_server) = connect(client, server);
    assert_eq!(by_server.algorithms(), [Algorithm::zstd.0]);
    assert_eq!(by_client.algorithms(), [Algorithm::zlib.0]);
}

#[test]
fn nothing_in_common_is_sent_plain() {
    for (client, server) in [
        (zlib(), vec![]),
        (vec![], zlib()),
        (zlib(), vec![Arc::new(Brotli) as Arc<dyn CertificateCompression>]),
    ] {
        let (client, server) = mutual(7103, client, server);
        let (by_client, by_server) = connect(client, server);
        assert!(by_client.algorithms().is_empty() && by_server.algorithms().is_empty());
        assert_eq!(by_server.count(HandshakeType::certificate), 1);
    }
}

/// It is not offered by itself, and what is offered is exactly what is configured (RFC 8879 §3).
#[test]
fn what_is_offered() {
    for (algorithms, body) in [
        (vec![], None),
        (zlib(), Some(vec![2, 0, 1])),
        (
            vec![Arc::new(Brotli) as Arc<dyn CertificateCompression>, Arc::new(Zlib)],
            Some(vec![4, 0, 2, 0, 1]),
        ),
    ] {
        let (client, server) = mutual(7104, algorithms, vec![]);
        let mut pair = Calls::PLAIN.pair(
            client,
            server.with_ask(sealwire::Ask { client_hello: true, ..sealwire::Ask::default() }),
        );
        pair.answerer = Box::new(|_, _| None);
        pair.pump();
        let Some(sealwire::Question::ClientHello(view)) = &pair.server.question else {
            panic!("no question")
        };
        let found = view
            .extensions()
            .into_iter()
            .find(|(kind, _)| *kind == ExtensionType::compress_certificate);
        assert_eq!(found.map(|(_, body)| body.to_vec()), body);
    }
}

/// A client that has no certificate says so uncompressed: there is nothing to compress.
#[test]
fn an_empty_certificate_is_not_compressed() {
    let (client, server) = mutual(7105, zlib(), zlib());
    let server = server.with_client_auth(ClientAuth::Optional(Verifier::new(pki().anchors())));
    let sent = Sent::default();
    let client = client.with_credentials(Vec::new()).with_message_hook(sent.hook());
    Calls::PLAIN.pair(client, server).connect().chat();
    assert_eq!(sent.count(HandshakeType::certificate), 1);
    assert!(sent.algorithms().is_empty());
}

/// What a credential compresses to is kept with it, and what cannot be compressed is sent as it is.
#[test]
fn compressed_once() {
    let reverse = Arc::new(Reverse::default());
    let (client, server) = mutual(7106, vec![reverse.clone()], vec![reverse.clone()]);
    let (client, server) = (Arc::new(client), Arc::new(server));
    for _ in 0..3 {
        let (client, server) = ((*client).clone(), (*server).clone());
        connect(client, server);
    }
    // The server's and the client's.
    assert_eq!(reverse.compressions.load(Ordering::Relaxed), 2);

    let fails = Arc::new(Reverse { fails: true, ..Reverse::default() });
    let (client, server) = mutual(7107, vec![fails.clone()], vec![fails]);
    let (by_client, by_server) = connect(client, server);
    assert!(by_client.algorithms().is_empty() && by_server.algorithms().is_empty());
}

/// RFC 8879 §3: a CertificateRequest after the handshake offers, too.
#[test]
fn after_the_handshake() {
    let (client, server) = mutual(7108, zlib(), zlib());
    let sent = Sent::default();
    let client = client.with_post_handshake_auth(true).with_message_hook(sent.hook());
    let verifier = Verifier::new(pki().anchors());
    let server = server.with_client_auth(ClientAuth::OnRequest(verifier));
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    assert!(sent.algorithms().is_empty());
    pair.server.call(|conn, out| conn.request_client_certificate(out)).unwrap();
    pair.pump();
    pair.chat();
    assert_eq!(sent.algorithms(), [Algorithm::zlib.0]);
    assert_eq!(pair.server.conn.summary().unwrap().peer_chain, pki().client(Kind::P256).chain);
    let known = |e: &Event| matches!(e, Event::ClientAnswered { known: true });
    assert!(pair.server.events.iter().any(known));
}

#[test]
fn lists_that_make_no_sense() {
    let twice = || -> Algorithms { vec![Arc::new(Zlib), Arc::new(Zlib)] };
    let (client, server) = configs(7109);
    let misuse = |error: Error| matches!(error, Error::Misuse(Misuse::Config(_)));
    assert!(misuse(client.with_certificate_compression(twice()).unwrap_err()));
    assert!(misuse(server.with_certificate_compression(twice()).unwrap_err()));
}
