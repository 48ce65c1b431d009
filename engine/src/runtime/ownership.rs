//! The driver's part about whose runs are whose: taking over from engines that are there no more, and being taken over.
//!
//! ```text
//!   writer, once in a period ──Orphaned──▶ take over ──TakenOver──▶ load histories ──▶ go on
//!   writer, a fenced commit ──EpochEnded──▶ let go of every run ──▶ begin an epoch ──EpochBegun──▶ take over
//! ```
//! - An engine takes over what it has the code for. The rest waits for another, at the gate *package missing*.
//! - One taking over is under way at most; a caller that asks meanwhile is answered by the next one. One that fails is tried
//!   again, and then also finds what the one before may have taken all the same.
//! - An engine whose epoch has ended stops every attempt, and whatever they still send is discarded. It lives on under a
//!   new epoch, for new runs and for those that nobody has taken. Submissions wait meanwhile.

use std::{
    collections::{HashSet, hash_map::Entry},
    mem,
    sync::Arc,
};

use cloacina_workflow::Timestamp;
use tokio::sync::oneshot;

use super::{
    catalog::{Catalog, stored_version},
    dormant::{Asked, Dormant},
    driver::{Driver, Stopping},
    event::{Event, Inspected, Phase},
    stall::pause,
    timer::Timer,
};
use crate::{
    Error,
    core::effect::after,
    id::RunId,
    store::{self, Error as StoreError, Orphan, TakenOver},
};

/// How far taking over is.
#[derive(Default)]
pub(super) struct Takeover {
    /// Whether the engine knows its workflows by now, so that it can tell which runs are for it.
    is_ready: bool,
    is_underway: bool,
    /// How many single runs are being taken over.
    n_claims: usize,
    is_wanted_again: bool,
    /// Epochs that have ended and of which nothing is left for this engine, as far as its workflows go.
    exhausted: HashSet<i64>,
    /// Told when the one that is under way has ended.
    asked: Vec<oneshot::Sender<()>>,
    /// Told when the one after it has.
    asked_since: Vec<oneshot::Sender<()>>,
    /// What waits for an epoch, or for runs that are being taken over.
    deferred: Vec<Event>,
    /// How often it failed since it last did not.
    n_failures: u32,
}

impl Takeover {
    pub(super) fn is_underway(&self) -> bool {
        self.is_underway || self.n_claims > 0
    }
}

impl Driver {
    /// Epochs of others are over.
    pub(super) fn orphaned(&mut self, epochs: &[i64]) {
        // One that has failed has a timer of its own.
        if self.takeover.n_failures == 0 && !epochs.iter().all(|epoch| self.takeover.exhausted.contains(epoch)) {
            self.take_over(None);
        }
    }

    /// There is more that this engine can run.
    pub(super) fn workflow_added(&mut self) {
        self.takeover.exhausted.clear();
        self.take_over(None);
    }

    /// The engine knows its workflows. Answers when what it can run has been taken over.
    pub(super) fn seek(&mut self, answer: oneshot::Sender<()>) {
        self.takeover.is_ready = true;
        self.take_over(Some(answer));
    }

    fn take_over(&mut self, answer: Option<oneshot::Sender<()>>) {
        // Without an answer the caller need not wait, here and below.
        if !self.is_shared || self.is_idle || !self.takeover.is_ready || self.stopping != Stopping::No {
            return;
        }
        if self.takeover.is_underway || self.epoch.is_none() {
            self.takeover.is_wanted_again = true;
            self.takeover.asked_since.extend(answer);
            return;
        }
        let Some(epoch) = self.epoch else { return };
        self.takeover.asked.extend(answer);
        self.takeover.asked.append(&mut self.takeover.asked_since);
        self.takeover.is_wanted_again = false;
        let (catalog, events) = (Arc::clone(&self.catalog), self.surroundings.events.clone());
        // One that failed may have been committed all the same: then the runs are this engine's, and nobody knows.
        let with_own = self.takeover.n_failures > 0;
        let take = move |connection: &mut store::Connection| -> store::JobResult<TakenOver> {
            let mut taken = store::run_take_over(connection, epoch, &mut |row| catalog.find(row).is_some())?;
            if with_own {
                taken.add(store::run_list_own(connection, epoch)?);
            }
            Ok(taken)
        };
        let queued = self.store.write_detached("taking over runs", take, move |taken| {
            // Without a driver nobody goes on with them; they are there for the next engine.
            events.send(Event::TakenOver { epoch, taken }).ok();
        });
        match queued {
            Ok(()) => self.takeover.is_underway = true,
            Err(error) => tracing::error!(%error, "runs cannot be taken over"),
        }
    }

