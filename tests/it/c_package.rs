//! The package in C of the examples: built with a C compiler and the header alone, run beside Rust.

use cloacina::RunState;
use cloacina_tests::{
    archive,
    engine::{TestEngine, context},
    library, root,
};
use serde_json::{Value, json};

#[tokio::test]
async fn c_and_rust_run_the_same_workflow_in_one_engine() {
    let test = TestEngine::start().await;
    let source = root().join("examples/c_package/data_processing.c");
    test.register(&library::pack(&library::compile_file(test.folder.path(), "c_demo", &source, &[]))).await;
    test.register(&archive::example("simple_packaged_demo")).await;
    let (c, rust) = tokio::join!(
        test.run("c_demo::data_processing", json!({})),
        test.run("simple_demo::data_processing", json!({})),
    );
    for report in [c, rust] {
        assert_eq!((report.state, report.n_completed()), (RunState::Completed, 3), "{}", report.workflow);
        let context = without_times(context(&report));
        let expected = json!({
            "raw_data": {"records": 1000, "source": "demo_database", "timestamp": "…"},
            "processed_data":
                {"processed_records": 950, "original_count": 1000, "processing_time_ms": 200, "status": "completed"},
            "final_report": {
                "report_id": "…",
                "summary": {"total_processed": 950, "success_rate": "95%", "processing_time": 200},
                "generated_at": "…",
            },
        });
        assert_eq!(context, expected, "{}", report.workflow);
    }
}

/// The same context with its moments blanked, after a look at their form.
fn without_times(mut context: Value) -> Value {
    let report_id = context["final_report"]["report_id"].as_str().unwrap().to_owned();
    assert!(report_id.strip_prefix("RPT_").unwrap().parse::<u64>().unwrap() > 1_700_000_000, "{report_id}");
    for pointer in ["/raw_data/timestamp", "/final_report/generated_at", "/final_report/report_id"] {
        *context.pointer_mut(pointer).unwrap() = json!("…");
    }
    context
}
