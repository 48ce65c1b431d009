//! What tasks see: the run's input overlaid, in the workflow's order, with the deltas of their ancestors.
//!
//! Instead of asking for ancestors, each task's view is made from those of its parents: of all writes to a key the
//! latest in the order wins, and the latest among all ancestors is the latest among what the parents see. A task that
//! may run before all its parents have ended is made a view from those that have. Views are
//! shared: a task without writes passes its own on, all children of a task have the same one, one that was written to
//! shares the rest with the one before, and a view is dropped once every child has its own. A write remembers what it
//! hid, so nothing is ever copied but handles.
//!
//! The final context is the same overlay over all tasks that completed. That does not depend on the order in which tasks
//! end.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use cloacina_workflow::payload::Delta;
use serde_json::value::RawValue;

use super::{effect::Conflict, graph::Graph, node::NodeId, view::View};

/// A key of the context.
pub(crate) type Key = Arc<str>;

/// A value, which the core only passes on and compares.
pub(crate) type Value = Arc<RawValue>;

/// One write to one key and what it hid.
#[derive(Debug)]
pub(crate) struct Write {
    /// The writer's place in the workflow's order; `None` for the run's input, which comes before all tasks.
    rank: Option<u32>,
    /// `None` if the key was removed.
    value: Option<Value>,
    /// The write before, as this view knows it.
    hidden: Option<Arc<Write>>,
    /// Whether a task wrote a value that is hidden here.
    has_hidden: bool,
    /// How many tasks wrote the key in this view, this write included.
    n_tasks: u32,
}

/// The context of a whole run.
#[derive(Debug)]
pub(crate) struct Merge {
    input: View,
    tasks: Vec<TaskContext>,
    /// Everything that completed tasks wrote, by key and by the writer's place in the order.
    writes: BTreeMap<Key, BTreeMap<u32, Option<Value>>>,
}

#[derive(Debug, Default)]
struct TaskContext {
    /// What the task sees, from when it may run until all its children have their own.
    view: Option<View>,
    /// What it wrote, for as long.
    delta: Option<Arc<Delta>>,
    /// Both together, made when a child needs just that.
    after: Option<View>,
    /// Children that have not made their view yet and still may.
    n_open_children: u32,
    has_ended: bool,
}

impl Merge {
    pub(crate) fn new(graph: &Graph, input: &BTreeMap<Key, Value>) -> Self {
        let tasks = (0..graph.n_tasks()).map(NodeId::at).map(|task| TaskContext {
            n_open_children: u32::try_from(graph.children(task).len()).unwrap_or(u32::MAX),
            ..TaskContext::default()
        });
        Self {
            input: input
                .iter()
                .fold(View::default(), |view, (key, value)| view.with(key, |_| Write::input(value.clone()))),
            tasks: tasks.collect(),
            writes: BTreeMap::new(),
        }
    }

    /// Keeps the task's view and delta, as for one more child, until [`Self::release_hold`].
    pub(crate) fn hold(&mut self, task: NodeId) {
        self.tasks[task.place()].n_open_children += 1;
    }

    pub(crate) fn release_hold(&mut self, task: NodeId) {
        self.leave(&[task]);
    }

    /// What a task that follows this one would see; there while the task is held.
    pub(crate) fn after_task(&self, graph: &Graph, task: NodeId) -> View {
        let context = &self.tasks[task.place()];
        match (&context.after, &context.view, &context.delta) {
            (Some(after), ..) => after.clone(),
            (None, None, _) => self.input.clone(),
            (None, Some(view), None) => view.clone(),
            (None, Some(view), Some(delta)) => overlay(view.clone(), graph.rank(task), delta),
        }
    }

