//! Private keys, as they are loaded.

use sealwire::Credential;

use super::arena::{Arena, watch};
use super::known::{Known, State, check, plain};
use super::support::{Kind, pki, seeded};

/// What ring leaves behind of a private key, in memory of its own that we cannot wipe. It is there, or the line has to go.
const PROVIDER_KEEPS: &[(Kind, &str)] =
    &[(Kind::Rsa, "private exponent, reversed"), (Kind::Rsa, "prime, reversed")];

/// The parts of a PKCS#8 document that are secret, as they stand in it and as numbers of 64 bits in memory.
fn secrets(kind: Kind, pkcs8: &[u8]) -> Vec<Known> {
    let name = |what: &str| format!("{kind:?} {what}");
    let parts: Vec<(String, Vec<u8>)> = match kind {
        // ECPrivateKey: the number one, and the scalar (RFC 5915 §3).
        Kind::P256 => vec![(name("scalar"), after(pkcs8, &[2, 1, 1, 4, 32], 32))],
        Kind::P384 => vec![(name("scalar"), after(pkcs8, &[2, 1, 1, 4, 48], 48))],
        Kind::Ed25519 => vec![(name("seed"), after(pkcs8, &[4, 34, 4, 32], 32))],
        // RSAPrivateKey behind the public exponent: d, p, q (RFC 8017 Appendix A.1.2).
        Kind::Rsa => {
            let d = after(pkcs8, &[2, 3, 1, 0, 1, 2, 0x82, 1], 257);
            let rest = pkcs8.windows(d.len()).position(|w| w == d).unwrap() + d.len();
            let p = after(&pkcs8[rest..], &[2, 0x81, 0x81, 0], 128);
            vec![(name("private exponent"), d[1..].to_vec()), (name("prime"), p)]
        }
    };
    let mut all = Vec::new();
    for (name, bytes) in parts {
        let reversed = bytes.iter().rev().copied().collect();
        all.push(Known { name: format!("{name}, reversed"), bytes: reversed });
        all.push(Known { name, bytes });
    }
    all
}

/// The `len` bytes that follow `mark`.
fn after(document: &[u8], mark: &[u8], len: usize) -> Vec<u8> {
    let at = document.windows(mark.len()).position(|window| window == mark).unwrap() + mark.len();
    document[at..at + len].to_vec()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let padded = [three[0], *three.get(1).unwrap_or(&0), *three.get(2).unwrap_or(&0)];
        let number = padded.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
        for digit in 0..4 {
            text.push(match digit <= three.len() {
                true => char::from(DIGITS[number >> (18 - 6 * digit) & 63]),
                false => '=',
            });
        }
    }
    text
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn a_private_key_is_loaded_used_and_dropped() {
    for (kind, from_pem) in Kind::ALL.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let identity = pki().server(kind);
        let document = identity.key.secret_der().to_vec();
        let mut secrets = secrets(kind, &document);
        // The document in base64, from its secret part on.
        let text = base64(&document).into_bytes();
        let middle = text[text.len() / 2..].to_vec();
        secrets.push(Known { name: format!("{kind:?} PEM"), bytes: middle });
        let chain: String = identity.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
        let key = pem("PRIVATE KEY", &document);

        for provider in [seeded(20), sealwire::crypto::ring::provider()] {
            let arena = Arena::empty();
            let credential = watch(|| match from_pem {
                true => Credential::from_pem(&provider, chain.as_bytes(), key.as_bytes()).unwrap(),
                false => Credential::new(&provider, identity.chain.clone(), &identity.key).unwrap(),
            });
            let kept = |known: &Known| {
                let ours = |(of, what): &(Kind, &str)| *of == kind && known.name.ends_with(what);
                PROVIDER_KEEPS.iter().any(ours)
            };
            let (kept, wiped): (Vec<_>, Vec<_>) = secrets.iter().cloned().partition(kept);
            check(&arena, "loaded", State::InUse, &wiped);
            let signer = watch(|| (provider.load_key)(&identity.key).unwrap());
            let scheme = signer.schemes()[0];
            watch(|| drop(signer.sign(scheme, b"message", &*plain(1)).unwrap()));
            check(&arena, "used", State::InUse, &wiped);
            watch(|| drop((credential, signer)));
            check(&arena, "dropped", State::Spent, &wiped);
            for known in kept {
                assert!(super::known::count(&arena, &known) > 0, "{} is wiped now", known.name);
            }
        }
    }
}
