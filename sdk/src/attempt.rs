//! Runs one function of a workflow: gives it its identity, catches its panic, stops it when it is cancelled.
//!
//! Embedded and packaged tasks go through this one place, so that they cannot behave differently. The identity of
//! the call is in a thread-local while the function (or a poll of its future) runs: `tracing` events and panics of
//! that thread are attributed to it.

use std::{
    any::Any,
    cell::RefCell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, Location, catch_unwind},
    pin::pin,
    sync::{Arc, Once},
    task::Poll,
};

use serde_json::Value;

use crate::{
    Context, Level, TaskError,
    context::{Host, TaskInfo},
    payload::Delta,
    source::Source,
    task::{Function, Outcome, TaskFuture},
};

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// The call that this thread works for.
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
        Ok(Self { function, context, outcome, host })
    }

    /// Runs the function on this thread until it ends; a future is driven by `block_on`. For threads where blocking
    /// is allowed.
    ///
    /// # Errors
    /// What the function returned, its panic, or that it was cancelled.
    pub fn run_blocking(
        mut self,
        block_on: impl FnOnce(TaskFuture<'_>) -> Result<(), TaskError>,
        cancelled: impl Future<Output = ()> + Send,
    ) -> Result<Delta, TaskError> {
        let host = self.host.clone();
        match self.function {
            Function::Task(function) => caught(&host, || function(&mut self.context))?,
            Function::Callback(function) => {
                let outcome = self.outcome.as_ref().expect("invariant: callbacks have an outcome");
                caught(&host, || function(outcome, &self.context))?;
            }
            Function::AsyncTask(_) | Function::AsyncCallback(_) => block_on(Box::pin(self.drive(cancelled)))?,
        }
        Ok(self.context.delta()?)
    }

    /// Runs the function as a future; a plain `fn` runs inside of the first poll.
    ///
    /// # Errors
    /// What the function returned, its panic, or that it was cancelled.
    pub async fn run(mut self, cancelled: impl Future<Output = ()> + Send) -> Result<Delta, TaskError> {
        self.drive(cancelled).await?;
        Ok(self.context.delta()?)
    }

    async fn drive(&mut self, cancelled: impl Future<Output = ()> + Send) -> Result<(), TaskError> {
        let Self { function, context, outcome, host } = self;
        let outcome = outcome.as_ref();
        let expected = "invariant: callbacks have an outcome";
        let future = caught(host, || {
            Ok(match *function {
                Function::AsyncTask(function) => function(context),
                Function::AsyncCallback(function) => function(outcome.expect(expected), context),
                Function::Task(function) => Box::pin(async move { function(context) }),
                Function::Callback(function) => Box::pin(async move { function(outcome.expect(expected), context) }),
            })
        })?;
        let mut future = Some(future);
        let mut cancelled = pin!(cancelled);
        let result = poll_fn(|waker| {
            if cancelled.as_mut().poll(waker).is_ready() {
                return Poll::Ready(Err(TaskError::Cancelled { message: "the attempt was asked to stop".to_owned() }));
            }
            let Some(running) = future.as_mut() else { return Poll::Pending };
            match caught(host, || Ok(running.as_mut().poll(waker))) {
                Ok(poll) => poll,
                Err(panic) => Poll::Ready(Err(panic)),
            }
        })
        .await;
        // The future's own values are dropped under the same protection.
        caught(host, || {
            future = None;
            Ok(())
        })?;
        result
    }
}

/// Runs code of the user's with its identity set; a panic becomes an error with message and location.
fn caught<T>(host: &Arc<dyn Host>, run: impl FnOnce() -> Result<T, TaskError>) -> Result<T, TaskError> {
    install_panic_hook();
    let outer = CURRENT.replace(Some(Current { host: host.clone(), panicked_at: None }));
    let result = catch_unwind(AssertUnwindSafe(run));
    let current = CURRENT.replace(outer);
    result.unwrap_or_else(|payload| {
        let location = current.and_then(|current| current.panicked_at);
        let message = panic_message(payload.as_ref());
        // A payload whose own drop panics must not bring the thread down.
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

/// Lets panics of tasks be recorded instead of printed; all others go to the hook that was there before.
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

/// Sends a line to the log of the call that this thread works for; whether there is one.
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
