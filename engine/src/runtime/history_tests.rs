//! That a transition which is written is read as it was, and that damage is named.
//!
//! There is a sample of every kind of transition: a new kind does not compile here without a number, and fails without a
//! sample.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::core::{
    graph::Graph,
    plan::{self, Function},
};

const N_TASKS: u32 = 4;

fn plan() -> Plan {
    let task = |number: u32| plan::Task::new(format!("t{number}"), Function::default());
    Plan {
        graph: Graph::new(&vec![Vec::new(); N_TASKS as usize]).unwrap(),
        tasks: (0..N_TASKS).map(task).collect(),
        timeout: None,
        pipelined: false,
    }
}

/// One number for each kind of transition. A new kind gets the next one, and the test below then wants a sample of it.
fn number_of(transition: &Transition) -> usize {
    match transition {
        Transition::RunDelayed { .. } => 0,
        Transition::RunStarted { .. } => 1,
        Transition::RunPaused { .. } => 2,
        Transition::RunResumed { .. } => 3,
        Transition::TaskReleased { .. } => 4,
        Transition::RunCancelRequested { .. } => 5,
        Transition::RunTimedOut => 6,
        Transition::RunFinished { .. } => 7,
        Transition::TaskReady { .. } => 8,
        Transition::AttemptStarted { .. } => 9,
        Transition::AttemptInterrupted { .. } => 10,
        Transition::AttemptLost { .. } => 11,
        Transition::AttemptFailed { .. } => 12,
        Transition::TaskDue { .. } => 13,
        Transition::RetryRequested { .. } => 14,
        Transition::TaskCompleted { .. } => 15,
        Transition::TaskReused { .. } => 16,
        Transition::TaskFailed { .. } => 17,
        Transition::TaskSkipped { .. } => 18,
        Transition::TaskCancelled { .. } => 19,
        Transition::CallbackEnded { .. } => 20,
        Transition::ContextConflict(_) => 21,
    }
}

const N_KINDS: usize = 22;

/// What chance puts into transitions.
#[derive(Clone, Debug)]
struct Sample {
    task: TaskIndex,
    other: NodeId,
    attempt: u32,
    at: Timestamp,
    earlier: Timestamp,
    actor: Actor,
    reason: FailReason,
    end: run::End,
    flag: bool,
    delta: Arc<Delta>,
    skip: u8,
}

impl Sample {
    /// A transition of each kind.
    fn transitions(&self) -> Vec<Transition> {
        let Self { task, other, attempt, at, earlier, reason, end, flag, .. } = *self;
        let (by, delta) = (|| Arc::clone(&self.actor), || Arc::clone(&self.delta));
        let (started_at, some_start) = (earlier, flag.then_some(earlier));
        let skip = match self.skip {
            0 => SkipReason::RuleNotMet,
            1 => SkipReason::UpstreamFailed { dependency: other },
            _ => SkipReason::UpstreamSkipped { dependency: other },
        };
        vec![
            Transition::RunDelayed { until: at },
            Transition::RunStarted { by: flag.then(by) },
            Transition::RunPaused { by: by() },
            Transition::RunResumed { by: by() },
            Transition::TaskReleased { task, by: by() },
            Transition::RunCancelRequested { by: by() },
            Transition::RunTimedOut,
            Transition::RunFinished { end },
            Transition::TaskReady { task, is_implied: flag },
            Transition::AttemptStarted { task, attempt, is_durable: flag },
            Transition::AttemptInterrupted { task, attempt },
            Transition::AttemptLost { task, attempt, started_at },
            Transition::AttemptFailed { task, attempt, started_at, reason, due_at: at },
            Transition::TaskDue { task },
            Transition::RetryRequested { task, by: by() },
            Transition::TaskCompleted { task, attempt, started_at, delta: delta() },
            Transition::TaskReused { task, attempt, started_at, finished_at: at, delta: delta() },
            Transition::TaskFailed { task, attempt, started_at: some_start, reason },
            Transition::TaskSkipped { task, reason: skip },
            Transition::TaskCancelled {
                task,
                attempt: some_start.map(|_| attempt),
                started_at: some_start,
                abandoned: flag,
            },
            Transition::CallbackEnded { task, failed: flag },
            Transition::ContextConflict(Conflict { key: by(), winner: task.node(), loser: other }),
        ]
    }
}

