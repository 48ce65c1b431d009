//! What the benchmark answers: one JSON document, or the same as tables for people.
//!
//! docs/performance.md describes the document, field by field.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cell::{Level, Row};
use super::endurance::Endurance;
use super::process::Calls;
use super::ratio::{Goal, Ratios, goals};
use super::registering::Registering;
use crate::output::{Paint, size};

/// Counts up when a field changes its meaning or goes.
const FORMAT: u32 = 1;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) format: u32,
    pub(super) quick: bool,
    pub(super) rounds: usize,
    pub(super) machine: Machine,
    /// What could not be measured here, and why.
    pub(super) missing: Vec<Missing>,
    pub(super) ratios: Ratios,
    pub(super) goals: BTreeMap<String, GoalReport>,
    /// What a task of a run of 10,000 costs to one of a run of 100, by shape.
    pub(super) growth: BTreeMap<&'static str, Option<f64>>,
    pub(super) cells: Vec<CellReport>,
    /// Absent without a package.
    pub(super) registering: Option<Registering>,
    pub(super) calls: Option<Calls>,
    /// By database; empty with `--quick`.
    pub(super) endurance: BTreeMap<&'static str, Endurance>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) memory_bytes: Option<u64>,
    /// The kind of the file system that the databases were on.
    pub(super) filesystem: Option<String>,
    pub(super) sqlite: String,
    pub(super) postgres: Option<String>,
    /// `debug` or `release`.
    pub(super) build: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Missing {
    pub(super) what: &'static str,
    pub(super) reason: String,
}

#[derive(Debug, Serialize)]
pub(super) struct GoalReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    met: Option<bool>,
}

/// A cell; its figures are medians of the rounds.
#[derive(Debug, Serialize)]
pub(super) struct CellReport {
    database: &'static str,
    level: &'static str,
    /// Only where it is chosen by the benchmark.
    changes_per_transaction: Option<usize>,
    shape: String,
    at_once: usize,
    context_bytes: usize,
    runs: usize,
    tasks: u64,
    tasks_per_second: Option<f64>,
    /// The same, round by round.
    tasks_per_second_of_rounds: Vec<f64>,
    latency_of: &'static str,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    /// Processor time of the program for each task.
    cpu_us_per_task: Option<f64>,
    /// The same of the server, where it is the benchmark's own.
    server_cpu_us_per_task: Option<f64>,
    peak_memory_bytes: Option<u64>,
    commits: Option<f64>,
}

impl Report {
    pub(super) const FORMAT: u32 = FORMAT;

    pub(super) fn goals(ratios: &Ratios) -> BTreeMap<String, GoalReport> {
        let report = |(key, goal): (String, Goal)| {
            let met = ratios.get(&key).copied().flatten().map(|ratio| goal.is_met(ratio));
            let report = match goal {
                Goal::AtLeast(least) => GoalReport { at_least: Some(least), at_most: None, met },
                Goal::AtMost(most) => GoalReport { at_least: None, at_most: Some(most), met },
            };
            (key, report)
        };
        goals().into_iter().map(report).collect()
    }

