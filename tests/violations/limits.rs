//! Bounds of ours: each is reached by one too many, and not before.

use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, GeneralSubtree, IsCa, KeyPair,
    NameConstraints,
};
use sealwire::codepoints::{
    Alert, CipherSuiteId, ContentType as C, ExtensionType as E, HandshakeType as H,
};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sealwire::{
    ClientAuth, ClientConfig, Credential, Limit, Limits, ServerConfig, TrustAnchors, Usage,
    Verifier, Violation,
};

use super::authentication::with_zlib;
use super::duel::{Configs, Duel, Epoch, Unit, mutual, retry, simple};
use super::edit::{
    Parts, certificate, certificate_parts, compressed_certificate, extension_block, key_update,
    message, ticket,
};
use super::refuse::{refuse_changed, refuse_edited};
use super::support::Role::{self, Client, Server};

/// After an honest handshake with these limits, `most` of the unit are taken and one more is refused.
fn one_too_many(attacker: Role, configs: Configs, unit: &Unit, most: usize, expected: Limit) {
    let mut duel = Duel::connected(attacker, configs);
    duel.inject(vec![unit.clone(); most]);
    duel.assert_content();
    duel.inject([unit.clone()]);
    duel.assert_refused(expected);
}

/// Only the attacked side has these limits.
fn limited(attacker: Role, limits: Limits) -> Configs {
    let (client, server) = mutual();
    match attacker {
        Client => (client, server.with_limits(limits)),
        Server => (client.with_limits(limits), server),
    }
}

pub(crate) fn handshake_message() {
    // By its header alone, before it is there.
    let too_long = [8, 1, 0, 1];
    for (attacker, first) in [(Client, H::client_hello), (Server, H::server_hello)] {
        let change = |unit: &Unit| vec![unit.with(too_long)];
        refuse_changed(attacker, simple(), first, change, Limit::HandshakeMessage);
    }
    for attacker in Role::BOTH {
        let mut duel = Duel::connected(attacker, simple());
        // Just as long as it may be: the rest is awaited.
        duel.inject([Unit::post(&[24, 1, 0, 0])]);
        duel.assert_content();
        let mut duel = Duel::connected(attacker, simple());
        duel.inject([Unit::post(&[24, 1, 0, 1])]);
        duel.assert_refused(Limit::HandshakeMessage);
    }
}

pub(crate) fn certificate_message() {
    for attacker in Role::BOTH {
        let change = |unit: &Unit| vec![unit.with([11, 2, 0, 1])];
        refuse_changed(attacker, mutual(), H::certificate, change, Limit::CertificateMessage);
        // The limit is the configuration's.
        let mut len = 0;
        Duel::new(attacker, mutual()).run(|unit| {
            len += if unit.is(H::certificate) { unit.content.len() - 4 } else { 0 };
            vec![unit]
        });
        let mut limits = Limits::default();
        limits.certificate_message = len;
        Duel::connected(attacker, limited(attacker, limits));
        limits.certificate_message = len - 1;
        let change = |unit: &Unit| vec![unit.clone()];
        let configs = limited(attacker, limits);
        refuse_changed(attacker, configs, H::certificate, change, Limit::CertificateMessage);
    }
}

/// Sets a limit to what was used, or to one less.
type Set = fn(&mut Limits, &Usage, less: bool);

/// What an honest handshake takes is enough, and one less is not.
fn just_enough(configs: fn() -> Configs, limit: Limit, set: Set) {
    for attacker in Role::BOTH {
        let used = Duel::connected(attacker, configs()).victim().usage();
        let limited = |less| {
            let mut limits = Limits::default();
            set(&mut limits, &used, less);
            let (client, server) = configs();
            match attacker {
                Client => (client, server.with_limits(limits)),
                Server => (client.with_limits(limits), server),
            }
        };
        assert_eq!(Duel::connected(attacker, limited(false)).victim().usage(), used);
        let mut duel = Duel::new(attacker, limited(true));
        duel.run(|unit| vec![unit]);
        duel.assert_limited(limit);
    }
}

