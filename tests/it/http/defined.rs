//! Workflows as data: applied from a file and over HTTP, with tasks of a package and built-ins, on both databases, across
//! restarts, versions and mistakes.

use std::fs;

use cloacina::Value;
use cloacina_packager::Digest;
use cloacina_tests::library;
use serde_json::json;

use super::client::Served;
use crate::{
    sharing::{server, wait_until},
    steer::{Place, states},
};

/// `seed` writes the number 7, `double` doubles it if it sees it, `shaky` fails twice.
const NUMBERS: &str = r#"
#include <string.h>
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"numbers\",\"version\":\"0.1.0\",\"workflows\":[{\"name\":\"all\",\"tasks\":["
        "{\"id\":\"seed\",\"index\":0,\"blocking\":true},{\"id\":\"double\",\"index\":1,\"blocking\":true},"
        "{\"id\":\"shaky\",\"index\":2,\"blocking\":true}]}]}");
static int has(clcn_bytes text, const char *part) {
    const size_t len = strlen(part);
    for (size_t at = 0; at + len <= text.len; at++) if (memcmp(text.ptr + at, part, len) == 0) return 1;
    return 0;
}
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 0) result.output = CLCN_TEXT("{\"set\":{\"number\":7}}");
    if (call->task == 1 && has(call->context, "\"number\":7")) result.output = CLCN_TEXT("{\"set\":{\"doubled\":14}}");
    if (call->task == 2 && call->attempt < 3) {
        result.status = CLCN_RETRY;
        result.error_code = CLCN_TEXT("shaky");
        result.error_message = CLCN_TEXT("it shakes");
    }
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

const NIGHTLY: &str = r#"
name = "nightly"
description = "Doubles a number after a rest"

[[tasks]]
id = "seed"
uses = "numbers::all::seed"

[[tasks]]
id = "rest"
uses = "sleep"
with = { ms = 5 }
dependencies = ["seed"]

[[tasks]]
id = "double"
uses = "numbers::all::double"
dependencies = ["rest"]

[[tasks]]
id = "shaky"
uses = "numbers::all::shaky"
dependencies = ["double"]
retry = { attempts = 2, delay_ms = 1, jitter = false }

[[tasks]]
id = "end"
uses = "noop"
dependencies = ["shaky"]
"#;

fn on_file() -> Place {
    let place = Place::new();
    let archive = library::pack(&library::compile(place.path(), "numbers", NUMBERS));
    fs::write(place.path().join("numbers.cloacina"), archive).unwrap();
    fs::write(place.path().join("nightly.toml"), NIGHTLY).unwrap();
    place
}

/// Waits for the end of a run, and returns its report.
fn ended(served: &Served, run: &str) -> Value {
    let path = format!("/api/v1/runs/{run}");
    wait_until("the run ends", || !served.get(&path)["finished_at"].is_null());
    served.get(&path)
}

fn define(served: &Served, definition: &Value) -> (u16, Value) {
    let answer = served.post("/api/v1/workflows", &definition.to_string());
    (answer.status, answer.json())
}

fn attempts(report: &Value, task: &str) -> u64 {
    let tasks = report["tasks"].as_array().unwrap();
    tasks.iter().find(|one| one["id"] == task).unwrap()["attempt"].as_u64().unwrap()
}

#[test]
fn a_workflow_as_data_lives_on_a_file() {
    live(&on_file());
}

#[test]
fn a_workflow_as_data_lives_on_a_server() {
    let schema = server();
    live(&Place { database: schema.url().to_owned(), ..on_file() });
}

