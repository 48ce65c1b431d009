//! One run from an empty engine to its report: start, register, schedule, watch, shut down.
//!
//! However it ends, the engine is shut down in order: attempts may finish, and what they did is stored. Only a second
//! signal to stop does not wait for that.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use cloacina::{
    Activation, Client, Command, Context, Engine, Level, Notices, PackageAnswer, PackageCommand, PackageRecord,
    RunHandle, RunId, RunReport, RunRequest, Upload, Value, What,
};
use serde_json::Map;

use super::display::Display;
use super::interrupt::{Interrupt, Interrupts};
use crate::cli::RunArgs;
use crate::database::Database;
use crate::error::Error;
use crate::isolation::{isolate, note_living, refuse_unknown};
use crate::log;
use crate::output::Output;
use crate::package::Source;
use crate::runs::{Follow, Patience, builder, follow, note_withheld, start_patiently};

/// How long attempts may finish after a signal to stop or the end of the time.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// How long to wait for the notice of an end that is known already.
const LAST_NOTICE: Duration = Duration::from_millis(200);

/// The code of an error: another engine has the database.
const LOCKED: &str = "STO0001";

/// What to do.
pub(super) struct Job<'a> {
    /// The package to register first; a run that continues needs only the database.
    pub(super) source: Option<&'a Source>,
    pub(super) begin: Begin,
    pub(super) arguments: &'a RunArgs,
    pub(super) database: &'a Database,
    /// The actor of the request.
    pub(super) by: &'a str,
    pub(super) output: &'a Output,
}

/// How a run begins.
pub(super) enum Begin {
    /// A new run of the workflow of that full name.
    Start { workflow: String, input: Map<String, Value> },
    /// A run that is in the database.
    Resume(RunId),
}

/// A run that is watched, and what shows it.
struct Watched<'a> {
    handle: RunHandle,
    notices: Notices,
    display: Display<'a>,
}

/// Why watching a run ended.
enum Stop {
    /// The run has ended.
    Ended(Box<RunReport>),
    /// A signal to stop, or stdout was closed.
    Interrupted(Interrupt),
    /// The run took too long.
    TimedOut,
}

/// Does the job: beside the running engine of the database, or as its engine.
pub(super) async fn drive(job: Job<'_>) -> Result<RunReport, Error> {
    let mut interrupts = Interrupts::listen()?;
    log::show(job.output);
    let mut patience = Patience::new(job.output);
    let start = async || {
        let builder = builder(job.database)?.log_level(job.arguments.log_level);
        isolate(builder, &job.arguments.isolation).start().await.map_err(Error::from)
    };
    let engine = loop {
        if let Some(client) = Client::connect(&job.database.url).await? {
            return beside(client, job).await;
        }
        match start_patiently(&job.database.url, &mut patience, start).await {
            Ok(engine) => break engine,
            // An engine began in this moment that stays, and it can be asked.
            Err(error) if error.code() == LOCKED && Client::connect(&job.database.url).await?.is_some() => {}
            Err(error) => return Err(error),
        }
    };
    let Job { source, begin, arguments, database, by, output } = job;
    let result = execute(&engine, (source, by), begin, arguments, output, &mut interrupts).await;
    let resume = |id| (!arguments.ephemeral).then(|| go_on(database, id));
    conclude(&engine, result, (arguments.timeout, &resume), output, &mut interrupts).await
}

