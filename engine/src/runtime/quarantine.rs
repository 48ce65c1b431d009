//! Packages that must not be used now: nothing of their runs starts until that is over.
//!
//! What is under way goes on, and the runs stay what they are. A package's standing has a history of its own, so
//! nothing about it is written into those of its runs; every start of an engine tells it again.

use std::collections::HashMap;

use cloacina_workflow::Timestamp;

use super::active::RunRecord;
use crate::{
    core::{
        decide::{self, decide},
        stage::Quarantine,
    },
    id::WorkflowId,
};

/// Workflows whose package must not be used now.
#[derive(Debug, Default)]
pub(super) struct Quarantines {
    by_workflow: HashMap<WorkflowId, Quarantine>,
}

impl Quarantines {
    /// Begins the quarantine of these workflows, or ends it if there is none.
    pub(super) fn set(&mut self, workflows: &[WorkflowId], quarantine: Option<&Quarantine>) {
        for workflow in workflows {
            match quarantine {
                Some(quarantine) => drop(self.by_workflow.insert(*workflow, quarantine.clone())),
                None => drop(self.by_workflow.remove(workflow)),
            }
        }
    }

    /// Closes the gate of a run that has just come into memory, if its package must not be used.
    pub(super) fn close_gate(&self, record: &mut RunRecord, now: Timestamp) {
        let Some(quarantine) = self.by_workflow.get(&record.version.id) else { return };
        let closed = decide(&mut record.run, decide::Event::Quarantine(Some(quarantine.clone())), now);
        if let Err(refused) = closed {
            tracing::error!(run.id = %record.id, %refused, "the gate of a package cannot be closed");
        }
    }
}
