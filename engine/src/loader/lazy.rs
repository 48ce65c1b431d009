//! A library that is loaded when it is first needed, for the life of one engine.
//!
//! Packages outlive the process that registered them, and most of them are not needed at once. What is known without
//! running anything (is the file there, is it the right one) can be asked before. A failure to load is not
//! remembered: the next call that needs the library tries again.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::descriptor::Descriptor;

use super::{Error, InitConfig, Library, TrustedFile, file, handshake, open};

/// Decides whether a library may be loaded now, and sees to it that its file is there. Asked directly before each load.
pub(crate) type Ready = dyn Fn() -> Result<TrustedFile, Error> + Send + Sync;

/// One engine's use of a library.
pub(crate) struct LazyLibrary {
    path: PathBuf,
    digest: Digest,
    expected: Arc<Descriptor>,
    config: InitConfig,
    ready: Arc<Ready>,
    /// The targets that the package is for, if that of this engine is none of them.
    other_targets: Option<Box<(String, Vec<String>)>>,
    /// What has just been decided, for the load that follows.
    supplied: Mutex<Option<Box<TrustedFile>>>,
    /// Locked while the library is being loaded.
    loading: Mutex<()>,
    library: OnceLock<Arc<Library>>,
}

impl LazyLibrary {
    /// Nothing is read yet. `digest` is that of the file.
    pub(crate) fn new(
        path: PathBuf,
        digest: Digest,
        expected: Arc<Descriptor>,
        config: InitConfig,
        ready: Arc<Ready>,
    ) -> Self {
        let (supplied, loading, library) = Default::default();
        Self { path, digest, expected, config, ready, other_targets: None, supplied, loading, library }
    }

    /// The library of a package that has none for the target that is wanted, only for those others. It is described, and
    /// can never be loaded.
    pub(crate) fn for_others(self, wanted: String, available: Vec<String>) -> Self {
        Self { other_targets: Some(Box::new((wanted, available))), ..self }
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
    pub(crate) fn check_descriptor(&self) -> Result<(), Error> {
        if let Some((wanted, available)) = self.other_targets.as_deref().cloned() {
            return Err(Error::OtherTarget(Box::new(cloacina_packager::Error::NoLibraryForTarget {
                wanted,
                available,
            })));
        }
        handshake::check_descriptor(&self.expected, self.config.has_own_process)
    }

    /// The file, to be loaded now, in this process or in another. Blocks on the disk and the store.
    pub(crate) fn make_ready(&self) -> Result<TrustedFile, Error> {
        self.check_descriptor()?;
        let supplied = self.supplied.lock().unwrap_or_else(PoisonError::into_inner).take();
        match supplied {
            Some(file) => Ok(*file),
            None => (self.ready)(),
        }
    }

    /// Takes what has just been decided, for one load; or takes it back. A package that is being registered is in no
    /// store yet that could be asked.
    pub(crate) fn supply(&self, file: Option<TrustedFile>) {
        *self.supplied.lock().unwrap_or_else(PoisonError::into_inner) = file.map(Box::new);
    }

    /// Whether the library could be loaded, as far as that shows without running any of it. Blocks on the disk.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_descriptor()?;
        file::check(&self.path, self.digest)
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
        let library = open(&self.make_ready()?, &self.expected, self.config)?;
        Ok(self.library.get_or_init(|| library))
    }

    /// Unloads the library if it is loaded; later calls of it are refused. Blocks for up to about `grace`.
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
