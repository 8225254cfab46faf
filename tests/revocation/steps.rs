//! What evidence costs: its signatures are counted with those of the chain, one a step, and remembered like them.

use sealwire::{CtLog, Transparency};

use super::*;
use crate::counting::{counting_provider, run};
use crate::maker::*;

/// The verdict's code, and how many good signatures it took.
fn count(verifier: &Verifier, chain: &[Der], evidence: Evidence<'_>) -> (&'static str, usize) {
    let provider = counting_provider();
    let name = ServerName::try_from("example.com").unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let start = verifier.start(&provider, chain, Purpose::Server, Some(&name), now, evidence);
    let (verdict, steps) = run(start);
    assert!(steps.iter().all(|signatures| *signatures <= 1), "{steps:?}");
    (verdict.map_or_else(|e| e.reason.code(), |_| "accepted"), steps.iter().sum())
}

#[test]
fn a_step_is_at_most_one_signature_and_none_is_checked_twice() {
    let pki = Pki::new();
    let logs = ["A", "B"].map(entity);
    let log = |log: &Entity| {
        let spki = rcgen::PublicKeyData::subject_public_key_info(&log.key);
        CtLog::new(spki, "log", &format!("{:?}", log.name)).unwrap()
    };
    let lists = crls(&[List::default().sign(&pki.root), List::default().sign(&pki.ica)]);
    let verifier = pki
        .verifier(Revocation::hard_fail().with_crls(lists))
        .with_transparency(Transparency::new(logs.iter().map(log)));
    let chain = pki.chain(pki.leaf_draft());
    let entry = x509_entry(&chain[0]);
    let good = logs.each_ref().map(|log| sct(log, NOW * 1000, &entry));
    let responder = entity("Responder");
    let delegated = Draft { serial: vec![0x30], extensions: vec![], ..Draft::ca(&responder) }
        .with(purposes(&[OCSP_SIGNING]))
        .sign(&pki.ica);
    let certificates = vec![delegated.to_vec()];
    let ocsp = Response { certificates, ..Response::new(&[Single::good(&pki.ica, SERVER)]) };
    let ocsp = ocsp.sign(&responder);
    let evidence = |scts| Evidence { ocsp: &ocsp, scts, asked_for_ocsp: true };

    // The chain's two, the responder's and its response's, two lists, two timestamps.
    assert_eq!(count(&verifier, &chain, evidence(&good)), ("accepted", 8));
    assert_eq!(count(&verifier, &chain, evidence(&good)), ("accepted", 0));
    // The lists keep what is known of them, whoever asks.
    let other = pki.verifier(Revocation::hard_fail().with_crls(crls(&[])));
    assert_eq!(count(&other, &chain, evidence(&[])), ("revocation-unknown", 4));
    // What was not accepted is not remembered.
    assert_eq!(count(&other, &chain, evidence(&[])), ("revocation-unknown", 4));

    // Nobody is made to check more than a verdict may cost: 16 timestamps are looked at, and no more than 32 signatures.
    let bad = (0..40).map(|n| sct(&logs[0], NOW * 1000 + n, &x509_entry(b"x")));
    let bad: Vec<_> = bad.chain(good.iter().cloned()).collect();
    assert_eq!(count(&verifier, &chain, evidence(&bad)).0, "not-logged");
    let forged = |_| {
        let draft = Draft { serial: vec![0x31], extensions: vec![], ..Draft::ca(&responder) };
        let forged = draft.with(purposes(&[OCSP_SIGNING]));
        Draft { issuer: Some(pki.ica.name.clone()), ..forged }.sign(&pki.server).to_vec()
    };
    let certificates = (0..40).map(forged).collect();
    let ocsp = Response { certificates, ..Response::new(&[Single::good(&pki.ica, SERVER)]) };
    let ocsp = ocsp.sign(&responder);
    let evidence = Evidence { ocsp: &ocsp, ..Evidence::default() };
    assert_eq!(count(&verifier, &chain, evidence).0, "budget-exhausted");
}
