//! `workflow list`: every workflow of a database, with the version that new runs get.
//!
//! A workflow has the same fields here and where it is shown alone.

use cloacina::{PackageState, WorkflowFilter, WorkflowRecord, WorkflowState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::WorkflowListArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;

/// The workflows of a database.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The workflows, by name.
    workflows: Vec<WorkflowRecord>,
}

impl Document for Listed {}

/// Lists workflows.
pub(crate) fn list(arguments: &WorkflowListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let place = Place::choose(&arguments.database, config)?;
    let filter =
        WorkflowFilter { tenant: arguments.tenant.clone(), current: !arguments.all, ..WorkflowFilter::default() };
    let workflows = place.source(output)?.map_or(Ok(Vec::new()), |mut source| source.workflows(&filter))?;
    let listed = Listed { workflows };
    output.answer(&listed, |paint| listed.text(paint))?;
    Ok(exit::SUCCESS)
}

impl Listed {
    fn text(&self, paint: Paint) -> String {
        if self.workflows.is_empty() {
            return "no workflows\n".to_owned();
        }
        let header = ["workflow", "version", "state", "tasks", "description"].map(str::to_owned).to_vec();
        let rows = self.workflows.iter().map(|row| {
            let state = match row.state {
                WorkflowState::Packaged(PackageState::Active) => paint.green(row.state.as_str()),
                state => state.as_str().to_owned(),
            };
            let description = row.description.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
            let version = row.version.clone().unwrap_or_default();
            vec![row.name.clone(), version, state, row.tasks.to_string(), description.to_owned()]
        });
        paint.columns([header].into_iter().chain(rows), "")
    }
}
