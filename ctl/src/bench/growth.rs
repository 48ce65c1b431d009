//! How the cost of a task grows with the size of its run.

use std::collections::BTreeMap;

use super::cell::{Cell, Row, Sample};
use super::plan::{GROWN, MakeShape};
use super::ratio::compare;

/// For each shape, what a task of the larger run costs to one of the smaller.
pub(super) fn growth(rows: &[Row], [small, large]: [u32; 2]) -> BTreeMap<&'static str, Option<f64>> {
    let cost = |row: &Row, sample: &Sample| Some(1.0 / row.tasks_per_second(sample));
    let of = |shape: MakeShape| {
        let is = |n_tasks: u32| move |cell: &Cell| cell.shape == shape(n_tasks);
        compare(rows, is(large), is(small), cost, cost)
    };
    GROWN.into_iter().map(|(name, shape)| (name, of(shape))).collect()
}
