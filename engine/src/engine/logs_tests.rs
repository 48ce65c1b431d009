//! The logs of whole runs, through the handles of their engine and beside it.
//!
//! What is asked is always what somebody who looks would see: each line once, in its order, and what is missing.

use std::sync::Barrier;

use cloacina_workflow::Context;

use crate::{Engine, Error, Level, LogFilter, LogRecord, Records, RunHandle, TaskError, Value, task};

#[crate::workflow(name = "talk", description = "Talks")]
mod talk {
    use super::*;

    #[task(id = "quiet")]
    async fn quiet(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.log(Level::Debug, "too quiet to be stored");
        context.log(Level::Error, "heard");
        Ok(())
    }

    #[task(id = "loud", dependencies = ["quiet"], retry_attempts = 2, retry_delay_ms = 1)]
    async fn loud(context: &mut Context<Value>) -> Result<(), TaskError> {
        for number in 0..300 {
            context.log(Level::Info, &format!("line {number}"));
        }
        if context.attempt() == 1 { Err(TaskError::transient("again")) } else { Ok(()) }
    }
}

#[crate::workflow(name = "chatter", description = "Talks too much")]
mod chatter {
    use super::*;

    #[task(id = "chat")]
    fn chat(context: &mut Context<Value>) -> Result<(), TaskError> {
        for number in 0..10_500 {
            context.log(Level::Info, &format!("{number}"));
        }
        Ok(())
    }
}

/// Where the task waits for the test.
static GATE: Barrier = Barrier::new(2);

#[crate::workflow(name = "slow", description = "Talks, waits, talks")]
mod slow {
    use super::*;

    #[task(id = "wait")]
    fn wait(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.log(Level::Info, "before");
        GATE.wait();
        context.log(Level::Info, "after");
        Ok(())
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn start(folder: &tempfile::TempDir, workflow: crate::Workflow) -> (Engine, String) {
    let path = folder.path().join("runs.db").to_str().unwrap().to_owned();
    (Engine::builder().database(&path).workflow(workflow).start().await.unwrap(), path)
}

async fn run(engine: &Engine, workflow: &str) -> RunHandle {
    engine.scheduler().schedule_workflow(workflow, Context::new()).await.unwrap()
}

fn messages(lines: &[LogRecord]) -> Vec<&str> {
    lines.iter().map(|line| line.message.as_str()).collect()
}

#[test]
fn what_attempts_log_is_there_while_the_engine_lives_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (engine, path) = start(&folder, talk::workflow()).await;
        let run = run(&engine, "talk").await;
        run.wait().await.unwrap();
        let all = run.logs(&LogFilter::default()).await.unwrap();
        assert_eq!(all.len(), 601);
        assert_eq!((all[0].task.as_str(), all[0].level, all[0].message.as_str()), ("quiet", Level::Error, "heard"));
        let expected: Vec<String> = (0..300).map(|number| format!("line {number}")).collect();
        assert_eq!(messages(&all[1..301]), expected);
        assert_eq!(messages(&all[301..]), expected);
        assert_eq!((all[300].attempt, all[301].attempt), (1, 2));

        let only = async |filter: LogFilter| run.logs(&filter).await.unwrap();
        let task = Some("loud".to_owned());
        assert_eq!(only(LogFilter { task: task.clone(), attempt: Some(2), ..LogFilter::default() }).await, all[301..]);
        assert_eq!(only(LogFilter { level: Some(Level::Warn), ..LogFilter::default() }).await, all[..1]);
        assert_eq!(only(LogFilter { tail: Some(3), ..LogFilter::default() }).await, all[598..]);
        assert_eq!(only(LogFilter { after: Some(all[9].number), ..LogFilter::default() }).await, all[10..]);
        let since = Some(all[301].at);
        assert!(only(LogFilter { since, ..LogFilter::default() }).await.ends_with(&all[301..]));
        let unknown = LogFilter { task: Some("nobody".to_owned()), ..LogFilter::default() };
        assert!(matches!(run.logs(&unknown).await, Err(Error::UnknownTask { .. })));

        let filter = LogFilter { task, tail: Some(5), ..LogFilter::default() };
        let beside = Records::open(&path).unwrap().logs(run.id(), &filter).unwrap();
        assert_eq!(beside, all[596..]);
        engine.shutdown().await.unwrap();
        assert_eq!(Records::open(&path).unwrap().logs(run.id(), &LogFilter::default()).unwrap(), all);
    });
}

#[test]
fn a_task_that_talks_too_much_is_told_off_in_its_log() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (engine, _) = start(&folder, chatter::workflow()).await;
        let run = run(&engine, "chatter").await;
        run.wait().await.unwrap();
        let first = run.logs(&LogFilter::default()).await.unwrap();
        assert_eq!(first.len(), 10_000);
        let n_dropped: u64 = first.iter().filter_map(|line| line.dropped).sum();
        assert_eq!(n_dropped, 0);
        assert_eq!(first[9_999].message, "9999");
        let after = LogFilter { after: Some(first[9_999].number), ..LogFilter::default() };
        let rest = run.logs(&after).await.unwrap();
        assert_eq!(rest.iter().map(|line| line.dropped).collect::<Vec<_>>(), [Some(500)]);
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn who_follows_sees_each_line_once_and_hears_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (engine, _) = start(&folder, slow::workflow()).await;
        let run = run(&engine, "slow").await;
        let mut follower = run.follow_logs(LogFilter::default()).await.unwrap();
        assert_eq!(messages(&follower.next().await.unwrap().unwrap()), ["before"]);
        GATE.wait();
        assert_eq!(messages(&follower.next().await.unwrap().unwrap()), ["after"]);
        assert_eq!(follower.next().await.unwrap(), None);

        let mut late = run.follow_logs(LogFilter { tail: Some(1), ..LogFilter::default() }).await.unwrap();
        assert_eq!(messages(&late.next().await.unwrap().unwrap()), ["after"]);
        assert_eq!(late.next().await.unwrap(), None);
        engine.shutdown().await.unwrap();
        assert_eq!(late.next().await.unwrap(), None);
    });
}
