//! Whom to trust, and what happens when that changes: the named ways, each both ways, and handles that are swapped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

#[path = "trust/handles.rs"]
mod handles;
#[allow(dead_code)] // It is for other tests, too.
#[path = "chain/maker.rs"]
mod maker;
#[path = "trust/names.rs"]
mod names;
#[path = "trust/optional.rs"]
mod optional;
#[path = "trust/raw_keys.rs"]
mod raw_keys;
#[path = "trust/spiffe.rs"]
mod spiffe;
#[path = "trust/ways.rs"]
mod ways;

use sealwire::codepoints::CipherSuiteId;
use sealwire::pki_types::{CertificateDer, ServerName};
use sealwire::{CertificateError, ClientConfig, Evidence, Purpose, TrustAnchors, Verifier};

use maker::{Draft, Entity, entity};
use support::{now, seeded, server_name};

/// SHA-256.
fn sha256(bytes: &[u8]) -> [u8; 32] {
    let suite = seeded(0).suite(CipherSuiteId::TLS_AES_128_GCM_SHA256).unwrap();
    suite.hash.digest(bytes).as_ref().try_into().unwrap()
}

fn anchors(certificates: &[&CertificateDer<'static>]) -> TrustAnchors {
    TrustAnchors::from_certificates(certificates.iter().map(|c| (*c).clone()))
}

/// What `verifier` says of a chain at the moment at which tests begin.
fn judge(
    verifier: &Verifier,
    chain: &[CertificateDer<'static>],
    purpose: Purpose,
    name: Option<&str>,
) -> Result<usize, CertificateError> {
    let name = name.map(|name| ServerName::try_from(name.to_owned()).unwrap());
    let (provider, evidence) = (seeded(0), Evidence::default());
    let path = verifier.verify(&provider, chain, purpose, name.as_ref(), now(), evidence)?;
    Ok(path.certificates.len())
}

/// The code of what is wrong with a client's chain.
fn fault(verifier: &Verifier, chain: &[CertificateDer<'static>]) -> &'static str {
    match judge(verifier, chain, Purpose::Client, None) {
        Ok(_) => "accepted",
        Err(error) => error.reason.code(),
    }
}

/// What sessions are bound to: differs whenever `verifier` goes by something else.
fn binding(verifier: &Verifier) -> [u8; 32] {
    let config = ClientConfig::new(seeded(0), verifier.clone()).unwrap();
    *config.session_key(&server_name()).as_bytes()
}

/// A root, an intermediate below it, and both certificates.
struct Authority {
    root: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    issuer: Entity,
}

impl Authority {
    fn new(name: &str) -> Self {
        let (root, issuer) = (entity(name), entity(&format!("{name} below")));
        Self {
            root: Draft::ca(&root).sign(&root),
            intermediate: Draft::ca(&issuer).sign(&root),
            issuer,
        }
    }

    /// A chain for this draft.
    fn chain(&self, leaf: Draft) -> Vec<CertificateDer<'static>> {
        vec![leaf.sign(&self.issuer), self.intermediate.clone()]
    }
}
