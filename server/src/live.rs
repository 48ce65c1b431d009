//! Live streams by server-sent events: a run with its history and its log, and the log alone.
//!
//! Everything comes from the store, page by page, as fast as the client reads: a slow client holds one page and costs nobody
//! else anything. The id of an item says how far the client has read, so that `last-event-id` goes on after it without loss or
//! repetition, also on another day. A stream ends when the run has ended, or when the server does.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use cloacina::{Engine, LogFilter, LogFollower, LogRecord, RunEvent, RunHandle, RunId};
use futures_util::{
    Stream, StreamExt,
    stream::{self, once, select},
};
use tokio::time::{Interval, interval};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::{InPath, Parameters},
    problem::{Problem, Problems},
    refused::Refused,
    routes::LogsQuery,
};

/// How often a silent stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often the database is asked for news of a run that another engine drives.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often in a row no engine may drive a run before its followers are told that.
const ALONE_MAX: u32 = 10;

/// The header with the id of the last item that the client has.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";

/// How far a client has read: the number of the next event of the history, and of the last line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    next_event: i64,
    last_line: i64,
}

/// What a stream of a run tells.
enum Item {
    Event(Result<RunEvent, cloacina::Error>),
    Lines(Result<Vec<LogRecord>, cloacina::Error>),
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(follow)).routes(routes!(follow_logs))
}

/// Everything that happens to a run, live, from its beginning: `event` for an event of the history, `log` for a line of the
/// log, and at its end `end` with the run in brief. `error` is the last item if the stream cannot go on.
#[utoipa::path(get, path = "/runs/{run}/stream", tag = "runs", operation_id = "runs_stream",
    params(
        ("run" = String, Path, description = "The id of the run."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last item that the client has."),
    ),
    responses((status = 200, description = "The stream.", body = String, content_type = "text/event-stream"), Problems))]
async fn follow(
    State(app): State<Shared>,
    asker: Asker,
    headers: HeaderMap,
    InPath(run): InPath<RunId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = Place::of(&headers)?;
    let handle = asker.engine.run(run).await?;
    let events = events(Followed::new(&asker, &handle), place.next_event).map(Item::Event);
    let after = (place.last_line > 0).then_some(place.last_line);
    let lines = lines(Followed::new(&asker, &handle), LogFilter { after, ..LogFilter::default() }).map(Item::Lines);
    Ok(served(&app, select(events, lines), place, asker.engine, run))
}

/// The log of a run, live, from its beginning: `log` for a line, and `end` when the run has ended.
#[utoipa::path(get, path = "/runs/{run}/logs/stream", tag = "runs", operation_id = "runs_logs_stream",
    params(
        ("run" = String, Path, description = "The id of the run."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last item that the client has."),
        LogsQuery,
    ),
    responses((status = 200, description = "The stream.", body = String, content_type = "text/event-stream"), Problems))]
async fn follow_logs(
    State(app): State<Shared>,
    asker: Asker,
    headers: HeaderMap,
    InPath(run): InPath<RunId>,
    Parameters(query): Parameters<LogsQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = Place::of(&headers)?;
    let mut filter = query.filter()?;
    if place.last_line > 0 {
        filter = LogFilter { after: Some(place.last_line), tail: None, ..filter };
    }
    let handle = asker.engine.run(run).await?;
    let lines = lines(Followed::new(&asker, &handle), filter).map(Item::Lines);
    Ok(served(&app, lines, place, asker.engine, run))
}

/// Everything that happens to the run from that event on, until the run has ended, whichever engine drives it.
fn events(followed: Followed, next: i64) -> impl Stream<Item = Result<RunEvent, cloacina::Error>> {
    stream::unfold(Some((followed, next, None)), async |state| {
        let (mut followed, mut next, mut follower) = state?;
        loop {
            let ended = match &mut follower {
                // What is seldom waited for has a place of its own, which idle followers do not keep.
                None => match Box::pin(followed.handle.follow_from(next)).await {
                    Ok(found) => {
                        follower = Some(found);
                        continue;
                    }
                    Err(error) => Some(Err(error)),
                },
                Some(found) => found.next().await,
            };
            match ended {
                Some(Ok(event)) => {
                    next = event.sequence + 1;
                    followed.n_alone = 0;
                    return Some((Ok(event), Some((followed, next, follower))));
                }
                Some(Err(error)) => {
                    if let Err(error) = Box::pin(followed.wait_elsewhere(error)).await {
                        return Some((Err(error), None));
                    }
                    follower = None;
                }
                None => return None,
            }
        }
    })
}

/// The lines of a log as they are stored, until the run has ended, whichever engine drives it.
fn lines(followed: Followed, filter: LogFilter) -> impl Stream<Item = Result<Vec<LogRecord>, cloacina::Error>> {
    stream::unfold(Some((followed, filter, None)), async |state| {
        let (mut followed, mut filter, mut follower) = state?;
        loop {
            match followed.lines(&mut follower, &filter).await {
                Ok(Some(lines)) => {
                    followed.n_alone = 0;
                    filter = LogFilter { after: lines.last().map(|line| line.number), tail: None, ..filter };
                    return Some((Ok(lines), Some((followed, filter, follower))));
                }
                Ok(None) => return None,
                Err(error) => {
                    if let Err(error) = Box::pin(followed.wait_elsewhere(error)).await {
                        return Some((Err(error), None));
                    }
                    follower = None;
                }
            }
        }
    })
}

