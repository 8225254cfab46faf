//! ClientHello, and extensions wherever they stand (RFC 9846 §4.2.2, §4.3).

use std::sync::Arc;
use std::time::Duration;

use sealwire::Violation::{self, *};
use sealwire::codepoints::{CipherSuiteId, ExtensionType as E, HandshakeType as H, NamedGroup};
use sealwire::pki_types::UnixTime;
use sealwire::{CookieKey, ServerNamePolicy};

use super::duel::{Configs, Duel, Unit, mutual, retry, simple};
use super::edit::{Parts, leaf_extensions, parts, ticket, vec16};
use super::refuse::{AFTER_RETRY, RETRY, SECOND_CLIENT_HELLO, refuse_after, refuse_edited};
use super::support::Role::{Client, Server};
use super::support::now;

/// An extension that nobody knows.
const UNKNOWN: E = E(0xfafa);

/// A ClientHello that a server refuses.
fn client_hello(expected: Violation, edit: impl Fn(&mut Parts)) {
    refuse_edited(Client, simple(), H::client_hello, parts(edit), expected);
}

/// A second ClientHello that a server refuses.
fn second_client_hello(expected: Violation, edit: impl Fn(&mut Parts)) {
    refuse_edited(Client, retry(), SECOND_CLIENT_HELLO, parts(edit), expected);
}

/// A ServerHello that a client refuses; and a HelloRetryRequest with the same in it.
pub(crate) fn both_server_hellos(expected: Violation, edit: impl Fn(&mut Parts)) {
    server_hello(expected, &edit);
    retry_request(expected, &edit);
    refuse_edited(Server, retry(), AFTER_RETRY, parts(&edit), expected);
}

pub(crate) fn server_hello(expected: Violation, edit: impl Fn(&mut Parts)) {
    refuse_edited(Server, simple(), H::server_hello, parts(edit), expected);
}

pub(crate) fn retry_request(expected: Violation, edit: impl Fn(&mut Parts)) {
    refuse_edited(Server, retry(), RETRY, parts(edit), expected);
}

/// A ClientHello with a psk_key_exchange_modes and this pre_shared_key at its end.
fn with_psk(parts: &mut Parts, identities: usize, binders: usize) {
    let identity = [&vec16(b"ticket")[..], &[0; 4]].concat();
    let binder = [&[32][..], &[7; 32]].concat();
    parts.add(E::psk_key_exchange_modes, &[1, 1]);
    let list = [vec16(&identity.repeat(identities)), vec16(&binder.repeat(binders))].concat();
    parts.add(E::pre_shared_key, &list);
}

pub(crate) fn duplicate_extension() {
    let twice = |parts: &mut Parts| {
        let again = parts.extensions[0].clone();
        parts.extensions.push(again);
    };
    client_hello(DuplicateExtension, twice);
    client_hello(DuplicateExtension, |parts| {
        parts.add(UNKNOWN, b"1");
        parts.add(UNKNOWN, b"2");
    });
    second_client_hello(DuplicateExtension, twice);
    both_server_hellos(DuplicateExtension, twice);
    both_server_hellos(DuplicateExtension, |parts| {
        let data = parts.data(E::supported_versions).clone();
        parts.add(E::supported_versions, &data);
    });
    let twice = |parts: &mut Parts| {
        parts.extensions.push((E::supported_groups, vec![0, 2, 0, 29]));
        parts.extensions.push((E::supported_groups, vec![0, 2, 0, 29]));
    };
    refuse_edited(Server, simple(), H::encrypted_extensions, parts(twice), DuplicateExtension);
    let twice = |parts: &mut Parts| parts.extensions.extend_from_within(..1);
    refuse_edited(Server, mutual(), H::certificate_request, parts(twice), DuplicateExtension);
    let ocsp = (E::status_request, vec![1, 0, 0, 1, 0x30]);
    let twice = leaf_extensions(&[ocsp.clone(), ocsp]);
    for attacker in [Server, Client] {
        refuse_edited(attacker, mutual(), H::certificate, &twice, DuplicateExtension);
    }
    let early_data = (E::early_data, vec![0; 4]);
    let twice = ticket(&[early_data.clone(), early_data]);
    refuse_after(Server, &[Unit::post(&twice)], DuplicateExtension);
}

