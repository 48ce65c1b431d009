//! Tasks that start as soon as their rules are decided, over random graphs and orders of events.
//!
//! The model knows nothing of three answers: it tries out every end of what is open. What a task sees is followed from
//! the transitions alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cloacina_workflow::{Timestamp, payload::Delta};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{
    apply::Run,
    context::{Key, Value},
    decide::{End, Event, decide},
    effect::{Conflict, Decision, Effect, Transition},
    node::{NodeId, TaskIndex},
    plan::{self, Plan},
    replay::{Replay, recover},
    retry::Failure,
    rule::{Condition, Rule, When},
    stage::{Task, TaskStage},
    task::State,
};

const ENDS: [State; 3] = [State::Completed, State::Failed, State::Skipped];

fn now() -> Timestamp {
    Timestamp::from_unix_micros(1)
}

/// What a task will do, and when.
#[derive(Clone, Debug)]
struct Script {
    /// Earlier tasks.
    dependencies: BTreeSet<u32>,
    rule: Asks,
    when: When,
    fails: bool,
    /// The values of two keys.
    writes: [Option<u8>; 2],
}

/// A rule over all dependencies, or over one task that may be further up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    AllCompleted,
    Always,
    Any(State),
    All(State),
    None(State),
    Far(u32, State),
}

impl Asks {
    /// The rule of a task with those dependencies.
    pub(super) fn rule<'a>(self, dependencies: impl IntoIterator<Item = &'a u32>) -> Rule {
        let one = |task, state| Condition::Ended { task: NodeId::new(task), state };
        let all = |state| dependencies.into_iter().map(|task| one(*task, state)).collect();
        match self {
            Self::AllCompleted => Rule::AllCompleted,
            Self::Always => Rule::When(Condition::Always),
            Self::Any(state) => Rule::When(Condition::Any(all(state))),
            Self::All(state) => Rule::When(Condition::All(all(state))),
            Self::None(state) => Rule::When(Condition::None(all(state))),
            Self::Far(task, state) => Rule::When(one(task, state)),
        }
    }
}

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let end = || prop::sample::select(ENDS.to_vec());
    let asks = prop_oneof![
        2 => Just(Asks::AllCompleted),
        1 => Just(Asks::Always),
        3 => end().prop_map(Asks::Any),
        2 => end().prop_map(Asks::All),
        2 => end().prop_map(Asks::None),
        2 => (any::<u32>(), end()).prop_map(|(task, end)| Asks::Far(task, end)),
    ];
    let when = prop::sample::select(vec![When::Terminal, When::Decided, When::Decided]);
    let writes = prop::array::uniform2(prop::option::weighted(0.5, 0..3_u8));
    let task = (prop::collection::vec(any::<u32>(), 0..4), asks, when, prop::bool::weighted(0.3), writes);
    prop::collection::vec(task, 1..10).prop_map(|tasks| {
        let mut scripts: Vec<Script> = Vec::new();
        for ((above, mut rule, when, fails, writes), place) in tasks.into_iter().zip(0..) {
            let dependencies = above.into_iter().filter(|_| place > 0).map(|task| task % place).collect();
            scripts.push(Script { dependencies, rule, when, fails, writes });
            let ancestors: Vec<u32> = ancestors(&scripts, place).into_iter().collect();
            if let Asks::Far(task, end) = rule {
                rule = match ancestors.as_slice() {
                    [] => Asks::Always,
                    _ => Asks::Far(ancestors[task as usize % ancestors.len()], end),
                };
            }
            scripts[place as usize].rule = rule;
        }
        scripts
    })
}

fn ancestors(scripts: &[Script], task: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for parent in &scripts[task as usize].dependencies {
        found.insert(*parent);
        found.extend(ancestors(scripts, *parent));
    }
    found
}

