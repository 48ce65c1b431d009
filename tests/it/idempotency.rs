//! One key for all attempts at a task, in packages: whatever becomes of the attempts, a service that charges once for each
//! key charges once.

use std::{collections::BTreeSet, fs};

use cloacina::{Context, RunId, RunState};
use cloacina_tests::{
    engine::{TestEngine, in_time},
    library,
};

use crate::isolation::host_program;

/// A task that asks the service three times, as its first two attempts end badly, and a callback that asks for itself.
/// The service makes a file for each key, and refuses one that is there.
const CHARGES: &str = r#"
#define _GNU_SOURCE
#include "fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
FIXTURE("{\"format\":1,\"abi\":\"1.2\",\"package\":\"charges\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"charges\",\"tasks\":[{\"id\":\"charge\",\"index\":0,\"blocking\":true,\"on_success\":1,"
        "\"retry\":{\"attempts\":3,\"delay_ms\":1}}],\"callbacks\":[{\"name\":\"receipt\",\"index\":1}]}]}");
static void ask(const char *kind, clcn_bytes key) {
    char path[512];
    int n = snprintf(path, sizeof path, FOLDER "/%s-%.*s", kind, (int)key.len, (const char *)key.ptr);
    for (int at = sizeof FOLDER; at < n; at++) if (path[at] == '/') path[at] = '.';
    int made = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (made >= 0) close(made);
}
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    ask("key", call->idempotency_key);
    ask("attempt", call->attempt_key);
    if (call->task == 0 && call->attempt == 1) result.status = CLCN_RETRY;
    if (call->task == 0 && call->attempt == 2) {
        if (CRASHES) abort();
        result.status = CLCN_RETRY;
    }
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// What the service was asked under keys of that kind, for one run.
fn asked(test: &TestEngine, kind: &str, run: RunId) -> BTreeSet<String> {
    let names =
        fs::read_dir(test.folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let beginning = format!("{kind}-{run}.");
    names.filter_map(|name| Some(name.strip_prefix(&beginning)?.to_owned())).collect()
}

#[tokio::test]
async fn a_service_that_refuses_a_known_key_charges_once_whatever_becomes_of_the_attempts() {
    for crashes in [0, 1] {
        let test = TestEngine::start_with(|builder| match crashes {
            0 => builder,
            _ => builder.package_host(host_program()),
        })
        .await;
        let source = format!("#define FOLDER {:?}\n#define CRASHES {crashes}\n{CHARGES}", test.folder.path());
        test.register(&library::pack(&library::compile(test.folder.path(), "charges", &source))).await;
        let run = test.engine.scheduler().schedule_workflow("charges::charges", Context::new()).await.unwrap();
        let report = in_time(run.wait()).await.unwrap();
        assert_eq!(
            (report.state, report.task("charge").unwrap().attempt),
            (RunState::Completed, Some(3)),
            "{report:?}"
        );
        // A run that is derived from it is another one.
        let again = run.rerun(None, "ada").await.unwrap();
        in_time(again.wait()).await.unwrap();
        let fork = run.fork("charge", None, "ada").await.unwrap();
        in_time(fork.wait()).await.unwrap();
        for run in [run.id(), again.id(), fork.id()] {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
            assert_eq!(asked(&test, "key", run), names(&["charge", "charge.callback"]));
            let attempts = ["charge.1", "charge.2", "charge.3", "charge.callback.3"];
            assert_eq!(asked(&test, "attempt", run), names(&attempts));
        }
    }
}
