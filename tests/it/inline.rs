//! Which process runs a package, as an operator selects it by the package's name or by its signer: asked of the
//! package itself, which tells the number of its process.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use cloacina::{Context, Engine, HostProgram, TrustChange, Upload};
use cloacina_packager::{Limits, sign::SecretKey};
use cloacina_tests::{engine::in_time, library};
use serde_json::Value;
use tempfile::TempDir;

use crate::cmd::program;

const TELLS: &str = r#"
#include "fixture.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"teller\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"tell\",\"tasks\":[{\"id\":\"only\",\"index\":0}]}]}");
static int32_t start(const clcn_start *call) {
    char text[64];
    snprintf(text, sizeof text, "{\"set\":{\"pid\":%d}}", (int)getpid());
    clcn_result result = CLCN_RESULT_INIT;
    result.output_kind = CLCN_OUTPUT_DELTA;
    result.output.ptr = (const uint8_t *)text;
    result.output.len = strlen(text);
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// An archive, two keys, and a database whose tenant `public` trusts both.
struct Material {
    folder: TempDir,
    archive: Vec<u8>,
    ann: SecretKey,
    bob: SecretKey,
}

impl Material {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = library::pack(&library::compile(folder.path(), "teller", TELLS));
        let key = || SecretKey::generate(None).unwrap().0;
        let material = Self { folder, archive, ann: key(), bob: key() };
        let engine = Engine::builder().database(material.database()).start().await.unwrap();
        for (name, key) in [("ann", &material.ann), ("bob", &material.bob)] {
            let public_key = key.public().line();
            let change = TrustChange::Add { name: name.to_owned(), public_key, scopes: Vec::new(), expires_at: None };
            engine.change_trust("public", change, "ada").await.unwrap();
        }
        engine.shutdown().await.unwrap();
        material
    }

    fn database(&self) -> String {
        self.folder.path().join("runs.db").display().to_string()
    }

    fn signature(&self, key: &SecretKey) -> Vec<u8> {
        let package = cloacina_packager::read(&self.archive, &Limits::default()).unwrap();
        key.sign(&self.archive, &package).unwrap().text().as_bytes().to_vec()
    }

    /// Writes the archive with its signature beside it, and a separate copy of the database.
    fn written(&self, by: Option<&SecretKey>) -> (TempDir, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let (file, database) = (folder.path().join("teller.cloacina"), folder.path().join("runs.db"));
        fs::write(&file, &self.archive).unwrap();
        fs::copy(self.database(), &database).unwrap();
        if let Some(key) = by {
            let name = format!("teller.cloacina.{}.minisig", key.public().id());
            fs::write(folder.path().join(name), self.signature(key)).unwrap();
        }
        let text = |path: &Path| path.display().to_string();
        let (file, database) = (text(&file), text(&database));
        (folder, file, database)
    }
}

/// Whether the package ran in the program itself; or the code of the error with the exit code.
fn runs_inline(file: &str, database: &str, options: &[&str]) -> Result<bool, (String, i32)> {
    let mut command = Command::new(program());
    command.args(["run", file, "--database", database, "--output", "json", "--quiet"]).args(options);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (pid, output) = (child.id(), child.wait_with_output().unwrap());
    if output.status.success() {
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        return Ok(answer["context"]["pid"].as_u64().unwrap() == u64::from(pid));
    }
    let error: Value = serde_json::from_slice(&output.stderr)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    Err((error["error"]["code"].as_str().unwrap().to_owned(), output.status.code().unwrap()))
}

#[tokio::test]
async fn the_command_line_runs_what_was_said_in_its_own_process() {
    let material = Material::new().await;
    let id = material.ann.public().id().to_string();
    let (ann, bob) = (Some(&material.ann), Some(&material.bob));
    let error = |code: &str| Err((code.to_owned(), 2));
    for (signer, options, expected) in [
        (None, &[][..], Ok(false)),
        (None, &["--inline", "teller"], Ok(true)),
        (None, &["--inline", "public::tell*"], Ok(true)),
        (None, &["--inline", "acme::tell*"], Ok(false)),
        (None, &["--inline", "tellr"], error("CTL0050")),
        (None, &["--inline-signer", "ann"], Ok(false)),
        (ann, &["--inline-signer", "ann"], Ok(true)),
        (ann, &["--inline-signer", &id], Ok(true)),
        (bob, &["--inline-signer", "ann"], Ok(false)),
        (bob, &["--inline-signer", "ann", "--inline-signer", "bob"], Ok(true)),
        (ann, &["--inline-signer", "anne"], error("SIG0014")),
        (ann, &["--inline-signer", "acme::ann"], error("SIG0014")),
    ] {
        let (_folder, file, database) = material.written(signer);
        let ran = runs_inline(&file, &database, options);
        assert_eq!(ran, expected, "{options:?} with a signature: {}", signer.is_some());
    }
}

async fn start(material: &Material, signer: &str) -> Engine {
    let program = HostProgram::new(env!("CARGO_BIN_EXE_package_host"), "package-host");
    let builder = Engine::builder().database(material.database()).package_host(program);
    builder.inline_signer(signer).start().await.unwrap()
}

async fn pid_of_run(engine: &Engine) -> u64 {
    let run = engine.scheduler().schedule_workflow("tell", Context::new()).await.unwrap();
    in_time(run.wait()).await.unwrap().context.get("pid").and_then(Value::as_u64).unwrap()
}

#[tokio::test]
async fn a_signer_is_looked_for_in_the_load_itself_also_after_a_restart() {
    let material = Material::new().await;
    let here = u64::from(std::process::id());
    let upload =
        Upload { signatures: vec![material.signature(&material.ann)], ..Upload::new(material.archive.clone()) };
    let isolation = |engine: &Engine| engine.registry().get("teller").unwrap().running.isolation;

    let engine = start(&material, "bob").await;
    engine.registry().register(upload).await.unwrap();
    assert_eq!(isolation(&engine).as_deref(), Some("process"));
    assert_ne!(pid_of_run(&engine).await, here);
    engine.shutdown().await.unwrap();

    let engine = start(&material, "ann").await;
    assert_eq!(isolation(&engine), None, "nothing is decided before it is loaded");
    assert_eq!(pid_of_run(&engine).await, here);
    assert_eq!(isolation(&engine).as_deref(), Some("inline"));
    let revoke = TrustChange::Revoke { key: "ann".to_owned(), reason: "it was stolen".to_owned() };
    engine.change_trust("public", revoke, "ada").await.unwrap();
    engine.shutdown().await.unwrap();

    // The engine knows the key, which is no longer trusted; the tenant requires no signatures.
    let engine = start(&material, "ann").await;
    assert_ne!(pid_of_run(&engine).await, here, "a revoked key approves nothing");
    engine.shutdown().await.unwrap();
}
