//! Certificate policies (RFC 5280 §6.1).

use super::*;

const POLICY_MAPPINGS: &[u8] = &[6, 3, 0x55, 0x1d, 33];
const INHIBIT_ANY_POLICY: &[u8] = &[6, 3, 0x55, 0x1d, 54];
/// anyPolicy; every other number is a policy of its own.
const ANY: u8 = 0;

fn oid(policy: u8) -> Vec<u8> {
    if policy == ANY { tlv(6, &[0x55, 0x1d, 32, 0]) } else { tlv(6, &[0x2a, 3, policy]) }
}

fn policies(these: &[u8]) -> Vec<u8> {
    let list: Vec<u8> = these.iter().flat_map(|p| tlv(0x30, &oid(*p))).collect();
    extension(CERTIFICATE_POLICIES, false, &tlv(0x30, &list))
}

fn mappings(pairs: &[(u8, u8)]) -> Vec<u8> {
    let pair = |(from, to): &(u8, u8)| tlv(0x30, &[oid(*from), oid(*to)].concat());
    extension(POLICY_MAPPINGS, true, &tlv(0x30, &pairs.iter().flat_map(pair).collect::<Vec<_>>()))
}

/// policyConstraints, with the numbers of certificates to skip.
fn demand(explicit: Option<u8>, no_mapping: Option<u8>) -> Vec<u8> {
    let field = |tag, skip: Option<u8>| skip.map(|n| tlv(tag, &[n])).unwrap_or_default();
    let fields = [field(0x80, explicit), field(0x81, no_mapping)].concat();
    extension(POLICY_CONSTRAINTS, true, &tlv(0x30, &fields))
}

fn no_any(skip: u8) -> Vec<u8> {
    extension(INHIBIT_ANY_POLICY, true, &tlv(2, &[skip]))
}

/// A path of root, two CAs and a leaf, each with these extensions, from the top.
fn path(extensions: [&[Vec<u8>]; 4]) -> Result<(), CertificateReason> {
    let pki = Pki::new();
    let lower = entity("Lower");
    let with = |draft: Draft, these: &[Vec<u8>]| {
        these.iter().fold(draft, |draft, extension| draft.with(extension.clone()))
    };
    let [of_root, of_upper, of_lower, of_leaf] = extensions;
    let chain = [
        with(pki.leaf_draft(), of_leaf).sign(&lower),
        with(Draft::ca(&lower), of_lower).sign(&pki.ica),
        with(Draft::ca(&pki.ica), of_upper).sign(&pki.root),
    ];
    judge(&[with(Draft::ca(&pki.root), of_root).sign(&pki.root)], &chain)
}

#[track_caller]
fn good(extensions: [&[Vec<u8>]; 4]) {
    path(extensions).unwrap();
}

#[track_caller]
fn bad(extensions: [&[Vec<u8>]; 4]) {
    refused(path(extensions), "policy", Alert::certificate_unknown);
}

/// Without a demand policies mean nothing, whether they fit or not.
#[test]
fn nobody_asks() {
    good([&[], &[policies(&[1])], &[policies(&[2])], &[]]);
    good([&[], &[demand(None, Some(0))], &[no_any(0)], &[policies(&[ANY])]]);
}

/// RFC 5280 §6.1.3 (d) and (f)
#[test]
fn an_explicit_policy_is_demanded() {
    let now = demand(Some(0), None);
    good([&[], &[policies(&[1]), now.clone()], &[policies(&[1, 2])], &[policies(&[1])]]);
    good([&[], &[policies(&[ANY]), now.clone()], &[policies(&[2])], &[policies(&[2, 3])]]);
    good([&[], &[policies(&[1, 2]), now.clone()], &[policies(&[ANY])], &[policies(&[2])]]);
    good([&[], &[policies(&[1]), now.clone()], &[policies(&[1])], &[policies(&[ANY])]]);
    bad([&[], &[policies(&[1]), now.clone()], &[policies(&[1])], &[policies(&[2])]]);
    bad([&[], &[policies(&[1]), now.clone()], &[policies(&[1])], &[]]);
    bad([&[], &[policies(&[1]), now.clone()], &[], &[policies(&[1])]]);
    bad([&[], std::slice::from_ref(&now), &[policies(&[1])], &[policies(&[1])]]);
    // What does not go through the middle is gone, even if any came before.
    bad([&[], &[policies(&[ANY]), now.clone()], &[policies(&[1])], &[policies(&[2])]]);
    // The demand of a CA at the end of the path, and of the leaf, which has to be 0 there.
    bad([&[], &[], std::slice::from_ref(&now), &[policies(&[1])]]);
    good([&[], &[policies(&[1])], &[policies(&[1])], &[policies(&[1]), now.clone()]]);
    bad([&[], &[], &[], &[policies(&[1]), now]]);
    good([&[], &[], &[], &[demand(Some(1), None)]]);
}

/// RFC 5280 §6.1.4 (h) and (i), §6.1.5 (a): a demand that begins some certificates below.
#[test]
fn a_demand_takes_effect_later() {
    let bare = [&[][..], &[], &[], &[]];
    let with = |skip| [&[][..], &[demand(Some(skip), None)], &[], &[]].map(<[Vec<u8>]>::to_vec);
    let try_skip = |skip| {
        let each = with(skip);
        path([&each[0], &each[1], &each[2], &each[3]])
    };
    good(bare);
    for skip in [0, 1, 2] {
        refused(try_skip(skip), "policy", Alert::certificate_unknown);
    }
    try_skip(3).unwrap();
    try_skip(0x7f).unwrap();
    // The smallest counts.
    bad([&[], &[demand(Some(0x7f), None)], &[demand(Some(0), None)], &[]]);
    bad([&[], &[demand(Some(0), None)], &[demand(Some(0x7f), None)], &[]]);
}

