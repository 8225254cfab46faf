//! Stapled OCSP responses (RFC 6960): who may speak for a certificate, about which, and when; and certificates that demand
//! one (RFC 7633).

use super::*;
use crate::maker::*;

/// A PKI whose path the CRLs say nothing about: what decides is the staple.
fn staple(ocsp: &[u8]) -> Evidence<'_> {
    Evidence { ocsp, asked_for_ocsp: true, ..Evidence::default() }
}

impl Pki {
    /// The verdict on the server with this staple, by hard-fail or soft-fail.
    fn stapled(&self, policy: Revocation, ocsp: &[u8]) -> Verdict {
        let verifier = self.verifier(policy.end_entity_only());
        judge(&verifier, &self.chain(self.leaf_draft()), staple(ocsp))
    }

    fn hard(&self, ocsp: &[u8]) -> Verdict {
        self.stapled(Revocation::hard_fail(), ocsp)
    }

    fn good(&self) -> Single {
        Single::good(&self.ica, SERVER)
    }

    fn response(&self) -> Response {
        Response::new(&[self.good()])
    }
}

/// Refused by hard-fail for this reason, and no evidence for soft-fail.
#[track_caller]
fn bad(pki: &Pki, ocsp: &[u8], why: &str) {
    pki.stapled(Revocation::soft_fail(), ocsp).unwrap();
    let verdict = pki.hard(ocsp);
    let text = verdict.as_ref().expect_err("accepted").to_string();
    assert!(text.contains(why), "{text}");
    refused(verdict, "bad-staple", Alert::bad_certificate_status_response);
}

#[test]
fn a_good_staple_is_enough() {
    let pki = Pki::new();
    pki.hard(&pki.response().sign(&pki.ica)).unwrap();
    for hash in [SHA256, SHA384] {
        let entry = Single { hash, ..pki.good() };
        pki.hard(&Response::new(&[entry]).sign(&pki.ica)).unwrap();
    }
    let by_key = Response { responder: Some(by_key(&pki.ica)), ..pki.response() };
    pki.hard(&by_key.sign(&pki.ica)).unwrap();
    unknown(pki.hard(b""), "no CRL of its issuer at hand");
    pki.stapled(Revocation::soft_fail(), b"").unwrap();
    // Nobody has asked for a policy, and the certificate demands nothing.
    let verifier = Verifier::new(pki.anchors());
    let revoked = Response::new(&[Single::revoked(&pki.ica, SERVER)]).sign(&pki.ica);
    judge(&verifier, &pki.chain(pki.leaf_draft()), staple(&revoked)).unwrap();
    // It speaks for the leaf alone.
    let good = pki.response().sign(&pki.ica);
    let verifier = pki.verifier(Revocation::hard_fail());
    unknown(judge(&verifier, &pki.chain(pki.leaf_draft()), staple(&good)), "CN=Intermediate");
}

#[test]
fn what_a_staple_revokes_is_revoked() {
    let pki = Pki::new();
    let revoked = Response::new(&[Single::revoked(&pki.ica, SERVER)]).sign(&pki.ica);
    for policy in [Revocation::hard_fail(), Revocation::soft_fail()] {
        let verdict = pki.stapled(policy, &revoked);
        let text = verdict.as_ref().unwrap_err().to_string();
        assert!(text.contains("3 days ago") && text.contains("keyCompromise"), "{text}");
        refused(verdict, "revoked", Alert::certificate_revoked);
    }
    // Even one that has expired; and even if a CRL knows nothing of it. Nor does a good staple outweigh a CRL.
    let old = Single { next_update: Some("20251231000000Z"), ..Single::revoked(&pki.ica, SERVER) };
    let clean = crls(&[List::default().sign(&pki.ica)]);
    let policy = Revocation::hard_fail().with_crls(clean);
    let verdict = pki.stapled(policy, &Response::new(&[old]).sign(&pki.ica));
    refused(verdict, "revoked", Alert::certificate_revoked);
    // Nor does it matter that our clock is slow, or that there is more to it than we understand.
    let odd = Single {
        this_update: "20260102000000Z",
        extensions: vec![extension(UNKNOWN, true, &[5, 0])],
        ..Single::revoked(&pki.ica, SERVER)
    };
    let early = Response { produced_at: "20260102000000Z", ..Response::new(&[odd]) };
    let verdict = pki.stapled(Revocation::soft_fail(), &early.sign(&pki.ica));
    refused(verdict, "revoked", Alert::certificate_revoked);
    let listed = crls(&[List::of(SERVER).sign(&pki.ica)]);
    let policy = Revocation::soft_fail().with_crls(listed);
    let verdict = pki.stapled(policy, &pki.response().sign(&pki.ica));
    refused(verdict, "revoked", Alert::certificate_revoked);
}

