//! How many connections a server has open.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the connections that are open, and those that failed.
#[derive(Default)]
pub(crate) struct Slots {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    open: u32,
    failed: u32,
}

impl Slots {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counts are whole at every moment: a thread that panicked cannot have left them otherwise.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until fewer than `most` are open. Returns how many have failed.
    pub(crate) fn wait_below(&self, most: u32) -> u32 {
        let counts = self.counts();
        let waited = self.changed.wait_while(counts, |counts| counts.open >= most);
        waited.unwrap_or_else(PoisonError::into_inner).failed
    }

    pub(crate) fn take(this: &Arc<Self>) -> Slot {
        this.counts().open += 1;
        Slot { slots: Arc::clone(this), went_well: false }
    }
}

/// One open connection. Dropping it, be it by a panic, makes room for another.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    went_well: bool,
}

impl Slot {
    pub(crate) fn end(mut self, went_well: bool) {
        self.went_well = went_well;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.slots.counts();
        counts.open = counts.open.saturating_sub(1);
        counts.failed = counts.failed.saturating_add(u32::from(!self.went_well));
        self.slots.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_panic_makes_room_and_counts_as_a_failure() {
        let slots = Arc::new(Slots::default());
        let slot = Slots::take(&slots);
        let thread = thread::spawn(move || {
            let _slot = slot;
            std::panic::resume_unwind(Box::new("broken"));
        });
        assert_eq!(slots.wait_below(1), 1);
        assert!(thread.join().is_err());
    }
}
