//! Trigger rules: whether a task runs, asked once all its dependencies are terminal, or whenever one has become so.
//!
//! A rule that is asked early has three answers: it holds, it does not, or what is still open decides that.
//!
//! A rule sees how upstream tasks ended and the context that the task would see. It reads the values that it
//! compares, which is the one place of the core that decodes a value.

use std::{cmp::Ordering, fmt};

use cloacina_workflow::descriptor::Operator;
use serde_json::{Number, Value as Json};

use super::{context::Key, node::NodeId, task, view::View};

/// When a task runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Rule {
    /// When all dependencies completed.
    #[default]
    AllCompleted,
    /// When the condition holds, whatever happened upstream.
    When(Condition),
}

/// When a rule is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum When {
    /// Once all dependencies are terminal.
    #[default]
    Terminal,
    /// As soon as nothing that is open can change its answer.
    Decided,
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
        task: NodeId,
        state: task::State,
    },
    /// That task failed, or was skipped because of a failure before it.
    UpstreamFailed {
        task: NodeId,
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
    pub(crate) unsuccessful: Option<NodeId>,
    /// The first of these that failed or was skipped because of a failure.
    pub(crate) failed: Option<NodeId>,
}

/// How a task stands, as far as rules go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may still end in any way.
    Open,
    Completed,
    Failed,
    Skipped {
        /// Whether a failure before it is why.
        after_failure: bool,
    },
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
    /// That dependency failed or was skipped for this very reason. Without failures the task might have run.
    UpstreamFailed { dependency: NodeId },
    /// That dependency was skipped, and no failure is why.
    UpstreamSkipped { dependency: NodeId },
    /// The task's trigger rule did not hold, and would not have held without failures either.
    RuleNotMet,
}

/// The facts that a condition may use.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    standing: &'a dyn Fn(NodeId) -> Standing,
    /// What the task would see; none while that is not known.
    view: Option<&'a View>,
    /// Whether to take all that failed, or was skipped because of a failure, as completed.
    without_failures: bool,
}

impl Upstream {
    /// Counts a dependency that has ended.
    pub(super) fn note(&mut self, task: NodeId, standing: Standing) {
        self.open -= 1;
        if standing != Standing::Completed {
            self.unsuccessful.get_or_insert(task);
        }
        if standing.is_after_failure() {
            self.failed.get_or_insert(task);
        }
    }
}

impl Standing {
    /// What `task_upstream_failed` asks for.
    pub(crate) fn is_after_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Skipped { after_failure: true })
    }

    fn is(self, state: task::State) -> bool {
        match self {
            Self::Open => false,
            Self::Completed => state == task::State::Completed,
            Self::Failed => state == task::State::Failed,
            Self::Skipped { .. } => state == task::State::Skipped,
        }
    }
}

impl<'a> Facts<'a> {
    pub(crate) fn new(standing: &'a dyn Fn(NodeId) -> Standing, view: Option<&'a View>) -> Self {
        Self { standing, view, without_failures: false }
    }

    fn standing(&self, task: NodeId) -> Standing {
        match (self.standing)(task) {
            standing if self.without_failures && standing.is_after_failure() => Standing::Completed,
            standing => standing,
        }
    }
}

impl SkipReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UpstreamFailed { .. } => "upstream_failed",
            Self::UpstreamSkipped { .. } => "upstream_skipped",
            Self::RuleNotMet => "rule_not_met",
        }
    }
}

impl Rule {
    /// Whether the evaluation needs the context.
    pub(crate) fn needs_context(&self) -> bool {
        match self {
            Self::AllCompleted => false,
            Self::When(condition) => condition.needs_context(),
        }
    }

