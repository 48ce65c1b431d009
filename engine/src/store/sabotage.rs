//! Ways to break promises on purpose, for tests that must notice when one is broken, or that need a crash.
//!
//! Nothing here is used outside of tests: what would use it is there with the feature `testing` only. What is broken
//! stays broken for as long as the engine lives.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::{
    Connection,
    commit::Commit,
    schema::{owner, run},
};

/// What is broken, and when.
#[derive(Clone, Debug, Default)]
pub struct Sabotage {
    /// The store is gone, as in a crash, when it is to write one commit more than so many.
    pub crash_after: Option<u64>,
    /// Whoever was taken over from goes on as if nothing had happened, and so does a second engine on one file.
    pub unfenced: bool,
    /// The disk is not waited for.
    pub unsynced: bool,
    /// The end of each attempt is delivered twice.
    pub twice: bool,
}

/// Lets a commit pass that would be fenced.
pub(super) fn unfence(connection: &mut Connection, commit: &mut Commit) -> QueryResult<()> {
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
