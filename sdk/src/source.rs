//! The values from before the task, over which a context is created: looked up, never copied.
//!
//! A task that sees ten thousand values and reads two pays for two. In the engine, the source is a shared view; across the
//! C ABI it is the decoded payload, and missing values are fetched. [`Grown`] keeps decoded values for the life of the
//! context.

use std::{
    collections::BTreeSet,
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::OnceLock,
};

use serde_json::value::RawValue;

use crate::payload::View;

/// Values by key, which do not change during the life of the source. Nests nowhere deeper than
/// [`crate::payload::DEPTH_MAX`].
pub trait Source: fmt::Debug + Send + Sync {
    /// The task that wrote the visible value of the key, none for the run's input; nothing if there is no such value.
    fn writer(&self, key: &str) -> Option<Option<&str>>;
    /// Shows the visible value of the key; whether there is one.
    fn read(&self, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool;
    /// The keys that have a visible value, in order.
    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_>;
    /// Shows what the task wrote under the key, also where a later writer hid it; whether there is such a value.
    fn read_from(&self, task: &str, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool;
    /// The keys that the task wrote, in order.
    fn keys_from<'a>(&'a self, task: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a>;
}

impl Source for View {
    fn writer(&self, key: &str) -> Option<Option<&str>> {
        self.values.contains_key(key).then(|| self.producer.get(key).map(AsRef::as_ref))
    }

    fn read(&self, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool {
        self.values.get(key).map(|raw| take(raw)).is_some()
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.values.keys().map(AsRef::as_ref))
    }

    fn read_from(&self, task: &str, key: &str, take: &mut dyn FnMut(&RawValue)) -> bool {
        if self.producer.get(key).is_some_and(|producer| **producer == *task) {
            return self.read(key, take);
        }
        self.from.get(task).and_then(|hidden| hidden.get(key)).map(|raw| take(raw)).is_some()
    }

    fn keys_from<'a>(&'a self, task: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let visible = self.producer.iter().filter(move |(_, producer)| ***producer == *task).map(|(key, _)| key);
        let hidden = self.from.get(task).into_iter().flat_map(|hidden| hidden.keys());
        let keys: BTreeSet<&str> = visible.chain(hidden).map(AsRef::as_ref).collect();
        Box::new(keys.into_iter())
    }
}

/// The values of a context that were read so far, by task and key. It only grows, and its references live as long as it
/// does: a tree in which each node and each branch is set once.
pub(crate) struct Grown<T> {
    root: OnceLock<Box<Node<T>>>,
}

struct Node<T> {
    task: Box<str>,
    key: Box<str>,
    value: T,
    branches: [OnceLock<Box<Node<T>>>; 4],
}

impl<T> Grown<T> {
    pub(crate) const fn new() -> Self {
        Self { root: OnceLock::new() }
    }

    /// The known value of that key of that task, or of the key alone if no task is given.
    pub(crate) fn find(&self, task: &str, key: &str) -> Option<&T> {
        let (mut branch, mut hash) = (&self.root, hash(task, key));
        loop {
            let node = branch.get()?;
            if *node.task == *task && *node.key == *key {
                return Some(&node.value);
            }
            branch = &node.branches[(hash & 3) as usize];
            // Rotated and not shifted, so that it never runs out of bits.
            hash = hash.rotate_right(2);
        }
    }

    /// Keeps the value, unless another thread was faster.
    pub(crate) fn insert(&self, task: &str, key: &str, value: T) -> &T {
        let (mut branch, mut hash, mut value) = (&self.root, hash(task, key), Some(value));
        loop {
            let node = branch.get_or_init(|| {
                let value = value.take().expect("invariant: a value is kept at one node");
                Box::new(Node { task: task.into(), key: key.into(), value, branches: Default::default() })
            });
            if *node.task == *task && *node.key == *key {
                return &node.value;
            }
            branch = &node.branches[(hash & 3) as usize];
            hash = hash.rotate_right(2);
        }
    }
}

impl<T> fmt::Debug for Grown<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Grown").finish_non_exhaustive()
    }
}

fn hash(task: &str, key: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((task, key))
}
