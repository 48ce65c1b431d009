//! A library that is loaded when it is first needed, for the life of one engine.
//!
//! Packages outlive the process that registered them, and most of them are not needed at once. What is known without
//! running anything (is the file there, is it the right one) can be asked before. A failure to load is not
//! remembered: whoever needs the library next tries again.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::descriptor::Descriptor;

use super::{Error, InitConfig, Library, handshake, open};

/// Sees to it that the file of a library is there, and may be loaded now; told whether the file is known to be damaged.
/// Asked directly before each load.
pub(crate) type Ready = dyn Fn(bool) -> Result<(), Error> + Send + Sync;

/// One engine's use of a library.
pub(crate) struct LazyLibrary {
    path: PathBuf,
    digest: Digest,
    expected: Arc<Descriptor>,
    config: InitConfig,
    ready: Box<Ready>,
    /// Locked while the library is being loaded.
    loading: Mutex<()>,
    library: OnceLock<Arc<Library>>,
}

impl LazyLibrary {
    /// Nothing is looked at yet. `digest` is that of the file.
    pub(crate) fn new(path: PathBuf, digest: Digest, expected: Arc<Descriptor>, config: InitConfig) -> Self {
        let ready = Box::new(|_| Ok(()));
        Self { path, digest, expected, config, ready, loading: Mutex::default(), library: OnceLock::new() }
    }

    /// The same, which asks that before it is loaded.
    pub(crate) fn once_ready(self, ready: Box<Ready>) -> Self {
        Self { ready, ..self }
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The digest of the file.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// How it is started up.
    pub(crate) fn config(&self) -> InitConfig {
        self.config
    }

    /// What the library is expected to say of itself.
    pub(crate) fn descriptor(&self) -> &Arc<Descriptor> {
        &self.expected
    }

    /// Whether the library is one that this engine can load, by its description alone.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        handshake::admit(&self.expected, self.config.has_own_process)
    }

    /// Sees to it that the file is there as it should be, for whoever loads it in another process. Blocks on the disk.
    pub(crate) fn make_ready(&self) -> Result<(), Error> {
        (self.ready)(false)?;
        match self.check() {
            Err(Error::Changed { .. } | Error::Read { .. }) => {
                (self.ready)(true)?;
                self.check()
            }
            checked => checked,
        }
    }

    /// Whether the library could be loaded, as far as that shows without running any of it. Blocks on the disk.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.admit()?;
        let path = || self.path.clone();
        let bytes = fs::read(&self.path).map_err(|source| Error::Read { path: path(), source })?;
        let found = Digest::of(&bytes);
        if found == self.digest { Ok(()) } else { Err(Error::Changed { path: path(), expected: self.digest, found }) }
    }

    /// The library, if it is loaded. Never blocks.
    pub(crate) fn loaded(&self) -> Option<&Arc<Library>> {
        self.library.get()
    }

    /// The library, loaded if need be. Blocks on the disk and on code of the package.
    pub(crate) fn load(&self) -> Result<&Arc<Library>, Error> {
        if let Some(library) = self.library.get() {
            return Ok(library);
        }
        let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = self.library.get() {
            return Ok(library);
        }
        (self.ready)(false)?;
        let open = || open(&self.path, self.digest, &self.expected, self.config);
        let library = match open() {
            Err(Error::Changed { .. } | Error::Read { .. }) => {
                (self.ready)(true)?;
                open()?
            }
            opened => opened?,
        };
        Ok(self.library.get_or_init(|| library))
    }

    /// Lets go of the library if it is loaded; later calls of it are refused. Blocks for up to about `grace`.
    pub(crate) fn close(&self, grace: Duration) {
        if let Some(library) = self.library.get() {
            library.close(grace);
        }
    }
}

impl fmt::Debug for LazyLibrary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_loaded = self.library.get().is_some();
        formatter
            .debug_struct("LazyLibrary")
            .field("path", &self.path)
            .field("digest", &self.digest)
            .field("is_loaded", &is_loaded)
            .finish_non_exhaustive()
    }
}
