//! Keys that expire while an engine lives, and policies that change behind its back: it closes the gate by itself, also of
//! what is loaded, and what is under way may end.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use cloacina::{
    Clock, Context, Engine, Gate, PackageInfo, RunHandle, RunState, SystemClock, TaskState, Timestamp, TrustChange,
    Upload,
};
use cloacina_packager::sign::SecretKey;
use cloacina_tests::engine::in_time;

use crate::{
    sharing::server,
    trust::{Material, QUICK, add, change, quarantined},
    withheld::Place,
};

const HOUR: u64 = 3_600_000_000;

/// A task that says that it runs by opening a pipe, and ends when that is closed; and another after it.
const SLOW: &str = r#"
#include "fixture.h"
#include <fcntl.h>
#include <unistd.h>
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"billing\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"invoices\",\"tasks\":[{\"id\":\"only\",\"index\":0,\"blocking\":true},"
        "{\"id\":\"then\",\"index\":1,\"dependencies\":[\"only\"]}]}]}");
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 0) {
        char byte;
        int pipe = open("PIPE", O_RDONLY);
        while (read(pipe, &byte, 1) > 0) {}
        close(pipe);
    }
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// A clock that is moved by hand.
#[derive(Debug, Default)]
struct Moved(AtomicU64);

impl Moved {
    fn ahead(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    fn later(&self, by: u64) -> Timestamp {
        Timestamp::from_unix_micros(self.now().unix_micros() + by)
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(SystemClock.now().unix_micros() + self.0.load(Ordering::Relaxed))
    }
}

/// A package that must be signed, and another package with a quarantine, which makes the engine read its clock.
struct Scene {
    billing: Material,
    other: Material,
    clock: Arc<Moved>,
    pipe: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let pipe = folder.join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let billing = Material::of(&SLOW.replace("PIPE", pipe.to_str().unwrap()));
        let other = Material::of(&QUICK.replace("billing", "other").replace("invoices", "others"));
        Self { billing, other, clock: Arc::default(), pipe }
    }

    async fn start(&self, database: &str, place: Place) -> Engine {
        let builder = place.options(Engine::builder().database(database).data_dir(self.billing.folder.path()));
        builder.clock(Arc::clone(&self.clock) as Arc<dyn Clock>).start().await.unwrap()
    }

    fn add_until(&self, name: &str, key: &SecretKey, expires_at: Timestamp) -> TrustChange {
        let TrustChange::Add { name, public_key, scopes, .. } = add(name, key.public()) else { unreachable!() };
        TrustChange::Add { name, public_key, scopes, expires_at: Some(expires_at.unix_micros()) }
    }

    async fn register(&self, engine: &Engine, material: &Material, keys: &[&SecretKey]) -> PackageInfo {
        let signatures = keys.iter().map(|key| material.signed(key)).collect();
        let upload = Upload { signatures, ..Upload::new(material.archive.clone()) };
        let registered = engine.registry().register(upload).await.unwrap();
        engine.registry().get(&registered.digest.to_string()).unwrap()
    }

    /// Requires a signature, trusts the key of the other package for good, and registers that.
    async fn require(&self, engine: &Engine) -> PackageInfo {
        change(engine, TrustChange::Require { n_signatures: 1 }).await;
        change(engine, add("carl", self.other.ann.public())).await;
        self.register(engine, &self.other, &[&self.other.ann]).await
    }

    /// Time passes: a thread that sleeps until a moment is woken by another that comes before it.
    async fn pass(&self, engine: &Engine, other: &PackageInfo, by: u64) {
        self.clock.ahead(by);
        let until = Some(self.clock.later(by));
        engine.registry().quarantine("public", other.digest, "to be looked at", until, "test").await.unwrap();
    }

    /// A run whose first task runs; it does until the pipe is dropped.
    async fn begin(&self, engine: &Engine) -> (RunHandle, File) {
        let run = engine.scheduler().schedule_workflow("invoices", Context::new()).await.unwrap();
        let path = self.pipe.clone();
        let opened = tokio::task::spawn_blocking(move || OpenOptions::new().write(true).open(path).unwrap());
        (run, in_time(opened).await.unwrap())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        std::fs::remove_dir_all(self.pipe.parent().unwrap()).unwrap();
    }
}

