//! Reading and writing of integers and length-prefixed blocks (RFC 9846 §3). Nothing here knows TLS.
//!
//! A [`Reader`] never looks beyond the bytes that it was given and never allocates, so a declared
//! length costs nothing until the bytes are there.

use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;

/// A cursor over received bytes. Every failure is [`Error::Decode`] with the name of the structure.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which are called `what` in errors.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// The error for anything that is wrong with this structure.
    pub(crate) fn malformed(&self) -> Error {
        Error::Decode(self.what)
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Error::Decode(self.what))?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes, as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(Error::Decode(self.what))?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        let [byte] = *self.array()?;
        Ok(byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(*self.array()?))
    }

    pub(crate) fn u24(&mut self) -> Result<usize, Error> {
        let [a, b, c] = *self.array()?;
        Ok(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(*self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(*self.array()?))
    }

    /// `opaque<0..2^8-1>`
    pub(crate) fn vec8(&mut self) -> Result<&'a [u8], Error> {
        let n = self.u8()?.into();
        self.take(n)
    }

    /// `opaque<0..2^16-1>`
    pub(crate) fn vec16(&mut self) -> Result<&'a [u8], Error> {
        let n = self.u16()?.into();
        self.take(n)
    }

    /// `opaque<0..2^24-1>`
    pub(crate) fn vec24(&mut self) -> Result<&'a [u8], Error> {
        let n = self.u24()?;
        self.take(n)
    }

    /// A list of 16-bit code points, `<2..2^16-2>`: whole, and not empty.
    pub(crate) fn u16_list(&mut self) -> Result<U16List<'a>, Error> {
        let bytes = self.vec16()?;
        let list = U16List::new(bytes).ok_or(self.malformed())?;
        if bytes.is_empty() { Err(self.malformed()) } else { Ok(list) }
    }

    /// A sub-reader over the next `opaque<0..2^16-1>`, under a name of its own.
    pub(crate) fn sub16(&mut self, what: &'static str) -> Result<Self, Error> {
        Ok(Self::new(what, self.vec16()?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// RFC 9846 §4.3: data left over after the structure is a `decode_error`.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Decode(self.what)) }
    }
}

/// A borrowed list of big-endian 16-bit values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct U16List<'a>(&'a [u8]);

impl<'a> U16List<'a> {
    /// `None` if there is half a value at the end.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.len().is_multiple_of(2).then_some(Self(bytes))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u16> + 'a {
        self.0.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }
}

/// Builds a message. Lengths are written when a block ends; a block that is too long for its prefix is
/// cut by the callers' limits first, and caught by [`Writer::finish`] if it ever is not.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    overflow: bool,
    secret: bool,
}

impl Writer {
    /// With room for `capacity` bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// For secrets: whatever it outgrows is wiped. To be ended with [`Writer::finish_secret`].
    pub(crate) fn secret() -> Self {
        Self { secret: true, ..Self::default() }
    }

    pub(crate) fn u8(&mut self, v: u8) {
        self.raw(&[v]);
    }

    pub(crate) fn u16(&mut self, v: u16) {
        self.raw(&v.to_be_bytes());
    }

    /// A length of three bytes.
    pub(crate) fn u24(&mut self, v: usize) {
        match u32::try_from(v).map(u32::to_be_bytes) {
            Ok([0, rest @ ..]) => self.bytes.extend(rest),
            _ => self.overflow = true,
        }
    }

