//! The settings of a server and `doctor`, as an operator meets them.

use std::{fs, net::TcpListener, path::Path, process::Output};

use cloacina::Value;
use cloacina_tests::root;

use crate::{sharing::server, steer::Place};

/// Runs the program in the place with variables.
fn run(place: &Place, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = place.command(arguments);
    command.env_remove("CLOACINA__DATABASE__URL").env("XDG_DATA_HOME", place.path().join("data"));
    command.envs(variables.iter().copied()).output().unwrap()
}

fn json(place: &Place, variables: &[(&str, &str)], arguments: &[&str]) -> Value {
    let output = run(place, variables, &[arguments, &["--output", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn write(place: &Place, name: &str, text: &str) {
    fs::write(place.path().join(name), text).unwrap();
}

/// The row of a setting.
fn setting(shown: &Value, name: &str) -> Value {
    shown["settings"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone()
}

/// What `doctor` found of a thing.
fn check(diagnosis: &Value, name: &str) -> Value {
    diagnosis["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_examples_are_settings() {
    let place = Place::new();
    let folder = root().join("examples/config");
    let mut n_examples = 0;
    for example in fs::read_dir(&folder).unwrap() {
        let example = example.unwrap().path();
        let copy = place.path().join(example.file_name().unwrap());
        fs::copy(&example, &copy).unwrap();
        write(&place, "database-url", "postgres://cloacina:hidden@db.internal/cloacina\n");
        let shown = json(&place, &[], &["config", "show", "--config", copy.to_str().unwrap()]);
        let url = setting(&shown, "database.url");
        assert_eq!(url["origin"], "file", "{example:?}: {url}");
        assert!(!url.to_string().contains("hidden"), "{url}");
        n_examples += 1;
    }
    assert_eq!(n_examples, 2, "a file for each environment");
}

#[test]
fn what_is_nearer_to_the_command_counts() {
    let place = Place::new();
    write(&place, "cloacina.toml", "[engine]\nslots = 5\nlog_level = 'warn'\n[server]\nlisten = '127.0.0.1:1'\n");
    let variables = [("CLOACINA__ENGINE__SLOTS", "7")];
    let shown = json(&place, &variables, &["config", "show"]);
    let slots = setting(&shown, "engine.slots");
    assert_eq!((&slots["values"][0], &slots["variable"]), (&"7".into(), &"CLOACINA__ENGINE__SLOTS".into()));
    let level = setting(&shown, "engine.log_level");
    assert_eq!((&level["values"][0], &level["line"]), (&"warn".into(), &3.into()));
    assert_eq!(setting(&shown, "server.drain")["origin"], "default");

    let port = |arguments: &[&str]| {
        let diagnosis = json(&place, &[], &[&["doctor", "--database", "runs.db"], arguments].concat());
        check(&diagnosis, "port")["found"].as_str().unwrap().to_owned()
    };
    assert!(port(&[]).starts_with("127.0.0.1:1 "), "{}", port(&[]));
    assert!(port(&["--listen", "127.0.0.1:2"]).starts_with("127.0.0.1:2 "));
}

#[test]
fn a_mistake_in_the_settings_refuses_the_start_and_names_its_place() {
    let place = Place::new();
    let cases = [
        ("[server]\nlissten = 'x'", "c.toml, line 2: no setting has the name `server.lissten`", "`server.listen`"),
        ("\n\n[server]\nlisten = 'here'", "c.toml, line 4: `here` is not a value of `server.listen`", "config.md"),
        ("[engine]\nsandbox = 'strict'", "c.toml, line 2: `strict` is not a value of `engine.sandbox`", "dev, server"),
        ("[engine]\nallow_need = ['net']", "c.toml, line 2: `net` is not a value of `engine.allow_need`", "config.md"),
        ("[engine]\ninline = 'all'", "c.toml, line 2: `engine.inline` is a list", "config.md"),
        ("[engine", "c.toml: ", "config.md"),
        (
            "[database]\nurl = { encrypted = 'AAAA' }",
            "c.toml, line 2: the value is encrypted",
            "CLOACINA_SETTINGS_KEY_FILE",
        ),
        (
            "[database]\nurl = { variable = 'NOBODY_SET_IT' }",
            "c.toml, line 2: `database.url` is in the variable",
            "config.md",
        ),
    ];
    for (text, said, remedy) in cases {
        write(&place, "c.toml", text);
        let output = run(&place, &[], &["serve", "--config", "c.toml", "--listen", "127.0.0.1:0"]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}: {told}");
        assert!(told.contains(said) && told.contains(remedy), "{text}: {told}");
        assert!(!place.path().join("data").exists(), "nothing was done");
    }
    let output = run(&place, &[("CLOACINA__ENGINE__SLOT", "5")], &["runs", "list"]);
    assert!(stderr(&output).contains("CLOACINA__ENGINE__SLOTS"), "{}", stderr(&output));
    let output = run(&place, &[], &["config", "show", "--config", "nowhere.toml"]);
    assert!(stderr(&output).contains("nowhere.toml"), "{}", stderr(&output));
    write(&place, "cloacina.toml", "broken");
    assert!(run(&place, &[], &["serve", "--help"]).status.success(), "help needs no settings");
}

#[test]
fn a_secret_value_may_be_elsewhere_and_is_not_shown() {
    let place = Place::new();
    let url = "postgres://me:s3cret@db/runs";
    let shown = |variables: &[(&str, &str)]| {
        let shown = json(&place, variables, &["config", "show", "--config", "c.toml"]);
        assert!(!shown.to_string().contains("s3cret"));
        assert_eq!(setting(&shown, "database.url")["values"][0], "postgres://me:***@db/runs");
    };
    write(&place, "url", &format!("{url}\n"));
    write(&place, "c.toml", "[database]\nurl = { file = 'url' }");
    shown(&[]);
    write(&place, "c.toml", "[database]\nurl = { variable = 'MY_URL' }");
    shown(&[("MY_URL", url)]);
    write(&place, "c.toml", "");
    shown(&[("CLOACINA__DATABASE__URL_FILE", "url")]);

    for key in ["one.key", "other.key"] {
        assert!(run(&place, &[], &["config", "new-key", key]).status.success());
    }
    let again = run(&place, &[], &["config", "new-key", "one.key"]);
    assert!(stderr(&again).contains("CTL0064"), "{}", stderr(&again));
    let mut encrypt = place.command(&["config", "encrypt", "database.url", "--key-file", "one.key"]);
    let encrypted = encrypt.stdin(fs::File::open(place.path().join("url")).unwrap()).output().unwrap();
    fs::write(place.path().join("c.toml"), &encrypted.stdout).unwrap();
    shown(&[("CLOACINA_SETTINGS_KEY_FILE", "one.key")]);
    shown(&[("CLOACINA_SETTINGS_KEY", fs::read_to_string(place.path().join("one.key")).unwrap().trim())]);
    let wrong = run(&place, &[("CLOACINA_SETTINGS_KEY_FILE", "other.key")], &["config", "show", "--config", "c.toml"]);
    assert!(stderr(&wrong).contains("c.toml, line 2"), "{}", stderr(&wrong));
    let other = run(&place, &[], &["config", "encrypt", "server.listen", "--key-file", "one.key"]);
    assert!(stderr(&other).contains("database.url"), "{}", stderr(&other));
}

fn check_doctor(place: &Place, database: &str, product: &str) {
    let diagnosis = json(place, &[], &["doctor", "--database", database, "--listen", "127.0.0.1:0"]);
    for name in ["settings", "database", "schema", "commit", "clock", "disk", "open files", "sandbox", "keys", "port"] {
        let check = check(&diagnosis, name);
        assert!(check["status"] == "ok" || check["remedy"].is_string(), "{check}");
    }
    assert!(check(&diagnosis, "database")["found"].as_str().unwrap().starts_with(product), "{diagnosis}");
    assert_eq!(check(&diagnosis, "schema")["status"], "ok", "{diagnosis}");
    assert!(check(&diagnosis, "commit")["found"].as_str().unwrap().contains(" ms "), "{diagnosis}");
}

#[test]
fn doctor_looks_at_both_databases_and_changes_nothing() {
    let place = Place::new();
    check_doctor(&place, "new.db", "SQLite");
    assert!(!place.path().join("new.db").exists(), "no database is made");
    let database = server();
    check_doctor(&place, database.url(), "PostgreSQL");
    assert!(run(&place, &[], &["runs", "create", "--name", "one", "--database", "new.db"]).status.success());
    check_doctor(&place, "new.db", "SQLite");
}

#[test]
fn doctor_fails_with_a_remedy_for_what_is_wrong() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // A client that connects gets no answer.
    let closing = std::thread::spawn(move || drop(taken.accept()));
    let nobody = "postgres://nobody@127.0.0.1:1/nothing";
    let arguments = ["doctor", "--database", nobody, "--listen", address.as_str()];
    let diagnosis = json(&place, &[], &arguments);
    closing.join().unwrap();
    assert_eq!(diagnosis["status"], "fail");
    for name in ["database", "port"] {
        let check = check(&diagnosis, name);
        assert_eq!(check["status"], "fail", "{check}");
        assert!(check["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{check}");
    }
    let output = run(&place, &[], &["doctor", "--database", nobody, "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    write(&place, "cloacina.toml", "[server]\nlisten = 5\n");
    let output = run(&place, &[], &["doctor"]);
    assert!(stderr(&output).contains("cloacina.toml, line 2"), "a mistake in the settings is told first: {output:?}");
}

#[test]
fn doctor_finds_a_key_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    assert!(run(&place, &[], &["key", "generate", "release"]).status.success());
    let arguments = ["doctor", "--database", "runs.db", "--listen", "127.0.0.1:0"];
    assert_eq!(check(&json(&place, &[], &arguments), "keys")["status"], "ok");
    let secret: &Path = &place.path().join("data/cloacina/keys/release.key");
    fs::set_permissions(secret, fs::Permissions::from_mode(0o644)).unwrap();
    let keys = check(&json(&place, &[], &arguments), "keys");
    assert_eq!(keys["status"], "fail", "{keys}");
    assert!(keys["remedy"].as_str().unwrap().contains("chmod 600"), "{keys}");
}
