//! The store's handle: opens the database, starts its threads, and closes them in order.
//!
//! The lock of a file is taken before anything is read and given back after every thread has ended, so two engines
//! never have the file open for writing at once. A server has no such lock: there each run has its owner.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Answers, Commit, Connection, Error, JobError, Sabotage, Signs,
    connection::{self, Access, Place},
    database::Database,
    file::File,
    lock::Lock,
    log_queue::LogQueue,
    mark::{Mark, mark_remove_old},
    migrate,
    reader::Readers,
    reconnect::retrying,
    writer::{Command, Job, Undo, Writer},
};

/// How a store is opened.
pub(crate) struct Options {
    pub(crate) database: Database,
    pub(crate) answers: Answers,
    pub(crate) signs: Signs,
    /// How long this engine counts as alive after it was last heard of.
    pub(crate) lease: Duration,
    pub(crate) sabotage: Sabotage,
}

impl Options {
    /// What the writer's connection may do.
    pub(super) fn access(&self) -> Access {
        Access::Write { lease: self.lease, synced: !self.sabotage.is_unsynced() }
    }

    /// A store whose owners nobody asks about.
    #[cfg(any(test, feature = "measuring"))]
    pub(crate) fn new(database: Database, answers: Answers) -> Self {
        let lease = super::LEASE_DEFAULT;
        Self { database, answers, signs: Box::new(|_| {}), lease, sabotage: Sabotage::default() }
    }
}

/// A cheap handle to the store. Clones share its threads; closing one closes it for all.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    open: Mutex<Option<Open>>,
    database: Database,
    /// The database as it is shown.
    name: String,
    /// The epoch whose lease the writer keeps.
    epoch: Arc<AtomicI64>,
    logs: LogQueue,
    /// Transactions that the writer has committed.
    n_transactions: Arc<AtomicU64>,
}

/// What is there while the store is open.
struct Open {
    commands: Sender<Command>,
    writer: JoinHandle<()>,
    readers: Readers,
    reader_threads: Vec<JoinHandle<()>>,
    /// Of a file.
    lock: Option<Lock>,
}

impl Store {
    /// Opens the database, creating a file if need be, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Locked`] if another engine has the file; otherwise whatever keeps the database from being used.
    pub(crate) fn open(options: Options) -> Result<Self, Error> {
        const NAME: &str = "cloacina-writer";
        let database = options.database.clone();
        let (place, lock) = match &database {
            Database::Sqlite(path) if options.sabotage.is_unfenced() => {
                (Place::File(File::open_or_create(path)?), None)
            }
            Database::Sqlite(path) => {
                let lock = Lock::take(path)?;
                (Place::File(lock.database().again()), Some(lock))
            }
            Database::Postgres(server) => (Place::Server(server.clone()), None),
        };
        let mark = Mark::new();
        let mut was_open = false;
        let connection = retrying(&place, || {
            let opened = connection::open(&place, options.access());
            let mut connection = if was_open { opened.map_err(Error::into_lost)? } else { opened? };
            was_open = true;
            migrate::run(&mut connection, &database)?;
            let begun = mark_remove_old(&mut connection).and_then(|()| mark.prepare(&mut connection));
            begun.map_err(|source| Error::from_diesel("opening the database", source))?;
            Ok(connection)
        })?;
        let name = database.name();
        let epoch = Arc::new(AtomicI64::new(0));
        let (commands, queue) = mpsc::channel();
        let logs = LogQueue::new(commands.clone());
        let n_transactions = Arc::new(AtomicU64::new(0));
        let reading = place.again();
        let counters = (Arc::clone(&epoch), Arc::clone(&n_transactions));
        let writer = Writer::new(options, (place, connection, mark), counters, logs.clone());
        let spawned = thread::Builder::new().name(NAME.to_owned()).spawn(move || writer.serve(&queue));
        let writer = spawned.map_err(|source| Error::Thread { name: NAME, source })?;
        let (readers, reader_threads) = match Readers::start(&reading) {
            Ok(started) => started,
            Err(error) => {
                end_writer(&logs, commands, writer);
                return Err(error);
            }
        };
        let open = Open { commands, writer, readers, reader_threads, lock };
        Ok(Self {
            shared: Arc::new(Shared { open: Mutex::new(Some(open)), database, name, epoch, logs, n_transactions }),
        })
    }

