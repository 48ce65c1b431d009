//! Levels of log lines, with the numbers that they have in the C ABI.

use std::{fmt, str::FromStr};

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Level {
    /// Something failed.
    Error = 1,
    /// A possible problem.
    Warn = 2,
    /// Normal operation.
    Info = 3,
    /// For finding the cause of a problem.
    Debug = 4,
    /// Every detail.
    Trace = 5,
}

impl Level {
    /// All levels, the most severe first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The level with that number in the C ABI; a number out of range is the nearest level.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let position = usize::try_from(number.clamp(1, 5) - 1).unwrap_or(0);
        Self::ALL[position]
    }

    /// The number in the C ABI, 1 to 5.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
        found
            .ok_or_else(|| format!("there is no log level {text:?}; the levels are error, warn, info, debug and trace"))
    }
}
