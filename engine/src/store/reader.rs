//! The readers: threads with connections of their own, so that no reader ever waits for the writer or delays it.
//!
//! A thread without work is blocked on the queue, and opens its connection with its first work: who reads little takes
//! few of a server's connections. A connection that is lost is opened again, and what was asked on it is asked again. The
//! threads end when the last [`Readers`] handle is gone.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use super::{
    Connection, Error, JobError,
    connection::{self, Access, Place},
    reconnect::retrying,
};

/// Readers are for people and for start-up; the hot path never reads. Two keep one slow query from blocking a quick
/// one.
const N_READERS: usize = 2;

pub(super) type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// A connection that can only read, as far as it is open.
pub(crate) struct Reader {
    pub(super) connection: Option<Connection>,
    /// After the connection, which must be closed first.
    pub(super) place: Place,
    /// Whether there was a connection before.
    was_open: bool,
}

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
            let mut reader = Reader::new(place.again());
            if matches!(place, Place::File(_)) {
                // Later there may be another file of that name.
                reader.open()?;
            }
            let queue = queue.clone();
            let spawned = thread::Builder::new().name(NAME.to_owned()).spawn(move || serve(&mut reader, &queue));
            threads.push(spawned.map_err(|source| Error::Thread { name: NAME, source })?);
        }
        Ok((Self { jobs }, threads))
    }

    pub(super) fn queue(&self, job: Job) -> Result<(), Error> {
        self.jobs.send(job).map_err(|_| Error::Closed)
    }
}

impl Reader {
    pub(super) fn new(place: Place) -> Self {
        Self { connection: None, place, was_open: false }
    }

    /// Runs a query, again and on another connection if a server is lost meanwhile.
    pub(crate) fn read<T, E: Into<JobError>>(
        &mut self,
        doing: &'static str,
        mut query: impl FnMut(&mut Connection) -> Result<T, E>,
    ) -> Result<T, Error> {
        let place = self.place.again();
        retrying(&place, || {
            let read = query(self.open()?).map_err(|error| error.into().into_error(doing));
            if matches!(read, Err(Error::Unavailable { .. })) {
                self.connection = None;
            }
            read
        })
    }

    /// The connection, which is opened if need be.
    fn open(&mut self) -> Result<&mut Connection, Error> {
        let Self { connection, place, was_open } = self;
        match connection {
            Some(connection) => Ok(connection),
            None => {
                let opened = connection::open(place, Access::Read);
                let opened = if *was_open { opened.map_err(Error::into_lost)? } else { opened? };
                *was_open = true;
                Ok(connection.insert(opened))
            }
        }
    }
}

fn serve(reader: &mut Reader, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(reader),
            Err(_) => return,
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readers").finish_non_exhaustive()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").field("place", &self.place).finish_non_exhaustive()
    }
}
