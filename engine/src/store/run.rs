//! The table of runs: listing them, and taking over those of engines that have ended.
//!
//! A run belongs to the epoch that stands in its row. Only taking over changes that, and only once that epoch has ended.
//! States are changed by commits alone.

use std::collections::{BTreeSet, HashSet};

use cloacina_workflow::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{
    Connection, Error, JobResult, owner,
    row::{micros, run_id, state, timestamp, workflow_id},
    schema::{run, workflow},
    workflow::{self as workflows, WorkflowRow, workflow_list_some},
};
use crate::{
    core::run::State,
    id::{RunId, Scope, WorkflowId},
};

/// One run without its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunRow {
    pub(crate) id: RunId,
    pub(crate) workflow: WorkflowId,
    pub(crate) state: State,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    /// Since when what the run and its tasks wrote is gone.
    pub(crate) context_pruned_at: Option<Timestamp>,
    /// Since when its history is gone.
    pub(crate) events_pruned_at: Option<Timestamp>,
    /// The actor that asked for it.
    pub(crate) created_by: Option<String>,
    /// Who took it off the list of failed runs.
    pub(crate) dismissed_by: Option<String>,
}

/// A run that was taken over.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) row: RunRow,
    /// Whether its engine left no attempt without an end. If not, some may have been running.
    pub(crate) closed_in_order: bool,
}

/// What taking over brought.
#[derive(Debug, Default)]
pub(crate) struct TakenOver {
    /// Oldest first.
    pub(crate) runs: Vec<Orphan>,
    /// What those runs are pinned to.
    pub(crate) workflows: Vec<WorkflowRow>,
    /// The epochs that had ended.
    pub(crate) ended: Vec<i64>,
}

impl TakenOver {
    /// The same with those.
    pub(crate) fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.workflows.extend(other.workflows);
    }
}

pub(super) type Columns =
    (Vec<u8>, Vec<u8>, String, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<String>, Option<String>);

type Selected = (
    run::id,
    run::workflow,
    run::state,
    run::created_at,
    run::started_at,
    run::finished_at,
    run::context_pruned_at,
    run::events_pruned_at,
    run::created_by,
    run::dismissed_by,
);

pub(super) const COLUMNS: Selected = (
    run::id,
    run::workflow,
    run::state,
    run::created_at,
    run::started_at,
    run::finished_at,
    run::context_pruned_at,
    run::events_pruned_at,
    run::created_by,
    run::dismissed_by,
);

pub(crate) fn run_get(connection: &mut Connection, id: RunId) -> JobResult<Option<RunRow>> {
    let row: Option<Columns> =
        run::table.filter(run::id.eq(id.as_bytes().as_slice())).select(COLUMNS).get_result(connection).optional()?;
    Ok(row.map(from_columns).transpose()?)
}

/// The run with its workflow, if its tenant is in that scope. A run of another tenant is unknown, and takes the same one
/// statement, so that time does not tell that it exists.
pub(crate) fn run_find(
    connection: &mut Connection,
    scope: &Scope,
    id: RunId,
) -> JobResult<Option<(RunRow, WorkflowRow)>> {
    let with_workflow = run::table.inner_join(workflow::table).select((COLUMNS, workflow::all_columns));
    let found = with_workflow.filter(run::id.eq(id.as_bytes().as_slice()));
    let row: Option<(Columns, workflows::Columns)> = match scope {
        Scope::Tenant(tenant) => found.filter(workflow::tenant.eq(&**tenant)).get_result(connection),
        Scope::Every => found.get_result(connection),
    }
    .optional()?;
    let Some((run, workflow)) = row else { return Ok(None) };
    Ok(Some((from_columns(run)?, workflows::from_columns(workflow)?)))
}

/// Makes that epoch the owner of the unfinished runs of engines that have ended and whose workflow is wanted. Must be
/// called in a transaction of the writer.
///
/// Of several engines that try, one gets each run: the rows of the owners that have ended are locked meanwhile. Runs of
/// other workflows stay as they are, for an engine that has their code.
pub(crate) fn run_take_over(
    connection: &mut Connection,
    epoch: i64,
    is_wanted: &mut dyn FnMut(&WorkflowRow) -> bool,
) -> JobResult<TakenOver> {
    let ended = owner::owner_end_in_txn(connection, epoch)?;
    let epochs: Vec<i64> = ended.iter().map(|owner| owner.epoch).collect();
    if epochs.is_empty() {
        return Ok(TakenOver::default());
    }
    let orphaned = || run::table.filter(run::finished_at.is_null()).filter(run::owner_epoch.eq_any(epochs.clone()));
    let rows: Vec<(i64, Columns)> = orphaned().order(run::id).select((run::owner_epoch, COLUMNS)).load(connection)?;
    // What is not understood here stays where it is, for others: whatever is taken must be driven.
    let (mut runs, mut damaged) = (Vec::new(), Vec::new());
    for (epoch, columns) in rows {
        let id = columns.0.clone();
        match readable(columns) {
            Some(row) => runs.push((epoch, row)),
            None => damaged.push(id),
        }
    }
    let ids: BTreeSet<Vec<u8>> = runs.iter().map(|(_, row)| row.workflow.as_bytes().to_vec()).collect();
    let workflows: Vec<WorkflowRow> = workflow_list_some(connection, ids)?.into_iter().filter(is_wanted).collect();
    let wanted: HashSet<WorkflowId> = workflows.iter().map(|row| row.id).collect();
    let names: Vec<Vec<u8>> = wanted.iter().map(|id| id.as_bytes().to_vec()).collect();
    let taken = orphaned().filter(run::workflow.eq_any(names)).filter(run::id.ne_all(damaged));
    diesel::update(taken).set(run::owner_epoch.eq(epoch)).execute(connection)?;
    owner::owner_remove_idle(connection, &epochs)?;
    let in_order = |epoch| ended.iter().any(|owner| owner.epoch == epoch && owner.closed_in_order);
    let taken = runs.into_iter().filter(|(_, row)| wanted.contains(&row.workflow));
    let runs = taken.map(|(epoch, row)| Orphan { row, closed_in_order: in_order(epoch) }).collect();
    Ok(TakenOver { runs, workflows, ended: epochs })
}

