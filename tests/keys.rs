//! Private keys in every form that there is (`vectors/keys`), and what they sign.

#![cfg(feature = "ring")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwire::codepoints::SignatureScheme;
use sealwire::crypto::{Provider, SigningKey, ring};
use sealwire::pki_types::pem::PemObject;
use sealwire::pki_types::{
    PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

const P256: &[SignatureScheme] = &[SignatureScheme::ecdsa_secp256r1_sha256];
const P384: &[SignatureScheme] = &[SignatureScheme::ecdsa_secp384r1_sha384];
const ED25519: &[SignatureScheme] = &[SignatureScheme::ed25519];
const RSA: &[SignatureScheme] = &[
    SignatureScheme::rsa_pss_rsae_sha256,
    SignatureScheme::rsa_pss_rsae_sha384,
    SignatureScheme::rsa_pss_rsae_sha512,
];

#[test]
fn every_form_loads_and_signs() {
    for (file, spki, schemes) in [
        ("p256.sec1.pem", "p256.spki.der", P256),
        ("p256.sec1-no-public.pem", "p256.spki.der", P256),
        ("p256.sec1-compressed.pem", "p256.spki.der", P256),
        ("p256.pkcs8.pem", "p256.spki.der", P256),
        ("p256.pkcs8-no-public.pem", "p256.spki.der", P256),
        ("p384.sec1.pem", "p384.spki.der", P384),
        ("p384.sec1-no-public.pem", "p384.spki.der", P384),
        ("p384.sec1-compressed.pem", "p384.spki.der", P384),
        ("p384.pkcs8.pem", "p384.spki.der", P384),
        ("p384.pkcs8-no-public.pem", "p384.spki.der", P384),
        ("ed25519.pkcs8.pem", "ed25519.spki.der", ED25519),
        ("rsa2048.pkcs1.pem", "rsa2048.spki.der", RSA),
        ("rsa2048.pkcs8.pem", "rsa2048.spki.der", RSA),
    ] {
        for provider in providers() {
            let key = (provider.load_key)(&pem(file)).expect(file);
            assert_eq!(key.spki(), std::fs::read(path(spki)).unwrap(), "{file}");
            assert_eq!(key.schemes(), schemes, "{file}");
            check_signatures(&provider, &*key);
        }
    }
}

#[cfg(feature = "aws-lc")]
#[test]
fn p521_in_every_form() {
    let provider = sealwire::crypto::aws_lc::provider();
    for form in ["sec1", "sec1-no-public", "sec1-compressed", "pkcs8", "pkcs8-no-public"] {
        let key = (provider.load_key)(&pem(&format!("p521.{form}.pem"))).expect(form);
        assert_eq!(key.spki(), std::fs::read(path("p521.spki.der")).unwrap(), "{form}");
        assert_eq!(key.schemes(), [SignatureScheme::ecdsa_secp521r1_sha512], "{form}");
        check_signatures(&provider, &*key);
    }
    // As SEC1 without the name of its curve, the length tells.
    let [_, _, inner] = parts(pem("p521.pkcs8.pem").secret_der());
    let key = PrivateKeyDer::from(PrivateSec1KeyDer::from(value(&inner)));
    assert!((provider.load_key)(&key).is_ok());
}

/// Signs with every scheme there is; those that the key does not have fail. Whatever another provider knows it verifies, too.
fn check_signatures(provider: &Provider, key: &dyn SigningKey) {
    for scheme in provider.verifiers.iter().map(|v| v.scheme()) {
        let signed = key.sign(scheme, b"message", &*provider.rng);
        if !key.schemes().contains(&scheme) {
            assert!(signed.is_err(), "{scheme}");
            continue;
        }
        let signature = signed.unwrap();
        let verify = |spki: &[u8], message: &[u8], signature: &[u8]| {
            provider.verify_handshake(scheme, spki, message, signature)
        };
        for other in providers() {
            let knows = other.verifiers.iter().any(|v| v.scheme() == scheme);
            let verdict = other.verify_handshake(scheme, key.spki(), b"message", &signature);
            assert_eq!(verdict.is_ok(), knows, "{scheme}");
        }
        assert!(verify(key.spki(), b"message", &signature).is_ok(), "{scheme}");
        assert!(verify(key.spki(), b"massage", &signature).is_err(), "{scheme}");
        assert!(verify(&key.spki()[1..], b"message", &signature).is_err(), "{scheme}");
        let mut other = signature.clone();
        *other.last_mut().unwrap() ^= 1;
        assert!(verify(key.spki(), b"message", &other).is_err(), "{scheme}");
    }
}

#[test]
fn what_is_not_supported_is_refused() {
    for file in ["rsa1024.pkcs1.pem", "rsa-pss.pkcs8.pem"] {
        assert!(load(&pem(file)).is_none(), "{file}");
    }
    assert!((ring::provider().load_key)(&pem("p521.sec1.pem")).is_err());
}

/// Keys in forms that OpenSSL does not write, made from those that it does.
#[test]
fn rarer_forms() {
    for (curve, schemes) in [("p256", P256), ("p384", P384)] {
        let expected = std::fs::read(path(&format!("{curve}.spki.der"))).unwrap();
        // In PKCS#8 the ECPrivateKey does not name its curve: as SEC1, its length tells.
        for (form, named) in [("pkcs8", "sec1"), ("pkcs8-no-public", "sec1-no-public")] {
            let pkcs8 = pem(&format!("{curve}.{form}.pem"));
            let [version, algorithm, inner] = parts(pkcs8.secret_der());
            let key = load_sec1(value(&inner)).unwrap();
            assert_eq!((key.spki(), key.schemes()), (&expected[..], schemes), "{curve} {form}");

            // PKCS#8 that does name the curve, twice; with attributes; with its public key outside.
            let sec1 = pem(&format!("{curve}.{named}.pem"));
            let twice = [version.clone(), algorithm.clone(), tlv(4, sec1.secret_der())].concat();
            assert_eq!(load_pkcs8(&tlv(0x30, &twice)).unwrap().spki(), expected);
            let attributes = [&twice[..], &tlv(0xa0, &tlv(0x30, &[6, 1, 42, 0x31, 0]))].concat();
            assert_eq!(load_pkcs8(&tlv(0x30, &attributes)).unwrap().spki(), expected);
            let [_, bits] = parts(&expected);
            let v2 = [tlv(2, &[1]), algorithm, inner, tlv(0x81, value(&bits))].concat();
            assert_eq!(load_pkcs8(&tlv(0x30, &v2)).unwrap().spki(), expected);
        }
    }
}

#[test]
fn scalars_without_leading_zeros_are_read() {
    let sec1 = |scalar: &[u8]| {
        let curve = tlv(0xa0, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
        load_sec1(&tlv(0x30, &[tlv(2, &[1]), tlv(4, scalar), curve].concat()))
    };
    let mut padded = [0; 32];
    padded[31] = 5;
    assert_eq!(sec1(&[5]).unwrap().spki(), sec1(&padded).unwrap().spki());
    assert!(sec1(&[0; 32]).is_none(), "zero");
    assert!(sec1(&[0xff; 32]).is_none(), "not less than the order");
    assert!(sec1(&[5; 33]).is_none(), "too long");
    assert!(sec1(&[]).is_none(), "empty");
}

#[test]
fn ed25519_of_both_versions() {
    let expected = std::fs::read(path("ed25519.spki.der")).unwrap();
    let [_, algorithm, inner] = parts(pem("ed25519.pkcs8.pem").secret_der());
    let [_, bits] = parts(&expected);
    let v2 = |public: &[u8]| {
        load_pkcs8(&tlv(0x30, &[&tlv(2, &[1]), &algorithm, &inner, public].concat()))
    };
    assert_eq!(v2(&tlv(0x81, value(&bits))).unwrap().spki(), expected);
    assert_eq!(
        v2(&tlv(0xa1, &bits)).unwrap().spki(),
        expected,
        "as older versions of ring wrote it"
    );
    assert_eq!(v2(&[]).unwrap().spki(), expected);
    let mut other = value(&bits).to_vec();
    other[1] ^= 1;
    assert!(v2(&tlv(0x81, &other)).is_none(), "another public key");

    let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert!(load_pkcs8(&made.serialize_der()).is_some());
}

#[test]
fn contradictions_are_refused() {
    let (a, b) = (pem("p256.sec1.pem"), pem("p256.pkcs8-no-public.pem"));
    let [version, scalar, curve, public] = parts(a.secret_der());
    let sec1 = |parts: [&[u8]; 4]| load_sec1(&tlv(0x30, &parts.concat()));
    assert!(sec1([&version, &scalar, &curve, &public]).is_some());
    let mut other = public.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(sec1([&version, &scalar, &curve, &other]).is_none(), "not on the curve");
    let p384_curve = tlv(0xa0, b"\x06\x05\x2b\x81\x04\x00\x22");
    assert!(sec1([&version, &scalar, &p384_curve, &public]).is_none(), "another curve");
    assert!(sec1([&tlv(2, &[2]), &scalar, &curve, &public]).is_none(), "another version");

    // PKCS#8 for P-384 around a P-256 key that says so.
    let [version, _, _] = parts(b.secret_der());
    let [_, p384, _] = parts(pem("p384.pkcs8.pem").secret_der());
    assert!(load_pkcs8(&tlv(0x30, &[version, p384, tlv(4, a.secret_der())].concat())).is_none());

    // Somebody else's public key.
    let stranger = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let [_, algorithm, inner] = parts(b.secret_der());
    let bits = tlv(0x81, &[&[0], stranger.public_key_raw()].concat());
    let v2 = [tlv(2, &[1]), algorithm, inner, bits].concat();
    assert!(load_pkcs8(&tlv(0x30, &v2)).is_none());
}

#[test]
fn cut_and_extended_documents_are_refused() {
    for file in [
        "p256.sec1.pem",
        "p384.pkcs8.pem",
        "ed25519.pkcs8.pem",
        "rsa2048.pkcs8.pem",
        "rsa2048.pkcs1.pem",
    ] {
        let whole = pem(file);
        let form = |bytes: Vec<u8>| match &whole {
            PrivateKeyDer::Pkcs1(_) => PrivatePkcs1KeyDer::from(bytes).into(),
            PrivateKeyDer::Sec1(_) => PrivateSec1KeyDer::from(bytes).into(),
            _ => PrivatePkcs8KeyDer::from(bytes).into(),
        };
        let der = whole.secret_der();
        for len in 0..der.len() {
            assert!(load(&form(der[..len].to_vec())).is_none(), "{file} cut to {len}");
        }
        assert!(load(&form([der, &[0]].concat())).is_none(), "{file} extended");
    }
}

/// A signature by one wrong half of the key gives away the other half (Boneh, DeMillo and Lipton). So whatever bit of a
/// private key is wrong, by a fault of memory or of storage: what comes out is a good signature, or none.
#[test]
fn pitfall_38_a_key_with_a_fault_makes_no_wrong_signature() {
    let whole = pem("rsa2048.pkcs1.pem");
    let der = whole.secret_der();
    let (mut at, _) = split(der);
    let mut numbers = Vec::new();
    while at < der.len() {
        let (header, len) = split(&der[at..]);
        numbers.push(at + header..at + header + len);
        at += header + len;
    }
    // RFC 8017 §A.1.2: version, n, e, d, p, q, dP, dQ, qInv.
    assert_eq!(numbers.len(), 9);
    let scheme = SignatureScheme::rsa_pss_rsae_sha256;
    for provider in providers() {
        let spki = (provider.load_key)(&whole).unwrap().spki().to_vec();
        for number in &numbers[4..] {
            for byte in [number.start + 1, (number.start + number.end) / 2, number.end - 1] {
                let mut spoilt = der.to_vec();
                spoilt[byte] ^= 0x10;
                let key = PrivateKeyDer::from(PrivatePkcs1KeyDer::from(spoilt));
                let Ok(key) = (provider.load_key)(&key) else { continue };
                assert_eq!(key.spki(), spki);
                for message in [&b"one"[..], b"two"] {
                    let Ok(signature) = key.sign(scheme, message, &*provider.rng) else { continue };
                    let verdict = provider.verify_handshake(scheme, &spki, message, &signature);
                    assert!(verdict.is_ok(), "byte {byte} of {number:?}");
                }
            }
        }
    }
}

/// Curves with another one's hash, for which there are no vectors of Wycheproof's (`vectors/signatures.txt`): in
/// certificates, and nowhere else.
#[test]
fn signatures_with_the_hash_of_another_curve() {
    use sealwire::pki_types::alg_id;

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/signatures.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let unhex = |text: &str| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    };
    let message = b"a message";
    let mut good = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [curve, hash, spki, signature] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (spki, signature) = (unhex(spki), unhex(signature));
        let (algorithm, other) = match hash {
            "sha256" => (&alg_id::ECDSA_SHA256, &alg_id::ECDSA_SHA384),
            _ => (&alg_id::ECDSA_SHA384, &alg_id::ECDSA_SHA256),
        };
        for (number, provider) in providers().iter().enumerate() {
            let check = |algorithm: &[u8], message: &[u8], signature: &[u8]| {
                provider.verify_certificate(algorithm, &spki, message, signature).is_ok()
            };
            if check(algorithm, message, &signature) {
                good.push((number, curve, hash));
            }
            assert!(!check(other, message, &signature) && !check(algorithm, b"", &signature));
            for at in 0..signature.len() {
                let mut spoilt = signature.clone();
                spoilt[at] ^= 1;
                assert!(!check(algorithm, message, &spoilt), "{curve} {hash}: byte {at}");
            }
            for verifier in provider.verifiers {
                let scheme = verifier.scheme();
                let verdict = provider.verify_handshake(scheme, &spki, message, &signature);
                assert!(verdict.is_err(), "{curve} {hash} as {scheme}");
            }
        }
    }
    // ring has no P-521.
    let with_ring = [(0, "P-256", "sha384")];
    let with_aws_lc = [(1, "P-256", "sha384"), (1, "P-521", "sha256"), (1, "P-521", "sha384")];
    let mut expected = with_ring.to_vec();
    if providers().len() > 1 {
        expected.extend(with_aws_lc);
    }
    good.sort_unstable();
    assert_eq!(good, expected);
}

