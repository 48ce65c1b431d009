//! Admission: which of the tasks that may run get the slots that are free.
//!
//! Higher priority first, then who has waited longest. One pure choice over all candidates of all runs, so that the
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
pub(crate) struct Admission {
    slots: usize,
    n_running: usize,
    n_offered: u64,
    candidates: BinaryHeap<Candidate>,
}

impl Admission {
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, n_running: 0, n_offered: 0, candidates: BinaryHeap::new() }
    }

    pub(crate) fn offer(&mut self, run: RunId, task: TaskIndex, role: Role, priority: i32) {
        let sequence = self.n_offered;
        self.n_offered += 1;
        self.candidates.push(Candidate { run, task, role, priority, sequence });
    }

    /// Takes the next candidate if there is a slot for it.
    pub(crate) fn admit(&mut self) -> Option<Candidate> {
        if self.n_running >= self.slots {
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

    /// Those who wait for a slot.
    #[cfg(debug_assertions)]
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (RunId, TaskIndex, Role)> {
        self.candidates.iter().map(|candidate| (candidate.run, candidate.task, candidate.role))
    }

    pub(crate) fn n_running(&self) -> usize {
        self.n_running
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
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
    fn slots_go_to_priority_then_to_who_waited_longest() {
        let run = RunId::new(Timestamp::from_unix_micros(0));
        let mut admission = Admission::new(3);
        for (task, priority) in [(0, 0), (1, 5), (2, 0), (3, 5), (4, -1)] {
            admission.offer(run, TaskIndex::new(task), Role::Task, priority);
        }
        let admitted = |admission: &mut Admission| admission.admit().map(|candidate| candidate.task.number());
        assert_eq!([admitted(&mut admission), admitted(&mut admission)], [Some(1), Some(3)]);
        assert_eq!([admitted(&mut admission), admitted(&mut admission)], [Some(0), None]);
        admission.release();
        assert_eq!([admitted(&mut admission), admitted(&mut admission)], [Some(2), None]);
        assert_eq!(admission.n_running(), 3);
    }
}
