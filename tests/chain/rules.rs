//! The rules of RFC 5280 and RFC 9846 for each certificate on a path, and for algorithms.

use super::*;

/// RFC 5280 §6.1.3 (a)(2): both bounds inclusive, on every certificate, the anchor's included.
#[test]
fn pitfall_43_validity_has_inclusive_bounds() {
    let pki = Pki::new();
    let exact = |draft: Draft| Draft {
        not_before: "20260101000000Z",
        not_after: "20260101000000Z",
        ..draft
    };
    let late = |draft: Draft| Draft { not_before: "20260101000001Z", ..draft };
    let old = |draft: Draft| Draft { not_after: "20251231235959Z", ..draft };
    for bend in [exact, late, old] {
        let verdicts = [
            pki.with_leaf(bend(pki.leaf_draft())),
            pki.with_ica(bend(Draft::ca(&pki.ica))),
            pki.with_root(bend(Draft::ca(&pki.root))),
        ];
        for verdict in verdicts {
            match bend(pki.leaf_draft()) {
                Draft { not_before: "20260101000001Z", .. } => {
                    refused(verdict, "not-yet-valid", Alert::certificate_expired);
                }
                Draft { not_after: "20251231235959Z", .. } => {
                    refused(verdict, "expired", Alert::certificate_expired);
                }
                _ => verdict.unwrap(),
            }
        }
    }
}

/// RFC 5280 §6.1.4 (k)
#[test]
fn pitfall_43_issuers_are_cas() {
    let pki = Pki::new();
    for spoilt in [basic(false, None), extension(UNKNOWN, false, &[])] {
        let spoil = |who| Draft::ca(who).without(BASIC_CONSTRAINTS).with(spoilt.clone());
        refused(pki.with_ica(spoil(&pki.ica)), "not-a-ca", Alert::bad_certificate);
        refused(pki.with_root(spoil(&pki.root)), "not-a-ca", Alert::bad_certificate);
    }
}

/// RFC 5280 §6.1.4 (k) and RFC 9846 §4.5.1.2: version 3, but for old roots, which cannot say what they are.
#[test]
fn pitfall_43_version_3() {
    let pki = Pki::new();
    let v1 = |draft: Draft| Draft { version: 0, extensions: vec![], ..draft };
    refused(pki.with_leaf(v1(pki.leaf_draft())), "version", Alert::unsupported_certificate);
    refused(pki.with_ica(v1(Draft::ca(&pki.ica))), "version", Alert::unsupported_certificate);
    pki.with_root(v1(Draft::ca(&pki.root))).unwrap();
    let v1_intermediate = v1(Draft::ca(&pki.ica)).sign(&pki.root);
    let verdict = judge(&[v1_intermediate], &[pki.leaf()]);
    refused(verdict, "version", Alert::unsupported_certificate);
    // RFC 5280 §4.1.2.9: extensions are version 3's.
    let v2 = Draft { version: 1, ..pki.leaf_draft() };
    refused(pki.with_leaf(v2), "malformed", Alert::bad_certificate);
}

/// RFC 5280 §6.1.4 (l) and (m): CAs below, self-issued ones not counted, the leaf not counted.
#[test]
fn pitfall_43_path_length() {
    let pki = Pki::new();
    let root = |len| Draft::ca(&pki.root).with(basic(true, Some(len)));
    pki.with_root(root(1)).unwrap();
    refused(pki.with_root(root(0)), "path-length", Alert::bad_certificate);
    pki.with_ica(Draft::ca(&pki.ica).with(basic(true, Some(0)))).unwrap();
    let rollover = Entity { name: pki.ica.name.clone(), ..entity("") };
    let chain = [
        pki.leaf_draft().sign(&rollover),
        Draft::ca(&rollover).with(basic(true, Some(0))).sign(&pki.ica),
        Draft::ca(&pki.ica).with(basic(true, Some(0))).sign(&pki.root),
    ];
    judge(&[root(1).sign(&pki.root)], &chain).unwrap();
    let another = entity("Another");
    let chain = [
        pki.leaf_draft().sign(&another),
        Draft::ca(&another).sign(&pki.ica),
        Draft::ca(&pki.ica).with(basic(true, Some(0))).sign(&pki.root),
    ];
    refused(judge(&[pki.root()], &chain), "path-length", Alert::bad_certificate);
}

