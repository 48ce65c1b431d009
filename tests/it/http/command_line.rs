//! The command line on a server: each verb prints what it prints on the database of that server, and what a server cannot do
//! is refused before anything is done.

use std::process::Output;

use cloacina::Value;

use super::client::Served;
use crate::steer::{Place, id};

/// The same on the server and on its database, as text and as JSON. A text may tell how long ago something was, so that it counts
/// when the database says the same before and after the server.
fn same(place: &Place, served: &Served, arguments: &[&str]) {
    for format in ["human", "json"] {
        let arguments = [arguments, &["--output", format]].concat();
        let on_server = [&arguments[..], &["--server", &served.url]].concat();
        loop {
            let (before, remote, after) =
                (place.output(&arguments), place.output(&on_server), place.output(&arguments));
            let [before, remote, after] = [before, remote, after].map(|output| shown(&output));
            if before == after {
                assert_eq!(remote, before, "{arguments:?}");
                break;
            }
        }
    }
}

/// The exit code and the answer, and the error of a program that reads JSON. The process of an engine is unknown over HTTP.
fn shown(output: &Output) -> (Option<i32>, String, Value) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let error = serde_json::from_str(&stderr).unwrap_or_default();
    match serde_json::from_str::<Value>(&stdout) {
        Ok(mut document) => {
            if let Some(engine) = document.get_mut("engine").and_then(Value::as_object_mut) {
                engine.remove("pid");
            }
            (output.status.code(), document.to_string(), error)
        }
        Err(_) => (output.status.code(), stdout, error),
    }
}

fn on(served: &Served, place: &Place, arguments: &[&str]) -> Value {
    place.json(&[arguments, &["--server", &served.url]].concat())
}