    /// The database as it is shown: without a password.
    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// The database, which can be looked at when the store has been closed, too.
    pub(crate) fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Tells other processes where this engine's socket is; nothing on a server, whose engines have none.
    pub(crate) fn note_socket(&self, socket: &Path) -> Result<(), Error> {
        let noted = self.with_open(|open| open.lock.as_ref().map_or(Ok(()), |lock| lock.note_socket(socket)))?;
        noted.map_err(|source| Error::LockFile { path: socket.to_owned(), source })
    }

    /// Renews the lease of that epoch from now on, for as long as the store is open; none with 0.
    pub(crate) fn keep_lease(&self, epoch: i64) {
        self.shared.epoch.store(epoch, Ordering::Relaxed);
    }

    /// How many transactions the writer has committed; each is one sync, whatever the number of commits in it.
    pub(crate) fn n_transactions(&self) -> u64 {
        self.shared.n_transactions.load(Ordering::Relaxed)
    }

    /// A handle for the driver that hands over commits without a lock.
    pub(crate) fn committer(&self) -> Result<Committer, Error> {
        self.with_open(|open| Committer { commands: open.commands.clone() })
    }

    /// Where log lines are handed over.
    pub(crate) fn logs(&self) -> LogQueue {
        self.shared.logs.clone()
    }

    /// Returns when every log line that was handed over before has been stored or given up.
    pub(crate) async fn log_flush(&self) -> Result<(), Error> {
        let (answer, done) = oneshot::channel();
        self.with_open(|open| open.commands.send(Command::StoreLogs(answer)))?.map_err(|_| Error::Closed)?;
        done.await.map_err(|_| Error::Closed)
    }

    /// Runs a change in a transaction of the writer; returns when it is durable. The change may be called again
    /// after a rollback, so it must not leave anything behind but what it returns.
    ///
    /// # Errors
    /// [`Error::Change`] if the database failed. An error of the change itself is given back as it is; then what the
    /// change wrote is undone, and the rest of its group is not affected.
    pub(crate) async fn write<T, E, F>(&self, doing: &'static str, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        E: Into<JobError>,
        F: FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        self.write_job(doing, change)?.await.map_err(|_| Error::Closed)?
    }

    /// As [`Self::write`], for threads that may block.
    pub(crate) fn write_blocking<T, E, F>(&self, doing: &'static str, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        E: Into<JobError>,
        F: FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        self.write_job(doing, change)?.blocking_recv().map_err(|_| Error::Closed)?
    }

