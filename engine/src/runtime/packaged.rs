//! Runs the tasks of packages: attempts become calls into a library, what the library sends becomes their end.
//!
//! The driver's thread only hands over. Contexts are encoded, and calls begun, on the runtime of tasks; where a call
//! may block, or the library has yet to be loaded, on one of its blocking threads. The end of a call comes on a
//! thread of the package, or on one that reads from its process. A package that never completes a call leaves its attempt running, and shown as such.
//!
//! An attempt whose library must not be loaded is handed to the caller, which closes the gate of the package's runs, and is lost
//! only after that: it is ready again at once, and must not find the gate open.

use std::{
    fmt,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use cloacina_packager::Digest;
use cloacina_workflow::{__private::v1::Host, OutcomeRecord, TaskError};
use serde_json::json;
use tokio::{runtime::Handle, sync::mpsc::UnboundedSender};

use super::{
    context_view::ContextView,
    runner::{Attempt, AttemptHost, Completion, Loss, TaskRunner},
};
use crate::{
    isolation::{Code, NotBegun},
    loader::{
        Answer, Call, CallId, CallResult, CallSink, Hide, LogLine, OUTPUT_BYTES_MAX, Question, Refused, Unanswered,
        Usage, with_causes,
    },
};

/// The runner of one package.
pub(crate) struct PackagedRunner {
    code: Arc<Code>,
    version: Arc<PackageVersion>,
    tasks: Handle,
}

/// Which version of a package it is, and who hears of attempts that could not begin as it must not be loaded.
#[derive(Debug)]
pub(crate) struct PackageVersion {
    pub(crate) tenant: String,
    pub(crate) digest: Digest,
    pub(crate) withheld: UnboundedSender<Withheld>,
}

/// An attempt that could not begin, as the library must not be loaded now.
#[derive(Debug)]
pub(crate) struct Withheld {
    pub(crate) tenant: String,
    pub(crate) digest: Digest,
    error: TaskError,
    completion: Completion,
}

impl Withheld {
    /// Lets the attempt be made again as soon as the gate of its run is open.
    pub(crate) fn lose(self) {
        self.completion.lose(self.error, Loss::NotBegun);
    }

    /// Lets the attempt fail.
    pub(crate) fn fail(self) {
        self.completion.complete(Err(self.error));
    }
}

impl PackageVersion {
    /// Hands an attempt over that could not begin.
    fn withhold(&self, completion: Completion, error: TaskError) {
        let withheld = Withheld { tenant: self.tenant.clone(), digest: self.digest, error, completion };
        if let Err(unheard) = self.withheld.send(withheld) {
            // The engine is being shut down, and starts nothing again.
            unheard.0.lose();
        }
    }
}

impl PackagedRunner {
    pub(crate) fn new(code: Arc<Code>, version: PackageVersion, tasks: Handle) -> Self {
        Self { code, version: Arc::new(version), tasks }
    }
}

impl TaskRunner for PackagedRunner {
    fn start(&self, attempt: Attempt) {
        let (code, version) = (Arc::clone(&self.code), Arc::clone(&self.version));
        // The driver counts attempts by their slots and waits for them when it shuts down.
        if code.starts_at_once(attempt.function.blocking) {
            self.tasks.spawn(async move { begin(&code, &version, attempt) });
        } else {
            self.tasks.spawn_blocking(move || begin(&code, &version, attempt));
        }
    }
}

/// Begins the call. Takes as long as loading the library, and the package's `start`, do.
fn begin(code: &Code, version: &Arc<PackageVersion>, attempt: Attempt) {
    let function = attempt.function.index;
    let idempotency_key = attempt.idempotency_key();
    let Attempt { key, completion, deadline, plan, view, outcome, .. } = attempt;
    let seen = Arc::new(Seen { context: ContextView { view, plan }, outcome: outcome.as_ref().map(Into::into) });
    let stop = completion.stop();
    if !seen.context.fits() {
        return completion.complete(Err(Refused::TooLarge { max: OUTPUT_BYTES_MAX }.into_error()));
    }
    let carried = seen.context.carried(seen.outcome.clone());
    let payload = match serde_json::to_vec(&carried) {
        Ok(payload) => payload,
        Err(error) => return completion.complete(Err(error.into())),
    };
    let call = Call {
        function,
        attempt: key.attempt,
        payload,
        is_whole: !carried.partial && !carried.hidden,
        deadline_unix_ms: deadline.map_or(0, |deadline| deadline.unix_micros() / 1_000),
        idempotency_key,
        trace_parent: String::new(),
    };
    let (host, version) = (completion.host(), Arc::clone(version));
    let ending = Mutex::new(Some(Ending { completion, seen }));
    let sink = Arc::new(AttemptSink { host, version, began: now(), ending });
    match code.start(call, Arc::clone(&sink) as Arc<dyn CallSink>) {
        Ok(under_way) => stop.on_ask(move || under_way.cancel()),
        Err(not_begun) => {
            if let Some(Ending { completion, .. }) = sink.take() {
                let (error, is_withheld) = match not_begun {
                    NotBegun::Missing(error) => {
                        (failure("package_missing", error.code(), &with_causes(&error), true), error.is_withheld())
                    }
                    NotBegun::Refused(refused) => (refused.into_error(), false),
                };
                match is_withheld {
                    true => sink.version.withhold(completion, error),
                    false => completion.complete(Err(error)),
                }
            }
        }
    }
}

/// A failure of the loader as the attempt's.
fn failure(kind: &str, code: &str, message: &dyn fmt::Display, retryable: bool) -> TaskError {
    let details = json!({ "code": code });
    TaskError::Custom { kind: kind.to_owned(), message: format!("{code}: {message}"), details, retryable }
}

/// An attempt that is a call under way.
struct AttemptSink {
    host: AttemptHost,
    version: Arc<PackageVersion>,
    began: Instant,
    ending: Mutex<Option<Ending>>,
}

/// The moment that spans of real time are counted from.
#[expect(
    clippy::disallowed_methods,
    reason = "processor time is held against real time, whatever the engine's clock says"
)]
fn now() -> Instant {
    Instant::now()
}

