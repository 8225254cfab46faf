//! The three ways in which BoringSSL's suite compresses certificates: to less, to more, and each time to something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use sealwire::codepoints::CertificateCompressionAlgorithm;
use sealwire::compress::{CertificateCompression, DecompressionError};

use crate::flags::Flags;

/// What the flags ask for, in the order of BoringSSL's own shim.
pub(crate) fn algorithms(flags: &Flags) -> Vec<Arc<dyn CertificateCompression>> {
    let wanted = |kind: &Kind| {
        flags.install_cert_compression_algs
            || flags.install_one_cert_compression_alg == Some(kind.number())
    };
    let all = [Kind::Expanding, Kind::Shrinking, Kind::Random];
    let mut algorithms: Vec<Arc<dyn CertificateCompression>> = Vec::new();
    for kind in all.into_iter().filter(wanted) {
        algorithms.push(Arc::new(kind));
    }
    algorithms
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Two zeros less in front, which every Certificate of a server begins with.
    Shrinking,
    /// A mark in front.
    Expanding,
    /// Any byte in front.
    Random,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Self::Shrinking => 0xff01,
            Self::Expanding => 0xff02,
            Self::Random => 0xff03,
        }
    }
}

const MARK: [u8; 4] = [1, 2, 3, 4];
static BYTE: AtomicU8 = AtomicU8::new(7);

impl CertificateCompression for Kind {
    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm(self.number())
    }

    fn compress(&self, message: &[u8]) -> Option<Vec<u8>> {
        Some(match self {
            Self::Shrinking => message.strip_prefix(&[0, 0])?.to_vec(),
            Self::Expanding => [&MARK, message].concat(),
            Self::Random => [&[BYTE.fetch_add(41, Ordering::Relaxed)], message].concat(),
        })
    }

    fn decompress(
        &self,
        compressed: &[u8],
        len: usize,
        _: usize,
    ) -> Result<Vec<u8>, DecompressionError> {
        let message = match self {
            Self::Shrinking => Some([&[0, 0], compressed].concat()),
            Self::Expanding => compressed.strip_prefix(&MARK).map(<[u8]>::to_vec),
            Self::Random => compressed.split_first().map(|(_, message)| message.to_vec()),
        };
        message.filter(|message| message.len() == len).ok_or(DecompressionError::Malformed)
    }
}
