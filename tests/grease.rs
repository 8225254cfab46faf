//! GREASE (RFC 8701): what nobody knows is offered, ignored, and never taken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sealwire::codepoints::{Alert, ExtensionType, HandshakeType, NamedGroup};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::{
    ClientAuth, ClientConfig, ClientHelloView, Error, MemorySessions, ServerConfig, TicketKeys,
    Verifier, Violation,
};
use support::{Calls, Kind, Pair, Role, configs, now, pki};

fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// A client and a server that do everything in which there can be GREASE.
fn greased(seed: u64) -> (ClientConfig, ServerConfig, Arc<MemorySessions>) {
    let (client, server) = configs(seed);
    let sessions = Arc::new(MemorySessions::default());
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let credential = pki().client(Kind::P256).credential(client.provider());
    let client = client.with_sessions(sessions.clone()).with_credentials(vec![credential]);
    let server = server.with_tickets(keys);
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    (
        client.with_alpn(&[b"h2"]).unwrap().with_grease(true),
        server.with_alpn(&[b"h2"]).unwrap().with_client_auth(auth).with_grease(true),
        sessions,
    )
}

/// Every handshake message of a side.
fn recorded() -> (MessageHook, Arc<Mutex<Vec<Vec<u8>>>>) {
    let list = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&list);
    let hook = MessageHook(Arc::new(move |_, message| seen.lock().unwrap().push(message.clone())));
    (hook, list)
}

/// Those of one type.
fn of_type(list: &Mutex<Vec<Vec<u8>>>, kind: HandshakeType) -> Vec<Vec<u8>> {
    let list = list.lock().unwrap();
    list.iter().filter(|message| message[0] == kind.0).cloned().collect()
}

/// The GREASE values of a ClientHello, list by list: suites, versions, groups, shares, schemes, protocols, modes, extensions.
fn values(hello: &ClientHelloView) -> [Vec<u16>; 8] {
    let only = |list: Vec<u16>| list.into_iter().filter(|value| is_grease(*value)).collect();
    let alpn = hello.alpn().into_iter().filter(|name| name.len() == 2);
    let extensions = hello.extensions();
    let body = |kind| {
        let found = extensions.iter().find(|(k, _)| *k == kind);
        found.map(|(_, body)| body.to_vec()).unwrap_or_default()
    };
    let shares = body(ExtensionType::key_share);
    let mut entries = Vec::new();
    let mut rest = &shares[2..];
    while let [a, b, c, d, tail @ ..] = rest {
        entries.push(u16::from_be_bytes([*a, *b]));
        rest = &tail[usize::from(u16::from_be_bytes([*c, *d]))..];
    }
    let modes = body(ExtensionType::psk_key_exchange_modes);
    let known = [0x0b, 0x2a, 0x49, 0x68, 0x87, 0xa6, 0xc5, 0xe4];
    [
        only(hello.suites().iter().map(|id| id.0).collect()),
        only(hello.versions().iter().map(|id| id.0).collect()),
        only(hello.groups().iter().map(|id| id.0).collect()),
        only(entries),
        only(hello.schemes().iter().map(|id| id.0).collect()),
        only(alpn.map(|name| u16::from_be_bytes([name[0], name[1]])).collect()),
        modes.into_iter().skip(1).filter(|mode| known.contains(mode)).map(u16::from).collect(),
        only(extensions.iter().map(|(kind, _)| kind.0).collect()),
    ]
}

