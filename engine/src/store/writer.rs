//! The writer: one thread that owns the one connection that writes, and commits in groups.
//!
//! It takes whatever has queued up, writes it in one transaction, syncs once and tells everyone. There is no timer:
//! while one group syncs the next one gathers, and a single change commits at once. If the group fails it is rolled
//! back and halved until only the culprit is left with the error. Order is kept, always.
//!
//! Log lines have a queue of their own. They ride along with the next group, a bounded number at a time; only if there
//! is none for a while they are written alone. So they cost commits next to nothing and an idle writer nothing.
//!
//! A connection that is lost is opened again, a bounded number of times. Whether a group whose COMMIT was not answered is
//! on the disk is asked and never guessed; if it cannot be asked, the group is *in doubt* and everyone is told that.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::Duration,
};

use diesel::{Connection as _, QueryResult, result::Error as DieselError};
use tokio::sync::oneshot;

use super::{
    Connection, Error,
    commit::{self, Commit, Outcome},
    commit_postgres,
    connection::{self, Access, Place},
    dialect::Failed,
    file::Presence,
    handle::Options,
    lease::Lease,
    log_queue::LogQueue,
    mark::{Fate, Mark},
    postgres::Landing,
    reconnect::Reconnect,
    sabotage::Sabotage,
};
use crate::id::RunId;

/// Where the outcomes of commits go: one call for each group, in the order of the commits. Must not block.
pub(crate) type Answers = Box<dyn FnMut(Vec<Outcome>) + Send>;

/// Rows in one transaction. More would not save syncs worth having, but would make everyone in the group wait.
const GROUP_ROWS_MAX: usize = 4096;

/// How long log lines wait for a group before they are written by themselves. Long enough that a task which talks all
/// the time does not make the disk sync all the time, short enough for a person who follows the log.
const LOGS_WAIT: Duration = Duration::from_millis(200);

/// What the writer is asked to do.
pub(super) enum Command {
    Commits(Vec<Commit>),
    Job(Box<dyn Job>),
    /// The queue of log lines is not empty any more.
    LogsWaiting,
    /// Somebody wants to read the log lines that are in the queue.
    StoreLogs(oneshot::Sender<()>),
}

/// A rare change that is not a commit, such as registering a package. May be run several times; each time that counts
/// is preceded by a rollback of the one before.
pub(super) trait Job: Send {
    fn write(&mut self, connection: &mut Connection) -> Result<(), Undo>;
    /// Called once, after the group is durable or has failed.
    fn finish(&mut self, result: Result<(), Arc<Error>>);
}

/// Why what a job wrote is undone.
pub(super) enum Undo {
    /// The database failed a statement of the job.
    Failed(DieselError),
    /// The job ended with an error of its own, which it keeps for its caller.
    Answered,
}

pub(super) struct Writer {
    connection: Connection,
    /// Whether the connection is known to be lost, so that it must be opened again.
    is_lost: bool,
    mark: Mark,
    /// After the connection, which must be closed first.
    place: Place,
    /// Of a file.
    presence: Option<Presence>,
    access: Access,
    answers: Answers,
    sabotage: Sabotage,
    /// So many have been taken from the queue.
    n_commits: u64,
    is_crashed: bool,
    lease: Lease,
    n_transactions: Arc<AtomicU64>,
    logs: LogQueue,
    /// How long the log lines in the queue may wait for a group to ride along with; absent if there are none.
    logs_wait: Option<Duration>,
    /// Told when the queue of log lines is empty.
    logs_awaited: Vec<oneshot::Sender<()>>,
    stopped: Terms,
    /// The last attempt to write failed in a way that a connection to a file may remember.
    is_suspect: bool,
}

/// Runs of which a commit failed, by epoch, each with its term: commits up to that term are refused, as they follow
/// from one that is not in the database.
type Terms = HashMap<(RunId, i64), u32>;

/// One thing to write and how it went.
struct Unit {
    work: Work,
    outcome: Outcome,
}

