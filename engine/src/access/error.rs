//! Why who may ask was not changed: codes `ACC…`.
//!
//! A refused credential is an answer and not an error. The answer says as little as possible.

use cloacina_packager::Class;

use crate::{api::Denied, limit::TextRefused, store::Error as StoreError};

/// Why who may ask was not changed. Nothing was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such account that the caller could see.
    #[error("there is no account {name:?}")]
    UnknownAccount {
        /// What was asked for.
        name: String,
    },
    /// An account of that name is there.
    #[error("an account has the name {name:?} already")]
    AccountThere {
        /// The name.
        name: String,
    },
    /// There is no such tenant that the caller could see.
    #[error("there is no tenant {name:?}")]
    UnknownTenant {
        /// What was asked for.
        name: String,
    },
    /// A tenant of that name is there.
    #[error("a tenant has the name {name:?} already")]
    TenantThere {
        /// The name.
        name: String,
    },
    /// There is no such key that the caller could see.
    #[error("there is no API key {id:?}")]
    UnknownKey {
        /// What was asked for.
        id: String,
    },
    /// A key of that name is there.
    #[error("an API key of the tenant has the name {name:?} already")]
    KeyThere {
        /// The name.
        name: String,
    },
    /// The password cannot be used. The message must not show it.
    #[error("the password cannot be used: {reason}")]
    Password {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name cannot be that.
    #[error("the {what} cannot be {text:?}: {reason}")]
    Name {
        /// What it was for.
        what: &'static str,
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An account or a key that sees every tenant has the role admin.
    #[error("what sees every tenant must have the role admin")]
    RoleOfEvery,
    /// Nobody else could manage the server.
    #[error("{name:?} is the last account that can manage every tenant")]
    LastAdmin {
        /// The account.
        name: String,
    },
    /// The system gave no random bytes, or a password could not be hashed.
    #[error("no secret can be made: {reason}")]
    Secret {
        /// What the system says.
        reason: String,
    },
    /// A text does not keep to its limit.
    #[error(transparent)]
    Text(#[from] TextRefused),
    /// The caller's role does not allow the request.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::UnknownAccount { .. } | Self::UnknownTenant { .. } | Self::UnknownKey { .. } => Class::NotFound,
            Self::AccountThere { .. } | Self::TenantThere { .. } | Self::KeyThere { .. } | Self::LastAdmin { .. } => {
                Class::Conflict
            }
            Self::Password { .. } | Self::Name { .. } | Self::RoleOfEvery | Self::Text(_) => Class::Invalid,
            Self::Secret { .. } => Class::Internal,
            Self::Denied(_) => Class::Denied,
            Self::Store(source) => source.class(),
        }
    }

    /// The stable code; each has a page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownAccount { .. } => "ACC0001",
            Self::AccountThere { .. } => "ACC0002",
            Self::UnknownTenant { .. } => "ACC0003",
            Self::TenantThere { .. } => "ACC0004",
            Self::UnknownKey { .. } => "ACC0005",
            Self::KeyThere { .. } => "ACC0006",
            Self::Password { .. } => "ACC0007",
            Self::Name { .. } => "ACC0008",
            Self::RoleOfEvery => "ACC0009",
            Self::LastAdmin { .. } => "ACC0010",
            Self::Secret { .. } => "ACC0011",
            Self::Text(_) => TextRefused::CODE,
            Self::Denied(_) => Denied::CODE,
            Self::Store(source) => source.code(),
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::UnknownAccount { .. } | Self::UnknownKey { .. } => "list them to see those of your tenant",
            Self::AccountThere { .. } => "choose another name, or change the password of that account",
            Self::UnknownTenant { .. } => "make the tenant first",
            Self::TenantThere { .. } => "use the tenant that is there, or choose another name",
            Self::KeyThere { .. } => "choose another name; the name of a revoked key is not used again",
            Self::Password { .. } => "choose a password of 12 to 1,024 bytes",
            Self::Name { .. } => "choose a name without other characters",
            Self::RoleOfEvery => "name a tenant, or give the role admin",
            Self::LastAdmin { .. } => "make another account that can manage every tenant first",
            Self::Secret { .. } => "try again; the log of the machine may tell more",
            Self::Text(refused) => return vec![refused.hint()],
            Self::Denied(denied) => return vec![denied.hint()],
            Self::Store(source) => return source.hints(),
        };
        vec![hint.to_owned()]
    }
}
