//! Zstandard (RFC 8878), with the `ruzstd` crate: pure Rust, since this reads what strangers send.

use std::io::Read;

use ruzstd::decoding::FrameDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{CHUNK, CertificateCompression, DecompressionError};
use crate::codepoints::CertificateCompressionAlgorithm;

/// Zstandard (RFC 8878): one frame, without a dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Zstd;

impl CertificateCompression for Zstd {
    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::zstd
    }

    fn compress(&self, message: &[u8]) -> Option<Vec<u8>> {
        Some(compress_to_vec(message, CompressionLevel::Fastest))
    }

    fn decompress(
        &self,
        compressed: &[u8],
        len: usize,
        window: usize,
    ) -> Result<Vec<u8>, DecompressionError> {
        // RFC 8878 §3.1.1.1: the decoder keeps a window as large as the header says, so that is looked at first.
        let needed = window_size(compressed).ok_or(DecompressionError::Malformed)?;
        if usize::try_from(needed).map_or(true, |needed| needed > window) {
            return Err(DecompressionError::Window);
        }
        expand(compressed, len).ok_or(DecompressionError::Malformed)
    }
}

/// Exactly `len` bytes, or nothing.
fn expand(compressed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut rest = compressed;
    let mut decoder = FrameDecoder::new();
    decoder.init(&mut rest).ok()?;
    let mut out = Vec::new();
    let mut chunk = [0; CHUNK];
    loop {
        if !decoder.is_finished() {
            let strategy = ruzstd::decoding::BlockDecodingStrategy::UptoBytes(CHUNK);
            decoder.decode_blocks(&mut rest, strategy).ok()?;
        }
        while decoder.can_collect() > 0 {
            let count = decoder.read(&mut chunk).ok()?;
            out.extend_from_slice(chunk.get(..count)?);
            if out.len() > len {
                return None;
            }
        }
        if decoder.is_finished() {
            return (rest.is_empty() && out.len() == len).then_some(out);
        }
    }
}

/// RFC 8878 §3.1.1.1: the window that a frame needs, in bytes. `None` if it is no frame, or has a dictionary.
fn window_size(frame: &[u8]) -> Option<u64> {
    let (descriptor, rest) = frame.strip_prefix(&MAGIC)?.split_first()?;
    if descriptor & DICTIONARY != 0 || descriptor & RESERVED != 0 {
        return None;
    }
    if descriptor & SINGLE_SEGMENT == 0 {
        let (window, _) = rest.split_first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // Without a window descriptor the window is as large as the content.
    let size_of_size = 1_usize << (descriptor >> 6);
    let bytes = rest.get(..size_of_size)?;
    let size = bytes.iter().rev().fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
    Some(if size_of_size == 2 { size + 256 } else { size })
}

/// RFC 8878 §3.1.1
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// RFC 8878 §3.1.1.1.1: bits of the frame header descriptor.
const SINGLE_SEGMENT: u8 = 0x20;
const RESERVED: u8 = 0x08;
const DICTIONARY: u8 = 0x03;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        let frame = |header: &[u8]| [&MAGIC[..], header].concat();
        assert_eq!(window_size(&frame(&[0, 0])), Some(1 << 10));
        assert_eq!(window_size(&frame(&[0, 0x07])), Some(1_920));
        assert_eq!(window_size(&frame(&[0, 0xf8])), Some(1 << 41));
        assert_eq!(window_size(&frame(&[0x20, 9])), Some(9));
        assert_eq!(window_size(&frame(&[0x60, 1, 0])), Some(257));
        assert_eq!(window_size(&frame(&[0xa0, 0, 0, 1, 0])), Some(1 << 16));
        assert_eq!(window_size(&frame(&[0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80])), Some(1 << 63));
        for bad in [&[0x01, 0, 0][..], &[0x08, 0], &[0x20], &[]] {
            assert_eq!(window_size(&frame(bad)), None, "{bad:?}");
        }
        assert_eq!(window_size(b"RFC 8878"), None);
    }

    /// Pitfall 21: a frame that asks for a window of two terabytes.
    #[test]
    fn a_window_that_is_too_large() {
        let frame = [&MAGIC[..], &[0, 0xf8, 1, 0, 0]].concat();
        assert_eq!(Zstd.decompress(&frame, 0, 1 << 22), Err(DecompressionError::Window));
        let frame = [&MAGIC[..], &[0, 0, 1, 0, 0]].concat();
        assert_eq!(Zstd.decompress(&frame, 0, 1 << 22), Ok(vec![]));
    }
}
