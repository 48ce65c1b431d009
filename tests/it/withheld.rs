//! Loads that are refused: no attempt fails by them, none is made again before its gate is closed, and what waited goes on
//! once the reason is gone.

use std::path::Path;

use cloacina::{
    AttemptOutcome, Builder, Context, Engine, Gate, HostProgram, RunHandle, RunRequest, RunState, Sandbox, TaskState,
    TrustChange,
};
use cloacina_tests::engine::in_time;

use crate::{
    sharing::server,
    trust::{Material, add, change, library_of, quarantined, refusal, swap},
};

/// A task that may begin only once and has a callback; a second one that does.
const CAREFUL: &str = r#"
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"billing\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"invoices\",\"tasks\":[{\"id\":\"only\",\"index\":0,\"at_most_once\":true,\"on_success\":1},"
        "{\"id\":\"then\",\"index\":2,\"dependencies\":[\"only\"]}],"
        "\"callbacks\":[{\"name\":\"tell\",\"index\":1}]}]}");
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// Where packages are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Inline,
    Process,
}

impl Place {
    pub(crate) fn options(self, builder: Builder) -> Builder {
        match self {
            Self::Inline => builder,
            Self::Process => builder.package_host(HostProgram::new(env!("CARGO_BIN_EXE_package_host"), "package-host")),
        }
    }
}

async fn start(database: &str, folder: &Path, place: Place) -> Engine {
    let builder = place.options(Engine::builder().database(database).data_dir(folder));
    builder.start().await.unwrap_or_else(|error| panic!("{}: {error}", error.code()))
}

async fn begin(engine: &Engine) -> RunHandle {
    engine.scheduler().schedule_workflow("invoices", Context::new()).await.unwrap()
}

