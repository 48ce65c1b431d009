//! The engine's side of the socket as a whole: the thread that listens, and its end.
//!
//! Ending has two steps, as the file must be gone before the lock is given back, while those who are connected are to
//! hear of the engine's end: [`Service::withdraw`] removes the file and lets nobody new in, [`Service::end`] waits for
//! the last answers.

use std::{
    fmt, fs, io,
    os::unix::net::UnixListener as StdListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{net::UnixListener, sync::watch, task::JoinSet, time::timeout};

use super::{connection, place, table::Table};
use crate::engine::Shared;

/// How long the last answers may take when the engine has ended.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How long nobody is let in after the system refused a connection and there was nobody to make room, for want of
/// descriptors most likely.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Clients for which there is no place and that are being told so.
const TURNED_AWAY_MAX: usize = 64;

/// The socket of a running engine; ends when dropped.
pub(crate) struct Service {
    path: PathBuf,
    stage: watch::Sender<Stage>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Withdrawn,
    Ended,
}

impl Service {
    /// Opens the socket of that database, of which the caller holds the lock.
    pub(crate) fn start(database: &Path, data_dir: &Path, shared: Weak<Shared>) -> io::Result<Self> {
        let path = place::choose(database)?;
        place::clear(&path)?;
        let listener = StdListener::bind(&path)?;
        place::close_to_others(&path)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stage, stages) = watch::channel(Stage::Serving);
        let table = Table::new(data_dir.to_owned());
        let serve = move || {
            runtime.block_on(async {
                match UnixListener::from_std(listener) {
                    Ok(listener) => serve(listener, stages, (shared, table)).await,
                    Err(error) => tracing::warn!(%error, "the socket of the engine cannot be listened to"),
                }
            });
        };
        let thread = thread::Builder::new().name("cloacina-socket".to_owned()).spawn(serve)?;
        Ok(Self { path, stage, thread: Mutex::new(Some(thread)) })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the socket's file and lets nobody new in. Must be called while the lock is held; may be called again.
    pub(crate) fn withdraw(&self) {
        let was_serving = self.stage.send_if_modified(|stage| {
            let serving = *stage == Stage::Serving;
            if serving {
                *stage = Stage::Withdrawn;
            }
            serving
        });
        if was_serving && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket of the engine cannot be removed");
        }
    }

    /// Waits for the last answers, not for long.
    pub(crate) fn end(&self) {
        self.withdraw();
        self.stage.send_replace(Stage::Ended);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle of an engine may be that of a client that is being answered.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the thread of the socket panicked");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

/// Lets clients in until the engine ends.
async fn serve(
    listener: UnixListener,
    mut stages: watch::Receiver<Stage>,
    (shared, table): (Weak<Shared>, Arc<Table>),
) {
    let mut connections = JoinSet::new();
    let mut turned_away = JoinSet::new();
    let shared = Arc::new(shared);
    let mut stopped = stages.clone();
    loop {
        tokio::select! {
            biased;
            _ = stages.wait_for(|stage| *stage != Stage::Serving) => break,
            Some(ended) = connections.join_next() => note(ended),
            Some(ended) = turned_away.join_next() => note(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&shared);
                    let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
                    match table.enter(peer) {
                        Ok(seat) => drop(connections.spawn(async move { connection::serve(stream, &seat, &shared).await })),
                        // Those that are told so take no place, but a moment each.
                        Err(error) if turned_away.len() < TURNED_AWAY_MAX => {
                            turned_away.spawn(async move { connection::turn_away(stream, &error).await });
                        }
                        Err(_) => {}
                    }
                }
                // What was closed to make room gives its descriptor back when its task gets to run.
                Err(_) if table.make_room() => tokio::task::yield_now().await,
                Err(error) => {
                    tracing::warn!(%error, "a client of the socket could not be let in");
                    // However that goes, the loop looks at the stage next.
                    timeout(REFUSED_PAUSE, stopped.wait_for(|stage| *stage != Stage::Serving)).await.ok();
                }
            },
        }
    }
    drop(listener);
    loop {
        tokio::select! {
            biased;
            _ = stages.wait_for(|stage| *stage == Stage::Ended) => break,
            Some(ended) = connections.join_next() => note(ended),
        }
    }
    let last_words = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if timeout(LAST_WORDS, last_words).await.is_err() {
        connections.shutdown().await;
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection of the socket ended with an error");
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").field("path", &self.path).finish_non_exhaustive()
    }
}
