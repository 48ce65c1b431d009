//! What the value of a setting may be.
//!
//! A value that makes no sense is refused where it stands, before a command does anything.

use cloacina::AllowedNeed;
use cloacina_server::Origin;

use super::value;

/// What the value of a setting may be.
#[derive(Debug)]
pub(super) enum Kind {
    /// Any text, which may be secret.
    Secret,
    /// The path of a file.
    Path,
    /// An IP address and a port.
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// True or false.
    Flag,
    /// A whole number.
    Number { least: u64 },
    /// A whole number, or `off`.
    NumberOrOff,
    /// A time.
    Wait,
    /// A time, or `off`.
    AgeOrOff,
    /// Several texts.
    Texts,
    /// Several needs that are allowed.
    Needs,
    /// Several sites.
    Origins,
}

impl Kind {
    /// Whether it may have several values.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::Texts | Self::Needs | Self::Origins)
    }

    /// Checks one value.
    ///
    /// # Errors
    /// What to write instead.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        match self {
            Self::Secret | Self::Path | Self::Texts if text.is_empty() => Err("it is empty".to_owned()),
            Self::Secret | Self::Path | Self::Texts => Ok(()),
            Self::Address => value::address(text).map(drop),
            Self::Choice(words) if words.contains(&text) => Ok(()),
            Self::Choice(words) => Err(format!("use one of: {}", words.join(", "))),
            Self::Flag => value::flag(text).map(drop),
            Self::Number { least } => value::number(text, *least).map(drop),
            Self::NumberOrOff => value::number_or_off(text).map(drop),
            Self::Wait => value::wait(text).map(drop),
            Self::AgeOrOff => value::age_or_off(text).map(drop),
            Self::Origins => text.parse::<Origin>().map(drop).map_err(|error| error.to_string()),
            Self::Needs => text.parse::<AllowedNeed>().map(drop).map_err(|error| error.to_string()),
        }
    }
}
