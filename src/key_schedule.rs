//! The key schedule (RFC 9846 §7) as types, so that secrets can only be drawn in order. It derives and installs nothing.
//!
//! ```text
//!              0
//!              │
//!   PSK or 0 ─►Extract = EarlySecret
//!              │
//!              ├─► binder and early secrets (with resumption)
//!              ▼ "derived"
//!    (EC)DHE ─►Extract = HandshakeSecret ──► "c hs traffic", "s hs traffic"
//!              │
//!              ▼ "derived"
//!          0 ─►Extract = MainSecret ───────► "c ap traffic", "s ap traffic", "exp master", "res master"
//! ```

use crate::crypto::{Aead, AeadKey, CryptoError, Hash, HashValue, NONCE_LEN};
use crate::error::{Error, Misuse};
use crate::secret::Secret;

/// The stage before any key exchange.
pub(crate) struct EarlySecret {
    hash: &'static dyn Hash,
    secret: Secret,
}

impl EarlySecret {
    /// Without a pre-shared key: zeros in its place.
    pub(crate) fn without_psk(hash: &'static dyn Hash) -> Self {
        let zeros = Secret::zeroed(hash.output_len());
        Self { hash, secret: hash.hmac(zeros.expose(), &[zeros.expose()]) }
    }

    /// Adds the shared secret of the key exchange.
    pub(crate) fn handshake(self, shared: &Secret) -> HandshakeSecret {
        let salt = derived(self.hash, &self.secret);
        HandshakeSecret {
            hash: self.hash,
            secret: self.hash.hmac(salt.expose(), &[shared.expose()]),
        }
    }
}

/// The stage that protects the handshake.
pub(crate) struct HandshakeSecret {
    hash: &'static dyn Hash,
    secret: Secret,
}

impl HandshakeSecret {
    /// `client_handshake_traffic_secret`; the transcript is ClientHello to ServerHello.
    pub(crate) fn client_traffic(&self, transcript: &HashValue) -> Secret {
        derive_secret(self.hash, &self.secret, b"c hs traffic", transcript)
    }

    /// `server_handshake_traffic_secret`; the transcript is ClientHello to ServerHello.
    pub(crate) fn server_traffic(&self, transcript: &HashValue) -> Secret {
        derive_secret(self.hash, &self.secret, b"s hs traffic", transcript)
    }

    /// Ends the handshake's part.
    pub(crate) fn main(&self) -> MainSecret {
        let salt = derived(self.hash, &self.secret);
        let zeros = Secret::zeroed(self.hash.output_len());
        MainSecret { hash: self.hash, secret: self.hash.hmac(salt.expose(), &[zeros.expose()]) }
    }
}

/// The stage that protects application data.
pub(crate) struct MainSecret {
    hash: &'static dyn Hash,
    secret: Secret,
}

impl MainSecret {
    /// `client_application_traffic_secret_0`; the transcript is ClientHello to server Finished.
    pub(crate) fn client_traffic(&self, transcript: &HashValue) -> Secret {
        derive_secret(self.hash, &self.secret, b"c ap traffic", transcript)
    }

    /// `server_application_traffic_secret_0`; the transcript is ClientHello to server Finished.
    pub(crate) fn server_traffic(&self, transcript: &HashValue) -> Secret {
        derive_secret(self.hash, &self.secret, b"s ap traffic", transcript)
    }

    /// `exporter_secret`; the transcript is ClientHello to server Finished.
    pub(crate) fn exporter(&self, transcript: &HashValue) -> Exporter {
        let secret = derive_secret(self.hash, &self.secret, b"exp master", transcript);
        Exporter { hash: self.hash, secret }
    }
}

/// Keying material for other protocols (RFC 9846 §7.5).
pub(crate) struct Exporter {
    hash: &'static dyn Hash,
    secret: Secret,
}

