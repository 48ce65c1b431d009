//! `workflow show`: one workflow and its tasks.

use cloacina::WorkflowRecord;
use cloacina_workflow::descriptor;
use serde::Serialize;

use super::list::state;
use crate::cli::WorkflowShowArgs;
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::table::few;

#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    tenant: &'a str,
    package: &'a str,
    version: Option<&'a str>,
    content_digest: Option<String>,
    state: &'static str,
    /// As the package declares it.
    workflow: &'a descriptor::Workflow,
}

/// Shows a workflow.
pub(crate) fn show(arguments: &WorkflowShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let known = database.records(output)?.map_or(Ok(Vec::new()), |mut records| records.workflows())?;
    let found = choose(&known, &arguments.name)?;
    let shown = Shown {
        name: &found.name,
        tenant: &found.tenant,
        package: &found.package,
        version: found.version.as_deref(),
        content_digest: found.digest.map(|digest| digest.to_string()),
        state: state(found),
        workflow: &found.descriptor,
    };
    output.answer(&shown, |paint| shown.text(paint))?;
    Ok(exit::SUCCESS)
}

/// The version that new runs get of the one workflow that the name fits, else its newest.
fn choose<'a>(known: &'a [WorkflowRecord], name: &str) -> Result<&'a WorkflowRecord, Error> {
    let ending = format!("::{name}");
    let fitting: Vec<&WorkflowRecord> =
        known.iter().filter(|workflow| workflow.name == name || workflow.name.ends_with(&ending)).collect();
    let mut names: Vec<&str> = fitting.iter().map(|workflow| workflow.name.as_str()).collect();
    names.dedup();
    match (names.as_slice(), fitting.first()) {
        ([_], Some(newest)) => {
            let active = fitting.iter().find(|workflow| state(workflow) == "active");
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
        let facts = [
            ("workflow", Some(self.name.to_owned())),
            ("version", self.version.map(str::to_owned)),
            ("digest", self.content_digest.clone()),
            ("state", Some(self.state.to_owned())),
            ("description", self.workflow.description.clone()),
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
