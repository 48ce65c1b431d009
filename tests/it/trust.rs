//! The trust policy, from the outside: each way in which a package can be untrusted, on the command line, from
//! the library, on both databases, and what a revocation does to what is registered.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use cloacina::{
    Clock, Context, Engine, PackageState, Records, RunState, SystemClock, Timestamp, TrustChange, TrustChanged,
    TrustEventKind, Upload,
};
use cloacina_packager::{
    Input, InputLibrary, Limits,
    sign::{PublicKey, SecretKey},
};
use cloacina_tests::{engine::in_time, library};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{cmd::program, sharing::server};

/// A task that does nothing.
pub(crate) const QUICK: &str = r#"
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"billing\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"invoices\",\"tasks\":[{\"id\":\"only\",\"index\":0,\"blocking\":true}]}]}");
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// An archive, another with the same library, and two keys.
pub(crate) struct Material {
    pub(crate) folder: TempDir,
    pub(crate) archive: Vec<u8>,
    repacked: Vec<u8>,
    pub(crate) ann: SecretKey,
    pub(crate) bob: SecretKey,
}

impl Material {
    fn new() -> Self {
        Self::of(QUICK)
    }

    /// Of the library that this source makes.
    pub(crate) fn of(source: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = library::compile(folder.path(), "billing", source);
        let input = |sbom: Option<&str>| Input {
            libraries: vec![InputLibrary { name: "libbilling.so".to_owned(), bytes: fs::read(&library).unwrap() }],
            sbom: sbom.map(|text| text.as_bytes().to_vec()),
            ..Input::default()
        };
        let write = |input| cloacina_packager::write(&input).unwrap();
        let (archive, repacked) = (write(input(None)), write(input(Some("{}"))));
        let key = || SecretKey::generate(None).unwrap().0;
        Self { folder, archive, repacked, ann: key(), bob: key() }
    }

    pub(crate) fn signed(&self, key: &SecretKey) -> Vec<u8> {
        let package = cloacina_packager::read(&self.archive, &Limits::default()).unwrap();
        key.sign(&self.archive, &package).unwrap().text().as_bytes().to_vec()
    }
}

fn forged(signature: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(signature.to_vec()).unwrap();
    let line = text.lines().nth(1).unwrap();
    let (head, rest) = line.split_at(40);
    let other = if rest.starts_with('A') { 'B' } else { 'A' };
    text.replace(line, &format!("{head}{other}{}", &rest[1..])).into_bytes()
}

async fn start(database: &str, folder: &Path) -> Engine {
    let builder = Engine::builder().database(database).data_dir(folder);
    builder.start().await.unwrap_or_else(|error| panic!("{}: {error}", error.code()))
}

pub(crate) fn add(name: &str, key: &PublicKey) -> TrustChange {
    TrustChange::Add { name: name.to_owned(), public_key: key.line(), scopes: Vec::new(), expires_at: None }
}

pub(crate) async fn change(engine: &Engine, change: TrustChange) -> TrustChanged {
    engine.registry().change_trust("public", change, "ada").await.unwrap()
}

pub(crate) async fn refusal(engine: &Engine, archive: &[u8], signatures: &[&[u8]]) -> String {
    let signatures = signatures.iter().map(|signature| signature.to_vec()).collect();
    let upload = Upload { signatures, ..Upload::new(archive) };
    match engine.registry().register(upload).await {
        Ok(_) => "taken".to_owned(),
        Err(error) => error.code().to_owned(),
    }
}

async fn run(engine: &Engine) -> String {
    match engine.scheduler().schedule_workflow("invoices", Context::new()).await {
        Ok(run) => in_time(run.wait()).await.unwrap().state.as_str().to_owned(),
        Err(error) => error.code().to_owned(),
    }
}

