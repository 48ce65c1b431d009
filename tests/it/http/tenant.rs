//! Two tenants of one server. The tests send every request that the server describes, as an admin of the tenant `beta`, about
//! everything that the tenant `acme` has.
//!
//! A new route is tested by its description. A parameter of a path that the tests do not know fails them.

use std::collections::BTreeMap;

use cloacina::Value;

use super::{
    access::{Client, PASSWORD, first_admin, routes},
    client::{Answer, Served},
};
use crate::{sharing::server, steer::Place};

const JSON: &str = "content-type: application/json";

/// Requests that belong to no tenant.
const OF_NOBODY: [&str; 6] = ["/errors/{code}", "/health", "/live", "/ready", "/api/system/health", "/auth/"];

/// What a tenant has.
pub(super) struct Things {
    tenant: &'static str,
    run: String,
    workflow: &'static str,
    package: &'static str,
    user: &'static str,
    key: String,
    worker: String,
}

impl Things {
    /// The path with these things as its parameters.
    fn fill(&self, path: &str) -> String {
        let job = format!("job_{}", self.run.replace('-', ""));
        let of_paths = [
            ("/tasks/{task}/{verb}", "/tasks/{task}/retry"),
            ("/{verb}", "/pause"),
            ("/tasks/{task}", "/tasks/second"),
            ("/context/{key}", "/context/number"),
            ("/runs/{run}", &format!("/runs/{}", self.run)),
            ("/runs/named/{beginning}", &format!("/runs/named/{}", self.run)),
            ("/workflows/{workflow}", &format!("/workflows/{}", self.workflow)),
            ("/packages/{package}", &format!("/packages/{}", self.package)),
            ("/users/{name}", &format!("/users/{}", self.user)),
            ("/keys/{id}", &format!("/keys/{}", self.key)),
            ("/pipelines/{id}", &format!("/pipelines/{}", self.workflow)),
            ("/tasks/{id}", &format!("/tasks/{}", self.workflow)),
            ("/executions/{id}", &format!("/executions/{}", self.run)),
            ("/api/v1/jobs/{id}", &format!("/api/v1/jobs/{}", self.run)),
            ("/jobs/{job_id}", &format!("/jobs/{job}")),
            ("/workers/{id}", &format!("/workers/{}", self.worker)),
        ];
        let filled = of_paths.into_iter().fold(path.to_owned(), |filled, (place, value)| filled.replace(place, value));
        assert!(!filled.contains('{'), "{path}: the test knows no value for a parameter");
        filled
    }

