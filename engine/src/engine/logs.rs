//! The logs of runs: what the attempts of one run wrote, while it runs and afterwards, from the same place.
//!
//! Everything comes from the store, so that nobody sees a line that another cannot. Following does not poll: the
//! store tells when it has stored lines of the run, and the driver when the run has ended.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use cloacina_workflow::{Level, Timestamp};
use tokio::sync::watch;

use super::{handle::alive, run_handle::RunHandle};
use crate::{
    Error,
    core::plan::Plan,
    id::RunId,
    runtime::{Phase, stored_version},
    store::{self, Error as StoreError, LogRow, LogSearch, RunSignal},
    view::LogRecord,
};

/// Lines that are returned at most at once.
const LINES_MAX: i64 = 10_000;

/// Which lines; an absent part excludes none.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Only lines of that task.
    pub task: Option<String>,
    /// Only lines of attempts of that number.
    pub attempt: Option<u32>,
    /// Only lines that are at least as important.
    pub level: Option<Level>,
    /// Only lines that were written at this moment or later.
    pub since: Option<Timestamp>,
    /// Only lines after the one of that number, which continues a list after its last line.
    pub after: Option<i64>,
    /// Only the last lines that fit, so many at most.
    pub tail: Option<usize>,
}

/// Follows the log of one run until the run has ended; made by [`RunHandle::follow_logs`].
#[derive(Debug)]
pub struct LogFollower {
    handle: RunHandle,
    filter: LogFilter,
    stored: RunSignal,
    phase: Option<watch::Receiver<Phase>>,
}

impl RunHandle {
    /// What the run's attempts wrote to their logs so far, in order; at most 10,000 lines at once.
    ///
    /// # Errors
    /// As [`Self::report`]; [`Error::UnknownTask`].
    pub async fn logs(&self, filter: &LogFilter) -> Result<Vec<LogRecord>, Error> {
        let shared = alive(&self.shared)?;
        shared.store().log_flush().await?;
        let plan = stored_version(&self.stored_workflow(&shared).await?)?.plan;
        let search = filter.search(self.id(), &plan)?;
        let read = shared.store().read("reading logs", move |connection| store::log_list(connection, &search));
        Ok(read.await?.into_iter().map(|row| LogRecord::new(row, &plan)).collect())
    }

    /// As [`Self::logs`], and then every line that follows, until the run has ended.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn follow_logs(&self, filter: LogFilter) -> Result<LogFollower, Error> {
        let stored = alive(&self.shared)?.store().logs().follow(self.id());
        Ok(LogFollower { handle: self.clone(), filter, stored, phase: self.phase().await? })
    }
}

impl LogFollower {
    /// Whether this engine drives the run, and so tells of its end. Of a run that another engine drives, [`Self::next`] returns what
    /// is stored, and then none although the run goes on.
    #[must_use]
    pub fn is_driven_here(&self) -> bool {
        self.phase.as_ref().is_some_and(|phase| !matches!(*phase.borrow(), Phase::Fenced | Phase::Lost(_)))
    }

    /// The next lines; none when the run has ended, or the engine has stopped, and all were returned.
    ///
    /// # Errors
    /// As [`RunHandle::logs`].
    pub async fn next(&mut self) -> Result<Option<Vec<LogRecord>>, Error> {
        loop {
            self.stored.mark_seen();
            // Looked at before the lines are read, so that none of the last ones is missed.
            let is_over = self.phase.as_ref().is_none_or(|phase| !is_active(phase));
            let lines = match self.handle.logs(&self.filter).await {
                Err(Error::ShutDown | Error::Store(StoreError::Closed)) => return Ok(None),
                lines => lines?,
            };
            // From now on the rest is wanted, however much that is.
            self.filter.tail = None;
            if let Some(last) = lines.last() {
                self.filter.after = Some(last.number);
                return Ok(Some(lines));
            }
            if is_over {
                return Ok(None);
            }
            let Some(phase) = &mut self.phase else { return Ok(None) };
            let mut stored = pin!(self.stored.given());
            let mut ended = pin!(phase.wait_for(|phase| !matches!(phase, Phase::Active)));
            poll_fn(|waker| {
                let is_ready = ended.as_mut().poll(waker).is_ready() || stored.as_mut().poll(waker).is_ready();
                if is_ready { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }
}

impl LogFilter {
    pub(super) fn search(&self, run: RunId, plan: &Plan) -> Result<LogSearch, Error> {
        let number = |task: &String| {
            let place = plan.tasks.iter().position(|declared| *declared.id == **task);
            let place = place.and_then(|place| i32::try_from(place).ok());
            place.ok_or_else(|| Error::UnknownTask { id: run, task: task.clone() })
        };
        let tail = self.tail.map(|tail| i64::try_from(tail).unwrap_or(i64::MAX));
        Ok(LogSearch {
            run,
            task: self.task.as_ref().map(number).transpose()?,
            attempt: self.attempt.map(|attempt| i32::try_from(attempt).unwrap_or(i32::MAX)),
            level: self.level,
            since: self.since,
            after: self.after.unwrap_or(0),
            from_end: tail.is_some(),
            n_max: tail.map_or(LINES_MAX, |tail| tail.min(LINES_MAX)),
        })
    }
}

impl LogRecord {
    pub(super) fn new((number, row): (i64, LogRow), plan: &Plan) -> Self {
        let LogRow { run: _, task, attempt, at, level, target, message, fields, n_dropped } = row;
        let task = usize::try_from(task).ok().and_then(|task| plan.tasks.get(task));
        let n_dropped = u64::try_from(n_dropped).unwrap_or(0);
        Self {
            number,
            at,
            level,
            task: task.map(|task| task.id.as_ref().to_owned()).unwrap_or_default(),
            attempt: u32::try_from(attempt).unwrap_or(0),
            target,
            message: match n_dropped {
                0 => message,
                1 => "1 line was dropped".to_owned(),
                _ => format!("{n_dropped} lines were dropped"),
            },
            // A line without fields is stored with an empty text.
            fields: serde_json::from_str(&fields).unwrap_or_default(),
            dropped: (n_dropped > 0).then_some(n_dropped),
        }
    }
}

fn is_active(phase: &watch::Receiver<Phase>) -> bool {
    matches!(*phase.borrow(), Phase::Active) && phase.has_changed().is_ok()
}
