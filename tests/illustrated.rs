//! A published TLS_AES_256_GCM_SHA384 handshake, both roles: RFC 8448 has none with SHA-384.
//!
//! The method is that of `rfc8448.rs`. On the client every byte is compared. The server of the recording puts each message
//! into a record of its own, where ours puts a flight into one, so that here the server's flight is opened with the
//! published keys and its messages are compared; from the first application key on it is bytes again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use sealwire::codepoints::{CipherSuiteId, NamedGroup, SignatureScheme};
use sealwire::pki_types::ServerName;
use sealwire::{Ask, ClientConfig, Connection, Credential, ServerConfig, Summary, Verifier};
use serde_json::Value;
use support::trace::{Play, chain, randoms, replace, signature};
use support::{Lines, Side, Sink, hex, json, now, scripted, seeded};

const SUITE: CipherSuiteId = CipherSuiteId::TLS_AES_256_GCM_SHA384;

#[test]
fn client() {
    for slowly in [false, true] {
        let trace = json("illustrated-tls13.json.gz");
        let records = wire(&trace);
        let hello = records[0][5..].to_vec();
        let mut draws = randoms(&hello);
        draws.push(hex(&trace["client_private"]));
        let (provider, rng) = scripted(draws);
        let (hook, natives) = replace(vec![hello.clone()]);
        let log = Lines::new();
        let config = ClientConfig::new(provider, Verifier::danger_accept_any()).unwrap();
        let config = config
            .with_suites(&[SUITE])
            .unwrap()
            .with_groups(&[NamedGroup::x25519])
            .unwrap()
            .with_ask(Ask { verdict: true, ..Ask::default() })
            .with_message_hook(hook)
            .with_key_log(log.clone());
        let name = ServerName::try_from("example.ulfheim.net").unwrap();
        let mut wire = Vec::new();
        let conn = Connection::client(Arc::new(config), name, now(), &mut wire).unwrap();
        let mut play = Play::new(Side::new(conn, wire, Sink::Vec), Vec::new(), slowly);

        play.expect(records[0], "ClientHello");
        records[1..7].iter().for_each(|record| play.feed(record));
        play.expect(records[7], "change_cipher_spec");
        play.expect(records[8], "Finished");
        play.write(b"ping").unwrap();
        play.expect(records[9], "ping");
        records[10..13].iter().for_each(|record| play.feed(record));
        play.silent();
        assert_eq!(play.side.data, b"pong");

        check_secrets(&trace, &log);
        assert_eq!(rng.remaining(), 0);
        assert_eq!(randoms(&natives.lock().unwrap()[0]), randoms(&hello));
        let summary = check_summary(&play.side);
        assert_eq!(summary.peer_scheme, Some(SignatureScheme::rsa_pss_rsae_sha256));
        assert_eq!(summary.peer_chain, chain(&hex(&trace["records"][4]["plaintext"])));
    }
}

#[test]
fn server() {
    for slowly in [false, true] {
        let trace = json("illustrated-tls13.json.gz");
        let records = wire(&trace);
        let plain: Vec<Vec<u8>> = (3..7).map(|i| hex(&trace["records"][i]["plaintext"])).collect();
        let [extensions, certificate, verify, _] = &plain[..] else { panic!("another flight") };
        let hello = records[1][5..].to_vec();
        let (provider, rng) =
            scripted(vec![randoms(&hello).remove(0), hex(&trace["server_private"])]);
        let (hook, natives) = replace(vec![hello.clone(), extensions.clone()]);
        let log = Lines::new();
        let (scheme, signature) = signature(verify);
        let scheme = SignatureScheme(scheme);
        let credential = Arc::new(Credential::external(chain(certificate), &[scheme]).unwrap());
        let config = ServerConfig::new(provider, vec![credential]).unwrap();
        let config = config
            .with_suites(&[SUITE])
            .unwrap()
            .with_groups(&[NamedGroup::x25519])
            .unwrap()
            .with_message_hook(hook)
            .with_key_log(log.clone());
        let conn = Connection::server(Arc::new(config));
        let mut play = Play::new(Side::new(conn, Vec::new(), Sink::Vec), signature, slowly);

        play.feed(records[0]);
        play.expect(records[1], "ServerHello");
        play.expect(records[2], "change_cipher_spec");
        let flight = plain.concat();
        let sealed = play.skip(5 + flight.len() + 17);
        assert_eq!(open(&trace, &sealed), flight);
        records[7..10].iter().for_each(|record| play.feed(record));
        assert_eq!(play.side.data, b"ping");
        for _ in 0..2 {
            // Two records in place of the recording's two tickets, so that the next has the same number.
            play.write(b"-").unwrap();
            play.skip(5 + 1 + 17);
        }
        play.write(b"pong").unwrap();
        play.expect(records[12], "pong");
        play.silent();

        check_secrets(&trace, &log);
        assert_eq!(rng.remaining(), 0);
        // Only the order of its extensions is another.
        let mut native = natives.lock().unwrap()[0].clone();
        native.sort_unstable();
        let mut published = hello.clone();
        published.sort_unstable();
        assert_eq!(native, published);
        check_summary(&play.side);
    }
}

fn wire(trace: &Value) -> Vec<&'static [u8]> {
    let records = trace["records"].as_array().unwrap();
    records.iter().map(|r| &*hex(&r["record"]).leak()).collect()
}

/// Opens the first record under the server's handshake key.
fn open(trace: &Value, record: &[u8]) -> Vec<u8> {
    let keys = &trace["keys"]["server_hs"];
    let (header, body) = record.split_at(5);
    let mut body = body.to_vec();
    let key = seeded(0).suite(SUITE).unwrap().aead.key(&hex(&keys[0])).unwrap();
    let len = key.open(hex(&keys[1]).try_into().unwrap(), header, &mut body).unwrap();
    assert_eq!(body[len - 1], 22, "no handshake record");
    body[..len - 1].to_vec()
}

fn check_secrets(trace: &Value, log: &Lines) {
    let names = [
        ("client_hs", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"),
        ("server_hs", "SERVER_HANDSHAKE_TRAFFIC_SECRET"),
        ("client_ap", "CLIENT_TRAFFIC_SECRET_0"),
        ("server_ap", "SERVER_TRAFFIC_SECRET_0"),
        ("exporter_master", "EXPORTER_SECRET"),
    ];
    for (published, label) in names {
        assert_eq!(log.secret(label), hex(&trace["secrets"][published]), "{label}");
    }
}

fn check_summary(side: &Side) -> &Summary {
    assert!(side.error.is_none());
    let summary = side.conn.summary().unwrap();
    assert_eq!((summary.suite, summary.group), (SUITE, Some(NamedGroup::x25519)));
    summary
}
