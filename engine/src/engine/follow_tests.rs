//! Following runs: nothing is left out or repeated, however slow the reader is, and every stream ends.
//!
//! Each behavior is tried on both databases, but for the length of a page.

use std::{path::Path, pin::Pin};

use futures_core::Stream;

use crate::{
    Context, Engine, Error, RunEvent, RunFollower, RunHandle, RunRequest, RunState, TaskError, Value,
    store::testing::TestDatabase, task,
};

#[crate::workflow(name = "three")]
mod three {
    use super::*;

    #[task(id = "first")]
    async fn first(_context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(id = "second", dependencies = ["first"])]
    async fn second(_context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(id = "third", dependencies = ["second"])]
    async fn third(_context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

async fn engine(database: &TestDatabase, folder: &Path) -> Engine {
    let builder = Engine::builder().database(&database.address).data_dir(folder);
    builder.workflow(three::workflow()).start().await.unwrap()
}

/// A run that waits to be started.
async fn held(engine: &Engine) -> RunHandle {
    engine.scheduler().submit(RunRequest::new("three", Context::new()).held()).await.unwrap()
}

/// An engine with a run that waits to be started, and a follower that has seen how the run was created.
async fn followed(database: &TestDatabase, folder: &Path) -> (Engine, RunHandle, RunFollower) {
    let engine = engine(database, folder).await;
    let run = held(&engine).await;
    let mut follower = run.follow().await.unwrap();
    let first = follower.next().await.unwrap().unwrap();
    assert_eq!((first.sequence, first.kind), (0, "run_created"));
    (engine, run, follower)
}

async fn rest(follower: &mut RunFollower) -> Vec<RunEvent> {
    let mut events = Vec::new();
    while let Some(event) = follower.next().await {
        events.push(event.unwrap());
    }
    events
}

fn databases() -> [TestDatabase; 2] {
    [TestDatabase::sqlite(), TestDatabase::postgres()]
}

#[tokio::test]
async fn a_run_is_followed_from_its_beginning_to_its_end() {
    for database in databases() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, run, mut follower) = followed(&database, folder.path()).await;
        run.start("ada").await.unwrap();
        let live = rest(&mut follower).await;
        assert_eq!(live.last().unwrap().kind, "run_finished");
        assert!(follower.next().await.is_none(), "an end stays one");
        // What is told live is the history, and so is what is told afterwards.
        let history = run.events().await.unwrap();
        assert_eq!(live, history[1..]);
        assert_eq!(rest(&mut run.follow().await.unwrap()).await, history);
        assert_eq!(rest(&mut engine.run(run.id()).await.unwrap().follow().await.unwrap()).await, history);
        engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_reader_misses_nothing_even_if_the_engine_has_stopped_meanwhile() {
    for database in databases() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, run, mut follower) = followed(&database, folder.path()).await;
        run.start("ada").await.unwrap();
        assert_eq!(run.wait().await.unwrap().state, RunState::Completed);
        let history = run.events().await.unwrap();
        engine.shutdown().await.unwrap();
        assert_eq!(rest(&mut follower).await, history[1..]);
    }
}

#[tokio::test]
async fn a_stream_ends_with_an_error_when_the_engine_stops_before_the_run() {
    for database in databases() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, run, mut follower) = followed(&database, folder.path()).await;
        let (next, stopped) = tokio::join!(follower.next(), engine.shutdown());
        stopped.unwrap();
        assert!(matches!(next, Some(Err(Error::ShutDown))), "{next:?}");
        assert!(follower.next().await.is_none());
        let again = run.follow().await.unwrap().next().await;
        assert!(matches!(again, Some(Err(Error::ShutDown))), "{again:?}");
    }
}

#[tokio::test]
async fn a_follower_is_woken_by_its_own_run_and_by_no_other() {
    for database in databases() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, run, follower) = followed(&database, folder.path()).await;
        assert!(!engine.shared.board.is_watched(), "notices are made for those who read them");
        let signal = engine.shared.board.follow(run.id());
        let other = held(&engine).await;
        other.start("ada").await.unwrap();
        other.wait().await.unwrap();
        assert!(!signal.is_given());
        run.start("ada").await.unwrap();
        run.wait().await.unwrap();
        assert!(signal.is_given());
        drop(follower);
        engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_history_of_several_pages_is_read_as_one() {
    let (database, folder) = (TestDatabase::sqlite(), tempfile::tempdir().unwrap());
    let engine = engine(&database, folder.path()).await;
    let workflow = engine.built_in("many", 700, None).await.unwrap();
    let run = engine.scheduler().submit(RunRequest::new(workflow, Context::new())).await.unwrap();
    let mut follower = run.follow().await.unwrap();
    let mut sequences = Vec::new();
    while let Some(event) = std::future::poll_fn(|context| Pin::new(&mut follower).poll_next(context)).await {
        sequences.push(event.unwrap().sequence);
    }
    let n_events = run.events().await.unwrap().len() as i64;
    assert!(n_events > 700);
    assert_eq!(sequences, (0..n_events).collect::<Vec<_>>());
    engine.shutdown().await.unwrap();
}
