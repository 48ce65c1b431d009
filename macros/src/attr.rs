//! The grammar of the two attributes: which names there are, what each takes, and in which range.
//!
//! `docs/reference/macros.md` is this file for readers. Reading collects mistakes and continues; `valid.rs` checks combinations of
//! attributes. Nothing has a default here: `None` is "not written", and the
//! place that gives an attribute its meaning gives it its default.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::Path;

use crate::{
    argument::{self, Argument, Given, Scalar},
    mistakes::{Located, Mistakes},
    rule::{self, Rule},
    suggest,
};

/// Every attribute of a task.
pub(crate) const TASK_NAMES: &[&str] = &[
    "id",
    "dependencies",
    "description",
    "retry_attempts",
    "retry_backoff",
    "retry_delay_ms",
    "retry_max_delay_ms",
    "retry_jitter",
    "retry_condition",
    "timeout_ms",
    "trigger_rules",
    "trigger_when",
    "on_success",
    "on_failure",
    "priority",
    "optional",
    "at_most_once",
    "blocking",
];

/// Every attribute of a workflow module; `package` only of a packaged one.
pub(crate) const WORKFLOW_NAMES: &[&str] =
    &["name", "package", "tenant", "version", "description", "author", "timeout_ms", "durability", "needs", "crate"];

/// The largest number of milliseconds: exact in every JSON reader, and still an `i64` when counted in microseconds.
pub(crate) const MILLISECONDS_MAX: i64 = 9_007_199_254_740_991;

/// The most retries that a task may ask for.
pub(crate) const RETRY_ATTEMPTS_MAX: i64 = 1_000;

/// The answer to a dependency with a path.
pub(crate) const OTHER_MODULE: &str = "a task depends on tasks of its own workflow, which are the functions of its own \
    module: name such a function without a path. Tasks that wait for each other belong in one module";

/// What a package may be granted.
const NEEDS_NAMES: &[&str] = &["net", "read", "write", "env"];

/// A task as another task's attribute names it.
#[derive(Clone, Debug)]
pub(crate) enum Reference {
    Function(Ident),
    Id(Located<String>),
}

/// When a failed attempt may be followed by another.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Word(&'static str),
    Patterns(Vec<String>),
}

/// What a package wants of one kind: nothing, anything, or only these.
#[derive(Clone, Debug, Default)]
pub(crate) enum Need {
    #[default]
    Nothing,
    Anything,
    Only(Vec<String>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    pub(crate) net: Need,
    pub(crate) read: Need,
    pub(crate) write: Need,
    pub(crate) env: Need,
}

/// `#[packaged_workflow(…)]` or `#[workflow(…)]` as written.
#[derive(Default)]
pub(crate) struct WorkflowAttributes {
    /// Every name that was written, also where its value is wrong, so that it does not count as missing.
    pub(crate) written: BTreeSet<String>,
    pub(crate) name: Option<Located<String>>,
    pub(crate) package: Option<Located<String>>,
    pub(crate) tenant: Option<Located<String>>,
    pub(crate) version: Option<Located<String>>,
    pub(crate) description: Option<Located<String>>,
    pub(crate) author: Option<Located<String>>,
    pub(crate) timeout_ms: Option<Located<i64>>,
    pub(crate) durability: Option<Located<&'static str>>,
    pub(crate) needs: Option<Needs>,
    pub(crate) krate: Option<Path>,
}

/// `#[task(…)]` as written.
#[derive(Default)]
pub(crate) struct TaskAttributes {
    /// As in `WorkflowAttributes`.
    pub(crate) written: BTreeSet<String>,
    /// The strings of arguments that could not be read: one of them may have been meant as the id, so that a reference
    /// to it is not a second mistake.
    pub(crate) claimed: Vec<String>,
    pub(crate) id: Option<Located<String>>,
    pub(crate) description: Option<Located<String>>,
    pub(crate) dependencies: Vec<Reference>,
    pub(crate) retry_attempts: Option<Located<i64>>,
    pub(crate) retry_backoff: Option<Located<&'static str>>,
    pub(crate) retry_delay_ms: Option<Located<i64>>,
    pub(crate) retry_max_delay_ms: Option<Located<i64>>,
    pub(crate) retry_jitter: Option<Located<bool>>,
    pub(crate) retry_condition: Option<Located<Condition>>,
    pub(crate) timeout_ms: Option<Located<i64>>,
    pub(crate) trigger_rules: Option<Rule>,
    pub(crate) trigger_when: Option<Located<&'static str>>,
    pub(crate) on_success: Option<Ident>,
    pub(crate) on_failure: Option<Ident>,
    pub(crate) priority: Option<Located<i64>>,
    pub(crate) optional: Option<Located<bool>>,
    pub(crate) at_most_once: Option<Located<bool>>,
    pub(crate) blocking: Option<Located<bool>>,
}

impl WorkflowAttributes {
    pub(crate) fn read(tokens: TokenStream, mistakes: &mut Mistakes) -> Self {
        let mut attributes = Self::default();
        for argument in argument::arguments(tokens, "name = \"data_processing\"", mistakes, &mut |_| {}) {
            let name = argument.name.to_string();
            if !attributes.written.insert(name.clone()) {
                mistakes.push(&argument.name, format!("`{name}` is given twice"));
                continue;
            }
            attributes.read_one(&name, &argument, mistakes);
        }
        attributes
    }

