//! One step of removing expired runs and logs: looks at the oldest of everything, and removes a bounded number of rows.
//!
//! Steps are repeated until one finds nothing more. Each is a transaction of its own that chooses anew, so it does no
//! harm to stop after any of them, to be killed in the middle, or to have two who take turns.

use std::collections::BTreeMap;

use cloacina_workflow::Timestamp;
use diesel::QueryResult;

use crate::{
    core::effect::{after, before},
    retention::{Class, Finished, Oldest, Retention, What, choose_lines, choose_runs, earlier},
    store::{self, Connection, JobResult},
    view::Pruned,
};

/// Rows in one transaction. They take some milliseconds, which is how long a commit may have to wait for them.
pub(crate) const ROWS_MAX: usize = 500;

/// Runs that are chosen in one transaction; each has some rows.
const RUNS_MAX: usize = 100;

/// What a step did, and what comes next.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) pruned: Pruned,
    pub(crate) next: Next,
    pub(crate) progress: Progress,
}

/// When there is something to do again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Now,
    At(Timestamp),
    /// Not before a run ends or a line is written.
    Never,
    /// Another engine is at it.
    Elsewhere,
}

/// How far a pass has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Finished runs that count against the limit; counted once for each pass.
    pub(crate) n_counted: u64,
    /// Up to where runs have lost their histories or contexts, so that they are not looked at again.
    stripped: BTreeMap<(What, Class), Timestamp>,
}

/// Does one step, if need be after waiting for another engine's. Must be called in a transaction of the writer.
pub(crate) fn step_in_txn(
    connection: &mut Connection,
    policy: &Retention,
    progress: &Progress,
    now: Timestamp,
    waits: bool,
) -> JobResult<Step> {
    let mut step = Step { pruned: Pruned::default(), next: Next::Never, progress: progress.clone() };
    if !store::retention_lock_in_txn(connection, waits)? {
        step.next = Next::Elsewhere;
        return Ok(step);
    }
    let mut next = None;
    for what in What::ALL {
        let oldest = oldest(connection, policy, what, &step.progress)?;
        let looked_at = Oldest { runs: &oldest, n_asked: RUNS_MAX, n_counted: step.progress.n_counted };
        let choice = choose_runs(policy, what, looked_at, now);
        let due = &choice.due[..choice.due.len().min(RUNS_MAX)];
        let n_enlisted = store::removal_enlist_in_txn(connection, what, due, now)? as u64;
        match what {
            What::Run => {
                step.pruned.n_runs += n_enlisted;
                let counts = |id| oldest.iter().any(|run| run.id == id && run.class.counts());
                let n_counted = due.iter().filter(|id| counts(**id)).count() as u64;
                step.progress.n_counted = step.progress.n_counted.saturating_sub(n_counted);
            }
            What::Events => step.pruned.n_events += n_enlisted,
            What::Context => step.pruned.n_contexts += n_enlisted,
        }
        if !choice.due.is_empty() {
            step.next = Next::Now;
        }
        next = earlier(next, choice.next);
        step.progress.note_stripped(policy, what, now, choice.due.is_empty());
    }
    let swept = store::removal_sweep_in_txn(connection, ROWS_MAX)?;
    step.pruned.n_rows += swept.n_rows as u64;
    let oldest = store::log_list_oldest(connection, ROWS_MAX as i64)?;
    let lines = choose_lines(policy, &oldest, store::log_newest(connection)?, now);
    if let Some(up_to) = lines.up_to {
        let n_lines = store::log_delete_in_txn(connection, up_to)? as u64;
        step.pruned.n_lines += n_lines;
        step.pruned.n_rows += n_lines;
    }
    next = earlier(next, lines.next);
    let hosts = hosts(connection, policy, now)?;
    step.pruned.n_rows += hosts.n_rows;
    next = earlier(next, hosts.next);
    if swept.is_more || lines.up_to.is_some() || hosts.n_rows > 0 {
        step.next = Next::Now;
    }
    if step.next != Next::Now {
        step.pruned.n_rows += store::workflow_delete_unused_in_txn(connection)? as u64;
        step.next = next.map_or(Next::Never, Next::At);
    }
    Ok(step)
}

/// Accounts of processes that were removed, and when the next is due.
struct Hosts {
    n_rows: u64,
    next: Option<Timestamp>,
}

/// Removes accounts of processes, which are kept for as long as completed runs.
fn hosts(connection: &mut Connection, policy: &Retention, now: Timestamp) -> QueryResult<Hosts> {
    let Some(age) = policy.completed else { return Ok(Hosts { n_rows: 0, next: None }) };
    let n_rows = store::host_delete_in_txn(connection, before(now, age), ROWS_MAX as i64)? as u64;
    let next = store::host_oldest(connection)?.map(|oldest| after(oldest, age));
    Ok(Hosts { n_rows, next })
}

/// The oldest runs of every class of which that may be due.
fn oldest(
    connection: &mut Connection,
    policy: &Retention,
    what: What,
    progress: &Progress,
) -> JobResult<Vec<Finished>> {
    let mut oldest = Vec::new();
    for class in Class::ALL {
        let is_limited = what == What::Run && class.counts() && policy.runs_max.is_some();
        if policy.age(what, class).is_none() && !is_limited {
            continue;
        }
        let from = progress.stripped.get(&(what, class)).copied().unwrap_or(Timestamp::from_unix_micros(0));
        oldest.extend(store::run_list_oldest(connection, (what, class), from, RUNS_MAX as i64)?);
    }
    Ok(oldest)
}

impl Progress {
    /// Remembers that nothing before is left to be stripped.
    fn note_stripped(&mut self, policy: &Retention, what: What, now: Timestamp, is_done: bool) {
        if what == What::Run || !is_done {
            return;
        }
        for class in Class::ALL {
            if let Some(age) = policy.age(what, class) {
                let until = before(now, age);
                self.stripped.insert((what, class), until);
            }
        }
    }
}

impl Pruned {
    /// Adds what another step removed.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { n_runs, n_events, n_contexts, n_lines, n_rows } = other;
        self.n_runs += n_runs;
        self.n_events += n_events;
        self.n_contexts += n_contexts;
        self.n_lines += n_lines;
        self.n_rows += n_rows;
    }
}
