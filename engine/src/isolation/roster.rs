//! The one owner of the children of a pool: their states, the calls under way in them, and the calls that wait.
//!
//! ```text
//! pool, starter, reader, watcher, keeper ──(id, event)──► Roster ──► ChildState::next
//! ```
//! Others hold a [`Child`], which is an id and a process, and ask. Nothing here does I/O or waits for a package, but for the
//! two functions that wait for an end. The lock is the last one but the keeper's: a thread that holds it asks for no other, and
//! what may run code of others is dropped after it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Confinement, Error, Limits,
    calls::{Alone, Calls, EndedCall, OpenCall, TooManySecrets},
    child::Child,
    child_state::{ChildState, Ending, Event},
    death::Death,
    incident::{Generation, Incidents},
    keeper::Alarm,
};
use crate::loader::{Call, CallId, CallSink, Reaped};

/// The name of a child among those of its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChildId(u64);

/// Why a call did not begin here; it may elsewhere.
pub(super) enum NotTaken {
    /// The process has as many as it may.
    Full(Arc<dyn CallSink>),
    /// The process gets no more calls.
    Over(Arc<dyn CallSink>),
}

/// A call that no process has yet.
pub(super) struct Waiting {
    pub(super) id: CallId,
    pub(super) call: Call,
    pub(super) sink: Arc<dyn CallSink>,
}

/// The children of a pool.
#[derive(Default)]
pub(super) struct Roster {
    books: Mutex<Books>,
    /// Rings whenever a process has ended.
    has_ended: Condvar,
}

/// What the lock is around.
#[derive(Default)]
pub(super) struct Books {
    children: BTreeMap<ChildId, Entry>,
    next_id: u64,
    pub(super) waiting: VecDeque<Waiting>,
    /// Processes that are being started, from before they are there until they serve or have failed.
    pub(super) n_starting: usize,
    pub(super) is_closed: bool,
    /// Calls that must end in order before processes get several at once; 0 when they do.
    pub(super) solo: u32,
    /// In which its processes ended.
    pub(super) incidents: Incidents,
    pub(super) idle: Option<Alarm>,
    /// Tries in a row to start a process that others have left no room for, and the next one.
    pub(super) n_shortages: u32,
    pub(super) shortage_alarm: Option<Alarm>,
    pub(super) is_used: bool,
    /// Why the last process was refused, if the next will be too.
    pub(super) refusal: Option<Error>,
}

/// One child.
pub(super) struct Entry {
    state: ChildState,
    pub(super) child: Arc<Child>,
    pub(super) calls: Calls,
    /// What keeps the package in; nothing before it is loaded.
    confinement: Option<Confinement>,
    /// As of its start or its latest call.
    generation: Generation,
    /// Kills it when its time is over.
    last_alarm: Option<Alarm>,
    observation: Observation,
}

/// How often a process is measured.
#[derive(Default)]
struct Observation {
    is_often: bool,
    alarm: Option<Alarm>,
}

/// The calls that were under way in a child when it ended, and how it did.
pub(super) struct LastCalls {
    pub(super) death: Death,
    pub(super) open: Vec<OpenCall>,
    pub(super) alone: Option<Alone>,
    pub(super) generation: Generation,
}

impl Roster {
    pub(super) fn lock(&self) -> MutexGuard<'_, Books> {
        // Nothing panics while it is held.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for a child that is about to be added.
    pub(super) fn next_id(&self) -> ChildId {
        let mut books = self.lock();
        books.next_id += 1;
        ChildId(books.next_id)
    }

    /// Adds a child that loads its library.
    pub(super) fn add(&self, child: &Arc<Child>, generation: Generation) {
        let entry = Entry {
            state: ChildState::Starting,
            child: Arc::clone(child),
            calls: Calls::default(),
            confinement: None,
            generation,
            last_alarm: None,
            observation: Observation::default(),
        };
        self.lock().children.insert(child.id, entry);
    }

    /// Tells what happened to a child. The state that follows; nothing if the child is gone.
    pub(super) fn tell(&self, id: ChildId, event: Event) -> Option<ChildState> {
        let mut books = self.lock();
        let state = books.tell(id, event)?;
        let gone = (state == ChildState::Gone).then(|| books.children.remove(&id));
        drop(books);
        if state.has_ended() {
            self.has_ended.notify_all();
        }
        drop(gone);
        Some(state)
    }

