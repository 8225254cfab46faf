//! Pre-shared keys from elsewhere (RFC 9846 §2.2, RFC 9258), and what happens when one is declined.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use sealwire::codepoints::{Alert, CipherSuiteId, NamedGroup};
use sealwire::{
    Answer, Ask, ClientAuth, ClientConfig, Error, ExternalPsk, MemorySessions, NoOverlap, PskHash,
    PskPolicy, Question, ServerConfig, Summary, TicketKeys, Verifier, Violation,
};
use support::{Calls, Pair, Role, Sink, configs, now, pki};

type Psks = Vec<Arc<ExternalPsk>>;

fn bare(name: &[u8]) -> ExternalPsk {
    ExternalPsk::new(name, &[7; 32]).unwrap()
}

fn psk(name: &[u8]) -> Arc<ExternalPsk> {
    Arc::new(bare(name).with_roles(b"client", b"server").unwrap())
}

fn both(seed: u64, client: Psks, server: Psks, policy: PskPolicy) -> (ClientConfig, ServerConfig) {
    let (c, s) = configs(seed);
    (c.with_external_psks(client, policy), s.with_external_psks(server, policy))
}

/// Connects, chats, and checks that both agree on the key.
fn connect(calls: Calls, (client, server): (ClientConfig, ServerConfig)) -> Summary {
    let mut pair = calls.pair(client, server).connect();
    pair.chat();
    let [client, server] = Role::BOTH.map(|role| pair.side(role).conn.summary().unwrap().clone());
    assert_eq!(client.external_psk, server.external_psk);
    assert!(!client.resumed && !server.resumed);
    // Either the key or the certificate.
    assert_eq!(client.external_psk.is_some(), client.peer_chain.is_empty());
    client
}

#[test]
fn a_key_with_each_suite_and_after_a_retry() {
    let suites = [
        CipherSuiteId::TLS_AES_128_GCM_SHA256,
        CipherSuiteId::TLS_AES_256_GCM_SHA384,
        CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
    ];
    Calls::each(|calls| {
        for (suite, retry) in suites.into_iter().flat_map(|suite| [(suite, false), (suite, true)]) {
            for hash in [PskHash::Sha256, PskHash::Sha384] {
                let make = || {
                    let psk = bare(b"me").with_hash(hash).with_roles(b"c", b"s").unwrap();
                    vec![Arc::new(psk)]
                };
                let (client, server) = both(400, make(), make(), PskPolicy::Required);
                let client = match retry {
                    true => client.with_key_shares(&[]).unwrap(),
                    false => client,
                };
                // The client offers the key for both hashes; the server's only suite decides.
                let server = server.with_suites(&[suite]).unwrap();
                let summary = connect(calls, (client, server));
                assert_eq!((summary.suite, summary.retried), (suite, retry));
                assert_eq!(summary.external_psk.as_deref(), Some(&b"me"[..]));
            }
        }
    });
}

#[test]
fn the_key_is_chosen_by_its_name() {
    let names: [&[u8]; 5] = [b"a", b"ab", b"a\0", b"a\0b", b"\0"];
    for name in names {
        let all = names.iter().map(|name| psk(name)).collect();
        let configs = both(401, vec![psk(name)], all, PskPolicy::Required);
        let summary = connect(Calls::PLAIN, configs);
        assert_eq!(summary.external_psk.as_deref(), Some(name));
    }
    // The server's order decides.
    let client = vec![psk(b"ab"), psk(b"a"), psk(b"a\0")];
    let configs = both(402, client, vec![psk(b"a\0"), psk(b"a")], PskPolicy::Required);
    assert_eq!(connect(Calls::PLAIN, configs).external_psk.as_deref(), Some(&b"a\0"[..]));
}

#[test]
fn pitfall_33_a_name_with_nul_or_a_prefix_is_another_name() {
    let names: [&[u8]; 6] = [b"a", b"ab", b"a\0", b"a\0b", b"\0a", b"A"];
    for (i, ours) in names.iter().enumerate() {
        for (j, theirs) in names.iter().enumerate().filter(|(j, _)| *j != i) {
            let configs = both(403, vec![psk(ours)], vec![psk(theirs)], PskPolicy::Required);
            let pair = Calls::PLAIN.pair(configs.0, configs.1);
            let pair = pair.refuse(Role::Server, Alert::unknown_psk_identity);
            let error = pair.server.error.as_ref();
            assert!(matches!(error, Some(Error::NoOverlap(NoOverlap::Psk))), "{i} {j}");
        }
    }
    // What is name and what is context cannot be confused either.
    let one = Arc::new(bare(b"ab").with_context(b"c").unwrap());
    let two = Arc::new(bare(b"a").with_context(b"bc").unwrap());
    let configs = both(404, vec![one], vec![two], PskPolicy::Required);
    Calls::PLAIN.pair(configs.0, configs.1).refuse(Role::Server, Alert::unknown_psk_identity);
    let roles = |c: &[u8], s: &[u8]| vec![Arc::new(bare(b"x").with_roles(c, s).unwrap())];
    let configs = both(405, roles(b"ab", b"c"), roles(b"a", b"bc"), PskPolicy::Required);
    Calls::PLAIN.pair(configs.0, configs.1).refuse(Role::Server, Alert::unknown_psk_identity);
}

