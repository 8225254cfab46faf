//! How a verdict comes about: at once, in steps, or told to the end.

use std::sync::Arc;

use pki_types::{CertificateDer, ServerName, UnixTime};

use super::chain::{Found, Inputs, Search};
use super::verification::State;
use super::{
    Evidence, Mode, Profile, Purpose, Verification, VerifiedPath, Verifier, cause, parse, report,
    step, strict,
};
use crate::crypto::Provider;
use crate::error::{CertificateError, CertificateReason, CertificateReport};
use crate::limits::Budget;

impl Verifier {
    /// Looks for a path from the first certificate of `chain` to an anchor, valid at `now`, and returns the first.
    ///
    /// The other certificates may be in any order and need not be of use. With a `name`, the subjectAltName of the first
    /// must cover it: a client passes the server's name, always. `None` is for peers whose name does not matter, or is
    /// judged by the caller, as clients' mostly are. `evidence` is what else the peer sent:
    /// [`PeerCertificates::evidence`](crate::PeerCertificates::evidence), or the default.
    ///
    /// # Errors
    /// If there is no such path. The reason that says most decides: what is wrong at an anchor before what is wrong
    /// below one, a longer path before a shorter; the report has all of them. One verdict may cost what the default
    /// [`Limits`](crate::Limits) say; in a handshake, what the configuration's say.
    pub fn verify<'c>(
        &self,
        provider: &Provider,
        chain: &'c [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'_>,
    ) -> Result<VerifiedPath<'c>, CertificateError> {
        let (this, budget) = (self.current(), &mut Budget::default());
        this.verify_within(budget, provider, chain, purpose, name, now, evidence)
    }

    /// The same at the expense of this budget, and by what was in the handles when [`Verifier::current`] was called: a
    /// connection keeps what it began with.
    #[allow(clippy::too_many_arguments)] // the public one's, and the budget
    pub(crate) fn verify_within<'c>(
        &self,
        budget: &mut Budget,
        provider: &Provider,
        chain: &'c [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'_>,
    ) -> Result<VerifiedPath<'c>, CertificateError> {
        budget.start_verdict();
        match self.begin(*budget, Asked { provider, chain, purpose, name, now, evidence })? {
            Begun::Accepted { count, until, .. } => Ok(VerifiedPath::unjudged(chain, count, until)),
            Begun::Searching(mut search) => {
                let verdict = search.run();
                *budget = search.budget();
                Ok(VerifiedPath::new(verdict?, chain))
            }
        }
    }

    /// Begins what [`Verifier::verify`] does, to be done in steps. What is in a [`Shared`](crate::Shared) handle counts as it
    /// was when [`Verifier::current`] made this verifier.
    pub fn start<'v, 'c: 'v>(
        &'v self,
        provider: &'v Provider,
        chain: &'c [CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&'v ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'v>,
    ) -> Verification<'v, 'c> {
        let asked = Asked { provider, chain, purpose, name, now, evidence };
        let state = match self.begin(Budget::default(), asked) {
            Ok(Begun::Searching(search)) => State::Searching(Box::new(search)),
            Ok(Begun::Accepted { count, until, .. }) => {
                State::Done(Ok(VerifiedPath::unjudged(chain, count, until)))
            }
            Err(error) => State::Done(Err(error)),
        };
        Verification { chain, state }
    }

    /// Judges as [`Verifier::verify`] does, and tells how the verdict came about, whichever it is: every path that was
    /// tried, what each certificate says of itself, what may cure a failure, and what will expire within 30 days.
    ///
    /// This formats everything that it met, so it is for people who want to know, not for every connection. A failed
    /// `verify` has the same report in its error.
    #[must_use]
    pub fn explain(
        &self,
        provider: &Provider,
        chain: &[CertificateDer<'_>],
        purpose: Purpose,
        name: Option<&ServerName<'_>>,
        now: UnixTime,
        evidence: Evidence<'_>,
    ) -> CertificateReport {
        let this = self.current();
        let asked = Asked { provider, chain, purpose, name, now, evidence };
        let begun = this.begin(Budget::default(), asked);
        let told = begun.and_then(|begun| match begun {
            Begun::Accepted { why, .. } => {
                Ok(CertificateReport { notes: vec![why.to_owned()], ..Default::default() })
            }
            Begun::Searching(mut search) => {
                let found = search.run()?;
                Ok(search.explain(&found))
            }
        });
        told.unwrap_or_else(|error| Arc::unwrap_or_clone(error.report))
    }

    /// A search from the first certificate of the chain, unless there is nothing to search for. Who is refused at once is
    /// told why, too.
    fn begin<'a>(
        &'a self,
        budget: Budget,
        asked: Asked<'a>,
    ) -> Result<Begun<'a>, CertificateError> {
        let begun = self.begin_untold(budget, asked);
        let Asked { provider, chain, purpose, now, .. } = asked;
        begun.map_err(|error| {
            report::of_chain(&self.rules, provider, chain, purpose, now, error.reason)
        })
    }

    fn begin_untold<'a>(
        &'a self,
        budget: Budget,
        asked: Asked<'a>,
    ) -> Result<Begun<'a>, CertificateError> {
        let Asked { provider, chain, purpose, name, now, evidence } = asked;
        let none = CertificateReason::Malformed { what: "there is no certificate" };
        let (leaf, intermediates) = chain.split_first().ok_or(none)?;
        let rules = &*self.rules;
        if let Mode::AcceptAny = rules.mode {
            let why = "this verifier accepts every certificate";
            return Ok(Begun::Accepted { count: chain.len(), until: u64::MAX, why });
        }
        let leaf = parse(leaf)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let said = |fault: cause::Fault<'_>| fault.reason(report::subject(&leaf));
        let of_itself = step::check_leaf(&leaf, purpose, now).map_err(said);
        if rules.knows(provider, &leaf) {
            of_itself?;
            rules.check_leaf(&leaf)?;
            rules.check_path(provider, &[&leaf], (leaf.spki, None))?;
            let until = u64::try_from(leaf.not_after).unwrap_or(0);
            let why = "this very certificate is trusted";
            return Ok(Begun::Accepted { count: 1, until, why });
        }
        let (anchors, max_depth, name) = match &rules.mode {
            Mode::Spiffe { spiffe, max_depth } => (spiffe.bundle_of(&leaf)?, *max_depth, None),
            Mode::Anchors { anchors, max_depth } => (anchors, *max_depth, name),
            Mode::AcceptAny => return Err(CertificateReason::Refused.into()),
        };
        let of_rules = rules.check_leaf(&leaf);
        let of_its_name = name.map_or(Ok(()), |name| step::check_name(&leaf, name));
        let of_profile = match rules.profile {
            Profile::Default => Ok(()),
            Profile::Strict => strict::check_leaf(&leaf).map_err(said),
        };
        let verdicts = [of_itself, of_rules, of_its_name, of_profile];
        let faults = verdicts.into_iter().filter_map(Result::err).collect();
        let inputs = Inputs {
            provider,
            anchors,
            cache: &self.cache,
            purpose,
            name,
            max_depth,
            now,
            evidence,
            policies: &rules.policies,
            rules,
        };
        Ok(Begun::Searching(Search::new(inputs, budget, leaf, faults, intermediates)))
    }
}