async fn second_task_waits(run: &RunHandle, code: &str) {
    in_time(async {
        loop {
            let report = run.report().await.unwrap();
            let (only, then) = (report.task("only").unwrap(), report.task("then").unwrap());
            assert!(!report.state.is_terminal() && then.state != TaskState::Running, "{report:?}");
            if only.state == TaskState::Completed && then.state == TaskState::Ready {
                let is_there =
                    matches!(&then.gates[..], [Gate::Quarantined { reason, .. }] if reason.starts_with(code));
                assert!(is_there, "{:?}", then.gates);
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn a_key_that_expires_closes_the_gate(database: &str, place: Place) {
    let scene = Scene::new();
    let engine = scene.start(database, place).await;
    let other = scene.require(&engine).await;
    let expires_at = scene.clock.later(HOUR);
    change(&engine, scene.add_until("ann", &scene.billing.ann, expires_at)).await;
    scene.register(&engine, &scene.billing, &[&scene.billing.ann]).await;
    let (run, pipe) = scene.begin(&engine).await;

    scene.pass(&engine, &other, 2 * HOUR).await;
    let reason = in_time(quarantined(&engine)).await;
    assert!(reason.starts_with("SIG0010: the key ann"), "{reason}");
    drop(pipe);
    second_task_waits(&run, "SIG0010").await;
    assert_eq!(engine.registry().events("billing").await.unwrap().last().unwrap().actor, "engine");

    change(&engine, add("bob", scene.billing.bob.public())).await;
    scene.register(&engine, &scene.billing, &[&scene.billing.bob]).await;
    assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_key_that_expires_closes_the_gate_on_a_file() {
    for place in [Place::Inline, Place::Process] {
        let folder = tempfile::tempdir().unwrap();
        a_key_that_expires_closes_the_gate(folder.path().join("runs.db").to_str().unwrap(), place).await;
    }
}

#[tokio::test]
async fn a_key_that_expires_closes_the_gate_on_a_server() {
    a_key_that_expires_closes_the_gate(server().url(), Place::Process).await;
}

#[tokio::test]
async fn an_engine_wakes_when_a_key_expires() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("runs.db").display().to_string();
    let engine = scene.start(&database, Place::Inline).await;
    scene.require(&engine).await;
    change(&engine, scene.add_until("ann", &scene.billing.ann, scene.clock.later(HOUR))).await;
    scene.register(&engine, &scene.billing, &[&scene.billing.ann]).await;
    engine.shutdown().await.unwrap();
    // Shortly before; the clock does not move after that.
    scene.clock.ahead(HOUR - 2_000_000);
    let engine = scene.start(&database, Place::Inline).await;
    assert!(in_time(quarantined(&engine)).await.starts_with("SIG0010"));
    engine.shutdown().await.unwrap();
}

/// Another engine makes the only key that counts one that expires, which changes no package.
async fn what_another_engine_changes_is_noticed(database: &str, elsewhere: &Path) {
    let scene = Scene::new();
    let engine = scene.start(database, Place::Inline).await;
    let other = scene.require(&engine).await;
    let Material { ann, bob, .. } = &scene.billing;
    change(&engine, add("ann", ann.public())).await;
    scene.register(&engine, &scene.billing, &[ann, bob]).await;
    let (run, pipe) = scene.begin(&engine).await;

    let second = Engine::builder().database(database).data_dir(elsewhere).start().await.unwrap();
    change(&second, scene.add_until("bob", bob, scene.clock.later(HOUR))).await;
    let revoke = TrustChange::Revoke { key: "ann".to_owned(), reason: "it was stolen".to_owned() };
    assert!(change(&second, revoke).await.quarantined.is_empty(), "bob's signature is enough");
    second.shutdown().await.unwrap();
    scene.pass(&engine, &other, 2 * HOUR).await;
    let reason = in_time(quarantined(&engine)).await;
    assert!(reason.starts_with("SIG0008"), "{reason}");
    drop(pipe);
    second_task_waits(&run, "SIG0008").await;
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_key_of_another_engine_expires_too() {
    let elsewhere = tempfile::tempdir().unwrap();
    what_another_engine_changes_is_noticed(server().url(), elsewhere.path()).await;
}

/// How many tasks block the threads of their runtime, and whether they still do.
static BLOCKERS: (Mutex<(usize, bool)>, Condvar) = (Mutex::new((0, true)), Condvar::new());

#[cloacina::workflow(name = "blockers")]
mod blockers {
    use cloacina::{Context, TaskError, Value, task};

    /// An `async fn` that blocks its thread, as no task should.
    #[task]
    async fn block(_context: &mut Context<Value>) -> Result<(), TaskError> {
        let (held, changed) = &super::BLOCKERS;
        let mut held = held.lock().unwrap();
        held.0 += 1;
        changed.notify_all();
        drop(changed.wait_while(held, |(_, is_held)| *is_held).unwrap());
        Ok(())
    }
}

#[tokio::test]
async fn tasks_that_block_all_of_their_threads_keep_no_key_from_expiring() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("runs.db").display().to_string();
    let builder = Place::Inline.options(Engine::builder().database(&database).data_dir(scene.billing.folder.path()));
    let clock = Arc::clone(&scene.clock) as Arc<dyn Clock>;
    let engine = builder.clock(clock).workflow(blockers::workflow()).start().await.unwrap();
    let other = scene.require(&engine).await;
    change(&engine, scene.add_until("ann", &scene.billing.ann, scene.clock.later(HOUR))).await;
    scene.register(&engine, &scene.billing, &[&scene.billing.ann]).await;

    let n_threads = std::thread::available_parallelism().unwrap().get();
    let mut runs = Vec::new();
    for _ in 0..n_threads {
        runs.push(engine.scheduler().schedule_workflow("blockers", Context::new()).await.unwrap());
    }
    let (held, changed) = &BLOCKERS;
    drop(changed.wait_while(held.lock().unwrap(), |(n_blocked, _)| *n_blocked < n_threads).unwrap());
    scene.pass(&engine, &other, 2 * HOUR).await;
    assert!(in_time(quarantined(&engine)).await.starts_with("SIG0010"));

    held.lock().unwrap().1 = false;
    changed.notify_all();
    for run in runs {
        assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    }
    engine.shutdown().await.unwrap();
}