    fn read_one(&mut self, name: &str, argument: &Argument, mistakes: &mut Mistakes) {
        match name {
            "name" => self.name = argument.text(mistakes),
            "package" => self.package = argument.text(mistakes),
            "tenant" => self.tenant = argument.text(mistakes),
            "version" => self.version = argument.text(mistakes),
            "description" => self.description = argument.text(mistakes),
            "author" => self.author = argument.text(mistakes),
            "timeout_ms" => self.timeout_ms = milliseconds(argument, 1, mistakes),
            "durability" => self.durability = argument.one_of(&["strict", "pipelined"], mistakes),
            "needs" => self.needs = needs(argument, mistakes),
            "crate" => self.krate = path(argument, mistakes),
            _ => unknown(&argument.name, WORKFLOW_NAMES, TASK_NAMES, "belongs in the #[task] of a function", mistakes),
        }
    }
}

impl TaskAttributes {
    pub(crate) fn read(tokens: TokenStream, mistakes: &mut Mistakes) -> Self {
        let mut attributes = Self::default();
        let mut claimed = Vec::new();
        let mut rest = |segment: &[TokenTree]| argument::strings(segment, &mut claimed);
        for argument in argument::arguments(tokens, "dependencies = [\"extract\"]", mistakes, &mut rest) {
            let name = argument.name.to_string();
            if !attributes.written.insert(name.clone()) {
                mistakes.push(&argument.name, format!("`{name}` is given twice"));
                continue;
            }
            let is_known = attributes.read_one(&name, &argument, mistakes);
            let is_read = is_known && (name != "id" || attributes.id.is_some());
            if let (false, Given::Equals(value)) = (is_read, &argument.given) {
                argument::strings(value, &mut attributes.claimed);
            }
        }
        attributes.claimed.append(&mut claimed);
        attributes
    }

