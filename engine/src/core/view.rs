//! What a task sees: for each key the last write, in a balanced tree that shares all that did not change with the trees
//! that it was made from.
//!
//! A task that writes one key of ten thousand costs its followers a path of some fourteen nodes, and two views that
//! come from one are joined at the cost of what is different. A view is never changed; a clone is one more handle. Each
//! node knows the [`Extent`] of all below it, so the size of a call is known without reading any value.
//!
//! The tree is an AVL tree, and everything is made of `join`: two trees and the entry between them become one.

use std::{cmp::Ordering, sync::Arc};

use super::context::{Key, Write};

/// What a task sees, which may be removals.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    root: Option<Arc<Node>>,
}

/// How much there is to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Keys, removed ones too.
    pub(crate) n_keys: usize,
    /// The bytes of visible keys and values.
    pub(crate) n_bytes: usize,
    /// The bytes of the longest visible value.
    pub(crate) largest: usize,
    /// Whether anything that a task wrote was hidden by a later writer.
    pub(crate) has_hidden: bool,
}

#[derive(Debug)]
struct Node {
    entry: Entry,
    left: View,
    right: View,
    height: u32,
    extent: Extent,
}

/// A key with its last write.
type Entry = (Key, Arc<Write>);

impl View {
    /// The last write to the key.
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Write>> {
        let mut view = self;
        while let Some(node) = &view.root {
            view = match key.cmp(&node.entry.0) {
                Ordering::Less => &node.left,
                Ordering::Equal => return Some(&node.entry.1),
                Ordering::Greater => &node.right,
            };
        }
        None
    }