fn plan_of(scripts: &[Script]) -> Arc<Plan> {
    let tasks = scripts.iter().zip(0_u32..).map(|(script, number)| {
        let rule = script.rule.rule(&script.dependencies);
        plan::Task { rule, when: script.when, ..plan::Task::new(format!("t{number}"), plan::Function::default()) }
    });
    plan::of_tests(scripts.iter().map(|script| &script.dependencies), tasks)
}

fn delta(script: &Script) -> Arc<Delta> {
    let mut delta = Delta::default();
    for (value, key) in script.writes.iter().zip(["k0", "k1"]) {
        if let Some(value) = value {
            delta.set.insert(key.into(), RawValue::from_string(value.to_string()).unwrap().into());
        }
    }
    Arc::new(delta)
}

/// Whether the rule holds for those ends.
fn holds(script: &Script, end: &dyn Fn(u32) -> State) -> bool {
    let mut ends = script.dependencies.iter().map(|task| end(*task));
    match script.rule {
        Asks::Always => true,
        Asks::AllCompleted => ends.all(|end| end == State::Completed),
        Asks::Any(state) => ends.any(|end| end == state),
        Asks::All(state) => ends.all(|end| end == state),
        Asks::None(state) => ends.all(|end| end != state),
        Asks::Far(task, state) => end(task) == state,
    }
}

/// The answer of a rule that no end of an open task can change.
fn decided(script: &Script, states: &[State]) -> Option<bool> {
    let mut seen: BTreeSet<u32> = script.dependencies.clone();
    seen.extend(if let Asks::Far(task, _) = script.rule { Some(task) } else { None });
    let open: Vec<u32> = seen.into_iter().filter(|task| !states[*task as usize].is_terminal()).collect();
    let mut answers = BTreeSet::new();
    for choice in 0..3_usize.pow(open.len() as u32) {
        let end = |task: u32| match open.iter().position(|other| *other == task) {
            Some(place) => ENDS[choice / 3_usize.pow(place as u32) % 3],
            None => states[task as usize],
        };
        answers.insert(holds(script, &end));
    }
    (answers.len() == 1).then(|| answers.contains(&true))
}

/// How all tasks end, in whatever order.
fn ends(scripts: &[Script]) -> Vec<State> {
    let mut ends: Vec<State> = Vec::new();
    for script in scripts {
        let runs = holds(script, &|task| ends[task as usize]);
        ends.push(match (runs, script.fails) {
            (false, _) => State::Skipped,
            (true, true) => State::Failed,
            (true, false) => State::Completed,
        });
    }
    ends
}

type Seen = BTreeMap<Key, (u32, String)>;

fn number(node: NodeId) -> u32 {
    node.task().number()
}

fn shown(key: &Key, writer: u32, value: &Value) -> (Key, (u32, String)) {
    (key.clone(), (writer, value.get().to_owned()))
}

/// A run that is driven by chance.
struct Live<'a> {
    scripts: &'a [Script],
    run: Run,
    history: Vec<Transition>,
    ready: Vec<u32>,
    running: Vec<(u32, u32)>,
    /// Of which tasks each one sees what they wrote: those that had ended among its dependencies, and what these saw.
    visible: BTreeMap<u32, BTreeSet<u32>>,
    ended: BTreeSet<u32>,
    conflicts: BTreeSet<Conflict>,
}

impl<'a> Live<'a> {
    fn new(scripts: &'a [Script], plan: &Arc<Plan>) -> Self {
        Self {
            scripts,
            run: Run::new(plan.clone(), &BTreeMap::new()),
            history: Vec::new(),
            ready: Vec::new(),
            running: Vec::new(),
            visible: BTreeMap::new(),
            ended: BTreeSet::new(),
            conflicts: BTreeSet::new(),
        }
    }

    fn apply(&mut self, event: Event) {
        let decision = decide(&mut self.run, event, now()).unwrap();
        self.take(decision);
    }

