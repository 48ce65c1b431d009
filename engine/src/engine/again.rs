//! Which version of its workflow a run is run again with, and what of the run fits that version.
//!
//! Without a word it is the version that the run is pinned to. With another, a task's result is taken over only if the
//! task is there and depends on the same tasks; what the other version adds runs.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    control::{Keep, with_descendants},
    handle::Shared,
};
use crate::{
    Error,
    core::{
        apply::Run,
        node::{NodeId, TaskIndex},
        plan::Plan,
        task,
    },
    id::RunId,
    registry,
    runtime::{Version, Workflow, reused_row, stored_version},
    store::{EventRow, RunRow, WorkflowRow},
};

impl Shared {
    /// The code with which a run is run again: that of its own version, or of the named one.
    pub(super) async fn code_for(
        &self,
        run: &RunRow,
        row: &WorkflowRow,
        version: Option<&str>,
    ) -> Result<(Workflow, Version), Error> {
        let pinned = stored_version(row)?;
        let find = || match version {
            Some(version) => {
                let id = self.registry().workflow_of(&row.key, version)?;
                Ok::<_, Error>(self.catalog.version(id))
            }
            None => Ok(self.catalog.version(run.workflow).or_else(|| {
                let active = self.catalog.resolve(&row.key.full_name()).ok();
                active.filter(|active| active.version.continues(&pinned))
            })),
        };
        let found = match find() {
            Ok(Some(workflow)) => Some(workflow),
            // Another engine may have registered it since.
            Ok(None) | Err(_) => {
                self.registry().refresh().await?;
                find()?
            }
        };
        match (self.registry().refusal_of(found.as_ref().map_or(&row.key, |found| &found.version.key)), found) {
            (Some(refusal), _) => Err(refusal.into()),
            (None, Some(workflow)) => Ok((workflow, pinned)),
            (None, None) => Err(Error::CodeMissing { id: run.id }),
        }
    }
}

/// A run that is to be run again.
pub(super) struct Old<'a> {
    pub(super) id: RunId,
    pub(super) version: &'a Version,
    /// What became of it.
    pub(super) run: &'a Run,
    pub(super) rows: &'a [EventRow],
}

impl Old<'_> {
    /// The rows of what is not run again, with the tasks' numbers in the new version; none if nothing is to be done.
    pub(super) fn reused(&self, keep: &Keep<'_>, new: &Version) -> Result<Option<Vec<EventRow>>, Error> {
        let (old_plan, new_plan) = (&self.version.plan, &new.plan);
        let (new_nodes, old_nodes) = (nodes(new_plan), nodes(old_plan));
        let begin: Vec<NodeId> = match keep {
            Keep::Nothing => return Ok(Some(Vec::new())),
            Keep::Before(task) => {
                let unknown = || Error::UnknownTask { id: self.id, task: (*task).to_owned() };
                vec![*new_nodes.get(task).ok_or_else(unknown)?]
            }
            Keep::Completed => {
                let done = |state| matches!(state, task::State::Completed | task::State::Skipped);
                let tasks = self.run.numbered();
                let failed = tasks.filter(|(_, task)| !done(task.state())).map(|(number, _)| number.node());
                let failed: Vec<NodeId> = failed.collect();
                if failed.is_empty() {
                    return Ok(None);
                }
                failed.iter().filter_map(|old| new_nodes.get(&*old_plan.task(*old).id).copied()).collect()
            }
        };
        let added = new_nodes.iter().filter(|(id, _)| !old_nodes.contains_key(*id)).map(|(_, node)| *node);
        let again = with_descendants(&new_plan.graph, begin.into_iter().chain(added).collect());
        let mut reused = Vec::new();
        for row in self.rows {
            let old = row.task.and_then(|task| u32::try_from(task).ok()).map(|task| TaskIndex::new(task).node());
            let Some((old, id)) = old.map(|old| (old, &*old_plan.task(old).id)) else { continue };
            let Some(node) = new_nodes.get(id).filter(|node| !again.contains(node)) else { continue };
            let Some(mut kept) = reused_row(row) else { continue };
            if parents(old_plan, old) != parents(new_plan, *node) {
                return Err(registry::Error::DoesNotFit { workflow: new.key.full_name(), task: id.to_owned() }.into());
            }
            kept.task = i32::try_from(node.task().number()).ok();
            reused.push(kept);
        }
        Ok(Some(reused))
    }
}

fn nodes(plan: &Plan) -> BTreeMap<&str, NodeId> {
    plan.nodes().map(|(node, task)| (&*task.id, node)).collect()
}

fn parents(plan: &Plan, node: NodeId) -> BTreeSet<&str> {
    plan.graph.parents(node).iter().map(|parent| &*plan.task(*parent).id).collect()
}
