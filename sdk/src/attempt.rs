//! Runs one function of a workflow: gives it its identity, catches its panic, stops it when it is cancelled.
//!
//! Embedded and packaged tasks go through this one place, so that they cannot behave differently. The identity of
//! the call is in a thread-local while the function (or a poll of its future) runs: `tracing` events and panics of
//! that thread are attributed to it. The CPU time of the thread in these polls is that of the attempt; other threads
//! and tasks that it starts do not count. The clock is read once before and once after each.

use std::{
    any::Any,
    cell::RefCell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, Location, catch_unwind},
    pin::pin,
    sync::{Arc, Once},
    task::Poll,
    time::Duration,
};

use serde_json::Value;

use crate::{
    Context, Level, TaskError,
    abi::clock::thread_cpu,
    context::{Host, TaskInfo},
    payload::Delta,
    source::Source,
    task::{Function, Outcome, TaskFuture},
};

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// The call of this thread.
struct Current {
    host: Arc<dyn Host>,
    panicked_at: Option<String>,
}

/// One call of a task or callback, ready to run.
#[derive(Debug)]
pub struct Attempt {
    function: Function,
    context: Context<Value>,
    outcome: Option<Outcome>,
    host: Arc<dyn Host>,
    /// The CPU time so far; nothing if a part of it is not known.
    cpu: Option<Duration>,
}

/// How a call ended, and the CPU time that it used.
#[derive(Debug)]
pub struct AttemptEnd {
    /// The changes of the function; or the error that it returned, its panic, or its cancellation.
    pub result: Result<Delta, TaskError>,
    /// The CPU time of the function's own polls, if the system provides it.
    pub cpu: Option<Duration>,
}

impl AttemptEnd {
    /// The end of a call that did not run the function, or did not see it end.
    #[must_use]
    pub fn unmeasured(error: TaskError) -> Self {
        Self { result: Err(error), cpu: None }
    }
}

impl Attempt {
    /// Gives the function its context, and a callback its outcome.
    ///
    /// # Errors
    /// A callback's call without an outcome.
    pub fn new(
        function: Function,
        source: Arc<dyn Source>,
        outcome: Option<Outcome>,
        task: Arc<TaskInfo>,
        host: Arc<dyn Host>,
    ) -> Result<Self, TaskError> {
        if outcome.is_none() && matches!(function, Function::Callback(_) | Function::AsyncCallback(_)) {
            return Err(TaskError::ValidationFailed { message: "a callback was called without an outcome".to_owned() });
        }
        let context = Context::over(source).attach(task, host.clone());
        Ok(Self { function, context, outcome, host, cpu: Some(Duration::ZERO) })
    }

