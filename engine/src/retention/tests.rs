//! The choice against the rule as a sentence: each row by itself, over all rows.
//!
//! The model looks at every row and counts how many newer ones there are; the choice looks only at the oldest ones.

use std::time::Duration;

use cloacina_workflow::Timestamp;
use proptest::{collection::vec, option, prelude::*};

use super::{Class, Finished, Oldest, Retention, What, choose_lines, choose_runs};
use crate::{core::effect::after, id::RunId};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_micros(seconds * 1_000_000)
}

fn policies() -> impl Strategy<Value = Retention> {
    let age = || option::of((0_u64..100).prop_map(Duration::from_secs));
    let ages = (age(), age(), age(), age(), age(), age(), age());
    (ages, option::of(0_u64..20), age(), option::of(0_u64..20)).prop_map(|(ages, runs_max, logs, logs_max)| Retention {
        completed: ages.0,
        partially_completed: ages.1,
        cancelled: ages.2,
        failed: ages.3,
        dead_letters: ages.4,
        contexts: ages.5,
        events: ages.6,
        runs_max,
        logs,
        logs_max,
    })
}

fn runs() -> impl Strategy<Value = Vec<Finished>> {
    // Moments are all different, so that there is one right answer to which are the newest.
    vec((0_usize..5, 0_u64..3), 0..40).prop_map(|runs| {
        let runs = runs.into_iter().zip(0_u64..).map(|((class, gap), number)| Finished {
            id: RunId::new(at(number)),
            class: Class::ALL[class],
            finished_at: at(number * 3 + gap),
        });
        runs.collect()
    })
}

/// Whether a run must go, said as slowly as possible.
fn must_go(policy: &Retention, what: What, run: &Finished, all: &[Finished], now: Timestamp) -> bool {
    let is_old = |run: &Finished| policy.age(what, run.class).is_some_and(|age| after(run.finished_at, age) <= now);
    // Those that are too old do not count any more.
    let counts = |run: &&Finished| run.class != Class::DeadLetter && !is_old(run);
    let n_newer = all.iter().filter(counts).filter(|other| other.finished_at > run.finished_at).count();
    let is_too_many = what == What::Run && counts(&run) && policy.runs_max.is_some_and(|limit| n_newer as u64 >= limit);
    is_old(run) || is_too_many
}

proptest! {
    #[test]
    fn what_must_go_goes_and_nothing_else(
        policy in policies(), all in runs(), what in 0_usize..3, now in 0_u64..200, n_looked_at in 1_usize..8,
    ) {
        let (what, now) = (What::ALL[what], at(now));
        let (mut left, mut gone) = (all.clone(), Vec::new());
        let next = loop {
            // Some of the oldest of every class, as the store finds them.
            let mut oldest = Vec::new();
            for class in Class::ALL {
                let of_class = left.iter().filter(|run| run.class == class);
                oldest.extend(of_class.take(n_looked_at).copied());
            }
            let n_counted = left.iter().filter(|run| run.class.counts()).count() as u64;
            let choice = choose_runs(&policy, what, Oldest { runs: &oldest, n_asked: n_looked_at, n_counted }, now);
            if choice.due.is_empty() {
                break choice.next;
            }
            left.retain(|run| !choice.due.contains(&run.id));
            gone.extend(choice.due);
        };
        let expected: Vec<RunId> =
            all.iter().filter(|run| must_go(&policy, what, run, &all, now)).map(|run| run.id).collect();
        gone.sort();
        prop_assert_eq!(gone, expected);
        let due_at = |run: &Finished| Some(after(run.finished_at, policy.age(what, run.class)?));
        prop_assert_eq!(next, left.iter().filter_map(due_at).min());
    }

    #[test]
    fn lines_go_from_the_oldest_on(
        policy in policies(), gaps in vec((1_i64..4, 0_u64..10), 0..30), now in 0_u64..200,
    ) {
        let (mut number, mut moment) = (0, 0);
        let lines: Vec<(i64, Timestamp)> = gaps
            .into_iter()
            .map(|(step, wait)| {
                (number, moment) = (number + step, moment + wait);
                (number, at(moment))
            })
            .collect();
        let choice = choose_lines(&policy, &lines, number, at(now));
        let must_go = |(line, written): &(i64, Timestamp)| {
            policy.logs.is_some_and(|age| after(*written, age) <= at(now))
                || policy.logs_max.is_some_and(|limit| number - line >= i64::try_from(limit).unwrap())
        };
        let (going, staying): (Vec<_>, Vec<_>) = lines.iter().partition(|line| must_go(line));
        prop_assert_eq!(choice.up_to, going.last().map(|(line, _)| *line));
        prop_assert_eq!(choice.next, staying.first().and_then(|(_, written)| Some(after(*written, policy.logs?))));
    }
}

#[test]
fn what_is_kept_by_default() {
    let policy = Retention::default();
    let days = |age: Option<Duration>| age.map(|age| age.as_secs() / 86_400);
    for (class, runs) in Class::ALL.into_iter().zip([Some(30), Some(30), Some(30), Some(30), None]) {
        assert_eq!(days(policy.age(What::Run, class)), runs, "{class:?}");
        assert_eq!(policy.age(What::Context, class), None);
    }
    assert_eq!(days(policy.shortest()), Some(14));
    assert_eq!(Retention::off().shortest(), None);
    let everything = Retention { contexts: Some(Duration::ZERO), events: Some(Duration::ZERO), ..Retention::off() };
    assert_eq!(everything.age(What::Context, Class::DeadLetter), None, "a dead letter can be run again");
}
