//! The sandbox of a package host around a process that is none: for programs that examine packages without an engine.
//!
//! ```text
//! parent: prepare ─► start the process ─────────────────────► end: it and all that it has started
//! process:            └► enter, before anything of the package runs ─► refused: what the package was refused
//! ```
//! The declared needs of the package are granted: the test shows what the package does beyond them.

use std::{
    io,
    path::Path,
    process::{Child, Command, ExitStatus},
};

use cloacina_workflow::descriptor::Descriptor;

use super::{
    Confinement, Limits, Sandbox,
    sandbox::{self, Grants},
    session,
    start::surround,
};

/// What keeps a process in that runs a package.
#[derive(Clone, Debug)]
pub struct Confined {
    sandbox: Sandbox,
    limits: Limits,
    grants: Grants,
}

impl Confined {
    /// As the hosts of an engine with that sandbox keep that package in; it may write in `scratch`.
    #[must_use]
    pub fn new(sandbox: Sandbox, limits: Limits, descriptor: &Descriptor, library: &Path, scratch: &Path) -> Self {
        let grants = match sandbox {
            Sandbox::Dev => Grants::default(),
            Sandbox::Server => Grants::of(descriptor, library, scratch),
        };
        Self { sandbox, limits, grants }
    }

    /// As the hosts of an engine with that sandbox keep a package in that declares no needs.
    #[must_use]
    pub fn bare(sandbox: Sandbox, limits: Limits) -> Self {
        Self { sandbox, limits, grants: Grants::default() }
    }

    /// Gives a process that is to be started the environment and the working folder of a package host.
    pub fn prepare(&self, command: &mut Command) {
        surround(command, self.sandbox, &self.grants);
    }

    /// Keeps this process in, for good. It has one thread. Calls that are refused are noted from then on.
    ///
    /// # Errors
    /// If the process leads a group already, in which it could not be found.
    pub fn enter(&self) -> io::Result<Confinement> {
        session::lead()?;
        Ok(sandbox::enter_noting(self.sandbox, &self.limits, &self.grants))
    }

    /// The names of the system calls that this process was refused, in no order.
    #[must_use]
    pub fn refused() -> Vec<&'static str> {
        sandbox::refused()
    }

    /// Kills such a process with all that it has started, and waits for its end.
    ///
    /// # Errors
    /// What the system says.
    pub fn end(process: &mut Child) -> io::Result<ExitStatus> {
        process.kill()?;
        session::end(process.id());
        process.wait()
    }
}
