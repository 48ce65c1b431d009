//! How often the store tries again what a server could not do: the pauses, their end, and which errors are worth it.

use std::time::{Duration, Instant};

use super::{Error, connection::Place};

/// Pauses between tries. Together they outlast the restart of a server, and are well below what a person waits for.
const PAUSES_MS: [u64; 8] = [0, 50, 200, 500, 1000, 2000, 4000, 4000];

/// So many pauses, about two seconds together, where nothing but a refused connection says that there is a server: one
/// that is being started again takes no longer, and a wrong address is told soon.
const N_BRIEF_PAUSES: usize = 5;

/// No try begins later than this after the first one failed. A try may take long by itself, as it waits for locks.
const TRIES_END: Duration = Duration::from_secs(15);

/// The tries of something that failed.
pub(super) struct Reconnect {
    n_pauses: usize,
    begun: Instant,
}

/// The time until the next try.
pub(super) struct Pause(Duration);

/// How long what failed is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    /// There may be no server at all.
    Brief,
    Full,
}

impl Reconnect {
    #[expect(clippy::disallowed_methods, reason = "a server is lost in real time, whatever clock the engine is given")]
    pub(super) fn new() -> Self {
        Self { n_pauses: 0, begun: Instant::now() }
    }

    /// The time to wait before another try, if that error is worth one.
    pub(super) fn pause(&mut self, error: &Error) -> Option<Pause> {
        let n_max = match error.patience() {
            Patience::None => 0,
            Patience::Brief => N_BRIEF_PAUSES,
            Patience::Full => PAUSES_MS.len(),
        };
        let pause = Duration::from_millis(*PAUSES_MS[..n_max].get(self.n_pauses)?);
        self.n_pauses += 1;
        (self.begun.elapsed() + pause < TRIES_END).then_some(Pause(pause))
    }
}

impl Pause {
    /// Blocks the store's own thread, which has nothing else that it could do.
    pub(super) fn wait(self) {
        std::thread::park_timeout(self.0);
    }
}

/// Does something on a server until it succeeds, fails for good, or has failed for too long. What is tried must change
/// nothing, or be the same when it is done twice. On a file it is tried once.
pub(super) fn retrying<T>(place: &Place, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut reconnect = Reconnect::new();
    loop {
        let error = match attempt() {
            Err(error) if matches!(place, Place::Server(_)) => error,
            done => return done,
        };
        let Some(pause) = reconnect.pause(&error) else { return Err(error) };
        tracing::warn!(error = &error as &dyn std::error::Error, "the database cannot be used now; trying again");
        pause.wait();
    }
}
