//! The rules that a workflow module must obey, each as a plain check that collects what it finds.
//!
//! Names and version here, tasks one by one, callbacks, then the graph (`graph.rs`) and the signatures (`signature.rs`).
//! After a module has passed without a mistake, `expand` may rely on every rule.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span};
use syn::{Item, UseTree, ext::IdentExt};

use crate::{
    ast::{Function, Kind, Module, Task},
    attr::Condition,
    expand, graph,
    mistakes::{Located, Mistakes},
    scope, signature, suggest,
};

/// The longest name of anything, so that a full `tenant::package::workflow::task` stays a short line.
const NAME_BYTES_MAX: usize = 128;

/// The most tasks and callbacks of a workflow, the same as for a whole package (`cloacina_workflow::descriptor`).
const FUNCTIONS_MAX: usize = 50_000;

/// The delays that hold where none is written, in milliseconds.
pub(crate) const RETRY_DELAY_MS: i64 = 1_000;
pub(crate) const RETRY_MAX_DELAY_MS: i64 = 60_000;

pub(crate) fn check(module: &Module, mistakes: &mut Mistakes) {
    workflow(module, mistakes);
    size(module, mistakes);
    scope::check(module, mistakes);
    for task in &module.tasks {
        signature::task(&task.signature, mistakes);
        name("task id", &task.id, mistakes);
        retries(task, mistakes);
        blocking(task, mistakes);
    }
    callbacks(module, mistakes);
    graph::check(module, mistakes);
}

fn workflow(module: &Module, mistakes: &mut Mistakes) {
    let attributes = &module.attributes;
    if module.tasks.is_empty() {
        mistakes.push(&module.item.ident, empty_message(&module.functions));
    }
    name("workflow name", &module.name, mistakes);
    match (module.kind, &attributes.package) {
        (Kind::Packaged, Some(package)) => name("package name", package, mistakes),
        (Kind::Packaged, None) if !attributes.written.contains("package") => {
            mistakes.push_at(Span::call_site(), "a packaged workflow names its package: `package = \"my_package\"`");
        }
        (Kind::Embedded, Some(package)) => mistakes
            .push(&package.tokens, "an embedded workflow has no package; `package` belongs in #[packaged_workflow]"),
        (Kind::Packaged | Kind::Embedded, None) => {}
    }
    if let Some(tenant) = &attributes.tenant {
        name("tenant name", tenant, mistakes);
    }
    if let Some(version) = &attributes.version
        && let Err(error) = semver::Version::parse(&version.value)
    {
        let message = format!("the version is not a semantic version such as `1.0.0`: {error}");
        mistakes.push(&version.tokens, message);
    }
    if let Some(ident) = taken_name(module) {
        mistakes.push(ident, "the name `workflow` is taken by the function that this attribute adds to the module");
    }
}

fn size(module: &Module, mistakes: &mut Mistakes) {
    let n_functions = module.tasks.len() + expand::n_callbacks(module);
    if n_functions > FUNCTIONS_MAX {
        mistakes.push(
            &module.item.ident,
            format!("a workflow has at most {FUNCTIONS_MAX} tasks and callbacks, but this one has {n_functions}"),
        );
    }
}

fn empty_message(functions: &[Function]) -> String {
    let candidate = functions.iter().find(|function| signature::looks_like_task(&function.signature));
    match candidate {
        Some(function) => {
            format!("a workflow has at least one task; mark `{}` with #[task]", function.signature.ident)
        }
        None => "a workflow has at least one task: a function marked with #[task]".to_owned(),
    }
}

/// Whatever would collide with the generated function `workflow`.
fn taken_name(module: &Module) -> Option<&Ident> {
    let items = module.item.content.iter().flat_map(|(_, items)| items);
    let mut names = items.filter_map(|item| match item {
        Item::Fn(function) => Some(&function.sig.ident),
        Item::Const(item) => Some(&item.ident),
        Item::Static(item) => Some(&item.ident),
        Item::Use(item) => renamed(&item.tree),
        _ => None,
    });
    names.find(|ident| *ident == "workflow")
}

/// The new name in `use a::b as c`; a plain `use a::workflow` may well import the macro, which does not collide.
fn renamed(tree: &UseTree) -> Option<&Ident> {
    match tree {
        UseTree::Path(path) => renamed(&path.tree),
        UseTree::Rename(rename) => Some(&rename.rename),
        _ => None,
    }
}

