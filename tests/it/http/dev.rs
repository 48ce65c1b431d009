//! `dev` with a package that is written meanwhile.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use cloacina_tests::{build_folder, root};

use super::client::Served;
use crate::{cmd::program, sharing::wait_until};

#[test]
fn what_is_saved_is_built_and_new_runs_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(folder.path()).env("CARGO_TARGET_DIR", build_folder());
        command
    };
    let sdk = root().join("sdk").display().to_string();
    assert!(command(&["package", "new", "made", "--sdk", &sdk]).output().unwrap().status.success());
    let mut dev = command(&["dev", "made", "--listen", "127.0.0.1:0", "--output", "json", "--offline"]);
    dev.stderr(Stdio::piped());
    let (served, stderr) = Served::listen_with_notes(dev);
    let mut notes = BufReader::new(stderr).lines().map(Result::unwrap);
    let first = served.get("/api/v1/packages");
    assert_eq!(first.as_array().unwrap().len(), 1, "{first}");

    let source = folder.path().join("made/src/lib.rs");
    let good = fs::read_to_string(&source).unwrap();
    fs::write(&source, good.replace("pub mod", "pub mood")).unwrap();
    assert!(notes.any(|note| note.contains("the next save builds again")), "a build that fails says so");
    assert_eq!(served.get("/api/v1/packages").as_array().unwrap().len(), 1);

    fs::write(&source, format!("{good}\n#[unsafe(no_mangle)]\npub static MARK: u8 = 7;\n")).unwrap();
    wait_until("the new build is active", || {
        let versions = served.get("/api/v1/packages");
        let versions = versions.as_array().unwrap();
        versions.len() == 2 && versions[1]["state"] == "active"
    });
    assert_eq!(served.end(), Some(0));
}
