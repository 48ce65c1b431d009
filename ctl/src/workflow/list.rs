//! `workflow list`: every workflow of a database, with the version that new runs get.
//!
//! A workflow has the same fields here and where it is shown alone.

use cloacina::{PackageState, WorkflowRecord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::WorkflowListArgs;
use crate::config::Config;
use crate::database::Database;
use crate::document::{Document, WorkflowStateName};
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

/// The workflows of a database.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The workflows, by name.
    workflows: Vec<WorkflowView>,
}

impl Document for Listed {}

/// One version of a workflow, with the same fields wherever one is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowView {
    /// The full name: `tenant::package::workflow`, or the bare name of one that is compiled in.
    pub(super) name: String,
    /// The tenant.
    tenant: String,
    /// The name of the package. Absent for a workflow that is compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<String>,
    /// The version of the package. Absent once it is not registered any longer, and for a workflow that is compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// The content digest of the package's version. Absent for a workflow that is compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_digest: Option<String>,
    /// The state of the package's version; `removed` once it is not registered any longer, `compiled_in` for a workflow
    /// without a package.
    #[schema(value_type = WorkflowStateName)]
    pub(super) state: &'static str,
    /// How many tasks it has.
    tasks: usize,
    /// What it is for. Absent if its author does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
}

/// Lists workflows.
pub(crate) fn list(arguments: &WorkflowListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let known = database.records(output)?.map_or(Ok(Vec::new()), |mut records| records.workflows())?.into_iter();
    let mut rows: Vec<WorkflowView> = known
        .filter(|workflow| arguments.tenant.as_ref().is_none_or(|tenant| workflow.tenant == *tenant))
        .filter(|workflow| arguments.all || is_current(workflow))
        .map(|workflow| WorkflowView::new(&workflow))
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

impl WorkflowView {
    pub(super) fn new(workflow: &WorkflowRecord) -> Self {
        Self {
            state: state(workflow),
            name: workflow.name.clone(),
            tenant: workflow.tenant.clone(),
            package: Some(workflow.package.clone()).filter(|package| !package.is_empty()),
            version: workflow.version.clone(),
            content_digest: workflow.digest.map(|digest| digest.to_string()),
            tasks: workflow.descriptor.tasks.len(),
            description: workflow.descriptor.description.clone(),
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
