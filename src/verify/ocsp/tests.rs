//! BoringSSL's test data for OCSP, as `vectors/README.md` says. All of it is signed with SHA-1, which is refused before a
//! signature is looked at: so these tests begin behind that check, with a verifier that knows SHA-1.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::Read;

use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};

use super::*;
use crate::codepoints::SignatureScheme;
use crate::crypto::{SignatureVerifier, ring as provider};
use crate::error::CryptoError;
use crate::limits::Budget;
use crate::verify::signature::{Cache, Signatures};

/// 2017-03-02, a day after most of the responses' thisUpdate.
const NOW: i64 = 1_488_412_800;
const DAY: i64 = 86_400;

/// sha1WithRSAEncryption.
struct Sha1;

impl SignatureVerifier for Sha1 {
    fn scheme(&self) -> SignatureScheme {
        SignatureScheme(0x0201)
    }

    fn certificate_algorithms(&self) -> &'static [&'static [u8]] {
        &[
            b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00",
            b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05",
        ]
    }

    fn verify(&self, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let key = der::public_key(spki).ok_or(CryptoError)?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key);
        key.verify(message, signature).map_err(|_| CryptoError)
    }
}

/// What the response says: `good`, `revoked`, or why it says nothing.
fn judge(vector: &serde_json::Value, now: i64) -> String {
    let bytes = |field: &str| {
        let text = vector[field].as_str().unwrap().as_bytes();
        let digits = text.chunks(2).map(|two| std::str::from_utf8(two).unwrap());
        digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect::<Vec<u8>>()
    };
    let (issuer, certificate, response) =
        (bytes("issuer"), bytes("certificate"), bytes("response"));
    let issuer = Certificate::parse(&issuer).unwrap();
    let certificate = match Certificate::parse(&certificate) {
        Ok(certificate) => certificate,
        Err(what) => return format!("certificate: {what}"),
    };
    let link = Link {
        certificate: &certificate,
        issuer: issuer.subject,
        issuer_key: issuer.spki,
        issuer_certificate: Some(&issuer),
    };
    let mut provider = provider::provider();
    let sha1: &dyn SignatureVerifier = &Sha1;
    let verifiers = provider.verifiers.iter().copied().chain([sha1]);
    provider.verifiers = Box::leak(verifiers.collect::<Vec<_>>().into_boxed_slice());
    let (cache, mut budget) = (Cache::default(), Budget::default());
    let mut signatures = Signatures::new(&provider, &cache);
    let (provider, times) = (&provider, Times { now, grace: 0 });
    let response = match Response::parse(&response) {
        Ok(response) => response,
        Err(what) => return what.to_owned(),
    };
    let signer = loop {
        signatures.begin_step();
        let (signatures, budget) = (&mut signatures, &mut budget);
        let mut judge = Judge { provider, signatures, budget, proofs: Vec::new() };
        match response.check_signer(&link, &Crls::default(), times, &mut judge) {
            Ok(verdict) => break verdict,
            Err(Stop::Yield) => {}
            Err(Stop::Exhausted(limit)) => return limit.to_string(),
        }
    };
    match signer.map(|()| response.status(&link, times, provider)) {
        Ok(Status::Good { .. }) => "good".to_owned(),
        Ok(Status::Revoked(_)) => "revoked".to_owned(),
        Ok(Status::Unknown(reason)) => reason.to_string(),
        Err(what) => what.to_owned(),
    }
}

#[test]
fn vectors_of_boringssl() {
    let mut text = String::new();
    let bytes = &include_bytes!("../../../vectors/ocsp/boringssl.jsonl.gz")[..];
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let vector: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = vector["name"].as_str().unwrap();
        let (now, expected) = match name {
            "good_response"
            | "good_response_sha256"
            | "has_version"
            | "has_extension"
            | "has_single_extension"
            | "has_critical_ct_extension"
            | "multiple_response"
            | "ocsp_extra_certs"
            | "ocsp_sign_direct"
            | "ocsp_sign_indirect"
            | "responder_id"
            | "responder_name" => (NOW, "good"),
            "good_response_next_update" => (NOW + DAY, "good"),
            // RFC 6960 has no rule that this was too early to be made.
            "produced_early_response" => (NOW, "good"),
            "revoke_response" | "revoke_response_reason" | "multiple_response_good_revoked" => {
                (NOW, "revoked")
            }
            "unknown_response" => (NOW, "its responder does not know the certificate"),
            "bad_signature" => (NOW, "its signature is not by the issuer's key"),
            "ocsp_sign_bad_indirect" => (NOW, "not for OCSP (extendedKeyUsage)"),
            "ocsp_sign_indirect_missing" => (NOW, "neither the issuer nor authorised by it"),
            "missing_response" | "no_response" | "other_response" => {
                (NOW, "nothing about this certificate")
            }
            "old_response" | "stale_response" => (NOW + 3 * DAY, "expired"),
            "future_response" | "produced_late_response" => (NOW, "not valid for another"),
            "has_critical_single_extension" | "has_critical_response_extension" => {
                (NOW, "a critical extension that is not understood")
            }
            "malformed_request" => (NOW, "the responder found the request malformed"),
            "bad_status" => (NOW, "its status is none that exists"),
            "bad_ocsp_type" => (NOW, "of another type"),
            "invalid_response" => (NOW, "it is not DER"),
            "invalid_response_data" => (NOW, "it does not parse"),
            "good_response_invalid_serial" => (NOW, "certificate: its fields are not X.509's"),
            other => (NOW, other),
        };
        let verdict = judge(&vector, now);
        assert!(verdict.contains(expected), "{name}: {verdict}");
        seen += 1;
    }
    assert_eq!(seen, 36);
}