#[test]
fn everything_works_with_values_that_nobody_knows() {
    Calls::each(|calls| {
        let (client, server, sessions) = greased(600);
        for (retry, resumed) in [(false, false), (false, true), (true, true)] {
            let (hook, sent) = recorded();
            let client = client.clone().with_message_hook(hook);
            let client = if retry { client.with_key_shares(&[]).unwrap() } else { client };
            let (hook, answered) = recorded();
            let server = server.clone().with_message_hook(hook);
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            let summary = pair.server.conn.summary().unwrap();
            assert_eq!((summary.retried, summary.resumed), (retry, resumed));
            assert_eq!(sessions.len(), 2 + usize::from(resumed) + usize::from(retry));

            let hellos = of_type(&sent, HandshakeType::client_hello);
            assert_eq!(hellos.len(), 1 + usize::from(retry));
            let views = hellos.iter().map(|raw| ClientHelloView::from_bytes(raw).unwrap());
            let lists: Vec<_> = views.map(|view| values(&view)).collect();
            assert_eq!(lists[0].each_ref().map(Vec::len), [1, 1, 1, 1, 1, 1, 1, 2]);
            assert_eq!(lists[0][2], lists[0][3], "a share is for a group of the list");
            if let [first, second] = &lists[..] {
                // RFC 9846 §4.2.2: nothing has changed, but that the one share stands alone.
                let mut expected = first.clone();
                expected[3].clear();
                assert_eq!(*second, expected);
            }
            let requests = of_type(&answered, HandshakeType::certificate_request);
            assert_eq!(requests.len(), usize::from(!resumed));
            for request in requests {
                // An empty extension at the end; and the first of the schemes, in the first extension.
                let tail = &request[request.len() - 4..];
                assert!(is_grease(u16::from_be_bytes([tail[0], tail[1]])) && tail[2..] == [0, 0]);
                assert!(is_grease(u16::from_be_bytes([request[13], request[14]])));
            }
        }
    });
}

/// RFC 8701 §5: drawn anew for each connection.
#[test]
fn values_are_drawn_at_random() {
    let (client, server, _) = greased(601);
    let mut seen = BTreeSet::new();
    for _ in 0..16 {
        let (hook, sent) = recorded();
        Calls::PLAIN.pair(client.clone().with_message_hook(hook), server.clone()).connect();
        let hello = of_type(&sent, HandshakeType::client_hello).remove(0);
        seen.insert(values(&ClientHelloView::from_bytes(&hello).unwrap()));
    }
    assert!(seen.len() >= 10, "{}", seen.len());
}

/// Who does not ask for it has none of it.
#[test]
fn nothing_is_offered_by_default() {
    let (client, server, _) = greased(602);
    let (hook, sent) = recorded();
    let client = client.with_grease(false).with_message_hook(hook);
    let plain = Calls::PLAIN.pair(client.clone(), server.clone().with_grease(false)).connect();
    let hello = of_type(&sent, HandshakeType::client_hello).remove(0);
    assert!(values(&ClientHelloView::from_bytes(&hello).unwrap()).iter().all(Vec::is_empty));
    // The last record of a server has two tickets, with an extension of four bytes in each.
    let client = client.with_sessions(Arc::new(MemorySessions::default()));
    let greased = Calls::PLAIN.pair(client, server).connect();
    let last = |pair: &Pair| pair.server.records(0).last().unwrap().len();
    assert_eq!(last(&greased), last(&plain) + 2 * 4);
}

/// The server does something with the values that the client has offered, and the client refuses.
fn never_taken(
    kind: HandshakeType,
    alert: Alert,
    expected: &[Violation],
    edit: impl Fn(&[Vec<u16>; 8], &mut Vec<u8>) + Send + Sync + 'static,
) {
    let (client, server, _) = greased(603);
    let (hook, sent) = recorded();
    let client = client.with_message_hook(hook);
    let hook = MessageHook(Arc::new(move |this, message| {
        if this == kind {
            let hello = of_type(&sent, HandshakeType::client_hello).remove(0);
            edit(&values(&ClientHelloView::from_bytes(&hello).unwrap()), message);
        }
    }));
    let mut pair: Pair = Calls::PLAIN.pair(client, server.with_message_hook(hook));
    pair.pump();
    let error = pair.client.error.as_ref().expect("it was taken");
    let known = |v: &Violation| matches!(error, Error::Violation(violation) if violation == v);
    assert!(expected.iter().any(known), "{error:?}");
    assert_eq!(error.alert(), Some(alert));
    assert_eq!(pair.side(Role::Client).times_connected(), 0);
}

