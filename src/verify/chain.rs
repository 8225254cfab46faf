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
//! [`Search::step`] considers one candidate and so checks at most one signature. Key identifiers decide the order of
//! candidates and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use pki_types::{CertificateDer, ServerName};

use super::anchor::Anchor;
use super::certificate::Certificate;
use super::constraint::{Names, Refusal, Subtrees};
use super::report::{Case, Place, Rank, Record, Stage, dotted, subject};
use super::{Evidence, Purpose, TrustAnchors, directory, step};
use crate::crypto::Provider;
use crate::error::{CertificateError, CertificateReason as Reason, CertificateReport, Limit};
use crate::limits::Budget;

/// What a search works with.
pub(super) struct Inputs<'a> {
    pub(super) provider: &'a Provider,
    pub(super) anchors: &'a TrustAnchors,
    pub(super) purpose: Purpose,
    /// Whom the leaf had to be for, if anybody.
    pub(super) name: Option<&'a ServerName<'a>>,
    pub(super) max_depth: usize,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// What the peer sent beside its chain. No policy looks at it yet.
    #[allow(dead_code)]
    pub(super) evidence: Evidence<'a>,
}

/// A search in progress.
pub(super) struct Search<'a> {
    inputs: Inputs<'a>,
    /// The leaf, and the intermediates that parse.
    certificates: Vec<Certificate<'a>>,
    /// Where each of them is in the chain.
    positions: Vec<usize>,
    /// Where the intermediates with this subject are, by [`directory::key`].
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
    /// What is wrong with the leaf by itself. The first decides, and only once there is a path.
    faults: Vec<Reason>,
    /// The path so far: the leaf at the bottom.
    stack: Vec<Frame<'a>>,
    /// Signatures that were checked: of this certificate, by this key.
    checked: HashMap<(usize, &'a [u8]), bool>,
    budget: &'a mut Budget,
    record: Record<'a>,
}

/// A certificate on the path, and who may have issued it.
struct Frame<'a> {
    certificate: usize,
    /// Not yet tried, the most promising last.
    candidates: Vec<Candidate<'a>>,
    /// Whether anybody had the right name.
    any: bool,
}

/// Somebody who may have issued a certificate.
struct Candidate<'a> {
    who: Who<'a>,
    /// Whether it keeps the rules for an issuer. One that does not is tried last, to explain a failure.
    rules: Result<(), Reason>,
}

/// An issuer.
#[derive(Clone)]
enum Who<'a> {
    Intermediate(usize),
    /// An anchor with a certificate.
    Anchor(Box<Certificate<'a>>),
    /// An anchor without one.
    Key {
        subject: &'a [u8],
        spki: &'a [u8],
        name_constraints: Option<&'a [u8]>,
    },
}

/// What one step led to.
pub(super) enum Progress<'a> {
    /// There is more to try.
    Continue,
    Done(Result<Found<'a>, CertificateError>),
}

/// A path that is in order.
pub(super) struct Found<'a> {
    /// Where its certificates are in the chain, the leaf first.
    pub(super) positions: Vec<usize>,
    /// The subject of the anchor.
    pub(super) anchor: Vec<u8>,
    place: Place<'a>,
}

