//! CRLs (RFC 5280 §5 and §6.3): what may be read, what speaks for a certificate, and what follows.

use super::*;
use crate::maker::*;

/// A policy with these lists, for the leaf alone.
fn leaf_only(lists: &[Vec<u8>]) -> Revocation {
    Revocation::hard_fail().end_entity_only().with_crls(crls(lists))
}

/// Why a list cannot be read.
#[track_caller]
fn unreadable(list: Vec<u8>, why: &str) {
    let error = read(&[List::default().sign(&entity("Other")), list]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("CRL number 2 ") && text.contains(why), "{text}");
}

#[test]
fn whoever_is_listed_is_revoked() {
    let pki = Pki::new();
    let good = leaf_only(&[List::of(ICA).sign(&pki.ica)]);
    pki.judge(good, pki.leaf_draft()).unwrap();
    for policy in [Revocation::hard_fail(), Revocation::soft_fail()] {
        let policy = policy.with_crls(crls(&[List::of(SERVER).sign(&pki.ica)]));
        let verdict = pki.judge(policy, pki.leaf_draft());
        let text = verdict.as_ref().unwrap_err().to_string();
        assert!(text.starts_with("CN=server was revoked 3 days ago, at 2025-12-29 00:00:00 UTC"));
        refused(verdict, "revoked", Alert::certificate_revoked);
    }
}

#[test]
fn pitfall_46_an_unknown_status_is_a_failure_or_not_by_policy() {
    let pki = Pki::new();
    let other = List::default().sign(&entity("Other"));
    unknown(pki.judge(leaf_only(&[]), pki.leaf_draft()), "no CRL of its issuer at hand");
    unknown(pki.judge(leaf_only(&[other]), pki.leaf_draft()), "no CRL of its issuer at hand");
    pki.judge(Revocation::soft_fail(), pki.leaf_draft()).unwrap();
}

#[test]
fn pitfall_46_the_whole_path_unless_only_the_leaf_is_asked_about() {
    let pki = Pki::new();
    let (of_root, of_ica) = (List::of(ICA).sign(&pki.root), List::default().sign(&pki.ica));
    let lists = crls(&[of_root, of_ica.clone()]);
    let whole = Revocation::hard_fail().with_crls(lists.clone());
    let verdict = pki.judge(whole.clone(), pki.leaf_draft());
    assert!(verdict.as_ref().unwrap_err().to_string().starts_with("CN=Intermediate was revoked"));
    refused(verdict, "revoked", Alert::certificate_revoked);
    refused(
        pki.judge(Revocation::soft_fail().with_crls(lists), pki.leaf_draft()),
        "revoked",
        Alert::certificate_revoked,
    );
    pki.judge(whole.end_entity_only(), pki.leaf_draft()).unwrap();

    let missing = Revocation::hard_fail().with_crls(crls(std::slice::from_ref(&of_ica)));
    unknown(pki.judge(missing, pki.leaf_draft()), "CN=Intermediate");
    let both = crls(&[List::default().sign(&pki.root), of_ica]);
    pki.judge(Revocation::hard_fail().with_crls(both), pki.leaf_draft()).unwrap();
}

/// A revoked intermediate is passed by where another one has the same name and key, or another key.
#[test]
fn a_revoked_path_does_not_end_the_search() {
    let pki = Pki::new();
    let other_root = entity("Other root");
    let cross = Draft { serial: vec![0x11], ..pki.ica_draft() }.sign(&other_root);
    let other = Draft::ca(&other_root).with(usage(KEY_CERT_SIGN | CRL_SIGN)).sign(&other_root);
    let anchors = TrustAnchors::from_certificates([pki.root_draft().sign(&pki.root), other]);
    let lists = crls(&[
        List::of(ICA).sign(&pki.root),
        List::default().sign(&other_root),
        List::default().sign(&pki.ica),
    ]);
    let verifier = Verifier::new(anchors).with_revocation(Revocation::hard_fail().with_crls(lists));
    let mut chain = pki.chain(pki.leaf_draft());
    chain.push(cross);
    let path = verify(&verifier, &chain, Evidence::default(), NOW).unwrap();
    assert_eq!(path.certificates[1], chain[2]);
    chain.pop();
    let verdict = judge(&verifier, &chain, Evidence::default());
    refused(verdict, "revoked", Alert::certificate_revoked);
}

