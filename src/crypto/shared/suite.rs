//! Record protection and hashing: the AEADs, SHA-2 and HMAC of the cipher suites (RFC 9846 Appendix B.4).

use super::backend::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use super::backend::{digest, hmac};
use crate::codepoints::CipherSuiteId;
use crate::crypto::{Aead, AeadKey, CipherSuite, Hash, HashContext, HashValue, NONCE_LEN, TAG_LEN};
use crate::error::CryptoError;
use crate::secret::{Secret, leaving_no_trace};

/// The suites in the order that suits the processor: AES first if it has instructions for it and for carry-less
/// multiplication, ChaCha20 otherwise. Asked now, not when compiled.
pub(super) fn suites() -> &'static [&'static CipherSuite] {
    if has_aes_instructions() { AES_FIRST } else { CHACHA20_FIRST }
}

/// Whether AES-GCM is fast and runs in constant time by itself here: AES rounds and carry-less multiplication.
fn has_aes_instructions() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        std::arch::is_x86_feature_detected!("aes")
            && std::arch::is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        // The feature `aes` of Rust stands for both AES and PMULL.
        std::arch::is_aarch64_feature_detected!("aes")
            && std::arch::is_aarch64_feature_detected!("pmull")
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

/// The order for a processor with AES instructions.
pub(in crate::crypto) static AES_FIRST: &[&CipherSuite] =
    &[&AES_128_GCM_SHA256, &AES_256_GCM_SHA384, &CHACHA20_POLY1305_SHA256];

/// The order for a processor without.
static CHACHA20_FIRST: &[&CipherSuite] =
    &[&CHACHA20_POLY1305_SHA256, &AES_128_GCM_SHA256, &AES_256_GCM_SHA384];

static AES_128_GCM_SHA256: CipherSuite = CipherSuite {
    id: CipherSuiteId::TLS_AES_128_GCM_SHA256,
    hash: &SHA256,
    aead: &SuiteAead { algorithm: &aead::AES_128_GCM, record_limit: AES_GCM_RECORD_LIMIT },
};

static AES_256_GCM_SHA384: CipherSuite = CipherSuite {
    id: CipherSuiteId::TLS_AES_256_GCM_SHA384,
    hash: &SHA384,
    aead: &SuiteAead { algorithm: &aead::AES_256_GCM, record_limit: AES_GCM_RECORD_LIMIT },
};

static CHACHA20_POLY1305_SHA256: CipherSuite = CipherSuite {
    id: CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256,
    hash: &SHA256,
    aead: &SuiteAead { algorithm: &aead::CHACHA20_POLY1305, record_limit: u64::MAX },
};

/// [`Provider::sha1`](super::super::Provider::sha1)
pub(in crate::crypto) fn sha1(data: &[u8]) -> HashValue {
    HashValue::new(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data).as_ref())
}

static SHA256: SuiteHash = SuiteHash { digest: &digest::SHA256, hmac: &hmac::HMAC_SHA256 };
static SHA384: SuiteHash = SuiteHash { digest: &digest::SHA384, hmac: &hmac::HMAC_SHA384 };

/// Bytes of stack that the crates work in: more than enough for each. Without optimisation every move has a place of its own.
const HMAC_STACK: usize = if cfg!(debug_assertions) { 16_384 } else { 2048 };
const KEY_STACK: usize = if cfg!(debug_assertions) { 65_536 } else { 8192 };

/// RFC 9846 §5.5: 2^24.5 full-size records under one AES-GCM key, rounded down.
const AES_GCM_RECORD_LIMIT: u64 = 23_726_566;

struct SuiteAead {
    algorithm: &'static aead::Algorithm,
    record_limit: u64,
}

impl Aead for SuiteAead {
    fn key_len(&self) -> usize {
        self.algorithm.key_len()
    }

    fn record_limit(&self) -> u64 {
        self.record_limit
    }

    fn key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        leaving_no_trace::<KEY_STACK, _>(|| {
            let key = UnboundKey::new(self.algorithm, key).map_err(|_| CryptoError)?;
            let key: Box<dyn AeadKey> = Box::new(SuiteAeadKey(LessSafeKey::new(key)));
            Ok(key)
        })
    }
}

struct SuiteAeadKey(LessSafeKey);

impl Drop for SuiteAeadKey {
    /// Where the crate does not wipe its keys, another key in the same place does: it is of the same algorithm, and so as
    /// long.
    fn drop(&mut self) {
        if !super::LEAVES_KEYS {
            return;
        }
        let algorithm = self.0.algorithm();
        let zeros = [0; MAX_KEY_LEN];
        let zeros = zeros.get(..algorithm.key_len()).unwrap_or_default();
        if let Ok(zeros) = UnboundKey::new(algorithm, zeros) {
            self.0 = LessSafeKey::new(zeros);
            // Without this the compiler could leave out what nobody reads any more.
            std::hint::black_box(&mut self.0);
        }
    }
}

