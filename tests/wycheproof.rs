//! Project Wycheproof's vectors (`vectors/wycheproof`) through the public [`Provider`].
//!
//! Verification, AEADs, hashes and HMAC are those of every provider. Key exchange is the deterministic provider's, which
//! can be told the private key; `ring`'s code is the same but for the source of randomness. That of `aws-lc` is tested in
//! `src/crypto/aws_lc/tests.rs`.
//!
//! Every case of every file runs, or falls into a class that the test names and counts; each test states how many cases
//! it expects to have run, so that nothing is skipped in silence.

#![cfg(all(feature = "ring", feature = "test-support"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use sealwire::Secret;
use sealwire::codepoints::{CipherSuiteId, NamedGroup, SignatureScheme};
use sealwire::crypto::deterministic::{self, ScriptedRng, SeededRng};
use sealwire::crypto::{CryptoError, Hash, KeyPair, Provider};
use sealwire::pki_types::alg_id;
use serde_json::Value;

fn providers() -> Vec<Provider> {
    vec![
        sealwire::crypto::ring::provider(),
        #[cfg(feature = "aws-lc")]
        sealwire::crypto::aws_lc::provider(),
    ]
}

#[test]
fn aes_gcm() {
    let aeads =
        [(16, CipherSuiteId::TLS_AES_128_GCM_SHA256), (32, CipherSuiteId::TLS_AES_256_GCM_SHA384)];
    // Of 316 cases; the others have nonces that TLS does not, or keys of 192 bits.
    assert_eq!(aead("aes_gcm", &aeads), 133);
}

#[test]
fn chacha20_poly1305() {
    let aeads = [(32, CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256)];
    // Of 325 cases; the others have nonces that TLS does not.
    assert_eq!(aead("chacha20_poly1305", &aeads), 316);
}

/// How many cases ran, with each provider.
fn aead(file: &str, by_key_len: &[(usize, CipherSuiteId)]) -> usize {
    same(|provider| aead_with(provider, file, by_key_len))
}

/// What `test` gives with every provider.
fn same<T: PartialEq + std::fmt::Debug>(test: impl Fn(&Provider) -> T) -> T {
    let mut results: Vec<T> = providers().iter().map(test).collect();
    let last = results.pop().unwrap();
    results.iter().for_each(|other| assert_eq!(*other, last));
    last
}

fn aead_with(provider: &Provider, file: &str, by_key_len: &[(usize, CipherSuiteId)]) -> usize {
    let mut ran = 0;
    for Case { group, test, name } in cases(file) {
        let key = bytes(&test["key"]);
        let suite = by_key_len.iter().find(|(len, _)| *len == key.len());
        let nonce = <[u8; 12]>::try_from(bytes(&test["iv"]));
        let (Some((_, suite)), Ok(nonce), Some(128)) = (suite, nonce, group["tagSize"].as_u64())
        else {
            continue;
        };
        let key = provider.suite(*suite).unwrap().aead.key(&key).unwrap();
        let (aad, message) = (bytes(&test["aad"]), bytes(&test["msg"]));
        let sealed = [bytes(&test["ct"]), bytes(&test["tag"])].concat();

        let mut in_out = sealed.clone();
        let opened = key.open(nonce, &aad, &mut in_out);
        if valid(&test) {
            assert_eq!(opened, Ok(message.len()), "{name}");
            assert_eq!(in_out[..message.len()], message, "{name}");
            let mut in_out = message.clone();
            let tag = key.seal(nonce, &aad, &mut in_out).unwrap();
            assert_eq!([&in_out[..], &tag].concat(), sealed, "{name}");
        } else {
            assert_eq!(opened, Err(CryptoError), "{name}");
            assert!(message.is_empty() || in_out[..message.len()] != message, "{name}: plaintext");
        }
        ran += 1;
    }
    ran
}

#[test]
fn hmac() {
    assert_eq!(hmac_file("hmac_sha256", CipherSuiteId::TLS_AES_128_GCM_SHA256), 174);
    assert_eq!(hmac_file("hmac_sha384", CipherSuiteId::TLS_AES_256_GCM_SHA384), 174);
}

