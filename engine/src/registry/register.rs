//! The steps from an archive's bytes to a registered package.
//!
//! ```text
//! read and check ─ tenant ─ trust ─ conflicts ─┐ nothing is written up to here
//!                       unpack ─ load ─ store ─┘ undone together: the folder goes again, unless it was there before
//! ```
//! Runs on a thread that may block, under the registry's lock from the trust on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cloacina_packager::{self as packager, Digest, Package as Archive, Verified, Warning};
use cloacina_workflow::descriptor::Descriptor;

use super::{
    Error, Package, Registered, Upload,
    handle::Shared,
    package::{label, workflow_key},
    selector::DIGITS_MIN,
    state::State,
    trust::{keys_of, signatures_of},
};
use crate::{
    id::TENANT_DEFAULT,
    isolation::{Code, Isolation},
    loader::{self, TrustedFile},
    store::{
        self, Activation, ArchiveRow, Error as StoreError, LibraryRow, PackageRegistered, PackageRow, PackageState,
        WorkflowKey,
    },
};

pub(super) fn register(shared: &Shared, upload: Upload) -> Result<Registered, Error> {
    let Upload { archive, signatures: sent, tenant, actor, activation, is_build, .. } = upload;
    let sent = shared.with_known_signatures(&archive, sent)?;
    let signatures = signatures_of(&sent)?;
    if let Some(tenant) = &tenant {
        // A request that names a tenant is refused before anything is decompressed.
        shared.policy(tenant)?.examine(&archive, &signatures, shared.options.clock.now())?;
    }
    let read = shared.options.read(&archive)?;
    let tenant = tenant_of(read.descriptor(), tenant)?;
    let isolation = shared.options.isolation_of(&tenant, &read.descriptor().package);
    loader::check_descriptor(read.descriptor(), isolation != Some(Isolation::Inline))?;

    // The trust of the tenant does not change between here and the end.
    let _turn = shared.begin()?;
    let (trust, now) = (shared.trust(&tenant)?, shared.options.clock.now());
    let policy = trust.policy();
    let (verified, signers) = policy.verify(&archive, read, &signatures, now)?;
    let mut row = row(shared, verified.get(), tenant, actor)?;
    if is_build {
        row.version = free_version(&shared.lock(), &row);
    }
    refuse_conflict(&shared.lock(), &row)?;
    let unpacked = Unpacked::write(&shared.options.folder, &verified)?;
    let library = library(shared, &row, verified.get().descriptor());
    if is_to_be_active(&shared.lock(), &row, activation) {
        let file = TrustedFile::of(&verified, unpacked.path.clone())?;
        shared.load(&row, &library, file.signed_by(keys_of(&policy, &signers)))?;
    }
    let archive = ArchiveRow { bytes: archive, signatures: sent };
    let answer = store(shared, &row, archive, activation, &library).inspect_err(|_| abandon(shared, &library))?;
    unpacked.keep();
    let package = Arc::clone(shared.lock().find(&row).ok_or(Error::Closed)?);
    let is_new = answer == PackageRegistered::New;
    shared.record_signers(&package, &signers)?;
    shared.await_expiry(&trust, now);
    tracing::info!(%package, digest = %package.row.digest, actor = row.actor, is_new, "registered");
    let warnings = packager::warnings(verified.get().descriptor());
    Ok(registered(&package, is_new, warnings))
}

/// Whether new runs will get it, as far as is known before it is written.
fn is_to_be_active(state: &State, row: &PackageRow, activation: Activation) -> bool {
    let has_name = |known: &Arc<Package>| known.row.tenant == row.tenant && known.row.name == row.name;
    match activation {
        Activation::Now => true,
        Activation::Later => false,
        Activation::IfFirst => !state.packages.iter().any(has_name),
    }
}

/// The tenant of the upload, which must be the tenant that the package names; without either, the default.
pub(super) fn tenant_of(descriptor: &Descriptor, upload: Option<String>) -> Result<String, Error> {
    let tenant = match (upload, &descriptor.tenant) {
        (Some(upload), Some(package)) if upload != *package => {
            return Err(Error::Tenant { package: package.clone(), upload });
        }
        (Some(upload), _) => upload,
        (None, Some(package)) => package.clone(),
        (None, None) => TENANT_DEFAULT.to_owned(),
    };
    // A tenant that was given with the upload keeps to the rules for one that was written down.
    let named = Descriptor { tenant: Some(tenant.clone()), ..descriptor.clone() };
    packager::check(&named).map_err(|mistakes| packager::Error::Mistakes { mistakes })?;
    Ok(tenant)
}

fn row(shared: &Shared, archive: &Archive, tenant: String, actor: String) -> Result<PackageRow, Error> {
    let descriptor = archive.descriptor();
    let unwritable = |error: serde_json::Error| StoreError::Corrupt { reason: error.to_string() };
    let content = archive.content_digest().hex();
    let mut libraries = Vec::new();
    for (place, digest, target, facts) in archive.places() {
        libraries.push(LibraryRow {
            target: Some(target.triple().to_owned()),
            digest,
            path: format!("{content}/{place}"),
            descriptor: serde_json::to_string(&facts.descriptor).map_err(unwritable)?,
            definition: None,
        });
    }
    Ok(PackageRow {
        tenant,
        digest: archive.content_digest(),
        archive_digest: archive.archive_digest(),
        name: descriptor.package.clone(),
        version: descriptor.version.clone(),
        state: PackageState::Registered,
        actor,
        registered_at: shared.options.clock.now(),
        libraries,
        share: None,
        quarantine: None,
    })
}

