//! The driver's part about packages that must not be used now: nothing of their runs starts until that is over.
//!
//! What is under way goes on, and the runs stay what they are. A package's standing has a history of its own, so
//! nothing about it is written into those of its runs; every start of an engine tells it again.

use cloacina_workflow::Timestamp;

use super::{
    active::{ActiveRun, RunRecord},
    driver::Driver,
};
use crate::{
    core::{
        decide::{self, decide},
        stage::Quarantine,
    },
    id::{RunId, WorkflowId},
};

impl Driver {
    /// Closes or opens the gate of all runs of these workflows.
    pub(super) fn quarantine(&mut self, workflows: Vec<WorkflowId>, quarantine: Option<&Quarantine>, now: Timestamp) {
        let is_meant = |active: &&ActiveRun| workflows.contains(&active.record.version.id);
        let runs: Vec<RunId> = self.runs.values().filter(is_meant).map(|active| active.record.id).collect();
        for workflow in workflows {
            match quarantine {
                Some(quarantine) => drop(self.quarantines.insert(workflow, quarantine.clone())),
                None => drop(self.quarantines.remove(&workflow)),
            }
        }
        for run in runs {
            let Some(active) = self.runs.get_mut(&run) else { continue };
            match decide(&mut active.record.run, decide::Event::Quarantine(quarantine.cloned()), now) {
                Ok(decision) => self.enact(run, decision, now, None),
                Err(refused) => tracing::error!(run.id = %run, %refused, "the gate of a package cannot be moved"),
            }
        }
    }

    /// Closes the gate of a run that has just come into memory, if its package must not be used.
    pub(super) fn close_gate(&self, record: &mut RunRecord, now: Timestamp) {
        let Some(quarantine) = self.quarantines.get(&record.version.id) else { return };
        let closed = decide(&mut record.run, decide::Event::Quarantine(Some(quarantine.clone())), now);
        if let Err(refused) = closed {
            tracing::error!(run.id = %record.id, %refused, "the gate of a package cannot be closed");
        }
    }
}
