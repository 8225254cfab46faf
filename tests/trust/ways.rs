//! This very certificate, and pins beside the chain.

use sealwire::codepoints::Alert;
use sealwire::pki_types::CertificateDer;
use sealwire::{ClientConfig, Error, Misuse, Purpose, ServerConfig, TrustAnchors, Verifier};

use super::maker::{DIGITAL_SIGNATURE, Draft, KEY_CERT_SIGN, entity, usage};
use super::support::{Calls, Kind, Role, configs, pki, seeded};
use super::{Authority, anchors, binding, fault, judge, sha256};

/// Trusts this certificate and nothing else, once by its DER and once by its hash.
fn exact(certificate: &CertificateDer<'static>) -> [Verifier; 2] {
    let nobody = || Verifier::new(TrustAnchors::default());
    [
        nobody().with_certificates([certificate.clone()]),
        nobody().with_certificate_hashes(&[sha256(certificate)]),
    ]
}

#[test]
fn this_very_certificate_and_no_other() {
    let (device, other) = (entity("device"), entity("device"));
    let own = Draft::leaf(&device, "device.test").sign(&device);
    // The same name and the same content by somebody else; and the same key in another certificate.
    let imitation = Draft::leaf(&other, "device.test").sign(&other);
    let renewed = Draft { serial: vec![2], ..Draft::leaf(&device, "device.test") }.sign(&device);
    for verifier in exact(&own) {
        // RFC 9525 is not asked: who knows the certificate needs no name.
        for name in [None, Some("device.test"), Some("192.0.2.1")] {
            for purpose in [Purpose::Server, Purpose::Client] {
                assert_eq!(judge(&verifier, std::slice::from_ref(&own), purpose, name).unwrap(), 1);
                let chain = [own.clone(), imitation.clone()];
                assert_eq!(judge(&verifier, &chain, purpose, name).unwrap(), 1);
            }
        }
        assert_eq!(fault(&verifier, std::slice::from_ref(&imitation)), "self-signed");
        assert_eq!(fault(&verifier, std::slice::from_ref(&renewed)), "self-signed");
        // The right one behind the leaf is of no use.
        assert_eq!(fault(&verifier, &[imitation.clone(), own.clone()]), "bad-signature");
    }
    assert_eq!(binding(&exact(&own)[0]), binding(&exact(&own)[1]));
    assert_ne!(binding(&exact(&own)[0]), binding(&exact(&renewed)[0]));
}

#[test]
fn a_certificate_that_is_known_is_judged_all_the_same() {
    let device = entity("device");
    let draft = || Draft::leaf(&device, "device.test");
    let unknown = super::maker::extension(super::maker::UNKNOWN, true, &[5, 0]);
    for (draft, code) in [
        (Draft { not_after: "20250101000000Z", ..draft() }, "expired"),
        (Draft { not_before: "20300101000000Z", ..draft() }, "not-yet-valid"),
        (draft().with(usage(KEY_CERT_SIGN)), "key-usage"),
        (draft().with(super::maker::purposes(&[super::maker::CODE_SIGNING])), "extended-key-usage"),
        (draft().with(unknown), "unknown-critical-extension"),
        (draft(), "accepted"),
        // A CA that shows its own certificate, as self-made ones often are, is no worse for it.
        (Draft::ca(&device).with(usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN)), "accepted"),
    ] {
        let certificate = draft.sign(&device);
        for verifier in exact(&certificate) {
            assert_eq!(fault(&verifier, std::slice::from_ref(&certificate)), code);
        }
    }
}

#[test]
fn a_known_certificate_beside_anchors() {
    let authority = Authority::new("root");
    let (device, server) = (entity("device"), entity("server"));
    let own = Draft::leaf(&device, "device.test").sign(&device);
    let chain = authority.chain(Draft::leaf(&server, "server.test"));
    let plain = Verifier::new(anchors(&[&authority.root]));
    let verifier = plain.clone().with_certificates([own.clone()]);
    let accepts = |chain: &[_], name| judge(&verifier, chain, Purpose::Server, name).is_ok();
    assert!(accepts(std::slice::from_ref(&own), Some("anything.test")));
    // Whoever comes by a chain is still asked for the name.
    assert!(accepts(&chain, Some("server.test")));
    assert!(!accepts(&chain, Some("device.test")));
    assert_eq!(fault(&plain, &[own]), "self-signed");
    assert_ne!(binding(&plain), binding(&verifier));
}

#[test]
fn a_handshake_with_a_known_certificate() {
    let identity = pki().server(Kind::P256);
    for (known, good) in [(&identity.chain[0], true), (&pki().server(Kind::P384).chain[0], false)] {
        for verifier in exact(known) {
            let (client, server) = (seeded(1), seeded(2));
            let server_config =
                ServerConfig::new(server.clone(), vec![identity.credential(&server)]);
            let client = ClientConfig::new(client, verifier).unwrap();
            let pair = Calls::PLAIN.pair(client, server_config.unwrap());
            if good {
                pair.connect().chat();
            } else {
                pair.refuse(Role::Client, Alert::unknown_ca);
            }
        }
    }
}

