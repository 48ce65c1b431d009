//! What can be asked of an engine about packages, as plain data, and the one path on which it is done.
//!
//! An archive is larger than a message may be. It is sent in parts before the command that registers it.

use cloacina_packager::Warning;
use serde::{Deserialize, Serialize};

use crate::{
    Engine, Error, Registry, Upload,
    store::Activation,
    view::{PackageAnswer, PackageWarning, Registration},
};

/// Something to be done to a package; answered with what the version is then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum PackageCommand {
    /// Register the archive that comes with it.
    Register {
        /// The tenant; without one, the one that the package names, else `public`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
        /// Whether new runs get it: true at once, false later, and without a word if it is the first version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activate: Option<bool>,
        /// The text of detached signatures.
        #[serde(default)]
        signatures: Vec<String>,
        /// Whether it is a build among others, as [`crate::Upload::is_build`] says.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_build: bool,
    },
    /// Register the definition of a workflow as data that comes with it.
    Define {
        /// The tenant; without one, `public`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
        /// Whether new runs get it at once.
        activate: bool,
    },
    /// Let new runs take a version.
    Activate {
        /// The version, named as for [`crate::Registry::activate`].
        package: String,
        /// How many of a hundred; all without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<u8>,
    },
    /// Go back to the version that was active before.
    RollBack {
        /// The package.
        package: String,
    },
    /// Let new runs take a version no more.
    Retire {
        /// The version.
        package: String,
    },
    /// Forget a version.
    Remove {
        /// The version.
        package: String,
    },
    /// Keep a version from being used.
    Quarantine {
        /// The version.
        package: String,
        /// Why.
        reason: String,
    },
    /// Let a quarantined version be used again.
    Release {
        /// The version.
        package: String,
    },
}

impl Engine {
    /// Does that on behalf of `by`, and returns what the version is then. The archive is only looked at by
    /// [`PackageCommand::Register`] and [`PackageCommand::Define`].
    ///
    /// # Errors
    /// As the methods of [`Registry`](crate::Registry) say.
    pub async fn perform_package(
        &self,
        command: PackageCommand,
        archive: Vec<u8>,
        by: &str,
    ) -> Result<PackageAnswer, Error> {
        let (registry, by) = (self.registry(), by.to_owned());
        registry.refresh().await?;
        let info = match command {
            PackageCommand::Define { tenant, activate } => {
                let activation = if activate { Activation::Now } else { Activation::Later };
                let upload = Upload { tenant, actor: by, activation, is_definition: true, ..Upload::new(archive) };
                return registered(&registry, upload).await;
            }
            PackageCommand::Register { tenant, activate, signatures, is_build } => {
                let activation = match activate {
                    None => Activation::IfFirst,
                    Some(true) => Activation::Now,
                    Some(false) => Activation::Later,
                };
                let signatures = signatures.into_iter().map(String::into_bytes).collect();
                let upload = Upload { signatures, tenant, actor: by, activation, is_build, ..Upload::new(archive) };
                return registered(&registry, upload).await;
            }
            PackageCommand::Activate { package, percent } => registry.activate(&package, percent, &by).await?,
            PackageCommand::RollBack { package } => registry.roll_back(&package, &by).await?,
            PackageCommand::Retire { package } => registry.retire(&package, &by).await?,
            PackageCommand::Remove { package } => registry.remove(&package, &by).await?,
            PackageCommand::Quarantine { package, reason } => {
                let info = registry.get(&package)?;
                registry.quarantine(&info.tenant, info.digest, &reason, None, &by).await?
            }
            PackageCommand::Release { package } => {
                let info = registry.get(&package)?;
                registry.release(&info.tenant, info.digest, &by).await?
            }
        };
        Ok(PackageAnswer { package: info.record, registration: None })
    }
}

/// Registers it, and says what was registered.
async fn registered(registry: &Registry, upload: Upload) -> Result<PackageAnswer, Error> {
    let registered = registry.register(upload).await?;
    let warning = |warning: &Warning| PackageWarning { code: warning.code().to_owned(), message: warning.to_string() };
    let warnings = registered.warnings.iter().map(warning).collect();
    let info = registry.get(&format!("{}::{}@{}", registered.tenant, registered.package, registered.version))?;
    let registration = Some(Registration { is_new: registered.is_new, warnings });
    Ok(PackageAnswer { package: info.record, registration })
}

impl PackageCommand {
    /// Whether it looks at what was sent before it.
    pub(super) fn has_upload(&self) -> bool {
        matches!(self, Self::Register { .. } | Self::Define { .. })
    }
}
