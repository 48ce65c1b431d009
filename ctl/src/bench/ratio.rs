//! The ratios: of what, what they should be, and what they are.
//!
//! A ratio is taken within each round, whose cells were measured right after each other; the median of the rounds
//! counts. Where one side of it is missing, the ratio is absent.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::cell::{Backend, Cell, Level, Row, Sample};
use super::http;
use super::plan::{CHAIN, GROUPED, KIB, MANY, ONE_BY_ONE, SINGLE};

/// What a ratio should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// By key.
pub(super) type Ratios = BTreeMap<String, Option<f64>>;

/// The key of how costs grow, which is one for all databases.
pub(super) const GROWTH: &str = "growth.task_10000_to_100";

/// The keys of how costs grow with contexts, by where the tasks run.
pub(super) const CONTEXTS: [(&str, Level); 3] = [
    ("growth.context.embedded", Level::Embedded),
    ("growth.context.inline", Level::PackagedInline),
    ("growth.context.process", Level::PackagedProcess),
];

/// The key of how compiling a workflow grows with its tasks.
pub(super) const MACROS: &str = "growth.macro";

/// The key of what registering a package costs.
pub(super) const REGISTERING: &str = "registering_to_limit";

/// The key of what a call costs more in a process of its own.
pub(super) const PROCESS_ADDED: &str = "process_added_us_to_socket_us";

/// The keys of what a list of runs costs to the barest query, by database.
pub(super) const LISTS: [(&str, Backend); 2] =
    [("sqlite.list_to_index", Backend::Sqlite), ("postgres.list_to_index", Backend::Postgres)];

/// The ratios that each database has.
const OF_DATABASE: [(&str, Goal); 6] = [
    ("store_to_raw", Goal::AtLeast(0.5)),
    ("engine_to_store", Goal::AtLeast(0.6)),
    ("run1_p50_to_commits", Goal::AtMost(3.0)),
    ("packaged_inline_to_embedded", Goal::AtLeast(0.5)),
    ("process_to_inline", Goal::AtLeast(0.5)),
    ("engine_to_raw", Goal::AtLeast(0.3)),
];

impl Goal {
    pub(super) fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
        }
    }
}

/// Every key with its goal, in the order in which they are shown.
pub(super) fn goals() -> Vec<(String, Goal)> {
    let of_databases = Backend::ALL.into_iter().flat_map(|backend| {
        OF_DATABASE.iter().chain(&http::RATIOS).map(move |(name, goal)| (key(backend, name), *goal))
    });
    of_databases
        .chain([
            (GROWTH.to_owned(), Goal::AtMost(2.0)),
            (CONTEXTS[0].0.to_owned(), Goal::AtMost(2.0)),
            (CONTEXTS[1].0.to_owned(), Goal::AtMost(2.0)),
            (CONTEXTS[2].0.to_owned(), Goal::AtMost(2.0)),
            (MACROS.to_owned(), Goal::AtMost(2.0)),
            (LISTS[0].0.to_owned(), Goal::AtMost(3.0)),
            (LISTS[1].0.to_owned(), Goal::AtMost(3.0)),
            (REGISTERING.to_owned(), Goal::AtMost(5.0)),
            (PROCESS_ADDED.to_owned(), Goal::AtMost(3.0)),
        ])
        .collect()
}

fn key(backend: Backend, name: &str) -> String {
    format!("{}.{name}", backend.as_str())
}

/// Writes the figures that were measured.
pub(super) fn known<K: Serialize, S: Serializer>(
    figures: &BTreeMap<K, Option<f64>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(figures.iter().filter_map(|(name, figure)| Some((name, (*figure)?))))
}

/// Ratios that are measured by themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Alone {
    /// In the order of [`CONTEXTS`].
    pub(super) contexts: [Option<f64>; 3],
    pub(super) macros: Option<f64>,
    /// In the order of [`LISTS`].
    pub(super) lists: [Option<f64>; 2],
    /// By database, each in the order of [`http::RATIOS`].
    pub(super) http: [[Option<f64>; 4]; 2],
    pub(super) registering: Option<f64>,
    pub(super) process_added: Option<f64>,
}

/// Every key with its ratio, where both sides of it were measured.
pub(super) fn ratios(rows: &[Row], growth: &BTreeMap<&'static str, Option<f64>>, alone: Alone) -> Ratios {
    let mut ratios = Ratios::new();
    for backend in Backend::ALL {
        for (name, _) in OF_DATABASE {
            ratios.insert(key(backend, name), of_database(name, rows, backend));
        }
    }
    for (backend, of_http) in Backend::ALL.into_iter().zip(alone.http) {
        for ((name, _), ratio) in http::RATIOS.into_iter().zip(of_http) {
            ratios.insert(key(backend, name), ratio);
        }
    }
    // If one of the shapes was not measured, which is the worse is not known.
    let worst = growth.values().copied().reduce(|one, other| Some(f64::max(one?, other?))).flatten();
    ratios.insert(GROWTH.to_owned(), worst);
    for ((key, _), ratio) in CONTEXTS.into_iter().zip(alone.contexts) {
        ratios.insert(key.to_owned(), ratio);
    }
    ratios.insert(MACROS.to_owned(), alone.macros);
    for ((key, _), ratio) in LISTS.into_iter().zip(alone.lists) {
        ratios.insert(key.to_owned(), ratio);
    }
    ratios.insert(REGISTERING.to_owned(), alone.registering);
    ratios.insert(PROCESS_ADDED.to_owned(), alone.process_added);
    ratios
}

