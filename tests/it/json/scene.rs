//! Commands on real archives and databases, each with the page of what it prints.

use std::fs;
use std::process::{Command, Output};

use cloacina_tests::library;
use serde_json::Value;
use tempfile::TempDir;

use super::example::Names;
use super::show::{check_with, conforming};
use crate::cmd::{material, program};
use crate::sharing::server;

/// A package that prints as soon as it is loaded, before any task of it runs.
const TALKING: &str = r#"
#include <stdio.h>
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"talking\",\"version\":\"0.1.0\",\"workflows\":[{\"name\":\"hello\","
        "\"tasks\":[{\"id\":\"greet\",\"index\":0,\"blocking\":true}]}]}");
__attribute__((constructor)) static void greet(void) { puts("good morning"); fflush(stdout); }
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

/// A folder with archives, in which commands run.
struct Scene {
    folder: TempDir,
    names: Names,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let material = material(folder.path());
        for entry in fs::read_dir(material).unwrap() {
            let path = entry.unwrap().path();
            fs::rename(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        Self { folder, names: Names::default() }
    }

    fn ctl(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.folder.path()).args(arguments.split(' ').map(|word| word.replace('+', " ")));
        command.args(["--output", "json"]).env("USER", "ada").env("XDG_DATA_HOME", self.folder.path());
        command.env_remove("CLOACINA_KEY_PASSWORD");
        if arguments.starts_with("prune") {
            command.env("CLOACINA__RETENTION__FINISHED", "0s").env("CLOACINA__RETENTION__LOGS", "0s");
        }
        command
    }

    fn printed(&self, arguments: &str) -> String {
        let Output { stdout, stderr, .. } = self.ctl(arguments);
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr).into_owned());
        assert!(!stdout.is_empty(), "{arguments}: {stderr}");
        stdout
    }

    /// Runs a command whose document is the example of a page.
    fn shows(&mut self, page: &str, arguments: &str) -> Value {
        let printed = self.printed(arguments);
        self.shows_that(page, arguments, &printed)
    }

    fn shows_that(&mut self, page: &str, arguments: &str, printed: &str) -> Value {
        let command = format!("{} --output json", arguments.replace('+', " "));
        check_with(page, &command, printed, &mut self.names)
    }

    /// The same, where a page shows the command in another form.
    fn shows_as(&mut self, page: &str, arguments: &str, command: &str) -> Value {
        let printed = self.printed(arguments);
        self.shows_that(page, command, &printed)
    }

    /// Runs a command whose document is another one of the kind.
    fn prints(&self, page: &str, arguments: &str) -> Value {
        conforming(page, &self.printed(arguments))
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("`{name}`: {value}"))
}

/// Every field of an item of a list has the same value where the item is shown alone.
fn assert_within(item: &Value, shown: &Value) {
    for (name, value) in item.as_object().unwrap() {
        assert_eq!(shown.get(name), Some(value), "`{name}` of {item}");
    }
    for name in shown.as_object().unwrap().keys() {
        let is_more =
            ["tasks", "leaves_skipped", "context", "producers", "database", "workflow"].contains(&name.as_str());
        assert!(is_more || item.get(name).is_some(), "`{name}` is shown and not listed: {item}");
    }
}