/// The whole story on one database.
async fn packages_are_taken_from_those_who_are_trusted(database: &str) {
    let material = Material::new();
    let folder = material.folder.path();
    let (by_ann, by_bob) = (material.signed(&material.ann), material.signed(&material.bob));
    let engine = start(database, folder).await;
    let id = material.ann.public().id().to_string();

    change(&engine, TrustChange::Require { n_signatures: 1 }).await;
    change(&engine, add("ann", material.ann.public())).await;
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "SIG0007", "unsigned");
    assert_eq!(refusal(&engine, &material.archive, &[&by_bob]).await, "SIG0008", "not by a known key");
    assert_eq!(refusal(&engine, &material.archive, &[&forged(&by_ann)]).await, "SIG0005", "wrongly signed");
    assert_eq!(refusal(&engine, &material.repacked, &[&by_ann]).await, "SIG0011", "packed again after signing");
    assert_eq!(refusal(&engine, &material.archive, &[b"no signature"]).await, "SIG0004");
    assert_eq!((engine.registry().list().len(), run(&engine).await.as_str()), (0, "RUN0001"), "nothing is there");
    assert_eq!(refusal(&engine, &material.archive, &[&by_ann]).await, "taken");
    assert_eq!(run(&engine).await, "completed");

    let revoke = TrustChange::Revoke { key: "ann".to_owned(), reason: "it was stolen".to_owned() };
    let changed = change(&engine, revoke.clone()).await;
    assert_eq!(changed.quarantined, ["public::billing@1.0.0"]);
    assert_eq!(change(&engine, revoke).await, TrustChanged::default(), "once is enough");
    let info = engine.registry().get("billing@1.0.0").unwrap();
    assert_eq!(info.state, PackageState::Quarantined);
    let reason = info.quarantine.clone().unwrap().reason;
    assert!(reason.starts_with(&format!("SIG0009: the key ann ({id}), which signed the package billing")), "{reason}");
    assert_ne!(run(&engine).await, "completed");
    engine.shutdown().await.unwrap();

    // The next engine goes by the same policy.
    let engine = start(database, folder).await;
    assert_ne!(run(&engine).await, "completed");
    assert_eq!(refusal(&engine, &material.archive, &[&by_ann]).await, "SIG0009", "revoked");
    let again = engine.registry().change_trust("public", add("anna", material.ann.public()), "eve").await;
    assert_eq!(again.unwrap_err().code(), "SIG0015");
    let past = TrustChange::Add {
        name: "bob".to_owned(),
        public_key: material.bob.public().line(),
        scopes: vec!["bill*".to_owned()],
        expires_at: Some(1_000_000),
    };
    change(&engine, past).await;
    assert_eq!(refusal(&engine, &material.archive, &[&by_bob]).await, "SIG0008", "ann's is known to be revoked");
    change(&engine, TrustChange::Remove { key: "bob".to_owned() }).await;
    change(&engine, add("bob", material.bob.public())).await;
    assert_eq!(refusal(&engine, &material.archive, &[&by_bob]).await, "taken");
    assert_eq!(engine.registry().get("billing@1.0.0").unwrap().state, PackageState::Active);
    assert_eq!(run(&engine).await, "completed");

    let two = change(&engine, TrustChange::Require { n_signatures: 2 }).await;
    assert_eq!(two.quarantined, ["public::billing@1.0.0"], "one signature is too few now");
    let one = change(&engine, TrustChange::Require { n_signatures: 1 }).await;
    assert_eq!((one.released, run(&engine).await.as_str()), (vec!["public::billing@1.0.0".to_owned()], "completed"));
    engine.shutdown().await.unwrap();

    let mut records = Records::open(database).unwrap();
    let trust = records.trust("public").unwrap();
    assert_eq!((trust.required, trust.is_default, trust.keys.len()), (1, false, 2));
    assert_eq!(trust.find(&id).unwrap().revoked.as_ref().unwrap().reason, "it was stolen");
    let events = records.trust_events("public", 100).unwrap();
    let signed: Vec<&str> = events
        .iter()
        .filter(|event| event.kind == TrustEventKind::PackageSigned)
        .map(|event| event.detail.as_str())
        .collect();
    assert_eq!(signed, ["bob signed billing@1.0.0", "ann signed billing@1.0.0"]);
    assert!(
        events.iter().filter(|event| event.kind != TrustEventKind::PackageSigned).all(|event| event.actor == "ada")
    );
    assert_eq!(records.trust("acme").unwrap_err().code(), "REG0017");
    let mut records = records.on_behalf_of(cloacina::Caller::owner());
    assert_eq!(records.trust("acme").unwrap().required, 0, "other tenants are their own");
}

#[tokio::test]
async fn a_file_takes_packages_from_those_who_are_trusted() {
    let folder = tempfile::tempdir().unwrap();
    packages_are_taken_from_those_who_are_trusted(folder.path().join("runs.db").to_str().unwrap()).await;
}

#[tokio::test]
async fn a_server_takes_packages_from_those_who_are_trusted() {
    let schema = server();
    packages_are_taken_from_those_who_are_trusted(schema.url()).await;
}

#[tokio::test]
async fn an_engine_that_requires_signatures_says_what_to_do_first() {
    let material = Material::new();
    let database = material.folder.path().join("runs.db").display().to_string();
    let start = || Engine::builder().database(&database).required_signatures(cloacina::REQUIRED_BY_SERVERS).start();
    let engine = start().await.unwrap();
    let steps = engine.registry().first_steps().await.unwrap();
    assert!(steps[1].contains("cloacina-ctl trust add"), "{steps:?}");
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "SIG0007");
    change(&engine, add("ann", material.ann.public())).await;
    assert!(engine.registry().first_steps().await.unwrap().is_empty());
    assert_eq!(refusal(&engine, &material.archive, &[&material.signed(&material.ann)]).await, "taken");
    // What the tenant says counts before what the engine says.
    change(&engine, TrustChange::Require { n_signatures: 0 }).await;
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "taken");
    engine.shutdown().await.unwrap();
}

