//! Whatever is written is read the same: every message, with any values that a connection could put into it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that fails may panic

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::codec::U16List;
use crate::codepoints::{
    CertificateCompressionAlgorithm, CertificateType, CipherSuiteId, NamedGroup, SignatureScheme,
};

fn bytes(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), len)
}

/// Code points, each once.
fn numbers(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u16>> {
    prop::collection::btree_set(any::<u16>(), len).prop_map(|set| set.into_iter().collect())
}

fn list(read: Option<U16List<'_>>) -> Vec<u16> {
    read.map(|list| list.iter().collect()).unwrap_or_default()
}

/// What belongs together in a ClientHello.
#[derive(Clone, Debug)]
struct Hello {
    random: [u8; 32],
    session: Vec<u8>,
    suites: Vec<u16>,
    groups: Vec<u16>,
    shares: Vec<Vec<u8>>,
    schemes: Vec<u16>,
    alpn: Vec<Vec<u8>>,
    cookie: Option<Vec<u8>>,
    flags: [bool; 5],
    padding: u16,
    psks: Vec<(Vec<u8>, u32, usize)>,
    tickets: Option<(u8, u8)>,
    types: [Vec<CertificateType>; 2],
    compression: Vec<u16>,
}

fn hello() -> impl Strategy<Value = Hello> {
    let head = (any::<[u8; 32]>(), bytes(0..=32), numbers(1..20), numbers(1..12));
    let middle = (vec(bytes(1..200), 0..4), numbers(1..12), vec(bytes(1..=255), 0..5));
    let psk = (bytes(1..300), any::<u32>(), 32..=255_usize);
    let tail = (
        prop::option::of(bytes(1..300)),
        any::<[bool; 5]>(),
        0..600_u16,
        vec(psk, 0..4),
        any::<Option<(u8, u8)>>(),
        types(),
        numbers(0..4),
    );
    (head, middle, tail).prop_map(|(head, middle, tail)| {
        let (random, session, suites, groups) = head;
        let (shares, schemes, alpn) = middle;
        let (cookie, flags, padding, psks, tickets, types, compression) = tail;
        Hello {
            random,
            session,
            suites,
            groups,
            shares,
            schemes,
            alpn,
            cookie,
            flags,
            padding,
            psks,
            tickets,
            types,
            compression,
        }
    })
}

/// What a client can show and what it takes; nothing is sent if that is X.509 alone.
fn types() -> impl Strategy<Value = [Vec<CertificateType>; 2]> {
    let (x509, raw) = (CertificateType::X509, CertificateType::RawPublicKey);
    let one = prop::sample::select(vec![vec![], vec![x509], vec![raw], vec![raw, x509]]);
    [one.clone(), one]
}

/// The name that is sent, if one is.
fn name() -> pki_types::DnsName<'static> {
    pki_types::DnsName::try_from("server.test").unwrap()
}

fn algorithms(numbers: &[u16]) -> Vec<CertificateCompressionAlgorithm> {
    numbers.iter().copied().map(CertificateCompressionAlgorithm).collect()
}

