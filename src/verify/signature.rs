//! Signatures in certificates, and whatever else a verdict needs: counted, one a step, and remembered.
//!
//! A signature over given bytes by a given key never changes, so one that was good once is good for ever. [`Cache`] keeps
//! a hash of each that stood on an accepted path; everything else that makes a certificate good (validity, names,
//! constraints, revocation) is judged every time.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::crypto::Provider;
use crate::error::Limit;
use crate::limits::Budget;

/// Something that is signed: a certificate, a CRL, an OCSP response.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    /// The bytes that are signed: DER, with its tag.
    pub(super) message: &'a [u8],
    /// The contents of the signature's AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
}

/// The signatures of one verification.
pub(super) struct Signatures<'a> {
    provider: &'a Provider,
    cache: &'a Cache,
    /// What was found out so far, good or bad.
    known: Vec<(Digest, bool)>,
    /// Whether this step may check one more.
    may_check: bool,
}

/// That a signature is good. What it holds is to be remembered, if this turns out to be worth it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof(Option<Digest>);

/// Why something has not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It goes on in the next step.
    Yield,
    /// It costs more than the budget allows.
    Exhausted(Limit),
}

impl From<Limit> for Stop {
    fn from(limit: Limit) -> Self {
        Self::Exhausted(limit)
    }
}

/// Stands for one signature by one key, as one provider checks it.
type Digest = [u8; 32];

impl<'a> Signatures<'a> {
    pub(super) fn new(provider: &'a Provider, cache: &'a Cache) -> Self {
        Self { provider, cache, known: Vec::new(), may_check: false }
    }

    /// A step begins: one signature may be checked.
    pub(super) fn begin_step(&mut self) {
        self.may_check = true;
    }

    /// Whether the provider has the algorithm, with any key.
    pub(super) fn is_supported(&self, algorithm: &[u8]) -> bool {
        let mut verifiers = self.provider.verifiers.iter();
        verifiers.any(|v| v.certificate_algorithms().contains(&algorithm))
    }

    /// Whether the key of `spki` has signed this: `None` if not.
    ///
    /// # Errors
    /// [`Stop::Yield`] if this step has checked a signature already: what called this has to be called again in the
    /// next step, and finds then what was found out in this one. [`Stop::Exhausted`] if there were too many.
    pub(super) fn check(
        &mut self,
        budget: &mut Budget,
        spki: &[u8],
        signed: Signed<'_>,
    ) -> Result<Option<Proof>, Stop> {
        let Signed { message, algorithm, signature } = signed;
        let verify =
            || self.provider.verify_certificate(algorithm, spki, message, signature).is_ok();
        let Some(digest) = self.digest(spki, signed) else {
            // A provider without a hash. It cannot do TLS, but nothing is wrong with its verdict.
            budget.signature()?;
            return Ok(verify().then_some(Proof(None)));
        };
        if let Some((_, good)) = self.known.iter().find(|(known, _)| *known == digest) {
            return Ok(good.then_some(Proof(Some(digest))));
        }
        if self.cache.contains(&digest) {
            return Ok(Some(Proof(None)));
        }
        if !self.may_check {
            return Err(Stop::Yield);
        }
        budget.signature()?;
        let good = verify();
        self.may_check = false;
        self.known.push((digest, good));
        Ok(good.then_some(Proof(Some(digest))))
    }

    /// As [`check`](Self::check), for what is large, and whose verdict the caller keeps: nothing is hashed to find it again.
    pub(super) fn check_anew(
        &mut self,
        budget: &mut Budget,
        spki: &[u8],
        signed: Signed<'_>,
    ) -> Result<bool, Stop> {
        if !self.may_check {
            return Err(Stop::Yield);
        }
        budget.signature()?;
        self.may_check = false;
        let Signed { message, algorithm, signature } = signed;
        Ok(self.provider.verify_certificate(algorithm, spki, message, signature).is_ok())
    }

