//! Programs that run tasks and are asked to stop: by Ctrl-C, by a service manager, by a terminal that closes. And what
//! is answered by an engine that ends.

use std::process::Command;

use serde_json::Value;

use crate::{
    cmd::program,
    sharing::server,
    steer::{Place, id, states},
};

/// How many times a run is cancelled whose engine ends right after.
const N_CANCELS: usize = 12;

fn kinds(place: &Place, run: &str) -> Vec<String> {
    let events = place.json(&["runs", "events", run]);
    let events = events["events"].as_array().unwrap().iter();
    events.map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

/// However it is asked to stop, whatever runs tasks lets them finish and gives the run back in order.
#[test]
fn every_signal_to_stop_lets_attempts_finish_wherever_a_command_runs_them() {
    let run = ["run", "steered.cloacina", "--workflow", "held", "--database", "runs.db"];
    for (signal, verb) in
        [("TERM", "run"), ("HUP", "run"), ("INT", "run"), ("TERM", "execute"), ("TERM", "start"), ("HUP", "task")]
    {
        let place = Place::new();
        let engine = match verb {
            "run" => place.spawn(&run, "started wait"),
            verb => {
                place.json(&["package", "register", "steered.cloacina"]);
                place.json(&["runs", "create", "--workflow", "held"]);
                match verb {
                    "task" => {
                        let engine = place.command(&["runs", "execute", "latest", "--task", "wait"]);
                        let engine = Place::watched(engine);
                        place.until_running("latest");
                        engine
                    }
                    verb => place.spawn(&["runs", verb, "latest"], "started wait"),
                }
            }
        };
        engine.signal(signal);
        engine.hear("stopping");
        place.put("go");
        assert_eq!(engine.end(), Some(130), "{signal} of {verb}");
        let kinds = kinds(&place, "latest");
        assert!(!kinds.contains(&"attempt_interrupted".to_owned()), "{signal} of {verb}: {kinds:?}");
        assert!(kinds.contains(&"task_completed".to_owned()), "{signal} of {verb}: {kinds:?}");
        let ended = place.json(&["runs", "execute", "latest"]);
        assert_eq!(states(&ended), "completed: completed completed completed", "{signal} of {verb}");
    }
}

#[test]
fn a_second_signal_to_stop_ends_at_once() {
    for (first, second) in [("TERM", "TERM"), ("HUP", "INT")] {
        let place = Place::new();
        let engine = place.begin("held", "started wait");
        engine.signal(first);
        engine.hear("stopping");
        engine.signal(second);
        // Its task never ends, so it is not waited for.
        assert_eq!(engine.end(), Some(130));
        place.put("go");
        assert_eq!(states(&place.json(&["runs", "execute", "latest"])), "completed: completed completed completed");
    }
}

#[test]
fn a_hang_up_that_is_to_be_ignored_stays_ignored() {
    let place = Place::new();
    let mut command = Command::new("sh");
    let run = [program().to_str().unwrap(), "run", "steered.cloacina", "--workflow", "held", "--database", "runs.db"];
    command.current_dir(place.path()).args(["-c", r#"trap "" HUP; exec "$@""#, "sh"]).args(run);
    let engine = Place::listen(command, "started wait");
    engine.signal("HUP");
    let paused = place.json(&["runs", "pause", "latest"]);
    assert_eq!(paused["state"], "paused", "it still takes requests");
    place.put("go");
    place.json(&["runs", "resume", "latest"]);
    assert_eq!(engine.end(), Some(0));
}

#[test]
fn a_cancel_that_worked_says_so_when_its_engine_ends_right_after() {
    let place = Place::new();
    for _ in 0..N_CANCELS {
        let engine = place.begin("patient", "started shaky");
        drop(place.spawn(&["runs", "watch", "latest"], "attempt_failed shaky"));
        // Nothing of it runs, so that the run, and with it the engine, ends at once.
        let cancelled = place.json(&["runs", "cancel", "latest"]);
        assert_eq!(states(&cancelled), "cancelled: cancelled");
        engine.end();
    }
}

#[test]
fn a_request_that_no_engine_would_perform_is_not_called_done() {
    let schema = server();
    let on_a_server = Place { database: schema.url().to_owned(), ..Place::new() };
    for place in [Place::new(), on_a_server] {
        let created = place.json(&["runs", "create", "--name", "alone"]);
        let run = id(&created);
        let execute = ["runs", "execute", run, "--no-wait"];
        assert_eq!(states(&place.json(&execute)), "running: ready", "it may begin from now on");
        assert_eq!(place.code(&execute), (Some(4), "CTL0060".to_owned()), "nothing is left to be asked");
        assert_eq!(states(&place.json(&["runs", "execute", run])), "completed: completed");
        assert_eq!(states(&place.json(&execute)), "completed: completed", "it has ended");
    }
}

#[test]
fn short_commands_leave_the_runs_of_a_dead_engine_where_they_are() {
    let schema = server();
    let place = Place { database: schema.url().to_owned(), ..Place::new() };
    let created = place.json(&["runs", "create", "--name", "alone"]);
    let run = id(&created);
    let owner = |place: &Place| -> Value {
        schema.execute("UPDATE owner SET ended = NULL, lease_until = 1").unwrap();
        let why = place.json(&["runs", "why", run]);
        let mut gates = why["waiting"][0]["gates"].as_array().unwrap().iter();
        gates.find(|gate| gate["gate"].as_str().unwrap().starts_with("owner")).unwrap().clone()
    };
    let before = owner(&place);
    assert_eq!(before["gate"], "owner_dead");
    place.json(&["runs", "create", "--name", "another"]);
    place.json(&["runs", "list"]);
    place.json(&["runs", "cancel", "latest"]);
    assert_eq!(owner(&place)["text"], before["text"]);
    // The request about the run itself is performed, because there is no other engine.
    assert_eq!(states(&place.json(&["runs", "cancel", run])), "cancelled: cancelled");
}
