//! Secrets of a run from the outside: a package that tells everything it was given, and every command that shows runs.
//!
//! The package proves that it had the secret by telling how long the text of its context is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cloacina::{Context, Level, TaskError, Value, task, workflow};
use cloacina_tests::{archive, engine::TestEngine, library};
use serde_json::json;

use crate::cmd::program;

const SECRET: &str = "correct-horse-battery-staple";

/// A task that writes all that it sees to its log, twice, and fails with it.
const BLAB: &str = r#"
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"blab\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"tell\",\"tasks\":[{\"id\":\"tell\",\"index\":0,\"blocking\":true}]}]}");
static int32_t start(const clcn_start *call) {
    host->log(host->ctx, call->call_id, CLCN_INFO, CLCN_TEXT("c"), call->context, call->context);
    host->heartbeat(host->ctx, call->call_id, 500, call->context);
    clcn_result result = CLCN_RESULT_INIT;
    result.status = CLCN_FAILED;
    result.error_code = CLCN_TEXT("told");
    result.error_message = call->context;
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// A task that makes a secret, one that tells it in every way, and two at once that tell what they were given.
const MINT: &str = r#"
#define _GNU_SOURCE
#include "fixture.h"
#include <stdio.h>
#ifndef GO
#define GO "/"
#endif
#include <unistd.h>
#define TASK(id, index, more) "{\"id\":\"" id "\",\"index\":" #index ",\"blocking\":true" more "}"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"mint\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"make\",\"tasks\":[" TASK("make", 0, "") ","
        TASK("tell", 1, ",\"dependencies\":[\"make\"]") "]},"
        "{\"name\":\"both\",\"tasks\":[" TASK("one", 2, "") "," TASK("two", 3, "") "]}]}");
static int n_there;
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 0)
        result.output = CLCN_TEXT("{\"set\":{\"token\":\"correct-horse-battery-staple\",\"cloacina.secret.token\":true}}");
    if (call->task == 1) {
        host->log(host->ctx, call->call_id, CLCN_INFO, CLCN_TEXT("c"), call->context, call->context);
        host->heartbeat(host->ctx, call->call_id, 500, call->context);
        result.status = CLCN_FAILED;
        result.error_code = CLCN_TEXT("told");
        result.error_message = call->context;
    }
    if (call->task >= 2) {
        __atomic_add_fetch(&n_there, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&n_there, __ATOMIC_SEQ_CST) < 2) usleep(1000);
        fprintf(stderr, "heard %.*s\n", (int)call->context.len, (const char *)call->context.ptr);
        /* The line is read while both are under way. */
        while (access(GO, F_OK) != 0) usleep(1000);
    }
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// Tasks that name a secret while they run, tell it in every way there is, and fail with it; two of them at once. And one
/// that names more than the limit.
const EARLY: &str = r#"
#include "fixture.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#define SECRET "correct-horse-battery-staple"
#define TASK(id, index, more) "{\"id\":\"" id "\",\"index\":" #index more "}"
#define BLOCKING ",\"blocking\":true"
FIXTURE("{\"format\":1,\"abi\":\"1.1\",\"package\":\"early\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"plain\",\"tasks\":[" TASK("tell", 0, "") "]},"
        "{\"name\":\"pair\",\"tasks\":[" TASK("one", 1, BLOCKING) "," TASK("two", 2, BLOCKING) "]},"
        "{\"name\":\"many\",\"tasks\":[" TASK("name", 3, BLOCKING) "]}]}");
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int n_there;
static void *other(void *unused) {
    host->log(host->ctx, 0, CLCN_WARN, CLCN_TEXT("c"), CLCN_TEXT("a thread says " SECRET), CLCN_TEXT(""));
    return unused;
}
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 3) {
        for (int n = 0; n < 2000; n++) {
            char text[32];
            snprintf(text, sizeof text, "secret %d", n);
            clcn_bytes secret = {(const uint8_t *)text, strlen(text)};
            host->secret(host->ctx, call->call_id, secret);
        }
        host->secret(host->ctx, call->call_id + 100000, CLCN_TEXT("of nobody"));
        host->complete(host->ctx, call->call_id, &result);
        return CLCN_OK;
    }
    if (call->task > 0) {
        pthread_mutex_lock(&mutex);
        n_there++;
        pthread_cond_broadcast(&changed);
        while (n_there < 2) pthread_cond_wait(&changed, &mutex);
        pthread_mutex_unlock(&mutex);
    }
    host->secret(host->ctx, call->call_id, CLCN_TEXT(SECRET));
