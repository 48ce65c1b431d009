//! `package new`: a crate that builds, passes its test and runs at once.
//!
//! The files are made beside the folder and moved there when all of them are right: either the whole crate is there,
//! or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use tempfile::TempDir;
use utoipa::ToSchema;

use super::{name, place};
use crate::cli::NewArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint, Warning};

const CARGO_TOML: &str = include_str!("../../template/Cargo.toml.in");
const WORKSPACE: &str = include_str!("../../template/workspace.in");
/// The files that hold nothing but the package's name in their blanks.
const FILES: [(&str, &str); 3] = [
    (".gitignore", include_str!("../../template/gitignore.in")),
    ("README.md", include_str!("../../template/README.md.in")),
    ("src/lib.rs", include_str!("../../template/lib.rs.in")),
];

/// The dependency on the sdk, by the keys that Cargo.toml has for it: a `path`, a `git` address with a `rev` or a `tag`,
/// or a `version` with the `registry` that has it.
type Sdk = BTreeMap<&'static str, String>;

/// The crate of a package that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Made {
    /// The name of the package.
    package: String,
    /// The folder of the crate.
    #[schema(value_type = String)]
    path: PathBuf,
    /// The dependency on the sdk, as `Cargo.toml` has it: a `path`, a `git` address with a `rev` or a `tag`, or a `version`
    /// with the `registry` that has it.
    #[schema(value_type = BTreeMap<String, String>)]
    sdk: Sdk,
    /// Whether the crate is a workspace of its own, because it is inside of another workspace.
    own_workspace: bool,
    /// The files of the crate.
    files: Vec<&'static str>,
}

impl Document for Made {}

/// Makes the crate of a package.
pub(crate) fn new(arguments: &NewArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    name::check(&arguments.name)?;
    let path = arguments.path.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    refuse_used(&path)?;
    let target = place::absolute(&path)?;
    let sdk = sdk(arguments, &target)?;
    if sdk.contains_key("version") && !sdk.contains_key("registry") {
        let message =
            "the crate `cloacina-workflow` in cargo's default registry is another project's: --sdk-registry names \
                       the registry that has this one"
                .to_owned();
        output.warning(&Warning { code: "WRN0008".into(), message });
    }

    let parent = place::folder(&target);
    fs::create_dir_all(parent).map_err(io("make the folder", parent))?;
    let scratch = tempfile::Builder::new().prefix(".cloacina-new-").tempdir_in(parent);
    let scratch = scratch.map_err(io("make a folder in", parent))?;
    let own_workspace = fill(&scratch, &arguments.name, &sdk, config)?;
    move_to(scratch, &target)?;

    let files = [".gitignore", "Cargo.toml", "README.md", "src/lib.rs"].to_vec();
    let made = Made { package: arguments.name.clone(), path, sdk, own_workspace, files };
    output.answer(&made, |paint| made.text(paint))?;
    Ok(exit::SUCCESS)
}

impl Made {
    fn text(&self, paint: Paint) -> String {
        let path = self.path.display();
        let mut text = format!("{} the package `{}` in {path}\n", paint.green("made"), self.package);
        for file in &self.files {
            text.push_str(&format!("  {file}\n"));
        }
        text.push_str(&format!("Cargo.toml depends on cloacina-workflow = {}\n", inline_table(&self.sdk)));
        if self.own_workspace {
            text.push_str("It is a workspace of its own, apart from the one around it.\n");
        }
        let command = |command: &str| format!("  {}\n", paint.cyan(command));
        text.push_str("Next:\n");
        text.push_str(&command(&format!("cd {path} && cargo test")));
        text.push_str(&command(&format!("cloacina-ctl run {path}")));
        text.push_str(&command(&format!("cloacina-ctl package build {path}")));
        text
    }
}

/// A folder that is there must be empty.
fn refuse_used(path: &Path) -> Result<(), Error> {
    let used = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.symlink_metadata().is_ok(),
    };
    match used {
        true => Err(Error::FolderNotEmpty { path: path.to_owned() }),
        false => Ok(()),
    }
}

/// The sdk that the arguments name.
fn sdk(arguments: &NewArgs, target: &Path) -> Result<Sdk, Error> {
    let NewArgs { sdk_git, sdk_rev, sdk_tag, sdk_version, sdk_registry, .. } = arguments;
    let given =
        [("git", sdk_git), ("rev", sdk_rev), ("tag", sdk_tag), ("version", sdk_version), ("registry", sdk_registry)];
    let sdk: Sdk = given.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
    if !sdk.is_empty() {
        return Ok(sdk);
    }
    let path = find_sdk(arguments.sdk.as_deref(), target)?;
    Ok(Sdk::from([("path", path.to_string_lossy().into_owned())]))
}

/// The folder of the sdk: relative if it was given so, so that the folders can move together.
fn find_sdk(given: Option<&Path>, target: &Path) -> Result<PathBuf, Error> {
    let path = given.map_or_else(Config::built_in_sdk, Path::to_owned);
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
    if !manifest.lines().any(|line| line.trim() == "name = \"cloacina-workflow\"") {
        return Err(Error::NoSdk { path });
    }
    let absolute = place::absolute(&path)?;
    match path.is_relative() {
        true => Ok(place::relative(target, &absolute)),
        false => Ok(absolute),
    }
}

/// Writes the files, and says whether the crate needs a workspace of its own.
fn fill(scratch: &TempDir, package: &str, sdk: &Sdk, config: &Config) -> Result<bool, Error> {
    let write = |file: &str, text: &str| {
        let path = scratch.path().join(file);
        fs::write(&path, text).map_err(io("write", &path))
    };
    let source = scratch.path().join("src");
    fs::create_dir(&source).map_err(io("make the folder", &source))?;
    for (file, text) in FILES {
        write(file, &text.replace("{name}", package))?;
    }
    let manifest = CARGO_TOML.replace("{name}", package).replace("{sdk}", &inline_table(sdk));
    write("Cargo.toml", &manifest)?;
    let apart = is_claimed(scratch.path(), config);
    if apart {
        write("Cargo.toml", &format!("{manifest}{WORKSPACE}"))?;
    }
    Ok(apart)
}

/// Whether cargo takes the crate for a part of a workspace around it that does not list it.
fn is_claimed(folder: &Path, config: &Config) -> bool {
    let above = folder.ancestors().skip(1).map(|folder| folder.join("Cargo.toml"));
    let has_workspace = |manifest: PathBuf| {
        let text = fs::read_to_string(manifest).unwrap_or_default();
        text.lines().any(|line| line.trim_start().starts_with("[workspace"))
    };
    if !above.into_iter().any(has_workspace) {
        return false;
    }
    let mut cargo = Command::new(&config.cargo);
    cargo.args(["locate-project", "--workspace", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    // Without an answer, apart is the form that always builds.
    !cargo.output().is_ok_and(|answer| answer.status.success())
}

/// Moves the finished crate to its place, where at most an empty folder is.
fn move_to(scratch: TempDir, target: &Path) -> Result<(), Error> {
    if target.is_dir() {
        fs::remove_dir(target).map_err(io("replace the empty folder", target))?;
    }
    let made = scratch.path();
    place::permit(made, 0o755).map_err(io("change", made))?;
    fs::rename(made, target).map_err(io("make the folder", target))?;
    // The folder has left its temporary name, so there is nothing to remove.
    let _left = scratch.keep();
    Ok(())
}

/// The dependency as TOML.
fn inline_table(sdk: &Sdk) -> String {
    let fields = sdk.iter().map(|(key, value)| format!("{key} = {}", toml::Value::from(value.as_str())));
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
