//! Chain verification by its rules: for each a chain that keeps it and one that breaks nothing else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

#[path = "chain/maker.rs"]
mod maker;

use std::time::Duration;

use maker::*;
use pki_types::{CertificateDer, ServerName, UnixTime};
use sealwire::codepoints::Alert;
use sealwire::crypto::{Provider, ring};
use sealwire::{
    CertificateError, CertificateReason, Purpose, TrustAnchors, VerifiedPath, Verifier, pki_types,
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
    verifier.verify(&ring::provider(), chain, purpose, name.as_ref(), now)
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

// Paths

#[test]
fn a_good_chain() {
    let pki = Pki::new();
    let verifier = Verifier::new(TrustAnchors::from_certificates([pki.root()]));
    let chain = [pki.leaf(), pki.ica()];
    let path = verify(&verifier, &chain, Purpose::Server, Some("example.com"), NOW).unwrap();
    assert_eq!(path.certificates, chain);
    assert_eq!(path.anchor.unwrap(), pki.root.name);
    verify(&verifier, &chain, Purpose::Client, None, NOW).unwrap();
}

#[test]
fn order_duplicates_rubbish_and_the_root_do_not_matter() {
    let pki = Pki::new();
    let (root, ica, leaf) = (pki.root(), pki.ica(), pki.leaf());
    let other = entity("Other");
    let unrelated = Draft::ca(&other).sign(&other);
    let rubbish = Der::from(vec![0x30, 3, 1, 2]);
    let chain = [leaf.clone(), rubbish, root.clone(), unrelated, leaf, ica.clone(), ica];
    judge(&[root], &chain).unwrap();
}

#[test]
fn nobody_is_trusted_by_default() {
    let pki = Pki::new();
    let chain = [pki.leaf(), pki.ica(), pki.root()];
    // RFC 5280 §6.1: a root in the chain is not a trust anchor.
    refused(judge(&[], &chain), "self-signed", Alert::unknown_ca);
    let other = entity("Other");
    refused(judge(&[Draft::ca(&other).sign(&other)], &chain), "self-signed", Alert::unknown_ca);
}

#[test]
fn a_missing_intermediate_is_named() {
    let pki = Pki::new();
    let verdict = judge(&[pki.root()], &[pki.leaf()]);
    let Err(CertificateReason::UnknownIssuer { certificate, issuer }) = &verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((certificate.as_str(), issuer.as_str()), ("CN=server", "CN=Intermediate"));
    refused(verdict, "unknown-issuer", Alert::unknown_ca);
}

/// Pitfall 44: RFC 5280 §6.1.3 (a)(1).
#[test]
fn an_anchor_is_matched_by_name_and_key() {
    let pki = Pki::new();
    let impostor = Entity { name: pki.root.name.clone(), ..entity("") };
    let verdict = judge(&[Draft::ca(&impostor).sign(&impostor)], &[pki.leaf(), pki.ica()]);
    refused(verdict, "bad-signature", Alert::bad_certificate);
    // Beside the right one it does no harm, whichever comes first.
    let both = [Draft::ca(&impostor).sign(&impostor), pki.root()];
    judge(&both, &[pki.leaf(), pki.ica()]).unwrap();
    judge(&[pki.root(), both[0].clone()], &[pki.leaf(), pki.ica()]).unwrap();
}

#[test]
fn every_signature_counts() {
    let pki = Pki::new();
    let spoil = |der: Der| {
        let mut der = der.to_vec();
        *der.last_mut().unwrap() ^= 1;
        Der::from(der)
    };
    let verdict = judge(&[pki.root()], &[spoil(pki.leaf()), pki.ica()]);
    refused(verdict, "bad-signature", Alert::bad_certificate);
    let verdict = judge(&[pki.root()], &[pki.leaf(), spoil(pki.ica())]);
    refused(verdict, "bad-signature", Alert::bad_certificate);
    // An anchor's own signature proves nothing and is not looked at (RFC 5280 §6.1.1 (d)).
    judge(&[spoil(pki.root())], &[pki.leaf(), pki.ica()]).unwrap();
}

/// The issuer has the right name and another key, with a key identifier or without: backtracking, either way.
#[test]
fn several_issuers_of_one_name() {
    let pki = Pki::new();
    let same_name = Entity { name: pki.ica.name.clone(), ..entity("") };
    let decoy = Draft::ca(&same_name).sign(&pki.root);
    for chain in [[pki.leaf(), decoy.clone(), pki.ica()], [pki.leaf(), pki.ica(), decoy.clone()]] {
        judge(&[pki.root()], &chain).unwrap();
    }
    // A key identifier is a hint: one that lies is overruled by the signature.
    let lying = Draft::ca(&pki.ica).with(extension(SUBJECT_KEY_ID, false, &tlv(4, b"other")));
    let leaf =
        pki.leaf_draft().with(extension(AUTHORITY_KEY_ID, false, &tlv(0x30, &tlv(0x80, b"this"))));
    judge(&[pki.root()], &[leaf.sign(&pki.ica), decoy, lying.sign(&pki.root)]).unwrap();
}

#[test]
fn an_expired_cross_certificate_is_passed_by() {
    let pki = Pki::new();
    let expired = Draft { not_after: "20250101000000Z", ..Draft::ca(&pki.ica) }.sign(&pki.root);
    let old_root = entity("Old Root");
    let cross = Draft::ca(&pki.root).sign(&old_root);
    let chain = [pki.leaf(), expired.clone(), cross, pki.ica()];
    judge(&[pki.root()], &chain).unwrap();
    judge(&[Draft::ca(&old_root).sign(&old_root)], &chain).unwrap();
    refused(judge(&[pki.root()], &[pki.leaf(), expired]), "expired", Alert::certificate_expired);
}

/// The anchor has expired, but another anchor vouches for its key.
#[test]
fn an_expired_anchor_is_passed_by() {
    let pki = Pki::new();
    let expired = Draft { not_after: "20250101000000Z", ..Draft::ca(&pki.root) }.sign(&pki.root);
    let other = entity("Other Root");
    let cross = Draft::ca(&pki.root).sign(&other);
    let roots = [expired.clone(), Draft::ca(&other).sign(&other)];
    judge(&roots, &[pki.leaf(), pki.ica(), expired, cross]).unwrap();
}

/// Pitfall 40: loops end.
#[test]
fn loops_end() {
    let pki = Pki::new();
    let other = entity("Other");
    let a = Draft::ca(&pki.ica).sign(&other);
    let b = Draft::ca(&other).sign(&pki.ica);
    let verdict = judge(&[pki.root()], &[pki.leaf(), a, b]);
    refused(verdict, "unknown-issuer", Alert::unknown_ca);
}

/// Pitfall 40: a graph with more paths than anybody can walk. Running out has its own name.
#[test]
fn the_budget_runs_out() {
    let pki = Pki::new();
    // Twelve CAs of one name, each certified by each other: 12! paths, none to a root.
    let cas: Vec<_> =
        (0..12).map(|_| Entity { name: pki.ica.name.clone(), ..entity("") }).collect();
    let mut chain = vec![pki.leaf_draft().sign(&cas[0])];
    for ca in &cas {
        chain.extend(cas.iter().map(|by| Draft::ca(ca).sign(by)));
    }
    let verdict = judge(&[pki.root()], &chain);
    refused(verdict, "budget-exhausted", Alert::certificate_unknown);
}

#[test]
fn depth_is_bounded() {
    let pki = Pki::new();
    let roots = TrustAnchors::from_certificates([pki.root()]);
    let rollover = Entity { name: pki.ica.name.clone(), ..entity("") };
    // Root -> ICA -> ICA (another key, self-issued, not counted) -> leaf
    let chain = [pki.leaf_draft().sign(&rollover), Draft::ca(&rollover).sign(&pki.ica), pki.ica()];
    let try_depth = |depth| {
        let verifier = Verifier::new(roots.clone()).with_max_depth(depth);
        verify(&verifier, &chain, Purpose::Server, None, NOW).map(drop).map_err(|e| e.reason)
    };
    try_depth(1).unwrap();
    refused(try_depth(0), "too-deep", Alert::certificate_unknown);
}

#[test]
fn an_intermediate_may_be_the_anchor() {
    let pki = Pki::new();
    judge(&[pki.ica()], &[pki.leaf()]).unwrap();
    judge(&[pki.ica()], &[pki.leaf(), pki.ica(), pki.root()]).unwrap();
}

/// A leaf among the anchors is accepted only if it signed itself, which is the path of length one.
#[test]
fn a_leaf_that_is_an_anchor() {
    let pki = Pki::new();
    let own = pki.leaf_draft().sign(&pki.server);
    judge(std::slice::from_ref(&own), std::slice::from_ref(&own)).unwrap();
    refused(judge(&[], std::slice::from_ref(&own)), "self-signed", Alert::unknown_ca);
    refused(judge(&[pki.leaf()], &[pki.leaf()]), "unknown-issuer", Alert::unknown_ca);
    // It is no CA for others, and its own rules hold.
    let below = Draft::leaf(&entity("below"), "example.com").sign(&pki.server);
    refused(judge(&[own], &[below]), "not-a-ca", Alert::bad_certificate);
    let old = Draft { not_after: "20250101000000Z", ..pki.leaf_draft() }.sign(&pki.server);
    refused(judge(&[old.clone()], &[old]), "expired", Alert::certificate_expired);
}

#[test]
fn names_are_compared_as_names() {
    let pki = Pki::new();
    let shouted = Draft { issuer: Some(name("INTERMEDIATE ")), ..pki.leaf_draft() };
    pki.with_leaf(shouted).unwrap();
    let other = Draft { issuer: Some(name("Intermediatf")), ..pki.leaf_draft() };
    refused(pki.with_leaf(other), "unknown-issuer", Alert::unknown_ca);
}

// The rules of RFC 5280 for each certificate

/// RFC 5280 §6.1.3 (a)(2): both bounds inclusive, on every certificate, the anchor's included.
#[test]
fn validity() {
    let pki = Pki::new();
    let exact = |draft: Draft| Draft {
        not_before: "20260101000000Z",
        not_after: "20260101000000Z",
        ..draft
    };
    let late = |draft: Draft| Draft { not_before: "20260101000001Z", ..draft };
    let old = |draft: Draft| Draft { not_after: "20251231235959Z", ..draft };
    for bend in [exact, late, old] {
        let verdicts = [
            pki.with_leaf(bend(pki.leaf_draft())),
            pki.with_ica(bend(Draft::ca(&pki.ica))),
            pki.with_root(bend(Draft::ca(&pki.root))),
        ];
        for verdict in verdicts {
            match bend(pki.leaf_draft()) {
                Draft { not_before: "20260101000001Z", .. } => {
                    refused(verdict, "not-yet-valid", Alert::certificate_expired);
                }
                Draft { not_after: "20251231235959Z", .. } => {
                    refused(verdict, "expired", Alert::certificate_expired);
                }
                _ => verdict.unwrap(),
            }
        }
    }
}

/// RFC 5280 §6.1.4 (k)
#[test]
fn issuers_are_cas() {
    let pki = Pki::new();
    for spoilt in [basic(false, None), extension(UNKNOWN, false, &[])] {
        let spoil = |who| Draft::ca(who).without(BASIC_CONSTRAINTS).with(spoilt.clone());
        refused(pki.with_ica(spoil(&pki.ica)), "not-a-ca", Alert::bad_certificate);
        refused(pki.with_root(spoil(&pki.root)), "not-a-ca", Alert::bad_certificate);
    }
}

/// RFC 5280 §6.1.4 (k) and RFC 9846 §4.5.1.2: version 3, but for old roots, which cannot say what they are.
#[test]
fn version_3() {
    let pki = Pki::new();
    let v1 = |draft: Draft| Draft { version: 0, extensions: vec![], ..draft };
    refused(pki.with_leaf(v1(pki.leaf_draft())), "version", Alert::unsupported_certificate);
    refused(pki.with_ica(v1(Draft::ca(&pki.ica))), "version", Alert::unsupported_certificate);
    pki.with_root(v1(Draft::ca(&pki.root))).unwrap();
    let v1_intermediate = v1(Draft::ca(&pki.ica)).sign(&pki.root);
    let verdict = judge(&[v1_intermediate], &[pki.leaf()]);
    refused(verdict, "version", Alert::unsupported_certificate);
    // RFC 5280 §4.1.2.9: extensions are version 3's.
    let v2 = Draft { version: 1, ..pki.leaf_draft() };
    refused(pki.with_leaf(v2), "malformed", Alert::bad_certificate);
}

/// RFC 5280 §6.1.4 (l) and (m): CAs below, self-issued ones not counted, the leaf not counted.
#[test]
fn path_length() {
    let pki = Pki::new();
    let root = |len| Draft::ca(&pki.root).with(basic(true, Some(len)));
    pki.with_root(root(1)).unwrap();
    refused(pki.with_root(root(0)), "path-length", Alert::bad_certificate);
    pki.with_ica(Draft::ca(&pki.ica).with(basic(true, Some(0)))).unwrap();
    let rollover = Entity { name: pki.ica.name.clone(), ..entity("") };
    let chain = [
        pki.leaf_draft().sign(&rollover),
        Draft::ca(&rollover).with(basic(true, Some(0))).sign(&pki.ica),
        Draft::ca(&pki.ica).with(basic(true, Some(0))).sign(&pki.root),
    ];
    judge(&[root(1).sign(&pki.root)], &chain).unwrap();
    let another = entity("Another");
    let chain = [
        pki.leaf_draft().sign(&another),
        Draft::ca(&another).sign(&pki.ica),
        Draft::ca(&pki.ica).with(basic(true, Some(0))).sign(&pki.root),
    ];
    refused(judge(&[pki.root()], &chain), "path-length", Alert::bad_certificate);
}

/// RFC 5280 §4.2.1.3, RFC 9846 §4.5.1.2: if keyUsage is there, it allows what is done.
#[test]
fn key_usage() {
    let pki = Pki::new();
    let bad = (CRL_SIGN, KEY_ENCIPHERMENT);
    let refused = |v| refused(v, "key-usage", Alert::unsupported_certificate);
    refused(pki.with_ica(Draft::ca(&pki.ica).with(usage(bad.0))));
    refused(pki.with_root(Draft::ca(&pki.root).with(usage(bad.0))));
    refused(pki.with_leaf(pki.leaf_draft().with(usage(bad.1))));
    pki.with_ica(Draft::ca(&pki.ica).without(KEY_USAGE)).unwrap();
    pki.with_root(Draft::ca(&pki.root).without(KEY_USAGE)).unwrap();
    pki.with_leaf(pki.leaf_draft().without(KEY_USAGE)).unwrap();
}

/// RFC 5280 §4.2.1.12: nested, and absence or any allows.
#[test]
fn extended_key_usage() {
    let pki = Pki::new();
    let code = || purposes(&[CODE_SIGNING, CLIENT_AUTH]);
    let no = |v| refused(v, "extended-key-usage", Alert::unsupported_certificate);
    no(pki.with_leaf(pki.leaf_draft().with(code())));
    no(pki.with_ica(Draft::ca(&pki.ica).with(code())));
    no(pki.with_root(Draft::ca(&pki.root).with(code())));
    for good in [purposes(&[CODE_SIGNING, SERVER_AUTH]), purposes(&[ANY_PURPOSE])] {
        pki.with_leaf(pki.leaf_draft().with(good.clone())).unwrap();
        pki.with_ica(Draft::ca(&pki.ica).with(good)).unwrap();
    }
    pki.with_leaf(pki.leaf_draft().without(EXTENDED_KEY_USAGE)).unwrap();
    let empty = pki.leaf_draft().with(purposes(&[]));
    refused(pki.with_leaf(empty), "malformed", Alert::bad_certificate);

    let server = pki.leaf_draft().with(purposes(&[SERVER_AUTH])).sign(&pki.ica);
    let client = pki.leaf_draft().with(purposes(&[CLIENT_AUTH])).sign(&pki.ica);
    let verifier = Verifier::new(TrustAnchors::from_certificates([pki.ica()]));
    let as_client = |leaf: &Der| {
        let chain = [leaf.clone()];
        verify(&verifier, &chain, Purpose::Client, None, NOW).map(drop).map_err(|e| e.reason)
    };
    as_client(&client).unwrap();
    no(as_client(&server));
}

/// RFC 5280 §4.2
#[test]
fn unknown_critical_extensions() {
    let pki = Pki::new();
    let no = |v| refused(v, "unknown-critical-extension", Alert::unsupported_certificate);
    for critical in [true, false] {
        let odd = || extension(UNKNOWN, critical, &[5, 0]);
        let verdicts = [
            pki.with_leaf(pki.leaf_draft().with(odd())),
            pki.with_ica(Draft::ca(&pki.ica).with(odd())),
            pki.with_root(Draft::ca(&pki.root).with(odd())),
        ];
        for verdict in verdicts {
            if critical { no(verdict) } else { verdict.unwrap() }
        }
    }
    // Known to be a hint, so not processed.
    let key_id = extension(SUBJECT_KEY_ID, true, &tlv(4, b"id"));
    no(pki.with_leaf(pki.leaf_draft().with(key_id)));
    let Err(CertificateReason::UnknownCriticalExtension { oid, .. }) =
        pki.with_leaf(pki.leaf_draft().with(extension(UNKNOWN, true, &[])))
    else {
        panic!()
    };
    assert_eq!(oid, "1.3.6.1.4.1.99999.1");
}

/// RFC 5280 §4.2 and §4.1.1.2, and DER.
#[test]
fn malformed_certificates() {
    let pki = Pki::new();
    let no = |v| refused(v, "malformed", Alert::bad_certificate);
    let mut twice = pki.leaf_draft();
    twice.extensions.push(alt_names(&[(DNS, b"example.com")]));
    no(pki.with_leaf(twice));
    let other_algorithm = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]));
    no(pki.with_leaf(Draft { algorithm: Some(other_algorithm), ..pki.leaf_draft() }));
    no(pki.with_leaf(Draft { serial: vec![], ..pki.leaf_draft() }));
    no(pki.with_leaf(Draft { serial: vec![0, 1], ..pki.leaf_draft() }));
    no(pki.with_leaf(Draft { not_after: "20400101000000+", ..pki.leaf_draft() }));
    no(pki.with_leaf(pki.leaf_draft().with(extension(
        SUBJECT_ALT_NAME,
        false,
        b"DNS:example.com",
    ))));
    no(pki.with_leaf(pki.leaf_draft().with(extension(KEY_USAGE, false, &[4, 0]))));
    let long_form = extension(BASIC_CONSTRAINTS, true, &[0x30, 0x81, 3, 1, 1, 0xff]);
    no(pki.with_leaf(pki.leaf_draft().with(long_form)));
    let trailing = Der::from([&pki.leaf()[..], &[0]].concat());
    no(judge(&[pki.root()], &[trailing, pki.ica()]));
    no(judge(&[pki.root()], &[]));
    // RFC 5280 §4.1.2.2: borne, though no CA should make them.
    for serial in [vec![0], vec![0x80], vec![1; 40]] {
        pki.with_leaf(Draft { serial, ..pki.leaf_draft() }).unwrap();
    }
    // An anchor or an intermediate that does not parse is left out.
    let verifier = TrustAnchors::from_certificates([Der::from(vec![1, 2]), pki.root()]);
    assert_eq!((verifier.len(), verifier.ignored()), (1, 1));
}

