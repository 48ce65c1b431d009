//! Commands that wait for a run, with a reader that goes away: each ends, although nothing is written meanwhile.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use crate::{cmd::program, steer::Place};

/// The exit code of a command without a reader.
const CODE: Option<i32> = Some(141);

/// Starts a command with a pipe as its output and waits until it says that on stderr.
fn begin(place: &Place, arguments: &[&str], line: Option<&str>) -> Child {
    let mut command = Command::new(program());
    command.current_dir(place.path()).args(arguments).env("CLOACINA__DATABASE__URL", "runs.db");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Some(line) = line {
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(line) {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{arguments:?}: {said}");
        }
        child.stderr = Some(stderr.into_inner());
    }
    child
}

#[test]
fn a_command_that_waits_for_a_run_ends_with_its_reader() {
    let place = Place::new();
    let engine = place.begin("held", "started wait");
    for (arguments, line) in [
        (&["runs", "watch", "latest"][..], Some("run_started")),
        (&["runs", "wait", "latest"], None),
        (&["runs", "logs", "latest", "--follow"], None),
    ] {
        let mut child = begin(&place, arguments, line);
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), CODE, "{arguments:?}");
    }
    drop(engine);
    // Without an engine they read the database.
    for arguments in
        [&["runs", "watch", "latest"][..], &["runs", "wait", "latest"], &["runs", "logs", "latest", "--follow"]]
    {
        let mut child = begin(&place, arguments, Some("no engine drives"));
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), CODE, "{arguments:?}");
    }
}

#[test]
fn a_run_whose_reader_goes_away_is_stopped_in_order_and_goes_on_later() {
    let place = Place::new();
    let run = ["run", "steered.cloacina", "--workflow", "held", "--database", "runs.db"];
    let mut child = begin(&place, &run, Some("started wait"));
    drop(child.stdout.take());
    // It is the engine, and lets the attempt finish.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("stopping:") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    place.put("go");
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), CODE, "{said}");
    assert!(said.contains("error[CTL0053]") && said.contains("continue with: cloacina-ctl"), "{said}");
    assert_eq!(place.json(&["runs", "execute", "latest"])["state"], "completed");
}
