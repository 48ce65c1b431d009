//! `workflow list`: every workflow of a database, with the version that new runs get.

use cloacina::{PackageState, WorkflowRecord};
use serde::Serialize;

use crate::cli::WorkflowListArgs;
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

#[derive(Debug, Serialize)]
struct Listed {
    workflows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    tenant: String,
    package: String,
    version: Option<String>,
    content_digest: Option<String>,
    /// `active`, `registered`, `retired`, `quarantined`, `removed`, or `compiled_in` for one without a package's file.
    state: &'static str,
    tasks: usize,
    description: Option<String>,
}

/// Lists workflows.
pub(crate) fn list(arguments: &WorkflowListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let known = database.records(output)?.map_or(Ok(Vec::new()), |mut records| records.workflows())?.into_iter();
    let mut rows: Vec<Row> = known
        .filter(|workflow| arguments.tenant.as_ref().is_none_or(|tenant| workflow.tenant == *tenant))
        .filter(|workflow| arguments.all || is_current(workflow))
        .map(Row::new)
        .collect();
    if !arguments.all {
        // Of a workflow that is compiled into programs, the newest version comes first.
        rows.dedup_by(|next, kept| next.name == kept.name);
    }
    let listed = Listed { workflows: rows };
    output.answer(&listed, |paint| listed.text(paint))?;
    Ok(exit::SUCCESS)
}

/// Whether new runs get it, as far as the database tells.
fn is_current(workflow: &WorkflowRecord) -> bool {
    workflow.digest.is_none() || workflow.state == Some(PackageState::Active)
}

pub(super) fn state(workflow: &WorkflowRecord) -> &'static str {
    match (workflow.digest, workflow.state) {
        (None, _) => "compiled_in",
        (Some(_), Some(state)) => state.as_str(),
        (Some(_), None) => "removed",
    }
}

impl Row {
    fn new(workflow: WorkflowRecord) -> Self {
        Self {
            state: state(&workflow),
            name: workflow.name,
            tenant: workflow.tenant,
            package: workflow.package,
            version: workflow.version,
            content_digest: workflow.digest.map(|digest| digest.to_string()),
            tasks: workflow.descriptor.tasks.len(),
            description: workflow.descriptor.description,
        }
    }
}

impl Listed {
    fn text(&self, paint: Paint) -> String {
        if self.workflows.is_empty() {
            return "no workflows\n".to_owned();
        }
        let header = ["workflow", "version", "state", "tasks", "description"].map(str::to_owned).to_vec();
        let rows = self.workflows.iter().map(|row| {
            let state = if row.state == "active" { paint.green(row.state) } else { row.state.to_owned() };
            let description = row.description.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
            let version = row.version.clone().unwrap_or_default();
            vec![row.name.clone(), version, state, row.tasks.to_string(), description.to_owned()]
        });
        paint.columns([header].into_iter().chain(rows), "")
    }
}
