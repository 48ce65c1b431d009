//! Removing runs: those that somebody names, and those that need not be kept.
//!
//! An engine removes by itself what its [`Retention`] says. What is here is for people who want it now, or who want to
//! know before. Everything goes in small steps, so that a living engine is not held up, and can be asked for again.

use std::collections::HashMap;

use cloacina_workflow::Timestamp;

use super::{
    handle::{Engine, Shared, alive},
    records::Records,
    run_handle::RunHandle,
};
use crate::{
    Error,
    api::{Caller, Role},
    core::effect::before,
    error::Request,
    id::{RunId, WorkflowId},
    retention::{Class, Retention, What},
    runtime::{Next, Progress, ROWS_MAX, step_in_txn},
    store::{self, Connection, JobResult},
    view::{PruneCount, PrunePlan, Pruned},
};

/// Runs that are taken off the lists in one transaction.
const RUNS_MAX: usize = 100;

impl Engine {
    /// Removes now what need not be kept by that rule, of every tenant; `told` hears of the sum after each step.
    ///
    /// # Errors
    /// [`Error::Denied`] unless the caller acts for every tenant. What the store says; what was removed before stays removed.
    pub async fn prune(&self, policy: &Retention, mut told: impl FnMut(Pruned)) -> Result<Pruned, Error> {
        self.caller.check_owner()?;
        let (now, store) = (self.shared.clock.now(), self.shared.store());
        let n_counted = store.read("counting runs", store::run_count_finished).await?;
        let (mut progress, mut sum) = (Progress::default(), Pruned::default());
        progress.n_counted = n_counted;
        loop {
            let (policy, before) = (policy.clone(), progress);
            let step = move |connection: &mut Connection| step_in_txn(connection, &policy, &before, now, true);
            let step = store.write("removing expired runs and logs", step).await?;
            sum.add(step.pruned);
            told(sum);
            if step.next != Next::Now {
                return Ok(sum);
            }
            progress = step.progress;
        }
    }

    /// Deletes runs that have ended, with their histories and logs; `told` hears how many rows are gone so far.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or [`Error::Illegal`] for a run that has not ended; then none is deleted.
    pub async fn delete(&self, runs: &[RunId], told: impl FnMut(u64)) -> Result<(), Error> {
        delete(&self.shared, &self.caller, runs, told).await
    }
}

impl RunHandle {
    /// Deletes the run with its history and its logs.
    ///
    /// # Errors
    /// [`Error::Illegal`] if it has not ended.
    pub async fn delete(&self) -> Result<(), Error> {
        let shared = alive(&self.shared)?;
        delete(&shared, &self.caller, &[self.id()], |_| {}).await
    }
}

async fn delete(shared: &Shared, caller: &Caller, runs: &[RunId], mut told: impl FnMut(u64)) -> Result<(), Error> {
    caller.check(Role::Operator)?;
    let (store, now) = (shared.store(), shared.clock.now());
    for runs in runs.chunks(RUNS_MAX) {
        let (runs, scope) = (runs.to_vec(), caller.scope().clone());
        let found = store.read("looking for runs", move |connection| {
            let rows = runs.iter().map(|id| Ok((*id, store::run_find(connection, &scope, *id)?)));
            rows.collect::<JobResult<Vec<_>>>()
        });
        for (id, row) in found.await? {
            let state = row.ok_or(Error::UnknownRun { id })?.0.state;
            if !state.is_terminal() {
                return Err(Error::Illegal { id, request: Request::Delete, state, is_ending: false });
            }
        }
    }
    for runs in runs.chunks(RUNS_MAX) {
        let runs = runs.to_vec();
        let enlist = move |connection: &mut Connection| store::removal_enlist_in_txn(connection, What::Run, &runs, now);
        store.write("deleting runs", enlist).await?;
    }
    let mut n_rows = 0;
    loop {
        let sweep = |connection: &mut Connection| store::removal_sweep_in_txn(connection, ROWS_MAX);
        let swept = store.write("deleting runs", sweep).await?;
        n_rows += swept.n_rows as u64;
        told(n_rows);
        if !swept.is_more {
            return Ok(());
        }
    }
}

impl Records {
    /// What an engine with that rule would remove at that moment, of every tenant.
    ///
    /// # Errors
    /// [`Error::Denied`] unless the caller acts for every tenant. What the store says.
    pub fn prune_plan(&mut self, policy: &Retention, now: Timestamp) -> Result<PrunePlan, Error> {
        self.caller.check_owner()?;
        let workflows = self.read("listing workflows", store::workflow_list)?;
        let names: HashMap<WorkflowId, String> = workflows.iter().map(|row| (row.id, row.key.full_name())).collect();
        let mut plan = PrunePlan::default();
        let mut n_counted_due = 0;
        for what in What::ALL {
            for class in Class::ALL {
                let Some(age) = policy.age(what, class) else { continue };
                let until = before(now, age);
                let due =
                    self.read("counting runs", |connection| store::run_count_due(connection, (what, class), until))?;
                for (workflow, n_runs) in due {
                    let n_runs = u64::try_from(n_runs).unwrap_or(0);
                    n_counted_due += if what == What::Run && class.counts() { n_runs } else { 0 };
                    let workflow = names.get(&workflow).cloned().unwrap_or_default();
                    let state = if class.counts() { class.state().as_str() } else { "dead letter" };
                    plan.due.push(PruneCount { what: what.as_str(), state, workflow, n_runs });
                }
            }
        }
        if let Some(limit) = policy.runs_max {
            let n_counted = self.read("counting runs", store::run_count_finished)?;
            plan.n_excess = n_counted.saturating_sub(n_counted_due).saturating_sub(limit);
        }
        let newest = self.read("counting lines", store::log_newest)?;
        let limit = policy.logs_max.and_then(|limit| i64::try_from(limit).ok());
        let up_to = limit.map_or(0, |limit| newest.saturating_sub(limit));
        let oldest = policy.logs.map(|age| before(now, age));
        let n_lines = self.read("counting lines", |connection| store::log_count_due(connection, up_to, oldest))?;
        plan.n_lines = u64::try_from(n_lines).unwrap_or(0);
        Ok(plan)
    }
}
