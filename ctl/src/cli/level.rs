//! How important lines of a log are, as an argument.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use cloacina::Level;

/// Reads the name of a level, and lists the names in the help.
pub(super) fn parser() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"]).try_map(|level| level.parse::<Level>())
}
