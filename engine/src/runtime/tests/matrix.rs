//! The crash matrix: each workflow is stopped at each of its commits, recovered, and compared with the uninterrupted run.
//!
//! The writer of the first engine is gone when it is to write one commit more than so many: what was written before is
//! on the disk, what comes later is not, and whether anybody was told depends on where the group ended. The next engine
//! goes on with what is there, and gets each completion twice. The number of commits is found by trying, so a commit
//! that is added to the engine is covered at once. On both databases.
//!
//! The same with a disk that is full at each commit, for a while: there the same engine goes on, and no attempt of any
//! task is repeated.

use std::{
    collections::{BTreeMap, HashSet},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{LazyLock, Mutex, PoisonError},
    thread,
};

use cloacina_workflow::{
    Function, TaskError,
    descriptor::{Backoff, Rule, Task, TriggerWhen},
};
use serde_json::json;

use super::fixture::{Shape, nothing, runtime, workflow};
use crate::{
    Engine, Error, Records, RunEvent, RunHandle, RunId, RunReport, RunRequest, RunState, TaskState,
    store::{DiskFull, Sabotage, testing::TestDatabase},
};

/// Attempts that were begun, by their keys, in all tests.
static BEGUN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What the service has charged for, by key, and how often it was asked.
static CHARGED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// A service that charges once for each key, and refuses one that it knows.
static SERVICE: LazyLock<SocketAddr> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = BufReader::new(connection.unwrap());
            let mut key = String::new();
            // Who is stopped in the middle of the question has not asked.
            if connection.read_line(&mut key).is_ok_and(|_| key.ends_with('\n')) {
                *CHARGED.lock().unwrap_or_else(PoisonError::into_inner).entry(key.trim().to_owned()).or_default() += 1;
                connection.get_mut().write_all(b"done\n").ok();
            }
        }
    });
    address
});

/// No workflow here has as many commits as that.
const COMMITS_MAX: u64 = 100;

fn begin(context: &crate::Context<crate::Value>) {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner).push(context.attempt_key().to_owned());
    let mut service = TcpStream::connect(*SERVICE).unwrap();
    writeln!(service, "{}", context.idempotency_key()).unwrap();
    BufReader::new(service).read_line(&mut String::new()).unwrap();
}

/// For what in a run the service has charged, and how often it was asked for that.
fn charged(run: RunId) -> BTreeMap<String, usize> {
    let beginning = format!("{run}/");
    let charged = CHARGED.lock().unwrap_or_else(PoisonError::into_inner);
    charged.iter().filter_map(|(key, n)| Some((key.strip_prefix(&beginning)?.to_owned(), *n))).collect()
}

/// How often that task of a run was begun so far.
fn n_begun(run: RunId, task: &str) -> usize {
    let beginning = format!("{run}/{task}/");
    let begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    begun.iter().filter(|key| key.starts_with(&beginning) && !key.contains("/callback/")).count()
}

/// Writes its id under its id.
const NOTES: Function = Function::AsyncTask(|context| {
    Box::pin(async move {
        begin(context);
        let id = context.task().unwrap().task.clone();
        context.insert(&id, json!(true))?;
        Ok(())
    })
});
const BLOCKS: Function = Function::Task(|context| {
    begin(context);
    let id = context.task().unwrap().task.clone();
    context.insert(&id, json!(true))?;
    Ok(())
});
const FAILS: Function = Function::AsyncTask(|context| {
    Box::pin(async move {
        begin(context);
        Err(TaskError::transient("as planned"))
    })
});
const HANGS: Function = Function::AsyncTask(|context| {
    Box::pin(async move {
        begin(context);
        std::future::pending().await
    })
});
const CALLED: Function = Function::AsyncCallback(|_, context| {
    Box::pin(async move {
        begin(context);
        Ok(())
    })
});

/// What is asked of a run while it is under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Nothing,
    HoldPauseResume,
    CancelWhileHanging,
    ForkFromSecond,
}

fn chain() -> Shape {
    Shape::new("matrix").task("a", &[], NOTES).task("b", &["a"], BLOCKS).task("c", &["b"], NOTES)
}

fn fan() -> Shape {
    let fan = Shape::new("matrix").task("open", &[], NOTES);
    let fan = ["1", "2", "3", "4"].into_iter().fold(fan, |fan, id| fan.task(id, &["open"], NOTES));
    fan.task("close", &["1", "2", "3", "4"], NOTES)
}

fn diamond() -> Shape {
    let diamond = Shape::new("matrix").task("top", &[], NOTES).task("left", &["top"], NOTES);
    diamond.task("right", &["top"], BLOCKS).task("join", &["left", "right"], NOTES)
}

