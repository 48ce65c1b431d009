//! Versions of packages from the outside: beside a running engine, on a database that engines share, and run again.
//!
//! The package is in C, so that a version of it is made in no time. Its task ends when there is a file `go` in the
//! working folder or the folder that its input names.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use cloacina::{
    Activation, Context, Engine, Records, RunEvent, RunHandle, RunId, RunRequest, RunState, Upload,
    testing::ServerSchema,
};
use cloacina_tests::{
    engine::{TestEngine, context, in_time},
    library,
};
use serde_json::{Value, json};

use crate::{cmd::program, sharing::server};

/// A task that says which version it is of, and one before it.
const VERSIONED: &str = r#"
#include <stdio.h>
#include <time.h>
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"versioned\",\"version\":\"VERSION\",\"workflows\":[{\"name\":\"work\","
        "\"tasks\":[{\"id\":\"before\",\"index\":0,\"blocking\":true},"
        "{\"id\":\"LAST\",\"index\":1,\"blocking\":true,\"dependencies\":[\"before\"]}]}]}");
static int32_t start(const clcn_start *call) {
    const struct timespec step = {0, 5 * 1000 * 1000};
    FILE *file;
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 0) {
        while ((file = fopen("GO", "r")) == NULL && !host->is_cancelled(host->ctx, call->call_id)) nanosleep(&step, NULL);
        if (file != NULL) fclose(file);
        result.output = CLCN_TEXT("{\"set\":{\"before\":\"VERSION\"}}");
    } else {
        result.output = CLCN_TEXT("{\"set\":{\"last\":\"VERSION\"}}");
    }
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// The archive of a version whose first task waits for that file.
fn archive(version: &str, last: &str, signal: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let source = VERSIONED.replace("VERSION", version).replace("LAST", last).replace("GO", signal.to_str().unwrap());
    library::pack(&library::compile(folder.path(), "versioned", &source))
}

async fn register(engine: &Engine, archive: &[u8], activation: Activation) {
    let upload = Upload { activation, ..Upload::new(archive) };
    engine.registry().register(upload).await.unwrap_or_else(|error| panic!("{}: {error}", error.code()));
}

async fn begin(engine: &Engine) -> RunHandle {
    engine.scheduler().schedule_workflow("versioned::work", Context::new()).await.unwrap()
}

async fn ended(run: &RunHandle) -> Value {
    let report = in_time(run.wait()).await.unwrap();
    assert_eq!(report.state, RunState::Completed, "{report:?}");
    context(&report)
}