pub(crate) fn padded_flags() {
    for flags in [&[1, 0][..], &[2, 0x80, 0], &[3, 0, 0, 0]] {
        let ticket = ticket(&[(E::tls_flags, flags.to_vec())]);
        refuse_after(Server, &[Unit::post(&ticket)], PaddedFlags);
    }
    // Known ones and unknown ones are well-formed, whatever they mean.
    for flags in [&[1, 1][..], &[2, 0, 0x80]] {
        let mut duel = Duel::connected(Server, simple());
        duel.inject([Unit::post(&ticket(&[(E::tls_flags, flags.to_vec())]))]);
        duel.assert_content();
    }
    // Without any, or cut, they do not parse.
    for flags in [&[][..], &[0], &[2, 1], &[1, 1, 1]] {
        let mut duel = Duel::connected(Server, simple());
        duel.inject([Unit::post(&ticket(&[(E::tls_flags, flags.to_vec())]))]);
        duel.assert_malformed();
    }
}

pub(crate) fn unsolicited_extension() {
    for kind in [UNKNOWN, E::pre_shared_key] {
        server_hello(UnsolicitedExtension, |parts| parts.add(kind, &[0, 0]));
        refuse_edited(
            Server,
            retry(),
            AFTER_RETRY,
            parts(|parts| parts.add(kind, &[0, 0])),
            UnsolicitedExtension,
        );
    }
    for kind in [UNKNOWN, E::encrypted_client_hello] {
        retry_request(UnsolicitedExtension, |parts| parts.add(kind, &[0; 8]));
    }
    let alpn = vec![0, 3, 2, b'h', b'2'];
    for (kind, data) in [
        (UNKNOWN, vec![]),
        (E::application_layer_protocol_negotiation, alpn),
        (E::early_data, vec![]),
        (E::record_size_limit, vec![0x40, 0]),
        (E::quic_transport_parameters, vec![]),
    ] {
        let add = parts(move |parts| parts.add(kind, &data));
        refuse_edited(Server, simple(), H::encrypted_extensions, add, UnsolicitedExtension);
    }
    // The client did not ask for either.
    let (client, server) = simple();
    let configs = (client.with_status_requests(false, false), server);
    let ocsp = (E::status_request, vec![1, 0, 0, 1, 0x30]);
    let sct = (E::signed_certificate_timestamp, vec![0, 3, 0, 1, 7]);
    for extension in [ocsp.clone(), sct.clone(), (UNKNOWN, vec![])] {
        let edit = leaf_extensions(&[extension]);
        refuse_edited(Server, configs.clone(), H::certificate, edit, UnsolicitedExtension);
    }
    // The server neither. What the ClientHello had does not count.
    for extension in [ocsp, sct, (UNKNOWN, vec![])] {
        let edit = leaf_extensions(&[extension]);
        refuse_edited(Client, mutual(), H::certificate, edit, UnsolicitedExtension);
    }
}

pub(crate) fn misplaced_extension() {
    client_hello(MisplacedExtension, |parts| parts.add(E::oid_filters, &[0, 0]));
    for kind in [E::server_name, E::application_layer_protocol_negotiation, E::cookie] {
        server_hello(MisplacedExtension, |parts| parts.add(kind, &[0, 1, 0]));
    }
    for kind in [E::pre_shared_key, E::supported_groups] {
        retry_request(MisplacedExtension, |parts| parts.add(kind, &[0, 0]));
    }
    for kind in [
        E::key_share,
        E::supported_versions,
        E::signature_algorithms,
        E::status_request,
        E::signed_certificate_timestamp,
        E::padding,
        E::pre_shared_key,
        E::cookie,
        E::psk_key_exchange_modes,
        E::certificate_authorities,
    ] {
        let add = parts(move |parts| parts.add(kind, &[]));
        refuse_edited(Server, simple(), H::encrypted_extensions, add, MisplacedExtension);
    }
    for kind in [E::key_share, E::supported_groups, E::application_layer_protocol_negotiation] {
        let add = parts(move |parts| parts.add(kind, &[]));
        refuse_edited(Server, mutual(), H::certificate_request, add, MisplacedExtension);
        let edit = leaf_extensions(&[(kind, vec![])]);
        for attacker in [Server, Client] {
            refuse_edited(attacker, mutual(), H::certificate, &edit, MisplacedExtension);
        }
        refuse_after(Server, &[Unit::post(&ticket(&[(kind, vec![])]))], MisplacedExtension);
    }
}

pub(crate) fn pre_shared_key_not_last() {
    client_hello(PreSharedKeyNotLast, |parts| {
        with_psk(parts, 1, 1);
        parts.add(E::padding, &[]);
    });
    client_hello(PreSharedKeyNotLast, |parts| {
        with_psk(parts, 1, 1);
        parts.extensions.rotate_right(1);
    });
}