/// RFC 5280 §4.1.2.6
#[test]
fn cas_have_names() {
    let nameless = entity("");
    let leaf = Draft::leaf(&entity("server"), "example.com").sign(&nameless);
    let verdict = judge(&[Draft::ca(&nameless).sign(&nameless)], &[leaf]);
    refused(verdict, "malformed", Alert::bad_certificate);
}

/// RFC 5280 §6.1.3 (f): a demand for a policy cannot be met; policies without a demand mean nothing.
#[test]
fn policies() {
    let pki = Pki::new();
    let policies = tlv(0x30, &tlv(0x30, &[6, 3, 0x2a, 3, 4]));
    let with = |c| Draft::ca(&pki.ica).with(extension(CERTIFICATE_POLICIES, c, &policies));
    pki.with_ica(with(true)).unwrap();
    let demand = extension(POLICY_CONSTRAINTS, true, &tlv(0x30, &tlv(0x80, &[0])));
    let verdict = pki.with_ica(Draft::ca(&pki.ica).with(demand.clone()));
    refused(verdict, "policy", Alert::certificate_unknown);
    let verdict = pki.with_root(Draft::ca(&pki.root).with(demand));
    refused(verdict, "policy", Alert::certificate_unknown);
    let inhibit = extension(POLICY_CONSTRAINTS, true, &tlv(0x30, &tlv(0x81, &[0])));
    pki.with_ica(Draft::ca(&pki.ica).with(inhibit)).unwrap();
    // RFC 5280 §6.1.4 (a)
    let mapping = |to: &[u8]| {
        let pair = [tlv(6, &[0x2a, 3, 4]), tlv(6, to)].concat();
        let value = tlv(0x30, &tlv(0x30, &pair));
        Draft::ca(&pki.ica).with(extension(&[6, 3, 0x55, 0x1d, 33], true, &value))
    };
    pki.with_ica(mapping(&[0x2a, 3, 5])).unwrap();
    let verdict = pki.with_ica(mapping(&[0x55, 0x1d, 32, 0]));
    refused(verdict, "unknown-issuer", Alert::unknown_ca);
}

