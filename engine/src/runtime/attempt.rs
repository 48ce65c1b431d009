//! The driver's part about attempts and callbacks: starting them, their ends, their time limits, asking them to stop.
//!
//! An attempt that has used up its time, or whose run is being ended, is asked to stop. If it does not within a while
//! it is given up: its slot is free again, its end is recorded without it, and whatever it sends later is *fenced*.

use std::{sync::Arc, time::Duration};

use cloacina_workflow::{Outcome, TaskError, Timestamp};
use serde_json::json;

use super::{
    active::{ActiveRun, Slots},
    driver::Driver,
    history::{self, AttemptFacts},
    notice::NoticeKind,
    runner::{Attempt, AttemptKey, Completion, Ended, Loss},
    stop::Stop,
    timer::Timer,
};
use crate::{
    core::{
        admit::Role,
        decide::{self, End, decide},
        effect::{Effect, after},
        node::TaskIndex,
        retry::Failure,
    },
    id::{RunId, chance},
    loader::Usage,
    store::Commit,
    view::GateHolder,
};

/// How long a callback may take whose task has no limit of its own. A run does not end before its callbacks have.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(300);

/// Holders of slots that are named to those who wait for one.
const HOLDERS_SHOWN: usize = 5;

/// An attempt or callback that holds a slot.
#[derive(Debug)]
pub(super) struct Underway {
    pub(super) stop: Arc<Stop>,
    started_at: Timestamp,
    /// The timer that is set for it.
    timer: Option<(Timestamp, Timer)>,
    /// Whether its time was over before it ended.
    timed_out: bool,
}

impl Driver {
    /// Starts an attempt that has a slot.
    pub(super) fn start(&mut self, key: AttemptKey, now: Timestamp) {
        let Some((active, runner)) = self.runs.get(&key.run).and_then(ActiveRun::with_code) else {
            self.admission.release();
            return;
        };
        let plan = active.record.version.plan.clone();
        let declared = plan.declared(key.task);
        let view = active.record.run.view(key.task).cloned();
        let is_closing = active.record.run.closing().is_some();
        let started_at = active.record.run.tasks()[key.task.place()].started_at().unwrap_or(now);
        self.put(key.run, Some((&declared.id, key.attempt)), now, || NoticeKind::Started);
        let deadline = declared.timeout.map(|timeout| after(now, timeout));
        let completion = self.hold(key, declared.id.clone(), started_at, deadline);
        if is_closing {
            // Somebody cancelled the run while the start was being made durable.
            self.ask_to_stop(key, now);
            completion.complete(Err(TaskError::Cancelled { message: "the run was cancelled".to_owned() }));
            return;
        }
        let function = declared.function;
        match view {
            Some(view) => {
                runner.start(Attempt { key, plan, function, view, outcome: None, deadline, completion });
            }
            None => {
                let message = "the task has no view of the context".to_owned();
                completion.complete(Err(TaskError::Permanent { message }));
            }
        }
    }

    /// Calls the callback of a task, which has a slot.
    pub(super) fn start_callback(&mut self, run: RunId, task: TaskIndex, now: Timestamp) {
        // Those that were offered again when a gate opened may be under way already.
        let is_underway = |active: &ActiveRun| {
            let attempt = active.record.run.tasks()[task.place()].attempt;
            self.underway.contains_key(&AttemptKey { run, task, attempt, role: Role::Callback })
        };
        let active = self.runs.get(&run).filter(|active| !is_underway(active));
        let callback = active.and_then(|active| active.record.run.callback(task));
        let active = self.runs.get_mut(&run).and_then(|active| Some((active.runner.clone()?, active)));
        let (Some((runner, active)), Some(function)) = (active, callback) else {
            self.admission.release();
            return;
        };
        let plan = active.record.version.plan.clone();
        let declared = plan.declared(task);
        let attempt = active.record.run.tasks()[task.place()].attempt;
        let error = active.record.errors.get(&task).map(|error| (**error).clone());
        let outcome = Some(Outcome::new(&*declared.id, attempt, error));
        let view = active.record.run.callback_view(task);
        let key = AttemptKey { run, task, attempt, role: Role::Callback };
        let deadline = Some(after(now, declared.timeout.unwrap_or(CALLBACK_TIMEOUT)));
        let completion = self.hold(key, declared.id.clone(), now, deadline);
        runner.start(Attempt { key, plan, function, view, outcome, deadline, completion });
    }

