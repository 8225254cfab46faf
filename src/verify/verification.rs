//! A verification that goes on in steps, between which the caller may do something else.

use std::fmt;
use std::task::Poll;

use pki_types::CertificateDer;

use super::VerifiedPath;
use super::chain::{Progress, Search};
use crate::error::CertificateError;
use crate::limits::Limits;

/// A verdict in the making, from [`Verifier::start`](super::Verifier::start): for those whose thread has other connections to serve.
///
/// ```
/// # use std::task::Poll;
/// # use sealwire::{Answer, PeerCertificates, Purpose, Verifier, crypto::Provider, pki_types::UnixTime};
/// /// Answers a `Question::Verdict`: a client's, about its server.
/// async fn judge(verifier: &Verifier, provider: &Provider, peer: &PeerCertificates) -> Answer {
///     let (name, now) = (peer.name.as_ref(), UnixTime::now());
///     let mut verification = verifier.start(provider, &peer.chain, Purpose::Server, name, now, peer.evidence());
///     loop {
///         match verification.step() {
///             Poll::Ready(Ok(_path)) => return Answer::Accept,
///             Poll::Ready(Err(error)) => return Answer::Reject(error),
///             Poll::Pending => yield_now().await, // Whatever the executor has for this.
///         }
///     }
/// }
/// # async fn yield_now() {}
/// ```
#[must_use = "nothing is judged until step has been called"]
pub struct Verification<'v, 'c> {
    pub(super) chain: &'c [CertificateDer<'c>],
    pub(super) state: State<'v, 'c>,
}

/// How far a verification is.
pub(super) enum State<'v, 'c> {
    Searching(Box<Search<'v>>),
    Done(Result<VerifiedPath<'c>, CertificateError>),
}

impl<'c> Verification<'_, 'c> {
    /// Within these limits, in place of the default ones: signatures, candidates and comparisons of names. A connection's
    /// own are those of its configuration.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        if let State::Searching(search) = &mut self.state {
            search.limit(limits);
        }
        self
    }

    /// Goes on, with at most one signature: some tens of microseconds, for the largest keys a few hundred. Once there is
    /// a verdict it stays the same.
    pub fn step(&mut self) -> Poll<Result<VerifiedPath<'c>, CertificateError>> {
        match self.advance() {
            Poll::Ready(verdict) => {
                self.state = State::Done(verdict.clone());
                Poll::Ready(verdict)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// As [`Verification::step`], but not to be called again after a verdict.
    fn advance(&mut self) -> Poll<Result<VerifiedPath<'c>, CertificateError>> {
        let search = match &mut self.state {
            State::Searching(search) => search,
            State::Done(verdict) => return Poll::Ready(verdict.clone()),
        };
        let Progress::Done(verdict) = search.step() else { return Poll::Pending };
        Poll::Ready(verdict.map(|found| VerifiedPath::new(found, self.chain)))
    }
}

impl fmt::Debug for Verification<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match &self.state {
            State::Searching(_) => None,
            State::Done(verdict) => Some(verdict),
        };
        f.debug_struct("Verification").field("verdict", &verdict).finish_non_exhaustive()
    }
}