    /// Makes the view of a task from those of its parents that have ended.
    pub(crate) fn open(&mut self, graph: &Graph, task: NodeId) {
        let parents = graph.parents(task);
        let has_ended = |parent: &NodeId| self.tasks[parent.place()].has_ended;
        let ended: Cow<'_, [NodeId]> = match parents.iter().all(has_ended) {
            true => parents.into(),
            false => parents.iter().copied().filter(has_ended).collect(),
        };
        let view = match &*ended {
            [] => self.input.clone(),
            [parent] => self.after(graph, *parent),
            ended => self.join(graph, ended),
        };
        self.tasks[task.place()].view = Some(view);
        self.leave(parents);
    }

    /// Notes that a task will not run. Its ancestors are its children's all the same, so those still need its view.
    pub(crate) fn skip(&mut self, graph: &Graph, task: NodeId) {
        if self.tasks[task.place()].n_open_children > 0 {
            self.open(graph, task);
        } else {
            self.leave(graph.parents(task));
        }
        self.end(task);
    }

    /// What a task sees, while it may run.
    pub(crate) fn view(&self, task: NodeId) -> Option<&View> {
        self.tasks[task.place()].view.as_ref()
    }

    /// The conflicts of what a task writes with what others wrote that completed before: for each key at most one with the
    /// nearest earlier writer and one with the nearest later writer, in the workflow's order.
    pub(crate) fn conflicts(&self, graph: &Graph, task: NodeId, delta: &Delta) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        for (key, value) in changes(delta) {
            self.compare(graph, task, (key, value), &mut conflicts);
        }
        conflicts
    }

    /// Takes the delta of a task that completed.
    pub(crate) fn complete(&mut self, graph: &Graph, task: NodeId, delta: &Arc<Delta>) {
        if !delta.is_empty() {
            let rank = graph.rank(task);
            for (key, value) in changes(delta) {
                self.writes.entry(key.clone()).or_default().insert(rank, value.cloned());
            }
            self.tasks[task.place()].delta = Some(Arc::clone(delta));
        }
        self.end(task);
    }

    /// Notes that a task ended without a delta that counts.
    pub(crate) fn fail(&mut self, task: NodeId) {
        self.end(task);
    }

    /// The context over all tasks that completed, with each value's writer.
    pub(crate) fn result(&self, graph: &Graph) -> BTreeMap<Key, (Option<NodeId>, Value)> {
        let mut result = BTreeMap::new();
        for (key, write) in self.input.iter() {
            if let Some(value) = &write.value {
                result.insert(key.clone(), (None, value.clone()));
            }
        }
        for (key, writes) in &self.writes {
            match writes.last_key_value() {
                Some((rank, Some(value))) => {
                    result.insert(key.clone(), (Some(graph.order()[*rank as usize]), value.clone()));
                }
                Some((_, None)) => {
                    result.remove(key);
                }
                None => {}
            }
        }
        result
    }

    /// What each task that completed wrote and removed, by number.
    pub(crate) fn deltas(&self, graph: &Graph) -> BTreeMap<NodeId, BTreeMap<Key, Option<Value>>> {
        let mut deltas: BTreeMap<NodeId, BTreeMap<Key, Option<Value>>> = BTreeMap::new();
        for (key, writes) in &self.writes {
            for (rank, value) in writes {
                let task = graph.order()[*rank as usize];
                deltas.entry(task).or_default().insert(key.clone(), value.clone());
            }
        }
        deltas
    }

    /// Compares a write with the nearest others to the same key.
    fn compare(
        &self,
        graph: &Graph,
        task: NodeId,
        (key, value): (&Key, Option<&Value>),
        conflicts: &mut Vec<Conflict>,
    ) {
        let rank = graph.rank(task);
        let seen = self.tasks[task.place()].view.as_ref().and_then(|view| view.get(key));
        let Some(writes) = self.writes.get(key) else { return };
        let n_seen = seen.map_or(0, |write| write.n_tasks as usize);
        // If only ancestors wrote the key so far, there is nobody to be in conflict with.
        if writes.len() <= n_seen {
            return;
        }
        let mut upstream = seen;
        let earlier = writes.range(..rank).rev().find(|(other, other_value)| {
            while let Some(write) = upstream.filter(|write| write.rank > Some(**other)) {
                upstream = write.hidden.as_ref();
            }
            let is_ancestor = upstream.is_some_and(|write| write.rank == Some(**other));
            !is_ancestor && differ(other_value.as_ref(), value)
        });
        // Nothing that comes later in the order can be an ancestor. A descendant that did not wait for this task is as
        // much in conflict as any other.
        let later = writes.range(rank + 1..).find(|(_, other_value)| differ(other_value.as_ref(), value));
        let number = |(rank, _): (&u32, _)| graph.order()[*rank as usize];
        if let Some(loser) = earlier.map(number) {
            conflicts.push(Conflict { key: key.clone(), winner: task, loser });
        }
        if let Some(winner) = later.map(number) {
            conflicts.push(Conflict { key: key.clone(), winner, loser: task });
        }
    }

    /// What a task with that one parent sees.
    fn after(&mut self, graph: &Graph, parent: NodeId) -> View {
        let rank = graph.rank(parent);
        let context = &mut self.tasks[parent.place()];
        if let Some(after) = &context.after {
            return after.clone();
        }
        let Some(view) = &context.view else { return self.input.clone() };
        let Some(delta) = &context.delta else { return view.clone() };
        let after = overlay(view.clone(), rank, delta);
        context.after = Some(after.clone());
        after
    }

    /// What a task with several parents sees.
    fn join(&self, graph: &Graph, parents: &[NodeId]) -> View {
        let mut views: Vec<&View> = Vec::new();
        let mut known = HashSet::new();
        let mut deltas: Vec<(u32, &Arc<Delta>)> = Vec::new();
        for parent in parents {
            let context = &self.tasks[parent.place()];
            let view = match (&context.after, &context.view) {
                (Some(after), _) => after,
                (None, Some(view)) => {
                    deltas.extend(context.delta.as_ref().map(|delta| (graph.rank(*parent), delta)));
                    view
                }
                (None, None) => &self.input,
            };
            if known.insert(view.address()) {
                views.push(view);
            }
        }
        if let ([view], []) = (views.as_slice(), deltas.as_slice()) {
            return View::clone(view);
        }
        // By pairs, so that of many views each is looked through a few times only.
        let mut views: Vec<View> = views.into_iter().cloned().collect();
        while views.len() > 1 {
            let pairs = views.chunks(2).map(|pair| match pair {
                [one, other] => one.union(other, Write::join),
                _ => pair[0].clone(),
            });
            views = pairs.collect();
        }
        let mut joined = views.pop().unwrap_or_default();
        // In the order of the workflow, so that nearly every write goes on top of those before.
        deltas.sort_by_key(|(rank, _)| *rank);
        for (rank, delta) in deltas {
            joined = overlay(joined, rank, delta);
        }
        joined
    }

    fn leave(&mut self, parents: &[NodeId]) {
        for parent in parents {
            let context = &mut self.tasks[parent.place()];
            context.n_open_children = context.n_open_children.saturating_sub(1);
            self.release(*parent);
        }
    }

    fn end(&mut self, task: NodeId) {
        self.tasks[task.place()].has_ended = true;
        self.release(task);
    }

    fn release(&mut self, task: NodeId) {
        let context = &mut self.tasks[task.place()];
        if context.n_open_children == 0 && context.has_ended {
            (context.view, context.delta, context.after) = (None, None, None);
        }
    }
}

