//! Which paths are found, and which are not.

use super::*;

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
fn pitfall_40_order_duplicates_rubbish_and_the_root_do_not_matter() {
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
fn pitfall_44_an_anchor_is_matched_by_name_and_key() {
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
fn pitfall_40_several_issuers_of_one_name() {
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
fn pitfall_40_an_expired_cross_certificate_is_passed_by() {
    let pki = Pki::new();
    let expired = Draft { not_after: "20250101000000Z", ..Draft::ca(&pki.ica) }.sign(&pki.root);
    let old_root = entity("Old Root");
    let cross = Draft::ca(&pki.root).sign(&old_root);
    let chain = [pki.leaf(), expired.clone(), cross, pki.ica()];
    judge(&[pki.root()], &chain).unwrap();
    judge(&[Draft::ca(&old_root).sign(&old_root)], &chain).unwrap();
    refused(judge(&[pki.root()], &[pki.leaf(), expired]), "expired", Alert::certificate_expired);
}

/// More issuers of the right name than signatures in the budget: those that break a rule, or whose key identifier is
/// another, are left for last.
#[test]
fn the_promising_are_tried_first() {
    let pki = Pki::new();
    let decoy = || Draft::ca(&Entity { name: pki.ica.name.clone(), ..entity("") });
    let with_id = |draft: Draft, id| draft.with(extension(SUBJECT_KEY_ID, false, &tlv(4, id)));
    let old = |_| Draft { not_after: "20250101000000Z", ..decoy() }.sign(&pki.root);
    let mut chain: Vec<Der> = [pki.leaf()].into_iter().chain((0..70).map(old)).collect();
    chain.push(pki.ica());
    judge(&[pki.root()], &chain).unwrap();

    let id = extension(AUTHORITY_KEY_ID, false, &tlv(0x30, &tlv(0x80, b"real")));
    let others = (0..70).map(|_| with_id(decoy(), b"decoy").sign(&pki.root));
    let mut chain: Vec<Der> =
        [pki.leaf_draft().with(id).sign(&pki.ica)].into_iter().chain(others).collect();
    chain.push(with_id(Draft::ca(&pki.ica), b"real").sign(&pki.root));
    judge(&[pki.root()], &chain).unwrap();
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
fn pitfall_40_loops_end() {
    let pki = Pki::new();
    let other = entity("Other");
    let a = Draft::ca(&pki.ica).sign(&other);
    let b = Draft::ca(&other).sign(&pki.ica);
    let verdict = judge(&[pki.root()], &[pki.leaf(), a, b]);
    refused(verdict, "unknown-issuer", Alert::unknown_ca);
}

/// Pitfall 40: a graph with more paths than anybody can walk. Running out has its own name.
#[test]
fn pitfall_40_a_budget_that_runs_out_accepts_nobody() {
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
fn pitfall_44_a_leaf_that_is_an_anchor() {
    let pki = Pki::new();
    let own = pki.leaf_draft().sign(&pki.server);
    judge(std::slice::from_ref(&own), std::slice::from_ref(&own)).unwrap();
    refused(judge(&[], std::slice::from_ref(&own)), "self-signed", Alert::unknown_ca);
    refused(judge(&[pki.leaf()], &[pki.leaf()]), "unknown-issuer", Alert::unknown_ca);
    // It is no CA for others, and its own rules hold.
    let below = Draft::leaf(&entity("below"), "example.com").sign(&pki.server);
    refused(judge(&[own], &[below]), "not-a-ca", Alert::bad_certificate);
    let old = Draft { not_after: "20250101000000Z", ..pki.leaf_draft() }.sign(&pki.server);
    let old = [old];
    refused(judge(&old, &old), "expired", Alert::certificate_expired);
}

#[test]
fn names_are_compared_as_names() {
    let pki = Pki::new();
    let shouted = Draft { issuer: Some(name("INTERMEDIATE ")), ..pki.leaf_draft() };
    pki.with_leaf(shouted).unwrap();
    let other = Draft { issuer: Some(name("Intermediatf")), ..pki.leaf_draft() };
    refused(pki.with_leaf(other), "unknown-issuer", Alert::unknown_ca);
}