fn hmac_file(file: &str, suite: CipherSuiteId) -> usize {
    same(|provider| hmac_with(provider.suite(suite).unwrap().hash, file))
}

fn hmac_with(hash: &dyn Hash, file: &str) -> usize {
    let cases = cases(file);
    for Case { test, name, .. } in &cases {
        let (key, message, tag) = (bytes(&test["key"]), bytes(&test["msg"]), bytes(&test["tag"]));
        let (a, b) = message.split_at(message.len() / 3);
        let ours = hash.hmac(&key, &[a, b]);
        // Some tags are truncated: theirs is the beginning of ours, or not.
        assert!(!tag.is_empty() && tag.len() <= ours.expose().len(), "{name}");
        assert_eq!(ours.expose()[..tag.len()] == tag, valid(test), "{name}");
    }
    cases.len()
}

/// HKDF as RFC 5869 writes it, here, over the provider's HMAC: what is tested is HMAC with many keys and inputs.
#[test]
fn hkdf_over_hmac() {
    assert_eq!(hkdf_file("hkdf_sha256", CipherSuiteId::TLS_AES_128_GCM_SHA256), 83);
    assert_eq!(hkdf_file("hkdf_sha384", CipherSuiteId::TLS_AES_256_GCM_SHA384), 80);
}

fn hkdf_file(file: &str, suite: CipherSuiteId) -> usize {
    same(|provider| hkdf_with(provider.suite(suite).unwrap().hash, file))
}

fn hkdf_with(hash: &dyn Hash, file: &str) -> usize {
    let mut ran = 0;
    // The invalid cases ask for more output than HKDF has, which is a question for HKDF and not for HMAC.
    for Case { test, name, .. } in cases(file).into_iter().filter(|c| valid(&c.test)) {
        let prk = hash.hmac(&bytes(&test["salt"]), &[&bytes(&test["ikm"])]);
        let expected = bytes(&test["okm"]);
        assert_eq!(
            hkdf_expand(hash, &prk, &bytes(&test["info"]), expected.len()),
            expected,
            "{name}"
        );
        ran += 1;
    }
    ran
}

fn hkdf_expand(hash: &dyn Hash, prk: &Secret, info: &[u8], len: usize) -> Vec<u8> {
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for number in 1..=u8::MAX {
        block = hash.hmac(prk.expose(), &[&block, info, &[number]]).expose().to_vec();
        out.extend_from_slice(&block);
    }
    out.truncate(len);
    out
}

#[test]
fn x25519() {
    let cases = cases("x25519");
    let mut all_zero = 0;
    for Case { test, name, .. } in &cases {
        let pair = pair_of(NamedGroup::x25519, vec![bytes(&test["private"])]).unwrap();
        let agreed = pair.agree(&bytes(&test["public"]));
        let shared = bytes(&test["shared"]);
        if shared.iter().all(|b| *b == 0) {
            // RFC 9846 §7.4.2; Wycheproof calls it acceptable.
            assert!(agreed.is_err(), "{name}");
            all_zero += 1;
        } else {
            // Also the acceptable: points on the twist, and not reduced.
            assert_eq!(agreed.unwrap().expose(), shared, "{name}");
        }
    }
    assert_eq!((cases.len(), all_zero), (518, 31));
}

#[test]
fn ecdh() {
    assert_eq!(ecdh_file("ecdh_secp256r1_ecpoint", NamedGroup::secp256r1, 32), (355, 330));
    assert_eq!(ecdh_file("ecdh_secp384r1_ecpoint", NamedGroup::secp384r1, 48), (790, 771));
}