async fn on(server: &ServerSchema, folder: &Path) -> Engine {
    let builder = Engine::builder().database(server.url()).data_dir(folder).lease(Duration::from_secs(6));
    builder.start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_keep_their_version_while_others_become_active() {
    let test = TestEngine::start().await;
    let signal = test.folder.path().join("go");
    register(&test.engine, &archive("1.0.0", "after", &signal), Activation::IfFirst).await;
    let old = begin(&test.engine).await;
    register(&test.engine, &archive("2.0.0", "after", &signal), Activation::IfFirst).await;
    let still_old = begin(&test.engine).await;
    let registry = test.engine.registry();
    registry.activate("versioned@2.0.0", None, "ann").await.unwrap();
    let new = begin(&test.engine).await;
    registry.roll_back("versioned", "ann").await.unwrap();
    let old_again = begin(&test.engine).await;
    registry.retire("versioned@2.0.0", "ann").await.unwrap();
    let needed = registry.remove("versioned@2.0.0", "ann").await.unwrap_err();
    assert_eq!((needed.code(), needed.hints()[0].contains(&new.id().to_string())), ("REG0006", true));
    fs::write(&signal, "").unwrap();
    for (run, version) in [(&old, "1.0.0"), (&still_old, "1.0.0"), (&new, "2.0.0"), (&old_again, "1.0.0")] {
        assert_eq!(ended(run).await, json!({ "before": version, "last": version }));
    }
    registry.remove("versioned@2.0.0", "ann").await.unwrap();

    // Run again, a run keeps its version, unless another is named that fits.
    registry.retire("versioned@1.0.0", "ann").await.unwrap();
    assert_eq!(ended(&old.rerun(None, "ann").await.unwrap()).await["last"], "1.0.0");
    register(&test.engine, &archive("3.0.0", "after", &signal), Activation::Later).await;
    let forked = old.clone().on_version("3.0.0").fork("after", None, "ann").await.unwrap();
    assert_eq!(ended(&forked).await, json!({ "before": "1.0.0", "last": "3.0.0" }));
    let all = old.clone().on_version("3.0.0").rerun(None, "ann").await.unwrap();
    assert_eq!(ended(&all).await, json!({ "before": "3.0.0", "last": "3.0.0" }));
    register(&test.engine, &archive("4.0.0", "other", &signal), Activation::Later).await;
    let added = old.clone().on_version("4.0.0").fork("other", None, "ann").await.unwrap();
    assert_eq!(ended(&added).await, json!({ "before": "1.0.0", "last": "4.0.0" }));
    let refused = |version: &str, task: &str| {
        let (old, version, task) = (old.clone(), version.to_owned(), task.to_owned());
        async move { old.on_version(version).fork(&task, None, "ann").await.unwrap_err().code() }
    };
    assert_eq!(refused("9.0.0", "after").await, "REG0004");
    assert_eq!(refused("4.0.0", "after").await, "RUN0014");
    let digest = registry.get("versioned@3.0.0").unwrap().digest;
    registry.quarantine("public", digest, "it crashed", None, "ann").await.unwrap();
    assert_eq!(refused("3.0.0", "after").await, "REG0010");
    test.engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_new_runs_gets_the_next_version_also_after_a_restart() {
    let test = TestEngine::start().await;
    let signal = test.folder.path().join("go");
    fs::write(&signal, "").unwrap();
    register(&test.engine, &archive("1.0.0", "after", &signal), Activation::IfFirst).await;
    register(&test.engine, &archive("2.0.0", "after", &signal), Activation::Later).await;
    test.engine.registry().activate("versioned@2.0.0", Some(40), "ann").await.unwrap();
    let version = async |engine: &Engine, key: &str| {
        let request = RunRequest::new("versioned::work", Context::new()).key(key);
        let run = engine.scheduler().submit(request).await.unwrap();
        ended(&run).await["last"].as_str().unwrap().to_owned()
    };
    let mut chosen = Vec::new();
    for number in 0..40 {
        chosen.push(version(&test.engine, &format!("before-{number}")).await);
    }
    let n_new = chosen.iter().filter(|version| *version == "2.0.0").count();
    // The keys are fixed, so this is the same each time.
    assert!((8..=24).contains(&n_new), "{n_new} of 40");
    let database = test.engine.database().to_owned();
    test.engine.shutdown().await.unwrap();

    // The keys are of other runs by now; what counts is that the choice is the same without them.
    let again = Engine::builder().database(&database).start().await.unwrap();
    let shares: Vec<_> =
        again.registry().list().into_iter().map(|info| (info.record.version, info.record.share)).collect();
    assert_eq!(shares, [("1.0.0".to_owned(), 60), ("2.0.0".to_owned(), 40)]);
    for (number, chosen) in chosen.iter().enumerate() {
        assert_eq!(version(&again, &format!("before-{number}")).await, *chosen);
    }
    again.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_on_one_database_share_packages_that_only_one_has_seen() {
    let (database, folders) = (server(), [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]);
    let signal = folders[0].path().join("go");
    let first = on(&database, folders[0].path()).await;
    let second = on(&database, folders[1].path()).await;
    register(&first, &archive("1.0.0", "after", &signal), Activation::IfFirst).await;
    register(&first, &archive("2.0.0", "after", &signal), Activation::Later).await;

    // The second engine has never seen it, and unpacks it for itself.
    let own = begin(&second).await;
    // What the first one starts goes on at the second with its version, though another is active by then.
    let taken = begin(&first).await;
    first.registry().activate("versioned@2.0.0", None, "ann").await.unwrap();
    let newer = begin(&first).await;
    first.shutdown_within(Duration::ZERO).await.unwrap();
    fs::write(&signal, "").unwrap();
    assert_eq!(ended(&own).await["last"], "1.0.0");
    for (id, version) in [(taken.id(), "1.0.0"), (newer.id(), "2.0.0")] {
        let run = in_time(owned(&second, id)).await;
        assert_eq!(ended(&run).await["last"], version);
    }
    let info = second.registry().get("versioned@1.0.0").unwrap();
    assert!(info.library.starts_with(folders[1].path()) && info.library.is_file(), "{}", info.library.display());
    // It notices what the first one did last, at the latest when it looks after its lease.
    in_time(async { while ended(&begin(&second).await).await["last"] != "2.0.0" {} }).await;
    second.shutdown().await.unwrap();
}

/// The run, once that engine drives it or it has ended.
async fn owned(engine: &Engine, id: RunId) -> RunHandle {
    let mut notices = engine.subscribe();
    loop {
        let run = engine.run(id).await.unwrap();
        if run.state().await.unwrap().is_terminal() {
            return run;
        }
        notices.next().await.expect("the engine lives");
    }
}

#[test]
fn a_living_engine_takes_a_new_version_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let signal = folder.path().join("go");
    for version in ["1.0.0", "2.0.0"] {
        fs::write(folder.path().join(format!("{version}.cloacina")), archive(version, "after", &signal)).unwrap();
    }
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(arguments).args(["--database", "runs.db"]);
        command
    };
    let done = |arguments: &[&str]| {
        let output = command(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let mut living = command(&["run", "1.0.0.cloacina"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(living.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("started before")));

    let registered = done(&["package", "register", "2.0.0.cloacina", "--output", "json"]);
    let registered: Value = serde_json::from_str(&registered).unwrap();
    assert_eq!((&registered["is_living"], &registered["state"]), (&json!(true), &json!("registered")));
    done(&["package", "activate", "versioned@2.0.0", "--actor", "ann"]);
    let run: Value =
        serde_json::from_str(&done(&["runs", "create", "--workflow", "work", "--output", "json"])).unwrap();
    let run = run["run"].as_str().unwrap().to_owned();
    done(&["package", "rollback", "versioned", "--actor", "ann"]);
    let refused = command(&["package", "remove", "versioned@2.0.0"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&run), "the run needs it");
    fs::write(&signal, "").unwrap();
    lines.for_each(drop);
    let output = living.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(r#""last": "1.0.0""#), "{output:?}");

    // Its engine is gone; the run goes on with the next one, in its version.
    done(&["runs", "execute", &run]);
    let context = done(&["runs", "context", &run]);
    assert!(context.contains(r#""last": "2.0.0""#), "{context}");
    let mut records = Records::open(folder.path().join("runs.db").to_str().unwrap()).unwrap();
    let events: Vec<RunEvent> = records.events(run.parse().unwrap()).unwrap();
    // Each attempt names the version that ran it, and the run the one that it is pinned to.
    let digest = records.package("versioned@2.0.0").unwrap().digest;
    let ran: Vec<_> = events.iter().filter(|event| event.kind == "task_completed").map(|event| event.digest).collect();
    assert_eq!(ran, [Some(digest), Some(digest)]);
    let shown: Value = serde_json::from_str(&done(&["runs", "status", &run, "--output", "json"])).unwrap();
    assert_eq!(shown["content_digest"], digest.to_string());
    let told: Vec<_> = records.package_events("versioned").unwrap();
    let told: Vec<_> = told.iter().map(|event| (event.kind.as_str(), event.version.as_str())).collect();
    let expected = [
        ("registered", "1.0.0"),
        ("activated", "1.0.0"),
        ("registered", "2.0.0"),
        ("retired", "1.0.0"),
        ("activated", "2.0.0"),
        ("retired", "2.0.0"),
        ("rolled_back", "1.0.0"),
    ];
    assert_eq!(told, expected);
}
