//! What cargo knows of the workspace: its crates, all they depend on, and along which kind of arrow.
//!
//! Owns the one call of `cargo metadata`, for this machine's platform, so that nothing is asked for that the build did
//! not need. Nothing here checks rules.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use cargo_metadata::DependencyKind;
use cargo_metadata::Metadata;
use cargo_metadata::MetadataCommand;

use super::repository;

/// A crate in one version.
#[derive(Default)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    /// Where its manifest is, from the root; only for those of this workspace.
    pub(super) folder: Option<String>,
    /// What it needs to run: ids of other crates.
    pub(super) normal: Vec<String>,
}

/// Crates by id, which is `name version`.
pub(super) struct Workspace {
    pub(super) crates: BTreeMap<String, Crate>,
}

impl Workspace {
    pub(super) fn here() -> &'static Self {
        static HERE: LazyLock<Workspace> = LazyLock::new(|| Workspace::from(&ask_cargo()));
        &HERE
    }

    /// A workspace made up for a test: each crate as (`name version`, license, what it needs). Crates of version 0.1.0
    /// are ours.
    pub(super) fn of(crates: &[(&str, &str, &[&str])]) -> Self {
        let crates = crates.iter().map(|(id, license, normal)| {
            let (name, version) = id.split_once(' ').expect("an id is `name version`");
            let krate = Crate {
                name: name.to_owned(),
                version: version.to_owned(),
                license: Some((*license).to_owned()).filter(|license| !license.is_empty()),
                folder: (version == "0.1.0").then(|| name.to_owned()),
                normal: normal.iter().map(|id| (*id).to_owned()).collect(),
            };
            ((*id).to_owned(), krate)
        });
        Self { crates: crates.collect() }
    }

    fn from(metadata: &Metadata) -> Self {
        let mut crates = BTreeMap::new();
        for package in &metadata.packages {
            let manifest = package.manifest_path.strip_prefix(&metadata.workspace_root).ok();
            let krate = Crate {
                name: package.name.to_string(),
                version: package.version.to_string(),
                license: package.license.clone(),
                folder: manifest.and_then(|path| path.parent()).map(|path| path.as_str().replace('\\', "/")),
                normal: Vec::new(),
            };
            crates.insert(&package.id, krate);
        }
        let ids: BTreeMap<_, _> = crates.iter().map(|(id, krate)| (*id, krate.id())).collect();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let normal =
                node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
            let normal = normal.filter_map(|dep| ids.get(&dep.pkg).cloned()).collect();
            if let Some(krate) = crates.get_mut(&node.id) {
                krate.normal = normal;
            }
        }
        Self { crates: crates.into_values().map(|krate| (krate.id(), krate)).collect() }
    }

    /// The crates of this repository.
    pub(super) fn members(&self) -> impl Iterator<Item = &Crate> {
        self.crates.values().filter(|krate| krate.folder.is_some())
    }

    /// The names of all that `krate` needs to run, at any distance.
    pub(super) fn reach(&self, krate: &Crate) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = krate.normal.iter().map(String::as_str).collect();
        while let Some(id) = open.pop() {
            let Some(krate) = self.crates.get(id) else { continue };
            if reached.insert(krate.name.as_str()) {
                open.extend(krate.normal.iter().map(String::as_str));
            }
        }
        reached
    }
}

impl Crate {
    fn id(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

fn ask_cargo() -> Metadata {
    MetadataCommand::new()
        .manifest_path(repository::root().join("Cargo.toml"))
        .other_options(["--filter-platform".to_owned(), platform()])
        .exec()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"))
}

fn platform() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc says its version");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc says its host").to_owned()
}
