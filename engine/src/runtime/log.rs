//! The log of one attempt: what may be stored of it, and how much is missing.
//!
//! - Writing a line never waits: a line that is too much is counted and left out, and the log says how many are
//!   missing at the place where they are missing.
//! - Every line passes through [`AttemptLog::put`], whether the task or the engine wrote it: there the run's secrets are taken out, and then it
//!   is cut to its limits, so that no cut leaves half of a secret. A message that is too long becomes several lines, which
//!   joined are the message; those after the first say in their fields that they continue it.
//! - Lines keep the order in which they were written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloacina_workflow::{Level, Timestamp};

use super::{runner::AttemptKey, secret::Secrets};
use crate::{
    loader::{CONTINUED, LINE_BYTES_MAX, LINE_SENT_MAX, pieces},
    store::{Full, LogQueue, LogRow},
};

/// Bytes of the fields that are stored.
const FIELDS_BYTES_MAX: usize = 16 << 10;

/// Lines of one attempt that are stored. Who writes more has a file in mind and not a log.
const LINES_MAX: usize = 10_000;

/// Bytes of one attempt's lines that are stored.
const BYTES_MAX: usize = 4 << 20;

/// The target of lines that the engine adds.
const OWN_TARGET: &str = "cloacina";

/// The log of one attempt, or of the callback that follows it.
#[derive(Debug)]
pub(super) struct AttemptLog {
    key: AttemptKey,
    queue: LogQueue,
    /// Less important lines are not stored.
    level: Level,
    secrets: Arc<Secrets>,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    n_lines: usize,
    n_bytes: usize,
    /// Lines that were left out since the last one that was not, and when the last of them was written.
    dropped: Option<(i64, Timestamp)>,
}

impl AttemptLog {
    pub(super) fn new(key: AttemptKey, queue: LogQueue, level: Level, secrets: Arc<Secrets>) -> Self {
        Self { key, queue, level, secrets, written: Mutex::default() }
    }

    /// Takes a line. `fields` is a JSON object as text, or empty. `also` gets each part of the line as it is stored,
    /// if it would be: target, message and fields.
    pub(super) fn put(
        &self,
        at: Timestamp,
        level: Level,
        (target, message, fields): (&str, &str, &str),
        mut also: impl FnMut(&str, &str, &str),
    ) {
        let target = self.secrets.hide_name(target);
        let (message, fields) = (self.secrets.hide_sent(message, LINE_SENT_MAX), self.secrets.hide_fields(fields));
        let mut written = self.lock();
        for (idx, message) in pieces(&message, LINE_BYTES_MAX).enumerate() {
            let fields = if idx == 0 { &*fields } else { CONTINUED };
            also(&target, message, fields);
            if level <= self.level {
                self.put_line(&mut written, line(self.key, at, level, (&target, message, fields)));
            }
        }
    }

    fn put_line(&self, written: &mut Written, line: LogRow) {
        let (at, n_bytes) = (line.at, written.n_bytes + line.n_bytes());
        let fits = written.n_lines < LINES_MAX && n_bytes <= BYTES_MAX;
        let stored = if fits { self.queue_after_gap(written, line) } else { Err(Full) };
        match stored {
            Ok(()) => {
                written.n_lines += 1;
                written.n_bytes = n_bytes;
            }
            Err(Full) => {
                let n_before = written.dropped.map_or(0, |(n_dropped, _)| n_dropped);
                written.dropped = Some((n_before + 1, at));
            }
        }
    }

    /// Says how many lines are missing at the end, if any.
    pub(super) fn end(&self) {
        let mut written = self.lock();
        if let Some((n_dropped, at)) = written.dropped.take() {
            // The store is closed if it does not take it.
            self.queue.push(gap(self.key, at, n_dropped)).ok();
        }
    }

    /// Hands a line over, after the one that says how many are missing before it.
    fn queue_after_gap(&self, written: &mut Written, line: LogRow) -> Result<(), Full> {
        let Some((n_dropped, at)) = written.dropped else { return self.queue.push(line) };
        if !self.queue.has_room() {
            return Err(Full);
        }
        self.queue.push(gap(self.key, at, n_dropped))?;
        written.dropped = None;
        self.queue.push(line)
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AttemptLog {
    fn drop(&mut self) {
        self.end();
    }
}

/// A line as it is stored: the one way by which what a task said gets there.
fn line(key: AttemptKey, at: Timestamp, level: Level, (target, message, fields): (&str, &str, &str)) -> LogRow {
    let fields = if matches!(fields, "{}") { "" } else { fields };
    LogRow {
        fields: match fields.len() {
            // Half of an object would be none.
            n_bytes if n_bytes > FIELDS_BYTES_MAX => format!(r#"{{"cut_bytes":{n_bytes}}}"#),
            _ => clean(fields),
        },
        target: clean(target),
        message: clean(message),
        level,
        ..gap(key, at, 0)
    }
}

/// What stands for lines that are missing.
fn gap(key: AttemptKey, at: Timestamp, n_dropped: i64) -> LogRow {
    LogRow {
        run: key.run,
        task: i32::try_from(key.task.number()).unwrap_or(i32::MAX),
        attempt: i32::try_from(key.attempt).unwrap_or(i32::MAX),
        at,
        level: Level::Warn,
        target: OWN_TARGET.to_owned(),
        message: String::new(),
        fields: String::new(),
        n_dropped,
    }
}

/// PostgreSQL has no way to store a zero.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{node::TaskIndex, slot::Role},
        id::RunId,
    };

    fn stored(target: &str, message: &str, fields: &str) -> (String, String, String) {
        let at = Timestamp::from_unix_micros(1);
        let key = AttemptKey { run: RunId::new(at), task: TaskIndex::new(0), attempt: 1, role: Role::Task };
        let LogRow { target, message, fields, .. } = line(key, at, Level::Info, (target, message, fields));
        (target, message, fields)
    }

    #[test]
    fn lines_are_cut_to_their_limits() {
        let (target, message, fields) = stored("t", "a\0b", "{}");
        assert_eq!((target.as_str(), message.as_str(), fields.as_str()), ("t", "a\u{fffd}b", ""));
        let (_, _, fields) = stored("t", "m", &format!(r#"{{"a":"{}"}}"#, "b".repeat(20_000)));
        assert_eq!(fields, r#"{"cut_bytes":20008}"#);
    }
}
