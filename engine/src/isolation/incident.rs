//! Counts the incidents in which processes of a package have ended, since a call last ended in order.
//!
//! One cause may end many processes: the system kills all that a package has when memory runs out, an operator does, or
//! a call that was lost with others crashes again when it is repeated alone. That says no more about the package than the
//! end of one process. So the end of a process belongs to the latest incident if nothing was given to the process since,
//! if it repeats a call that was lost then, or if it is killed from outside repeatedly; every other end begins an incident.
//! Pure: the moment comes from the caller.

use std::time::{Duration, Instant};

/// The ends of processes that were all there when an incident began belong to it for so long.
const WINDOW: Duration = Duration::from_secs(10);
/// For so long after the beginning of an incident the calls that were lost with it are expected to be repeated.
const REPEAT_WINDOW: Duration = Duration::from_secs(60);
/// So many lost calls are expected again; more than any engine has under way.
const REPEATS_MAX: usize = 10_000;

/// How many incidents had begun when a process was started, or got its latest call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(pub(super) u64);

/// The cause of the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The package: a fault, an exit, a limit.
    Package,
    /// It was killed, and not by the engine: by the kernel when memory ran out, or by a person.
    Outside,
}

/// The end of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessEnd {
    pub(super) generation: Generation,
    pub(super) cause: Cause,
    /// Calls that were under way in it.
    pub(super) n_open: usize,
}

/// The incidents of one package.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    generation: Generation,
    /// Without a call that ended in order between them.
    in_a_row: u32,
    latest: Option<(Instant, Cause)>,
    /// Calls that were lost in the latest incident and are expected again.
    n_repeats: usize,
}

impl Incidents {
    /// What a process belongs to that is started, or gets a call, now.
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    /// Notes the end of a process. If an incident begins with it: how many there have been in a row.
    pub(super) fn note(&mut self, end: ProcessEnd, now: Instant) -> Option<u32> {
        let belongs = self.belongs(end, now);
        if !belongs {
            self.n_repeats = 0;
            self.generation.0 += 1;
            self.latest = Some((now, end.cause));
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
        if end.n_open > 1 {
            // They are all lost; one that is alone has failed.
            self.n_repeats = (self.n_repeats + end.n_open).min(REPEATS_MAX);
        }
        (!belongs).then_some(self.in_a_row)
    }

    fn belongs(&mut self, end: ProcessEnd, now: Instant) -> bool {
        let Some((began, before)) = self.latest else { return false };
        let since = now.saturating_duration_since(began);
        let was_there = end.generation < self.generation;
        let is_of_latest = match end.cause {
            // What outsiders kill says nothing of the package, however long they take; and they go on with those that
            // are started meanwhile.
            Cause::Outside => was_there || (since < WINDOW && before == Cause::Outside),
            Cause::Package => was_there && since < WINDOW,
        };
        let is_repeat = end.n_open <= 1 && self.n_repeats > 0 && since < REPEAT_WINDOW;
        if is_repeat {
            self.n_repeats -= 1;
        }
        is_of_latest || is_repeat
    }

    /// A call has ended in order.
    pub(super) fn forgive(&mut self) {
        self.in_a_row = 0;
        self.n_repeats = self.n_repeats.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolation::keeper;

    fn end(generation: Generation, cause: Cause, n_open: usize) -> ProcessEnd {
        ProcessEnd { generation, cause, n_open }
    }

    #[test]
    fn processes_that_end_together_are_one_incident() {
        let (mut incidents, now) = (Incidents::default(), keeper::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let first = incidents.generation();
        assert_eq!(incidents.note(end(first, Cause::Package, 1), now), Some(1));
        let second = incidents.generation();
        let ends = (0..16).map(|n_th| incidents.note(end(second, Cause::Outside, 1), at(n_th * 60)));
        assert_eq!(ends.collect::<Vec<_>>(), [&[Some(2)][..], &[None; 15]].concat());
        // The killing thread goes on with what is started meanwhile, for a while.
        let third = incidents.generation();
        assert_eq!(incidents.note(end(third, Cause::Outside, 1), at(9)), None);
        assert_eq!(incidents.note(end(third, Cause::Outside, 1), at(11)), Some(3));
    }

    #[test]
    fn calls_that_were_lost_and_crash_again_alone_are_no_further_incident() {
        let (mut incidents, now) = (Incidents::default(), keeper::now());
        assert_eq!(incidents.note(end(Generation::default(), Cause::Package, 3), now), Some(1));
        for cause in [Cause::Package, Cause::Outside, Cause::Package] {
            let generation = incidents.generation();
            assert_eq!(incidents.note(end(generation, cause, 1), now + WINDOW), None);
        }
        let generation = incidents.generation();
        assert_eq!(incidents.note(end(generation, Cause::Package, 1), now + WINDOW), Some(2));
        // Calls that are repeated in order are not expected again.
        assert_eq!(incidents.note(end(incidents.generation(), Cause::Package, 2), now + WINDOW), Some(3));
        incidents.forgive();
        incidents.forgive();
        assert_eq!(incidents.note(end(incidents.generation(), Cause::Package, 1), now + WINDOW), Some(1));
    }

    #[test]
    fn a_package_that_crashes_whenever_it_is_used_is_counted_each_time() {
        let (mut incidents, now) = (Incidents::default(), keeper::now());
        for n_th in 1..=3 {
            let generation = incidents.generation();
            assert_eq!(incidents.note(end(generation, Cause::Package, 1), now), Some(n_th));
            assert_eq!(incidents.note(end(generation, Cause::Package, 1), now), None);
        }
        incidents.forgive();
        let generation = incidents.generation();
        assert_eq!(incidents.note(end(generation, Cause::Package, 1), now), Some(1));
        // One that was there then, and crashes long after that.
        assert_eq!(incidents.note(end(generation, Cause::Package, 1), now + WINDOW), Some(2));
    }
}
