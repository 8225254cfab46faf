//! SPIFFE workloads: X509-SVIDs, bundles, federation, lists of IDs.

use sealwire::codepoints::Alert;
use sealwire::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sealwire::{
    CertificateName, ClientAuth, ClientConfig, Error, Misuse, Purpose, ServerConfig, Shared,
    TrustAnchors, Verifier,
};

use super::maker::{
    CRL_SIGN, DIGITAL_SIGNATURE, DNS, Draft, Entity, KEY_CERT_SIGN, KEY_ENCIPHERMENT, KEY_USAGE,
    SUBJECT_ALT_NAME, URI, alt_names, basic, entity, usage,
};
use super::support::{Calls, Identity, Role, now, seeded};
use super::{Authority, anchors, binding, fault, judge};

/// A workload's certificate with these URIs.
fn svid(who: &Entity, uris: &[&str]) -> Draft {
    let names: Vec<_> = uris.iter().map(|uri| (URI, uri.as_bytes())).collect();
    Draft::leaf(who, "").with(alt_names(&names))
}

fn verifier(bundles: &[(&str, &Authority)]) -> Verifier {
    let bundles = bundles.iter().map(|(domain, ca)| ((*domain).to_owned(), anchors(&[&ca.root])));
    Verifier::spiffe(bundles).unwrap()
}

#[test]
fn a_workload_is_judged_by_its_own_trust_domain() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let web = entity("web");
    let chain = |ca: &Authority, id: &str| ca.chain(svid(&web, &[id]));
    let (alone, both) =
        (verifier(&[("one.org", &one)]), verifier(&[("one.org", &one), ("two.org", &two)]));
    for verifier in [&alone, &both] {
        assert_eq!(fault(verifier, &chain(&one, "spiffe://one.org/web")), "accepted");
        // A CA of one domain makes no members of another, even if both are trusted.
        assert_eq!(fault(verifier, &chain(&two, "spiffe://one.org/web")), "unknown-issuer");
        assert_eq!(fault(verifier, &chain(&one, "spiffe://three.org/web")), "unknown-trust-domain");
    }
    assert_eq!(fault(&both, &chain(&two, "spiffe://two.org/web")), "accepted");
    assert_eq!(fault(&both, &chain(&one, "spiffe://two.org/web")), "unknown-issuer");
    assert_eq!(fault(&alone, &chain(&two, "spiffe://two.org/web")), "unknown-trust-domain");
    // A server's name is not looked at: the ID takes its place.
    let good = chain(&one, "spiffe://one.org/web");
    assert!(judge(&both, &good, Purpose::Server, Some("10.1.2.3")).is_ok());
    assert_ne!(binding(&alone), binding(&both));
}

#[test]
fn what_is_no_svid_is_refused() {
    let ca = Authority::new("one");
    let verifier = verifier(&[("one.org", &ca)]);
    let web = entity("web");
    let good = || svid(&web, &["spiffe://one.org/web"]);
    for (draft, code, why) in [
        (good(), "accepted", ""),
        (svid(&web, &[]).without(SUBJECT_ALT_NAME), "spiffe", "exactly one URI"),
        (Draft::leaf(&web, "one.org"), "spiffe", "exactly one URI"),
        (svid(&web, &["spiffe://one.org/web", "spiffe://one.org/db"]), "spiffe", "exactly one URI"),
        (svid(&web, &["spiffe://one.org/web", "https://one.org/"]), "spiffe", "exactly one URI"),
        (svid(&web, &["https://one.org/web"]), "spiffe", "no SPIFFE ID"),
        (svid(&web, &["spiffe://one.org"]), "spiffe", "no path"),
        (svid(&web, &["spiffe://one.org/"]), "spiffe", "path"),
        (svid(&web, &["spiffe://one.org/a/../web"]), "spiffe", "path"),
        (svid(&web, &["spiffe://One.org/web"]), "spiffe", "trust domain"),
        (good().with(basic(true, None)), "spiffe", "CA"),
        (good().with(usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN)), "spiffe", "sign certificates"),
        (good().with(usage(DIGITAL_SIGNATURE | CRL_SIGN)), "spiffe", "sign certificates or CRLs"),
        (good().without(KEY_USAGE), "spiffe", "keyUsage"),
        (good().with(usage(KEY_ENCIPHERMENT)), "key-usage", "digitalSignature"),
        (Draft { not_after: "20250101000000Z", ..good() }, "expired", ""),
        // DNS names beside it do no harm (X509-SVID §2).
        (
            good().with(alt_names(&[(DNS, b"web.one.org"), (URI, b"spiffe://one.org/web")])),
            "accepted",
            "",
        ),
    ] {
        let result = judge(&verifier, &ca.chain(draft), Purpose::Client, None);
        match result {
            Ok(_) => assert_eq!(code, "accepted"),
            Err(error) => {
                assert_eq!(error.reason.code(), code, "{error}");
                assert!(error.to_string().contains(why), "{error}");
            }
        }
    }
}