pub(crate) fn handshake_bytes() {
    just_enough(mutual, Limit::HandshakeBytes, |limits, used, less| {
        assert!(used.handshake_bytes > 1_000, "{used:?}");
        limits.handshake_bytes = used.handshake_bytes - usize::from(less);
    });
    // Bytes count as they come, whole message or not.
    for attacker in Role::BOTH {
        let mut limits = Limits::default();
        limits.handshake_bytes = 3_000;
        let first = match attacker {
            Client => H::client_hello,
            Server => H::server_hello,
        };
        let change = |unit: &Unit| {
            let start = [unit.content[0], 0, 0xff, 0xff];
            let some = Unit::plain(C::handshake, &[0; 1_000]);
            vec![unit.with(start), some.clone(), some.clone(), some]
        };
        let configs = limited(attacker, limits);
        refuse_changed(attacker, configs, first, change, Limit::HandshakeBytes);
    }
}

pub(crate) fn handshake_messages() {
    just_enough(mutual, Limit::HandshakeMessages, |limits, used, less| {
        assert!((4..=6).contains(&used.handshake_messages), "{used:?}");
        limits.handshake_messages = used.handshake_messages - u32::from(less);
    });
}

pub(crate) fn chain_bytes() {
    just_enough(mutual, Limit::ChainBytes, |limits, used, less| {
        assert_eq!(used.chain_length, 2);
        limits.chain_bytes = used.chain_bytes - usize::from(less);
    });
}

pub(crate) fn signatures() {
    just_enough(mutual, Limit::Signatures, |limits, used, less| {
        assert_eq!(used.signatures, 2);
        limits.signatures = used.signatures - u32::from(less);
    });
}

pub(crate) fn candidates() {
    just_enough(mutual, Limit::Candidates, |limits, used, less| {
        assert_eq!(used.candidates, 2);
        limits.candidates = used.candidates - u32::from(less);
    });
}

/// Both show the same leaf, below a CA that may vouch for some names only.
fn constrained() -> Configs {
    static CHAIN: LazyLock<(Vec<CertificateDer<'static>>, Vec<u8>)> = LazyLock::new(|| {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("test".to_owned())],
            excluded_subtrees: vec![GeneralSubtree::DnsName("other.test".to_owned())],
        });
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["server.test".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &ca).unwrap();
        (vec![leaf.der().clone(), ca.der().clone()], key.serialize_der())
    });
    let (client, server) = simple();
    let (chain, key) = &*CHAIN;
    let verifier = || Verifier::new(TrustAnchors::from_certificates([chain[1].clone()]));
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.clone()));
    let credential = Credential::new(client.provider(), chain[..1].to_vec(), &key).unwrap();
    let credentials = vec![Arc::new(credential)];
    let provider = server.provider().clone();
    let client = ClientConfig::new(client.provider().clone(), verifier()).unwrap();
    let server = ServerConfig::new(provider, credentials.clone()).unwrap();
    (
        client.with_credentials(credentials).with_suites(&[SUITE]).unwrap(),
        server.with_client_auth(ClientAuth::Required(verifier())),
    )
}

const SUITE: CipherSuiteId = CipherSuiteId::TLS_AES_128_GCM_SHA256;

pub(crate) fn name_comparisons() {
    just_enough(constrained, Limit::NameComparisons, |limits, used, less| {
        assert!(used.name_comparisons >= 2, "{used:?}");
        limits.name_comparisons = used.name_comparisons - u32::from(less);
    });
}

pub(crate) fn decompressed_certificate() {
    // By what it says, before anything is decompressed (RFC 8879 §5).
    for attacker in Role::BOTH {
        let edit = |message: &mut Vec<u8>| {
            *message = compressed_certificate(1, (1 << 17) + 1, &[0x78]);
        };
        let configs = with_zlib(mutual());
        let limit = Limit::DecompressedCertificate;
        refuse_edited(attacker, configs, H::compressed_certificate, edit, limit);
        let mut limits = Limits::default();
        limits.decompressed_certificate = 100;
        let configs = with_zlib(limited(attacker, limits));
        let change = |unit: &Unit| vec![unit.clone()];
        refuse_changed(attacker, configs, H::compressed_certificate, change, limit);
    }
}

