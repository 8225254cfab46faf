//! Whole handshakes, each under every transport and into every kind of output; and what comes after them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use sealwire::codepoints::{Alert, CipherSuiteId, NamedGroup, ProtocolVersion, SignatureScheme};
use sealwire::pki_types::ServerName;
use sealwire::{
    CertificateReason, ClientAuth, ClientConfig, Connection, CookieKey, Error, Event, FixedOutput,
    Misuse, NoOverlap, Padding, Read, Receiver, ServerConfig, ServerNamePolicy, Verifier,
    Violation,
};
use support::{
    Calls, Kind, Lines, Pair, Rand, Role, Sink, Transport, configs, configs_with, now, pki,
    records, server_name,
};

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
    let credentials = clients.iter().map(|k| pki().client(*k).credential(&provider)).collect();
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
fn each_kind_of_server_certificate() {
    let schemes = [
        SignatureScheme::ecdsa_secp256r1_sha256,
        SignatureScheme::ecdsa_secp384r1_sha384,
        SignatureScheme::ed25519,
        SignatureScheme::rsa_pss_rsae_sha256,
    ];
    for (kind, scheme) in Kind::ALL.into_iter().zip(schemes) {
        Calls::each(|calls| {
            let (client, server) = configs_with(6, kind);
            // Whichever hash is preferred with RSA, the one that the client asks for is taken.
            let pair = calls.pair(client.with_schemes(&[scheme]).unwrap(), server).connect();
            assert_eq!(pair.client.conn.summary().unwrap().peer_scheme, Some(scheme));
            assert_eq!(pair.server.conn.summary().unwrap().own_scheme, Some(scheme));
        });
    }
}

#[test]
fn each_kind_of_client_certificate() {
    for kind in Kind::ALL {
        Calls::each(|calls| {
            let (client, server) = mutual(7, &[kind]);
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            let summary = pair.server.conn.summary().unwrap();
            assert_eq!(summary.peer_chain, pki().client(kind).chain);
            assert_eq!(summary.peer_scheme, pair.client.conn.summary().unwrap().own_scheme);
            assert!(summary.peer_scheme.is_some());
        });
    }
}

#[test]
fn client_authentication_is_optional_or_not() {
    let verifier = || Verifier::new(pki().anchors());
    Calls::each(|calls| {
        // Optional, and there is none.
        let (client, server) = configs(8);
        let server = server.with_client_auth(ClientAuth::Optional(verifier()));
        let mut pair = calls.pair(client.clone(), server.clone()).connect();
        pair.chat();
        assert!(pair.server.conn.summary().unwrap().peer_chain.is_empty());
        assert_eq!(pair.client.conn.summary().unwrap().own_scheme, None);

        // Optional, and there is one.
        let credential = pki().client(Kind::P256).credential(client.provider());
        let client = client.with_credentials(vec![credential]);
        let pair = calls.pair(client.clone(), server).connect();
        assert_eq!(pair.server.conn.summary().unwrap().peer_chain.len(), 2);

        // There is one that nobody asks for.
        let (_, server) = configs(8);
        let pair = calls.pair(client, server).connect();
        assert!(pair.server.conn.summary().unwrap().peer_chain.is_empty());

        // Required, and there is none.
        let (client, _) = configs(8);
        let (_, server) = mutual(8, &[]);
        let pair = calls.pair(client, server).refuse(Role::Server, Alert::certificate_required);
        let error = pair.server.error;
        assert!(matches!(error, Some(Error::Violation(Violation::NoClientCertificate))));
    });
}

#[test]
fn a_bad_client_certificate_is_refused_even_if_it_is_optional() {
    let verifier = || Verifier::new(pki().anchors());
    for auth in [ClientAuth::Optional(verifier()), ClientAuth::Required(verifier())] {
        Calls::each(|calls| {
            let (client, server) = configs(9);
            let credential = pki().other_client.credential(client.provider());
            let client = client.with_credentials(vec![credential]);
            let server = server.with_client_auth(auth.clone()).with_authorities(false);
            let pair = calls.pair(client, server).refuse(Role::Server, Alert::unknown_ca);
            let Some(Error::Certificate(error)) = pair.server.error else { panic!("no verdict") };
            assert!(matches!(error.reason, CertificateReason::UnknownIssuer { .. }), "{error:?}");
        });
    }
}

