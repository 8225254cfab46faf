//! Building a path from the peer's certificate to an anchor, with backtracking (RFC 5280 §6.1, RFC 4158).
//!
//! ```text
//!   leaf ── candidates: anchors and intermediates whose subject is the leaf's issuer, the promising first
//!            │  signature by that key?   no: next candidate
//!            │  rules of an issuer?      no: next candidate
//!            ├─ anchor:       name constraints of the whole path, then the verdict on the leaf: done
//!            └─ intermediate: its own candidates; when they are spent, back to the next one here
//! ```
//!
//! The chain is a set: its order means nothing, and what is in it but not on the path does not matter. Each
//! [`Search::step`] checks at most one signature. Key identifiers decide the order of candidates and nothing else.

mod candidate;

use std::sync::Arc;

use pki_types::{CertificateDer, ServerName};

use self::candidate::{Candidate, Who};
use super::cause::{Cause, Fault};
use super::certificate::Certificate;
use super::constraint::{self, Refused};
use super::evidence::{Judge, Link, Outcome, Policies};
use super::report::{Case, Place, Rank, Record, Stage};
use super::signature::{Cache, Proof, Signatures, Stop};
use super::{Evidence, Purpose, Rules, TrustAnchors, policy, step};
use crate::crypto::Provider;
use crate::error::{CertificateError, CertificateReason as Reason, CertificateReport, Limit};
use crate::limits::{Budget, Limits};

/// What a search works with.
pub(super) struct Inputs<'a> {
    pub(super) provider: &'a Provider,
    pub(super) anchors: &'a TrustAnchors,
    /// Signatures that were good before.
    pub(super) cache: &'a Cache,
    pub(super) purpose: Purpose,
    /// Whom the leaf had to be for, if anybody.
    pub(super) name: Option<&'a ServerName<'a>>,
    pub(super) max_depth: usize,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// What the peer sent beside its chain, and what is asked of it.
    pub(super) evidence: Evidence<'a>,
    pub(super) policies: &'a Policies,
    /// What else is asked of a path.
    pub(super) rules: &'a Rules,
}

/// A search in progress.
pub(super) struct Search<'a> {
    inputs: Inputs<'a>,
    /// The leaf, and the intermediates that parse.
    certificates: Vec<Certificate<'a>>,
    /// Where each of them is in the chain.
    positions: Vec<usize>,
    /// What is wrong with the leaf by itself. The first decides, and only once there is a path.
    faults: Vec<Reason>,
    /// The path so far: the leaf at the bottom.
    stack: Vec<Frame<'a>>,
    /// The path is whole and in order up to here; what is left to check is in [`Search::close`].
    complete: Option<Complete<'a>>,
    signatures: Signatures<'a>,
    budget: Budget,
    record: Record<'a>,
}

/// A certificate on the path, and who may have issued it.
struct Frame<'a> {
    certificate: usize,
    /// That its key has signed the certificate below it; `None` for the leaf.
    proof: Option<Proof>,
    /// Not yet tried, the most promising last.
    candidates: Vec<Candidate<'a>>,
    /// Whether anybody had the right name.
    any: bool,
}

/// What is above the last certificate of a path.
struct Complete<'a> {
    anchor: Who<'a>,
    /// That its key has signed that certificate.
    proof: Proof,
}

/// What one step led to.
pub(super) enum Progress<'a> {
    /// There is more to try.
    Continue,
    Done(Result<Found<'a>, CertificateError>),
}

/// What is made of a whole path, and the signatures that were found good for it; or why it is refused, and how far it came.
type Judged = Result<(Outcome, Vec<Proof>), (Stage, Reason)>;

/// A path that is in order.
pub(super) struct Found<'a> {
    /// Where its certificates are in the chain, the leaf first.
    pub(super) positions: Vec<usize>,
    /// The subject of the anchor.
    pub(super) anchor: Vec<u8>,
    place: Place<'a>,
    /// The last second in which the certificates and the evidence are good.
    pub(super) until: i64,
    /// The logs that vouch for the leaf.
    pub(super) logs: Vec<String>,
}

