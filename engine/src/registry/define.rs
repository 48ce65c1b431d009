//! The steps from a definition's text to a registered workflow as data.
//!
//! ```text
//! text ─ read, pin to the versions that are registered, check ─ trust ─ conflicts ─ store
//! ```
//! What is stored is a version of a package without a library: its archive is the canonical form of the definition. A tenant
//! that requires signatures accepts none that has none.

use std::sync::Arc;

use cloacina_packager::{
    Digest,
    definition::{Definition, FILE, Found, FunctionName},
};

use super::{
    Error, Package, Registered, Upload,
    handle::Shared,
    register::{free_version, library, refuse_conflict, registered, store, tenant_of},
    selector,
    trust::signatures_of,
};
use crate::{
    id::{Scope, TENANT_DEFAULT},
    store::{ArchiveRow, Error as StoreError, LibraryRow, PackageRegistered, PackageRow, PackageState},
};

pub(super) fn define(shared: &Shared, upload: Upload) -> Result<Registered, Error> {
    let Upload { archive: text, signatures, tenant, actor, activation, .. } = upload;
    let tenant = tenant.unwrap_or_else(|| TENANT_DEFAULT.to_owned());
    let _turn = shared.begin()?;
    let seen = shared.lock().seen_by(&Scope::Tenant(tenant.as_str().into()));
    let pinned = Definition::pin(&text, |function| find(&seen, function))?;
    let tenant = tenant_of(&pinned.descriptor, Some(tenant))?;
    let (trust, now) = (shared.trust(&tenant)?, shared.options.clock.now());
    let sent = shared.with_known_signatures(&pinned.bytes, signatures)?;
    trust.policy().review(&pinned.bytes, &pinned.descriptor.package, &signatures_of(&sent)?, now)?;
    let unwritable = |reason: String| StoreError::Corrupt { reason };
    let definition = String::from_utf8(pinned.bytes.clone()).map_err(|error| unwritable(error.to_string()))?;
    let descriptor = serde_json::to_string(&pinned.descriptor).map_err(|error| unwritable(error.to_string()))?;
    let archive_digest = Digest::of(&pinned.bytes);
    let path = format!("{}/{FILE}", pinned.content_digest.hex());
    let mut row = PackageRow {
        tenant,
        digest: pinned.content_digest,
        archive_digest,
        name: pinned.descriptor.package.clone(),
        version: pinned.descriptor.version.clone(),
        state: PackageState::Registered,
        actor,
        registered_at: now,
        libraries: vec![LibraryRow {
            target: None,
            digest: archive_digest,
            path,
            descriptor,
            definition: Some(definition),
        }],
        share: None,
        quarantine: None,
    };
    if !pinned.has_version {
        row.version = free_version(&shared.lock(), &row);
    }
    refuse_conflict(&shared.lock(), &row)?;
    let library = library(shared, &row, &pinned.descriptor);
    let archive = ArchiveRow { bytes: pinned.bytes, signatures: sent };
    let answer = store(shared, &row, archive, activation, &library)?;
    let package = Arc::clone(shared.lock().find(&row).ok_or(Error::Closed)?);
    let is_new = answer == PackageRegistered::New;
    tracing::info!(%package, digest = %package.row.digest, actor = row.actor, is_new, "defined");
    Ok(registered(&package, is_new, Vec::new()))
}

/// The version of a package that a function means. Only what has a library has functions.
fn find(seen: &[Arc<Package>], function: &FunctionName) -> Result<Found, String> {
    let name = function.package_label();
    let package = match function.version {
        Some(_) => selector::find_version(seen, &name),
        None => selector::find(seen, &name),
    };
    let package = package.map_err(|error| {
        let versions: Vec<String> =
            seen.iter().filter(|known| known.row.name == function.package).map(|known| known.label()).collect();
        match (versions.is_empty(), &function.version) {
            (true, _) => format!("no package `{}` is registered in the tenant", function.package),
            (false, None) => format!(
                "no version of the package `{}` is active, only registered: {}",
                function.package,
                versions.join(", ")
            ),
            (false, Some(_)) => format!("{error}; registered are {}", versions.join(", ")),
        }
    })?;
    match package.row.definition() {
        None => Ok(Found { digest: package.row.digest, descriptor: Arc::clone(&package.descriptor) }),
        Some(_) => Err(format!("{} is a workflow as data, which has no functions", package.label())),
    }
}