/// How many cases ran, and how many of them agreed.
fn ecdh_file(file: &str, group: NamedGroup, len: usize) -> (usize, usize) {
    let cases = cases(file);
    let mut agreed = 0;
    for Case { test, name, .. } in &cases {
        // The scalars are written like ASN.1 integers; TLS and ring have them at full length.
        let private = bytes(&test["private"]);
        let skip = private.iter().take_while(|b| **b == 0).count();
        let private = [vec![0; len + skip - private.len()], private[skip..].to_vec()].concat();
        let ours = pair_of(group, vec![private]).unwrap().agree(&bytes(&test["public"]));
        // What is acceptable to others is a compressed point (RFC 9846 §4.3.8.2: uncompressed only).
        if valid(test) {
            assert_eq!(ours.expect(name).expose(), bytes(&test["shared"]), "{name}");
            agreed += 1;
        } else {
            assert!(ours.is_err(), "{name}");
        }
    }
    (cases.len(), agreed)
}

#[test]
fn pitfall_38_ecdsa_range_der_and_hash() {
    let p256 = SignatureScheme::ecdsa_secp256r1_sha256;
    let p384 = SignatureScheme::ecdsa_secp384r1_sha384;
    let (sha256, sha384) = (alg_id::ECDSA_SHA256, alg_id::ECDSA_SHA384);
    assert_eq!(signatures("ecdsa_secp256r1_sha256", Some(p256), &sha256), (484, 174));
    assert_eq!(signatures("ecdsa_secp384r1_sha384", Some(p384), &sha384), (504, 194));
    // With the other curve's hash: in certificates only.
    assert_eq!(signatures("ecdsa_secp384r1_sha256", None, &sha256), (472, 162));
    for provider in providers() {
        for Case { group, test, name } in cases("ecdsa_secp384r1_sha256") {
            let spki = bytes(&group["publicKeyDer"]);
            let (message, signature) = (bytes(&test["msg"]), bytes(&test["sig"]));
            for scheme in [p256, p384] {
                let verdict = provider.verify_handshake(scheme, &spki, &message, &signature);
                assert!(verdict.is_err(), "{name}: {scheme}");
            }
        }
    }
}

/// What ring does not have: P-521, and SHA-512 with the other curves.
#[cfg(feature = "aws-lc")]
#[test]
fn ecdsa_with_sha512() {
    let provider = sealwire::crypto::aws_lc::provider();
    let run = |file, scheme| signatures_with(&provider, file, scheme, &alg_id::ECDSA_SHA512);
    let p521 = SignatureScheme::ecdsa_secp521r1_sha512;
    assert_eq!(run("ecdsa_secp521r1_sha512", Some(p521)), (542, 232));
    // In certificates only.
    assert_eq!(run("ecdsa_secp256r1_sha512", None), (554, 243));
    assert_eq!(run("ecdsa_secp384r1_sha512", None), (542, 231));
    let case = &cases("ecdsa_secp256r1_sha512")[0];
    let [spki, message, signature] =
        [&case.group["publicKeyDer"], &case.test["msg"], &case.test["sig"]].map(bytes);
    assert!(provider.verify_handshake(p521, &spki, &message, &signature).is_err());
}

#[test]
fn pitfall_38_ed25519_has_one_s() {
    let ran = signatures("ed25519", Some(SignatureScheme::ed25519), &alg_id::ED25519);
    assert_eq!(ran, (151, 88));
}

#[test]
fn rsa_pkcs1() {
    for (file, algorithm, expected) in [
        ("rsa_signature_2048_sha256", alg_id::RSA_PKCS1_SHA256, (259, 9)),
        ("rsa_signature_2048_sha384", alg_id::RSA_PKCS1_SHA384, (258, 7)),
        ("rsa_signature_2048_sha512", alg_id::RSA_PKCS1_SHA512, (259, 8)),
        ("rsa_signature_3072_sha256", alg_id::RSA_PKCS1_SHA256, (259, 8)),
        ("rsa_signature_3072_sha384", alg_id::RSA_PKCS1_SHA384, (259, 7)),
        ("rsa_signature_3072_sha512", alg_id::RSA_PKCS1_SHA512, (260, 8)),
        ("rsa_signature_4096_sha256", alg_id::RSA_PKCS1_SHA256, (258, 7)),
        ("rsa_signature_4096_sha384", alg_id::RSA_PKCS1_SHA384, (259, 7)),
        ("rsa_signature_4096_sha512", alg_id::RSA_PKCS1_SHA512, (259, 7)),
        ("rsa_signature_8192_sha256", alg_id::RSA_PKCS1_SHA256, (258, 7)),
    ] {
        assert_eq!(signatures(file, None, &algorithm), expected, "{file}");
        // RFC 4055 §5: parameters are NULL, and absent ones are the same.
        let (without_null, null) = algorithm.split_at(algorithm.len() - 2);
        assert_eq!(null, [5, 0]);
        assert_eq!(signatures(file, None, without_null), expected, "{file}");
    }
}

