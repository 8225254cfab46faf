//! Client authentication after the handshake (RFC 9846 §4.7.2), both roles.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::as_conversions,
    missing_docs
)]

mod support;

use std::sync::{Arc, Mutex};

use sealwire::codepoints::{Alert, HandshakeType, SignatureScheme};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::{
    Answer, Ask, ClientAuth, ClientConfig, Credential, Error, Event, MemorySessions, Misuse,
    Question, Read, ServerConfig, TicketKeys, Verifier, Violation,
};
use support::{Calls, Kind, Pair, configs, now, pki};

/// A client that can be asked and has a certificate, and a server that can ask.
fn asking(seed: u64) -> (ClientConfig, ServerConfig) {
    let (client, server) = configs(seed);
    let credential = pki().client(Kind::P256).credential(client.provider());
    let client = client.with_post_handshake_auth(true).with_credentials(vec![credential]);
    let verifier = Verifier::new(pki().anchors());
    (client, server.with_client_auth(ClientAuth::OnRequest(verifier)))
}

fn ask(pair: &mut Pair) {
    pair.server.call(|conn, out| conn.request_client_certificate(out)).unwrap();
}

fn answers(pair: &Pair) -> Vec<bool> {
    let answered = pair.server.events.iter().filter_map(|event| match event {
        Event::ClientAnswered { known } => Some(*known),
        _ => None,
    });
    answered.collect()
}

#[test]
fn the_client_is_known_once_it_was_asked() {
    Calls::each(|calls| {
        let (client, server) = asking(300);
        let mut pair = calls.pair(client, server).connect();
        pair.chat();
        assert!(pair.server.conn.summary().unwrap().peer_chain.is_empty());
        ask(&mut pair);
        // Data that was on its way, and new keys on both sides, come in between.
        pair.client.write(b"sent before the request arrived").unwrap();
        pair.client.update_keys(true).unwrap();
        pair.pump();
        pair.chat();
        assert_eq!(answers(&pair), [true]);
        let summary = pair.server.conn.summary().unwrap();
        assert_eq!(summary.peer_chain, pki().client(Kind::P256).chain);
        assert_eq!(summary.peer_scheme, Some(SignatureScheme::ecdsa_secp256r1_sha256));
        assert_eq!(pair.client.conn.summary().unwrap().own_scheme, summary.peer_scheme);

        // Again, and twice at once.
        ask(&mut pair);
        ask(&mut pair);
        pair.pump();
        pair.chat();
        assert_eq!(answers(&pair), [true, true, true]);
    });
}

#[test]
fn a_client_without_a_certificate_says_so() {
    Calls::each(|calls| {
        let (client, server) = asking(301);
        let mut pair = calls.pair(client.with_credentials(vec![]), server).connect();
        ask(&mut pair);
        pair.pump();
        pair.chat();
        assert_eq!(answers(&pair), [false]);
        assert!(pair.server.conn.summary().unwrap().peer_chain.is_empty());
    });
}

#[test]
fn somebody_else_signs_and_somebody_else_judges() {
    Calls::each(|calls| {
        let (client, server) = asking(302);
        let schemes = [SignatureScheme::ecdsa_secp256r1_sha256];
        let identity = pki().client(Kind::P256);
        let external = Credential::external(identity.chain.clone(), &schemes).unwrap();
        let signer = (client.provider().load_key)(&identity.key).unwrap();
        let rng = client.provider().rng.clone();
        let client = client.with_credentials(vec![Arc::new(external)]);
        // The judge asks about the client; the server's own chain is judged by the configuration.
        let server = server.with_ask(Ask { verdict: true, ..Ask::default() });
        let client = client.with_ask(Ask { credential: true, ..Ask::default() });
        let mut pair = calls.pair(client, server);
        pair.answerer = Box::new(move |_, question| match question {
            Question::Credential(_) => Some(Answer::UseConfig),
            Question::Signature(request) => {
                let signature = signer.sign(request.scheme, &request.message, &*rng).unwrap();
                Some(Answer::Signature(signature))
            }
            _ => Some(Answer::Accept),
        });
        let mut pair = pair.connect();
        ask(&mut pair);
        pair.pump();
        pair.chat();
        assert_eq!(answers(&pair), [true]);
    });
}

