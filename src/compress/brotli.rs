//! Brotli (RFC 7932), with the `brotli` crate.

use brotli::enc::BrotliEncoderParams;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode};

use super::{CHUNK, CertificateCompression, DecompressionError};
use crate::codepoints::CertificateCompressionAlgorithm;

/// Brotli (RFC 7932). Windows of over 16 MiB, which are an extension, are never read.
#[derive(Clone, Copy, Debug)]
pub struct Brotli;

impl CertificateCompression for Brotli {
    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::brotli
    }

    fn compress(&self, message: &[u8]) -> Option<Vec<u8>> {
        let params = BrotliEncoderParams {
            quality: 11,
            lgwin: WINDOW_BITS,
            size_hint: message.len(),
            ..BrotliEncoderParams::default()
        };
        let mut out = Vec::new();
        brotli::BrotliCompress(&mut &message[..], &mut out, &params).ok()?;
        Some(out)
    }

    fn decompress(
        &self,
        compressed: &[u8],
        len: usize,
        window: usize,
    ) -> Result<Vec<u8>, DecompressionError> {
        let bits = compressed.first().and_then(|first| window_bits(*first));
        if 1_usize << bits.ok_or(DecompressionError::Malformed)? > window {
            return Err(DecompressionError::Window);
        }
        expand(compressed, len).ok_or(DecompressionError::Malformed)
    }
}

/// Exactly `len` bytes, or nothing.
fn expand(compressed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut state = BrotliState::new(
        HeapAlloc::<u8>::new(0),
        HeapAlloc::<u32>::new(0),
        HeapAlloc::<HuffmanCode>::new(HuffmanCode::default()),
    );
    let mut out = Vec::new();
    let mut chunk = [0; CHUNK];
    let (mut available_in, mut at, mut total) = (compressed.len(), 0, 0);
    loop {
        let (mut available_out, mut end) = (chunk.len(), 0);
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut at,
            compressed,
            &mut available_out,
            &mut end,
            &mut chunk,
            &mut total,
            &mut state,
        );
        out.extend_from_slice(chunk.get(..end)?);
        if out.len() > len {
            return None;
        }
        match result {
            BrotliResult::ResultSuccess => {
                return (available_in == 0 && out.len() == len).then_some(out);
            }
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput | BrotliResult::ResultFailure => return None,
        }
    }
}

/// RFC 7932 §9.1: the window's logarithm, from the first bits of the stream. `None` for what the RFC reserves.
fn window_bits(first: u8) -> Option<u32> {
    if first & 1 == 0 {
        return Some(16);
    }
    match (u32::from(first >> 1 & 7), u32::from(first >> 4 & 7)) {
        (0, 0) => Some(17),
        (0, 1) => None,
        (0, n) => Some(8 + n),
        (n, _) => Some(17 + n),
    }
}

/// What we compress with: no message is longer than this window.
const WINDOW_BITS: i32 = 18;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7932 §9.1, the whole table.
    #[test]
    fn windows() {
        let table: [(u8, u32); 15] = [
            (0b0, 16),
            (0b000_0001, 17),
            (0b0011, 18),
            (0b0101, 19),
            (0b0111, 20),
            (0b1001, 21),
            (0b1011, 22),
            (0b1101, 23),
            (0b1111, 24),
            (0b010_0001, 10),
            (0b011_0001, 11),
            (0b100_0001, 12),
            (0b101_0001, 13),
            (0b110_0001, 14),
            (0b111_0001, 15),
        ];
        for (bits, window) in table {
            assert_eq!(window_bits(bits), Some(window), "{bits:b}");
        }
        assert_eq!(window_bits(0b001_0001), None);
    }

    /// Pitfall 21: a stream that asks for a window of 16 MiB, where 4 MiB are allowed.
    #[test]
    fn a_window_that_is_too_large() {
        let params = BrotliEncoderParams { lgwin: 24, ..BrotliEncoderParams::default() };
        let mut compressed = Vec::new();
        assert!(brotli::BrotliCompress(&mut &[7; 100][..], &mut compressed, &params).is_ok());
        assert!(Brotli.decompress(&compressed, 100, 1 << 24).is_ok());
        let result = Brotli.decompress(&compressed, 100, (1 << 24) - 1);
        assert_eq!(result, Err(DecompressionError::Window));
    }
}