#[test]
fn pitfall_38_rsa_pkcs1_signs_no_handshake() {
    let case = &cases("rsa_signature_2048_sha256")[0];
    let spki = bytes(&case.group["publicKeyDer"]);
    let (message, signature) = (bytes(&case.test["msg"]), bytes(&case.test["sig"]));
    let algorithm = &alg_id::RSA_PKCS1_SHA256;
    for provider in providers() {
        assert!(provider.verify_certificate(algorithm, &spki, &message, &signature).is_ok());
        for verifier in provider.verifiers {
            let scheme = verifier.scheme();
            assert!(provider.verify_handshake(scheme, &spki, &message, &signature).is_err());
        }
    }
}

#[test]
fn rsa_pss() {
    let sha256 = (SignatureScheme::rsa_pss_rsae_sha256, alg_id::RSA_PSS_SHA256);
    let sha384 = (SignatureScheme::rsa_pss_rsae_sha384, alg_id::RSA_PSS_SHA384);
    let sha512 = (SignatureScheme::rsa_pss_rsae_sha512, alg_id::RSA_PSS_SHA512);
    for (file, (scheme, algorithm), expected) in [
        ("rsa_pss_2048_sha256_mgf1_32", sha256, (108, 63)),
        ("rsa_pss_3072_sha256_mgf1_32", sha256, (108, 63)),
        ("rsa_pss_2048_sha384_mgf1_48", sha384, (141, 95)),
        ("rsa_pss_4096_sha256_mgf1_32", sha256, (108, 63)),
        ("rsa_pss_4096_sha384_mgf1_48", sha384, (141, 95)),
        ("rsa_pss_4096_sha512_mgf1_64", sha512, (179, 132)),
    ] {
        assert_eq!(signatures(file, Some(scheme), &algorithm), expected, "{file}");
    }
}

/// A salt of another length than the hash, MGF1 with another hash, and keys that are for PSS alone: valid signatures, and
/// none of RFC 9846's `rsa_pss_rsae` schemes.
#[test]
fn pitfall_38_rsa_pss_with_other_parameters() {
    // rsa_pss_misc has one signature for each of our schemes, and the first file that one mistake.
    assert_eq!(same(other_pss), (103 + 108 + 177 + 150 + 108, 4));
}

/// How many cases ran, and how many were verified.
fn other_pss(provider: &Provider) -> (usize, usize) {
    let schemes = [
        ("SHA-256", 32, SignatureScheme::rsa_pss_rsae_sha256),
        ("SHA-384", 48, SignatureScheme::rsa_pss_rsae_sha384),
        ("SHA-512", 64, SignatureScheme::rsa_pss_rsae_sha512),
    ];
    let (mut ran, mut ours) = (0, 0);
    for (file, rsae) in [
        ("rsa_pss_2048_sha256_mgf1_0", true),
        ("rsa_pss_2048_sha256_mgf1sha1_20", true),
        ("rsa_pss_4096_sha512_mgf1_32", true),
        ("rsa_pss_misc", true),
        ("rsa_pss_2048_sha256_mgf1_32_params", false),
    ] {
        for Case { group, test, name } in cases(file) {
            let spki = bytes(&group["publicKeyDer"]);
            let (message, signature) = (bytes(&test["msg"]), bytes(&test["sig"]));
            for (hash, salt, scheme) in schemes {
                // An invalid case that has, by mistake for its group, just the salt that we want.
                let made_ours = test["comment"] == format!("s_len changed to {salt}");
                let fits = made_ours || (group["sLen"] == salt && valid(&test));
                let hashes = group["sha"] == hash && group["mgfSha"] == hash;
                let expected = rsae && hashes && fits;
                let verdict = provider.verify_handshake(scheme, &spki, &message, &signature);
                assert_eq!(verdict.is_ok(), expected, "{name}: {scheme}");
                ours += usize::from(expected);
            }
            ran += 1;
        }
    }
    (ran, ours)
}

