//! Programs from the Python registry, each in an environment of its own in the temporary folder of a test.
//!
//! Versions are pinned where they are named, as another one may find, or write, something else.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// An environment with some packages.
pub(super) struct Python {
    folder: PathBuf,
}

impl Python {
    /// Installs these packages.
    pub(super) fn with(place: &Path, packages: &[&str]) -> Self {
        let python = Self { folder: place.join("python") };
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&python.folder));
        succeeds(
            python
                .program("pip")
                .args(["install", "--quiet", "--no-compile", "--disable-pip-version-check"])
                .args(packages),
        );
        python
    }

    /// A program of the environment.
    pub(super) fn program(&self, name: &str) -> Command {
        Command::new(self.folder.join("bin").join(name))
    }
}

/// What a program that must succeed says.
pub(super) fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}