/// Reflects a client's own ClientHello to a server in the same process that knows the same secret.
fn reflect(client: Psks, server: Psks) -> Pair {
    let (client, server) = both(406, client, server, PskPolicy::Required);
    let mut pair = Calls::PLAIN.pair(client, server);
    pair.pump();
    pair
}

/// RFC 9257 §4.1
#[test]
fn pitfall_33_selfie() {
    let node = |client: &[u8], server: &[u8]| {
        vec![Arc::new(bare(b"shared").with_roles(client, server).unwrap())]
    };
    // One node plays both parts: as a client it is alice who talks to bob, as a server it is alice whom bob talks to.
    let pair = reflect(node(b"alice", b"bob"), node(b"bob", b"alice"));
    assert!(!pair.client.conn.is_connected() && !pair.server.conn.is_connected());
    assert!(matches!(pair.server.error, Some(Error::NoOverlap(NoOverlap::Psk))));
    // Bob himself is another matter.
    assert!(reflect(node(b"alice", b"bob"), node(b"alice", b"bob")).client.conn.is_connected());
    // Without roles alice talks to herself and takes it for bob: that is what the roles are for.
    let without = || vec![Arc::new(bare(b"shared"))];
    assert!(reflect(without(), without()).client.conn.is_connected());
    let bare = || vec![Arc::new(bare(b"shared").danger_not_imported())];
    assert!(reflect(bare(), bare()).client.conn.is_connected());
}

#[test]
fn pitfall_33_a_declined_key_is_not_a_certificate() {
    // The client insists: a server that does not know the key, and one that has no keys at all.
    for server_has in [vec![psk(b"other")], Vec::new()] {
        let (client, server) = configs(407);
        let client = client.with_external_psks(vec![psk(b"name")], PskPolicy::Required);
        let server = server.with_external_psks(server_has, PskPolicy::OrCertificate);
        let mut pair = Calls::PLAIN.pair(client, server);
        pair.pump();
        let error = pair.client.error.clone();
        assert!(matches!(error, Some(Error::Violation(Violation::PskDeclined))), "{error:?}");
        assert_eq!(error.unwrap().alert(), Some(Alert::handshake_failure));
        assert!(!pair.client.conn.is_connected() && !pair.server.conn.is_connected());
    }
    // The server insists: a client that has another key, and one that has none.
    for client_has in [vec![psk(b"other")], Vec::new()] {
        let (client, server) = configs(408);
        let client = client.with_external_psks(client_has, PskPolicy::OrCertificate);
        let server = server.with_external_psks(vec![psk(b"name")], PskPolicy::Required);
        let pair = Calls::PLAIN.pair(client, server);
        pair.refuse(Role::Server, Alert::unknown_psk_identity);
    }
    // The same with the wrong secret behind the right name.
    let (client, server) = configs(409);
    for policy in [PskPolicy::Required, PskPolicy::OrCertificate] {
        let wrong = Arc::new(ExternalPsk::new(b"name", &[8; 32]).unwrap());
        let right = Arc::new(bare(b"name"));
        let client = client.clone().with_external_psks(vec![wrong], policy);
        let server = server.clone().with_external_psks(vec![right], policy);
        let pair = Calls::PLAIN.pair(client, server);
        let pair = pair.refuse(Role::Server, Violation::BadBinder.alert());
        assert!(matches!(pair.server.error, Some(Error::Violation(Violation::BadBinder))));
    }
}

#[test]
fn certificates_take_over_only_if_told_so() {
    Calls::each(|calls| {
        let summary = connect(
            calls,
            both(410, vec![psk(b"mine")], vec![psk(b"yours")], PskPolicy::OrCertificate),
        );
        assert!(summary.external_psk.is_none() && summary.peer_scheme.is_some());
        let summary =
            connect(calls, both(411, vec![psk(b"x")], vec![psk(b"x")], PskPolicy::OrCertificate));
        assert!(summary.external_psk.is_some() && summary.peer_scheme.is_none());
    });
    // The certificate is then looked at like any other.
    let (client, server) = configs(412);
    let credential = pki().other_server.credential(server.provider());
    let server = ServerConfig::new(server.provider().clone(), vec![credential]).unwrap();
    let client = client.with_external_psks(vec![psk(b"x")], PskPolicy::OrCertificate);
    let mut pair = Calls::PLAIN.pair(client, server);
    pair.pump();
    assert!(matches!(pair.client.error, Some(Error::Certificate(_))));
    // And so is the client's.
    let (client, server) = configs(413);
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    let server = server.with_client_auth(auth);
    let server = server.with_external_psks(vec![psk(b"x")], PskPolicy::OrCertificate);
    Calls::PLAIN.pair(client, server).refuse(Role::Server, Alert::certificate_required);
}

