//! `runs list`: the runs that fit, newest first.
//!
//! What is listed is what is stored, whether or not an engine lives; one row more than asked for is read, to tell whether
//! there are more.

use cloacina::{RunSummary, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::moment;
use super::view::{brief_name, paint_state, progress, span};
use crate::cli::RunsListArgs;
use crate::config::Config;
use crate::database::Database;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

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
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let limit = arguments.limit as usize;
    let mut runs = match database.records(output)? {
        Some(mut records) => records.runs(&filter, limit + 1)?,
        None => Vec::new(),
    };
    let more = runs.len() > limit;
    runs.truncate(limit);
    let listed = Listed { runs, more };
    output.answer(&listed, |paint| listed.text(now, paint))?;
    if listed.runs.iter().any(RunSummary::is_stalled) {
        let option = database.option();
        output.note(&format!("to continue a run that has no engine: cloacina-ctl runs execute RUN{option}"));
    }
    if listed.more {
        output.note(&format!("only the newest {limit} are listed; --limit N lists more"));
    }
    Ok(exit::SUCCESS)
}

impl Listed {
    fn text(&self, now: Timestamp, paint: Paint) -> String {
        if self.runs.is_empty() {
            return "no runs\n".to_owned();
        }
        let header = ["run", "workflow", "state", "tasks", "age", "time"].map(str::to_owned).to_vec();
        let rows = self.runs.iter().map(|run| {
            let status = &run.status;
            vec![
                run.short_id.clone(),
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
