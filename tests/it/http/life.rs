//! The life of a package and of its runs over HTTP, on both databases.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use cloacina::Value;

use super::client::Served;
use crate::{
    json::check,
    sharing::server,
    steer::{Place, states},
};

const HELD: &str = r#"{"workflow": "held"}"#;

#[test]
fn a_package_and_its_run_live_over_http_on_a_file() {
    live(&Place::new());
}

#[test]
fn a_package_and_its_run_live_over_http_on_a_server() {
    let schema = server();
    live(&Place { database: schema.url().to_owned(), ..Place::new() });
}

fn live(place: &Place) {
    let served = Served::start(place);
    let health = served.get("/health");
    assert_eq!([&health["status"], &health["checks"][0]["name"]], ["ok", "database"], "{health}");
    assert_eq!([served.ask(&["/live"]).status, served.ask(&["/ready"]).status], [204, 204]);

    let archive = place.path().join("steered.cloacina");
    let (status, registered) = served.register(&archive);
    assert_eq!(
        (status, &registered["registration"]["is_new"], &registered["state"]),
        (201, &true.into(), &"active".into())
    );
    assert_eq!(served.register(&archive).0, 200, "the same content again is accepted");
    let raw = format!("@{}", archive.display());
    let again = ["-H", "content-type: application/octet-stream", "--data-binary", &raw, "/api/v1/packages"];
    assert_eq!(served.ask(&again).status, 200);
    assert_eq!(served.get("/api/v1/packages").as_array().unwrap().len(), 1);
    let version = served.get("/api/v1/packages/steered@0.1.0");
    assert_eq!(version["content_digest"], registered["content_digest"]);
    assert_eq!(served.get("/api/v1/packages/steered/events")[0]["event"], "registered");
    let workflows = served.get("/api/v1/workflows");
    assert_eq!(workflows[1]["name"], "public::steered::held", "{workflows}");

    let answer = served.ask(&[
        "-H",
        "content-type: application/json",
        "-H",
        "idempotency-key: once",
        "-d",
        r#"{"workflow": "held", "input": {"number": 7, "password": "TopSecret99"}, "secrets": ["password"]}"#,
        "/api/v1/runs",
    ]);
    assert_eq!(answer.status, 202, "{answer:?}");
    let run = answer.json()["run"].as_str().unwrap().to_owned();
    let at = format!("/api/v1/runs/{run}");
    assert_eq!(answer.header("location"), Some(at.as_str()));
    // The same key is the same run, whatever else is said.
    let repeated = served.submit(r#"{"workflow": "held", "key": "once"}"#);
    assert_eq!(repeated, run);

    let paused = served.post(&format!("{at}/pause"), "").json();
    assert_eq!(paused["state"], "paused");
    let why = served.get(&format!("{at}/why"));
    assert_eq!(why["waiting"].as_array().unwrap().len(), 2, "{why}");
    assert!(why["waiting"][0]["gates"][0]["text"].is_string());
    assert_eq!(served.post(&format!("{at}/resume"), "").json()["state"], "running");

    // The stream begins before the end of the run, and ends with it.
    let mut stream = served.curl(&["--no-buffer"], &format!("{at}/stream")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(stream.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("\"kind\":\"run_created\"")));
    place.put("go");
    assert!(lines.any(|line| line == "event: end"));
    assert!(lines.next().unwrap().contains("\"state\":\"completed\""));
    assert!(stream.wait().unwrap().success());

    let report = served.get(&at);
    assert_eq!(states(&report), "completed: completed completed completed");
    assert_eq!(served.get(&format!("{at}/tasks")).as_array().unwrap().len(), 3);
    assert_eq!(served.get(&format!("{at}/tasks/second"))["state"], "completed");
    assert_eq!(served.get(&format!("{at}/logs")), Value::Array(Vec::new()));
    assert_eq!(served.get(&format!("{at}/usage"))["total"]["attempts"], 3);
    let context = served.get(&format!("{at}/context"));
    assert_eq!(context["context"]["number"], 7);
    let events = served.get(&format!("{at}/events"));
    let told = [&report, &context, &events].map(Value::to_string).concat();
    assert!(!told.contains("TopSecret99"), "{told}");
    goes_on_where_it_was(&served, &at, &events);

    let listed = served.get("/api/v1/runs?state=completed&workflow=steered::held");
    assert_eq!(listed[0]["run"], run);
    assert_eq!(served.ask(&["-X", "DELETE", &at]).status, 204);
    assert_eq!(served.ask(&[&at]).status, 404);
    assert_eq!(served.ask(&["-X", "DELETE", "/api/v1/packages/steered@0.1.0"]).status, 204);
    assert_eq!(served.get("/api/v1/packages"), Value::Array(Vec::new()));
    assert_eq!(served.end(), Some(0));
}

/// After the id of each item comes the rest, without loss or repetition.
fn goes_on_where_it_was(served: &Served, at: &str, events: &Value) {
    let path = format!("{at}/stream");
    let whole = served.stream(&[], &path);
    let told: Vec<&Value> = whole.iter().filter(|(name, ..)| name == "event").map(|(.., event)| event).collect();
    assert_eq!(told, events.as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(whole.last().unwrap().0, "end");
    for (number, (_, id, _)) in whole.iter().enumerate().filter(|(_, (_, id, _))| !id.is_empty()) {
        let rest = served.stream(&["-H", &format!("last-event-id: {id}")], &path);
        assert_eq!(rest, whole[number + 1..], "after {id}");
    }
}

#[test]
fn a_started_server_is_what_its_page_says() {
    let place = Place::new();
    let served = Served::start(&place);
    let printed = served.printed.replace(&served.url, "http://127.0.0.1:8080");
    check("started-server", "serve --database runs.db --output json", &printed);
}

#[test]
fn runs_are_submitted_and_steered_many_at_once() {
    let place = Place::new();
    let served = Served::start(&place);
    served.register(&place.path().join("steered.cloacina"));
    let list: Vec<&str> = vec![r#"{"workflow": "held", "held": true}"#; 5];
    let answer = served.post("/api/v1/runs", &format!("[{}, {{\"workflow\": \"nothing\"}}]", list.join(",")));
    let outcomes = answer.json();
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!((answer.status, outcomes.len()), (207, 6));
    assert!(outcomes[..5].iter().all(|outcome| outcome["run"].is_string()));
    assert_eq!(outcomes[5]["problem"]["code"], "RUN0001");

    // Pages of two, until no page follows.
    let (mut next, mut seen) = (Some("/api/v1/runs?limit=2&state=pending".to_owned()), Vec::new());
    while let Some(path) = next {
        let page = served.ask(&[&path]);
        let runs = page.json();
        seen.extend(runs.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()));
        let link = page.header("link").map(|link| link.strip_prefix('<').unwrap().split_once('>').unwrap());
        next = link.map(|(path, relation)| {
            assert_eq!(relation, "; rel=\"next\"");
            path.to_owned()
        });
    }
    let submitted = outcomes[..5].iter().rev().map(|outcome| outcome["run"].as_str().unwrap().to_owned());
    let mut expected: Vec<String> = submitted.collect();
    expected.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(seen, expected);

    let bulk = |dry: bool| format!(r#"{{"action": "cancel", "filter": {{"workflow": "held"}}, "dry_run": {dry}}}"#);
    for (dry, outcome) in [(true, "would_be_asked"), (false, "done"), (false, "refused")] {
        let answer = served.post("/api/v1/runs/bulk", &bulk(dry));
        let outcomes = answer.json();
        let outcomes = outcomes.as_array().unwrap();
        assert!(outcomes.len() == 5 && outcomes.iter().all(|one| one["outcome"] == outcome), "{outcomes:?}");
    }
    assert_eq!(served.end(), Some(0));
}

#[test]
fn a_failed_run_is_run_again_over_http() {
    let place = Place::new();
    let served = Served::start(&place);
    served.register(&place.path().join("steered.cloacina"));
    let failed = served.submit(r#"{"workflow": "flaky"}"#);
    let at = format!("/api/v1/runs/{failed}");
    assert_eq!(served.stream(&[], &format!("{at}/stream")).last().unwrap().2["state"], "failed");
    assert_eq!(served.get("/api/v1/dead-letters")[0]["run"], failed);
    place.put("well");
    let again = served.post(&format!("{at}/rerun"), r#"{"failed": true}"#).json();
    let forked = served.post(&format!("{at}/fork"), r#"{"task": "shaky"}"#).json();
    for new in [again, forked] {
        let stream = served.stream(&[], &format!("/api/v1/runs/{}/stream", new["run"].as_str().unwrap()));
        assert_eq!(stream.last().unwrap().2["state"], "completed");
    }
    assert_eq!(served.post(&format!("{at}/dismiss"), "").status, 200);
    assert_eq!(served.get("/api/v1/dead-letters"), Value::Array(Vec::new()));
}

#[test]
fn a_server_ends_with_open_streams_and_its_runs_go_on_with_the_next() {
    let place = Place::new();
    let served = Served::start(&place);
    served.register(&place.path().join("steered.cloacina"));
    let run = served.submit(HELD);
    let path = format!("/api/v1/runs/{run}/stream");
    let mut stream = served.curl(&["--no-buffer"], &path).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(stream.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("event: ")));
    // The first signal lets attempts finish; the second does not wait for this one, which never ends.
    served.signal("TERM");
    assert!(lines.all(|line| line != "event: end"), "the run goes on");
    assert!(stream.wait().unwrap().success(), "the stream ended in order");
    assert_eq!(served.end(), Some(0));

    place.put("go");
    let served = Served::start(&place);
    assert_eq!(served.stream(&[], &path).last().unwrap().2["state"], "completed");
}

#[test]
fn nothing_that_was_acknowledged_is_missing_after_a_kill() {
    let place = Place::new();
    fs::write(place.path().join("go"), "").unwrap();
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        let served = Served::start(&place);
        served.register(&place.path().join("steered.cloacina"));
        acknowledged.extend((0..20).map(|_| served.submit(HELD)));
        served.signal("KILL");
    }
    let served = Served::start(&place);
    for run in acknowledged {
        let stream = served.stream(&[], &format!("/api/v1/runs/{run}/stream"));
        assert_eq!(stream.last().unwrap().2["state"], "completed");
    }
}