pub(crate) fn legacy_version() {
    for version in [0x0300_u16, 0x0301, 0x0302, 0x0304, 0x7f17, 0x0403] {
        let set = |parts: &mut Parts| parts.head[..2].copy_from_slice(&version.to_be_bytes());
        client_hello(LegacyVersion, set);
        second_client_hello(LegacyVersion, set);
        both_server_hellos(LegacyVersion, set);
    }
}

pub(crate) fn legacy_compression() {
    for methods in [&[1][..], &[0, 1], &[1, 0], &[0, 0]] {
        client_hello(LegacyCompression, |parts| {
            parts.head.truncate(parts.head.len() - 2);
            parts.head.push(u8::try_from(methods.len()).unwrap());
            parts.head.extend(methods);
        });
    }
}

pub(crate) fn missing_signature_algorithms() {
    client_hello(MissingSignatureAlgorithms, |parts| parts.remove(E::signature_algorithms));
    // Nor does a pre-shared key help that nobody takes up.
    client_hello(MissingSignatureAlgorithms, |parts| {
        parts.remove(E::signature_algorithms);
        with_psk(parts, 1, 1);
    });
    let remove = parts(|parts| parts.remove(E::signature_algorithms));
    refuse_edited(Server, mutual(), H::certificate_request, remove, MissingSignatureAlgorithms);
}

pub(crate) fn missing_supported_groups() {
    client_hello(MissingSupportedGroups, |parts| parts.remove(E::supported_groups));
    client_hello(MissingSupportedGroups, |parts| {
        parts.remove(E::supported_groups);
        parts.remove(E::key_share);
    });
}

pub(crate) fn missing_key_share() {
    client_hello(MissingKeyShare, |parts| parts.remove(E::key_share));
    second_client_hello(MissingKeyShare, |parts| parts.remove(E::key_share));
}

pub(crate) fn missing_psk_modes() {
    client_hello(MissingPskModes, |parts| {
        with_psk(parts, 1, 1);
        parts.remove(E::psk_key_exchange_modes);
    });
}

pub(crate) fn missing_server_name() {
    let (client, server) = simple();
    let configs = (client, server.with_server_name_policy(ServerNamePolicy::Require));
    let remove = parts(|parts| parts.remove(E::server_name));
    refuse_edited(Client, configs, H::client_hello, remove, MissingServerName);
}

/// One entry of key_share.
pub(crate) fn share(group: NamedGroup, bytes: &[u8]) -> Vec<u8> {
    [&group.0.to_be_bytes()[..], &vec16(bytes)].concat()
}

pub(crate) fn duplicate_key_share() {
    client_hello(DuplicateKeyShare, |parts| {
        let entry = parts.data(E::key_share)[2..].to_vec();
        parts.set(E::key_share, &vec16(&entry.repeat(2)));
    });
    // Of a group that nobody knows.
    client_hello(DuplicateKeyShare, |parts| {
        let entry = share(NamedGroup(0x2a2a), &[1]);
        parts.set(E::supported_groups, &[0, 4, 0, 29, 0x2a, 0x2a]);
        parts.set(E::key_share, &vec16(&entry.repeat(2)));
    });
}

pub(crate) fn key_share_not_in_groups() {
    client_hello(KeyShareNotInGroups, |parts| parts.set(E::supported_groups, &[0, 2, 0, 23]));
    client_hello(KeyShareNotInGroups, |parts| {
        let mut entries = parts.data(E::key_share)[2..].to_vec();
        entries.extend(share(NamedGroup::secp384r1, &[4; 97]));
        parts.set(E::key_share, &vec16(&entries));
    });
}

