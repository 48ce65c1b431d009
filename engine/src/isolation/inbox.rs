//! What a package host sends, from its first answer to the end of its connection: one thread reads it, and does what it says.
//!
//! Everything is checked as if an enemy had sent it; a host that sends what it may not is killed.

use std::sync::Arc;

use cloacina_workflow::{
    Level,
    abi::{FETCH_ABSENT, FETCH_FOUND, FETCH_TOO_LARGE},
};

use super::{
    calls::TooManySecrets,
    child::Child,
    death::Killed,
    frame::{Frame, Kind},
    outbox::Posted,
    role::{SECRETS_MAX, refused},
    stream::{Broken, FrameReader},
};
use crate::loader::{
    Answer, CallId, CallResult, LINE_SENT_MAX, LogLine, NAME_SENT_MAX, OUTPUT_BYTES_MAX, Question, SECRET_BYTES_MAX,
    Sent, Unanswered, fields, text, validate,
};

/// Stray messages after which a host counts as hostile.
const STRAYS_MAX: u64 = 10_000;

/// The receiving end of a child.
pub(super) struct Inbox {
    child: Arc<Child>,
    /// Messages for calls that were not under way.
    n_strays: u64,
}

impl Inbox {
    pub(super) fn new(child: &Arc<Child>) -> Self {
        Self { child: Arc::clone(child), n_strays: 0 }
    }

    pub(super) fn child(&self) -> &Arc<Child> {
        &self.child
    }

    /// Reads what the host sends until its connection ends, and then tells of its end.
    pub(super) fn read(&mut self, frames: &mut FrameReader) {
        let broken = loop {
            match frames.next() {
                Ok(frame) => {
                    if let Err(what) = self.take(&frame) {
                        break Broken::Violation { what };
                    }
                }
                Err(broken) => break broken,
            }
        };
        match broken {
            Broken::Closed | Broken::Io(_) => {}
            Broken::Bad(bad) => self.child.kill(Killed::Violation { what: bad.to_string() }),
            Broken::Violation { what } => self.child.kill(Killed::Violation { what }),
        }
        self.child.over();
    }

    /// Does what a frame says, or tells what is wrong with it.
    fn take(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        let id = CallId::of_number(frame.call);
        match frame.kind {
            Kind::Complete => {
                let [output, error_code, error_message] = frame.parts;
                let sent = Sent {
                    status: frame.a.cast_signed(),
                    output_kind: frame.c,
                    retry_after_us: frame.d,
                    output,
                    error_code,
                    error_message,
                    cpu_ns: frame.b,
                };
                let Some((sink, n_open)) = self.child.take_call(id, sent.cpu()) else {
                    return self.unless_over(format!("the end of a call {id} that was not under way"));
                };
                // What a task sent may be nonsense though its host is not: the attempt fails, and the host goes on.
                sink.complete(id, validate(&sent).unwrap_or_else(|bad| bad.into_result()));
                self.child.call_ended(n_open);
            }
            Kind::Refused => {
                let Some((sink, n_open)) = self.child.take_call(id, None) else {
                    return self.unless_over(format!("the refusal of a call {id} that was not under way"));
                };
                let error = refused(frame).into_error();
                sink.complete(id, CallResult::Failed { error, retry_after: None });
                self.child.call_ended(n_open);
            }
            Kind::Log => self.log(id, frame)?,
            Kind::Heartbeat => match self.child.sink(id) {
                Some(sink) => sink.heartbeat(id, frame.a.min(1000), text(frame.parts[0], NAME_SENT_MAX)),
                None => self.stray("heartbeats")?,
            },
            Kind::Secret => self.take_secret(id, frame)?,
            Kind::Fetch => self.take_question(id, frame)?,
            Kind::Dropped => {
                let n_lines = frame.b;
                tracing::warn!(package = &*self.child.package, n_lines, "log lines of a package were left out");
            }
            Kind::Hello | Kind::Ready | Kind::NotReady => return Err("a second answer to its setup".to_owned()),
            Kind::Setup | Kind::Start | Kind::Cancel | Kind::SecretTaken | Kind::Answer => {
                return Err("a frame that only the engine may send".to_owned());
            }
        }
        Ok(())
    }

    /// A log line of a call, or of the package.
    pub(super) fn log(&mut self, id: CallId, frame: &Frame<'_>) -> Result<(), String> {
        let line = LogLine {
            level: Level::from_number(frame.a),
            target: text(frame.parts[0], NAME_SENT_MAX),
            message: text(frame.parts[1], LINE_SENT_MAX),
            fields: fields(frame.parts[2]),
        };
        match self.child.sink(id) {
            Some(sink) => sink.log(id, line),
            None if frame.call == 0 => self.child.log_of_package(&line),
            None => self.stray("log lines")?,
        }
        Ok(())
    }

    /// Hides a text from now on, and says so: the task waits for that before it goes on.
    fn take_secret(&mut self, id: CallId, frame: &Frame<'_>) -> Result<(), String> {
        match self.child.roster.count_secret(self.child.id, id) {
            Err(TooManySecrets) => return Err(format!("more than {SECRETS_MAX} secrets of the call {id}")),
            Ok(Some(sink)) => {
                sink.secret(id, text(frame.parts[0], SECRET_BYTES_MAX));
                self.child.hide(&*sink);
            }
            Ok(None) => self.stray("secrets")?,
        }
        self.child.process.outbox.post(&Frame { b: frame.b, ..Frame::new(Kind::SecretTaken, frame.call) });
        Ok(())
    }

    /// Answers what a task asks for. Waits for room, so that what is asked for at once does not pile up.
    fn take_question(&mut self, id: CallId, frame: &Frame<'_>) -> Result<(), String> {
        let [task, key, _] = frame.parts;
        let answer = match (self.child.sink(id), Question::read(frame.a, task, key)) {
            (Some(sink), Some(question)) => sink.fetch(id, &question),
            (Some(_), None) => Err(Unanswered::Unknown),
            (None, _) => {
                self.stray("questions")?;
                Err(Unanswered::Gone)
            }
        };
        let whole = |answer: &Answer| answer.bytes().len() <= OUTPUT_BYTES_MAX;
        let (status, answer) = match answer {
            Ok(None) => (FETCH_ABSENT, None),
            Ok(Some(answer)) if whole(&answer) => (FETCH_FOUND, Some(answer)),
            Ok(Some(_)) => (FETCH_TOO_LARGE, None),
            Err(unanswered) => (unanswered.status(), None),
        };
        let writer = answer.as_ref().and_then(|answer| answer.writer.as_deref()).unwrap_or_default();
        let value = answer.as_ref().map_or(&[] as &[u8], Answer::bytes);
        let posted = self.child.process.outbox.post_when_room(&Frame {
            a: status.cast_unsigned(),
            b: frame.b,
            parts: [value, writer.as_bytes(), &[]],
            ..Frame::new(Kind::Answer, frame.call)
        });
        if posted == Posted::Unread {
            self.child.kill(Killed::Deaf);
        }
        Ok(())
    }

    /// Counts what belongs to no open call: it may come late, but not without end.
    fn stray(&mut self, what: &str) -> Result<(), String> {
        self.n_strays += 1;
        let n_strays = self.n_strays;
        if n_strays > STRAYS_MAX { Err(format!("{n_strays} {what} for calls that were not under way")) } else { Ok(()) }
    }

    /// A mistake of the host, unless the engine has forgotten all its calls meanwhile.
    fn unless_over(&self, what: String) -> Result<(), String> {
        if self.child.roster.is_closed() { Ok(()) } else { Err(what) }
    }
}
