//! What a package host itself has to say, on its way to the engine's log: lines of the package outside of any call, and
//! what the loader finds wrong with it.
//!
//! They go as lines of call 0, and are left out when much is waiting.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cloacina_workflow::Level;
use serde_json::{Map, Value};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::{outbox::Outbox, role::log_frame};
use crate::loader::{LINE_SENT_MAX, LogLine, NAME_SENT_MAX, fields, text};

/// Sends every event of this process to the engine from now on.
pub(super) fn install(outbox: &Arc<Outbox>) {
    let forwarder = Forwarder { outbox: Arc::clone(outbox), next_span: AtomicU64::new(1) };
    // Only a program that has a role besides this one could have installed another before.
    tracing::subscriber::set_global_default(forwarder).ok();
}

struct Forwarder {
    outbox: Arc<Outbox>,
    next_span: AtomicU64,
}

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.next_span.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut said = Said::default();
        event.record(&mut said);
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let target = said.module.as_deref().unwrap_or_else(|| metadata.target()).to_owned();
        let line = LogLine {
            level,
            target: text(target.as_bytes(), NAME_SENT_MAX),
            message: text(said.message.as_bytes(), LINE_SENT_MAX),
            fields: match said.given.clone().or_else(|| said.others()) {
                Some(json) => fields(json.as_bytes()),
                None => String::new(),
            },
        };
        self.outbox.post_if_room(&log_frame(0, &line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The parts of an event.
#[derive(Default)]
struct Said {
    message: String,
    /// The package's own name for where it comes from.
    module: Option<String>,
    /// The fields that the package gave, as JSON.
    given: Option<String>,
    others: Map<String, Value>,
}

impl Said {
    fn others(&self) -> Option<String> {
        (!self.others.is_empty()).then(|| Value::Object(self.others.clone()).to_string())
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "module" => self.module = Some(value.to_owned()),
            "fields" if value.is_empty() => {}
            "fields" => self.given = Some(value.to_owned()),
            "package" => {}
            name => drop(self.others.insert(name.to_owned(), value.into())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.message = value,
            name => drop(self.others.insert(name.to_owned(), value.into())),
        }
    }
}
