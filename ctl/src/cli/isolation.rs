//! `--isolation` and what belongs to it, which every command takes that runs packages.

use clap::{Args, ValueEnum};
use cloacina::AllowedNeed;

#[derive(Debug, Clone, Args)]
pub(crate) struct IsolationArgs {
    /// Where packages run: each in separate processes, or inside this process, which is faster and less safe.
    #[arg(long, value_enum, value_name = "WHERE", default_value_t, help_heading = "Isolation")]
    pub(crate) isolation: Where,
    /// Load this package into this process, whatever --isolation says: NAME, or NAME* for all names that begin with NAME;
    /// TENANT::NAME for a tenant other than `public`, *::NAME for every tenant. May be repeated.
    #[arg(long, value_name = "PACKAGE", help_heading = "Isolation")]
    pub(crate) inline: Vec<String>,
    /// Load packages that are signed with this key into this process: the name or id of a key that the tenant `public`
    /// trusts, or TENANT::KEY for a key that another tenant trusts. May be repeated.
    #[arg(long, value_name = "KEY", help_heading = "Isolation")]
    pub(crate) inline_signer: Vec<String>,
    /// The memory limit of each process of a package, in MiB.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 4096,
        value_parser = clap::value_parser!(u64).range(16..),
        help_heading = "Isolation"
    )]
    pub(crate) package_memory: u64,
    /// With `--sandbox server`: the size limit of the scratch folder of each process of a package, in MiB.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Isolation"
    )]
    pub(crate) package_scratch: u64,
    /// How strictly packages in separate processes are confined.
    #[arg(long, value_enum, value_name = "HOW", default_value_t, help_heading = "Isolation")]
    pub(crate) sandbox: Tightness,
    /// With `--sandbox server`: allow packages a need that they declare, such as 'billing=net', '*=read:/etc/ssl' or 'report*=env:HOME'.
    #[arg(long, value_name = "SCOPE=NEED", help_heading = "Isolation")]
    pub(crate) allow_need: Vec<AllowedNeed>,
    /// Refuse to run packages unless the system supports the complete sandbox.
    #[arg(long, help_heading = "Isolation")]
    pub(crate) require_sandbox: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tightness {
    /// Limits; a package can neither gain privileges nor leave processes behind.
    #[default]
    Dev,
    /// Also: only those files, networks and environment variables that the package declares and `--allow-need` allows, and no other programs.
    Server,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Where {
    /// In separate processes.
    #[default]
    Process,
    /// Inside this process.
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