fn of_database(name: &str, rows: &[Row], backend: Backend) -> Option<f64> {
    let many = |level: Level, context_bytes: usize| {
        move |cell: &Cell| {
            (cell.backend, cell.level, cell.shape) == (backend, level, CHAIN)
                && (cell.at_once, cell.context_bytes) == (MANY, context_bytes)
        }
    };
    let one = |level: Level| {
        move |cell: &Cell| (cell.backend, cell.level, cell.shape, cell.at_once) == (backend, level, SINGLE, 1)
    };
    let speed = |row: &Row, sample: &Sample| Some(row.tasks_per_second(sample));
    match name {
        "store_to_raw" => compare(rows, many(Level::Store, 0), many(GROUPED, 0), speed, speed),
        "engine_to_store" => compare(rows, many(Level::Embedded, 0), many(Level::Store, 0), speed, speed),
        "engine_to_raw" => compare(rows, many(Level::Embedded, 0), many(GROUPED, 0), speed, speed),
        "packaged_inline_to_embedded" => {
            compare(rows, many(Level::PackagedInline, KIB), many(Level::Embedded, KIB), speed, speed)
        }
        "process_to_inline" => {
            compare(rows, many(Level::PackagedProcess, KIB), many(Level::PackagedInline, KIB), speed, speed)
        }
        "run1_p50_to_commits" => {
            let latency = |_: &Row, sample: &Sample| Some(sample.p50.as_secs_f64());
            let commits = |_: &Row, sample: &Sample| Some(sample.commits_of_run_p50?.as_secs_f64());
            compare(rows, one(Level::Embedded), one(ONE_BY_ONE), latency, commits)
        }
        _ => None,
    }
}

type Figure = fn(&Row, &Sample) -> Option<f64>;

/// The median, over the rounds, of the figure of one cell to that of another.
pub(super) fn compare(
    rows: &[Row],
    measured: impl Fn(&Cell) -> bool,
    limit: impl Fn(&Cell) -> bool,
    of_measured: Figure,
    of_limit: Figure,
) -> Option<f64> {
    let measured = rows.iter().find(|row| measured(&row.cell))?;
    let limit = rows.iter().find(|row| limit(&row.cell))?;
    let rounds = measured.samples.iter().zip(&limit.samples);
    let ratios = rounds.map(|(one, other)| Some(of_measured(measured, one)? / of_limit(limit, other)?));
    median(ratios.collect::<Option<Vec<f64>>>()?)
}

/// The one in the middle; of two in the middle, their mean.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let is_even = values.len().is_multiple_of(2);
    Some(if is_even { (values[middle - 1] + upper) / 2.0 } else { upper })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(level: Level, shape: super::super::cell::Shape, at_once: usize, millis: &[u64]) -> Row {
        let sample = |millis: &u64| Sample {
            elapsed: Duration::from_millis(*millis),
            p50: Duration::from_millis(*millis),
            p99: Duration::from_millis(*millis),
            commits_of_run_p50: (level == ONE_BY_ONE).then(|| Duration::from_millis(*millis)),
            cpu: Duration::ZERO,
            server_cpu: None,
            peak_bytes: None,
            commits: 1,
        };
        let cell = Cell { backend: Backend::Sqlite, level, shape, at_once, context_bytes: 0, runs: 10 };
        Row { cell, samples: millis.iter().map(sample).collect() }
    }

    #[test]
    fn ratios_are_medians_of_the_rounds_and_absent_without_both_sides() {
        let rows = [
            row(GROUPED, CHAIN, MANY, &[10, 20, 30]),
            row(Level::Store, CHAIN, MANY, &[20, 20, 300]),
            row(ONE_BY_ONE, SINGLE, 1, &[2, 2, 2]),
            row(Level::Embedded, SINGLE, 1, &[3, 9, 5]),
        ];
        let ratios = ratios(
            &rows,
            &BTreeMap::from([("chain", Some(1.5)), ("fan_out", Some(1.25))]),
            Alone { registering: Some(4.0), ..Alone::default() },
        );
        assert_eq!(ratios.keys().cloned().collect::<Vec<_>>(), {
            let mut keys: Vec<String> = goals().into_iter().map(|(key, _)| key).collect();
            keys.sort();
            keys
        });
        assert_eq!(ratios["sqlite.store_to_raw"], Some(0.5));
        assert_eq!(ratios["sqlite.run1_p50_to_commits"], Some(2.5));
        assert_eq!(ratios[GROWTH], Some(1.5));
        let known = ratios.values().filter(|ratio| ratio.is_some()).count();
        assert_eq!(known, 4, "{ratios:?}");
    }

    #[test]
    fn growth_is_unknown_if_one_shape_is() {
        let ratios = ratios(&[], &BTreeMap::from([("chain", Some(1.5)), ("fan_out", None)]), Alone::default());
        assert!(ratios.values().all(Option::is_none), "{ratios:?}");
    }

    #[test]
    fn medians_are_in_the_middle() {
        for (values, expected) in
            [(vec![], None), (vec![3.0], Some(3.0)), (vec![3.0, 1.0], Some(2.0)), (vec![9.0, 1.0, 2.0], Some(2.0))]
        {
            assert_eq!(median(values), expected);
        }
    }
}
