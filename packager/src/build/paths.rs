//! Paths of the building machine, kept out of the library.
//!
//! Panic messages hold the paths of source files. They are replaced, so that two builds of the same sources in two
//! folders give the same bytes, and an archive does not reveal the author's paths. The flags go into `build.rustflags` of the
//! command line: cargo ignores that key when the user has set RUSTFLAGS or flags for a target, so nothing of the
//! user's is lost; such a build is only as reproducible as those flags are. The folder of the package itself is replaced
//! for its own crate alone: a flag for all crates that names it would have cargo compile them anew in every folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::locate::Located;
use super::pack::Options;

/// The argument of the compiler that replaces the folder of the package.
pub(super) fn remap_own(located: &Located) -> String {
    format!("--remap-path-prefix={}=/package", located.metadata.workspace_root)
}

/// The value of `--config` that replaces the paths of everything else.
pub(super) fn remap_config(located: &Located, options: &Options) -> String {
    let flags = replacements(located, options)
        .into_iter()
        .filter_map(|(from, to)| Some(toml::Value::String(format!("--remap-path-prefix={}={to}", from.to_str()?))));
    format!("build.rustflags={}", toml::Value::Array(flags.collect()))
}

/// Which prefix becomes what; where several fit, the last one counts.
fn replacements(located: &Located, options: &Options) -> Vec<(PathBuf, String)> {
    let metadata = &located.metadata;
    let root = metadata.workspace_root.as_std_path();
    let mut outside = BTreeSet::new();
    for package in &metadata.packages {
        let manifest = package.manifest_path.as_std_path();
        let Some(folder) = manifest.parent().filter(|folder| !folder.starts_with(root)) else { continue };
        match (&package.source, folder.parent()) {
            // All crates of a registry lie side by side in one folder, whose name has no meaning elsewhere.
            (Some(_), Some(registry)) => outside.insert((registry.to_owned(), "/registry".to_owned())),
            _ => outside.insert((folder.to_owned(), format!("/path/{}", package.name))),
        };
    }
    let mut replacements: Vec<_> = outside.into_iter().collect();
    replacements.extend(standard_library(root));
    let target = options.target_dir.clone().unwrap_or_else(|| metadata.target_directory.clone().into_std_path_buf());
    replacements.push((std::path::absolute(&target).unwrap_or(target), "/target".to_owned()));
    replacements
}

/// Where the sources of the standard library are installed, their paths are made what they are without them.
fn standard_library(folder: &Path) -> Option<(PathBuf, String)> {
    let ask = |argument: &[&str]| {
        let output = Command::new("rustc").args(argument).current_dir(folder).output().ok()?;
        String::from_utf8(output.stdout).ok()
    };
    let sysroot = ask(&["--print", "sysroot"])?;
    let version = ask(&["-vV"])?;
    let hash = version.lines().find_map(|line| line.strip_prefix("commit-hash: "))?;
    Some((Path::new(sysroot.trim()).join("lib/rustlib/src/rust"), format!("/rustc/{hash}")))
}
