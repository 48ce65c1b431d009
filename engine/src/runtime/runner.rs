//! The seam between the driver and user code: who runs attempts, and what comes back.
//!
//! A runner starts an attempt and returns at once; the attempt runs elsewhere. Each attempt comes with a
//! [`Completion`], which sends exactly one end to the driver: when it is completed, or when it is dropped.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    time::Duration,
};

use cloacina_workflow::{__private::v1::Host, Level, Outcome, TaskError, TaskInfo, Timestamp, payload::Delta};

use super::{
    catalog::Version,
    event::Event,
    history,
    log::AttemptLog,
    notice::{Board, Notice, NoticeKind},
    secret::{Room, Secrets},
    stop::Stop,
};
use crate::{
    clock::Clock,
    core::{
        node::TaskIndex,
        plan::{Function, Plan},
        slot::Role,
        view::View,
    },
    id::RunId,
    loader::{Hide, Usage, attempt_key},
    store::LogQueue,
};

/// Runs attempts of one package, or of the workflows compiled into the program.
pub(crate) trait TaskRunner: fmt::Debug + Send + Sync {
    /// Starts the attempt and returns at once. Must not block and must not panic: it is called on the driver's thread.
    fn start(&self, attempt: Attempt);
}

/// One attempt to be run.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) key: AttemptKey,
    pub(crate) plan: Arc<Plan>,
    /// The task's own, or its callback.
    pub(crate) function: Function,
    pub(crate) view: View,
    /// For a callback: how its task ended.
    pub(crate) outcome: Option<Outcome>,
    /// When it will be asked to stop.
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) completion: Completion,
}

/// Names one attempt, or the call of the callback that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AttemptKey {
    pub(crate) run: RunId,
    pub(crate) task: TaskIndex,
    /// Counts from 1.
    pub(crate) attempt: u32,
    pub(crate) role: Role,
}

/// An attempt's end on its way to the driver.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) key: AttemptKey,
    pub(crate) result: Result<Arc<Delta>, TaskError>,
    /// Why the error is not the fault of the attempt; the attempt is then repeated at once.
    pub(crate) loss: Option<Loss>,
    /// The delta as it is stored; made here so that the driver does not have to.
    pub(crate) payload: Option<Vec<u8>>,
    /// The wait before another attempt that was asked for beside an error without a place for it.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) usage: Usage,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
}

/// Why an attempt ended that did nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Its process ended, maybe in the middle of it.
    Process,
    /// Its code was not there, and nothing of it ran.
    NotBegun,
}

/// What all attempts of an engine share.
#[derive(Debug)]
pub(super) struct AttemptEnv {
    pub(super) events: Sender<Event>,
    pub(super) board: Board,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) logs: LogQueue,
    /// Less important log lines are not stored.
    pub(super) log_level: Level,
    /// Set when the engine no longer waits for attempts.
    pub(super) is_stopping: AtomicBool,
    /// Whether each end is delivered twice, as a test may want it.
    pub(super) twice: bool,
}

/// Sends the one end of an attempt, and its signs of life before that.
#[derive(Debug)]
pub(crate) struct Completion {
    key: AttemptKey,
    task: Arc<str>,
    env: Arc<AttemptEnv>,
    started_at: Timestamp,
    stop: Arc<Stop>,
    log: Arc<AttemptLog>,
    secrets: Arc<Secrets>,
    version: Option<Arc<Version>>,
    usage: Usage,
    is_sent: bool,
}

impl Attempt {
    /// What the function must be told of itself.
    pub(crate) fn info(&self) -> TaskInfo {
        let mut info = TaskInfo::default();
        info.task = self.plan.declared(self.key.task).id.as_ref().to_owned();
        info.attempt = self.key.attempt;
        info.idempotency_key = self.idempotency_key();
        info.attempt_key = attempt_key(&info.idempotency_key, self.key.attempt);
        info.deadline = self.deadline;
        info
    }

    /// The same for all attempts at the task in this run, whichever engine makes them. A callback has its own.
    pub(crate) fn idempotency_key(&self) -> String {
        let callback = if self.key.role == Role::Callback { "/callback" } else { "" };
        format!("{}/{}{callback}", self.key.run, self.plan.declared(self.key.task).id)
    }
}

impl Completion {
    pub(super) fn new(
        key: AttemptKey,
        task: Arc<str>,
        started_at: Timestamp,
        (env, secrets): (Arc<AttemptEnv>, Arc<Secrets>),
        version: Option<Arc<Version>>,
    ) -> Self {
        let log = AttemptLog::new(key, env.logs.clone(), env.log_level, Arc::clone(&secrets));
        let (stop, log) = (Arc::default(), Arc::new(log));
        let usage = Usage::default();
        Self { key, task, env, started_at, stop, log, secrets, version, usage, is_sent: false }
    }