#[test]
fn a_client_chooses_by_authority() {
    Calls::each(|calls| {
        let (client, server) = configs(10);
        let provider = client.provider().clone();
        let first = pki().client(Kind::P256).credential(&provider);
        let other = pki().other_client.credential(&provider);
        let client = client.with_credentials(vec![first, other]);
        let auth = ClientAuth::Required(Verifier::new(pki().other_anchors()));
        let server = server.with_client_auth(auth);
        let pair = calls.pair(client.clone(), server.clone()).connect();
        assert_eq!(pair.server.conn.summary().unwrap().peer_chain, pki().other_client.chain);

        // Without the hint it takes the first, which this server does not like.
        let server = server.with_authorities(false);
        calls.pair(client, server).refuse(Role::Server, Alert::unknown_ca);
    });
}

#[test]
fn a_client_with_nothing_suitable_sends_no_certificate() {
    Calls::each(|calls| {
        let (client, server) = mutual(11, &[Kind::P256, Kind::Rsa]);
        let server = server.with_schemes(&[SignatureScheme::ed25519]).unwrap();
        let pair = calls.pair(client, server).refuse(Role::Server, Alert::certificate_required);
        let error = pair.server.error;
        assert!(matches!(error, Some(Error::Violation(Violation::NoClientCertificate))));
    });
}

#[test]
fn a_client_chooses_by_scheme() {
    let wanted = [
        (SignatureScheme::ed25519, Kind::Ed25519),
        (SignatureScheme::rsa_pss_rsae_sha512, Kind::Rsa),
        (SignatureScheme::ecdsa_secp384r1_sha384, Kind::P384),
    ];
    for (scheme, kind) in wanted {
        Calls::each(|calls| {
            let (client, server) = mutual(12, &Kind::ALL);
            let server = server.with_schemes(&[scheme]).unwrap();
            let pair = calls.pair(client, server).connect();
            let summary = pair.server.conn.summary().unwrap();
            assert_eq!(summary.peer_chain, pki().client(kind).chain);
            assert_eq!(summary.peer_scheme, Some(scheme));
        });
    }
}