#[test]
fn pitfall_47_the_right_entry_of_several() {
    let pki = Pki::new();
    let other = || Single::good(&pki.ica, &[0x55]);
    let all = [other(), pki.good(), Single::revoked(&pki.ica, &[0x56])];
    pki.hard(&Response::new(&all).sign(&pki.ica)).unwrap();
    let all = [other(), Single::revoked(&pki.ica, SERVER), other()];
    let verdict = pki.hard(&Response::new(&all).sign(&pki.ica));
    refused(verdict, "revoked", Alert::certificate_revoked);
    // Two for one certificate: what one revokes the other does not make good.
    for both in [[0, 1], [1, 0]] {
        let of = [pki.good(), Single::revoked(&pki.ica, SERVER)];
        let both = both.map(|i: usize| of[i].clone());
        let verdict = pki.hard(&Response::new(&both).sign(&pki.ica));
        refused(verdict, "revoked", Alert::certificate_revoked);
    }
    // Another serial number, issuer, or key of the issuer; or nobody at all.
    let nobody = "nothing about this certificate";
    bad(&pki, &Response::new(&[other()]).sign(&pki.ica), nobody);
    bad(&pki, &Response::new(&[]).sign(&pki.ica), nobody);
    let issuer_name = name("Somebody");
    bad(&pki, &Response::new(&[Single { issuer_name, ..pki.good() }]).sign(&pki.ica), nobody);
    let issuer_key = Single::good(&pki.root, SERVER).issuer_key;
    bad(&pki, &Response::new(&[Single { issuer_key, ..pki.good() }]).sign(&pki.ica), nobody);
    let unknown_hash = Single { hash: &[6, 3, 0x2a, 3, 4], ..pki.good() };
    bad(&pki, &Response::new(&[unknown_hash]).sign(&pki.ica), nobody);
    let serial = vec![0, 0x20];
    bad(&pki, &Response::new(&[Single { serial, ..pki.good() }]).sign(&pki.ica), "does not parse");
}

/// A responder with a certificate of the intermediate.
fn responder(extensions: &[Vec<u8>]) -> (Entity, Draft) {
    let who = entity("Responder");
    let draft = Draft { serial: vec![0x30], extensions: vec![], ..Draft::ca(&who) };
    let draft = draft.with(usage(DIGITAL_SIGNATURE)).with(purposes(&[OCSP_SIGNING]));
    let draft = extensions.iter().fold(draft, |draft, e| draft.with(e.clone()));
    (who, draft)
}

#[test]
fn pitfall_47_a_responder_whom_the_issuer_has_authorised() {
    let pki = Pki::new();
    let by = |who: &Entity, certificates: &[Der]| {
        let certificates = certificates.iter().map(|der| der.to_vec()).collect();
        Response { certificates, ..pki.response() }.sign(who)
    };
    let (who, draft) = responder(&[]);
    let good = draft.clone().sign(&pki.ica);
    pki.hard(&by(&who, std::slice::from_ref(&good))).unwrap();
    let among_others = [pki.chain(pki.leaf_draft())[1].clone(), good.clone()];
    pki.hard(&by(&who, &among_others)).unwrap();
    let certificates = vec![good.to_vec()];
    let named = Response { responder: Some(by_key(&who)), certificates, ..pki.response() };
    pki.hard(&named.clone().sign(&who)).unwrap();
    bad(&pki, &named.sign(&entity("Responder")), "not by its responder's key");

    bad(&pki, &by(&who, &[]), "neither the issuer nor authorised");
    bad(&pki, &by(&entity("Responder"), std::slice::from_ref(&good)), "not by its responder's key");
    let misnamed = Response { responder: Some(tlv(0xa1, &name("X"))), ..pki.response() };
    bad(&pki, &misnamed.sign(&pki.ica), "neither the issuer nor authorised");
    // Directly by the issuer: not by the root, nor by somebody else under its name.
    bad(&pki, &by(&who, &[draft.clone().sign(&pki.root)]), "of another issuer");
    let impostor = entity("Intermediate");
    bad(&pki, &by(&who, &[draft.clone().sign(&impostor)]), "not signed by the issuer's key");
    let of_server = Draft { issuer: Some(pki.ica.name.clone()), ..draft.clone() };
    bad(&pki, &by(&who, &[of_server.sign(&pki.server)]), "not signed by the issuer's key");
    // RFC 6960 §4.2.2.2: the purpose itself, and no other that would seem to include it.
    for wrong in [vec![ANY_PURPOSE], vec![SERVER_AUTH], vec![CODE_SIGNING, ANY_PURPOSE]] {
        let certificate = draft.clone().with(purposes(&wrong)).sign(&pki.ica);
        bad(&pki, &by(&who, &[certificate]), "not for OCSP (extendedKeyUsage)");
    }
    let without = draft.clone().without(EXTENDED_KEY_USAGE).sign(&pki.ica);
    bad(&pki, &by(&who, &[without]), "not for OCSP (extendedKeyUsage)");
    let several = draft.clone().with(purposes(&[SERVER_AUTH, OCSP_SIGNING])).sign(&pki.ica);
    pki.hard(&by(&who, &[several])).unwrap();
    let cannot_sign = draft.clone().with(usage(KEY_ENCIPHERMENT)).sign(&pki.ica);
    bad(&pki, &by(&who, &[cannot_sign]), "may not sign (keyUsage)");
    let old = Draft { not_after: "20251231235959Z", ..draft.clone() }.sign(&pki.ica);
    bad(&pki, &by(&who, &[old]), "not valid now");
    let early = Draft { not_before: "20260101000001Z", ..draft.clone() }.sign(&pki.ica);
    bad(&pki, &by(&who, &[early]), "not valid now");
    let odd = draft.clone().with(extension(UNKNOWN, true, &[5, 0])).sign(&pki.ica);
    bad(&pki, &by(&who, &[odd]), "critical extension");
    // The peer's own certificate cannot vouch for itself.
    let own =
        Response { certificates: vec![pki.leaf_draft().sign(&pki.ica).to_vec()], ..pki.response() };
    bad(&pki, &own.sign(&pki.server), "not for OCSP (extendedKeyUsage)");
}

