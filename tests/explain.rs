//! Verdicts that explain themselves. For each hint a server that is misconfigured in the way that it is about, a
//! handshake with it, and the whole text that a newcomer reads, in `tests/explain/texts/`.
//!
//! With `SEALWIRE_WRITE_TEXTS` set, the texts are written instead of compared: for somebody to read them then.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

#[allow(dead_code)] // `chain` needs more of it.
#[path = "chain/maker.rs"]
mod certificates;
#[path = "explain/codes.rs"]
mod codes;
#[path = "explain/evidence.rs"]
mod evidence;
#[allow(dead_code)] // `revocation` needs more of it.
#[path = "revocation/maker.rs"]
mod lists;
#[path = "explain/report.rs"]
mod report;
#[path = "explain/servers.rs"]
mod servers;
mod support;
#[path = "explain/ways.rs"]
mod ways;

use std::path::PathBuf;
use std::sync::Arc;

use certificates::*;
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use sealwire::crypto::ring;
use sealwire::{
    CertificateError, CertificateReport, ClientAuth, ClientConfig, Credential, Error, Evidence,
    Purpose, ServerConfig, TrustAnchors, Verifier, pki_types,
};
use support::{Calls, Pair, Transport};

type Der = CertificateDer<'static>;

const NAME: &str = "www.example.com";
/// id-pe-tlsfeature (RFC 7633 §6).
const MUST_STAPLE: [u8; 10] = [6, 8, 0x2b, 6, 1, 5, 5, 7, 1, 24];

/// A root, an issuing CA and a server, with key identifiers that are the same in every run.
struct World {
    root: Entity,
    ica: Entity,
    server: Entity,
}

impl World {
    fn new() -> Self {
        Self {
            root: entity("Example Root CA"),
            ica: entity("Example Issuing CA"),
            server: entity(NAME),
        }
    }

    fn root_draft(&self) -> Draft {
        Draft::ca(&self.root).with(usage(KEY_CERT_SIGN | CRL_SIGN)).with(key_id("aaaaaaaa"))
    }

    fn root(&self) -> Der {
        self.root_draft().sign(&self.root)
    }

    fn ica_draft(&self) -> Draft {
        Draft { extensions: self.root_draft().extensions, ..Draft::ca(&self.ica) }
            .with(key_id("bbbbbbbb"))
            .with(issuer_key_id("aaaaaaaa"))
    }

    fn ica(&self) -> Der {
        self.ica_draft().sign(&self.root)
    }

    fn leaf_draft(&self) -> Draft {
        Draft::leaf(&self.server, NAME).with(key_id("cccccccc")).with(issuer_key_id("bbbbbbbb"))
    }

    fn leaf(&self) -> Der {
        self.leaf_draft().sign(&self.ica)
    }

    /// What a client that trusts the root makes of a server that sends this.
    fn shown(&self, chain: &[Der]) -> CertificateError {
        self.shown_to(&Verifier::new(trusted(&[self.root()])), chain, NAME)
    }

    fn shown_to(&self, verifier: &Verifier, chain: &[Der], name: &str) -> CertificateError {
        handshake(verifier, chain, &self.server, name)
    }
}

fn trusted(roots: &[Der]) -> TrustAnchors {
    TrustAnchors::from_certificates(roots.to_vec())
}

fn credential(chain: &[Der], owner: &Entity) -> Arc<Credential> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(owner.key.serialize_der()));
    Arc::new(Credential::new(&ring::provider(), chain.to_vec(), &key).unwrap())
}

/// A real handshake of a client with a server that is set up with this chain, and that fails because of it.
fn handshake(verifier: &Verifier, chain: &[Der], owner: &Entity, name: &str) -> CertificateError {
    let server = ServerConfig::new(ring::provider(), vec![credential(chain, owner)]).unwrap();
    refused(verifier, server, name)
}

/// The same with any server.
fn refused(verifier: &Verifier, server: ServerConfig, name: &str) -> CertificateError {
    let client = ClientConfig::new(ring::provider(), verifier.clone()).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = Calls::PLAIN.client(&Arc::new(client), name, None);
    let mut pair = Pair::of(client, Calls::PLAIN.server(server), Transport::Glued);
    pair.pump();
    assert_eq!(pair.client.times_connected(), 0, "the client is content");
    match pair.client.error {
        Some(Error::Certificate(error)) => error,
        other => panic!("{other:?}, and the server {:?}", pair.server.error),
    }
}

/// What the verifier says of chains that no server of ours would load.
fn judged(roots: &[Der], chain: &[Der], name: Option<&str>) -> CertificateReport {
    let name = name.map(|name| ServerName::try_from(name.to_owned()).unwrap());
    let verifier = Verifier::new(trusted(roots));
    let (provider, evidence) = (ring::provider(), Evidence::default());
    verifier.explain(&provider, chain, Purpose::Server, name.as_ref(), support::now(), evidence)
}

fn key_id(hex: &str) -> Vec<u8> {
    extension(SUBJECT_KEY_ID, false, &tlv(4, &support::unhex(hex)))
}

fn issuer_key_id(hex: &str) -> Vec<u8> {
    extension(AUTHORITY_KEY_ID, false, &tlv(0x30, &tlv(0x80, &support::unhex(hex))))
}

/// authorityInfoAccess with where the issuer's certificate is.
fn issuer_at(url: &str) -> Vec<u8> {
    let ca_issuers = [6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    let description = tlv(0x30, &[&ca_issuers[..], &tlv(URI, url.as_bytes())].concat());
    extension(&[6, 8, 0x2b, 6, 1, 5, 5, 7, 1, 1], false, &tlv(0x30, &description))
}

/// The text that people read, which is that in the file, where fingerprints are `…`; and this hint is in it.
#[track_caller]
fn reads(error: &CertificateError, hint: &str, file: &str) {
    assert_eq!(error.report.reason.as_ref(), Some(&error.reason));
    report_reads(&error.report, hint, file);
}

#[track_caller]
fn report_reads(report: &CertificateReport, hint: &str, file: &str) {
    let codes: Vec<_> = report.hints.iter().map(|hint| hint.code).collect();
    assert!(codes.contains(&hint), "{codes:?}\n{report}");
    let mut text = match &report.reason {
        Some(reason) => format!("{reason}\n\n{report}"),
        None => report.to_string(),
    };
    for fingerprint in report.certificates.iter().filter_map(|c| c.fingerprint.as_ref()) {
        text = text.replace(fingerprint, "…");
    }
    reads_as(&text, file);
}

#[track_caller]
fn reads_as(text: &str, file: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/explain/texts").join(file);
    let path = path.with_extension("txt");
    if std::env::var_os("SEALWIRE_WRITE_TEXTS").is_some() {
        return std::fs::write(path, text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    assert!(text == expected, "what {file} was:\n{expected}\nwhat it is:\n{text}");
}