#[test]
fn alpn() {
    type Case<'a> = (&'a [&'a [u8]], &'a [&'a [u8]], Option<&'a [u8]>);
    let cases: [Case<'_>; 5] = [
        (&[b"h2", b"http/1.1"], &[b"http/1.1", b"h2"], Some(b"http/1.1")),
        (&[b"a", b"h2"], &[b"b", b"h2"], Some(b"h2")),
        (&[b"h2"], &[], None),
        (&[], &[b"h2"], None),
        (&[&[0xff; 255]], &[&[0xff; 255]], Some(&[0xff; 255])),
    ];
    for (offered, supported, chosen) in cases {
        Calls::each(|calls| {
            let (client, server) = configs(13);
            let client = client.with_alpn(offered).unwrap();
            let server = server.with_alpn(supported).unwrap();
            let mut pair = calls.pair(client, server).connect();
            for role in Role::BOTH {
                assert_eq!(pair.side(role).conn.summary().unwrap().alpn.as_deref(), chosen);
            }
        });
    }
}

#[test]
fn alpn_without_overlap() {
    Calls::each(|calls| {
        let (client, server) = configs(14);
        let client = client.with_alpn(&[b"h2"]).unwrap();
        let server = server.with_alpn(&[b"h3", b"h"]).unwrap();
        let pair = calls.pair(client, server).refuse(Role::Server, Alert::no_application_protocol);
        assert!(matches!(pair.server.error, Some(Error::NoOverlap(NoOverlap::Alpn))));
    });
}

#[test]
fn alpn_of_one_connection() {
    Calls::each(|calls| {
        let (client, server) = configs(15);
        let client = Arc::new(client.with_alpn(&[b"h2"]).unwrap());
        let server = server.with_alpn(&[b"h2", b"imap"]).unwrap();
        let side = calls.client(&client, server_name(), Some(&[b"imap"]));
        let pair = Pair::of(side, calls.server(server.clone()), calls.transport).connect();
        assert_eq!(pair.server.conn.summary().unwrap().alpn.as_deref(), Some(&b"imap"[..]));

        // An empty list means none, whatever the configuration says.
        let side = calls.client(&client, server_name(), Some(&[]));
        let pair = Pair::of(side, calls.server(server), calls.transport).connect();
        assert_eq!(pair.server.conn.summary().unwrap().alpn, None);
    });
    let (client, _) = configs(15);
    let bad = Connection::client_with_alpn(
        Arc::new(client),
        server_name(),
        &[b""],
        now(),
        &mut Vec::new(),
    );
    assert!(matches!(bad.map(drop), Err(Error::Misuse(Misuse::Config(_)))));
}

#[test]
fn the_name_selects_the_credential() {
    Calls::each(|calls| {
        let (client, server) = configs(16);
        let provider = server.provider().clone();
        let credentials = vec![
            pki().server(Kind::P256).credential(&provider),
            pki().other_server.credential(&provider),
        ];
        let server = ServerConfig::new(provider, credentials).unwrap();
        let client = Arc::new(client);
        for policy in [ServerNamePolicy::Prefer, ServerNamePolicy::Match, ServerNamePolicy::Require]
        {
            let server = server.clone().with_server_name_policy(policy);
            for (name, identity) in
                [("server.test", pki().server(Kind::P256)), ("other.test", &pki().other_server)]
            {
                let name = ServerName::try_from(name).unwrap();
                let side = calls.client(&client, name.clone(), None);
                let pair = Pair::of(side, calls.server(server.clone()), calls.transport).connect();
                assert_eq!(pair.client.conn.summary().unwrap().peer_chain, identity.chain);
                assert_eq!(pair.server.conn.summary().unwrap().server_name, Some(name));
            }
        }
    });
}

#[test]
fn a_name_without_a_credential() {
    Calls::each(|calls| {
        let (client, server) = configs(17);
        let client = Arc::new(client);
        let name = ServerName::try_from("nobody.test").unwrap();
        let pair = |policy| {
            let server = server.clone().with_server_name_policy(policy);
            let side = calls.client(&client, name.clone(), None);
            Pair::of(side, calls.server(server), calls.transport)
        };
        // The client sees the wrong certificate, and says so.
        let mut failed = pair(ServerNamePolicy::Prefer);
        failed.pump();
        assert!(matches!(failed.client.error, Some(Error::Certificate(_))));
        assert!(matches!(failed.server.error, Some(Error::PeerAlert(_))));
        for policy in [ServerNamePolicy::Match, ServerNamePolicy::Require] {
            let failed = pair(policy).refuse(Role::Server, Alert::unrecognized_name);
            let error = failed.server.error;
            assert!(matches!(error, Some(Error::Violation(Violation::UnrecognizedName))));
        }
    });
}

#[test]
fn a_client_that_sends_no_name() {
    Calls::each(|calls| {
        let (client, server) = configs(18);
        let client = client.with_server_name(false);
        for policy in [ServerNamePolicy::Prefer, ServerNamePolicy::Match] {
            let server = server.clone().with_server_name_policy(policy);
            let pair = calls.pair(client.clone(), server).connect();
            assert_eq!(pair.server.conn.summary().unwrap().server_name, None);
        }
        let server = server.with_server_name_policy(ServerNamePolicy::Require);
        let pair = calls.pair(client, server).refuse(Role::Server, Alert::missing_extension);
        let error = pair.server.error;
        assert!(matches!(error, Some(Error::Violation(Violation::MissingServerName))));
    });
}

#[test]
fn an_address_is_verified_and_never_sent() {
    let (client, server) = configs(19);
    let identity = pki().issue("192.0.2.7", Kind::P256);
    let provider = server.provider().clone();
    let server = ServerConfig::new(provider.clone(), vec![identity.credential(&provider)]).unwrap();
    let client = Arc::new(client);
    let side = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        Calls::PLAIN.client(&client, ServerName::from(address), None)
    };
    let pair = Pair::of(side("192.0.2.7"), Calls::PLAIN.server(server.clone()), Transport::Glued);
    let pair = pair.connect();
    assert_eq!(pair.server.conn.summary().unwrap().server_name, None);
    let mut pair = Pair::of(side("192.0.2.8"), Calls::PLAIN.server(server), Transport::Glued);
    pair.pump();
    assert!(matches!(pair.client.error, Some(Error::Certificate(_))));
}

