//! `cloacina-ctl package …`: the arguments of its verbs.
//!
//! Types for clap alone: the doc comments are the help texts, and each verb ends its help with examples that work.
//! What cannot go together is refused here, so that the verbs need not check it again.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use cloacina::PackageState;

use super::actor::ActorArgs;
use super::database::DatabaseArgs;
use super::isolation::Tightness;
use super::key::RingArgs;

/// The states of versions, as they are stored and shown.
const STATES: [&str; 4] = ["registered", "active", "retired", "quarantined"];

/// The heading of the options for the source of the crate cloacina-workflow.
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
    #[command(visible_alias = "push")]
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

/// Create the crate of a package, with two tasks and a test.
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
    /// The folder to create; by default ./NAME.
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// The folder of the crate cloacina-workflow; by default the folder `sdk` of the checkout that built this program.
    #[arg(long, value_name = "DIR", help_heading = SDK)]
    pub(crate) sdk: Option<PathBuf>,
    /// The address of a git repository with the crate cloacina-workflow.
    #[arg(
        long,
        value_name = "URL",
        help_heading = SDK,
        value_parser = git_address,
        conflicts_with_all = ["sdk", "sdk_version"]
    )]
    pub(crate) sdk_git: Option<String>,
    /// The commit of the git repository; by default the newest commit of its main branch.
    #[arg(long, value_name = "REV", help_heading = SDK, requires = "sdk_git", conflicts_with = "sdk_tag")]
    pub(crate) sdk_rev: Option<String>,
    /// The tag of the git repository.
    #[arg(long, value_name = "TAG", help_heading = SDK, requires = "sdk_git")]
    pub(crate) sdk_tag: Option<String>,
    /// The version of the crate cloacina-workflow in a registry, as in Cargo.toml: 0.1, or =0.1.0.
    #[arg(long, value_name = "VERSION", help_heading = SDK, value_parser = version, conflicts_with = "sdk")]
    pub(crate) sdk_version: Option<String>,
    /// The name of the registry in the settings of cargo; by default the default registry of cargo, where the crate of that name belongs to another project.
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
    /// The archive to write; by default PACKAGE.cloacina beside the Cargo.toml of the crate or beside the library.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// The target to build for; by default the target of this machine. Several targets give one archive with a library for each.
    #[arg(long, value_name = "TRIPLE", num_args = 1.., help_heading = "Building")]
    pub(crate) target: Vec<String>,
    /// Pack a library that was built with another compiler, described by its descriptor. Several libraries must be for
    /// different targets.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "target", "CargoArgs"])]
    pub(crate) library: Vec<PathBuf>,
}

/// Options that are passed to cargo.
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
    /// Do not use the network.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Show the content of an archive, without running code of the package.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package inspect my_package.cloacina
  cloacina-ctl package inspect my_package.cloacina --output json")]
pub(crate) struct InspectArgs {
    /// The archive.
    pub(crate) file: PathBuf,
}

/// Check the format, the digests, the manifest and the libraries of an archive, without running code of the package.
///
/// Lists every check with its result. The exit code is 0 if all checks passed, 1 if one failed.
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
    /// The target of the library to check; by default the target of this machine.
    #[arg(long, value_name = "TRIPLE")]
    pub(crate) target: Option<String>,
    /// A library that the package may need in addition to those of the system; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_library: Vec<String>,
    /// A key that must have signed the archive: its name, the file of the public key, or the line in it; may be repeated.
    /// The signatures are files beside the archive.
    #[arg(long, value_name = "NAME|FILE|LINE")]
    pub(crate) key: Vec<String>,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

/// Run the code of a package, and check that it follows each rule of the protocol.
///
/// Runs the tasks many times, also with invalid contexts, in separate processes: a package that crashes breaks a
/// rule. The exit code is 0 if the package follows all rules, 1 if it breaks one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package test my_package.cloacina
  cloacina-ctl package test my_package.cloacina --task greet --context '{\"name\": \"Ada\"}'
  cloacina-ctl package test my_package.cloacina --timeout 60 --output json")]
pub(crate) struct TestArgs {
    /// The archive.
    pub(crate) file: PathBuf,
    /// The task or callback to run: its name, or WORKFLOW.NAME; by default all tasks and callbacks.
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,
    /// The context of the tasks: a JSON object, @FILE, or - for stdin.
    #[arg(long, value_name = "JSON")]
    pub(crate) context: Option<String>,
    /// How strictly the package is confined during the test. All needs that it declares are allowed.
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub(crate) sandbox: Tightness,
    /// The seconds that a call may take before it is cancelled, and again after it was cancelled.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// A library that the package may need in addition to those of the system; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_library: Vec<String>,
}

/// Sign an archive.
///
/// The signature is a file beside the archive, `ARCHIVE.KEY_ID.minisig`, which the program minisign can verify too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package sign my_package.cloacina --key release
  CLOACINA_KEY_PASSWORD=$(cat password) cloacina-ctl package sign my_package.cloacina --key release
  cloacina-ctl package sign my_package.cloacina --key ./keys/ci.key")]
