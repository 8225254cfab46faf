//! Signatures in certificates, and whatever else a verdict needs: counted, one a step, and remembered.
//!
//! A signature over given bytes by a given key never changes, so one that was good once is good for ever. [`Cache`] keeps
//! those that stood on an accepted path, byte for byte: to compare them takes less than to hash them, and nothing has to be
//! believed of a hash. Everything else that makes a certificate good (validity, names, constraints, revocation) is judged
//! every time.

use std::sync::{Arc, Mutex, PoisonError};

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
    known: Vec<(Entry, bool)>,
    /// Whether this step may check one more.
    may_check: bool,
}

/// That a signature is good, and which of those that were checked it is, unless it is remembered already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof(Option<usize>);

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

impl<'a> Signatures<'a> {
    pub(super) fn new(provider: &'a Provider, cache: &'a Cache) -> Self {
        Self { provider, cache, known: Vec::with_capacity(4), may_check: false }
    }

    /// A step begins: one signature may be checked.
    pub(super) fn begin_step(&mut self) {
        self.may_check = true;
    }

    /// Whether the provider has the algorithm, with any key.
    pub(super) fn is_supported(&self, algorithm: &[u8]) -> bool {
        self.provider.certificate_verifiers(algorithm).next().is_some()
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
        let claim = Claim { provider: self.provider.verifiers.as_ptr().addr(), spki, signed };
        if let Some(at) = self.known.iter().position(|(entry, _)| entry.is(&claim)) {
            return Ok(self
                .known
                .get(at)
                .is_some_and(|(_, good)| *good)
                .then_some(Proof(Some(at))));
        }
        if self.cache.contains(&claim) {
            return Ok(Some(Proof(None)));
        }
        if !self.may_check {
            return Err(Stop::Yield);
        }
        budget.signature()?;
        let Signed { message, algorithm, signature } = signed;
        let good = self.provider.verify_certificate(algorithm, spki, message, signature).is_ok();
        self.may_check = false;
        self.known.push((Entry::of(&claim), good));
        Ok(good.then_some(Proof(Some(self.known.len() - 1))))
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

    /// Remembers these, once nothing is left to check. Only what stood on an accepted path comes here: whoever sends
    /// certificates of his own making cannot push out what others need.
    pub(super) fn remember(&mut self, proofs: impl IntoIterator<Item = Proof>) {
        for place in proofs.into_iter().filter_map(|proof| proof.0) {
            if let Some((entry, _)) = self.known.get_mut(place) {
                self.cache.insert(std::mem::take(entry));
            }
        }
    }
}

/// That the key of `spki` has signed this, as one provider sees it.
#[derive(Clone, Copy)]
struct Claim<'a> {
    /// Where its verifiers are: another one may judge otherwise.
    provider: usize,
    spki: &'a [u8],
    signed: Signed<'a>,
}

impl Claim<'_> {
    /// What is claimed, in one way alone: after a header with the provider and the lengths.
    fn parts<R>(&self, each: impl FnOnce([&[u8]; 5]) -> R) -> R {
        let Signed { message, algorithm, signature } = self.signed;
        let numbers = [self.provider, self.spki.len(), message.len(), algorithm.len()];
        let header = numbers.map(usize::to_ne_bytes);
        each([header.as_flattened(), self.spki, message, algorithm, signature])
    }

    /// The end of the signature, in which good ones differ: to find it again. It proves nothing.
    fn hint(&self) -> u64 {
        self.signed.signature.last_chunk().copied().map_or(0, u64::from_be_bytes)
    }
}

/// A claim that was checked. An empty one is none.
#[derive(Default)]
struct Entry {
    hint: u64,
    bytes: Vec<u8>,
}

impl Entry {
    fn of(claim: &Claim<'_>) -> Self {
        Self { hint: claim.hint(), bytes: claim.parts(|parts| parts.concat()) }
    }

    /// Whether this is the same claim, byte for byte.
    fn is(&self, claim: &Claim<'_>) -> bool {
        self.hint == claim.hint()
            && claim.parts(|parts| {
                let rest = { parts.iter() }
                    .try_fold(&self.bytes[..], |bytes, part| bytes.strip_prefix(*part));
                rest.is_some_and(<[u8]>::is_empty)
            })
    }
}

/// Good signatures of the past, at most 1,024 of them and 2 MiB, with what they sign: an array of small sets, each of which
/// grows as it is filled, and forgets what it has not needed for the longest time. Clones share it.
#[derive(Clone)]
pub(super) struct Cache {
    sets: Arc<[Mutex<Set>; SETS]>,
}

/// Good signatures whose hints end alike, the last one used first.
#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    /// Of all entries.
    bytes: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Self { sets: Arc::new(std::array::from_fn(|_| Mutex::default())) }
    }
}

impl Cache {
    /// Whether this is known to be good.
    fn contains(&self, claim: &Claim<'_>) -> bool {
        let Some(set) = self.set(claim.hint()) else { return false };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let found = set.entries.iter().position(|entry| entry.is(claim));
        if let Some(used) = found.and_then(|place| set.entries.get_mut(..=place)) {
            used.rotate_right(1);
        }
        found.is_some()
    }

