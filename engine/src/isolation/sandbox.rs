//! What keeps a package in: set up by the package host itself, before anything of the package runs.

use rustix::thread::set_no_new_privs;
use serde::{Deserialize, Serialize};

use super::limits::{self, Limits};

/// How tightly a package is kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Profile {
    /// Limits only.
    #[default]
    Dev,
}

/// Keeps this process in, as far as the system can, and says by what.
pub(super) fn enter(_profile: Profile, limits: &Limits) -> Vec<String> {
    let mut confinement = Vec::new();
    match limits::apply(limits) {
        Ok(()) => confinement.push("limits".to_owned()),
        Err(error) => tracing::warn!(%error, "the package host could not be limited"),
    }
    match set_no_new_privs(true) {
        Ok(()) => confinement.push("no_new_privs".to_owned()),
        Err(error) => tracing::warn!(%error, "the package host can gain privileges"),
    }
    confinement
}
