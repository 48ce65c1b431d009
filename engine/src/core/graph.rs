//! The DAG of a workflow in a compact form: which task waits for which, and the one order that settles every tie.
//!
//! Tasks are numbered by their place in the source. The order is topological with ties by that place, the same that
//! the package's manifest shows. Built once for each version of a workflow and shared by all its runs.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::node::NodeId;

/// A valid DAG. Nothing changes it after it was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Graph {
    parents: Adjacency,
    children: Adjacency,
    order: Box<[NodeId]>,
    rank: Box<[u32]>,
}

/// Why a list of dependencies is not a DAG. The packager reports such mistakes in full before anything gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("task {task} depends on task {dependency}, and there are {n_tasks} tasks")]
    NoSuchTask { task: NodeId, dependency: NodeId, n_tasks: usize },
    #[error("task {task} depends on itself")]
    Cycle { task: NodeId },
    #[error("{n_tasks} tasks are more than a workflow can have")]
    TooLarge { n_tasks: usize },
}

/// Lists of neighbors, one after the other in one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Adjacency {
    starts: Box<[u32]>,
    neighbors: Box<[NodeId]>,
}

impl Graph {
    /// Builds the graph from each task's dependencies, in the order of the source.
    pub(crate) fn new(dependencies: &[Vec<NodeId>]) -> Result<Self, Error> {
        let n_tasks = dependencies.len();
        if i32::try_from(n_tasks).is_err() {
            return Err(Error::TooLarge { n_tasks });
        }
        let mut children = vec![Vec::new(); n_tasks];
        let mut parents = Vec::with_capacity(n_tasks);
        for (task, dependencies) in (0..).map(NodeId::at).zip(dependencies) {
            let mut unique = dependencies.clone();
            unique.sort_unstable();
            unique.dedup();
            for dependency in &unique {
                let of_dependency: &mut Vec<NodeId> = children
                    .get_mut(dependency.place())
                    .ok_or(Error::NoSuchTask { task, dependency: *dependency, n_tasks })?;
                of_dependency.push(task);
            }
            parents.push(unique);
        }
        let order = order(&parents, &children)?;
        let mut rank = vec![0; n_tasks].into_boxed_slice();
        for (place, task) in (0..).zip(&order) {
            rank[task.place()] = place;
        }
        Ok(Self {
            parents: Adjacency::new(&parents),
            children: Adjacency::new(&children),
            order: order.into_boxed_slice(),
            rank,
        })
    }

    pub(crate) fn n_tasks(&self) -> usize {
        self.order.len()
    }

    /// The tasks that this one depends on, by number.
    pub(crate) fn parents(&self, task: NodeId) -> &[NodeId] {
        self.parents.of(task)
    }

    /// The tasks that depend on this one, by number.
    pub(crate) fn children(&self, task: NodeId) -> &[NodeId] {
        self.children.of(task)
    }

    /// All tasks, each after those that it depends on.
    pub(crate) fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// The task's place in the order.
    pub(crate) fn rank(&self, task: NodeId) -> u32 {
        self.rank[task.place()]
    }
}

impl Adjacency {
    fn new(lists: &[Vec<NodeId>]) -> Self {
        let mut starts = Vec::with_capacity(lists.len() + 1);
        let mut neighbors = Vec::with_capacity(lists.iter().map(Vec::len).sum());
        for list in lists {
            starts.push(u32::try_from(neighbors.len()).unwrap_or(u32::MAX));
            neighbors.extend_from_slice(list);
        }
        starts.push(u32::try_from(neighbors.len()).unwrap_or(u32::MAX));
        Self { starts: starts.into(), neighbors: neighbors.into() }
    }

    fn of(&self, task: NodeId) -> &[NodeId] {
        let task = task.place();
        &self.neighbors[self.starts[task] as usize..self.starts[task + 1] as usize]
    }
}

fn order(parents: &[Vec<NodeId>], children: &[Vec<NodeId>]) -> Result<Vec<NodeId>, Error> {
    let mut missing: Vec<usize> = parents.iter().map(Vec::len).collect();
    let roots =
        (0..).map(NodeId::at).zip(&missing).filter(|(_, missing)| **missing == 0).map(|(task, _)| Reverse(task));
    let mut open: BinaryHeap<Reverse<NodeId>> = roots.collect();
    let mut order = Vec::with_capacity(parents.len());
    while let Some(Reverse(task)) = open.pop() {
        order.push(task);
        for child in &children[task.place()] {
            missing[child.place()] -= 1;
            if missing[child.place()] == 0 {
                open.push(Reverse(*child));
            }
        }
    }
    match (0..).map(NodeId::at).zip(&missing).find(|(_, missing)| **missing > 0) {
        Some((task, _)) => Err(Error::Cycle { task }),
        None => Ok(order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_topological_with_ties_by_place() {
        let cases: [(&[&[u32]], &[u32]); 4] = [
            (&[], &[]),
            (&[&[], &[], &[]], &[0, 1, 2]),
            (&[&[2], &[], &[1]], &[1, 2, 0]),
            (&[&[3], &[3], &[0, 1], &[]], &[3, 0, 1, 2]),
        ];
        for (dependencies, expected) in cases {
            let nodes = |list: &&[u32]| list.iter().copied().map(NodeId::new).collect();
            let dependencies: Vec<Vec<NodeId>> = dependencies.iter().map(nodes).collect();
            let graph = Graph::new(&dependencies).unwrap();
            let expected: Vec<NodeId> = expected.iter().copied().map(NodeId::new).collect();
            assert_eq!(graph.order(), expected);
            for task in graph.order() {
                for parent in graph.parents(*task) {
                    assert!(graph.rank(*parent) < graph.rank(*task));
                    assert!(graph.children(*parent).contains(task));
                }
            }
        }
    }

    #[test]
    fn other_graphs_than_dags_are_refused() {
        let node = NodeId::new;
        assert_eq!(Graph::new(&[vec![node(1)], vec![node(0)], vec![]]), Err(Error::Cycle { task: node(0) }));
        assert_eq!(Graph::new(&[vec![node(0)]]), Err(Error::Cycle { task: node(0) }));
        assert_eq!(
            Graph::new(&[vec![node(7)]]),
            Err(Error::NoSuchTask { task: node(0), dependency: node(7), n_tasks: 1 })
        );
    }
}