pub(crate) fn decompression_window() {
    // Of 32 KiB, as the first byte says (RFC 1950 §2.2).
    for (window, limit) in [((1 << 15) - 1, true), (1 << 15, false)] {
        for attacker in Role::BOTH {
            let mut limits = Limits::default();
            limits.decompression_window = window;
            let configs = with_zlib(limited(attacker, limits));
            let edit = |message: &mut Vec<u8>| *message = compressed_certificate(1, 9, &[0x78, 1]);
            let kind = H::compressed_certificate;
            match limit {
                true => refuse_edited(attacker, configs, kind, edit, Limit::DecompressionWindow),
                false => refuse_edited(attacker, configs, kind, edit, Violation::BadCompression),
            }
        }
    }
}

pub(crate) fn empty_records() {
    for attacker in Role::BOTH {
        for zeros in [0, 100] {
            let empty = Unit::new(Epoch::Application(0), C::application_data, &[]).padded(zeros);
            one_too_many(attacker, simple(), &empty, 32, Limit::EmptyRecords);
        }
        // Something in between is enough.
        let empty = Unit::new(Epoch::Application(0), C::application_data, &[]);
        let mut duel = Duel::connected(attacker, simple());
        for _ in 0..4 {
            duel.inject(vec![empty.clone(); 32]);
            duel.inject([empty.with(b"x")]);
        }
        duel.assert_content();
    }
}

/// A client whose ClientHello has early_data, though it has nothing to send early.
fn with_early_data((client, server): Configs) -> Configs {
    let hook = MessageHook(Arc::new(|kind, message: &mut Vec<u8>| {
        if kind == H::client_hello {
            let mut parts = Parts::of(message);
            parts.add(E::early_data, &[]);
            *message = parts.build();
        }
    }));
    (client.with_message_hook(hook), server)
}

pub(crate) fn skipped_early_data() {
    let most = Limits::default().skipped_early_data;
    // One that the server cannot open, of this length.
    let early = |len: usize| {
        let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
        Unit::raw(&[&[23, 3, 3, high, low][..], &vec![7; len]].concat())
    };
    // Just as many as may be; headers count.
    let record = 16_384;
    let mut whole = vec![early(record); most / (5 + record)];
    let rest = most - whole.len() * (5 + record);
    whole.extend(rest.checked_sub(5).map(early));
    // With the server's own key already there, and before it has one.
    for configs in [simple(), retry()] {
        let configs = with_early_data(configs);
        let say = |more: Vec<Unit>| {
            let mut duel = Duel::new(Client, configs.clone());
            let mut first = true;
            duel.run(|unit| match std::mem::take(&mut first) {
                true => [vec![unit], whole.clone(), more.clone()].concat(),
                false => Vec::new(), // what the honest client says would come behind it
            });
            duel
        };
        say(Vec::new()).assert_content();
        say(vec![early(0)]).assert_refused(Limit::SkippedEarlyData);
    }
    // Empty records are not free.
    let mut duel = Duel::new(Client, with_early_data(simple()));
    let mut first = true;
    duel.run(|unit| match std::mem::take(&mut first) {
        true => [vec![unit], vec![early(0); most / 5 + 1]].concat(),
        false => Vec::new(),
    });
    duel.assert_refused(Limit::SkippedEarlyData);
}

pub(crate) fn change_cipher_specs() {
    let unit = Unit::plain(C::change_cipher_spec, &[1]);
    // The server's own is one of them; the client sends its own before its second flight.
    for (attacker, message) in [(Server, H::encrypted_extensions), (Client, H::finished)] {
        let change = |message: &Unit| [vec![unit.clone(); 32], vec![message.clone()]].concat();
        refuse_changed(attacker, simple(), message, change, Limit::ChangeCipherSpecs);

        let mut duel = Duel::new(attacker, simple());
        duel.run(|message| match message.is(H::finished) {
            true => [vec![unit.clone(); 31], vec![message]].concat(),
            false => vec![message],
        });
        duel.assert_content();
    }
}