/// Waits until the first task of the run waits at the gate of its package, and says which attempt comes next.
async fn at_the_gate(run: &RunHandle, reason: &str) -> u32 {
    in_time(async {
        loop {
            let report = run.report().await.unwrap();
            let task = report.task("only").unwrap();
            let gates = task.gates.as_slice();
            if let [Gate::Quarantined { reason: found, until: None }] = gates
                && found.starts_with(reason)
                && task.state == TaskState::Ready
            {
                return task.attempt.map_or(1, |begun| begun + 1);
            }
            assert!(!report.state.is_terminal(), "{report:?}");
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// The kinds of what happened to attempts, and the codes of those that were lost.
async fn history(run: &RunHandle) -> (Vec<&'static str>, Vec<String>) {
    let events = run.events().await.unwrap();
    let of_attempts = events.iter().filter(|event| event.attempt.is_some());
    let lost = events.iter().filter(|event| event.kind == "attempt_lost");
    let code = |event: &cloacina::RunEvent| event.details["message"].to_string();
    (of_attempts.map(|event| event.kind).collect(), lost.map(code).collect())
}

/// A file that was changed on the disk: the run waits, through a restart, until the package is registered again.
async fn a_changed_file_costs_no_attempt(database: &str, place: Place) {
    let material = Material::of(CAREFUL);
    let folder = material.folder.path();
    let engine = start(database, folder, place).await;
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "taken");
    assert_eq!(in_time(begin(&engine).await.wait()).await.unwrap().state, RunState::Completed);
    engine.shutdown().await.unwrap();

    swap(&library_of(folder));
    let engine = start(database, folder, place).await;
    let run = begin(&engine).await;
    assert_eq!(at_the_gate(&run, "LIB0002: the library").await, 2, "one attempt was lost, and no other was made");
    let task = run.report().await.unwrap().task("only").cloned().unwrap();
    assert_eq!(task.outcome, Some(AttemptOutcome::Lost));
    let id = run.id();
    engine.shutdown().await.unwrap();

    let engine = start(database, folder, place).await;
    let run = engine.run(id).await.unwrap();
    assert_eq!(at_the_gate(&run, "LIB0002").await, 2);
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "taken");
    assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    let (kinds, lost) = history(&run).await;
    assert!(lost.len() == 1 && lost[0].contains("LIB0002"), "{lost:?}");
    assert_eq!(kinds, ["attempt_started", "attempt_lost", "attempt_started", "task_completed", "task_completed"]);
    engine.shutdown().await.unwrap();
}

/// A key that was revoked after the only signature was made, and a release of the version nevertheless.
async fn a_revoked_key_costs_no_attempt(database: &str, place: Place) {
    let material = Material::of(CAREFUL);
    let folder = material.folder.path();
    let engine = start(database, folder, place).await;
    change(&engine, TrustChange::Require { n_signatures: 1 }).await;
    change(&engine, add("ann", material.ann.public())).await;
    assert_eq!(refusal(&engine, &material.archive, &[&material.signed(&material.ann)]).await, "taken");
    engine.shutdown().await.unwrap();

    let engine = start(database, folder, place).await;
    let revoke = TrustChange::Revoke { key: "ann".to_owned(), reason: "it was stolen".to_owned() };
    assert_eq!(change(&engine, revoke).await.quarantined, ["public::billing@1.0.0"]);
    let digest = engine.registry().get("billing@1.0.0").unwrap().digest;
    engine.registry().release("public", digest, "eve").await.unwrap();
    let run = begin(&engine).await;
    assert!(in_time(quarantined(&engine)).await.starts_with("SIG0009"));
    assert_eq!(at_the_gate(&run, "SIG0009: the key ann").await, 2);
    // Released by hand once more, it is refused once more, and waits again.
    engine.registry().release("public", digest, "eve").await.unwrap();
    assert!(in_time(quarantined(&engine)).await.starts_with("SIG0009"));
    assert_eq!(in_time(next_attempt(&run, 3)).await, 3);
    change(&engine, add("bob", material.bob.public())).await;
    assert_eq!(refusal(&engine, &material.archive, &[&material.signed(&material.bob)]).await, "taken");
    let report = in_time(run.wait()).await.unwrap();
    assert_eq!((report.state, report.task("only").unwrap().attempt), (RunState::Completed, Some(3)));
    let (_, lost) = history(&run).await;
    assert!(lost.len() == 2 && lost.iter().all(|lost| lost.contains("SIG0009")), "{lost:?}");
    engine.shutdown().await.unwrap();
}

async fn next_attempt(run: &RunHandle, attempt: u32) -> u32 {
    loop {
        let at = at_the_gate(run, "SIG0009").await;
        if at >= attempt {
            return at;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn refused_loads_cost_no_attempt_on_a_file() {
    for place in [Place::Inline, Place::Process] {
        let folder = tempfile::tempdir().unwrap();
        let database = |name: &str| folder.path().join(name).display().to_string();
        a_changed_file_costs_no_attempt(&database("one.db"), place).await;
        a_revoked_key_costs_no_attempt(&database("two.db"), place).await;
    }
}

#[tokio::test]
async fn refused_loads_cost_no_attempt_on_a_server() {
    for place in [Place::Inline, Place::Process] {
        a_changed_file_costs_no_attempt(server().url(), place).await;
        a_revoked_key_costs_no_attempt(server().url(), place).await;
    }
}

/// Where runs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    File,
    Server,
}

/// An engine that keeps its packages in as a server does.
async fn confine(
    database: &str,
    folder: &Path,
    is_required: bool,
    options: impl FnOnce(Builder) -> Builder + Send,
) -> Engine {
    let program = HostProgram::new(env!("CARGO_BIN_EXE_package_host"), "package-host").argument("without-landlock");
    let builder = Engine::builder().database(database).data_dir(folder).package_host(program);
    let builder = options(builder.sandbox(Sandbox::Server, is_required));
    builder.start().await.unwrap_or_else(|error| panic!("{}: {error}", error.code()))
}

/// A package that needs the network.
fn needy() -> Material {
    let name = "\\\"name\\\":\\\"invoices\\\",";
    assert!(CAREFUL.contains(name));
    Material::of(&CAREFUL.replace(name, &format!("{name}\\\"needs\\\":{{\\\"net\\\":true}},")))
}

fn allow(builder: Builder) -> Builder {
    builder.allow_needs(["billing=net".parse().unwrap()])
}

/// Waits until the first task waits as the engine cannot use its package; says why, and which attempt comes next.
async fn withheld(run: &RunHandle) -> (String, u32) {
    in_time(async {
        loop {
            let report = run.report().await.unwrap();
            let task = report.task("only").unwrap();
            let reason = task.gates.iter().find_map(|gate| match gate {
                Gate::Withheld { reason } => Some(reason.clone()),
                _ => None,
            });
            if let Some(reason) = reason
                && task.state != TaskState::Running
            {
                return (reason, task.attempt.map_or(1, |begun| begun + 1));
            }
            assert!(!report.state.is_terminal(), "{report:?}");
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// New runs are refused with what may be done, and so is a command that looks.
async fn is_told(engine: &Engine, code: &str, hint: &str) {
    let error = engine.scheduler().schedule_workflow("invoices", Context::new()).await.unwrap_err();
    assert_eq!(error.code(), "REG0007", "{error}");
    assert!(error.hints().iter().any(|told| told.contains(hint)), "{:?}", error.hints());
    let info = engine.registry().get("billing").unwrap();
    assert!(info.quarantine.is_none() && info.running.problem.unwrap().starts_with(code));
    let error = engine.registry().activate("billing", None, "ann").await.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

/// Its needs are no longer allowed, which shows before any task of it is started.
async fn a_need_that_is_not_allowed_costs_no_attempt(database: &str, kept: Kept) {
    let material = needy();
    let folder = material.folder.path();
    let engine = confine(database, folder, false, allow).await;
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "taken");
    let done = in_time(begin(&engine).await.wait()).await.unwrap().id;
    let run = engine.scheduler().submit(RunRequest::new("invoices", Context::new()).held()).await.unwrap();
    let id = run.id();
    engine.shutdown().await.unwrap();

    let engine = confine(database, folder, false, |builder| builder).await;
    let run = engine.run(id).await.unwrap();
    match kept {
        Kept::File => {
            run.start("ann").await.unwrap();
            let (reason, attempt) = withheld(&run).await;
            let expected = "ISO0008: the package billing has needs that are not allowed: net; ";
            assert!(reason.starts_with(expected) && attempt == 1, "{attempt}: {reason}");
            assert!(reason.contains("--allow-need 'billing=net'") && reason.contains("--sandbox dev"), "{reason}");
        }
        // It is left to engines that can use the package.
        Kept::Server => {
            let error = run.start("ann").await.unwrap_err();
            let hints = error.hints().join(" ");
            assert!(error.code() == "REG0007" && hints.contains("--allow-need 'billing=net'"), "{error}: {hints}");
        }
    }
    is_told(&engine, "ISO0008", "--allow-need 'billing=net'").await;
    let error = engine.run(done).await.unwrap().rerun(None, "ann").await.unwrap_err();
    assert_eq!(error.code(), "REG0007", "{error}");
    engine.shutdown().await.unwrap();

    let engine = confine(database, folder, false, allow).await;
    let run = engine.run(id).await.unwrap();
    if kept == Kept::Server {
        run.start("ann").await.unwrap();
    }
    assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    assert_eq!(history(&run).await, (vec!["attempt_started", "task_completed", "task_completed"], Vec::new()));
    engine.shutdown().await.unwrap();
}

/// Its place depends on its signers, so its permissions show only when it is loaded.
async fn a_need_of_a_signed_package_costs_no_attempt(database: &str) {
    let material = needy();
    let folder = material.folder.path();
    let engine = confine(database, folder, false, allow).await;
    change(&engine, add("ann", material.ann.public())).await;
    change(&engine, add("bob", material.bob.public())).await;
    assert_eq!(refusal(&engine, &material.archive, &[&material.signed(&material.bob)]).await, "taken");
    engine.shutdown().await.unwrap();

    let engine = confine(database, folder, false, |builder| builder.inline_signer("ann")).await;
    let run = begin(&engine).await;
    let (reason, attempt) = withheld(&run).await;
    assert!(reason.starts_with("ISO0008") && attempt == 2, "{attempt}: {reason}");
    is_told(&engine, "ISO0008", "--allow-need 'billing=net'").await;
    let id = run.id();
    engine.shutdown().await.unwrap();

    // Signed by the other as well, it needs no permission.
    let engine = confine(database, folder, false, |builder| builder.inline_signer("bob")).await;
    let run = engine.run(id).await.unwrap();
    assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    let (_, lost) = history(&run).await;
    assert!(lost.len() == 1 && lost[0].contains("ISO0008"), "{lost:?}");
    engine.shutdown().await.unwrap();
}

/// A sandbox that the system does not have shows when a process is in it.
async fn a_sandbox_that_is_missing_costs_no_attempt(database: &str) {
    let material = Material::of(CAREFUL);
    let folder = material.folder.path();
    let engine = confine(database, folder, false, |builder| builder).await;
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "taken");
    engine.shutdown().await.unwrap();

    let engine = confine(database, folder, true, |builder| builder).await;
    let run = begin(&engine).await;
    let (reason, attempt) = withheld(&run).await;
    assert!(reason.starts_with("ISO0006: the sandbox of the package is not complete") && attempt == 2, "{reason}");
    assert!(reason.contains("missing: landlock") && reason.contains("--require-sandbox"), "{reason}");
    is_told(&engine, "ISO0006", "--require-sandbox").await;
    assert_eq!(withheld(&run).await.1, 2, "nothing was tried again");
    let id = run.id();
    engine.shutdown().await.unwrap();

    let engine = confine(database, folder, false, |builder| builder).await;
    let run = engine.run(id).await.unwrap();
    assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    let (_, lost) = history(&run).await;
    assert!(lost.len() == 1 && lost[0].contains("ISO0006"), "{lost:?}");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_an_engine_cannot_keep_in_costs_no_attempt_on_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = |name: &str| folder.path().join(name).display().to_string();
    a_need_that_is_not_allowed_costs_no_attempt(&database("one.db"), Kept::File).await;
    a_need_of_a_signed_package_costs_no_attempt(&database("two.db")).await;
    a_sandbox_that_is_missing_costs_no_attempt(&database("three.db")).await;
}

#[tokio::test]
async fn what_an_engine_cannot_keep_in_costs_no_attempt_on_a_server() {
    a_need_that_is_not_allowed_costs_no_attempt(server().url(), Kept::Server).await;
    a_need_of_a_signed_package_costs_no_attempt(server().url()).await;
    a_sandbox_that_is_missing_costs_no_attempt(server().url()).await;
}
