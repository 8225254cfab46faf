//! A transport in memory that cuts, blocks, interrupts, fails and ends.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;

/// One direction: bytes on their way, and how the transport behaves.
#[derive(Default)]
pub(crate) struct Pipe {
    pub(crate) bytes: VecDeque<u8>,
    pub(crate) ended: bool,
    /// All that was ever written, to see that nothing is written twice.
    pub(crate) total: usize,
}

/// How unpleasant a transport is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// The most bytes that one call moves.
    pub(crate) chunk: usize,
    /// The most bytes that can be on their way.
    pub(crate) capacity: usize,
    /// Every so many calls one is interrupted, and one would block. 0 is never.
    pub(crate) hiccup: usize,
}

pub(crate) const POLITE: Manners = Manners { chunk: usize::MAX, capacity: usize::MAX, hiccup: 0 };

/// One end of a non-blocking transport.
pub(crate) struct End {
    pub(crate) input: Rc<RefCell<Pipe>>,
    pub(crate) output: Rc<RefCell<Pipe>>,
    pub(crate) manners: Manners,
    calls: usize,
    /// The next write fails with this.
    pub(crate) fail_write: Option<ErrorKind>,
}

impl End {
    fn hiccup(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.manners.hiccup {
            0 => Ok(()),
            n if self.calls.is_multiple_of(2 * n) => Err(ErrorKind::Interrupted.into()),
            n if self.calls.is_multiple_of(n) => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }
}

impl Read for End {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.hiccup()?;
        let mut pipe = self.input.borrow_mut();
        let length = buf.len().min(pipe.bytes.len()).min(self.manners.chunk);
        if length == 0 && !pipe.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        pipe.bytes.drain(..length).zip(buf).for_each(|(from, to)| *to = from);
        Ok(length)
    }
}

impl Write for End {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.hiccup()?;
        if let Some(kind) = self.fail_write.take() {
            return Err(kind.into());
        }
        let mut pipe = self.output.borrow_mut();
        let room = self.manners.capacity - pipe.bytes.len();
        let length = buf.len().min(self.manners.chunk).min(room);
        if length == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        pipe.bytes.extend(&buf[..length]);
        pipe.total += length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn ends(manners: Manners) -> (End, End) {
    let (up, down) = (Rc::<RefCell<Pipe>>::default(), Rc::<RefCell<Pipe>>::default());
    let end = |input: &Rc<_>, output: &Rc<_>| End {
        input: Rc::clone(input),
        output: Rc::clone(output),
        manners,
        calls: 0,
        fail_write: None,
    };
    (end(&down, &up), end(&up, &down))
}