/// A folder in which commands run.
struct Shell {
    material: Material,
}

impl Shell {
    fn new() -> Self {
        let material = Material::new();
        fs::write(material.folder.path().join("billing.cloacina"), &material.archive).unwrap();
        for (name, key) in [("ann", &material.ann), ("bob", &material.bob)] {
            fs::write(material.folder.path().join(format!("{name}.pub")), key.public().text()).unwrap();
        }
        Self { material }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.material.folder.path()).args(arguments.split(' '));
        command.env("CLOACINA__DATABASE__URL", "runs.db");
        command
    }

    fn ctl(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn does(&self, arguments: &str) -> Value {
        let Output { status, stdout, stderr } = self.ctl(&format!("{arguments} --output json"));
        assert!(status.success(), "{arguments}: {}", String::from_utf8_lossy(&stderr));
        serde_json::from_slice(&stdout).unwrap()
    }

    /// The code with which a run of the package is refused.
    fn refusal(&self) -> String {
        let Output { status, stderr, .. } = self.ctl("run billing.cloacina --database runs.db --output json --quiet");
        if status.success() {
            return "taken".to_owned();
        }
        assert_eq!(status.code(), Some(3), "{}", String::from_utf8_lossy(&stderr));
        let said = String::from_utf8_lossy(&stderr);
        // Before it stands what the engine had to say, a line each.
        let error: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap_or_default();
        error["error"]["code"].as_str().unwrap_or(&said).to_owned()
    }

    /// Puts a signature beside the archive, in the place of those that are there.
    fn sign(&self, signature: &[u8]) {
        let folder = self.material.folder.path();
        let is_signature = |path: &PathBuf| path.extension().is_some_and(|end| end == "minisig");
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(is_signature).for_each(|path| fs::remove_file(path).unwrap());
        fs::write(folder.join("billing.cloacina.key.minisig"), signature).unwrap();
    }
}

#[test]
fn the_command_line_refuses_with_the_same_codes() {
    let shell = Shell::new();
    let Material { archive, repacked, ann, bob, folder } = &shell.material;
    let archive_path = folder.path().join("billing.cloacina");
    let (by_ann, by_bob) = (shell.material.signed(ann), shell.material.signed(bob));
    assert_eq!(shell.refusal(), "taken", "nothing is required");
    let required = shell.does("trust require 1");
    assert_eq!(required["quarantined"], json!(["public::billing@1.0.0"]));
    shell.does("trust add ann.pub --name ann");
    assert_eq!(shell.refusal(), "SIG0007");
    shell.sign(&forged(&by_ann));
    assert_eq!(shell.refusal(), "SIG0005");
    shell.sign(&by_ann);
    fs::write(&archive_path, repacked).unwrap();
    assert_eq!(shell.refusal(), "SIG0011");
    fs::write(&archive_path, archive).unwrap();
    assert_eq!(shell.refusal(), "taken", "signed, and so released");
    let revoked = shell.does("trust revoke ann --reason stolen");
    assert_eq!(revoked["quarantined"], json!(["public::billing@1.0.0"]));
    assert_eq!(shell.refusal(), "SIG0009");
    shell.does("trust add bob.pub --name bob --expires 2001-01-31");
    shell.sign(&by_bob);
    assert_eq!(shell.refusal(), "SIG0008", "one is revoked, the other has expired");
    shell.does("trust remove bob");
    shell.does("trust add bob.pub --name bob --scope bill*");
    assert_eq!(shell.refusal(), "taken");
}

#[test]
fn an_expired_key_has_its_own_code() {
    let shell = Shell::new();
    shell.does("trust require 1");
    shell.does("trust add ann.pub --name ann --expires 2001-01-31");
    shell.sign(&shell.material.signed(&shell.material.ann));
    assert_eq!(shell.refusal(), "SIG0010");
}

/// A clock that is ahead.
#[derive(Debug)]
pub(crate) struct Ahead(pub(crate) Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        (SystemTime::from(SystemClock.now()) + self.0).into()
    }
}

/// The one file of a library in an engine's data folder.
pub(crate) fn library_of(data: &Path) -> PathBuf {
    let package = fs::read_dir(data.join("packages")).unwrap().next().unwrap().unwrap().path();
    package.join("libbilling.so")
}

pub(crate) fn swap(library: &Path) {
    let other = [fs::read(library).unwrap(), b"more".to_vec()].concat();
    fs::remove_file(library).unwrap();
    fs::write(library, other).unwrap();
}

