//! The descriptor: the JSON that says what a module holds, as pieces of `&str` that the compiler joins.
//!
//! Everything that the author wrote is escaped here; only the versions of crate, compiler and sdk are constants of the
//! user's build. What was not written and means nothing is left out; where an attribute was written, everything that
//! belongs to it is written out, so that a later change of a default cannot change a compiled package.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use serde_json::Value;
use syn::Path;

use crate::{
    ast::{Kind, Module, Task},
    attr::{Condition, Need, Needs},
    expand::function,
    graph::Names,
    rule::Rule,
    valid,
};

/// The version of the descriptor's form.
const FORMAT: u32 = 1;

/// The pieces, each an expression of type `&str`.
pub(crate) fn pieces(module: &Module, private: &Path) -> Vec<TokenStream> {
    let attributes = &module.attributes;
    let crate_name = quote!(::core::env!("CARGO_PKG_NAME"));
    let crate_version = quote!(::core::env!("CARGO_PKG_VERSION"));
    let mut json = Pieces::default();
    json.text(&format!("{{\"format\":{FORMAT},\"abi\":"));
    json.constant(&quote!(#private::ABI));
    json.text(",\"package\":");
    match (module.kind, &attributes.package) {
        (Kind::Packaged, Some(package)) => json.text(&quoted(&package.value)),
        // An embedded workflow belongs to the program that it is compiled into.
        (Kind::Packaged | Kind::Embedded, _) => json.constant(&crate_name),
    }
    if let Some(tenant) = &attributes.tenant {
        json.text(&format!(",\"tenant\":{}", quoted(&tenant.value)));
    }
    json.text(",\"version\":");
    match &attributes.version {
        Some(version) => json.text(&quoted(&version.value)),
        None => json.constant(&crate_version),
    }
    // The package's description is that of its first workflow which has one.
    if let Some(description) = &module.description {
        json.text(&format!(",\"description\":{}", quoted(description)));
    }
    if let Some(author) = &attributes.author {
        json.text(&format!(",\"author\":{}", quoted(&author.value)));
    }
    json.text(",\"build\":{\"sdk\":");
    json.constant(&quote!(#private::SDK));
    for (key, constant) in [("compiler", "RUSTC"), ("target", "TARGET"), ("panic", "PANIC")] {
        let constant = syn::Ident::new(constant, Span::call_site());
        json.text(&format!(",\"{key}\":"));
        json.constant(&quote!(#private::#constant));
    }
    json.text(",\"crate\":");
    json.constant(&crate_name);
    json.text(",\"crate_version\":");
    json.constant(&crate_version);
    json.text(&format!("}},\"workflows\":[{}]}}", workflow(module)));
    json.finish()
}

/// Text and constants in turn.
#[derive(Default)]
struct Pieces {
    done: Vec<TokenStream>,
    text: String,
}

impl Pieces {
    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A constant string. The values are names and versions, which JSON writes as they are.
    fn constant(&mut self, constant: &TokenStream) {
        self.text.push('"');
        self.done.push(std::mem::take(&mut self.text).into_token_stream());
        self.done.push(constant.clone());
        self.text.push('"');
    }

    fn finish(mut self) -> Vec<TokenStream> {
        self.done.push(self.text.into_token_stream());
        self.done
    }
}

/// A JSON object whose fields stay in the order of writing.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    /// A field with a value that is JSON already.
    fn field(&mut self, key: &str, json: impl AsRef<str>) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quoted(key));
        self.0.push(':');
        self.0.push_str(json.as_ref());
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn workflow(module: &Module) -> String {
    let attributes = &module.attributes;
    let names = Names::new(module);
    let callbacks: Vec<String> = function::callbacks(module)
        .iter()
        .map(|callback| syn::ext::IdentExt::unraw(&callback.signature.ident).to_string())
        .collect();
    let mut json = Object::new();
    json.field("name", quoted(&module.name.value));
    if let Some(description) = &module.description {
        json.field("description", quoted(description));
    }
    json.field("fingerprint", quoted(&module.fingerprint));
    if let Some(timeout) = &attributes.timeout_ms {
        json.field("timeout_ms", timeout.value.to_string());
    }
    if let Some(durability) = &attributes.durability {
        json.field("durability", quoted(durability.value));
    }
    if let Some(requested) = &attributes.needs {
        json.field("needs", needs(requested));
    }
    if !callbacks.is_empty() {
        let entries = function::callbacks(module).into_iter().zip(&callbacks).enumerate();
        let entries = entries.map(|(place, (callback, name))| {
            let mut entry = Object::new();
            entry.field("name", quoted(name));
            entry.field("index", (module.tasks.len() + place).to_string());
            entry.field("blocking", callback.signature.asyncness.is_none().to_string());
            entry.finish()
        });
        json.field("callbacks", list(entries));
    }
    let tasks = module.tasks.iter().enumerate();
    let tasks = tasks.map(|(place, entry)| task(place, entry, module.tasks.len(), &names, &callbacks));
    json.field("tasks", list(tasks));
    json.finish()
}

fn task(place: usize, task: &Task, n_tasks: usize, names: &Names<'_>, callbacks: &[String]) -> String {
    let attributes = &task.attributes;
    let mut json = Object::new();
    json.field("id", quoted(&task.id.value));
    json.field("index", place.to_string());
    if let Some(description) = &task.description {
        json.field("description", quoted(description));
    }
    let dependencies = attributes.dependencies.iter().map(|reference| quoted(&names.id(reference)));
    json.field("dependencies", list(dependencies));
    let is_plain = task.signature.asyncness.is_none();
    let blocking = attributes.blocking.as_ref().map_or(is_plain, |blocking| blocking.value);
    json.field("blocking", blocking.to_string());
    if let Some(source) = source(task.function().span()) {
        json.field("source", quoted(&source));
    }
    if attributes.retry_attempts.is_some() || attributes.retry_condition.is_some() {
        json.field("retry", retry(task));
    }
    if let Some(timeout) = &attributes.timeout_ms {
        json.field("timeout_ms", timeout.value.to_string());
    }
    if let Some(requested) = &attributes.trigger_rules {
        json.field("trigger_rules", rule(requested, names));
    }
    if let Some(when) = &attributes.trigger_when {
        json.field("trigger_when", quoted(when.value));
    }
    for (key, ident) in [("on_success", &attributes.on_success), ("on_failure", &attributes.on_failure)] {
        let name = ident.as_ref().map(|ident| syn::ext::IdentExt::unraw(ident).to_string());
        let place = name.and_then(|name| callbacks.iter().position(|callback| *callback == name));
        if let Some(place) = place {
            json.field(key, (n_tasks + place).to_string());
        }
    }
    if let Some(priority) = &attributes.priority {
        json.field("priority", priority.value.to_string());
    }
    for (key, flag) in [("optional", &attributes.optional), ("at_most_once", &attributes.at_most_once)] {
        if let Some(flag) = flag {
            json.field(key, flag.value.to_string());
        }
    }
    json.finish()
}

fn retry(task: &Task) -> String {
    let attributes = &task.attributes;
    let number = |written: &Option<crate::mistakes::Located<i64>>, default: i64| {
        written.as_ref().map_or(default, |number| number.value).to_string()
    };
    let mut json = Object::new();
    json.field("attempts", number(&attributes.retry_attempts, 0));
    json.field("backoff", quoted(attributes.retry_backoff.as_ref().map_or("exponential", |backoff| backoff.value)));
    json.field("delay_ms", number(&attributes.retry_delay_ms, valid::RETRY_DELAY_MS));
    json.field("max_delay_ms", number(&attributes.retry_max_delay_ms, valid::RETRY_MAX_DELAY_MS));
    json.field("jitter", attributes.retry_jitter.as_ref().is_none_or(|jitter| jitter.value).to_string());
    let condition = match attributes.retry_condition.as_ref().map(|condition| &condition.value) {
        None => quoted("all"),
        Some(Condition::Word(word)) => quoted(word),
        Some(Condition::Patterns(patterns)) => list(patterns.iter().map(|pattern| quoted(pattern))),
    };
    json.field("condition", condition);
    json.finish()
}

fn needs(needs: &Needs) -> String {
    let need = |need: &Need| match need {
        Need::Nothing => "false".to_owned(),
        Need::Anything => "true".to_owned(),
        Need::Only(values) => list(values.iter().map(|value| quoted(value))),
    };
    let mut json = Object::new();
    json.field("net", need(&needs.net));
    json.field("read", need(&needs.read));
    json.field("write", need(&needs.write));
    json.field("env", need(&needs.env));
    json.finish()
}

fn rule(requested: &Rule, names: &Names<'_>) -> String {
    let mut json = Object::new();
    match requested {
        Rule::Always => return quoted("always"),
        Rule::Group(group, rules) => json.field(group, list(rules.iter().map(|nested| rule(nested, names)))),
        Rule::Task(condition, reference) => json.field(condition, quoted(&names.id(reference))),
        Rule::Context { key, operator, value } => {
            let mut context = Object::new();
            context.field("key", quoted(key));
            context.field("op", quoted(operator));
            if let Some(value) = value {
                context.field("value", value.to_string());
            }
            json.field("context_value", context.finish());
        }
    }
    json.finish()
}

/// `file:line` of a function, if the compiler gives a path that does not depend on the machine.
fn source(span: Span) -> Option<String> {
    if !proc_macro::is_available() {
        return None;
    }
    let span = span.unwrap();
    let file = span.file().replace('\\', "/");
    let is_relative = file.ends_with(".rs") && !file.starts_with('/') && !file.contains(':') && !file.contains("..");
    is_relative.then(|| format!("{file}:{}", span.line()))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