    /// Runs the function on this thread until it ends; a future is driven by `block_on`. For threads where blocking
    /// is allowed.
    pub fn run_blocking(
        mut self,
        block_on: impl FnOnce(TaskFuture<'_>) -> Result<(), TaskError>,
        cancelled: impl Future<Output = ()> + Send,
    ) -> AttemptEnd {
        let Self { function, context, outcome, host, cpu } = &mut self;
        let result = match *function {
            Function::Task(function) => caught(host, cpu, || function(context)),
            Function::Callback(function) => {
                let outcome = outcome.as_ref().expect("invariant: callbacks have an outcome");
                caught(host, cpu, || function(outcome, context))
            }
            Function::AsyncTask(_) | Function::AsyncCallback(_) => block_on(Box::pin(self.drive(cancelled))),
        };
        self.end(result)
    }

    /// Runs the function as a future; a plain `fn` runs inside of the first poll.
    pub async fn run(mut self, cancelled: impl Future<Output = ()> + Send) -> AttemptEnd {
        let result = self.drive(cancelled).await;
        self.end(result)
    }

    fn end(self, result: Result<(), TaskError>) -> AttemptEnd {
        AttemptEnd { result: result.and_then(|()| Ok(self.context.delta()?)), cpu: self.cpu }
    }

    async fn drive(&mut self, cancelled: impl Future<Output = ()> + Send) -> Result<(), TaskError> {
        let Self { function, context, outcome, host, cpu } = self;
        let outcome = outcome.as_ref();
        let mut unbegun = Some(context);
        let mut future = None;
        let mut cancelled = pin!(cancelled);
        let result = poll_fn(|waker| {
            if cancelled.as_mut().poll(waker).is_ready() {
                return Poll::Ready(Err(TaskError::Cancelled { message: "the attempt was asked to stop".to_owned() }));
            }
            let polled = caught(host, cpu, || {
                if let Some(context) = unbegun.take() {
                    future = Some(begin(*function, context, outcome));
                }
                let Some(running) = future.as_mut() else { return Ok(Poll::Pending) };
                let poll = running.as_mut().poll(waker);
                if poll.is_ready() {
                    // The future's own values are dropped under the same protection, and measured.
                    future = None;
                }
                Ok(poll)
            });
            polled.unwrap_or_else(|panic| Poll::Ready(Err(panic)))
        })
        .await;
        if future.is_some() {
            caught(host, cpu, || {
                future = None;
                Ok(())
            })?;
        }
        result
    }
}

/// The future of a function; that of a plain `fn` runs it in its first poll.
fn begin<'a>(function: Function, context: &'a mut Context<Value>, outcome: Option<&'a Outcome>) -> TaskFuture<'a> {
    let expected = "invariant: callbacks have an outcome";
    match function {
        Function::AsyncTask(function) => function(context),
        Function::AsyncCallback(function) => function(outcome.expect(expected), context),
        Function::Task(function) => Box::pin(async move { function(context) }),
        Function::Callback(function) => Box::pin(async move { function(outcome.expect(expected), context) }),
    }
}

/// Runs user code with its identity set, and adds up its CPU time; a panic becomes an error with message and location.
fn caught<T>(
    host: &Arc<dyn Host>,
    cpu: &mut Option<Duration>,
    run: impl FnOnce() -> Result<T, TaskError>,
) -> Result<T, TaskError> {
    install_panic_hook();
    let outer = CURRENT.replace(Some(Current { host: host.clone(), panicked_at: None }));
    let before = thread_cpu();
    let result = catch_unwind(AssertUnwindSafe(run));
    *cpu = cpu.and_then(|used| used.checked_add(thread_cpu()?.checked_sub(before?)?));
    let current = CURRENT.replace(outer);
    result.unwrap_or_else(|payload| {
        // Ends a task that cannot continue, below code that has no way to return an error.
        let payload = match payload.downcast::<TaskError>() {
            Ok(error) => return Err(*error),
            Err(payload) => payload,
        };
        let location = current.and_then(|current| current.panicked_at);
        let message = panic_message(payload.as_ref());
        // A payload that panics in its own drop must not end the thread.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Box::leak(second);
        }
        Err(TaskError::Panicked { message, location })
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Records panics of tasks instead of printing them; other panics go to the previous hook.
fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let of_a_task = CURRENT.try_with(|current| match current.try_borrow_mut().as_deref_mut() {
                Ok(Some(current)) => {
                    current.panicked_at = info.location().map(Location::to_string);
                    true
                }
                _ => false,
            });
            if !matches!(of_a_task, Ok(true)) {
                previous(info);
            }
        }));
    });
}

/// Sends a line to the log of the call of this thread; whether there is such a call.
pub(crate) fn log_to_current(level: Level, target: &str, message: &str, fields: &str) -> bool {
    let host = CURRENT.try_with(|current| {
        current.try_borrow().ok().and_then(|current| current.as_ref().map(|current| current.host.clone()))
    });
    match host {
        Ok(Some(host)) => {
            host.log(level, target, message, fields);
            true
        }
        _ => false,
    }
}
