//! Bounds of ours that a peer ran into.

use thiserror::Error as ThisError;

use crate::codepoints::Alert;

/// A bound of ours that the peer ran into. Each has the name of a field of [`Limits`](crate::Limits), but for
/// [`Limit::KeyExhausted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
#[non_exhaustive]
pub enum Limit {
    /// One handshake message is too long.
    #[error("a handshake message is too long")]
    HandshakeMessage,
    /// A Certificate message is too long.
    #[error("the Certificate message is too long")]
    CertificateMessage,
    /// Too many bytes of handshake messages.
    #[error("the handshake has too many bytes")]
    HandshakeBytes,
    /// Too many handshake messages.
    #[error("the handshake has too many messages")]
    HandshakeMessages,
    /// Too many certificates in the peer's chain.
    #[error("the certificate chain has too many certificates")]
    ChainLength,
    /// Too many bytes of certificates in the peer's chain.
    #[error("the certificate chain has too many bytes")]
    ChainBytes,
    /// The peer's chain asks for too many signatures to be checked.
    #[error("too many signatures to check")]
    Signatures,
    /// The peer's chain describes too many paths.
    #[error("too many possible issuers to consider")]
    Candidates,
    /// The peer's chain has too many names, and its CAs too many constraints.
    #[error("too many names to compare with constraints")]
    NameComparisons,
    /// A compressed certificate is too long once it is decompressed.
    #[error("the compressed certificate is too long when decompressed")]
    DecompressedCertificate,
    /// A compressed certificate asks for too large a window.
    #[error("the compressed certificate needs too large a window")]
    DecompressionWindow,
    /// More early data than is dropped.
    #[error("the client sends more early data than is skipped")]
    SkippedEarlyData,
    /// Too many records in a row that carry nothing.
    #[error("too many empty records in a row")]
    EmptyRecords,
    /// Too many change_cipher_spec records.
    #[error("too many change_cipher_spec records")]
    ChangeCipherSpecs,
    /// Too many user_canceled alerts.
    #[error("too many warning alerts")]
    Warnings,
    /// Too many KeyUpdates without application data between them.
    #[error("too many KeyUpdates without data")]
    KeyUpdates,
    /// Too many tickets without application data between them.
    #[error("too many tickets without data")]
    Tickets,
    /// Too many other post-handshake messages without application data between them.
    #[error("too many post-handshake messages without data")]
    PostHandshake,
    /// Too many received bytes that cannot be used yet.
    #[error("too many bytes wait for the rest of a message")]
    BufferedBytes,
    /// Our own sending key reached the last generation (RFC 9846 §4.7.3) or its last record (RFC 9846 §5.5).
    #[error("the sending key is used up and cannot be updated again")]
    KeyExhausted,
}

impl Limit {
    /// The alert that the peer is owed.
    #[must_use]
    pub fn alert(self) -> Alert {
        match self {
            Self::HandshakeMessage
            | Self::CertificateMessage
            | Self::HandshakeBytes
            | Self::BufferedBytes => Alert::illegal_parameter,
            Self::HandshakeMessages
            | Self::EmptyRecords
            | Self::SkippedEarlyData
            | Self::ChangeCipherSpecs
            | Self::Warnings
            | Self::KeyUpdates
            | Self::Tickets
            | Self::PostHandshake => Alert::unexpected_message,
            // RFC 8879 §4: what cannot be decompressed is a bad certificate.
            Self::ChainLength
            | Self::ChainBytes
            | Self::DecompressedCertificate
            | Self::DecompressionWindow => Alert::bad_certificate,
            // What was not looked at to the end is neither bad nor good.
            Self::Signatures | Self::Candidates | Self::NameComparisons => {
                Alert::certificate_unknown
            }
            Self::KeyExhausted => Alert::internal_error,
        }
    }
}
