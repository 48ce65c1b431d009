//! Trigger rules: whether a task runs, asked once all its dependencies are terminal.
//!
//! A rule sees how upstream tasks ended and the context that the task would see. It reads the values that it
//! compares, which is the one place of the core that looks into a value.

use std::{cmp::Ordering, fmt};

use cloacina_workflow::descriptor::Operator;
use serde_json::{Number, Value as Json};

use super::{context::Key, task, view::View};

/// When a task runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Rule {
    /// When all dependencies completed.
    #[default]
    AllCompleted,
    /// When the condition holds, whatever happened upstream.
    When(Condition),
}

/// A condition over the ends of upstream tasks and over values of the context.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Always,
    All(Vec<Condition>),
    Any(Vec<Condition>),
    None(Vec<Condition>),
    /// That task ended in that state.
    Ended {
        task: u32,
        state: task::State,
    },
    /// A value compares so.
    Value {
        key: Key,
        op: Operator,
        value: Option<Json>,
    },
}

/// How the dependencies of a task ended, counted as they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// How many are not terminal yet.
    pub(crate) open: u32,
    /// The first, in the order of events, that did not complete.
    pub(crate) unsuccessful: Option<u32>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not yet: a dependency is open.
    Wait,
    Run,
    Skip(SkipReason),
}

/// Why a task does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// That dependency failed or was itself skipped.
    UpstreamFailed { dependency: u32 },
    /// The task's trigger rule did not hold.
    RuleNotMet,
}

/// What a condition may look at.
pub(crate) struct Facts<'a> {
    pub(crate) state: &'a dyn Fn(u32) -> task::State,
    /// What the task would see.
    pub(crate) view: Option<&'a View>,
}

impl SkipReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UpstreamFailed { .. } => "upstream_failed",
            Self::RuleNotMet => "rule_not_met",
        }
    }
}

impl Rule {
    /// Whether the context must be there to judge.
    pub(crate) fn needs_context(&self) -> bool {
        match self {
            Self::AllCompleted => false,
            Self::When(condition) => condition.needs_context(),
        }
    }

    pub(crate) fn judge(&self, upstream: Upstream, facts: &Facts<'_>) -> Verdict {
        match self {
            _ if upstream.open > 0 => Verdict::Wait,
            Self::AllCompleted => match upstream.unsuccessful {
                None => Verdict::Run,
                Some(dependency) => Verdict::Skip(SkipReason::UpstreamFailed { dependency }),
            },
            Self::When(condition) if condition.holds(facts) => Verdict::Run,
            Self::When(_) => Verdict::Skip(SkipReason::RuleNotMet),
        }
    }
}

impl Condition {
    fn needs_context(&self) -> bool {
        match self {
            Self::Always | Self::Ended { .. } => false,
            Self::All(parts) | Self::Any(parts) | Self::None(parts) => parts.iter().any(Self::needs_context),
            Self::Value { .. } => true,
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::None(parts) => !parts.iter().any(|part| part.holds(facts)),
            Self::Ended { task, state } => (facts.state)(*task) == *state,
            Self::Value { key, op, value } => {
                let found = facts.view.and_then(|view| view.get(key)).and_then(|write| write.value());
                // Whatever came into a context was valid JSON; damage would count as absent.
                let found = found.and_then(|raw| serde_json::from_str::<Json>(raw.get()).ok());
                compare(found.as_ref(), *op, value.as_ref())
            }
        }
    }

    /// The tasks and keys that the condition looks at.
    pub(crate) fn inputs<'a>(&'a self, tasks: &mut Vec<u32>, keys: &mut Vec<&'a Key>) {
        match self {
            Self::Always => {}
            Self::All(parts) | Self::Any(parts) | Self::None(parts) => {
                parts.iter().for_each(|part| part.inputs(tasks, keys));
            }
            Self::Ended { task, .. } => tasks.push(*task),
            Self::Value { key, .. } => keys.push(key),
        }
    }

    /// The condition as it is written in the source.
    pub(crate) fn text<'a>(&'a self, name: &'a dyn Fn(u32) -> &'a str) -> impl fmt::Display + 'a {
        Text { condition: self, name }
    }
}

/// Whether the value compares so. Where the two cannot be compared, or there is no value, the positive operators do
/// not hold and the negative ones do.
fn compare(found: Option<&Json>, op: Operator, wanted: Option<&Json>) -> bool {
    let both = found.zip(wanted);
    let equal = || both.is_some_and(|(found, wanted)| equal(found, wanted));
    let ordered = |wanted: fn(Ordering) -> bool| both.and_then(|(one, other)| order(one, other)).is_some_and(wanted);
    let contains = || both.is_some_and(|(found, wanted)| contains(found, wanted));
    match op {
        Operator::Equals => equal(),
        Operator::NotEquals => !equal(),
        Operator::GreaterThan => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::LessThan => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Contains => contains(),
        Operator::NotContains => !contains(),
        Operator::Exists => found.is_some(),
        Operator::NotExists => found.is_none(),
    }
}

