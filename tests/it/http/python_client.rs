//! A client in Python, made of the description by openapi-python-client, which runs the life of a package and a run.
//!
//! The generator comes from the Python registry when the test runs.

use cloacina_tests::root;

use super::{
    client::Served,
    python::{Python, succeeds},
};
use crate::steer::Place;

/// The version that was tried; another one may write other names.
const GENERATOR: &str = "openapi-python-client==0.29.1";

/// What the generator leaves out, as it cannot read it: a shape that is one of several and has a field more, lines of JSON, and
/// the request that also takes TOML.
const LEFT_OUT: [&str; 7] = [
    "GateInWords",
    "WaitingTask",
    "Why",
    "application/x-ndjson",
    "application/toml",
    "JsonDefinition",
    "TomlDefinition",
];

#[test]
fn a_python_client_of_the_description_lives_with_a_package_and_a_run() {
    let place = Place::new();
    let served = Served::start(&place);
    let python = Python::with(place.path(), &[GENERATOR]);
    let made = succeeds(
        python
            .program("openapi-python-client")
            .args(["generate", "--meta", "none", "--output-path", "cloacina_api", "--path"])
            .arg(root().join("docs/reference/openapi.json"))
            .current_dir(place.path()),
    );
    for line in made.lines().filter(|line| line.contains("/components/schemas/") || line.contains("Unsupported")) {
        assert!(LEFT_OUT.iter().any(|name| line.contains(name)), "the generator cannot read more than before: {made}");
    }
    let life = root().join("tests/fixtures/python_client/life.py");
    let mut run = python.program("python");
    run.arg(life).arg(&served.url).args(["steered.cloacina", "go"]).env("PYTHONPATH", place.path());
    succeeds(run.current_dir(place.path()));
    assert_eq!(served.end(), Some(0));
}
