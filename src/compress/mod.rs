//! Compressed certificates (RFC 8879): the algorithms, each behind a feature, and the trait for others.
//!
//! ```text
//!   mod      CertificateCompression, the trait
//!   zlib     feature `zlib`          brotli   feature `brotli`          zstd   feature `zstd`
//! ```
//!
//! What comes from a peer is decompressed before the peer is known, so a decompressor is given the length that the peer
//! declared, and the largest window it may keep, and allocates for what comes out, never for what was declared.

#[cfg(feature = "brotli")]
mod brotli;
#[cfg(feature = "zlib")]
mod zlib;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;

use thiserror::Error as ThisError;

#[cfg(feature = "brotli")]
pub use self::brotli::Brotli;
#[cfg(feature = "zlib")]
pub use self::zlib::Zlib;
#[cfg(feature = "zstd")]
pub use self::zstd::Zstd;
use crate::codepoints::CertificateCompressionAlgorithm;

/// One way to compress Certificate messages (RFC 8879 §3). Those of the features are [`Zlib`], [`Brotli`] and [`Zstd`].
pub trait CertificateCompression: Send + Sync + fmt::Debug {
    /// Its number.
    fn algorithm(&self) -> CertificateCompressionAlgorithm;

    /// `message` compressed; `None` if it cannot be, and is then sent as it is. What a credential's chain compresses to
    /// is kept with the credential, so this may be slow.
    fn compress(&self, message: &[u8]) -> Option<Vec<u8>>;

    /// What `compressed` stands for, which is exactly `len` bytes.
    ///
    /// # Errors
    /// [`DecompressionError::Malformed`] if it is anything else: not of this form, shorter, longer, or followed by something;
    /// [`DecompressionError::Window`] if that takes a window of more than `window` bytes.
    ///
    /// `len` is at most [`Limits::decompressed_certificate`](crate::Limits::decompressed_certificate), but nobody has vouched for it: memory is to be taken as
    /// output comes, and not for `len` at once.
    fn decompress(
        &self,
        compressed: &[u8],
        len: usize,
        window: usize,
    ) -> Result<Vec<u8>, DecompressionError>;
}

/// Why something could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum DecompressionError {
    /// It is not what the algorithm makes of something of the declared length.
    #[error("the compressed data are malformed, or of another length than was declared")]
    Malformed,
    /// It needs a larger window than is allowed.
    #[error("the compressed data need too large a window")]
    Window,
}

/// How much output is asked of a decompressor at once.
#[cfg(any(feature = "brotli", feature = "zlib", feature = "zstd"))]
const CHUNK: usize = 4_096;

#[cfg(all(test, any(feature = "brotli", feature = "zlib", feature = "zstd")))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test that fails may panic.
    use super::*;

    fn all() -> Vec<Box<dyn CertificateCompression>> {
        vec![
            #[cfg(feature = "zlib")]
            Box::new(Zlib),
            #[cfg(feature = "brotli")]
            Box::new(Brotli),
            #[cfg(feature = "zstd")]
            Box::new(Zstd),
        ]
    }

    /// Like a chain: some of it repeats, some does not.
    fn message(len: usize) -> Vec<u8> {
        let noise = |i: usize| (i.wrapping_mul(0x9e37_79b9) >> 7).to_le_bytes()[0];
        (0..len).map(|i| if i % 300 < 150 { b"DigiCert TLS "[i % 13] } else { noise(i) }).collect()
    }

    const WINDOW: usize = 1 << 22;

    #[test]
    fn what_goes_in_comes_out() {
        for algorithm in all() {
            for len in [0, 1, 4_095, 4_096, 4_097, 20_000] {
                let message = message(len);
                let compressed = algorithm.compress(&message).unwrap();
                let back = algorithm.decompress(&compressed, len, WINDOW);
                assert_eq!(back.as_deref(), Ok(&message[..]), "{algorithm:?} {len}");
            }
            let compressed = algorithm.compress(&message(5_000)).unwrap();
            assert!(compressed.len() < 4_000, "{algorithm:?} {}", compressed.len());
        }
    }

    /// RFC 8879 §4: the length is the declared one, to the byte, and nothing follows.
    #[test]
    fn lengths_are_exact() {
        for algorithm in all() {
            let message = message(5_000);
            let compressed = algorithm.compress(&message).unwrap();
            for len in [0, 4_095, 4_096, 4_999, 5_001, 1 << 20] {
                let result = algorithm.decompress(&compressed, len, WINDOW);
                assert_eq!(result, Err(DecompressionError::Malformed), "{len}");
            }
            let longer = [&compressed[..], &[0]].concat();
            assert!(algorithm.decompress(&longer, 5_000, WINDOW).is_err(), "{algorithm:?}");
            let twice = [&compressed[..], &compressed[..]].concat();
            assert!(algorithm.decompress(&twice, 5_000, WINDOW).is_err(), "{algorithm:?}");
            assert!(algorithm.decompress(&twice, 10_000, WINDOW).is_err(), "{algorithm:?}");
        }
    }

    #[test]
    fn cut_and_changed() {
        for algorithm in all() {
            let message = message(600);
            let compressed = algorithm.compress(&message).unwrap();
            for len in 0..compressed.len() {
                assert!(algorithm.decompress(&compressed[..len], 600, WINDOW).is_err(), "{len}");
            }
            for at in 0..compressed.len() {
                for flip in [1, 0x10, 0x80, 0xff] {
                    let mut changed = compressed.clone();
                    changed[at] ^= flip;
                    let out = algorithm.decompress(&changed, 600, WINDOW);
                    assert!(out.map_or(true, |out| out.len() == 600));
                }
            }
        }
    }

    /// Pitfall 21: a megabyte in a few hundred bytes. No more comes out than was declared.
    #[test]
    fn bombs() {
        for algorithm in all() {
            let compressed = algorithm.compress(&vec![0; 1 << 20]).unwrap();
            assert!(algorithm.decompress(&compressed, 1 << 17, WINDOW).is_err(), "{algorithm:?}");
        }
    }
}
