//! What other libraries got wrong in the handshake, as far as no rule of its own is broken (see `tests/pitfalls.md`).

use std::sync::Arc;

use sealwire::codepoints::{CipherSuiteId, ExtensionType as E, HandshakeType as H, NamedGroup};
use sealwire::crypto::Provider;
use sealwire::crypto::deterministic::{self, ScriptedRng};
use sealwire::{
    Answer, Ask, ClientConfig, Connection, Error, Event, Question, Read, ServerConfig, Violation,
};

use super::duel::{Duel, Unit, retry, simple};
use super::edit::{Parts, leaf_extensions, parts, vec16};
use super::psks::resumed;
use super::refuse::{SECOND_CLIENT_HELLO, refuse_edited};
use super::support::Role::{Client, Server};
use super::support::{Calls, Kind, Pair, Transport, configs, now, pki, records, server_name};

/// A ClientHello that comes in two records is the same to whoever chooses by it.
#[test]
fn pitfall_7_a_hello_cut_anywhere_reaches_the_application() {
    let (client, server) = simple();
    let ask = Ask { client_hello: true, ..Ask::default() };
    let server = Arc::new(server.with_ask(ask));
    let mut wire = Vec::new();
    Connection::client(Arc::new(client), server_name(), now(), &mut wire).unwrap();
    let whole = &wire[5..];
    let record = |part: &[u8]| [&[22, 3, 1][..], &vec16(part)].concat();
    for cut in 1..whole.len() {
        let mut conn = Connection::server(server.clone());
        let mut out = Vec::new();
        let mut asked = None;
        for part in [&whole[..cut], &whole[cut..]] {
            assert!(asked.is_none(), "asked about half a message");
            let _read = conn.read(now(), &mut record(part), &mut out).unwrap();
            asked = conn.poll_event();
        }
        let Some(Event::Ask(Question::ClientHello(hello))) = asked else { panic!("{asked:?}") };
        assert_eq!(hello.as_bytes(), whole, "cut at {cut}");
        conn.answer(now(), Answer::UseConfig, &mut out).unwrap();
        assert_eq!((out[0], out[5]), (22, 2), "cut at {cut}");
    }
}

/// A second ClientHello that lists a suite twice has changed, and so has one that leaves out its key; neither is answered.
#[test]
fn pitfall_8_a_second_hello_with_a_suite_twice_or_without_its_key() {
    let twice = parts(|parts: &mut Parts| {
        // Before the suites are their length, behind them the one compression method.
        let at = parts.head.len() - 2;
        let suites = parts.head[at - 2..at].to_vec();
        parts.head.splice(at..at, suites);
        let len = parts.head.len() - 2 - (at - 2);
        parts.head[at - 4..at - 2].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
    });
    let changed = Violation::ChangedClientHello;
    refuse_edited(Client, retry(), SECOND_CLIENT_HELLO, twice, changed);

    // A key may be left out only if it does not fit the suite (RFC 9846 §4.2.2).
    let (client, server) = resumed();
    let groups = [NamedGroup::x25519, NamedGroup::secp256r1];
    let client = client.with_groups(&groups).unwrap().with_key_shares(&groups[..1]).unwrap();
    let server = server.with_groups(&groups[1..]).unwrap();
    let mut pair = Calls::PLAIN.pair(client, server);
    pair.deliver(Client);
    pair.deliver(Server);
    let second = records(&pair.client.wire[pair.client.taken..]);
    let second = second.into_iter().find(|record| record[0] == 22).unwrap();
    let mut hello = Parts::of(&second[5..]);
    hello.remove(E::pre_shared_key);
    let second = [&[22, 3, 3][..], &vec16(&hello.build())].concat();
    pair.client.wire.truncate(pair.client.taken);
    pair.client.wire.extend(second);
    pair.deliver(Client);
    let error = pair.server.error.as_ref().unwrap();
    assert!(matches!(error, Error::Violation(Violation::MissingPreSharedKey)), "{error:?}");
    let answer = records(&pair.server.wire[pair.server.taken..]);
    assert!(answer.iter().all(|record| record[0] != 22), "the server answers");
}

/// What a client offers, and whether it sends shares for all of it or for the last group alone; what a server has; what
/// they settle on, and whether that took another round trip.
type Negotiation<'a> = (&'a [NamedGroup], bool, &'a [NamedGroup], NamedGroup, bool);

