//! The core against a slow, obvious model of what it should do, over random graphs, outcomes and orders of events.
//!
//! The model knows nothing of views and counters: it walks the graph for everything that it is asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cloacina_workflow::{Timestamp, descriptor::Operator, payload::Delta};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{
    apply::{Refused, Run},
    context::{Key, Value},
    decide::{End, Event, INTERRUPTIONS_MAX, decide},
    effect::{Actor, Conflict, Decision, Effect, FailReason, Transition},
    explain,
    node::{NodeId, TaskIndex},
    plan,
    plan::Plan,
    replay::{Replay, recover},
    retry::{Failure, Policy},
    rule::{Condition, Rule},
    run,
    stage::{Quarantine, Task, TaskStage},
    task,
};

fn now() -> Timestamp {
    Timestamp::from_unix_micros(1)
}

/// What a task will do.
#[derive(Clone, Debug)]
struct Script {
    dependencies: BTreeSet<u32>,
    fails: bool,
    /// So many attempts fail in a way that may be retried; up to two are.
    failures: u32,
    rule: Option<Asks>,
    has_callbacks: bool,
    optional: bool,
    at_most_once: bool,
    /// Values by key; `None` removes.
    writes: BTreeMap<u8, Option<u8>>,
}

/// A trigger rule over the first dependency, where there is one, or over a key.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Always,
    Ended(task::State),
    NotEnded(task::State),
    Key(u8),
}

fn asks() -> impl Strategy<Value = Asks> {
    let ended = prop::sample::select(vec![task::State::Completed, task::State::Failed, task::State::Skipped]);
    prop_oneof![
        Just(Asks::Always),
        ended.clone().prop_map(Asks::Ended),
        ended.prop_map(Asks::NotEnded),
        (0..4_u8).prop_map(Asks::Key),
    ]
}

/// Tasks whose dependencies come later in the source as well as earlier, without cycles: a random order of the tasks
/// decides who may depend on whom.
fn scripts() -> impl Strategy<Value = Vec<Script>> {
    (1..12_usize).prop_flat_map(|n_tasks| {
        let order = Just((0..n_tasks).collect::<Vec<_>>()).prop_shuffle();
        let task = (
            prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            prop::bool::weighted(0.15),
            prop::bool::weighted(0.3),
            prop::bool::weighted(0.1),
            (prop::sample::select(vec![0, 0, 0, 1, 2, 3]), prop::option::weighted(0.3, asks()), any::<bool>()),
            prop::collection::btree_map(0..4_u8, prop::option::weighted(0.8, 0..3_u8), 0..3),
        );
        (order, prop::collection::vec(task, n_tasks)).prop_map(|(order, tasks)| {
            let mut scripts = vec![None; tasks.len()];
            for (place, (dependencies, fails, optional, at_most_once, more, writes)) in tasks.into_iter().enumerate() {
                let earlier = &order[..place];
                let dependencies = dependencies
                    .iter()
                    .filter(|_| !earlier.is_empty())
                    .map(|index| u32::try_from(*index.get(earlier)).unwrap())
                    .collect();
                let (failures, rule, has_callbacks) = more;
                let script =
                    Script { dependencies, fails, failures, rule, has_callbacks, optional, at_most_once, writes };
                scripts[order[place]] = Some(script);
            }
            scripts.into_iter().map(Option::unwrap).collect()
        })
    })
}

const RETRIES: u32 = 2;

/// The task of a run that has one.
const FIRST: TaskIndex = TaskIndex::new(0);

impl Script {
    fn condition(&self, asks: Asks) -> Condition {
        let first = self.dependencies.first();
        match (asks, first) {
            (Asks::Ended(state), Some(task)) => Condition::Ended { task: NodeId::new(*task), state },
            (Asks::NotEnded(state), Some(task)) => Condition::None(vec![
                Condition::Ended { task: NodeId::new(*task), state },
                Condition::None(vec![Condition::Always]),
            ]),
            (Asks::Key(written), _) => Condition::Any(vec![
                Condition::None(vec![Condition::Always]),
                Condition::Value { key: key(written), op: Operator::Exists, value: None },
            ]),
            (Asks::Always | Asks::Ended(_) | Asks::NotEnded(_), _) => Condition::All(vec![Condition::Always]),
        }
    }