#[test]
fn pitfall_47_a_responder_who_is_revoked() {
    let pki = Pki::new();
    let lists = crls(&[List::of(&[0x30]).sign(&pki.ica)]);
    for (extensions, good) in
        [(vec![], false), (vec![extension(OCSP_NOCHECK, false, &[5, 0])], true)]
    {
        let (who, draft) = responder(&extensions);
        let certificates = vec![draft.sign(&pki.ica).to_vec()];
        let ocsp = Response { certificates, ..pki.response() }.sign(&who);
        let policy = Revocation::hard_fail().with_crls(lists.clone());
        match (pki.stapled(policy, &ocsp), good) {
            (verdict, true) => verdict.unwrap(),
            (verdict, false) => {
                refused(verdict, "bad-staple", Alert::bad_certificate_status_response);
            }
        }
    }
}

#[test]
fn pitfall_47_every_byte_of_the_signature_counts() {
    let pki = Pki::new();
    let mut response = pki.response().sign(&pki.ica);
    *response.last_mut().unwrap() ^= 1;
    bad(&pki, &response, "not by the issuer's key");
    bad(&pki, &pki.response().sign(&entity("Intermediate")), "not by the issuer's key");
    let sha1 = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]));
    bad(&pki, &pki.response().sign_as(&pki.ica, &sha1), "too weak");
    let odd = tlv(0x30, &tlv(6, &[0x2a, 3, 4]));
    bad(&pki, &pki.response().sign_as(&pki.ica, &odd), "provider does not have");
}

#[test]
fn pitfall_47_a_response_has_its_time() {
    let pki = Pki::new();
    let sign = |entry: Single| Response::new(&[entry]).sign(&pki.ica);
    let until = |next_update| sign(Single { next_update, ..pki.good() });
    pki.hard(&until(Some("20260101000000Z"))).unwrap();
    let expired = until(Some("20251231235959Z"));
    let verdict = pki.hard(&expired);
    let text = verdict.as_ref().unwrap_err().to_string();
    assert!(text.contains("expired 1 second ago, at 2025-12-31 23:59:59 UTC"), "{text}");
    refused(verdict, "staple-expired", Alert::bad_certificate_status_response);
    pki.stapled(Revocation::soft_fail(), &expired).unwrap();
    let grace = Revocation::hard_fail().with_grace(Duration::from_secs(1));
    pki.stapled(grace, &expired).unwrap();
    // Without nextUpdate it counts for a day.
    let from = |this_update| sign(Single { this_update, next_update: None, ..pki.good() });
    pki.hard(&from("20251231000000Z")).unwrap();
    let verdict = pki.hard(&from("20251230235959Z"));
    refused(verdict, "staple-expired", Alert::bad_certificate_status_response);
    // Clocks may differ by five minutes.
    let early = |this_update| sign(Single { this_update, ..pki.good() });
    pki.hard(&early("20260101000500Z")).unwrap();
    let verdict = pki.hard(&early("20260101000501Z"));
    refused(verdict, "staple-not-yet-valid", Alert::bad_certificate_status_response);
    let produced = |produced_at| Response { produced_at, ..pki.response() }.sign(&pki.ica);
    pki.hard(&produced("20260101000500Z")).unwrap();
    let verdict = pki.hard(&produced("20260101000501Z"));
    refused(verdict, "staple-not-yet-valid", Alert::bad_certificate_status_response);
    let backwards = Single { next_update: Some("20251230000000Z"), ..pki.good() };
    bad(&pki, &sign(backwards), "ends before it begins");
}

