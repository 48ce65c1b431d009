//! Engines on databases of their own, and runs that a test waits for.

use std::{future::Future, path::Path, time::Duration};

use cloacina::{Builder, Context, Engine, RunReport, Value};
use tempfile::TempDir;

/// Far above what anything here takes on a busy machine; a test that gets here hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// An engine in a temporary folder.
#[derive(Debug)]
pub struct TestEngine {
    /// The engine.
    pub engine: Engine,
    /// Its database and packages; removed at the end.
    pub folder: TempDir,
}

impl TestEngine {
    /// Starts an engine on a new database.
    pub async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    /// Starts an engine on a new database, with settings of its own.
    pub async fn start_with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let engine = start_with(folder.path(), settings).await;
        Self { engine, folder }
    }

    /// Registers an archive that must be accepted.
    pub async fn register(&self, archive: &[u8]) {
        let registered = self.engine.registry().register_workflow(archive.to_vec()).await;
        registered.unwrap_or_else(|error| panic!("{}: {error}", error.code()));
    }

    /// Runs a workflow to its end.
    pub async fn run(&self, workflow: &str, input: Value) -> RunReport {
        let context = Context::from_object(input).expect("the input is an object");
        let run = self.engine.scheduler().schedule_workflow(workflow, context).await;
        let run = run.unwrap_or_else(|error| panic!("{}: {error}", error.code()));
        in_time(run.wait()).await.unwrap_or_else(|error| panic!("{}: {error}", error.code()))
    }
}

/// Starts an engine on the database in that folder.
pub async fn start(folder: &Path) -> Engine {
    start_with(folder, |builder| builder).await
}

async fn start_with(folder: &Path, settings: impl FnOnce(Builder) -> Builder) -> Engine {
    let database = folder.join("cloacina.db").display().to_string();
    let engine = settings(Engine::builder().database(database)).start().await;
    engine.unwrap_or_else(|error| panic!("{}: {error}", error.code()))
}

/// Waits, but not for ever.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("the test hangs")
}

/// The final context as JSON.
#[must_use]
pub fn context(report: &RunReport) -> Value {
    serde_json::to_value(&report.context).expect("a context is JSON")
}
