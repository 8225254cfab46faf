//! What BoGo has found in this library, one test for each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealwire::codepoints::{Alert, HandshakeType, NamedGroup, SignatureScheme};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::{
    Answer, Ask, Choice, ClientAuth, CookieKey, Credential, Error, FixedOutput, Limit,
    MemorySessions, NoOverlap, Question, ServerConfig, TicketKeys, Verifier,
};
use support::{Calls, Kind, Role, configs, now, pki};

/// RFC 9846 Appendix E.4: change_cipher_spec goes before whatever the client encrypts first, an alert too.
#[test]
fn an_encrypted_alert_follows_change_cipher_spec() {
    Calls::each(|calls| {
        for kind in [HandshakeType::encrypted_extensions, HandshakeType::finished] {
            let (client, server) = configs(101);
            let hook = MessageHook(Arc::new(move |this, message| {
                if this == kind {
                    *message.last_mut().unwrap() ^= 1;
                }
            }));
            let mut pair = calls.pair(client, server.with_message_hook(hook));
            pair.pump();
            assert!(pair.client.error.as_ref().unwrap().alert().is_some());
            let kinds: Vec<u8> = pair.client.records(0).iter().map(|record| record[0]).collect();
            assert_eq!(kinds, [22, 20, 23], "ClientHello, change_cipher_spec, alert");
        }
    });
}

/// Nothing was ever encrypted before ServerHello was understood, so that there is nothing to hide.
#[test]
fn a_clear_alert_goes_alone() {
    let (client, server) = configs(102);
    let hook = MessageHook(Arc::new(|kind, message| {
        if kind == HandshakeType::server_hello {
            message[5] ^= 1; // legacy_version
        }
    }));
    let mut pair = Calls::PLAIN.pair(client, server.with_message_hook(hook));
    pair.pump();
    assert_eq!(pair.client.error.as_ref().unwrap().alert(), Some(Alert::protocol_version));
    let kinds: Vec<u8> = pair.client.records(0).iter().map(|record| record[0]).collect();
    assert_eq!(kinds, [22, 21]);
}

/// The limit on KeyUpdates is the one that stops KeyUpdates, even if the two limits are the same.
#[test]
fn too_many_key_updates_are_called_that() {
    for from in Role::BOTH {
        let (client, server) = configs(103);
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        for _ in 0..32 {
            pair.side(from).update_keys(false).unwrap();
        }
        pair.pump();
        assert!(pair.side(from.peer()).error.is_none());
        // Data starts the count again.
        pair.chat();
        for _ in 0..33 {
            pair.side(from).update_keys(false).unwrap();
        }
        pair.pump();
        let error = pair.side(from.peer()).error.clone();
        assert!(matches!(error, Some(Error::Limit(Limit::KeyUpdates))), "{error:?}");
    }
}

/// The tickets that every client gets take nothing away from the KeyUpdates that it allows.
#[test]
fn tickets_do_not_count_as_key_updates() {
    let (client, server) = configs(108);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let client = client.with_sessions(Arc::new(MemorySessions::default()));
    let mut pair = Calls::PLAIN.pair(client, server.with_tickets(keys)).connect();
    for _ in 0..32 {
        pair.server.update_keys(false).unwrap();
    }
    pair.pump();
    assert!(pair.client.error.is_none(), "{:?}", pair.client.error);
    pair.server.update_keys(false).unwrap();
    pair.pump();
    let error = pair.client.error.clone();
    assert!(matches!(error, Some(Error::Limit(Limit::KeyUpdates))), "{error:?}");
}

/// Adds an empty `early_data` to the first ClientHello that it sees.
fn with_early_data() -> MessageHook {
    let seen = AtomicBool::new(false);
    MessageHook(Arc::new(move |kind, message| {
        if kind != HandshakeType::client_hello || seen.swap(true, Ordering::Relaxed) {
            return;
        }
        let number = |at: usize| usize::from(message[at]) << 8 | usize::from(message[at + 1]);
        let suites = 39 + usize::from(message[38]);
        let methods = suites + 2 + number(suites);
        let extensions = methods + 1 + usize::from(message[methods]);
        let len = u16::try_from(number(extensions) + 4).unwrap();
        message[extensions..extensions + 2].copy_from_slice(&len.to_be_bytes());
        message.extend([0, 42, 0, 0]);
        let len = u16::try_from(message.len() - 4).unwrap();
        message[2..4].copy_from_slice(&len.to_be_bytes());
    }))
}

/// A record that looks like early data.
fn unreadable(len: u16) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    [vec![23, 3, 3, high, low], vec![0xda; len.into()]].concat()
}

