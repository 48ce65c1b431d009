//! The versions of packages that a database holds, and what happened to them, for those who only look.
//!
//! What only a process knows of a package (whether its library is loaded, where its file is) is not there.

use std::sync::Arc;

use cloacina_workflow::descriptor::Descriptor;

use super::records::Records;
use crate::{
    Error,
    isolation::needs_of,
    registry::{self, find, find_version, package_of, share_of},
    store::{self, Error as StoreError, PackageEvent, PackageRow},
    view::PackageRecord,
};

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
        self.read("reading the history of a package", |connection| {
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
        let descriptor = Descriptor::parse(row.descriptor()).map_err(unreadable)?;
        let (tenant, name) = (row.tenant.clone(), row.name.clone());
        let workflows = descriptor.workflows.iter();
        Ok(Self {
            workflows: workflows.map(|workflow| format!("{tenant}::{name}::{}", workflow.name)).collect(),
            needs: needs_of(&descriptor),
            tenant,
            name,
            version: row.version.clone(),
            digest: row.digest,
            archive_digest: row.archive_digest,
            state: row.state,
            share: share_of(row, rows.iter()).unwrap_or(0),
            quarantine: row.quarantine.clone(),
            registered_at: row.registered_at,
            actor: row.actor.clone(),
            descriptor: Arc::new(descriptor),
        })
    }
}
