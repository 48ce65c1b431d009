//! Measures a cell once: in a new database, after a short warm-up.
//!
//! Only what is between the first row or submission and the last answer counts: making databases, starting engines,
//! registering packages and shutting down do not. An engine's tables grow from empty in each measurement.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cloacina::testing::{self, Load, MeasureError, Scratch, measure_raw, measure_store};
use cloacina::{Engine, HostProgram};
use cloacina_workflow::__private::v1::Workflow;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::cell::{Backend, Cell, Level, Sample, Shape, percentiles};
use super::client;
use super::package::Packaged;
use super::usage::Usage;
use super::workload;
use crate::error::Error;
use crate::isolation::PACKAGE_HOST;

/// Runs before the clock starts, where only one is under way at once.
const WARM_UP_MIN: usize = 20;

/// What is needed to measure.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    /// For files, and for what engines keep beside their databases.
    pub(super) folder: &'a Path,
    pub(super) postgres: Option<Postgres<'a>>,
    /// Tasks that do nothing.
    pub(super) packaged: Option<&'a Packaged>,
    /// Chains whose tasks write.
    pub(super) writers: Option<&'a Packaged>,
    pub(super) interrupted: watch::Receiver<bool>,
    pub(super) runtime: &'a Runtime,
    /// Made when needed, as they are never freed.
    pub(super) workflows: BTreeMap<String, Workflow>,
}

/// Where PostgreSQL is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Postgres<'a> {
    pub(super) url: &'a str,
    /// The process of the server, if it is ours.
    pub(super) process: Option<u32>,
}

impl<'a> Bench<'a> {
    /// The package that has workflows of that shape.
    fn package(&self, shape: Shape) -> Option<&'a Packaged> {
        match shape {
            Shape::Chain(_) | Shape::FanOut(_) => self.packaged,
            Shape::Writers(_) => self.writers,
        }
    }

    /// Whether there is everything that the cell needs.
    pub(super) fn can_measure(&self, cell: &Cell) -> bool {
        (cell.backend == Backend::Sqlite || self.postgres.is_some())
            && (!matches!(cell.level, Level::PackagedInline | Level::PackagedProcess)
                || self.package(cell.shape).is_some())
    }

    /// Measures the cell once in a new database.
    pub(super) fn measure(&mut self, cell: &Cell) -> Result<Sample, Error> {
        let scratch = self.scratch(cell.backend).map_err(of(cell))?;
        self.measure_in(cell, &scratch)
    }

    /// Measures the cell once in that database.
    pub(super) fn measure_in(&mut self, cell: &Cell, scratch: &Scratch) -> Result<Sample, Error> {
        self.stop_if_interrupted()?;
        testing::release_memory();
        let changes = match cell.level {
            Level::Embedded | Level::PackagedInline | Level::PackagedProcess => {
                return self.measure_engine(cell, scratch);
            }
            Level::Raw { changes } => changes,
            Level::Store => 1,
        };
        let load = Load {
            runs: cell.runs,
            tasks: cell.shape.n_tasks(),
            at_once: cell.at_once,
            changes_per_transaction: changes,
        };
        let usage = Usage::start(self.server(cell.backend));
        let measure = if cell.level == Level::Store { measure_store } else { measure_raw };
        let measured = measure(scratch.address(), &load).map_err(of(cell))?;
        let (cpu, server_cpu, peak_bytes) = usage.end();
        let commits_of_run_p50 = (changes == 1 && cell.at_once == 1).then(|| {
            let commits_per_run = cell.shape.n_tasks() as usize + 1;
            percentiles(measured.latencies.chunks(commits_per_run).map(|run| run.iter().sum()).collect()).0
        });
        let (p50, p99) = percentiles(measured.latencies);
        let (elapsed, commits) = (measured.elapsed, measured.n_transactions);
        Ok(Sample { elapsed, p50, p99, commits_of_run_p50, cpu, server_cpu, peak_bytes, commits })
    }

    fn measure_engine(&mut self, cell: &Cell, scratch: &Scratch) -> Result<Sample, Error> {
        let workflow = *self.workflows.entry(cell.shape.to_string()).or_insert_with(|| workload::workflow(cell.shape));
        let builder = Engine::builder().database(scratch.address()).data_dir(self.folder).workflow(workflow);
        let builder = match cell.level {
            Level::PackagedProcess => builder.package_host(HostProgram::this(PACKAGE_HOST)),
            _ => builder,
        };
        let (server, packaged) = (self.server(cell.backend), self.package(cell.shape));
        let interrupted = &mut self.interrupted;
        self.runtime.block_on(async {
            let engine = builder.start().await?;
            let sample = measure_on(&engine, cell, packaged, server, interrupted).await;
            let grace = if sample.is_ok() { GRACE } else { Duration::ZERO };
            let stopped = engine.shutdown_within(grace).await;
            let sample = sample?;
            stopped?;
            Ok(sample)
        })
    }

    /// A new database.
    pub(super) fn scratch(&self, backend: Backend) -> Result<Scratch, MeasureError> {
        match (backend, &self.postgres) {
            (Backend::Postgres, Some(postgres)) => Scratch::schema(postgres.url),
            (Backend::Sqlite | Backend::Postgres, _) => Scratch::file(self.folder),
        }
    }

    /// The process of the server, if one of ours is measured.
    pub(super) fn server(&self, backend: Backend) -> Option<u32> {
        self.postgres.filter(|_| backend == Backend::Postgres).and_then(|postgres| postgres.process)
    }

    pub(super) fn stop_if_interrupted(&self) -> Result<(), Error> {
        if *self.interrupted.borrow() { Err(Error::BenchInterrupted) } else { Ok(()) }
    }
}

