//! `cloacina-ctl package …`: the arguments of its verbs.
//!
//! Types for clap alone: the doc comments are the help texts, and each verb ends its help with examples that work.
//! What cannot go together is refused here, so that the verbs need not check it again.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

use super::actor::ActorArgs;
use super::database::DatabaseArgs;
use super::isolation::Tightness;
use super::key::RingArgs;

/// The heading of the options that say where the crate cloacina-workflow comes from.
const SDK: &str = "The sdk";

#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    New(NewArgs),
    Build(BuildArgs),
    Inspect(InspectArgs),
    Verify(VerifyArgs),
    Test(TestArgs),
    /// Answer one question of `package test`, which asks it on stdin.
    #[command(hide = true)]
    Examine,
    Sign(SignArgs),
    Visualize(VisualizeArgs),
    Merge(MergeArgs),
    Repack(RepackArgs),
    Register(RegisterArgs),
    List(PackageListArgs),
    Show(PackageShowArgs),
    Usage(PackageUsageArgs),
    Activate(ActivateArgs),
    Rollback(RollbackArgs),
    Retire(RetireArgs),
    Remove(RemoveArgs),
    Quarantine(QuarantineArgs),
    Release(ReleaseArgs),
    Diff(DiffArgs),
}

/// Make the crate of a package: two tasks, a test, and what to do next.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package new my_package
  cloacina-ctl package new my_package --path crates/my_package
  cloacina-ctl package new my_package --sdk ~/src/cloacina/sdk
  cloacina-ctl package new my_package --sdk-git https://git.example.org/cloacina --sdk-tag v0.1.0
  cloacina-ctl package new my_package --sdk-version 0.1 --sdk-registry example")]
pub(crate) struct NewArgs {
    /// The package's name: lower-case letters, digits, `_` and `-`.
    pub(crate) name: String,
    /// The folder to make; by default ./NAME.
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// The folder of the crate cloacina-workflow; by default that of the checkout that built this program.
    #[arg(long, value_name = "DIR", help_heading = SDK)]
    pub(crate) sdk: Option<PathBuf>,
    /// The address of a git repository that has the crate cloacina-workflow.
    #[arg(
        long,
        value_name = "URL",
        help_heading = SDK,
        value_parser = git_address,
        conflicts_with_all = ["sdk", "sdk_version"]
    )]
    pub(crate) sdk_git: Option<String>,
    /// The commit of that repository; by default the newest of its main branch.
    #[arg(long, value_name = "REV", help_heading = SDK, requires = "sdk_git", conflicts_with = "sdk_tag")]
    pub(crate) sdk_rev: Option<String>,
    /// The tag of that repository.
    #[arg(long, value_name = "TAG", help_heading = SDK, requires = "sdk_git")]
    pub(crate) sdk_tag: Option<String>,
    /// The version of the crate cloacina-workflow in a registry, as Cargo.toml takes it: 0.1, or =0.1.0.
    #[arg(long, value_name = "VERSION", help_heading = SDK, value_parser = version, conflicts_with = "sdk")]
    pub(crate) sdk_version: Option<String>,
    /// The registry, by its name in cargo's settings; without one it is cargo's default, where another project has that name.
    #[arg(long, value_name = "NAME", help_heading = SDK, requires = "sdk_version")]
    pub(crate) sdk_registry: Option<String>,
}

/// Build a crate and pack it into an archive, PACKAGE.cloacina.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package build
  cloacina-ctl package build my_package -o dist/my_package.cloacina
  cloacina-ctl package build my_package --features fast --locked
  cloacina-ctl package build my_package --target x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
  cloacina-ctl package build --library libhello.so")]
pub(crate) struct BuildArgs {
    /// The folder of the crate.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Where to write the archive; by default PACKAGE.cloacina beside the crate's Cargo.toml or the library.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// A target to build for, by default this machine's; several give one archive with a library for each.
    #[arg(long, value_name = "TRIPLE", num_args = 1.., help_heading = "Building")]
    pub(crate) target: Vec<String>,
    /// Pack a library that another compiler made, with everything from its descriptor; several, if each is for another
    /// target.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "target", "CargoArgs"])]
    pub(crate) library: Vec<PathBuf>,
}