// Algorithms

/// RFC 9846 §4.5.1.3: neither MD5 nor SHA-1, by name, except where an anchor signed itself.
#[test]
fn weak_algorithms() {
    let pki = Pki::new();
    let sha1 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]));
    let md5 =
        tlv(0x30, &[tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 4]), vec![5, 0]].concat());
    for weak in [sha1, md5] {
        let leaf = pki.leaf_draft().sign_as(&pki.ica, &weak);
        let verdict = judge(&[pki.root()], &[leaf, pki.ica()]);
        refused(verdict, "weak-algorithm", Alert::bad_certificate);
        let ica = Draft::ca(&pki.ica).sign_as(&pki.root, &weak);
        let verdict = judge(&[pki.root()], &[pki.leaf(), ica]);
        refused(verdict, "weak-algorithm", Alert::bad_certificate);
        let root = Draft::ca(&pki.root).sign_as(&pki.root, &weak);
        judge(&[root], &[pki.leaf(), pki.ica()]).unwrap();
    }
    let unheard_of = tlv(0x30, &tlv(6, &[0x2a, 3, 4]));
    let leaf = pki.leaf_draft().sign_as(&pki.ica, &unheard_of);
    let verdict = judge(&[pki.root()], &[leaf, pki.ica()]);
    refused(verdict, "unsupported-algorithm", Alert::unsupported_certificate);
}

