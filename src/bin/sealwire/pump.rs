//! Moves bytes in both directions at once, without a mutex and without an event loop of the operating system.
//!
//! ```text
//!   stdin ──source──►┐                  ┌──sink──► socket
//!                    ├─► [ Connection ] ┤                      four threads that only move buffers,
//!   socket ─source──►┘     one owner    └──sink──► stdout      and one channel to the owner of it all
//! ```
//!
//! A buffer goes round: from its source to the owner, and back when what came of it has gone out. So a side that does
//! not read stops the side that feeds it, the other direction goes on, and memory stays bounded.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// What the threads tell the owner. An empty buffer from a source is the end.
#[derive(Debug)]
pub(crate) enum Event {
    /// From the socket.
    Received(io::Result<Vec<u8>>),
    /// From standard input.
    Typed(io::Result<Vec<u8>>),
    /// The socket took a buffer.
    Sent(io::Result<Vec<u8>>),
    /// Standard output took a buffer.
    Shown(io::Result<Vec<u8>>),
}

/// Bytes of a source's buffer.
const BUFFER: usize = 1 << 16;
/// Buffers that go round between a source and the owner.
const BUFFERS: usize = 2;
/// With this much waiting to go out, a lane keeps the buffers of its source.
const HIGH_WATER: usize = 1 << 18;

/// Starts a thread that reads `from` until it ends. Its buffers come back through what is returned.
pub(crate) fn source(
    mut from: impl Read + Send + 'static,
    to: Sender<Event>,
    wrap: fn(io::Result<Vec<u8>>) -> Event,
) -> io::Result<Sender<Vec<u8>>> {
    let (back, buffers) = mpsc::channel();
    for _ in 0..BUFFERS {
        let _open = back.send(Vec::with_capacity(BUFFER));
    }
    thread::Builder::new().spawn(move || {
        for mut buffer in buffers {
            buffer.resize(BUFFER, 0);
            let result = match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    // Without the way back the loop would run out of buffers.
                    retry(&mut from, &mut buffer)
                }
                other => other,
            };
            let ended = !matches!(result, Ok(1..));
            let event = result.map(|length| {
                buffer.truncate(length);
                buffer
            });
            if to.send(wrap(event)).is_err() || ended {
                break;
            }
        }
    })?;
    Ok(back)
}

/// Reads until no signal interrupts.
fn retry(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Starts a thread that writes buffers to `out`, and reports each. It ends with the first error.
fn sink(
    mut out: impl Write + Send + 'static,
    to: Sender<Event>,
    wrap: fn(io::Result<Vec<u8>>) -> Event,
) -> io::Result<Sender<Vec<u8>>> {
    let (sender, buffers): (_, Receiver<Vec<u8>>) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        for buffer in buffers {
            let result = out.write_all(&buffer).and_then(|()| out.flush());
            let failed = result.is_err();
            if to.send(wrap(result.map(|()| buffer))).is_err() || failed {
                break;
            }
        }
    })?;
    Ok(sender)
}

/// One way out: what waits for it, and the source that it slows down.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Append what is to go out, then [`Lane::push`].
    pub(crate) pending: Vec<u8>,
    /// The other buffer, unless the sink has it.
    idle: Option<Vec<u8>>,
    sink: Sender<Vec<u8>>,
    broken: bool,
    held: Vec<Vec<u8>>,
    back: Option<Sender<Vec<u8>>>,
}

impl Lane {
    /// Starts the sink `out`, which reports as `wrap`.
    pub(crate) fn new(
        out: impl Write + Send + 'static,
        to: Sender<Event>,
        wrap: fn(io::Result<Vec<u8>>) -> Event,
    ) -> io::Result<Self> {
        let sink = sink(out, to, wrap)?;
        Ok(Self {
            pending: Vec::new(),
            idle: Some(Vec::new()),
            sink,
            broken: false,
            held: Vec::new(),
            back: None,
        })
    }

    /// From now on this lane holds back the buffers of the source behind `back`.
    pub(crate) fn slow_down(&mut self, back: Sender<Vec<u8>>) {
        self.back = Some(back);
    }

    /// Hands what is pending to the sink, if that is idle.
    pub(crate) fn push(&mut self) {
        if self.pending.is_empty() || self.broken {
            return;
        }
        if let Some(empty) = self.idle.take() {
            let full = mem::replace(&mut self.pending, empty);
            let _broken = self.sink.send(full);
        }
    }

    /// The sink has written a buffer.
    pub(crate) fn written(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.idle = Some(buffer);
        self.push();
        if self.pending.len() < HIGH_WATER {
            let held = mem::take(&mut self.held);
            held.into_iter().for_each(|buffer| self.give_back(buffer));
        }
    }

    /// A buffer of the source is spent: it goes back, now or when less is pending.
    pub(crate) fn spent(&mut self, buffer: Vec<u8>) {
        if self.pending.len() < HIGH_WATER || self.broken {
            self.give_back(buffer);
        } else {
            self.held.push(buffer);
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        if let Some(back) = &self.back {
            let _ended = back.send(buffer);
        }
    }

    /// The sink has failed. What is pending is lost; the source must not be held up by it.
    pub(crate) fn fail(&mut self) {
        self.broken = true;
        self.pending.clear();
        let held = mem::take(&mut self.held);
        held.into_iter().for_each(|buffer| self.give_back(buffer));
    }

    /// Whether everything has gone out, or never will.
    pub(crate) fn is_drained(&self) -> bool {
        self.broken || (self.pending.is_empty() && self.idle.is_some())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_sink_stops_its_source() {
        let (to, events) = mpsc::channel();
        let back = source(io::repeat(7), to.clone(), Event::Typed).unwrap();
        // A sink that never finishes: its first buffer blocks it for good.
        let (_hold, gate) = mpsc::channel::<()>();
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                let _never = self.0.recv();
                Ok(buf.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut lane = Lane::new(Stuck(gate), to, Event::Sent).unwrap();
        lane.slow_down(back);
        let mut taken = 0;
        while let Ok(event) = events.recv_timeout(std::time::Duration::from_millis(300)) {
            let Event::Typed(Ok(buffer)) = event else { panic!("{event:?}") };
            taken += buffer.len();
            lane.pending.extend_from_slice(&buffer);
            lane.push();
            lane.spent(buffer);
        }
        assert!(taken <= HIGH_WATER + (BUFFERS + 1) * BUFFER, "{taken}");
        assert!(!lane.is_drained());
    }
}
