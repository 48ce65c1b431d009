//! How the cost of a task grows with the size of its run.

use std::collections::BTreeMap;

use super::cell::{Cell, Level, Row, Sample, Shape};
use super::plan::{GROWN, MakeShape};
use super::ratio::compare;

/// For each shape, what a task of the larger run costs to one of the smaller.
pub(super) fn growth(rows: &[Row], [small, large]: [u32; 2]) -> BTreeMap<&'static str, Option<f64>> {
    let cost = |row: &Row, sample: &Sample| Some(1.0 / row.tasks_per_second(sample));
    let of = |shape: MakeShape| {
        let is = |n_tasks: u32| move |cell: &Cell| (cell.level, cell.shape) == (Level::Embedded, shape(n_tasks));
        compare(rows, is(large), is(small), cost, cost)
    };
    GROWN.into_iter().map(|(name, shape)| (name, of(shape))).collect()
}

/// What a task that writes a key costs in the larger run to one in the smaller, where its package runs.
pub(super) fn of_contexts(rows: &[Row], level: Level, [small, large]: [u32; 2]) -> Option<f64> {
    let cost = |row: &Row, sample: &Sample| Some(1.0 / row.tasks_per_second(sample));
    let is = |n_tasks: u32| move |cell: &Cell| (cell.level, cell.shape) == (level, Shape::Writers(n_tasks));
    compare(rows, is(large), is(small), cost, cost)
}
