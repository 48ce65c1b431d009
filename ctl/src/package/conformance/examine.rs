//! The child: examines one rule with one task, and says what it finds.
//!
//! It gets its question on stdin, which is a socket, and answers there; what the package writes to stdout and stderr
//! goes elsewhere. Before every step it says what it does next, so that its end or its silence can be explained.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cloacina::{CallEnd, Confined, HostCall, Probe, StructSize};
use cloacina_workflow::abi::STATUS_OK;
use cloacina_workflow::descriptor::Descriptor;
use serde_json::{Map, Value, json};

use super::call::{Calls, Making, QUIET};
use super::message::{Question, Word};
use super::rule::Rule;
use crate::error::Error;
use crate::exit;

/// How many calls are made at a time where many are.
const PARALLEL: usize = 8;
/// The size of a large value.
const LARGE_BYTES: usize = 1 << 20;
/// How deep the values of a context may nest, by the rules of the host.
const DEPTH_MAX: usize = 120;
/// How long a package may take to shut down.
const GRACE: Duration = Duration::from_secs(2);

/// Answers the question that is asked on stdin.
pub(crate) fn examine() -> Result<u8, Error> {
    let failed = |source| Error::Io { action: "talk on", path: "stdin".into(), source };
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let socket = UnixStream::from(socket);
    let mut line = String::new();
    BufReader::new(&socket).read_line(&mut line).map_err(failed)?;
    let question: Question = serde_json::from_str(&line).map_err(|error| failed(error.into()))?;
    let mut examination = Examination { question: &question, socket };
    if let Some(confined) = question.confined() {
        // Before anything of the package runs.
        let confinement = confined.enter().map_err(failed)?;
        for missing in confinement.missing.iter().filter(|_| question.rule == Rule::Table) {
            examination.note(format!("the sandbox is not complete on this machine: {missing}"));
        }
    }
    if let Some(calls) = examination.begin() {
        examination.rule(&calls);
    }
    for call in Confined::refused() {
        examination.say(&Word::Refused(call.to_owned()));
    }
    examination.say(&Word::Done);
    Ok(exit::SUCCESS)
}

struct Examination<'a> {
    question: &'a Question,
    socket: UnixStream,
}

