//! One run from an empty engine to its report: start, register, schedule, watch, shut down.
//!
//! However it ends, the engine is shut down in order: attempts may finish, and what they did is stored. Only a second
//! Ctrl-C does not wait for that.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use cloacina::{Activation, Context, Engine, Level, Notices, Retention, RunHandle, RunId, RunReport, Upload, Value};

use super::display::Display;
use super::interrupt::{Interrupt, Interrupts};
use crate::cli::RunArgs;
use crate::error::Error;
use crate::isolation::{isolate, refuse_unknown};
use crate::log;
use crate::output::Output;
use crate::package::{Source, place};
use crate::runs::{Patience, start_patiently};

/// How long attempts may finish after Ctrl-C or the end of the time.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait for the notice of an end that is known already.
const LAST_NOTICE: Duration = Duration::from_millis(200);

/// What to do.
pub(super) struct Job<'a> {
    pub(super) source: &'a Source,
    pub(super) begin: Begin,
    pub(super) arguments: &'a RunArgs,
    pub(super) retention: Retention,
    pub(super) output: &'a Output,
}

/// How a run begins.
pub(super) enum Begin {
    /// A new run of the workflow of that full name.
    Start { workflow: String, context: Context<Value> },
    /// A run that is in the database.
    Resume(RunId),
}

/// Why watching a run ended.
enum Stop {
    /// The run has ended.
    Ended(Box<RunReport>),
    /// Ctrl-C, or nobody reads the output any more.
    Interrupted(Interrupt),
    /// The run took too long.
    TimedOut,
}

/// Does the job.
pub(super) async fn drive(job: Job<'_>) -> Result<RunReport, Error> {
    let Job { source, begin, arguments, retention, output } = job;
    let mut interrupts = Interrupts::listen()?;
    let temporary = place::temporary_folder()?;
    let database = match &arguments.database {
        Some(file) => file.clone(),
        None => temporary.path().join("run.db"),
    };
    let address = database.to_string_lossy();
    let builder = || Engine::builder().database(&*address).log_level(arguments.log_level).retention(retention.clone());
    log::show(output);
    let start = async || isolate(builder(), &arguments.isolation).start().await;
    let started = start_patiently(&address, &mut Patience::new(output), start).await;
    let engine = started.map_err(|error| refused(error, source, &begin, arguments))?;
    let result = execute(&engine, source, begin, arguments, output, &mut interrupts).await;
    let resume = |id| arguments.database.as_deref().map(|database| go_on(&arguments.path, database, id));
    conclude(&engine, result, (arguments.timeout, &resume), output, &mut interrupts).await
}

/// Watches a run of an engine that is there for nothing else, and shuts the engine down. The seconds are how long the
/// run may take, and `resume` is the command that goes on with it.
pub(crate) async fn watch_run(
    engine: &Engine,
    begin: impl Future<Output = Result<(RunHandle, Level), Error>>,
    timeout: Option<u64>,
    resume: String,
    output: &Output,
) -> Result<RunReport, Error> {
    let mut interrupts = Interrupts::listen()?;
    let watched = async {
        let notices = engine.subscribe();
        let (handle, log_level) = begin.await?;
        let display = Display::new(&handle.report().await?, log_level, output);
        let stop = watch(&handle, notices, display, timeout.map(Duration::from_secs), &mut interrupts).await?;
        Ok((handle.id(), stop))
    };
    let result = watched.await;
    conclude(engine, result, (timeout, &|_| Some(resume.clone())), output, &mut interrupts).await
}

/// Shuts the engine down, and says how the run ended.
async fn conclude(
    engine: &Engine,
    result: Result<(RunId, Stop), Error>,
    (timeout, resume): (Option<u64>, &dyn Fn(RunId) -> Option<String>),
    output: &Output,
    interrupts: &mut Interrupts,
) -> Result<RunReport, Error> {
    let (id, stop) = match result {
        Ok(stopped) => stopped,
        Err(error) => {
            // The first error is the one to tell.
            engine.shutdown_within(GRACE).await.ok();
            return Err(error);
        }
    };
    shut_down(engine, &stop, output, interrupts).await?;
    let resume = resume(id);
    match stop {
        Stop::Ended(report) => Ok(*report),
        Stop::Interrupted(why) => Err(Error::interrupted(why, id, resume)),
        Stop::TimedOut => Err(Error::TimedOut { run: id.to_string(), seconds: timeout.unwrap_or_default(), resume }),
    }
}

