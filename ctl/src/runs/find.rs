//! From what stands on the command line to the run, or the runs, that it means.

use cloacina::{Records, RunFilter, RunId, RunReport, RunSummary, is_name_of};

use crate::cli::RunArg;
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;

/// The word for the newest run.
const LATEST: &str = "latest";
/// How many runs an ambiguous id lists.
const CANDIDATES_MAX: usize = 5;

/// A run in the database that holds it.
pub(super) struct Found {
    pub(super) database: Database,
    pub(super) records: Records,
    pub(super) id: RunId,
}

impl Found {
    /// Opens the database and finds the run.
    pub(super) fn open(argument: &RunArg, config: &Config) -> Result<Self, Error> {
        let database = Database::choose(argument.database.database.as_deref(), config)?;
        let mut records = database.records_needed()?;
        let id = find(&mut records, &argument.run)?;
        Ok(Self { database, records, id })
    }
}

/// The runs that are named, each once, the oldest first.
pub(super) fn find_all(records: &mut Records, texts: &[String]) -> Result<Vec<RunSummary>, Error> {
    let mut found = Vec::new();
    for text in texts {
        let id = find(records, text)?;
        found.extend(records.runs(&RunFilter { ids: Some((id, id)), ..RunFilter::default() }, 1)?);
    }
    found.sort_by_key(|run| run.status.id);
    found.dedup_by_key(|run| run.status.id);
    Ok(found)
}

/// The id of the task of a run that a text means: the id itself, or a name that ends with it, as far as
/// `tenant::package::workflow::task`.
pub(super) fn find_task(report: &RunReport, text: &str) -> Result<String, Error> {
    if report.tasks.is_empty() {
        // Retention has removed what is known of its tasks, and the engine says so.
        return Ok(text.to_owned());
    }
    task_of(&report.id.to_string(), &report.workflow, report.tasks.iter().map(|task| task.id.as_str()), text)
}

/// The same, of a run with these tasks.
pub(super) fn task_of<'a>(
    run: &str,
    workflow: &str,
    ids: impl Iterator<Item = &'a str> + Clone,
    text: &str,
) -> Result<String, Error> {
    let last = text.rsplit_once("::").filter(|(before, _)| is_name_of(before, workflow)).map(|(_, last)| last);
    let found = ids.clone().find(|id| *id == text).or_else(|| ids.clone().find(|id| Some(*id) == last));
    found.map(str::to_owned).ok_or_else(|| Error::UnknownTask {
        run: run.to_owned(),
        task: text.to_owned(),
        available: ids.map(str::to_owned).collect(),
    })
}

/// The one run with an id that begins so, or the newest.
pub(crate) fn find(records: &mut Records, text: &str) -> Result<RunId, Error> {
    let all = RunFilter::default();
    if text == LATEST {
        let newest = records.runs(&all, 1)?;
        return newest.first().map(|run| run.status.id).ok_or(Error::NoRuns);
    }
    let ids = RunId::range_of(text).ok_or_else(|| Error::BadRunId { text: text.to_owned() })?;
    let found = records.runs(&RunFilter { ids: Some(ids), ..all }, CANDIDATES_MAX + 1)?;
    match found.as_slice() {
        [] => Err(Error::UnknownRunPrefix { text: text.to_owned() }),
        [run] => Ok(run.status.id),
        several => {
            let name = |run: &cloacina::RunSummary| {
                format!("{}  {}  {}", run.status.id, run.status.state, run.status.workflow)
            };
            let mut candidates: Vec<String> = several.iter().take(CANDIDATES_MAX).map(name).collect();
            if several.len() > CANDIDATES_MAX {
                candidates.push("and more".to_owned());
            }
            Err(Error::AmbiguousRun { text: text.to_owned(), candidates })
        }
    }
}
