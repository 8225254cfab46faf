//! Misconfigured servers, and what their clients are told.

use super::*;

#[test]
fn an_intermediate_that_is_not_sent() {
    let world = World::new();
    let leaf = world.leaf_draft().with(issuer_at("http://ca.example/issuing.cer"));
    let error = world.shown(&[leaf.sign(&world.ica)]);
    reads(&error, "missing-intermediate", "missing-intermediate");
    // Without an address it may be a private root as well.
    let error = world.shown(&[world.leaf()]);
    reads(&error, "untrusted-root", "missing-intermediate-or-root");
}

#[test]
fn roots_that_are_not_trusted() {
    let world = World::new();
    let other = entity("Another Root CA");
    let verifier = Verifier::new(trusted(&[Draft::ca(&other).sign(&other)]));
    let chain = [world.leaf(), world.ica(), world.root()];
    let error = world.shown_to(&verifier, &chain, NAME);
    reads(&error, "untrusted-root", "untrusted-root");
    let error = world.shown_to(&verifier, &chain[..2], NAME);
    reads(&error, "untrusted-root", "untrusted-root-not-sent");
    let leaf = world.leaf();
    let itself = Verifier::new(trusted(std::slice::from_ref(&leaf)));
    reads(&world.shown_to(&itself, &[leaf], NAME), "not-a-root", "not-a-root");
    let nobody = Verifier::new(TrustAnchors::default());
    reads(&world.shown_to(&nobody, &chain, NAME), "no-roots", "no-roots");
}

#[test]
fn a_certificate_that_signed_itself() {
    let world = World::new();
    let own = world.leaf_draft().with(issuer_key_id("cccccccc")).sign(&world.server);
    reads(&world.shown(&[own]), "self-signed", "self-signed");
}

#[test]
fn a_ca_as_a_leaf() {
    let world = World::new();
    let ica = world.ica_draft().with(usage(KEY_CERT_SIGN | DIGITAL_SIGNATURE)).sign(&world.root);
    let verifier = Verifier::new(trusted(&[world.root()]));
    let error = handshake(&verifier, &[ica, world.root()], &world.ica, NAME);
    reads(&error, "ca-as-leaf", "ca-as-leaf");
}

#[test]
fn names() {
    let world = World::new();
    let verifier = Verifier::new(trusted(&[world.root()]));
    let shown = |names: &[(u8, &[u8])], wanted| {
        let leaf = world.leaf_draft().with(alt_names(names)).sign(&world.ica);
        world.shown_to(&verifier, &[leaf, world.ica()], wanted)
    };
    let names: &[(u8, &[u8])] = &[(DNS, b"mail.example.com"), (DNS, b"www.example.com")];
    reads(&shown(names, "www.exmaple.com"), "wrong-name", "wrong-name");
    reads(&shown(names, "192.0.2.1"), "wrong-name", "wrong-name-address");
    let wildcard: &[(u8, &[u8])] = &[(DNS, b"*.example.com")];
    reads(&shown(wildcard, "example.com"), "wildcard-too-narrow", "wildcard-parent");
    reads(&shown(wildcard, "a.b.example.com"), "wildcard-too-narrow", "wildcard-two-labels");
    let address: &[(u8, &[u8])] = &[(DNS, b"192.0.2.1")];
    reads(&shown(address, "192.0.2.1"), "address-as-dns-name", "address-as-dns-name");

    let leaf = world.leaf_draft().without(SUBJECT_ALT_NAME).sign(&world.ica);
    reads(&world.shown(&[leaf, world.ica()]), "no-alt-name", "no-alt-name");
}

#[test]
fn a_chain_in_the_wrong_order() {
    let world = World::new();
    let old = Draft { serial: vec![9], ..Draft::leaf(&world.server, "old.example.com") };
    let chain = [old.sign(&world.ica), world.ica(), world.leaf()];
    reads(&world.shown(&chain), "leaf-not-first", "leaf-not-first");
}

#[test]
fn purposes_and_rights() {
    let world = World::new();
    let leaf = world.leaf_draft().with(purposes(&[CLIENT_AUTH])).sign(&world.ica);
    reads(&world.shown(&[leaf, world.ica()]), "wrong-purpose", "wrong-purpose");

    let ica = world.ica_draft().with(basic(false, None)).sign(&world.root);
    reads(&world.shown(&[world.leaf(), ica]), "make-it-a-ca", "make-it-a-ca");
    // The server's certificate is trusted, as if it were that of its CA.
    let ica = world.ica_draft().without(BASIC_CONSTRAINTS).sign(&world.root);
    let error = world.shown_to(&Verifier::new(trusted(&[ica])), &[world.leaf()], NAME);
    reads(&error, "make-it-a-ca", "make-it-a-ca-trusted");

    let ica = world.ica_draft().with(purposes(&[CODE_SIGNING, CLIENT_AUTH])).sign(&world.root);
    reads(&world.shown(&[world.leaf(), ica]), "wrong-purpose", "wrong-purpose-of-ca");
    let ica = world.ica_draft().with(usage(CRL_SIGN)).sign(&world.root);
    reads(&world.shown(&[world.leaf(), ica]), "make-it-a-ca", "make-it-a-ca-key-usage");

    let internal = constraints(&[(DNS, b"internal.example")], &[]);
    let ica = world.ica_draft().with(internal).sign(&world.root);
    reads(&world.shown(&[world.leaf(), ica]), "outside-constraints", "outside-constraints");

    let flat = Verifier::new(trusted(&[world.root()])).with_max_depth(0);
    let error = world.shown_to(&flat, &[world.leaf(), world.ica()], NAME);
    reads(&error, "allow-depth", "allow-depth");
}

