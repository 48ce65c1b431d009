//! The one place where the engine reads the time.
//!
//! Everything else is handed moments, so that a test can hold the clock and a replay sees the times of the original.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use cloacina_workflow::Timestamp;

/// Where the engine takes the present moment from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The time of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// How long it is until that moment; nothing if it has passed.
pub(crate) fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::from_micros(at.unix_micros().saturating_sub(now.unix_micros()))
}