    /// Reads one argument; whether there is one of that name.
    fn read_one(&mut self, name: &str, argument: &Argument, mistakes: &mut Mistakes) -> bool {
        match name {
            "id" => self.id = argument.text(mistakes),
            "dependencies" => self.dependencies = dependencies(argument, mistakes),
            "description" => self.description = argument.text(mistakes),
            "retry_attempts" => self.retry_attempts = argument.integer(0..=RETRY_ATTEMPTS_MAX, "", mistakes),
            "retry_backoff" => {
                self.retry_backoff = argument.one_of(&["fixed", "linear", "exponential"], mistakes);
            }
            "retry_delay_ms" => self.retry_delay_ms = milliseconds(argument, 0, mistakes),
            "retry_max_delay_ms" => self.retry_max_delay_ms = milliseconds(argument, 0, mistakes),
            "retry_jitter" => self.retry_jitter = argument.boolean(mistakes),
            "retry_condition" => self.retry_condition = condition(argument, mistakes),
            "timeout_ms" => self.timeout_ms = milliseconds(argument, 1, mistakes),
            "trigger_rules" => self.trigger_rules = rule::read(argument, mistakes),
            "trigger_when" => self.trigger_when = argument.one_of(&["terminal", "decided"], mistakes),
            "on_success" => self.on_success = argument.function(mistakes),
            "on_failure" => self.on_failure = argument.function(mistakes),
            "priority" => self.priority = argument.integer(-100..=100, "", mistakes),
            "optional" => self.optional = argument.boolean(mistakes),
            "at_most_once" => self.at_most_once = argument.boolean(mistakes),
            "blocking" => self.blocking = argument.boolean(mistakes),
            _ => {
                let elsewhere = "belongs in the #[packaged_workflow] or #[workflow] of the module";
                unknown(&argument.name, TASK_NAMES, WORKFLOW_NAMES, elsewhere, mistakes);
                return false;
            }
        }
        true
    }
}

/// A reference to a task: the name of its function, or its id in quotes.
pub(crate) fn reference(value: &[TokenTree]) -> Option<Reference> {
    match argument::scalar(value)? {
        Scalar::Text(id) => Some(Reference::Id(Located::new(id, argument::stream(value)))),
        Scalar::Word(_) => match value {
            [TokenTree::Ident(ident)] => Some(Reference::Function(ident.clone())),
            _ => None,
        },
        Scalar::Integer(_) | Scalar::Float(_) | Scalar::Bool(_) => None,
    }
}

fn unknown(name: &Ident, names: &[&str], others: &[&str], elsewhere: &str, mistakes: &mut Mistakes) {
    let word = name.to_string();
    if others.contains(&word.as_str()) {
        mistakes.push(name, format!("`{word}` {elsewhere}"));
        return;
    }
    let hint = suggest::hint(&word, names.iter().copied());
    let message = if hint.is_empty() {
        format!("there is no attribute `{word}`; there are {}", suggest::list(names))
    } else {
        format!("there is no attribute `{word}`{hint}")
    };
    mistakes.push(name, message);
}

fn milliseconds(argument: &Argument, least: i64, mistakes: &mut Mistakes) -> Option<Located<i64>> {
    argument.integer(least..=MILLISECONDS_MAX, " of milliseconds", mistakes)
}

fn dependencies(argument: &Argument, mistakes: &mut Mistakes) -> Vec<Reference> {
    let mut found: Vec<Reference> = Vec::new();
    for item in argument.items("extract, \"load\"", mistakes).unwrap_or_default() {
        match reference(&item) {
            Some(task) => found.push(task),
            None if item.iter().any(|tree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ':')) => {
                mistakes.push(argument::stream(&item), OTHER_MODULE);
            }
            None => mistakes.push(
                argument::stream(&item),
                "a dependency is the name of a task function of this module, or a task's id in quotes",
            ),
        }
    }
    found
}

fn condition(argument: &Argument, mistakes: &mut Mistakes) -> Option<Located<Condition>> {
    const WORDS: &[&str] = &["never", "all", "transient"];
    let value = argument.value("`\"never\"`, `\"all\"`, `\"transient\"` or a list of patterns", mistakes)?;
    let located = |condition| Some(Located::new(condition, argument::stream(value)));
    if let [TokenTree::Group(_)] = value {
        let items = argument.items("\"timeout\"", mistakes)?;
        if items.is_empty() {
            mistakes.push(
                argument::stream(value),
                "a list of patterns needs at least one pattern; `\"never\"` switches retries off",
            );
        }
        let count = items.len();
        let patterns = texts(items, "a pattern", mistakes);
        return if patterns.len() == count { located(Condition::Patterns(patterns)) } else { None };
    }
    let Some(Scalar::Text(text)) = argument::scalar(value) else {
        mistakes.push(
            argument::stream(value),
            "`retry_condition` takes `\"never\"`, `\"all\"`, `\"transient\"` or a list of patterns, such as `[\"timeout\"]`",
        );
        return None;
    };
    if let Some(word) = WORDS.iter().find(|word| **word == text) {
        return located(Condition::Word(word));
    }
    let hint = match suggest::near(&text, WORDS.iter().copied()) {
        Some(word) => format!("did you mean `\"{word}\"`?"),
        None => format!("a pattern stands in a list: `retry_condition = [{text:?}]`"),
    };
    mistakes.push(argument::stream(value), format!("`retry_condition` has no value `{text:?}`; {hint}"));
    None
}

