//! Requests that schemathesis makes of the description, valid ones and others, sent with each role and without a login: every
//! answer has a status, a media type, headers and a body that the description has for it, and none is a fault of the server.
//!
//! The same few thousand requests are made each time, of all roles side by side. `CLOACINA_TEST_SCHEMATHESIS=N` sends N others to each operation instead.

use std::{fs, thread};

use cloacina::Value;

use super::{
    access::{Client, first_admin},
    client::Served,
    python::{Python, succeeds},
};
use crate::steer::Place;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// The rules of the description as a whole.
const LINTER: &str = "openapi-spec-validator==0.9.0";

/// How many generated requests each operation gets, beside those at the limits of each of its parameters.
const EXAMPLES: &str = "3";

/// What each answer is checked for. That valid requests succeed is not among it, as a name that nobody has is valid, too.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,allow_header_conformance,missing_required_header";

/// Whose requests they are, and how many operations answer one with success at least.
const ROLES: [(&str, usize); 6] =
    [("every tenant", 50), ("admin", 50), ("operator", 35), ("viewer", 25), ("worker", 5), ("nobody", 4)];

#[test]
fn every_answer_is_one_that_the_description_has() {
    let place = Place::new();
    let python = Python::with(place.path(), &[SCHEMATHESIS, LINTER]);
    let unlimited = ["--credential-rate", "0", "--tenant-rate", "0"];
    let (served, started) = Served::start_with_login_and(&place, &unlimited);
    let described = served.get("/openapi.json");
    let file = place.path().join("openapi.json");
    fs::write(&file, described.to_string()).unwrap();
    succeeds(python.program("openapi-spec-validator").args(["--errors", "all"]).arg(&file));

    fs::write(place.path().join("schemathesis.toml"), settings(&described)).unwrap();
    // The tasks of all runs end at once.
    place.put("go");
    let admin = first_admin(&served, &started).with_own_key();
    let headers = ROLES.map(|(role, _)| somebody(&admin, &place, role));
    thread::scope(|scope| {
        for ((role, n_accepted), headers) in ROLES.into_iter().zip(headers) {
            let (place, python, served) = (&place, &python, &served);
            scope.spawn(move || {
                ask(place, python, served, role, &headers);
                let n_found = accepted(place, role);
                assert!(n_found >= n_accepted, "{role}: {n_found} operations succeeded");
            });
        }
    });
    assert_eq!(served.end(), Some(0));
}

/// The headers of a role in a tenant of its own, which has a package.
fn somebody(admin: &Client<'_>, place: &Place, role: &str) -> Vec<String> {
    let tenant = role.replace(' ', "-");
    admin.make("/api/v1/tenants", &format!(r#"{{"name": "{tenant}"}}"#));
    let form = format!("archive=@{}", place.path().join("steered.cloacina").display());
    let registered = admin.ask(&["-F", &form, &format!("/api/v1/packages?tenant={tenant}")]);
    assert_eq!(registered.status, 201, "{registered:?}");
    match role {
        "nobody" => Vec::new(),
        "every tenant" => vec![bearer(admin), format!("cloacina-tenant: {tenant}")],
        _ => vec![bearer(&admin.with_key(&tenant, role))],
    }
}

fn bearer(client: &Client<'_>) -> String {
    format!("authorization: Bearer {}", client.credential)
}

/// Sends the requests with these headers.
#[expect(clippy::disallowed_methods, reason = "a longer test is asked for by a variable")]
fn ask(place: &Place, python: &Python, served: &Served, role: &str, headers: &[String]) {
    let mut run = python.program("schemathesis");
    run.args(["run", &format!("{}/openapi.json", served.url), "--no-color", "--warnings", "off", "--checks", CHECKS]);
    match std::env::var("CLOACINA_TEST_SCHEMATHESIS") {
        Ok(n_examples) => run.args(["--max-examples", &n_examples]),
        Err(_) => run.args(["--max-examples", EXAMPLES, "--generation-deterministic"]),
    };
    // A stream of a run that waits does not end.
    run.args(["--exclude-path-regex", "/stream$", "--report", "json", "--report-json-path", &report(role)]);
    for header in headers {
        run.args(["-H", header]);
    }
    succeeds(run.current_dir(place.path()));
}

fn report(role: &str) -> String {
    format!("{role}.json")
}

/// How many operations answered a request with success.
fn accepted(place: &Place, role: &str) -> usize {
    let report: Value = serde_json::from_slice(&fs::read(place.path().join(report(role))).unwrap()).unwrap();
    assert_eq!(report["operations"]["tested"], report["operations"]["selected"], "{report}");
    let rates = report["valid_rates"].as_object().unwrap();
    let is_accepted = |phases: &&Value| phases.as_object().unwrap().values().any(|phase| phase["accepted"] != 0);
    rates.values().filter(is_accepted).count()
}

/// The names that requests use now and then, and the operations that say that they do nothing yet.
fn settings(described: &Value) -> String {
    let operations =
        described["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let not_yet = operations.filter(|operation| operation["responses"]["501"].is_object());
    let not_yet: Vec<&str> = not_yet.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    format!("{NAMES}\n[[operations]]\ninclude-operation-id = {not_yet:?}\n{NOT_YET}\n")
}

const NAMES: &str = r#"
continue-on-failure = true

[dictionaries]
workflow.values = ["held", "flaky", "steered::held"]
package.values = ["steered", "steered@0.1.0"]
task.values = ["wait", "second"]

[parameters]
"path.workflow" = { dictionary = "workflow", probability = 0.5 }
"path.package" = { dictionary = "package", probability = 0.5 }
"path.task" = { dictionary = "task", probability = 0.5 }
"body.workflow" = { dictionary = "workflow", probability = 0.5 }
"body.type" = { dictionary = "workflow", probability = 0.5 }
"body.task" = { dictionary = "task", probability = 0.5 }
"#;

const NOT_YET: &str = r#"checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 501]"#;
