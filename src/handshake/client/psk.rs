//! What a client offers to resume with, or of keys from elsewhere (RFC 9846 §4.3.10, §4.3.11).

use std::sync::Arc;

use pki_types::UnixTime;

use crate::codepoints::{CipherSuiteId, NamedGroup};
use crate::config::{ClientConfig, Common};
use crate::crypto::{CipherSuite, Hash};
use crate::error::{Error, Violation};
use crate::handshake::psk::binder_transcript;
use crate::handshake::{Summary, ensure};
use crate::key_schedule::{EarlySecret, PskKind};
use crate::message::{Message, PSK_DHE_KE, PSK_KE, ServerHello, set_binders};
use crate::psk::ExternalPsk;
use crate::secret::Secret;
use crate::session::{PeerIdentity, SessionKey};
use crate::transcript::Transcript;
use crate::verify::Verifier;

/// A key that the ClientHello offers.
pub(super) struct Offered {
    identity: Vec<u8>,
    obfuscated_age: u32,
    key: Secret,
    kind: PskKind,
    hash: &'static dyn Hash,
    origin: Origin,
}

/// Where an offered key comes from.
enum Origin {
    /// An earlier connection.
    Session(Resumed),
    /// Elsewhere.
    External(Arc<ExternalPsk>),
}

/// What a session says about the connection that it is from.
pub(super) struct Resumed {
    pub(super) suite: &'static CipherSuite,
    pub(super) alpn: Option<Vec<u8>>,
    server: PeerIdentity,
    pub(super) max_early_data: u32,
}

/// The modes in which a client takes pre-shared keys (RFC 9846 §4.3.9); none if it has no use for any.
pub(super) fn modes(config: &ClientConfig) -> &'static [u8] {
    match (has_use(config), config.common.danger_psk_ke) {
        (false, _) => &[],
        (true, false) => &[PSK_DHE_KE],
        (true, true) => &[PSK_DHE_KE, PSK_KE],
    }
}

fn has_use(config: &ClientConfig) -> bool {
    config.sessions.is_some() || !config.common.external_psks.is_empty()
}

/// Everything that can be offered: a session first, since early data goes with the first, then the external keys.
pub(super) fn offers(config: &ClientConfig, key: &SessionKey, now: UnixTime) -> Vec<Offered> {
    let common = &config.common;
    let mut offers: Vec<_> = session(config, key, now).into_iter().collect();
    let mut hashes: Vec<&'static dyn Hash> = Vec::new();
    for suite in &common.suites {
        if hashes.iter().all(|hash| hash.output_len() != suite.hash.output_len()) {
            hashes.push(suite.hash);
        }
    }
    for psk in &common.external_psks {
        for hash in &hashes {
            if let Some(wire) = psk.for_hash(&common.provider, *hash) {
                offers.push(Offered {
                    identity: wire.identity,
                    obfuscated_age: 0,
                    key: wire.key,
                    kind: wire.kind,
                    hash: *hash,
                    origin: Origin::External(psk.clone()),
                });
            }
        }
    }
    offers
}

/// A session from the store, if it still fits.
fn session(config: &ClientConfig, key: &SessionKey, now: UnixTime) -> Option<Offered> {
    let session = config.sessions.as_ref()?.take(key, now)?;
    // The store is the application's: whatever it hands out is checked again.
    let suite = config.common.suite(session.suite)?;
    let sound = session.key == *key
        && session.is_usable(now)
        && session.psk.expose().len() == suite.hash.output_len()
        && config.common.takes_session_of(session.server.external.as_ref());
    let psk = Secret::from_slice(session.psk.expose()).filter(|_| sound)?;
    Some(Offered {
        obfuscated_age: session.obfuscated_age(now),
        key: psk,
        kind: PskKind::Resumption,
        hash: suite.hash,
        origin: Origin::Session(Resumed {
            suite,
            alpn: session.alpn.clone(),
            server: session.server.clone(),
            max_early_data: session.max_early_data,
        }),
        identity: session.ticket,
    })
}

