//! The grammar of `trigger_rules`.
//!
//! ```text
//! rule      = always | group | condition
//! group     = all(rule, …) | any(rule, …) | none(rule, …)
//! condition = task_success(task) | task_failed(task) | task_skipped(task) | task_upstream_failed(task)
//!           | context_value("key", operator, literal)
//! ```
//! Only the form is checked here; whether a named task exists and is a dependency is checked in `graph.rs`.

use proc_macro2::{Delimiter, Group, Ident, TokenTree};
use serde_json::Value;

use crate::{
    argument::{self, Argument, Scalar},
    attr::{self, Reference},
    mistakes::Mistakes,
    suggest,
};

/// How deep groups may nest: deeper than a person can read, and far below the recursion limit of every parser.
const DEPTH_MAX: usize = 16;

const GROUPS: &[&str] = &["all", "any", "none"];
const TASK_CONDITIONS: &[&str] = &["task_success", "task_failed", "task_skipped", "task_upstream_failed"];
const NAMES: &[&str] = &[
    "always",
    "all",
    "any",
    "none",
    "task_success",
    "task_failed",
    "task_skipped",
    "task_upstream_failed",
    "context_value",
];

/// Operators that compare order, for which only numbers and strings have one.
const ORDERING: &[&str] = &["greater_than", "greater_or_equal", "less_than", "less_or_equal"];

/// Operators that ask whether the key is there, and so take no literal.
const EXISTENCE: &[&str] = &["exists", "not_exists"];

const OPERATORS: &[&str] = &[
    "equals",
    "not_equals",
    "greater_than",
    "greater_or_equal",
    "less_than",
    "less_or_equal",
    "contains",
    "not_contains",
    "exists",
    "not_exists",
];

