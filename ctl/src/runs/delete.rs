//! `runs delete`: removes runs that have ended, with their histories and logs.
//!
//! Named runs are deleted all or none, unless a running engine is asked for each. Of those that a filter chooses, those
//! that have not ended stay, and are named.

use cloacina::{RunId, RunSummary};
use serde::Serialize;
use utoipa::ToSchema;

use super::engine::with_engine;
use super::find::find_all;
use super::short::ShortIds;
use super::view::brief_name;
use crate::cli::RunsDeleteArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;

/// Runs that one command deletes at most.
const RUNS_MAX: usize = 1_000_000;

/// Runs that were deleted, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// Whether the runs were only looked up, with `--dry-run`.
    dry_run: bool,
    /// The runs that were deleted, as they were before.
    runs: Vec<RunSummary>,
    /// The matching runs that are kept, because they have not ended.
    not_ended: Vec<RunSummary>,
}

impl Document for Deleted {}

/// Deletes runs.
pub(crate) fn delete(arguments: &RunsDeleteArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let place = Place::choose(&arguments.database, config)?;
    let source = match arguments.runs.is_empty() {
        true => place.source(output)?,
        false => Some(place.source_needed()?),
    };
    let (found, short) = match source {
        Some(mut source) => {
            let found = match arguments.runs.is_empty() {
                true => source.runs(&arguments.filter.filter()?, RUNS_MAX)?,
                false => find_all(&mut source, &arguments.runs)?,
            };
            let short = ShortIds::of(&mut source, &found)?;
            (found, short)
        }
        None => (Vec::new(), ShortIds::default()),
    };
    let is_kept = |run: &RunSummary| arguments.runs.is_empty() && !run.status.state.is_terminal();
    let (kept, chosen): (Vec<RunSummary>, Vec<RunSummary>) = found.into_iter().partition(is_kept);
    let deleted = Deleted { dry_run: arguments.dry_run, runs: chosen, not_ended: kept };
    let ids: Vec<RunId> = deleted.runs.iter().map(|row| row.status.id).collect();
    if !arguments.dry_run && !ids.is_empty() {
        let live = output.live("  {spinner} {msg} {elapsed}");
        with_engine(&place, output, async |engine| engine.delete(&ids, |text| live.set(text)).await)?;
    }
    output.answer(&deleted, |paint| deleted.text(&short, paint))?;
    if let [row, ..] = deleted.not_ended.as_slice() {
        let kept = match deleted.not_ended.len() {
            1 => "1 run has not ended and stays; cancel it first".to_owned(),
            n_kept => format!("{n_kept} runs have not ended and stay; cancel them first"),
        };
        output.note(&format!("{kept}: cloacina-ctl runs cancel {}{}", row.status.id, place.option()));
    }
    Ok(exit::SUCCESS)
}

impl Deleted {
    fn text(&self, short: &ShortIds, paint: Paint) -> String {
        if self.runs.is_empty() {
            return "no runs\n".to_owned();
        }
        let header = [if self.dry_run { "would be deleted" } else { "deleted" }, "workflow", "state"];
        let name = |row: &RunSummary| brief_name(&row.status.workflow).to_owned();
        let rows = self.runs.iter().map(|row| vec![short.get(row.status.id), name(row), row.status.state.to_string()]);
        paint.columns([header.map(str::to_owned).to_vec()].into_iter().chain(rows), "")
    }
}