impl Offered {
    /// For the ClientHello: identity, obfuscated age, length of the binder.
    pub(super) fn on_wire(&self) -> (&[u8], u32, usize) {
        (&self.identity, self.obfuscated_age, self.hash.output_len())
    }

    pub(super) fn is_for(&self, hash: &'static dyn Hash) -> bool {
        self.hash.output_len() == hash.output_len()
    }

    /// The session, if early data may go with it: the server takes some, and the protocol that it was for, if it was for one,
    /// is offered again (RFC 9846 §4.3.10).
    pub(super) fn for_early_data(&self, alpn: &[Vec<u8>]) -> Option<&Resumed> {
        match &self.origin {
            Origin::Session(session) if session.max_early_data > 0 => {
                let same = session.alpn.as_ref().is_none_or(|old| alpn.contains(old));
                same.then_some(session)
            }
            _ => None,
        }
    }

    pub(super) fn early_secret(&self) -> EarlySecret {
        EarlySecret::with_psk(self.hash, &self.key)
    }
}

/// RFC 9846 §4.3.11.2: computes the binders of a ClientHello that has zeros in their place. `before` gives the transcript
/// before it, of a second ClientHello.
pub(super) fn bind(
    message: &mut [u8],
    offers: &[Offered],
    before: impl Fn() -> Option<Transcript>,
) -> Result<(), Error> {
    let Message::ClientHello(hello) = Message::read(message)? else {
        return Err(Error::Decode("ClientHello"));
    };
    let Some(truncated_len) = hello.psks.as_ref().map(|psks| psks.truncated_len) else {
        return Ok(());
    };
    let truncated = message.get(..truncated_len).unwrap_or_default();
    let binders: Vec<Secret> = offers
        .iter()
        .map(|offer| {
            let transcript = binder_transcript(offer.hash, before(), truncated);
            offer.early_secret().binder(offer.kind, &transcript)
        })
        .collect();
    set_binders(message, truncated_len, binders.iter().map(Secret::expose));
    Ok(())
}

/// The key that the server took.
pub(super) struct Taken {
    early: EarlySecret,
    pub(super) index: u16,
    origin: Origin,
}

impl Taken {
    /// RFC 9846 §4.3.11: checks which key the server took, if any.
    pub(super) fn by_server(
        config: &ClientConfig,
        offers: Vec<Offered>,
        hello: &ServerHello<'_>,
        suite: &'static CipherSuite,
        group: Option<NamedGroup>,
    ) -> Result<Option<Self>, Error> {
        let Some(index) = hello.selected_identity else {
            // A key that was declined does not silently become a certificate.
            ensure(!config.common.insists_on_psk(), Violation::PskDeclined)?;
            return Ok(None);
        };
        let offer = offers.into_iter().nth(index.into()).ok_or(Violation::UnofferedPsk)?;
        ensure(offer.is_for(suite.hash), Violation::PskHashMismatch)?;
        // RFC 9846 §4.3.9
        ensure(group.is_some() || config.common.danger_psk_ke, Violation::UnofferedPskMode)?;
        Ok(Some(Self { early: offer.early_secret(), index, origin: offer.origin }))
    }

    /// Notes in the summary what the connection rests on. Its key schedule begins with the secret that is returned.
    pub(super) fn apply(
        self,
        summary: &mut Summary,
        common: &Common,
        verifier: Option<&Verifier>,
    ) -> EarlySecret {
        match self.origin {
            Origin::Session(session) => summary.resume(session.server, verifier),
            Origin::External(psk) => summary.rest_on(common.identity_of(&psk)),
        }
        self.early
    }
}

/// Early data that is on its way, or was.
pub(super) struct EarlyOffer {
    pub(super) suite: CipherSuiteId,
    pub(super) alpn: Option<Vec<u8>>,
}
