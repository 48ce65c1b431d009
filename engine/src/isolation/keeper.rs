//! The one thread that waits for moments, for all package hosts of an engine: a host that is not ready in time, a call
//! that did not stop, one that was replaced and still has calls, one that has had none for a while.
//!
//! It sleeps to the next moment that is due, and without one for as long as it takes. Real time, whatever the engine's
//! clock says: a process that hangs does not use it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use super::{child::Child, death::Killed};

type TimerJob = Box<dyn FnOnce() + Send>;

/// Does things when they are due. Ends with the last handle.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
}

/// Something that is to be done; not done if this is dropped before.
#[must_use = "dropped at once it is never done"]
pub(super) struct Alarm {
    shared: Weak<Shared>,
    key: (Instant, u64),
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    due: BTreeMap<(Instant, u64), TimerJob>,
    next: u64,
    has_thread: bool,
    is_over: bool,
}

impl Keeper {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { shared: Arc::default() })
    }

    /// Has something done after that time. It must be quick.
    pub(super) fn after(&self, wait: Duration, job: impl FnOnce() + Send + 'static) -> Alarm {
        let at = now() + wait;
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (at, state.next);
        state.next += 1;
        state.due.insert(key, Box::new(job));
        if !state.has_thread {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("clcn-keeper".to_owned()).spawn(move || keep(&shared));
            match thread {
                Ok(_) => state.has_thread = true,
                Err(error) => tracing::error!(%error, "cannot start the thread that observes package hosts"),
            }
        }
        let is_first = state.due.first_key_value().is_some_and(|(first, _)| *first == key);
        drop(state);
        if is_first {
            self.shared.changed.notify_all();
        }
        Alarm { shared: Arc::downgrade(&self.shared), key }
    }

    /// Kills a process after that time.
    pub(super) fn kill_after(&self, wait: Duration, child: &Arc<Child>, why: Killed) -> Alarm {
        let child = Arc::downgrade(child);
        self.after(wait, move || {
            if let Some(child) = child.upgrade() {
                child.kill(why);
            }
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let job = shared.state.lock().unwrap_or_else(PoisonError::into_inner).due.remove(&self.key);
        // It may hold the last handle of something, and is dropped without the lock.
        drop(job);
    }
}

fn keep(shared: &Shared) {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.is_over {
        let Some((at, _)) = state.due.first_key_value().map(|(key, _)| *key) else {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let wait = at.saturating_duration_since(now());
        if !wait.is_zero() {
            state = shared.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        if let Some((_, job)) = state.due.pop_first() {
            drop(state);
            job();
            state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "processes live in real time, whatever the engine's clock says")]
pub(super) fn now() -> Instant {
    Instant::now()
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keeper").finish_non_exhaustive()
    }
}