    pub(crate) fn evaluate(&self, when: When, upstream: Upstream, facts: &Facts<'_>) -> Verdict {
        if upstream.open > 0 && when == When::Terminal {
            return Verdict::Wait;
        }
        match self {
            Self::AllCompleted => match (upstream.failed, upstream.unsuccessful) {
                (Some(dependency), _) => Verdict::Skip(SkipReason::UpstreamFailed { dependency }),
                (None, Some(dependency)) => Verdict::Skip(SkipReason::UpstreamSkipped { dependency }),
                (None, None) if upstream.open > 0 => Verdict::Wait,
                (None, None) => Verdict::Run,
            },
            Self::When(condition) => match condition.truth(facts) {
                None => Verdict::Wait,
                Some(true) => Verdict::Run,
                Some(false) => Verdict::Skip(condition.reason(upstream, facts)),
            },
        }
    }
}

impl Condition {
    fn needs_context(&self) -> bool {
        match self {
            Self::Always | Self::Ended { .. } | Self::UpstreamFailed { .. } => false,
            Self::All(parts) | Self::Any(parts) | Self::None(parts) => parts.iter().any(Self::needs_context),
            Self::Value { .. } => true,
        }
    }

    /// Whether the condition holds; nothing as long as what is still open can decide that.
    fn truth(&self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::Always => Some(true),
            Self::All(parts) => Self::is_among(parts, false, facts).map(|found| !found),
            Self::Any(parts) => Self::is_among(parts, true, facts),
            Self::None(parts) => Self::is_among(parts, true, facts).map(|found| !found),
            Self::Ended { task, state } => match facts.standing(*task) {
                Standing::Open => None,
                standing => Some(standing.is(*state)),
            },
            Self::UpstreamFailed { task } => match facts.standing(*task) {
                Standing::Open => None,
                standing => Some(standing.is_after_failure()),
            },
            Self::Value { key, op, value } => {
                let found = facts.view?.get(key).and_then(|write| write.value());
                // Whatever came into a context was valid JSON; damage would count as absent.
                let found = found.and_then(|raw| serde_json::from_str::<Json>(raw.get()).ok());
                // What failed could have written it.
                let is_known = found.is_some() || !facts.without_failures;
                is_known.then(|| compare(found.as_ref(), *op, value.as_ref()))
            }
        }
    }

    /// Whether one of the conditions is as `wanted`; nothing as long as that is open.
    fn is_among(parts: &[Self], wanted: bool, facts: &Facts<'_>) -> Option<bool> {
        let mut is_open = false;
        for part in parts {
            match part.truth(facts) {
                Some(truth) if truth == wanted => return Some(true),
                Some(_) => {}
                None => is_open = true,
            }
        }
        if is_open { None } else { Some(false) }
    }

    /// Why a task with a false condition does not run: because of a failure, if the condition might have been true without any.
    fn reason(&self, upstream: Upstream, facts: &Facts<'_>) -> SkipReason {
        let (mut tasks, mut keys) = (Vec::new(), Vec::new());
        self.inputs(&mut tasks, &mut keys);
        let named = || tasks.into_iter().find(|task| facts.standing(*task).is_after_failure());
        match upstream.failed.or_else(named) {
            Some(dependency) if self.truth(&Facts { without_failures: true, ..*facts }) != Some(false) => {
                SkipReason::UpstreamFailed { dependency }
            }
            Some(_) | None => SkipReason::RuleNotMet,
        }
    }

    /// The tasks and keys that the condition names.
    pub(crate) fn inputs<'a>(&'a self, tasks: &mut Vec<NodeId>, keys: &mut Vec<&'a Key>) {
        match self {
            Self::Always => {}
            Self::All(parts) | Self::Any(parts) | Self::None(parts) => {
                parts.iter().for_each(|part| part.inputs(tasks, keys));
            }
            Self::Ended { task, .. } | Self::UpstreamFailed { task } => tasks.push(*task),
            Self::Value { key, .. } => keys.push(key),
        }
    }

    /// The condition as it is written in the source.
    pub(crate) fn text<'a>(&'a self, name: &'a dyn Fn(NodeId) -> &'a str) -> impl fmt::Display + 'a {
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
    name: &'a dyn Fn(NodeId) -> &'a str,
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
            Condition::UpstreamFailed { task } => {
                return write!(formatter, "task_upstream_failed({:?})", (self.name)(*task));
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

    const SKIPPED: Standing = Standing::Skipped { after_failure: false };
    const AFTER_FAILURE: Standing = Standing::Skipped { after_failure: true };

    fn standing(node: NodeId) -> Standing {
        [Standing::Completed, Standing::Failed, SKIPPED, AFTER_FAILURE][node.place()]
    }

    #[test]
    fn the_default_rule_waits_for_all_and_skips_after_a_failure_or_a_skip() {
        let facts = Facts::new(&standing, None);
        let verdict = |open, unsuccessful, failed| {
            Rule::AllCompleted.evaluate(When::Terminal, Upstream { open, unsuccessful, failed }, &facts)
        };
        assert_eq!(verdict(0, None, None), Verdict::Run);
        assert_eq!(verdict(1, None, None), Verdict::Wait);
        assert_eq!(verdict(1, Some(NodeId::new(3)), None), Verdict::Wait);
        assert_eq!(
            verdict(0, Some(NodeId::new(3)), None),
            Verdict::Skip(SkipReason::UpstreamSkipped { dependency: NodeId::new(3) })
        );
        assert_eq!(
            verdict(0, Some(NodeId::new(3)), Some(NodeId::new(4))),
            Verdict::Skip(SkipReason::UpstreamFailed { dependency: NodeId::new(4) })
        );
    }

    #[test]
    fn conditions_combine_the_ends_of_tasks() {
        use Condition::{All, Always, Any, Ended, None, UpstreamFailed};
        let facts = Facts::new(&standing, Option::None);
        let ended = |number, state| Ended { task: NodeId::new(number), state };
        let (succeeded, failed, skipped) = (task::State::Completed, task::State::Failed, task::State::Skipped);
        for (condition, expected, text) in [
            (Always, true, "always"),
            (ended(0, succeeded), true, "task_success(\"t0\")"),
            (ended(1, succeeded), false, "task_success(\"t1\")"),
            (ended(1, failed), true, "task_failed(\"t1\")"),
            (ended(3, failed), false, "task_failed(\"t3\")"),
            (ended(2, skipped), true, "task_skipped(\"t2\")"),
            (ended(3, skipped), true, "task_skipped(\"t3\")"),
            (UpstreamFailed { task: NodeId::new(0) }, false, "task_upstream_failed(\"t0\")"),
            (UpstreamFailed { task: NodeId::new(1) }, true, "task_upstream_failed(\"t1\")"),
            (UpstreamFailed { task: NodeId::new(2) }, false, "task_upstream_failed(\"t2\")"),
            (UpstreamFailed { task: NodeId::new(3) }, true, "task_upstream_failed(\"t3\")"),
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
            assert_eq!(condition.text(&|task| ["t0", "t1", "t2", "t3"][task.place()]).to_string(), text);
            let upstream = Upstream { open: 0, unsuccessful: Some(NodeId::new(1)), failed: Option::None };
            let runs = Rule::When(condition).evaluate(When::Terminal, upstream, &facts) == Verdict::Run;
            assert_eq!(runs, expected, "{text}");
        }
    }

    #[test]
    fn a_rule_is_decided_when_nothing_that_is_open_can_change_its_answer() {
        use Condition::{All, Always, Any, Ended, None, UpstreamFailed, Value};
        const OPEN: u32 = 4;
        let standing = |node| if node == NodeId::new(OPEN) { Standing::Open } else { standing(node) };
        let facts = Facts::new(&standing, Option::None);
        let ended = |number, state| Ended { task: NodeId::new(number), state };
        let (succeeded, failed) = (task::State::Completed, task::State::Failed);
        let exists = || Value { key: "k".into(), op: Operator::Exists, value: Option::None };
        let skip = |reason| Verdict::Skip(reason);
        for (condition, expected) in [
            (Always, Verdict::Run),
            (ended(OPEN, succeeded), Verdict::Wait),
            (UpstreamFailed { task: NodeId::new(OPEN) }, Verdict::Wait),
            (Any(vec![ended(OPEN, succeeded), ended(0, succeeded)]), Verdict::Run),
            (Any(vec![ended(OPEN, succeeded), ended(0, failed)]), Verdict::Wait),
            (All(vec![ended(OPEN, succeeded), ended(0, succeeded)]), Verdict::Wait),
            (All(vec![ended(OPEN, succeeded), ended(0, failed)]), skip(SkipReason::RuleNotMet)),
            (
                All(vec![ended(OPEN, succeeded), ended(1, succeeded)]),
                skip(SkipReason::UpstreamFailed { dependency: NodeId::new(1) }),
            ),
            (
                None(vec![ended(OPEN, failed), ended(1, failed)]),
                skip(SkipReason::UpstreamFailed { dependency: NodeId::new(1) }),
            ),
            (None(vec![ended(OPEN, failed), ended(0, failed)]), Verdict::Wait),
            // What is open may still write the value.
            (exists(), Verdict::Wait),
            (Any(vec![exists(), ended(1, failed)]), Verdict::Run),
        ] {
            let text = format!("{condition:?}");
            let rule = Rule::When(condition);
            let upstream = Upstream { open: 1, ..Upstream::default() };
            assert_eq!(rule.evaluate(When::Decided, upstream, &facts), expected, "{text}");
            assert_eq!(rule.evaluate(When::Terminal, upstream, &facts), Verdict::Wait, "{text}");
        }
        let all = |unsuccessful, failed| {
            Rule::AllCompleted.evaluate(When::Decided, Upstream { open: 1, unsuccessful, failed }, &facts)
        };
        assert_eq!(all(Option::None, Option::None), Verdict::Wait);
        assert_eq!(
            all(Some(NodeId::new(2)), Option::None),
            skip(SkipReason::UpstreamSkipped { dependency: NodeId::new(2) })
        );
        assert_eq!(
            all(Some(NodeId::new(2)), Some(NodeId::new(1))),
            skip(SkipReason::UpstreamFailed { dependency: NodeId::new(1) })
        );
    }

    #[test]
    fn a_rule_that_could_have_held_without_failures_is_not_met_because_of_one() {
        use Condition::{All, Any, Ended, None, UpstreamFailed};
        let ended = |number, state| Ended { task: NodeId::new(number), state };
        let (succeeded, failed) = (task::State::Completed, task::State::Failed);
        let because_of = |number| SkipReason::UpstreamFailed { dependency: NodeId::new(number) };
        for (condition, expected) in [
            (ended(1, succeeded), because_of(1)),
            (ended(3, succeeded), because_of(3)),
            (ended(2, succeeded), SkipReason::RuleNotMet),
            (ended(0, failed), SkipReason::RuleNotMet),
            // Had the first not failed, the second would have been skipped all the same.
            (All(vec![ended(1, succeeded), ended(2, succeeded)]), SkipReason::RuleNotMet),
            (Any(vec![ended(3, succeeded), ended(2, succeeded)]), because_of(3)),
            (All(vec![ended(1, failed), ended(0, failed)]), SkipReason::RuleNotMet),
            (
                None(vec![UpstreamFailed { task: NodeId::new(0) }, UpstreamFailed { task: NodeId::new(3) }]),
                because_of(3),
            ),
        ] {
            let facts = Facts::new(&standing, Option::None);
            let text = format!("{condition:?}");
            let verdict = Rule::When(condition).evaluate(When::Terminal, Upstream::default(), &facts);
            assert_eq!(verdict, Verdict::Skip(expected), "{text}");
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