/// RFC 5280 §4.2.1.3, RFC 9846 §4.5.1.2: if keyUsage is there, it allows what is done.
#[test]
fn pitfall_43_key_usage() {
    let pki = Pki::new();
    let bad = (CRL_SIGN, KEY_ENCIPHERMENT);
    let refused = |v| refused(v, "key-usage", Alert::unsupported_certificate);
    refused(pki.with_ica(Draft::ca(&pki.ica).with(usage(bad.0))));
    refused(pki.with_root(Draft::ca(&pki.root).with(usage(bad.0))));
    refused(pki.with_leaf(pki.leaf_draft().with(usage(bad.1))));
    pki.with_ica(Draft::ca(&pki.ica).without(KEY_USAGE)).unwrap();
    pki.with_root(Draft::ca(&pki.root).without(KEY_USAGE)).unwrap();
    pki.with_leaf(pki.leaf_draft().without(KEY_USAGE)).unwrap();
}

/// RFC 5280 §4.2.1.12: nested, and absence or any allows.
#[test]
fn pitfall_43_extended_key_usage_is_nested() {
    let pki = Pki::new();
    let code = || purposes(&[CODE_SIGNING, CLIENT_AUTH]);
    let no = |v| refused(v, "extended-key-usage", Alert::unsupported_certificate);
    no(pki.with_leaf(pki.leaf_draft().with(code())));
    no(pki.with_ica(Draft::ca(&pki.ica).with(code())));
    no(pki.with_root(Draft::ca(&pki.root).with(code())));
    for good in [purposes(&[CODE_SIGNING, SERVER_AUTH]), purposes(&[ANY_PURPOSE])] {
        pki.with_leaf(pki.leaf_draft().with(good.clone())).unwrap();
        pki.with_ica(Draft::ca(&pki.ica).with(good)).unwrap();
    }
    pki.with_leaf(pki.leaf_draft().without(EXTENDED_KEY_USAGE)).unwrap();
    let empty = pki.leaf_draft().with(purposes(&[]));
    refused(pki.with_leaf(empty), "malformed", Alert::bad_certificate);

    let server = pki.leaf_draft().with(purposes(&[SERVER_AUTH])).sign(&pki.ica);
    let client = pki.leaf_draft().with(purposes(&[CLIENT_AUTH])).sign(&pki.ica);
    let verifier = Verifier::new(TrustAnchors::from_certificates([pki.ica()]));
    let as_client = |leaf: &Der| {
        let chain = [leaf.clone()];
        verify(&verifier, &chain, Purpose::Client, None, NOW).map(drop).map_err(|e| e.reason)
    };
    as_client(&client).unwrap();
    no(as_client(&server));
}

/// RFC 5280 §4.2
#[test]
fn pitfall_43_unknown_critical_extensions() {
    let pki = Pki::new();
    let no = |v| refused(v, "unknown-critical-extension", Alert::unsupported_certificate);
    for critical in [true, false] {
        let odd = || extension(UNKNOWN, critical, &[5, 0]);
        let verdicts = [
            pki.with_leaf(pki.leaf_draft().with(odd())),
            pki.with_ica(Draft::ca(&pki.ica).with(odd())),
            pki.with_root(Draft::ca(&pki.root).with(odd())),
        ];
        for verdict in verdicts {
            if critical { no(verdict) } else { verdict.unwrap() }
        }
    }
    // Known to be a hint, so not processed.
    let key_id = extension(SUBJECT_KEY_ID, true, &tlv(4, b"id"));
    no(pki.with_leaf(pki.leaf_draft().with(key_id)));
    let Err(CertificateReason::UnknownCriticalExtension { oid, .. }) =
        pki.with_leaf(pki.leaf_draft().with(extension(UNKNOWN, true, &[])))
    else {
        panic!()
    };
    assert_eq!(oid, "1.3.6.1.4.1.99999.1");
}

