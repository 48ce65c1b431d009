//! What the core must know of one version of a workflow: its graph and what was declared for each task.

use std::{sync::Arc, time::Duration};

use super::{graph::Graph, retry::Policy, rule::Rule};

/// One version of a workflow, shared by all its runs.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) graph: Graph,
    /// By number; as many as the graph has.
    pub(crate) tasks: Box<[Task]>,
    /// How long a whole run may take from its start.
    pub(crate) timeout: Option<Duration>,
    /// Dependents need not wait until what they depend on is durable.
    pub(crate) pipelined: bool,
}

/// What was declared for one task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: Arc<str>,
    pub(crate) function: Function,
    pub(crate) rule: Rule,
    pub(crate) retry: Policy,
    /// How long one attempt may take.
    pub(crate) timeout: Option<Duration>,
    pub(crate) on_success: Option<Function>,
    pub(crate) on_failure: Option<Function>,
    /// Higher first.
    pub(crate) priority: i32,
    /// Its failure leaves the run partially completed.
    pub(crate) optional: bool,
    /// Its start is durable before it happens, and it is never started twice.
    pub(crate) at_most_once: bool,
}

/// A function of the package or the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Function {
    /// What it is called by.
    pub(crate) index: u32,
    /// Whether it must be started where blocking is allowed.
    pub(crate) blocking: bool,
}

impl Plan {
    pub(crate) fn task(&self, task: u32) -> &Task {
        &self.tasks[task as usize]
    }

    pub(crate) fn n_tasks(&self) -> usize {
        self.tasks.len()
    }
}

impl Task {
    /// A task of which only its id was declared.
    pub(crate) fn new(id: impl Into<Arc<str>>, function: Function) -> Self {
        Self {
            id: id.into(),
            function,
            rule: Rule::default(),
            retry: Policy::default(),
            timeout: None,
            on_success: None,
            on_failure: None,
            priority: 0,
            optional: false,
            at_most_once: false,
        }
    }

    pub(crate) fn has_callbacks(&self) -> bool {
        self.on_success.is_some() || self.on_failure.is_some()
    }
}
