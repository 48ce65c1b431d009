//! Who does what a command asks for: the living engine of the database, through its socket, or an engine for the moment.
//!
//! Where no engine lives, changing a run takes one that starts no task ([`with_engine`]). To run, the program becomes
//! the engine in the foreground ([`drive`]): like any engine it goes on with every unfinished run of the database, and
//! it ends when the run that it was started for has ended. Beside a living engine both only ask and watch.

use std::cell::Cell;
use std::time::Duration;

use cloacina::{
    Builder, Client, Command, Engine, Level, PackageAnswer, PackageCommand, Records, RunId, RunReport, TrustChange,
    TrustChanged,
};

use super::follow::{Follow, follow, in_time};
use super::why::note_withheld;
use crate::cli::IsolationArgs;
use crate::database::Database;
use crate::error::Error;
use crate::isolation::{isolate, note_living, refuse_unknown};
use crate::log;
use crate::output::Output;
use crate::run::watch_run;

/// An engine that starts no task has none to wait for.
const NO_GRACE: Duration = Duration::ZERO;

/// An engine that does what is asked.
#[derive(Debug)]
pub(crate) enum Performer {
    /// Another process, which drives the database.
    Living(Box<Client>),
    /// This one, for the moment.
    Own(Engine, Database),
}

impl Performer {
    /// Has that done on behalf of `by`.
    pub(crate) async fn perform(&mut self, command: Command, by: &str) -> Result<RunReport, Error> {
        match self {
            Self::Living(client) => Ok(client.perform(command, by).await?),
            Self::Own(engine, database) => {
                let run = command.run();
                let performed = engine.perform(command, by).await.map_err(Error::from);
                performed.map_err(|error| named(error, run, database))
            }
        }
    }

    /// Deletes runs that have ended. An engine for the moment deletes all or none; a living one is asked run by run.
    pub(crate) async fn delete(&mut self, runs: &[RunId], mut told: impl FnMut(String)) -> Result<(), Error> {
        match self {
            Self::Living(client) => {
                for (run, n_before) in runs.iter().zip(1..) {
                    client.perform(Command::Delete { run: *run }, "").await?;
                    told(format!("{n_before} of {} runs deleted", runs.len()));
                }
                Ok(())
            }
            Self::Own(engine, _) => Ok(engine.delete(runs, |n_rows| told(format!("{n_rows} rows removed"))).await?),
        }
    }

    /// Changes whom a tenant trusts, on behalf of `by`.
    pub(crate) async fn change_trust(
        &mut self,
        tenant: &str,
        change: TrustChange,
        by: &str,
    ) -> Result<TrustChanged, Error> {
        match self {
            Self::Living(client) => Ok(client.change_trust(tenant, change, by).await?),
            Self::Own(engine, _) => Ok(engine.change_trust(tenant, change, by).await?),
        }
    }

    /// Has that done to a package on behalf of `by`; the archive is what is to be registered, else empty.
    pub(crate) async fn perform_package(
        &mut self,
        command: PackageCommand,
        archive: Vec<u8>,
        by: &str,
    ) -> Result<PackageAnswer, Error> {
        match self {
            Self::Living(client) => Ok(client.perform_package(command, &archive, by).await?),
            Self::Own(engine, _) => Ok(engine.perform_package(command, archive, by).await?),
        }
    }

    /// Whether what is asked also runs now.
    pub(crate) fn is_living(&self) -> bool {
        matches!(self, Self::Living(_))
    }

    async fn open(database: &Database) -> Result<Self, Error> {
        match Client::connect(&database.url).await? {
            Some(client) => Ok(Self::Living(Box::new(client))),
            None => Ok(Self::Own(start_idle(database).await?, database.clone())),
        }
    }
}

/// Does something with the engine of the database.
pub(crate) fn with_engine<T>(
    database: &Database,
    ask: impl AsyncFnOnce(&mut Performer) -> Result<T, Error>,
) -> Result<T, Error> {
    runtime()?.block_on(async {
        let mut performer = Performer::open(database).await?;
        let result = ask(&mut performer).await;
        if let Performer::Own(engine, _) = performer {
            let stopped = engine.shutdown_within(NO_GRACE).await;
            let result = result?;
            stopped?;
            return Ok(result);
        }
        result
    })
}

/// The report of a run as its living engine sees it, and that engine's process; none if no engine lives.
pub(super) fn living_report(database: &Database, id: RunId) -> Result<Option<(RunReport, u32)>, Error> {
    runtime()?.block_on(async {
        let Some(mut client) = Client::connect(&database.url).await? else { return Ok(None) };
        let report = client.perform(Command::Report { run: id }, "").await?;
        Ok(Some((report, client.pid())))
    })
}

/// How long other tasks may finish when the one that was to run has ended, as in `run`.
const TASK_GRACE: Duration = Duration::from_secs(10);

