//! The driver: the one thread that owns every run in memory, and the one place where its parts meet.
//!
//! ```text
//!   event ─▶ driver ─▶ a part decides ─▶ what is to be done, as a closed list ─▶ driver ─▶ other parts
//!
//!   ownership  which runs are this engine's       live      runs in memory; it has parts of its own:
//!   dormant    runs that are not in memory          attempts  slots, and the calls that hold them
//!   upkeep     what need not be kept                commits   what the store has not answered
//!   timers     what is due when                     stalls    what the store refused
//! ```
//! - Each part owns its fields. It is given what it needs to know of the others, and never sees them.
//! - The driver takes what has queued up, decides, and hands all transitions to the store in one message; effects wait
//!   until the store answers. It never touches the disk itself and never runs user code. When nothing is queued and no
//!   timer is set it is blocked.

use std::{
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use cloacina_workflow::Timestamp;
use tokio::sync::oneshot;

#[cfg(debug_assertions)]
use super::watchdog::Watchdog;
use super::{
    active::{ActiveRun, Unloaded},
    catalog::{Catalog, Version, Workflow},
    commits::WriterGone,
    dormant::{Asked, Asking, DormantRuns, Read, Woken, WokenRun},
    event::{Event, HistoryRead, Inspected, Phase},
    jobs::{Jobs, Reading},
    live::{LiveRuns, News, Next},
    ownership::{Ownership, Step},
    runner::{AttemptEnv, TaskRunner},
    timer::{Timer, Timers},
    upkeep::{Job, Upkeep},
};
use crate::{
    Error,
    clock::until,
    core::effect::after,
    id::RunId,
    store::{Error as StoreError, Orphan, RunRow, TakenOver},
};

/// Events that are decided before their transitions are handed on. Enough to fill a group, few enough not to keep
/// the first of them waiting.
const BATCH_MAX: usize = 1024;

/// Runs whose histories are read in one go after a restart.
const LOAD_MAX: usize = 256;

/// The owner of all runs in memory.
pub(super) struct Driver {
    env: Arc<AttemptEnv>,
    jobs: Jobs,
    catalog: Arc<Catalog>,
    timers: Timers,
    ownership: Ownership,
    live: LiveRuns,
    dormant: DormantRuns,
    upkeep: Upkeep,
    stopping: Stopping,
    #[cfg(debug_assertions)]
    watchdog: Watchdog,
}

/// What a driver begins with.
pub(super) struct Parts {
    pub(super) env: Arc<AttemptEnv>,
    pub(super) jobs: Jobs,
    pub(super) catalog: Arc<Catalog>,
    pub(super) timers: Timers,
    pub(super) ownership: Ownership,
    pub(super) live: LiveRuns,
    pub(super) dormant: DormantRuns,
    pub(super) upkeep: Upkeep,
}

/// The turn of one event: what the runs in memory may use while it is handled.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now: Timestamp,
    /// The epoch under which is decided, if there is one.
    pub(super) epoch: Option<i64>,
    pub(super) stopping: Stopping,
    pub(super) timers: &'a mut Timers,
}

/// How far shutting down is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    No,
    /// Attempts may finish; nothing new starts.
    Draining,
    /// What still runs has been recorded as interrupted.
    Abandoned,
}

impl Turn<'_> {
    /// The same for something that happened at another moment.
    pub(super) fn at(&mut self, now: Timestamp) -> Turn<'_> {
        let &mut Self { epoch, stopping, ref mut timers, .. } = self;
        Turn { now, epoch, stopping, timers }
    }
}

