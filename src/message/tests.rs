//! What does not parse: every message cut at every length, with something behind it, and with each value out of its range.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;

use super::extension::{Extensions, Place};
use super::*;
use crate::codepoints::{
    CertificateCompressionAlgorithm, CertificateType, CipherSuiteId, ExtensionType as E,
    HandshakeType as H, NamedGroup, SignatureScheme,
};
use crate::error::Violation;

/// A message with this body.
fn message(kind: H, body: &[u8]) -> Vec<u8> {
    write(kind, |w| w.raw(body)).unwrap()
}

fn assert_malformed(raw: &[u8], why: &str) {
    match Message::read(raw).map(|message| message.name()) {
        Err(Error::Decode(_)) => {}
        other => panic!("{why}: {other:?}"),
    }
}

fn client_hello() -> Vec<u8> {
    let name = pki_types::DnsName::try_from("server.test").unwrap();
    write_client_hello(&HelloFields {
        random: &[7; 32],
        legacy_session_id: &[8; 32],
        suites: vec![CipherSuiteId::TLS_AES_128_GCM_SHA256, CipherSuiteId(0x0a0a)],
        server_name: Some(&name),
        groups: &[NamedGroup::x25519, NamedGroup::secp256r1],
        key_shares: vec![(NamedGroup::x25519, &[9; 32]), (NamedGroup::secp256r1, &[4; 65])],
        schemes: &[SignatureScheme::ed25519],
        certificate_schemes: &[SignatureScheme::rsa_pkcs1_sha256],
        alpn: &[b"h2".to_vec(), b"http/1.1".to_vec()],
        authorities: &[vec![0x30, 0], vec![0x30, 1, 0]],
        cookie: Some(b"cookie"),
        wants_status: true,
        wants_scts: true,
        pad_to_multiple_of: 0,
        psk_modes: &[],
        psks: vec![],
        early_data: false,
        ticket_request: Some((3, 1)),
        post_handshake_auth: true,
        client_certificate_types: vec![CertificateType::RawPublicKey],
        server_certificate_types: &[CertificateType::X509, CertificateType::RawPublicKey],
        compression: vec![
            CertificateCompressionAlgorithm::zlib,
            CertificateCompressionAlgorithm(9),
        ],
        grease: None,
    })
    .unwrap()
}

/// One of each, with every extension that is looked into.
fn samples() -> Vec<(Place, Vec<u8>)> {
    let psk = [&[0, 7, 0, 1, b't', 0, 0, 0, 0][..], &[0, 33, 32], &[1; 32]].concat();
    let client_hello = with(&client_hello(), Place::CH, |extensions| {
        extensions.push((E::early_data, vec![]));
        extensions.push((E::psk_key_exchange_modes, vec![1, 1]));
        extensions.push((E::pre_shared_key, psk));
    });
    let suite = CipherSuiteId::TLS_AES_128_GCM_SHA256;
    let server_hello = write_server_hello(
        &[7; 32],
        &[8; 32],
        suite,
        Some((NamedGroup::x25519, &[9; 32])),
        Some(0),
    )
    .unwrap();
    let group = NamedGroup::secp256r1;
    let retry = write_hello_retry_request(&[8; 32], suite, group, Some(b"cookie")).unwrap();
    let encrypted = EncryptedFields {
        server_name: true,
        groups: Some(&[NamedGroup::x25519]),
        alpn: Some(b"h2"),
        early_data: true,
        tickets: Some(2),
        client_certificate_type: Some(CertificateType::RawPublicKey),
        server_certificate_type: Some(CertificateType::X509),
    };
    let schemes = [SignatureScheme::ed25519];
    let others = [SignatureScheme::rsa_pkcs1_sha256];
    let request = RequestFields {
        context: &[],
        schemes: &schemes,
        certificate_schemes: &others,
        authorities: &[vec![0x30, 0]],
        wants_status: true,
        wants_scts: true,
        compression: vec![CertificateCompressionAlgorithm::zlib],
        grease: None,
    };
    let request = write_certificate_request(&request).unwrap();
    let ticket = [&[0, 0, 0, 9, 1, 2, 3, 4, 1, 0, 0, 6][..], b"ticket", &[0, 0]].concat();
    vec![
        (Place::CH, client_hello),
        (Place::SH, server_hello),
        (Place::HRR, retry),
        (Place::EE, write_encrypted_extensions(&encrypted).unwrap()),
        (Place::CR, request),
        (Place::NST, message(H::new_session_ticket, &ticket)),
    ]
}

