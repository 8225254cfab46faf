//! Revocation and certificate transparency, by their rules: for each evidence that keeps it, and evidence that breaks it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

// Made for another test, which uses more of it.
#[allow(dead_code)]
#[path = "chain/maker.rs"]
mod certificates;
#[path = "chain/counting.rs"]
mod counting;
#[path = "revocation/crls.rs"]
mod crls;
#[path = "revocation/handshakes.rs"]
mod handshakes;
#[path = "revocation/maker.rs"]
mod maker;
#[path = "revocation/ocsp.rs"]
mod ocsp;
#[path = "revocation/scts.rs"]
mod scts;
#[path = "revocation/steps.rs"]
mod steps;
mod support;

use std::time::Duration;

use certificates::*;
use pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use sealwire::codepoints::Alert;
use sealwire::crypto::ring;
use sealwire::{
    CertificateError, CertificateReason, Crls, Error, Evidence, Purpose, Revocation, TrustAnchors,
    VerifiedPath, Verifier, pki_types,
};

type Der = CertificateDer<'static>;
type Verdict = Result<(), CertificateReason>;

/// 2026-01-01
const NOW: u64 = 1_767_225_600;

/// The serial numbers of the server's certificate and of the intermediate's.
const SERVER: &[u8] = &[0x20];
const ICA: &[u8] = &[0x10];

/// A root, an intermediate and a server.
struct Pki {
    root: Entity,
    ica: Entity,
    server: Entity,
}

impl Pki {
    fn new() -> Self {
        Self { root: entity("Root"), ica: entity("Intermediate"), server: entity("server") }
    }

    fn root_draft(&self) -> Draft {
        Draft::ca(&self.root).with(usage(KEY_CERT_SIGN | CRL_SIGN))
    }

    fn ica_draft(&self) -> Draft {
        Draft { serial: ICA.to_vec(), ..Draft::ca(&self.ica) }.with(usage(KEY_CERT_SIGN | CRL_SIGN))
    }

    fn leaf_draft(&self) -> Draft {
        Draft { serial: SERVER.to_vec(), ..Draft::leaf(&self.server, "example.com") }
    }

    /// With this leaf, the rest as it should be.
    fn chain(&self, leaf: Draft) -> Vec<Der> {
        vec![leaf.sign(&self.ica), self.ica_draft().sign(&self.root)]
    }

    fn anchors(&self) -> TrustAnchors {
        TrustAnchors::from_certificates([self.root_draft().sign(&self.root)])
    }

    fn verifier(&self, policy: Revocation) -> Verifier {
        Verifier::new(self.anchors()).with_revocation(policy)
    }

    /// The verdict on this leaf by a policy.
    fn judge(&self, policy: Revocation, leaf: Draft) -> Verdict {
        judge(&self.verifier(policy), &self.chain(leaf), Evidence::default())
    }
}

fn verify<'a>(
    verifier: &Verifier,
    chain: &'a [Der],
    evidence: Evidence<'_>,
    now: u64,
) -> Result<VerifiedPath<'a>, CertificateError> {
    let name = ServerName::try_from("example.com").unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    verifier.verify(&ring::provider(), chain, Purpose::Server, Some(&name), now, evidence)
}

fn judge(verifier: &Verifier, chain: &[Der], evidence: Evidence<'_>) -> Verdict {
    verify(verifier, chain, evidence, NOW).map(drop).map_err(|e| e.reason)
}

/// These lists, which have to be readable.
fn crls(lists: &[Vec<u8>]) -> Crls {
    read(lists).unwrap()
}

fn read(lists: &[Vec<u8>]) -> Result<Crls, Error> {
    Crls::from_der(lists.iter().map(|list| CertificateRevocationListDer::from(list.as_slice())))
}

#[track_caller]
fn refused(verdict: Verdict, code: &str, alert: Alert) {
    let reason = verdict.expect_err("accepted");
    assert_eq!((reason.code(), reason.alert()), (code, alert), "{reason}");
}

#[track_caller]
fn unknown(verdict: Verdict, why: &str) {
    let text = verdict.as_ref().expect_err("accepted").to_string();
    assert!(text.contains(why), "{text}");
    refused(verdict, "revocation-unknown", Alert::certificate_unknown);
}