    /// How the attempt hears that it is to stop.
    pub(crate) fn stop(&self) -> Arc<Stop> {
        self.stop.clone()
    }

    /// Notes what the attempt used up, as far as that is known.
    pub(crate) fn set_usage(&mut self, usage: Usage) {
        self.usage = usage;
    }

    /// Ends the attempt. The view should be dropped before, so that the next task's can be made in its place.
    pub(crate) fn complete(mut self, result: Result<Delta, TaskError>) {
        self.send(result, None, None);
    }

    /// Ends an attempt by no fault of it. It is made again at once, and does not count.
    pub(crate) fn lose(mut self, error: TaskError, loss: Loss) {
        self.send(Err(error), Some(loss), None);
    }

    /// Ends an attempt that failed and says when to come again, whatever kind its error is of.
    pub(crate) fn fail(mut self, error: TaskError, retry_after: Option<Duration>) {
        self.send(Err(error), None, retry_after);
    }

    /// What the attempt's context talks to.
    pub(crate) fn host(&self) -> AttemptHost {
        AttemptHost {
            key: self.key,
            task: self.task.clone(),
            env: self.env.clone(),
            stop: self.stop.clone(),
            log: self.log.clone(),
            secrets: self.secrets.clone(),
            version: self.version.clone(),
        }
    }

    fn send(&mut self, result: Result<Delta, TaskError>, loss: Option<Loss>, retry_after: Option<Duration>) {
        if std::mem::replace(&mut self.is_sent, true) {
            return;
        }
        self.log.end();
        let result = result.map_err(|error| self.secrets.hide_error(error));
        let (result, payload) = match result.map(Arc::new) {
            Ok(delta) => match history::delta_payload(&delta) {
                Ok(payload) => (Ok(delta), payload),
                Err(error) => (Err(TaskError::from(error)), None),
            },
            Err(error) => (Err(error), None),
        };
        let finished_at = self.env.clock.now();
        let (started_at, usage) = (self.started_at, self.usage);
        let ended = Ended { key: self.key, result, loss, payload, retry_after, usage, started_at, finished_at };
        // Without a driver the attempt has been recorded as interrupted, and nobody waits for its end.
        if self.env.twice {
            self.env.events.send(Event::Ended(Box::new(ended.clone()))).ok();
        }
        self.env.events.send(Event::Ended(Box::new(ended))).ok();
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if !self.is_sent {
            let message = "the attempt ended without a result".to_owned();
            self.send(Err(TaskError::Panicked { message, location: None }), None, None);
        }
    }
}

/// The host of one attempt's context.
#[derive(Clone, Debug)]
pub(crate) struct AttemptHost {
    key: AttemptKey,
    task: Arc<str>,
    env: Arc<AttemptEnv>,
    stop: Arc<Stop>,
    log: Arc<AttemptLog>,
    secrets: Arc<Secrets>,
    version: Option<Arc<Version>>,
}

impl AttemptHost {
    fn put(&self, kind: NoticeKind) {
        let AttemptEnv { board, clock, .. } = &*self.env;
        let AttemptKey { run, attempt, .. } = self.key;
        let (task, version) = (Some(self.task.clone()), self.version.clone());
        board.put(Notice { run, task, attempt, at: clock.now(), kind, version });
    }
}

impl AttemptHost {
    /// What must not be told of the run, if there is anything.
    pub(crate) fn secrets(&self) -> Option<Arc<dyn Hide>> {
        (!self.secrets.is_empty()).then(|| Arc::clone(&self.secrets) as Arc<dyn Hide>)
    }
}

impl Host for AttemptHost {
    fn log(&self, level: Level, target: &str, message: &str, fields: &str) {
        let is_watched = self.env.board.is_watched();
        if level > self.env.log_level && !is_watched {
            return;
        }
        self.log.put(self.env.clock.now(), level, (target, message, fields), |target, message, fields| {
            if is_watched {
                let [target, message, fields] = [target, message, fields].map(str::to_owned);
                self.put(NoticeKind::Log { level, target, message, fields });
            }
        });
    }

    fn heartbeat(&self, permille: u32, note: &str) {
        if self.env.board.is_watched() {
            self.put(NoticeKind::Heartbeat { permille, note: self.secrets.hide_name(note) });
        }
    }

    fn secret(&self, text: &str) -> bool {
        let room = self.secrets.tell(text);
        if room == Room::NoLonger {
            let (task, run) = (&*self.task, self.key.run);
            tracing::warn!(run.id = %run, task.name = task, "a task names too many secrets: some are not redacted before it completes");
        }
        room == Room::Enough
    }

    fn is_cancelled(&self) -> bool {
        self.stop.is_asked() || self.env.is_stopping.load(Ordering::Relaxed)
    }
}
