//! Raw public keys (RFC 7250) in both roles: negotiated, authenticated, resumed, asked for later, moved.

use std::sync::Arc;

use sealwire::codepoints::{Alert, CertificateType, ExtensionType, SignatureScheme};
use sealwire::pki_types::SubjectPublicKeyInfoDer;
use sealwire::{
    Answer, Ask, ClientAuth, ClientConfig, ClientHelloView, Connection, Credential, Error, Event,
    MemorySessions, MigrationKey, Misuse, Question, ServerConfig, TicketKeys, TrustAnchors,
    Verifier,
};

use super::support::{
    Calls, Identity, Kind, Pair, Role, configs, now, pki, records, seeded, server_name,
};

const X509: CertificateType = CertificateType::X509;
const RAW: CertificateType = CertificateType::RawPublicKey;

/// Accepts this key and nothing else.
fn only(identity: &Identity) -> Verifier {
    Verifier::raw_public_keys([identity.spki()]).unwrap()
}

/// Accepts this key, and certificates from the usual root, in this order.
fn both(identity: &Identity, types: &[CertificateType]) -> Verifier {
    let verifier = Verifier::new(pki().anchors());
    let verifier = verifier.with_raw_public_keys([identity.spki()]).unwrap();
    verifier.with_certificate_types(types).unwrap()
}

/// A client that judges the server by `verifier`, and a server with this key alone.
fn server_shows_key(seed: u64, verifier: Verifier) -> (ClientConfig, ServerConfig) {
    let (client, server) = (seeded(seed), seeded(seed + 1));
    let credential = pki().server(Kind::P256).raw(&server);
    (
        ClientConfig::new(client, verifier).unwrap(),
        ServerConfig::new(server, vec![credential]).unwrap(),
    )
}

/// Both show keys of these kinds, and accept nothing else.
fn mutual(seed: u64, kind: Kind) -> (ClientConfig, ServerConfig) {
    let (client, server) = (seeded(seed), seeded(seed + 1));
    let (ours, theirs) = (pki().client(kind), pki().server(kind));
    let (client_key, server_key) = (ours.raw(&client), theirs.raw(&server));
    let client = ClientConfig::new(client, only(theirs)).unwrap();
    let server = ServerConfig::new(server, vec![server_key]).unwrap();
    (
        client.with_credentials(vec![client_key]),
        server.with_client_auth(ClientAuth::Required(only(ours))),
    )
}

/// What the peer of `role` has authenticated with.
fn peer_type(pair: &mut Pair, role: Role) -> Option<CertificateType> {
    pair.side(role).conn.summary().unwrap().peer_certificate_type()
}

#[test]
fn both_sides_show_keys_of_every_kind() {
    for kind in Kind::ALL {
        Calls::each(|calls| {
            let (client, server) = mutual(10, kind);
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            for role in Role::BOTH {
                let summary = pair.side(role).conn.summary().unwrap();
                let peer = match role {
                    Role::Client => pki().server(kind),
                    Role::Server => pki().client(kind),
                };
                assert_eq!(summary.peer_raw_public_key.as_ref(), Some(&peer.spki()));
                assert!(summary.peer_chain.is_empty() && summary.peer_ocsp.is_empty());
                assert_eq!(summary.peer_certificate_type(), Some(RAW));
                assert!(summary.peer_scheme.is_some() && summary.own_scheme.is_some());
            }
        });
    }
}

/// What stands in the ClientHello's two extensions.
fn offered(client: &ClientConfig) -> [Option<Vec<u8>>; 2] {
    let mut out = Vec::new();
    let client = Arc::new(client.clone());
    let _connection = Connection::client(client, server_name(), now(), &mut out).unwrap();
    let hello = ClientHelloView::from_bytes(&records(&out)[0][5..]).unwrap();
    [ExtensionType::client_certificate_type, ExtensionType::server_certificate_type].map(|kind| {
        let extensions = hello.extensions();
        extensions.iter().find(|(k, _)| *k == kind).map(|(_, body)| body.to_vec())
    })
}

