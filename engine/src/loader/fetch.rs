//! What packages ask of the contexts of their calls, and what they are answered.
//!
//! A call carries what is small; the rest is asked for while the call is under way. Questions come as numbers and bytes
//! from code that is not ours: what cannot be understood is answered as such, and harms nothing.

use std::{str, sync::Arc};

use cloacina_workflow::abi::{
    FETCH_ALL, FETCH_GONE, FETCH_KEYS, FETCH_TOO_LARGE, FETCH_UNKNOWN, FETCH_VALUE, FETCH_WRITER,
};
use serde_json::value::RawValue;

/// One question about the context of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question<'a> {
    /// The visible value of a key; or what that task wrote under it.
    Value { task: Option<&'a str>, key: &'a str },
    /// Whether the key has a visible value, and the task that wrote it.
    Writer { key: &'a str },
    /// The keys with a visible value; or those that the task wrote.
    Keys { task: Option<&'a str> },
    /// Everything, as a package gets it that asks for nothing.
    All,
}

/// What there is.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) value: AnswerText,
    /// The task that wrote it; none for the run's input, and for what several wrote.
    pub(crate) writer: Option<Arc<str>>,
}

/// JSON, or nothing where only the writer was asked for.
#[derive(Clone, Debug)]
pub(crate) enum AnswerText {
    None,
    /// A value as it is in the context.
    Shared(Arc<RawValue>),
    Made(Vec<u8>),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The call has ended, or was abandoned.
    Gone,
    /// It would be larger than what may cross.
    TooLarge,
    /// The question makes no sense.
    Unknown,
}

impl<'a> Question<'a> {
    /// The question of a package. An empty task means none.
    pub(crate) fn read(what: u32, task: &'a [u8], key: &'a [u8]) -> Option<Self> {
        let (task, key) = (str::from_utf8(task).ok()?, str::from_utf8(key).ok()?);
        let task = Some(task).filter(|task| !task.is_empty());
        match what {
            FETCH_VALUE => Some(Self::Value { task, key }),
            FETCH_WRITER => Some(Self::Writer { key }),
            FETCH_KEYS => Some(Self::Keys { task }),
            FETCH_ALL => Some(Self::All),
            _ => None,
        }
    }

    /// The same as numbers and text.
    pub(crate) fn parts(self) -> (u32, &'a str, &'a str) {
        match self {
            Self::Value { task, key } => (FETCH_VALUE, task.unwrap_or_default(), key),
            Self::Writer { key } => (FETCH_WRITER, "", key),
            Self::Keys { task } => (FETCH_KEYS, task.unwrap_or_default(), ""),
            Self::All => (FETCH_ALL, "", ""),
        }
    }
}

impl Answer {
    /// The bytes of the JSON.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.value {
            AnswerText::None => &[],
            AnswerText::Shared(raw) => raw.get().as_bytes(),
            AnswerText::Made(bytes) => bytes,
        }
    }
}

impl Unanswered {
    /// As a package is told.
    pub(crate) fn status(self) -> i32 {
        match self {
            Self::Gone => FETCH_GONE,
            Self::TooLarge => FETCH_TOO_LARGE,
            Self::Unknown => FETCH_UNKNOWN,
        }
    }

    /// What that status means.
    pub(crate) fn of_status(status: i32) -> Self {
        match status {
            FETCH_TOO_LARGE => Self::TooLarge,
            FETCH_UNKNOWN => Self::Unknown,
            _ => Self::Gone,
        }
    }
}