fn write_hello(hello: &Hello) -> Vec<u8> {
    let [status, scts, early_data, post_handshake_auth, named] = hello.flags;
    let name = name();
    let groups: Vec<_> = hello.groups.iter().copied().map(NamedGroup).collect();
    let schemes: Vec<_> = hello.schemes.iter().copied().map(SignatureScheme).collect();
    let shares = groups.iter().zip(&hello.shares).map(|(group, share)| (*group, &share[..]));
    let psks = hello.psks.iter().map(|(name, age, len)| (&name[..], *age, *len));
    write_client_hello(&HelloFields {
        random: &hello.random,
        legacy_session_id: &hello.session,
        suites: hello.suites.iter().copied().map(CipherSuiteId).collect(),
        server_name: named.then_some(&name),
        groups: &groups,
        key_shares: shares.collect(),
        schemes: &schemes,
        certificate_schemes: &schemes,
        alpn: &hello.alpn,
        authorities: &[],
        cookie: hello.cookie.as_deref(),
        wants_status: status,
        wants_scts: scts,
        pad_to_multiple_of: hello.padding,
        psk_modes: if hello.psks.is_empty() { &[] } else { &[PSK_DHE_KE] },
        psks: psks.collect(),
        early_data,
        ticket_request: hello.tickets,
        post_handshake_auth,
        client_certificate_types: hello.types[0].clone(),
        server_certificate_types: &hello.types[1],
        compression: algorithms(&hello.compression),
        grease: None,
    })
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn client_hello(hello in hello()) {
        let raw = write_hello(&hello);
        let Message::ClientHello(read) = Message::read(&raw).unwrap() else { panic!() };
        let [status, scts, early_data, post_handshake_auth, named] = hello.flags;
        prop_assert_eq!(*read.random, hello.random);
        prop_assert_eq!(read.legacy_session_id, &hello.session[..]);
        prop_assert_eq!(list(Some(read.suites)), hello.suites);
        prop_assert_eq!(read.dns_name(), named.then(name));
        prop_assert_eq!(list(read.groups), &hello.groups[..]);
        let shares: Vec<_> = read.key_shares.clone().unwrap_or_default();
        let sent = hello.groups.iter().copied().zip(hello.shares.iter().map(|share| &share[..]));
        prop_assert_eq!(shares, sent.map(|(id, share)| (NamedGroup(id), share)).collect::<Vec<_>>());
        prop_assert_eq!(list(read.schemes), &hello.schemes[..]);
        prop_assert_eq!(read.alpn.clone().unwrap_or_default(), hello.alpn.iter().map(|n| &n[..]).collect::<Vec<_>>());
        prop_assert_eq!(read.cookie, hello.cookie.as_deref());
        prop_assert_eq!([read.wants_status, read.wants_scts], [status, scts]);
        prop_assert_eq!([read.offers_early_data, read.post_handshake_auth], [early_data, post_handshake_auth]);
        prop_assert_eq!(read.ticket_request, hello.tickets);
        prop_assert_eq!(list(Some(read.compression)), &hello.compression[..]);
        for (read, sent) in [&read.client_certificate_types, &read.server_certificate_types].into_iter().zip(&hello.types) {
            // RFC 7250 §4.1: X.509 alone is what everybody expects who hears nothing.
            let said = !sent.is_empty() && sent[..] != [CertificateType::X509];
            prop_assert_eq!(read.as_ref(), said.then_some(sent));
        }
        let offered = read.psks.clone();
        prop_assert_eq!(offered.is_some(), !hello.psks.is_empty());
        if let Some(offered) = offered {
            let sent: Vec<_> = hello.psks.iter().map(|(name, age, _)| (&name[..], *age)).collect();
            let read: Vec<_> = offered.identities.iter().map(|i| (i.identity, i.obfuscated_ticket_age)).collect();
            prop_assert_eq!(read, sent);
            let lens: Vec<_> = hello.psks.iter().map(|(_, _, len)| *len).collect();
            prop_assert_eq!(offered.binders.iter().map(|b| b.len()).collect::<Vec<_>>(), &lens[..]);
            let after: usize = 2 + lens.iter().map(|len| len + 1).sum::<usize>();
            prop_assert_eq!(offered.truncated_len + after, raw.len());
        } else if hello.padding > 1 {
            prop_assert_eq!(raw.len() % usize::from(hello.padding), 0);
        }
    }

    #[test]
    fn binders_come_in_their_places(hello in hello(), fill in any::<u8>()) {
        let mut raw = write_hello(&hello);
        let Message::ClientHello(read) = Message::read(&raw).unwrap() else { panic!() };
        let Some(truncated_len) = read.psks.map(|psks| psks.truncated_len) else { return Ok(()) };
        let binders: Vec<_> = (0..=u8::MAX).cycle().skip(fill.into()).zip(&hello.psks).map(|(n, (_, _, len))| vec![n; *len]).collect();
        set_binders(&mut raw, truncated_len, binders.iter().map(|binder| &binder[..]));
        let Message::ClientHello(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert_eq!(read.psks.unwrap().binders, binders.iter().map(|b| &b[..]).collect::<Vec<_>>());
    }

    #[test]
    fn server_hello(
        random: [u8; 32], session in bytes(0..=32), suite: u16, group: u16, share in prop::option::of(bytes(1..1300)),
        identity: Option<u16>,
    ) {
        let share = share.as_deref().map(|share| (NamedGroup(group), share));
        let raw = write_server_hello(&random, &session, CipherSuiteId(suite), share, identity).unwrap();
        let Message::ServerHello(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert!(!read.is_retry);
        prop_assert_eq!((*read.random, read.suite.0), (random, suite));
        prop_assert_eq!(read.legacy_session_id_echo, &session[..]);
        prop_assert_eq!(read.selected_version, Some(crate::codepoints::ProtocolVersion::TLSv1_3));
        prop_assert_eq!(read.selected_identity, identity);
        let seen = match read.key_share {
            Some(ServerShare::Entry(group, share)) => Some((group, share)),
            Some(ServerShare::Group(_)) => panic!(),
            None => None,
        };
        prop_assert_eq!(seen, share);
    }

    #[test]
    fn hello_retry_request(session in bytes(0..=32), suite: u16, group: u16, cookie in prop::option::of(bytes(1..300))) {
        let (suite, group) = (CipherSuiteId(suite), NamedGroup(group));
        let raw = write_hello_retry_request(&session, suite, group, cookie.as_deref()).unwrap();
        let Message::ServerHello(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert!(read.is_retry && matches!(read.key_share, Some(ServerShare::Group(g)) if g == group));
        prop_assert_eq!((read.suite, read.cookie), (suite, cookie.as_deref()));
        prop_assert_eq!(read.legacy_session_id_echo, &session[..]);
    }

    #[test]
    fn encrypted_extensions(alpn in prop::option::of(bytes(1..=255)), groups in numbers(1..9), flags: [bool; 3], tickets: Option<u8>, raw: bool) {
        let groups: Vec<_> = groups.into_iter().map(NamedGroup).collect();
        let fields = EncryptedFields {
            server_name: flags[0],
            groups: flags[1].then_some(&groups[..]),
            alpn: alpn.as_deref(),
            early_data: flags[2],
            tickets,
            client_certificate_type: raw.then_some(CertificateType::RawPublicKey),
            server_certificate_type: raw.then_some(CertificateType::X509),
        };
        let types = (fields.client_certificate_type, fields.server_certificate_type);
        let extensions = if raw { 2 } else { 0 };
        let raw = write_encrypted_extensions(&fields).unwrap();
        let Message::EncryptedExtensions(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert_eq!((read.alpn, read.early_data), (alpn.as_deref(), flags[2]));
        prop_assert_eq!((read.client_certificate_type, read.server_certificate_type), types);
        let present = [flags[0], flags[1], flags[2], alpn.is_some(), tickets.is_some()];
        prop_assert_eq!(read.extensions.iter().count(), present.iter().filter(|set| **set).count() + extensions);
    }

    #[test]
    fn certificate(
        context in bytes(0..=255), chain in vec(bytes(1..600), 0..5), ocsp in prop::option::of(bytes(1..300)),
        scts in prop::option::of(vec(bytes(1..90), 1..4)),
    ) {
        let leaf = EntryExtensions { ocsp: ocsp.as_deref(), scts: scts.as_deref() };
        let raw = write_certificate(&context, chain.iter().map(|one| &one[..]), leaf).unwrap();
        let Message::Certificate(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert_eq!(read.context, &context[..]);
        let seen: Vec<_> = read.entries.iter().map(|entry| entry.certificate).collect();
        prop_assert_eq!(seen, chain.iter().map(|one| &one[..]).collect::<Vec<_>>());
        if let Some(first) = read.entries.first() {
            prop_assert_eq!(first.ocsp, &ocsp.unwrap_or_default()[..]);
            let sent = scts.unwrap_or_default();
            prop_assert_eq!(&first.scts, &sent.iter().map(|sct| &sct[..]).collect::<Vec<_>>());
        }
        prop_assert!(read.entries.iter().skip(1).all(|entry| entry.ocsp.is_empty() && entry.scts.is_empty()));
    }

    #[test]
    fn certificate_request(
        context in bytes(0..=255), schemes in numbers(1..9), others in numbers(1..9), names in vec(bytes(1..200), 0..5),
        status: bool, scts: bool, compression in numbers(0..4),
    ) {
        let of = |list: &[u16]| list.iter().copied().map(SignatureScheme).collect::<Vec<_>>();
        let raw = write_certificate_request(&RequestFields {
            context: &context,
            schemes: &of(&schemes),
            certificate_schemes: &of(&others),
            authorities: &names,
            wants_status: status,
            wants_scts: scts,
            compression: algorithms(&compression),
            grease: None,
        }).unwrap();
        let Message::CertificateRequest(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert_eq!(read.context, &context[..]);
        prop_assert_eq!(list(Some(read.schemes)), &schemes[..]);
        prop_assert_eq!(list(read.certificate_schemes), if others == schemes { Vec::new() } else { others });
        prop_assert_eq!(read.authorities, names.iter().map(|name| &name[..]).collect::<Vec<_>>());
        prop_assert_eq!((read.wants_status, read.wants_scts), (status, scts));
        prop_assert_eq!(list(Some(read.compression)), compression);
    }

    #[test]
    fn certificate_verify_and_finished(scheme: u16, signature in bytes(0..700), mac in bytes(0..65)) {
        let raw = write_certificate_verify(SignatureScheme(scheme), &signature).unwrap();
        let Message::CertificateVerify(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert_eq!((read.scheme.0, read.signature), (scheme, &signature[..]));
        let raw = write_finished(&mac).unwrap();
        let Message::Finished(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert_eq!(read.verify_data, &mac[..]);
    }

    #[test]
    fn new_session_ticket(lifetime: u32, age_add: u32, nonce in bytes(0..=255), ticket in bytes(1..900), max_early_data: u32) {
        let sent = NewSessionTicket { lifetime, age_add, nonce: &nonce, ticket: &ticket, max_early_data, grease: None };
        let raw = sent.write().unwrap();
        let Message::NewSessionTicket(read) = Message::read(&raw).unwrap() else { panic!() };
        prop_assert_eq!((read.lifetime, read.age_add, read.max_early_data), (lifetime, age_add, max_early_data));
        prop_assert_eq!((read.nonce, read.ticket), (&nonce[..], &ticket[..]));
    }

    #[test]
    fn key_update(requested: bool) {
        let raw = write_key_update(requested).unwrap();
        prop_assert!(matches!(Message::read(&raw), Ok(Message::KeyUpdate(update)) if update.requested == requested));
    }
}
