//! Why a task waits.
//!
//! A gate is a fact with its present value. What it says in words is written here and nowhere else.

use std::fmt;

use cloacina_workflow::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{core::task::State, id::RunId};

/// One thing that a task waits for, with its present value. As text it says the same in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "gate", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gate {
    /// The run has not been started.
    RunPending,
    /// The run starts later.
    RunDelayed {
        /// When the run starts.
        #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
        until: Timestamp,
    },
    /// The run is paused.
    RunPaused {
        /// The actor that paused the run.
        by: String,
    },
    /// The run is being cancelled, or its time is over.
    RunClosing,
    /// The last attempt failed; the next one comes later.
    RetryAt {
        /// When the next attempt begins.
        #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
        at: Timestamp,
    },
    /// The trigger rule is evaluated once all dependencies are terminal, or as soon as it is decided.
    TriggerRule {
        /// The trigger rule as it is written in the source.
        rule: String,
        /// The tasks that the rule looks at.
        tasks: Vec<GateTask>,
        /// The keys of the context that the rule looks at.
        keys: Vec<String>,
        /// Whether the task does not wait for all its dependencies once the rule is decided.
        early: bool,
    },
    /// A dependency is not terminal.
    Dependency {
        /// The dependency that has not ended.
        task: String,
        /// The state of the dependency.
        state: State,
    },
    /// All slots are taken, or other tasks are first.
    Slot {
        /// How many attempts are running.
        running: usize,
        /// How many attempts may run at once.
        slots: usize,
        /// Some of the tasks that hold the slots.
        held_by: Vec<GateHolder>,
    },
    /// The package of the run's workflow did harm, or is not trusted any longer, and must not be used now.
    Quarantined {
        /// Why, in words.
        reason: String,
        /// When the package is used again. Absent if somebody has to release it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
        until: Option<Timestamp>,
    },
    /// The package of the run's workflow is registered, but this engine cannot use it.
    Withheld {
        /// Why, and what may be done about it, in words.
        reason: String,
    },
    /// The code of the run's workflow is not there.
    PackageMissing {
        /// The full name of the workflow.
        workflow: String,
    },
    /// The store refuses what happened to the run, so nothing follows from it. The engine tries again.
    StoreRefused {
        /// What the store said.
        reason: String,
        /// When the engine tries again.
        #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
        until: Timestamp,
    },
    /// The history of the run cannot be read. The engine tries again.
    HistoryUnread {
        /// What the store said.
        reason: String,
        /// When the engine tries again.
        #[cfg_attr(feature = "schema", schema(value_type = super::Moment))]
        until: Timestamp,
    },
    /// On a server: the engine that the run belongs to, which alone can start its tasks. The other gates are those that
    /// stand in the database.
    Owner {
        /// The process of the engine. Absent if it is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// The machine of the engine. Absent if it is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Until when no other engine may take the run over. Absent if it is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
        lease_until: Option<Timestamp>,
    },
    /// On a server: the engine that the run belonged to is dead or cut off, and another one takes the run over.
    OwnerDead {
        /// The process of the engine. Absent if it is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// The machine of the engine. Absent if it is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// When the lease of the engine ended. Absent if it is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<super::Moment>))]
        lease_until: Option<Timestamp>,
    },
    /// No engine drives the database.
    NoEngine,
}

/// A task that a trigger rule looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GateTask {
    /// The id of the task.
    pub task: String,
    /// The state of the task.
    pub state: State,
}

/// A task that holds a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GateHolder {
    /// The id of its run.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub run: RunId,
    /// The id of the task.
    pub task: String,
}

impl Gate {
    /// Whether the gate keeps every task of the run from starting until something outside of the run changes.
    #[must_use]
    pub fn is_of_package_or_store(&self) -> bool {
        match self {
            Self::Quarantined { .. }
            | Self::Withheld { .. }
            | Self::PackageMissing { .. }
            | Self::StoreRefused { .. }
            | Self::HistoryUnread { .. } => true,
            Self::RunPending
            | Self::RunDelayed { .. }
            | Self::RunPaused { .. }
            | Self::RunClosing
            | Self::RetryAt { .. }
            | Self::TriggerRule { .. }
            | Self::Dependency { .. }
            | Self::Slot { .. }
            | Self::Owner { .. }
            | Self::OwnerDead { .. }
            | Self::NoEngine => false,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunPending => formatter.write_str("the run has not been started"),
            Self::RunPaused { by } => write!(formatter, "the run was paused by {by}"),
            Self::RunDelayed { until } => write!(formatter, "the run starts at {until}"),
            Self::RunClosing => formatter.write_str("the run is being ended"),
            Self::RetryAt { at } => write!(formatter, "the next attempt comes at {at}"),
            Self::TriggerRule { rule, early: true, .. } => write!(formatter, "the rule {rule} is not decided"),
            Self::TriggerRule { rule, .. } => write!(formatter, "then the rule {rule} is evaluated"),
            Self::Dependency { task, state } => write!(formatter, "{task} is {state}"),
            Self::Slot { running, slots, held_by } => {
                write!(formatter, "{running} of {slots} slots are taken")?;
                write_holders(held_by, formatter)
            }
            Self::Quarantined { reason, until } => {
                write!(formatter, "the package is quarantined, as {reason}; ")?;
                match until {
                    Some(at) => write!(formatter, "the next try is at {at}"),
                    None => formatter.write_str("the quarantine lasts until the package is released"),
                }
            }
            Self::Withheld { reason } => write!(formatter, "the engine cannot use the package: {reason}"),
            Self::PackageMissing { workflow } => write!(formatter, "the code of {workflow} is not there"),
            Self::StoreRefused { reason, until } => write!(
                formatter,
                "the database refused a change of the run; the next try is at {until}; the reason: {reason}"
            ),
            Self::HistoryUnread { reason, until } => write!(
                formatter,
                "the history of the run could not be read; the next try is at {until}; the reason: {reason}"
            ),
            Self::Owner { pid, host, lease_until } => {
                let (pid, host, until) = (known(pid.as_ref()), known(host.as_ref()), known(lease_until.as_ref()));
                write!(
                    formatter,
                    "the run belongs to the engine in process {pid} on {host}; its lease runs until {until}"
                )
            }
            Self::OwnerDead { pid, host, lease_until } => {
                let (pid, host, until) = (known(pid.as_ref()), known(host.as_ref()), known(lease_until.as_ref()));
                write!(
                    formatter,
                    "the engine in process {pid} on {host} has not renewed its lease, which ended at {until}; an engine that has the code takes the run over"
                )
            }
            Self::NoEngine => formatter.write_str("no engine drives this database"),
        }
    }
}

fn write_holders(held_by: &[GateHolder], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match held_by {
        [] => formatter.write_str(", or others are first"),
        [GateHolder { run, task }] => write!(formatter, ", by {task} of {run}"),
        [GateHolder { run, task }, others @ ..] => {
            write!(formatter, ", by {task} of {run} and {} more", others.len())
        }
    }
}

fn known(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}
