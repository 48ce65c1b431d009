//! Makes the file of a library ready to be loaded, wherever the database is: the one function for it.
//!
//! ```text
//! file there? ─ yes ─► loaded, and its digest checked by the loader
//!      └ no, or not the right one ─► archive from the database ─► checked as at registration ─► unpacked again
//! ```
//! The file is only a copy: a data folder may be removed, and another engine on the same database has none to begin
//! with. What the database holds is not trusted more than what is sent: its digest, its form and its content are
//! checked again, and the library must be the one that was registered.

use std::path::PathBuf;

use cloacina_packager::{self as packager, Digest, Limits, Verified};

use super::{Error, register::Unpacked};
use crate::{
    loader::{self, Ready},
    store::{self, PackageRow, Store},
};

/// Where libraries come from, and where they are put.
#[derive(Clone, Debug)]
pub(super) struct Restorer {
    pub(super) store: Store,
    /// Where libraries are unpacked.
    pub(super) folder: PathBuf,
    pub(super) limits: Limits,
}

impl Restorer {
    /// What the library of that package asks before it is loaded.
    pub(super) fn ready(&self, row: &PackageRow) -> Box<Ready> {
        let (restorer, row) = (self.clone(), row.clone());
        Box::new(move |is_damaged| {
            restorer.make_loadable(&row, is_damaged).map_err(|error| loader::Error::NotReady {
                path: restorer.folder.join(&row.library_path),
                code: error.code(),
                hints: error.hints(),
                source: Box::new(error),
            })
        })
    }

    /// Sees to it that the package's library is where it should be. A file that is there is left alone, unless it is
    /// known to be damaged. Blocks on the disk and the store.
    fn make_loadable(&self, row: &PackageRow, is_damaged: bool) -> Result<(), Error> {
        let path = self.folder.join(&row.library_path);
        if !is_damaged && path.is_file() {
            return Ok(());
        }
        let (tenant, digest) = (row.tenant.clone(), row.digest);
        let kept = self.store.read_blocking("reading an archive", move |connection| {
            store::archive_of_package(connection, &tenant, digest)
        })?;
        // The loader says what is wrong with the file.
        let Some((archive_digest, archive)) = kept? else { return Ok(()) };
        let damaged = |reason: String| Error::Damaged { package: super::package::label(row), reason };
        let found = Digest::of(&archive.bytes);
        if found != archive_digest {
            return Err(damaged(format!("its digest is {found}, expected {archive_digest}")));
        }
        let read = packager::read(&archive.bytes, &self.limits)?;
        if read.content_digest() != row.digest {
            return Err(damaged(format!("the digest of its content is {}", read.content_digest())));
        }
        if Digest::of(read.library()) != row.library_digest {
            return Err(damaged("it has another library for this machine than was registered".to_owned()));
        }
        // It was judged when it was registered; the content is the same.
        let verified = Verified::trust_unsigned(read);
        Unpacked::write(&self.folder, &verified)?.keep();
        tracing::warn!(path = %path.display(), "the file of a library was unpacked again");
        Ok(())
    }
}
