//! Runs the tasks of packages: attempts become calls into a library, what the library sends becomes their end.
//!
//! The driver's thread only hands over. Contexts are encoded, and calls begun, on the runtime of tasks; where a call
//! may block, or the library has yet to be loaded, on one of its blocking threads. The end of a call comes on a
//! thread of the package. A package that never completes a call leaves its attempt running, and shown as such.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use cloacina_workflow::{__private::v1::Host, TaskError, payload::View};
use serde_json::json;
use tokio::runtime::Handle;

use super::runner::{Attempt, AttemptHost, Completion, TaskRunner};
use crate::loader::{Call, CallId, CallResult, CallSink, LazyLibrary, Library, LogLine, Refused};

/// The runner of one package.
pub(crate) struct PackagedRunner {
    library: Arc<LazyLibrary>,
    tasks: Handle,
}

impl PackagedRunner {
    pub(crate) fn new(library: Arc<LazyLibrary>, tasks: Handle) -> Self {
        Self { library, tasks }
    }
}

impl TaskRunner for PackagedRunner {
    fn start(&self, attempt: Attempt) {
        let may_block = attempt.function.blocking;
        match self.library.loaded() {
            Some(library) if !may_block => {
                let library = Arc::clone(library);
                // The driver counts attempts by their slots and waits for them when it shuts down.
                self.tasks.spawn(async move { begin(&library, attempt) });
            }
            Some(_) | None => {
                let library = Arc::clone(&self.library);
                self.tasks.spawn_blocking(move || match library.load() {
                    Ok(library) => begin(library, attempt),
                    Err(error) => {
                        attempt.completion.complete(Err(failure("package_missing", error.code(), &error, true)))
                    }
                });
            }
        }
    }
}

/// Begins the call. Takes as long as the package's `start` does.
fn begin(library: &Arc<Library>, attempt: Attempt) {
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
    match library.start(call, Arc::clone(&sink) as Arc<dyn CallSink>) {
        Ok(id) => {
            // The hook must not keep the library, or the package's own thread might shut the package down.
            let library = Arc::downgrade(library);
            stop.on_ask(move || {
                if let Some(library) = library.upgrade() {
                    library.cancel(id);
                }
            });
        }
        Err(refused) => {
            if let Some(Ending { completion, .. }) = sink.take() {
                let may_help = matches!(refused, Refused::ByPackage | Refused::Closed);
                completion.complete(Err(failure("refused", refused.code(), &refused, may_help)));
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
        formatter.debug_struct("PackagedRunner").field("library", &self.library).finish_non_exhaustive()
    }
}