/// Whether two values are the same, numbers by what they are worth: `1` is `1.0`, also within lists and objects.
fn equal(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => order_numbers(one, other) == Some(Ordering::Equal),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            let has = |(key, value): (&String, &Json)| other.get(key).is_some_and(|other| equal(value, other));
            one.len() == other.len() && one.iter().all(has)
        }
        _ => one == other,
    }
}

/// Numbers by value, exactly; texts by their letters.
fn order(one: &Json, other: &Json) -> Option<Ordering> {
    match (one, other) {
        (Json::String(one), Json::String(other)) => Some(one.cmp(other)),
        (Json::Number(one), Json::Number(other)) => order_numbers(one, other),
        _ => None,
    }
}

/// Which of two numbers is larger. No number is rounded for that: not every whole number of 64 bits is a float.
fn order_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(one), None) => order_mixed(one, other.as_f64()?),
        (None, Some(other)) => order_mixed(other, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// Whether a whole number of 64 bits is less than a float.
fn order_mixed(whole: i128, float: f64) -> Option<Ordering> {
    /// 2 to the power of 64, beyond all of them, and a float.
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    match float {
        _ if float.is_nan() => None,
        _ if float >= BEYOND => Some(Ordering::Less),
        _ if float <= -BEYOND => Some(Ordering::Greater),
        _ => {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 64 bits and a sign")]
            let below = float.floor() as i128;
            let rest = if float.fract() == 0.0 { Ordering::Equal } else { Ordering::Less };
            Some(whole.cmp(&below).then(rest))
        }
    }
}

fn contains(found: &Json, wanted: &Json) -> bool {
    match (found, wanted) {
        (Json::Array(items), wanted) => items.iter().any(|item| equal(item, wanted)),
        (Json::Object(members), Json::String(key)) => members.contains_key(key),
        (Json::String(text), Json::String(part)) => text.contains(part.as_str()),
        _ => false,
    }
}

struct Text<'a> {
    condition: &'a Condition,
    name: &'a dyn Fn(u32) -> &'a str,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, parts) = match self.condition {
            Condition::Always => return formatter.write_str("always"),
            Condition::All(parts) => ("all", parts),
            Condition::Any(parts) => ("any", parts),
            Condition::None(parts) => ("none", parts),
            Condition::Ended { task, state } => {
                let word = match state {
                    task::State::Completed => "task_success",
                    task::State::Skipped => "task_skipped",
                    _ => "task_failed",
                };
                return write!(formatter, "{word}({:?})", (self.name)(*task));
            }
            Condition::Value { key, op, value } => {
                let op = serde_json::to_value(op).unwrap_or_default();
                write!(formatter, "context_value({key:?}, {}", op.as_str().unwrap_or_default())?;
                return match value {
                    Some(value) => write!(formatter, ", {value})"),
                    None => formatter.write_str(")"),
                };
            }
        };
        write!(formatter, "{word}(")?;
        for (place, condition) in parts.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(formatter, "{separator}{}", Text { condition, name: self.name })?;
        }
        formatter.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(task: u32) -> task::State {
        [task::State::Completed, task::State::Failed, task::State::Skipped][task as usize]
    }

    #[test]
    fn the_default_rule_waits_for_all_and_skips_after_a_failure() {
        let facts = Facts { state: &state, view: None };
        let verdict = |open, unsuccessful| Rule::AllCompleted.judge(Upstream { open, unsuccessful }, &facts);
        assert_eq!(verdict(0, None), Verdict::Run);
        assert_eq!(verdict(1, None), Verdict::Wait);
        assert_eq!(verdict(1, Some(3)), Verdict::Wait);
        assert_eq!(verdict(0, Some(3)), Verdict::Skip(SkipReason::UpstreamFailed { dependency: 3 }));
    }

    #[test]
    fn conditions_combine_the_ends_of_tasks() {
        use Condition::{All, Always, Any, Ended, None};
        let facts = Facts { state: &state, view: Option::None };
        let ended = |task, state| Ended { task, state };
        let (succeeded, failed) = (task::State::Completed, task::State::Failed);
        for (condition, expected, text) in [
            (Always, true, "always"),
            (ended(0, succeeded), true, "task_success(\"t0\")"),
            (ended(1, succeeded), false, "task_success(\"t1\")"),
            (ended(1, failed), true, "task_failed(\"t1\")"),
            (ended(2, task::State::Skipped), true, "task_skipped(\"t2\")"),
            (All(vec![ended(0, succeeded), ended(1, failed)]), true, "all(task_success(\"t0\"), task_failed(\"t1\"))"),
            (
                All(vec![ended(0, succeeded), ended(1, succeeded)]),
                false,
                "all(task_success(\"t0\"), task_success(\"t1\"))",
            ),
            (Any(vec![ended(0, failed), ended(1, failed)]), true, "any(task_failed(\"t0\"), task_failed(\"t1\"))"),
            (Any(vec![ended(0, failed)]), false, "any(task_failed(\"t0\"))"),
            (None(vec![ended(0, failed)]), true, "none(task_failed(\"t0\"))"),
            (None(vec![ended(0, failed), ended(1, failed)]), false, "none(task_failed(\"t0\"), task_failed(\"t1\"))"),
        ] {
            assert_eq!(condition.text(&|task| ["t0", "t1", "t2"][task as usize]).to_string(), text);
            let verdict = Rule::When(condition).judge(Upstream { open: 0, unsuccessful: Some(1) }, &facts);
            let skip = Verdict::Skip(SkipReason::RuleNotMet);
            assert_eq!(verdict, if expected { Verdict::Run } else { skip }, "{text}");
        }
    }

    #[test]
    fn values_compare_by_every_operator() {
        use Operator::*;
        let cases = [
            (json!(1), Equals, json!(1.0), true),
            (json!(1), Equals, json!("1"), false),
            (json!({"a": [1]}), Equals, json!({"a": [1]}), true),
            (json!(1), NotEquals, json!(2), true),
            (json!(u64::MAX), GreaterThan, json!(u64::MAX - 1), true),
            (json!(-1), GreaterThan, json!(0.5), false),
            (json!("b"), GreaterThan, json!("a"), true),
            (json!("b"), GreaterThan, json!(1), false),
            (json!(2), GreaterOrEqual, json!(2), true),
            (json!(1.5), LessThan, json!(2), true),
            (json!(2), LessOrEqual, json!(2.0), true),
            (json!(3), LessOrEqual, json!(2), false),
            (json!([1, "x"]), Contains, json!("x"), true),
            (json!({"k": 1}), Contains, json!("k"), true),
            (json!("needle in hay"), Contains, json!("needle"), true),
            (json!(5), Contains, json!(5), false),
            (json!([1]), NotContains, json!(2), true),
            (json!(9_007_199_254_740_992.0), Equals, json!(9_007_199_254_740_993_u64), false),
            (json!(9_007_199_254_740_993_u64), Equals, json!(9_007_199_254_740_992.0), false),
            (json!(9_007_199_254_740_992.0), NotEquals, json!(9_007_199_254_740_993_u64), true),
            (json!(9_007_199_254_740_992.0), LessThan, json!(9_007_199_254_740_993_u64), true),
            (json!(9_007_199_254_740_993_u64), GreaterThan, json!(9_007_199_254_740_992.0), true),
            (json!(9_007_199_254_740_993_u64), LessOrEqual, json!(9_007_199_254_740_992.0), false),
            (json!(9_007_199_254_740_992.0), Equals, json!(9_007_199_254_740_992_u64), true),
            (json!(u64::MAX), LessThan, json!(18_446_744_073_709_551_616.0), true),
            (json!(u64::MAX), Equals, json!(18_446_744_073_709_551_616.0), false),
            (json!(i64::MIN), Equals, json!(-9_223_372_036_854_775_808.0), true),
            (json!(i64::MIN), GreaterThan, json!(-1e300), true),
            (json!(-2), LessThan, json!(-1.5), true),
            (json!(-1), GreaterThan, json!(-1.5), true),
            (json!(1), LessThan, json!(1.5), true),
            (json!(2), GreaterThan, json!(1.5), true),
            (json!(0), Equals, json!(-0.0), true),
            (json!([1.0]), Contains, json!(1), true),
            (json!([1]), Contains, json!(1.0), true),
            (json!([9_007_199_254_740_992.0]), Contains, json!(9_007_199_254_740_993_u64), false),
            (json!([1.0]), NotContains, json!(1), false),
            (json!([[1.0]]), Contains, json!([1]), true),
            (json!({"a": [1.0, {"b": 2}]}), Equals, json!({"a": [1, {"b": 2.0}]}), true),
            (json!({"a": 1, "b": 1}), Equals, json!({"a": 1.0}), false),
            (json!({"a": 1}), NotEquals, json!({"b": 1.0}), true),
        ];
        for (found, op, wanted, expected) in cases {
            assert_eq!(compare(Some(&found), op, Some(&wanted)), expected, "{found} {op:?} {wanted}");
        }
        assert!(compare(Some(&Json::Null), Exists, None) && !compare(Some(&Json::Null), NotExists, None));
        for (op, expected) in [
            (Equals, false),
            (NotEquals, true),
            (GreaterThan, false),
            (GreaterOrEqual, false),
            (LessThan, false),
            (LessOrEqual, false),
            (Contains, false),
            (NotContains, true),
            (Exists, false),
            (NotExists, true),
        ] {
            assert_eq!(compare(None, op, Some(&json!(1))), expected, "nothing {op:?}");
        }
    }
}
