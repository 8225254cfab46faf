//! ServerHello, HelloRetryRequest and EncryptedExtensions (RFC 9846 §4.2.3, §4.2.4, §4.4.1).

use sealwire::Violation::*;
use sealwire::codepoints::{CipherSuiteId, ExtensionType as E, HandshakeType as H, NamedGroup};

use super::duel::{Duel, Unit, raw_keys, retry, simple};
use super::edit::{Parts, parts, vec16};
use super::hellos::{both_server_hellos, retry_request, server_hello, share};
use super::refuse::{AFTER_RETRY, refuse_changed, refuse_edited};
use super::support::Role::Server;

pub(crate) fn downgrade() {
    for sentinel in [b"DOWNGRD\x01", b"DOWNGRD\x00"] {
        server_hello(Downgrade, |parts| {
            parts.remove(E::supported_versions);
            parts.head[26..34].copy_from_slice(sentinel);
        });
        // Without any extensions.
        let change = |unit: &Unit| {
            let mut parts = Parts::of(&unit.content);
            parts.head[26..34].copy_from_slice(sentinel);
            vec![unit.with(super::edit::message(H::server_hello, &parts.head))]
        };
        refuse_changed(Server, simple(), H::server_hello, change, Downgrade);
    }
}

pub(crate) fn bad_selected_version() {
    for version in [0x0300_u16, 0x0301, 0x0303, 0x0305, 0x7f1c] {
        let data = version.to_be_bytes();
        server_hello(BadSelectedVersion, |parts| parts.set(E::supported_versions, &data));
        retry_request(BadSelectedVersion, |parts| parts.set(E::supported_versions, &data));
    }
}

pub(crate) fn session_id_not_echoed() {
    both_server_hellos(SessionIdNotEchoed, |parts| parts.head[40] ^= 1);
    both_server_hellos(SessionIdNotEchoed, |parts| {
        parts.head.drain(35..67);
        parts.head[34] = 0;
    });
    // One that was never sent.
    let (client, server) = simple();
    let configs = (client.with_middlebox_compatibility(false), server);
    let edit = parts(|parts| {
        parts.head[34] = 1;
        parts.head.insert(35, 7);
    });
    refuse_edited(Server, configs, H::server_hello, edit, SessionIdNotEchoed);
}

/// Sets the suite of a ServerHello.
fn suite(id: u16) -> impl Fn(&mut Parts) {
    move |parts| {
        let at = parts.head.len() - 3;
        parts.head[at..at + 2].copy_from_slice(&id.to_be_bytes());
    }
}

pub(crate) fn unoffered_cipher_suite() {
    // Known and not offered; unknown; of TLS 1.2; GREASE.
    for id in [0x1302, 0x1303, 0x1304, 0x1306, 0xc02f, 0x0a0a, 0] {
        both_server_hellos(UnofferedCipherSuite, suite(id));
    }
}

pub(crate) fn compression_selected() {
    both_server_hellos(CompressionSelected, |parts| *parts.head.last_mut().unwrap() = 1);
}

pub(crate) fn no_key_exchange() {
    let remove = |parts: &mut Parts| parts.remove(E::key_share);
    server_hello(NoKeyExchange, remove);
    refuse_edited(Server, retry(), AFTER_RETRY, parts(remove), NoKeyExchange);
}

pub(crate) fn unoffered_group() {
    let p256 = [&[4][..], &[9; 64]].concat();
    // Offered, but without a share; not offered; unknown.
    for group in [NamedGroup::secp256r1, NamedGroup::secp384r1, NamedGroup(0x2a2a)] {
        server_hello(UnofferedGroup, |parts| parts.set(E::key_share, &share(group, &p256)));
    }
}

