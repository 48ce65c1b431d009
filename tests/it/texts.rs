//! Texts that a user gives to the program: at their limits and beyond, on both databases, and bytes that are not text.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Command, Output},
};

use cloacina_tests::library;
use serde_json::Value;

use crate::{
    cmd::{MIXED, program},
    sharing,
};

/// Bytes that begin no character.
const NO_TEXT: &[u8] = b"a\xff\xfeb";

fn command(folder: &Path, arguments: &[&OsStr]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).arg("--output").arg("json").current_dir(folder).env("XDG_DATA_HOME", folder);
    command.output().unwrap()
}

/// The code with which a command is refused, which wrote one document about it and nothing else.
fn refusal(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let told: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap_or_else(|_| panic!("{stderr}"));
    told["error"]["code"].as_str().unwrap().to_owned()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let archive = library::pack(&library::compile(folder.path(), "mixed", MIXED));
    fs::write(folder.path().join("mixed.cloacina"), archive).unwrap();
    folder
}

fn check_limits(database: &str) {
    let folder = folder();
    let ask = |line: &str, text: &str| {
        let words = line.split(' ').map(|word| if word == "TEXT" { text } else { word });
        let words: Vec<&OsStr> = words.chain(["--database", database]).map(OsStr::new).collect();
        command(folder.path(), &words)
    };
    assert!(ask("package register mixed.cloacina", "").status.success());
    let at_limit = [
        ("runs create --name nightly --key TEXT", 1024),
        ("runs create --name nightly --actor TEXT", 256),
        ("package quarantine mixed --reason TEXT", 1024),
        ("package release mixed --actor TEXT", 256),
        // Names have rules about their characters as well.
        ("runs create --name TEXT", 128),
    ];
    for (line, bytes_max) in at_limit {
        let output = ask(line, &"x".repeat(bytes_max));
        assert!(output.status.success(), "{line}: {output:?}");
        // What is too long in bytes need not be in characters.
        for text in ["x".repeat(bytes_max + 1), "é".repeat(bytes_max / 2 + 1), "a\tb".to_owned()] {
            let code = refusal(&ask(line, &text));
            assert!(["RUN0020", "RUN0017"].contains(&code.as_str()), "{line}: {code}");
        }
    }
    // By these something is looked for; what is too long to be there is refused as too long, or is not found.
    for line in ["runs create --workflow TEXT", "package show TEXT", "workflow show TEXT", "runs list --workflow TEXT"]
    {
        for n_bytes in [640, 641, 100_000] {
            let output = ask(line, &"x".repeat(n_bytes));
            let code = if output.status.success() { "found nothing".to_owned() } else { refusal(&output) };
            let is_too_long = line.starts_with("runs create") && n_bytes > 640;
            assert!(
                if is_too_long { code == "RUN0020" } else { !code.starts_with("STO") },
                "{line}: {n_bytes}, {code}"
            );
        }
    }
    let listed = ask("runs list", "");
    assert!(listed.status.success(), "{listed:?}");
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 3, "{listed}");
}

#[test]
fn texts_have_the_same_limits_on_a_file() {
    let folder = tempfile::tempdir().unwrap();
    check_limits(folder.path().join("runs.db").to_str().unwrap());
}

#[test]
fn texts_have_the_same_limits_on_a_server() {
    let server = sharing::server();
    check_limits(server.url());
}

#[test]
fn bytes_other_than_text_are_refused_by_name() {
    let folder = folder();
    let no_text = OsStr::from_bytes(NO_TEXT);
    fs::write(folder.path().join("input.json"), [b"{\"name\":\"", NO_TEXT, b"\"}"].concat()).unwrap();
    let as_arguments = [
        "runs create --name TEXT",
        "runs create --name nightly --key TEXT",
        "runs create --name nightly --actor TEXT",
        "runs list --workflow TEXT",
        "run mixed.cloacina --workflow TEXT",
        "run mixed.cloacina --workflow fine --input TEXT",
        "package quarantine mixed --reason TEXT",
        "package new TEXT",
        "package new fresh --sdk-git TEXT",
        "trust add TEXT --name ada",
        "explain TEXT",
    ];
    for line in as_arguments {
        let words: Vec<OsString> =
            line.split(' ').map(|word| if word == "TEXT" { no_text.to_owned() } else { word.into() }).collect();
        let output = command(folder.path(), &words.iter().map(OsString::as_os_str).collect::<Vec<_>>());
        assert_eq!((refusal(&output).as_str(), output.status.code()), ("CTL0001", Some(2)), "{line}: {output:?}");
    }
    for line in
        ["runs create --name nightly --input @input.json", "run mixed.cloacina --workflow fine --input @input.json"]
    {
        let output = command(folder.path(), &line.split(' ').map(OsStr::new).collect::<Vec<_>>());
        let code = refusal(&output);
        assert!(["CTL0006", "CTL0010"].contains(&code.as_str()), "{line}: {output:?}");
    }
}

#[test]
fn names_of_files_need_not_be_text_for_people() {
    let folder = folder();
    let no_text = OsStr::from_bytes(NO_TEXT);
    fs::copy(folder.path().join("mixed.cloacina"), folder.path().join(no_text)).unwrap();
    let inspect = ["package", "inspect"].map(OsStr::new);
    let output = command(folder.path(), &[inspect[0], inspect[1], no_text]);
    assert_eq!(refusal(&output), "CTL0001", "JSON is UTF-8: {output:?}");
    let output = Command::new(program()).args(inspect).arg(no_text).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
