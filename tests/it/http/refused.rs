//! What the server refuses: each with its status, its code and a hint.

use super::client::Served;
use crate::steer::Place;

const JSON: &str = "content-type: application/json";
const RUN: &str = "/api/v1/runs/0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e";

#[test]
fn every_mistake_is_a_problem_with_its_code_and_what_to_do() {
    let place = Place::new();
    let served = Served::start(&place);
    let deep = format!("{{\"workflow\": \"w\", \"input\": {{\"a\": {}1{}}}}}", "[".repeat(500), "]".repeat(500));
    let long = format!("/api/v1/nothing/{}", "x".repeat(2_000));
    let stream = format!("{RUN}/stream");
    let verb = format!("{RUN}/explode");
    let rows: &[(&[&str], u16, &str)] = &[
        (&["/nothing"], 404, "SRV0008"),
        (&["/api/v1/../v1/nothing"], 404, "SRV0008"),
        (&[&long], 404, "SRV0008"),
        (&["-X", "PATCH", "/api/v1/runs"], 405, "SRV0009"),
        (&["-H", JSON, "-d", "{", "/api/v1/runs"], 400, "SRV0001"),
        (&["-H", JSON, "-d", &deep, "/api/v1/runs"], 400, "SRV0001"),
        (&["-H", JSON, "--data-binary", "@/dev/null", "/api/v1/runs"], 400, "SRV0001"),
        (&["-H", JSON, "-d", "{}", "/api/v1/runs"], 422, "SRV0002"),
        (&["-H", JSON, "-d", r#"{"workflow": "w", "inputs": {}}"#, "/api/v1/runs"], 422, "SRV0002"),
        (&["-H", JSON, "-d", r#"{"workflow": "w", "input": 7}"#, "/api/v1/runs"], 422, "SRV0002"),
        (
            &["-H", JSON, "-d", r#"{"workflow": "w", "input": {"a": 99999999999999999999}}"#, "/api/v1/runs"],
            422,
            "SRV0002",
        ),
        (&["-H", JSON, "-d", r#"{"workflow": "w", "secrets": ["a"]}"#, "/api/v1/runs"], 422, "SRV0002"),
        (&["-d", r#"{"workflow": "w"}"#, "/api/v1/runs"], 415, "SRV0003"),
        (&["-H", JSON, "-d", r#"{"workflow": "w"}"#, "/api/v1/runs"], 404, "RUN0001"),
        (&["/api/v1/runs?state=ended"], 400, "SRV0006"),
        (&["/api/v1/runs?limit=0"], 400, "SRV0006"),
        (&["/api/v1/runs?shape=round"], 400, "SRV0006"),
        (&["/api/v1/runs?created_from=yesterday"], 400, "SRV0006"),
        (&["/api/v1/runs?cursor=x"], 400, "SRV0006"),
        (&["/api/v1/runs/x"], 400, "SRV0006"),
        (&["-X", "POST", &verb], 400, "SRV0006"),
        (&["-H", "last-event-id: x", &stream], 400, "SRV0007"),
        (&["-H", "cloacina-tenant: ünï", "/api/v1/runs"], 400, "SRV0007"),
        (&[RUN], 404, "RUN0004"),
        (&[&stream], 404, "RUN0004"),
        (&["/api/v1/packages/nothing"], 404, "REG0004"),
        (&["-H", "host: evil.example", "/api/v1/runs"], 403, "SRV0010"),
        (&["-H", "origin: http://evil.example", "/api/v1/runs"], 403, "SRV0011"),
        (&["-d", "archive", "/api/v1/packages"], 415, "SRV0012"),
        (&["-F", "archive=none", "/api/v1/packages"], 422, "PKG0001"),
        (&["-F", "other=none", "/api/v1/packages"], 422, "SRV0002"),
    ];
    for (arguments, status, code) in rows {
        let answer = served.ask(&[&["--path-as-is"], *arguments].concat());
        assert_eq!(answer.status, *status, "{arguments:?}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{arguments:?}");
        let problem = answer.json();
        assert_eq!(problem["code"], *code, "{arguments:?}: {problem}");
        assert_eq!(problem["status"], *status, "{arguments:?}");
        assert!(!problem["hints"].as_array().unwrap().is_empty(), "{arguments:?}: {problem}");
        assert_eq!(problem["request_id"], answer.header("x-request-id").unwrap(), "{arguments:?}");
    }
    assert!(served.ask(&["/errors/RUN0004"]).text().starts_with("# RUN0004: "));
    let named = served.ask(&["-H", "x-request-id: mine-1", "/nothing"]);
    assert_eq!(named.json()["request_id"], "mine-1");
    let body = vec![b' '; 17 << 20];
    let file = place.path().join("large");
    std::fs::write(&file, body).unwrap();
    let large = served.ask(&["-H", JSON, "--data-binary", &format!("@{}", file.display()), "/api/v1/runs"]);
    assert_eq!((large.status, &large.json()["code"]), (413, &"SRV0004".into()));
    assert_eq!(served.end(), Some(0));
}

#[test]
fn a_server_is_not_started_where_it_could_not_be_reached_or_by_strangers() {
    let place = Place::new();
    let served = Served::start(&place);
    let taken = served.url.trim_start_matches("http://").to_owned();
    for (listen, code, status) in [(taken.as_str(), "SRV0013", 4), ("0.0.0.0:0", "SRV0014", 3)] {
        let refused = place.code(&["dev", "--listen", listen]);
        assert_eq!(refused, (Some(status), code.to_owned()));
    }
}

#[test]
fn a_tenant_that_is_named_sees_its_own_alone() {
    let place = Place::new();
    let served = Served::start(&place);
    served.register(&place.path().join("steered.cloacina"));
    let run = served.submit(r#"{"workflow": "held", "held": true}"#);
    let other = ["-H", "cloacina-tenant: acme"];
    let asked = |path: &str| served.ask(&[&other[..], &[path]].concat());
    assert_eq!(asked("/api/v1/runs").text(), "[]");
    assert_eq!(asked("/api/v1/packages").text(), "[]");
    assert_eq!(asked("/api/v1/workflows").text(), "[]");
    for part in ["", "/tasks", "/events", "/logs", "/context", "/why", "/usage", "/stream", "/logs/stream"] {
        let answer = asked(&format!("/api/v1/runs/{run}{part}"));
        assert_eq!((answer.status, &answer.json()["code"]), (404, &"RUN0004".into()), "{part}");
    }
}
