//! A client that keeps so many runs under way at once: it submits one, waits for its end, and submits the next.
//!
//! A run's latency is the time from before its submission to when its end is known here, as any program would see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloacina::{Engine, RunState};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::clock::Stopwatch;
use super::workload;
use crate::error::Error;

/// What is to be run.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// The workflow's full name.
    pub(super) workflow: String,
    pub(super) context_bytes: usize,
    pub(super) at_once: usize,
    pub(super) runs: usize,
}

/// Runs them all; returns how long that took, and how long each run took.
pub(super) async fn run(
    engine: &Engine,
    load: &Load,
    interrupted: &mut watch::Receiver<bool>,
) -> Result<(Duration, Vec<Duration>), Error> {
    let left = Arc::new(AtomicUsize::new(load.runs));
    let mut clients = JoinSet::new();
    let stopwatch = Stopwatch::start();
    for _ in 0..load.at_once.min(load.runs) {
        clients.spawn(client(engine.clone(), load.clone(), left.clone()));
    }
    let mut latencies = Vec::with_capacity(load.runs);
    loop {
        tokio::select! {
            biased;
            _ = interrupted.wait_for(|interrupted| *interrupted) => return Err(Error::BenchInterrupted),
            ended = clients.join_next() => match ended {
                None => return Ok((stopwatch.elapsed(), latencies)),
                Some(Ok(taken)) => latencies.extend(taken?),
                Some(Err(_)) => return Err(failed(load, "panicked")),
            },
        }
    }
}

/// One after the other, until none is left.
async fn client(engine: Engine, load: Load, left: Arc<AtomicUsize>) -> Result<Vec<Duration>, Error> {
    let scheduler = engine.scheduler();
    let mut latencies = Vec::with_capacity(load.runs / load.at_once.max(1) + 1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let context = workload::context(load.context_bytes);
        let stopwatch = Stopwatch::start();
        let report = scheduler.schedule_workflow(&load.workflow, context).await?.wait().await?;
        latencies.push(stopwatch.elapsed());
        if report.state != RunState::Completed {
            return Err(failed(&load, report.state.as_str()));
        }
    }
    Ok(latencies)
}

fn failed(load: &Load, state: &'static str) -> Error {
    Error::MeasuredRun { what: load.workflow.clone(), state }
}
