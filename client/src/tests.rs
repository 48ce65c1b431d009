//! Requests are what the description of the interface says, and texts of the protocol are read as they are meant.

use std::{fs, path::Path};

use cloacina::{Role, RunState, Timestamp, Value};
use hyper::header::{HeaderMap, HeaderValue, LINK};
use serde::Serialize;
use serde_json::json;

use crate::{
    Again, BulkFilter, BulkVerb, Credential, NewApiKey, NewRun, NewUser, Options, RunQuery, Verb,
    access::{NewPassword, NewTenant},
    address::{Address, encoded},
    auth::{Credentials, Refresh},
    package::{Reason, Share},
    page::next_cursor,
    run_control::{Bulk, Forked},
};

/// The description that is checked in, which a test of the server compares with its handlers.
fn described() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/openapi.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Every field of a request is a property of its schema, and every property is a field.
fn fits(name: &str, request: &impl Serialize) {
    let described = described();
    let schema = &described["components"]["schemas"][name]["properties"];
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (mut known, mut sent) = (names(schema), names(&serde_json::to_value(request).unwrap()));
    known.sort();
    sent.sort();
    assert_eq!(sent, known, "{name}");
}

#[test]
fn requests_have_the_fields_of_the_description() {
    let (now, text) = (Timestamp::from_unix_micros(1), "text".to_owned());
    let input = json!({"a": 1}).as_object().unwrap().clone();
    let new = NewRun {
        workflow: text.clone(),
        input: input.clone(),
        secrets: vec![text.clone()],
        held: true,
        at: Some(now),
        version: Some(text.clone()),
        key: Some(text.clone()),
    };
    fits("NewRun", &new);
    let again = Again { failed: true, input: Some(input), version: Some(text.clone()) };
    fits("Again", &again);
    fits("Forked", &Forked { task: "t", again: &Again { failed: false, ..again } });
    let filter = BulkFilter {
        states: vec![RunState::Failed],
        workflow: Some(text.clone()),
        tenant: Some(text.clone()),
        created_from: Some(now),
        created_before: Some(now),
    };
    fits("BulkFilter", &filter);
    let role = Role::Viewer;
    let (name, tenant) = (text.clone(), Some(text.clone()));
    fits("NewUser", &NewUser { name: name.clone(), password: name.clone(), role, tenant: tenant.clone() });
    fits("NewApiKey", &NewApiKey { name, role, tenant, expires_at: Some(now) });
    fits("NewTenant", &NewTenant { name: "a" });
    fits("NewPassword", &NewPassword { password: "a" });
    fits("Credentials", &Credentials { username: "a", password: "b" });
    fits("Refresh", &Refresh { refresh_token: "a" });
    fits("Share", &Share { percent: 1 });
    fits("Reason", &Reason { reason: "r" });
    fits("Bulk", &Bulk { action: BulkVerb::Pause, filter: &filter, dry_run: true });
}

#[test]
fn words_of_requests_are_those_of_the_description() {
    let described = described();
    let words = |schema: &Value| -> Vec<String> {
        schema["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let parameters = &described["paths"]["/api/v1/runs/{run}/{verb}"]["post"]["parameters"];
    let verbs = [Verb::Start, Verb::Execute, Verb::Pause, Verb::Resume, Verb::Cancel, Verb::Retry, Verb::Dismiss];
    assert_eq!(words(&parameters[1]["schema"]), verbs.map(Verb::as_str));
    let bulk = [
        BulkVerb::Start,
        BulkVerb::Pause,
        BulkVerb::Resume,
        BulkVerb::Cancel,
        BulkVerb::Retry,
        BulkVerb::Rerun,
        BulkVerb::Dismiss,
        BulkVerb::Delete,
    ];
    let bulk = bulk.map(|verb| serde_json::to_value(verb).unwrap().as_str().unwrap().to_owned());
    assert_eq!(words(&described["components"]["schemas"]["BulkVerb"]), bulk);
}

#[test]
fn the_filter_of_a_list_has_the_parameters_of_the_description() {
    let described = described();
    let now = Some(Timestamp::from_unix_micros(1));
    let text = Some("a b".to_owned());
    let query = RunQuery {
        states: vec![RunState::Failed, RunState::Paused],
        workflow: text.clone(),
        tenant: text,
        created_from: now,
        created_before: now,
        not_dismissed: true,
    };
    let sent = query.query().to_string();
    assert!(sent.starts_with("?state=failed%2Cpaused&workflow=a%20b&"), "{sent}");
    let mut names: Vec<&str> = sent[1..].split('&').map(|pair| pair.split_once('=').unwrap().0).collect();
    names.extend(["limit", "cursor"]);
    let parameters = described["paths"]["/api/v1/runs"]["get"]["parameters"].as_array().unwrap();
    let mut known: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    known.sort_unstable();
    assert_eq!(names, known);
}

#[test]
fn an_address_is_that_of_a_server_and_nothing_else() {
    for (text, expected) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x"),
        ("http://host/", "http://host/x"),
        ("https://host:8443", "https://host:8443/x"),
        ("http://[::1]:80/below/", "http://[::1]:80/below/x"),
    ] {
        assert_eq!(Address::parse(text).unwrap().of("/x").unwrap(), expected);
    }
    for text in ["", "host", "host:80", "/path", "ftp://host", "http://", "http://me@host", "http://host?a=b", "a b"] {
        let refused = Address::parse(text).unwrap_err();
        assert_eq!(refused.code(), "CLN0001", "{text}");
        assert!(!refused.hints().is_empty());
    }
}

#[test]
fn a_part_of_a_path_cannot_leave_its_place() {
    assert_eq!(encoded("public::shop@1.2.0"), "public%3A%3Ashop%401.2.0");
    assert_eq!(encoded("../a?b#c/%20 ä"), "..%2Fa%3Fb%23c%2F%2520%20%C3%A4");
}

#[test]
fn the_next_page_is_where_the_server_says() {
    let cursor = |link: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, HeaderValue::from_static(link));
        next_cursor(&headers)
    };
    assert_eq!(cursor("</api/v1/runs?limit=2&cursor=abc>; rel=\"next\"").as_deref(), Some("abc"));
    assert_eq!(cursor("</api/v1/runs?cursor=abc&limit=2>; rel=\"next\"").as_deref(), Some("abc"));
    for link in ["</api/v1/runs?cursor=abc>; rel=\"prev\"", "</api/v1/runs>; rel=\"next\"", "nothing"] {
        assert_eq!(cursor(link), None, "{link}");
    }
    assert_eq!(next_cursor(&HeaderMap::new()), None);
}

#[test]
fn a_credential_is_not_shown() {
    let options = Options { credential: Credential::Bearer("TopSecret99".to_owned()), ..Options::default() };
    assert!(!format!("{options:?}").contains("TopSecret99"));
    let client = crate::Client::new("http://127.0.0.1:1", options).unwrap();
    assert!(!format!("{client:?}").contains("TopSecret99"));
}
