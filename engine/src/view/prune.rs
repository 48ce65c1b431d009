//! What retention removes: before that as a plan, and afterwards as a count.

use serde::Serialize;

/// What need not be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PrunePlan {
    /// What is old enough, by kind, state and workflow.
    pub due: Vec<PruneCount>,
    /// How many runs go because there are too many.
    #[serde(rename = "excess_runs")]
    pub n_excess: u64,
    /// How many lines of logs go.
    #[serde(rename = "log_lines")]
    pub n_lines: u64,
}

/// What is old enough to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PruneCount {
    /// What goes: `run`, `history` or `context`.
    pub what: &'static str,
    /// The state in which the runs ended, or `dead letter`.
    pub state: &'static str,
    /// The full name of their workflow.
    pub workflow: String,
    /// How many runs.
    #[serde(rename = "runs")]
    pub n_runs: u64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Pruned {
    /// How many runs.
    #[serde(rename = "runs")]
    pub n_runs: u64,
    /// How many histories of runs that stay.
    #[serde(rename = "histories")]
    pub n_events: u64,
    /// How many contexts of runs that stay.
    #[serde(rename = "contexts")]
    pub n_contexts: u64,
    /// How many lines of logs, without those of deleted runs.
    #[serde(rename = "log_lines")]
    pub n_lines: u64,
    /// How many rows of the database, all of these together.
    #[serde(rename = "rows")]
    pub n_rows: u64,
}
