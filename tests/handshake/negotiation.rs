//! Protocols and names: what both sides agree on, and what they do when they cannot.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealwire::codepoints::{Alert, HandshakeType, NamedGroup, SignatureScheme};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::pki_types::ServerName;
use sealwire::{
    Connection, Error, Limit, Limits, Misuse, NoOverlap, ServerConfig, ServerNamePolicy, Violation,
};

use super::SUITES;
use super::support::{
    Calls, Kind, Pair, Role, Side, Transport, configs, later, now, pki, records, server_name,
};

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

/// RFC 9846 §4.3.10: a client with a ticket from elsewhere sends early data, which a server that does not take it skips.
#[test]
fn early_data_of_somebody_elses_ticket_is_skipped() {
    for (retry, records) in [(false, 0), (false, 3), (true, 0), (true, 3)] {
        Calls::each(|calls| {
            let (client, server) = configs(52);
            let client = if retry { client.with_key_shares(&[]).unwrap() } else { client };
            let mut pair = calls.pair(client.with_message_hook(offering_early_data()), server);
            let early = [&[23, 3, 3, 0, 50][..], &[0x55; 50]].concat();
            pair.client.wire.extend(early.repeat(records));
            if records > 0 {
                // What most servers announce, in one record: 16,384 bytes of data.
                pair.client.wire.extend([23, 3, 3, 0x40, 17]);
                pair.client.wire.extend([0x55; (1 << 14) + 17]);
            }
            let mut pair = pair.connect();
            pair.chat();
            assert_eq!(pair.server.conn.summary().unwrap().retried, retry);
        });
    }
}

#[test]
fn early_data_is_not_skipped_without_notice_or_end() {
    let early = |len: u8| [&[23, 3, 3, 0, len][..], &vec![0x55; len.into()]].concat();
    for retry in [false, true] {
        let pair = |announced: bool, limit: usize| {
            let (client, server) = configs(53);
            let client = if retry { client.with_key_shares(&[]).unwrap() } else { client };
            let hook = offering_early_data();
            let client = if announced { client.with_message_hook(hook) } else { client };
            let mut limits = Limits::default();
            limits.skipped_early_data = limit;
            Calls::PLAIN.pair(client, server.with_limits(limits))
        };
        let mut unannounced = pair(false, 1000);
        unannounced.client.wire.extend(early(50));
        let alert = if retry { Alert::unexpected_message } else { Alert::bad_record_mac };
        unannounced.refuse(Role::Server, alert);

        // Empty records count too.
        for (len, count) in [(50, 1100 / 55), (0, 1100 / 5)] {
            let mut enough = pair(true, 1100);
            enough.client.wire.extend(early(len).repeat(count));
            enough.connect().chat();
            let mut more = pair(true, 1099);
            more.client.wire.extend(early(len).repeat(count));
            let more = more.refuse(Role::Server, Limit::SkippedEarlyData.alert());
            let error = more.server.error;
            assert!(matches!(error, Some(Error::Limit(Limit::SkippedEarlyData))), "{error:?}");
        }
        // Nor once something has opened: the client's Finished is the end of it.
        let mut late = pair(true, 1000).connect();
        late.client.wire.extend(early(50));
        late.pump();
        assert!(matches!(late.server.error, Some(Error::BadRecordMac)));
    }
}

/// Adds psk_key_exchange_modes and a pre_shared_key that nobody knows to each ClientHello, and early_data to the first.
fn offering_early_data() -> MessageHook {
    let first = AtomicBool::new(true);
    MessageHook(Arc::new(move |kind, message: &mut Vec<u8>| {
        if kind != HandshakeType::client_hello {
            return;
        }
        let mut added = vec![0, 45, 0, 2, 1, 1];
        if first.swap(false, Ordering::Relaxed) {
            added.extend([0, 42, 0, 0]);
        }
        let psk = [&[0, 10, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0, 0, 33, 32][..], &[7; 32]].concat();
        added.extend([0, 41, 0, u8::try_from(psk.len()).unwrap()]);
        added.extend(psk);

        let pair = |m: &[u8], at: usize| usize::from(u16::from_be_bytes([m[at], m[at + 1]]));
        let mut at = 39 + usize::from(message[38]);
        at += 2 + pair(message, at);
        at += 1 + usize::from(message[at]);
        let len = u16::try_from(pair(message, at) + added.len()).unwrap();
        message[at..at + 2].copy_from_slice(&len.to_be_bytes());
        message.extend(added);
        let len = u32::try_from(message.len() - 4).unwrap().to_be_bytes();
        message[1..4].copy_from_slice(&len[1..]);
    }))
}

/// A peer that sends a byte each second breaks no rule. The caller has the clock, and `usage` says how far the peer has come.
#[test]
fn pitfall_22_a_slow_peer_meets_the_callers_deadline() {
    // A policy as a caller would have it: 500 bytes a second on average, after 5 seconds of patience.
    let too_slow = |seconds: usize, side: &Side| {
        seconds > 5 && side.conn.usage().handshake_bytes < seconds * 500
    };
    for attacker in Role::BOTH {
        let (client, server) = configs(46);
        let mut pair = Calls::PLAIN.pair(client, server);
        if attacker == Role::Server {
            pair.deliver(Role::Client);
        }
        let flight = records(&pair.side(attacker).wire)[0].to_vec();
        let victim = pair.side(attacker.peer());
        let mut given_up = None;
        for (second, byte) in flight[5..].iter().enumerate() {
            assert!(second < 10, "nobody notices");
            victim.inbox.extend_from_slice(&[22, 3, 3, 0, 1, *byte]);
            victim.drain(later(i64::try_from(second).unwrap()));
            assert!(victim.error.is_none());
            let usage = victim.conn.usage();
            assert_eq!((usage.handshake_bytes, usage.buffered_bytes), (second + 1, second + 1));
            if too_slow(second, victim) {
                given_up = Some(victim.close());
                break;
            }
        }
        given_up.unwrap().unwrap();
        // The peer is told, and that was all.
        let end = records(&victim.wire).into_iter().rev().take(2).map(<[u8]>::to_vec);
        let (canceled, closed) = (vec![21, 3, 3, 0, 2, 1, 90], vec![21, 3, 3, 0, 2, 1, 0]);
        assert_eq!(end.collect::<Vec<_>>(), [closed, canceled]);
        assert!(victim.conn.read_eof().is_err());
    }
}
