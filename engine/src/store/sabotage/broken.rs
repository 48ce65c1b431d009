//! Promises that are broken on purpose.
//!
//! What is broken stays broken for as long as the engine lives, but for the full disk, which heals by itself.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    result::{DatabaseErrorKind, Error as DieselError},
};

use crate::store::{
    Connection,
    commit::Commit,
    schema::{owner, run},
};

/// What is broken, and when.
#[derive(Clone, Debug, Default)]
pub struct Sabotage {
    /// The store is gone, as in a crash, when it is to write one commit more than so many.
    pub crash_after: Option<u64>,
    /// An engine that was taken over from goes on as if nothing had happened, and so does a second engine on one file.
    pub unfenced: bool,
    /// The disk is not waited for.
    pub unsynced: bool,
    /// The end of each attempt is delivered twice.
    pub twice: bool,
    /// The disk is full for a while.
    pub disk_full: DiskFull,
}

/// A disk that refuses some transactions. It heals by itself, unlike everything else here.
#[derive(Clone, Debug, Default)]
pub struct DiskFull {
    /// Once so many commits are on the disk; the next one is refused first.
    after: u64,
    /// How many transactions with commits are refused then.
    n_times: u64,
    /// Commits that are on the disk.
    n_committed: u64,
}

impl DiskFull {
    /// Refuses the commit after so many, so many times.
    #[must_use]
    pub fn new(after: u64, n_times: u64) -> Self {
        Self { after, n_times, n_committed: 0 }
    }
}

impl Sabotage {
    pub(in crate::store) fn crash_after(&self) -> Option<u64> {
        self.crash_after
    }

    pub(crate) fn is_unfenced(&self) -> bool {
        self.unfenced
    }

    pub(in crate::store) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    pub(crate) fn delivers_twice(&self) -> bool {
        self.twice
    }

    /// Whether how commits are written is broken, which takes writing them one after the other.
    pub(in crate::store) fn breaks_commits(&self) -> bool {
        self.unfenced || self.disk_full.n_times > 0
    }

    /// Takes note of a commit that is on the disk.
    pub(in crate::store) fn note_committed(&mut self) {
        self.disk_full.n_committed += 1;
    }

    /// Refuses a transaction with so many commits, if it is to be.
    pub(in crate::store) fn refuse_if_due(&mut self, n_commits: usize) -> QueryResult<()> {
        let disk = &mut self.disk_full;
        if disk.n_times == 0 || disk.n_committed + n_commits as u64 <= disk.after {
            return Ok(());
        }
        disk.n_times -= 1;
        let said = Box::new("database or disk is full".to_owned());
        Err(DieselError::DatabaseError(DatabaseErrorKind::Unknown, said))
    }

    /// Lets a commit pass that would be fenced.
    pub(in crate::store) fn unfence(connection: &mut Connection, commit: &mut Commit) -> QueryResult<()> {
        let epoch: Option<i64> = match &commit.create {
            Some(_) => owner::table
                .filter(owner::ended.is_null())
                .order(owner::epoch.desc())
                .select(owner::epoch)
                .first(connection)
                .optional()?,
            None => run::table
                .filter(run::id.eq(commit.run.as_bytes().as_slice()))
                .select(run::owner_epoch)
                .first(connection)
                .optional()?,
        };
        commit.epoch = epoch.unwrap_or(commit.epoch);
        Ok(())
    }
}
