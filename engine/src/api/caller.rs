//! Who asks: on behalf of which tenant, under which name, and with which role.
//!
//! A handle without a caller cannot be made, so no query can be written that forgets the tenant.

use std::sync::Arc;

use crate::{
    id::{Scope, TENANT_DEFAULT},
    limit::{self, TextRefused},
};

/// The actor of programs that embed the engine and name nobody.
const LIBRARY: &str = "library";

/// The actor of the owner of the machine, where no other name is given.
const OWNER: &str = "owner";

/// What a caller may do, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Run tasks for an engine. A worker asks for nothing else: it sees no run that it was not given.
    Worker,
    /// Look at everything of the tenant.
    Viewer,
    /// Start runs, and steer and delete them.
    Operator,
    /// Register, activate and remove packages, and change whom the tenant trusts.
    Admin,
}

/// The caller's role does not allow the request. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{actor} has the role {} of the tenant {}, but the request needs {needed}", role.as_str(), tenant.as_deref().unwrap_or("every tenant"))]
pub struct Denied {
    /// The actor.
    pub actor: String,
    /// The role that the actor has.
    pub role: Role,
    /// The tenant for which the actor has it; none for every tenant.
    pub tenant: Option<String>,
    /// What the request needs.
    pub needed: &'static str,
}

impl Denied {
    /// The stable code.
    pub(crate) const CODE: &str = "RUN0024";

    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        format!("make the request as a caller with {}", self.needed)
    }
}

/// Who asks something of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    scope: Scope,
    actor: Arc<str>,
    role: Role,
    /// Whether the caller may do what concerns the database as a whole.
    is_owner: bool,
}

impl Caller {
    /// A caller that sees one tenant and nothing of any other.
    ///
    /// # Errors
    /// [`TextRefused`] if a tenant or an actor cannot have that name.
    pub fn of_tenant(tenant: &str, actor: &str, role: Role) -> Result<Self, TextRefused> {
        limit::NAME.check(tenant)?;
        limit::ACTOR.check(actor)?;
        Ok(Self { scope: Scope::Tenant(tenant.into()), actor: actor.into(), role, is_owner: false })
    }

    /// A caller that may do everything with every tenant: the owner of the machine or of the server.
    ///
    /// # Errors
    /// [`TextRefused`] if an actor cannot have that name.
    pub fn of_every_tenant(actor: &str) -> Result<Self, TextRefused> {
        limit::ACTOR.check(actor)?;
        Ok(Self { scope: Scope::Every, actor: actor.into(), role: Role::Admin, is_owner: true })
    }

    /// The program that embeds the engine: an admin of the tenant `public`.
    pub(crate) fn library() -> Self {
        Self { scope: Scope::Tenant(TENANT_DEFAULT.into()), actor: LIBRARY.into(), role: Role::Admin, is_owner: true }
    }

    /// The owner of the machine, who may do everything with every tenant: what opens the database's file with the rights of its
    /// user is stopped by nothing here.
    #[must_use]
    pub fn owner() -> Self {
        Self { scope: Scope::Every, actor: OWNER.into(), role: Role::Admin, is_owner: true }
    }

    /// The one tenant that the caller sees; none if the caller sees all.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match &self.scope {
            Scope::Tenant(tenant) => Some(tenant),
            Scope::Every => None,
        }
    }

    /// The name that the history keeps.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// What the caller may do.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether the caller may do what needs that role.
    ///
    /// # Errors
    /// [`Denied`] if the caller's role is less than that.
    pub fn check(&self, needed: Role) -> Result<(), Denied> {
        if self.role >= needed { Ok(()) } else { Err(self.denied(needed.wanted())) }
    }

    /// Whether the caller may do what concerns the database as a whole.
    ///
    /// # Errors
    /// [`Denied`] if the caller may not do what concerns every tenant.
    pub fn check_owner(&self) -> Result<(), Denied> {
        if self.is_owner { Ok(()) } else { Err(self.denied("the owner of the database")) }
    }

    /// Whether the caller may do what concerns every tenant.
    ///
    /// # Errors
    /// [`Denied`] if the caller sees one tenant alone.
    pub fn check_every_tenant(&self) -> Result<(), Denied> {
        match self.scope {
            Scope::Every => Ok(()),
            Scope::Tenant(_) => Err(self.denied("a role for every tenant")),
        }
    }

    fn denied(&self, needed: &'static str) -> Denied {
        let tenant = self.tenant().map(str::to_owned);
        Denied { actor: self.actor.to_string(), role: self.role, tenant, needed }
    }
}

impl Role {
    /// All roles, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Worker, Self::Viewer, Self::Operator, Self::Admin];

    /// The name that is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Worker => "the role worker",
            Self::Viewer => "the role viewer",
            Self::Operator => "the role operator",
            Self::Admin => "the role admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}
