//! `runs dead-letters`: the failed runs that nobody dismissed.
//!
//! A list and no state of its own: `runs dismiss` takes a run off it, `runs rerun --failed` makes a new one of it.

use cloacina::{Records, RunFilter, RunState, RunStatus, Timestamp};
use serde::Serialize;

use super::moment::ago;
use crate::cli::RunsDeadLettersArgs;
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, columns};

/// As many as anybody reads.
const RUNS_MAX: usize = 10_000;

#[derive(Debug, Serialize)]
struct Listed {
    runs: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    run: String,
    workflow: String,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// Lists the failed runs that nobody dismissed.
pub(crate) fn dead_letters(arguments: &RunsDeadLettersArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let filter = RunFilter { states: vec![RunState::Failed], not_dismissed: true, ..RunFilter::default() };
    let runs = Records::open(&database.url)?.runs(&filter, RUNS_MAX)?;
    let listed = Listed { runs: runs.into_iter().map(|run| Row::new(run.status)).collect() };
    output.answer(&listed, |_| listed.text(Timestamp::now()))?;
    Ok(exit::SUCCESS)
}

impl Row {
    fn new(run: RunStatus) -> Self {
        let RunStatus { id, workflow, created_at, finished_at, .. } = run;
        Self { run: id.to_string(), workflow, created_at, finished_at }
    }
}

impl Listed {
    fn text(&self, now: Timestamp) -> String {
        if self.runs.is_empty() {
            return "no dead letters\n".to_owned();
        }
        let header = ["run", "workflow", "failed"].map(str::to_owned).to_vec();
        let rows = self.runs.iter().map(|run| {
            let failed = run.finished_at.map(|at| ago(at, now)).unwrap_or_default();
            vec![run.run.clone(), run.workflow.clone(), failed]
        });
        columns([header].into_iter().chain(rows), "")
    }
}
