//! What the core must know of one version of a workflow: its graph and what was declared for each task.

use std::sync::Arc;

use super::{graph::Graph, rule::Rule};

/// One version of a workflow, shared by all its runs.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) graph: Graph,
    /// By number; as many as the graph has.
    pub(crate) tasks: Box<[Task]>,
}

/// What was declared for one task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: Arc<str>,
    /// What the package or the program calls the function by.
    pub(crate) function: u32,
    /// Whether it must be started where blocking is allowed.
    pub(crate) blocking: bool,
    pub(crate) rule: Rule,
    /// Higher first.
    pub(crate) priority: i32,
    /// Its failure leaves the run partially completed.
    pub(crate) optional: bool,
    /// Its start is durable before it happens, and it is never started twice.
    pub(crate) at_most_once: bool,
}

impl Plan {
    pub(crate) fn task(&self, task: u32) -> &Task {
        &self.tasks[task as usize]
    }

    pub(crate) fn n_tasks(&self) -> usize {
        self.tasks.len()
    }
}
