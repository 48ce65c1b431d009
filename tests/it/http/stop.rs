//! How a server ends: it lets requests and attempts finish, leaves the rest to the next start, and ends at once if it is
//! asked again.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use super::client::Served;
use crate::{sharing::wait_until, steer::Place};

const HELD: &str = r#"{"workflow": "held"}"#;

/// A server that lets others finish for so long, with the lines that it says.
fn start(place: &Place, drain: &str) -> (Served, impl Iterator<Item = String>) {
    let mut serve =
        place.command(&["serve", "--listen", "127.0.0.1:0", "--no-login", "--output", "json", "--drain", drain]);
    serve.stderr(Stdio::piped());
    let (served, stderr) = Served::listen_with_notes(serve);
    (served, BufReader::new(stderr).lines().map(Result::unwrap))
}

/// Submits a run whose first task waits, and waits for its begin.
fn begin(place: &Place, served: &Served) -> String {
    served.register(&place.path().join("steered.cloacina"));
    let run = served.submit(HELD);
    let path = format!("/api/v1/runs/{run}");
    wait_until("a task runs", || served.get(&path)["tasks"].to_string().contains("\"running\""));
    run
}

/// The next server ends the run.
fn ends_with_the_next(place: &Place, run: &str) {
    place.put("go");
    let (served, _) = start(place, "10s");
    let path = format!("/api/v1/runs/{run}");
    wait_until("the run ends", || served.get(&path)["state"] == "completed");
    assert_eq!(served.end(), Some(0));
}

#[test]
fn what_does_not_finish_in_time_is_left_to_the_next_start() {
    let place = Place::new();
    let (served, mut notes) = start(&place, "100ms");
    let run = begin(&place, &served);
    served.signal("TERM");
    assert!(notes.any(|note| note.contains("requests may finish")));
    assert_eq!(served.end(), Some(0));
    ends_with_the_next(&place, &run);
}

#[test]
fn a_second_signal_ends_a_server_at_once() {
    let place = Place::new();
    let (served, mut notes) = start(&place, "1h");
    let run = begin(&place, &served);
    served.signal("TERM");
    assert!(notes.any(|note| note.contains("tasks may finish for 3600 s")));
    // The test would hang if the second one were not enough.
    assert_eq!(served.end(), Some(0));
    ends_with_the_next(&place, &run);
}
