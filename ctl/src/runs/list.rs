//! `runs list`: the runs that fit, newest first.
//!
//! What is listed is what is stored, whether or not an engine lives.

use cloacina::{RunSummary, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::moment;
use super::short::ShortIds;
use super::view::{brief_name, paint_state, progress, span};
use crate::cli::RunsListArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::{Place, Runs};

/// Runs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The matching runs.
    runs: Vec<RunSummary>,
    /// Whether more runs match than were listed.
    more: bool,
}

impl Document for Listed {}

/// Lists runs.
pub(crate) fn list(arguments: &RunsListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let now = Timestamp::now();
    let filter = arguments.filter.filter()?;
    let place = Place::choose(&arguments.database, config)?;
    let limit = arguments.limit as usize;
    let (found, short) = match place.source(output)? {
        Some(mut source) => {
            let found = source.list(&filter, limit)?;
            let short = ShortIds::of(&mut source, &found.runs)?;
            (found, short)
        }
        None => (Runs::default(), ShortIds::default()),
    };
    let listed = Listed { more: found.has_more, runs: found.runs };
    output.answer(&listed, |paint| listed.text(now, &short, paint))?;
    if listed.runs.iter().any(RunSummary::is_stalled) {
        let option = place.option();
        output.note(&format!("to continue a run that has no engine: cloacina-ctl runs execute RUN{option}"));
    }
    if listed.more {
        output.note(&format!("only the newest {limit} are listed; --limit N lists more"));
    }
    Ok(exit::SUCCESS)
}

impl Listed {
    fn text(&self, now: Timestamp, short: &ShortIds, paint: Paint) -> String {
        if self.runs.is_empty() {
            return "no runs\n".to_owned();
        }
        let header = ["run", "workflow", "state", "tasks", "age", "time"].map(str::to_owned).to_vec();
        let rows = self.runs.iter().map(|run| {
            let status = &run.status;
            vec![
                short.get(status.id),
                brief_name(&status.workflow).to_owned(),
                paint_state(status.state, paint),
                progress(status),
                moment::age(status.created_at, now),
                if run.is_stalled() { "no engine".to_owned() } else { span(status.started_at, status.finished_at) },
            ]
        });
        paint.columns([header].into_iter().chain(rows), "")
    }
}
