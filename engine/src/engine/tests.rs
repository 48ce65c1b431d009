//! Packages in a whole engine, through the public handles: what a package in C does, and what it does wrong.

use std::{fs, path::Path, time::Duration};

use cloacina_packager::{Input, InputLibrary};
use cloacina_workflow::{Context, Timestamp};
use serde_json::{Value, json};

use diesel::RunQueryDsl;

use crate::{
    Engine, Error, Gate, Records, RunHandle, RunRequest, RunState, TaskState, Upload,
    clock::{Clock, SystemClock},
    loader::tests::library::compile_described,
    store::{self, testing::TestDatabase},
};

/// The archive of `package.c`, with a workflow for each of the things that it does.
fn archive(package: &str) -> Vec<u8> {
    archive_of(package, "1.0.0", "the first build")
}

fn archive_of(package: &str, version: &str, description: &str) -> Vec<u8> {
    let task = |id: &str, index: u32, more: Value| {
        let mut task = json!({ "id": id, "index": index });
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task
    };
    let alone = |name: &str, index: u32| json!({ "name": name, "tasks": [task("only", index, json!({}))] });
    let described = json!({
        "format": 1, "abi": "1.0", "package": package, "version": version,
        "description": description, "workflows": [
            { "name": "echo", "tasks": [
                task("first", 0, json!({ "blocking": true })), task("second", 1, json!({ "dependencies": ["first"] }))
            ] },
            alone("twice", 2), alone("garbage", 3), alone("never", 4), alone("counts", 5), alone("refused", 6),
        ]
    });
    let library = compile_described(&described.to_string(), &[]);
    let library = InputLibrary { name: "libpackage.so".to_owned(), bytes: library.bytes() };
    cloacina_packager::write(&Input { libraries: vec![library], ..Input::default() }).unwrap()
}

async fn engine(folder: &Path) -> Engine {
    Engine::builder().database(folder.join("runs.db").to_str().unwrap()).start().await.unwrap()
}

async fn begin(engine: &Engine, workflow: &str, input: Value) -> RunHandle {
    let input = Context::from_object(input).unwrap();
    engine.scheduler().schedule_workflow(workflow, input).await.unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_registered_package_runs_and_its_data_passes_from_task_to_task() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await;
        engine.registry().register_workflow(archive("runs")).await.unwrap();
        let report = begin(&engine, "echo", json!({ "n": 7 })).await.wait().await.unwrap();
        assert_eq!(report.state, RunState::Completed);
        let seen = json!({ "values": { "n": 7 } });
        let again = json!({ "values": { "n": 7, "seen": seen }, "producer": { "seen": "first" } });
        assert_eq!(report.context.get("seen"), Some(&again));
        assert_eq!(report.tasks[0].set["seen"], seen);
        assert_eq!(report.producers["seen"], "second");
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn many_runs_at_once_keep_their_data_apart() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await;
        engine.registry().register_workflow(archive("apart")).await.unwrap();
        let mut runs = Vec::new();
        for n in 0..200 {
            runs.push((n, begin(&engine, "apart::echo", json!({ "n": n })).await));
        }
        for (n, run) in runs {
            let report = run.wait().await.unwrap();
            assert_eq!((report.state, report.context.get("n")), (RunState::Completed, Some(&json!(n))));
            assert_eq!(report.context.get("seen").unwrap()["values"]["seen"]["values"]["n"], n);
        }
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn what_a_package_does_wrong_is_data_of_the_run() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await;
        engine.registry().register_workflow(archive("wrong")).await.unwrap();
        for (workflow, state, code) in [
            ("twice", RunState::Completed, None),
            ("garbage", RunState::Failed, Some("LIB0020")),
            ("refused", RunState::Failed, Some("LIB0012")),
            ("counts", RunState::Completed, None),
        ] {
            let report = begin(&engine, workflow, json!({})).await.wait().await.unwrap();
            let error = report.tasks[0].error.as_ref().map(|error| error.to_record().details["code"].clone());
            assert_eq!((report.state, error), (state, code.map(|code| json!(code))), "{workflow}");
        }
        let info = engine.registry().get("wrong").unwrap();
        assert_eq!((info.running.n_open_calls, info.n_anomalies), (0, 2), "the second completion, and the garbage");
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn a_task_that_never_completes_stays_running_and_goes_on_with_the_next_engine() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let first = engine(folder.path()).await;
        first.registry().register_workflow(archive("never")).await.unwrap();
        let run = begin(&first, "never", json!({})).await;
        // Something else of the same package goes through meanwhile.
        begin(&first, "echo", json!({})).await.wait().await.unwrap();
        let tasks = run.tasks().await.unwrap();
        assert_eq!((tasks[0].state, tasks[0].attempt), (TaskState::Running, Some(1)));
        let needed = first.registry().remove("never", "ann").await.unwrap_err();
        assert_eq!(needed.code(), "REG0006");
        first.shutdown_within(Duration::ZERO).await.unwrap();

        let second = engine(folder.path()).await;
        let run = second.run(run.id()).await.unwrap();
        begin(&second, "echo", json!({})).await.wait().await.unwrap();
        let tasks = run.tasks().await.unwrap();
        assert_eq!((tasks[0].state, tasks[0].attempt), (TaskState::Running, Some(2)));
        second.shutdown_within(Duration::ZERO).await.unwrap();
    });
}