impl Driver {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { env, jobs, catalog, timers, ownership, live, dormant, upkeep } = parts;
        Self {
            env,
            jobs,
            catalog,
            timers,
            ownership,
            live,
            dormant,
            upkeep,
            stopping: Stopping::No,
            #[cfg(debug_assertions)]
            watchdog: Watchdog::default(),
        }
    }

    /// Serves until the engine has stopped. Returns whether code of a task may still be running.
    pub(super) fn run(mut self, queue: &Receiver<Event>) -> bool {
        loop {
            let first = match queue.try_recv() {
                Ok(event) => Ok(event),
                Err(_) => self.sleep(queue),
            };
            let now = self.now();
            match first {
                Ok(event) => self.handle(event, now),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for _ in 1..BATCH_MAX {
                match queue.try_recv() {
                    Ok(event) => self.handle(event, now),
                    Err(_) => break,
                }
            }
            while let Some(timer) = self.timers.pop_due(now) {
                self.ring(timer, now);
            }
            if !self.is_stopping() {
                let (live, mut turn) = self.turn(now);
                live.grant_slots(&mut turn);
            }
            if let Err(WriterGone) = self.live.flush() {
                self.lose_everything(now);
            }
            self.note_news(now);
            if self.is_done() {
                break;
            }
        }
        self.close()
    }

    /// Waits for the next event, or until the earliest timer is due.
    fn sleep(&mut self, queue: &Receiver<Event>) -> Result<Event, RecvTimeoutError> {
        #[cfg(debug_assertions)]
        self.check_that_nothing_stands_still();
        match self.timers.earliest() {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => queue.recv_timeout(until(self.now(), at)),
        }
    }

    #[cfg(debug_assertions)]
    fn check_that_nothing_stands_still(&mut self) {
        if self.is_stopping() || self.ownership.epoch().is_none() {
            return;
        }
        let now = self.now();
        self.watchdog.check(self.live.watched(), &self.dormant, &self.timers, &self.catalog, now);
    }

    fn now(&self) -> Timestamp {
        self.env.clock.now()
    }

    /// The runs in memory, and the turn in which they are handled.
    fn turn(&mut self, now: Timestamp) -> (&mut LiveRuns, Turn<'_>) {
        let (epoch, stopping) = (self.ownership.epoch(), self.stopping);
        (&mut self.live, Turn { now, epoch, stopping, timers: &mut self.timers })
    }

    fn handle(&mut self, event: Event, now: Timestamp) {
        if self.ownership.must_wait(&event, |run| self.has(run)) {
            return self.ownership.defer(event);
        }
        match event {
            Event::Submit(submissions) => {
                let (live, turn) = self.turn(now);
                for (submission, answer) in submissions {
                    live.submit(submission, answer, &turn);
                }
            }
            Event::Ended(ended) => {
                let (live, mut turn) = self.turn(now);
                live.end(*ended, &mut turn);
            }
            Event::Control { run, action, by, answer } if self.ownership.is_idle() && !self.has(run) => {
                self.claim(run, (action, by, answer));
            }
            Event::Control { run, action, by, answer } => self.control(run, (action, by, answer), now),
            Event::Claimed { run, claimed, asked } => self.claimed(run, claimed, *asked, now),
            Event::Committed(outcomes) => {
                for outcome in outcomes {
                    let (live, mut turn) = self.turn(now);
                    let next = live.committed(outcome, &mut turn);
                    self.go_on(next, now);
                }
            }
            Event::WorkflowAdded(workflow) => {
                self.load(&workflow);
                let step = self.ownership.workflow_added();
                self.follow(step, now);
            }
            Event::Quarantine { workflows, quarantine } => {
                let (live, mut turn) = self.turn(now);
                live.quarantine(&workflows, quarantine.as_ref(), &mut turn);
            }
            Event::Seek { answer } => {
                let step = self.ownership.seek(answer);
                self.follow(step, now);
            }
            Event::Orphaned { epochs } => {
                let step = self.ownership.orphaned(&epochs);
                self.follow(step, now);
            }
            Event::TakenOver { epoch, taken } => {
                let steps = self.ownership.taken_over(epoch, taken, now, &mut self.timers);
                self.follow(steps, now);
            }
            Event::EpochEnded { epoch } => self.end_epoch(epoch, Phase::Fenced, now),
            Event::EpochBegun { before, begun } => {
                let steps = self.ownership.epoch_begun(before, begun, now, &mut self.timers);
                self.follow(steps, now);
            }
            // Of runs that were taken over from this engine, and perhaps are its own again.
            Event::Loaded { epoch, .. } if epoch != self.ownership.epoch() => {}
            Event::Loaded { version, runner, runs, .. } => self.loaded(&version, runner.as_ref(), runs, now),
            Event::Watch { run, answer } => {
                let phase = self.live.get(run).map(ActiveRun::subscribe).or_else(|| self.dormant.subscribe(run));
                // The caller may have stopped waiting.
                answer.send(phase).ok();
            }
            Event::Inspect { run, answer } => self.inspect(run, answer),
            Event::Stop { grace } => self.stop(grace, now),
            Event::FinishedCounted(counted) => {
                let job = self.upkeep.counted(counted, now, &mut self.timers);
                self.keep_up(job, now);
            }
            Event::Pruned(step) => {
                let job = self.upkeep.pruned(step, self.live.is_quiet(), now, &mut self.timers);
                self.keep_up(job, now);
            }
            Event::WriterGone => self.lose_everything(now),
        }
    }

    /// Does what a timer was set for.
    fn ring(&mut self, timer: Timer, now: Timestamp) {
        match timer {
            Timer::ShutdownDeadline => self.abandon(now),
            Timer::EpochDue { before } => {
                let step = self.ownership.begin_epoch(before);
                self.follow(step, now);
            }
            Timer::TakeoverDue => {
                let step = self.ownership.take_over_again();
                self.follow(step, now);
            }
            Timer::Upkeep => {
                let job = self.upkeep.ring();
                self.keep_up(job, now);
            }
            Timer::HistoriesDue => self.read_again(now),
            Timer::Run(timer) => {
                let (live, mut turn) = self.turn(now);
                live.ring(timer, &mut turn);
            }
        }
    }

    /// Whether the run is this engine's, as far as it knows.
    fn has(&self, run: RunId) -> bool {
        self.live.contains(run) || self.dormant.contains(run)
    }

    fn is_stopping(&self) -> bool {
        self.stopping != Stopping::No
    }
}

