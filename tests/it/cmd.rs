//! The command line as a user sees it: the transcripts in `tests/cmd`, each in an empty folder of its own.
//!
//! Beside a transcript lie the library of the C demonstration and what else its commands read. `TRYCMD=overwrite`
//! writes the transcripts anew; what differs from machine to machine stands as `[..]`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use cloacina_tests::{library, root};

/// Crates are built elsewhere; here nothing takes longer than a process start and a few tasks.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Two workflows, one of which fails with its first task.
pub(crate) const MIXED: &str = r#"
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"mixed\",\"version\":\"1.2.3\",\"workflows\":["
        "{\"name\":\"failing\",\"tasks\":[{\"id\":\"check\",\"index\":0,\"blocking\":true},"
        "{\"id\":\"report\",\"index\":1,\"blocking\":true,\"dependencies\":[\"check\"]}]},"
        "{\"name\":\"fine\",\"tasks\":[{\"id\":\"do_it\",\"index\":2,\"blocking\":true}]}]}");
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 0) {
        result.status = CLCN_FAILED;
        result.error_code = CLCN_TEXT("out_of_paper");
        result.error_message = CLCN_TEXT("the printer has no paper");
    }
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// The next version of it: `do_it` is more urgent, and something follows from it.
fn mixed_next() -> String {
    let next = MIXED.replace("1.2.3", "1.3.0");
    next.replace(
        r#"{\"id\":\"do_it\",\"index\":2,\"blocking\":true}"#,
        r#"{\"id\":\"do_it\",\"index\":2,\"blocking\":true,\"priority\":5},"
        "{\"id\":\"then\",\"index\":3,\"blocking\":true,\"dependencies\":[\"do_it\"]}"#,
    )
}

/// Branches that are not taken, so that of the two tasks at the end one is skipped.
const BRANCHES: &str = r#"
#include "fixture.h"
#define TASK(id, index, more) "{\"id\":\"" id "\",\"index\":" #index ",\"blocking\":true" more "}"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"branches\",\"version\":\"1.0.0\",\"workflows\":[{\"name\":\"two\",\"tasks\":["
        TASK("check", 0, "") ","
        TASK("repair", 1, ",\"dependencies\":[\"check\"],\"trigger_rules\":{\"task_upstream_failed\":\"check\"}") ","
        TASK("announce", 2, ",\"dependencies\":[\"repair\"]") ","
        TASK("done", 3, ",\"dependencies\":[\"check\",\"announce\"],"
             "\"trigger_rules\":{\"any\":[{\"task_success\":\"check\"},{\"task_success\":\"announce\"}]},"
             "\"trigger_when\":\"decided\"") ","
        TASK("mail", 4, ",\"dependencies\":[\"announce\"]") "]}]}");
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// A task that ends when there is a file `go` in the working folder, and talks before and after. A test that fails leaves
/// it no folder, upon which it ends too.
pub(crate) const PATIENT: &str = r#"
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"patient\",\"version\":\"0.1.0\",\"workflows\":[{\"name\":\"waiting\","
        "\"tasks\":[{\"id\":\"wait\",\"index\":0,\"blocking\":true}]}]}");
