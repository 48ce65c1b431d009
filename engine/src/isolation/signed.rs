//! A library of which it depends on its signatures where it is loaded.
//!
//! It is decided at the first load, from the file that was verified for it, and does not change while the engine lives. A
//! file that was decided on is the one that is loaded into this process: if that fails, the next load decides anew. Each
//! process that is started later is decided on by itself, like any.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Error, Isolation, pool::Pool};
use crate::loader::{LazyLibrary, TrustedFile};

/// Says where a file is to be loaded.
pub(crate) type Choose = dyn Fn(&TrustedFile) -> Isolation + Send + Sync;

/// The library, ready for both.
pub(crate) struct Signed {
    inline: LazyLibrary,
    process: Pool,
    choose: Box<Choose>,
    chosen: OnceLock<Isolation>,
    /// Held while it is decided.
    choosing: Mutex<()>,
}

impl Signed {
    pub(super) fn new(inline: LazyLibrary, process: Pool, choose: Box<Choose>) -> Self {
        Self { inline, process, choose, chosen: OnceLock::new(), choosing: Mutex::default() }
    }

    pub(super) fn inline(&self) -> &LazyLibrary {
        &self.inline
    }

    pub(super) fn process(&self) -> &Pool {
        &self.process
    }

    /// What was decided, if it was.
    pub(super) fn chosen(&self) -> Option<Isolation> {
        self.chosen.get().copied()
    }

    /// Decides and loads, unless both were done. Blocks on the disk, the store and code of the package.
    pub(super) fn load(&self) -> Result<(), Error> {
        let _choosing = self.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.chosen() {
            Some(Isolation::Inline) => return Ok(self.inline.load().map(drop)?),
            Some(Isolation::Process) => return self.process.load(),
            None => {}
        }
        let file = self.process.library().make_ready()?;
        // What can only run in a process of its own does so, whichever key signed it.
        if (self.choose)(&file) == Isolation::Inline && self.inline.check_descriptor().is_ok() {
            self.inline.supply(Some(file));
            let loaded = self.inline.load().map(drop);
            self.inline.supply(None);
            loaded?;
            self.chosen.get_or_init(|| Isolation::Inline);
            return Ok(());
        }
        self.chosen.get_or_init(|| Isolation::Process);
        self.process.library().supply(Some(file));
        let loaded = self.process.load();
        self.process.library().supply(None);
        loaded
    }
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Signed")
            .field("chosen", &self.chosen)
            .field("inline", &self.inline)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}