    /// As [`Self::write`], without waiting: what came of it is told on the writer's thread, which must not be blocked.
    pub(crate) fn write_detached<T, E, F>(
        &self,
        doing: &'static str,
        change: F,
        then: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) -> Result<(), Error>
    where
        T: Send + 'static,
        E: Into<JobError>,
        F: FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        self.queue_job(doing, change, Box::new(then))
    }

    /// Runs a query on a connection that can only read. The query may be run again on another connection if a server is
    /// lost meanwhile. An error of the query itself is given back as it is.
    pub(crate) async fn read<T, E, F>(&self, doing: &'static str, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        E: Into<JobError>,
        F: FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        // The caller may have stopped waiting; then there is nobody to tell.
        self.read_detached(doing, query, move |read| drop(answer.send(read)))?;
        result.await.map_err(|_| Error::Closed)?
    }

    /// As [`Self::read`], for threads that may block.
    pub(crate) fn read_blocking<T, E, F>(&self, doing: &'static str, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        E: Into<JobError>,
        F: FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, result) = mpsc::channel();
        // Nobody stops waiting.
        self.read_detached(doing, query, move |read| drop(answer.send(read)))?;
        result.recv().map_err(|_| Error::Closed)?
    }

    /// As [`Self::read`], without waiting: what came of it is told on the reader's thread, which must not be blocked.
    pub(crate) fn read_detached<T, E, F>(
        &self,
        doing: &'static str,
        query: F,
        then: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) -> Result<(), Error>
    where
        E: Into<JobError>,
        F: FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        self.with_open(|open| open.readers.clone())?.queue(Box::new(move |reader| then(reader.read(doing, query))))
    }

    /// Lets the writer finish what is queued, ends all threads and gives back the lock. Every [`Committer`] must be
    /// gone, as the writer serves until then. Later calls on any handle answer [`Error::Closed`].
    ///
    /// The readers end first: the last connection moves the write-ahead log into the database, and of several that
    /// close at once none may be the last.
    pub(crate) fn close(&self) {
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Open { commands, writer, readers, reader_threads, lock }) = open else { return };
        drop(readers);
        for thread in reader_threads {
            if thread.join().is_err() {
                tracing::error!("a reader of the store panicked");
            }
        }
        end_writer(&self.shared.logs, commands, writer);
        drop(lock);
    }

    fn write_job<T, E, F>(&self, doing: &'static str, change: F) -> Result<oneshot::Receiver<Result<T, Error>>, Error>
    where
        T: Send + 'static,
        E: Into<JobError>,
        F: FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        // The caller may have stopped waiting; the change is durable all the same.
        self.queue_job(doing, change, Box::new(|result| drop(answer.send(result))))?;
        Ok(result)
    }

    fn queue_job<T, E, F>(&self, doing: &'static str, change: F, answer: Answer<T>) -> Result<(), Error>
    where
        T: Send + 'static,
        E: Into<JobError>,
        F: FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let job = Change { doing, change, ended: None, answer: Some(answer) };
        self.with_open(|open| open.commands.send(Command::Job(Box::new(job))))?.map_err(|_| Error::Closed)
    }

    fn with_open<T>(&self, with: impl FnOnce(&Open) -> T) -> Result<T, Error> {
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(with).ok_or(Error::Closed)
    }
}

/// Lets the writer finish what is queued.
fn end_writer(logs: &LogQueue, commands: Sender<Command>, writer: JoinHandle<()>) {
    logs.close();
    drop(commands);
    if writer.join().is_err() {
        tracing::error!("the writer of the store panicked");
    }
}

/// Hands commits to the writer.
pub(crate) struct Committer {
    commands: Sender<Command>,
}

impl Committer {
    /// Queues commits; their outcomes come through the store's [`Answers`], in this order.
    pub(crate) fn commit(&self, commits: Vec<Commit>) -> Result<(), Error> {
        self.commands.send(Command::Commits(commits)).map_err(|_| Error::Closed)
    }
}

/// A closure as the writer's job.
struct Change<T, F> {
    doing: &'static str,
    change: F,
    /// What the change ended with when it was run last, unless the database failed.
    ended: Option<Result<T, Error>>,
    answer: Option<Answer<T>>,
}

type Answer<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;

impl<T, E, F> Job for Change<T, F>
where
    T: Send,
    E: Into<JobError>,
    F: FnMut(&mut Connection) -> Result<T, E> + Send,
{
    fn write(&mut self, connection: &mut Connection) -> Result<(), Undo> {
        self.ended = None;
        let (ended, written) = match (self.change)(connection).map_err(Into::into) {
            Ok(value) => (Ok(value), Ok(())),
            Err(JobError::Store(error)) => (Err(error), Err(Undo::Answered)),
            Err(JobError::Query(source)) => return Err(Undo::Failed(source)),
        };
        self.ended = Some(ended);
        written
    }

    fn finish(&mut self, result: Result<(), Arc<Error>>) {
        let result = match (result, self.ended.take()) {
            (Ok(()), Some(ended)) => ended,
            (Ok(()), None) => Err(Error::Closed),
            (Err(error), _) => Err(Error::Change { doing: self.doing, source: error }),
        };
        if let Some(answer) = self.answer.take() {
            answer(result);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Store");
        shown.field("database", &self.shared.name).field("n_transactions", &self.n_transactions());
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Committer").finish_non_exhaustive()
    }
}
