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

use cloacina::prelude::*;
use cloacina_tests::library;
use tempfile::TempDir;

use crate::{cmd::program, sharing::server};

/// `held`: a task that ends when there is a file `go`, and two after it. `flaky`: a task that fails until there is a
/// file `well`, and one after it; the first waits an hour before it tries again.
const STEERED: &str = r#"
#include <stdio.h>
#include <time.h>
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"steered\",\"version\":\"0.1.0\",\"workflows\":["
        "{\"name\":\"held\",\"tasks\":[{\"id\":\"wait\",\"index\":0,\"blocking\":true},"
        "{\"id\":\"second\",\"index\":1,\"blocking\":true,\"dependencies\":[\"wait\"]},"
        "{\"id\":\"third\",\"index\":2,\"blocking\":true,\"dependencies\":[\"second\"]}]},"
        "{\"name\":\"flaky\",\"tasks\":[{\"id\":\"first\",\"index\":3,\"blocking\":true},"
        "{\"id\":\"shaky\",\"index\":4,\"blocking\":true,\"dependencies\":[\"first\"]},"
        "{\"id\":\"last\",\"index\":5,\"blocking\":true,\"dependencies\":[\"shaky\"]}]},"
        "{\"name\":\"patient\",\"tasks\":[{\"id\":\"shaky\",\"index\":6,\"blocking\":true,"
        "\"retry\":{\"attempts\":3,\"backoff\":\"fixed\",\"delay_ms\":3600000,\"max_delay_ms\":3600000,\"jitter\":false}}]}]}");
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
"#;

/// Far above what anything here takes on a busy machine; a test that gets here hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the package and a database.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) database: String,
}

