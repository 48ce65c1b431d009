//! Why the trust of a tenant was not changed.
//!
//! Why a *package* is not trusted is another question: [`cloacina_packager::sign::Untrusted`].

use cloacina_packager::{Class, sign::SignError};
use cloacina_workflow::Timestamp;

use crate::{id::TENANT_DEFAULT, store::Error as StoreError};

/// Why the trust of a tenant was not changed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a key.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key is there, or another of that name.
    #[error("the key {name} ({id}) exists already")]
    KeyThere {
        /// The name of the key that is there.
        name: String,
        /// Its id.
        id: String,
        /// The tenant.
        tenant: String,
    },
    /// There is no such key.
    #[error("the tenant {tenant} has no key {name:?}")]
    UnknownKey {
        /// What was asked for.
        name: String,
        /// The tenant.
        tenant: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// The key was revoked, which is for good.
    #[error("the key {name} ({id}) was revoked at {at}")]
    KeyRevoked {
        /// The key's name.
        name: String,
        /// Its id.
        id: String,
        /// When.
        at: Timestamp,
    },
    /// A name, a scope or a reason cannot be that.
    #[error("{what} cannot be {text:?}: {reason}")]
    Text {
        /// What it was for.
        what: &'static str,
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The number of signatures is too large.
    #[error("{asked} signatures cannot be required, at most {max}")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many it may be.
        max: usize,
    },
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Sign(source) => source.class(),
            Self::Store(source) => source.class(),
            Self::KeyThere { .. } | Self::KeyRevoked { .. } => Class::Conflict,
            Self::UnknownKey { .. } => Class::NotFound,
            Self::Text { .. } | Self::TooMany { .. } => Class::Invalid,
        }
    }

    /// The stable code; each has a page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Sign(source) => source.code(),
            Self::Store(source) => source.code(),
            Self::KeyThere { .. } => "SIG0013",
            Self::UnknownKey { .. } => "SIG0014",
            Self::KeyRevoked { .. } => "SIG0015",
            Self::Text { .. } => "SIG0016",
            Self::TooMany { .. } => "SIG0017",
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Sign(source) => return source.hints(),
            Self::Store(source) => return source.hints(),
            Self::KeyThere { name, tenant, .. } => {
                let tenant = option(tenant);
                format!(
                    "to change what it may sign, remove it and add it again: cloacina-ctl trust remove {name}{tenant}"
                )
            }
            Self::UnknownKey { known, tenant, .. } if known.is_empty() => {
                format!("trust one: cloacina-ctl trust add FILE.pub --name NAME{}", option(tenant))
            }
            Self::UnknownKey { known, .. } => format!("there are: {}", known.join(", ")),
            Self::KeyRevoked { .. } => "make and trust another key, and sign with that one".to_owned(),
            Self::Text { .. } => return Vec::new(),
            Self::TooMany { .. } => "the number counts the different keys that must sign".to_owned(),
        };
        vec![hint]
    }
}

/// The option that names a tenant to a command, if it needs one.
fn option(tenant: &str) -> String {
    if tenant == TENANT_DEFAULT { String::new() } else { format!(" --tenant {tenant}") }
}
