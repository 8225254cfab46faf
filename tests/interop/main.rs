//! Sealwire with software that we did not write, over TCP: OpenSSL, GnuTLS, Go, rustls, Python's `ssl` and curl.
//!
//! `case::CASES` says what is tried, `matrix!` below with whom: every case is a test of its own, once with the peer as
//! the server and once as the client, so that `cargo test --test interop` prints the name of each. Both ends
//! authenticate in all of them, and 1 MiB goes each way, compared byte for byte.
//!
//! Our side computes with ring, and with `--features aws-lc` with AWS-LC, which has more groups to try.
//!
//! A peer that is not installed is skipped, which standard error tells. SEALWIRE_REQUIRE_PEERS lists those that must be
//! there (`openssl,gnutls,go,python,curl`): without one of these, its tests fail. SEALWIRE_GO, SEALWIRE_OPENSSL and so
//! on name a program that is not in the path.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions
)] // These are tests: a panic is how they fail.

mod case;
mod child;
mod driver;
mod extra;
mod later;
mod peer;
mod pki;
mod raw_keys;
#[cfg(feature = "cli")]
mod serve;
mod sessions;

/// A module for each peer, with a test for each role and case.
macro_rules! matrix {
    ($($peer:ident { $($role:ident { $($case:ident,)+ })+ })+) => {
        $(mod $peer {
            $(mod $role {
                $(#[test]
                fn $case() {
                    let case = crate::case::named(stringify!($case));
                    if crate::peer::$peer::available() {
                        crate::child::Context::run(|it| crate::peer::$peer::$role(case, it));
                    }
                })+
            })+
        })+
    };
}

// `serves`: the peer is the server, and we are the client. `connects`: the other way round.
matrix! {
    openssl {
        serves {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, p384_key, ed25519_key, rsa_key,
            retry_other_share, retry_no_share, retry_to_secp384r1, key_update, key_update_aes_256_gcm,
        }
        connects {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, p384_key, ed25519_key, rsa_key,
            retry_other_share, retry_to_secp384r1, cookie, key_update, key_update_aes_256_gcm,
        }
    }
    gnutls {
        serves {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, p384_key, ed25519_key, rsa_key,
            retry_other_share, retry_no_share, retry_to_secp384r1, key_update, key_update_aes_256_gcm,
        }
        connects {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, p384_key, ed25519_key, rsa_key,
            retry_other_share, retry_to_secp384r1, cookie, key_update, key_update_aes_256_gcm,
        }
    }
    go {
        serves {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, x25519mlkem768, p384_key, ed25519_key,
            rsa_key, retry_other_share, retry_no_share, retry_to_secp384r1, retry_to_x25519mlkem768, key_update,
            key_update_aes_256_gcm,
        }
        connects {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, x25519mlkem768, p384_key, ed25519_key,
            rsa_key, retry_to_secp384r1, cookie_to_secp384r1, key_update, key_update_aes_256_gcm,
        }
    }
    rustls {
        serves {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, x25519mlkem768, p384_key, ed25519_key,
            rsa_key, retry_other_share, retry_no_share, retry_to_secp384r1, retry_to_x25519mlkem768, key_update,
            key_update_aes_256_gcm,
        }
        connects {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, x25519mlkem768, p384_key, ed25519_key,
            rsa_key, retry_other_share, retry_to_secp384r1, retry_to_x25519mlkem768, cookie, key_update,
            key_update_aes_256_gcm,
        }
    }
    python {
        serves {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, ed25519_key, rsa_key,
            retry_no_share, retry_to_secp384r1, key_update,
        }
        connects {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, ed25519_key, rsa_key,
            retry_to_secp384r1, cookie_to_secp384r1, key_update,
        }
    }
    curl {
        connects {
            aes_128_gcm, aes_256_gcm, chacha20_poly1305, secp256r1, secp384r1, ed25519_key, rsa_key,
            retry_other_share, retry_to_secp384r1, cookie,
        }
    }
}

/// What ring does not have.
#[cfg(feature = "aws-lc")]
mod aws_lc {
    matrix! {
        openssl { serves { secp521r1, } connects { secp521r1, } }
        gnutls { serves { secp521r1, } connects { secp521r1, } }
        go {
            serves { secp521r1, secp256r1mlkem768, secp384r1mlkem1024, retry_to_secp384r1mlkem1024, }
            connects { secp521r1, secp256r1mlkem768, secp384r1mlkem1024, }
        }
        rustls { serves { secp256r1mlkem768, } connects { secp256r1mlkem768, } }
        python { serves { secp521r1, } connects { secp521r1, } }
        curl { connects { secp521r1, } }
    }
}
