//! A run whose tasks tell its secret in every way that they have: nobody is told, wherever he looks.
//!
//! The tasks do get the secret: they fail with something else if it is not the one that was given.

use cloacina_workflow::Context;
use serde_json::json;

use crate::{Engine, Level, LogFilter, NoticeKind, Records, RunRequest, TaskError, Value, task};

const SECRET: &str = "correct horse \"battery\"\nstaple";

#[crate::workflow(name = "blab", description = "Tells everything")]
mod blab {
    use super::*;

    #[task(id = "copy")]
    async fn copy(context: &mut Context<Value>) -> Result<(), TaskError> {
        let password: String = context.get_as("password")?;
        assert!(password == SECRET && context.get("pin") == Some(&json!(271_828)), "not what was given");
        context.log(Level::Info, &format!("it is {password}, or {password:?}"));
        context.log(Level::Warn, "the pin is 271828");
        context.heartbeat(500, &format!("used {password}"));
        context.insert("url", json!({ "of": format!("db://me:{password}@host"), "pin": 1 }))?;
        Ok(())
    }

    #[task(id = "fail", dependencies = ["copy"], retry_attempts = 1, retry_delay_ms = 1)]
    async fn fail(context: &mut Context<Value>) -> Result<(), TaskError> {
        let password: String = context.get_as("password")?;
        if context.attempt() == 1 {
            return Err(TaskError::transient(format!("login with {password} failed")));
        }
        panic!("{password} again");
    }
}

/// The longest message that is one line of a log.
const LINE_BYTES: usize = 16 << 10;

/// Texts in which a secret stands across each place where something could be cut.
fn across(border: usize) -> impl Iterator<Item = String> {
    (border - 40..border + 2)
        .step_by(3)
        .map(|n_before| format!("{}{SECRET}{}", "x".repeat(n_before), "ä".repeat(LINE_BYTES)))
}

#[crate::workflow(name = "long", description = "Tells much")]
mod long {
    use super::*;

    #[task(id = "tell")]
    async fn tell(context: &mut Context<Value>) -> Result<(), TaskError> {
        for text in across(LINE_BYTES) {
            context.log(Level::Info, &text);
        }
        for text in across(256) {
            context.heartbeat(1, &text);
        }
        let kind = across(256).next().unwrap_or_default();
        let message = across(64 << 10).next().unwrap_or_default();
        Err(TaskError::Custom { kind, message, details: json!(null), retryable: false })
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn is_silent(what: &str, told: &str) {
    for part in ["correct horse", "staple", "271828"] {
        assert!(!told.contains(part), "{what} tells the secret: {told}");
    }
}

#[test]
fn secrets_of_the_input_are_told_nowhere() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db").to_str().unwrap().to_owned();
        let start = || Engine::builder().database(&path).workflow(blab::workflow()).start();
        let engine = start().await.unwrap();
        let mut notices = engine.subscribe();
        let mut input = Context::new();
        input.set("open", json!("nothing to hide"));
        let request = RunRequest::new("blab", input).secret("password", json!(SECRET)).secret("pin", json!(271_828));
        let run = engine.scheduler().submit(request).await.unwrap();
        let report = run.wait().await.unwrap();
        let error = report.task("fail").unwrap().error.clone().unwrap();
        assert_eq!(error.message(), "*** again", "the tasks had the secret");
        let expected = json!({ "of": "db://me:***@host", "pin": "***" });
        assert_eq!((report.context.get("url"), report.context.get("password")), (Some(&expected), Some(&json!("***"))));
        assert_eq!(report.context.get("open"), Some(&json!("nothing to hide")));
        is_silent("a report", &format!("{report:?}"));
        is_silent("a history", &format!("{:?}", run.events().await.unwrap()));
        is_silent("the end of a history", &format!("{:?}", run.events_from(2, i64::MAX).await.unwrap()));

        let again = run.rerun_failed(None, "ada").await.unwrap();
        is_silent("a derived run", &format!("{:?} {:?}", again.wait().await.unwrap(), again.events().await.unwrap()));
        let mut other = Context::new();
        other.set("password", json!(SECRET));
        other.set("pin", json!(271_828));
        let other = run.rerun(Some(other), "ada").await.unwrap();
        is_silent("a run with another input", &format!("{:?}", other.wait().await.unwrap()));
        engine.shutdown().await.unwrap();
        let mut n_lines = 0;
        while let Some(notice) = notices.next().await {
            n_lines += usize::from(matches!(notice.kind, NoticeKind::Log { .. }));
            is_silent("a notice", &format!("{notice:?}"));
        }
        assert!(n_lines >= 4, "the tasks did talk");

        // Nor does what is stored: not to one who looks, and not to the next engine.
        let mut records = Records::open(&path).unwrap();
        let logs = records.logs(run.id(), &LogFilter::default()).unwrap();
        assert_eq!(logs[0].message, "it is ***, or \"***\"");
        is_silent("a log", &format!("{logs:?}"));
        for id in [run.id(), again.id(), other.id()] {
            is_silent("a stored history", &format!("{:?}", records.events(id).unwrap()));
            is_silent("a stored report", &format!("{:?}", records.report(id).unwrap()));
        }
        let engine = start().await.unwrap();
        is_silent("the next engine", &format!("{:?}", engine.run(run.id()).await.unwrap().report().await.unwrap()));
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn no_limit_parts_a_secret_or_loses_a_part_of_a_line() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db").to_str().unwrap().to_owned();
        let engine = Engine::builder().database(&path).workflow(long::workflow()).start().await.unwrap();
        let mut notices = engine.subscribe();
        let request = RunRequest::new("long", Context::new()).secret("password", json!(SECRET));
        let run = engine.scheduler().submit(request).await.unwrap();
        let report = run.wait().await.unwrap();
        let error = report.task("tell").unwrap().error.clone().unwrap();
        assert_eq!(error.kind(), format!("{}***{}…", "x".repeat(216), "ä".repeat(18)));
        let kept = ((64 << 10)..(64 << 10) + '…'.len_utf8() + 1).contains(&error.message().len());
        assert!(kept && error.message().ends_with("ä…"), "{}", error.message().len());
        is_silent("an error", &error.message());
        let expected: Vec<String> = across(LINE_BYTES).map(|text| text.replace(SECRET, "***")).collect();
        let joined = |parts: Vec<(String, bool)>| {
            let mut lines: Vec<String> = Vec::new();
            for (part, is_continued) in parts {
                assert!(part.len() <= LINE_BYTES);
                match lines.last_mut().filter(|_| is_continued) {
                    Some(line) => line.push_str(&part),
                    None => lines.push(part),
                }
            }
            lines
        };
        engine.shutdown().await.unwrap();
        let (mut told, mut n_notes) = (Vec::new(), 0);
        while let Some(notice) = notices.next().await {
            match notice.kind {
                NoticeKind::Log { message, fields, .. } => told.push((message, fields == r#"{"continued":true}"#)),
                NoticeKind::Heartbeat { note, .. } => {
                    n_notes += 1;
                    assert!(note.len() <= 256 + '…'.len_utf8());
                    is_silent("a note", &note);
                }
                _ => {}
            }
        }
        assert!(n_notes > 10 && joined(told) == expected);
        let stored = Records::open(&path).unwrap().logs(run.id(), &LogFilter::default()).unwrap();
        let stored = stored.into_iter().map(|line| (line.message, line.fields.contains_key("continued"))).collect();
        assert_eq!(joined(stored), expected);
    });
}