#[test]
fn pins_are_asked_for_besides() {
    let authority = Authority::new("root");
    let server = entity("server");
    let chain = authority.chain(Draft::leaf(&server, "server.test"));
    let spki = |entity: &super::Entity| {
        sha256(&rcgen::PublicKeyData::subject_public_key_info(&entity.key))
    };
    let root_pin = {
        let root = CertificateDer::from(authority.root.as_ref());
        sha256(spki_of(&root))
    };
    let backup = [0x55; 32];
    let pinned = |pin: [u8; 32]| {
        Verifier::new(anchors(&[&authority.root])).with_spki_pins(&[pin], &[backup]).unwrap()
    };
    // The leaf's key, the intermediate's, the anchor's; and the backup's when it has taken over.
    for pin in [spki(&server), spki(&authority.issuer), root_pin] {
        assert_eq!(judge(&pinned(pin), &chain, Purpose::Server, Some("server.test")).unwrap(), 2);
        let plain = Verifier::new(anchors(&[&authority.root]));
        let swapped = plain.with_spki_pins(&[backup], &[pin]).unwrap();
        assert!(judge(&swapped, &chain, Purpose::Server, Some("server.test")).is_ok());
    }
    let wrong = pinned([0xaa; 32]);
    let error = judge(&wrong, &chain, Purpose::Server, Some("server.test")).unwrap_err();
    assert_eq!((error.reason.code(), error.alert()), ("not-pinned", Alert::certificate_unknown));
    let text = error.reason.to_string();
    let hex: String = spki(&server).iter().map(|b| format!("{b:02x}")).collect();
    assert!(text.contains(&hex), "{text}");

    // A pin makes nothing good that is not: another name, another root.
    let good = pinned(spki(&server));
    let error = judge(&good, &chain, Purpose::Server, Some("other.test")).unwrap_err();
    assert_eq!(error.reason.code(), "name-mismatch");
    let nobody = Verifier::new(TrustAnchors::default());
    let nobody = nobody.with_spki_pins(&[spki(&server)], &[backup]).unwrap();
    assert_eq!(fault(&nobody, &chain), "unknown-issuer");
    // A pinned certificate that is not on the path that is validated counts for nothing.
    let stray = Draft::ca(&entity("stray"));
    let stray_pin = sha256(&stray.spki);
    let stray = stray.sign(&authority.issuer);
    let with_stray = [&chain[..], &[stray]].concat();
    let error = judge(&pinned(stray_pin), &with_stray, Purpose::Server, None).unwrap_err();
    assert_eq!(error.reason.code(), "not-pinned");

    let plain = binding(&Verifier::new(anchors(&[&authority.root])));
    assert_ne!(binding(&good), plain);
    assert_ne!(binding(&good), binding(&wrong));
}

/// The SubjectPublicKeyInfo of a certificate of [`Draft`].
fn spki_of<'a>(certificate: &'a CertificateDer<'_>) -> &'a [u8] {
    use x509_parser::prelude::FromDer as _;
    let (_, parsed) = x509_parser::prelude::X509Certificate::from_der(certificate).unwrap();
    parsed.tbs_certificate.subject_pki.raw
}

#[test]
fn a_pinned_path_is_found_behind_one_that_is_not() {
    // The intermediate is certified by two roots; only the key of the second is pinned.
    let (first, second, issuer) = (entity("first"), entity("second"), entity("issuer"));
    let server = entity("server");
    let roots = [&first, &second].map(|root| Draft::ca(root).sign(root));
    let chain = vec![
        Draft::leaf(&server, "server.test").sign(&issuer),
        Draft::ca(&issuer).sign(&first),
        Draft::ca(&issuer).sign(&second),
    ];
    for root in &roots {
        let pin = sha256(spki_of(root));
        let verifier = Verifier::new(anchors(&[&roots[0], &roots[1]]));
        let verifier = verifier.with_spki_pins(&[pin], &[[1; 32]]).unwrap();
        assert!(judge(&verifier, &chain, Purpose::Server, Some("server.test")).is_ok());
    }
}

#[test]
fn pins_without_a_backup_are_refused() {
    let (a, b) = ([1; 32], [2; 32]);
    for (current, backups) in
        [(&[][..], &[][..]), (&[a], &[]), (&[], &[b]), (&[a], &[a]), (&[a, b], &[b])]
    {
        let result = Verifier::new(pki().anchors()).with_spki_pins(current, backups);
        assert!(matches!(result, Err(Error::Misuse(Misuse::Config(_)))), "{current:?} {backups:?}");
    }
}

#[test]
fn a_handshake_with_pins() {
    let spki = pki().server(Kind::P256).spki();
    for (pin, good) in [(sha256(&spki), true), ([9; 32], false)] {
        let (client, server) = configs(3);
        let verifier = Verifier::new(pki().anchors()).with_spki_pins(&[pin], &[[8; 32]]).unwrap();
        let client = ClientConfig::new(client.provider().clone(), verifier).unwrap();
        let pair = Calls::PLAIN.pair(client, server);
        if good {
            pair.connect().chat();
        } else {
            pair.refuse(Role::Client, Alert::certificate_unknown);
        }
    }
}
