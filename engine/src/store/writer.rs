//! The writer: one thread that owns the one connection that writes, and commits in groups.
//!
//! It takes whatever has queued up, writes it in one transaction, syncs once and tells everyone. There is no timer:
//! while one group syncs the next one gathers, and a single change commits at once. If the group fails it is rolled
//! back and halved until only the culprit is left with the error. Order is kept, always.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError},
    },
};

use diesel::{Connection as _, QueryResult, result::Error as DieselError};

use super::{
    Connection, Error,
    commit::{Checked, Commit, Outcome},
};
use crate::id::RunId;

/// Where the outcomes of commits go: one call for each group, in the order of the commits. Must not block.
pub(crate) type Answers = Box<dyn FnMut(Vec<Outcome>) + Send>;

/// Rows in one transaction. More would not save syncs worth having, but would make everyone in the group wait.
const GROUP_ROWS_MAX: usize = 4096;

/// What the writer is asked to do.
pub(super) enum Command {
    Commits(Vec<Commit>),
    Job(Box<dyn Job>),
}

/// A rare change that is no commit, such as registering a package. May be run several times; each time that counts
/// is preceded by a rollback of the one before.
pub(super) trait Job: Send {
    fn write(&mut self, connection: &mut Connection) -> QueryResult<()>;
    /// Called once, after the group is durable or has failed.
    fn finish(&mut self, result: Result<(), Arc<Error>>);
}

pub(super) struct Writer {
    connection: Connection,
    answers: Answers,
    /// Runs of which a commit failed; kept until the end, as the core's picture of them is ahead of the file.
    stopped: HashSet<RunId>,
}

/// One thing to write and how it went.
struct Unit {
    work: Work,
    outcome: Outcome,
}

enum Work {
    Commit(Commit),
    Job(Box<dyn Job>),
}

impl Writer {
    pub(super) fn new(connection: Connection, answers: Answers) -> Self {
        Self { connection, answers, stopped: HashSet::new() }
    }

    /// Serves until all senders are gone and the queue is empty.
    pub(super) fn serve(mut self, queue: &Receiver<Command>) {
        while let Ok(first) = queue.recv() {
            let mut units = Vec::new();
            let mut n_rows = push(&mut units, first);
            while n_rows < GROUP_ROWS_MAX {
                match queue.try_recv() {
                    Ok(command) => n_rows += push(&mut units, command),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.write_halving(&mut units);
            self.tell(units);
        }
    }

    /// Writes the units, or finds those that cannot be written.
    fn write_halving(&mut self, units: &mut [Unit]) {
        let Err(error) = self.write_group(units) else { return };
        let busy = matches!(error, Error::Busy { .. });
        if units.len() == 1 || busy {
            // A file that somebody else holds is no unit's fault: trying each alone would only wait longer.
            let error = Arc::new(error);
            for unit in units {
                if let Work::Commit(commit) = &unit.work {
                    self.stopped.insert(commit.run);
                }
                unit.outcome = Outcome::Failed(error.clone());
            }
            return;
        }
        let (first, second) = units.split_at_mut(units.len() / 2);
        self.write_halving(first);
        self.write_halving(second);
    }

    fn write_group(&mut self, units: &mut [Unit]) -> Result<(), Error> {
        let stopped = &self.stopped;
        let written = self.connection.immediate_transaction(|connection| {
            let mut checked = Checked::default();
            for unit in units {
                unit.outcome = match &mut unit.work {
                    Work::Commit(commit) if stopped.contains(&commit.run) => Outcome::Failed(Arc::new(Error::Stopped)),
                    Work::Commit(commit) => commit.write_in_txn(connection, &mut checked)?,
                    Work::Job(job) => write_job(job.as_mut(), connection)?,
                };
            }
            Ok(())
        });
        written.map_err(|error: DieselError| Error::from_diesel("committing", error))
    }

    fn tell(&mut self, units: Vec<Unit>) {
        let mut outcomes = Vec::with_capacity(units.len());
        let mut jobs = Vec::new();
        for unit in units {
            match unit.work {
                Work::Commit(_) => outcomes.push(unit.outcome),
                Work::Job(job) => jobs.push((job, unit.outcome)),
            }
        }
        if !outcomes.is_empty() {
            (self.answers)(outcomes);
        }
        for (mut job, outcome) in jobs {
            job.finish(match outcome {
                Outcome::Failed(error) => Err(error),
                Outcome::Committed | Outcome::Fenced | Outcome::Duplicate => Ok(()),
            });
        }
    }
}

/// A job has a savepoint of its own, so its failure leaves the rest of the group alone.
fn write_job(job: &mut dyn Job, connection: &mut Connection) -> QueryResult<Outcome> {
    match connection.transaction(|connection| job.write(connection)) {
        Ok(()) => Ok(Outcome::Committed),
        Err(error @ DieselError::BrokenTransactionManager) => Err(error),
        Err(error) => Ok(Outcome::Failed(Arc::new(Error::from_diesel("writing", error)))),
    }
}

fn push(units: &mut Vec<Unit>, command: Command) -> usize {
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
    }
    n_rows.max(units.len() - n_before)
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}