/// Has the running engine do it, and watches.
async fn beside(mut client: Client, job: Job<'_>) -> Result<RunReport, Error> {
    let Job { source, begin, arguments, database, by, output } = job;
    note_living(&client, &arguments.isolation, output);
    if let Some(source) = source {
        let signatures = source.signatures.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        let activate = arguments.activate.then_some(true);
        let command = PackageCommand::Register { tenant: None, activate, signatures, is_build: true };
        let PackageAnswer { package, registration, .. } = client.perform_package(command, &source.archive, by).await?;
        let PackageRecord { tenant, name, version, digest, share, .. } = package;
        let is_new = registration.is_some_and(|registration| registration.is_new);
        let is_active = share > 0;
        output.note(&told(
            &format!("{tenant}::{name}@{version}"),
            &digest.to_string(),
            (is_new, is_active),
            arguments.activate,
        ));
    }
    let id = match begin {
        Begin::Start { workflow, input } => {
            let version = source.map(|source| source.package.content_digest().to_string());
            let what = What::Workflow(workflow);
            client.perform(Command::Create { what, input, at: None, key: None, version }, by).await?.id
        }
        Begin::Resume(id) => id,
    };
    let begin = Some((Command::Execute { run: id }, by));
    let resume = go_on(database, id);
    let job = Follow { id, task: None, begin, timeout: arguments.timeout, resume, n_shown: &Cell::new(0) };
    follow(client, job, output).await
}

/// What registering a package came to, and which new runs get it.
fn told(label: &str, digest: &str, (is_new, is_active): (bool, bool), is_asked: bool) -> String {
    let registered = if is_new { "registered" } else { "was registered before:" };
    let new_runs = match (is_active, is_new && !is_asked) {
        (true, true) => "; as the first version it is active, and other new runs get it too",
        (true, false) => "; it is active, so other new runs get it too",
        (false, _) => " for this run; other new runs get what they got before (--activate changes that)",
    };
    format!("{registered} {label} ({digest}){new_runs}")
}

/// Watches a run of an engine that is there for nothing else, and shuts the engine down. The seconds are how long the
/// run may take, and `resume` is the command that continues it.
pub(crate) async fn watch_run(
    engine: &Engine,
    begin: impl Future<Output = Result<(RunHandle, Level), Error>>,
    timeout: Option<u64>,
    resume: String,
    (output, interrupts): (&Output, &mut Interrupts),
) -> Result<RunReport, Error> {
    let watched = async {
        let notices = engine.subscribe();
        let (handle, log_level) = begin.await?;
        let display = Display::new(&handle.report().await?, log_level, output);
        watch(Watched { handle, notices, display }, timeout.map(Duration::from_secs), interrupts).await
    };
    let result = watched.await;
    conclude(engine, result, (timeout, &|_| Some(resume.clone())), output, interrupts).await
}

/// Shuts the engine down, and says how the run ended.
async fn conclude(
    engine: &Engine,
    result: Result<(Watched<'_>, Stop), Error>,
    (timeout, resume): (Option<u64>, &dyn Fn(RunId) -> Option<String>),
    output: &Output,
    interrupts: &mut Interrupts,
) -> Result<RunReport, Error> {
    let (watched, stop) = match result {
        Ok(stopped) => stopped,
        Err(error) => {
            // The first error is the one to tell.
            stop(engine, false, GRACE, output, interrupts).await.ok();
            return Err(error);
        }
    };
    let id = watched.handle.id();
    shut_down(engine, watched, &stop, output, interrupts).await?;
    let resume = resume(id);
    match stop {
        Stop::Ended(report) => Ok(*report),
        Stop::Interrupted(why) => Err(Error::interrupted(why, id, resume)),
        Stop::TimedOut => Err(Error::TimedOut { run: id.to_string(), seconds: timeout.unwrap_or_default(), resume }),
    }
}

async fn execute<'a>(
    engine: &Engine,
    (source, by): (Option<&Source>, &str),
    begin: Begin,
    arguments: &RunArgs,
    output: &'a Output,
    interrupts: &mut Interrupts,
) -> Result<(Watched<'a>, Stop), Error> {
    let notices = engine.subscribe();
    let mut version = None;
    if let Some(source) = source {
        let activation = if arguments.activate { Activation::Now } else { Activation::IfFirst };
        let (actor, signatures) = (by.to_owned(), source.signatures.clone());
        let upload = Upload { activation, signatures, actor, is_build: true, ..Upload::new(source.archive.clone()) };
        let done = engine.registry().register(upload).await?;
        let label = format!("{}::{}@{}", done.tenant, done.package, done.version);
        let digest = done.digest.to_string();
        output.note(&told(&label, &digest, (done.is_new, done.activated), arguments.activate));
        version = Some(digest);
    }
    refuse_unknown(engine, &arguments.isolation)?;
    let handle = match begin {
        Begin::Start { workflow, input } => {
            let input = Context::from_object(Value::Object(input)).unwrap_or_default();
            let request = RunRequest::new(workflow, input).by(by);
            engine.scheduler().submit(version.into_iter().fold(request, RunRequest::version)).await?
        }
        Begin::Resume(id) => {
            note_withheld(&engine.perform(Command::Execute { run: id }, by).await?, output);
            engine.run(id).await?
        }
    };
    let display = Display::new(&handle.report().await?, arguments.log_level, output);
    let limit = arguments.timeout.map(Duration::from_secs);
    watch(Watched { handle, notices, display }, limit, interrupts).await
}

