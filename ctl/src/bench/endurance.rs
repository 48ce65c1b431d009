//! What only shows after a while: many finished runs in the database, and memory over many tasks.
//!
//! Both take long, and are left out of a quick run.

use std::time::Duration;

use cloacina::Engine;
use serde::Serialize;
use utoipa::ToSchema;

use super::cell::{Backend, Cell, Level};
use super::client;
use super::measure::{Bench, embedded_name, of};
use super::plan::{CHAIN, GROUPED, MANY, Plan};
use super::ratio::median;
use super::usage::resident_bytes;
use super::workload;
use crate::error::Error;
use crate::output::Output;

/// Finished runs that the database holds.
const FINISHED_RUNS: usize = 100_000;
/// Runs in one round beside them.
const RUNS: usize = 20_000;
/// Tasks after which memory is looked at, and how often that is done.
const BLOCK_TASKS: usize = 100_000;
const BLOCKS: usize = 10;
/// How long the engine may take to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Whether an engine stays as it is over time, on one database.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Endurance {
    /// How many finished runs the database held.
    pub(super) finished_runs: usize,
    /// The throughput beside those, to that in an empty database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) throughput_beside_finished_runs: Option<f64>,
    /// The memory of the engine as tasks ran.
    pub(super) memory: Vec<Memory>,
    /// The last of these to the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_last_to_first: Option<f64>,
}

/// The memory of an engine after some tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Memory {
    /// How many tasks had run.
    pub(super) after_tasks: usize,
    /// What the engine held, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// Measures one database.
pub(super) fn measure(
    bench: &mut Bench<'_>,
    backend: Backend,
    plan: &Plan<'_>,
    output: &Output,
) -> Result<Endurance, Error> {
    let [finished_runs, runs, block_tasks] = if plan.tiny { [8, 8, 24] } else { [FINISHED_RUNS, RUNS, BLOCK_TASKS] };
    let name = backend.as_str();
    output.note(&format!("{name}: throughput beside {finished_runs} finished runs"));
    let filled = bench.scratch(backend).map_err(of(name))?;
    let cell = |level, runs| Cell { backend, level, shape: CHAIN, at_once: MANY, context_bytes: 0, runs };
    bench.measure_in(&cell(GROUPED, finished_runs), &filled)?;
    let engine = cell(Level::Embedded, runs);
    let mut ratios = Vec::with_capacity(plan.rounds);
    for _ in 0..plan.rounds {
        let empty = bench.measure(&engine)?.elapsed.as_secs_f64();
        ratios.push(empty / bench.measure_in(&engine, &filled)?.elapsed.as_secs_f64());
    }
    drop(filled);

    output.note(&format!("{name}: memory over {} tasks", BLOCKS * block_tasks));
    let memory_bytes = memory(bench, backend, block_tasks)?;
    let ends = memory_bytes.first().copied().flatten().zip(memory_bytes.last().copied().flatten());
    Ok(Endurance {
        finished_runs,
        throughput_beside_finished_runs: median(ratios),
        memory: memory_bytes
            .into_iter()
            .zip(1..)
            .map(|(bytes, n_blocks)| Memory { after_tasks: n_blocks * block_tasks, bytes })
            .collect(),
        memory_last_to_first: ends.map(|(first, last)| last as f64 / first as f64),
    })
}

/// The memory that the process holds after each block of tasks on one engine.
fn memory(bench: &mut Bench<'_>, backend: Backend, block_tasks: usize) -> Result<Vec<Option<u64>>, Error> {
    let scratch = bench.scratch(backend).map_err(of(backend.as_str()))?;
    let builder = Engine::builder().database(scratch.address()).data_dir(bench.folder);
    let builder = builder.workflow(workload::workflow(CHAIN));
    let runs = block_tasks / CHAIN.n_tasks() as usize;
    let load = client::Load { workflow: embedded_name(CHAIN), context_bytes: 0, at_once: MANY, runs };
    let interrupted = &mut bench.interrupted;
    bench.runtime.block_on(async {
        let engine = builder.start().await?;
        let mut held = Vec::with_capacity(BLOCKS);
        let mut result = Ok(());
        while result.is_ok() && held.len() < BLOCKS {
            result = client::run(&engine, &load, interrupted).await.map(drop);
            held.push(resident_bytes());
        }
        let stopped = engine.shutdown_within(GRACE).await;
        result?;
        stopped?;
        Ok(held)
    })
}