fn certificate() -> Vec<u8> {
    let scts = [vec![1, 2], vec![3]];
    let leaf = EntryExtensions { ocsp: Some(&[0x30, 0]), scts: Some(&scts) };
    let chain = [&[0x30, 1, 0][..], &[0x30, 0]];
    write_certificate(b"", chain.into_iter(), leaf).unwrap()
}

fn certificate_verify() -> Vec<u8> {
    write_certificate_verify(SignatureScheme::ed25519, &[1; 64]).unwrap()
}

fn compressed() -> Vec<u8> {
    let algorithm = CertificateCompressionAlgorithm::zlib;
    write_compressed_certificate(algorithm, 70_000, &[7; 5]).unwrap()
}

/// Where the body's block of extensions begins, its length included. It is the last thing in the body.
fn block_at(body: &[u8], place: Place) -> usize {
    let after = |at: usize, width: usize| {
        at + width + body[at..at + width].iter().fold(0, |n, b| n << 8 | usize::from(*b))
    };
    match place {
        Place::CH => after(after(after(34, 1), 2), 1),
        Place::SH | Place::HRR => after(34, 1) + 3,
        Place::EE => 0,
        Place::CR => after(0, 1),
        Place::NST => after(after(8, 1), 2),
        Place::CT => panic!("it has one for each certificate"),
    }
}

type List = Vec<(E, Vec<u8>)>;

/// The message with its extensions edited.
fn with(raw: &[u8], place: Place, edit: impl FnOnce(&mut List)) -> Vec<u8> {
    let body = &raw[HEADER..];
    let at = block_at(body, place);
    let mut list: List = Vec::new();
    let mut rest = &body[at + 2..];
    while let [a, b, c, d, tail @ ..] = rest {
        let (data, tail) = tail.split_at(usize::from(u16::from_be_bytes([*c, *d])));
        list.push((E(u16::from_be_bytes([*a, *b])), data.to_vec()));
        rest = tail;
    }
    edit(&mut list);
    write(H(raw[0]), |w| {
        w.raw(&body[..at]);
        w.vec16(|w| {
            list.iter().for_each(|(kind, data)| extension::write(w, *kind, |w| w.raw(data)))
        });
    })
    .unwrap()
}

#[test]
fn what_is_written_is_read() {
    for (place, raw) in samples() {
        let message = Message::read(&raw).unwrap_or_else(|error| panic!("{place:?}: {error:?}"));
        assert_ne!(message.name(), "a message of unknown type");
    }
    for raw in [certificate(), compressed(), certificate_verify(), write_key_update(true).unwrap()]
    {
        Message::read(&raw).unwrap();
    }

    let raw = client_hello();
    let Message::ClientHello(hello) = Message::read(&raw).unwrap() else { panic!() };
    assert_eq!((hello.random, hello.legacy_session_id), (&[7; 32], &[8; 32][..]));
    assert_eq!(hello.suites.iter().collect::<Vec<_>>(), [0x1301, 0x0a0a]);
    assert_eq!(hello.server_name, Some(&b"server.test"[..]));
    assert_eq!(hello.alpn.as_deref(), Some(&[&b"h2"[..], b"http/1.1"][..]));
    assert_eq!(hello.authorities, [&[0x30, 0][..], &[0x30, 1, 0]]);
    assert_eq!(hello.cookie, Some(&b"cookie"[..]));
    assert_eq!(hello.share_for(NamedGroup::x25519), Some(&[9; 32][..]));
    assert_eq!(hello.share_for(NamedGroup::secp384r1), None);
    let (raw, x509) = (CertificateType::RawPublicKey, CertificateType::X509);
    assert_eq!(hello.client_certificate_types, Some(vec![raw]));
    assert_eq!(hello.server_certificate_types, Some(vec![x509, raw]));
    assert!(hello.wants_status && hello.wants_scts && hello.psks.is_none());
    assert_eq!(hello.compression.iter().collect::<Vec<_>>(), [1, 9]);

    let raw = certificate();
    let Message::Certificate(certificate) = Message::read(&raw).unwrap() else { panic!() };
    let [leaf, issuer] = &certificate.entries[..] else { panic!() };
    assert_eq!((leaf.certificate, issuer.certificate), (&[0x30, 1, 0][..], &[0x30, 0][..]));
    assert_eq!((leaf.ocsp, issuer.ocsp), (&[0x30, 0][..], &[][..]));
    assert_eq!(leaf.scts, [&[1, 2][..], &[3]]);

    let raw = compressed();
    let Message::CompressedCertificate(compressed) = Message::read(&raw).unwrap() else { panic!() };
    assert_eq!(compressed.algorithm, CertificateCompressionAlgorithm::zlib);
    assert_eq!((compressed.uncompressed_length, compressed.compressed), (70_000, &[7; 5][..]));
}