/// Shows the events until the run has ended, or the wait is interrupted.
async fn watch<'a>(
    mut watched: Watched<'a>,
    limit: Option<Duration>,
    interrupts: &mut Interrupts,
) -> Result<(Watched<'a>, Stop), Error> {
    let Watched { handle, notices, display } = &mut watched;
    let ended = handle.wait();
    let interrupted = interrupts.next();
    let timed_out = async {
        match limit {
            Some(limit) => tokio::time::timeout(limit, pending::<()>()).await,
            None => pending().await,
        }
    };
    let mut ended = Box::pin(ended);
    tokio::pin!(interrupted, timed_out);
    let stop = loop {
        tokio::select! {
            // Tasks that never stop talking must not keep anyone from stopping them.
            biased;
            why = &mut interrupted => break Stop::Interrupted(why),
            _ = &mut timed_out => break Stop::TimedOut,
            Some(notice) = notices.next() => display.show(&notice),
            report = &mut ended => break Stop::Ended(Box::new(report?)),
        }
    };
    drop(ended);
    // The last notices may still be on their way.
    while matches!(stop, Stop::Ended(_)) && !display.is_finished() {
        match tokio::time::timeout(LAST_NOTICE, notices.next()).await {
            Ok(Some(notice)) => display.show(&notice),
            Ok(None) | Err(_) => break,
        }
    }
    Ok((watched, stop))
}

/// Lets attempts finish without showing them; a second signal stops at once. Prints a note if the engine is stopped early.
pub(crate) async fn stop(
    engine: &Engine,
    is_early: bool,
    grace: Duration,
    output: &Output,
    interrupts: &mut Interrupts,
) -> Result<(), Error> {
    if is_early {
        let seconds = grace.as_secs();
        output.note(&format!("stopping: tasks may finish for {seconds} s; Ctrl-C again stops at once"));
    }
    tokio::select! {
        result = engine.shutdown_within(grace) => Ok(result?),
        _ = interrupts.next() => Ok(()),
    }
}

/// Lets attempts finish, and shows what becomes of them; a second signal to stop does not.
async fn shut_down(
    engine: &Engine,
    watched: Watched<'_>,
    stop: &Stop,
    output: &Output,
    interrupts: &mut Interrupts,
) -> Result<(), Error> {
    let Watched { mut notices, mut display, .. } = watched;
    if !matches!(stop, Stop::Ended(_)) {
        let seconds = GRACE.as_secs();
        let tasks = display.running();
        output.note(&format!("stopping: {tasks} may finish for {seconds} s; Ctrl-C again stops at once"));
    }
    let mut ended = Box::pin(engine.shutdown_within(GRACE));
    let ended = loop {
        tokio::select! {
            biased;
            _ = interrupts.next() => break Ok(()),
            result = &mut ended => break result,
            Some(notice) = notices.next() => display.show(&notice),
        }
    };
    display.finish();
    Ok(ended?)
}

/// The command that continues a run.
fn go_on(database: &Database, id: RunId) -> String {
    format!("cloacina-ctl run --resume {id}{}", database.option())
}
