//! What a verdict costs: signatures are checked one a step, and those of accepted paths once and for all.

use std::task::Poll;

use super::counting::{counting_provider, run};
use super::*;

fn now(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

struct Judge {
    provider: Provider,
    verifier: Verifier,
    name: ServerName<'static>,
}

impl Judge {
    fn new(pki: &Pki) -> Self {
        let verifier = Verifier::new(TrustAnchors::from_certificates([pki.root()]));
        let name = ServerName::try_from("example.com").unwrap();
        Self { provider: counting_provider(), verifier, name }
    }

    /// The verdict's code, and how many good signatures it took.
    fn judge(&self, chain: &[Der], name: &ServerName<'_>, seconds: u64) -> (&'static str, usize) {
        let purpose = Purpose::Server;
        let start = self.verifier.start(
            &self.provider,
            chain,
            purpose,
            Some(name),
            now(seconds),
            Evidence::default(),
        );
        let (verdict, steps) = run(start);
        assert!(steps.iter().all(|signatures| *signatures <= 1), "{steps:?}");
        (verdict.map_or_else(|e| e.reason.code(), |_| "accepted"), steps.iter().sum())
    }

    fn now(&self, chain: &[Der]) -> (&'static str, usize) {
        self.judge(chain, &self.name, NOW)
    }
}

#[test]
fn a_step_is_at_most_one_signature() {
    let pki = Pki::new();
    let judge = Judge::new(&pki);
    let between = entity("Between");
    let chain = [pki.leaf_draft().sign(&between), Draft::ca(&between).sign(&pki.ica), pki.ica()];
    assert_eq!(judge.now(&chain), ("accepted", 3));
    let verdict = judge
        .verifier
        .start(&judge.provider, &[], Purpose::Server, None, now(NOW), Evidence::default())
        .step();
    assert!(matches!(verdict, Poll::Ready(Err(_))));
    let any = Verifier::danger_accept_any();
    let verdict = any
        .start(&judge.provider, &chain, Purpose::Server, None, now(NOW), Evidence::default())
        .step();
    assert!(matches!(verdict, Poll::Ready(Ok(path)) if path.certificates == chain));
}

/// The signatures of an accepted path are checked once, by all clones of the verifier; everything else every time.
#[test]
fn a_known_signature_is_not_checked_again() {
    let pki = Pki::new();
    let judge = Judge::new(&pki);
    let chain = [pki.leaf(), pki.ica()];
    assert_eq!(judge.now(&chain), ("accepted", 2));
    assert_eq!(judge.now(&chain), ("accepted", 0));
    let clone = Judge { verifier: judge.verifier.clone(), ..Judge::new(&pki) };
    assert_eq!(clone.now(&chain), ("accepted", 0));
    assert_eq!(Judge::new(&pki).now(&chain), ("accepted", 2), "a verifier of its own");
    // The same intermediate for another leaf.
    let other = pki.leaf_draft().sign(&pki.ica);
    assert_eq!(judge.now(&[other, chain[1].clone()]), ("accepted", 1));

    let other_name = ServerName::try_from("other.example").unwrap();
    assert_eq!(judge.judge(&chain, &other_name, NOW).0, "name-mismatch");
    assert_eq!(judge.judge(&chain, &judge.name, NOW + (1 << 30)).0, "expired");
    assert_eq!(judge.judge(&chain, &judge.name, NOW - (1 << 28)).0, "not-yet-valid");
    let nobody = Judge { verifier: judge.verifier.clone().with_max_depth(0), ..Judge::new(&pki) };
    assert_eq!(nobody.now(&chain).0, "too-deep");
}

/// Every byte of a certificate and of the key counts.
#[test]
fn a_known_signature_is_good_for_exactly_what_it_signed() {
    let pki = Pki::new();
    let judge = Judge::new(&pki);
    let (leaf, ica) = (pki.leaf(), pki.ica());
    assert_eq!(judge.now(&[leaf.clone(), ica.clone()]).0, "accepted");
    for at in 0..leaf.len() {
        let mut changed = leaf.to_vec();
        changed[at] ^= 1;
        let (verdict, _) = judge.now(&[changed.into(), ica.clone()]);
        assert_ne!(verdict, "accepted", "byte {at}");
    }
    let impostor = Entity { name: pki.ica.name.clone(), ..entity("") };
    let ica = Draft::ca(&impostor).sign(&pki.root);
    assert_eq!(judge.now(&[leaf, ica]).0, "bad-signature");
}

/// What does not lead to an anchor is not remembered, however often it comes: it cannot push out what does.
#[test]
fn what_was_not_accepted_is_not_remembered() {
    let pki = Pki::new();
    let judge = Judge::new(&pki);
    let chain = [pki.leaf(), pki.ica()];
    let stranger = entity("Stranger");
    let theirs = [
        Draft::leaf(&entity("x"), "example.com").sign(&stranger),
        Draft::ca(&stranger).sign(&stranger),
    ];
    assert_eq!(judge.now(&theirs), ("self-signed", 1));
    assert_eq!(judge.now(&theirs), ("self-signed", 1));
    assert_eq!(judge.judge(&chain, &judge.name, NOW + (1 << 30)), ("expired", 1));
    assert_eq!(judge.now(&chain), ("accepted", 2));
    assert_eq!(judge.judge(&chain, &judge.name, NOW + (1 << 30)), ("expired", 0));
}

/// Another provider may judge otherwise.
#[test]
fn a_known_signature_is_known_of_one_provider() {
    let pki = Pki::new();
    let judge = Judge::new(&pki);
    let chain = [pki.leaf(), pki.ica()];
    assert_eq!(judge.now(&chain), ("accepted", 2));
    verify(&judge.verifier, &chain, Purpose::Server, None, NOW).unwrap();
    let mut without = counting_provider();
    without.verifiers = &[];
    let judge = Judge { provider: without, verifier: judge.verifier.clone(), ..Judge::new(&pki) };
    assert_eq!(judge.now(&chain), ("unsupported-algorithm", 0));
}

#[test]
fn a_verdict_in_steps_has_limits_of_the_callers() {
    let pki = Pki::new();
    let judge = Judge::new(&pki);
    let chain = [pki.leaf(), pki.ica()];
    for (signatures, code) in [(1, "budget-exhausted"), (2, "accepted")] {
        let mut limits = Limits::default();
        limits.signatures = signatures;
        let start = judge.verifier.start(
            &judge.provider,
            &chain,
            Purpose::Server,
            Some(&judge.name),
            now(NOW),
            Evidence::default(),
        );
        let (verdict, _) = run(start.with_limits(limits));
        assert_eq!(verdict.map_or_else(|e| e.reason.code(), |_| "accepted"), code);
    }
}
