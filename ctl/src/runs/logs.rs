//! `runs logs`: what the tasks of a run wrote to their logs, so far or until the run has ended.
//!
//! Lines are read from the database, where the engine of the run stores them. A command that follows reads again
//! and again, as the engine is another process; once the run has ended, until no more lines have come for a while.

use cloacina::{Level, LogFilter, LogRecord, RunId, Timestamp, Value};
use serde::Serialize;
use utoipa::ToSchema;

use super::find::{Found, find_task};
use super::moment;
use super::wait::PERIOD;
use crate::cli::RunsLogsArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Source;
use crate::reader::Reader;
use crate::table::printable;

/// How many reads of the log of an ended run must find nothing new. Together they take longer than an engine
/// keeps lines before it stores them.
const QUIET_LOOKS: usize = 5;

/// The head of the column of tasks.
const TASK: &str = "task";

/// What the tasks of a run logged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The id of the run.
    run: String,
    /// The matching lines, the oldest first.
    lines: Vec<LogRecord>,
}

impl Document for Listed {}

/// A line is a document where a command follows the log.
impl Document for LogRecord {}

/// Shows the log of a run.
pub(crate) fn logs(arguments: &RunsLogsArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let now = Timestamp::now();
    let since = arguments.since.as_deref().map(|text| moment::parse("--since", text, now)).transpose()?;
    let Found { mut source, id, .. } = Found::open(&arguments.run, config)?;
    let report = source.report(id)?;
    let task = arguments.task.as_deref().map(|task| find_task(&report, task)).transpose()?;
    let width = report.tasks.iter().map(|task| task.id.chars().count()).max().unwrap_or(0).max(TASK.len());
    let mut filter = LogFilter {
        task,
        attempt: arguments.attempt,
        level: arguments.level,
        since,
        after: None,
        tail: arguments.tail.map(|tail| tail as usize),
    };
    if arguments.follow {
        return follow(&mut source, id, &mut filter, width, output);
    }
    let mut lines = Vec::new();
    while let Some(more) = next(&mut source, id, &mut filter)? {
        lines.extend(more);
    }
    let listed = Listed { run: id.to_string(), lines };
    output.answer(&listed, |paint| listed.text(width, paint))?;
    Ok(exit::SUCCESS)
}

/// Shows lines until the run has ended, or the output is closed.
fn follow(source: &mut Source, id: RunId, filter: &mut LogFilter, width: usize, output: &Output) -> Result<u8, Error> {
    if !source.state(id)?.is_terminal() && source.engine()?.is_none() {
        output.note("no engine drives this database: the run continues when an engine is started on it");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime =
        runtime.map_err(|source| Error::Io { action: "start a timer for", path: "the run".into(), source })?;
    runtime.block_on(async {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut reader = Reader::watch();
        let mut n_quiet = 0;
        loop {
            tokio::select! {
                biased;
                // As a program that is killed by the signal for it.
                () = reader.gone() => return Ok(exit::UNREAD),
                _ = ticks.tick() => {}
            }
            let has_ended = source.state(id)?.is_terminal();
            n_quiet += 1;
            while let Some(lines) = next(source, id, filter)? {
                n_quiet = 0;
                for line in &lines {
                    output.part(line, |paint| text(line, width, paint))?;
                }
            }
            // Without an engine there are no further lines.
            if has_ended && (n_quiet >= QUIET_LOOKS || source.engine()?.is_none()) {
                return Ok(exit::SUCCESS);
            }
        }
    })
}

/// The lines that follow those that were returned before.
fn next(source: &mut Source, id: RunId, filter: &mut LogFilter) -> Result<Option<Vec<LogRecord>>, Error> {
    let lines = source.logs(id, filter)?;
    filter.tail = None;
    let Some(last) = lines.last() else { return Ok(None) };
    filter.after = Some(last.number);
    Ok(Some(lines))
}

fn text(line: &LogRecord, width: usize, paint: Paint) -> String {
    let level = format!("{:5}", line.level);
    let level = match line.level {
        Level::Error => paint.red(&level),
        Level::Warn => paint.yellow(&level),
        _ => paint.cyan(&level),
    };
    let task = format!("{:width$}  {:<7}", line.task, line.attempt);
    let fields = match line.fields.is_empty() {
        true => String::new(),
        false => format!("  {}", Value::Object(line.fields.clone())),
    };
    let message = printable(&line.message);
    format!("{}  {level}  {task}  {message}{}\n", paint.dim(&line.at.to_string()), paint.dim(&printable(&fields)))
}

impl Listed {
    fn text(&self, width: usize, paint: Paint) -> String {
        if self.lines.is_empty() {
            return "no lines\n".to_owned();
        }
        let header = format!("{:27}  level  {TASK:width$}  attempt  line\n", "at");
        [header].into_iter().chain(self.lines.iter().map(|line| text(line, width, paint))).collect()
    }
}