/// What is asked of single runs.
impl Driver {
    /// Does what somebody asks of a run, and answers when it is durable. A request for a run whose history is being read
    /// waits for that.
    fn control(&mut self, run: RunId, asked: Asked, now: Timestamp) {
        if self.is_stopping() {
            // The caller may have stopped waiting, here and below.
            asked.2.send(Err(Error::ShutDown)).ok();
            return;
        }
        match self.dormant.ask(run, asked) {
            Asking::NotHere(asked) => {
                let (live, mut turn) = self.turn(now);
                live.control(run, asked, &mut turn);
            }
            Asking::Done => {}
            Asking::Read(row, version) => self.read(vec![row], &version, None),
        }
    }

    /// Takes over one run, as something is asked of it, unless its engine lives.
    fn claim(&mut self, run: RunId, asked: Asked) {
        let Some(epoch) = self.ownership.epoch().filter(|_| !self.is_stopping()) else {
            // The caller may have stopped waiting.
            asked.2.send(Err(Error::ShutDown)).ok();
            return;
        };
        match self.jobs.claim(epoch, run, asked) {
            Ok(()) => self.ownership.claim_begun(),
            Err(error) => tracing::error!(%error, "a run cannot be taken over"),
        }
    }

    /// A run of which something is asked is this engine's now, if it is to be had.
    fn claimed(&mut self, run: RunId, claimed: Result<TakenOver, StoreError>, asked: Asked, now: Timestamp) {
        self.ownership.claim_ended();
        match claimed {
            Ok(taken) => {
                self.adopt(taken);
                self.control(run, asked, now);
            }
            // The caller may have stopped waiting.
            Err(error) => drop(asked.2.send(Err(error.into()))),
        }
    }

    /// Says how a run stands.
    fn inspect(&mut self, run: RunId, inspector: oneshot::Sender<Inspected>) {
        let Some(inspector) = self.dormant.inspect(run, inspector) else { return };
        // The caller may have stopped waiting.
        inspector.send(self.live.inspect(run)).ok();
    }
}

/// Runs that come into memory, and that leave it.
impl Driver {
    /// Reads the histories of the runs that waited for that workflow.
    fn load(&mut self, workflow: &Workflow) {
        if !self.is_stopping() {
            let rows = self.dormant.begin_loading(workflow);
            self.read(rows, &workflow.version, Some(&workflow.runner));
        }
    }

