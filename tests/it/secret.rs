//! Secrets of a run from the outside: a package that tells everything it was given, and every command that shows runs.
//!
//! The package proves that it had the secret by telling how long the text of its context is.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;

use cloacina::{Context, HostProgram, RunState};
use cloacina_tests::{
    engine::{TestEngine, in_time},
    library,
};
use serde_json::json;

use crate::cmd::program;

const SECRET: &str = "correct-horse-battery-staple";

/// A task that writes all that it sees to its log, twice, and fails with it.
const BLAB: &str = r#"
#include "cloacina.h"
CLCN_METADATA("{\"format\":1,\"abi\":\"1.0\",\"package\":\"blab\",\"version\":\"1.0.0\",\"workflows\":["
              "{\"name\":\"tell\",\"tasks\":[{\"id\":\"tell\",\"index\":0,\"blocking\":true}]}]}");
static const clcn_host_v1 *host;
static int32_t init(const clcn_host_v1 *given, clcn_bytes config) {
    (void)config;
    host = given;
    return CLCN_OK;
}
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
CLCN_PACKAGE(init, start, NULL, NULL);
"#;

/// A task that makes a secret, one that tells it in every way, and two at once that tell what they were given.
const MINT: &str = r#"
#define _GNU_SOURCE
#include "cloacina.h"
#include <stdio.h>
#ifndef GO
#define GO "/"
#endif
#include <unistd.h>
#define TASK(id, index, more) "{\"id\":\"" id "\",\"index\":" #index ",\"blocking\":true" more "}"
CLCN_METADATA("{\"format\":1,\"abi\":\"1.0\",\"package\":\"mint\",\"version\":\"1.0.0\",\"workflows\":["
              "{\"name\":\"make\",\"tasks\":[" TASK("make", 0, "") ","
              TASK("tell", 1, ",\"dependencies\":[\"make\"]") "]},"
              "{\"name\":\"both\",\"tasks\":[" TASK("one", 2, "") "," TASK("two", 3, "") "]}]}");
static const clcn_host_v1 *host;
static int n_there;
static int32_t init(const clcn_host_v1 *given, clcn_bytes config) {
    (void)config;
    host = given;
    return CLCN_OK;
}
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
CLCN_PACKAGE(init, start, NULL, NULL);
"#;

fn ctl(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.current_dir(folder).args(arguments).env("CLOACINA__DATABASE__URL", "runs.db").env("TOKEN", SECRET);
    command.output().unwrap()
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

/// The lines of the engine's own log in which a package says what it heard.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps those lines, of all threads of this program.
struct Listener;

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN && metadata.is_event()
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            if field.name() == "message" && format!("{value:?}").starts_with("heard {") {
                HEARD.lock().unwrap().push(format!("{value:?}"));
            }
        });
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn the_output_of_a_package_that_is_nobodys_in_particular_tells_no_secret() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    let program = HostProgram::new(env!("CARGO_BIN_EXE_package_host"), "package-host");
    let test = TestEngine::start_with(|builder| builder.package_host(program)).await;
    let go = test.folder.path().join("go");
    let source = format!("#define GO {go:?}\n{MINT}");
    test.register(&library::pack(&library::compile(test.folder.path(), "mint", &source))).await;
    let input = json!({"password": SECRET, "open": "as the day", "cloacina.secrets": ["password"]});
    let context = Context::from_object(input).unwrap();
    let run = test.engine.scheduler().schedule_workflow("mint::both", context).await.unwrap();
    let heard = in_time(async {
        loop {
            let heard = HEARD.lock().unwrap().clone();
            if heard.len() == 2 {
                break heard;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    fs::write(go, "").unwrap();
    assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    assert!(heard.iter().all(|line| line.contains("***") && line.contains("as the day")), "{heard:?}");
    assert!(!heard.iter().any(|line| line.contains(SECRET)), "{heard:?}");
}