static int32_t start(const clcn_start *call) {
    const struct timespec step = {0, 10 * 1000 * 1000};
    FILE *go;
    host->log(host->ctx, call->call_id, CLCN_INFO, CLCN_TEXT("c"), CLCN_TEXT("waiting"), CLCN_TEXT(""));
    while ((go = fopen("go", "r")) == NULL && access("patient.cloacina", F_OK) == 0) nanosleep(&step, NULL);
    if (go != NULL) fclose(go);
    host->log(host->ctx, call->call_id, CLCN_WARN, CLCN_TEXT("c"), CLCN_TEXT("done"), CLCN_TEXT("{\"n\":1}"));
    clcn_result result = CLCN_RESULT_INIT;
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

#[test]
fn a_reader_that_went_away_is_not_an_error() {
    let mut command = Command::new(program());
    let mut child = command.arg("--help").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn an_interrupted_run_goes_on_with_the_command_of_the_hint() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let archive = library::pack(&library::compile(folder.path(), "patient", PATIENT));
    fs::write(folder.path().join("patient.cloacina"), archive).expect("the folder can be written");
    let mut command = Command::new(program());
    command.current_dir(folder.path()).args(["run", "patient.cloacina", "--database", "runs.db"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");

    let lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
    let mut lines = lines.map(|line| line.expect("stderr is text"));
    assert!(lines.any(|line| line.ends_with("started wait")));
    interrupt(&child);
    assert!(lines.any(|line| line.starts_with("stopping:")));
    interrupt(&child);
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("error[CTL0012]")), "{rest:?}");
    let hint = rest.iter().find_map(|line| line.split_once("continue with: cloacina-ctl "));
    let (_, arguments) = hint.expect("the hint has the command");

    fs::write(folder.path().join("go"), "").expect("the folder can be written");
    let mut command = Command::new(program());
    let output = command.current_dir(folder.path()).args(arguments.split(' ')).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("completed public::patient::waiting"));
}

#[test]
fn beside_a_living_engine_a_run_is_run_by_it() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let archive = library::pack(&library::compile(folder.path(), "patient", PATIENT));
    fs::write(folder.path().join("patient.cloacina"), archive).expect("the folder can be written");
    let ctl = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let until = |child: &mut Child, what: &str| {
        let lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
        let mut lines = lines.map(|line| line.expect("stderr is text"));
        assert!(lines.any(|line| line.contains(what)), "{what}");
        lines
    };
    let run = ["run", "patient.cloacina", "--database", "runs.db"];
    let mut living = ctl(&run);
    let rest_of_living = until(&mut living, "started wait");

    let mut executing = ctl(&run);
    let rest = until(&mut executing, "run_started");
    fs::write(folder.path().join("go"), "").expect("the folder can be written");
    let said = std::io::read_to_string(executing.stdout.take().expect("stdout is a pipe")).expect("it is text");
    assert!(said.starts_with("completed public::patient::waiting"), "{said}");
    assert!(executing.wait().expect("it ends").success());
    drop((rest, rest_of_living));
    living.wait().expect("it ends");
}

#[test]
fn a_log_can_be_followed_while_its_run_goes_on() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let archive = library::pack(&library::compile(folder.path(), "patient", PATIENT));
    fs::write(folder.path().join("patient.cloacina"), archive).expect("the folder can be written");
    let mut command = Command::new(program());
    command.current_dir(folder.path()).args(["run", "patient.cloacina", "--database", "runs.db"]);
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(running.stderr.take().expect("stderr is a pipe")).lines();
    let mut lines = lines.map(|line| line.expect("stderr is text"));
    assert!(lines.any(|line| line.ends_with("started wait")));

    let mut command = Command::new(program());
    command.current_dir(folder.path()).args(["runs", "logs", "latest", "--follow", "--database", "runs.db"]);
    let mut following = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let seen = BufReader::new(following.stdout.take().expect("stdout is a pipe")).lines();
    let mut seen = seen.map(|line| line.expect("stdout is text"));
    let first = seen.next().expect("the task wrote a line");
    assert!(first.ends_with("  info   wait  1        waiting"), "{first}");
    fs::write(folder.path().join("go"), "").expect("the folder can be written");
    let rest: Vec<String> = seen.collect();
    assert!(
        matches!(rest.as_slice(), [line] if line.ends_with(r#"  warn   wait  1        done  {"n":1}"#)),
        "{rest:?}"
    );
    assert!(following.wait().expect("it ends").success());
    lines.for_each(drop);
    assert!(running.wait().expect("it ends").success());
}

pub(crate) fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill starts");
    assert!(status.success());
}

