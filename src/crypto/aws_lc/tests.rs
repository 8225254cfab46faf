//! Wycheproof's key exchange vectors (`vectors/wycheproof`) for what cannot be told its private key from outside.
//!
//! `tests/wycheproof.rs` runs the others on this provider, too.

use serde_json::Value;

use super::exchange::Curve;
use super::*;
use crate::crypto::KeyPair;

#[path = "../../../tests/support/data.rs"]
#[allow(dead_code, unreachable_pub, clippy::panic)]
mod data;

use data::hex;

fn cases(file: &str) -> Vec<Value> {
    let whole = data::json(&format!("wycheproof/{file}.json.gz"));
    let groups = whole["testGroups"].as_array().unwrap();
    let cases: Vec<_> =
        groups.iter().flat_map(|g| g["tests"].as_array().unwrap().clone()).collect();
    assert_eq!(whole["numberOfTests"], cases.len());
    cases
}

/// What comes of this private key and the peer's public key.
fn agreed(curve: &Curve, private: &[u8], public: &[u8]) -> Option<Vec<u8>> {
    let pair: Box<dyn KeyPair> = Box::new(curve.pair(private).unwrap());
    pair.agree(public).ok().map(|secret| secret.expose().to_vec())
}

#[test]
fn ecdh() {
    for (file, curve, scalar, expected) in [
        ("ecdh_secp256r1_ecpoint", &SECP256R1, 32, (355, 330)),
        ("ecdh_secp384r1_ecpoint", &SECP384R1, 48, (790, 771)),
        ("ecdh_secp521r1_ecpoint", &SECP521R1, 66, (661, 632)),
    ] {
        let cases = cases(file);
        let mut good = 0;
        for test in &cases {
            // The scalars are written like ASN.1 integers.
            let private = hex(&test["private"]);
            let skip = private.iter().take_while(|b| **b == 0).count();
            let private = [vec![0; scalar + skip - private.len()], private[skip..].to_vec()];
            let ours = agreed(curve, &private.concat(), &hex(&test["public"]));
            // What is acceptable to others is a compressed point (RFC 9846 §4.3.8.2: uncompressed only).
            let expected = (test["result"] == "valid").then(|| hex(&test["shared"]));
            assert_eq!(ours, expected, "{file} {}", test["tcId"]);
            good += usize::from(ours.is_some());
        }
        assert_eq!((cases.len(), good), expected, "{file}");
    }
}

#[test]
fn x25519() {
    let cases = cases("x25519");
    for test in &cases {
        let shared = hex(&test["shared"]);
        // RFC 9846 §7.4.2 refuses an all-zero result; Wycheproof calls it acceptable.
        let expected = shared.iter().any(|b| *b != 0).then_some(shared);
        let ours = agreed(&X25519, &hex(&test["private"]), &hex(&test["public"]));
        assert_eq!(ours, expected, "{}", test["tcId"]);
    }
    assert_eq!(cases.len(), 518);
}

/// Decapsulation, implicit rejection included. AWS-LC's crate makes no key of a seed: libcrux does.
#[test]
fn decapsulation() {
    use libcrux_ml_kem::{mlkem768, mlkem1024};

    let keys = |seed| {
        let small = mlkem768::generate_key_pair(seed).into_parts().0.as_ref().to_vec();
        let large = mlkem1024::generate_key_pair(seed).into_parts().0.as_ref().to_vec();
        [small, large]
    };
    let sets = [("mlkem_768", &ML_KEM_768), ("mlkem_1024", &ML_KEM_1024)];
    for (at, (file, ml_kem)) in sets.into_iter().enumerate() {
        let (mut ran, mut good) = (0, 0);
        for test in cases(file) {
            // A seed of another length is nothing that this provider is ever given.
            let Ok(seed) = <[u8; 64]>::try_from(hex(&test["seed"])) else { continue };
            let pair: Box<dyn KeyPair> = Box::new(ml_kem.pair_of(&keys(seed)[at]));
            let ours = pair.agree(&hex(&test["c"])).ok().map(|secret| secret.expose().to_vec());
            let expected = (test["result"] == "valid").then(|| hex(&test["K"]));
            assert_eq!(ours, expected, "{file} {}", test["tcId"]);
            ran += 1;
            good += usize::from(ours.is_some());
        }
        assert_eq!((ran, good), (173, 153), "{file}");
    }
}

/// The check of the client's key (FIPS 203 §7.2).
#[test]
fn encapsulation_keys() {
    let rng = provider().rng;
    for (file, ml_kem, expected) in
        [("mlkem_768_encaps", &ML_KEM_768, 133), ("mlkem_1024_encaps", &ML_KEM_1024, 133)]
    {
        let mut good = 0;
        for test in cases(file) {
            let answer = ml_kem.respond(&*rng, &hex(&test["ek"]));
            assert_eq!(answer.is_ok(), test["result"] == "valid", "{file} {}", test["tcId"]);
            good += usize::from(answer.is_ok());
        }
        assert_eq!(good, expected, "{file}");
    }
}
