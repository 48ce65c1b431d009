//! `runs dead-letters`: the failed runs that were not dismissed.
//!
//! A list and no state of its own: `runs dismiss` takes a run off it, `runs rerun --failed` makes a new one of it.

use cloacina::{RunFilter, RunState, RunSummary, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::moment::ago;
use super::short::ShortIds;
use super::view::brief_name;
use crate::cli::RunsDeadLettersArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;

/// As many as anybody reads.
const RUNS_MAX: usize = 10_000;

/// Failed runs that were not dismissed, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The runs.
    runs: Vec<RunSummary>,
}

impl Document for Listed {}

/// Lists the failed runs that were not dismissed.
pub(crate) fn dead_letters(arguments: &RunsDeadLettersArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let place = Place::choose(&arguments.database, config)?;
    let filter = RunFilter { states: vec![RunState::Failed], not_dismissed: true, ..RunFilter::default() };
    let (runs, short) = match place.source(output)? {
        Some(mut source) => {
            let runs = source.runs(&filter, RUNS_MAX)?;
            let short = ShortIds::of(&mut source, &runs)?;
            (runs, short)
        }
        None => (Vec::new(), ShortIds::default()),
    };
    let listed = Listed { runs };
    output.answer(&listed, |paint| listed.text(Timestamp::now(), &short, paint))?;
    Ok(exit::SUCCESS)
}

impl Listed {
    fn text(&self, now: Timestamp, short: &ShortIds, paint: Paint) -> String {
        if self.runs.is_empty() {
            return "no dead letters\n".to_owned();
        }
        let header = ["run", "workflow", "failed"].map(str::to_owned).to_vec();
        let rows = self.runs.iter().map(|run| {
            let failed = run.status.finished_at.map(|at| ago(at, now)).unwrap_or_default();
            vec![short.get(run.status.id), brief_name(&run.status.workflow).to_owned(), failed]
        });
        paint.columns([header].into_iter().chain(rows), "")
    }
}
