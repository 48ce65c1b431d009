//! The names of the states of a task in a run and the one table of what leads from one to the next.
//!
//! `apply` asks [`next`] before it changes a task, live and in a replay. Nothing leaves a terminal state, and the names that are
//! stored and shown come from here alone.

use std::{fmt, str::FromStr};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// A dependency is not terminal yet.
    Pending,
    /// It may run and waits for a slot.
    Ready,
    /// An attempt is under way.
    Running,
    /// An attempt failed and another one comes later.
    Waiting,
    /// An attempt succeeded.
    Completed,
    /// The last attempt failed.
    Failed,
    /// It will not run, because of how its dependencies ended.
    Skipped,
    /// It was cancelled with its run.
    Cancelled,
}

/// What can happen to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// Its rule lets it run.
    Released,
    /// Its rule keeps it from running.
    Ruled,
    /// It was given a slot.
    Started,
    /// The attempt succeeded.
    Succeeded,
    /// It completed in the run from which this one is derived.
    Reused,
    /// The attempt failed and was the last one.
    GaveUp,
    /// The attempt failed and another one comes later.
    Postponed,
    /// The time for another attempt has come.
    Due,
    /// The engine ended while an attempt could have been running.
    Interrupted,
    /// Its run was cancelled.
    Cancelled,
}

/// A change of state that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from} cannot become {to}")]
pub(crate) struct IllegalTransition {
    /// The state that it has.
    pub(crate) from: State,
    /// The state that the event asks for.
    pub(crate) to: State,
}

/// The state after the event.
///
/// # Errors
/// [`IllegalTransition`] names both states; nothing leaves a terminal state.
pub(crate) fn next(state: State, event: Event) -> Result<State, IllegalTransition> {
    use State::{Cancelled, Completed, Failed, Pending, Ready, Running, Skipped, Waiting};

    let (allowed, to): (&[State], State) = match event {
        Event::Released => (&[Pending], Ready),
        Event::Ruled => (&[Pending], Skipped),
        Event::Started => (&[Ready], Running),
        Event::Succeeded => (&[Running], Completed),
        Event::Reused => (&[Ready], Completed),
        // A task that was interrupted too often fails before it is started again.
        Event::GaveUp => (&[Ready, Running], Failed),
        Event::Postponed => (&[Running], Waiting),
        Event::Due => (&[Waiting], Ready),
        // First starts are not stored, so a task that looks ready after a crash may have been running.
        Event::Interrupted => (&[Ready, Running], Ready),
        Event::Cancelled => (&[Pending, Ready, Running, Waiting], Cancelled),
    };
    if allowed.contains(&state) { Ok(to) } else { Err(IllegalTransition { from: state, to }) }
}

impl State {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Ready,
        Self::Running,
        Self::Waiting,
        Self::Completed,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// The name that is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Ready | Self::Running | Self::Waiting => false,
            Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled => true,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| format!("no task state {text:?}"))
    }
}
