//! Engines in processes of their own on a server that really crashes, and what is left of what they acknowledged.

use cloacina::{Records, RunId, testing::PrivateServer};

use crate::sharing::{Process, wait_until};

/// Waits until an engine waits for a lock on the server.
fn wait_for_lock(server: &PrivateServer) {
    let is_waiting = "DO 'BEGIN ASSERT EXISTS (SELECT FROM pg_stat_activity \
                      WHERE application_name = ''cloacina'' AND wait_event_type = ''Lock''); END'";
    wait_until("a transaction that waits for a lock", || server.execute(is_waiting).is_ok());
}

fn exists(url: &str, run: RunId) -> bool {
    Records::open(url).unwrap().report(run).is_ok()
}

/// A transaction of an engine that is stopped is lost in a crash, and its number is given to a stranger, who commits.
#[test]
fn a_submission_that_a_crash_took_away_is_not_taken_for_a_strangers_commit() {
    let (mut server, folder) = (PrivateServer::start(&[]).unwrap(), tempfile::tempdir().unwrap());
    let url = server.url();
    let mut engine = Process::start_at(&url, &folder);
    let first = engine.submit("quick");
    assert_eq!(engine.wait_for(&format!("ended {first}")), "completed");
    // Ends with its connection, at the latest in the crash.
    let holder = server.hold("LOCK TABLE event IN SHARE MODE").unwrap();
    engine.say("submit quick");
    wait_for_lock(&server);
    engine.signal("STOP");
    server.kill_process(holder.pid()).unwrap();
    server.wait_until_ready().unwrap();
    for _ in 0..300 {
        server.execute("SELECT pg_current_xact_id()").unwrap();
    }
    engine.signal("CONT");
    let run: RunId = engine.wait_for("submitted").parse().unwrap();
    assert!(exists(&url, run), "{run} was acknowledged and is not there");
    assert_eq!(engine.wait_for(&format!("ended {run}")), "completed");
}
