//! Engines in processes of their own on a server that really crashes, and what is left of what they acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use cloacina::{
    Records, RunFilter, RunId, RunState,
    testing::{PrivateServer, server_processes},
};
use tempfile::TempDir;

use crate::{
    disk,
    sharing::{Process, ledger, wait_until},
};

/// What a client of the server is called that belongs to an engine.
const ENGINE: &str = "cloacina";

/// Waits until an engine waits for a lock on the server.
fn wait_for_lock(server: &PrivateServer) {
    let is_waiting = "DO 'BEGIN ASSERT EXISTS (SELECT FROM pg_stat_activity \
                      WHERE application_name = ''cloacina'' AND wait_event_type = ''Lock''); END'";
    wait_until("a transaction that waits for a lock", || server.execute(is_waiting).is_ok());
}

fn exists(url: &str, run: RunId) -> bool {
    Records::open(url).unwrap().report(run).is_ok()
}

/// A transaction of an engine that is stopped is lost in a crash, and its number is given to another client, which commits.
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

/// As a server is that has been made the standby of another, or whose disk is nearly full: it answers, and takes nothing.
#[test]
fn runs_end_by_themselves_when_a_server_takes_writes_again() {
    const N_RUNS: usize = 5;
    let (server, folder) = (PrivateServer::start(&[]).unwrap(), tempfile::tempdir().unwrap());
    let url = server.url();
    let mut engine = Process::start_at(&url, &folder);
    let runs: Vec<RunId> = (0..N_RUNS).map(|_| engine.submit("chain")).collect();
    let n_noted = |what: &str| ledger(&folder).iter().filter(|note| note.2 == "held" && note.4 == what).count();
    wait_until("every run is held", || n_noted("begun") == N_RUNS);
    let read_only = |value: &str| {
        server.execute(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).unwrap();
        server.execute("SELECT pg_reload_conf()").unwrap();
        let is_so = format!("DO 'BEGIN ASSERT current_setting(''transaction_read_only'') = ''{value}''; END'");
        wait_until("the server has read its settings", || server.execute(&is_so).is_ok());
    };
    read_only("on");
    engine.say("submit quick");
    assert_eq!(engine.acknowledgement(), None, "a run was acknowledged that the server did not take");
    fs::write(folder.path().join("go"), "").unwrap();
    wait_until("every held task has ended", || n_noted("done") == N_RUNS);
    let mut records = Records::open(&url).unwrap();
    assert!(runs.iter().all(|run| records.report(*run).unwrap().state == RunState::Running), "nothing was stored");
    read_only("off");
    for run in &runs {
        wait_until(&format!("the end of {run}"), || records.report(*run).unwrap().state == RunState::Completed);
    }
    let acknowledged = runs.into_iter().collect();
    audit(&url, &folder, &acknowledged);
}

/// Three engines, and kills of every kind in turn.
#[test]
fn nothing_acknowledged_is_missing_after_mixed_kills() {
    const N_KILLS: usize = 12;
    let _disk = disk();
    // The machine goes on, so nothing needs to be waited for to survive.
    let (mut server, folder) = (PrivateServer::start(&["fsync=off"]).unwrap(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("go"), "").unwrap();
    let url = server.url();
    let mut engines: Vec<Process> = (0..3).map(|_| Process::start_at(&url, &folder)).collect();
    let mut acknowledged = BTreeSet::new();
    for kill in 0..N_KILLS {
        for engine in &mut engines {
            (0..4).for_each(|_| engine.say("submit chain"));
        }
        match kill % 4 {
            0 => {
                // It may have ended since.
                let victim = server_processes(&url, ENGINE).unwrap().into_iter().nth(kill % 3);
                victim.map(|pid| server.kill_process(pid).ok());
            }
            1 => server.crash().unwrap(),
            2 => server.stop_at_once().unwrap(),
            _ => {
                let place = kill % engines.len();
                let killed = std::mem::replace(&mut engines[place], Process::start_at(&url, &folder));
                acknowledged.extend(killed.end());
                (0..4).for_each(|_| engines[place].say("submit chain"));
            }
        }
        server.wait_until_ready().unwrap();
        for engine in &mut engines {
            // Whatever came of it is said, so the next kill falls into something else.
            (0..4).for_each(|_| acknowledged.extend(engine.acknowledgement()));
        }
    }
    let ended = |run: &RunId| {
        let state = Records::open(&url).and_then(|mut records| records.report(*run)).map(|report| report.state);
        state.is_ok_and(RunState::is_terminal)
    };
    assert!(acknowledged.len() > N_KILLS, "{}", acknowledged.len());
    for run in &acknowledged {
        wait_until(&format!("the end of {run}"), || ended(run));
    }
    audit(&url, &folder, &acknowledged);
}

/// Everything that was acknowledged is there, and whatever completed has a history without holes that its effects agree with.
fn audit(url: &str, folder: &TempDir, acknowledged: &BTreeSet<RunId>) {
    let mut records = Records::open(url).unwrap();
    let listed = records.runs(&RunFilter::default(), 10_000).unwrap();
    let listed: BTreeMap<RunId, RunState> = listed.into_iter().map(|run| (run.status.id, run.status.state)).collect();
    let missing: Vec<_> = acknowledged.iter().filter(|run| !listed.contains_key(run)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let done: BTreeSet<(String, String, u32)> = ledger(folder)
        .into_iter()
        .filter(|(.., what)| what == "done")
        .map(|(_, run, task, attempt, _)| (run, task, attempt))
        .collect();
    for (run, _) in listed.iter().filter(|(_, state)| **state == RunState::Completed) {
        let events = records.events(*run).unwrap();
        let of_kind = |kind: &str| events.iter().filter(|event| event.kind == kind).collect::<Vec<_>>();
        let completed: Vec<_> = of_kind("task_completed").iter().map(|event| event.task.clone().unwrap()).collect();
        assert_eq!(completed, ["first", "held", "last"], "{run}: {events:?}");
        assert_eq!((of_kind("run_created").len(), of_kind("run_finished").len()), (1, 1), "{run}: {events:?}");
        for event in of_kind("task_completed") {
            let entry = (run.to_string(), event.task.clone().unwrap(), event.attempt.unwrap());
            assert!(done.contains(&entry), "{entry:?} is not in the ledger");
        }
    }
}