    /// Notes that a slot is held, and until when.
    fn hold(
        &mut self,
        key: AttemptKey,
        task: Arc<str>,
        started_at: Timestamp,
        deadline: Option<Timestamp>,
    ) -> Completion {
        let record = self.runs.get(&key.run).map(|active| &active.record);
        let secrets = record.map(|record| record.secrets.clone()).unwrap_or_default();
        let version = record.map(|record| Arc::clone(&record.version));
        let completion = Completion::new(key, task, started_at, (self.surroundings.clone(), secrets), version);
        let timer = deadline.map(|at| (at, Timer::AttemptDeadline(key)));
        if let Some((at, timer)) = timer {
            self.timers.set(at, timer);
        }
        self.underway.insert(key, Underway { stop: completion.stop(), started_at, timer, timed_out: false });
        completion
    }

    /// Takes note of the end that an attempt or callback sent.
    pub(super) fn end(&mut self, ended: Ended) {
        let key = ended.key;
        let Some(Underway { timer, timed_out, .. }) = self.underway.remove(&key) else {
            self.fence(key, ended.finished_at, ended.result.is_ok());
            return;
        };
        if let Some((at, timer)) = timer {
            self.timers.unset(at, timer);
        }
        self.admission.release();
        self.note_written(ended.finished_at);
        let ended = match timed_out {
            true => Ended { result: Err(self.timed_out(key, false)), loss: None, ..ended },
            false => ended,
        };
        self.conclude(ended, false);
    }

    /// Decides what follows from the end of an attempt or callback.
    fn conclude(&mut self, ended: Ended, abandoned: bool) {
        let Ended { key, result, loss, payload, retry_after, usage, started_at, finished_at } = ended;
        let AttemptKey { run, task, attempt, role } = key;
        let Some(active) = self.runs.get_mut(&run) else { return };
        if loss.is_some() && role == Role::Callback {
            // It has been called as if it never was; callbacks are called at least once.
            self.perform(run, &[Effect::OfferCallback { task }], finished_at);
            return;
        }
        let secrets = match (role, &result) {
            (Role::Task, Ok(delta)) => active.record.secrets.with(delta),
            _ => None,
        };
        let (end, error) = match (result, loss) {
            (Ok(delta), _) => (End::Completed(delta), None),
            (Err(error), Some(Loss::Process)) => (End::Lost, Some(Arc::new(error))),
            (Err(error), Some(Loss::NotBegun)) => (End::NotBegun, Some(Arc::new(error))),
            (Err(error), None) => {
                let failure = failure(&error, retry_after, abandoned, finished_at);
                (End::Failed(failure), Some(Arc::new(error)))
            }
        };
        let event = match role {
            Role::Task => decide::Event::End { task, attempt, end },
            Role::Callback => decide::Event::CallbackEnded { task, failed: error.is_some() },
        };
        match decide(&mut active.record.run, event, finished_at) {
            Ok(decision) => {
                if let Some(secrets) = secrets {
                    active.record.secrets = secrets;
                }
                match (role, &error) {
                    (Role::Callback, _) => {}
                    (Role::Task, Some(error)) => drop(active.record.errors.insert(task, error.clone())),
                    (Role::Task, None) => drop(active.record.errors.remove(&task)),
                }
                if role == Role::Callback && self.surroundings.board.is_watched() {
                    let id = active.record.version.plan.declared(task).id.clone();
                    let error = error.as_ref().map(|error| (**error).clone());
                    self.put(run, Some((&id, attempt)), finished_at, || NoticeKind::CallbackEnded { error });
                }
                let facts = AttemptFacts { payload, error, started_at: Some(started_at), usage };
                self.enact_with(run, decision, finished_at, None, facts);
            }
            Err(refused) => tracing::warn!(run.id = %run, %task, %refused, "an attempt's end is ignored"),
        }
    }

