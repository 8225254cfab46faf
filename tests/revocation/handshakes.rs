//! Whole handshakes: the evidence that one side sends beside its chain is what the other side judges by, in both roles.

use std::sync::Arc;

use pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sealwire::{ClientAuth, ClientConfig, Credential, CtLog, ServerConfig, Transparency};

use super::*;
use crate::maker::*;
use crate::support::{Calls, Pair, Role, now, seeded};

/// A PKI whose evidence is fresh at the time of the tests of handshakes, 2026-09-21, and two logs.
struct World {
    pki: Pki,
    logs: [Entity; 2],
}

impl World {
    fn new() -> Self {
        Self { pki: Pki::new(), logs: ["A", "B"].map(entity) }
    }

    /// Asks for evidence about the peer, and refuses whom nothing vouches for.
    fn verifier(&self) -> Verifier {
        let lists = [List { next_update: Some("20261001000000Z"), ..List::default() }];
        let lists = lists.map(|list| list.sign(&self.pki.root));
        let revocation = Revocation::hard_fail().with_crls(crls(&lists));
        let logs = self.logs.iter().map(|log| {
            let spki = rcgen::PublicKeyData::subject_public_key_info(&log.key);
            CtLog::new(spki, "log", &format!("{:?}", log.name)).unwrap()
        });
        let transparency = Transparency::new(logs);
        self.pki.verifier(revocation).with_transparency(transparency)
    }

    /// What is good about the leaf.
    fn good(&self) -> Single {
        let (this_update, next_update) = ("20260920000000Z", Some("20260925000000Z"));
        Single { this_update, next_update, ..Single::good(&self.pki.ica, SERVER) }
    }

    /// The leaf's credential, with this staple and the timestamps of so many logs.
    fn credential(&self, single: Option<Single>, logs: usize) -> Arc<Credential> {
        let pki = &self.pki;
        let leaf = pki.leaf_draft().with(alt_names(&[(DNS, b"server.test")]));
        let leaf = leaf.with(extension(TLS_FEATURE, false, &tlv(0x30, &tlv(2, &[5]))));
        let chain = pki.chain(leaf);
        let millis = now().as_secs() * 1000;
        let scts = self.logs.iter().take(logs).map(|log| sct(log, millis, &x509_entry(&chain[0])));
        let scts: Vec<_> = scts.collect();
        let key = PrivatePkcs8KeyDer::from(pki.server.key.serialize_der());
        let provider = seeded(1);
        let credential = Credential::new(&provider, chain, &PrivateKeyDer::from(key)).unwrap();
        let produced_at = "20260920000000Z";
        let ocsp = single
            .map(|single| Response { produced_at, ..Response::new(&[single]) }.sign(&pki.ica));
        Arc::new(credential.with_scts(scts).with_ocsp(ocsp.unwrap_or_default()))
    }

    /// A pair in which `shown` belongs to the side of `role`, and the other side asks for evidence.
    fn pair(&self, role: Role, shown: Arc<Credential>) -> Pair {
        let any = Verifier::danger_accept_any;
        let (client, server) = match role {
            Role::Server => {
                let client = ClientConfig::new(seeded(2), self.verifier()).unwrap();
                (client, ServerConfig::new(seeded(3), vec![shown]).unwrap())
            }
            Role::Client => {
                let client = ClientConfig::new(seeded(2), any()).unwrap();
                let server = ServerConfig::new(seeded(3), vec![self.credential(None, 0)]).unwrap();
                let server = server.with_client_auth(ClientAuth::Required(self.verifier()));
                (client.with_credentials(vec![shown]), server.with_status_requests(true, true))
            }
        };
        Calls::PLAIN.pair(client, server)
    }
}

#[test]
fn evidence_that_is_good() {
    let world = World::new();
    for role in Role::BOTH {
        let shown = world.credential(Some(world.good()), 2);
        let mut pair = world.pair(role, shown).connect();
        pair.chat();
        let summary = pair.side(role.peer()).conn.summary().unwrap().clone();
        assert_eq!((summary.peer_ocsp.is_empty(), summary.peer_scts.len()), (false, 2));
    }
}

#[test]
fn pitfall_47_evidence_that_is_missing_or_bad() {
    let world = World::new();
    let revoked = Single { ..Single::revoked(&world.pki.ica, SERVER) };
    let old = Single { next_update: Some("20260920000000Z"), ..world.good() };
    let other = Single { serial: vec![9], ..world.good() };
    let cases = [
        (None, 2, Alert::bad_certificate_status_response),
        (Some(old), 2, Alert::bad_certificate_status_response),
        (Some(other), 2, Alert::bad_certificate_status_response),
        (Some(revoked), 2, Alert::certificate_revoked),
        (Some(world.good()), 1, Alert::certificate_unknown),
        (Some(world.good()), 0, Alert::certificate_unknown),
    ];
    for role in Role::BOTH {
        for (single, logs, alert) in &cases {
            let shown = world.credential(single.clone(), *logs);
            world.pair(role, shown).refuse(role.peer(), *alert);
        }
    }
}
