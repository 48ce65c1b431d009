//! That the fold of what was stored is the run that lived, whenever the engine dies: over random graphs with every kind of
//! task and rule, and over random events, what people ask included.
//!
//! A fold knows all but what is not stored by design. The test adds just that, by name, and compares everything else.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::{Timestamp, descriptor::Operator, payload::Delta};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{
    apply::{Content, Run},
    context::{Key, Value},
    decide::{End, Event, decide},
    early_tests::Asks,
    effect::{Decision, Effect, FailReason, Transition},
    node::TaskIndex,
    plan::{self, Plan},
    replay::{Replay, recover},
    retry::{Failure, Policy},
    rule::{Condition, Rule, When},
    stage::{Quarantine, TaskStage},
    task,
};

/// What was declared for a task, and what it writes. How its attempts end is up to chance.
#[derive(Clone, Debug)]
struct Script {
    /// Earlier tasks.
    dependencies: Vec<u32>,
    rule: Looks,
    when: When,
    optional: bool,
    at_most_once: bool,
    has_callbacks: bool,
    writes: [Option<u8>; 2],
}

/// A rule over tasks, or over a key.
#[derive(Clone, Copy, Debug)]
enum Looks {
    Tasks(Asks),
    Key,
}

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let end = || prop::sample::select(vec![task::State::Completed, task::State::Failed, task::State::Skipped]);
    let asks = prop_oneof![
        4 => Just(Looks::Tasks(Asks::AllCompleted)),
        1 => Just(Looks::Tasks(Asks::Always)),
        2 => end().prop_map(|end| Looks::Tasks(Asks::Any(end))),
        2 => end().prop_map(|end| Looks::Tasks(Asks::None(end))),
        2 => (any::<u32>(), end()).prop_map(|(task, end)| Looks::Tasks(Asks::Far(task, end))),
        1 => Just(Looks::Key),
    ];
    let task = (
        prop::collection::vec(any::<u32>(), 0..4),
        asks,
        any::<bool>(),
        (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.3)),
        prop::array::uniform2(prop::option::weighted(0.4, 0..3_u8)),
    );
    prop::collection::vec(task, 1..10).prop_map(|tasks| {
        let mut scripts: Vec<Script> = Vec::new();
        for ((above, rule, is_early, (optional, at_most_once, has_callbacks), writes), place) in
            tasks.into_iter().zip(0..)
        {
            let dependencies: Vec<u32> = above.into_iter().filter(|_| place > 0).map(|task| task % place).collect();
            // What a rule looks at is upstream of its task.
            let far = |scripts: &[Script], chance: u32| {
                let parent = *dependencies.first()?;
                let above = &scripts[parent as usize].dependencies;
                Some(if above.is_empty() { parent } else { above[chance as usize % above.len()] })
            };
            let rule = match rule {
                Looks::Tasks(Asks::Far(chance, end)) => {
                    Looks::Tasks(far(&scripts, chance).map_or(Asks::Always, |task| Asks::Far(task, end)))
                }
                rule => rule,
            };
            let when = if is_early { When::Decided } else { When::Terminal };
            scripts.push(Script { dependencies, rule, when, optional, at_most_once, has_callbacks, writes });
        }
        scripts
    })
}

fn plan_of(scripts: &[Script]) -> Arc<Plan> {
    let tasks = scripts.iter().zip(0_u32..).map(|(script, number)| {
        let rule = match script.rule {
            Looks::Tasks(asks) => asks.rule(&script.dependencies),
            Looks::Key => Rule::When(Condition::Value { key: "k0".into(), op: Operator::Exists, value: None }),
        };
        plan::Task {
            rule,
            when: script.when,
            optional: script.optional,
            at_most_once: script.at_most_once,
            retry: Policy { retries: 2, ..Policy::default() },
            on_success: script.has_callbacks.then(plan::Function::default),
            on_failure: script.has_callbacks.then(plan::Function::default),
            ..plan::Task::new(format!("t{number}"), plan::Function::default())
        }
    });
    plan::of_tests(scripts.iter().map(|script| &script.dependencies), tasks)
}

fn input() -> BTreeMap<Key, Value> {
    [("k1".into(), RawValue::from_string("9".to_owned()).unwrap().into())].into()
}

fn delta(script: &Script) -> Arc<Delta> {
    let mut delta = Delta::default();
    for (value, key) in script.writes.iter().zip(["k0", "k1"]) {
        match value {
            Some(0) => delta.unset.push(key.into()),
            Some(value) => drop(delta.set.insert(key.into(), RawValue::from_string(value.to_string()).unwrap().into())),
            None => {}
        }
    }
    Arc::new(delta)
}

