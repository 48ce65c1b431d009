//! The keys that a tenant trusts to sign packages, and the changes of this trust.
//!
//! ```text
//! TrustChange ── change_in_txn ──> rows, one event ──> Trust ── policy ──> checks of packages
//! ```
//! The policy is in the database, so that every engine on it uses the same one, now and after a restart. A tenant
//! that has said nothing gets the engine's default. Whether a package is trusted is decided by
//! [`cloacina_packager::sign::Policy`] and nowhere here; nothing here reads packages.
//!
//! A key that was revoked stays on the list and is never trusted again, under any name.

mod change;
mod error;
mod policy;
mod stored;

pub use self::{
    change::TrustChange,
    error::Error,
    policy::{REQUIRED_BY_SERVERS, Trust, TrustKey},
};
pub(crate) use self::{
    change::{TrustWritten, change_in_txn},
    policy::{FIRST_STEPS, REQUIRED_DEFAULT},
    stored::{events, read},
};
