//! A store that refuses: commits are kept and handed over again until it takes them.
//!
//! ```text
//!   refused ──kept, in order──▶ pause ──next term──▶ handed over again ──taken──▶ effects, as if nothing had been
//! ```
//! - What was decided stays decided: no attempt is interrupted, no history is read again, and what happens to the run
//!   meanwhile follows in the same order. Only its effects wait, so nothing starts that is not durable.
//! - Commits that were on their way when one was refused come back too. They are handed over again together, once none
//!   of the run is on its way, under a higher term; the store refuses what is left of a lower one.
//! - The callers that wait for the run are told after a while, and may wait again.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use cloacina_workflow::Timestamp;

use super::{
    commits::Pending,
    event::NotSubmitted,
    timer::{RunTimer, Timers},
};
use crate::{
    Error,
    core::effect::after,
    id::RunId,
    store::{Commit, Error as StoreError},
    view::Gate,
};

/// The pause before the first new try; each one after that is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// A database that is back is noticed after so long at the latest, and one that stays away costs next to nothing.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long the callers that wait for a run are not told that the store refuses it. Most troubles pass within that.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait for answers that are still on their way.
const ANSWERS_PAUSE: Duration = Duration::from_millis(10);

/// Something that the store refuses again and again, and when it is tried next.
#[derive(Debug)]
pub(super) struct Trouble {
    error: Arc<StoreError>,
    since: Timestamp,
    n_tries: u32,
    due: Timestamp,
}

/// The runs of which the store refused commits.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    by_run: HashMap<RunId, Stall>,
}

/// A run of which the store refused commits.
#[derive(Debug)]
struct Stall {
    /// In order. Empty while they are on their way again.
    refused: Vec<(Commit, Pending)>,
    trouble: Trouble,
    /// Whether a timer is set.
    is_waiting: bool,
    /// Whether it is not tried again after this.
    is_last: bool,
}

/// A commit that the store refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) pending: Pending,
    /// Absent if the store has not given it back.
    pub(super) commit: Option<Box<Commit>>,
    pub(super) error: Arc<StoreError>,
}

/// How the engine stands when a commit is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Whether the run is driven, under the epoch of the commit.
    pub(super) is_driven: bool,
    /// Whether other engines may live on the same database.
    pub(super) is_shared: bool,
    /// Whether the engine only waits for its commits any more.
    pub(super) is_ending: bool,
}

/// What becomes of a commit that was refused.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is kept, and a timer is set. The error is there if the callers that wait for the run are to be told.
    Kept(Option<Arc<StoreError>>),
    /// It is not kept.
    Dropped(Pending, Then),
}

/// What follows when a commit is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The run is not driven any more.
    Nothing,
    /// Nothing of the run is stored, and the caller that submitted it is told so.
    LoseNewRun,
    /// It was tried for the last time: the history lacks it.
    LoseRun,
    /// What became of the commit is not known, so nothing may be written before the epoch has ended.
    EndEpoch,
}

impl Trouble {
    pub(super) fn new(error: Arc<StoreError>, now: Timestamp) -> Self {
        Self { error, since: now, n_tries: 0, due: now }
    }

    /// It was tried in vain. Returns when it is tried next.
    pub(super) fn again(&mut self, error: Arc<StoreError>, now: Timestamp) -> Timestamp {
        // What was refused unseen says nothing.
        if !matches!(*error, StoreError::Stopped) {
            self.error = error;
        }
        self.postpone(now)
    }

    /// It could not be tried. Returns when it is tried next.
    pub(super) fn postpone(&mut self, now: Timestamp) -> Timestamp {
        self.due = after(now, pause(self.n_tries));
        self.n_tries = self.n_tries.saturating_add(1);
        self.due
    }

    /// Whether it is to be tried by now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.due <= now
    }

    /// Whether the callers that wait are to be told: it takes long, or does not pass by itself.
    pub(super) fn is_to_be_told(&self, now: Timestamp) -> bool {
        now >= after(self.since, PATIENCE)
            || matches!(*self.error, StoreError::Corrupt { .. } | StoreError::Removed { .. })
    }

    /// What a run waits for whose commits are refused, or whose history cannot be read.
    pub(super) fn gate(&self, is_read: bool) -> Gate {
        let reason = chain(&*self.error);
        match is_read {
            true => Gate::HistoryUnread { reason, until: self.due },
            false => Gate::StoreRefused { reason, until: self.due },
        }
    }
}