    /// Remembers these. Only what stood on an accepted path comes here: whoever sends certificates of his own making
    /// cannot push out what others need.
    pub(super) fn remember(&self, proofs: impl IntoIterator<Item = Proof>) {
        proofs.into_iter().filter_map(|proof| proof.0).for_each(|digest| self.cache.insert(digest));
    }

    /// Over the provider, since another one may judge otherwise; the key and what is signed, each of which says where it
    /// ends; the algorithm, with its length; and the signature, which is the rest.
    fn digest(&self, spki: &[u8], signed: Signed<'_>) -> Option<Digest> {
        let provider = self.provider.verifiers.as_ptr().addr().to_be_bytes();
        let len = signed.algorithm.len().to_be_bytes();
        let Signed { message, algorithm, signature } = signed;
        self.provider.digest(&[&provider, spki, message, &len, algorithm, signature])
    }
}

/// Good signatures of the past, at most 1,024 of them: an array of small sets, each of which forgets what it has not
/// needed for the longest time. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Cache {
    /// Made when there is something to remember.
    sets: Arc<OnceLock<Box<[Set]>>>,
}

/// Good signatures whose digests begin alike, the last one used first.
type Set = Mutex<[Option<Digest>; WAYS]>;

impl Cache {
    /// Whether this signature is known to be good.
    fn contains(&self, digest: &Digest) -> bool {
        let Some(set) = self.sets.get().and_then(|sets| Self::set(sets, digest)) else {
            return false;
        };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let found = set.iter().position(|known| known.as_ref() == Some(digest));
        if let Some(used) = found.and_then(|place| set.get_mut(..=place)) {
            used.rotate_right(1);
        }
        found.is_some()
    }

    fn insert(&self, digest: Digest) {
        let sets = self.sets.get_or_init(|| (0..SETS).map(|_| Set::default()).collect());
        let Some(set) = Self::set(sets, &digest) else { return };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        if !set.contains(&Some(digest)) {
            set.rotate_right(1);
            if let Some(first) = set.first_mut() {
                *first = Some(digest);
            }
        }
    }

    fn set<'a>(sets: &'a [Set], digest: &Digest) -> Option<&'a Set> {
        let [first, ..] = digest;
        sets.get(usize::from(*first) % SETS)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache(..)")
    }
}

/// A power of two that a byte can tell apart.
const SETS: usize = 128;
const WAYS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(set: u8, number: u32) -> Digest {
        let mut digest = [0; 32];
        let [a, b, c, d] = number.to_be_bytes();
        let [first, second, third, fourth, fifth, ..] = &mut digest;
        [*first, *second, *third, *fourth, *fifth] = [set, a, b, c, d];
        digest
    }

    #[test]
    fn a_cache_forgets_what_was_not_used_for_the_longest_time() {
        let cache = Cache::default();
        assert!(!cache.contains(&digest(0, 0)));
        for number in 0..1_000 {
            cache.insert(digest(0, number));
            assert!(cache.contains(&digest(0, 0)), "used all the time");
        }
        let kept: Vec<_> = (0..1_000).filter(|n| cache.contains(&digest(0, *n))).collect();
        assert_eq!(kept, [0, 993, 994, 995, 996, 997, 998, 999]);
        assert!(!cache.contains(&digest(1, 0)));
        // A clone is the same cache.
        cache.clone().insert(digest(1, 0));
        assert!(cache.contains(&digest(1, 0)));
    }

    #[test]
    fn a_cache_is_bounded() {
        let cache = Cache::default();
        for set in 0..=u8::MAX {
            (0..20).for_each(|n| cache.insert(digest(set, n)));
        }
        let held = (0..=u8::MAX).flat_map(|set| (0..20).map(move |n| digest(set, n)));
        assert_eq!(held.filter(|d| cache.contains(d)).count(), SETS * WAYS);
        assert!(size_of::<Set>() * SETS < 50_000);
    }

    #[test]
    fn a_cache_is_shared_by_threads() {
        let cache = Cache::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let cache = &cache;
                scope.spawn(move || (0..1_000).for_each(|n| cache.insert(digest(thread, n))));
            }
        });
        assert!((0..4).all(|thread| cache.contains(&digest(thread, 999))));
    }
}
