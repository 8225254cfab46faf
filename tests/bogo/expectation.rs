//! What a test expects of a complete handshake.

use std::fmt;

use sealwire::codepoints::{
    CertificateType, CipherSuiteId, NamedGroup, ProtocolVersion, SignatureScheme,
};
use sealwire::{EarlyData, Summary};

use crate::credential::timestamp_list;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::setup::{Setup, expected_chain};

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
    check_session(flags, summary)?;
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

/// Whether the session was resumed, and with early data, is what the test expects.
fn check_session(flags: &Flags, summary: &Summary) -> Result<(), Failure> {
    expect("resumed", &summary.resumed, &(flags.resumed && !flags.expect_session_miss))?;
    let early = summary.early_data;
    if flags.expect_accept_early_data {
        expect("early data", &early, &EarlyData::Accepted)?;
    }
    if flags.expect_reject_early_data {
        expect("early data accepted", &(early == EarlyData::Accepted), &false)?;
        if !flags.server && flags.resumed {
            expect("early data", &early, &EarlyData::Rejected)?;
        }
    }
    if flags.expect_no_offer_early_data {
        expect("early data", &early, &EarlyData::NotOffered)?;
    }
    // The summary knows no more than whether it was taken; reasons are told apart by a client only.
    match flags.expect_early_data_reason.as_deref() {
        None => {}
        Some("accept") => expect("early data", &early, &EarlyData::Accepted)?,
        Some("peer_declined" | "hello_retry_request" | "session_not_resumed") if !flags.server => {
            expect("early data", &early, &EarlyData::Rejected)?;
        }
        Some(_) if !flags.server => expect("early data", &early, &EarlyData::NotOffered)?,
        Some(_) => expect("early data accepted", &(early == EarlyData::Accepted), &false)?,
    }
    // Two of the reasons show elsewhere.
    match flags.expect_early_data_reason.as_deref() {
        Some("hello_retry_request") => expect("retried", &summary.retried, &true)?,
        Some("session_not_resumed") => expect("resumed", &summary.resumed, &false)?,
        _ => {}
    }
    if let Some(want) = flags.expect_ticket_age_skew.filter(|_| summary.resumed) {
        let seconds = summary.ticket_age_skew.map(|skew| skew.div_euclid(1000));
        expect("skew of the ticket's age", &seconds, &Some(want))?;
    }
    Ok(())
}

/// Which credential served is the one that the test expects. `chosen` is that for which we signed, if we did.
pub(crate) fn check_selected(
    flags: &Flags,
    chosen: Option<i32>,
    summary: &Summary,
) -> Result<(), Failure> {
    let Some(want) = flags.expect_selected_credential else { return Ok(()) };
    let identity = |index: &i32| {
        let at = usize::try_from(*index).ok()?;
        flags.credentials.get(at).map(|credential| &credential.identity)
    };
    let by_key = summary.external_psk.as_ref().and_then(|name| {
        let all = i32::try_from(flags.credentials.len()).unwrap_or(i32::MAX);
        (0..all).find(|index| identity(index) == Some(name))
    });
    // Without any, BoringSSL says that it is the one which is there without being added.
    expect("credential", &by_key.or(chosen).unwrap_or(-1), &want)
}

/// Who the peer is, and with what it proved that, is what the test expects.
pub(crate) fn check_authenticated(
    flags: &Flags,
    setup: &Setup,
    summary: &Summary,
) -> Result<(), Failure> {
    let nobody = summary.peer_certificate_type().is_none();
    if flags.expect_no_peer_cert {
        expect("no certificate", &nobody, &true)?;
    }
    if let Some(kind) = flags.expect_peer_certificate_type {
        let got = summary.peer_certificate_type();
        expect("peer's certificate type", &got, &Some(CertificateType(kind)))?;
    }
    if !flags.expect_peer_rpk_sha256.is_empty() {
        let key = summary.peer_raw_public_key.as_ref().ok_or_else(|| missing("the peer's key"))?;
        let hash = setup.provider.suites.iter().find(|suite| suite.hash.output_len() == 32);
        let digest = hash.map(|suite| suite.hash.digest(key).as_ref().to_vec());
        expect("peer's key", &digest.as_ref(), &Some(&flags.expect_peer_rpk_sha256))?;
    }
    expect("OCSP response", &summary.peer_ocsp, &flags.expect_ocsp_response)
        .or_else(|error| if flags.expect_ocsp_response.is_empty() { Ok(()) } else { Err(error) })?;
    if !flags.expect_signed_cert_timestamps.is_empty() {
        let list = timestamp_list(&summary.peer_scts);
        expect("timestamps", &list, &flags.expect_signed_cert_timestamps)?;
    }
    if let Some(path) = &flags.expect_peer_cert_file {
        expect("peer's chain", &summary.peer_chain, &expected_chain(path)?)?;
    }
    // A session keeps who the peer is, and not how it has proved that.
    if let Some(scheme) = flags.expect_peer_signature_algorithm.filter(|_| !summary.resumed) {
        expect("peer's scheme", &summary.peer_scheme, &Some(SignatureScheme(scheme)))?;
    }
    let by_key = summary.external_psk.is_some();
    if !by_key && (!flags.server || flags.require_any_client_certificate) {
        expect("no certificate", &nobody, &false)?;
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
