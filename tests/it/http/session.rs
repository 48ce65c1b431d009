//! The command line as somebody on a server that asks for a login: sessions, keys, profiles, and who may ask.

use std::{fs, os::unix::fs::PermissionsExt, process::Output};

use cloacina::Value;

use super::client::Served;
use crate::{json::check, steer::Place};

/// What the file of profiles is called, below the folder of settings.
const FILE: &str = "cloacina/profiles.json";

/// A user of the command line, with a folder of settings of their own.
struct User<'a> {
    place: &'a Place,
    url: &'a str,
}

impl User<'_> {
    fn output(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = self.place.command(arguments);
        command.env_remove("CLOACINA__DATABASE__URL").env("XDG_CONFIG_HOME", self.place.path().join("settings"));
        command.env("XDG_DATA_HOME", self.place.path().join("data")).envs(variables.iter().copied()).output().unwrap()
    }

    /// What a command answers that must succeed.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.output(&[], &[arguments, &["--output", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(arguments)).unwrap()
    }

    /// The exit code, the code and the hints of a command that must be refused.
    fn refused(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.output(&[], &[arguments, &["--output", "json"]].concat());
        let error: Value =
            serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{arguments:?}: {output:?}"));
        let error = &error["error"];
        (output.status.code(), error["code"].as_str().unwrap().to_owned(), error["hints"].to_string())
    }

    /// The example of a page, with the address that the guide has.
    fn shows(&self, page: &str, command: &str) -> Value {
        let printed = self.says(&command.split(' ').collect::<Vec<_>>());
        check(page, &format!("{command} --output json"), &printed.replace(self.url, "http://127.0.0.1:8080"))
    }

    /// Logs in with the account that the server made at its first start, and makes a tenant.
    fn logs_in_as_admin(&self, started: &Value) {
        let password = self.file("password.txt", started["admin"]["password"].as_str().unwrap());
        self.json(&["login", self.url, "--user", "admin", "--password-file", &password]);
        self.json(&["tenant", "add", "acme"]);
    }

    fn profiles(&self) -> std::path::PathBuf {
        self.place.path().join("settings").join(FILE)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.place.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

#[test]
fn a_user_logs_in_works_and_logs_out() {
    let place = Place::new();
    let (served, started) = Served::start_with_login(&place);
    let url = served.url.clone();
    let user = User { place: &place, url: &url };
    let (code, name, hints) = user.refused(&["runs", "list", "--server", &served.url]);
    assert!(code == Some(3) && name == "SRV0016" && hints.contains("cloacina-ctl login"), "{name}: {hints}");
    assert_eq!(user.refused(&["whoami"]).1, "CTL0069");

    let wrong = user.file("wrong.txt", "not the password\n");
    let login = |file: &str| ["login", &served.url, "--user", "admin", "--password-file", file].map(str::to_owned);
    let given = login(&wrong);
    let (code, ..) = user.refused(&given.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(code == Some(3) && !user.profiles().exists(), "nothing is kept of what was not accepted");
    let password = user.file("password.txt", &format!("{}\n", started["admin"]["password"].as_str().unwrap()));
    let given = login(&password);
    let me = user.json(&given.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((&me["actor"], &me["role"], &me["profile"]), (&"admin".into(), &"admin".into(), &"default".into()));
    let mode = fs::metadata(user.profiles()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The profile counts where nothing is named, and an argument before it.
    assert_eq!(user.json(&["runs", "list"])["runs"], Value::Array(Vec::new()));
    user.shows("me", "whoami");
    user.shows("profiles", "profile list");
    assert!(user.output(&[], &["runs", "list", "--database", "other.db"]).status.success());
    assert_eq!(user.refused(&["prune"]).1, "CTL0065");
    assert_eq!(user.refused(&["runs", "list", "--server", "nowhere"]).1, "CTL0067");
    user.json(&["runs", "list", "--server", "default"]);
    user.json(&["profile", "use", "--none"]);
    assert_eq!(user.refused(&["whoami"]).1, "CTL0069");
    user.shows("used-profile", "profile use default");

    // A session that is over is renewed, and the tokens are kept.
    let text = fs::read_to_string(user.profiles()).unwrap();
    let mut stored: Value = serde_json::from_str(&text).unwrap();
    stored["profiles"]["default"]["kept"]["session"]["expires_at"] = "2026-01-31T10:00:00Z".into();
    fs::write(user.profiles(), stored.to_string()).unwrap();
    assert_eq!(user.json(&["whoami"])["actor"], "admin");
    let renewed: Value = serde_json::from_str(&fs::read_to_string(user.profiles()).unwrap()).unwrap();
    let token = |stored: &Value| stored["profiles"]["default"]["kept"]["session"]["refresh_token"].clone();
    assert!(token(&renewed).is_string() && token(&renewed) != token(&stored), "{renewed}");
    assert_eq!(user.json(&["whoami"])["actor"], "admin");

    user.shows("logged-out", "logout");
    assert_eq!(user.refused(&["whoami"]).1, "SRV0016");
    assert!(!fs::read_to_string(user.profiles()).unwrap().contains("session"));
    assert_eq!(served.end(), Some(0));
}

#[test]
fn a_program_has_a_key() {
    let place = Place::new();
    let (served, started) = Served::start_with_login(&place);
    let url = served.url.clone();
    let user = User { place: &place, url: &url };
    user.logs_in_as_admin(&started);
    let made = user.json(&["token", "create", "ci", "--tenant", "acme", "--role", "operator"]);
    let key = made["key"].as_str().unwrap();
    let file = user.file("key.txt", &format!("{key}\n"));
    let named = user.json(&["whoami", "--server", &served.url, "--api-key-file", &file]);
    assert_eq!((&named["actor"], &named["tenant"]), (&"key:ci".into(), &"acme".into()));
    for variable in [("CLOACINA_API_KEY", key), ("CLOACINA_API_KEY_FILE", file.as_str())] {
        let output = user.output(&[variable], &["whoami", "--server", &served.url]);
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("key:ci, operator of acme"), "{output:?}");
    }
    let kept = user.json(&["login", &served.url, "--api-key-file", &file, "--profile", "ci"]);
    assert_eq!((&kept["profile"], &kept["role"]), (&"ci".into(), &"operator".into()));
    assert_eq!(user.refused(&["tenant", "add", "more"]).0, Some(3));
    assert_eq!(user.json(&["runs", "list"])["runs"], Value::Array(Vec::new()));
    user.json(&["profile", "use", "default"]);
    user.json(&["token", "revoke", made["id"].as_str().unwrap()]);
    let (code, ..) = user.refused(&["runs", "list", "--server", "ci"]);
    assert_eq!(code, Some(3), "a revoked key is refused");
}

#[test]
fn who_may_ask_is_shown_on_a_server_as_on_its_database() {
    let place = Place::new();
    let (served, started) = Served::start_with_login(&place);
    let url = served.url.clone();
    let user = User { place: &place, url: &url };
    user.logs_in_as_admin(&started);
    let other = user.file("other.txt", "correct horse battery\n");
    let add = ["user", "add", "ann", "--tenant", "acme", "--role", "viewer", "--password-file", &other];
    assert_eq!(user.json(&add)["tenant"], "acme");
    user.json(&["token", "create", "ci", "--tenant", "acme", "--role", "operator", "--expires", "90d"]);
    assert_eq!(user.json(&["user", "passwd", "ann", "--password-file", &other])["name"], "ann");
    assert!(user.json(&["user", "disable", "ann"])["disabled_at"].is_string());
    let (code, name, _) = user.refused(&["tenant", "add", "more", "--actor", "somebody"]);
    assert_eq!((code, name.as_str()), (Some(2), "CTL0065"), "the actor is that of the credential");
    let lists: [&[&str]; 7] = [
        &["tenant", "list"],
        &["user", "list"],
        &["token", "list"],
        &["audit", "list", "--limit", "5"],
        &["audit", "list", "--tenant", "acme"],
        &["audit", "verify"],
        &["audit", "export", "--tenant", "acme"],
    ];
    let on_server = lists.map(|list| user.says(list));
    assert_eq!(served.end(), Some(0));
    let on_database = lists.map(|list| user.says(&[list, &["--database", "runs.db"]].concat()));
    assert_eq!(on_server, on_database);
}
