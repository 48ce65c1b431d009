//! The same asked of several runs: those that are named, or all that fit.
//!
//! Each run has its own request and its own result; a refusal of one run does not affect the others. Which runs fit is
//! looked up once, before the first is asked; `--dry-run` ends there.

use cloacina::{Command, RunId, RunState, RunSummary};
use serde::Serialize;
use utoipa::ToSchema;

use super::engine::with_engine;
use super::find::find_all;
use super::short::ShortIds;
use super::view::brief_name;
use crate::cli::{ActorArgs, ChosenArgs};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::{Place, Source};

/// Runs that one command asks something of at most; more than that is left to a second one.
const RUNS_MAX: usize = 10_000;

/// What is asked of each run.
pub(super) struct Bulk<'a> {
    /// The command's name.
    pub(super) verb: &'static str,
    /// The states of runs that fit where none are given.
    pub(super) states: &'a [RunState],
    /// Whether runs that somebody dismissed do not fit.
    pub(super) not_dismissed: bool,
    pub(super) command: &'a dyn Fn(RunId) -> Command,
}

/// What several runs answered to one request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answers {
    /// The request: `pause`, `resume`, `cancel`, `retry`, `rerun` or `dismiss`.
    request: &'static str,
    /// Whether the runs were only looked up, with `--dry-run`.
    dry_run: bool,
    /// The named or matching runs, the oldest first.
    runs: Vec<Row>,
    /// How many runs performed the request.
    done: usize,
    /// How many runs refused the request.
    refused: usize,
    /// Whether more runs match than one command handles.
    more: bool,
}

impl Document for Answers {}

/// One run, as it stood before it was asked, and its answer.
#[derive(Debug, Serialize, ToSchema)]
struct Row {
    #[serde(flatten)]
    run: RunSummary,
    /// `done`, `refused`, or `chosen` with `--dry-run`.
    result: &'static str,
    /// The id of the new run, for a request that creates one.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_run: Option<String>,
    /// Why the run refused the request. Absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refusal>,
}

/// Why a run refused.
#[derive(Debug, Serialize, ToSchema)]
struct Refusal {
    /// The code of the error, which has a page in `docs/errors`.
    code: String,
    /// The error in words.
    message: String,
    /// What to do about it.
    hints: Vec<String>,
}

/// Asks that of all runs that are chosen.
pub(super) fn bulk(
    bulk: &Bulk<'_>,
    chosen: &ChosenArgs,
    actor: &ActorArgs,
    output: &Output,
    config: &Config,
) -> Result<u8, Error> {
    let place = Place::choose(&chosen.database, config)?;
    let by = place.actor(actor, config)?;
    let source = match chosen.runs.is_empty() {
        true => place.source(output)?,
        false => Some(place.source_needed()?),
    };
    let (mut found, short) = match source {
        Some(mut source) => {
            let found = match chosen.runs.is_empty() {
                true => fitting(bulk, chosen, &mut source)?,
                false => find_all(&mut source, &chosen.runs)?,
            };
            let short = ShortIds::of(&mut source, &found)?;
            (found, short)
        }
        None => (Vec::new(), ShortIds::default()),
    };
    let more = found.len() > RUNS_MAX;
    found.truncate(RUNS_MAX);
    // The oldest first, as they have waited longest.
    found.sort_by_key(|run| run.status.id);
    let mut rows: Vec<Row> = found.into_iter().map(Row::new).collect();
    if !chosen.dry_run && !rows.is_empty() {
        let live = output.live("  {spinner} {pos} of {len} runs {elapsed}");
        let n_rows = rows.len() as u64;
        with_engine(&place, output, async |engine| {
            for (row, n_done) in rows.iter_mut().zip(1..) {
                row.answer(engine.perform((bulk.command)(row.run.status.id), &by).await)?;
                live.set_position(n_done, n_rows);
            }
            Ok(())
        })?;
    }
    let count = |result| rows.iter().filter(|row| row.result == result).count();
    let (done, refused) = (count("done"), count("refused"));
    let answers = Answers { request: bulk.verb, dry_run: chosen.dry_run, runs: rows, done, refused, more };
    output.answer(&answers, |paint| answers.text(&short, paint))?;
    if more {
        output.note(&format!("more runs match; this command handled the newest {RUNS_MAX}: repeat it for the rest"));
    }
    Ok(if refused == 0 { exit::SUCCESS } else { exit::FAILED })
}

/// The runs that fit, the newest.
fn fitting(bulk: &Bulk<'_>, chosen: &ChosenArgs, source: &mut Source) -> Result<Vec<RunSummary>, Error> {
    let mut filter = chosen.filter.filter()?;
    if filter.states.is_empty() {
        filter.states = bulk.states.to_vec();
    }
    filter.not_dismissed = bulk.not_dismissed;
    source.runs(&filter, RUNS_MAX + 1)
}

impl Row {
    fn new(run: RunSummary) -> Self {
        Self { run, result: "chosen", new_run: None, error: None }
    }

    /// Notes what came of it. What is wrong with the engine is wrong for all.
    fn answer(&mut self, answer: Result<cloacina::RunReport, Error>) -> Result<(), Error> {
        match answer {
            Ok(report) => {
                self.result = "done";
                self.new_run = (report.id != self.run.status.id).then(|| report.id.to_string());
            }
            Err(error) if error.is_refusal() => {
                self.result = "refused";
                let (code, message) = (error.code().to_owned(), error.to_string());
                self.error = Some(Refusal { code, message, hints: error.hints() });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn text(&self, short: &ShortIds, paint: Paint) -> Vec<String> {
        let result = match self.result {
            "done" => paint.green("done"),
            "refused" => paint.red("refused"),
            other => other.to_owned(),
        };
        let more = match (&self.new_run, &self.error) {
            (Some(run), _) => format!("as {run}"),
            (None, Some(error)) => format!("{}: {}", error.code, error.message),
            (None, None) => String::new(),
        };
        let name = brief_name(&self.run.status.workflow).to_owned();
        vec![short.get(self.run.status.id), name, self.run.status.state.to_string(), result, more]
    }
}

impl Answers {
    fn text(&self, short: &ShortIds, paint: Paint) -> String {
        if self.runs.is_empty() {
            return "no runs\n".to_owned();
        }
        let header = ["run", "workflow", "was", self.request, ""].map(str::to_owned).to_vec();
        paint.columns([header].into_iter().chain(self.runs.iter().map(|row| row.text(short, paint))), "")
    }
}