/// The server's policy decides: post-quantum whenever both have it, even at the price of a round trip; otherwise no round
/// trip that can be saved, and never a group that only one of them has.
#[test]
fn pitfall_9_the_group_is_that_of_the_policy() {
    use NamedGroup as G;
    const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;
    let cases: &[Negotiation<'_>] = &[
        (&[HYBRID, G::x25519], true, &[HYBRID, G::x25519], HYBRID, false),
        // The share is for a classical group: it does not tempt the server.
        (&[HYBRID, G::x25519], false, &[HYBRID, G::x25519], HYBRID, true),
        (&[G::x25519, HYBRID], true, &[G::x25519, HYBRID], HYBRID, false),
        // One of them has nothing post-quantum.
        (&[HYBRID, G::x25519], false, &[G::x25519], G::x25519, false),
        (&[G::secp256r1, G::x25519], true, &[HYBRID, G::x25519], G::x25519, false),
        // The server likes another one better, but not enough for a round trip.
        (&[G::secp256r1, G::x25519], false, &[G::secp256r1, G::x25519], G::x25519, false),
        (&[G::secp256r1, G::secp384r1], false, &[G::secp256r1], G::secp256r1, true),
    ];
    for (ours, all_shares, theirs, expected, retried) in cases {
        let (client, server) = configs(40);
        let shares = if *all_shares { ours } else { &ours[ours.len() - 1..] };
        let client = client.with_groups(ours).unwrap().with_key_shares(shares).unwrap();
        let server = server.with_groups(theirs).unwrap();
        let pair = Calls::PLAIN.pair(client, server).connect();
        let summary = pair.client.conn.summary().unwrap();
        assert_eq!(
            (summary.group, summary.retried),
            (Some(*expected), *retried),
            "{ours:?} {theirs:?}"
        );
    }
}

/// The shares of the hello at the front of this wire.
fn shares(wire: &[u8]) -> Vec<u8> {
    Parts::of(&records(wire)[0][5..]).data(E::key_share).clone()
}

/// RFC 9846 §4.3.8: a share is for one connection. That of a peer may come again.
#[test]
fn pitfall_36_a_share_is_used_once_and_may_come_twice() {
    let provider = sealwire::crypto::ring::provider();
    let (_, server) = configs(41);
    let verifier = sealwire::Verifier::new(pki().anchors());
    let client = ClientConfig::new(provider.clone(), verifier);
    let client = client.unwrap().with_groups(client_groups()).unwrap();
    let client = Arc::new(client.with_key_shares(client_groups()).unwrap());
    let hello = || {
        let mut wire = Vec::new();
        Connection::client(client.clone(), server_name(), now(), &mut wire).unwrap();
        wire
    };
    let (first, second) = (shares(&hello()), shares(&hello()));
    assert_eq!(first.len(), second.len());
    let parts = |bytes: &[u8]| bytes.chunks_exact(16).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let same = parts(&first).into_iter().filter(|part| parts(&second).contains(part)).count();
    assert_eq!(same, 0, "nothing of a share comes again");
    // Nor does a server answer the same share with the same one.
    let credential = pki().server(Kind::P256).credential(&provider);
    let fresh = Arc::new(ServerConfig::new(provider, vec![credential]).unwrap());
    let answer = |hello: &[u8]| {
        let mut out = Vec::new();
        let mut conn = Connection::server(fresh.clone());
        let mut hello = hello.to_vec();
        let read = conn.read(now(), &mut hello, &mut out).unwrap();
        assert!(matches!(read, Read::Control { .. }));
        shares(&out)
    };
    let wire = hello();
    assert_ne!(answer(&wire), answer(&wire));

    // A client that uses its key pair again gets through, as often as it likes.
    for _ in 0..2 {
        let draws = vec![vec![1; 32], vec![2; 32], vec![3; 32]];
        let rng = Arc::new(ScriptedRng::new(draws, 0));
        let provider = Provider { rng: rng.clone(), ..deterministic::provider(rng) };
        let verifier = sealwire::Verifier::new(pki().anchors());
        let again = ClientConfig::new(provider, verifier).unwrap();
        let again = again.with_groups(&[NamedGroup::x25519]).unwrap();
        Calls::PLAIN.pair(again, server.clone()).connect().chat();
    }
}

fn client_groups() -> &'static [NamedGroup] {
    &[NamedGroup::X25519MLKEM768, NamedGroup::secp256r1, NamedGroup::secp384r1]
}

/// What a server says in a handshake that fails teaches a client nothing: the next one begins as the first did.
#[test]
fn pitfall_37_nothing_is_learned_from_a_handshake_that_fails() {
    let (client, server) = configs(42);
    let groups = [NamedGroup::X25519MLKEM768, NamedGroup::secp384r1];
    let client = client.with_groups(&groups).unwrap().with_key_shares(&groups[..1]).unwrap();
    let sessions = Arc::new(sealwire::MemorySessions::default());
    let client = Arc::new(client.with_sessions(sessions.clone()));
    let first_groups = || {
        let mut wire = Vec::new();
        Connection::client(client.clone(), server_name(), now(), &mut wire).unwrap();
        let shares = shares(&wire);
        let hello = Parts::of(&wire[5..]);
        let kinds: Vec<_> = hello.extensions.iter().map(|(kind, _)| *kind).collect();
        (shares[2..4].to_vec(), shares.len(), kinds)
    };
    let before = first_groups();
    // It asks for another group, and then cannot prove who it is; or it has nothing to ask for, and nobody trusts it.
    let stranger = pki().other_server.credential(server.provider());
    let unknown = ServerConfig::new(server.provider().clone(), vec![stranger]).unwrap();
    for server in [unknown.clone().with_groups(&groups[1..]).unwrap(), unknown] {
        let side = Calls::PLAIN.client(&client, server_name(), None);
        let mut pair = Pair::of(side, Calls::PLAIN.server(server), Transport::Glued);
        pair.pump();
        assert!(pair.client.error.is_some());
        assert_eq!(first_groups(), before);
        assert!(sessions.is_empty());
    }
}

