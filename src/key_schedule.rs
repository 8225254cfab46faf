//! The key schedule (RFC 9846 §7) as types, so that secrets can only be drawn in order. It derives and installs nothing.
//!
//! ```text
//!              0
//!              │
//!   PSK or 0 ─►Extract = EarlySecret
//!              │
//!              ├─► binder keys, "c e traffic", "e exp master"
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

    /// With a pre-shared key.
    pub(crate) fn with_psk(hash: &'static dyn Hash, psk: &Secret) -> Self {
        let zeros = Secret::zeroed(hash.output_len());
        Self { hash, secret: hash.hmac(zeros.expose(), &[psk.expose()]) }
    }

    /// RFC 9846 §4.3.11.2: the MAC that binds the key to a ClientHello; the transcript ends before the binders.
    pub(crate) fn binder(&self, kind: PskKind, transcript: &HashValue) -> Secret {
        let nothing = self.hash.digest(b"");
        let key = derive_secret(self.hash, &self.secret, kind.binder_label(), &nothing);
        finished_mac(self.hash, &key, transcript)
    }

    /// `client_early_traffic_secret`; the transcript is the ClientHello.
    pub(crate) fn client_traffic(&self, transcript: &HashValue) -> Secret {
        derive_secret(self.hash, &self.secret, b"c e traffic", transcript)
    }

    /// Goes on without a key exchange, which is psk_ke (RFC 9846 §4.3.9).
    pub(crate) fn handshake_without_exchange(self) -> HandshakeSecret {
        let zeros = Secret::zeroed(self.hash.output_len());
        self.handshake(&zeros)
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

    /// `resumption_secret`; the transcript is ClientHello to client Finished.
    pub(crate) fn resumption(&self, transcript: &HashValue) -> ResumptionSecret {
        let secret = derive_secret(self.hash, &self.secret, b"res master", transcript);
        ResumptionSecret { hash: self.hash, secret }
    }

    /// `exporter_secret`; the transcript is ClientHello to server Finished.
    pub(crate) fn exporter(&self, transcript: &HashValue) -> Exporter {
        let secret = derive_secret(self.hash, &self.secret, b"exp master", transcript);
        Exporter { hash: self.hash, secret }
    }
}

/// Where a pre-shared key comes from, which its binder tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PskKind {
    /// From an earlier connection (RFC 9846 §7.1).
    Resumption,
    /// From elsewhere, imported (RFC 9258 §5.2).
    Imported,
    /// From elsewhere, as it is (RFC 9846 §7.1).
    External,
}

impl PskKind {
    fn binder_label(self) -> &'static [u8] {
        match self {
            Self::Resumption => b"res binder",
            Self::Imported => b"imp binder",
            Self::External => b"ext binder",
        }
    }
}

/// RFC 9258 §5.1: the key that an external one becomes for one hash. `hash` belongs to the external key, and `identity` is
/// the serialised ImportedIdentity.
pub(crate) fn import_psk(
    hash: &'static dyn Hash,
    external: &Secret,
    identity: &[u8],
    len: usize,
) -> Secret {
    let zeros = Secret::zeroed(hash.output_len());
    let extracted = hash.hmac(zeros.expose(), &[external.expose()]);
    let mut imported = Secret::zeroed(len);
    let context = hash.digest(identity);
    expand_label(hash, &extracted, b"derived psk", context.as_ref(), imported.expose_mut());
    imported
}

/// `resumption_secret`, from which the keys of tickets are derived (RFC 9846 §4.7.1).
pub(crate) struct ResumptionSecret {
    hash: &'static dyn Hash,
    secret: Secret,
}

impl ResumptionSecret {
    /// One that another process has drawn, of the hash's length.
    pub(crate) fn restore(hash: &'static dyn Hash, secret: Secret) -> Self {
        Self { hash, secret }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// RFC 9846 §4.7.1: the pre-shared key of the ticket with this nonce.
    pub(crate) fn psk(&self, ticket_nonce: &[u8]) -> Secret {
        let mut psk = Secret::zeroed(self.hash.output_len());
        expand_label(self.hash, &self.secret, b"resumption", ticket_nonce, psk.expose_mut());
        psk
    }
}

/// Keying material for other protocols (RFC 9846 §7.5).
pub(crate) struct Exporter {
    hash: &'static dyn Hash,
    secret: Secret,
}

impl Exporter {
    /// One that another process has drawn, of the hash's length.
    pub(crate) fn restore(hash: &'static dyn Hash, secret: Secret) -> Self {
        Self { hash, secret }
    }

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
    /// [`NONCE_LEN`] bytes.
    pub(crate) iv: Secret,
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
) -> (Secret, Secret) {
    let (mut key, mut iv) = (Secret::zeroed(aead.key_len()), Secret::zeroed(NONCE_LEN));
    expand_label(hash, secret, b"key", b"", key.expose_mut());
    expand_label(hash, secret, b"iv", b"", iv.expose_mut());
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crypto::CipherSuite;
    use crate::crypto::deterministic::{SeededRng, provider};

    fn hex(text: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    }

    fn secret(text: &str) -> Secret {
        Secret::from_slice(&hex(text)).unwrap()
    }

    fn hash_value(text: &str) -> HashValue {
        HashValue::new(&hex(text))
    }

    fn suite() -> &'static CipherSuite {
        provider(Arc::new(SeededRng::new(0))).suites[0]
    }