/// A run that is driven by chance, with all that has changed it.
struct Live<'a> {
    scripts: &'a [Script],
    run: Run,
    changes: Vec<(Transition, Timestamp)>,
    ready: Vec<u32>,
    running: Vec<(u32, u32)>,
    waiting: Vec<u32>,
    callbacks: Vec<u32>,
    clock: u64,
}

impl<'a> Live<'a> {
    fn new(scripts: &'a [Script], plan: &Arc<Plan>) -> Self {
        Self {
            scripts,
            run: Run::new(Arc::clone(plan), &input()),
            changes: Vec::new(),
            ready: Vec::new(),
            running: Vec::new(),
            waiting: Vec::new(),
            callbacks: Vec::new(),
            clock: 0,
        }
    }

    /// Whether the event was not refused.
    fn tell(&mut self, event: Event) -> bool {
        self.clock += 1;
        let now = Timestamp::from_unix_micros(self.clock);
        let before = self.run.content();
        match decide(&mut self.run, event, now) {
            Ok(decision) => self.take(decision, now),
            Err(_) => assert_eq!(before, self.run.content(), "an event that is refused changes nothing"),
        }
        before != self.run.content()
    }

    fn take(&mut self, decision: Decision, now: Timestamp) {
        self.changes.extend(decision.transitions.into_iter().map(|transition| (transition, now)));
        for effect in decision.effects {
            match effect {
                Effect::Enqueue { task } => self.ready.push(task.number()),
                Effect::EnqueueCallback { task } => self.callbacks.push(task.number()),
                Effect::Perform { task, attempt } => self.running.push((task.number(), attempt)),
                Effect::WakeTask { task, .. } => self.waiting.push(task.number()),
                Effect::Stop { .. } | Effect::WakeRun { .. } | Effect::LimitRun { .. } | Effect::Finish => {}
            }
        }
    }

    /// Does one of the things that an engine does by itself; false if there is none.
    fn step(&mut self, choice: usize, end: u8) -> bool {
        let n_choices = self.ready.len() + self.running.len() + self.waiting.len() + self.callbacks.len();
        let Some(mut choice) = choice.checked_rem(n_choices) else { return false };
        let event = if choice < self.ready.len() {
            Event::StartAttempt { task: TaskIndex::new(self.ready.swap_remove(choice)) }
        } else {
            choice -= self.ready.len();
            if choice < self.running.len() {
                let (task, attempt) = self.running.swap_remove(choice);
                Event::End { task: TaskIndex::new(task), attempt, end: self.end(task, end) }
            } else if let Some(place) = choice.checked_sub(self.running.len() + self.waiting.len()) {
                Event::CallbackEnded { task: TaskIndex::new(self.callbacks.swap_remove(place)), failed: end == 0 }
            } else {
                Event::Due { task: TaskIndex::new(self.waiting.swap_remove(choice - self.running.len())) }
            }
        };
        self.tell(event);
        true
    }

    fn end(&self, task: u32, end: u8) -> End {
        match end {
            0 | 1 => End::Failed(Failure { retryable: true, abandoned: end == 0, ..Failure::default() }),
            2 => End::Failed(Failure { kind: "panicked".to_owned(), ..Failure::default() }),
            3 => End::Lost,
            4 => End::NotBegun,
            _ => End::Completed(delta(&self.scripts[task as usize])),
        }
    }

    /// What somebody may ask, or an engine that stops.
    fn ask(&mut self, asked: u8, task: TaskIndex) {
        let by = || "ada".into();
        let quarantine = Quarantine { reason: "it crashed".into(), until: None, is_here: false };
        let event = match asked {
            0 => Event::Pause { by: by() },
            1 | 2 => Event::Resume { by: by() },
            3 => Event::Cancel { by: by() },
            4 => Event::TimeOut,
            5 => Event::RetryNow { task, by: by() },
            6 => Event::Release { task, by: by() },
            7 => Event::Quarantine(Some(quarantine)),
            8 => Event::Quarantine(None),
            9 => Event::Start { by: Some(by()) },
            _ => Event::Interrupt { task },
        };
        self.tell(event);
    }

    /// The run that the history tells of.
    fn fold(&self) -> Run {
        let mut replay = Replay::new(Run::new(Arc::clone(self.run.plan()), &input()));
        for (transition, at) in self.changes.iter().filter(|(transition, _)| transition.is_stored()) {
            replay.apply(transition, *at).unwrap();
        }
        replay.end(Timestamp::from_unix_micros(self.clock)).unwrap()
    }

