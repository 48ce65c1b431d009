//! What is measured: the cells behind the ratios, and the further ones of a full run.
//!
//! How many runs a cell has is chosen so that one round of it takes about a second on a small machine.

use super::cell::{Backend, Cell, Level, Shape};

/// Where every commit of a run is a transaction of its own, and nothing else is under way.
pub(super) const ONE_BY_ONE: Level = Level::Raw { changes: 1 };
/// Where transactions are as large as the issue of the limit wants them.
pub(super) const GROUPED: Level = Level::Raw { changes: 1000 };

pub(super) const SINGLE: Shape = Shape::Chain(1);
pub(super) const CHAIN: Shape = Shape::Chain(3);
const FAN_OUT: Shape = Shape::FanOut(100);

/// The shape that has so many tasks.
pub(super) type MakeShape = fn(u32) -> Shape;

/// The shapes that grow.
pub(super) const GROWN: [(&str, MakeShape); 3] =
    [("chain", Shape::Chain), ("fan_out", Shape::FanOut), ("writers", Shape::Writers)];
/// The sizes of runs whose costs for each task are compared.
const GROWTH: [u32; 2] = [100, 10_000];
const GROWTH_TINY: [u32; 2] = [4, 16];
/// Tasks in one round of each size.
const GROWTH_TASKS: u32 = 10_000;
/// The same of a package, of which the smaller size need not take as long as the larger.
const CONTEXT_TASKS: u32 = 2_000;
/// What is measured for long has no more rounds than that where little is to be measured.
const QUICK_ROUNDS: usize = 3;

/// The sizes of workflows whose compilation is compared.
const COMPILED: [u32; 2] = [1_000, 4_000];
const COMPILED_QUICK: [u32; 2] = [500, 2_000];

/// Runs in a database whose lists are measured, and how often each list is asked for.
const LISTED: (u64, usize) = (1_000_000, 100);
const LISTED_QUICK: (u64, usize) = (100_000, 100);
const LISTED_TINY: (u64, usize) = (2_000, 3);

pub(super) const MANY: usize = 1024;
pub(super) const KIB: usize = 1024;

/// How much of everything is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    /// Only cells whose names contain that.
    pub(super) only: &'a str,
    pub(super) quick: bool,
    pub(super) rounds: usize,
    /// As little as possible, for tests.
    pub(super) tiny: bool,
}

impl Plan<'_> {
    /// Whether what has that name is to be measured.
    pub(super) fn includes(&self, name: &str) -> bool {
        name.contains(self.only)
    }

    /// The cells of one database, in the order in which they are measured.
    pub(super) fn cells(&self, backend: Backend) -> Vec<Cell> {
        let cell = |level, shape, at_once, context_bytes, runs: usize| {
            let runs = if self.tiny { runs.min(8) } else { runs };
            Cell { backend, level, shape, at_once, context_bytes, runs }
        };
        let mut cells = vec![
            cell(GROUPED, CHAIN, MANY, 0, 20_000),
            cell(Level::Store, CHAIN, MANY, 0, 20_000),
            cell(Level::Embedded, CHAIN, MANY, 0, 20_000),
            cell(ONE_BY_ONE, SINGLE, 1, 0, 500),
            cell(Level::Embedded, SINGLE, 1, 0, 500),
            cell(Level::Embedded, CHAIN, MANY, KIB, 10_000),
            cell(Level::PackagedInline, CHAIN, MANY, KIB, 10_000),
            cell(Level::PackagedProcess, CHAIN, MANY, KIB, 10_000),
        ];
        if !self.quick {
            for (at_once, singles, chains, fan_outs) in
                [(1, 500, 300, 60), (64, 10_000, 5_000, 300), (MANY, 20_000, 20_000, MANY)]
            {
                cells.push(cell(Level::Store, CHAIN, at_once, 0, chains));
                cells.push(cell(Level::Embedded, SINGLE, at_once, 0, singles));
                cells.push(cell(Level::Embedded, CHAIN, at_once, 0, chains));
                cells.push(cell(Level::Embedded, FAN_OUT, at_once, 0, fan_outs));
                cells.push(cell(Level::PackagedInline, SINGLE, at_once, 0, singles));
                cells.push(cell(Level::PackagedProcess, SINGLE, at_once, 0, singles));
                cells.push(cell(Level::PackagedInline, CHAIN, at_once, 0, chains));
            }
        }
        let mut once: Vec<Cell> = Vec::with_capacity(cells.len());
        cells.into_iter().for_each(|cell| {
            if !once.contains(&cell) && cell.to_string().contains(self.only) {
                once.push(cell);
            }
        });
        once
    }

    /// The sizes of runs whose costs for each task are compared, the smaller first.
    pub(super) fn growth_sizes(&self) -> [u32; 2] {
        if self.tiny { GROWTH_TINY } else { GROWTH }
    }

    /// The sizes of workflows whose compilation is compared, the smaller first.
    pub(super) fn compiled_sizes(&self) -> [u32; 2] {
        match (self.tiny, self.quick) {
            (true, _) => GROWTH_TINY,
            (false, true) => COMPILED_QUICK,
            (false, false) => COMPILED,
        }
    }

    /// How many runs a database has whose lists are measured, and how many times each list is asked for.
    pub(super) fn lists(&self) -> (u64, usize) {
        match (self.tiny, self.quick) {
            (true, _) => LISTED_TINY,
            (false, true) => LISTED_QUICK,
            (false, false) => LISTED,
        }
    }

    /// How many times that is measured which takes long.
    pub(super) fn long_rounds(&self) -> usize {
        if self.quick { self.rounds.min(QUICK_ROUNDS) } else { self.rounds }
    }

    /// The cells that show how the cost of a task grows with the context that it sees, of a package: those of a workflow
    /// that is compiled in are among [`Self::growth`].
    pub(super) fn contexts(&self) -> Vec<Cell> {
        let levels = [Level::PackagedInline, Level::PackagedProcess];
        let cells = levels.into_iter().flat_map(|level| {
            self.growth_sizes().map(|n_tasks| {
                let runs = if self.tiny { 1 } else { (CONTEXT_TASKS / n_tasks).max(1) as usize };
                let shape = Shape::Writers(n_tasks);
                Cell { backend: Backend::Sqlite, level, shape, at_once: 1, context_bytes: 0, runs }
            })
        });
        cells.filter(|cell| cell.to_string().contains(self.only)).collect()
    }

    /// The cells that show how the cost of a task grows with the size of its run: each shape in both sizes.
    pub(super) fn growth(&self) -> Vec<Cell> {
        let sizes = GROWN.into_iter().flat_map(|(_, shape)| self.growth_sizes().map(shape));
        let cells = sizes.map(|shape| {
            let runs = (GROWTH_TASKS / shape.n_tasks()) as usize;
            let runs = if self.tiny { 1 } else { runs };
            Cell { backend: Backend::Sqlite, level: Level::Embedded, shape, at_once: 1, context_bytes: 0, runs }
        });
        cells.filter(|cell| cell.to_string().contains(self.only)).collect()
    }
}
