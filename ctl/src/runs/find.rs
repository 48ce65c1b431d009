//! From what stands on the command line to the run, or the runs, that it means.

use cloacina::{RunFilter, RunId, RunReport, RunSummary, is_name_of};

use crate::cli::RunArg;
use crate::config::Config;
use crate::error::Error;
use crate::place::{Place, Source};

/// The word for the newest run.
const LATEST: &str = "latest";
/// How many runs an ambiguous id lists.
const CANDIDATES_MAX: usize = 5;

/// A run, and where it is.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) source: Source,
    pub(super) id: RunId,
}

impl Found {
    /// Opens the database, or asks the server, and finds the run.
    pub(super) fn open(argument: &RunArg, config: &Config) -> Result<Self, Error> {
        let place = Place::choose(&argument.database, config)?;
        let mut source = place.source_needed()?;
        let id = find(&mut source, &argument.run)?;
        Ok(Self { place, source, id })
    }
}

/// The runs that are named, each once, the oldest first.
pub(super) fn find_all(source: &mut Source, texts: &[String]) -> Result<Vec<RunSummary>, Error> {
    let mut found = Vec::new();
    for text in texts {
        let id = find(source, text)?;
        found.extend(source.run(id)?);
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
pub(crate) fn find(source: &mut Source, text: &str) -> Result<RunId, Error> {
    if text == LATEST {
        let newest = source.runs(&RunFilter::default(), 1)?;
        return newest.first().map(|run| run.status.id).ok_or(Error::NoRuns);
    }
    let found = source.runs_named(text, CANDIDATES_MAX + 1)?;
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
