//! Which runs are this engine's: its epoch, taking over from engines that are gone, and being taken over.
//!
//! ```text
//!   writer, once in a period ──Orphaned──▶ take over ──TakenOver──▶ load histories ──▶ go on
//!   writer, a fenced commit ──EpochEnded──▶ release every run ──▶ begin an epoch ──EpochBegun──▶ take over
//! ```
//! - An engine takes over what it has the code for. The rest waits for another, at the gate *package missing*.
//! - One taking over is under way at most; a caller that asks meanwhile is answered by the next one. One that fails is tried
//!   again, and then also finds what the one before may have taken all the same.
//! - An engine whose epoch has ended stops every attempt, and whatever they still send is discarded. It lives on under a
//!   new epoch, for new runs and for those that nobody has taken. Submissions wait meanwhile.
//!
//! This part only remembers and decides. It sees neither the store nor a run: what is to be done comes back as [`Step`]s,
//! which the driver takes in their order.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use cloacina_workflow::Timestamp;
use tokio::sync::oneshot;

use super::{
    event::{Event, Phase},
    stall::pause,
    timer::{Timer, Timers},
};
use crate::{
    Error,
    core::effect::after,
    id::RunId,
    store::{Error as StoreError, TakenOver},
};

/// The epoch of an engine, and how far taking over is.
pub(super) struct Ownership {
    /// None while the last one has ended and the next one has not begun.
    epoch: Option<i64>,
    /// Whether other engines may live on the same database.
    is_shared: bool,
    /// Whether the engine starts nothing, and takes over single runs only, when something is asked of them.
    is_idle: bool,
    /// Whether the engine ends, and wants no more runs.
    is_stopping: bool,
    /// Whether the engine knows its workflows by now, so that it can tell which runs are for it.
    is_ready: bool,
    is_underway: bool,
    /// How many single runs are being taken over.
    n_claims: usize,
    is_wanted_again: bool,
    /// Epochs that have ended and of which nothing is left for this engine, as far as its workflows go.
    exhausted: HashSet<i64>,
    /// Told when the taking over that is under way has ended.
    asked: Vec<oneshot::Sender<()>>,
    /// Told when the one after it has.
    asked_since: Vec<oneshot::Sender<()>>,
    /// What waits for an epoch, or for runs that are being taken over.
    deferred: Vec<Event>,
    /// How often taking over, or beginning an epoch, failed since it last did not.
    n_failures: u32,
}

/// What is to be done next.
pub(super) enum Step {
    /// Ask the store for the runs of engines that are gone; `with_own` also for those that this epoch has already.
    TakeOver { epoch: i64, with_own: bool },
    /// Go on with these runs, which are this engine's now.
    Adopt(TakenOver),
    /// Drive no run any longer. Those that the engine has were its own under that epoch.
    ReleaseRuns { epoch: i64, phase: Phase },
    /// Ask the store for an epoch in the place of that one.
    BeginEpoch { before: i64 },
    /// Keep the lease of the epoch that has begun.
    KeepLease { epoch: i64 },
    /// Handle an event that had to wait.
    Redo(Event),
}

impl Ownership {
    pub(super) fn new(epoch: i64, is_shared: bool, is_idle: bool) -> Self {
        Self {
            epoch: Some(epoch),
            is_shared,
            is_idle,
            is_stopping: false,
            is_ready: false,
            is_underway: false,
            n_claims: 0,
            is_wanted_again: false,
            exhausted: HashSet::new(),
            asked: Vec::new(),
            asked_since: Vec::new(),
            deferred: Vec::new(),
            n_failures: 0,
        }
    }

    /// The epoch under which runs are driven now, if there is one.
    pub(super) fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Whether an answer of the store is awaited that may make runs this engine's.
    pub(super) fn is_taking_over(&self) -> bool {
        self.is_underway || self.n_claims > 0
    }

