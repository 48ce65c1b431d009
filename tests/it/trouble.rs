//! A file system that really refuses writes for a while, under an engine in a process of its own.
//!
//! Every user may limit the size of files of its processes, at any time and without being root: what
//! SQLite writes then fails as on a disk that fails.

use std::process::Command;

use crate::{
    cmd::program,
    steer::{Engine, Place, states},
};

/// Limits the files of the process to so many bytes from now on.
fn limit_files(engine: &Engine, bytes: &str) {
    let pid = engine.child.id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
    assert!(limited.unwrap().success(), "prlimit, of util-linux, is needed");
}

#[test]
fn an_engine_goes_on_by_itself_when_the_disk_takes_writes_again() {
    let place = Place::new();
    let mut command = Command::new("sh");
    let run = [program().to_str().unwrap(), "run", "steered.cloacina", "--workflow", "held", "--database", "runs.db"];
    // A process is told of the limit by a signal that would end it.
    command.current_dir(place.path()).args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh"]).args(run);
    let engine = Place::listen(command, "started wait");
    limit_files(&engine, "1");
    place.put("go");
    engine.hear("the store refuses a change of a run");
    let why = place.json(&["runs", "why", "latest"]);
    let gate = &why["waiting"][0]["gates"][0];
    assert_eq!(gate["gate"], "store_refused", "{why}");
    let text = gate["text"].as_str().unwrap();
    assert!(text.contains("the next try is at") && text.contains("disk"), "{text}");
    let shown = place.output(&["runs", "show", "latest"]);
    let noted = String::from_utf8(shown.stderr).unwrap();
    assert!(noted.contains("the run waits: the database refused a change"), "{noted}");
    assert!(String::from_utf8(shown.stdout).unwrap().contains("0/3"), "what is not stored is not shown as done");

    limit_files(&engine, "unlimited");
    engine.hear("the store accepts the changes of the run again");
    assert_eq!(engine.end(), Some(0));
    assert_eq!(states(&place.json(&["runs", "show", "latest"])), "completed: completed completed completed");
    let events = place.json(&["runs", "events", "latest"]);
    let mut kinds = events["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap());
    assert!(kinds.all(|kind| kind != "attempt_interrupted"), "{events}");
}