/// AES-256 and ChaCha20 have the longest keys.
const MAX_KEY_LEN: usize = 32;

impl AeadKey for SuiteAeadKey {
    fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CryptoError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), in_out);
        tag.map_err(|_| CryptoError)?.as_ref().try_into().map_err(|_| CryptoError)
    }

    fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let plaintext = self.0.open_in_place(nonce, Aad::from(aad), in_out);
        plaintext.map(|p| p.len()).map_err(|_| CryptoError)
    }
}

struct SuiteHash {
    digest: &'static digest::Algorithm,
    hmac: &'static hmac::Algorithm,
}

impl Hash for SuiteHash {
    fn output_len(&self) -> usize {
        self.digest.output_len()
    }

    fn start(&self) -> Box<dyn HashContext> {
        Box::new(SuiteHashContext(digest::Context::new(self.digest)))
    }

    fn digest(&self, data: &[u8]) -> HashValue {
        HashValue::new(digest::digest(self.digest, data).as_ref())
    }

    fn hmac(&self, key: &[u8], data: &[&[u8]]) -> Secret {
        let mut secret = Secret::zeroed(self.output_len());
        leaving_no_trace::<HMAC_STACK, _>(|| {
            let mut context = hmac::Context::with_key(&hmac::Key::new(*self.hmac, key));
            data.iter().for_each(|part| context.update(part));
            let tag = context.sign();
            secret.expose_mut().iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        });
        secret
    }
}

struct SuiteHashContext(digest::Context);

impl HashContext for SuiteHashContext {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn current(&self) -> HashValue {
        HashValue::new(self.0.clone().finish().as_ref())
    }

    fn fork(&self) -> Box<dyn HashContext> {
        Box::new(Self(self.0.clone()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_suites_is_the_processors() {
        let ids: Vec<_> = suites().iter().map(|s| s.id).collect();
        let chacha20 = ids.iter().position(|id| *id == CipherSuiteId::TLS_CHACHA20_POLY1305_SHA256);
        assert_eq!(chacha20, Some(if has_aes_instructions() { 2 } else { 0 }));
        assert_eq!(ids.len(), 3);
        let limits = suites().iter().map(|s| s.aead.record_limit()).min();
        assert_eq!(limits, Some(23_726_566));
    }

    #[test]
    fn keys_have_one_length() {
        for suite in AES_FIRST {
            let len = suite.aead.key_len();
            assert!(suite.aead.key(&vec![0; len]).is_ok());
            assert!(suite.aead.key(&vec![0; len - 1]).is_err());
            assert!(suite.aead.key(&vec![0; len + 1]).is_err());
        }
    }

    #[test]
    fn every_changed_bit_is_refused() {
        for suite in AES_FIRST {
            let key = suite.aead.key(&vec![7; suite.aead.key_len()]).unwrap();
            let mut record = *b"plaintext and room for a tag....";
            let tag = key.seal([1; NONCE_LEN], b"header", &mut record[..16]).unwrap();
            record[16..].copy_from_slice(&tag);
            for bit in 0..record.len() * 8 {
                let mut changed = record;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(key.open([1; NONCE_LEN], b"header", &mut changed).is_err());
                assert_ne!(&changed[..16], b"plaintext and ro");
            }
            assert!(key.open([2; NONCE_LEN], b"header", &mut record.clone()).is_err());
            assert!(key.open([1; NONCE_LEN], b"Header", &mut record.clone()).is_err());
            let mut short = record;
            assert!(key.open([1; NONCE_LEN], b"header", &mut short[..15]).is_err());
            assert_eq!(key.open([1; NONCE_LEN], b"header", &mut record), Ok(16));
            assert_eq!(&record[..16], b"plaintext and ro");
        }
    }

    #[test]
    fn hashes_go_on_and_fork() {
        // FIPS 180-4's example "abc".
        let abc = [
            (&SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                &SHA384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
        ];
        for (hash, digest) in abc {
            let mut context = hash.start();
            context.update(b"ab");
            let ab = context.current();
            let mut fork = context.fork();
            context.update(b"c");
            fork.update(b"d");
            assert_eq!(format!("{:?}", context.current()), digest);
            assert_eq!(context.current(), hash.digest(b"abc"));
            assert_eq!(fork.current(), hash.digest(b"abd"));
            assert_eq!(ab, hash.digest(b"ab"));
            assert_eq!(ab.as_ref().len(), hash.output_len());
            assert_eq!(hash.hmac(b"key", &[b"a", b"bc"]).expose().len(), hash.output_len());
        }
    }
}