/// Shares that are no public keys, by group.
fn bad_shares() -> Vec<(NamedGroup, Vec<u8>)> {
    let mut off_curve = [9; 65];
    off_curve[0] = 4;
    // Public keys of order 2 and 8 (RFC 7748 §6.1: the result is all zeros).
    let mut order_two = [0; 32];
    order_two[0] = 1;
    let mut compressed = [9; 33];
    compressed[0] = 2;
    vec![
        (NamedGroup::x25519, vec![0; 32]),
        (NamedGroup::x25519, order_two.to_vec()),
        (NamedGroup::x25519, vec![9; 31]),
        (NamedGroup::x25519, vec![9; 33]),
        (NamedGroup::secp256r1, off_curve.to_vec()),
        (NamedGroup::secp256r1, vec![4; 64]),
        (NamedGroup::secp256r1, compressed.to_vec()),
        (NamedGroup::secp256r1, vec![0]),
        (NamedGroup::secp384r1, [&[4][..], &[9; 96]].concat()),
        (NamedGroup::secp384r1, off_curve.to_vec()),
        (NamedGroup::X25519MLKEM768, vec![9; 32]),
        (NamedGroup::X25519MLKEM768, vec![9; 1183]),
        // Coefficients that are not reduced (FIPS 203 §7.2).
        (NamedGroup::X25519MLKEM768, vec![0xff; 1216]),
        (NamedGroup::X25519MLKEM768, vec![9; 1088]),
        (NamedGroup::X25519MLKEM768, vec![9; 1119]),
        // A ciphertext that would do, beside a point that does not.
        (NamedGroup::X25519MLKEM768, [&[9; 1088][..], &[0; 32]].concat()),
    ]
}

pub(crate) fn bad_key_share() {
    for (group, bytes) in bad_shares() {
        let configs = || {
            let (client, server) = super::support::configs(12);
            (
                client
                    .with_suites(&[CipherSuiteId::TLS_AES_128_GCM_SHA256])
                    .unwrap()
                    .with_groups(&[group])
                    .unwrap(),
                server,
            )
        };
        let entry = share(group, &bytes);
        let list = vec16(&entry);
        let edit = parts(|parts| parts.set(E::key_share, &list));
        refuse_edited(Client, configs(), H::client_hello, edit, BadKeyShare);
        let edit = parts(|parts| parts.set(E::key_share, &entry));
        refuse_edited(Server, configs(), H::server_hello, edit, BadKeyShare);
    }
    // The same after a HelloRetryRequest.
    second_client_hello(BadKeyShare, |parts| {
        parts.set(E::key_share, &vec16(&share(NamedGroup::secp256r1, &[4; 65])));
    });
}

pub(crate) fn binder_count() {
    client_hello(BinderCount, |parts| with_psk(parts, 2, 1));
    client_hello(BinderCount, |parts| with_psk(parts, 1, 2));
    client_hello(BinderCount, |parts| with_psk(parts, 3, 5));
}

pub(crate) fn bad_server_name() {
    let host = [&[0][..], &vec16(b"server.test")].concat();
    client_hello(BadServerName, |parts| parts.set(E::server_name, &vec16(&host.repeat(2))));
    let other = [&[0][..], &vec16(b"other.test")].concat();
    client_hello(BadServerName, |parts| {
        parts.set(E::server_name, &vec16(&[&host[..], &other].concat()));
    });
}

pub(crate) fn unrecognized_name() {
    for policy in [ServerNamePolicy::Match, ServerNamePolicy::Require] {
        for name in ["nobody.test", "not a name", "127.0.0.1"] {
            let (client, server) = simple();
            let configs = (client, server.with_server_name_policy(policy));
            let list = vec16(&[&[0][..], &vec16(name.as_bytes())].concat());
            let edit = parts(|parts| parts.set(E::server_name, &list));
            refuse_edited(Client, configs, H::client_hello, edit, UnrecognizedName);
        }
    }
}

pub(crate) fn only_default_certificate_type() {
    for kind in [E::client_certificate_type, E::server_certificate_type] {
        for list in [&[1, 0][..], &[2, 0, 0]] {
            client_hello(OnlyDefaultCertificateType, |parts| {
                parts.extensions.insert(0, (kind, list.to_vec()));
            });
        }
    }
}

pub(crate) fn changed_client_hello() {
    // random, session identifier, suites
    second_client_hello(ChangedClientHello, |parts| parts.head[2] ^= 1);
    second_client_hello(ChangedClientHello, |parts| parts.head[35] ^= 1);
    second_client_hello(ChangedClientHello, |parts| {
        let suites = parts.head.len() - 4;
        parts.head[suites..suites + 2].copy_from_slice(&[0x13, 2]);
    });
    for (kind, data) in [
        (E::server_name, vec16(&[&[0][..], &vec16(b"other.test")].concat())),
        (E::supported_groups, vec![0, 2, 0, 23]),
        (E::signature_algorithms, vec![0, 2, 4, 3]),
        (E::supported_versions, vec![4, 3, 4, 3, 3]),
        (E::application_layer_protocol_negotiation, vec![0, 3, 2, b'h', b'2']),
        (E::psk_key_exchange_modes, vec![1, 0]),
        (E::record_size_limit, vec![0x40, 0]),
        // Nothing in our HelloRetryRequest would allow that.
        (UNKNOWN, vec![7]),
        (E(0x0a0a), vec![]),
    ] {
        second_client_hello(ChangedClientHello, |parts| parts.set(kind, &data));
    }
    second_client_hello(ChangedClientHello, |parts| parts.remove(E::server_name));
    second_client_hello(ChangedClientHello, |parts| parts.extensions.swap(0, 1));

    // A server that has forgotten the first one knows it just as well.
    for edit in [
        |parts: &mut Parts| parts.head[2] ^= 1,
        |parts: &mut Parts| parts.set(E::supported_groups, &[0, 2, 0, 23]),
        |parts: &mut Parts| parts.set(E::signature_algorithms, &[0, 2, 4, 3]),
    ] {
        forgetful(edit, Duration::ZERO).assert_refused(ChangedClientHello);
    }
}