    /// All keys in order, with the last write to each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<Write>)> {
        let mut open: Vec<&Node> = Vec::new();
        let mut next = self;
        std::iter::from_fn(move || {
            while let Some(node) = &next.root {
                open.push(node);
                next = &node.left;
            }
            let node = open.pop()?;
            next = &node.right;
            Some((&node.entry.0, &node.entry.1))
        })
    }

    /// How much there is to see.
    pub(crate) fn extent(&self) -> Extent {
        self.root.as_ref().map_or(Extent::default(), |node| node.extent)
    }

    /// The same view with another write to the key, which is made of the one that is there.
    pub(crate) fn with(&self, key: &Key, write: impl FnOnce(Option<&Arc<Write>>) -> Arc<Write>) -> Self {
        let Some(node) = &self.root else {
            return Self::node(Self::default(), (key.clone(), write(None)), Self::default());
        };
        match key.cmp(&node.entry.0) {
            Ordering::Less => Self::join(node.left.with(key, write), node.entry.clone(), node.right.clone()),
            Ordering::Equal => {
                let written = write(Some(&node.entry.1));
                Self::node(node.left.clone(), (node.entry.0.clone(), written), node.right.clone())
            }
            Ordering::Greater => Self::join(node.left.clone(), node.entry.clone(), node.right.with(key, write)),
        }
    }

    /// Both views in one; what both have is made of the two writes by `merge`. Costs what is different in them.
    pub(crate) fn union(&self, other: &Self, merge: fn(&Arc<Write>, &Arc<Write>) -> Arc<Write>) -> Self {
        if self.is(other) {
            return self.clone();
        }
        let (Some(node), Some(_)) = (&self.root, &other.root) else {
            return if self.root.is_some() { self.clone() } else { other.clone() };
        };
        let (key, write) = &node.entry;
        let (below, found, above) = other.split(key);
        let left = node.left.union(&below, merge);
        let right = node.right.union(&above, merge);
        let merged = found.map_or_else(|| write.clone(), |found| merge(write, &found));
        if left.is(&node.left) && right.is(&node.right) && Arc::ptr_eq(&merged, write) {
            return self.clone();
        }
        Self::join(left, (key.clone(), merged), right)
    }

    /// Whether both are one and the same tree.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.address() == other.address()
    }

    /// Tells one tree from another while both are there.
    pub(crate) fn address(&self) -> Option<usize> {
        self.root.as_ref().map(|node| Arc::as_ptr(node).addr())
    }

    fn height(&self) -> u32 {
        self.root.as_ref().map_or(0, |node| node.height)
    }

    /// A tree of two whose heights differ by one at most.
    fn node(left: Self, entry: Entry, right: Self) -> Self {
        let (one, other, own) = (left.extent(), right.extent(), Extent::of(&entry));
        let extent = Extent {
            n_keys: one.n_keys + other.n_keys + 1,
            n_bytes: one.n_bytes + other.n_bytes + own.n_bytes,
            largest: one.largest.max(other.largest).max(own.largest),
            has_hidden: one.has_hidden || other.has_hidden || own.has_hidden,
        };
        let height = left.height().max(right.height()) + 1;
        Self { root: Some(Arc::new(Node { entry, left, right, height, extent })) }
    }

    /// A balanced tree of two balanced trees and what is between them.
    fn join(left: Self, entry: Entry, right: Self) -> Self {
        match (&left.root, &right.root) {
            (Some(node), _) if node.height > right.height() + 1 => Self::join_right(node, entry, right),
            (_, Some(node)) if node.height > left.height() + 1 => Self::join_left(left, entry, node),
            _ => Self::node(left, entry, right),
        }
    }

    /// Puts a tree that is lower to the right of one.
    fn join_right(node: &Node, entry: Entry, right: Self) -> Self {
        let inner = match &node.right.root {
            Some(inner) if inner.height > right.height() + 1 => Self::join_right(inner, entry, right),
            _ => {
                let inner = Self::node(node.right.clone(), entry, right);
                if inner.height() > node.left.height() + 1 { inner.rotated_right() } else { inner }
            }
        };
        let is_high = inner.height() > node.left.height() + 1;
        let whole = Self::node(node.left.clone(), node.entry.clone(), inner);
        if is_high { whole.rotated_left() } else { whole }
    }

    /// Puts a tree that is lower to the left of one.
    fn join_left(left: Self, entry: Entry, node: &Node) -> Self {
        let inner = match &node.left.root {
            Some(inner) if inner.height > left.height() + 1 => Self::join_left(left, entry, inner),
            _ => {
                let inner = Self::node(left, entry, node.left.clone());
                if inner.height() > node.right.height() + 1 { inner.rotated_left() } else { inner }
            }
        };
        let is_high = inner.height() > node.right.height() + 1;
        let whole = Self::node(inner, node.entry.clone(), node.right.clone());
        if is_high { whole.rotated_right() } else { whole }
    }

    fn rotated_left(self) -> Self {
        let Some((node, right)) = self.root.as_ref().and_then(|node| Some((node, node.right.root.as_ref()?))) else {
            return self;
        };
        let left = Self::node(node.left.clone(), node.entry.clone(), right.left.clone());
        Self::node(left, right.entry.clone(), right.right.clone())
    }

    fn rotated_right(self) -> Self {
        let Some((node, left)) = self.root.as_ref().and_then(|node| Some((node, node.left.root.as_ref()?))) else {
            return self;
        };
        let right = Self::node(left.right.clone(), node.entry.clone(), node.right.clone());
        Self::node(left.left.clone(), left.entry.clone(), right)
    }

    /// What is below the key, the write to it, and what is above it.
    fn split(&self, key: &str) -> (Self, Option<Arc<Write>>, Self) {
        let Some(node) = &self.root else { return Default::default() };
        match key.cmp(&node.entry.0) {
            Ordering::Less => {
                let (below, found, above) = node.left.split(key);
                (below, found, Self::join(above, node.entry.clone(), node.right.clone()))
            }
            Ordering::Equal => (node.left.clone(), Some(node.entry.1.clone()), node.right.clone()),
            Ordering::Greater => {
                let (below, found, above) = node.right.split(key);
                (Self::join(node.left.clone(), node.entry.clone(), below), found, above)
            }
        }
    }
}

