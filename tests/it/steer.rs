//! Runs that are steered from the command line: beside a second process whose engine drives the database, through its
//! socket, and without one.
//!
//! The other process is the program itself, on a workflow whose tasks end when a file says so; a test waits for what
//! that process says and never for a while.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use cloacina_tests::library;
use serde_json::Value;
use tempfile::TempDir;

use crate::cmd::program;

/// `held`: a task that ends when there is a file `go`, and two after it. `flaky`: a task that fails until there is a
/// file `well`, and one after it; the first waits an hour before it tries again.
const STEERED: &str = r#"
#include <stdio.h>
#include <time.h>
#include "cloacina.h"
CLCN_METADATA("{\"format\":1,\"abi\":\"1.0\",\"package\":\"steered\",\"version\":\"0.1.0\",\"workflows\":["
              "{\"name\":\"held\",\"tasks\":[{\"id\":\"wait\",\"index\":0,\"blocking\":true},"
              "{\"id\":\"second\",\"index\":1,\"blocking\":true,\"dependencies\":[\"wait\"]},"
              "{\"id\":\"third\",\"index\":2,\"blocking\":true,\"dependencies\":[\"second\"]}]},"
              "{\"name\":\"flaky\",\"tasks\":[{\"id\":\"first\",\"index\":3,\"blocking\":true},"
              "{\"id\":\"shaky\",\"index\":4,\"blocking\":true,\"dependencies\":[\"first\"]},"
              "{\"id\":\"last\",\"index\":5,\"blocking\":true,\"dependencies\":[\"shaky\"]}]},"
              "{\"name\":\"patient\",\"tasks\":[{\"id\":\"shaky\",\"index\":6,\"blocking\":true,"
              "\"retry\":{\"attempts\":3,\"backoff\":\"fixed\",\"delay_ms\":3600000,\"max_delay_ms\":3600000,\"jitter\":false}}]}]}");
static const clcn_host_v1 *host;
static int32_t init(const clcn_host_v1 *given, clcn_bytes config) {
    (void)config;
    host = given;
    return CLCN_OK;
}
static int is_there(const char *name) {
    FILE *file = fopen(name, "r");
    if (file != NULL) fclose(file);
    return file != NULL;
}
static int32_t start(const clcn_start *call) {
    const struct timespec step = {0, 10 * 1000 * 1000};
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 0) while (!is_there("go")) nanosleep(&step, NULL);
    if ((call->task == 4 || call->task == 6) && !is_there("well")) {
        result.status = call->task == 4 ? CLCN_FAILED : CLCN_RETRY;
        result.error_code = CLCN_TEXT("unwell");
        result.error_message = CLCN_TEXT("it is not well");
    }
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
CLCN_PACKAGE(init, start, NULL, NULL);
"#;

/// Far above what anything here takes on a busy machine; a test that gets here hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the package and a database.
struct Place {
    folder: TempDir,
}

/// A process whose engine drives the database.
struct Engine {
    child: Child,
    /// What it says, as it says it.
    lines: Receiver<String>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = library::pack(&library::compile(folder.path(), "steered", STEERED));
        fs::write(folder.path().join("steered.cloacina"), archive).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.path()).args(arguments).env("CLOACINA__DATABASE__URL", "runs.db").env("USER", "ada");
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command that must succeed answers.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.output(&[arguments, &["--output", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The code of the error with which a command must fail.
    fn code(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.output(&[arguments, &["--output", "json"]].concat());
        let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        let error: Value = serde_json::from_str(&last).unwrap_or_else(|_| panic!("{arguments:?}: {last}"));
        (output.status.code(), error["error"]["code"].as_str().unwrap().to_owned())
    }

    /// Lets tasks that look for that file end, or end well.
    fn put(&self, name: &str) {
        fs::write(self.path().join(name), "").unwrap();
    }

    /// Begins a run of the workflow in another process and waits until it says that.
    fn begin(&self, workflow: &str, line: &str) -> Engine {
        let arguments = ["run", "steered.cloacina", "--workflow", workflow, "--database", "runs.db"];
        let mut child = self.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (say, lines) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).all(|line| say.send(line).is_ok()));
        let engine = Engine { child, lines };
        engine.hear(line);
        engine
    }
}

impl Engine {
    /// Waits until it says that.
    fn hear(&self, part: &str) {
        let mut heard = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains(part) {
                return;
            }
            heard.push(line);
        }
        panic!("{part:?} was never said, but {heard:?}");
    }

    /// Waits for the end of the process.
    fn end(mut self) -> Option<i32> {
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap().code()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_run_that_a_living_engine_drives_is_paused_and_resumed_through_its_socket() {
    let place = Place::new();
    let engine = place.begin("held", "started wait");

    let paused = place.json(&["runs", "pause", "latest"]);
    assert_eq!([&paused["state"], &paused["tasks"][0]["state"]], ["paused", "running"]);
    place.put("go");
    engine.hear("completed wait");
    let why = place.json(&["runs", "why", "latest"]);
    assert_eq!(why["engine"]["pid"], engine.child.id());
    assert_eq!(why["waiting"][0]["task"], "second");
    let gate = &why["waiting"][0]["gates"][0];
    assert_eq!(gate["gate"], "run_paused");
    assert!(gate["text"].as_str().unwrap().starts_with("the run was paused by ada@"));

    let resumed = place.json(&["runs", "resume", "latest", "--actor", "the night shift"]);
    assert_eq!(resumed["state"], "completed");
    assert_eq!(resumed["completed_tasks"], 3);
    assert_eq!(engine.end(), Some(0));
    let events = place.json(&["runs", "events", "latest"]);
    let by = |kind: &str| {
        let events = events["events"].as_array().unwrap();
        events.iter().find(|event| event["kind"] == kind).unwrap()["details"]["by"].as_str().unwrap().to_owned()
    };
    assert!(by("run_paused").starts_with("ada@"));
    assert_eq!(by("run_resumed"), "the night shift");
    assert!(!place.path().join("runs.db.sock").exists());
}

#[test]
fn what_a_living_engine_refuses_reads_as_if_there_were_none() {
    let place = Place::new();
    let created = ["runs", "create", "--name", "nightly"];
    let alone = place.json(&created);
    assert_eq!(place.code(&["runs", "pause", "latest"]), (Some(2), "RUN0012".to_owned()));
    let said = |arguments: &[&str]| String::from_utf8(place.output(arguments).stderr).unwrap();
    let pause = ["runs", "pause", alone["run"].as_str().unwrap()];
    let refused = said(&pause);
    assert!(refused.contains("hint: start it or cancel it"), "{refused}");

    let engine = place.begin("held", "started wait");
    assert_eq!(said(&pause), refused);
    for (arguments, code) in [
        (&["runs", "resume", "latest"][..], "RUN0012"),
        (&["runs", "retry", "latest", "--task", "second"], "RUN0013"),
        (&["runs", "retry", "latest", "--task", "nothing"], "RUN0014"),
        (&["runs", "fork", "latest", "--from", "wait"], "RUN0012"),
        (&["runs", "rerun", "latest", "--failed"], "RUN0012"),
        (&["runs", "dismiss", "latest"], "RUN0012"),
        (&["runs", "create", "--workflow", "nothing"], "RUN0001"),
        (&["runs", "create", "--name", "a b"], "RUN0017"),
    ] {
        assert_eq!(place.code(arguments), (Some(2), code.to_owned()), "{arguments:?}");
    }
    place.put("go");
    assert_eq!(engine.end(), Some(0));
}