#[test]
fn weak_and_useless_keys() {
    let pki = Pki::new();
    let rsa = |modulus: &[u8]| {
        let key = tlv(0x30, &[tlv(2, modulus), tlv(2, &[1, 0, 1])].concat());
        let oid = tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1]);
        let algorithm = tlv(0x30, &[oid, vec![5, 0]].concat());
        tlv(0x30, &[algorithm, tlv(3, &[&[0], &key[..]].concat())].concat())
    };
    let leaf = |spki| Draft { spki, ..pki.leaf_draft() };
    let with_top = |top: u8, len: usize| {
        let mut modulus = vec![top; 1];
        modulus.resize(len, 1);
        if top & 0x80 != 0 {
            modulus.insert(0, 0);
        }
        modulus
    };
    pki.with_leaf(leaf(rsa(&with_top(0x80, 256)))).unwrap();
    // 2047 bits
    let verdict = pki.with_leaf(leaf(rsa(&with_top(0x7f, 256))));
    assert!(matches!(verdict, Err(CertificateReason::WeakKey { bits: 2047, .. })), "{verdict:?}");
    refused(verdict, "weak-key", Alert::bad_certificate);
    let dsa = tlv(
        0x30,
        &[tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1])), tlv(3, &[0, 1])].concat(),
    );
    refused(pki.with_leaf(leaf(dsa)), "unsupported-key", Alert::unsupported_certificate);
}

