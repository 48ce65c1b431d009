//! The interfaces of the products that this one follows: each request of their tables, on both databases.

use std::{collections::BTreeSet, fs};

use cloacina::Value;
use cloacina_tests::root;

use super::client::Served;
use crate::{
    sharing::{server, wait_until},
    steer::Place,
};

const JSON: &str = "content-type: application/json";
/// The id of a run that nobody made.
const NOBODY: &str = "0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e";

#[test]
fn the_jobs_api_is_answered_on_a_file() {
    jobs_api(&Place::new());
}

#[test]
fn the_jobs_api_is_answered_on_a_server() {
    let schema = server();
    jobs_api(&Place { database: schema.url().to_owned(), ..Place::new() });
}

#[test]
fn the_jobs_platform_is_answered_on_a_file() {
    platform(&Place::new());
}

#[test]
fn the_jobs_platform_is_answered_on_a_server() {
    let schema = server();
    platform(&Place { database: schema.url().to_owned(), ..Place::new() });
}

#[test]
fn the_scheduler_is_answered_on_a_file() {
    scheduler(&Place::new());
}

#[test]
fn the_scheduler_is_answered_on_a_server() {
    let schema = server();
    scheduler(&Place { database: schema.url().to_owned(), ..Place::new() });
}

/// Sends the request and returns what the answer with that status holds.
fn ask(served: &Served, request: &str, body: &str, status: u16) -> Value {
    ask_as(served, &[], request, body, status)
}

fn ask_as(served: &Served, options: &[&str], request: &str, body: &str, status: u16) -> Value {
    let (method, path) = request.split_once(' ').unwrap();
    let body = if body.is_empty() { vec![] } else { vec!["-H", JSON, "-d", body] };
    let answer = served.ask(&[&["-X", method][..], options, &body[..], &[path]].concat());
    assert_eq!(answer.status, status, "{request}: {answer:?}");
    answer.json()
}

/// Sends the request, which is refused with that status and that code.
fn refuse(served: &Served, request: &str, body: &str, status: u16, code: &str) -> Value {
    let problem = ask(served, request, body, status);
    assert_eq!(problem["code"], code, "{request}: {problem}");
    problem
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Waits until the run has ended.
fn end(served: &Served, run: &str) {
    assert_eq!(served.stream(&[], &format!("/api/v1/runs/{run}/stream")).last().unwrap().0, "end");
}

fn is_moment(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<cloacina::Timestamp>().is_ok())
}