/// RFC 9846 §4.3.10: a server that does not accept early data passes over it, with and without HelloRetryRequest.
#[test]
fn early_data_is_skipped() {
    for retry in [false, true] {
        Calls::each(|calls| {
            let (client, server) = configs(104);
            let client = client.with_message_hook(with_early_data());
            let client = if retry { client.with_key_shares(&[]).unwrap() } else { client };
            let mut pair = calls.pair(client, server);
            for len in [100, 0, 16_000, 200] {
                pair.client.wire.extend(unreadable(len));
            }
            let mut pair = pair.connect();
            pair.chat();
            assert_eq!(pair.server.conn.summary().unwrap().retried, retry);
            // Since the first record that could be read it is over.
            pair.client.wire.extend(unreadable(100));
            pair.pump();
            assert!(matches!(pair.server.error, Some(Error::BadRecordMac)));
        });
    }
}

/// It has an end, and it has to be announced.
#[test]
fn early_data_is_skipped_within_bounds() {
    for retry in [false, true] {
        let fail = |announced: bool, lengths: &[u16]| {
            let (client, server) = configs(105);
            let client =
                if announced { client.with_message_hook(with_early_data()) } else { client };
            let client = if retry { client.with_key_shares(&[]).unwrap() } else { client };
            let mut pair = Calls::PLAIN.pair(client, server);
            pair.client.wire.extend(lengths.iter().flat_map(|len| unreadable(*len)));
            pair.pump();
            pair.server.error.clone().expect("the server goes on")
        };
        for lengths in [vec![16_000; 5], vec![0; 13_108]] {
            let error = fail(true, &lengths);
            assert!(matches!(error, Error::Limit(Limit::SkippedEarlyData)), "{error:?}");
            assert_eq!(error.alert(), Some(Alert::unexpected_message));
        }
        let error = fail(false, &[100]);
        let expected = if retry { Alert::unexpected_message } else { Alert::bad_record_mac };
        assert_eq!(error.alert(), Some(expected), "{error:?}");
    }
}

/// What `write` says that it needs is what it then takes, whatever key changes come with it.
#[test]
fn write_needs_what_it_takes() {
    let (client, server) = configs(106);
    let client = client.with_key_update_after(2).with_max_fragment(100).unwrap();
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    for (i, len) in [1, 0, 100, 101, 250, 0, 0, 1, 99].into_iter().enumerate() {
        if i % 2 == 0 {
            pair.server.update_keys(true).unwrap();
            pair.pump();
        }
        let data = vec![7; len];
        let mut none = FixedOutput::new(&mut []);
        let need = match pair.client.conn.write(&data, &mut none) {
            Err(Error::OutputTooSmall { need }) => need,
            other => {
                assert!(matches!((other, len), (Ok(()), 0)));
                continue;
            }
        };
        let before = pair.client.wire.len();
        pair.client.write(&data).unwrap();
        assert_eq!(pair.client.wire.len() - before, need, "write {i} of {len} bytes");
        pair.pump();
    }
}

/// The same for a server that has forgotten the first ClientHello, and the offer in it.
#[test]
fn early_data_is_skipped_by_a_stateless_server() {
    Calls::each(|calls| {
        let (client, server) = configs(107);
        let client = client.with_message_hook(with_early_data()).with_key_shares(&[]).unwrap();
        let key = Arc::new(CookieKey::generate(server.provider()).unwrap());
        let server = server.with_stateless_retry(key);
        let mut pair = calls.pair(client, server.clone());
        let hello = pair.client.wire.len();
        pair.client.wire.extend(unreadable(1_000));
        while pair.client.taken < hello {
            // One delivery may take more than the ClientHello; then the first server skips what comes with it.
            pair.deliver(Role::Client);
        }
        let now = pair.now;
        let flight = pair.server.wire.clone();
        pair.client.inbox.extend_from_slice(&flight);
        pair.client.drain(now);
        // What the first server has received and not read goes on to the second one.
        let rest = std::mem::take(&mut pair.server.inbox);
        pair.server = calls.server(server.clone());
        pair.server.inbox = rest;
        let mut pair = pair.connect();
        pair.chat();
        assert!(pair.server.conn.summary().unwrap().retried);
    });
}

/// RFC 9846 §6: what is shown as a certificate and is none does not parse.
#[test]
fn a_leaf_that_is_no_certificate_is_a_decode_error() {
    Calls::each(|calls| {
        let (client, server) = configs(108);
        let hook = MessageHook(Arc::new(|kind, message| {
            if kind == HandshakeType::certificate {
                // Header, context, two lengths; and then the leaf.
                message[4 + 1 + 3 + 3] ^= 1;
            }
        }));
        let pair = calls.pair(client, server.with_message_hook(hook));
        let pair = pair.refuse(Role::Client, Alert::decode_error);
        assert!(matches!(pair.client.error, Some(Error::Decode("Certificate.cert_data"))));
    });
}