#[test]
fn other_curves_sign_too() {
    let p384 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]));
    let ed25519 = tlv(0x30, &tlv(6, &[0x2b, 0x65, 112]));
    for (kind, algorithm) in
        [(&rcgen::PKCS_ECDSA_P384_SHA384, p384), (&rcgen::PKCS_ED25519, ed25519)]
    {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let root = Entity { name: name("Root"), key };
        let leaf = Draft::leaf(&entity("server"), "example.com").sign_as(&root, &algorithm);
        judge(&[Draft::ca(&root).sign_as(&root, &algorithm)], &[leaf]).unwrap();
    }
}

// Names

/// RFC 9525; the finer points are tested beside the code.
#[test]
fn names() {
    let pki = Pki::new();
    let no = |v| refused(v, "name-mismatch", Alert::certificate_unknown);
    let leaf = |names: &[(u8, &[u8])]| pki.with_leaf(pki.leaf_draft().with(alt_names(names)));
    leaf(&[(DNS, b"other.org"), (DNS, b"EXAMPLE.com")]).unwrap();
    no(leaf(&[(DNS, b"www.example.com")]));
    no(leaf(&[(DNS, b"*.com")]));
    no(leaf(&[(URI, b"https://example.com")]));
    // RFC 9525 §2: no common name, with or without a subjectAltName.
    let common = Draft { subject: name("example.com"), ..pki.leaf_draft() };
    no(pki.with_leaf(common.clone().without(SUBJECT_ALT_NAME)));
    no(pki.with_leaf(common.with(alt_names(&[(EMAIL, b"a@example.com")]))));
    let Err(CertificateReason::NameMismatch { wanted, present }) =
        leaf(&[(DNS, b"a.org"), (IP, &[192, 0, 2, 1])])
    else {
        panic!()
    };
    assert_eq!(
        (wanted.as_str(), present),
        ("example.com", vec!["DNS:a.org".into(), "IP:192.0.2.1".into()])
    );
}