    /// RFC 8448 §3, from the shared secret to the keys.
    #[test]
    fn the_schedule_of_rfc_8448() {
        let CipherSuite { hash, aead, .. } = *suite();
        let early = EarlySecret::without_psk(hash);
        let expected = "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a";
        assert_eq!(early.secret.expose(), hex(expected));

        let shared = secret("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d");
        let handshake = early.handshake(&shared);
        let expected = "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac";
        assert_eq!(handshake.secret.expose(), hex(expected));

        let hellos = "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8";
        let client = handshake.client_traffic(&hash_value(hellos));
        let server = handshake.server_traffic(&hash_value(hellos));
        let expected = "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21";
        assert_eq!(client.expose(), hex(expected));
        let expected = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";
        assert_eq!(server.expose(), hex(expected));
        let (key, iv) = traffic_key_bytes(hash, aead, &client);
        assert_eq!(key.expose(), hex("dbfaa693d1762c5b666af5d950258d01"));
        assert_eq!(iv.expose(), hex("5bd3c71b836e0b76bb73265f"));
        let (key, iv) = traffic_key_bytes(hash, aead, &server);
        assert_eq!(key.expose(), hex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(iv.expose(), hex("5d313eb2671276ee13000b30"));

        let main = handshake.main();
        let expected = "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919";
        assert_eq!(main.secret.expose(), hex(expected));
        let finished =
            hash_value("9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13");
        let expected = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
        assert_eq!(main.client_traffic(&finished).expose(), hex(expected));
        let expected = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
        assert_eq!(main.server_traffic(&finished).expose(), hex(expected));
        let expected = "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50";
        assert_eq!(main.exporter(&finished).secret().expose(), hex(expected));
    }

    /// RFC 8448 §3: the client's Finished covers everything up to the server's.
    #[test]
    fn the_finished_of_rfc_8448() {
        let secret = secret("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21");
        let transcript = "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13";
        let mac = finished_mac(suite().hash, &secret, &hash_value(transcript));
        let expected = "a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61";
        assert_eq!(mac.expose(), hex(expected));
    }

    fn exporter() -> Exporter {
        let secret = secret("fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50");
        Exporter { hash: suite().hash, secret }
    }

    #[test]
    fn exported_material_depends_on_everything() {
        let export = |label: &[u8], context: &[u8], len: usize| {
            let mut out = vec![0; len];
            exporter().export(label, context, &mut out).map(|()| out)
        };
        let one = export(b"label", b"context", 32).unwrap();
        assert_eq!(one, export(b"label", b"context", 32).unwrap());
        assert_ne!(one, export(b"Label", b"context", 32).unwrap());
        assert_ne!(one, export(b"label", b"", 32).unwrap());
        // The length is part of it.
        assert_ne!(one, export(b"label", b"context", 33).unwrap()[..32]);
        assert!(export(b"label", b"context", 0).unwrap().is_empty());
        export(&[b'x'; 249], b"", 255 * 32).unwrap();
        for result in [export(&[b'x'; 250], b"", 1), export(b"", b"", 255 * 32 + 1)] {
            assert!(matches!(result, Err(Error::Misuse(Misuse::ExporterLength))));
        }
    }

    #[test]
    fn every_generation_is_another() {
        let first = secret("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
        let second = next_traffic_secret(suite().hash, &first);
        let third = next_traffic_secret(suite().hash, &second);
        assert_ne!(first.expose(), second.expose());
        assert_ne!(second.expose(), third.expose());
        // RFC 9846 §7.2, written out.
        let info = [&[0, 32, 17][..], b"tls13 traffic upd", &[0, 1]].concat();
        assert_eq!(suite().hash.hmac(first.expose(), &[&info]).expose(), second.expose());
    }
}
