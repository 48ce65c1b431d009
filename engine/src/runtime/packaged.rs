//! Runs the tasks of packages: attempts become calls into a library, what the library sends becomes their end.
//!
//! The driver's thread only hands over. Contexts are encoded, and calls begun, on the runtime of tasks; where a call
//! may block, or the library has yet to be loaded, on one of its blocking threads. The end of a call comes on a
//! thread of the package, or on one that reads from its process. A package that never completes a call leaves its attempt running, and shown as such.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use cloacina_workflow::{__private::v1::Host, TaskError, payload::View};
use serde_json::json;
use tokio::runtime::Handle;

use super::runner::{Attempt, AttemptHost, Completion, TaskRunner};
use crate::{
    isolation::{Code, NotBegun},
    loader::{Call, CallId, CallResult, CallSink, LogLine, Usage},
};

/// The runner of one package.
pub(crate) struct PackagedRunner {
    code: Arc<Code>,
    tasks: Handle,
}

impl PackagedRunner {
    pub(crate) fn new(code: Arc<Code>, tasks: Handle) -> Self {
        Self { code, tasks }
    }
}

impl TaskRunner for PackagedRunner {
    fn start(&self, attempt: Attempt) {
        let code = Arc::clone(&self.code);
        // The driver counts attempts by their slots and waits for them when it shuts down.
        if code.starts_at_once(attempt.function.blocking) {
            self.tasks.spawn(async move { begin(&code, attempt) });
        } else {
            self.tasks.spawn_blocking(move || begin(&code, attempt));
        }
    }
}

/// Begins the call. Takes as long as loading the library, and the package's `start`, do.
fn begin(code: &Code, attempt: Attempt) {
    let function = attempt.function.index;
    let (idempotency_key, view) = (attempt.idempotency_key(), attempt.payload_view());
    let Attempt { key, completion, deadline, .. } = attempt;
    let stop = completion.stop();
    let payload = match serde_json::to_vec(&view) {
        Ok(payload) => payload,
        Err(error) => return completion.complete(Err(error.into())),
    };
    let call = Call {
        function,
        attempt: key.attempt,
        payload,
        deadline_unix_ms: deadline.map_or(0, |deadline| deadline.unix_micros() / 1_000),
        idempotency_key,
        trace_parent: String::new(),
    };
    let sink = Arc::new(AttemptSink { host: completion.host(), ending: Mutex::new(Some(Ending { completion, view })) });
    match code.start(call, Arc::clone(&sink) as Arc<dyn CallSink>) {
        Ok(under_way) => stop.on_ask(move || under_way.cancel()),
        Err(not_begun) => {
            if let Some(Ending { completion, .. }) = sink.take() {
                completion.complete(Err(match not_begun {
                    NotBegun::Missing(error) => failure("package_missing", error.code(), &error, true),
                    NotBegun::Refused(refused) => refused.into_error(),
                }));
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
    ending: Mutex<Option<Ending>>,
}

/// What is needed when the call ends.
struct Ending {
    completion: Completion,
    /// What the task saw, against which an output of all values is compared.
    view: View,
}

impl AttemptSink {
    fn take(&self) -> Option<Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl CallSink for AttemptSink {
    fn complete(&self, _: CallId, result: CallResult) {
        let Some(Ending { completion, view }) = self.take() else { return };
        match result {
            CallResult::Completed(output) => {
                let delta = output.into_delta(&view);
                drop(view);
                completion.complete(Ok(delta));
            }
            CallResult::Failed { error, retry_after } => completion.fail(error, retry_after),
            CallResult::Cancelled(error) => completion.complete(Err(error)),
            CallResult::Lost { reason } => completion.lose(failure("lost", "ISO0005", &reason, true)),
        }
    }

    fn used(&self, _: CallId, usage: Usage) {
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

    fn is_abandoned(&self, _: CallId) -> bool {
        self.host.is_cancelled()
    }
}

impl fmt::Debug for PackagedRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PackagedRunner").field("code", &self.code).finish_non_exhaustive()
    }
}
