//! Doing what a command says, with the engine's own handles.
//!
//! Each command is one call of what programs call, so that asking through the socket and asking in the process cannot
//! differ. Nothing is decided here.

use cloacina_workflow::{Context, Timestamp, Value};
use serde_json::Map;

use super::command::{Command, What};
use crate::{
    Engine, Error, RunHandle, RunRequest,
    core::run,
    id::RunId,
    store::Error as StoreError,
    trust::TrustChange,
    view::{RunReport, TrustChanged},
};

impl Engine {
    /// Does that on behalf of `by`, who is noted in the history, and returns the report of the run that it is about
    /// then. What was asked is durable by that time.
    ///
    /// # Errors
    /// As the methods of [`RunHandle`](crate::RunHandle) and [`Scheduler`](crate::Scheduler) say.
    pub async fn perform(&self, command: Command, by: &str) -> Result<RunReport, Error> {
        self.caller.check(command.role())?;
        let handle = match command {
            Command::Create { what, input, at, key, version } => {
                let input = context(input);
                let request = match what {
                    What::Workflow(name) => RunRequest::new(name, input),
                    What::BuiltIn { name, tasks } => RunRequest::new(self.built_in(&name, tasks, None).await?, input),
                };
                let request = match at {
                    Some(at) => request.at(Timestamp::from_unix_micros(at)),
                    None => request.held(),
                };
                let request = key.into_iter().fold(request, RunRequest::key);
                let request = version.into_iter().fold(request, RunRequest::version);
                self.scheduler().submit(request.by(by)).await?
            }
            Command::Report { run } => self.run(run).await?,
            Command::Start { run } => {
                let handle = self.run(run).await?;
                handle.start(by).await?;
                handle
            }
            Command::Execute { run } => {
                let handle = self.run(run).await?;
                match handle.state().await? {
                    run::State::Pending => handle.start(by).await?,
                    run::State::Paused => handle.resume(by).await?,
                    run::State::Running
                    | run::State::Completed
                    | run::State::PartiallyCompleted
                    | run::State::Failed
                    | run::State::Cancelled => {}
                }
                handle
            }
            Command::RunTask { run, task } => {
                let handle = self.run(run).await?;
                handle.run_task(&task, by).await?;
                handle
            }
            Command::Pause { run } => {
                let handle = self.run(run).await?;
                handle.pause(by).await?;
                handle
            }
            Command::Resume { run } => {
                let handle = self.run(run).await?;
                handle.resume(by).await?;
                handle
            }
            Command::Cancel { run } => {
                let handle = self.run(run).await?;
                handle.cancel(by).await?;
                handle
            }
            Command::Retry { run, task } => {
                let handle = self.run(run).await?;
                match task {
                    Some(task) => handle.retry(&task, by).await?,
                    None => handle.retry_all(by).await?,
                }
                handle
            }
            Command::Rerun { run, failed: false, input, version } => {
                self.versioned(run, version).await?.rerun(input.map(context), by).await?
            }
            Command::Rerun { run, failed: true, input, version } => {
                self.versioned(run, version).await?.rerun_failed(input.map(context), by).await?
            }
            Command::Fork { run, from, input, version } => {
                self.versioned(run, version).await?.fork(&from, input.map(context), by).await?
            }
            Command::Dismiss { run } => {
                let handle = self.run(run).await?;
                handle.dismiss(by).await?;
                handle
            }
            Command::Delete { run } => {
                let handle = self.run(run).await?;
                let report = self.answer(&handle).await?;
                handle.delete().await?;
                return Ok(report);
            }
        };
        self.answer(&handle).await
    }

    /// How the run stands. What was asked of it is durable, and that may be all that the engine was there for: if it has
    /// stopped since, what it stored is read.
    pub(super) async fn answer(&self, handle: &RunHandle) -> Result<RunReport, Error> {
        match handle.report().await {
            Err(Error::ShutDown | Error::Store(StoreError::Closed)) => {
                let run = handle.id();
                self.shared.apart.ask(self.caller.clone(), move |records| records.report(run)).await
            }
            report => report,
        }
    }
}

impl Engine {
    /// The run, to be run again with that version.
    async fn versioned(&self, run: RunId, version: Option<String>) -> Result<RunHandle, Error> {
        Ok(version.into_iter().fold(self.run(run).await?, RunHandle::on_version))
    }

    /// Changes whom a tenant trusts, on behalf of `by`: [`Registry::change_trust`](crate::Registry::change_trust).
    ///
    /// # Errors
    /// As there.
    pub async fn change_trust(&self, tenant: &str, change: TrustChange, by: &str) -> Result<TrustChanged, Error> {
        Ok(self.registry().change_trust(tenant, change, by).await?)
    }
}

fn context(input: Map<String, Value>) -> Context<Value> {
    Context::from_object(Value::Object(input)).unwrap_or_default()
}
