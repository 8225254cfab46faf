//! Servers whose certificates are revoked, or are not shown not to be, or are in no log.

use pki_types::CertificateRevocationListDer;
use sealwire::{Crls, Profile, Revocation, Transparency};

use super::*;
use crate::lists::List;

/// A list that is good at the tests' time.
fn list() -> List {
    List { this_update: "20260920000000Z", next_update: Some("20261001000000Z"), ..List::default() }
}

/// Every certificate below the root has to be covered by these lists.
fn hard_fail(world: &World, lists: &[Vec<u8>]) -> Verifier {
    let lists = lists.iter().map(|list| CertificateRevocationListDer::from(list.as_slice()));
    let policy = Revocation::hard_fail().with_crls(Crls::from_der(lists).unwrap());
    Verifier::new(trusted(&[world.root()])).with_revocation(policy)
}

#[test]
fn revocation() {
    let world = World::new();
    let chain = [world.leaf(), world.ica()];
    let shown = |lists: &[Vec<u8>]| world.shown_to(&hard_fail(&world, lists), &chain, NAME);
    let of_root = list().sign(&world.root);

    let revoked = List { entries: List::of(&[1]).entries, ..list() }.sign(&world.ica);
    reads(&shown(&[revoked, of_root.clone()]), "replace-revoked", "replace-revoked");
    reads(&shown(std::slice::from_ref(&of_root)), "get-crl", "get-crl");

    let old = List { next_update: Some("20260919000000Z"), ..list() };
    let old = List { this_update: "20260912000000Z", ..old }.sign(&world.ica);
    reads(&shown(&[old, of_root.clone()]), "get-crl", "get-crl-again");

    let early = List { this_update: "20260922000000Z", ..list() }.sign(&world.ica);
    reads(&shown(&[early, of_root.clone()]), "check-clock", "crl-not-yet-valid");

    // The certificate says where its CRL is.
    let name = tlv(0xa0, &tlv(0xa0, &tlv(URI, b"http://ca.example/issuing.crl")));
    let point = extension(&[6, 3, 0x55, 0x1d, 31], false, &tlv(0x30, &tlv(0x30, &name)));
    let own = [world.leaf_draft().with(point).sign(&world.ica), world.ica()];
    let error = world.shown_to(&hard_fail(&world, std::slice::from_ref(&of_root)), &own, NAME);
    reads(&error, "get-crl", "get-crl-published");
    let old = List { next_update: Some("20260919000000Z"), ..list() };
    let old = List { this_update: "20260912000000Z", ..old }.sign(&world.ica);
    let error = world.shown_to(&hard_fail(&world, &[old, of_root.clone()]), &own, NAME);
    reads(&error, "get-crl", "get-crl-again-published");

    // A CA made by hand, with keyCertSign alone.
    let ica = world.ica_draft().with(usage(KEY_CERT_SIGN)).sign(&world.root);
    let verifier = hard_fail(&world, &[list().sign(&world.ica), of_root]);
    let error = world.shown_to(&verifier, &[world.leaf(), ica], NAME);
    reads(&error, "make-it-sign-crls", "make-it-sign-crls");
}

#[test]
fn staples() {
    let world = World::new();
    let must_staple = extension(&MUST_STAPLE, false, &tlv(0x30, &tlv(2, &[5])));
    let leaf = world.leaf_draft().with(must_staple).sign(&world.ica);
    reads(&world.shown(&[leaf.clone(), world.ica()]), "staple-ocsp", "staple-ocsp");

    let evidence = Evidence { ocsp: b"rubbish", asked_for_ocsp: true, ..Evidence::default() };
    let (chain, now) = ([leaf, world.ica()], support::now());
    let verifier = hard_fail(&world, &[]);
    let report = verifier.explain(&ring::provider(), &chain, Purpose::Server, None, now, evidence);
    report_reads(&report, "staple-again", "staple-again");
}

#[test]
fn policies_for_public_cas() {
    let world = World::new();
    let verifier = || Verifier::new(trusted(&[world.root()]));
    let chain = [world.leaf(), world.ica()];
    let logged = verifier().with_transparency(Transparency::new([]));
    reads(&world.shown_to(&logged, &chain, NAME), "log-certificate", "log-certificate");
    let strict = verifier().with_profile(Profile::Strict);
    reads(&world.shown_to(&strict, &chain, NAME), "use-default-profile", "use-default-profile");
}
