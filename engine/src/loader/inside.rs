//! The processor time of calls that complete inside of `start`: they run on a thread of this side, which can be measured
//! without the package's help.
//!
//! ```text
//! Library::start ── Inside::begin ──► start of the package ──► complete ── cpu_ns ──► the end of the call
//! ```
//! A call that completes on any other thread has nothing here.

use std::{cell::Cell, time::Duration};

use cloacina_workflow::__private::v1::thread_cpu;

use super::CallId;

thread_local! {
    /// The call that this thread began and is still inside of, and what the thread had used up before.
    static BEGUN: Cell<Option<(CallId, Duration)>> = const { Cell::new(None) };
}

/// A call of `start`, for as long as it takes.
#[derive(Debug)]
pub(super) struct Inside {
    outer: Option<(CallId, Duration)>,
}

impl Inside {
    pub(super) fn begin(id: CallId) -> Self {
        Self { outer: BEGUN.replace(thread_cpu().map(|before| (id, before))) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        BEGUN.set(self.outer);
    }
}

/// What this thread has used up since it began that call; 0 if it is not inside of it.
pub(super) fn cpu_ns(id: CallId) -> u64 {
    let begun = BEGUN.get().filter(|(begun, _)| *begun == id);
    let used = begun.and_then(|(_, before)| thread_cpu()?.checked_sub(before));
    used.map_or(0, |used| u64::try_from(used.as_nanos()).unwrap_or(u64::MAX))
}
