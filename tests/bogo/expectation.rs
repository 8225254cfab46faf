//! What a test expects of a complete handshake.

use std::fmt;

use sealwire::Summary;
use sealwire::codepoints::{CipherSuiteId, NamedGroup, ProtocolVersion, SignatureScheme};

use crate::failure::Failure;
use crate::flags::Flags;
use crate::setup::{Setup, expected_chain, timestamp_list};

/// What was negotiated is what the test expects.
pub(crate) fn check_negotiated(
    flags: &Flags,
    setup: &Setup,
    summary: &Summary,
) -> Result<(), Failure> {
    expect("version", &summary.version, &ProtocolVersion(flags.expect_version.unwrap_or(0x0304)))?;
    if flags.expect_secure_renegotiation || flags.expect_extended_master_secret {
        // TLS 1.3 has what these two mended in TLS 1.2.
        expect("version", &summary.version, &ProtocolVersion::TLSv1_3)?;
    }
    let has_aes = setup.provider.suites.first().map(|suite| suite.id)
        != Some(CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256);
    let by_hardware = if has_aes { flags.expect_cipher_aes } else { flags.expect_cipher_no_aes };
    for suite in flags.expect_cipher.iter().chain(&by_hardware) {
        expect("cipher suite", &summary.suite, &CipherSuiteId(*suite))?;
    }
    if let Some(group) = flags.expect_curve_id {
        expect("group", &summary.group, &Some(NamedGroup(group)))?;
    }
    if flags.expect_hrr || flags.expect_no_hrr {
        expect("HelloRetryRequest", &summary.retried, &flags.expect_hrr)?;
    }
    let alpn = if flags.server { &flags.select_alpn } else { &flags.expect_alpn };
    let alpn = alpn.as_ref().map(|name| name.clone().into_bytes());
    expect("ALPN", &summary.alpn, &alpn)?;
    if let Some(name) = &flags.expect_server_name {
        let got = summary.server_name.as_ref().map(|name| name.to_str().into_owned());
        expect("server name", &got.as_ref(), &Some(name))?;
    }
    Ok(())
}

/// Who the peer is, and with what it proved that, is what the test expects.
pub(crate) fn check_authenticated(flags: &Flags, summary: &Summary) -> Result<(), Failure> {
    expect("OCSP response", &summary.peer_ocsp, &flags.expect_ocsp_response)
        .or_else(|error| if flags.expect_ocsp_response.is_empty() { Ok(()) } else { Err(error) })?;
    if !flags.expect_signed_cert_timestamps.is_empty() {
        let list = timestamp_list(&summary.peer_scts);
        expect("timestamps", &list, &flags.expect_signed_cert_timestamps)?;
    }
    if let Some(path) = &flags.expect_peer_cert_file {
        expect("peer's chain", &summary.peer_chain, &expected_chain(path)?)?;
    }
    if let Some(scheme) = flags.expect_peer_signature_algorithm {
        expect("peer's scheme", &summary.peer_scheme, &Some(SignatureScheme(scheme)))?;
    }
    if !flags.server || flags.require_any_client_certificate {
        expect("no certificate", &summary.peer_chain.is_empty(), &false)?;
    }
    Ok(())
}

/// Fails unless `got` is `want`.
pub(crate) fn expect<A: PartialEq<B> + fmt::Debug, B: fmt::Debug>(
    what: &str,
    got: &A,
    want: &B,
) -> Result<(), Failure> {
    match got == want {
        true => Ok(()),
        false => Err(Failure::Expected(format!("{what}: got {got:?}, want {want:?}"))),
    }
}

/// A failure because something is not there.
pub(crate) fn missing(what: &str) -> Failure {
    Failure::Expected(format!("{what} is not there"))
}
