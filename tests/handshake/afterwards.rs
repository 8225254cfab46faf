//! What comes after the handshake: data, new keys, padding, limits, and the three ends of a stream.

use sealwire::codepoints::Alert;
use sealwire::{Error, Event, Limit, Limits, Misuse, Padding, Read};

use super::support::{Calls, Kind, Rand, Role, Sink, Transport, configs, now};
use super::{SUITES, mutual};

/// What the peer said as it changed its keys: whether it asked for the same.
pub(crate) fn updates(events: &[Event]) -> Vec<bool> {
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

/// RFC 9846 §6.1: who says in the handshake that there will be nothing more cannot complete it.
#[test]
fn pitfall_17_a_close_within_the_handshake_ends_it() {
    for closes in Role::BOTH {
        Calls::each(|calls| {
            let (client, server) = configs(45);
            let mut pair = calls.pair(client, server);
            let peer = closes.peer();
            // In clear, before the peer has a key.
            pair.side(peer).inbox.extend_from_slice(&[21, 3, 3, 0, 2, 1, 0]);
            pair.side(peer).drain(now());
            let error = pair.side(peer).error.clone();
            assert!(matches!(error, Some(Error::PeerAlert(Alert::close_notify))), "{error:?}");
            // It stays so, whatever comes: the rest of the handshake, or nothing.
            pair.pump();
            assert_eq!(pair.side(peer).times_connected(), 0);
            assert!(pair.side(peer).conn.read_eof().is_err());
            assert!(pair.side(peer).write(b"x").is_err());
            assert_eq!(pair.side(closes).times_connected(), 0);
        });
    }
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
fn limits_bound_what_a_peer_may_cost() {
    type Change = fn(&mut Limits);
    let lowered = |seed, lower: Change| {
        let mut limits = Limits::default();
        lower(&mut limits);
        let (client, server) = mutual(seed, &[Kind::P256]);
        Calls::PLAIN.pair(client.with_limits(limits), server)
    };
    // Within the handshake: the server's chain has two certificates.
    let cases: [(Change, Limit); 3] = [
        (|l| l.chain_length = 1, Limit::ChainLength),
        (|l| l.certificate_message = 300, Limit::CertificateMessage),
        (|l| l.handshake_message = 60, Limit::HandshakeMessage),
    ];
    for (lower, limit) in cases {
        let pair = lowered(50, lower).refuse(Role::Client, limit.alert());
        assert!(matches!(pair.client.error, Some(Error::Limit(l)) if l == limit));
    }
    lowered(50, |l| l.chain_length = 2).connect().chat();

    // After it: as many as allowed, and one more.
    let mut pair = lowered(51, |l| l.key_updates = 3).connect();
    for round in 0..2 {
        for _ in 0..3 {
            pair.server.update_keys(false).unwrap();
        }
        pair.pump();
        assert!(pair.client.error.is_none(), "round {round}: {:?}", pair.client.error);
        pair.chat();
    }
    for _ in 0..4 {
        pair.server.update_keys(false).unwrap();
    }
    pair.pump();
    let error = pair.client.error;
    assert!(matches!(error, Some(Error::Limit(Limit::KeyUpdates))), "{error:?}");
    assert!(matches!(pair.server.error, Some(Error::PeerAlert(Alert::unexpected_message))));
}