    /// Begins a call. True if the process must be measured often from now on, and was not.
    pub(super) fn begin_call(
        &self,
        child: ChildId,
        call: CallId,
        sink: Arc<dyn CallSink>,
        open_max: usize,
        cpu: Option<Duration>,
    ) -> Result<bool, NotTaken> {
        let mut books = self.lock();
        let generation = books.incidents.generation();
        let entry = books.children.get_mut(&child).filter(|entry| entry.state.takes_calls());
        let Some(entry) = entry else { return Err(NotTaken::Over(sink)) };
        if entry.calls.n_open() >= open_max {
            return Err(NotTaken::Full(sink));
        }
        entry.calls.begin(call, sink, cpu);
        entry.generation = generation;
        Ok(!std::mem::replace(&mut entry.observation.is_often, true))
    }

    /// Takes back a call that did not get to the process. Nothing if its end was told meanwhile.
    pub(super) fn take_back(&self, child: ChildId, call: CallId) -> Option<Arc<dyn CallSink>> {
        self.with(child, |entry| entry.calls.take_back(call))?
    }

    /// Takes a call that has ended in order, and says how many are left.
    pub(super) fn end_call(&self, child: ChildId, call: CallId) -> Option<(EndedCall, usize)> {
        self.with(child, |entry| Some((entry.calls.end(call)?, entry.calls.n_open())))?
    }

    pub(super) fn n_open(&self, child: ChildId) -> usize {
        self.with(child, |entry| entry.calls.n_open()).unwrap_or(0)
    }

    pub(super) fn n_started(&self, child: ChildId) -> u64 {
        self.with(child, |entry| entry.calls.n_started()).unwrap_or(0)
    }

    pub(super) fn n_overdue(&self, child: ChildId) -> usize {
        self.with(child, |entry| entry.calls.n_overdue()).unwrap_or(0)
    }

    pub(super) fn has_call(&self, child: ChildId, call: CallId) -> bool {
        self.with(child, |entry| entry.calls.has(call)).unwrap_or(false)
    }

    pub(super) fn sink(&self, child: ChildId, call: CallId) -> Option<Arc<dyn CallSink>> {
        self.with(child, |entry| entry.calls.sink(call))?
    }

    pub(super) fn only_call(&self, child: ChildId) -> Option<(CallId, Arc<dyn CallSink>)> {
        self.with(child, |entry| entry.calls.only())?
    }

    pub(super) fn count_secret(
        &self,
        child: ChildId,
        call: CallId,
    ) -> Result<Option<Arc<dyn CallSink>>, TooManySecrets> {
        self.with(child, |entry| entry.calls.count_secret(call)).unwrap_or(Ok(None))
    }

    /// As [`Calls::set_overdue`].
    pub(super) fn set_overdue(&self, child: ChildId, call: CallId) -> Option<usize> {
        self.with(child, |entry| entry.calls.set_overdue(call))?
    }

    /// Keeps an alarm for as long as the call is under way.
    pub(super) fn keep_alarm(&self, child: ChildId, call: CallId, alarm: Alarm) {
        drop(self.with(child, |entry| entry.calls.keep_alarm(call, alarm)));
    }

    /// Keeps an alarm for as long as the child is there.
    pub(super) fn keep_last_alarm(&self, child: ChildId, alarm: Alarm) {
        drop(self.with(child, |entry| entry.last_alarm.replace(alarm)));
    }

    /// Keeps the alarm of the next measurement.
    pub(super) fn keep_observation(&self, child: ChildId, alarm: Alarm) {
        drop(self.with(child, |entry| entry.observation.alarm.replace(alarm)));
    }

    /// Whether frequent measurements begin now.
    pub(super) fn begin_observing(&self, child: ChildId) -> bool {
        self.with(child, |entry| !std::mem::replace(&mut entry.observation.is_often, true)).unwrap_or(false)
    }

    /// Whether it is still measured often: it is being loaded, or has calls.
    pub(super) fn is_observed_often(&self, child: ChildId) -> bool {
        let goes_on = self.with(child, |entry| {
            entry.observation.is_often = entry.confinement.is_none() || entry.calls.n_open() > 0;
            entry.observation.is_often
        });
        goes_on.unwrap_or(false)
    }