    fn gives_up(&self) -> bool {
        self.fails || self.failures > if self.at_most_once { 0 } else { RETRIES }
    }
}

fn plan_of(scripts: &[Script]) -> Arc<Plan> {
    let tasks = scripts.iter().enumerate().map(|(number, script)| plan::Task {
        optional: script.optional,
        at_most_once: script.at_most_once,
        rule: script.rule.map_or(Rule::AllCompleted, |asks| Rule::When(script.condition(asks))),
        retry: Policy { retries: if script.at_most_once { 0 } else { RETRIES }, ..Policy::default() },
        on_success: script.has_callbacks.then(plan::Function::default),
        on_failure: script.has_callbacks.then(plan::Function::default),
        ..plan::Task::new(format!("t{number}"), plan::Function::default())
    });
    plan::of_tests(scripts.iter().map(|script| &script.dependencies), tasks)
}

fn key(key: u8) -> Key {
    format!("k{key}").into()
}

fn value(value: u8) -> Value {
    RawValue::from_string(value.to_string()).unwrap().into()
}

fn input() -> BTreeMap<Key, Value> {
    [(key(0), value(9)), (key(1), value(8))].into()
}

fn delta(script: &Script) -> Arc<Delta> {
    let mut delta = Delta::default();
    for (written, new) in &script.writes {
        match new {
            Some(new) => drop(delta.set.insert(key(*written), value(*new))),
            None => delta.unset.push(key(*written)),
        }
    }
    Arc::new(delta)
}

/// The numbers of the tasks in the workflow's order.
fn order(plan: &Plan) -> Vec<u32> {
    plan.graph.order().iter().map(|node| node.task().number()).collect()
}

/// The model: everything is found by walking the graph.
struct Model<'a> {
    scripts: &'a [Script],
    order: &'a [u32],
    /// How each task ends.
    outcomes: Vec<task::State>,
}

/// Keys with their last writer (`None` for the input) and value, and all hidden values by writer and key.
type Seen = (Visible, BTreeSet<(u32, Key, String)>);

type Visible = BTreeMap<Key, (Option<u32>, String)>;

/// Writes to one key in order: by whom, and the value unless it is a removal.
type Writes = Vec<(Option<u32>, Option<String>)>;

impl<'a> Model<'a> {
    fn new(scripts: &'a [Script], order: &'a [u32]) -> Self {
        let mut model = Model { scripts, order, outcomes: vec![task::State::Pending; scripts.len()] };
        for task in order {
            model.outcomes[*task as usize] = model.end_of(*task);
        }
        model
    }

