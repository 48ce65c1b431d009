//! Finds the package of a workspace, and reads its facts from cargo.
//!
//! Cargo is asked, and nothing else: no manifest is parsed here, so workspaces, inheritance and target folders are
//! what cargo says they are. Where several packages could be meant, none is chosen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId, TargetKind};

use super::error::Error;
use super::pack::Options;
use crate::mistake::similar;
use crate::target::Target;

/// The package to build.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) metadata: Metadata,
    pub(super) package: Package,
}

impl Located {
    /// Asks cargo.
    pub(super) fn find(options: &Options) -> Result<Located, Error> {
        let manifest = manifest_path(&options.path)?;
        let mut command = MetadataCommand::new();
        command.cargo_path(&options.cargo).manifest_path(&manifest);
        // Cargo searches for its settings from here upwards, as it will when it compiles.
        command.current_dir(manifest.parent().unwrap_or(&manifest));
        let mut arguments: Vec<String> = options.lock_arguments().map(str::to_owned).collect();
        if let Some(target) = Target::host() {
            arguments.extend(["--filter-platform".to_owned(), target.triple().to_owned()]);
        }
        command.other_options(arguments);
        let metadata = command.exec().map_err(|error| match error {
            cargo_metadata::Error::Io(source) => Error::CargoNotFound { program: options.cargo.clone(), source },
            cargo_metadata::Error::CargoMetadata { stderr } => {
                Error::Metadata { message: stderr.trim_end().to_owned() }
            }
            other => Error::Metadata { message: other.to_string() },
        })?;
        let package = choose(&metadata, &manifest, options)?.clone();
        let is_library = |kind: &TargetKind| {
            matches!(
                kind,
                TargetKind::Lib | TargetKind::CDyLib | TargetKind::RLib | TargetKind::DyLib | TargetKind::StaticLib
            )
        };
        if !package.targets.iter().any(|target| target.kind.iter().any(is_library)) {
            return Err(Error::NoLibraryTarget { package: package.name.to_string() });
        }
        Ok(Located { metadata, package })
    }

    /// The folder of the crate.
    pub(super) fn folder(&self) -> &Path {
        let manifest = self.package.manifest_path.as_std_path();
        manifest.parent().unwrap_or(manifest)
    }

    /// The packages that are compiled for this one, itself included.
    pub(super) fn compiled(&self) -> BTreeSet<PackageId> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.package.id.clone()];
        let nodes = self.metadata.resolve.as_ref().map(|resolve| resolve.nodes.as_slice()).unwrap_or_default();
        while let Some(id) = open.pop() {
            if !found.insert(id.clone()) {
                continue;
            }
            let needed =
                nodes.iter().filter(|node| node.id == id).flat_map(|node| &node.deps).filter(|dependency| {
                    dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
                });
            open.extend(needed.map(|dependency| dependency.pkg.clone()));
        }
        found
    }
}

fn manifest_path(path: &Path) -> Result<PathBuf, Error> {
    let manifest = match path.file_name() {
        Some(name) if name == "Cargo.toml" => path.to_owned(),
        _ => path.join("Cargo.toml"),
    };
    manifest.canonicalize().map_err(|_| Error::NoManifest { path: path.to_owned() })
}

fn choose<'a>(metadata: &'a Metadata, manifest: &Path, options: &Options) -> Result<&'a Package, Error> {
    let members = metadata.workspace_packages();
    let names = || {
        let mut names: Vec<_> = members.iter().map(|member| member.name.to_string()).collect();
        names.sort_unstable();
        names
    };
    if let Some(wanted) = &options.package {
        return members.iter().find(|member| member.name.as_str() == wanted).copied().ok_or_else(|| {
            let members = names();
            let similar = similar(wanted, members.iter().map(String::as_str));
            Error::UnknownMember { package: wanted.clone(), similar, members }
        });
    }
    let own = members.iter().find(|member| member.manifest_path.as_std_path() == manifest);
    own.copied().ok_or_else(|| Error::Workspace { path: manifest.to_owned(), members: names() })
}