#[test]
fn nothing_in_common() {
    Calls::each(|calls| {
        let (client, server) = configs(20);
        let [first, second, _] = SUITES;
        let pair = calls.pair(
            client.clone().with_suites(&[first]).unwrap(),
            server.clone().with_suites(&[second]).unwrap(),
        );
        let pair = pair.refuse(Role::Server, Alert::handshake_failure);
        let Some(Error::NoOverlap(NoOverlap::CipherSuite(offered))) = pair.server.error else {
            panic!("wrong error");
        };
        assert!(offered.contains(&first) && !offered.contains(&second));

        let pair = calls.pair(
            client.clone().with_groups(&[NamedGroup::x25519]).unwrap(),
            server.clone().with_groups(&[NamedGroup::secp384r1]).unwrap(),
        );
        let pair = pair.refuse(Role::Server, Alert::handshake_failure);
        let Some(Error::NoOverlap(NoOverlap::Group(offered))) = pair.server.error else {
            panic!("wrong error");
        };
        assert!(offered.contains(&NamedGroup::x25519));

        let scheme = SignatureScheme::ed25519;
        let pair = calls.pair(client.with_schemes(&[scheme]).unwrap(), server);
        let pair = pair.refuse(Role::Server, Alert::handshake_failure);
        let Some(Error::NoOverlap(NoOverlap::SignatureScheme(offered))) = pair.server.error else {
            panic!("wrong error");
        };
        assert_eq!(offered, [scheme]);
    });
}

#[test]
fn a_server_that_the_client_does_not_trust() {
    Calls::each(|calls| {
        let (client, server) = configs(21);
        let verifier = Verifier::new(pki().other_anchors());
        let client = ClientConfig::new(client.provider().clone(), verifier).unwrap();
        let pair = calls.pair(client, server).refuse(Role::Client, Alert::unknown_ca);
        assert_eq!(pair.server.times_connected(), 0);
        let Some(Error::Certificate(error)) = pair.client.error else { panic!("no verdict") };
        assert!(matches!(error.reason, CertificateReason::UnknownIssuer { .. }), "{error:?}");
        assert!(!error.report.to_string().is_empty());
    });
}

