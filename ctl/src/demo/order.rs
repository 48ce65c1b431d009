//! A run with a second task that fails once: its first engine ends while the task waits for its next attempt, and another one goes
//! on, without doing again what was done.
//!
//! The workflow is compiled into this program. The first attempt fails on purpose, and the wait for the next is longer than
//! anybody watches.

use cloacina::{Command, Context, NoticeKind, RunReport, RunRequest, RunState, WaitingTask};
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::Database;
use crate::error::Error;
use crate::runs::{builder, runtime};

#[cloacina::workflow(name = "order", description = "The order of the demonstration: its payment fails at first")]
mod workflow {
    use cloacina::prelude::*;

    #[task(dependencies = [])]
    async fn reserve(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("shelf", Value::from("B-17"))?)
    }

    #[task(dependencies = [reserve], retry_attempts = 1, retry_delay_ms = 3_600_000, retry_max_delay_ms = 3_600_000, retry_jitter = false)]
    async fn charge(context: &mut Context<Value>) -> Result<(), TaskError> {
        match context.attempt() {
            1 => Err(TaskError::transient("the payment service does not answer")),
            attempt => Ok(context.insert("paid_by_attempt", Value::from(attempt))?),
        }
    }

    #[task(dependencies = [charge])]
    async fn ship(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("shipped", Value::from(true))?)
    }
}

/// The task that fails once.
const FAILS: &str = "charge";

/// What became of a run that fails first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Story {
    /// The id of the run.
    run: String,
    /// Why its task failed.
    error: String,
    /// The state of the run when its first engine had ended.
    #[schema(value_type = RunState)]
    stalled: &'static str,
    /// Why its tasks waited then.
    waiting: Vec<WaitingTask>,
    /// The state in which it ended.
    #[schema(value_type = RunState)]
    ended: &'static str,
    /// How many of its tasks completed.
    completed_tasks: usize,
    /// How many tasks it has.
    total_tasks: usize,
    /// How many attempts each task took.
    attempts: Vec<Attempts>,
    #[serde(skip)]
    pub(super) state: RunState,
}

/// How many attempts a task took.
#[derive(Debug, Serialize, ToSchema)]
struct Attempts {
    /// The id of the task.
    task: String,
    /// How many attempts.
    attempts: u32,
}

impl Story {
    /// Lets a run fail, wait and continue.
    pub(super) fn live(database: &Database, by: &str) -> Result<Self, Error> {
        let runtime = runtime()?;
        let (id, error) = runtime.block_on(async {
            let engine = builder(database)?.socket(false).workflow(workflow::workflow()).start().await?;
            let mut notices = engine.subscribe();
            let request = RunRequest::new("order", Context::new()).by(by);
            let run = engine.scheduler().submit(request).await?;
            let mut told = String::new();
            while let Some(notice) = notices.next().await {
                if let (true, NoticeKind::Retrying { error, .. }) = (notice.run == run.id(), &notice.kind) {
                    told = error.message();
                    break;
                }
            }
            engine.shutdown_within(std::time::Duration::ZERO).await?;
            Ok::<_, Error>((run.id(), told))
        })?;
        let mut records = database.records_needed()?;
        let stalled = records.report(id)?;
        let is_driven = records.is_driven(id)?;
        drop(records);
        let report: RunReport = runtime.block_on(async {
            let engine = builder(database)?.socket(false).workflow(workflow::workflow()).start().await?;
            let retry = Command::Retry { run: id, task: Some(FAILS.to_owned()) };
            engine.perform(retry, by).await?;
            let report = engine.run(id).await?.wait().await?;
            engine.shutdown().await?;
            Ok::<_, Error>(report)
        })?;
        Ok(Self {
            run: id.to_string(),
            error,
            stalled: stalled.state.as_str(),
            waiting: stalled.why(is_driven).waiting,
            ended: report.state.as_str(),
            completed_tasks: report.n_completed(),
            total_tasks: report.tasks.len(),
            attempts: report
                .tasks
                .iter()
                .map(|task| Attempts { task: task.id.clone(), attempts: task.attempt.unwrap_or(0) })
                .collect(),
            state: report.state,
        })
    }

    pub(super) fn text(&self) -> String {
        let Self { run, error, stalled, ended, completed_tasks, total_tasks, .. } = self;
        let waiting = self.waiting.iter().map(|task| format!("   {}\n", task.text())).collect::<String>();
        let attempts = self.attempts.iter().map(|Attempts { task, attempts }| match attempts {
            1 => format!("{task} 1 attempt"),
            several => format!("{task} {several} attempts"),
        });
        let attempts = attempts.collect::<Vec<_>>().join(", ");
        format!(
            "5. Failing: a run of three tasks, one after the other...\n   Run ID: {run}\n   {FAILS} failed: {error}\n\
             6. Stopping the engine, and asking why...\n   Status: {stalled}\n{waiting}\
             7. Resuming with another engine, and retrying {FAILS} now...\n   Attempts: {attempts}\n   \
             Final status: {ended}\n   Completed tasks: {completed_tasks}/{total_tasks}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_waits_without_an_engine_and_goes_on_with_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("demo.db");
        let config = crate::config::Config::from_env();
        let database = Database::choose(Some(&file.to_string_lossy()), &config).unwrap();
        let story = Story::live(&database, "ada").unwrap();
        assert_eq!((story.state, story.completed_tasks, story.total_tasks), (RunState::Completed, 3, 3));
        assert_eq!(story.stalled, "running");
        assert_eq!(story.attempts.iter().map(|task| task.attempts).collect::<Vec<_>>(), [1, 2, 1]);
        let text = story.text();
        for expected in [
            "charge failed: the payment service does not answer",
            "charge waits: ",
            "no engine drives",
            "ship waits: charge is waiting",
        ] {
            assert!(text.contains(expected), "{text}");
        }
    }
}
