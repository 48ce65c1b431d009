//! Accounts of what the processes of packages use up: one for each process, from its start to its end.
//!
//! What the system says of a process is true of all that ran in it, also where it cannot be told apart. Of a process that
//! lives an account holds what it has used up so far; of one that has ended, all of it. The part that keeps the accounts for good
//! is told when there is news, asks for what has changed, and says what has been kept: until then nothing is forgotten.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use tokio::sync::Notify;

use super::child::Child;
use crate::{clock::Clock, id::HostId};

/// The accounts of all processes of an engine.
pub(crate) struct Tally {
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
    has_news: AtomicBool,
    news: Notify,
}

/// The version of a package that a process is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) tenant: String,
    /// The content digest.
    pub(crate) digest: Digest,
}

/// What a process has used up, as it was found at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) id: HostId,
    pub(crate) owner: Owner,
    pub(crate) began_at: Timestamp,
    pub(crate) read_at: Timestamp,
    /// None while it lives.
    pub(crate) end: Option<End>,
    pub(crate) used: Used,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended because its engine was done with it.
    Released,
    /// It ended by itself, or had to be killed.
    Crashed,
}

/// What a process has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// Calls that it was given.
    pub(crate) n_calls: u64,
    /// Processor time of all its threads, if the system tells.
    pub(crate) cpu: Option<Duration>,
    /// The most memory that it held, if that is known.
    pub(crate) peak_bytes: Option<u64>,
}

/// The account of one process, held by the part that watches the process.
pub(super) struct Account {
    tally: Arc<Tally>,
    id: HostId,
    owner: Owner,
}

#[derive(Default)]
struct Books {
    living: BTreeMap<HostId, Living>,
    ended: BTreeMap<HostId, Reading>,
}

struct Living {
    child: Weak<Child>,
    owner: Owner,
    began_at: Timestamp,
    /// What was kept last.
    kept: Option<Used>,
}

impl Tally {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let (books, has_news, news) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        Arc::new(Self { clock, books, has_news, news })
    }

    /// An account for a process that is about to be.
    pub(super) fn account(self: &Arc<Self>, owner: Owner) -> Account {
        Account { tally: Arc::clone(self), id: HostId::new(self.clock.now()), owner }
    }

    /// Waits until something has changed since it last did.
    pub(crate) async fn changed(&self) {
        self.news.notified().await;
        self.has_news.store(false, Ordering::Release);
    }

    /// The accounts that are not kept as they are now.
    pub(crate) fn readings(&self) -> Vec<Reading> {
        self.read(|living, used| living.kept != Some(used), None)
    }

    /// All that are not kept for good, as if the running processes had ended: they are not read again.
    pub(crate) fn last_readings(&self) -> Vec<Reading> {
        self.read(|_, _| true, Some(End::Released))
    }

    fn read(&self, is_wanted: impl Fn(&Living, Used) -> bool, end: Option<End>) -> Vec<Reading> {
        let living: Vec<_> = {
            let books = self.lock();
            let with_child = |(id, living): (&HostId, &Living)| Some((*id, living.child.upgrade()?));
            books.living.iter().filter_map(with_child).collect()
        };
        // The system is asked without the lock.
        let used: Vec<_> = living.iter().map(|(id, child)| (*id, child.used())).collect();
        if living.iter().any(|(_, child)| child.n_open() > 0) {
            self.note_news();
        }
        drop(living);
        let (now, books) = (self.clock.now(), self.lock());
        let living = used.into_iter().filter_map(|(id, used)| {
            // One that has ended meanwhile is among those.
            let living = books.living.get(&id).filter(|living| is_wanted(living, used))?;
            let (owner, began_at) = (living.owner.clone(), living.began_at);
            Some(Reading { id, owner, began_at, read_at: now, end, used })
        });
        living.chain(books.ended.values().cloned()).collect()
    }

    /// Takes note that these are kept.
    pub(crate) fn kept(&self, readings: &[Reading]) {
        let mut books = self.lock();
        for reading in readings {
            if reading.end.is_some() {
                books.ended.remove(&reading.id);
            } else if let Some(living) = books.living.get_mut(&reading.id) {
                living.kept = Some(reading.used);
            }
        }
    }

    fn note_news(&self) {
        if !self.has_news.swap(true, Ordering::AcqRel) {
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        // Nothing panics while it is held.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// The process is there.
    pub(super) fn open(&self, child: &Arc<Child>) {
        let began_at = self.tally.clock.now();
        let living = Living { child: Arc::downgrade(child), owner: self.owner.clone(), began_at, kept: None };
        self.tally.lock().living.insert(self.id, living);
    }

    /// The process got a call.
    pub(super) fn note_call(&self) {
        self.tally.note_news();
    }

    /// The process has ended, and that is all that it used up.
    pub(super) fn close(&self, end: End, used: Used) {
        let read_at = self.tally.clock.now();
        {
            let mut books = self.tally.lock();
            let Some(Living { owner, began_at, .. }) = books.living.remove(&self.id) else { return };
            books.ended.insert(self.id, Reading { id: self.id, owner, began_at, read_at, end: Some(end), used });
        }
        self.tally.note_news();
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.lock();
        let (n_living, n_ended) = (books.living.len(), books.ended.len());
        formatter.debug_struct("Tally").field("n_living", &n_living).field("n_ended", &n_ended).finish_non_exhaustive()
    }
}
