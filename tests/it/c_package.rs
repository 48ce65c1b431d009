//! The packages in C of the examples: built with a C compiler and the header alone, run beside Rust.

use cloacina::{
    Context, Engine, Level, LogFilter, LogRecord, NoticeKind, RunEvent, RunHandle, RunReport, RunState, TaskError,
    TaskState, Timestamp,
};
use cloacina_tests::{
    archive,
    engine::{TestEngine, context, in_time},
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

/// The same context with its timestamps blanked, after a check of their form.
fn without_times(mut context: Value) -> Value {
    let report_id = context["final_report"]["report_id"].as_str().unwrap().to_owned();
    assert!(report_id.strip_prefix("RPT_").unwrap().parse::<u64>().unwrap() > 1_700_000_000, "{report_id}");
    for pointer in ["/raw_data/timestamp", "/final_report/generated_at", "/final_report/report_id"] {
        *context.pointer_mut(pointer).unwrap() = json!("…");
    }
    context
}

/// An engine with the print shop, which keeps log lines down to that level.
async fn print_shop(level: Level) -> TestEngine {
    let test = TestEngine::start_with(|builder| builder.log_level(level)).await;
    let source = root().join("examples/c_package/print_shop.c");
    test.register(&library::pack(&library::compile_file(test.folder.path(), "print_shop", &source, &[]))).await;
    test
}

async fn order(engine: &Engine, input: Value) -> RunHandle {
    let input = Context::from_object(input).unwrap();
    engine.scheduler().schedule_workflow("print_shop::order", input).await.unwrap()
}

/// The run's log, a line each: task, level, message, fields.
async fn log(run: &RunHandle) -> Vec<String> {
    let lines = run.logs(&LogFilter::default()).await.unwrap();
    let fields = |line: &LogRecord| match line.fields.is_empty() {
        true => "null".to_owned(),
        false => Value::Object(line.fields.clone()).to_string(),
    };
    lines.iter().map(|line| format!("{} {} {} {}", line.task, line.level, line.message, fields(line))).collect()
}

fn failures(events: &[RunEvent]) -> Vec<&RunEvent> {
    events.iter().filter(|event| event.kind == "attempt_failed").collect()
}

fn custom(report: &RunReport, task: &str) -> (String, Value, bool) {
    match report.task(task).unwrap().error.clone() {
        Some(TaskError::Custom { kind, details, retryable, .. }) => (kind, details, retryable),
        other => panic!("{task}: {other:?}"),
    }
}

#[tokio::test]
async fn threads_of_a_package_retry_when_they_say_report_progress_and_change_the_context() {
    let test = print_shop(Level::Debug).await;
    let mut notices = test.engine.subscribe();
    let run = order(&test.engine, json!({"draft": "tea", "paper_late": 2, "pages": 2})).await;
    let report = in_time(run.wait()).await.unwrap();
    assert_eq!((report.state, report.task("fetch").unwrap().attempt), (RunState::Completed, Some(3)), "{report:?}");
    let expected = json!({"paper_late": 2, "pages": 2, "printed": 2, "delivered": true});
    assert_eq!(context(&report), expected, "`draft` and `paper` are gone");

    // The policy waits for 1 ms; what the package asked for is 50.
    let events = run.events().await.unwrap();
    let failures = failures(&events);
    assert_eq!(failures.len(), 2);
    for failure in failures {
        let due_at: Timestamp = failure.details["due_at"].as_str().unwrap().parse().unwrap();
        assert!(due_at.unix_micros() >= failure.at.unix_micros() + 50_000, "{failure:?}");
        assert_eq!(failure.details["kind"], "paper_late");
    }

    let expected = [
        r#"fetch warn the paper is late {"attempt":1}"#,
        r#"fetch warn the paper is late {"attempt":2}"#,
        r#"print debug printed a page {"of":2,"page":1}"#,
        r#"print debug printed a page {"of":2,"page":2}"#,
        r#"deliver info delivered {"pages":2}"#,
    ];
    assert_eq!(log(&run).await, expected);
    let mut progress = Vec::new();
    in_time(async {
        while let Some(notice) = notices.next().await {
            match notice.kind {
                NoticeKind::Heartbeat { permille, note } => progress.push((permille, note)),
                NoticeKind::RunFinished { .. } => break,
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(progress, [(500, "printing".to_owned()), (1000, "printing".to_owned())]);
}

#[tokio::test]
async fn an_order_that_cannot_be_filled_fails_for_good_with_its_code() {
    let test = print_shop(Level::Info).await;
    let run = order(&test.engine, json!({"sheets": 0})).await;
    let report = in_time(run.wait()).await.unwrap();
    assert_eq!((report.state, report.task("fetch").unwrap().attempt), (RunState::Failed, Some(1)));
    assert_eq!(custom(&report, "fetch"), ("no_paper".to_owned(), json!({"sheets": 0}), false));
    // Lines for debugging do not reach the log.
    let run = order(&test.engine, json!({"pages": 1})).await;
    assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    assert_eq!(log(&run).await, [r#"deliver info delivered {"pages":1}"#]);
}

#[tokio::test]
async fn a_thread_that_is_asked_to_stop_does_so_between_two_pages() {
    let test = print_shop(Level::Info).await;
    let mut notices = test.engine.subscribe();
    let run = order(&test.engine, json!({"pages": 1_000_000})).await;
    in_time(async {
        while let Some(notice) = notices.next().await {
            if matches!(notice.kind, NoticeKind::Heartbeat { .. }) {
                break;
            }
        }
    })
    .await;
    run.cancel("the test").await.unwrap();
    let report = in_time(run.wait()).await.unwrap();
    assert_eq!((report.state, report.task("print").unwrap().state), (RunState::Cancelled, TaskState::Cancelled));
    let log = log(&run).await;
    assert!(matches!(log.as_slice(), [line] if line.starts_with(r#"print info stopped {"printed":"#)), "{log:?}");
    // What the next run needs is still there, and so is the engine's end.
    let again = order(&test.engine, json!({"pages": 1})).await;
    assert_eq!(in_time(again.wait()).await.unwrap().state, RunState::Completed);
    in_time(test.engine.shutdown()).await.unwrap();
}