#ifdef PRINTS
    printf("printed " SECRET "\n");
    fflush(stdout);
#endif
    pthread_t thread;
    if (pthread_create(&thread, 0, other, 0) != 0) return CLCN_REFUSED;
    pthread_join(thread, 0);
    host->log(host->ctx, call->call_id, CLCN_WARN, CLCN_TEXT("c"), CLCN_TEXT("the task says " SECRET), CLCN_TEXT(""));
    host->heartbeat(host->ctx, call->call_id, 500, CLCN_TEXT("at " SECRET));
    result.status = CLCN_FAILED;
    result.error_code = CLCN_TEXT("told");
    result.error_message = CLCN_TEXT("failed with " SECRET);
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder).args(arguments).env("CLOACINA__DATABASE__URL", "runs.db").env("TOKEN", SECRET);
    command
}

fn ctl(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// What a command says, which must not be the secret.
fn told(folder: &Path, arguments: &[&str]) -> String {
    let Output { stdout, stderr, .. } = ctl(folder, arguments);
    let told = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!told.contains(SECRET), "{arguments:?} tells the secret: {told}");
    told
}

#[test]
fn no_command_tells_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let archive = library::pack(&library::compile(folder, "blab", BLAB));
    fs::write(folder.join("blab.cloacina"), archive).unwrap();
    fs::write(folder.join("secret.txt"), format!("{SECRET}\n")).unwrap();

    let run = ["run", "blab.cloacina", "--database", "runs.db", "--input", r#"{"open":"as the day"}"#];
    let said = told(folder, &[run.as_slice(), &["--secret", "password=@secret.txt"]].concat());
    assert!(said.contains("as the day") && said.contains("***"), "{said}");
    for secret in ["password=env:TOKEN", "password=correct-horse-battery-staple"] {
        told(folder, &[run.as_slice(), &["--secret", secret, "--output", "json"]].concat());
    }
    let created = ["runs", "create", "--workflow", "tell", "--secret", "password=env:TOKEN"];
    told(folder, &created);
    told(folder, &["runs", "execute", "latest"]);
    told(folder, &["runs", "rerun", "latest", "--input", &format!(r#"{{"password":"{SECRET}"}}"#)]);
    told(folder, &["runs", "execute", "latest"]);
    for output in ["human", "json"] {
        for verb in ["list", "dead-letters"] {
            told(folder, &["runs", verb, "--output", output]);
        }
        for verb in ["show", "events", "logs", "context", "why"] {
            let said = told(folder, &["runs", verb, "latest", "--output", output]);
            assert!(verb == "why" || said.contains("***"), "{verb}: {said}");
        }
        told(folder, &["runs", "context", "latest", "password", "--output", output]);
    }
    let short = ctl(folder, &[run.as_slice(), &["--secret", "pin=hu2"]].concat());
    let message = String::from_utf8_lossy(&short.stderr).into_owned();
    assert!(short.status.code() == Some(2) && message.contains("CTL0046") && !message.contains("hu2"), "{message}");
}

#[test]
fn what_a_task_makes_secret_is_told_by_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let archive = library::pack(&library::compile(folder, "mint", MINT));
    fs::write(folder.join("mint.cloacina"), archive).unwrap();
    let run = ["run", "mint.cloacina", "--database", "runs.db", "--workflow"];
    let said = told(folder, &[run.as_slice(), &["make"]].concat());
    assert!(said.contains("***") && said.contains("cloacina.secret.token"), "{said}");
    // What a derived run takes over keeps its mark.
    told(folder, &["runs", "retry", "latest"]);
    told(folder, &["runs", "execute", "latest"]);
    for output in ["human", "json"] {
        for verb in ["show", "events", "logs", "context"] {
            let said = told(folder, &["runs", verb, "latest", "--output", output]);
            assert!(said.contains("***"), "{verb}: {said}");
        }
        told(folder, &["runs", "dead-letters", "--output", output]);
        told(folder, &["runs", "context", "latest", "token", "--output", output]);
    }
}

#[test]
fn the_output_of_a_package_without_an_attempt_is_shown_and_tells_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let signal = folder.join("go");
    let source = format!("#define GO {signal:?}\n{MINT}");
    fs::write(folder.join("mint.cloacina"), library::pack(&library::compile(folder, "mint", &source))).unwrap();
    let mut command = command(
        folder,
        &["run", "mint.cloacina", "--workflow", "both", "--secret", "password=env:TOKEN", "--timeout", "100"],
    );
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut heard = Vec::new();
    for line in lines {
        assert!(!line.contains(SECRET), "{line}");
        if line.contains("heard {") {
            heard.push(line);
        }
        if heard.len() == 2 {
            fs::write(&signal, "").unwrap();
        }
    }
    assert!(run.wait().unwrap().success());
    let is_whole =
        |line: &String| line.starts_with("mint[") && line.contains("] stderr: heard {") && line.contains("***");
    assert!(heard.len() == 2 && heard.iter().all(is_whole), "{heard:?}");
}

/// Runs a workflow whose tasks make secrets and fail, and asks everything that can be asked of it.
fn check_early(folder: &Path, run: &[&str]) {
    let said = told(folder, &[&["run"], run, &["--database", "runs.db"]].concat());
    assert!(said.contains("a thread says ***") && said.contains("failed with ***"), "{run:?}: {said}");
    for verb in ["show", "events", "logs"] {
        let told = told(folder, &["runs", verb, "latest", "--output", "json"]);
        assert!(told.contains("***"), "{run:?} {verb}: {told}");
    }
    assert!(told(folder, &["runs", "logs", "latest"]).contains("the task says ***"), "{run:?}");
}

#[test]
fn what_a_task_makes_secret_is_hidden_while_the_task_still_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("whispers.cloacina"), archive::fixture("mischief")).unwrap();
    check_early(folder, &["whispers.cloacina", "--workflow", "whispers"]);
    assert!(told(folder, &["runs", "logs", "latest"]).contains("printed ***"));
    // What a package prints in the engine's own process is not the engine's to read.
    let silent = ["--input", r#"{"silent":true}"#, "--isolation", "inline"];
    check_early(folder, &[&["whispers.cloacina", "--workflow", "whispers"][..], &silent].concat());
}