    /// Whether the event cannot be handled before there is an epoch, or before it is known which runs are this engine's.
    /// `has` says whether a run is known to be.
    pub(super) fn must_wait(&self, event: &Event, has: impl Fn(RunId) -> bool) -> bool {
        match event {
            Event::Submit(_) => self.epoch.is_none() && !self.is_stopping,
            Event::Control { run, .. } | Event::Watch { run, .. } => self.is_finding_runs() && !has(*run),
            _ => false,
        }
    }

    /// Keeps an event that [must wait](Self::must_wait).
    pub(super) fn defer(&mut self, event: Event) {
        self.deferred.push(event);
    }

    /// Epochs of other engines are over.
    pub(super) fn orphaned(&mut self, epochs: &[i64]) -> Option<Step> {
        // A taking over that has failed has a timer of its own.
        let is_news = self.n_failures == 0 && !epochs.iter().all(|epoch| self.exhausted.contains(epoch));
        if is_news { self.take_over(None) } else { None }
    }

    /// There is more that this engine can run.
    pub(super) fn workflow_added(&mut self) -> Option<Step> {
        self.exhausted.clear();
        self.take_over(None)
    }

    /// The engine knows its workflows. Answers when what it can run has been taken over.
    pub(super) fn seek(&mut self, answer: oneshot::Sender<()>) -> Option<Step> {
        self.is_ready = true;
        self.take_over(Some(answer))
    }

    /// Tries again to take over runs, after that failed.
    pub(super) fn take_over_again(&mut self) -> Option<Step> {
        if self.n_failures > 0 { self.take_over(None) } else { None }
    }

    fn take_over(&mut self, answer: Option<oneshot::Sender<()>>) -> Option<Step> {
        // Without an answer the caller need not wait.
        if !self.is_shared || self.is_idle || !self.is_ready || self.is_stopping {
            return None;
        }
        let Some(epoch) = self.epoch.filter(|_| !self.is_underway) else {
            self.is_wanted_again = true;
            self.asked_since.extend(answer);
            return None;
        };
        self.asked.extend(answer);
        self.asked.append(&mut self.asked_since);
        self.is_wanted_again = false;
        self.is_underway = true;
        // One that failed may have been committed all the same: then the runs are this engine's, and nobody knows.
        Some(Step::TakeOver { epoch, with_own: self.n_failures > 0 })
    }

    /// The store has answered a [`Step::TakeOver`].
    pub(super) fn taken_over(
        &mut self,
        epoch: i64,
        taken: Result<TakenOver, StoreError>,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Vec<Step> {
        self.is_underway = false;
        let mut steps = Vec::new();
        match taken {
            // They are to be taken over again, from the epoch that was this engine's.
            Ok(_) if self.epoch != Some(epoch) => self.is_wanted_again = true,
            Ok(taken) => {
                self.n_failures = 0;
                self.exhausted = taken.ended.iter().copied().collect();
                steps.push(Step::Adopt(taken));
            }
            Err(error) => {
                let pause = self.fail();
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, ?pause, "no runs were taken over; trying again");
                timers.set(after(now, pause), Timer::TakeoverDue);
            }
        }
        for answer in mem::take(&mut self.asked) {
            // The caller may have stopped waiting.
            answer.send(()).ok();
        }
        if self.is_wanted_again {
            steps.extend(self.take_over(None));
        }
        if !self.is_finding_runs() {
            steps.extend(mem::take(&mut self.deferred).into_iter().map(Step::Redo));
        }
        steps
    }

    /// A single run is being taken over.
    pub(super) fn claim_begun(&mut self) {
        self.n_claims += 1;
    }

    /// The store has said whether the single run is this engine's.
    pub(super) fn claim_ended(&mut self) {
        self.n_claims = self.n_claims.saturating_sub(1);
    }

    /// Whether it is not known yet which runs are this engine's: what is asked of a run then waits for that.
    fn is_finding_runs(&self) -> bool {
        let is_taking = self.is_underway || self.is_wanted_again;
        !self.is_stopping && (self.epoch.is_none() || is_taking)
    }

