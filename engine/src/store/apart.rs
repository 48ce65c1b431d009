//! A thread for one question to a database whose store is closed, so that the caller, which is async, is not blocked.
//!
//! The thread ends with its answer, which the caller waits for. How many questions are asked at once is for the caller to
//! bound.

use std::thread;

use tokio::sync::oneshot;

use super::Error;

/// Does the work on a thread of its own, and returns what came of it.
///
/// # Errors
/// [`Error::Thread`] if there can be no such thread, [`Error::Closed`] if it ended without an answer.
pub(crate) async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    const NAME: &str = "cloacina-apart";
    let (answer, answered) = oneshot::channel();
    // The caller may have stopped waiting.
    let work = move || drop(answer.send(work()));
    let spawned = thread::Builder::new().name(NAME.to_owned()).spawn(work);
    spawned.map_err(|source| Error::Thread { name: NAME, source })?;
    answered.await.map_err(|_| Error::Closed)
}
