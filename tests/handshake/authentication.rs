//! Certificates, on either side: which is chosen, what goes along, and what is refused.

use std::sync::Arc;

use sealwire::codepoints::{Alert, SignatureScheme};
use sealwire::{
    CertificateReason, ClientAuth, ClientConfig, Error, NoOverlap, ServerConfig, Verifier,
    Violation,
};

use super::mutual;
use super::support::{Calls, Kind, Role, configs, configs_with, pki};

#[test]
fn each_kind_of_server_certificate() {
    let schemes = [
        SignatureScheme::ecdsa_secp256r1_sha256,
        SignatureScheme::ecdsa_secp384r1_sha384,
        SignatureScheme::ed25519,
        SignatureScheme::rsa_pss_rsae_sha256,
    ];
    for (kind, scheme) in Kind::ALL.into_iter().zip(schemes) {
        Calls::each(|calls| {
            let (client, server) = configs_with(6, kind);
            // Whichever hash is preferred with RSA, the one that the client asks for is taken.
            let pair = calls.pair(client.with_schemes(&[scheme]).unwrap(), server).connect();
            assert_eq!(pair.client.conn.summary().unwrap().peer_scheme, Some(scheme));
            assert_eq!(pair.server.conn.summary().unwrap().own_scheme, Some(scheme));
        });
    }
}

#[test]
fn each_kind_of_client_certificate() {
    for kind in Kind::ALL {
        Calls::each(|calls| {
            let (client, server) = mutual(7, &[kind]);
            let mut pair = calls.pair(client, server).connect();
            pair.chat();
            let summary = pair.server.conn.summary().unwrap();
            assert_eq!(summary.peer_chain, pki().client(kind).chain);
            assert_eq!(summary.peer_scheme, pair.client.conn.summary().unwrap().own_scheme);
            assert!(summary.peer_scheme.is_some());
        });
    }
}

#[test]
fn client_authentication_is_optional_or_not() {
    let verifier = || Verifier::new(pki().anchors());
    Calls::each(|calls| {
        // Optional, and there is none.
        let (client, server) = configs(8);
        let server = server.with_client_auth(ClientAuth::Optional(verifier()));
        let mut pair = calls.pair(client.clone(), server.clone()).connect();
        pair.chat();
        assert!(pair.server.conn.summary().unwrap().peer_chain.is_empty());
        assert_eq!(pair.client.conn.summary().unwrap().own_scheme, None);

        // Optional, and there is one.
        let credential = pki().client(Kind::P256).credential(client.provider());
        let client = client.with_credentials(vec![credential]);
        let pair = calls.pair(client.clone(), server).connect();
        assert_eq!(pair.server.conn.summary().unwrap().peer_chain.len(), 2);

        // There is one that nobody asks for.
        let (_, server) = configs(8);
        let pair = calls.pair(client, server).connect();
        assert!(pair.server.conn.summary().unwrap().peer_chain.is_empty());

        // Required, and there is none.
        let (client, _) = configs(8);
        let (_, server) = mutual(8, &[]);
        let pair = calls.pair(client, server).refuse(Role::Server, Alert::certificate_required);
        let error = pair.server.error;
        assert!(matches!(error, Some(Error::Violation(Violation::NoClientCertificate))));
    });
}

#[test]
fn a_bad_client_certificate_is_refused_even_if_it_is_optional() {
    let verifier = || Verifier::new(pki().anchors());
    for auth in [ClientAuth::Optional(verifier()), ClientAuth::Required(verifier())] {
        Calls::each(|calls| {
            let (client, server) = configs(9);
            let credential = pki().other_client.credential(client.provider());
            let client = client.with_credentials(vec![credential]);
            let server = server.with_client_auth(auth.clone()).with_authorities(false);
            let pair = calls.pair(client, server).refuse(Role::Server, Alert::unknown_ca);
            let Some(Error::Certificate(error)) = pair.server.error else { panic!("no verdict") };
            assert!(matches!(error.reason, CertificateReason::UnknownIssuer { .. }), "{error:?}");
        });
    }
}

#[test]
fn a_client_chooses_by_authority() {
    Calls::each(|calls| {
        let (client, server) = configs(10);
        let provider = client.provider().clone();
        let first = pki().client(Kind::P256).credential(&provider);
        let other = pki().other_client.credential(&provider);
        let client = client.with_credentials(vec![first, other]);
        let auth = ClientAuth::Required(Verifier::new(pki().other_anchors()));
        let server = server.with_client_auth(auth);
        let pair = calls.pair(client.clone(), server.clone()).connect();
        assert_eq!(pair.server.conn.summary().unwrap().peer_chain, pki().other_client.chain);

        // Without the hint it takes the first, which this server does not like.
        let server = server.with_authorities(false);
        calls.pair(client, server).refuse(Role::Server, Alert::unknown_ca);
    });
}

