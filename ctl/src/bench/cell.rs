//! A cell: one thing that is measured, and what came out of it.
//!
//! A cell is measured once in each round; a [`Sample`] is one of these times, a [`Row`] all of them.

use std::fmt;
use std::time::Duration;

use super::ratio::median;

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

/// What does the work, from the disk upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Bare prepared statements, with so many changes in a transaction.
    Raw { changes: usize },
    /// The group-commit writer.
    Store,
    /// The engine with tasks that are compiled in.
    Embedded,
    /// The engine with tasks of a package that is loaded into the process.
    PackagedInline,
    /// The engine with tasks of a package that runs in processes of its own.
    PackagedProcess,
}

/// The graph of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// So many tasks, one after the other.
    Chain(u32),
    /// So many tasks, one after the other, each of which writes a key of its own.
    Writers(u32),
    /// So many tasks in all: one first, one last, and the others side by side in between.
    FanOut(u32),
}

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) backend: Backend,
    pub(super) level: Level,
    pub(super) shape: Shape,
    /// Runs under way at once.
    pub(super) at_once: usize,
    /// About how many bytes the input of each run has.
    pub(super) context_bytes: usize,
    /// Runs in one round.
    pub(super) runs: usize,
}

/// What one round of a cell came to.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) elapsed: Duration,
    /// Of whatever the level's latency is, see [`Level::latency_of`].
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// Of all commits of one run together; only where runs are written one by one and raw.
    pub(super) commits_of_run_p50: Option<Duration>,
    /// Processor time of this process.
    pub(super) cpu: Duration,
    /// Processor time of the database's server, where it is ours.
    pub(super) server_cpu: Option<Duration>,
    /// The most memory that this process held during the cell.
    pub(super) peak_bytes: Option<u64>,
    /// Transactions that were committed.
    pub(super) commits: u64,
}

/// A cell with its samples, in the order of the rounds.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) cell: Cell,
    pub(super) samples: Vec<Sample>,
}

impl Backend {
    pub(super) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Raw { .. } => "raw",
            Self::Store => "store",
            Self::Embedded => "embedded",
            Self::PackagedInline => "packaged_inline",
            Self::PackagedProcess => "packaged_process",
        }
    }

    /// What its latency is the latency of.
    pub(super) fn latency_of(self) -> &'static str {
        match self {
            Self::Raw { .. } => "transaction",
            Self::Store => "commit",
            Self::Embedded | Self::PackagedInline | Self::PackagedProcess => "run",
        }
    }
}

impl Shape {
    pub(super) fn n_tasks(self) -> u32 {
        let (Self::Chain(n_tasks) | Self::Writers(n_tasks) | Self::FanOut(n_tasks)) = self;
        n_tasks
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(1) => formatter.write_str("single"),
            Self::Chain(n_tasks) => write!(formatter, "chain_{n_tasks}"),
            Self::Writers(n_tasks) => write!(formatter, "writers_{n_tasks}"),
            Self::FanOut(n_tasks) => write!(formatter, "fan_out_{n_tasks}"),
        }
    }
}

impl Cell {
    pub(super) fn n_tasks(&self) -> u64 {
        self.runs as u64 * u64::from(self.shape.n_tasks())
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, level, shape, at_once, context_bytes, .. } = self;
        write!(formatter, "{} {} {shape}, {at_once} at once", backend.as_str(), level.as_str())?;
        match (level, context_bytes) {
            (Level::Raw { changes: 1 }, _) => formatter.write_str(", a commit each"),
            (_, 0) => Ok(()),
            (_, bytes) => write!(formatter, ", contexts of {bytes} bytes"),
        }
    }
}

impl Row {
    /// Of what was measured in each round, the median.
    pub(super) fn median(&self, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        median(self.samples.iter().map(of))
    }

    pub(super) fn tasks_per_second(&self, sample: &Sample) -> f64 {
        self.cell.n_tasks() as f64 / sample.elapsed.as_secs_f64()
    }
}

/// The median and the 99th of 100 of those times.
pub(super) fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied();
    (at(50).unwrap_or_default(), at(99).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let of = |range: std::ops::RangeInclusive<u64>| percentiles(range.rev().map(Duration::from_millis).collect());
        assert_eq!(of(1..=200), (Duration::from_millis(101), Duration::from_millis(199)));
        assert_eq!(of(7..=7), (Duration::from_millis(7), Duration::from_millis(7)));
        assert_eq!(percentiles(Vec::new()), (Duration::ZERO, Duration::ZERO));
    }
}
