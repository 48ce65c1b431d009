//! The rule: an age for each class of finished runs, and limits to how many runs and lines there may be.
//!
//! The defaults keep what a person may still ask for, and keep a database from growing for ever: a month of runs, two
//! weeks of logs. A failed run that was not dismissed needs attention, so it stays until a user has seen it:
//! removing it before would hide the failure.

use std::time::Duration;

use crate::core::run::State;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What of the past is kept, and for how long. An absent part keeps everything of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// How long completed runs are kept after their end; 30 days by default.
    pub completed: Option<Duration>,
    /// The same for partially completed runs; 30 days by default.
    pub partially_completed: Option<Duration>,
    /// The same for cancelled runs; 30 days by default.
    pub cancelled: Option<Duration>,
    /// The same for failed runs that were dismissed; 30 days by default.
    pub failed: Option<Duration>,
    /// The same for failed runs that were not dismissed; they are kept by default.
    pub dead_letters: Option<Duration>,
    /// How many finished runs are kept, the newest of them; dead letters do not count and stay. A million by default.
    pub runs_max: Option<u64>,
    /// How long inputs and results are kept after the end of their run, if not for as long as the run; not of dead
    /// letters, as those could not be run again without. As long as the run by default.
    pub contexts: Option<Duration>,
    /// How long histories are kept after the end of their run, if not for as long as the run; not of dead letters. As
    /// long as the run by default.
    pub events: Option<Duration>,
    /// How long lines of logs are kept after they were written; 14 days by default.
    pub logs: Option<Duration>,
    /// How many lines of logs are kept, the newest of them; ten million by default.
    pub logs_max: Option<u64>,
}

/// A kind of finished runs, with an age of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    Completed,
    PartiallyCompleted,
    Cancelled,
    /// Failed, and dismissed.
    Failed,
    /// Failed, and not dismissed.
    DeadLetter,
}

/// What of a run is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum What {
    /// All of it.
    Run,
    /// Its history, and with it everything but that it was.
    Events,
    /// Its input and what its tasks wrote.
    Context,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            completed: Some(30 * DAY),
            partially_completed: Some(30 * DAY),
            cancelled: Some(30 * DAY),
            failed: Some(30 * DAY),
            dead_letters: None,
            runs_max: Some(1_000_000),
            contexts: None,
            events: None,
            logs: Some(14 * DAY),
            logs_max: Some(10_000_000),
        }
    }
}

impl Retention {
    /// Keeps everything.
    #[must_use]
    pub fn off() -> Self {
        Self {
            completed: None,
            partially_completed: None,
            cancelled: None,
            failed: None,
            dead_letters: None,
            runs_max: None,
            contexts: None,
            events: None,
            logs: None,
            logs_max: None,
        }
    }

    /// How long after its end that is kept of a run of that class.
    pub(crate) fn age(&self, what: What, class: Class) -> Option<Duration> {
        match (what, class) {
            (What::Run, Class::Completed) => self.completed,
            (What::Run, Class::PartiallyCompleted) => self.partially_completed,
            (What::Run, Class::Cancelled) => self.cancelled,
            (What::Run, Class::Failed) => self.failed,
            (What::Run, Class::DeadLetter) => self.dead_letters,
            (What::Events | What::Context, Class::DeadLetter) => None,
            (What::Events, _) => self.events,
            (What::Context, _) => self.contexts,
        }
    }

    /// The earliest that anything can be due which is new now; never if everything is kept.
    pub(crate) fn shortest(&self) -> Option<Duration> {
        let runs = What::ALL.into_iter().flat_map(|what| Class::ALL.map(|class| self.age(what, class)));
        runs.chain([self.logs]).flatten().min()
    }
}

impl Class {
    pub(crate) const ALL: [Self; 5] =
        [Self::Completed, Self::PartiallyCompleted, Self::Cancelled, Self::Failed, Self::DeadLetter];

    pub(crate) fn state(self) -> State {
        match self {
            Self::Completed => State::Completed,
            Self::PartiallyCompleted => State::PartiallyCompleted,
            Self::Cancelled => State::Cancelled,
            Self::Failed | Self::DeadLetter => State::Failed,
        }
    }

    /// Whether it counts against the limit of runs.
    pub(crate) fn counts(self) -> bool {
        self != Self::DeadLetter
    }
}

impl What {
    pub(crate) const ALL: [Self; 3] = [Self::Run, Self::Events, Self::Context];

    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Events => "history",
            Self::Context => "context",
        }
    }
}
