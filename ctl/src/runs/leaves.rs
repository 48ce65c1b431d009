//! Tasks that were skipped though they are what the run was for: nothing depends on them, so nothing else shows it.
//!
//! A run may complete with all of them skipped. That is an answer and no failure, but it is said.

use cloacina::{RunReport, RunState};

use crate::output::Output;
use crate::place::Place;

/// How many tasks a note names.
const NAMED_MAX: usize = 5;

/// The ids of the leaves that were skipped, for programs.
pub(crate) fn leaves_skipped(report: &RunReport) -> Vec<&str> {
    report.leaves_skipped().map(|task| task.id.as_str()).collect()
}

/// Says of a run that went well which of its leaves were skipped, and why. Where one has failed, that is what counts.
pub(crate) fn note_skipped_leaves(report: &RunReport, place: Option<&Place>, output: &Output) {
    if let Some(note) = note(report) {
        let more = place.map(|place| format!(": cloacina-ctl runs why {}{}", report.id, place.option()));
        output.note(&format!("note: {note}{}", more.unwrap_or_default()));
    }
}

fn note(report: &RunReport) -> Option<String> {
    let went_well = matches!(report.state, RunState::Completed | RunState::PartiallyCompleted);
    let n_skipped = report.leaves_skipped().count();
    if !went_well || n_skipped == 0 {
        return None;
    }
    let named = report.leaves_skipped().take(NAMED_MAX);
    let mut named: Vec<String> = named
        .filter_map(|task| Some(format!("{}: {}", task.id, report.skip_in_words(task.skipped.as_ref()?))))
        .collect();
    if n_skipped > NAMED_MAX {
        named.push(format!("and {} more", n_skipped - NAMED_MAX));
    }
    let (n_leaves, named) = (report.leaves().count(), named.join("; "));
    let were = if n_leaves == 1 { "final task was" } else { "final tasks were" };
    Some(format!("{n_skipped} of {n_leaves} {were} skipped ({named})"))
}
