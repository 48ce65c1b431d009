//! The code of a package, wherever it is loaded: the interface between callers and the two ways to run calls.
//!
//! Which way it is was decided when the package was registered or found, or is when it is first loaded if it depends on
//! the signers, and does not change then. Nothing here knows the purpose of a call.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use cloacina_workflow::descriptor::Descriptor;

use super::{
    Error, Sandbox,
    pool::{HostOptions, PackageHost, Pool, Shared},
    program::Isolation,
    signed::{Choose, Signed},
};
use crate::loader::{Call, CallId, CallSink, LazyLibrary, Library, OUTPUT_BYTES_MAX, Refused, TrustedFile};

/// A package's library, loaded when it is first needed.
#[derive(Debug)]
pub(crate) enum Code {
    /// Into this process.
    Inline(LazyLibrary),
    /// Into processes of its own.
    Process(Pool),
    /// Into the one or the other, as its signatures say.
    Signed(Box<Signed>),
    /// Nowhere: a workflow as data has no library, and runs functions of others.
    None(Arc<Descriptor>, PathBuf),
}

/// Where it is loaded, or would be as far as is known.
enum Way<'a> {
    Inline(&'a LazyLibrary),
    Process(&'a Pool),
    None(&'a Arc<Descriptor>, &'a Path),
}

/// A call under way.
#[derive(Debug)]
pub(crate) enum UnderWay {
    /// In this process. Does not keep the library.
    Inline(Weak<Library>, CallId),
    /// In a process of its own.
    Process(Weak<Shared>, CallId),
}

/// Why a call did not begin. Its sink hears nothing.
#[derive(Debug)]
pub(crate) enum NotBegun {
    /// The library is not loaded.
    Missing(Error),
    /// The package, or the loader on its behalf, refused the call.
    Refused(Refused),
}

impl Code {
    /// Nothing is read yet. Without a host the library is loaded into this process.
    pub(crate) fn new(library: LazyLibrary, host: Option<HostOptions>) -> Self {
        match host {
            None => Self::Inline(library),
            Some(options) => Self::Process(Pool::new(library, options)),
        }
    }

    /// Nothing is read yet; the place is decided when the library is loaded.
    pub(crate) fn signed(inline: LazyLibrary, process: LazyLibrary, host: HostOptions, choose: Box<Choose>) -> Self {
        Self::Signed(Box::new(Signed::new(inline, Pool::new(process, host), choose)))
    }

    /// Where it is loaded; nothing while that is not decided.
    pub(crate) fn isolation(&self) -> Option<Isolation> {
        match self {
            Self::Inline(_) => Some(Isolation::Inline),
            Self::Process(_) => Some(Isolation::Process),
            Self::Signed(signed) => signed.chosen(),
            Self::None(..) => None,
        }
    }

    /// What is not decided is like what has processes of its own, and none yet.
    fn way(&self) -> Way<'_> {
        match self {
            Self::Inline(library) => Way::Inline(library),
            Self::Process(pool) => Way::Process(pool),
            Self::Signed(signed) => match signed.chosen() {
                Some(Isolation::Inline) => Way::Inline(signed.inline()),
                Some(Isolation::Process) | None => Way::Process(signed.process()),
            },
            Self::None(descriptor, path) => Way::None(descriptor, path),
        }
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        match self.way() {
            Way::Inline(library) => library.path(),
            Way::Process(pool) => pool.path(),
            Way::None(_, path) => path,
        }
    }

    /// What the library is expected to say of itself.
    pub(crate) fn descriptor(&self) -> &Arc<Descriptor> {
        match self.way() {
            Way::Inline(library) => library.descriptor(),
            Way::Process(pool) => pool.descriptor(),
            Way::None(descriptor, _) => descriptor,
        }
    }

    /// Whether the library is one that this engine can load, by its description alone.
    pub(crate) fn check_descriptor(&self) -> Result<(), Error> {
        match self.way() {
            Way::Inline(library) => Ok(library.check_descriptor()?),
            // If it will not have a process of its own, it may need what it likes.
            Way::Process(pool) if self.isolation().is_none() => Ok(pool.library().check_descriptor()?),
            Way::Process(pool) => pool.check_descriptor(),
            Way::None(..) => Ok(()),
        }
    }

    /// Whether the library could be loaded, as far as that shows without running any of it. Blocks on the disk.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_descriptor()?;
        match self.way() {
            Way::Inline(library) => Ok(library.check()?),
            Way::Process(pool) => Ok(pool.library().check()?),
            Way::None(..) => Ok(()),
        }
    }

    /// Why this engine does not load the library again, if a load has shown that.
    pub(crate) fn refusal(&self) -> Option<Error> {
        match self.way() {
            Way::Inline(_) | Way::None(..) => None,
            Way::Process(pool) => pool.refusal(),
        }
    }

    /// As [`Self::load`], from a file that has just been decided on.
    pub(crate) fn load_from(&self, file: TrustedFile) -> Result<(), Error> {
        let library = match self.way() {
            Way::Inline(library) => library,
            Way::Process(pool) => pool.library(),
            Way::None(..) => return Ok(()),
        };
        library.supply(Some(file));
        let loaded = self.load();
        // A later load must not get it.
        library.supply(None);
        loaded
    }

    /// Loads the library if it is not. Blocks on the disk and on code of the package.
    pub(crate) fn load(&self) -> Result<(), Error> {
        if let Self::Signed(signed) = self {
            return signed.load();
        }
        match self.way() {
            Way::Inline(library) => Ok(library.load().map(drop)?),
            Way::Process(pool) => pool.load(),
            Way::None(..) => Ok(()),
        }
    }

    /// Whether it is loaded somewhere now; what needs no loading always is.
    pub(crate) fn is_loaded(&self) -> bool {
        match self.way() {
            Way::Inline(library) => library.loaded().is_some(),
            Way::Process(pool) => pool.is_loaded(),
            Way::None(..) => true,
        }
    }

    /// The processes that run it now.
    pub(crate) fn hosts(&self) -> Vec<PackageHost> {
        match self.way() {
            Way::Inline(_) | Way::None(..) => Vec::new(),
            Way::Process(pool) => pool.hosts(),
        }
    }

    /// How tightly its processes are to be kept in; nothing if it has none.
    pub(crate) fn sandbox(&self) -> Option<Sandbox> {
        match self.way() {
            Way::Inline(_) | Way::None(..) => None,
            Way::Process(pool) => Some(pool.sandbox()),
        }
    }

    /// Whether [`Self::start`] would wait for nothing, for a function that blocks or does not.
    pub(crate) fn starts_at_once(&self, may_block: bool) -> bool {
        if self.isolation().is_none() {
            return false;
        }
        match self.way() {
            Way::Inline(library) => !may_block && library.loaded().is_some(),
            Way::Process(_) | Way::None(..) => true,
        }
    }

    /// The library, loaded into this process.
    #[cfg(test)]
    pub(crate) fn inline(&self) -> &Arc<Library> {
        match self.way() {
            Way::Inline(library) => library.load().unwrap(),
            Way::Process(_) | Way::None(..) => panic!("it is not in this process"),
        }
    }

    /// Calls under way.
    pub(crate) fn n_open_calls(&self) -> usize {
        match self.way() {
            Way::Inline(library) => library.loaded().map_or(0, |library| library.n_open_calls()),
            Way::Process(pool) => pool.n_open_calls(),
            Way::None(..) => 0,
        }
    }

    /// What the library did against the rules so far.
    pub(crate) fn n_anomalies(&self) -> u64 {
        match self.way() {
            Way::Inline(library) => library.loaded().map_or(0, |library| library.anomalies().total()),
            // A package host ignores them, and tells the log; one that passes them on is killed.
            Way::Process(_) | Way::None(..) => 0,
        }
    }

    /// Begins a call. The sink hears of its end once, maybe before this returns; of an error it hears nothing.
    pub(crate) fn start(&self, call: Call, sink: Arc<dyn CallSink>) -> Result<UnderWay, NotBegun> {
        // Before anything of it is sent: a process that is sent more than it may take could only end.
        if call.payload.len() > OUTPUT_BYTES_MAX {
            return Err(NotBegun::Refused(Refused::TooLarge { max: OUTPUT_BYTES_MAX }));
        }
        if self.isolation().is_none() {
            self.load().map_err(NotBegun::Missing)?;
        }
        match self.way() {
            Way::Inline(library) => {
                let library = library.load().map_err(|error| NotBegun::Missing(error.into()))?;
                let id = library.start(call, sink).map_err(NotBegun::Refused)?;
                // A waiting caller must not keep the library, or the package's own thread might shut the package down.
                Ok(UnderWay::Inline(Arc::downgrade(library), id))
            }
            Way::Process(pool) => match pool.start(call, sink) {
                Ok(id) => Ok(UnderWay::Process(Arc::downgrade(pool.shared()), id)),
                Err(_) => Err(NotBegun::Refused(Refused::Closed)),
            },
            Way::None(..) => Err(NotBegun::Refused(Refused::Closed)),
        }
    }

    /// Unloads the library; later calls are refused. Blocks for up to about `grace`.
    pub(crate) fn close(&self, grace: Duration) {
        if let Self::Signed(signed) = self {
            // An undecided load must not begin any longer either.
            signed.process().close(grace);
        }
        match self.way() {
            Way::Inline(library) => library.close(grace),
            Way::Process(pool) => pool.close(grace),
            Way::None(..) => {}
        }
    }
}

impl UnderWay {
    /// Asks the call to stop. Nothing happens if it has ended.
    pub(crate) fn cancel(&self) {
        match self {
            Self::Inline(library, id) => {
                if let Some(library) = library.upgrade() {
                    library.cancel(*id);
                }
            }
            Self::Process(pool, id) => {
                if let Some(pool) = pool.upgrade() {
                    pool.cancel(*id);
                }
            }
        }
    }
}
