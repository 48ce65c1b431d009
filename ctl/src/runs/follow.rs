//! A run that the running engine drives, until it has ended: what happens is pushed through the socket.
//!
//! What is to make the run begin is asked only once the run is followed, over a second connection: the engine may live for
//! this run alone, and be gone before anybody could ask how it ended.

use std::cell::Cell;
use std::time::Duration;

use cloacina::{Client, Command, Followed, RunEvent, RunId, RunReport};
use cloacina_client::{Client as Remote, Item};

use super::engine::{reach, runtime};
use super::view::PANICKED;
use super::why::note_withheld;
use crate::error::Error;
use crate::output::Output;
use crate::place::{self, Place};
use crate::run::Interrupts;
use crate::table::printable;

/// The events with which a task has ended.
const TASK_ENDS: [&str; 4] = ["task_completed", "task_failed", "task_skipped", "task_cancelled"];

/// What is followed, and until when.
pub(crate) struct Follow<'a> {
    pub(crate) id: RunId,
    /// Only until this task has ended.
    pub(crate) task: Option<&'a str>,
    /// What is asked once the run is being followed, on behalf of whom: an engine that lives for this run alone may be gone
    /// right after it.
    pub(crate) begin: Option<(Command, &'a str)>,
    /// How many seconds it may take.
    pub(crate) timeout: Option<u64>,
    /// The command that continues it.
    pub(crate) resume: String,
    /// How many events were shown.
    pub(crate) n_shown: &'a Cell<usize>,
}

/// Shows what happens to the run and returns how it ended.
pub(crate) async fn follow(client: Client, job: Follow<'_>, output: &Output) -> Result<RunReport, Error> {
    let Follow { id, task, begin, timeout, resume, n_shown } = job;
    let show = |event: &RunEvent| {
        output.note(&line(event, output));
        n_shown.set(n_shown.get() + 1);
    };
    let begun = |report: &RunReport| note_withheld(report, output);
    let ended = follow_to_the_end(client, (id, task), begin, &begun, &show);
    in_time(ended, id, timeout, resume, &mut Interrupts::listen()?).await
}

/// The same on a server. What is asked comes first, as a server lives longer than a run, and its history is told from the
/// beginning.
pub(super) async fn follow_on(client: &Remote, job: Follow<'_>, output: &Output) -> Result<RunReport, Error> {
    let Follow { id, task, begin, timeout, resume, n_shown } = job;
    let show = |event: &RunEvent| {
        output.note(&line(event, output));
        n_shown.set(n_shown.get() + 1);
    };
    let ended = async {
        if let Some((command, _)) = begin {
            note_withheld(&place::perform(client, command).await?, output);
        }
        wait_on(client, id, task, &show).await
    };
    in_time(ended, id, timeout, resume, &mut Interrupts::listen()?).await
}

/// Shows what happens to a run on a server until it, or that task of it, has ended.
async fn wait_on(client: &Remote, id: RunId, task: Option<&str>, show: &dyn Fn(&RunEvent)) -> Result<RunReport, Error> {
    let mut follower = client.follow(id);
    while let Some(item) = follower.next().await? {
        let Item::Event(event) = item else { continue };
        show(&event);
        if task.is_some() && event.task.as_deref() == task && TASK_ENDS.contains(&event.kind) {
            break;
        }
    }
    Ok(client.run(id).await?)
}

async fn follow_to_the_end(
    mut client: Client,
    (id, task): (RunId, Option<&str>),
    mut begin: Option<(Command, &str)>,
    begun: &dyn Fn(&RunReport),
    show: &dyn Fn(&RunEvent),
) -> Result<RunReport, Error> {
    client.follow(id).await?;
    // Why what was to be asked could not be, as the engine is about to end.
    let mut unasked = None;
    loop {
        let followed = client.next().await?;
        // Whatever is told first says that the engine tells of the run's end, too.
        let asked = match begin.take() {
            Some((command, actor)) => {
                let asked = async { Ok(client.again().await?.perform(command, actor).await?) };
                match asked.await {
                    Ok(report) => {
                        begun(&report);
                        Some(report)
                    }
                    Err(error) if is_ending(&error) => {
                        unasked = Some(error);
                        None
                    }
                    Err(error) => return Err(error),
                }
            }
            None => None,
        };
        match (followed, asked) {
            (Followed::Ended(_), Some(report)) => return Ok(report),
            (Followed::Ended(report), None) => return Ok(*report),
            // Its end may still come; if it does not, the engine says so.
            (Followed::Event(event), None) if task.is_none() && unasked.is_some() => show(&event),
            (Followed::Event(event), _) => {
                show(&event);
                if task.is_some() && event.task.as_deref() == task && TASK_ENDS.contains(&event.kind) {
                    if let Some(error) = unasked {
                        return Err(error);
                    }
                    // This connection is taken up by what follows.
                    return Ok(client.again().await?.perform(Command::Report { run: id }, "").await?);
                }
            }
        }
    }
}