    /// Reads histories in the background; [`Self::loaded`] goes on with them.
    fn read(&self, rows: Vec<RunRow>, version: &Arc<Version>, runner: Option<&Arc<dyn TaskRunner>>) {
        let epoch = self.ownership.epoch();
        for rows in rows.chunks(LOAD_MAX) {
            let (version, runner, rows) = (Arc::clone(version), runner.cloned(), rows.to_vec());
            self.jobs.read_histories(Reading { epoch, version, runner, rows });
        }
    }

    /// Reads again what could not be read, as far as its time has come.
    fn read_again(&mut self, now: Timestamp) {
        if self.is_stopping() {
            return;
        }
        let live = &self.live;
        let is_busy = |run| live.is_busy(run);
        let again = self.dormant.begin_again(&self.catalog, is_busy, now, &mut self.timers);
        for (workflow, rows) in again {
            self.read(rows, &workflow.version, Some(&workflow.runner));
        }
    }

    /// Goes on with runs from where their histories end.
    fn loaded(
        &mut self,
        version: &Arc<Version>,
        runner: Option<&Arc<dyn TaskRunner>>,
        runs: Vec<HistoryRead>,
        now: Timestamp,
    ) {
        if self.is_stopping() {
            return;
        }
        for (row, events) in runs {
            let run = row.id;
            let read = Read { version, row, events };
            let woken = self.dormant.loaded(read, self.live.quarantines(), now, &mut self.timers);
            let Some(Woken { run: to_go_on, asked, inspectors }) = woken else { continue };
            if let Some(WokenRun { record, next_sequence, phase, decision }) = to_go_on {
                let active = ActiveRun::new(record, runner.cloned(), next_sequence, phase);
                let (live, mut turn) = self.turn(now);
                live.go_on(run, active, decision, &mut turn);
            }
            for asked in asked {
                self.control(run, asked, now);
            }
            if let Some(unloaded) = self.live.put_back(run) {
                self.put_back(unloaded);
            }
            for inspector in inspectors {
                self.inspect(run, inspector);
            }
        }
    }

    /// Puts a run back that was in memory without its code.
    fn put_back(&mut self, unloaded: Unloaded) {
        let version = Arc::clone(&unloaded.version);
        self.dormant.put_back(unloaded);
        if let Some(workflow) = self.catalog.code_for(&version) {
            self.load(&workflow);
        }
    }

    /// Does what follows from the answer of a commit, besides its effects.
    fn go_on(&mut self, next: Next, now: Timestamp) {
        match next {
            Next::Nothing => {}
            Next::PutBack(unloaded) => self.put_back(unloaded),
            Next::ReadAnew(unloaded) => self.dormant.read_anew(unloaded, now, &mut self.timers),
            Next::EndEpoch { epoch, phase } => self.end_epoch(epoch, phase, now),
        }
    }

    /// Does what the part about ownership has decided.
    fn follow(&mut self, steps: impl IntoIterator<Item = Step>, now: Timestamp) {
        for step in steps {
            match step {
                Step::TakeOver { epoch, with_own } => self.jobs.take_over(epoch, with_own),
                Step::Adopt(taken) => self.adopt(taken),
                Step::ReleaseRuns { epoch, phase } => self.release_runs(epoch, &phase),
                Step::BeginEpoch { before } => self.jobs.begin_epoch(before),
                Step::KeepLease { epoch } => self.jobs.keep_lease(Some(epoch)),
                Step::Redo(event) => self.handle(event, now),
            }
        }
    }

    /// Drives nothing any longer that was decided under that epoch.
    fn end_epoch(&mut self, epoch: i64, phase: Phase, now: Timestamp) {
        let steps = self.ownership.epoch_ended(epoch, phase);
        self.follow(steps, now);
    }

    /// Runs are this engine's from now on: reads their histories, as far as it has the code.
    fn adopt(&mut self, taken: TakenOver) {
        let TakenOver { runs, workflows, .. } = taken;
        let new: Vec<Orphan> = runs.into_iter().filter(|orphan| !self.has(orphan.row.id)).collect();
        if !new.is_empty() {
            let n_runs = new.len();
            if self.ownership.is_idle() {
                tracing::debug!(n_runs, "took over a run to perform a request");
            } else {
                tracing::warn!(n_runs, "took over runs of engines that have ended");
            }
        }
        new.into_iter().for_each(|orphan| self.dormant.add(orphan));
        for row in workflows {
            self.dormant.learn(&row);
            if let Some(workflow) = self.catalog.code_for_row(&row) {
                self.load(&workflow);
            }
        }
    }

