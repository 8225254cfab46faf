//! CertificateRequest, Certificate, CertificateVerify and Finished (RFC 9846 §4.4.2, §4.5).

use std::sync::Arc;

use sealwire::Violation::*;
use sealwire::codepoints::{ExtensionType as E, HandshakeType as H, SignatureScheme};

use sealwire::compress::{CertificateCompression, Zlib};

use super::duel::{Configs, Duel, mutual, raw_keys, simple};
use super::edit::{Parts, certificate, certificate_parts, compressed_certificate, leaf_extensions};
use super::refuse::refuse_edited;
use super::support::Role::{self, Client, Server};
use super::support::{Kind, pki};

pub(crate) fn request_context_not_empty() {
    let edit = |message: &mut Vec<u8>| {
        let mut parts = Parts::of(message);
        parts.head = vec![1, 7];
        *message = parts.build();
    };
    refuse_edited(Server, mutual(), H::certificate_request, edit, RequestContextNotEmpty);
}

pub(crate) fn certificate_context() {
    for attacker in Role::BOTH {
        let edit = |message: &mut Vec<u8>| {
            *message = certificate(b"x", &certificate_parts(message).1);
        };
        refuse_edited(attacker, mutual(), H::certificate, edit, CertificateContext);
    }
    // Without any certificates, too.
    let edit = |message: &mut Vec<u8>| *message = certificate(b"x", &[]);
    refuse_edited(Client, mutual(), H::certificate, edit, CertificateContext);
}

pub(crate) fn empty_server_certificate() {
    for configs in [simple(), mutual()] {
        let edit = |message: &mut Vec<u8>| *message = certificate(b"", &[]);
        refuse_edited(Server, configs, H::certificate, edit, EmptyServerCertificate);
    }
}

pub(crate) fn no_client_certificate() {
    let edit = |message: &mut Vec<u8>| *message = certificate(b"", &[]);
    refuse_edited(Client, mutual(), H::certificate, edit, NoClientCertificate);
    // An honest client that has none.
    let (client, server) = mutual();
    let mut duel = Duel::new(Client, (client.with_credentials(Vec::new()), server));
    duel.run(|unit| vec![unit]);
    duel.assert_refused(NoClientCertificate);
}

pub(crate) fn several_raw_public_keys() {
    for attacker in Role::BOTH {
        let edit = |message: &mut Vec<u8>| {
            let (context, entries) = certificate_parts(message);
            *message = certificate(&context, &[entries.clone(), entries].concat());
        };
        refuse_edited(attacker, raw_keys(), H::certificate, edit, SeveralRawPublicKeys);
    }
}

/// Sets the scheme of a CertificateVerify.
fn scheme(scheme: SignatureScheme) -> impl Fn(&mut Vec<u8>) {
    move |message| message[4..6].copy_from_slice(&scheme.0.to_be_bytes())
}

/// Both sides accept only ECDSA with P-256 and RSA in CertificateVerify.
fn few_schemes() -> Configs {
    let (client, server) = mutual();
    let few = [SignatureScheme::ecdsa_secp256r1_sha256, SignatureScheme::rsa_pss_rsae_sha256];
    (client.with_schemes(&few).unwrap(), server.with_schemes(&few).unwrap())
}

pub(crate) fn unoffered_signature_scheme() {
    for attacker in Role::BOTH {
        // Known and not offered; offered for certificates only; SHA-1; unknown.
        for id in [
            SignatureScheme::ed25519,
            SignatureScheme::ecdsa_secp384r1_sha384,
            SignatureScheme::rsa_pkcs1_sha256,
            SignatureScheme::rsa_pkcs1_sha1,
            SignatureScheme::ecdsa_sha1,
            SignatureScheme::rsa_pkcs1_sha256_legacy,
            SignatureScheme(0xfefe),
            SignatureScheme(0),
        ] {
            let configs = few_schemes();
            let expected = UnofferedSignatureScheme;
            refuse_edited(attacker, configs, H::certificate_verify, scheme(id), expected);
        }
    }
}

