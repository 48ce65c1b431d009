//! The streams of a run that another server drives: they go on until the run has ended, with every event once.

use std::thread;

use super::{client::Served, raw::Raw};
use crate::{sharing::server, steer::Place};

fn subscribe(served: &Served, path: &str, begin: &str) -> Raw {
    let raw = Raw::connect(served);
    assert!(raw.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()));
    raw.wait_for(begin);
    raw
}

#[test]
fn a_run_of_another_server_is_followed_to_its_end() {
    let schema = server();
    let place = Place { database: schema.url().to_owned(), ..Place::new() };
    let (here, there) = (Served::start(&place), Served::start(&place));
    let defined = here.post("/api/v1/workflows", r#"{"name": "idle", "tasks": [{"id": "only", "uses": "noop"}]}"#);
    assert_eq!(defined.status, 201, "{defined:?}");
    let run = here.submit(r#"{"workflow": "idle", "held": true}"#);
    let path = format!("/api/v1/runs/{run}");
    let followed = subscribe(&there, &format!("{path}/stream"), "run_created");
    let log = subscribe(&there, &format!("{path}/logs/stream"), "HTTP/1.1 200");
    let items = thread::scope(|scope| {
        let whole = scope.spawn(|| there.stream(&[], &format!("{path}/stream")));
        let started = here.post(&format!("{path}/start"), "{}");
        assert!(started.status < 300, "{started:?}");
        whole.join().unwrap()
    });
    for stream in [followed, log] {
        stream.wait_for(r#""state":"completed""#);
    }
    let (end, events) = items.split_last().unwrap();
    assert_eq!((&end.0[..], &end.2["state"]), ("end", &"completed".into()), "{items:?}");
    let sequences: Vec<_> = events.iter().map(|(_, _, event)| event["sequence"].as_u64().unwrap()).collect();
    let stored = here.get(&format!("{path}/events")).as_array().unwrap().len();
    assert_eq!(sequences, (0..stored as u64).collect::<Vec<_>>());
}