#[test]
fn a_server_with_keys_needs_no_certificate() {
    let (client, server) = both(414, vec![psk(b"x")], vec![psk(b"x")], PskPolicy::Required);
    let none = ServerConfig::new(server.provider().clone(), Vec::new()).unwrap();
    let none = none.with_external_psks(vec![psk(b"x")], PskPolicy::Required);
    let summary = connect(Calls::PLAIN, (client, none));
    assert!(summary.external_psk.is_some() && summary.peer_chain.is_empty());
}

#[test]
fn not_imported_and_imported_are_two_keys() {
    let plain = || Arc::new(bare(b"x").danger_not_imported());
    for hash in [PskHash::Sha256, PskHash::Sha384] {
        let plain = || vec![Arc::new(bare(b"x").with_hash(hash).danger_not_imported())];
        let suite = match hash {
            PskHash::Sha384 => CipherSuiteId::TLS_AES_256_GCM_SHA384,
            _ => CipherSuiteId::TLS_AES_128_GCM_SHA256,
        };
        let (client, server) = both(415, plain(), plain(), PskPolicy::Required);
        let server = server.with_suites(&[suite]).unwrap();
        assert_eq!(connect(Calls::PLAIN, (client, server)).suite, suite);
    }
    for (ours, theirs) in [(plain(), Arc::new(bare(b"x"))), (Arc::new(bare(b"x")), plain())] {
        let (client, server) = both(416, vec![ours], vec![theirs], PskPolicy::Required);
        Calls::PLAIN.pair(client, server).refuse(Role::Server, Alert::unknown_psk_identity);
    }
    // Even under a name that looks like an imported one, since the binder says which it is (RFC 9258 §5.2).
    let looks = [&[0, 1][..], b"x", &[0, 0, 3, 4, 0, 1]].concat();
    let fake = Arc::new(ExternalPsk::new(&looks, &[7; 32]).unwrap().danger_not_imported());
    let (client, server) = both(417, vec![fake], vec![Arc::new(bare(b"x"))], PskPolicy::Required);
    let server = server.with_suites(&[CipherSuiteId::TLS_AES_128_GCM_SHA256]).unwrap();
    Calls::PLAIN.pair(client, server).refuse(Role::Server, Violation::BadBinder.alert());
}

#[test]
fn keys_without_a_key_exchange_are_a_danger_of_their_own() {
    let configs = || both(418, vec![psk(b"x")], vec![psk(b"x")], PskPolicy::Required);
    // Whoever does not ask for it does not get it, whatever the other one allows.
    let (client, server) = configs();
    let summary = connect(Calls::PLAIN, (client, server.with_danger_psk_without_key_exchange()));
    assert!(summary.group.is_some());
    let (client, server) = configs();
    let summary = connect(Calls::PLAIN, (client.with_danger_psk_without_key_exchange(), server));
    assert!(summary.group.is_some());
    // Where both allow it, a key exchange is done all the same, since both can.
    let (client, server) = configs();
    let client = client.with_danger_psk_without_key_exchange();
    let server = server.with_danger_psk_without_key_exchange();
    assert!(connect(Calls::PLAIN, (client, server)).group.is_some());
}

/// No ticket may take the place of a key that is insisted on.
#[test]
fn pitfall_33_a_ticket_is_not_an_external_key() {
    let (client, server) = configs(419);
    let sessions = Arc::new(MemorySessions::default());
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let client = client.with_sessions(sessions.clone());
    let server = server.with_tickets(keys);
    connect(Calls::PLAIN, (client.clone(), server.clone()));
    assert_eq!(sessions.len(), 2);
    // The same tickets, in a configuration that insists on a key: this client has none.
    let strict = server.clone().with_external_psks(vec![psk(b"x")], PskPolicy::Required);
    let pair = Calls::PLAIN.pair(client.clone(), strict.clone());
    pair.refuse(Role::Server, Alert::unknown_psk_identity);
    // A client that has both gets in by the key, and not by the ticket that it offers first.
    let client = client.with_external_psks(vec![psk(b"x")], PskPolicy::OrCertificate);
    assert_eq!(sessions.len(), 1);
    let summary = connect(Calls::PLAIN, (client, strict.clone()));
    assert_eq!(summary.external_psk.as_deref(), Some(&b"x"[..]));
    // A client that insists does not even offer the ticket, and gets others.
    let (client, _) = configs(419);
    let client = client.with_sessions(sessions.clone());
    connect(Calls::PLAIN, (client.clone(), server.clone()));
    let left = sessions.len();
    let client = client.with_external_psks(vec![psk(b"x")], PskPolicy::Required);
    connect(Calls::PLAIN, (client, strict));
    assert_eq!(sessions.len(), left + 2);
}