#[test]
fn addresses() {
    let pki = Pki::new();
    let chain = [pki.leaf_draft().with(alt_names(&[(IP, &[192, 0, 2, 1])])).sign(&pki.ica)];
    let verifier = Verifier::new(TrustAnchors::from_certificates([pki.ica()]));
    verify(&verifier, &chain, Purpose::Server, Some("192.0.2.1"), NOW).unwrap();
    let error = verify(&verifier, &chain, Purpose::Server, Some("192.0.2.2"), NOW).unwrap_err();
    assert_eq!(error.reason.code(), "name-mismatch");
}

// Name constraints: the kinds are tested beside the code, here that they are applied

/// RFC 5280 §4.2.1.10
#[test]
fn name_constraints() {
    let pki = Pki::new();
    let no = |v| refused(v, "name-constraint", Alert::certificate_unknown);
    let good = || constraints(&[(DNS, b"example.com")], &[]);
    let bad = || constraints(&[(DNS, b"other.org")], &[]);
    pki.with_ica(Draft::ca(&pki.ica).with(good())).unwrap();
    pki.with_root(Draft::ca(&pki.root).with(good())).unwrap();
    no(pki.with_ica(Draft::ca(&pki.ica).with(bad())));
    no(pki.with_root(Draft::ca(&pki.root).with(bad())));
    // Every constrained CA has a say.
    let ica = Draft::ca(&pki.ica).with(constraints(&[], &[(DNS, b"example.com")])).sign(&pki.root);
    let root = Draft::ca(&pki.root).with(good()).sign(&pki.root);
    no(judge(&[root], &[pki.leaf(), ica]));
    // A form that cannot be judged is refused where it appears, and only there.
    let odd = tlv(6, &[0x2a, 3]);
    let other = Draft::ca(&pki.ica).with(constraints(&[(OTHER, &odd)], &[]));
    pki.with_ica(other.clone()).unwrap();
    let leaf = pki.leaf_draft().with(alt_names(&[(DNS, b"example.com"), (OTHER, &odd)]));
    no(judge(&[pki.root()], &[leaf.sign(&pki.ica), other.sign(&pki.root)]));
    // Directory names are in the subject too.
    let subject = |n: &[u8]| Draft::ca(&pki.ica).with(constraints(&[(DIRECTORY, n)], &[]));
    pki.with_ica(subject(&name("SERVER"))).unwrap();
    no(pki.with_ica(subject(&name("other"))));
}