#[test]
fn a_client_offers_what_it_has_and_what_it_can_judge() {
    let (identity, provider) = (pki().client(Kind::P256), seeded(20));
    let (chain, key) = (identity.credential(&provider), identity.raw(&provider));
    let client = |verifier: Verifier, credentials: &[&Arc<Credential>]| {
        let client = ClientConfig::new(provider.clone(), verifier).unwrap();
        client.with_credentials(credentials.iter().map(|c| Arc::clone(c)).collect::<Vec<_>>())
    };
    let certificates = || Verifier::new(pki().anchors());
    // RFC 7250 §4.1: nothing but the default is left out.
    assert_eq!(offered(&client(certificates(), &[])), [None, None]);
    assert_eq!(offered(&client(certificates(), &[&chain])), [None, None]);
    assert_eq!(offered(&client(certificates(), &[&key])), [Some(vec![1, 2]), None]);
    assert_eq!(offered(&client(certificates(), &[&key, &chain])), [Some(vec![2, 2, 0]), None]);
    assert_eq!(offered(&client(certificates(), &[&chain, &key])), [Some(vec![2, 0, 2]), None]);
    assert_eq!(offered(&client(only(identity), &[])), [None, Some(vec![1, 2])]);
    let judges = |types: &[CertificateType]| client(both(identity, types), &[]);
    assert_eq!(offered(&judges(&[X509])), [None, None]);
    assert_eq!(offered(&judges(&[RAW])), [None, Some(vec![1, 2])]);
    assert_eq!(offered(&judges(&[X509, RAW])), [None, Some(vec![2, 0, 2])]);
    assert_eq!(offered(&judges(&[RAW, X509])), [None, Some(vec![2, 2, 0])]);
    let any = Verifier::danger_accept_any();
    assert_eq!(offered(&client(any.clone(), &[])), [None, None]);
    let any = any.with_certificate_types(&[RAW, X509]).unwrap();
    assert_eq!(offered(&client(any, &[])), [None, Some(vec![2, 2, 0])]);
}

#[test]
fn the_servers_order_decides_what_it_shows() {
    let identity = pki().server(Kind::P256);
    for (takes, has, shows) in [
        (&[X509, RAW][..], &[X509, RAW][..], X509),
        (&[X509, RAW], &[RAW, X509], RAW),
        (&[RAW, X509], &[X509, RAW], X509),
        (&[RAW], &[X509, RAW], RAW),
        (&[X509], &[RAW, X509], X509),
        (&[X509, RAW], &[RAW], RAW),
        (&[RAW, X509], &[X509], X509),
    ] {
        let (client, server) = (seeded(30), seeded(31));
        let credentials = has.iter().map(|kind| match *kind {
            RAW => identity.raw(&server),
            _ => identity.credential(&server),
        });
        let server = ServerConfig::new(server.clone(), credentials.collect::<Vec<_>>()).unwrap();
        let client = ClientConfig::new(client, both(identity, takes)).unwrap();
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        pair.chat();
        assert_eq!(peer_type(&mut pair, Role::Client), Some(shows), "{takes:?} {has:?}");
    }
}

#[test]
fn the_servers_order_decides_what_the_client_shows() {
    let identity = pki().client(Kind::P256);
    for (takes, has, shows) in [
        (&[X509, RAW][..], &[X509, RAW][..], X509),
        (&[X509, RAW], &[RAW, X509], X509),
        (&[RAW, X509], &[X509, RAW], RAW),
        (&[RAW], &[X509, RAW], RAW),
        (&[X509], &[RAW, X509], X509),
        (&[X509, RAW], &[RAW], RAW),
        (&[RAW, X509], &[X509], X509),
    ] {
        let (client, server) = configs(40);
        let credentials = has.iter().map(|kind| match *kind {
            RAW => identity.raw(client.provider()),
            _ => identity.credential(client.provider()),
        });
        let client = client.clone().with_credentials(credentials.collect::<Vec<_>>());
        let server = server.with_client_auth(ClientAuth::Required(both(identity, takes)));
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        pair.chat();
        assert_eq!(peer_type(&mut pair, Role::Server), Some(shows), "{takes:?} {has:?}");
    }
}

