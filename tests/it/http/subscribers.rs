//! Many clients that listen to a run in which nothing happens: what they cost the server.
//!
//! The limits are those of the product: 20 KiB of memory for each, and no processor time. That each of them is still there is
//! shown by the end of the run, which all of them are told.

use std::{thread, time::Duration};

use rustix::process::{Resource, getrlimit};

use super::{client::Served, raw::Raw};
use crate::steer::Place;

const SUBSCRIBERS: usize = 2_000;

/// The most memory that each may cost.
const BYTES_EACH: usize = 20 << 10;

/// What the server may take beside that, as its memory grows in large pieces.
const BYTES_MORE: usize = 1 << 20;

/// For how long the server is watched while nothing happens.
const WATCHED: Duration = Duration::from_secs(3);

/// What the server may use of one processor meanwhile, all heartbeats included: as a part of the time.
const BUSY_PART: u32 = 20;

fn subscribe(served: &Served, run: &str) -> Raw {
    let raw = Raw::connect(served);
    assert!(raw.send(format!("GET /api/v1/runs/{run}/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()));
    raw.wait_for("run_created");
    raw
}

#[test]
fn subscribers_of_an_idle_run_cost_little_memory_and_no_time() {
    let n_files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    let n_subscribers = SUBSCRIBERS.min(n_files / 4);
    let place = Place::new();
    let n_places = (n_subscribers + 100).to_string();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--no-login", "--output", "json", "--quiet"];
    let served = Served::listen(place.command(&[&serve[..], &["--connections", &n_places]].concat()));
    let defined = served.post("/api/v1/workflows", r#"{"name": "idle", "tasks": [{"id": "only", "uses": "noop"}]}"#);
    assert_eq!(defined.status, 201, "{}", defined.text());
    let run = served.submit(r#"{"workflow": "idle", "held": true}"#);
    // What the first ones make the server allocate, the others use too.
    let mut subscribers: Vec<Raw> = (0..20).map(|_| subscribe(&served, &run)).collect();
    let before = served.memory();
    subscribers.extend((0..n_subscribers).map(|_| subscribe(&served, &run)));
    let grown = served.memory().saturating_sub(before);
    assert!(grown < n_subscribers * BYTES_EACH + BYTES_MORE, "{n_subscribers} subscribers cost {grown} bytes");
    let busy = served.processor_time();
    thread::park_timeout(WATCHED);
    let busy = served.processor_time() - busy;
    assert!(busy < WATCHED / BUSY_PART, "{n_subscribers} idle subscribers cost {busy:?} in {WATCHED:?}");
    let cancelled = served.post(&format!("/api/v1/runs/{run}/cancel"), "{}");
    assert!(cancelled.status < 300, "{}", cancelled.text());
    for subscriber in &subscribers {
        subscriber.wait_for("event: end");
    }
}
