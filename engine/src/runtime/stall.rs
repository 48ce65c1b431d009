//! The driver's part about a store that refuses: commits are kept and handed over again until it takes them.
//!
//! ```text
//!   refused ──kept, in order──▶ pause ──next term──▶ handed over again ──taken──▶ effects, as if nothing had been
//! ```
//! - What was decided stays decided: no attempt is interrupted, no history is read again, and what happens to the run
//!   meanwhile follows in the same order. Only its effects wait, so nothing starts that is not durable.
//! - Commits that were on their way when one was refused come back too. They are handed over again together, once none
//!   of the run is on its way, under a higher term; the store refuses what is left of a lower one.
//! - Those who wait for the run are told after a while, and may wait again.

use std::{sync::Arc, time::Duration};

use cloacina_workflow::Timestamp;

use super::{
    driver::{Driver, Pending, Stopping},
    event::{NotSubmitted, Phase},
    timer::Timer,
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

/// How long those who wait for a run are not told that the store refuses it. Most troubles pass within that.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait for answers that are still on their way.
const ANSWERS_PAUSE: Duration = Duration::from_millis(10);

/// Something that the store refuses again and again, and when it is tried next.
#[derive(Debug)]
pub(super) struct Trouble {
    error: Arc<StoreError>,
    since: Timestamp,
    n_tries: u32,
    pub(super) due: Timestamp,
}

/// A run of which the store refused commits.
#[derive(Debug)]
pub(super) struct Stall {
    /// In order. Empty while they are on their way again.
    refused: Vec<(Commit, Pending)>,
    trouble: Trouble,
    /// Whether a timer is set.
    is_waiting: bool,
    /// Whether it is not tried again after this.
    is_last: bool,
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
        self.due = after(now, pause(self.n_tries));
        self.n_tries = self.n_tries.saturating_add(1);
        self.due
    }

    /// Whether those who wait are to be told: it takes long, or does not pass by itself.
    pub(super) fn is_to_be_told(&self, now: Timestamp) -> bool {
        now >= after(self.since, PATIENCE)
            || matches!(*self.error, StoreError::Corrupt { .. } | StoreError::Removed { .. })
    }

    pub(super) fn error(&self) -> &Arc<StoreError> {
        &self.error
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

impl Stall {
    /// Whether a timer is set for it.
    #[cfg(debug_assertions)]
    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting
    }
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

impl Driver {
    /// The store refused a commit.
    pub(super) fn refused(
        &mut self,
        pending: Pending,
        commit: Option<Box<Commit>>,
        error: &Arc<StoreError>,
        now: Timestamp,
    ) {
        let (run, epoch) = (pending.run, pending.epoch);
        let lost = || {
            let failed = Error::NotCreated { id: run, source: Arc::clone(error) };
            (NotSubmitted::Failed(failed), Error::RunLost { id: run, source: Arc::clone(error) })
        };
        let is_driven = self.ownership.epoch() == Some(epoch) && self.runs.contains_key(&run);
        let commit = match commit {
            Some(commit) if is_driven => commit,
            _ => return self.discard(pending, lost),
        };
        if commit.create.is_some() {
            // Nothing of it is stored, and the caller is told so.
            self.discard(pending, lost);
            return self.lose(run, Phase::Lost(Arc::clone(error)), now);
        }
        if self.ownership.is_shared() && matches!(**error, StoreError::Unavailable { .. } | StoreError::InDoubt { .. }) {
            // What became of the commit is not known, so nothing may be written before the epoch has ended.
            self.discard(pending, lost);
            return self.end_epoch(epoch, Phase::Lost(Arc::clone(error)), now);
        }
        if self.stalls.get(&run).is_some_and(|stall| stall.is_last) {
            self.discard(pending, lost);
            self.is_incomplete = true;
            return self.lose(run, Phase::Lost(Arc::clone(error)), now);
        }
        self.stall(run, (*commit, pending), error, now);
    }

    fn stall(&mut self, run: RunId, refused: (Commit, Pending), error: &Arc<StoreError>, now: Timestamp) {
        let is_stopping = self.stopping == Stopping::Abandoned;
        let stall = self.stalls.entry(run).or_insert_with(|| {
            tracing::error!(run.id = %run, error = &**error as &dyn std::error::Error, "the store refuses what happens to a \
                run; the run waits, and the engine tries again");
            let trouble = Trouble::new(Arc::clone(error), now);
            Stall { refused: Vec::new(), trouble, is_waiting: false, is_last: false }
        });
        stall.refused.push(refused);
        if !stall.is_waiting {
            stall.is_waiting = true;
            let due = stall.trouble.again(Arc::clone(error), now);
            let due = if is_stopping { now } else { due };
            tracing::debug!(run.id = %run, %error, %due, "the store refuses what happens to a run; trying again");
            self.timers.set(due, Timer::CommitsDue { run });
        }
        if stall.trouble.is_to_be_told(now) {
            let source = stall.trouble.error();
            for answer in stall.refused.iter_mut().filter_map(|(_, pending)| pending.answer.take()) {
                let lost = || Error::RunLost { id: run, source: Arc::clone(source) };
                answer.refuse(NotSubmitted::Failed(lost()), lost());
            }
            if let Some(active) = self.runs.get(&run) {
                active.phase.send_replace(Phase::Lost(Arc::clone(source)));
            }
        }
    }

    /// Hands over again what the store refused of a run.
    pub(super) fn commit_again(&mut self, run: RunId, now: Timestamp) {
        let Some(stall) = self.stalls.get_mut(&run).filter(|stall| stall.is_waiting) else { return };
        let Some(active) = self.runs.get_mut(&run) else { return self.drop_stall(run) };
        if active.n_pending > 0 {
            self.timers.set(after(now, ANSWERS_PAUSE), Timer::CommitsDue { run });
            return;
        }
        active.term += 1;
        stall.is_waiting = false;
        stall.is_last = self.stopping == Stopping::Abandoned;
        let term = active.term;
        for (commit, pending) in std::mem::take(&mut stall.refused) {
            self.queue(Commit { term, ..commit }, pending);
        }
    }

    /// The engine ends: what the store refuses is handed over once more.
    pub(super) fn try_a_last_time(&mut self, now: Timestamp) {
        for (run, stall) in &mut self.stalls {
            if stall.is_waiting {
                self.timers.set(now, Timer::CommitsDue { run: *run });
            }
        }
    }

    /// The store has taken a commit of the run.
    pub(super) fn unstall(&mut self, run: RunId) {
        // There are none, nearly always.
        if self.stalls.is_empty() || self.stalls.get(&run).is_none_or(|stall| stall.is_waiting) {
            return;
        }
        self.stalls.remove(&run);
        tracing::warn!(run.id = %run, "the store takes what happens to the run again, and the run goes on");
        if let Some(active) = self.runs.get(&run) {
            be_active(&active.phase);
        }
    }

    /// Forgets what was kept of a run that is not driven any more.
    pub(super) fn drop_stall(&mut self, run: RunId) {
        let Some(Stall { refused, trouble, .. }) = self.stalls.remove(&run) else { return };
        for (_, pending) in refused {
            let lost = || Error::RunLost { id: run, source: Arc::clone(trouble.error()) };
            self.discard(pending, || (NotSubmitted::Failed(lost()), lost()));
        }
    }

    /// What the run waits for because of the store.
    pub(super) fn stall_gate(&self, run: RunId) -> Option<Gate> {
        self.stalls.get(&run).map(|stall| stall.trouble.gate(false))
    }
}

/// Those who wait for a run wait on.
pub(super) fn be_active(phase: &tokio::sync::watch::Sender<Phase>) {
    phase.send_if_modified(|phase| {
        let was_lost = matches!(phase, Phase::Lost(_));
        if was_lost {
            *phase = Phase::Active;
        }
        was_lost
    });
}