fn quick_retries(task: &mut Task) {
    task.retry.attempts = 2;
    task.retry.delay_ms = 1;
    task.retry.backoff = Backoff::Fixed;
}

fn retries() -> Shape {
    Shape::new("matrix").task("a", &[], NOTES).task("bad", &["a"], FAILS).with(quick_retries).task("c", &["a"], NOTES)
}

fn time_limits() -> Shape {
    let limits = Shape::new("matrix").task("a", &[], NOTES).task("slow", &["a"], HANGS);
    limits.with(|task| task.timeout_ms = Some(20)).task("c", &["slow"], NOTES)
}

fn rules() -> Shape {
    let rules = Shape::new("matrix").task("bad", &[], FAILS).task("good", &[], NOTES);
    let rules = rules.task("if_bad", &["bad"], NOTES).with(|task| {
        task.trigger_rules = Some(Rule::TaskFailed("bad".to_owned()));
    });
    let rules = rules.task("if_good_fails", &["good"], NOTES).with(|task| {
        task.trigger_rules = Some(Rule::TaskFailed("good".to_owned()));
    });
    let rules = rules.task("after_bad", &["bad"], NOTES).task("after_skip", &["if_good_fails"], NOTES);
    let rules = rules.task("alarm", &["after_bad", "after_skip"], NOTES).with(|task| {
        let failed = |task: &str| Rule::TaskUpstreamFailed(task.to_owned());
        task.trigger_rules = Some(Rule::All(vec![failed("after_bad"), Rule::None(vec![failed("after_skip")])]));
    });
    rules.task("always", &["if_bad", "if_good_fails"], NOTES).with(|task| task.trigger_rules = Some(Rule::Always))
}

fn early() -> Shape {
    let early = Shape::new("matrix").task("a", &[], NOTES).task("b", &[], NOTES).task("bad", &[], FAILS);
    let early = early.task("first", &["a", "b"], NOTES).with(|task| {
        early_rule(task, Rule::Any(["a", "b"].map(|task| Rule::TaskSuccess(task.to_owned())).into()));
    });
    let early = early.task("never", &["a", "b"], NOTES).with(|task| {
        early_rule(task, Rule::None(["a", "b"].map(|task| Rule::TaskSuccess(task.to_owned())).into()));
    });
    let early = early.task("alarm", &["a", "bad"], NOTES).with(|task| {
        early_rule(task, Rule::Any(["a", "bad"].map(|task| Rule::TaskUpstreamFailed(task.to_owned())).into()));
    });
    let early = early.task("all", &["b", "bad"], NOTES).with(|task| task.trigger_when = TriggerWhen::Decided);
    early.task("last", &["first", "never", "alarm", "all"], NOTES).with(|task| task.trigger_rules = Some(Rule::Always))
}

fn early_rule(task: &mut Task, rule: Rule) {
    task.trigger_rules = Some(rule);
    task.trigger_when = TriggerWhen::Decided;
}

fn optional() -> Shape {
    let optional = Shape::new("matrix").task("maybe", &[], FAILS).with(|task| task.optional = true);
    optional.task("sure", &[], NOTES)
}

fn callbacks() -> Shape {
    let callbacks = Shape::new("matrix").task("good", &[], NOTES).with(|task| task.on_success = Some(1000));
    let callbacks = callbacks.task("bad", &["good"], FAILS).with(|task| task.on_failure = Some(1000));
    callbacks.callback(CALLED)
}

fn once() -> Shape {
    let once = Shape::new("matrix").task("a", &[], NOTES).task("once", &["a"], NOTES);
    once.with(|task| task.at_most_once = true).task("c", &["once"], NOTES)
}

fn hanging() -> Shape {
    Shape::new("matrix").task("a", &[], NOTES).task("hang", &["a"], HANGS).task("c", &["hang"], NOTES)
}

