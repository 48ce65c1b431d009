//! `prune`: removes what need not be kept, or shows what that is.
//!
//! To show it the database is only looked at. To remove it this program is an engine that starts no task, for as long
//! as it takes: on PostgreSQL beside any other, on a SQLite file only where no engine lives.

use cloacina::{PruneCount, PrunePlan, Pruned, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::PruneArgs;
use crate::config::Config;
use crate::database::Database;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::runs::with_idle_engine;

const PROGRESS: &str = "  {spinner} {msg} {elapsed}";

/// Expired runs and logs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Planned {
    /// What has expired, by kind, state and workflow.
    due: Vec<Due>,
    /// How many runs are removed because there are too many.
    excess_runs: u64,
    /// How many log lines are removed.
    log_lines: u64,
}

impl Document for Planned {}

/// What is old enough to go.
#[derive(Debug, Serialize, ToSchema)]
struct Due {
    /// What is removed: `run`, `history` or `context`.
    what: &'static str,
    /// The state in which the runs ended.
    state: &'static str,
    /// The full name of their workflow.
    workflow: String,
    /// How many runs.
    runs: u64,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Removed {
    /// How many runs.
    runs: u64,
    /// How many histories of runs that stay.
    histories: u64,
    /// How many contexts of runs that stay.
    contexts: u64,
    /// How many lines of logs.
    log_lines: u64,
    /// How many rows of the database, all of these together.
    rows: u64,
}

impl Document for Removed {}

/// Removes what need not be kept.
pub(crate) fn prune(arguments: &PruneArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let policy = database.retention.clone();
    let records = database.records(output)?;
    if arguments.dry_run || records.is_none() {
        let planned = match records {
            Some(mut records) => Planned::new(records.prune_plan(&policy, Timestamp::now())?),
            None => Planned { due: Vec::new(), excess_runs: 0, log_lines: 0 },
        };
        output.answer(&planned, |paint| planned.text(paint))?;
        return Ok(exit::SUCCESS);
    }
    drop(records);
    let live = output.live(PROGRESS);
    let pruned = with_idle_engine(&database, output, async |engine| {
        Ok(engine.prune(&policy, |pruned| live.set(format!("{} runs, {} rows", pruned.n_runs, pruned.n_rows))).await?)
    })?;
    drop(live);
    let removed = Removed::new(pruned);
    output.answer(&removed, |_| removed.text())?;
    Ok(exit::SUCCESS)
}

impl Planned {
    fn new(plan: PrunePlan) -> Self {
        let PrunePlan { due, n_excess, n_lines, .. } = plan;
        let due = due.into_iter().map(|PruneCount { what, state, workflow, n_runs, .. }| Due {
            what,
            state,
            workflow,
            runs: n_runs,
        });
        Self { due: due.collect(), excess_runs: n_excess, log_lines: n_lines }
    }

    fn text(&self, paint: Paint) -> String {
        if self.due.is_empty() && self.excess_runs == 0 && self.log_lines == 0 {
            return "nothing to remove\n".to_owned();
        }
        let header = ["what", "runs", "state", "workflow"].map(str::to_owned).to_vec();
        let row = |what: &str, n_runs: u64, state: &str, workflow: &str| {
            vec![what.to_owned(), n_runs.to_string(), state.to_owned(), workflow.to_owned()]
        };
        let mut rows: Vec<Vec<String>> =
            self.due.iter().map(|due| row(due.what, due.runs, due.state, &due.workflow)).collect();
        if self.excess_runs > 0 {
            rows.push(row("run", self.excess_runs, "finished", "beyond retention.runs_max"));
        }
        let mut text =
            if rows.is_empty() { String::new() } else { paint.columns([header].into_iter().chain(rows), "") };
        text.push_str(&format!("{} lines of logs\n", self.log_lines));
        text
    }
}

impl Removed {
    fn new(pruned: Pruned) -> Self {
        Self {
            runs: pruned.n_runs,
            histories: pruned.n_events,
            contexts: pruned.n_contexts,
            log_lines: pruned.n_lines,
            rows: pruned.n_rows,
        }
    }

    fn text(&self) -> String {
        let Self { runs, histories, contexts, log_lines, rows } = self;
        format!(
            "removed {runs} runs, {histories} histories, {contexts} contexts and {log_lines} lines of logs: {rows} rows\n"
        )
    }
}