/// The content of a view: of each key the value and what it hides, by the writers' places.
#[cfg(test)]
pub(super) type Content = BTreeMap<Key, Vec<(Option<u32>, Option<String>)>>;

/// What a task sees, what it wrote, how many children still need that, and whether it has ended.
#[cfg(test)]
pub(super) type TaskContent = (Option<Content>, Option<String>, u32, bool);

#[cfg(test)]
impl Merge {
    /// Everything but what is only kept so as not to be computed twice.
    pub(super) fn content(&self) -> (Vec<TaskContent>, String) {
        let write = |write: &Write| (write.rank, write.value().map(|value| value.get().to_owned()));
        let content = |view: &View| -> Content {
            let writes = view.iter();
            writes
                .map(|(key, top)| (key.clone(), std::iter::once(&**top).chain(top.hidden()).map(write).collect()))
                .collect()
        };
        let tasks = self.tasks.iter().map(|task| {
            let delta = task.delta.as_ref().map(|delta| format!("{delta:?}"));
            (task.view.as_ref().map(content), delta, task.n_open_children, task.has_ended)
        });
        (tasks.collect(), format!("{:?}", self.writes))
    }
}

impl Write {
    /// The writer's place in the workflow's order; `None` for the run's input.
    pub(crate) fn rank(&self) -> Option<u32> {
        self.rank
    }

