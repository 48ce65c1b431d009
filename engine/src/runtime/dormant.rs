//! Unfinished runs that are not in memory: they wait for their code, or for their history.
//!
//! - A workflow that is compiled into a program is there only while the program runs, a package may be gone. A caller that
//!   asks something of such a run has it done: the run is read with the description that the store keeps, changed, and
//!   put back. None of its tasks starts meanwhile.
//! - One history that cannot be read, or that makes no sense, keeps no other run from being driven.
//! - What cannot be read is read again, after pauses that get longer and are bounded, for as long as the run is this
//!   engine's. A caller that asks why the run waits is told so.
//! - A history that is read again may show that the run has ended; then that is its end.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    sync::Arc,
};

use cloacina_workflow::Timestamp;
use tokio::sync::{oneshot, watch};

use super::{
    active::{RunRecord, Unloaded, be_active},
    catalog::{Catalog, Version, Workflow, stored_version},
    event::{Action, Inspected, Phase},
    load::load,
    quarantine::Quarantines,
    stall::Trouble,
    timer::{Timer, Timers},
};
use crate::{
    Error,
    core::{
        effect::{Actor, Decision},
        replay,
    },
    id::{RunId, WorkflowId},
    store::{Error as StoreError, EventRow, Orphan, RunRow, WorkflowRow},
};

/// The runs that are this engine's and not in memory.
#[derive(Debug)]
pub(super) struct DormantRuns {
    runs: HashMap<RunId, Dormant>,
    /// What they are pinned to.
    versions: HashMap<WorkflowId, Arc<Version>>,
}

/// A run that waits for its code, or for its history.
#[derive(Debug)]
struct Dormant {
    row: RunRow,
    /// Whether no attempt was left without an end.
    closed_in_order: bool,
    is_loading: bool,
    /// Why its history could not be read, and when that is tried again.
    trouble: Option<Trouble>,
    phase: watch::Sender<Phase>,
    /// What was asked while its history is being read.
    asked: Vec<Asked>,
    /// Where it is told how the run stands, as soon as its history has been read.
    inspectors: Vec<oneshot::Sender<Inspected>>,
}

/// A request, its actor, and where the answer goes.
pub(super) type Asked = (Action, Actor, oneshot::Sender<Result<(), Error>>);

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Asking {
    /// The run is not here.
    NotHere(Asked),
    /// The request is answered, or waits for the history that is being read.
    Done,
    /// The request waits for that history, which is to be read without the code.
    Read(RunRow, Arc<Version>),
}

/// A history that was read, or why it cannot be.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) version: &'a Arc<Version>,
    pub(super) row: RunRow,
    pub(super) events: Result<Vec<EventRow>, Arc<StoreError>>,
}

/// A run that comes into memory.
pub(super) struct Woken {
    /// What there is to go on with; nothing if the run had ended, of which nobody had heard.
    pub(super) run: Option<WokenRun>,
    /// What was asked of it meanwhile.
    pub(super) asked: Vec<Asked>,
    /// Where it is told how the run stands.
    pub(super) inspectors: Vec<oneshot::Sender<Inspected>>,
}

/// A run that goes on.
pub(super) struct WokenRun {
    pub(super) record: RunRecord,
    pub(super) next_sequence: i64,
    pub(super) phase: watch::Sender<Phase>,
    /// What the restart means for it.
    pub(super) decision: Decision,
}

impl Dormant {
    fn new(row: RunRow, closed_in_order: bool, phase: watch::Sender<Phase>) -> Self {
        let (asked, inspectors) = (Vec::new(), Vec::new());
        Self { row, closed_in_order, is_loading: false, trouble: None, phase, asked, inspectors }
    }
}

impl DormantRuns {
    pub(super) fn new(orphans: Vec<Orphan>, workflows: &[WorkflowRow]) -> Self {
        let mut dormant = Self { runs: HashMap::new(), versions: HashMap::new() };
        workflows.iter().for_each(|row| dormant.learn(row));
        orphans.into_iter().for_each(|orphan| dormant.add(orphan));
        dormant
    }

    /// Adds a run that is this engine's from now on.
    pub(super) fn add(&mut self, Orphan { row, closed_in_order }: Orphan) {
        self.runs.insert(row.id, Dormant::new(row, closed_in_order, watch::Sender::new(Phase::Active)));
    }

