//! Calls into packages: requests, results, and the table in which open calls are looked up by number.
//!
//! ```text
//! Library::start ── insert(number, sink) ──► Calls ◄── take(number) ── complete, from any thread of the package
//! ```
//! A number is given out once per process and never again, so a completion that comes late, twice, or for a call
//! that never was, is not found: it is counted, logged and ignored. The table is locked only to look up, never
//! while a sink runs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{json, value::RawValue};

use cloacina_workflow::{__private::v1::Source, Level, TaskError, payload::Delta};

use super::{
    catalog::CATALOG,
    fetch::{Answer, Question, Unanswered},
    output::{Bad, Sent, validate},
};

/// One call of one function of a package, as the runtime asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The function's index in the merged descriptor.
    pub(crate) function: u32,
    /// Counted from 1.
    pub(crate) attempt: u32,
    /// The view of the context, as [`cloacina_workflow::payload::View`] in JSON.
    pub(crate) payload: Vec<u8>,
    /// Whether nothing was left out of it. A package that cannot ask gets what the sink answers in its place.
    pub(crate) is_whole: bool,
    /// Milliseconds since the epoch; 0 for none.
    pub(crate) deadline_unix_ms: u64,
    /// The same for all attempts at one task of one run.
    pub(crate) idempotency_key: String,
    /// W3C trace context, empty for none.
    pub(crate) trace_parent: String,
}

impl Call {
    /// Another key for each attempt.
    pub(crate) fn attempt_key(&self) -> String {
        attempt_key(&self.idempotency_key, self.attempt)
    }
}

/// The key of an attempt at what has that key for all attempts.
pub(crate) fn attempt_key(idempotency_key: &str, attempt: u32) -> String {
    format!("{idempotency_key}/{attempt}")
}

/// The number of a call: unique in the process, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallId(u64);

/// The receiver of the events of a call. Called on threads of the package: quick, and without waiting except where it is
/// said.
pub(crate) trait CallSink: Send + Sync {
    /// The call ended. At most once per accepted call, possibly before `start` has returned.
    fn complete(&self, id: CallId, result: CallResult);
    /// The call ended with what the package sent, of which only the pointers have been checked. A sink that does not
    /// validate it here passes it on unchanged. After an error the call is completed with the error.
    fn end(&self, id: CallId, sent: &Sent<'_>) -> Result<(), Bad> {
        if let Some(cpu) = sent.cpu() {
            self.used(id, Usage { cpu: Some(cpu), peak_bytes: None });
        }
        self.complete(id, validate(sent)?);
        Ok(())
    }
    /// What the call used up, told before its end where it is known. It may be what the package says, and any number.
    fn used(&self, _: CallId, _: Usage) {}
    /// The task wrote a line to its log.
    fn log(&self, id: CallId, line: LogLine);
    /// The task is alive.
    fn heartbeat(&self, id: CallId, permille: u32, note: String);
    /// The task made a text that must not be told of the call's run from when this returns. May wait for a moment.
    fn secret(&self, _: CallId, _: String) {}
    /// The task asks for what the call did not carry. Waits for the answer.
    fn fetch(&self, _: CallId, _: &Question<'_>) -> Result<Option<Answer>, Unanswered> {
        Err(Unanswered::Gone)
    }
    /// Whether the engine no longer waits for the call, although it was not cancelled.
    fn is_abandoned(&self, id: CallId) -> bool;
    /// What must not be told of the run that made the call, if there is anything.
    fn secrets(&self) -> Option<Arc<dyn Hide>> {
        None
    }
}

/// What must not be told of the run that made a call.
pub(crate) trait Hide: Send + Sync {
    /// How many secrets there are. They only become more.
    fn n_secrets(&self) -> usize;
    /// Adds them, in every way in which they are written.
    fn collect(&self, texts: &mut BTreeSet<String>);
}

/// What a call used up, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time: of its process while it was alone there, or else of its own polls.
    pub(crate) cpu: Option<Duration>,
    /// The most memory that its process held until it ended.
    pub(crate) peak_bytes: Option<u64>,
}

/// How a call ended. Whatever the package sent was checked before it comes here.
#[derive(Clone, Debug)]
pub(crate) enum CallResult {
    /// The task is done; this is what it gave back.
    Completed(Output),
    /// The task failed. The error says whether another attempt may help, `retry_after` when the package asked for one.
    Failed { error: TaskError, retry_after: Option<Duration> },
    /// The task saw that it was cancelled, and stopped.
    Cancelled(TaskError),
    /// The process that it ran in has gone, for a reason that may not be this call's. It is to run again at once.
    Lost { reason: String },
    /// The library is not to be loaded now, and nothing was called. Why, as the error of the caller.
    Withheld(TaskError),
}

/// What a completed task gave back.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    /// All values as the task left them; what is missing was removed.
    Whole(BTreeMap<Arc<str>, Arc<RawValue>>),
    /// Only the changes.
    Delta(Delta),
}

impl Output {
    /// What the task changed, given what it saw. A value that is the same text as before counts as untouched.
    pub(crate) fn into_delta(self, seen: &dyn Source) -> Delta {
        match self {
            Self::Delta(delta) => delta,
            Self::Whole(values) => {
                let unset = seen.keys().filter(|key| !values.contains_key(*key)).map(Arc::from).collect();
                let same = |key: &Arc<str>, value: &RawValue| {
                    let mut is_same = false;
                    seen.read(key, &mut |old| is_same = old.get() == value.get());
                    is_same
                };
                Delta { unset, set: values.into_iter().filter(|(key, value)| !same(key, value)).collect() }
            }
        }
    }
}

/// One line of a task's log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogLine {
    pub(crate) level: Level,
    /// The module or component that wrote it.
    pub(crate) target: String,
    pub(crate) message: String,
    /// A JSON object as text, empty for none.
    pub(crate) fields: String,
}

