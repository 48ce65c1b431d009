//! A database that refuses for a while, as databases do: a table that is away, a history that is damaged and mended.
//!
//! No engine is started anew here: whatever it owns it goes on with by itself. On both databases.

use std::sync::atomic::{AtomicUsize, Ordering};

use cloacina_workflow::Function;
use tokio::sync::Semaphore;

use super::fixture::{NAME, Shape, nothing, runtime, workflow};
use crate::{Engine, Error, RunHandle, RunState, TaskError, store::testing::TestDatabase};

/// A workflow whose second task waits for a permit.
macro_rules! held {
    ($shape:ident, $permits:ident, $entered:ident, $begun:ident) => {
        static $permits: Semaphore = Semaphore::const_new(0);
        static $entered: Semaphore = Semaphore::const_new(0);
        static $begun: AtomicUsize = AtomicUsize::new(0);
        fn $shape(is_once: bool) -> Shape {
            const HOLD: Function = Function::AsyncTask(|_| {
                Box::pin(async move {
                    $begun.fetch_add(1, Ordering::SeqCst);
                    $entered.add_permits(1);
                    $permits.acquire().await.map_err(|_| TaskError::permanent("closed"))?.forget();
                    Ok(())
                })
            });
            let shape = Shape::new("held").task("first", &[], NAME).task("second", &["first"], HOLD);
            let shape = if is_once { shape.with(|task| task.at_most_once = true) } else { shape };
            shape.task("third", &["second"], NAME)
        }
    };
}

async fn start(database: &TestDatabase, shape: Shape) -> Engine {
    Engine::builder().database(&database.address).workflow(workflow(shape)).start().await.unwrap()
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

/// What was refused is stored when the table is back, and no attempt is repeated, not even one that must not be.
macro_rules! refused {
    ($name:ident, $database:expr) => {
        #[test]
        fn $name() {
            held!(shape, PERMITS, ENTERED, BEGUN);
            let database = $database;
            runtime().block_on(async {
                let engine = start(&database, shape(true)).await;
                let run = engine.scheduler().schedule_workflow("held", nothing()).await.unwrap();
                ENTERED.acquire().await.unwrap().forget();
                away(&database);
                PERMITS.add_permits(1);
                let code = until_waiting(&run).await;
                assert!(["RUN0007", "STO0010"].contains(&code.as_str()), "{code}");
                back(&database);
                let report = run.wait().await.unwrap();
                assert_eq!((report.state, BEGUN.load(Ordering::SeqCst)), (RunState::Completed, 1));
                let kinds: Vec<_> = run.events().await.unwrap().iter().map(|event| event.kind).collect();
                let expected = ["run_created", "run_started", "task_completed", "attempt_started", "task_completed"];
                assert_eq!(kinds[..5], expected);
                assert_eq!(kinds[5..], ["task_completed", "run_finished"]);
                engine.shutdown().await.unwrap();
            });
        }
    };
}

refused!(what_a_file_refused_is_stored_when_it_takes_it_again, TestDatabase::sqlite());
refused!(what_a_server_refused_is_stored_when_it_takes_it_again, TestDatabase::postgres());

/// Histories that cannot be read right after a start, or a takeover, are read again.
macro_rules! unread {
    ($name:ident, $database:expr) => {
        #[test]
        fn $name() {
            held!(shape, PERMITS, ENTERED, BEGUN);
            let database = $database;
            runtime().block_on(async {
                let first = start(&database, shape(false)).await;
                let run = first.scheduler().schedule_workflow("held", nothing()).await.unwrap();
                ENTERED.acquire().await.unwrap().forget();
                first.shutdown_within(std::time::Duration::ZERO).await.unwrap();
                away(&database);
                let engine = start(&database, shape(false)).await;
                let run = engine.run(run.id()).await.unwrap();
                assert!(run.report().await.is_err());
                // What is asked meanwhile is answered, and not for ever waited for.
                let refused = run.cancel("ann").await.unwrap_err();
                assert_eq!(refused.code(), "RUN0007", "{refused}");
                back(&database);
                PERMITS.add_permits(2);
                assert!(run.wait().await.unwrap().state.is_terminal());
                engine.shutdown().await.unwrap();
            });
        }
    };
}

unread!(histories_that_a_file_does_not_give_are_read_again, TestDatabase::sqlite());
unread!(histories_that_a_server_does_not_give_are_read_again, TestDatabase::postgres());

/// A damaged history keeps no other run from going on, and is gone on with once it is mended.
macro_rules! damaged {
    ($name:ident, $database:expr) => {
        #[test]
        fn $name() {
            held!(shape, PERMITS, ENTERED, BEGUN);
            let database = $database;
            runtime().block_on(async {
                let first = start(&database, shape(false)).await;
                let mut runs = Vec::new();
                for _ in 0..3 {
                    let run = first.scheduler().schedule_workflow("held", nothing()).await.unwrap();
                    // The second task may begin only once.
                    run.pause("ann").await.ok();
                    runs.push(run.id());
                }
                first.shutdown_within(std::time::Duration::ZERO).await.unwrap();
                database.execute("CREATE TABLE kept AS SELECT run, payload FROM event WHERE sequence = 0");
                database.execute(
                    "UPDATE event SET payload = substr(payload, 1, 1) WHERE sequence = 0 \
                     AND run = (SELECT run FROM event ORDER BY run LIMIT 1)",
                );
                let engine = start(&database, shape(false)).await;
                PERMITS.add_permits(10);
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
                database.execute("UPDATE event SET payload = (SELECT kept.payload FROM kept WHERE kept.run = event.run) \
                                  WHERE sequence = 0");
                loop {
                    handles[0].resume("ann").await.ok();
                    if handles[0].wait().await.is_ok_and(|report| report.state.is_terminal()) {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                engine.shutdown().await.unwrap();
            });
        }
    };
}

damaged!(a_damaged_history_in_a_file_holds_nobody_up, TestDatabase::sqlite());
damaged!(a_damaged_history_on_a_server_holds_nobody_up, TestDatabase::postgres());
