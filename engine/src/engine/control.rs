//! What people ask of runs through their handles: start, pause, resume, cancel, retry, and running them again.
//!
//! A run that has ended stays as it is. Running it again makes a new run, which takes over what need not be done
//! again and says in its history where it comes from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cloacina_workflow::{__private::v1::input_values, Context, Value};
use tokio::sync::oneshot;

use super::{again::Old, handle::alive, run_handle::RunHandle, submit::Wanted};
use crate::{
    Error,
    api::Role,
    core::{
        context::{Key, Value as RawValue},
        graph::Graph,
        node::NodeId,
        run, task,
    },
    error::Request,
    id::RunId,
    limit,
    runtime::{Action, Begin, Derived, Event, Origin, carry_over, load},
    store::{self, Error as StoreError, EventRow},
    view::{Gate, PrunedPart},
};

/// A task that does not run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The task.
    pub task: String,
    /// Where it stands.
    pub state: task::State,
    /// Each reason with its present value.
    pub gates: Vec<Gate>,
}

/// What of a run is not done again.
pub(super) enum Keep<'a> {
    Nothing,
    /// What completed without anything upstream that did not.
    Completed,
    /// Everything but that task and what follows from it.
    Before(&'a str),
}

impl RunHandle {
    /// Lets a run begin that was created without, or for later.
    ///
    /// # Errors
    /// [`Error::Illegal`] if it has begun, as below if the request does not fit the run's state.
    pub async fn start(&self, by: &str) -> Result<(), Error> {
        self.ask(Request::Start, Action::Start, by).await
    }

    /// Lets nothing new start; what runs may finish.
    ///
    /// # Errors
    /// [`Error::Illegal`].
    pub async fn pause(&self, by: &str) -> Result<(), Error> {
        self.ask(Request::Pause, Action::Pause, by).await
    }

    /// Lets a paused run go on.
    ///
    /// # Errors
    /// [`Error::Illegal`].
    pub async fn resume(&self, by: &str) -> Result<(), Error> {
        self.ask(Request::Resume, Action::Resume, by).await
    }

    /// Ends the run: what does not run is cancelled, what runs is asked to stop and given up if it does not. Returns
    /// when the request is durable; [`Self::wait`] waits for the end.
    ///
    /// # Errors
    /// [`Error::Illegal`].
    pub async fn cancel(&self, by: &str) -> Result<(), Error> {
        self.ask(Request::Cancel, Action::Cancel, by).await
    }

    /// Runs one task of a run that waits to be started or is paused; everything else of it stays as it is, and the run is
    /// paused after that. The task's retries count to it.
    ///
    /// # Errors
    /// [`Error::TaskWaits`] if the task waits for something else than its run, [`Error::IllegalForTask`],
    /// [`Error::UnknownTask`], [`Error::Illegal`].
    pub async fn run_task(&self, task: &str, by: &str) -> Result<(), Error> {
        limit::SELECTOR.check(task)?;
        self.ask(Request::RunTask, Action::Release { task: task.to_owned() }, by).await
    }

    /// Lets a task that waits for its next attempt have it now.
    ///
    /// # Errors
    /// [`Error::IllegalForTask`] if it does not wait, [`Error::UnknownTask`]. A task that failed for good is run again
    /// by [`Self::rerun_failed`] or [`Self::fork`].
    pub async fn retry(&self, task: &str, by: &str) -> Result<(), Error> {
        limit::SELECTOR.check(task)?;
        self.ask(Request::Retry, Action::RetryNow { task: task.to_owned() }, by).await
    }

    /// Lets every task that waits for its next attempt have it now.
    ///
    /// # Errors
    /// [`Error::Illegal`] if none waits; otherwise as [`Self::retry`].
    pub async fn retry_all(&self, by: &str) -> Result<(), Error> {
        self.caller.check(Role::Operator)?;
        let report = self.report().await?;
        let waiting: Vec<_> = report.tasks.iter().filter(|task| task.state == task::State::Waiting).collect();
        if waiting.is_empty() {
            return Err(self.illegal(Request::Retry, report.state));
        }
        for task in waiting {
            self.retry(&task.id, by).await?;
        }
        Ok(())
    }