/// Runs a file of signatures by the algorithm that certificates name, and by the handshake's scheme if it has one: how
/// many cases, and how many of them were verified.
fn signatures(file: &str, scheme: Option<SignatureScheme>, algorithm: &[u8]) -> (usize, usize) {
    same(|provider| signatures_with(provider, file, scheme, algorithm))
}

fn signatures_with(
    provider: &Provider,
    file: &str,
    scheme: Option<SignatureScheme>,
    algorithm: &[u8],
) -> (usize, usize) {
    let cases = cases(file);
    let mut good = 0;
    for Case { group, test, name } in &cases {
        let spki = bytes(&group["publicKeyDer"]);
        let (message, signature) = (bytes(&test["msg"]), bytes(&test["sig"]));
        // What Wycheproof calls acceptable (PKCS#1 v1.5 without the NULL in DigestInfo) is not, here.
        let expected = if valid(test) { Ok(()) } else { Err(CryptoError) };
        let verdict = provider.verify_certificate(algorithm, &spki, &message, &signature);
        assert_eq!(verdict, expected, "{name}");
        if let Some(scheme) = scheme {
            let verdict = provider.verify_handshake(scheme, &spki, &message, &signature);
            assert_eq!(verdict, expected, "{name}");
        }
        good += usize::from(verdict.is_ok());
    }
    (cases.len(), good)
}

#[cfg(feature = "ml-kem")]
mod ml_kem {
    use super::*;

    const GROUP: NamedGroup = NamedGroup::X25519MLKEM768;
    const KEY_LEN: usize = 1184;
    const CIPHERTEXT_LEN: usize = 1088;

    #[test]
    fn key_generation() {
        let cases = cases("mlkem_768_keygen_seed");
        for Case { test, name, .. } in &cases {
            let pair = pair_of(GROUP, vec![bytes(&test["seed"]), vec![1; 32]]).unwrap();
            assert_eq!(pair.share().len(), KEY_LEN + 32);
            assert_eq!(pair.share()[..KEY_LEN], bytes(&test["ek"]), "{name}");
            assert_eq!(pair.share()[KEY_LEN..], x25519_share(1), "{name}");
        }
        assert_eq!(cases.len(), 100);
    }

    /// Encapsulation, and the check of the client's key (FIPS 203 §7.2).
    #[test]
    fn encapsulation() {
        let cases = cases("mlkem_768_encaps");
        let mut good = 0;
        for Case { test, name, .. } in &cases {
            let client = [bytes(&test["ek"]), x25519_share(1)].concat();
            let rng = ScriptedRng::new(vec![bytes(&test["m"]), vec![2; 32]], 0);
            let answer = deterministic_provider().group(GROUP).unwrap().respond(&rng, &client);
            if !valid(test) {
                assert!(answer.is_err(), "{name}");
                continue;
            }
            let (share, secret) = answer.expect(name);
            assert_eq!(share.len(), CIPHERTEXT_LEN + 32);
            assert_eq!(share[..CIPHERTEXT_LEN], bytes(&test["c"]), "{name}");
            assert_eq!(share[CIPHERTEXT_LEN..], x25519_share(2), "{name}");
            assert_eq!(secret.expose(), [bytes(&test["K"]), x25519_secret()].concat(), "{name}");
            good += 1;
        }
        assert_eq!((cases.len(), good), (265, 133));
    }

