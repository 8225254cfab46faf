//! One test for each rule that a peer can break, each limit, each lack of overlap and each misuse: one thing is wrong, and
//! the attacked side answers with exactly that error and that alert, and is dead from then on.
//!
//! The tables below are complete, or this does not pass: [`every_violation_has_a_test`] and the like compare them with
//! what the library has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

#[path = "violations/authentication.rs"]
mod authentication;
#[path = "violations/duel.rs"]
mod duel;
#[path = "violations/edit.rs"]
mod edit;
#[path = "violations/hellos.rs"]
mod hellos;
#[path = "violations/limits.rs"]
mod limits;
#[path = "violations/misuse.rs"]
mod misuse;
#[path = "violations/overlap.rs"]
mod overlap;
#[path = "violations/pitfalls.rs"]
mod pitfalls;
#[path = "violations/psks.rs"]
mod psks;
#[path = "violations/records.rs"]
mod records;
#[path = "violations/refuse.rs"]
mod refuse;
#[path = "violations/server_hellos.rs"]
mod server_hellos;
#[path = "violations/unexpected.rs"]
mod unexpected;

use sealwire::Violation;

/// A test for each variant, under its name; and the list of those names.
macro_rules! cases {
    ($table:ident: $($variant:ident => $($module:ident::$test:ident),+;)+) => {
        mod $table {
            pub(crate) const NAMES: &[&str] = &[$(stringify!($variant)),+];
            $(
                #[test]
                #[allow(non_snake_case)]
                fn $variant() {
                    $(super::$module::$test();)+
                }
            )+
        }
    };
}

cases! { violation:
    RecordOverflow => records::record_overflow;
    PlaintextOverflow => records::plaintext_overflow;
    NoContentType => records::no_content_type;
    EmptyFragment => records::empty_fragment;
    NotTls => records::not_tls;
    UnexpectedRecord => records::unexpected_record;
    BadChangeCipherSpec => records::bad_change_cipher_spec;
    UnexpectedChangeCipherSpec => records::unexpected_change_cipher_spec;
    KeyChangeMidRecord => records::key_change_mid_record;
    InterleavedHandshake => records::interleaved_handshake;
    AlertNotAlone => records::alert_not_alone;
    UnprotectedRecord => records::unprotected_record;

    DuplicateExtension => hellos::duplicate_extension;
    UnsolicitedExtension => hellos::unsolicited_extension;
    MisplacedExtension => hellos::misplaced_extension;
    PreSharedKeyNotLast => hellos::pre_shared_key_not_last;

    LegacyVersion => hellos::legacy_version;
    LegacyCompression => hellos::legacy_compression;
    MissingSignatureAlgorithms => hellos::missing_signature_algorithms;
    MissingSupportedGroups => hellos::missing_supported_groups;
    MissingKeyShare => hellos::missing_key_share;
    MissingPskModes => hellos::missing_psk_modes;
    MissingServerName => hellos::missing_server_name;
    DuplicateKeyShare => hellos::duplicate_key_share;
    KeyShareNotInGroups => hellos::key_share_not_in_groups;
    BadKeyShare => hellos::bad_key_share;
    BinderCount => hellos::binder_count;
    BadBinder => psks::bad_binder;
    BadServerName => hellos::bad_server_name;
    UnrecognizedName => hellos::unrecognized_name;
    OnlyDefaultCertificateType => hellos::only_default_certificate_type;
    ChangedClientHello => hellos::changed_client_hello;
    RetryIgnored => hellos::retry_ignored;
    MissingPreSharedKey => psks::missing_pre_shared_key;
    ChangedPreSharedKeys => psks::changed_pre_shared_keys;
    EarlyDataAfterRetry => hellos::early_data_after_retry;
    CookieNotEchoed => hellos::cookie_not_echoed;
    BadCookie => hellos::bad_cookie;

    Downgrade => server_hellos::downgrade;
    BadSelectedVersion => server_hellos::bad_selected_version;
    SessionIdNotEchoed => server_hellos::session_id_not_echoed;
    UnofferedCipherSuite => server_hellos::unoffered_cipher_suite;
    CompressionSelected => server_hellos::compression_selected;
    NoKeyExchange => server_hellos::no_key_exchange;
    UnofferedGroup => server_hellos::unoffered_group;
    UnofferedPsk => psks::unoffered_psk;
    PskDeclined => psks::psk_declined;
    PskHashMismatch => psks::psk_hash_mismatch;
    UnofferedPskMode => psks::unoffered_psk_mode;
    SecondRetry => server_hellos::second_retry;
    UselessRetry => server_hellos::useless_retry;
    BadRetryGroup => server_hellos::bad_retry_group;
    RetryVersionChanged => server_hellos::retry_version_changed;
    RetrySuiteChanged => server_hellos::retry_suite_changed;
    RetryGroupChanged => server_hellos::retry_group_changed;

    BadAlpn => server_hellos::bad_alpn;
    BadServerNameAck => server_hellos::bad_server_name_ack;
    UnofferedCertificateType => server_hellos::unoffered_certificate_type;

    EarlyDataKey => psks::early_data_key;
    EarlyDataSuite => psks::early_data_suite;
    EarlyDataAlpn => psks::early_data_alpn;

    RequestContextNotEmpty => authentication::request_context_not_empty;
    CertificateContext => authentication::certificate_context;
    EmptyServerCertificate => authentication::empty_server_certificate;
    NoClientCertificate => authentication::no_client_certificate;
    SeveralRawPublicKeys => authentication::several_raw_public_keys;
    UnofferedSignatureScheme => authentication::unoffered_signature_scheme;
    SignatureSchemeMismatch => authentication::signature_scheme_mismatch;
    BadSignature => authentication::bad_signature;
    BadFinished => authentication::bad_finished;
    BadStatus => authentication::bad_status;

    UnofferedCompression => authentication::unoffered_compression;
    BadCompression => authentication::bad_compression;

    TooMuchEarlyData => psks::too_much_early_data;

    PaddedFlags => hellos::padded_flags;
    BadKeyUpdate => records::bad_key_update;
}