#[test]
fn among_keys_the_one_that_can_sign_is_shown() {
    let (client, server) = (seeded(50), seeded(51));
    let keys = [Kind::Ed25519, Kind::P256, Kind::P384].map(|kind| pki().server(kind).raw(&server));
    let server = ServerConfig::new(server, keys.to_vec()).unwrap();
    let client = ClientConfig::new(client, only(pki().server(Kind::P256))).unwrap();
    let client = client.with_schemes(&[SignatureScheme::ecdsa_secp256r1_sha256]).unwrap();
    Calls::PLAIN.pair(client, server).connect().chat();
}

#[test]
fn a_client_without_a_key_says_so() {
    // It has both, but no key that the server could verify; or it has nothing.
    let ours = pki().client(Kind::P256);
    for (auth, refused) in
        [(ClientAuth::Optional(only(ours)), false), (ClientAuth::Required(only(ours)), true)]
    {
        let (client, server) = configs(60);
        let key = pki().client(Kind::P384).raw(client.provider());
        let client = client.with_credentials(vec![key]);
        let server = server.with_client_auth(auth);
        let server = server.with_schemes(&[SignatureScheme::ed25519]).unwrap();
        let mut pair = Calls::PLAIN.pair(client, server);
        if refused {
            pair.pump();
            assert_eq!(
                pair.server.error.as_ref().unwrap().alert(),
                Some(Alert::certificate_required)
            );
        } else {
            let mut pair = pair.connect();
            assert_eq!(peer_type(&mut pair, Role::Server), None);
        }
    }
}

/// RFC 7250 §4.2: a server that would like to see a key does not fail a client that offers no types, unless it must see one.
#[test]
fn a_client_that_says_nothing_of_its_types() {
    let server = |seed, auth: fn(Verifier) -> ClientAuth| {
        let (client, server) = configs(seed);
        (client, server.with_client_auth(auth(only(pki().client(Kind::P256)))))
    };
    let (client, optional) = server(80, ClientAuth::Optional);
    assert_eq!(offered(&client)[0], None);
    let pair = Calls::PLAIN.pair(client, optional).connect();
    assert_eq!(pair.server.conn.summary().unwrap().peer_certificate_type(), None);
    let (client, required) = server(82, ClientAuth::Required);
    Calls::PLAIN.pair(client, required).refuse(Role::Server, Alert::unsupported_certificate);
}

#[test]
fn pitfall_45_a_raw_key_that_nobody_vouches_for_is_refused() {
    let other = pki().server(Kind::P384);
    for verifier in [only(other), both(other, &[RAW, X509]), both(other, &[RAW])] {
        let (client, server) = server_shows_key(70, verifier);
        let pair = Calls::PLAIN.pair(client, server);
        let pair = pair.refuse(Role::Client, Alert::certificate_unknown);
        let Some(Error::Certificate(error)) = &pair.client.error else { panic!() };
        assert_eq!(error.reason.code(), "untrusted-key");
    }
    // On a server, too, and even if the client need not authenticate.
    for auth in [ClientAuth::Required(only(other)), ClientAuth::Optional(only(other))] {
        let (client, server) = mutual(71, Kind::P256);
        let mut pair = Calls::PLAIN.pair(client, server.with_client_auth(auth));
        pair.pump();
        assert_eq!(pair.server.error.as_ref().unwrap().alert(), Some(Alert::certificate_unknown));
    }
}