#[test]
fn runs_wait_for_a_package_that_is_missing_until_it_is_registered_again() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let bytes = archive("missing");
        let first = engine(folder.path()).await;
        let library = first.registry().register_workflow(bytes.clone()).await.unwrap().library;
        let run = begin(&first, "never", json!({})).await.id();
        // Without the archive there is nothing from which the file could be made again.
        let forget =
            |connection: &mut store::Connection| diesel::delete(store::schema::archive::table).execute(connection);
        first.shared.store().write("test", forget).await.unwrap();
        first.shutdown_within(Duration::ZERO).await.unwrap();
        fs::remove_file(&library).unwrap();

        let second = engine(folder.path()).await;
        let run = second.run(run).await.unwrap();
        let tasks = run.tasks().await.unwrap();
        assert!(matches!(tasks[0].gates.as_slice(), [Gate::Withheld { .. }]), "{:?}", tasks[0].gates);
        let refused = second.scheduler().schedule_workflow("missing::echo", Context::new()).await.unwrap_err();
        assert_eq!(refused.code(), "REG0007");
        assert!(matches!(&refused, Error::Registry(_)), "{refused}");
        second.registry().register_workflow(bytes).await.unwrap();
        begin(&second, "echo", json!({})).await.wait().await.unwrap();
        assert_eq!(run.tasks().await.unwrap()[0].state, TaskState::Running);
        second.shutdown_within(Duration::ZERO).await.unwrap();
    });
}

#[test]
fn runs_of_a_quarantined_package_wait_at_its_gate_until_that_is_over() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let first = engine(folder.path()).await;
        let digest = first.registry().register_workflow(archive("harm")).await.unwrap().digest;
        let held = || RunRequest::new("echo", Context::new()).held();
        let run = first.scheduler().submit(held()).await.unwrap();
        first.registry().quarantine("public", digest, "it crashed", None, "watch").await.unwrap();
        run.start("ann").await.unwrap();
        let gate = [Gate::Quarantined { reason: "it crashed".to_owned(), until: None }];
        assert_eq!(run.tasks().await.unwrap()[0].gates, gate);
        let refused = first.scheduler().schedule_workflow("harm::echo", Context::new()).await.unwrap_err();
        assert_eq!(refused.code(), "REG0010");
        let id = run.id();
        first.shutdown().await.unwrap();

        let mut records = Records::open(folder.path().join("runs.db").to_str().unwrap()).unwrap();
        assert_eq!(records.report(id).unwrap().tasks[0].gates, gate);
        let second = engine(folder.path()).await;
        let run = second.run(id).await.unwrap();
        assert_eq!(run.tasks().await.unwrap()[0].gates, gate);
        second.registry().release("public", digest, "ann").await.unwrap();
        assert_eq!(run.wait().await.unwrap().state, RunState::Completed);

        // One with an end is over by itself.
        let run = second.scheduler().submit(held()).await.unwrap();
        let soon = Timestamp::from_unix_micros(SystemClock.now().unix_micros() + 100_000);
        second.registry().quarantine("public", digest, "it crashed", Some(soon), "watch").await.unwrap();
        run.start("ann").await.unwrap();
        assert_eq!(run.wait().await.unwrap().state, RunState::Completed);
        assert!(SystemClock.now() >= soon);
        second.shutdown().await.unwrap();
    });
}