fn samples() -> impl Strategy<Value = Sample> {
    let reason = prop::sample::select(vec![
        FailReason::Attempt,
        FailReason::TimedOut,
        FailReason::Panicked,
        FailReason::Cancelled,
        FailReason::Interrupted,
        FailReason::Lost,
    ]);
    let end = prop::sample::select(vec![
        run::End::Completed,
        run::End::PartiallyCompleted,
        run::End::Failed,
        run::End::Cancelled,
    ]);
    let changes = (prop::collection::btree_map("[a-z]{1,3}", any::<i32>(), 0..3), prop::collection::vec("[A-Z]", 0..2));
    let delta = changes.prop_map(|(set, unset)| {
        let value = |value: i32| Arc::from(RawValue::from_string(value.to_string()).unwrap());
        let set = set.into_iter().map(|(key, number)| (key.into(), value(number))).collect();
        Arc::new(Delta { set, unset: unset.into_iter().map(Into::into).collect() })
    });
    let moments = (0..i64::MAX as u64, 0..i64::MAX as u64);
    let numbers = (0..N_TASKS, 0..N_TASKS, 1..i32::MAX as u32, moments);
    (numbers, any::<String>(), reason, end, (any::<bool>(), 0..3_u8), delta).prop_map(
        |((task, other, attempt, (at, earlier)), actor, reason, end, (flag, skip), delta)| Sample {
            task: TaskIndex::new(task),
            other: NodeId::new(other),
            attempt,
            at: Timestamp::from_unix_micros(at),
            earlier: Timestamp::from_unix_micros(earlier),
            actor: actor.into(),
            reason,
            end,
            flag,
            delta,
            skip,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(sample in samples(), is_written in any::<bool>()) {
        let plan = plan();
        let reader = Reader::new(&plan);
        let error = TaskError::Custom {
            kind: "odd".to_owned(),
            message: "no \"luck\"".to_owned(),
            details: json!({ "deep": [1, null] }),
            retryable: true,
        };
        let transitions = sample.transitions();
        let numbers: Vec<usize> = transitions.iter().map(number_of).collect();
        prop_assert_eq!(numbers, (0..N_KINDS).collect::<Vec<usize>>(), "there is a sample of each kind");
        for transition in transitions {
            // A delta that is at hand as it is stored need not be written again.
            let payload = delta_payload(&sample.delta).unwrap().filter(|_| is_written);
            let facts = AttemptFacts { payload, error: Some(Arc::new(error.clone())), ..AttemptFacts::default() };
            let row = to_row(&plan, 7, &transition, sample.at, &mut Some(facts));
            prop_assert_eq!(row.is_some(), transition.is_stored());
            let Some(row) = row else { continue };
            prop_assert_eq!((row.sequence, row.at), (7, sample.at));
            let stored = reader.read(&row).unwrap().unwrap();
            prop_assert_eq!(format!("{:?}", stored.transition), format!("{transition:?}"));
            if let Some(read) = stored.error {
                let is_interrupted = matches!(transition,
                    Transition::TaskFailed { started_at: None, reason: FailReason::Interrupted, task, .. }
                        if read.message() == interrupted_error(&plan, task).message());
                prop_assert!(is_interrupted || format!("{read:?}") == format!("{error:?}"), "{:?}", read);
            }
        }
    }
}

/// Whatever is missing or makes no sense, nothing is made up for it.
#[test]
fn damage_is_named() {
    let plan = plan();
    let row = |kind, task, attempt, payload: Option<&str>| EventRow {
        task,
        attempt,
        payload: payload.map(|payload| payload.as_bytes().to_vec()),
        ..blank(3, kind, Timestamp::from_unix_micros(1))
    };
    let failure = r#"{"reason": "attempt", "kind": "k", "message": "m", "retryable": true}"#;
    let cases = [
        (row(Kind::RunPaused, None, None, None), "payload"),
        (row(Kind::RunPaused, None, None, Some("{}")), "payload"),
        (row(Kind::RunStarted, None, None, Some("{")), "payload"),
        (row(Kind::RunDelayed, None, None, Some(r#"{"until": -1}"#)), "payload"),
        (row(Kind::RunFinished, None, None, Some(r#"{"state": "running"}"#)), "payload"),
        (row(Kind::RetryRequested, None, None, Some(r#"{"by": "ada"}"#)), "task"),
        (row(Kind::TaskReady, Some(4), None, None), "task"),
        (row(Kind::TaskReady, Some(-1), None, None), "task"),
        (row(Kind::AttemptStarted, Some(0), None, None), "attempt"),
        (row(Kind::AttemptStarted, Some(0), Some(-2), None), "attempt"),
        (row(Kind::TaskCompleted, Some(0), Some(1), None), "started_at"),
        (row(Kind::AttemptFailed, Some(0), Some(1), Some(failure)), "payload"),
        (row(Kind::TaskFailed, Some(0), Some(1), None), "payload"),
        (row(Kind::TaskSkipped, Some(0), None, Some(r#"{"reason": "upstream_failed"}"#)), "payload"),
        (row(Kind::TaskSkipped, Some(0), None, Some(r#"{"reason": "upstream_failed", "dependency": "x"}"#)), "payload"),
        (row(Kind::TaskCancelled, Some(0), None, Some("{}")), "payload"),
        (row(Kind::ContextConflict, None, None, Some(r#"{"key": "k", "winner": "t0", "loser": "x"}"#)), "payload"),
    ];
    for (row, column) in cases {
        let damage = Reader::new(&plan).read(&row).unwrap_err();
        assert_eq!(damage.column, column, "{damage} of {row:?}");
        assert!(damage.to_string().starts_with("row 3, column "), "{damage}");
    }
}
