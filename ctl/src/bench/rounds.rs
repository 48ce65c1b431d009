//! The rounds: every cell once in each, there and back again, so that whatever drifts on the machine hits all alike.

use super::cell::{Cell, Row};
use super::measure::Bench;
use crate::error::Error;
use crate::output::Output;

/// Measures the cells in turns, so many times each; leaves out what cannot be measured here.
pub(super) fn measure_all(
    bench: &mut Bench<'_>,
    cells: &[Cell],
    n_rounds: usize,
    output: &Output,
) -> Result<Vec<Row>, Error> {
    let cells = cells.iter().filter(|cell| bench.can_measure(cell));
    let mut rows: Vec<Row> = cells.map(|cell| Row { cell: *cell, samples: Vec::new() }).collect();
    let live = output.live("{spinner} [{bar:24}] {pos}/{len} {msg}");
    let n_total = rows.len() * n_rounds;
    let mut n_done = 0;
    for round in 0..n_rounds {
        let mut order: Vec<&mut Row> = rows.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for row in order {
            let step = format!("round {} of {n_rounds}: {}", round + 1, row.cell);
            live.set(step.clone());
            live.set_position(n_done, n_total as u64);
            let sample = bench.measure(&row.cell)?;
            if !output.is_live() {
                output.note(&format!("{step}: {:.0} tasks/s", row.tasks_per_second(&sample)));
            }
            row.samples.push(sample);
            n_done += 1;
        }
    }
    Ok(rows)
}
