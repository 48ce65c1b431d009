//! The engine that performs a command: a server, the running engine of the database through its socket, or a temporary engine.
//!
//! Where no engine lives, changing a run takes one that starts no task ([`with_engine`]). To run, the program becomes
//! the engine in the foreground ([`drive`]): like any engine it continues every unfinished run of the database, and
//! it ends when the run that it was started for has ended. Beside a running engine both only ask and watch.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use cloacina::{
    Builder, Caller, Client, Command, Engine, Level, PackageAnswer, PackageCommand, PackageRecord, RunId, RunReport,
    SocketError, TrustChange, TrustChanged,
};
use cloacina_client::Client as Remote;

use super::follow::{Follow, follow, follow_on, in_time};
use super::patience::Patience;
use super::why::note_withheld;
use crate::cli::IsolationArgs;
use crate::database::Database;
use crate::error::Error;
use crate::isolation::{isolate, note_living, note_server, refuse_unknown};
use crate::log;
use crate::output::Output;
use crate::package::place::read;
use crate::place::{self, Place};
use crate::run::{GRACE, Interrupts, stop, watch_run};

/// An engine that starts no task has none to wait for.
const NO_GRACE: Duration = Duration::ZERO;

/// The engine that performs requests on one database.
#[derive(Debug)]
pub(crate) struct Performer<'a> {
    who: Who,
    place: &'a Place,
    patience: Patience<'a>,
}

/// An engine that does what is asked.
#[derive(Debug)]
enum Who {
    /// Another process, which drives the database.
    Living(Box<Client>),
    /// This one, for the moment.
    Own(Engine),
    /// A server, over HTTP.
    Server(Box<Remote>),
}

impl<'a> Performer<'a> {
    /// Has that done on behalf of `by`.
    pub(crate) async fn perform(&mut self, command: Command, by: &str) -> Result<RunReport, Error> {
        let (run, place) = (command.run(), self.place);
        let performed = self.ask(async |who| match who {
            Who::Living(client) => Ok(client.perform(command.clone(), by).await?),
            Who::Own(engine) => Ok(engine.perform(command.clone(), by).await?),
            Who::Server(client) => place::perform(client, command.clone()).await,
        });
        performed.await.map_err(|error| named(error, run, place))
    }

    /// Deletes runs that have ended. An engine for the moment deletes all or none; a living one is asked run by run.
    pub(crate) async fn delete(&mut self, runs: &[RunId], mut told: impl FnMut(String)) -> Result<(), Error> {
        match &mut self.who {
            Who::Living(client) => {
                for (run, n_before) in runs.iter().zip(1..) {
                    client.perform(Command::Delete { run: *run }, "").await?;
                    told(format!("{n_before} of {} runs deleted", runs.len()));
                }
                Ok(())
            }
            Who::Own(engine) => Ok(engine.delete(runs, |n_rows| told(format!("{n_rows} rows removed"))).await?),
            Who::Server(client) => {
                for (run, n_before) in runs.iter().zip(1..) {
                    client.run_delete(*run).await?;
                    told(format!("{n_before} of {} runs deleted", runs.len()));
                }
                Ok(())
            }
        }
    }

    /// Changes whom a tenant trusts, on behalf of `by`.
    pub(crate) async fn change_trust(
        &mut self,
        tenant: &str,
        change: TrustChange,
        by: &str,
    ) -> Result<TrustChanged, Error> {
        let changed = self.ask(async |who| match who {
            Who::Living(client) => Ok(client.change_trust(tenant, change.clone(), by).await?),
            Who::Own(engine) => Ok(engine.change_trust(tenant, change.clone(), by).await?),
            Who::Server(client) => Err(Error::NotOnServer { what: "a change of trust", server: client.url() }),
        });
        changed.await
    }

    /// Has that done to a package, on behalf of `by`.
    pub(crate) async fn perform_package(&mut self, command: PackageCommand, by: &str) -> Result<PackageRecord, Error> {
        let performed = self.ask(async |who| match who {
            Who::Living(client) => Ok(client.perform_package(command.clone(), &[], by).await?.package),
            Who::Own(engine) => Ok(engine.perform_package(command.clone(), Vec::new(), by).await?.package),
            Who::Server(client) => place::perform_package(client, command.clone()).await,
        });
        performed.await
    }

    /// Registers the archive or the definition in that file, on behalf of `by`.
    pub(crate) async fn register(
        &mut self,
        command: PackageCommand,
        file: &Path,
        by: &str,
    ) -> Result<PackageAnswer, Error> {
        let registered = self.ask(async |who| match who {
            Who::Living(client) => Ok(client.perform_package(command.clone(), &read(file)?, by).await?),
            Who::Own(engine) => Ok(engine.perform_package(command.clone(), read(file)?, by).await?),
            Who::Server(client) => place::register(client, file, command.clone()).await,
        });
        registered.await
    }