#[test]
fn pitfall_45_no_setting_but_a_dangerous_one_accepts_any_key() {
    let key = pki().server(Kind::P256).spki();
    let provider = seeded(0);
    let nobody = Verifier::raw_public_keys([]).unwrap();
    let certificates = Verifier::new(TrustAnchors::default());
    for verifier in [nobody, certificates, both(pki().server(Kind::Rsa), &[X509, RAW])] {
        let refused = verifier.verify_raw_public_key(&provider, &key).unwrap_err();
        assert_eq!(refused.reason.code(), "untrusted-key");
    }
    // Even that one has to be told to.
    let any = Verifier::danger_accept_any();
    let (client, server) = server_shows_key(80, any.clone());
    Calls::PLAIN.pair(client, server).refuse(Role::Server, Alert::handshake_failure);
    let any = any.with_certificate_types(&[RAW]).unwrap();
    let (client, server) = server_shows_key(81, any);
    Calls::PLAIN.pair(client, server).connect().chat();
}

#[test]
fn pitfall_45_a_key_is_not_enough_without_its_signature() {
    // Somebody shows a key that is trusted, and has another one.
    let (client, server) = server_shows_key(90, only(pki().server(Kind::P256)));
    let shown = pki().server(Kind::P256).spki();
    let schemes = [SignatureScheme::ecdsa_secp256r1_sha256];
    let credential = Credential::external_raw_public_key(shown, &schemes).unwrap();
    let other = &pki().client(Kind::P256).key;
    let other = (server.provider().load_key)(other).unwrap();
    let rng = server.provider().rng.clone();
    let server = ServerConfig::new(server.provider().clone(), vec![Arc::new(credential)]).unwrap();
    let mut pair = Calls::PLAIN.pair(client, server);
    pair.answerer = Box::new(move |_, question| match question {
        Question::Signature(request) => {
            Some(Answer::Signature(other.sign(request.scheme, &request.message, &*rng).unwrap()))
        }
        _ => None,
    });
    pair.refuse(Role::Client, Alert::decrypt_error);
}

#[test]
fn somebody_else_signs_and_somebody_else_judges() {
    Calls::each(|calls| {
        // Nobody is trusted by the configuration: the application knows better.
        let nobody = Verifier::raw_public_keys([]).unwrap();
        let (client, server) = server_shows_key(100, nobody);
        let identity = pki().server(Kind::P256);
        let schemes = [SignatureScheme::ecdsa_secp256r1_sha256];
        let credential = Credential::external_raw_public_key(identity.spki(), &schemes).unwrap();
        let signer = (server.provider().load_key)(&identity.key).unwrap();
        let rng = server.provider().rng.clone();
        let server =
            ServerConfig::new(server.provider().clone(), vec![Arc::new(credential)]).unwrap();
        let client = client.with_ask(Ask { verdict: true, ..Ask::default() });
        let mut pair = calls.pair(client, server);
        pair.answerer = Box::new(move |_, question| match question {
            Question::Signature(request) => {
                let signature = signer.sign(request.scheme, &request.message, &*rng).unwrap();
                Some(Answer::Signature(signature))
            }
            Question::Verdict(peer) => {
                assert_eq!(peer.raw_public_key, Some(pki().server(Kind::P256).spki()));
                assert!(peer.chain.is_empty());
                Some(Answer::Accept)
            }
            _ => None,
        });
        pair.connect().chat();
    });
}

/// Both show keys, and the client can resume.
fn resuming(seed: u64) -> (ClientConfig, ServerConfig) {
    let (client, server) = mutual(seed, Kind::P256);
    let sessions = Arc::new(MemorySessions::default());
    let tickets = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    (client.with_sessions(sessions), server.with_tickets(tickets))
}

