//! How a run goes, on stderr: a line for each task that changes on a terminal, a line for each event otherwise.
//!
//! Task logs are lines in both cases. Only the notices of the one run are shown.

use std::collections::{BTreeMap, BTreeSet};

use cloacina::{Level, Notice, NoticeKind, RunId, RunReport, TaskState, Timestamp};

use crate::output::{Live, Output, Paint};
use crate::runs::between;
use crate::table::printable;

/// With more tasks than that, or than the terminal has lines for, it shows only those that run.
const LINES_MAX: usize = 24;
/// How many tasks are named that are being stopped.
const NAMES_MAX: usize = 5;
/// Lines of the terminal that are not for tasks: the command, the run and the bar.
const OTHER_LINES: usize = 4;
/// Cells of a line that are not its text: the spinner and the time of a task that runs, or the indent of another.
const RUNNING_CELLS: usize = 14;
const STILL_CELLS: usize = 3;

const RUNNING: &str = "  {spinner} {msg} {elapsed}";
const STILL: &str = "  {msg}";

/// Shows one run.
pub(super) struct Display<'a> {
    output: &'a Output,
    paint: Paint,
    run: RunId,
    log_level: Level,
    /// How wide the column of task names is.
    width: usize,
    n_tasks: usize,
    n_ended: usize,
    started: BTreeMap<String, Timestamp>,
    running: BTreeSet<String>,
    lines: BTreeMap<String, Live>,
    total: Option<Live>,
    finished: bool,
}

impl<'a> Display<'a> {
    pub(super) fn new(report: &RunReport, log_level: Level, output: &'a Output) -> Self {
        output.note(&format!("run {} of {}", report.id, report.workflow));
        let width = report.tasks.iter().map(|task| task.id.chars().count()).max().unwrap_or(0);
        let n_tasks = report.tasks.len();
        let mut display = Self {
            output,
            paint: output.paint_notes(),
            run: report.id,
            log_level,
            width,
            n_tasks,
            n_ended: 0,
            started: BTreeMap::new(),
            running: BTreeSet::new(),
            lines: BTreeMap::new(),
            total: None,
            finished: report.state.is_terminal(),
        };
        let n_rows = display.paint.n_rows().map_or(LINES_MAX, |rows| rows.saturating_sub(OTHER_LINES));
        if output.is_live() && n_tasks <= LINES_MAX.min(n_rows) {
            for task in &report.tasks {
                let line = output.live(STILL);
                line.set(display.fitting(&task.id, &display.paint.dim("waiting")));
                display.lines.insert(task.id.clone(), line);
            }
        } else if output.is_live() {
            let total = output.live("  [{bar:24}] {pos}/{len} tasks");
            total.set_position(0, n_tasks as u64);
            display.total = Some(total);
        }
        for task in report.tasks.iter().filter(|task| task.state.is_terminal()) {
            display.end(&task.id, display.ending(task.state, ""));
        }
        display
    }

