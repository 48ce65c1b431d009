//! The slots of an engine: which of the ready tasks get the free slots.
//!
//! Higher priority first, then the longest wait. One pure choice over all candidates of all runs, so that the
//! same data can also say why a task still waits.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::node::TaskIndex;
use crate::id::RunId;

/// How many attempts may be under way at once, unless told otherwise. Enough to fill group commits, few enough for
/// their views and threads to stay small.
pub(crate) const SLOTS_DEFAULT: usize = 1024;

/// A task that may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) run: RunId,
    pub(crate) task: TaskIndex,
    pub(crate) role: Role,
    pub(crate) priority: i32,
    /// Its place among all candidates ever.
    sequence: u64,
}

/// What is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    /// The task itself.
    Task,
    /// The callback after its end.
    Callback,
}

/// The tasks that wait for a slot, and the slots.
#[derive(Debug)]
pub(crate) struct SlotQueue {
    n_slots: usize,
    n_running: usize,
    n_enqueued: u64,
    candidates: BinaryHeap<Candidate>,
}

impl SlotQueue {
    pub(crate) fn new(n_slots: usize) -> Self {
        Self { n_slots, n_running: 0, n_enqueued: 0, candidates: BinaryHeap::new() }
    }

    pub(crate) fn enqueue(&mut self, run: RunId, task: TaskIndex, role: Role, priority: i32) {
        let sequence = self.n_enqueued;
        self.n_enqueued += 1;
        self.candidates.push(Candidate { run, task, role, priority, sequence });
    }

    /// Takes the next candidate if there is a slot for it.
    pub(crate) fn acquire(&mut self) -> Option<Candidate> {
        if self.n_running >= self.n_slots {
            return None;
        }
        let candidate = self.candidates.pop()?;
        self.n_running += 1;
        Some(candidate)
    }

    /// Gives a slot back.
    pub(crate) fn release(&mut self) {
        self.n_running = self.n_running.saturating_sub(1);
    }

    /// The tasks that wait for a slot.
    #[cfg(debug_assertions)]
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (RunId, TaskIndex, Role)> {
        self.candidates.iter().map(|candidate| (candidate.run, candidate.task, candidate.role))
    }

    pub(crate) fn n_running(&self) -> usize {
        self.n_running
    }

    pub(crate) fn n_slots(&self) -> usize {
        self.n_slots
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.cmp(&other.priority).then_with(|| other.sequence.cmp(&self.sequence))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use cloacina_workflow::Timestamp;

    use super::*;

    #[test]
    fn slots_go_to_the_highest_priority_and_then_to_the_longest_wait() {
        let run = RunId::new(Timestamp::from_unix_micros(0));
        let mut slots = SlotQueue::new(3);
        for (task, priority) in [(0, 0), (1, 5), (2, 0), (3, 5), (4, -1)] {
            slots.enqueue(run, TaskIndex::new(task), Role::Task, priority);
        }
        let acquired = |slots: &mut SlotQueue| slots.acquire().map(|candidate| candidate.task.number());
        assert_eq!([acquired(&mut slots), acquired(&mut slots)], [Some(1), Some(3)]);
        assert_eq!([acquired(&mut slots), acquired(&mut slots)], [Some(0), None]);
        slots.release();
        assert_eq!([acquired(&mut slots), acquired(&mut slots)], [Some(2), None]);
        assert_eq!(slots.n_running(), 3);
    }
}
