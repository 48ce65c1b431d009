//! An engine on the database of a command, for as long as the command takes.
//!
//! To change a run without running anything, an engine is enough that starts no task ([`change`]). To run, the
//! program becomes the engine in the foreground ([`drive`]): like any engine it goes on with every unfinished run of
//! the database, and it ends when the run that it was started for has ended.

use std::time::Duration;

use cloacina::{Engine, Level, Records, RunHandle, RunId, RunReport, RunState};

use crate::built_in;
use crate::database::Database;
use crate::error::Error;
use crate::output::Output;
use crate::run::watch_run;

/// Who the history says it was.
pub(super) const ACTOR: &str = "cloacina-ctl";

/// An engine that starts no task has none to wait for.
const NO_GRACE: Duration = Duration::ZERO;

/// Does something with an engine that starts no task.
pub(crate) fn change<T>(database: &Database, ask: impl AsyncFnOnce(&Engine) -> Result<T, Error>) -> Result<T, Error> {
    runtime()?.block_on(async {
        let engine = open(database, true).await?;
        let result = ask(&engine).await;
        let stopped = engine.shutdown_within(NO_GRACE).await;
        let result = result?;
        stopped?;
        Ok(result)
    })
}

/// Lets a run begin or go on, and becomes its engine until it has ended.
pub(crate) fn drive(database: &Database, id: RunId, timeout: Option<u64>, output: &Output) -> Result<RunReport, Error> {
    let runtime = runtime()?;
    let resume = format!("cloacina-ctl runs execute {id}{}", database.option());
    let report = runtime.block_on(async {
        let engine = open(database, false).await?;
        watch_run(&engine, begin(&engine, id), timeout, resume, output).await
    });
    // Tasks that do not heed their cancellation keep threads; the process does not wait for them.
    runtime.shutdown_background();
    report
}

async fn begin(engine: &Engine, id: RunId) -> Result<(RunHandle, Level), Error> {
    let handle = engine.run(id).await?;
    match handle.state().await? {
        RunState::Pending => handle.start().await?,
        RunState::Paused => handle.resume(ACTOR).await?,
        // A run that has ended is shown as it is.
        _ => {}
    }
    Ok((handle, Level::Info))
}

async fn open(database: &Database, idle: bool) -> Result<Engine, Error> {
    database.prepare()?;
    let builder = Engine::builder().database(&database.url).retention(database.retention.clone());
    let builder = if idle { builder.idle() } else { builder };
    let engine = builder.start().await?;
    for workflow in built_in::known(&mut Records::open(&database.url)?)? {
        engine.register(workflow).await?;
    }
    Ok(engine)
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Runtime::new().map_err(|source| Error::Io {
        action: "start threads for",
        path: "the engine".into(),
        source,
    })
}