#[cfg(feature = "test-support")]
#[test]
fn deterministic_signatures_repeat_themselves_and_verify() {
    use sealwire::crypto::deterministic::{self, SeededRng};

    let provider = deterministic::provider(Arc::new(SeededRng::new(0)));
    for file in ["p256.sec1.pem", "p384.pkcs8.pem", "ed25519.pkcs8.pem", "rsa2048.pkcs8.pem"] {
        let sign = |seed, scheme| {
            let key = (provider.load_key)(&pem(file)).unwrap();
            key.sign(scheme, b"message", &SeededRng::new(seed)).unwrap()
        };
        let key = (provider.load_key)(&pem(file)).unwrap();
        for &scheme in key.schemes() {
            let signature = sign(1, scheme);
            assert_eq!(signature, sign(1, scheme), "{file} {scheme}");
            // Ed25519 has no randomness in it.
            assert_eq!(signature == sign(2, scheme), file.starts_with("ed25519"), "{file}");
            let verdict = provider.verify_handshake(scheme, key.spki(), b"message", &signature);
            assert!(verdict.is_ok(), "{file} {scheme}");
        }
        assert!(key.sign(SignatureScheme::ed448, b"", &SeededRng::new(1)).is_err());
    }
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/keys").join(file)
}

fn pem(file: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(path(file)).unwrap()
}

