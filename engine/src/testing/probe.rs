//! A loaded package without an engine around it: calls cross the C ABI and come back, nothing is decided or stored.
//!
//! For measuring what the boundary itself costs. The steps of loading are apart, so that each can be timed.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use cloacina_packager::{Digest, Limits, Package, Verified, read};
use cloacina_workflow::Level;

use crate::loader::{self, Call, CallId, CallResult, CallSink, InitConfig, Library, LogLine};

/// Why a probe cannot be made or used, in words.
pub type ProbeError = Box<dyn std::error::Error + Send + Sync>;

/// A package that is loaded into this process.
#[derive(Debug)]
pub struct Probe {
    library: Arc<Library>,
    package: Package,
}

/// Passes the end of a call on.
struct Sink {
    ended: mpsc::Sender<bool>,
}

impl CallSink for Sink {
    fn complete(&self, _: CallId, result: CallResult) {
        // Whoever gave up waiting does not miss it.
        self.ended.send(matches!(result, CallResult::Completed(_))).ok();
    }

    fn log(&self, _: CallId, _: LogLine) {}

    fn heartbeat(&self, _: CallId, _: u32, _: String) {}

    fn is_abandoned(&self, _: CallId) -> bool {
        false
    }
}

impl Probe {
    /// Reads and checks an archive.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(archive: &[u8]) -> Result<Verified<Package>, ProbeError> {
        Ok(Verified::trust_unsigned(read(archive, &Limits::default())?))
    }

    /// Writes the library to its place.
    ///
    /// # Errors
    /// What the disk says.
    pub fn unpack(package: &Verified<Package>, folder: &Path) -> Result<PathBuf, ProbeError> {
        Ok(package.unpack_into(folder)?)
    }

    /// Maps a library and calls nothing of it: the bare cost of opening.
    ///
    /// # Errors
    /// What the system's loader says.
    pub fn map(library: &Path) -> Result<(), ProbeError> {
        Ok(loader::map_for_good(library)?)
    }

    /// Loads the library and initialises the package with that many workers.
    ///
    /// # Errors
    /// What the loader says.
    pub fn open(package: &Verified<Package>, library: &Path, workers: u32) -> Result<Self, ProbeError> {
        let package = package.get().clone();
        let config = InitConfig { workers, max_log_level: Level::Error, has_own_process: false };
        let library = loader::open(library, Digest::of(package.library()), package.descriptor(), config)?;
        Ok(Self { library, package })
    }

    /// The index of a task in the library.
    #[must_use]
    pub fn task(&self, workflow: &str, task: &str) -> Option<u32> {
        let workflow = self.package.descriptor().workflows.iter().find(|found| found.name == workflow)?;
        workflow.tasks.iter().find(|found| found.id == task).map(|task| task.index)
    }

    /// Starts a call; its end, and whether it completed, goes to the channel.
    ///
    /// # Errors
    /// When the call is refused.
    pub fn start(&self, function: u32, payload: &[u8], ended: &mpsc::Sender<bool>) -> Result<(), ProbeError> {
        let call = Call {
            function,
            attempt: 1,
            payload: payload.to_vec(),
            deadline_unix_ms: 0,
            idempotency_key: String::new(),
            trace_parent: String::new(),
        };
        let sink = Arc::new(Sink { ended: ended.clone() });
        self.library.start(call, sink).map(drop).map_err(|refused| refused.to_string().into())
    }

    /// Shuts the package down; its library stays mapped.
    pub fn close(self) {
        self.library.close(Duration::from_secs(1));
    }
}