#[test]
fn pitfall_46_the_same_name_with_another_key() {
    let pki = Pki::new();
    let impostor = entity("Intermediate");
    let clean = List::default().sign(&impostor);
    unknown(
        pki.judge(leaf_only(std::slice::from_ref(&clean)), pki.leaf_draft()),
        "not signed by that issuer's",
    );
    // Nor can it revoke anything.
    let both = [List::of(SERVER).sign(&impostor), List::default().sign(&pki.ica)];
    pki.judge(leaf_only(&both), pki.leaf_draft()).unwrap();
    // It is looked at last if key identifiers tell, and what was found out is not forgotten.
    let policy = leaf_only(&[clean, List::of(SERVER).sign(&pki.ica)]);
    for _ in 0..2 {
        let verdict = pki.judge(policy.clone(), pki.leaf_draft());
        refused(verdict, "revoked", Alert::certificate_revoked);
    }
}

#[test]
fn pitfall_46_every_byte_of_the_signature_counts() {
    let pki = Pki::new();
    let good = List::default().sign(&pki.ica);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    unknown(pki.judge(leaf_only(&[bad]), pki.leaf_draft()), "not signed by that issuer's key");
    pki.judge(leaf_only(&[good]), pki.leaf_draft()).unwrap();
    // RFC 9846 §4.5.1.3, in spirit: ecdsa-with-SHA1 proves nothing.
    let sha1 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]));
    let weak = List::default().sign_as(&pki.ica, &sha1);
    unknown(pki.judge(leaf_only(&[weak]), pki.leaf_draft()), "too weak an algorithm");
}

#[test]
fn pitfall_46_an_issuer_that_may_not_sign_crls() {
    let pki = Pki::new();
    let verdict = |ica: Draft| {
        let chain = [pki.leaf_draft().sign(&pki.ica), ica.sign(&pki.root)];
        let policy = leaf_only(&[List::default().sign(&pki.ica)]);
        judge(&pki.verifier(policy), &chain, Evidence::default())
    };
    unknown(verdict(pki.ica_draft().with(usage(KEY_CERT_SIGN))), "keyUsage without cRLSign");
    verdict(pki.ica_draft().without(KEY_USAGE)).unwrap();
}

#[test]
fn pitfall_46_a_list_has_its_time() {
    let pki = Pki::new();
    let policy = |list: List| leaf_only(&[list.sign(&pki.ica)]);
    let old = List { next_update: Some("20251231000000Z"), ..List::default() };
    let verdict = pki.judge(policy(old.clone()), pki.leaf_draft());
    let text = verdict.as_ref().unwrap_err().to_string();
    assert!(text.contains("expired 24 hours ago, at 2025-12-31 00:00:00 UTC"), "{text}");
    refused(verdict, "crl-expired", Alert::certificate_unknown);
    let day = Duration::from_secs(86_400);
    pki.judge(policy(old.clone()).with_grace(day), pki.leaf_draft()).unwrap();
    pki.judge(policy(old.clone()).with_grace(Duration::MAX), pki.leaf_draft()).unwrap();
    let almost = policy(old.clone()).with_grace(day - Duration::from_secs(1));
    refused(pki.judge(almost, pki.leaf_draft()), "crl-expired", Alert::certificate_unknown);
    // What it lists stays revoked.
    let listed = policy(old.and(entry(SERVER, &[])));
    refused(pki.judge(listed, pki.leaf_draft()), "revoked", Alert::certificate_revoked);
    // The last second, and the first; clocks may differ by five minutes.
    let last = List { next_update: Some("20260101000000Z"), ..List::default() };
    pki.judge(policy(last), pki.leaf_draft()).unwrap();
    let ahead = List { this_update: "20260101000500Z", ..List::default() };
    pki.judge(policy(ahead), pki.leaf_draft()).unwrap();
    let future = List { this_update: "20260101000501Z", ..List::default() };
    let verdict = pki.judge(policy(future), pki.leaf_draft());
    refused(verdict, "crl-not-yet-valid", Alert::certificate_unknown);
    // A newer list beside the old one is enough.
    let old = List { next_update: Some("20251231000000Z"), ..List::default() };
    let both = leaf_only(&[old.sign(&pki.ica), List::default().sign(&pki.ica)]);
    pki.judge(both, pki.leaf_draft()).unwrap();
}