/// Waits until the version is in quarantine, and says why.
pub(crate) async fn quarantined(engine: &Engine) -> String {
    loop {
        if let Some(quarantine) = engine.registry().get("billing@1.0.0").unwrap().record.quarantine {
            return quarantine.reason;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_library_that_was_swapped_on_the_disk_is_not_loaded() {
    let material = Material::new();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("runs.db").display().to_string();
    let engine = start(&database, folder.path()).await;
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "taken");
    assert_eq!(run(&engine).await, "completed");
    engine.shutdown().await.unwrap();

    // One that is not there is unpacked again.
    fs::remove_dir_all(folder.path().join("packages")).unwrap();
    let engine = start(&database, folder.path()).await;
    assert_eq!(run(&engine).await, "completed");
    engine.shutdown().await.unwrap();

    swap(&library_of(folder.path()));
    let engine = start(&database, folder.path()).await;
    let attempt = engine.scheduler().schedule_workflow("invoices", Context::new()).await.unwrap();
    let reason = in_time(quarantined(&engine)).await;
    assert!(reason.starts_with("LIB0002: the library"), "{reason}");
    assert_ne!(run(&engine).await, "completed");
    assert_eq!(refusal(&engine, &material.archive, &[]).await, "taken", "the archive is there, and so is its library");
    assert_eq!(in_time(attempt.wait()).await.unwrap().state, RunState::Completed, "it waited for that");
    assert_eq!(run(&engine).await, "completed");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_not_trusted_any_more_is_not_loaded_whatever_its_state_says() {
    let material = Material::new();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("runs.db").display().to_string();
    let engine = start(&database, folder.path()).await;
    change(&engine, TrustChange::Require { n_signatures: 1 }).await;
    let year = Duration::from_secs(365 * 86_400);
    let next_year = Ahead(year).now().unix_micros();
    let TrustChange::Add { name, public_key, scopes, .. } = add("ann", material.ann.public()) else { unreachable!() };
    change(&engine, TrustChange::Add { name, public_key, scopes, expires_at: Some(next_year) }).await;
    assert_eq!(refusal(&engine, &material.archive, &[&material.signed(&material.ann)]).await, "taken");
    engine.shutdown().await.unwrap();

    let later = || Engine::builder().database(&database).clock(Arc::new(Ahead(2 * year))).start();
    let engine = later().await.unwrap();
    let info = engine.registry().get("billing@1.0.0").unwrap();
    let reason = info.quarantine.clone().unwrap().reason;
    assert!(reason.starts_with("SIG0010: the key ann"), "{reason}");
    assert_ne!(run(&engine).await, "completed");
    // Releasing it by hand does not make it trusted.
    engine.registry().release("public", info.digest, "eve").await.unwrap();
    let attempt = engine.scheduler().schedule_workflow("invoices", Context::new()).await.unwrap();
    assert!(in_time(quarantined(&engine)).await.starts_with("SIG0010"));
    change(&engine, add("bob", material.bob.public())).await;
    assert_eq!(refusal(&engine, &material.archive, &[&material.signed(&material.bob)]).await, "taken");
    assert_eq!(in_time(attempt.wait()).await.unwrap().state, RunState::Completed, "it waited for that");
    engine.shutdown().await.unwrap();
}

#[test]
fn a_process_of_its_own_gets_no_library_that_was_swapped() {
    let shell = Shell::new();
    assert_eq!(shell.refusal(), "taken");
    swap(&library_of(&shell.material.folder.path().join(".cloacina")));
    shell.does("runs create --workflow invoices");
    let mut execution = shell.command("runs execute latest").stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(execution.stderr.take().unwrap()).lines().map(Result::unwrap);
    let refused = said.find(|line| line.contains("lost only")).unwrap();
    assert!(refused.contains("LIB0002: the library"), "{refused}");
    let gates = shell.does("runs why latest")["waiting"][0]["gates"].to_string();
    assert!(gates.contains("quarantined") && gates.contains("LIB0002"), "{gates}");
    execution.kill().unwrap();
    execution.wait().unwrap();
    // A command that waits for it says why nothing happens: as its engine, and beside that.
    let mut waiting = ["as its engine", "beside it"].map(|_| {
        let mut waiting = shell.command("runs execute latest").stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
        let told = said.find(|line| line.contains("the run waits: ")).unwrap();
        assert!(told.contains("quarantined, as LIB0002: the library"), "{told}");
        (waiting, said)
    });
    shell.does("package register billing.cloacina");
    for (waiting, said) in &mut waiting {
        let rest: Vec<String> = said.collect();
        assert!(waiting.wait().unwrap().success(), "{rest:?}");
    }
}