    /// Keeps what runs may be pinned to.
    pub(super) fn learn(&mut self, row: &WorkflowRow) {
        let Entry::Vacant(entry) = self.versions.entry(row.id) else { return };
        match stored_version(row) {
            Ok(version) => drop(entry.insert(Arc::new(version))),
            Err(error) => tracing::error!(workflow = %row.key.full_name(), %error, "a stored workflow is damaged"),
        }
    }

    /// Adds a run that was in memory without its code, and of which everything is stored.
    pub(super) fn put_back(&mut self, Unloaded { row, phase, .. }: Unloaded) {
        // What may have been running has been recorded as interrupted.
        self.runs.insert(row.id, Dormant::new(row, true, phase));
    }

    /// Adds a run of which the database has more than the engine thought: its history is read again.
    pub(super) fn read_anew(&mut self, unloaded: Unloaded, now: Timestamp, timers: &mut Timers) {
        let Unloaded { row, phase, .. } = unloaded;
        let run = row.id;
        let reason = format!("the database has more of run {run} than the engine had written");
        let error = Arc::new(StoreError::Corrupt { reason });
        tracing::error!(run.id = %run, %error, "the history of a run is read again");
        let mut trouble = Trouble::new(Arc::clone(&error), now);
        timers.set(trouble.again(error, now), Timer::HistoriesDue);
        self.runs.insert(run, Dormant { trouble: Some(trouble), ..Dormant::new(row, false, phase) });
    }

