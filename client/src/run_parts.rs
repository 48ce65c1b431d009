//! The parts of a run: its tasks, history, log, context, gates and usage.
//!
//! Each is a view of the engine.

use crate::{address::encoded, client::Client, error::Error, query::Query, run::of_run};
use cloacina::{LogFilter, LogRecord, RunContext, RunEvent, RunId, RunUsage, TaskReport, Why};

impl Client {
    /// The tasks of a run, in the order of the source.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn tasks(&self, run: RunId) -> Result<Vec<TaskReport>, Error> {
        self.get(&of_run(run, "/tasks")).await
    }

    /// One task of a run.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn task(&self, run: RunId, task: &str) -> Result<TaskReport, Error> {
        self.get(&of_run(run, &format!("/tasks/{}", encoded(task)))).await
    }

    /// Everything that has happened to a run, in order; with a task, only to that task.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn events(&self, run: RunId, task: Option<&str>) -> Result<Vec<RunEvent>, Error> {
        self.get(&of_run(run, &format!("/events{}", Query::default().with("task", task)))).await
    }

    /// The lines of the log that fit, in order; at most 10,000 at once.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn logs(&self, run: RunId, filter: &LogFilter) -> Result<Vec<LogRecord>, Error> {
        self.get(&of_run(run, &format!("/logs{}", log_query(filter)))).await
    }

    /// What the tasks of a run see.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn context(&self, run: RunId) -> Result<RunContext, Error> {
        self.get(&of_run(run, "/context")).await
    }

    /// Why tasks of a run are not running.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn why(&self, run: RunId) -> Result<Why, Error> {
        self.get(&of_run(run, "/why")).await
    }

    /// What a run used up.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn usage(&self, run: RunId) -> Result<RunUsage, Error> {
        self.get(&of_run(run, "/usage")).await
    }
}

/// The query for lines of a log.
pub(crate) fn log_query(filter: &LogFilter) -> Query {
    let LogFilter { task, attempt, level, since, after, tail } = filter;
    Query::default()
        .with("task", task.as_deref())
        .with("attempt", *attempt)
        .with("level", level.map(|level| level.as_str()))
        .with("since", *since)
        .with("after", *after)
        .with("tail", *tail)
}
