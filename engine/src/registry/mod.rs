//! The registry: which packages there are, and how an archive becomes one.
//!
//! ```text
//! bytes ─ read, check (memory only) ─ Verified ─ tenant, conflicts ─ unpack ─ load ─ one row ─ Change ─► catalog
//! ```
//! Registering is all or nothing: until everything about the archive was checked nothing of it is on the disk, and
//! if loading or storing fails the disk is as it was before. A version of a package is identified by its content
//! digest; the same content again changes nothing, and other content under the same name and version is refused.
//! A workflow as data is a version like any other, whose archive is its definition and which has nothing to unpack or load.
//! New runs get the version that is active; runs stay with the version that they started with, so a package is not
//! removed while unfinished runs need it.
//!
//! Every change is written to the store first, with its event; what is in memory follows from what the store has then,
//! and the listener is told of each difference.
//!
//! Packages of an earlier process are known at once and loaded when first needed. A package with a missing or changed file
//! is listed with its problem, and its runs wait until it is registered again. Blocking work is done on tokio's
//! blocking threads, whole operations at a time, so that dropping a future leaves nothing half done. Changes are made
//! one after the other.

mod adopt;
mod define;
mod error;
mod handle;
mod package;
mod register;
mod restore;
mod selector;
mod state;
mod trust;
mod upload;

#[cfg(test)]
mod tests;

pub use self::{
    error::Error,
    handle::Registry,
    upload::{PackageInfo, Registered, Upload},
};
pub(crate) use self::{
    handle::Options,
    package::{Change, Listener, Package, package_record},
    selector::{DIGITS_MIN, find, find_version, package_of},
    state::ActiveVersions,
};
