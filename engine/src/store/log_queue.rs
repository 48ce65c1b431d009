//! The queue of log lines on their way to the writer: bounded, and never waited for by those who write lines.
//!
//! ```text
//!   attempts ──push──▶ queue ◀──take── writer thread ──▶ database
//!                 └─ LogsWaiting, once, when the queue was empty ─▶
//! ```
//! A line that finds no room is refused, and its writer counts it. The writer is told once and looks for itself;
//! an empty queue costs it nothing. After the store is closed no line is taken any more.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Sender},
};

use diesel::connection::SimpleConnection;

use super::{
    Connection, Error,
    log::{LogRow, log_insert_in_txn},
    signal::{RunSignal, RunSignals},
    writer::{Command, Job, Undo},
};
use crate::id::RunId;

/// Lines that may wait at once, in all attempts together. Some hundred attempts that all talk at once fit.
const LINES_MAX: usize = 32_768;

/// Bytes of lines that may wait at once.
const BYTES_MAX: usize = 16 << 20;

/// Lines in one transaction. They ride along with commits, and a caller that waits for those waits for the lines too: so
/// many take about a millisecond.
const BATCH_LINES_MAX: usize = 256;

/// Bytes of lines in one transaction, for the same reason.
const BATCH_BYTES_MAX: usize = 256 << 10;

/// A handle to the queue. Clones share it.
#[derive(Clone)]
pub(crate) struct LogQueue {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// Tells those who follow the log of a run that lines of it were stored.
    stored: RunSignals,
}

struct Waiting {
    lines: VecDeque<LogRow>,
    n_bytes: usize,
    /// Whether the writer knows that there are lines.
    is_told: bool,
    /// Absent once the store is closed.
    writer: Option<Sender<Command>>,
}

/// There is no room for the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Some lines as a job of the writer.
pub(super) struct Batch {
    lines: Vec<LogRow>,
    /// Whether nothing else is in the transaction, so that nobody waits for the disk.
    is_alone: bool,
    stored: LogQueue,
}

impl LogQueue {
    pub(super) fn new(writer: Sender<Command>) -> Self {
        let waiting = Waiting { lines: VecDeque::new(), n_bytes: 0, is_told: false, writer: Some(writer) };
        Self { shared: Arc::new(Shared { waiting: Mutex::new(waiting), stored: RunSignals::default() }) }
    }

    /// Hands a line over; it will be stored after those that were handed over before. A line that stands for dropped
    /// ones always finds room: there is at most one for each line that did.
    pub(crate) fn push(&self, line: LogRow) -> Result<(), Full> {
        let mut waiting = self.lock();
        let n_bytes = waiting.n_bytes + line.n_bytes();
        let is_full = waiting.lines.len() >= LINES_MAX || n_bytes > BYTES_MAX;
        if waiting.writer.is_none() || is_full && line.n_dropped == 0 {
            return Err(Full);
        }
        waiting.n_bytes = n_bytes;
        waiting.lines.push_back(line);
        if !std::mem::replace(&mut waiting.is_told, true)
            && let Some(writer) = &waiting.writer
        {
            // Without a writer the store is being closed, and then lines may be lost.
            writer.send(Command::LogsWaiting).ok();
        }
        Ok(())
    }

    /// Whether a line that comes now would be taken.
    pub(crate) fn has_room(&self) -> bool {
        let waiting = self.lock();
        waiting.writer.is_some() && waiting.lines.len() < LINES_MAX && waiting.n_bytes < BYTES_MAX
    }

    /// Follows the log of a run: tells when lines of it have been stored.
    pub(crate) fn follow(&self, run: RunId) -> RunSignal {
        self.shared.stored.follow(run)
    }

    /// The oldest lines, as many as one transaction should have.
    pub(super) fn take(&self, is_alone: bool) -> Option<Batch> {
        let mut waiting = self.lock();
        let (mut lines, mut n_bytes) = (Vec::new(), 0);
        while let Some(line) = waiting.lines.front() {
            if !lines.is_empty() && (lines.len() == BATCH_LINES_MAX || n_bytes + line.n_bytes() > BATCH_BYTES_MAX) {
                break;
            }
            n_bytes += line.n_bytes();
            lines.extend(waiting.lines.pop_front());
        }
        waiting.n_bytes -= n_bytes;
        waiting.is_told = !waiting.lines.is_empty();
        if waiting.lines.is_empty() && waiting.lines.capacity() > BATCH_LINES_MAX {
            waiting.lines = VecDeque::new();
        }
        (!lines.is_empty()).then(|| Batch { lines, is_alone, stored: self.clone() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().lines.is_empty()
    }

    /// Refuses lines from now on, and lets the writer end.
    pub(super) fn close(&self) {
        self.lock().writer = None;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while the lock is held.
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// The runs of the lines. Lines of one run often follow one another.
    fn runs(&self) -> impl Iterator<Item = RunId> {
        self.lines.chunk_by(|line, next| line.run == next.run).filter_map(|lines| lines.first()).map(|line| line.run)
    }
}

impl Job for Batch {
    fn write(&mut self, connection: &mut Connection) -> Result<(), Undo> {
        if self.is_alone && matches!(connection, Connection::Postgres(_)) {
            connection.batch_execute("SET LOCAL synchronous_commit = off")?;
        }
        Ok(log_insert_in_txn(connection, &self.lines)?)
    }

    fn finish(&mut self, result: Result<(), Arc<Error>>) {
        match result {
            Ok(()) => self.stored.shared.stored.give(self.runs()),
            Err(error) => {
                let n_lines = self.lines.len();
                tracing::warn!(error = &*error as &dyn std::error::Error, n_lines, "log lines were not stored");
            }
        }
    }
}

impl fmt::Debug for LogQueue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogQueue").field("waiting", &self.lock().lines.len()).finish_non_exhaustive()
    }
}
