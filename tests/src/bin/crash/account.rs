//! The three accounts, held against each other: what was acknowledged, what the ledger says, what the database says.
//!
//! - *lost*: a run that ended otherwise than completed (but for the rule below), a completion that was acknowledged and of
//!   which the ledger knows nothing, an acknowledgement for which the disk was not waited.
//!   A task that was interrupted three times in a row fails, as the engine promises: a task that is killed soon after each start
//!   sees that happen. Such a run is not lost; how many there are is said beside the result.
//! - *reexecuted*: an attempt that was begun twice, or one that was begun though an earlier attempt of its task had been
//!   acknowledged as completed.
//! - *overcharged*: a charge, after the first one, for a task of a run: a service that charges once for each key got another.
//! - *stuck*: a run that was acknowledged and that no worker could bring to its end.

use std::{
    collections::{HashMap, HashSet},
    process::ExitCode,
};

use serde_json::json;

use crate::Failure;

/// What the workers said, and which process said it.
#[derive(Default)]
pub(crate) struct Acknowledged {
    /// The process that acknowledged the submission, by run.
    submitted: HashMap<String, u32>,
    /// The process that acknowledged the first completion, and of which attempt, by run and task.
    completed: HashMap<(String, String), (u32, u32)>,
    ended: HashMap<String, String>,
}

impl Acknowledged {
    pub(crate) fn note(&mut self, process: u32, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["submitted", run] => drop(self.submitted.insert(run.to_owned(), process)),
            ["completed", run, task, attempt] => {
                let attempt = attempt.parse().unwrap_or(0);
                self.completed.entry((run.to_owned(), task.to_owned())).or_insert((process, attempt));
            }
            ["ended", run, state] => drop(self.ended.insert(run.to_owned(), state.to_owned())),
            _ => eprintln!("a worker said: {line}"),
        }
    }

    pub(crate) fn n_submitted(&self) -> usize {
        self.submitted.len()
    }

    /// Whether a line tells of a task that completed in a run of that process.
    pub(crate) fn is_completion_of_another(&self, line: &str, process: u32) -> bool {
        let run = line.strip_prefix("completed ").and_then(|rest| rest.split(' ').next());
        run.is_some_and(|run| self.submitted.get(run) == Some(&process))
    }

    /// Whether a line is about an attempt that another engine reported as completed.
    pub(crate) fn is_repetition(&self, line: &str) -> bool {
        let ["completed", run, task, attempt] = line.split(' ').collect::<Vec<_>>()[..] else { return false };
        let completed = self.completed.get(&(run.to_owned(), task.to_owned()));
        completed.is_some_and(|(_, completed)| attempt.parse() == Ok(*completed))
    }

    /// Compares and prints the result.
    pub(crate) fn check(
        &self,
        kills: u64,
        n_unsynced: u64,
        (ledger, charges): (&str, &[String]),
    ) -> Result<ExitCode, Failure> {
        let (mut entries, mut attempts) = (HashSet::new(), HashSet::new());
        let mut reexecuted = 0;
        for line in ledger.lines() {
            let (process, key) = line.split_once(' ').ok_or("the ledger is damaged")?;
            let process: u32 = process.parse()?;
            let [run, task, attempt] = key.split('/').collect::<Vec<_>>()[..] else {
                return Err("the ledger is damaged".into());
            };
            let attempt: u32 = attempt.parse()?;
            let task = (run.to_owned(), task.to_owned());
            let again = !attempts.insert(key.to_owned());
            let after = self.completed.get(&task).is_some_and(|(_, completed)| attempt > *completed);
            reexecuted += u64::from(again || after);
            entries.insert((task, process));
        }
        let charged: HashSet<_> = charges.iter().map(|key| key.split('.').take(2).collect::<Vec<_>>()).collect();
        let overcharged = charges.len() - charged.len();
        let is_paid = |(run, task): &(String, String)| charged.contains(&vec![run.as_str(), task.as_str()]);
        if !self.completed.keys().all(is_paid) {
            return Err("a task completed and was not charged for".into());
        }
        let n_forgotten =
            self.completed.iter().filter(|(task, (by, _))| !entries.contains(&((*task).clone(), *by))).count();
        let ended = |run: &String| self.ended.get(run);
        let stuck = self.submitted.keys().filter(|run| ended(run).is_none()).count();
        let n_ended_as =
            |wanted: &str| self.submitted.keys().filter(|run| ended(run).is_some_and(|state| state == wanted)).count();
        let n_interrupted = n_ended_as("interrupted");
        let n_wrong = self.n_submitted() - stuck - n_ended_as("completed") - n_interrupted;
        if n_interrupted > 0 {
            eprintln!("{n_interrupted} runs failed because a task of theirs was interrupted three times in a row");
        }
        let lost = u64::try_from(n_wrong + n_forgotten)? + n_unsynced;
        let acknowledged = self.n_submitted();
        println!(
            "{}",
            json!({ "kills": kills, "acknowledged": acknowledged, "lost": lost, "reexecuted": reexecuted,
                "overcharged": overcharged, "stuck": stuck })
        );
        Ok(if lost == 0 && reexecuted == 0 && overcharged == 0 && stuck == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