#[test]
fn a_message_cut_anywhere_is_malformed() {
    let samples = samples().into_iter().map(|(place, raw)| (Some(place), raw));
    let others =
        [certificate(), compressed(), certificate_verify(), write_key_update(false).unwrap()];
    for (place, raw) in samples.chain(others.map(|raw| (None, raw))) {
        // The header says more than is there.
        for len in 0..raw.len() {
            assert_malformed(&raw[..len], &format!("{place:?} cut at {len}"));
        }
        // It says what is there, and the body says more.
        let body = &raw[HEADER..];
        for len in 0..body.len() {
            let cut = message(H(raw[0]), &body[..len]);
            let without_extensions = match place {
                // RFC 9846 §4.2.2: before TLS 1.3 hellos may end here.
                Some(place @ (Place::CH | Place::SH | Place::HRR)) => block_at(body, place) == len,
                _ => false,
            };
            match without_extensions {
                true => drop(Message::read(&cut).unwrap()),
                false => assert_malformed(&cut, &format!("{place:?} of {len}")),
            }
        }
        // And something behind it, within the message and after it.
        assert_malformed(&message(H(raw[0]), &[body, &[0]].concat()), "a byte more");
        assert_malformed(&[&raw[..], &[0]].concat(), "a byte behind");
    }
}

#[test]
fn an_extension_cut_anywhere_is_malformed() {
    for (place, raw) in samples() {
        let mut count = 0;
        with(&raw, place, |list| count = list.len());
        for i in 0..count {
            let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
                let mut kind = E(0);
                let raw = with(&raw, place, |list| {
                    kind = list[i].0;
                    edit(&mut list[i].1);
                });
                (kind, raw)
            };
            let mut len = 0;
            with(&raw, place, |list| len = list[i].1.len());
            for cut in 0..len {
                let (kind, raw) = edited(&|data| data.truncate(cut));
                assert_malformed(&raw, &format!("{kind} in {place:?} cut at {cut}"));
            }
            let (kind, raw) = edited(&|data| data.push(0));
            match (place, kind) {
                (Place::EE, E::server_name) => assert!(matches!(
                    Message::read(&raw),
                    Err(Error::Violation(Violation::BadServerNameAck))
                )),
                _ => assert_malformed(&raw, &format!("{kind} in {place:?} and a byte")),
            }
        }
    }
}

