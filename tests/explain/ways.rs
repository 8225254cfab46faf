//! Servers and clients that are in order, and are not those for whom somebody waits.

use pki_types::SubjectPublicKeyInfoDer;
use sealwire::CertificateName;

use super::*;

/// A workload's certificate.
fn svid(world: &World, uri: &str) -> Der {
    let names = alt_names(&[(URI, uri.as_bytes())]);
    world.leaf_draft().with(names).sign(&world.ica)
}

fn spiffe(world: &World) -> Verifier {
    let bundle = |domain: &str| (domain.to_owned(), trusted(&[world.root()]));
    Verifier::spiffe([bundle("example.org"), bundle("partner.example")]).unwrap()
}

#[test]
fn pins() {
    let world = World::new();
    let verifier = Verifier::new(trusted(&[world.root()]));
    let verifier = verifier.with_spki_pins(&[[1; 32]], &[[2; 32]]).unwrap();
    let error = world.shown_to(&verifier, &[world.leaf(), world.ica()], NAME);
    let keys = error.report.attempts[0].path.len();
    assert_eq!(keys, 3);
    // The hashes of the keys are others in every run.
    let steady = |text: &str| {
        let is_hash =
            |word: &&str| word.len() >= 64 && word[..64].bytes().all(|b| b.is_ascii_hexdigit());
        let words = text.split(' ').map(|word| match is_hash(&word) {
            true => format!("…{}", &word[64..]),
            false => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let [hint] = &error.report.hints[..] else { panic!("{}", error.report) };
    assert_eq!(hint.code, "update-pins");
    reads_as(
        &format!(
            "{}\n\nhint: {} ({})\n",
            steady(&error.to_string()),
            steady(&hint.text),
            hint.code
        ),
        "update-pins",
    );
}

#[test]
fn this_very_certificate() {
    let world = World::new();
    let old = world.leaf_draft().sign(&world.server);
    let new = Draft { serial: vec![2], ..world.leaf_draft() }.sign(&world.server);
    let verifier = Verifier::new(TrustAnchors::default()).with_certificates([old]);
    let error = world.shown_to(&verifier, &[new], NAME);
    reads(&error, "another-certificate", "another-certificate");
    // One that is known, and has expired.
    let old = Draft { not_after: "20260918000000Z", ..world.leaf_draft() }.sign(&world.server);
    let verifier = Verifier::new(TrustAnchors::default()).with_certificates([old.clone()]);
    reads(&world.shown_to(&verifier, &[old], NAME), "renew", "renew-known-certificate");
}

#[test]
fn raw_keys() {
    let world = World::new();
    let key = |owner: &Entity| Draft::ca(owner).spki;
    let other = SubjectPublicKeyInfoDer::from(key(&world.ica));
    let verifier = Verifier::raw_public_keys([other]).unwrap();
    let own = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(world.server.key.serialize_der()));
    let own = Credential::raw_public_key(&ring::provider(), &own).unwrap();
    let server = ServerConfig::new(ring::provider(), vec![Arc::new(own)]).unwrap();
    let error = refused(&verifier, server, NAME);
    let sealwire::CertificateReason::UntrustedKey { sha256 } = &error.reason else {
        panic!("{error}")
    };
    let text = format!("{error}\n\n{}", error.report).replace(sha256, "…");
    assert!(text.ends_with(" (trust-raw-key)\n"), "{text}");
    reads_as(&text, "trust-raw-key");
}

#[test]
fn workloads() {
    let world = World::new();
    let shown =
        |verifier: &Verifier, leaf: Der| world.shown_to(verifier, &[leaf, world.ica()], NAME);
    let error = shown(&spiffe(&world), svid(&world, "spiffe://example.net/web"));
    reads(&error, "federate", "federate");
    // A server with a certificate as others have it.
    reads(&shown(&spiffe(&world), world.leaf()), "use-svid", "use-svid");
    let ica = world.ica_draft().with(alt_names(&[(URI, b"spiffe://example.org/ca")]));
    let chain = [svid(&world, "spiffe://example.org/web"), ica.sign(&world.root)];
    reads(&world.shown_to(&spiffe(&world), &chain, NAME), "use-svid", "use-svid-of-ca");

    let few = spiffe(&world).with_spiffe_ids(&["spiffe://example.org/db"]).unwrap();
    let error = shown(&few, svid(&world, "spiffe://example.org/web"));
    reads(&error, "not-on-the-list", "not-on-the-list-of-ids");
    let none = spiffe(&world).with_spiffe_ids(&[]).unwrap();
    let error = shown(&none, svid(&world, "spiffe://example.org/web"));
    reads(&error, "not-on-the-list", "not-on-the-empty-list");
}

#[test]
fn names_that_are_let_in() {
    let world = World::new();
    let names = ["billing.example.com", "audit.example.com"];
    let names = names.map(|name| CertificateName::Dns(name.to_owned()));
    let verifier = Verifier::new(trusted(&[world.root()])).with_names(names).unwrap();
    let error = world.shown_to(&verifier, &[world.leaf(), world.ica()], NAME);
    reads(&error, "not-on-the-list", "not-on-the-list");
}