#[test]
fn verbs_show_on_a_server_what_they_show_on_its_database() {
    let place = Place::new();
    let served = Served::start(&place);
    let archive = place.path().join("steered.cloacina").display().to_string();
    let registered = on(&served, &place, &["package", "register", &archive]);
    assert_eq!((&registered["is_new"], &registered["is_living"]), (&true.into(), &true.into()));
    place.put("go");
    let create = |workflow: &str| {
        let created = on(&served, &place, &["runs", "create", "--workflow", workflow, "--input", r#"{"number": 7}"#]);
        assert_eq!(created["state"], "pending");
        id(&created).to_owned()
    };
    let (ended, failed, waiting) = (create("held"), create("flaky"), create("held"));
    let ran = on(&served, &place, &["runs", "execute", &ended]);
    assert_eq!(ran["state"], "completed");
    let output = place.output(&["runs", "start", &failed, "--server", &served.url]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");

    for run in [&ended, &failed, &waiting] {
        for verb in ["show", "events", "usage", "logs", "context", "why"] {
            same(&place, &served, &["runs", verb, run]);
        }
        same(&place, &served, &["runs", "events", run, "--task", "third"]);
    }
    for verb in ["wait", "watch"] {
        same(&place, &served, &["runs", verb, &ended]);
        same(&place, &served, &["runs", verb, &failed]);
    }
    for arguments in [
        &["runs", "list"][..],
        &["runs", "list", "--limit", "2"],
        &["runs", "list", "--state", "failed,completed", "--workflow", "flaky"],
        &["runs", "list", "--since", "1h"],
        &["runs", "list", "--tenant", "nobody"],
        &["runs", "dead-letters"],
        &["workflow", "list"],
        &["workflow", "list", "--all"],
        &["workflow", "show", "held"],
        &["workflow", "show", "nothing"],
        &["runs", "show", "latest"],
        &["runs", "context", &ended, "--key", "number"],
        // The same is refused with the same words, hints and exit code.
        &["runs", "show", "00000000"],
        &["runs", "show", "no id"],
        &["runs", "events", &ended, "--task", "fourth"],
        &["runs", "context", &ended, "--key", "none"],
        &["runs", "pause", &ended],
        &["runs", "rerun", &waiting],
        &["runs", "fork", &ended, "--from", "nothing"],
        &["runs", "create", "--workflow", "nothing"],
        &["runs", "cancel", "--all", "--dry-run"],
        &["runs", "delete", "--workflow", "held", "--dry-run"],
        &["package", "activate", "nothing@1.0.0"],
        &["package", "remove", "steered@0.1.0"],
    ] {
        same(&place, &served, arguments);
    }
    assert_eq!(served.end(), Some(0));
}

#[test]
fn runs_are_steered_on_a_server() {
    let place = Place::new();
    let served = Served::start(&place);
    let archive = place.path().join("steered.cloacina").display().to_string();
    on(&served, &place, &["package", "register", &archive]);
    let run = id(&on(&served, &place, &["runs", "create", "--workflow", "held"])).to_owned();
    let verb = |verb: &str| on(&served, &place, &["runs", verb, &run]);
    let started = on(&served, &place, &["runs", "start", &run, "--no-wait"]);
    assert_eq!(started["state"], "running");
    assert_eq!(verb("pause")["state"], "paused");
    let resumed = on(&served, &place, &["runs", "resume", &run, "--no-wait"]);
    assert_eq!(resumed["state"], "running");
    // The actor is that of the credential, whatever runs the command.
    let events = on(&served, &place, &["runs", "events", &run]);
    let by = |kind: &str| {
        let events = events["events"].as_array().unwrap();
        events.iter().find(|event| event["kind"] == kind).map(|event| event["details"]["by"].clone())
    };
    assert!(by("run_paused").is_some(), "{events}");
    verb("cancel");
    place.put("go");
    let ended = place.output(&["runs", "wait", &run, "--server", &served.url]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(verb("show")["state"], "cancelled");
    let again = on(&served, &place, &["runs", "create", "--workflow", "held"]);
    let several = on(&served, &place, &["runs", "cancel", "--all"]);
    assert_eq!((&several["done"], &several["refused"]), (&1.into(), &0.into()), "{several}");
    assert_eq!(several["runs"][0]["run"], again["run"]);
    let deleted = on(&served, &place, &["runs", "delete", "--workflow", "held"]);
    assert_eq!(deleted["runs"].as_array().unwrap().len(), 2);
    assert_eq!(on(&served, &place, &["package", "retire", "steered"])["state"], "retired");
    assert_eq!(on(&served, &place, &["package", "activate", "steered@0.1.0"])["state"], "active");
    let removed = on(&served, &place, &["package", "remove", "steered@0.1.0"]);
    assert_eq!(removed["version"], "0.1.0");
    let shown = on(&served, &place, &["package", "show", "steered"]);
    assert!(shown.get("package").is_none() && shown["events"].is_array(), "{shown}");
}

#[test]
fn what_does_not_work_on_a_server_is_refused_before_it_is_done() {
    let place = Place::new();
    let server = ["--server", "http://127.0.0.1:1"];
    let refused = |arguments: &[&str]| {
        let output = place.output(&[arguments, &["--output", "json"]].concat());
        let error: Value = serde_json::from_slice(&output.stderr).unwrap();
        (output.status.code(), error["error"]["code"].as_str().unwrap().to_owned(), error.to_string())
    };
    for arguments in
        [&["prune"][..], &["backup", "copy.db"], &["serve"], &["demo"], &["trust", "show"], &["trust", "require", "1"]]
    {
        let (code, name, error) = refused(&[arguments, &server].concat());
        assert_eq!((code, name.as_str()), (Some(2), "CTL0065"), "{arguments:?}: {error}");
        assert!(error.contains("http://127.0.0.1:1") && error.contains("--database"), "{error}");
    }
    let (code, name, error) = refused(&["runs", "list", "--server", "http://a", "--database", "b.db"]);
    assert_eq!((code, name.as_str()), (Some(2), "CTL0001"), "{error}");
    assert!(error.contains("--database") && error.contains("--server"), "{error}");
    let (code, name, error) = refused(&[&["runs", "list"][..], &server].concat());
    assert_eq!((code, name.as_str()), (Some(4), "CLN0002"), "{error}");
    assert!(error.contains("http://127.0.0.1:1") && error.contains("check the address"), "{error}");
    for (named, expected) in [("ftp://127.0.0.1", "CLN0001"), ("127.0.0.1:80", "CTL0067")] {
        let (_, name, error) = refused(&["runs", "list", "--server", named]);
        assert!(name == expected && error.contains("http://"), "{named}: {error}");
    }
    let (code, name, error) = refused(&["package", "push", "missing.cloacina", "--server", "http://127.0.0.1:1"]);
    assert_eq!((code, name.as_str()), (Some(2), "CLN0005"), "{error}");
    assert_eq!(error.matches("missing.cloacina").count(), 1, "the file is named once: {error}");
    let mut command = place.command(&["runs", "list", "--output", "json"]);
    let output = command.env("CLOACINA_SERVER", "http://127.0.0.1:1").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("CLN0002"));
    let mut command = place.command(&["runs", "list", "--database", "there.db", "--output", "json"]);
    let output = command.env("CLOACINA_SERVER", "http://127.0.0.1:1").output().unwrap();
    assert!(output.status.success(), "a database that an argument names takes precedence");
}
