//! A stopwatch: the one place of the benchmark that reads a clock.

use std::time::{Duration, Instant};

/// Counts from when it was started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch {
    begin: Instant,
}

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    pub(super) fn start() -> Self {
        Self { begin: Instant::now() }
    }

    pub(super) fn elapsed(self) -> Duration {
        self.begin.elapsed()
    }
}