/// Connects, and says whether a session was resumed.
fn resumes(client: &ClientConfig, server: &ServerConfig) -> bool {
    let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    pair.chat();
    for role in Role::BOTH {
        assert_eq!(peer_type(&mut pair, role), Some(RAW));
    }
    let client_key = pair.server.conn.summary().unwrap().peer_raw_public_key.clone();
    assert_eq!(client_key, Some(pki().client(Kind::P256).spki()));
    pair.client.conn.summary().unwrap().resumed
}

#[test]
fn a_session_keeps_the_keys() {
    let (client, server) = resuming(110);
    assert!(!resumes(&client, &server));
    for _ in 0..3 {
        assert!(resumes(&client, &server));
    }
}

#[test]
fn pitfall_30_a_session_by_raw_key_ends_with_the_trust_in_it() {
    let (client, server) = resuming(120);
    assert!(!resumes(&client, &server));
    assert!(resumes(&client, &server));
    // The server trusts another key besides: its tickets are from under another policy.
    let keys = [pki().client(Kind::P256).spki(), pki().client(Kind::P384).spki()];
    let auth = ClientAuth::Required(Verifier::raw_public_keys(keys).unwrap());
    assert!(!resumes(&client, &server.clone().with_client_auth(auth)));
    // It would take a certificate, too.
    let auth = ClientAuth::Required(both(pki().client(Kind::P256), &[RAW, X509]));
    assert!(!resumes(&client, &server.clone().with_client_auth(auth)));
    // The client trusts another key besides: it looks for its sessions elsewhere.
    let keys = [pki().server(Kind::P256).spki(), pki().server(Kind::P384).spki()];
    let verifier = Verifier::raw_public_keys(keys).unwrap();
    let changed = ClientConfig::new(client.provider().clone(), verifier).unwrap();
    let name = server_name();
    assert_ne!(changed.session_key(&name), client.session_key(&name));
    // And if it has the same key with a certificate.
    let credential = pki().client(Kind::P256).credential(client.provider());
    let changed = client.clone().with_credentials(vec![credential]);
    assert_ne!(changed.session_key(&name), client.session_key(&name));
    // The order of the keys is nothing.
    let keys = [pki().server(Kind::P384).spki(), pki().server(Kind::P256).spki()];
    let again = Verifier::raw_public_keys(keys.clone()).unwrap();
    let [a, b] = keys;
    let other = Verifier::raw_public_keys([b, a]).unwrap();
    let key = |verifier| {
        ClientConfig::new(client.provider().clone(), verifier).unwrap().session_key(&name)
    };
    assert_eq!(key(again), key(other));
}

#[test]
fn a_client_shows_its_key_after_the_handshake() {
    let ours = pki().client(Kind::P256);
    Calls::each(|calls| {
        let (client, server) = configs(130);
        let credentials = vec![ours.credential(client.provider()), ours.raw(client.provider())];
        let client = client.with_post_handshake_auth(true).with_credentials(credentials);
        let server = server.with_client_auth(ClientAuth::OnRequest(only(ours)));
        let mut pair = calls.pair(client, server).connect();
        pair.chat();
        assert_eq!(peer_type(&mut pair, Role::Server), None);
        pair.server.call(|conn, out| conn.request_client_certificate(out)).unwrap();
        pair.pump();
        pair.chat();
        assert!(matches!(pair.server.events.last(), Some(Event::ClientAnswered { known: true })));
        let summary = pair.server.conn.summary().unwrap();
        assert_eq!(summary.peer_raw_public_key, Some(ours.spki()));
    });
    // A client that has none of that type cannot be asked, and is not refused for it.
    let (client, server) = configs(131);
    let credential = ours.credential(client.provider());
    let client = client.with_post_handshake_auth(true).with_credentials(vec![credential]);
    let server = server.with_client_auth(ClientAuth::OnRequest(only(ours)));
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    let asked = pair.server.call(|conn, out| conn.request_client_certificate(out));
    assert!(matches!(asked, Err(Error::Misuse(Misuse::NoPostHandshakeAuth))));
    pair.chat();
}

