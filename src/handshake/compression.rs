//! Certificate messages, compressed and decompressed (RFC 8879).

use crate::codepoints::CertificateCompressionAlgorithm;
use crate::compress::DecompressionError;
use crate::config::Common;
use crate::credential::Credential;
use crate::error::{Error, Limit, Violation};
use crate::message::{CompressedCertificate, HEADER, write_compressed_certificate};

/// The body of the Certificate that a CompressedCertificate stands for.
pub(crate) fn decompress(
    common: &Common,
    message: &CompressedCertificate<'_>,
) -> Result<Vec<u8>, Error> {
    // RFC 8879 §4: an algorithm that we offered.
    let mut ours = common.certificate_compression.iter();
    let algorithm = ours.find(|c| c.algorithm() == message.algorithm);
    let algorithm = algorithm.ok_or(Violation::UnofferedCompression)?;
    let len = message.uncompressed_length;
    if len > common.limits.decompressed_certificate {
        return Err(Limit::DecompressedCertificate.into());
    }
    let window = common.limits.decompression_window;
    match algorithm.decompress(message.compressed, len, window) {
        // RFC 8879 §4: exactly as long as it says. Other people's code may be wrong, so this is looked at here, too.
        Ok(body) if body.len() == len => Ok(body),
        Err(DecompressionError::Window) => Err(Limit::DecompressionWindow.into()),
        Ok(_) | Err(DecompressionError::Malformed) => Err(Violation::BadCompression.into()),
    }
}

/// `message`, a Certificate for `credential`, as the first of our algorithms compresses it that is also among the peer's.
pub(crate) fn compress(
    common: &Common,
    credential: &Credential,
    message: Vec<u8>,
    peers: &[CertificateCompressionAlgorithm],
) -> Result<Vec<u8>, Error> {
    let mut ours = common.certificate_compression.iter();
    let Some(algorithm) = ours.find(|c| peers.contains(&c.algorithm())) else { return Ok(message) };
    let body = message.get(HEADER..).unwrap_or_default();
    match credential.compressed().get(&**algorithm, body) {
        Some(compressed) if !compressed.is_empty() => {
            write_compressed_certificate(algorithm.algorithm(), body.len(), &compressed)
        }
        _ => Ok(message),
    }
}
