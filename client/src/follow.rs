//! Live streams: what happens to a run, item by item, until the run has ended.
//!
//! A stream outlives its connection. When the connection ends before the run does, because a server restarted or a network
//! failed, another one goes on after the last item, without loss or repetition. A server that stays away is given up.

use std::{collections::VecDeque, future::pending, time::Duration};

use bytes::BytesMut;
use cloacina::{LogFilter, LogRecord, RunEvent, RunId, RunStatus};
use http_body_util::BodyExt;
use hyper::{
    Method,
    body::Incoming,
    header::{ACCEPT, HeaderValue},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{
    answer::lost,
    body,
    client::Client,
    error::{Error, Problem},
    run::of_run,
    run_parts::log_query,
};

/// The header with the id of the last item that the client has.
const LAST_EVENT_ID: &str = "last-event-id";

/// How long a connection may be silent. The server says every 15 seconds that it lives.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long to wait before another connection; the wait doubles with each that fails.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest wait before another connection.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How many connections in a row may fail: about a minute, in which a server restarts.
const TRIES_MAX: u32 = 16;

/// Bytes of an item at most: an event holds a context, which is limited to less.
const ITEM_BYTES_MAX: usize = 256 << 20;

/// Something that is told of a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item {
    /// Something happened, now or before.
    Event(RunEvent),
    /// A line of the log.
    Line(LogRecord),
    /// The run has ended. Nothing follows.
    Ended(RunStatus),
}

/// A stream of items.
#[derive(Debug)]
pub struct Follower {
    client: Client,
    path: String,
    /// The id of the last item.
    last: Option<String>,
    connection: Option<Connection>,
    n_tries: u32,
    has_ended: bool,
}

/// The items that come over one connection.
#[derive(Debug)]
struct Connection {
    url: String,
    body: Incoming,
    /// What came of a line that is not whole yet.
    rest: BytesMut,
    /// How much of that has no end of a line. An item of many megabytes comes in small pieces, each of which is looked at once.
    n_looked_at: usize,
    /// The item that is being read.
    item: Fields,
    read: VecDeque<Fields>,
}

/// An item as it is sent.
#[derive(Debug, Default)]
struct Fields {
    event: String,
    data: String,
    id: Option<String>,
}

impl Client {
    /// Everything that happens to a run, from its beginning until it has ended: its history and its log.
    #[must_use]
    pub fn follow(&self, run: RunId) -> Follower {
        Follower::new(self, of_run(run, "/stream"))
    }

    /// The lines of the log that fit, until the run has ended.
    #[must_use]
    pub fn follow_logs(&self, run: RunId, filter: &LogFilter) -> Follower {
        Follower::new(self, of_run(run, &format!("/logs/stream{}", log_query(filter))))
    }
}

impl Follower {
    fn new(client: &Client, path: String) -> Self {
        Self { client: client.clone(), path, last: None, connection: None, n_tries: 0, has_ended: false }
    }

    /// The id of the last item, with which [`Self::after`] goes on later.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// The same, from the item after the one of that id on.
    #[must_use]
    pub fn after(self, id: &str) -> Self {
        Self { last: Some(id.to_owned()), ..self }
    }

    /// The next item; none after the one that says that the run has ended.
    ///
    /// # Errors
    /// What the server refuses, and [`Error::Unreachable`] or [`Error::Lost`] once the server stays away. The stream can be
    /// read on after an error, and tries again.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.has_ended {
            return Ok(None);
        }
        loop {
            match self.try_next().await {
                Ok(item) => {
                    self.n_tries = 0;
                    self.has_ended = matches!(item, Item::Ended(_));
                    return Ok(Some(item));
                }
                Err(error) => {
                    self.connection = None;
                    if !error.is_of_the_connection() || self.n_tries >= TRIES_MAX {
                        self.n_tries = 0;
                        return Err(error);
                    }
                    let pause = PAUSE_MIN.saturating_mul(1 << self.n_tries.min(16)).min(PAUSE_MAX);
                    self.n_tries += 1;
                    // It ends with the time, as what it waits for never comes.
                    drop(timeout(pause, pending::<()>()).await);
                }
            }
        }
    }

    async fn try_next(&mut self) -> Result<Item, Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(connect(&self.client, &self.path, self.last.as_deref()).await?),
        };
        let fields = connection.next().await?;
        let item = connection.item(&fields)?;
        if let Some(id) = fields.id {
            self.last = Some(id);
        }
        Ok(item)
    }
}

async fn connect(client: &Client, path: &str, last: Option<&str>) -> Result<Connection, Error> {
    let mut request = client.request(Method::GET, path, body::empty())?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(last) = last {
        let last = HeaderValue::from_str(last).map_err(|_| Error::Header { what: "id of an item" })?;
        request.headers_mut().insert(LAST_EVENT_ID, last);
    }
    let (url, body) = client.send(request).await?.into_body();
    Ok(Connection { url, body, rest: BytesMut::new(), n_looked_at: 0, item: Fields::default(), read: VecDeque::new() })
}

impl Connection {
    /// The next item as it is sent.
    async fn next(&mut self) -> Result<Fields, Error> {
        loop {
            if let Some(fields) = self.read.pop_front() {
                return Ok(fields);
            }
            let frame = match timeout(SILENCE_MAX, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(source))) => return Err(lost(self.url.clone(), source)),
                // The server ends in order, and the run goes on with its next start.
                Ok(None) => return Err(lost(self.url.clone(), "the stream ended before the run")),
                Err(elapsed) => return Err(lost(self.url.clone(), elapsed)),
            };
            let Some(bytes) = frame.data_ref() else { continue };
            self.rest.extend_from_slice(bytes);
            self.take_lines()?;
        }
    }

    fn take_lines(&mut self) -> Result<(), Error> {
        while let Some(end) = self.rest[self.n_looked_at..].iter().position(|byte| *byte == b'\n') {
            let line = self.rest.split_to(self.n_looked_at + end + 1);
            self.n_looked_at = 0;
            let line = str::from_utf8(&line).map_err(|error| self.unclear(error.to_string()))?;
            let line = line.trim_end_matches(['\n', '\r']);
            if !line.is_empty() {
                self.item.take(line);
            } else if !self.item.event.is_empty() {
                self.read.push_back(std::mem::take(&mut self.item));
            }
        }
        self.n_looked_at = self.rest.len();
        if self.rest.len() + self.item.data.len() > ITEM_BYTES_MAX {
            return Err(self.unclear(format!("an item of the stream has more than {ITEM_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// What an item says.
    fn item(&self, fields: &Fields) -> Result<Item, Error> {
        match fields.event.as_str() {
            "event" => Ok(Item::Event(self.read(&fields.data)?)),
            "log" => Ok(Item::Line(self.read(&fields.data)?)),
            "end" => Ok(Item::Ended(self.read(&fields.data)?)),
            "error" => Err(Error::Refused(Box::new(self.read::<Problem>(&fields.data)?))),
            other => Err(self.unclear(format!("the stream has an item `{other}`"))),
        }
    }

    fn read<T: DeserializeOwned>(&self, data: &str) -> Result<T, Error> {
        serde_json::from_str(data).map_err(|error| self.unclear(error.to_string()))
    }

    fn unclear(&self, reason: String) -> Error {
        Error::Answer { url: self.url.clone(), reason }
    }
}

impl Fields {
    /// Takes a line that is not empty. A line that begins with a colon says that the server lives, and nothing else.
    fn take(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event),
            "id" => self.id = Some(value.to_owned()),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            _ => {}
        }
    }
}