impl Extent {
    fn of((key, write): &Entry) -> Self {
        let value = write.value().map(|value| value.get().len());
        Self {
            n_keys: 1,
            n_bytes: value.map_or(0, |value| key.len() + value),
            largest: value.unwrap_or(0),
            has_hidden: write.has_hidden(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn write(value: u32) -> Arc<Write> {
        Write::input(RawValue::from_string(value.to_string()).unwrap().into())
    }

    fn key(number: u16) -> Key {
        format!("{number:05}").into()
    }

    fn of(entries: &[(u16, u32)]) -> View {
        entries.iter().fold(View::default(), |view, (number, value)| view.with(&key(*number), |_| write(*value)))
    }

    fn shown(view: &View) -> BTreeMap<String, String> {
        view.iter().map(|(key, write)| (key.to_string(), write.value().unwrap().get().to_owned())).collect()
    }

    /// Checks order, balance and extents at each node.
    fn check(view: &View) {
        let Some(node) = &view.root else { return };
        check(&node.left);
        check(&node.right);
        assert!(node.left.height().abs_diff(node.right.height()) <= 1);
        assert_eq!(node.height, node.left.height().max(node.right.height()) + 1);
        let keys: Vec<&Key> = view.iter().map(|(key, _)| key).collect();
        assert!(keys.is_sorted_by(|one, other| one < other));
        let extent = view.extent();
        let lengths = view.iter().map(|(key, write)| (key.len(), write.value().unwrap().get().len()));
        let lengths: Vec<(usize, usize)> = lengths.collect();
        assert_eq!(extent.n_keys, keys.len());
        assert_eq!(extent.n_bytes, lengths.iter().map(|(key, value)| key + value).sum::<usize>());
        assert_eq!(extent.largest, lengths.iter().map(|(_, value)| *value).max().unwrap());
    }

    proptest! {
        #[test]
        fn a_view_is_the_map_of_its_last_writes(entries in proptest::collection::vec((0u16..300, any::<u32>()), 0..400)) {
            let view = of(&entries);
            check(&view);
            let expected: BTreeMap<String, String> =
                entries.iter().map(|(number, value)| (key(*number).to_string(), value.to_string())).collect();
            for number in 0..300 {
                let found = view.get(&key(number)).map(|write| write.value().unwrap().get().to_owned());
                let wanted = expected.get(&*key(number)).cloned();
                prop_assert_eq!(found, wanted);
            }
            prop_assert_eq!(shown(&view), expected);
        }

        #[test]
        fn a_union_has_what_either_has(
            common in proptest::collection::vec((0u16..300, any::<u32>()), 0..200),
            one in proptest::collection::vec((0u16..300, any::<u32>()), 0..60),
            other in proptest::collection::vec((0u16..300, any::<u32>()), 0..60),
        ) {
            let add = |view: &View, entries: &[(u16, u32)]| {
                entries.iter().fold(view.clone(), |view, (number, value)| view.with(&key(*number), |_| write(*value)))
            };
            let common = of(&common);
            let (one, other) = (add(&common, &one), add(&common, &other));
            let union = one.union(&other, |left, _| left.clone());
            check(&union);
            let mut expected = shown(&other);
            expected.extend(shown(&one));
            prop_assert_eq!(shown(&union), expected);
            prop_assert!(one.union(&one.clone(), |_, _| unreachable!("they are one tree")).is(&one));
            prop_assert!(one.union(&common, |left, _| left.clone()).is(&one) || !one.is(&common));
        }
    }

    #[test]
    fn what_was_not_written_is_shared_and_the_view_before_stays_as_it_was() {
        let before = of(&(0..10_000).map(|number| (number, u32::from(number))).collect::<Vec<_>>());
        check(&before);
        assert!(before.height() <= 20, "{}", before.height());
        let after = before.with(&key(5_000), |_| write(1));
        let nodes = |view: &View| {
            let mut nodes = Vec::new();
            let mut open = vec![view.clone()];
            while let Some(view) = open.pop() {
                if let Some(node) = &view.root {
                    nodes.push(Arc::as_ptr(node));
                    open.extend([node.left.clone(), node.right.clone()]);
                }
            }
            nodes.sort_unstable();
            nodes
        };
        let (old, new) = (nodes(&before), nodes(&after));
        let n_new = new.iter().filter(|node| old.binary_search(node).is_err()).count();
        assert!(n_new <= 20, "{n_new}");
        assert_eq!(before.get(&key(5_000)).unwrap().value().unwrap().get(), "5000");
    }
}