    /// Drives no run any longer, as they are not this engine's. What their attempts still send is discarded.
    fn release_runs(&mut self, epoch: i64, phase: &Phase) {
        let (n_runs, n_attempts) = (self.live.len() + self.dormant.len(), self.live.n_calls());
        match phase {
            Phase::Lost(error) => tracing::error!(
                epoch,
                %error,
                "the engine stops its runs, and continues them when the database is available again"
            ),
            Phase::Fenced | Phase::Active | Phase::Ended(_) => tracing::error!(
                epoch,
                n_runs,
                n_attempts,
                "this engine did not renew its lease in time, and another engine has taken over its runs; this engine stops \
                 them and continues with new runs. Unless the machine was suspended on purpose, check whether the machine, \
                 the network or the database is overloaded, or give the engine a longer lease"
            ),
        }
        self.jobs.keep_lease(None);
        self.live.release_all(phase);
        self.dormant.release_all(phase);
        self.timers.unset_runs();
    }

    /// Takes note of what the runs in memory left that need not be kept for ever.
    fn note_news(&mut self, now: Timestamp) {
        let News { n_ended, written_at } = self.live.take_news();
        if let Some(at) = written_at {
            self.upkeep.note_written(at, &mut self.timers);
        }
        if n_ended > 0 {
            self.upkeep.note_ended(n_ended, now, &mut self.timers);
        }
    }

    /// Has the store do what the part about upkeep wants.
    fn keep_up(&self, job: Option<Job>, now: Timestamp) {
        match job.filter(|_| !self.is_stopping()) {
            Some(Job::Count) => self.jobs.count_finished(),
            Some(Job::Prune(policy, progress)) => self.jobs.prune(policy, progress, now),
            None => {}
        }
    }
}

/// The end.
impl Driver {
    fn stop(&mut self, grace: Duration, now: Timestamp) {
        if self.stopping == Stopping::Abandoned {
            return;
        }
        self.stopping = Stopping::Draining;
        let steps = self.ownership.stop();
        self.follow(steps, now);
        if grace.is_zero() {
            self.abandon(now);
        } else {
            self.timers.set(after(now, grace), Timer::ShutdownDeadline);
        }
    }

    /// Records what still runs as interrupted; whatever it does from now on counts no more.
    fn abandon(&mut self, now: Timestamp) {
        if self.stopping == Stopping::Abandoned {
            return;
        }
        self.stopping = Stopping::Abandoned;
        self.env.is_stopping.store(true, Ordering::Relaxed);
        let (live, mut turn) = self.turn(now);
        live.abandon(&mut turn);
    }

    /// The store is gone: nothing that happens now can be recorded.
    fn lose_everything(&mut self, now: Timestamp) {
        if !self.live.lose_everything() {
            return;
        }
        tracing::error!("the store's writer is gone, the engine stops");
        self.stopping = Stopping::Abandoned;
        self.env.is_stopping.store(true, Ordering::Relaxed);
        let steps = self.ownership.stop();
        self.follow(steps, now);
    }

    fn is_done(&self) -> bool {
        let nothing_runs = match self.stopping {
            Stopping::No => false,
            Stopping::Draining => !self.live.holds_slots(),
            Stopping::Abandoned => true,
        };
        nothing_runs && self.live.is_stored() && !self.ownership.is_taking_over()
    }

    /// Notes whether everything is recorded. The store can be closed after that.
    fn close(self) -> bool {
        // Runs that were never gone on with are as unsure as they were.
        let in_order = !self.live.has_gap() && self.dormant.is_in_order();
        if let Some(epoch) = self.ownership.epoch() {
            self.jobs.end_epoch(epoch, in_order);
        }
        self.live.may_run()
    }
}

/// Sends the store's outcomes to the driver, and tells it if the writer goes away.
pub(super) struct Answering {
    pub(super) events: Sender<Event>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Without a driver the writer has ended in order.
        self.events.send(Event::WriterGone).ok();
    }
}
