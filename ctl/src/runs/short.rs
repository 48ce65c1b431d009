//! Ids of runs for people: the beginning that is enough to name a run in its database.
//!
//! Looked up for the tables of people alone; programs get whole ids.

use std::collections::HashMap;

use cloacina::{RunId, RunSummary};

use crate::error::Error;
use crate::place::Source;

/// The short ids of some runs.
#[derive(Debug, Default)]
pub(super) struct ShortIds(HashMap<RunId, String>);

impl ShortIds {
    /// Looks up the short ids of these runs.
    pub(super) fn of(source: &mut Source, runs: &[RunSummary]) -> Result<Self, Error> {
        let ids: Vec<RunId> = runs.iter().map(|run| run.status.id).collect();
        Ok(Self(source.short_ids(&ids)?))
    }

    /// The short id of a run, or its whole id if it was not looked up.
    pub(super) fn get(&self, id: RunId) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}