    /// A body that the request accepts, and that names these things where it can.
    fn body(&self, method: &str, path: &str) -> Option<String> {
        let Self { tenant, run, workflow, .. } = self;
        let body = match path {
            _ if method == "GET" || method == "DELETE" => return None,
            "/api/v1/runs" => format!(r#"{{"workflow": "{workflow}"}}"#),
            "/api/v1/runs/bulk" => format!(r#"{{"action": "cancel", "filter": {{"tenant": "{tenant}"}}}}"#),
            "/api/v1/runs/short-ids" => format!(r#"["{run}"]"#),
            "/api/v1/tenants" => format!(r#"{{"name": "{tenant}"}}"#),
            "/api/v1/users" => {
                format!(r#"{{"name": "mallory", "tenant": "{tenant}", "role": "admin", "password": "{PASSWORD}"}}"#)
            }
            "/api/v1/keys" => format!(r#"{{"name": "mallory", "tenant": "{tenant}", "role": "admin"}}"#),
            "/api/v1/pipelines" => r#"{"name": "mine"}"#.to_owned(),
            "/api/v1/workflows" => r#"{"name": "defined", "tasks": [{"id": "rest", "uses": "noop"}]}"#.to_owned(),
            "/api/v1/jobs" => format!(r#"{{"pipeline_id": "{workflow}"}}"#),
            "/jobs" => format!(r#"{{"type": "{workflow}"}}"#),
            "/api/v1/execute" => format!(r#"{{"job_id": "{run}"}}"#),
            "/api/v1/schedule" => format!(r#"{{"job_id": "{run}", "cron": "* * * * *"}}"#),
            "/api/v1/workers" | "/api/workers" => r#"{"type": "rust"}"#.to_owned(),
            _ if path.ends_with("/password") => format!(r#"{{"password": "{PASSWORD}!"}}"#),
            _ if path.ends_with("/quarantine") => r#"{"reason": "mine"}"#.to_owned(),
            _ if path.ends_with("/fork") => r#"{"task": "second"}"#.to_owned(),
            _ => "{}".to_owned(),
        };
        Some(body)
    }

    /// The names and ids of these things, those that have others in them first.
    fn names(&self) -> [&str; 7] {
        [&self.run, self.workflow, self.package, self.user, &self.key, &self.worker, self.tenant]
    }
}

/// The tenant `acme` with one of everything; and things that nobody has, whose names are as long.
pub(super) struct World<'a> {
    acme: Client<'a>,
    beta: Client<'a>,
    pub(super) there: Things,
    pub(super) unknown: Things,
}

impl<'a> World<'a> {
    pub(super) fn new(place: &Place, served: &'a Served, started: &Value) -> Self {
        let admin = first_admin(served, started);
        for tenant in ["acme", "beta"] {
            admin.make("/api/v1/tenants", &format!(r#"{{"name": "{tenant}"}}"#));
        }
        let [acme, beta] = ["acme", "beta"].map(|tenant| admin.with_key(tenant, "admin"));
        let form = format!("archive=@{}", place.path().join("steered.cloacina").display());
        let registered = acme.ask(&["-F", &form, "/api/v1/packages?tenant=acme"]);
        assert_eq!(registered.status, 201, "{registered:?}");
        let submitted = acme.post("/api/v1/runs", r#"{"workflow": "held", "held": true}"#);
        let run = submitted.json()["run"].as_str().unwrap().to_owned();
        acme.make(
            "/api/v1/users",
            &format!(r#"{{"name": "ann-of-acme", "role": "viewer", "password": "{PASSWORD}"}}"#),
        );
        let key = acme.make("/api/v1/keys", r#"{"name": "ci-of-acme", "role": "viewer"}"#);
        let worker = acme.make("/api/v1/workers", r#"{"type": "rust"}"#);
        let [key, worker] = [&key, &worker].map(|made| made["id"].as_str().unwrap().to_owned());
        let unknown = Things {
            tenant: "acne",
            run: other(&run),
            workflow: "acne::steered::held",
            package: "acme::stooped@0.1.0",
            user: "bob-of-acme",
            key: other(&key),
            worker: other(&worker),
        };
        let there = Things {
            tenant: "acme",
            run,
            workflow: "acme::steered::held",
            package: "acme::steered@0.1.0",
            user: "ann-of-acme",
            key,
            worker,
        };
        Self { acme, beta, there, unknown }
    }

    /// Everything that `acme` sees, by request.
    fn seen(&self, routes: &[(String, String)]) -> BTreeMap<String, String> {
        let reads = routes.iter().filter(|(method, path)| method == "GET" && !path.ends_with("/stream"));
        reads
            .map(|(_, path)| {
                let asked = self.there.fill(path);
                let answer = self.acme.ask(&["-H", "x-request-id: same", &asked]);
                let text = if path.ends_with("/keys") { without_uses(&answer) } else { answer.text() };
                // A worker without heartbeats is shown as offline after a while.
                (asked, text.replace("offline", "online"))
            })
            .collect()
    }
}

/// Another id of the same form.
fn other(id: &str) -> String {
    let (begin, end) = id.split_at(id.len() - 4);
    format!("{begin}{}", if end == "0000" { "1111" } else { "0000" })
}

/// The keys, without when each was used: the requests of the test use one of them.
fn without_uses(keys: &Answer) -> String {
    let mut keys = keys.json();
    for key in keys.as_array_mut().unwrap() {
        key.as_object_mut().unwrap().remove("used_at");
    }
    keys.to_string()
}

/// What an answer shows, with the value that was asked for replaced.
fn shown(answer: &Answer, asked: &Things) -> (u16, String, String) {
    let job = asked.run.replace('-', "");
    let hide = |text: String| {
        asked.names().into_iter().fold(text, |text, value| text.replace(value, "VALUE")).replace(&job, "VALUE")
    };
    let head = answer.head.lines().skip(1).filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    (answer.status, hide(head.collect::<Vec<_>>().join("\n")), hide(answer.text()))
}

pub(super) fn is_of_a_tenant(path: &str) -> bool {
    !OF_NOBODY.iter().any(|begin| path.starts_with(begin))
}

#[test]
fn a_tenant_sees_and_changes_nothing_of_another_on_a_file() {
    two_tenants(&Place::new());
}

#[test]
fn a_tenant_sees_and_changes_nothing_of_another_on_a_server() {
    let schema = server();
    two_tenants(&Place { database: schema.url().to_owned(), ..Place::new() });
}

fn two_tenants(place: &Place) {
    let (served, started) = Served::start_with_login(place);
    let world = World::new(place, &served, &started);
    let described = routes(&served);
    let of_tenants: Vec<(String, String)> =
        described.iter().filter(|(_, path)| is_of_a_tenant(path)).cloned().collect();
    let before = world.seen(&of_tenants);
    assert!(before[&format!("/api/v1/runs/{}", world.there.run)].contains("held"), "{before:?}");

    let mut n_compared = 0;
    for (method, path) in &of_tenants {
        if path.contains('{') {
            unknown_is_as_of_another(&world, method, path);
            n_compared += 1;
        } else {
            nothing_is_told(&world, method, path);
        }
    }
    assert!(n_compared > 40, "{n_compared}");
    queries_tell_nothing(&world, &served);
    assert_eq!(world.seen(&of_tenants), before);
}

/// What `beta` is answered when it sends the request about these things.
pub(super) fn ask(world: &World<'_>, things: &Things, method: &str, path: &str) -> Answer {
    let (asked, body) = (things.fill(path), things.body(method, path));
    let body = body.as_deref().map(|body| ["-H", JSON, "-d", body]);
    let body = body.as_ref().map_or(&[][..], |body| &body[..]);
    world.beta.ask(&[&["-X", method, "-H", "x-request-id: same"], body, &[&asked]].concat())
}

/// The same request about something of `acme` and about something that nobody has gets the same answer.
fn unknown_is_as_of_another(world: &World<'_>, method: &str, path: &str) {
    let [theirs, none] = [&world.there, &world.unknown].map(|things| shown(&ask(world, things, method, path), things));
    assert_eq!(theirs, none, "{method} {path}");
    let is_nothing = [404, 501].contains(&theirs.0) || (theirs.0 == 200 && theirs.2 == "[]");
    assert!(is_nothing, "{method} {path}: {theirs:?}");
}

/// A request without parameters in its path tells nothing of `acme`; if its body names something of `acme`, the answer is the
/// same as about something that nobody has.
fn nothing_is_told(world: &World<'_>, method: &str, path: &str) {
    let answer = ask(world, &world.there, method, path);
    let is_answered = [200, 201, 202, 403, 404, 415, 422, 501].contains(&answer.status);
    assert!(is_answered && !answer.text().contains("SRV0002"), "{method} {path}: {answer:?}");
    let [sent, other] = [&world.there, &world.unknown].map(|things| things.body(method, path));
    assert_marks(world, sent.as_deref().unwrap_or_default(), &answer.text(), &format!("{method} {path}"));
    if sent != other {
        let unknown = ask(world, &world.unknown, method, path);
        assert_eq!(shown(&answer, &world.there), shown(&unknown, &world.unknown), "{method} {path}");
    }
}

/// Each parameter of a query, with each thing of `acme` as its value.
fn queries_tell_nothing(world: &World<'_>, served: &Served) {
    let described = served.get("/openapi.json");
    let mut n_asked = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        let names = parameters.filter(|parameter| parameter["in"] == "query").map(|parameter| &parameter["name"]);
        for name in names.filter(|_| !path.contains('{') && is_of_a_tenant(path)) {
            for value in world.there.names().into_iter().chain(["held", "acme-admin", "0", "1", "true"]) {
                let asked = format!("{path}?{}={value}", name.as_str().unwrap());
                let answer = world.beta.ask(&[&asked]);
                assert!(answer.status < 500, "{asked}: {answer:?}");
                assert_marks(world, value, &answer.text(), &asked);
                n_asked += 1;
            }
        }
    }
    assert!(n_asked > 100, "{n_asked}");
}

fn assert_marks(world: &World<'_>, sent: &str, answered: &str, asked: &str) {
    let marks = world.there.names().into_iter().chain(["steered", "ci-of-acme"]);
    for mark in marks.filter(|mark| !sent.contains(mark)) {
        assert!(!answered.contains(mark), "{asked} tells {mark}: {answered}");
    }
}
