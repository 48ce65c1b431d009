//! `prune`: removes what need not be kept, or shows what that is.
//!
//! To show it the database is only looked at. To remove it this program is an engine that starts no task, for as long
//! as it takes: on PostgreSQL beside any other, on a SQLite file only where no engine lives.

use cloacina::{PrunePlan, Pruned, Timestamp};

use crate::cli::PruneArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;
use crate::runs::with_idle_engine;

const PROGRESS: &str = "  {spinner} {msg} {elapsed}";

impl Document for PrunePlan {}

impl Document for Pruned {}

/// Removes what need not be kept.
pub(crate) fn prune(arguments: &PruneArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Place::database(&arguments.database, config)?;
    let policy = database.retention.clone();
    let records = database.records(output)?;
    if arguments.dry_run || records.is_none() {
        let planned = match records {
            Some(mut records) => records.prune_plan(&policy, Timestamp::now())?,
            None => PrunePlan::default(),
        };
        output.answer(&planned, |paint| plan_text(&planned, paint))?;
        return Ok(exit::SUCCESS);
    }
    drop(records);
    let live = output.live(PROGRESS);
    let pruned = with_idle_engine(&database, output, async |engine| {
        Ok(engine.prune(&policy, |pruned| live.set(format!("{} runs, {} rows", pruned.n_runs, pruned.n_rows))).await?)
    })?;
    drop(live);
    output.answer(&pruned, |_| pruned_text(&pruned))?;
    Ok(exit::SUCCESS)
}

fn plan_text(plan: &PrunePlan, paint: Paint) -> String {
    if *plan == PrunePlan::default() {
        return "nothing to remove\n".to_owned();
    }
    let header = ["what", "runs", "state", "workflow"].map(str::to_owned).to_vec();
    let row = |what: &str, n_runs: u64, state: &str, workflow: &str| {
        vec![what.to_owned(), n_runs.to_string(), state.to_owned(), workflow.to_owned()]
    };
    let mut rows: Vec<Vec<String>> =
        plan.due.iter().map(|due| row(due.what, due.n_runs, due.state, &due.workflow)).collect();
    if plan.n_excess > 0 {
        rows.push(row("run", plan.n_excess, "finished", "beyond retention.runs_max"));
    }
    let mut text = if rows.is_empty() { String::new() } else { paint.columns([header].into_iter().chain(rows), "") };
    text.push_str(&format!("{} lines of logs\n", plan.n_lines));
    text
}

fn pruned_text(pruned: &Pruned) -> String {
    let Pruned { n_runs, n_events, n_contexts, n_lines, n_rows, .. } = pruned;
    format!(
        "removed {n_runs} runs, {n_events} histories, {n_contexts} contexts and {n_lines} lines of logs: {n_rows} rows\n"
    )
}