/// Says whose the run is, if it is another engine's.
fn named(error: Error, run: Option<RunId>, database: &Database) -> Error {
    let Error::Engine(cloacina::Error::NotDriven { .. }) = &error else { return error };
    let owner = run.and_then(|run| Records::open(&database.url).and_then(|mut records| records.owner(run)).ok()?);
    match (run, owner) {
        (Some(run), Some(owner)) => {
            let wait = format!("cloacina-ctl runs wait {run}{}", database.option());
            Error::OwnedElsewhere { run: run.to_string(), owner, wait }
        }
        _ => error,
    }
}

/// What is to be done with a run until it has ended.
pub(crate) struct Drive<'a> {
    pub(crate) database: &'a Database,
    pub(crate) id: RunId,
    /// How it begins.
    pub(crate) command: Command,
    pub(crate) actor: &'a str,
    /// How many seconds it may take.
    pub(crate) timeout: Option<u64>,
    pub(crate) isolation: &'a IsolationArgs,
}

/// Lets a run begin or go on, and watches it until it has ended: beside the living engine, or as its engine.
pub(crate) fn drive(job: Drive<'_>, output: &Output) -> Result<RunReport, Error> {
    let Drive { database, id, command, actor, timeout, isolation } = job;
    let runtime = runtime()?;
    let report = runtime.block_on(async {
        if let Some(client) = Client::connect(&database.url).await? {
            note_living(&client, isolation, output);
            let resume = format!("cloacina-ctl runs watch {id}{}", database.option());
            let job = Follow { id, task: None, begin: Some((command, actor)), timeout, resume, n_shown: &Cell::new(0) };
            return follow(client, job, output).await;
        }
        let engine = start(database, isolation, output).await?;
        let resume = format!("cloacina-ctl runs execute {id}{}", database.option());
        let begin = async {
            note_withheld(&engine.perform(command, actor).await?, output);
            Ok((engine.run(id).await?, Level::Info))
        };
        watch_run(&engine, begin, timeout, resume, output).await.map_err(|error| named(error, Some(id), database))
    });
    // Tasks that do not heed their cancellation keep threads; the process does not wait for them.
    runtime.shutdown_background();
    report
}

/// Has one task run, and watches it until it has ended: beside the living engine, or as its engine.
pub(super) fn drive_task(job: Drive<'_>, task: &str, output: &Output) -> Result<RunReport, Error> {
    let Drive { database, id, command, actor, timeout, isolation } = job;
    let runtime = runtime()?;
    let resume = format!("cloacina-ctl runs execute {id} --task {task}{}", database.option());
    let report = runtime.block_on(async {
        if let Some(client) = Client::connect(&database.url).await? {
            note_living(&client, isolation, output);
            let job =
                Follow { id, task: Some(task), begin: Some((command, actor)), timeout, resume, n_shown: &Cell::new(0) };
            return follow(client, job, output).await;
        }
        let engine = start(database, isolation, output).await?;
        let begin = async {
            note_withheld(&engine.perform(command, actor).await?, output);
            run_task(&engine, id, task).await
        };
        let ran = in_time(begin, id, timeout, resume).await;
        let stopped = engine.shutdown_within(TASK_GRACE).await;
        let report = ran.map_err(|error| named(error, Some(id), database))?;
        stopped?;
        Ok(report)
    });
    runtime.shutdown_background();
    report
}

/// Waits for one task with an engine of this process.
async fn run_task(engine: &Engine, id: RunId, task: &str) -> Result<RunReport, Error> {
    let mut notices = engine.subscribe();
    let handle = engine.run(id).await?;
    loop {
        let report = handle.report().await?;
        if is_over(&report, task) {
            return Ok(report);
        }
        // Whatever is told is a reason to look again; when nothing is told any more, the engine has stopped.
        if notices.next().await.is_none() {
            return Ok(handle.report().await?);
        }
    }
}

/// Whether the task has ended, or never will.
pub(super) fn is_over(report: &RunReport, task: &str) -> bool {
    report.state.is_terminal() || report.task(task).is_none_or(|task| task.state.is_terminal())
}

async fn start(database: &Database, isolation: &IsolationArgs, output: &Output) -> Result<Engine, Error> {
    log::show(output);
    let engine = isolate(builder(database)?, isolation).start().await?;
    refuse_unknown(&engine, isolation)?;
    Ok(engine)
}

async fn start_idle(database: &Database) -> Result<Engine, Error> {
    // Nobody is to ask an engine for anything that is about to end.
    Ok(builder(database)?.idle().socket(false).start().await?)
}

fn builder(database: &Database) -> Result<Builder, Error> {
    database.prepare()?;
    Ok(Engine::builder().database(&database.url).retention(database.retention.clone()))
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Runtime::new().map_err(|source| Error::Io {
        action: "start threads for",
        path: "the engine".into(),
        source,
    })
}
