//! The program that becomes a package host, and whether packages get one.

use std::{ffi::OsString, path::PathBuf};

/// A program which, started with these arguments, calls [`crate::package_host`] and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProgram {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// Where the library of a package is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Into the engine's own process: fastest, and a crash of the package ends the engine.
    #[default]
    Inline,
    /// Into a process of its own, which may crash, and is limited in what it may use.
    Process,
}

impl Isolation {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Process => "process",
        }
    }
}

impl HostProgram {
    /// That program, started with that one argument.
    pub fn new(program: impl Into<PathBuf>, role: impl Into<OsString>) -> Self {
        Self { program: program.into(), arguments: vec![role.into()] }
    }

    /// The program that is running now, started with that one argument; also if its file is replaced meanwhile.
    #[must_use]
    pub fn this(role: impl Into<OsString>) -> Self {
        // The system resolves this in the new process, where it still is what this one runs.
        Self::new("/proc/self/exe", role)
    }

    /// A further argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(super) fn program(&self) -> &PathBuf {
        &self.program
    }

    pub(super) fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}
