//! What a caller sees and may do: a second tenant sees and changes nothing of the first, and a role does what it is for.
//!
//! Each call that there is stands in a table of this file, once for what tenants see and once for what roles may do.

use cloacina_workflow::{Context, TaskError, Value};

use super::{Caller, Page, Role, RunFilter, WorkflowFilter};
use crate::{
    Command, Engine, Error, LogFilter, Records, Retention, RunHandle, RunId, RunRequest, RunState, Upload, UsageFilter,
    store::testing::TestDatabase, task,
};

#[crate::workflow(name = "echo", tenant = "acme")]
mod acme {
    use super::*;

    #[task(id = "say")]
    async fn say(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.log(crate::Level::Info, "said");
        Ok(())
    }
}

#[crate::workflow(name = "echo", tenant = "beta")]
mod beta {
    use super::*;

    #[task(id = "say")]
    async fn say(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn caller(tenant: &str, role: Role) -> Caller {
    Caller::of_tenant(tenant, "ann", role).unwrap()
}

/// Everything that can be asked of a run.
fn commands(run: RunId) -> Vec<Command> {
    let (task, version, input) = ("say".to_owned(), None, None);
    vec![
        Command::Report { run },
        Command::Start { run },
        Command::Execute { run },
        Command::RunTask { run, task: task.clone() },
        Command::Pause { run },
        Command::Resume { run },
        Command::Cancel { run },
        Command::Retry { run, task: None },
        Command::Rerun { run, failed: false, input: input.clone(), version: version.clone() },
        Command::Fork { run, from: task, input, version },
        Command::Dismiss { run },
        Command::Delete { run },
    ]
}

fn unknown<T>(answer: Result<T, Error>, run: RunId) {
    let refused = answer.err().unwrap();
    assert!(matches!(refused, Error::UnknownRun { id } if id == run), "{refused}");
}

fn code<T>(answer: Result<T, impl Into<Error>>) -> String {
    answer.map_or_else(|error| error.into().code().to_owned(), |_| "fine".to_owned())
}

/// An engine with a run of acme's that has ended and one that waits, and the place of its data.
async fn with_runs(database: &TestDatabase, folder: &std::path::Path) -> (Engine, [RunHandle; 2]) {
    let builder = Engine::builder().database(&database.address).data_dir(folder);
    let engine = builder.workflow(acme::workflow()).workflow(beta::workflow()).start().await.unwrap();
    let own = engine.on_behalf_of(caller("acme", Role::Operator)).scheduler();
    let ended = own.schedule_workflow("echo", Context::new()).await.unwrap();
    ended.wait().await.unwrap();
    let held = own.submit(RunRequest::new("echo", Context::new()).held().key("once")).await.unwrap();
    (engine, [ended, held])
}

#[test]
fn a_second_tenant_sees_and_changes_nothing_of_the_first() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let (engine, runs) = with_runs(&database, folder.path()).await;
            let other = engine.on_behalf_of(caller("beta", Role::Admin));
            let mut heard = other.subscribe();
            for run in runs.iter().map(RunHandle::id) {
                // As with an id that was never given away.
                let never = RunId::range_of("ffff").unwrap().0;
                let [seen, made_up] = [other.run(run).await, other.run(never).await].map(|answer| {
                    let error = answer.unwrap_err();
                    (error.to_string().replace(&run.to_string(), "").replace(&never.to_string(), ""), error.hints())
                });
                assert_eq!(seen, made_up);
                for command in commands(run) {
                    unknown(other.perform(command, "eve").await, run);
                }
                unknown(other.delete(&[run], |_| {}).await, run);
            }
            assert!(other.runs(None).await.unwrap().is_empty());
            assert!(other.select(&RunFilter::default()).await.unwrap().is_empty());
            let named = RunFilter { tenant: Some("acme".to_owned()), ..RunFilter::default() };
            assert!(other.list(&named, &Page::first(10)).await.unwrap().runs.is_empty());
            assert!(other.dead_letters().await.unwrap().is_empty());
            assert_eq!(other.workflows(), ["beta::cloacina::echo"]);
            assert!(other.package_usage(&UsageFilter::default()).await.unwrap().is_empty());
            assert!(other.registry().list().is_empty() && other.live_packages().is_empty());
            assert_eq!(code(other.registry().trust("acme").await), "REG0017");
            assert_eq!(code(other.prune(&Retention::default(), |_| {}).await), "RUN0024");

            let refused =
                other.scheduler().schedule_workflow("acme::cloacina::echo", Context::new()).await.unwrap_err();
            assert_eq!((refused.code(), format!("{:?}", refused.hints()).contains("acme")), ("RUN0001", false));
            assert_eq!(other.built_in("nightly", 1, None).await.unwrap(), "beta::built_in_1::nightly");
            let first = engine.on_behalf_of(caller("acme", Role::Admin));
            assert_eq!(first.workflows(), ["acme::cloacina::echo"]);
            // One key means another run to another tenant.
            let own = other.scheduler().submit(RunRequest::new("echo", Context::new()).key("once")).await.unwrap();
            own.wait().await.unwrap();
            let counts = async |engine: &Engine| {
                let counts = engine.count_by_state().await.unwrap();
                counts.into_iter().filter(|(_, n_runs)| *n_runs > 0).collect::<Vec<_>>()
            };
            assert_eq!(counts(&other).await, [(RunState::Completed, 1)]);
            assert_eq!(counts(&first).await, [(RunState::Pending, 1), (RunState::Completed, 1)]);
            assert!(runs.iter().all(|run| run.id() != own.id()));
            assert_eq!(other.runs(None).await.unwrap().iter().map(|run| run.id).collect::<Vec<_>>(), [own.id()]);

            runs[1].cancel("ann").await.unwrap();
            engine.shutdown().await.unwrap();
            while let Some(notice) = heard.next().await {
                assert_eq!(notice.run, own.id());
            }
            let mut records = Records::open(&database.address).unwrap().on_behalf_of(caller("beta", Role::Admin));
            for run in runs.iter().map(RunHandle::id) {
                unknown(records.report(run), run);
                unknown(records.events(run), run);
                unknown(records.state(run), run);
                unknown(records.logs(run, &LogFilter::default()), run);
                unknown(records.usage(run), run);
                unknown(records.owner(run), run);
                unknown(records.is_driven(run), run);
            }
            assert_eq!(records.runs(&named, 10).unwrap(), []);
            assert_eq!(records.runs(&RunFilter::default(), 10).unwrap().len(), 1);
            assert_eq!(records.workflows(&WorkflowFilter::default()).unwrap().len(), 2);
            assert_eq!(code(records.trust("acme")), "REG0017");
            assert_eq!(code(records.trust_events("acme", 10)), "REG0017");
            assert_eq!(code(records.prune_plan(&Retention::default(), crate::Timestamp::now())), "RUN0024");
        });
    }
}

