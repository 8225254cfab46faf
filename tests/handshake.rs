//! Whole handshakes, each under every transport and into every kind of output; and what comes after them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "handshake/afterwards.rs"]
mod afterwards;
#[path = "handshake/authentication.rs"]
mod authentication;
#[path = "handshake/halves.rs"]
mod halves;
#[path = "handshake/negotiation.rs"]
mod negotiation;
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use sealwire::codepoints::{Alert, CipherSuiteId, NamedGroup, ProtocolVersion, SignatureScheme};
use sealwire::{
    ClientAuth, ClientConfig, CookieKey, Error, Misuse, ServerConfig, Verifier, Violation,
};

use support::{Calls, Kind, Lines, Role, configs, configs_with, pki, records, server_name};

const SUITES: [CipherSuiteId; 3] = [
    CipherSuiteId::TLS_AES_128_GCM_SHA256,
    CipherSuiteId::TLS_AES_256_GCM_SHA384,
    CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
];

const GROUPS: [NamedGroup; 4] =
    [NamedGroup::X25519MLKEM768, NamedGroup::x25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
/// A client that also authenticates with the certificates of these kinds, and a server that must have one.
fn mutual(seed: u64, clients: &[Kind]) -> (ClientConfig, ServerConfig) {
    let (client, server) = configs(seed);
    let provider = client.provider().clone();
    let credentials: Vec<_> =
        clients.iter().map(|k| pki().client(*k).credential(&provider)).collect();
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    (client.with_credentials(credentials), server.with_client_auth(auth))
}

#[test]
fn defaults() {
    Calls::each(|calls| {
        let (client, server) = configs(1);
        let mut pair = calls.pair(client, server).connect();
        pair.chat();
        for side in [&pair.client, &pair.server] {
            let summary = side.conn.summary().unwrap();
            assert_eq!(summary.version, ProtocolVersion::TLSv1_3);
            assert_eq!(summary.group, Some(NamedGroup::X25519MLKEM768));
            assert!(summary.is_post_quantum());
            assert_eq!(summary.server_name, Some(server_name()));
            assert_eq!(summary.alpn, None);
            assert!(!summary.resumed && !summary.retried);
        }
        let client = pair.client.conn.summary().unwrap();
        assert_eq!(client.peer_chain, pki().server(Kind::P256).chain);
        assert_eq!(client.peer_scheme, Some(SignatureScheme::ecdsa_secp256r1_sha256));
        assert_eq!(client.own_scheme, None);
        let server = pair.server.conn.summary().unwrap();
        assert!(server.peer_chain.is_empty());
        assert_eq!(server.peer_scheme, None);
        assert_eq!(server.own_scheme, Some(SignatureScheme::ecdsa_secp256r1_sha256));
    });
}

#[test]
fn nothing_is_there_before_the_handshake() {
    let (client, server) = configs(1);
    let mut pair = Calls::PLAIN.pair(client, server);
    for role in Role::BOTH {
        let side = pair.side(role);
        assert!(!side.conn.is_connected());
        assert!(side.conn.summary().is_none());
        let early =
            [side.write(b"early"), side.update_keys(true), side.export(b"label", None).map(drop)];
        for result in early {
            assert!(matches!(result, Err(Error::Misuse(Misuse::NotConnected))), "{result:?}");
        }
    }
    // And no harm was done.
    pair.connect().chat();
}

#[test]
fn each_suite() {
    for suite in SUITES {
        Calls::each(|calls| {
            let (client, server) = configs(2);
            let mut pair = calls.pair(client.with_suites(&[suite]).unwrap(), server).connect();
            pair.chat();
            assert_eq!(pair.client.conn.summary().unwrap().suite, suite);
            assert_eq!(pair.server.conn.summary().unwrap().suite, suite);
        });
    }
}

#[test]
fn a_client_that_prefers_chacha20_gets_it() {
    let (client, server) = configs(2);
    let [aes, _, chacha] = SUITES;
    let client = client.with_suites(&[chacha, aes]).unwrap();
    let server = server.with_suites(&[aes, chacha]).unwrap();
    let pair = Calls::PLAIN.pair(client, server).connect();
    assert_eq!(pair.client.conn.summary().unwrap().suite, chacha);
}

#[test]
fn each_group() {
    for group in GROUPS {
        Calls::each(|calls| {
            let (client, server) = configs(3);
            let mut pair = calls.pair(client.with_groups(&[group]).unwrap(), server).connect();
            pair.chat();
            for role in Role::BOTH {
                let summary = pair.side(role).conn.summary().unwrap();
                assert_eq!(summary.group, Some(group));
                assert_eq!(summary.is_post_quantum(), group == NamedGroup::X25519MLKEM768);
                assert!(!summary.retried);
            }
        });
    }
}

#[test]
fn each_group_after_a_retry() {
    for group in GROUPS {
        Calls::each(|calls| {
            let (client, server) = configs(4);
            let client = client.with_key_shares(&[]).unwrap();
            let server = server.with_groups(&[group]).unwrap();
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            for role in Role::BOTH {
                let summary = pair.side(role).conn.summary().unwrap();
                assert_eq!(summary.group, Some(group));
                assert!(summary.retried);
            }
        });
    }
}

#[test]
fn a_retry_with_client_authentication_and_each_suite() {
    for suite in SUITES {
        Calls::each(|calls| {
            let (client, server) = mutual(5, &[Kind::P256]);
            let client = client.with_key_shares(&[NamedGroup::x25519]).unwrap();
            let server = server.with_groups(&[NamedGroup::secp384r1]).unwrap();
            let server = server.with_suites(&[suite]).unwrap();
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            assert!(pair.server.conn.summary().unwrap().retried);
            assert_eq!(pair.server.conn.summary().unwrap().peer_chain.len(), 2);
        });
    }
}

#[test]
fn a_stateless_retry() {
    Calls::each(|calls| {
        let (client, server) = configs(25);
        let client = client.with_key_shares(&[]).unwrap();
        let key = Arc::new(CookieKey::generate(server.provider()).unwrap());
        let server = server.with_stateless_retry(key);
        let mut pair = calls.pair(client, server.clone());
        // Bytes go to and fro until the retry has arrived; then the server is forgotten.
        while pair.client.records(0).len() < 2 {
            assert!(pair.deliver(Role::Client) | pair.deliver(Role::Server), "nothing moves");
        }
        assert_eq!(pair.client.taken, pair.client.records(0)[0].len());
        let left = pair.server.wire.len() - pair.server.taken;
        pair.server = calls.server(server.clone());
        let mut pair = pair;
        if left > 0 {
            // The rest of what the first one said, a change_cipher_spec, still arrives.
            let rest = [20, 3, 3, 0, 1, 1];
            pair.client.inbox.extend_from_slice(&rest[rest.len() - left..]);
            let now = pair.now;
            pair.client.drain(now);
        }
        let mut pair = pair.connect();
        pair.chat();
        assert!(pair.client.conn.summary().unwrap().retried);
        assert!(pair.server.conn.summary().unwrap().retried);
    });
}

#[test]
fn a_cookie_of_another_key_or_day() {
    for late in [false, true] {
        let (client, server) = configs(26);
        let client = client.with_key_shares(&[]).unwrap();
        let key = || Arc::new(CookieKey::generate(server.provider()).unwrap());
        let first = server.clone().with_stateless_retry(key());
        let second = if late { first.clone() } else { server.clone().with_stateless_retry(key()) };
        let mut pair = Calls::PLAIN.pair(client, first);
        pair.deliver(Role::Client);
        pair.deliver(Role::Server);
        if late {
            pair.advance(std::time::Duration::from_secs(7 * 24 * 3600));
        }
        pair.server = Calls::PLAIN.server(second);
        let pair = pair.refuse(Role::Server, Alert::illegal_parameter);
        let error = pair.server.error;
        assert!(matches!(error, Some(Error::Violation(Violation::BadCookie))), "{error:?}");
    }
}

#[test]
fn compatibility_mode_is_seen_on_the_wire() {
    for (on, retry) in [(true, false), (true, true), (false, false), (false, true)] {
        Calls::each(|calls| {
            let (client, server) = configs(27);
            let client = client.with_middlebox_compatibility(on);
            let client = if retry { client.with_key_shares(&[]).unwrap() } else { client };
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            for role in Role::BOTH {
                let changes = pair.side(role).records(0).into_iter().filter(|r| r[0] == 20).count();
                assert_eq!(changes, usize::from(on), "{role:?}, {on}, {retry}");
            }
            // legacy_session_id: 32 bytes or none.
            assert_eq!(pair.client.wire[43], if on { 32 } else { 0 });
        });
    }
}

#[test]
fn key_logs_of_both_sides_agree() {
    Calls::each(|calls| {
        let (client, server) = configs(23);
        let (ours, theirs) = (Lines::new(), Lines::new());
        let client = client.with_key_log(ours.clone());
        let server = server.with_key_log(theirs.clone());
        let pair = calls.pair(client, server).connect();
        let random: [u8; 32] = pair.client.wire[11..43].try_into().unwrap();
        let labels = [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
            "EXPORTER_SECRET",
        ];
        assert_eq!(ours.labels(), labels.map(str::to_owned).into());
        assert_eq!(ours.labels(), theirs.labels());
        let mut secrets = BTreeSet::new();
        for label in labels {
            assert_eq!(ours.secret(label), theirs.secret(label), "{label}");
            secrets.insert(ours.secret(label));
        }
        assert_eq!(secrets.len(), labels.len(), "two secrets are the same");
        for line in ours.all().into_iter().chain(theirs.all()) {
            assert_eq!(line.1, random);
        }
    });
}

#[test]
fn exporters_depend_on_all_they_should() {
    let (client, server) = configs(24);
    let pair = Calls::PLAIN.pair(client, server).connect();
    let outputs = [
        pair.client.export(b"EXPORTER-a", None),
        pair.client.export(b"EXPORTER-b", None),
        pair.client.export(b"EXPORTER-a", Some(b"context")),
    ]
    .map(Result::unwrap);
    assert_eq!(BTreeSet::from(outputs).len(), 3);
    // No context and an empty one are the same (RFC 9846 §7.5).
    let empty = pair.client.export(b"EXPORTER-a", Some(b"")).unwrap();
    assert_eq!(empty, pair.client.export(b"EXPORTER-a", None).unwrap());
    // The length is part of it too.
    let (mut short, mut long) = ([0; 16], [0; 32]);
    pair.client.conn.export(b"EXPORTER-a", None, &mut short).unwrap();
    pair.client.conn.export(b"EXPORTER-a", None, &mut long).unwrap();
    assert_ne!(short, long[..16]);
    let too_long = pair.client.conn.export(&[b'x'; 250], None, &mut short);
    assert!(matches!(too_long, Err(Error::Misuse(Misuse::ExporterLength))));
    let too_much = pair.client.conn.export(b"x", None, &mut vec![0; 255 * 48 + 1]);
    assert!(matches!(too_much, Err(Error::Misuse(Misuse::ExporterLength))));
}

#[test]
fn a_flight_is_one_record_if_it_fits() {
    let (client, server) = mutual(41, &[Kind::P256]);
    let pair = Calls::PLAIN.pair(client, server).connect();
    let kinds = |wire: &[u8]| records(wire).iter().map(|r| r[0]).collect::<Vec<_>>();
    assert_eq!(kinds(&pair.client.wire), [22, 20, 23]);
    assert_eq!(kinds(&pair.server.wire), [22, 20, 23]);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = |seed| {
        let (client, server) = configs_with(seed, Kind::Ed25519);
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        pair.chat();
        (pair.client.wire, pair.server.wire)
    };
    assert!(run(42) == run(42));
    assert!(run(42) != run(43));
}

#[test]
fn a_virtual_clock_rules_validity() {
    let (client, server) = configs(44);
    let mut pair = Calls::PLAIN.pair(client, server);
    // The certificates end with the year 4095.
    pair.advance(std::time::Duration::from_secs(2100 * 366 * 24 * 3600));
    let pair = pair.refuse(Role::Client, Alert::certificate_expired);
    assert!(matches!(pair.client.error, Some(Error::Certificate(_))));
}

/// RFC 9846 §6.1: giving up before the end is user_canceled, then close_notify.
#[test]
fn a_handshake_that_is_given_up() {
    Calls::each(|calls| {
        let (client, server) = configs(49);
        let mut pair = calls.pair(client, server);
        pair.client.close().unwrap();
        pair.pump();
        assert!(pair.server.times_connected() == 0, "connected with a client that gave up");
        let told = pair.server.closed || pair.server.error.is_some();
        assert!(told, "the server did not hear of it: {:?}", pair.server.events);
    });
}
