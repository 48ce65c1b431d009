//! Packages built by the packager and run by an engine that was compiled without them: order, parallelism, data.

use cloacina::{Context, RunState, TaskState};
use cloacina_tests::{
    archive,
    engine::{TestEngine, context, in_time},
};
use serde_json::json;

#[tokio::test]
async fn eight_independent_tasks_run_at_the_same_time_async_or_not() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("concurrency")).await;
    // Each task waits at a barrier for the seven others, so that it ends only if all eight run at once.
    for workflow in ["async_barrier", "blocking_barrier"] {
        let report = test.run(workflow, json!({})).await;
        assert_eq!((report.state, report.n_completed()), (RunState::Completed, 8), "{workflow}");
    }
}

#[tokio::test]
async fn two_tasks_that_compute_overlap() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("concurrency")).await;
    let report = test.run("overlap", json!({})).await;
    assert_eq!(report.state, RunState::Completed);
}

#[tokio::test]
async fn a_diamond_joins_after_both_sides() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("concurrency")).await;
    let report = test.run("diamond", json!({"number": 4})).await;
    assert_eq!(context(&report), json!({"number": 4, "base": 40, "left": 41, "right": 42, "sum": 83}));
    let producers: Vec<_> = report.producers.iter().map(|(key, task)| (key.as_str(), task.as_str())).collect();
    assert_eq!(producers, [("base", "split"), ("left", "left"), ("right", "right"), ("sum", "join")]);
    let [ended_left, ended_right] = ["left", "right"].map(|task| report.task(task).unwrap().finished_at);
    let started_join = report.task("join").unwrap().started_at;
    assert!(started_join >= ended_left.max(ended_right), "{report:?}");
}

#[tokio::test]
async fn two_hundred_runs_at_once_keep_their_own_data() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("concurrency")).await;
    let mut runs = Vec::new();
    for number in 0..200_u64 {
        let input = Context::from_object(json!({"number": number})).unwrap();
        runs.push((number, test.engine.scheduler().schedule_workflow("diamond", input).await.unwrap()));
    }
    for (number, run) in runs {
        let report = in_time(run.wait()).await.unwrap();
        assert_eq!(report.state, RunState::Completed);
        assert_eq!(report.context.get("sum"), Some(&json!(number * 20 + 3)), "run {number}");
    }
}

#[tokio::test]
async fn the_twenty_one_tasks_of_a_package_with_several_diamonds_agree() {
    let test = TestEngine::start().await;
    test.register(&archive::example("complex_dag")).await;
    let report = test.run("nightly_close", json!({})).await;
    assert_eq!((report.state, report.n_completed()), (RunState::Completed, 21));
    let expected = [
        ("revenue", json!(3 * 500 + 900 + 2500)),
        ("costs", json!(3 * 200 + 350 + 1400)),
        ("margin", json!(2550)),
        ("stock_evening", json!({"mug": 2, "pot": 0, "tea": 7})),
        ("supplier_orders", json!({"pot": 10})),
        ("campaign", json!(["thank ann", "thank cy"])),
        ("ledger", json!("margin 2550")),
    ];
    for (key, value) in expected {
        assert_eq!(report.context.get(key), Some(&value), "{key}");
    }
}

#[tokio::test]
async fn two_tenants_use_the_same_names_and_never_meet() {
    let mut test = TestEngine::start().await;
    test.engine = test.engine.on_behalf_of(cloacina::Caller::owner());
    for (tenant, archive) in [("acme", archive::fixture("twin")), ("umbrella", archive::fixture_with("twin", "second"))]
    {
        let upload = cloacina::Upload { tenant: Some(tenant.to_owned()), ..cloacina::Upload::new(archive) };
        test.engine.registry().register(upload).await.unwrap();
    }
    for (workflow, name) in [("acme::twin::twin", "first"), ("umbrella::twin::twin", "second")] {
        let report = test.run(workflow, json!({})).await;
        assert_eq!(report.workflow, workflow);
        assert_eq!(context(&report), json!({ "i_am": name }));
    }
    let error = test.engine.scheduler().schedule_workflow("twin", Context::new()).await.unwrap_err();
    assert_eq!(error.code(), "RUN0002");
    assert!(error.hints()[0].contains("acme::twin::twin, umbrella::twin::twin"), "{:?}", error.hints());
    // A caller of one tenant needs no tenant to name what is the tenant's.
    let acme = cloacina::Caller::of_tenant("acme", "ann", cloacina::Role::Operator).unwrap();
    let run = test.engine.on_behalf_of(acme).scheduler().schedule_workflow("twin", Context::new()).await.unwrap();
    assert_eq!(in_time(run.wait()).await.unwrap().workflow, "acme::twin::twin");
}

#[tokio::test]
async fn the_same_version_with_other_content_is_refused_with_both_digests() {
    let test = TestEngine::start().await;
    let registry = test.engine.registry();
    let first = registry.register_workflow(archive::fixture("twin")).await.unwrap();
    let again = registry.register_workflow(archive::fixture("twin")).await.unwrap();
    assert_eq!(first.digest, again.digest, "the same content may be registered as often as one likes");
    let error = registry.register_workflow(archive::fixture_with("twin", "second")).await.unwrap_err();
    let message = format!("{error} {:?}", error.hints());
    assert!(error.code().starts_with("REG"), "{message}");
    assert!(message.contains(&first.digest.to_string()), "{message}");
    assert_eq!(context(&test.run("twin", json!({})).await), json!({"i_am": "first"}));
    assert_eq!(registry.list().len(), 1);
}

#[tokio::test]
async fn a_key_written_side_by_side_has_one_winner_and_an_event_that_names_both() {
    let test = TestEngine::start().await;
    test.register(&archive::fixture("mischief")).await;
    let run = test.engine.scheduler();
    let run = run.schedule_workflow("conflict", Context::from_object(json!({"input": 1})).unwrap()).await.unwrap();
    let report = in_time(run.wait()).await.unwrap();
    let expected = json!({"winner": "late", "agreed": 1, "seen": ["late", "late", "early"]});
    assert_eq!(context(&report), expected);
    let look = report.task("look").unwrap();
    assert_eq!(look.unset.iter().map(String::as_str).collect::<Vec<_>>(), ["input", "scratch"]);
    let events = run.events().await.unwrap();
    let conflicts: Vec<_> = events.iter().filter(|event| event.kind == "context_conflict").collect();
    assert_eq!(conflicts.len(), 1, "{events:?}");
    let details = conflicts[0].details.to_string();
    assert!(["winner", "early", "late"].iter().all(|name| details.contains(name)), "{details}");
    assert_eq!(look.state, TaskState::Completed);
}
