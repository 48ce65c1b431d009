//! What lists tell of workflows, read once.
//!
//! The row of a workflow is written once and never changes, and no id is used again. What is kept of it is a few words
//! and a number: its description, which may be long, is read when the workflow is first listed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use cloacina_packager::Digest;

use crate::{
    id::WorkflowId,
    runtime::stored_workflow,
    store::{self, Connection, Error, JobResult},
};

/// Workflows that are kept at most, with about 200 bytes each. Of more, those that are listed now are read again.
const KEPT_MAX: usize = 10_000;

/// What a list tells of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Brief {
    /// The full name.
    pub(super) name: String,
    pub(super) tenant: String,
    pub(super) digest: Option<Digest>,
    pub(super) n_tasks: usize,
}

/// The workflows that were listed before; a handle to one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Briefs {
    kept: Arc<Mutex<HashMap<WorkflowId, Arc<Brief>>>>,
}

impl Briefs {
    /// Those of the workflows that are there.
    pub(super) fn of(
        &self,
        connection: &mut Connection,
        ids: &BTreeSet<WorkflowId>,
    ) -> JobResult<HashMap<WorkflowId, Arc<Brief>>> {
        let mut found: HashMap<WorkflowId, Arc<Brief>> = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            ids.iter().filter_map(|id| Some((*id, Arc::clone(kept.get(id)?)))).collect()
        };
        let unknown: Vec<Vec<u8>> =
            ids.iter().filter(|id| !found.contains_key(id)).map(|id| id.as_bytes().to_vec()).collect();
        if unknown.is_empty() {
            return Ok(found);
        }
        let rows = store::workflow_list_some(connection, unknown)?;
        let read =
            rows.iter().map(|row| Ok((row.id, Arc::new(Brief::new(row)?)))).collect::<Result<Vec<_>, Error>>()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + read.len() > KEPT_MAX {
            kept.clear();
        }
        kept.extend(read.iter().cloned());
        found.extend(read);
        Ok(found)
    }
}

impl Brief {
    fn new(row: &store::WorkflowRow) -> Result<Self, Error> {
        Ok(Self {
            name: row.key.full_name(),
            tenant: row.key.tenant.clone(),
            digest: row.key.content_digest(),
            n_tasks: stored_workflow(row)?.tasks.len(),
        })
    }
}