/// Names and ids are ASCII words, so that they stand unquoted in paths, URLs, file names and columns.
fn name(what: &str, name: &Located<String>, mistakes: &mut Mistakes) {
    let text = name.value.as_str();
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_next = |c: char| is_first(c) || c.is_ascii_digit() || c == '-';
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > NAME_BYTES_MAX {
        format!("is {} bytes long; at most {NAME_BYTES_MAX} are allowed", text.len())
    } else if text.contains("::") {
        "contains `::`, which separates the names of tenant, package, workflow and task".to_owned()
    } else if let Some(wrong) = text.chars().find(|c| !is_next(*c)) {
        format!("contains {wrong:?}; it may hold ASCII letters, digits, `_` and `-`")
    } else if !text.starts_with(is_first) {
        "begins with a digit or `-`; it begins with an ASCII letter or `_`".to_owned()
    } else {
        return;
    };
    mistakes.push(&name.tokens, format!("the {what} {text:?} {problem}"));
}

fn retries(task: &Task, mistakes: &mut Mistakes) {
    let attributes = &task.attributes;
    if let (Some(once), Some(attempts)) = (&attributes.at_most_once, &attributes.retry_attempts)
        && once.value
        && attempts.value > 0
    {
        mistakes.push(&attempts.tokens, "`at_most_once = true` implies no retries; remove one of the two");
    }
    if !attributes.written.contains("retry_attempts") {
        let patterns = attributes
            .retry_condition
            .as_ref()
            .filter(|condition| !matches!(condition.value, Condition::Word("never")))
            .map(|condition| ("retry_condition", condition.tokens.clone()));
        let ineffective = [
            attributes.retry_backoff.as_ref().map(|located| ("retry_backoff", located.tokens.clone())),
            attributes.retry_delay_ms.as_ref().map(|located| ("retry_delay_ms", located.tokens.clone())),
            attributes.retry_max_delay_ms.as_ref().map(|located| ("retry_max_delay_ms", located.tokens.clone())),
            attributes.retry_jitter.as_ref().map(|located| ("retry_jitter", located.tokens.clone())),
            patterns,
        ];
        if let Some((name, tokens)) = ineffective.into_iter().flatten().next() {
            let message = format!("`{name}` has no effect without retries; add `retry_attempts`");
            mistakes.push(tokens, message);
        }
    }
    delays(attributes.retry_delay_ms.as_ref(), attributes.retry_max_delay_ms.as_ref(), mistakes);
}

fn delays(delay: Option<&Located<i64>>, longest: Option<&Located<i64>>, mistakes: &mut Mistakes) {
    match (delay, longest) {
        (Some(delay), Some(longest)) if delay.value > longest.value => {
            mistakes.push(&delay.tokens, "`retry_delay_ms` is above `retry_max_delay_ms`");
        }
        (Some(delay), None) if delay.value > RETRY_MAX_DELAY_MS => mistakes.push(
            &delay.tokens,
            "`retry_delay_ms` is above the default of `retry_max_delay_ms`, 60,000; set that one too",
        ),
        (None, Some(longest)) if longest.value < RETRY_DELAY_MS => mistakes.push(
            &longest.tokens,
            "`retry_max_delay_ms` is below the default of `retry_delay_ms`, 1,000; set that one too",
        ),
        _ => {}
    }
}

fn blocking(task: &Task, mistakes: &mut Mistakes) {
    if let Some(blocking) = &task.attributes.blocking
        && !blocking.value
        && task.signature.asyncness.is_none()
    {
        mistakes.push(
            &blocking.tokens,
            "a plain `fn` holds its thread until it returns, so it is always blocking; make it an `async fn`, or leave \
             `blocking` out",
        );
    }
}

/// Every callback is a function of the module with the right signature; a callback that several tasks name is checked once.
fn callbacks(module: &Module, mistakes: &mut Mistakes) {
    let mut checked = BTreeSet::new();
    for task in &module.tasks {
        let given = [("on_success", &task.attributes.on_success), ("on_failure", &task.attributes.on_failure)];
        for (attribute, ident) in given {
            let Some(ident) = ident else { continue };
            let Some(function) = module.functions.iter().find(|function| function.signature.ident == *ident) else {
                mistakes.push(ident, missing_callback(attribute, ident, module));
                continue;
            };
            if checked.insert(ident.to_string()) {
                signature::callback(&function.signature, mistakes);
                name("callback name", &Located::new(ident.unraw().to_string(), ident), mistakes);
                if let Some(condition) = &function.condition {
                    mistakes.push(
                        condition,
                        "a callback is always part of its workflow; put the #[cfg] on the whole module",
                    );
                }
            }
        }
    }
}

fn missing_callback(attribute: &str, ident: &Ident, module: &Module) -> String {
    if module.tasks.iter().any(|task| task.function() == ident) {
        return format!("`{ident}` is a task; `{attribute}` names a plain function: `fn(&Outcome, &Context<Value>)`");
    }
    let names: Vec<String> = module.functions.iter().map(|function| function.signature.ident.to_string()).collect();
    let hint = suggest::hint(&ident.to_string(), names.iter().map(String::as_str));
    format!("there is no function `{ident}` in this module for `{attribute}`{hint}")
}
