//! zlib (RFC 1950), with the `flate2` crate's Rust backend.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{CHUNK, CertificateCompression, DecompressionError};
use crate::codepoints::CertificateCompressionAlgorithm;

/// zlib (RFC 1950). Its window is at most 32 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Zlib;

impl CertificateCompression for Zlib {
    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::zlib
    }

    fn compress(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut compressor = Compress::new(Compression::best(), true);
        // Room for what does not compress at all; a certificate takes less.
        let mut out = Vec::with_capacity(message.len() + message.len() / 1_000 + 64);
        let status = compressor.compress_vec(message, &mut out, FlushCompress::Finish).ok()?;
        (status == Status::StreamEnd).then_some(out)
    }

    fn decompress(
        &self,
        compressed: &[u8],
        len: usize,
        window: usize,
    ) -> Result<Vec<u8>, DecompressionError> {
        // RFC 1950 §2.2: CINFO is the window's logarithm, less eight.
        let first = compressed.first().map(|cmf| (cmf >> 4, cmf & 0x0f));
        let (cinfo, _) = first
            .filter(|(cinfo, method)| *method == DEFLATE && *cinfo <= 7)
            .ok_or(DecompressionError::Malformed)?;
        if 256_usize << cinfo > window {
            return Err(DecompressionError::Window);
        }
        inflate(compressed, len).ok_or(DecompressionError::Malformed)
    }
}

/// Exactly `len` bytes, or nothing.
fn inflate(compressed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut decompressor = Decompress::new(true);
    let mut out = Vec::new();
    let mut rest = compressed;
    let mut chunk = [0; CHUNK];
    loop {
        let (taken, given) = (decompressor.total_in(), decompressor.total_out());
        let status = decompressor.decompress(rest, &mut chunk, FlushDecompress::None).ok()?;
        let taken = usize::try_from(decompressor.total_in() - taken).ok()?;
        let given = usize::try_from(decompressor.total_out() - given).ok()?;
        rest = rest.get(taken..)?;
        out.extend_from_slice(chunk.get(..given)?);
        if out.len() > len {
            return None;
        }
        if status == Status::StreamEnd {
            return (rest.is_empty() && out.len() == len).then_some(out);
        }
        if taken == 0 && given == 0 {
            return None;
        }
    }
}

/// RFC 1950 §2.2: the only compression method.
const DEFLATE: u8 = 8;