    /// Decapsulation, implicit rejection included.
    #[test]
    fn decapsulation() {
        let cases = cases("mlkem_768");
        let mut good = 0;
        for Case { test, name, .. } in &cases {
            // A seed of another length cannot be drawn.
            let agreed = pair_of(GROUP, vec![bytes(&test["seed"]), vec![1; 32]]).and_then(|pair| {
                assert_eq!(pair.share()[..KEY_LEN], bytes(&test["ek"]), "{name}");
                pair.agree(&[bytes(&test["c"]), x25519_share(2)].concat())
            });
            if valid(test) {
                let secret = agreed.expect(name);
                assert_eq!(
                    secret.expose(),
                    [bytes(&test["K"]), x25519_secret()].concat(),
                    "{name}"
                );
                good += 1;
            } else {
                assert!(agreed.is_err(), "{name}");
            }
        }
        assert_eq!((cases.len(), good), (193, 153));
    }

    /// Every length but the right one is refused, on both sides; and so is an X25519 half of low order.
    #[test]
    fn malformed_shares() {
        let group = deterministic_provider().group(GROUP).unwrap();
        let rng = SeededRng::new(1);
        let client_share = group.generate(&rng).unwrap().share().to_vec();
        let (server_share, _) = group.respond(&rng, &client_share).unwrap();
        let agree = |share: &[u8]| group.generate(&rng).unwrap().agree(share);

        for share in [vec![], client_share[..KEY_LEN].to_vec(), [&client_share[..], &[0]].concat()]
        {
            assert!(group.respond(&rng, &share).is_err(), "{}", share.len());
        }
        for share in [vec![], server_share[..1088].to_vec(), [&server_share[..], &[0]].concat()] {
            assert!(agree(&share).is_err(), "{}", share.len());
        }
        assert!(group.respond(&rng, &client_share[1..]).is_err());
        assert!(agree(&server_share[1..]).is_err());
        assert!(group.respond(&rng, &[&client_share[..KEY_LEN], &[0; 32]].concat()).is_err());
        assert!(agree(&[&server_share[..CIPHERTEXT_LEN], &[0; 32]].concat()).is_err());
        assert!(agree(&server_share).is_ok());
    }

    fn x25519_share(byte: u8) -> Vec<u8> {
        pair_of(NamedGroup::x25519, vec![vec![byte; 32]]).unwrap().share().to_vec()
    }

    fn x25519_secret() -> Vec<u8> {
        let pair = pair_of(NamedGroup::x25519, vec![vec![1; 32]]).unwrap();
        pair.agree(&x25519_share(2)).unwrap().expose().to_vec()
    }
}

fn deterministic_provider() -> Provider {
    deterministic::provider(Arc::new(SeededRng::new(0)))
}

/// A key pair that draws these strings, and no more than these.
fn pair_of(group: NamedGroup, draws: Vec<Vec<u8>>) -> Result<Box<dyn KeyPair>, CryptoError> {
    let rng = ScriptedRng::new(draws, 0);
    let pair = deterministic_provider().group(group).unwrap().generate(&rng)?;
    assert_eq!(rng.remaining(), 0);
    Ok(pair)
}

/// One test case, and the group that it stands in.
struct Case {
    group: Arc<Value>,
    test: Value,
    name: String,
}

fn cases(file: &str) -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/wycheproof");
    let packed = File::open(dir.join(format!("{file}.json.gz"))).unwrap();
    let whole: Value = serde_json::from_reader(flate2::read::GzDecoder::new(packed)).unwrap();
    let mut cases = Vec::new();
    for mut group in whole["testGroups"].as_array().unwrap().clone() {
        let tests = group["tests"].take();
        let group = Arc::new(group);
        for test in tests.as_array().unwrap() {
            let name = format!("{file} {} {}", test["tcId"], test["comment"]);
            cases.push(Case { group: Arc::clone(&group), test: test.clone(), name });
        }
    }
    assert_eq!(whole["numberOfTests"], cases.len());
    cases
}

fn valid(test: &Value) -> bool {
    match test["result"].as_str().unwrap() {
        "valid" => true,
        "invalid" | "acceptable" => false,
        other => panic!("{other}"),
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}