#[test]
fn pitfall_46_a_list_speaks_for_the_kinds_of_certificate_in_its_scope() {
    let pki = Pki::new();
    let flag = |number: u8| idp(&[tlv(0x80 | number, &[0xff])]);
    let [users, cas, attributes] = [1, 2, 5].map(|n| List::of(&[9]).with(flag(n)));
    pki.judge(leaf_only(&[users.clone().sign(&pki.ica)]), pki.leaf_draft()).unwrap();
    for out_of_scope in [cas.clone(), attributes] {
        // Neither its silence nor its word counts.
        let listed = out_of_scope.and(entry(SERVER, &[]));
        let policy = leaf_only(&[listed.sign(&pki.ica)]);
        unknown(pki.judge(policy, pki.leaf_draft()), "for other certificates");
    }
    let whole = |of_root: List| {
        let lists = [users.clone().sign(&pki.ica), of_root.sign(&pki.root)];
        pki.judge(Revocation::hard_fail().with_crls(crls(&lists)), pki.leaf_draft())
    };
    whole(cas).unwrap();
    unknown(whole(users.clone()), "CN=Intermediate");
}

const A: &str = "http://crl.example/a.crl";
const B: &str = "http://crl.example/b.crl";
const C: &str = "http://crl.example/c.crl";

#[test]
fn pitfall_46_partitions_and_several_distribution_points() {
    let pki = Pki::new();
    let part = |names: &[&str]| List::default().with(idp(&[uris(names)]));
    let verdict = |lists: &[List], leaf: Draft| {
        let lists: Vec<_> = lists.iter().map(|list| list.clone().sign(&pki.ica)).collect();
        pki.judge(leaf_only(&lists), leaf)
    };
    let at = |places: &[Vec<Vec<u8>>]| pki.leaf_draft().with(points(places));
    // One name of many, in one point of many.
    verdict(&[part(&[A])], at(&[vec![uris(&[A])]])).unwrap();
    verdict(&[part(&[C, A])], at(&[vec![uris(&[B])], vec![uris(&[A, "ldap://x"])]])).unwrap();
    verdict(&[part(&[B]), part(&[A])], at(&[vec![uris(&[A])]])).unwrap();
    // The wrong part is no evidence, neither for nor against.
    unknown(verdict(&[part(&[B])], at(&[vec![uris(&[A])]])), "for other certificates");
    unknown(verdict(&[part(&[A])], pki.leaf_draft()), "for other certificates");
    let wrong = part(&[B]).and(entry(SERVER, &[]));
    verdict(&[wrong.clone(), part(&[A])], at(&[vec![uris(&[A])]])).unwrap();
    // The right one revokes, in whatever order they stand.
    let right = part(&[A]).and(entry(SERVER, &[]));
    for lists in [[part(&[B]), right.clone()], [right, part(&[B])]] {
        let verdict = verdict(&lists, at(&[vec![uris(&[B])], vec![uris(&[A])]]));
        refused(verdict, "revoked", Alert::certificate_revoked);
    }
    // A list without a part is for all of them.
    verdict(&[List::default()], at(&[vec![uris(&[A])]])).unwrap();
    // A point of another issuer is for indirect lists, which are not taken.
    let cross = vec![uris(&[A]), tlv(0xa2, &tlv(0xa4, &name("CRL issuer")))];
    unknown(verdict(&[part(&[A])], at(&[cross])), "for other certificates");
    // Points that do not parse are none.
    let broken = extension(CRL_DISTRIBUTION_POINTS, false, b"x");
    unknown(verdict(&[part(&[A])], pki.leaf_draft().with(broken.clone())), "other certificates");
    verdict(&[List::default()], pki.leaf_draft().with(broken)).unwrap();
}

#[test]
fn pitfall_46_distribution_points_with_directory_names() {
    let pki = Pki::new();
    let rdn = |cn: &str| tlv(0x30, &[tlv(6, &[0x55, 4, 3]), tlv(12, cn.as_bytes())].concat());
    let relative = |cn: &str| tlv(0xa0, &tlv(0xa1, &rdn(cn)));
    let set = |cn: &str| tlv(0x31, &rdn(cn));
    let full = |cns: &[&str]| {
        let name = tlv(0x30, &cns.iter().flat_map(|cn| set(cn)).collect::<Vec<_>>());
        tlv(0xa0, &tlv(0xa0, &tlv(0xa4, &name)))
    };
    let verdict = |of_list: Vec<u8>, of_leaf: Vec<u8>| {
        let list = List::default().with(idp(&[of_list])).sign(&pki.ica);
        pki.judge(leaf_only(&[list]), pki.leaf_draft().with(points(&[vec![of_leaf]])))
    };
    verdict(relative("CRL1"), relative("CRL1")).unwrap();
    verdict(relative("CRL1"), full(&["Intermediate", "CRL1"])).unwrap();
    verdict(full(&["intermediate", "crl1"]), relative("CRL1")).unwrap();
    unknown(verdict(relative("CRL2"), relative("CRL1")), "for other certificates");
    unknown(verdict(full(&["CRL1"]), relative("CRL1")), "for other certificates");
    // RFC 5280 §6.3.3: every certificate has its issuer's name as a point.
    verdict(full(&["Intermediate"]), uris(&[A])).unwrap();
}