/// RFC 5280 §4.2 and §4.1.1.2, and DER.
#[test]
fn pitfall_43_malformed_and_duplicate_fields() {
    let pki = Pki::new();
    let no = |v| refused(v, "malformed", Alert::bad_certificate);
    let mut twice = pki.leaf_draft();
    twice.extensions.push(alt_names(&[(DNS, b"example.com")]));
    no(pki.with_leaf(twice));
    let other_algorithm = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]));
    no(pki.with_leaf(Draft { algorithm: Some(other_algorithm), ..pki.leaf_draft() }));
    no(pki.with_leaf(Draft { serial: vec![], ..pki.leaf_draft() }));
    no(pki.with_leaf(Draft { serial: vec![0, 1], ..pki.leaf_draft() }));
    no(pki.with_leaf(Draft { not_after: "20400101000000+", ..pki.leaf_draft() }));
    no(pki.with_leaf(pki.leaf_draft().with(extension(
        SUBJECT_ALT_NAME,
        false,
        b"DNS:example.com",
    ))));
    no(pki.with_leaf(pki.leaf_draft().with(extension(KEY_USAGE, false, &[4, 0]))));
    let long_form = extension(BASIC_CONSTRAINTS, true, &[0x30, 0x81, 3, 1, 1, 0xff]);
    no(pki.with_leaf(pki.leaf_draft().with(long_form)));
    let trailing = Der::from([&pki.leaf()[..], &[0]].concat());
    no(judge(&[pki.root()], &[trailing, pki.ica()]));
    no(judge(&[pki.root()], &[]));
    // RFC 5280 §4.1.2.2: borne, though no CA should make them.
    for serial in [vec![0], vec![0x80], vec![1; 40]] {
        pki.with_leaf(Draft { serial, ..pki.leaf_draft() }).unwrap();
    }
    // An anchor or an intermediate that does not parse is left out.
    let verifier = TrustAnchors::from_certificates([Der::from(vec![1, 2]), pki.root()]);
    assert_eq!((verifier.len(), verifier.ignored()), (1, 1));
}

/// RFC 5280 §4.1.2.6
#[test]
fn cas_have_names() {
    let nameless = entity("");
    let leaf = Draft::leaf(&entity("server"), "example.com").sign(&nameless);
    let verdict = judge(&[Draft::ca(&nameless).sign(&nameless)], &[leaf]);
    refused(verdict, "malformed", Alert::bad_certificate);
}

/// RFC 9846 §4.5.1.3: neither MD5 nor SHA-1, by name, except where an anchor signed itself.
#[test]
fn weak_algorithms() {
    let pki = Pki::new();
    let sha1 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]));
    let md5 =
        tlv(0x30, &[tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 4]), vec![5, 0]].concat());
    for weak in [sha1, md5] {
        let leaf = pki.leaf_draft().sign_as(&pki.ica, &weak);
        let verdict = judge(&[pki.root()], &[leaf, pki.ica()]);
        refused(verdict, "weak-algorithm", Alert::bad_certificate);
        let ica = Draft::ca(&pki.ica).sign_as(&pki.root, &weak);
        let verdict = judge(&[pki.root()], &[pki.leaf(), ica]);
        refused(verdict, "weak-algorithm", Alert::bad_certificate);
        let root = Draft::ca(&pki.root).sign_as(&pki.root, &weak);
        judge(&[root], &[pki.leaf(), pki.ica()]).unwrap();
    }
    let unheard_of = tlv(0x30, &tlv(6, &[0x2a, 3, 4]));
    let leaf = pki.leaf_draft().sign_as(&pki.ica, &unheard_of);
    let verdict = judge(&[pki.root()], &[leaf, pki.ica()]);
    refused(verdict, "unsupported-algorithm", Alert::unsupported_certificate);
}

#[test]
fn weak_and_useless_keys() {
    let pki = Pki::new();
    let rsa = |modulus: &[u8]| rsa_key(modulus, &[1, 0, 1]);
    let leaf = |spki| Draft { spki, ..pki.leaf_draft() };
    let with_top = |top: u8, len: usize| {
        let mut modulus = vec![top; 1];
        modulus.resize(len, 1);
        if top & 0x80 != 0 {
            modulus.insert(0, 0);
        }
        modulus
    };
    pki.with_leaf(leaf(rsa(&with_top(0x80, 256)))).unwrap();
    // 2047 bits
    let verdict = pki.with_leaf(leaf(rsa(&with_top(0x7f, 256))));
    assert!(matches!(verdict, Err(CertificateReason::WeakKey { bits: 2047, .. })), "{verdict:?}");
    refused(verdict, "weak-key", Alert::bad_certificate);
    let dsa = tlv(
        0x30,
        &[tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1])), tlv(3, &[0, 1])].concat(),
    );
    refused(pki.with_leaf(leaf(dsa)), "unsupported-key", Alert::unsupported_certificate);
}