#[test]
fn commands_do_what_the_transcripts_say() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let material = material(folder.path());
    let transcripts = transcripts();
    for transcript in &transcripts {
        let name = transcript.file_name().expect("a transcript has a name");
        let copy = folder.path().join(name);
        fs::copy(transcript, &copy).expect("a transcript can be copied");
        copy_files(&material, &copy.with_extension("in"));
        // A transcript with a folder of this name runs in a copy of its input.
        fs::create_dir(copy.with_extension("out")).expect("the folder can be written");
    }
    std::thread::scope(|scope| {
        for transcript in &transcripts {
            let copy = folder.path().join(transcript.file_name().expect("a transcript has a name"));
            scope.spawn(move || {
                let cases = trycmd::TestCases::new();
                cases.register_bin("cloacina-ctl", program()).timeout(PATIENCE);
                // Each has its own default database, as if each belonged to another user.
                cases.env("XDG_DATA_HOME", copy.with_extension("data").display().to_string());
                cases.case(copy);
                cases.run();
            });
        }
    });
    for transcript in &transcripts {
        let name = transcript.file_name().expect("a transcript has a name");
        let (old, new) = (fs::read(transcript), fs::read(folder.path().join(name)));
        if let (Ok(old), Ok(new)) = (old, new)
            && old != new
        {
            fs::write(transcript, new).expect("a transcript can be written");
        }
    }
}

/// The program, built once, as the tests are.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build_program)
}

fn build_program() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bin", "cloacina-ctl"]);
    cargo.args(["--message-format", "json"]).current_dir(root());
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = cargo_metadata::Message::parse_stream(output.stdout.as_slice());
    let executables = messages.filter_map(|message| match message.expect("cargo writes JSON") {
        cargo_metadata::Message::CompilerArtifact(artifact) => artifact.executable,
        _ => None,
    });
    executables.last().expect("the program is built").into()
}

fn transcripts() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/cmd")).expect("the transcripts are there");
    let paths = entries.map(|entry| entry.expect("the transcripts can be listed").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// What the commands of the transcripts find in their folder.
pub(crate) fn material(folder: &Path) -> PathBuf {
    let material = folder.join("material");
    fs::create_dir(&material).expect("the folder can be written");
    let demo = root().join("examples/c_package/data_processing.c");
    let library = library::compile_file(&material, "c_demo", &demo, &[]);
    let archive = library::pack(&library);
    fs::write(material.join("c_demo.cloacina"), &archive).expect("the folder can be written");
    // The same library for another machine, as far as its header says.
    let mut other = fs::read(&library).expect("the library was just compiled");
    other[18..20].copy_from_slice(&183_u16.to_le_bytes());
    fs::create_dir(folder.join("arm")).expect("the folder can be written");
    let arm = folder.join("arm/libc_demo.so");
    fs::write(&arm, other).expect("the folder can be written");
    fs::write(material.join("arm.cloacina"), library::pack(&arm)).expect("the folder can be written");
    let mixed = library::pack(&library::compile(folder, "mixed", MIXED));
    fs::write(material.join("mixed.cloacina"), mixed).expect("the folder can be written");
    let branches = library::pack(&library::compile(folder, "branches", BRANCHES));
    fs::write(material.join("branches.cloacina"), branches).expect("the folder can be written");
    let next = folder.join("next");
    fs::create_dir(&next).expect("the folder can be written");
    let next = library::pack(&library::compile(&next, "mixed", &mixed_next()));
    fs::write(material.join("mixed-next.cloacina"), next).expect("the folder can be written");
    fs::write(material.join("truncated.cloacina"), &archive[..archive.len() / 2]).expect("the folder can be written");
    fs::write(material.join("foreign.cloacina"), "PK\x03\x04 a zip file").expect("the folder can be written");
    fs::write(material.join("list.json"), "[1, 2]\n").expect("the folder can be written");
    fs::write(material.join("broken.json"), "{\n  \"a\": 1,\n}\n").expect("the folder can be written");
    fs::write(material.join("empty.db"), "").expect("the folder can be written");
    fs::create_dir(material.join("empty")).expect("the folder can be written");
    material
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir(to).expect("the folder can be written");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let copy = to.join(path.file_name().expect("a file has a name"));
        if path.is_dir() {
            fs::create_dir(copy).expect("the folder can be written");
        } else {
            fs::copy(&path, copy).expect("a file can be copied");
        }
    }
}
