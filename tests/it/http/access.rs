//! Who may ask, over HTTP: logins and keys, and each route with each role.
//!
//! The routes come from the description of the server, so a new route is tested too.

use std::{fs, process::Command};

use cloacina::Value;
use cloacina_tests::root;

use super::client::{Answer, Served};
use crate::{sharing::server, steer::Place};

const JSON: &str = "content-type: application/json";
pub(super) const PASSWORD: &str = "correct horse battery";

/// A server that asks for a login, and somebody with a credential.
pub(super) struct Client<'a> {
    served: &'a Served,
    pub(super) credential: String,
}

impl Client<'_> {
    pub(super) fn ask(&self, arguments: &[&str]) -> Answer {
        let header = format!("authorization: Bearer {}", self.credential);
        self.served.ask(&[&["-H", &header], arguments].concat())
    }

    pub(super) fn post(&self, path: &str, body: &str) -> Answer {
        self.ask(&["-H", JSON, "-d", body, path])
    }

    /// Makes something and returns what was made.
    pub(super) fn make(&self, path: &str, body: &str) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 201, "{path} {body}: {}", answer.text());
        answer.json()
    }

    /// Somebody with a new key.
    pub(super) fn with_key(&self, tenant: &str, role: &str) -> Self {
        self.with(&format!(r#"{{"name": "{tenant}-{role}", "tenant": "{tenant}", "role": "{role}"}}"#))
    }

    /// The same admin of every tenant with a key, which does not expire as a login does.
    pub(super) fn with_own_key(&self) -> Self {
        self.with(r#"{"name": "every-tenant", "role": "admin"}"#)
    }

    fn with(&self, key: &str) -> Self {
        let credential = self.make("/api/v1/keys", key)["key"].as_str().unwrap().to_owned();
        Self { served: self.served, credential }
    }
}

fn log_in(served: &Served, name: &str, password: &str) -> Answer {
    let body = format!(r#"{{"username": "{name}", "password": "{password}"}}"#);
    served.post("/auth/login", &body)
}

/// The admin of every tenant that a new database gets.
pub(super) fn first_admin<'a>(served: &'a Served, started: &Value) -> Client<'a> {
    let text = |name: &str| started["admin"][name].as_str().unwrap();
    let answer = log_in(served, text("username"), text("password"));
    assert_eq!(answer.status, 200, "{answer:?}");
    Client { served, credential: token(&answer, "access_token") }
}

fn token(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap().to_owned()
}

#[test]
fn a_command_beside_a_living_server_says_where_to_ask() {
    let place = Place::new();
    let (served, _) = Served::start_with_login(&place);
    let refused = place.output(&["user", "list"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("STO0001") && said.contains("ask the server: --server URL"), "{said}");
    assert_eq!((refused.status.code(), served.end()), (Some(4), Some(0)));
}

#[test]
fn a_user_logs_in_and_a_program_has_a_key_on_a_file() {
    live(&Place::new());
}

#[test]
fn a_user_logs_in_and_a_program_has_a_key_on_a_server() {
    let schema = server();
    live(&Place { database: schema.url().to_owned(), ..Place::new() });
}

fn live(place: &Place) {
    let (served, started) = Served::start_with_login(place);
    let refused = served.ask(&["/api/v1/runs"]);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(refused.json()["code"], "SRV0016");
    assert_eq!(served.ask(&["/health"]).status, 200);
    let admin = first_admin(&served, &started);
    let who = admin.ask(&["/auth/whoami"]).json();
    assert_eq!(
        (who["actor"].as_str(), &who["tenant"], who["role"].as_str()),
        (Some("admin"), &Value::Null, Some("admin"))
    );

    admin.make("/api/v1/tenants", r#"{"name": "acme"}"#);
    let new = format!(r#"{{"name": "ann", "tenant": "acme", "role": "operator", "password": "{PASSWORD}"}}"#);
    let account = admin.make("/api/v1/users", &new);
    assert!(!account.to_string().contains(PASSWORD) && account["password"].is_null());
    let answer = log_in(&served, "ann", PASSWORD);
    let tokens = answer.json();
    assert_eq!((tokens["token_type"].as_str(), tokens["expires_in"].as_u64()), (Some("Bearer"), Some(600)));
    let ann = Client { served: &served, credential: token(&answer, "access_token") };
    assert_eq!(ann.ask(&["/api/v1/runs"]).text(), "[]");
    assert_eq!(ann.ask(&["-H", "cloacina-tenant: acme", "/api/v1/runs"]).status, 200);
    for arguments in [&["-H", "cloacina-tenant: public", "/api/v1/runs"][..], &["/api/v1/users"], &["/api/v1/audit"]] {
        let denied = ann.ask(arguments);
        assert_eq!((denied.status, &denied.json()["code"]), (403, &"RUN0024".into()), "{arguments:?}");
    }

    // A refresh token is used once; a lost answer is given again.
    let first = token(&answer, "refresh_token");
    let refresh = |token: &str| served.post("/auth/refresh", &format!(r#"{{"refresh_token": "{token}"}}"#));
    let second = token(&refresh(&first), "refresh_token");
    assert_eq!(token(&refresh(&first), "refresh_token"), second);
    let out = served.post("/auth/logout", &format!(r#"{{"refresh_token": "{second}"}}"#));
    assert_eq!(out.status, 204);
    let ended = refresh(&second);
    assert_eq!((ended.status, &ended.json()["code"]), (401, &"SRV0019".into()));

    let program = admin.with_key("acme", "viewer");
    assert_eq!(program.ask(&["/api/v1/runs"]).status, 200);
    let keys = admin.ask(&["/api/v1/keys"]).json();
    assert_eq!((&keys[0]["name"], &keys[0]["role"]), (&"acme-viewer".into(), &"viewer".into()));
    assert!(!keys.to_string().contains(&program.credential));
    let id = keys[0]["id"].as_str().unwrap();
    assert_eq!(admin.ask(&["-X", "DELETE", &format!("/api/v1/keys/{id}")]).status, 204);
    for wrong in [program.credential.as_str(), "clk_", "x.y.z", "Basic YTpi"] {
        let refused = Client { served: &served, credential: wrong.to_owned() }.ask(&["/api/v1/runs"]);
        assert_eq!((refused.status, &refused.json()["code"]), (401, &"SRV0017".into()), "{wrong}");
    }

    // An account that is disabled is refused at once, whatever its tokens say.
    assert_eq!(admin.ask(&["-X", "POST", "/api/v1/users/ann/disable"]).status, 200);
    assert_eq!(ann.ask(&["/api/v1/runs"]).status, 401);
    told(&admin);
    let credential = admin.credential.clone();
    assert_eq!(served.end(), Some(0));

    let (served, again) = Served::start_with_login(place);
    assert!(again["admin"].is_null(), "{again}");
    let still = Client { served: &served, credential };
    assert_eq!(still.ask(&["/auth/whoami"]).status, 200, "the key of the tokens is kept");
}

/// What the audit logs have of all that.
fn told(admin: &Client<'_>) {
    let entries = |arguments: &[&str]| -> Vec<String> {
        let answer = admin.ask(arguments).json();
        let told = |entry: &Value| {
            assert_eq!(entry["address"], "127.0.0.1");
            assert!(entry["request_id"].as_str().unwrap().len() > 10);
            format!("{} {} {}", entry["actor"], entry["action"], entry["result"]).replace('"', "")
        };
        answer.as_array().unwrap().iter().map(told).collect()
    };
    let acme = ["-H", "cloacina-tenant: acme"];
    let of_acme = entries(&[&acme[..], &["/api/v1/audit"]].concat());
    let expected = [
        "admin account_disabled done",
        "admin key_revoked done",
        "admin key_added done",
        "ann logged_out done",
        "ann logged_in done",
        "admin account_added done",
    ];
    assert_eq!(of_acme, expected);
    let page = admin.ask(&[&acme[..], &["/api/v1/audit?limit=4"]].concat());
    assert_eq!(page.header("link"), Some("</api/v1/audit?limit=4&cursor=3>; rel=\"next\""));
    let rest = entries(&[&acme[..], &["/api/v1/audit?limit=4&cursor=3"]].concat());
    assert_eq!(rest, expected[4..]);
    let checked = admin.ask(&[&acme[..], &["/api/v1/audit/verify"]].concat()).json();
    assert_eq!((&checked["is_intact"], &checked["entries"]), (&true.into(), &6.into()));
    // A browser, and a program that is made with care, takes answers compressed.
    let compressed = admin.ask(&[&acme[..], &["--compressed", "/api/v1/audit/export"]].concat());
    assert_eq!(compressed.text().lines().count(), 6, "{compressed:?}");
    let exported = admin.ask(&[&acme[..], &["/api/v1/audit/export"]].concat()).text();
    let last: Value = serde_json::from_str(exported.lines().last().unwrap()).unwrap();
    assert_eq!((exported.lines().count(), &last["digest"]), (6, &checked["digest"]));
    let of_all: Value = admin.ask(&["/api/v1/audit"]).json();
    assert!(of_all.as_array().unwrap().iter().any(|entry| entry["action"] == "tenant_added"), "{of_all}");
}

#[test]
fn logins_are_throttled() {
    let place = Place::new();
    let (served, started) = Served::start_with_login(&place);
    first_admin(&served, &started);
    let answers: Vec<Answer> = (0..11).map(|_| log_in(&served, "admin", "wrong password")).collect();
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)), "{answers:?}");
    let last = answers.last().unwrap();
    assert_eq!((last.status, &last.json()["code"]), (429, &"SRV0020".into()), "{last:?}");
    let wait: u64 = last.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=7).contains(&wait), "{wait}");
    let text = answers[0].text();
    assert!(text.contains("SRV0018") && !text.contains("wrong password"), "{text}");
    drop(served);

    // Without a login there is none.
    let served = Served::start(&place);
    assert_eq!(log_in(&served, "admin", "x").json()["code"], "SRV0021");
    assert_eq!(served.get("/auth/whoami")["role"], "admin");
}

/// The routes of the server's own description: the method and the path.
pub(super) fn routes(served: &Served) -> Vec<(String, String)> {
    let described = served.get("/openapi.json");
    let paths = described["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())))
        .collect()
}

/// A path with something for each of its parameters.
fn filled(path: &str, run: &str) -> String {
    let filled = path.replace("{run}", run).replace("{verb}", "pause").replace("{code}", "RUN0001");
    filled.replace(['{', '}'], "")
}

#[test]
fn each_route_answers_the_roles_of_the_table_and_no_other() {
    const UNKNOWN: &str = "0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e";
    let place = Place::new();
    let (served, started) = Served::start_with_login(&place);
    let admin = first_admin(&served, &started);
    admin.make("/api/v1/tenants", r#"{"name": "acme"}"#);
    let clients = ["worker", "viewer", "operator", "admin"].map(|role| admin.with_key("acme", role));
    let table = fs::read_to_string(root().join("docs/reference/roles.md")).unwrap();
    let routes = routes(&served);
    assert!(routes.len() > 50, "{routes:?}");
    for (method, path) in routes {
        let row = table.lines().find_map(|line| line.strip_prefix(&format!("| `{method} {path}` | ")));
        let row = row.unwrap_or_else(|| panic!("{method} {path} has no row in docs/reference/roles.md"));
        let marks: Vec<bool> = row.trim_end_matches(" |").split(" | ").map(|mark| mark == "yes").collect();
        let asked = filled(&path, UNKNOWN);
        let anonymous = served.ask(&["-X", &method, &asked]);
        assert_eq!(anonymous.status != 401, marks[0], "{method} {path}: {anonymous:?}");
        for (client, may) in clients.iter().zip(&marks[1..]) {
            let answer = client.ask(&["-X", &method, &asked]);
            let is_denied = answer.status == 403;
            assert_eq!(is_denied, !may, "{method} {path}: {answer:?}");
            assert!(!is_denied || answer.json()["code"] == "RUN0024", "{method} {path}: {answer:?}");
            assert!(answer.status < 500 || answer.status == 501, "{method} {path}: {answer:?}");
        }
    }
}

#[test]
fn the_requests_of_the_guide_to_tenants_do_what_it_says() {
    let place = Place::new();
    let (served, started) = Served::start_with_login(&place);
    let guide = fs::read_to_string(root().join("docs/guide/multi-tenant.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let mut replacements = vec![
        ("http://127.0.0.1:8080".to_owned(), served.url.clone()),
        ("PASSWORD".to_owned(), started["admin"]["password"].as_str().unwrap().to_owned()),
    ];
    let mut n_sent = 0;
    for block in blocks.filter(|block| block.starts_with("curl ")) {
        let command = replacements.iter().fold(block.to_owned(), |text, (from, to)| text.replace(from, to));
        let shell = command.replacen("curl ", "curl --silent --show-error --fail-with-body --noproxy '*' ", 1);
        let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command}\n{said}");
        let answer: Value = serde_json::from_str(&said).unwrap();
        for (name, field) in [("TOKEN", "access_token"), ("REFRESH", "refresh_token")] {
            replacements.extend(answer[field].as_str().map(|value| (name.to_owned(), value.to_owned())));
        }
        n_sent += 1;
    }
    assert_eq!(n_sent, 6, "the guide has other requests");
}
