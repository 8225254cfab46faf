//! Chain verification by its rules: for each a chain that keeps it and one that breaks nothing else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

#[path = "chain/counting.rs"]
mod counting;
#[path = "chain/maker.rs"]
mod maker;
#[path = "chain/names.rs"]
mod names;
#[path = "chain/paths.rs"]
mod paths;
#[path = "chain/policies.rs"]
mod policies;
#[path = "chain/rules.rs"]
mod rules;
#[path = "chain/steps.rs"]
mod steps;
#[path = "chain/strict.rs"]
mod strict;

use std::time::Duration;

use maker::*;
use pki_types::{CertificateDer, ServerName, UnixTime};
use sealwire::codepoints::Alert;
use sealwire::crypto::{Provider, ring};
use sealwire::{
    CertificateError, CertificateReason, Evidence, Limits, Purpose, TrustAnchors, VerifiedPath,
    Verifier, pki_types,
};

type Der = CertificateDer<'static>;

/// 2026-01-01
const NOW: u64 = 1_767_225_600;

/// A root, an intermediate and a server, and what each of their certificates says when it is good.
struct Pki {
    root: Entity,
    ica: Entity,
    server: Entity,
}

impl Pki {
    fn new() -> Self {
        Self { root: entity("Root"), ica: entity("Intermediate"), server: entity("server") }
    }

    fn root(&self) -> Der {
        Draft::ca(&self.root).sign(&self.root)
    }

    fn ica(&self) -> Der {
        Draft::ca(&self.ica).sign(&self.root)
    }

    fn leaf(&self) -> Der {
        self.leaf_draft().sign(&self.ica)
    }

    fn leaf_draft(&self) -> Draft {
        Draft::leaf(&self.server, "example.com")
    }

    /// With this leaf, which the intermediate signs.
    fn with_leaf(&self, leaf: Draft) -> Result<(), CertificateReason> {
        judge(&[self.root()], &[leaf.sign(&self.ica), self.ica()])
    }

    /// With this certificate of the intermediate, which the root signs.
    fn with_ica(&self, ica: Draft) -> Result<(), CertificateReason> {
        judge(&[self.root()], &[self.leaf(), ica.sign(&self.root)])
    }

    /// With this certificate of the root.
    fn with_root(&self, root: Draft) -> Result<(), CertificateReason> {
        judge(&[root.sign(&self.root)], &[self.leaf(), self.ica()])
    }
}

fn verify<'a>(
    verifier: &Verifier,
    chain: &'a [Der],
    purpose: Purpose,
    name: Option<&str>,
    now: u64,
) -> Result<VerifiedPath<'a>, CertificateError> {
    let name = name.map(|n| ServerName::try_from(n).unwrap());
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let nothing = Evidence::default();
    verifier.verify(&ring::provider(), chain, purpose, name.as_ref(), now, nothing)
}

/// The verdict on a server example.com, now.
fn judge(roots: &[Der], chain: &[Der]) -> Result<(), CertificateReason> {
    let verifier = Verifier::new(TrustAnchors::from_certificates(roots.to_vec()));
    verify(&verifier, chain, Purpose::Server, Some("example.com"), NOW)
        .map(drop)
        .map_err(|e| e.reason)
}

#[track_caller]
fn refused(verdict: Result<(), CertificateReason>, code: &str, alert: Alert) {
    let reason = verdict.expect_err("accepted");
    assert_eq!((reason.code(), reason.alert()), (code, alert), "{reason}");
}

/// What failed at an anchor decides before what failed below one, and the leaf's own faults only once there is a path.
#[test]
fn the_most_telling_reason_decides() {
    let pki = Pki::new();
    let expired = Draft { not_after: "20250101000000Z", ..pki.leaf_draft() }.sign(&pki.ica);
    refused(judge(&[], &[expired.clone(), pki.ica()]), "unknown-issuer", Alert::unknown_ca);
    let dead_end = Draft::ca(&pki.ica).sign(&entity("Nobody"));
    let chain = [expired, dead_end, pki.ica()];
    refused(judge(&[pki.root()], &chain), "expired", Alert::certificate_expired);
}