#[test]
fn pitfall_46_lists_for_some_reasons_add_up() {
    let pki = Pki::new();
    // Bits 1, 2 and 8; bits 3 to 7.
    let compromises = || List::default().with(idp(&[tlv(0x83, &[7, 0b0110_0000, 0b1000_0000])]));
    let others = || List::default().with(idp(&[tlv(0x83, &[0, 0b0001_1111])]));
    let verdict = |lists: &[List]| {
        let lists: Vec<_> = lists.iter().map(|list| list.clone().sign(&pki.ica)).collect();
        pki.judge(leaf_only(&lists), pki.leaf_draft())
    };
    unknown(verdict(&[compromises()]), "do not cover all reasons");
    unknown(verdict(&[others(), others()]), "do not cover all reasons");
    verdict(&[compromises(), others()]).unwrap();
    let listed = compromises().and(entry(SERVER, &[reason(1)]));
    refused(verdict(&[others(), listed]), "revoked", Alert::certificate_revoked);
    // The point of the certificate may have reasons too.
    let limited = points(&[vec![uris(&[A]), tlv(0x81, &[7, 0b0110_0000, 0b1000_0000])]]);
    let part = List::default().with(idp(&[uris(&[A])])).sign(&pki.ica);
    let verdict = pki.judge(leaf_only(&[part]), pki.leaf_draft().with(limited));
    unknown(verdict, "do not cover all reasons");
}

#[test]
fn pitfall_46_indirect_and_delta_lists_are_refused_by_name() {
    let ca = entity("Intermediate");
    let indirect = List::default().with(idp(&[tlv(0x84, &[0xff])]));
    unreadable(indirect.sign(&ca), "it is an indirect CRL");
    let of_another = entry(SERVER, &[extension(CERTIFICATE_ISSUER, true, &tlv(0x30, &[]))]);
    unreadable(List::default().and(of_another).sign(&ca), "it is an indirect CRL");
    let delta = List::default().with(extension(DELTA_CRL, true, &tlv(2, &[6])));
    unreadable(delta.sign(&ca), "it is a delta CRL");
}

#[test]
fn pitfall_46_reason_codes() {
    let pki = Pki::new();
    let cases = [(1, "keyCompromise"), (5, "cessationOfOperation"), (6, "certificateHold")];
    for (code, text) in cases {
        let list = List::default().and(entry(SERVER, &[reason(code)])).sign(&pki.ica);
        let verdict = pki.judge(leaf_only(&[list]), pki.leaf_draft());
        assert!(verdict.as_ref().unwrap_err().to_string().contains(text));
        refused(verdict, "revoked", Alert::certificate_revoked);
    }
    // One that nobody knows revokes as well.
    let list = List::default().and(entry(SERVER, &[reason(99)])).sign(&pki.ica);
    let verdict = pki.judge(leaf_only(&[list]), pki.leaf_draft());
    refused(verdict, "revoked", Alert::certificate_revoked);
    let removed = List::default().and(entry(SERVER, &[reason(8)])).sign(&pki.ica);
    unreadable(removed, "removeFromCRL");
    let broken = extension(REASON_CODE, false, &tlv(10, &[]));
    unreadable(List::default().and(entry(&[1], &[broken])).sign(&pki.ica), "reason code");
}

#[test]
fn pitfall_46_critical_extensions_that_are_not_understood() {
    let pki = Pki::new();
    let unknown = |critical| extension(UNKNOWN, critical, &tlv(5, &[]));
    unreadable(List::default().with(unknown(true)).sign(&pki.ica), "critical extension");
    // One in an entry too, even where the entry is about somebody else.
    let listed = List::default().and(entry(&[9], &[unknown(true)]));
    unreadable(listed.sign(&pki.ica), "critical extension");
    let harmless = List::default().with(unknown(false)).and(entry(&[9], &[unknown(false)]));
    pki.judge(leaf_only(&[harmless.sign(&pki.ica)]), pki.leaf_draft()).unwrap();
    let twice = List::default().with(crl_number(false));
    unreadable(twice.sign(&pki.ica), "twice");
}