enum Work {
    Commit(Commit),
    Job(Box<dyn Job>),
}

impl Unit {
    /// The commit, if it is one and may be written.
    fn flies(&self, stopped: &Terms) -> Option<&Commit> {
        let Work::Commit(commit) = &self.work else { return None };
        let is_stopped = stopped.get(&(commit.run, commit.epoch)).is_some_and(|term| commit.term <= *term);
        (!is_stopped).then_some(commit)
    }
}

impl Writer {
    pub(super) fn new(
        options: Options,
        (place, connection, mark): (Place, Connection, Mark),
        (epoch, n_transactions): (Arc<AtomicI64>, Arc<AtomicU64>),
        logs: LogQueue,
    ) -> Self {
        let access = options.access();
        let presence = match &place {
            Place::File(file) => Some(Presence::new(file)),
            Place::Server(_) => None,
        };
        let Options { answers, signs, lease, sabotage, .. } = options;
        Self {
            connection,
            is_lost: false,
            mark,
            place,
            presence,
            access,
            answers,
            sabotage,
            n_commits: 0,
            is_crashed: false,
            lease: Lease::new(epoch, lease, signs),
            n_transactions,
            logs,
            logs_wait: None,
            logs_awaited: Vec::new(),
            stopped: Terms::new(),
            is_suspect: false,
        }
    }