/// What a verdict is on, and by what time: the arguments of [`Verifier::verify`].
#[derive(Clone, Copy)]
struct Asked<'a> {
    provider: &'a Provider,
    chain: &'a [CertificateDer<'a>],
    purpose: Purpose,
    name: Option<&'a ServerName<'a>>,
    now: UnixTime,
    evidence: Evidence<'a>,
}

/// How a verdict begins.
#[allow(clippy::large_enum_variant)] // it is moved once, which costs less than a place on the heap
enum Begun<'a> {
    Searching(Search<'a>),
    /// So many certificates of the chain are accepted as they are.
    Accepted {
        count: usize,
        /// The last second in which they are good.
        until: u64,
        why: &'static str,
    },
}

impl<'a> VerifiedPath<'a> {
    pub(super) fn new(found: Found<'_>, chain: &'a [CertificateDer<'_>]) -> Self {
        let on_path = found.positions.iter().filter_map(|i| chain.get(*i));
        Self {
            certificates: on_path.map(borrow).collect(),
            anchor: Some(found.anchor),
            logs: found.logs,
            until: u64::try_from(found.until).unwrap_or(0),
        }
    }

    fn unjudged(chain: &'a [CertificateDer<'_>], count: usize, until: u64) -> Self {
        let certificates = chain.iter().take(count).map(borrow).collect();
        Self { certificates, anchor: None, logs: Vec::new(), until }
    }
}

fn borrow<'a>(certificate: &'a CertificateDer<'_>) -> CertificateDer<'a> {
    CertificateDer::from(certificate.as_ref())
}