impl Examination<'_> {
    fn say(&mut self, word: &Word) {
        let mut line = serde_json::to_string(word).expect("invariant: a word is a string");
        line.push('\n');
        // Without a reader of the answer the test is useless, and the process ends soon.
        self.socket.write_all(line.as_bytes()).ok();
    }

    fn at(&mut self, step: impl Into<String>) {
        self.say(&Word::At(step.into()));
    }

    fn find(&mut self, finding: impl Into<String>) {
        self.say(&Word::Finding(finding.into()));
    }

    fn note(&mut self, note: impl Into<String>) {
        self.say(&Word::Note(note.into()));
    }

    /// Loads the package, and initializes it as the rule asks for.
    fn begin(&mut self) -> Option<Calls> {
        let Question { library, descriptor, rule, subject, patience_ms, .. } = self.question;
        self.at("while it was being loaded");
        let descriptor = match Descriptor::parse(descriptor) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                self.find(error.to_string());
                return None;
            }
        };
        let probe = match Probe::load(library, &descriptor) {
            Ok(probe) => probe,
            Err(error) => {
                self.find(format!("{}: {error}", error.code()));
                return None;
            }
        };
        let calls = Calls::new(probe, subject.clone(), Duration::from_millis(*patience_ms));
        let (size, config): (_, &[u8]) = match rule {
            Rule::Table => return None,
            Rule::Init => (StructSize::Exact, br#"{"workers":2,"added_later":{"list":[1,null]}}"#),
            Rule::NewerHost => (StructSize::Longer, br#"{"workers":2}"#),
            Rule::OlderHost => (StructSize::Shorter, br#"{"workers":2}"#),
            _ => (StructSize::Exact, br#"{"workers":2}"#),
        };
        self.at("in init");
        let status = calls.probe.init(size, config);
        match (rule, status) {
            (Rule::OlderHost, STATUS_OK) => self.find("init took a host that is too short for its functions"),
            (Rule::OlderHost, _) => {
                self.at("in init, after one that it refused");
                if calls.probe.init(StructSize::Exact, config) != STATUS_OK {
                    self.find("init refuses a proper host after it has refused one that is too short");
                    return None;
                }
            }
            (_, STATUS_OK) => {}
            (_, status) => {
                self.find(format!("init answered {status}"));
                return None;
            }
        }
        Some(calls)
    }

    fn rule(&mut self, calls: &Calls) {
        match self.question.rule {
            Rule::Archive | Rule::Table | Rule::Init | Rule::Sandbox => {}
            Rule::NewerHost => self.newer_host(calls),
            Rule::OlderHost => self.older_host(calls),
            Rule::Unknown => self.unknown(calls),
            Rule::Completes => self.completes(calls),
            Rule::Context => self.contexts(calls),
            Rule::Cancel => self.cancel(calls),
            Rule::Parallel => self.parallel(calls),
            Rule::Logs => self.logs(calls),
            Rule::Shutdown => self.shutdown(calls),
            Rule::Again => self.again(calls),
        }
    }

    /// The context that was asked for.
    fn context(&self) -> Vec<u8> {
        self.question.context(&Value::Object(self.question.values.clone()))
    }

    fn in_call(&self, what: &str) -> String {
        format!("in a call of `{}`{what}", self.question.subject.name)
    }

    fn newer_host(&mut self, calls: &Calls) {
        self.at(self.in_call(" with a longer struct"));
        let outcome = calls.call(&Making { size: StructSize::Longer, ..calls.ordinary(&self.context()) });
        match outcome.problem(calls) {
            Some(problem) => self.find(format!("a call with a longer struct: {problem}")),
            None if outcome.is_refused() => self.find("start refuses a struct that is longer than it knows"),
            None => {}
        }
    }

    fn older_host(&mut self, calls: &Calls) {
        self.at(self.in_call(" with a struct that is too short"));
        if !calls.is_refused(&Making { size: StructSize::Shorter, ..calls.ordinary(&self.context()) }) {
            self.find("start took a struct that is too short to hold a call");
        }
    }

    fn unknown(&mut self, calls: &Calls) {
        let ordinary = calls.ordinary(&self.context());
        for task in [self.question.free_index, u32::MAX] {
            self.at(format!("in a call of the task {task}, which does not exist"));
            if !calls.is_refused(&Making { task, ..ordinary.clone() }) {
                self.find(format!("start does not refuse the task {task}, which does not exist"));
            }
        }
        self.at(self.in_call(" with an unknown encoding"));
        let outcome = calls.call(&Making { encoding: 7, ..ordinary });
        if outcome.ends.contains(&CallEnd::Done) {
            self.find("a call whose context has an unknown encoding is completed");
        } else if let Some(problem) = outcome.problem(calls) {
            self.find(format!("a call whose context has an unknown encoding: {problem}"));
        }
        for number in [0, u64::MAX] {
            self.at("in cancel of a call that was never made");
            calls.probe.cancel(number);
        }
    }

    fn completes(&mut self, calls: &Calls) {
        self.at(self.in_call(""));
        let outcome = calls.call(&calls.ordinary(&self.context()));
        match outcome.problem(calls) {
            Some(problem) => self.find(problem),
            None if outcome.is_refused() => self.find("was refused"),
            None => self.note(outcome.text()),
        }
        self.at("in cancel of a call that has ended");
        calls.probe.cancel(1);
        let others = calls.probe.host_calls().into_iter().find_map(|heard| match heard {
            HostCall::Completed { call, .. } if !calls.was_made(call) => {
                Some(format!("completed the call {call:#x}, which was never made; was it read after start returned?"))
            }
            HostCall::Secret { call } if !calls.was_made(call) => {
                Some(format!("named a secret of the call {call:#x}, which was never made"))
            }
            HostCall::Overstated { said, spent, .. } => {
                let [said, spent] = [said, spent].map(|time| time.as_millis());
                Some(format!("cpu_ns says {said} ms of processor time, but the whole process has used up {spent} ms"))
            }
            HostCall::WrongContext => {
                Some("called the host with another first argument than the host's ctx".to_owned())
            }
            _ => None,
        });
        others.into_iter().for_each(|other| self.find(other));
    }

    fn contexts(&mut self, calls: &Calls) {
        for (what, context) in odd_contexts(self.question) {
            self.at(self.in_call(&format!(" whose context is {what}")));
            let outcome = calls.call(&calls.ordinary(&context));
            if let Some(problem) = outcome.problem(calls) {
                self.find(format!("with a context that is {what}: {problem}"));
                return;
            }
        }
    }

    fn cancel(&mut self, calls: &Calls) {
        self.at(self.in_call(" that is cancelled"));
        let number = calls.make(&calls.ordinary(&self.context()));
        calls.cancel(number);
        self.at(self.in_call(" that was cancelled"));
        let outcome = calls.outcome(number);
        match outcome.problem(calls) {
            Some(problem) => self.find(format!("after it was cancelled: {problem}")),
            None => self.note(outcome.text()),
        }
    }

    fn parallel(&mut self, calls: &Calls) {
        self.at(self.in_call(", of which there are several at a time"));
        let ordinary = calls.ordinary(&self.context());
        let numbers: Vec<u64> = (0..PARALLEL).map(|_| calls.make(&ordinary)).collect();
        for number in numbers {
            self.at(self.in_call(", of which there are several at a time"));
            if let Some(problem) = calls.outcome(number).problem(calls) {
                self.find(format!("one of {PARALLEL} calls at a time: {problem}"));
                return;
            }
        }
    }

    fn logs(&mut self, calls: &Calls) {
        calls.probe.want_logs(5);
        self.at(self.in_call(" with all levels of its log"));
        calls.call(&calls.ordinary(&self.context()));
        let mut n_lines = 0;
        for heard in calls.probe.host_calls() {
            match heard {
                HostCall::Log { problem: Some(problem), message, .. } => {
                    self.find(format!("the line \"{message}\": {problem}"))
                }
                HostCall::Log { level: level @ (0 | 6..), message, .. } => {
                    self.find(format!("the line \"{message}\" has the level {level}"));
                }
                HostCall::Log { call, message, .. } if call != 0 && !calls.was_made(call) => {
                    self.find(format!("the line \"{message}\" belongs to no call"));
                }
                HostCall::Log { .. } => n_lines += 1,
                HostCall::Heartbeat { permille: permille @ 1001.., .. } => {
                    self.find(format!("a heartbeat at {permille} thousandths"));
                }
                _ => {}
            }
        }
        calls.probe.want_logs(0);
        self.at(self.in_call(" while log lines are switched off"));
        calls.call(&calls.ordinary(&self.context()));
        let n_all = calls.probe.host_calls().iter().filter(|heard| matches!(heard, HostCall::Log { .. })).count();
        if n_all > n_lines {
            self.find("writes log lines although they are switched off");
        }
    }

    fn shutdown(&mut self, calls: &Calls) {
        self.at(self.in_call(" that shutdown will find"));
        let number = calls.make(&calls.ordinary(&self.context()));
        calls.cancel(number);
        self.at("in shutdown");
        let Some(status) = calls.probe.shutdown(GRACE) else {
            self.note("it has none");
            return;
        };
        if status != STATUS_OK {
            self.find(format!("shutdown answered {status}"));
        }
        self.at("after shutdown");
        let is_shut_down = |heard: &&HostCall| **heard == HostCall::ShutDown;
        let after = |heard: &[HostCall]| {
            let after = heard.iter().skip_while(|heard| !is_shut_down(heard)).skip(1);
            after.filter(|heard| !matches!(heard, HostCall::Answered { .. })).count()
        };
        let heard = calls.probe.wait(QUIET * 4, |heard| after(heard) > 0);
        if after(&heard) > 0 {
            self.find("called the host after shutdown had returned");
        } else if !calls.subject.blocking && super::call::ends(&heard, number).is_empty() {
            self.find("shutdown returned without ending the call that was under way");
        }
    }

    fn again(&mut self, calls: &Calls) {
        self.at("in shutdown");
        if calls.probe.shutdown(GRACE).is_none() {
            self.note("it has no shutdown");
            return;
        }
        self.at("in init after shutdown");
        let status = calls.probe.init(StructSize::Exact, br#"{"workers":2}"#);
        if status != STATUS_OK {
            self.find(format!("init after shutdown answered {status}"));
            return;
        }
        self.at(self.in_call(" after init followed shutdown"));
        let outcome = calls.call(&calls.ordinary(&self.context()));
        match outcome.problem(calls) {
            Some(problem) => self.find(format!("a call after it: {problem}")),
            None if outcome.is_refused() => self.find("a call after it was refused"),
            None => {}
        }
    }
}

/// What a context should not be, or seldom is.
fn odd_contexts(question: &Question) -> Vec<(String, Vec<u8>)> {
    let values = |values: Value| question.context(&values);
    let nested = format!("{{\"values\":{{\"deep\":{}{}}}}}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    let mut contexts: Vec<(String, Vec<u8>)> = [
        ("empty", Vec::new()),
        ("cut off", br#"{"values":{"key":"#.to_vec()),
        ("no UTF-8", b"{\"values\":{\"key\":\"\xff\xfe\"}}".to_vec()),
        ("a zero byte", vec![0]),
        ("an array", b"[]".to_vec()),
        ("an object without values", b"{}".to_vec()),
        ("an object with values that are an array", br#"{"values":[1,2]}"#.to_vec()),
        ("without any value", values(json!({}))),
        ("one value of 1 MiB", values(json!({ "large": "x".repeat(LARGE_BYTES) }))),
        ("nested 120 deep", nested.into_bytes()),
        ("full of odd texts", values(json!({ "\u{0}\"\\": "\u{10ffff}\u{0}\"\\\n", "": "%s%n%x" }))),
    ]
    .map(|(what, context)| (what.to_owned(), context))
    .into();
    // The values that were asked for, each of another type than it was.
    for (key, value) in &question.values {
        let others = [json!(null), json!("text"), json!(-1e300), json!([[]]), json!({"a": {}})];
        for other in others.into_iter().filter(|other| kind(other) != kind(value)) {
            let mut changed: Map<String, Value> = question.values.clone();
            changed.insert(key.clone(), other.clone());
            contexts.push((format!("one with `{key}` as {other}"), values(Value::Object(changed))));
        }
    }
    contexts
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}
