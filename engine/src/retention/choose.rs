//! Which of the given runs and lines have expired: a pure function of rows, rule and time.
//!
//! Rows are the oldest of their class, so what is not among them is younger than all that are. That makes a choice
//! from a part of the rows a part of the choice from all of them, and the earliest of the rest the next to be due.

use std::collections::BTreeMap;

use cloacina_workflow::Timestamp;

use super::policy::{Class, Retention, What};
use crate::{core::effect::after, id::RunId};

/// A run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) id: RunId,
    pub(crate) class: Class,
    pub(crate) finished_at: Timestamp,
}

/// What is due now, and when the next of the rest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) due: Vec<RunId>,
    pub(crate) next: Option<Timestamp>,
}

/// The line up to which all are due, and when the next of the rest is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineChoice {
    pub(crate) up_to: Option<i64>,
    pub(crate) next: Option<Timestamp>,
}

/// Finished runs that were read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oldest<'a> {
    pub(crate) runs: &'a [Finished],
    /// How many were asked for of each class; where fewer came, these are all.
    pub(crate) n_asked: usize,
    /// How many runs there are that count against the limit.
    pub(crate) n_counted: u64,
}

/// Chooses runs: those that are too old, and only once there are none of them, those that are too many.
pub(crate) fn choose_runs(policy: &Retention, what: What, looked_at: Oldest<'_>, now: Timestamp) -> Choice {
    let due_at = |run: &Finished| policy.age(what, run.class).map(|age| after(run.finished_at, age));
    let old = looked_at.runs.iter().filter(|run| due_at(run).is_some_and(|due_at| due_at <= now));
    let old: Vec<RunId> = old.map(|run| run.id).collect();
    let due = if old.is_empty() && what == What::Run { too_many(policy, looked_at) } else { old };
    let kept = looked_at.runs.iter().filter(|run| !due.contains(&run.id));
    let next = kept.filter_map(due_at).min();
    Choice { due, next }
}

/// The oldest runs beyond the limit, as far as it is known that they are.
fn too_many(policy: &Retention, looked_at: Oldest<'_>) -> Vec<RunId> {
    let Oldest { runs, n_asked, n_counted } = looked_at;
    let n_excess = policy.runs_max.map_or(0, |limit| n_counted.saturating_sub(limit));
    let mut oldest: Vec<&Finished> = runs.iter().filter(|run| run.class.counts()).collect();
    oldest.sort_by_key(|run| (run.finished_at, run.id));
    let mut n_seen = BTreeMap::<Class, usize>::new();
    let mut chosen = Vec::new();
    for run in oldest {
        if chosen.len() as u64 >= n_excess {
            break;
        }
        chosen.push(run.id);
        let n_seen = n_seen.entry(run.class).or_default();
        *n_seen += 1;
        if *n_seen == n_asked {
            // More of its class may come now, before the next one that is known.
            break;
        }
    }
    chosen
}

/// Chooses lines from the oldest ones, in the order of their numbers. `newest` is the number of the last of all lines.
pub(crate) fn choose_lines(policy: &Retention, oldest: &[(i64, Timestamp)], newest: i64, now: Timestamp) -> LineChoice {
    // Numbers have gaps, so this keeps fewer lines at most.
    let excess = policy.logs_max.and_then(|limit| newest.checked_sub(i64::try_from(limit).ok()?));
    let mut choice = LineChoice::default();
    for (number, at) in oldest {
        let due_at = policy.logs.map(|age| after(*at, age));
        if excess.is_some_and(|excess| *number <= excess) || due_at.is_some_and(|due_at| due_at <= now) {
            choice.up_to = Some(*number);
        } else {
            choice.next = due_at;
            break;
        }
    }
    choice
}

/// The earlier of two moments, of which either may be absent.
pub(crate) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}