    fn take(&mut self, decision: Decision) {
        for transition in decision.transitions.into_iter().filter(Transition::is_stored) {
            match &transition {
                Transition::TaskCompleted { task, .. } | Transition::TaskFailed { task, .. } => {
                    self.ended.insert(task.number());
                }
                Transition::TaskSkipped { task, .. } => {
                    self.see(task.number());
                    self.ended.insert(task.number());
                }
                Transition::ContextConflict(conflict) => {
                    assert!(self.conflicts.insert(conflict.clone()), "a conflict is told once");
                }
                _ => {}
            }
            self.history.push(transition);
        }
        for effect in decision.effects {
            match effect {
                Effect::Enqueue { task } => {
                    let task = task.number();
                    if !self.visible.contains_key(&task) {
                        self.see(task);
                    }
                    self.ready.push(task);
                }
                Effect::Perform { task, attempt } => self.running.push((task.number(), attempt)),
                _ => {}
            }
        }
    }

    fn see(&mut self, task: u32) {
        let parents = self.scripts[task as usize].dependencies.intersection(&self.ended);
        let mut visible = BTreeSet::new();
        for parent in parents {
            visible.insert(*parent);
            visible.extend(&self.visible[parent]);
        }
        self.visible.insert(task, visible);
    }

    /// What those of the tasks wrote that completed; the later in the source wins.
    fn overlay(&self, tasks: &BTreeSet<u32>) -> Seen {
        let completed = tasks.iter().filter(|task| self.states()[**task as usize] == State::Completed);
        let writes = completed.flat_map(|task| {
            let delta = delta(&self.scripts[*task as usize]);
            delta.set.iter().map(|(key, value)| shown(key, *task, value)).collect::<Vec<_>>()
        });
        writes.collect()
    }

    /// Does one of the things that can happen next; false if there is none.
    fn step(&mut self, choice: usize) -> bool {
        let n_choices = self.ready.len() + self.running.len();
        if n_choices == 0 {
            return false;
        }
        let choice = choice % n_choices;
        if let Some(place) = choice.checked_sub(self.ready.len()) {
            let (task, attempt) = self.running.swap_remove(place);
            // Whatever has ended since it became ready, it sees the same.
            self.check_view(task);
            let script = &self.scripts[task as usize];
            let end = if script.fails { End::Failed(Failure::default()) } else { End::Completed(delta(script)) };
            self.apply(Event::End { task: TaskIndex::new(task), attempt, end });
        } else {
            let task = self.ready.swap_remove(choice);
            self.check_view(task);
            self.apply(Event::StartAttempt { task: TaskIndex::new(task) });
        }
        self.check_decided();
        true
    }

    /// What the task sees, while it may run.
    fn seen(&self, task: u32) -> Option<Seen> {
        let order = self.run.plan().graph.order();
        let writes = self.run.view(TaskIndex::new(task))?.iter();
        Some(
            writes
                .map(|(key, write)| shown(key, number(order[write.rank().unwrap() as usize]), write.value().unwrap()))
                .collect(),
        )
    }

    fn check_view(&self, task: u32) {
        let visible = &self.visible[&task];
        assert_eq!(self.seen(task).unwrap(), self.overlay(visible), "{task} sees {visible:?}");
    }

    /// No task waits whose rule is decided, and none has moved whose rule is not.
    fn check_decided(&self) {
        let states = self.states();
        for (script, task) in self.scripts.iter().zip(0_u32..) {
            let is_open = script.dependencies.iter().any(|parent| !states[*parent as usize].is_terminal());
            let answer = decided(script, &states).filter(|_| script.when == When::Decided || !is_open);
            let moved = match states[task as usize] {
                State::Pending => None,
                State::Skipped => Some(false),
                _ => Some(true),
            };
            assert_eq!(moved, answer, "{task} of {:?} at {states:?}", self.scripts);
        }
    }

    fn states(&self) -> Vec<State> {
        self.run.tasks().iter().map(Task::state).collect()
    }

