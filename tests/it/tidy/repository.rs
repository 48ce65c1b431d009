//! The files of this repository: their names and texts.
//!
//! Owns the answer to "what belongs to the repository": what git tracks or would track, and without git whatever is
//! there but for the folders that builds make. A file that goes away while the list is read is not an error, as other
//! tests build packages at the same time. Nothing here checks rules.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use super::source::Source;

/// What git and builds make, for a walk without git.
const BUILT: &[&str] = &[".git", "target"];

pub(super) struct Repository {
    /// Path with `/` from the root → text; empty for what is not text.
    files: BTreeMap<String, String>,
    sources: Vec<Source>,
}

impl Repository {
    /// The repository that this test program was built from.
    pub(super) fn here() -> &'static Self {
        static HERE: LazyLock<Repository> = LazyLock::new(|| Repository::read(&root()));
        &HERE
    }

    /// A repository made up for a test.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self::new(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    fn read(root: &Path) -> Self {
        let paths = tracked(root).unwrap_or_else(|| walked(root));
        let mut files = BTreeMap::new();
        for path in paths {
            match fs::read(root.join(&path)) {
                Ok(bytes) => drop(files.insert(path, String::from_utf8(bytes).unwrap_or_default())),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {}
                Err(error) => panic!("reading {path}: {error}"),
            }
        }
        Self::new(files)
    }

    fn new(files: BTreeMap<String, String>) -> Self {
        let rust = files.iter().filter(|(path, _)| path.ends_with(".rs"));
        let sources = rust.map(|(path, text)| Source::new(path, text)).collect();
        Self { files, sources }
    }

    /// Every file as (path, text), ordered by path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files whose names end so.
    pub(super) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files().filter(move |(path, _)| path.ends_with(end))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file or a folder of that name is there.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.files.contains_key(path)
            || self.files.range(folder.clone()..).next().is_some_and(|(found, _)| found.starts_with(&folder))
    }

    /// Our Rust sources, without the ones that are input to a test.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| !is_fixture(&source.path))
    }
}

/// Whether a file is input to a test, so that rules about sources do not hold for it.
pub(super) fn is_fixture(path: &str) -> bool {
    ["fixtures", "ui", "expand"].iter().any(|folder| {
        path.split('/').rev().skip(1).any(|part| part == *folder)
            && (path.contains("tests/") || path.contains("fixtures/"))
    })
}

pub(super) fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().expect("invariant: the crate `tests` is a folder of the repository").to_owned()
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let names = String::from_utf8(listed.stdout).ok()?;
    let paths: Vec<String> = names.split_terminator('\0').map(str::to_owned).collect();
    // A clone of another repository around an unpacked archive lists nothing of it.
    (listed.status.success() && paths.iter().any(|path| path == "Cargo.toml")).then_some(paths)
}

fn walked(root: &Path) -> Vec<String> {
    let mut folders = vec![String::new()];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).expect("a folder of the repository can be listed") {
            let entry = entry.expect("a folder of the repository can be listed");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type().expect("an entry has a type");
            if BUILT.contains(&name.as_str()) || name.ends_with(".cloacina") {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
}

#[test]
fn git_and_a_walk_agree_on_the_manifest_and_leave_out_what_builds_make() {
    let root = root();
    for paths in [tracked(&root).unwrap_or_else(|| walked(&root)), walked(&root)] {
        assert!(paths.iter().any(|path| path == "Cargo.toml"), "{paths:?}");
        assert!(paths.iter().any(|path| path == "tests/it/tidy/repository.rs"), "{paths:?}");
        assert!(!paths.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/")), "{paths:?}");
    }
}

#[test]
fn folders_are_found_by_their_files() {
    let repository = Repository::of(&[("docs/errors/PKG0001.md", "")]);
    for (path, expected) in
        [("docs", true), ("docs/errors/", true), ("docs/err", false), ("docs/errors/PKG0001.md", true)]
    {
        assert_eq!(repository.has(path), expected, "{path}");
    }
}
