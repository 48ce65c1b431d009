//! The driver's part about histories: reading them in the background, and going on with the runs from where they end.
//!
//! - One history that cannot be read, or that makes no sense, keeps no other run from being driven.
//! - What cannot be read is read again, after pauses that get longer and are bounded, for as long as the run is this
//!   engine's. A caller that asks why the run waits is told so.
//! - A history that is read again may show that the run has ended; then that is its end.

use std::sync::Arc;

use cloacina_workflow::Timestamp;

use super::{
    active::ActiveRun,
    catalog::{Version, Workflow},
    dormant::Dormant,
    driver::{Driver, Stopping},
    event::{HistoryRead, Phase},
    jobs::Reading,
    load::load,
    runner::TaskRunner,
    stall::{Trouble, be_active},
    timer::Timer,
};
use crate::{
    Error,
    core::replay,
    id::RunId,
    store::{Error as StoreError, RunRow},
};

/// Runs whose histories are read in one go after a restart.
const LOAD_MAX: usize = 256;

impl Driver {
    /// Reads the histories of those who waited for that workflow.
    pub(super) fn load(&mut self, workflow: &Workflow) {
        if self.stopping != Stopping::No {
            return;
        }
        let versions = &self.versions;
        let waits = |dormant: &&Dormant| {
            let version = versions.get(&dormant.row.workflow);
            !dormant.is_loading
                && dormant.trouble.is_none()
                && version.is_some_and(|version| workflow.version.continues(version))
        };
        let rows: Vec<RunRow> = self.dormant.values().filter(waits).map(|dormant| dormant.row.clone()).collect();
        self.load_rows(rows, workflow);
    }

    fn load_rows(&mut self, mut rows: Vec<RunRow>, workflow: &Workflow) {
        rows.sort_by_key(|row| row.id);
        for row in &rows {
            if let Some(dormant) = self.dormant.get_mut(&row.id) {
                dormant.is_loading = true;
            }
        }
        for rows in rows.chunks(LOAD_MAX) {
            let runner = Some(workflow.runner.clone());
            self.read_histories(rows.to_vec(), workflow.version.clone(), runner);
        }
    }

    /// Reads histories in the background; [`Self::loaded`] goes on with them.
    pub(super) fn read_histories(
        &self,
        rows: Vec<RunRow>,
        version: Arc<Version>,
        runner: Option<Arc<dyn TaskRunner>>,
    ) {
        let epoch = self.ownership.epoch();
        self.jobs.read_histories(Reading { epoch, version, runner, rows });
    }

    /// Goes on with runs from where their histories end.
    pub(super) fn loaded(
        &mut self,
        version: &Arc<Version>,
        runner: Option<&Arc<dyn TaskRunner>>,
        runs: Vec<HistoryRead>,
        now: Timestamp,
    ) {
        if self.stopping != Stopping::No {
            return;
        }
        for (row, events) in runs {
            let loaded = events.and_then(|events| load(version.clone(), &row, events).map_err(Arc::new));
            let (mut record, next_sequence) = match loaded {
                Ok(loaded) => loaded,
                Err(error) => {
                    self.postpone(row.id, &error, now);
                    continue;
                }
            };
            let Some(dormant) = self.dormant.remove(&row.id) else { continue };
            let is_over = record.run.state().is_terminal();
            let recovered = match is_over {
                true => Ok(None),
                false => {
                    self.close_gate(&mut record, now);
                    replay::recover(&mut record.run, dormant.closed_in_order, now).map(Some)
                }
            };
            let Dormant { phase, asked, inspectors, trouble, .. } = match &recovered {
                Ok(_) => dormant,
                Err(refused) => {
                    let reason = format!("the history of run {}: {refused}", row.id);
                    self.dormant.insert(row.id, dormant);
                    self.postpone(row.id, &Arc::new(StoreError::Corrupt { reason }), now);
                    continue;
                }
            };
            if trouble.is_some() {
                tracing::warn!(run.id = %row.id, "the history of a run has been read, and the run goes on");
                be_active(&phase);
            }
            match recovered {
                Ok(Some(decision)) => {
                    let (runner, limit, n_pending, term) = (runner.cloned(), None, 0, 0);
                    let active = ActiveRun { record, runner, next_sequence, phase, limit, n_pending, term };
                    self.runs.insert(row.id, active);
                    self.enact(row.id, decision, now, None);
                }
                // The end of the run was stored, and nobody had heard of it.
                Ok(None) | Err(_) => drop(phase.send_replace(Phase::Ended(Arc::new(record)))),
            }
            for (action, by, answer) in asked {
                self.control(row.id, action, by, answer, now);
            }
            self.put_back(row.id);
            for answer in inspectors {
                self.inspect(row.id, answer);
            }
        }
    }

