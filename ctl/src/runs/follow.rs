//! A run that the living engine drives, until it has ended: what happens is pushed through the socket.

use std::time::Duration;

use cloacina::{Client, Followed, RunEvent, RunId, RunReport};

use super::engine::runtime;
use crate::database::Database;
use crate::error::Error;
use crate::output::Output;
use crate::run::Interrupts;

/// Shows what happens to the run and returns how it ended. `resume` is the command that goes on with that.
pub(super) async fn follow(
    mut client: Client,
    id: RunId,
    timeout_seconds: Option<u64>,
    resume: String,
    output: &Output,
) -> Result<RunReport, Error> {
    let mut interrupts = Interrupts::listen()?;
    let ended = async {
        client.follow(id).await?;
        loop {
            match client.next().await? {
                Followed::Event(event) => output.note(&line(&event, output)),
                Followed::Ended(report) => return Ok(*report),
            }
        }
    };
    let limit = timeout_seconds.map(Duration::from_secs);
    tokio::pin!(ended);
    tokio::select! {
        report = &mut ended => report,
        () = interrupts.next() => Err(Error::Interrupted { run: id.to_string(), resume: Some(resume) }),
        () = over(limit) => {
            let seconds = timeout_seconds.unwrap_or_default();
            Err(Error::TimedOut { run: id.to_string(), seconds, resume: Some(resume) })
        }
    }
}

/// Follows the run through the socket of the living engine; none if no engine lives.
pub(super) fn beside(
    database: &Database,
    id: RunId,
    timeout_seconds: Option<u64>,
    resume: String,
    output: &Output,
) -> Result<Option<RunReport>, Error> {
    runtime()?.block_on(async {
        match Client::connect(&database.url).await? {
            Some(client) => follow(client, id, timeout_seconds, resume, output).await.map(Some),
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
    let by = detail("by").map(|by| format!(" by {by}")).unwrap_or_default();
    format!("{time} {}{task}{}{by}{message}", event.kind, attempt.unwrap_or_default())
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