    /// Tries again to take over runs, after that failed.
    pub(super) fn take_over_again(&mut self) {
        if self.takeover.n_failures > 0 {
            self.take_over(None);
        }
    }

    /// Runs are this engine's now.
    pub(super) fn taken_over(&mut self, epoch: i64, taken: Result<TakenOver, StoreError>, now: Timestamp) {
        self.takeover.is_underway = false;
        match taken {
            // They are to be taken over again, from the epoch that was this engine's.
            Ok(_) if self.epoch != Some(epoch) => self.takeover.is_wanted_again = true,
            Ok(taken) => {
                self.takeover.n_failures = 0;
                self.takeover.exhausted = taken.ended.iter().copied().collect();
                self.adopt(taken, now);
            }
            Err(error) => {
                let pause = pause(self.takeover.n_failures);
                self.takeover.n_failures += 1;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    ?pause,
                    "no runs were taken over; trying again"
                );
                self.timers.set(after(now, pause), Timer::TakeoverDue);
            }
        }
        for answer in mem::take(&mut self.takeover.asked) {
            answer.send(()).ok();
        }
        if self.takeover.is_wanted_again {
            self.take_over(None);
        }
        if !self.is_finding_runs() {
            for event in mem::take(&mut self.takeover.deferred) {
                self.handle(event, now);
            }
        }
    }

    /// Takes over one run, as something is asked of it, unless its engine lives.
    pub(super) fn claim(&mut self, run: RunId, asked: Asked) {
        let Some(epoch) = self.epoch.filter(|_| self.stopping == Stopping::No) else {
            // The caller may have stopped waiting, here and below.
            asked.2.send(Err(Error::ShutDown)).ok();
            return;
        };
        let events = self.surroundings.events.clone();
        let claim = move |connection: &mut store::Connection| store::run_claim(connection, epoch, run);
        let queued = self.store.write_detached("taking over a run", claim, move |claimed| {
            // Without a driver nobody does anything.
            let asked = Box::new(asked);
            events.send(Event::Claimed { run, claimed, asked }).ok();
        });
        match queued {
            Ok(()) => self.takeover.n_claims += 1,
            // The request is gone with the job, which tells the caller.
            Err(error) => tracing::error!(%error, "a run cannot be taken over"),
        }
    }

    /// A run that was asked about is this engine's now, if it is to be had.
    pub(super) fn claimed(
        &mut self,
        run: RunId,
        claimed: Result<TakenOver, StoreError>,
        (action, by, answer): Asked,
        now: Timestamp,
    ) {
        self.takeover.n_claims = self.takeover.n_claims.saturating_sub(1);
        match claimed {
            Ok(taken) => {
                self.adopt(taken, now);
                self.control(run, action, by, answer, now);
            }
            Err(error) => drop(answer.send(Err(error.into()))),
        }
    }

    /// Runs are this engine's from now on: reads their histories, as far as it has the code.
    fn adopt(&mut self, taken: TakenOver, now: Timestamp) {
        let TakenOver { runs, workflows, .. } = taken;
        let is_known = |run| self.runs.contains_key(&run) || self.dormant.contains_key(&run);
        let new: Vec<Orphan> = runs.into_iter().filter(|orphan| !is_known(orphan.row.id)).collect();
        if !new.is_empty() {
            let n_runs = new.len();
            if self.is_idle {
                tracing::debug!(n_runs, "took over a run to do what is asked of it");
            } else {
                tracing::warn!(n_runs, "took over runs of engines that are there no more");
            }
        }
        for Orphan { row, closed_in_order } in new {
            self.dormant.insert(row.id, Dormant::new(row, closed_in_order));
        }
        for row in workflows {
            if let (Entry::Vacant(entry), Ok(version)) = (self.versions.entry(row.id), stored_version(&row)) {
                entry.insert(Arc::new(version));
            }
            if let Some(workflow) = self.catalog.find(&row) {
                self.load(&workflow, now);
            }
        }
    }

    /// Whether it is not known yet which runs are this engine's: what is asked of a run then waits for that.
    pub(super) fn is_finding_runs(&self) -> bool {
        let is_taking = self.takeover.is_underway || self.takeover.is_wanted_again;
        self.stopping == Stopping::No && (self.epoch.is_none() || is_taking)
    }

    /// Another engine has ended that epoch: nothing that was decided under it counts any more.
    pub(super) fn epoch_ended(&mut self, epoch: i64, now: Timestamp) {
        if self.epoch != Some(epoch) {
            return;
        }
        let (n_runs, n_attempts) = (self.runs.len() + self.dormant.len(), self.underway.len());
        tracing::error!(
            epoch,
            n_runs,
            n_attempts,
            "this engine was not heard of for longer than its lease, and another one has taken over its runs; it stops \
             them and goes on with new ones. If the machine was not stopped on purpose, see whether it, the network or \
             the database is overloaded, or give the engine a longer lease"
        );
        self.let_go(Phase::Fenced);
        self.begin_epoch(now, epoch);
    }

    /// The store could not be written for so long that what is in memory is ahead of it.
    pub(super) fn renounce(&mut self, epoch: i64, error: &Arc<StoreError>, now: Timestamp) {
        if self.epoch != Some(epoch) {
            return;
        }
        tracing::error!(epoch, %error, "the engine lets go of its runs, and goes on with them when the database is back");
        self.let_go(Phase::Lost(Arc::clone(error)));
        self.begin_epoch(now, epoch);
    }

    fn let_go(&mut self, phase: Phase) {
        self.epoch = None;
        self.store.keep_lease(0);
        let stalled: Vec<RunId> = self.stalls.keys().copied().collect();
        stalled.into_iter().for_each(|run| self.drop_stall(run));
        for (_, active) in self.runs.drain() {
            active.phase.send_replace(phase.clone());
        }
        for (id, dormant) in self.dormant.drain() {
            dormant.phase.send_replace(phase.clone());
            for (.., answer) in dormant.asked {
                answer.send(Err(Error::Fenced { id })).ok();
            }
            for answer in dormant.inspectors {
                answer.send(Inspected::Elsewhere).ok();
            }
        }
        self.timers.unset_runs();
        // Their slots are free; whatever they send is discarded, as for one that was given up.
        for (_, underway) in self.underway.drain() {
            underway.stop.ask();
            self.admission.release();
            self.n_abandoned += 1;
        }
    }

    /// Begins an epoch in the place of one that has ended, or tries again to.
    pub(super) fn begin_epoch(&mut self, now: Timestamp, before: i64) {
        if self.stopping != Stopping::No || self.epoch.is_some() {
            return;
        }
        let (lease, events) = (self.lease, self.surroundings.events.clone());
        let begin =
            move |connection: &mut store::Connection| store::epoch_begin_in_txn(connection, lease, Some(before));
        let queued = self.store.write_detached("beginning an epoch", begin, move |begun| {
            // Without a driver there is nothing that an epoch is needed for.
            events.send(Event::EpochBegun { before, begun }).ok();
        });
        if let Err(error) = queued {
            self.no_epoch(before, &Arc::new(error), now);
        }
    }

    /// No epoch could be begun: that is tried again. Tells the callers that asked something of a run meanwhile.
    fn no_epoch(&mut self, before: i64, error: &Arc<StoreError>, now: Timestamp) {
        let pause = pause(self.takeover.n_failures);
        self.takeover.n_failures += 1;
        tracing::warn!(error = &**error as &dyn std::error::Error, ?pause, "no epoch could be begun; trying again");
        self.timers.set(after(now, pause), Timer::EpochDue { before });
        for event in mem::take(&mut self.takeover.deferred) {
            match event {
                Event::Control { run, answer, .. } => {
                    // The caller may have stopped waiting.
                    answer.send(Err(Error::RunLost { id: run, source: Arc::clone(error) })).ok();
                }
                other => self.takeover.deferred.push(other),
            }
        }
    }

    /// The engine may own runs again.
    pub(super) fn epoch_begun(&mut self, before: i64, begun: Result<i64, StoreError>, now: Timestamp) {
        match begun {
            Ok(epoch) => {
                tracing::warn!(before, epoch, "the engine goes on under a new epoch");
                self.epoch = Some(epoch);
                self.store.keep_lease(epoch);
                self.takeover.n_failures = 0;
                let (submissions, others): (Vec<Event>, Vec<Event>) = mem::take(&mut self.takeover.deferred)
                    .into_iter()
                    .partition(|event| matches!(event, Event::Submit(_)));
                self.takeover.deferred = others;
                for submission in submissions {
                    self.handle(submission, now);
                }
                self.take_over(None);
            }
            Err(error) => self.no_epoch(before, &Arc::new(error), now),
        }
    }

    /// The engine ends: what waits for an epoch or for runs is answered now.
    pub(super) fn refuse_deferred(&mut self, now: Timestamp) {
        for event in mem::take(&mut self.takeover.deferred) {
            self.handle(event, now);
        }
    }

    /// Keeps what cannot be done before there is an epoch, or before it is known which runs are this engine's.
    pub(super) fn defer(&mut self, event: Event) {
        self.takeover.deferred.push(event);
    }
}

impl Catalog {
    /// What can go on with runs that are pinned to that workflow.
    fn find(&self, row: &store::WorkflowRow) -> Option<super::catalog::Workflow> {
        self.version(row.id).or_else(|| self.continuing(&stored_version(row).ok()?))
    }
}
