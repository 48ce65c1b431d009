//! What survives the end of a program: packages, runs with their results, and runs in the middle.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use cloacina::{Context, NoticeKind, RunState, TaskState};
use cloacina_tests::{
    archive,
    engine::{TestEngine, context, in_time, start},
    library,
};
use serde_json::json;

use crate::cmd::program;

/// Two tasks in a row: one leaves a mark in the file `marks`, one ends when there is a file `go`.
const MARKING: &str = r#"
#include <stdio.h>
#include <time.h>
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"marking\",\"version\":\"0.1.0\",\"workflows\":[{\"name\":\"marking\","
        "\"tasks\":[{\"id\":\"mark\",\"index\":0,\"blocking\":true},"
        "{\"id\":\"wait\",\"index\":1,\"blocking\":true,\"dependencies\":[\"mark\"]}]}]}");
static int32_t start(const clcn_start *call) {
    const struct timespec step = {0, 10 * 1000 * 1000};
    FILE *file;
    if (call->task == 0) {
        if ((file = fopen("marks", "a")) == NULL || fputc('x', file) == EOF || fclose(file) != 0) return CLCN_REFUSED;
    } else {
        while ((file = fopen("go", "r")) == NULL) nanosleep(&step, NULL);
        fclose(file);
    }
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 0) result.output = CLCN_TEXT("{\"set\":{\"marked\":true}}");
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

#[test]
fn a_killed_program_repeats_nothing_that_completed() {
    let folder = tempfile::tempdir().unwrap();
    let archive = library::pack(&library::compile(folder.path(), "marking", MARKING));
    fs::write(folder.path().join("marking.cloacina"), archive).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(["run", "marking.cloacina", "--database", "runs.db"]).args(arguments);
        command
    };
    let mut killed = command(&[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(killed.stderr.take().unwrap()).lines().map(Result::unwrap);
    let run = lines.find_map(|line| Some(line.strip_prefix("run ")?.split_once(' ')?.0.to_owned())).unwrap();
    assert!(lines.any(|line| line.ends_with("started wait")));
    // SIGKILL: no handler, no destructor, nothing is flushed.
    killed.kill().unwrap();
    killed.wait().unwrap();

    fs::write(folder.path().join("go"), "").unwrap();
    let output = command(&["--resume", &run]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("completed public::marking::marking") && stdout.contains("\"marked\": true"), "{stdout}");
    assert_eq!(fs::read_to_string(folder.path().join("marks")).unwrap(), "x", "the first task ran again");
}

#[tokio::test]
async fn packages_runs_and_results_are_there_after_a_restart() {
    let TestEngine { engine, folder } = TestEngine::start().await;
    engine.registry().register_workflow(archive::fixture("concurrency")).await.unwrap();
    let input = Context::from_object(json!({"number": 7})).unwrap();
    let run = engine.scheduler().schedule_workflow("diamond", input).await.unwrap();
    let before = in_time(run.wait()).await.unwrap();
    engine.shutdown().await.unwrap();
    drop(engine);

    let engine = start(folder.path()).await;
    let after = engine.run(before.id).await.unwrap().report().await.unwrap();
    assert_eq!((after.state, context(&after)), (RunState::Completed, context(&before)));
    assert_eq!(after.producers, before.producers);
    assert_eq!(engine.registry().list().len(), 1);
    let input = Context::from_object(json!({"number": 8})).unwrap();
    let run = engine.scheduler().schedule_workflow("diamond", input).await.unwrap();
    assert_eq!(in_time(run.wait()).await.unwrap().context.get("sum"), Some(&json!(163)));
}

#[tokio::test]
async fn a_run_in_the_middle_goes_on_and_repeats_nothing_that_completed() {
    let TestEngine { engine, folder } = TestEngine::start().await;
    engine.registry().register_workflow(archive::fixture("mischief")).await.unwrap();
    let mut notices = engine.subscribe();
    let run = engine.scheduler().schedule_workflow("never", Context::new()).await.unwrap();
    in_time(async {
        while let Some(notice) = notices.next().await {
            if matches!(notice.kind, NoticeKind::Heartbeat { .. }) {
                break;
            }
        }
    })
    .await;
    in_time(engine.shutdown_within(std::time::Duration::ZERO)).await.unwrap();
    drop(engine);

    let engine = start(folder.path()).await;
    let resumed = engine.run(run.id()).await.unwrap();
    let report = resumed.report().await.unwrap();
    let task = report.task("wait").unwrap();
    assert_eq!(report.state, RunState::Running, "{report:?}");
    // The attempt that runs, or the last one that began.
    let attempt = match task.state {
        TaskState::Running => 2,
        TaskState::Ready => 1,
        _ => panic!("{report:?}"),
    };
    assert_eq!(task.attempt, Some(attempt), "{report:?}");
    let kinds: Vec<_> = resumed.events().await.unwrap().iter().map(|event| event.kind).collect();
    assert!(kinds.iter().any(|kind| kind.contains("interrupted")), "{kinds:?}");
    in_time(engine.shutdown_within(std::time::Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn a_second_engine_on_one_database_is_refused_with_the_owner() {
    let test = TestEngine::start().await;
    let database = test.folder.path().join("cloacina.db").display().to_string();
    let error = cloacina::Engine::builder().database(database).start().await.unwrap_err();
    assert!(error.code().starts_with("STO"), "{error}");
    assert!(format!("{error} {:?}", error.hints()).contains(&std::process::id().to_string()), "{error}");
}
