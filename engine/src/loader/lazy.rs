//! A library that is loaded when it is first needed, for the life of one engine.
//!
//! Packages outlive the process that registered them, and most of them are not needed at once. What is known without
//! running anything (is the file there, is it the right one) can be asked before. A failure to load is not
//! remembered: whoever needs the library next tries again.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::descriptor::Descriptor;

use super::{Error, InitConfig, Library, handshake, open};

/// One engine's use of a library.
#[derive(Debug)]
pub(crate) struct LazyLibrary {
    path: PathBuf,
    digest: Digest,
    expected: Arc<Descriptor>,
    config: InitConfig,
    /// Locked while the library is being loaded.
    loading: Mutex<()>,
    library: OnceLock<Arc<Library>>,
}

impl LazyLibrary {
    /// Nothing is looked at yet. `digest` is that of the file.
    pub(crate) fn new(path: PathBuf, digest: Digest, expected: Arc<Descriptor>, config: InitConfig) -> Self {
        Self { path, digest, expected, config, loading: Mutex::default(), library: OnceLock::new() }
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the library is expected to say of itself.
    pub(crate) fn descriptor(&self) -> &Arc<Descriptor> {
        &self.expected
    }

    /// Whether the library could be loaded, as far as that shows without running any of it. Blocks on the disk.
    pub(crate) fn check(&self) -> Result<(), Error> {
        handshake::admit(&self.expected, self.config.has_own_process)?;
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
        let library = open(&self.path, self.digest, &self.expected, self.config)?;
        Ok(self.library.get_or_init(|| library))
    }

    /// Lets go of the library if it is loaded; later calls of it are refused. Blocks for up to about `grace`.
    pub(crate) fn close(&self, grace: Duration) {
        if let Some(library) = self.library.get() {
            library.close(grace);
        }
    }
}