/// The CPU time that a package says, or the most that this machine can have spent in that time: sums of what
/// packages say stay sums that could be true.
fn possible(said: Duration, elapsed: Duration) -> Duration {
    if said <= elapsed {
        return said;
    }
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    said.min(elapsed.saturating_mul(u32::try_from(cores).unwrap_or(u32::MAX)))
}

/// What is needed when the call ends.
struct Ending {
    completion: Completion,
    /// What the task sees, against which an output of all values is compared.
    seen: Arc<Seen>,
}

/// What the task sees, and for a callback how its task ended.
struct Seen {
    context: ContextView,
    outcome: Option<OutcomeRecord>,
}

impl AttemptSink {
    fn take(&self) -> Option<Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl CallSink for AttemptSink {
    fn complete(&self, _: CallId, result: CallResult) {
        let Some(Ending { completion, seen }) = self.take() else { return };
        match result {
            CallResult::Completed(output) => {
                let delta = output.into_delta(&seen.context);
                drop(seen);
                completion.complete(Ok(delta));
            }
            CallResult::Failed { error, retry_after } => completion.fail(error, retry_after),
            CallResult::Cancelled(error) => completion.complete(Err(error)),
            CallResult::Lost { reason } => completion.lose(failure("lost", "ISO0005", &reason, true), Loss::Process),
            CallResult::Withheld(error) => self.version.withhold(completion, error),
        }
    }

    fn used(&self, _: CallId, usage: Usage) {
        let cpu = usage.cpu.map(|cpu| possible(cpu, now().saturating_duration_since(self.began)));
        let usage = Usage { cpu, ..usage };
        if let Some(ending) = &mut *self.ending.lock().unwrap_or_else(PoisonError::into_inner) {
            ending.completion.set_usage(usage);
        }
    }

    fn log(&self, _: CallId, line: LogLine) {
        let LogLine { level, target, message, fields } = line;
        self.host.log(level, &target, &message, &fields);
    }

    fn heartbeat(&self, _: CallId, permille: u32, note: String) {
        self.host.heartbeat(permille, &note);
    }

    fn secret(&self, _: CallId, text: String) {
        self.host.secret(&text);
    }

    fn fetch(&self, _: CallId, question: &Question<'_>) -> Result<Option<Answer>, Unanswered> {
        let seen =
            self.ending.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|ending| ending.seen.clone());
        let seen = seen.ok_or(Unanswered::Gone)?;
        seen.context.answer(question, seen.outcome.clone())
    }

    fn is_abandoned(&self, _: CallId) -> bool {
        self.host.is_cancelled()
    }

    fn secrets(&self) -> Option<Arc<dyn Hide>> {
        self.host.secrets()
    }
}

impl fmt::Debug for PackagedRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PackagedRunner").field("code", &self.code).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_package_has_used_up_more_than_the_machine_can_have_spent() {
        let second = Duration::from_secs(1);
        assert_eq!(possible(second, second), second);
        let most = possible(Duration::from_nanos(u64::MAX), second);
        assert!(most >= second && most <= second * 100_000, "{most:?}");
        assert_eq!(possible(Duration::MAX, Duration::ZERO), Duration::ZERO);
    }
}