    /// Whether the end of the run was shown.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) fn show(&mut self, notice: &Notice) {
        if notice.run != self.run {
            return;
        }
        let task = notice.task.as_deref().unwrap_or_default();
        match &notice.kind {
            NoticeKind::Started => self.start(task, notice),
            NoticeKind::Completed => {
                self.plain(notice, &format!("completed {task}{}", self.time_of(task, notice.at)));
                self.end(task, self.ending(TaskState::Completed, &self.time_of(task, notice.at)));
            }
            NoticeKind::Failed { error } => {
                let why = printable(&format!("{}: {error}", self.time_of(task, notice.at)));
                self.plain(notice, &format!("failed {task}{why}"));
                self.end(task, self.ending(TaskState::Failed, &why));
            }
            NoticeKind::Skipped { because_of } => {
                let why = format!(" because of {because_of}");
                self.plain(notice, &format!("skipped {task}{why}"));
                self.end(task, self.ending(TaskState::Skipped, &why));
            }
            NoticeKind::RuledOut => {
                let why = " by its rule";
                self.plain(notice, &format!("skipped {task}{why}"));
                self.end(task, self.ending(TaskState::Skipped, why));
            }
            NoticeKind::Cancelled => {
                self.plain(notice, &format!("cancelled {task}"));
                self.end(task, self.ending(TaskState::Cancelled, ""));
            }
            NoticeKind::Retrying { error, at } => {
                let why =
                    format!("failed{}, again in {}: {error}", self.time_of(task, notice.at), between(notice.at, *at));
                self.plain(notice, &format!("{task} {why}"));
                self.running.remove(task);
                if let Some(line) = self.lines.get(task) {
                    line.restart(STILL);
                    line.set(self.fitting(task, &self.paint.yellow(&why)));
                }
            }
            NoticeKind::CallbackEnded { error: Some(error) } => {
                self.line(notice.at, &format!("the callback of {task} failed: {error}"));
            }
            NoticeKind::RunPaused => self.line(notice.at, "the run is paused"),
            NoticeKind::RunResumed => self.line(notice.at, "the run is resumed"),
            NoticeKind::RunCancelling => self.line(notice.at, "the run is being cancelled"),
            NoticeKind::RunTimedOut => self.line(notice.at, "the run has reached its timeout"),
            NoticeKind::Interrupted => self.plain(notice, &format!("interrupted {task}, another attempt follows")),
            NoticeKind::Lost { error } => {
                self.plain(notice, &format!("lost {task}, another attempt follows: {}", error.message()));
            }
            NoticeKind::ContextConflict { key, winner, loser } => {
                self.line(notice.at, &format!("conflict on {key}: the value of {winner} hides the value of {loser}"));
            }
            NoticeKind::Log { level, message, fields, .. } if level.number() <= self.log_level.number() => {
                let fields = if matches!(fields.as_str(), "" | "{}") { "" } else { fields.as_str() };
                let text = printable(&format!("{task}: {message} {fields}"));
                self.line(notice.at, &format!("{} {text}", self.level(*level)));
            }
            NoticeKind::Heartbeat { permille, note } => {
                if let Some(line) = self.lines.get(task) {
                    let percent = permille / 10;
                    line.set(self.fitting(task, &format!("{percent} % {}", printable(note))));
                }
            }
            NoticeKind::RunFinished { .. } => self.finished = true,
            // Lines that are too unimportant, and the run's start, which its tasks show.
            _ => {}
        }
    }

    /// The tasks that run, by name if they are not too many.
    pub(super) fn running(&self) -> String {
        let names: Vec<&str> = self.running.iter().take(NAMES_MAX).map(String::as_str).collect();
        match self.running.len() - names.len() {
            _ if names.is_empty() => "tasks".to_owned(),
            0 => names.join(", "),
            n_more => format!("{} and {n_more} more tasks", names.join(", ")),
        }
    }

    /// Leaves the lines as they are at the end.
    pub(super) fn finish(mut self) {
        for (task, line) in &self.lines {
            if self.running.contains(task) {
                line.restart(STILL);
                line.freeze(self.fitting(task, &self.paint.yellow("stopped, another attempt follows")));
            }
        }
        self.lines.clear();
        if self.n_ended < self.n_tasks && !self.output.is_live() {
            self.output.note(&format!("{} of {} tasks ended", self.n_ended, self.n_tasks));
        }
    }

    fn start(&mut self, task: &str, notice: &Notice) {
        self.started.insert(task.to_owned(), notice.at);
        self.running.insert(task.to_owned());
        let attempt = if notice.attempt > 1 { format!(" (attempt {})", notice.attempt) } else { String::new() };
        self.plain(notice, &format!("started {task}{attempt}"));
        if self.output.is_live() {
            let text = self.fitting(task, &format!("running{attempt}"));
            let line = self.lines.entry(task.to_owned()).or_insert_with(|| self.output.live(RUNNING));
            line.restart(RUNNING);
            line.set(text);
        }
    }

    /// A task is over: its line stands still, or leaves where there are too many.
    fn end(&mut self, task: &str, ending: String) {
        self.n_ended += 1;
        self.running.remove(task);
        if let Some(total) = &self.total {
            total.set_position(self.n_ended as u64, self.n_tasks as u64);
            self.lines.remove(task);
        } else if let Some(line) = self.lines.get(task) {
            line.restart(STILL);
            line.freeze(self.fitting(task, &ending));
        }
    }

    /// The line of a task, which must not be broken.
    fn fitting(&self, task: &str, text: &str) -> String {
        let n_taken = if self.running.contains(task) { RUNNING_CELLS } else { STILL_CELLS };
        self.paint.fitting(&format!("{task:0$}  {text}", self.width), n_taken)
    }

    fn ending(&self, state: TaskState, why: &str) -> String {
        let word = match state {
            TaskState::Completed => self.paint.green("completed"),
            TaskState::Failed => self.paint.red("failed"),
            _ => self.paint.yellow(state.as_str()),
        };
        format!("{word}{why}")
    }

    /// A line for an event, where no line of the task shows it.
    fn plain(&self, notice: &Notice, text: &str) {
        if !self.output.is_live() {
            self.line(notice.at, text);
        }
    }

    fn line(&self, at: Timestamp, text: &str) {
        self.output.note(&format!("{} {text}", self.paint.dim(&time_of_day(at))));
    }

    fn level(&self, level: Level) -> String {
        let name = level.as_str();
        match level {
            Level::Error => self.paint.red(name),
            Level::Warn => self.paint.yellow(name),
            _ => self.paint.cyan(name),
        }
    }

    fn time_of(&self, task: &str, end: Timestamp) -> String {
        match self.started.get(task) {
            Some(start) => format!(" in {}", between(*start, end)),
            None => String::new(),
        }
    }
}

/// `12:00:01.123`, in UTC.
fn time_of_day(moment: Timestamp) -> String {
    let text = moment.to_string();
    text.get(11..23).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day_are_short() {
        assert_eq!(time_of_day(Timestamp::from_unix_micros(1_234_567_890_123_456)), "23:31:30.123");
    }
}