cases! { limit:
    HandshakeMessage => limits::handshake_message;
    CertificateMessage => limits::certificate_message;
    HandshakeBytes => limits::handshake_bytes;
    HandshakeMessages => limits::handshake_messages;
    ChainLength => limits::chain_length;
    ChainBytes => limits::chain_bytes;
    Signatures => limits::signatures;
    Candidates => limits::candidates;
    NameComparisons => limits::name_comparisons;
    DecompressedCertificate => limits::decompressed_certificate;
    DecompressionWindow => limits::decompression_window;
    SkippedEarlyData => limits::skipped_early_data;
    EmptyRecords => limits::empty_records;
    ChangeCipherSpecs => limits::change_cipher_specs;
    Warnings => limits::warnings;
    KeyUpdates => limits::key_updates;
    Tickets => limits::tickets;
    PostHandshake => limits::post_handshake;
    BufferedBytes => limits::buffered_bytes;
}

cases! { no_overlap:
    Version => overlap::version;
    CipherSuite => overlap::cipher_suite;
    Group => overlap::group;
    SignatureScheme => overlap::signature_scheme;
    Alpn => overlap::alpn;
    Psk => psks::no_common_psk;
    Credential => overlap::credential;
    CertificateType => overlap::certificate_type;
}

cases! { misused:
    NotConnected => misuse::not_connected;
    Closed => misuse::closed, misuse::closed_for_keys;
    RecordBuffer => misuse::record_buffer;
    RecordTooLong => misuse::record_too_long;
    OutputWaiting => misuse::output_waiting;
    UnexpectedAnswer => misuse::unexpected_answer;
    ExporterLength => misuse::exporter_length;
    Busy => misuse::busy;
    NotInProvider => misuse::not_in_provider;
    Config => misuse::config;
    Psk => psks::misused_psk;
    Session => psks::no_session;
    Migration => psks::no_frozen_connection;
    MigrationKey => psks::weak_migration_key;
    NotMovable => psks::not_movable;
    NoEarlyData => psks::no_early_data;
    EarlyDataTooLong => psks::early_data_too_long;
    NoTickets => psks::no_tickets;
    NoPostHandshakeAuth => psks::no_post_handshake_auth;
    PrivateKey => misuse::private_key;
    Crl => misuse::crl;
    Credential => misuse::credential;
}

/// 2^48 key changes take too long to be made here: `record::seal` has a unit test of it.
const TESTED_INSIDE: &[&str] = &["KeyExhausted"];

#[test]
fn every_violation_has_a_test() {
    let all: Vec<String> = Violation::ALL.iter().map(|v| format!("{v:?}")).collect();
    assert_eq!(violation::NAMES, all);
}

#[test]
fn every_limit_overlap_and_misuse_has_a_test() {
    let errors = include_str!("../src/error/mod.rs");
    let limits = variants(include_str!("../src/error/limit.rs"), "Limit");
    assert_eq!([limit::NAMES, TESTED_INSIDE].concat(), limits);
    assert_eq!(no_overlap::NAMES, variants(errors, "NoOverlap"));
    assert_eq!(misused::NAMES, variants(errors, "Misuse"));
}

/// The variants of an enum in the library's source: from outside, only the source knows them all.
fn variants(source: &'static str, name: &str) -> Vec<&'static str> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let code = body.lines().map(str::trim);
    let code = code.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    code.map(|line| line.split([',', '(', ' ']).next().unwrap()).collect()
}