#[test]
fn other_curves_sign_too() {
    let p384 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]));
    let ed25519 = tlv(0x30, &tlv(6, &[0x2b, 0x65, 112]));
    for (kind, algorithm) in
        [(&rcgen::PKCS_ECDSA_P384_SHA384, p384), (&rcgen::PKCS_ED25519, ed25519)]
    {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let root = Entity { name: name("Root"), key };
        let leaf = Draft::leaf(&entity("server"), "example.com").sign_as(&root, &algorithm);
        judge(&[Draft::ca(&root).sign_as(&root, &algorithm)], &[leaf]).unwrap();
    }
}

/// RFC 4055 §3.1: the hash, MGF1 with the same hash, and a salt of its length.
#[test]
fn rsa_pss_signs_certificates() {
    use pki_types::pem::PemObject;
    let pem = include_str!("../../vectors/keys-test/rsa2048.pem");
    let key = pki_types::PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (provider, signer) = (ring::provider(), (ring::provider().load_key)(&key).unwrap());
    let root = Entity { name: name("Root"), key: rcgen::KeyPair::from_pem(pem).unwrap() };
    // rcgen signs with PKCS#1 v1.5.
    let with = |algorithm: &[u8]| {
        let sign = |draft: Draft| {
            let scheme = sealwire::codepoints::SignatureScheme::rsa_pss_rsae_sha256;
            let sign = |tbs: &[u8]| signer.sign(scheme, tbs, &*provider.rng).unwrap();
            draft.sign_with(&root.name, algorithm, sign)
        };
        let leaf = sign(Draft::leaf(&entity("server"), "example.com"));
        judge(&[sign(Draft::ca(&root))], &[leaf])
    };
    let parameters = pki_types::alg_id::RSA_PSS_SHA256;
    with(&tlv(0x30, &parameters)).unwrap();
    let other_salt = [&parameters[..parameters.len() - 1], &[20]].concat();
    let verdict = with(&tlv(0x30, &other_salt));
    refused(verdict, "unsupported-algorithm", Alert::unsupported_certificate);
    let none = &parameters[..11];
    refused(with(&tlv(0x30, none)), "unsupported-algorithm", Alert::unsupported_certificate);
}

/// RFC 5758 §3.2: ecdsa-with-SHA512 by a P-521 key, which ring does not have, and says so.
#[cfg(feature = "aws-lc")]
#[test]
fn p521_signs_with_aws_lc() {
    use pki_types::pem::PemObject;
    use sealwire::codepoints::SignatureScheme;
    use sealwire::crypto::aws_lc;
    let pem = include_bytes!("../../vectors/keys/p521.pkcs8.pem");
    let key = pki_types::PrivateKeyDer::from_pem_slice(pem).unwrap();
    let provider = aws_lc::provider();
    let signer = (provider.load_key)(&key).unwrap();
    let root = entity("Root");
    let spki = include_bytes!("../../vectors/keys/p521.spki.der").to_vec();
    let ecdsa_sha512 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4]));
    let sign = |draft: Draft| {
        let scheme = SignatureScheme::ecdsa_secp521r1_sha512;
        let sign = |tbs: &[u8]| signer.sign(scheme, tbs, &*provider.rng).unwrap();
        draft.sign_with(&root.name, &ecdsa_sha512, sign)
    };
    let verifier =
        Verifier::new(TrustAnchors::from_certificates([sign(Draft { spki, ..Draft::ca(&root) })]));
    let with = |provider: &Provider, leaf: &Der| {
        let (chain, now) = ([leaf.clone()], UnixTime::since_unix_epoch(Duration::from_secs(NOW)));
        let nothing = Evidence::default();
        let verdict = verifier.verify(provider, &chain, Purpose::Server, None, now, nothing);
        verdict.map(drop).map_err(|e| e.reason)
    };
    let leaf = sign(Draft::leaf(&entity("server"), "example.com"));
    with(&provider, &leaf).unwrap();
    let mut spoilt = leaf.to_vec();
    *spoilt.last_mut().unwrap() ^= 1;
    refused(with(&provider, &spoilt.into()), "bad-signature", Alert::bad_certificate);
    let verdict = with(&ring::provider(), &leaf);
    refused(verdict.clone(), "unsupported-algorithm", Alert::unsupported_certificate);
    let Err(CertificateReason::UnsupportedAlgorithm { algorithm, .. }) = verdict else { panic!() };
    assert_eq!(algorithm, "1.2.840.10045.4.3.4");
}