    /// The value; `None` if the key was removed.
    pub(crate) fn value(&self) -> Option<&Value> {
        self.value.as_ref()
    }

    /// The writes that this one hid, the latest first.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(self.hidden.as_deref(), |write| write.hidden.as_deref())
    }

    /// Whether a task wrote a value that is hidden here.
    pub(crate) fn has_hidden(&self) -> bool {
        self.has_hidden
    }

    /// A value of the run's input.
    pub(super) fn input(value: Value) -> Arc<Self> {
        Arc::new(Self { rank: None, value: Some(value), hidden: None, has_hidden: false, n_tasks: 0 })
    }

    /// A write of a task on top of what it hides.
    fn over(rank: u32, value: Option<Value>, hidden: Option<Arc<Self>>) -> Arc<Self> {
        let n_tasks = hidden.as_ref().map_or(0, |write| write.n_tasks) + 1;
        let has_hidden =
            hidden.as_ref().is_some_and(|write| write.has_hidden || write.rank.is_some() && write.value.is_some());
        Arc::new(Self { rank: Some(rank), value, hidden, has_hidden, n_tasks })
    }

    /// The writes of both, each once, in order. Shares as much as it can of either.
    fn join(left: &Arc<Self>, right: &Arc<Self>) -> Arc<Self> {
        let mut taken: Vec<&Arc<Self>> = Vec::new();
        let (mut only_left, mut only_right) = (true, true);
        let (mut next_left, mut next_right) = (Some(left), Some(right));
        let rest = loop {
            let (a, b) = match (next_left, next_right) {
                (Some(a), Some(b)) if Arc::ptr_eq(a, b) => break Some(a),
                (Some(a), Some(b)) => (a, b),
                (None, None) => break None,
                (Some(rest), None) => {
                    only_right = false;
                    break Some(rest);
                }
                (None, Some(rest)) => {
                    only_left = false;
                    break Some(rest);
                }
            };
            // The input is one map for the whole run, so two of its writes are one and the same.
            let order = a.rank.cmp(&b.rank);
            taken.push(if order.is_ge() { a } else { b });
            only_left &= order.is_ge();
            only_right &= order.is_le();
            if order.is_ge() {
                next_left = a.hidden.as_ref();
            }
            if order.is_le() {
                next_right = b.hidden.as_ref();
            }
        };
        if only_left {
            return left.clone();
        }
        if only_right {
            return right.clone();
        }
        let rest = rest.cloned();
        let joined = taken.into_iter().rev().fold(rest, |hidden, write| match write.rank {
            Some(rank) => Some(Self::over(rank, write.value.clone(), hidden)),
            None => Some(write.clone()),
        });
        joined.unwrap_or_else(|| left.clone())
    }
}

impl Drop for Write {
    /// A long chain of writes must not be dropped by recursion.
    fn drop(&mut self) {
        let mut next = self.hidden.take();
        while let Some(mut write) = next.and_then(Arc::into_inner) {
            next = write.hidden.take();
        }
    }
}

fn overlay(view: View, rank: u32, delta: &Delta) -> View {
    changes(delta).fold(view, |view, (key, value)| {
        view.with(key, |before| {
            let value = value.cloned();
            match before {
                None => Write::over(rank, value, None),
                Some(before) if before.rank < Some(rank) => Write::over(rank, value, Some(before.clone())),
                Some(before) => Write::join(before, &Write::over(rank, value, None)),
            }
        })
    })
}

/// The writes of a delta, `None` for a removal. A key that is both written and removed counts as written.
fn changes(delta: &Delta) -> impl Iterator<Item = (&Key, Option<&Value>)> {
    let written = delta.set.iter().map(|(key, value)| (key, Some(value)));
    let removed = delta.unset.iter().filter(|key| !delta.set.contains_key(*key)).map(|key| (key, None));
    written.chain(removed)
}

fn differ(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => !Arc::ptr_eq(one, other) && one.get() != other.get(),
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    }
}
