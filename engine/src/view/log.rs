//! One line of a run's log.

use cloacina_workflow::{Level, Timestamp, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Map;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LogRecord {
    /// The number of the line. It grows from line to line, with gaps; a list goes on after it.
    pub number: i64,
    /// When it was written.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub at: Timestamp,
    /// The level: `error`, `warn`, `info`, `debug` or `trace`.
    #[serde(with = "level")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub level: Level,
    /// The id of the task that wrote it.
    pub task: String,
    /// The number of the attempt that wrote it, counted from 1.
    pub attempt: u32,
    /// Where it comes from, by convention a module.
    pub target: String,
    /// The text of the line.
    pub message: String,
    /// What else the task said, by name.
    pub fields: Map<String, Value>,
    /// How many lines are missing here, because there was no room for them. Absent for a line that a task wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

/// Levels by their names.
mod level {
    use super::*;

    pub(super) fn serialize<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(level.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Level, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|_| D::Error::custom(format_args!("{name:?} is not a level")))
    }
}
