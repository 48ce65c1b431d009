//! The readers: threads with connections of their own, so that no reader ever waits for the writer or delays it.
//!
//! A thread without work is blocked on the queue. The threads end when the last [`Readers`] handle is gone.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use diesel::QueryResult;
use tokio::sync::oneshot;

use super::{
    Connection, Error,
    connection::{self, Access, Place},
};

/// Readers are for people and for start-up; the hot path never reads. Two keep one slow query from blocking a quick
/// one.
const N_READERS: usize = 2;

pub(super) type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the readers' queue. The queue is not bounded here: each caller waits for its own answer.
#[derive(Clone)]
pub(super) struct Readers {
    jobs: Sender<Job>,
}

impl Readers {
    pub(super) fn start(place: &Place) -> Result<(Self, Vec<thread::JoinHandle<()>>), Error> {
        const NAME: &str = "cloacina-reader";
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::with_capacity(N_READERS);
        for _ in 0..N_READERS {
            let connection = connection::open(place, Access::Read)?;
            let (place, queue) = (place.again(), queue.clone());
            let spawned = thread::Builder::new().name(NAME.to_owned()).spawn(move || serve(&place, connection, &queue));
            threads.push(spawned.map_err(|source| Error::Thread { name: NAME, source })?);
        }
        Ok((Self { jobs }, threads))
    }

    pub(super) async fn read<T, F>(&self, doing: &'static str, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> QueryResult<T> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever asked may have stopped waiting; then there is nobody to tell.
            answer.send(query(connection)).ok();
        });
        self.queue(job)?;
        result.await.map_err(|_| Error::Closed)?.map_err(|source| Error::from_diesel(doing, source))
    }

    pub(super) fn queue(&self, job: Job) -> Result<(), Error> {
        self.jobs.send(job).map_err(|_| Error::Closed)
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readers").finish_non_exhaustive()
    }
}

fn serve(place: &Place, mut connection: Connection, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => {
                if !connection::is_alive(&mut connection) {
                    // Without a new connection the job is told so by the old one.
                    match connection::open(place, Access::Read) {
                        Ok(opened) => connection = opened,
                        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot read"),
                    }
                }
                job(&mut connection);
            }
            Err(_) => return,
        }
    }
}