#[test]
fn a_ca_of_spiffe_has_no_path() {
    let (root, issuer, web) = (entity("root"), entity("issuer"), entity("web"));
    let leaf = svid(&web, &["spiffe://one.org/web"]).sign(&issuer);
    let with_id = |who: &Entity, id: &str| Draft::ca(who).with(alt_names(&[(URI, id.as_bytes())]));
    let plain = Draft::ca(&root).sign(&root);
    for (id, good) in [
        ("spiffe://one.org", true),
        // It should be of the same trust domain (X509-SVID §3.2), and need not be an SVID at all.
        ("spiffe://two.org", true),
        ("https://ca.one.org/", true),
        ("spiffe://one.org/ca", false),
        ("spiffe://one.org/", false),
        ("spiffe://", false),
    ] {
        let own_root = with_id(&root, id).sign(&root);
        for (intermediate, root) in [
            (with_id(&issuer, id).sign(&root), &plain),
            (Draft::ca(&issuer).sign(&root), &own_root),
        ] {
            let bundles = [("one.org".to_owned(), anchors(&[root]))];
            let verifier = Verifier::spiffe(bundles).unwrap();
            let expected = if good { "accepted" } else { "spiffe" };
            assert_eq!(fault(&verifier, &[leaf.clone(), intermediate]), expected, "{id}");
        }
    }
}

#[test]
fn a_list_of_ids() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let bundles = [("one.org", &one), ("two.org", &two)];
    let chain = |ca: &Authority, id: &str| ca.chain(svid(&entity("web"), &[id]));
    let some = verifier(&bundles);
    let some = some.with_spiffe_ids(&["spiffe://one.org/web", "spiffe://two.org"]).unwrap();
    for (ca, id, good) in [
        (&one, "spiffe://one.org/web", true),
        (&one, "spiffe://one.org/web/a", false),
        (&one, "spiffe://one.org/we", false),
        (&one, "spiffe://one.org/Web", false),
        (&two, "spiffe://two.org/web", true),
        (&two, "spiffe://two.org/anything/else", true),
    ] {
        let expected = if good { "accepted" } else { "name-mismatch" };
        assert_eq!(fault(&some, &chain(ca, id)), expected, "{id}");
    }
    let nobody = verifier(&bundles).with_spiffe_ids(&[]).unwrap();
    assert_eq!(fault(&nobody, &chain(&one, "spiffe://one.org/web")), "name-mismatch");
    assert_ne!(binding(&nobody), binding(&verifier(&bundles)));
    assert_ne!(binding(&nobody), binding(&some));

    let misuse = |result: Result<Verifier, Error>| {
        assert!(matches!(result, Err(Error::Misuse(Misuse::Config(_)))));
    };
    for bad in ["spiffe://three.org/web", "spiffe://one.org/", "one.org", ""] {
        misuse(verifier(&bundles).with_spiffe_ids(&[bad]));
    }
    misuse(Verifier::new(TrustAnchors::default()).with_spiffe_ids(&["spiffe://one.org/web"]));
    for bad in ["", "One.org", "spiffe://one.org", "one.org/", "one.org/web", "user@one.org"] {
        misuse(Verifier::spiffe([(bad.to_owned(), TrustAnchors::default())]));
    }
    let twice = ["one.org", "one.org"].map(|d| (d.to_owned(), TrustAnchors::default()));
    misuse(Verifier::spiffe(twice));
}

