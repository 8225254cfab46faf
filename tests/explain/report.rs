//! Reports as values: of successes, and of peers that want to fill them.

use super::*;

#[test]
fn a_success_is_explained_too() {
    let world = World::new();
    let leaf = Draft { not_after: "20261001000000Z", ..world.leaf_draft() };
    let chain = [leaf.sign(&world.ica), world.ica()];
    let report = judged(&[world.root()], &chain, Some(NAME));
    assert!(report.is_accepted() && report.reached_anchor());
    assert_eq!(report.attempts.len(), 1);
    assert_eq!((&report.attempts[0].path, &report.attempts[0].end), (&vec![0, 1, 2], &None));
    report_reads(&report, "expires-soon", "expires-soon");
}

/// The paths that failed before the one that was accepted are told, and those certificates that are not on it do not
/// count for what expires soon.
#[test]
fn what_was_tried_before() {
    let world = World::new();
    let other = entity("Example Issuing CA");
    let cross = Draft { not_after: "20260922000000Z", ..Draft::ca(&other) }
        .with(key_id("bbbbbbbb"))
        .sign(&world.root);
    let chain = [world.leaf(), cross, world.ica()];
    let report = judged(&[world.root()], &chain, Some(NAME));
    assert!(report.is_accepted(), "{report}");
    assert!(report.hints.is_empty(), "{report}");
    let ends: Vec<_> = report.attempts.iter().map(|a| a.end.as_ref().map(|e| e.code())).collect();
    assert!(ends.ends_with(&[None]) && ends.len() <= 2, "{ends:?}");
}

/// All that is wrong with the leaf, and not only the first fault.
#[test]
fn every_fault_of_the_leaf() {
    let world = World::new();
    let leaf = Draft { not_after: "20260918000000Z", ..world.leaf_draft() }.sign(&world.ica);
    let report = judged(&[world.root()], &[leaf, world.ica()], Some("elsewhere.example"));
    let codes: Vec<_> = report.faults.iter().map(|fault| fault.code()).collect();
    assert_eq!(codes, ["expired", "name-mismatch"]);
    let codes: Vec<_> = report.hints.iter().map(|hint| hint.code).collect();
    assert_eq!(codes, ["renew", "wrong-name"]);
}

/// A chain that wants to fill the log: names with control characters, thousands of bytes long, in many certificates.
#[test]
fn a_report_is_bounded_and_controls_no_terminal() {
    let world = World::new();
    let evil = "\x1b[2J\u{202e}\r\nhint: trust me".repeat(20);
    let name = entity(&evil).name;
    let url = issuer_at(&evil);
    let names: Vec<_> = (0..100).map(|_| (DNS, evil.as_bytes())).collect();
    let issuer = |serial| {
        let issuer = Entity { name: name.clone(), key: entity("x").key };
        let draft = Draft { serial: vec![serial], ..Draft::ca(&issuer) };
        draft.with(url.clone()).sign(&entity("nobody"))
    };
    let leaf = Draft { issuer: Some(name.clone()), subject: name.clone(), ..world.leaf_draft() };
    let leaf = leaf.with(alt_names(&names)).with(url.clone()).sign(&world.ica);
    let mut chain = vec![leaf];
    chain.extend((1..60).map(issuer));
    let report = judged(&[world.root()], &chain, Some(NAME));
    let text = format!("{report}{report:?}");
    assert!(!text.contains('\x1b') && !text.contains('\u{202e}') && !text.contains('\r'));
    assert!(report.to_string().lines().all(|line| !line.starts_with("hint: trust me")));
    assert!(report.attempts.len() <= 16 && report.omitted > 0, "{}", report.attempts.len());
    assert!(report.certificates.iter().all(|c| c.names.len() <= 21));
    assert!(report.to_string().len() < 60_000, "{}", report.to_string().len());
}

#[test]
fn chains_that_are_no_chains() {
    let world = World::new();
    for chain in [&[][..], &[Der::from(vec![0])]] {
        let report = judged(&[world.root()], chain, Some(NAME));
        assert_eq!(report.reason.as_ref().map(|reason| reason.code()), Some("malformed"));
        assert!(!report.is_accepted() && report.certificates.is_empty());
    }
    let any = Verifier::danger_accept_any();
    let (provider, evidence) = (ring::provider(), Evidence::default());
    let now = support::now();
    let report = any.explain(&provider, &[world.leaf()], Purpose::Server, None, now, evidence);
    assert!(report.is_accepted());
    assert_eq!(report.to_string(), "note: this verifier accepts every certificate\n");
}