#[test]
fn values_out_of_range_are_malformed() {
    let hello = client_hello();
    let bad = |kind: E, bodies: &[&[u8]]| {
        for body in bodies {
            let raw = with(&hello, Place::CH, |list| {
                list.retain(|(k, _)| *k != kind);
                list.push((kind, body.to_vec()));
            });
            assert_malformed(&raw, &format!("{kind} {body:02x?}"));
        }
    };
    bad(E::supported_versions, &[&[0], &[1, 3], &[3, 3, 4, 3]]);
    for kind in [E::supported_groups, E::signature_algorithms, E::signature_algorithms_cert] {
        bad(kind, &[&[0, 0], &[0, 1, 0], &[0, 3, 0, 29, 0]]);
    }
    bad(E::key_share, &[&[0, 4, 0, 29, 0, 0], &[0, 1, 0], &[0, 3, 0, 29, 0]]);
    bad(E::server_name, &[&[0, 0], &[0, 3, 0, 0, 0], &[0, 1, 0]]);
    let alpn = E::application_layer_protocol_negotiation;
    bad(alpn, &[&[0, 0], &[0, 1, 0], &[0, 4, 2, b'h', b'2', 0]]);
    bad(E::certificate_authorities, &[&[0, 0], &[0, 2, 0, 0]]);
    bad(E::compress_certificate, &[&[4, 0, 1, 0, 1], &[0], &[1, 0], &[3, 0, 1, 0], &[2, 0, 1, 0]]);
    bad(E::cookie, &[&[0, 0]]);
    bad(E::psk_key_exchange_modes, &[&[0]]);
    bad(E::early_data, &[&[0]]);
    bad(E::client_certificate_type, &[&[0], &[1], &[1, 2, 0], &[]]);
    bad(E::server_certificate_type, &[&[0], &[2, 2], &[1, 2, 0], &[]]);
    bad(E::signed_certificate_timestamp, &[&[0, 0]]);
    let psk = |identity: &[u8], binder: &[u8]| {
        let mut w = Writer::default();
        w.vec16(|w| w.raw(identity));
        w.vec16(|w| w.raw(binder));
        w.finish().unwrap()
    };
    let (identity, binder) = ([0, 1, b't', 0, 0, 0, 0], [&[32][..], &[0; 32]].concat());
    bad(
        E::pre_shared_key,
        &[
            &psk(&[0, 0, 0, 0, 0, 0], &binder),
            &psk(&identity, &[&[31][..], &[0; 31]].concat()),
            &psk(&[], &binder),
            &psk(&identity, &[]),
            &psk(&identity[..6], &binder),
        ],
    );

    // Fields in front of the extensions.
    let body = &hello[HEADER..];
    let rest = &body[35 + 32..];
    let long_id = [&body[..34], &[33], &[8; 33], rest].concat();
    assert_malformed(&message(H::client_hello, &long_id), "a session identifier of 33 bytes");
    let fields = |suites: &[u8], methods: &[u8]| {
        let mut w = Writer::default();
        w.raw(&body[..34]);
        w.vec8(|_| {});
        w.vec16(|w| w.raw(suites));
        w.vec8(|w| w.raw(methods));
        message(H::client_hello, &w.finish().unwrap())
    };
    Message::read(&fields(&[0x13, 1], &[0])).unwrap();
    assert_malformed(&fields(&[], &[0]), "no suite");
    assert_malformed(&fields(&[0x13], &[0]), "half a suite");
    assert_malformed(&fields(&[0x13, 1], &[]), "no compression method");
}

#[test]
fn values_of_a_server_out_of_range_are_malformed() {
    let samples = samples();
    let sample = |wanted: Place| &samples.iter().find(|(place, _)| *place == wanted).unwrap().1;
    for (place, kind, body) in [
        (Place::SH, E::key_share, &[0, 29, 0, 0][..]),
        (Place::HRR, E::cookie, &[0, 0]),
        (Place::EE, E::supported_groups, &[0, 0]),
        (Place::EE, E::application_layer_protocol_negotiation, &[0, 0]),
        (Place::EE, E::application_layer_protocol_negotiation, &[0, 1, 0]),
        (Place::CR, E::signature_algorithms, &[0, 0]),
        (Place::CR, E::signature_algorithms, &[0, 1, 8]),
        (Place::CR, E::certificate_authorities, &[0, 0]),
        (Place::CR, E::status_request, &[1, 0, 0, 0, 0]),
    ] {
        let raw = with(sample(place), place, |list| {
            list.iter_mut().filter(|(k, _)| *k == kind).for_each(|(_, d)| *d = body.to_vec());
        });
        assert_malformed(&raw, &format!("{kind} in {place:?} {body:02x?}"));
    }
    for place in [Place::SH, Place::HRR] {
        let body = &sample(place)[HEADER..];
        let long_id = [&body[..34], &[33], &[8; 33], &body[35 + 32..]].concat();
        assert_malformed(&message(H::server_hello, &long_id), "a session identifier of 33 bytes");
    }
    // No ticket in NewSessionTicket.
    let ticket = [0, 0, 0, 9, 1, 2, 3, 4, 0, 0, 0, 0, 0];
    assert_malformed(&message(H::new_session_ticket, &ticket), "no ticket");
    // A certificate of no bytes, an OCSP response of none, a list of timestamps with none, one of none.
    let entry = |certificate: &[u8], extension: &[u8]| {
        let mut w = Writer::default();
        w.vec8(|_| {});
        w.vec24(|w| {
            w.vec24(|w| w.raw(certificate));
            w.vec16(|w| w.raw(extension));
        });
        message(H::certificate, &w.finish().unwrap())
    };
    Message::read(&entry(&[0x30], &[])).unwrap();
    assert_malformed(&entry(&[], &[]), "an empty certificate");
    assert_malformed(&entry(&[0x30], &[0, 5, 0, 4, 1, 0, 0, 0]), "an empty OCSP response");
    assert_malformed(&entry(&[0x30], &[0, 5, 0, 6, 1, 0, 0, 1, 0x30, 0]), "bytes behind it");
    assert_malformed(&entry(&[0x30], &[0, 5, 0, 0]), "no status at all");
    assert_malformed(&entry(&[0x30], &[0, 18, 0, 2, 0, 0]), "no timestamp");
    assert_malformed(&entry(&[0x30], &[0, 18, 0, 4, 0, 2, 0, 0]), "an empty timestamp");
    assert_malformed(&entry(&[0x30], &[0, 18, 0, 6, 0, 3, 0, 1, 7, 0]), "bytes behind it");
}

