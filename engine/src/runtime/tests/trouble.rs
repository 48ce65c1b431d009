//! A database that refuses for a while, as databases do: a table that is away, a history that is damaged and repaired.
//!
//! No engine is started anew here: whatever it owns it goes on with by itself. On both databases.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use cloacina_workflow::Function;
use tokio::sync::Semaphore;

use super::fixture::{NAME, Shape, nothing, runtime, workflow};
use crate::{Engine, Error, RunHandle, RunState, TaskError, store::testing::TestDatabase};

/// Where the second task of a workflow waits, and how often it began.
struct Held {
    permits: Semaphore,
    entered: Semaphore,
    n_begun: AtomicUsize,
    hold: Function,
}

/// A place of its own for each test: the function of a task is a plain one, which can only name what is static.
macro_rules! held {
    () => {{
        static HELD: Held = Held {
            permits: Semaphore::const_new(0),
            entered: Semaphore::const_new(0),
            n_begun: AtomicUsize::new(0),
            hold: Function::AsyncTask(|_| Box::pin(HELD.wait())),
        };
        &HELD
    }};
}

/// The same test on both databases.
macro_rules! on_both {
    ($test:ident, $on_a_file:ident, $on_a_server:ident) => {
        #[test]
        fn $on_a_file() {
            let database = TestDatabase::sqlite();
            runtime().block_on($test(held!(), &database));
        }

        #[test]
        fn $on_a_server() {
            let database = TestDatabase::postgres();
            runtime().block_on($test(held!(), &database));
        }
    };
}

impl Held {
    async fn wait(&self) -> Result<(), TaskError> {
        self.n_begun.fetch_add(1, Ordering::SeqCst);
        self.entered.add_permits(1);
        self.permits.acquire().await.map_err(|_| TaskError::permanent("closed"))?.forget();
        Ok(())
    }

    /// Returns when the second task has begun once more.
    async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// Starts an engine that knows the workflow. With `is_once` the second task may begin only once.
    async fn start(&self, database: &TestDatabase, is_once: bool) -> Engine {
        let shape = Shape::new("held").task("first", &[], NAME).task("second", &["first"], self.hold);
        let shape = if is_once { shape.with(|task| task.at_most_once = true) } else { shape };
        let shape = shape.task("third", &["second"], NAME);
        Engine::builder().database(&database.address).workflow(workflow(shape)).start().await.unwrap()
    }
}

async fn submit(engine: &Engine) -> RunHandle {
    engine.scheduler().schedule_workflow("held", nothing()).await.unwrap()
}

/// Ends the engine at once, whatever runs.
async fn abandon(engine: Engine) {
    engine.shutdown_within(Duration::ZERO).await.unwrap();
}

/// Looks again and again, as nobody tells what a report would say.
async fn until_waiting(run: &RunHandle) -> String {
    loop {
        if let Err(error) = run.report().await {
            return error.code().to_owned();
        }
        tokio::task::yield_now().await;
    }
}

fn away(database: &TestDatabase) {
    database.execute("ALTER TABLE event RENAME TO event_away");
}

fn back(database: &TestDatabase) {
    database.execute("ALTER TABLE event_away RENAME TO event");
}

on_both!(
    refused,
    what_a_file_refused_is_stored_when_it_takes_it_again,
    what_a_server_refused_is_stored_when_it_takes_it_again
);

/// What was refused is stored when the table is back, and no attempt is repeated, not even one that must not be.
async fn refused(held: &Held, database: &TestDatabase) {
    let engine = held.start(database, true).await;
    let run = submit(&engine).await;
    held.entered().await;
    away(database);
    held.permits.add_permits(1);
    let code = until_waiting(&run).await;
    assert!(["RUN0007", "STO0010"].contains(&code.as_str()), "{code}");
    back(database);
    let report = run.wait().await.unwrap();
    assert_eq!((report.state, held.n_begun.load(Ordering::SeqCst)), (RunState::Completed, 1));
    let kinds: Vec<_> = run.events().await.unwrap().iter().map(|event| event.kind).collect();
    let expected = ["run_created", "run_started", "task_completed", "attempt_started", "task_completed"];
    assert_eq!(kinds[..5], expected);
    assert_eq!(kinds[5..], ["task_completed", "run_finished"]);
    engine.shutdown().await.unwrap();
}

on_both!(
    unread,
    histories_that_a_file_does_not_give_are_read_again,
    histories_that_a_server_does_not_give_are_read_again
);

/// Histories that cannot be read right after a start, or a takeover, are read again.
async fn unread(held: &Held, database: &TestDatabase) {
    let first = held.start(database, false).await;
    let run = submit(&first).await;
    held.entered().await;
    abandon(first).await;
    away(database);
    let engine = held.start(database, false).await;
    let run = engine.run(run.id()).await.unwrap();
    assert!(run.report().await.is_err());
    // What is asked meanwhile is answered, and not for ever waited for.
    let refused = run.cancel("ann").await.unwrap_err();
    assert_eq!(refused.code(), "RUN0007", "{refused}");
    back(database);
    held.permits.add_permits(2);
    assert!(run.wait().await.unwrap().state.is_terminal());
    engine.shutdown().await.unwrap();
}

on_both!(damaged, a_damaged_history_in_a_file_holds_nobody_up, a_damaged_history_on_a_server_holds_nobody_up);

/// A damaged history keeps no other run from going on, and is continued after its repair.
async fn damaged(held: &Held, database: &TestDatabase) {
    let first = held.start(database, false).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = submit(&first).await;
        // The second task may begin only once.
        run.pause("ann").await.ok();
        runs.push(run.id());
    }
    abandon(first).await;
    database.execute("CREATE TABLE kept AS SELECT run, payload FROM event WHERE sequence = 0");
    database.execute(
        "UPDATE event SET payload = substr(payload, 1, 1) WHERE sequence = 0 \
         AND run = (SELECT run FROM event ORDER BY run LIMIT 1)",
    );
    let engine = held.start(database, false).await;
    held.permits.add_permits(10);
    let mut handles = Vec::new();
    for run in runs {
        handles.push(engine.run(run).await.unwrap());
    }
    for run in &handles[1..] {
        // It may have been paused too late.
        run.resume("ann").await.ok();
        assert!(run.wait().await.unwrap().state.is_terminal());
    }
    let error = handles[0].wait().await.unwrap_err();
    assert!(matches!(&error, Error::RunLost { source, .. } if source.code() == "STO0009"), "{error}");
    database.execute(
        "UPDATE event SET payload = (SELECT kept.payload FROM kept WHERE kept.run = event.run) \
         WHERE sequence = 0",
    );
    loop {
        handles[0].resume("ann").await.ok();
        if handles[0].wait().await.is_ok_and(|report| report.state.is_terminal()) {
            break;
        }
        tokio::task::yield_now().await;
    }
    engine.shutdown().await.unwrap();
}