    fn ancestors(&self, task: u32) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for parent in &self.scripts[task as usize].dependencies {
            found.insert(*parent);
            found.extend(self.ancestors(*parent));
        }
        found
    }

    fn outcome(&self, task: u32) -> task::State {
        self.outcomes[task as usize]
    }

    /// How a task ends whose dependencies' ends are known.
    fn end_of(&self, task: u32) -> task::State {
        let script = &self.scripts[task as usize];
        let mut ends = script.dependencies.iter().map(|dependency| self.outcome(*dependency));
        let first = ends.clone().next();
        let runs = match script.rule {
            None => ends.all(|end| end == task::State::Completed),
            Some(Asks::Always) => true,
            Some(Asks::Ended(state)) => first.is_none_or(|end| end == state),
            Some(Asks::NotEnded(state)) => first.is_none_or(|end| end != state),
            Some(Asks::Key(written)) => self.overlay(&self.ancestors(task)).0.contains_key(&key(written)),
        };
        match (runs, script.gives_up()) {
            (false, _) => task::State::Skipped,
            (true, true) => task::State::Failed,
            (true, false) => task::State::Completed,
        }
    }

    fn run_state(&self) -> run::State {
        let failed: Vec<&Script> = (0..)
            .zip(self.scripts)
            .filter(|(task, _)| self.outcome(*task) == task::State::Failed)
            .map(|(_, script)| script)
            .collect();
        if failed.iter().any(|script| !script.optional) {
            run::State::Failed
        } else if failed.is_empty() {
            run::State::Completed
        } else {
            run::State::PartiallyCompleted
        }
    }

    /// The input overlaid, in the order, with the deltas of those tasks.
    fn overlay(&self, tasks: &BTreeSet<u32>) -> Seen {
        let mut writes: BTreeMap<Key, Writes> = BTreeMap::new();
        for (key, value) in input() {
            writes.entry(key).or_default().push((None, Some(value.get().to_owned())));
        }
        for task in self.order.iter().filter(|task| tasks.contains(task)) {
            if self.outcome(*task) == task::State::Completed {
                for (written, new) in &self.scripts[*task as usize].writes {
                    writes.entry(key(*written)).or_default().push((Some(*task), new.map(|new| new.to_string())));
                }
            }
        }
        let (mut visible, mut hidden) = (BTreeMap::new(), BTreeSet::new());
        for (key, mut writes) in writes {
            if let Some((writer, Some(value))) = writes.pop() {
                visible.insert(key.clone(), (writer, value));
            }
            for (writer, value) in writes {
                if let (Some(writer), Some(value)) = (writer, value) {
                    hidden.insert((writer, key.clone(), value));
                }
            }
        }
        (visible, hidden)
    }

    /// All pairs of tasks that wrote different values to one key with neither upstream of the other.
    fn conflicts(&self) -> BTreeSet<Conflict> {
        let mut conflicts = BTreeSet::new();
        for (place, winner) in self.order.iter().enumerate() {
            for loser in &self.order[..place] {
                let both_completed = [winner, loser].iter().all(|task| self.outcome(**task) == task::State::Completed);
                if !both_completed || self.ancestors(*winner).contains(loser) {
                    continue;
                }
                let (winner_writes, loser_writes) =
                    (&self.scripts[*winner as usize].writes, &self.scripts[*loser as usize].writes);
                for (written, new) in winner_writes {
                    if loser_writes.get(written).is_some_and(|other| other != new) {
                        let (winner, loser) = (NodeId::new(*winner), NodeId::new(*loser));
                        conflicts.insert(Conflict { key: key(*written), winner, loser });
                    }
                }
            }
        }
        conflicts
    }
}

/// A run that is driven by chance, with the history that a store would have.
struct Live<'a> {
    scripts: &'a [Script],
    run: Run,
    history: Vec<Transition>,
    ready: Vec<u32>,
    running: Vec<(u32, u32)>,
    waiting: Vec<u32>,
    callbacks: Vec<u32>,
    conflicts: Vec<Conflict>,
}

