//! Which package a text means.
//!
//! `sha256:…` is a content digest, whole or its first digits; `package` and `tenant::package` mean the active
//! version; `@version` after either means that version. What fits several packages is refused with their names.

use std::sync::Arc;

use super::{Error, Package};

/// How many packages an error lists.
const LISTED_MAX: usize = 10;
/// Fewer digits of a digest are too easily mistyped into another.
const DIGITS_MIN: usize = 8;

/// The one package that the text means.
pub(super) fn find<'a>(packages: &'a [Arc<Package>], name: &str) -> Result<&'a Arc<Package>, Error> {
    let fits = |package: &&Arc<Package>| match name.strip_prefix("sha256:") {
        Some(digits) => digits.len() >= DIGITS_MIN && package.row.digest.hex().starts_with(digits),
        None => fits_name(package, name),
    };
    let fitting: Vec<_> = packages.iter().filter(fits).collect();
    match fitting.as_slice() {
        [package] => Ok(package),
        [] => Err(Error::UnknownPackage { name: name.to_owned(), known: labels(packages.iter()) }),
        several => Err(Error::AmbiguousPackage { name: name.to_owned(), candidates: labels(several.iter().copied()) }),
    }
}

fn fits_name(package: &Package, name: &str) -> bool {
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
        && version.map_or_else(|| package.is_active(), |version| row.version == version)
}

fn labels<'a>(packages: impl Iterator<Item = &'a Arc<Package>>) -> Vec<String> {
    packages.take(LISTED_MAX).map(|package| package.label()).collect()
}