/// Whether a suite, group or key was chosen makes no difference to what comes after a key that was taken: a certificate
/// beside it is one too many (RFC 9846 §4.3.11).
#[test]
fn pitfall_3_a_server_that_took_a_key_shows_no_certificate() {
    let mut samples = Vec::new();
    Duel::new(Server, super::duel::mutual()).run(|unit| {
        if [H::certificate_request, H::certificate, H::certificate_verify]
            .iter()
            .any(|k| unit.is(*k))
        {
            samples.push(unit.content.clone());
        }
        vec![unit]
    });
    assert_eq!(samples.len(), 3);
    for (sample, got) in
        samples.iter().zip(["CertificateRequest", "Certificate", "CertificateVerify"])
    {
        let mut duel = Duel::new(Server, resumed());
        duel.run(|unit: Unit| match unit.is(H::finished) {
            true => vec![unit.with(sample.clone()), unit],
            false => vec![unit],
        });
        let state = "WAIT_FINISHED";
        duel.assert_refused(Error::UnexpectedMessage { state, got });
    }
}

/// A connection is never reset: each is made from a configuration that nobody can change, and one that has failed on a
/// client without TLS 1.3 leaves the next one untouched.
#[test]
fn pitfall_11_a_client_without_tls_1_3_is_refused_once() {
    let (client, server) = simple();
    let mut wire = Vec::new();
    Connection::client(Arc::new(client.clone()), server_name(), now(), &mut wire).unwrap();
    let mut old = Parts::of(&wire[5..]);
    old.remove(E::supported_versions);
    old.remove(E::key_share);
    let message = old.build();
    let mut record = [&[22, 3, 1][..], &vec16(&message)].concat();
    let server = Arc::new(server);
    let mut conn = Connection::server(server.clone());
    let mut out = Vec::new();
    let error = conn.read(now(), &mut record, &mut out).unwrap_err();
    assert_eq!(error.alert(), Some(sealwire::codepoints::Alert::protocol_version));
    assert_eq!(out, [21, 3, 3, 0, 2, 2, 70], "one alert, and nothing else");
    let again = conn.read(now(), &mut record, &mut out).unwrap_err();
    assert_eq!((format!("{again:?}"), out.len()), (format!("{error:?}"), 7));
    let suite = client.with_suites(&[CipherSuiteId::TLS_AES_128_GCM_SHA256]).unwrap();
    Calls::PLAIN.pair(suite, (*server).clone()).connect().chat();
}

/// Nobody gets a staple that was not asked for, and none is zero bytes long.
#[test]
fn pitfall_47_a_staple_that_nobody_asked_for_or_that_is_empty() {
    let (client, server) = simple();
    let unasked = (client.with_status_requests(false, false), server);
    let staple = leaf_extensions(&[(E::status_request, vec![1, 0, 0, 1, 0x30])]);
    refuse_edited(Server, unasked, H::certificate, &staple, Violation::UnsolicitedExtension);
    let unasked = super::duel::mutual();
    refuse_edited(Client, unasked, H::certificate, &staple, Violation::UnsolicitedExtension);
    for body in [&[1, 0, 0, 0][..], &[1, 0, 0, 2, 0x30], &[1, 0, 0, 1, 0x30, 0], &[1], &[]] {
        let edit = leaf_extensions(&[(E::status_request, body.to_vec())]);
        refuse_edited(Server, simple(), H::certificate, &edit, Error::Decode("CertificateStatus"));
    }
}

/// RFC 6962 §3.3: at least one timestamp, none of them empty, and every length what it should be.
#[test]
fn pitfall_48_lists_of_timestamps_with_wrong_lengths() {
    let wrong: [&[u8]; 8] = [
        &[],
        &[0],
        &[0, 0],
        &[0, 2, 0, 0],
        &[0, 3, 0, 2, 7],
        &[0, 4, 0, 1, 7],
        &[0, 3, 0, 1, 7, 0],
        &[0, 5, 0, 1, 7, 0, 0],
    ];
    for body in wrong {
        let edit = leaf_extensions(&[(E::signed_certificate_timestamp, body.to_vec())]);
        let expected = Error::Decode("SignedCertificateTimestampList");
        refuse_edited(Server, simple(), H::certificate, &edit, expected);
    }
}