async fn execute(
    engine: &Engine,
    source: &Source,
    begin: Begin,
    arguments: &RunArgs,
    output: &Output,
    interrupts: &mut Interrupts,
) -> Result<(RunId, Stop), Error> {
    let notices = engine.subscribe();
    let (activation, signatures) = (Activation::Now, source.signatures.clone());
    let upload = Upload { activation, signatures, ..Upload::new(source.archive.clone()) };
    let registered = engine.registry().register(upload).await?;
    output.note(&format!("registered {} ({})", source.name(), registered.digest));
    refuse_unknown(engine, &arguments.isolation)?;
    let handle = match begin {
        Begin::Start { workflow, context } => engine.scheduler().schedule_workflow(&workflow, context).await?,
        Begin::Resume(id) => engine.run(id).await?,
    };
    let display = Display::new(&handle.report().await?, arguments.log_level, output);
    let limit = arguments.timeout.map(Duration::from_secs);
    let stop = watch(&handle, notices, display, limit, interrupts).await?;
    Ok((handle.id(), stop))
}

/// Shows what happens until the run has ended, or nobody wants to wait any longer.
async fn watch(
    handle: &RunHandle,
    mut notices: Notices,
    mut display: Display<'_>,
    limit: Option<Duration>,
    interrupts: &mut Interrupts,
) -> Result<Stop, Error> {
    let ended = handle.wait();
    let interrupted = interrupts.next();
    let timed_out = async {
        match limit {
            Some(limit) => tokio::time::timeout(limit, pending::<()>()).await,
            None => pending().await,
        }
    };
    tokio::pin!(ended, interrupted, timed_out);
    let report = loop {
        tokio::select! {
            // Tasks that never stop talking must not keep anyone from stopping them.
            biased;
            why = &mut interrupted => return Ok(Stop::Interrupted(why)),
            _ = &mut timed_out => return Ok(Stop::TimedOut),
            Some(notice) = notices.next() => display.show(&notice),
            report = &mut ended => break report?,
        }
    };
    // The last notices may still be on their way.
    while !display.is_finished() {
        match tokio::time::timeout(LAST_NOTICE, notices.next()).await {
            Ok(Some(notice)) => display.show(&notice),
            Ok(None) | Err(_) => break,
        }
    }
    display.finish();
    Ok(Stop::Ended(Box::new(report)))
}

/// Lets attempts finish; a second Ctrl-C does not.
async fn shut_down(engine: &Engine, stop: &Stop, output: &Output, interrupts: &mut Interrupts) -> Result<(), Error> {
    if !matches!(stop, Stop::Ended(_)) {
        let seconds = GRACE.as_secs();
        output.note(&format!("stopping: tasks may finish for {seconds} s; Ctrl-C again stops at once"));
    }
    tokio::select! {
        result = engine.shutdown_within(GRACE) => Ok(result?),
        _ = interrupts.next() => Ok(()),
    }
}

/// Why there is no engine. Where another one has the database, that one can run it, and the commands for that are told.
fn refused(error: Error, source: &Source, begin: &Begin, arguments: &RunArgs) -> Error {
    let Some(database) = arguments.database.as_deref().filter(|_| error.code() == "STO0001") else {
        return error;
    };
    let Error::Engine(refusal) = error else { return error };
    let (path, database) = (arguments.path.as_path(), database.display());
    let mut commands = Vec::new();
    let run = match begin {
        Begin::Start { workflow, .. } => {
            let mut archive = path.to_owned();
            if path.is_dir() {
                commands.push(format!("cloacina-ctl package build {}", path.display()));
                archive.push(format!("{}.cloacina", source.package.manifest().package.name));
            }
            let register = format!("cloacina-ctl package register {} --activate", archive.display());
            let input = if arguments.input.is_some() { " --input INPUT" } else { "" };
            commands.push(format!("{register} --database {database}"));
            commands.push(format!("cloacina-ctl runs create --workflow {workflow}{input} --database {database}"));
            "latest".to_owned()
        }
        Begin::Resume(id) => id.to_string(),
    };
    commands.push(format!("cloacina-ctl runs execute {run} --database {database}"));
    Error::HasEngine { refusal: Box::new(refusal), commands }
}

/// The command that goes on with a run.
fn go_on(path: &Path, database: &Path, id: RunId) -> String {
    format!("cloacina-ctl run {} --database {} --resume {id}", path.display(), database.display())
}
