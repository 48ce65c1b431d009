//! The life of a run of the built-in workflow.
//!
//! Each status is what an engine said at that step: the run is created and started by engines that start no task, and
//! then run by another one, as if three processes had done it.

use cloacina::{Command, RunState, What};
use serde::Serialize;
use serde_json::Map;
use utoipa::ToSchema;

use crate::cli::IsolationArgs;
use crate::database::Database;
use crate::error::Error;
use crate::output::Output;
use crate::place::Place;
use crate::runs::{Drive, drive, with_engine};

/// The name of the demonstration's run.
const NAME: &str = "demo";

/// What a run went through.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Life {
    /// The id of the run.
    run: String,
    /// How many tasks it has.
    tasks: u32,
    /// The state after it was created.
    #[schema(value_type = RunState)]
    created: &'static str,
    /// The state after it was started.
    #[schema(value_type = RunState)]
    started: &'static str,
    /// The state in which it ended.
    #[schema(value_type = RunState)]
    ended: &'static str,
    /// How many of its tasks completed.
    completed_tasks: usize,
    #[serde(skip)]
    pub(super) state: RunState,
}

impl Life {
    /// Lets a run of so many tasks live.
    pub(super) fn live(n_tasks: u32, database: &Database, by: &str, output: &Output) -> Result<Self, Error> {
        let what = What::BuiltIn { name: NAME.to_owned(), tasks: n_tasks as usize };
        let create = Command::Create { what, input: Map::new(), at: None, key: None, version: None };
        let place = Place::from(database.clone());
        let created = with_engine(&place, output, async |engine| engine.perform(create, by).await)?;
        let id = created.id;
        let started = with_engine(&place, output, async |engine| engine.perform(Command::Start { run: id }, by).await)?;
        let job = Drive {
            place: &place,
            id,
            command: Command::Execute { run: id },
            actor: by,
            timeout: None,
            isolation: &IsolationArgs::default(),
        };
        let report = drive(job, &output.silent())?;
        Ok(Self {
            run: id.to_string(),
            tasks: n_tasks,
            created: created.state.as_str(),
            started: started.state.as_str(),
            ended: report.state.as_str(),
            completed_tasks: report.n_completed(),
            state: report.state,
        })
    }

    pub(super) fn text(&self) -> String {
        let Self { run, tasks, created, started, ended, completed_tasks, state } = self;
        let processed = if state.is_terminal() { "All tasks processed" } else { "Not all tasks were processed" };
        format!(
            "1. Creating run with {tasks} tasks...\n   Run ID: {run}\n   Status: {created}\n\
             2. Starting run...\n   Status: {started}\n\
             3. Processing tasks...\n   {processed}\n\
             4. Completing run...\n   Final status: {ended}\n   Completed tasks: {completed_tasks}/{tasks}\n"
        )
    }
}