    /// Serves until all senders are gone and the queue is empty.
    pub(super) fn serve(mut self, queue: &Receiver<Command>) {
        while let Some(first) = self.next(queue) {
            let mut units = Vec::new();
            let mut n_rows = self.push(&mut units, first);
            while n_rows < GROUP_ROWS_MAX {
                match queue.try_recv() {
                    Ok(command) => n_rows += self.push(&mut units, command),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.crash_if_due(&mut units);
            self.write(units);
            if self.is_crashed {
                return;
            }
        }
        // What is left when nobody can add to it any more.
        while !self.logs.is_empty() {
            self.logs_wait = Some(Duration::ZERO);
            self.write(Vec::new());
        }
        if let Err(error) = self.mark.remove(&mut self.connection) {
            tracing::debug!(error = &error as &dyn std::error::Error, "the row of this writer is left behind");
        }
        connection::empty_log(&mut self.connection);
    }

    /// Leaves out what a crash keeps from being written.
    fn crash_if_due(&mut self, units: &mut Vec<Unit>) {
        let Some(n_max) = self.sabotage.crash_after() else { return };
        units.retain(|unit| {
            self.n_commits += u64::from(matches!(unit.work, Work::Commit(_)));
            self.is_crashed = self.n_commits > n_max;
            !self.is_crashed
        });
    }

    /// Writes a group with some of the log lines that wait, and tells everyone.
    fn write(&mut self, mut units: Vec<Unit>) {
        let batch = self.logs_wait.and_then(|_| self.logs.take(units.is_empty()));
        units.extend(batch.map(|batch| Unit { work: Work::Job(Box::new(batch)), outcome: Outcome::Committed }));
        self.logs_wait = (!self.logs.is_empty()).then_some(Duration::ZERO);
        if !units.is_empty() {
            self.write_halving(&mut units);
            if self.is_crashed {
                return;
            }
            self.write_busy_again(&mut units);
            self.tell(units);
        }
        if self.logs_wait.is_none() {
            // The caller may have stopped waiting.
            self.logs_awaited.drain(..).for_each(|awaited| {
                awaited.send(()).ok();
            });
        }
        self.renew_if_due();
    }

    /// Waits for something to do. On a server it keeps the lease meanwhile, and writes log lines that have waited for
    /// long enough.
    fn next(&mut self, queue: &Receiver<Command>) -> Option<Command> {
        loop {
            let command = match self.logs_wait.or(self.lease.due_in(&self.connection)) {
                Some(wait) => queue.recv_timeout(wait),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match command {
                Ok(Command::LogsWaiting) => self.logs_wait = Some(LOGS_WAIT),
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Timeout) if self.logs_wait.is_some() => self.write(Vec::new()),
                Err(RecvTimeoutError::Timeout) => self.renew_if_due(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Adds what a command asks for to the group, and returns how many rows that is.
    fn push(&mut self, units: &mut Vec<Unit>, command: Command) -> usize {
        let n_before = units.len();
        let mut n_rows = 0;
        match command {
            Command::Commits(commits) => {
                units.extend(commits.into_iter().map(|commit| {
                    n_rows += commit.n_rows();
                    Unit { work: Work::Commit(commit), outcome: Outcome::Committed }
                }));
            }
            Command::Job(job) => units.push(Unit { work: Work::Job(job), outcome: Outcome::Committed }),
            Command::LogsWaiting => self.logs_wait = Some(LOGS_WAIT),
            Command::StoreLogs(awaited) => {
                self.logs_wait = Some(Duration::ZERO);
                self.logs_awaited.push(awaited);
            }
        }
        n_rows.max(units.len() - n_before)
    }

    /// Renews the lease if it is time: on a new connection at once if the old one is lost, as the lease may not last for
    /// another period.
    fn renew_if_due(&mut self) {
        if !self.lease.is_due(&self.connection) {
            return;
        }
        let warn = |error: &Error| tracing::warn!(error = error as &dyn std::error::Error, "the lease was not renewed");
        if !self.is_lost
            && let Err(error) = self.renew()
        {
            warn(&error);
            self.is_lost = matches!(error, Error::Unavailable { .. });
        }
        if let Err(error) = self.reopen_if_lost() {
            warn(&error);
        }
    }

    /// A connection to a file that was opened while the disk refused writes may be one that can only read for ever.
    fn reopen_if_suspect(&mut self) {
        if !self.is_suspect || self.is_server() {
            return;
        }
        match connection::open(&self.place, self.access) {
            Ok(connection) => (self.connection, self.is_suspect) = (connection, false),
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "the file cannot be opened"),
        }
    }

    fn renew(&mut self) -> Result<(), Error> {
        let renewed = self.lease.renew(&mut self.connection);
        renewed.map_err(|source| Error::from_diesel("renewing the lease", source))
    }

    /// Writes the units, or finds those that cannot be written.
    fn write_halving(&mut self, units: &mut [Unit]) {
        let Err(error) = self.write_connected(units) else { return };
        if units.len() == 1 || error.is_nobodys_fault() {
            // A database that cannot be written is not the fault of a unit: trying each alone would only wait longer.
            self.is_suspect = matches!(error, Error::Disk { .. });
            let error = Arc::new(error);
            for unit in units {
                if let Work::Commit(commit) = &unit.work {
                    let term = self.stopped.entry((commit.run, commit.epoch)).or_default();
                    *term = commit.term.max(*term);
                }
                unit.outcome = Outcome::Failed(error.clone(), None);
            }
            return;
        }
        let (first, second) = units.split_at_mut(units.len() / 2);
        self.write_halving(first);
        self.write_halving(second);
    }

    /// Writes jobs again that waited in vain for somebody else's lock. Each is alone then, so nobody waits with it.
    fn write_busy_again(&mut self, units: &mut [Unit]) {
        if !self.is_server() || units.len() == 1 {
            return;
        }
        for unit in units {
            let is_busy = matches!(&unit.outcome, Outcome::Failed(error, _) if matches!(**error, Error::Busy { .. }));
            if is_busy && matches!(unit.work, Work::Job(_)) {
                self.write_halving(std::slice::from_mut(unit));
            }
        }
    }

    /// Writes the group, again if that failed for a reason that passes, and on a new connection if the old one is lost.
    fn write_connected(&mut self, units: &mut [Unit]) -> Result<(), Error> {
        self.reopen_if_suspect();
        let mut reconnect = Reconnect::new();
        // Whether the server may have committed the group although its answer was lost.
        let mut is_in_doubt = false;
        loop {
            let error = match self.write_once(units, &mut is_in_doubt) {
                Err(error) if self.is_server() => error,
                written => return written,
            };
            self.is_lost |= matches!(error, Error::Unavailable { .. });
            let Some(pause) = reconnect.pause(&error) else {
                return Err(match is_in_doubt {
                    true => Error::InDoubt { doing: "committing", source: Box::new(error) },
                    false => error,
                });
            };
            tracing::warn!(error = &error as &dyn std::error::Error, "the database cannot be written; trying again");
            pause.wait();
            // An engine that waits for long must not lose the lease by that.
            self.renew_if_due();
        }
    }

    fn write_once(&mut self, units: &mut [Unit], is_in_doubt: &mut bool) -> Result<(), Error> {
        self.reopen_if_lost()?;
        if *is_in_doubt {
            let fate = self.mark.fate(&mut self.connection);
            match fate.map_err(|source| Error::from_diesel("asking for a lost commit", source))? {
                Fate::Committed => {
                    self.n_transactions.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Fate::RolledBack => *is_in_doubt = false,
            }
        }
        self.presence.as_mut().map_or(Ok(()), Presence::check_file)?;
        self.write_group(units).map_err(|Failed { source, at_commit }| {
            let error = Error::from_diesel("committing", source);
            *is_in_doubt = at_commit && matches!(error, Error::Unavailable { .. });
            error
        })?;
        // What was written to a file that has gone meanwhile must not be acknowledged.
        self.presence.as_mut().map_or(Ok(()), Presence::check_all)
    }

    /// Opens the connection again if it is known to be lost, and renews the lease first of all.
    fn reopen_if_lost(&mut self) -> Result<(), Error> {
        if self.is_lost {
            let mut connection = connection::open(&self.place, self.access).map_err(Error::into_lost)?;
            let prepared = self.mark.prepare(&mut connection);
            prepared.map_err(|source| Error::from_diesel("opening the database", source))?;
            self.connection = connection;
            self.is_lost = false;
            self.renew()?;
        }
        Ok(())
    }

    fn is_server(&self) -> bool {
        matches!(self.connection, Connection::Postgres(_))
    }

    fn write_group(&mut self, units: &mut [Unit]) -> Result<(), Failed> {
        if self.fly(units)? {
            self.n_transactions.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let (stopped, unfenced, mark) = (&self.stopped, self.sabotage.is_unfenced(), &mut self.mark);
        let sabotage = &mut self.sabotage;
        let is_alone = units.len() == 1;
        let has_commits = units.iter().any(|unit| matches!(unit.work, Work::Commit(_)));
        self.connection.write_transaction(
            || mark.begin(has_commits),
            |connection| {
                let mut rest = units;
                while let Some(first) = rest.first_mut() {
                    if let Work::Job(job) = &mut first.work {
                        first.outcome = write_job(job.as_mut(), connection, is_alone)?;
                        rest = &mut rest[1..];
                        continue;
                    }
                    let n_commits = rest.iter().take_while(|unit| matches!(unit.work, Work::Commit(_))).count();
                    let (commits, after) = rest.split_at_mut(n_commits);
                    if unfenced {
                        unfence_all(commits, connection)?;
                    }
                    write_commits(commits, stopped, connection)?;
                    sabotage.refuse_if_due(commits.len())?;
                    if unfenced {
                        commits.iter_mut().for_each(|unit| unit.outcome = Outcome::Committed);
                    }
                    rest = after;
                }
                Ok(())
            },
        )?;
        self.n_transactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Writes a group of commits to a server as a whole, if they are nothing but commits that may be written. Says whether they
    /// are on the disk; if they are not, nothing of them is.
    fn fly(&mut self, units: &mut [Unit]) -> Result<bool, Failed> {
        let Connection::Postgres(connection) = &mut self.connection else { return Ok(false) };
        if self.sabotage.breaks_commits() {
            return Ok(false);
        }
        let commits: Option<Vec<&Commit>> = units.iter().map(|unit| unit.flies(&self.stopped)).collect();
        let Some(commits) = commits else { return Ok(false) };
        let (begin, mark) = self.mark.begin_flight();
        // Whatever failed, COMMIT was sent.
        let flown = commit_postgres::fly(connection, (&begin, &mark), &commits);
        if flown.map_err(|source| Failed { source, at_commit: true })? == Landing::Refused {
            return Ok(false);
        }
        units.iter_mut().for_each(|unit| unit.outcome = Outcome::Committed);
        Ok(true)
    }

    fn tell(&mut self, units: Vec<Unit>) {
        let mut outcomes = Vec::with_capacity(units.len());
        let mut jobs = Vec::new();
        for unit in units {
            match unit.work {
                Work::Commit(commit) => {
                    if matches!(unit.outcome, Outcome::Committed) {
                        self.sabotage.note_committed();
                        if !self.stopped.is_empty() {
                            self.stopped.remove(&(commit.run, commit.epoch));
                        }
                    }
                    outcomes.push(match unit.outcome {
                        Outcome::Failed(error, _) => Outcome::Failed(error, Some(Box::new(commit))),
                        outcome => outcome,
                    });
                }
                Work::Job(job) => jobs.push((job, unit.outcome)),
            }
        }
        if !outcomes.is_empty() {
            (self.answers)(outcomes);
        }
        for (mut job, outcome) in jobs {
            job.finish(match outcome {
                Outcome::Failed(error, _) => Err(error),
                Outcome::Committed | Outcome::Fenced | Outcome::Duplicate => Ok(()),
            });
        }
    }
}

fn unfence_all(units: &mut [Unit], connection: &mut Connection) -> QueryResult<()> {
    for unit in units {
        if let Work::Commit(commit) = &mut unit.work {
            Sabotage::unfence(connection, commit)?;
        }
    }
    Ok(())
}

/// Writes neighbors that are all commits.
fn write_commits(units: &mut [Unit], stopped: &Terms, connection: &mut Connection) -> QueryResult<()> {
    let mut commits = Vec::with_capacity(units.len());
    let mut outcomes = Vec::with_capacity(units.len());
    for Unit { work, outcome } in units {
        match work {
            Work::Commit(commit)
                if stopped.get(&(commit.run, commit.epoch)).is_some_and(|term| commit.term <= *term) =>
            {
                *outcome = Outcome::Failed(Arc::new(Error::Stopped), None);
            }
            Work::Commit(commit) => {
                commits.push(&*commit);
                outcomes.push(outcome);
            }
            Work::Job(_) => {}
        }
    }
    if commits.is_empty() {
        return Ok(());
    }
    for (outcome, written) in outcomes.into_iter().zip(commit::write_in_txn(connection, &commits)?) {
        *outcome = written;
    }
    Ok(())
}

/// A job has a savepoint of its own, so its failure leaves the rest of the group alone. An error of its own is an answer
/// like any other, which counts once the group is committed.
fn write_job(job: &mut dyn Job, connection: &mut Connection, is_alone: bool) -> QueryResult<Outcome> {
    match connection.transaction(|connection| job.write(connection)) {
        Ok(()) | Err(Undo::Answered) => Ok(Outcome::Committed),
        Err(Undo::Failed(
            error @ (DieselError::BrokenTransactionManager | DieselError::RollbackErrorOnCommit { .. }),
        )) => Err(error),
        Err(Undo::Failed(error)) => match Error::from_diesel("writing", error) {
            Error::Unavailable { source, .. } => Err(source),
            Error::Busy { source, .. } if is_alone => Err(source),
            error => Ok(Outcome::Failed(Arc::new(error), None)),
        },
    }
}

impl From<DieselError> for Undo {
    fn from(source: DieselError) -> Self {
        Self::Failed(source)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}