    /// Notes what keeps the package in, and that its library is loaded.
    pub(super) fn set_loaded(&self, child: ChildId, confinement: Confinement) {
        self.with(child, |entry| entry.confinement = Some(confinement));
        self.tell(child, Event::Loaded);
    }

    /// What keeps the package in; nothing before it is loaded.
    pub(super) fn confinement(&self, child: ChildId) -> Option<Confinement> {
        self.with(child, |entry| entry.confinement.clone())?
    }

    /// Whether every step of its sandbox is in force, as far as is known.
    pub(super) fn is_whole(&self, child: ChildId) -> bool {
        let is_whole = |confinement: &Confinement| confinement.missing.is_empty();
        self.with(child, |entry| entry.confinement.as_ref().is_some_and(is_whole)).unwrap_or(false)
    }

    /// Where it is between its start and its end; nothing once it is gone.
    pub(super) fn state(&self, child: ChildId) -> Option<ChildState> {
        self.with(child, |entry| entry.state.clone())
    }

    /// Whether the pool has forgotten all calls.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits until the process has ended, and says whether it has.
    pub(super) fn wait_for_end(&self, child: ChildId, at_most: Duration) -> bool {
        let lives = |books: &mut Books| books.children.get(&child).is_some_and(|entry| !entry.state.has_ended());
        let waited = self.has_ended.wait_timeout_while(self.lock(), at_most, lives);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How the process ended, as far as is known.
    pub(super) fn death(&self, child: ChildId, limits: &Limits) -> Death {
        let state = self.state(child).unwrap_or(ChildState::Gone);
        let (reaped, n_left): (Option<Reaped>, usize) = match &state {
            ChildState::Ended(Ending { reaped, n_left_behind, .. }) => (*reaped, *n_left_behind),
            _ => (None, 0),
        };
        Death { n_left, ..Death::new(reaped, state.killed(), limits) }
    }

    /// Takes the calls of a child from which nothing more comes.
    pub(super) fn end_calls(&self, child: ChildId, limits: &Limits) -> LastCalls {
        let death = self.death(child, limits);
        let taken = self.with(child, |entry| (entry.calls.take_all(), entry.generation));
        let ((open, alone), generation) = taken.unwrap_or_default();
        self.tell(child, Event::Told);
        LastCalls { death, open, alone, generation }
    }

    fn with<T>(&self, child: ChildId, ask: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.lock().children.get_mut(&child).map(ask)
    }
}

impl Books {
    /// Those that get calls.
    pub(super) fn serving(&self) -> impl Iterator<Item = &Entry> {
        self.children.values().filter(|entry| entry.state.takes_calls())
    }

    /// The children with a loaded library and without a reported end.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Entry> {
        self.children.values().filter(|entry| entry.state.is_shown())
    }

    /// Takes all calls that are under way; their sinks hear nothing more.
    pub(super) fn forget_calls(&mut self) -> Vec<(Vec<OpenCall>, Option<Alone>)> {
        self.children.values_mut().map(|entry| entry.calls.take_all()).collect()
    }

    /// Has a child get no more calls. The state that follows, if it got calls until now.
    pub(super) fn retire(&mut self, id: ChildId) -> Option<ChildState> {
        let entry = self.children.get(&id).filter(|entry| entry.state.takes_calls())?;
        let n_open = entry.calls.n_open();
        self.tell(id, Event::Retired { n_open })
    }

    /// As [`Roster::tell`], for events after which no child has gone.
    pub(super) fn tell(&mut self, id: ChildId, event: Event) -> Option<ChildState> {
        let entry = self.children.get_mut(&id)?;
        match entry.state.next(event) {
            Ok(state) => entry.state = state,
            Err(illegal) => {
                tracing::error!(package = &*entry.child.package, pid = entry.child.process.pid, "{illegal}");
                debug_assert!(false, "{illegal}");
            }
        }
        Some(entry.state.clone())
    }
}

impl Entry {
    pub(super) fn is_leaving(&self) -> bool {
        !self.state.takes_calls()
    }

    pub(super) fn confinement(&self) -> Confinement {
        self.confinement.clone().unwrap_or_default()
    }
}
