//! Support for the tests across crates: packages built for real, each once, and engines on databases of their own.
//!
//! Nothing here knows the inside of any crate. Packages are built into `target/fixtures`, apart from what the
//! workspace builds, because a package is always built for release.

pub mod archive;
pub mod engine;
pub mod library;

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("invariant: the tests are a folder of the repository")
        .to_owned()
}

/// Where packages and libraries of the tests are built.
#[must_use]
pub fn build_folder() -> PathBuf {
    let folder = root().join("target/fixtures");
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}
