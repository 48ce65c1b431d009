//! The limits of texts through whole engines, on both databases alike.
//!
//! What keeps to a limit is stored and found again. What does not is refused with one code, by every method of the library
//! and every command of the socket that takes such a text, and leaves nothing behind.

use cloacina_packager::Digest;
use cloacina_workflow::{Context, Value};
use serde_json::Map;

use crate::{
    Command, Engine, Error, PackageCommand, RunRequest, TrustChange, Upload, What,
    limit::{ACTOR, NAME, REASON, SELECTOR, SUBMISSION_KEY},
    store::testing::TestDatabase,
};

#[test]
fn texts_have_the_same_limits_on_a_file() {
    block_on(limits(TestDatabase::sqlite()));
}

#[test]
fn texts_have_the_same_limits_on_a_server() {
    block_on(limits(TestDatabase::postgres()));
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn code<T>(result: Result<T, impl Into<Error>>) -> &'static str {
    result.map_or_else(|error| error.into().code(), |_| "done")
}

/// Texts that no limit lets pass.
fn beyond(bytes_max: usize) -> [String; 4] {
    ["x".repeat(bytes_max + 1), "\u{e4}".repeat(bytes_max / 2 + 1), "a\0b".to_owned(), "two\nlines".to_owned()]
}

async fn limits(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::builder()
        .database(&database.address)
        .data_dir(folder.path())
        .start()
        .await
        .unwrap()
        .on_behalf_of(crate::Caller::owner());
    let workflow = engine.built_in("limited", 1, None).await.unwrap();
    let submit = async |key: &str, by: &str| {
        let request = RunRequest::new(workflow.as_str(), Context::new()).held();
        engine.scheduler().submit(request.key(key).by(by)).await
    };
    // At the limit, with the longest characters, and the same run again.
    let key = "\u{1f333}".repeat(SUBMISSION_KEY.bytes_max / 4);
    let by = "\u{e4}".repeat(ACTOR.bytes_max / 2);
    let run = submit(&key, &by).await.unwrap();
    assert_eq!(submit(&key, &by).await.unwrap().id(), run.id());
    for key in beyond(SUBMISSION_KEY.bytes_max).iter().map(String::as_str).chain([""]) {
        assert_eq!(code(submit(key, "ada").await), "RUN0020", "{key:?}");
        let what = What::Workflow(workflow.clone());
        let command = Command::Create { what, input: Map::new(), at: None, key: Some(key.to_owned()), version: None };
        assert_eq!(code(engine.perform(command, "ada").await), "RUN0020", "{key:?}");
    }
    for by in beyond(ACTOR.bytes_max) {
        let handle = engine.run(run.id()).await.unwrap();
        let change = TrustChange::Require { n_signatures: 1 };
        let registry = engine.registry();
        for refused in [
            code(submit("another", &by).await),
            code(handle.start(&by).await),
            code(handle.pause(&by).await),
            code(handle.resume(&by).await),
            code(handle.cancel(&by).await),
            code(handle.retry("task_1", &by).await),
            code(handle.run_task("task_1", &by).await),
            code(handle.rerun(None, &by).await),
            code(handle.rerun_failed(None, &by).await),
            code(handle.fork("task_1", None, &by).await),
            code(handle.dismiss(&by).await),
            code(engine.perform(Command::Cancel { run: run.id() }, &by).await),
            code(engine.change_trust("public", change.clone(), &by).await),
            code(registry.change_trust("public", change, &by).await),
            code(registry.register(Upload { actor: by.clone(), ..Upload::new("x") }).await),
            code(registry.activate("x", None, &by).await),
            code(registry.roll_back("x", &by).await),
            code(registry.retire("x", &by).await),
            code(registry.remove("x", &by).await),
            code(registry.quarantine("public", Digest::of(b"x"), "because", None, &by).await),
            code(registry.release("public", Digest::of(b"x"), &by).await),
        ] {
            assert_eq!(refused, "RUN0020", "{by:?}");
        }
    }
    for name in beyond(SELECTOR.bytes_max) {
        let what = What::Workflow(name.clone());
        let create = Command::Create { what, input: Map::new(), at: None, key: None, version: None };
        let retire = PackageCommand::Retire { package: name.clone() };
        for refused in [
            code(engine.perform(create, "ada").await),
            code(engine.perform_package(retire, Vec::new(), "ada").await),
            code(run.retry(&name, "ada").await),
            code(run.fork(&name, None, "ada").await),
            code(engine.registry().get(&name)),
            code(engine.change_trust("public", TrustChange::Remove { key: name.clone() }, "ada").await),
        ] {
            assert_eq!(refused, "RUN0020", "{name:?}");
        }
    }
    for reason in beyond(REASON.bytes_max) {
        let quarantined = engine.registry().quarantine("public", Digest::of(b"x"), &reason, None, "ada").await;
        assert_eq!(code(quarantined), "RUN0020", "{reason:?}");
    }
    for tenant in beyond(NAME.bytes_max) {
        let upload = Upload { tenant: Some(tenant.clone()), ..Upload::new("x") };
        assert_eq!(code(engine.registry().register(upload).await), "RUN0020", "{tenant:?}");
        let change = TrustChange::Require { n_signatures: 1 };
        assert_eq!(code(engine.change_trust(&tenant, change, "ada").await), "RUN0020", "{tenant:?}");
        assert_eq!(code(engine.built_in(&tenant, 1, None).await), "RUN0017", "{tenant:?}");
    }
    // The names that there are, at their limit: tenant, package, workflow and key are indexed together.
    let longest = engine.built_in(&"w".repeat(NAME.bytes_max), 1, None).await.unwrap();
    let request = RunRequest::new(longest, Context::<Value>::new()).held().key(&key).by(&by);
    engine.scheduler().submit(request).await.unwrap();
    let change = TrustChange::Require { n_signatures: 1 };
    engine.change_trust(&"t".repeat(NAME.bytes_max), change, &by).await.unwrap();
    assert_eq!(engine.runs(None).await.unwrap().len(), 2);
    engine.shutdown().await.unwrap();
}
