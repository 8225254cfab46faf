//! What is in a question, and what an answer can bring.

use std::sync::Arc;

use sealwire::codepoints::{Alert, CertificateType, SignatureScheme};
use sealwire::{
    Answer, Ask, Choice, ClientAuth, Credential, Error, NoOverlap, Question, ServerConfig,
    Verifier, Waiting,
};

use super::support::{
    Calls, Identity, Kind, Pair, Role, configs_with, now, pki, seeded, server_name,
};
use super::{
    ALL, QUESTIONS, answer, assert_unexpected, mutual, next_question, parking, spelt_out,
    undisturbed, wires,
};

#[test]
fn a_wrong_signature_is_never_accepted() {
    for role in Role::BOTH {
        for wrong in [Vec::new(), vec![0; 64], vec![1; 63], vec![7; 70_000]] {
            let (client, server) = mutual(9, ALL);
            let mut pair = parking(Calls::PLAIN, client, server);
            for (asked, kind) in QUESTIONS {
                next_question(&mut pair);
                if (asked, kind) == (role, Waiting::Signature) {
                    let _ = answer(&mut pair, role, &Answer::Signature(wrong.clone()));
                    break;
                }
                answer(&mut pair, asked, &Answer::UseConfig).unwrap();
            }
            while let Some((asked, _)) = next_question(&mut pair) {
                let _ = answer(&mut pair, asked, &Answer::UseConfig);
            }
            let judge = pair.side(role.peer());
            assert_eq!(judge.times_connected(), 0);
            assert!(judge.error.is_some(), "{role:?}, {} bytes", wrong.len());
        }
    }
}

#[test]
fn a_question_says_what_it_is_about() {
    Calls::each(|calls| {
        let (client, server) = mutual(10, ALL);
        let client = client.with_alpn(&[b"h2", b"imap"]).unwrap();
        let mut pair = parking(calls, client, server);
        next_question(&mut pair);
        let Some(Question::ClientHello(view)) = pair.server.question.clone() else { panic!() };
        assert_eq!(view.server_name().as_deref(), Some("server.test"));
        assert_eq!(view.dns_name(), Some(server_name()));
        assert_eq!(view.alpn(), [b"h2".to_vec(), b"imap".to_vec()]);
        assert_eq!(view.as_bytes(), &pair.client.records(0)[0][5..]);
        assert_eq!(view.random(), pair.client.wire[11..43]);
        answer(&mut pair, Role::Server, &Answer::UseConfig).unwrap();

        next_question(&mut pair);
        let Some(Question::Signature(request)) = pair.server.question.clone() else { panic!() };
        assert_eq!(request.scheme, SignatureScheme::ed25519);
        assert_eq!(request.credential.chain(), pki().server(Kind::Ed25519).chain);
        let context = [&[0x20; 64][..], b"TLS 1.3, server CertificateVerify\0"].concat();
        assert!(request.message.starts_with(&context));
        answer(&mut pair, Role::Server, &Answer::UseConfig).unwrap();

        next_question(&mut pair);
        let Some(Question::Verdict(peer)) = pair.client.question.clone() else { panic!() };
        assert_eq!(peer.chain, pki().server(Kind::Ed25519).chain);
        assert_eq!(peer.name, Some(server_name()));
        answer(&mut pair, Role::Client, &Answer::UseConfig).unwrap();

        next_question(&mut pair);
        let Some(Question::Credential(request)) = pair.client.question.clone() else { panic!() };
        assert_eq!(request.certificate_type, CertificateType::X509);
        assert!(request.schemes.contains(&SignatureScheme::ed25519));
        answer(&mut pair, Role::Client, &Answer::UseConfig).unwrap();

        next_question(&mut pair);
        let Some(Question::Signature(request)) = pair.client.question.clone() else { panic!() };
        assert_eq!(request.credential.chain(), pki().client(Kind::Ed25519).chain);
        let context = [&[0x20; 64][..], b"TLS 1.3, client CertificateVerify\0"].concat();
        assert!(request.message.starts_with(&context));
        answer(&mut pair, Role::Client, &Answer::UseConfig).unwrap();

        next_question(&mut pair);
        let Some(Question::Verdict(peer)) = pair.server.question.clone() else { panic!() };
        assert_eq!(peer.chain, pki().client(Kind::Ed25519).chain);
        assert_eq!(peer.name, None);
    });
}

/// A key that is elsewhere is asked for whatever the configuration says, and the configuration has no answer.
#[test]
fn external_keys() {
    let schemes = [SignatureScheme::ed25519];
    let external = |identity: &Identity| {
        Arc::new(Credential::external(identity.chain.clone(), &schemes).unwrap())
    };
    let plain = undisturbed(11);
    Calls::each(|calls| {
        let (client, server) = mutual(11, Ask::default());
        let client = client.with_credentials(vec![external(pki().client(Kind::Ed25519))]);
        let credentials = vec![external(pki().server(Kind::Ed25519))];
        let auth = server.client_auth().clone();
        let server = ServerConfig::new(server.provider().clone(), credentials).unwrap();
        let mut pair = parking(calls, client, server.with_client_auth(auth));
        for role in [Role::Server, Role::Client] {
            assert_eq!(next_question(&mut pair), Some((role, Waiting::Signature)));
            assert_unexpected(&mut pair, role, &Answer::Accept);
            let result = pair.side(role).answer(now(), &Answer::UseConfig);
            assert!(matches!(result, Err(Error::Misuse(_))), "{result:?}");
            let question = pair.side(role).question.clone().unwrap();
            answer(&mut pair, role, &spelt_out(role, &question)).unwrap();
        }
        assert!(wires(pair.connect()) == plain, "an external key gives other bytes");
    });
}

