//! `--isolation` and what belongs to it, which every command takes that runs packages.

use clap::{Args, ValueEnum};
use cloacina::AllowedNeed;

#[derive(Debug, Clone, Args)]
pub(crate) struct IsolationArgs {
    /// Where packages run: each in processes of its own, or within this program, which is faster and less safe.
    #[arg(long, value_enum, value_name = "WHERE", default_value_t, help_heading = "Isolation")]
    pub(crate) isolation: Where,
    /// Load this package into this program, whatever the others get: NAME, or NAME* for all whose names begin so;
    /// TENANT::NAME for a tenant other than `public`, *::NAME for every one. May be given several times.
    #[arg(long, value_name = "PACKAGE", help_heading = "Isolation")]
    pub(crate) inline: Vec<String>,
    /// Load packages into this program that are signed with this key: the name or id of a key that the tenant `public`
    /// trusts, or after TENANT:: of one that another tenant trusts. May be given several times.
    #[arg(long, value_name = "KEY", help_heading = "Isolation")]
    pub(crate) inline_signer: Vec<String>,
    /// MiB of memory that one process of a package may have.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 4096,
        value_parser = clap::value_parser!(u64).range(16..),
        help_heading = "Isolation"
    )]
    pub(crate) package_memory: u64,
    /// With `--sandbox server`: MiB of files that one process of a package may have in the folder in which it may write.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Isolation"
    )]
    pub(crate) package_scratch: u64,
    /// How tightly packages in processes of their own are kept in.
    #[arg(long, value_enum, value_name = "HOW", default_value_t, help_heading = "Isolation")]
    pub(crate) sandbox: Tightness,
    /// With `--sandbox server`: let packages have something that they say they need, such as 'billing=net', '*=read:/etc/ssl' or 'report*=env:HOME'.
    #[arg(long, value_name = "SCOPE=NEED", help_heading = "Isolation")]
    pub(crate) allow_need: Vec<AllowedNeed>,
    /// Refuse a package unless the system can do all of that.
    #[arg(long, help_heading = "Isolation")]
    pub(crate) require_sandbox: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tightness {
    /// Limits, no way to gain privileges, and none to leave processes behind.
    #[default]
    Dev,
    /// Also: files, network and environment only as the package says that it needs them and `--allow-need` allows, and no other programs.
    Server,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Where {
    /// In processes of their own.
    #[default]
    Process,
    /// Within this program.
    Inline,
}

impl Default for IsolationArgs {
    fn default() -> Self {
        Self {
            isolation: Where::default(),
            inline: Vec::new(),
            inline_signer: Vec::new(),
            package_memory: 4096,
            package_scratch: 1024,
            sandbox: Tightness::default(),
            allow_need: Vec::new(),
            require_sandbox: false,
        }
    }
}
