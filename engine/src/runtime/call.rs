//! A call of a task or of its callback: what the runner needs for it, and what its end means for the run.
//!
//! A call is made from a run in memory and holds nothing of it but handles, so the run may go on, or go away, meanwhile. Its
//! end comes back to the run by the key of the attempt. This file gives no slot and sets no timer.

use std::{sync::Arc, time::Duration};

use cloacina_workflow::{Outcome, TaskError, Timestamp};
use serde_json::json;

use super::{
    active::ActiveRun,
    catalog::Version,
    history::AttemptFacts,
    runner::{Attempt, AttemptEnv, AttemptKey, Completion, Ended, Loss, TaskRunner},
    secret::Secrets,
    stop::Stop,
};
use crate::{
    core::{
        apply::Refused,
        decide::{End, Event},
        effect::{Decision, after},
        node::TaskIndex,
        plan::{Function, Task},
        retry::Failure,
        slot::Role,
        view::View,
    },
    id::chance,
};

/// How long a callback may take whose task has no limit of its own. A run does not end before its callbacks have.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(300);

/// What a runner needs for one call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) key: AttemptKey,
    pub(super) runner: Arc<dyn TaskRunner>,
    pub(super) version: Arc<Version>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) function: Function,
    /// Absent for a task that has none, though it has a slot: a mistake of the engine.
    pub(super) view: Option<View>,
    /// For a callback: how its task ended.
    pub(super) outcome: Option<Outcome>,
    pub(super) started_at: Timestamp,
    pub(super) deadline: Option<Timestamp>,
    /// Whether the run was cancelled while the start was being made durable.
    pub(super) is_cancelled: bool,
}

/// What the end of a call means for its run.
pub(super) enum Conclusion {
    /// This is to be stored. The facts are what the attempt left besides.
    Decided(Decision, AttemptFacts),
    /// The callback is to be called again: it may never have run, and is called at least once.
    CallAgain { task: TaskIndex },
}

impl Call {
    /// The id of the task.
    pub(super) fn task(&self) -> &Arc<str> {
        &self.version.plan.declared(self.key.task).id
    }

    /// Has the runner make the call. `begin` is called before that, with what asks the call to stop.
    pub(super) fn make(self, env: Arc<AttemptEnv>, begin: impl FnOnce(Arc<Stop>)) {
        let Self { key, runner, version, secrets, function, view, outcome, started_at, deadline, is_cancelled } = self;
        let plan = Arc::clone(&version.plan);
        let task = Arc::clone(&plan.declared(key.task).id);
        let completion = Completion::new(key, task, started_at, (env, secrets), Some(version));
        begin(completion.stop());
        match view {
            _ if is_cancelled => {
                completion.complete(Err(TaskError::Cancelled { message: "the run was cancelled".to_owned() }));
            }
            Some(view) => {
                runner.start(Attempt { key, plan, function, view, outcome, deadline, completion });
            }
            None => {
                let message = "the task has no view of the context".to_owned();
                completion.complete(Err(TaskError::Permanent { message }));
            }
        }
    }
}

impl ActiveRun {
    /// The call of a task whose attempt has begun; none without the code.
    pub(super) fn call(&self, key: AttemptKey, now: Timestamp) -> Option<Call> {
        let (runner, record) = (Arc::clone(self.runner()?), self.record());
        let (version, secrets) = (Arc::clone(&record.version), Arc::clone(&record.secrets));
        let &Task { function, timeout, .. } = version.plan.declared(key.task);
        let view = record.run.view(key.task).cloned();
        let started_at = record.run.tasks()[key.task.place()].started_at().unwrap_or(now);
        let deadline = timeout.map(|timeout| after(now, timeout));
        let is_cancelled = record.run.closing().is_some();
        let outcome = None;
        Some(Call { key, runner, version, secrets, function, view, outcome, started_at, deadline, is_cancelled })
    }

    /// The call of the callback of a task; none without the code, or if the task has no open callback.
    pub(super) fn call_of_callback(&self, task: TaskIndex, now: Timestamp) -> Option<Call> {
        let (runner, record) = (Arc::clone(self.runner()?), self.record());
        let function = record.run.callback(task)?;
        let (version, secrets) = (Arc::clone(&record.version), Arc::clone(&record.secrets));
        let declared = version.plan.declared(task);
        let attempt = record.run.tasks()[task.place()].attempt;
        let error = record.errors.get(&task).map(|error| (**error).clone());
        let outcome = Some(Outcome::new(&*declared.id, attempt, error));
        let view = Some(record.run.callback_view(task));
        let key = AttemptKey { run: record.id, task, attempt, role: Role::Callback };
        let deadline = Some(after(now, declared.timeout.unwrap_or(CALLBACK_TIMEOUT)));
        let (started_at, is_cancelled) = (now, false);
        Some(Call { key, runner, version, secrets, function, view, outcome, started_at, deadline, is_cancelled })
    }

    /// Decides what follows from the end of a call. `abandoned` says that the call was given up, and may go on.
    pub(super) fn conclude(&mut self, ended: Ended, abandoned: bool) -> Result<Conclusion, Refused> {
        let Ended { key, result, loss, payload, retry_after, usage, started_at, finished_at } = ended;
        let AttemptKey { task, attempt, role, .. } = key;
        if loss.is_some() && role == Role::Callback {
            return Ok(Conclusion::CallAgain { task });
        }
        let secrets = match (role, &result) {
            (Role::Task, Ok(delta)) => self.record().secrets.with(delta),
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
            Role::Task => Event::End { task, attempt, end },
            Role::Callback => Event::CallbackEnded { task, failed: error.is_some() },
        };
        let decision = self.decide(event, finished_at)?;
        if let Some(secrets) = secrets {
            self.note_secrets(secrets);
        }
        if role == Role::Task {
            self.note_error(task, error.clone());
        }
        let facts = AttemptFacts { payload, error, started_at: Some(started_at), usage };
        Ok(Conclusion::Decided(decision, facts))
    }

    /// The error of a call that has used up its time.
    pub(super) fn timed_out(&self, task: TaskIndex, abandoned: bool) -> TaskError {
        let limit = self.record().version.plan.declared(task).timeout.unwrap_or(CALLBACK_TIMEOUT);
        let end = if abandoned { ", did not stop when it was asked to, and was abandoned" } else { "" };
        let message = format!("it took longer than {} ms{end}", limit.as_millis());
        let details = json!({ "abandoned": abandoned });
        TaskError::Custom { kind: "timed_out".to_owned(), message, details, retryable: true }
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