/// What is handed on to cargo.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Building")]
pub(crate) struct CargoArgs {
    /// The package of the workspace to build.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// The cargo profile; by default release with thin LTO, stripped.
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Features to build with, separated by commas.
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    pub(crate) features: Vec<String>,
    /// Build with all features.
    #[arg(long)]
    pub(crate) all_features: bool,
    /// Build without the default features.
    #[arg(long)]
    pub(crate) no_default_features: bool,
    /// Refuse to change Cargo.lock.
    #[arg(long)]
    pub(crate) locked: bool,
    /// Do without the network.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Show what is in an archive. Runs none of the package's code.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package inspect my_package.cloacina
  cloacina-ctl package inspect my_package.cloacina --output json")]
pub(crate) struct InspectArgs {
    /// The archive.
    pub(crate) file: PathBuf,
}

/// Check an archive: its form, its digests, its manifest and its library. Runs none of the package's code.
///
/// Every check is listed with its result. The exit code is 0 if all passed, 1 if one failed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package verify my_package.cloacina
  cloacina-ctl package verify my_package.cloacina --target aarch64-unknown-linux-gnu
  cloacina-ctl package verify my_package.cloacina --allow-library libssl.so.3
  cloacina-ctl package verify my_package.cloacina --key release")]
pub(crate) struct VerifyArgs {
    /// The archive.
    pub(crate) file: PathBuf,
    /// The target to check the library for; by default that of this machine.
    #[arg(long, value_name = "TRIPLE")]
    pub(crate) target: Option<String>,
    /// A library that the package may need besides those of the system; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_library: Vec<String>,
    /// A key that must have signed the archive: its name, the file of its public half, or its line; may be repeated.
    /// Signatures are looked for beside the archive.
    #[arg(long, value_name = "NAME|FILE|LINE")]
    pub(crate) key: Vec<String>,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

/// Run a package against the rules of the protocol, and say of each whether it keeps it. Runs the package's code.
///
/// The tasks are run many times, with contexts that make no sense among others, in processes of their own: a package
/// that crashes is a package that breaks a rule. The exit code is 0 if all rules are kept, 1 if one is broken.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package test my_package.cloacina
  cloacina-ctl package test my_package.cloacina --task greet --context '{\"name\": \"Ada\"}'
  cloacina-ctl package test my_package.cloacina --timeout 60 --output json")]
pub(crate) struct TestArgs {
    /// The archive.
    pub(crate) file: PathBuf,
    /// The task or callback to run: its name, or WORKFLOW.NAME; by default all of them.
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,
    /// The values that the tasks see: a JSON object, @FILE, or - for stdin.
    #[arg(long, value_name = "JSON")]
    pub(crate) context: Option<String>,
    /// How tightly the package is kept in while it is tested, as an engine would. It gets what it says that it needs.
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub(crate) sandbox: Tightness,
    /// How long a call may take before it is cancelled, and how long after that.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// A library that the package may need besides those of the system; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_library: Vec<String>,
}

/// Sign an archive.
///
/// The signature is a file beside it, `ARCHIVE.KEY_ID.minisig`, which the stock minisign verifies too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package sign my_package.cloacina --key release
  CLOACINA_KEY_PASSWORD=$(cat password) cloacina-ctl package sign my_package.cloacina --key release
  cloacina-ctl package sign my_package.cloacina --key ./keys/ci.key")]
pub(crate) struct SignArgs {
    /// The archive.
    pub(crate) file: PathBuf,
    /// The key: its name, or the file of its secret half.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

/// Draw the graph of a workflow.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package visualize my_package.cloacina
  cloacina-ctl package visualize my_package --workflow greeting
  cloacina-ctl package visualize my_package.cloacina --format dot | dot -Tpng > graph.png
  cloacina-ctl package visualize my_package.cloacina --format svg -o graph.svg")]
pub(crate) struct VisualizeArgs {
    /// An archive, or the folder of a crate, which is built first.
    pub(crate) path: PathBuf,
    /// The workflow to draw; by default every one of the package. A picture needs one.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// What to draw: text, the language of Graphviz, or a picture.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: DrawFormat,
    /// Where to write the drawing; by default stdout.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrawFormat {
    #[default]
    Ascii,
    Dot,
    Svg,
}

/// Make one archive of several that hold the same package for different targets. Runs none of the package's code.
///
/// The archives must agree on everything but the target and the compiler. Signatures are those of a file, so the new
/// archive has none.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package merge intel/my_package.cloacina arm/my_package.cloacina -o my_package.cloacina")]
pub(crate) struct MergeArgs {
    /// The archives.
    #[arg(required = true, num_args = 2..)]
    pub(crate) files: Vec<PathBuf>,
    /// Where to write the archive.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub(crate) to: PathBuf,
}

/// Write an archive that another tar made again, in the one form that is read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package repack my_package.cloacina
  cloacina-ctl package repack foreign.tar.gz -o my_package.cloacina")]
pub(crate) struct RepackArgs {
    /// The archive.
    pub(crate) file: PathBuf,
    /// Where to write the archive; by default over the old one.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

/// Register archives: the first version of a package becomes active, later ones wait.
///
/// Signatures that lie beside an archive are sent with it. A living engine takes the archive at once; without one this
/// program writes it into the database.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package register my_package.cloacina
  cloacina-ctl package register dist/*.cloacina --tenant acme
  cloacina-ctl package register my_package.cloacina --activate")]
pub(crate) struct RegisterArgs {
    /// The archives.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Let new runs take it at once.
    #[arg(long, conflicts_with = "no_activate")]
    pub(crate) activate: bool,
    /// Let no new run take it, even if it is the first version.
    #[arg(long)]
    pub(crate) no_activate: bool,
    /// The tenant; by default the one that the package names, else `public`.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// List the versions of packages that are registered, and how a living engine runs them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package list
  cloacina-ctl package list billing
  cloacina-ctl package list --tenant acme --output json")]
pub(crate) struct PackageListArgs {
    /// Only versions of packages of this name.
    pub(crate) name: Option<String>,
    /// Only packages of this tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// A version of a package.
#[derive(Debug, Args)]
pub(crate) struct VersionArg {
    /// The version: NAME@VERSION, TENANT::NAME@VERSION, or sha256: and the first digits of its digest.
    #[arg(value_name = "PACKAGE")]
    pub(crate) package: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Show a version of a package, how a living engine runs it, and what happened to the package.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package show billing
  cloacina-ctl package show billing@1.4.0 --output json")]
pub(crate) struct PackageShowArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
}

/// Show what versions of packages used up: time, processor time and memory, of all runs of a time and of their processes.
///
/// Only attempts that ended count. Processor time is known of attempts in Rust, and of others that were alone in their process or say it themselves; memory of one that was alone in its process and took 10 ms or longer, or whose process ended with it; the rest is shown as unknown. Processes of packages that lived in that time are told apart, with all that ran in them: of a living engine's up to some seconds ago. It costs as much as those runs have events: about a second for a million.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package usage
  cloacina-ctl package usage billing --since 7d
  cloacina-ctl package usage acme::billing@1.4.0 --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z
  cloacina-ctl package usage --output json | jq '.packages[] | {name, version, cpu_us, of_processes: .processes.cpu_us}'")]
pub(crate) struct PackageUsageArgs {
    /// Only this package, and each of its tasks: NAME, TENANT::NAME, either with @VERSION, or sha256: and the first digits
    /// of a digest.
    pub(crate) package: Option<String>,
    /// Only packages of this tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Only runs submitted since: a moment (2026-01-31T12:00:00Z), or a time ago (90s, 15m, 24h, 7d). [default: 24h]
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only runs submitted before: a moment, or a time ago.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Let new runs take a version: all of them, or a percentage.
///
/// Runs that are under way stay with the version that they began with. Which run gets which version depends on its key,
/// or on its id without one, and stays the same.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package activate billing@1.5.0
  cloacina-ctl package activate billing@1.5.0 --percent 10")]
pub(crate) struct ActivateArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
    /// How many of a hundred new runs; the version that was active gets the rest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) percent: Option<u8>,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Go back to the version that was active before, or end a percentage.
///
/// Called again, it goes further back. Versions that were removed are stepped over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package rollback billing
  cloacina-ctl package rollback acme::billing")]
pub(crate) struct RollbackArgs {
    /// The package: NAME or TENANT::NAME.
    pub(crate) package: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Let new runs take a version no more. Runs that are under way go on; no other version takes its place.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package retire billing@1.3.0")]
pub(crate) struct RetireArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Forget a version, unless unfinished runs need it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package remove billing@1.3.0")]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Keep a version from being used. No other version takes its place before somebody says so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package quarantine billing@1.5.0 --reason 'charges twice'")]
pub(crate) struct QuarantineArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
    /// The reason, shown to users who want to run the version.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Let a quarantined version be used again, as it was before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package release billing@1.5.0")]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Compare two versions: workflows, tasks, what they depend on, and what is declared.
///
/// Each is an archive on the disk, or a version that is registered. Exit code 0 whether they differ or not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package diff billing@1.4.0 billing@1.5.0
  cloacina-ctl package diff billing new/billing.cloacina
  cloacina-ctl package diff old.cloacina new.cloacina --output json")]
pub(crate) struct DiffArgs {
    /// The older one: a file, or a version.
    #[arg(value_name = "FILE|PACKAGE")]
    pub(crate) old: String,
    /// The newer one.
    #[arg(value_name = "FILE|PACKAGE")]
    pub(crate) new: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// cargo takes nothing but URLs, and not the short form with a colon that git itself knows.
fn git_address(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some((scheme, rest)) if !scheme.is_empty() && !rest.is_empty() => Ok(text.to_owned()),
        Some(_) | None => {
            Err("it looks like https://host/owner/repository, ssh://git@host/owner/repository".to_owned())
        }
    }
}

fn version(text: &str) -> Result<String, String> {
    semver::VersionReq::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
