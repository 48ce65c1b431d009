//! `cloacina-ctl demo`: the life of a run, step by step, on the built-in workflow.
//!
//! Each status is what an engine said at that step: the run is created and started by engines that start no task, and
//! then run by another one, as if three processes had done it.

use cloacina::{Command, RunState, What};
use serde::Serialize;
use serde_json::Map;

use crate::actor;
use crate::cli::{ActorArgs, DemoArgs, IsolationArgs};
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::output::Output;
use crate::package::place;
use crate::runs::{Drive, drive, exit_code, with_engine};

/// The name of the demonstration's run.
const NAME: &str = "demo";

#[derive(Debug, Serialize)]
struct Life {
    run: String,
    tasks: u32,
    created: &'static str,
    started: &'static str,
    ended: &'static str,
    completed_tasks: usize,
}

/// Shows the life of a run.
pub(crate) fn demo(arguments: &DemoArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let temporary = place::temporary_folder()?;
    let file = temporary.path().join("demo.db");
    let file = file.to_string_lossy();
    let database = Database::choose(Some(arguments.database.database.as_deref().unwrap_or(&file)), config)?;
    let actor = actor::name(&ActorArgs::default(), config);
    let what = What::BuiltIn { name: NAME.to_owned(), tasks: arguments.tasks as usize };
    let create = Command::Create { what, input: Map::new(), at: None, key: None };
    let created = with_engine(&database, output, async |engine| engine.perform(create, &actor).await)?;
    let id = created.id;
    let started =
        with_engine(&database, output, async |engine| engine.perform(Command::Start { run: id }, &actor).await)?;
    let job = Drive {
        database: &database,
        id,
        command: Command::Execute { run: id },
        actor: &actor,
        timeout: None,
        isolation: &IsolationArgs::default(),
    };
    let report = drive(job, &output.silent())?;
    let life = Life {
        run: id.to_string(),
        tasks: arguments.tasks,
        created: created.state.as_str(),
        started: started.state.as_str(),
        ended: report.state.as_str(),
        completed_tasks: report.n_completed(),
    };
    output.answer(&life, |_| life.text(report.state))?;
    Ok(exit_code(report.state))
}

impl Life {
    fn text(&self, state: RunState) -> String {
        let Self { run, tasks, created, started, ended, completed_tasks } = self;
        let processed = if state.is_terminal() { "All tasks processed" } else { "Not all tasks were processed" };
        format!(
            "1. Creating run with {tasks} tasks...\n   Run ID: {run}\n   Status: {created}\n\
             2. Starting run...\n   Status: {started}\n\
             3. Processing tasks...\n   {processed}\n\
             4. Completing run...\n   Final status: {ended}\n   Completed tasks: {completed_tasks}/{tasks}\n"
        )
    }
}