/// How long an engine may take to stop whose runs have all ended.
pub(super) const GRACE: Duration = Duration::from_secs(10);

async fn measure_on(
    engine: &Engine,
    cell: &Cell,
    packaged: Option<&Packaged>,
    server: Option<u32>,
    interrupted: &mut watch::Receiver<bool>,
) -> Result<Sample, Error> {
    let workflow = match (cell.level, packaged) {
        (Level::PackagedInline | Level::PackagedProcess, Some(packaged)) => {
            engine.registry().register_workflow(packaged.archive.clone()).await?;
            packaged.workflow(cell.shape)
        }
        _ => None,
    };
    let workflow = workflow.unwrap_or_else(|| embedded_name(cell.shape));
    let load = client::Load { workflow, context_bytes: cell.context_bytes, at_once: cell.at_once, runs: cell.runs };
    let warm_up = client::Load { runs: cell.at_once.max(WARM_UP_MIN).min(cell.runs / 4), ..load.clone() };
    client::run(engine, &warm_up, interrupted).await?;
    let usage = Usage::start(server);
    let n_before = testing::n_transactions(engine);
    let (elapsed, latencies) = client::run(engine, &load, interrupted).await?;
    let commits = testing::n_transactions(engine) - n_before;
    let (cpu, server_cpu, peak_bytes) = usage.end();
    let (p50, p99) = percentiles(latencies);
    Ok(Sample { elapsed, p50, p99, commits_of_run_p50: None, cpu, server_cpu, peak_bytes, commits })
}

/// The full name of the workflow of that shape that is compiled in.
pub(super) fn embedded_name(shape: Shape) -> String {
    format!("{}::bench::{shape}", cloacina::TENANT_DEFAULT)
}

/// The store's own errors are told as every command tells them.
pub(super) fn of(what: impl ToString) -> impl FnOnce(MeasureError) -> Error {
    let what = what.to_string();
    move |source| match source {
        MeasureError::Store(error) => Error::Engine(error.into()),
        source => Error::Measure { what, source },
    }
}
