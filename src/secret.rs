//! The one type that holds key material: shared secrets, the key schedule, traffic secrets and keys.

use std::fmt;

use zeroize::Zeroize;

/// Key material of at most [`Secret::MAX`] bytes: wiped when dropped, never printed, never cloned.
///
/// The bytes are reached through [`Secret::expose`] and nothing else, so that a search for `expose`
/// finds every place that touches a key.
///
/// They lie in one place on the heap from beginning to end. A value that is moved is copied and its old place is not
/// wiped, so whatever holds a secret would leave copies behind wherever it has been.
pub struct Secret {
    bytes: Box<[u8; Self::MAX]>,
    len: usize,
}

impl Secret {
    /// The longest secret there is: 80 bytes, the output of the hybrid group SecP384r1MLKEM1024.
    pub const MAX: usize = 80;

    /// Copies `bytes` in. Returns `None` if they are more than [`Secret::MAX`].
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut this = Self { bytes: Box::new([0; Self::MAX]), len: bytes.len() };
        this.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(this)
    }

    /// `len` zero bytes, to be filled through `expose_mut`. More than the maximum counts as the maximum.
    pub(crate) fn zeroed(len: usize) -> Self {
        Self { bytes: Box::new([0; Self::MAX]), len: len.min(Self::MAX) }
    }

    /// The key material itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The key material itself, to be written.
    pub(crate) fn expose_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Compares two byte strings in time that depends on their lengths only.
///
/// Every MAC, binder and Finished goes through here (RFC 9846 Appendix C.3).
#[must_use]
pub(crate) fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a.iter().zip(b).fold(0_u8, |acc, (x, y)| acc | (x ^ y));
    std::hint::black_box(difference) == 0
}

/// Runs `work`, and wipes the `N` bytes of stack that it may have used: what it computed with is not left there.
///
/// Libraries of cryptography keep keys in local variables. What is left of those on the stack does not stay there: where
/// a larger value is moved to the heap, its unused parts take along whatever was below.
#[cfg(any(feature = "ring", feature = "aws-lc"))]
pub(crate) fn leaving_no_trace<const N: usize, T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    wipe_stack::<N>();
    result
}

/// In a frame of its own, which is where the next one will be.
#[cfg(any(feature = "ring", feature = "aws-lc"))]
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Wipes the next `N` bytes of stack, which whatever the caller called before has worked on.
#[inline(never)]
pub(crate) fn wipe_stack<const N: usize>() {
    // The compiler has to believe that somebody reads it.
    std::hint::black_box(&mut [0_u8; N]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // A test that fails may panic.
mod tests {
    use super::*;

    #[test]
    fn debug_prints_nothing_of_it() {
        let secret = Secret::from_slice(b"correct horse").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), b"correct horse");
    }

    #[test]
    fn too_long_is_refused() {
        assert!(Secret::from_slice(&[0; Secret::MAX]).is_some());
        assert!(Secret::from_slice(&[0; Secret::MAX + 1]).is_none());
    }

    #[test]
    fn comparison_sees_every_byte_and_the_length() {
        assert!(constant_time_eq(b"abc", b"abc"));
        for i in 0..3 {
            let mut other = *b"abc";
            other[i] ^= 0x80;
            assert!(!constant_time_eq(b"abc", &other));
        }
        assert!(!constant_time_eq(b"abc", b"abcd"));
    }
}
