//! A package that was built with `panic = "abort"`: every command gives the same answer, which depends on where it is to run.

use std::{
    fs,
    process::{Command, Output},
};

use cloacina_packager::Target;
use cloacina_tests::library;
use tempfile::TempDir;

use crate::{cmd::program, sharing::server};

const ABORTING: &str = r#"
#include <stdlib.h>
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"aborting\",\"version\":\"0.1.0\","
        "\"build\":{\"sdk\":\"s\",\"compiler\":\"c\",\"target\":\"" TARGET "\",\"panic\":\"abort\"},\"workflows\":["
        "{\"name\":\"fine\",\"tasks\":[{\"id\":\"t\",\"index\":0}]},"
        "{\"name\":\"aborts\",\"tasks\":[{\"id\":\"t\",\"index\":1}]}]}");
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 1) abort();
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::host().unwrap().triple();
    let source = format!("#define TARGET \"{target}\"\n{ABORTING}");
    let archive = library::pack(&library::compile(folder.path(), "aborting", &source));
    fs::write(folder.path().join("aborting.cloacina"), archive).unwrap();
    folder
}

fn ctl(folder: &TempDir, database: &str, arguments: &[&str]) -> (Output, String) {
    let mut command = Command::new(program());
    command.current_dir(folder.path()).args(arguments).env("CLOACINA__DATABASE__URL", database);
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8_lossy(&said).into_owned())
}

fn check_in_a_process_of_its_own(database: &str) {
    let folder = folder();
    for arguments in [
        &["package", "verify", "aborting.cloacina"][..],
        &["package", "inspect", "aborting.cloacina"],
        &["package", "register", "aborting.cloacina", "--activate"],
    ] {
        let (output, said) = ctl(&folder, database, arguments);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(said.contains("WRN0005") && said.contains("runs in a separate process"), "{arguments:?}: {said}");
    }
    for (workflow, expected) in [("fine", "completed"), ("aborts", "SIGABRT")] {
        let name = format!("aborting::{workflow}");
        let (output, said) = ctl(&folder, database, &["runs", "create", "--workflow", &name]);
        assert!(output.status.success(), "{said}");
        let (output, said) = ctl(&folder, database, &["runs", "execute", "latest"]);
        assert_eq!(output.status.code(), Some(i32::from(workflow == "aborts")), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_package_that_aborts_runs_in_a_process_of_its_own() {
    check_in_a_process_of_its_own("runs.db");
}

#[test]
fn a_package_that_aborts_runs_in_a_process_of_its_own_on_a_server() {
    let schema = server();
    check_in_a_process_of_its_own(schema.url());
}

#[test]
fn a_package_that_aborts_is_refused_where_it_would_be_loaded_into_the_engine() {
    let folder = folder();
    for inline in [&["--isolation", "inline"][..], &["--inline", "aborting"]] {
        let run = [&["run", "aborting.cloacina", "--workflow", "fine", "--database", "inline.db"], inline].concat();
        let (output, said) = ctl(&folder, "inline.db", &run);
        assert_eq!(output.status.code(), Some(2), "{inline:?}: {said}");
        assert!(said.contains("error[LIB0009]") && said.contains("--isolation process"), "{inline:?}: {said}");
    }
}