impl<'a> Search<'a> {
    /// A search over `chain`, whose first certificate is `leaf`. What is wrong with the leaf alone is in `faults`.
    pub(super) fn new(
        inputs: Inputs<'a>,
        budget: &'a mut Budget,
        leaf: Certificate<'a>,
        faults: Vec<Reason>,
        intermediates: &'a [CertificateDer<'_>],
    ) -> Self {
        let mut this = Self {
            inputs,
            certificates: vec![leaf],
            positions: vec![0],
            by_subject: HashMap::new(),
            faults,
            stack: Vec::new(),
            checked: HashMap::new(),
            budget,
            record: Record::default(),
        };
        for (position, der) in intermediates.iter().enumerate() {
            match Certificate::parse(der) {
                // The same certificate twice is one certificate.
                Ok(new) if this.certificates.iter().all(|known| known.der != new.der) => {
                    let key = directory::key(new.subject);
                    this.by_subject.entry(key).or_default().push(this.certificates.len());
                    this.certificates.push(new);
                    this.positions.push(position + 1);
                }
                Ok(_) => {}
                // RFC 9846 §4.5.1.2: there may be all sorts of extra certificates.
                Err(what) => this.record.unusable(position + 1, what),
            }
        }
        let first = this.frame(0);
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

    /// Considers one candidate. At most one signature is checked.
    pub(super) fn step(&mut self) -> Progress<'a> {
        let candidate = match self.stack.last_mut() {
            None => return self.give_up(),
            Some(frame) => frame.candidates.pop(),
        };
        let outcome = match candidate {
            Some(candidate) => self.consider(candidate),
            None => {
                self.back_up();
                Ok(Progress::Continue)
            }
        };
        outcome.unwrap_or_else(|limit| {
            self.fail(Stage::Exhausted, None, Reason::BudgetExhausted { limit });
            self.give_up()
        })
    }

    /// The next candidate, for the certificate at the end of the path.
    fn consider(&mut self, candidate: Candidate<'a>) -> Result<Progress<'a>, Limit> {
        self.budget.candidate()?;
        let Some(child) = self.end() else { return Ok(Progress::Continue) };
        if let Err(reason) = self.check_signature(child, &candidate.who)? {
            self.fail(Stage::Signature, Some(&candidate.who), reason);
            return Ok(Progress::Continue);
        }
        let is_anchor = !matches!(candidate.who, Who::Intermediate(_));
        if let Err(reason) = candidate.rules {
            let stage = if is_anchor { Stage::Anchor } else { Stage::Issuer };
            self.fail(stage, Some(&candidate.who), reason);
            return Ok(Progress::Continue);
        }
        if let Who::Intermediate(index) = candidate.who {
            let frame = self.frame(index);
            self.stack.push(frame);
            return Ok(Progress::Continue);
        }
        if let Some(reason) = self.check_name_constraints(&candidate.who)? {
            self.fail(Stage::Anchor, Some(&candidate.who), reason);
            return Ok(Progress::Continue);
        }
        // The path is in order. If the leaf is not, no other path can help.
        if let Some(reason) = self.faults.first().cloned() {
            self.fail(Stage::Leaf, Some(&candidate.who), reason);
            return Ok(self.give_up());
        }
        let path = self.stack.iter().filter_map(|f| self.positions.get(f.certificate));
        let anchor = self.subject_of(&candidate.who).to_vec();
        let place = candidate.who.place();
        Ok(Progress::Done(Ok(Found { positions: path.copied().collect(), anchor, place })))
    }

    /// The end of the path has no candidates left. If nobody even had the right name, that is where the path broke off.
    fn back_up(&mut self) {
        if let Some(frame) = self.stack.last()
            && !frame.any
            && let Some(end) = self.certificates.get(frame.certificate)
        {
            let certificate = subject(end);
            let reason = if end.is_self_issued() {
                Reason::SelfSigned { certificate }
            } else {
                Reason::UnknownIssuer { certificate, issuer: directory::display(end.issuer) }
            };
            self.fail(Stage::NoIssuer, None, reason);
        }
        self.stack.pop();
    }

    /// Who may have issued `index`, which is about to join the path.
    fn frame(&self, index: usize) -> Frame<'a> {
        let Some(child) = self.certificates.get(index) else {
            return Frame { certificate: index, candidates: Vec::new(), any: false };
        };
        let key = directory::key(child.issuer);
        let on_path = || self.stack.iter().map(|f| f.certificate).chain([index]);
        let mut candidates = Vec::new();
        // How many intermediates will be under the issuer, of those that count (RFC 5280 §6.1.4 (l)).
        let intermediates = on_path().filter(|i| *i != 0).filter_map(|i| self.certificates.get(i));
        let below = intermediates.filter(|c| !c.is_self_issued()).count();
        let Inputs { purpose, now, max_depth, .. } = self.inputs;

        let named = self.inputs.anchors.named(&key).iter();
        for anchor in named.filter_map(|i| self.inputs.anchors.get(*i)) {
            candidates.push(match anchor {
                Anchor::Certificate(der) => {
                    let Ok(anchor) = Certificate::parse(der) else { continue };
                    // A leaf that is itself an anchor and signed itself issues nothing but itself.
                    let itself = index == 0 && anchor.der == child.der;
                    let rules = if itself {
                        Ok(())
                    } else {
                        step::check_issuer(&anchor, true, below, purpose, now)
                    };
                    Candidate { who: Who::Anchor(Box::new(anchor)), rules }
                }
                Anchor::Key { subject, spki, name_constraints } => {
                    let name_constraints = name_constraints.as_deref();
                    let rules = step::check_key(spki, || directory::display(subject));
                    Candidate { who: Who::Key { subject, spki, name_constraints }, rules }
                }
            });
        }
        for i in self.by_subject.get(&key).into_iter().flatten().copied() {
            let Some(issuer) = self.certificates.get(i) else { continue };
            // RFC 4158 §2.4.2: the same name with the same key a second time leads nowhere new.
            let same = |c: &Certificate<'_>| {
                c.spki == issuer.spki && directory::same(c.subject, issuer.subject)
            };
            let looped = on_path().filter_map(|i| self.certificates.get(i)).any(same);
            // An anchor's own certificate in the chain is the anchor. One for the same key by somebody else is not: it
            // helps where the anchor has expired.
            let known = candidates.iter().any(|c| match &c.who {
                Who::Anchor(a) => a.der == issuer.der,
                Who::Key { spki, .. } => *spki == issuer.spki && issuer.is_self_issued(),
                Who::Intermediate(_) => false,
            });
            if looped || known {
                continue;
            }
            let above = below + usize::from(!issuer.is_self_issued());
            let rules = if above > max_depth {
                Err(Reason::TooDeep { limit: max_depth })
            } else {
                step::check_issuer(issuer, false, below, purpose, now)
            };
            candidates.push(Candidate { who: Who::Intermediate(i), rules });
        }
        let any = !candidates.is_empty();
        candidates.sort_by_key(|c| self.promise(child, c));
        candidates.reverse();
        Frame { certificate: index, candidates, any }
    }

    /// The order in which candidates are tried: the smallest first.
    fn promise(&self, child: &Certificate<'_>, candidate: &Candidate<'_>) -> (bool, bool, bool) {
        let (is_anchor, key_id) = match &candidate.who {
            Who::Intermediate(i) => {
                (false, self.certificates.get(*i).and_then(|c| c.extensions.subject_key_id))
            }
            Who::Anchor(c) => (true, c.extensions.subject_key_id),
            Who::Key { .. } => (true, None),
        };
        let other_key = matches!(
            (child.extensions.authority_key_id, key_id),
            (Some(wanted), Some(id)) if wanted != id
        );
        (candidate.rules.is_err(), other_key, !is_anchor)
    }

    /// RFC 5280 §6.1.3 (a)(1): whether `who` has signed `child`. What was found out once is not checked again.
    fn check_signature(
        &mut self,
        child: usize,
        who: &Who<'a>,
    ) -> Result<Result<(), Reason>, Limit> {
        let (Some(certificate), Some(spki)) = (self.certificates.get(child), self.spki_of(who))
        else {
            return Ok(Err(Reason::Refused));
        };
        if let Err(reason) = step::check_algorithm(certificate) {
            return Ok(Err(reason));
        }
        let provider = self.inputs.provider;
        let algorithm = certificate.algorithm;
        let known =
            provider.verifiers.iter().any(|v| v.certificate_algorithms().contains(&algorithm));
        if !known {
            let mut oid = super::der::Der::new(algorithm);
            let algorithm = dotted(oid.expect(super::der::OID).unwrap_or_default());
            let certificate = subject(certificate);
            return Ok(Err(Reason::UnsupportedAlgorithm { certificate, algorithm }));
        }
        let good = match self.checked.get(&(child, spki)) {
            Some(good) => *good,
            None => {
                self.budget.signature()?;
                let signature = certificate.signature;
                let good = provider
                    .verify_certificate(algorithm, spki, certificate.tbs, signature)
                    .is_ok();
                self.checked.insert((child, spki), good);
                good
            }
        };
        Ok(if good {
            Ok(())
        } else {
            let issuer = directory::display(self.subject_of(who));
            Err(Reason::BadSignature { certificate: subject(certificate), issuer })
        })
    }

    /// RFC 5280 §6.1.3 (b) and (c): the names of each certificate on the path, against the constraints of every CA above
    /// it. Self-issued certificates are exempt, unless they are the leaf.
    fn check_name_constraints(&mut self, anchor: &Who<'a>) -> Result<Option<Reason>, Limit> {
        let on_path = self.stack.iter().filter_map(|f| self.certificates.get(f.certificate));
        let path: Vec<&Certificate<'a>> = on_path.collect();
        let anchor_constraints = match anchor {
            Who::Anchor(c) => c.extensions.name_constraints,
            Who::Key { name_constraints, .. } => *name_constraints,
            Who::Intermediate(_) => None,
        };
        let cas = path.iter().map(|c| (c.subject, c.extensions.name_constraints)).skip(1);
        let cas = cas.chain([(self.subject_of(anchor), anchor_constraints)]);
        for (i, (issuer, constraints)) in cas.enumerate() {
            let Some(constraints) = constraints else { continue };
            // It parsed once, with the certificate; a second opinion could only be a refusal.
            let Some(subtrees) = Subtrees::parse(constraints) else {
                return Ok(Some(Reason::Malformed { what: "nameConstraints do not parse" }));
            };
            // CA number i is on place i + 1 of the path; everything before it is subject to it.
            for (place, certificate) in path.iter().enumerate().take(i + 1) {
                if place > 0 && certificate.is_self_issued() {
                    continue;
                }
                match subtrees.allow(&Names::of(certificate), self.budget) {
                    Ok(()) => {}
                    Err(Refusal::Exhausted(e)) => return Err(e),
                    Err(Refusal::Name(name)) => {
                        let certificate = subject(certificate);
                        let issuer = directory::display(issuer);
                        return Ok(Some(Reason::NameConstraint { certificate, issuer, name }));
                    }
                }
            }
        }
        Ok(None)
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

    /// Remembers that the path, with this candidate on top, has failed.
    fn fail(&mut self, stage: Stage, who: Option<&Who<'a>>, reason: Reason) {
        let path = self.path(who.map(Who::place));
        self.record.fail(Rank { stage, depth: self.stack.len() }, path, reason);
    }

    fn path(&self, top: Option<Place<'a>>) -> Vec<Place<'a>> {
        self.stack.iter().map(|f| Place::Sent(f.certificate)).chain(top).collect()
    }

    fn give_up(&mut self) -> Progress<'a> {
        let report = Arc::new(self.tell());
        Progress::Done(Err(CertificateError { reason: self.record.reason(), report }))
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

impl<'a> Who<'a> {
    fn place(&self) -> Place<'a> {
        match self {
            Self::Intermediate(i) => Place::Sent(*i),
            Self::Anchor(c) => Place::Anchor(c.der),
            Self::Key { subject, spki, .. } => Place::Key { subject, spki },
        }
    }
}