#[test]
fn packages_in_c_name_secrets_while_their_tasks_run() {
    for (isolation, prints) in [("process", "#define PRINTS\n"), ("inline", "")] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let library = library::compile(folder, "early", &format!("{prints}{EARLY}"));
        fs::write(folder.join("early.cloacina"), library::pack(&library)).unwrap();
        for workflow in ["plain", "pair"] {
            check_early(folder, &["early.cloacina", "--workflow", workflow, "--isolation", isolation]);
        }
        let many = ["run", "early.cloacina", "--database", "runs.db", "--workflow", "many", "--isolation", isolation];
        let said = told(folder, &many);
        assert!(
            said.contains("completed public::early::many")
                && said.contains("too many secrets") == (isolation == "inline"),
            "{said}"
        );
        assert!(said.contains("more than 256 secrets") == (isolation == "process"), "{said}");
    }
}

#[workflow(name = "whispers")]
mod whispers {
    use super::*;

    #[task(dependencies = [])]
    async fn tell(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.insert_secret("token", json!({"of": [SECRET]}))?;
        context.log(Level::Warn, &format!("the task says {SECRET}"));
        Err(TaskError::permanent(format!("failed with {SECRET}")))
    }
}

#[tokio::test]
async fn compiled_in_tasks_name_secrets_while_they_run() {
    let test = TestEngine::start().await;
    test.engine.register(whispers::workflow()).await.unwrap();
    let report = test.run("whispers", json!({})).await;
    let run = test.engine.run(report.id).await.unwrap();
    let told = format!("{report:?} {:?}", run.events().await.unwrap());
    assert!(told.contains("failed with ***") && !told.contains(SECRET), "{told}");
}
