//! `workflow show`: one workflow and its tasks.

use cloacina::{PackageState, WorkflowRecord, WorkflowState, is_name_of};
use cloacina_workflow::descriptor;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::WorkflowShowArgs;
use crate::config::Config;
use crate::database::Database;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::table::few;

/// A workflow.
///
/// The fields of the workflow itself are those that it has in the list of workflows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown<'a> {
    #[serde(flatten)]
    view: &'a WorkflowRecord,
    /// The workflow as its package declares it: a member of `workflows` in [the description](../abi.md) of a package.
    #[schema(value_type = Object)]
    workflow: &'a descriptor::Workflow,
}

impl Document for Shown<'_> {}

/// Shows a workflow.
pub(crate) fn show(arguments: &WorkflowShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let known = database.records(output)?.map_or(Ok(Vec::new()), |mut records| records.workflows())?;
    let found = choose(&known, &arguments.name)?;
    let shown = Shown { view: found, workflow: &found.descriptor };
    output.answer(&shown, |paint| shown.text(paint))?;
    Ok(exit::SUCCESS)
}

/// The version that new runs get of the one workflow that the name fits, else its newest.
fn choose<'a>(known: &'a [WorkflowRecord], name: &str) -> Result<&'a WorkflowRecord, Error> {
    let fitting: Vec<&WorkflowRecord> = known.iter().filter(|workflow| is_name_of(name, &workflow.name)).collect();
    let mut names: Vec<&str> = fitting.iter().map(|workflow| workflow.name.as_str()).collect();
    names.dedup();
    match (names.as_slice(), fitting.first()) {
        ([_], Some(newest)) => {
            let active =
                fitting.iter().find(|workflow| workflow.state == WorkflowState::Packaged(PackageState::Active));
            Ok(active.unwrap_or(newest))
        }
        ([], _) | (_, None) => Err(Error::WorkflowNotThere { name: name.to_owned() }),
        (several, _) => {
            let candidates = several.iter().map(|name| (*name).to_owned()).collect();
            Err(Error::Engine(cloacina::Error::AmbiguousWorkflow { name: name.to_owned(), candidates }))
        }
    }
}

impl Shown<'_> {
    fn text(&self, paint: Paint) -> String {
        let workflow = self.view;
        let facts = [
            ("workflow", Some(workflow.name.clone())),
            ("version", workflow.version.clone()),
            ("digest", workflow.digest.map(|digest| digest.to_string())),
            ("state", Some(workflow.state.as_str().to_owned())),
            ("description", workflow.description.clone()),
        ];
        let facts = facts.into_iter().filter_map(|(name, fact)| Some(vec![name.to_owned(), fact?]));
        let mut text = paint.columns(facts, "");
        text.push('\n');
        let header = ["task", "depends on", "retries", "timeout", "description"].map(str::to_owned).to_vec();
        let rows = self.workflow.tasks.iter().map(|task| {
            vec![
                task.id.clone(),
                few(&task.dependencies),
                task.retry.attempts.to_string(),
                task.timeout_ms.map(|timeout| format!("{timeout} ms")).unwrap_or_default(),
                task.description.clone().unwrap_or_default(),
            ]
        });
        text.push_str(&paint.columns([header].into_iter().chain(rows), "  "));
        text
    }
}
