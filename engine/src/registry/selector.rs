//! Which package a text means.
//!
//! `sha256:…` is a content digest, whole or its first digits; `package` and `tenant::package` mean the active
//! version, or the main one of two; `@version` after either means that version. What fits several packages is refused
//! with their names.

use std::sync::Arc;

use super::{
    Error, Package,
    package::{has_name_of, label},
};
use crate::{id::TENANT_DEFAULT, store::PackageRow};

/// How many packages an error lists.
const LISTED_MAX: usize = 10;
/// Fewer digits of a digest are too easily mistyped into another.
pub(crate) const DIGITS_MIN: usize = 8;

/// Something that has the names of a package's version.
pub(crate) trait Named {
    fn row(&self) -> &PackageRow;
}

impl Named for Arc<Package> {
    fn row(&self) -> &PackageRow {
        &self.row
    }
}

impl Named for PackageRow {
    fn row(&self) -> &PackageRow {
        self
    }
}

/// The one package that the text means: of several versions the main one.
pub(crate) fn find<'a, T: Named>(packages: &'a [T], name: &str) -> Result<&'a T, Error> {
    only(packages, name, packages.iter().filter(|package| fits(package.row(), name, package.row().is_main())).collect())
}

/// The one version that the text means: without a version, the only one that there is.
pub(crate) fn find_version<'a, T: Named>(packages: &'a [T], name: &str) -> Result<&'a T, Error> {
    only(packages, name, packages.iter().filter(|package| fits(package.row(), name, true)).collect())
}

/// Some version of the one package that the text, which names no version, means.
pub(super) fn find_any_version<'a, T: Named>(packages: &'a [T], name: &str) -> Result<&'a T, Error> {
    let mut fitting: Vec<&T> = Vec::new();
    for package in packages.iter().filter(|package| fits(package.row(), name, true)) {
        if !fitting.iter().any(|known| has_name_of(known.row(), package.row())) {
            fitting.push(package);
        }
    }
    only(packages, name, fitting)
}

/// Tenant and name of the package that the text means, as far as the text alone says.
pub(crate) fn package_of<T: Named>(packages: &[T], name: &str) -> (String, String) {
    match find_any_version(packages, name) {
        Ok(package) => (package.row().tenant.clone(), package.row().name.clone()),
        Err(_) => match name.split_once("::") {
            Some((tenant, name)) => (tenant.to_owned(), name.to_owned()),
            None => (TENANT_DEFAULT.to_owned(), name.to_owned()),
        },
    }
}

fn only<'a, T: Named>(packages: &'a [T], name: &str, fitting: Vec<&'a T>) -> Result<&'a T, Error> {
    match fitting.as_slice() {
        [package] => Ok(package),
        [] => Err(unknown(packages, name)),
        several => Err(Error::AmbiguousPackage { name: name.to_owned(), candidates: labels(several.iter().copied()) }),
    }
}

fn fits(row: &PackageRow, name: &str, fits_without_version: bool) -> bool {
    match name.strip_prefix("sha256:") {
        Some(digits) => digits.len() >= DIGITS_MIN && row.digest.hex().starts_with(&digits.to_ascii_lowercase()),
        None => fits_name(row, name, fits_without_version),
    }
}

/// That there is no such package, with those that there are.
pub(super) fn unknown<T: Named>(packages: &[T], name: &str) -> Error {
    Error::UnknownPackage { name: name.to_owned(), known: labels(packages.iter()) }
}

fn fits_name(row: &PackageRow, name: &str, fits_without_version: bool) -> bool {
    let (name, version) = match name.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    };
    let (tenant, name) = match name.split_once("::") {
        Some((tenant, name)) => (Some(tenant), name),
        None => (None, name),
    };
    row.name == name
        && tenant.is_none_or(|tenant| row.tenant == tenant)
        && version.map_or(fits_without_version, |version| row.version == version)
}

fn labels<'a, T: Named + 'a>(packages: impl Iterator<Item = &'a T>) -> Vec<String> {
    packages.take(LISTED_MAX).map(|package| label(package.row())).collect()
}
