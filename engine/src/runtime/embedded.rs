//! Runs the tasks of workflows that are compiled into the program, on a tokio runtime that is not the program's.
//!
//! An `async fn` is a task of that runtime, a plain `fn` runs on one of its blocking threads; either way a task that
//! blocks can delay its neighbors and never the engine.

use std::{fmt, sync::Arc};

use cloacina_workflow::{
    __private::v1::{self as sdk, AttemptEnd},
    Function, TaskError,
};
use tokio::runtime::Handle;
use tracing::Instrument;

use super::{
    context_view::ContextView,
    runner::{Attempt, Completion, TaskRunner},
};
use crate::loader::Usage;

/// The runner of one compiled-in workflow.
pub(crate) struct EmbeddedRunner {
    functions: &'static [Function],
    tasks: Handle,
}

impl EmbeddedRunner {
    pub(crate) fn new(functions: &'static [Function], tasks: Handle) -> Self {
        Self { functions, tasks }
    }
}

impl TaskRunner for EmbeddedRunner {
    fn start(&self, attempt: Attempt) {
        let task = attempt.plan.declared(attempt.key.task);
        let Some(function) = self.functions.get(attempt.function.index as usize).copied() else {
            let message = format!("the workflow has no function {}", attempt.function.index);
            attempt.completion.complete(Err(TaskError::Permanent { message }));
            return;
        };
        let span = tracing::info_span!(
            "attempt",
            run.id = %attempt.key.run,
            task.name = %task.id,
            attempt = attempt.key.attempt
        );
        if attempt.function.blocking {
            let tasks = self.tasks.clone();
            self.tasks.spawn_blocking(move || {
                let _entered = span.enter();
                let (attempt, completion) = prepare(function, attempt);
                let stop = completion.stop();
                let end = match attempt {
                    Ok(attempt) => attempt.run_blocking(|future| tasks.block_on(future), stop.asked()),
                    Err(error) => AttemptEnd::unmeasured(error),
                };
                tell(completion, end);
            });
        } else {
            let run = async move {
                let (attempt, completion) = prepare(function, attempt);
                let stop = completion.stop();
                let end = match attempt {
                    Ok(attempt) => attempt.run(stop.asked()).await,
                    Err(error) => AttemptEnd::unmeasured(error),
                };
                tell(completion, end);
            };
            // The driver counts attempts by their slots and waits for them when it shuts down.
            self.tasks.spawn(run.instrument(span));
        }
    }
}

/// Ends the attempt, with the CPU time that was measured.
fn tell(mut completion: Completion, AttemptEnd { result, cpu }: AttemptEnd) {
    completion.set_usage(Usage { cpu, peak_bytes: None });
    completion.complete(result);
}

/// Makes the call ready. The view moves with the call, so that it is released before the attempt's end is reported.
fn prepare(function: Function, attempt: Attempt) -> (Result<sdk::Attempt, TaskError>, Completion) {
    let info = Arc::new(attempt.info());
    let Attempt { plan, view, outcome, completion, .. } = attempt;
    let host = Arc::new(completion.host());
    (sdk::Attempt::new(function, Arc::new(ContextView { view, plan }), outcome, info, host), completion)
}

impl fmt::Debug for EmbeddedRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EmbeddedRunner").field("functions", &self.functions.len()).finish_non_exhaustive()
    }
}
