//! The versions of packages that a database holds, and what happened to them, for those who only look.
//!
//! What only a process knows of a package (whether its library is loaded, where its file is) is not there.

use cloacina_packager::Digest;
use cloacina_workflow::descriptor::Descriptor;

use super::{handle::Engine, records::Records};
use crate::{
    Error,
    api::{self, PackageFilter, PackageList, Page},
    registry::{self, DIGITS_MIN, find, find_version, package_of, package_record},
    store::{self, Connection, Error as StoreError, PackageEvent, PackageFound, PackagePlace, PackageRow},
    view::PackageRecord,
};

/// Versions that an error lists.
const KNOWN_MAX: usize = 10;

impl Engine {
    /// The versions of packages that fit, a page of them, as the database has them.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list_packages(&self, filter: &PackageFilter, page: &Page<PackagePlace>) -> Result<PackageList, Error> {
        let (scope, filter, page) = (self.caller.scope().clone(), filter.clone(), page.clone());
        let list = move |connection: &mut Connection| api::list_packages(connection, &scope, &filter, &page);
        PackageList::new(self.shared.store().read("listing packages", list).await?)
    }
}

impl Records {
    /// The versions of packages that fit, a page of them.
    ///
    /// # Errors
    /// What the store says.
    pub fn list_packages(&mut self, filter: &PackageFilter, page: &Page<PackagePlace>) -> Result<PackageList, Error> {
        let scope = self.caller.scope().clone();
        let list = |connection: &mut Connection| api::list_packages(connection, &scope, filter, page);
        PackageList::new(self.read("listing packages", list)?)
    }

    /// All versions of packages that fit, by tenant and name; of one package those registered first in front.
    ///
    /// # Errors
    /// What the store says.
    pub fn packages(&mut self, filter: &PackageFilter) -> Result<Vec<PackageRecord>, Error> {
        api::all(|page| self.list_packages(filter, page).map(|list| (list.packages, list.next)))
    }

    /// One version: `package`, `tenant::package`, either with `@version`, or `sha256:` and a digest or the first digits
    /// of it. Without a version, the active one, or the only one that there is.
    ///
    /// # Errors
    /// [`RegistryError::UnknownPackage`](crate::RegistryError::UnknownPackage) and
    /// [`RegistryError::AmbiguousPackage`](crate::RegistryError::AmbiguousPackage) with names that help.
    pub fn package(&mut self, name: &str) -> Result<PackageRecord, Error> {
        record(self.package_found(name)?)
    }

    /// What a version says of itself. The name is as for [`Self::package`].
    ///
    /// # Errors
    /// As [`Self::package`].
    pub fn package_descriptor(&mut self, name: &str) -> Result<(Digest, Descriptor), Error> {
        let row = self.package_found(name)?.row;
        Ok((row.digest, descriptor(&row)?))
    }

    /// The canonical form of a workflow as data; none for a package. The name is as for [`Self::package`].
    ///
    /// # Errors
    /// As [`Self::package`].
    pub fn package_definition(&mut self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.package_found(name)?.row.definition().map(str::to_owned))
    }

    /// The archive of a version as it was registered, with the digest of its bytes; for a workflow as data its canonical form.
    /// None if it was registered when archives were not kept yet. The name is as for [`Self::package`].
    ///
    /// # Errors
    /// As [`Self::package`].
    pub fn package_archive(&mut self, name: &str) -> Result<Option<(Digest, Vec<u8>)>, Error> {
        let PackageRow { tenant, digest, .. } = self.package_found(name)?.row;
        let kept =
            self.read("reading an archive", |connection| store::archive_of_package(connection, &tenant, digest))?;
        Ok(kept.map(|(digest, archive)| (digest, archive.bytes)))
    }

    fn package_found(&mut self, name: &str) -> Result<PackageFound, Error> {
        let rows = self.candidates(name)?;
        let found = match find(&rows, name) {
            Err(registry::Error::UnknownPackage { .. }) => find_version(&rows, name),
            found => found,
        };
        let (tenant, digest) = found.map(|row| (row.tenant.clone(), row.digest))?;
        let found = self.read("reading a package", |connection| store::package_find(connection, &tenant, digest))?;
        // It may have been removed meanwhile.
        let removed = || registry::Error::UnknownPackage { name: name.to_owned(), known: Vec::new() };
        Ok(found.ok_or_else(removed)?)
    }

    /// Everything that happened to the versions of a package, oldest first; also to those that are gone. The name is as
    /// for [`Self::package`].
    ///
    /// # Errors
    /// What the store says.
    pub fn package_events(&mut self, name: &str) -> Result<Vec<PackageEvent>, Error> {
        let rows = self.candidates(name)?;
        let (tenant, package) = package_of(&rows, name);
        if !self.caller.scope().has(&tenant) {
            return Ok(Vec::new());
        }
        self.read("reading the history of a package", |connection| {
            store::package_event_list(connection, &tenant, &package)
        })
    }

    /// The versions among which one of that name is, if there is one; else some that an error can list.
    fn candidates(&mut self, name: &str) -> Result<Vec<PackageRow>, Error> {
        let filter = match name.strip_prefix("sha256:") {
            Some(digits) => digests(digits).map(|range| PackageFilter { digests: Some(range), ..Default::default() }),
            None => {
                let package = name.split_once('@').map_or(name, |(package, _)| package);
                let package = package.split_once("::").map_or(package, |(_, package)| package);
                Some(PackageFilter { name: Some(package.to_owned()), ..Default::default() })
            }
        };
        let found = match filter {
            Some(filter) => self.package_rows(&filter, &Page::first(usize::MAX))?,
            None => Vec::new(),
        };
        match found.is_empty() {
            true => self.package_rows(&PackageFilter::default(), &Page::first(KNOWN_MAX)),
            false => Ok(found),
        }
    }

    fn package_rows(&mut self, filter: &PackageFilter, page: &Page<PackagePlace>) -> Result<Vec<PackageRow>, Error> {
        let scope = self.caller.scope().clone();
        let list = |connection: &mut Connection| api::list_packages(connection, &scope, filter, page);
        let (found, _) = self.read("listing packages", list)?;
        Ok(found.into_iter().map(|PackageFound { row, .. }| row).collect())
    }
}

impl PackageList {
    fn new((found, next): (Vec<PackageFound>, Option<PackagePlace>)) -> Result<Self, Error> {
        let packages = found.into_iter().map(record).collect::<Result<_, _>>()?;
        Ok(Self { packages, next })
    }
}

/// The first and the last digest that begin with those digits; nothing if these are too few, or no digits.
fn digests(digits: &str) -> Option<(Digest, Digest)> {
    let is_beginning = (DIGITS_MIN..=64).contains(&digits.len()) && digits.bytes().all(|one| one.is_ascii_hexdigit());
    let end = |fill: &str| {
        let padded = format!("sha256:{}{}", digits.to_ascii_lowercase(), fill.repeat(64 - digits.len()));
        padded.parse().ok()
    };
    is_beginning.then(|| end("0").zip(end("f"))).flatten()
}

fn record(found: PackageFound) -> Result<PackageRecord, Error> {
    let PackageFound { row, sharing } = found;
    Ok(package_record(&row, &descriptor(&row)?, sharing))
}

fn descriptor(row: &PackageRow) -> Result<Descriptor, Error> {
    let unreadable = |error| StoreError::Corrupt { reason: format!("the description of {}: {error}", row.name) };
    Ok(Descriptor::parse(row.descriptor()).map_err(unreadable)?)
}