pub(crate) fn retry_ignored() {
    let p256 = [&[4][..], &[9; 64]].concat();
    let x25519 = share(NamedGroup::x25519, &[9; 32]);
    second_client_hello(RetryIgnored, |parts| parts.set(E::key_share, &[0, 0]));
    second_client_hello(RetryIgnored, |parts| parts.set(E::key_share, &vec16(&x25519)));
    second_client_hello(RetryIgnored, |parts| {
        let entries = [share(NamedGroup::secp256r1, &p256), x25519.clone()].concat();
        parts.set(E::key_share, &vec16(&entries));
    });
    forgetful(|parts| parts.set(E::key_share, &[0, 0]), Duration::ZERO)
        .assert_refused(RetryIgnored);
}

pub(crate) fn early_data_after_retry() {
    second_client_hello(EarlyDataAfterRetry, |parts| parts.add(E::early_data, &[]));
    forgetful(|parts| parts.add(E::early_data, &[]), Duration::ZERO)
        .assert_refused(EarlyDataAfterRetry);
}

fn stateless() -> Configs {
    let (client, server) = retry();
    let key = CookieKey::new(&[7; 32]).unwrap().with_lifetime(Duration::from_secs(10));
    (client, server.with_stateless_retry(Arc::new(key)))
}

pub(crate) fn cookie_not_echoed() {
    let remove = parts(|parts| parts.remove(E::cookie));
    refuse_edited(Client, stateless(), SECOND_CLIENT_HELLO, remove, CookieNotEchoed);
    let change = parts(|parts| *parts.data(E::cookie).last_mut().unwrap() ^= 1);
    refuse_edited(Client, stateless(), SECOND_CLIENT_HELLO, change, CookieNotEchoed);
    let longer = parts(|parts| {
        let cookie = [&parts.data(E::cookie)[2..], &[0]].concat();
        parts.set(E::cookie, &vec16(&cookie));
    });
    refuse_edited(Client, stateless(), SECOND_CLIENT_HELLO, longer, CookieNotEchoed);
}

/// A handshake with a server that forgets everything after its HelloRetryRequest; the second ClientHello is edited.
fn forgetful(edit: impl Fn(&mut Parts), later: Duration) -> Duel {
    forgetting(stateless(), edit, later)
}

/// The same with these configurations, of a server with cookies that wants another ClientHello.
pub(crate) fn forgetting(
    (client, server): Configs,
    edit: impl Fn(&mut Parts),
    later: Duration,
) -> Duel {
    let mut duel = Duel::new(Client, (client, server.clone()));
    let mut second = Vec::new();
    let mut first = true;
    duel.run(|unit| {
        if unit.is(H::client_hello) && !std::mem::take(&mut first) {
            second.push(unit);
            return Vec::new();
        }
        match second.is_empty() {
            true => vec![unit],
            false => Vec::new(),
        }
    });
    duel.assert_content();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now().as_secs()) + later);
    duel.forget(server, time);
    let mut hello = Parts::of(&second[0].content);
    edit(&mut hello);
    duel.inject([second[0].with(hello.build())]);
    duel
}

pub(crate) fn bad_cookie() {
    // Nobody's.
    let add = parts(|parts| parts.add(E::cookie, &vec16(b"cookie")));
    refuse_edited(Client, stateless(), H::client_hello, add, BadCookie);
    forgetful(|_| {}, Duration::from_secs(10)).assert_content();
    forgetful(|_| {}, Duration::from_secs(11)).assert_refused(BadCookie);
    forgetful(|parts| *parts.data(E::cookie).last_mut().unwrap() ^= 1, Duration::ZERO)
        .assert_refused(BadCookie);
}