    /// Whether what is asked also runs now.
    pub(crate) fn is_living(&self) -> bool {
        matches!(self.who, Who::Living(_) | Who::Server(_))
    }

    async fn open(place: &'a Place, output: &'a Output) -> Result<Self, Error> {
        let mut patience = Patience::new(output);
        let who = meet(place, &mut patience).await?;
        Ok(Self { who, place, patience })
    }

    /// Asks; a running engine that refuses because it ends has done nothing, and another one is asked.
    async fn ask<T>(&mut self, ask: impl AsyncFn(&mut Who) -> Result<T, Error>) -> Result<T, Error> {
        loop {
            match ask(&mut self.who).await {
                Err(error @ Error::Socket(SocketError::Refused(_)))
                    if self.is_living() && self.patience.outlast(&error).await =>
                {
                    self.who = meet(self.place, &mut self.patience).await?;
                }
                answered => return answered,
            }
        }
    }
}

/// The server; or the running engine of the database, or an engine of this process that starts no task.
async fn meet(place: &Place, patience: &mut Patience<'_>) -> Result<Who, Error> {
    let database = match place {
        Place::Server(server) => return Ok(Who::Server(Box::new(server.client()?))),
        Place::Database(database) => database,
    };
    living_or(database, patience, async || start_idle(database).await).await.map(|met| match met {
        Met::Living(client) => Who::Living(client),
        Met::Started(engine) => Who::Own(engine),
    })
}

/// The engine that drives a database.
enum Met {
    Living(Box<Client>),
    Started(Engine),
}

/// The running engine of the database, or the one that `start` starts; waits for one that has the database for a moment.
async fn living_or(
    database: &Database,
    patience: &mut Patience<'_>,
    start: impl AsyncFn() -> Result<Engine, Error>,
) -> Result<Met, Error> {
    loop {
        let met = match Client::connect(&database.url).await {
            Ok(Some(client)) => return Ok(Met::Living(Box::new(client))),
            Ok(None) => start().await.map(Met::Started),
            Err(error) => Err(error.into()),
        };
        match met {
            Err(error) if patience.outlast(&error).await => {}
            met => return met,
        }
    }
}

/// Does something with the engine of the database, or with the server.
pub(crate) fn with_engine<T>(
    place: &Place,
    output: &Output,
    ask: impl AsyncFnOnce(&mut Performer<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    runtime()?.block_on(async {
        let mut performer = Performer::open(place, output).await?;
        let result = ask(&mut performer).await;
        if let Who::Own(engine) = performer.who {
            let stopped = engine.shutdown_within(NO_GRACE).await;
            let result = result?;
            stopped?;
            return Ok(result);
        }
        result
    })
}

/// Does something with an engine of this process that starts no task, where only that will do.
pub(crate) fn with_idle_engine<T>(
    database: &Database,
    output: &Output,
    ask: impl AsyncFnOnce(&Engine) -> Result<T, Error>,
) -> Result<T, Error> {
    runtime()?.block_on(async {
        let mut patience = Patience::new(output);
        let engine = start_patiently(&database.url, &mut patience, async || start_idle(database).await).await?;
        let result = ask(&engine).await;
        let stopped = engine.shutdown_within(NO_GRACE).await;
        let result = result?;
        stopped?;
        Ok(result)
    })
}

/// Starts an engine of this process; waits for one that has the database for a moment, and not for one that stays.
pub(crate) async fn start_patiently<E: Into<Error>>(
    database: &str,
    patience: &mut Patience<'_>,
    start: impl AsyncFn() -> Result<Engine, E>,
) -> Result<Engine, Error> {
    loop {
        let error = match start().await {
            Ok(engine) => return Ok(engine),
            Err(error) => error.into(),
        };
        let stays = matches!(Client::connect(database).await, Ok(Some(_)));
        if stays || !patience.outlast(&error).await {
            return Err(error);
        }
    }
}

/// The running engine of the database, for commands that only read: none also if it serves another user.
pub(super) async fn reach(database: &Database) -> Result<Option<Client>, Error> {
    match Client::connect(&database.url).await {
        Err(error) if error.is_of_another_user() => Ok(None),
        reached => Ok(reached?),
    }
}

/// The report of a run as its running engine sees it, and that engine's process; none if no engine lives, or if a server is
/// asked, which reports nothing else.
pub(super) fn living_report(place: &Place, id: RunId) -> Result<Option<(RunReport, u32)>, Error> {
    let Place::Database(database) = place else { return Ok(None) };
    runtime()?.block_on(async {
        let Some(mut client) = reach(database).await? else { return Ok(None) };
        let report = client.perform(Command::Report { run: id }, "").await?;
        Ok(Some((report, client.pid())))
    })
}

/// Reports the owner of the run, if it is another engine.
fn named(error: Error, run: Option<RunId>, place: &Place) -> Error {
    let Error::Engine(cloacina::Error::NotDriven { .. }) = &error else { return error };
    let owner = run.and_then(|run| place.source_if_any().ok()??.owner(run).ok()?);
    match (run, owner) {
        (Some(run), Some(owner)) => {
            let wait = format!("cloacina-ctl runs wait {run}{}", place.option());
            Error::OwnedElsewhere { run: run.to_string(), owner, wait }
        }
        _ => error,
    }
}

/// What is to be done with a run until it has ended.
pub(crate) struct Drive<'a> {
    pub(crate) place: &'a Place,
    pub(crate) id: RunId,
    /// How it begins.
    pub(crate) command: Command,
    pub(crate) actor: &'a str,
    /// How many seconds it may take.
    pub(crate) timeout: Option<u64>,
    pub(crate) isolation: &'a IsolationArgs,
}