/// A process whose engine drives the database.
pub(crate) struct Engine {
    pub(crate) child: Child,
    /// What it says, as it says it.
    lines: Receiver<String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = library::pack(&library::compile(folder.path(), "steered", STEERED));
        fs::write(folder.path().join("steered.cloacina"), archive).unwrap();
        Self { folder, database: "runs.db".to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .current_dir(self.path())
            .args(arguments)
            .env("CLOACINA__DATABASE__URL", &self.database)
            .env("USER", "ada");
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command that must succeed answers.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.output(&[arguments, &["--output", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The state of a run and of its tasks, and how many attempts each had.
    pub(crate) fn states(&self, run: &str) -> String {
        states(&self.json(&["runs", "show", run]))
    }

    /// The code of the error with which a command must fail.
    pub(crate) fn code(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.output(&[arguments, &["--output", "json"]].concat());
        let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        let error: Value = serde_json::from_str(&last).unwrap_or_else(|_| panic!("{arguments:?}: {last}"));
        (output.status.code(), error["error"]["code"].as_str().unwrap().to_owned())
    }

    /// Lets tasks that look for that file end, or end well.
    pub(crate) fn put(&self, name: &str) {
        fs::write(self.path().join(name), "").unwrap();
    }

    /// Begins a run of the workflow in another process and waits until it says that.
    pub(crate) fn begin(&self, workflow: &str, line: &str) -> Engine {
        self.spawn(&["run", "steered.cloacina", "--workflow", workflow, "--database", "runs.db"], line)
    }

    /// Starts a command and waits until it says that.
    pub(crate) fn spawn(&self, arguments: &[&str], line: &str) -> Engine {
        Self::listen(self.command(arguments), line)
    }

    /// The same with a command that is ready.
    pub(crate) fn listen(command: Command, line: &str) -> Engine {
        let engine = Self::watched(command);
        engine.hear(line);
        engine
    }

    /// Waits until the first task of a run is running, by polling.
    pub(crate) fn until_running(&self, run: &str) {
        while self.json(&["runs", "show", run])["tasks"][0]["state"] != "running" {}
    }

    /// The same without waiting for anything.
    pub(crate) fn watched(mut command: Command) -> Engine {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (say, lines) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).all(|line| say.send(line).is_ok()));
        Engine { child, lines }
    }
}

impl Engine {
    /// Waits until it says that.
    pub(crate) fn hear(&self, part: &str) {
        let mut heard = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains(part) {
                return;
            }
            heard.push(line);
        }
        panic!("{part:?} was never said, but {heard:?}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end of the process, whatever it says until then.
    pub(crate) fn wait(&mut self) {
        self.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end of the process.
    pub(crate) fn end(mut self) -> Option<i32> {
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap().code()
    }
}

/// The state of a run and of its tasks.
pub(crate) fn states(report: &Value) -> String {
    let tasks = report["tasks"].as_array().unwrap().iter();
    let tasks: Vec<&str> = tasks.map(|task| task["state"].as_str().unwrap()).collect();
    format!("{}: {}", report["state"].as_str().unwrap(), tasks.join(" "))
}

pub(crate) fn id(report: &Value) -> &str {
    report["run"].as_str().unwrap()
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
fn runs_that_have_ended_are_deleted_beside_a_living_engine() {
    let place = Place::new();
    let old = place.json(&["runs", "create", "--name", "nightly"])["run"].as_str().unwrap().to_owned();
    place.json(&["runs", "cancel", &old]);
    let engine = place.begin("held", "started wait");
    assert_eq!(place.code(&["runs", "delete", "latest"]), (Some(3), "RUN0012".to_owned()), "it is running");
    assert_eq!(place.json(&["runs", "delete", &old])["runs"][0]["run"], old);
    assert_eq!(place.code(&["runs", "show", &old]), (Some(2), "CTL0017".to_owned()));
    place.put("go");
    assert_eq!(engine.end(), Some(0));
}

#[test]
fn what_a_living_engine_refuses_reads_as_if_there_were_none() {
    let place = Place::new();
    let created = ["runs", "create", "--name", "nightly"];
    let alone = place.json(&created);
    assert_eq!(place.code(&["runs", "pause", "latest"]), (Some(3), "RUN0012".to_owned()));
    let said = |arguments: &[&str]| String::from_utf8(place.output(arguments).stderr).unwrap();
    let pause = ["runs", "pause", alone["run"].as_str().unwrap()];
    let refused = said(&pause);
    assert!(refused.contains("hint: start it or cancel it"), "{refused}");

    let engine = place.begin("held", "started wait");
    assert_eq!(said(&pause), refused);
    for (arguments, code, status) in [
        (&["runs", "resume", "latest"][..], "RUN0012", 3),
        (&["runs", "retry", "latest", "--task", "second"], "RUN0013", 3),
        (&["runs", "retry", "latest", "--task", "nothing"], "CTL0019", 2),
        (&["runs", "fork", "latest", "--from", "wait"], "RUN0012", 3),
        (&["runs", "rerun", "latest", "--failed"], "RUN0012", 3),
        (&["runs", "dismiss", "latest"], "RUN0012", 3),
        (&["runs", "create", "--workflow", "nothing"], "RUN0001", 2),
        (&["runs", "create", "--name", "a b"], "RUN0017", 2),
    ] {
        assert_eq!(place.code(arguments), (Some(status), code.to_owned()), "{arguments:?}");
    }
    place.put("go");
    assert_eq!(engine.end(), Some(0));
}

#[test]
fn tasks_of_a_run_are_run_one_by_one() {
    let place = Place::new();
    place.json(&["runs", "create", "--name", "steps", "--tasks", "2"]);
    assert_eq!(states(&place.json(&["runs", "execute", "latest", "--task", "task_2"])), "paused: ready completed");
    let refused = place.code(&["runs", "execute", "latest", "--task", "task_2"]);
    assert_eq!(refused, (Some(3), "RUN0013".to_owned()));
    assert_eq!(place.code(&["runs", "execute", "latest", "--task", "task_3"]).1, "CTL0019");
    assert_eq!(
        states(&place.json(&["runs", "execute", "latest", "--task", "task_1"])),
        "completed: completed completed"
    );
    assert_eq!(place.code(&["runs", "execute", "latest", "--task", "task_1"]).1, "RUN0012");

    // The same beside a running engine, on a run whose tasks follow from one another.
    let engine = place.begin("held", "started wait");
    let created = place.json(&["runs", "create", "--workflow", "flaky"]);
    let run = id(&created);
    assert_eq!(place.code(&["runs", "execute", run, "--task", "shaky"]), (Some(3), "RUN0019".to_owned()));
    assert_eq!(place.states(run), "pending: pending pending pending", "what is refused changes nothing");
    place.put("well");
    assert_eq!(states(&place.json(&["runs", "execute", run, "--task", "first"])), "paused: completed ready pending");
    assert_eq!(states(&place.json(&["runs", "execute", run, "--task", "shaky"])), "paused: completed completed ready");
    assert_eq!(states(&place.json(&["runs", "execute", run])), "completed: completed completed completed");
    place.put("go");
    assert_eq!(engine.end(), Some(0));
}

#[test]
fn a_failed_run_is_run_again_in_every_way_beside_a_living_engine_and_without() {
    for beside in [true, false] {
        let place = Place::new();
        let failed =
            place.output(&["run", "steered.cloacina", "--workflow", "flaky", "--database", "runs.db", "--quiet"]);
        assert_eq!(failed.status.code(), Some(1));
        let listed = place.json(&["runs", "dead-letters"]);
        let failed = listed["runs"][0]["run"].as_str().unwrap().to_owned();
        let engine = beside.then(|| place.begin("held", "started wait"));
        place.put("well");
        // What is new runs at once where an engine lives, and is run by this command otherwise.
        let end = |report: &Value| {
            let verb = if beside { "wait" } else { "execute" };
            states(&place.json(&["runs", verb, id(report)]))
        };
        let reused = |report: &Value| {
            let events = place.json(&["runs", "events", id(report)]);
            let events = events["events"].as_array().unwrap().iter();
            events.filter(|event| event["kind"] == "task_reused").count()
        };
        let all_completed = "completed: completed completed completed";

        let again = place.json(&["runs", "rerun", &failed, "--failed", "--actor", "grace"]);
        assert_eq!((end(&again), reused(&again)), (all_completed.to_owned(), 1));
        let other = place.json(&["runs", "rerun", &failed, "--failed", "--input", r#"{"source": "b"}"#]);
        assert_eq!(end(&other), all_completed);
        assert_eq!(place.json(&["runs", "context", id(&other)])["context"]["source"], "b");
        let whole = place.json(&["runs", "rerun", &failed, "--input", r#"{"source": "c"}"#]);
        assert_eq!((end(&whole), reused(&whole)), (all_completed.to_owned(), 0));
        let forked = place.json(&["runs", "fork", &failed, "--from", "first"]);
        assert_eq!((end(&forked), reused(&forked)), (all_completed.to_owned(), 0));

        let runs = place.json(&["runs", "list", "--state", "completed", "--workflow", "flaky"]);
        let by = |run: &str| {
            let mut runs = runs["runs"].as_array().unwrap().iter();
            runs.find(|row| row["run"] == run).unwrap()["created_by"].as_str().unwrap().to_owned()
        };
        assert_eq!(by(id(&again)), "grace");
        assert!(by(id(&whole)).starts_with("ada@"));
        assert_eq!(states(&place.json(&["runs", "dismiss", &failed])), "failed: completed failed skipped");
        assert!(place.json(&["runs", "dead-letters"])["runs"].as_array().unwrap().is_empty());
        if let Some(engine) = engine {
            place.put("go");
            assert_eq!(engine.end(), Some(0));
        }
    }
}

#[test]
fn a_task_that_waits_for_its_next_attempt_is_retried_beside_a_living_engine_and_without() {
    for beside in [true, false] {
        let place = Place::new();
        let mut engine = place.begin("patient", "started shaky");
        // The history is read from its beginning, so this is told whenever it happened.
        drop(place.spawn(&["runs", "watch", "latest"], "attempt_failed shaky"));
        let why = place.json(&["runs", "why", "latest"]);
        assert_eq!(why["waiting"][0]["gates"][0]["gate"], "retry_at");
        place.put("well");
        if beside {
            place.json(&["runs", "retry", "latest", "--task", "shaky"]);
            assert_eq!(engine.end(), Some(0));
            assert_eq!(place.states("latest"), "completed: completed");
            continue;
        }
        engine.child.kill().unwrap();
        engine.child.wait().unwrap();
        assert!(place.path().join("runs.db.sock").exists(), "what was killed cleans nothing up");
        assert_eq!(states(&place.json(&["runs", "retry", "latest"])), "running: ready");
        assert_eq!(place.code(&["runs", "retry", "latest"]), (Some(3), "RUN0012".to_owned()));
        assert_eq!(states(&place.json(&["runs", "execute", "latest"])), "completed: completed");
    }
}

#[test]
fn several_runs_are_asked_at_once_and_each_answers_for_itself() {
    for beside in [true, false] {
        let place = Place::new();
        let engine = beside.then(|| place.begin("held", "started wait"));
        let runs: Vec<String> =
            (0..3).map(|_| id(&place.json(&["runs", "create", "--name", "many"])).to_owned()).collect();
        let ids = |answers: &Value| -> Vec<String> {
            let rows = answers["runs"].as_array().unwrap().iter();
            rows.map(|row| row["run"].as_str().unwrap().to_owned()).collect()
        };

        let planned = place.json(&["runs", "cancel", "--all", "--workflow", "many", "--dry-run"]);
        assert_eq!((ids(&planned), &planned["dry_run"]), (runs.clone(), &true.into()));
        assert_eq!(place.states(&runs[0]), "pending: pending", "nothing was asked");
        let cancelled = place.json(&["runs", "cancel", &runs[0], &runs[1]]);
        assert_eq!((&cancelled["done"], &cancelled["refused"]), (&2.into(), &0.into()));

        let some = place.output(&["runs", "cancel", &runs[1], &runs[2], "--output", "json"]);
        let some_answers: Value = serde_json::from_slice(&some.stdout).unwrap();
        assert_eq!(some.status.code(), Some(1), "one of them refuses");
        let results: Vec<&Value> = some_answers["runs"].as_array().unwrap().iter().map(|row| &row["result"]).collect();
        assert_eq!(results, ["refused", "done"]);
        assert_eq!(some_answers["runs"][0]["error"]["code"], "RUN0012");

        let again = place.json(&["runs", "rerun", "--state", "cancelled", "--workflow", "many", "--since", "1h"]);
        assert_eq!((ids(&again), &again["done"]), (runs, &3.into()));
        let none = place.json(&["runs", "rerun", "--state", "cancelled", "--tenant", "acme"]);
        assert!(ids(&none).is_empty());
        assert_eq!(place.code(&["runs", "cancel"]), (Some(2), "CTL0001".to_owned()), "nothing is not everything");
        if let Some(engine) = engine {
            place.put("go");
            assert_eq!(engine.end(), Some(0));
        }
    }
}

#[test]
fn every_command_works_on_a_server_too() {
    let schema = server();
    let place = Place { database: schema.url().to_owned(), ..Place::new() };
    let created = place.json(&["runs", "create", "--name", "served", "--tasks", "2"]);
    let run = id(&created);
    assert_eq!(place.states(run), "pending: pending pending");
    assert_eq!(place.json(&["runs", "why", run])["waiting"][0]["gates"][0]["gate"], "run_pending");
    assert_eq!(place.code(&["runs", "pause", run]), (Some(3), "RUN0012".to_owned()));
    assert_eq!(states(&place.json(&["runs", "execute", run, "--task", "task_1"])), "paused: completed ready");
    assert_eq!(states(&place.json(&["runs", "resume", run])), "completed: completed completed");
    assert_eq!(states(&place.json(&["runs", "wait", run])), "completed: completed completed");
    assert_eq!(states(&place.json(&["runs", "watch", run])), "completed: completed completed");
    assert!(place.json(&["runs", "context", run])["context"].as_object().unwrap().is_empty());
    assert!(place.json(&["runs", "events", run])["events"].as_array().unwrap().len() > 4);
    let started = place.json(&["runs", "create", "--name", "served"]);
    assert_eq!(states(&place.json(&["runs", "start", id(&started), "--no-wait"])), "running: ready");
    assert_eq!(states(&place.json(&["runs", "pause", id(&started)])), "paused: ready");
    assert_eq!(place.json(&["runs", "cancel", "--state", "paused"])["done"], 1);
    assert_eq!(place.states(id(&started)), "cancelled: cancelled");
    let again = place.json(&["runs", "rerun", run]);
    assert_eq!(states(&place.json(&["runs", "execute", id(&again)])), "completed: completed completed");
    let forked = place.json(&["runs", "fork", run, "--from", "task_2"]);
    assert_eq!(states(&place.json(&["runs", "execute", id(&forked)])), "completed: completed completed");
    assert_eq!(place.code(&["runs", "retry", run, "--task", "task_1"]).1, "RUN0012");
    assert_eq!(place.code(&["runs", "dismiss", run]).1, "RUN0012");
    assert!(place.json(&["runs", "dead-letters"])["runs"].as_array().unwrap().is_empty());
    assert_eq!(place.json(&["runs", "list", "--state", "completed"])["runs"].as_array().unwrap().len(), 3);
    assert_eq!(place.json(&["workflow", "list"])["workflows"].as_array().unwrap().len(), 2);
    assert_eq!(place.json(&["workflow", "show", "built_in_2::served"])["name"], "public::built_in_2::served");
    assert_eq!(place.json(&["demo", "--database", schema.url()])["ended"], "completed");
}

#[workflow(name = "busy")]
mod busy {
    use super::*;

    #[task(dependencies = [])]
    fn hold(context: &mut Context<Value>) -> Result<(), TaskError> {
        while !context.is_cancelled() {
            thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }
}

#[test]
fn whose_a_run_is_that_another_engine_on_a_server_drives_is_said() {
    let schema = server();
    let place = Place { database: schema.url().to_owned(), ..Place::new() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = cloacina::Engine::builder().database(schema.url()).workflow(busy::workflow());
        let engine = engine.data_dir(place.path()).start().await.unwrap();
        let run = engine.scheduler().schedule_workflow("busy", Context::new()).await.unwrap().id().to_string();
        for verb in ["execute", "pause", "cancel"] {
            let refused = place.output(&["runs", verb, &run]);
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(4), "{said}");
            let pid = format!("belongs to the engine in process {} on ", std::process::id());
            assert!(said.contains("error[CTL0027]") && said.contains(&pid) && said.contains("lease until"), "{said}");
        }
        let why = place.json(&["runs", "why", &run]);
        let gate = &why["waiting"][0]["gates"][0];
        assert_eq!(gate["gate"], "owner", "{why}");
        let text = gate["text"].as_str().unwrap();
        assert!(
            text.contains(&format!("in process {} on ", std::process::id())) && text.contains("lease runs until"),
            "{text}"
        );
        engine.shutdown_within(Duration::ZERO).await.unwrap();
    });
}