impl Stalls {
    /// The store refused a commit.
    pub(super) fn refused(
        &mut self,
        refused: Refused,
        standing: Standing,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Verdict {
        let Refused { pending, commit, error } = refused;
        let commit = match commit {
            Some(commit) if standing.is_driven => commit,
            _ => return Verdict::Dropped(pending, Then::Nothing),
        };
        if commit.create.is_some() {
            return Verdict::Dropped(pending, Then::LoseNewRun);
        }
        if standing.is_shared && matches!(*error, StoreError::Unavailable { .. } | StoreError::InDoubt { .. }) {
            return Verdict::Dropped(pending, Then::EndEpoch);
        }
        let run = pending.run;
        if self.by_run.get(&run).is_some_and(|stall| stall.is_last) {
            return Verdict::Dropped(pending, Then::LoseRun);
        }
        let stall = self.by_run.entry(run).or_insert_with(|| {
            tracing::error!(run.id = %run, error = &*error as &dyn std::error::Error, "the store refuses a change of a \
                run; the run waits, and the engine tries again");
            Stall {
                refused: Vec::new(),
                trouble: Trouble::new(Arc::clone(&error), now),
                is_waiting: false,
                is_last: false,
            }
        });
        stall.refused.push((*commit, pending));
        if !stall.is_waiting {
            stall.is_waiting = true;
            let due = stall.trouble.again(Arc::clone(&error), now);
            let due = if standing.is_ending { now } else { due };
            tracing::debug!(run.id = %run, %error, %due, "the store refuses a change of a run; trying again");
            timers.set(due, RunTimer::CommitsDue { run });
        }
        if !stall.trouble.is_to_be_told(now) {
            return Verdict::Kept(None);
        }
        let source = Arc::clone(&stall.trouble.error);
        for answer in stall.refused.iter_mut().filter_map(|(_, pending)| pending.answer.take()) {
            let (submission, error) = lost(run, &source);
            answer.refuse(submission, error);
        }
        Verdict::Kept(Some(source))
    }

    /// The timer of a run has rung. Returns what is to be handed over again, in order; nothing as long as the store has not
    /// answered every commit of the run. `is_last` says that it is not tried again after this.
    pub(super) fn hand_over(
        &mut self,
        run: RunId,
        is_answered: bool,
        is_last: bool,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Vec<(Commit, Pending)> {
        let Some(stall) = self.by_run.get_mut(&run).filter(|stall| stall.is_waiting) else { return Vec::new() };
        if !is_answered {
            timers.set(after(now, ANSWERS_PAUSE), RunTimer::CommitsDue { run });
            return Vec::new();
        }
        stall.is_waiting = false;
        stall.is_last = is_last;
        mem::take(&mut stall.refused)
    }

    /// The engine ends: what the store refuses is handed over once more, at once.
    pub(super) fn hurry(&self, now: Timestamp, timers: &mut Timers) {
        for (run, _) in self.by_run.iter().filter(|(_, stall)| stall.is_waiting) {
            timers.set(now, RunTimer::CommitsDue { run: *run });
        }
    }

    /// The store has taken a commit of the run. Returns whether that ends its stall.
    pub(super) fn taken(&mut self, run: RunId) -> bool {
        // There are none, nearly always.
        if self.by_run.is_empty() || self.by_run.get(&run).is_none_or(|stall| stall.is_waiting) {
            return false;
        }
        self.by_run.remove(&run);
        tracing::warn!(run.id = %run, "the store accepts the changes of the run again, and the run continues");
        true
    }

    /// Forgets what was kept of a run that is not driven any more. Returns it, and why it was refused.
    pub(super) fn remove(&mut self, run: RunId) -> Option<(Vec<Pending>, Arc<StoreError>)> {
        if self.by_run.is_empty() {
            return None;
        }
        let Stall { refused, trouble, .. } = self.by_run.remove(&run)?;
        Some((refused.into_iter().map(|(_, pending)| pending).collect(), trouble.error))
    }

    /// The runs of which something is kept.
    pub(super) fn runs(&self) -> Vec<RunId> {
        self.by_run.keys().copied().collect()
    }

    pub(super) fn contains(&self, run: RunId) -> bool {
        self.by_run.contains_key(&run)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_run.is_empty()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.by_run.clear();
    }

    /// What the run waits for because of the store.
    pub(super) fn gate(&self, run: RunId) -> Option<Gate> {
        self.by_run.get(&run).map(|stall| stall.trouble.gate(false))
    }

    /// Whether a timer is set for the run.
    #[cfg(debug_assertions)]
    pub(super) fn is_waiting(&self, run: RunId) -> bool {
        self.by_run.get(&run).is_some_and(|stall| stall.is_waiting)
    }
}

/// What the callers are told whose request the store has refused for long, or for ever.
pub(super) fn lost(run: RunId, error: &Arc<StoreError>) -> (NotSubmitted, Error) {
    let lost = || Error::RunLost { id: run, source: Arc::clone(error) };
    (NotSubmitted::Failed(lost()), lost())
}

/// The pause after so many tries in vain.
pub(super) fn pause(n_tries: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << n_tries.min(16)).min(PAUSE_MAX)
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{runtime::commits::Answer, store::NewRun};

    const DRIVEN: Standing = Standing { is_driven: true, is_shared: false, is_ending: false };

    /// The stalls of one run, whose commits are told apart by their moment.
    #[derive(Default)]
    struct Bench {
        stalls: Stalls,
        timers: Timers,
    }

    impl Bench {
        fn refused(&mut self, number: u64, standing: Standing, now: Timestamp) -> Verdict {
            self.stalls.refused(refused(number), standing, now, &mut self.timers)
        }

        /// Lets the timer ring, and returns the moments of what is handed over.
        fn ring(&mut self, is_answered: bool, is_last: bool) -> (Timestamp, Vec<u64>) {
            let now = self.timers.earliest().unwrap();
            assert_eq!(self.timers.pop_due(now), Some(RunTimer::CommitsDue { run: run() }.into()));
            let again = self.stalls.hand_over(run(), is_answered, is_last, now, &mut self.timers);
            (now, again.into_iter().map(|(_, pending)| pending.at.unix_micros()).collect())
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_micros(millis * 1_000)
    }

    fn run() -> RunId {
        RunId::floor(at(1))
    }

    fn refused(number: u64) -> Refused {
        let commit = Commit { run: run(), epoch: 1, term: 0, create: None, events: Vec::new(), update: None };
        let pending = Pending::nothing(run(), 1, Timestamp::from_unix_micros(number));
        let error = StoreError::Unavailable { doing: "writing", source: diesel::result::Error::NotFound };
        Refused { pending, commit: Some(Box::new(commit)), error: Arc::new(error) }
    }

    #[test]
    fn what_is_refused_is_handed_over_again_in_order_after_growing_pauses() {
        let mut bench = Bench::default();
        let mut now = at(1_000);
        for expected in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            assert!(matches!(bench.refused(1, DRIVEN, now), Verdict::Kept(_)));
            assert!(matches!(bench.refused(2, DRIVEN, now), Verdict::Kept(_)));
            assert!(!bench.stalls.taken(run()), "one that was taken before changes nothing");
            let (due, again) = bench.ring(true, false);
            assert_eq!((due, again), (after(now, Duration::from_millis(expected)), vec![1, 2]));
            now = due;
        }
        assert!(bench.stalls.taken(run()));
        assert!(bench.stalls.is_empty() && bench.timers.earliest().is_none());
        assert!(!bench.stalls.taken(run()), "the rest of them end nothing");
    }

    #[test]
    fn nothing_is_handed_over_while_commits_of_the_run_are_on_their_way() {
        let mut bench = Bench::default();
        bench.refused(1, DRIVEN, at(1_000));
        assert_eq!(bench.ring(false, false), (at(1_100), Vec::new()));
        bench.refused(2, DRIVEN, at(1_105));
        assert_eq!(bench.ring(true, false), (after(at(1_100), ANSWERS_PAUSE), vec![1, 2]));
    }

    #[test]
    fn a_caller_is_told_when_it_takes_long() {
        let mut bench = Bench::default();
        let (answer, mut told) = oneshot::channel();
        let mut first = refused(1);
        first.pending.answer = Some(Answer::Controlled(answer));
        let kept = bench.stalls.refused(first, DRIVEN, at(0), &mut bench.timers);
        assert!(matches!(kept, Verdict::Kept(None)));
        told.try_recv().unwrap_err();
        let kept = bench.refused(2, DRIVEN, after(at(0), PATIENCE));
        assert!(matches!(kept, Verdict::Kept(Some(_))));
        assert!(matches!(told.try_recv(), Ok(Err(Error::RunLost { .. }))));
        assert_eq!(bench.ring(true, false).1, [1, 2], "the request is carried out even so");
    }

    #[test]
    fn what_is_not_kept_says_what_follows() {
        let then = |change: fn(&mut Refused, &mut Standing)| {
            let (mut bench, mut refused, mut standing) = (Bench::default(), refused(1), DRIVEN);
            change(&mut refused, &mut standing);
            match bench.stalls.refused(refused, standing, at(0), &mut bench.timers) {
                Verdict::Kept(_) => None,
                Verdict::Dropped(_, then) => Some(then),
            }
        };
        assert_eq!(then(|_, _| {}), None);
        assert_eq!(then(|_, standing| standing.is_driven = false), Some(Then::Nothing));
        assert_eq!(then(|refused, _| refused.commit = None), Some(Then::Nothing));
        assert_eq!(then(|_, standing| standing.is_shared = true), Some(Then::EndEpoch));
        let new_run = |refused: &mut Refused| {
            let commit = refused.commit.as_mut().unwrap();
            commit.create = Some(NewRun {
                workflow: crate::id::WorkflowId::new(at(0)),
                state: crate::core::run::State::Pending,
                created_at: at(0),
                started_at: None,
                key: None,
                by: None,
            });
        };
        let mut bench = Bench::default();
        let mut first = refused(1);
        new_run(&mut first);
        let verdict = bench.stalls.refused(first, DRIVEN, at(0), &mut bench.timers);
        assert!(matches!(verdict, Verdict::Dropped(_, Then::LoseNewRun)));
    }

    #[test]
    fn an_engine_that_ends_tries_once_more_and_then_gives_up() {
        let mut bench = Bench::default();
        bench.refused(1, DRIVEN, at(1_000));
        bench.stalls.hurry(at(1_010), &mut bench.timers);
        assert_eq!(bench.ring(true, true), (at(1_010), vec![1]));
        let ending = Standing { is_ending: true, ..DRIVEN };
        assert!(matches!(bench.refused(1, ending, at(1_020)), Verdict::Dropped(_, Then::LoseRun)));
        assert!(bench.stalls.remove(run()).is_some_and(|(kept, _)| kept.is_empty()));
    }
}