#[test]
fn runs_are_what_their_pages_say() {
    let mut scene = Scene::new();
    // What memory and processor time a process of its own used is measured now and then only.
    const IN: &str = "--database runs.db";
    scene.shows("finished-run", &format!("run c_demo.cloacina --isolation inline {IN} --actor ada"));
    scene.prints("finished-run", &format!("run mixed.cloacina --isolation inline --workflow failing {IN} --actor ada"));
    scene.prints("finished-run", "run c_demo.cloacina --ephemeral");
    let created = scene.prints("run", &format!("runs create --name steps --tasks 2 {IN} --actor ada"));
    assert!(created["tasks"][0].get("attempt").is_none(), "no attempt began: {created}");

    let listed = scene.shows("runs", &format!("runs list {IN}"));
    let runs = listed["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3, "{listed}");
    for run in runs {
        assert_within(run, &scene.prints("run", &format!("runs show {} {IN}", text(run, "run"))));
    }
    let run = |ending: &str| {
        let run = runs.iter().find(|run| text(run, "workflow").ends_with(ending)).unwrap();
        text(run, "run").to_owned()
    };
    let (demo, failing, steps) = (run("data_processing"), run("failing"), run("steps"));

    let shown = scene.shows_as("run", &format!("runs show {failing} {IN}"), "runs show RUN");
    let (check, report) = (&shown["tasks"][0], &shown["tasks"][1]);
    assert_eq!((&check["attempt"], &check["state"]), (&Value::from(1), &Value::from("failed")));
    assert_eq!(report.get("attempt"), None, "a skipped task had no attempt: {report}");

    scene.shows_as("why", &format!("runs why {steps} {IN}"), "runs why RUN");
    let events = scene.shows_as("events", &format!("runs events {failing} {IN}"), "runs events RUN");
    assert!(events["events"][0].get("attempt").is_none(), "{events}");
    scene.prints("events", &format!("runs events {steps} {IN}"));
    scene.shows_as("logs", &format!("runs logs {demo} {IN}"), "runs logs RUN");
    let lines = scene.printed(&format!("runs logs {demo} {IN} --follow"));
    for line in lines.lines() {
        conforming("log-line", line);
    }
    scene.shows_that("log-line", "runs logs RUN --follow", lines.lines().next().unwrap());
    scene.shows_as("context", &format!("runs context {demo} {IN}"), "runs context RUN");
    scene.shows_as("run-usage", &format!("runs usage {demo} {IN}"), "runs usage RUN");
    scene.prints("run-usage", &format!("runs usage {steps} {IN}"));

    scene.shows("dead-letters", &format!("runs dead-letters {IN}"));
    let (asked, again) = (format!("runs rerun --all {IN} --dry-run"), format!("runs rerun --all {IN} --actor ada"));
    scene.prints("run-answers", &asked);
    let rerun = scene.prints("run-answers", &again);
    assert!(rerun["runs"][0].get("new_run").is_some(), "{rerun}");
    scene.shows_as("run-answers", &format!("runs pause latest {steps} {IN}"), "runs pause RUN RUN");
    scene.prints("run-answers", &format!("runs dismiss --all {IN}"));
    scene.prints("run", &format!("runs cancel {steps} {IN}"));

    scene.shows("backup", &format!("backup copy.db {IN}"));
    scene.shows("deleted-runs", &format!("runs delete --state completed {IN}"));
    scene.shows("prune-plan", &format!("prune --dry-run {IN}"));
    scene.shows("pruned", &format!("prune {IN}"));
    scene.prints("runs", &format!("runs list {IN}"));
}

#[test]
fn a_run_on_a_server_has_the_same_fields_in_list_and_show() {
    let (scene, database) = (Scene::new(), server());
    let on = format!("--database {}", database.url());
    scene.prints("finished-run", &format!("run c_demo.cloacina {on}"));
    scene.prints("finished-run", &format!("run mixed.cloacina --workflow failing {on}"));
    scene.prints("run", &format!("runs create --name steps --tasks 2 {on}"));
    let listed = scene.prints("runs", &format!("runs list {on}"));
    assert_eq!(listed["runs"].as_array().unwrap().len(), 3);
    for run in listed["runs"].as_array().unwrap() {
        assert_within(run, &scene.prints("run", &format!("runs show {} {on}", text(run, "run"))));
    }
    let workflows = scene.prints("workflows", &format!("workflow list {on}"));
    for workflow in workflows["workflows"].as_array().unwrap() {
        assert_within(workflow, &scene.prints("workflow", &format!("workflow show {} {on}", text(workflow, "name"))));
    }
    let packages = scene.prints("packages", &format!("package list {on}"));
    for package in packages["packages"].as_array().unwrap() {
        let name = format!("{}::{}@{}", text(package, "tenant"), text(package, "name"), text(package, "version"));
        assert_eq!(&scene.prints("package", &format!("package show {name} {on}"))["package"], package);
    }
}

#[test]
fn packages_are_what_their_pages_say() {
    let mut scene = Scene::new();
    const IN: &str = "--database packages.db";
    scene.shows("registered-package", &format!("package register mixed.cloacina {IN} --actor ada"));
    scene.prints("registered-package", &format!("package register mixed-next.cloacina {IN} --actor ada"));
    scene.shows("changed-package", &format!("package activate mixed@1.3.0 {IN} --percent 20 --actor ada"));
    scene.prints("changed-package", &format!("package quarantine mixed@1.3.0 --reason broken {IN} --actor ada"));
    let listed = scene.shows("packages", &format!("package list {IN}"));
    for package in listed["packages"].as_array().unwrap() {
        let name = format!("mixed@{}", text(package, "version"));
        assert_eq!(&scene.prints("package", &format!("package show {name} {IN}"))["package"], package);
    }
    scene.shows("package", &format!("package show mixed@1.3.0 {IN}"));
    scene.prints("finished-run", &format!("run mixed.cloacina --isolation inline --workflow fine {IN} --actor ada"));
    scene.shows("package-usage", &format!("package usage {IN}"));
    scene.shows("difference", "package diff mixed.cloacina mixed-next.cloacina");

    let listed = scene.shows("workflows", &format!("workflow list {IN}"));
    for workflow in listed["workflows"].as_array().unwrap() {
        assert_within(workflow, &scene.prints("workflow", &format!("workflow show {} {IN}", text(workflow, "name"))));
    }
    scene.shows("workflow", &format!("workflow show mixed::fine {IN}"));
    scene.prints("changed-package", &format!("package release mixed@1.3.0 {IN} --actor ada"));
    for version in ["mixed@1.3.0", "mixed@1.2.3"] {
        for change in ["retire", "remove"] {
            scene.prints("changed-package", &format!("package {change} {version} {IN} --actor ada"));
        }
    }
    let gone = scene.prints("package", &format!("package show mixed {IN}"));
    assert!(gone.get("package").is_none(), "{gone}");
}

#[test]
fn archives_are_what_their_pages_say() {
    let mut scene = Scene::new();
    let made = library::compile(scene.folder.path(), "talking", TALKING);
    fs::rename(made, scene.folder.path().join("libtalking.so")).unwrap();
    scene.shows("built-package", "package build --library libtalking.so --to talking.cloacina");
    scene.shows("archive", "package inspect c_demo.cloacina");
    scene.shows("verified-archive", "package verify mixed.cloacina");
    scene.prints("verified-archive", "package verify truncated.cloacina");
    scene.prints("verified-archive", "package verify c_demo.cloacina --target aarch64-unknown-linux-gnu");
    scene.shows("conformance", "package test mixed.cloacina --task do_it");
    scene.prints("conformance", "package test truncated.cloacina");
    scene.shows("drawing", "package visualize c_demo.cloacina");
    scene.shows("merged-archive", "package merge c_demo.cloacina arm.cloacina --to both.cloacina");
    scene.shows("repacked-archive", "package repack c_demo.cloacina --to again.cloacina");
    scene.shows("new-package", "package new my_package");
}

#[test]
fn settings_are_what_their_pages_say() {
    let mut scene = Scene::new();
    fs::write(scene.folder.path().join("cloacina.toml"), "[database]\nurl = \"runs.db\"\n").unwrap();
    scene.shows("settings", "config show");
    scene.shows("diagnosis", "doctor --listen 127.0.0.1:0");
    scene.shows("settings-key", "config new-key settings.key");
    // A session of tests has a standard input of its own.
    fs::write(scene.folder.path().join("url"), "postgres://cloacina:secret@localhost/runs").unwrap();
    let url = fs::File::open(scene.folder.path().join("url")).unwrap();
    let arguments = "config encrypt database.url --key-file settings.key";
    let mut encrypt = scene.command(arguments);
    let printed = String::from_utf8(encrypt.stdin(url).output().unwrap().stdout).unwrap();
    scene.shows_that("encrypted-setting", arguments, &printed);
}

#[test]
fn keys_are_what_their_pages_say() {
    let mut scene = Scene::new();
    scene.shows("generated-key", "key generate release --keys keys");
    fs::write(scene.folder.path().join("keys/broken.pub"), "no key").unwrap();
    scene.shows("keys", "key list --keys keys");
    scene.shows("key", "key show release --keys keys");
    scene.shows("signature", "package sign c_demo.cloacina --keys keys --key release");
    scene.prints("verified-archive", "package verify c_demo.cloacina --keys keys --key release");
    const IN: &str = "--database trust.db";
    scene.shows("changed-trust", &format!("trust add release --keys keys --name release {IN} --actor ada"));
    scene.prints("trust", &format!("trust show {IN}"));
    scene.prints("changed-trust", &format!("trust require 1 {IN} --actor ada"));
    scene.prints("changed-trust", &format!("trust revoke release --reason stolen {IN} --actor ada"));
    scene.shows("trust", &format!("trust show --events {IN}"));
}

#[test]
fn users_and_tokens_are_what_their_pages_say() {
    let mut scene = Scene::new();
    const IN: &str = "--database access.db";
    fs::write(scene.folder.path().join("password.txt"), "correct horse battery\n").unwrap();
    scene.shows("tenant", &format!("tenant add acme {IN} --actor ada"));
    scene.shows("tenants", &format!("tenant list {IN}"));
    let add = "user add ann --tenant acme --role operator --password-file password.txt";
    scene.shows("user", &format!("{add} {IN} --actor ada"));
    scene.prints("user", &format!("user passwd ann --password-file password.txt {IN} --actor ada"));
    scene.prints("user", &format!("user disable ann {IN} --actor ada"));
    scene.shows("users", &format!("user list {IN}"));
    let created =
        scene.shows("created-token", &format!("token create ci --tenant acme --role viewer {IN} --actor ada"));
    scene.shows("tokens", &format!("token list {IN}"));
    scene.shows_as("token", &format!("token revoke {} {IN} --actor ada", text(&created, "id")), "token revoke ID");
    scene.shows("audit", &format!("audit list --tenant acme {IN}"));
    scene.shows("audit-check", &format!("audit verify --tenant acme {IN}"));
    let lines = scene.printed(&format!("audit export --tenant acme {IN}"));
    assert_eq!(lines.lines().count(), 5, "{lines}");
    lines.lines().for_each(|line| drop(conforming("audit-entry", line)));
    scene.shows_that("audit-entry", "audit export --tenant acme", lines.lines().next().unwrap());
}

#[test]
fn what_else_is_printed_is_what_its_page_says() {
    let mut scene = Scene::new();
    scene.shows("demo", "demo --tasks 2 --ephemeral");
    scene.shows("explained-code", "explain CTL0020");
    scene.shows("codes", "explain");
    scene.shows("manual-pages", "man pages");
    let missing = scene.ctl("package inspect missing.cloacina");
    assert!(missing.stdout.is_empty() && !missing.status.success());
    scene.shows_that("error", "package inspect missing.cloacina", &String::from_utf8(missing.stderr).unwrap());

    let talking = library::pack(&library::compile(scene.folder.path(), "talking", TALKING));
    fs::write(scene.folder.path().join("talking.cloacina"), talking).unwrap();
    let run = "run talking.cloacina --isolation process --database runs.db";
    let said = String::from_utf8(scene.ctl(run).stderr).unwrap();
    let logged: Vec<&str> = said.lines().filter(|line| line.starts_with("{\"log\"")).collect();
    logged.iter().for_each(|line| drop(conforming("log", line)));
    let greeting = logged.iter().find(|line| line.contains("good morning"));
    scene.shows_that("log", run, greeting.unwrap_or_else(|| panic!("{said}")));
}
