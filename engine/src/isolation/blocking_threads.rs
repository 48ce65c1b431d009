//! The threads of a package host on which functions run that may block. One is made when none is free, up to a bound;
//! beyond it calls wait their turn. They sleep while there is nothing to do, and end with the process.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

/// As many as an engine has for the packages that it runs itself.
const THREADS_MAX: usize = 512;

type Job = Box<dyn FnOnce() + Send>;

/// The threads, and what they are to do.
pub(super) struct BlockingThreads {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    n_threads: usize,
    n_free: usize,
}

impl BlockingThreads {
    pub(super) fn new() -> Self {
        Self { shared: Arc::default() }
    }

    /// Has that done by a thread, soon.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.jobs.push_back(Box::new(job));
        if state.jobs.len() <= state.n_free || state.n_threads == THREADS_MAX {
            self.shared.changed.notify_one();
            return;
        }
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("clcn-blocking".to_owned()).spawn(move || work(&shared));
        match thread {
            Ok(_) => state.n_threads += 1,
            // The limits of the process may allow no more; those that there are do it in turn, or this one does.
            Err(_) if state.n_threads > 0 => self.shared.changed.notify_one(),
            Err(_) => {
                let job = state.jobs.pop_back();
                drop(state);
                if let Some(job) = job {
                    job();
                }
            }
        }
    }
}

fn work(shared: &Shared) {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            job();
            state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        state.n_free += 1;
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.n_free -= 1;
    }
}