    /// Another engine has ended that epoch, or the store could not be written for so long that what is in memory is ahead
    /// of it: nothing that was decided under the epoch counts any more. `phase` is for those who wait for its runs.
    pub(super) fn epoch_ended(&mut self, epoch: i64, phase: Phase) -> Vec<Step> {
        if self.epoch != Some(epoch) {
            return Vec::new();
        }
        self.epoch = None;
        let mut steps = vec![Step::ReleaseRuns { epoch, phase }];
        steps.extend(self.begin_epoch(epoch));
        steps
    }

    /// Begins an epoch in the place of one that has ended, or tries again to.
    pub(super) fn begin_epoch(&self, before: i64) -> Option<Step> {
        (!self.is_stopping && self.epoch.is_none()).then_some(Step::BeginEpoch { before })
    }

    /// The store has answered a [`Step::BeginEpoch`].
    pub(super) fn epoch_begun(
        &mut self,
        before: i64,
        begun: Result<i64, StoreError>,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Vec<Step> {
        match begun {
            Ok(epoch) => {
                tracing::warn!(before, epoch, "the engine continues under a new epoch");
                self.epoch = Some(epoch);
                self.n_failures = 0;
                let is_submission = |event: &mut Event| matches!(event, Event::Submit(_));
                let submissions: Vec<Event> = self.deferred.extract_if(.., is_submission).collect();
                let mut steps = vec![Step::KeepLease { epoch }];
                steps.extend(submissions.into_iter().map(Step::Redo));
                steps.extend(self.take_over(None));
                steps
            }
            Err(error) => {
                self.no_epoch(before, &Arc::new(error), now, timers);
                Vec::new()
            }
        }
    }

    /// No epoch could be begun: that is tried again. Tells the callers that asked something of a run meanwhile.
    fn no_epoch(&mut self, before: i64, error: &Arc<StoreError>, now: Timestamp, timers: &mut Timers) {
        let pause = self.fail();
        tracing::warn!(error = &**error as &dyn std::error::Error, ?pause, "no epoch could be begun; trying again");
        timers.set(after(now, pause), Timer::EpochDue { before });
        for event in mem::take(&mut self.deferred) {
            match event {
                Event::Control { run, answer, .. } => {
                    // The caller may have stopped waiting.
                    answer.send(Err(Error::RunLost { id: run, source: Arc::clone(error) })).ok();
                }
                other => self.deferred.push(other),
            }
        }
    }

    /// The engine ends, and wants no more runs. What waits for an epoch or for runs is handled now.
    pub(super) fn stop(&mut self) -> Vec<Step> {
        self.is_stopping = true;
        mem::take(&mut self.deferred).into_iter().map(Step::Redo).collect()
    }

    /// Counts a failure. Returns the pause before the next try.
    fn fail(&mut self) -> Duration {
        let pause = pause(self.n_failures);
        self.n_failures += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::event::Action;

    const BEFORE: i64 = 7;

    /// An engine on a server that knows its workflows and has taken over what there was.
    struct Bench {
        ownership: Ownership,
        timers: Timers,
        now: Timestamp,
    }

    impl Bench {
        fn new() -> Self {
            let now = Timestamp::from_unix_micros(1_000_000);
            let mut bench = Self { ownership: Ownership::new(BEFORE, true, false), timers: Timers::default(), now };
            let (answer, mut told) = oneshot::channel();
            let step = bench.ownership.seek(answer);
            assert!(matches!(step, Some(Step::TakeOver { epoch: BEFORE, with_own: false })));
            told.try_recv().unwrap_err();
            assert_eq!(bench.taken(BEFORE, Ok(TakenOver::default())), ["adopt"]);
            told.try_recv().unwrap();
            bench
        }

        fn taken(&mut self, epoch: i64, taken: Result<TakenOver, StoreError>) -> Vec<String> {
            named(self.ownership.taken_over(epoch, taken, self.now, &mut self.timers))
        }

        fn begun(&mut self, begun: Result<i64, StoreError>) -> Vec<String> {
            named(self.ownership.epoch_begun(BEFORE, begun, self.now, &mut self.timers))
        }

        /// How long until the timer that is set, which is taken back.
        fn pause(&mut self) -> (Duration, Timer) {
            let at = self.timers.earliest().unwrap();
            let timer = self.timers.pop_due(at).unwrap();
            assert_eq!(self.timers.earliest(), None);
            (Duration::from_micros(at.unix_micros() - self.now.unix_micros()), timer)
        }

        /// Has the engine handle a request, which must wait. Returns where its answer comes.
        fn defer_control(&mut self, number: u8) -> oneshot::Receiver<Result<(), Error>> {
            let (answer, told) = oneshot::channel();
            let event = Event::Control { run: run(number), action: Action::Cancel, by: "ann".into(), answer };
            assert!(self.ownership.must_wait(&event, |_| false));
            assert!(!self.ownership.must_wait(&event, |_| true), "a known run need not wait");
            self.ownership.defer(event);
            told
        }
    }

    fn run(number: u8) -> RunId {
        RunId::floor(Timestamp::from_unix_micros(u64::from(number) * 1_000_000))
    }

    fn named(steps: impl IntoIterator<Item = Step>) -> Vec<String> {
        let name = |step| match step {
            Step::TakeOver { epoch, with_own } => format!("take over for {epoch}, with own: {with_own}"),
            Step::Adopt(_) => "adopt".to_owned(),
            Step::ReleaseRuns { epoch, phase: Phase::Fenced } => format!("release {epoch}, fenced"),
            Step::ReleaseRuns { epoch, .. } => format!("release {epoch}"),
            Step::BeginEpoch { before } => format!("begin after {before}"),
            Step::KeepLease { epoch } => format!("keep {epoch}"),
            Step::Redo(Event::Control { run: id, .. }) => {
                format!("redo {}", (0..9).find(|number| run(*number) == id).unwrap())
            }
            Step::Redo(_) => "redo another".to_owned(),
        };
        steps.into_iter().map(name).collect()
    }

    #[test]
    fn an_epoch_that_has_ended_is_replaced_once() {
        let mut bench = Bench::new();
        let ended = bench.ownership.epoch_ended(BEFORE, Phase::Fenced);
        assert_eq!(named(ended), ["release 7, fenced", "begin after 7"]);
        assert_eq!(bench.ownership.epoch(), None);
        // Each commit that was on its way is fenced as well.
        assert!(bench.ownership.epoch_ended(BEFORE, Phase::Fenced).is_empty());
        assert_eq!(bench.begun(Ok(8)), ["keep 8", "take over for 8, with own: false"]);
        assert_eq!(bench.ownership.epoch(), Some(8));
        assert!(bench.ownership.epoch_ended(BEFORE, Phase::Fenced).is_empty());
        assert_eq!(bench.ownership.epoch(), Some(8));
    }

    #[test]
    fn a_failed_takeover_is_tried_again_after_growing_pauses() {
        let mut bench = Bench::new();
        let mut step = bench.ownership.workflow_added();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(step.is_some());
            assert!(bench.taken(BEFORE, Err(StoreError::Stopped)).is_empty());
            let (pause, timer) = bench.pause();
            assert_eq!(timer, Timer::TakeoverDue);
            pauses.push(pause.as_millis());
            // What other engines leave meanwhile waits for the timer.
            assert!(bench.ownership.orphaned(&[1]).is_none());
            step = bench.ownership.take_over_again();
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(named(step), ["take over for 7, with own: true"], "the one that failed may have taken some");
        assert_eq!(bench.taken(BEFORE, Ok(TakenOver::default())), ["adopt"]);
        assert!(bench.ownership.take_over_again().is_none());
        assert_eq!(named(bench.ownership.orphaned(&[1])), ["take over for 7, with own: false"]);
    }

    #[test]
    fn what_waited_for_runs_is_handled_in_its_order() {
        let mut bench = Bench::new();
        assert!(bench.ownership.orphaned(&[1]).is_some());
        let told: Vec<_> = (1..4).map(|number| bench.defer_control(number)).collect();
        assert_eq!(bench.taken(BEFORE, Ok(TakenOver::default())), ["adopt", "redo 1", "redo 2", "redo 3"]);
        drop(told);
    }

    #[test]
    fn a_caller_that_asks_during_a_takeover_is_answered_by_the_next_one() {
        let mut bench = Bench::new();
        assert!(bench.ownership.workflow_added().is_some());
        let (answer, mut told) = oneshot::channel();
        assert!(bench.ownership.seek(answer).is_none(), "one is under way at most");
        let _waits = bench.defer_control(1);
        assert_eq!(
            bench.taken(BEFORE, Ok(TakenOver::default())),
            ["adopt", "take over for 7, with own: false"],
            "what waits for runs waits for the next one too"
        );
        told.try_recv().unwrap_err();
        assert_eq!(bench.taken(BEFORE, Ok(TakenOver::default())), ["adopt", "redo 1"]);
        told.try_recv().unwrap();
    }

    #[test]
    fn runs_taken_under_an_epoch_that_has_ended_are_taken_again() {
        let mut bench = Bench::new();
        assert!(bench.ownership.workflow_added().is_some());
        bench.ownership.epoch_ended(BEFORE, Phase::Fenced);
        assert!(bench.taken(BEFORE, Ok(TakenOver::default())).is_empty());
        assert_eq!(bench.begun(Ok(8)), ["keep 8", "take over for 8, with own: false"]);
    }

    #[test]
    fn an_epoch_that_cannot_begin_is_tried_again_and_requests_are_answered() {
        let mut bench = Bench::new();
        bench.ownership.epoch_ended(BEFORE, Phase::Fenced);
        let mut told = bench.defer_control(1);
        assert!(bench.begun(Err(StoreError::Stopped)).is_empty());
        let refused = told.try_recv().unwrap().unwrap_err();
        assert!(matches!(refused, Error::RunLost { .. }), "{refused}");
        assert_eq!(bench.pause(), (Duration::from_millis(100), Timer::EpochDue { before: BEFORE }));
        assert_eq!(named(bench.ownership.begin_epoch(BEFORE)), ["begin after 7"]);
        assert!(bench.begun(Err(StoreError::Stopped)).is_empty());
        assert_eq!(bench.pause(), (Duration::from_millis(200), Timer::EpochDue { before: BEFORE }));
        assert_eq!(bench.begun(Ok(8)), ["keep 8", "take over for 8, with own: false"]);
        assert!(bench.ownership.begin_epoch(BEFORE).is_none(), "a timer that comes too late changes nothing");
    }

    #[test]
    fn an_engine_that_ends_handles_what_waits_and_takes_nothing() {
        let mut bench = Bench::new();
        bench.ownership.epoch_ended(BEFORE, Phase::Fenced);
        let told = bench.defer_control(1);
        assert_eq!(named(bench.ownership.stop()), ["redo 1"]);
        assert!(bench.ownership.begin_epoch(BEFORE).is_none());
        assert!(bench.ownership.workflow_added().is_none());
        drop(told);
    }

    #[test]
    fn an_engine_of_a_file_or_without_slots_takes_nothing_over_by_itself() {
        for (is_shared, is_idle) in [(false, false), (true, true)] {
            let mut ownership = Ownership::new(BEFORE, is_shared, is_idle);
            let (answer, mut told) = oneshot::channel();
            assert!(ownership.seek(answer).is_none());
            assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed), "the caller need not wait");
            assert!(ownership.orphaned(&[1]).is_none());
        }
    }
}
