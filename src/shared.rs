//! Values that are swapped while connections run: trust anchors, CRLs, credentials, ticket keys.
//!
//! ```text
//!   Shared ── current ──► (value, version)     a connection takes what is there when it begins, and keeps it
//!          ◄─ replace ── value                 those that begin later get this one
//! ```

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

/// A value that can be replaced under those who use it. Clones are handles on the same value.
///
/// It is for [`TrustAnchors`](crate::TrustAnchors), [`Crls`](crate::Crls), credentials (`Vec<Arc<Credential>>`) and
/// [`Tickets`](crate::Tickets). A configuration that was given the handle uses what is in it when a connection begins;
/// connections under way keep what they began with. Whatever takes a handle takes a plain value too.
///
/// ```
/// use sealwire::{Shared, TrustAnchors, Verifier};
///
/// let roots = Shared::new(TrustAnchors::default());
/// let verifier = Verifier::new(roots.clone());
/// assert_eq!(roots.replace(TrustAnchors::default()), 2); // from here on new connections go by these
/// # drop(verifier);
/// ```
pub struct Shared<T> {
    inner: Arc<RwLock<(Arc<T>, u64)>>,
}

impl<T> Shared<T> {
    /// A handle on this value, as version 1.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { inner: Arc::new(RwLock::new((Arc::new(value), 1))) }
    }

    /// The value that is there now, and its version.
    #[must_use]
    pub fn current(&self) -> (Arc<T>, u64) {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The version that is there now. It only grows.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Puts another value in its place, and returns its version. Nobody waits: only a pointer is exchanged.
    pub fn replace(&self, value: T) -> u64 {
        let value = Arc::new(value);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let version = inner.1.saturating_add(1);
        let old = std::mem::replace(&mut *inner, (value, version));
        // What is dropped may take its time, and nobody is to wait for that.
        drop(inner);
        drop(old);
        version
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// The version alone: what is inside may be secret.
impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("version", &self.version()).finish_non_exhaustive()
    }
}

/// What was in a handle at one moment, and the handle.
pub(crate) struct Snapshot<T> {
    value: Arc<T>,
    version: u64,
    source: Shared<T>,
}

impl<T> Snapshot<T> {
    /// What is in the handle now.
    pub(crate) fn of(source: Shared<T>) -> Self {
        let (value, version) = source.current();
        Self { value, version, source }
    }

    /// Whether something else is in the handle by now.
    pub(crate) fn is_stale(&self) -> bool {
        self.source.version() != self.version
    }

    /// Looks into the handle again.
    pub(crate) fn refresh(&mut self) {
        (self.value, self.version) = self.source.current();
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        let (value, source) = (self.value.clone(), self.source.clone());
        Self { value, version: self.version, source }
    }
}

impl<T> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("version", &self.version).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_stays_and_a_handle_moves() {
        let handle = Shared::new("old");
        let before = Snapshot::of(handle.clone());
        assert_eq!(handle.clone().replace("new"), 2);
        assert_eq!((*before, before.version()), ("old", 1));
        assert!(before.is_stale());
        let mut after = before.clone();
        after.refresh();
        assert_eq!((*after, after.version(), after.is_stale()), ("new", 2, false));
        assert_eq!((*before, before.version()), ("old", 1));
        assert_eq!(handle.replace("newer"), 3);
        assert!(after.is_stale());
        assert_eq!(format!("{handle:?}"), "Shared { version: 3, .. }");
    }
}