fn providers() -> Vec<Provider> {
    vec![
        ring::provider(),
        #[cfg(feature = "aws-lc")]
        sealwire::crypto::aws_lc::provider(),
    ]
}

/// Loads a key with every provider, which have to agree about it.
fn load(key: &PrivateKeyDer<'_>) -> Option<Arc<dyn SigningKey>> {
    let keys = providers().into_iter().map(|provider| (provider.load_key)(key).ok());
    let mut keys: Vec<_> = keys.collect();
    let first = keys.swap_remove(0);
    for other in keys {
        let spki = |key: &Option<Arc<dyn SigningKey>>| key.as_ref().map(|k| k.spki().to_vec());
        assert_eq!(spki(&first), spki(&other));
    }
    first
}

fn load_sec1(der: &[u8]) -> Option<Arc<dyn SigningKey>> {
    load(&PrivateSec1KeyDer::from(der).into())
}

fn load_pkcs8(der: &[u8]) -> Option<Arc<dyn SigningKey>> {
    load(&PrivatePkcs8KeyDer::from(der).into())
}

/// The DER of a value shorter than 64 KiB.
fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let head = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head[..], contents].concat()
}

/// Splits a value off: header and contents.
fn split(der: &[u8]) -> (usize, usize) {
    match der[1] {
        n @ 0..=0x7f => (2, n.into()),
        0x81 => (3, der[2].into()),
        _ => (4, u16::from_be_bytes([der[2], der[3]]).into()),
    }
}

fn value(der: &[u8]) -> &[u8] {
    &der[split(der).0..]
}

/// The `N` values in a SEQUENCE, each with its header.
fn parts<const N: usize>(der: &[u8]) -> [Vec<u8>; N] {
    let mut rest = value(der);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (head, len) = split(rest);
        parts.push(rest[..head + len].to_vec());
        rest = &rest[head + len..];
    }
    parts.try_into().unwrap()
}
