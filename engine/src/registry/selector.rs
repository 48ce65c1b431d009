//! Which package a text means.
//!
//! `sha256:…` is a content digest, whole or its first digits; `package` and `tenant::package` mean the active
//! version, or the main one of two; `@version` after either means that version. What fits several packages is refused with their names.

use std::sync::Arc;

use super::{Error, Package};
use crate::id::TENANT_DEFAULT;

/// How many packages an error lists.
const LISTED_MAX: usize = 10;
/// Fewer digits of a digest are too easily mistyped into another.
const DIGITS_MIN: usize = 8;

/// The one package that the text means: of several versions the main one.
pub(super) fn find<'a>(packages: &'a [Arc<Package>], name: &str) -> Result<&'a Arc<Package>, Error> {
    only(packages, name, packages.iter().filter(|package| fits(package, name, package.row.is_main())).collect())
}

/// The one version that the text means: without a version, the only one that there is.
pub(super) fn find_version<'a>(packages: &'a [Arc<Package>], name: &str) -> Result<&'a Arc<Package>, Error> {
    only(packages, name, packages.iter().filter(|package| fits(package, name, true)).collect())
}

/// Some version of the one package that the text, which names no version, means.
pub(super) fn find_any_version<'a>(packages: &'a [Arc<Package>], name: &str) -> Result<&'a Arc<Package>, Error> {
    let mut fitting: Vec<&Arc<Package>> = Vec::new();
    for package in packages.iter().filter(|package| fits(package, name, true)) {
        if !fitting.iter().any(|known| known.has_name_of(package)) {
            fitting.push(package);
        }
    }
    only(packages, name, fitting)
}

/// Tenant and name of the package that the text means, as far as the text alone says.
pub(super) fn package_of(packages: &[Arc<Package>], name: &str) -> (String, String) {
    match find_any_version(packages, name) {
        Ok(package) => (package.row.tenant.clone(), package.row.name.clone()),
        Err(_) => match name.split_once("::") {
            Some((tenant, name)) => (tenant.to_owned(), name.to_owned()),
            None => (TENANT_DEFAULT.to_owned(), name.to_owned()),
        },
    }
}

fn only<'a>(
    packages: &'a [Arc<Package>],
    name: &str,
    fitting: Vec<&'a Arc<Package>>,
) -> Result<&'a Arc<Package>, Error> {
    match fitting.as_slice() {
        [package] => Ok(package),
        [] => Err(unknown(packages, name)),
        several => Err(Error::AmbiguousPackage { name: name.to_owned(), candidates: labels(several.iter().copied()) }),
    }
}

fn fits(package: &Package, name: &str, fits_without_version: bool) -> bool {
    match name.strip_prefix("sha256:") {
        Some(digits) => digits.len() >= DIGITS_MIN && package.row.digest.hex().starts_with(digits),
        None => fits_name(package, name, fits_without_version),
    }
}

/// That there is no such package, with those that there are.
pub(super) fn unknown(packages: &[Arc<Package>], name: &str) -> Error {
    Error::UnknownPackage { name: name.to_owned(), known: labels(packages.iter()) }
}

fn fits_name(package: &Package, name: &str, fits_without_version: bool) -> bool {
    let (name, version) = match name.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    };
    let (tenant, name) = match name.split_once("::") {
        Some((tenant, name)) => (Some(tenant), name),
        None => (None, name),
    };
    let row = &package.row;
    row.name == name
        && tenant.is_none_or(|tenant| row.tenant == tenant)
        && version.map_or(fits_without_version, |version| row.version == version)
}

fn labels<'a>(packages: impl Iterator<Item = &'a Arc<Package>>) -> Vec<String> {
    packages.take(LISTED_MAX).map(|package| package.label()).collect()
}
