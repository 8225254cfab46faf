//! Whole handshakes: the evidence that one side sends beside its chain is what the other side judges by, in both roles.

use std::sync::Arc;

use pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sealwire::{
    ClientAuth, ClientConfig, Connection, Credential, CtLog, MemorySessions, ServerConfig,
    TicketKeys, Transparency,
};

use super::*;
use crate::maker::*;
use crate::support::{Calls, Pair, Role, Side, Sink, Transport, later, now, seeded, server_name};

/// A PKI whose evidence is fresh at the time of the tests of handshakes, 2026-09-21, and two logs.
struct World {
    pki: Pki,
    logs: [Entity; 2],
    /// The one whose peer asks for evidence, and that demands a staple.
    chain: Vec<Der>,
    /// The root, and its CRL and the next one.
    anchors: TrustAnchors,
    lists: [Crls; 2],
}

impl World {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf_draft().with(alt_names(&[(DNS, b"server.test")]));
        let leaf = leaf.with(extension(TLS_FEATURE, false, &tlv(0x30, &tlv(2, &[5]))));
        let list = List { next_update: Some("20261001000000Z"), ..List::default() };
        let lists = [list.clone(), list.and(entry(&[0x77], &[]))];
        let lists = lists.map(|list| crls(&[list.sign(&pki.root)]));
        Self {
            chain: pki.chain(leaf),
            anchors: pki.anchors(),
            pki,
            logs: ["A", "B"].map(entity),
            lists,
        }
    }

    /// Asks for evidence about the peer, and refuses whom nothing vouches for.
    fn verifier(&self, changed: bool) -> Verifier {
        let lists = self.lists[usize::from(changed)].clone();
        let revocation = Revocation::hard_fail().with_crls(lists);
        let logs = self.logs.iter().map(|log| {
            let spki = rcgen::PublicKeyData::subject_public_key_info(&log.key);
            CtLog::new(spki, "log", &format!("{:?}", log.name)).unwrap()
        });
        let transparency = Transparency::new(logs);
        let verifier = Verifier::new(self.anchors.clone());
        verifier.with_revocation(revocation).with_transparency(transparency)
    }

    /// What is good about the leaf.
    fn good(&self) -> Single {
        let (this_update, next_update) = ("20260920000000Z", Some("20260925000000Z"));
        Single { this_update, next_update, ..Single::good(&self.pki.ica, SERVER) }
    }

    /// The leaf's credential, with this staple and the timestamps of so many logs.
    fn credential(&self, single: Option<Single>, logs: usize) -> Arc<Credential> {
        let (pki, chain) = (&self.pki, self.chain.clone());
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
        let (client, server) = self.configs(role, shown, false);
        Calls::PLAIN.pair(client, server)
    }

    /// With other lists, if they have `changed`.
    fn configs(
        &self,
        role: Role,
        shown: Arc<Credential>,
        changed: bool,
    ) -> (ClientConfig, ServerConfig) {
        let any = Verifier::danger_accept_any;
        match role {
            Role::Server => {
                let client = ClientConfig::new(seeded(2), self.verifier(changed)).unwrap();
                (client, ServerConfig::new(seeded(3), vec![shown]).unwrap())
            }
            Role::Client => {
                let client = ClientConfig::new(seeded(2), any()).unwrap();
                let server = ServerConfig::new(seeded(3), vec![self.credential(None, 0)]).unwrap();
                let server = server.with_client_auth(ClientAuth::Required(self.verifier(changed)));
                (client.with_credentials(vec![shown]), server.with_status_requests(true, true))
            }
        }
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

/// Sessions end with the evidence that their certificates were not revoked, and with the policy: a full handshake judges
/// again then.
#[test]
fn pitfall_31_a_session_ends_with_the_evidence() {
    /// The staple's nextUpdate, seen from where the tests begin.
    const END: i64 = 1_790_028_000 - 1_790_000_000;
    let world = World::new();
    for role in Role::BOTH {
        let sessions = Arc::new(MemorySessions::new(8, 1 << 16));
        let keys = Arc::new(TicketKeys::new(&seeded(4), now()).unwrap());
        // Whether a connection that begins so many seconds later resumes; with another list from `changed` on.
        let connect = |seconds: i64, changed: bool, until: &'static str| {
            let good = Single { next_update: Some(until), ..world.good() };
            let shown = world.credential(Some(good), 2);
            let (client, server) = world.configs(role, shown, changed);
            let server = server.with_tickets(keys.clone());
            let client = Arc::new(client.with_sessions(sessions.clone()));
            let mut wire = Vec::new();
            let conn = Connection::client(client, server_name(), later(seconds), &mut wire);
            let client = Side::new(conn.unwrap(), wire, Sink::Vec);
            let mut pair = Pair::of(client, Calls::PLAIN.server(server), Transport::Glued);
            pair.now = later(seconds);
            let mut pair = pair.connect();
            pair.chat();
            let summary = pair.side(role.peer()).conn.summary().unwrap().clone();
            // Who asks again has what was believed, whether a session was resumed or not, and for as long.
            assert_eq!((summary.peer_ocsp.is_empty(), summary.peer_scts.len()), (false, 2));
            let recheck = |at| summary.recheck(&seeded(5), &world.verifier(changed), later(at));
            recheck(seconds).unwrap();
            if seconds < END {
                let error = recheck(END + 1).unwrap_err();
                assert_eq!(error.reason.code(), "staple-expired");
            }
            summary.resumed
        };
        let end = "20260921220000Z";
        assert!(!connect(0, false, end));
        assert!(connect(END / 2, false, end), "{role:?}: the evidence is still good");
        assert!(connect(END - 1, false, end), "{role:?}: the same, of a session that was resumed");
        assert!(!connect(END + 1, false, "20261001000000Z"), "{role:?}: it has ended");
        assert!(connect(END + 2, false, "20261001000000Z"), "{role:?}: a new response was judged");
        assert!(!connect(END + 3, true, "20261001000000Z"), "{role:?}: by other lists");
    }
}
