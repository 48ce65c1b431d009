//! Lists of submissions: each run has its own outcome in the order of the list, and what was acknowledged ends.

use cloacina_workflow::Context;

use crate::{
    Engine, Error, Page, RunFilter, RunHandle, RunRequest, RunState, TaskError, Value, store::testing::TestDatabase,
    task,
};

#[crate::workflow(name = "short", description = "Ends at once")]
mod short {
    use super::*;

    #[task(dependencies = [])]
    async fn only(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.set("done", Value::from(true));
        Ok(())
    }
}

/// More than go to the driver at once.
const N_RUNS: usize = 1_300;

fn list() -> Vec<RunRequest> {
    let request = |place: usize| match place {
        3 | 1_200 => RunRequest::new("missing", Context::new()),
        // The last two are in another part of the list than the first.
        5 | 7 | 1_100 | 1_101 => RunRequest::new("short", Context::new()).key("one"),
        _ => RunRequest::new("short", Context::new()),
    };
    (0..N_RUNS).map(request).collect()
}

#[test]
fn each_run_of_a_list_has_its_outcome_and_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let builder = Engine::builder().database(&database.address).data_dir(folder.path());
            let engine = builder.workflow(short::workflow()).start().await.unwrap();
            let outcomes = engine.scheduler().submit_many(list()).await;
            check(&outcomes);
            // What was acknowledged is durable.
            let page = engine.list(&RunFilter::default(), &Page::first(2 * N_RUNS)).await.unwrap();
            assert_eq!(page.runs.len(), N_RUNS - 2 - 3);
            let again = engine.scheduler().submit(RunRequest::new("short", Context::new()).key("one")).await.unwrap();
            assert_eq!(again.id(), outcomes[5].as_ref().unwrap().id());
            for run in outcomes.into_iter().flatten() {
                assert_eq!(run.wait().await.unwrap().state, RunState::Completed);
            }
            assert!(engine.scheduler().submit_many(Vec::new()).await.is_empty());
            let scheduler = engine.scheduler();
            engine.shutdown().await.unwrap();
            let late = scheduler.submit_many(list()).await;
            assert!(late.iter().all(Result::is_err));
        });
    }
}

fn check(outcomes: &[Result<RunHandle, Error>]) {
    assert_eq!(outcomes.len(), N_RUNS);
    let refused: Vec<usize> =
        outcomes.iter().enumerate().filter(|(_, one)| one.is_err()).map(|(place, _)| place).collect();
    assert_eq!(refused, [3, 1_200]);
    assert_eq!(outcomes[3].as_ref().err().map(Error::code), Some("RUN0001"));
    let id = |place: usize| outcomes[place].as_ref().unwrap().id();
    assert!([7, 1_100, 1_101].iter().all(|place| id(*place) == id(5)));
    let others: std::collections::BTreeSet<_> = outcomes.iter().flatten().map(RunHandle::id).collect();
    assert_eq!(others.len(), N_RUNS - 2 - 3);
}
