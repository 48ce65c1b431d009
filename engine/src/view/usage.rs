//! What attempts, tasks, runs, packages and their processes used.
//!
//! What nobody measured is absent, never 0; beside each sum stands of how many it is known.

use std::time::Duration;

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    event::{KindName, kind},
    json::micros,
};
use crate::{core::run::State, id::RunId};

/// What attempts and callbacks used up together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Usage {
    /// How many attempts ended.
    #[serde(rename = "attempts")]
    pub n_attempts: u64,
    /// How many callbacks ended.
    #[serde(rename = "callbacks")]
    pub n_callbacks: u64,
    /// How long they ran, in microseconds. Absent if it is known of none.
    #[serde(rename = "time_us", default, with = "micros", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub time: Option<Duration>,
    /// The number of attempts and callbacks of which `time_us` is known: not of an attempt that was interrupted with its engine.
    #[serde(rename = "time_known_of")]
    pub n_time: u64,
    /// The processor time that they used, in microseconds. Absent if it is known of none.
    #[serde(rename = "cpu_us", default, with = "micros", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub cpu: Option<Duration>,
    /// The number of attempts and callbacks of which `cpu_us` is known.
    #[serde(rename = "cpu_known_of")]
    pub n_cpu: u64,
    /// The most memory that one of them held, in bytes. Absent if it is known of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// The number of attempts and callbacks of which `peak_bytes` is known.
    #[serde(rename = "peak_known_of")]
    pub n_peak: u64,
}

/// An attempt or a callback that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct UsedCall {
    /// The number of the attempt, counted from 1. Absent for a callback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// How it ended, as an event says it, such as `task_completed`.
    #[serde(deserialize_with = "kind")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub end: KindName,
    /// When it began. Absent if it was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub started_at: Option<Timestamp>,
    /// When its end was noticed.
    #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
    pub ended_at: Timestamp,
    /// The processor time that it used, in microseconds. Absent unless it was alone in its process or its polls were
    /// measured.
    #[serde(rename = "cpu_us", default, with = "micros", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub cpu: Option<Duration>,
    /// The most memory that its process held, in bytes. Absent if it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
}

/// What a task of a run used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct UsedTask {
    /// The id of the task.
    pub task: String,
    /// All its attempts and callbacks together.
    #[serde(flatten)]
    pub total: Usage,
    /// Its attempts and callbacks that ended, in order.
    pub calls: Vec<UsedCall>,
}

/// What a run used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RunUsage {
    /// The id of the run.
    #[serde(rename = "run")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub id: RunId,
    /// The full name of its workflow.
    pub workflow: String,
    /// The content digest of the package's version to which the run is pinned. Absent for a workflow that is compiled in.
    #[serde(rename = "content_digest", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub digest: Option<Digest>,
    /// The state of the run.
    pub state: State,
    /// When retention removed its history, since when nothing is known. Absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
    pub history_removed_at: Option<Timestamp>,
    /// What all its tasks used up together; of the command with `--task`, that task alone.
    pub total: Usage,
    /// What each task used up, in the order of the source; also tasks of which nothing ended.
    pub tasks: Vec<UsedTask>,
}

/// What processes used up, with all that ran in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct HostUsage {
    /// How many processes lived at some moment of the time.
    #[serde(rename = "count")]
    pub n_hosts: u64,
    /// How many of them crashed, or were killed at a limit or because a task did not stop.
    #[serde(rename = "crashed")]
    pub n_crashed: u64,
    /// How many attempts and callbacks ran in them.
    #[serde(rename = "calls")]
    pub n_calls: u64,
    /// The processor time that they used, in microseconds. Absent if it is known of none.
    #[serde(rename = "cpu_us", default, with = "micros", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub cpu: Option<Duration>,
    /// Of how many processes `cpu_us` is known.
    #[serde(rename = "cpu_known_of")]
    pub n_cpu: u64,
    /// The most memory that one of them held, in bytes. Absent if it is known of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// Of how many processes `peak_bytes` is known.
    #[serde(rename = "peak_known_of")]
    pub n_peak: u64,
}

/// What a task used up in all runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TaskUsage {
    /// The name of the workflow in the package.
    pub workflow: String,
    /// The id of the task.
    pub task: String,
    /// All its attempts and callbacks together.
    #[serde(flatten)]
    pub total: Usage,
}

/// What a version of a package used up in the runs of a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PackageUsage {
    /// The tenant.
    pub tenant: String,
    /// The name of the package.
    pub name: String,
    /// The version. Absent once it is not registered any longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The content digest of the version.
    #[serde(rename = "content_digest")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub digest: Digest,
    /// How many runs it had.
    #[serde(rename = "runs")]
    pub n_runs: u64,
    /// How many of them have no history any longer; what they used up is not counted.
    #[serde(rename = "runs_without_history")]
    pub n_pruned: u64,
    /// All its tasks together.
    #[serde(flatten)]
    pub total: Usage,
    /// Processes of its own that lived in that time, with all that ran in them.
    #[serde(rename = "processes")]
    pub hosts: HostUsage,
    /// What each task used up of which something ended.
    pub tasks: Vec<TaskUsage>,
}