    pub(crate) fn u32(&mut self, v: u32) {
        self.raw(&v.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, v: u64) {
        self.raw(&v.to_be_bytes());
    }

    pub(crate) fn raw(&mut self, v: &[u8]) {
        let len = self.bytes.len() + v.len();
        if self.secret && len > self.bytes.capacity() {
            let mut larger = Vec::with_capacity(len.next_power_of_two().max(FIRST_CAPACITY));
            larger.extend_from_slice(&self.bytes);
            self.bytes.zeroize();
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(v);
    }

    /// A block with a length of one byte in front.
    pub(crate) fn vec8(&mut self, body: impl FnOnce(&mut Self)) {
        self.prefixed::<1>(body);
    }

    /// A block with a length of two bytes in front.
    pub(crate) fn vec16(&mut self, body: impl FnOnce(&mut Self)) {
        self.prefixed::<2>(body);
    }

    /// A block with a length of three bytes in front.
    pub(crate) fn vec24(&mut self, body: impl FnOnce(&mut Self)) {
        self.prefixed::<3>(body);
    }

    fn prefixed<const WIDTH: usize>(&mut self, body: impl FnOnce(&mut Self)) {
        let at = self.bytes.len();
        self.raw(&[0; WIDTH]);
        body(self);
        let len = u64::try_from(self.bytes.len() - at - WIDTH).unwrap_or(u64::MAX);
        let bytes = len.to_be_bytes();
        let (high, low) = bytes.split_at(8 - WIDTH);
        self.overflow |= high.iter().any(|b| *b != 0);
        if let Some(prefix) = self.bytes.get_mut(at..at + WIDTH) {
            prefix.copy_from_slice(low);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes, or an error if a block did not fit its length prefix.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Error> {
        if self.overflow { Err(Error::TooLong) } else { Ok(self.bytes) }
    }

    /// The same, to be wiped when dropped.
    pub(crate) fn finish_secret(mut self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let bytes = Zeroizing::new(std::mem::take(&mut self.bytes));
        if self.overflow { Err(Error::TooLong) } else { Ok(bytes) }
    }
}

/// Of a writer for secrets, in bytes.
const FIRST_CAPACITY: usize = 512;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(f: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut w = Writer::default();
        f(&mut w);
        w.finish().unwrap()
    }

    proptest! {
        #[test]
        fn integers_come_back(a: u8, b: u16, c: u32, d: u64) {
            let bytes = written(|w| { w.u8(a); w.u16(b); w.raw(&c.to_be_bytes()); w.u64(d) });
            let mut r = Reader::new("test", &bytes);
            prop_assert_eq!((r.u8().unwrap(), r.u16().unwrap()), (a, b));
            prop_assert_eq!((r.u32().unwrap(), r.u64().unwrap()), (c, d));
            r.finish().unwrap();
        }

        #[test]
        fn blocks_come_back_and_cut_ones_do_not(
            a in prop::collection::vec(any::<u8>(), 0..256),
            b in prop::collection::vec(any::<u8>(), 0..300),
            c in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = written(|w| { w.vec8(|w| w.raw(&a)); w.vec16(|w| w.raw(&b)); w.vec24(|w| w.raw(&c)) });
            let read = |bytes: &[u8]| -> Result<[Vec<u8>; 3], Error> {
                let mut r = Reader::new("test", bytes);
                let all = [r.vec8()?.to_vec(), r.vec16()?.to_vec(), r.vec24()?.to_vec()];
                r.finish()?;
                Ok(all)
            };
            prop_assert_eq!(read(&bytes).unwrap(), [a, b, c]);
            for len in 0..bytes.len() {
                prop_assert!(matches!(read(bytes.get(..len).unwrap()), Err(Error::Decode("test"))));
            }
            let longer = [&bytes[..], &[0]].concat();
            prop_assert!(matches!(read(&longer), Err(Error::Decode("test"))));
        }

        #[test]
        fn lists_come_back(list in prop::collection::vec(any::<u16>(), 1..100)) {
            let bytes = written(|w| w.vec16(|w| list.iter().for_each(|v| w.u16(*v))));
            let read = Reader::new("test", &bytes).u16_list().unwrap();
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), list);
        }
    }

    #[test]
    fn lists_are_whole_and_not_empty() {
        for bytes in [&[0, 0][..], &[0, 1, 7], &[0, 3, 1, 2, 3], &[0, 4, 1, 2]] {
            assert!(Reader::new("test", bytes).u16_list().is_err(), "{bytes:?}");
        }
        assert!(U16List::new(&[1, 2, 3]).is_none());
    }

    #[test]
    fn a_block_that_does_not_fit_its_length_is_an_error() {
        for (len, fits) in [(255, true), (256, false)] {
            let mut w = Writer::default();
            w.vec8(|w| w.raw(&vec![0; len]));
            assert_eq!(w.finish().is_ok(), fits, "{len}");
        }
        for (len, fits) in [(65_535, true), (65_536, false)] {
            let mut w = Writer::default();
            w.vec16(|w| w.raw(&vec![0; len]));
            assert_eq!(w.finish().is_ok(), fits, "{len}");
        }
        let mut w = Writer::default();
        w.vec24(|w| w.vec8(|w| w.raw(&[0; 256])));
        assert!(matches!(w.finish(), Err(Error::TooLong)));
    }

    #[test]
    fn a_length_of_three_bytes() {
        let bytes = written(|w| w.vec24(|w| w.raw(&vec![7; 70_000])));
        assert_eq!(bytes.get(..3), Some(&[1, 0x11, 0x70][..]));
        assert_eq!(Reader::new("test", &bytes).vec24().unwrap().len(), 70_000);
    }
}
