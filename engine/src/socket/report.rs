//! Reports as they go through the socket: the same fields, with states as their names and moments as numbers.
//!
//! What a program of the same version wrote reads back as it was; anything else is a mistake of the sender.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::{Context, ErrorRecord, TaskError, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::wire::{self, Event};
use crate::{
    core::task::State as TaskState,
    id::RunId,
    runtime::{AttemptOutcome, Gate, PrunedPart, RunEvent, RunReport, Skipped, TaskReport},
    store::Kind,
};

/// A [`RunReport`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    #[serde(with = "wire::run_id")]
    id: RunId,
    workflow: String,
    digest: Option<String>,
    state: String,
    created_at: u64,
    started_at: Option<u64>,
    finished_at: Option<u64>,
    tasks: Vec<Task>,
    context: Map<String, Value>,
    producers: BTreeMap<String, String>,
    pruned: Option<PrunedOf>,
}

/// Which part retention has removed, and when.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PrunedOf {
    Context { at: u64 },
    History { at: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    id: String,
    #[serde(default)]
    is_leaf: bool,
    state: String,
    attempt: u32,
    started_at: Option<u64>,
    finished_at: Option<u64>,
    error: Option<Failure>,
    skipped: Option<SkippedFor>,
    outcome: Option<String>,
    retry_at: Option<u64>,
    set: BTreeMap<String, Value>,
    unset: BTreeSet<String>,
    gates: Vec<GateAt>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    kind: String,
    message: String,
    details: Value,
    retryable: bool,
    retry_after_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SkippedFor {
    UpstreamFailed { dependency: String },
    UpstreamSkipped { dependency: String },
    RuleNotMet,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GateAt {
    RunPending,
    RunDelayed {
        until: u64,
    },
    RunPaused {
        by: String,
    },
    RunClosing,
    RetryAt {
        at: u64,
    },
    TriggerRule {
        rule: String,
        tasks: Vec<(String, String)>,
        keys: Vec<String>,
        #[serde(default)]
        early: bool,
    },
    Dependency {
        task: String,
        state: String,
    },
    Slot {
        running: usize,
        slots: usize,
        held_by: Vec<(String, String)>,
    },
    Quarantined {
        reason: String,
        until: Option<u64>,
    },
    Withheld {
        reason: String,
    },
    PackageMissing {
        workflow: String,
    },
    StoreRefused {
        reason: String,
        until: u64,
    },
    HistoryUnread {
        reason: String,
        until: u64,
    },
    Owner {
        pid: Option<u32>,
        host: Option<String>,
        lease_until: Option<u64>,
        is_dead: bool,
    },
}

impl Report {
    pub(super) fn new(report: RunReport) -> Self {
        let values = match serde_json::to_value(&report.context) {
            Ok(Value::Object(values)) => values,
            Ok(_) | Err(_) => Map::new(),
        };
        Self {
            id: report.id,
            workflow: report.workflow,
            digest: report.digest.map(|digest| digest.to_string()),
            state: report.state.as_str().to_owned(),
            created_at: report.created_at.unix_micros(),
            started_at: report.started_at.map(Timestamp::unix_micros),
            finished_at: report.finished_at.map(Timestamp::unix_micros),
            tasks: report.tasks.into_iter().map(Task::new).collect(),
            context: values,
            producers: report.producers,
            pruned: report.pruned.map(|pruned| match pruned {
                PrunedPart::Context { at } => PrunedOf::Context { at: at.unix_micros() },
                PrunedPart::History { at } => PrunedOf::History { at: at.unix_micros() },
            }),
        }
    }

    pub(super) fn read(self) -> Result<RunReport, String> {
        Ok(RunReport {
            id: self.id,
            workflow: self.workflow,
            digest: digest(self.digest.as_deref())?,
            state: self.state.parse()?,
            created_at: Timestamp::from_unix_micros(self.created_at),
            started_at: self.started_at.map(Timestamp::from_unix_micros),
            finished_at: self.finished_at.map(Timestamp::from_unix_micros),
            tasks: self.tasks.into_iter().map(Task::read).collect::<Result<_, String>>()?,
            context: Context::from_object(Value::Object(self.context)).unwrap_or_default(),
            producers: self.producers,
            pruned: self.pruned.map(|pruned| match pruned {
                PrunedOf::Context { at } => PrunedPart::Context { at: Timestamp::from_unix_micros(at) },
                PrunedOf::History { at } => PrunedPart::History { at: Timestamp::from_unix_micros(at) },
            }),
        })
    }
}

impl Task {
    fn new(task: TaskReport) -> Self {
        Self {
            id: task.id,
            is_leaf: task.is_leaf,
            state: task.state.as_str().to_owned(),
            attempt: task.attempt,
            started_at: task.started_at.map(Timestamp::unix_micros),
            finished_at: task.finished_at.map(Timestamp::unix_micros),
            error: task.error.map(|error| {
                let ErrorRecord { kind, message, details, retryable, retry_after } = error.to_record();
                let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                Failure { kind, message, details, retryable, retry_after_ms }
            }),
            skipped: task.skipped.map(|skipped| match skipped {
                Skipped::UpstreamFailed { dependency } => SkippedFor::UpstreamFailed { dependency },
                Skipped::UpstreamSkipped { dependency } => SkippedFor::UpstreamSkipped { dependency },
                Skipped::RuleNotMet => SkippedFor::RuleNotMet,
            }),
            outcome: task.outcome.map(|outcome| outcome.as_str().to_owned()),
            retry_at: task.retry_at.map(Timestamp::unix_micros),
            set: task.set,
            unset: task.unset,
            gates: task.gates.into_iter().map(GateAt::new).collect(),
        }
    }

    fn read(self) -> Result<TaskReport, String> {
        Ok(TaskReport {
            id: self.id,
            is_leaf: self.is_leaf,
            state: self.state.parse()?,
            attempt: self.attempt,
            started_at: self.started_at.map(Timestamp::from_unix_micros),
            finished_at: self.finished_at.map(Timestamp::from_unix_micros),
            error: self.error.map(|failure| {
                let Failure { kind, message, details, retryable, retry_after_ms } = failure;
                let retry_after = retry_after_ms.map(Duration::from_millis);
                TaskError::from_record(ErrorRecord { kind, message, details, retryable, retry_after })
            }),
            skipped: self.skipped.map(|skipped| match skipped {
                SkippedFor::UpstreamFailed { dependency } => Skipped::UpstreamFailed { dependency },
                SkippedFor::UpstreamSkipped { dependency } => Skipped::UpstreamSkipped { dependency },
                SkippedFor::RuleNotMet => Skipped::RuleNotMet,
            }),
            outcome: self.outcome.map(|name| outcome(&name)).transpose()?,
            retry_at: self.retry_at.map(Timestamp::from_unix_micros),
            set: self.set,
            unset: self.unset,
            gates: self.gates.into_iter().map(GateAt::read).collect::<Result<_, String>>()?,
        })
    }
}

impl GateAt {
    fn new(gate: Gate) -> Self {
        let named = |(name, state): (String, TaskState)| (name, state.as_str().to_owned());
        match gate {
            Gate::RunPending => Self::RunPending,
            Gate::RunDelayed { until } => Self::RunDelayed { until: until.unix_micros() },
            Gate::RunPaused { by } => Self::RunPaused { by },
            Gate::RunClosing => Self::RunClosing,
            Gate::RetryAt { at } => Self::RetryAt { at: at.unix_micros() },
            Gate::TriggerRule { rule, tasks, keys, early } => {
                Self::TriggerRule { rule, tasks: tasks.into_iter().map(named).collect(), keys, early }
            }
            Gate::Dependency { task, state } => Self::Dependency { task, state: state.as_str().to_owned() },
            Gate::Slot { running, slots, held_by } => {
                let held_by = held_by.into_iter().map(|(run, task)| (run.to_string(), task));
                Self::Slot { running, slots, held_by: held_by.collect() }
            }
            Gate::Quarantined { reason, until } => {
                Self::Quarantined { reason, until: until.map(Timestamp::unix_micros) }
            }
            Gate::Withheld { reason } => Self::Withheld { reason },
            Gate::PackageMissing { workflow } => Self::PackageMissing { workflow },
            Gate::StoreRefused { reason, until } => Self::StoreRefused { reason, until: until.unix_micros() },
            Gate::HistoryUnread { reason, until } => Self::HistoryUnread { reason, until: until.unix_micros() },
            Gate::Owner { pid, host, lease_until, is_dead } => {
                Self::Owner { pid, host, lease_until: lease_until.map(Timestamp::unix_micros), is_dead }
            }
        }
    }

    fn read(self) -> Result<Gate, String> {
        let named = |(name, state): (String, String)| Ok::<_, String>((name, state.parse()?));
        Ok(match self {
            Self::RunPending => Gate::RunPending,
            Self::RunDelayed { until } => Gate::RunDelayed { until: Timestamp::from_unix_micros(until) },
            Self::RunPaused { by } => Gate::RunPaused { by },
            Self::RunClosing => Gate::RunClosing,
            Self::RetryAt { at } => Gate::RetryAt { at: Timestamp::from_unix_micros(at) },
            Self::TriggerRule { rule, tasks, keys, early } => {
                let tasks = tasks.into_iter().map(named).collect::<Result<_, _>>()?;
                Gate::TriggerRule { rule, tasks, keys, early }
            }
            Self::Dependency { task, state } => Gate::Dependency { task, state: state.parse()? },
            Self::Slot { running, slots, held_by } => {
                let held_by = held_by.into_iter().map(|(run, task)| {
                    let run: RunId = run.parse().map_err(|error: crate::id::ParseRunIdError| error.to_string())?;
                    Ok::<_, String>((run, task))
                });
                Gate::Slot { running, slots, held_by: held_by.collect::<Result<_, _>>()? }
            }
            Self::Quarantined { reason, until } => {
                Gate::Quarantined { reason, until: until.map(Timestamp::from_unix_micros) }
            }
            Self::Withheld { reason } => Gate::Withheld { reason },
            Self::PackageMissing { workflow } => Gate::PackageMissing { workflow },
            Self::StoreRefused { reason, until } => {
                Gate::StoreRefused { reason, until: Timestamp::from_unix_micros(until) }
            }
            Self::HistoryUnread { reason, until } => {
                Gate::HistoryUnread { reason, until: Timestamp::from_unix_micros(until) }
            }
            Self::Owner { pid, host, lease_until, is_dead } => {
                Gate::Owner { pid, host, lease_until: lease_until.map(Timestamp::from_unix_micros), is_dead }
            }
        })
    }
}

impl Event {
    pub(super) fn new(event: RunEvent) -> Self {
        let RunEvent { sequence, at, kind, task, attempt, digest, details, cpu, peak_bytes } = event;
        let (at, kind) = (at.unix_micros(), kind.to_owned());
        let digest = digest.map(|digest| digest.to_string());
        let cpu_us = cpu.map(|cpu| u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX));
        Self { sequence, at, kind, task, attempt, digest, details, cpu_us, peak_bytes }
    }

    pub(super) fn read(self) -> Result<RunEvent, String> {
        let Self { sequence, at, kind, task, attempt, digest: ran, details, cpu_us, peak_bytes } = self;
        let (at, cpu) = (Timestamp::from_unix_micros(at), cpu_us.map(Duration::from_micros));
        let known: Kind = kind.parse().map_err(|()| format!("no kind of event {kind:?}"))?;
        let (kind, digest) = (known.as_str(), digest(ran.as_deref())?);
        Ok(RunEvent { sequence, at, kind, task, attempt, digest, details, cpu, peak_bytes })
    }
}

fn digest(text: Option<&str>) -> Result<Option<Digest>, String> {
    let hex =
        |text: &str| Digest::from_hex(text.strip_prefix("sha256:").unwrap_or(text)).map_err(|error| error.to_string());
    text.map(hex).transpose()
}

fn outcome(name: &str) -> Result<AttemptOutcome, String> {
    let known = AttemptOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == name);
    known.ok_or_else(|| format!("no outcome {name:?}"))
}