#[test]
fn a_server_without_credentials() {
    let (client, server) = configs(22);
    let server = ServerConfig::new(server.provider().clone(), Vec::new()).unwrap();
    let pair = Calls::PLAIN.pair(client, server).refuse(Role::Server, Alert::handshake_failure);
    assert!(matches!(pair.server.error, Some(Error::NoOverlap(NoOverlap::Credential))));
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

fn updates(events: &[Event]) -> Vec<bool> {
    let asked = events.iter().filter_map(|e| match e {
        Event::PeerUpdatedKeys { requested } => Some(*requested),
        _ => None,
    });
    asked.collect()
}

#[test]
fn key_updates_from_either_side() {
    for from in Role::BOTH {
        Calls::each(|calls| {
            let (client, server) = configs(28);
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            // Of our own key only.
            pair.side(from).update_keys(false).unwrap();
            pair.chat();
            assert_eq!(updates(&pair.side(from.peer()).events), [false]);
            assert_eq!(updates(&pair.side(from).events), [false; 0]);
            // And of the peer's, which comes with its next data.
            pair.side(from).update_keys(true).unwrap();
            pair.pump();
            assert_eq!(updates(&pair.side(from.peer()).events), [false, true]);
            assert_eq!(updates(&pair.side(from).events), [false; 0]);
            pair.chat();
            assert_eq!(updates(&pair.side(from).events), [false]);
            pair.chat();
            assert_eq!(updates(&pair.side(from).events), [false]);
            assert_eq!(updates(&pair.side(from.peer()).events), [false, true]);
        });
    }
}

#[test]
fn key_updates_that_cross() {
    Calls::each(|calls| {
        let (client, server) = configs(29);
        let mut pair = calls.pair(client, server).connect();
        for _ in 0..3 {
            pair.client.update_keys(true).unwrap();
            pair.server.update_keys(true).unwrap();
            pair.chat();
        }
        assert!(updates(&pair.client.events).len() >= 3);
        assert!(updates(&pair.server.events).len() >= 3);
    });
}

#[test]
fn keys_update_by_themselves() {
    for from in Role::BOTH {
        Calls::each(|calls| {
            let (client, server) = configs(30);
            let (client, server) = match from {
                Role::Client => (client.with_key_update_after(3), server),
                Role::Server => (client, server.with_key_update_after(3)),
            };
            let mut pair = calls.pair(client, server).connect();
            for i in 0..20_u8 {
                pair.transfer(from, &[i]);
            }
            let seen = updates(&pair.side(from.peer()).events);
            assert!((6..=10).contains(&seen.len()), "{} updates in 20 records", seen.len());
            pair.transfer(from, &vec![7; 200_000]);
            assert!(updates(&pair.side(from.peer()).events).len() >= seen.len() + 4);
            assert_eq!(updates(&pair.side(from).events), [false; 0]);
            pair.chat();
        });
    }
}

#[test]
fn megabytes_each_way() {
    for suite in SUITES {
        for transport in [Transport::Glued, Transport::Cuts(3), Transport::Records] {
            let (client, server) = configs(31);
            let calls = Calls { transport, sink: Sink::Vec };
            let mut pair = calls.pair(client.with_suites(&[suite]).unwrap(), server).connect();
            let mut rand = Rand::new(31);
            for role in Role::BOTH {
                let data = rand.bytes(3 << 20);
                pair.transfer(role, &data);
            }
        }
    }
}

#[test]
fn data_of_every_length_around_a_record() {
    Calls::each(|calls| {
        let (client, server) = configs(32);
        let mut pair = calls.pair(client, server).connect();
        let data = Rand::new(32).bytes(40_000);
        for len in [0, 1, 2, 255, 256, 16_383, 16_384, 16_385, 32_768, 32_769, 40_000] {
            pair.transfer(Role::Client, &data[..len]);
            pair.transfer(Role::Server, &data[..len]);
        }
    });
}

#[test]
fn sealing_where_it_lies() {
    let (client, server) = configs(33);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    let mut buffer = vec![0; 5 + 16_384 + 17];
    for len in [1, 100, 16_384] {
        let before = pair.server.data.len();
        let data = Rand::new(33).bytes(len);
        buffer[5..5 + len].copy_from_slice(&data);
        let sealed = pair.client.conn.seal(&mut buffer, len).unwrap();
        assert_eq!(sealed, 5 + len + 17);
        pair.client.wire.extend_from_slice(&buffer[..sealed]);
        pair.pump();
        assert_eq!(pair.server.data[before..], data);
    }
    let conn = &mut pair.client.conn;
    let short = conn.seal(&mut buffer[..5 + 10 + 16], 10);
    assert!(matches!(short, Err(Error::Misuse(Misuse::RecordBuffer))), "{short:?}");
    let long = conn.seal(&mut vec![0; 20_000], 16_385);
    assert!(matches!(long, Err(Error::Misuse(Misuse::RecordTooLong))), "{long:?}");
    pair.chat();
}

#[test]
fn a_clean_close_from_either_side() {
    for first in Role::BOTH {
        Calls::each(|calls| {
            let (client, server) = configs(34);
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            pair.side(first).close().unwrap();
            pair.pump();
            assert_eq!(pair.side(first.peer()).times_closed(), 1);
            assert!(pair.side(first.peer()).closed);
            assert!(!pair.side(first).closed);
            // Half of the connection goes on.
            pair.transfer(first.peer(), b"the other half");
            let refused = pair.side(first).write(b"no");
            assert!(matches!(refused, Err(Error::Misuse(Misuse::Closed))), "{refused:?}");
            // Closing twice says nothing more.
            let sent = pair.side(first).wire.len();
            pair.side(first).close().unwrap();
            assert_eq!(pair.side(first).wire.len(), sent);
            pair.side(first.peer()).conn.read_eof().unwrap();
            pair.side(first.peer()).close().unwrap();
            pair.pump();
            assert!(pair.side(first).closed);
            assert_eq!(pair.side(first).times_closed(), 1);
            pair.side(first).conn.read_eof().unwrap();
        });
    }
}

#[test]
fn what_follows_a_close_is_ignored() {
    let (client, server) = configs(35);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    pair.client.close().unwrap();
    pair.pump();
    let mut rubbish = [0xff; 100];
    let read = pair.server.conn.read(now(), &mut rubbish, &mut Vec::new());
    assert!(matches!(read, Ok(Read::Closed)));
    pair.transfer(Role::Server, b"still here");
}

#[test]
fn a_truncation_is_no_close() {
    for role in Role::BOTH {
        // After data.
        let (client, server) = configs(36);
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        pair.chat();
        let end = pair.side(role).conn.read_eof();
        assert!(matches!(end, Err(Error::Truncated)), "{end:?}");
        // In the middle of the handshake.
        let (client, server) = configs(36);
        let mut pair = Calls::PLAIN.pair(client, server);
        let end = pair.side(role).conn.read_eof();
        assert!(matches!(end, Err(Error::Truncated)), "{end:?}");
        assert!(pair.side(role).write(b"x").is_err());
    }
    // In the middle of a close_notify.
    let (client, server) = configs(36);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    pair.client.close().unwrap();
    pair.client.wire.pop();
    pair.pump();
    assert!(matches!(pair.server.conn.read_eof(), Err(Error::Truncated)));
}

#[test]
fn records_are_padded_as_asked() {
    let cases = [
        Padding::None,
        Padding::MultipleOf(0),
        Padding::MultipleOf(1),
        Padding::MultipleOf(64),
        Padding::MultipleOf(1000),
        Padding::MultipleOf(u16::MAX),
        Padding::Full,
    ];
    for padding in cases {
        Calls::each(|calls| {
            let (client, server) = mutual(37, &[Kind::P256]);
            let client = client.with_padding(padding);
            let mut pair = calls.pair(client, server.with_padding(padding)).connect();
            pair.chat();
            let data = Rand::new(37).bytes(20_000);
            pair.transfer(Role::Client, &data);
            pair.transfer(Role::Server, &data);
            for role in Role::BOTH {
                pair.side(role).close().unwrap();
                pair.pump();
                let all = pair.side(role).records(0);
                for record in all.into_iter().filter(|r| r[0] == 23) {
                    let inner = record.len() - 5 - 16;
                    match padding {
                        Padding::MultipleOf(n) if n > 1 => {
                            let full = inner == (1 << 14) + 1 || inner == 1 << 14;
                            assert!(inner.is_multiple_of(n.into()) || full, "{inner} bytes");
                        }
                        Padding::Full => assert!(inner >= 1 << 14, "{inner} bytes"),
                        _ => {}
                    }
                }
            }
            if let Padding::None | Padding::MultipleOf(0 | 1) = padding {
                let last = pair.client.records(0).pop().unwrap();
                assert_eq!(last.len(), 5 + 2 + 1 + 16, "close_notify was padded");
            }
        });
    }
}

#[test]
fn fragments_are_as_short_as_asked() {
    for max in [1, 2, 63, 1000, 16_384] {
        Calls::each(|calls| {
            let (client, server) = mutual(38, &[Kind::P256]);
            let client = client.with_max_fragment(max).unwrap();
            let server = server.with_max_fragment(max).unwrap();
            let mut pair = calls.pair(client, server).connect();
            let data = Rand::new(38).bytes(3000);
            pair.transfer(Role::Client, &data);
            pair.client.update_keys(true).unwrap();
            pair.chat();
            pair.transfer(Role::Server, &data);
            for role in Role::BOTH {
                pair.side(role).close().unwrap();
                pair.pump();
                // An alert (two bytes) and a KeyUpdate (five) are never cut.
                let longest = max.max(5);
                for record in pair.side(role).records(0) {
                    let room = if record[0] == 23 { longest + 17 } else { longest };
                    assert!(record.len() <= 5 + room, "{} bytes", record.len());
                }
            }
            assert!(pair.client.closed && pair.server.closed);
        });
    }
}

#[test]
fn an_ocsp_response_and_timestamps_come_along() {
    let ocsp = || vec![0x30, 3, 0x0a, 1, 0];
    let scts = || vec![vec![0; 40], vec![1; 47]];
    Calls::each(|calls| {
        let (client, server) = configs(39);
        let provider = server.provider().clone();
        let credential = pki().server(Kind::P256).bare(&provider);
        let credential = Arc::new(credential.with_ocsp(ocsp()).with_scts(scts()));
        let server = ServerConfig::new(provider, vec![credential]).unwrap();
        let pair = calls.pair(client.clone(), server.clone()).connect();
        let summary = pair.client.conn.summary().unwrap();
        assert_eq!((&summary.peer_ocsp, &summary.peer_scts), (&ocsp(), &scts()));
        // Only who asks gets them.
        for (wants_ocsp, wants_scts) in [(false, false), (true, false), (false, true)] {
            let client = client.clone().with_status_requests(wants_ocsp, wants_scts);
            let pair = calls.pair(client, server.clone()).connect();
            let summary = pair.client.conn.summary().unwrap();
            assert_eq!(!summary.peer_ocsp.is_empty(), wants_ocsp);
            assert_eq!(!summary.peer_scts.is_empty(), wants_scts);
        }
        // The other way round.
        let (client, server) = mutual(39, &[]);
        let credential = pki().client(Kind::P256).bare(client.provider());
        let credential = Arc::new(credential.with_ocsp(ocsp()).with_scts(scts()));
        let client = client.with_credentials(vec![credential]);
        let asking = server.clone().with_status_requests(true, true);
        let pair = calls.pair(client.clone(), asking).connect();
        let summary = pair.server.conn.summary().unwrap();
        assert_eq!((&summary.peer_ocsp, &summary.peer_scts), (&ocsp(), &scts()));
        let pair = calls.pair(client, server).connect();
        let summary = pair.server.conn.summary().unwrap();
        assert!(summary.peer_ocsp.is_empty() && summary.peer_scts.is_empty());
    });
}

#[test]
fn a_client_can_name_its_anchors() {
    Calls::each(|calls| {
        let (client, server) = configs(40);
        calls.pair(client.with_authorities(true), server).connect().chat();
    });
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

/// Hands `wire` to a receiving half; its data, and the last thing that it said.
fn receive(half: &mut Receiver, wire: &[u8], mut heed: impl FnMut(Event)) -> (Vec<u8>, bool) {
    let mut input = wire.to_vec();
    let mut rest = &mut input[..];
    let mut all = Vec::new();
    loop {
        let used = match half.read(rest).unwrap() {
            Read::NeedMore { .. } => return (all, false),
            Read::Closed => return (all, true),
            Read::Control { used } => used,
            Read::Data { used, data } => {
                all.extend_from_slice(data);
                used
            }
            Read::Waiting => panic!("a half waits"),
        };
        while let Some(event) = half.poll_event() {
            heed(event);
        }
        rest = &mut rest[used..];
    }
}

#[test]
fn halves_work_in_two_threads() {
    let (client, server) = configs(45);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    pair.chat();
    let (mut sender, mut receiver) = pair.client.conn.split().unwrap();
    assert_eq!(receiver.summary().server_name, Some(server_name()));
    let (mut ours, mut theirs) = ([0; 32], [0; 32]);
    receiver.export(b"EXPORTER-x", None, &mut ours).unwrap();
    pair.server.conn.export(b"EXPORTER-x", None, &mut theirs).unwrap();
    assert_eq!(ours, theirs);

    // The server asks for new keys, which one half sees and the other acts upon.
    let from = pair.server.wire.len();
    pair.server.update_keys(true).unwrap();
    pair.server.write(b"to the receiver").unwrap();
    let wire = pair.server.wire[from..].to_vec();
    let reader = std::thread::spawn(move || {
        let mut asked = Vec::new();
        let (data, _) = receive(&mut receiver, &wire, |event| match event {
            Event::PeerUpdatedKeys { requested } => asked.push(requested),
            other => panic!("{other:?}"),
        });
        (receiver, data, asked)
    });
    let mut wire = Vec::new();
    let data = Rand::new(45).bytes(100_000);
    let sent = data.clone();
    let writer = std::thread::spawn(move || {
        sender.write(&sent, &mut wire).unwrap();
        (sender, wire)
    });
    let (mut receiver, seen, asked) = reader.join().unwrap();
    assert_eq!((seen.as_slice(), asked.as_slice()), (&b"to the receiver"[..], &[true][..]));
    let (mut sender, mut wire) = writer.join().unwrap();

    // The sender answers with its next data, once.
    sender.on_peer_update(true);
    sender.write(b"with a new key", &mut wire).unwrap();
    sender.update_keys(false, &mut wire).unwrap();
    sender.write(b" and another", &mut wire).unwrap();
    sender.close(&mut wire).unwrap();
    let before = pair.server.data.len();
    pair.server.inbox.extend_from_slice(&wire);
    pair.server.drain(now());
    assert!(pair.server.data[before..] == [&data[..], b"with a new key and another"].concat());
    assert_eq!(updates(&pair.server.events), [false, false]);
    assert!(pair.server.closed);
    assert!(matches!(sender.write(b"x", &mut wire), Err(Error::Misuse(Misuse::Closed))));

    // And the other direction ends.
    assert!(matches!(receiver.read_eof(), Err(Error::Truncated)));
    let from = pair.server.wire.len();
    pair.server.write(b"bye").unwrap();
    pair.server.close().unwrap();
    let mut closed = 0;
    let wire = &pair.server.wire[from..];
    let (data, end) = receive(&mut receiver, wire, |event| match event {
        Event::PeerClosed => closed += 1,
        other => panic!("{other:?}"),
    });
    assert_eq!((data.as_slice(), end, closed), (&b"bye"[..], true, 1));
    receiver.read_eof().unwrap();
}

#[test]
fn a_half_that_fails_owes_an_alert() {
    let (client, server) = configs(46);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    let (mut sender, mut receiver) = pair.client.conn.split().unwrap();
    let from = pair.server.wire.len();
    pair.server.write(b"forged").unwrap();
    let mut wire = pair.server.wire[from..].to_vec();
    *wire.last_mut().unwrap() ^= 1;
    let error = receiver.read(&mut wire).map(drop).unwrap_err();
    assert!(matches!(error, Error::BadRecordMac));
    assert!(matches!(receiver.read(&mut [0; 5]).map(drop), Err(Error::BadRecordMac)));
    let mut out = Vec::new();
    sender.abort(&error, &mut out).unwrap();
    assert!(matches!(sender.write(b"x", &mut out), Err(Error::BadRecordMac)));
    assert_eq!(records(&out).len(), 1);
    pair.server.inbox.extend_from_slice(&out);
    pair.server.drain(now());
    assert!(matches!(pair.server.error, Some(Error::PeerAlert(Alert::bad_record_mac))));
}

#[test]
fn traffic_keys_are_those_of_the_wire() {
    for suite in SUITES {
        let (client, server) = configs(47);
        let provider = client.provider().clone();
        let mut pair = Calls::PLAIN.pair(client.with_suites(&[suite]).unwrap(), server).connect();
        pair.chat();
        pair.client.update_keys(false).unwrap();
        pair.transfer(Role::Client, b"under the second key");
        let ours = pair.client.conn.into_traffic_keys().unwrap();
        // What the server sends now, the keys open.
        let from = pair.server.wire.len();
        pair.server.write(b"for the keys").unwrap();
        let record = &pair.server.wire[from..];
        assert_eq!(ours.suite, suite);
        let mut nonce: [u8; 12] = ours.receiving.iv.expose().try_into().unwrap();
        let number = ours.receiving.sequence.to_be_bytes();
        nonce[4..].iter_mut().zip(number).for_each(|(n, s)| *n ^= s);
        let key = provider.suite(suite).unwrap().aead.key(ours.receiving.key.expose()).unwrap();
        let (header, body) = record.split_at(5);
        let mut body = body.to_vec();
        let len = key.open(nonce, header, &mut body).unwrap();
        assert_eq!(body[..len], *b"for the keys\x17");
        let theirs = pair.server.conn.into_traffic_keys().unwrap();
        assert_eq!(ours.sending.secret.expose(), theirs.receiving.secret.expose());
        assert_eq!(ours.sending.key.expose(), theirs.receiving.key.expose());
        assert_eq!(ours.sending.iv.expose(), theirs.receiving.iv.expose());
        // One record since the key was changed.
        assert_eq!((ours.sending.sequence, theirs.receiving.sequence), (1, 1));
        assert_eq!(theirs.sending.sequence, ours.receiving.sequence + 1);
        assert!(format!("{ours:?}").contains("key: Secret(..)"));
    }
}

#[test]
fn traffic_keys_are_not_given_away_too_early_or_too_late() {
    let connect = || {
        let (client, server) = configs(48);
        Calls::PLAIN.pair(client, server)
    };
    let early = connect().client.conn.into_traffic_keys().map(drop);
    assert!(matches!(early, Err(Error::Misuse(Misuse::NotConnected))), "{early:?}");
    let early = connect().client.conn.split().map(drop);
    assert!(matches!(early, Err(Error::Misuse(Misuse::NotConnected))), "{early:?}");

    // Output that is waiting, a key that is owed, half a message.
    let mut pair = connect().connect();
    let mut nowhere = [];
    pair.client.conn.update_keys(false, &mut FixedOutput::new(&mut nowhere)).unwrap();
    let busy = pair.client.conn.into_traffic_keys().map(drop);
    assert!(matches!(busy, Err(Error::Misuse(Misuse::Busy))), "{busy:?}");
    let mut pair = connect().connect();
    pair.client.update_keys(true).unwrap();
    pair.pump();
    let busy = pair.server.conn.into_traffic_keys().map(drop);
    assert!(matches!(busy, Err(Error::Misuse(Misuse::Busy))), "{busy:?}");

    let mut pair = connect().connect();
    pair.client.close().unwrap();
    pair.pump();
    for conn in [pair.client.conn, pair.server.conn] {
        let closed = conn.into_traffic_keys().map(drop);
        assert!(matches!(closed, Err(Error::Misuse(Misuse::Closed))), "{closed:?}");
    }
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
