//! Events of `tracing` and records of `log` in a package, sent to the host's log under the identity of the attempt that
//! raised them.
//!
//! A package has its own copies of both crates, so the host's subscriber never sees its events; the subscriber here does.
//! Spans are numbered and otherwise ignored: the attempt groups the lines. Events of a thread without an attempt (a task
//! that user code spawned) are logged for the package as a whole.

use std::{
    fmt::{self, Write as _},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Map, Value};
use tracing_core::{
    Event, Interest, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use crate::{Level, attempt::log_to_current};

/// Where lines without an attempt go, and which levels are wanted.
pub(crate) trait PackageLog: Send + Sync + 'static {
    fn max_level(&self) -> u32;
    fn log(&self, level: Level, target: &str, message: &str, fields: &str);
}

/// The subscriber of a package.
pub(crate) struct HostSubscriber<L> {
    log: L,
    spans: AtomicU64,
}

impl<L> HostSubscriber<L> {
    pub(crate) fn new(log: L) -> Self {
        Self { log, spans: AtomicU64::new(1) }
    }
}

impl<L: PackageLog> Subscriber for HostSubscriber<L> {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The wanted level changes at any time, so nothing may be cached.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level(metadata).number() <= self.log.max_level()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let json = if fields.others.is_empty() { String::new() } else { Value::Object(fields.others).to_string() };
        let (level, target) = (level(event.metadata()), event.metadata().target());
        send(&self.log, level, target, &fields.message, &json);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The logger of a package, for the crate `log`.
pub(crate) struct HostLogger<L>(pub(crate) L);

impl<L: PackageLog> log::Log for HostLogger<L> {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        log_level(metadata.level()).number() <= self.0.max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            send(&self.0, log_level(record.level()), record.target(), &record.args().to_string(), "");
        }
    }

    fn flush(&self) {}
}

fn send(log: &impl PackageLog, level: Level, target: &str, message: &str, fields: &str) {
    if !log_to_current(level, target, message, fields) {
        log.log(level, target, message, fields);
    }
}

fn log_level(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warn,
        log::Level::Info => Level::Info,
        log::Level::Debug => Level::Debug,
        log::Level::Trace => Level::Trace,
    }
}

fn level(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing_core::Level::ERROR => Level::Error,
        tracing_core::Level::WARN => Level::Warn,
        tracing_core::Level::INFO => Level::Info,
        tracing_core::Level::DEBUG => Level::Debug,
        tracing_core::Level::TRACE => Level::Trace,
    }
}

/// The message and the other fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A Debug implementation that fails leaves what it wrote so far.
        if write!(text, "{value:?}").is_err() {
            text.push_str(" (its Debug failed)");
        }
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, Value::String(text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value.into());
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