#[test]
fn a_client_with_nothing_suitable_sends_no_certificate() {
    Calls::each(|calls| {
        let (client, server) = mutual(11, &[Kind::P256, Kind::Rsa]);
        let server = server.with_schemes(&[SignatureScheme::ed25519]).unwrap();
        let pair = calls.pair(client, server).refuse(Role::Server, Alert::certificate_required);
        let error = pair.server.error;
        assert!(matches!(error, Some(Error::Violation(Violation::NoClientCertificate))));
    });
}

#[test]
fn a_client_chooses_by_scheme() {
    let wanted = [
        (SignatureScheme::ed25519, Kind::Ed25519),
        (SignatureScheme::rsa_pss_rsae_sha512, Kind::Rsa),
        (SignatureScheme::ecdsa_secp384r1_sha384, Kind::P384),
    ];
    for (scheme, kind) in wanted {
        Calls::each(|calls| {
            let (client, server) = mutual(12, &Kind::ALL);
            let server = server.with_schemes(&[scheme]).unwrap();
            let pair = calls.pair(client, server).connect();
            let summary = pair.server.conn.summary().unwrap();
            assert_eq!(summary.peer_chain, pki().client(kind).chain);
            assert_eq!(summary.peer_scheme, Some(scheme));
        });
    }
}

#[test]
fn a_server_that_the_client_does_not_trust() {
    Calls::each(|calls| {
        let (client, server) = configs(21);
        let verifier = Verifier::new(pki().other_anchors());
        let client = ClientConfig::new(client.provider().clone(), verifier).unwrap();
        let pair = calls.pair(client, server).refuse(Role::Client, Alert::unknown_ca);
        assert_eq!(pair.server.times_connected(), 0);
        let Some(Error::Certificate(error)) = pair.client.error else { panic!("no verdict") };
        assert!(matches!(error.reason, CertificateReason::UnknownIssuer { .. }), "{error:?}");
        assert!(!error.report.to_string().is_empty());
    });
}

#[test]
fn a_server_without_credentials() {
    let (client, server) = configs(22);
    let server = ServerConfig::new(server.provider().clone(), Vec::new()).unwrap();
    let pair = Calls::PLAIN.pair(client, server).refuse(Role::Server, Alert::handshake_failure);
    assert!(matches!(pair.server.error, Some(Error::NoOverlap(NoOverlap::Credential))));
}

#[test]
fn an_ocsp_response_and_timestamps_come_along() {
    let ocsp = || vec![0x30, 3, 0x0a, 1, 0];
    let scts = || vec![vec![0; 40], vec![1; 47]];
    Calls::each(|calls| {
        let (client, server) = configs(39);
        let provider = server.provider().clone();
        let credential = pki().server(Kind::P256).bare(&provider);
        let credential = Arc::new(credential.with_ocsp(ocsp()).with_scts(scts()));
        let server = ServerConfig::new(provider, vec![credential]).unwrap();
        let pair = calls.pair(client.clone(), server.clone()).connect();
        let summary = pair.client.conn.summary().unwrap();
        assert_eq!((&summary.peer_ocsp, &summary.peer_scts), (&ocsp(), &scts()));
        // Only who asks gets them.
        for (wants_ocsp, wants_scts) in [(false, false), (true, false), (false, true)] {
            let client = client.clone().with_status_requests(wants_ocsp, wants_scts);
            let pair = calls.pair(client, server.clone()).connect();
            let summary = pair.client.conn.summary().unwrap();
            assert_eq!(!summary.peer_ocsp.is_empty(), wants_ocsp);
            assert_eq!(!summary.peer_scts.is_empty(), wants_scts);
        }
        // The other way round.
        let (client, server) = mutual(39, &[]);
        let credential = pki().client(Kind::P256).bare(client.provider());
        let credential = Arc::new(credential.with_ocsp(ocsp()).with_scts(scts()));
        let client = client.with_credentials(vec![credential]);
        let asking = server.clone().with_status_requests(true, true);
        let pair = calls.pair(client.clone(), asking).connect();
        let summary = pair.server.conn.summary().unwrap();
        assert_eq!((&summary.peer_ocsp, &summary.peer_scts), (&ocsp(), &scts()));
        let pair = calls.pair(client, server).connect();
        let summary = pair.server.conn.summary().unwrap();
        assert!(summary.peer_ocsp.is_empty() && summary.peer_scts.is_empty());
    });
}

#[test]
fn a_client_can_name_its_anchors() {
    Calls::each(|calls| {
        let (client, server) = configs(40);
        calls.pair(client.with_authorities(true), server).connect().chat();
    });
}
