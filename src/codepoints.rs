//! The numbers of TLS: open enums, so that a value which we do not know is carried and not refused.
//!
//! Each type is a transparent wrapper around the number, with a constant for every value that has a name here
//! (IANA's registries, as of RFC 9846 §11). `Debug` and `Display` print the name, or the number in hexadecimal.

macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident: $repr:ty { $($(#[doc = $doc:literal])* $variant:ident = $value:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        #[allow(non_upper_case_globals, missing_docs)] // The constants are spelt as the RFCs spell them.
        impl $name {
            $($(#[doc = $doc])* pub const $variant: Self = Self($value);)+

            /// The registered name, or `None` if the value has no name here.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some(stringify!($variant)),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{:#06x}", self.0),
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl From<$repr> for $name {
            fn from(value: $repr) -> Self {
                Self(value)
            }
        }
    };
}

open_enum! {
    /// A protocol version (RFC 9846 §4.3.1).
    ProtocolVersion: u16 {
        SSLv3 = 0x0300,
        TLSv1_0 = 0x0301,
        TLSv1_1 = 0x0302,
        TLSv1_2 = 0x0303,
        TLSv1_3 = 0x0304,
    }
}

open_enum! {
    /// A record's content type (RFC 9846 §5.1).
    ContentType: u8 {
        change_cipher_spec = 20,
        alert = 21,
        handshake = 22,
        application_data = 23,
    }
}

open_enum! {
    /// A handshake message's type (RFC 9846 §4).
    HandshakeType: u8 {
        client_hello = 1,
        server_hello = 2,
        new_session_ticket = 4,
        end_of_early_data = 5,
        encrypted_extensions = 8,
        certificate = 11,
        certificate_request = 13,
        certificate_verify = 15,
        finished = 20,
        key_update = 24,
        compressed_certificate = 25,
        message_hash = 254,
    }
}

open_enum! {
    /// A way to compress certificates (RFC 8879 §3).
    CertificateCompressionAlgorithm: u16 {
        zlib = 1,
        brotli = 2,
        zstd = 3,
    }
}

open_enum! {
    /// A cipher suite (RFC 9846 Appendix B.4).
    CipherSuiteId: u16 {
        TLS_AES_128_GCM_SHA256 = 0x1301,
        TLS_AES_256_GCM_SHA384 = 0x1302,
        TLS_CHACHA20_POLY1305_SHA256 = 0x1303,
        TLS_AES_128_CCM_SHA256 = 0x1304,
        TLS_AES_128_CCM_8_SHA256 = 0x1305,
    }
}

open_enum! {
    /// A key exchange group (RFC 9846 §4.3.7; the hybrids are from draft-ietf-tls-ecdhe-mlkem).
    NamedGroup: u16 {
        secp256r1 = 0x0017,
        secp384r1 = 0x0018,
        secp521r1 = 0x0019,
        x25519 = 0x001d,
        x448 = 0x001e,
        ffdhe2048 = 0x0100,
        ffdhe3072 = 0x0101,
        ffdhe4096 = 0x0102,
        ffdhe6144 = 0x0103,
        ffdhe8192 = 0x0104,
        MLKEM512 = 0x0200,
        MLKEM768 = 0x0201,
        MLKEM1024 = 0x0202,
        SecP256r1MLKEM768 = 0x11eb,
        X25519MLKEM768 = 0x11ec,
        SecP384r1MLKEM1024 = 0x11ed,
    }
}

impl NamedGroup {
    /// Whether the group resists a quantum computer: it is, or contains, ML-KEM.
    #[must_use]
    pub fn is_post_quantum(self) -> bool {
        matches!(
            self,
            Self::MLKEM512
                | Self::MLKEM768
                | Self::MLKEM1024
                | Self::SecP256r1MLKEM768
                | Self::X25519MLKEM768
                | Self::SecP384r1MLKEM1024
        )
    }
}

open_enum! {
    /// A signature algorithm (RFC 9846 §4.3.3; the legacy ones are from RFC 9963 §3).
    SignatureScheme: u16 {
        rsa_pkcs1_sha1 = 0x0201,
        ecdsa_sha1 = 0x0203,
        rsa_pkcs1_sha256 = 0x0401,
        ecdsa_secp256r1_sha256 = 0x0403,
        rsa_pkcs1_sha256_legacy = 0x0420,
        rsa_pkcs1_sha384 = 0x0501,
        ecdsa_secp384r1_sha384 = 0x0503,
        rsa_pkcs1_sha384_legacy = 0x0520,
        rsa_pkcs1_sha512 = 0x0601,
        ecdsa_secp521r1_sha512 = 0x0603,
        rsa_pkcs1_sha512_legacy = 0x0620,
        rsa_pss_rsae_sha256 = 0x0804,
        rsa_pss_rsae_sha384 = 0x0805,
        rsa_pss_rsae_sha512 = 0x0806,
        ed25519 = 0x0807,
        ed448 = 0x0808,
        rsa_pss_pss_sha256 = 0x0809,
        rsa_pss_pss_sha384 = 0x080a,
        rsa_pss_pss_sha512 = 0x080b,
        mldsa44 = 0x0904,
        mldsa65 = 0x0905,
        mldsa87 = 0x0906,
    }
}

impl SignatureScheme {
    /// Whether the scheme may sign any CertificateVerify: not PKCS#1 v1.5 and not SHA-1, which are for certificates only
    /// (RFC 9846 §4.3.3), or for the client's alone (RFC 9963 §3).
    #[must_use]
    pub fn is_for_handshake(self) -> bool {
        !matches!(
            self,
            Self::rsa_pkcs1_sha1
                | Self::ecdsa_sha1
                | Self::rsa_pkcs1_sha256
                | Self::rsa_pkcs1_sha384
                | Self::rsa_pkcs1_sha512
        ) && self.legacy_pkcs1().is_none()
    }

    /// RFC 9963 §3: what a scheme is but for its number, if it is one of those that only a client may sign with, whose key
    /// is in a token that knows nothing better.
    pub(crate) fn legacy_pkcs1(self) -> Option<Self> {
        match self {
            Self::rsa_pkcs1_sha256_legacy => Some(Self::rsa_pkcs1_sha256),
            Self::rsa_pkcs1_sha384_legacy => Some(Self::rsa_pkcs1_sha384),
            Self::rsa_pkcs1_sha512_legacy => Some(Self::rsa_pkcs1_sha512),
            _ => None,
        }
    }

    /// Whether a client's CertificateVerify may be signed with it.
    pub(crate) fn is_for_client(self) -> bool {
        self.is_for_handshake() || self.legacy_pkcs1().is_some()
    }
}

open_enum! {
    /// An extension's type (RFC 9846 §4.3).
    ExtensionType: u16 {
        server_name = 0,
        max_fragment_length = 1,
        status_request = 5,
        supported_groups = 10,
        ec_point_formats = 11,
        signature_algorithms = 13,
        use_srtp = 14,
        heartbeat = 15,
        application_layer_protocol_negotiation = 16,
        status_request_v2 = 17,
        signed_certificate_timestamp = 18,
        client_certificate_type = 19,
        server_certificate_type = 20,
        padding = 21,
        encrypt_then_mac = 22,
        extended_main_secret = 23,
        compress_certificate = 27,
        record_size_limit = 28,
        delegated_credential = 34,
        session_ticket = 35,
        pre_shared_key = 41,
        early_data = 42,
        supported_versions = 43,
        cookie = 44,
        psk_key_exchange_modes = 45,
        certificate_authorities = 47,
        oid_filters = 48,
        post_handshake_auth = 49,
        signature_algorithms_cert = 50,
        key_share = 51,
        transparency_info = 52,
        quic_transport_parameters = 57,
        ticket_request = 58,
        tls_flags = 62,
        ech_outer_extensions = 0xfd00,
        encrypted_client_hello = 0xfe0d,
        renegotiation_info = 0xff01,
    }
}

open_enum! {
    /// What a Certificate message carries (RFC 7250 §3; of the registered types TLS 1.3 has the first and the third).
    CertificateType: u8 {
        X509 = 0,
        OpenPGP = 1,
        RawPublicKey = 2,
    }
}

open_enum! {
    /// An alert's description (RFC 9846 §6).
    Alert: u8 {
        close_notify = 0,
        unexpected_message = 10,
        bad_record_mac = 20,
        record_overflow = 22,
        handshake_failure = 40,
        bad_certificate = 42,
        unsupported_certificate = 43,
        certificate_revoked = 44,
        certificate_expired = 45,
        certificate_unknown = 46,
        illegal_parameter = 47,
        unknown_ca = 48,
        access_denied = 49,
        decode_error = 50,
        decrypt_error = 51,
        protocol_version = 70,
        insufficient_security = 71,
        internal_error = 80,
        inappropriate_fallback = 86,
        user_canceled = 90,
        missing_extension = 109,
        unsupported_extension = 110,
        unrecognized_name = 112,
        bad_certificate_status_response = 113,
        unknown_psk_identity = 115,
        certificate_required = 116,
        general_error = 117,
        no_application_protocol = 120,
        ech_required = 121,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(NamedGroup::X25519MLKEM768.to_string(), "X25519MLKEM768");
        assert_eq!(NamedGroup(0x0a0a).to_string(), "0x0a0a");
        assert_eq!(format!("{:?}", Alert::close_notify), "close_notify");
        assert_eq!(ProtocolVersion::from(0x0304).name(), Some("TLSv1_3"));
    }

    #[test]
    fn certificate_only_schemes() {
        assert!(!SignatureScheme::rsa_pkcs1_sha256.is_for_handshake());
        assert!(!SignatureScheme::ecdsa_sha1.is_for_handshake());
        assert!(SignatureScheme::rsa_pss_rsae_sha256.is_for_handshake());
        assert!(!SignatureScheme::rsa_pkcs1_sha256_legacy.is_for_handshake());
        assert!(SignatureScheme::rsa_pkcs1_sha256_legacy.is_for_client());
    }
}