/// RFC 5937 §3.2: what an anchor says of policies holds below it.
#[test]
fn an_anchor_demands() {
    let now = demand(Some(0), None);
    let one = policies(&[1]);
    bad([std::slice::from_ref(&now), &[], &[], &[]]);
    let all = [one.clone()];
    good([std::slice::from_ref(&now), &all, &all, &all]);
    good([&[one.clone(), now.clone()], &all, &all, &all]);
    let two = [policies(&[2])];
    bad([&[one, now], &two, &two, &two]);
}

/// RFC 5280 §6.1.4 (a), (b) and (i)
#[test]
fn policies_are_mapped() {
    let now = demand(Some(0), None);
    let one = policies(&[1]);
    let mapped = |pairs: &[(u8, u8)]| [one.clone(), now.clone(), mappings(pairs)];
    good([&[], &mapped(&[(1, 2)]), &[policies(&[2])], &[policies(&[2])]]);
    bad([&[], &mapped(&[(1, 2)]), std::slice::from_ref(&one), std::slice::from_ref(&one)]);
    bad([&[], &mapped(&[(3, 2)]), &[policies(&[2])], &[policies(&[2])]]);
    good([&[], &mapped(&[(1, 2), (1, 3)]), &[policies(&[3])], &[policies(&[3])]]);
    // One mapping after the other, and both at once.
    let again = [policies(&[2]), mappings(&[(2, 3)])];
    good([&[], &mapped(&[(1, 2)]), &again, &[policies(&[3])]]);
    bad([&[], &mapped(&[(1, 2), (2, 3)]), &[policies(&[3])], &[policies(&[3])]]);
    // anyPolicy stands for whatever is mapped.
    let any = [policies(&[ANY]), now.clone(), mappings(&[(1, 2)])];
    good([&[], &any, &[policies(&[2])], &[policies(&[2])]]);
    // No more mapping.
    let forbidden = [one.clone(), demand(Some(0), Some(0))];
    bad([&[], &forbidden, &[one.clone(), mappings(&[(1, 2)])], &[policies(&[2])]]);
    let later = [one.clone(), demand(Some(0), Some(1))];
    good([&[], &later, &[one.clone(), mappings(&[(1, 2)])], &[policies(&[2])]]);
    // RFC 5280 §6.1.4 (a): to anyPolicy and from it nothing is mapped.
    for pair in [(ANY, 1), (1, ANY)] {
        let verdict = path([&[], &[mappings(&[pair])], &[], &[]]);
        refused(verdict, "unknown-issuer", Alert::unknown_ca);
    }
}

/// RFC 5280 §6.1.3 (d)(2) and §6.1.4 (j)
#[test]
fn any_policy_is_inhibited() {
    let now = demand(Some(0), None);
    let (one, any) = (policies(&[1]), policies(&[ANY]));
    let upper = |skip| [one.clone(), now.clone(), no_any(skip)];
    bad([&[], &upper(0), std::slice::from_ref(&any), std::slice::from_ref(&one)]);
    bad([&[], &upper(1), std::slice::from_ref(&any), std::slice::from_ref(&any)]);
    good([&[], &upper(1), std::slice::from_ref(&any), std::slice::from_ref(&one)]);
    good([&[], &upper(0), std::slice::from_ref(&one), std::slice::from_ref(&one)]);
}

/// Where RFC 5280's tree has a node for each way through 20 CAs with two mappings each, the set has two members.
#[test]
fn mappings_do_not_multiply() {
    let pki = Pki::new();
    let cas: Vec<_> = (0..9).map(|n| entity(&format!("CA {n}"))).collect();
    let many: Vec<u8> = (1..=30).collect();
    let pairs: Vec<_> = many.iter().flat_map(|a| many.iter().map(move |b| (*a, *b))).collect();
    let all = [policies(&many), mappings(&pairs), demand(Some(0), None)];
    let mut chain = vec![pki.leaf_draft().with(policies(&[7])).sign(&cas[8])];
    for (n, ca) in cas.iter().enumerate() {
        let draft = all.iter().fold(Draft::ca(ca), |draft, e| draft.with(e.clone()));
        chain.push(draft.sign(if n == 0 { &pki.root } else { &cas[n - 1] }));
    }
    judge(&[pki.root()], &chain).unwrap();
}

#[test]
fn malformed() {
    let pki = Pki::new();
    let bad = |oid: &[u8], value: &[u8]| {
        let leaf = pki.leaf_draft().with(extension(oid, true, value));
        refused(pki.with_leaf(leaf), "malformed", Alert::bad_certificate);
    };
    for oid in [CERTIFICATE_POLICIES, POLICY_MAPPINGS, POLICY_CONSTRAINTS, INHIBIT_ANY_POLICY] {
        for value in [&[][..], &[0x30, 0], &[0x30, 1], &[5, 0]] {
            bad(oid, value);
        }
    }
    bad(CERTIFICATE_POLICIES, &tlv(0x30, &tlv(0x30, &[5, 0])));
    bad(POLICY_MAPPINGS, &tlv(0x30, &tlv(0x30, &oid(1))));
    bad(POLICY_CONSTRAINTS, &tlv(0x30, &tlv(0x80, &[0xff])));
    bad(POLICY_CONSTRAINTS, &tlv(0x30, &tlv(0x80, &[0, 1])));
    bad(INHIBIT_ANY_POLICY, &tlv(2, &[]));
    // RFC 5280 §4.2.1.11
    let not_critical = extension(POLICY_CONSTRAINTS, false, &tlv(0x30, &tlv(0x80, &[5])));
    let leaf = pki.leaf_draft().with(not_critical);
    refused(pki.with_leaf(leaf), "malformed", Alert::bad_certificate);
}