/// Checks before anything is written; the store decides.
pub(super) fn refuse_conflict(state: &State, row: &PackageRow) -> Result<(), Error> {
    let same = |known: &&Arc<Package>| {
        known.row.tenant == row.tenant && known.row.name == row.name && known.row.version == row.version
    };
    match state.packages.iter().find(same) {
        Some(known) if known.row.digest != row.digest => Err(conflict(row, known.row.digest)),
        Some(_) | None => Ok(()),
    }
}

/// The version under which a build can be registered: its own, unless other content has that.
pub(super) fn free_version(state: &State, row: &PackageRow) -> String {
    if let Some(known) = state.find(row) {
        return known.row.version.clone();
    }
    match refuse_conflict(state, row) {
        Ok(()) => row.version.clone(),
        Err(_) => {
            // In a semantic version one `+` may stand, and dots after it.
            let separator = if row.version.contains('+') { '.' } else { '+' };
            format!("{}{separator}{}", row.version, &row.digest.hex()[..DIGITS_MIN])
        }
    }
}

fn conflict(row: &PackageRow, registered: Digest) -> Error {
    let package = format!("{}::{}", row.tenant, row.name);
    Error::Conflict { package, version: row.version.clone(), registered, given: row.digest }
}

/// The library of the same package stays; otherwise it is made anew.
pub(super) fn library(shared: &Shared, row: &PackageRow, descriptor: &Descriptor) -> Arc<Code> {
    let known = shared.lock().find(row).map(|known| Arc::clone(&known.library));
    known.unwrap_or_else(|| shared.library(row, descriptor.clone()))
}

/// Unloads a library that is not needed.
fn abandon(shared: &Shared, library: &Arc<Code>) {
    let is_in_use = shared.lock().packages.iter().any(|known| Arc::ptr_eq(&known.library, library));
    if !is_in_use {
        library.close(Duration::ZERO);
    }
}

/// Writes the package, its workflows and its archive, in one transaction: an engine that waits for signatures that count must
/// find them when the quarantine ends.
pub(super) fn store(
    shared: &Shared,
    row: &PackageRow,
    archive: ArchiveRow,
    activation: Activation,
    library: &Arc<Code>,
) -> Result<PackageRegistered, Error> {
    let mut workflows: Vec<(WorkflowKey, String)> = Vec::new();
    for described in &library.descriptor().workflows {
        let json =
            serde_json::to_string(described).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
        workflows.push((workflow_key(&row.tenant, row.digest, &row.name, described), json));
    }
    let (stored, release) = (row.clone(), shared.release_if_distrusted(row));
    let answer = shared.change("registering a package", Some(library), move |connection| {
        if let Some(order) = &release {
            store::package_release_in_txn(connection, order)?;
        }
        let answer = store::package_register_in_txn(connection, &stored, &archive, activation)?;
        if matches!(answer, PackageRegistered::New | PackageRegistered::Again) {
            for (key, json) in &workflows {
                store::workflow_ensure_in_txn(connection, key, json, stored.registered_at)?;
            }
        }
        Ok(answer)
    })?;
    match answer {
        PackageRegistered::Conflict { registered } => Err(conflict(row, registered)),
        PackageRegistered::Refused(refusal) => Err(Error::refused(label(row), refusal)),
        answer @ (PackageRegistered::New | PackageRegistered::Again) => Ok(answer),
    }
}

pub(super) fn registered(package: &Package, is_new: bool, warnings: Vec<Warning>) -> Registered {
    Registered {
        tenant: package.row.tenant.clone(),
        package: package.row.name.clone(),
        version: package.row.version.clone(),
        workflows: package.workflow_names(),
        digest: package.row.digest,
        archive_digest: package.row.archive_digest,
        library: package.library.path().to_owned(),
        activated: package.row.state == PackageState::Active,
        is_new,
        warnings,
    }
}

/// An unpacked library, which goes again unless it is kept or was there before.
pub(super) struct Unpacked {
    folder: PathBuf,
    /// Of the library.
    pub(super) path: PathBuf,
    is_mine: bool,
}

impl Unpacked {
    pub(super) fn write(packages: &Path, verified: &Verified<Archive>) -> Result<Self, Error> {
        let disk = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Disk { action, path, source }
        };
        fs::create_dir_all(packages).map_err(disk("create the folder", packages))?;
        let folder = packages.join(verified.get().content_digest().hex());
        let is_mine = !folder.try_exists().map_err(disk("read the metadata of", &folder))?;
        let mut unpacked = Self { path: folder.clone(), folder, is_mine };
        unpacked.path = match verified.unpack_into(packages) {
            // The file was damaged since. A process that has it mapped keeps what is mapped, as the new one is another file.
            Err(packager::Error::ExistingDiffers { path, .. }) => {
                fs::remove_file(&path).map_err(disk("remove the damaged file", &path))?;
                verified.unpack_into(packages)?
            }
            written => written?,
        };
        Ok(unpacked)
    }

    /// Returns where the library is.
    pub(super) fn keep(mut self) -> PathBuf {
        self.is_mine = false;
        self.path.clone()
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        if self.is_mine {
            remove(&self.folder);
        }
    }
}

/// Removes what was unpacked of a package. What is mapped stays mapped.
pub(super) fn remove_folder(packages: &Path, digest: Digest) {
    remove(&packages.join(digest.hex()));
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(folder = %folder.display(), %error, "cannot remove the folder of a package"),
    }
}
