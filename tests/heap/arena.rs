//! An allocator that gives nothing back: what the library frees stays as it was left, and can be looked through.
//!
//! While [`watch`] runs, this thread's memory comes from one arena, block after block, and is never used again. Everything
//! else, the test's own notes among them, comes from the system. So what is in the arena is what the library allocated, all
//! of it, and a block that it freed holds whatever it forgot to wipe. Growing a block moves it, always: an allocator may.

// An allocator cannot be written without `unsafe`. The library has none, and `src/lib.rs` forbids it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Room for one test. Pages that are not used cost nothing.
const SIZE: usize = 256 << 20;
static START: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static USED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

struct Allocator;

/// In front of each block: its whole length, the header included; whether it is in use; where the block begins (the last
/// one is always right before the bytes that were asked for).
const HEADER: usize = 32;
const LIVE: usize = 1;
const FREED: usize = 0;

// SAFETY: blocks of the arena do not overlap, are aligned as asked, and are never handed out twice. Whatever lies outside
// of it belongs to `System`.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !WATCHED.get() {
            return unsafe { System.alloc(layout) };
        }
        let align = layout.align().max(16);
        let total = (HEADER + align + layout.size()).next_multiple_of(16);
        let at = USED.fetch_add(total, Ordering::Relaxed);
        if at + total > SIZE {
            return ptr::null_mut();
        }
        let start = unsafe { START.load(Ordering::Relaxed).add(at) };
        let offset = (start.addr() + HEADER).next_multiple_of(align) - start.addr();
        let bytes = unsafe { start.add(offset) };
        unsafe {
            start.cast::<usize>().write(total);
            start.cast::<usize>().add(1).write(LIVE);
            bytes.cast::<usize>().sub(1).write(start.addr());
        }
        trace(at);
        bytes
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        let base = START.load(Ordering::Relaxed);
        if base.is_null() || bytes < base || bytes >= base.wrapping_add(SIZE) {
            return unsafe { System.dealloc(bytes, layout) };
        }
        unsafe {
            let start = bytes.cast::<usize>().sub(1).read();
            base.with_addr(start).cast::<usize>().add(1).write(FREED);
        }
    }
    // `realloc` is that of the trait: it allocates, copies and frees.
}

/// One test at a time, with an empty arena.
pub struct Arena(#[allow(dead_code)] MutexGuard<'static, ()>);

impl Arena {
    pub fn empty() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let layout = Layout::from_size_align(SIZE, 4096).unwrap();
        if START.load(Ordering::Relaxed).is_null() {
            // SAFETY: the layout is not of size zero. It is never freed.
            START.store(unsafe { System.alloc_zeroed(layout) }, Ordering::Relaxed);
            assert!(!START.load(Ordering::Relaxed).is_null(), "no memory for the arena");
        }
        let used = USED.swap(0, Ordering::Relaxed).min(SIZE);
        // SAFETY: nothing of an earlier test is in use any more: each drops what it made before its guard.
        unsafe { START.load(Ordering::Relaxed).write_bytes(0, used) };
        TRACES.lock().unwrap().clear();
        Self(guard)
    }

    /// Every place of every pattern. `patterns` are of at least 16 bytes.
    pub fn find(&self, patterns: &[&[u8]]) -> Vec<Found> {
        let mut by_start: BTreeMap<[u8; 4], Vec<usize>> = BTreeMap::new();
        let mut starts = vec![false; 1 << 16];
        for (i, pattern) in patterns.iter().enumerate() {
            by_start.entry(*pattern.first_chunk().unwrap()).or_default().push(i);
            starts[usize::from(u16::from_le_bytes([pattern[0], pattern[1]]))] = true;
        }
        let used = USED.load(Ordering::Relaxed);
        assert!(used <= SIZE, "the arena is too small for this test");
        // SAFETY: the arena is initialised, and no other thread writes to it: only one test at a time has an `Arena`, and
        // whatever it runs under `watch` it runs on its own thread.
        let arena = unsafe { std::slice::from_raw_parts(START.load(Ordering::Relaxed), used) };
        let word = |at: usize| usize::from_ne_bytes(arena[at..at + 8].try_into().unwrap());
        let mut found = Vec::new();
        let mut at = 0;
        while at < used {
            let (total, live) = (word(at), word(at + 8) == LIVE);
            let block = &arena[at + HEADER..at + total];
            for (i, four) in block.windows(4).enumerate() {
                if !starts[usize::from(u16::from_le_bytes([four[0], four[1]]))] {
                    continue;
                }
                for pattern in by_start.get(four).into_iter().flatten() {
                    if block[i..].starts_with(patterns[*pattern]) {
                        let len = block.len();
                        found.push(Found { pattern: *pattern, live, len, offset: i, at });
                    }
                }
            }
            at += total;
        }
        found
    }
}

/// Where a pattern is.
pub struct Found {
    /// Its index.
    pub pattern: usize,
    /// In a block that is in use; otherwise in one that was freed.
    pub live: bool,
    /// About how long the block is.
    pub len: usize,
    /// Where in it the pattern is, about.
    offset: usize,
    at: usize,
}

impl Found {
    /// The block, and where it was allocated if `HEAP_TRACE` is set.
    pub fn describe(&self) -> String {
        let state = if self.live { "live" } else { "freed" };
        let traces = TRACES.lock().unwrap();
        let trace = traces.get(&self.at).map(ToString::to_string).unwrap_or_default();
        let (offset, len) = (self.offset, self.len);
        format!("at {offset} of a {state} block of {len} bytes at {:#x}\n{trace}", self.at)
    }
}

/// Runs `work` with its memory in the arena.
pub fn watch<T>(work: impl FnOnce() -> T) -> T {
    switch(true, work)
}

/// Runs `work`, a part of what is watched, with its memory elsewhere: notes that the test takes.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    switch(false, work)
}

fn switch<T>(watched: bool, work: impl FnOnce() -> T) -> T {
    /// Back to what it was, if `work` panics too.
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            WATCHED.set(self.0);
        }
    }
    let _back = Back(WATCHED.replace(watched));
    work()
}

static TRACES: Mutex<BTreeMap<usize, Backtrace>> = Mutex::new(BTreeMap::new());

/// With `HEAP_TRACE` set, remembers who allocated the block.
fn trace(at: usize) {
    aside(|| {
        if std::env::var_os("HEAP_TRACE").is_some() {
            TRACES.lock().unwrap().insert(at, Backtrace::force_capture());
        }
    });
}
