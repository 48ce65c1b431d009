//! Timers: what is due when. The driver sleeps until the earliest and not at all if there is none.

use std::{cmp::Reverse, collections::BinaryHeap};

use cloacina_workflow::Timestamp;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Attempts have had their time to finish.
    ShutdownDeadline,
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BinaryHeap<Reverse<(Timestamp, Timer)>>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Timestamp, timer: Timer) {
        self.due.push(Reverse((at, timer)));
    }

    /// When the earliest timer is due.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the earliest timer if it is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let Reverse((at, _)) = self.due.peek()?;
        if *at > now {
            return None;
        }
        self.due.pop().map(|Reverse((_, timer))| timer)
    }
}
