//! Certificates, as a peer would send them, anchors and a name. Every signature is taken, so that the rules behind it are
//! reached; what is accepted must stay accepted when only what does not matter is changed.

use sealwire::pki_types::{CertificateDer, ServerName, UnixTime};
use sealwire::{Evidence, Purpose, TrustAnchors, Verifier};

use super::cheap::provider;
use super::world::{Instructions, after, now};

/// Bits; a name with its length in front; certificates with two bytes of length each, the last of which are anchors.
pub fn chain(data: &[u8]) {
    let mut input = Instructions(data);
    let (Some(bits), Some(len)) = (input.byte(), input.byte()) else { return };
    let text = String::from_utf8_lossy(input.bytes(usize::from(len))).into_owned();
    let name = ServerName::try_from(text).ok();
    let mut chain = Vec::new();
    while let Some(len) = input.short().filter(|_| chain.len() < 8) {
        chain.push(CertificateDer::from(input.bytes(len)));
    }
    let anchors = chain.split_off(chain.len().saturating_sub(usize::from(bits >> 1 & 3)));
    let count = anchors.len();
    let anchors = TrustAnchors::from_certificates(anchors);
    assert_eq!(anchors.len() + anchors.ignored(), count);
    let now = if bits & 8 == 0 { now() } else { after(u64::from(bits) << 24) };
    let purpose = if bits & 1 == 0 { Purpose::Server } else { Purpose::Client };
    let judge = Judge { verifier: Verifier::new(anchors), purpose, now };

    let Some(path) = judge.path(&chain, name.as_ref()) else {
        // A name can only make it harder.
        return;
    };
    assert_eq!(path.first(), chain.first(), "the path begins elsewhere");
    assert!(path.iter().all(|certificate| chain.contains(certificate)));
    let same = |other: Option<Vec<CertificateDer<'_>>>, what| {
        assert_eq!(other.as_ref().map(Vec::len), Some(path.len()), "{what}");
    };
    same(judge.path(&chain, name.as_ref()), "the second time");
    same(judge.path(&chain, None), "without a name");
    same(judge.path(&path, name.as_ref()), "by itself");
    let mut doubled = chain.clone();
    doubled.extend(chain.iter().skip(1).cloned());
    same(judge.path(&doubled, name.as_ref()), "with everything twice");
    if let Some(name) = &name {
        mentions(&chain[0], name);
    }
}

struct Judge {
    verifier: Verifier,
    purpose: Purpose,
    now: UnixTime,
}

impl Judge {
    fn path(
        &self,
        chain: &[CertificateDer<'_>],
        name: Option<&ServerName<'_>>,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let (judge, evidence) = (&self.verifier, Evidence::default());
        let verdict = judge.verify(&provider(0), chain, self.purpose, name, self.now, evidence);
        match verdict {
            Ok(path) => Some(path.certificates.into_iter().map(|c| c.into_owned()).collect()),
            Err(error) => {
                // A report is for people: it has to be there, and to end.
                assert!(!error.to_string().is_empty() && format!("{error:?}").len() < 1 << 20);
                None
            }
        }
    }
}

/// Whoever is accepted under a name has it in the certificate: as it is, or with a wildcard in front of the rest.
fn mentions(leaf: &[u8], name: &ServerName<'_>) {
    let needle = match name {
        ServerName::DnsName(name) => name.as_ref().trim_end_matches('.').to_ascii_lowercase(),
        _ => return,
    };
    let parent = needle.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let leaf = leaf.to_ascii_lowercase();
    let has = |text: &str| leaf.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(&needle) || parent.is_some_and(|parent| has(&parent)), "{needle} is not in it");
}
