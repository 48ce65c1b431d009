//! A sink that remembers what it was told, and renders it for comparison.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use cloacina_workflow::{TaskError, descriptor::Descriptor, payload::Delta};

use crate::loader::{Call, CallId, CallResult, CallSink, LogLine, call::Output};

/// Longer than anything here takes; a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Recorder {
    sender: Mutex<Sender<(CallId, String)>>,
}

/// What a [`Recorder`] was told.
#[derive(Debug)]
pub(crate) struct Heard(Receiver<(CallId, String)>);

pub(crate) fn recorder() -> (Arc<Recorder>, Heard) {
    let (sender, receiver) = mpsc::channel();
    (Arc::new(Recorder { sender: Mutex::new(sender) }), Heard(receiver))
}

impl Heard {
    /// The next thing heard.
    pub(crate) fn next(&self) -> (CallId, String) {
        self.0.recv_timeout(PATIENCE).unwrap()
    }

    /// Everything heard so far that was not taken yet.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.try_iter().map(|(_, what)| what).collect()
    }
}

impl Recorder {
    fn tell(&self, id: CallId, what: String) {
        // A test may have stopped listening before the library stopped talking.
        self.sender.lock().unwrap().send((id, what)).ok();
    }
}

impl CallSink for Recorder {
    fn complete(&self, id: CallId, result: CallResult) {
        self.tell(id, render(&result));
    }

    fn log(&self, id: CallId, line: LogLine) {
        let LogLine { level, target, message, fields } = line;
        self.tell(id, format!("log {level} {target}: {message} {fields}"));
    }

    fn heartbeat(&self, id: CallId, permille: u32, note: String) {
        self.tell(id, format!("heartbeat {permille} {note}"));
    }

    fn secret(&self, id: CallId, text: String) {
        self.tell(id, format!("secret {text}"));
    }

    fn is_abandoned(&self, _: CallId) -> bool {
        false
    }
}

pub(crate) fn call(function: u32, payload: &str) -> Call {
    Call {
        function,
        attempt: 1,
        payload: payload.as_bytes().to_vec(),
        is_whole: true,
        deadline_unix_ms: 0,
        idempotency_key: "run/task".to_owned(),
        trace_parent: String::new(),
    }
}

/// A descriptor of one workflow with that many tasks.
pub(crate) fn descriptor_json(package: &str, n_tasks: u32) -> String {
    let tasks: Vec<_> = (0..n_tasks).map(|index| format!(r#"{{"id":"t{index}","index":{index}}}"#)).collect();
    format!(
        r#"{{"format":1,"abi":"1.0","package":"{package}","version":"1.0.0","workflows":[{{"name":"w","tasks":[{}]}}]}}"#,
        tasks.join(",")
    )
}

pub(crate) fn descriptor(package: &str, n_tasks: u32) -> Descriptor {
    Descriptor::parse(&descriptor_json(package, n_tasks)).unwrap()
}

fn render(result: &CallResult) -> String {
    match result {
        CallResult::Completed(Output::Delta(Delta { set, unset })) => {
            format!("delta {} -{unset:?}", serde_json::to_string(set).unwrap())
        }
        CallResult::Completed(Output::Whole(values)) => format!("whole {}", serde_json::to_string(values).unwrap()),
        CallResult::Cancelled(error) => format!("cancelled {}", error.message()),
        CallResult::Lost { reason } => format!("lost {reason}"),
        CallResult::Withheld(error) => format!("withheld {}", error.message()),
        CallResult::Failed { error, retry_after } => {
            let code = match error {
                TaskError::Custom { details, .. } => details["code"].as_str().unwrap_or_default().to_owned(),
                _ => String::new(),
            };
            let retryable = if error.is_retryable() { "retryable" } else { "final" };
            let wait = retry_after.map(|wait| format!(" after {wait:?}")).unwrap_or_default();
            format!("failed {retryable}{wait} {} {code}: {}", error.kind(), error.message())
        }
    }
}