/// Whether the engine that was asked is about to end, or has removed its socket.
fn is_ending(error: &Error) -> bool {
    error.is_of_an_ending_engine() || error.code() == "SOC0001"
}

/// Waits for that unless it takes too long or is interrupted; `resume` is the command that continues it.
pub(super) async fn in_time(
    ended: impl Future<Output = Result<RunReport, Error>>,
    id: RunId,
    timeout_seconds: Option<u64>,
    resume: String,
    interrupts: &mut Interrupts,
) -> Result<RunReport, Error> {
    tokio::pin!(ended);
    tokio::select! {
        report = &mut ended => report,
        why = interrupts.next() => Err(Error::interrupted(why, id, Some(resume))),
        () = over(timeout_seconds.map(Duration::from_secs)) => {
            let seconds = timeout_seconds.unwrap_or_default();
            Err(Error::TimedOut { run: id.to_string(), seconds, resume: Some(resume) })
        }
    }
}

/// Waits for the run on its server, or through the socket of the running engine; none if no engine lives, if it ends before the run, or if
/// too many wait already.
pub(super) fn wait_beside(
    place: &Place,
    id: RunId,
    (timeout, resume): (Option<u64>, String),
) -> Result<Option<RunReport>, Error> {
    runtime()?.block_on(async {
        let database = match place {
            Place::Database(database) => database,
            Place::Server(server) => {
                let client = server.client()?;
                let ended = wait_on(&client, id, None, &|_| {});
                return in_time(ended, id, timeout, resume, &mut Interrupts::listen()?).await.map(Some);
            }
        };
        let Some(mut client) = Client::connect(&database.url).await? else { return Ok(None) };
        let ended = async { Ok(client.wait(id).await?) };
        unless_alone(in_time(ended, id, timeout, resume, &mut Interrupts::listen()?).await)
    })
}

/// None where the database can be looked at instead: the engine ends, or has no room for another that waits.
fn unless_alone(followed: Result<RunReport, Error>) -> Result<Option<RunReport>, Error> {
    match followed {
        Err(Error::Socket(error)) if error.is_crowded() => Ok(None),
        Err(error) if error.is_of_an_ending_engine() => Ok(None),
        followed => followed.map(Some),
    }
}

/// Follows the run on its server, or through the socket of the running engine; none as for [`wait_beside`].
pub(super) fn beside(
    place: &Place,
    id: RunId,
    (timeout, resume): (Option<u64>, String),
    n_shown: &Cell<usize>,
    output: &Output,
) -> Result<Option<RunReport>, Error> {
    runtime()?.block_on(async {
        let database = match place {
            Place::Database(database) => database,
            Place::Server(server) => {
                let job = Follow { id, task: None, begin: None, timeout, resume, n_shown };
                return follow_on(&server.client()?, job, output).await.map(Some);
            }
        };
        match reach(database).await? {
            Some(client) => {
                let job = Follow { id, task: None, begin: None, timeout, resume, n_shown };
                unless_alone(follow(client, job, output).await)
            }
            None => Ok(None),
        }
    })
}

/// An event in one line.
pub(super) fn line(event: &RunEvent, output: &Output) -> String {
    let at = event.at.to_string();
    let time = output.paint_notes().dim(at.get(11..23).unwrap_or(&at));
    let task = event.task.as_deref().map(|task| format!(" {task}")).unwrap_or_default();
    let attempt = event.attempt.filter(|attempt| *attempt > 1).map(|attempt| format!(" (attempt {attempt})"));
    let detail = |name: &str| event.details.get(name).and_then(|text| text.as_str());
    let message = detail("message").map(|message| format!(": {message}")).unwrap_or_default();
    let inner = event.details.get("details").filter(|_| detail("kind") == Some(PANICKED));
    let place = inner.and_then(|inner| inner.get("location")?.as_str()).map(|place| format!(", at {place}"));
    let by = detail("by").map(|by| format!(" by {by}")).unwrap_or_default();
    let why = match (event.kind, detail("dependency")) {
        ("task_skipped", Some(dependency)) => format!(" because of {dependency}"),
        ("task_skipped", None) => " by its rule".to_owned(),
        _ => String::new(),
    };
    let told = printable(&format!("{message}{}", place.unwrap_or_default()));
    format!("{time} {}{task}{}{by}{why}{told}", event.kind, attempt.unwrap_or_default())
}

/// Waits for that time; without one, for ever.
async fn over(limit: Option<Duration>) {
    let never = std::future::pending::<()>();
    match limit {
        // It ends with the time, as what it waits for never comes.
        Some(limit) => drop(tokio::time::timeout(limit, never).await),
        None => never.await,
    }
}