/// A run that is followed although another engine may drive it: one beside this, or one that was killed and from which this
/// engine takes over when its lease has ended. What happens there is in the database alone.
struct Followed {
    engine: Engine,
    handle: RunHandle,
    /// Whether the run had ended before the last lines were looked for.
    has_ended: bool,
    /// How often in a row no engine drove the run.
    n_alone: u32,
    /// When the database is asked again; of runs of this engine never.
    pace: Option<Interval>,
}

impl Followed {
    fn new(asker: &Asker, handle: &RunHandle) -> Self {
        Self { engine: asker.engine.clone(), handle: handle.clone(), has_ended: false, n_alone: 0, pace: None }
    }

    /// The next lines; none when the run has ended.
    async fn lines(
        &mut self,
        follower: &mut Option<LogFollower>,
        filter: &LogFilter,
    ) -> Result<Option<Vec<LogRecord>>, cloacina::Error> {
        let id = self.handle.id();
        loop {
            let found = match follower {
                Some(found) => found,
                None => follower.insert(Box::pin(self.handle.follow_logs(filter.clone())).await?),
            };
            if let Some(lines) = found.next().await? {
                return Ok(Some(lines));
            }
            if self.has_ended || found.is_driven_here() {
                return Ok(None);
            }
            self.has_ended = Box::pin(self.engine.report(id)).await?.state.is_terminal();
            if !self.has_ended {
                return Err(cloacina::Error::NotDriven { id });
            }
            *follower = None;
        }
    }

    /// Waits a moment if the error says that the run goes on elsewhere, or may soon; else returns the error.
    async fn wait_elsewhere(&mut self, error: cloacina::Error) -> Result<(), cloacina::Error> {
        match error {
            cloacina::Error::NotDriven { .. } | cloacina::Error::Fenced { .. } => self.n_alone = 0,
            // Between the end of a lease and the moment in which another engine takes over.
            cloacina::Error::Undriven { .. } if self.n_alone < ALONE_MAX => self.n_alone += 1,
            error => return Err(error),
        }
        self.pace.get_or_insert_with(|| interval(LOOK_EVERY)).tick().await;
        Ok(())
    }
}

/// How the run has ended.
fn end(engine: Engine, run: RunId) -> impl Stream<Item = Event> {
    once(async move {
        match Box::pin(engine.report(run)).await {
            Ok(report) => shown("end", &report.status),
            Err(error) => failed(error),
        }
    })
}

/// Sends the items from that place on and then how the run has ended, unless the server ends before.
fn served<S: Stream<Item = Item> + Send + 'static>(
    app: &Shared,
    items: S,
    place: Place,
    engine: Engine,
    run: RunId,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<S>> {
    let events = items.scan(place, |place, item| {
        let shown = place.show(item);
        async move { Some(stream::iter(shown)) }
    });
    let events = events.flatten().chain(end(engine, run)).take_until(Box::pin(app.stopped())).map(Ok);
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

fn shown(name: &str, value: &impl serde::Serialize) -> Event {
    // What is shown are texts, numbers and what was JSON before.
    Event::default().event(name).json_data(value).unwrap_or_else(|_| Event::default().event(name))
}

fn failed(error: cloacina::Error) -> Event {
    shown("error", &Problem::from(error))
}

impl Place {
    fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(Self::default()) };
        let place = value.to_str().ok().and_then(Self::parse);
        place.ok_or(Refused::Header { name: LAST_EVENT_ID, reason: "it is the id of no item of such a stream" })
    }

    fn parse(text: &str) -> Option<Self> {
        let (next_event, last_line) = text.split_once('.')?;
        let place = Self { next_event: next_event.parse().ok()?, last_line: last_line.parse().ok()? };
        (place.next_event >= 0 && place.last_line >= 0).then_some(place)
    }

    fn show(&mut self, item: Item) -> Vec<Event> {
        match item {
            Item::Event(Ok(event)) => {
                self.next_event = event.sequence + 1;
                vec![shown("event", &event).id(self.to_string())]
            }
            Item::Lines(Ok(lines)) => {
                let line = |line: LogRecord| {
                    self.last_line = line.number;
                    shown("log", &line).id(self.to_string())
                };
                lines.into_iter().map(line).collect()
            }
            Item::Event(Err(error)) | Item::Lines(Err(error)) => vec![failed(error)],
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.next_event, self.last_line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is() {
        let place = Place { next_event: 12, last_line: 345 };
        assert_eq!(Place::parse(&place.to_string()), Some(place));
        for text in ["", "1", "1.", ".1", "-1.0", "1.-1", "1.2.3", "a.b", "99999999999999999999.0"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}