#[test]
fn what_a_ca_demands_of_those_below() {
    let world = World::new();
    let (other, policy) = (entity("Example Departmental CA"), [6, 5, 0x2b, 6, 1, 4, 1]);
    let below = Draft::ca(&other).with(key_id("eeeeeeee")).with(issuer_key_id("bbbbbbbb"));
    let below = below.sign(&world.ica);
    let ica = world.ica_draft().with(basic(true, Some(0))).sign(&world.root);
    let leaf = world.leaf_draft().with(issuer_key_id("eeeeeeee")).sign(&other);
    let error = world.shown(&[leaf, below, ica]);
    reads(&error, "outside-constraints", "outside-constraints-depth");

    let demand = extension(POLICY_CONSTRAINTS, true, &tlv(0x30, &tlv(0x80, &[0])));
    let policies = tlv(0x30, &tlv(0x30, &policy));
    let ica = world.ica_draft().with(extension(CERTIFICATE_POLICIES, false, &policies));
    let ica = ica.with(demand).sign(&world.root);
    reads(&world.shown(&[world.leaf(), ica]), "state-policy", "state-policy");

    let must_staple = extension(&MUST_STAPLE, false, &tlv(0x30, &tlv(2, &[5])));
    let ica = world.ica_draft().with(must_staple).sign(&world.root);
    reads(&world.shown(&[world.leaf(), ica]), "demand-staple-too", "demand-staple-too");
}

#[test]
fn what_is_not_known_here() {
    let world = World::new();
    let leaf = world.leaf_draft().with(extension(UNKNOWN, true, &[5, 0])).sign(&world.ica);
    reads(&world.shown(&[leaf, world.ica()]), "not-understood", "not-understood");
    // Ed448 (RFC 8410), which neither provider has.
    let ed448 = tlv(0x30, &tlv(6, &[0x2b, 0x65, 113]));
    let leaf = world.leaf_draft().sign_as(&world.ica, &ed448);
    reads(&world.shown(&[leaf, world.ica()]), "sign-usually", "sign-usually");
}

/// The same issuer in many certificates, none of which has signed: nobody looks at all of them.
#[test]
fn a_chain_that_asks_for_too_much() {
    let world = World::new();
    let imitation = |serial| {
        let other = Entity { name: world.ica.name.clone(), key: entity("x").key };
        Draft { serial: vec![serial], ..Draft::ca(&other) }.sign(&world.root)
    };
    let chain: Vec<_> = [world.leaf()].into_iter().chain((1..=40).map(imitation)).collect();
    let report = judged(&[world.root()], &chain, Some(NAME));
    let hints: Vec<_> = report.hints.iter().map(|hint| (hint.code, &hint.text)).collect();
    let (code, text) = hints[0];
    assert_eq!(code, "simplify-chain");
    let reason = report.reason.as_ref().unwrap();
    reads_as(&format!("{reason}\n\nhint: {text} ({code})\n"), "simplify-chain");
}

#[test]
fn one_name_and_two_keys() {
    let world = World::new();
    let anew = entity("Example Root CA");
    let root = Draft::ca(&anew).with(key_id("dddddddd")).sign(&anew);
    let verifier = Verifier::new(trusted(&[root]));
    let error = world.shown_to(&verifier, &[world.leaf(), world.ica()], NAME);
    reads(&error, "issuer-has-another-key", "issuer-has-another-key");

    // A private CA that signs leaves itself, and gives nobody a key identifier.
    let verifier = Verifier::new(trusted(&[Draft::ca(&anew).sign(&anew)]));
    let leaf = world.leaf_draft().without(AUTHORITY_KEY_ID).sign(&world.root);
    let error = world.shown_to(&verifier, &[leaf], NAME);
    reads(&error, "issuer-has-another-key", "issuer-has-another-key-without-ids");
}

#[test]
fn a_certificate_that_was_changed() {
    let world = World::new();
    let mut changed = world.leaf().to_vec();
    let serial = changed.windows(3).position(|w| w == [2, 1, 1]).unwrap();
    changed[serial + 2] = 7;
    reads(&world.shown(&[changed.into(), world.ica()]), "damaged", "damaged");
}

