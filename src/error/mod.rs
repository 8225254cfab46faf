//! Everything that can go wrong, whose fault it is, and the alert that the peer is owed.
//!
//! ```text
//!   the peer broke a rule      Violation   one line of the table below: name, alert, text; its rule is its doc
//!   the peer sent rubbish      Decode, UnexpectedMessage, BadRecordMac
//!   nothing in common          NoOverlap
//!   the peer's certificate     Certificate, with a report
//!   the peer gave up           PeerAlert
//!   a limit of ours            Limit
//!   the caller                 Misuse, OutputTooSmall: the connection is as it was
//!   the provider or signer     Crypto, TooLong
//! ```

mod certificate;
mod certificate_codes;
mod limit;
mod report;
mod words;

use std::fmt;

use thiserror::Error as ThisError;

pub use self::certificate::*;
pub use self::limit::Limit;
pub use self::report::*;
pub(crate) use self::words::{Date, Span};
use crate::codepoints::{
    Alert, CertificateType, CipherSuiteId, NamedGroup, ProtocolVersion, SignatureScheme,
};

/// One line for each rule that a peer can break: `name => alert, what happened`. The doc line is the rule.
macro_rules! violations {
    ($($(#[doc = $doc:literal])+ $name:ident => $alert:ident, $text:literal;)+) => {
        /// A rule of TLS that the peer broke. The documentation of each is the rule; [`Violation::alert`] is what
        /// the peer is told.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
        #[non_exhaustive]
        pub enum Violation { $($(#[doc = $doc])+ #[error($text)] $name,)+ }

        impl Violation {
            /// Every violation there is, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The alert that the peer is owed.
            #[must_use]
            pub fn alert(self) -> Alert {
                match self { $(Self::$name => Alert::$alert,)+ }
            }
        }
    };
}

violations! {
    // Records
    /// RFC 9846 §5.1 and RFC 9846 §5.2
    RecordOverflow => record_overflow, "record is longer than 2^14 bytes, or 2^14 + 256 protected";
    /// RFC 9846 §5.4
    PlaintextOverflow => record_overflow, "record holds more than 2^14 + 1 bytes, padding and type included";
    /// RFC 9846 §5.4
    NoContentType => unexpected_message, "protected record is all zeros: it has no content type";
    /// RFC 9846 §5.4
    EmptyFragment => unexpected_message, "handshake or alert record without content";
    /// RFC 9846 §5
    NotTls => unexpected_message, "this is no TLS record: the peer speaks another protocol";
    /// RFC 9846 §5
    UnexpectedRecord => unexpected_message, "record of a type that is not allowed here";
    /// RFC 9846 §5
    BadChangeCipherSpec => unexpected_message, "change_cipher_spec that is not the single byte 1, or is protected";
    /// RFC 9846 §5
    UnexpectedChangeCipherSpec => unexpected_message, "change_cipher_spec before ClientHello or after Finished";
    /// RFC 9846 §5.1
    KeyChangeMidRecord => unexpected_message, "handshake bytes follow a message that changes keys";
    /// RFC 9846 §5.1
    InterleavedHandshake => unexpected_message, "another record stands inside a split handshake message";
    /// RFC 9846 §5.1
    AlertNotAlone => decode_error, "alert record does not hold exactly one alert";
    /// RFC 9846 §5.2
    UnprotectedRecord => unexpected_message, "record without protection where protection has begun";

    // Any message with extensions
    /// RFC 9846 §4.3
    DuplicateExtension => illegal_parameter, "the same extension twice in one block";
    /// RFC 9846 §4.3
    UnsolicitedExtension => unsupported_extension, "answer to an extension that was never sent";
    /// RFC 9846 §4.3
    MisplacedExtension => illegal_parameter, "extension that does not belong in this message";
    /// RFC 9846 §4.3.11
    PreSharedKeyNotLast => illegal_parameter, "pre_shared_key is not the last extension";

    // ClientHello
    /// RFC 9846 §4.2.2 and RFC 9846 §4.2.3
    LegacyVersion => protocol_version, "legacy_version is not 0x0303";
    /// RFC 9846 §4.2.2
    LegacyCompression => illegal_parameter, "legacy_compression_methods is not the single null method";
    /// RFC 9846 §9.2 and, in CertificateRequest, RFC 9846 §4.4.2
    MissingSignatureAlgorithms => missing_extension, "no signature_algorithms";
    /// RFC 9846 §9.2
    MissingSupportedGroups => missing_extension, "no supported_groups";
    /// RFC 9846 §9.2
    MissingKeyShare => missing_extension, "no key_share";
    /// RFC 9846 §4.3.9
    MissingPskModes => missing_extension, "pre_shared_key without psk_key_exchange_modes";
    /// RFC 9846 §9.2
    MissingServerName => missing_extension, "no server_name, which this server requires";
    /// RFC 9846 §4.3.8
    DuplicateKeyShare => illegal_parameter, "two key shares for one group";
    /// RFC 9846 §4.3.8
    KeyShareNotInGroups => illegal_parameter, "key share for a group that is not in supported_groups";
    /// RFC 9846 §4.3.8
    BadKeyShare => illegal_parameter, "key share is no valid public key of its group";
    /// RFC 9846 §4.3.11
    BinderCount => illegal_parameter, "pre_shared_key has not one binder for each identity";
    /// RFC 9846 §4.3.11.2
    BadBinder => decrypt_error, "the binder of the chosen pre-shared key does not verify";
    /// RFC 6066 §3
    BadServerName => illegal_parameter, "server_name lists two host names";
    /// RFC 6066 §3
    UnrecognizedName => unrecognized_name, "there is no credential for this server_name";
    /// RFC 7250 §4.1
    OnlyDefaultCertificateType => illegal_parameter, "list of certificate types with nothing but the default in it";
    /// RFC 9846 §4.2.2
    ChangedClientHello => illegal_parameter, "the second ClientHello differs where it may not";
    /// RFC 9846 §4.3.8
    RetryIgnored => illegal_parameter, "the second ClientHello has not exactly the key share that was asked for";
    /// RFC 9846 §4.2.2
    MissingPreSharedKey => missing_extension, "the second ClientHello has no pre_shared_key, though keys of the first fit the suite";
    /// RFC 9846 §4.2.2
    ChangedPreSharedKeys => illegal_parameter, "the second ClientHello offers other pre-shared keys for the suite than the first";
    /// RFC 9846 §4.2.2
    EarlyDataAfterRetry => illegal_parameter, "the second ClientHello still offers early data";
    /// RFC 9846 §4.3.2
    CookieNotEchoed => illegal_parameter, "the second ClientHello lacks our cookie";
    /// RFC 9846 §4.3.2
    BadCookie => illegal_parameter, "cookie that this server did not make, or that is too old";

    // ServerHello and HelloRetryRequest
    /// RFC 9846 §4.2.3
    Downgrade => illegal_parameter, "ServerHello.random says that somebody hid TLS 1.3 from the server";
    /// RFC 9846 §4.3.1
    BadSelectedVersion => illegal_parameter, "server selected a version that we did not offer";
    /// RFC 9846 §4.2.3
    SessionIdNotEchoed => illegal_parameter, "server did not echo legacy_session_id";
    /// RFC 9846 §4.2.3
    UnofferedCipherSuite => illegal_parameter, "server selected a cipher suite that we did not offer";
    /// RFC 9846 §4.2.3
    CompressionSelected => illegal_parameter, "server selected compression";
    /// RFC 9846 §9.2
    NoKeyExchange => missing_extension, "ServerHello has no key_share";
    /// RFC 9846 §4.3.8
    UnofferedGroup => illegal_parameter, "server answered with a group for which we sent no share";
    /// RFC 9846 §4.3.11
    UnofferedPsk => illegal_parameter, "server selected a pre-shared key that we did not offer";
    /// RFC 9846 §2.2
    PskDeclined => handshake_failure, "server declined the pre-shared keys, and we insist on one";
    /// RFC 9846 §4.3.11
    PskHashMismatch => illegal_parameter, "server selected a cipher suite with another hash than the pre-shared key's";
    /// RFC 9846 §4.3.9
    UnofferedPskMode => illegal_parameter, "server uses a pre-shared key without key exchange, which we did not offer";
    /// RFC 9846 §4.2.4
    SecondRetry => unexpected_message, "second HelloRetryRequest";
    /// RFC 9846 §4.2.4
    UselessRetry => illegal_parameter, "HelloRetryRequest that changes nothing";
    /// RFC 9846 §4.3.8
    BadRetryGroup => illegal_parameter, "HelloRetryRequest for a group that we did not offer or already sent";
    /// RFC 9846 §4.2.4
    RetryVersionChanged => illegal_parameter, "ServerHello has another version than HelloRetryRequest, or none";
    /// RFC 9846 §4.2.4
    RetrySuiteChanged => illegal_parameter, "ServerHello has another cipher suite than HelloRetryRequest";
    /// RFC 9846 §4.3.8
    RetryGroupChanged => illegal_parameter, "ServerHello has another group than HelloRetryRequest";

    // EncryptedExtensions
    /// RFC 7301 §3.1
    BadAlpn => illegal_parameter, "server selected several application protocols, or one that we did not offer";
    /// RFC 6066 §3
    BadServerNameAck => decode_error, "server_name in EncryptedExtensions is not empty";
    /// RFC 7250 §4.2
    UnofferedCertificateType => illegal_parameter, "server selected a certificate type that we did not offer";

    /// RFC 9846 §4.3.10 and RFC 9846 §4.3.11
    EarlyDataKey => illegal_parameter, "server accepts early data without taking the first pre-shared key";
    /// RFC 9846 §4.3.10
    EarlyDataSuite => illegal_parameter, "server accepts early data and selects another cipher suite than it was sent with";
    /// RFC 9846 §4.3.10
    EarlyDataAlpn => illegal_parameter, "server accepts early data and selects another protocol than it was sent for";

    // Authentication
    /// RFC 9846 §4.4.2
    RequestContextNotEmpty => illegal_parameter, "certificate_request_context is not empty in the handshake";
    /// RFC 9846 §4.5.1
    CertificateContext => illegal_parameter, "Certificate answers another request";
    /// RFC 9846 §4.5.1.3
    EmptyServerCertificate => decode_error, "server sent no certificate";
    /// RFC 9846 §4.5.1.3
    NoClientCertificate => certificate_required, "client sent no certificate, which this server requires";
    /// RFC 9846 §4.5.1
    SeveralRawPublicKeys => illegal_parameter, "Certificate holds more than one raw public key";
    /// RFC 9846 §4.5.2
    UnofferedSignatureScheme => illegal_parameter, "CertificateVerify uses a scheme that we did not offer";
    /// RFC 9846 §4.5.2
    SignatureSchemeMismatch => illegal_parameter, "CertificateVerify's scheme does not fit the certificate's key";
    /// RFC 9846 §4.5.2
    BadSignature => decrypt_error, "CertificateVerify does not verify";
    /// RFC 9846 §4.5.3
    BadFinished => decrypt_error, "Finished does not verify";
    /// RFC 9846 §4.5.1.1
    BadStatus => bad_certificate_status_response, "CertificateStatus is of another type than ocsp";

    /// RFC 8879 §4
    UnofferedCompression => illegal_parameter, "certificate is compressed with an algorithm that we did not offer";
    /// RFC 8879 §4
    BadCompression => bad_certificate, "compressed certificate does not decompress to what it says";

    /// RFC 9846 §4.7.1
    TooMuchEarlyData => unexpected_message, "more early data than the ticket allows";

    // After the handshake
    /// draft-ietf-tls-tlsflags §2
    PaddedFlags => illegal_parameter, "tls_flags ends with a byte that has no flag in it";
    /// RFC 9846 §4.7.3
    BadKeyUpdate => illegal_parameter, "KeyUpdate asks for something unknown";
}

/// What the two sides had no value in common for. Each names what the peer offered.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum NoOverlap {
    /// The peer does not speak TLS 1.3; these are the versions it offered (RFC 9846 §4.3.1).
    #[error("peer does not speak TLS 1.3; it offers {}", List(.0))]
    Version(Vec<ProtocolVersion>),
    /// RFC 9846 §4.2.1
    #[error("no common cipher suite; peer offers {}", List(.0))]
    CipherSuite(Vec<CipherSuiteId>),
    /// RFC 9846 §4.2.1
    #[error("no common key exchange group; peer offers {}", List(.0))]
    Group(Vec<NamedGroup>),
    /// RFC 9846 §4.3.3
    #[error("none of our keys can sign with what the peer accepts: {}", List(.0))]
    SignatureScheme(Vec<SignatureScheme>),
    /// RFC 7301 §3.2
    #[error("no common application protocol")]
    Alpn,
    /// RFC 9846 §4.3.11: this end insists on a pre-shared key, and the other has none that fits.
    #[error("no common pre-shared key")]
    Psk,
    /// RFC 9846 §4.2.1: there is nothing to authenticate with, neither a certificate nor a pre-shared key.
    #[error("this server holds no credential for this client")]
    Credential,
    /// RFC 7250 §4.2
    #[error("no common certificate type; peer offers {}", List(.0))]
    CertificateType(Vec<CertificateType>),
}

impl NoOverlap {
    /// The alert that the peer is owed.
    #[must_use]
    pub fn alert(&self) -> Alert {
        match self {
            Self::Version(_) => Alert::protocol_version,
            Self::CipherSuite(_) | Self::Group(_) | Self::SignatureScheme(_) | Self::Credential => {
                Alert::handshake_failure
            }
            Self::Alpn => Alert::no_application_protocol,
            Self::Psk => Alert::unknown_psk_identity,
            Self::CertificateType(_) => Alert::unsupported_certificate,
        }
    }
}

/// Code points, separated by commas.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = self.0.iter();
        match items.next() {
            None => f.write_str("nothing"),
            Some(first) => {
                first.fmt(f)?;
                items.try_for_each(|item| write!(f, ", {item}"))
            }
        }
    }
}

/// A call that makes no sense now. The connection is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Misuse {
    /// The handshake is not complete.
    #[error("the handshake is not complete: wait for Event::Connected")]
    NotConnected,
    /// Our side has sent close_notify.
    #[error("this side is closed: nothing can be sent after close()")]
    Closed,
    /// The buffer given to `seal` has no room for header and tag.
    #[error("the record buffer needs 5 bytes before the data and 17 after it")]
    RecordBuffer,
    /// More than one record's worth was given to `seal`.
    #[error("more data than one record carries")]
    RecordTooLong,
    /// Output is waiting that has to go first.
    #[error("earlier output is waiting: call flush() first")]
    OutputWaiting,
    /// An answer that no question was asked for.
    #[error("the connection does not wait for this answer")]
    UnexpectedAnswer,
    /// Exported keying material is limited to 255 hash lengths, labels to 249 bytes (RFC 9846 §7.5).
    #[error("exporter output or label is too long")]
    ExporterLength,
    /// The connection still holds received bytes or an owed answer, so its keys cannot be taken.
    #[error("the connection holds unprocessed protocol bytes")]
    Busy,
    /// A configuration lists something that its provider does not have.
    #[error("the provider has none of the {0} that were asked for")]
    NotInProvider(&'static str),
    /// A configuration value is out of its range.
    #[error("{0}")]
    Config(&'static str),
    /// A pre-shared key, its identity or its context is out of range.
    #[error("a pre-shared key has 16 to 80 bytes, a name, and different roles")]
    Psk,
    /// Bytes that are no session, or no ticket keys, or of another version.
    #[error("this is no session and no ticket keys of this version")]
    Session,
    /// Bytes that are no frozen connection under this key, of this version, for this role; or that were thawed before.
    #[error("this is no connection frozen under this key for this role, or it was thawed before")]
    Migration,
    /// A migration key is weak, or has thawed as many connections as it can keep apart.
    #[error("a migration key is not all zeros, and thaws at most 65536 connections")]
    MigrationKey,
    /// A client that has offered post-handshake authentication must be able to answer, and cannot do so elsewhere, or in halves.
    #[error(
        "a client with post-handshake authentication cannot be split, or moved to another process"
    )]
    NotMovable,
    /// Early data cannot be sent now: it was not offered, is over, or is refused.
    #[error("early data cannot be sent: none is offered, or the answer has come")]
    NoEarlyData,
    /// More early data than the server takes.
    #[error("the server takes less early data than that")]
    EarlyDataTooLong,
    /// The peer cannot resume, or there is nothing to issue tickets with.
    #[error("no ticket can be sent: the server has no tickets, or the client cannot use them")]
    NoTickets,
    /// The client cannot be asked for a certificate now: it did not offer that, or the configuration has no verifier.
    #[error("the client cannot be asked for a certificate after the handshake")]
    NoPostHandshakeAuth,
    /// A private key does not parse, or is of a kind that the provider cannot use.
    #[error("the private key does not parse, or the provider cannot use it")]
    PrivateKey,
    /// A certificate revocation list cannot be used.
    #[error("CRL number {number} cannot be used: {what}")]
    Crl {
        /// Which of those that were given, from 1.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A certificate does not parse, or does not belong to the private key.
    #[error("the certificate does not parse, or its key is not the private key's")]
    Credential,
}

/// A primitive refused its input, or failed. It says nothing more, so that it cannot become an oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[error("cryptographic operation failed")]
pub struct CryptoError;

/// Why a connection failed, or a call was refused.
///
/// Apart from [`Error::Misuse`] and [`Error::OutputTooSmall`], every error is final: the alert that
/// [`Error::alert`] names is in the output, and every later call returns the same error.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent something that does not parse; this is its name (RFC 9846 §6).
    #[error("peer sent a malformed {0}")]
    Decode(&'static str),
    /// The peer sent a message that has no row in the state machine (RFC 9846 §4).
    #[error("peer sent {got} while we are in {state}")]
    UnexpectedMessage {
        /// The state, as in RFC 9846 Appendix A.
        state: &'static str,
        /// What came.
        got: &'static str,
    },
    /// The peer broke a rule.
    #[error("peer violated TLS: {0}")]
    Violation(#[from] Violation),
    /// The two sides have nothing in common.
    #[error(transparent)]
    NoOverlap(#[from] NoOverlap),
    /// The peer's certificate was not accepted.
    #[error("peer's certificate was not accepted: {0}")]
    Certificate(#[from] CertificateError),
    /// A record does not authenticate. That is all there is to know (RFC 9846 §5.2).
    #[error("record failed authentication")]
    BadRecordMac,
    /// The peer gave up and said why (RFC 9846 §6.2).
    #[error("peer sent the alert {0}")]
    PeerAlert(Alert),
    /// A bound of ours was reached.
    #[error("limit reached: {0}")]
    Limit(#[from] Limit),
    /// The signer outside, or the application, refused with this alert.
    #[error("the application refused the connection with the alert {0}")]
    Refused(Alert),
    /// The provider failed: no randomness, or a signing key that does not sign.
    #[error("the cryptographic provider failed")]
    Crypto(#[from] CryptoError),
    /// Something of ours does not fit into a message, a certificate chain of over 16 MiB for example.
    #[error("our own message does not fit its length prefix")]
    TooLong,
    /// The transport ended before the peer said that it would: data may be missing (RFC 9846 §6.1).
    #[error("the stream was cut: the transport ended without close_notify")]
    Truncated,
    /// The caller's mistake; the connection is unharmed.
    #[error("API misuse: {0}")]
    Misuse(#[from] Misuse),
    /// The output has no room. Nothing was lost or half-done: call again with room for `need` bytes.
    #[error("output needs room for {need} bytes")]
    OutputTooSmall {
        /// How many bytes the output must take.
        need: usize,
    },
}

impl Error {
    pub(crate) fn unexpected(state: &'static str, got: &'static str) -> Self {
        Self::UnexpectedMessage { state, got }
    }

    /// The alert that the peer is owed, if any. Exhaustive on purpose: a new variant must choose.
    #[must_use]
    pub fn alert(&self) -> Option<Alert> {
        match self {
            Self::Decode(_) => Some(Alert::decode_error),
            Self::UnexpectedMessage { .. } => Some(Alert::unexpected_message),
            Self::Violation(violation) => Some(violation.alert()),
            Self::NoOverlap(what) => Some(what.alert()),
            Self::Certificate(error) => Some(error.alert()),
            Self::BadRecordMac => Some(Alert::bad_record_mac),
            Self::Limit(limit) => Some(limit.alert()),
            Self::Refused(alert) => Some(*alert),
            Self::Crypto(_) | Self::TooLong => Some(Alert::internal_error),
            Self::PeerAlert(_)
            | Self::Truncated
            | Self::Misuse(_)
            | Self::OutputTooSmall { .. } => None,
        }
    }

    /// The limit that was reached, if that is what happened, on its own or in the verdict on a chain.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::Limit(limit) => Some(*limit),
            Self::Certificate(CertificateError {
                reason: CertificateReason::BudgetExhausted { limit },
                ..
            }) => Some(*limit),
            _ => None,
        }
    }

    /// Whether the connection is over. [`Error::Misuse`] and [`Error::OutputTooSmall`] leave it as it was.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Misuse(_) | Self::OutputTooSmall { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_was_offered() {
        let error = Error::from(NoOverlap::Version(vec![
            ProtocolVersion::TLSv1_2,
            ProtocolVersion(0x7f17),
        ]));
        assert_eq!(error.to_string(), "peer does not speak TLS 1.3; it offers TLSv1_2, 0x7f17");
        assert_eq!(error.alert(), Some(Alert::protocol_version));
    }

    #[test]
    fn misuse_is_not_fatal() {
        assert!(!Error::from(Misuse::Closed).is_fatal());
        assert!(Error::BadRecordMac.is_fatal());
    }
}