pub(crate) fn second_retry() {
    let mut request = None;
    let mut duel = Duel::new(Server, retry());
    duel.run(|unit| match &request {
        None => {
            request = Some(unit.clone());
            vec![unit]
        }
        Some(request) if unit.is(H::server_hello) => vec![request.clone()],
        Some(_) => vec![unit],
    });
    duel.assert_refused(SecondRetry);
    // One that asks for something else.
    let mut duel = Duel::new(Server, retry());
    let mut request = None;
    duel.run(|unit| match &request {
        None => {
            request = Some(unit.clone());
            vec![unit]
        }
        Some(first) if unit.is(H::server_hello) => {
            let mut parts = Parts::of(&first.content);
            parts.set(E::key_share, &NamedGroup::x25519.0.to_be_bytes());
            parts.add(E::cookie, &vec16(b"cookie"));
            vec![first.with(parts.build())]
        }
        Some(_) => vec![unit],
    });
    duel.assert_refused(SecondRetry);
}

pub(crate) fn useless_retry() {
    retry_request(UselessRetry, |parts| parts.remove(E::key_share));
}

pub(crate) fn bad_retry_group() {
    for group in [NamedGroup::x25519, NamedGroup::secp384r1, NamedGroup(0x2a2a)] {
        let data = group.0.to_be_bytes();
        retry_request(BadRetryGroup, |parts| parts.set(E::key_share, &data));
        // A cookie besides makes it no better.
        retry_request(BadRetryGroup, |parts| {
            parts.set(E::key_share, &data);
            parts.add(E::cookie, &vec16(b"cookie"));
        });
    }
}

pub(crate) fn retry_suite_changed() {
    let (client, server) = retry();
    let both = [CipherSuiteId::TLS_AES_128_GCM_SHA256, CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256];
    let configs = (client.with_suites(&both).unwrap(), server);
    let edit = parts(suite(0x1303));
    refuse_edited(Server, configs, AFTER_RETRY, edit, RetrySuiteChanged);
}

pub(crate) fn retry_version_changed() {
    for version in [0x0303_u16, 0x0305, 0x7f1c] {
        let edit = parts(|parts| parts.set(E::supported_versions, &version.to_be_bytes()));
        refuse_edited(Server, retry(), AFTER_RETRY, edit, RetryVersionChanged);
    }
    let remove = parts(|parts| parts.remove(E::supported_versions));
    refuse_edited(Server, retry(), AFTER_RETRY, remove, RetryVersionChanged);
}

pub(crate) fn retry_group_changed() {
    for group in [NamedGroup::x25519, NamedGroup::secp384r1] {
        let entry = share(group, &[9; 32]);
        let edit = parts(|parts| parts.set(E::key_share, &entry));
        refuse_edited(Server, retry(), AFTER_RETRY, edit, RetryGroupChanged);
    }
}

pub(crate) fn bad_alpn() {
    let (client, server) = simple();
    let protocols: &[&[u8]] = &[b"h2", b"http/1.1"];
    let configs = || {
        let (client, server) = (client.clone(), server.clone());
        (client.with_alpn(protocols).unwrap(), server.with_alpn(protocols).unwrap())
    };
    for list in [&b"\x02h3"[..], b"\x02H2", b"\x02h2\x08http/1.1", b"\x02h2\x02h2", b"\x01h"] {
        let data = vec16(list);
        let edit = parts(|parts| parts.set(E::application_layer_protocol_negotiation, &data));
        refuse_edited(Server, configs(), H::encrypted_extensions, edit, BadAlpn);
    }
}

pub(crate) fn bad_server_name_ack() {
    let name = vec16(&[&[0][..], &vec16(b"server.test")].concat());
    for data in [&[0][..], &name] {
        let edit = parts(|parts| parts.set(E::server_name, data));
        refuse_edited(Server, simple(), H::encrypted_extensions, edit, BadServerNameAck);
    }
}

pub(crate) fn unoffered_certificate_type() {
    // The client offers raw public keys and nothing else, both ways.
    for kind in [E::client_certificate_type, E::server_certificate_type] {
        for selected in [0, 1, 3, 0xff] {
            let edit = parts(|parts| parts.set(kind, &[selected]));
            let message = H::encrypted_extensions;
            refuse_edited(Server, raw_keys(), message, edit, UnofferedCertificateType);
        }
    }
}
