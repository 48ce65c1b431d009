//! The one process-wide table: digest → mapped library, and the numbers of libraries, leases and calls.
//!
//! It is process-wide because mapping is: the dynamic loader keeps one copy of a file per process, whose statics and
//! `init` all engines in the process share. Entries are added and never removed. Two engines that open one digest at
//! the same time wait for each other, engines that open different ones do not.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use cloacina_packager::Digest;

use super::{call::CallId, loaded::Loaded};

/// The table of this process.
pub(super) static CATALOG: Catalog = Catalog {
    by_digest: Mutex::new(BTreeMap::new()),
    by_number: RwLock::new(Vec::new()),
    next_call: AtomicU64::new(1),
    next_lease: AtomicU64::new(1),
};

/// What the loader knows process-wide.
#[derive(Debug)]
pub(super) struct Catalog {
    by_digest: Mutex<BTreeMap<Digest, Arc<Slot>>>,
    /// The library numbered n is at n - 1, so that a `ctx` of null belongs to no library.
    by_number: RwLock<Vec<&'static Loaded>>,
    /// Starts at 1, so that 0 can mean "no call".
    next_call: AtomicU64,
    next_lease: AtomicU64,
}

/// The place of one digest, locked while its library is being opened.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) loaded: Mutex<Option<&'static Loaded>>,
}

impl Catalog {
    /// The place of a digest.
    pub(super) fn slot(&self, digest: Digest) -> Arc<Slot> {
        let mut by_digest = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_digest.entry(digest).or_default())
    }

    /// Keeps a library for good, made with the number under which packages name it as `ctx`.
    pub(super) fn keep(&self, make: impl FnOnce(usize) -> Loaded) -> &'static Loaded {
        let mut by_number = self.by_number.write().unwrap_or_else(PoisonError::into_inner);
        let loaded: &'static Loaded = Box::leak(Box::new(make(by_number.len() + 1)));
        by_number.push(loaded);
        loaded
    }

    /// The library with that number.
    pub(super) fn loaded(&self, number: usize) -> Option<&'static Loaded> {
        let by_number = self.by_number.read().unwrap_or_else(PoisonError::into_inner);
        by_number.get(number.checked_sub(1)?).copied()
    }

    /// A call number that was never given out before.
    pub(super) fn next_call(&self) -> CallId {
        CallId::new(self.next_call.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether that number was given to any call of this process.
    pub(super) fn was_given(&self, call: u64) -> bool {
        call != 0 && call < self.next_call.load(Ordering::Relaxed)
    }

    /// A lease number that was never given out before.
    pub(super) fn next_lease(&self) -> u64 {
        self.next_lease.fetch_add(1, Ordering::Relaxed)
    }
}