#[test]
fn pitfall_44_the_anchor_of_another_trust_domain_with_the_same_name() {
    // Two CAs of the same name with different keys, one for each trust domain.
    let (one, two) = (Authority::new("root"), Authority::new("root"));
    let both = verifier(&[("one.org", &one), ("two.org", &two)]);
    let chain = |ca: &Authority, id: &str| ca.chain(svid(&entity("web"), &[id]));
    assert_eq!(fault(&both, &chain(&one, "spiffe://one.org/web")), "accepted");
    assert_eq!(fault(&both, &chain(&two, "spiffe://two.org/web")), "accepted");
    assert_eq!(fault(&both, &chain(&two, "spiffe://one.org/web")), "bad-signature");
    assert_eq!(fault(&both, &chain(&one, "spiffe://two.org/web")), "bad-signature");
}

/// A workload with its key.
fn workload(ca: &Authority, id: &str) -> Identity {
    let who = entity("workload");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(who.key.serialize_der()));
    Identity { chain: ca.chain(svid(&who, &[id])), key }
}

#[test]
fn workloads_meet() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let bundle = Shared::new(anchors(&[&two.root]));
    let federation: [(String, Shared<TrustAnchors>); 2] =
        [("one.org".into(), anchors(&[&one.root]).into()), ("two.org".into(), bundle.clone())];
    let verifier = Verifier::spiffe(federation).unwrap();
    let (web, db) = (workload(&one, "spiffe://one.org/web"), workload(&two, "spiffe://two.org/db"));
    let (client, server) = (seeded(1), seeded(2));
    let (ours, theirs) = (web.credential(&client), db.credential(&server));
    let client = ClientConfig::new(client, verifier.clone()).unwrap().with_credentials(vec![ours]);
    let server = ServerConfig::new(server, vec![theirs]).unwrap();
    let server = server.with_client_auth(ClientAuth::Required(verifier.clone()));

    // The name of the server is one that its certificate does not have.
    let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    pair.chat();
    let expected = [(Role::Client, "spiffe://two.org/db"), (Role::Server, "spiffe://one.org/web")];
    for (role, id) in expected {
        let summary = pair.side(role).conn.summary().unwrap();
        let names = summary.peer_names();
        assert!(names.contains(&CertificateName::Uri(id.to_owned())), "{names:?}");
        assert_eq!(summary.trust_version.unwrap().anchors, 1);
    }
    // The bundle of one trust domain changes, and the other's version does not.
    bundle.replace(anchors(&[&two.root, &one.root]));
    let mut again = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
    let versions = Role::BOTH
        .map(|role| again.side(role).conn.summary().unwrap().trust_version.unwrap().anchors);
    assert_eq!(versions, [2, 1]);
    // Federation ends.
    bundle.replace(TrustAnchors::default());
    Calls::PLAIN.pair(client, server).refuse(Role::Client, Alert::unknown_ca);
    let summary = pair.client.conn.summary().unwrap();
    let error = summary.recheck(&seeded(0), &verifier, now()).unwrap_err();
    assert_eq!(error.reason.code(), "unknown-issuer");
    let summary = pair.server.conn.summary().unwrap();
    assert!(summary.recheck(&seeded(0), &verifier, now()).is_ok());
    pair.chat();
}

#[test]
fn hostile_certificates_are_refused_or_read() {
    // Whatever bytes a URI has: no panic, and nobody is accepted.
    let ca = Authority::new("one");
    let verifier = verifier(&[("one.org", &ca)]);
    let who = entity("web");
    for uri in [&b"spiffe://one.org/\xff"[..], b"", b"\0", b"spiffe://one.org\0/web", &[b'/'; 3000]]
    {
        let leaf = Draft::leaf(&who, "").with(alt_names(&[(URI, uri)]));
        let chain: Vec<CertificateDer<'static>> = ca.chain(leaf);
        assert_eq!(fault(&verifier, &chain), "spiffe", "{uri:02x?}");
    }
}