    /// What is larger than any certificate that is in use is not kept.
    fn insert(&self, entry: Entry) {
        let Some(set) =
            self.set(entry.hint).filter(|_| (1..=MAX_ENTRY).contains(&entry.bytes.len()))
        else {
            return;
        };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have met the same.
        if set.entries.iter().any(|known| known.bytes == entry.bytes) {
            return;
        }
        set.bytes += entry.bytes.len();
        set.entries.insert(0, entry);
        while set.entries.len() > WAYS || set.bytes > SET_BYTES {
            let Some(old) = set.entries.pop() else { return };
            set.bytes -= old.bytes.len();
        }
    }

    fn set(&self, hint: u64) -> Option<&Mutex<Set>> {
        let [.., last] = hint.to_be_bytes();
        self.sets.get(usize::from(last) % SETS)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache(..)")
    }
}

/// A power of two that a byte can tell apart.
const SETS: usize = 16;
const WAYS: usize = 64;
const SET_BYTES: usize = 128 << 10;
const MAX_ENTRY: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A claim of this length in all, more or less, for this set.
    fn entry(set: u8, number: u32, len: usize) -> Entry {
        let message = [&number.to_be_bytes()[..], &vec![0; len]].concat();
        let signature = [[0; 7].as_slice(), &[set]].concat();
        let signed = Signed { message: &message, algorithm: b"a", signature: &signature };
        Entry::of(&Claim { provider: 1, spki: b"k", signed })
    }

    fn contains(cache: &Cache, set: u8, number: u32, len: usize) -> bool {
        let message = [&number.to_be_bytes()[..], &vec![0; len]].concat();
        let signature = [[0; 7].as_slice(), &[set]].concat();
        let signed = Signed { message: &message, algorithm: b"a", signature: &signature };
        cache.contains(&Claim { provider: 1, spki: b"k", signed })
    }

    #[test]
    fn a_claim_is_its_bytes_and_nothing_less() {
        let signed =
            Signed { message: b"message", algorithm: b"algorithm", signature: b"signature" };
        let claim = Claim { provider: 1, spki: b"key", signed };
        let entry = Entry::of(&claim);
        assert!(entry.is(&claim));
        let others = [
            Claim { provider: 2, ..claim },
            Claim { spki: b"kez", ..claim },
            Claim { spki: b"ke", signed: Signed { message: b"ymessage", ..signed }, ..claim },
            Claim { signed: Signed { message: b"messagf", ..signed }, ..claim },
            Claim { signed: Signed { algorithm: b"algorithn", ..signed }, ..claim },
            Claim { signed: Signed { signature: b"tignature", ..signed }, ..claim },
            Claim { signed: Signed { signature: b"s", ..signed }, ..claim },
            Claim {
                signed: Signed { algorithm: b"algorithms", signature: b"ignature", ..signed },
                ..claim
            },
        ];
        assert!(!others.iter().any(|other| entry.is(other)));
        assert!(!Entry::default().is(&claim));
    }

    #[test]
    fn a_cache_forgets_what_was_not_used_for_the_longest_time() {
        let cache = Cache::default();
        assert!(!contains(&cache, 0, 0, 10));
        for number in 0..1_000 {
            cache.insert(entry(0, number, 10));
            assert!(contains(&cache, 0, 0, 10), "used all the time");
        }
        let kept: Vec<_> = (0..1_000).filter(|n| contains(&cache, 0, *n, 10)).collect();
        assert_eq!(kept, [&[0][..], &(937..1_000).collect::<Vec<_>>()].concat());
        assert!(!contains(&cache, 1, 0, 10));
        // A clone is the same cache.
        cache.clone().insert(entry(1, 0, 10));
        assert!(contains(&cache, 1, 0, 10));
    }

    #[test]
    fn a_cache_is_bounded() {
        let cache = Cache::default();
        for set in 0..=u8::MAX {
            (0..20).for_each(|n| cache.insert(entry(set, n, 10)));
            (0..20).for_each(|n| cache.insert(entry(set, n, 10)));
        }
        let held = (0..=u8::MAX).flat_map(|set| (0..20).map(move |n| (set, n)));
        assert_eq!(held.filter(|(set, n)| contains(&cache, *set, *n, 10)).count(), SETS * WAYS);
        // What is large pushes out more than one, and what is too large nobody.
        cache.insert(entry(0, 0, MAX_ENTRY));
        assert!(contains(&cache, 0xf0, 19, 10));
        (0..100).for_each(|n| cache.insert(entry(0, n, 10_000)));
        assert!(contains(&cache, 0, 99, 10_000) && !contains(&cache, 0xf0, 19, 10));
        let sizes = cache.sets.iter().map(|set| {
            let set = set.lock().unwrap_or_else(PoisonError::into_inner);
            assert_eq!(set.bytes, set.entries.iter().map(|e| e.bytes.len()).sum::<usize>());
            set.bytes
        });
        assert!(sizes.max().is_some_and(|most| (SET_BYTES - 10_100..=SET_BYTES).contains(&most)));
        assert_eq!(SETS * SET_BYTES, 2 << 20);
    }

    #[test]
    fn a_cache_is_shared_by_threads() {
        let cache = Cache::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let cache = &cache;
                scope.spawn(move || (0..1_000).for_each(|n| cache.insert(entry(thread, n, 10))));
            }
        });
        assert!((0..4).all(|thread| contains(&cache, thread, 999, 10)));
    }
}
