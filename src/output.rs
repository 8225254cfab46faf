//! Where output goes: a growing buffer, or a fixed slice that may be too small.

use std::fmt;

use bytes::BytesMut;

/// Takes the bytes that go to the peer. Implemented for `Vec<u8>`, [`BytesMut`] and [`FixedOutput`].
///
/// Everything is appended; what is there already stays. A record is sealed where it lies in here.
pub trait Output {
    /// Makes room for `additional` more bytes. `false`, and nothing changes, if that cannot be had.
    fn reserve(&mut self, additional: usize) -> bool;

    /// Appends `bytes`. [`Output::reserve`] was asked before.
    fn append(&mut self, bytes: &[u8]);

    /// Everything that has been appended so far, from the beginning.
    fn filled(&mut self) -> &mut [u8];
}

impl Output for Vec<u8> {
    fn reserve(&mut self, additional: usize) -> bool {
        Self::reserve(self, additional);
        true
    }

    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn filled(&mut self) -> &mut [u8] {
        self
    }
}

impl Output for BytesMut {
    fn reserve(&mut self, additional: usize) -> bool {
        Self::reserve(self, additional);
        true
    }

    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn filled(&mut self) -> &mut [u8] {
        self
    }
}

/// A fixed slice as output. It never grows: a call whose output does not fit returns
/// [`Error::OutputTooSmall`](crate::Error::OutputTooSmall), or keeps the output for the next call or
/// [`flush`](crate::Connection::flush).
pub struct FixedOutput<'a> {
    buffer: &'a mut [u8],
    filled: usize,
}

impl<'a> FixedOutput<'a> {
    /// Output into `buffer`, from its beginning.
    #[must_use]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, filled: 0 }
    }

    /// How many bytes of the buffer are output.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether there is no output.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }
}

impl fmt::Debug for FixedOutput<'_> {
    /// Without the bytes: what was in the buffer before is the caller's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FixedOutput");
        shown.field("len", &self.filled).field("room", &self.buffer.len()).finish()
    }
}

impl Output for FixedOutput<'_> {
    fn reserve(&mut self, additional: usize) -> bool {
        additional <= self.buffer.len() - self.filled
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.filled..end) {
            room.copy_from_slice(bytes);
            self.filled = end;
        }
    }

    fn filled(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.filled).unwrap_or_default()
    }
}