/// Starts or continues a run, and watches it until it has ended: beside the server or the running engine, or as its engine.
pub(crate) fn drive(job: Drive<'_>, output: &Output) -> Result<RunReport, Error> {
    let resume = format!("cloacina-ctl runs watch {}{}", job.id, job.place.option());
    beside_or_here(job, None, resume, output, async |engine, job, mut interrupts| {
        let Drive { place, id, command, actor, timeout, .. } = job;
        let resume = format!("cloacina-ctl runs execute {id}{}", place.option());
        let begin = async {
            note_withheld(&engine.perform(command, actor).await?, output);
            Ok((engine.run(id).await?, Level::Info))
        };
        watch_run(&engine, begin, timeout, resume, (output, &mut interrupts)).await
    })
}

/// Has one task run, and watches it until it has ended: beside the running engine, or as its engine.
pub(super) fn drive_task(job: Drive<'_>, task: &str, output: &Output) -> Result<RunReport, Error> {
    let resume = format!("cloacina-ctl runs execute {} --task {task}{}", job.id, job.place.option());
    let again = resume.clone();
    beside_or_here(job, Some(task), resume, output, async |engine, job, mut interrupts| {
        let Drive { id, command, actor, timeout, .. } = job;
        let begin = async {
            note_withheld(&engine.perform(command, actor).await?, output);
            run_task(&engine, id, task).await
        };
        let ran = in_time(begin, id, timeout, again, &mut interrupts).await;
        let is_early = matches!(ran, Err(Error::Interrupted { .. } | Error::TimedOut { .. }));
        let stopped = stop(&engine, is_early, GRACE, output, &mut interrupts).await;
        let report = ran?;
        stopped?;
        Ok(report)
    })
}

/// Has the job done by the running engine of the database and follows the run, or has an engine of this process do it
/// as `here` says. `resume` is the command that continues beside a running engine.
fn beside_or_here<'a>(
    job: Drive<'a>,
    task: Option<&str>,
    resume: String,
    output: &Output,
    here: impl AsyncFnOnce(Engine, Drive<'a>, Interrupts) -> Result<RunReport, Error>,
) -> Result<RunReport, Error> {
    let runtime = runtime()?;
    let report = runtime.block_on(async {
        // From its start on the engine may run tasks, so that it must not be ended out of order.
        let interrupts = Interrupts::listen()?;
        let mut patience = Patience::new(output);
        let Drive { place, isolation, id, timeout, actor, .. } = job;
        let database = match place {
            Place::Server(server) => {
                note_server(isolation, output);
                let begin = Some((job.command, actor));
                let job = Follow { id, task, begin, timeout, resume, n_shown: &Cell::new(0) };
                return follow_on(&server.client()?, job, output).await;
            }
            Place::Database(database) => database,
        };
        let start = async || start(database, isolation, output).await;
        let met = living_or(database, &mut patience, start).await?;
        match met {
            Met::Started(engine) => here(engine, job, interrupts).await.map_err(|error| named(error, Some(id), place)),
            Met::Living(client) => {
                note_living(&client, isolation, output);
                let begin = Some((job.command, actor));
                let job = Follow { id, task, begin, timeout, resume, n_shown: &Cell::new(0) };
                follow(*client, job, output).await
            }
        }
    });
    // Tasks that ignore their cancellation keep threads; the process does not wait for these threads.
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
        // Every event is a reason to check again; when there are no further events, the engine has stopped.
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
    // A package that it loads for reading runs where commands run packages by default; each engine decides for itself.
    let builder = isolate(builder(database)?, &IsolationArgs::default());
    // A temporary engine accepts no requests of other processes.
    Ok(builder.idle().socket(false).start().await?)
}

/// An engine on that database.
pub(crate) fn builder(database: &Database) -> Result<Builder, Error> {
    database.prepare()?;
    let builder = Engine::builder().database(&database.url).on_behalf_of(Caller::owner());
    let builder = builder.retention(database.retention.clone());
    Ok(database.data_dir().into_iter().fold(builder, Builder::data_dir))
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|source| Error::Io {
        action: "start threads for",
        path: "the engine".into(),
        source,
    })
}