#[test]
fn a_connection_moves_with_its_keys() {
    let (client, server) = resuming(140);
    let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    let (client, server) = (Arc::new(client), Arc::new(server));
    for role in Role::BOTH {
        let key = MigrationKey::generate(&seeded(141)).unwrap();
        let dead = Connection::server(server.clone());
        let side = pair.side(role);
        let blob = std::mem::replace(&mut side.conn, dead).freeze(&key).unwrap();
        side.conn = match role {
            Role::Client => Connection::thaw_client(&client, &key, &blob).unwrap(),
            Role::Server => Connection::thaw_server(&server, &key, &blob).unwrap(),
        };
        assert_eq!(peer_type(&mut pair, role), Some(RAW));
    }
    // A ticket that is issued afterwards still knows whom it was issued to.
    let now = pair.now;
    pair.server.call(|conn, out| conn.send_ticket(now, out)).unwrap();
    pair.chat();
    assert!(resumes(&client, &server));
}

#[test]
fn what_is_no_key_is_refused() {
    let provider = seeded(0);
    let key = pki().server(Kind::P256).spki();
    let spki = |bytes: &[u8]| SubjectPublicKeyInfoDer::from(bytes.to_vec());
    let certificate = &pki().server(Kind::P256).chain[0];
    // A key of 1024 bits, and one of a kind that TLS 1.3 does not have (X25519).
    let mut weak = vec![0x30, 0x81, 0x9f, 0x30, 0x0d, 6, 9];
    weak.extend([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0, 3, 0x81, 0x8d, 0]);
    weak.extend([0x30, 0x81, 0x89, 2, 0x81, 0x81, 0]);
    weak.extend([0xff; 128]);
    weak.extend([2, 3, 1, 0, 1]);
    let x25519 =
        [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0][..], &[9; 32]].concat();
    let any = Verifier::danger_accept_any();
    for (bytes, code) in [
        (&[][..], "malformed"),
        (&[0x30, 0], "malformed"),
        (&key[1..], "malformed"),
        (&key[..key.len() - 1], "malformed"),
        (&[&key[..], &[0]].concat(), "malformed"),
        (certificate, "malformed"),
        (&weak, "weak-key"),
        (&x25519, "unsupported-key"),
    ] {
        let bad = spki(bytes);
        let error = any.verify_raw_public_key(&provider, &bad).unwrap_err();
        assert_eq!(error.reason.code(), code, "{bytes:02x?}");
        let trusted = Verifier::raw_public_keys([bad.clone()]);
        assert!(matches!(trusted, Err(Error::Misuse(Misuse::Config(_)))), "{bytes:02x?}");
        let schemes = [SignatureScheme::rsa_pss_rsae_sha256];
        let credential = Credential::external_raw_public_key(bad, &schemes);
        assert!(matches!(credential, Err(Error::Misuse(Misuse::Credential))), "{bytes:02x?}");
    }
    let wrong = Credential::external_raw_public_key(key, &[SignatureScheme::ed25519]);
    assert!(matches!(wrong, Err(Error::Misuse(Misuse::Credential))));
}

#[test]
fn types_that_a_verifier_cannot_judge_are_refused() {
    let bad = |verifier: &Verifier, types: &[CertificateType]| {
        let result = verifier.clone().with_certificate_types(types);
        assert!(matches!(result, Err(Error::Misuse(Misuse::Config(_)))), "{types:?}");
    };
    let certificates = Verifier::new(pki().anchors());
    let keys = only(pki().server(Kind::P256));
    bad(&certificates, &[RAW]);
    bad(&certificates, &[X509, RAW]);
    bad(&keys, &[X509]);
    bad(&keys, &[]);
    bad(&both(pki().server(Kind::P256), &[X509, RAW]), &[X509, X509]);
    bad(&Verifier::danger_accept_any(), &[CertificateType::OpenPGP]);
}
