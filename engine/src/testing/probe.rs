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
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    clock::SystemClock,
    isolation::{Code, HostOptions, HostProgram, Keeper, Limits as HostLimits, NotBegun, Sandbox, Scratch, Tally},
    loader::{self, Call, CallId, CallResult, CallSink, InitConfig, LazyLibrary, LogLine, TrustedFile},
};

/// Why a probe cannot be made or used, in words.
pub type ProbeError = Box<dyn std::error::Error + Send + Sync>;

/// A package that is loaded, into this process or one of its own.
#[derive(Debug)]
pub struct Probe {
    code: Code,
    package: Package,
}

/// Passes the end of a call on.
struct Sink {
    ended: mpsc::Sender<bool>,
}

impl CallSink for Sink {
    fn complete(&self, _: CallId, result: CallResult) {
        // A caller that gave up waiting does not miss it.
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

    /// Loads the library and initializes the package with that many workers.
    ///
    /// # Errors
    /// What the loader says.
    pub fn open(package: &Verified<Package>, library: &Path, workers: u32) -> Result<Self, ProbeError> {
        Self::load(package, library, workers, None)
    }

    /// Loads the library into a process of its own.
    ///
    /// # Errors
    /// What the loader says, and why there is no process.
    pub fn open_process(package: &Verified<Package>, library: &Path, program: HostProgram) -> Result<Self, ProbeError> {
        let host = HostOptions {
            program,
            sandbox: Sandbox::Dev,
            requires_sandbox: false,
            scratch: Scratch::new(PathBuf::new()),
            groups: Arc::default(),
            limits: HostLimits::default(),
            allowed: Arc::default(),
            stop_grace: Duration::from_secs(1),
            keeper: Keeper::new(),
            // A package that crashes ends the measurement; it is not quarantined.
            crash_loops: unbounded_channel().0,
            shortage: Arc::default(),
            tally: Tally::new(Arc::new(SystemClock)),
            owner: None,
        };
        Self::load(package, library, 1, Some(host))
    }

    fn load(
        package: &Verified<Package>,
        library: &Path,
        workers: u32,
        host: Option<HostOptions>,
    ) -> Result<Self, ProbeError> {
        let verified = package.clone();
        let package = package.get().clone();
        let config = InitConfig { workers, max_log_level: Level::Error, has_own_process: host.is_some() };
        let (digest, descriptor) = (Digest::of(package.library()), Arc::new(package.descriptor().clone()));
        let file = library.to_owned();
        let ready = Arc::new(move || TrustedFile::of(&verified, file.clone()));
        let library = LazyLibrary::new(library.to_owned(), digest, descriptor, config, ready);
        let code = Code::new(library, host);
        code.load()?;
        Ok(Self { code, package })
    }

    /// The index of the first task of a workflow.
    #[must_use]
    pub fn first_task(&self, workflow: &str) -> Option<u32> {
        let workflow = self.package.descriptor().workflows.iter().find(|found| found.name == workflow)?;
        workflow.tasks.first().map(|task| task.index)
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
            is_whole: true,
            deadline_unix_ms: 0,
            idempotency_key: String::new(),
            trace_parent: String::new(),
        };
        let sink = Arc::new(Sink { ended: ended.clone() });
        self.code.start(call, sink).map(drop).map_err(|not_begun| match not_begun {
            NotBegun::Missing(error) => error.into(),
            NotBegun::Refused(refused) => refused.to_string().into(),
        })
    }

    /// Shuts the package down; its library stays mapped.
    pub fn close(self) {
        self.code.close(Duration::from_secs(1));
    }
}
