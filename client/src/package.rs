//! Packages: registering, listing and withdrawing versions.
//!
//! A version is named `package`, `tenant::package`, either with `@version`, or `sha256:` and the first digits of a digest.
//! Without a version, the active one is meant.

use std::path::{Path, PathBuf};

use cloacina::{PackageAnswer, PackageEvent, PackageFilter, PackageRecord};
use futures_core::Stream;
use hyper::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Serialize;

use crate::{
    address::encoded,
    body,
    client::{BASE, Client},
    error::Error,
    query::Query,
};

/// The line between the parts of a form. An archive is compressed, and its bytes do not read so by chance.
const BOUNDARY: &str = "cloacina-client-5c1b0f6e-8d0a-4c2f-9b7e-2f6d3a1e4b90";

/// An archive to be registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPackage {
    /// The archive, a `.cloacina` file.
    pub archive: PathBuf,
    /// The texts of its detached signatures.
    pub signatures: Vec<String>,
    /// The tenant; without one, the one that the package names, else `public`.
    pub tenant: Option<String>,
    /// Whether new runs get it: `true` at once, `false` later, and without a word if it is the first version.
    pub activate: Option<bool>,
    /// Register a build among others of the same version: other content gets the first digits of its digest after the version.
    pub is_build: bool,
}

/// How many new runs a version gets, as the server reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Share {
    pub(crate) percent: u8,
}

/// Why a version must not be used, as the server reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Reason<'a> {
    pub(crate) reason: &'a str,
}

impl Client {
    /// Registers a package. The archive is read while it is sent.
    ///
    /// # Errors
    /// As [`Error`] says; [`Error::File`] if there is no such archive.
    pub async fn package_register(&self, new: &NewPackage) -> Result<PackageAnswer, Error> {
        let NewPackage { archive, signatures, tenant, activate, is_build } = new;
        let query = Query::default()
            .with("tenant", tenant.as_deref())
            .with("activate", *activate)
            .with_mark("build", *is_build);
        let body = form(archive, signatures).await?;
        let mut request = self.request(Method::POST, &format!("{BASE}/packages{query}"), body)?;
        let kind = HeaderValue::from_str(&format!("multipart/form-data; boundary={BOUNDARY}"));
        let kind = kind.expect("invariant: the boundary has letters, digits and hyphens alone");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        self.send(request).await?.json().await
    }

    /// The versions of packages that fit, by tenant and name; of one package those registered first in front. A range of digests,
    /// which no server takes, excludes none.
    pub fn packages(&self, filter: &PackageFilter) -> impl Stream<Item = Result<PackageRecord, Error>> + use<> {
        let PackageFilter { tenant, name, state, digests: _ } = filter;
        let query = Query::default().with("tenant", tenant.as_deref()).with("name", name.as_deref());
        self.items(format!("{BASE}/packages"), query.with("state", state.map(|state| state.as_str())))
    }

    /// One version of a package.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn package(&self, package: &str) -> Result<PackageRecord, Error> {
        self.get(&of_package(package, "")).await
    }

    /// What happened to the versions of a package, oldest first.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn package_events(&self, package: &str) -> Result<Vec<PackageEvent>, Error> {
        self.get(&of_package(package, "/events")).await
    }

    /// Lets new runs take a version: all of them, or so many of a hundred.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn package_activate(&self, package: &str, percent: Option<u8>) -> Result<PackageRecord, Error> {
        let path = of_package(package, "/activate");
        match percent {
            Some(percent) => self.post(&path, &Share { percent }).await,
            None => self.act(&path).await,
        }
    }

    /// Goes back to the version that was active before.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn package_roll_back(&self, package: &str) -> Result<PackageRecord, Error> {
        self.act(&of_package(package, "/rollback")).await
    }

    /// Lets new runs take a version no longer; the runs that it has go on.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn package_retire(&self, package: &str) -> Result<PackageRecord, Error> {
        self.act(&of_package(package, "/retire")).await
    }

    /// Keeps a version from being used, until it is released.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn package_quarantine(&self, package: &str, reason: &str) -> Result<PackageRecord, Error> {
        self.post(&of_package(package, "/quarantine"), &Reason { reason }).await
    }

    /// Lets a quarantined version be used again.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn package_release(&self, package: &str) -> Result<PackageRecord, Error> {
        self.act(&of_package(package, "/release")).await
    }

    /// Removes a version that no unfinished run needs.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn package_remove(&self, package: &str) -> Result<(), Error> {
        self.delete(&of_package(package, "")).await
    }
}

/// The archive and its signatures as a form.
async fn form(archive: &Path, signatures: &[String]) -> Result<body::Body, Error> {
    let part = |name: &str| format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    let mut before = String::new();
    for signature in signatures {
        before.push_str(&format!("{}{signature}\r\n", part("signature")));
    }
    before.push_str(&part("archive"));
    body::file(before, archive, format!("\r\n--{BOUNDARY}--\r\n")).await
}

fn of_package(package: &str, part: &str) -> String {
    format!("{BASE}/packages/{}{part}", encoded(package))
}