#[test]
fn a_verdict_against_the_client_ends_the_connection() {
    Calls::each(|calls| {
        let (client, server) = asking(303);
        let server =
            server.with_client_auth(ClientAuth::OnRequest(Verifier::new(pki().other_anchors())));
        let mut pair = calls.pair(client, server).connect();
        ask(&mut pair);
        pair.pump();
        assert!(
            matches!(pair.server.error, Some(Error::Certificate(_))),
            "{:?}",
            pair.server.error
        );
        assert!(matches!(pair.client.error, Some(Error::PeerAlert(Alert::unknown_ca))));
    });
}

#[test]
fn who_has_not_offered_is_not_asked() {
    let (client, server) = asking(304);
    let no_offer = client.clone().with_post_handshake_auth(false);
    let (_, never) = configs(304);
    for (client, server) in [(no_offer, server), (client, never)] {
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        let refused = pair.server.call(|conn, out| conn.request_client_certificate(out));
        assert!(matches!(refused, Err(Error::Misuse(Misuse::NoPostHandshakeAuth))), "{refused:?}");
        let refused = pair.client.call(|conn, out| conn.request_client_certificate(out));
        assert!(matches!(refused, Err(Error::Misuse(Misuse::NoPostHandshakeAuth))), "{refused:?}");
        pair.chat();
    }
    let (_, server) = asking(304);
    let mut early = sealwire::Connection::server(Arc::new(server));
    let refused = early.request_client_certificate(&mut Vec::new());
    assert!(matches!(refused, Err(Error::Misuse(Misuse::NotConnected))));
}

/// RFC 9846 §4.7.2: a client that has not offered it answers with unexpected_message.
#[test]
fn a_client_that_has_not_offered_refuses() {
    let (client, server) = asking(305);
    // The server believes that it was offered: the extension is there, and the client knows nothing of it.
    let hook = MessageHook(Arc::new(|kind, message| {
        if kind != HandshakeType::client_hello {
            return;
        }
        let number = |at: usize| usize::from(message[at]) << 8 | usize::from(message[at + 1]);
        let suites = 39 + usize::from(message[38]);
        let methods = suites + 2 + number(suites);
        let block = methods + 1 + usize::from(message[methods]);
        let len = u16::try_from(number(block) + 4).unwrap();
        message[block..block + 2].copy_from_slice(&len.to_be_bytes());
        message.extend([0, 49, 0, 0]);
        let len = u16::try_from(message.len() - 4).unwrap();
        message[2..4].copy_from_slice(&len.to_be_bytes());
    }));
    let client = client.with_post_handshake_auth(false).with_message_hook(hook);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    ask(&mut pair);
    pair.pump();
    let error = pair.client.error.as_ref().unwrap();
    assert!(matches!(error, Error::UnexpectedMessage { got: "CertificateRequest", .. }));
    assert_eq!(error.alert(), Some(Alert::unexpected_message));
}

/// The halves of a connection could not answer, or hear the answer: it stays whole.
#[test]
fn a_connection_with_a_promise_is_not_split() {
    let (client, server) = asking(305);
    let pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    assert!(matches!(pair.client.conn.split(), Err(Error::Misuse(Misuse::NotMovable))));
    pair.server.conn.split().unwrap();
    let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    ask(&mut pair);
    assert!(matches!(pair.server.conn.split(), Err(Error::Misuse(Misuse::Busy))));
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    ask(&mut pair);
    pair.pump();
    pair.server.conn.split().unwrap();
}

#[test]
fn too_many_open_requests_are_refused() {
    let (client, server) = asking(306);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    for _ in 0..8 {
        ask(&mut pair);
    }
    let refused = pair.server.call(|conn, out| conn.request_client_certificate(out));
    assert!(matches!(refused, Err(Error::Misuse(Misuse::Busy))), "{refused:?}");
    pair.pump();
    assert_eq!(answers(&pair), [true; 8]);
    ask(&mut pair);
    pair.pump();
    assert_eq!(answers(&pair), [true; 9]);
}

/// Rewrites messages of this kind from the `skip`th on.
fn rewriting(
    kind: HandshakeType,
    rewrite: impl Fn(&mut Vec<u8>) + Send + Sync + 'static,
) -> MessageHook {
    MessageHook(Arc::new(move |k, message: &mut Vec<u8>| {
        if k == kind {
            rewrite(message);
        }
    }))
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let (client, server) = asking(307);
    let client = client.with_message_hook(rewriting(HandshakeType::certificate, |m| m[5] ^= 1));
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    ask(&mut pair);
    pair.pump();
    let error = pair.server.error.clone();
    assert!(matches!(error, Some(Error::Violation(Violation::CertificateContext))), "{error:?}");
}