    /// Records that an attempt ended after it had been given up.
    fn fence(&mut self, key: AttemptKey, at: Timestamp, completed: bool) {
        self.n_abandoned = self.n_abandoned.saturating_sub(1);
        tracing::warn!(run.id = %key.run, task = %key.task, attempt = key.attempt, "a late end of an attempt is fenced");
        if self.stopping != super::driver::Stopping::No || key.role == Role::Callback {
            return;
        }
        // Nothing follows the end of a run.
        let active = self.runs.get_mut(&key.run).filter(|active| !active.record.run.state().is_terminal());
        let Some(active) = active else { return };
        let row = history::fenced_row(active.next_sequence, key.task, key.attempt, at, completed);
        active.next_sequence += 1;
        let Some(epoch) = self.ownership.epoch() else { return };
        let commit = Commit { run: key.run, epoch, term: active.term, create: None, events: vec![row], update: None };
        self.queue(commit, super::driver::Pending::nothing(key.run, epoch, at));
    }

    /// Asks an attempt to stop, and gives it a while to do so.
    pub(super) fn ask_to_stop(&mut self, key: AttemptKey, now: Timestamp) {
        let grace = after(now, self.stop_grace);
        let Some(underway) = self.underway.get_mut(&key) else { return };
        if let Some((at, timer)) = underway.timer.replace((grace, Timer::AttemptGrace(key))) {
            self.timers.unset(at, timer);
        }
        self.timers.set(grace, Timer::AttemptGrace(key));
        underway.stop.ask();
    }

    /// Asks all attempts of a run to stop that is driven no longer.
    pub(super) fn stop_attempts(&mut self, run: RunId, now: Timestamp) {
        let keys: Vec<AttemptKey> = self.underway.keys().filter(|key| key.run == run).copied().collect();
        for key in keys {
            self.ask_to_stop(key, now);
        }
    }

    /// An attempt has used up its time.
    pub(super) fn overdue(&mut self, key: AttemptKey, now: Timestamp) {
        if let Some(underway) = self.underway.get_mut(&key) {
            underway.timed_out = true;
            self.ask_to_stop(key, now);
        }
    }

    /// An attempt did not stop when it was asked to: gives it up.
    pub(super) fn give_up(&mut self, key: AttemptKey, now: Timestamp) {
        let Some(Underway { started_at, timed_out, .. }) = self.underway.remove(&key) else { return };
        self.admission.release();
        self.n_abandoned += 1;
        tracing::warn!(run.id = %key.run, task = %key.task, attempt = key.attempt, "an attempt did not stop and is given up");
        let error = if timed_out {
            self.timed_out(key, true)
        } else {
            TaskError::Cancelled {
                message: "the attempt did not stop when it was asked to, and was given up".to_owned(),
            }
        };
        let (result, retry_after) = (Err(error), None);
        let (payload, usage, finished_at) = (None, Usage::default(), now);
        let ended = Ended { key, result, loss: None, payload, retry_after, usage, started_at, finished_at };
        self.conclude(ended, true);
    }

    /// The error of an attempt that has used up its time.
    fn timed_out(&self, key: AttemptKey, abandoned: bool) -> TaskError {
        let declared = self.runs.get(&key.run).map(|active| active.record.version.plan.declared(key.task).timeout);
        let limit = declared.flatten().unwrap_or(CALLBACK_TIMEOUT);
        let end = if abandoned { ", did not stop when it was asked to, and was given up" } else { "" };
        let message = format!("it took longer than {} ms{end}", limit.as_millis());
        let details = json!({ "abandoned": abandoned });
        TaskError::Custom { kind: "timed_out".to_owned(), message, details, retryable: true }
    }

    /// The slots as those who wait for one are shown them.
    pub(super) fn slots(&self) -> Slots<'_> {
        let name = |key: &AttemptKey| {
            let active = self.runs.get(&key.run)?;
            let task = active.record.version.plan.declared(key.task).id.as_ref().to_owned();
            Some(GateHolder { run: key.run, task })
        };
        Slots {
            admission: &self.admission,
            held_by: self.underway.keys().filter_map(name).take(HOLDERS_SHOWN).collect(),
        }
    }
}

/// What decides about another attempt.
fn failure(error: &TaskError, retry_after: Option<Duration>, abandoned: bool, at: Timestamp) -> Failure {
    Failure {
        kind: error.kind().to_owned(),
        message: error.message(),
        retryable: error.is_retryable(),
        retry_after: error.retry_after().or(retry_after),
        abandoned,
        chance: chance(at),
    }
}