    pub(super) fn contains(&self, run: RunId) -> bool {
        self.runs.contains_key(&run)
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether of none of them an attempt was left without an end.
    pub(super) fn is_in_order(&self) -> bool {
        self.runs.values().all(|dormant| dormant.closed_in_order)
    }

    /// The phase as the callers see it that wait for a run.
    pub(super) fn subscribe(&self, run: RunId) -> Option<watch::Receiver<Phase>> {
        self.runs.get(&run).map(|dormant| dormant.phase.subscribe())
    }

    /// Something is asked of a run.
    pub(super) fn ask(&mut self, run: RunId, asked: Asked) -> Asking {
        let Some(dormant) = self.runs.get_mut(&run) else { return Asking::NotHere(asked) };
        if dormant.is_loading {
            dormant.asked.push(asked);
            return Asking::Done;
        }
        let Some(version) = self.versions.get(&dormant.row.workflow) else {
            // Its description is damaged. The caller may have stopped waiting.
            asked.2.send(Err(Error::CodeMissing { id: run })).ok();
            return Asking::Done;
        };
        dormant.is_loading = true;
        dormant.asked.push(asked);
        Asking::Read(dormant.row.clone(), Arc::clone(version))
    }

    /// Says how a run stands. One whose history is being read has its code: it is answered when it has been read. Gives
    /// the inspector back if the run is not here.
    pub(super) fn inspect(
        &mut self,
        run: RunId,
        inspector: oneshot::Sender<Inspected>,
    ) -> Option<oneshot::Sender<Inspected>> {
        let Some(dormant) = self.runs.get_mut(&run) else { return Some(inspector) };
        let inspected = match &dormant.trouble {
            Some(trouble) => Inspected::Waiting(trouble.gate(true)),
            None if dormant.is_loading => {
                dormant.inspectors.push(inspector);
                return None;
            }
            None => Inspected::Dormant,
        };
        // The caller may have stopped waiting.
        inspector.send(inspected).ok();
        None
    }

    /// The runs that waited for that workflow, whose histories are to be read now.
    pub(super) fn begin_loading(&mut self, workflow: &Workflow) -> Vec<RunRow> {
        let versions = &self.versions;
        let waits = |dormant: &&mut Dormant| {
            let version = versions.get(&dormant.row.workflow);
            !dormant.is_loading
                && dormant.trouble.is_none()
                && version.is_some_and(|version| workflow.version.continues(version))
        };
        let waiting = self.runs.values_mut().filter(waits).map(|dormant| {
            dormant.is_loading = true;
            dormant.row.clone()
        });
        in_order(waiting.collect())
    }

    /// The runs whose histories could not be read and are to be read again now, by the code that goes on with them.
    /// `is_busy` says whether something of a run that was begun before has not come to its end.
    pub(super) fn begin_again(
        &mut self,
        catalog: &Catalog,
        is_busy: impl Fn(RunId) -> bool,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Vec<(Workflow, Vec<RunRow>)> {
        let mut by_code: Vec<(Workflow, Vec<RunRow>)> = Vec::new();
        for (run, dormant) in self.runs.iter_mut().filter(|(_, dormant)| !dormant.is_loading) {
            let Some(trouble) = dormant.trouble.as_mut().filter(|trouble| trouble.is_due(now)) else { continue };
            if is_busy(*run) {
                timers.set(trouble.postpone(now), Timer::HistoriesDue);
                continue;
            }
            let code = self.versions.get(&dormant.row.workflow).and_then(|version| catalog.code_for(version));
            let Some(code) = code else {
                // From now on it waits for its code.
                dormant.trouble = None;
                be_active(&dormant.phase);
                continue;
            };
            dormant.is_loading = true;
            let row = dormant.row.clone();
            match by_code.iter_mut().find(|(known, _)| known.version.id == code.version.id) {
                Some((_, rows)) => rows.push(row),
                None => by_code.push((code, vec![row])),
            }
        }
        by_code.into_iter().map(|(workflow, rows)| (workflow, in_order(rows))).collect()
    }

    /// The history of a run has been read, or cannot be. Takes the run out if it can go on; the history is read again later
    /// if it makes no sense.
    pub(super) fn loaded(
        &mut self,
        read: Read<'_>,
        quarantines: &Quarantines,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Option<Woken> {
        let Read { version, row, events } = read;
        let run = row.id;
        let closed_in_order = self.runs.get(&run)?.closed_in_order;
        let loaded = events.and_then(|events| load(Arc::clone(version), &row, events).map_err(Arc::new));
        let recovered = loaded.and_then(|(mut record, next_sequence)| {
            if record.run.state().is_terminal() {
                return Ok((record, next_sequence, None));
            }
            quarantines.close_gate(&mut record, now);
            match replay::recover(&mut record.run, closed_in_order, now) {
                Ok(decision) => Ok((record, next_sequence, Some(decision))),
                Err(refused) => {
                    let reason = format!("the history of run {run}: {refused}");
                    Err(Arc::new(StoreError::Corrupt { reason }))
                }
            }
        });
        let (record, next_sequence, decision) = match recovered {
            Ok(recovered) => recovered,
            Err(error) => {
                self.postpone(run, &error, now, timers);
                return None;
            }
        };
        let Dormant { phase, asked, inspectors, trouble, .. } = self.runs.remove(&run)?;
        if trouble.is_some() {
            tracing::warn!(run.id = %run, "the history of a run was read, and the run continues");
            be_active(&phase);
        }
        let run = match decision {
            Some(decision) => Some(WokenRun { record, next_sequence, phase, decision }),
            // The end of the run was stored, and nobody had heard of it.
            None => {
                phase.send_replace(Phase::Ended(Arc::new(record)));
                None
            }
        };
        Some(Woken { run, asked, inspectors })
    }

    /// The history of a run could not be read: it is read again later. Tells the callers that asked something of the run.
    fn postpone(&mut self, run: RunId, error: &Arc<StoreError>, now: Timestamp, timers: &mut Timers) {
        let Some(dormant) = self.runs.get_mut(&run) else { return };
        dormant.is_loading = false;
        let trouble = dormant.trouble.get_or_insert_with(|| {
            tracing::error!(run.id = %run, error = &**error as &dyn std::error::Error, "the history of a run cannot be read; \
                the run waits, and the engine tries again");
            Trouble::new(Arc::clone(error), now)
        });
        timers.set(trouble.again(Arc::clone(error), now), Timer::HistoriesDue);
        if trouble.is_to_be_told(now) {
            dormant.phase.send_replace(Phase::Lost(Arc::clone(error)));
        }
        let gate = trouble.gate(true);
        for (.., answer) in mem::take(&mut dormant.asked) {
            // The caller may have stopped waiting, here and below.
            answer.send(Err(Error::RunLost { id: run, source: Arc::clone(error) })).ok();
        }
        for inspector in mem::take(&mut dormant.inspectors) {
            inspector.send(Inspected::Waiting(gate.clone())).ok();
        }
    }

    /// Forgets all runs, as they are not this engine's. Tells the callers that wait for them.
    pub(super) fn release_all(&mut self, phase: &Phase) {
        for (id, dormant) in self.runs.drain() {
            dormant.phase.send_replace(phase.clone());
            for (.., answer) in dormant.asked {
                // The caller may have stopped waiting, here and below.
                answer.send(Err(Error::Fenced { id })).ok();
            }
            for inspector in dormant.inspectors {
                inspector.send(Inspected::Elsewhere).ok();
            }
        }
    }

    /// The runs whose code is there, and about which nothing is done.
    #[cfg(debug_assertions)]
    pub(super) fn asleep<'a>(&'a self, catalog: &'a Catalog, timers: &'a Timers) -> impl Iterator<Item = RunId> + 'a {
        let sleeps = |dormant: &Dormant| {
            let version = self.versions.get(&dormant.row.workflow);
            let has_code = version.is_some_and(|version| catalog.code_for(version).is_some());
            let is_read_later = dormant.trouble.is_some() && timers.has(Timer::HistoriesDue);
            has_code && !dormant.is_loading && !is_read_later
        };
        self.runs.iter().filter(move |(_, dormant)| sleeps(dormant)).map(|(run, _)| *run)
    }
}

impl Catalog {
    /// What can go on with runs of that version.
    pub(super) fn code_for(&self, version: &Version) -> Option<Workflow> {
        self.version(version.id).or_else(|| self.continuing(version))
    }