/// A call that the package, or the loader on its behalf, did not accept. The sink hears nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the package refused the call")]
    ByPackage,
    #[error("the package answered the call with the unknown status {status}")]
    UnknownStatus { status: i32 },
    #[error("the package has no function {function}, it declares {functions}")]
    NoFunction { function: u32, functions: usize },
    #[error("the call is larger than the {max} bytes that may cross")]
    TooLarge { max: usize },
    #[error("this engine has unloaded the library")]
    Closed,
}

impl Refused {
    /// The stable code, with a page `docs/errors/<code>.md`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::ByPackage => "LIB0012",
            Self::UnknownStatus { .. } => "LIB0013",
            Self::NoFunction { .. } => "LIB0014",
            Self::TooLarge { .. } => "LIB0015",
            Self::Closed => "LIB0016",
        }
    }

    /// The failure of the attempt of a refused call.
    pub(crate) fn into_error(self) -> TaskError {
        let code = self.code();
        TaskError::Custom {
            kind: "refused".to_owned(),
            message: format!("{code}: {self}"),
            details: json!({ "code": code }),
            retryable: matches!(self, Self::ByPackage | Self::Closed),
        }
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl CallId {
    /// A call that is made elsewhere than in this process, with a number of this process.
    pub(crate) fn next() -> Self {
        CATALOG.next_call()
    }

    /// The call that another process means by that number, which may be nonsense.
    pub(crate) fn of_number(number: u64) -> Self {
        Self(number)
    }

    /// The call with that number; numbers come from the catalog alone.
    pub(super) fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number as it crosses the ABI.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// What a library did against the rules, counted since it was loaded.
#[derive(Debug, Default)]
pub(crate) struct Anomalies {
    /// Completions of calls that had ended before, or of an engine that had unloaded the package.
    pub(crate) stale_completions: AtomicU64,
    /// Completions of calls that were never made.
    pub(crate) unknown_completions: AtomicU64,
    /// Completions of calls that `start` did not accept.
    pub(crate) refused_completions: AtomicU64,
    /// Completions with content that had to be replaced by an error.
    pub(crate) bad_results: AtomicU64,
    /// Log lines and heartbeats for no open call, or with damaged pointers.
    pub(crate) stray_reports: AtomicU64,
    /// Panics of the engine's own side, caught at the boundary.
    pub(crate) caught_panics: AtomicU64,
}

impl Anomalies {
    /// All of them together.
    pub(crate) fn total(&self) -> u64 {
        let Self {
            stale_completions,
            unknown_completions,
            refused_completions,
            bad_results,
            stray_reports,
            caught_panics,
        } = self;
        [stale_completions, unknown_completions, refused_completions, bad_results, stray_reports, caught_panics]
            .map(|counter| counter.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    /// Counts one, and says whether it is worth a log line: the 1st, 2nd, 4th, 8th and so on are, so that a library
    /// gone wild cannot flood the log.
    pub(super) fn count(counter: &AtomicU64) -> bool {
        (counter.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two()
    }
}

/// The open calls of one library.
#[derive(Default)]
pub(super) struct Calls {
    open: Mutex<HashMap<u64, Open>>,
    pub(super) anomalies: Anomalies,
}

struct Open {
    /// The engine's hold on the library that made the call.
    lease: u64,
    sink: Arc<dyn CallSink>,
    cancelled: bool,
}

impl Calls {
    /// Makes a call findable, before the package hears of it.
    pub(super) fn insert(&self, id: CallId, lease: u64, sink: Arc<dyn CallSink>) {
        self.lock().insert(id.0, Open { lease, sink, cancelled: false });
    }

    /// Ends a call: the thread that takes it is the only one that tells its sink.
    pub(super) fn take(&self, number: u64) -> Option<(CallId, Arc<dyn CallSink>)> {
        self.lock().remove(&number).map(|open| (CallId(number), open.sink))
    }

    /// The sink of an open call.
    pub(super) fn find(&self, number: u64) -> Option<(CallId, Arc<dyn CallSink>)> {
        self.lock().get(&number).map(|open| (CallId(number), Arc::clone(&open.sink)))
    }

    /// Marks a call as cancelled. False when it is not open, or was made through another lease.
    pub(super) fn cancel(&self, lease: u64, id: CallId) -> bool {
        match self.lock().get_mut(&id.0) {
            Some(open) if open.lease == lease => {
                open.cancelled = true;
                true
            }
            _ => false,
        }
    }

    /// Whether a call should stop; the engine does not wait for a call that is not open.
    pub(super) fn is_cancelled(&self, number: u64) -> bool {
        let sink = match self.lock().get(&number) {
            Some(open) if !open.cancelled => Arc::clone(&open.sink),
            Some(_) | None => return true,
        };
        sink.is_abandoned(CallId(number))
    }

    /// The open calls of a lease.
    pub(super) fn of_lease(&self, lease: u64) -> Vec<CallId> {
        self.lock().iter().filter(|(_, open)| open.lease == lease).map(|(number, _)| CallId(*number)).collect()
    }

    /// Forgets every call of a lease, and says how many there were; completions of them are stale from now on.
    pub(super) fn forget(&self, lease: u64) -> usize {
        // The sinks are dropped after the lock, because dropping one may run code of the engine.
        let forgotten: Vec<_> = self.lock().extract_if(|_, open| open.lease == lease).collect();
        forgotten.len()
    }

    /// How many calls are open.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        // Nothing panics while the lock is held, and a map of numbers is whole after any of these operations.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Calls").field("open", &self.len()).field("anomalies", &self.anomalies).finish()
    }
}

impl fmt::Debug for dyn CallSink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CallSink")
    }
}