pub(crate) fn warnings() {
    for attacker in Role::BOTH {
        let canceled = [1, Alert::user_canceled.0];
        let unit = Unit::new(Epoch::Application(0), C::alert, &canceled);
        one_too_many(attacker, simple(), &unit, 4, Limit::Warnings);
        // Within the handshake they count, too.
        let first = match attacker {
            Client => H::client_hello,
            Server => H::server_hello,
        };
        let change = |_: &Unit| vec![Unit::plain(C::alert, &canceled); 5];
        refuse_changed(attacker, simple(), first, change, Limit::Warnings);
    }
}

pub(crate) fn chain_length() {
    for attacker in Role::BOTH {
        let edit = |message: &mut Vec<u8>| {
            let (context, mut entries) = certificate_parts(message);
            entries.resize(17, entries[0].clone());
            *message = certificate(&context, &entries);
        };
        refuse_edited(attacker, mutual(), H::certificate, edit, Limit::ChainLength);
        let mut limits = Limits::default();
        limits.chain_length = 1;
        let change = |unit: &Unit| vec![unit.clone()];
        refuse_changed(
            attacker,
            limited(attacker, limits),
            H::certificate,
            change,
            Limit::ChainLength,
        );
    }
}

pub(crate) fn key_updates() {
    for attacker in Role::BOTH {
        for request in [0, 1] {
            let mut duel = Duel::connected(attacker, simple());
            let mut generation = 0;
            let mut next = |kind: C, content: &[u8]| {
                let unit = Unit::new(Epoch::Application(generation), kind, content);
                generation += u64::from(kind == C::handshake);
                unit
            };
            // Data in between starts the count again.
            for _ in 0..2 {
                duel.inject((0..32).map(|_| next(C::handshake, &key_update(request))));
                duel.inject([next(C::application_data, b"data")]);
            }
            duel.inject((0..32).map(|_| next(C::handshake, &key_update(request))));
            duel.assert_content();
            duel.inject([next(C::handshake, &key_update(request))]);
            duel.assert_refused(Limit::KeyUpdates);
        }
    }
}

pub(crate) fn tickets() {
    let ticket = ticket(&[]);
    one_too_many(Server, simple(), &Unit::post(&ticket), 32, Limit::Tickets);
    // All in one record.
    let many = Unit::post(&ticket.repeat(33));
    one_too_many(Server, simple(), &many, 0, Limit::Tickets);
}

pub(crate) fn post_handshake() {
    // A client that answers requests for its certificate, which costs it a signature each.
    let configs = || {
        let (client, server) = mutual();
        (client.with_post_handshake_auth(true), server)
    };
    let request = |number: u8| {
        let schemes = [(E::signature_algorithms, vec![0, 2, 4, 3])];
        let body = [vec![1, number], extension_block(&schemes)].concat();
        Unit::post(&message(H::certificate_request, &body))
    };
    let mut duel = Duel::connected(Server, configs());
    duel.inject((0..32).map(request));
    duel.assert_content();
    assert_eq!(duel.victim().usage().post_handshake, 32);
    duel.inject([Unit::new(Epoch::Application(0), C::application_data, b"data")]);
    assert_eq!(duel.victim().usage().post_handshake, 0);
    duel.inject((0..32).map(request));
    duel.assert_content();
    duel.inject([request(32)]);
    duel.assert_refused_unheard(Limit::PostHandshake);
}

pub(crate) fn buffered_bytes() {
    let mut limits = Limits::default();
    limits.buffered_bytes = 100;
    for attacker in Role::BOTH {
        // A message of 204 bytes in two records: only the first is held.
        let part = |len: usize| {
            let mut bytes = vec![24, 0, 0, 200];
            bytes.resize(len, 0);
            Unit::post(&bytes)
        };
        let mut duel = Duel::connected(attacker, limited(attacker, limits));
        duel.inject([part(100)]);
        duel.assert_content();
        assert_eq!(duel.victim().usage().buffered_bytes, 100);
        duel.inject([Unit::post(&[0])]);
        duel.assert_refused(Limit::BufferedBytes);
        let mut duel = Duel::connected(attacker, limited(attacker, limits));
        duel.inject([part(101)]);
        duel.assert_refused(Limit::BufferedBytes);
    }
}
