//! Makes libraries with a C compiler, for the tests of the loader and of the parts that load packages through it.
//!
//! Every library lies in a folder of its own, which goes when it is dropped; what was mapped stays mapped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use cloacina_packager::Digest;
use cloacina_workflow::{Level, descriptor::Descriptor};
use tempfile::TempDir;

use super::recorder::{call, descriptor_json, recorder};
use crate::loader::{CallId, Error, InitConfig, Library, TrustedFile, open};

pub(crate) const CONFIG: InitConfig = InitConfig { workers: 1, max_log_level: Level::Info, has_own_process: false };
/// How many tasks `package.c` has.
pub(crate) const N_TASKS: u32 = 7;

// The tasks of `package.c`.
pub(crate) const ECHO: u32 = 0;
pub(crate) const ECHO_ON_A_THREAD: u32 = 1;
pub(crate) const COMPLETE_TWICE: u32 = 2;
pub(crate) const GARBAGE: u32 = 3;
pub(crate) const NEVER: u32 = 4;
pub(crate) const COUNTS: u32 = 5;
pub(crate) const REFUSE: u32 = 6;

/// A library and the folder that it lies in.
pub(crate) struct Made {
    _folder: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    descriptor: Descriptor,
}

impl Made {
    pub(crate) fn open(&self) -> Result<Arc<Library>, Error> {
        open(&TrustedFile::told_by_engine(self.path.clone(), self.digest), &self.descriptor, CONFIG)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }
}

/// Compiles `package.c`. The package's name makes the file, and so its digest, one of its own.
pub(crate) fn compile(package: &str, defines: &[&str]) -> Made {
    compile_described(&descriptor_json(package, N_TASKS), defines)
}

/// Compiles `package.c` with that description.
pub(crate) fn compile_described(json: &str, defines: &[&str]) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libpackage.so");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", "-pthread", "-o"]).arg(&path);
    command.arg("-I").arg(here.join("../sdk/include")).arg(here.join("src/loader/tests/package.c"));
    command.arg(format!("-DJSON={json:?}"));
    command.args(defines.iter().map(|define| format!("-D{define}")));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let digest = Digest::of(&fs::read(&path).unwrap());
    Made { _folder: folder, path, digest, descriptor: Descriptor::parse(json).unwrap() }
}

/// Runs one call to its end.
pub(crate) fn run(library: &Library, function: u32, payload: &str) -> (CallId, Vec<String>) {
    let (sink, heard) = recorder();
    let id = library.start(call(function, payload), sink).unwrap();
    let mut all = Vec::new();
    loop {
        let (heard_id, what) = heard.next();
        assert_eq!(heard_id, id);
        let over = !what.starts_with("log") && !what.starts_with("heartbeat");
        all.push(what);
        if over {
            return (id, all);
        }
    }
}