impl Exporter {
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Fills `out` under `label` and `context`. No context and an empty one are the same (RFC 9846 §7.5).
    pub(crate) fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), Error> {
        // RFC 9846 §7.1: an HkdfLabel is at most 255 bytes with its prefix; HKDF gives at most 255 blocks.
        if label.len() > 249 || out.len() > 255 * self.hash.output_len() {
            return Err(Misuse::ExporterLength.into());
        }
        let nothing = self.hash.digest(b"");
        let secret = derive_secret(self.hash, &self.secret, label, &nothing);
        let context = self.hash.digest(context);
        expand_label(self.hash, &secret, b"exporter", context.as_ref(), out);
        Ok(())
    }
}

/// The key and nonce that one traffic secret gives (RFC 9846 §7.3).
pub(crate) struct TrafficKey {
    pub(crate) key: Box<dyn AeadKey>,
    pub(crate) iv: [u8; NONCE_LEN],
}

/// RFC 9846 §7.3
pub(crate) fn traffic_key(
    hash: &'static dyn Hash,
    aead: &'static dyn Aead,
    secret: &Secret,
) -> Result<TrafficKey, CryptoError> {
    let (key, iv) = traffic_key_bytes(hash, aead, secret);
    Ok(TrafficKey { key: aead.key(key.expose())?, iv })
}

/// RFC 9846 §7.3, as bytes, for record layers elsewhere.
pub(crate) fn traffic_key_bytes(
    hash: &'static dyn Hash,
    aead: &'static dyn Aead,
    secret: &Secret,
) -> (Secret, [u8; NONCE_LEN]) {
    let (mut key, mut iv) = (Secret::zeroed(aead.key_len()), [0; NONCE_LEN]);
    expand_label(hash, secret, b"key", b"", key.expose_mut());
    expand_label(hash, secret, b"iv", b"", &mut iv);
    (key, iv)
}

/// RFC 9846 §7.2: the next generation of a traffic secret.
pub(crate) fn next_traffic_secret(hash: &'static dyn Hash, secret: &Secret) -> Secret {
    let mut next = Secret::zeroed(hash.output_len());
    expand_label(hash, secret, b"traffic upd", b"", next.expose_mut());
    next
}

/// RFC 9846 §4.5.3: the MAC in Finished, by the sender's handshake traffic secret.
pub(crate) fn finished_mac(
    hash: &'static dyn Hash,
    traffic_secret: &Secret,
    transcript: &HashValue,
) -> Secret {
    let mut key = Secret::zeroed(hash.output_len());
    expand_label(hash, traffic_secret, b"finished", b"", key.expose_mut());
    hash.hmac(key.expose(), &[transcript.as_ref()])
}

/// The salt between two stages.
fn derived(hash: &'static dyn Hash, secret: &Secret) -> Secret {
    derive_secret(hash, secret, b"derived", &hash.digest(b""))
}

/// RFC 9846 §7.1: Derive-Secret, with the transcript already hashed.
fn derive_secret(
    hash: &'static dyn Hash,
    secret: &Secret,
    label: &[u8],
    transcript: &HashValue,
) -> Secret {
    let mut out = Secret::zeroed(hash.output_len());
    expand_label(hash, secret, label, transcript.as_ref(), out.expose_mut());
    out
}

/// RFC 9846 §7.1: HKDF-Expand-Label. Labels and contexts are ours, and shorter than 250 and 256 bytes.
fn expand_label(
    hash: &'static dyn Hash,
    secret: &Secret,
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) {
    let len = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
    let label_len = [u8::try_from(LABEL_PREFIX.len() + label.len()).unwrap_or(u8::MAX)];
    let context_len = [u8::try_from(context.len()).unwrap_or(u8::MAX)];
    // RFC 5869 §2.3: T(n) = HMAC(PRK, T(n-1) | info | n)
    let mut previous: Option<Secret> = None;
    for (counter, block) in (1_u8..=255).zip(out.chunks_mut(hash.output_len())) {
        let previous_bytes = previous.as_ref().map_or(&[][..], Secret::expose);
        let next = hash.hmac(
            secret.expose(),
            &[
                previous_bytes,
                &len,
                &label_len,
                LABEL_PREFIX,
                label,
                &context_len,
                context,
                &[counter],
            ],
        );
        block.iter_mut().zip(next.expose()).for_each(|(to, from)| *to = *from);
        previous = Some(next);
    }
}

/// RFC 9846 §7.1
const LABEL_PREFIX: &[u8] = b"tls13 ";