fn jobs_api(place: &Place) {
    let served = Served::start(place);
    let problem = refuse(&served, "POST /jobs", r#"{"type": "held"}"#, 404, "RUN0001");
    assert!(problem["hints"].to_string().contains("there are no types"), "{problem}");
    served.register(&place.path().join("steered.cloacina"));

    let queued = ask(&served, "POST /jobs", r#"{"type": "held", "payload": {"number": 7}}"#, 202);
    assert_eq!(keys(&queued), ["created_at", "job_id", "status"]);
    assert_eq!(queued["status"], "QUEUED");
    let (job, run) = job_and_run(&queued);
    let report = ask(&served, &format!("GET /jobs/{job}"), "", 200);
    let fields = "completed_at created_at errors job_id progress result_url started_at status type updated_at";
    assert_eq!(keys(&report).join(" "), fields);
    assert_eq!([&report["job_id"], &report["type"], &report["status"]], [job.as_str(), "held", "RUNNING"]);
    assert_eq!([&report["errors"], &report["result_url"], &report["completed_at"]], [&Value::Null; 3]);
    assert_eq!((&report["progress"], &report["created_at"]), (&0.into(), &queued["created_at"]));

    place.put("go");
    end(&served, &run);
    let report = ask(&served, &format!("GET /jobs/{job}"), "", 200);
    assert_eq!((&report["status"], &report["progress"]), (&"SUCCESS".into(), &100.into()));
    assert!(["updated_at", "started_at", "completed_at"].iter().all(|key| is_moment(&report[*key])), "{report}");
    assert_eq!((&report["errors"], &report["updated_at"]), (&Value::Null, &report["completed_at"]));
    assert_eq!(served.get(report["result_url"].as_str().unwrap())["context"]["number"], 7);

    let (job, run) = job_and_run(&ask(&served, "POST /jobs", r#"{"type": "steered::flaky"}"#, 202));
    end(&served, &run);
    let report = ask(&served, &format!("GET /jobs/{job}"), "", 200);
    assert_eq!([&report["status"], &report["type"]], ["FAILED", "flaky"]);
    assert_eq!((&report["progress"], &report["result_url"]), (&100.into(), &Value::Null));
    let error = r#"{"attempt":1,"kind":"unwell","message":"it is not well","retryable":false,"task":"shaky"}"#;
    assert_eq!(report["errors"].to_string(), format!("[{error}]"));

    let (job, run) = job_and_run(&ask(&served, "POST /jobs", r#"{"type": "patient"}"#, 202));
    ask(&served, &format!("POST /api/v1/runs/{run}/cancel"), "", 200);
    end(&served, &run);
    let report = ask(&served, &format!("GET /jobs/{job}"), "", 200);
    assert_eq!((&report["status"], &report["progress"]), (&"FAILED".into(), &100.into()));
    let last = report["errors"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["kind"], &last["task"], &last["attempt"]), (&"cancelled".into(), &Value::Null, &Value::Null));

    refuse(&served, "POST /jobs", "{", 400, "SRV0001");
    refuse(&served, "POST /jobs", r#"{"payload": {}}"#, 422, "SRV0002");
    refuse(&served, "POST /jobs", r#"{"type": "held", "payload": 7}"#, 422, "SRV0002");
    let problem = refuse(&served, "POST /jobs", r#"{"type": "unheard"}"#, 404, "RUN0001");
    assert!(problem["hints"].to_string().contains("public::steered::held"), "{problem}");
    refuse(&served, &format!("GET /jobs/job_{}", NOBODY.replace('-', "")), "", 404, "RUN0004");
    for id in ["job_", NOBODY, "x"] {
        refuse(&served, &format!("GET /jobs/{id}"), "", 404, "SRV0032");
    }
    let other = ask_as(&served, &["-H", "cloacina-tenant: acme"], &format!("GET /jobs/{job}"), "", 404);
    assert_eq!(other["code"], "RUN0004");
    let key = ["-H", "idempotency-key: once"];
    let [one, same] = [(); 2].map(|()| ask_as(&served, &key, "POST /jobs", r#"{"type": "held"}"#, 202));
    assert_eq!(one, same);
    assert_eq!(served.end(), Some(0));
}

/// The id of the job, and that of its run.
fn job_and_run(queued: &Value) -> (String, String) {
    let job = queued["job_id"].as_str().unwrap();
    let digits = job.strip_prefix("job_").unwrap();
    assert_eq!(digits.len(), 32, "{job}");
    let run: cloacina::RunId = digits.parse().unwrap();
    (job.to_owned(), run.to_string())
}

fn platform(place: &Place) {
    let served = Served::start(place);
    let nightly = pipelines(&served);
    let before = ask(&served, "GET /api/v1/pipelines", "", 200);
    assert_eq!(served.end(), Some(0));
    let served = Served::start(place);
    assert_eq!(ask(&served, "GET /api/v1/pipelines", "", 200), before, "what is created is there after a restart");

    let job = ask(&served, "POST /api/v1/jobs", &format!(r#"{{"pipeline_id": "{nightly}"}}"#), 201);
    assert_eq!(keys(&job), ["created_at", "id", "pipeline_id", "status"]);
    assert_eq!([&job["pipeline_id"], &job["status"]], [nightly.as_str(), "pending"]);
    let id = job["id"].as_str().unwrap();
    assert_eq!(ask(&served, "GET /api/v1/jobs", "", 200), Value::from(vec![job.clone()]));
    assert_eq!(ask(&served, &format!("GET /api/v1/jobs/{id}"), "", 200), job);
    refuse(&served, "POST /api/v1/jobs", r#"{"pipeline_id": "unheard"}"#, 404, "RUN0001");
    refuse(&served, &format!("GET /api/v1/jobs/{NOBODY}"), "", 404, "RUN0004");

    schedules(&served, id);
    executions(&served, id);
    workers(&served);

    let counts = ask(&served, "GET /api/v1/metrics", "", 200);
    assert_eq!((&counts["runs"]["completed"], &counts["runs"]["pending"]), (&1.into(), &0.into()));
    assert_eq!((&counts["workflows"], &counts["workers"]), (&2.into(), &1.into()));
    let acme = ["-H", "cloacina-tenant: acme"];
    for list in ["pipelines", "jobs", "executions"] {
        assert_eq!(ask_as(&served, &acme, &format!("GET /api/v1/{list}"), "", 200), Value::Array(vec![]));
    }
    for path in [format!("jobs/{id}"), format!("executions/{id}"), format!("executions/{id}/logs")] {
        assert_eq!(ask_as(&served, &acme, &format!("GET /api/v1/{path}"), "", 404)["code"], "RUN0004");
    }
    let own = ask_as(&served, &acme, "POST /api/v1/pipelines", r#"{"name": "nightly", "tasks": 3}"#, 201);
    assert_eq!(own["id"], "acme::built_in_3::nightly");
    let listed = r#"{"name": "rests", "tasks": [{"id": "rest", "uses": "sleep", "with": {"ms": 1}}]}"#;
    let made = ask_as(&served, &acme, "POST /api/v1/pipelines", listed, 201);
    assert_eq!([&made["id"], &made["name"], &made["status"]], ["acme::rests::rests", "rests", "active"]);
    assert_eq!(ask_as(&served, &acme, "POST /api/v1/pipelines", listed, 200), made);
    let job = ask_as(&served, &acme, "POST /api/v1/jobs", r#"{"pipeline_id": "acme::rests::rests"}"#, 201);
    let job = job["id"].as_str().unwrap().to_owned();
    let execute = format!(r#"{{"job_id": "{job}"}}"#);
    assert_eq!(ask_as(&served, &acme, "POST /api/v1/execute", &execute, 201)["status"], "running");
    let path = format!("GET /api/v1/executions/{job}");
    wait_until("the execution ends", || ask_as(&served, &acme, &path, "", 200)["status"] == "completed");
    assert_eq!(served.end(), Some(0));
}

/// Two pipelines, of which the id of the first is returned.
fn pipelines(served: &Served) -> String {
    let new = r#"{"name": "nightly", "description": "each night", "tasks": 3}"#;
    let nightly = ask(served, "POST /api/v1/pipelines", new, 201);
    assert_eq!(keys(&nightly), ["created_at", "description", "id", "name", "status"]);
    assert_eq!([&nightly["name"], &nightly["description"], &nightly["status"]], ["nightly", "each night", "active"]);
    assert!(is_moment(&nightly["created_at"]));
    let again = r#"{"name": "nightly", "description": "other words", "tasks": 3}"#;
    assert_eq!(ask(served, "POST /api/v1/pipelines", again, 200), nightly);
    let single = ask(served, "POST /api/v1/pipelines", r#"{"name": "single"}"#, 201);
    assert_eq!(single["id"], "public::built_in_1::single");
    let id = nightly["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(served, "GET /api/v1/pipelines", "", 200), Value::from(vec![single, nightly.clone()]));
    assert_eq!(ask(served, &format!("GET /api/v1/pipelines/{id}"), "", 200), nightly);
    refuse(served, "GET /api/v1/pipelines/unheard", "", 404, "RUN0001");
    for wrong in [r#"[]"#, r#"[{"id": "a"}]"#, r#"[{"id": "a", "uses": "nothing"}]"#] {
        let new = format!(r#"{{"name": "n", "tasks": {wrong}}}"#);
        refuse(served, "POST /api/v1/pipelines", &new, 422, "PKG0042");
    }
    refuse(served, "POST /api/v1/pipelines", r#"{"name": "n", "tasks": "many"}"#, 422, "SRV0002");
    refuse(served, "POST /api/v1/pipelines", r#"{"name": "n", "tasks": 0}"#, 422, "RUN0017");
    refuse(served, "POST /api/v1/pipelines", r#"{"tasks": 1}"#, 422, "SRV0002");
    id
}

fn schedules(served: &Served, job: &str) {
    let moment = "2030-01-31T12:00:00Z";
    for when in [r#""cron": "0 3 * * *""#.to_owned(), format!(r#""schedule_time": "{moment}""#)] {
        refuse(served, "POST /api/v1/schedule", &format!(r#"{{"job_id": "{job}", {when}}}"#), 501, "SRV0030");
        refuse(served, "POST /api/v1/schedule", &format!(r#"{{"job_id": "{NOBODY}", {when}}}"#), 404, "RUN0004");
    }
    let both = format!(r#"{{"job_id": "{job}", "cron": "0 3 * * *", "schedule_time": "{moment}"}}"#);
    for wrong in [format!(r#"{{"job_id": "{job}"}}"#), both] {
        refuse(served, "POST /api/v1/schedule", &wrong, 422, "SRV0002");
    }
    refuse(served, "GET /api/v1/scheduled", "", 501, "SRV0030");
}

fn executions(served: &Served, job: &str) {
    assert_eq!(ask(served, "GET /api/v1/executions", "", 200), Value::Array(vec![]));
    refuse(served, &format!("GET /api/v1/executions/{job}"), "", 404, "SRV0032");
    let command = format!(r#"{{"job_id": "{job}", "command": "echo hello"}}"#);
    refuse(served, "POST /api/v1/execute", &command, 403, "SRV0031");
    refuse(served, "POST /api/v1/execute", &format!(r#"{{"job_id": "{NOBODY}"}}"#), 404, "RUN0004");
    let started = ask(served, "POST /api/v1/execute", &format!(r#"{{"job_id": "{job}"}}"#), 201);
    assert_eq!(keys(&started), ["command", "id", "job_id", "started_at", "status"]);
    assert_eq!([&started["job_id"], &started["status"]], [job, "running"]);
    assert!(started["command"].is_null() && is_moment(&started["started_at"]), "{started}");
    let id = started["id"].as_str().unwrap();
    end(served, job);
    let execution = ask(served, &format!("GET /api/v1/executions/{id}"), "", 200);
    assert_eq!((&execution["status"], &execution["started_at"]), (&"completed".into(), &started["started_at"]));
    assert_eq!(ask(served, "GET /api/v1/executions", "", 200), Value::from(vec![execution]));
    assert!(ask(served, &format!("GET /api/v1/executions/{id}/logs"), "", 200).is_array());
    assert_eq!(ask(served, &format!("GET /api/v1/jobs/{job}"), "", 200)["status"], "completed");
    refuse(served, "POST /api/v1/execute", &format!(r#"{{"job_id": "{job}"}}"#), 409, "RUN0012");
}

fn workers(served: &Served) {
    let embedded = ask(served, "GET /api/v1/workers/embedded", "", 200);
    assert_eq!(keys(&embedded), ["id", "started_at", "status", "type"]);
    assert_eq!([&embedded["status"], &embedded["type"]], ["running", "rust"]);
    let new = ask(served, "POST /api/v1/workers", r#"{"type": "rust"}"#, 201);
    assert_eq!(keys(&new), ["id", "kept_in", "last_heartbeat_at", "registered_at", "status", "type"]);
    assert_eq!([&new["status"], &new["type"], &new["kept_in"]], ["online", "rust", "memory"]);
    let at = format!("/api/v1/workers/{}", new["id"].as_str().unwrap());
    assert_eq!(ask(served, "GET /api/v1/workers", "", 200), Value::from(vec![embedded, new.clone()]));
    assert_eq!(ask(served, &format!("GET {at}"), "", 200), new);
    assert_eq!(ask(served, &format!("GET {at}/status"), "", 200)["status"], "online");
    let beat = ask(served, &format!("POST {at}/heartbeat"), "", 200);
    assert!(beat["last_heartbeat_at"].as_str() > new["last_heartbeat_at"].as_str(), "{beat}");
    assert_eq!(ask(served, "GET /api/v1/workers/embedded/status", "", 200)["status"], "running");
    assert_eq!(ask(served, &format!("DELETE {at}"), "", 200)["status"], "stopped");
    for request in
        [format!("GET {at}"), format!("GET {at}/status"), format!("POST {at}/heartbeat"), format!("DELETE {at}")]
    {
        refuse(served, &request, "", 404, "SRV0032");
    }
    refuse(served, "DELETE /api/v1/workers/embedded", "", 409, "SRV0033");
    refuse(served, "POST /api/v1/workers", r#"{"type": ""}"#, 422, "SRV0002");
}

fn scheduler(place: &Place) {
    let served = Served::start(place);
    served.register(&place.path().join("steered.cloacina"));
    let tasks = ask(&served, "GET /api/tasks", "", 200);
    let ids: Vec<&str> = tasks.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["public::steered::flaky", "public::steered::held", "public::steered::patient"]);
    let at = "/api/tasks/public::steered::held";
    let task = ask(&served, &format!("GET {at}"), "", 200);
    assert_eq!((&task, &task["schedule"], &task["version"]), (&tasks[1], &Value::Null, &"0.1.0".into()));
    refuse(&served, "GET /api/tasks/unheard", "", 404, "RUN0001");
    refuse(&served, "POST /api/tasks", r#"{"name": "new"}"#, 501, "SRV0030");
    refuse(&served, &format!("PUT {at}"), r#"{"name": "new"}"#, 501, "SRV0030");
    refuse(&served, &format!("DELETE {at}"), "", 501, "SRV0030");

    let run = ask(&served, &format!("POST {at}/trigger"), r#"{"input": {"number": 7}}"#, 202);
    assert_eq!([&run["workflow"], &run["state"]], ["public::steered::held", "running"]);
    let id = run["run"].as_str().unwrap();
    let control = |verb: &str| {
        let outcomes = ask(&served, &format!("POST {at}/{verb}"), "", 200);
        outcomes.as_array().unwrap().iter().map(|one| (one["run"].clone(), one["outcome"].clone())).collect::<Vec<_>>()
    };
    let done = || vec![(Value::from(id), Value::from("done"))];
    assert_eq!([control("resume"), control("pause"), control("pause")], [vec![], done(), vec![]]);
    assert_eq!(ask(&served, &format!("GET {at}/runs"), "", 200)[0]["state"], "paused");
    assert_eq!([control("resume"), control("cancel")], [done(), done()]);
    end(&served, id);
    assert_eq!(control("cancel"), vec![]);
    let runs = ask(&served, &format!("GET {at}/runs"), "", 200);
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["state"]), (1, &"cancelled".into()));
    refuse(&served, "POST /api/tasks/unheard/trigger", "", 404, "RUN0001");
    refuse(&served, "POST /api/tasks/unheard/pause", "", 404, "RUN0001");
    refuse(&served, &format!("POST {at}/explode"), "", 400, "SRV0006");

    let failed = ask(&served, "POST /api/tasks/public::steered::flaky/trigger", "", 202);
    let failed = failed["run"].as_str().unwrap();
    end(&served, failed);
    place.put("well");
    let again = ask(&served, &format!("POST /api/tasks/runs/{failed}/retry"), "", 200);
    let again = again["run"].as_str().unwrap();
    assert!(again != failed);
    end(&served, again);
    assert_eq!(served.get(&format!("/api/v1/runs/{again}"))["state"], "completed");
    let first = served.ask(&["/api/tasks/public::steered::flaky/runs?limit=1"]);
    let next = format!("</api/tasks/public::steered::flaky/runs?limit=1&cursor={again}>; rel=\"next\"");
    assert_eq!((first.header("link"), &first.json()[0]["run"]), (Some(next.as_str()), &again.into()));
    refuse(&served, &format!("POST /api/tasks/runs/{NOBODY}/retry"), "", 404, "RUN0004");

    let worker = ask(&served, "POST /api/workers", r#"{"type": "rust"}"#, 201);
    let at = format!("/api/workers/{}", worker["id"].as_str().unwrap());
    assert_eq!(ask(&served, &format!("POST {at}/heartbeat"), "", 200)["status"], "online");
    assert_eq!(ask(&served, &format!("GET {at}"), "", 200)["type"], "rust");
    assert_eq!(ask(&served, "GET /api/workers", "", 200).as_array().unwrap().len(), 2);
    assert_eq!(ask(&served, &format!("DELETE {at}"), "", 200)["status"], "stopped");

    assert_eq!(ask(&served, "GET /api/system/health", "", 200)["status"], "ok");
    let counts = ask(&served, "GET /api/system/metrics", "", 200);
    let expected =
        r#"{"cancelled":1,"completed":1,"failed":1,"partially_completed":0,"paused":0,"pending":0,"running":0}"#;
    assert_eq!(counts["runs"].to_string(), expected);
    let config = ask(&served, "GET /api/system/config", "", 200);
    assert_eq!(keys(&config), ["body_bytes_max", "data_dir", "database", "requires_login", "version"]);
    let acme = ["-H", "cloacina-tenant: acme"];
    assert_eq!(ask_as(&served, &acme, "GET /api/system/config", "", 403)["code"], "RUN0024");
    assert_eq!(ask_as(&served, &acme, "GET /api/tasks", "", 200), Value::Array(vec![]));
    assert_eq!(ask_as(&served, &acme, &format!("POST /api/tasks/runs/{failed}/retry"), "", 404)["code"], "RUN0004");
    assert_eq!(served.end(), Some(0));
}

/// The page has a row for each request of an adapter, and the description has each request of the page.
#[test]
fn the_page_of_the_adapters_has_their_requests_and_no_others() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let page = read("docs/reference/adapters.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(request, _)| request));
    let told: BTreeSet<String> = rows.filter(|request| request.contains(" /")).map(str::to_owned).collect();
    let description: Value = serde_json::from_str(&read("docs/reference/openapi.json")).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if ["jobs", "platform", "scheduler"].contains(&operation["tags"][0].as_str().unwrap()) {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert_eq!(told, described);
}
