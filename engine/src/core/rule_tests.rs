//! Trigger rules in whole runs: the rules of Airflow, written as the guide writes them, over every pair of ends.
//!
//! What Airflow does is written down here from its documentation, letter by letter. Only direct dependencies are named.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::Timestamp;

use super::{
    apply::Run,
    decide::{End, Event, decide},
    effect::Effect,
    graph::Graph,
    node::{NodeId, TaskIndex},
    plan::{self, Plan},
    retry::Failure,
    rule::{Condition, Rule, SkipReason, When},
    task,
};

const GUIDE: &str = include_str!("../../../docs/guide/coming-from-another-engine.md");

/// The ends of two dependencies: `S`uccess, `F`ailure, s`K`ip, and skip after a failure, which Airflow calls
/// `U`pstream_failed.
const PAIRS: [&str; 10] = ["SS", "SF", "SK", "SU", "FF", "FK", "FU", "KK", "KU", "UU"];

/// Tasks by number: one that fails, the two dependencies, the task with the rule, and two that follow from it.
const BAD: TaskIndex = TaskIndex::new(0);
const A: TaskIndex = TaskIndex::new(1);
const B: TaskIndex = TaskIndex::new(2);
const JOIN: TaskIndex = TaskIndex::new(3);
const AFTER: TaskIndex = TaskIndex::new(4);
const ALARM: TaskIndex = TaskIndex::new(5);

fn now() -> Timestamp {
    Timestamp::from_unix_micros(1)
}

fn is(state: task::State) -> [Condition; 2] {
    [A, B].map(|task| Condition::Ended { task: task.node(), state })
}

fn upstream_failed() -> [Condition; 2] {
    [A, B].map(|task| Condition::UpstreamFailed { task: task.node() })
}

fn any(parts: impl IntoIterator<Item = Condition>) -> Condition {
    Condition::Any(parts.into_iter().collect())
}

fn all(parts: impl IntoIterator<Item = Condition>) -> Condition {
    Condition::All(parts.into_iter().collect())
}

fn none(parts: impl IntoIterator<Item = Condition>) -> Condition {
    Condition::None(parts.into_iter().collect())
}

/// One after the other of two lists.
fn turns(one: [Condition; 2], other: [Condition; 2]) -> impl Iterator<Item = [Condition; 2]> {
    one.into_iter().zip(other).map(<[Condition; 2]>::from)
}

/// Each rule of Airflow with the one that does the same here, and what becomes of the task for each of [`PAIRS`]:
/// it `R`uns, or ends as the letters there say.
fn rules() -> Vec<(&'static str, Rule, &'static str)> {
    use task::State::{Completed, Failed};
    let when = Rule::When;
    vec![
        ("all_success", Rule::AllCompleted, "RUKUUUUKUU"),
        ("all_failed", when(all(upstream_failed())), "KKKKRKRKKR"),
        ("all_done", when(Condition::Always), "RRRRRRRRRR"),
        ("all_skipped", when(none(is(Completed).into_iter().chain(upstream_failed()))), "KKKKKKKRKK"),
        ("one_success", when(any(is(Completed))), "RRRRUUUKUU"),
        ("one_failed", when(any(upstream_failed())), "KRKRRRRKRR"),
        // Airflow counts the last two as skips, and runs the same.
        ("one_done", when(any(turns(is(Completed), is(Failed)).flatten())), "RRRRRRRKUU"),
        ("none_failed", when(none(upstream_failed())), "RURUUUURUU"),
        ("none_failed_min_one_success", when(all([none(upstream_failed()), any(is(Completed))])), "RURUUUUKUU"),
        ("none_skipped", when(all(turns(is(Completed), upstream_failed()).map(any))), "RRKRRKRKKR"),
    ]
}

fn plan_of(ends: &str, rule: &Rule, when: When) -> Arc<Plan> {
    let never = || Rule::When(none([Condition::Always]));
    let dependency = |end: u8| match end {
        b'K' => (vec![], never()),
        b'U' => (vec![BAD], Rule::AllCompleted),
        _ => (vec![], Rule::AllCompleted),
    };
    let alarm = Rule::When(Condition::UpstreamFailed { task: AFTER.node() });
    let (a, b) = (dependency(ends.as_bytes()[0]), dependency(ends.as_bytes()[1]));
    let bad = (vec![], Rule::AllCompleted);
    let declared = [bad, a, b, (vec![A, B], rule.clone()), (vec![JOIN], Rule::AllCompleted), (vec![AFTER], alarm)];
    let nodes = |tasks: &Vec<TaskIndex>| tasks.iter().map(|task| task.node()).collect();
    let dependencies: Vec<Vec<NodeId>> = declared.iter().map(|(dependencies, _)| nodes(dependencies)).collect();
    let ids = ["bad", "a", "b", "join", "after", "alarm"];
    let tasks = ids.into_iter().zip(declared).map(|(id, (_, rule))| plan::Task {
        rule,
        when: if id == "join" { when } else { When::Terminal },
        ..plan::Task::new(id, plan::Function::default())
    });
    let graph = Graph::new(&dependencies).unwrap();
    Arc::new(Plan { graph, tasks: tasks.collect(), timeout: None, pipelined: false })
}

