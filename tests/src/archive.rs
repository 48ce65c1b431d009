//! Archives of the Rust packages that the tests use, each built once per test program.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError},
};

use cloacina_packager::build::{Options, build};

use crate::{build_folder, root};

type Built = Arc<OnceLock<PathBuf>>;

/// The archive's path by the name that tests use for it.
static BUILT: LazyLock<Mutex<HashMap<String, Built>>> = LazyLock::new(Mutex::default);

/// The archive of a package under `tests/fixtures`.
#[must_use]
pub fn fixture(name: &str) -> Vec<u8> {
    bytes(path(name, &format!("tests/fixtures/{name}"), &[]))
}

/// The archive of a package under `examples`.
#[must_use]
pub fn example(name: &str) -> Vec<u8> {
    bytes(path(name, &format!("examples/{name}"), &[]))
}

/// The archive of a package under `tests/fixtures` with one of its features.
#[must_use]
pub fn fixture_with(name: &str, feature: &str) -> Vec<u8> {
    bytes(path(&format!("{name}-{feature}"), &format!("tests/fixtures/{name}"), &[feature]))
}

/// Where the archive of a crate is, built if it was not yet. `name` tells it from all others.
#[must_use]
pub fn path(name: &str, folder: &str, features: &[&str]) -> PathBuf {
    let built = BUILT.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone();
    built.get_or_init(|| compile(name, folder, features)).clone()
}

fn compile(name: &str, folder: &str, features: &[&str]) -> PathBuf {
    let archives = build_folder().join("archives");
    fs::create_dir_all(&archives).expect("the target folder can be written");
    let options = Options {
        features: features.iter().map(|&feature| feature.to_owned()).collect(),
        target_dir: Some(build_folder()),
        output: Some(archives.join(format!("{name}.cloacina"))),
        ..Options::new(root().join(folder))
    };
    let built = build(&options, &mut |_| {});
    built.unwrap_or_else(|error| panic!("the package {name} cannot be built: {error}")).archive
}

fn bytes(path: PathBuf) -> Vec<u8> {
    fs::read(&path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}