/// A trigger rule.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    Always,
    /// `all`, `any` or `none` over at least one rule.
    Group(&'static str, Vec<Rule>),
    /// `task_success`, `task_failed`, `task_skipped` or `task_upstream_failed`.
    Task(&'static str, Reference),
    Context {
        key: String,
        operator: &'static str,
        value: Option<Value>,
    },
}

impl Rule {
    /// Every task that the rule names.
    pub(crate) fn references(&self) -> Vec<&Reference> {
        match self {
            Rule::Always | Rule::Context { .. } => Vec::new(),
            Rule::Group(_, rules) => rules.iter().flat_map(Rule::references).collect(),
            Rule::Task(_, task) => vec![task],
        }
    }
}

pub(crate) fn read(argument: &Argument, mistakes: &mut Mistakes) -> Option<Rule> {
    let value = argument.value("a rule, such as `always` or `any(task_failed(\"extract\"))`", mistakes)?;
    rule(value, 0, mistakes)
}

fn rule(value: &[TokenTree], depth: usize, mistakes: &mut Mistakes) -> Option<Rule> {
    if depth > DEPTH_MAX {
        mistakes.push(argument::stream(value), format!("trigger rules nest at most {DEPTH_MAX} deep"));
        return None;
    }
    match value {
        [TokenTree::Ident(name)] if name == "always" => Some(Rule::Always),
        [TokenTree::Ident(name), TokenTree::Group(list)] if list.delimiter() == Delimiter::Parenthesis => {
            let word = name.to_string();
            if let Some(group) = GROUPS.iter().find(|group| **group == word) {
                return nested(group, list, depth, mistakes);
            }
            if let Some(condition) = TASK_CONDITIONS.iter().find(|condition| **condition == word) {
                return task(condition, name, list, mistakes);
            }
            match word.as_str() {
                "context_value" => context(list, mistakes),
                "always" => fail(value, "`always` takes no list", mistakes),
                _ => unknown(name, mistakes),
            }
        }
        [TokenTree::Ident(name)] if NAMES.contains(&name.to_string().as_str()) => {
            fail(value, &format!("`{name}` needs its list: `{name}(…)`"), mistakes)
        }
        [TokenTree::Ident(name)] => unknown(name, mistakes),
        _ => match argument::scalar(value) {
            Some(Scalar::Text(text)) if NAMES.iter().any(|name| text.starts_with(name)) => {
                fail(value, &format!("a trigger rule is written without quotes: `{text}`"), mistakes)
            }
            _ => fail(value, &format!("expected a trigger rule: {}", suggest::list(NAMES)), mistakes),
        },
    }
}

fn nested(group: &'static str, list: &Group, depth: usize, mistakes: &mut Mistakes) -> Option<Rule> {
    let parts = argument::split(list.stream());
    if parts.is_empty() {
        return fail(&[TokenTree::from(list.clone())], &format!("`{group}` needs at least one condition"), mistakes);
    }
    let rules: Vec<Option<Rule>> = parts.iter().map(|part| rule(part, depth + 1, mistakes)).collect();
    let rules: Option<Vec<Rule>> = rules.into_iter().collect();
    Some(Rule::Group(group, rules?))
}

fn task(condition: &'static str, name: &Ident, list: &Group, mistakes: &mut Mistakes) -> Option<Rule> {
    let parts = argument::split(list.stream());
    match parts.as_slice() {
        [part] if attr::reference(part).is_some() => Some(Rule::Task(condition, attr::reference(part)?)),
        _ => fail(
            &[TokenTree::from(name.clone()), TokenTree::from(list.clone())],
            &format!("`{condition}` takes one task: its function's name, or its id in quotes"),
            mistakes,
        ),
    }
}

fn context(list: &Group, mistakes: &mut Mistakes) -> Option<Rule> {
    let parts = argument::split(list.stream());
    let (key, operator, literal) = match parts.as_slice() {
        [key, operator] => (key, operator, None),
        [key, operator, literal] => (key, operator, Some(literal)),
        _ => {
            let whole = [TokenTree::from(list.clone())];
            return fail(&whole, "`context_value` is written as `context_value(\"key\", equals, 1)`", mistakes);
        }
    };
    let key = match argument::scalar(key) {
        Some(Scalar::Text(text)) if !text.is_empty() => Some(text),
        _ => fail(key, "the key is a string in quotes that is not empty", mistakes),
    };
    let operator = operator_named(operator, mistakes)?;
    let value = match (EXISTENCE.contains(&operator), literal) {
        (true, None) => None,
        (true, Some(literal)) => return fail(literal, &format!("`{operator}` takes no value"), mistakes),
        (false, None) => {
            return fail(parts.get(1)?, &format!("`{operator}` needs a value to compare with"), mistakes);
        }
        (false, Some(literal)) => Some(literal_value(operator, literal, mistakes)?),
    };
    Some(Rule::Context { key: key?, operator, value })
}

fn operator_named(value: &[TokenTree], mistakes: &mut Mistakes) -> Option<&'static str> {
    let (word, is_bare) = match argument::scalar(value) {
        Some(Scalar::Word(word)) => (word, true),
        Some(Scalar::Text(text)) => (text, false),
        _ => (String::new(), false),
    };
    match OPERATORS.iter().find(|operator| **operator == word) {
        Some(operator) if is_bare => Some(operator),
        Some(operator) => fail(value, &format!("an operator is written without quotes: `{operator}`"), mistakes),
        None => {
            let hint = suggest::hint(&word, OPERATORS.iter().copied());
            fail(value, &format!("the operators are {}{hint}", suggest::list(OPERATORS)), mistakes)
        }
    }
}

fn literal_value(operator: &str, literal: &[TokenTree], mistakes: &mut Mistakes) -> Option<Value> {
    let value = match argument::scalar(literal) {
        Some(Scalar::Text(text)) => Value::from(text),
        Some(Scalar::Float(number)) => Value::from(number),
        Some(Scalar::Bool(flag)) => Value::from(flag),
        Some(Scalar::Integer(number)) => {
            match i64::try_from(number).map(Value::from).or_else(|_| u64::try_from(number).map(Value::from)) {
                Ok(value) => value,
                Err(_) => return fail(literal, "the number does not fit into 64 bits", mistakes),
            }
        }
        _ => return fail(literal, "the value is a literal: a string, a number, `true` or `false`", mistakes),
    };
    if ORDERING.contains(&operator) && !value.is_number() && !value.is_string() {
        return fail(literal, &format!("`{operator}` compares numbers and strings"), mistakes);
    }
    Some(value)
}

fn unknown<T>(name: &Ident, mistakes: &mut Mistakes) -> Option<T> {
    let word = name.to_string();
    let hint = suggest::hint(&word, NAMES.iter().copied());
    mistakes.push(name, format!("there is no trigger rule `{word}`; there are {}{hint}", suggest::list(NAMES)));
    None
}

fn fail<T>(value: &[TokenTree], message: &str, mistakes: &mut Mistakes) -> Option<T> {
    mistakes.push(argument::stream(value), message);
    None
}
