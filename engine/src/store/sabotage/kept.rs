//! No promise is broken.

use diesel::QueryResult;

use crate::store::{Connection, commit::Commit};

/// Nothing is broken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sabotage(());

impl Sabotage {
    pub(in crate::store) const fn crash_after(&self) -> Option<u64> {
        None
    }

    pub(crate) const fn is_unfenced(&self) -> bool {
        false
    }

    pub(in crate::store) const fn is_unsynced(&self) -> bool {
        false
    }

    pub(crate) const fn delivers_twice(&self) -> bool {
        false
    }

    pub(in crate::store) const fn breaks_commits(&self) -> bool {
        false
    }

    pub(in crate::store) const fn note_committed(&mut self) {}

    pub(in crate::store) const fn refuse_if_due(&mut self, _n_commits: usize) -> QueryResult<()> {
        Ok(())
    }

    pub(in crate::store) const fn unfence(_connection: &mut Connection, _commit: &mut Commit) -> QueryResult<()> {
        Ok(())
    }
}
