//! What tells that a certificate is good or not: CRLs, OCSP responses, certificate timestamps. Every signature over them is
//! taken, so that everything behind it is reached. What a strict policy accepts, a laxer one accepts too.

use sealwire::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use sealwire::{
    CertificateError, Crls, CtLog, Evidence, Purpose, Revocation, Transparency, TrustAnchors,
    Verifier,
};
use std::time::Duration;

use super::cheap::provider;
use super::peer::Victim;
use super::seeds::ct_logs;
use super::world::{Instructions, spki};

/// Time, leaf and issuer, then the lists.
pub fn crl(data: &[u8]) {
    let mut input = Instructions(data);
    let Some(case) = Case::read(&mut input) else { return };
    let mut lists = Vec::new();
    while let Some(len) = input.short().filter(|_| lists.len() < 4) {
        lists.push(CertificateRevocationListDer::from(input.bytes(len)));
    }
    let count = lists.len();
    let Ok(crls) = Crls::from_der(lists) else { return };
    assert_eq!(crls.len(), count);
    let nothing = Evidence::default();
    let hard = case.judge(Some(Revocation::hard_fail().with_crls(crls.clone())), nothing);
    let end = Revocation::hard_fail().with_crls(crls.clone()).end_entity_only();
    let grace = Revocation::hard_fail().with_crls(crls.clone()).with_grace(Duration::from_secs(9));
    let soft = case.judge(Some(Revocation::soft_fail().with_crls(crls)), nothing);
    let none = case.judge(None, nothing);
    implies(&hard, &case.judge(Some(end), nothing), "fewer are looked at");
    implies(&hard, &case.judge(Some(grace), nothing), "more time is given");
    implies(&hard, &soft, "silence is borne with");
    implies(&soft, &none, "nobody asks");
    // A leaf that nobody can tell anything about is not good by a hard policy.
    if hard.is_ok() && count == 0 {
        assert_eq!(case.chain[0], case.chain[1], "good without a list");
    }
}

/// Time, leaf and issuer, then the response.
pub fn ocsp(data: &[u8]) {
    let mut input = Instructions(data);
    let Some(case) = Case::read(&mut input) else { return };
    let stapled = Evidence { ocsp: input.0, scts: &[], asked_for_ocsp: true };
    let hard = case.judge(Some(Revocation::hard_fail().end_entity_only()), stapled);
    let soft = case.judge(Some(Revocation::soft_fail()), stapled);
    implies(&hard, &soft, "silence is borne with");
    implies(&soft, &case.judge(None, stapled), "nobody asks");
    // An answer is about this certificate (RFC 6960 §4.1.1): its serial number is in it.
    if hard.is_ok()
        && let Some(serial) = serial(&case.chain[0])
        && case.chain[0] != case.chain[1]
    {
        assert!(input.0.windows(serial.len()).any(|w| w == serial), "good by somebody else's word");
    }
}

/// Time, leaf and issuer, then timestamps with two bytes of length each.
pub fn sct(data: &[u8]) {
    let mut input = Instructions(data);
    let Some(case) = Case::read(&mut input) else { return };
    let minimum = usize::from(input.byte().unwrap_or(0) % 4);
    let mut scts = Vec::new();
    while let Some(len) = input.short().filter(|_| scts.len() < 6) {
        scts.push(input.bytes(len).to_vec());
    }
    let logs = || {
        let keys = ct_logs().iter().map(Vec::as_slice).chain([spki(Victim::Client)]);
        keys.filter_map(|key| CtLog::new(key.to_vec(), "log", "its operator").ok())
    };
    let policy = Transparency::new(logs()).with_minimum(minimum, minimum.min(1));
    let evidence = Evidence { ocsp: &[], scts: &scts, asked_for_ocsp: false };
    let strict = case.timestamps(policy.clone(), evidence);
    let lax = case.timestamps(policy.report_only(), evidence);
    implies(&strict, &lax, "it is only reported");
    implies(&lax, &case.judge(None, evidence), "nobody asks");
    let fewer = Transparency::new(logs()).with_minimum(minimum.saturating_sub(1), 0);
    implies(&strict, &case.timestamps(fewer, evidence), "fewer are wanted");
}

/// Whatever the first accepts, the second does.
fn implies(strict: &Verdict, lax: &Verdict, why: &str) {
    if let (Ok(()), Err(error)) = (strict, lax) {
        panic!("accepted, but not if {why}: {error}");
    }
}

type Verdict = Result<(), CertificateError>;

/// A leaf below an anchor.
struct Case<'a> {
    now: UnixTime,
    chain: [CertificateDer<'a>; 2],
    anchors: TrustAnchors,
}

impl<'a> Case<'a> {
    fn read(input: &mut Instructions<'a>) -> Option<Self> {
        let mut now = 0;
        for _ in 0..4 {
            now = now << 8 | u64::from(input.byte()?);
        }
        let mut certificate = || {
            let len = input.short()?;
            Some(CertificateDer::from(input.bytes(len)))
        };
        let chain = [certificate()?, certificate()?];
        let anchors = TrustAnchors::from_certificates([chain[1].clone()]);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        Some(Self { now, chain, anchors })
    }

    fn judge(&self, policy: Option<Revocation>, evidence: Evidence<'_>) -> Verdict {
        let verifier = Verifier::new(self.anchors.clone());
        self.ask(
            match policy {
                Some(policy) => verifier.with_revocation(policy),
                None => verifier,
            },
            evidence,
        )
    }

    fn timestamps(&self, policy: Transparency, evidence: Evidence<'_>) -> Verdict {
        self.ask(Verifier::new(self.anchors.clone()).with_transparency(policy), evidence)
    }

    fn ask(&self, verifier: Verifier, evidence: Evidence<'_>) -> Verdict {
        let chain = &self.chain[..1];
        let verdict =
            verifier.verify(&provider(0), chain, Purpose::Server, None, self.now, evidence);
        verdict.map(drop)
    }
}

/// The contents of a certificate's serial number (RFC 5280 §4.1), if it is where it mostly is.
fn serial(certificate: &[u8]) -> Option<&[u8]> {
    let inside = |der: &'_ [u8]| -> Option<usize> {
        match *der.get(1)? {
            short @ 0..=0x7f => Some(2).filter(|_| usize::from(short) <= der.len()),
            long => Some(2 + usize::from(long & 0x7f)),
        }
    };
    let tbs = certificate.get(inside(certificate)?..)?;
    let mut fields = tbs.get(inside(tbs)?..)?;
    if fields.first() == Some(&0xa0) {
        fields = fields.get(5..)?;
    }
    match fields {
        [2, len, rest @ ..] => rest.get(..usize::from(*len)),
        _ => None,
    }
}