/// RFC 5280 §6.1.3 (b) and (c): intermediates are subject to constraints above them, self-issued ones are not, and a
/// self-issued leaf is.
#[test]
fn name_constraints_and_intermediates() {
    let pki = Pki::new();
    let root =
        Draft::ca(&pki.root).with(constraints(&[(DNS, b"example.com")], &[])).sign(&pki.root);
    let stray = || alt_names(&[(DNS, b"stray.org")]);
    let ica = Draft::ca(&pki.ica).with(stray()).sign(&pki.root);
    let verdict = judge(std::slice::from_ref(&root), &[pki.leaf(), ica]);
    refused(verdict, "name-constraint", Alert::certificate_unknown);
    let rollover = Entity { name: pki.root.name.clone(), ..entity("") };
    let self_issued = Draft::ca(&rollover).with(stray()).sign(&pki.root);
    let leaf = pki.leaf_draft().sign(&rollover);
    judge(std::slice::from_ref(&root), &[leaf, self_issued]).unwrap();
    let leaf = Draft { subject: pki.root.name.clone(), ..pki.leaf_draft() };
    let leaf = leaf.with(alt_names(&[(DNS, b"example.com"), (DNS, b"stray.org")])).sign(&pki.root);
    refused(judge(&[root], &[leaf]), "name-constraint", Alert::certificate_unknown);
}

