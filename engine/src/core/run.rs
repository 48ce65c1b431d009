//! The names of the states of a run and the one table of what leads from one to the next.
//!
//! `apply` asks [`next`] before it changes a run, live and in a replay. Nothing leaves a terminal state, and the names that are
//! stored and shown come from here alone.

use std::{fmt, str::FromStr};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Created, not started.
    Pending,
    /// Its tasks are being run.
    Running,
    /// Running tasks finish, nothing new starts.
    Paused,
    /// All tasks completed, or were skipped without a failure.
    Completed,
    /// Only optional tasks failed.
    PartiallyCompleted,
    /// A task failed that was not optional.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// How a run can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Completed,
    PartiallyCompleted,
    Failed,
    Cancelled,
}

/// What can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// It may begin.
    Started,
    /// Nothing new is to be started.
    Paused,
    /// New tasks may start again.
    Resumed,
    /// All tasks are terminal and none failed.
    AllCompleted,
    /// All tasks are terminal and only optional ones failed.
    OptionalFailed,
    /// All tasks are terminal and one failed that was not optional.
    RequiredFailed,
    /// Its end was requested.
    Cancelled,
}

/// A change of state that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {from} cannot become {to}")]
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
    use State::{Cancelled, Completed, Failed, PartiallyCompleted, Paused, Pending, Running};

    let (allowed, to): (&[State], State) = match event {
        Event::Started => (&[Pending], Running),
        Event::Paused => (&[Running], Paused),
        Event::Resumed => (&[Paused], Running),
        Event::AllCompleted => (&[Running, Paused], Completed),
        Event::OptionalFailed => (&[Running, Paused], PartiallyCompleted),
        Event::RequiredFailed => (&[Running, Paused], Failed),
        Event::Cancelled => (&[Pending, Running, Paused], Cancelled),
    };
    if allowed.contains(&state) { Ok(to) } else { Err(IllegalTransition { from: state, to }) }
}

impl End {
    /// The state of a run that has ended so.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Completed => State::Completed,
            Self::PartiallyCompleted => State::PartiallyCompleted,
            Self::Failed => State::Failed,
            Self::Cancelled => State::Cancelled,
        }
    }

    /// What brings a run to that end.
    pub(crate) fn event(self) -> Event {
        match self {
            Self::Completed => Event::AllCompleted,
            Self::PartiallyCompleted => Event::OptionalFailed,
            Self::Failed => Event::RequiredFailed,
            Self::Cancelled => Event::Cancelled,
        }
    }
}

impl State {
    /// How the run ended, if it has.
    pub(crate) fn end(self) -> Option<End> {
        match self {
            Self::Pending | Self::Running | Self::Paused => None,
            Self::Completed => Some(End::Completed),
            Self::PartiallyCompleted => Some(End::PartiallyCompleted),
            Self::Failed => Some(End::Failed),
            Self::Cancelled => Some(End::Cancelled),
        }
    }

    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::Paused,
        Self::Completed,
        Self::PartiallyCompleted,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name that is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::PartiallyCompleted => "partially_completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the run has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Paused => false,
            Self::Completed | Self::PartiallyCompleted | Self::Failed | Self::Cancelled => true,
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
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| format!("no run state {text:?}"))
    }
}