    /// What can go on with runs that are pinned to that workflow.
    pub(super) fn code_for_row(&self, row: &WorkflowRow) -> Option<Workflow> {
        self.version(row.id).or_else(|| self.continuing(&stored_version(row).ok()?))
    }

    /// The active version of the workflow, if it can go on with runs of that one.
    fn continuing(&self, version: &Version) -> Option<Workflow> {
        let active = self.resolve(&version.key.full_name()).ok()?;
        active.version.continues(version).then_some(active)
    }
}

/// Oldest first.
fn in_order(mut rows: Vec<RunRow>) -> Vec<RunRow> {
    rows.sort_by_key(|row| row.id);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::run,
        runtime::{
            history,
            runner::{Attempt, TaskRunner},
        },
        store::WorkflowKey,
    };

    #[derive(Debug)]
    struct NoRunner;

    impl TaskRunner for NoRunner {
        fn start(&self, _: Attempt) {}
    }

    /// One dormant run, and a catalog with the code for it.
    struct Bench {
        dormant: DormantRuns,
        timers: Timers,
        catalog: Catalog,
        workflow: Workflow,
    }

    impl Bench {
        fn new() -> Self {
            let key = WorkflowKey {
                tenant: "public".to_owned(),
                package: String::new(),
                name: "w".to_owned(),
                digest: Vec::new(),
                fingerprint: String::new(),
            };
            let descriptor = r#"{"name": "w", "tasks": [{"id": "a", "index": 0}]}"#.to_owned();
            let row = WorkflowRow { id: WorkflowId::new(at(0)), key, descriptor };
            let workflow = Workflow { version: Arc::new(stored_version(&row).unwrap()), runner: Arc::new(NoRunner) };
            let catalog = Catalog::default();
            catalog.activate(workflow.clone());
            let run = RunRow {
                id: run(),
                workflow: row.id,
                state: run::State::Pending,
                created_at: at(0),
                started_at: None,
                finished_at: None,
                context_pruned_at: None,
                events_pruned_at: None,
                created_by: None,
                dismissed_by: None,
            };
            let dormant = DormantRuns::new(vec![Orphan { row: run, closed_in_order: true }], &[row]);
            Self { dormant, timers: Timers::default(), catalog, workflow }
        }

        fn begin_loading(&mut self) -> usize {
            self.dormant.begin_loading(&self.workflow).len()
        }

        fn begin_again(&mut self, is_busy: bool, now: Timestamp) -> usize {
            self.dormant.begin_again(&self.catalog, |_| is_busy, now, &mut self.timers).len()
        }

        fn loaded(&mut self, events: Result<Vec<EventRow>, Arc<StoreError>>, now: Timestamp) -> Option<Woken> {
            let row = self.dormant.runs[&run()].row.clone();
            let read = Read { version: &self.workflow.version, row, events };
            self.dormant.loaded(read, &Quarantines::default(), now, &mut self.timers)
        }

        fn inspect(&mut self) -> oneshot::Receiver<Inspected> {
            let (inspector, told) = oneshot::channel();
            assert!(self.dormant.inspect(run(), inspector).is_none());
            told
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_micros(millis * 1_000)
    }

    fn run() -> RunId {
        RunId::floor(at(1))
    }

    fn cancel() -> (Asked, oneshot::Receiver<Result<(), Error>>) {
        let (answer, told) = oneshot::channel();
        ((Action::Cancel, "ann".into(), answer), told)
    }

