//! `cloacina-ctl trust …`: the arguments of its verbs.
//!
//! Types for clap alone. Whom a tenant trusts is kept in the database, so every verb takes one.

use clap::{Args, Subcommand};

use super::actor::ActorArgs;
use super::database::DatabaseArgs;
use super::key::RingArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    Show(TrustShowArgs),
    Add(TrustAddArgs),
    Remove(TrustRemoveArgs),
    Revoke(TrustRevokeArgs),
    Require(TrustRequireArgs),
}

/// The tenant of a command about trust.
#[derive(Debug, Args)]
pub(crate) struct TenantArgs {
    /// The tenant.
    #[arg(long, value_name = "NAME", default_value = cloacina::TENANT_DEFAULT)]
    pub(crate) tenant: String,
}

impl TenantArgs {
    /// The option that names the tenant to another command, if that command needs it.
    pub(crate) fn option(&self) -> String {
        if self.tenant == cloacina::TENANT_DEFAULT { String::new() } else { format!(" --tenant {}", self.tenant) }
    }
}

/// Show the keys that a tenant trusts to sign packages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl trust show
  cloacina-ctl trust show --tenant acme --events
  cloacina-ctl trust show --output json")]
pub(crate) struct TrustShowArgs {
    /// Also show the history of the tenant's trust, newest first.
    #[arg(long)]
    pub(crate) events: bool,
    #[command(flatten)]
    pub(crate) tenant: TenantArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Trust a key: its signatures count from now on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl trust add release.pub --name release
  cloacina-ctl trust add ci.pub --name ci --scope 'billing*' --scope reports --expires 90d
  cloacina-ctl trust add RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3 --name ann")]
pub(crate) struct TrustAddArgs {
    /// The public key: its file, its line, or its name in the folder of keys.
    #[arg(value_name = "NAME|FILE|LINE")]
    pub(crate) key: String,
    /// The name of the key: letters, digits and `_-.@`.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// A package that the key may sign, or the beginning of package names followed by `*`; may be repeated. By default all.
    #[arg(long, value_name = "PACKAGE")]
    pub(crate) scope: Vec<String>,
    /// When the key expires: a time, or a duration from now, such as 90d.
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
    #[command(flatten)]
    pub(crate) tenant: TenantArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Remove a key. Packages that only this key signed are no longer trusted. A revoked key cannot be removed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl trust remove ci
  cloacina-ctl trust remove DCF1614C0BE34608 --tenant acme")]
pub(crate) struct TrustRemoveArgs {
    /// The key: its name or its id.
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) tenant: TenantArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Revoke a lost or stolen key permanently. Packages that only this key signed go into quarantine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl trust revoke ci --reason 'the build machine was broken into'")]
pub(crate) struct TrustRevokeArgs {
    /// The key: its name or its id.
    pub(crate) key: String,
    /// The reason, for the history.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) tenant: TenantArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Set how many different trusted keys must sign a package. Packages with fewer signatures go into quarantine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl trust require 1
  cloacina-ctl trust require 2 --tenant acme
  cloacina-ctl trust require none")]
pub(crate) struct TrustRequireArgs {
    /// The number of keys, or `none`.
    #[arg(value_name = "N|none", value_parser = parse_required)]
    pub(crate) n_signatures: usize,
    #[command(flatten)]
    pub(crate) tenant: TenantArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

fn parse_required(text: &str) -> Result<usize, String> {
    match text {
        "none" => Ok(0),
        text => text.parse().map_err(|_| "use a number or `none`".to_owned()),
    }
}