impl<'a> Search<'a> {
    /// A search over `chain`, whose first certificate is `leaf`. What is wrong with the leaf alone is in `faults`.
    pub(super) fn new(
        inputs: Inputs<'a>,
        budget: Budget,
        leaf: Certificate<'a>,
        faults: Vec<Reason>,
        intermediates: &'a [CertificateDer<'_>],
    ) -> Self {
        let signatures = Signatures::new(inputs.provider, inputs.cache);
        let mut certificates = Vec::with_capacity(1 + intermediates.len());
        let mut positions = Vec::with_capacity(1 + intermediates.len());
        certificates.push(leaf);
        positions.push(0);
        let mut this = Self {
            inputs,
            certificates,
            positions,
            faults,
            stack: Vec::with_capacity(4),
            complete: None,
            signatures,
            budget,
            record: Record::default(),
        };
        for (position, der) in intermediates.iter().enumerate() {
            match Certificate::parse(der) {
                // The same certificate twice is one certificate.
                Ok(new) if this.certificates.iter().all(|known| known.der != new.der) => {
                    this.certificates.push(new);
                    this.positions.push(position + 1);
                }
                Ok(_) => {}
                // RFC 9846 §4.5.1.2: there may be all sorts of extra certificates.
                Err(what) => this.record.unusable(position + 1, what),
            }
        }
        let first = this.frame(0, None);
        this.stack.push(first);
        this
    }

    /// Goes on until the search has ended.
    pub(super) fn run(&mut self) -> Result<Found<'a>, CertificateError> {
        loop {
            if let Progress::Done(verdict) = self.step() {
                return verdict;
            }
        }
    }

    /// Goes on until something is found out. At most one signature is checked.
    pub(super) fn step(&mut self) -> Progress<'a> {
        self.signatures.begin_step();
        let outcome = match self.complete.take() {
            Some(complete) => self.close(complete),
            None => self.advance(),
        };
        match outcome {
            Ok(progress) => progress,
            Err(Stop::Yield) => Progress::Continue,
            Err(Stop::Exhausted(limit)) => {
                self.fail(Stage::Exhausted, None, Cause::Said(Reason::BudgetExhausted { limit }));
                self.give_up()
            }
        }
    }

    /// Within these limits from now on.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.budget.limits = limits;
    }

    /// What is used up so far, and what is left.
    pub(super) fn budget(&self) -> Budget {
        self.budget
    }

    /// Considers the next candidate, or goes back where there is none.
    fn advance(&mut self) -> Result<Progress<'a>, Stop> {
        let Some(frame) = self.stack.last_mut() else { return Ok(self.give_up()) };
        match frame.candidates.pop() {
            Some(candidate) => self.consider(candidate),
            None => {
                self.back_up();
                Ok(Progress::Continue)
            }
        }
    }

    /// The next candidate, for the certificate at the end of the path.
    fn consider(&mut self, candidate: Candidate<'a>) -> Result<Progress<'a>, Stop> {
        self.budget.candidate()?;
        let Candidate { who, rules } = candidate;
        let Some(child) = self.end() else { return Ok(Progress::Continue) };
        let proof = match self.check_signature(child, &who)? {
            Ok(proof) => proof,
            Err(cause) => return Ok(self.fail(Stage::Signature, Some(&who), cause)),
        };
        if let Err(fault) = rules {
            let is_anchor = !matches!(who, Who::Intermediate(_));
            let stage = if is_anchor { Stage::Anchor } else { Stage::Issuer };
            let cause = Cause::Fault(who.place(), fault);
            return Ok(self.fail(stage, Some(&who), cause));
        }
        if let Who::Intermediate(index) = who {
            let frame = self.frame(index, Some(proof));
            self.stack.push(frame);
            return Ok(Progress::Continue);
        }
        if let Err(cause) = self.check_constraints(&who)? {
            return Ok(self.fail(Stage::Anchor, Some(&who), cause));
        }
        // The path is in order. If the leaf is not, no other path can help.
        if let Some(reason) = self.faults.first().cloned() {
            self.fail(Stage::Leaf, Some(&who), Cause::Said(reason));
            return Ok(self.give_up());
        }
        self.close(Complete { anchor: who, proof })
    }

    /// What is asked of a whole path that is in order otherwise, and may take signatures of its own: with
    /// [`Stop::Yield`], this is called again in the next step.
    fn close(&mut self, complete: Complete<'a>) -> Result<Progress<'a>, Stop> {
        let (outcome, evidence) = match self.check_path(&complete) {
            Ok(Ok(good)) => good,
            Ok(Err((stage, reason))) => {
                return Ok(self.fail(stage, Some(&complete.anchor), Cause::Said(reason)));
            }
            Err(stop) => {
                self.complete = Some(complete);
                return Err(stop);
            }
        };
        let proofs = self.stack.iter().filter_map(|frame| frame.proof);
        self.signatures.remember(proofs.chain([complete.proof]).chain(evidence));
        let path = self.stack.iter().filter_map(|f| self.positions.get(f.certificate));
        let anchor = self.subject_of(&complete.anchor).to_vec();
        let place = complete.anchor.place();
        let Outcome { until, logs } = outcome;
        let on_path = self.stack.iter().filter_map(|f| self.certificates.get(f.certificate));
        let until = on_path.map(|certificate| certificate.not_after).fold(until, i64::min);
        let positions = path.copied().collect();
        Ok(Progress::Done(Ok(Found { positions, anchor, place, until, logs })))
    }

    /// What the verifier asks of the path and its anchor besides; then revocation and transparency, and the signatures
    /// that were found good on the way.
    fn check_path(&mut self, complete: &Complete<'a>) -> Result<Judged, Stop> {
        let Inputs { provider, policies, evidence, now, rules, .. } = self.inputs;
        let anchor = &complete.anchor;
        let certificate = anchor.certificate();
        let mut all = { self.stack.iter() }
            .filter_map(|frame| self.certificates.get(frame.certificate))
            .chain(certificate);
        if !rules.ask_of_paths() && !all.any(|it| policies.concern(it)) {
            return Ok(Ok((Outcome { until: i64::MAX, logs: Vec::new() }, Vec::new())));
        }
        let path = on_path(&self.stack, &self.certificates);
        let spki = self.spki_of(anchor).unwrap_or_default();
        if let Err(reason) = rules.check_path(provider, &path, (spki, certificate)) {
            return Ok(Err((Stage::Anchor, reason)));
        }
        let links = Link::all_of(&path, (self.subject_of(anchor), spki), certificate);
        let (signatures, budget) = (&mut self.signatures, &mut self.budget);
        let mut judge = Judge { provider, signatures, budget, proofs: Vec::new() };
        Ok(match policies.check(&links, evidence, now, &mut judge)? {
            Ok(outcome) => Ok((outcome, judge.proofs)),
            Err(reason) => Err((Stage::Evidence, reason)),
        })
    }

    /// The end of the path has no candidates left. If nobody even had the right name, that is where the path broke off.
    fn back_up(&mut self) {
        if let Some(Frame { certificate, any: false, .. }) = self.stack.last() {
            let cause = Cause::NoIssuer(Place::Sent(*certificate));
            self.fail(Stage::NoIssuer, None, cause);
        }
        self.stack.pop();
    }

    /// RFC 5280 §6.1.3 (a)(1): whether `who` has signed `child`.
    fn check_signature(
        &mut self,
        child: usize,
        who: &Who<'a>,
    ) -> Result<Result<Proof, Cause<'a>>, Stop> {
        let place = Place::Sent(child);
        let (Some(certificate), Some(spki)) = (self.certificates.get(child), self.spki_of(who))
        else {
            return Ok(Err(Cause::Said(Reason::Refused)));
        };
        if let Err(fault) = step::check_algorithm(certificate) {
            return Ok(Err(Cause::Fault(place, fault)));
        }
        if !self.signatures.is_supported(certificate.signed.algorithm) {
            return Ok(Err(Cause::UnsupportedAlgorithm(place)));
        }
        let proof = self.signatures.check(&mut self.budget, spki, certificate.signed)?;
        let issuer = self.subject_of(who);
        Ok(proof.ok_or(Cause::BadSignature { certificate: place, issuer }))
    }

    /// What CAs on the path ask of those below them.
    fn check_constraints(&mut self, anchor: &Who<'a>) -> Result<Result<(), Cause<'a>>, Limit> {
        let constraints = match anchor {
            Who::Key { name_constraints, .. } => *name_constraints,
            _ => anchor.certificate().and_then(|c| c.extensions.name_constraints),
        };
        let constrains = |c: &Certificate<'_>| {
            c.extensions.name_constraints.is_some() || c.extensions.policies.demand_one()
        };
        if constraints.is_none() && !anchor.certificate().is_some_and(constrains) {
            let mut on_path =
                self.stack.iter().filter_map(|f| self.certificates.get(f.certificate));
            if !on_path.any(constrains) {
                return Ok(Ok(())); // as nearly always
            }
        }
        let path = on_path(&self.stack, &self.certificates);
        let anchor_constraints = (self.subject_of(anchor), constraints);
        if let Some(refused) = constraint::check(&path, anchor_constraints, &mut self.budget)? {
            let Refused { place, issuer, name } = refused;
            return Ok(Err(match name {
                Some(name) => {
                    Cause::NameConstraint { certificate: self.place(place), issuer, name }
                }
                None => Cause::Fault(
                    self.place(place),
                    Fault::Malformed("nameConstraints do not parse"),
                ),
            }));
        }
        // RFC 5280 §6.1.3 (f) and §6.1.5 (g)
        let verdict = policy::check(anchor.certificate(), &path);
        Ok(verdict.map_err(|place| Cause::Policy(self.place(place))))
    }

    /// The certificate on this place of the path.
    fn place(&self, on_path: usize) -> Place<'a> {
        Place::Sent(self.stack.get(on_path).map_or(0, |frame| frame.certificate))
    }

    /// The certificate at the end of the path.
    fn end(&self) -> Option<usize> {
        self.stack.last().map(|f| f.certificate)
    }

    fn spki_of(&self, who: &Who<'a>) -> Option<&'a [u8]> {
        match who {
            Who::Intermediate(i) => self.certificates.get(*i).map(|c| c.spki),
            Who::Anchor(c) => Some(c.spki),
            Who::Key { spki, .. } => Some(spki),
        }
    }

    fn subject_of(&self, who: &Who<'a>) -> &'a [u8] {
        match who {
            Who::Intermediate(i) => self.certificates.get(*i).map_or(&[], |c| c.subject),
            Who::Anchor(c) => c.subject,
            Who::Key { subject, .. } => subject,
        }
    }

    /// Remembers that the path, with this candidate on top, has failed; others may be better.
    fn fail(&mut self, stage: Stage, who: Option<&Who<'a>>, cause: Cause<'a>) -> Progress<'a> {
        let path = self.path(who.map(Who::place));
        self.record.fail(Rank { stage, depth: self.stack.len() }, path, cause);
        Progress::Continue
    }

    fn path(&self, top: Option<Place<'a>>) -> Vec<Place<'a>> {
        self.stack.iter().map(|f| Place::Sent(f.certificate)).chain(top).collect()
    }

    fn give_up(&mut self) -> Progress<'a> {
        let report = Arc::new(self.tell());
        Progress::Done(Err(CertificateError {
            reason: self.record.reason(&self.certificates),
            report,
        }))
    }

    /// How the search that has found this went, in words.
    pub(super) fn explain(&mut self, found: &Found<'a>) -> CertificateReport {
        let path = self.path(Some(found.place));
        self.record.accept(path);
        self.tell()
    }

    fn tell(&self) -> CertificateReport {
        self.record.tell(&Case {
            provider: self.inputs.provider,
            certificates: &self.certificates,
            positions: &self.positions,
            inputs: &self.inputs,
            faults: &self.faults,
        })
    }
}

/// The certificates of the path, the leaf first.
fn on_path<'c, 'a>(
    stack: &[Frame<'a>],
    certificates: &'c [Certificate<'a>],
) -> Vec<&'c Certificate<'a>> {
    stack.iter().filter_map(|frame| certificates.get(frame.certificate)).collect()
}
