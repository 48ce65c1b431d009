//! Two numbers that are easily taken for one another: a task of a workflow, and a task of a run.
//!
//! A workflow has nodes, which were declared; a run has tasks, which have states. The stored column holds the second. A run
//! has one task for each node of its workflow, with the same number, and [`TaskIndex::node`] and [`NodeId::task`] are the
//! two places that rely on it: nothing else may turn one into the other.

use std::fmt;

/// A task of a workflow, by its place in the source. Graphs, plans, rules and contexts speak of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// A task of a run, as the history counts it. Events, transitions, effects and attempts speak of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskIndex(u32);

impl NodeId {
    #[cfg(test)]
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The node at that place of a list of all nodes.
    pub(crate) fn at(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// Its place in a list of all nodes.
    pub(crate) fn place(self) -> usize {
        self.0 as usize
    }

    /// The task of a run that carries out the node.
    pub(crate) fn task(self) -> TaskIndex {
        TaskIndex(self.0)
    }
}

impl TaskIndex {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The task at that place of a list of all tasks.
    pub(crate) fn at(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// Its place in a list of all tasks.
    pub(crate) fn place(self) -> usize {
        self.0 as usize
    }

    /// The number that is stored.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// The node of the workflow that the task carries out.
    pub(crate) fn node(self) -> NodeId {
        NodeId(self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for TaskIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