/// RFC 9846 §4.5.3: a Finished of another length is one whose contents are incorrect.
#[test]
fn a_finished_of_another_length_is_a_decrypt_error() {
    for longer in [false, true] {
        let (client, server) = configs(109);
        let hook = MessageHook(Arc::new(move |kind, message| {
            if kind == HandshakeType::finished {
                match longer {
                    true => message.push(0),
                    false => drop(message.pop()),
                }
                message[3] = u8::try_from(message.len() - 4).unwrap();
            }
        }));
        let pair = Calls::PLAIN.pair(client, server.with_message_hook(hook));
        pair.refuse(Role::Client, Alert::decrypt_error);
    }
}

/// A server whose order of groups counts more than a round trip, if it is told so.
#[test]
fn a_strict_order_of_groups_is_worth_a_retry() {
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
    for strict in [false, true] {
        Calls::each(|calls| {
            let (client, server) = configs(110);
            let client = client.with_groups(&groups).unwrap();
            let client = client.with_key_shares(&groups[1..]).unwrap();
            let server = server.with_groups(&groups).unwrap().with_strict_group_order(strict);
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            let summary = pair.client.conn.summary().unwrap();
            assert_eq!(summary.retried, strict);
            assert_eq!(summary.group, Some(groups[usize::from(!strict)]));
        });
    }
}

/// RFC 9846 Appendix E.4: a server may send change_cipher_spec to a client that did not ask for it.
#[test]
fn change_cipher_spec_for_middleboxes_before_the_server() {
    for (always, retry) in [(false, false), (true, false), (true, true)] {
        let (client, server) = configs(111);
        let client = client.with_middlebox_compatibility(false);
        let client = if retry { client.with_key_shares(&[]).unwrap() } else { client };
        let server = server.with_middlebox_compatibility(always);
        let pair = Calls::PLAIN.pair(client, server).connect();
        let kinds: Vec<u8> = pair.server.records(0).iter().map(|record| record[0]).collect();
        assert_eq!(kinds.get(1) == Some(&20), always);
        assert_eq!(kinds.iter().filter(|kind| **kind == 20).count(), usize::from(always));
    }
}

/// RFC 7250 §4.2: a list of types is answered also in a handshake that shows no certificate.
#[test]
fn a_resumption_answers_the_list_of_certificate_types() {
    let (client, server) = configs(112);
    let identity = pki().server(Kind::P256);
    let verifier = Verifier::raw_public_keys([identity.spki()]).unwrap();
    let sessions = Arc::new(MemorySessions::default());
    let client = sealwire::ClientConfig::new(client.provider().clone(), verifier).unwrap();
    let client = client.with_sessions(sessions);
    let provider = server.provider().clone();
    let keys = Arc::new(TicketKeys::new(&provider, now()).unwrap());
    for resumed in [false, true] {
        let answered = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&answered);
        let hook = MessageHook(Arc::new(move |kind, message| {
            // server_certificate_type, one byte: RawPublicKey.
            let answer = [0, 20, 0, 1, 2];
            if kind == HandshakeType::encrypted_extensions {
                seen.store(message.windows(5).any(|bytes| bytes == answer), Ordering::Relaxed);
            }
        }));
        let server = ServerConfig::new(provider.clone(), vec![identity.raw(&provider)]).unwrap();
        let server = server.with_tickets(keys.clone()).with_message_hook(hook);
        let mut pair = Calls::PLAIN.pair(client.clone(), server).connect();
        pair.chat();
        assert_eq!(pair.server.conn.summary().unwrap().resumed, resumed);
        assert!(answered.load(Ordering::Relaxed));
    }
}

/// RFC 6066 §3: a name that was used is acknowledged, but not in a resumption. An application that chooses a credential has
/// used it, whatever is in the certificate.
#[test]
fn a_name_that_was_used_is_acknowledged() {
    let (client, server) = configs(113);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let other = pki().other_server.credential(server.provider());
    for (named, chosen) in [(true, false), (true, true), (false, false), (false, true)] {
        let client = client.clone().with_sessions(Arc::new(MemorySessions::default()));
        for resumed in [false, true] {
            let acknowledged = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&acknowledged);
            let hook = MessageHook(Arc::new(move |kind, message| {
                if kind == HandshakeType::encrypted_extensions {
                    // Header and length of the block; server_name, empty, is the first extension.
                    seen.store(message[6..].starts_with(&[0, 0, 0, 0]), Ordering::Relaxed);
                }
            }));
            let mut server = server.clone().with_tickets(keys.clone()).with_message_hook(hook);
            if chosen {
                server = server.with_ask(Ask { client_hello: true, ..Ask::default() });
            }
            // A certificate for another name is none for this one, unless somebody says so.
            let client = client.clone().with_server_name(named);
            let client = client.with_ask(Ask { verdict: true, ..Ask::default() });
            let mut pair = Calls::PLAIN.pair(client, server);
            let other = other.clone();
            pair.answerer = Box::new(move |role, _| match role {
                Role::Server => {
                    Some(Answer::Choose(Choice::default().with_credential(other.clone())))
                }
                Role::Client => Some(Answer::Accept),
            });
            let mut pair = pair.connect();
            pair.chat();
            assert_eq!(pair.server.conn.summary().unwrap().resumed, resumed);
            let expected = named && !resumed;
            assert_eq!(
                acknowledged.load(Ordering::Relaxed),
                expected,
                "{named} {chosen} {resumed}"
            );
        }
    }
}

