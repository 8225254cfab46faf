//! Who may have issued a certificate, and in which order they are tried (RFC 4158).

use super::{Frame, Inputs, Search};
use crate::verify::anchor::Anchor;
use crate::verify::cause::Fault;
use crate::verify::certificate::Certificate;
use crate::verify::key::KeyKind;
use crate::verify::report::Place;
use crate::verify::signature::Proof;
use crate::verify::{Profile, Rules, directory, step, strict};

/// Somebody who may have issued a certificate.
pub(super) struct Candidate<'a> {
    pub(super) who: Who<'a>,
    /// Whether it keeps the rules for an issuer. One that does not is tried last, to explain a failure.
    pub(super) rules: Result<(), Fault<'a>>,
}

/// An issuer.
#[derive(Clone)]
pub(super) enum Who<'a> {
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

impl<'a> Who<'a> {
    /// The certificate of an anchor that has one.
    pub(super) fn certificate(&self) -> Option<&Certificate<'a>> {
        match self {
            Self::Anchor(certificate) => Some(certificate),
            Self::Intermediate(_) | Self::Key { .. } => None,
        }
    }

    pub(super) fn place(&self) -> Place<'a> {
        match self {
            Self::Intermediate(i) => Place::Sent(*i),
            Self::Anchor(c) => Place::Anchor(c.der),
            Self::Key { subject, spki, .. } => Place::Key { subject, spki },
        }
    }
}

impl<'a> Search<'a> {
    /// Who may have issued `index`, which is about to join the path.
    pub(super) fn frame(&self, index: usize, proof: Option<Proof>) -> Frame<'a> {
        let Some(child) = self.certificates.get(index) else {
            return Frame { certificate: index, proof, candidates: Vec::new(), any: false };
        };
        let on_path = || self.stack.iter().map(|f| f.certificate).chain([index]);
        let mut candidates = Vec::new();
        // How many intermediates will be under the issuer, of those that count (RFC 5280 §6.1.4 (l)).
        let intermediates = on_path().filter(|i| *i != 0).filter_map(|i| self.certificates.get(i));
        let below = intermediates.filter(|c| !c.is_self_issued()).count();
        let max_depth = self.inputs.max_depth;

        for anchor in self.inputs.anchors.named(child.issuer_hash) {
            candidates.push(match anchor {
                Anchor::Certificate(stored) => {
                    let anchor = stored.certificate();
                    if !anchor.is_issuer_of(child) {
                        continue;
                    }
                    // A leaf that is itself an anchor and signed itself issues nothing but itself.
                    let itself = index == 0 && anchor.der == child.der;
                    let rules =
                        if itself { Ok(()) } else { self.check_issuer(&anchor, true, below) };
                    Candidate { who: Who::Anchor(Box::new(anchor)), rules }
                }
                Anchor::Key { subject, spki, name_constraints } => {
                    if !directory::same(subject, child.issuer) {
                        continue;
                    }
                    let name_constraints = name_constraints.as_deref();
                    let rules = step::check_key(KeyKind::of(spki));
                    Candidate { who: Who::Key { subject, spki, name_constraints }, rules }
                }
            });
        }
        for (i, issuer) in self.certificates.iter().enumerate().skip(1) {
            if !issuer.is_issuer_of(child) {
                continue;
            }
            // RFC 4158 §2.4.2: the same name with the same key a second time leads nowhere new.
            let same = |c: &Certificate<'_>| {
                c.subject_hash == issuer.subject_hash
                    && c.spki == issuer.spki
                    && directory::same(c.subject, issuer.subject)
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
                Err(Fault::TooDeep(max_depth))
            } else {
                self.check_issuer(issuer, false, below)
            };
            candidates.push(Candidate { who: Who::Intermediate(i), rules });
        }
        let any = !candidates.is_empty();
        candidates.sort_by_key(|c| self.promise(child, c));
        candidates.reverse();
        Frame { certificate: index, proof, candidates, any }
    }

    fn check_issuer(
        &self,
        issuer: &Certificate<'a>,
        is_anchor: bool,
        below: usize,
    ) -> Result<(), Fault<'a>> {
        let Inputs { purpose, rules: Rules { profile, .. }, now, .. } = self.inputs;
        step::check_issuer(issuer, is_anchor, below, purpose, now)?;
        match profile {
            Profile::Default => Ok(()),
            Profile::Strict => strict::check_issuer(issuer, is_anchor),
        }
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
}