#[test]
fn malformed_name_constraints_refuse() {
    let pki = Pki::new();
    let malformed = [
        constraints(&[], &[]),
        constraints(&[(DNS, b"*.example.com")], &[]),
        constraints(&[(IP, &[192, 0, 2, 0])], &[]),
        constraints(&[(IP, &[192, 0, 2, 0, 255, 0, 255, 0])], &[]),
        constraints(&[(EMAIL, b"a@b@example.com")], &[]),
    ];
    for bad in malformed {
        let verdict = pki.with_ica(Draft::ca(&pki.ica).with(bad.clone()));
        refused(verdict, "unknown-issuer", Alert::unknown_ca);
        let root = Draft::ca(&pki.root).with(bad).sign(&pki.root);
        assert_eq!(TrustAnchors::from_certificates([root]).ignored(), 1);
    }
    // RFC 5280 §4.2.1.10: for CAs alone.
    let leaf = pki.leaf_draft().with(constraints(&[(DNS, b"example.com")], &[]));
    refused(pki.with_leaf(leaf), "malformed", Alert::bad_certificate);
}

/// Pitfall 40: many names under many constraints.
#[test]
fn name_constraint_comparisons_are_bounded() {
    let pki = Pki::new();
    let names: Vec<String> = (0..400).map(|i| format!("h{i}.example.com")).collect();
    let list: Vec<(u8, &[u8])> = names.iter().map(|n| (DNS, n.as_bytes())).collect();
    let ica = Draft::ca(&pki.ica).with(constraints(&[], &list)).sign(&pki.root);
    let others: Vec<String> = (0..400).map(|i| format!("g{i}.example.com")).collect();
    let list: Vec<(u8, &[u8])> = others.iter().map(|n| (DNS, n.as_bytes())).collect();
    let leaf = pki.leaf_draft().with(alt_names(&list)).sign(&pki.ica);
    let verdict = judge(&[pki.root()], &[leaf, ica]);
    refused(verdict, "budget-exhausted", Alert::certificate_unknown);
}

// Errors

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
    let verifier = Verifier::new(TrustAnchors::from_certificates([old_root]));
    let chain = [pki.leaf(), dead_end, pki.ica(), Der::from(vec![0])];
    let error = verify(&verifier, &chain, Purpose::Server, Some("example.com"), NOW).unwrap_err();
    assert_eq!(error.reason.code(), "expired");
    let ends: Vec<_> =
        error.report.attempts.iter().map(|a| (a.end.code(), a.reached_anchor)).collect();
    assert_eq!(ends, [("unknown-issuer", false), ("expired", true)]);
    assert_eq!(error.report.attempts[1].path, ["CN=server", "CN=Intermediate", "CN=Root"]);
    let text = error.report.to_string();
    assert!(text.contains("CN=Root (trust anchor)"), "{text}");
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

// The verifier and its anchors

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