impl<'a> Live<'a> {
    fn new(scripts: &'a [Script], plan: &Arc<Plan>) -> Self {
        let run = Run::new(plan.clone(), &input());
        Self {
            scripts,
            run,
            history: Vec::new(),
            ready: Vec::new(),
            running: Vec::new(),
            waiting: Vec::new(),
            callbacks: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    fn apply(&mut self, event: Event) {
        let decision = decide(&mut self.run, event, now()).unwrap();
        self.take(decision);
    }

    fn take(&mut self, decision: Decision) {
        for transition in decision.transitions.into_iter().filter(Transition::is_stored) {
            if let Transition::ContextConflict(conflict) = &transition {
                self.conflicts.push(conflict.clone());
            }
            self.history.push(transition);
        }
        for effect in decision.effects {
            match effect {
                Effect::Enqueue { task } => self.ready.push(task.number()),
                Effect::EnqueueCallback { task } => self.callbacks.push(task.number()),
                Effect::Perform { task, attempt } => self.running.push((task.number(), attempt)),
                Effect::WakeTask { task, .. } => self.waiting.push(task.number()),
                _ => {}
            }
        }
    }

    /// Does one of the things that can happen next; false if the run has ended.
    /// One attempt in so many is lost with its process.
    fn step_losing(&mut self, choice: usize) -> bool {
        let running = self.running.iter().position(|(task, _)| !self.scripts[*task as usize].at_most_once);
        match running.filter(|_| choice.is_multiple_of(5)) {
            Some(place) => {
                let (task, attempt) = self.running.swap_remove(place);
                self.apply(Event::End { task: TaskIndex::new(task), attempt, end: End::Lost });
                true
            }
            None => self.step(choice),
        }
    }

    fn step(&mut self, choice: usize) -> bool {
        let n_choices = self.ready.len() + self.running.len() + self.waiting.len() + self.callbacks.len();
        if n_choices == 0 {
            return false;
        }
        let mut choice = choice % n_choices;
        if choice < self.ready.len() {
            let task = self.ready.swap_remove(choice);
            // A driver does the same: a task that is turned away is ready again when the gate opens.
            match decide(&mut self.run, Event::StartAttempt { task: TaskIndex::new(task) }, now()) {
                Ok(decision) => self.take(decision),
                Err(refused) => assert!(matches!(refused, Refused::Gated | Refused::Task(_)), "{refused}"),
            }
            return true;
        }
        choice -= self.ready.len();
        if choice < self.running.len() {
            let (task, attempt) = self.running.swap_remove(choice);
            let script = &self.scripts[task as usize];
            let n_failures = self.run.tasks()[task as usize].n_failures;
            let end = if script.fails {
                End::Failed(Failure::default())
            } else if n_failures < script.failures {
                End::Failed(Failure { retryable: true, ..Failure::default() })
            } else {
                End::Completed(delta(script))
            };
            self.apply(Event::End { task: TaskIndex::new(task), attempt, end });
            return true;
        }
        choice -= self.running.len();
        if choice < self.waiting.len() {
            let task = self.waiting.swap_remove(choice);
            match decide(&mut self.run, Event::Due { task: TaskIndex::new(task) }, now()) {
                Ok(decision) => self.take(decision),
                Err(refused) => assert!(matches!(refused, Refused::Task(_)), "{refused}"),
            }
            return true;
        }
        let task = self.callbacks.swap_remove(choice - self.waiting.len());
        // It is ready again when a gate opens, and given up with a run that is being ended.
        match decide(
            &mut self.run,
            Event::CallbackEnded { task: TaskIndex::new(task), failed: choice.is_multiple_of(2) },
            now(),
        ) {
            Ok(decision) => self.take(decision),
            Err(refused) => assert_eq!(refused, Refused::NoCallback),
        }
        true
    }

    fn seen(&self, task: u32) -> Seen {
        let plan = self.run.plan();
        let order = order(plan);
        let writer = |rank: u32| order[rank as usize];
        let (mut visible, mut hidden) = (BTreeMap::new(), BTreeSet::new());
        for (key, write) in self.run.view(TaskIndex::new(task)).unwrap().iter() {
            if let Some(value) = write.value() {
                visible.insert(key.clone(), (write.rank().map(writer), value.get().to_owned()));
            }
            for write in write.hidden() {
                if let (Some(rank), Some(value)) = (write.rank(), write.value()) {
                    hidden.insert((writer(rank), key.clone(), value.get().to_owned()));
                }
            }
        }
        (visible, hidden)
    }

    fn context(&self) -> Visible {
        let context = self.run.context().into_iter();
        context.map(|(key, (writer, value))| (key, (writer.map(number), value.get().to_owned()))).collect()
    }

    fn states(&self) -> Vec<task::State> {
        self.run.tasks().iter().map(Task::state).collect()
    }
}

fn number(node: NodeId) -> u32 {
    node.task().number()
}

/// What must be the same after a replay. A start that was not stored is not known, so running counts as ready.
fn durable(run: &Run) -> (run::State, Vec<Task>, Visible) {
    let tasks = run.tasks().iter().cloned().map(|mut task| {
        // That a retry is due is not stored either; the time tells it again.
        if let TaskStage::Running { .. } | TaskStage::Waiting { .. } = task.stage {
            task.stage = TaskStage::Ready;
        }
        task
    });
    let context =
        run.context().into_iter().map(|(key, (writer, value))| (key, (writer.map(number), value.get().to_owned())));
    (run.state(), tasks.collect(), context.collect())
}

/// The run that the history tells of.
fn fold(plan: &Arc<Plan>, history: &[Transition]) -> Run {
    let mut replay = Replay::new(Run::new(plan.clone(), &input()));
    for transition in history {
        replay.apply(transition, now()).unwrap();
    }
    replay.end(now()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn runs_end_as_the_model_says_in_every_order(
        scripts in scripts(),
        choices in prop::collection::vec(any::<usize>(), 24..=24),
    ) {
        let plan = plan_of(&scripts);
        let order = order(&plan);
        let model = Model::new(&scripts, &order);
        let mut live = Live::new(&scripts, &plan);
        live.apply(Event::Start { by: None });
        for choice in choices {
            for task in live.ready.clone() {
                prop_assert_eq!(live.seen(task), model.overlay(&model.ancestors(task)));
            }
            live.step_losing(choice);
        }
        while live.step(0) {}
        let tasks: BTreeSet<u32> = (0..).take(scripts.len()).collect();
        let expected: Vec<task::State> = tasks.iter().map(|task| model.outcome(*task)).collect();
        prop_assert_eq!(live.states(), expected);
        prop_assert_eq!(live.run.state(), model.run_state());
        prop_assert_eq!(live.context(), model.overlay(&tasks).0);

        let reported: BTreeSet<Conflict> = live.conflicts.iter().cloned().collect();
        prop_assert_eq!(reported.len(), live.conflicts.len(), "a conflict is told once");
        let possible = model.conflicts();
        prop_assert!(reported.is_subset(&possible), "{reported:?} against {possible:?}");
        let keys = |conflicts: &BTreeSet<Conflict>| -> BTreeSet<Key> {
            conflicts.iter().map(|conflict| conflict.key.clone()).collect()
        };
        prop_assert_eq!(keys(&reported), keys(&possible), "no key's conflict stays unknown");
    }

    #[test]
    fn a_replay_rebuilds_what_was_there_and_interruptions_change_no_result(
        scripts in scripts(),
        choices in prop::collection::vec(any::<usize>(), 24..=24),
        crash_after in 0..24_usize,
        closed_in_order in any::<bool>(),
    ) {
        // Otherwise an interruption is meant to change the result.
        let scripts: Vec<Script> =
            scripts.into_iter().map(|script| Script { at_most_once: false, ..script }).collect();
        let plan = plan_of(&scripts);
        let order = order(&plan);
        let model = Model::new(&scripts, &order);
        let mut live = Live::new(&scripts, &plan);
        live.apply(Event::Start { by: None });
        for choice in &choices[..crash_after] {
            live.step_losing(*choice);
        }
        let mut again = Live::new(&scripts, &plan);
        again.run = fold(&plan, &live.history);
        prop_assert_eq!(durable(&again.run), durable(&live.run));

        again.history = live.history;
        let decision = recover(&mut again.run, closed_in_order, now()).unwrap();
        let n_ready = again.states().iter().filter(|state| **state == task::State::Ready).count();
        again.take(decision);
        prop_assert_eq!(again.ready.len(), n_ready, "each task that may run is ready once");
        while again.step(choices[0]) {}
        let expected: Vec<task::State> = (0..).take(scripts.len()).map(|task| model.outcome(task)).collect();
        prop_assert_eq!(again.states(), expected);
        prop_assert_eq!(again.context(), model.overlay(&(0..).take(scripts.len()).collect()).0);
    }

    #[test]
    fn whatever_people_ask_runs_end_and_replays_agree(
        scripts in scripts(),
        choices in prop::collection::vec((any::<usize>(), 0..15_u8), 40..=40),
        crash in any::<bool>(),
    ) {
        let plan = plan_of(&scripts);
        let mut live = Live::new(&scripts, &plan);
        live.apply(Event::Start { by: None });
        let mut was_asked = None;
        for (choice, asked) in choices {
            let by: Actor = "ada".into();
            let event = match asked {
                0 => Event::Pause { by },
                1 | 2 => Event::Resume { by },
                3 => Event::Cancel { by },
                13 => Event::Quarantine(Some(Quarantine { reason: "it crashed".into(), until: None, is_here: false })),
                14 => Event::Quarantine(None),
                4 => Event::TimeOut,
                5 => Event::RetryNow { task: TaskIndex::at(choice % scripts.len()), by },
                6 => Event::Release { task: TaskIndex::at(choice % scripts.len()), by },
                _ => {
                    live.step(choice);
                    continue;
                }
            };
            let before = live.run.content();
            match decide(&mut live.run, event, now()) {
                Ok(decision) => {
                    was_asked = was_asked.or([3, 4].contains(&asked).then_some(asked));
                    live.take(decision);
                }
                Err(_) => prop_assert_eq!(before, live.run.content(), "what is refused changes nothing"),
            }
        }
        let mut again = Live::new(&scripts, &plan);
        again.run = fold(&plan, &live.history);
        prop_assert_eq!(durable(&again.run), durable(&live.run));
        if crash && !live.run.state().is_terminal() {
            let decision = recover(&mut again.run, false, now()).unwrap();
            again.history = live.history;
            again.take(decision);
            live = again;
        }
        for event in [Event::Resume { by: "ada".into() }, Event::Quarantine(None)] {
            if let Ok(decision) = decide(&mut live.run, event, now()) {
                live.take(decision);
            }
        }
        while live.step(0) {}
        prop_assert!(live.run.state().is_terminal(), "{:?}", live.run);
        prop_assert!(live.states().iter().all(|state| state.is_terminal()));
        match was_asked {
            Some(3) => prop_assert_eq!(live.run.state(), run::State::Cancelled),
            Some(_) => prop_assert_eq!(live.run.state(), run::State::Failed),
            None => prop_assert!(live.run.state() != run::State::Cancelled),
        }
    }

    #[test]
    fn events_that_make_no_sense_are_refused_and_change_nothing(
        scripts in scripts(),
        events in prop::collection::vec((0..4_u8, 0..14_u32, 1..3_u32), 0..60),
    ) {
        let plan = plan_of(&scripts);
        let mut run = Run::new(plan, &input());
        for (kind, task, attempt) in events {
            let event = match kind {
                0 => Event::Start { by: None },
                1 => Event::StartAttempt { task: TaskIndex::new(task) },
                2 => Event::Interrupt { task: TaskIndex::new(task) },
                _ => {
                    let script = scripts.get(task as usize);
                    Event::End { task: TaskIndex::new(task), attempt, end: End::Completed(script.map(delta).unwrap_or_default()) }
                }
            };
            let before = run.content();
            let refused = decide(&mut run, event, now()).is_err();
            let after = run.content();
            if refused {
                prop_assert_eq!(before, after);
                continue;
            }
            for (before, after) in before.tasks.iter().zip(&after.tasks) {
                prop_assert!(!before.state().is_terminal() || before == after, "nothing leaves a terminal state");
            }
            prop_assert!(!before.stage.state().is_terminal(), "nothing happens to a run that has ended");
        }
    }
}

#[test]
fn a_run_without_tasks_completes_at_once() {
    let mut run = Run::new(plan_of(&[]), &input());
    let decision = decide(&mut run, Event::Start { by: None }, now()).unwrap();
    assert_eq!(run.state(), run::State::Completed);
    assert_eq!(decision.effects, [Effect::Finish]);
}

fn single(at_most_once: bool) -> Vec<Script> {
    let dependencies = BTreeSet::new();
    vec![Script {
        dependencies,
        fails: false,
        failures: 0,
        rule: None,
        has_callbacks: false,
        optional: false,
        at_most_once,
        writes: BTreeMap::new(),
    }]
}

#[test]
fn a_task_fails_after_interruptions_in_a_row() {
    let scripts = single(false);
    let mut live = Live::new(&scripts, &plan_of(&scripts));
    live.apply(Event::Start { by: None });
    for n_interruptions in 1..=INTERRUPTIONS_MAX {
        assert_eq!(live.run.state(), run::State::Running);
        live.step(0);
        let is_start = |stored: &&Transition| matches!(stored, Transition::AttemptStarted { .. });
        let starts = live.history.iter().filter(is_start).count();
        assert_eq!(starts as u32, n_interruptions - 1, "after the first interruption starts are durable");
        live.running.clear();
        let decision = recover(&mut live.run, false, now()).unwrap();
        live.take(decision);
    }
    assert_eq!(live.run.state(), run::State::Failed);
    assert_eq!(live.run.tasks()[0].fail_reason(), Some(FailReason::Interrupted));
}

#[test]
fn a_guess_about_a_task_that_never_ran_does_not_count_twice() {
    let scripts = single(false);
    let mut live = Live::new(&scripts, &plan_of(&scripts));
    live.apply(Event::Start { by: None });
    for _ in 0..5 {
        let decision = recover(&mut live.run, false, now()).unwrap();
        live.take(decision);
    }
    assert_eq!((live.run.tasks()[0].state(), live.run.tasks()[0].n_interruptions), (task::State::Ready, 1));
}

#[test]
fn what_may_start_once_starts_durably_and_is_never_started_again() {
    let scripts = single(true);
    let mut live = Live::new(&scripts, &plan_of(&scripts));
    live.apply(Event::Start { by: None });
    let decision = recover(&mut live.run, false, now()).unwrap();
    assert!(decision.transitions.is_empty(), "it has certainly not been started");
    live.step(0);
    assert!(matches!(live.history.last(), Some(Transition::AttemptStarted { task: FIRST, .. })));
    let decision = recover(&mut live.run, true, now()).unwrap();
    live.take(decision);
    assert_eq!(live.run.state(), run::State::Failed);
}

#[test]
fn what_is_lost_runs_again_at_once_however_often_unless_it_may_start_only_once() {
    for at_most_once in [false, true] {
        let scripts = single(at_most_once);
        let mut live = Live::new(&scripts, &plan_of(&scripts));
        live.apply(Event::Start { by: None });
        for attempt in 1..=10 {
            live.step(0);
            live.running.clear();
            live.apply(Event::End { task: FIRST, attempt, end: End::Lost });
            let task = &live.run.tasks()[0];
            let expected = if at_most_once { task::State::Failed } else { task::State::Ready };
            assert_eq!((task.state(), task.n_failures, task.n_interruptions), (expected, 0, 0));
            assert_eq!(task.fail_reason(), Some(FailReason::Lost));
            if at_most_once {
                break;
            }
        }
    }
}

#[test]
fn what_did_not_begin_runs_again_even_if_it_may_start_only_once() {
    let scripts = single(true);
    let mut live = Live::new(&scripts, &plan_of(&scripts));
    live.apply(Event::Start { by: None });
    for attempt in 1..=10 {
        live.step(0);
        assert_eq!(live.running, [(0, attempt)]);
        live.running.clear();
        live.apply(Event::End { task: FIRST, attempt, end: End::NotBegun });
        assert_eq!((live.states(), live.run.tasks()[0].n_failures), (vec![task::State::Ready], 0));
    }
    let replayed = fold(live.run.plan(), &live.history);
    assert_eq!(replayed.tasks(), live.run.tasks());
    live.step(0);
    live.step(0);
    assert_eq!(live.run.state(), run::State::Completed);
}

#[test]
fn nothing_of_a_quarantined_package_starts_and_cancelling_needs_none_of_it() {
    let scripts = [Script { has_callbacks: true, ..single(false).remove(0) }];
    let quarantine =
        || Event::Quarantine(Some(Quarantine { reason: "it crashed".into(), until: Some(now()), is_here: false }));
    let plan = plan_of(&scripts);
    let mut live = Live::new(&scripts, &plan);
    live.apply(Event::Start { by: None });
    live.apply(quarantine());
    live.step(0);
    assert_eq!((live.running.len(), live.ready.len()), (0, 0));
    let gates = explain::gates(&live.run, FIRST);
    assert!(matches!(gates.as_slice(), [explain::Gate::Quarantined { until: Some(_), .. }]), "{gates:?}");
    live.apply(Event::Quarantine(None));
    assert_eq!(live.ready, [0]);
    live.step(0);
    // What is under way may end.
    live.apply(quarantine());
    live.step(0);
    assert_eq!((live.states(), live.callbacks.as_slice()), (vec![task::State::Completed], [0].as_slice()));
    assert_eq!((live.run.callback(FIRST).is_some(), live.run.state()), (false, run::State::Running));
    live.apply(Event::Cancel { by: "ada".into() });
    assert_eq!(live.run.state(), run::State::Cancelled);
}

#[test]
fn a_late_end_is_stale() {
    let scripts = single(false);
    let mut live = Live::new(&scripts, &plan_of(&scripts));
    live.apply(Event::Start { by: None });
    live.step(0);
    live.apply(Event::Interrupt { task: FIRST });
    let late = Event::End { task: FIRST, attempt: 1, end: End::Completed(Arc::default()) };
    let refused = decide(&mut live.run, late, now()).unwrap_err();
    assert_eq!(refused, Refused::Stale { attempt: 1, current: 2 });
}

#[test]
fn long_chains_of_writes_are_dropped_without_recursion() {
    let n_tasks: u32 = 50_000;
    let scripts: Vec<Script> = (0..n_tasks)
        .map(|task| Script {
            dependencies: task.checked_sub(1).into_iter().collect(),
            fails: false,
            failures: 0,
            rule: None,
            has_callbacks: false,
            optional: false,
            at_most_once: false,
            writes: [(0, Some(1))].into(),
        })
        .collect();
    let mut live = Live::new(&scripts, &plan_of(&scripts));
    live.apply(Event::Start { by: None });
    while live.step(0) {}
    assert_eq!(live.run.state(), run::State::Completed);
    assert_eq!(live.conflicts, []);
}
