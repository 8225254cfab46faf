//! Long work shows that it moves: a bar on a terminal, a line a second elsewhere. Always on standard error.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::say;

/// The progress of one transfer.
pub(crate) struct Progress {
    name: &'static str,
    total: u64,
    /// A bar, or else lines.
    bar: Option<ProgressBar>,
    lines: Mutex<Lines>,
}

struct Lines {
    began: Instant,
    last: Instant,
    done: u64,
}

impl Progress {
    pub(crate) fn new(name: &'static str, total: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(
                "{prefix:>10} [{wide_bar}] {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.with_prefix(name)
        });
        let now = Instant::now();
        Self { name, total, bar, lines: Mutex::new(Lines { began: now, last: now, done: 0 }) }
    }

    /// `bytes` more are done.
    pub(crate) fn add(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            return bar.inc(bytes);
        }
        let mut lines = self.lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        lines.done += bytes;
        if lines.last.elapsed() >= Duration::from_secs(1) {
            lines.last = Instant::now();
            let percent = lines.done.saturating_mul(100) / self.total.max(1);
            say(&format!(
                "{}: {percent} % ({} of {}) after {} s\n",
                self.name,
                HumanBytes(lines.done),
                HumanBytes(self.total),
                lines.began.elapsed().as_secs(),
            ));
        }
    }

    /// It is over; the bar goes away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