pub(crate) struct SignArgs {
    /// The archive.
    pub(crate) file: PathBuf,
    /// The key: its name, or the file of the secret key.
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
    /// The workflow to draw; by default every workflow of the package. An image shows one workflow.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// The format: text, the language of Graphviz, or an SVG image.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: DrawFormat,
    /// The file to write; by default stdout.
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

/// Merge archives of the same package for different targets, without running code of the package.
///
/// The archives must agree on everything but the target and the compiler. A signature belongs to one file, so the new
/// archive has no signatures.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package merge intel/my_package.cloacina arm/my_package.cloacina -o my_package.cloacina")]
pub(crate) struct MergeArgs {
    /// The archives.
    #[arg(required = true, num_args = 2..)]
    pub(crate) files: Vec<PathBuf>,
    /// The archive to write.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub(crate) to: PathBuf,
}

/// Rewrite an archive that another program packed, in the canonical form.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package repack my_package.cloacina
  cloacina-ctl package repack foreign.tar.gz -o my_package.cloacina")]
pub(crate) struct RepackArgs {
    /// The archive.
    pub(crate) file: PathBuf,
    /// The archive to write; by default it replaces the old one.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

/// Register archives: the first version of a package becomes active, later versions must be activated.
///
/// Signatures beside an archive are sent with it. A running engine registers the archive at once; without an engine,
/// this program writes the archive to the database.
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
    /// Activate the version for new runs at once.
    #[arg(long, conflicts_with = "no_activate")]
    pub(crate) activate: bool,
    /// Do not activate the version, even if it is the first one.
    #[arg(long)]
    pub(crate) no_activate: bool,
    /// The tenant; by default the tenant in the package, or `public`.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// List the registered versions of packages, and how a running engine runs them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package list
  cloacina-ctl package list billing
  cloacina-ctl package list --state quarantined
  cloacina-ctl package list --tenant acme --output json")]
pub(crate) struct PackageListArgs {
    /// List only packages of this name.
    pub(crate) name: Option<String>,
    /// Only packages of this tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Only versions in this state.
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(STATES).try_map(state))]
    pub(crate) state: Option<PackageState>,
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

/// Show a version of a package, how a running engine runs it, and the history of the package.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package show billing
  cloacina-ctl package show billing@1.4.0 --output json")]
pub(crate) struct PackageShowArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
}

/// Show the usage of package versions: time, CPU time and memory of their runs and processes.
///
/// Only attempts that have ended count. The CPU time is known for attempts in Rust, and for other attempts that were alone in their process or that report it. The memory is known for an attempt that was alone in its process, if the attempt took at least 10 ms or the process ended with it. Other values are shown as unknown. The processes of packages in that period are shown separately, with everything that ran in them; the figures of a running engine are some seconds old. The command reads all events of these runs: about a million per second.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package usage
  cloacina-ctl package usage billing --since 7d
  cloacina-ctl package usage acme::billing@1.4.0 --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z
  cloacina-ctl package usage --output json | jq '.packages[] | {name, version, cpu_us, of_processes: .processes.cpu_us}'")]
pub(crate) struct PackageUsageArgs {
    /// Only this package, with each of its tasks: NAME or TENANT::NAME, either with @VERSION, or sha256: and the first
    /// digits of a digest.
    pub(crate) package: Option<String>,
    /// Only packages of this tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Only runs submitted at or after this time (2026-01-31T12:00:00Z), or so long ago at most (90s, 15m, 24h, 7d). [default: 24h]
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only runs submitted before this time, or longer ago than this duration.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// Activate a version for all new runs, or for a percentage of them.
///
/// Unfinished runs keep their version. The version of a new run depends on its submission key, or on its id if it has no
/// key, and does not change.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package activate billing@1.5.0
  cloacina-ctl package activate billing@1.5.0 --percent 10")]
pub(crate) struct ActivateArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
    /// The percentage of new runs that get this version; the active version gets the rest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) percent: Option<u8>,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// Activate the previous version again, or end a percentage.
///
/// Repeat the command to go further back. Removed versions are skipped.
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

/// Retire a version: new runs no longer get it. Unfinished runs continue; no other version takes its place.
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

/// Remove a version, unless unfinished runs need it.
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

/// Quarantine a version: none of its tasks start. No other version takes its place automatically.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package quarantine billing@1.5.0 --reason 'charges twice'")]
pub(crate) struct QuarantineArgs {
    #[command(flatten)]
    pub(crate) version: VersionArg,
    /// The reason, shown to users that want to run the version.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
}

/// End the quarantine of a version, which gets its previous state.
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

/// Compare the workflows, tasks, dependencies and declarations of two versions.
///
/// Each version is an archive or a registered version. The exit code is 0 whether they differ or not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cloacina-ctl package diff billing@1.4.0 billing@1.5.0
  cloacina-ctl package diff billing new/billing.cloacina
  cloacina-ctl package diff old.cloacina new.cloacina --output json")]
pub(crate) struct DiffArgs {
    /// The older version: an archive, or a registered version.
    #[arg(value_name = "FILE|PACKAGE")]
    pub(crate) old: String,
    /// The newer version.
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

/// The state of that name; an error if [`STATES`] lists a name that no state has.
fn state(name: String) -> Result<PackageState, String> {
    name.parse().map_err(|()| format!("no version is ever {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_that_can_be_given_are_those_that_there_are() {
        assert_eq!(PackageState::ALL.map(PackageState::as_str), STATES);
    }
}
