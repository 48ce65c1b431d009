//! One database, engines of several targets: each takes its own library of an archive that has several, and an archive
//! without a library for one engine still runs on the other engines.

use std::{fs, path::Path};

use cloacina::{Context, Engine, PackageState, RunRequest, RunState};
use cloacina_packager::{Input, InputLibrary};
use cloacina_tests::{engine::in_time, library};

use crate::sharing::server;

const GNU: &str = "x86_64-unknown-linux-gnu";
/// The same machine, so that this one can load both.
const MUSL: &str = "x86_64-unknown-linux-musl";

/// A task that writes down for which target its library was built.
const WHERE: &str = r#"
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"NAME\",\"version\":\"1.0.0\","
        "\"build\":{\"sdk\":\"none\",\"compiler\":\"cc\",\"target\":\"TARGET\"},"
        "\"workflows\":[{\"name\":\"NAME_where\",\"tasks\":[{\"id\":\"only\",\"index\":0}]}]}");
static int32_t start(const clcn_start *call) {
    static const char output[] = "{\"set\":{\"target\":\"TARGET\"}}";
    clcn_result result = CLCN_RESULT_INIT;
    result.output_kind = CLCN_OUTPUT_DELTA;
    result.output.ptr = (const uint8_t *)output;
    result.output.len = sizeof output - 1;
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

fn archive(name: &str, targets: &[&str]) -> Vec<u8> {
    let built = |target: &&str| {
        let folder = tempfile::tempdir().unwrap();
        let source = WHERE.replace("NAME", name).replace("TARGET", target);
        let bytes = fs::read(library::compile(folder.path(), name, &source)).unwrap();
        InputLibrary { name: format!("lib{name}.so"), bytes }
    };
    let libraries = targets.iter().map(built).collect();
    cloacina_packager::write(&Input { libraries, ..Input::default() }).unwrap()
}

async fn start(database: &str, folder: &Path, target: &str) -> Engine {
    let builder = Engine::builder().database(database).data_dir(folder).target(target);
    builder.start().await.unwrap_or_else(|error| panic!("{}: {error}", error.code()))
}

/// The target of the library that ran it.
async fn run(engine: &Engine, workflow: &str) -> String {
    let run = engine.scheduler().schedule_workflow(workflow, Context::new()).await;
    let run = run.unwrap_or_else(|error| panic!("{}: {error}", error.code()));
    let report = in_time(run.wait()).await.unwrap();
    assert_eq!(report.state, RunState::Completed);
    report.context.get("target").unwrap().as_str().unwrap().to_owned()
}

/// An engine for which a package has no library refuses it, and only that engine does.
async fn is_for_others(engine: &Engine, package: &str) {
    let error = engine.scheduler().schedule_workflow(&format!("{package}_where"), Context::new()).await.unwrap_err();
    assert_eq!((error.code(), error.hints().is_empty()), ("REG0007", false), "{error}");
    let info = engine.registry().get(package).unwrap();
    assert_eq!((info.state, info.quarantine.is_none()), (PackageState::Active, true));
    let problem = info.running.problem.unwrap();
    assert_eq!(problem, format!("PKG0030: the package has no library for {MUSL}, only for {GNU}"));
    let error = engine.registry().activate(package, None, "ann").await.unwrap_err();
    assert_eq!(error.code(), "PKG0030");
}

#[tokio::test]
async fn engines_of_two_targets_share_a_server() {
    let (schema, folders) = (server(), [(); 2].map(|()| tempfile::tempdir().unwrap()));
    let gnu = start(schema.url(), folders[0].path(), GNU).await;
    let musl = start(schema.url(), folders[1].path(), MUSL).await;
    gnu.registry().register_workflow(archive("both", &[GNU, MUSL])).await.unwrap();
    gnu.registry().register_workflow(archive("one", &[GNU])).await.unwrap();
    for _ in 0..2 {
        assert_eq!((run(&gnu, "both_where").await.as_str(), run(&musl, "both_where").await.as_str()), (GNU, MUSL));
    }
    is_for_others(&musl, "one").await;
    assert_eq!(run(&gnu, "one_where").await, GNU);
    let refused = musl.registry().register_workflow(archive("alone", &[GNU])).await.unwrap_err();
    assert_eq!(refused.code(), "PKG0030");
    musl.shutdown().await.unwrap();

    let musl = start(schema.url(), folders[1].path(), MUSL).await;
    assert_eq!(run(&musl, "both_where").await, MUSL);
    is_for_others(&musl, "one").await;
    for (engine, mine) in [(&gnu, GNU), (&musl, MUSL)] {
        let library = engine.registry().get("both").unwrap().library;
        assert!(library.ends_with(format!("{mine}/libboth.so")), "{}", library.display());
    }
    gnu.shutdown().await.unwrap();
    musl.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_file_and_its_folder_may_move_to_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("runs.db").display().to_string();
    let gnu = start(&database, folder.path(), GNU).await;
    gnu.registry().register_workflow(archive("both", &[GNU, MUSL])).await.unwrap();
    gnu.registry().register_workflow(archive("one", &[GNU])).await.unwrap();
    assert_eq!(run(&gnu, "both_where").await, GNU);
    let held = |workflow: &str| RunRequest::new(workflow, Context::new()).held();
    let both = gnu.scheduler().submit(held("both_where")).await.unwrap().id();
    let one = gnu.scheduler().submit(held("one_where")).await.unwrap().id();
    gnu.shutdown().await.unwrap();

    let musl = start(&database, folder.path(), MUSL).await;
    let run_of_both = musl.run(both).await.unwrap();
    run_of_both.start("ann").await.unwrap();
    let report = in_time(run_of_both.wait()).await.unwrap();
    assert_eq!((report.state, report.context.get("target").unwrap().as_str()), (RunState::Completed, Some(MUSL)));
    is_for_others(&musl, "one").await;
    // Its run waits for an engine that has the code.
    let gates = format!("{:?}", musl.run(one).await.unwrap().tasks().await.unwrap()[0].gates);
    assert!(gates.contains("Withheld") && gates.contains("PKG0030"), "{gates}");
    musl.shutdown().await.unwrap();

    let gnu = start(&database, folder.path(), GNU).await;
    let run_of_one = gnu.run(one).await.unwrap();
    run_of_one.start("ann").await.unwrap();
    assert_eq!(in_time(run_of_one.wait()).await.unwrap().state, RunState::Completed);
    gnu.shutdown().await.unwrap();
}
