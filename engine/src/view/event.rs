//! One row of a run's history.

use std::time::Duration;

use cloacina_packager::Digest;
use cloacina_workflow::{Timestamp, Value};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::json::micros;
use crate::store::Kind;

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RunEvent {
    /// The number of the event, counted from 0 within the run, without gaps.
    pub sequence: i64,
    /// When it happened.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub at: Timestamp,
    /// What happened, such as `task_completed`.
    #[serde(deserialize_with = "kind")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub kind: KindName,
    /// The id of the task. Absent if the event is about the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The number of the attempt, counted from 1. Absent if the event is about no attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The content digest of the package's version that ran the attempt. Absent if the event is about no attempt, or the
    /// workflow is compiled in.
    #[serde(rename = "content_digest", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub digest: Option<Digest>,
    /// What else is known, by kind: the input, what a task wrote, an error. Absent if nothing is; null in Rust.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
    /// For the end of an attempt: the processor time that it used, in microseconds. Absent if it was not measured.
    #[serde(rename = "cpu_us", default, with = "micros", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub cpu: Option<Duration>,
    /// For the end of an attempt that was alone in its process: the most memory that the process held, in bytes. Absent
    /// if nobody measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
}

/// Serde would borrow from the text what is written as a reference here.
pub(super) type KindName = &'static str;

/// The name of a kind that the store knows.
pub(super) fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    let name = String::deserialize(deserializer)?;
    let known = name.parse::<Kind>();
    Ok(known.map_err(|()| D::Error::custom(format!("no kind of event {name:?}")))?.as_str())
}