fn needs(argument: &Argument, mistakes: &mut Mistakes) -> Option<Needs> {
    const FORM: &str = "needs(net, read(\"/etc/ssl\"), write(\"/tmp\"), env(\"HOME\"))";
    let Given::List(group) = &argument.given else {
        mistakes.push(&argument.name, format!("`needs` is written as `{FORM}`"));
        return None;
    };
    let mut needs = Needs::default();
    let mut written = BTreeSet::new();
    for part in argument::split(group.stream()) {
        let (name, need) = match part.as_slice() {
            [TokenTree::Ident(name)] => (name, Some(Need::Anything)),
            [TokenTree::Ident(name), TokenTree::Group(list)] => (name, only(name, list, mistakes)),
            _ => {
                mistakes.push(argument::stream(&part), format!("expected a part of `{FORM}`"));
                continue;
            }
        };
        let word = name.to_string();
        let need = need.unwrap_or_default();
        match word.as_str() {
            "net" => needs.net = need,
            "read" => needs.read = need,
            "write" => needs.write = need,
            "env" => needs.env = need,
            _ => {
                let hint = suggest::hint(&word, NEEDS_NAMES.iter().copied());
                mistakes.push(name, format!("`needs` knows {}{hint}", suggest::list(NEEDS_NAMES)));
                continue;
            }
        }
        if !written.insert(word.clone()) {
            mistakes.push(name, format!("`{word}` is given twice"));
        }
    }
    Some(needs)
}

/// The strings of `read("/a", "/b")`; an empty list would need nothing but look like a need.
fn only(name: &Ident, list: &proc_macro2::Group, mistakes: &mut Mistakes) -> Option<Need> {
    let items = argument::split(list.stream());
    if items.is_empty() {
        mistakes.push(
            TokenTree::from(list.clone()),
            format!("`{name}` needs at least one value in its list; without a list it allows everything"),
        );
        return None;
    }
    let is_path = name == "read" || name == "write";
    for item in &items {
        if let Some(Scalar::Text(path)) = argument::scalar(item)
            && is_path
            && !path.is_empty()
            && !path.starts_with('/')
        {
            mistakes.push(argument::stream(item), format!("a path in `{name}` is absolute: it begins with `/`"));
        }
    }
    Some(Need::Only(texts(items, "a value", mistakes)))
}

/// The strings of a list, each of which says something and says it once.
fn texts(items: Vec<Vec<TokenTree>>, what: &str, mistakes: &mut Mistakes) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for item in items {
        match argument::scalar(&item) {
            Some(Scalar::Text(text)) if text.is_empty() => {
                mistakes.push(argument::stream(&item), format!("{what} may not be empty"));
            }
            Some(Scalar::Text(text)) if found.contains(&text) => {
                mistakes.push(argument::stream(&item), format!("{what} is listed twice"));
            }
            Some(Scalar::Text(text)) => found.push(text),
            _ => mistakes.push(argument::stream(&item), format!("{what} is a string in quotes")),
        }
    }
    found
}

fn path(argument: &Argument, mistakes: &mut Mistakes) -> Option<Path> {
    let value = argument.value("the path of the crate, such as `crate = cloacina_workflow`", mistakes)?;
    match syn::parse::Parser::parse2(Path::parse_mod_style, argument::stream(value)) {
        Ok(path) => Some(path),
        Err(_) => {
            mistakes.push(
                argument::stream(value),
                "`crate` takes the path of the crate, without quotes: `crate = cloacina_workflow`",
            );
            None
        }
    }
}
