//! `trust add`, `remove`, `revoke` and `require`: one change each, and what came of it.
//!
//! Whether a change makes sense is decided by the engine; here arguments become a [`TrustChange`].

use cloacina::{Timestamp, TrustChange, TrustChanged};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actor;
use crate::cli::{ActorArgs, DatabaseArgs, TrustAddArgs, TrustRemoveArgs, TrustRequireArgs, TrustRevokeArgs};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::key::Ring;
use crate::output::Output;
use crate::place::Place;
use crate::runs::{moment, with_engine};

/// What a change of trust did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed<'a> {
    /// The tenant.
    tenant: &'a str,
    /// The change in words, for people.
    change: String,
    #[serde(flatten)]
    versions: TrustChanged,
}

impl Document for Changed<'_> {}

/// A change of one tenant's trust.
struct Order<'a> {
    tenant: &'a str,
    change: TrustChange,
    /// What was done, once it is.
    done: String,
    actor: &'a ActorArgs,
}

/// Trusts a key.
pub(crate) fn add(arguments: &TrustAddArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let TrustAddArgs { key, name, scope, expires, ring, tenant, database, actor } = arguments;
    let key = Ring::choose(ring.keys.as_deref(), config).and_then(|ring| ring.public(key))?;
    let now = Timestamp::now();
    let expires_at = expires.as_deref().map(|text| moment::until("--expires", text, now)).transpose()?;
    let may_sign = if scope.is_empty() { "any package".to_owned() } else { scope.join(", ") };
    let change = TrustChange::Add {
        name: name.clone(),
        public_key: key.line(),
        scopes: scope.clone(),
        expires_at: expires_at.map(Timestamp::unix_micros),
    };
    let done = format!("trusts the key {name} ({}) to sign {may_sign}", key.id());
    let order = Order { tenant: &tenant.tenant, change, done, actor };
    order.carry_out(database, output, config)
}

/// Forgets a key.
pub(crate) fn remove(arguments: &TrustRemoveArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let TrustRemoveArgs { key, tenant, database, actor } = arguments;
    let done = format!("no longer has the key {key}");
    let order = Order { tenant: &tenant.tenant, change: TrustChange::Remove { key: key.clone() }, done, actor };
    order.carry_out(database, output, config)
}

/// Revokes a key.
pub(crate) fn revoke(arguments: &TrustRevokeArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let TrustRevokeArgs { key, reason, tenant, database, actor } = arguments;
    let done = format!("no longer trusts the key {key}, permanently");
    let change = TrustChange::Revoke { key: key.clone(), reason: reason.clone() };
    let order = Order { tenant: &tenant.tenant, change, done, actor };
    order.carry_out(database, output, config)
}

/// Says how many signatures are required.
pub(crate) fn require(arguments: &TrustRequireArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let TrustRequireArgs { n_signatures, tenant, database, actor } = arguments;
    let done = match n_signatures {
        0 => "requires no signatures".to_owned(),
        1 => "requires 1 signature".to_owned(),
        several => format!("requires {several} signatures, by different keys"),
    };
    let change = TrustChange::Require { n_signatures: *n_signatures };
    let order = Order { tenant: &tenant.tenant, change, done, actor };
    order.carry_out(database, output, config)
}

impl Order<'_> {
    fn carry_out(self, database: &DatabaseArgs, output: &Output, config: &Config) -> Result<u8, Error> {
        let Self { tenant, change, done, actor } = self;
        let place = Place::database(database, config)?.into();
        let by = actor::name(actor, config);
        let versions = with_engine(&place, output, async |engine| engine.change_trust(tenant, change, &by).await)?;
        let changed = Changed { tenant, change: done, versions };
        output.answer(&changed, |_| changed.text())?;
        Ok(exit::SUCCESS)
    }
}

impl Changed<'_> {
    fn text(&self) -> String {
        let Self { tenant, change, versions: TrustChanged { quarantined, released, .. } } = self;
        let mut text = format!("{tenant} {change}\n");
        for version in quarantined {
            text.push_str(&format!("  quarantined  {version}\n"));
        }
        for version in released {
            text.push_str(&format!("  released     {version}\n"));
        }
        text
    }
}