#[test]
fn pitfall_46_what_is_no_list_is_refused_before_any_signature() {
    let ca = entity("Intermediate");
    let good = || List::default().and(entry(&[9], &[reason(1)])).with(key_id(&[1, 2, 3]));
    read(&[good().sign(&ca)]).unwrap();
    unreadable(List { version: None, ..good() }.sign(&ca), "version 2");
    unreadable(List { version: Some(2), ..good() }.sign(&ca), "version 2");
    unreadable(List { extensions: vec![], ..good() }.sign(&ca), "version 2");
    unreadable(List { extensions: vec![key_id(&[1])], ..good() }.sign(&ca), "no CRL number");
    unreadable(List { extensions: vec![crl_number(true)], ..good() }.sign(&ca), "CRL number");
    unreadable(List { next_update: None, ..good() }.sign(&ca), "fields");
    unreadable(List { this_update: "20261301000000Z", ..good() }.sign(&ca), "fields");
    unreadable(List { issuer: Some(vec![5, 0]), ..good() }.sign(&ca), "fields");
    unreadable(good().and(tlv(0x30, &tlv(2, &[1]))).sign(&ca), "entries");
    unreadable(good().and(entry(&[0, 1], &[])).sign(&ca), "entries");
    for both in [[1, 2], [1, 5], [2, 5]] {
        let kinds = both.map(|n| tlv(0x80 | n, &[0xff]));
        unreadable(good().with(idp(&kinds)).sign(&ca), "issuingDistributionPoint");
    }
    for broken in [vec![0xa0, 0], tlv(0x83, &[8, 0]), tlv(0x81, &[1]), vec![5, 0]] {
        unreadable(good().with(idp(&[broken])).sign(&ca), "issuingDistributionPoint");
    }
    // Cut or changed anywhere, it is read or refused, and never a panic.
    let der = good().with(idp(&[uris(&[A]), tlv(0x83, &[0, 0x7f])])).sign(&ca);
    for len in 0..der.len() {
        read(&[der[..len].to_vec()]).unwrap_err();
    }
    for at in 0..der.len() {
        for flip in [1, 0x20, 0x80, 0xff] {
            let mut changed = der.clone();
            changed[at] ^= flip;
            let _ = read(&[changed]);
        }
    }
}

/// RFC 9608: who says that there is no revocation information is not asked about.
#[test]
fn certificates_without_revocation_information() {
    let pki = Pki::new();
    let leaf = pki.leaf_draft().with(extension(NO_REV_AVAIL, false, &[5, 0]));
    pki.judge(leaf_only(&[]), leaf.clone()).unwrap();
    unknown(pki.judge(Revocation::hard_fail(), leaf), "CN=Intermediate");
    // A CA cannot get out of it like this.
    let ica = pki.ica_draft().with(extension(NO_REV_AVAIL, false, &[5, 0]));
    let chain = [pki.leaf_draft().sign(&pki.ica), ica.sign(&pki.root)];
    let policy = Revocation::hard_fail().with_crls(crls(&[List::default().sign(&pki.ica)]));
    unknown(judge(&pki.verifier(policy), &chain, Evidence::default()), "CN=Intermediate");
}

/// A list of 100,000 is read once, and asked without a walk.
#[test]
fn large_lists() {
    let pki = Pki::new();
    let serial = |n: u32| [&[1][..], &n.to_be_bytes()].concat();
    let list = List {
        entries: (0..100_000).rev().map(|n| entry(&serial(n), &[reason(4)])).collect(),
        ..List::default()
    };
    let lists = crls(&[list.sign(&pki.ica)]);
    assert_eq!(format!("{lists:?}"), "Crls { len: 1, entries: 100000 }");
    let verifier = pki.verifier(Revocation::hard_fail().end_entity_only().with_crls(lists.clone()));
    let chain = |n: u32| pki.chain(Draft { serial: serial(n), ..pki.leaf_draft() });
    for n in [0, 1, 49_999, 99_999] {
        let verdict = judge(&verifier, &chain(n), Evidence::default());
        refused(verdict, "revoked", Alert::certificate_revoked);
    }
    judge(&verifier, &chain(100_000), Evidence::default()).unwrap();
}

#[test]
fn lists_from_pem() {
    let ca = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new([]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let issuer = rcgen::Issuer::new(params, ca);
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2025, 12, 1),
        next_update: rcgen::date_time_ymd(2026, 12, 1),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let pem = list.signed_by(&issuer).unwrap().pem().unwrap();
    let lists = Crls::from_pem(pem.repeat(2).as_bytes()).unwrap();
    assert_eq!((lists.len(), lists.is_empty()), (2, false));
    assert!(Crls::default().is_empty());
    Crls::from_pem(b"").unwrap_err();
    Crls::from_pem(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").unwrap_err();
}

#[test]
fn lists_are_cheap_to_clone_and_share() {
    fn check<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    check::<Crls>();
    check::<Revocation>();
}
