//! Timestamps of two real logs, and of logs that were made up, as `vectors/README.md` says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Read;

use super::*;
use crate::crypto::ring;
use crate::limits::Budget;
use crate::verify::signature::{Cache, Signatures};

/// The verdict on one timestamp over `entry`, by a log with this key.
fn judge(key: Vec<u8>, entry: &[u8], sct: &[u8], now: i64) -> Result<usize, &'static str> {
    let policy = Transparency::new([CtLog::new(key, "log", "operator").unwrap()]);
    let provider = ring::provider();
    let (cache, mut budget) = (Cache::default(), Budget::default());
    let mut signatures = Signatures::new(&provider, &cache);
    signatures.begin_step();
    let (signatures, budget, provider) = (&mut signatures, &mut budget, &provider);
    let mut judge = Judge { provider, signatures, budget, proofs: Vec::new() };
    policy.judge(sct, entry, 0, now, &mut judge).unwrap()
}

#[test]
fn vectors_of_sct_rs() {
    let mut text = String::new();
    let bytes = &include_bytes!("../../../vectors/sct/sct-rs.jsonl.gz")[..];
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let vector: serde_json::Value = serde_json::from_str(line).unwrap();
        let bytes = |field: &str| {
            let text = vector[field].as_str().unwrap().as_bytes();
            let digits = text.chunks(2).map(|two| std::str::from_utf8(two).unwrap());
            digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect::<Vec<u8>>()
        };
        let name = vector["name"].as_str().unwrap();
        let (now, expected) = match name.trim_end_matches("-sct") {
            "google-sct0" | "google-sct1" => (1_499_619_463, Ok(0)),
            _ if name.ends_with("-basic-sct") => (1, Ok(0)),
            _ if name.ends_with("-wrongcert-sct")
                || name.ends_with("-wrongtime-sct")
                || name.ends_with("-wrongext-sct") =>
            {
                (1, Err("one has a signature that is not by its log"))
            }
            "ecdsa_p256-badsigalg" => (1, Err("one has a signature that logs do not make")),
            "ecdsa_p256-future" => (-300, Err("one is from the future")),
            "ecdsa_p256-junk" => (1, Err("one does not parse")),
            // Whole it has an extension. What it is for is to be cut.
            "ecdsa_p256-short" => (1, Ok(0)),
            "ecdsa_p256-version" => (1, Err("one is of a version that is not known")),
            "ecdsa_p256-wrongid" => (1, Err("one is of a log that is not known")),
            other => panic!("{other}"),
        };
        let certificate = bytes("certificate");
        let mut w = Writer::default();
        w.u16(X509_ENTRY);
        w.vec24(|w| w.raw(&certificate));
        let entry = w.finish().unwrap();
        let (key, sct) = (bytes("log"), bytes("sct"));
        assert_eq!(judge(key.clone(), &entry, &sct, now), expected, "{name}");
        let cut = if expected.is_ok() { sct.len() } else { 0 };
        for len in 0..cut {
            assert!(judge(key.clone(), &entry, &sct[..len], now).is_err(), "{name}");
        }
        seen += 1;
    }
    assert_eq!(seen, 24);
}

/// The precertificate is the certificate without one extension, and with lengths that fit again.
#[test]
fn what_a_precertificate_was() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["a.example".repeat(30)]).unwrap();
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let mut plain = params.clone();
    plain.serial_number = Some(7.into());
    params.serial_number = Some(7.into());
    let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
    let list = der::element(der::OCTET_STRING, &[0; 200]);
    let timestamps = rcgen::CustomExtension::from_oid_content(&oid, list);
    params.custom_extensions.push(timestamps);
    let tbs = |params: rcgen::CertificateParams| {
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Certificate::parse(&der).unwrap().signed.message.to_vec()
    };
    let (with, without) = (tbs(params), tbs(plain));
    assert_ne!(with, without);
    assert_eq!(without_timestamps(&with).unwrap(), without);
    assert_eq!(without_timestamps(&without).unwrap(), without);
    assert_eq!(without_timestamps(&with[1..]), None);
}