fn live(place: &Place) {
    let served = Served::start(place);
    let apply = |file: &str| place.json(&["workflow", "apply", file, "--server", &served.url]);
    served.register(&place.path().join("numbers.cloacina"));
    let first = apply("nightly.toml");
    assert_eq!(
        (&first["is_new"], &first["state"], &first["name"]),
        (&true.into(), &"active".into(), &"nightly".into())
    );
    assert_eq!(first["version"], "1.0.0");
    assert_eq!(apply("nightly.toml")["is_new"], false, "the same content again changes nothing");
    let report = ended(&served, &served.submit(r#"{"workflow": "nightly", "input": {"order": 3}}"#));
    assert_eq!(states(&report), "completed: completed completed completed completed completed");
    assert_eq!(attempts(&report, "shaky"), 3);
    let run = report["run"].as_str().unwrap();
    let context = &served.get(&format!("/api/v1/runs/{run}/context"))["context"];
    assert_eq!([&context["number"], &context["doubled"], &context["order"]], [7, 14, 3]);

    // What the tasks use is pinned, and every way to the workflow says so.
    let shown = served.get("/api/v1/workflows/nightly");
    let version = &served.get("/api/v1/packages/numbers")["content_digest"];
    let seed = format!("numbers::all::seed@{}", version.as_str().unwrap());
    assert_eq!([&shown["uses"]["seed"], &shown["uses"]["rest"]], [seed.as_str(), "sleep"], "{shown}");
    assert_eq!(place.json(&["workflow", "show", "nightly", "--server", &served.url]), shown);
    assert_eq!(place.json(&["workflow", "show", "nightly"]), shown);
    assert!(served.get("/api/v1/workflows/all").get("uses").is_none(), "a package has its own functions");
    archives(place, &served);

    // Another content is another version, which new runs get at once; its order of members does not matter.
    let mut second = json!({ "name": "nightly", "tasks": [{ "uses": "noop", "id": "only" }] });
    let (status, defined) = define(&served, &second);
    assert_eq!((status, &defined["state"]), (201, &"active".into()), "{defined}");
    assert!(defined["version"].as_str().unwrap().starts_with("1.0.0+"), "{defined}");
    second["tasks"][0] = json!({ "id": "only", "uses": "noop", "priority": 0 });
    assert_eq!(define(&served, &second).0, 200);
    let n_tasks = || served.get("/api/v1/workflows/nightly")["tasks"].clone();
    assert_eq!(n_tasks(), 1);
    let version = format!("nightly@{}", defined["version"].as_str().unwrap());
    let difference = place.json(&["workflow", "diff", "nightly@1.0.0", &version]);
    assert_eq!(difference["workflows"][0]["tasks"].as_array().unwrap().len(), 6, "{difference}");
    let on_server = |arguments: &[&str]| place.json(&[arguments, &["--server", &served.url]].concat());
    assert_eq!(on_server(&["workflow", "rollback", "nightly"])["version"], "1.0.0");
    assert_eq!(n_tasks(), 5);
    on_server(&["workflow", "activate", &version]);
    assert_eq!(n_tasks(), 1);
    assert_eq!(served.get("/api/v1/packages?name=nightly").as_array().unwrap().len(), 2);
    assert_eq!(served.get("/api/v1/packages/nightly/events").as_array().unwrap().len(), 9);

    // Another program finds all of it in the database.
    assert_eq!(served.end(), Some(0));
    let served = Served::start(place);
    assert_eq!(served.get("/api/v1/workflows/nightly")["tasks"], 1);
    let pinned = r#"{"workflow": "nightly", "version": "1.0.0"}"#;
    assert_eq!(states(&ended(&served, &served.submit(pinned))).split_once(':').unwrap().0, "completed");

    // A package is not removed while a workflow uses it, and its quarantine is one of the workflow.
    let used = served.ask(&["-X", "DELETE", "/api/v1/packages/numbers@0.1.0"]);
    assert_eq!((used.status, &used.json()["code"]), (409, &"REG0018".into()), "{used:?}");
    served.post("/api/v1/packages/numbers@0.1.0/quarantine", r#"{"reason": "odd numbers"}"#);
    let refused = served.post("/api/v1/runs", pinned);
    assert_eq!((refused.status, &refused.json()["code"]), (403, &"REG0010".into()), "{refused:?}");
    assert!(refused.text().contains("odd numbers"));
    served.post("/api/v1/packages/numbers@0.1.0/release", "{}");
    assert_eq!(ended(&served, &served.submit(pinned))["state"], "completed");
    assert_eq!(served.ask(&["-X", "DELETE", "/api/v1/packages/nightly@1.0.0"]).status, 204);
    assert_eq!(served.ask(&["-X", "DELETE", "/api/v1/packages/numbers@0.1.0"]).status, 204);
    assert_eq!(served.end(), Some(0));
}

/// The archive of a version is downloaded as it was sent, once.
fn archives(place: &Place, served: &Served) {
    let path = "/api/v1/packages/numbers@0.1.0/archive";
    let sent = fs::read(place.path().join("numbers.cloacina")).unwrap();
    let tag = format!("\"{}\"", Digest::of(&sent));
    let answer = served.curl(&[], path).output().unwrap().stdout;
    let head = String::from_utf8_lossy(&answer[..answer.len() - sent.len()]).to_lowercase();
    assert!(answer.ends_with(&sent), "the bytes are those that were sent");
    assert!(head.starts_with("http/1.1 200") && head.contains(&format!("etag: {tag}")), "{head}");
    let unless = |tags: &str| served.curl(&["-H", &format!("if-none-match: {tags}")], path).output().unwrap().stdout;
    assert!(unless(&format!("\"other\", {tag}")).starts_with(b"HTTP/1.1 304"));
    assert!(unless("\"other\"").ends_with(&sent));
    let defined = served.get("/api/v1/packages/nightly/archive");
    assert_eq!((&defined["name"], &defined["tasks"][1]["uses"]), (&"nightly".into(), &"sleep".into()));
    let unknown = served.ask(&["/api/v1/packages/nothing/archive"]);
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &"REG0004".into()), "{unknown:?}");
}

#[test]
fn a_sleep_is_cancelled_and_goes_on_after_a_kill_on_a_file() {
    sleeps(&on_file());
}

#[test]
fn a_sleep_is_cancelled_and_goes_on_after_a_kill_on_a_server() {
    let schema = server();
    sleeps(&Place { database: schema.url().to_owned(), ..on_file() });
}

fn sleeps(place: &Place) {
    let served = Served::start(place);
    let resting = |ms: u64| {
        json!({ "name": format!("sleep_{ms}"), "tasks": [
            { "id": "first", "uses": "noop" },
            { "id": "rest", "uses": "sleep", "with": { "ms": ms }, "dependencies": ["first"] },
            { "id": "last", "uses": "noop", "dependencies": ["rest"] },
        ] })
    };
    for ms in [3_000, 3_600_000] {
        assert_eq!(define(&served, &resting(ms)).0, 201);
    }
    let begun = |workflow: &str| {
        let run = served.submit(&json!({ "workflow": workflow }).to_string());
        let path = format!("/api/v1/runs/{run}");
        wait_until("it sleeps", || served.get(&path)["tasks"][1]["state"] == "running");
        run
    };
    let cancelled = begun("sleep_3600000");
    served.post(&format!("/api/v1/runs/{cancelled}/cancel"), "");
    let report = ended(&served, &cancelled);
    assert_eq!(states(&report).split_once(':').unwrap().0, "cancelled", "{report}");

    let run = begun("sleep_3000");
    served.signal("KILL");
    drop(served);
    let served = Served::start(place);
    let report = ended(&served, &run);
    assert_eq!(states(&report), "completed: completed completed completed");
    assert_eq!((attempts(&report, "first"), attempts(&report, "rest")), (1, 2), "what completed is not repeated");
    assert_eq!(served.end(), Some(0));
}

#[test]
fn mistakes_of_a_definition_name_the_file_the_line_and_what_to_do() {
    let place = on_file();
    let refused = |definition: &str, expected: &[&str]| {
        fs::write(place.path().join("wrong.toml"), definition).unwrap();
        let output = place.output(&["workflow", "apply", "wrong.toml"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        for part in expected {
            assert!(said.contains(part), "{part:?} in {said}");
        }
    };
    place.json(&["package", "register", "numbers.cloacina"]);
    refused("name = \"w\"\n\n[[tasks]]\nid = \"a\"\nuse = \"noop\"\n", &["wrong.toml", "DSC0021", "line 5", "`use`"]);
    refused(
        "name = \"w\"\n[[tasks]]\nid = \"a\"\nuses = \"numbers::all::sed\"\n[[tasks]]\nid = \"b\"\nuses = \"none::all::seed\"\n",
        &[
            "line 3",
            "DSC0022",
            "has no task `sed`",
            "did you mean `seed`?",
            "line 6",
            "no package `none` is registered",
        ],
    );
    refused(
        "name = \"w\"\n[[tasks]]\nid = \"a\"\nuses = \"noop\"\ndependencies = [\"b\"]\n[[tasks]]\nid = \"b\"\nuses = \"sleep\"\nwith = { s = 1 }\ndependencies = [\"a\"]\n",
        &["DSC0003", "DSC0023", "line 7", "unknown field `s`"],
    );
    let output = place.output(&["workflow", "apply", "gone.toml"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("gone.toml"));

    // What a directory of the database has is found without a server, too.
    place.json(&["workflow", "apply", "nightly.toml"]);
    let versioned = NIGHTLY.replacen("name", "version = \"1.0.0\"\ntimeout_ms = 9000\nname", 1);
    fs::write(place.path().join("other.toml"), versioned).unwrap();
    assert_eq!(place.code(&["workflow", "apply", "other.toml"]), (Some(3), "REG0001".to_owned()));
    assert_eq!(place.json(&["workflow", "list"])["workflows"][0]["name"], "public::nightly::nightly");
}

#[test]
fn two_servers_of_one_database_have_the_same_workflows_as_data() {
    let schema = server();
    let place = Place { database: schema.url().to_owned(), ..on_file() };
    let (here, there) = (Served::start(&place), Served::start(&place));
    here.register(&place.path().join("numbers.cloacina"));
    let version = |tasks: Value| json!({ "name": "shared", "tasks": tasks });
    let seed = json!({ "id": "seed", "uses": "numbers::all::seed" });
    let double = json!({ "id": "double", "uses": "numbers::all::double", "dependencies": ["seed"] });
    assert_eq!(define(&here, &version(json!([seed]))).0, 201);
    let tasks = |served: &Served| {
        let report = ended(served, &served.submit(r#"{"workflow": "shared"}"#));
        assert_eq!(report["state"], "completed", "{report}");
        report["tasks"].as_array().unwrap().len()
    };
    assert_eq!(tasks(&there), 1);
    assert_eq!(define(&there, &version(json!([seed, double]))).0, 201);
    assert_eq!(tasks(&there), 2);
    wait_until("the other server has the version", || tasks(&here) == 2);
    assert_eq!(here.post("/api/v1/packages/shared/rollback", "").status, 200);
    assert_eq!(tasks(&here), 1);
    wait_until("the other server goes back", || tasks(&there) == 1);
    assert_eq!([here.end(), there.end()], [Some(0), Some(0)]);
}

#[test]
fn a_difference_tells_what_the_tasks_use() {
    let place = on_file();
    for (file, ms) in [("one.toml", 5), ("two.toml", 9)] {
        let text = format!("name = \"rests\"\n[[tasks]]\nid = \"rest\"\nuses = \"sleep\"\nwith = {{ ms = {ms} }}\n");
        fs::write(place.path().join(file), text).unwrap();
    }
    let version = |file: &str| {
        let applied = place.json(&["workflow", "apply", file]);
        format!("rests@{}", applied["version"].as_str().unwrap())
    };
    let (one, two) = (version("one.toml"), version("two.toml"));
    let difference = place.json(&["workflow", "diff", &one, &two]);
    let attributes = &difference["workflows"][0]["tasks"][0]["attributes"];
    let expected = json!([{ "name": "with", "old": { "ms": 5 }, "new": { "ms": 9 } }]);
    assert_eq!(*attributes, expected, "{difference}");
}

#[test]
fn a_tenant_that_requires_signatures_accepts_no_definition_without_one() {
    let place = on_file();
    place.json(&["key", "generate", "ops", "--keys", "keys"]);
    place.json(&["trust", "add", "keys/ops.pub", "--name", "ops"]);
    place.json(&["trust", "require", "1"]);
    fs::write(place.path().join("only.toml"), "name = \"only\"\n[[tasks]]\nid = \"a\"\nuses = \"noop\"\n").unwrap();
    let (_, code) = place.code(&["workflow", "apply", "only.toml"]);
    assert!(code.starts_with("SIG"), "{code}");
}
