//! The DAG of a workflow: built once, valid or refused with every mistake.
//!
//! Nodes are tasks by their place in the source, edges lead from a dependency to its dependent. A `Graph` that
//! exists has unique ids, known dependencies and no cycle; nothing changes it afterwards.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use cloacina_workflow::descriptor::Workflow;
use petgraph::Direction;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::mistake::{Mistake, MistakeKind, SUGGESTED_MAX, similar};

/// A validated DAG of tasks. Tasks are numbered by their place in the source.
#[derive(Debug, Clone)]
pub struct Graph {
    name: String,
    graph: DiGraph<String, ()>,
    order: Vec<usize>,
    levels: Vec<usize>,
}

impl Graph {
    /// Builds the graph of a workflow.
    ///
    /// # Errors
    /// Duplicate ids, unknown, repeated and self dependencies, and one cycle for each group of tasks that wait for
    /// each other: all of them at once.
    pub fn new(workflow: &Workflow) -> Result<Graph, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut n_suggested = 0;
        let mut mistake = |task: Option<&str>, kind| {
            let task = task.map(str::to_owned);
            mistakes.push(Mistake { workflow: Some(workflow.name.clone()), task, line: None, kind });
        };
        let mut graph = DiGraph::new();
        let mut nodes: BTreeMap<&str, NodeIndex> = BTreeMap::new();
        for task in &workflow.tasks {
            let node = graph.add_node(task.id.clone());
            if nodes.insert(&task.id, node).is_some() {
                mistake(None, MistakeKind::DuplicateTask { id: task.id.clone() });
            }
        }
        for (place, task) in workflow.tasks.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for dependency in &task.dependencies {
                let id = Some(task.id.as_str());
                if !seen.insert(dependency) {
                    mistake(id, MistakeKind::DuplicateDependency { dependency: dependency.clone() });
                } else if *dependency == task.id {
                    mistake(id, MistakeKind::SelfDependency);
                } else if let Some(parent) = nodes.get(dependency.as_str()) {
                    graph.add_edge(*parent, NodeIndex::new(place), ());
                } else {
                    n_suggested += 1;
                    let others = nodes.keys().copied().filter(|name| *name != task.id && n_suggested <= SUGGESTED_MAX);
                    let similar = similar(dependency, others);
                    mistake(id, MistakeKind::UnknownDependency { dependency: dependency.clone(), similar });
                }
            }
        }
        for path in cycles(&graph) {
            mistake(None, MistakeKind::Cycle { path });
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let order = order(&graph);
        let levels = levels(&graph, &order);
        Ok(Graph { name: workflow.name.clone(), graph, order, levels })
    }

    /// The workflow's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of tasks.
    pub fn n_tasks(&self) -> usize {
        self.graph.node_count()
    }

    /// The id of a task.
    pub fn id(&self, task: usize) -> &str {
        &self.graph[NodeIndex::new(task)]
    }

    /// The task of that id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.graph.node_indices().find(|node| self.graph[*node] == id).map(NodeIndex::index)
    }

    /// The one order of execution: dependencies first, ties by place in the source.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The tasks that this one depends on, by place in the source.
    pub fn parents(&self, task: usize) -> Vec<usize> {
        self.neighbors(task, Direction::Incoming)
    }

    /// The tasks that depend on this one, by place in the source.
    pub fn children(&self, task: usize) -> Vec<usize> {
        self.neighbors(task, Direction::Outgoing)
    }

    /// All tasks that this one depends on, directly or through others.
    pub fn ancestors(&self, task: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = self.parents(task);
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.parents(next));
            }
        }
        found
    }

    /// For every task at once, which of the wanted tasks are among its ancestors. Costs with the number of the wanted, and
    /// not with the square of the number of tasks.
    pub(crate) fn ancestors_among(&self, wanted: &BTreeSet<usize>) -> Ancestors {
        let columns: BTreeMap<usize, usize> = wanted.iter().copied().zip(0..).collect();
        let mut sets = vec![vec![0u64; columns.len().div_ceil(BITS)]; self.n_tasks()];
        for &task in &self.order {
            let mut own = std::mem::take(&mut sets[task]);
            for parent in self.parents(task) {
                if let Some(column) = columns.get(&parent) {
                    own[column / BITS] |= 1 << (column % BITS);
                }
                for (word, inherited) in own.iter_mut().zip(&sets[parent]) {
                    *word |= inherited;
                }
            }
            sets[task] = own;
        }
        Ancestors { columns, sets }
    }

    /// The number of tasks on the longest way from a root to this task; roots are at level 0.
    pub fn level(&self, task: usize) -> usize {
        self.levels[task]
    }

    /// The tasks of each level, by place in the source.
    pub fn levels(&self) -> Vec<Vec<usize>> {
        let mut levels = Vec::new();
        for (task, &level) in self.levels.iter().enumerate() {
            if levels.len() <= level {
                levels.resize(level + 1, Vec::new());
            }
            levels[level].push(task);
        }
        levels
    }

    fn neighbors(&self, task: usize, direction: Direction) -> Vec<usize> {
        let neighbors = self.graph.neighbors_directed(NodeIndex::new(task), direction);
        let mut tasks: Vec<_> = neighbors.map(NodeIndex::index).collect();
        tasks.sort_unstable();
        tasks
    }
}