#[test]
fn a_role_does_what_it_is_for_and_no_more() {
    let (database, folder) = (TestDatabase::sqlite(), tempfile::tempdir().unwrap());
    block_on(async {
        let (engine, [ended, held]) = with_runs(&database, folder.path()).await;
        let as_role = |role| engine.on_behalf_of(caller("acme", role));
        let viewer = as_role(Role::Viewer);
        assert_eq!(viewer.runs(None).await.unwrap().len(), 2);
        for command in commands(held.id()) {
            let expected = if matches!(command, Command::Report { .. }) { "fine" } else { "RUN0024" };
            let named = format!("{command:?}");
            assert_eq!(code(viewer.perform(command, "ann").await), expected, "{named}");
        }
        assert_eq!(code(viewer.scheduler().schedule_workflow("echo", Context::new()).await), "RUN0024");
        assert_eq!(code(viewer.run(ended.id()).await.unwrap().rerun(None, "ann").await), "RUN0024");

        let operator = as_role(Role::Operator);
        operator.perform(Command::Cancel { run: held.id() }, "ann").await.unwrap();
        let registry = operator.registry();
        assert_eq!(code(registry.register(Upload::new(b"none".to_vec())).await), "RUN0024");
        for answer in [
            registry.activate("cloacina", None, "ann").await,
            registry.roll_back("cloacina", "ann").await,
            registry.retire("cloacina", "ann").await,
            registry.remove("cloacina", "ann").await,
        ] {
            assert_eq!(code(answer), "RUN0024");
        }
        assert_eq!(code(as_role(Role::Admin).registry().retire("cloacina", "ann").await), "REG0004");
        let refused = as_role(Role::Admin).prune(&Retention::default(), |_| {}).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "ann has the role admin of the tenant acme, but the request needs the owner of the database"
        );
        engine.shutdown().await.unwrap();
    });
}