    /// The tables for people.
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text = self.heading();
        let missing = self.missing.iter().map(|Missing { what, reason }| {
            format!("{}: {what} was not measured: {reason}\n", paint.yellow("missing"))
        });
        text.extend(missing);
        text.push('\n');
        text.push_str(&self.ratio_table(paint));
        text.push('\n');
        text.push_str(&self.cell_table(paint));
        if let Some(registering) = &self.registering {
            text.push('\n');
            text.push_str(&registering.text(paint));
        }
        if let Some(calls) = &self.calls {
            text.push('\n');
            text.push_str(&calls.text(paint));
        }
        if !self.endurance.is_empty() {
            text.push('\n');
            text.push_str(&self.endurance_table(paint));
        }
        text
    }

    fn heading(&self) -> String {
        let Machine { cores, memory_bytes, filesystem, sqlite, postgres, build } = &self.machine;
        let mut facts = vec![format!("{} rounds", self.rounds), format!("{cores} cores")];
        facts.extend(memory_bytes.map(size));
        facts.extend(filesystem.clone());
        facts.push(format!("SQLite {sqlite}"));
        facts.extend(postgres.as_ref().map(|version| format!("PostgreSQL {version}")));
        facts.push(format!("{build} build"));
        format!("{}\n", facts.join(", "))
    }

    fn ratio_table(&self, paint: Paint) -> String {
        let head = ["ratio", "measured", "goal", ""].map(|title| paint.bold(title)).to_vec();
        let rows = goals().into_iter().map(|(key, goal)| {
            let ratio = self.ratios.get(&key).copied().flatten();
            let goal_text = match goal {
                Goal::AtLeast(least) => format!("≥ {least}"),
                Goal::AtMost(most) => format!("≤ {most}"),
            };
            let verdict = match ratio.map(|ratio| goal.is_met(ratio)) {
                Some(true) => paint.green("met"),
                Some(false) => paint.red("missed"),
                None => paint.yellow("not measured"),
            };
            vec![key, ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")), goal_text, verdict]
        });
        paint.columns([head].into_iter().chain(rows), "")
    }

    fn cell_table(&self, paint: Paint) -> String {
        let titles = [
            "database", "level", "shape", "at once", "context", "tasks/s", "p50", "p99", "of a", "cpu/task", "server",
            "peak", "commits",
        ];
        let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.0}"));
        let rows = self.cells.iter().map(|cell| {
            let level = match cell.changes_per_transaction {
                Some(1) => format!("{}, one by one", cell.level),
                _ => cell.level.to_owned(),
            };
            vec![
                cell.database.to_owned(),
                level,
                cell.shape.clone(),
                cell.at_once.to_string(),
                size(cell.context_bytes as u64),
                number(cell.tasks_per_second),
                micros(cell.p50_us),
                micros(cell.p99_us),
                cell.latency_of.to_owned(),
                micros(cell.cpu_us_per_task),
                micros(cell.server_cpu_us_per_task),
                cell.peak_memory_bytes.map_or_else(|| "-".to_owned(), size),
                number(cell.commits),
            ]
        });
        paint.columns([titles.map(|title| paint.bold(title)).to_vec()].into_iter().chain(rows), "")
    }

    fn endurance_table(&self, paint: Paint) -> String {
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let rows = self.endurance.iter().flat_map(|(database, found)| {
            let tasks = found.memory_after_tasks.last().copied().unwrap_or_default();
            let beside = format!("throughput beside {} finished runs, to none", found.finished_runs);
            let memory = format!("memory after {tasks} tasks, to a tenth of that");
            let name = |what: String| vec![(*database).to_owned(), what];
            [
                [name(beside), vec![ratio(found.throughput_beside_finished_runs)]].concat(),
                [name(memory), vec![ratio(found.memory_last_to_first)]].concat(),
            ]
        });
        let head = ["database", "endurance", "ratio"].map(|title| paint.bold(title)).to_vec();
        paint.columns([head].into_iter().chain(rows), "")
    }
}

impl CellReport {
    pub(super) fn new(row: &Row) -> Self {
        let cell = row.cell;
        let n_tasks = cell.n_tasks() as f64;
        let server_cpu = row.samples.iter().map(|sample| sample.server_cpu).collect::<Option<Vec<_>>>();
        Self {
            database: cell.backend.as_str(),
            level: cell.level.as_str(),
            changes_per_transaction: match cell.level {
                Level::Raw { changes } => Some(changes),
                Level::Store | Level::Embedded | Level::PackagedInline | Level::PackagedProcess => None,
            },
            shape: cell.shape.to_string(),
            at_once: cell.at_once,
            context_bytes: cell.context_bytes,
            runs: cell.runs,
            tasks: cell.n_tasks(),
            tasks_per_second: row.median(|sample| row.tasks_per_second(sample)).map(tenths),
            tasks_per_second_of_rounds: row.samples.iter().map(|sample| tenths(row.tasks_per_second(sample))).collect(),
            latency_of: cell.level.latency_of(),
            p50_us: row.median(|sample| sample.p50.as_secs_f64() * 1e6).map(tenths),
            p99_us: row.median(|sample| sample.p99.as_secs_f64() * 1e6).map(tenths),
            cpu_us_per_task: row.median(|sample| sample.cpu.as_secs_f64() * 1e6 / n_tasks).map(tenths),
            server_cpu_us_per_task: server_cpu.and_then(|_| {
                let cpu = |sample: &super::cell::Sample| sample.server_cpu.unwrap_or_default().as_secs_f64();
                row.median(|sample| cpu(sample) * 1e6 / n_tasks).map(tenths)
            }),
            peak_memory_bytes: row.samples.iter().map(|sample| sample.peak_bytes).max().flatten(),
            commits: row.median(|sample| sample.commits as f64),
        }
    }
}

/// Microseconds for people.
fn micros(micros: Option<f64>) -> String {
    match micros {
        None => "-".to_owned(),
        Some(micros) if micros < 1_000.0 => format!("{micros:.1} µs"),
        Some(micros) => format!("{:.1} ms", micros / 1_000.0),
    }
}

/// What is noise anyway need not be written down.
pub(super) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// A ratio as it is written down.
pub(super) fn rounded(ratio: f64) -> f64 {
    (ratio * 1_000.0).round() / 1_000.0
}
