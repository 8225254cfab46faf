//! Raw public keys (RFC 7250): a SubjectPublicKeyInfo without a certificate around it. Nobody vouches for it, so the only
//! question is whether it is one that we were given.

use pki_types::SubjectPublicKeyInfoDer;

use super::der::Der;
use super::key::KeyKind;
use super::{der, step};
use crate::crypto::Provider;
use crate::error::{CertificateReason as Reason, Error, Misuse};

/// The keys that are trusted.
#[derive(Clone, Debug, Default)]
pub(super) struct RawKeys(Vec<SubjectPublicKeyInfoDer<'static>>);

impl RawKeys {
    /// Adds keys, each of which has to be one that a peer could use.
    pub(super) fn add(
        &mut self,
        keys: impl IntoIterator<Item = SubjectPublicKeyInfoDer<'static>>,
    ) -> Result<(), Error> {
        for key in keys {
            if check(&key).is_err() {
                return Err(Misuse::Config("a trusted raw public key is none for TLS 1.3").into());
            }
            if !self.0.contains(&key) {
                self.0.push(key);
            }
        }
        Ok(())
    }

    /// RFC 7250 §4.3 and §4.4: the peer is who it should be only if its key is known from elsewhere.
    pub(super) fn judge(&self, provider: &Provider, key: &[u8]) -> Result<(), Reason> {
        check(key)?;
        match self.0.iter().any(|known| known.as_ref() == key) {
            true => Ok(()),
            false => Err(Reason::UntrustedKey { sha256: hex(&provider.fingerprint(key)) }),
        }
    }

    /// 32 bytes that stand for this set of keys, whatever their order; `None` if there are none.
    pub(super) fn fingerprint(&self, provider: &Provider) -> Option<[u8; 32]> {
        let mut each: Vec<_> = self.0.iter().map(|key| provider.fingerprint(key)).collect();
        each.sort_unstable();
        (!each.is_empty()).then(|| provider.fingerprint(each.as_flattened()))
    }
}

/// RFC 7250 §3: what a raw public key must be: DER, of a kind that signs in TLS 1.3, and not too weak.
pub(super) fn check(key: &[u8]) -> Result<(), Reason> {
    let malformed = || Reason::Malformed { what: "the raw public key is no SubjectPublicKeyInfo" };
    let mut contents = Der::new(Der::new(key).only(der::SEQUENCE).ok_or_else(malformed)?);
    contents.expect(der::SEQUENCE).ok_or_else(malformed)?;
    contents.only(der::BIT_STRING).ok_or_else(malformed)?;
    let name = || "the raw public key".to_owned();
    match KeyKind::of(key) {
        KeyKind::Other => Err(Reason::UnsupportedKey { certificate: name() }),
        kind => step::check_key(kind).map_err(|fault| fault.reason(name())),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
