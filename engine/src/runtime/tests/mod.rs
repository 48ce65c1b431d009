//! The whole engine on a real file: what users can rely on, through the public handles.

mod fixture;

use serde_json::json;

use self::fixture::{Shape, engine, input, runtime};
use crate::RunState;

#[test]
fn a_diamond_joins_after_both_sides_and_passes_data_on() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let engine = engine(&folder, vec![Shape::diamond()]).await;
        let run = engine.scheduler().schedule_workflow("diamond", input(json!({"seed": 1}))).await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.state, RunState::Completed);
        assert_eq!(report.n_completed(), 4);
        assert_eq!(report.context.get("join_saw"), Some(&json!(["left", "right", "seed", "top"])));
        assert_eq!(report.producers["left"], "left");
        assert_eq!(report.context.get("seed"), Some(&json!(1)));
        let kinds: Vec<&str> = run.events().await.unwrap().iter().map(|event| event.kind).collect();
        assert_eq!(kinds[..2], ["run_created", "run_started"]);
        assert_eq!(kinds.iter().filter(|kind| **kind == "task_completed").count(), 4);
        assert_eq!(kinds.last(), Some(&"run_finished"));
        engine.shutdown().await.unwrap();
        assert!(matches!(run.tasks().await.map(|tasks| tasks.len()), Ok(4)));
    });
}