const BITS: usize = u64::BITS as usize;

/// For each task, one bit for each wanted task that is upstream of it.
#[derive(Debug)]
pub(crate) struct Ancestors {
    columns: BTreeMap<usize, usize>,
    sets: Vec<Vec<u64>>,
}

impl Ancestors {
    pub(crate) fn contains(&self, task: usize, ancestor: usize) -> bool {
        let column = self.columns.get(&ancestor);
        column.is_some_and(|column| self.sets[task][column / BITS] >> (column % BITS) & 1 == 1)
    }
}

/// One shortest cycle through the first task of each group that waits for itself, as a closed path of ids.
///
/// The path follows the waiting: each task depends on the next one. Nothing here recurses: a chain may be long.
fn cycles(graph: &DiGraph<String, ()>) -> Vec<Vec<String>> {
    let mut cycles = Vec::new();
    for group in kosaraju_scc(graph) {
        let Some(&start) = group.iter().min().filter(|_| group.len() > 1) else { continue };
        let group: BTreeSet<_> = group.into_iter().collect();
        let mut came_from = BTreeMap::new();
        let mut open = VecDeque::from([start]);
        while let Some(node) = open.pop_front() {
            let mut parents: Vec<_> = graph.neighbors_directed(node, Direction::Incoming).collect();
            parents.sort_unstable();
            for parent in parents.into_iter().filter(|parent| group.contains(parent)) {
                if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(parent) {
                    entry.insert(node);
                    open.push_back(parent);
                }
            }
        }
        let mut path = vec![start];
        while let Some(&node) = path.last().and_then(|last| came_from.get(last)) {
            path.push(node);
            if node == start {
                break;
            }
        }
        path.reverse();
        cycles.push(path);
    }
    cycles.sort_unstable();
    cycles.into_iter().map(|path| path.into_iter().map(|node| graph[node].clone()).collect()).collect()
}

/// Dependencies first; among those that are ready, the one that stands first in the source.
fn order(graph: &DiGraph<String, ()>) -> Vec<usize> {
    let mut waiting: Vec<usize> =
        graph.node_indices().map(|node| graph.neighbors_directed(node, Direction::Incoming).count()).collect();
    let ready = waiting.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut ready: BinaryHeap<_> = ready.map(|(task, _)| Reverse(task)).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(Reverse(task)) = ready.pop() {
        order.push(task);
        for child in graph.neighbors(NodeIndex::new(task)) {
            waiting[child.index()] -= 1;
            if waiting[child.index()] == 0 {
                ready.push(Reverse(child.index()));
            }
        }
    }
    order
}

fn levels(graph: &DiGraph<String, ()>, order: &[usize]) -> Vec<usize> {
    let mut levels = vec![0; order.len()];
    for &task in order {
        for child in graph.neighbors(NodeIndex::new(task)) {
            levels[child.index()] = levels[child.index()].max(levels[task] + 1);
        }
    }
    levels
}
