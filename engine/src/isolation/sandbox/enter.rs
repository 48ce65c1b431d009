//! The steps of a sandbox, in their order, and what became of each.
//!
//! The order matters: what a step needs of the system must not be forbidden by one before it. It never fails: an engine
//! that requires a step checks the answer.

use std::{
    fmt,
    path::{Path, PathBuf, absolute},
};

use cloacina_workflow::descriptor::{Descriptor, Need, Needs};
use rustix::thread::set_no_new_privs;
use serde::{Deserialize, Serialize};

use super::{
    calls::{self, Refusal},
    files,
    limits::{self, Limits},
    privileges,
};

/// How tightly packages are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Sandbox {
    /// Limits, no way to gain privileges, none to leave processes behind, and none to signal or trace others than these.
    /// For packages of one's own.
    #[default]
    Dev,
    /// Also: files, network and environment only as the package says that it needs them, and no other programs.
    Server,
}

impl Sandbox {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Server => "server",
        }
    }
}

/// What a package may do beyond what every package may, in the profile of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::isolation) struct Grants {
    pub(in crate::isolation) net: bool,
    pub(in crate::isolation) read: Vec<PathBuf>,
    pub(in crate::isolation) write: Vec<PathBuf>,
    /// Names of variables; given when the process is started.
    pub(in crate::isolation) env: Vec<String>,
    /// All variables that there are.
    pub(in crate::isolation) all_env: bool,
}

impl Grants {
    /// What a package says that it needs, its own folder, and one to write in, which comes first.
    pub(in crate::isolation) fn of(descriptor: &Descriptor, library: &Path, scratch: &Path) -> Self {
        let whole = |path: &Path| absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut grants = Self { write: vec![whole(scratch)], ..Self::default() };
        grants.read.extend(library.parent().map(whole));
        for workflow in &descriptor.workflows {
            let Needs { net, read, write, env } = &workflow.needs;
            grants.net |= *net != Need::Nothing;
            grants.read.extend(paths(read));
            grants.write.extend(paths(write));
            match env {
                Need::Nothing => {}
                Need::Anything => grants.all_env = true,
                Need::Only(names) => grants.env.extend(names.iter().cloned()),
            }
        }
        grants
    }
}

/// The paths of a need; anything is the whole file system.
fn paths(need: &Need) -> Vec<PathBuf> {
    match need {
        Need::Nothing => Vec::new(),
        Need::Anything => vec![PathBuf::from("/")],
        Need::Only(paths) => paths.iter().map(PathBuf::from).collect(),
    }
}

/// What keeps a package in, step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// What is in force.
    pub in_force: Vec<String>,
    /// What should be, and is not, with the reason.
    pub missing: Vec<String>,
}

impl Confinement {
    fn note(&mut self, step: &str, done: Result<String, String>) {
        match done {
            Ok(more) => self.in_force.push(format!("{step}{more}")),
            Err(reason) => self.missing.push(format!("{step} ({reason})")),
        }
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.in_force.join(", "))?;
        if self.missing.is_empty() { Ok(()) } else { write!(formatter, "; missing: {}", self.missing.join(", ")) }
    }
}

/// Keeps this process in, as far as the system can, and says by what. The process has one thread.
pub(in crate::isolation) fn enter(sandbox: Sandbox, limits: &Limits, grants: &Grants) -> Confinement {
    put_up(sandbox, limits, grants, Refusal::Plain)
}

/// The same, with system calls noted that are refused.
pub(in crate::isolation) fn enter_noting(sandbox: Sandbox, limits: &Limits, grants: &Grants) -> Confinement {
    put_up(sandbox, limits, grants, Refusal::Noted)
}

fn put_up(sandbox: Sandbox, limits: &Limits, grants: &Grants, refusal: Refusal) -> Confinement {
    let mut confinement = Confinement::default();
    let plain = |done: rustix::io::Result<()>| done.map(|()| String::new()).map_err(|error| error.to_string());
    confinement.note("limits", plain(limits::apply(limits)));
    confinement.note("no_new_privs", plain(set_no_new_privs(true)));
    match sandbox {
        Sandbox::Dev => {
            let scoped = files::keep_off();
            let is_scoped = scoped.as_ref().is_ok_and(String::is_empty);
            confinement.note("landlock", scoped);
            confinement.note("seccomp", calls::keep_off(is_scoped, refusal));
        }
        Sandbox::Server => {
            confinement.note("landlock", files::restrict(grants));
            confinement.note("capabilities", plain(privileges::drop(grants)));
            confinement.note("seccomp", calls::restrict(grants, refusal));
        }
    }
    confinement
}
