//! A run after a restart: what was decided in the past is decided again, then what the restart means for it.
//!
//! The history says how each attempt ended and what was made of it, so policies, rules and chance are not asked again;
//! everything else follows by the same steps as live.

use std::sync::Arc;

use cloacina_workflow::{Timestamp, payload::Delta};

use super::{
    decide::{Closing, Refused, Run},
    effect::{Actor, Decision, Effect, FailReason},
    run, task,
};

/// Something that happened to a run before this process began, as it was decided then.
#[derive(Clone, Debug)]
pub(crate) enum Past {
    Delayed {
        until: Timestamp,
    },
    Started,
    Paused {
        by: Actor,
    },
    Resumed {
        by: Actor,
    },
    CancelRequested {
        by: Actor,
    },
    TimedOut,
    RetryRequested {
        task: u32,
    },
    Released {
        task: u32,
    },
    AttemptStarted {
        task: u32,
    },
    AttemptInterrupted {
        task: u32,
    },
    Ended {
        task: u32,
        attempt: u32,
        started_at: Option<Timestamp>,
        end: PastEnd,
    },
    /// Without an attempt, or with one that was under way.
    Cancelled {
        task: u32,
        abandoned: bool,
        started_at: Option<Timestamp>,
    },
    CallbackEnded {
        task: u32,
        failed: bool,
    },
}

/// How an attempt ended and what was made of it.
#[derive(Clone, Debug)]
pub(crate) enum PastEnd {
    Completed(Arc<Delta>),
    /// Completed in the run from which this one was derived.
    Reused(Arc<Delta>),
    Postponed {
        reason: FailReason,
        due_at: Timestamp,
    },
    Failed(FailReason),
    Lost,
}

/// Decides again what was decided in the past.
///
/// # Errors
/// [`Refused`] if the history cannot be that of this workflow.
pub(crate) fn replay(run: &mut Run, past: Past, at: Timestamp) -> Result<(), Refused> {
    // What follows is in the history already, or is asked for again by `recover`.
    let decision = &mut Decision::default();
    match past {
        Past::Delayed { until } => run.delay(until, decision),
        Past::Started => run.start(None, at, decision),
        Past::Paused { by } => run.pause(by, decision),
        Past::Resumed { by } => run.resume(by, decision),
        Past::CancelRequested { by } => {
            run.closing = Some(Closing::Cancelled { by });
            Ok(())
        }
        Past::TimedOut => {
            run.closing = Some(Closing::TimedOut);
            Ok(())
        }
        Past::RetryRequested { task } => run.due(task, decision),
        Past::Released { task } => run.let_go(task, decision),
        Past::AttemptStarted { task } => run.begin(task, at, decision),
        Past::AttemptInterrupted { task } => run.interrupt(task, at, decision),
        Past::Ended { task, attempt, started_at, end } => {
            if matches!(end, PastEnd::Reused(_)) && run.task(task)?.state != task::State::Ready {
                // With another input the rules decided otherwise, so the result is of no use.
                return Ok(());
            }
            if run.task(task)?.state != task::State::Running {
                run.begin(task, started_at.unwrap_or(at), decision)?;
            }
            if matches!(end, PastEnd::Reused(_)) {
                run.tasks[task as usize].attempt = attempt;
            }
            run.check_attempt(task, attempt)?;
            match end {
                PastEnd::Completed(delta) => run.complete(task, delta, at, decision),
                PastEnd::Reused(delta) => {
                    run.complete(task, delta, at, decision)?;
                    run.drop_callback(task);
                    Ok(())
                }
                PastEnd::Postponed { reason, due_at } => run.postpone(task, reason, due_at, decision),
                PastEnd::Failed(reason) => run.fail(task, reason, at, decision),
                PastEnd::Lost => run.lose(task, decision),
            }
        }
        Past::Cancelled { task, abandoned, started_at } => {
            if started_at.is_some() && run.task(task)?.state == task::State::Ready {
                run.begin(task, started_at.unwrap_or(at), decision)?;
            }
            let attempt = (run.task(task)?.state == task::State::Running).then_some(run.tasks[task as usize].attempt);
            run.cancel_task(task, attempt, abandoned, at, decision)?;
            run.finish_if_done(at, decision)
        }
        Past::CallbackEnded { task, failed } => run.end_callback(task, failed, at, decision),
    }
}

/// Decides what a restart means for a run whose past was replayed. `closed_in_order` says that the engine before left
/// no attempt without an end; otherwise every task that was ready may have been running.
///
/// # Errors
/// [`Refused`] never happens to a run that was only moved by `decide`.
pub(crate) fn recover(run: &mut Run, closed_in_order: bool, now: Timestamp) -> Result<Decision, Refused> {
    let mut decision = Decision::default();
    if run.state == run::State::Pending {
        decision.effects.extend(run.delayed_until.map(|at| Effect::WakeRun { at }));
        return Ok(decision);
    }
    run.limit(&mut decision);
    for place in 0..run.plan.n_tasks() {
        let task = run.plan.graph.order()[place];
        let entry = &run.tasks[task as usize];
        if entry.callback_open {
            decision.effects.push(Effect::OfferCallback { task });
        }
        match entry.state {
            task::State::Running => run.interrupt(task, now, &mut decision)?,
            task::State::Ready if !closed_in_order && !run.starts_durably(task) => {
                run.interrupt(task, now, &mut decision)?;
            }
            // It was to be cancelled when the engine ended.
            task::State::Ready | task::State::Pending | task::State::Waiting if run.closing.is_some() => {
                run.cancel_task(task, None, false, now, &mut decision)?;
            }
            task::State::Ready => decision.effects.push(Effect::Offer { task }),
            task::State::Waiting => {
                decision.effects.push(Effect::WakeTask { task, at: entry.due_at.unwrap_or(now) });
            }
            task::State::Pending
            | task::State::Completed
            | task::State::Failed
            | task::State::Skipped
            | task::State::Cancelled => {}
        }
    }
    run.finish_if_done(now, &mut decision)?;
    Ok(decision)
}
