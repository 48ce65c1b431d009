//! The engine's own log, on stderr: warnings, errors, and what packages write outside of any attempt.
//!
//! Shown where this program is the engine that runs tasks; one that is there to change something for a moment has nothing to
//! say that its answer does not. Lines of attempts are elsewhere: they are stored, and shown where a run is watched. What is
//! less than a warning is about the engine's inside, and left out.

use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::output::{LogLine, Output, causes};

/// The field by which lines of packages are told from the engine's own: where in the package the line is from.
const OF_PACKAGE: &str = "module";

/// Shows the log of the engine of this process from now on.
pub(crate) fn show(output: &Output) {
    let log = Log { output: output.clone(), next_span: AtomicU64::new(1) };
    // A program becomes an engine once; a second time it would be shown already.
    tracing::subscriber::set_global_default(log).ok();
}

struct Log {
    output: Output,
    next_span: AtomicU64,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_of_package = || metadata.fields().field(OF_PACKAGE).is_some();
        metadata.is_event()
            && (*metadata.level() <= Level::WARN || (*metadata.level() <= Level::INFO && is_of_package()))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.next_span.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut said = Said::default();
        event.record(&mut said);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            _ => "info",
        };
        let Said { message, fields, is_of_package } = said;
        self.output.log(&LogLine { level, message, fields, is_of_package });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The parts of an event.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
    is_of_package: bool,
}

impl Said {
    fn add(&mut self, field: &Field, value: Value) {
        self.is_of_package |= field.name() == OF_PACKAGE;
        // Absent and empty fields say nothing.
        if !matches!(&value, Value::Null) && value.as_str() != Some("") {
            self.fields.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        let text = [vec![value.to_string()], causes(value)].concat().join(": ");
        self.add(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.add(field, format!("{value:?}").into()),
        }
    }
}