#[test]
fn a_forged_answer_is_refused() {
    for (kind, violation) in [
        (HandshakeType::certificate_verify, Violation::BadSignature),
        (HandshakeType::finished, Violation::BadFinished),
    ] {
        let (client, server) = asking(308);
        let connected = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let now_it_counts = connected.clone();
        let hook = rewriting(kind, move |message| {
            if now_it_counts.load(std::sync::atomic::Ordering::SeqCst) {
                *message.last_mut().unwrap() ^= 1;
            }
        });
        let mut pair = Calls::PLAIN.pair(client.with_message_hook(hook), server).connect();
        connected.store(true, std::sync::atomic::Ordering::SeqCst);
        ask(&mut pair);
        pair.pump();
        let error = pair.server.error.clone();
        assert!(matches!(error, Some(Error::Violation(v)) if v == violation), "{error:?}");
    }
}

/// RFC 9846 §4.7.1: a ticket after the authentication stands for the client that is known now.
#[test]
fn a_ticket_after_the_answer_knows_the_client() {
    let (client, server) = asking(309);
    let sessions = Arc::new(MemorySessions::default());
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let client = client.with_sessions(sessions.clone());
    let server = server.with_tickets(keys).with_ticket_policy(0, 1000).unwrap();
    let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    ask(&mut pair);
    pair.pump();
    pair.server.call(|conn, out| conn.send_ticket(now(), out)).unwrap();
    pair.pump();
    assert_eq!(sessions.len(), 1);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    pair.chat();
    let summary = pair.server.conn.summary().unwrap();
    assert!(summary.resumed);
    assert_eq!(summary.peer_chain, pki().client(Kind::P256).chain);
    assert!(matches!(
        pair.server.conn.read(now(), &mut [], &mut Vec::new()),
        Ok(Read::NeedMore { .. })
    ));
}

/// RFC 9846 §4.7.2: nothing comes between the parts of an answer, neither data nor another message.
#[test]
fn nothing_comes_inside_an_answer() {
    for (content, kind) in [(&b"data"[..], 23), (&[24, 0, 0, 1, 0][..], 22)] {
        let (client, server) = asking(310);
        let provider = client.provider().clone();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let request = seen.clone();
        let hook = rewriting(HandshakeType::certificate_request, move |message| {
            request.lock().unwrap().clone_from(message);
        });
        let mut pair = Calls::PLAIN.pair(client, server.with_message_hook(hook)).connect();
        ask(&mut pair);

        // A client that goes its own way: its Certificate answers the request, and something else follows.
        let keys = pair.client.conn.into_traffic_keys().unwrap();
        let context = seen.lock().unwrap()[5..37].to_vec();
        let len24 = |len: usize| [(len >> 16) as u8, (len >> 8) as u8, len as u8];
        let chain = &pki().client(Kind::P256).chain;
        let entries = chain.iter().map(|c| [&len24(c.len())[..], c, &[0, 0]].concat());
        let list = entries.collect::<Vec<_>>().concat();
        let body = [&[32][..], &context, &len24(list.len()), &list].concat();
        let certificate = [&[11][..], &len24(body.len()), &body].concat();
        let aead = provider.suite(keys.suite).unwrap().aead;
        let key = aead.key(keys.sending.key.expose()).unwrap();
        let mut wire = Vec::new();
        for (number, (content, kind)) in (0..).zip([(&certificate[..], 22), (content, kind)]) {
            let mut inner = [content, &[kind]].concat();
            let len = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
            let head = [23, 3, 3, len[0], len[1]];
            let mut nonce: [u8; 12] = keys.sending.iv.expose().try_into().unwrap();
            let sequence: u64 = keys.sending.sequence + number;
            nonce[4..].iter_mut().zip(sequence.to_be_bytes()).for_each(|(n, s)| *n ^= s);
            let tag = key.seal(nonce, &head, &mut inner).unwrap();
            wire.extend([&head[..], &inner, &tag].concat());
        }
        pair.server.inbox.extend(wire);
        pair.server.drain(now());
        let error = pair.server.error.clone().unwrap();
        assert_eq!(error.alert(), Some(Alert::unexpected_message), "{error:?}");
    }
}