/// A client that is asked what to show: a credential of the configuration or another one, or none.
#[test]
fn a_client_shows_what_the_application_names() {
    Calls::each(|calls| {
        let run = |seed, answer: Answer| {
            let (client, server) = mutual(seed, Ask::default());
            let client = client.with_ask(Ask { credential: true, ..Ask::default() });
            let auth = ClientAuth::Optional(Verifier::new(pki().anchors()));
            let mut pair = calls.pair(client, server.with_client_auth(auth));
            pair.answerer = Box::new(move |_, question| match question {
                Question::Credential(request) => {
                    // RFC 9846 §4.3.4: the authorities that the server trusts.
                    assert_eq!(request.authorities.len(), 1);
                    assert_eq!(request.certificate_type, CertificateType::X509);
                    Some(answer.clone())
                }
                other => panic!("{other:?}"),
            });
            pair
        };
        let chain = |mut pair: Pair| {
            pair.chat();
            pair.server.conn.summary().unwrap().peer_chain.clone()
        };
        let provider = seeded(98);
        let rsa = pki().client(Kind::Rsa);
        let named = Answer::Credential(Some(rsa.credential(&provider)));
        assert_eq!(chain(run(40, named).connect()), rsa.chain);
        let own = &pki().client(Kind::Ed25519).chain;
        assert_eq!(chain(run(41, Answer::UseConfig).connect()), *own);
        assert!(chain(run(42, Answer::Credential(None)).connect()).is_empty());

        let refused = run(43, Answer::Refuse(Alert::access_denied));
        refused.refuse(Role::Client, Alert::access_denied);
    });
}

/// RFC 9846 §4.5.1: whoever names a credential means it. One that the server cannot take is no reason to be anonymous.
#[test]
fn a_credential_that_does_not_suit_ends_the_connection() {
    let named = |wrong: Arc<Credential>, schemes: &[SignatureScheme]| {
        let (client, server) = mutual(44, Ask::default());
        let client = client.with_ask(Ask { credential: true, ..Ask::default() });
        let server = server.with_schemes(schemes).unwrap();
        let mut pair = Calls::PLAIN.pair(client, server);
        pair.answerer = Box::new(move |_, question| match question {
            Question::Credential(request) => {
                assert!(!wrong.suits(&[request.certificate_type], &request.schemes));
                Some(Answer::Credential(Some(Arc::clone(&wrong))))
            }
            other => panic!("{other:?}"),
        });
        pair
    };
    let identity = pki().client(Kind::P256);
    let provider = seeded(97);
    let pair = named(identity.credential(&provider), &[SignatureScheme::ed25519]);
    let pair = pair.refuse(Role::Client, Alert::handshake_failure);
    let error = pair.client.error;
    assert!(matches!(error, Some(Error::NoOverlap(NoOverlap::SignatureScheme(_)))), "{error:?}");

    let raw = Arc::new(Credential::raw_public_key(&provider, &identity.key).unwrap());
    let pair = named(raw, &[SignatureScheme::ecdsa_secp256r1_sha256]);
    let pair = pair.refuse(Role::Client, Alert::unsupported_certificate);
    let error = pair.client.error;
    assert!(matches!(error, Some(Error::NoOverlap(NoOverlap::CertificateType(_)))), "{error:?}");
}

#[test]
fn a_choice_brings_credential_protocols_or_a_whole_configuration() {
    Calls::each(|calls| {
        let (client, server) = configs_with(12, Kind::P256);
        let provider = server.provider().clone();
        let server = server.with_ask(Ask { client_hello: true, ..Ask::default() });
        let client = client.with_alpn(&[b"h2", b"imap"]).unwrap();
        let run = |choice: Choice| {
            let mut pair = calls.pair(client.clone(), server.clone());
            pair.answerer = Box::new(move |_, _| Some(Answer::Choose(choice.clone())));
            pair
        };
        let alpn = |pair: &Pair| pair.client.conn.summary().unwrap().alpn.clone();

        let rsa = pki().server(Kind::Rsa);
        let pair = run(Choice::default().with_credential(rsa.credential(&provider))).connect();
        assert_eq!(pair.client.conn.summary().unwrap().peer_chain, rsa.chain);
        assert_eq!(alpn(&pair), None);

        let pair = run(Choice::default().with_alpn(&[b"imap"]).unwrap()).connect();
        assert_eq!(alpn(&pair).as_deref(), Some(&b"imap"[..]));

        let other = ServerConfig::new(provider.clone(), vec![rsa.credential(&provider)]).unwrap();
        let other = Arc::new(other.with_alpn(&[b"h2"]).unwrap());
        let pair = run(Choice::default().with_config(Arc::clone(&other))).connect();
        assert_eq!(pair.client.conn.summary().unwrap().peer_chain, rsa.chain);
        assert_eq!(alpn(&pair).as_deref(), Some(&b"h2"[..]));

        // What is chosen beside the configuration comes first.
        let choice = Choice::default().with_config(other).with_alpn(&[]).unwrap();
        let pair = run(choice).connect();
        assert_eq!(alpn(&pair), None);

        let choice = Choice::default().with_alpn(&[b"gopher"]).unwrap();
        let pair = run(choice).refuse(Role::Server, Alert::no_application_protocol);
        assert!(matches!(pair.server.error, Some(Error::NoOverlap(NoOverlap::Alpn))));
    });
}