/// The tests' time is 2026-09-21 14:13:20 UTC.
#[test]
fn clocks_and_calendars() {
    let world = World::new();
    let until = |draft: Draft, not_after| Draft { not_after, ..draft };
    let leaf = until(world.leaf_draft(), "20260918000000Z").sign(&world.ica);
    reads(&world.shown(&[leaf.clone(), world.ica()]), "renew", "renew");

    let ica = until(world.ica_draft(), "20260101000000Z").sign(&world.root);
    let error = world.shown(&[world.leaf(), ica.clone()]);
    reads(&error, "replace-intermediate", "replace-intermediate");

    let root = until(world.root_draft(), "20240101000000Z").sign(&world.root);
    let verifier = Verifier::new(trusted(std::slice::from_ref(&root)));
    let error = world.shown_to(&verifier, &[world.leaf(), world.ica()], NAME);
    reads(&error, "update-roots", "update-roots");

    let error = world.shown_to(&verifier, &[leaf, ica], NAME);
    reads(&error, "check-clock", "all-expired");

    let early = Draft { not_before: "20260921141820Z", ..world.leaf_draft() }.sign(&world.ica);
    reads(&world.shown(&[early, world.ica()]), "check-clock", "not-yet-valid");
}

#[test]
fn hashes_that_prove_nothing() {
    let world = World::new();
    let sha1 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]));
    let leaf = world.leaf_draft().sign_as(&world.ica, &sha1);
    reads(&world.shown(&[leaf, world.ica()]), "sign-with-sha256", "sign-with-sha256");
}

/// A server of ours loads none of these, and others do: `cli` has OpenSSL's server show them.
#[test]
fn what_our_own_server_does_not_load() {
    let world = World::new();
    let roots = [world.root()];
    let leaf = world.leaf_draft().with(usage(KEY_ENCIPHERMENT)).sign(&world.ica);
    let report = judged(&roots, &[leaf, world.ica()], Some(NAME));
    report_reads(&report, "needs-digital-signature", "needs-digital-signature");

    let modulus = [&[0x00, 0xc1][..], &[0x5a; 127]].concat();
    let key = tlv(0x30, &[tlv(2, &modulus), tlv(2, &[1, 0, 1])].concat());
    let rsa = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let spki = tlv(0x30, &[tlv(0x30, &rsa), tlv(3, &[&[0], &key[..]].concat())].concat());
    let leaf = Draft { spki, ..world.leaf_draft() }.sign(&world.ica);
    let report = judged(&roots, &[leaf, world.ica()], Some(NAME));
    report_reads(&report, "make-longer-key", "make-longer-key");

    // A key for X25519, which signs nothing.
    let x25519 = tlv(0x30, &[tlv(0x30, &tlv(6, &[0x2b, 0x65, 110])), tlv(3, &[9; 33])].concat());
    let leaf = Draft { spki: x25519, ..world.leaf_draft() }.sign(&world.ica);
    let report = judged(&roots, &[leaf, world.ica()], Some(NAME));
    report_reads(&report, "make-usual-key", "make-usual-key");

    let twice = usage(DIGITAL_SIGNATURE);
    let leaf = Draft { extensions: vec![twice.clone(), twice], ..world.leaf_draft() };
    let report = judged(&roots, &[leaf.sign(&world.ica), world.ica()], Some(NAME));
    report_reads(&report, "make-it-again", "make-it-again");

    let old = Draft { version: 0, extensions: vec![], ..world.leaf_draft() }.sign(&world.ica);
    let report = judged(&roots, &[old, world.ica()], Some(NAME));
    report_reads(&report, "make-version-3", "make-version-3");
}

/// The server judges: what it says is about a client.
#[test]
fn a_client_without_its_intermediate() {
    let world = World::new();
    let roots = || Verifier::new(trusted(&[world.root()]));
    let own = credential(&[world.leaf(), world.ica()], &world.server);
    let server = ServerConfig::new(ring::provider(), vec![own]).unwrap();
    let server = server.with_client_auth(ClientAuth::Required(roots()));
    let leaf = world.leaf_draft().with(issuer_at("http://ca.example/issuing.cer"));
    let client = ClientConfig::new(ring::provider(), roots()).unwrap();
    let client = client.with_credentials(vec![credential(&[leaf.sign(&world.ica)], &world.server)]);
    let client = Calls::PLAIN.client(&Arc::new(client), NAME.try_into().unwrap(), None);
    let mut pair = Pair::of(client, Calls::PLAIN.server(server), Transport::Glued);
    pair.pump();
    let Some(Error::Certificate(error)) = pair.server.error else { panic!("no verdict") };
    reads(&error, "missing-intermediate", "missing-intermediate-of-client");
}
