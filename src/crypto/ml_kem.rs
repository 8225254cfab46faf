//! ML-KEM-768 (FIPS 203) over libcrux, for the hybrid groups of the `ring` provider.
//!
//! The client's share is the encapsulation key, the server's the ciphertext.
//!
//! # Which ML-KEM
//!
//! Two crates were compared in November 2026, `libcrux-ml-kem` 0.0.11 and RustCrypto's `ml-kem` 0.3.4. The first passes all of
//! Wycheproof's cases in our tests. Medians in microseconds, rustc 1.95, release profile, one core of a virtual Xeon with AVX2:
//!
//! | | key generation | key check and encapsulation | decapsulation |
//! |---|---:|---:|---:|
//! | libcrux, AVX2 | 21.8 | 21.2 | 20.7 |
//! | libcrux, portable code | 27.9 | 32.3 | 37.3 |
//! | RustCrypto | 60.0 | 68.4 | 87.7 |
//!
//! So it is libcrux, which costs a client 42 µs instead of 148 and a server 21 instead of 68:
//!
//! - *Verification.* Its portable and AVX2 code is proved free of panics and correct against a specification, in F*
//!   through hax; the NEON code and the wrappers of processor intrinsics are not. Critics showed in 2026 that the proofs
//!   cover less than their name suggests, and erred in places. They are an advantage over none, not a guarantee.
//!   RustCrypto's crate says that it was never audited, and still removed table look-ups with secret indices in 0.3.3.
//! - *Advisories.* RustSec has none for either crate itself (as of August 2026). Of those for libcrux's foundations one
//!   reached ML-KEM: RUSTSEC-2025-0133, wrong SHA-3 on some aarch64, fixed in libcrux-intrinsics 0.0.4; a handshake then
//!   fails. RUSTSEC-2026-0212 (libcrux-secrets, aarch64) is fixed in 0.0.6. RUSTSEC-2026-0074, -0207 and -0208
//!   (libcrux-sha3) say that ML-KEM is not concerned. Cargo.lock has later versions of all three.
//! - *Use.* Firefox (NSS) ships the portable code, extracted to C.
//! - *Weight.* 9 crates against 17. libcrux has `unsafe` for SIMD, RustCrypto's crate has none; that, and that it wipes its
//!   own keys, speak for RustCrypto.
//! - *Releases.* A libcrux version is 0.0.x, so Cargo never moves it by itself: a fix needs a change of our Cargo.toml.
//!
//! The pairing with a curve bounds the risk: while one of the two parts holds, so does the secret. What libcrux does not
//! wipe is wiped here: the private key, the seed, the shared secret, and the stack that it used.

use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768PrivateKey, MlKem768PublicKey};
use zeroize::{Zeroize, Zeroizing};

use super::{KeyExchange, KeyPair, Rng};
use crate::codepoints::NamedGroup;
use crate::error::CryptoError;
use crate::secret::{Secret, leaving_no_trace};

/// Bytes of an encapsulation key, which is a client's share.
pub(super) const ENCAPSULATION_KEY_LEN: usize = 1184;
/// Bytes of a ciphertext, which is a server's share.
pub(super) const CIPHERTEXT_LEN: usize = 1088;
/// Bytes of stack that libcrux works in: more than enough.
const STACK: usize = 32_768;

/// ML-KEM-768. It draws from the random source: the client 64 bytes (`d | z`), the server 32 bytes (`m`).
pub(super) struct MlKem768;

impl KeyExchange for MlKem768 {
    fn group(&self) -> NamedGroup {
        NamedGroup::MLKEM768
    }

    fn generate(&self, rng: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError> {
        leaving_no_trace::<STACK, _>(|| {
            let mut seed = Zeroizing::new([0; 64]);
            rng.fill(&mut *seed)?;
            let (private, public) = mlkem768::generate_key_pair(*seed).into_parts();
            let share = public.as_ref().to_vec();
            let pair: Box<dyn KeyPair> = Box::new(MlKemPair { private, share });
            Ok(pair)
        })
    }

    fn respond(&self, rng: &dyn Rng, peer_share: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
        let key: &[u8; ENCAPSULATION_KEY_LEN] = peer_share.try_into().map_err(|_| CryptoError)?;
        let key = MlKem768PublicKey::from(key);
        // FIPS 203 §7.2: every coefficient of the key is less than the modulus.
        if !mlkem768::validate_public_key(&key) {
            return Err(CryptoError);
        }
        leaving_no_trace::<STACK, _>(|| {
            let mut randomness = Zeroizing::new([0; 32]);
            rng.fill(&mut *randomness)?;
            let (ciphertext, secret) = mlkem768::encapsulate(&key, *randomness);
            let secret = Zeroizing::new(secret);
            Ok((ciphertext.as_ref().to_vec(), Secret::from_slice(&*secret).ok_or(CryptoError)?))
        })
    }
}

/// The private key is wiped when dropped: libcrux does not do it.
struct MlKemPair {
    private: MlKem768PrivateKey,
    share: Vec<u8>,
}

impl Drop for MlKemPair {
    fn drop(&mut self) {
        self.private[..MlKem768PrivateKey::len()].zeroize();
    }
}

impl KeyPair for MlKemPair {
    fn share(&self) -> &[u8] {
        &self.share
    }

    fn agree(self: Box<Self>, peer_share: &[u8]) -> Result<Secret, CryptoError> {
        let ciphertext: &[u8; CIPHERTEXT_LEN] = peer_share.try_into().map_err(|_| CryptoError)?;
        let ciphertext = MlKem768Ciphertext::from(ciphertext);
        leaving_no_trace::<STACK, _>(|| {
            // Never fails: a wrong ciphertext gives a secret that nobody knows (FIPS 203 §6.3), and Finished then fails.
            let secret = Zeroizing::new(mlkem768::decapsulate(&self.private, &ciphertext));
            Secret::from_slice(&*secret).ok_or(CryptoError)
        })
    }
}
