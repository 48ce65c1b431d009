//! Runs of which retention has removed a part: what can still be said of them.
//!
//! Such a run cannot be decided again from its history, as rules may have looked at values that are gone. So its tasks
//! are shown as their last events tell, and nothing here can fail: what is missing stays empty.

use std::collections::{BTreeMap, BTreeSet};

use cloacina_workflow::Context;
use serde_json::Value as Json;

use super::{catalog::Version, history, report::begun};
use crate::{
    core::task,
    store::{EventRow, Kind, RunRow},
    view::{AttemptOutcome, PrunedPart, RunReport, RunStatus, Skipped, TaskReport},
};

/// The report of a run of which something is gone; none if it is whole.
pub(crate) fn pruned_report(version: &Version, run: &RunRow, rows: &[EventRow]) -> Option<RunReport> {
    let pruned = PrunedPart::of(run.context_pruned_at, run.events_pruned_at)?;
    let (tasks, completed_tasks) = match pruned {
        PrunedPart::History { .. } => (Vec::new(), None),
        PrunedPart::Context { .. } => {
            let tasks = tasks(version, rows);
            let n_completed = tasks.iter().filter(|task| task.state == task::State::Completed).count();
            (tasks, Some(n_completed))
        }
    };
    Some(RunReport {
        status: RunStatus::new(run, version, completed_tasks),
        tasks,
        context: Context::default(),
        producers: BTreeMap::new(),
    })
}

/// The tasks as the last events about them left them.
fn tasks(version: &Version, rows: &[EventRow]) -> Vec<TaskReport> {
    let nodes = version.plan.nodes();
    let mut reports: Vec<TaskReport> =
        nodes.map(|(node, task)| untouched(&task.id, version.plan.graph.children(node).is_empty())).collect();
    for row in rows {
        let task = row.task.and_then(|task| usize::try_from(task).ok());
        let Some(report) = task.and_then(|task| reports.get_mut(task)) else { continue };
        let (state, outcome) = match row.kind {
            Kind::TaskCompleted | Kind::TaskReused => (task::State::Completed, Some(AttemptOutcome::Ok)),
            Kind::TaskFailed => (task::State::Failed, Some(AttemptOutcome::Failed)),
            Kind::TaskSkipped => (task::State::Skipped, None),
            Kind::TaskCancelled => (task::State::Cancelled, row.started_at.map(|_| AttemptOutcome::Cancelled)),
            _ => continue,
        };
        let details = row.payload.as_deref().and_then(|payload| serde_json::from_slice(payload).ok());
        report.state = state;
        report.outcome = outcome;
        let attempt = row.attempt.and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(1).max(1);
        report.attempt = begun(attempt, row.started_at);
        report.started_at = row.started_at;
        report.finished_at = Some(row.at);
        report.skipped = (state == task::State::Skipped).then(|| skipped(&details.unwrap_or_default()));
        report.error = row.payload.as_deref().and_then(history::stored_error);
    }
    reports
}

fn untouched(id: &str, is_leaf: bool) -> TaskReport {
    TaskReport {
        id: id.to_owned(),
        is_leaf,
        state: task::State::Pending,
        attempt: None,
        started_at: None,
        finished_at: None,
        error: None,
        skipped: None,
        outcome: None,
        retry_at: None,
        set: BTreeMap::new(),
        unset: BTreeSet::new(),
        gates: Vec::new(),
    }
}

fn skipped(details: &Json) -> Skipped {
    match (details["dependency"].as_str().map(str::to_owned), details["reason"].as_str()) {
        (Some(dependency), Some("upstream_skipped")) => Skipped::UpstreamSkipped { dependency },
        // Older histories have no other reason for a skip that follows from a skip.
        (Some(dependency), _) => Skipped::UpstreamFailed { dependency },
        (None, _) => Skipped::RuleNotMet,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_skip_is_read_as_it_was_stored_also_by_older_versions() {
        let dependency = || "a".to_owned();
        for (details, expected) in [
            (
                json!({"reason": "upstream_failed", "dependency": "a"}),
                Skipped::UpstreamFailed { dependency: dependency() },
            ),
            (
                json!({"reason": "upstream_skipped", "dependency": "a"}),
                Skipped::UpstreamSkipped { dependency: dependency() },
            ),
            (json!({"reason": "rule_not_met"}), Skipped::RuleNotMet),
            (json!(null), Skipped::RuleNotMet),
        ] {
            assert_eq!(skipped(&details), expected);
        }
    }
}