    /// The history of a run could not be read: it is read again later. Tells the callers that asked something of the run.
    fn postpone(&mut self, run: RunId, error: &Arc<StoreError>, now: Timestamp) {
        let Some(dormant) = self.dormant.get_mut(&run) else { return };
        dormant.is_loading = false;
        let trouble = dormant.trouble.get_or_insert_with(|| {
            tracing::error!(run.id = %run, error = &**error as &dyn std::error::Error, "the history of a run cannot be read; \
                the run waits, and the engine tries again");
            Trouble::new(Arc::clone(error), now)
        });
        let due = trouble.again(Arc::clone(error), now);
        self.timers.set(due, Timer::HistoriesDue);
        if trouble.is_to_be_told(now) {
            dormant.phase.send_replace(Phase::Lost(Arc::clone(error)));
        }
        let (asked, inspectors) = (std::mem::take(&mut dormant.asked), std::mem::take(&mut dormant.inspectors));
        for (.., answer) in asked {
            // The caller may have stopped waiting.
            answer.send(Err(Error::RunLost { id: run, source: Arc::clone(error) })).ok();
        }
        for answer in inspectors {
            self.inspect(run, answer);
        }
    }

    /// Reads again what could not be read, as far as its time has come.
    pub(super) fn read_again(&mut self, now: Timestamp) {
        if self.stopping != Stopping::No {
            return;
        }
        let is_due = |dormant: &&Dormant| {
            !dormant.is_loading && dormant.trouble.as_ref().is_some_and(|trouble| trouble.due <= now)
        };
        let due: Vec<RunRow> = self.dormant.values().filter(is_due).map(|dormant| dormant.row.clone()).collect();
        let mut by_code: Vec<(Workflow, Vec<RunRow>)> = Vec::new();
        for row in due {
            if self.is_busy(row.id) {
                let Some(trouble) = self.dormant.get_mut(&row.id).and_then(|dormant| dormant.trouble.as_mut()) else {
                    continue;
                };
                let error = Arc::clone(trouble.error());
                let due = trouble.again(error, now);
                self.timers.set(due, Timer::HistoriesDue);
                continue;
            }
            let code = self.versions.get(&row.workflow).and_then(|version| self.catalog.code_for(version));
            let Some(code) = code else {
                // From now on it waits for its code.
                if let Some(dormant) = self.dormant.get_mut(&row.id) {
                    dormant.trouble = None;
                    be_active(&dormant.phase);
                }
                continue;
            };
            match by_code.iter_mut().find(|(known, _)| known.version.id == code.version.id) {
                Some((_, rows)) => rows.push(row),
                None => by_code.push((code, vec![row])),
            }
        }
        for (workflow, rows) in by_code {
            self.load_rows(rows, &workflow);
        }
    }

    /// What is in memory of a run is not what is in the database: its history is read again.
    pub(super) fn reread(&mut self, run: RunId, now: Timestamp) {
        self.drop_stall(run);
        let Some(ActiveRun { record, phase, .. }) = self.runs.remove(&run) else { return };
        self.stop_attempts(run, now);
        let reason = format!("the database has more of run {run} than the engine had written");
        let mut dormant = Dormant::told(record.row(), false, phase);
        let error = Arc::new(StoreError::Corrupt { reason });
        tracing::error!(run.id = %run, %error, "the history of a run is read again");
        let mut trouble = Trouble::new(Arc::clone(&error), now);
        let due = trouble.again(error, now);
        dormant.trouble = Some(trouble);
        self.dormant.insert(run, dormant);
        self.timers.set(due, Timer::HistoriesDue);
    }

    /// Whether something of the run that was begun before has not come to its end.
    fn is_busy(&self, run: RunId) -> bool {
        self.underway.keys().any(|key| key.run == run) || self.pending.iter().any(|pending| pending.run == run)
    }
}
