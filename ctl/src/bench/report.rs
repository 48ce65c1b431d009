//! What the benchmark answers: one JSON document, or the same as tables for people.
//!
//! docs/performance.md describes the document, field by field.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::cell::{Level, Row};
use super::endurance::Endurance;
use super::http::Http;
use super::listing::Lists;
use super::process::Calls;
use super::ratio::{Goal, Ratios, goals, known};
use super::registering::Registering;
use crate::document::Document;
use crate::output::{Paint, size};

/// Counts up when a field changes its meaning or goes.
const FORMAT: u32 = 1;

/// What was measured. What is missing on a machine is named, and its figures are absent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Report {
    /// The version of this document; it counts up when a field changes its meaning or goes.
    pub(super) format: u32,
    /// Whether it was measured with `--quick`.
    pub(super) quick: bool,
    /// How many rounds were measured.
    pub(super) rounds: usize,
    /// The machine of the measurement.
    pub(super) machine: Machine,
    /// What could not be measured on this machine.
    pub(super) missing: Vec<Missing>,
    /// The ratios by name. A ratio with a missing side is absent.
    #[schema(value_type = BTreeMap<String, f64>)]
    #[serde(serialize_with = "known")]
    pub(super) ratios: Ratios,
    /// The goals, by the name of the ratio.
    pub(super) goals: BTreeMap<String, GoalReport>,
    /// What a task of a run of 10,000 costs to one of a run of 100, by shape.
    #[schema(value_type = BTreeMap<String, f64>)]
    #[serde(serialize_with = "known")]
    pub(super) growth: BTreeMap<&'static str, Option<f64>>,
    /// What was measured, cell by cell.
    pub(super) cells: Vec<CellReport>,
    /// The cost of registering a package. Absent without a package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) registering: Option<Registering>,
    /// What a call of a package costs. Absent without a package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) calls: Option<Calls>,
    /// What a list of runs costs, by database.
    #[schema(value_type = BTreeMap<String, Lists>)]
    pub(super) lists: BTreeMap<&'static str, Lists>,
    /// What the HTTP interface costs beside the library, by database.
    #[schema(value_type = BTreeMap<String, Http>)]
    pub(super) http: BTreeMap<&'static str, Http>,
    /// Whether an engine stays as it is over time, by database; empty with `--quick`.
    #[schema(value_type = BTreeMap<String, Endurance>)]
    pub(super) endurance: BTreeMap<&'static str, Endurance>,
}

impl Document for Report {}

/// The machine of the measurement.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Machine {
    /// How many processor cores the program may use.
    pub(super) cores: usize,
    /// The memory of the machine, in bytes. Absent if the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_bytes: Option<u64>,
    /// The kind of the file system that the databases were on. Absent if the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filesystem: Option<String>,
    /// The version of SQLite.
    pub(super) sqlite: String,
    /// The version of PostgreSQL. Absent without a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) postgres: Option<String>,
    /// How the program was built: `debug` or `release`.
    pub(super) build: &'static str,
}

/// Something that could not be measured.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Missing {
    /// What is missing: `postgres` or `packaged`.
    pub(super) what: &'static str,
    /// Why.
    pub(super) reason: String,
}

/// What a ratio should be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GoalReport {
    /// The minimum. Absent if the goal is a maximum.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    /// The maximum. Absent if the goal is a minimum.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    /// Whether the goal is met. Absent if the ratio was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// A cell; its figures are medians of the rounds. One that this system does not tell is absent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CellReport {
    /// The database: `sqlite` or `postgres`.
    database: &'static str,
    /// What was measured: `raw`, `store`, `embedded`, `packaged_inline` or `packaged_process`.
    level: &'static str,
    /// How many changes were in a transaction. Absent where the benchmark does not choose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes_per_transaction: Option<usize>,
    /// The shape of the runs.
    shape: String,
    /// How many runs were under way at once.
    at_once: usize,
    /// The size of their contexts, in bytes.
    context_bytes: usize,
    /// How many runs a round had.
    runs: usize,
    /// How many tasks a round had.
    tasks: u64,
    /// The throughput.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_per_second: Option<f64>,
    /// The throughput of each round.
    tasks_per_second_of_rounds: Vec<f64>,
    /// Of what the latency is, such as `transaction` or `run`.
    latency_of: &'static str,
    /// The latency that half of them had or less, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_us: Option<f64>,
    /// The latency that 99 of 100 had or less, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_us: Option<f64>,
    /// The CPU time of the program for each task, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us_per_task: Option<f64>,
    /// The CPU time of the server for each task, in microseconds, where the server is the benchmark's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_cpu_us_per_task: Option<f64>,
    /// The most memory that the program held in any round, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
    /// How many transactions a round had.
    #[serde(skip_serializing_if = "Option::is_none")]
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
        for (database, lists) in &self.lists {
            text.push('\n');
            text.push_str(&lists.text(database, paint));
        }
        for (database, http) in &self.http {
            text.push('\n');
            text.push_str(&http.text(database, paint));
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
            let tasks = found.memory.last().map_or(0, |memory| memory.after_tasks);
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
