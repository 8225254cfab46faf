//! Names (RFC 9525) and name constraints. Their finer points are tested beside the code; here, that they are applied.

use super::*;

/// RFC 9525; the finer points are tested beside the code.
#[test]
fn pitfall_42_names_and_never_the_common_name() {
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
fn pitfall_42_addresses_are_no_hosts() {
    let pki = Pki::new();
    let chain = [pki.leaf_draft().with(alt_names(&[(IP, &[192, 0, 2, 1])])).sign(&pki.ica)];
    let verifier = Verifier::new(TrustAnchors::from_certificates([pki.ica()]));
    verify(&verifier, &chain, Purpose::Server, Some("192.0.2.1"), NOW).unwrap();
    let error = verify(&verifier, &chain, Purpose::Server, Some("192.0.2.2"), NOW).unwrap_err();
    assert_eq!(error.reason.code(), "name-mismatch");
}

/// RFC 5280 §4.2.1.10
#[test]
fn pitfall_41_every_constrained_ca_has_a_say() {
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

/// RFC 5280 §6.1.4 (g): what two CAs permit is what both permit, and if that is nothing, it is not everything
/// (CVE-2026-42011).
#[test]
fn pitfall_41_what_two_cas_permit_is_what_both_permit() {
    let pki = Pki::new();
    let judge = |root: &[(u8, &[u8])], ica: &[(u8, &[u8])], names: &[(u8, &[u8])]| {
        let root = Draft::ca(&pki.root).with(constraints(root, &[])).sign(&pki.root);
        let ica = Draft::ca(&pki.ica).with(constraints(ica, &[])).sign(&pki.root);
        let names = [&[(DNS, &b"example.com"[..])], names].concat();
        judge(&[root], &[pki.leaf_draft().with(alt_names(&names)).sign(&pki.ica), ica])
    };
    let no = |v| refused(v, "name-constraint", Alert::certificate_unknown);
    let com: &[(u8, &[u8])] = &[(DNS, b"com")];
    let example: &[(u8, &[u8])] = &[(DNS, b"example.com")];
    judge(com, example, &[]).unwrap();
    judge(example, com, &[]).unwrap();
    let org: &[(u8, &[u8])] = &[(DNS, b"org")];
    for (root, ica) in [(org, example), (example, org), (org, com)] {
        no(judge(root, ica, &[]));
        no(judge(root, ica, &[(DNS, b"example.org")]));
    }
    // Each form for itself: nothing in common for addresses says nothing of hosts, and everything of addresses.
    let (ten, other) = ([10, 0, 0, 0, 255, 0, 0, 0], [192, 0, 2, 0, 255, 255, 255, 0]);
    let ten: &[(u8, &[u8])] = &[(IP, &ten)];
    let other: &[(u8, &[u8])] = &[(IP, &other)];
    judge(ten, other, &[]).unwrap();
    for address in [[10, 0, 0, 1], [192, 0, 2, 1], [0, 0, 0, 0]] {
        no(judge(ten, other, &[(IP, &address)]));
    }
    judge(ten, ten, &[(IP, &[10, 0, 0, 1])]).unwrap();
}

/// RFC 5280 §4.2.1.10: constraints on directory names are for the subject, if there is one, and for the directory names
/// of the subjectAltName. These are the cases of x509-limbo that fail there for another reason.
#[test]
fn pitfall_41_directory_names_of_subject_and_alternatives() {
    let pki = Pki::new();
    let foo = name("foo");
    let judge = |constraint: Vec<u8>, subject: &str, alternative: &str| {
        let directory = name(alternative);
        let names: [(u8, &[u8]); 2] = [(DNS, b"example.com"), (DIRECTORY, &directory)];
        let leaf = Draft { subject: name(subject), ..pki.leaf_draft() }.with(alt_names(&names));
        let ica = Draft::ca(&pki.ica).with(constraint).sign(&pki.root);
        judge(&[pki.root()], &[leaf.sign(&pki.ica), ica])
    };
    let no = |v| refused(v, "name-constraint", Alert::certificate_unknown);
    let permitted = || constraints(&[(DIRECTORY, &foo)], &[]);
    let excluded = || constraints(&[], &[(DIRECTORY, &foo)]);
    judge(permitted(), "foo", "foo").unwrap();
    judge(permitted(), "", "foo").unwrap();
    no(judge(permitted(), "not-foo", "not-foo")); // permitted-dn-mismatch
    no(judge(permitted(), "not-foo", "foo")); // permitted-dn-match-subject-san-mismatch
    no(judge(permitted(), "foo", "not-foo"));
    judge(excluded(), "not-foo", "not-foo").unwrap();
    no(judge(excluded(), "not-foo", "foo")); // excluded-dn-match
    no(judge(excluded(), "foo", "not-foo")); // excluded-dn-match-sub-mismatch
}

/// A subject that does not parse is not outside of what is excluded.
#[test]
fn pitfall_41_malformed_subjects_under_constraints() {
    let pki = Pki::new();
    let leaf = Draft { subject: tlv(0x30, &tlv(0x31, &[])), ..pki.leaf_draft() };
    pki.with_leaf(leaf.clone()).unwrap();
    let ica = Draft::ca(&pki.ica).with(constraints(&[], &[(DIRECTORY, &name("Evil"))]));
    let verdict = judge(&[pki.root()], &[leaf.sign(&pki.ica), ica.sign(&pki.root)]);
    refused(verdict, "name-constraint", Alert::certificate_unknown);
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
fn pitfall_41_malformed_constraints_refuse() {
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
fn pitfall_40_name_constraint_comparisons_are_bounded() {
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