#[test]
fn pitfall_47_what_is_no_answer() {
    let pki = Pki::new();
    let statuses = [(1, "malformed"), (2, "failed"), (3, "busy"), (5, "signed"), (6, "refused")];
    for (status, text) in statuses {
        bad(&pki, &Response { status, ..pki.response() }.sign(&pki.ica), text);
        bad(&pki, &tlv(0x30, &tlv(10, &[status])), text);
    }
    bad(&pki, &Response { status: 4, ..pki.response() }.sign(&pki.ica), "none that exists");
    bad(&pki, &tlv(0x30, &tlv(10, &[0])), "no response in it");
    let unknown = Single { status: tlv(0x82, &[]), ..pki.good() };
    bad(&pki, &Response::new(&[unknown]).sign(&pki.ica), "does not know the certificate");
    let critical = |critical| extension(UNKNOWN, critical, &tlv(5, &[]));
    let in_entry = |c| Single { extensions: vec![critical(c)], ..pki.good() };
    bad(&pki, &Response::new(&[in_entry(true)]).sign(&pki.ica), "critical extension");
    pki.hard(&Response::new(&[in_entry(false)]).sign(&pki.ica)).unwrap();
    let outside = |c| Response { extensions: vec![critical(c)], ..pki.response() };
    bad(&pki, &outside(true).sign(&pki.ica), "critical extension");
    pki.hard(&outside(false).sign(&pki.ica)).unwrap();
    // Cut or changed anywhere, it is never a panic, and never good.
    let good = pki.response().sign(&pki.ica);
    for len in 1..good.len() {
        assert!(pki.hard(&good[..len]).is_err());
    }
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert!(pki.hard(&changed).is_err(), "{at}");
    }
}

/// RFC 7633: the certificate itself demands a staple.
#[test]
fn pitfall_47_must_staple() {
    let pki = Pki::new();
    let features = |list: &[u8]| {
        let list: Vec<_> = list.iter().flat_map(|feature| tlv(2, &[*feature])).collect();
        extension(TLS_FEATURE, false, &tlv(0x30, &list))
    };
    let good = pki.response().sign(&pki.ica);
    let demanding = pki.leaf_draft().with(features(&[5]));
    let plain = Verifier::new(pki.anchors());
    let soft = pki.verifier(Revocation::soft_fail());
    for verifier in [&plain, &soft] {
        let verdict = |leaf: &Draft, evidence| judge(verifier, &pki.chain(leaf.clone()), evidence);
        refused(
            verdict(&demanding, staple(b"")),
            "missing-staple",
            Alert::bad_certificate_status_response,
        );
        verdict(&demanding, staple(&good)).unwrap();
        let verdict_on_bad = verdict(&demanding, staple(b"\x30\x00"));
        refused(verdict_on_bad, "bad-staple", Alert::bad_certificate_status_response);
        let revoked = Response::new(&[Single::revoked(&pki.ica, SERVER)]).sign(&pki.ica);
        refused(verdict(&demanding, staple(&revoked)), "revoked", Alert::certificate_revoked);
        // Nobody has asked for one.
        verdict(&demanding, Evidence::default()).unwrap();
        // Other features demand other things.
        verdict(&pki.leaf_draft().with(features(&[17])), staple(b"")).unwrap();
    }
    // RFC 7633 §4.2.2: what a CA demands, those below it have to demand.
    let ica = pki.ica_draft().with(features(&[5])).sign(&pki.root);
    let below =
        |leaf: Draft| judge(&plain, &[leaf.sign(&pki.ica), ica.clone()], Evidence::default());
    below(demanding).unwrap();
    below(pki.leaf_draft().with(features(&[17, 5]))).unwrap();
    refused(below(pki.leaf_draft()), "tls-feature", Alert::bad_certificate);
    refused(below(pki.leaf_draft().with(features(&[17]))), "tls-feature", Alert::bad_certificate);
    let broken = pki.leaf_draft().with(extension(TLS_FEATURE, false, b"x"));
    let verdict = judge(&plain, &pki.chain(broken), Evidence::default());
    refused(verdict, "malformed", Alert::bad_certificate);
}
