//! Certificates as a peer would send them: each with a length of two bytes in front.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwire::pki_types::pem::PemObject as _;
use sealwire::pki_types::{CertificateDer, ServerName};
use sealwire::{Evidence, Purpose, TrustAnchors};
use sealwire_fuzz::{CLIENT, Instructions, SERVER, now, provider, verifier};

fuzz_target!(|data: &[u8]| {
    let mut input = Instructions(data);
    let Some(bits) = input.byte() else { return };
    let mut chain = Vec::new();
    while let Some(len) = input.short() {
        let (certificate, rest) = input.0.split_at(len.min(input.0.len()));
        chain.push(CertificateDer::from(certificate));
        input.0 = rest;
    }
    let name = ServerName::try_from("localhost").unwrap();
    let (purpose, name) = match bits & 1 {
        0 => (Purpose::Server, Some(&name)),
        _ => (Purpose::Client, None),
    };
    let evidence = Evidence::default();
    let verdict = verifier().verify(&provider(0), &chain, purpose, name, now(), evidence);
    if verdict.is_ok() {
        let leaf = CertificateDer::from_pem_slice(if bits & 1 == 0 { SERVER } else { CLIENT });
        assert_eq!(chain[0], leaf.unwrap(), "the root has signed nothing else");
    }
    // Roots come from files: they must parse as safely.
    if bits & 2 != 0 {
        let _ = TrustAnchors::from_certificates(chain.iter().cloned());
    }
});