    #[test]
    fn what_is_asked_while_a_history_is_read_comes_with_the_run() {
        let mut bench = Bench::new();
        assert_eq!((bench.begin_loading(), bench.begin_loading()), (1, 0), "one is read once");
        let (asked, _told) = cancel();
        assert!(matches!(bench.dormant.ask(run(), asked), Asking::Done));
        let _inspected = bench.inspect();
        let woken = bench.loaded(Ok(vec![history::created_row(at(0), b"{}".to_vec())]), at(5)).unwrap();
        assert_eq!((woken.asked.len(), woken.inspectors.len()), (1, 1));
        assert_eq!(woken.run.map(|woken| woken.next_sequence), Some(1));
        assert!(!bench.dormant.contains(run()));
    }

    #[test]
    fn a_history_that_cannot_be_read_is_read_again_and_callers_are_told() {
        let mut bench = Bench::new();
        bench.begin_loading();
        let (asked, mut told) = cancel();
        assert!(matches!(bench.dormant.ask(run(), asked), Asking::Done));
        let mut inspected = bench.inspect();
        assert!(bench.loaded(Err(Arc::new(StoreError::Stopped)), at(1_000)).is_none());
        assert!(matches!(told.try_recv(), Ok(Err(Error::RunLost { .. }))));
        assert!(matches!(inspected.try_recv(), Ok(Inspected::Waiting(_))));
        assert_eq!(bench.timers.pop_due(at(1_100)), Some(Timer::HistoriesDue));
        assert_eq!(bench.begin_loading(), 0, "code that comes does not cut the pause short");
        assert_eq!(bench.begin_again(false, at(1_099)), 0);
        assert_eq!(bench.begin_again(true, at(1_100)), 0);
        assert_eq!(bench.timers.pop_due(at(1_300)), Some(Timer::HistoriesDue), "it is put off for twice as long");
        assert_eq!(bench.begin_again(false, at(1_300)), 1);
        assert_eq!(bench.begin_again(false, at(9_000)), 0, "one is read once");
    }

    #[test]
    fn a_history_that_makes_no_sense_keeps_the_run_here() {
        let mut bench = Bench::new();
        bench.begin_loading();
        assert!(bench.loaded(Ok(Vec::new()), at(0)).is_none());
        assert!(bench.dormant.contains(run()));
        let phase = bench.dormant.subscribe(run()).unwrap();
        assert!(matches!(&*phase.borrow(), Phase::Lost(_)), "that does not pass by itself, so it is told at once");
    }

    #[test]
    fn a_run_whose_code_is_gone_when_it_is_to_be_read_again_waits_for_the_code() {
        let mut bench = Bench::new();
        bench.begin_loading();
        bench.loaded(Err(Arc::new(StoreError::Stopped)), at(0));
        bench.catalog = Catalog::default();
        assert_eq!(bench.begin_again(false, at(1_000)), 0);
        assert!(matches!(bench.inspect().try_recv(), Ok(Inspected::Dormant)));
        assert_eq!(bench.begin_loading(), 1);
    }

    #[test]
    fn a_request_has_the_history_read_without_the_code() {
        let mut bench = Bench::new();
        let (first, _told) = cancel();
        assert!(matches!(bench.dormant.ask(run(), first), Asking::Read(row, _) if row.id == run()));
        let (second, _told) = cancel();
        assert!(matches!(bench.dormant.ask(run(), second), Asking::Done));
        let (other, _told) = cancel();
        assert!(matches!(bench.dormant.ask(RunId::floor(at(2)), other), Asking::NotHere(_)));
        bench.dormant.versions.clear();
        bench.loaded(Err(Arc::new(StoreError::Stopped)), at(0));
        let (damaged, mut told) = cancel();
        assert!(matches!(bench.dormant.ask(run(), damaged), Asking::Done));
        assert!(matches!(told.try_recv(), Ok(Err(Error::CodeMissing { .. }))));
    }

    #[test]
    fn released_runs_are_forgotten_and_callers_are_told() {
        let mut bench = Bench::new();
        bench.begin_loading();
        let phase = bench.dormant.subscribe(run()).unwrap();
        let (asked, mut told) = cancel();
        bench.dormant.ask(run(), asked);
        let mut inspected = bench.inspect();
        bench.dormant.release_all(&Phase::Fenced);
        assert!(matches!(&*phase.borrow(), Phase::Fenced));
        assert!(matches!(told.try_recv(), Ok(Err(Error::Fenced { .. }))));
        assert!(matches!(inspected.try_recv(), Ok(Inspected::Elsewhere)));
        assert_eq!(bench.dormant.len(), 0);
    }
}