/// Runs to the end; of what is ready, the first or the last comes next.
fn run_to_end(ends: &str, rule: &Rule, when: When, last_first: bool) -> Run {
    let fails = |task: TaskIndex| match task {
        BAD => true,
        A | B => ends.as_bytes()[task.place() - 1] == b'F',
        _ => false,
    };
    let mut run = Run::new(plan_of(ends, rule, when), &BTreeMap::new());
    let mut ready = Vec::new();
    let apply = |run: &mut Run, ready: &mut Vec<TaskIndex>, event| {
        for effect in decide(run, event, now()).unwrap().effects {
            if let Effect::Enqueue { task } = effect {
                ready.push(task);
            }
        }
    };
    apply(&mut run, &mut ready, Event::Start { by: None });
    while !ready.is_empty() {
        let task = if last_first { ready.pop().unwrap() } else { ready.remove(0) };
        apply(&mut run, &mut ready, Event::StartAttempt { task });
        let end = if fails(task) { End::Failed(Failure::default()) } else { End::Completed(Arc::default()) };
        apply(&mut run, &mut ready, Event::End { task, attempt: 1, end });
    }
    assert!(run.state().is_terminal());
    run
}

/// What became of the task, in the letters of [`rules`].
fn letter(run: &Run, task: TaskIndex) -> char {
    let task = &run.tasks()[task.place()];
    match (task.state(), task.skip_reason()) {
        (task::State::Completed, _) => 'R',
        (task::State::Skipped, Some(SkipReason::UpstreamFailed { .. })) => 'U',
        (task::State::Skipped, Some(SkipReason::UpstreamSkipped { .. } | SkipReason::RuleNotMet)) => 'K',
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_rule_of_airflow_comes_out_right_with_direct_dependencies_alone() {
    for (name, rule, expected) in rules() {
        for (pair, expected) in PAIRS.into_iter().zip(expected.chars()) {
            let turned: String = pair.chars().rev().collect();
            for (ends, last_first) in [(pair, false), (pair, true), (&turned, false), (&turned, true)] {
                let run = run_to_end(ends, &rule, When::Terminal, last_first);
                assert_eq!(letter(&run, JOIN), expected, "{name} over {ends}");
                // What follows knows how it came to that, and can be told apart by a rule.
                assert_eq!(letter(&run, AFTER), expected, "{name} over {ends}");
                assert_eq!(letter(&run, ALARM) == 'R', expected == 'U', "{name} over {ends}");
            }
        }
    }
}

#[test]
fn what_runs_does_not_depend_on_when_a_rule_is_asked() {
    for (name, rule, expected) in rules() {
        for (ends, expected) in PAIRS.into_iter().zip(expected.chars()) {
            for last_first in [false, true] {
                let run = run_to_end(ends, &rule, When::Decided, last_first);
                assert_eq!(letter(&run, JOIN) == 'R', expected == 'R', "{name} over {ends}");
            }
        }
    }
}

/// Airflow starts these, and skips after others, before all dependencies are over.
#[test]
fn one_end_decides_a_rule_for_one_and_a_rule_for_all() {
    let ready = Some(task::State::Ready);
    let skipped = Some(task::State::Skipped);
    for (name, after_success, after_failure) in [
        ("all_success", None, skipped),
        ("all_failed", skipped, None),
        ("all_skipped", skipped, skipped),
        ("one_success", ready, None),
        ("one_failed", None, ready),
        ("one_done", ready, ready),
        ("none_failed", None, skipped),
        ("none_failed_min_one_success", None, skipped),
    ] {
        let (_, rule, _) = rules().into_iter().find(|(other, ..)| *other == name).unwrap();
        for (expected, end) in
            [(after_success, End::Completed(Arc::default())), (after_failure, End::Failed(Failure::default()))]
        {
            let mut run = Run::new(plan_of("SS", &rule, When::Decided), &BTreeMap::new());
            for event in
                [Event::Start { by: None }, Event::StartAttempt { task: B }, Event::End { task: B, attempt: 1, end }]
            {
                decide(&mut run, event, now()).unwrap();
            }
            let state = run.tasks()[JOIN.place()].state();
            assert_eq!(state, expected.unwrap_or(task::State::Pending), "{name}");
            assert_eq!(run.tasks()[A.place()].state(), task::State::Ready, "{name}: the other goes on");
        }
    }
}

#[test]
fn the_guide_writes_each_rule_as_it_is_tested() {
    for (name, rule, _) in rules() {
        let row = GUIDE.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the guide"));
        let written = match &rule {
            Rule::AllCompleted => "the default".to_owned(),
            Rule::When(condition) => format!("`{}`", condition.text(&|node| if node == A.node() { "a" } else { "b" })),
        };
        assert!(row.contains(&written), "{name} is not written as {written}");
    }
}