#[test]
fn the_application_says_which_key_it_is() {
    Calls::each(|calls| {
        for answer in [Answer::UseConfig, Answer::ExternalPsk(1, psk(b"second"))] {
            let client = vec![psk(b"first"), psk(b"second")];
            let (client, server) = both(420, client, vec![psk(b"second")], PskPolicy::Required);
            let aes = [CipherSuiteId::TLS_AES_128_GCM_SHA256];
            let client = client.with_suites(&aes).unwrap();
            let server = server.with_ask(Ask { psk: true, ..Ask::default() });
            let mut pair = calls.pair(client, server);
            pair.answerer = Box::new(move |role, question| {
                let Question::Psk(identities) = question else { panic!("{question:?}") };
                assert_eq!((role, identities.len()), (Role::Server, 2));
                Some(answer.clone())
            });
            let pair = pair.connect();
            let summary = pair.server.conn.summary().unwrap();
            assert_eq!(summary.external_psk.as_deref(), Some(&b"second"[..]));
        }
    });
    // A key that is not the one at that place, a place that there is not, none, and a refusal.
    let answers = [
        (Answer::ExternalPsk(0, psk(b"other")), Alert::unknown_psk_identity),
        (Answer::ExternalPsk(1, psk(b"first")), Alert::unknown_psk_identity),
        (Answer::ExternalPsk(usize::MAX, psk(b"first")), Alert::unknown_psk_identity),
        (Answer::NoPsk, Alert::unknown_psk_identity),
        (Answer::Refuse(Alert::access_denied), Alert::access_denied),
    ];
    for (answer, alert) in answers {
        let (client, server) = both(421, vec![psk(b"first")], vec![psk(b"x")], PskPolicy::Required);
        let server = server.with_ask(Ask { psk: true, ..Ask::default() });
        let mut pair = Calls::PLAIN.pair(client, server);
        pair.answerer = Box::new(move |_, _| Some(answer.clone()));
        pair.refuse(Role::Server, alert);
    }
}

/// A client that would take a key alone, with one that nobody knows, gets a full handshake.
#[test]
fn a_key_alone_that_is_unknown_leads_to_a_full_handshake() {
    let aes = [CipherSuiteId::TLS_AES_128_GCM_SHA256];
    for shares in [&[NamedGroup::x25519][..], &[]] {
        let (client, server) = configs(422);
        let hook = only_psk_ke();
        let client = client
            .with_groups(&[NamedGroup::x25519])
            .unwrap()
            .with_key_shares(shares)
            .unwrap()
            .with_suites(&aes)
            .unwrap()
            .with_external_psks(vec![psk(b"x")], PskPolicy::OrCertificate)
            .with_danger_psk_without_key_exchange();
        let client = client.with_message_hook(hook);
        let server = server.with_danger_psk_without_key_exchange();
        let alone = server.clone().with_external_psks(vec![psk(b"x")], PskPolicy::Required);
        let other = server.with_external_psks(vec![psk(b"y")], PskPolicy::OrCertificate);
        let summary = connect(Calls::PLAIN, (client.clone(), alone));
        assert_eq!((summary.group, summary.external_psk.is_some()), (None, true));
        let summary = connect(Calls::PLAIN, (client, other));
        assert_eq!(summary.group, Some(NamedGroup::x25519));
        assert!(summary.external_psk.is_none() && summary.retried == shares.is_empty());
    }
}

/// Makes a client that offers both modes offer only the one without a key exchange.
fn only_psk_ke() -> sealwire::crypto::deterministic::MessageHook {
    sealwire::crypto::deterministic::MessageHook(Arc::new(|_, message| {
        // psk_key_exchange_modes with both, and then one of them twice.
        let both = [0, 45, 0, 3, 2, 1, 0];
        if let Some(at) = message.windows(7).position(|w| w == both) {
            message[at + 5] = 0;
        }
    }))
}

#[test]
fn a_short_key_is_refused() {
    for len in 0..16 {
        assert!(ExternalPsk::new(b"x", &vec![7; len]).is_err(), "{len} bytes");
    }
    let (client, server) = (ExternalPsk::new(b"x", &[7; 16]), ExternalPsk::new(b"x", &[7; 16]));
    let configs = both(
        423,
        vec![Arc::new(client.unwrap())],
        vec![Arc::new(server.unwrap())],
        PskPolicy::Required,
    );
    connect(Calls { sink: Sink::Fixed(0), ..Calls::PLAIN }, configs);
}