#[test]
fn a_run_of_a_named_version_is_pinned_to_it_and_changes_nothing_for_others() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let builder = Engine::builder().database(&database.address).data_dir(folder.path());
            let engine = builder.start().await.unwrap();
            let register = async |archive: Vec<u8>| {
                engine.registry().register(Upload { is_build: true, ..Upload::new(archive) }).await.unwrap()
            };
            let first = register(archive("pins")).await;
            let second = register(archive_of("pins", "2.0.0", "the second version")).await;
            // Content of its own under a version that is taken.
            let build = register(archive_of("pins", "2.0.0", "another build")).await;
            let again = register(archive_of("pins", "2.0.0", "another build")).await;
            assert_eq!([first.activated, second.activated, build.activated], [true, false, false]);
            assert_eq!(build.version, format!("2.0.0+{}", &build.digest.hex()[..8]));
            assert_eq!((again.version, again.is_new), (build.version.clone(), false));
            let run = async |version: Option<String>| {
                let request = RunRequest::new("pins::echo", Context::new());
                let request = version.into_iter().fold(request, RunRequest::version);
                engine.scheduler().submit(request).await.unwrap().wait().await.unwrap().digest.unwrap()
            };
            assert_eq!(run(Some(second.digest.to_string())).await, second.digest);
            assert_eq!(run(Some("2.0.0".to_owned())).await, second.digest);
            assert_eq!(run(Some(build.version.clone())).await, build.digest);
            assert_eq!(run(None).await, first.digest);
            let request = RunRequest::new("pins::echo", Context::new()).version("3.0.0");
            assert_eq!(engine.scheduler().submit(request).await.unwrap_err().code(), "REG0004");
            let request = RunRequest::new("nothing", Context::new()).version("2.0.0");
            assert_eq!(engine.scheduler().submit(request).await.unwrap_err().code(), "RUN0001");
            let conflict = Upload::new(archive_of("pins", "2.0.0", "a third build"));
            assert_eq!(engine.registry().register(conflict).await.unwrap_err().code(), "REG0001");

            engine.registry().retire("pins@1.0.0", "ann").await.unwrap();
            let error = engine.scheduler().schedule_workflow("pins::echo", Context::new()).await.unwrap_err();
            assert_eq!(error.code(), "RUN0022");
            let told = error.to_string();
            assert!(told.contains("public::pins@1.0.0 is retired, public::pins@2.0.0 is registered"), "{told}");
            engine.shutdown().await.unwrap();
        });
    }
}

#[test]
fn a_data_folder_may_be_removed_between_two_engines() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let first = engine(folder.path()).await;
        let library = first.registry().register_workflow(archive("removed")).await.unwrap().library;
        let run = begin(&first, "never", json!({})).await.id();
        first.shutdown_within(Duration::ZERO).await.unwrap();
        fs::remove_dir_all(library.parent().unwrap().parent().unwrap()).unwrap();

        let second = engine(folder.path()).await;
        begin(&second, "echo", json!({})).await.wait().await.unwrap();
        assert_eq!(second.run(run).await.unwrap().tasks().await.unwrap()[0].state, TaskState::Running);
        assert!(library.is_file());
        second.shutdown_within(Duration::ZERO).await.unwrap();
    });
}

#[test]
fn names_are_resolved_among_tenants_and_packages() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await.on_behalf_of(crate::Caller::owner());
        let bytes = archive("shared");
        for tenant in ["acme", "beta"] {
            let upload = Upload { tenant: Some(tenant.to_owned()), ..Upload::new(bytes.clone()) };
            engine.registry().register(upload).await.unwrap();
        }
        let error = engine.scheduler().schedule_workflow("shared::echo", Context::new()).await.unwrap_err();
        assert_eq!(error.hints(), ["use one of acme::shared::echo, beta::shared::echo"]);
        for tenant in ["acme", "beta"] {
            let report = begin(&engine, &format!("{tenant}::shared::echo"), json!({ "t": tenant })).await.wait().await;
            assert_eq!(report.unwrap().context.get("t"), Some(&json!(tenant)));
        }
        engine.registry().remove("beta::shared", "ann").await.unwrap();
        assert_eq!(begin(&engine, "echo", json!({})).await.wait().await.unwrap().workflow, "acme::shared::echo");
        engine.shutdown().await.unwrap();
    });
}