    fn check(&self) {
        let mut again = Run::new(Arc::clone(self.run.plan()), &input());
        for (transition, at) in &self.changes {
            again.apply(transition, *at).unwrap();
        }
        assert_eq!(again.content(), self.run.content(), "nothing but a transition changes a run");
        let mut folded = self.fold();
        catch_up(&mut folded, &self.run);
        assert_eq!(folded.content(), without_lost_starts(self, folded.content()), "{:#?}", self.changes);
    }
}

/// Applies what is not stored: starts that are under way, and that the time for another attempt has come.
fn catch_up(folded: &mut Run, lived: &Run) {
    let now = Timestamp::from_unix_micros(0);
    for (task, entry) in lived.numbered() {
        let is_waiting = |run: &Run| run.tasks()[task.place()].state() == task::State::Waiting;
        if is_waiting(folded) && matches!(entry.stage, TaskStage::Ready | TaskStage::Running { .. }) {
            folded.apply(&Transition::TaskDue { task }, now).unwrap();
        }
        let is_ready = folded.tasks()[task.place()].stage == TaskStage::Ready;
        if let (true, TaskStage::Running { started_at }) = (is_ready, &entry.stage) {
            let started = Transition::AttemptStarted { task, attempt: entry.attempt, is_durable: false };
            folded.apply(&started, *started_at).unwrap();
        }
    }
}

/// The run that lived, without the starts that nobody knows of: those that were not stored, of attempts that an interruption
/// ended and with them the task.
fn without_lost_starts(live: &Live<'_>, folded: Content) -> Content {
    let mut content = live.run.content();
    let interrupted = |task: TaskIndex| {
        live.changes.iter().any(|(transition, _)| match transition {
            Transition::TaskFailed { task: other, started_at: None, reason: FailReason::Interrupted, .. }
            | Transition::TaskCancelled { task: other, attempt: Some(_), started_at: None, .. } => *other == task,
            _ => false,
        })
    };
    for ((entry, folded), task) in content.tasks.iter_mut().zip(folded.tasks).zip((0..).map(TaskIndex::at)) {
        if interrupted(task)
            && let TaskStage::Failed { started_at, .. } | TaskStage::Cancelled { started_at, .. } = &mut entry.stage
            && folded.started_at().is_none()
        {
            *started_at = None;
        }
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_of_what_was_stored_is_the_run_that_lived(
        scripts in scripts(),
        is_held in prop::bool::weighted(0.2),
        reused in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        choices in prop::collection::vec((any::<usize>(), 0..60_u8, 0..9_u8), 50..=50),
        crash_after in 0..50_usize,
        closed_in_order in any::<bool>(),
    ) {
        let plan = plan_of(&scripts);
        let n_tasks = scripts.len();
        let mut live = Live::new(&scripts, &plan);
        match is_held {
            true => live.tell(Event::Delay { until: Timestamp::from_unix_micros(5) }),
            false => live.tell(Event::Start { by: None }),
        };
        live.check();
        for index in reused {
            let task = index.index(n_tasks);
            let (started_at, finished_at) = (Timestamp::from_unix_micros(0), Timestamp::from_unix_micros(1));
            let (task, delta) = (TaskIndex::at(task), delta(&scripts[task]));
            live.tell(Event::Reuse { task, attempt: 3, started_at, finished_at, delta });
            live.check();
        }
        for (place, (choice, asked, end)) in choices.into_iter().enumerate() {
            if place == crash_after && !live.run.state().is_terminal() {
                live.run = live.fold();
                for lost in [&mut live.ready, &mut live.waiting, &mut live.callbacks] {
                    lost.clear();
                }
                live.running.clear();
                // What was not stored has not happened.
                live.changes.retain(|(transition, _)| transition.is_stored());
                live.clock += 1;
                let now = Timestamp::from_unix_micros(live.clock);
                let decision = recover(&mut live.run, closed_in_order, now).unwrap();
                live.take(decision, now);
                let mut folded = live.fold();
                catch_up(&mut folded, &live.run);
                prop_assert_eq!(folded.content(), without_lost_starts(&live, folded.content()));
                continue;
            }
            match asked {
                asked @ 0..=10 => live.ask(asked, TaskIndex::at(choice % n_tasks)),
                _ => drop(live.step(choice, end)),
            }
            if place < crash_after {
                live.check();
            } else {
                let mut folded = live.fold();
                catch_up(&mut folded, &live.run);
                prop_assert_eq!(folded.content(), without_lost_starts(&live, folded.content()), "{:#?}", &live.changes);
            }
        }
        for event in [Event::Start { by: None }, Event::Resume { by: "ada".into() }, Event::Quarantine(None)] {
            live.tell(event);
        }
        while live.step(0, 8) {}
        prop_assert!(live.run.state().is_terminal(), "{:?}", live.run);
        prop_assert!(live.run.tasks().iter().all(|task| task.state().is_terminal()));
    }
}
