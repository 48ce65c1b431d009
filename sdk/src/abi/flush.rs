//! Ends a call after the output of its package was flushed, so that the host can attribute the output to the call.
//!
//! Rust keeps an incomplete line in a buffer of this library. A thread that holds the lock of that buffer must not keep
//! calls from ending: another thread, which otherwise sleeps, ends a call with a flush that takes too long, and nothing is
//! flushed until that flush has returned. At most one thread waits for the lock.

use std::{
    io::{self, Write},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::call::Completion;
use crate::attempt::AttemptEnd;

/// How long a call waits for the lock. A printing thread holds it for microseconds.
const WAIT: Duration = Duration::from_millis(100);

static FLUSH: Flush = Flush { state: Mutex::new(State::new()), changed: Condvar::new() };

struct Flush {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The call with a flush in progress.
    waiting: Option<(Completion, AttemptEnd)>,
    /// Whether a flush is in progress, maybe of a call that was ended without it.
    is_flushing: bool,
    /// Which flush that is.
    number: u64,
    has_thread: bool,
    is_asleep: bool,
}

impl State {
    const fn new() -> Self {
        Self { waiting: None, is_flushing: false, number: 0, has_thread: false, is_asleep: false }
    }
}

/// Ends a call, after a flush if that is possible now.
pub(super) fn complete(completion: Completion, end: AttemptEnd) {
    let mut state = lock();
    if state.is_flushing || !has_thread(&mut state) {
        drop(state);
        return completion.complete(end);
    }
    state.is_flushing = true;
    state.number += 1;
    state.waiting = Some((completion, end));
    if state.is_asleep {
        FLUSH.changed.notify_one();
    }
    drop(state);
    // A package may close its output.
    io::stdout().flush().ok();
    let mut state = lock();
    state.is_flushing = false;
    let waiting = state.waiting.take();
    drop(state);
    if let Some((completion, end)) = waiting {
        completion.complete(end);
    }
}

/// Whether the thread exists that ends calls with a slow flush; it is started when it is first needed.
fn has_thread(state: &mut State) -> bool {
    if !state.has_thread {
        state.has_thread = thread::Builder::new().name("cloacina-flush".to_owned()).spawn(watch).is_ok();
    }
    state.has_thread
}

fn watch() {
    let mut state = lock();
    loop {
        if state.waiting.is_none() {
            state.is_asleep = true;
            state = FLUSH.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.is_asleep = false;
            continue;
        }
        let number = state.number;
        state = FLUSH.changed.wait_timeout(state, WAIT).unwrap_or_else(PoisonError::into_inner).0;
        if state.number == number
            && let Some((completion, end)) = state.waiting.take()
        {
            drop(state);
            completion.complete(end);
            state = lock();
        }
    }
}

fn lock() -> MutexGuard<'static, State> {
    // Nothing panics while it is held.
    FLUSH.state.lock().unwrap_or_else(PoisonError::into_inner)
}
