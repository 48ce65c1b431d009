//! `cloacina-ctl tenant …`, `user …`, `token …` and `audit …`: the arguments of their verbs.
//!
//! Types for clap alone. No verb takes a password as an argument: those are seen by everybody on the machine.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::actor::ActorArgs;
use super::database::DatabaseArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    Add(TenantAddArgs),
    List(TenantListArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    Add(UserAddArgs),
    List(UserListArgs),
    Disable(UserDisableArgs),
    Passwd(UserPasswdArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    Create(TokenCreateArgs),
    List(TokenListArgs),
    Revoke(TokenRevokeArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    List(AuditListArgs),
    Verify(AuditVerifyArgs),
    Export(AuditExportArgs),
}

/// What a user or a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    Worker,
    Viewer,
    Operator,
    Admin,
}

/// Whom a user or a token is for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ForArgs {
    /// The tenant that is seen.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// See every tenant; only an admin can.
    #[arg(long)]
    pub(crate) every_tenant: bool,
}

/// Whose audit log it is.
#[derive(Debug, Args)]
pub(crate) struct LogOfArgs {
    /// The tenant; without one, what concerns every tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// The file with the password, of 12 to 1,024 bytes; `-` is stdin. The end of its last line does not count.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: PathBuf,
}

/// Make a tenant.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl tenant add acme")]
pub(crate) struct TenantAddArgs {
    /// Its name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// List the tenants.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl tenant list
  cloacina-ctl tenant list --output json")]
pub(crate) struct TenantListArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Let a person log in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl user add ann --tenant acme --role operator --password-file password.txt
  cloacina-ctl user add root --every-tenant --role admin --password-file -")]
pub(crate) struct UserAddArgs {
    /// The name to log in with, of letters, digits and `_-.@`.
    pub(crate) name: String,
    /// What the person may do.
    #[arg(long, value_enum)]
    pub(crate) role: RoleName,
    #[command(flatten)]
    pub(crate) scope: ForArgs,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// List the accounts of people.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl user list
  cloacina-ctl user list --output json")]
pub(crate) struct UserListArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Let a person log in no longer, and end the sessions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl user disable ann")]
pub(crate) struct UserDisableArgs {
    /// The name of the account.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Give a person another password, and end the sessions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl user passwd admin --password-file -")]
pub(crate) struct UserPasswdArgs {
    /// The name of the account.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Make a key with which a program asks a server. It is shown this once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl token create ci --tenant acme --role operator
  cloacina-ctl token create ci --tenant acme --role operator --expires 90d --output json")]
pub(crate) struct TokenCreateArgs {
    /// The name of the key, of letters, digits and `_-.@`.
    pub(crate) name: String,
    /// What the program may do.
    #[arg(long, value_enum)]
    pub(crate) role: RoleName,
    /// From when on it is refused: a moment, or a span of time from now on, such as 90d.
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
    #[command(flatten)]
    pub(crate) scope: ForArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// List the keys with which programs ask a server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl token list
  cloacina-ctl token list --output json")]
pub(crate) struct TokenListArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Refuse a key from now on, for good.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl token revoke 0f3a5c7e9b1d2f4a")]
pub(crate) struct TokenRevokeArgs {
    /// The id of the key.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Show who changed who may ask, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl audit list
  cloacina-ctl audit list --tenant acme --limit 10 --output json")]
pub(crate) struct AuditListArgs {
    /// How many entries at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) log: LogOfArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Check that no entry of an audit log was changed or is missing.
///
/// The exit code is 1 if one was or is. Keep the digest that is printed elsewhere: a log whose newest entries were removed is intact, and ends with another one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl audit verify
  cloacina-ctl audit verify --tenant acme --output json")]
pub(crate) struct AuditVerifyArgs {
    #[command(flatten)]
    pub(crate) log: LogOfArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Print a whole audit log, oldest first, a line for each entry.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl audit export --tenant acme --output json > acme.jsonl")]
pub(crate) struct AuditExportArgs {
    #[command(flatten)]
    pub(crate) log: LogOfArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

impl RoleName {
    pub(crate) fn role(self) -> cloacina::Role {
        match self {
            Self::Worker => cloacina::Role::Worker,
            Self::Viewer => cloacina::Role::Viewer,
            Self::Operator => cloacina::Role::Operator,
            Self::Admin => cloacina::Role::Admin,
        }
    }
}
