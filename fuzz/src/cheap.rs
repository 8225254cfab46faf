//! Cryptography that costs nothing, so that a handshake takes microseconds: records and hashes are real, key exchange and
//! signatures are not. Whoever holds no key still cannot forge anything by chance, and everything is deterministic.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use sealwire::Secret;
use sealwire::codepoints::{NamedGroup, SignatureScheme};
use sealwire::crypto::deterministic::{self, SeededRng};
use sealwire::crypto::{
    CipherSuite, CryptoError, KeyExchange, KeyPair, Provider, Rng, SignatureVerifier, SigningKey,
};
use sealwire::pki_types::PrivateKeyDer;

/// The provider whose randomness is that of `stream`, one of [`STREAMS`]; [`rewind`] makes it begin anew.
pub fn provider(stream: usize) -> Provider {
    static BASE: LazyLock<Provider> = LazyLock::new(|| {
        let real = real();
        let lax = real.verifiers.iter().map(|verifier| {
            let lax: &'static dyn SignatureVerifier = Box::leak(Box::new(Lax(*verifier)));
            lax
        });
        Provider { groups: GROUPS, verifiers: lax.collect::<Vec<_>>().leak(), load_key, ..real }
    });
    Provider { rng: Arc::new(Stream(stream)), ..BASE.clone() }
}

fn real() -> Provider {
    deterministic::provider(Arc::new(SeededRng::new(0)))
}

/// How many independent streams of randomness there are.
pub const STREAMS: usize = 4;

thread_local! {
    static POSITIONS: [Cell<u64>; STREAMS] = const { [const { Cell::new(0) }; STREAMS] };
}

/// Every stream of this thread begins anew.
pub fn rewind() {
    POSITIONS.with(|all| all.iter().for_each(|position| position.set(0)));
}

/// splitmix64, from a seed for each stream.
struct Stream(usize);

impl Rng for Stream {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let next = || {
            let step = POSITIONS.with(|all| all[self.0].replace(all[self.0].get() + 1));
            let mut z = (step + 1 + ((self.0 as u64) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        out.chunks_mut(8).for_each(|chunk| {
            chunk.iter_mut().zip(next().to_le_bytes()).for_each(|(to, from)| *to = from);
        });
        Ok(())
    }
}

static GROUPS: &[&dyn KeyExchange] = &[
    &Group { id: NamedGroup::x25519, len: 32 },
    &Group { id: NamedGroup::secp256r1, len: 65 },
    &Group { id: NamedGroup::secp384r1, len: 97 },
];

/// A group whose shared secret is the XOR of both shares: no secret at all. All zeros are no share.
struct Group {
    id: NamedGroup,
    len: usize,
}

impl KeyExchange for Group {
    fn group(&self) -> NamedGroup {
        self.id
    }

    fn generate(&self, rng: &dyn Rng) -> Result<Box<dyn KeyPair>, CryptoError> {
        let mut share = vec![0; self.len];
        rng.fill(&mut share)?;
        Ok(Box::new(Pair(share)))
    }
}

struct Pair(Vec<u8>);

impl KeyPair for Pair {
    fn share(&self) -> &[u8] {
        &self.0
    }

    fn agree(self: Box<Self>, peer: &[u8]) -> Result<Secret, CryptoError> {
        if peer.len() != self.0.len() || peer.iter().all(|byte| *byte == 0) {
            return Err(CryptoError);
        }
        let secret: Vec<u8> = self.0.iter().zip(peer).map(|(a, b)| a ^ b).take(32).collect();
        Secret::from_slice(&secret).ok_or(CryptoError)
    }
}

/// Takes every signature of a certificate whose first byte is not zero, so that what is behind a signature is reached
/// whatever was changed before it. A CertificateVerify has to be right: [`signature`].
struct Lax(&'static dyn SignatureVerifier);

impl SignatureVerifier for Lax {
    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }

    fn certificate_algorithms(&self) -> &'static [&'static [u8]] {
        self.0.certificate_algorithms()
    }

    fn certificate_only(&self) -> bool {
        self.0.certificate_only()
    }

    fn verify(&self, spki: &[u8], message: &[u8], given: &[u8]) -> Result<(), CryptoError> {
        // RFC 9846 §4.5.2: what is signed in a handshake begins with 64 spaces, and no certificate does.
        let right = match message.starts_with(&[0x20; 64]) {
            true => given == signature(spki, message),
            false => given.first().is_some_and(|byte| *byte != 0),
        };
        if right { Ok(()) } else { Err(CryptoError) }
    }
}

/// What stands for a signature over `message` by the key of `spki`.
pub fn signature(spki: &[u8], message: &[u8]) -> Vec<u8> {
    short_suite().hash.hmac(spki, &[message]).expose().to_vec()
}

/// The suite with SHA-256 and AES.
pub fn short_suite() -> &'static CipherSuite {
    static SUITE: LazyLock<&CipherSuite> = LazyLock::new(|| real().suites[0]);
    *SUITE
}

fn load_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, CryptoError> {
    let real = (real().load_key)(key)?;
    Ok(Arc::new(CheapKey { schemes: real.schemes().to_vec(), spki: real.spki().to_vec() }))
}

struct CheapKey {
    schemes: Vec<SignatureScheme>,
    spki: Vec<u8>,
}

impl SigningKey for CheapKey {
    fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    fn spki(&self) -> &[u8] {
        &self.spki
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        _: &dyn Rng,
    ) -> Result<Vec<u8>, CryptoError> {
        match self.schemes.contains(&scheme) {
            true => Ok(signature(&self.spki, message)),
            false => Err(CryptoError),
        }
    }
}
