//! What the core must know of one version of a workflow: its graph and what was declared for each task.
//!
//! Built once for each version, never changed, and shared by all its runs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    graph::Graph,
    node::{NodeId, TaskIndex},
    retry::Policy,
    rule::{Rule, When},
};

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
    pub(crate) when: When,
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
    pub(crate) fn task(&self, task: NodeId) -> &Task {
        &self.tasks[task.place()]
    }

    /// What was declared for a task of a run.
    pub(crate) fn declared(&self, task: TaskIndex) -> &Task {
        self.task(task.node())
    }

    /// All nodes with what was declared for them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Task)> {
        (0..).map(NodeId::at).zip(&self.tasks)
    }

    pub(crate) fn n_tasks(&self) -> usize {
        self.tasks.len()
    }

    /// For each task, those further down than its children with rules that name it. Only where a task may run before
    /// its dependencies have ended: elsewhere all tasks that a rule names have ended when it is evaluated.
    pub(super) fn onlookers(&self) -> HashMap<NodeId, Vec<NodeId>> {
        let mut onlookers: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        if self.tasks.iter().all(|task| task.when == When::Terminal) {
            return onlookers;
        }
        for (number, task) in self.nodes() {
            let Rule::When(condition) = &task.rule else { continue };
            let (mut tasks, mut keys) = (Vec::new(), Vec::new());
            condition.inputs(&mut tasks, &mut keys);
            tasks.retain(|seen| self.graph.parents(number).binary_search(seen).is_err());
            tasks.sort_unstable();
            tasks.dedup();
            for seen in tasks {
                onlookers.entry(seen).or_default().push(number);
            }
        }
        onlookers
    }
}

impl Task {
    /// A task of which only its id was declared.
    pub(crate) fn new(id: impl Into<Arc<str>>, function: Function) -> Self {
        Self {
            id: id.into(),
            function,
            rule: Rule::default(),
            when: When::default(),
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

/// The plan of a test: for each task the tasks that it depends on, and what is declared for it.
#[cfg(test)]
pub(super) fn of_tests<'a, D>(dependencies: impl Iterator<Item = D>, tasks: impl Iterator<Item = Task>) -> Arc<Plan>
where
    D: IntoIterator<Item = &'a u32>,
{
    let nodes = |dependencies: D| dependencies.into_iter().copied().map(NodeId::new).collect();
    let dependencies: Vec<Vec<NodeId>> = dependencies.map(nodes).collect();
    let graph = Graph::new(&dependencies).unwrap();
    Arc::new(Plan { graph, tasks: tasks.collect(), timeout: None, pipelined: false })
}
