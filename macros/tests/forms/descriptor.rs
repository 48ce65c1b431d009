//! Every attribute at once, and what the sdk reads out of the record.
use cloacina_workflow::{
    descriptor::{Backoff, Durability, Need, Operator, RetryCondition, Rule, TriggerWhen},
    prelude::*,
};

/// Loads what came in.
///
/// Not part of the summary.
#[packaged_workflow(
    name = "nightly-load",
    package = "warehouse",
    tenant = "acme",
    version = "2.1.0-beta.1",
    author = "Ann \"A\" Author <ann@example.org>",
    timeout_ms = 3_600_000,
    durability = "pipelined",
    needs(net, read("/etc/ssl", "/usr/share"), env("HOME"))
)]
pub mod load {
    use super::*;

    /// Reads the rows
    /// from the source.
    #[task(
        id = "extract-rows",
        dependencies = [],
        retry_attempts = 5,
        retry_backoff = "linear",
        retry_delay_ms = 250,
        retry_max_delay_ms = 4_000,
        retry_jitter = false,
        retry_condition = ["timeout", "reset by peer"],
        timeout_ms = 30_000,
        on_failure = alarm
    )]
    pub async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(dependencies = [extract], description = "Checks them", priority = -7, optional = true, on_success = note)]
    pub fn check(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(
        dependencies = ["extract-rows", check],
        at_most_once = true,
        on_success = note,
        on_failure = alarm,
        trigger_when = "decided",
        trigger_rules = all(
            task_success(extract),
            any(task_failed(check), task_skipped("check"), task_upstream_failed(check)),
            none(context_value("rows", equals, 0), context_value("state", exists)),
            context_value("ratio", greater_or_equal, -0.5),
        )
    )]
    pub async fn publish(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    fn alarm(_: &Outcome, _: &Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    async fn note(_: &Outcome, _: &Context<Value>) {}
}

fn main() {
    let descriptor = load::workflow().descriptor().unwrap();
    assert_eq!(descriptor.package, "warehouse");
    assert_eq!(descriptor.tenant.as_deref(), Some("acme"));
    assert_eq!(descriptor.version, "2.1.0-beta.1");
    assert_eq!(descriptor.description.as_deref(), Some("Loads what came in."));
    assert_eq!(descriptor.author.as_deref(), Some("Ann \"A\" Author <ann@example.org>"));
    let build = descriptor.build.as_ref().unwrap();
    assert_eq!(build.krate, env!("CARGO_PKG_NAME"));
    assert_eq!(build.crate_version, env!("CARGO_PKG_VERSION"));

    let workflow = &descriptor.workflows[0];
    assert_eq!(workflow.name, "nightly-load");
    assert_eq!(workflow.description.as_deref(), Some("Loads what came in."));
    assert_eq!(workflow.fingerprint.as_ref().map(String::len), Some(64));
    assert_eq!(workflow.timeout_ms, Some(3_600_000));
    assert_eq!(workflow.durability, Durability::Pipelined);
    assert_eq!(workflow.needs.net, Need::Anything);
    assert_eq!(workflow.needs.read, Need::Only(vec!["/etc/ssl".to_owned(), "/usr/share".to_owned()]));
    assert_eq!(workflow.needs.write, Need::Nothing);
    assert_eq!(workflow.needs.env, Need::Only(vec!["HOME".to_owned()]));
    let callbacks: Vec<_> = workflow.callbacks.iter().map(|c| (c.name.as_str(), c.index, c.blocking)).collect();
    assert_eq!(callbacks, [("alarm", 3, true), ("note", 4, false)]);

    let [extract, check, publish] = workflow.tasks.as_slice() else { panic!("there are three") };
    assert_eq!((extract.id.as_str(), extract.index, extract.blocking), ("extract-rows", 0, false));
    assert_eq!(extract.description.as_deref(), Some("Reads the rows from the source."));
    // The compiler was given an absolute path, which has no place in a reproducible package.
    assert_eq!(extract.source, None);
    assert_eq!(extract.retry.attempts, 5);
    assert_eq!(extract.retry.backoff, Backoff::Linear);
    assert_eq!((extract.retry.delay_ms, extract.retry.max_delay_ms, extract.retry.jitter), (250, 4_000, false));
    let patterns = vec!["timeout".to_owned(), "reset by peer".to_owned()];
    assert_eq!(extract.retry.condition, RetryCondition::Patterns(patterns));
    assert_eq!(extract.timeout_ms, Some(30_000));
    assert_eq!((extract.on_success, extract.on_failure), (None, Some(3)));

    assert_eq!(check.description.as_deref(), Some("Checks them"));
    assert_eq!(check.dependencies, ["extract-rows"]);
    assert_eq!((check.priority, check.optional, check.blocking), (-7, true, true));
    assert_eq!((check.on_success, check.on_failure), (Some(4), None));
    assert_eq!(check.retry.attempts, 0);

    assert_eq!(publish.dependencies, ["extract-rows", "check"]);
    assert_eq!((publish.at_most_once, publish.on_success, publish.on_failure), (true, Some(4), Some(3)));
    let rule = Rule::All(vec![
        Rule::TaskSuccess("extract-rows".to_owned()),
        Rule::Any(vec![
            Rule::TaskFailed("check".to_owned()),
            Rule::TaskSkipped("check".to_owned()),
            Rule::TaskUpstreamFailed("check".to_owned()),
        ]),
        Rule::None(vec![
            Rule::ContextValue { key: "rows".to_owned(), op: Operator::Equals, value: Some(Value::from(0)) },
            Rule::ContextValue { key: "state".to_owned(), op: Operator::Exists, value: None },
        ]),
        Rule::ContextValue { key: "ratio".to_owned(), op: Operator::GreaterOrEqual, value: Some(Value::from(-0.5)) },
    ]);
    assert_eq!(publish.trigger_rules, Some(rule));
    assert_eq!((publish.trigger_when, check.trigger_when), (TriggerWhen::Decided, TriggerWhen::Terminal));
}