/// Adds an extension to a message whose block of extensions ends it, and begins at `block`.
fn add(message: &mut Vec<u8>, block: usize, kind: u16, body: &[u8]) {
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    message.extend(kind.to_be_bytes());
    message.extend([high, low]);
    message.extend(body);
    let len = u16::try_from(message.len() - block - 2).unwrap();
    message[block..block + 2].copy_from_slice(&len.to_be_bytes());
    let len = u16::try_from(message.len() - 4).unwrap();
    message[2..4].copy_from_slice(&len.to_be_bytes());
}

/// In a ServerHello with a session identifier of 32 bytes.
const SUITE: usize = 4 + 2 + 32 + 33;

/// The body of an extension of a ServerHello.
fn body_of(message: &[u8], kind: ExtensionType) -> usize {
    let mut at = SUITE + 2 + 1 + 2;
    while message[at..at + 2] != kind.0.to_be_bytes() {
        at += 4 + usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
    }
    at + 4
}

/// RFC 8701 §3.1: a client rejects what it has offered and does not know.
#[test]
fn what_nobody_knows_is_never_selected() {
    let (illegal, hello) = (Alert::illegal_parameter, HandshakeType::server_hello);
    never_taken(hello, illegal, &[Violation::UnofferedCipherSuite], |values, message| {
        message[SUITE..SUITE + 2].copy_from_slice(&values[0][0].to_be_bytes());
    });
    never_taken(hello, illegal, &[Violation::BadSelectedVersion], |values, message| {
        let at = body_of(message, ExtensionType::supported_versions);
        message[at..at + 2].copy_from_slice(&values[1][0].to_be_bytes());
    });
    never_taken(hello, illegal, &[Violation::UnofferedGroup], |values, message| {
        let at = body_of(message, ExtensionType::key_share);
        message[at..at + 2].copy_from_slice(&values[2][0].to_be_bytes());
    });
    let proof = HandshakeType::certificate_verify;
    never_taken(proof, illegal, &[Violation::UnofferedSignatureScheme], |values, message| {
        message[4..6].copy_from_slice(&values[4][0].to_be_bytes());
    });
    let encrypted = HandshakeType::encrypted_extensions;
    never_taken(encrypted, illegal, &[Violation::BadAlpn], |values, message| {
        let at = message.windows(2).position(|name| name == b"h2").unwrap();
        message[at..at + 2].copy_from_slice(&values[5][0].to_be_bytes());
    });
    // An extension that answers none of ours is unsupported_extension (RFC 9846 §4.3).
    let unsolicited = (Alert::unsupported_extension, [Violation::UnsolicitedExtension]);
    for which in [0, 1] {
        never_taken(encrypted, unsolicited.0, &unsolicited.1, move |values, message| {
            add(message, 4, values[7][which], &[]);
        });
        never_taken(hello, unsolicited.0, &unsolicited.1, move |values, message| {
            add(message, SUITE + 3, values[7][which], &[]);
        });
    }
}

/// RFC 9846 §4.3.8: nor is it asked for in a HelloRetryRequest, though it is in the list of groups.
#[test]
fn a_retry_for_a_group_that_nobody_knows_is_refused() {
    let (client, server, _) = greased(604);
    let (hook, sent) = recorded();
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
    let client = client.with_groups(&groups).unwrap().with_key_shares(&groups[..1]).unwrap();
    let server = server.with_groups(&groups[1..]).unwrap();
    let hook_of_server = MessageHook(Arc::new(move |kind, message| {
        if kind == HandshakeType::server_hello {
            let hello = of_type(&sent, HandshakeType::client_hello).remove(0);
            let group = values(&ClientHelloView::from_bytes(&hello).unwrap())[2][0];
            let at = body_of(message, ExtensionType::key_share);
            message[at..at + 2].copy_from_slice(&group.to_be_bytes());
        }
    }));
    let client = client.with_message_hook(hook);
    let mut pair = Calls::PLAIN.pair(client, server.with_message_hook(hook_of_server));
    pair.pump();
    let error = pair.client.error.as_ref().unwrap();
    assert!(matches!(error, Error::Violation(Violation::BadRetryGroup)), "{error:?}");
}