/// RFC 9963 §3: what a client alone may sign with, whose key is in a token that knows PKCS#1 v1.5 and nothing better. The
/// server has to ask for it, and the client to name it.
#[test]
fn a_client_whose_token_knows_only_pkcs1() {
    use ring::signature::{self, RsaEncoding};
    let cases: [(SignatureScheme, &dyn RsaEncoding); 3] = [
        (SignatureScheme::rsa_pkcs1_sha256_legacy, &signature::RSA_PKCS1_SHA256),
        (SignatureScheme::rsa_pkcs1_sha384_legacy, &signature::RSA_PKCS1_SHA384),
        (SignatureScheme::rsa_pkcs1_sha512_legacy, &signature::RSA_PKCS1_SHA512),
    ];
    let identity = pki().client(Kind::Rsa);
    let sign = |padding: &'static dyn RsaEncoding, message: &[u8]| {
        let key = signature::RsaKeyPair::from_pkcs8(identity.key.secret_der()).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(padding, &ring::rand::SystemRandom::new(), message, &mut signature).unwrap();
        signature
    };
    let pss = SignatureScheme::rsa_pss_rsae_sha256;
    for (scheme, padding) in cases {
        let token = Arc::new(Credential::external(identity.chain.clone(), &[scheme]).unwrap());
        // Asked for or not; and with a signature of the wrong kind.
        for (asked, genuine) in [(true, true), (true, false), (false, true)] {
            let (client, server) = configs(114);
            // A client cannot say that it takes them of a server.
            assert!(client.clone().with_schemes(&[pss, scheme]).is_err());
            let client = client.with_credentials(vec![token.clone()]);
            let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
            let server = server.with_client_auth(auth);
            let server = match asked {
                true => server.with_schemes(&[pss, scheme]).unwrap(),
                false => server,
            };
            let mut pair = Calls::PLAIN.pair(client, server);
            pair.answerer = Box::new(move |_, question| {
                let Question::Signature(request) = question else { panic!("{question:?}") };
                assert_eq!(request.scheme, scheme);
                let padding: &'static dyn RsaEncoding =
                    if genuine { padding } else { &signature::RSA_PSS_SHA256 };
                Some(Answer::Signature(sign(padding, &request.message)))
            });
            if asked && genuine {
                let pair = pair.connect();
                assert_eq!(pair.server.conn.summary().unwrap().peer_scheme, Some(scheme));
                continue;
            }
            let alert = if asked { Alert::decrypt_error } else { Alert::certificate_required };
            pair.pump();
            let error = pair.server.error.as_ref().unwrap();
            assert_eq!(error.alert(), Some(alert), "{error:?}");
        }
    }
}

/// RFC 9963 §3: a server signs nothing so, whatever a client says that it verifies.
#[test]
fn a_server_does_not_sign_with_pkcs1() {
    let scheme = SignatureScheme::rsa_pkcs1_sha256_legacy;
    let identity = pki().server(Kind::Rsa);
    let token = Arc::new(Credential::external(identity.chain.clone(), &[scheme]).unwrap());
    let (client, server) = configs(115);
    let hook = MessageHook(Arc::new(|kind, message| {
        if kind == HandshakeType::client_hello {
            // The first scheme of signature_algorithms becomes another.
            let at = message.windows(2).position(|pair| pair == [0, 13]).unwrap();
            message[at + 6..at + 8].copy_from_slice(&[4, 0x20]);
        }
    }));
    let server = ServerConfig::new(server.provider().clone(), vec![token]).unwrap();
    let mut pair = Calls::PLAIN.pair(client.with_message_hook(hook), server);
    pair.pump();
    let error = pair.server.error.as_ref().unwrap();
    assert!(matches!(error, Error::NoOverlap(NoOverlap::SignatureScheme(_))), "{error:?}");
}