/// What RFC 9846 §4.2.2 lets a second ClientHello change does not show in its invariants; everything else does.
#[test]
fn invariants_are_what_may_not_change() {
    let invariants = |raw: &[u8]| match Message::read(raw).unwrap() {
        Message::ClientHello(hello) => hello.invariants(),
        _ => panic!(),
    };
    let first = client_hello();
    let unchanged = invariants(&first);
    for kind in [E::key_share, E::cookie, E::padding, E::early_data] {
        let body = match kind {
            E::key_share | E::cookie => &[0, 1, 1][..],
            _ => &[],
        };
        let body = if kind == E::key_share { &[0, 5, 0, 29, 0, 1, 7][..] } else { body };
        let second = with(&first, Place::CH, |list| {
            list.retain(|(k, _)| *k != kind);
            list.push((kind, body.to_vec()));
        });
        assert_eq!(invariants(&second), unchanged, "{kind}");
        let second = with(&first, Place::CH, |list| list.retain(|(k, _)| *k != kind));
        assert_eq!(invariants(&second), unchanged, "without {kind}");
    }
    for i in 0..15 {
        let mut kind = None;
        let second = with(&first, Place::CH, |list| {
            if i < list.len() && !matches!(list[i].0, E::key_share | E::cookie) {
                kind = Some(list.remove(i).0);
            }
        });
        if let Some(kind) = kind {
            assert_ne!(invariants(&second), unchanged, "without {kind}");
        }
    }
    // Two that differ only in where one field ends and the next begins.
    let moved = [&first[..HEADER + 34], &[31], &[8; 31], &first[HEADER + 67..]].concat();
    assert_ne!(invariants(&message(H::client_hello, &moved[HEADER..])), unchanged);
}

proptest! {
    /// Nothing panics, and what is read again is read the same.
    #[test]
    fn any_bytes_are_read_or_refused(kind in 0..30_u8, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _either = Message::read(&message(H(kind), &body));
    }

    #[test]
    fn a_flipped_byte_is_read_or_refused(which in 0..6_usize, at: prop::sample::Index, flip in 1..=255_u8) {
        let (_, mut raw) = samples().swap_remove(which);
        let at = HEADER + at.index(raw.len() - HEADER);
        raw[at] ^= flip;
        let _either = Message::read(&raw);
    }

    #[test]
    fn extensions_are_kept_in_order(list in prop::collection::btree_map(0x1000..0x2000_u16, prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
        let mut w = Writer::default();
        list.iter().for_each(|(kind, data)| extension::write(&mut w, E(*kind), |w| w.raw(data)));
        let block = w.finish().unwrap();
        let read = Extensions::read("test", Place::CH, &block).unwrap();
        let read: Vec<_> = read.iter().map(|(kind, data)| (kind.0, data.to_vec())).collect();
        prop_assert_eq!(read, list.into_iter().collect::<Vec<_>>());
    }
}