    /// What a replay must bring back: first starts are not stored.
    fn durable(&self) -> (Vec<Task>, Vec<Option<Seen>>) {
        let tasks = self.run.tasks().iter().cloned().map(|mut task| {
            if let TaskStage::Running { .. } = task.stage {
                task.stage = TaskStage::Ready;
            }
            task
        });
        let states = self.states();
        let view = |task: u32| self.seen(task).filter(|_| !states[task as usize].is_terminal());
        (tasks.collect(), (0..).take(self.scripts.len()).map(view).collect())
    }
}

/// The run that the history tells of.
fn fold(plan: &Arc<Plan>, history: &[Transition]) -> Run {
    let mut replay = Replay::new(Run::new(plan.clone(), &BTreeMap::new()));
    for transition in history {
        replay.apply(transition, now()).unwrap();
    }
    replay.end(now()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tasks_start_when_their_rules_are_decided_and_end_the_same_in_every_order(
        scripts in scripts(),
        choices in prop::collection::vec(any::<usize>(), 20..=20),
    ) {
        let plan = plan_of(&scripts);
        let mut live = Live::new(&scripts, &plan);
        live.apply(Event::Start { by: None });
        live.check_decided();
        for choice in choices {
            live.step(choice);
        }
        while live.step(0) {}
        prop_assert!(live.run.state().is_terminal());
        prop_assert_eq!(live.states(), ends(&scripts));
        let all = live.overlay(&(0..).take(scripts.len()).collect());
        let context = live.run.context();
        let context: Seen = context.iter().map(|(key, (writer, value))| shown(key, number(writer.unwrap()), value)).collect();
        prop_assert_eq!(context, all);

        // Of each key that two tasks wrote differently without seeing each other something is told.
        let differ = |winner: u32, loser: u32| {
            let pairs = scripts[winner as usize].writes.iter().zip(&scripts[loser as usize].writes).zip(["k0", "k1"]);
            let keys = pairs.filter(|((one, other), _)| one.is_some() && other.is_some() && one != other);
            keys.map(move |(_, key)| Conflict {
                key: key.into(),
                winner: NodeId::new(winner),
                loser: NodeId::new(loser),
            }).collect::<Vec<_>>()
        };
        let states = live.states();
        let completed: Vec<u32> =
            (0..).take(scripts.len()).filter(|task| states[*task as usize] == State::Completed).collect();
        let apart = completed.iter().flat_map(|winner| completed.iter().map(move |loser| (*winner, *loser)));
        let rank = |task: u32| plan.graph.rank(NodeId::new(task));
        let apart = apart.filter(|(winner, loser)| rank(*winner) > rank(*loser) && !live.visible[winner].contains(loser));
        let possible: BTreeSet<Conflict> = apart.flat_map(|(winner, loser)| differ(winner, loser)).collect();
        prop_assert!(live.conflicts.is_subset(&possible), "{:?} against {possible:?}", live.conflicts);
        let keys = |conflicts: &BTreeSet<Conflict>| -> BTreeSet<Key> {
            conflicts.iter().map(|conflict| conflict.key.clone()).collect()
        };
        prop_assert_eq!(keys(&live.conflicts), keys(&possible));
    }

    #[test]
    fn a_replay_brings_back_what_each_task_sees(
        scripts in scripts(),
        choices in prop::collection::vec(any::<usize>(), 20..=20),
        crash_after in 0..20_usize,
        closed_in_order in any::<bool>(),
    ) {
        let plan = plan_of(&scripts);
        let mut live = Live::new(&scripts, &plan);
        live.apply(Event::Start { by: None });
        for choice in &choices[..crash_after] {
            live.step(*choice);
        }
        let mut again = Live::new(&scripts, &plan);
        again.run = fold(&plan, &live.history);
        prop_assert_eq!(again.durable(), live.durable());
        (again.visible, again.ended) = (live.visible.clone(), live.ended.clone());
        let decision = recover(&mut again.run, closed_in_order, now()).unwrap();
        again.take(decision);
        while again.step(choices[0]) {}
        prop_assert_eq!(again.states(), ends(&scripts));
    }
}
