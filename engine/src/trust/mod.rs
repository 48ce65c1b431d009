//! Whom a tenant trusts to sign packages, and what is done when that changes.
//!
//! ```text
//! TrustChange ── change_in_txn ──> rows, one event ──> Trust ── policy ──> what packages are judged by
//! ```
//! The policy is in the database, so that every engine on it judges by the same one, now and after a restart. A tenant
//! that has said nothing gets the engine's default. Whether a package is trusted is decided by
//! [`cloacina_packager::sign::Policy`] and nowhere here; nothing here looks at packages.
//!
//! A key that was revoked stays on the list and is never trusted again, under any name.

mod change;
mod error;
mod policy;
mod stored;

pub use self::{
    change::TrustChange,
    error::Error,
    policy::{REQUIRED_BY_SERVERS, Revoked, Trust, TrustChanged, TrustEvent, TrustKey},
};
pub(crate) use self::{
    change::{TrustWritten, change_in_txn},
    policy::{FIRST_STEPS, REQUIRED_DEFAULT},
    stored::{events, read},
};
