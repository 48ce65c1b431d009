//! The attributes of workflows and tasks in words; those that have their default value are left out.
//!
//! For people alone: programs read the descriptor itself. An attribute that is declared is never left out because it
//! is not executed yet.

use cloacina_workflow::descriptor::{
    Backoff, Durability, Need, Operator, Retry, RetryCondition, Rule, Task, TriggerWhen, Workflow,
};

/// What a workflow declares besides its tasks, a line each.
pub(super) fn workflow(workflow: &Workflow) -> Vec<String> {
    let mut lines: Vec<String> = workflow.description.iter().cloned().collect();
    if let Some(timeout_ms) = workflow.timeout_ms {
        lines.push(format!("timeout of a run: {}", milliseconds(timeout_ms)));
    }
    if workflow.durability == Durability::Pipelined {
        lines.push("durability: dependents start before their parents' results are on disk".to_owned());
    }
    let needs = &workflow.needs;
    for (what, need) in [("net", &needs.net), ("read", &needs.read), ("write", &needs.write), ("env", &needs.env)] {
        match need {
            Need::Nothing => {}
            Need::Anything => lines.push(format!("needs {what}: anything")),
            Need::Only(list) => lines.push(format!("needs {what}: {}", list.join(", "))),
        }
    }
    if let Some(fingerprint) = &workflow.fingerprint {
        lines.push(format!("fingerprint: {fingerprint}"));
    }
    lines
}

/// What a task declares besides its dependencies.
pub(super) fn task(task: &Task, workflow: &Workflow) -> Vec<String> {
    let mut attributes = Vec::new();
    if task.retry != Retry::default() {
        attributes.push(retry(&task.retry));
    }
    if let Some(timeout_ms) = task.timeout_ms {
        attributes.push(format!("timeout {}", milliseconds(timeout_ms)));
    }
    match (&task.trigger_rules, task.trigger_when) {
        (Some(trigger), TriggerWhen::Terminal) => attributes.push(format!("runs when {}", rule(trigger))),
        (Some(trigger), TriggerWhen::Decided) => attributes.push(format!("runs as soon as {}", rule(trigger))),
        (None, TriggerWhen::Terminal) => {}
        (None, TriggerWhen::Decided) => attributes.push("skipped as soon as a dependency did not complete".to_owned()),
    }
    for (when, index) in [("on success", task.on_success), ("on failure", task.on_failure)] {
        let callback = workflow.callbacks.iter().find(|callback| Some(callback.index) == index);
        if let Some(callback) = callback {
            attributes.push(format!("{when} {}", callback.name));
        }
    }
    if task.priority != 0 {
        attributes.push(format!("priority {}", task.priority));
    }
    for (declared, word) in
        [(task.optional, "optional"), (task.at_most_once, "at most once"), (task.blocking, "blocking")]
    {
        if declared {
            attributes.push(word.to_owned());
        }
    }
    attributes
}

fn retry(retry: &Retry) -> String {
    let times = match retry.attempts {
        1 => "1 retry".to_owned(),
        attempts => format!("{attempts} retries"),
    };
    let backoff = match retry.backoff {
        Backoff::Fixed => format!("every {}", milliseconds(retry.delay_ms)),
        Backoff::Linear => format!("linear from {}", milliseconds(retry.delay_ms)),
        Backoff::Exponential => format!("exponential from {}", milliseconds(retry.delay_ms)),
    };
    let most = match retry.backoff {
        Backoff::Fixed => String::new(),
        Backoff::Linear | Backoff::Exponential => format!(" to {}", milliseconds(retry.max_delay_ms)),
    };
    let jitter = if retry.jitter { "" } else { " without jitter" };
    let condition = match &retry.condition {
        RetryCondition::All => String::new(),
        RetryCondition::Never => ", never".to_owned(),
        RetryCondition::Transient => ", if transient".to_owned(),
        RetryCondition::Patterns(patterns) => format!(", if like {}", patterns.join(" or ")),
    };
    format!("{times} ({backoff}{most}{jitter}{condition})")
}

fn rule(trigger: &Rule) -> String {
    let list = |parts: &[Rule]| parts.iter().map(rule).collect::<Vec<_>>().join(", ");
    match trigger {
        Rule::Always => "always".to_owned(),
        Rule::All(parts) => format!("all({})", list(parts)),
        Rule::Any(parts) => format!("any({})", list(parts)),
        Rule::None(parts) => format!("none({})", list(parts)),
        Rule::TaskSuccess(task) => format!("task_success({task})"),
        Rule::TaskFailed(task) => format!("task_failed({task})"),
        Rule::TaskSkipped(task) => format!("task_skipped({task})"),
        Rule::TaskUpstreamFailed(task) => format!("task_upstream_failed({task})"),
        Rule::ContextValue { key, op, value } => match value {
            Some(value) => format!("{key} {} {value}", operator(*op)),
            None => format!("{key} {}", operator(*op)),
        },
    }
}

fn operator(operator: Operator) -> &'static str {
    match operator {
        Operator::Equals => "=",
        Operator::NotEquals => "≠",
        Operator::GreaterThan => ">",
        Operator::GreaterOrEqual => "≥",
        Operator::LessThan => "<",
        Operator::LessOrEqual => "≤",
        Operator::Contains => "contains",
        Operator::NotContains => "does not contain",
        Operator::Exists => "exists",
        Operator::NotExists => "does not exist",
    }
}

/// A time, in the largest unit that shows it whole.
fn milliseconds(milliseconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let fits = UNITS.iter().find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit));
    match fits {
        Some((unit, name)) => format!("{} {name}", milliseconds / unit),
        None => format!("{milliseconds} ms"),
    }
}

#[cfg(test)]
mod tests {
    use cloacina_workflow::descriptor::Descriptor;

    use super::*;

    fn described(attributes: &str) -> String {
        let json = format!(
            r#"{{"format":1,"abi":"1.0","package":"p","version":"0.1.0","workflows":[{{"name":"w",
               "tasks":[{{"id":"a","index":0{attributes}}}],"callbacks":[{{"name":"notify","index":1}}]}}]}}"#
        );
        let descriptor = Descriptor::parse(&json).unwrap();
        let workflow = &descriptor.workflows[0];
        task(&workflow.tasks[0], workflow).join(", ")
    }

    #[test]
    fn attributes_are_shown_unless_they_are_the_default() {
        for (attributes, expected) in [
            ("", ""),
            (r#","retry":{"attempts":2}"#, "2 retries (exponential from 1 s to 1 min)"),
            (
                r#","retry":{"attempts":1,"backoff":"fixed","delay_ms":50,"jitter":false,"condition":["io","net"]}"#,
                "1 retry (every 50 ms without jitter, if like io or net)",
            ),
            (r#","timeout_ms":1500,"on_failure":1,"priority":-5"#, "timeout 1500 ms, on failure notify, priority -5"),
            (r#","optional":true,"at_most_once":true,"blocking":true"#, "optional, at most once, blocking"),
            (
                r#","trigger_rules":{"any":["always",{"task_failed":"b"},{"context_value":{"key":"n","op":"less_than","value":3}}]}"#,
                "runs when any(always, task_failed(b), n < 3)",
            ),
            (r#","trigger_rules":{"context_value":{"key":"n","op":"not_exists"}}"#, "runs when n does not exist"),
            (r#","trigger_rules":{"task_success":"b"},"trigger_when":"decided""#, "runs as soon as task_success(b)"),
            (r#","trigger_when":"decided""#, "skipped as soon as a dependency did not complete"),
        ] {
            assert_eq!(described(attributes), expected);
        }
    }
}
