//! Decides whether a library may be loaded, and makes its file ready: the one function for it, in every path.
//!
//! ```text
//! policy now, archive and signatures from the database ─► digest ─► signatures ─► read ─► check ──┐ Verified
//!                       file there? ─ no ─► unpacked again ─┐                                     │
//!                              └ yes ───────────────────────┴─► the same content? ────────────────┴─► TrustedFile
//! ```
//! Asked directly before each load: at registration and activation, at the first attempt, after a restart, by an engine
//! that took runs over, and before each process that is to load it. What the database holds is not trusted more than
//! what is sent. The file is only a copy: one that is not there is unpacked again, but one that was *changed* is refused,
//! because it was changed on purpose.

use std::{path::PathBuf, sync::Arc};

use cloacina_packager::{
    Digest, Limits, Target,
    sign::{Examined, Untrusted},
};

use super::{
    Error,
    handle::read,
    package::label,
    register::Unpacked,
    trust::{keys_of, signatures_of},
};
use crate::{
    clock::Clock,
    loader::{self, Ready, TrustedFile},
    store::{self, ArchiveRow, LibraryRow, PackageRow, Store},
    trust,
};

/// The source and the place of libraries, and the policy for their checks.
#[derive(Clone, Debug)]
pub(super) struct Restorer {
    pub(super) store: Store,
    /// Where libraries are unpacked.
    pub(super) folder: PathBuf,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    /// How many signatures are required of tenants that have not said how many.
    pub(super) required_default: usize,
    /// The target of the wanted libraries.
    pub(super) target: Option<Target>,
}

impl Restorer {
    /// What the library of that package asks before it is loaded.
    pub(super) fn ready(&self, row: &PackageRow, library: &LibraryRow) -> Arc<Ready> {
        let (restorer, row, library) = (self.clone(), row.clone(), library.clone());
        Arc::new(move || {
            restorer.trusted(&row, &library).map_err(|error| loader::Error::NotReady {
                path: restorer.folder.join(&library.path),
                code: error.code(),
                class: error.class(),
                hints: error.hints(),
                is_withheld: error.is_withheld(),
                source: Box::new(error),
            })
        })
    }

    /// That library of the package, if it may be loaded now by what the tenant's policy says, its file made if it is not there.
    /// Blocks on the disk and the store.
    pub(super) fn trusted(&self, row: &PackageRow, library: &LibraryRow) -> Result<TrustedFile, Error> {
        let (tenant, digest, default) = (row.tenant.clone(), row.digest, self.required_default);
        let (trust, kept) = self.store.read_blocking("reading an archive", move |connection| {
            let trust = trust::read(connection, &tenant, default)?;
            store::archive_of_package(connection, &tenant, digest).map(|kept| (trust, kept))
        })?;
        let (policy, path) = (trust.policy(), self.folder.join(&library.path));
        let Some((archive_digest, ArchiveRow { bytes, signatures })) = kept else {
            // What was registered when archives were not kept yet.
            let package = format!("the package {}", row.name);
            return match policy.required {
                0 => Ok(TrustedFile::unsigned(path, library.digest)?),
                required => Err(Untrusted::Unsigned { package, required }.into()),
            };
        };
        let damaged = |reason: String| Error::Damaged { package: label(row), reason };
        let (signatures, now) = (signatures_of(&signatures)?, self.clock.now());
        let examined = policy.examine_package(&bytes, &row.name, &signatures, now);
        // That the archive was damaged says more than whatever else is wrong then.
        let found = examined.as_ref().map_or_else(|_| Digest::of(&bytes), Examined::archive_digest);
        if found != archive_digest {
            return Err(damaged(format!("its digest is {found}, expected {archive_digest}")));
        }
        let examined = examined?;
        let read = read(&bytes, &self.limits, self.target)?;
        if read.content_digest() != row.digest {
            return Err(damaged(format!("the digest of its content is {}", read.content_digest())));
        }
        if read.library_digest() != library.digest {
            return Err(damaged("it has another library for this machine than was registered".to_owned()));
        }
        let (verified, signers) = examined.check(read)?;
        let path = match path.exists() {
            true => path,
            false => {
                tracing::info!(path = %path.display(), "the file of a library is unpacked from the database");
                Unpacked::write(&self.folder, &verified)?.keep()
            }
        };
        Ok(TrustedFile::of(&verified, path)?.signed_by(keys_of(&policy, &signers)))
    }
}
