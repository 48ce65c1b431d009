//! What a context is made over: the values that were there before the task, looked up and never copied.
//!
//! A task that sees ten thousand values and reads two pays for two. The engine gives its own shared view; across the
//! C ABI the decoded payload serves. [`Decoded`] keeps what was decoded for as long as the context lives.

use std::{
    collections::BTreeSet,
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Arc, OnceLock},
};

use serde_json::value::RawValue;

use crate::payload::View;

/// Values by key, which do not change while somebody looks at them. Nests nowhere deeper than
/// [`crate::payload::DEPTH_MAX`].
pub trait Source: fmt::Debug + Send + Sync {
    /// The visible value of the key.
    fn get(&self, key: &str) -> Option<Seen<'_>>;
    /// The keys that have a visible value, in order.
    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_>;
    /// What the task wrote under the key, also where a later writer hid it.
    fn get_from(&self, task: &str, key: &str) -> Option<&Arc<RawValue>>;
    /// The keys that the task wrote, in order.
    fn keys_from<'a>(&'a self, task: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a>;
}

/// One visible value.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its text.
    pub raw: &'a Arc<RawValue>,
    /// The task that wrote it; `None` for the run's input.
    pub producer: Option<&'a str>,
}

impl Source for View {
    fn get(&self, key: &str) -> Option<Seen<'_>> {
        let producer = self.producer.get(key).map(AsRef::as_ref);
        self.values.get(key).map(|raw| Seen { raw, producer })
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.values.keys().map(AsRef::as_ref))
    }

    fn get_from(&self, task: &str, key: &str) -> Option<&Arc<RawValue>> {
        if self.producer.get(key).is_some_and(|producer| **producer == *task) {
            return self.values.get(key);
        }
        self.from.get(task)?.get(key)
    }

    fn keys_from<'a>(&'a self, task: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let visible = self.producer.iter().filter(move |(_, producer)| ***producer == *task).map(|(key, _)| key);
        let hidden = self.from.get(task).into_iter().flat_map(|hidden| hidden.keys());
        let keys: BTreeSet<&str> = visible.chain(hidden).map(AsRef::as_ref).collect();
        Box::new(keys.into_iter())
    }
}

/// Values as they were decoded, by the text that they were decoded from. Only grows, and hands out references that
/// live as long as it does: a tree in which each node and each branch is set once.
pub(crate) struct Decoded<V> {
    root: OnceLock<Box<Node<V>>>,
}

struct Node<V> {
    /// Where the text is. The context's source keeps it there, so no other text can be in its place.
    place: usize,
    value: V,
    branches: [OnceLock<Box<Node<V>>>; 4],
}

impl<V> Decoded<V> {
    pub(crate) const fn new() -> Self {
        Self { root: OnceLock::new() }
    }

    /// The value that the text decodes to; `decode` is called at the first look.
    pub(crate) fn get_or_init(&self, raw: &Arc<RawValue>, decode: impl FnOnce() -> V) -> &V {
        let place = Arc::as_ptr(raw).cast::<u8>().addr();
        let mut hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(place);
        let mut branch = &self.root;
        let mut decode = Some(decode);
        loop {
            let node = branch.get_or_init(|| {
                let decode = decode.take().expect("invariant: a text is decoded at one node");
                Box::new(Node { place, value: decode(), branches: Default::default() })
            });
            if node.place == place {
                return &node.value;
            }
            // Turned and not shifted, so that it never runs out of bits.
            branch = &node.branches[(hash & 3) as usize];
            hash = hash.rotate_right(2);
        }
    }
}
