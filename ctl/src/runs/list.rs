//! `runs list`: the runs that fit, newest first.
//!
//! What is listed is what is stored, whether or not an engine lives; one row more than asked for is read, to tell whether
//! there are more.

use cloacina::{RunFilter, RunState, RunSummary, Timestamp};
use serde::Serialize;

use super::moment;
use super::view::{brief_name, paint_state, span};
use crate::cli::RunsListArgs;
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

#[derive(Debug, Serialize)]
struct Listed {
    runs: Vec<Row>,
    /// Whether more runs fit than were asked for.
    more: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    run: String,
    workflow: String,
    tenant: String,
    state: &'static str,
    /// Null once the history of the run was removed.
    completed_tasks: Option<usize>,
    total_tasks: usize,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// Whether an engine drives it now; null once it has ended.
    driven: Option<bool>,
    /// The actor that asked for it, if one was named.
    created_by: Option<String>,
    /// Who took it off the list of dead letters.
    dismissed_by: Option<String>,
    #[serde(skip)]
    at: RunState,
    #[serde(skip)]
    short_id: String,
}

/// Lists runs.
pub(crate) fn list(arguments: &RunsListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let now = Timestamp::now();
    let moment =
        |option, text: &Option<String>| text.as_deref().map(|text| moment::parse(option, text, now)).transpose();
    let filter = RunFilter {
        states: arguments.state.clone(),
        workflow: arguments.workflow.clone(),
        tenant: arguments.tenant.clone(),
        created_from: moment("--since", &arguments.since)?,
        created_before: moment("--until", &arguments.until)?,
        not_dismissed: false,
        ids: None,
    };
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let limit = arguments.limit as usize;
    let mut runs = match database.records(output)? {
        Some(mut records) => records.runs(&filter, limit + 1)?,
        None => Vec::new(),
    };
    let more = runs.len() > limit;
    runs.truncate(limit);
    let listed = Listed { runs: runs.into_iter().map(Row::new).collect(), more };
    output.answer(&listed, |paint| listed.text(now, paint))?;
    if listed.runs.iter().any(Row::is_stalled) {
        let option = database.option();
        output.note(&format!("to go on with a run that has no engine: cloacina-ctl runs execute RUN{option}"));
    }
    if listed.more {
        output.note(&format!("only the newest {limit} are listed; --limit N lists more"));
    }
    Ok(exit::SUCCESS)
}

impl Row {
    fn new(run: RunSummary) -> Self {
        let RunSummary { status, tenant, n_tasks, n_completed, short_id, is_driven, created_by, dismissed_by, .. } =
            run;
        Self {
            run: status.id.to_string(),
            workflow: status.workflow,
            tenant,
            state: status.state.as_str(),
            completed_tasks: n_completed,
            total_tasks: n_tasks,
            created_at: status.created_at,
            started_at: status.started_at,
            finished_at: status.finished_at,
            driven: (!status.state.is_terminal()).then_some(is_driven),
            created_by,
            dismissed_by,
            at: status.state,
            short_id,
        }
    }

    /// How many of its tasks completed, as far as that is known.
    fn progress(&self) -> String {
        match self.completed_tasks {
            Some(completed) => format!("{completed}/{}", self.total_tasks),
            None => format!("-/{}", self.total_tasks),
        }
    }

    /// Whether it goes on only once there is an engine again.
    fn is_stalled(&self) -> bool {
        self.at == RunState::Running && self.driven == Some(false)
    }
}

impl Listed {
    fn text(&self, now: Timestamp, paint: Paint) -> String {
        if self.runs.is_empty() {
            return "no runs\n".to_owned();
        }
        let header = ["run", "workflow", "state", "tasks", "age", "time"].map(str::to_owned).to_vec();
        let rows = self.runs.iter().map(|run| {
            vec![
                run.short_id.clone(),
                brief_name(&run.workflow).to_owned(),
                paint_state(run.at, paint),
                run.progress(),
                moment::age(run.created_at, now),
                if run.is_stalled() { "no engine".to_owned() } else { span(run.started_at, run.finished_at) },
            ]
        });
        paint.columns([header].into_iter().chain(rows), "")
    }
}
