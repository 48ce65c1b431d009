//! The versions of packages that a database holds, and what happened to them, for those who only look.
//!
//! What only a process knows of a package (whether its library is loaded, where its file is) is not there.

use std::sync::Arc;

use cloacina_packager::Digest;
use cloacina_workflow::{Timestamp, descriptor::Descriptor};

use super::records::Records;
use crate::{
    Error,
    registry::{self, find, find_version, package_of, share_of},
    store::{self, Error as StoreError, PackageEvent, PackageRow, PackageState, Quarantine},
};

/// A version of a package.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PackageRecord {
    /// The tenant that has it.
    pub tenant: String,
    /// The package's name.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// The content digest: the version's identity.
    pub digest: Digest,
    /// The digest of the archive that is kept.
    pub archive_digest: Digest,
    /// Where it stands.
    pub state: PackageState,
    /// The percentage of new runs that it gets, or would get if it was not quarantined; none if it is not active.
    pub share: Option<u8>,
    /// Why it is quarantined, if it is.
    pub quarantine: Option<Quarantine>,
    /// Who registered it.
    pub actor: String,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// What it says of itself.
    pub descriptor: Arc<Descriptor>,
}

impl Records {
    /// All versions of all packages, those registered first in front.
    ///
    /// # Errors
    /// What the store says.
    pub fn packages(&mut self) -> Result<Vec<PackageRecord>, Error> {
        let rows = self.seen_packages()?;
        rows.iter().map(|row| PackageRecord::new(row, &rows)).collect()
    }

    /// One version: `package`, `tenant::package`, either with `@version`, or `sha256:` and a digest or the first digits
    /// of it. Without a version, the active one, or the only one that there is.
    ///
    /// # Errors
    /// [`RegistryError::UnknownPackage`](crate::RegistryError::UnknownPackage) and
    /// [`RegistryError::AmbiguousPackage`](crate::RegistryError::AmbiguousPackage) with names that help.
    pub fn package(&mut self, name: &str) -> Result<PackageRecord, Error> {
        let rows = self.seen_packages()?;
        let found = match find(&rows, name) {
            Err(registry::Error::UnknownPackage { .. }) => find_version(&rows, name),
            found => found,
        };
        PackageRecord::new(found?, &rows)
    }

    /// Everything that happened to the versions of a package, oldest first; also to those that are gone. The name is as
    /// for [`Self::package`].
    ///
    /// # Errors
    /// What the store says.
    pub fn package_events(&mut self, name: &str) -> Result<Vec<PackageEvent>, Error> {
        let rows = self.seen_packages()?;
        let (tenant, package) = package_of(&rows, name);
        if !self.caller.scope().has(&tenant) {
            return Ok(Vec::new());
        }
        self.read("reading what happened to a package", |connection| {
            store::package_event_list(connection, &tenant, &package)
        })
    }

    /// The packages of the tenants that the caller sees.
    fn seen_packages(&mut self) -> Result<Vec<PackageRow>, Error> {
        let mut rows = self.read("listing packages", store::package_list)?;
        rows.retain(|row| self.caller.scope().has(&row.tenant));
        Ok(rows)
    }
}

impl PackageRecord {
    fn new(row: &PackageRow, rows: &[PackageRow]) -> Result<Self, Error> {
        let unreadable = |error| StoreError::Corrupt { reason: format!("the description of {}: {error}", row.name) };
        Ok(Self {
            tenant: row.tenant.clone(),
            name: row.name.clone(),
            version: row.version.clone(),
            digest: row.digest,
            archive_digest: row.archive_digest,
            state: row.state,
            share: share_of(row, rows.iter()),
            quarantine: row.quarantine.clone(),
            actor: row.actor.clone(),
            registered_at: row.registered_at,
            descriptor: Arc::new(Descriptor::parse(row.descriptor()).map_err(unreadable)?),
        })
    }
}