pub(crate) fn signature_scheme_mismatch() {
    for attacker in Role::BOTH {
        for id in [
            SignatureScheme::rsa_pss_rsae_sha256,
            SignatureScheme::ed25519,
            // The right algorithm on the wrong curve.
            SignatureScheme::ecdsa_secp384r1_sha384,
        ] {
            let expected = SignatureSchemeMismatch;
            refuse_edited(attacker, mutual(), H::certificate_verify, scheme(id), expected);
        }
    }
    let (client, server) = simple();
    let credential = pki().server(Kind::Rsa).credential(server.provider());
    let server = sealwire::ServerConfig::new(server.provider().clone(), vec![credential]).unwrap();
    let edit = scheme(SignatureScheme::ecdsa_secp256r1_sha256);
    let configs = (client, server);
    refuse_edited(Server, configs, H::certificate_verify, edit, SignatureSchemeMismatch);
}

pub(crate) fn bad_signature() {
    for attacker in Role::BOTH {
        for at in [8, 20, 60] {
            let edit = |message: &mut Vec<u8>| message[at] ^= 1;
            refuse_edited(attacker, mutual(), H::certificate_verify, edit, BadSignature);
        }
        // None at all.
        let edit = |message: &mut Vec<u8>| *message = vec![15, 0, 0, 4, 4, 3, 0, 0];
        refuse_edited(attacker, mutual(), H::certificate_verify, edit, BadSignature);
    }
    // A good signature over another transcript.
    let edit = |message: &mut Vec<u8>| {
        let mut parts = Parts::of(message);
        parts.set(E::supported_groups, &[0, 2, 0, 23]);
        *message = parts.build();
    };
    refuse_edited(Server, simple(), H::encrypted_extensions, edit, BadSignature);
}

pub(crate) fn bad_finished() {
    for attacker in Role::BOTH {
        for configs in [simple(), mutual()] {
            for at in [4, 20, 35] {
                let edit = |message: &mut Vec<u8>| message[at] ^= 0x80;
                refuse_edited(attacker, configs.clone(), H::finished, edit, BadFinished);
            }
        }
    }
}

pub(crate) fn bad_status() {
    for kind in [0, 2, 0xff] {
        let edit = leaf_extensions(&[(E::status_request, vec![kind, 0, 0, 1, 0x30])]);
        refuse_edited(Server, simple(), H::certificate, &edit, BadStatus);
        let (client, server) = mutual();
        let configs = (client, server.with_status_requests(true, true));
        refuse_edited(Client, configs, H::certificate, &edit, BadStatus);
    }
}

/// Both take zlib.
pub(crate) fn with_zlib((client, server): Configs) -> Configs {
    (
        client.with_certificate_compression(vec![Arc::new(Zlib)]).unwrap(),
        server.with_certificate_compression(vec![Arc::new(Zlib)]).unwrap(),
    )
}

pub(crate) fn unoffered_compression() {
    for attacker in Role::BOTH {
        for algorithm in [0, 2, 3, 0xffff] {
            let edit = move |message: &mut Vec<u8>| {
                *message = compressed_certificate(algorithm, 1_000, &[1; 100]);
            };
            let configs = with_zlib(mutual());
            let kind = H::compressed_certificate;
            refuse_edited(attacker, configs, kind, edit, UnofferedCompression);
        }
    }
}

pub(crate) fn bad_compression() {
    // What is declared, and what it is, for an honest body of 1,000 bytes.
    let honest = Zlib.compress(&[7; 1_000]).unwrap();
    let cut = honest[..honest.len() - 1].to_vec();
    let longer = [&honest[..], &[0]].concat();
    let wrong_sum = honest.iter().rev().skip(1).rev().copied().chain([!honest[honest.len() - 1]]);
    for (len, compressed) in [
        (999, honest.clone()),
        (1_001, honest.clone()),
        (0, honest.clone()),
        (1_000, cut),
        (1_000, longer),
        (1_000, wrong_sum.collect()),
        (1_000, vec![0]),
    ] {
        for attacker in Role::BOTH {
            let compressed = compressed.clone();
            let edit = move |message: &mut Vec<u8>| {
                *message = compressed_certificate(1, len, &compressed);
            };
            let configs = with_zlib(mutual());
            refuse_edited(attacker, configs, H::compressed_certificate, edit, BadCompression);
        }
    }
}
