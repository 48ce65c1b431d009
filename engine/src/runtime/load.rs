//! Runs as their histories tell: rebuilt to be driven or shown, and row by row.
//!
//! A history that makes no sense is refused with the number of the row; nothing is made up for what is missing. The
//! form in which users see the rows is made here too.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::{TaskError, Timestamp};
use serde_json::Value as Json;

use super::{
    active::RunRecord,
    catalog::Version,
    history::{self, Reader, Stored},
    secret::Secrets,
};
use crate::{
    core::{apply::Run, effect::Transition, node::TaskIndex, replay::Replay},
    store::{Error as StoreError, EventRow, Kind, RunRow},
    view::RunEvent,
};

/// Members of the engine's own payloads that are moments, stored in microseconds since the epoch.
const MOMENTS: [&str; 2] = ["due_at", "until"];

/// Rebuilds a run from its history; also returns the number of the next row.
///
/// # Errors
/// [`StoreError::Corrupt`] if the rows cannot be the history of a run of this workflow.
pub(crate) fn load(version: Arc<Version>, run: &RunRow, rows: Vec<EventRow>) -> Result<(RunRecord, i64), StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt { reason: format!("the history of run {}: {reason}", run.id) };
    let (next_sequence, last_at) = rows.last().map_or((0, run.created_at), |row| (row.sequence + 1, row.at));
    let mut rows = rows.into_iter();
    let input = match rows.next() {
        Some(EventRow { kind: Kind::RunCreated, payload: Some(payload), .. }) => {
            serde_json::from_slice(&payload).map_err(|error| corrupt(error.to_string()))?
        }
        _ => return Err(corrupt("it does not begin with the creation".to_owned())),
    };
    let (mut errors, mut secrets) = (BTreeMap::new(), Secrets::of(&input));
    let mut replay = Replay::new(Run::new(version.plan.clone(), &input));
    let reader = Reader::new(&version.plan);
    for row in rows {
        secrets = secrets.with_row(&row);
        let Some(stored) = reader.read(&row).map_err(|damage| corrupt(damage.to_string()))? else { continue };
        let applied = replay.apply(&stored.transition, row.at);
        applied.map_err(|refused| corrupt(format!("row {}: {refused}", row.sequence)))?;
        note_error(&mut errors, stored);
    }
    let rebuilt = replay.end(last_at).map_err(|refused| corrupt(refused.to_string()))?;
    drop(reader);
    let record = RunRecord { id: run.id, run: rebuilt, version, created_at: run.created_at, errors, secrets };
    Ok((record, next_sequence))
}

/// Keeps why the last attempt of a task failed, as long as the task has not completed.
fn note_error(errors: &mut BTreeMap<TaskIndex, Arc<TaskError>>, stored: Stored) {
    match (stored.transition, stored.error) {
        (Transition::TaskCompleted { task, .. } | Transition::TaskReused { task, .. }, _) => drop(errors.remove(&task)),
        (
            Transition::AttemptFailed { task, .. }
            | Transition::AttemptLost { task, .. }
            | Transition::TaskFailed { task, .. }
            | Transition::TaskCancelled { task, .. },
            Some(error),
        ) => drop(errors.insert(task, Arc::new(error))),
        _ => {}
    }
}

/// The rows as users see them, without the run's secrets.
pub(crate) fn records(version: &Version, rows: Vec<EventRow>, secrets: &Secrets) -> Vec<RunEvent> {
    let (plan, digest) = (&version.plan, version.key.content_digest());
    let records = rows.into_iter().map(|row| {
        let used = history::usage(&row);
        let task = row.task.and_then(|task| usize::try_from(task).ok()).and_then(|task| plan.tasks.get(task));
        // A row with attempt 0 is about a task of which none began.
        let attempt = row.attempt.and_then(|attempt| u32::try_from(attempt).ok()).filter(|attempt| *attempt > 0);
        // What is taken over from another run may be of another version.
        let is_own = attempt.is_some() && row.kind != Kind::TaskReused;
        let mut details = row.payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default();
        show(row.kind, &mut details);
        secrets.hide_json(&mut details);
        RunEvent {
            sequence: row.sequence,
            at: row.at,
            kind: row.kind.as_str(),
            task: task.map(|task| task.id.as_ref().to_owned()),
            attempt,
            digest: digest.filter(|_| is_own),
            details,
            cpu: used.cpu,
            peak_bytes: used.peak_bytes,
        }
    });
    records.collect()
}

/// Brings details into the form in which everything is shown: nothing is null, and moments are texts. What users wrote stays
/// as it is.
fn show(kind: Kind, details: &mut Json) {
    let is_of_users = matches!(kind, Kind::RunCreated | Kind::TaskCompleted | Kind::TaskReused);
    if !is_of_users && let Some(details) = details.as_object_mut() {
        details.retain(|_, value| !value.is_null());
        for name in MOMENTS {
            if let Some(at) = details.get(name).and_then(Json::as_u64) {
                details.insert(name.to_owned(), Timestamp::from_unix_micros(at).to_string().into());
            }
        }
    }
}