/// Each case on each database.
macro_rules! matrix {
    ($($name:ident: $shape:ident, $script:ident;)*) => {
        mod sqlite {
            $(#[test] fn $name() { super::check(super::TestDatabase::sqlite(), super::$shape, super::Script::$script); })*
        }
        mod sqlite_on_a_full_disk {
            $(#[test] fn $name() { super::check_full(super::TestDatabase::sqlite(), super::$shape, super::Script::$script); })*
        }
        mod postgres_on_a_full_disk {
            $(#[test] fn $name() { super::check_full(super::TestDatabase::postgres(), super::$shape, super::Script::$script); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::check(super::TestDatabase::postgres(), super::$shape, super::Script::$script); })*
        }
    };
}

matrix! {
    a_chain: chain, Nothing;
    a_diamond: diamond, Nothing;
    a_fan: fan, Nothing;
    retries_until_the_last: retries, Nothing;
    a_time_limit: time_limits, Nothing;
    trigger_rules: rules, Nothing;
    rules_decided_early: early, Nothing;
    an_optional_task: optional, Nothing;
    callbacks_of_both_kinds: callbacks, Nothing;
    a_task_that_starts_once: once, Nothing;
    held_paused_and_resumed: chain, HoldPauseResume;
    cancelled_in_the_middle: hanging, CancelWhileHanging;
    forked_after_its_end: chain, ForkFromSecond;
}

async fn start(database: &TestDatabase, shape: Shape, sabotage: Sabotage) -> Engine {
    let builder = Engine::builder().database(&database.address).workflow(workflow(shape)).sabotage(sabotage);
    builder.start().await.unwrap()
}

/// Takes a workflow to its end, from wherever it is; fails if the engine crashes on the way.
async fn drive(engine: &Engine, script: Script, older: &HashSet<RunId>) -> Result<RunReport, Error> {
    let mut runs: Vec<RunId> = engine.runs(None).await?.into_iter().map(|run| run.id).collect();
    runs.retain(|run| !older.contains(run));
    runs.sort();
    let run = match runs.first() {
        Some(run) => engine.run(*run).await?,
        None => {
            let request = RunRequest::new("matrix", nothing());
            let request = if script == Script::HoldPauseResume { request.held() } else { request };
            engine.scheduler().submit(request).await?
        }
    };
    match script {
        Script::Nothing => run.wait().await,
        Script::HoldPauseResume => {
            if run.state().await? == RunState::Pending {
                run.start("tester").await?;
                // It may be over before it can be paused.
                unless_illegal(run.pause("tester").await)?;
            }
            unless_illegal(run.resume("tester").await)?;
            run.wait().await
        }
        Script::CancelWhileHanging => {
            cancel_while_hanging(&run).await?;
            run.wait().await
        }
        Script::ForkFromSecond => {
            let ended = run.wait().await?;
            assert_eq!(ended.state, RunState::Completed);
            match runs.get(1) {
                Some(fork) => engine.run(*fork).await?.wait().await,
                None => run.fork("b", None, "tester").await?.wait().await,
            }
        }
    }
}

async fn cancel_while_hanging(run: &RunHandle) -> Result<(), Error> {
    loop {
        let report = run.report().await?;
        let task = report.task("hang").unwrap();
        // Begun in this engine, and not only in the one before.
        let is_begun = task.state == TaskState::Running && n_begun(run.id(), "hang") >= task.attempt.unwrap() as usize;
        if report.state.is_terminal() || is_begun {
            return unless_illegal(run.cancel("tester").await);
        }
        tokio::task::yield_now().await;
    }
}

fn unless_illegal(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(Error::Illegal { .. }) => Ok(()),
        answer => answer,
    }
}

/// What must be the same however often an engine died on the way.
fn outcome(report: &RunReport) -> String {
    let task = |task: &crate::TaskReport| (task.id.clone(), task.state, task.skipped.clone(), kind(task));
    let tasks: Vec<_> = report.tasks.iter().map(task).collect();
    format!("{} {tasks:?} {:?}", report.state, report.context)
}

fn kind(task: &crate::TaskReport) -> Option<String> {
    // A task that is cancelled after its attempt was interrupted has no attempt that says so.
    task.error.as_ref().filter(|_| task.state != TaskState::Cancelled).map(|error| error.kind().to_owned())
}

fn histories(database: &TestDatabase, older: &HashSet<RunId>) -> BTreeMap<RunId, Vec<RunEvent>> {
    let mut records = Records::open(&database.address).unwrap();
    let runs = records.runs(&crate::RunFilter::default(), usize::MAX).unwrap();
    let new = runs.into_iter().map(|run| run.status.id).filter(|run| !older.contains(run));
    new.map(|run| (run, records.events(run).unwrap())).collect()
}

fn check(database: TestDatabase, shape: fn() -> Shape, script: Script) {
    runtime().block_on(async {
        let engine = start(&database, shape(), Sabotage::default()).await;
        let expected = outcome(&drive(&engine, script, &HashSet::new()).await.unwrap());
        engine.shutdown().await.unwrap();
        for n_commits in 0..COMMITS_MAX {
            let older: HashSet<RunId> = histories(&database, &HashSet::new()).into_keys().collect();
            let sabotage = Sabotage { crash_after: Some(n_commits), ..Sabotage::default() };
            let engine = start(&database, shape(), sabotage).await;
            let ended = drive(&engine, script, &older).await;
            drop(engine);
            if ended.is_ok() {
                assert!(n_commits > 2, "the engine never crashed");
                return;
            }
            recover(&database, shape, script, &older, &expected).await;
        }
        panic!("more commits than the test looks at");
    });
}

/// So many transactions are refused by a disk that is full: with some of them only a half of the group is.
const REFUSED: u64 = 2;

fn check_full(database: TestDatabase, shape: fn() -> Shape, script: Script) {
    runtime().block_on(async {
        let engine = start(&database, shape(), Sabotage::default()).await;
        let expected = outcome(&drive(&engine, script, &HashSet::new()).await.unwrap());
        engine.shutdown().await.unwrap();
        for n_commits in 0..COMMITS_MAX {
            let older: HashSet<RunId> = histories(&database, &HashSet::new()).into_keys().collect();
            let disk_full = DiskFull::new(n_commits, REFUSED);
            let engine = start(&database, shape(), Sabotage { disk_full, ..Sabotage::default() }).await;
            let report = loop {
                match drive(&engine, script, &older).await {
                    Ok(report) => break report,
                    // Nothing of a submission is there that was refused, and it may be made again.
                    Err(Error::NotCreated { source, .. }) => assert_eq!(source.code(), "STO0008"),
                    Err(error) => panic!("after {n_commits} commits: {error}"),
                }
            };
            assert_eq!(outcome(&report), expected, "after {n_commits} commits");
            engine.shutdown().await.unwrap();
            let after = histories(&database, &older);
            let mut n_written = 0;
            for (run, events) in &after {
                n_written += events.len() as u64;
                let repeated = events.iter().find(|event| event.kind == "attempt_interrupted");
                assert!(repeated.is_none(), "{run} after {n_commits} commits: {events:#?}");
                assert!(events.iter().map(|event| event.sequence).eq(0..events.len() as i64), "a hole: {events:#?}");
            }
            // There are fewer commits than rows.
            if n_commits > n_written {
                return;
            }
        }
        panic!("more commits than the test looks at");
    });
}

/// Goes on where an engine crashed, and compares.
async fn recover(
    database: &TestDatabase,
    shape: fn() -> Shape,
    script: Script,
    older: &HashSet<RunId>,
    expected: &str,
) {
    database.execute("UPDATE owner SET lease_until = 1");
    let before = histories(database, older);
    let done = |events: &[RunEvent]| -> Vec<String> {
        let ends = events.iter().filter(|event| ["task_completed", "task_failed"].contains(&event.kind));
        ends.filter_map(|event| event.task.clone()).collect()
    };
    let begun: BTreeMap<(RunId, String), usize> = before
        .iter()
        .flat_map(|(run, events)| {
            done(events).into_iter().map(move |task| ((*run, task.clone()), n_begun(*run, &task)))
        })
        .collect();
    let engine = start(database, shape(), Sabotage { twice: true, ..Sabotage::default() }).await;
    let report = drive(&engine, script, older).await.unwrap();
    engine.shutdown().await.unwrap();
    let after = histories(database, older);
    let what = format!("after {before:#?}\ncame {after:#?}");

    for (run, events) in &before {
        assert_eq!(after[run][..events.len()], events[..], "what was durable is changed: {what}");
    }
    for ((run, task), n_before) in begun {
        assert_eq!(n_begun(run, &task), n_before, "{task} of {run} had ended and was begun again: {what}");
    }
    for (run, events) in &after {
        let charged = charged(*run);
        // However often a task was begun, it has asked under one key, and its callback and a fork under others.
        let of_task =
            |key: &String| report.tasks.iter().any(|task| *key == task.id || *key == format!("{}/callback", task.id));
        assert!(charged.keys().all(of_task), "{charged:?} in {what}");
        for task in &report.tasks {
            let count = |kind| {
                let of = events.iter().filter(|event| event.task.as_ref() == Some(&task.id));
                of.filter(|event| event.kind == kind).count()
            };
            let n_ends = ["task_completed", "task_failed", "task_skipped", "task_cancelled", "task_reused"];
            assert_eq!(n_ends.map(count).iter().sum::<usize>(), 1, "{} of {run}: {what}", task.id);
            if *run == report.id && !task.state.is_terminal() {
                panic!("{} of {run} has not ended: {what}", task.id);
            }
            // A result that was taken over keeps the count of the run that it comes from.
            let is_own = *run == report.id && count("task_reused") == 0;
            if is_own && matches!(task.state, TaskState::Completed | TaskState::Failed) {
                let n_attempts = 1 + count("attempt_failed") + count("attempt_interrupted");
                assert_eq!(task.attempt.unwrap() as usize, n_attempts, "{} of {run}: {what}", task.id);
            }
        }
    }
    let interrupted = report.tasks.iter().find(|task| kind(task).as_deref() == Some("interrupted"));
    match interrupted {
        Some(once) => assert!(once.id == "once" && n_begun(report.id, "once") <= 1, "{what}"),
        None => assert_eq!(outcome(&report), expected, "{what}"),
    }
}