/// Makes that epoch the owner of one unfinished run of engines that have ended; of none otherwise. Must be called in a
/// transaction of the writer.
pub(crate) fn run_claim(connection: &mut Connection, epoch: i64, id: RunId) -> JobResult<TakenOver> {
    let ended = owner::owner_end_in_txn(connection, epoch)?;
    let one = || run::table.filter(run::id.eq(id.as_bytes().to_vec())).filter(run::finished_at.is_null());
    let row: Option<(i64, Columns)> = one().select((run::owner_epoch, COLUMNS)).get_result(connection).optional()?;
    let Some((before, columns)) = row else { return Ok(TakenOver::default()) };
    let Some(owner) = ended.iter().find(|owner| owner.epoch == before) else { return Ok(TakenOver::default()) };
    let row = from_columns(columns)?;
    let workflow = workflows::workflow_get(connection, row.workflow)?;
    diesel::update(one()).set(run::owner_epoch.eq(epoch)).execute(connection)?;
    owner::owner_remove_idle(connection, &[before])?;
    let runs = vec![Orphan { row, closed_in_order: owner.closed_in_order }];
    Ok(TakenOver { runs, workflows: vec![workflow], ended: Vec::new() })
}

/// The run, unless its row makes no sense.
fn readable(columns: Columns) -> Option<RunRow> {
    let read = from_columns(columns);
    read.inspect_err(|error| tracing::error!(%error, "a run cannot be taken over, as its row is damaged")).ok()
}

/// The unfinished runs of that epoch, as if they had been taken over. Nobody knows what may have been running.
pub(crate) fn run_list_own(connection: &mut Connection, epoch: i64) -> JobResult<TakenOver> {
    let own = run::table.filter(run::finished_at.is_null()).filter(run::owner_epoch.eq(epoch));
    let rows: Vec<Columns> = own.order(run::id).select(COLUMNS).load(connection)?;
    let ids: BTreeSet<Vec<u8>> = rows.iter().map(|columns| columns.1.clone()).collect();
    let workflows = workflow_list_some(connection, ids)?;
    let runs = rows.into_iter().filter_map(readable).map(|row| Orphan { row, closed_in_order: false });
    Ok(TakenOver { runs: runs.collect(), workflows, ended: Vec::new() })
}

/// The run that was submitted with that key.
pub(crate) fn run_by_key(connection: &mut Connection, key: &str) -> JobResult<Option<RunId>> {
    let id: Option<Vec<u8>> =
        run::table.filter(run::submission_key.eq(key)).select(run::id).get_result(connection).optional()?;
    Ok(id.map(|id| run_id(&id)).transpose()?)
}

/// Notes that somebody has seen that the run failed. Must be called in a transaction of the writer.
pub(crate) fn run_dismiss_in_txn(connection: &mut Connection, id: RunId, by: &str, now: Timestamp) -> QueryResult<()> {
    diesel::update(run::table.filter(run::id.eq(id.as_bytes().as_slice())))
        .set((run::dismissed_at.eq(micros(now)), run::dismissed_by.eq(by)))
        .execute(connection)?;
    Ok(())
}

pub(super) fn from_columns(columns: Columns) -> Result<RunRow, Error> {
    let (id, workflow, state_name, created_at, started_at, finished_at, context, events, created_by, dismissed_by) =
        columns;
    Ok(RunRow {
        id: run_id(&id)?,
        workflow: workflow_id(&workflow)?,
        state: state(&state_name)?,
        created_at: timestamp(created_at),
        started_at: started_at.map(timestamp),
        finished_at: finished_at.map(timestamp),
        context_pruned_at: context.map(timestamp),
        events_pruned_at: events.map(timestamp),
        created_by,
        dismissed_by,
    })
}