    /// For every task that does not run, why.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn why(&self) -> Result<Vec<Waiting>, Error> {
        let tasks = self.report().await?.tasks.into_iter();
        let waiting = tasks.filter(|task| !task.state.is_terminal() && task.state != task::State::Running);
        Ok(waiting.map(|task| Waiting { task: task.id, state: task.state, gates: task.gates }).collect())
    }

    /// Runs what failed, was cancelled, or followed from such a task again, in a new run that takes over the rest;
    /// with another input if there is one.
    ///
    /// # Errors
    /// [`Error::Illegal`] if the run has not ended, or if nothing failed.
    pub async fn rerun_failed(&self, input: Option<Context<Value>>, by: &str) -> Result<Self, Error> {
        self.derive(Request::Rerun, Keep::Completed, input, by).await
    }

    /// Runs everything again, in a new run; with another input if there is one.
    ///
    /// # Errors
    /// [`Error::Illegal`] if the run has not ended.
    pub async fn rerun(&self, input: Option<Context<Value>>, by: &str) -> Result<Self, Error> {
        self.derive(Request::Rerun, Keep::Nothing, input, by).await
    }

    /// Runs that task and what follows from it again, in a new run that takes over the rest; with another input if
    /// there is one.
    ///
    /// # Errors
    /// [`Error::Illegal`] if the run has not ended, [`Error::UnknownTask`].
    pub async fn fork(&self, task: &str, input: Option<Context<Value>>, by: &str) -> Result<Self, Error> {
        limit::SELECTOR.check(task)?;
        self.derive(Request::Fork, Keep::Before(task), input, by).await
    }

    /// Takes a failed run off the list of dead letters.
    ///
    /// # Errors
    /// [`Error::Illegal`] if it did not fail.
    pub async fn dismiss(&self, by: &str) -> Result<(), Error> {
        limit::ACTOR.check(by)?;
        self.caller.check(Role::Operator)?;
        let shared = alive(&self.shared)?;
        let (run, ..) = self.stored(&shared).await?;
        if run.state != run::State::Failed {
            return Err(self.illegal(Request::Dismiss, run.state));
        }
        let (id, now) = (self.id(), shared.clock.now());
        let by = by.to_owned();
        let dismiss = move |connection: &mut store::Connection| store::run_dismiss_in_txn(connection, id, &by, now);
        shared.store().write("dismissing a run", dismiss).await?;
        Ok(())
    }

    async fn ask(&self, request: Request, action: Action, by: &str) -> Result<(), Error> {
        limit::ACTOR.check(by)?;
        self.caller.check(Role::Operator)?;
        let shared = alive(&self.shared)?;
        let (answer, answered) = oneshot::channel();
        let sent = shared.engine.send(Event::Control { run: self.id(), action, by: by.into(), answer });
        let answered = match sent {
            Ok(()) => answered.await.unwrap_or(Err(Error::ShutDown)),
            Err(error) => Err(error),
        };
        match answered {
            // Most likely it has ended, and then that is the answer.
            Err(Error::NotDriven { .. }) => {
                let state = self.stored(&shared).await?.0.state;
                Err(if state.is_terminal() { self.illegal(request, state) } else { self.not_driven(&shared).await? })
            }
            // The engine may have stopped because the run has ended.
            Err(Error::ShutDown) => {
                let run = self.id();
                let state = shared.apart.ask(self.caller.clone(), move |records| records.state(run)).await;
                let ended = state.ok().filter(|state| state.is_terminal());
                Err(ended.map_or(Error::ShutDown, |state| self.illegal(request, state)))
            }
            answer => answer,
        }
    }

    fn illegal(&self, request: Request, state: run::State) -> Error {
        Error::Illegal { id: self.id(), request, state, is_ending: false }
    }

    async fn derive(
        &self,
        request: Request,
        keep: Keep<'_>,
        input: Option<Context<Value>>,
        by: &str,
    ) -> Result<Self, Error> {
        limit::ACTOR.check(by)?;
        self.caller.check(Role::Operator)?;
        let shared = alive(&self.shared)?;
        let id = self.id();
        let (run, row, rows) = self.stored(&shared).await?;
        if !run.state.is_terminal() {
            return Err(self.illegal(request, run.state));
        }
        if let Some(part) = PrunedPart::of(run.context_pruned_at, run.events_pruned_at) {
            return Err(Error::Pruned { id, request, part });
        }
        let (workflow, pinned) = shared.code_for(&run, &row, self.version()).await?;
        let input = match input {
            Some(input) => {
                let mut input = input_values(&input).map_err(Error::Input)?;
                carry_over(&stored_input(&rows)?, &mut input);
                input
            }
            None => stored_input(&rows)?,
        };
        let pinned = Arc::new(pinned);
        let (record, _) = load(Arc::clone(&pinned), &run, rows.clone())?;
        let old = Old { id, version: &pinned, run: &record.run, rows: &rows };
        let reused = old.reused(&keep, &workflow.version)?;
        let reused = reused.ok_or_else(|| self.illegal(request, run.state))?;
        let derived = Derived {
            from: id,
            how: if request == Request::Fork { "fork" } else { "rerun" },
            task: if let Keep::Before(task) = keep { Some(task.to_owned()) } else { None },
            by: by.into(),
            reused,
        };
        let origin = Origin { key: None, by: Some(by.into()), derived: Some(derived) };
        let first = RunId::new(shared.clock.now());
        let (run, phase) = shared.submit(Wanted { workflow, input, begin: Begin::Now, origin }, first).await?;
        Ok(Self::new(run, Arc::downgrade(&shared), self.caller.clone(), Some(phase)))
    }
}

/// The input with which a run was created.
fn stored_input(rows: &[EventRow]) -> Result<BTreeMap<Key, RawValue>, StoreError> {
    let payload = rows.first().and_then(|row| row.payload.as_deref()).unwrap_or_default();
    serde_json::from_slice(payload).map_err(|error| StoreError::Corrupt { reason: format!("an input: {error}") })
}

pub(super) fn with_descendants(graph: &Graph, nodes: Vec<NodeId>) -> BTreeSet<NodeId> {
    let (mut found, mut open) = (BTreeSet::new(), nodes);
    while let Some(node) = open.pop() {
        if found.insert(node) {
            open.extend(graph.children(node));
        }
    }
    found
}