#[test]
fn the_report_tells_every_path() {
    let pki = Pki::new();
    let dead_end = Draft::ca(&pki.ica).sign(&entity("Nobody"));
    let old_root = Draft { not_after: "20250101000000Z", ..Draft::ca(&pki.root) }.sign(&pki.root);
    let verifier = Verifier::new(TrustAnchors::from_certificates([old_root.clone()]));
    let chain = [pki.leaf(), dead_end, pki.ica(), Der::from(vec![0]), old_root.clone()];
    let error = verify(&verifier, &chain, Purpose::Server, Some("example.com"), NOW).unwrap_err();
    assert_eq!(error.reason.code(), "expired");
    let report = &error.report;
    let ends: Vec<_> = report.attempts.iter().map(|a| a.end.as_ref().unwrap().code()).collect();
    assert_eq!(ends, ["unknown-issuer", "expired"]);
    let path = |i: usize| report.attempts[i].path.iter().map(|p| &report.certificates[*p]);
    let subjects: Vec<_> = path(1).map(|c| (c.subject.as_str(), c.is_anchor)).collect();
    let expected = [("CN=server", false), ("CN=Intermediate", false), ("CN=Root", true)];
    assert_eq!(subjects, expected);
    assert_eq!(path(0).map(|c| c.position).collect::<Vec<_>>(), [Some(0), Some(1)]);
    let text = report.to_string();
    assert!(text.contains("CN=Root (trusted)"), "{text}");
    assert!(text.contains("certificate 4 of the chain cannot be used: it is not DER"), "{text}");
}

#[test]
fn errors_say_what_to_do() {
    let pki = Pki::new();
    let old =
        pki.with_leaf(Draft { not_after: "20251229000000Z", ..pki.leaf_draft() }).unwrap_err();
    let text = "CN=server expired 3 days ago, at 2025-12-29 00:00:00 UTC; it has to be renewed";
    assert_eq!(old.to_string(), text);
}

#[test]
fn danger_accepts_any() {
    let verifier = Verifier::danger_accept_any();
    assert!(verifier.anchors().is_none());
    let rubbish = [Der::from(vec![0])];
    let path = verify(&verifier, &rubbish, Purpose::Server, Some("example.com"), 0).unwrap();
    assert_eq!((path.certificates.len(), path.anchor), (1, None));
    verify(&verifier, &[], Purpose::Server, None, 0).unwrap_err();
}

#[test]
fn anchors_from_pem() {
    let pki = Pki::new();
    let der = pki.root();
    let base64 = |bytes: &[u8]| {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let n =
                chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            for i in 0..4 {
                let six = usize::try_from(n >> (18 - 6 * i) & 63).unwrap();
                out.push(if i <= chunk.len() { char::from(alphabet[six]) } else { '=' });
            }
        }
        out
    };
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(&der));
    let anchors = TrustAnchors::from_pem(pem.repeat(2).as_bytes()).unwrap();
    assert_eq!((anchors.len(), anchors.ignored()), (1, 0)); // the same one twice
    verify(&Verifier::new(anchors), &[pki.leaf(), pki.ica()], Purpose::Server, None, NOW).unwrap();
    TrustAnchors::from_pem(b"").unwrap_err();
    TrustAnchors::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap_err();
}

#[test]
fn anchors_without_certificates() {
    let pki = Pki::new();
    let contents = |der: &[u8]| {
        let header = if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) };
        pki_types::Der::from(der[header..].to_vec())
    };
    let anchor = |nc: Option<&[u8]>| pki_types::TrustAnchor {
        subject: contents(&pki.root.name),
        subject_public_key_info: contents(&Draft::ca(&pki.root).spki),
        name_constraints: nc.map(|nc| nc.to_vec().into()),
    };
    let judge = |anchor| {
        let verifier = Verifier::new(TrustAnchors::from_anchors([anchor]));
        let chain = [pki.leaf(), pki.ica()];
        verify(&verifier, &chain, Purpose::Server, None, NOW).map(drop).map_err(|e| e.reason)
    };
    judge(anchor(None)).unwrap();
    let only = |host: &[u8]| tlv(0xa0, &tlv(0x30, &tlv(DNS, host)));
    judge(anchor(Some(&only(b"example.com")))).unwrap();
    refused(judge(anchor(Some(&only(b"tr")))), "name-constraint", Alert::certificate_unknown);
    let broken = TrustAnchors::from_anchors([anchor(Some(b"x"))]);
    assert_eq!((broken.len(), broken.ignored()), (0, 1));
}

#[cfg(feature = "webpki-roots")]
#[test]
fn mozillas_roots() {
    let anchors = TrustAnchors::mozilla();
    assert!(anchors.len() > 100 && anchors.ignored() == 0, "{anchors:?}");
}

#[test]
fn anchors_are_cheap_to_clone_and_share() {
    fn check<T: Clone + Send + Sync + std::fmt::Debug>() {}
    check::<TrustAnchors>();
    check::<Verifier>();
    check::<Provider>();
}
